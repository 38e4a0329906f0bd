/* SPDX-License-Identifier: BSD-2-Clause */
/* base/: names, numbers, paths, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fsx.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/num.h"
#include "base/path.h"

static void
names(void **state)
{
	struct err e = ERR_INIT;
	char longname[65];

	(void)state;
	memset(longname, 'a', sizeof(longname));
	longname[64] = '\0';
	assert_true(name_ok("www"));
	assert_true(name_ok("a.b_c-9"));
	assert_false(name_ok(""));
	assert_false(name_ok("../x"));
	assert_false(name_ok("-a"));
	assert_false(name_ok("a b"));
	assert_false(name_ok("a\n"));
	assert_false(name_ok("a..b"));
	assert_false(name_ok("a."));
	assert_false(name_ok(".brig"));
	assert_false(name_ok(longname));
	longname[63] = '\0';
	assert_true(name_ok(longname));
	assert_int_equal(name_check("jail", "a\033b", &e), -EINVAL);
	assert_string_equal(e.msg,
			    "jail 'a\\x1bb': the name has a character other than letters, digits, '.', "
			    "'_' and '-'");
}

static void
numbers(void **state)
{
	uint64_t u;
	int i;

	(void)state;
	assert_int_equal(num_u64("18446744073709551615", UINT64_MAX, &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(num_u64("18446744073709551616", UINT64_MAX, &u), -ERANGE);
	assert_int_equal(num_u64("", 10, &u), -EINVAL);
	assert_int_equal(num_u64(" 1", 10, &u), -EINVAL);
	assert_int_equal(num_u64("+1", 10, &u), -EINVAL);
	assert_int_equal(num_int("-1", -1, 3, &i), 0);
	assert_int_equal(i, -1);
	assert_int_equal(num_int("-1", 0, 3, &i), -ERANGE);
	assert_int_equal(num_int("-0", 0, 3, &i), -ERANGE);
	assert_int_equal(num_int("-", 0, 3, &i), -EINVAL);
	assert_int_equal(num_size("64m", &u), 0);
	assert_true(u == 64u << 20);
	assert_int_equal(num_size("1T", &u), 0);
	assert_true(u == 1ull << 40);
	assert_int_equal(num_size("m", &u), -EINVAL);
	assert_int_equal(num_size("99999999999p", &u), -ERANGE);
}

/* The lock "l" of jail x. */
static int
take(int dir, int wait_ms, const struct interrupt *in, int *ret_fd, struct err *e)
{
	struct lock_want want = {.name = "l", .what = "jail x", .wait_ms = wait_ms, .in = in};

	return lock_take(dir, &want, ret_fd, e);
}

/* Another process has the lock for as long as the pipe is open. */
static pid_t
hold(int dir, int *ret_end)
{
	struct err e = ERR_INIT;
	int p[2], q[2], lock;
	pid_t pid;
	char c;

	assert_int_equal(pipe(p), 0);
	assert_int_equal(pipe(q), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(p[1]);
		if (take(dir, 0, NULL, &lock, &e) < 0 || write(q[1], "x", 1) != 1)
			_exit(1);
		_exit(read(p[0], &c, 1) == 0 ? 0 : 1);
	}
	(void)close(p[0]);
	(void)close(q[1]);
	assert_int_equal(read(q[0], &c, 1), 1);
	(void)close(q[0]);
	*ret_end = p[1];
	return pid;
}

static void
locks(void **state)
{
	char dir[] = "/tmp/t_base.XXXXXX";
	const struct interrupt *in = interrupt_catch();
	struct err e = ERR_INIT;
	int fd, lock = -EBADF, end, tmp, status;
	long began;
	char want[128];
	pid_t pid, killer;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(take(fd, 0, in, &lock, &e), 0);
	fd_close(lock);
	pid = hold(fd, &end);
	(void)snprintf(want, sizeof(want), "jail x is busy: another brig (pid %d) works on it", pid);
	began = clock_ms();
	assert_int_equal(take(fd, 200, in, &lock, &e), -EBUSY);
	assert_string_equal(e.msg, want);
	assert_true(clock_ms() - began >= 200);
	/* a signal ends the wait at once, and nothing else */
	(void)snprintf(want, sizeof(want), "interrupted while another brig (pid %d) works on jail x", pid);
	killer = fork();
	if (killer == 0) {
		(void)nanosleep(&(struct timespec){0, 300000000}, NULL);
		_exit(kill(getppid(), SIGINT) < 0);
	}
	began = clock_ms();
	assert_int_equal(take(fd, -1, in, &lock, &e), -EINTR);
	assert_string_equal(e.msg, want);
	assert_true(clock_ms() - began < 5000);
	assert_int_equal(waitpid(killer, &status, 0), killer);
	assert_int_equal(take(fd, 50, NULL, &lock, &e), -EBUSY);
	(void)close(end);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(take(fd, 0, in, &lock, &e), 0);
	fd_close(lock);
	fd_close(fd);
	tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fsx_rm_rf_at(tmp, dir + 5, &e), 0);
	fd_close(tmp);
	interrupt_release();
}

/* Who took it has died, and a child of it that is ending still has it. */
static void
orphaned_locks(void **state)
{
	char dir[] = "/tmp/t_base.XXXXXX";
	struct err e = ERR_INIT;
	int fd, lock = -EBADF, tmp, status;
	long began;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int leaves = 0; leaves < 2; leaves++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			if (take(fd, 0, NULL, &lock, &e) < 0)
				_exit(1);
			if (fork() == 0) {
				if (leaves)
					lock_leave();
				(void)nanosleep(&(struct timespec){0, 400000000}, NULL);
			}
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		began = clock_ms();
		assert_int_equal(take(fd, 0, NULL, &lock, &e), 0);
		assert_true(leaves || clock_ms() - began >= 200);
		fd_close(TAKE_FD(lock));
	}
	/* what is a lock no more is not closed */
	assert_int_equal(take(fd, 0, NULL, &lock, &e), 0);
	fd_close(lock);
	assert_int_equal(dup2(fd, lock), lock);
	lock_leave();
	assert_true(fcntl(lock, F_GETFD) >= 0);
	fd_close(lock);
	fd_close(fd);
	tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fsx_rm_rf_at(tmp, dir + 5, &e), 0);
	fd_close(tmp);
}

static void
paths(void **state)
{
	char dir[] = "/tmp/t_base.XXXXXX";
	struct err e = ERR_INIT;
	char *s;
	int fd, x;

	(void)state;
	s = path_normal("//a/./b//c/");
	assert_string_equal(s, "/a/b/c");
	free(s);
	assert_null(path_normal("/a/../b"));
	s = path_join("/a/", "/b");
	assert_string_equal(s, "/a/b");
	free(s);
	assert_true(path_below("/a/b", "/a"));
	assert_false(path_below("/ab", "/a"));
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_PATH | O_DIRECTORY);
	assert_int_equal(mkdirat(fd, "d", 0755), 0);
	assert_int_equal(symlinkat("/etc", fd, "link"), 0);
	assert_int_equal(symlinkat("d", fd, "inside"), 0);
	assert_int_equal(path_open(fd, "link/passwd", O_RDONLY, 0, PATH_BENEATH), -ELOOP);
	assert_int_equal(path_open(fd, "../x", O_RDONLY, 0, PATH_BENEATH), -EXDEV);
	x = path_open(fd, "d/new", O_WRONLY | O_CREAT | O_EXCL, 0600, PATH_BENEATH);
	assert_true(x >= 0);
	fd_close(x);
	x = path_open(fd, "inside/new", O_RDONLY, 0, PATH_IN_ROOT);
	assert_true(x >= 0);
	fd_close(x);
	assert_int_equal(path_open(fd, "link/passwd", O_RDONLY, 0, PATH_IN_ROOT), -ENOENT);
	/* removal never follows the link */
	x = open("/tmp", O_RDONLY | O_DIRECTORY);
	assert_int_equal(fsx_rm_rf_at(x, dir + 5, &e), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	assert_int_equal(access(dir, F_OK), -1);
	fd_close(x);
	fd_close(fd);
}

static void
deep_removal(void **state)
{
	char dir[] = "/tmp/t_base.XXXXXX";
	struct err e = ERR_INIT;
	int fd, top;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 3000; i++) {
		int sub;

		assert_int_equal(mkdirat(fd, "deep", 0755), 0);
		sub = openat(fd, "deep", O_RDONLY | O_DIRECTORY);
		assert_true(sub >= 0);
		fd_close(fd);
		fd = sub;
	}
	fd_close(fd);
	top = open("/tmp", O_RDONLY | O_DIRECTORY);
	assert_int_equal(fsx_rm_rf_at(top, dir + 5, &e), 0);
	assert_int_equal(access(dir, F_OK), -1);
	fd_close(top);
}

static void
files(void **state)
{
	char dir[] = "/tmp/t_base.XXXXXX";
	struct err e = ERR_INIT;
	char *text;
	size_t len;
	int fd, top;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(fsx_write_text(fd, "f", "abc", 0640, FSX_SYNC, &e), 0);
	assert_int_equal(fsx_read_at(fd, "f", 10, &text, &len, &e), 0);
	assert_string_equal(text, "abc");
	free(text);
	assert_int_equal(fsx_read_at(fd, "f", 2, &text, &len, &e), -EFBIG);
	assert_int_equal(symlinkat("f", fd, "l"), 0);
	assert_int_equal(fsx_read_at(fd, "l", 10, &text, &len, &e), -ELOOP);
	assert_int_equal(mkfifoat(fd, "p", 0600), 0);
	assert_int_equal(fsx_read_at(fd, "p", 10, &text, &len, &e), -EINVAL);
	assert_int_equal(fsx_symlink_swap(fd, "x", "l", 0, &e), 0);
	assert_int_equal(fsx_read_at(fd, "l", 10, &text, &len, &e), -ELOOP);
	top = open("/tmp", O_RDONLY | O_DIRECTORY);
	assert_int_equal(fsx_rm_rf_at(top, dir + 5, &e), 0);
	fd_close(top);
	fd_close(fd);
}

static void
children(void **state)
{
	char *const cat[] = {(char *)(uintptr_t) "cat", NULL};
	char *const slow[] = {(char *)(uintptr_t) "sleep", (char *)(uintptr_t) "30", NULL};
	char *const none[] = {(char *)(uintptr_t) "/no/such", NULL};
	struct buf out = BUF_INIT;
	struct child c = CHILD_INIT;
	struct strv argv = STRV_INIT;
	struct err e = ERR_INIT;
	bool bg;
	int status;

	(void)state;
	c.argv = cat;
	c.input = "hello";
	c.capture = &out;
	assert_int_equal(child_run(&c, &status, &e), 0);
	assert_int_equal(status, 0);
	assert_string_equal(out.s, "hello");
	buf_free(&out);
	c = (struct child)CHILD_INIT;
	c.argv = slow;
	c.timeout_s = 1;
	assert_int_equal(child_run(&c, &status, &e), -ETIMEDOUT);
	c.argv = none;
	assert_int_equal(child_run(&c, &status, &e), -ENOENT);
	child_command_argv("VAR=x  cmd %1", &argv, &bg);
	assert_int_equal(argv.n, 3);
	assert_false(bg);
	strv_free(&argv);
	child_command_argv("a; b", &argv, &bg);
	assert_string_equal(argv.v[0], "/bin/sh");
	strv_free(&argv);
	child_command_argv("sleep 5 &", &argv, &bg);
	assert_true(bg);
	assert_int_equal(argv.n, 2);
	strv_free(&argv);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names), cmocka_unit_test(numbers),        cmocka_unit_test(paths),
	    cmocka_unit_test(locks), cmocka_unit_test(orphaned_locks), cmocka_unit_test(deep_removal),
	    cmocka_unit_test(files), cmocka_unit_test(children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
