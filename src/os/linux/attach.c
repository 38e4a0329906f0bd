/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running a command in a jail.
 *
 *	caller		finds the jail, opens its namespaces, copies bytes, waits (this process)
 *	door		a child, born in the jail's control group: joins the pid namespace, which counts
 *			for its children only; makes the command's process a child of the caller and ends
 *	command		the process that becomes the command.  In the background it is a grandchild, made
 *			in the jail, so that the jail's first process reaps it: a zombie of ours in the
 *			jail's pid namespace would hold up the jail's end
 *
 * The command's process has the jail's root for a neighbour that would like to take it over, and must end up
 * with nothing more than the jail's own processes.  Hence the order:
 *
 *  1 not dumpable: ptrace(2) and /proc/PID of us need CAP_SYS_PTRACE on the host (CVE-2016-9962)
 *  2 control groups, before the cgroup namespace
 *  3 network, IPC, UTS, cgroup, mount namespaces, the user namespace last: until then we are the host's root
 *    and out of reach, and afterwards no namespace is left to be joined
 *  4 "/", and the kernel's word for it
 *  5 descriptors: 0, 1, 2 and the report, which closes on exec; no directory (CVE-2024-21626)
 *  6 keyring, session, limits, as inside.c does for the first process
 *  7 terminal of the jail's own devpts; the caller gets the other end
 *  8 confine: capabilities, no_new_privs, seccomp
 *  9 the user, looked up only now: what is read from here on is the jail's
 * 10 ids, groups, environment, working directory, exec
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
#include "base/name.h"
#include "os/linux/build.h"
#include "os/linux/confine.h"
#include "os/linux/limit.h"
#include "os/linux/ref.h"
#include "os/linux/syscalls.h"
#include "os/linux/tty.h"
#include "os/linux/users.h"
#include "os/linux/userns.h"

#define FD_REPORT 3
#define GRACE_MS 2000 /* between the polite signal and SIGKILL */
#define STATUS_EXIT(n) ((n) << 8)

/* In the order of joining. */
static const char *const ns_names[] = {"net", "ipc", "uts", "cgroup", "mnt", "user"};
#define NS_N ARRAY_LEN(ns_names)
#define NS_USER (NS_N - 1)

struct target {
	int ns[NS_N];
	int pidns;
};

/* From the door and the command to the caller. */
enum msg_kind { MSG_PID, MSG_TTY, MSG_FAILED, MSG_NO_EXEC };
struct msg {
	enum msg_kind kind;
	pid_t pid;
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
	int report, report_child; /* two ends of a socket */
	/* the caller's view */
	pid_t pid;
	int pidfd;
	int sigfd;
	sigset_t old_mask;
	int status;
	bool ended;         /* and waited for */
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

	if (r == -ESRCH)
		return err_set(e, ESRCH, "the jail is not running any more");
	if (r < 0)
		return err_sys(e, -r, "find the jail's first process");
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

static void
send_msg(int fd, enum msg_kind kind, pid_t pid, const struct err *e, int pass_fd)
{
	struct msg m = {.kind = kind, .pid = pid};
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

/* 1 a message, 0 the other side has closed. */
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
	return n == sizeof(*ret) ? 1 : -EPROTO;
}

/* --- the command's process --- */

static void
plain_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < SIGRTMIN; sig++)
		(void)sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
enter(const struct target *t, struct err *e)
{
	char cwd[64];

	for (size_t i = 0; i < NS_USER; i++)
		if (setns(t->ns[i], 0) < 0)
			return err_sys(e, errno, "join the jail's %s namespace", ns_names[i]);
	if (userns_become_root(t->ns[NS_USER], e) < 0)
		return -e->num;
	if (chdir("/") < 0 || syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0)
		return err_sys(e, errno, "the jail's root directory");
	if (!streq(cwd, "/"))
		return err_set(e, EXDEV, "the working directory is outside the jail");
	return 0;
}

/* 0 to 2 as wanted, the report on 3, nothing else. */
static int
place_fds(struct job *j, struct err *e)
{
	for (int i = 0; i < 3; i++)
		if (j->io[i] >= 0 && (j->io[i] = fcntl(j->io[i], F_DUPFD_CLOEXEC, FD_REPORT + 1)) < 0)
			return err_sys(e, errno, "descriptors of the command");
	j->report_child = fcntl(j->report_child, F_DUPFD_CLOEXEC, FD_REPORT + 1);
	if (j->report_child < 0 || dup3(j->report_child, FD_REPORT, O_CLOEXEC) < 0)
		return err_sys(e, errno, "descriptors of the command");
	j->report_child = FD_REPORT;
	for (int i = 0; i < 3; i++)
		if (j->io[i] >= 0 && dup2(j->io[i], i) < 0)
			return err_sys(e, errno, "descriptors of the command");
	if (close_range(FD_REPORT + 1, ~0U, 0) < 0)
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
	send_msg(j->report_child, MSG_TTY, 0, NULL, master);
	*ret_slave = TAKE_FD(slave);
	return 0;
}

/* Root stays with the capabilities that confine() left; anybody else has none. */
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

/* -d must exist; a home directory that does not is "/", as login(1) has it. */
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
	/* a descriptor's name in /proc can lead to where no path does */
	if (syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0 || cwd[0] != '/')
		return err_set(e, EXDEV, "%s: outside the jail", x->workdir ? x->workdir : u->home);
	return 0;
}

/* Only returns when there is no such program. */
static void
run_shell(const struct os_exec *x, const char *shell)
{
	static char interactive[] = "-i";
	_auto_free char *name = NULL;
	char *argv[3] = {NULL, NULL, NULL};
	const char *base = strrchr(shell, '/');

	base = base ? base + 1 : shell;
	name = x->login ? xasprintf("-%s", base) : xstrdup(shell);
	argv[0] = name;
	argv[1] = x->login ? NULL : interactive;
	(void)execvp(shell, argv);
}

static _Noreturn void
run_command(const struct job *j, const struct user *u, struct strv *env)
{
	static char *nothing[] = {NULL};
	const struct os_exec *x = j->x;
	const char *own = NULL;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < env->n; i++)
		if (str_after(env->v[i], "SHELL="))
			own = str_after(env->v[i], "SHELL=");
	environ = env->n ? env->v : nothing; /* execvp(3) searches the PATH found here */
	if (x->shell) {
		if (own && *own == '/')
			run_shell(x, own);
		run_shell(x, u->shell);
		run_shell(x, "/bin/sh");
	} else {
		(void)execvp(x->argv[0], x->argv);
	}
	(void)err_sys(&e, errno, "%s", command_name(x));
	send_msg(j->report_child, MSG_NO_EXEC, 0, &e, -1);
	_exit(127);
}

static int
command_steps(struct job *j, struct user *u, struct strv *env, struct err *e)
{
	_auto_close int slave = -EBADF;

	if (enter(&j->t, e) < 0 || place_fds(j, e) < 0 || clean_process(j, e) < 0)
		return -e->num;
	(void)prctl(PR_SET_DUMPABLE, 0); /* the change of ids may have set it */
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
		send_msg(j->report_child, MSG_FAILED, 0, &e, -1);
	}
	_exit(0);
}

static _Noreturn void
command_main(struct job *j)
{
	struct strv env = STRV_INIT;
	struct user u = {0};
	struct err e = ERR_INIT;
	char go;

	plain_signals();
	/* nothing runs that the caller does not know the pid of */
	if (recv(j->report_child, &go, 1, 0) != 1)
		_exit(1);
	if (!j->x->background)
		die_with_parent(j->report_child);
	else
		into_background(j);
	if (command_steps(j, &u, &env, &e) == 0)
		run_command(j, &u, &env);
	send_msg(j->report_child, MSG_FAILED, 0, &e, -1);
	_exit(1);
}

static _Noreturn void
door_main(struct job *j)
{
	struct err e = ERR_INIT;
	pid_t pid;

	fd_close(TAKE_FD(j->report));
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		(void)err_sys(&e, errno, "prctl");
	else if (limit_join(j->id, j->spec, &e) == 0 && setns(j->t.pidns, CLONE_NEWPID) < 0)
		(void)err_sys(&e, errno, "join the jail's pid namespace");
	if (!e.num) {
		pid = sys_clone(CLONE_PARENT, 0);
		if (pid == 0)
			command_main(j);
		if (pid < 0)
			/* ENOMEM is also the answer of a pid namespace whose first process has ended */
			(void)err_sys(&e, errno,
				      errno == EAGAIN   ? "new process (limit.pids?)"
				      : errno == ENOMEM ? "new process (the jail is ending?)"
							: "new process");
		else
			send_msg(j->report_child, MSG_PID, pid, NULL, -1);
	}
	if (e.num)
		send_msg(j->report_child, MSG_FAILED, 0, &e, -1);
	_exit(0);
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

/* What the command gets as 0, 1 or 2: given or ours, but neither a terminal nor a directory of the host. */
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
	if (!isatty(fd)) {
		j->io[i] = fd;
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

/* Signals that would leave the command, or the terminal's modes, behind.  One that is ignored stays so
 * (nohup). */
static int
signals_take(struct job *j, struct err *e)
{
	static const int always[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT},
			 with_tty[] = {SIGWINCH, SIGCONT, SIGTSTP};
	struct sigaction sa;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
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

/* Its whole group; before setsid(2) it has none of its own.  Until it is waited for the number is its. */
static void
job_kill(const struct job *j, int sig)
{
	if (j->pid > 0 && !j->ended && kill(-j->pid, sig) < 0)
		(void)kill(j->pid, sig);
}

/* Waited for at once, whatever is still to be written: see above for zombies. */
static void
job_reap(struct job *j)
{
	if (j->timed_out)
		job_kill(j, SIGKILL); /* what its leader leaves behind */
	if (child_wait(j->pid, &j->status) < 0)
		j->status = STATUS_EXIT(1);
	j->ended = true;
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
	case SIGTSTP: /* a raw terminal must not be left to the shell */
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
		j->interrupts = 2; /* the next deadline is for good */
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

static int
on_report(struct job *j, struct err *e)
{
	struct msg m;
	int fd, r = recv_msg(j->report, &m, &fd);

	if (r <= 0) {
		/* closed on exec; or the process has ended without a word */
		fd_close(TAKE_FD(j->report));
		return 0;
	}
	if (m.kind == MSG_PID) {
		j->pid = m.pid;
		j->pidfd = (int)syscall(SYS_pidfd_open, j->pid, 0);
		if (j->pidfd < 0)
			return err_sys(e, errno, "pidfd of the command");
		if (send(j->report, "", 1, MSG_NOSIGNAL) != 1)
			return err_sys(e, errno, "the command's process");
	} else if (m.kind == MSG_TTY && fd >= 0 && j->relay.master < 0) {
		relay_tty(&j->relay, TAKE_FD(fd));
	} else if (m.kind == MSG_FAILED || m.kind == MSG_NO_EXEC) {
		m.e.msg[sizeof(m.e.msg) - 1] = '\0';
		j->failure = m;
	}
	fd_close(fd);
	return 0;
}

enum { P_REPORT = STREAM_MAX, P_SIGNAL, P_END, P_N };

/* Until the command has ended (background: has begun), and what it wrote has arrived. */
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
		p[P_END] = (struct pollfd){.fd = j->ended ? -1 : j->pidfd, .events = POLLIN};
		if (poll(p, P_N, left > INT_MAX ? INT_MAX : (int)left) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, errno, "poll");
		}
		if (p[P_REPORT].revents && on_report(j, e) < 0)
			return -e->num;
		if (p[P_SIGNAL].revents)
			on_signal(j);
		relay_move(&j->relay, p);
		if (p[P_END].revents)
			job_reap(j);
		if (j->report < 0 && j->pid <= 0)
			break; /* the door failed */
	}
	return 0;
}

/* --- together --- */

static int
job_start(struct job *j, struct err *e)
{
	int p[2], status, r;
	pid_t door;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0)
		return err_sys(e, errno, "socketpair");
	j->report = p[0];
	j->report_child = p[1];
	door = limit_fork(j->id, j->spec, e);
	if (door == 0)
		door_main(j);
	fd_close(TAKE_FD(j->report_child));
	for (int i = 0; i < 3; i++)
		if (j->io_own[i])
			fd_close(TAKE_FD(j->io[i]));
	if (door < 0)
		return door;
	r = child_wait(door, &status);
	if (r < 0)
		return err_sys(e, -r, "wait for a child");
	return WIFSIGNALED(status) ? err_set(e, EIO, "the command's process ended before it began") : 0;
}

/*
 * The door was killed after it had made the command's process and before it could tell the pid.  That process
 * ends when it finds our end of the channel closed; as a zombie of ours it would keep the jail's pid
 * namespace from ending (pid_namespaces(7)), so it is reaped, whatever its pid is.
 */
static void
reap_stray(struct job *j)
{
	struct timespec pause = {0, 5 * 1000000L};
	int status;

	fd_close(TAKE_FD(j->report));
	for (int i = 0; i < 100 && waitpid(-1, &status, WNOHANG | __WALL) == 0; i++)
		(void)nanosleep(&pause, NULL);
}

static int
job_result(struct job *j, int r, int *ret_status, struct err *e)
{
	if (j->pid <= 0 && !j->failure.e.num)
		reap_stray(j);
	if (j->pid > 0 && !j->ended) {
		if (r < 0)
			job_kill(j, SIGKILL);
		job_reap(j);
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
	if (j->pid <= 0)
		return err_set(e, EIO, "the command's process ended before it began");
	*ret_status = j->status;
	return 0;
}

static int
job_check(const struct os_exec *x, struct err *e)
{
	if (!x->shell && (!x->argv || !x->argv[0] || !*x->argv[0]))
		return err_set(e, EINVAL, "an empty command");
	if (x->jail_user && x->host_user)
		return err_set(e, EINVAL, "a user of the host or of the jail, not both");
	if (!!x->background + !!x->tty + !!x->capture > 1)
		return err_set(e, EINVAL, "in the background, on a terminal or captured: one of them");
	return 0;
}

static void
job_free(struct job *j)
{
	relay_end(&j->relay);
	target_close(&j->t);
	user_free(&j->host_user);
	fd_close(j->report);
	fd_close(j->pidfd);
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
			.pidfd = -EBADF,
			.sigfd = -EBADF};
	int r = job_check(x, e);

	if (r == 0)
		r = target_open(ref, &j.t, e);
	if (r == 0 && x->host_user)
		r = user_outside(x->host_user, &j.host_user, e);
	if (r == 0)
		r = confine_prepare(spec, e);
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
