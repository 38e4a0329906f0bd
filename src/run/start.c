/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting, stopping and recovering one jail: walks over the table of steps.c. */
#include <time.h>

#include "base/name.h"
#include "run/steps.h"
#include "run/switch.h"

#define OVER_TRIES 20
#define OVER_PAUSE_NS 5000000

void
steps_free(struct ctx *c)
{
	if (c->jail)
		os_jail_close(c->jail);
	state_free(&c->st);
	record_free(&c->record);
}

/* Without hooks every step is tried and the first error kept; with hooks a failing one ends the walk: the
 * jail is not removed then (jail(8)). */
int
steps_down(struct ctx *c, size_t n, struct err *e)
{
	struct err first = ERR_INIT;

	while (n-- > 0) {
		struct err one = ERR_INIT;

		if (!run_steps[n].down || run_steps[n].down(c, &one) >= 0)
			continue;
		if (c->hooks) {
			*e = one;
			return -e->num;
		}
		if (!first.num)
			first = one;
	}
	if (!first.num)
		return 0;
	*e = first;
	return -e->num;
}

int
steps_up(struct ctx *c, struct err *e)
{
	struct err undo = ERR_INIT;

	for (size_t i = 0; i < run_steps_len; i++) {
		int r = run_interrupted ? err_set(e, EINTR, "interrupted before %s", run_steps[i].name)
					: run_steps[i].up(c, e);

		if (r >= 0)
			continue;
		/* the failing step too: it may have done a part */
		if (c->st.name && steps_down(c, i + 1, &undo) < 0 && c->rep && c->rep->warn)
			c->rep->warn(c->rep->ctx, c->spec->label, undo.msg);
		return r;
	}
	return 0;
}

/* The state of a jail that is not (any more) a running one: takes away what is left of it. */
static int
clean_up(const struct store *s, struct state *st, struct err *e)
{
	struct jailspec *made = NULL;
	struct ctx c = {.s = s, .id = {s->tag, st->name, st->jid}};
	char boot[sizeof(st->ref.boot)];
	int r = spec_from_params(st->name, &st->params, s->base, &made, e);

	if (r < 0)
		return err_wrap(e, "state of jail %s", st->name);
	c.spec = c.made = made;
	c.st = *st;
	/* after a reboot its process is gone and the pid is somebody else's */
	if (os_boot_id(boot, e) == 0 && !streq(boot, st->ref.boot))
		c.st.ref.pid = 0;
	r = steps_down(&c, run_steps_len, e);
	jailspec_free(made);
	return r;
}

static bool
is_running(const struct state *st)
{
	return st->phase == PHASE_RUNNING && os_jail_alive(&st->ref);
}

/* One whose first process is ending has no root any more: it counts as gone already. */
static bool
is_ending(const struct state *st)
{
	struct err e = ERR_INIT;
	dev_t dev;
	ino_t ino;

	return os_jail_root(&st->ref, &dev, &ino, &e) < 0;
}

int
steps_settle(const struct store *s, const char *name, struct state *ret, struct err *e)
{
	int r = state_read(s, name, ret, e);

	if (r <= 0)
		return r;
	if (is_running(ret) && !is_ending(ret))
		return 1;
	r = clean_up(s, ret, e);
	state_free(ret);
	return r;
}

int
steps_check(const struct store *s, const struct jailspec *spec, const struct os_id *id, struct err *e)
{
	int r = name_check("jail", spec->name, e);

	if (r == 0 && spec->root == ROOT_TEMPLATE && store_reserved(s, spec->name))
		r = err_set(e, EINVAL, "the name is reserved (a template or a skeleton is called so)");
	if (r == 0)
		r = os_ready(e);
	if (r == 0)
		r = os_limit_check(spec, e);
	if (r == 0)
		r = os_net_check(id, spec, e);
	return r;
}

bool
run_is_running(const struct store *s, const char *name)
{
	struct err ignore = ERR_INIT;
	struct state st;
	bool yes;

	if (state_find(s, name, &st, &ignore) <= 0)
		return false;
	yes = os_jail_alive(&st.ref) == 1;
	state_free(&st);
	return yes;
}

static bool
has_something_to_run(const struct jailspec *spec, const struct run_start_opts *o)
{
	return spec->persist || spec->service.n || spec->exec[EXEC_START].n || spec->exec[EXEC_COMMAND].n ||
	       spec->exec[EXEC_POSTSTART].n || (o && o->command);
}

/* A command was all that the jail was for: it goes with it.  What the command itself was may take a moment to
 * be reaped. */
static bool
is_over(const struct ctx *c)
{
	bool command = c->spec->exec[EXEC_COMMAND].n > 0 || (c->opts && c->opts->command);

	if (c->spec->persist || c->spec->service.n > 0)
		return false;
	for (int i = 0; i < (command ? OVER_TRIES : 1); i++) {
		struct err e = ERR_INIT;
		size_t n = 0;

		if (!os_jail_alive(&c->st.ref) || (os_jail_pids(&c->st.ref, NULL, &n, &e) == 0 && n <= 1))
			return true;
		(void)nanosleep(&(struct timespec){0, OVER_PAUSE_NS}, NULL);
	}
	return false;
}

/* An upgrade that waited for this start: if the jail does not come up on the new release, it is back on the
 * old one, and is started on that. */
static int
start_prepared(struct ctx *c, struct change *change, struct record *rec, struct err *e)
{
	struct err why = ERR_INIT, second = ERR_INIT;
	_auto_free char *text = NULL;

	if (steps_up(c, &why) == 0)
		return switch_started(change, rec, true, e);
	if (switch_started(change, rec, false, &second) < 0)
		return err_set(e, why.num, "%s; and going back to %s: %s", why.msg, change->from, second.msg);
	text = xasprintf("did not start on release %s: %s: back on %s", change->to, why.msg, change->from);
	if (c->rep && c->rep->warn)
		c->rep->warn(c->rep->ctx, c->spec->label, text);
	steps_free(c);
	c->jail = NULL;
	return steps_up(c, e);
}

/* With the change that waits for it, if one does. */
static int
start_with_change(struct ctx *c, struct err *e)
{
	_auto_(change_free) struct change change = CHANGE_INIT;
	_auto_(record_free) struct record rec = {0};
	int r = c->spec->root == ROOT_TEMPLATE ? switch_at_start(c->s, c->spec, c->rep, &change, &rec, e) : 0;

	if (r > 0)
		return start_prepared(c, &change, &rec, e);
	return r < 0 ? r : steps_up(c, e);
}

int
run_start(const struct store *s, const struct jailspec *spec, const struct run_start_opts *o,
	  const struct run_report *rep, struct err *e)
{
	static const struct run_start_opts plain;
	_auto_close int lock = -EBADF;
	struct ctx c = {.s = s, .spec = spec, .made = spec, .opts = o ? o : &plain, .rep = rep};
	int r;

	c.id = (struct os_id){s->tag, spec->name, 0};
	if (!has_something_to_run(spec, o))
		return err_set(e, EINVAL,
			       "nothing to run in it: set persist, service, exec.start or command");
	r = name_check("jail", spec->name, e);
	if (r == 0)
		r = store_lock(s, "jail", spec->name, STEPS_LOCK_MS, &lock, e);
	if (r == 0)
		r = steps_settle(s, spec->name, &c.st, e);
	if (r != 0) {
		state_free(&c.st);
		return r;
	}
	r = steps_check(s, spec, &c.id, e);
	if (r == 0)
		r = start_with_change(&c, e);
	if (r == 0 && is_over(&c))
		r = steps_down(&c, run_steps_len, e);
	steps_free(&c);
	return r;
}

int
run_stop(const struct store *s, const char *name, const struct jailspec *spec, int flags,
	 const struct run_report *rep, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct jailspec *made = NULL;
	struct ctx c = {.s = s, .rep = rep, .hooks = !(flags & STOP_FORCE)};
	int r = store_lock(s, "jail", name, STEPS_LOCK_MS, &lock, e);

	if (r < 0)
		return r;
	r = steps_settle(s, name, &c.st, e);
	if (r <= 0)
		return r < 0 ? r : 1;
	c.id = (struct os_id){s->tag, c.st.name, c.st.jid};
	r = spec_from_params(c.st.name, &c.st.params, s->base, &made, e);
	if (r == 0) {
		c.made = made;
		c.spec = spec ? spec : made;
		r = steps_down(&c, run_steps_len, e);
	}
	steps_free(&c);
	jailspec_free(made);
	return r;
}

/* One that another command holds is left to it. */
static int
recover_one(const struct store *s, const char *name, struct run_recovered *ret, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct state st = {0};
	int r = store_lock(s, "jail", name, 0, &lock, e);

	if (r == -EBUSY) {
		err_clear(e);
		return 0;
	}
	if (r == 0) /* who had it when the states were listed may have ended its stop meanwhile */
		r = state_read(s, name, &st, e);
	if (r <= 0)
		return r;
	state_free(&st);
	r = steps_settle(s, name, &st, e);
	if (r == 0)
		strv_add(&ret->cleaned, name);
	state_free(&st);
	return r < 0 ? r : 0;
}

/* -EBUSY: an upgrade of its template is under way, which stops and starts it as it wants to. */
static int
lock_against_upgrades(const struct store *s, const char *name, int *ret_lock, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	int r = record_read(s, name, &rec, e);

	return r <= 0 || !rec.template ? r : store_lock(s, "upgrade", rec.template, 0, ret_lock, e);
}

/* A change of release or files that was interrupted.  The release that a running jail is on is read from its
 * mount. */
static int
recover_change(const struct store *s, const char *name, struct run_recovered *ret, struct err *e)
{
	_auto_close int lock = -EBADF, upgrade = -EBADF;
	_auto_free char *template = NULL, *release = NULL, *text = NULL;
	struct state st = {0};
	bool restart = false;
	dev_t dev;
	ino_t ino;
	int r = lock_against_upgrades(s, name, &upgrade, e);

	if (r == 0)
		r = store_lock(s, "jail", name, 0, &lock, e);
	if (r == -EBUSY) {
		err_clear(e);
		return 0;
	}
	if (r == 0)
		r = steps_settle(s, name, &st, e);
	if (r > 0 && os_jail_root(&st.ref, &dev, &ino, e) == 0)
		r = release_by_inode(s, dev, ino, &template, &release, e);
	state_free(&st);
	if (r >= 0)
		r = switch_recover(s, name, release, &text, &restart, e);
	if (r == 0 && text)
		strv_addf(&ret->said, "%s: %s", name, text);
	if (r == 0 && restart)
		strv_add(&ret->restart, name);
	return r;
}

static void
failed(struct run_recovered *ret, const char *what, const char *jail, const struct err *e)
{
	strv_addf(&ret->failed, "%s jail %s: %s", what, jail, e->msg);
}

int
run_recover(const struct store *s, struct run_recovered *ret, struct err *e)
{
	_auto_strv struct strv changes = STRV_INIT;
	struct state *list;
	size_t n;
	int r = state_list_brief(s, &list, &n, e);

	if (r == 0)
		r = state_tidy(s, list, n, e);
	for (size_t i = 0; i < n; i++) {
		struct err one = ERR_INIT;

		if ((!is_running(&list[i]) || is_ending(&list[i])) &&
		    recover_one(s, list[i].name, ret, &one) < 0)
			failed(ret, "cleaning up after", list[i].name, &one);
		state_free(&list[i]);
	}
	free(list);
	if (r == 0)
		r = record_tidy(s, e);
	if (r == 0)
		r = run_tidy_ephemeral(s, e);
	if (r == 0)
		r = change_unfinished(s, &changes, e);
	for (size_t i = 0; i < changes.n && r == 0; i++) {
		struct err one = ERR_INIT;

		if (recover_change(s, changes.v[i], ret, &one) < 0)
			failed(ret, "going on with", changes.v[i], &one);
	}
	return r < 0 ? r : space_tidy(s, e);
}
