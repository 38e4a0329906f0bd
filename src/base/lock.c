/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"

static void
pause_ms(long ms)
{
	struct timespec ts = {ms / 1000, (ms % 1000) * 1000000L};

	(void)nanosleep(&ts, NULL);
}

/* 1: locked, 0: somebody else has it, <0: -errno. */
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

/* Descriptors that are locks, or were: closing one does not remove it here. */
static struct held {
	int fd; /* 0: a free place */
	dev_t dev;
	ino_t ino;
} held[16];

static bool
still_held(const struct held *h)
{
	struct stat st;

	return h->fd > 0 && fstat(h->fd, &st) == 0 && st.st_dev == h->dev && st.st_ino == h->ino;
}

static void
note_held(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		if (held[i].fd == fd || !still_held(&held[i])) {
			held[i] = (struct held){fd, st.st_dev, st.st_ino};
			return;
		}
}

void
lock_leave(void)
{
	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		if (still_held(&held[i]))
			fd_close(held[i].fd);
		held[i].fd = 0;
	}
}

/* The holder's pid as the lock file has it; "" if nobody wrote it yet, or only readers hold the lock. */
static const char *
holder_text(int dirfd, const char *name, char buf[64])
{
	long pid = holder(dirfd, name);

	buf[0] = '\0';
	if (pid > 0)
		(void)snprintf(buf, 64, " (pid %ld)", pid);
	return buf;
}

/* Somebody holds the lock, but the process that took it is dead. */
static bool
is_orphan(int dirfd, const char *name)
{
	long pid = holder(dirfd, name);

	return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

int
lock_take(int dirfd, const struct lock_want *want, int *ret_fd, struct err *e)
{
	int how = want->flags & LOCK_SHARED ? LOCK_SH : LOCK_EX;
	long step = 1, began = clock_ms();
	int fd = -EBADF;
	char who[64];

	for (;;) {
		long waited, left, r = try_lock(dirfd, want->name, how, &fd);

		if (r < 0)
			return err_sys(e, (int)-r, "lock %s", want->what);
		if (r > 0)
			break;
		waited = clock_ms() - began;
		left = want->wait_ms < 0 ? step : want->wait_ms - waited;
		if (left <= 0 && is_orphan(dirfd, want->name))
			left = LOCK_ORPHAN_MS - waited;
		if (left <= 0)
			return err_set(e, EBUSY, "%s is busy: another brig%s works on it", want->what,
				       holder_text(dirfd, want->name, who));
		if (interrupt_pending(want->in))
			return err_set(e, EINTR, "interrupted while another brig%s works on %s",
				       holder_text(dirfd, want->name, who), want->what);
		pause_ms(left < step ? left : step);
		if (step < 20)
			step++;
	}
	if (how == LOCK_EX) {
		char text[24];
		int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

		if (pwrite(fd, text, (size_t)n, 0) == n)
			(void)!ftruncate(fd, n);
	}
	note_held(fd);
	*ret_fd = fd;
	return 0;
}
