/* SPDX-License-Identifier: BSD-2-Clause */
/* Conflicts: what waits for a decision, and carrying out a decision. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/path.h"
#include "run/answer.h"
#include "run/files.h"
#include "run/walk.h"

#define NO_RELEASE                                                     \
	{                                                              \
		.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF \
	}

/* ---- what waits ---- */

void
switch_waits_free(struct switch_waits *w)
{
	for (size_t i = 0; i < w->n; i++) {
		free(w->v[i].base);
		free(w->v[i].release);
		merge_item_free(&w->v[i].item);
		free(w->v[i].why);
		free(w->v[i].key);
	}
	free(w->v);
	free(w->template);
	*w = (struct switch_waits){0};
}

/* Describes what one of the three trees has at path, so that equal things have equal texts. */
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
key_of(const struct merge_trees *t, const char *path)
{
	struct buf key = BUF_INIT;

	buf_adds(&key, path);
	add_side(&key, t->old_fd, path);
	add_side(&key, t->new_fd, path);
	add_side(&key, t->dest_fd, path);
	return buf_take(&key);
}

/* Merges the conflicts that have this base again, together: account files must agree with each other. */
static int
look_at(const struct store *s, const struct record *rec, const char *base, int space, struct switch_waits *w,
	struct err *e)
{
	static const struct merge_opts rules = {.jail = true};
	_auto_(release_close) struct release from = NO_RELEASE, to = NO_RELEASE;
	_auto_(merge_plan_free) struct merge_plan plan = MERGE_PLAN_INIT;
	_auto_strv struct strv paths = STRV_INIT;
	struct merge_trees trees;

	for (size_t i = 0; i < rec->n_conflict; i++)
		if (streq(rec->conflict[i].base, base))
			strv_add(&paths, rec->conflict[i].path);
	if (release_open(s, rec->template, base, &from, e) < 0 ||
	    release_open(s, rec->template, rec->release, &to, e) < 0)
		return -e->num;
	trees = (struct merge_trees){from.skel_fd, to.skel_fd, space, NULL};
	if (merge_plan(&paths, &trees, &rules, &plan, e) < 0)
		return -e->num;
	for (size_t i = 0; i < rec->n_conflict; i++) {
		struct switch_waiting *one = &w->v[i];

		if (!streq(rec->conflict[i].base, base))
			continue;
		one->base = xstrdup(base);
		one->release = xstrdup(rec->release);
		for (size_t k = 0; k < plan.n; k++)
			if (plan.v[k].path && streq(plan.v[k].path, rec->conflict[i].path)) {
				one->item = plan.v[k];
				plan.v[k] = (struct merge_item){0};
				break;
			}
		if (!one->item.path) /* nothing is left to be merged */
			one->item.path = xstrdup(rec->conflict[i].path);
		one->why = xstrdup(rec->conflict[i].why);
		one->key = key_of(&trees, rec->conflict[i].path);
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
	_auto_close int space = -EBADF;
	struct switch_waits w = {0};
	_auto_strv struct strv said = STRV_INIT; /* when it is decided, or at the next upgrade */
	int r = record_read(s, spec->name, &rec, e);

	if (r > 0)
		r = switch_drop_data_conflicts(s, &rec, &said, e);
	if (r >= 0 && rec.n_conflict > 0) {
		r = open_files(s, spec, run_is_running(s, spec->name), &space, e);
		w.v = xcalloc(rec.n_conflict, sizeof(*w.v));
		w.n = rec.n_conflict;
		w.template = xstrdup(rec.template);
	}
	for (size_t i = 0; i < rec.n_conflict && r >= 0; i++)
		if (!w.v[i].key)
			r = look_at(s, &rec, rec.conflict[i].base, space, &w, e);
	if (r < 0) {
		switch_waits_free(&w);
		return r;
	}
	*ret = w;
	return 0;
}

void
switch_sides_close(struct switch_sides *sides)
{
	release_close(&sides->base);
	release_close(&sides->release);
	fd_close(sides->space_fd);
	*sides = (struct switch_sides)SWITCH_SIDES_INIT;
}

int
switch_sides_open(const struct store *s, const struct jailspec *spec, const struct switch_waits *of,
		  const struct switch_waiting *w, struct switch_sides *ret, struct err *e)
{
	struct switch_sides sides = SWITCH_SIDES_INIT;

	if (release_open(s, of->template, w->base, &sides.base, e) < 0 ||
	    release_open(s, of->template, w->release, &sides.release, e) < 0 ||
	    open_files(s, spec, run_is_running(s, spec->name), &sides.space_fd, e) < 0) {
		switch_sides_close(&sides);
		return -e->num;
	}
	*ret = sides;
	return 0;
}

/* ---- a decision ---- */

static bool
is_path(void *ctx, const char *path)
{
	return streq(path, ctx);
}

/* The release's file takes the place of the jail's. */
static int
stage_theirs(struct ctx *c, const char *path, const struct release *rel, struct err *e)
{
	if (release_verify_skel(rel, &(struct release_part){is_path, (void *)(uintptr_t)path}, e) < 0)
		return -e->num;
	return change_stage_theirs(&c->change, path, rel->skel_fd, c->space, e);
}

/* ctx->stage for a decision: stages the file, and removes the conflict. */
static int
stage_answer(struct ctx *c, struct err *e)
{
	const struct switch_answer *a = c->stage_arg;
	_auto_(release_close) struct release rel = NO_RELEASE;
	int r = release_open(c->s, c->rec.template, c->rec.release, &rel, e);

	for (size_t i = 0; i < c->rec.n_conflict; i++)
		if (!streq(c->rec.conflict[i].path, a->path))
			record_add_conflict(&c->change.leaves, c->rec.conflict[i].path, c->rec.conflict[i].base,
					    c->rec.conflict[i].why);
	if (r < 0)
		return r;
	if (a->content)
		r = change_stage_text(&c->change, a->path, *a->content, c->space, e);
	else
		r = stage_theirs(c, a->path, &rel, e);
	return r < 0 ? r : switch_pending(&c->change, &c->rec, &rel, c->space, e);
}

static int
may_answer(struct ctx *c, const struct switch_answer *a, struct err *e)
{
	const char *name = c->next.id.name;

	if (record_check_finished(&c->rec, name, e) < 0)
		return -e->num;
	if (c->rec.change == RECORD_PREPARED && !a->keep)
		return err_set(
		    e, EBUSY,
		    "release %s is prepared for its next start, which merges anew: decide then (brig "
		    "restart %s)",
		    c->rec.change_other, name);
	return 0;
}

static int
answer(struct ctx *c, const struct switch_answer *a, struct err *e)
{
	struct switch_to to = {.store = c->s, .kind = CHANGE_MERGE, .release = c->rec.release};
	struct walk_facts f = {.files = FILES_NEW, .finish = true};
	bool runs = c->old.st.name != NULL;
	_auto_free char *path = xstrdup(a->path);
	int r = open_files(c->s, c->next.spec, runs, &c->space, e);

	if (r < 0)
		return r;
	f.anew = runs;
	f.volume = on_volume(c);
	c->to = &to;
	c->stage = stage_answer;
	c->stage_arg = a;
	r = walk_go(c, &f, e);
	if (r == 0 && c->change.kept.n > 0)
		return err_set(e, EBUSY, "%s: changed since it was shown: look again (brig merge %s)", path,
			       c->next.id.name);
	return r;
}

static int
drop_data_conflicts(struct ctx *c, const struct run_caller *who, struct err *e)
{
	_auto_strv struct strv said = STRV_INIT;

	if (c->rec.change != RECORD_SETTLED)
		return 0;
	if (switch_drop_data_conflicts(c->s, &c->rec, &said, e) < 0)
		return -e->num;
	for (size_t i = 0; i < said.n; i++)
		run_warn(who, c->next.spec->label, said.v[i]);
	return said.n > 0 ? record_write(c->s, c->next.spec->name, &c->rec, e) : 0;
}

int
switch_answer(const struct store *s, const struct jailspec *spec, const struct switch_answer *a,
	      const struct run_caller *who, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct ctx c = CTX_INIT(s, who, spec->name);
	int r = store_lock(s, &(struct store_want){"jail", spec->name, STEPS_LOCK_MS, c.in}, &lock, e);

	c.next.spec = c.next.made = spec;
	if (r == 0)
		r = ctx_running(&c, spec, e);
	if (r >= 0)
		r = record_read(s, spec->name, &c.rec, e);
	if (r > 0 && drop_data_conflicts(&c, who, e) < 0)
		r = -e->num;
	if (r >= 0)
		r = r == 0 || !record_conflict(&c.rec, a->path) ? 1 : may_answer(&c, a, e);
	if (r == 0 && a->keep) { /* only the record changes */
		record_remove_conflict(&c.rec, a->path);
		r = record_write(s, spec->name, &c.rec, e);
	} else if (r == 0) {
		r = answer(&c, a, e);
	}
	ctx_free(&c);
	return r;
}
