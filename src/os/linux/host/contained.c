/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands of the host that end with us (os/host.h).  Our child is the first process of a pid namespace:
 * when it ends, the kernel kills all others in it; it ends when we do (PR_SET_PDEATHSIG).  What the commands
 * mounted goes with its mount namespace.  /proc is mounted anew, to show the pids of that pid namespace.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/child.h"
#include "os/host.h"

/* clone3(2) as a fork(2) into new namespaces (Linux 5.3); without the privilege, a fork. */
static pid_t
fork_contained(bool *ret_namespaces)
{
	struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS, .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	*ret_namespaces = pid >= 0;
	return pid >= 0 || (errno != EPERM && errno != ENOSYS) ? pid : fork();
}

static _Noreturn void
contained_main(int (*work)(void *ctx, struct err *e), void *ctx, int report, bool namespaces, pid_t parent)
{
	struct err e = ERR_INIT;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!namespaces && getppid() != parent)
		_exit(1); /* the parent died before prctl() */
	if (namespaces && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		(void)mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (namespaces)
		(void)sethostname(OS_CONTAINED_NAME, strlen(OS_CONTAINED_NAME));
	if (work(ctx, &e) < 0)
		(void)err_send(report, &e);
	_exit(e.num ? 1 : 0);
}

int
os_contained_start(int (*work)(void *ctx, struct err *e), void *ctx, struct os_task *ret, struct err *e)
{
	_auto_close int in = -EBADF, out = -EBADF;
	pid_t parent = getpid(), pid;
	bool namespaces;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "start a command");
	in = p[0];
	out = p[1];
	pid = fork_contained(&namespaces);
	if (pid == 0)
		contained_main(work, ctx, out, namespaces, parent);
	if (pid < 0)
		return err_sys(e, errno, "start a command");
	*ret = (struct os_task){pid, TAKE_FD(in)};
	return 0;
}

int
os_contained_wait(struct os_task *t, struct err *e)
{
	struct err got;
	int r = err_recv(t->report_fd, &got), status = 0;

	fd_close(t->report_fd);
	t->report_fd = -EBADF;
	if (child_wait(t->pid, &status) < 0)
		return err_sys(e, ECHILD, "wait for a command");
	if (r > 0) {
		*e = got;
		return -e->num;
	}
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "ended by signal %d", WTERMSIG(status));
	return status == 0 ? 0 : err_set(e, EIO, "ended before it was done");
}
