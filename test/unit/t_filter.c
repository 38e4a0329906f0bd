/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os/linux/confine/calls.c, filter.c: every system call with and without the program, what each parameter opens, and
 * programs that must run.  Only the program differs between two runs, not capabilities or ids, so that a
 * difference is the program's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "os/linux/confine/calls.h"
#include "os/linux/confine/confine.h"
#include "os/linux/confine/filter.h"

#define SWEEP 600       /* numbers tried */
#define BY_SIGNAL 10000 /* + signal: how a call ended */
#define NO_RETURN 20000
#define LEFT_OUT 30000

/* The numbers of the installed headers: {"name", number}, */
static const struct {
	const char *name;
	int nr;
} header[] = {
#include "unistd_names.h"
};

static const char *
name_of(int nr)
{
	static char number[16];

	for (size_t i = 0; i < ARRAY_LEN(header); i++)
		if (header[i].nr == nr)
			return header[i].name;
	(void)snprintf(number, sizeof(number), "%d", nr);
	return number;
}

static struct jailspec
plain(void)
{
	struct jailspec s = {.ip4 = SHARE_NEW, .ip6 = SHARE_NEW};

	s.allow.reserved_ports = true;
	return s;
}

static void
load_or_die(const struct jailspec *s)
{
	struct sock_fprog prog;
	struct err e = ERR_INIT;

	if (filter_make(filter_key(s), &prog, &e) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0) {
		fprintf(stderr, "load: %s (errno %d)\n", e.msg, errno);
		_exit(1);
	}
}

/* A name that the lists do not have is a call that nobody has thought about. */
static void
drift(void **state)
{
	int bad = 0;

	(void)state;
	assert_true(ARRAY_LEN(header) > 250);
	for (size_t i = 0; i < ARRAY_LEN(header); i++)
		if (call_rule(header[i].nr) == CALL_UNKNOWN) {
			print_error("calls.c does not know %s (%d)\n", header[i].name, header[i].nr);
			bad++;
		}
	assert_int_equal(bad, 0);
	assert_int_equal(call_rule(100000), CALL_UNKNOWN);
}

static const struct {
	enum call_rule rule;
	const char *names; /* each with a blank behind it */
} wanted[] = {
#include "calls_wanted.h"
};

/* What the installed headers or libseccomp may not have yet: one number on every architecture. */
static const struct {
	const char *name;
	int nr;
} late[] = {
    {"quotactl_fd", 443},       {"landlock_create_ruleset", 444},
    {"landlock_add_rule", 445}, {"landlock_restrict_self", 446},
    {"memfd_secret", 447},      {"process_mrelease", 448},
    {"futex_waitv", 449},       {"set_mempolicy_home_node", 450},
    {"cachestat", 451},         {"fchmodat2", 452},
    {"map_shadow_stack", 453},  {"futex_wake", 454},
    {"futex_wait", 455},        {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},
    {"lsm_get_self_attr", 459}, {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461},  {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},
    {"listxattrat", 465},       {"removexattrat", 466},
    {"open_tree_attr", 467},    {"file_getattr", 468},
    {"file_setattr", 469},
};

/* The number of a name, negative: this architecture lacks it. */
static int
number_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(late); i++)
		if (streq(late[i].name, name))
			return late[i].nr;
	for (size_t i = 0; i < ARRAY_LEN(header); i++)
		if (streq(header[i].name, name))
			return header[i].nr;
	return seccomp_syscall_resolve_name(name);
}

/* Each call has the rule that it is meant to have. */
static void
as_wanted(void **state)
{
	int bad = 0, known = 0;
	bool seen[SWEEP] = {false};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(wanted); k++)
		for (const char *p = wanted[k].names; *p; p += strcspn(p, " ") + 1) {
			_auto_free char *name = xstrndup(p, strcspn(p, " "));
			int nr = number_of(name);

			if (nr < 0)
				continue;
			if (nr < SWEEP)
				seen[nr] = true;
			if (call_rule(nr) == wanted[k].rule)
				continue;
			print_error("%s has rule %d, not %d\n", name, (int)call_rule(nr),
				    (int)wanted[k].rule);
			bad++;
		}
	/* and there is no other */
	for (int nr = 0; nr < SWEEP; nr++) {
		known += call_rule(nr) != CALL_UNKNOWN;
#ifdef __x86_64__
		if (nr == 335 || nr == 336) { /* uretprobe, uprobe: nobody has names for them */
			assert_int_equal(call_rule(nr), CALL_ALLOW);
			continue;
		}
#endif
		if (call_rule(nr) != CALL_UNKNOWN && !seen[nr]) {
			print_error("%s is in calls.c only\n", name_of(nr));
			bad++;
		}
	}
	assert_int_equal(bad, 0);
	assert_true(known > 300);
}

static void
each_once(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < call_groups_len; i++)
		for (size_t k = 0; k < call_groups[i].n; k++) {
			int nr = call_groups[i].nr[k], seen = 0;

			for (size_t g = 0; nr >= 0 && g < call_groups_len; g++)
				for (size_t n = 0; n < call_groups[g].n; n++)
					seen += call_groups[g].nr[n] == nr;
			if (nr >= 0 && seen != 1) {
				print_error("%s is listed %d times\n", name_of(nr), seen);
				bad++;
			}
		}
	assert_int_equal(bad, 0);
}

/* Calls that end, stop, double or endanger whoever makes them, whatever the arguments; or that take long. */
static bool
left_out(int nr)
{
	static const int out[] = {SYS_exit,
				  SYS_exit_group,
				  SYS_rt_sigreturn,
				  SYS_clone,
				  SYS_kill,
				  SYS_sync,
#ifdef SYS_fork
				  SYS_fork,
				  SYS_vfork,
				  SYS_pause,
#endif
				  335,
				  336 /* uretprobe, uprobe: only from the kernel's trampolines */};

	for (size_t i = 0; i < ARRAY_LEN(out); i++)
		if (out[i] == nr)
			return true;
	return false;
}

/* Every number once, each in a process of its own, with arguments that nothing can come of. */
static void
sweep(const struct jailspec *s, int *ret)
{
	int *how = mmap(NULL, SWEEP * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	assert_ptr_not_equal(how, MAP_FAILED);
	pid = fork();
	if (pid == 0) {
		(void)setsid(); /* vhangup(2) has no terminal to end */
		if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET) < 0)
			_exit(1); /* msgget(2) leaves something */
		if (s)
			load_or_die(s);
		for (int nr = 0; nr < SWEEP; nr++) {
			how[nr] = left_out(nr) ? LEFT_OUT : NO_RETURN;
			if (how[nr] == LEFT_OUT)
				continue;
			pid = fork();
			if (pid == 0) {
				(void)alarm(5);
				how[nr] = syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L) < 0 ? errno : 0;
				_exit(0);
			}
			if (pid < 0 || waitpid(pid, &status, 0) != pid)
				_exit(1);
			if (WIFSIGNALED(status))
				how[nr] = BY_SIGNAL + WTERMSIG(status);
		}
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	memcpy(ret, how, SWEEP * sizeof(int));
	(void)munmap(how, SWEEP * sizeof(int));
}

/* What the call must answer: like the kernel's own answer, EPERM or ENOSYS. */
static int
expected(int nr, int alone)
{
	switch (call_rule(nr)) {
	case CALL_ALLOW:
	case CALL_PERSONALITY: /* -1 asks */
	case CALL_IOCTL:
	case CALL_SETRLIMIT:
	case CALL_PRLIMIT:
		return alone;
	case CALL_SOCKET:
		return EAFNOSUPPORT;
	case CALL_UNKNOWN:
	case CALL_ABSENT:
		return ENOSYS;
	default:
		return EPERM;
	}
}

static int alone[SWEEP], without[SWEEP]; /* no program; that of a jail without any parameter */

static int
sweeps(void **state)
{
	struct jailspec s = plain();

	(void)state;
	sweep(NULL, alone);
	sweep(&s, without);
	return 0;
}

static void
every_call(void **state)
{
	int bad = 0, allowed = 0, controlled = 0;

	(void)state;
	for (int nr = 0; nr < SWEEP; nr++) {
		int want = expected(nr, alone[nr]);

		if (alone[nr] == LEFT_OUT)
			continue;
		if (without[nr] != want) {
			print_error("%s: %d, without the program %d, expected %d\n", name_of(nr), without[nr],
				    alone[nr], want);
			bad++;
		}
		allowed += call_rule(nr) == CALL_ALLOW && alone[nr] != ENOSYS && alone[nr] != EPERM;
		controlled += want == EPERM && alone[nr] != EPERM && alone[nr] != ENOSYS;
	}
	assert_int_equal(bad, 0);
	/* the control: most of both are there and would have answered otherwise */
	print_message("%d allowed, %d denied with a control\n", allowed, controlled);
	assert_true(allowed > 200 && controlled > 35);
}

/* `what` in a process of its own, under the program for s if there is one; what it returned. */
static int
under(const struct jailspec *s, int (*what)(void *), void *data)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (s)
			load_or_die(s);
		_exit(what(data));
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
try_socket(void *data)
{
	const int *a = data;

	return socket(a[0], a[1], a[2]) < 0 ? errno : 0;
}

static int
socket_errno(const struct jailspec *s, int family, int type, int protocol)
{
	int a[] = {family, type, protocol};

	return under(s, try_socket, a);
}

#define OFF(f) offsetof(struct jailspec, allow.f)
static const struct {
	const char *name;
	size_t off;
	enum call_rule rule;
} knobs[] = {
    {"unprivileged_proc_debug", OFF(proc_debug), CALL_DEBUG},
    {"set_hostname", OFF(set_hostname), CALL_HOSTNAME},
    {"read_msgbuf", OFF(read_msgbuf), CALL_MSGBUF},
    {"io_uring", OFF(io_uring), CALL_IO_URING},
    {"keyring", OFF(keyring), CALL_KEYRING},
    {"numa", OFF(numa), CALL_NUMA},
    {"socket_af", OFF(socket_af), CALL_SOCKET},
    /* no system calls */
    {"suid", OFF(suid), CALL_UNKNOWN},
    {"raw_sockets", OFF(raw_sockets), CALL_UNKNOWN},
};

/* Its own calls, and no others. */
static void
one_by_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(knobs); i++) {
		struct jailspec s = plain();
		int with[SWEEP], bad = 0, opened = 0;

		*(bool *)((char *)&s + knobs[i].off) = true;
		if (knobs[i].rule == CALL_UNKNOWN) {
			struct jailspec none = plain();

			assert_int_equal(filter_key(&s), filter_key(&none));
			continue;
		}
		sweep(&s, with);
		for (int nr = 0; nr < SWEEP; nr++) {
			bool own = call_rule(nr) == knobs[i].rule;

			if (with[nr] == (own ? alone[nr] : without[nr])) {
				opened += own && with[nr] != without[nr];
				continue;
			}
			print_error("allow.%s: %s: %d, without the program %d, without it %d\n",
				    knobs[i].name, name_of(nr), with[nr], alone[nr], without[nr]);
			bad++;
		}
		assert_int_equal(bad, 0);
		assert_true(opened > 0);
	}
}

/* Socket types and protocols, the same with a parameter that opens them. */
static void
sockets(void **state)
{
	static const struct {
		int family, type, protocol, want; /* 0: as without the program */
	} rows[] = {
	    {AF_UNIX, SOCK_STREAM, 0, 0},
	    {AF_UNIX, SOCK_SEQPACKET, 0, 0},
	    {AF_INET, SOCK_STREAM, 0, 0},
	    {AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP, 0},
	    {AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP, 0},
	    {AF_INET, SOCK_DGRAM, IPPROTO_ICMP, 0},
	    {AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, 0},
	    {AF_INET, SOCK_STREAM, 262 /* MPTCP */, 0},
	    {AF_INET, SOCK_RAW, 89 /* OSPF */, 0},
	    {AF_NETLINK, SOCK_RAW, 0 /* ROUTE */, 0},
	    {AF_INET, SOCK_STREAM, IPPROTO_SCTP, EPROTONOSUPPORT},
	    {AF_INET6, SOCK_STREAM, 256 /* SMC */, EPROTONOSUPPORT},
	    {AF_INET, SOCK_DGRAM, 115 /* L2TP */, EPROTONOSUPPORT},
	    {AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, ESOCKTNOSUPPORT},
	    {AF_INET, SOCK_DCCP, IPPROTO_DCCP, ESOCKTNOSUPPORT},
	    {AF_INET, SOCK_PACKET, 0x300, ESOCKTNOSUPPORT},
	    {AF_INET, SOCK_PACKET | SOCK_NONBLOCK, 0x300, ESOCKTNOSUPPORT},
	    {AF_NETLINK, SOCK_RAW, 12 /* NETFILTER */, EPROTONOSUPPORT},
	    {AF_PACKET, SOCK_RAW, 0, EAFNOSUPPORT},
	    {38 /* AF_ALG */, SOCK_SEQPACKET, 0, EAFNOSUPPORT},
	};
	struct jailspec closed = plain(), open = plain();

	(void)state;
	open.allow.socket_af = true;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int own = socket_errno(NULL, rows[i].family, rows[i].type, rows[i].protocol);
		int shut = socket_errno(&closed, rows[i].family, rows[i].type, rows[i].protocol);

		if (shut != (rows[i].want ? rows[i].want : own))
			fail_msg("row %zu: %d, without the program %d", i, shut, own);
		assert_int_equal(socket_errno(&open, rows[i].family, rows[i].type, rows[i].protocol), own);
	}
	/* the control: what is denied last is there */
	assert_int_equal(socket_errno(NULL, AF_INET, SOCK_PACKET, 0x300), 0);
	assert_int_equal(socket_errno(NULL, AF_NETLINK, SOCK_RAW, 12), 0);
}

/* Every way to set the size of a core dump, with the numbers that a program sees. */
static int
core_limits(void *data)
{
	static const struct rlimit zero;
	struct rlimit old = {42, 42}, now;
	bool *open = data;

	if (getrlimit(RLIMIT_CORE, &now) < 0 || now.rlim_cur != 1)
		return 1;
	if (syscall(SYS_prlimit64, 0, RLIMIT_CORE, &zero, &old) == 0 ? !*open : errno != EPERM)
		return 2;
	if (!*open && old.rlim_cur != 42)
		return 3;
	/* resource is an int: the other half of the register is nothing to the kernel */
	if (syscall(SYS_prlimit64, 0, RLIMIT_CORE | 1L << 32, &zero, NULL) < 0 ||
	    setrlimit(RLIMIT_CORE, &zero) < 0)
		return 4;
#ifdef SYS_setrlimit
	if (syscall(SYS_setrlimit, RLIMIT_CORE | 1L << 32, &zero) < 0)
		return 5;
#endif
	if (syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &now) < 0 || now.rlim_cur != (*open ? 0 : 1))
		return 6;
	/* another limit is set as ever */
	now.rlim_cur = now.rlim_max = 77;
	if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &now, &old) < 0 || setrlimit(RLIMIT_NOFILE, &now) < 0 ||
	    getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur != 77)
		return 7;
	return 0;
}

static void
core_size(void **state)
{
	const struct rlimit one = {1, 1};
	struct jailspec closed = plain(), open = plain();
	bool no = false, yes = true;

	(void)state;
	if (setrlimit(RLIMIT_CORE, &one) < 0)
		skip(); /* 0 is the hard limit here, and cannot be raised */
	open.allow.coredump = true;
	assert_int_equal(under(&closed, core_limits, &no), 0);
	assert_int_equal(under(&open, core_limits, &yes), 0);
	assert_int_equal(under(NULL, core_limits, &yes), 0);
}

/* Larger programs, each using a good part of what its runtime can. */
static const struct {
	const char *what, *script;
} programs[] = {
    {"shell", "cd \"$D\" && seq 1000 | sort -rn | head -n 3 | tr '\\n' ' ' | grep -q '^1000 999 998' && "
	      "mkdir a && cp -a /etc/passwd a/b && ln -s b a/c && ln a/b a/d && mv a/d a/e && "
	      "tar cf - a | tar tf - | grep -q a/e && find a -type f | xargs ls -l >/dev/null && "
	      "stat -f / >/dev/null && dd if=/dev/zero of=z bs=1M count=2 conv=fsync 2>/dev/null && "
	      "(sleep 5 & kill -TERM $!; wait $!; test $? = 143) && timeout 5 true && nice -n 1 true && "
	      "touch -d 2001-01-01 a/b && chmod 600 a/b && chown 1:1 a/b && df . >/dev/null && rm -r a z"},
    {"perl", "perl -MSocket -MIO::Select -MPOSIX -MFcntl=:flock -e 'pipe(R,W); if (!fork) { print W \"x\"; "
	     "close W; exit 3 } close W; my $g=<R>; wait; die if $?>>8 != 3 or $g ne \"x\"; "
	     "socketpair(A,B,AF_UNIX,SOCK_STREAM,PF_UNSPEC) or die; syswrite A,\"y\"; sysread B,$g,1; "
	     "die if $g ne \"y\"; open F,\">\",\"$ENV{D}/p\"; flock F,LOCK_EX or die; "
	     "$SIG{ALRM}=sub{exit 0}; alarm 1; POSIX::pause; die'"},
    {"python3",
     "python3 -c 'import threading,subprocess,multiprocessing,asyncio,socket,os,mmap,tempfile,time\n"
     "t=[threading.Thread(target=time.sleep,args=(0.01,)) for i in range(8)]\n"
     "[x.start() for x in t]; [x.join() for x in t]\n"
     "assert subprocess.check_output([\"echo\",\"hi\"])==b\"hi\\n\"\n"
     "q=multiprocessing.Queue(); p=multiprocessing.Process(target=q.put,args=(7,)); p.start()\n"
     "assert q.get(timeout=10)==7; p.join(); l=multiprocessing.Lock(); l.acquire(); l.release()\n"
     "async def main():\n"
     " s=await asyncio.start_server(lambda r,w: w.close(),\"127.0.0.1\",0)\n"
     " r,w=await asyncio.open_connection(*s.sockets[0].getsockname()); await r.read(); s.close()\n"
     " p=await asyncio.create_subprocess_exec(\"true\"); assert await p.wait()==0\n"
     "asyncio.run(main())\n"
     "m=mmap.mmap(-1,1<<20); m[0]=1; os.sendfile; os.memfd_create(\"x\"); os.urandom(8)\n"
     "os.posix_spawn(\"/bin/true\",[\"true\"],{}); os.wait(); "
     "os.sched_setaffinity(0,os.sched_getaffinity(0))'"},
    {"java", "cat >\"$D/T.java\" <<'E'\n"
	     "public class T { public static void main(String[] a) throws Exception {\n"
	     "var p = java.util.concurrent.Executors.newFixedThreadPool(4);\n"
	     "for (int i = 0; i < 8; i++) p.submit(() -> new byte[1 << 20].length);\n"
	     "p.shutdown(); p.awaitTermination(10, java.util.concurrent.TimeUnit.SECONDS);\n"
	     "var s = java.nio.channels.ServerSocketChannel.open().bind(null); s.close();\n"
	     "if (new ProcessBuilder(\"true\").start().waitFor() != 0) System.exit(1); } }\n"
	     "E\n"
	     "java -Xshare:auto -XX:TieredStopAtLevel=1 \"$D/T.java\""},
    {"node", "node -e 'const n=require(\"net\"),c=require(\"child_process\"),f=require(\"fs\"),"
	     "w=require(\"worker_threads\");"
	     "const s=n.createServer(x=>x.end()).listen(0,()=>n.connect(s.address().port).on(\"close\",()=>{"
	     "s.close(); if (c.execFileSync(\"echo\",[\"k\"])!=\"k\\n\") process.exit(1);"
	     "f.readFile(\"/etc/passwd\",e=>{ if(e) process.exit(1);"
	     "new w.Worker(\"1\",{eval:true}).on(\"exit\",r=>process.exit(r))})}).resume())'"},
    {"git", "cd \"$D\" && git init -q r && cd r && git config user.email a@b && git config user.name n && "
	    "echo x >f && git add f && git commit -qm m && git gc -q && git log | grep -q m"},
    {"gcc", "cd \"$D\" && echo 'int main(void){return 0;}' >t.c && gcc -O2 -pthread t.c -o t && ./t"},
    {"dpkg", "dpkg -S /bin/sh >/dev/null && dpkg --print-architecture | grep -q ."},
};

static int
run_program(const char *script, const struct jailspec *s)
{
	struct err e = ERR_INIT;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)alarm(60);
		if (s && (confine_limits(s, &e) < 0 || confine(s, &e) < 0)) {
			fprintf(stderr, "confine: %s\n", e.msg);
			_exit(1);
		}
		(void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
programs_run(void **state)
{
	char dir[] = "/tmp/t_filter.XXXXXX";
	int ran = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(setenv("D", dir, 1), 0);
	assert_int_equal(setenv("HOME", dir, 1), 0);
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		struct jailspec s = plain();
		_auto_free char *script = xasprintf("%s; r=$?; rm -rf \"$D\"/*; exit $r", programs[i].script);
		int status;

		/* what is not installed, or does not run here anyhow, says nothing */
		status = run_program(script, NULL);
		if (status != 0) {
			print_message("%s does not run here (%d)\n", programs[i].what, status);
			continue;
		}
		ran++;
		status = run_program(script, &s);
		if (status != 0)
			print_error("%s: status 0x%x\n", programs[i].what, status);
		assert_int_equal(status, 0);
	}
	(void)run_program("rm -rf \"$D\"", NULL);
	assert_true(ran >= 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(drift),      cmocka_unit_test(as_wanted),    cmocka_unit_test(each_once),
	    cmocka_unit_test(every_call), cmocka_unit_test(one_by_one),   cmocka_unit_test(sockets),
	    cmocka_unit_test(core_size),  cmocka_unit_test(programs_run),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_filter: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, sweeps, NULL);
}
