/* SPDX-License-Identifier: BSD-2-Clause */
/* Stopping what changes files at each of its calls: a child is traced (ptrace(2)). */
#ifndef BRIG_TEST_AT_CALL_H
#define BRIG_TEST_AT_CALL_H

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "scratch.h"

static inline bool
changes_files(uint64_t nr)
{
	static const int calls[] = {SYS_linkat,   SYS_renameat,  SYS_renameat2, SYS_unlinkat,
				    SYS_mkdirat,  SYS_symlinkat, SYS_mknodat,   SYS_openat,
				    SYS_openat2,  SYS_fchownat,  SYS_fchown,    SYS_fchmod,
				    SYS_fchmodat, SYS_write,     SYS_fsync,     SYS_syncfs};

	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if ((uint64_t)calls[i] == nr)
			return true;
#ifdef SYS_fchmodat2
	if (nr == SYS_fchmodat2)
		return true;
#endif
	return false;
}

/* Runs fn in a child.  Before its N-th call that changes something: act(), or its end.  0: it had fewer. */
static inline int
at_call(unsigned n, void (*act)(void), void (*fn)(void *ctx), void *ctx)
{
	struct __ptrace_syscall_info info;
	int status, hit = 0;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 && raise(SIGSTOP) == 0);
		fn(ctx);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
	for (;;) {
		CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0 || (hit && !act));
		CHECK(waitpid(pid, &status, 0) == pid);
		if (!WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80) ||
		    ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
		    info.op != PTRACE_SYSCALL_INFO_ENTRY || !changes_files(info.entry.nr) || --n != 0)
			continue;
		hit = 1;
		if (act)
			act();
		else
			CHECK(kill(pid, SIGKILL) == 0);
	}
	CHECK(hit && !act ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return hit;
}

#endif
