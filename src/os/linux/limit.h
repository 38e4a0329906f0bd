/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the limits (os.h: os_limit_*) that is only for os/linux: joining a jail's control groups.
 * The caller still sees the host's cgroup file systems and has the host's rights, and does it before
 * unshare(CLONE_NEWCGROUP): a cgroup namespace takes the group its maker is in as its root,
 * cgroup_namespaces(7).
 */
#ifndef BRIG_OS_LINUX_LIMIT_H
#define BRIG_OS_LINUX_LIMIT_H

#include "base/err.h"
#include "conf/spec.h"
#include "os/os.h"

/* Moves the calling process into the groups that os_limit_up() made; nothing to do without limits. */
int limit_join(const struct os_id *id, const struct jailspec *spec, struct err *e);

#endif
