/* SPDX-License-Identifier: BSD-2-Clause */
/* Works out what a walk does, and prints it (walk.h).  No system calls here. */
#include "run/walk.h"

/* ---- making ---- */

static void
add(struct walk *w, enum step_id step, enum way way, enum who who)
{
	w->v[w->n++] = (struct move){step, way, who, way == WAY_UP && run_steps[step].may_stop};
}

static bool
of_jail(enum step_id s)
{
	return run_steps[s].of != OF_CHANGE;
}

/* The hooks of an upgrade, and what must listen after it, belong only to walks that are one. */
static bool
left_out(enum step_id s, bool upgrade)
{
	return !upgrade && (s == STEP_UPGRADE || s == STEP_LISTENING || s == STEP_POSTUPGRADE);
}

/* Adds all steps of an instance, upwards. */
static void
up_all(struct walk *w, enum who who, bool upgrade)
{
	for (enum step_id s = 0; s < STEP_N; s++)
		if (of_jail(s) && !left_out(s, upgrade))
			add(w, s, WAY_UP, who);
}

/* Adds all steps of an instance downwards that have a way down. */
static void
down_all(struct walk *w, enum who who)
{
	for (enum step_id s = STEP_N; s-- > 0;)
		if (of_jail(s) && run_steps[s].undo)
			add(w, s, WAY_DOWN, who);
}

static void
up_of(struct walk *w, enum step_of of, bool early, bool upgrade)
{
	for (enum step_id s = 0; s < STEP_N; s++)
		if (run_steps[s].of == of && run_steps[s].early == early && !left_out(s, upgrade))
			add(w, s, WAY_UP, WHO_NEXT);
}

/* Takes the old instance down, without its network.  From the second move on interrupts are not obeyed. */
static void
down_old(struct walk *w, bool beside)
{
	size_t first = w->n;

	for (enum step_id s = STEP_N; s-- > 0;)
		if (of_jail(s) && run_steps[s].undo && (!beside || run_steps[s].of == OF_INSTANCE))
			add(w, s, WAY_DOWN, WHO_OLD);
	w->v[first].may_stop = true;
}

static void
change_ends(struct walk *w, bool files_back)
{
	if (files_back)
		add(w, STEP_FILES, WAY_DOWN, WHO_NEXT);
	add(w, STEP_STAGE, WAY_DOWN, WHO_NEXT);
}

void
walk_make(const struct walk_facts *f, struct walk *ret)
{
	bool beside = f->beside && f->runs && f->up && f->files == FILES_NEW;
	bool late = f->volume && f->runs; /* the files can be looked at only when it has stopped */

	ret->n = 0;
	if (f->mark)
		add(ret, STEP_MARK, WAY_UP, WHO_NEXT);
	if (f->before)
		add(ret, STEP_PREUPGRADE, WAY_UP, WHO_OLD);
	if (f->intend) {
		add(ret, STEP_INTEND, WAY_UP, WHO_NEXT);
		return;
	}
	if (f->files == FILES_BACK || f->files == FILES_DISCARD)
		change_ends(ret, f->files == FILES_BACK);
	if (f->files == FILES_NEW && !late)
		add(ret, STEP_STAGE, WAY_UP, WHO_NEXT);
	if (beside) {
		up_of(ret, OF_INSTANCE, true, false);
		add(ret, STEP_WATCH, WAY_UP, WHO_NEXT);
	}
	if (f->runs && f->upgrade)
		add(ret, STEP_SOCKETS, WAY_UP, WHO_NEXT);
	if (f->files == FILES_NEW && !late)
		add(ret, STEP_DECIDE, WAY_UP, WHO_NEXT);
	if (f->runs)
		down_old(ret, beside);
	if (f->files == FILES_NEW && late) {
		add(ret, STEP_STAGE, WAY_UP, WHO_NEXT);
		add(ret, STEP_DECIDE, WAY_UP, WHO_NEXT);
	}
	if (beside)
		up_of(ret, OF_PLACE, false, false);
	if (f->files == FILES_NEW || f->files == FILES_GO_ON) {
		add(ret, STEP_KEEP, WAY_UP, WHO_NEXT);
		add(ret, STEP_FILES, WAY_UP, WHO_NEXT);
	}
	if (f->anew) {
		add(ret, STEP_HOOKS, WAY_UP, WHO_OLD);
		add(ret, STEP_HOOKS_AFTER, WAY_UP, WHO_OLD);
	}
	if (f->up && beside)
		up_of(ret, OF_INSTANCE, false, f->upgrade);
	else if (f->up)
		up_all(ret, WHO_NEXT, f->upgrade);
	if (f->up && f->runs)
		add(ret, STEP_MEASURE, WAY_UP, WHO_NEXT);
	if (f->finish)
		add(ret, STEP_FINISH, WAY_UP, WHO_NEXT);
}

/* ---- going back ---- */

static bool
begun(const struct walk *w, size_t n, enum step_id step, enum way way, enum who who)
{
	for (size_t i = 0; i < n; i++)
		if (w->v[i].step == step && w->v[i].way == way && w->v[i].who == who)
			return true;
	return false;
}

/* Takes down what was made of the next instance; if that has taken the old one's place, its network, too. */
static void
next_away(const struct walk *w, size_t n, struct walk *ret)
{
	bool beside = begun(w, n, STEP_WATCH, WAY_UP, WHO_NEXT);

	if (beside && begun(w, n, STEP_CLAIM, WAY_UP, WHO_NEXT)) {
		down_all(ret, WHO_NEXT);
	} else {
		for (size_t i = n; i-- > 0;)
			if (w->v[i].way == WAY_UP && w->v[i].who == WHO_NEXT && of_jail(w->v[i].step) &&
			    run_steps[w->v[i].step].undo)
				add(ret, w->v[i].step, WAY_DOWN, WHO_NEXT);
	}
	if (beside)
		add(ret, STEP_WATCH, WAY_DOWN, WHO_NEXT);
}

void
walk_back(const struct walk *w, const struct walk_facts *f, const struct walk_failure *at, struct walk *ret)
{
	size_t n = at->at + at->begun;
	bool gone = false, files, staged, again, touched;

	ret->n = 0;
	if (n == 0 || (at->begun && run_steps[w->v[at->at].step].final))
		return;
	for (size_t i = 0; i < n; i++)
		gone |= w->v[i].way == WAY_DOWN && w->v[i].who == WHO_OLD;
	files = f->files == FILES_GO_ON || f->files == FILES_DONE || begun(w, n, STEP_FILES, WAY_UP, WHO_NEXT);
	staged = files || begun(w, n, STEP_STAGE, WAY_UP, WHO_NEXT) ||
		 begun(w, n, STEP_INTEND, WAY_UP, WHO_NEXT);
	/* a jail that was not touched keeps running, or stays down */
	touched = f->runs ? gone && !at->old_alive : !at->unwanted;
	again = f->returns && touched;

	next_away(w, n, ret);
	if (gone && !at->old_alive)
		down_all(ret, WHO_OLD);
	if (again)
		add(ret, STEP_MARK, WAY_UP, WHO_NEXT);
	if (files) {
		add(ret, STEP_DECIDE, WAY_DOWN, WHO_NEXT);
		add(ret, STEP_FILES, WAY_DOWN, WHO_NEXT);
	}
	if (staged)
		add(ret, STEP_STAGE, WAY_DOWN, WHO_NEXT);
	if (again)
		up_all(ret, WHO_OLD, false);
	else if (gone && at->old_alive)
		add(ret, STEP_RUNNING, WAY_UP, WHO_OLD);
	if (again || f->mark)
		add(ret, STEP_MARK, WAY_DOWN, WHO_NEXT);
	for (size_t i = 0; i < ret->n; i++)
		ret->v[i].may_stop = false;
}

/* ---- printing ---- */

static void
print_move(const struct move *m, const struct walk_about *a, struct strv *ret)
{
	const struct jailspec *spec = m->who == WHO_OLD ? a->old : a->next;
	const struct step *s = &run_steps[m->step];
	enum spec_exec hook = m->way == WAY_UP ? s->hook : s->unhook;
	const char *name = m->way == WAY_UP ? s->name : s->undo;
	_auto_strv struct strv about = STRV_INIT;

	if (hook != NO_HOOK)
		strv_copy(&about, &spec->exec[hook]);
	else if (m->step == STEP_KEEP && a->data)
		strv_copy(&about, a->data);
	else if (m->step == STEP_KEEP)
		return;
	else if (s->pending_end > s->pending)
		for (enum pending_kind k = s->pending; k < s->pending_end; k++)
			strv_copy(&about, &a->pending->v[k]);
	else if (s->about && m->way == WAY_UP)
		s->about(spec, &about);
	else if (m->way == WAY_DOWN && s->about) { /* a step with nothing to do has no line */
		s->about(spec, &about);
		if (about.n > 0)
			strv_add(ret, name);
		return;
	} else if (s->hook == NO_HOOK) {
		strv_add(ret, name);
	}
	for (size_t i = 0; i < about.n; i++)
		strv_addf(ret, "%s: %s", name, about.v[i]);
	if (m->step == STEP_START && m->way == WAY_DOWN)
		strv_addf(ret, "TERM to its processes, at most %d s", spec->stop_timeout);
}

void
walk_print(const struct walk *w, const struct walk_about *a, struct strv *ret)
{
	for (size_t i = 0; i < w->n; i++)
		print_move(&w->v[i], a, ret);
}
