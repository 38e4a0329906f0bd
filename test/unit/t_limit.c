/* SPDX-License-Identifier: BSD-2-Clause */
/* os/linux/limits/limit.c on this host's control groups: a limit is in force, and nothing stays behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/child.h"
#include "os/linux/limits/limit.h"

static char tag[16];
static struct os_id id;

static struct jailspec
spec_of(uint64_t memory, uint64_t pids, uint64_t cpu)
{
	struct jailspec s = {.path = (char[]){"/var"}};

	s.limit.memory = memory;
	s.limit.pids = pids;
	s.limit.cpu = cpu;
	return s;
}

/* Our directories in any hierarchy. */
static size_t
left_over(void)
{
	static const char *const places[] = {"", "/*"};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		_auto_free char *pattern = xasprintf("/sys/fs/cgroup%s/brig.%s", places[i], tag);
		glob_t g;

		if (glob(pattern, 0, NULL, &g) == 0)
			n += g.gl_pathc;
		globfree(&g);
	}
	return n;
}

static void
up(const struct jailspec *s)
{
	struct err e = ERR_INIT;

	if (os_limit_check(s, &e) == -EOPNOTSUPP) {
		print_message("%s\n", e.msg);
		skip();
	}
	if (os_limit_up(&id, s, &e) < 0)
		fail_msg("%s", e.msg);
}

static void
down(void)
{
	struct err e = ERR_INIT;

	if (os_limit_down(&id, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(left_over(), 0);
}

/* In a process of the group; NULL: without joining it, as a control. */
static int
in_group(const struct jailspec *s, void (*body)(void))
{
	struct err e = ERR_INIT;
	pid_t pid = s ? limit_fork(&id, s, NULL, &e) : fork();
	int status;

	if (pid == 0) {
		if (s && limit_join(&id, s, &e) < 0) {
			fprintf(stderr, "%s\n", e.msg);
			_exit(98);
		}
		body();
		_exit(0);
	}
	if (pid < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(child_wait(pid, &status), 0);
	return status;
}

static void
hog(void)
{
	size_t size = 64u << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(97);
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	_exit(0);
}

static void
memory(void **state)
{
	struct jailspec s = spec_of(16u << 20, 0, 0);
	int status;

	(void)state;
	up(&s);
	assert_int_equal(in_group(NULL, hog), 0);
	status = in_group(&s, hog);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	down();
}

/* At most 40 sleepers, all ended again; the exit status is their number. */
static void
bomb(void)
{
	pid_t pids[40];
	int n = 0, status;

	while (n < 40 && (pids[n] = fork()) >= 0) {
		if (pids[n] == 0) {
			(void)pause();
			_exit(0);
		}
		n++;
	}
	for (int i = 0; i < n; i++) {
		(void)kill(pids[i], SIGKILL);
		(void)child_wait(pids[i], &status);
	}
	_exit(n);
}

static void
processes(void **state)
{
	struct jailspec s = spec_of(0, 10, 0);
	int status;

	(void)state;
	up(&s);
	status = in_group(NULL, bomb);
	assert_int_equal(WEXITSTATUS(status), 40);
	status = in_group(&s, bomb);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 9); /* and the one that made them */
	down();
}

static void
spin(void)
{
	struct timespec start, now, cpu;

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	do
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 1000);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	_exit((int)((cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000) / 10)); /* hundredths of a CPU */
}

static void
cpu_and_usage(void **state)
{
	struct jailspec s = spec_of(64u << 20, 20, 200);
	struct os_usage u;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	up(&s);
	status = in_group(&s, spin);
	assert_true(WIFEXITED(status));
	assert_in_range(WEXITSTATUS(status), 5, 45);
	assert_int_equal(os_limit_usage(&id, &u, &e), 0);
	assert_true(u.cpu_ns > 50 * 1000000);
	assert_true(u.memory >= 0 && u.memory < 64 << 20);
	assert_int_equal(u.pids, 0);
	down();
	assert_int_equal(os_limit_usage(&id, &u, &e), 0);
	assert_true(u.cpu_ns == -1 && u.memory == -1 && u.pids == -1);
}

/* A small share needs a longer period than the usual one. */
static void
small_share(void **state)
{
	struct jailspec s = spec_of(0, 0, 5);

	(void)state;
	up(&s);
	assert_int_equal(WEXITSTATUS(in_group(&s, bomb)), 40);
	down();
}

static _Noreturn void
rest(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		(void)pause();
}

/* Without limits: a group where version 2 is mounted, and who is still in it at the end is ended. */
static void
no_limits(void **state)
{
	struct jailspec none = spec_of(0, 0, 0);
	struct err e = ERR_INIT;
	int status, n;
	pid_t pid;

	(void)state;
	assert_int_equal(os_limit_up(&id, &none, &e), 0);
	n = (int)left_over();
	assert_in_range(n, 0, 1); /* nothing in the hierarchies of version 1 */
	pid = limit_fork(&id, &none, NULL, &e);
	if (pid == 0)
		rest();
	assert_true(pid > 0);
	if (n == 0)
		(void)kill(pid, SIGKILL);
	down();
	assert_int_equal(child_wait(pid, &status), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* a jail that was made without one */
	assert_int_equal(in_group(&none, bomb) >> 8, 40);
}

static void
frozen(void **state)
{
	struct jailspec none = spec_of(0, 0, 0);
	_auto_free char *pattern = xasprintf("/sys/fs/cgroup{,/*}/brig.%s/*/cgroup.freeze", tag);
	struct err e = ERR_INIT;
	int status, fd;
	pid_t pid;
	glob_t g;

	(void)state;
	assert_int_equal(os_limit_up(&id, &none, &e), 0);
	if (glob(pattern, GLOB_BRACE, NULL, &g) != 0) {
		down();
		skip();
	}
	pid = limit_fork(&id, &none, NULL, &e);
	if (pid == 0)
		rest();
	fd = open(g.gl_pathv[0], O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "1", 1), 1);
	fd_close(fd);
	globfree(&g);
	/* who joined would wait for ever, and we for it */
	assert_int_equal(limit_fork(&id, &none, NULL, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "is frozen"));
	down();
	assert_int_equal(child_wait(pid, &status), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
group_names(void **state)
{
	struct jailspec s = spec_of(16u << 20, 5, 0);
	struct os_id other = id;
	struct err e = ERR_INIT;
	int p[2], status;
	pid_t pid;
	char c;

	(void)state;
	/* an empty one that was left behind is taken, one in use is not */
	up(&s);
	assert_int_equal(os_limit_up(&id, &s, &e), 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = limit_fork(&id, &s, NULL, &e);
	if (pid == 0) {
		(void)!write(p[1], limit_join(&id, &s, &e) == 0 ? "y" : "n", 1);
		rest();
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	assert_int_equal(os_limit_up(&id, &s, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "is in use already"));
	/* two jails: the directory above stays until both are gone */
	other.name = "b";
	assert_int_equal(os_limit_up(&other, &s, &e), 0);
	(void)kill(pid, SIGKILL);
	assert_int_equal(child_wait(pid, &status), 0);
	assert_int_equal(os_limit_down(&id, &e), 0);
	assert_int_not_equal(left_over(), 0);
	assert_int_equal(os_limit_down(&other, &e), 0);
	assert_int_equal(left_over(), 0);
	assert_int_equal(os_limit_down(&other, &e), 0); /* repeated */
	fd_close(p[0]);
	fd_close(p[1]);
}

static void
io(void **state)
{
	struct jailspec s = spec_of(0, 0, 0);
	struct err e = ERR_INIT;

	(void)state;
	s.limit.io_bps = 10 << 20;
	s.path = (char[]){"/proc"};
	if (os_limit_check(&s, &e) == 0)
		fail_msg("a disk under /proc");
	assert_int_equal(e.num, EOPNOTSUPP);
	s.path = (char[]){"/no/where"};
	assert_true(os_limit_check(&s, &e) < 0);
	s.path = (char[]){"/var"};
	if (os_limit_check(&s, &e) < 0) {
		print_message("%s\n", e.msg);
		skip();
	}
	up(&s);
	assert_int_equal(in_group(&s, bomb) >> 8, 40);
	down();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory),      cmocka_unit_test(processes), cmocka_unit_test(cpu_and_usage),
	    cmocka_unit_test(small_share), cmocka_unit_test(no_limits), cmocka_unit_test(frozen),
	    cmocka_unit_test(group_names), cmocka_unit_test(io),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_limit: needs root\n");
		return 77;
	}
	(void)snprintf(tag, sizeof(tag), "t%d", getpid());
	id = (struct os_id){tag, "a.b", 7};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
