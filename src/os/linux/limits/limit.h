/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the limits (os/limits.h) that is only for os/linux: entering a jail's control groups, as the
 * host's root, in the host's mount namespace, and before unshare(CLONE_NEWCGROUP): the root of a cgroup
 * namespace is the group that its maker is in, cgroup_namespaces(7).
 *
 *	pid = limit_fork(id, spec, &group, e);	the child is in the group of version 2
 *	limit_join(id, spec, e);	the child, before anything else: in those of version 1, too
 */
#ifndef BRIG_OS_LINUX_LIMITS_LIMIT_H
#define BRIG_OS_LINUX_LIMITS_LIMIT_H

#include "base/err.h"
#include "conf/spec.h"
#include "os/limits.h"

/* fork(2) into the jail's group of version 2 (CLONE_INTO_CGROUP): that costs nothing, while moving a process
 * into a group takes a lock that every fork(2) of the host takes, too (some milliseconds).  Where the jail
 * has no such group and its limits need none, a plain fork(2).  -EBUSY: the group is frozen.
 *
 * ret_group, unless NULL: the child's descriptor (O_PATH) of the group, or -EBADF; the caller's stays -EBADF.
 */
pid_t limit_fork(const struct os_id *id, const struct jailspec *spec, int *ret_group, struct err *e);
/* Moves the calling process into the groups of version 1 that os_limit_up() made, if the limits need any, and
 * raises a negative oom_score_adj to 0: a jail is not spared by the OOM killer because its starter is. */
int limit_join(const struct os_id *id, const struct jailspec *spec, struct err *e);

/* The groups that os_limit_up() made for the limits, as directories to be mounted in the jail: programs
 * choose their size (heap, threads) by the limits that they find.  Called while the host's mounts can be
 * reached. */
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
