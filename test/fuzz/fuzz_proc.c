/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of /proc/PID: a jail's processes choose their names, arguments, mounts and groups. */
#include "os/linux/instance/alive.c"
#include "os/linux/audit/look.c"

#include "fuzz.h"

static const char *const files[] = {"mountinfo", "uid_map", "gid_map", "cgroup",
				    "cmdline",   "comm",    "limits",  "cgroup.procs"};

static void
stat_file(const char *text)
{
	_auto_free char *work = xstrdup(text);
	uint64_t start = 0;
	char state = 0;

	if (parse_stat(work, &state, &start) == 0)
		must(state != 0, "a state");
}

static void
thread_files(const char *text, struct audit_facts *f)
{
	uint64_t soft, hard;

	look_thread(text, f);
	must(f->threads == 1 && f->new_privs <= 1 && f->unfiltered <= 1, "one thread");
	(void)rlimit_of(text, "Max core file size", &soft, &hard);
	(void)rlimit_of(text, "Max locked memory", &soft, &hard);
}

static void
groups(const char *text, int dir)
{
	struct look l = {.groups = xstrdup(text)};
	_auto_free char *v1 = NULL, *v2 = NULL, *value = NULL;

	must(audit_mounts_read(dir, &l.host) == 0, "mounts are read");
	for (size_t i = 0; i < l.host.n; i++)
		must(l.host.v[i].root && l.host.v[i].point && l.host.v[i].type && l.host.v[i].super,
		     "a mount is whole");
	v1 = group_dir(&l, "memory");
	v2 = group_dir(&l, "");
	must((!v1 && !v2) || l.host.n > 0, "a group is below a mount");
	value = limit_value(fuzz_path, "cgroup");
	for (const char *p = value; p && *p; p++)
		must((unsigned char)*p >= ' ' && *p != 0x7f, "printable");
	audit_mounts_free(&l.host);
	free(l.groups);
}

static void
command(int dir)
{
	_auto_strv struct strv lines = STRV_INIT;
	struct pids p = {&lines, 0};

	pid_line(&p, dir, 1);
	must(p.n == 1 && lines.n <= 1, "one line");
	for (size_t i = 0; i < lines.n; i++)
		for (const char *c = lines.v[i]; *c; c++)
			must((unsigned char)*c >= ' ' && *c != 0x7f, "printable");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_auto_free char *text = fuzz_text(data, size);
	struct audit_facts f = {.nested_max = -1};
	struct err e = ERR_INIT;
	int dir = fuzz_dir();

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		fuzz_file(dir, files[i], data, size);
	stat_file(text);
	thread_files(text, &f);
	must(look_ids(dir, &f, &e) == 0, "maps are read");
	groups(text, dir);
	command(dir);
	audit_facts_free(&f);
	return 0;
}
