/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faultat [-aov] [-e ERROR [-s]] [-x FILE] N COMMAND [ARG...]: runs the command and spoils its N-th
 * system call.  Calls are counted over the command and all that it forks; brig-init is let go when it is
 * executed (the jail is not what is tested).
 *
 *	(nothing)	the process that makes the call is killed (SIGKILL) before the call is done
 *	-a		... after it is done
 *	-e ERROR	the call is not done and fails: EIO or ENOSPC
 *	-s		... and so does every later one (the disk stays full)
 *	-o		only calls that change a disk are counted; implied by -e
 *	-x FILE		the command's own exit status goes there (128 + N for signal N)
 *	-v		what was spoilt goes to standard error (the first 20)
 *
 * Exit status: 0 done; 1 the command ended before its N-th call (so that a loop knows that it is through);
 * 2 this program failed.
 *
 * Which calls: disk[] below, on regular files and directories of file systems that can be full or broken (not
 * /proc, control groups, pipes, terminals, nor what our own standard files lead to); ENOSPC not for removing.
 * Without -o and -e also other[]: processes, mounts, messages.  There an error would mean something else than
 * a bad disk, so they are for killing only.
 *
 * ptrace(2), PTRACE_GET_SYSCALL_INFO (Linux 5.3).  A call is skipped by giving it the number -1.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/num.h"

#define NONE (-1)
#define TOLD_MAX 20 /* -v: a command that tries for ever must not fill the disk */

/* Arguments that say what a call changes: a descriptor, or a path from a directory's descriptor. */
struct call {
	long nr;
	const char *name;
	int fd, path;
	enum { ANY_ERROR, NEVER_FULL, IF_CREATING, IF_CREATING_HOW } when;
};

#define C(name, ...)                           \
	{                                      \
		SYS_##name, #name, __VA_ARGS__ \
	}

static const struct call disk[] = {
    C(mkdirat, 0, 1),
    C(symlinkat, 1, 2),
    C(linkat, 2, 3),
    C(renameat2, 0, 1),
    C(unlinkat, 0, 1, NEVER_FULL),
    C(mknodat, 0, 1),
    C(openat, 0, 1, IF_CREATING),
    C(openat2, 0, 1, IF_CREATING_HOW),
    C(fchown, 0, NONE),
    C(fchownat, 0, 1),
    C(fchmod, 0, NONE),
    C(fchmodat, 0, 1),
    C(utimensat, 0, 1),
    C(ftruncate, 0, NONE),
    C(fallocate, 0, NONE),
    C(write, 0, NONE),
    C(writev, 0, NONE),
    C(pwrite64, 0, NONE),
    C(pwritev, 0, NONE),
    C(copy_file_range, 2, NONE),
    C(sendfile, 0, NONE),
    C(fsync, 0, NONE),
    C(fdatasync, 0, NONE),
    C(syncfs, 0, NONE),
    C(fsetxattr, 0, NONE),
    C(setxattr, NONE, 0),
    C(lsetxattr, NONE, 0),
    C(fremovexattr, 0, NONE, NEVER_FULL),
    C(removexattr, NONE, 0, NEVER_FULL),
    C(lremovexattr, NONE, 0, NEVER_FULL),
    C(truncate, NONE, 0),
#ifdef SYS_renameat
    C(renameat, 0, 1),
#endif
#ifdef SYS_fchmodat2
    C(fchmodat2, 0, 1),
#endif
#ifdef SYS_mkdir /* calls that newer architectures do not have */
    C(mkdir, NONE, 0),
    C(rmdir, NONE, 0, NEVER_FULL),
    C(unlink, NONE, 0, NEVER_FULL),
    C(rename, NONE, 0),
    C(symlink, NONE, 1),
    C(link, NONE, 1),
    C(mknod, NONE, 0),
    C(chmod, NONE, 0),
    C(chown, NONE, 0),
    C(lchown, NONE, 0),
    C(creat, NONE, 0),
#endif
};

static const struct call other[] = {
    C(clone, NONE, NONE),      C(clone3, NONE, NONE),
    C(unshare, NONE, NONE),    C(setns, 0, NONE),
    C(mount, NONE, 1),         C(umount2, NONE, 0),
    C(pivot_root, NONE, 0),    C(open_tree, 0, 1),
    C(move_mount, 2, 3),       C(mount_setattr, 0, 1),
    C(fsopen, NONE, 0),        C(fsmount, 0, NONE),
    C(fsconfig, 0, NONE),      C(sendto, 0, NONE),
    C(sendmsg, 0, NONE),       C(flock, 0, NONE),
    C(execve, NONE, 0),        C(execveat, 0, 1),
    C(kill, NONE, NONE),       C(pidfd_send_signal, NONE, NONE),
    C(exit_group, NONE, NONE), C(close_range, NONE, NONE),
#ifdef SYS_fork
    C(fork, NONE, NONE),       C(vfork, NONE, NONE),
#endif
};

/* A process in the middle of a spoilt call. */
struct tracee {
	pid_t pid;
	const struct call *call;
};

static struct {
	bool after, sticky, disk_only, verbose;
	int error;
	uint64_t left; /* calls until the one */
	bool hit;
	int told;
	struct tracee *in;
	size_t n, cap;
} opt;

static const struct call *
find(const struct call *table, size_t n, uint64_t nr)
{
	for (size_t i = 0; i < n; i++)
		if ((uint64_t)table[i].nr == nr)
			return &table[i];
	return NULL;
}

/* ---- what a call is about ---- */

static size_t
peek(pid_t pid, uint64_t at, void *buf, size_t size)
{
	struct iovec to = {buf, size}, from = {(void *)(uintptr_t)at, size}; // NOLINT: an address of theirs
	size_t page = 4096 - at % 4096;
	ssize_t n;

	if (size > page) /* what follows may not be mapped */
		from.iov_len = page;
	n = process_vm_readv(pid, &to, 1, &from, 1, 0);
	if (n == (ssize_t)page && size > page)
		n += (ssize_t)peek(pid, at + page, (char *)buf + page, size - page);
	return n < 0 ? 0 : (size_t)n;
}

static bool
peek_path(pid_t pid, const uint64_t *args, const struct call *c, char path[256])
{
	size_t n = peek(pid, args[c->path], path, 255);

	path[n] = '\0';
	return n > 0;
}

/* Where the kernel shows what a call is about, or the directory that its path begins in. */
static void
place(pid_t pid, const uint64_t *args, const struct call *c, char buf[64])
{
	int fd = c->fd == NONE ? AT_FDCWD : (int)args[c->fd];

	if (fd == AT_FDCWD)
		(void)snprintf(buf, 64, "/proc/%d/cwd", pid);
	else
		(void)snprintf(buf, 64, "/proc/%d/fd/%d", pid, fd);
}

static bool
can_break(const char *at)
{
	static const long never[] = {PROC_SUPER_MAGIC,    SYSFS_MAGIC,         CGROUP_SUPER_MAGIC,
				     CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC,  PIPEFS_MAGIC,
				     SOCKFS_MAGIC,        ANON_INODE_FS_MAGIC, NSFS_MAGIC,
				     DEBUGFS_MAGIC,       SECURITYFS_MAGIC};
	struct statfs fs;
	struct stat st, own;

	if (statfs(at, &fs) < 0 || stat(at, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (fs.f_type == never[i])
			return false;
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &own) == 0 && own.st_dev == st.st_dev && own.st_ino == st.st_ino)
			return false;
	return true;
}

static bool
creates(pid_t pid, const uint64_t *args, const struct call *c)
{
	struct open_how how = {0};

	if (c->when == IF_CREATING)
		return args[2] & O_CREAT;
	if (c->when != IF_CREATING_HOW)
		return true;
	return peek(pid, args[2], &how, sizeof(how)) == sizeof(how) && how.flags & O_CREAT;
}

static bool
on_disk(pid_t pid, const uint64_t *args, const struct call *c)
{
	char at[64], path[256];
	const char *rest;
	int fd;

	place(pid, args, c, at);
	if (c->path == NONE)
		return can_break(at);
	if (!peek_path(pid, args, c, path) || !creates(pid, args, c))
		return false;
	rest = str_after(path, "/proc/self/fd/");
	if (rest && num_int(rest, 0, 1 << 20, &fd) == 0)
		(void)snprintf(at, sizeof(at), "/proc/%d/fd/%d", pid, fd);
	else if (str_after(path, "/proc/") || str_after(path, "/sys/") || str_after(path, "/dev/"))
		return false;
	else if (*path == '/')
		(void)snprintf(at, sizeof(at), "/proc/%d/root", pid);
	return can_break(at);
}

/* The call, if it is one of those that count. */
static const struct call *
counts(pid_t pid, const struct __ptrace_syscall_info *info)
{
	const uint64_t *args = (const uint64_t *)info->entry.args;
	const struct call *c = find(disk, ARRAY_LEN(disk), info->entry.nr);

	if (opt.error || opt.disk_only)
		return c && !(opt.error == ENOSPC && c->when == NEVER_FULL) && on_disk(pid, args, c) ? c
												     : NULL;
	if (c)
		return creates(pid, args, c) ? c : NULL;
	return find(other, ARRAY_LEN(other), info->entry.nr);
}

static void
tell(pid_t pid, const struct call *c, const struct __ptrace_syscall_info *info)
{
	const uint64_t *args = (const uint64_t *)info->entry.args;
	char at[64], dir[4096] = "", path[256] = "";
	ssize_t n;

	if (!opt.verbose || opt.told >= TOLD_MAX)
		return;
	opt.told++;
	if (c->fd != NONE || c->path != NONE) {
		place(pid, args, c, at);
		n = readlink(at, dir, sizeof(dir) - 1);
		dir[n > 0 ? n : 0] = '\0';
	}
	if (c->path != NONE)
		(void)peek_path(pid, args, c, path);
	(void)fprintf(stderr, "faultat: %s%s: %s(%s%s%s) of process %d\n",
		      opt.error   ? strerrorname_np(opt.error)
		      : opt.after ? "killed after"
				  : "killed before",
		      opt.error && opt.sticky ? " from now on" : "", c->name, *path == '/' ? "" : dir,
		      *path && *path != '/' ? "/" : "", path, pid);
}

/* ---- changing a call ---- */

#if defined(__x86_64__)
static int
set_register(pid_t pid, bool entry, long value)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
		return -1;
	if (entry)
		regs.orig_rax = (unsigned long long)value;
	else
		regs.rax = (unsigned long long)value;
	return ptrace(PTRACE_SETREGS, pid, 0, &regs) < 0 ? -1 : 0;
}
#elif defined(__aarch64__)
static int
set_register(pid_t pid, bool entry, long value)
{
	struct user_regs_struct regs;
	int nr = (int)value;
	struct iovec io = {&nr, sizeof(nr)};

	if (entry)
		return ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &io) < 0 ? -1 : 0;
	io = (struct iovec){&regs, sizeof(regs)};
	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io) < 0)
		return -1;
	regs.regs[0] = (unsigned long long)value;
	return ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &io) < 0 ? -1 : 0;
}
#else
static int
set_register(pid_t pid, bool entry, long value)
{
	(void)pid, (void)entry, (void)value;
	errno = ENOSYS;
	return -1;
}
#endif

static int
skip_call(pid_t pid)
{
	return set_register(pid, true, -1);
}

static int
set_result(pid_t pid, long result)
{
	return set_register(pid, false, result);
}

static void
die(const char *what)
{
	(void)fprintf(stderr, "faultat: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void
remember(pid_t pid, const struct call *c)
{
	GROW(opt.in, opt.n, opt.cap);
	opt.in[opt.n++] = (struct tracee){pid, c};
}

static bool
forget(pid_t pid)
{
	for (size_t i = 0; i < opt.n; i++)
		if (opt.in[i].pid == pid) {
			opt.in[i] = opt.in[--opt.n];
			return true;
		}
	return false;
}

/* A process is about to make a call.  true: it is dead. */
static bool
entering(pid_t pid, const struct __ptrace_syscall_info *info)
{
	const struct call *c = opt.left > 0 || opt.sticky ? counts(pid, info) : NULL;

	if (!c || (opt.left > 0 && --opt.left > 0))
		return false;
	opt.hit = true;
	tell(pid, c, info);
	if (opt.error && skip_call(pid) < 0)
		die("skip a call");
	if (opt.error || opt.after)
		remember(pid, c);
	else
		(void)kill(pid, SIGKILL);
	return !opt.error && !opt.after;
}

/* A process has made a call.  true: it is dead. */
static bool
leaving(pid_t pid)
{
	if (!forget(pid))
		return false;
	if (opt.error && set_result(pid, -opt.error) < 0)
		die("set the result of a call");
	if (!opt.error)
		(void)kill(pid, SIGKILL);
	return !opt.error;
}

static bool
is_init(pid_t pid)
{
	char link[64], exe[4096];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, exe, sizeof(exe) - 1);
	if (n < 0)
		return false;
	exe[n] = '\0';
	return n > 10 && streq(exe + n - 10, "/brig-init");
}

static void
stopped(pid_t pid, int status)
{
	struct __ptrace_syscall_info info;
	int sig = WSTOPSIG(status), event = status >> 16;
	bool dead = false;

	if (event == PTRACE_EVENT_EXEC && is_init(pid)) {
		(void)forget(pid);
		(void)ptrace(PTRACE_DETACH, pid, 0, 0);
		return;
	}
	if (sig == (SIGTRAP | 0x80)) {
		sig = 0;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
			info.op = PTRACE_SYSCALL_INFO_NONE;
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
			dead = entering(pid, &info);
		else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
			dead = leaving(pid);
	} else if (event || sig == SIGSTOP || sig == SIGTRAP) {
		sig = 0; /* a new process, or an event of ours */
	}
	if (!dead)
		(void)ptrace(PTRACE_SYSCALL, pid, 0, sig);
}

static int
follow(pid_t pid)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status, result = 0;
	pid_t p;

	if (waitpid(pid, &status, 0) != pid || ptrace(PTRACE_SETOPTIONS, pid, 0, options) < 0 ||
	    ptrace(PTRACE_SYSCALL, pid, 0, 0) < 0)
		die("trace the command");
	/* until everything that is traced has ended: what a killed one leaves behind goes its own way */
	while ((p = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (p <= 0)
			continue;
		if (WIFSTOPPED(status)) {
			stopped(p, status);
			continue;
		}
		(void)forget(p);
		if (p == pid)
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return result;
}

static int
usage(void)
{
	(void)fputs("usage: faultat [-aov] [-e EIO|ENOSPC [-s]] [-x FILE] N COMMAND [ARG...]\n", stderr);
	return 2;
}

int
main(int argc, char **argv)
{
	const char *status_file = NULL;
	int c, result;
	pid_t pid;

	while ((c = getopt(argc, argv, "+aoe:svx:")) != -1) {
		if (c == 'a')
			opt.after = true;
		else if (c == 'o')
			opt.disk_only = true;
		else if (c == 'e' && streq(optarg, "EIO"))
			opt.error = EIO;
		else if (c == 'e' && streq(optarg, "ENOSPC"))
			opt.error = ENOSPC;
		else if (c == 's')
			opt.sticky = true;
		else if (c == 'v')
			opt.verbose = true;
		else if (c == 'x')
			status_file = optarg;
		else
			return usage();
	}
	if (argc - optind < 2 || num_u64(argv[optind], UINT64_MAX, &opt.left) < 0 || opt.left == 0 ||
	    (opt.sticky && !opt.error) || (opt.after && opt.error))
		return usage();
	pid = fork();
	if (pid == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, 0, 0);
		(void)raise(SIGSTOP);
		execvp(argv[optind + 1], argv + optind + 1);
		_exit(127);
	}
	if (pid < 0)
		die("fork");
	result = follow(pid);
	if (status_file) {
		_auto_fclose FILE *f = fopen(status_file, "we");

		if (!f || fprintf(f, "%d\n", result) < 0 || fflush(f) != 0)
			die(status_file);
	}
	return opt.hit ? 0 : 1;
}
