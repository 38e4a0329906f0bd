/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user namespace of a jail: its ids 0 to 65535 are IDBASE to IDBASE+65535 on the host
 * (user_namespaces(7)).
 */
#ifndef BRIG_OS_LINUX_INSTANCE_USERNS_H
#define BRIG_OS_LINUX_INSTANCE_USERNS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define JAIL_IDS 65536

/* The directory of one process in the host's /proc, which must really be procfs: what is written there
 * must not go into an ordinary file (CVE-2025-52881). */
int proc_dir(pid_t pid, int *ret_fd, struct err *e);
/* A namespace of the process of proc_dir(): "user", "pid", "net"... */
int proc_ns(int procfd, const char *ns, int *ret_fd, struct err *e);
/*
 * clone3(2) with CLONE_NEWUSER and flags, as sys_clone(); the owner of the new user namespace is user idbase.
 *
 * The owner is the effective user id of the process that makes it, and what the kernel counts by user
 * (inotify instances, timers and pending signals, POSIX message queues, locked memory, namespaces:
 * /proc/sys/user, getrlimit(2)) it also counts for the owner of each user namespace on the way up.  If that
 * were the host's root, what one jail uses would be missing to the others and to the host.
 *
 * The change of ids resets PR_SET_PDEATHSIG and PR_SET_DUMPABLE, in the caller too (prctl(2)).
 */
pid_t userns_birth(uint64_t flags, uint32_t idbase);
/* Gives the process of proc_dir(), alone in a new user namespace, its ids. */
int userns_map(int procfd, uint32_t idbase, struct err *e);
/* Makes the calling process root of the user namespace fd (<0: of the one it is in); there is no way back. */
int userns_become_root(int fd, struct err *e);

#endif
