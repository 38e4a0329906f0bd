/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os/linux/confine/confine.c, filter.c: what a confined process may not do.  Every refused call is made before, in
 * the same process, where it must end differently (its arguments are such that nothing comes of it), and
 * after.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "os/linux/confine/confine.h"
#include "os/linux/confine/filter.h"

#ifndef TIOCLINUX
#define TIOCLINUX 0x541C
#endif
#define NEWTIME 0x80

static struct jailspec
plain(void)
{
	struct jailspec s = {.ip4 = SHARE_NEW, .ip6 = SHARE_NEW};

	s.allow.reserved_ports = true;
	return s;
}

/* Runs body in a process of its own; its exit status says at which line it failed, 0 none. */
#define NEED(cond)                                                                                   \
	do {                                                                                         \
		if (!(cond)) {                                                                       \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #cond, errno); \
			_exit(1);                                                                    \
		}                                                                                    \
	} while (0)

static int
in_child(void (*body)(const struct jailspec *), const struct jailspec *s)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)setsid(); /* vhangup(2) has no terminal to end */
		body(s);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
confine_or_die(const struct jailspec *s)
{
	struct err e = ERR_INIT;

	if (confine(s, &e) < 0) {
		fprintf(stderr, "confine: %s\n", e.msg);
		_exit(1);
	}
}

struct call {
	const char *name;
	long nr;
	unsigned long a[6];
	int after; /* errno */
};
#define ALL (~0UL)
#define HIGH (1UL << 32)
#define CALL(x) #x, SYS_##x

static const struct call refused[] = {
    {CALL(mount), {0}, EPERM},
    {CALL(umount2), {0}, EPERM},
    {CALL(pivot_root), {0}, EPERM},
    {CALL(fsopen), {0}, EPERM},
    {CALL(fsconfig), {ALL}, EPERM},
    {CALL(fsmount), {ALL}, EPERM},
    {CALL(fspick), {ALL}, EPERM},
    {CALL(open_tree), {ALL, 0, ALL}, EPERM},
    {"open_tree_attr", 467, {ALL, 0, ALL}, EPERM},
    {CALL(move_mount), {ALL, 0, ALL, 0, ALL}, EPERM},
    {CALL(mount_setattr), {ALL, 0, ALL}, EPERM},
    {CALL(setns), {ALL}, EPERM},
    {CALL(open_by_handle_at), {ALL}, EPERM},
    {CALL(name_to_handle_at), {ALL}, EPERM},
    {CALL(keyctl), {9999}, EPERM},
    {CALL(add_key), {0}, EPERM},
    {CALL(request_key), {0}, EPERM},
    {CALL(reboot), {0}, EPERM},
    {CALL(kexec_load), {0, 0, 0, ALL}, EPERM},
    {CALL(kexec_file_load), {ALL, ALL, 0, 0, ALL}, EPERM},
    {CALL(init_module), {0}, EPERM},
    {CALL(finit_module), {ALL}, EPERM},
    {CALL(delete_module), {0}, EPERM},
    {CALL(swapon), {0}, EPERM},
    {CALL(swapoff), {0}, EPERM},
    {CALL(acct), {1}, EPERM},
    {CALL(quotactl), {ALL}, EPERM},
    {"quotactl_fd", 443, {ALL}, EPERM},
    {CALL(vhangup), {0}, EPERM},
    {CALL(fanotify_init), {ALL}, EPERM},
    {CALL(settimeofday), {0}, EPERM},
    {CALL(clock_settime), {9999}, EPERM},
    {CALL(adjtimex), {0}, EPERM},
    {CALL(clock_adjtime), {9999}, EPERM},
    {CALL(bpf), {ALL}, EPERM},
    {CALL(perf_event_open), {0}, EPERM},
    {CALL(userfaultfd), {ALL}, EPERM},
    {CALL(io_uring_setup), {0}, EPERM},
    {CALL(io_uring_enter), {ALL}, EPERM},
    {CALL(io_uring_register), {ALL, ALL}, EPERM},
    {"memfd_secret", 447, {ALL}, EPERM},
    {CALL(syslog), {10}, EPERM},
    {CALL(ptrace), {PTRACE_PEEKDATA, 0x7fffffff}, EPERM},
    {CALL(process_vm_readv), {0x7fffffff, 0, 0, 0, 0, 1}, EPERM},
    {CALL(process_vm_writev), {0x7fffffff, 0, 0, 0, 0, 1}, EPERM},
    {CALL(kcmp), {0x7fffffff}, EPERM},
    {CALL(pidfd_getfd), {ALL}, EPERM},
    {CALL(process_madvise), {ALL}, EPERM},
    {CALL(mbind), {0, 0, ALL}, EPERM},
    {CALL(move_pages), {0, 0, 0, 0, 0, ALL}, EPERM},
    {CALL(sethostname), {0, ALL}, EPERM},
    {CALL(setdomainname), {0, ALL}, EPERM},
    /* namespaces: with a flag that makes the call fail anyhow */
    {CALL(unshare), {CLONE_NEWUSER | 1}, EPERM},
    {CALL(unshare), {CLONE_NEWNS | 1}, EPERM},
    {CALL(unshare), {CLONE_NEWPID | 1}, EPERM},
    {CALL(unshare), {CLONE_NEWNET | 1}, EPERM},
    {CALL(unshare), {CLONE_NEWIPC | 1}, EPERM},
    {CALL(unshare), {CLONE_NEWUTS | 1}, EPERM},
    {CALL(unshare), {CLONE_NEWCGROUP | 1}, EPERM},
    {CALL(unshare), {NEWTIME | 1}, EPERM},
    {CALL(unshare), {HIGH | CLONE_NEWUSER | 1}, EPERM},
    {CALL(unshare), {HIGH}, EPERM},
    {CALL(unshare), {CLONE_PARENT_SETTID}, EPERM}, /* may come to mean a namespace */
#ifndef __s390x__
    {CALL(clone), {CLONE_SIGHAND | CLONE_NEWUSER}, EPERM},
    {CALL(clone), {CLONE_SIGHAND | CLONE_NEWNS}, EPERM},
    {CALL(clone), {CLONE_SIGHAND | CLONE_NEWPID}, EPERM},
    {CALL(clone), {CLONE_SIGHAND | CLONE_NEWNET}, EPERM},
    {CALL(clone), {CLONE_SIGHAND | CLONE_NEWIPC}, EPERM},
    {CALL(clone), {CLONE_SIGHAND | CLONE_NEWUTS}, EPERM},
    {CALL(clone), {CLONE_SIGHAND | CLONE_NEWCGROUP}, EPERM},
#endif
    {CALL(clone3), {0}, ENOSYS},
    {CALL(personality), {8}, EPERM},
    {CALL(personality), {0x40000}, EPERM},
    {CALL(personality), {HIGH | 8}, EPERM},
    {CALL(ioctl), {ALL, TIOCSTI}, EPERM},
    {CALL(ioctl), {ALL, TIOCLINUX}, EPERM},
    {CALL(ioctl), {ALL, HIGH | TIOCSTI}, EPERM},
    {CALL(socket), {AF_ALG, SOCK_SEQPACKET}, EAFNOSUPPORT},
    {CALL(socket), {AF_VSOCK, SOCK_STREAM}, EAFNOSUPPORT},
    {CALL(socket), {AF_PACKET, SOCK_RAW}, EAFNOSUPPORT},
    {CALL(socket), {HIGH | AF_PACKET, SOCK_RAW}, EAFNOSUPPORT},
    {CALL(socket), {AF_NETLINK, SOCK_RAW, 12 /* NETFILTER */}, EPROTONOSUPPORT},
    {CALL(socket), {AF_NETLINK, SOCK_RAW, 6 /* XFRM */}, EPROTONOSUPPORT},
    {CALL(socketpair), {AF_PACKET, SOCK_RAW, 0, 0}, EAFNOSUPPORT},
};

static long
try(const struct call *c)
{
	long r;

	errno = 0;
	r = syscall(c->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]);
	if (c->nr == SYS_personality && r >= 0)
		(void)syscall(SYS_personality, 0);
	return r;
}

static void
calls_body(const struct jailspec *s)
{
	int bad = 0, without_control = 0;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		long r = try(&refused[i]);

		if (r >= 0 && (refused[i].nr == SYS_socket || refused[i].nr == SYS_socketpair))
			(void)close((int)r);
		/* a kernel without the family or the call answers alike; not more than a few may */
		if (r < 0 && errno == refused[i].after) {
			fprintf(stderr, "no control here: %s(0x%lx): errno %d\n", refused[i].name,
				refused[i].a[0], errno);
			without_control++;
		}
	}
	confine_or_die(s);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		long r = try(&refused[i]);

		if (r >= 0 || errno != refused[i].after) {
			fprintf(stderr, "%s(0x%lx): %ld, errno %d\n", refused[i].name, refused[i].a[0], r,
				errno);
			bad++;
		}
	}
	NEED(bad == 0);
	NEED(without_control <= 4);
}

static void
calls_refused(void **state)
{
	struct jailspec s = plain();

	(void)state;
	assert_int_equal(in_child(calls_body, &s), 0);
}

static void
kept_body(const struct jailspec *s)
{
	static const int families[][2] = {{AF_UNIX, 0}, {AF_INET, 0}, {AF_INET6, 0}, {AF_NETLINK, 0}};
	int status, p[2];
	pid_t pid;

	confine_or_die(s);
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		int fd = socket(families[i][0], families[i][0] == AF_NETLINK ? SOCK_RAW : SOCK_STREAM, 0);

		NEED(fd >= 0 || (families[i][0] == AF_INET6 && errno == EAFNOSUPPORT));
		(void)close(fd);
	}
	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	NEED(syscall(SYS_personality, 0xffffffff) == 0);
	NEED(syscall(SYS_personality, 0) == 0);
	NEED(unshare(CLONE_FS | CLONE_FILES) == 0);
	NEED(ioctl(-1, TCGETS, 0) < 0 && errno == EBADF);
	NEED(ioctl(-1, TIOCSWINSZ, 0) < 0 && errno == EBADF);
	pid = fork();
	if (pid == 0) {
		/* a user of the jail, for good and without a right */
		NEED(setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
		NEED(setuid(0) < 0 && errno == EPERM);
		NEED(chown("/", 0, 0) < 0 && errno == EPERM);
		_exit(0);
	}
	NEED(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	/* newer than what we know: as on a kernel without it */
	NEED(syscall(500, 0) < 0 && errno == ENOSYS);
	NEED(syscall(470, 0) < 0 && errno == ENOSYS);
	NEED(syscall(-1) < 0 && errno == ENOSYS);
	/* close_range, a known new one, works */
	NEED(syscall(SYS_close_range, 1000, 1001, 0) == 0);
}

static void
calls_kept(void **state)
{
	struct jailspec s = plain();

	(void)state;
	assert_int_equal(in_child(kept_body, &s), 0);
}

static uint64_t
status_hex(const char *field)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long long v = ~0ULL;

	NEED(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		const char *rest = str_after(line, field);

		if (rest)
			NEED(sscanf(rest, "%llx", &v) == 1);
	}
	(void)fclose(f);
	return v;
}

static void
caps_body(const struct jailspec *s)
{
	uint64_t before = status_hex("CapEff:"), want = confine_caps(s) & before;

	NEED(before != want);
	confine_or_die(s);
	NEED(status_hex("CapBnd:") == (confine_caps(s) & status_hex("CapBnd:")));
	NEED(status_hex("CapPrm:") == want);
	NEED(status_hex("CapEff:") == want);
	NEED(status_hex("CapInh:") == 0);
	NEED(status_hex("CapAmb:") == 0);
	NEED(status_hex("NoNewPrivs:") == (s->allow.suid ? 0 : 1));
	NEED(status_hex("Seccomp:") == 2);
}

static void
capabilities(void **state)
{
	struct jailspec s = plain();

	(void)state;
	/* chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service sys_chroot setfcap
	 * audit_write */
	assert_true(confine_caps(&s) == 0xa00405fb);
	assert_int_equal(in_child(caps_body, &s), 0);
	s.allow.reserved_ports = false;
	assert_true(confine_caps(&s) == (0xa00405fb & ~(UINT64_C(1) << CAP_NET_BIND_SERVICE)));
	s.allow.raw_sockets = s.allow.proc_debug = s.allow.routing = s.allow.suid = true;
	assert_true(confine_caps(&s) & (UINT64_C(1) << CAP_NET_RAW));
	assert_true(confine_caps(&s) & (UINT64_C(1) << CAP_NET_ADMIN));
	assert_true(confine_caps(&s) & (UINT64_C(1) << CAP_SYS_PTRACE));
	assert_int_equal(in_child(caps_body, &s), 0);
	/* over the host's own stack never */
	s.ip4 = SHARE_INHERIT;
	assert_false(confine_caps(&s) & (UINT64_C(1) << CAP_NET_ADMIN));
	assert_int_equal(in_child(caps_body, &s), 0);
}

static void
opened_body(const struct jailspec *s)
{
	int fd = open("/proc/sys/kernel/dmesg_restrict", O_RDONLY);
	char c = '1';
	bool open_log = read(fd, &c, 1) == 1 && c == '0';

	(void)close(fd);
	confine_or_die(s);
	NEED(syscall(SYS_ptrace, PTRACE_PEEKDATA, 0x7fffffff, 0, 0) < 0 && errno == ESRCH);
	NEED(syscall(SYS_kcmp, 0x7fffffff, 0, 0, 0, 0) < 0 && errno == ESRCH);
	NEED(syscall(SYS_sethostname, 0, -1) < 0 && (errno == EINVAL || errno == EPERM));
	NEED(socket(AF_NETLINK, SOCK_RAW, 12) >= 0 || errno != EPROTONOSUPPORT);
	NEED(!open_log || syscall(SYS_syslog, 10, 0, 0) >= 0);
	NEED(syscall(SYS_setns, -1, 0) < 0 && errno == EPERM);
}

static void
opened_by_allow(void **state)
{
	struct jailspec s = plain(), none = plain();

	(void)state;
	s.allow.proc_debug = s.allow.set_hostname = s.allow.socket_af = s.allow.read_msgbuf = true;
	assert_int_not_equal(filter_key(&s), filter_key(&none));
	assert_int_equal(in_child(opened_body, &s), 0);
	assert_int_not_equal(in_child(opened_body, &none), 0);
}

#ifdef __x86_64__
static long
call_ia32(long nr)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr) : "memory", "r8", "r9", "r10", "r11");
	return r;
}

static void
ia32_free_body(const struct jailspec *s)
{
	(void)s;
	(void)signal(SIGSEGV, SIG_DFL); /* not cmocka's handler: where there is no such gate, the call ends us so */
	NEED(call_ia32(20 /* getpid */) == getpid());
}

static void
ia32_body(const struct jailspec *s)
{
	confine_or_die(s);
	(void)call_ia32(20);
}

static void
x32_body(const struct jailspec *s)
{
	confine_or_die(s);
	(void)syscall(0x40000000 + SYS_getpid);
}

static void
other_tables(void **state)
{
	struct jailspec s = plain();
	int status;

	(void)state;
	status = in_child(ia32_free_body, &s);
	if (status == 0) { /* a kernel that has that table */
		status = in_child(ia32_body, &s);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	}
	status = in_child(x32_body, &s);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}
#else
static void
other_tables(void **state)
{
	(void)state;
	skip();
}
#endif

static void
limits_body(const struct jailspec *s)
{
	struct rlimit l = {64, 64};
	struct err e = ERR_INIT;

	/* a hard limit of the caller stays, without an error */
	NEED(setrlimit(RLIMIT_NOFILE, &l) == 0);
	l = (struct rlimit){1000000, RLIM_INFINITY};
	NEED(setrlimit(RLIMIT_FSIZE, &l) == 0);
	NEED(getrlimit(RLIMIT_SIGPENDING, &l) == 0);
	l.rlim_cur = 1;
	NEED(setrlimit(RLIMIT_SIGPENDING, &l) == 0);
	NEED(confine_limits(s, &e) == 0);
	NEED(getrlimit(RLIMIT_SIGPENDING, &l) == 0 && l.rlim_cur == l.rlim_max);
	NEED(getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur == 64 && l.rlim_max == 64);
	NEED(getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_cur == RLIM_INFINITY);
	NEED(getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_cur <= 1 && l.rlim_max <= 1);
	NEED(getrlimit(RLIMIT_MEMLOCK, &l) == 0 && l.rlim_max <= 8 << 20);
}

static void
limits(void **state)
{
	struct jailspec s = plain();

	(void)state;
	assert_int_equal(in_child(limits_body, &s), 0);
}

static void
coredump_body(const struct jailspec *s)
{
	struct rlimit had, l;
	struct err e = ERR_INIT;

	NEED(getrlimit(RLIMIT_CORE, &had) == 0);
	NEED(confine_limits(s, &e) == 0);
	NEED(getrlimit(RLIMIT_CORE, &l) == 0);
	NEED(l.rlim_max == had.rlim_max && l.rlim_cur == had.rlim_max);
}

static void
coredump(void **state)
{
	struct jailspec s = plain();

	(void)state;
	s.allow.coredump = true;
	assert_int_equal(in_child(coredump_body, &s), 0);
}

/* --- abstract UNIX sockets of the host, for a jail that has its network --- */

static struct sockaddr_un abstract;

static bool
connects(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool yes = connect(fd, (struct sockaddr *)&abstract, sizeof(abstract)) == 0;

	NEED(yes || errno == EPERM);
	(void)close(fd);
	return yes;
}

static void
reaches_body(const struct jailspec *s)
{
	confine_or_die(s);
	NEED(connects());
}

static void
scoped_body(const struct jailspec *s)
{
	struct sockaddr_un own = {.sun_family = AF_UNIX, .sun_path = "\0t_confine.own"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	NEED(connects());
	confine_or_die(s);
	NEED(!connects());
	(void)close(fd);
	/* its own ones, and signals to whom it could send them before */
	abstract = own;
	abstract.sun_path[sizeof(abstract.sun_path) - 1] = (char)('0' + getpid() % 10);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	NEED(bind(fd, (struct sockaddr *)&abstract, sizeof(abstract)) == 0 && listen(fd, 1) == 0);
	NEED(connects());
	NEED(kill(getppid(), 0) == 0);
}

static void
host_sockets(void **state)
{
	struct jailspec s = plain();
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* its version */);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	if (abi < 6) {
		print_message("no scopes: landlock has version %ld\n", abi);
		skip();
	}
	abstract = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(abstract.sun_path + 1, sizeof(abstract.sun_path) - 1, "t_confine.%d", getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&abstract, sizeof(abstract)), 0);
	assert_int_equal(listen(fd, 8), 0);
	/* a network of its own says it already: no domain, which commands run later could not join */
	assert_int_equal(in_child(reaches_body, &s), 0);
	s.ip4 = SHARE_INHERIT;
	assert_int_equal(in_child(scoped_body, &s), 0);
	assert_int_not_equal(in_child(reaches_body, &s), 0);
	s.allow.suid = true; /* without no_new_privs CAP_SYS_ADMIN lets it */
	assert_int_equal(in_child(scoped_body, &s), 0);
	s.allow.suid = false;
	s.allow.abstract_unix = true;
	assert_int_equal(in_child(reaches_body, &s), 0);
	(void)close(fd);
}

/* What it costs is told, not judged. */
static void
cost(void **state)
{
	struct jailspec s = plain();
	struct err e = ERR_INIT;
	int p[2];
	long us[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	if (fork() == 0) {
		struct timespec t[3];

		(void)clock_gettime(CLOCK_MONOTONIC, &t[0]);
		(void)confine_prepare(&s, &e);
		(void)clock_gettime(CLOCK_MONOTONIC, &t[1]);
		confine_or_die(&s);
		(void)clock_gettime(CLOCK_MONOTONIC, &t[2]);
		for (int i = 0; i < 2; i++)
			us[i] = (t[i + 1].tv_sec - t[i].tv_sec) * 1000000 +
				(t[i + 1].tv_nsec - t[i].tv_nsec) / 1000;
		(void)!write(p[1], us, sizeof(us));
		_exit(0);
	}
	(void)close(p[1]);
	assert_int_equal(read(p[0], us, sizeof(us)), sizeof(us));
	(void)wait(NULL);
	print_message("confine_prepare %ld us, confine %ld us\n", us[0], us[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cost),         cmocka_unit_test(calls_refused),   cmocka_unit_test(calls_kept),
	    cmocka_unit_test(capabilities), cmocka_unit_test(opened_by_allow), cmocka_unit_test(other_tables),
	    cmocka_unit_test(limits),       cmocka_unit_test(coredump),        cmocka_unit_test(host_sockets),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_confine: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
