/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process of a jail may not do, whoever it is inside: capabilities, no_new_privs, seccomp, limits,
 * and the scope of abstract sockets.
 * The first process (inside.c) and every command run later (attach.c) go through the same function, so `exec`
 * can never be weaker than `start`.
 *
 * Order for the caller, in a process that has left the host's namespaces and is uid 0 of the jail's user
 * namespace, with no descriptor of the host open but those it passes on:
 *
 *	confine_limits(spec, e)		in any order with the namespaces: never goes above a hard limit
 *	confine(spec, e)		last, but for
 *	setgroups, setresgid, setresuid	to another user of the jail: CAP_SETUID is still there, to go with it
 *	execve
 *
 * What allow.* opens:
 *	raw_sockets	CAP_NET_RAW
 *	reserved_ports	off: CAP_NET_BIND_SERVICE is taken away
 *	routing, vnet	CAP_NET_ADMIN over the jail's own network stack, never over the host's
 *	proc_debug	CAP_SYS_PTRACE, ptrace(2), process_vm_*(2), process_madvise(2), kcmp(2), pidfd_getfd(2)
 *	suid		no_new_privs stays off
 *	socket_af	every socket family, type and protocol; otherwise UNIX, INET and INET6 with TCP, UDP,
 *			ICMP (SOCK_RAW: any, with CAP_NET_RAW), and NETLINK_ROUTE
 *	read_msgbuf	syslog(2), as far as kernel.dmesg_restrict lets it
 *	mlock		RLIMIT_MEMLOCK is the caller's hard limit, not 8 MiB
 *	coredump	RLIMIT_CORE is the caller's hard limit, not 1, and it can be set
 *	io_uring	io_uring_*(2)
 *	keyring		keyctl(2), add_key(2), request_key(2); the session keyring is the jail's own
 *	numa		mbind(2), set_mempolicy(2), move_pages(2) and the like
 *	abstract_unix	no Landlock domain for a jail that has the host's network (others have none anyway)
 *	proc_unmasked	procfs.c
 *	set_hostname	sethostname(2) is not filtered.  It still needs CAP_SYS_ADMIN, which no jail gets
 *			(a jail could undo its mounts with it): a running jail's name is the host's to change
 *
 * chflags, adjtime, settime, setaudit and extattr ask for rights that the kernel gives only outside of user
 * namespaces (capabilities(7)): there is nothing to open.
 *
 * Facts: capabilities(7), seccomp(2), user_namespaces(7), landlock(7).
 */
#ifndef BRIG_OS_LINUX_CONFINE_CONFINE_H
#define BRIG_OS_LINUX_CONFINE_CONFINE_H

#include <stdint.h>

#include "base/err.h"
#include "conf/spec.h"

/* Makes the seccomp program, so that a fork(2) inherits it and confine() need not.  Optional. */
int confine_prepare(const struct jailspec *spec, struct err *e);
/* Resource limits of every process of the jail. */
int confine_limits(const struct jailspec *spec, struct err *e);
/* Confines the calling process for good and checks that it worked; on an error the process must end. */
int confine(const struct jailspec *spec, struct err *e);
/* The capabilities that remain, as a mask (1 << CAP_*). */
uint64_t confine_caps(const struct jailspec *spec);
/* The kernel's Landlock ABI, landlock_create_ruleset(2); -errno: none, or not switched on. */
int confine_landlock(void);
#define CONFINE_LANDLOCK_SCOPES 6 /* the one that has scopes */

#endif
