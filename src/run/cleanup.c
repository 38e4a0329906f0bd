/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds out whether a jail runs, and cleans up what is left of one that does not. */
#include "run/walk.h"

/* Removes what is left of an instance that is gone, whose state is st.  Frees st. */
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
	/* an earlier boot: the process is gone, and its pid may belong to another one */
	if (os_boot_id(boot, e) == 0 && !streq(boot, st->ref.boot))
		c.old.st.ref.pid = 0;
	r = walk_down(&c, &(struct walk_facts){.runs = true}, e);
	jailspec_free(made);
	return r;
}

int
jail_clean_up(const struct store *s, const char *name, struct state *ret, struct err *e)
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

/* Under the lock.  1: it runs, and c->old is it. */
int
ctx_running(struct ctx *c, const struct jailspec *spec, struct err *e)
{
	const char *name = c->next.id.name;
	int r = jail_clean_up(c->s, name, &c->old.st, e);

	if (r <= 0)
		return r;
	r = spec_from_params(c->old.st.name, &c->old.st.params, c->s->base, &c->made, e);
	if (r < 0)
		return r;
	c->old.made = c->made;
	c->old.spec = spec ? spec : c->made;
	c->old.id = (struct os_id){c->s->tag, c->old.st.name, c->old.st.jid};
	return 1;
}
