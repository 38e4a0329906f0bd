/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls that the C library does not wrap.  Each returns >= 0, or -1 and errno.
 */
#ifndef BRIG_OS_LINUX_HOST_SYSCALLS_H
#define BRIG_OS_LINUX_HOST_SYSCALLS_H

#include <linux/keyctl.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* clone3(2) as fork(2), Linux 5.3: the child returns from it, too, with a copy of the memory.  With
 * CLONE_PARENT exit_signal must be 0; the child has the caller's. */
static inline pid_t
sys_clone(uint64_t flags, int exit_signal)
{
	struct clone_args args = {.flags = flags, .exit_signal = (uint64_t)exit_signal};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* The same, born in a control group (version 2, a descriptor of its directory), Linux 5.7. */
static inline pid_t
sys_clone_into(int group, int exit_signal)
{
	struct clone_args args = {
	    .flags = CLONE_INTO_CGROUP, .exit_signal = (uint64_t)exit_signal, .cgroup = (uint64_t)group};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* pivot_root(2): with "." twice the old root is mounted on top of the new one, ready to be unmounted. */
static inline int
sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

/* A new and empty session keyring, keyctl(2). */
static inline int
sys_keyctl_new_session(void)
{
	return (int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
}

#endif
