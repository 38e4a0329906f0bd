/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/path.h"
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

/* Read-write and not a file system of the jail's own; anything but "ro" may be written. */
static bool
mounts_rw(const struct spec_mount *m)
{
	static const char *const kinds[] = {"nullfs", "none", "bind"};
	bool ours = false;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		ours |= m->type && streq(m->type, kinds[i]);
	if (!ours)
		return false;
	for (const char *p = m->options ? m->options : ""; *p; p += strspn(p, ",")) {
		size_t n = strcspn(p, ",");

		if (n == 2 && memcmp(p, "ro", 2) == 0)
			return false;
		p += n;
	}
	return true;
}

bool
spec_in_jailspace(const char *base, const char *path)
{
	_auto_free char *spaces = xasprintf("%s/js/", base);
	const char *in_js = str_after(path, spaces);

	/* BASE/js itself is root's; everything in a directory there is a jail's */
	return in_js && strchr(in_js, '/');
}

bool
jailspec_holds(const struct jailspec *s, const char *base, const char *path)
{
	if (spec_in_jailspace(base, path))
		return true;
	if (s->space == SPACE_DIR && s->space_arg && path_below(path, s->space_arg))
		return true;
	if (s->root == ROOT_PATH && !streq(s->path, "/") && path_below(path, s->path))
		return true;
	for (size_t i = 0; i < s->n_mounts; i++)
		if (s->mounts[i].source && mounts_rw(&s->mounts[i]) && path_below(path, s->mounts[i].source))
			return true;
	return false;
}
