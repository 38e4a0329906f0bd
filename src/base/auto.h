/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cleanup of what belongs to one function: memory, descriptors, children.
 *
 * A variable marked _auto_X is released when it goes out of scope; TAKE_PTR and TAKE_FD hand its value
 * on and leave the variable empty.  A descriptor that is not open is -EBADF.  What belongs to the system
 * (mounts, interfaces, files on disk) is never undone here: that is the business of run/steps.
 */
#ifndef BRIG_BASE_AUTO_H
#define BRIG_BASE_AUTO_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dirent.h>

static inline void
auto_free_fn(void *p)
{
	free(*(void **)p);
}

/* close(2) is never repeated: the descriptor is gone also after EINTR.  errno is kept. */
static inline void
fd_close(int fd)
{
	int keep = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = keep;
}

static inline void
auto_close_fn(int *fd)
{
	fd_close(*fd);
}

static inline void
auto_fclose_fn(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

static inline void
auto_closedir_fn(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

#define _auto_(fn) __attribute__((cleanup(fn)))
#define _auto_free _auto_(auto_free_fn)
#define _auto_close _auto_(auto_close_fn)
#define _auto_fclose _auto_(auto_fclose_fn)
#define _auto_closedir _auto_(auto_closedir_fn)

#define TAKE_PTR(p)                     \
	({                              \
		__typeof__(p) t_ = (p); \
		(p) = NULL;             \
		t_;                     \
	})
#define TAKE_FD(fd)            \
	({                     \
		int t_ = (fd); \
		(fd) = -EBADF; \
		t_;            \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_ __attribute__((unused))

#endif
