/* SPDX-License-Identifier: BSD-2-Clause */
/* Switching one jail to another release: finds out the facts, and carries out the walk that follows from
 * them. */
#include "base/name.h"
#include "run/switch.h"
#include "run/walk.h"

static bool
has_host_hooks(const struct jailspec *s)
{
	for (enum step_id k = 0; k < STEP_N; k++) {
		const struct step *step = &run_steps[k];

		if (step->of == OF_NETWORK && ((step->hook != NO_HOOK && s->exec[step->hook].n > 0) ||
					       (step->unhook != NO_HOOK && s->exec[step->unhook].n > 0)))
			return true;
	}
	return false;
}

/* Can the new instance be made beside the old one?  Only if the host has nothing to do between the two. */
static bool
can_be_beside(const struct ctx *c)
{
	const struct jailspec *spec = c->next.spec, *made = c->made;

	return os_jail_can_keep(spec, made) && !has_host_hooks(spec) && !has_host_hooks(made) &&
	       spec->exec[EXEC_COMMAND].n == 0;
}

static int
begin_beside(struct ctx *c, struct err *e)
{
	struct instance *n = &c->next;
	int r;

	n->keep = &c->old.st.ref;
	n->keep_made = c->made;
	n->record.idbase = c->rec.idbase;
	n->record.template = xstrdup_null(c->rec.template);
	n->record.release = xstrdup(c->to->release);
	n->record.created = xstrdup_null(c->rec.created);
	r = instance_state(n, e);
	n->st.jid = n->id.jid = c->old.st.jid;
	return r;
}

static bool
is_upgrade(const struct ctx *c)
{
	return c->to->kind == CHANGE_UPGRADE && !streq(c->to->release, c->rec.release);
}

/* c->made is what a running jail was made of; NULL: it does not run. */
static struct walk_facts
facts_of(const struct ctx *c)
{
	struct walk_facts f = {.files = FILES_NEW, .finish = true, .volume = on_volume(c)};

	if (!c->made)
		return f;
	f.upgrade = f.before = is_upgrade(c);
	f.intend = c->to->no_restart;
	if (f.intend)
		return f;
	f.runs = f.up = f.returns = true;
	/* of a volume nothing is decided before it has stopped: the mark alone says that it ran */
	f.mark = f.volume;
	f.beside = can_be_beside(c);
	return f;
}

/* The two instances of a jail that is to be switched while it runs. */
static int
begin_switch(struct ctx *c, const struct walk_facts *f, struct err *e)
{
	int r;

	if (!f->runs)
		return 0;
	c->old.hooks = true;
	c->next.want_jid = c->old.st.jid;
	r = instance_check(c->s, c->next.spec, &c->old.id, e);
	return r == 0 && f->beside ? begin_beside(c, e) : r;
}

/* Reads the record; discards what an earlier --no-restart prepared, since this switch replaces it.  1: the
 * jail is on the release. */
static int
settled_record(struct ctx *c, struct err *e)
{
	const char *name = c->next.id.name;
	int r = record_read(c->s, name, &c->rec, e);

	if (r == 0)
		return err_set(e, ENOENT, "there is no such jail yet (brig create %s)", name);
	if (r > 0 && record_check_finished(&c->rec, name, e) < 0)
		return -e->num;
	if (r > 0 && c->rec.change == RECORD_PREPARED)
		r = switch_discard_prepared(c->s, name, &c->rec, e);
	return r < 0 ? r : switch_check(c->next.spec, &c->rec, c->to->release, e);
}

/* Of the three parts of all-at-once two are here; the start is run_start(). */
enum part { PART_ALL, PART_STOP, PART_FILES };

static int
switch_locked(struct ctx *c, struct walk_facts *f, enum part part, struct err *e)
{
	int r = ctx_running(c, c->next.spec, e);

	if (r < 0)
		return r;
	c->res->ran = r > 0;
	r = settled_record(c, e);
	if (r == 0) {
		*f = facts_of(c);
		r = begin_switch(c, f, e);
	}
	if (r == 0 && part == PART_STOP)
		*f = (struct walk_facts){.runs = f->runs, .before = f->before, .mark = true, .returns = true};
	if (r == 0 && part == PART_STOP && !c->res->ran)
		return 1;
	/* somebody has started it meanwhile: it is switched completely */
	if (r == 0 && part == PART_FILES && !c->res->ran) {
		f->finish = !c->to->restart;
		c->marked = c->to->restart;
	}
	if (r == 0)
		r = walk_go(c, f, e);
	c->res->back = c->back;
	c->res->beside = r == 0 && f->beside;
	c->res->later = r == 0 && f->intend;
	/* counted at the end: the jail may have changed something meanwhile */
	switch_count(&c->change, &c->res->files);
	return r;
}

static int
one_jail(struct switch_to *to, const struct jailspec *spec, enum part part, const struct run_caller *who,
   struct switch_result *ret, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct ctx c = CTX_INIT(to->store, who, spec->name);
	struct walk_facts f;
	int r;

	*ret = (struct switch_result){.down_us = -1};
	c.next.spec = c.next.made = spec;
	c.to = to;
	c.res = ret;
	r = store_lock(to->store, &(struct store_want){"jail", spec->name, STEPS_LOCK_MS, c.in}, &lock, e);
	if (r == 0)
		r = switch_locked(&c, &f, part, e);
	ctx_free(&c);
	return r;
}

int
switch_jail(struct switch_to *to, const struct jailspec *spec, const struct run_caller *who,
	    struct switch_result *ret, struct err *e)
{
	return one_jail(to, spec, PART_ALL, who, ret, e);
}

int
switch_stop_jail(struct switch_to *to, const struct jailspec *spec, const struct run_caller *who,
		 struct switch_result *ret, struct err *e)
{
	return one_jail(to, spec, PART_STOP, who, ret, e);
}

int
switch_stopped_jail(struct switch_to *to, const struct jailspec *spec, const struct run_caller *who,
		    struct switch_result *ret, struct err *e)
{
	return one_jail(to, spec, PART_FILES, who, ret, e);
}

int
switch_walk(struct switch_to *to, const struct jailspec *spec, struct strv *ret, struct err *e)
{
	struct ctx c = CTX_INIT(to->store, NULL, spec->name);
	struct walk_facts f;
	struct walk w;
	int r = run_made_of(to->store, spec->name, &c.made, e);

	if (r >= 0)
		r = record_read(to->store, spec->name, &c.rec, e);
	c.next.spec = c.next.made = spec;
	c.to = to;
	if (r > 0 && switch_hooks(to, &c.rec, e) < 0)
		r = -e->num;
	if (r > 0) {
		f = facts_of(&c);
		walk_make(&f, &w);
		walk_print(&w, &(struct walk_about){spec, spec, &c.rec.pending, to->keep_data}, ret);
	}
	ctx_free(&c);
	return r < 0 ? r : 0;
}
