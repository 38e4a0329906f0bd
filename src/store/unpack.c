/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacking an archive by brig-import (src/import): a program of its own, confined, with an empty environment
 * and these descriptors: 0 the archive, 3 its report (one struct err when it failed), 4 the directory to
 * fill.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/where.h"
#include "store/build.h"

#define POLL_MS 100

static _Noreturn void
run_import(const char *program, int in, int report, int root)
{
	char *name = xstrdup("brig-import"), *argv[] = {name, NULL}, *envp[] = {NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct err e = ERR_INIT;
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* out of the way of 0..4 first */
	in = fcntl(in, F_DUPFD_CLOEXEC, 10);
	root = fcntl(root, F_DUPFD_CLOEXEC, 10);
	null = fcntl(null, F_DUPFD_CLOEXEC, 10);
	report = fcntl(report, F_DUPFD_CLOEXEC, 10);
	if (dup2(in, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || dup2(report, 3) < 0 ||
	    dup2(root, 4) < 0)
		_exit(1);
	closefrom(5);
	(void)execve(program, argv, envp);
	(void)err_sys(&e, errno, "%s", program);
	(void)err_send(3, &e);
	_exit(1);
}

/* The archive's file description is shared: its offset is how far the program is. */
static void
wait_report(const struct source_place *at, int in_fd, int report)
{
	struct stat st;
	off_t size = fstat(in_fd, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;

	for (;;) {
		struct pollfd p = {report, POLLIN, 0};
		int n = poll(&p, 1, POLL_MS);

		if (n > 0 || (n < 0 && errno != EINTR))
			return;
		if (size && at->pr && at->pr->at)
			at->pr->at(at->pr->ctx, (uint64_t)lseek(in_fd, 0, SEEK_CUR), (uint64_t)size);
	}
}

int
import_archive(const struct source_place *at, int in_fd, struct err *e)
{
	_auto_free char *program = where_libexec("brig-import");
	_auto_close int out = -EBADF, in = -EBADF;
	struct err got;
	int p[2], r, status = 0;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "%s", program);
	in = p[0];
	out = p[1];
	pid = fork();
	if (pid == 0)
		run_import(program, in_fd, out, at->root_fd);
	if (pid < 0)
		return err_sys(e, errno, "%s", program);
	fd_close(TAKE_FD(out));
	wait_report(at, in_fd, in);
	r = err_recv(in, &got);
	if (child_wait(pid, &status) < 0)
		return err_sys(e, ECHILD, "%s", program);
	if (r > 0) {
		*e = got;
		return -e->num;
	}
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "%s was ended by signal %d", program, WTERMSIG(status));
	return status == 0 ? 0 : err_set(e, EIO, "%s ended before it was done", program);
}
