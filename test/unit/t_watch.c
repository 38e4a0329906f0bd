/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os_watch_*: sockets of a network namespace that go for a known time and come back, and what somebody sees
 * of it who connects all the time.  The bounds that are asserted hold however slow the machine is, but for
 * the upper one, which is generous.  Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/child.h"
#include "lab.h"

#define AWAY_MS 100
#define SLACK_US 400000

static struct ns ns;
static const struct jailspec own = {.ip4 = SHARE_NEW};
static struct err e;

static int64_t
now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
nap(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};

	(void)nanosleep(&ts, NULL);
}

/* ---- a service in the namespace ---- */

static int
opened(int type, const char *addr, int port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool v4 = inet_pton(AF_INET, addr, &sin.sin_addr) == 1;
	int fd = socket(v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0), one = 1;

	if (type == SOCK_STREAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!v4 && inet_pton(AF_INET6, addr, &sin6.sin6_addr) != 1)
		_exit(90);
	if (fd < 0 ||
	    bind(fd, v4 ? (struct sockaddr *)&sin : (struct sockaddr *)&sin6,
		 v4 ? sizeof(sin) : sizeof(sin6)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 4096) < 0))
		_exit(91);
	return fd;
}

/* From the service: when its sockets were there, gone, and there again, us. */
struct times {
	int64_t before_close, closed, before_open, opened;
};
struct service {
	pid_t pid;
	int fd; /* a byte: close and open again; 'x': leave one out */
};

static void
service_sockets(int *fds, bool all)
{
	fds[0] = opened(SOCK_STREAM, "0.0.0.0", 7000);
	fds[1] = opened(SOCK_STREAM, "::1", 7001);
	fds[2] = opened(SOCK_DGRAM, "127.0.0.1", 53);
	fds[3] = all ? opened(SOCK_STREAM, "127.0.0.1", 7002) : -1;
}

static _Noreturn void
service_main(int fd)
{
	int fds[4], client = opened(SOCK_DGRAM, "127.0.0.1", 40000); /* as one that asks a name server */
	char c = 'r';

	service_sockets(fds, true);
	(void)!write(fd, &c, 1);
	while (read(fd, &c, 1) == 1) {
		struct times t;

		t.before_close = now_us();
		for (int i = 0; i < 4; i++)
			fd_close(fds[i]);
		fd_close(client);
		t.closed = now_us();
		nap(AWAY_MS);
		t.before_open = now_us();
		service_sockets(fds, c != 'x');
		t.opened = now_us();
		if (write(fd, &t, sizeof(t)) != sizeof(t))
			break;
	}
	_exit(0);
}

static void
service_start(struct service *s)
{
	int p[2];
	char c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	s->pid = fork();
	if (s->pid == 0) {
		(void)close(p[0]);
		if (setns(ns.fd, CLONE_NEWNET) < 0)
			_exit(92);
		service_main(p[1]);
	}
	(void)close(p[1]);
	s->fd = p[0];
	assert_int_equal(read(s->fd, &c, 1), 1);
}

static void
service_end(struct service *s)
{
	(void)close(s->fd);
	kill_pid(s->pid);
}

static struct os_watch *
must_watch(void)
{
	struct os_watch *w = NULL;

	if (os_watch_start(&ns.ref, &own, &w, &e) != 1)
		fail_msg("os_watch_start: %s", e.msg);
	return w;
}

static void
must_ready(struct os_watch *w, int wait_ms, struct os_outage *ret)
{
	if (os_watch_ready(w, wait_ms, ret, &e) < 0)
		fail_msg("os_watch_ready: %s", e.msg);
}

/* ---- somebody who connects all the time ---- */

struct seen {
	int64_t first_end, last_begin; /* of the connections that were refused, us; 0 none */
	int attempts, refused;
};

static _Noreturn void
observer_main(int fd)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_port = htons(7000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct linger reset = {1, 0}; /* no connection stays behind */
	struct seen s = {0};
	char c;

	while (recv(fd, &c, 1, MSG_DONTWAIT) < 0) {
		_auto_close int conn = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int64_t begin = now_us();
		const struct timespec ts = {0, 1000000};
		const struct timeval patience = {1, 0};

		(void)setsockopt(conn, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		(void)setsockopt(conn, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		s.attempts++;
		if (connect(conn, (struct sockaddr *)&sin, sizeof(sin)) < 0) {
			s.refused++;
			s.last_begin = begin;
			if (!s.first_end)
				s.first_end = now_us();
		}
		(void)nanosleep(&ts, NULL);
	}
	_exit(write(fd, &s, sizeof(s)) == sizeof(s) ? 0 : 1);
}

static pid_t
observer_start(int *ret_fd)
{
	int p[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	pid = fork();
	if (pid == 0) {
		if (setns(ns.fd, CLONE_NEWNET) < 0)
			_exit(92);
		(void)close(p[0]);
		observer_main(p[1]);
	}
	(void)close(p[1]);
	*ret_fd = p[0];
	return pid;
}

/* ---- tests ---- */

static void
t_outage(void **state)
{
	struct os_outage o;
	struct service s;
	struct times t;
	struct seen seen;
	struct os_watch *w;
	pid_t observer;
	int fd;

	(void)state;
	service_start(&s);
	w = must_watch();
	observer = observer_start(&fd);
	nap(50);
	assert_int_equal(write(s.fd, "a", 1), 1);
	assert_int_equal(read(s.fd, &t, sizeof(t)), sizeof(t));
	must_ready(w, 5000, &o);
	nap(20);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(fd, &seen, sizeof(seen)), sizeof(seen));
	(void)close(fd);
	assert_int_equal(waitpid(observer, NULL, 0), observer);
	assert_int_equal(o.listeners, 4);
	assert_int_equal(o.missing.n, 0);
	/* never less than it was, nor than what the other has seen */
	assert_true(o.down_us >= t.before_open - t.closed);
	assert_true(seen.refused > 0 && seen.refused < seen.attempts);
	assert_true(o.down_us >= seen.last_begin - seen.first_end);
	assert_true(o.down_us <= t.opened - t.before_close + SLACK_US);
	print_message("away %ld us, watched %ld us, refused for %ld us (%d of %d)\n",
		      (long)(t.opened - t.closed), (long)o.down_us, (long)(seen.last_begin - seen.first_end),
		      seen.refused, seen.attempts);
	strv_free(&o.missing);
	service_end(&s);
}

static void
t_no_outage(void **state)
{
	struct os_outage o;
	struct service s;

	(void)state;
	service_start(&s);
	must_ready(must_watch(), 5000, &o);
	assert_int_equal(o.listeners, 4);
	assert_int_equal(o.down_us, 0);
	assert_int_equal(o.missing.n, 0);
	service_end(&s);
	must_ready(must_watch(), 5000, &o); /* nothing listens any more */
	assert_int_equal(o.listeners, 0);
	assert_int_equal(o.down_us, 0);
}

/* What does not come back is named, waited for, and not counted with the others. */
static void
t_missing(void **state)
{
	struct os_outage o;
	struct service s;
	struct times t;
	struct os_watch *w;
	int64_t start;

	(void)state;
	service_start(&s);
	w = must_watch();
	nap(20);
	assert_int_equal(write(s.fd, "x", 1), 1);
	assert_int_equal(read(s.fd, &t, sizeof(t)), sizeof(t));
	start = now_us();
	must_ready(w, 300, &o);
	assert_true(now_us() - start >= 300000);
	assert_int_equal(o.listeners, 4);
	assert_int_equal(o.missing.n, 1);
	assert_string_equal(o.missing.v[0], "tcp 127.0.0.1:7002");
	assert_true(o.down_us >= t.before_open - t.closed);
	assert_true(o.down_us <= t.opened - t.before_close + SLACK_US);
	strv_free(&o.missing);
	service_end(&s);
}

/* Nothing comes back: it is away until the end. */
static void
t_gone(void **state)
{
	struct os_outage o;
	struct service s;
	struct os_watch *w;

	(void)state;
	service_start(&s);
	w = must_watch();
	nap(20);
	service_end(&s);
	must_ready(w, 200, &o);
	assert_int_equal(o.missing.n, 4);
	assert_true(strv_has(&o.missing, "tcp 0.0.0.0:7000"));
	assert_true(strv_has(&o.missing, "tcp [::1]:7001"));
	assert_true(strv_has(&o.missing, "udp 127.0.0.1:53"));
	assert_true(o.down_us >= 200000);
	strv_free(&o.missing);
}

static int
open_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++)
		(void)opened(SOCK_STREAM, "0.0.0.0", 10000 + i);
	return raise(SIGSTOP);
}

/* A jail can open sockets without end. */
static void
t_many(void **state)
{
	struct os_outage o;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(setns(ns.fd, CLONE_NEWNET) < 0 ? 92 : open_many(NULL));
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	must_ready(must_watch(), 5000, &o);
	assert_int_equal(o.listeners, 256);
	assert_int_equal(o.down_us, 0);
	kill_pid(pid);
}

static void
t_end(void **state)
{
	struct os_watch *w = must_watch();

	(void)state;
	os_watch_end(w);
	os_watch_end(NULL);
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* only the namespace's process is left */
}

/* The watcher ends with whoever started it. */
static void
t_caller_dies(void **state)
{
	int p[2], status;
	pid_t pid, watcher = 0;
	char c;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		struct os_watch *w = NULL;

		if (os_watch_start(&ns.ref, &own, &w, &e) != 1)
			_exit(1);
		(void)!write(p[1], "r", 1);
		(void)pause();
		_exit(0);
	}
	(void)close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 300 && watcher <= 0; i++) {
		watcher = waitpid(-1, &status, WNOHANG);
		nap(10);
	}
	assert_true(watcher > 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	(void)close(p[0]);
}

static void
t_not_possible(void **state)
{
	const struct jailspec shared = {.ip4 = SHARE_INHERIT};
	struct os_ref gone = ns.ref;
	struct os_watch *w = NULL;

	(void)state;
	assert_int_equal(os_watch_start(&ns.ref, &shared, &w, &e), 0);
	gone.start++;
	assert_int_equal(os_watch_start(&gone, &own, &w, &e), -ESRCH);
	err_clear(&e);
	assert_null(w);
}

static int
setup(void **state)
{
	(void)state;
	lab_open();
	ns_make(&ns, true);
	ns_sh(&ns, "ip link set lo up");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ns_end(&ns);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(t_outage),      cmocka_unit_test(t_no_outage),    cmocka_unit_test(t_missing),
	    cmocka_unit_test(t_gone),        cmocka_unit_test(t_many),         cmocka_unit_test(t_end),
	    cmocka_unit_test(t_caller_dies), cmocka_unit_test(t_not_possible),
	};

	if (geteuid() != 0) {
		(void)fprintf(stderr, "needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
