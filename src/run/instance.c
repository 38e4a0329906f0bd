/* SPDX-License-Identifier: BSD-2-Clause */
/* How an instance of a jail begins, and ends as a thing in memory. */
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
