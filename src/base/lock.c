/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/lock.h"
#include "base/mem.h"

static void
pause_ms(long ms)
{
	struct timespec ts = {ms / 1000, (ms % 1000) * 1000000L};

	(void)nanosleep(&ts, NULL);
}

/* 1: ours, 0: somebody else's, <0: -errno. */
static int
try_lock(int dirfd, const char *name, int how, int *ret_fd)
{
	_auto_close int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (flock(fd, how | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_nlink == 0)
		return 0; /* removed by its last owner: the next round opens the new file */
	*ret_fd = TAKE_FD(fd);
	return 1;
}

static long
holder(int dirfd, const char *name)
{
	_auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[24] = "";
	long pid = 0;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	for (char *p = text; *p >= '0' && *p <= '9'; p++)
		pid = pid * 10 + (*p - '0');
	return pid;
}

int
lock_take(int dirfd, const char *name, const char *what, int flags, int wait_ms, int *ret_fd, struct err *e)
{
	int how = flags & LOCK_SHARED ? LOCK_SH : LOCK_EX;
	int waited = 0, fd = -EBADF;
	long step = 1;

	for (;;) {
		int r = try_lock(dirfd, name, how, &fd);

		if (r < 0)
			return err_sys(e, -r, "lock %s", what);
		if (r > 0)
			break;
		if (wait_ms >= 0 && waited >= wait_ms)
			return err_set(e, EBUSY, "%s is busy: another brig (pid %ld) works on it", what,
				       holder(dirfd, name));
		pause_ms(step);
		waited += (int)step;
		if (step < 20)
			step++;
	}
	if (how == LOCK_EX) {
		char text[24];
		int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

		if (pwrite(fd, text, (size_t)n, 0) == n)
			(void)!ftruncate(fd, n);
	}
	*ret_fd = fd;
	return 0;
}
