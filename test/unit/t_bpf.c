/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os/linux/confine: the filter's program, run here over arguments that no kernel needs to have a socket family or a
 * system call for; exact capabilities and limits for every parameter.  What is expected is said a second time, in
 * other words than those of filter.c and confine.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "os/linux/confine/calls.h"
#include "os/linux/confine/confine.h"
#include "os/linux/confine/filter.h"

#define ALLOW SECCOMP_RET_ALLOW
#define NO(num) (SECCOMP_RET_ERRNO | (num))

/* classic BPF, as far as the program uses it */
static uint32_t
answer_of(const struct sock_fprog *prog, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t i = 0; i < prog->len; i++) {
		const struct sock_filter *f = &prog->filter[i];
		bool yes = false;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(f->k + 4 <= sizeof(*data) && f->k % 4 == 0);
			memcpy(&a, (const char *)data + f->k, 4);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			continue;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= f->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			yes = a & f->k;
			break;
		default:
			fail_msg("instruction 0x%x", f->code);
		}
		i += yes ? f->jt : f->jf;
	}
	fail_msg("the program does not end");
	return 0;
}

static struct jailspec
plain(void)
{
	struct jailspec s = {.ip4 = SHARE_NEW, .ip6 = SHARE_NEW};

	s.allow.reserved_ports = true;
	return s;
}

static struct sock_fprog
program(const struct jailspec *s)
{
	struct sock_fprog p;
	struct err e = ERR_INIT;

	assert_int_equal(filter_make(filter_key(s), &p, &e), 0);
	return p;
}

static uint32_t
call(const struct sock_fprog *p, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct seccomp_data d = {.nr = (int)nr, .arch = seccomp_arch_native(), .args = {a0, a1, a2, a3}};

	return answer_of(p, &d);
}

#define HIGH (UINT64_C(1) << 32)
#define EXPECT(what, want)                                                                           \
	do {                                                                                         \
		uint32_t got_ = (what), want_ = (want);                                              \
		if (got_ != want_)                                                                   \
			fail_msg("line %d: %s: 0x%x, should be 0x%x", __LINE__, #what, got_, want_); \
	} while (0)

/* ---- numbers ---- */

static void
numbers(void **state)
{
	struct jailspec s = plain();
	struct sock_fprog p = program(&s);
	static const uint32_t archs[] = {
	    AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, 0, ~0u};

	(void)state;
	for (long nr = 0; nr < 5000; nr++) {
		enum call_rule rule = call_rule((int)nr);

		if (rule == CALL_UNKNOWN || rule == CALL_ABSENT)
			EXPECT(call(&p, nr, 0, 0, 0, 0), NO(ENOSYS));
		else if (rule == CALL_ALLOW)
			EXPECT(call(&p, nr, ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)), ALLOW);
		else if (rule == CALL_DENY || rule >= CALL_DEBUG)
			EXPECT(call(&p, nr, 0, 0, 0, 0), NO(EPERM));
	}
	EXPECT(call(&p, 0x3fffffff, 0, 0, 0, 0), NO(ENOSYS));
	EXPECT(call(&p, -1, 0, 0, 0, 0), NO(ENOSYS));
#ifdef __x86_64__
	EXPECT(call(&p, 0x40000000, 0, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
	EXPECT(call(&p, 0x40000000 + SYS_getpid, 0, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
	EXPECT(call(&p, -2, 0, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
#endif
	for (size_t i = 0; i < ARRAY_LEN(archs); i++) {
		struct seccomp_data d = {.nr = SYS_getpid, .arch = archs[i]};

		EXPECT(answer_of(&p, &d),
		       archs[i] == seccomp_arch_native() ? ALLOW : SECCOMP_RET_KILL_PROCESS);
	}
	free(p.filter);
}

/* ---- by arguments ---- */

static void
namespaces(void **state)
{
	struct jailspec s = plain();
	struct sock_fprog p = program(&s);
	const uint64_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
				CLONE_NEWPID | CLONE_NEWNET;

	(void)state;
	for (int bit = 0; bit < 64; bit++) {
		uint64_t b = UINT64_C(1) << bit;

#ifndef __s390x__
		EXPECT(call(&p, SYS_clone, b, 0, 0, 0), b & spaces ? NO(EPERM) : ALLOW);
		EXPECT(call(&p, SYS_clone, b | SIGCHLD | CLONE_VM | CLONE_FS, 0, 0, 0),
		       b & spaces ? NO(EPERM) : ALLOW);
#endif
		EXPECT(call(&p, SYS_unshare, b, 0, 0, 0),
		       b & (uint64_t)(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM) ? ALLOW : NO(EPERM));
		EXPECT(call(&p, SYS_unshare, b | CLONE_FS, 0, 0, 0),
		       b & (uint64_t)(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM) ? ALLOW : NO(EPERM));
	}
	EXPECT(call(&p, SYS_unshare, 0, 0, 0, 0), ALLOW);
	EXPECT(call(&p, SYS_clone3, 0, 0, 0, 0), NO(ENOSYS));
	EXPECT(call(&p, SYS_setns, 0, 0, 0, 0), NO(EPERM));
	for (int bit = 0; bit < 32; bit++)
		EXPECT(call(&p, SYS_personality, UINT64_C(1) << bit, 0, 0, 0), NO(EPERM));
	EXPECT(call(&p, SYS_personality, 0, 0, 0, 0), ALLOW);
	EXPECT(call(&p, SYS_personality, 0xffffffff, 0, 0, 0), ALLOW);
	EXPECT(call(&p, SYS_personality, 0xfffffffe, 0, 0, 0), NO(EPERM));
	EXPECT(call(&p, SYS_personality, HIGH | ADDR_NO_RANDOMIZE, 0, 0, 0), NO(EPERM));
	for (uint64_t r = 0x5400; r < 0x5500; r++)
		for (uint64_t high = 0; high <= HIGH; high += HIGH)
			EXPECT(call(&p, SYS_ioctl, 0, high | r, 0, 0),
			       r == TIOCSTI || r == 0x541c /* TIOCLINUX */ ? NO(EPERM) : ALLOW);
	free(p.filter);
}

static uint32_t
socket_wanted(unsigned family, unsigned type, unsigned protocol)
{
	switch (family) {
	case AF_UNIX:
		return ALLOW;
	case AF_NETLINK:
		return protocol == 0 ? ALLOW : NO(EPROTONOSUPPORT);
	case AF_INET:
	case AF_INET6:
		if ((type & 0xf) == SOCK_RAW)
			return ALLOW;
		if ((type & 0xf) != SOCK_STREAM && (type & 0xf) != SOCK_DGRAM)
			return NO(ESOCKTNOSUPPORT);
		switch (protocol) {
		case 0:
		case IPPROTO_TCP:
		case IPPROTO_UDP:
		case IPPROTO_ICMP:
		case IPPROTO_ICMPV6:
		case IPPROTO_UDPLITE:
		case 262: /* MPTCP */
			return ALLOW;
		default:
			return NO(EPROTONOSUPPORT);
		}
	default:
		return NO(EAFNOSUPPORT);
	}
}

static void
sockets(void **state)
{
	static const unsigned flags[] = {0, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_CLOEXEC | SOCK_NONBLOCK, 0x10};
	struct jailspec s = plain();
	struct sock_fprog p = program(&s), open;

	(void)state;
	for (unsigned family = 0; family < 50; family++)
		for (unsigned type = 0; type < 16; type++)
			for (unsigned protocol = 0; protocol < 300; protocol++)
				for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
					uint32_t want = socket_wanted(family, type, protocol);
					uint64_t high = protocol % 2 ? HIGH : 0; /* nothing to the kernel */

					if (call(&p, SYS_socket, high | family, high | type | flags[i],
						 high | protocol, 0) != want ||
					    call(&p, SYS_socketpair, family, type | flags[i], protocol, 0) !=
						want)
						fail_msg("socket(%u, 0x%x, %u)", family, type | flags[i],
							 protocol);
				}
	s.allow.socket_af = true;
	open = program(&s);
	for (unsigned family = 0; family < 50; family++)
		EXPECT(call(&open, SYS_socket, family, SOCK_PACKET, 256, 0), ALLOW);
	free(p.filter);
	free(open.filter);
}

static void
core_limits(void **state)
{
	static const uint64_t pointers[] = {0, 1, HIGH, HIGH | 1, 0x7fff00000000};
	struct jailspec s = plain();
	struct sock_fprog p = program(&s), open;

	(void)state;
	s.allow.coredump = true;
	open = program(&s);
	for (unsigned resource = 0; resource < 20; resource++)
		for (size_t n = 0; n < ARRAY_LEN(pointers); n++)
			for (size_t o = 0; o < ARRAY_LEN(pointers); o++) {
				bool core = resource == RLIMIT_CORE && pointers[n];
				uint32_t want = !core ? ALLOW : pointers[o] ? NO(EPERM) : NO(0);

				EXPECT(call(&p, SYS_prlimit64, 0, resource, pointers[n], pointers[o]), want);
				EXPECT(call(&p, SYS_prlimit64, 1, HIGH | resource, pointers[n], pointers[o]),
				       want);
				EXPECT(call(&open, SYS_prlimit64, 0, resource, pointers[n], pointers[o]),
				       ALLOW);
			}
#ifdef SYS_setrlimit
	for (unsigned resource = 0; resource < 20; resource++) {
		EXPECT(call(&p, SYS_setrlimit, resource, HIGH, 0, 0),
		       resource == RLIMIT_CORE ? NO(0) : ALLOW);
		EXPECT(call(&p, SYS_setrlimit, HIGH | resource, 1, 0, 0),
		       resource == RLIMIT_CORE ? NO(0) : ALLOW);
		EXPECT(call(&open, SYS_setrlimit, resource, 1, 0, 0), ALLOW);
	}
#endif
	free(p.filter);
	free(open.filter);
}

/* ---- each parameter alone ---- */

#define OFF(f) offsetof(struct jailspec, allow.f)
#define BIT(cap) (UINT64_C(1) << (cap))
static const uint64_t always = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |
			       BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) |
			       BIT(CAP_SYS_CHROOT) | BIT(CAP_SETFCAP) | BIT(CAP_AUDIT_WRITE);
/* What a parameter adds: a capability, and the rule of calls that it opens. */
static const struct {
	size_t off;
	uint64_t cap;
	enum call_rule rule;
} knobs[] = {
    {OFF(reserved_ports), BIT(CAP_NET_BIND_SERVICE), CALL_UNKNOWN},
    {OFF(raw_sockets), BIT(CAP_NET_RAW), CALL_UNKNOWN},
    {OFF(routing), BIT(CAP_NET_ADMIN), CALL_UNKNOWN},
    {OFF(proc_debug), BIT(CAP_SYS_PTRACE), CALL_DEBUG},
    {OFF(set_hostname), 0, CALL_HOSTNAME},
    {OFF(read_msgbuf), 0, CALL_MSGBUF},
    {OFF(io_uring), 0, CALL_IO_URING},
    {OFF(keyring), 0, CALL_KEYRING},
    {OFF(numa), 0, CALL_NUMA},
};

static uint32_t
rule_wanted(enum call_rule rule, enum call_rule opened)
{
	return rule == CALL_ALLOW || rule == opened ? ALLOW : NO(EPERM);
}

static void
each_parameter(void **state)
{
	struct jailspec none = plain();

	(void)state;
	none.allow.reserved_ports = false;
	assert_true(confine_caps(&none) == always);
	for (size_t off = OFF(set_hostname); off < OFF(set_hostname) + sizeof(none.allow); off++) {
		struct jailspec s = none;
		struct sock_fprog p;
		uint64_t cap = 0;
		enum call_rule opened = CALL_UNKNOWN;

		*(bool *)((char *)&s + off) = true;
		for (size_t i = 0; i < ARRAY_LEN(knobs); i++)
			if (knobs[i].off == off) {
				cap = knobs[i].cap;
				opened = knobs[i].rule;
			}
		if (confine_caps(&s) != (always | cap))
			fail_msg("parameter %zu: capabilities 0x%llx", off - OFF(set_hostname),
				 (unsigned long long)confine_caps(&s));
		p = program(&s);
		for (long nr = 0; nr < 1000; nr++) {
			enum call_rule rule = call_rule((int)nr);

			if (rule == CALL_ALLOW || rule == CALL_DENY || rule >= CALL_DEBUG)
				if (call(&p, nr, 0, 0, 0, 0) != rule_wanted(rule, opened))
					fail_msg("parameter %zu: call %ld", off - OFF(set_hostname), nr);
		}
		free(p.filter);
	}
}

/* CAP_NET_ADMIN over a network of the jail's own only. */
static void
networks(void **state)
{
	static const enum spec_share shares[] = {SHARE_NEW, SHARE_DISABLE, SHARE_INHERIT};

	(void)state;
	for (size_t a = 0; a < ARRAY_LEN(shares); a++)
		for (size_t b = 0; b < ARRAY_LEN(shares); b++)
			for (int how = 0; how < 8; how++) {
				struct jailspec s = {.ip4 = shares[a], .ip6 = shares[b]};
				bool own = shares[a] != SHARE_INHERIT && shares[b] != SHARE_INHERIT;

				s.vnet = how & 1;
				s.allow.routing = how & 2;
				s.nat = how & 4;
				assert_true(confine_caps(&s) ==
					    (always | (own && (how & 3) ? BIT(CAP_NET_ADMIN) : 0)));
			}
}

/* ---- limits ---- */

/* Test doubles, on request: a process that may have whatever it likes, wherever this runs. */
static bool doubled;
static struct rlimit own_limits[RLIM_NLIMITS];

int
getrlimit(__rlimit_resource_t resource, struct rlimit *ret)
{
	if (!doubled)
		return (int)syscall(SYS_prlimit64, 0, resource, NULL, ret);
	*ret = own_limits[resource];
	return 0;
}

int
setrlimit(__rlimit_resource_t resource, const struct rlimit *l)
{
	if (!doubled)
		return (int)syscall(SYS_prlimit64, 0, resource, l, NULL);
	own_limits[resource] = *l;
	return 0;
}

static const struct {
	__rlimit_resource_t resource;
	rlim_t soft, hard;
} limits[] = {
    {RLIMIT_CORE, 1, 1},
    {RLIMIT_NOFILE, 1024, 524288},
    {RLIMIT_MEMLOCK, 8 << 20, 8 << 20},
    {RLIMIT_MSGQUEUE, 819200, 819200},
    {RLIMIT_STACK, 8 << 20, RLIM_INFINITY},
    {RLIMIT_CPU, RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_DATA, RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_NPROC, RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_SIGPENDING, RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_NICE, 0, 0},
    {RLIMIT_RTPRIO, 0, 0},
    {RLIMIT_RTTIME, RLIM_INFINITY, RLIM_INFINITY},
};

/* The caller's soft limits are odd, and its hard ones are as they are, or lower. */
static _Noreturn void
limits_body(bool lower, bool mlock, bool coredump)
{
	struct jailspec s = plain();
	struct rlimit had[ARRAY_LEN(limits)], now;
	struct err e = ERR_INIT;

	s.allow.mlock = mlock;
	s.allow.coredump = coredump;
	for (size_t i = 0; i < RLIM_NLIMITS; i++)
		own_limits[i] = (struct rlimit){12345, RLIM_INFINITY};
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		rlim_t odd = limits[i].resource == RLIMIT_CPU      ? 1000
			     : limits[i].resource == RLIMIT_NOFILE ? 77
								   : 1 << 30;

		if (getrlimit(limits[i].resource, &had[i]) < 0)
			_exit(1);
		if (lower && had[i].rlim_max > odd)
			had[i].rlim_max = odd;
		had[i].rlim_cur = odd < had[i].rlim_max ? odd : had[i].rlim_max;
		if (setrlimit(limits[i].resource, &had[i]) < 0)
			_exit(2);
	}
	if (confine_limits(&s, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		_exit(3);
	}
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		rlim_t soft = limits[i].soft, hard = limits[i].hard;

		if ((mlock && limits[i].resource == RLIMIT_MEMLOCK) ||
		    (coredump && limits[i].resource == RLIMIT_CORE))
			soft = hard = RLIM_INFINITY;
		hard = hard < had[i].rlim_max ? hard : had[i].rlim_max;
		soft = soft < hard ? soft : hard;
		if (getrlimit(limits[i].resource, &now) < 0 || now.rlim_cur != soft || now.rlim_max != hard) {
			fprintf(stderr, "limit %d: %ju %ju, should be %ju %ju\n", (int)limits[i].resource,
				(uintmax_t)now.rlim_cur, (uintmax_t)now.rlim_max, (uintmax_t)soft,
				(uintmax_t)hard);
			_exit(4);
		}
	}
	_exit(0);
}

static void
exact_limits(void **state)
{
	int status;

	(void)state;
	for (int how = 0; how < 16; how++) {
		pid_t pid = fork();

		doubled = how & 8;

		if (pid == 0)
			limits_body(how & 1, how & 2, how & 4);
		doubled = false;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

/* ---- one process, several jails ---- */

static int
hostname_errno(const struct jailspec *first, const struct jailspec *s)
{
	struct err e = ERR_INIT;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (confine_prepare(first, &e) < 0 || confine_prepare(s, &e) < 0 || confine(s, &e) < 0)
			_exit(255);
		_exit(syscall(SYS_keyctl, 9999, 0, 0, 0, 0) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void
several_jails(void **state)
{
	struct jailspec closed = plain(), open = plain();

	(void)state;
	open.allow.keyring = true;
	assert_int_equal(hostname_errno(&open, &closed), EPERM);
	assert_int_not_equal(hostname_errno(&closed, &open), EPERM);
	assert_int_equal(hostname_errno(&closed, &closed), EPERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers),        cmocka_unit_test(namespaces),    cmocka_unit_test(sockets),
	    cmocka_unit_test(core_limits),    cmocka_unit_test(networks),      cmocka_unit_test(exact_limits),
	    cmocka_unit_test(each_parameter), cmocka_unit_test(several_jails),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_bpf: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
