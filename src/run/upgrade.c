/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/mman.h>

#include "base/clock.h"
#include "run/steps.h"
#include "run/upgrade.h"

/* ---- the list ---- */

static void
jail_free(struct upgrade_jail *j)
{
	free(j->label);
	free(j->from);
	jailspec_free(j->spec);
	merge_plan_free(&j->plan);
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

/* Does a jail of v[from..] other than itself have to come before v[i]? */
static bool
must_wait(const struct upgrade *u, size_t from, size_t i)
{
	for (size_t k = from; k < u->n; k++)
		if (k != i && depends(&u->jail[i], &u->jail[k]))
			return true;
	return false;
}

/* The order in which it will be their turn: the canary, then by `depend`, else as they are configured. */
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
		if (best < u->n && best > at) { /* no best: a loop, which run_many() names */
			struct upgrade_jail one = u->jail[best];

			memmove(&u->jail[at + 1], &u->jail[at], (best - at) * sizeof(one));
			u->jail[at] = one;
		}
	}
}

static void
keep_conflicts(struct merge_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++) {
		if (plan->v[i].act == MERGE_CONFLICT)
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
		j->planned = switch_plan(&u->to, j->spec, &j->plan, &j->counts, &j->problem);
		if (j->planned == 1) {
			jail_free(j);
			continue;
		}
		j->pinned = j->planned == -EPERM;
		if (!u->details)
			keep_conflicts(&j->plan);
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

/* In a process of its own, which has the value of `stop` of the time it was begun. */
static int
work(void *ctx, const char *label, struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);

	if (u->stop)
		return err_set(e, ECANCELED, "not tried: another one failed before it");
	return switch_jail(&u->to, u->jail[i].spec, u->rep, &u->result[i], e);
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

/* Those for which pick() says so, in the order of `depend`.  Returns the number of failures. */
static int
run_some(struct upgrade *u, bool (*pick)(const struct upgrade *u, const struct upgrade_jail *j), bool reverse,
	 int parallel, int (*fn)(void *ctx, const char *label, struct err *e),
	 void (*done)(void *ctx, const char *label, int r, long ms, const struct err *e), struct err *e)
{
	_auto_free struct run_job *job = xcalloc(u->n + 1, sizeof(*job));
	size_t n = 0;

	for (size_t i = 0; i < u->n; i++)
		if (!u->jail[i].pinned && pick(u, &u->jail[i]))
			job[n++] = (struct run_job){u->jail[i].label, &u->jail[i].spec->depend};
	return n ? run_many(job, n, reverse, parallel, fn, done, u, e) : 0;
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

static bool
was_running(const struct upgrade *u _unused_, const struct upgrade_jail *j)
{
	return j->running && j->r >= 0;
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
	char boot[40];
	int r;

	/* should we be killed: whoever comes next starts it again */
	if (os_boot_id(boot, e) < 0 || change_mark_restart(u->store, u->jail[i].spec->name, boot, e) < 0)
		return -e->num;
	r = run_stop(u->store, u->jail[i].spec->name, u->jail[i].spec, 0, u->rep, e);

	u->result[i].down_us = begin;
	return r;
}

static int
switch_one(void *ctx, const char *label, struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);
	int64_t begin = u->result[i].down_us;
	int r = switch_jail(&u->to, u->jail[i].spec, u->rep, &u->result[i], e);

	u->result[i].down_us = begin;
	u->result[i].ran = u->jail[i].running;
	return r;
}

/* Back on the release it came from, with its files, and started on that. */
static int
start_back(struct upgrade *u, size_t i, struct err *e)
{
	struct switch_to back = {.store = u->store, .kind = CHANGE_ROLLBACK, .release = u->jail[i].from};
	struct switch_result res;
	struct err why = *e, second = ERR_INIT;
	int r = switch_jail(&back, u->jail[i].spec, u->rep, &res, &second);

	if (r >= 0)
		r = run_start(u->store, u->jail[i].spec, NULL, u->rep, &second);
	switch_to_free(&back);
	u->result[i].back = r >= 0;
	return r >= 0 ? err_set(e, why.num, "%s: back on release %s, as it was", why.msg, u->jail[i].from)
		      : err_set(e, why.num, "%s; and going back to %s: %s", why.msg, u->jail[i].from,
				second.msg);
}

static int
start_one(void *ctx, const char *label, struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);
	int r = run_start(u->store, u->jail[i].spec, NULL, u->rep, e);

	if (r < 0)
		r = start_back(u, i, e);
	(void)change_unmark(u->store, u->jail[i].spec->name, &(struct err)ERR_INIT);
	if (r < 0)
		return r;
	u->result[i].down_us = clock_us() - u->result[i].down_us;
	return 0;
}

/* Between the three walks only failures are told. */
static void
failed_early(void *ctx, const char *label, int r, long ms _unused_, const struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);

	u->jail[i].r = r;
	if (r < 0 || !u->jail[i].running)
		u->done(u->ctx, &u->jail[i], &u->result[i], e);
}

static void
nothing_to_say(void *ctx, const char *label, int r, long ms _unused_, const struct err *e)
{
	struct upgrade *u = ctx;
	size_t i = find(u, label);

	u->jail[i].r = r;
	if (r < 0)
		u->done(u->ctx, &u->jail[i], &u->result[i], e);
}

/* One that could not be stopped or switched runs on as it is, or is started so. */
static void
start_as_it_is(struct upgrade *u, const struct upgrade_jail *j)
{
	struct err ignore = ERR_INIT;

	(void)run_start(u->store, j->spec, NULL, u->rep, &ignore);
	err_clear(&ignore);
	(void)change_unmark(u->store, j->spec->name, &ignore);
}

static int
all_at_once(struct upgrade *u, struct err *e)
{
	int failed;

	u->to.keep_mark = true;
	failed = run_some(u, was_running, true, 0, stop_one, nothing_to_say, e);
	failed += run_some(u, any, false, 0, switch_one, failed_early, e);
	for (size_t i = 0; i < u->n; i++)
		if (u->jail[i].running && u->jail[i].r < 0 && !u->jail[i].pinned)
			start_as_it_is(u, &u->jail[i]);
	failed += run_some(u, was_running, false, 0, start_one, finished, e);
	return failed;
}

int
upgrade_run(struct upgrade *u, struct err *e)
{
	int failed;

	if (u->n == 0)
		return 0;
	if (u->all_at_once)
		return all_at_once(u, e);
	failed = run_some(u, is_canary, false, 1, work, finished, e);
	failed += run_some(u, is_other, false, u->jobs > 0 ? u->jobs : 1, work, finished, e);
	return failed;
}
