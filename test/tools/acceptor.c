/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A service for tests: answers on the sockets that it was given (sd_listen_fds(3)), each connection and each
 * packet with one line: "PID NAME".  Ends when it was given none, or what it was told is wrong.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST 3
#define MAX 64

static const char *names[MAX];

static int
sockets(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	char *all = getenv("LISTEN_FDNAMES");
	int n = fds ? atoi(fds) : 0;

	if (!pid || atoi(pid) != getpid() || !all || n < 1 || n > MAX)
		return -1;
	for (int i = 0; i < n; i++)
		if (!(names[i] = strsep(&all, ":")))
			return -1;
	return all ? -1 : n;
}

static void
answer(int fd, const char *name)
{
	char line[128], packet[64];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int n = snprintf(line, sizeof(line), "%d %s\n", getpid(), name), conn = accept(fd, NULL, NULL);

	if (conn >= 0) {
		if (write(conn, line, (size_t)n) != n)
			perror("write");
		(void)close(conn);
	} else if (recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &len) >= 0) {
		(void)sendto(fd, line, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

int
main(void)
{
	int n = sockets();
	struct pollfd p[MAX];

	if (n < 0)
		return 1;
	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){FIRST + i, POLLIN, 0};
	while (poll(p, (nfds_t)n, -1) > 0)
		for (int i = 0; i < n; i++)
			if (p[i].revents)
				answer(p[i].fd, names[i]);
	return 1;
}
