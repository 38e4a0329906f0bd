/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/name.h"
#include "init/proto.h"
#include "run/steps.h"
#include "run/switch.h"
#include "run/switch_int.h"

#define BEGUN_TRIES 1000
#define BEGUN_PAUSE_NS 100000
#define WATCH_MS 5000 /* how long a socket may take to listen again before it is called missing */

/* One jail on its way. */
struct sw {
	struct switch_to *to;
	const struct jailspec *spec;
	struct jailspec *made; /* what the running one was started with */
	const struct run_report *rep;
	struct switch_result *res;
	struct ctx old, next;
	struct record rec;
	struct change c;
	bool has_change;
	int space; /* -EBADF: none, or not open now */
	struct os_watch *watch;
	int64_t stopped_us; /* when the old services were told to stop */
};

static void
warn(const struct sw *w, const char *text)
{
	if (w->rep && w->rep->warn)
		w->rep->warn(w->rep->ctx, w->spec->label, text);
}

static size_t
step_index(const char *name)
{
	size_t i = 0;

	while (i < run_steps_len && !streq(run_steps[i].name, name))
		i++;
	return i;
}

/* ---- the jailspace ---- */

static bool
is_volume(const struct jailspec *spec)
{
	return spec->space == SPACE_IMAGE || spec->space == SPACE_DEVICE;
}

static int
open_space(struct sw *w, struct err *e)
{
	_auto_free char *where = space_where(w->spec);

	return space_by_where(w->to->store, w->spec->name, where, &w->space, e);
}

/* A volume is unmounted before the jail mounts it. */
static void
close_space(struct sw *w)
{
	if (w->has_change)
		change_close_nodes(&w->c);
	fd_close(TAKE_FD(w->space));
}

/* ---- stage ---- */

static int
begin_change(struct sw *w, struct err *e)
{
	_auto_free char *where = space_where(w->spec);
	int r = change_new(w->to->store, w->spec->name, &w->rec, w->to->kind, w->to->release, where, w->space,
			   &w->c, e);

	if (r < 0)
		return r;
	w->has_change = true;
	w->c.restart = w->res->ran;
	w->c.keep_mark = w->to->keep_mark;
	if (w->to->always)
		strv_copy(&w->c.always, w->to->always);
	if (w->to->ignore)
		strv_copy(&w->c.ignore, w->to->ignore);
	return os_boot_id(w->c.boot, e);
}

static int
stage(struct sw *w, struct err *e)
{
	int r = begin_change(w, e);

	if (r == 0)
		r = switch_stage(w->to, &w->c, &w->rec, w->space, e);
	if (r == 0)
		switch_count(&w->c, &w->res->files);
	return r < 0 ? r : change_seal(&w->c, e);
}

/* Before the decision: it never was. */
static int
give_up(struct sw *w, struct err *e)
{
	struct err ignore = ERR_INIT;

	if (w->has_change)
		(void)change_drop(&w->c, &w->rec, w->space, &ignore);
	return -e->num;
}

/* Said after the end: a file that is not as it should be is never passed over in silence. */
static void
tell_kept(const struct sw *w)
{
	for (size_t i = 0; i < w->c.kept.n; i++) {
		_auto_free char *path = text_printable(w->c.kept.v[i], 4096);
		_auto_free char *text =
		    w->res->back ? xasprintf("%s: stays beside what was put back", path)
		    : w->to->kind == CHANGE_ROLLBACK
			? xasprintf("%s: changed since, kept as it is", path)
			: xasprintf("%s: the release has it no more, kept because the jail changed it", path);

		warn(w, text);
	}
}

/* ---- a jail that does not run ---- */

static int
switch_stopped(struct sw *w, struct err *e)
{
	int r = open_space(w, e);

	if (r == 0)
		r = stage(w, e);
	if (r < 0)
		return give_up(w, e);
	r = change_commit(&w->c, &w->rec, e);
	if (r < 0)
		return give_up(w, e);
	r = change_apply(&w->c, w->space, e);
	if (r == 0)
		return change_finish(&w->c, &w->rec, w->space, e);
	if (change_commit_back(&w->c, &w->rec, &(struct err)ERR_INIT) == 0 &&
	    change_revert(&w->c, w->space, &(struct err)ERR_INIT) == 0)
		(void)change_drop(&w->c, &w->rec, w->space, &(struct err)ERR_INIT);
	return r;
}

/* ---- instances ---- */

static void
copy_record(struct record *dst, const struct record *src)
{
	dst->idbase = src->idbase;
	dst->template = xstrdup_null(src->template);
	dst->release = xstrdup_null(src->release);
	dst->created = xstrdup_null(src->created);
}

static void
next_ctx(struct sw *w, const struct jailspec *spec)
{
	static const struct run_start_opts plain;

	w->next = (struct ctx){.s = w->to->store,
			       .spec = spec,
			       .made = spec,
			       .opts = &plain,
			       .rep = w->rep,
			       .id = {w->to->store->tag, spec->name, w->old.st.jid},
			       .want_jid = w->old.st.jid};
}

/* The whole way, on the release that the record names. */
static int
start_again(struct sw *w, const struct jailspec *spec, struct err *e)
{
	steps_free(&w->next);
	next_ctx(w, spec);
	return steps_up(&w->next, e);
}

static bool
alive(const struct ctx *c)
{
	return os_jail_alive(&c->st.ref);
}

/* It did not come up: files and release as they were, and started as it was. */
static int
go_back(struct sw *w, struct err *e)
{
	struct err why = *e, second = ERR_INIT;
	int r = change_commit_back(&w->c, &w->rec, &second);

	if (r == 0 && w->space < 0 && w->c.inside) {
		r = open_space(w, &second);
		if (r == 0)
			r = change_open_nodes(&w->c, w->space, &second);
	}
	if (r == 0)
		r = change_revert(&w->c, w->space, &second);
	if (r == 0)
		r = change_drop(&w->c, &w->rec, w->space, &second);
	if (r == 0 && is_volume(w->spec))
		close_space(w);
	if (r == 0)
		r = start_again(w, w->made, &second);
	w->res->back = r == 0;
	*e = why;
	return r == 0 ? err_set(e, why.num, "%s: back on release %s, as it was", why.msg, w->c.from)
		      : err_set(e, why.num, "%s; and going back to %s: %s", why.msg, w->c.from, second.msg);
}

/* ---- the new instance beside the old one ---- */

static bool
has_host_hooks(const struct jailspec *s)
{
	static const enum spec_exec between[] = {EXEC_PREPARE, EXEC_PRESTART, EXEC_CREATED, EXEC_POSTSTOP,
						 EXEC_RELEASE};

	for (size_t i = 0; i < ARRAY_LEN(between); i++)
		if (s->exec[between[i]].n > 0)
			return true;
	return false;
}

static int
make_beside(struct sw *w, struct err *e)
{
	static const char *const early[] = {"create", "listen"};
	struct ctx *n = &w->next;

	next_ctx(w, w->spec);
	n->keep = &w->old.st.ref;
	n->keep_made = w->made;
	copy_record(&n->record, &w->rec);
	free(n->record.release);
	n->record.release = xstrdup(w->to->release);
	if (steps_state(n, e) < 0)
		return -e->num;
	n->st.jid = w->old.st.jid;
	for (size_t i = 0; i < ARRAY_LEN(early); i++)
		if (run_steps[step_index(early[i])].up(n, e) < 0)
			return -e->num;
	return 0;
}

/* Backwards over what does not stay.  Its own failure (exec.stop) leaves the jail running. */
static int
stop_old(struct sw *w, struct err *e)
{
	size_t last = step_index("create");

	w->old.hooks = true;
	for (size_t i = run_steps_len; i-- > last;) {
		if (run_steps[i].kept || !run_steps[i].down)
			continue;
		if (streq(run_steps[i].name, "exec.start"))
			w->stopped_us = clock_us();
		if (run_steps[i].down(&w->old, e) < 0)
			return -e->num;
	}
	return 0;
}

/* The state is the new one's from here on. */
static int
take_over(struct sw *w, struct err *e)
{
	_auto_close int dir = -EBADF;
	struct ctx *n = &w->next;

	n->st.phase = PHASE_STARTING;
	if (state_write(w->to->store, &n->st, e) < 0 || state_dir(w->to->store, w->spec->name, &dir, e) < 0)
		return -e->num;
	n->keep = NULL;
	if (renameat(dir, STATE_SERVICES_NEXT, dir, STATE_SERVICES) < 0)
		return err_sys(e, errno, "service records of jail %s", w->spec->name);
	return 0;
}

/* Forwards over what does not stay. */
static int
start_next(struct sw *w, struct err *e)
{
	for (size_t i = step_index("create") + 1; i < run_steps_len; i++) {
		if (run_steps[i].kept || streq(run_steps[i].name, "listen"))
			continue;
		if (run_interrupted)
			return err_set(e, EINTR, "interrupted before %s", run_steps[i].name);
		if (run_steps[i].up(&w->next, e) < 0)
			return -e->num;
	}
	return 0;
}

/* Services have begun when the first process has a record of each (init/proto.h): a moment after it was let
 * go. */
static void
wait_begun(const struct sw *w)
{
	_auto_free char *file = xasprintf("jail/%s/" STATE_SERVICES, w->spec->name);
	off_t want = (off_t)w->spec->service.n * INIT_RECORD;
	struct stat st;

	for (int i = 0; i < BEGUN_TRIES && w->spec->service.n > 0; i++) {
		if (fstatat(w->to->store->run_fd, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_size >= want)
			return;
		(void)nanosleep(&(struct timespec){0, BEGUN_PAUSE_NS}, NULL);
	}
}

static void
measure(struct sw *w)
{
	struct os_outage out = {0};
	struct err e = ERR_INIT;
	int64_t gap;

	wait_begun(w);
	gap = clock_us() - w->stopped_us;
	w->res->down_us = gap;
	if (!w->watch)
		return;
	if (os_watch_ready(w->watch, WATCH_MS, &out, &e) == 0 && out.listeners > 0) {
		w->res->down_us = out.down_us;
		w->res->listeners = out.listeners;
		for (size_t i = 0; i < out.missing.n; i++) {
			_auto_free char *text =
			    xasprintf("%s: nothing listens there any more", out.missing.v[i]);

			warn(w, text);
		}
	}
	strv_free(&out.missing);
	w->watch = NULL;
}

/* It was told to stop and would not. */
static int
stays(struct sw *w, struct err *e)
{
	struct err ignore = ERR_INIT;

	if (!alive(&w->old))
		return -e->num; /* it is gone all the same: the next command goes on */
	if (w->old.st.phase != PHASE_RUNNING) {
		w->old.st.phase = PHASE_RUNNING;
		(void)state_write(w->to->store, &w->old.st, &ignore);
	}
	return give_up(w, e);
}

static int
switch_beside(struct sw *w, struct err *e)
{
	int r = make_beside(w, e);

	if (r == 0 && os_watch_start(&w->old.st.ref, w->made, &w->watch, e) < 0)
		r = -e->num;
	if (r == 0)
		r = change_commit(&w->c, &w->rec, e);
	if (r < 0)
		return give_up(w, e);
	strv_free(&w->next.record.regenerate);
	strv_copy(&w->next.record.regenerate, &w->rec.regenerate);
	w->next.record.change = w->rec.change;
	if (stop_old(w, e) < 0)
		return stays(w, e);
	r = take_over(w, e);
	if (r == 0)
		r = change_apply(&w->c, w->space, e);
	if (r == 0)
		r = start_next(w, e);
	if (r == 0) {
		measure(w);
		w->res->beside = true;
		strv_free(&w->rec.regenerate); /* done */
		return change_finish(&w->c, &w->rec, w->space, e);
	}
	w->next.hooks = false;
	(void)steps_down(&w->next, run_steps_len, &(struct err)ERR_INIT);
	return go_back(w, e);
}

/* ---- stop, then start ---- */

static int
switch_in_turn(struct sw *w, struct err *e)
{
	int r = 0;

	if (!is_volume(w->spec))
		r = change_commit(&w->c, &w->rec, e);
	if (r < 0)
		return give_up(w, e);
	/* of a volume nothing is decided before it has stopped: the mark alone says that it ran */
	if (is_volume(w->spec))
		r = change_mark_restart(w->to->store, w->spec->name, w->old.st.ref.boot, e);
	if (r < 0)
		return r;
	w->old.hooks = true;
	w->stopped_us = clock_us();
	if (steps_down(&w->old, run_steps_len, e) < 0)
		return w->has_change ? stays(w, e) : -e->num;
	if (is_volume(w->spec)) {
		r = open_space(w, e);
		if (r == 0)
			r = stage(w, e);
		if (r == 0)
			r = change_commit(&w->c, &w->rec, e);
		if (r < 0) {
			struct err why = *e;

			(void)give_up(w, e);
			close_space(w);
			w->res->back = start_again(w, w->made, e) == 0;
			*e = why;
			return -e->num;
		}
	}
	r = change_apply(&w->c, w->space, e);
	if (r == 0 && is_volume(w->spec)) {
		r = change_sync(&w->c, w->space, e);
		close_space(w);
	}
	if (r == 0)
		r = start_again(w, w->spec, e);
	if (r < 0)
		return go_back(w, e);
	measure(w);
	strv_free(&w->rec.regenerate);
	return change_finish(&w->c, &w->rec, w->space, e);
}

/* ---- one jail ---- */

static int
prepare_only(struct sw *w, struct err *e)
{
	int r = begin_change(w, e);

	if (r == 0)
		r = change_seal(&w->c, e);
	if (r == 0)
		r = change_prepare(&w->c, &w->rec, e);
	w->res->later = r == 0;
	return r < 0 ? give_up(w, e) : 0;
}

static int
switch_running(struct sw *w, struct err *e)
{
	bool beside;
	int r = spec_from_params(w->old.st.name, &w->old.st.params, w->to->store->base, &w->made, e);

	if (r < 0)
		return r;
	w->old.s = w->to->store;
	w->old.made = w->made;
	w->old.spec = w->spec;
	w->old.rep = w->rep;
	w->old.id = (struct os_id){w->to->store->tag, w->old.st.name, w->old.st.jid};
	if (w->to->no_restart)
		return prepare_only(w, e);
	r = steps_check(w->to->store, w->spec, &w->old.id, e);
	if (r == 0 && !is_volume(w->spec)) {
		r = open_space(w, e);
		if (r == 0)
			r = stage(w, e);
	}
	if (r < 0)
		return give_up(w, e);
	beside = os_jail_can_keep(w->spec, w->made) && !has_host_hooks(w->spec) && !has_host_hooks(w->made) &&
		 w->spec->exec[EXEC_COMMAND].n == 0;
	return beside ? switch_beside(w, e) : switch_in_turn(w, e);
}

int
switch_check(const struct jailspec *spec, const struct record *rec, const char *release, struct err *e)
{
	if (spec->root != ROOT_TEMPLATE || !rec->template)
		return err_set(e, EINVAL, "has no template");
	if (!streq(rec->template, spec->template))
		return err_set(e, EINVAL,
			       "its files come from template %s, not %s (change the parameter back)",
			       rec->template, spec->template);
	if (spec->release && !streq(spec->release, release))
		return err_set(e, EPERM, "is pinned to release %s (template = \"%s/%s\")", spec->release,
			       spec->template, spec->release);
	return rec->change == RECORD_SETTLED && streq(rec->release, release);
}

int
switch_jail(struct switch_to *to, const struct jailspec *spec, const struct run_report *rep,
	    struct switch_result *ret, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct sw w = {.to = to, .spec = spec, .rep = rep, .res = ret, .c = CHANGE_INIT, .space = -EBADF};
	int r = store_lock(to->store, "jail", spec->name, STEPS_LOCK_MS, &lock, e);

	*ret = (struct switch_result){.down_us = -1};
	if (r == 0)
		r = steps_settle(to->store, spec->name, &w.old.st, e);
	if (r >= 0) {
		ret->ran = r > 0;
		r = record_read(to->store, spec->name, &w.rec, e);
		if (r == 0)
			r = err_set(e, ENOENT, "there is no such jail yet (brig create %s)", spec->name);
	}
	if (r > 0)
		r = w.rec.change == RECORD_APPLY || w.rec.change == RECORD_REVERT
			? err_set(e, EBUSY,
				  "an earlier change of its files is not finished (brig status %s says why)",
				  spec->name)
		    : w.rec.change == RECORD_PREPARED /* an earlier --no-restart: this is asked for now */
			? switch_forget_prepared(to->store, spec->name, &w.rec, e)
			: 0;
	if (r == 0)
		r = switch_check(spec, &w.rec, to->release, e);
	if (r == 0)
		r = ret->ran ? switch_running(&w, e) : switch_stopped(&w, e);
	if (r == 0 && w.has_change)
		switch_count(&w.c, &ret->files); /* again: the jail may have changed something meanwhile */
	if (w.has_change && (r == 0 || ret->back))
		tell_kept(&w);
	os_watch_end(w.watch);
	change_free(&w.c);
	fd_close(w.space);
	steps_free(&w.old);
	steps_free(&w.next);
	record_free(&w.rec);
	jailspec_free(w.made);
	return r;
}
