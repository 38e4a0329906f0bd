/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first process of a jail, from clone3(2) into a new user and pid namespace until it executes brig-init.
 * Nothing that the jail could have changed has run yet.
 *
 * The order, and why:
 *  1 die with the creator		so that no jail is left that nobody knows of
 *  2 wait for the id maps		without them it cannot become the jail's root (5)
 *  3 no user namespaces below		through the host's /proc, which the builder has opened: "/proc" may
 *					be the jail's already
 *  4 network, IPC, UTS, cgroup		owned by the jail's user namespace.  With keep (build.h) the user and
 *					network namespace are the running instance's.  Then the seccomp
 *					program is made, while the builder mounts
 *  5 become the jail's root		before it has mounts of its own: from here on it reaches files as the
 *					jail's root does, not as the host's
 *  6 wait for the mounts		the builder's pivot_root(2) has changed the root of this process, too
 *  7 mount namespace			a copy that the jail's user namespace owns: every mount is locked
 *  8 "/", checked with getcwd(2)	"(unreachable)" would be outside of the jail (CVE-2024-21626)
 *  9 keyring, session, limits, signals	nothing of the caller's is left
 * 10 descriptors			3 to 6 as init/proto.h has them, nothing else
 * 11 confine				capabilities, no_new_privs, seccomp
 * 12 brig-init, by descriptor		it is a file of the host, not of the tree
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/mem.h"
#include "init/proto.h"
#include "os/linux/instance/build.h"
#include "os/linux/confine/confine.h"
#include "os/linux/host/syscalls.h"
#include "os/linux/instance/userns.h"

/* The two that brig-init does not get: they are closed on exec. */
#define FD_REPORT (INIT_FD_STATUS + 1)
#define FD_EXE (INIT_FD_STATUS + 2)

void
report_err(int fd, const struct err *e)
{
	struct report r = {.e = *e};

	(void)!write(fd, &r, sizeof(r));
}

void
die_with_parent(int hangup)
{
	struct pollfd p = {hangup, 0, 0};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR))))
		_exit(1);
}

static int
wait_go(int fd)
{
	char c;
	ssize_t n;

	while ((n = read(fd, &c, 1)) < 0 && errno == EINTR)
		;
	return n == 1 ? 0 : -EPIPE;
}

/* Lets every group of the jail send ICMP echo requests (ping(8)) without CAP_NET_RAW, by a datagram
 * socket: icmp(7).  Only in a network namespace of the jail's own; a kernel without IPv4 has no such
 * file. */
static void
allow_ping(int proc)
{
	int groups = openat(proc, "sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);

	(void)!write(groups, "0 65535", 7);
	fd_close(groups);
}

static int
inside_namespaces(const struct inside *in, struct err *e)
{
	const struct jailspec *s = in->spec;
	const struct keep *keep = in->keep;
	bool own_net = s->ip4 != SHARE_INHERIT && s->ip6 != SHARE_INHERIT;
	int flags = CLONE_NEWCGROUP;
	int none = openat(in->proc, "sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);

	/* the limit of this user namespace.  A failure is no error: the seccomp filter also keeps the
	 * jail from making user namespaces */
	(void)!write(none, "0", 1);
	fd_close(none);
	flags |= own_net && !keep ? CLONE_NEWNET : 0;
	flags |= s->sysvipc != SHARE_INHERIT ? CLONE_NEWIPC : 0;
	flags |= s->host != SHARE_INHERIT ? CLONE_NEWUTS : 0;
	if (unshare(flags) < 0)
		return err_sys(e, errno, "make the jail's namespaces");
	if (own_net && !keep)
		allow_ping(in->proc);
	if (own_net && keep && setns(keep->netns, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "join the network of the jail that runs");
	if (s->host == SHARE_INHERIT)
		return 0;
	if (sethostname(s->hostname, strlen(s->hostname)) < 0)
		return err_sys(e, errno, "host.hostname '%s' (at most 64 bytes)", s->hostname);
	/* a new UTS namespace has the host's; "(none)" is what the kernel calls no domain */
	if (setdomainname(s->domainname ? s->domainname : "(none)",
			  strlen(s->domainname ? s->domainname : "(none)")) < 0)
		return err_sys(e, errno, "host.domainname '%s' (at most 64 bytes)", s->domainname);
	return 0;
}

static int
inside_root(struct err *e)
{
	char cwd[64];

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, errno, "make the jail's mount namespace");
	if (chdir("/") < 0)
		return err_sys(e, errno, "chdir /");
	if (syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0 || cwd[0] != '/')
		return err_set(e, EXDEV, "the working directory is outside the jail");
	return 0;
}

static int
inside_clean(const struct jailspec *s, struct err *e)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	/* ENOSYS: a kernel without keyrings has none to leak */
	if (sys_keyctl_new_session() < 0 && errno != ENOSYS)
		return err_sys(e, errno, "new session keyring");
	if (setsid() < 0)
		return err_sys(e, errno, "new session");
	(void)umask(022);
	if (confine_limits(s, e) < 0)
		return -e->num;
	for (int sig = 1; sig < SIGRTMIN; sig++)
		(void)sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return err_sys(e, errno, "signal mask");
	return 0;
}

static int
place_fd(int fd, int want, int flags)
{
	if (fd < 0)
		return 0;
	return dup3(fd, want, flags) < 0 ? -errno : 0;
}

static int
inside_fds(struct inside *in, struct err *e)
{
	int *all[] = {&in->ctl, &in->log, &in->logrw, &in->status, &in->report, &in->exe};

	/* first above the numbers that they are to have, so that none is overwritten */
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (*all[i] < 0)
			continue;
		*all[i] = fcntl(*all[i], F_DUPFD_CLOEXEC, FD_EXE + 1);
		if (*all[i] < 0)
			return err_sys(e, errno, "descriptors of the first process");
	}
	(void)close_range(0, FD_EXE, 0);
	if (place_fd(in->ctl, INIT_FD_CTL, 0) < 0 || place_fd(in->log, INIT_FD_LOG, 0) < 0 ||
	    place_fd(in->logrw, INIT_FD_LOGRW, 0) < 0 || place_fd(in->status, INIT_FD_STATUS, 0) < 0 ||
	    place_fd(in->report, FD_REPORT, O_CLOEXEC) < 0 || place_fd(in->exe, FD_EXE, O_CLOEXEC) < 0)
		return err_sys(e, errno, "descriptors of the first process");
	if (close_range(FD_EXE + 1, ~0U, 0) < 0)
		return err_sys(e, errno, "close descriptors");
	in->ctl = INIT_FD_CTL;
	in->report = FD_REPORT;
	in->exe = FD_EXE;
	return 0;
}

static int
inside_steps(struct inside *in, struct err *e)
{
	if (inside_namespaces(in, e) < 0 || confine_prepare(in->spec, e) < 0 || userns_become_root(-1, e) < 0)
		return -e->num;
	die_with_parent(in->ctl); /* again: the change of ids has reset it, prctl(2) */
	if (wait_go(in->go) < 0)
		_exit(1); /* the builder has reported why */
	if (inside_root(e) < 0 || inside_clean(in->spec, e) < 0 || inside_fds(in, e) < 0)
		return -e->num;
	return confine(in->spec, e);
}

_Noreturn void
inside_main(struct inside *in)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char home[] = "HOME=/root", lang[] = "LANG=C";
	char *const env[] = {path, home, lang, in->names, NULL};
	struct err e = ERR_INIT;

	die_with_parent(in->ctl);
	if (wait_go(in->go) < 0)
		_exit(1);
	if (inside_steps(in, &e) == 0) {
		(void)syscall(SYS_execveat, in->exe, "", in->argv, env, AT_EMPTY_PATH);
		(void)err_sys(&e, errno, "start brig-init in the jail");
	}
	report_err(in->report, &e);
	_exit(1);
}
