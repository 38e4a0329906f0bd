/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flock(2) on a file that stays: the kernel gives the lock back when its holder dies.  The descriptor is the
 * lock; closing it is the release.  A file that was removed while we waited is taken again (st_nlink).
 * The order in which several are taken is in doc/STATE.md.  Lock files hold the pid of the last holder, for
 * messages.
 */
#ifndef BRIG_BASE_LOCK_H
#define BRIG_BASE_LOCK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/interrupt.h"

#define LOCK_SHARED 1
#define LOCK_ORPHAN_MS 2000
/* Waits at most wait_ms (0: not at all, -1: for ever).  -EBUSY: "WHAT is busy: another brig (pid N) works on it".
 * Where whoever took it has died, and only a child that is ending still holds it, it is waited for LOCK_ORPHAN_MS all
 * the same: nobody works on it.  in: what ends the wait at once, with -EINTR and the same told; NULL: nothing does. */
int lock_take(int dirfd, const char *name, const char *what, int flags, int wait_ms,
	      const struct interrupt *in, int *ret_fd, struct err *e);
/* In a child made by fork(2) that goes on without its parent, or longer than it: lets go of what the parent holds, so
 * that the kernel gives it back when the parent dies. */
void lock_leave(void);

#endif
