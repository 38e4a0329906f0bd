/* SPDX-License-Identifier: BSD-2-Clause */
/* Does a jail run, and what is left of one that does not? */
#include "run/walk.h"

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

bool
state_is_stale(const struct state *st)
{
	return !is_running(st) || is_ending(st);
}

/* The state of a jail that is not (any more) a running one: takes away what is left of it.  st is used up. */
static int
clean_up(const struct store *s, struct state *st, struct err *e)
{
	struct ctx c = CTX_INIT(s, NULL, st->name);
	struct jailspec *made = NULL;
	char boot[sizeof(st->ref.boot)];
	int r = spec_from_params(st->name, &st->params, s->base, &made, e);

	if (r < 0)
		return err_wrap(e, "state of jail %s", st->name);
	c.old = (struct instance){.s = s, .spec = made, .made = made, .opts = &run_plainly,
				  .id = {s->tag, st->name, st->jid}, .st = *st};
	/* after a reboot its process is gone and the pid is somebody else's */
	if (os_boot_id(boot, e) == 0 && !streq(boot, st->ref.boot))
		c.old.st.ref.pid = 0;
	r = walk_down(&c, &(struct walk_facts){.runs = true}, e);
	jailspec_free(made);
	return r;
}

int
jail_settle(const struct store *s, const char *name, struct state *ret, struct err *e)
{
	int r = state_read(s, name, ret, e);

	if (r <= 0)
		return r;
	if (!state_is_stale(ret))
		return 1;
	r = clean_up(s, ret, e);
	state_free(ret);
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

int
run_made_of(const struct store *s, const char *name, struct jailspec **ret, struct err *e)
{
	struct state st;
	int r = state_read(s, name, &st, e);

	if (r <= 0)
		return r;
	r = is_running(&st) ? spec_from_params(st.name, &st.params, s->base, ret, e) : -ESRCH;
	state_free(&st);
	return r == -ESRCH ? 0 : r < 0 ? r : 1;
}
