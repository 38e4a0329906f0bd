/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls that change files, counted together with those of os/fake: t_walks is linked with --wrap of each,
 * so what base, store and run do to files comes by here first.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fake/fake.h"

int __real_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);
int __wrap_fsync(int fd);
int __wrap_syncfs(int fd);
ssize_t __real_write(int fd, const void *data, size_t n);
ssize_t __wrap_write(int fd, const void *data, size_t n);

/* Declares and defines the wrapper of a call whose first file name is `about`. */
#define WRAP(name, about, params, args)                \
	int __real_##name params;                      \
	int __wrap_##name params;                      \
	int __wrap_##name params                       \
	{                                              \
		int num = fake_enter(#name, about), r; \
                                                       \
		if (num < 0) {                         \
			errno = -num;                  \
			return -1;                     \
		}                                      \
		r = __real_##name args;                \
		num = errno;                           \
		fake_leave();                          \
		errno = num;                           \
		return r;                              \
	}

WRAP(renameat, to, (int from_dir, const char *from, int to_dir, const char *to), (from_dir, from, to_dir, to))
WRAP(renameat2, to, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
     (from_dir, from, to_dir, to, flags))
WRAP(linkat, to, (int from_dir, const char *from, int to_dir, const char *to, int flags),
     (from_dir, from, to_dir, to, flags))
WRAP(symlinkat, name, (const char *target, int dir, const char *name), (target, dir, name))
WRAP(unlinkat, name, (int dir, const char *name, int flags), (dir, name, flags))
WRAP(mkdirat, name, (int dir, const char *name, mode_t mode), (dir, name, mode))
/* No power is cut here: nothing has to wait for a disk. */
static int
sync_nothing(const char *call)
{
	int num = fake_enter(call, "");

	if (num < 0) {
		errno = -num;
		return -1;
	}
	fake_leave();
	return 0;
}

int
__wrap_fsync(int fd _unused_)
{
	return sync_nothing("fsync");
}

int
__wrap_syncfs(int fd _unused_)
{
	return sync_nothing("syncfs");
}

int
__wrap_openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;
	int num, fd;

	if (!(flags & O_CREAT))
		return __real_openat64(dir, path, flags);
	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	num = fake_enter("openat", path);
	if (num < 0) {
		errno = -num;
		return -1;
	}
	fd = __real_openat64(dir, path, flags, mode);
	num = errno;
	fake_leave();
	errno = num;
	return fd;
}

/* Pipes between processes and the terminal are not meant. */
ssize_t
__wrap_write(int fd, const void *data, size_t n)
{
	struct stat st;
	ssize_t r;
	int num;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return __real_write(fd, data, n);
	num = fake_enter("write", "");
	if (num < 0) {
		errno = -num;
		return -1;
	}
	r = __real_write(fd, data, n);
	num = errno;
	fake_leave();
	errno = num;
	return r;
}
