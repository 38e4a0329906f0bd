/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A load from outside: connects to each target all the time, sends a line, reads one, closes.
 *
 *	loadgen [-i MS] [-t SECONDS] [-w MS] ADDRESS:PORT...
 *
 *	-i	a new connection to each target every MS milliseconds (1), however the others fare
 *
 *	-t	for SECONDS (60), or until SIGTERM or SIGINT
 *
 *	-w	a connection without an answer after MS is given up (5000)
 *
 * "ready" on a line of its own once every target has answered: what is begun from then on counts.  After the
 * end one line a target, of the target and these words:
 *
 *	attempts=N	answered=N	changes=N	an answer was another than the one before it
 *
 *	refused=N	nobody listens			unreachable=N	there is no way to it
 *
 *	reset=N		ended without an answer		timeouts=N	no answer, and no end
 *
 *	longest_ms=X	the longest time between two answers that follow one another
 *
 *	gap_ms=X	from the last answer before the first failure to the first answer to a connection
 *			begun after that failure; 0 without failures, -1 without such an answer
 *
 * Exit status 0 when every target has answered at least once.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

#define LINE 64
#define CONNECTIONS 16384 /* open at a time, over all targets */

struct target {
	const char *name;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a;
	socklen_t len;
	int64_t due, last, failed, gap_begin; /* us; last: answer; failed: the first one */
	int64_t longest, gap;
	unsigned attempts, answered, refused, unreachable, reset, timeouts, changes;
	char answer[LINE];
};

/* One connection; free ones and those that wait are lists by index. */
struct conn {
	struct target *t;
	int64_t begun;
	int fd;
	int sent;
	struct conn *prev, *next; /* in the order in which they were begun */
};

static struct conn conns[CONNECTIONS];
static struct conn *spare, *oldest, *newest;
static int ep;
static int64_t patience_us = 5000000, counted_from = INT64_MAX;
static volatile sig_atomic_t stop;

static int64_t
now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static int
number(const char *s, int max)
{
	int n;

	if (num_int(s, 1, max, &n) < 0)
		errx(2, "'%s': a number from 1 to %d", s, max);
	return n;
}

static void
parse_target(struct target *t, const char *name)
{
	char host[64];
	const char *colon = strrchr(name, ':');
	size_t n = colon ? (size_t)(colon - name) : 0;
	uint16_t port;

	if (n == 0 || n >= sizeof(host))
		errx(2, "'%s': not ADDRESS:PORT", name);
	memcpy(host, name, n);
	host[n] = '\0';
	port = htons((uint16_t)number(colon + 1, 65535));
	t->name = name;
	t->gap = -1;
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		t->a.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
		t->len = sizeof(t->a.v6);
		n = (size_t)inet_pton(AF_INET6, host + 1, &t->a.v6.sin6_addr);
	} else {
		t->a.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
		t->len = sizeof(t->a.v4);
		n = (size_t)inet_pton(AF_INET, host, &t->a.v4.sin_addr);
	}
	if (n != 1)
		errx(2, "'%s': not an address", name);
}

/* ---- what became of a connection ---- */

static void
drop(struct conn *c)
{
	(void)close(c->fd);
	*(c->prev ? &c->prev->next : &oldest) = c->next;
	*(c->next ? &c->next->prev : &newest) = c->prev;
	c->next = spare;
	spare = c;
}

static void
failed(const struct conn *c, unsigned *count)
{
	struct target *t = c->t;

	if (c->begun < counted_from)
		return;
	++*count;
	if (t->failed == 0) {
		t->failed = now_us();
		t->gap_begin = t->last;
	}
}

static void
answered(const struct conn *c, const char *line)
{
	struct target *t = c->t;
	int64_t now = now_us(), between = now - t->last;

	t->last = now;
	if (c->begun < counted_from)
		return;
	t->changes += t->answered > 0 && strcmp(t->answer, line) != 0;
	memcpy(t->answer, line, strlen(line) + 1);
	t->answered++;
	if (between > t->longest)
		t->longest = between;
	if (t->failed == 0 || t->gap >= 0)
		return;
	if (c->begun > t->failed)
		t->gap = now - t->gap_begin;
	else /* it was on its way before the failure */
		t->gap_begin = now;
}

static void
ended(struct conn *c, int error)
{
	if (error == ECONNREFUSED)
		failed(c, &c->t->refused);
	else if (error == ENETUNREACH || error == EHOSTUNREACH)
		failed(c, &c->t->unreachable);
	else if (error == ETIMEDOUT)
		failed(c, &c->t->timeouts);
	else /* also before its end is known here: the service ends while it waits to be taken */
		failed(c, &c->t->reset);
	drop(c);
}

static int
error_of(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

static void
ready(struct conn *c)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	char line[LINE];
	ssize_t n;
	int error;

	if (!c->sent) {
		error = error_of(c->fd);
		if (error) {
			ended(c, error);
			return;
		}
		c->sent = 1;
		if (send(c->fd, "hello\n", 6, MSG_NOSIGNAL) != 6 ||
		    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev) < 0)
			ended(c, errno);
		return;
	}
	n = recv(c->fd, line, sizeof(line), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || line[n - 1] != '\n') {
		ended(c, n < 0 ? errno : 0);
		return;
	}
	line[n - 1] = '\0';
	answered(c, line);
	drop(c);
}

/* ---- the loop ---- */

static void
begin(struct target *t, int64_t now)
{
	struct conn *c = spare;
	struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = c};

	if (!c)
		errx(1, "more than %d connections without an answer", CONNECTIONS);
	spare = c->next;
	*c = (struct conn){.t = t, .begun = now, .prev = newest};
	*(newest ? &newest->next : &oldest) = c;
	newest = c;
	t->attempts += now >= counted_from;
	c->fd = socket(t->a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		err(1, "socket");
	if (connect(c->fd, &t->a.any, t->len) < 0 && errno != EINPROGRESS)
		ended(c, errno);
}

static void
give_up(int64_t now)
{
	while (oldest && now - oldest->begun >= patience_us) {
		failed(oldest, &oldest->t->timeouts);
		drop(oldest);
	}
}

static void
wait_for(int64_t until)
{
	struct epoll_event ev[256];
	int64_t left = until - now_us();
	struct timespec ts = {.tv_nsec = 0};
	int n;

	if (left > 0)
		ts = (struct timespec){left / 1000000, left % 1000000 * 1000};
	n = epoll_pwait2(ep, ev, 256, &ts, NULL);
	for (int i = 0; i < n; i++)
		ready(ev[i].data.ptr);
}

static void
run(struct target *v, size_t n, int64_t interval, int64_t end)
{
	size_t quiet = n;
	int64_t now, next;

	for (size_t i = 0; i < n; i++) /* not all at the same moment */
		v[i].due = now_us() + interval * (int64_t)i / (int64_t)n;
	while ((now = now_us()) < end && !stop) {
		give_up(now);
		next = end;
		for (size_t i = 0; i < n; i++) {
			if (v[i].due <= now) {
				begin(&v[i], now);
				v[i].due = now + interval;
			}
			if (v[i].due < next)
				next = v[i].due;
		}
		wait_for(next);
		while (quiet > 0 && v[quiet - 1].last > 0)
			if (--quiet == 0) {
				counted_from = now_us();
				puts("ready");
				(void)fflush(stdout);
			}
	}
	while (oldest) {
		give_up(now_us());
		wait_for(now_us() + 1000);
	}
}

static int
report(const struct target *t)
{
	int64_t gap = t->failed ? t->gap : 0;

	printf("%s attempts=%u answered=%u changes=%u refused=%u unreachable=%u reset=%u timeouts=%u ",
	       t->name, t->attempts, t->answered, t->changes, t->refused, t->unreachable, t->reset,
	       t->timeouts);
	printf("longest_ms=%.2f gap_ms=%.2f\n", (double)t->longest / 1000,
	       gap < 0 ? -1.0 : (double)gap / 1000);
	return t->answered > 0;
}

int
main(int argc, char **argv)
{
	int64_t interval = 1000, end = 60;
	struct rlimit files;
	struct target *v;
	int c, good = 1;

	while ((c = getopt(argc, argv, "i:t:w:")) != -1) {
		if (c == 'i')
			interval = (int64_t)number(optarg, 60000) * 1000;
		else if (c == 't')
			end = number(optarg, 3600);
		else if (c == 'w')
			patience_us = (int64_t)number(optarg, 600000) * 1000;
		else
			return 2;
	}
	if (optind == argc)
		errx(2, "no target");
	v = calloc((size_t)(argc - optind), sizeof(*v));
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!v || ep < 0)
		err(1, "start");
	for (int i = optind; i < argc; i++)
		parse_target(&v[i - optind], argv[i]);
	for (size_t i = 0; i < CONNECTIONS; i++)
		conns[i].next = i + 1 < CONNECTIONS ? &conns[i + 1] : NULL;
	spare = conns;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	(void)setpriority(PRIO_PROCESS, 0,
			  -20); /* what it does not see in time it would count as an outage */
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	run(v, (size_t)(argc - optind), interval, now_us() + end * 1000000);
	for (int i = optind; i < argc; i++)
		good &= report(&v[i - optind]);
	free(v);
	return !good;
}
