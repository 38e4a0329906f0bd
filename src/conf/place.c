/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where jails are: path, template, jailspace, mounts; and the base directory of the installation.
 *
 * The Handbook says it in mounts, with P usually /home:
 *	P/j/TEMPLATE	P/j/NAME	nullfs ro	the template is the jail's root
 *	P/js/NAME	P/j/NAME/s	nullfs rw	its jailspace
 * Such lines, of an fstab, of mount.fstab or of `mount`, become template and space of the jail; the base
 * becomes P, or, when the user has chosen another one, everything below P/j and P/js is taken as below it.
 * Paths are compared with their links resolved (/usr/home and /home are one place), except for the last
 * component: j/TEMPLATE may be a link itself.
 */
#include "base/name.h"
#include "base/path.h"
#include "conf/conf_int.h"

void
place_free(struct place *p)
{
	free(p->path);
	free(p->prefix);
	free(p->template);
	free(p->space);
	fslines_free(&p->mounts);
	*p = (struct place){0};
}

/* --- paths --- */

/* /usr/home is /home on a host that has no /usr/home. */
static const char *
home(struct conf *c, const char *path)
{
	struct strv found = STRV_INIT;

	if (!path_below(path, "/usr/home"))
		return path;
	if (c->usr_home < 0) {
		c->usr_home = c->in.glob && c->in.glob(c->in.ctx, "/usr/home", &found) == 0 && found.n > 0;
		strv_free(&found);
	}
	return c->usr_home ? path : path + strlen("/usr");
}

static char *
real(struct conf *c, const char *path)
{
	char *r = c->in.real ? c->in.real(c->in.ctx, path) : NULL;

	return r ? r : xstrdup(path);
}

char *
place_canon(struct conf *c, const char *path)
{
	_auto_free char *normal = path_normal(path);

	return normal ? real(c, home(c, normal)) : NULL;
}

char *
place_canon_dir(struct conf *c, const char *path)
{
	_auto_free char *normal = path_normal(path);
	_auto_free char *dir = NULL;
	const char *p, *slash;

	if (!normal)
		return NULL;
	p = home(c, normal);
	slash = strrchr(p, '/');
	if (!slash || !slash[1])
		return xstrdup(p);
	dir = xstrndup(p, slash == p ? 1 : (size_t)(slash - p));
	if (!c->last_dir.dir || !streq(c->last_dir.dir, dir)) {
		free(c->last_dir.dir);
		free(c->last_dir.real);
		c->last_dir.dir = xstrdup(dir);
		c->last_dir.real = real(c, dir);
	}
	return path_join(c->last_dir.real, slash + 1);
}

const char *
conf_base_real(struct conf *c)
{
	if (!c->base_real)
		c->base_real = place_canon(c, c->base);
	return c->base_real ? c->base_real : c->base;
}

/* path is PREFIX/MIDDLE/LAST: PREFIX, malloc'ed; NULL otherwise. */
static char *
split_path(const char *path, const char *middle, const char **ret_last)
{
	const char *slash = strrchr(path, '/');
	size_t n = strlen(middle);

	if (!slash || !slash[1] || (size_t)(slash - path) < n + 1)
		return NULL;
	if (strncmp(slash - n, middle, n) != 0 || slash[-(ptrdiff_t)n - 1] != '/')
		return NULL;
	*ret_last = slash + 1;
	return slash - n - 1 == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path) - n - 1);
}

char *
place_reroot(const struct conf *c, const struct place *p, const char *path)
{
	static const char *const ours[] = {"j", "js"};

	if (!p->prefix || !p->lay || streq(p->prefix, c->base))
		return xstrdup(path);
	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		_auto_free char *dir = path_join(p->prefix, ours[i]);

		if (path_below(path, dir)) {
			_auto_free char *to = path_join(c->base, ours[i]);

			return path_join(to, path + strlen(dir));
		}
	}
	return xstrdup(path);
}

/* --- the mounts of one jail --- */

static int
by_canon(const void *a, const void *b, void *lines)
{
	const struct fsline *l = lines;
	const struct fsline *x = &l[*(const size_t *)a], *y = &l[*(const size_t *)b];
	int r = strcmp(x->canon, y->canon);

	return r ? r : (x->seq > y->seq) - (x->seq < y->seq);
}

static void
sort_fstab(struct conf *c)
{
	if (c->fs_sorted || c->fstab.n == 0)
		return;
	c->fs_sorted = xcalloc(c->fstab.n, sizeof(*c->fs_sorted));
	for (size_t i = 0; i < c->fstab.n; i++) {
		struct fsline *l = &c->fstab.v[i];

		l->seq = i;
		l->canon = place_canon_dir(c, l->target);
		if (!l->canon)
			l->canon = xstrdup(l->target);
		c->fs_sorted[i] = i;
	}
	qsort_r(c->fs_sorted, c->fstab.n, sizeof(*c->fs_sorted), by_canon, c->fstab.v);
}

/* The first of the sorted lines that is not before `canon`. */
static size_t
lower_bound(const struct conf *c, const char *canon)
{
	size_t lo = 0, hi = c->fstab.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (strcmp(c->fstab.v[c->fs_sorted[mid]].canon, canon) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
take_line(struct fslines *to, const struct fsline *l)
{
	GROW(to->v, to->n, to->cap);
	to->v[to->n++] = (struct fsline){.pos = l->pos,
					 .source = xstrdup(l->source),
					 .target = xstrdup(l->target),
					 .type = xstrdup(l->type),
					 .options = xstrdup(l->options),
					 .seq = l->seq};
}

static int
by_seq(const void *a, const void *b)
{
	const struct fsline *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Lines of the host's fstab at path and below it. */
static void
from_fstab(struct conf *c, const char *path, struct fslines *to)
{
	_auto_free char *below = xasprintf("%s/", path);
	size_t first = to->n;

	sort_fstab(c);
	if (c->fstab.n == 0 || streq(path, "/"))
		return;
	for (size_t i = lower_bound(c, path); i < c->fstab.n; i++) {
		const struct fsline *l = &c->fstab.v[c->fs_sorted[i]];

		if (!streq(l->canon, path))
			break;
		take_line(to, l);
	}
	for (size_t i = lower_bound(c, below); i < c->fstab.n; i++) {
		const struct fsline *l = &c->fstab.v[c->fs_sorted[i]];

		if (!str_after(l->canon, below))
			break;
		take_line(to, l);
	}
	if (to->n > first + 1)
		qsort(to->v + first, to->n - first, sizeof(*to->v), by_seq);
}

static void
from_file(struct conf *c, struct jail *j, const char *file, struct pos pos, struct fslines *to)
{
	_auto_free char *text = NULL;
	size_t len = 0, errors = c->errors.n;
	int r;

	if (!*file)
		return;
	r = *file == '/' ? conf_text(c, file, &text, &len) : -EINVAL;
	if (r < 0) {
		jail_err(c, j, pos, "mount.fstab '%s': %s", file,
			 r == -EINVAL ? "not an absolute pathname" : strerror(-r));
		return;
	}
	fstab_text(c, j->label, conf_intern(c, file), text, len, to);
	if (c->errors.n > errors || (c->sink && c->sink->num))
		j->failed = true;
}

static void
collect_mounts(struct conf *c, struct jail *j)
{
	struct place *p = &j->place;
	const struct entry *mount = jail_entry(j, "mount"), *files = jail_entry(j, "mount.fstab");

	for (size_t i = 0; mount && i < mount->n; i++)
		fstab_mount_value(c, j, mount->v[i].s, mount->v[i].pos, &p->mounts);
	for (size_t i = 0; files && i < files->n; i++)
		from_file(c, j, files->v[i].s, files->v[i].pos, &p->mounts);
	if (p->prefix)
		from_fstab(c, p->path, &p->mounts);
	for (size_t i = 0; i < p->mounts.n; i++) {
		struct fsline *l = &p->mounts.v[i];

		if (!l->canon)
			l->canon = *l->target == '/' ? place_canon_dir(c, l->target) : NULL;
	}
}

/* --- the Handbook's layout --- */

static bool
bind_like(const struct fsline *l)
{
	return streq(l->type, "nullfs") || streq(l->type, "bind") ||
	       ((streq(l->type, "none") || streq(l->type, "auto")) &&
		(fs_option(l->options, "bind", NULL) || fs_option(l->options, "rbind", NULL)));
}

/* mroot.20060601 is the Handbook's name for an old release of mroot. */
static char *
template_name(const char *dir)
{
	const char *dot = strchr(dir, '.');

	if (dot && strspn(dot + 1, "0123456789.") == strlen(dot + 1) && strlen(dot + 1) >= 8)
		return xasprintf("%.*s/%s", (int)(dot - dir), dir, dot + 1);
	return xstrdup(dir);
}

static void
find_template(struct conf *c, struct place *p)
{
	for (size_t i = 0; i < p->mounts.n; i++) {
		struct fsline *l = &p->mounts.v[i];
		_auto_free char *source = NULL, *prefix = NULL;
		const char *name;

		if (!l->canon || !streq(l->canon, p->path) || !bind_like(l) || *l->source != '/')
			continue;
		source = place_canon_dir(c, l->source);
		prefix = source ? split_path(source, "j", &name) : NULL;
		if (!prefix || !streq(prefix, p->prefix))
			continue;
		l->used = true;
		p->lay = true;
		free(p->template);
		p->template = template_name(name);
	}
}

/* The value of `space` for a mount on PATH/s; NULL: there is none. */
static char *
space_value(struct conf *c, const struct fsline *l)
{
	_auto_free char *arg = NULL;

	if (bind_like(l) && *l->source == '/')
		return place_canon_dir(c, l->source);
	if (streq(l->type, "tmpfs") || streq(l->type, "mfs"))
		if (fs_option(l->options, "size", &arg) && *arg)
			return xasprintf("tmpfs:%s", arg);
	for (const char *o = l->options; o; o = strchr(o, ',') ? strchr(o, ',') + 1 : NULL)
		if (streq(l->type, "mfs") && o[0] == '-' && o[1] == 'F' && o[2])
			return xasprintf("image:%.*s", (int)strcspn(o + 2, ","), o + 2);
	if (str_after(l->source, "/dev/"))
		return xasprintf("device:%s", l->source);
	return NULL;
}

static void
find_space(struct conf *c, struct place *p)
{
	_auto_free char *at = path_join(p->path, "s");

	for (size_t i = 0; i < p->mounts.n; i++) {
		struct fsline *l = &p->mounts.v[i];
		char *value;

		if (!l->canon || !streq(l->canon, at))
			continue;
		value = space_value(c, l);
		if (!value)
			continue;
		l->used = true;
		free(p->space);
		p->space = value;
	}
}

static void
drop_used(struct fslines *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (!l->v[i].used) {
			l->v[n++] = l->v[i];
			continue;
		}
		free(l->v[i].source);
		free(l->v[i].target);
		free(l->v[i].type);
		free(l->v[i].options);
		free(l->v[i].canon);
	}
	l->n = n;
}

static void
handbook(struct conf *c, struct jail *j)
{
	struct place *p = &j->place;

	find_template(c, p);
	if (j->origin == FROM_RC && !p->lay && !jail_entry(j, "template")) {
		p->lay = true;
		jail_warn(c, j, j->pos,
			  "no fstab line mounts a template on %s: the template " CONF_TEMPLATE " is used",
			  p->path);
	}
}

/* With a template, what is mounted on PATH/s is the jailspace. */
static void
jailspace(struct conf *c, struct jail *j)
{
	struct place *p = &j->place;

	if (jail_entry(j, "space"))
		return;
	find_space(c, p);
	if (!p->space && j->origin == FROM_RC)
		jail_warn(c, j, j->pos, "no fstab line mounts a jailspace on %s/s: js/%s is used", p->path,
			  j->label);
}

void
place_jail(struct conf *c, struct jail *j)
{
	struct place *p = &j->place;
	const struct entry *path = jail_entry(j, "path");
	const char *text = entry_last(path), *last;

	if (p->done)
		return;
	p->done = true;
	if (text && *text != '/' && j->origin != FROM_WORDS)
		jail_err(c, j, entry_pos(path), "path '%s': not an absolute pathname", text);
	else if (text)
		p->path = j->origin == FROM_WORDS ? place_canon(c, text) : place_canon_dir(c, text);
	if (text && !p->path && !j->failed)
		jail_err(c, j, entry_pos(path), "path '%s': '..' is not permitted", text);
	if (p->path)
		p->prefix = split_path(p->path, "j", &last);
	collect_mounts(c, j);
	if (p->prefix)
		handbook(c, j);
	if (p->path && (p->lay || jail_entry(j, "template")))
		jailspace(c, j);
	drop_used(&p->mounts);
	if (c->lay_prefix && p->prefix && streq(p->prefix, c->lay_prefix) && jail_entry(j, "template"))
		p->lay = true;
}

/* --- the base --- */

/* Do all jails have their place below one P?  Then P is the base also without the Handbook's mounts:
 * jails with `template` have a path P/j/NAME, the others some path. */
static bool
all_agree(const struct conf *c, const char *prefix)
{
	for (size_t i = 0; i < c->n_jails; i++) {
		const struct jail *j = c->jails[i];
		const struct place *p = &j->place;
		bool template = p->lay || jail_entry(j, "template");

		if (template && !(p->prefix && streq(p->prefix, prefix)))
			return false;
		if (!template && !p->path)
			return false; /* it would use the default template of the base */
	}
	return true;
}

static const struct jail *
first_prefix(const struct conf *c, bool lay)
{
	for (size_t i = 0; i < c->n_jails; i++) {
		const struct place *p = &c->jails[i]->place;

		if (p->prefix && (lay ? p->lay : jail_entry(c->jails[i], "template") != NULL))
			return c->jails[i];
	}
	return NULL;
}

void
place_base(struct conf *c)
{
	const struct jail *j = first_prefix(c, true);
	bool agree;

	if (!j)
		j = first_prefix(c, false);
	if (!j || streq(j->place.prefix, c->base) || streq(j->place.prefix, conf_base_real(c)))
		return;
	agree = all_agree(c, j->place.prefix);
	if (agree)
		c->lay_prefix = xstrdup(j->place.prefix);
	for (size_t i = 0; i < c->n_jails; i++) {
		struct jail *o = c->jails[i];

		if (agree && jail_entry(o, "template"))
			o->place.lay = true;
		if (!c->base_explicit && o->place.lay && !streq(o->place.prefix, j->place.prefix))
			jail_err(c, o, o->pos,
				 "jail '%s' is below %s, but jail '%s' is below %s: one "
				 "configuration has one base (-b)",
				 o->label, o->place.prefix, j->label, j->place.prefix);
	}
	if (c->base_explicit || (!j->place.lay && !agree))
		return;
	free(c->base);
	free(TAKE_PTR(c->base_real));
	c->base = xstrdup(j->place.prefix);
}
