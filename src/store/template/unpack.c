/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacking by brig-import (src/import): a program of its own, confined, with an empty environment and these
 * descriptors: 0 the archive, or a socket on which it asks for files (oci.h); 3 its report (one struct err
 * when it failed); 4 the directory to fill.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/where.h"
#include "store/template/build.h"

#define POLL_MS 100

static _Noreturn void
run_import(const char *program, int in, int report, int root, const char *mode, const char *arg)
{
	char *name = xstrdup("brig-import"), *what = xstrdup_null(mode), *how = xstrdup_null(arg);
	char *argv[] = {name, what, how, NULL}, *envp[] = {NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct err e = ERR_INIT;
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* first above 4, so that none is overwritten */
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

/* The open file description of the archive is shared with the program, so its offset shows the progress. */
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
import_start(const struct source_place *at, int in_fd, const char *mode, const char *arg,
	     struct import_child *ret, struct err *e)
{
	struct import_child c = {.program = where_libexec("brig-import")};
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0) {
		(void)err_sys(e, errno, "%s", c.program);
		free(c.program);
		return -e->num;
	}
	c.report = p[0];
	c.pid = fork();
	if (c.pid == 0)
		run_import(c.program, in_fd, p[1], at->root_fd, mode, arg);
	if (c.pid < 0) {
		(void)err_sys(e, errno, "%s", c.program);
		fd_close(p[0]);
		free(c.program);
	}
	fd_close(p[1]);
	if (c.pid < 0)
		return -e->num;
	*ret = c;
	return 0;
}

void
import_kill(const struct import_child *c)
{
	(void)kill(c->pid, SIGKILL);
}

int
import_finish(struct import_child *c, struct err *e)
{
	_auto_free char *program = c->program;
	_auto_close int report = c->report;
	struct err got;
	int status = 0, r = err_recv(report, &got);

	if (child_wait(c->pid, &status) < 0)
		return err_sys(e, ECHILD, "%s", program);
	if (r > 0) {
		*e = got;
		return -e->num;
	}
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "%s was ended by signal %d", program, WTERMSIG(status));
	return status == 0 ? 0 : err_set(e, EIO, "%s ended before it was done", program);
}

int
import_archive(const struct source_place *at, int in_fd, struct err *e)
{
	struct import_child child;

	if (import_start(at, in_fd, NULL, NULL, &child, e) < 0)
		return -e->num;
	wait_report(at, in_fd, child.report);
	return import_finish(&child, e);
}
