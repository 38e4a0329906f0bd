/* SPDX-License-Identifier: BSD-2-Clause */
/* An instance of a jail: how it begins in memory, and whether it runs. */
#include <time.h>

#include "base/name.h"
#include "run/steps.h"

void
run_warn(const struct run_caller *who, const char *label, const char *text)
{
	if (who && who->warn)
		who->warn(who->ctx, label, text);
}

void
instance_free(struct instance *i)
{
	if (i->jail)
		os_jail_close(i->jail);
	i->jail = NULL;
	state_free(&i->st);
	record_free(&i->record);
	strv_free(&i->missing);
}

void
ctx_free(struct ctx *c)
{
	os_watch_end(c->watch);
	change_free(&c->change);
	fd_close(TAKE_FD(c->space));
	instance_free(&c->old);
	instance_free(&c->next);
	record_free(&c->rec);
	jailspec_free(c->made);
}

static void
copy_params(struct params *dst, const struct params *src)
{
	for (size_t i = 0; i < src->n; i++)
		strv_copy(&params_set(dst, src->v[i].name)->values, &src->v[i].values);
}

int
instance_state(struct instance *i, struct err *e)
{
	struct state *st = &i->st;

	state_free(st);
	*st = (struct state){
	    .name = xstrdup(i->spec->name), .phase = PHASE_STARTING, .idbase = i->record.idbase};
	st->template = xstrdup_null(i->record.template);
	st->release = xstrdup_null(i->record.release);
	st->path = xstrdup(i->spec->path);
	st->hostname = xstrdup(i->spec->hostname);
	st->consolelog = console_path(i->s, i->spec);
	st->started = time(NULL);
	st->ephemeral = i->opts->ephemeral;
	copy_params(&st->params, &i->spec->params);
	return os_boot_id(st->ref.boot, e);
}

int
instance_check(const struct store *s, const struct jailspec *spec, const struct os_id *id, struct err *e)
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

/* ---- does it run? ---- */

static bool
is_running(const struct state *st)
{
	return st->phase == PHASE_RUNNING && os_jail_alive(&st->ref);
}

/* An instance whose first process is ending has no root any more: it counts as gone. */
static bool
is_ending(const struct state *st)
{
	struct err e = ERR_INIT;
	dev_t dev;
	ino_t ino;

	return os_jail_root(&st->ref, &dev, &ino, &e) == -ESRCH;
}

bool
state_is_stale(const struct state *st)
{
	return !is_running(st) || is_ending(st);
}

bool
run_is_running(const struct store *s, const char *name)
{
	struct err ignore = ERR_INIT;
	struct state st;
	bool yes;

	if (state_find(s, name, &st, &ignore) <= 0)
		return false;
	yes = os_jail_alive(&st.ref) != 0;
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
