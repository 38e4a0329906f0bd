/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flock(2) on a file that stays: the kernel releases the lock when its holder dies.  The descriptor is the
 * lock; closing it releases it.  If the file was removed while we waited, the new one is locked (st_nlink).
 * doc/STATE.md has the order in which several locks are taken.  A lock file holds the pid of its last holder,
 * for messages.
 */
#ifndef BRIG_BASE_LOCK_H
#define BRIG_BASE_LOCK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/interrupt.h"

#define LOCK_SHARED 1
#define LOCK_ORPHAN_MS 2000
struct lock_want {
	const char *name, *what;    /* the file, and what messages say is locked */
	int flags;                  /* LOCK_SHARED */
	int wait_ms;                /* 0: not at all, -1: without limit */
	const struct interrupt *in; /* NULL: the wait is not interrupted */
};
/* Waits at most wait_ms.  -EBUSY: "WHAT is busy: another brig (pid N) works on it".  If the process that took
 * the lock is dead and only a child of it, which is ending, has it still, the wait is LOCK_ORPHAN_MS at least.
 * An interrupt ends the wait with -EINTR and a message that names the holder. */
int lock_take(int dirfd, const struct lock_want *want, int *ret_fd, struct err *e);
/* In a child made by fork(2) that may live longer than its parent: closes the locks that the parent holds, so
 * that the kernel releases them when the parent dies. */
void lock_leave(void);

#endif
