/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/child.h"

#define CAPTURE_MAX 65536

int
child_wait(pid_t pid, int *ret_status)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_status = status;
	return 0;
}

void
child_command_argv(const char *command, struct strv *ret_argv, bool *ret_background)
{
	_auto_free char *cmd = xstrdup(command);
	size_t len = strlen(cmd);

	if (ret_background) {
		*ret_background = len > 0 && cmd[len - 1] == '&' && strcspn(cmd, "&") == len - 1;
		if (*ret_background)
			cmd[len - 1] = '\0';
	}
	if (strpbrk(cmd, "!\"$&'()*;<>?[\\]`{|}~")) {
		strv_add(ret_argv, "/bin/sh");
		strv_add(ret_argv, "-c");
		strv_add(ret_argv, cmd);
		return;
	}
	for (char *p = cmd; *(p += strspn(p, " \t\n"));) {
		size_t n = strcspn(p, " \t\n");

		strv_take(ret_argv, xstrndup(p, n));
		p += n;
	}
}

static _Noreturn void
fail(int fd, int num, const char *what)
{
	struct err e = ERR_INIT;

	(void)err_sys(&e, num, "%s", what);
	(void)err_send(fd, &e);
	_exit(127);
}

static int
give_fd(int fd, int want, int flags)
{
	if (fd < 0) {
		if (want != 0)
			return 0;
		fd = open("/dev/null", flags | O_CLOEXEC);
	}
	return fd < 0 || dup2(fd, want) < 0 ? -1 : 0;
}

/* Moves a descriptor out of 0..2, where dup2 would overwrite it before it is used. */
static int
lift(int fd)
{
	return fd >= 0 && fd < 3 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : fd;
}

static _Noreturn void
child_main(const struct child *c, int in, int out, int errfd, int report)
{
	sigset_t none;

	/* before signals have their default action: what is sent to our group is for who waits for us */
	if (c->background)
		(void)setsid();
	else
		(void)setpgid(0, 0);
	sigemptyset(&none);
	for (int s = 1; s < 32; s++)
		(void)signal(s, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	in = lift(in);
	out = lift(out);
	errfd = lift(errfd);
	if (give_fd(in, 0, O_RDONLY) < 0 || give_fd(out, 1, O_WRONLY) < 0 || give_fd(errfd, 2, O_WRONLY) < 0)
		fail(report, errno, c->argv[0]);
	if (c->cwd_fd >= 0 && fchdir(c->cwd_fd) < 0)
		fail(report, errno, "working directory");
	if (report != 3) {
		if (dup3(report, 3, O_CLOEXEC) < 0)
			fail(report, errno, c->argv[0]);
		report = 3;
	}
	closefrom(4);
	if (c->set_ids) {
		int r = c->user ? initgroups(c->user, c->gid) : setgroups(0, NULL);

		if (r < 0 || setresgid(c->gid, c->gid, c->gid) < 0 || setresuid(c->uid, c->uid, c->uid) < 0)
			fail(report, errno, "change to another user");
	}
	if (c->envp)
		execvpe(c->argv[0], c->argv, c->envp);
	else
		execvp(c->argv[0], c->argv);
	fail(report, errno, c->argv[0]);
}

struct talk {
	int in, out;  /* our ends, or -EBADF */
	size_t given; /* of input */
};

/* Writes the child's input and reads its output until both are closed or the time is up. */
static int
talk_loop(const struct child *c, struct talk *t, long deadline)
{
	size_t want = c->input ? strlen(c->input) : 0;

	while (t->in >= 0 || t->out >= 0) {
		struct pollfd p[2] = {{t->in, POLLOUT, 0}, {t->out, POLLIN, 0}};
		long left = deadline ? deadline - clock_ms() : -1;
		char chunk[4096];
		ssize_t n;

		if (deadline && left <= 0)
			return -ETIMEDOUT;
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return -errno;
		if (t->in >= 0 && p[0].revents) {
			n = write(t->in, c->input + t->given, want - t->given);
			if (n > 0)
				t->given += (size_t)n;
			if ((n < 0 && errno != EINTR && errno != EAGAIN) || t->given == want) {
				fd_close(t->in);
				t->in = -EBADF;
			}
		}
		if (t->out >= 0 && p[1].revents) {
			n = read(t->out, chunk, sizeof(chunk));
			if (n > 0 && c->capture->len + (size_t)n <= CAPTURE_MAX)
				buf_add(c->capture, chunk, (size_t)n);
			if (n == 0 || (n < 0 && errno != EINTR)) {
				fd_close(t->out);
				t->out = -EBADF;
			}
		}
	}
	return 0;
}

static int
wait_until(pid_t pid, int *status, long deadline)
{
	if (!deadline)
		return child_wait(pid, status);
	for (long step = 1;; step = step < 20 ? step + 1 : step) {
		struct timespec ts = {0, step * 1000000L};
		pid_t r = waitpid(pid, status, WNOHANG);

		if (r == pid)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
		if (clock_ms() >= deadline)
			return -ETIMEDOUT;
		(void)nanosleep(&ts, NULL);
	}
}

static void
end_group(pid_t pid)
{
	int status;

	(void)kill(-pid, SIGTERM);
	if (wait_until(pid, &status, clock_ms() + 1000) < 0) {
		(void)kill(-pid, SIGKILL);
		(void)child_wait(pid, &status);
	}
	(void)kill(-pid, SIGKILL); /* what the group's leader left behind */
}

int
child_run(const struct child *c, int *ret_status, struct err *e)
{
	_auto_close int report_r = -EBADF, report_w = -EBADF, in_r = -EBADF, out_w = -EBADF;
	struct talk t = {-EBADF, -EBADF, 0};
	long deadline = c->timeout_s > 0 ? clock_ms() + c->timeout_s * 1000L : 0;
	struct err child_err;
	int p[2], r, status;
	pid_t pid;

	if (!c->argv[0])
		return err_set(e, EINVAL, "an empty command");
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "%s", c->argv[0]);
	report_r = p[0];
	report_w = p[1];
	if (c->input) {
		if (pipe2(p, O_CLOEXEC) < 0)
			return err_sys(e, errno, "%s", c->argv[0]);
		in_r = p[0];
		t.in = p[1];
	}
	if (c->capture) {
		if (pipe2(p, O_CLOEXEC) < 0) {
			fd_close(t.in);
			return err_sys(e, errno, "%s", c->argv[0]);
		}
		t.out = p[0];
		out_w = p[1];
	}
	pid = fork();
	if (pid == 0)
		child_main(c, c->input ? in_r : c->fd_in, c->capture ? out_w : c->fd_out,
			   c->capture ? out_w : c->fd_err, report_w);
	if (pid < 0) {
		r = errno;
		fd_close(t.in);
		fd_close(t.out);
		return err_sys(e, r, "fork for %s", c->argv[0]);
	}
	if (!c->background)
		(void)setpgid(pid, pid);
	fd_close(TAKE_FD(report_w));
	fd_close(TAKE_FD(in_r));
	fd_close(TAKE_FD(out_w));
	if (err_recv(report_r, &child_err) > 0) {
		fd_close(t.in);
		fd_close(t.out);
		(void)child_wait(pid, &status);
		*e = child_err;
		return -e->num;
	}
	if (c->background) {
		*ret_status = 0;
		return 0;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	r = talk_loop(c, &t, deadline);
	fd_close(t.in);
	fd_close(t.out);
	if (r == 0)
		r = wait_until(pid, &status, deadline);
	if (r == -ETIMEDOUT) {
		end_group(pid);
		return err_set(e, ETIMEDOUT, "%s: timed out after %d s", c->argv[0], c->timeout_s);
	}
	if (r < 0)
		return err_sys(e, -r, "wait for %s", c->argv[0]);
	*ret_status = status;
	return 0;
}

int
child_must(const struct child *c, struct err *e)
{
	_auto_(buf_free) struct buf own = BUF_INIT;
	struct child with = *c;
	const char *last = NULL;
	int status, r;

	if (!with.capture && with.fd_out < 0)
		with.capture = &own;
	r = child_run(&with, &status, e);
	if (r < 0)
		return r;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (with.capture && with.capture->len) {
		char *s = with.capture->s;

		while (with.capture->len && s[with.capture->len - 1] == '\n')
			s[--with.capture->len] = '\0';
		last = strrchr(s, '\n');
		last = last ? last + 1 : s;
	}
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "%s: ended by signal %d", c->argv[0], WTERMSIG(status));
	return err_set(e, EIO, "%s: exited with status %d%s%s", c->argv[0], WEXITSTATUS(status),
		       last ? ": " : "", last ? last : "");
}
