/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a seccomp program of the lists of calls.c: a binary search tree over the numbers, whose leaves are
 * the answers.  A range of numbers with one answer is one leaf, so a call costs some seven comparisons; one
 * that is always allowed costs less, since the kernel keeps a bitmap of those.
 *
 * It is written here and not by libseccomp, which took 0.5 ms at every start and exec for 60 calls (this
 * takes 0.1 ms for all), has no names for calls newer than itself, and compares all 64 bits of an argument
 * where the kernel looks at 32 (CVE-2019-10063).
 *
 * A call of another architecture's table ends the process: its numbers mean other calls.
 */
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sched.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "os/linux/confine/calls.h"
#include "os/linux/confine/filter.h"

#define KEY_SOCKET_AF 1u
#define KEY_DEBUG 2u
#define KEY_HOSTNAME 4u
#define KEY_MSGBUF 8u
#define KEY_IO_URING 16u
#define KEY_KEYRING 32u
#define KEY_NUMA 64u
#define KEY_COREDUMP 128u

#define NS_FLAGS                                                                                  \
	((uint32_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		    CLONE_NEWPID | CLONE_NEWNET))
/* Allowed flags of unshare(2): a list, since later kernels have more flags that imply a namespace. */
#define UNSHARE_FLAGS ((uint32_t)(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM))
#if defined(__s390x__) /* clone(stack, flags, ...) */
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif

#define NR_OFFSET offsetof(struct seccomp_data, nr)
#define ARCH_OFFSET offsetof(struct seccomp_data, arch)
/* The half of an argument that the kernel takes for an int, and the other one. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW(arg) offsetof(struct seccomp_data, args[arg])
#define HIGH(arg) (offsetof(struct seccomp_data, args[arg]) + 4)
#else
#define LOW(arg) (offsetof(struct seccomp_data, args[arg]) + 4)
#define HIGH(arg) offsetof(struct seccomp_data, args[arg])
#endif

/* Jumps count the instructions passed over. */
#define AND(bits) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (uint32_t)(bits))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset))
#define IF_EQ(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)
#define IF_GE(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)(value), yes, no)
#define IF_ANY(bits, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)(bits), yes, no)
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)
#define ALLOW SECCOMP_RET_ALLOW
#define FAIL(num) (SECCOMP_RET_ERRNO | (num))
#define KILL SECCOMP_RET_KILL_PROCESS
#define X32_BIT 0x40000000u

unsigned
filter_key(const struct jailspec *spec)
{
	return (spec->allow.socket_af ? KEY_SOCKET_AF : 0) | (spec->allow.proc_debug ? KEY_DEBUG : 0) |
	       (spec->allow.set_hostname ? KEY_HOSTNAME : 0) | (spec->allow.read_msgbuf ? KEY_MSGBUF : 0) |
	       (spec->allow.io_uring ? KEY_IO_URING : 0) | (spec->allow.keyring ? KEY_KEYRING : 0) |
	       (spec->allow.numa ? KEY_NUMA : 0) | (spec->allow.coredump ? KEY_COREDUMP : 0);
}

/* The rule that applies, with these parameters. */
static enum call_rule
decide(enum call_rule rule, unsigned key)
{
	static const struct {
		enum call_rule rule;
		unsigned key;
		enum call_rule without;
	} opened[] = {
	    {CALL_SOCKET, KEY_SOCKET_AF, CALL_SOCKET},  {CALL_DEBUG, KEY_DEBUG, CALL_DENY},
	    {CALL_HOSTNAME, KEY_HOSTNAME, CALL_DENY},   {CALL_MSGBUF, KEY_MSGBUF, CALL_DENY},
	    {CALL_IO_URING, KEY_IO_URING, CALL_DENY},   {CALL_KEYRING, KEY_KEYRING, CALL_DENY},
	    {CALL_NUMA, KEY_NUMA, CALL_DENY},           {CALL_SETRLIMIT, KEY_COREDUMP, CALL_SETRLIMIT},
	    {CALL_PRLIMIT, KEY_COREDUMP, CALL_PRLIMIT},
	};

	for (size_t i = 0; i < ARRAY_LEN(opened); i++)
		if (opened[i].rule == rule)
			return key & opened[i].key ? CALL_ALLOW : opened[i].without;
	return rule == CALL_ABSENT ? CALL_UNKNOWN : rule;
}

/* Numbers from `first` on, up to the next range's. */
struct range {
	uint32_t first;
	enum call_rule rule;
};

static int
by_first(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static void
range_add(struct range *v, size_t *n, uint32_t first, enum call_rule rule)
{
	if (*n == 0 || v[*n - 1].rule != rule)
		v[(*n)++] = (struct range){first, rule};
}

/* Ranges that cover all numbers, in order. */
static struct range *
ranges_make(unsigned key, size_t *ret_n)
{
	size_t n_calls = 0, max = 0, n = 0;
	_auto_free struct range *calls = NULL;
	struct range *v;
	uint32_t next = 0;

	for (size_t i = 0; i < call_groups_len; i++)
		max += call_groups[i].n;
	calls = xcalloc(max, sizeof(*calls));
	for (size_t i = 0; i < call_groups_len; i++)
		for (size_t k = 0; k < call_groups[i].n; k++)
			if (call_groups[i].nr[k] >= 0)
				calls[n_calls++] = (struct range){(uint32_t)call_groups[i].nr[k],
								  decide(call_groups[i].rule, key)};
	qsort(calls, n_calls, sizeof(*calls), by_first);
	v = xcalloc(2 * n_calls + 1, sizeof(*v));
	for (size_t i = 0; i < n_calls; i++) {
		if (calls[i].first > next)
			range_add(v, &n, next, CALL_UNKNOWN);
		range_add(v, &n, calls[i].first, calls[i].rule);
		next = calls[i].first + 1;
	}
	range_add(v, &n, next, CALL_UNKNOWN);
	*ret_n = n;
	return v;
}

#define INSNS_MAX 512 /* some 240 are used; a conditional jump reaches 255 instructions, half of the tree */

/* Written from the end to the beginning: jumps go forward only, so their targets are there already. */
struct prog {
	struct sock_filter f[INSNS_MAX];
	size_t at; /* the first instruction that is written */
	bool full;
};

static void
put(struct prog *p, const struct sock_filter *f, size_t n)
{
	if (p->at < n) {
		p->full = true;
		return;
	}
	p->at -= n;
	memcpy(p->f + p->at, f, n * sizeof(*f));
}

#define PUT(p, ...)                                                \
	do {                                                       \
		const struct sock_filter insns_[] = {__VA_ARGS__}; \
		put(p, insns_, ARRAY_LEN(insns_));                 \
	} while (0)

/* Jumps to the instruction at index `to` if the accumulator is `value`. */
static void
put_eq(struct prog *p, uint32_t value, size_t to)
{
	size_t over = to - p->at;

	if (over > UINT8_MAX)
		p->full = true;
	PUT(p, IF_EQ(value, (uint8_t)over, 0));
}

/*
 * socket(2), socketpair(2): UNIX; TCP, UDP and ping over IPv4 and IPv6; NETLINK_ROUTE.  The errors are those
 * of a kernel that lacks the rest: programs expect them.
 *
 * The protocol is checked because SCTP, DCCP, L2TP and SMC are in these families, too, and their modules are
 * loaded on demand; the type because SOCK_PACKET makes AF_INET an AF_PACKET.  For raw sockets CAP_NET_RAW
 * decides, whatever their protocol.
 */
static void
put_socket(struct prog *p)
{
	static const uint32_t protocols[] = {
	    IPPROTO_IP,     IPPROTO_TCP,     IPPROTO_UDP, IPPROTO_ICMP,
	    IPPROTO_ICMPV6, IPPROTO_UDPLITE, 262 /* MPTCP, falls back on TCP */};
	size_t allow, inet, netlink, protocol;

	PUT(p, ANSWER(ALLOW));
	allow = p->at;
	PUT(p, ANSWER(FAIL(EPROTONOSUPPORT)));
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		put_eq(p, protocols[i], allow);
	PUT(p, LOAD(LOW(2)));
	protocol = p->at;
	PUT(p, ANSWER(FAIL(ESOCKTNOSUPPORT)));
	put_eq(p, SOCK_DGRAM, protocol);
	put_eq(p, SOCK_STREAM, protocol);
	put_eq(p, SOCK_RAW, allow);
	PUT(p, LOAD(LOW(1)), AND(0xf) /* without SOCK_CLOEXEC and SOCK_NONBLOCK */);
	inet = p->at;
	PUT(p, ANSWER(FAIL(EPROTONOSUPPORT)));
	put_eq(p, 0 /* NETLINK_ROUTE */, allow);
	PUT(p, LOAD(LOW(2)));
	netlink = p->at;
	PUT(p, ANSWER(FAIL(EAFNOSUPPORT)));
	put_eq(p, AF_NETLINK, netlink);
	put_eq(p, AF_INET6, inet);
	put_eq(p, AF_INET, inet);
	put_eq(p, AF_UNIX, allow);
	PUT(p, LOAD(LOW(0)));
}

/*
 * prlimit64(pid, resource, new, old) and setrlimit(resource, new).  RLIMIT_CORE stays 1, with which the
 * kernel does not run the program of core_pattern (confine.c).  Setting it succeeds without effect: programs
 * that set it (ssh-agent) want 0, which comes to the same, and exit when they cannot.  Where the old value
 * is asked for, too, that would leave the caller's buffer unset: EPERM.
 */
static void
put_prlimit(struct prog *p)
{
	size_t allow, done, deny, given;

	PUT(p, ANSWER(ALLOW));
	allow = p->at;
	PUT(p, ANSWER(FAIL(0)));
	done = p->at;
	PUT(p, ANSWER(FAIL(EPERM)));
	deny = p->at;
	put_eq(p, 0, done);
	PUT(p, LOAD(LOW(3)));
	PUT(p, LOAD(HIGH(3)), IF_EQ(0, 0, (uint8_t)(deny - p->at)));
	given = p->at;
	put_eq(p, 0, allow);
	PUT(p, LOAD(LOW(2)));
	PUT(p, LOAD(HIGH(2)), IF_EQ(0, 0, (uint8_t)(given - p->at)));
	PUT(p, LOAD(LOW(1)), IF_EQ(RLIMIT_CORE, 0, (uint8_t)(allow - p->at)));
}

static void
put_answer(struct prog *p, enum call_rule rule)
{
	switch (rule) {
	case CALL_ALLOW:
		PUT(p, ANSWER(ALLOW));
		break;
	case CALL_UNKNOWN: /* not EPERM: C libraries probe for new calls and fall back on this one only */
		PUT(p, ANSWER(FAIL(ENOSYS)));
		break;
	case CALL_CLONE:
		PUT(p, LOAD(LOW(CLONE_FLAGS_ARG)), IF_ANY(NS_FLAGS, 1, 0), ANSWER(ALLOW),
		    ANSWER(FAIL(EPERM)));
		break;
	case CALL_UNSHARE:
		PUT(p, LOAD(HIGH(0)), IF_EQ(0, 0, 3), LOAD(LOW(0)), IF_ANY(~UNSHARE_FLAGS, 1, 0),
		    ANSWER(ALLOW), ANSWER(FAIL(EPERM)));
		break;
	case CALL_PERSONALITY: /* 0, the default, and 0xffffffff, which only asks */
		PUT(p, LOAD(LOW(0)), IF_EQ(0, 2, 0), IF_EQ(0xffffffffu, 1, 0), ANSWER(FAIL(EPERM)),
		    ANSWER(ALLOW));
		break;
	case CALL_IOCTL: /* what is pushed into a terminal's input is run by the shell that reads it */
		PUT(p, LOAD(LOW(1)), IF_EQ(TIOCSTI, 2, 0), IF_EQ(TIOCLINUX, 1, 0), ANSWER(ALLOW),
		    ANSWER(FAIL(EPERM)));
		break;
	case CALL_SOCKET:
		put_socket(p);
		break;
	case CALL_SETRLIMIT:
		PUT(p, LOAD(LOW(0)), IF_EQ(RLIMIT_CORE, 1, 0), ANSWER(ALLOW), ANSWER(FAIL(0)));
		break;
	case CALL_PRLIMIT:
		put_prlimit(p);
		break;
	default:
		PUT(p, ANSWER(FAIL(EPERM)));
	}
}

/* Depth: the logarithm of n. */
static void
put_tree(struct prog *p, const struct range *v, size_t n)
{
	size_t half = n / 2, left;

	if (n == 1) {
		put_answer(p, v->rule);
		return;
	}
	put_tree(p, v + half, n - half);
	left = p->at;
	put_tree(p, v, half);
	left -= p->at;
	if (left > UINT8_MAX)
		p->full = true;
	PUT(p, IF_GE(v[half].first, (uint8_t)left, 0));
}

static void
put_head(struct prog *p)
{
#ifdef __x86_64__
	/* A call of x32 has the arch of x86_64, and this bit in its number.  -1: a tracer has cancelled
	 * the call. */
	PUT(p, IF_GE(X32_BIT, 0, 2), IF_EQ(0xffffffffu, 1, 0), ANSWER(KILL));
#endif
	PUT(p, LOAD(ARCH_OFFSET), IF_EQ(seccomp_arch_native(), 1, 0), ANSWER(KILL), LOAD(NR_OFFSET));
}

int
filter_make(unsigned key, struct sock_fprog *ret, struct err *e)
{
	size_t n;
	_auto_free struct range *ranges = ranges_make(key, &n);
	_auto_free struct prog *p = xcalloc(1, sizeof(*p));

	p->at = ARRAY_LEN(p->f);
	put_tree(p, ranges, n);
	put_head(p);
	if (p->full)
		return err_set(e, E2BIG, "the system call filter is too long");
	n = ARRAY_LEN(p->f) - p->at;
	ret->filter = xcalloc(n, sizeof(*ret->filter));
	memcpy(ret->filter, p->f + p->at, n * sizeof(*ret->filter));
	ret->len = (unsigned short)n;
	return 0;
}
