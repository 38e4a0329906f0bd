/* SPDX-License-Identifier: BSD-2-Clause */
/* Root, jailspace and mounts of a specification, from what place.c has found. */
#include "base/name.h"
#include "base/num.h"
#include "base/path.h"
#include "conf/build.h"

static void
set_param(struct build *b, const char *name, const char *value)
{
	strv_add(&params_set(&b->s->params, name)->values, value);
}

/* "mroot" or "mroot/20060601". */
static void
set_template(struct build *b, const char *value, struct pos pos)
{
	const char *slash = strchr(value, '/');
	struct jailspec *s = b->s;
	struct err e = ERR_INIT;

	s->template = slash ? xstrndup(value, (size_t)(slash - value)) : xstrdup(value);
	s->release = slash ? xstrdup(slash + 1) : NULL;
	if (name_check("template", s->template, &e) < 0 ||
	    (s->release && name_check("release", s->release, &e) < 0))
		jail_err(b->c, b->j, pos, "%s", e.msg);
}

/* Is path BASE/j/NAME? */
static bool
is_default(struct build *b, const char *path)
{
	_auto_free char *plain = xasprintf("%s/j/%s", b->c->base, b->s->name);
	_auto_free char *real = NULL;

	if (streq(path, plain))
		return true;
	real = xasprintf("%s/j/%s", conf_base_real(b->c), b->s->name);
	return streq(path, real);
}

static void
root(struct build *b)
{
	const struct place *p = &b->j->place;
	const struct entry *template = build_entry(b, "template"), *path = build_entry(b, "path");
	const char *value = template ? entry_last(template) : p->template;
	struct jailspec *s = b->s;

	if (p->path)
		s->path = place_reroot(b->c, p, p->path);
	if (template && p->template && value && !streq(value, p->template))
		build_err(b, template, "'%s', but '%s' is mounted on the jail's root", value, p->template);
	if (!value && (p->lay || (s->path ? is_default(b, s->path) : b->j->origin != FROM_WORDS)))
		value = CONF_TEMPLATE;
	if (!s->path && value)
		s->path = xasprintf("%s/j/%s", b->c->base, s->name);
	s->root = value ? ROOT_TEMPLATE : ROOT_PATH;
	if (value) {
		set_template(b, value, template ? entry_pos(template) : b->j->pos);
	} else if (s->path) {
		_auto_free char *text = TAKE_PTR(s->path);

		s->path = place_canon(b->c, text);
	} else {
		s->path = xstrdup("/");
	}
	if (path || (b->j->origin == FROM_WORDS && !value))
		set_param(b, "path", s->path);
	if (p->lay && !template)
		set_param(b, "template", value);
	if (strlen(s->path) >= 1024)
		jail_err(b->c, b->j, b->j->pos, "path: longer than 1023 bytes");
}

static void
space_kind(struct build *b, const char *value, const struct entry *e)
{
	static const struct {
		const char *prefix;
		enum spec_space kind;
	} kinds[] = {{"image:", SPACE_IMAGE}, {"device:", SPACE_DEVICE}, {"tmpfs:", SPACE_TMPFS}};
	struct jailspec *s = b->s;
	const char *arg = value;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_after(value, kinds[i].prefix)) {
			s->space = kinds[i].kind;
			arg = str_after(value, kinds[i].prefix);
		}
	if (streq(value, "tmpfs")) {
		s->space = SPACE_TMPFS;
		arg = "";
	}
	if (s->space == SPACE_TMPFS) {
		if (*arg && (num_size(arg, &s->space_size) < 0 || s->space_size == 0))
			jail_err(b->c, b->j, e ? entry_pos(e) : b->j->pos,
				 "space: '%s' is not a size (64m, 2g)", arg);
		return;
	}
	s->space_arg = *arg == '/' ? path_normal(arg) : NULL;
	if (!s->space_arg)
		jail_err(
		    b->c, b->j, e ? entry_pos(e) : b->j->pos,
		    "space: '%s': a directory, image:FILE, device:DEVICE (absolute pathnames) or tmpfs:SIZE",
		    value);
}

static void
space(struct build *b)
{
	const struct place *p = &b->j->place;
	const struct entry *e = build_entry(b, "space"), *size = build_entry(b, "space.size");
	struct jailspec *s = b->s;
	const char *value = e ? entry_last(e) : p->space;
	_auto_free char *usual = xasprintf("%s/js/%s", b->c->base, s->name);
	_auto_free char *usual_real = NULL;

	if (s->root == ROOT_PATH && (e || size)) {
		build_err(b, e ? e : size, "needs a template: without one, '%s' itself is the jail's root",
			  s->path);
		return;
	}
	if (value && *value)
		space_kind(b, value, e);
	if (s->space == SPACE_DIR && s->space_arg) {
		_auto_free char *text = TAKE_PTR(s->space_arg);
		_auto_free char *canon = place_canon_dir(b->c, text);

		s->space_arg = place_reroot(b->c, p, canon);
		usual_real = xasprintf("%s/js/%s", conf_base_real(b->c), s->name);
		if (streq(s->space_arg, usual) || streq(s->space_arg, usual_real))
			free(TAKE_PTR(s->space_arg));
	}
	if (s->space_arg && s->space != SPACE_DEVICE &&
	    (spec_in_jailspace(b->c->base, s->space_arg) ||
	     spec_in_jailspace(conf_base_real(b->c), s->space_arg)))
		jail_err(b->c, b->j, e ? entry_pos(e) : b->j->pos,
			 "space: '%s' is in the jailspace of a jail, whose root could put a link there",
			 s->space_arg);
	if (size && (s->space == SPACE_DIR || s->space == SPACE_DEVICE))
		build_err(b, size, "only an image or tmpfs jailspace has a size of its own");
	if (s->space == SPACE_TMPFS && s->space_size == 0)
		jail_err(b->c, b->j, e ? entry_pos(e) : b->j->pos, "space: tmpfs needs a size (tmpfs:64m)");
	if (s->space != SPACE_DIR) {
		if (!e)
			set_param(b, "space", value);
		return;
	}
	if (s->space_arg)
		set_param(b, "space", s->space_arg);
	else if (e)
		set_param(b, "space", usual);
}

/* The target below the jail's path, or NULL. */
static char *
below_path(struct build *b, const struct fsline *l)
{
	const struct place *p = &b->j->place;
	_auto_free char *normal = path_normal(l->target);
	_auto_free char *canon = NULL;

	if (!normal || !l->canon)
		return NULL;
	if (path_below(normal, b->s->path))
		return xstrdup(normal);
	canon = place_reroot(b->c, p, l->canon);
	if (path_below(canon, b->s->path))
		return xstrdup(canon);
	/* The target may be written with the path as it was before its links were resolved. */
	if (p->path && path_below(l->canon, p->path))
		return path_join(b->s->path, l->canon + strlen(p->path));
	return NULL;
}

static void
add_mount(struct build *b, const struct fsline *l)
{
	struct jailspec *s = b->s;
	_auto_free char *target = *l->target == '/' ? below_path(b, l) : NULL;
	_auto_free char *shown = text_printable(l->target, 200), *source = text_printable(l->source, 200);
	bool dir = *l->source == '/';
	struct spec_mount m;

	if (*l->target != '/') {
		jail_err(b->c, b->j, l->pos, "mount point '%s': not an absolute pathname", shown);
		return;
	}
	if (!target) {
		jail_err(b->c, b->j, l->pos, "mount point '%s' is not below the jail's path '%s'", shown,
			 s->path);
		return;
	}
	if (!dir && (streq(l->type, "nullfs") || streq(l->type, "bind"))) {
		jail_err(b->c, b->j, l->pos, "mount source '%s': not an absolute pathname", source);
		return;
	}
	m = (struct spec_mount){.source =
				    dir ? place_reroot(b->c, &b->j->place, l->source) : xstrdup(l->source),
				.target = TAKE_PTR(target),
				.type = xstrdup(l->type),
				.options = xstrdup(l->options),
				.where = pos_text(l->pos)};
	s->mounts = xrealloc(s->mounts, s->n_mounts + 1, sizeof(*s->mounts));
	s->mounts[s->n_mounts++] = m;
}

/* The record has the lines of fstab files as values of `mount`: a running jail must not depend on a file
 * that can change. */
static void
mounts(struct build *b)
{
	const struct place *p = &b->j->place;
	struct params *params = &b->s->params;
	struct param *list;

	for (size_t i = 0; i < p->mounts.n; i++)
		add_mount(b, &p->mounts.v[i]);
	params_remove(params, "mount.fstab");
	if (b->s->n_mounts == 0) {
		params_remove(params, "mount");
		return;
	}
	list = params_set(params, "mount");
	for (size_t i = 0; i < b->s->n_mounts; i++)
		strv_take(&list->values, fstab_print(&b->s->mounts[i]));
}

void
build_root(struct build *b)
{
	root(b);
	space(b);
	mounts(b);
}
