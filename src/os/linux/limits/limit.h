/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the limits (os/limits.h) that is only for os/linux: being in a jail's control groups.
 * The caller still sees the host's cgroup file systems and has the host's rights, and does it before
 * unshare(CLONE_NEWCGROUP): a cgroup namespace takes the group its maker is in as its root,
 * cgroup_namespaces(7).
 *
 *	pid = limit_fork(id, spec, &group, e);	the child is in the group of version 2
 *	limit_join(id, spec, e);	the child, before anything else: in those of version 1, too
 */
#ifndef BRIG_OS_LINUX_LIMITS_LIMIT_H
#define BRIG_OS_LINUX_LIMITS_LIMIT_H

#include "base/err.h"
#include "conf/spec.h"
#include "os/limits.h"

/* As fork(2), into the jail's group of version 2: being born in a group costs nothing, while moving a process
 * into one waits until no process of the host is being made (some milliseconds).  Where the jail has no such
 * group and its limits need none, only fork(2).  -EBUSY: the group is frozen.
 *
 * ret_group, unless NULL: the child's descriptor (O_PATH) of the group, or -EBADF; the caller's stays -EBADF.
 */
pid_t limit_fork(const struct os_id *id, const struct jailspec *spec, int *ret_group, struct err *e);
/* Moves the calling process into the groups of version 1 that os_limit_up() made, if the limits need any.
 * What the kernel takes first when memory is short is from then on the jail's, too: nothing of a caller that
 * is spared. */
int limit_join(const struct os_id *id, const struct jailspec *spec, struct err *e);

/* The groups that os_limit_up() made for the limits, as directories: what a jail may see of them, since programs
 * choose their size by it.  Before the caller's mounts are out of reach. */
#define LIMIT_VIEWS 5
struct limit_view {
	struct {
		const char *name; /* of the first controller of a hierarchy of version 1; "": version 2 */
		int fd;           /* the caller closes */
	} v[LIMIT_VIEWS];
	size_t n;
};
int limit_view(const struct os_id *id, const struct jailspec *spec, struct limit_view *ret, struct err *e);

#endif
