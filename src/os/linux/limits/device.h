/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device controller: a program of the kernel's on the control group of version 2 of a jail, which lets
 * its processes open the nodes of dev.c and terminals and nothing else, whatever node they come by.  A second
 * line: the first is that no mount of a jail has devices (nodev) and that a user namespace cannot make a
 * node.
 *
 * Facts: the kernel's admin-guide/cgroup-v2.rst "Device controller", bpf(2); Linux 4.15.  The program goes
 * with the group.
 */
#ifndef BRIG_OS_LINUX_LIMITS_DEVICE_H
#define BRIG_OS_LINUX_LIMITS_DEVICE_H

#include <stdbool.h>

#include "base/err.h"

/* Puts the program on the group, unless there is one.  What the host still has to open in the name of a
 * process of the group, block devices that it mounts, comes before.  A kernel without such programs, or a
 * caller that may not have them, is no error: the jail is without the second line, and os_audit_jail() says
 * so. */
int device_guard(int group, struct err *e);
/* Takes the kernel such programs from the caller? */
int device_supported(struct err *e);
/* Does any such program hold for the group, its own or from above?  False also where it cannot be asked. */
bool device_guarded(int group);

#endif
