/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tool that spoils system calls (test/tools/faultat.c), on a workload whose calls are known one by one:
 * this program itself, called as "t_faultat --work DIR".
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/num.h"

#define STEPS 8
#define FSYNC 4  /* leaves nothing to see */
#define RENAME 5 /* made by a child */

static char *tool, *self;

/* ---- the workload ---- */

/* A process that is traced cannot look for leaks: LeakSanitizer would trace it, too. */
static bool traced;
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return traced;
}

/* Step by step; what is no disk (a pipe, standard output, /proc) is touched in between. */
static int
work(const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, sub, proc, p[2], bad = 0;
	pid_t pid;

	if (dir < 0 || pipe2(p, O_CLOEXEC) < 0)
		return 99;
	bad += mkdirat(dir, "a", 0755) < 0;
	bad += write(p[1], "x", 1) != 1 ? 20 : 0;
	fd = openat(dir, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	bad += fd < 0;
	bad += write(1, "a line\n", 7) != 7 ? 20 : 0;
	bad += write(fd, "text", 4) != 4;
	proc = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	bad += proc < 0 || write(proc, "0", 1) != 1 ? 20 : 0;
	bad += fsync(fd) < 0;
	pid = fork();
	if (pid == 0)
		_exit(renameat(dir, "f", dir, "g") < 0);
	if (pid < 0 || waitpid(pid, &sub, 0) != pid)
		return 98;
	bad += !WIFEXITED(sub) || WEXITSTATUS(sub) != 0;
	bad += symlinkat("g", dir, "l") < 0;
	bad += fchmodat(dir, "a", 0700, 0) < 0;
	bad += unlinkat(dir, "a", AT_REMOVEDIR) < 0;
	return bad;
}

/* How many of the steps have happened, from what they left; -1: in another order. */
static int
done(const char *dir)
{
	static const char *const names[] = {"a", "f", "g", "l"};
	struct stat st[4];
	bool is[4];
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t i = 0; i < 4; i++)
		is[i] = fstatat(fd, names[i], &st[i], AT_SYMLINK_NOFOLLOW) == 0;
	fd_close(fd);
	if (is[3])
		return !is[2] || is[1] ? -1 : !is[0] ? 8 : (st[0].st_mode & 07777) == 0700 ? 7 : 6;
	if (is[2])
		return is[1] || !is[0] ? -1 : 5;
	if (is[1])
		return !is[0] ? -1 : st[1].st_size == 4 ? 3 : 2; /* fsync leaves nothing to see: 3 or 4 */
	return is[0] ? 1 : 0;
}

/* ---- running it ---- */

struct run {
	char dir[32];
	int tool, command; /* exit statuses */
	char *said;
};

static void
run_free(struct run *r)
{
	_auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e;

	(void)fsx_rm_rf_at(tmp, r->dir + strlen("/tmp/"), &e);
	free(r->said);
}

static void
read_status(struct run *r, const char *file)
{
	_auto_free char *text = NULL;
	struct err e;

	assert_int_equal(fsx_read_at(AT_FDCWD, file, 100, &text, NULL, &e), 0);
	text[strcspn(text, "\n")] = '\0';
	assert_int_equal(num_int(text, 0, 255, &r->command), 0);
}

/* faultat OPTIONS -x FILE N t_faultat --work DIR */
static struct run
spoil(const char *options, int n)
{
	_auto_strv struct strv words = STRV_INIT;
	_auto_buf struct buf out = BUF_INIT;
	_auto_free char *file = NULL;
	struct run r = {.dir = "/tmp/brig-test.XXXXXX", .command = -1};
	struct child c = CHILD_INIT;
	struct err e;
	int status = 0;

	assert_non_null(mkdtemp(r.dir));
	file = xasprintf("%s/status", r.dir);
	strv_add(&words, tool);
	child_command_argv(options, &words, NULL);
	strv_add(&words, "-x");
	strv_add(&words, file);
	strv_addf(&words, "%d", n);
	strv_add(&words, self);
	strv_add(&words, "--work");
	strv_add(&words, r.dir);
	c.argv = words.v;
	c.capture = &out;
	c.timeout_s = 20;
	assert_int_equal(child_run(&c, &status, &e), 0);
	r.tool = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	r.said = out.s ? buf_take(&out) : xstrdup("");
	if (r.tool != 2)
		read_status(&r, file);
	return r;
}

#define spoilt(name, options, n) _auto_(run_free) struct run name = spoil(options, n)

/* ---- what it does ---- */

static bool
has(const struct run *r, const char *name)
{
	_auto_free char *path = xasprintf("%s/%s", r->dir, name);
	struct stat st;

	return lstat(path, &st) == 0;
}

static void
every_step_is_killed(void **state)
{
	(void)state;
	for (int n = 1; n <= STEPS; n++) {
		spoilt(before, "-o", n);
		spoilt(after, "-o -a", n);

		assert_int_equal(before.tool, 0);
		assert_int_equal(after.tool, 0);
		if (n == RENAME) { /* made by a child: the first process goes on */
			assert_int_equal(before.command, 1);
			assert_int_equal(after.command, 1);
			assert_true(has(&before, "f") && !has(&before, "g") && has(&before, "l"));
			assert_int_equal(done(after.dir), STEPS);
			continue;
		}
		assert_int_equal(before.command, 128 + SIGKILL);
		assert_int_equal(after.command, 128 + SIGKILL);
		assert_int_equal(done(before.dir), n - 1 == FSYNC ? FSYNC - 1 : n - 1);
		assert_int_equal(done(after.dir), n == FSYNC ? FSYNC - 1 : n);
	}
}

static void
it_counts_through(void **state)
{
	static const char *const options[] = {"-o", "-o -a", "-e EIO", "-e EIO -s"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		spoilt(r, options[i], STEPS + 1);

		assert_int_equal(r.tool, 1);
		assert_int_equal(r.command, 0);
		assert_int_equal(done(r.dir), STEPS);
	}
	{
		spoilt(removing, "-e ENOSPC", STEPS); /* a full disk does not hinder it */

		assert_int_equal(removing.tool, 1);
		assert_int_equal(removing.command, 0);
	}
	{
		spoilt(more, "", STEPS + 1); /* other calls count, too */

		assert_int_equal(more.tool, 0);
	}
}

static void
one_call_fails(void **state)
{
	/* how many steps fail, for those that later ones need */
	static const int bad[STEPS + 1] = {0, 3, 4, 1, 1, 1, 1, 1, 1};

	(void)state;
	for (int n = 1; n <= STEPS; n++) {
		spoilt(r, "-v -e EIO", n);

		assert_int_equal(r.tool, 0);
		assert_int_equal(r.command, bad[n]);
		assert_non_null(strstr(r.said, "EIO: "));
	}
	{
		spoilt(r, "-v -e EIO", RENAME);

		assert_true(has(&r, "f") && !has(&r, "g") && has(&r, "l"));
		assert_non_null(strstr(r.said, "renameat"));
		assert_non_null(strstr(r.said, "/f) of process"));
	}
}

static void
disk_stays_full(void **state)
{
	spoilt(all, "-e ENOSPC -s", 1);
	spoilt(late, "-e ENOSPC -s", STEPS - 1);
	spoilt(broken, "-e EIO -s", STEPS - 1);

	(void)state;
	assert_int_equal(all.tool, 0);
	assert_int_equal(all.command, STEPS);
	assert_int_equal(done(all.dir), 0);
	assert_int_equal(late.command, 1); /* the mode; what is removed is removed */
	assert_int_equal(done(late.dir), STEPS);
	assert_int_equal(broken.command, 2);
}

static void
wrong_use(void **state)
{
	static const char *const options[] = {"-e EPERM", "-s", "-a -e EIO", "-z"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		spoilt(r, options[i], 1);

		assert_int_equal(r.tool, 2);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_step_is_killed),
	    cmocka_unit_test(it_counts_through),
	    cmocka_unit_test(one_call_fails),
	    cmocka_unit_test(disk_stays_full),
	    cmocka_unit_test(wrong_use),
	};

	if (argc == 3 && streq(argv[1], "--work")) {
		traced = true;
		return work(argv[2]);
	}
	if (argc != 2)
		return 2;
	self = argv[0];
	tool = argv[1];
	/* log_path makes directories: calls that the workload does not have */
	(void)unsetenv("ASAN_OPTIONS");
	(void)unsetenv("UBSAN_OPTIONS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
