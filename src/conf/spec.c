/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/spec.h"

struct param *
params_get(const struct params *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (streq(p->v[i].name, name))
			return &p->v[i];
	return NULL;
}

const char *
params_value(const struct params *p, const char *name)
{
	const struct param *one = params_get(p, name);

	return one && one->values.n > 0 ? one->values.v[one->values.n - 1] : NULL;
}

struct param *
params_set(struct params *p, const char *name)
{
	struct param *one = params_get(p, name);

	if (one) {
		strv_free(&one->values);
		return one;
	}
	GROW(p->v, p->n, p->cap);
	one = &p->v[p->n++];
	*one = (struct param){.name = xstrdup(name)};
	return one;
}

void
params_remove(struct params *p, const char *name)
{
	struct param *one = params_get(p, name);

	if (!one)
		return;
	free(one->name);
	strv_free(&one->values);
	p->n--;
	memmove(one, one + 1, (size_t)(p->v + p->n - one) * sizeof(*one));
}

void
params_free(struct params *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].name);
		strv_free(&p->v[i].values);
	}
	free(p->v);
	*p = (struct params)PARAMS_INIT;
}

static void
mounts_free(struct jailspec *s)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		free(s->mounts[i].source);
		free(s->mounts[i].target);
		free(s->mounts[i].type);
		free(s->mounts[i].options);
		free(s->mounts[i].where);
	}
	free(s->mounts);
}

void
jailspec_free(struct jailspec *s)
{
	if (!s)
		return;
	params_free(&s->params);
	mounts_free(s);
	for (size_t i = 0; i < s->n_addrs; i++)
		free(s->addrs[i].interface);
	for (size_t i = 0; i < EXEC_N; i++)
		strv_free(&s->exec[i]);
	strv_free(&s->vnet_interface);
	strv_free(&s->service);
	strv_free(&s->health);
	strv_free(&s->depend);
	free(s->addrs);
	free(s->rdr);
	for (size_t i = 0; i < s->n_listen; i++)
		free(s->listen[i].name);
	free(s->listen);
	free(s->name);
	free(s->label);
	free(s->where);
	free(s->path);
	free(s->template);
	free(s->release);
	free(s->space_arg);
	free(s->hostname);
	free(s->domainname);
	free(s->hostuuid);
	free(s->hostid);
	free(s->interface);
	free(s->jail_user);
	free(s->system_user);
	free(s->consolelog);
	free(s);
}
