/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/name.h"
#include "base/path.h"
#include "os/space.h"
#include "run/files.h"
#include "run/run.h"
#include "store/template/packages.h"
#include "store/template/split.h"

/* ---- where the files are ---- */

char *
space_where(const struct jailspec *spec)
{
	switch (spec->space) {
	case SPACE_IMAGE:
		return xasprintf("image:%s", spec->space_arg);
	case SPACE_DEVICE:
		return xasprintf("device:%s", spec->space_arg);
	case SPACE_TMPFS:
		return xstrdup("tmpfs");
	case SPACE_DIR:
		break;
	}
	return xstrdup(spec->space_arg ? spec->space_arg : "");
}

static int
open_volume(const char *path, bool image, int *ret_fd, struct err *e)
{
	_auto_close int fd = -EBADF, top = -EBADF;

	if (image && path_trusted(path, e) < 0)
		return -e->num;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | (image ? O_NOFOLLOW : 0));
	if (fd < 0)
		return err_sys(e, errno, "space %s", path);
	if (os_space_mount(fd, false, &top, e) < 0)
		return -e->num;
	*ret_fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* not O_PATH: it is synced */
	return *ret_fd < 0 ? err_sys(e, errno, "space %s", path) : 0;
}

int
space_by_where(const struct store *s, const char *jail, const char *where, int *ret_fd, struct err *e)
{
	const char *path;

	*ret_fd = -EBADF;
	if (streq(where, "tmpfs"))
		return 0;
	if ((path = str_after(where, "image:")))
		return open_volume(path, true, ret_fd, e);
	if ((path = str_after(where, "device:")))
		return open_volume(path, false, ret_fd, e);
	return space_open(s, jail, *where ? where : NULL, ret_fd, e);
}

/* ---- what has to be made anew ---- */

static bool
is_product(const struct rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->n; i++) {
		_auto_free char *product =
		    rules->v[i].kind == RULE_REGENERATE ? rules_skel_path(rules, rules->v[i].path) : NULL;

		if (product && streq(product, path))
			return true;
	}
	return false;
}

static bool
touches(const struct change *c, const char *path)
{
	for (size_t i = 0; i < c->n_op; i++)
		if (streq(c->op[i].path, path))
			return true;
	return false;
}

/* A product (file of a rule `regenerate`) is never a conflict: the jail's file stays, and its program makes
 * it again. */
static void
note_product(struct change *c, const struct rule *rule, const char *product, const char *source, int space_fd)
{
	_auto_close int there = path_open(space_fd, product, O_PATH | O_NOFOLLOW, 0, PATH_BENEATH);
	bool waits = record_conflict(&c->leaves, product) != NULL;

	record_remove_conflict(&c->leaves, product);
	if (there >= 0 && (source ? touches(c, source) : waits))
		pending_add(&c->pending, rule->pending, rule->arg);
}

static void
note_products(struct change *c, const struct rules *rules, int space_fd)
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct rule *rule = &rules->v[i];
		_auto_free char *product =
		    rule->kind == RULE_REGENERATE ? rules_skel_path(rules, rule->path) : NULL;
		_auto_free char *source = product && rule->unless ? rules_skel_path(rules, rule->unless) : NULL;

		if (product)
			note_product(c, rule, product, source, space_fd);
	}
}

/* ---- hooks of the release ---- */

/* What a switch goes from and to, for the rules of the new release. */
struct hooks_want {
	const struct store *s;
	const char *template, *from;
	const struct release *to;
	const struct rules *rules;
	struct strv differ; /* paths of both trees, as in a manifest: "root/usr/bin/x", "skel/etc/x" */
	bool all;           /* there is nothing to compare with: every path may differ */
};

/* Adds what the two releases differ in, unless no rule asks for it. */
static int
find_differences(struct hooks_want *w, struct err *e)
{
	_auto_(release_close) struct release from = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	struct release_diff d = {0};
	bool asked = false;
	int r;

	for (size_t i = 0; i < w->rules->n; i++)
		asked |= w->rules->v[i].kind == RULE_HOOK && w->rules->v[i].paths.n > 0;
	if (!asked)
		return 0;
	r = release_open(w->s, w->template, w->from, &from, e);
	if (r == 0)
		r = release_diff(&from, w->to, true, &d, e);
	if (r == -ENOENT) { /* made by hand, or gone */
		err_clear(e);
		w->all = true;
		return 0;
	}
	for (size_t i = 0; r == 0 && i < d.n_paths; i++)
		strv_add(&w->differ, d.path[i].path);
	release_diff_free(&d);
	return r;
}

static bool
is_about(const struct rule *hook, const struct hooks_want *w)
{
	for (size_t i = 0; i < hook->paths.n && !w->all; i++) {
		_auto_free char *in_skel = rules_skel_path(w->rules, hook->paths.v[i]);
		_auto_free char *pattern =
		    in_skel ? path_join("skel", in_skel) : path_join("root", hook->paths.v[i]);

		for (size_t k = 0; k < w->differ.n; k++)
			if (class_pattern_covers(pattern, w->differ.v[k]))
				return true;
	}
	return w->all || hook->paths.n == 0;
}

static void
add_hooks(const struct hooks_want *w, enum pending_kind kind, struct pending *ret)
{
	for (size_t i = 0; i < w->rules->n; i++) {
		const struct rule *rule = &w->rules->v[i];

		if (rule->kind == RULE_HOOK && rule->pending == kind && is_about(rule, w))
			pending_add(ret, kind, rule->arg);
	}
}

int
switch_create_hooks(const struct release *r, struct pending *ret, struct err *e)
{
	_auto_(rules_free) struct rules rules = RULES_INIT;

	if (rules_of_release(r, &rules, e) < 0)
		return -e->num;
	add_hooks(&(struct hooks_want){.rules = &rules}, PENDING_CREATE, ret);
	return 0;
}

/*
 * The hooks that wait after a switch: those of the release that it leads to, from the one that the jail last ran on.
 * So one that it never ran on has none, and who goes back over an upgrade has none, either: an error of them must not
 * keep anybody from going back.  After a decision they are those that waited before.
 */
static int
renew_hooks(struct hooks_want *w, const struct record *rec, enum change_kind kind, struct pending *ret, struct err *e)
{
	bool is_new = ret->v[PENDING_CREATE].n > 0;
	int r = 0;

	w->from = rec->upgrade_from ? rec->upgrade_from : kind == CHANGE_UPGRADE ? rec->release : w->to->name;
	strv_free(&ret->v[PENDING_CREATE]);
	strv_free(&ret->v[PENDING_HOOK]);
	strv_free(&ret->v[PENDING_HOOK_AFTER]);
	if (is_new)
		add_hooks(w, PENDING_CREATE, ret);
	if (streq(w->from, w->to->name))
		return 0;
	r = find_differences(w, e);
	if (r == 0)
		add_hooks(w, PENDING_HOOK, ret);
	if (r == 0)
		add_hooks(w, PENDING_HOOK_AFTER, ret);
	return r;
}

int
switch_pending(struct change *c, const struct record *rec, const struct release *to, int space_fd, struct err *e)
{
	_auto_(rules_free) struct rules rules = RULES_INIT;
	struct hooks_want w = {.s = c->store, .template = c->template, .to = to, .rules = &rules};
	int r = rules_of_release(to, &rules, e);

	if (r < 0)
		return r;
	note_products(c, &rules, space_fd);
	for (size_t i = 0; i < c->n_op; i++)
		strv_addf(&w.differ, "skel/%s", c->op[i].path);
	r = renew_hooks(&w, rec, c->kind, &c->pending, e);
	strv_free(&w.differ);
	return r;
}

int
switch_hooks(struct switch_to *to, struct record *rec, struct err *e)
{
	_auto_(release_close) struct release new = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_(rules_free) struct rules rules = RULES_INIT;
	struct hooks_want w = {.s = to->store, .template = rec->template, .to = &new, .rules = &rules};
	int r = release_open(to->store, rec->template, to->release, &new, e);

	if (r == 0)
		r = rules_of_release(&new, &rules, e);
	if (r == 0)
		r = renew_hooks(&w, rec, to->kind, &rec->pending, e);
	strv_free(&w.differ);
	return r;
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

/* ---- the plan ---- */

/* What is said about a conflict of an older brig. */
static char *
no_conflict(const char *path)
{
	_auto_free char *shown = text_printable(path, 4096);

	return xasprintf("/%s: is data: what waited there for a decision is dropped, and the file stays",
			 shown);
}

int
switch_drop_data_conflicts(const struct store *s, struct record *rec, struct strv *ret_said, struct err *e)
{
	_auto_(release_close) struct release at = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_(classes_free) struct classes classes = {0};

	if (rec->n_conflict == 0)
		return 0;
	if (release_open(s, rec->template, rec->release, &at, e) < 0 ||
	    classes_of_release(&at, &classes, e) < 0)
		return -e->num;
	for (size_t i = rec->n_conflict; i-- > 0;)
		if (class_is_data(&classes, rec->conflict[i].path)) {
			strv_take(ret_said, no_conflict(rec->conflict[i].path));
			record_remove_conflict(rec, rec->conflict[i].path);
		}
	return 0;
}

void
switch_to_free(struct switch_to *to)
{
	for (size_t i = 0; i < to->n_delta; i++) {
		free(to->delta[i].from);
		free(to->delta[i].damage);
		strv_free(&to->delta[i].paths);
		merge_data_free(&to->delta[i].data);
	}
	classes_free(&to->classes);
	guards_free(&to->guards);
	free(to->delta);
	to->delta = NULL;
	to->n_delta = 0;
}

static struct merge_opts
opts_of(const struct switch_to *to)
{
	return (struct merge_opts){
	    .always = to->always, .ignore = to->ignore, .classes = &to->classes, .jail = true};
}

/* The paths at which two releases differ: worked out once for all jails.  The rules of the new release say
 * what is configuration and what is data. */
static int
classes_for(struct switch_to *to, const struct release *new, struct err *e)
{
	return to->classes.n > 0 ? 0 : classes_of_release(new, &to->classes, e);
}

static int
by_name(const void *key, const void *path)
{
	return strcmp(key, *(char *const *)path);
}

/* Is it one of the paths that a jail gets something of? */
static bool
in_delta(void *ctx, const char *path)
{
	const struct switch_delta *d = ctx;

	for (size_t i = 0; i < d->data.n; i++) {
		const char *rest = str_after(path, d->data.v[i].path);

		if (rest && (!*rest || (*rest == '/' && d->data.v[i].how == WHOLE_TREE)))
			return true;
	}
	return d->paths.n > 0 && bsearch(path, d->paths.v, d->paths.n, sizeof(char *), by_name);
}

/* Nothing of a damaged release is put into a jail.  A damaged one that the jails come from is left all the same: what
 * differs there is taken for what the jail has changed. */
static int
verify_both(struct switch_delta *d, const struct release *from, const struct release *new, struct err *e)
{
	const struct release_part part = {in_delta, d};
	struct err why = ERR_INIT;

	if (release_verify_skel(new, &part, e) < 0)
		return -e->num;
	if (release_verify_skel(from, &part, &why) < 0)
		d->damage = xstrdup(why.msg);
	return 0;
}

/* The paths at which two releases differ, and what data the new one brings: looked for once for all jails. */
static int
delta_of(struct switch_to *to, const struct release *from, const struct release *new,
	 const struct switch_delta **ret, struct err *e)
{
	struct merge_opts o = opts_of(to);
	struct switch_delta d = {0};

	for (size_t i = 0; i < to->n_delta; i++)
		if (streq(to->delta[i].from, from->name)) {
			*ret = &to->delta[i];
			return 0;
		}
	if (merge_delta(from->skel_fd, new->skel_fd, &o, &d.paths, e) < 0 ||
	    merge_data(from->skel_fd, new->skel_fd, &o, &d.data, e) < 0 ||
	    verify_both(&d, from, new, e) < 0) {
		strv_free(&d.paths);
		merge_data_free(&d.data);
		return -e->num;
	}
	d.from = xstrdup(from->name);
	to->delta = xrealloc(to->delta, to->n_delta + 1, sizeof(*to->delta));
	to->delta[to->n_delta] = d;
	*ret = &to->delta[to->n_delta++];
	return 0;
}

/* Called for each part of a merge plan: the part, the release that it merges from, the new release. */
typedef int (*part_fn)(void *ctx, struct merge_plan *part, const char *base, const struct release *new,
		       struct err *e);

/* One jail to be planned for. */
struct planner {
	struct switch_to *to;
	const struct record *rec;
	const struct release *new;
	int space_fd;
	part_fn fn;
	void *ctx;
};

static int
plan_part(const struct planner *p, const struct strv *paths, const struct release *base, struct err *e)
{
	_auto_(merge_plan_free) struct merge_plan plan = MERGE_PLAN_INIT;
	struct merge_opts o = opts_of(p->to);
	const struct merge_trees trees = {base->skel_fd, p->new->skel_fd, p->space_fd, NULL};

	if (merge_plan(paths, &trees, &o, &plan, e) < 0)
		return -e->num;
	return p->fn(p->ctx, &plan, base->name, p->new, e);
}

static bool
is_first_with_base(const struct record *rec, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (streq(rec->conflict[k].base, rec->conflict[i].base))
			return false;
	return true;
}

/* Plans the conflicts that were last merged with release base together: account files must agree. */
static int
plan_waiting(const struct planner *p, const char *base, struct err *e)
{
	_auto_(release_close) struct release from = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_strv struct strv paths = STRV_INIT;

	for (size_t i = 0; i < p->rec->n_conflict; i++) {
		const struct record_conflict *c = &p->rec->conflict[i];

		if (streq(c->base, base) && !class_is_data(&p->to->classes, c->path))
			strv_add(&paths, c->path);
	}
	if (paths.n == 0)
		return 0;
	if (release_open(p->to->store, p->rec->template, base, &from, e) < 0)
		return -e->num;
	return plan_part(p, &paths, &from, e);
}

/*
 * Plans the merge from the record's release to the new one.  The jail's file of a conflict was last merged
 * with an older release, which is the base of its merge.  A conflict of an older version of brig about what
 * is data now is not merged again.
 */
static int
plan_merge(const struct planner *p, struct err *e)
{
	const struct record *rec = p->rec;
	_auto_(release_close) struct release from = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_(merge_plan_free) struct merge_plan data = MERGE_PLAN_INIT;
	_auto_strv struct strv paths = STRV_INIT;
	const struct switch_delta *d = NULL;
	int r = release_open(p->to->store, rec->template, rec->release, &from, e);

	if (r == 0)
		r = classes_for(p->to, p->new, e);
	if (r == 0)
		r = delta_of(p->to, &from, p->new, &d, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < d->paths.n; i++)
		if (!record_conflict(rec, d->paths.v[i]))
			strv_add(&paths, d->paths.v[i]);
	r = plan_part(p, &paths, &from, e);
	for (size_t i = 0; i < rec->n_conflict && r == 0; i++)
		if (is_first_with_base(rec, i))
			r = plan_waiting(p, rec->conflict[i].base, e);
	if (r == 0)
		r = merge_data_plan(&d->data, p->new->skel_fd, p->space_fd, &data, e);
	return r == 0 ? p->fn(p->ctx, &data, from.name, p->new, e) : r;
}

/* ---- guards ---- */

/* What is asked of the guards about one jail, and what they say beside an error. */
struct asking {
	bool force;
	struct strv back;      /* directories whose copies are put back: what is in them now does not count */
	struct strv *warnings; /* said, too: what is forced, and what will be converted */
	struct strv data;      /* directories that guards are about */
};

static void
asking_free(struct asking *a)
{
	strv_free(&a->back);
	strv_free(&a->data);
}

static bool
comes_back(const struct asking *a, const char *data)
{
	for (size_t i = 0; i < a->back.n; i++)
		if (*data && path_below(data, a->back.v[i]))
			return true;
	return false;
}

static void
join_notes(const struct guard_notes *n, const struct asking *a, bool holds, struct strv *ret)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->v[i].holds == holds && !comes_back(a, n->v[i].data))
			strv_add(ret, n->v[i].text);
}

/* The directories that rollback --with-data puts back; data is empty. */
static int
find_back(const struct switch_to *to, const char *jail, const struct record *rec, struct switch_data_plan *data,
	  struct asking *a, struct err *e)
{
	int r = switch_data_back(to, jail, rec, data, e);

	for (size_t i = 0; i < data->n; i++)
		strv_add(&a->back, data->v[i].path);
	return r;
}

/* Asks the guards of the release about the jail's data.  -SWITCH_HELD: they need what it does not have, and the message
 * says what and what to do. */
static int
ask_guards(struct switch_to *to, const struct record *rec, const struct release *new, int space_fd, struct asking *a,
	   struct err *e)
{
	_auto_(release_close) struct release from = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_(guard_notes_free) struct guard_notes notes = {0};
	_auto_strv struct strv holds = STRV_INIT;
	int r = space_fd < 0 ? 0 : guards_load(&to->guards, new, e);

	if (r == 0 && space_fd >= 0)
		r = release_open(to->store, rec->template, rec->release, &from, e);
	if (r == 0 && space_fd >= 0)
		r = guards_look(&to->guards, &from, new, space_fd, &notes, e);
	if (r < 0)
		return r;
	strv_copy(&a->data, &notes.data);
	join_notes(&notes, a, true, a->force ? a->warnings : &holds);
	join_notes(&notes, a, false, a->warnings);
	if (holds.n > 0) {
		_auto_free char *text = strv_join(&holds, "; ");

		return err_set(e, SWITCH_HELD, "stays on %s: %s (--force NAME switches it all the same)",
			       rec->release, text);
	}
	return 0;
}

/* ---- what is prepared ---- */

int
switch_discard_prepared(const struct store *s, const char *jail, struct record *rec, struct err *e)
{
	rec->change = RECORD_SETTLED;
	rec->change_id = 0;
	free(rec->change_other);
	rec->change_other = NULL;
	if (record_write(s, jail, rec, e) < 0)
		return -e->num;
	/* the mark stays: it may be that of a restart */
	return change_tidy(s, jail, rec, -EBADF, true, e);
}

/* ---- staging ---- */

struct staging {
	struct change *c;
	int space_fd;
};

static int
stage_part(void *ctx, struct merge_plan *part, const char *base, const struct release *new, struct err *e)
{
	struct staging *s = ctx;

	return change_stage(s->c, part, base, new->skel_fd, s->space_fd, e);
}

int
switch_stage(struct switch_to *to, struct change *c, const struct record *rec, int space_fd, struct err *e)
{
	_auto_(release_close) struct release new = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_strv struct strv said = STRV_INIT; /* by the plan */
	_auto_(switch_data_free) struct switch_data_plan back_data = {0};
	_auto_(asking_free) struct asking ask = {.force = c->force, .warnings = &said};
	struct staging s = {c, space_fd};
	int r = release_open(to->store, rec->template, to->release, &new, e);
	bool back = false;

	if (r == 0 && c->with_data)
		r = find_back(to, c->jail, rec, &back_data, &ask, e);
	if (r == 0)
		r = ask_guards(to, rec, &new, space_fd, &ask, e);
	for (size_t i = 0; r == 0 && c->keep_guarded && i < ask.data.n; i++)
		(void)change_keep_data(&c->keep_data, ask.data.v[i]);
	if (r == 0 && c->kind == CHANGE_ROLLBACK) {
		r = change_stage_undo(c, rec, space_fd, e);
		back = r > 0;
	}
	if (r >= 0 && !back && space_fd >= 0) {
		c->kind =
		    CHANGE_UPGRADE; /* a rollback to where it has not come from is a merge like any other */
		r = plan_merge(&(struct planner){to, rec, &new, space_fd, stage_part, &s}, e);
	}
	if (r >= 0)
		r = change_check_data(&c->keep_data, space_fd, e);
	if (r == 0 && space_fd >= 0)
		r = switch_pending(c, rec, &new, space_fd, e);
	if (r == 0 && c->with_data)
		r = change_stage_copies(c, rec, space_fd, e);
	return r < 0 ? r : 0;
}

void
switch_count(const struct change *c, struct switch_counts *ret)
{
	*ret = (struct switch_counts){.conflicts = c->leaves.n_conflict, .kept = c->kept.n};
	for (size_t i = 0; i < c->n_op; i++) {
		const struct change_op *op = &c->op[i];

		if (op->skip || op->quiet || op->copy_id)
			continue;
		if (op->after.type == NODE_NONE)
			ret->removed++;
		else if (op->before.type == NODE_NONE)
			ret->added++;
		else if (op->merged)
			ret->merged++;
		else
			ret->updated++;
	}
}

/* ---- planning only ---- */

struct planning {
	struct merge_plan *all;
	const struct rules *rules;
};

static int
plan_add(void *ctx, struct merge_plan *part, const char *base _unused_, const struct release *new _unused_,
	 struct err *e _unused_)
{
	struct planning *p = ctx;

	for (size_t i = 0; i < part->n; i++) {
		if (part->v[i].act == MERGE_CONFLICT && is_product(p->rules, part->v[i].path))
			continue;
		if (part->v[i].whole == WHOLE_DIRS) /* no difference between releases */
			continue;
		GROW(p->all->v, p->all->n, p->all->cap);
		p->all->v[p->all->n++] = part->v[i];
		part->v[i] = (struct merge_item){0};
	}
	strv_copy(&p->all->warnings, &part->warnings);
	return 0;
}

static void
count_plan(const struct merge_plan *p, struct switch_counts *ret)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct merge_item *it = &p->v[i];

		ret->conflicts += it->act == MERGE_CONFLICT;
		ret->kept += it->act == MERGE_WARN;
		ret->removed += it->act == MERGE_REMOVE;
		ret->added += it->act == MERGE_ADD;
		ret->merged += it->act == MERGE_UPDATE && it->merged;
		ret->updated += it->act == MERGE_UPDATE && !it->merged;
	}
}

/* Plans a rollback from what earlier changes kept. */
static int
plan_undo(const struct planner *p, const char *jail, struct merge_plan *ret, struct switch_counts *counts,
	  struct err *e)
{
	_auto_(change_free) struct change c = CHANGE_INIT;
	int r;

	c.store = p->to->store;
	c.kind = CHANGE_ROLLBACK;
	c.jail = xstrdup(jail);
	c.template = xstrdup(p->rec->template);
	c.to = xstrdup(p->to->release);
	r = change_open(&c, e);
	if (r == 0)
		r = change_stage_undo(&c, p->rec, p->space_fd, e);
	if (r <= 0)
		return r;
	switch_count(&c, counts);
	for (size_t i = 0; i < c.n_op + c.kept.n; i++) {
		const struct change_op *op = i < c.n_op ? &c.op[i] : NULL;
		struct merge_item it = {0};

		if (op && op->quiet)
			continue;
		it.path = xstrdup(op ? op->path : c.kept.v[i - c.n_op]);
		it.act = !op                            ? MERGE_WARN
			 : op->after.type == NODE_NONE  ? MERGE_REMOVE
			 : op->before.type == NODE_NONE ? MERGE_ADD
							: MERGE_UPDATE;
		GROW(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = it;
	}
	return 1;
}

/* Conflicts about data, of an older brig: there is nothing to decide, and that is said. */
static int
tell_data_conflicts(struct switch_to *to, const struct record *rec, const struct release *new,
		    struct merge_plan *ret, struct err *e)
{
	if (rec->n_conflict == 0)
		return 0;
	if (classes_for(to, new, e) < 0)
		return -e->num;
	for (size_t i = 0; i < rec->n_conflict; i++)
		if (class_is_data(&to->classes, rec->conflict[i].path))
			strv_take(&ret->warnings, no_conflict(rec->conflict[i].path));
	return 0;
}

/* A rollback to where the jail has not come from, or what was kept of that is gone: it is a merge like any other. */
static void
tell_no_way_back(const struct switch_to *to, const struct record *rec, struct merge_plan *ret)
{
	size_t first;

	if (to->kind == CHANGE_ROLLBACK && !streq(rec->release, to->release) &&
	    !change_find_way(rec, to->release, &first))
		strv_addf(&ret->warnings,
			  "nothing is kept that leads back to release %s (undo.keep, undo.age): "
			  "its files are merged with it, as in an upgrade",
			  to->release);
}

int
switch_plan(struct switch_to *to, const struct jailspec *spec, struct merge_plan *ret,
	    struct switch_counts *counts, struct switch_data_plan *data, struct err *e)
{
	_auto_(release_close) struct release new = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_(record_free) struct record rec = {0};
	_auto_free char *where = space_where(spec);
	_auto_close int space = -EBADF;
	struct rules rules = RULES_INIT;
	struct planning all = {ret, &rules};
	struct planner p = {to, &rec, &new, -EBADF, plan_add, &all};
	_auto_(asking_free) struct asking ask = {.force = to->force && strv_has(to->force, spec->label),
						 .warnings = &ret->warnings};
	_auto_strv struct strv keep = STRV_INIT;
	int r = record_read(to->store, spec->name, &rec, e);

	*counts = (struct switch_counts){0};
	if (r <= 0)
		return r < 0 ? r : err_set(e, ENOENT, "there is no such jail yet (brig create %s)", spec->name);
	r = switch_check(spec, &rec, to->release, e);
	if (r != 0)
		return r;
	if (release_open(to->store, rec.template, to->release, &new, e) < 0 ||
	    tell_data_conflicts(to, &rec, &new, ret, e) < 0)
		return -e->num;
	tell_no_way_back(to, &rec, ret);
	if (to->with_data && find_back(to, spec->name, &rec, data, &ask, e) < 0)
		return -e->num;
	if ((spec->space == SPACE_IMAGE || spec->space == SPACE_DEVICE) &&
	    run_is_running(to->store, spec->name))
		return err_set(e, EBUSY, "%s is in use: its files are looked at when the jail has stopped",
			       where);
	r = space_by_where(to->store, spec->name, where, &space, e);
	if (r == 0)
		r = ask_guards(to, &rec, &new, space, &ask, e);
	if (r == 0 && to->keep_data)
		strv_copy(&keep, to->keep_data);
	if (r == 0 && to->keep_guarded)
		strv_copy(&keep, &ask.data);
	if (r == 0)
		r = switch_data_keep(&keep, space, data, e);
	if (r < 0 || space < 0)
		return r;
	p.space_fd = space;
	if (to->kind == CHANGE_ROLLBACK) {
		r = plan_undo(&p, spec->name, ret, counts, e);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	r = rules_of_release(&new, &rules, e);
	if (r == 0)
		r = plan_merge(&p, e);
	rules_free(&rules);
	if (r == 0)
		count_plan(ret, counts);
	return r;
}
