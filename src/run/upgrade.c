/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/mman.h>

#include "base/clock.h"
#include "run/upgrade.h"

/* ---- the list ---- */

static void
jail_free(struct upgrade_jail *j)
{
	free(j->label);
	free(j->from);
	jailspec_free(j->spec);
	run_was_free(&j->was);
	merge_plan_free(&j->plan);
	switch_data_free(&j->data);
}

void
upgrade_free(struct upgrade *u)
{
	for (size_t i = 0; i < u->n; i++)
		jail_free(&u->jail[i]);
	if (u->result)
		(void)munmap(u->result, u->n * sizeof(*u->result));
	free(u->jail);
	switch_to_free(&u->to);
	*u = (struct upgrade){0};
}

int
upgrade_add(struct upgrade *u, const char *label, struct jailspec *spec, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	int r = spec->root == ROOT_TEMPLATE ? record_read(u->store, spec->name, &rec, e) : 0;

	if (r <= 0 || !rec.template || !rec.release || !streq(rec.template, u->template)) {
		jailspec_free(spec);
		return r < 0 ? r : 1;
	}
	u->jail = xrealloc(u->jail, u->n + 1, sizeof(*u->jail));
	u->jail[u->n++] = (struct upgrade_jail){.label = xstrdup(label),
						.spec = spec,
						.from = xstrdup(rec.release),
						.running = run_is_running(u->store, spec->name),
						.plan = MERGE_PLAN_INIT};
	return 0;
}

static bool
depends(const struct upgrade_jail *a, const struct upgrade_jail *b)
{
	return strv_has(&a->spec->depend, b->label);
}

/* Must another jail of v[from..] come before v[i]? */
static bool
must_wait(const struct upgrade *u, size_t from, size_t i)
{
	for (size_t k = from; k < u->n; k++)
		if (k != i && depends(&u->jail[i], &u->jail[k]))
			return true;
	return false;
}

/* Sorts the jails: the canary, then by `depend`, otherwise as they are configured. */
static void
put_in_order(struct upgrade *u)
{
	for (size_t at = 0; at < u->n; at++) {
		size_t best = u->n;

		for (size_t i = at; i < u->n && best == u->n; i++)
			if (at == 0 && u->canary && streq(u->jail[i].label, u->canary))
				best = i;
		for (size_t i = at; i < u->n && best == u->n; i++)
			if (!must_wait(u, at, i))
				best = i;
		if (best < u->n && best > at) { /* only a loop is left: run_many() reports it */
			struct upgrade_jail one = u->jail[best];

			memmove(&u->jail[at + 1], &u->jail[at], (best - at) * sizeof(one));
			u->jail[at] = one;
		}
	}
}

bool
upgrade_is_outside(const struct merge_item *it)
{
	const char *rest = str_after(it->path, "etc");

	return (it->act == MERGE_UPDATE || it->act == MERGE_REMOVE) && !(rest && (*rest == '/' || *rest == '\0'));
}

static void
keep_what_is_said(struct merge_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++) {
		if (plan->v[i].act == MERGE_CONFLICT || upgrade_is_outside(&plan->v[i]))
			plan->v[n++] = plan->v[i];
		else
			merge_item_free(&plan->v[i]);
	}
	plan->n = n;
}

int
upgrade_plan(struct upgrade *u, struct err *e)
{
	size_t n = 0;

	put_in_order(u);

	for (size_t i = 0; i < u->n; i++) {
		struct upgrade_jail *j = &u->jail[i];

		err_clear(&j->problem);
		j->planned = switch_plan(&u->to, j->spec, &j->plan, &j->counts, &j->data, &j->problem);
		if (j->planned == -EBADMSG) { /* the release is damaged: it is for no jail */
			*e = j->problem;
			return -e->num;
		}
		if (j->planned == 1) {
			jail_free(j);
			continue;
		}
		j->pinned = j->planned == -EPERM;
		j->held = j->planned == -SWITCH_HELD;
		if (!u->details)
			keep_what_is_said(&j->plan);
		u->jail[n++] = *j;
	}
	u->n = n;
	if (n == 0)
		return 0;
	u->result =
	    mmap(NULL, n * sizeof(*u->result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (u->result == MAP_FAILED) {
		u->result = NULL;
		return err_sys(e, errno, "memory for the results");
	}
	return 0;
}

/* ---- doing it ---- */

static size_t
find(const struct upgrade *u, const char *label)
{
	size_t i = 0;

	while (i + 1 < u->n && !streq(u->jail[i].label, label))
		i++;
	return i;
}

/* Runs in a process of its own, which has the value that `stop` had when it was forked. */
static int
work(void *ctx, const char *label, struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);

	if (u->stop)
		return err_set(e, ECANCELED, "not tried: another jail failed before it");
	return switch_jail(&u->to, u->jail[i].spec, u->who, &u->result[i], e);
}

static void
finished(void *ctx, const char *label, int r, long ms _unused_, const struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);

	u->jail[i].r = r;
	if (r < 0 && !u->keep_going)
		u->stop = true;
	u->done(u->ctx, &u->jail[i], &u->result[i], e);
}

/* Runs a batch of the jails that pick() chooses, in the order of `depend`; fills in jobs and n.  Returns the
 * number of failures. */
static int
run_some(struct upgrade *u, bool (*pick)(const struct upgrade *u, const struct upgrade_jail *j), struct run_batch b)
{
	_auto_free struct run_job *job = xcalloc(u->n + 1, sizeof(*job));

	for (size_t i = 0; i < u->n; i++)
		if (!u->jail[i].pinned && !u->jail[i].held && pick(u, &u->jail[i]))
			job[b.n++] = (struct run_job){u->jail[i].label, &u->jail[i].spec->depend};
	b.jobs = job;
	b.ctx = u;
	return b.n ? run_many(&b) : 0;
}

static bool
is_canary(const struct upgrade *u, const struct upgrade_jail *j)
{
	return u->canary && streq(u->canary, j->label);
}

static bool
is_other(const struct upgrade *u, const struct upgrade_jail *j)
{
	return !is_canary(u, j);
}

/* ---- all at once ---- */

/*
 * Three batches: stop, switch, start.  A jail's mark says from its stop on that it is to be started again.  An
 * interrupt ends the first two; the last one is never interrupted, and starts each jail that was stopped: on the
 * new release, or as it was.
 */

static bool
was_running(const struct upgrade *u _unused_, const struct upgrade_jail *j)
{
	return j->running;
}

static bool
any(const struct upgrade *u _unused_, const struct upgrade_jail *j)
{
	return j->r >= 0;
}

static int
stop_one(void *ctx, const char *label, struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);
	int64_t begin = clock_us();
	int r = switch_stop_jail(&u->to, u->jail[i].spec, u->who, &u->result[i], e);

	u->result[i].down_us = begin;
	return r;
}

static int
switch_one(void *ctx, const char *label, struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);
	int64_t begin = u->result[i].down_us;
	int r;

	u->to.restart = u->jail[i].running;
	r = switch_stopped_jail(&u->to, u->jail[i].spec, u->who, &u->result[i], e);
	u->result[i].down_us = begin;
	u->result[i].ran = u->jail[i].running;
	return r;
}

static int
start_one(void *ctx, const char *label, struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);
	struct upgrade_jail *j = &u->jail[i];
	struct run_caller who = u->who ? *u->who : (struct run_caller){0};
	struct run_start_opts o = {.before = j->was.made ? &j->was : NULL, .ret_back = &u->result[i].back};
	int r;

	who.in = NULL;
	if (j->r < 0) /* could not be stopped or switched, or was not tried: runs on, or is started as it was */
		return run_start(u->store, j->was.made ? j->was.made : j->spec, NULL, &who, e);
	r = run_start(u->store, j->spec, &o, &who, e);
	u->result[i].down_us = clock_us() - u->result[i].down_us;
	return r < 0 ? r : 0;
}

/* Of the first two batches only jails that do not go on to the third are reported. */
static void
ended_early(struct upgrade *u, const char *label, int r, bool last, const struct err *e)
{
	size_t i = find(u, label);

	u->jail[i].r = r == 1 && !last ? 0 : r; /* it had ended by itself */
	if (r < 0 || (last && !u->jail[i].running))
		u->done(u->ctx, &u->jail[i], &u->result[i], e);
}

static void
stopped(void *ctx, const char *label, int r, long ms _unused_, const struct err *e)
{
	ended_early(ctx, label, r, false, e);
}

static void
switched(void *ctx, const char *label, int r, long ms _unused_, const struct err *e)
{
	ended_early(ctx, label, r, true, e);
}

static void
started(void *ctx, const char *label, int r, long ms, const struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);

	if (u->jail[i].r >= 0)
		finished(ctx, label, r, ms, e);
	else if (r < 0) /* why it was not switched was reported already */
		run_warn(u->who, label, e->msg);
}

/* What each of them runs as; one whose state says nothing about that is left as it is, and reported. */
static int
look_at_running(struct upgrade *u)
{
	int failed = 0;

	for (size_t i = 0; i < u->n; i++) {
		struct upgrade_jail *j = &u->jail[i];
		struct err e = ERR_INIT;

		if (j->pinned || j->held || run_was(u->store, j->spec->name, &j->was, &e) >= 0)
			continue;
		j->running = false;
		j->r = -e.num;
		failed++;
		u->done(u->ctx, j, &u->result[i], &e);
	}
	return failed;
}

static int
all_at_once(struct upgrade *u)
{
	const struct interrupt *in = u->who ? u->who->in : NULL;
	int failed = look_at_running(u);

	failed += run_some(u, was_running, (struct run_batch){.reverse = true, .in = in, .work = stop_one, .done = stopped});
	failed += run_some(u, any, (struct run_batch){.in = in, .work = switch_one, .done = switched});
	failed += run_some(u, was_running, (struct run_batch){.keep_going = true, .work = start_one, .done = started});
	return failed;
}

int
upgrade_run(struct upgrade *u)
{
	struct run_batch b = {.in = u->who ? u->who->in : NULL, .work = work, .done = finished, .parallel = 1};
	int failed;

	if (u->n == 0)
		return 0;
	if (u->all_at_once)
		return all_at_once(u);
	failed = run_some(u, is_canary, b);
	b.parallel = u->jobs > 0 ? u->jobs : 1;
	return failed + run_some(u, is_other, b);
}
