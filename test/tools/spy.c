/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spy SECONDS: what anybody in a jail reads of processes that come into it.  Looks at every new process as
 * fast as it can: its mounts, and the TCP sockets of its network, which no permission guards
 * (proc_pid_mountinfo(5), /proc/PID/net). At the end one line: processes seen, how many had other mounts than
 * its own, how many another network.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

enum { MOUNTS, NET, NET6, KINDS };
static const char *const files[KINDS] = {"mountinfo", "net/tcp", "net/tcp6"};
static char own[KINDS][1 << 18], other[1 << 18];
static ssize_t own_len[KINDS];

static ssize_t
look(int pid, int kind, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[kind]);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	n = read(fd, buf, size);
	(void)close(fd);
	return n;
}

int
main(int argc, char **argv)
{
	int seconds = 5;
	time_t end;
	int next = getpid() + 1, seen = 0, round = 0, hits[KINDS] = {0};

	if (argc > 1 && num_int(argv[1], 1, 60, &seconds) < 0)
		return 2;
	end = time(NULL) + seconds;
	for (int k = 0; k < KINDS; k++)
		own_len[k] = look(getpid(), k, own[k], sizeof(own[k]));
	(void)printf("ready\n");
	(void)fflush(stdout);
	while (time(NULL) < end)
		/* now and then far ahead: on a busy machine many may have come and gone */
		for (int pid = next - 1, last = next + (round++ % 64 ? 4 : 500); pid < last; pid++) {
			int there = 0;

			for (int k = 0; k < KINDS; k++) {
				ssize_t n = look(pid, k, other, sizeof(other));

				if (n <= 0)
					continue;
				there = 1;
				hits[k] +=
				    n != own_len[k] || (k == MOUNTS && memcmp(other, own[k], (size_t)n) != 0);
			}
			if (there && pid >= next) {
				seen++;
				next = pid + 1;
			}
		}
	(void)printf("%d %d %d\n", seen, hits[MOUNTS], hits[NET] + hits[NET6]);
	return 0;
}
