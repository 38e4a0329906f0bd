/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a function does to a disk, in order, as a text: each call that changes a name, each sync and each lock is
 * a line.  So a test can say which write must come before which, and that it is synced in between.
 *
 *	lock run/lock/registry		flock(2)
 *	make a/b			open(2) with O_CREAT, mkdir(2)
 *	link a/b			link(2), symlink(2)
 *	write a/b			a temporary file is renamed to a/b
 *	move a/b c/d			any other rename; "swap" with RENAME_EXCHANGE
 *	remove a/b
 *	sync a/b			fsync(2), fdatasync(2); of a temporary file: of what it becomes
 *	sync all of a			syncfs(2)
 *	own a/b, mode a/b		chown(2) and chmod(2) by name
 */
#ifndef BRIG_TEST_TRACE_H
#define BRIG_TEST_TRACE_H

#include <linux/fs.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "scratch.h"

/* The string at an address of the traced process. */
static void
trace_text(pid_t pid, uint64_t addr, char buf[4096])
{
	struct iovec to = {buf, 1}, from = {(void *)(uintptr_t)addr, 1};

	for (size_t i = 0; i < 4095; i++, addr++) {
		to.iov_base = buf + i;
		from.iov_base = (void *)(uintptr_t)addr;
		if (process_vm_readv(pid, &to, 1, &from, 1, 0) != 1)
			break;
		if (buf[i] == '\0')
			return;
	}
	buf[0] = '\0';
}

/* ".tmp.NAME.RANDOM" is NAME; below the scratch directory names are relative.  true: it was a temporary one. */
static bool
trace_plain(char *path)
{
	size_t n = strlen(top);
	char *tmp, *dot;

	if (strncmp(path, top, n) == 0 && path[n] == '/')
		memmove(path, path + n + 1, strlen(path + n + 1) + 1);
	n = strlen(path);
	if (n > 2 && streq(path + n - 2, "/."))
		path[n - 2] = '\0';
	tmp = strstr(path, "/.tmp.");
	if (!tmp)
		return false;
	memmove(tmp + 1, tmp + 6, strlen(tmp + 6) + 1);
	dot = strrchr(tmp, '.');
	if (dot)
		*dot = '\0';
	return true;
}

static bool
trace_fd(pid_t pid, int fd, char buf[8192])
{
	char link[64];
	ssize_t n;

	if (fd == AT_FDCWD)
		(void)snprintf(link, sizeof(link), "/proc/%d/cwd", pid);
	else
		(void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, fd);
	n = readlink(link, buf, 4095);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* The path that descriptor and name lead to. */
static bool
trace_path(pid_t pid, uint64_t fd, uint64_t addr, char buf[8192])
{
	char name[4096];

	trace_text(pid, addr, name);
	if (name[0] == '/')
		(void)snprintf(buf, 8192, "%s", name);
	else if (trace_fd(pid, (int)fd, buf))
		(void)snprintf(buf + strlen(buf), 8192 - strlen(buf), "/%s", name);
	return trace_plain(buf);
}

/* One call, before it is made: what it would be as a line, or "". */
static void
trace_line(pid_t pid, const struct __ptrace_syscall_info *info, char line[16500])
{
	const uint64_t *a = info->entry.args;
	char p[8192] = "", q[8192] = "";
	bool tmp;

	line[0] = '\0';
	switch (info->entry.nr) {
	case SYS_flock:
		if ((a[1] & LOCK_UN) || !trace_fd(pid, (int)a[0], p))
			return;
		(void)trace_plain(p);
		(void)snprintf(line, 16500, "lock %s\n", p);
		return;
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_syncfs:
		(void)trace_fd(pid, (int)a[0], p);
		(void)trace_plain(p);
		(void)snprintf(line, 16500, "sync %s%s\n", info->entry.nr == SYS_syncfs ? "all of " : "", p);
		return;
	case SYS_openat:
	case SYS_openat2: /* of which none makes a file */
		if (trace_path(pid, a[0], a[1], p))
			return;
		(void)snprintf(line, 16500, "%s %s\n",
			       info->entry.nr == SYS_openat && (a[2] & O_CREAT) ? "make" : "open", p);
		return;
	case SYS_fchownat:
		(void)trace_path(pid, a[0], a[1], p);
		(void)snprintf(line, 16500, "own %s\n", p);
		return;
	case SYS_fchmodat:
#ifdef SYS_fchmodat2
	case SYS_fchmodat2:
#endif
		(void)trace_path(pid, a[0], a[1], p);
		(void)snprintf(line, 16500, "mode %s\n", p);
		return;
	case SYS_mkdirat:
		(void)trace_path(pid, a[0], a[1], p);
		(void)snprintf(line, 16500, "make %s\n", p);
		return;
	case SYS_symlinkat:
		if (!trace_path(pid, a[1], a[2], p))
			(void)snprintf(line, 16500, "link %s\n", p);
		return;
	case SYS_linkat:
		(void)trace_path(pid, a[2], a[3], p);
		(void)snprintf(line, 16500, "link %s\n", p);
		return;
	case SYS_unlinkat:
		(void)trace_path(pid, a[0], a[1], p);
		(void)snprintf(line, 16500, "remove %s\n", p);
		return;
	case SYS_renameat:
	case SYS_renameat2:
		tmp = trace_path(pid, a[0], a[1], p);
		(void)trace_path(pid, a[2], a[3], q);
		if (tmp)
			(void)snprintf(line, 16500, "write %s\n", q);
		else
			(void)snprintf(line, 16500, "%s %s %s\n",
				       info->entry.nr == SYS_renameat2 && (a[4] & RENAME_EXCHANGE) ? "swap"
												   : "move",
				       p, q);
		return;
	default:
		return;
	}
}

/* Runs fn in a child and gives what it did; calls that failed are left out.  before is told of each call that is
 * about to be made, also of "open a/b", and may do something at that moment; NULL: nothing. */
static char *
traced(void (*fn)(void), void (*before)(const char *line))
{
	struct __ptrace_syscall_info info;
	_auto_free char *line = xcalloc(1, 16500);
	struct buf all = BUF_INIT;
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 && raise(SIGSTOP) == 0);
		fn();
		_exit(0);
	}
	buf_adds(&all, "");
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
	for (;;) {
		CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
		CHECK(waitpid(pid, &status, 0) == pid);
		if (!WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80) ||
		    ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
			continue;
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			trace_line(pid, &info, line);
			if (line[0] && before)
				before(line);
		} else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
			if (!info.exit.is_error && !str_after(line, "open "))
				buf_adds(&all, line);
			line[0] = '\0';
		}
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return buf_take(&all);
}

#endif
