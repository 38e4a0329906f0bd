/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls a jail does not get.  Each either reaches something that no namespace divides (keys, the
 * clock, the kernel's log, devices of the machine), or undoes what brig put together (mounts, namespaces), or
 * has opened the way out of a container again and again while services do without it (bpf, io_uring,
 * userfaultfd, perf).  A call of another architecture's table ends the process: its numbers mean other calls.
 *
 * libseccomp writes the program from the tables below; two things that it cannot say stand in front of it
 * (edge()): calls newer than this file fail as on an older kernel, and personality(2) may take two values.
 * Newer calls answer ENOSYS, not EPERM: C libraries probe for them and fall back on ENOSYS only.
 *
 * Arguments are compared on the 32 bits the kernel looks at: a comparison of all 64 lets a caller through who
 * sets a higher bit (CVE-2019-10063).
 */
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/fsx.h"
#include "os/linux/filter.h"

#define KEY_SOCKET_AF 1u
#define KEY_PROC_DEBUG 2u
#define KEY_SET_HOSTNAME 4u
#define KEY_READ_MSGBUF 8u

/* The first number that Linux 6.18 does not have; these architectures have had one table since 5.1. */
#define CALLS_KNOWN 470
#if defined(__x86_64__) || defined(__aarch64__) || defined(__riscv) || defined(__powerpc64__) || \
    defined(__s390x__) || defined(__loongarch__)
#define CALLS_COUNTED 1
#else
#define CALLS_COUNTED 0
#endif

/* Calls that libseccomp 2.5.4 has no name for: one number on every architecture. */
#define NR_OPEN_TREE_ATTR 467
#define NR_QUOTACTL_FD 443
#define NR_MEMFD_SECRET 447

/* A call without a number on this architecture is a negative SCMP_SYS() and no rule comes of it. */
static const int denied[] = {
    /* mounts */
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(umount),
    SCMP_SYS(pivot_root),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(open_tree),
    NR_OPEN_TREE_ATTR,
    SCMP_SYS(move_mount),
    SCMP_SYS(mount_setattr),
    /* other namespaces, files by handle */
    SCMP_SYS(setns),
    SCMP_SYS(open_by_handle_at),
    /* keys: one store for all jails of the same user id */
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    /* the machine */
    SCMP_SYS(reboot),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(create_module),
    SCMP_SYS(query_module),
    SCMP_SYS(get_kernel_syms),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    NR_QUOTACTL_FD,
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(vhangup),
    SCMP_SYS(nfsservctl),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(fanotify_init),
    SCMP_SYS(sysfs),
    SCMP_SYS(_sysctl),
    SCMP_SYS(uselib),
    /* the clock */
    SCMP_SYS(settimeofday),
    SCMP_SYS(stime),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(clock_settime64),
    SCMP_SYS(clock_adjtime64),
    /* wide doors of the kernel */
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    NR_MEMFD_SECRET,
};

static const int denied_debug[] = {SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
				   SCMP_SYS(kcmp), SCMP_SYS(pidfd_getfd)};
static const int denied_hostname[] = {SCMP_SYS(sethostname), SCMP_SYS(setdomainname)};
static const int denied_msgbuf[] = {SCMP_SYS(syslog)};

static const unsigned long ns_flags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
					 CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80 /* linux/sched.h; only of unshare(2), in clone(2) these bits are the signal */
#endif

unsigned
filter_key(const struct jailspec *spec)
{
	return (spec->allow.socket_af ? KEY_SOCKET_AF : 0) | (spec->allow.proc_debug ? KEY_PROC_DEBUG : 0) |
	       (spec->allow.set_hostname ? KEY_SET_HOSTNAME : 0) |
	       (spec->allow.read_msgbuf ? KEY_READ_MSGBUF : 0);
}

/* The first error is kept; the callers add rules without looking at each. */
struct rules {
	scmp_filter_ctx ctx;
	int err;
};

static void
deny(struct rules *r, int call, int num, unsigned n, const struct scmp_arg_cmp *args)
{
	int err;

	if (r->err)
		return;
	err = seccomp_rule_add_array(r->ctx, SCMP_ACT_ERRNO((unsigned)num), call, n, args);
	if (err != 0 && err != -EEXIST)
		r->err = -err;
}

static void
deny_arg(struct rules *r, int call, int num, struct scmp_arg_cmp arg)
{
	deny(r, call, num, 1, &arg);
}

static void
deny_all(struct rules *r, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (calls[i] >= 0)
			deny(r, calls[i], EPERM, 0, NULL);
}

static void
deny_namespaces(struct rules *r)
{
#if defined(__s390x__) /* clone(stack, flags, ...) */
	const unsigned flags_arg = 1;
#else
	const unsigned flags_arg = 0;
#endif
	for (size_t i = 0; i < ARRAY_LEN(ns_flags); i++) {
		unsigned long f = ns_flags[i];

		deny_arg(r, SCMP_SYS(clone), EPERM,
			 (struct scmp_arg_cmp){flags_arg, SCMP_CMP_MASKED_EQ, f, f});
		deny_arg(r, SCMP_SYS(unshare), EPERM, SCMP_A0(SCMP_CMP_MASKED_EQ, f, f));
	}
	deny_arg(r, SCMP_SYS(unshare), EPERM, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWTIME, CLONE_NEWTIME));
	/* its flags are behind a pointer; C libraries go on with clone(2) */
	deny(r, SCMP_SYS(clone3), ENOSYS, 0, NULL);
}

/* All but UNIX, INET, INET6 and NETLINK_ROUTE.  GT catches also what differs in the upper 32 bits only.  The
 * errors are those of a kernel without the family: programs take them for "not there", audit among them. */
static void
deny_sockets(struct rules *r, int call)
{
	deny_arg(r, call, EAFNOSUPPORT, SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
	for (unsigned f = 0; f < AF_NETLINK; f++)
		if (f != AF_UNIX && f != AF_INET && f != AF_INET6)
			deny_arg(r, call, EAFNOSUPPORT, SCMP_A0(SCMP_CMP_EQ, f));
	deny(r, call, EPROTONOSUPPORT, 2,
	     (struct scmp_arg_cmp[]){SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_NE, 0)});
}

static void
deny_terminal(struct rules *r)
{
	static const unsigned long requests[] = {TIOCSTI, TIOCLINUX};

	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		deny_arg(r, SCMP_SYS(ioctl), EPERM, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, requests[i]));
}

static int
add_rules(scmp_filter_ctx ctx, unsigned key)
{
	struct rules r = {ctx, 0};

	deny_all(&r, denied, ARRAY_LEN(denied));
	if (!(key & KEY_PROC_DEBUG))
		deny_all(&r, denied_debug, ARRAY_LEN(denied_debug));
	if (!(key & KEY_SET_HOSTNAME))
		deny_all(&r, denied_hostname, ARRAY_LEN(denied_hostname));
	if (!(key & KEY_READ_MSGBUF))
		deny_all(&r, denied_msgbuf, ARRAY_LEN(denied_msgbuf));
	deny_namespaces(&r);
	if (!(key & KEY_SOCKET_AF)) {
		deny_sockets(&r, SCMP_SYS(socket));
		deny_sockets(&r, SCMP_SYS(socketpair));
	}
	deny_terminal(&r);
	return r.err;
}

#define NR_OFFSET offsetof(struct seccomp_data, nr)
#define ARCH_OFFSET offsetof(struct seccomp_data, arch)
/* The half of the first argument that the kernel takes for an unsigned int. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARG0_OFFSET offsetof(struct seccomp_data, args[0])
#else
#define ARG0_OFFSET (offsetof(struct seccomp_data, args[0]) + 4)
#endif
#define RET_ERRNO(num) (SECCOMP_RET_ERRNO | (num))
#define X32_BIT 0x40000000u

/* In front of libseccomp's program; falls through into it.  Jumps count the instructions passed over. */
static size_t
edge(struct sock_filter *f)
{
	const struct sock_filter head[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARCH_OFFSET),
	    /* another architecture: the rest of the program ends it */
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 0, 9),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR_OFFSET),
	    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 7, 0),
	    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, CALLS_COUNTED ? CALLS_KNOWN : X32_BIT, 5, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_personality, 0, 5),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG0_OFFSET),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffffu, 2, 0), /* asks, changes nothing */
	    BPF_STMT(BPF_RET | BPF_K, RET_ERRNO(EPERM)),
	    BPF_STMT(BPF_RET | BPF_K, RET_ERRNO(ENOSYS)),
	};

	if (f)
		memcpy(f, head, sizeof(head));
	return ARRAY_LEN(head);
}

static int export(scmp_filter_ctx ctx, struct sock_fprog *ret, struct err *e)
{
	_auto_close int fd = memfd_create("seccomp", MFD_CLOEXEC);
	_auto_free char *text = NULL;
	size_t len, n_head = edge(NULL);
	int r;

	if (fd < 0)
		return err_sys(e, errno, "seccomp program");
	r = seccomp_export_bpf(ctx, fd);
	if (r == 0)
		r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : fsx_read_fd(fd, 1 << 20, &text, &len);
	if (r < 0)
		return err_sys(e, -r, "seccomp program");
	if (len == 0 || len % sizeof(struct sock_filter) != 0 ||
	    n_head + len / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return err_set(e, E2BIG, "seccomp program: %zu bytes", len);
	ret->filter = xcalloc(n_head + len / sizeof(struct sock_filter), sizeof(struct sock_filter));
	(void)edge(ret->filter);
	memcpy(ret->filter + n_head, text, len);
	ret->len = (unsigned short)(n_head + len / sizeof(struct sock_filter));
	return 0;
}

int
filter_make(unsigned key, struct sock_fprog *ret, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return err_set(e, ENOMEM, "seccomp: out of memory");
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* as a tree: the kernel runs the program once for every call number when it is loaded */
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = -add_rules(ctx, key);
	r = r < 0 ? err_sys(e, -r, "seccomp rules") : export(ctx, ret, e);
	seccomp_release(ctx);
	return r;
}
