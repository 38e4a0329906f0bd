/* SPDX-License-Identifier: BSD-2-Clause */
/* Several jails at a time: a process each, in the order of `depend`. */
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/child.h"
#include "base/lock.h"
#include "run/run.h"

enum job_state { WAITING, RUNNING, DONE, FAILED };

struct job {
	enum job_state state;
	pid_t pid;
	int fd; /* its result: a struct err, or end of file for success */
	long start_ms;
};

struct many {
	const struct run_batch *b;
	struct job *job;
	size_t n, running, failed;
};

/* Does jobs[a] have to come before jobs[b]? */
static bool
comes_before(const struct many *m, size_t a, size_t b)
{
	if (m->b->reverse)
		return m->b->jobs[a].depend && strv_has(m->b->jobs[a].depend, m->b->jobs[b].label);
	return m->b->jobs[b].depend && strv_has(m->b->jobs[b].depend, m->b->jobs[a].label);
}

/* Looks for jobs that must come before i and are not done.  0: none, 1: wait, -1: one failed (*ret_which). */
static int
blocked(const struct many *m, size_t i, size_t *ret_which)
{
	int r = 0;

	for (size_t k = 0; k < m->n; k++) {
		if (k == i || m->job[k].state == DONE || !comes_before(m, k, i))
			continue;
		*ret_which = k;
		if (m->job[k].state == FAILED && m->b->keep_going)
			continue;
		if (m->job[k].state == FAILED)
			return -1;
		r = 1;
	}
	return r;
}

static void
finish(struct many *m, size_t i, int r, long ms, const struct err *e)
{
	m->job[i].state = r < 0 ? FAILED : DONE;
	m->failed += r < 0;
	m->b->done(m->b->ctx, m->b->jobs[i].label, r, ms, e);
}

/* In the child.  r travels as the number of an empty error: the parent must tell 1 (nothing to do) from 0. */
static _Noreturn void
child_work(const struct many *m, size_t i, int fd)
{
	struct err e = ERR_INIT;
	int r;

	lock_leave(); /* the command's locks: it may end before this jail is done */
	r = m->b->work(m->b->ctx, m->b->jobs[i].label, &e);

	if (r >= 0) {
		e = (struct err){r, ""};
	} else if (!e.msg[0]) {
		(void)err_sys(&e, -r, "%s", m->b->jobs[i].label);
	}
	fflush(NULL);
	(void)err_send(fd, &e);
	_exit(0);
}

static int
launch(struct many *m, size_t i, struct err *e)
{
	int p[2];
	pid_t pid;

	fflush(NULL);
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe");
	pid = fork();
	if (pid < 0) {
		int keep = errno;

		fd_close(p[0]);
		fd_close(p[1]);
		return err_sys(e, keep, "fork");
	}
	if (pid == 0)
		child_work(m, i, p[1]);
	fd_close(p[1]);
	m->job[i] = (struct job){RUNNING, pid, p[0], clock_ms()};
	m->running++;
	return 0;
}

static void
collect(struct many *m, size_t i)
{
	struct job *j = &m->job[i];
	struct err e = ERR_INIT;
	int status, got = err_recv(j->fd, &e), r;

	fd_close(j->fd);
	(void)child_wait(j->pid, &status);
	m->running--;
	if (got <= 0)
		r = WIFSIGNALED(status)
			? err_set(&e, ECHILD, "its process was ended by signal %d", WTERMSIG(status))
			: err_set(&e, ECHILD, "its process ended without a result");
	else
		r = e.msg[0] ? -e.num : e.num;
	finish(m, i, r, clock_ms() - j->start_ms, &e);
}

static void
wait_for_one(struct many *m)
{
	_auto_free struct pollfd *p = xcalloc(m->running, sizeof(*p));
	_auto_free size_t *which = xcalloc(m->running, sizeof(*which));
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (m->job[i].state != RUNNING)
			continue;
		which[n] = i;
		p[n++] = (struct pollfd){m->job[i].fd, POLLIN, 0};
	}
	if (poll(p, n, -1) < 0)
		return; /* EINTR: the caller looks at the interrupt */
	for (size_t k = 0; k < n; k++)
		if (p[k].revents)
			collect(m, which[k]);
}

/* Starts the jobs that can be started.  1: one was started, or cannot be. */
static int
advance(struct many *m, size_t parallel)
{
	int progress = 0;

	for (size_t i = 0; i < m->n && m->running < parallel; i++) {
		struct err e = ERR_INIT;
		size_t which = 0;
		int r;

		if (m->job[i].state != WAITING)
			continue;
		r = interrupt_pending(m->b->in) ? -EINTR : blocked(m, i, &which);
		if (r > 0)
			continue;
		progress = 1;
		if (r == -EINTR)
			finish(m, i, err_set(&e, ECANCELED, "not tried: interrupted before its turn"), 0, &e);
		else if (r < 0)
			finish(m, i, err_set(&e, ECANCELED, "skipped: %s failed", m->b->jobs[which].label), 0,
			       &e);
		else if (launch(m, i, &e) < 0)
			finish(m, i, -e.num, 0, &e);
	}
	return progress;
}

int
run_many(const struct run_batch *b)
{
	struct many m = {.b = b, .job = xcalloc(b->n + 1, sizeof(struct job)), .n = b->n};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t limit = b->parallel > 0 ? (size_t)b->parallel : (size_t)(cpus > 0 ? cpus * 4 : 4);

	if (b->n == 1 && !interrupt_pending(b->in)) {
		long start = clock_ms();
		struct err e = ERR_INIT;
		int r = b->work(b->ctx, b->jobs[0].label, &e);

		finish(&m, 0, r, clock_ms() - start, &e);
	} else {
		for (;;) {
			int progress = advance(&m, limit);

			if (m.running > 0)
				wait_for_one(&m);
			else if (!progress)
				break;
		}
	}
	for (size_t i = 0; i < b->n; i++) {
		struct err loop = ERR_INIT;

		if (m.job[i].state == WAITING)
			finish(&m, i, err_set(&loop, ELOOP, "dependency loop"), 0, &loop);
	}
	free(m.job);
	return (int)m.failed;
}
