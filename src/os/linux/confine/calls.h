/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call that is known, and what a jail may do with it: data for filter.c.  A call that is not
 * here fails with ENOSYS, as on a kernel without it; t_filter fails when the installed headers have such a
 * call.
 *
 * Names are libseccomp's, which has those of all architectures: a call that this one lacks has a negative
 * number.
 */
#ifndef BRIG_OS_LINUX_CONFINE_CALLS_H
#define BRIG_OS_LINUX_CONFINE_CALLS_H

#include <stddef.h>
#include <stdint.h>

enum call_rule {
	CALL_UNKNOWN, /* ENOSYS */
	CALL_ALLOW,
	CALL_DENY,   /* EPERM */
	CALL_ABSENT, /* ENOSYS: the caller is to go on with an older call, or no kernel has it any more */
	/* by their arguments */
	CALL_CLONE,
	CALL_UNSHARE,
	CALL_PERSONALITY,
	CALL_IOCTL,
	CALL_SOCKET,
	CALL_SETRLIMIT,
	CALL_PRLIMIT,
	/* EPERM unless a parameter opens them */
	CALL_DEBUG,
	CALL_HOSTNAME,
	CALL_MSGBUF,
	CALL_IO_URING,
	CALL_KEYRING,
	CALL_NUMA,
};

/* One call, or several of one rule. */
struct call_group {
	enum call_rule rule;
	const int *nr;
	size_t n;
};
extern const struct call_group call_groups[];
extern const size_t call_groups_len;
/* The rule of a number of this architecture. */
enum call_rule call_rule(int nr);

#endif
