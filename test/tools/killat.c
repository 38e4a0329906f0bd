/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * killat N COMMAND [ARG...]: runs the command and, at the N-th system call that changes something, kills the
 * process that makes it with SIGKILL, before the call is done.  Calls are counted over the command and all
 * that it forks; brig-init is let go when it is executed (the jail is not what is tested).
 *
 * Exit status: 0 killed; 1 the command ended before its N-th call (so that a loop knows that it is through);
 * 2 this program failed.  ptrace(2), PTRACE_GET_SYSCALL_INFO (Linux 5.3).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/num.h"

static const long changing[] = {
    SYS_clone,
    SYS_clone3,
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_open_tree,
    SYS_move_mount,
    SYS_mount_setattr,
    SYS_fsopen,
    SYS_fsmount,
    SYS_fsconfig,
    SYS_mkdirat,
    SYS_symlinkat,
    SYS_linkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_unlinkat,
    SYS_mknodat,
    SYS_fchown,
    SYS_fchownat,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_utimensat,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_write,
    SYS_pwrite64,
    SYS_sendto,
    SYS_sendmsg,
    SYS_fsync,
    SYS_syncfs,
    SYS_flock,
    SYS_execve,
    SYS_execveat,
    SYS_kill,
    SYS_pidfd_send_signal,
    SYS_copy_file_range,
    SYS_fsetxattr,
    SYS_exit_group,
    SYS_close_range,
#ifdef SYS_fork /* calls that newer architectures do not have */
    SYS_fork,
    SYS_vfork,
    SYS_mkdir,
    SYS_rmdir,
    SYS_unlink,
    SYS_rename,
    SYS_symlink,
    SYS_chmod,
    SYS_chown,
#endif
};

static int
changes(unsigned long long nr)
{
	for (size_t i = 0; i < sizeof(changing) / sizeof(changing[0]); i++)
		if ((unsigned long long)changing[i] == nr)
			return 1;
	return 0;
}

static int
is_init(pid_t pid)
{
	char link[64], exe[4096];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, exe, sizeof(exe) - 1);
	if (n < 0)
		return 0;
	exe[n] = '\0';
	return n > 10 && strcmp(exe + n - 10, "/brig-init") == 0;
}

/* One stop of one process: *left counts down.  1: the process was killed. */
static int
stopped(pid_t pid, int status, unsigned long long *left)
{
	struct __ptrace_syscall_info info;
	int sig = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_EXEC && is_init(pid)) {
		(void)ptrace(PTRACE_DETACH, pid, 0, 0);
		return 0;
	}
	if (sig == (SIGTRAP | 0x80)) {
		sig = 0;
		if (*left > 0 && ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
		    info.op == PTRACE_SYSCALL_INFO_ENTRY && changes(info.entry.nr) && --*left == 0) {
			(void)kill(pid, SIGKILL);
			return 1;
		}
	} else if (event || sig == SIGSTOP || sig == SIGTRAP) {
		sig = 0; /* a new process, or an event of ours */
	}
	(void)ptrace(PTRACE_SYSCALL, pid, 0, sig);
	return 0;
}

int
main(int argc, char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	int status, killed = 0;
	uint64_t n;
	unsigned long long left;
	pid_t pid, p;

	if (argc < 3 || num_u64(argv[1], UINT64_MAX, &n) < 0)
		return 2;
	left = n;
	pid = fork();
	if (pid == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, 0, 0);
		(void)raise(SIGSTOP);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || ptrace(PTRACE_SETOPTIONS, pid, 0, options) < 0 ||
	    ptrace(PTRACE_SYSCALL, pid, 0, 0) < 0)
		return 2;
	/* until everything that is traced has ended: what the killed one leaves behind goes its own way */
	while ((p = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR)
		if (p > 0 && WIFSTOPPED(status))
			killed |= stopped(p, status, &left);
	return killed ? 0 : 1;
}
