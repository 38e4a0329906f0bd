/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounts as descriptors: made or cloned detached, given their attributes, then attached to a place that is a
 * descriptor too.  Nothing here follows a path that a jail could have changed.
 * Facts: fsopen(2), open_tree(2), mount_setattr(2) (Linux 5.12), move_mount(2).
 */
#ifndef BRIG_OS_LINUX_INSTANCE_MNT_H
#define BRIG_OS_LINUX_INSTANCE_MNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>

#include "base/err.h"

/* Every mount of a jail has these. */
#define MNT_PLAIN (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

struct mnt_opt {
	const char *key;
	const char *value; /* NULL: a flag */
};

/* A new file system, detached, as an O_PATH directory.  The message of an error has the kernel's text. */
int mnt_new(const char *type, const struct mnt_opt *opts, size_t n, uint64_t attr, int *ret_fd,
	    struct err *e);
/* A detached bind mount of fd, without what is mounted below it. */
int mnt_clone(int fd, int *ret_fd, struct err *e);
/* Sets attributes and private propagation. */
int mnt_attr(int mnt_fd, uint64_t attr, struct err *e);
/* The same, id-mapped into the user namespace (MOUNT_ATTR_IDMAP).  origin is what was cloned, for the
 * message, which names it and its file system where that does not support id-mapped mounts. */
int mnt_attr_map(int mnt_fd, uint64_t attr, int userns_fd, int origin, struct err *e);
/* Attaches the detached mount on target (same kind: directory or not).  what is for messages. */
int mnt_attach(int mnt_fd, int target_fd, const char *what, struct err *e);
/* Opens rel below at (no link, no mount on the way) as a place to mount on, which must be an ordinary
 * directory.  *ret_fd stays -EBADF and the result is 0 when it is missing and may be. */
int mnt_point(int at, const char *rel, bool may_miss, int *ret_fd, struct err *e);
/* The type of the file system of fd: "ext2/3/4" (one magic number), "tmpfs", ...; or "unknown". */
const char *mnt_fsname(int fd);

#endif
