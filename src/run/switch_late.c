/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes that are met later: after a crash, at the start of a jail that was prepared, and decisions about
 * conflicts. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/path.h"
#include "run/switch_int.h"

#define NO_RELEASE                                                     \
	{                                                              \
		.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF \
	}

/* ---- after a crash ---- */

/* The change that the record names, with its files; only while nobody else has the jailspace mounted. */
static int
load(const struct store *s, const char *jail, unsigned id, struct change *ret, int *ret_space, struct err *e)
{
	int r = change_load(s, jail, id, -EBADF, ret, e);

	if (r < 0)
		return r;
	r = space_by_where(s, jail, ret->space, ret_space, e);
	if (r == 0)
		r = change_open_nodes(ret, *ret_space, e);
	if (r < 0)
		change_free(ret);
	return r;
}

static const char *
kind_word(const struct change *c)
{
	static const char *const words[] = {"upgrade", "rollback", "merge"};

	return words[c->kind];
}

static int
forwards(struct change *c, struct record *rec, int space, struct err *e)
{
	int r = change_apply(c, space, e);

	return r < 0 ? r : change_finish(c, rec, space, e);
}

static int
backwards(struct change *c, struct record *rec, int space, struct err *e)
{
	int r = change_revert(c, space, e);

	return r < 0 ? r : change_drop(c, rec, space, e);
}

/* It was decided, and cannot be carried out: the other way. */
static int
take_back(struct change *c, struct record *rec, int space, struct err *e)
{
	struct err why = *e, second = ERR_INIT;

	if (change_commit_back(c, rec, &second) < 0 || backwards(c, rec, space, &second) < 0)
		return err_set(e, why.num, "%s; and going back: %s", why.msg, second.msg);
	*e = why;
	return -e->num;
}

static bool
same_boot(const struct change *c)
{
	struct err ignore = ERR_INIT;
	char boot[40];

	return os_boot_id(boot, &ignore) == 0 && streq(boot, c->boot);
}

/*
 * Decided: forwards, if the old instance is gone; it still runs if the command died before it stopped it, and
 * then nothing of the change has been carried out.  (A volume of a jail that runs cannot be looked into: the
 * jail runs on the new release, so everything was carried out before it started.)
 */
static int
recover_decided(const struct store *s, const char *jail, struct record *rec, const char *alive_on,
		char **ret_text, bool *ret_restart, struct err *e)
{
	_auto_(change_free) struct change c = CHANGE_INIT;
	_auto_close int space = -EBADF;
	bool forth = rec->change == RECORD_APPLY, volume, restart;
	int r = change_load(s, jail, rec->change_id, -EBADF, &c, e);

	if (r < 0)
		return r;
	volume = str_after(c.space, "image:") || str_after(c.space, "device:");
	restart = !alive_on && c.restart && same_boot(&c);
	if (restart && change_mark_restart(s, jail, c.boot, e) < 0)
		return -e->num;
	if (forth && alive_on && c.kind != CHANGE_MERGE && streq(alive_on, c.from)) {
		*ret_text = xasprintf("the %s to %s was interrupted before it was its turn: it stays on %s",
				      kind_word(&c), c.to, c.from);
		return change_drop(&c, rec, space, e);
	}
	if (!(alive_on && volume)) {
		change_free(&c);
		r = load(s, jail, rec->change_id, &c, &space, e);
		if (r < 0)
			return r;
		c.keep_mark = restart;
		r = forth ? forwards(&c, rec, space, e) : backwards(&c, rec, space, e);
	} else {
		r = change_finish(&c, rec, space, e);
	}
	if (r < 0)
		return r;
	*ret_restart = restart;
	*ret_text = forth ? xasprintf("the %s to %s was interrupted: completed", kind_word(&c), c.to)
			  : xasprintf("going back to %s was interrupted: completed", c.from);
	return 0;
}

int
switch_recover(const struct store *s, const char *jail, const char *alive_on, char **ret_text,
	       bool *ret_restart, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	char boot[40];
	int r = record_read(s, jail, &rec, e);

	*ret_text = NULL;
	*ret_restart = false;
	if (r < 0)
		return r;
	if (r == 0)
		return change_forget(s, jail, e);
	switch (rec.change) {
	case RECORD_SETTLED:
		*ret_restart = !alive_on && os_boot_id(boot, e) == 0 && change_wants_restart(s, jail, boot);
		return *ret_restart ? 0 : change_tidy(s, jail, &rec, -EBADF, e);
	case RECORD_PREPARED:
		return 0; /* waits for a start */
	case RECORD_APPLY:
	case RECORD_REVERT:
		break;
	}
	return recover_decided(s, jail, &rec, alive_on, ret_text, ret_restart, e);
}

/* ---- at a start ---- */

int
switch_forget_prepared(const struct store *s, const char *jail, struct record *rec, struct err *e)
{
	rec->change = RECORD_SETTLED;
	rec->change_id = 0;
	free(rec->change_other);
	rec->change_other = NULL;
	if (record_write(s, jail, rec, e) < 0)
		return -e->num;
	return change_tidy(s, jail, rec, -EBADF, e);
}

/* A jail never starts in the middle: what recovery could not finish (a full disk) is tried again, and must
 * succeed now. 1: it has a record. */
static int
finish_before_start(const struct store *s, const char *jail, struct record *rec, struct err *e)
{
	_auto_free char *text = NULL;
	bool restart;
	int r = record_read(s, jail, rec, e);

	if (r <= 0 || rec->change == RECORD_SETTLED || rec->change == RECORD_PREPARED)
		return r;
	r = recover_decided(s, jail, rec, NULL, &text, &restart, e);
	return r < 0 ? err_wrap(e, "an interrupted change of its files cannot be finished") : 1;
}

int
switch_at_start(const struct store *s, const struct jailspec *spec, const struct run_report *rep,
		struct change *ret, struct record *rec, struct err *e)
{
	struct switch_to to = {.store = s};
	_auto_close int space = -EBADF;
	int r = finish_before_start(s, spec->name, rec, e);

	if (r <= 0 || rec->change != RECORD_PREPARED)
		return r < 0 ? r : 0;
	r = load(s, spec->name, rec->change_id, ret, &space, e);
	if (r == -EINVAL ||
	    r == -ENOENT) { /* an intention that cannot be read: it starts as it is, and that is said */
		if (rep && rep->warn)
			rep->warn(rep->ctx, spec->label, e->msg);
		err_clear(e);
		return switch_forget_prepared(s, spec->name, rec, e);
	}
	if (r < 0)
		return r;
	to.kind = ret->kind;
	to.release = ret->to;
	to.always = &ret->always;
	to.ignore = &ret->ignore;
	r = switch_stage(&to, ret, rec, space, e);
	if (r == 0)
		r = change_seal(ret, e);
	if (r == 0)
		r = change_commit(ret, rec, e);
	if (r == 0) {
		r = change_apply(ret, space, e);
		if (r == 0)
			r = change_sync(ret, space, e);
		if (r < 0)
			r = take_back(ret, rec, space, e);
	}
	switch_to_free(&to);
	change_close_nodes(ret); /* a volume is the jail's now */
	if (r < 0)
		change_free(ret);
	return r < 0 ? r : 1;
}

int
switch_started(struct change *c, struct record *rec, bool ok, struct err *e)
{
	_auto_close int space = -EBADF;
	int r = 0;

	if (ok) {
		strv_free(&rec->regenerate);
		return change_finish(c, rec, -EBADF, e);
	}
	r = change_commit_back(c, rec, e);
	if (r == 0)
		r = space_by_where(c->store, c->jail, c->space, &space, e);
	if (r == 0)
		r = change_open_nodes(c, space, e);
	return r < 0 ? r : backwards(c, rec, space, e);
}

/* ---- conflicts ---- */

void
switch_waits_free(struct switch_waits *w)
{
	for (size_t i = 0; i < w->n; i++) {
		release_close(&w->v[i].base);
		release_close(&w->v[i].release);
		merge_item_free(&w->v[i].item);
		free(w->v[i].why);
		free(w->v[i].key);
	}
	free(w->v);
	fd_close(w->space_fd);
	*w = (struct switch_waits){.space_fd = -EBADF};
}

/* What one side has at path, as text that is equal for equal things. */
static void
add_side(struct buf *key, int top_fd, const char *path)
{
	_auto_close int fd = path_open(top_fd, path, O_RDONLY | O_NONBLOCK, 0, PATH_BENEATH);
	char digest[65] = "";
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		if (S_ISREG(st.st_mode) && (uint64_t)st.st_size <= TEXT_MAX) /* a jail's may be of any size */
			(void)change_digest(fd, (uint64_t)st.st_size, digest);
		buf_addf(key, " %o %u %u %jd %s", (unsigned)st.st_mode, st.st_uid, st.st_gid,
			 (intmax_t)st.st_size, digest);
	} else {
		buf_addf(key, " %d", fd);
	}
}

static char *
key_of(const struct switch_waiting *w, const char *path, int space)
{
	struct buf key = BUF_INIT;

	buf_adds(&key, path);
	add_side(&key, w->base.skel_fd, path);
	add_side(&key, w->release.skel_fd, path);
	add_side(&key, space, path);
	return buf_take(&key);
}

/* What the plan says of each conflict with this base; account files are looked at together. */
static int
look_at(const struct store *s, const struct record *rec, const char *base, struct switch_waits *w,
	struct err *e)
{
	static const struct merge_opts rules = {.jail = true};
	_auto_(release_close) struct release from = NO_RELEASE, to = NO_RELEASE;
	_auto_(merge_plan_free) struct merge_plan plan = MERGE_PLAN_INIT;
	_auto_strv struct strv paths = STRV_INIT;

	for (size_t i = 0; i < rec->n_conflict; i++)
		if (streq(rec->conflict[i].base, base))
			strv_add(&paths, rec->conflict[i].path);
	if (release_open(s, rec->template, base, &from, e) < 0 ||
	    release_open(s, rec->template, rec->release, &to, e) < 0 ||
	    merge_plan(&paths, from.skel_fd, to.skel_fd, w->space_fd, &rules, NULL, &plan, e) < 0)
		return -e->num;
	for (size_t i = 0; i < rec->n_conflict; i++) {
		struct switch_waiting *one = &w->v[i];

		if (!streq(rec->conflict[i].base, base))
			continue;
		if (release_open(s, rec->template, base, &one->base, e) < 0 ||
		    release_open(s, rec->template, rec->release, &one->release, e) < 0)
			return -e->num;
		for (size_t k = 0; k < plan.n; k++)
			if (plan.v[k].path && streq(plan.v[k].path, rec->conflict[i].path)) {
				one->item = plan.v[k];
				plan.v[k] = (struct merge_item){0};
				break;
			}
		if (!one->item.path) /* nothing is to be done any more */
			one->item.path = xstrdup(rec->conflict[i].path);
		one->why = xstrdup(rec->conflict[i].why);
		one->key = key_of(one, rec->conflict[i].path, w->space_fd);
	}
	return 0;
}

static int
open_files(const struct store *s, const struct jailspec *spec, bool running, int *ret, struct err *e)
{
	_auto_free char *where = space_where(spec);

	if (running && (spec->space == SPACE_IMAGE || spec->space == SPACE_DEVICE))
		return err_set(e, EBUSY, "%s is in use: stop the jail first (brig stop %s)", where,
			       spec->name);
	return space_by_where(s, spec->name, where, ret, e);
}

int
switch_conflicts(const struct store *s, const struct jailspec *spec, struct switch_waits *ret, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	struct switch_waits w = {.space_fd = -EBADF};
	int r = record_read(s, spec->name, &rec, e);

	if (r > 0 && rec.n_conflict > 0) {
		r = open_files(s, spec, run_is_running(s, spec->name), &w.space_fd, e);
		w.v = xcalloc(rec.n_conflict, sizeof(*w.v));
		for (w.n = 0; w.n < rec.n_conflict; w.n++)
			w.v[w.n] = (struct switch_waiting){.base = NO_RELEASE, .release = NO_RELEASE};
	}
	for (size_t i = 0; i < rec.n_conflict && r >= 0; i++)
		if (!w.v[i].key)
			r = look_at(s, &rec, rec.conflict[i].base, &w, e);
	if (r < 0) {
		switch_waits_free(&w);
		return r;
	}
	*ret = w;
	return 0;
}

/* What is to be made from the answered file: now, or at the next start. */
static int
regenerate_now(const struct store *s, const struct jailspec *spec, const struct state *st, struct record *rec,
	       const struct run_report *rep, struct err *e)
{
	struct ctx c = {.s = s,
			.spec = spec,
			.made = spec,
			.rep = rep,
			.id = {s->tag, spec->name, st->jid},
			.st = *st,
			.record = *rec};

	return hooks_regenerate(&c, e);
}

static int
stage_answer(struct change *c, const struct record *rec, const struct switch_answer *a, int space,
	     struct err *e)
{
	_auto_(release_close) struct release rel = NO_RELEASE;
	int r = release_open(c->store, rec->template, rec->release, &rel, e);

	for (size_t i = 0; i < rec->n_conflict; i++)
		if (!streq(rec->conflict[i].path, a->path))
			record_add_conflict(&c->leaves, rec->conflict[i].path, rec->conflict[i].base,
					    rec->conflict[i].why);
	if (r < 0)
		return r;
	if (a->content)
		r = change_stage_text(c, a->path, *a->content, space, e);
	else
		r = change_stage_theirs(c, a->path, rel.skel_fd, space, e);
	return r < 0 ? r : switch_regenerate(c, &rel, space, e);
}

static int
answer_locked(const struct store *s, const struct jailspec *spec, const struct switch_answer *a,
	      const struct state *st, const struct run_report *rep, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	_auto_(change_free) struct change c = CHANGE_INIT;
	_auto_free char *where = space_where(spec);
	_auto_close int space = -EBADF;
	int r = record_read(s, spec->name, &rec, e);

	if (r < 0)
		return r;
	if (r == 0 || !record_conflict(&rec, a->path))
		return 1;
	if (rec.change == RECORD_APPLY || rec.change == RECORD_REVERT)
		return err_set(e, EBUSY,
			       "an earlier change of its files is not finished (brig status %s says why)",
			       spec->name);
	if (a->keep) { /* no file changes */
		record_drop_conflict(&rec, a->path);
		return record_write(s, spec->name, &rec, e);
	}
	if (rec.change == RECORD_PREPARED)
		return err_set(
		    e, EBUSY,
		    "release %s is prepared for its next start, which merges anew: decide then (brig "
		    "restart %s)",
		    rec.change_other, spec->name);
	r = open_files(s, spec, st != NULL, &space, e);
	if (r == 0)
		r = change_new(s, spec->name, &rec, CHANGE_MERGE, rec.release, where, space, &c, e);
	if (r < 0)
		return r;
	r = stage_answer(&c, &rec, a, space, e);
	if (r == 0)
		r = change_seal(&c, e);
	if (r == 0)
		r = change_commit(&c, &rec, e);
	if (r < 0) {
		struct err ignore = ERR_INIT;

		(void)change_drop(&c, &rec, space, &ignore);
		return r;
	}
	if (change_apply(&c, space, e) < 0)
		return take_back(&c, &rec, space, e);
	if (st && rec.regenerate.n > 0) {
		r = regenerate_now(s, spec, st, &rec, rep, e);
		if (r == 0)
			strv_free(&rec.regenerate);
	}
	if (r < 0) { /* the file is; the next start makes what is made from it */
		(void)change_finish(&c, &rec, space, &(struct err)ERR_INIT);
		return r;
	}
	r = change_finish(&c, &rec, space, e);
	if (r == 0 && c.kept.n > 0)
		return err_set(e, EBUSY,
			       "%s: was changed while it was decided about: look again (brig merge %s)",
			       a->path, spec->name);
	return r;
}

int
switch_answer(const struct store *s, const struct jailspec *spec, const struct switch_answer *a,
	      const struct run_report *rep, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct state st = {0};
	int r = store_lock(s, "jail", spec->name, STEPS_LOCK_MS, &lock, e);

	if (r == 0)
		r = steps_settle(s, spec->name, &st, e);
	if (r >= 0)
		r = answer_locked(s, spec, a, r > 0 ? &st : NULL, rep, e);
	state_free(&st);
	return r;
}
