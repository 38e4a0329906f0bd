/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * brig-init as PID 1 of a pid namespace, spoken to as init/proto.h says.  Its path is the first argument.
 * Needs root (a pid namespace).
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "init/proto.h"
#include "os/linux/host/syscalls.h"

static const char *init_path;
static int occupied; /* a descriptor that is open where init expects none; 0: none */

struct jail {
	pid_t pid;
	int ctl, log, status;
	char dir[64], log_path[96], status_path[96];
};

static long
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000L;
}

static void
nap(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};

	(void)nanosleep(&ts, NULL);
}

/* For good: who has it sees everything, and who lacks it nothing of those that have it. */
static void
without_ptrace(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	if (prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0) < 0 || syscall(SYS_capget, &h, d) < 0)
		_exit(97);
	d[0].effective &= ~(1u << CAP_SYS_PTRACE);
	d[0].permitted &= ~(1u << CAP_SYS_PTRACE);
	d[0].inheritable = d[1].inheritable = 0;
	if (syscall(SYS_capset, &h, d) < 0)
		_exit(97);
}

static _Noreturn void
become_init(const struct jail *j, int ctl, char *const *argv)
{
	char *const env[] = {(char[]){"PATH=/usr/bin:/bin"}, NULL};
	int logrw = open(j->log_path, O_RDWR);
	int src[] = {ctl, j->log, logrw, j->status};

	for (size_t i = 0; i < ARRAY_LEN(src); i++)
		src[i] = fcntl(src[i], F_DUPFD, 20);
	for (size_t i = 0; i < ARRAY_LEN(src); i++)
		if (dup2(src[i], INIT_FD_CTL + (int)i) < 0)
			_exit(99);
	(void)close_range(0, 2, 0);
	(void)close_range(INIT_FD_STATUS + 1, ~0U, 0);
	if (occupied)
		(void)dup2(INIT_FD_LOG, occupied);
	without_ptrace();
	(void)execve(init_path, argv, env);
	_exit(98);
}

/* argv after the program's name. */
static void
begin(struct jail *j, ...)
{
	_auto_strv struct strv argv = STRV_INIT;
	int ctl[2];
	const char *s;
	va_list ap;
	char c;

	strv_add(&argv, "brig-init");
	va_start(ap, j);
	while ((s = va_arg(ap, const char *)))
		strv_add(&argv, s);
	va_end(ap);
	memcpy(j->dir, "/tmp/t_init.XXXXXX", sizeof("/tmp/t_init.XXXXXX"));
	assert_non_null(mkdtemp(j->dir));
	(void)snprintf(j->log_path, sizeof(j->log_path), "%s/log", j->dir);
	(void)snprintf(j->status_path, sizeof(j->status_path), "%s/status", j->dir);
	j->log = open(j->log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	j->status = open(j->status_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(j->log >= 0 && j->status >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ctl), 0);
	j->ctl = ctl[0];
	j->pid = sys_clone(CLONE_NEWPID, SIGCHLD);
	assert_true(j->pid >= 0);
	if (j->pid == 0) {
		(void)close(ctl[0]);
		become_init(j, ctl[1], argv.v);
	}
	(void)close(ctl[1]);
	assert_int_equal(read(j->ctl, &c, 1), 1);
	assert_int_equal(c, INIT_READY);
}

static void
go(struct jail *j)
{
	assert_int_equal(write(j->ctl, &(char){INIT_GO}, 1), 1);
	(void)close(j->ctl);
	j->ctl = -1;
}

/* 1 it ended within ms. */
static int
ends(struct jail *j, long ms)
{
	long end = now_ms() + ms;

	do {
		pid_t r = waitpid(j->pid, NULL, WNOHANG);

		if (r == j->pid) {
			j->pid = 0;
			return 1;
		}
		nap(5);
	} while (now_ms() < end);
	return 0;
}

static void
end(struct jail *j)
{
	if (j->pid > 0) {
		(void)kill(j->pid, SIGKILL);
		(void)waitpid(j->pid, NULL, 0);
	}
	(void)close(j->log);
	(void)close(j->status);
	if (j->ctl >= 0)
		(void)close(j->ctl);
	(void)unlink(j->log_path);
	(void)unlink(j->status_path);
	assert_int_equal(rmdir(j->dir), 0);
}

static char *
slurp(const char *path)
{
	struct err e = ERR_INIT;
	char *text = NULL;

	assert_int_equal(fsx_read_at(AT_FDCWD, path, 16 << 20, &text, NULL, &e), 0);
	return text;
}

/* Does the log have text, within ms? */
static int
log_has(struct jail *j, const char *text, long ms)
{
	long end_ms = now_ms() + ms;

	for (;;) {
		_auto_free char *all = slurp(j->log_path);

		if (strstr(all, text))
			return 1;
		if (now_ms() > end_ms) {
			print_message("log without '%s':\n%s", text, all);
			return 0;
		}
		nap(10);
	}
}

static size_t
count(const char *path, const char *text)
{
	_auto_free char *all = slurp(path);
	size_t n = 0;

	for (char *p = all; (p = strstr(p, text)); p += strlen(text))
		n++;
	return n;
}

struct rec {
	char state[16];
	long pid, restarts, seconds, last;
};

static struct rec
status_of(struct jail *j, int n)
{
	char line[INIT_RECORD + 1] = "";
	struct rec r;

	assert_int_equal(pread(j->status, line, INIT_RECORD, n * INIT_RECORD), INIT_RECORD);
	assert_int_equal(line[INIT_RECORD - 1], '\n');
	assert_int_equal(strcspn(line, "\n"), INIT_RECORD - 1);
	assert_int_equal(
	    sscanf(line, "%15s %ld %ld %ld %ld", r.state, &r.pid, &r.restarts, &r.seconds, &r.last), 5);
	return r;
}

static int
status_is(struct jail *j, int n, const char *state, long ms)
{
	for (long end_ms = now_ms() + ms; now_ms() < end_ms; nap(5))
		if (streq(status_of(j, n).state, state))
			return 1;
	return 0;
}

/* ---- tests ---- */

static void
t_eof_before_go(void **state)
{
	struct jail j;

	(void)state;
	begin(&j, "-p", "--", "sleep 100", NULL);
	nap(30);
	assert_int_equal(waitpid(j.pid, NULL, WNOHANG), 0);
	(void)close(j.ctl);
	j.ctl = -1;
	assert_true(ends(&j, 2000));
	assert_int_equal(count(j.log_path, "started"), 0);
	end(&j);
}

static void
t_nothing_to_do(void **state)
{
	struct jail j;

	(void)state;
	begin(&j, "--", NULL); /* no service, not persist: ends as soon as it is its own */
	nap(50);
	assert_int_equal(waitpid(j.pid, NULL, WNOHANG), 0);
	go(&j);
	assert_true(ends(&j, 2000));
	end(&j);
}

static void
t_persist(void **state)
{
	struct jail j;

	(void)state;
	begin(&j, "-p", NULL);
	go(&j);
	assert_false(ends(&j, 1300));
	assert_int_equal(kill(j.pid, SIGTERM), 0);
	assert_true(ends(&j, 1000));
	end(&j);
}

static void
t_restart_backoff(void **state)
{
	long start = now_ms();
	struct jail j;
	struct rec r;

	(void)state;
	begin(&j, "-p", "--", "echo hello from $0 >&2; exit 3", "sleep 1000", NULL);
	go(&j);
	assert_true(log_has(&j, "brig-init: echo: started\n", 1000));
	assert_true(log_has(&j, "hello from /bin/sh\n", 1000));
	assert_true(log_has(&j, "brig-init: echo: exited with status 3, restart in 0.1 s\n", 1000));
	assert_true(log_has(&j, "restart in 0.2 s\n", 2000));
	assert_true(log_has(&j, "restart in 0.4 s\n", 2000));
	assert_true(now_ms() - start >= 300);
	assert_true(log_has(&j, "restart in 0.8 s\n", 2000));
	assert_true(now_ms() - start >= 700);
	assert_int_equal(count(j.log_path, "hello from /bin/sh\n"), 4);
	r = status_of(&j, 0);
	assert_string_equal(r.state, "wait");
	assert_int_equal(r.restarts, 3);
	assert_int_equal(r.last, 3);
	assert_int_equal(r.pid, 0);
	assert_true(labs(r.seconds - (long)time(NULL)) <= 2);
	r = status_of(&j, 1);
	assert_string_equal(r.state, "up");
	assert_true(r.pid > 1);
	end(&j);
}

static void
t_killed_and_cannot_run(void **state)
{
	struct jail j;

	(void)state;
	begin(&j, "-p", "--", "kill -9 $$", "/nonexistent/prog with args", "/etc", "/etc/passwd", NULL);
	go(&j);
	assert_true(log_has(&j, "brig-init: kill: ended by signal 9, restart in 0.1 s\n", 1000));
	assert_true(log_has(
	    &j, "brig-init: service 2: cannot run /nonexistent/prog: No such file or directory\n", 1000));
	assert_true(log_has(&j, "brig-init: prog: exited with status 127, restart in", 1000));
	assert_true(log_has(&j, "brig-init: service 3: cannot run /etc: Permission denied\n", 1000));
	assert_true(log_has(&j, "brig-init: service 4: cannot run /etc/passwd: Permission denied\n", 1000));
	nap(20);
	assert_int_equal(status_of(&j, 0).last, 128 + 9);
	assert_int_equal(status_of(&j, 1).last, 127);
	end(&j);
}

static void
t_service_surroundings(void **state)
{
	_auto_free char *all = NULL;
	struct jail j;

	(void)state;
	begin(&j, "-p", "--",
	      "env; echo in:$(cat); umask; grep ^Sig /proc/self/status; "
	      "sleep 1000",
	      "ls /proc/self/fd", NULL);
	go(&j);
	assert_true(log_has(&j, "SigCgt:", 2000));
	all = slurp(j.log_path);
	assert_true(log_has(&j, "0\n1\n2\n3\nbrig-init: ls: exited with status 0", 2000)); /* 3: ls' own */
	assert_non_null(strstr(all, "PATH=/usr/bin:/bin\n"));
	assert_non_null(strstr(all, "in:\n"));
	assert_non_null(strstr(all, "SigBlk:\t0000000000000000\n"));
	assert_non_null(strstr(all, "SigIgn:\t0000000000000000\n"));
	assert_null(strstr(all, "HOME="));
	end(&j);
}

static void
t_log_bounded(void **state)
{
	_auto_free char *all = NULL;
	struct jail j;
	struct stat st;

	(void)state;
	begin(&j, "-p", "-m", "20000", "--", "for i in $(seq 1 20000); do echo line $i; done; sleep 1000",
	      NULL);
	go(&j);
	assert_true(log_has(&j, "line 20000\n", 10000));
	assert_int_equal(stat(j.log_path, &st), 0);
	assert_true(st.st_size <= 20000 + 4096);
	assert_true(st.st_size >= 5000);
	all = slurp(j.log_path);
	assert_int_equal(strncmp(all, "line ", 5), 0); /* cut at a line */
	{                                              /* nothing is missing from what is kept */
		long last = -1;
		int n;

		for (char *p = all; p && sscanf(p, "line %d\n", &n) == 1; p = strchr(p, '\n') + 1) {
			assert_true(last < 0 || n == last + 1);
			last = n;
		}
		assert_int_equal(last, 20000);
	}
	end(&j);
}

static void
t_no_log_limit(void **state)
{
	struct jail j;
	struct stat st;

	(void)state;
	begin(&j, "-p", "--", "for i in $(seq 1 20000); do echo line $i; done; sleep 1000", NULL);
	go(&j);
	assert_true(log_has(&j, "line 20000\n", 10000));
	assert_int_equal(stat(j.log_path, &st), 0);
	assert_true(st.st_size > 200000);
	end(&j);
}

/* Output of a process that outlives its service is still read, and a half line is not glued to the next one.
 */
static void
t_orphan_output(void **state)
{
	struct jail j;

	(void)state;
	begin(&j, "-p", "--", "(sleep 0.3; echo late) & printf half; exit 1", NULL);
	go(&j);
	assert_true(log_has(&j, "half\nbrig-init: sleep: exited with status 1", 1000));
	assert_true(log_has(&j, "late\n", 2000));
	end(&j);
}

static void
t_term(void **state)
{
	struct jail j;
	long start;

	(void)state;
	begin(&j, "-p", "-t", "10", "--",
	      "trap 'echo bye; exit 0' TERM; echo trapped; while :; do sleep 0.05; done", "sleep 1000", NULL);
	go(&j);
	assert_true(log_has(&j, "trapped\n", 1000));
	start = now_ms();
	assert_int_equal(kill(j.pid, SIGTERM), 0);
	assert_true(ends(&j, 5000));
	assert_true(now_ms() - start < 2000);
	assert_true(log_has(&j, "bye\n", 0));
	assert_true(log_has(&j, "brig-init: stopping\n", 0));
	assert_int_equal(count(j.log_path, "restarted"), 0);
	assert_string_equal(status_of(&j, 0).state, "done");
	assert_int_equal(status_of(&j, 0).last, 0);
	assert_string_equal(status_of(&j, 1).state, "done");
	assert_int_equal(status_of(&j, 1).last, 128 + SIGTERM);
	end(&j);
}

static void
t_term_stubborn(void **state)
{
	struct jail j;
	long start;

	(void)state;
	begin(&j, "-p", "-t", "1", "--", "trap '' TERM; echo deaf; while :; do sleep 0.2; done",
	      "trap '' TERM; kill -STOP $$; sleep 1000", NULL);
	go(&j);
	assert_true(log_has(&j, "deaf\n", 1000));
	start = now_ms();
	assert_int_equal(kill(j.pid, SIGTERM), 0);
	assert_false(ends(&j, 700));
	assert_true(ends(&j, 2000));
	assert_true(now_ms() - start >= 990);
	assert_true(log_has(&j, "brig-init: killing what is left after the stop timeout\n", 0));
	end(&j);
}

static void
children_of(pid_t pid, size_t *ret_n, size_t *ret_zombies)
{
	_auto_free char *path = xasprintf("/proc/%d/task/%d/children", pid, pid);
	_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[8192];
	ssize_t n = read(fd, text, sizeof(text) - 1);
	int child, used;

	assert_true(n >= 0);
	text[n] = '\0';
	*ret_n = *ret_zombies = 0;
	for (char *p = text; sscanf(p, "%d %n", &child, &used) == 1; p += used) {
		_auto_free char *stat_path = xasprintf("/proc/%d/stat", child);
		_auto_close int sfd = open(stat_path, O_RDONLY | O_CLOEXEC);
		char line[512] = "";

		++*ret_n;
		if (read(sfd, line, sizeof(line) - 1) > 0 && strstr(line, ") Z "))
			++*ret_zombies;
	}
}

static void
t_zombie_storm(void **state)
{
	size_t n = 0, zombies = 1;
	struct jail j;

	(void)state;
	begin(&j, "-p", "--",
	      "for i in $(seq 1 50); do (sh -c 'sleep 0.2' & ) ; done; echo storm; exec sleep 1000", NULL);
	go(&j);
	assert_true(log_has(&j, "storm\n", 5000));
	for (long stop = now_ms() + 5000; now_ms() < stop; nap(20)) {
		children_of(j.pid, &n, &zombies);
		if (n == 1 && zombies == 0)
			break;
	}
	assert_int_equal(n, 1);
	assert_int_equal(zombies, 0);
	assert_string_equal(status_of(&j, 0).state, "up");
	end(&j);
}

/* Not persist: an orphan keeps the jail, its end ends it. */
static void
t_ends_with_last(void **state)
{
	int status, ns;
	struct jail j;
	pid_t guest;

	(void)state;
	begin(&j, "--", NULL);
	{ /* a process that is no child of init, as `brig exec` makes them */
		_auto_free char *path = xasprintf("/proc/%d/ns/pid", j.pid);

		ns = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(ns >= 0);
	}
	guest = fork();
	if (guest == 0) {
		pid_t inner;

		if (setns(ns, CLONE_NEWPID) < 0 || (inner = fork()) < 0)
			_exit(1);
		if (inner == 0) {
			nap(600);
			_exit(0);
		}
		(void)waitpid(inner, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	(void)close(ns);
	nap(100);
	go(&j);
	assert_false(ends(&j, 300)); /* the guest is still there */
	assert_true(ends(&j, 3000));
	assert_int_equal(waitpid(guest, &status, 0), guest);
	assert_int_equal(status, 0); /* it was not killed */
	end(&j);
}

static void
t_keeps_trying(void **state)
{
	struct jail j;

	(void)state;
	/* six of the twenty tries are watched */
	begin(&j, "-p", "--", "false", NULL);
	go(&j);
	assert_true(log_has(&j, "restart in 1.6 s\n", 5000));
	assert_true(status_is(&j, 0, "wait", 500));
	assert_int_equal(status_of(&j, 0).restarts, 4);
	assert_true(log_has(&j, "restart in 3.2 s\n", 5000));
	end(&j);
}

static void
t_bad_arguments(void **state)
{
	static const char *const bad[][3] = {
	    {"-x", NULL}, {"-t", NULL}, {"-t", "abc", NULL}, {"-m", "-1", NULL}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int status;
		pid_t pid = sys_clone(CLONE_NEWPID, SIGCHLD);

		if (pid == 0) {
			(void)execl(init_path, "brig-init", bad[i][0], bad[i][1], (char *)NULL);
			_exit(99);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	}
}

/* Sends n pipes' ends as the sockets; what init answers, or 0 at its end. */
static char
give(struct jail *j, const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(128 * sizeof(int))];
	} c = {0};
	struct iovec iov = {&(char){INIT_LISTEN}, 1};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	char answer = 0;

	if (n > 0) {
		h.msg_control = &c;
		h.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c.align = (struct cmsghdr){CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(j->ctl, &h, MSG_NOSIGNAL), 1);
	return read(j->ctl, &answer, 1) == 1 ? answer : 0;
}

/* Two messages of one descriptor each; every service has both at every start, and nothing else. */
static void
t_listen(void **state)
{
	static const char script[] =
	    "echo hello >&3; echo world >&4; [ $LISTEN_PID = $$ ] && echo mine $LISTEN_FDS; "
	    "for f in 5 6 7 8 9; do [ ! -e /proc/self/fd/$f ] || echo open $f; done; "
	    "[ -e $0.again ] || { : > $0.again; exit 1; }; echo the-end; exec sleep 100";
	_auto_free char *command = NULL, *again = NULL;
	struct jail j;
	char text[16] = "";
	int a[2], b[2];

	(void)state;
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	command = xasprintf("/bin/sh /tmp/t_init.listen.%d", getpid());
	{
		_auto_close int fd =
		    open(strchr(command, ' ') + 1, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		assert_int_equal(fsx_write_all(fd, script, strlen(script)), 0);
	}
	begin(&j, "--", command, "[ $LISTEN_PID = $$ ] && echo other $LISTEN_FDS; exec sleep 100", NULL);
	assert_int_equal(give(&j, &a[1], 1), INIT_READY);
	assert_int_equal(give(&j, &b[1], 1), INIT_READY);
	go(&j);
	assert_true(log_has(&j, "the-end\n", 5000));
	assert_true(log_has(&j, "other 2\n", 5000));
	assert_int_equal(count(j.log_path, "mine 2\n"), 2);
	assert_int_equal(count(j.log_path, "open "), 0);
	assert_int_equal(read(a[0], text, sizeof(text)), 12);
	assert_memory_equal(text, "hello\nhello\n", 12);
	assert_int_equal(read(b[0], text, sizeof(text)), 12);
	assert_memory_equal(text, "world\nworld\n", 12);
	end(&j);
	for (int i = 0; i < 2; i++) {
		(void)close(a[i]);
		(void)close(b[i]);
	}
	again = xasprintf("%s.again", strchr(command, ' ') + 1);
	assert_int_equal(unlink(again), 0);
	assert_int_equal(unlink(strchr(command, ' ') + 1), 0);
}

/* The most that it takes; one more, or a message without any, and it ends. */
static void
t_listen_bounds(void **state)
{
	int fds[INIT_MAX_LISTEN + 1];
	struct jail j;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = 0;
	fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (size_t i = 1; i < ARRAY_LEN(fds); i++)
		fds[i] = fds[0];
	begin(&j, "-p", "--", "sh -c 'echo got $LISTEN_FDS; exec sleep 100'", NULL);
	assert_int_equal(give(&j, fds, INIT_MAX_LISTEN), INIT_READY);
	go(&j);
	assert_true(log_has(&j, "got 64\n", 5000));
	end(&j);
	begin(&j, "-p", NULL);
	assert_int_equal(give(&j, fds, INIT_MAX_LISTEN + 1), 0);
	assert_true(ends(&j, 2000));
	end(&j);
	begin(&j, "-p", NULL);
	assert_int_equal(give(&j, fds, INIT_MAX_LISTEN), INIT_READY);
	assert_int_equal(give(&j, fds, 1), 0);
	assert_true(ends(&j, 2000));
	end(&j);
	begin(&j, "-p", NULL);
	assert_int_equal(give(&j, NULL, 0), 0);
	assert_true(ends(&j, 2000));
	end(&j);
	(void)close(fds[0]);
}

/* ---- what must not go by unnoticed ---- */

/* A process with root's ids, but CAP_SYS_PTRACE, looks at exe: 0 it may, or errno. */
static int
look_at_exe(pid_t pid)
{
	_auto_free char *path = xasprintf("/proc/%d/exe", pid);
	int status;
	pid_t looker = fork();

	if (looker == 0) {
		char buf[256];

		without_ptrace();
		_exit(readlink(path, buf, sizeof(buf)) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(looker, &status, 0), looker);
	return WEXITSTATUS(status);
}

static void
t_not_dumpable(void **state)
{
	struct jail j;
	int status;
	pid_t pid;

	(void)state;
	/* the control */
	pid = fork();
	if (pid == 0) {
		without_ptrace();
		for (;;)
			(void)pause();
	}
	nap(100);
	assert_int_equal(look_at_exe(pid), 0);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	begin(&j, "-p", NULL);
	assert_int_equal(look_at_exe(j.pid), EACCES);
	go(&j);
	nap(50);
	assert_int_equal(look_at_exe(j.pid), EACCES);
	end(&j);
	/* -x: until it has become the program */
	pid = fork();
	if (pid == 0) {
		without_ptrace();
		(void)ptrace(PTRACE_TRACEME, 0, 0, 0);
		(void)raise(SIGSTOP);
		(void)execl(init_path, "brig-init", "-x", "/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC), 0);
	for (int execs = 0, seen = 0; !seen;) {
		struct __ptrace_syscall_info info;

		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, 0, 0), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSTOPPED(status));
		execs += status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXEC << 8));
		if (execs == 1 && WSTOPSIG(status) == (SIGTRAP | 0x80) &&
		    ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
		    info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_execve) {
			assert_int_equal(look_at_exe(pid), EACCES);
			seen = 1;
		}
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* TERM is for every process, and who is stopped goes on to hear it. */
static void
t_all_hear_term(void **state)
{
	struct jail j;

	(void)state;
	begin(&j, "-p", "-t", "8", "--",
	      "trap 'echo stopped-heard; exit 0' TERM; echo up1; kill -STOP $$; sleep 9",
	      "(trap 'echo orphan-heard; exit 0' TERM; echo up2; while :; do sleep 0.05; done) & exec sleep "
	      "1000",
	      NULL);
	go(&j);
	assert_true(log_has(&j, "up1\n", 5000) && log_has(&j, "up2\n", 5000));
	nap(100);
	assert_int_equal(kill(j.pid, SIGTERM), 0);
	assert_true(ends(&j, 6000));
	assert_true(log_has(&j, "stopped-heard\n", 0));
	assert_true(log_has(&j, "orphan-heard\n", 0));
	assert_int_equal(count(j.log_path, "killing what is left"), 0);
	end(&j);
}

/* One that waits for its next start is not waited for. */
static void
t_stop_while_waiting(void **state)
{
	struct jail j;

	(void)state;
	begin(&j, "-p", "-t", "20", "--", "exit 1", NULL);
	go(&j);
	assert_true(log_has(&j, "restart in 1.6 s\n", 8000));
	assert_int_equal(kill(j.pid, SIGTERM), 0);
	assert_true(ends(&j, 1200));
	assert_string_equal(status_of(&j, 0).state, "done");
	end(&j);
}

static void
t_each_its_session(void **state)
{
	struct jail j;

	(void)state;
	begin(&j, "-p", "--",
	      "read -r pid comm state parent group session rest </proc/self/stat; "
	      "test $group = $pid && test $session = $pid && echo leader; exec sleep 1000",
	      "yes 0123456789 | head -c 3000000; test $? = 0 && echo whole; exec sleep 1000", NULL);
	go(&j);
	assert_true(log_has(&j, "leader\n", 5000));
	/* output blocks, as programs expect of it: none is lost */
	assert_true(log_has(&j, "whole\n", 10000));
	/* the other one's line can come into the middle of one of these */
	assert_in_range(count(j.log_path, "0123456789\n"), 3000000 / 11 - 1, 3000000 / 11);
	end(&j);
}

/* Nobody keeps init from its other work by printing. */
static void
t_prints_for_ever(void **state)
{
	struct jail j;

	(void)state;
	begin(&j, "-p", "-m", "100000", "-t", "1", "--", "yes & yes & exit 1", NULL);
	go(&j);
	nap(500);
	assert_int_equal(kill(j.pid, SIGTERM), 0);
	assert_true(ends(&j, 8000));
	end(&j);
}

/* What brig's commands print is bounded as well. */
static void
t_commands_bounded(void **state)
{
	_auto_free char *path = NULL, *line = xcalloc(1, 1001);
	struct jail j;
	struct stat st;
	int fd;

	(void)state;
	begin(&j, "-p", "-m", "20000", NULL);
	go(&j);
	path = xasprintf("/proc/%d/fd/%d", j.pid, INIT_FD_COMMANDS);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	memset(line, 'x', 999);
	line[999] = '\n';
	for (int i = 0; i < 300; i++)
		assert_int_equal(fsx_write_all(fd, line, 1000), 0);
	assert_int_equal(fsx_write_all(fd, "the-end\n", 8), 0);
	(void)close(fd);
	assert_true(log_has(&j, "the-end\n", 5000));
	assert_int_equal(stat(j.log_path, &st), 0);
	assert_true(st.st_size <= 20000 + 4096);
	end(&j);
}

/* Not the first process: it does nothing. */
static void
t_not_first(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		(void)execl(init_path, "brig-init", "-p", (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

/* Sockets that would not be where the protocol says. */
static void
t_listen_place(void **state)
{
	int fds[2] = {open("/dev/null", O_RDWR | O_CLOEXEC), open("/dev/null", O_RDWR | O_CLOEXEC)};
	struct jail j;

	(void)state;
	occupied = INIT_FD_LISTEN + 1;
	begin(&j, "-p", NULL);
	occupied = 0;
	assert_int_equal(give(&j, fds, 2), 0);
	assert_true(ends(&j, 2000));
	end(&j);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* The name behind record n. */
static void
is_called(struct jail *j, int n, const char *name)
{
	char line[INIT_RECORD + 1] = "";

	assert_int_equal(pread(j->status, line, INIT_RECORD, (n + 1) * INIT_RECORD), INIT_RECORD);
	line[strcspn(line, " \n")] = '\0';
	assert_string_equal(line, name);
}

/* What rc says of services that it started.  There is no /etc/rc here: what would be started again is not. */
static void
t_follow(void **state)
{
	char dir[] = "/tmp/t_init_follow.XXXXXX";
	_auto_free char *fifo = NULL, *rc = NULL;
	struct jail j;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fifo = xasprintf("%s/f", dir);
	rc = xasprintf("exec 3>%s; sleep 1000 & echo follow up on-failure $! >&3; sleep 0.3 & echo follow ends on-failure $! >&3;"
		       "(sleep 0.3; exit 3) & echo follow fails on-failure $! >&3; (sleep 0.3; exit 3) & echo follow never no $! >&3;"
		       "echo follow none always 0 >&3; echo failed bad >&3; wait %%1; echo not reached",
		       fifo);
	begin(&j, "-p", "-f", fifo, "--", rc, "sleep 1000", NULL);
	go(&j);
	assert_true(log_has(&j, "brig-init: never: ended\n", 3000) || log_has(&j, "brig-init: never: exited", 1));
	for (int i = 0; i < 6; i++)
		is_called(&j, 2 + 2 * i, ((const char *[]){"up", "ends", "fails", "never", "none", "bad"})[i]);
	assert_true(status_is(&j, 2, "up", 1000));
	assert_true(status_of(&j, 2).pid > 1);
	assert_true(status_is(&j, 6, "wait", 1000));
	assert_true(status_is(&j, 8, "failed", 1000));
	assert_true(status_is(&j, 10, "started", 1000));
	assert_true(status_is(&j, 12, "failed", 1000));
	assert_true(log_has(&j, "brig-init: fails: did not start, restart in 0.", 2000));
	end(&j);
	(void)unlink(fifo);
	assert_int_equal(rmdir(dir), 0);
}

/* Lines that no rc writes. */
static void
t_follow_hostile(void **state)
{
	char dir[] = "/tmp/t_init_follow.XXXXXX";
	_auto_free char *fifo = NULL, *many = NULL;
	static char junk[6000];
	struct jail j;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fifo = xasprintf("%s/f", dir);
	begin(&j, "-p", "-f", fifo, NULL);
	go(&j);
	fd = open(fifo, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	memset(junk, 'x', sizeof(junk));
	assert_true(write(fd, junk, sizeof(junk)) > 0);
	dprintf(fd, "\nfollow\nfollow a\nfollow ../a always 1\nfollow a/b no 2\nfollow a always -1\nfollow a always 99999999999\n"
		    "failed\nfailed a b\nfailed \033[31m\n\n   \nstop now please\nfollow one sometimes 1\n");
	for (int i = 0; i < 100; i++)
		dprintf(fd, "failed n%d\n", i);
	for (int i = 0; i < 400 && lseek(j.status, 0, SEEK_END) < 2 * INIT_MAX_FOLLOWED * INIT_RECORD; i++)
		nap(5);
	assert_true(status_is(&j, 2 * (INIT_MAX_FOLLOWED - 1), "failed", 2000));
	is_called(&j, 0, "one");
	is_called(&j, 2, "n0");
	nap(50);
	assert_int_equal(lseek(j.status, 0, SEEK_END), 2 * INIT_MAX_FOLLOWED * INIT_RECORD);
	assert_int_equal(kill(j.pid, SIGTERM), 0);
	assert_true(ends(&j, 2000));
	(void)close(fd);
	end(&j);
	(void)unlink(fifo);
	assert_int_equal(rmdir(dir), 0);
}

static void
t_syslog(void **state)
{
	static const struct {
		const char *sent, *logged;
	} cases[] = {
	    {"<30>Nov 21 10:00:00 cron[7]: text", "daemon.info cron[7]: text\n"},
	    {"<191>x\n", "local7.debug x\n"},
	    {"no priority", "user.notice no priority\n"},
	    {"<>y", "user.notice <>y\n"},
	    {"<9999>z", "user.notice <9999>z\n"},
	    {"<0>a\033[2Jb\nc", "kern.emerg a?[2Jb?c\n"},
	};
	char dir[] = "/tmp/t_init_syslog.XXXXXX";
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	static char long_text[4000];
	struct stat st;
	struct jail j;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", dir);
	begin(&j, "-p", "-m", "20000", "-l", a.sun_path, NULL);
	go(&j);
	assert_int_equal(stat(a.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(send(fd, cases[i].sent, strlen(cases[i].sent), 0) > 0);
		assert_true(log_has(&j, cases[i].logged, 1000));
	}
	memset(long_text, 'l', sizeof(long_text));
	for (int i = 0; i < 100; i++)
		assert_true(send(fd, long_text, sizeof(long_text), 0) > 0);
	assert_int_equal(send(fd, "", 0, 0), 0);
	assert_true(send(fd, "the last", 8, 0) > 0);
	assert_true(log_has(&j, "user.notice the last\n", 1000));
	assert_int_equal(stat(j.log_path, &st), 0);
	assert_true(st.st_size <= 22000);
	(void)close(fd);
	end(&j);
	(void)unlink(a.sun_path);
	assert_int_equal(rmdir(dir), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(t_eof_before_go),
	    cmocka_unit_test(t_nothing_to_do),
	    cmocka_unit_test(t_persist),
	    cmocka_unit_test(t_restart_backoff),
	    cmocka_unit_test(t_killed_and_cannot_run),
	    cmocka_unit_test(t_service_surroundings),
	    cmocka_unit_test(t_log_bounded),
	    cmocka_unit_test(t_no_log_limit),
	    cmocka_unit_test(t_orphan_output),
	    cmocka_unit_test(t_term),
	    cmocka_unit_test(t_term_stubborn),
	    cmocka_unit_test(t_zombie_storm),
	    cmocka_unit_test(t_ends_with_last),
	    cmocka_unit_test(t_keeps_trying),
	    cmocka_unit_test(t_bad_arguments),
	    cmocka_unit_test(t_listen),
	    cmocka_unit_test(t_listen_bounds),
	    cmocka_unit_test(t_listen_place),
	    cmocka_unit_test(t_not_dumpable),
	    cmocka_unit_test(t_all_hear_term),
	    cmocka_unit_test(t_stop_while_waiting),
	    cmocka_unit_test(t_each_its_session),
	    cmocka_unit_test(t_prints_for_ever),
	    cmocka_unit_test(t_commands_bounded),
	    cmocka_unit_test(t_not_first),
	    cmocka_unit_test(t_follow),
	    cmocka_unit_test(t_follow_hostile),
	    cmocka_unit_test(t_syslog),
	};

	/* who runs the tests may ignore some (nohup(1)), and that is handed down */
	for (int sig = 1; sig < SIGRTMIN; sig++)
		(void)signal(sig, SIG_DFL);
	if (argc != 2)
		return 2;
	if (geteuid() != 0) {
		(void)fprintf(stderr, "needs root\n");
		return 77;
	}
	init_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
