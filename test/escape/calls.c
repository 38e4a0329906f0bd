/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls.  Those with a power are made so that they do something, to ourselves or without effect; those
 * that are only surface get arguments that the kernel's own code refuses, and its refusal is what counts as
 * reached.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/acct.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __x86_64__
#include <asm/ldt.h>
#include <sys/io.h>
#endif

#include "probe.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

/* <linux/bpf.h> has words that base/banned.h forbids. */
static void
call_bpf_map(const struct probe *p)
{
	const struct {
		uint32_t type, key_size, value_size, max_entries;
	} map = {2 /* array */, 4, 4, 1};

	(void)p;
	tell(syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, &map, sizeof(map)) >= 0, "a map");
}

static void
call_bpf_prog(const struct probe *p)
{
	static const uint64_t insns[] = {0xb7 /* r0 = 0 */, 0x95 /* exit */};
	const struct {
		uint32_t type, n;
		uint64_t insns, license;
	} prog = {1 /* socket filter */, 2, (uintptr_t)insns, (uintptr_t) "GPL"};

	(void)p;
	tell(syscall(SYS_bpf, 5 /* BPF_PROG_LOAD */, &prog, sizeof(prog)) >= 0, "a program");
}

static void
call_perf(const struct probe *p)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE,
				    .size = sizeof(a),
				    .config = PERF_COUNT_SW_TASK_CLOCK,
				    .exclude_kernel = 1};

	(void)p;
	tell(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0) >= 0, "count ourselves");
}

static void
call_uring(const struct probe *p)
{
	struct io_uring_params u = {.flags = 0};
	long fd = syscall(SYS_io_uring_setup, 1, &u);

	(void)p;
	tell(fd >= 0, "a ring");
}

static void
call_io_uring_enter(const struct probe *p)
{
	(void)p;
	reached(syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0), "io_uring_enter");
}

static void
call_io_uring_register(const struct probe *p)
{
	(void)p;
	reached(syscall(SYS_io_uring_register, -1, 0, NULL, 0), "io_uring_register");
}

static void
call_userfaultfd(const struct probe *p)
{
	tell(syscall(SYS_userfaultfd, O_CLOEXEC | (int)p->num) >= 0, "a descriptor");
}

static void
call_memfd_secret(const struct probe *p)
{
	(void)p;
	tell(syscall(SYS_memfd_secret, 0) >= 0, "a descriptor");
}

static void
call_kcmp(const struct probe *p)
{
	(void)p;
	tell(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0) == 0, "compare ourselves");
}

/* A child that waits; it ends with the probe. */
static pid_t
child(void)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		na("pipe");
	pid = fork();
	if (pid == 0) {
		char c;

		(void)close(fds[1]);
		(void)!read(fds[0], &c, 1);
		_exit(0);
	}
	if (pid < 0)
		na("fork: %s", strerror(errno));
	return pid;
}

static void
call_ptrace(const struct probe *p)
{
	pid_t pid = child();
	long r = syscall(SYS_ptrace, p->num, pid, 0, 0);
	int num = errno;

	(void)kill(pid, SIGKILL);
	errno = num;
	tell(r == 0, "trace a child");
}

static void
call_traceme(const struct probe *p)
{
	(void)p;
	tell(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0, "be traced");
}

static char remote[16];

static void
call_vm(const struct probe *p)
{
	char buf[16];
	struct iovec local = {buf, sizeof(buf)}, other = {remote, sizeof(remote)};
	long r = syscall(p->num, child(), &local, 1, &other, 1, 0);

	tell(r == (long)sizeof(buf), "memory of a child");
}

static void
call_pidfd_getfd(const struct probe *p)
{
	long fd = syscall(SYS_pidfd_open, child(), 0);

	(void)p;
	if (fd < 0)
		tell(false, "pidfd_open");
	tell(syscall(SYS_pidfd_getfd, fd, 0, 0) >= 0, "a descriptor of a child");
}

static void
call_process_madvise(const struct probe *p)
{
	long fd = syscall(SYS_pidfd_open, child(), 0);
	static char page[8192];
	struct iovec v = {(void *)(((uintptr_t)page + 4095) & ~(uintptr_t)4095), 4096};

	(void)p;
	tell(syscall(SYS_process_madvise, fd, &v, 1, MADV_COLD, 0) >= 0, "of a child");
}

/* The key that the caller of the jail has in its session. */
static void
session_key(const struct probe *p)
{
	char text[64];
	long key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "escape", 0);

	(void)p;
	if (key < 0)
		tell(false, "look for the caller's key");
	tell(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof(text)) > 0, "the caller's key");
}

static void
call_add_key(const struct probe *p)
{
	(void)p;
	tell(syscall(SYS_add_key, "user", "escape-probe", "x", 1, KEY_SPEC_PROCESS_KEYRING) >= 0, "a key");
}

static void
call_request_key(const struct probe *p)
{
	(void)p;
	reached(syscall(SYS_request_key, "user", "escape-none", NULL, 0), "request_key");
}

static void
call_join_session(const struct probe *p)
{
	(void)p;
	tell(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0, "a new session");
}

static void
call_syslog(const struct probe *p)
{
	char buf[64];
	long r = syscall(SYS_syslog, p->num, buf, sizeof(buf));

	tell(r >= 0, "syslog");
}

/* With wrong magic numbers the right is asked for first. */
static void
call_reboot(const struct probe *p)
{
	(void)p;
	reached(syscall(SYS_reboot, 0, 0, 0, NULL), "reboot, with wrong numbers");
}

/* The value that it has. */
static void
call_adjtime(const struct probe *p)
{
	struct timex t = {.modes = 0};

	if (adjtimex(&t) < 0)
		tell(false, "read the clock's state");
	t.modes = ADJ_TICK;
	tell((p->num ? clock_adjtime(CLOCK_REALTIME, &t) : adjtimex(&t)) >= 0, "set the tick that it has");
}

/* Wrong times, which are looked at before the right is. */
static void
call_settime(const struct probe *p)
{
	struct timespec t = {-1, -1};
	struct timeval v = {-1, -1};

	reached(p->num ? syscall(SYS_clock_settime, CLOCK_REALTIME, &t) : syscall(SYS_settimeofday, &v, NULL),
		"set no time");
}

static void
call_hostname(const struct probe *p)
{
	char name[256] = "";
	FILE *f = fopen(p->num ? "/proc/sys/kernel/domainname" : "/proc/sys/kernel/hostname", "re");

	if (!f || !fgets(name, sizeof(name), f))
		na("its name");
	name[strcspn(name, "\n")] = '\0';
	tell(syscall(p->num ? SYS_setdomainname : SYS_sethostname, name, strlen(name)) == 0,
	     "the name that it has");
}

static void
call_personality(const struct probe *p)
{
	tell(syscall(SYS_personality, (unsigned long)p->num) >= 0, "set it");
}

static void
call_vhangup(const struct probe *p)
{
	(void)p;
	if (fork() != 0) /* a group leader cannot have a session without a terminal */
		for (int status; wait(&status) > 0;)
			_exit(0);
	(void)setsid();
	tell(vhangup() == 0, "hang up no terminal");
}

static void
call_swapoff(const struct probe *p)
{
	(void)p;
	reached(syscall(SYS_swapoff, "/escape-none"), "swapoff");
}

static void
call_swapon(const struct probe *p)
{
	(void)p;
	reached(syscall(SYS_swapon, "/escape-none", 0), "swapon");
}

static void
call_acct(const struct probe *p)
{
	(void)p;
	reached(acct("/escape-none"), "acct");
}

static void
call_module(const struct probe *p)
{
	if (p->num == SYS_delete_module)
		reached(syscall(SYS_delete_module, "escape-none", O_NONBLOCK), "delete_module");
	if (p->num == SYS_finit_module)
		reached(syscall(SYS_finit_module, -1, "", 0), "finit_module");
	reached(syscall(SYS_init_module, NULL, 0, ""), "init_module");
}

static void
call_kexec(const struct probe *p)
{
	if (p->num == SYS_kexec_load)
		reached(syscall(SYS_kexec_load, 0, 1000, NULL, 0xffffffffL), "kexec_load");
	reached(syscall(SYS_kexec_file_load, -1, -1, 1, "", 0xffffffffL), "kexec_file_load");
}

static void
call_quota(const struct probe *p)
{
	if (p->num == SYS_quotactl_fd)
		reached(syscall(SYS_quotactl_fd, -1, 0x800001, 0, NULL), "quotactl_fd");
	reached(syscall(SYS_quotactl, 0x80000100u, NULL, 0, NULL), "quotactl");
}

static void
call_fanotify(const struct probe *p)
{
	tell(syscall(SYS_fanotify_init, p->num, O_RDONLY) >= 0, "a group");
}

static void
call_numa(const struct probe *p)
{
	if (p->num == SYS_move_pages)
		reached(syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0), "move_pages");
	if (p->num == SYS_migrate_pages)
		reached(syscall(SYS_migrate_pages, 0, 0, NULL, NULL), "migrate_pages");
	if (p->num == SYS_mbind)
		reached(syscall(SYS_mbind, 0, 0, 0, NULL, 0, 0), "mbind");
	reached(syscall(SYS_set_mempolicy, 0, NULL, 0), "set_mempolicy");
}

/* Calls without arguments that could do anything: whether the number leads anywhere. */
static void
call_number(const struct probe *p)
{
	reached(syscall(p->num, -1L, -1L, -1L, -1L, -1L, -1L), "the call");
}

#ifdef __x86_64__
static void
call_iopl(const struct probe *p)
{
	tell((p->num ? iopl(3) : ioperm(0x80, 1, 1)) == 0, "ports of the machine");
}

static void
call_ldt(const struct probe *p)
{
	struct user_desc d = {.entry_number = 0, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1};

	(void)p;
	tell(syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)) == 0, "a segment");
}

static void
call_sysfs(const struct probe *p)
{
	(void)p;
	reached(syscall(SYS_sysfs, 3), "sysfs");
}
#endif

#define CALL(name, f, num, optional)                     \
	{                                                \
		name, "K8", f, NULL, num, optional, NULL \
	}
#define UFFD_USER_ONLY 1
#define MOUNTS_EXCUSE "tells of the mounts of the caller's own mount namespace what /proc/self/mountinfo does"

static const struct probe v[] = {
    CALL("bpf_map", call_bpf_map, 0, true),
    CALL("bpf_prog", call_bpf_prog, 0, true),
    CALL("perf_event_open", call_perf, 0, true),
    CALL("io_uring_setup", call_uring, 0, true),
    CALL("io_uring_enter", call_io_uring_enter, 0, true),
    CALL("io_uring_register", call_io_uring_register, 0, true),
    CALL("userfaultfd", call_userfaultfd, 0, true),
    CALL("userfaultfd_user", call_userfaultfd, UFFD_USER_ONLY, true),
    CALL("memfd_secret", call_memfd_secret, 0, true),
    CALL("kcmp", call_kcmp, 0, true),
    CALL("ptrace_seize", call_ptrace, PTRACE_SEIZE, false),
    CALL("ptrace_attach", call_ptrace, PTRACE_ATTACH, false),
    CALL("ptrace_traceme", call_traceme, 0, false),
    CALL("process_vm_readv", call_vm, SYS_process_vm_readv, false),
    CALL("process_vm_writev", call_vm, SYS_process_vm_writev, false),
    CALL("pidfd_getfd", call_pidfd_getfd, 0, true),
    CALL("process_madvise", call_process_madvise, 0, true),
    {"session_key", "K9", session_key, NULL, 0, false, NULL},
    {"add_key", "K9", call_add_key, NULL, 0, false, NULL},
    {"request_key", "K9", call_request_key, NULL, 0, false, NULL},
    {"keyctl_join", "K9", call_join_session, NULL, 0, false, NULL},
    CALL("syslog_read", call_syslog, 3, false),
    CALL("syslog_size", call_syslog, 10, false),
    CALL("reboot", call_reboot, 0, false),
    {"adjtimex", "K19", call_adjtime, NULL, 0, false, NULL},
    {"clock_adjtime", "K19", call_adjtime, NULL, 1, false, NULL},
    {"settimeofday", "K19", call_settime, NULL, 0, false, NULL},
    {"clock_settime", "K19", call_settime, NULL, 1, false, NULL},
    {"sethostname", "K19", call_hostname, NULL, 0, false, NULL},
    {"setdomainname", "K19", call_hostname, NULL, 1, false, NULL},
    CALL("personality_aslr", call_personality, ADDR_NO_RANDOMIZE, false),
    CALL("personality_exec", call_personality, READ_IMPLIES_EXEC, false),
    CALL("vhangup", call_vhangup, 0, false),
    CALL("swapon", call_swapon, 0, true),
    CALL("swapoff", call_swapoff, 0, true),
    CALL("acct", call_acct, 0, true),
    CALL("init_module", call_module, SYS_init_module, true),
    CALL("finit_module", call_module, SYS_finit_module, true),
    CALL("delete_module", call_module, SYS_delete_module, true),
    CALL("kexec_load", call_kexec, SYS_kexec_load, true),
    CALL("kexec_file_load", call_kexec, SYS_kexec_file_load, true),
    CALL("quotactl", call_quota, SYS_quotactl, true),
    CALL("quotactl_fd", call_quota, SYS_quotactl_fd, true),
    CALL("fanotify_init", call_fanotify, 4 /* FAN_CLASS_CONTENT */, true),
    CALL("fanotify_init_user", call_fanotify, 0x200 /* FAN_REPORT_FID */, true),
    CALL("move_pages", call_numa, SYS_move_pages, true),
    CALL("migrate_pages", call_numa, SYS_migrate_pages, true),
    CALL("mbind", call_numa, SYS_mbind, true),
    CALL("set_mempolicy", call_numa, SYS_set_mempolicy, true),
    CALL("lookup_dcookie", call_number, SYS_lookup_dcookie, true),
    CALL("nfsservctl", call_number, SYS_nfsservctl, true),
    {"listmount", "K8", call_number, NULL, 458, true, MOUNTS_EXCUSE},
    {"statmount", "K8", call_number, NULL, 457, true, MOUNTS_EXCUSE},
#ifdef __x86_64__
    CALL("iopl", call_iopl, 1, true),
    CALL("ioperm", call_iopl, 0, true),
    CALL("modify_ldt", call_ldt, 0, true),
    CALL("sysfs", call_sysfs, 0, true),
    CALL("uselib", call_number, SYS_uselib, true),
#endif
};

const struct probes probes_calls = {v, sizeof(v) / sizeof(v[0])};
