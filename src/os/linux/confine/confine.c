/* SPDX-License-Identifier: BSD-2-Clause */
#include <linux/landlock.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "os/linux/confine/confine.h"
#include "os/linux/confine/filter.h"

#define BIT(cap) (UINT64_C(1) << (cap))

/* What services need that start as root and become somebody else.  Not among them: what configures the
 * network, devices or mounts, other processes' memory, files by handle (CAP_DAC_READ_SEARCH). */
#define CAPS_ALWAYS                                                                                      \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_KILL) |    \
	 BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) | BIT(CAP_SYS_CHROOT) | BIT(CAP_SETFCAP) | \
	 BIT(CAP_AUDIT_WRITE))

#define MEMLOCK (8u << 20)
#define NOFILE_SOFT 1024u
#define NOFILE_HARD 524288u
#define STACK_SOFT (8u << 20)
#define MSGQUEUE 819200u

/* The seccomp program: made once, inherited over fork(2). */
static struct sock_fprog program;
static unsigned program_key;

static bool
own_network(const struct jailspec *spec)
{
	return spec->ip4 != SHARE_INHERIT && spec->ip6 != SHARE_INHERIT;
}

uint64_t
confine_caps(const struct jailspec *spec)
{
	uint64_t caps = CAPS_ALWAYS;

	if (spec->allow.reserved_ports)
		caps |= BIT(CAP_NET_BIND_SERVICE);
	if (spec->allow.raw_sockets)
		caps |= BIT(CAP_NET_RAW);
	if (own_network(spec) && (spec->allow.routing || spec->vnet))
		caps |= BIT(CAP_NET_ADMIN);
	if (spec->allow.proc_debug)
		caps |= BIT(CAP_SYS_PTRACE);
	return caps;
}

int
confine_prepare(const struct jailspec *spec, struct err *e)
{
	unsigned key = filter_key(spec);
	struct sock_fprog fresh;
	int r;

	if (program.filter && program_key == key)
		return 0;
	r = filter_make(key, &fresh, e);
	if (r < 0)
		return r;
	free(program.filter);
	program = fresh;
	program_key = key;
	return 0;
}

/*
 * What the caller's shell may have set (ulimit) does not reach a jail, except where a hard limit is lower.
 * Core size 1, not 0: a program in core_pattern is run on the host, as root, also with 0 and not with 1,
 * core(5).  The filter keeps it so.
 */
int
confine_limits(const struct jailspec *spec, struct err *e)
{
	const struct {
		int resource;
		const char *name;
		rlim_t soft, hard;
	} limits[] = {
	    {RLIMIT_CORE, "core", spec->allow.coredump ? RLIM_INFINITY : 1,
	     spec->allow.coredump ? RLIM_INFINITY : 1},
	    {RLIMIT_NOFILE, "nofile", NOFILE_SOFT, NOFILE_HARD},
	    {RLIMIT_MEMLOCK, "memlock", spec->allow.mlock ? RLIM_INFINITY : MEMLOCK,
	     spec->allow.mlock ? RLIM_INFINITY : MEMLOCK},
	    {RLIMIT_MSGQUEUE, "msgqueue", MSGQUEUE, MSGQUEUE},
	    {RLIMIT_STACK, "stack", STACK_SOFT, RLIM_INFINITY},
	    {RLIMIT_CPU, "cpu", RLIM_INFINITY, RLIM_INFINITY},
	    {RLIMIT_FSIZE, "fsize", RLIM_INFINITY, RLIM_INFINITY},
	    {RLIMIT_DATA, "data", RLIM_INFINITY, RLIM_INFINITY},
	    {RLIMIT_AS, "as", RLIM_INFINITY, RLIM_INFINITY},
	    {RLIMIT_NPROC, "nproc", RLIM_INFINITY, RLIM_INFINITY},
	    {RLIMIT_SIGPENDING, "sigpending", RLIM_INFINITY, RLIM_INFINITY},
	    {RLIMIT_NICE, "nice", 0, 0},
	    {RLIMIT_RTPRIO, "rtprio", 0, 0},
	    {RLIMIT_RTTIME, "rttime", RLIM_INFINITY, RLIM_INFINITY},
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct rlimit now, l = {limits[i].soft, limits[i].hard};

		if (getrlimit((__rlimit_resource_t)limits[i].resource, &now) < 0)
			return err_sys(e, errno, "read limit %s", limits[i].name);
		/* without CAP_SYS_RESOURCE on the host, to ask for more than the hard limit is an error */
		if (l.rlim_max > now.rlim_max)
			l.rlim_max = now.rlim_max;
		if (l.rlim_cur > l.rlim_max)
			l.rlim_cur = l.rlim_max;
		if (setrlimit((__rlimit_resource_t)limits[i].resource, &l) < 0)
			return err_sys(e, errno, "set limit %s", limits[i].name);
	}
	return 0;
}

int
confine_landlock(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? -errno : (int)abi;
}

/*
 * Names of abstract UNIX sockets belong to a network namespace: a jail with the host's could connect to
 * those of every daemon of the host (CVE-2020-15257).  A scoped Landlock domain lets it connect only to
 * sockets made in the domain.
 *
 * Only there, because a domain is inherited and cannot be joined: what brig starts later (exec) is in one of
 * its own, and cannot connect to the abstract sockets of the jail's services, nor look into their /proc/PID.
 * For the same reason the scope of signals is left out: `brig exec www kill PID`, and TERM from the first
 * process to what exec has started, would fail; the pid namespace says what a jail can signal.
 *
 * A kernel without it (before Linux 6.12, or not switched on) has no other means; that is no error.
 */
static int
scope_sockets(struct err *e)
{
	/* as of Linux 6.12; older headers end before `scoped` */
	const struct {
		uint64_t fs, net, scoped;
	} rules = {.scoped = 1 /* LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET */};
	_auto_close int fd = -EBADF;

	if (confine_landlock() < CONFINE_LANDLOCK_SCOPES)
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return err_sys(e, errno, "keep the jail from abstract sockets (landlock)");
	return 0;
}

static int
drop_bounding(uint64_t keep, struct err *e)
{
	for (unsigned c = 0; c < 64; c++) {
		if ((keep & BIT(c)) || prctl(PR_CAPBSET_DROP, c, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL && prctl(PR_CAPBSET_READ, c, 0, 0, 0) < 0)
			break; /* c is above the kernel's last capability */
		return err_sys(e, errno, "drop capability %u", c);
	}
	return 0;
}

/* Permitted and effective: those of keep that are permitted now.  Inheritable: none. */
static int
set_caps(uint64_t keep, struct err *e)
{
	cap_t now = cap_get_proc(), want = cap_init();
	int r = now && want ? 0 : -ENOMEM;

	for (cap_value_t c = 0; r == 0 && c < 64 && CAP_IS_SUPPORTED(c); c++) {
		cap_flag_value_t have = CAP_CLEAR;

		if (cap_get_flag(now, c, CAP_PERMITTED, &have) < 0)
			r = -errno;
		else if (have == CAP_SET && (keep & BIT(c)) &&
			 (cap_set_flag(want, CAP_PERMITTED, 1, &c, CAP_SET) < 0 ||
			  cap_set_flag(want, CAP_EFFECTIVE, 1, &c, CAP_SET) < 0))
			r = -errno;
	}
	if (r == 0 && cap_set_proc(want) < 0)
		r = -errno;
	(void)cap_free(now);
	(void)cap_free(want);
	return r < 0 ? err_sys(e, -r, "set capabilities") : 0;
}

/* Asks the kernel what is in force.  A capability can be ambient only if it is inheritable. */
static int
verify(const struct jailspec *spec, uint64_t keep, struct err *e)
{
	cap_t now = cap_get_proc();

	if (!now)
		return err_sys(e, errno, "read capabilities");
	for (cap_value_t c = 0; c < 64 && CAP_IS_SUPPORTED(c); c++) {
		bool may = keep & BIT(c);
		cap_flag_value_t p = CAP_SET, f = CAP_SET, i = CAP_SET;

		(void)cap_get_flag(now, c, CAP_PERMITTED, &p);
		(void)cap_get_flag(now, c, CAP_EFFECTIVE, &f);
		(void)cap_get_flag(now, c, CAP_INHERITABLE, &i);
		if (i == CAP_SET || (!may && (p == CAP_SET || f == CAP_SET || cap_get_bound(c) == CAP_SET))) {
			(void)cap_free(now);
			return err_set(e, EPERM, "capability %d is still there", c);
		}
	}
	(void)cap_free(now);
	if (!spec->allow.suid && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return err_set(e, EPERM, "no_new_privs is not set");
	/* without the filter setns(2) would fail with EBADF */
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER || syscall(SYS_setns, -1, 0) != -1 ||
	    errno != EPERM)
		return err_set(e, EPERM, "the system call filter is not in force");
	return 0;
}

/*
 * The order: the bounding set while CAP_SETPCAP is there; no_new_privs before Landlock and the
 * filter, which an unprivileged process may only then load (with allow.suid CAP_SYS_ADMIN over the user
 * namespace is what lets it, so the capabilities go after the filter).
 */
int
confine(const struct jailspec *spec, struct err *e)
{
	uint64_t keep = confine_caps(spec);
	int r;

	r = confine_prepare(spec, e);
	if (r < 0)
		return r;
	r = drop_bounding(keep, e);
	if (r < 0)
		return r;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(e, errno, "clear ambient capabilities");
	if (!spec->allow.suid && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "set no_new_privs");
	if (!own_network(spec) && !spec->allow.abstract_unix && scope_sockets(e) < 0)
		return -e->num;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return err_sys(e, errno, "load the system call filter");
	r = set_caps(keep, e);
	return r < 0 ? r : verify(spec, keep, e);
}
