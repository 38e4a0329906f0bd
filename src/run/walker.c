/* SPDX-License-Identifier: BSD-2-Clause */
/* Carrying out a walk, and going back (walk.h). */
#include "run/walk.h"

static int
make_move(struct ctx *c, const struct move *m, const struct interrupt *in, struct err *e)
{
	const struct step *s = &run_steps[m->step];
	struct instance *i = m->who == WHO_OLD ? &c->old : &c->next;
	int r = 0;

	i->in = in;
	interrupt_waits_for(m->way == WAY_UP ? s->name : s->undo, i->id.name);
	if (m->way == WAY_UP && s->up)
		r = s->up(c, i, e);
	else if (m->way == WAY_UP && s->hook != NO_HOOK)
		r = hooks_run(i, s->hook, e);
	else if (m->way == WAY_DOWN && s->down)
		r = s->down(c, i, e);
	else if (m->way == WAY_DOWN && s->unhook != NO_HOOK && i->hooks)
		r = hooks_run(i, s->unhook, e);
	i->in = NULL;
	return r < 0 ? r : 0;
}

/* Prepares to start the old instance again, as it was made. */
static void
begin_again(struct ctx *c)
{
	int jid = c->old.st.jid;

	instance_free(&c->old);
	c->old = (struct instance){.s = c->s,
				   .spec = c->old.made,
				   .made = c->old.made,
				   .opts = &run_plainly,
				   .who = c->who,
				   .id = {c->s->tag, c->old.made->name, jid},
				   .want_jid = jid};
}

/* Takes down everything of an instance but its state.  Returns the first error. */
static int
clean_up(struct ctx *c, enum who who, struct err *e)
{
	struct err first = ERR_INIT;

	for (enum step_id s = STEP_N; s-- > 0;) {
		struct err one = ERR_INIT;

		if (run_steps[s].of != OF_CHANGE && run_steps[s].undo && s != STEP_CLAIM &&
		    make_move(c, &(struct move){s, WAY_DOWN, who, false}, NULL, &one) < 0 && !first.num)
			first = one;
	}
	if (!first.num)
		return 0;
	*e = first;
	return -e->num;
}

/* Takes down an instance that could not be made completely. */
static void
unmake(struct ctx *c, enum who who)
{
	struct err ignore = ERR_INIT;

	if (clean_up(c, who, &ignore) == 0 || clean_up(c, who, &ignore) == 0)
		(void)make_move(c, &(struct move){STEP_CLAIM, WAY_DOWN, who, false}, NULL, &ignore);
}

/*
 * Makes the moves of a way back; nothing interrupts it. Moves that take down parts of a jail are all tried.
 * If one fails, all of them are tried again before the state is removed; if that fails, too, the state stays,
 * since only it says what is still there.  The first error is returned. A change whose files could not be put
 * back, or an instance that could not be made, ends the walk: the mark is still there, and the next command
 * goes on.  A change that could not be discarded is left to the next command as well, but is no error of
 * going back.
 */
static int
through(struct ctx *c, const struct walk *w, bool back, struct err *e)
{
	struct err first = ERR_INIT, left[2] = {ERR_INIT, ERR_INIT}; /* of the next and the old instance */
	bool unsettled = false;

	c->old.hooks = c->next.hooks = false;
	for (size_t i = 0; i < w->n; i++) {
		const struct move *m = &w->v[i];
		struct err one = ERR_INIT;
		bool change = run_steps[m->step].of == OF_CHANGE;

		if (m->way == WAY_UP && m->who == WHO_OLD && m->step == STEP_PREPARE)
			begin_again(c);
		if (m->step == STEP_MARK && m->way == WAY_DOWN && unsettled)
			continue;
		if (m->step == STEP_CLAIM && m->way == WAY_DOWN && left[m->who].num) {
			err_clear(&left[m->who]);
			if (clean_up(c, m->who, &left[m->who]) < 0)
				continue;
		}
		if (make_move(c, m, NULL, &one) == 0)
			continue;
		if (m->way == WAY_DOWN && !change && m->step != STEP_CLAIM) {
			left[m->who] = left[m->who].num ? left[m->who] : one;
			continue;
		}
		if (!first.num && !(back && m->step == STEP_STAGE))
			first = one;
		if (m->step == STEP_MARK && m->way == WAY_UP) /* only a kill before the end would need it */
			continue;
		if (m->step == STEP_STAGE && m->way == WAY_DOWN) {
			unsettled = true; /* the files are back: the jail can run */
			continue;
		}
		if (m->way == WAY_UP && !change)
			unmake(c, m->who);
		if (m->way == WAY_UP || change)
			break;
	}
	for (size_t i = 0; i < ARRAY_LEN(left) && !first.num; i++)
		first = left[i];
	if (!first.num)
		return 0;
	*e = first;
	return -e->num;
}

static bool
has_again(const struct walk *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].step == STEP_CLAIM && w->v[i].way == WAY_UP)
			return true;
	return false;
}

static int
go_back(struct ctx *c, const struct walk *w, const struct walk_facts *f, struct walk_failure at, struct err *e)
{
	_auto_free char *from = xstrdup_null(c->change.from);
	struct err why = *e, second = ERR_INIT;
	struct walk back;
	int r;

	at.old_alive = f->runs && os_jail_alive(&c->old.st.ref);
	at.unwanted = why.num == EINTR && !f->runs && !c->marked;
	/* what could not be staged or put in place says nothing about the release: one that was prepared waits on */
	c->waits = at.unwanted || (at.begun && run_steps[w->v[at.at].step].of == OF_CHANGE);
	walk_back(w, f, &at, &back);
	r = through(c, &back, true, &second);
	*e = why;
	if (has_again(&back)) {
		c->back = r == 0;
		if (r < 0)
			return err_set(e, why.num, "%s; going back%s%s failed, too: %s", why.msg,
				       from ? " to " : "", from ? from : "", second.msg);
		return from ? err_set(e, why.num, "%s: back on release %s, as it was", why.msg, from)
			    : err_set(e, why.num, "%s: runs again as it was", why.msg);
	}
	return r < 0 ? err_set(e, why.num, "%s; and undoing it: %s", why.msg, second.msg) : -e->num;
}

int
walk_go(struct ctx *c, const struct walk_facts *f, struct err *e)
{
	struct walk w;

	walk_make(f, &w);
	for (size_t i = 0; i < w.n; i++) {
		const struct move *m = &w.v[i];
		const struct step *s = &run_steps[m->step];
		int r = m->may_stop ? interrupt_check(c->in, m->way == WAY_UP ? s->name : s->undo, e) : 0;

		if (r < 0)
			return go_back(c, &w, f, (struct walk_failure){.at = i}, e);
		r = make_move(c, m, c->in, e);
		if (r < 0)
			return go_back(c, &w, f, (struct walk_failure){.at = i, .begun = true}, e);
	}
	return 0;
}

int
walk_down(struct ctx *c, const struct walk_facts *f, struct err *e)
{
	struct walk w;

	walk_make(f, &w);
	return through(c, &w, false, e);
}
