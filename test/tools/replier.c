/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A service for tests that loses no request by itself: reads a line from each connection and answers with
 * one: its pid and when it began.  At SIGTERM it takes no more connections, answers those that it has taken,
 * and ends.
 *
 *	replier [-p PORT] [-d MS]
 *
 *	-p	makes its own socket (tcp, IPv4); otherwise it uses those that it is given (sd_listen_fds(3))
 *
 *	-d	an answer takes MS milliseconds (0), of any number at a time
 */
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

#define FIRST 3
#define LISTENERS 8
#define PENDING 4096 /* more are left in the socket's queue */

/* Begun and not answered yet, a ring in the order in which they are due. */
static struct {
	int fd;
	int64_t due;
} pending[PENDING];
static unsigned first, n_pending;
static int64_t began;
static volatile sig_atomic_t stop;

static int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
on_term(int sig)
{
	(void)sig;
	stop = 1;
}

/* The number that s is, -1 when it is none. */
static int
number(const char *s, int max)
{
	int n;

	return s && num_int(s, 0, max, &n) == 0 ? n : -1;
}

static int
given(struct pollfd *p)
{
	int n = number(getenv("LISTEN_FDS"), LISTENERS);

	if (number(getenv("LISTEN_PID"), INT_MAX) != getpid())
		return 0;
	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){FIRST + i, POLLIN, 0};
	return n;
}

static int
own(struct pollfd *p, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4096) < 0)
		return 0;
	p[0] = (struct pollfd){fd, POLLIN, 0};
	return 1;
}

static void
take(int listener, int delay)
{
	struct timeval patience = {.tv_sec = 5};
	char line[256];
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (read(fd, line, sizeof(line)) <= 0) {
		(void)close(fd);
		return;
	}
	pending[(first + n_pending) % PENDING].fd = fd;
	pending[(first + n_pending++) % PENDING].due = now_ms() + delay;
}

static void
answer(int64_t now)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%d %lld\n", getpid(), (long long)began);

	while (n_pending > 0 && pending[first].due <= now) {
		(void)!write(pending[first].fd, line, (size_t)n);
		(void)close(pending[first].fd);
		first = (first + 1) % PENDING;
		n_pending--;
	}
}

static void
wait_for(struct pollfd *p, int n, const sigset_t *open)
{
	struct timespec ts = {0}, *limit = NULL;

	if (n_pending > 0) {
		int64_t left = pending[first].due - now_ms();

		if (left > 0)
			ts = (struct timespec){left / 1000, left % 1000 * 1000000};
		limit = &ts;
	}
	for (int i = 0; i < n; i++)
		p[i].revents = 0;
	(void)ppoll(p, n_pending < PENDING ? (nfds_t)n : 0, limit, open);
}

int
main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_term};
	struct pollfd p[LISTENERS];
	int c, n, port = 0, delay = 0;
	sigset_t term, before;

	while ((c = getopt(argc, argv, "p:d:")) != -1) {
		if (c == 'p')
			port = number(optarg, 65535);
		else if (c == 'd')
			delay = number(optarg, 60000);
		else
			return 2;
	}
	began = now_ms();
	/* seen only where nothing is half done */
	(void)sigemptyset(&term);
	(void)sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, &before);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	n = port > 0 ? own(p, port) : given(p);
	if (n <= 0 || delay < 0)
		return 1;
	for (int i = 0; i < n; i++)
		(void)fcntl(p[i].fd, F_SETFL, O_NONBLOCK);
	while (!stop) {
		wait_for(p, n, &before);
		for (int i = 0; i < n && !stop; i++)
			if (p[i].revents && n_pending < PENDING)
				take(p[i].fd, delay);
		answer(now_ms());
	}
	for (int i = 0; i < n; i++)
		(void)close(p[i].fd);
	while (n_pending > 0) {
		wait_for(p, 0, &before);
		answer(now_ms());
	}
	return 0;
}
