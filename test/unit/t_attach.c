/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os/linux/exec/attach.c, tty.c, users.c: commands in a jail.  The jail is made here by hand (busybox in a tmpfs,
 * all namespaces), so that nothing but these files is under test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/where.h"
#include "os/linux/confine/confine.h"
#include "os/linux/instance/ref.h"
#include "os/linux/host/syscalls.h"
#include "os/linux/exec/tty.h"
#include "os/linux/exec/users.h"
#include "os/linux/instance/userns.h"

#define IDBASE 0x7abc0000u
#define BUSYBOX "/bin/busybox"
#define KILL_SLEEP "kill -9 $(busybox ps | busybox awk '/[s]leep/ {print $1}')"

static const char *init_path;
static sigset_t first_mask; /* of this process when it began */

/* Test double: brig-init of this build. */
char *
where_libexec(const char *program)
{
	assert_string_equal(program, "brig-init");
	return xstrdup(init_path);
}

static struct {
	pid_t pid;
	struct os_ref ref;
	struct os_id id;
	struct jailspec spec;
	char host_file[64];
} jail;

/* --- the jail by hand --- */

static void
must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		_exit(99);
	}
}

static void
put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0 &&
		 fchown(fd, IDBASE, IDBASE) == 0,
	     path);
	fd_close(fd);
}

static void
make_tree(void)
{
	static const char *const dirs[] = {"bin",  "etc",  "dev",      "dev/pts", "proc",
					   "root", "home", "home/joe", "tmp"};
	char opts[64];

	(void)snprintf(opts, sizeof(opts), "mode=755,uid=%u,gid=%u", IDBASE, IDBASE);
	must(mount("jail", "/tmp", "tmpfs", 0, opts) == 0 && chdir("/tmp") == 0, "tmpfs");
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		must(mkdir(dirs[i], 0755) == 0 && chown(dirs[i], IDBASE, IDBASE) == 0, dirs[i]);
	must(chmod("tmp", 01777) == 0, "tmp");
	put("bin/busybox", "", 0755);
	must(mount(BUSYBOX, "bin/busybox", NULL, MS_BIND, NULL) == 0, BUSYBOX);
	must(symlink("busybox", "bin/sh") == 0 && symlink("busybox", "bin/cat") == 0, "bin/sh");
	put("bin/text", "not a program", 0644);
	put("etc/passwd",
	    "root:x:0:0:root:/root:/bin/sh\nfar:x:70000:1::/:/bin/sh\n"
	    "joe:x:1000:1000:Joe:/home/joe:/bin/sh\nlost:x:1001:1001::/nowhere:/bin/none\n",
	    0644);
	put("etc/group", "root:x:0:\nwheel:x:10:joe,lost\nbad:x:99999:joe\nmail:x:12:root\njoe:x:1000:\n",
	    0644);
	must(mknod("dev/null", S_IFCHR | 0666, 0x103) == 0 && chmod("dev/null", 0666) == 0, "dev/null");
	must(mknod("dev/tty", S_IFCHR | 0666, 0x500) == 0 && chmod("dev/tty", 0666) == 0, "dev/tty");
	(void)snprintf(opts, sizeof(opts), "newinstance,ptmxmode=0666,mode=620,gid=%u", IDBASE + 5);
	must(mount("/proc", "proc", NULL, MS_BIND, NULL) == 0, "proc"); /* a visible one permits another */
	must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, opts) == 0, "devpts");
}

static _Noreturn void
first_process(int go)
{
	struct err e = ERR_INIT;
	char c;

	must(read(go, &c, 1) == 1, "go");
	must(userns_become_root(-1, &e) == 0, e.msg);
	must(unshare(CLONE_NEWNS | CLONE_NEWCGROUP) == 0, "unshare");
	must(mount("proc", "/proc", "proc", MS_NOSUID, NULL) == 0, "proc");
	must(sethostname("jail", 4) == 0, "sethostname");
	(void)signal(SIGCHLD, SIG_IGN);
	must(read(go, &c, 1) == 1, "go");
	closefrom(0);
	for (;;)
		(void)pause();
}

/* Its child is the test's. */
static _Noreturn void
maker(int go[2], int tell)
{
	struct err e = ERR_INIT;
	int procfd;
	pid_t pid;

	must(unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "unshare");
	make_tree();
	must(sys_pivot_root(".", ".") == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/") == 0, "pivot_root");
	pid = sys_clone(
	    CLONE_PARENT | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, 0);
	if (pid == 0)
		first_process(go[0]);
	must(pid > 0 && proc_dir(pid, &procfd, &e) == 0 && userns_map(procfd, IDBASE, &e) == 0, e.msg);
	must(write(go[1], "gg", 2) == 2 && write(tell, &pid, sizeof(pid)) == sizeof(pid), "pid");
	_exit(0);
}

static int
jail_up(void **state)
{
	struct timespec ts = {0, 50 * 1000000L};
	struct err e = ERR_INIT;
	int go[2], tell[2], status, fd;
	pid_t pid;

	(void)state;
	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(tell, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		maker(go, tell[1]);
	if (child_wait(pid, &status) < 0 || status != 0 ||
	    read(tell[0], &jail.pid, sizeof(jail.pid)) != sizeof(jail.pid))
		return -1;
	for (int i = 0; i < 2; i++) {
		fd_close(go[i]);
		fd_close(tell[i]);
	}
	(void)nanosleep(&ts, NULL); /* its /proc */
	if (ref_make(jail.pid, &jail.ref, &e) < 0)
		return -1;
	jail.id = (struct os_id){"test", "t", 1};
	jail.spec = (struct jailspec){.ip4 = SHARE_NEW, .ip6 = SHARE_NEW};
	jail.spec.allow.reserved_ports = true;
	(void)snprintf(jail.host_file, sizeof(jail.host_file), "/tmp/t_attach.%d", getpid());
	fd = open(jail.host_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	fd_close(fd);
	return fd < 0 ? -1 : 0;
}

static int
jail_down(void **state)
{
	int status;

	(void)state;
	(void)unlink(jail.host_file);
	(void)kill(jail.pid, SIGKILL);
	return child_wait(jail.pid, &status);
}

/* --- helpers --- */

static char *out; /* what the last command printed */

static int
run(struct os_exec *x, const char *command, int *ret_status, struct err *e)
{
	char sh[] = "/bin/sh", c[] = "-c";
	char *text = xstrdup(command), *argv[] = {sh, c, text, NULL};
	struct buf b = BUF_INIT;
	int r;

	if (!x->argv && !x->shell)
		x->argv = argv;
	x->capture = !x->tty && !x->background && x->fd_out < 0 ? &b : NULL;
	*ret_status = -1;
	err_clear(e);
	r = os_jail_exec(&jail.id, &jail.ref, &jail.spec, x, ret_status, e);
	free(out);
	out = buf_take(&b);
	free(text);
	x->argv = NULL;
	return r;
}

/* Prints what the shell command prints, which must succeed. */
static const char *
says(struct os_exec *x, const char *command)
{
	struct err e = ERR_INIT;
	int status, r = run(x, command, &status, &e);

	if (r < 0)
		fail_msg("%s: %s", command, e.msg);
	if (status != 0)
		fail_msg("%s: status 0x%x: %s", command, status, out);
	return out;
}

#define FRESH (struct os_exec) OS_EXEC_INIT
#define CLEAN                                                          \
	(struct os_exec)                                               \
	{                                                              \
		.fd_in = -1, .fd_out = -1, .fd_err = -1, .clean = true \
	}

/* --- tests --- */

static void
statuses(void **state)
{
	char *missing[] = {xstrdup("/bin/missing"), NULL}, *text[] = {xstrdup("/bin/text"), NULL};
	struct os_exec x = FRESH;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	assert_int_equal(run(&x, "exit 3", &status, &e), 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	assert_int_equal(run(&x, "kill -9 $$", &status, &e), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	x.argv = missing;
	assert_int_equal(run(&x, "", &status, &e), -ENOENT);
	assert_string_equal(e.msg, "/bin/missing: No such file or directory");
	assert_int_equal(WEXITSTATUS(status), 127);
	x.argv = text;
	assert_int_equal(run(&x, "", &status, &e), -EACCES);
	assert_int_equal(WEXITSTATUS(status), 126);
	free(missing[0]);
	free(text[0]);
}

static void
namespaces(void **state)
{
	static const char *const names[] = {"net", "ipc", "uts", "cgroup", "mnt", "user", "pid"};
	struct os_exec x = FRESH;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_auto_free char *path = xasprintf("/proc/%d/ns/%s", jail.pid, names[i]), *text = NULL;
		char link[64] = "", own[64] = "";
		_auto_free char *self = xasprintf("/proc/self/ns/%s", names[i]);

		assert_true(readlink(path, link, sizeof(link) - 1) > 0 &&
			    readlink(self, own, sizeof(own) - 1) > 0);
		text = xasprintf("busybox readlink /proc/self/ns/%s", names[i]);
		assert_string_not_equal(link, own);
		assert_memory_equal(says(&x, text), link, strlen(link));
	}
	assert_string_equal(says(&x, "pwd"), "/\n");
	assert_string_equal(says(&x, "busybox hostname"), "jail\n");
	/* nothing of the host in reach */
	assert_true(access(jail.host_file, F_OK) == 0);
	{
		_auto_free char *text = xasprintf("busybox test ! -e %s", jail.host_file);

		(void)says(&x, text);
	}
}

static void
confined(void **state)
{
	struct os_exec x = FRESH;
	_auto_free char *want = xasprintf(
	    "CapInh:\t%016x\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\n"
	    "CapAmb:\t%016x\nNoNewPrivs:\t1\nSeccomp:\t2\n",
	    0, (unsigned long long)confine_caps(&jail.spec), (unsigned long long)confine_caps(&jail.spec),
	    (unsigned long long)confine_caps(&jail.spec), 0);

	(void)state;
	assert_string_equal(says(&x, "busybox grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/self/status"),
			    want);
	x.jail_user = "joe";
	assert_string_equal(
	    says(&x, "busybox grep -E '^Cap(Prm|Eff|Inh|Amb):' /proc/self/status"),
	    "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
	    "CapAmb:\t0000000000000000\n");
	x.jail_user = NULL;
	(void)says(&x, "! busybox mount -t tmpfs tmpfs /tmp 2>/dev/null");
	(void)says(&x, "! busybox unshare -U true 2>/dev/null");
	(void)says(&x, "! busybox chroot /proc/1/root busybox mount -o remount,rw / 2>/dev/null");
	assert_string_equal(says(&x, "busybox grep -c . /proc/self/environ >/dev/null; umask"), "0022\n");
	/* its session and group are its own, the keyring is new */
	assert_string_equal(says(&x, "test $$ = $(busybox awk '{print $6}' /proc/$$/stat) && echo leader"),
			    "leader\n");
}

static void
environment(void **state)
{
	struct os_exec x = CLEAN;
	char one[] = "ONE=1", two[] = "HOME=/tmp", *add[] = {one, two, NULL};

	(void)state;
	(void)setenv("SECRET_OF_HOST", "x", 1);
	(void)setenv("TERM", "vt100", 1);
	assert_string_equal(
	    says(&x, "busybox env | busybox grep -v -e PWD -e SHLVL | busybox sort; pwd"),
	    "HOME=/root\nLOGNAME=root\n"
	    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nSHELL=/bin/sh\n"
	    "TERM=vt100\nUSER=root\n/root\n");
	(void)setenv("TERM", "bad\033[2J", 1);
	assert_string_equal(says(&x, "echo ${TERM-none}"), "none\n");
	x.jail_user = "joe";
	x.env_add = add;
	assert_string_equal(says(&x, "echo $USER $HOME $ONE $PATH; pwd"),
			    "joe /tmp 1 /usr/local/bin:/usr/bin:/bin\n/home/joe\n");
	x = FRESH;
	assert_string_equal(says(&x, "echo $SECRET_OF_HOST; pwd"), "x\n/\n");
	(void)unsetenv("SECRET_OF_HOST");
	(void)setenv("TERM", "dumb", 1);
}

static void
users(void **state)
{
	struct os_exec x = CLEAN;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	assert_string_equal(says(&x, "busybox id -u; busybox id -G"), "0\n0 12\n");
	x.jail_user = "joe";
	assert_string_equal(says(&x, "busybox id -u; busybox id -g; busybox id -G"), "1000\n1000\n1000 10\n");
	x.jail_user = "lost"; /* its home is not there */
	assert_string_equal(says(&x, "pwd; busybox id -G"), "/\n1001 10\n");
	x.jail_user = "nobody";
	assert_int_equal(run(&x, "true", &status, &e), -ENOENT);
	assert_string_equal(e.msg, "nobody: no such user");
	x.jail_user = "far"; /* an id that the jail does not have */
	assert_int_equal(run(&x, "true", &status, &e), -ENOENT);
	x.jail_user = NULL;
	x.host_user = "daemon";
	assert_string_equal(says(&x, "busybox id -u; echo $USER"), "1\ndaemon\n");
	x.host_user = "no.such.user";
	assert_int_equal(run(&x, "true", &status, &e), -ENOENT);
	assert_string_equal(e.msg, "no.such.user: no such user");
	/* a passwd that is no file, and none at all */
	x = CLEAN;
	(void)says(&x, "busybox mv /etc/passwd /etc/p && busybox mkfifo /etc/passwd");
	assert_string_equal(says(&x, "echo $USER $HOME"), "root /root\n");
	x.jail_user = "joe";
	assert_int_equal(run(&x, "true", &status, &e), -ENOENT);
	x = CLEAN;
	(void)says(&x, "busybox rm /etc/passwd; busybox truncate -s 8M /etc/passwd");
	x.jail_user = "joe";
	assert_int_equal(run(&x, "true", &status, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "too large"));
	x = CLEAN;
	(void)says(&x, "busybox mv /etc/p /etc/passwd");
}

static void
directories(void **state)
{
	struct os_exec x = CLEAN;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	x.workdir = "/tmp";
	assert_string_equal(says(&x, "pwd"), "/tmp\n");
	x.workdir = "/nowhere";
	assert_int_equal(run(&x, "true", &status, &e), -ENOENT);
	assert_string_equal(e.msg, "/nowhere: No such file or directory");
	x.workdir = "/proc/self/fd/3";
	assert_true(run(&x, "true", &status, &e) < 0);
	x.workdir = NULL;
	x.fd_in = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(run(&x, "cat ../../etc/shadow", &status, &e), -EISDIR);
	assert_string_equal(e.msg, "standard input is a directory of the host");
	fd_close(x.fd_in);
}

static void
descriptors(void **state)
{
	int leak = open(jail.host_file, O_RDONLY), in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct os_exec x = FRESH;

	(void)state;
	assert_true(leak >= 0 && fcntl(leak, F_DUPFD, 50) >= 50);
	x.fd_in = in;
	/* 3 is the directory that ls reads */
	assert_string_equal(says(&x, "busybox ls /proc/self/fd"), "0\n1\n2\n3\n");
	closefrom(leak);
}

static void
captured(void **state)
{
	struct os_exec x = FRESH;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	assert_string_equal(says(&x, "echo a; echo b >&2"), "a\nb\n");
	(void)says(&x, "busybox yes 0123456789012345678901234567890123456789 | busybox head -c 200000");
	assert_int_equal(strlen(out), 65536);
	/* the end of the command counts, not that of what it left behind */
	assert_string_equal(says(&x, "busybox sleep 5 & echo done"), "done\n");
	assert_int_equal(run(&x, KILL_SLEEP, &status, &e), 0);
}

static long
ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000L;
}

static void
time_out(void **state)
{
	struct os_exec x = FRESH;
	struct err e = ERR_INIT;
	int status;
	long t = ms();

	(void)state;
	x.timeout_s = 1;
	assert_int_equal(
	    run(&x, "busybox sleep 77 & trap '' TERM; busybox sleep 77; busybox sleep 77", &status, &e),
	    -ETIMEDOUT);
	assert_true(ms() - t < 5000);
	x.timeout_s = 0;
	assert_string_equal(says(&x, "busybox ps | busybox grep -c '[s]leep 77' ; true"), "0\n");
}

static void
background(void **state)
{
	struct os_exec x = FRESH;
	struct err e = ERR_INIT;
	int status;
	long t = ms();

	(void)state;
	x.background = true;
	assert_int_equal(run(&x, "busybox sleep 66", &status, &e), 0);
	assert_true(ms() - t < 3000);
	x.background = false;
	assert_string_equal(says(&x, "busybox sleep 0.1; busybox ps | busybox grep -c '[s]leep 66'"), "1\n");
	(void)says(&x, KILL_SLEEP);
	/* nothing of it is ours to wait for: a zombie would hold up the end of the jail */
	assert_int_equal(waitpid(-1, &status, WNOHANG | __WNOTHREAD), 0);
	x.background = true;
	x.argv = (char *[]){(char[]){"/missing"}, NULL};
	assert_int_equal(run(&x, "", &status, &e), -ENOENT);
}

/* The caller is killed: so is what it ran. */
static void
caller_killed(void **state)
{
	struct os_exec x = FRESH;
	pid_t pid = fork();
	struct timespec ts = {0, 300 * 1000000L};
	int status;

	(void)state;
	if (pid == 0) {
		struct err e = ERR_INIT;

		(void)run(&x, "exec busybox sleep 55", &status, &e);
		_exit(0);
	}
	(void)nanosleep(&ts, NULL);
	assert_string_equal(says(&x, "busybox ps | busybox grep -c '[s]leep 55'"), "1\n");
	(void)kill(pid, SIGKILL);
	assert_int_equal(child_wait(pid, &status), 0);
	(void)nanosleep(&ts, NULL);
	assert_string_equal(says(&x, "busybox ps | busybox grep -c '[s]leep 55' ; true"), "0\n");
}

/* ... and with a signal that can be caught it ends in order, with the signal in the status. */
static void
caller_terminated(void **state)
{
	struct os_exec x = FRESH;
	pid_t pid = fork();
	struct timespec ts = {0, 300 * 1000000L};
	int status;

	(void)state;
	if (pid == 0) {
		struct err e = ERR_INIT;

		x.signals = true;
		if (run(&x, "exec busybox sleep 44", &status, &e) < 0 || !WIFSIGNALED(status))
			_exit(1);
		_exit(WTERMSIG(status));
	}
	(void)nanosleep(&ts, NULL);
	(void)kill(pid, SIGTERM);
	assert_int_equal(child_wait(pid, &status), 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == SIGTERM);
}

static volatile sig_atomic_t noticed;

static void
notice(int sig _unused_)
{
	noticed++;
}

/* A hook: what is sent to the caller's whole group at any moment is the caller's, and the command ends in peace. */
static void
signals_left(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct os_exec x = FRESH;
		pid_t pid = fork();
		int status, sent = 0;

		if (pid == 0) {
			struct err e = ERR_INIT;

			(void)signal(SIGTERM, notice);
			(void)setpgid(0, 0);
			if (run(&x, "busybox usleep 60000", &status, &e) < 0 || status != 0)
				_exit(1);
			_exit(noticed > 0 ? 0 : 2);
		}
		(void)nanosleep(&(struct timespec){0, 2000000}, NULL);
		/* closely at first, while the command is on its way into the jail */
		while (waitpid(pid, &status, WNOHANG) == 0) {
			(void)kill(-pid, SIGTERM);
			(void)nanosleep(&(struct timespec){0, ++sent < 200 ? 50000 : 5000000}, NULL);
		}
		assert_int_equal(status, 0);
	}
}

/* --- terminals --- */

/* A caller with a terminal of its own, at the other end of which the test sits. */
static pid_t
on_terminal(int *ret_master, struct os_exec *x, const char *command, const struct winsize *size)
{
	pid_t pid = forkpty(ret_master, NULL, NULL, size);

	assert_true(pid >= 0);
	if (pid == 0) {
		struct termios before, after;
		struct err e = ERR_INIT;
		int status, r;

		must(tcgetattr(0, &before) == 0, "tcgetattr");
		printf("begin\n");
		(void)fflush(stdout);
		r = run(x, command, &status, &e);
		must(tcgetattr(0, &after) == 0, "tcgetattr");
		if (before.c_iflag != after.c_iflag || before.c_oflag != after.c_oflag ||
		    before.c_cflag != after.c_cflag || before.c_lflag != after.c_lflag ||
		    memcmp(before.c_cc, after.c_cc, VEOL2 + 1) != 0)
			printf("TERMINAL CHANGED\n");
		if (r < 0)
			printf("error: %s\n", e.msg);
		else
			printf("end %d %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1,
			       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
		(void)fflush(stdout);
		_exit(0);
	}
	return pid;
}

/* What appears on the terminal until text has, at most 5 s. */
static char *
until(int master, const char *text)
{
	struct buf b = BUF_INIT;
	long end = ms() + 5000;

	buf_adds(&b, "");
	while (!strstr(b.s, text) && ms() < end) {
		struct pollfd p = {master, POLLIN, 0};
		char chunk[512];
		ssize_t n;

		if (poll(&p, 1, 100) <= 0)
			continue;
		n = read(master, chunk, sizeof(chunk));
		if (n <= 0)
			break;
		buf_add(&b, chunk, (size_t)n);
	}
	if (!strstr(b.s, text))
		fail_msg("'%s' did not come; what came: '%s'", text, b.s);
	return buf_take(&b);
}

static void
type(int master, const char *text)
{
	assert_int_equal(fsx_write_all(master, text, strlen(text)), 0);
}

static void
unchanged(const char *text)
{
	const char *changed = strstr(text, "TERMINAL CHANGED");

	if (changed)
		fail_msg("%s", changed);
}

static void
finish(pid_t pid, int master)
{
	int status;

	fd_close(master);
	assert_int_equal(child_wait(pid, &status), 0);
}

static void
terminal(void **state)
{
	struct os_exec x = CLEAN;
	struct winsize size = {33, 101, 0, 0};
	_auto_free char *a = NULL, *b = NULL, *c = NULL, *d = NULL;
	int master;
	pid_t pid;

	(void)state;
	x.tty = true;
	x.signals = true;
	pid =
	    on_terminal(&master, &x,
			"busybox tty; busybox stty size; trap 'busybox stty size' WINCH; "
			"until read -r line; do :; done; echo \"got $line\"; while read -r line; do echo \"then $line\"; done; "
			"busybox seq 1 20000; echo last; exit 7",
			&size);
	a = until(master, "33 101");
	assert_non_null(strstr(a, "/dev/pts/0")); /* the jail's, not the caller's */
	size.ws_col = 55;
	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	/* the trap runs before, after or instead of the shell's read */
	type(master, "hello\n");
	b = until(master, "got hello");
	type(master, "\004");
	c = until(master, "end 7 0");
	/* nothing is lost at the end */
	assert_non_null(strstr(c, "20000\r\nlast\r\n"));
	unchanged(c);
	finish(pid, master);
	/* ^C is a byte for the terminal inside, which makes a signal of it there */
	pid = on_terminal(&master, &x, "echo ready; busybox sleep 33", &size);
	d = until(master, "ready");
	type(master, "\003");
	free(TAKE_PTR(d));
	d = until(master, "end ");
	assert_true(strstr(d, "end -1 2") || strstr(d, "end 130 0"));
	unchanged(d);
	finish(pid, master);
}

static void
terminal_window(void **state)
{
	struct os_exec x = CLEAN;
	struct winsize size = {10, 20, 0, 0};
	_auto_free char *a = NULL, *b = NULL;
	int master;
	pid_t pid;

	(void)state;
	x.tty = true;
	x.signals = true;
	pid = on_terminal(&master, &x,
			  "trap 'busybox stty size; exit 0' WINCH; echo ready; "
			  "while :; do busybox sleep 0.05; done",
			  &size);
	a = until(master, "ready");
	size.ws_col = 77;
	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	b = until(master, "end 0 0");
	assert_non_null(strstr(b, "10 77"));
	finish(pid, master);
}

/* SIGTERM and SIGHUP to the caller: the terminal is as it was. */
static void
terminal_signals(void **state)
{
	static const int signals[] = {SIGTERM, SIGHUP};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		struct os_exec x = CLEAN;
		_auto_free char *a = NULL, *b = NULL;
		int master;
		pid_t pid;

		x.tty = true;
		x.signals = true;
		pid = on_terminal(&master, &x,
				  "trap '' HUP TERM; echo ready; while :; do busybox sleep 1; done", NULL);
		a = until(master, "ready");
		(void)kill(pid, signals[i]);
		b = until(master, "end -1 9"); /* deaf to both: KILL after a while */
		unchanged(b);
		finish(pid, master);
	}
}

/* Output to a terminal without tty goes through a pipe: the command holds no descriptor of it. */
static void
terminal_kept_away(void **state)
{
	struct os_exec x = CLEAN;
	_auto_free char *a = NULL;
	int master;
	pid_t pid;

	(void)state;
	x.fd_out = 1;
	pid = on_terminal(
	    &master, &x,
	    "for fd in 0 1 2; do busybox readlink /proc/self/fd/$fd; done; test -t 1 && echo IS TTY; "
	    "cat; exit 4",
	    NULL);
	(void)usleep(200000);
	type(master, "typed\n\004");
	a = until(master, "end 4 0");
	assert_null(strstr(a, "IS TTY"));
	assert_null(strstr(a, "pts"));
	assert_non_null(strstr(a, "pipe:"));
	assert_non_null(strstr(a, "typed\r\ntyped\r\n")); /* the echo, and cat's */
	finish(pid, master);
}

static void
no_devpts_body(bool planted)
{
	struct tty_shape shape = {0};
	struct err e = ERR_INIT;
	int m, s, r;

	must(unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		 mount("none", "/dev/pts", "tmpfs", 0, NULL) == 0,
	     "tmpfs");
	if (planted) /* the right device in the wrong place */
		must(mknod("/dev/pts/ptmx", S_IFCHR | 0666, 0x502) == 0, "mknod");
	r = tty_make(&shape, &m, &s, &e);
	_exit(r < 0 && strstr(e.msg, "no terminal: the jail's /dev/pts") ? 0 : 1);
}

static void
no_devpts(void **state)
{
	(void)state;
	for (int planted = 0; planted < 2; planted++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			no_devpts_body(planted);
		assert_int_equal(child_wait(pid, &status), 0);
		assert_int_equal(status, 0);
	}
}

static void
passwd_text(void **state)
{
	struct user u = {0};
	char text[] = "a:b\nroot:x:1:1::/:/bin/sh\n:x:0:0::/:/x\nq:x:-0:0::/:/x\nq:x:0x0:0::/:/x\n"
		      "toor:x:0:0:a:relative:nologin\nroot:x:0:0::/r:/bin/x\nmore:x:0:0::/:/bin/x:y\n";
	char again[] = "root:x:0:0::/r:/bin/x", empty[] = "",
	     group[] = "g:x:5:a,toor\nh:x:6:toorx\ni:x:7: toor ,b\n"
		       "j:x:65536:toor\nk:x:8\n";

	(void)state;
	assert_int_equal(passwd_find(text, NULL, &u), 1);
	assert_string_equal(u.name, "toor");
	assert_string_equal(u.home, "/"); /* not a path of its own */
	assert_string_equal(u.shell, "/bin/sh");
	group_find(group, &u);
	assert_int_equal(u.n_groups, 2);
	assert_int_equal(u.groups[0], 5);
	assert_int_equal(u.groups[1], 7);
	user_free(&u);
	assert_int_equal(passwd_find(again, "root", &u), 1);
	assert_string_equal(u.home, "/r");
	assert_int_equal(passwd_find(empty, "root", &u), 0);
	user_free(&u);
}

static void
shells(void **state)
{
	struct os_exec x = CLEAN;
	_auto_free char *a = NULL, *b = NULL, *c = NULL;
	int master;
	pid_t pid;

	(void)state;
	x.tty = true;
	x.signals = true;
	x.shell = true;
	x.login = true;
	pid = on_terminal(&master, &x, "", NULL);
	type(master, "echo shell is $0; exit 5\n");
	a = until(master, "end 5 0");
	assert_non_null(strstr(a, "shell is -sh"));
	finish(pid, master);
	/* a shell that is not there: /bin/sh */
	x.login = false;
	x.jail_user = "lost";
	pid = on_terminal(&master, &x, "", NULL);
	type(master, "echo shell is $0; exit 6\n");
	b = until(master, "end 6 0");
	assert_non_null(strstr(b, "shell is /bin/sh"));
	finish(pid, master);
}

static void
gone(void **state)
{
	struct os_ref was = jail.ref;
	struct os_exec x = FRESH;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	jail.ref.start++;
	assert_int_equal(run(&x, "true", &status, &e), -ESRCH);
	jail.ref = was;
	jail.ref.ns++;
	assert_int_equal(run(&x, "true", &status, &e), -ESRCH);
	jail.ref = was;
	jail.ref.boot[0] ^= 1;
	assert_int_equal(run(&x, "true", &status, &e), -ESRCH);
	jail.ref = was;
	jail.ref.pid = 0x7ffffff0;
	assert_int_equal(run(&x, "true", &status, &e), -ESRCH);
	assert_string_equal(e.msg, "the jail is not running any more");
	jail.ref = was;
	(void)says(&x, "true");
}

static void
cost(void **state)
{
	struct os_exec x = FRESH;
	char program[] = "/bin/busybox", arg[] = "true", *argv[] = {program, arg, NULL};
	struct err e = ERR_INIT;
	int status, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	long best = -1, plain = -1;

	(void)state;
	x.fd_in = x.fd_out = x.fd_err = null;
	x.argv = argv;
	/* the best of several: what else runs here should not count */
	for (int i = 0; i < 40; i++) {
		struct timespec t[3];
		long us[2];
		pid_t pid;

		(void)clock_gettime(CLOCK_MONOTONIC, &t[0]);
		assert_int_equal(os_jail_exec(&jail.id, &jail.ref, &jail.spec, &x, &status, &e), 0);
		assert_int_equal(status, 0);
		(void)clock_gettime(CLOCK_MONOTONIC, &t[1]);
		pid = fork();
		if (pid == 0) {
			(void)execv(program, argv);
			_exit(1);
		}
		assert_int_equal(child_wait(pid, &status), 0);
		(void)clock_gettime(CLOCK_MONOTONIC, &t[2]);
		for (int k = 0; k < 2; k++)
			us[k] = (t[k + 1].tv_sec - t[k].tv_sec) * 1000000 +
				(t[k + 1].tv_nsec - t[k].tv_nsec) / 1000;
		best = best < 0 || us[0] < best ? us[0] : best;
		plain = plain < 0 || us[1] < plain ? us[1] : plain;
	}
	print_message("os_jail_exec of /bin/true: %ld us; fork and exec alone: %ld us\n", best, plain);
	fd_close(null);
}

/* --- what must not go by unnoticed --- */

static void
wrong_calls(void **state)
{
	char *empty[] = {(char[]){""}, NULL}, *none[] = {NULL}, *good[] = {(char[]){"/bin/true"}, NULL};
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	int status;

	(void)state;
	for (int how = 0; how < 8; how++) {
		struct os_exec x = FRESH;

		x.argv = good;
		x.jail_user = how & 1 ? "joe" : NULL;
		x.host_user = how & 2 ? "daemon" : NULL;
		x.clean = how & 4;
		err_clear(&e);
		assert_int_equal(os_jail_exec(&jail.id, &jail.ref, &jail.spec, &x, &status, &e) == -EINVAL,
				 (how & 3) == 3);
	}
	for (int how = 0; how < 8; how++) {
		struct os_exec x = FRESH;

		x.argv = good;
		x.background = how & 1;
		x.tty = how & 2;
		x.capture = how & 4 ? &b : NULL;
		if (how == 2) /* alone it wants a terminal */
			continue;
		err_clear(&e);
		assert_int_equal(os_jail_exec(&jail.id, &jail.ref, &jail.spec, &x, &status, &e) == -EINVAL,
				 how == 3 || how > 4);
	}
	for (int how = 0; how < 3; how++) {
		struct os_exec x = FRESH;

		x.argv = how == 0 ? empty : how == 1 ? none : NULL;
		assert_int_equal(os_jail_exec(&jail.id, &jail.ref, &jail.spec, &x, &status, &e), -EINVAL);
	}
	buf_free(&b);
}

/* Whatever the caller is like, a command is as any other. */
static void
odd_caller(void **state)
{
	static const int stopped[] = {SIGINT, SIGQUIT, SIGPIPE, SIGUSR1, SIGCHLD};
	struct rlimit had, low;
	struct os_exec x = FRESH;
	static const char command[] = "umask; test $(ulimit -n) -ge 1024 && echo files; "
				      "busybox grep -E '^Sig(Blk|Ign):' /proc/self/status";
	_auto_free char *as_ever = xstrdup(says(&x, command));
	mode_t mask = umask(077);
	sigset_t set, old, now;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	assert_true(str_after(as_ever, "0022\nfiles\nSigBlk:\t0000000000000000\n") != NULL);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
	low = (struct rlimit){200, had.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(stopped); i++)
		sigaddset(&set, stopped[i]);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	(void)signal(SIGUSR2, SIG_IGN);
	(void)signal(SIGALRM, SIG_IGN);
	assert_string_equal(says(&x, command), as_ever);
	/* and the caller is as it was, also after an error, and after all that was run before */
	for (int sig = 1; sig < SIGRTMIN; sig++)
		assert_int_equal(sigismember(&old, sig), sigismember(&first_mask, sig));
	assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	for (int sig = 1; sig < SIGRTMIN; sig++)
		assert_int_equal(sigismember(&now, sig), sigismember(&set, sig) || sigismember(&old, sig));
	/* those that it handed on meanwhile */
	x.signals = true;
	assert_int_equal(run(&x, "true", &status, &e), 0);
	assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	for (int sig = 1; sig < SIGRTMIN; sig++)
		assert_int_equal(sigismember(&now, sig), sigismember(&set, sig) || sigismember(&old, sig));
	x.workdir = "/nowhere";
	assert_true(run(&x, "true", &status, &e) < 0);
	assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	for (int sig = 1; sig < SIGRTMIN; sig++)
		assert_int_equal(sigismember(&now, sig), sigismember(&set, sig) || sigismember(&old, sig));
	(void)signal(SIGUSR2, SIG_DFL);
	(void)signal(SIGALRM, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	(void)setrlimit(RLIMIT_NOFILE, &had);
	(void)umask(mask);
}

/* A caller, in a process of its own, that gets a signal after a while; how its command ended. */
static int
signalled(const char *command, int sig, bool ignored)
{
	struct timespec ts = {0, 400 * 1000000L};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct os_exec x = FRESH;
		struct err e = ERR_INIT;

		x.signals = true;
		/* a background command of a shell has some ignored */
		(void)signal(sig, ignored ? SIG_IGN : SIG_DFL);
		if (run(&x, command, &status, &e) < 0)
			_exit(200);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status));
	}
	(void)nanosleep(&ts, NULL);
	(void)kill(pid, sig);
	assert_int_equal(child_wait(pid, &status), 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
signals_of_the_caller(void **state)
{
	static const int sigs[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sigs); i++) {
		_auto_free char *command = xasprintf("trap 'exit 5' %d; n=0; while test $n -lt 12; do "
						     "busybox sleep 0.1; n=$((n+1)); done; exit 3",
						     sigs[i]);

		assert_int_equal(signalled(command, sigs[i], false), 5);
		assert_int_equal(signalled(command, sigs[i], true), 3); /* nohup */
	}
	/* one that is stopped gets it, too */
	assert_int_equal(signalled("trap 'exit 6' TERM; kill -STOP $$; exit 3", SIGTERM, false), 6);
	assert_int_equal(signalled("trap 'exit 6' HUP; kill -STOP $$; exit 3", SIGHUP, false), 6);
	/* what does not listen is killed */
	assert_int_equal(signalled("trap '' TERM; busybox sleep 50; busybox sleep 50", SIGTERM, false),
			 100 + SIGKILL);
}

static void
timed_out_family(void **state)
{
	struct os_exec x = FRESH;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	x.timeout_s = 1;
	/* stopped: it is told, and let go on to hear it */
	assert_int_equal(run(&x, "trap 'echo told; exit 1' TERM; kill -STOP $$; exit 0", &status, &e),
			 -ETIMEDOUT);
	assert_string_equal(out, "told\n");
	/* the leader ends at once, a child of its group does not: it is killed */
	assert_int_equal(run(&x, "(trap '' TERM; busybox sleep 88; busybox sleep 88) & exec busybox sleep 87",
			     &status, &e),
			 -ETIMEDOUT);
	x.timeout_s = 0;
	assert_string_equal(
	    says(&x, "busybox sleep 0.2; busybox ps | busybox grep -c '[s]leep 8[78]' ; true"), "0\n");
	/* of one that ended in time what it left goes on */
	x.timeout_s = 20;
	assert_string_equal(says(&x, "(busybox sleep 89 >/dev/null 2>&1 &) ; echo done"), "done\n");
	x.timeout_s = 0;
	assert_string_equal(says(&x, "busybox ps | busybox grep -c '[s]leep 89'"), "1\n");
	(void)says(&x, KILL_SLEEP);
}

/* What a command has as its descriptors where the caller has files of the host. */
static void
files_of_the_host(void **state)
{
	static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_APPEND};
	_auto_free char *path = xasprintf("%s.out", jail.host_file),
			*said = xasprintf("%s.err", jail.host_file);

	(void)state;
	for (int io = 0; io < 2; io++)
		for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
			_auto_close int file = open(path, flags[i] | O_CREAT | O_CLOEXEC, 0600),
					err_fd = open(said, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
			_auto_free char *command = xasprintf("busybox readlink /proc/$$/fd/%d >&2", io),
					*text = NULL;
			struct os_exec x = FRESH;
			struct err e = ERR_INIT;
			int status;

			if (io == 1 && flags[i] == O_RDONLY)
				continue;
			x.fd_in = io == 0 ? file : x.fd_in;
			x.fd_out = io == 1 ? file : err_fd;
			x.fd_err = err_fd;
			assert_int_equal(run(&x, command, &status, &e), 0);
			assert_int_equal(status, 0);
			assert_true(lseek(err_fd, 0, SEEK_SET) == 0 &&
				    fsx_read_fd(err_fd, 4096, &text, NULL) == 0);
			/* a file that can only be read may be its own */
			if (!str_after(text, "pipe:") && flags[i] != O_RDONLY)
				fail_msg("descriptor %d, flags %d: %s", io, flags[i], text);
		}
	(void)unlink(path);
	(void)unlink(said);
}

/* What is read of passwd(5) and group(5): ids that the jail has, and as many groups as there is room for. */
static void
bounds_of_ids(void **state)
{
	static const struct {
		const char *id;
		int found;
	} rows[] = {{"0", 1},  {"65535", 1},      {"65536", 0}, {"70000", 0},
		    {"-1", 0}, {"4294967296", 0}, {"x", 0},     {"", 0}};
	struct buf b = BUF_INIT;
	struct user u = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_auto_free char *uid = xasprintf("joe:x:%s:5::/:/bin/sh\n", rows[i].id),
				*gid = xasprintf("joe:x:5:%s::/:/bin/sh\n", rows[i].id);

		assert_int_equal(passwd_find(uid, "joe", &u), rows[i].found);
		assert_int_equal(passwd_find(gid, "joe", &u), rows[i].found);
	}
	for (int i = 0; i < USER_GROUPS_MAX + 10; i++)
		buf_addf(&b, "g%d:x:%d:joe\n", i, 100 + i);
	u.n_groups = 0;
	group_find(b.s, &u);
	assert_int_equal(u.n_groups, USER_GROUPS_MAX);
	assert_int_equal(u.groups[USER_GROUPS_MAX - 1], 100 + USER_GROUPS_MAX - 1);
	user_free(&u);
	buf_free(&b);
}

/* A user of the host whose ids the jail does not have: its host's passwd has them. */
static void
users_of_the_host(void **state)
{
	static const char text[] = "root:x:0:0::/:/bin/sh\nlast:x:65535:65535::/:/bin/sh\n"
				   "uid:x:65536:5::/:/bin/sh\ngid:x:5:65536::/:/bin/sh\n";
	_auto_free char *path = xasprintf("%s.passwd", jail.host_file);
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		struct user u = {0};
		struct err e = ERR_INIT;

		must(write(fd, text, sizeof(text) - 1) > 0 && unshare(CLONE_NEWNS) == 0 &&
			 mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			 mount(path, "/etc/passwd", NULL, MS_BIND, NULL) == 0,
		     "passwd");
		_exit(user_outside("last", &u, &e) == 0 && u.uid == 65535 &&
			      user_outside("uid", &u, &e) == -ERANGE && user_outside("gid", &u, &e) == -ERANGE
			  ? 0
			  : 1);
	}
	assert_int_equal(child_wait(pid, &status), 0);
	(void)unlink(path);
	assert_int_equal(status, 0);
}

/* FIFOs, devices and links to itself as the files that are read: nobody waits. */
static void
no_files(void **state)
{
	static const char *const make[] = {
	    "busybox mkfifo /etc/passwd /etc/group", "busybox mkdir /etc/passwd /etc/group",
	    "busybox ln -s passwd /etc/passwd; busybox ln -s group /etc/group"};
	struct os_exec x = CLEAN;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	(void)says(&x, "busybox mv /etc/passwd /etc/p; busybox mv /etc/group /etc/g");
	for (size_t i = 0; i < ARRAY_LEN(make); i++) {
		(void)alarm(30);
		(void)says(&x, make[i]);
		assert_string_equal(says(&x, "echo $USER $HOME"), "root /root\n");
		x.jail_user = "joe";
		assert_int_equal(run(&x, "true", &status, &e), -ENOENT);
		assert_non_null(strstr(e.msg, i < 2 ? "Invalid argument" : "symbolic links"));
		x.jail_user = NULL;
		(void)says(&x, "busybox rm -rf /etc/passwd /etc/group");
		(void)alarm(0);
	}
	(void)says(&x, "busybox mv /etc/p /etc/passwd; busybox mv /etc/g /etc/group");
}

/* What is searched in PATH, how it is executed, and what is said of what cannot be. */
static void
searched(void **state)
{
	static const struct {
		const char *path, *command;
		int num; /* 0: it runs */
	} rows[] = {{"PATH=/tmp/a:/tmp/b", "prog", 0},
		    {"PATH=/tmp/b:/tmp/a", "prog", 0},
		    {"PATH=/tmp/b", "prog", EACCES},
		    {"PATH=/tmp/none:/tmp/b", "prog", EACCES},
		    {"PATH=/tmp/b:/tmp/none", "prog", EACCES},
		    {"PATH=/tmp/none", "prog", ENOENT},
		    {"PATH=/tmp/a", "none", ENOENT},
		    {"PATH=/tmp/a/text", "prog", ENOENT},
		    {"PATH=/tmp/a", "text", 0} /* the shell's */,
		    {"PATH=", "prog", ENOENT},
		    {"PATH=/bin", "/tmp/b/prog", EACCES}};
	struct os_exec x = FRESH;

	(void)state;
	(void)says(&x, "busybox mkdir /tmp/a /tmp/b; printf '#!/bin/sh\\necho ran' >/tmp/a/prog; "
		       "printf 'echo ran' >/tmp/a/text; busybox chmod 755 /tmp/a/prog /tmp/a/text; "
		       "printf '' >/tmp/b/prog; busybox chmod 644 /tmp/b/prog");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *argv[] = {xstrdup(rows[i].command), NULL}, *env[] = {xstrdup(rows[i].path), NULL};
		struct err e = ERR_INIT;
		int status;

		x = FRESH;
		x.env_add = env;
		x.argv = argv;
		if (run(&x, "", &status, &e) != -rows[i].num)
			fail_msg("%s in %s: %s", rows[i].command, rows[i].path, e.msg);
		if (rows[i].num == 0)
			assert_string_equal(out, "ran\n");
		free(argv[0]);
		free(env[0]);
	}
	/* names and directories about as long as a path can be */
	for (size_t len = 4080; len < 4100; len++) {
		_auto_free char *dir = xcalloc(1, len + 1);
		char *argv[] = {xstrdup("p"), NULL}, *env[] = {NULL, NULL};
		struct err e = ERR_INIT;
		int status;

		memset(dir, '/', len);
		env[0] = xasprintf("PATH=%s", dir);
		x = FRESH;
		x.env_add = env;
		x.argv = argv;
		assert_int_equal(run(&x, "", &status, &e), -ENOENT);
		assert_int_equal(WEXITSTATUS(status), 127);
		free(argv[0]);
		free(env[0]);
	}
	x = FRESH;
	(void)says(&x, "busybox rm -r /tmp/a /tmp/b");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(statuses),
	    cmocka_unit_test(namespaces),
	    cmocka_unit_test(confined),
	    cmocka_unit_test(environment),
	    cmocka_unit_test(users),
	    cmocka_unit_test(directories),
	    cmocka_unit_test(descriptors),
	    cmocka_unit_test(captured),
	    cmocka_unit_test(time_out),
	    cmocka_unit_test(background),
	    cmocka_unit_test(caller_killed),
	    cmocka_unit_test(caller_terminated),
	    cmocka_unit_test(signals_left),
	    cmocka_unit_test(terminal),
	    cmocka_unit_test(terminal_window),
	    cmocka_unit_test(terminal_signals),
	    cmocka_unit_test(terminal_kept_away),
	    cmocka_unit_test(shells),
	    cmocka_unit_test(no_devpts),
	    cmocka_unit_test(passwd_text),
	    cmocka_unit_test(wrong_calls),
	    cmocka_unit_test(odd_caller),
	    cmocka_unit_test(signals_of_the_caller),
	    cmocka_unit_test(timed_out_family),
	    cmocka_unit_test(files_of_the_host),
	    cmocka_unit_test(bounds_of_ids),
	    cmocka_unit_test(users_of_the_host),
	    cmocka_unit_test(no_files),
	    cmocka_unit_test(searched),
	    cmocka_unit_test(gone),
	    cmocka_unit_test(cost),
	};
	int r;

	/* who runs the tests may ignore some (nohup(1)), and that is handed down */
	for (int sig = 1; sig < SIGRTMIN; sig++)
		(void)signal(sig, SIG_DFL);
	if (argc != 2) {
		fprintf(stderr, "usage: t_attach BRIG_INIT\n");
		return 2;
	}
	init_path = argv[1];
	(void)sigprocmask(SIG_BLOCK, NULL, &first_mask);
	if (geteuid() != 0 || access(BUSYBOX, X_OK) < 0) {
		fprintf(stderr, "t_attach: needs root and " BUSYBOX "\n");
		return 77;
	}
	r = cmocka_run_group_tests(tests, jail_up, jail_down);
	free(out);
	return r;
}
