/* SPDX-License-Identifier: BSD-2-Clause */
/* os/linux/instance/alive.c: which process a reference is of.  Any process will do for a jail's first one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "init/proto.h"
#include "os/linux/instance/ref.h"

static pid_t child;
static struct os_ref ref;

static void
begin(void (*body)(void))
{
	struct err e = ERR_INIT;
	int p[2];
	char c;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		body();
		(void)!write(p[1], "x", 1);
		for (;;)
			(void)pause();
	}
	(void)close(p[1]);
	(void)!read(p[0], &c, 1); /* the end of file is as good */
	(void)close(p[0]);
	assert_int_equal(ref_make(child, &ref, &e), 0);
}

static void
end(void)
{
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

static void
nothing(void)
{
}

static bool
found(const struct os_ref *r)
{
	int procfd = -EBADF, pidfd = -EBADF, alive = os_jail_alive(r);
	bool open = ref_open(r, &procfd) == 0, pid = ref_pidfd(r, &pidfd) == 0;

	fd_close(procfd);
	fd_close(pidfd);
	/* all three say the same */
	if (open != (alive == 1) || pid != (alive == 1))
		fail_msg("alive %d, open %d, pidfd %d", alive, open, pid);
	return alive;
}

static void
same_process(void **state)
{
	static const int64_t pids[] = {0, -1, INT_MIN, (int64_t)INT_MAX + 1, INT64_MAX, INT64_MIN};
	struct os_ref other;

	(void)state;
	begin(nothing);
	assert_true(found(&ref));
	other = ref;
	other.start++;
	assert_false(found(&other));
	other.start -= 2;
	assert_false(found(&other));
	other = ref;
	other.boot[0] = other.boot[0] == 'a' ? 'b' : 'a';
	assert_false(found(&other));
	other.boot[0] = '\0';
	assert_false(found(&other));
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		other = ref;
		other.pid = pids[i];
		assert_false(found(&other));
	}
	/* what is a multiple of 2^32 away is another one */
	other = ref;
	other.pid += (int64_t)1 << 32;
	assert_false(found(&other));
	end();
	assert_false(found(&ref));
}

/* A zombie has ended: its namespaces have, too. */
static void
zombie(void **state)
{
	siginfo_t si;

	(void)state;
	begin(nothing);
	(void)kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &si, WEXITED | WNOWAIT), 0);
	assert_false(found(&ref));
	end();
}

static void
odd_name(void)
{
	(void)prctl(PR_SET_NAME, "a) Z 1 (b) X");
}

static void
name_of_a_process(void **state)
{
	(void)state;
	begin(odd_name);
	assert_true(found(&ref));
	assert_int_not_equal(ref.start, 0);
	end();
}

static void
pipe_at_output(void)
{
	int p[2];

	if (pipe(p) < 0 || dup2(p[1], INIT_FD_COMMANDS) < 0)
		_exit(1);
}

static void
file_at_output(void)
{
	int fd = open("/dev/null", O_RDWR);

	if (fd < 0 || dup2(fd, INIT_FD_COMMANDS) < 0)
		_exit(1);
}

static void
output(void **state)
{
	struct err e = ERR_INIT;
	int fd = -EBADF;

	(void)state;
	begin(pipe_at_output);
	assert_int_equal(os_jail_output(&ref, &fd, &e), 0);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	fd_close(fd);
	end();
	assert_int_equal(os_jail_output(&ref, &fd, &e), -ESRCH);
	begin(file_at_output);
	assert_int_equal(os_jail_output(&ref, &fd, &e), -ENOENT);
	end();
	begin(nothing);
	assert_true(os_jail_output(&ref, &fd, &e) < 0);
	end();
}

static void
ignore_term(void)
{
	(void)signal(SIGTERM, SIG_IGN);
}

static long
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000L;
}

static void
asked_to_end(void **state)
{
	struct err e = ERR_INIT;
	long t;

	(void)state;
	begin(nothing);
	assert_int_equal(os_jail_term(&ref, 20, &e), 1);
	assert_int_equal(os_jail_term(&ref, 20, &e), 1); /* it has gone */
	begin(ignore_term);
	(void)alarm(60);
	t = now_ms();
	assert_int_equal(os_jail_term(&ref, 1, &e), 0);
	assert_in_range(now_ms() - t, 900, 20000);
	assert_int_equal(os_jail_kill(&ref, &e), 0);
	assert_false(found(&ref));
	assert_int_equal(os_jail_kill(&ref, &e), 0);
	(void)alarm(0);
}

static void
titles(void **state)
{
	struct strv lines = STRV_INIT;
	struct err e = ERR_INIT;
	size_t n = 0;
	bool seen = false;

	(void)state;
	begin(nothing);
	child = fork();
	if (child == 0) {
		(void)execl("/bin/sleep", "t_alive\033[2J\a\200title", "60", (char *)NULL);
		_exit(1);
	}
	(void)nanosleep(&(struct timespec){0, 300000000}, NULL);
	assert_int_equal(os_jail_pids(&ref, &lines, &n, &e), 0);
	assert_int_equal(lines.n, n);
	for (size_t i = 0; i < lines.n; i++) {
		seen |= strstr(lines.v[i], "title 60") != NULL;
		for (const char *p = lines.v[i]; *p; p++)
			if (*p < 0x20 || *p > 0x7e)
				fail_msg("0x%x in a title", (unsigned char)*p);
	}
	assert_true(seen);
	strv_free(&lines);
	end();
	/* of other namespaces nothing */
	ref.ns++;
	assert_int_equal(os_jail_pids(&ref, &lines, &n, &e), 0);
	assert_int_equal(n, 0);
	(void)kill((pid_t)ref.pid, SIGKILL);
	(void)waitpid((pid_t)ref.pid, NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(same_process),      cmocka_unit_test(zombie),
	    cmocka_unit_test(name_of_a_process), cmocka_unit_test(output),
	    cmocka_unit_test(asked_to_end),      cmocka_unit_test(titles),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_alive: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
