/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running a command in a jail.
 *
 *	caller		finds the jail, opens its namespaces, copies bytes, waits (this process)
 *	joiner		a child, born in the jail's control group: joins the jail's namespaces but the
 *			user namespace (setns(2) to a pid namespace is for its children only), makes the
 *			command's process, waits for it, and passes on signals and the status.  Not the
 *			caller: that can be stopped, or block on its terminal, and meanwhile a zombie in the
 *			jail's pid namespace would hold up the jail's end, pid_namespaces(7)
 *	command		the process that becomes the command.  In the background it is a grandchild, made
 *			in the jail, so that the jail's first process reaps it
 *
 * The jail's root may try to take the command's process over before it is confined, and it must end up with
 * no more than the jail's own processes have.  Hence the order:
 *
 *  1 not dumpable: ptrace(2) and /proc/PID of us need CAP_SYS_PTRACE on the host (CVE-2016-9962)
 *  2 control groups, before the cgroup namespace
 *  3 network, IPC, UTS, cgroup, mount namespaces, all before a process of ours is in the pid namespace and so
 *    in the jail's /proc; the user namespace last: until then we are the host's root, whom the jail's root
 *    cannot reach, and afterwards there is no namespace left to join
 *  4 "/" as the working directory, checked with getcwd(2)
 *  5 descriptors: 0, 1, 2 and the report, which closes on exec; no directory (CVE-2024-21626)
 *  6 keyring, session, limits, as inside.c does for the first process
 *  7 terminal of the jail's own devpts; the caller gets the other end
 *  8 confine: capabilities, no_new_privs, seccomp
 *  9 the user, looked up only now: what is read from here on is the jail's
 * 10 ids, groups, environment, working directory
 * 11 exec of brig-init, which executes the command (proto.h): /proc/self/exe in a script of the jail's
 *    ("#!/proc/self/exe") never leads to a program of the host
 */
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/child.h"
#include "base/lock.h"
#include "base/name.h"
#include "init/proto.h"
#include "os/linux/instance/build.h"
#include "os/linux/confine/confine.h"
#include "os/linux/limits/limit.h"
#include "os/linux/instance/ref.h"
#include "os/linux/host/syscalls.h"
#include "os/linux/exec/tty.h"
#include "os/linux/exec/users.h"
#include "os/linux/instance/userns.h"

#define FD_REPORT INIT_FD_CTL
#define FD_INIT (FD_REPORT + 1)
#define GRACE_MS 2000 /* between the polite signal and SIGKILL */
#define STATUS_EXIT(n) ((n) << 8)

/* In the order in which they are joined. */
static const char *const ns_names[] = {"net", "ipc", "uts", "cgroup", "mnt", "user"};
#define NS_N ARRAY_LEN(ns_names)
#define NS_USER (NS_N - 1)

struct target {
	int ns[NS_N];
	int pidns;
};

/* Messages of the joiner and the command's process to the caller. */
enum msg_kind { MSG_BEGUN, MSG_TTY, MSG_FAILED, MSG_NO_EXEC };
struct msg {
	enum msg_kind kind;
	struct err e;
};

/* One call of os_jail_exec(). */
struct job {
	const struct os_id *id;
	const struct jailspec *spec;
	const struct os_exec *x;
	struct target t;
	struct user host_user; /* name NULL: the user is looked up inside */
	int io[3];             /* the command's 0, 1, 2 (without tty) */
	bool io_own[3];
	struct relay relay;
	int init;                 /* brig-init */
	int report, report_child; /* two ends of a socket: until the command is executed */
	int ctl, ctl_child;       /* the same: signals to the joiner, the status from it */
	/* the caller's view */
	pid_t joiner;
	bool begun; /* the joiner has made the command's process */
	int sigfd;
	sigset_t old_mask;
	int status;
	bool ended;
	struct msg failure; /* e.num 0: none */
	long deadline;      /* ms, 0: none */
	bool timed_out;
	int interrupts;
};

/* --- the jail --- */

static void
target_close(struct target *t)
{
	for (size_t i = 0; i < NS_N; i++)
		fd_close(TAKE_FD(t->ns[i]));
	fd_close(TAKE_FD(t->pidns));
}

static int
target_open(const struct os_ref *ref, struct target *t, struct err *e)
{
	_auto_close int procfd = -EBADF;
	struct stat st;
	int r = ref_open(ref, &procfd);

	if (r < 0)
		return ref_error(r, e);
	for (size_t i = 0; i < NS_N; i++)
		if (proc_ns(procfd, ns_names[i], &t->ns[i], e) < 0)
			return -e->num;
	if (proc_ns(procfd, "pid", &t->pidns, e) < 0)
		return -e->num;
	if (fstat(t->pidns, &st) < 0 || st.st_ino != ref->ns)
		return err_set(e, ESRCH, "the jail is not running any more");
	return 0;
}

static const char *
command_name(const struct os_exec *x)
{
	return x->shell ? "/bin/sh" : x->argv[0];
}

/* --- messages --- */

/* From the caller to the joiner: a signal for the command's process group.  last: when the command ends, kill
 * what is left of its group. */
struct order {
	int sig;
	bool last;
};

static void
send_msg(int fd, enum msg_kind kind, const struct err *e, int pass_fd)
{
	struct msg m = {.kind = kind};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} c = {0};
	struct iovec iov = {&m, sizeof(m)};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	if (e)
		m.e = *e;
	if (pass_fd >= 0) {
		h.msg_control = &c;
		h.msg_controllen = sizeof(c.space);
		c.align = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), &pass_fd, sizeof(int));
	}
	(void)sendmsg(fd, &h, MSG_NOSIGNAL);
}

/* 1: a message, 0: the other side has closed. */
static int
recv_msg(int fd, struct msg *ret, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} c = {0};
	struct iovec iov = {ret, sizeof(*ret)};
	struct msghdr h = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c.space)};
	struct cmsghdr *cm;
	ssize_t n;

	while ((n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	*ret_fd = -EBADF;
	if (n <= 0)
		return n == 0 ? 0 : -errno;
	cm = CMSG_FIRSTHDR(&h);
	if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS &&
	    cm->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(cm), sizeof(int));
	if (n == sizeof(int)) { /* brig-init: the errno of execve(2) */
		int num;

		memcpy(&num, ret, sizeof(num));
		*ret = (struct msg){.kind = MSG_NO_EXEC};
		ret->e.num = num;
	}
	return n == sizeof(*ret) || n == sizeof(int) ? 1 : -EPROTO;
}

/* --- the command's process --- */

/* Pending signals were for the caller: setting them to be ignored for a moment discards them
 * (sigaction(2)). */
static void
plain_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL}, ign = {.sa_handler = SIG_IGN};
	sigset_t none;

	for (int sig = 1; sig < SIGRTMIN; sig++) {
		if (sig != SIGCHLD)
			(void)sigaction(sig, &ign, NULL);
		(void)sigaction(sig, &dfl, NULL);
	}
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
enter(const struct target *t, struct err *e)
{
	char cwd[64];

	if (userns_become_root(t->ns[NS_USER], e) < 0)
		return -e->num;
	if (chdir("/") < 0 || syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0)
		return err_sys(e, errno, "the jail's root directory");
	if (!streq(cwd, "/"))
		return err_set(e, EXDEV, "the working directory is outside the jail");
	return 0;
}

/* Moves a descriptor above those that have a fixed number. */
static int
move_up(int *fd)
{
	*fd = fcntl(*fd, F_DUPFD_CLOEXEC, FD_INIT + 1);
	return *fd < 0 ? -1 : 0;
}

/* Puts 0 to 2 in place as wanted, the report on 3, brig-init on 4, and closes everything else. */
static int
place_fds(struct job *j, struct err *e)
{
	bool bad = false;

	for (int i = 0; i < 3; i++)
		bad |= j->io[i] >= 0 && move_up(&j->io[i]) < 0;
	bad |= move_up(&j->report_child) < 0 || move_up(&j->init) < 0;
	bad |= dup3(j->report_child, FD_REPORT, O_CLOEXEC) < 0 || dup3(j->init, FD_INIT, O_CLOEXEC) < 0;
	j->report_child = FD_REPORT;
	j->init = FD_INIT;
	for (int i = 0; i < 3; i++)
		bad |= j->io[i] >= 0 && dup2(j->io[i], i) < 0;
	if (bad)
		return err_sys(e, errno, "descriptors of the command");
	if (close_range(FD_INIT + 1, ~0U, 0) < 0)
		return err_sys(e, errno, "close descriptors");
	return 0;
}

static int
clean_process(struct job *j, struct err *e)
{
	/* ENOSYS: a kernel without keyrings has none to leak */
	if (sys_keyctl_new_session() < 0 && errno != ENOSYS)
		return err_sys(e, errno, "new session keyring");
	if (setsid() < 0)
		return err_sys(e, errno, "new session");
	(void)umask(022);
	return confine_limits(j->spec, e);
}

static int
take_terminal(struct job *j, int *ret_slave, struct err *e)
{
	_auto_close int master = -EBADF, slave = -EBADF;

	if (tty_make(&j->relay.shape, &master, &slave, e) < 0 || tty_take(slave, e) < 0)
		return -e->num;
	send_msg(j->report_child, MSG_TTY, NULL, master);
	*ret_slave = TAKE_FD(slave);
	return 0;
}

/* Becomes the user.  Root keeps the capabilities that confine() left, anybody else has none. */
static int
become(const struct user *u, struct err *e)
{
	cap_t now, none;
	int differ;

	if (setgroups(u->n_groups, u->groups) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0)
		return err_sys(e, errno, "become user %s", u->name);
	if (u->uid == 0)
		return 0;
	now = cap_get_proc();
	none = cap_init();
	differ = now && none ? cap_compare(now, none) : -1;
	(void)cap_free(now);
	(void)cap_free(none);
	return differ == 0 ? 0 : err_set(e, EPERM, "user %s still has capabilities", u->name);
}

/* Changes to the working directory.  One given by -d must exist; a missing home directory becomes "/", as in
 * login(1). */
static int
go_to(const struct os_exec *x, const struct user *u, struct err *e)
{
	char cwd[PATH_MAX];

	if (x->workdir) {
		if (chdir(x->workdir) < 0)
			return err_sys(e, errno, "%s", x->workdir);
	} else if (x->clean && chdir(u->home) < 0 && chdir("/") < 0) {
		return err_sys(e, errno, "chdir /");
	}
	/* a magic link of /proc, to a directory that somebody holds open, can lead out of the jail */
	if (syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0 || cwd[0] != '/')
		return err_set(e, EXDEV, "%s: outside the jail", x->workdir ? x->workdir : u->home);
	return 0;
}

/* Executes brig-init by descriptor.  That executes the command, or reports that there is no such program. */
static void
run_program(struct job *j, const char *file, char *const *argv, const struct strv *env)
{
	_auto_strv struct strv words = STRV_INIT;
	static char *nothing[] = {NULL};

	strv_add(&words, "brig-init");
	strv_add(&words, INIT_EXEC);
	strv_add(&words, file);
	for (; *argv; argv++)
		strv_add(&words, *argv);
	(void)fcntl(j->report_child, F_SETFD, 0);
	(void)syscall(SYS_execveat, j->init, "", words.v, env->n ? env->v : nothing, AT_EMPTY_PATH);
}

static void
run_shell(struct job *j, const char *shell, const struct strv *env)
{
	static char interactive[] = "-i";
	_auto_free char *name = NULL;
	char *argv[3] = {NULL, NULL, NULL};
	const char *base = strrchr(shell, '/');

	base = base ? base + 1 : shell;
	name = j->x->login ? xasprintf("-%s", base) : xstrdup(shell);
	argv[0] = name;
	argv[1] = j->x->login ? NULL : interactive;
	run_program(j, shell, argv, env);
}

/* The shell to be executed: the one asked for, the user's own, /bin/sh: the first that can be executed. */
static char *
choose_shell(const struct user *u, const struct strv *env)
{
	static const char sh[] = "/bin/sh";
	const char *own = NULL;

	for (size_t i = 0; i < env->n; i++)
		if (str_after(env->v[i], "SHELL="))
			own = str_after(env->v[i], "SHELL=");
	if (own && *own == '/' && faccessat(AT_FDCWD, own, X_OK, AT_EACCESS) == 0)
		return xstrdup(own);
	return xstrdup(faccessat(AT_FDCWD, u->shell, X_OK, AT_EACCESS) == 0 ? u->shell : sh);
}

static _Noreturn void
run_command(struct job *j, const struct user *u, struct strv *env)
{
	struct err e = ERR_INIT;

	if (j->x->shell) {
		_auto_free char *shell = choose_shell(u, env);

		run_shell(j, shell, env);
	} else {
		run_program(j, j->x->argv[0], j->x->argv, env);
	}
	(void)err_sys(&e, errno, "start brig-init in the jail");
	send_msg(j->report_child, MSG_FAILED, &e, -1);
	_exit(127);
}

static int
command_steps(struct job *j, struct user *u, struct strv *env, struct err *e)
{
	_auto_close int slave = -EBADF;

	if (enter(&j->t, e) < 0 || place_fds(j, e) < 0 || clean_process(j, e) < 0)
		return -e->num;
	(void)prctl(PR_SET_DUMPABLE, 0); /* the change of ids resets it to suid_dumpable, prctl(2) */
	if (j->x->tty && take_terminal(j, &slave, e) < 0)
		return -e->num;
	if (confine(j->spec, e) < 0)
		return -e->num;
	if (j->host_user.name)
		*u = j->host_user;
	else if (user_inside(j->x->jail_user, u, e) < 0)
		return -e->num;
	user_env(u, j->x, environ, env);
	if (slave >= 0 && fchown(slave, u->uid, (gid_t)-1) < 0)
		return err_sys(e, errno, "give the terminal to %s", u->name);
	if (become(u, e) < 0)
		return -e->num;
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (!j->x->background)
		die_with_parent(FD_REPORT);
	return go_to(j->x, u, e);
}

static void
into_background(struct job *j)
{
	struct err e = ERR_INIT;
	pid_t pid = fork();

	if (pid == 0)
		return;
	if (pid < 0) {
		(void)err_sys(&e, errno, "new process in the background");
		send_msg(j->report_child, MSG_FAILED, &e, -1);
	}
	_exit(0);
}

static _Noreturn void
command_main(struct job *j)
{
	struct strv env = STRV_INIT;
	struct user u = {0};
	struct err e = ERR_INIT;

	plain_signals();
	fd_close(TAKE_FD(j->ctl_child));
	if (!j->x->background)
		die_with_parent(j->report_child);
	else
		into_background(j);
	if (command_steps(j, &u, &env, &e) == 0)
		run_command(j, &u, &env);
	send_msg(j->report_child, MSG_FAILED, &e, -1);
	_exit(1);
}

/*
 * Every namespace but the user namespace, and the pid namespace last: in the jail's /proc anybody can read
 * the mounts and sockets of a process (proc_pid_mountinfo(5), /proc/PID/net), and they must not be the
 * host's by the time that a child of ours is visible there.
 */
static int
joiner_join(struct job *j, struct err *e)
{
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(e, errno, "prctl");
	if (limit_join(j->id, j->spec, e) < 0)
		return -e->num;
	for (size_t i = 0; i < NS_USER; i++)
		if (setns(j->t.ns[i], 0) < 0)
			return err_sys(e, errno, "join the jail's %s namespace", ns_names[i]);
	return setns(j->t.pidns, CLONE_NEWPID) < 0 ? err_sys(e, errno, "join the jail's pid namespace") : 0;
}

/* The command has not been waited for, so its pid cannot have been used again. */
static void
joiner_kill(pid_t pid, int sig)
{
	if (kill(-pid, sig) < 0) /* before setsid(2) it has no group of its own */
		(void)kill(pid, sig);
}

/* Passes signals to the command until it has ended, then its status to the caller. */
static _Noreturn void
joiner_wait(int ctl, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status = SIGKILL;
	struct order o = {0};
	bool last = false;

	if (pidfd < 0)
		joiner_kill(pid, SIGKILL);
	for (;;) {
		struct pollfd p[] = {{.fd = pidfd, .events = POLLIN}, {.fd = ctl, .events = POLLIN}};

		if (pidfd >= 0 && poll(p, 2, -1) < 0)
			continue;
		if (pidfd < 0 || p[0].revents)
			break;
		if (p[1].revents && recv(ctl, &o, sizeof(o), 0) != sizeof(o))
			_exit(1); /* the caller is dead: what must die with it is killed */
		if (p[1].revents)
			joiner_kill(pid, o.sig);
		last |= o.last;
	}
	while (recv(ctl, &o, sizeof(o), MSG_DONTWAIT) == sizeof(o))
		last |= o.last;
	if (last)
		joiner_kill(pid, SIGKILL);
	(void)child_wait(pid, &status);
	(void)send(ctl, &status, sizeof(status), MSG_NOSIGNAL);
	_exit(0);
}

/* Closes everything that the joiner does not need: it would keep the command's pipes open. */
static void
joiner_close(struct job *j)
{
	int ctl = fcntl(j->ctl_child, F_DUPFD_CLOEXEC, 0);

	(void)close_range(0, (unsigned)ctl - 1, 0);
	(void)close_range((unsigned)ctl + 1, ~0U, 0);
	j->ctl_child = ctl;
}

static _Noreturn void
joiner_main(struct job *j)
{
	struct err e = ERR_INIT;
	pid_t pid = -1;

	lock_leave();
	fd_close(TAKE_FD(j->report));
	fd_close(TAKE_FD(j->ctl));
	/* a session of its own, before signals have their default action: ^Z and ^C at the caller's
	 * terminal are not for us */
	if (setsid() < 0)
		(void)err_sys(&e, errno, "new session");
	plain_signals();
	if (e.num == 0 && joiner_join(j, &e) == 0) {
		die_with_parent(j->report_child);
		pid = sys_clone(0, SIGCHLD);
		if (pid == 0)
			command_main(j);
		if (pid < 0)
			/* ENOMEM is also the answer of a pid namespace whose first process has ended */
			(void)err_sys(&e, errno,
				      errno == EAGAIN   ? "new process (limit.pids?)"
				      : errno == ENOMEM ? "new process (the jail is ending?)"
							: "new process");
	}
	send_msg(j->report_child, e.num ? MSG_FAILED : MSG_BEGUN, e.num ? &e : NULL, -1);
	if (e.num)
		_exit(1);
	joiner_close(j);
	joiner_wait(j->ctl_child, pid);
}

/* --- the caller's process: before --- */

static int
io_pipe(struct job *j, int i, int outside, struct buf *sink, struct err *e)
{
	struct stream *s;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe");
	j->io[i] = p[i == 0 ? 0 : 1];
	j->io_own[i] = true;
	(void)fcntl(p[i == 0 ? 1 : 0], F_SETFL, (i == 0 ? O_WRONLY : O_RDONLY) | O_NONBLOCK);
	s = i == 0 ? relay_add(&j->relay, outside, p[1], false) : relay_add(&j->relay, p[0], outside, true);
	s->own_to = i == 0;
	s->own_from = i != 0;
	s->sink = sink;
	return 0;
}

/* A file or disk that can be written: the jail could read it, truncate it, and keep it after the command. */
static bool
is_store(int fd, const struct stat *st)
{
	return (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode)) && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

/* Are they descriptors of one terminal or file?  One pipe for both then keeps the order of what is
 * written. */
static bool
same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What the command gets as 0, 1 or 2: the given descriptor or ours; for a terminal, a directory or a writable
 * file of the host a pipe instead, whose bytes are copied. */
static int
io_one(struct job *j, int i, int given, struct err *e)
{
	static const char *const names[] = {"standard input", "standard output", "standard error"};
	int fd = given >= 0 ? given : i;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "%s", names[i]);
	if (S_ISDIR(st.st_mode))
		return err_set(e, EISDIR, "%s is a directory of the host", names[i]);
	if (!isatty(fd) && (j->x->background || !is_store(fd, &st))) {
		j->io[i] = fd;
		return 0;
	}
	if (i == 2 && j->io_own[1] && same_file(fd, j->x->fd_out >= 0 ? j->x->fd_out : 1)) {
		j->io[2] = j->io[1];
		return 0;
	}
	if (!j->x->background)
		return io_pipe(j, i, fd, NULL, e);
	j->io[i] = open("/dev/null", (i == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
	j->io_own[i] = true;
	return j->io[i] < 0 ? err_sys(e, errno, "/dev/null") : 0;
}

static int
io_make(struct job *j, struct err *e)
{
	const struct os_exec *x = j->x;

	if (x->tty)
		return 0;
	if (io_one(j, 0, x->fd_in, e) < 0)
		return -e->num;
	if (x->capture) {
		if (io_pipe(j, 1, -EBADF, x->capture, e) < 0)
			return -e->num;
		j->io[2] = j->io[1];
		return 0;
	}
	return io_one(j, 1, x->fd_out, e) < 0 || io_one(j, 2, x->fd_err, e) < 0 ? -e->num : 0;
}

/* Blocks the signals that would end or stop brig and leave the command or a raw terminal behind, and
 * receives them by signalfd(2).  One that is ignored stays ignored (nohup). */
static int
signals_take(struct job *j, struct err *e)
{
	static const int always[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT},
			 with_tty[] = {SIGWINCH, SIGCONT, SIGTSTP};
	struct sigaction sa;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; j->x->signals && i < ARRAY_LEN(always); i++)
		if (sigaction(always[i], NULL, &sa) == 0 && sa.sa_handler != SIG_IGN)
			sigaddset(&set, always[i]);
	for (size_t i = 0; j->x->tty && i < ARRAY_LEN(with_tty); i++)
		sigaddset(&set, with_tty[i]);
	if (sigprocmask(SIG_BLOCK, &set, &j->old_mask) < 0)
		return err_sys(e, errno, "signal mask");
	j->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (j->sigfd < 0) {
		(void)err_sys(e, errno, "signalfd");
		(void)sigprocmask(SIG_SETMASK, &j->old_mask, NULL);
		return -e->num;
	}
	return 0;
}

/* --- the caller's process: meanwhile --- */

/* Asks the joiner to send sig to the command's process group. */
static void
job_kill(const struct job *j, int sig)
{
	const struct order o = {sig, j->timed_out};

	if (!j->ended)
		(void)send(j->ctl, &o, sizeof(o), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The joiner reports the status.  If it closes without one, it was killed with the jail. */
static void
job_end(struct job *j)
{
	if (recv(j->ctl, &j->status, sizeof(j->status), 0) != sizeof(j->status))
		j->status = SIGKILL;
	j->ended = true;
	relay_last(&j->relay);
}

static void
end_within(struct job *j, long ms)
{
	long at = clock_ms() + ms;

	if (!j->deadline || at < j->deadline)
		j->deadline = at;
}

static void
on_signal(struct job *j)
{
	struct signalfd_siginfo si;

	if (read(j->sigfd, &si, sizeof(si)) != sizeof(si))
		return;
	switch ((int)si.ssi_signo) {
	case SIGWINCH:
		relay_resize(&j->relay);
		break;
	case SIGCONT:
		relay_again(&j->relay);
		break;
	case SIGTSTP: /* not obeyed: the shell would get a raw terminal */
		break;
	case SIGINT:
		job_kill(j, SIGINT);
		if (++j->interrupts > 1)
			end_within(j, GRACE_MS);
		break;
	default:
		/* an interactive shell ignores TERM, and HUP is what it would get from its terminal */
		job_kill(j, j->x->tty ? SIGHUP : (int)si.ssi_signo);
		job_kill(j, SIGCONT);
		end_within(j, GRACE_MS);
		j->interrupts = 2; /* at the next deadline: SIGKILL */
	}
}

static void
on_deadline(struct job *j)
{
	bool polite = !j->timed_out && j->interrupts < 2;

	j->deadline = 0;
	if (polite) {
		j->timed_out = true;
		job_kill(j, SIGTERM);
		job_kill(j, SIGCONT);
		end_within(j, GRACE_MS / 2);
	} else {
		job_kill(j, SIGKILL);
	}
}

static void
on_report(struct job *j)
{
	struct msg m;
	int fd, r = recv_msg(j->report, &m, &fd);

	if (r <= 0) {
		/* end of file: closed on exec, or the process has ended without a report */
		fd_close(TAKE_FD(j->report));
		return;
	}
	if (m.kind == MSG_BEGUN) {
		j->begun = true;
	} else if (m.kind == MSG_TTY && fd >= 0 && j->relay.master < 0) {
		relay_tty(&j->relay, TAKE_FD(fd));
	} else if (m.kind == MSG_FAILED || m.kind == MSG_NO_EXEC) {
		m.e.msg[sizeof(m.e.msg) - 1] = '\0';
		if (!m.e.msg[0])
			(void)err_sys(&m.e, m.e.num, "%s", command_name(j->x));
		j->failure = m;
	}
	fd_close(fd);
}

enum { P_REPORT = STREAM_MAX, P_SIGNAL, P_END, P_N };

/* Copies until the command has ended and its output has arrived (background: until it has begun). */
static int
watch(struct job *j, struct err *e)
{
	while (j->report >= 0 || (!j->x->background && (!j->ended || relay_pending(&j->relay)))) {
		struct pollfd p[P_N];
		long left = j->deadline ? j->deadline - clock_ms() : -1;

		if (j->deadline && left <= 0) {
			on_deadline(j);
			continue;
		}
		relay_poll(&j->relay, p);
		p[P_REPORT] = (struct pollfd){.fd = j->report, .events = POLLIN};
		p[P_SIGNAL] = (struct pollfd){.fd = j->sigfd, .events = POLLIN};
		p[P_END] = (struct pollfd){.fd = j->ended ? -1 : j->ctl, .events = POLLIN};
		if (poll(p, P_N, left > INT_MAX ? INT_MAX : (int)left) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, errno, "poll");
		}
		if (p[P_REPORT].revents)
			on_report(j);
		if (p[P_SIGNAL].revents)
			on_signal(j);
		relay_move(&j->relay, p);
		if (p[P_END].revents)
			job_end(j);
		if (j->report < 0 && !j->begun)
			break; /* the joiner failed */
	}
	return 0;
}

/* --- together --- */

static int
job_start(struct job *j, struct err *e)
{
	int p[2], q[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0)
		return err_sys(e, errno, "socketpair");
	j->report = p[0];
	j->report_child = p[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, q) < 0)
		return err_sys(e, errno, "socketpair");
	j->ctl = q[0];
	j->ctl_child = q[1];
	j->joiner = limit_fork(j->id, j->spec, NULL, e);
	if (j->joiner == 0)
		joiner_main(j);
	fd_close(TAKE_FD(j->report_child));
	fd_close(TAKE_FD(j->ctl_child));
	for (int i = 0; i < 3; i++)
		if (j->io_own[i])
			fd_close(TAKE_FD(j->io[i]));
	return j->joiner < 0 ? (int)j->joiner : 0;
}

static int
job_result(struct job *j, int r, int *ret_status, struct err *e)
{
	int ignored;

	if (j->joiner > 0) {
		if (r < 0)
			job_kill(j, SIGKILL);
		if (!j->ended)
			job_end(j);
		(void)child_wait(j->joiner, &ignored);
	}
	if (r < 0)
		return r;
	if (j->failure.e.num) {
		*e = j->failure.e;
		if (j->failure.kind == MSG_NO_EXEC)
			*ret_status = STATUS_EXIT(e->num == ENOENT || e->num == ENOTDIR ? 127 : 126);
		return -e->num;
	}
	if (j->timed_out)
		return err_set(e, ETIMEDOUT, "%s: timed out after %d s", command_name(j->x), j->x->timeout_s);
	if (!j->begun)
		return err_set(e, EIO, "the command's process ended before the command began");
	*ret_status = j->status;
	return 0;
}

static int
job_check(const struct os_exec *x, struct err *e)
{
	if (!x->shell && (!x->argv || !x->argv[0] || !*x->argv[0]))
		return err_set(e, EINVAL, "an empty command");
	if (x->jail_user && x->host_user)
		return err_set(e, EINVAL, "a user of the host and one of the jail exclude each other");
	if (!!x->background + !!x->tty + !!x->capture > 1)
		return err_set(e, EINVAL, "background, terminal and captured output exclude each other");
	return 0;
}

static void
job_free(struct job *j)
{
	relay_end(&j->relay);
	target_close(&j->t);
	user_free(&j->host_user);
	fd_close(j->report);
	fd_close(j->report_child);
	fd_close(j->ctl);
	fd_close(j->ctl_child);
	fd_close(j->init);
	fd_close(j->sigfd);
	for (int i = 0; i < 3; i++)
		if (j->io_own[i])
			fd_close(j->io[i]);
}

int
os_jail_exec(const struct os_id *id, const struct os_ref *ref, const struct jailspec *spec,
	     const struct os_exec *x, int *ret_status, struct err *e)
{
	struct job j = {.id = id,
			.spec = spec,
			.x = x,
			.t = {{-EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF}, -EBADF},
			.io = {-EBADF, -EBADF, -EBADF},
			.relay = RELAY_INIT,
			.report = -EBADF,
			.report_child = -EBADF,
			.ctl = -EBADF,
			.ctl_child = -EBADF,
			.init = -EBADF,
			.sigfd = -EBADF};
	int r = job_check(x, e);

	if (r == 0)
		r = target_open(ref, &j.t, e);
	if (r == 0 && x->host_user)
		r = user_outside(x->host_user, &j.host_user, e);
	if (r == 0)
		r = confine_prepare(spec, e);
	if (r == 0)
		r = init_open(&j.init, e);
	if (r == 0)
		r = io_make(&j, e);
	if (r == 0)
		r = signals_take(&j, e);
	if (r < 0) {
		job_free(&j);
		return r;
	}
	if (x->tty)
		tty_shape(&j.relay.shape);
	if (x->timeout_s > 0)
		j.deadline = clock_ms() + x->timeout_s * 1000L;
	r = job_start(&j, e);
	if (r == 0)
		r = watch(&j, e);
	relay_end(&j.relay);
	r = job_result(&j, r, ret_status, e);
	job_free(&j);
	(void)sigprocmask(SIG_SETMASK, &j.old_mask, NULL);
	return r;
}
