/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree becomes "/", with no way back (chroot(2), then no CAP_SYS_CHROOT and no descriptor of anything
 * else), in a network namespace without interfaces.  Of the capabilities those stay that are needed to set
 * owners, modes and attributes (capabilities(7)), of the system calls (seccomp(2)) those that write files:
 * no program can be run, no library mapped, no other process reached.  So all libraries and tables must be
 * loaded before: afterwards they would be read from the tree.
 */
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "import/import.h"

static int
keep_caps(void)
{
	static const cap_value_t keep[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_SETFCAP};
	cap_t caps = cap_init(), have = cap_get_proc();
	int r = caps && have ? 0 : -1;

	for (size_t i = 0; i < ARRAY_LEN(keep) && r == 0; i++) {
		cap_flag_value_t on = CAP_CLEAR;

		if (cap_get_flag(have, keep[i], CAP_PERMITTED, &on) < 0 || on != CAP_SET)
			continue;
		r = cap_set_flag(caps, CAP_PERMITTED, 1, &keep[i], CAP_SET);
		if (r == 0)
			r = cap_set_flag(caps, CAP_EFFECTIVE, 1, &keep[i], CAP_SET);
	}
	if (r == 0)
		r = cap_set_proc(caps);
	(void)cap_free(caps);
	(void)cap_free(have);
	return r;
}

/* Allows what filling a directory and reading an open file needs, and no call for processes, sockets, mounts,
 * devices or programs. */
static int
filter(bool image)
{
	/* for whiteouts, and for directories that are in several layers; recvmsg (below) is allowed on
	 * descriptor 0 alone, the request socket (image.h) */
	static const int layers[] = {SCMP_SYS(getdents64), SCMP_SYS(flistxattr), SCMP_SYS(fremovexattr)};
	static const int yes[] = {
	    /* the archive, the files, the report */
	    SCMP_SYS(read),
	    SCMP_SYS(readv),
	    SCMP_SYS(write),
	    SCMP_SYS(writev),
	    SCMP_SYS(pwrite64),
	    SCMP_SYS(lseek),
	    SCMP_SYS(close),
	    SCMP_SYS(fcntl),
	    SCMP_SYS(fstat),
	    SCMP_SYS(newfstatat),
	    SCMP_SYS(statx),
	    SCMP_SYS(openat),
	    SCMP_SYS(openat2),
	    SCMP_SYS(mkdirat),
	    SCMP_SYS(unlinkat),
	    SCMP_SYS(linkat),
	    SCMP_SYS(symlinkat),
	    SCMP_SYS(ftruncate),
	    SCMP_SYS(fchown),
	    SCMP_SYS(fchownat),
	    SCMP_SYS(fchmod),
	    SCMP_SYS(utimensat),
	    SCMP_SYS(fsetxattr),
	    /* the libraries */
	    SCMP_SYS(brk),
	    SCMP_SYS(munmap),
	    SCMP_SYS(mremap),
	    SCMP_SYS(madvise),
	    SCMP_SYS(futex),
	    SCMP_SYS(getrandom),
	    SCMP_SYS(clock_gettime),
	    SCMP_SYS(gettimeofday),
	    SCMP_SYS(time),
	    SCMP_SYS(getpid),
	    SCMP_SYS(gettid),
	    SCMP_SYS(getuid),
	    SCMP_SYS(geteuid),
	    SCMP_SYS(rt_sigaction),
	    SCMP_SYS(rt_sigprocmask),
	    SCMP_SYS(rt_sigreturn),
	    SCMP_SYS(restart_syscall),
	    SCMP_SYS(exit),
	    SCMP_SYS(exit_group),
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_LEN(yes) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, yes[i], 0);
	for (size_t i = 0; i < ARRAY_LEN(layers) && image && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, layers[i], 0);
	if (r == 0 && image)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(recvmsg), 1, SCMP_A0(SCMP_CMP_EQ, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* abort(3) */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

/* Limits memory (the archive determines a decompressor's window) and CPU time (enough for a few hundred
 * GiB). */
static int
limit_itself(void)
{
	const struct rlimit none = {0, 0}, memory = {1u << 30, 1u << 30}, seconds = {7200, 7200};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_DATA, &memory) < 0 ||
	    setrlimit(RLIMIT_CPU, &seconds) < 0)
		return -1;
	return 0;
}

int
confine(int *top_fd, bool image, struct err *e)
{
	int top;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || limit_itself() < 0 ||
	    (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0 && errno != EPERM))
		return err_sys(e, errno, "confine brig-import");
	if (fchdir(*top_fd) < 0)
		return err_sys(e, errno, "open the directory to fill");
	if (chroot(".") < 0 && errno != EPERM)
		return err_sys(e, errno, "confine brig-import");
	top = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return err_sys(e, errno, "open the directory to fill");
	fd_close(*top_fd);
	*top_fd = top;
	if (keep_caps() < 0 || filter(image) < 0)
		return err_set(e, EPERM,
			       "confine brig-import: capabilities or system calls cannot be limited");
	return 0;
}
