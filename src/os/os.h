/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interface to the host: this header and those that it includes.  The code above it is the same on every
 * system; os/linux implements it (namespaces, id-mapped mounts), os/fake does so in memory for tests, and
 * os/freebsd will (jail(8), nullfs).  The build picks one.  Its callers do not name mechanisms of one system.
 *
 * Rules: every function returns >= 0 or -errno with a message; removal functions are idempotent, work from
 * names alone (the maker may be dead) and succeed when there is nothing left to remove; nothing is made that
 * a removal function cannot find again from struct os_id, the specification and the reference.
 */
#ifndef BRIG_OS_OS_H
#define BRIG_OS_OS_H

#include "os/audit.h"
#include "os/exec.h"
#include "os/host.h"
#include "os/instance.h"
#include "os/limits.h"
#include "os/network.h"
#include "os/space.h"
#include "os/watch.h"

#endif
