/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arguments of brig-init, one a line; what it makes of commands; the records it writes, as commands of
 * brig read them.  The input is also read as a file of records.
 */
#include "run/service.h"
#include "fuzz.h"

#define main brig_init_main
int brig_init_main(int argc, char **argv);
#include "init/brig-init.c"
#undef main

#define WORDS_MAX 80

static void
records(const char *data, size_t len)
{
	for (size_t i = 0; i <= len / INIT_RECORD && i < INIT_MAX_SERVICES; i++) {
		struct service_status s = {0};

		service_parse(data, len, i, &s);
		must(s.state && s.pid >= 0 && s.restarts >= 0 && s.last >= -1 && s.since >= 0, "a record");
		service_free(&s);
		if (service_followed(data, len, i, i / 2, &s)) {
			must(strlen(s.command) > 0 && strlen(s.command) < INIT_RECORD, "a name");
			service_free(&s);
		}
	}
}

/* What record() writes is what service_parse() reads. */
static void
one_record(int file, struct service *sv, size_t i, unsigned n)
{
	char text[INIT_RECORD * INIT_MAX_SERVICES];
	struct service_status s = {0};
	ssize_t len;

	sv->state = (unsigned char)(n % ARRAY_LEN(state_names));
	sv->pid = (pid_t)(n & INT32_MAX);
	sv->restarts = n & INT32_MAX;
	sv->last = (unsigned short)n;
	record(sv);
	len = pread(file, text, sizeof(text), 0);
	must(len >= (ssize_t)((i + 1) * INIT_RECORD) && text[(i + 1) * INIT_RECORD - 1] == '\n', "a line");
	service_parse(text, (size_t)len, i, &s);
	must(streq(s.state, state_names[sv->state]) && s.pid == sv->pid && s.restarts == (int)sv->restarts &&
		 s.last == sv->last && s.since > 0,
	     "a record there and back");
	service_free(&s);
}

static void
command(struct service *sv)
{
	char *argv[ARGS_MAX + 1];
	struct text t = {.n = 0};
	size_t n = 0;

	add_head(&t, sv);
	must(t.n < sizeof(t.s), "a name fits");
	for (unsigned i = 0; i < t.n; i++)
		must(t.s[i] >= ' ' && t.s[i] <= '~', "visible");
	split(sv->command, argv);
	while (argv[n])
		must(++n <= ARGS_MAX, "no more words than there is room");
}

static int
status_file(void)
{
	static int fd = -EBADF;

	if (fd >= 0)
		return fd;
	fuzz_file(fuzz_dir(), "services", "", 0);
	fd = openat(fuzz_dir(), "services", O_RDWR | O_CLOEXEC);
	/* the number may be in use: libFuzzer and cmocka open nothing that early, ours can be anywhere */
	if (fd != INIT_FD_STATUS)
		must(dup2(fd, INIT_FD_STATUS) == INIT_FD_STATUS, "the file of records");
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_auto_free char *text = fuzz_text(data, size);
	char *argv[WORDS_MAX + 1], *save = NULL;
	static char name[] = "brig-init";
	int argc = 0, file = status_file();

	records((const char *)data, size);
	argv[argc++] = name;
	for (char *p = strtok_r(text, "\n", &save); p && argc < WORDS_MAX; p = strtok_r(NULL, "\n", &save))
		argv[argc++] = p;
	argv[argc] = NULL;
	memset(services, 0, sizeof(services));
	n_services = n_config = 0;
	stop_seconds = 10;
	persist = 0;
	log_max = 0;
	if (arguments(argc, argv) < 0)
		return 0;
	must(n_services <= INIT_MAX_SERVICES && stop_seconds >= 0, "arguments");
	for (unsigned i = 0; i < n_services; i++) {
		one_record(file, &services[i], i, (unsigned)size * 2654435761u + i);
		command(&services[i]);
	}
	return 0;
}
