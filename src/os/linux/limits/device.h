/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device controller: a BPF program on the jail's control group of version 2, which lets its processes
 * open the nodes of dev.c and terminals and nothing else, whatever device nodes they find.  It is a second
 * line of defence: the first is that every mount of a jail is nodev and that nobody in a user namespace can
 * make a node.
 *
 * Facts: the kernel's admin-guide/cgroup-v2.rst "Device controller", bpf(2); Linux 4.15.  The kernel removes
 * the program with the group.
 */
#ifndef BRIG_OS_LINUX_LIMITS_DEVICE_H
#define BRIG_OS_LINUX_LIMITS_DEVICE_H

#include <stdbool.h>

#include "base/err.h"

/* Attaches the program to the group, unless it has one.  After the builder, which is in the group, has
 * mounted block devices.  A kernel without such programs, or a caller that may not load them, is no
 * error: the jail is without the second line, and os_audit_jail() says so. */
int device_guard(int group, struct err *e);
/* Can the caller load such a program? */
int device_supported(struct err *e);
/* Is any such program in force for the group, its own or one of a group above?  False also where that
 * cannot be found out. */
bool device_guarded(int group);

#endif
