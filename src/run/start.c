/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting and stopping one jail. */
#include <time.h>

#include "base/name.h"
#include "run/files.h"
#include "run/walk.h"

#define OVER_TRIES 20
#define OVER_PAUSE_NS 5000000

const struct run_start_opts run_plainly;

static bool
has_something_to_run(const struct jailspec *spec, const struct run_start_opts *o)
{
	return spec->persist || spec->service.n || spec->exec[EXEC_START].n || spec->exec[EXEC_COMMAND].n ||
	       spec->exec[EXEC_POSTSTART].n || o->command;
}

/* A jail that has nothing but a command ends with it.  It may take a moment until the command is reaped. */
static bool
is_over(const struct instance *i)
{
	bool command = i->spec->exec[EXEC_COMMAND].n > 0 || i->opts->command;

	if (i->spec->persist || i->spec->service.n > 0)
		return false;
	for (int k = 0; k < (command ? OVER_TRIES : 1); k++) {
		struct err e = ERR_INIT;
		size_t n = 0;

		if (!os_jail_alive(&i->st.ref) || (os_jail_pids(&i->st.ref, NULL, &n, &e) == 0 && n <= 1))
			return true;
		(void)nanosleep(&(struct timespec){0, OVER_PAUSE_NS}, NULL);
	}
	return false;
}

/* ---- the change that waits for a start ---- */

/* The prepared change cannot be read: warns, discards it, and the jail starts on its present release. */
static int
give_up_prepared(struct ctx *c, struct err *e)
{
	run_warn(c->who, c->next.id.name, e->msg);
	err_clear(e);
	return switch_discard_prepared(c->s, c->next.id.name, &c->rec, e);
}

/* Adds the change that waits for this start: a jail never starts in the middle of one.  A committed change is
 * applied as a part of the walk, or reverted before it. */
static int
with_change(struct ctx *c, struct switch_to *to, struct walk_facts *f, struct err *e)
{
	int r = record_read(c->s, c->next.id.name, &c->rec, e);

	f->upgrade = r > 0 && c->rec.upgrade_from;
	if (r <= 0 || c->rec.change == RECORD_SETTLED)
		return r < 0 ? r : 0;
	r = ctx_load_change(c, e);
	if (r < 0)
		return c->rec.change == RECORD_PREPARED
			   ? r
			   : err_wrap(e, "an interrupted change of its files cannot be finished");
	*to = (struct switch_to){.store = c->s,
				 .kind = c->change.kind,
				 .release = c->change.to,
				 .always = &c->change.always,
				 .ignore = &c->change.ignore,
				 .keep_data = &c->change.keep_data,
				 .keep_guarded = c->change.keep_guarded,
				 .with_data = c->change.with_data,
				 .ignore_listen = c->change.ignore_listen};
	c->to = to;
	f->files = c->rec.change == RECORD_PREPARED ? FILES_NEW
		   : c->rec.change == RECORD_APPLY  ? FILES_GO_ON
						    : FILES_BACK;
	f->upgrade |= f->files == FILES_NEW && c->change.kind == CHANGE_UPGRADE;
	f->returns = f->files != FILES_BACK;
	return 0;
}

/* The jail did not start on the release that was prepared, but runs on the old one: a warning, not an
 * error.  It is one when the change could not be carried out, and waits on. */
static int
ran_back(struct ctx *c, struct err *e)
{
	_auto_free char *text = NULL;

	if (!c->back || !c->change.prepared || c->waits)
		return -e->num;
	text = xasprintf("did not start on release %s: %s", c->change.to, e->msg);
	run_warn(c->who, c->next.id.name, text);
	err_clear(e);
	return 0;
}

static int
start(struct ctx *c, struct err *e)
{
	struct walk_facts f = {.up = true, .returns = c->next.opts->before != NULL};
	struct switch_to to = {.store = c->s};
	int r = c->next.spec->root == ROOT_TEMPLATE ? with_change(c, &to, &f, e) : 0;

	if (c->rec.change == RECORD_PREPARED && (r == -EINVAL || r == -ENOENT))
		r = give_up_prepared(c, e);
	c->marked = wants_restart(c->s, c->next.id.name);
	f.finish = c->has_change || c->marked;
	f.volume = on_volume(c);
	c->old.made = c->next.opts->before ? c->next.opts->before->made : c->next.spec;
	if (r == 0)
		r = walk_go(c, &f, e);
	if (c->back && c->next.opts->ret_back)
		*c->next.opts->ret_back = true;
	switch_to_free(&to);
	if (r < 0)
		return ran_back(c, e);
	if (!is_over(&c->next))
		return 0;
	instance_free(&c->old);
	c->old = c->next;
	c->next = (struct instance){.id = c->old.id, .spec = c->old.spec};
	return walk_down(c, &(struct walk_facts){.runs = true}, e);
}

int
run_start(const struct store *s, const struct jailspec *spec, const struct run_start_opts *o,
	  const struct run_caller *who, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct ctx c = CTX_INIT(s, who, spec->name);
	struct state st = {0};
	int r;

	c.next.spec = c.next.made = spec;
	c.next.opts = o ? o : &run_plainly;
	if (!has_something_to_run(spec, c.next.opts))
		return err_set(e, EINVAL,
			       "nothing to run in it: set persist, service, exec.start or command");
	r = name_check("jail", spec->name, e);
	if (r == 0)
		r = store_lock(s, &(struct store_want){"jail", spec->name, STEPS_LOCK_MS, c.in}, &lock, e);
	if (r == 0)
		r = jail_clean_up(s, spec->name, &st, e);
	state_free(&st);
	if (r == 0)
		r = instance_check(s, spec, &c.next.id, e);
	if (r == 0)
		r = start(&c, e);
	if (r == 0 && c.next.missing.n > 0)
		r = RUN_DEGRADED;
	ctx_free(&c);
	return r;
}

/* ---- stop ---- */

int
run_stop(const struct store *s, const char *name, const struct jailspec *spec, int flags,
	 const struct run_caller *who, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct ctx c = CTX_INIT(s, who, name);
	struct walk_facts f = {.runs = true, .returns = flags & STOP_RETURNS, .mark = flags & STOP_RETURNS};
	int r = store_lock(s, &(struct store_want){"jail", name, STEPS_LOCK_MS, c.in}, &lock, e);

	if (r == 0)
		r = ctx_running(&c, spec, e);
	if (r == -EINVAL && (flags & STOP_FORCE)) {
		err_clear(e);
		r = run_stop_damaged(s, name, spec, who, e);
	} else if (r > 0) {
		c.old.hooks = !(flags & STOP_FORCE);
		r = flags & STOP_FORCE && !(flags & STOP_RETURNS) ? walk_down(&c, &f, e) : walk_go(&c, &f, e);
	} else if (r == 0) {
		r = 1;
	}
	ctx_free(&c);
	return r;
}

/* ---- plans ---- */

static void
print_walk(const struct walk_facts *f, const struct jailspec *spec, const struct pending *pending,
	   const struct strv *data, struct strv *ret)
{
	struct walk w;

	walk_make(f, &w);
	walk_print(&w, &(struct walk_about){spec, spec, pending, data}, ret);
}

/* Under the lock: to look into a change that waits tidies it, which must not meet who is staging it. */
int
run_start_plan(const struct store *s, const struct jailspec *spec, bool restart, struct strv *ret, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct ctx c = CTX_INIT(s, NULL, spec->name);
	struct walk_facts f = {.up = true};
	struct switch_to to = {.store = s};
	bool runs = run_is_running(s, spec->name);
	int r;

	if (runs && !restart)
		return 1;
	r = store_lock_try(s, "jail", spec->name, &lock, e);
	c.next.spec = c.next.made = spec;
	if (r == 0 && spec->root == ROOT_TEMPLATE)
		r = with_change(&c, &to, &f, e);
	f.finish = c.has_change || runs;
	f.volume = on_volume(&c);
	if (r == 0 && f.files == FILES_NEW)
		r = switch_hooks(&to, &c.rec, e);
	if (r == 0 && runs) /* a restart is a stop and a start */
		print_walk(&(struct walk_facts){.runs = true, .returns = true, .mark = true}, spec, &c.rec.pending,
			   NULL, ret);
	if (r == 0)
		print_walk(&f, spec, &c.rec.pending, to.keep_data, ret);
	switch_to_free(&to);
	ctx_free(&c);
	return r;
}

int
run_stop_plan(const struct store *s, const char *name, const struct jailspec *spec, struct strv *ret,
	      struct err *e)
{
	struct jailspec *made = NULL;
	int r = run_made_of(s, name, &made, e);

	if (r <= 0)
		return r < 0 ? r : 1;
	print_walk(&(struct walk_facts){.runs = true}, spec ? spec : made, &(struct pending){0}, NULL, ret);
	jailspec_free(made);
	return 0;
}
