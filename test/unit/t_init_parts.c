/* SPDX-License-Identifier: BSD-2-Clause */
/* init/brig-init.c, function by function: what would take minutes as a process, and bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#define main init_main
int init_main(int argc, char **argv);
#include "init/brig-init.c"
#undef main

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void
back_off(void **state)
{
	static const int delays[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
	struct service sv = {.delay_ms = DELAY_FIRST_MS};

	(void)state;
	for (size_t i = 0; i < N(delays); i++) {
		struct text t = {.n = 0};
		int64_t now = now_ms();

		sv.failures = (unsigned char)(i + 1);
		schedule(&sv, &t);
		assert_int_equal(sv.state, STATE_WAIT);
		assert_in_range(sv.due - now, delays[i], delays[i] + 1000);
	}
	for (int failures = 18; failures < 23; failures++) {
		struct text t = {.n = 0};

		sv.failures = (unsigned char)failures;
		schedule(&sv, &t);
		assert_int_equal(sv.state, failures >= 20 ? STATE_FAILED : STATE_WAIT);
	}
}

/* A run of ten seconds makes the next delay short again, one that was shorter does not. */
static void
good_run(void **state)
{
	struct service *sv = &services[0];

	(void)state;
	n_services = 1;
	*sv =
	    (struct service){.command = (char[]){"x"}, .in = -1, .out = -1, .failures = 7, .delay_ms = 6400};
	sv->started = now_ms() - 9000;
	ended(sv, 1 << 8);
	assert_int_equal(sv->failures, 8);
	assert_int_equal(sv->delay_ms, 12800);
	assert_int_equal(sv->last, 1);
	sv->started = now_ms() - 10001;
	ended(sv, SIGTERM);
	assert_int_equal(sv->failures, 0);
	assert_int_equal(sv->delay_ms, 200); /* after this one's 0.1 s */
	assert_int_equal(sv->last, 128 + SIGTERM);
	n_services = 0;
}

static void
numbers(void **state)
{
	static const struct {
		const char *s;
		int r;
		uint64_t v;
	} rows[] = {{"0", 0, 0},
		    {"10", 0, 10},
		    {"18446744073709551600", 0, UINT64_C(18446744073709551600)},
		    {"18446744073709551616", -1, 0},
		    {"18446744073709551620", -1, 0},
		    {"184467440737095516150", -1, 0},
		    {"99999999999999999999", -1, 0},
		    {"", -1, 0},
		    {"-1", -1, 0},
		    {"1x", -1, 0},
		    {" 1", -1, 0}};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		uint64_t v = 0;

		assert_int_equal(number(rows[i].s, &v), rows[i].r);
		if (rows[i].r == 0)
			assert_true(v == rows[i].v);
	}
	assert_int_equal(number(NULL, &(uint64_t){0}), -1);
}

static int
parse(char *first, char *second, unsigned n)
{
	char *argv[INIT_MAX_SERVICES + 10] = {(char[]){"brig-init"}, first, second, (char[]){"--"}};
	int argc = 4;

	for (unsigned i = 0; i < n; i++)
		argv[argc++] = (char[]){"x"};
	n_services = 0;
	persist = 0;
	return arguments(argc, argv);
}

static void
argument_bounds(void **state)
{
	(void)state;
	assert_int_equal(parse((char[]){"-t"}, (char[]){"999999"}, INIT_MAX_SERVICES), 0);
	assert_int_equal(n_services, INIT_MAX_SERVICES);
	assert_int_equal(stop_seconds, 999999);
	assert_int_equal(parse((char[]){"-t"}, (char[]){"999999"}, INIT_MAX_SERVICES + 1), -1);
	assert_int_equal(parse((char[]){"-t"}, (char[]){"1000000"}, 0), -1);
	assert_int_equal(parse((char[]){"-t"}, (char[]){"4294967296"}, 0), -1);
	assert_int_equal(parse((char[]){"-m"}, (char[]){"1099511627776"}, 0), 0);
	assert_true(log_max == UINT64_C(1) << 40);
	assert_int_equal(parse((char[]){"-p"}, (char[]){"-p"}, 0), 0);
	assert_int_equal(persist, 1);
	log_max = 0;
	n_services = 0;
}

/* What a terminal would obey is not in a name, and a name has an end. */
static void
names(void **state)
{
	char every[260] = "/bin/", many[400];
	const struct {
		char *command;
		const char *want;
	} rows[] = {{(char[]){"/usr/sbin/sshd -D"}, "brig-init: sshd: "},
		    {(char[]){" ({ a/b;c"}, "brig-init: b: "},
		    {(char[]){"x\033[2Jy"}, "brig-init: x?[2Jy: "},
		    {(char[]){"x\177\200\xffy"}, "brig-init: x???y: "},
		    {(char[]){""}, "brig-init: : "}};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct service sv = {.command = rows[i].command};
		struct text t = {.n = 0};

		add_head(&t, &sv);
		t.s[t.n] = '\0';
		assert_string_equal(t.s, rows[i].want);
	}
	(void)every;
	memset(many, 'a', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	{
		struct service sv = {.command = many};
		struct text t = {.n = 0};

		add_head(&t, &sv);
		assert_int_equal(t.n, 66);
	}
}

/* In a child: fn may end the process, and uses fixed descriptors. */
static int
in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static char path_of_status[64];

static void
finish_body(void)
{
	int fd = open(path_of_status, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (dup2(fd, INIT_FD_STATUS) != INIT_FD_STATUS)
		_exit(1);
	n_services = 3;
	for (unsigned i = 0; i < n_services; i++)
		services[i] = (struct service){.command = (char[]){"x"}, .in = -1, .out = -1, .pid = 77};
	services[0].state = STATE_FAILED;
	services[1].state = STATE_UP;
	services[2].state = STATE_WAIT;
	finish();
}

static void
last_records(void **state)
{
	static const char *const want[] = {"failed 0 ", "done 0 ", "done 0 "};
	char text[3 * INIT_RECORD + 1] = "";
	int fd;

	(void)state;
	(void)snprintf(path_of_status, sizeof(path_of_status), "/tmp/t_init_parts.%d", getpid());
	assert_int_equal(in_child(finish_body), 0);
	fd = open(path_of_status, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 3 * INIT_RECORD);
	(void)close(fd);
	(void)unlink(path_of_status);
	for (size_t i = 0; i < N(want); i++)
		assert_memory_equal(text + i * INIT_RECORD, want[i], strlen(want[i]));
}

static void
endless_body(void)
{
	int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);

	if (dup2(null, INIT_FD_LOG) != INIT_FD_LOG)
		_exit(1);
	(void)alarm(10);
	copy_pipe(zero, 1, PIPE_CHUNKS);
	_exit(lseek(zero, 0, SEEK_CUR) < 0);
}

/* What has always something to say is not listened to for ever. */
static void
endless_output(void **state)
{
	(void)state;
	assert_int_equal(in_child(endless_body), 0);
}

/* Directories of PATH that just fit and that just do not (_FORTIFY_SOURCE is what looks). */
static void
search_body(void)
{
	for (size_t len = PATH_MAX - 8; len < PATH_MAX + 4; len++) {
		char *dir = calloc(1, len + 1),
		     *words[] = {(char[]){"-x"}, (char[]){"f"}, (char[]){"f"}, NULL};

		memset(dir, 'd', len);
		dir[0] = '/';
		if (setenv("PATH", dir, 1) < 0 || search((char[]){"prog"}, words + 2) != ENOENT)
			_exit(1);
		free(dir);
	}
}

static void
search_bounds(void **state)
{
	(void)state;
	assert_int_equal(in_child(search_body), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(back_off),        cmocka_unit_test(good_run), cmocka_unit_test(numbers),
	    cmocka_unit_test(argument_bounds), cmocka_unit_test(names),    cmocka_unit_test(last_records),
	    cmocka_unit_test(search_bounds), cmocka_unit_test(endless_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
