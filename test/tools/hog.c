/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes as much of one thing as the kernel gives, for test/e2e/exhaust.bats; copied into a jail, so linked
 * statically.
 *
 *	hog KIND MAX [hold]	takes at most MAX, prints "KIND TAKEN REASON" (REASON: "enough", or the name of the
 *				error that ended it), and with "hold" waits with it for its end
 *
 * Each kind is one of those that the kernel counts outside of memory limits, by user or for the machine:
 *	file inode locks inotify pipe pty queue signal timer key socket inflight epoll
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"

#define MIB (1 << 20)
#define MANY 100000000

/* Each takes one more, the I-th, and returns < 0 with errno when there is none. */

static int
take_file(int i)
{
	(void)i;
	return open("/dev/null", O_RDONLY);
}

/* In the working directory; the files stay. */
static int
take_inode(int i)
{
	char name[32];
	int fd;

	(void)snprintf(name, sizeof(name), "hog-%d", i);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	return fd < 0 ? -1 : close(fd);
}

/* Every second byte of one file: no two are joined. */
static int
take_lock(int i)
{
	static int fd = -1;
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)i * 2, .l_len = 1};

	if (fd < 0)
		fd = memfd_create("locks", 0);
	return fcntl(fd, F_SETLK, &l);
}

static int
take_inotify(int i)
{
	(void)i;
	return inotify_init1(IN_CLOEXEC);
}

/* Of a mebibyte, and full: pages of pipes are counted by user. */
static int
take_pipe(int i)
{
	static char page[65536];
	int p[2];

	(void)i;
	if (pipe2(p, O_NONBLOCK) < 0 || fcntl(p[1], F_SETPIPE_SZ, MIB) < 0)
		return -1;
	while (write(p[1], page, sizeof(page)) > 0)
		;
	return 0;
}

static int
take_pty(int i)
{
	(void)i;
	return open("/dev/pts/ptmx", O_RDWR | O_NOCTTY);
}

static int
take_queue(int i)
{
	struct mq_attr a = {.mq_maxmsg = 10, .mq_msgsize = 1024};
	char name[32];

	(void)snprintf(name, sizeof(name), "/hog-%d-%d", (int)getpid(), i);
	return mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &a) == (mqd_t)-1 ? -1 : mq_unlink(name);
}

/* Queued and blocked. */
static int
take_signal(int i)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0
		   ? -1
		   : sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
}

static int
take_timer(int i)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	timer_t t;

	(void)i;
	return timer_create(CLOCK_MONOTONIC, &ev, &t);
}

static int
take_key(int i)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "hog-%d", i);
	return (int)syscall(SYS_add_key, "user", name, "x", 1, KEY_SPEC_PROCESS_KEYRING);
}

static int
take_socket(int i)
{
	(void)i;
	return socket(AF_INET, SOCK_DGRAM, 0);
}

/* A descriptor that is on its way for ever. */
static int
take_inflight(int i)
{
	static int pair[2] = {-1, -1};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} c = {0};
	struct iovec iov = {&(char){'x'}, 1};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};

	if (i % 100 == 0 && socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	c.align = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), &pair[1], sizeof(int));
	if (sendmsg(pair[0], &h, 0) == 1)
		return 0;
	if (errno != EAGAIN)
		return -1;
	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) < 0 ? -1 : 0;
}

static int
take_epoll(int i)
{
	static int ep = -1;
	struct epoll_event ev = {.events = EPOLLIN};
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)i;
	if (ep < 0)
		ep = epoll_create1(EPOLL_CLOEXEC);
	return fd < 0 ? -1 : epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static const struct {
	const char *name;
	int (*take)(int i);
} kinds[] = {
    {"file", take_file},   {"inode", take_inode}, {"locks", take_lock},    {"inotify", take_inotify},
    {"pipe", take_pipe},   {"pty", take_pty},     {"queue", take_queue},   {"signal", take_signal},
    {"timer", take_timer}, {"key", take_key},     {"socket", take_socket}, {"inflight", take_inflight},
    {"epoll", take_epoll},
};

int
main(int argc, char **argv)
{
	struct rlimit files;
	int max, n = 0;
	size_t k = 0;

	while (argc > 1 && k < ARRAY_LEN(kinds) && strcmp(argv[1], kinds[k].name) != 0)
		k++;
	if (argc < 3 || argc > 4 || k == ARRAY_LEN(kinds) || num_int(argv[2], 1, MANY, &max) < 0 ||
	    (argc == 4 && strcmp(argv[3], "hold") != 0)) {
		fputs("usage: hog KIND MAX [hold]\n", stderr);
		return 2;
	}
	/* as many descriptors as there may be: they are not what is looked for, but for one kind */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	while (n < max && kinds[k].take(n) >= 0)
		n++;
	printf("%s %d %s\n", kinds[k].name, n, n == max ? "enough" : strerrorname_np(errno));
	(void)fflush(stdout);
	while (argc == 4)
		(void)pause();
	return 0;
}
