/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree becomes "/", with no way back (chroot(2) without CAP_SYS_CHROOT and without descriptors of
 * anything else), in a network namespace without a network; of root's capabilities those stay that owners,
 * modes and attributes need (capabilities(7)); no program can be run, no library mapped, no other process
 * reached (seccomp(2)): what would be loaded now would come out of the tree.
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

static int
filter(void)
{
	static const int no[] = {
	    SCMP_SYS(execve),
	    SCMP_SYS(execveat),
	    SCMP_SYS(fork),
	    SCMP_SYS(vfork),
	    SCMP_SYS(socket),
	    SCMP_SYS(connect),
	    SCMP_SYS(ptrace),
	    SCMP_SYS(kill),
	    SCMP_SYS(tkill),
	    SCMP_SYS(pidfd_open),
	    SCMP_SYS(mount),
	    SCMP_SYS(umount2),
	    SCMP_SYS(chroot),
	    SCMP_SYS(unshare),
	    SCMP_SYS(setns),
	    SCMP_SYS(mknod),
	    SCMP_SYS(mknodat),
	    SCMP_SYS(bpf),
	    SCMP_SYS(keyctl),
	    SCMP_SYS(open_by_handle_at),
	    SCMP_SYS(process_vm_writev),
	    SCMP_SYS(io_uring_setup),
	    SCMP_SYS(userfaultfd),
	    SCMP_SYS(perf_event_open),
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_LEN(no) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), no[i], 0);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

int
confine(int *top_fd, struct err *e)
{
	const struct rlimit none = {0, 0};
	int top;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setrlimit(RLIMIT_CORE, &none);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "confine brig-import");
	(void)unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC);
	if (fchdir(*top_fd) < 0)
		return err_sys(e, errno, "open the directory to fill");
	if (chroot(".") < 0 && errno != EPERM)
		return err_sys(e, errno, "confine brig-import");
	top = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return err_sys(e, errno, "open the directory to fill");
	fd_close(*top_fd);
	*top_fd = top;
	if (keep_caps() < 0 || filter() < 0)
		return err_set(e, EPERM,
			       "confine brig-import: capabilities or system calls cannot be limited");
	return 0;
}
