/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References to running jails on Linux: the pid of the first process with its start time, the inode of
 * its pid namespace, the boot.  A pid alone may be somebody else's by now.
 */
#ifndef BRIG_OS_LINUX_INSTANCE_REF_H
#define BRIG_OS_LINUX_INSTANCE_REF_H

#include <sys/types.h>

#include "os/instance.h"

/* For a process whose pid cannot be used again meanwhile: a child that was not waited for. */
int ref_make(pid_t pid, struct os_ref *ret, struct err *e);
/* The first process' directory in /proc: it stays that process' for good, and reads fail with ESRCH once it
 * is gone.  -ESRCH when the jail is gone. */
int ref_open(const struct os_ref *ref, int *ret_procfd);
/* A pidfd of the first process; -ESRCH when the jail is gone. */
int ref_pidfd(const struct os_ref *ref, int *ret_pidfd);
/* Calls each() for every process in the pid namespace of the reference, with its directory in /proc and its pid as the
 * host counts. */
int ref_each_process(const struct os_ref *ref, void (*each)(void *ctx, int procfd, int pid), void *ctx, struct err *e);
/* What ref_open() and ref_pidfd() have returned, with a message. */
int ref_error(int r, struct err *e);

#endif
