/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding and describing releases (release.h); build.c makes them, remove.c removes them. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "store/record/record.h"
#include "store/record/state.h"
#include "store/template/build.h"
#include "store/template/release.h"
#include "store/tree.h"

#define INFO_MAX (1u << 20)

void
release_close(struct release *r)
{
	fd_close(r->dir_fd);
	fd_close(r->root_fd);
	fd_close(r->skel_fd);
	free(r->template);
	free(r->name);
	free(r->root_path);
	free(r->rules_text);
	*r = (struct release){.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
}

char *
release_skel_link(const char *template)
{
	return streq(template, STORE_TEMPLATE) ? xstrdup("skel") : xasprintf("skel.%s", template);
}

/* j/NAME as a real directory: -ENOENT when it is missing or a link. */
static int
hand_dir(const struct store *s, const char *name)
{
	int fd = s->j_fd < 0 ? -ENOENT : path_open(s->j_fd, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);

	return fd == -ELOOP || fd == -ENOTDIR ? -ENOENT : fd;
}

/* 1, 0, -errno with a message. */
static int
made_by_hand(const struct store *s, const char *template, struct err *e)
{
	_auto_free char *skel = release_skel_link(template);
	_auto_close int a = hand_dir(s, template), b = hand_dir(s, skel);

	if (a >= 0 && b >= 0)
		return 1;
	if (a < 0 && a != -ENOENT)
		return err_sys(e, -a, "%s/j/%s", s->base, template);
	if (b < 0 && b != -ENOENT)
		return err_sys(e, -b, "%s/j/%s", s->base, skel);
	return 0;
}

/* Is name a valid one, and not reserved ("current", RELEASE_BY_HAND)? */
bool
release_name_ok(const char *name)
{
	return name_ok(name) && !streq(name, "current") && !streq(name, RELEASE_BY_HAND);
}

/* 1, 0, -errno. */
static int
is_dir(int fd, const char *name)
{
	struct stat st;
	int r = fsx_look(fd, name, &st);

	return r <= 0 ? r : S_ISDIR(st.st_mode);
}

int
release_template_dir(const struct store *s, const char *template, int *ret, struct err *e)
{
	int fd;

	if (name_check("template", template, e) < 0)
		return -e->num;
	fd = s->templates_fd < 0
		 ? -ENOENT
		 : path_open(s->templates_fd, template, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (fd == -ENOENT)
		return err_set(e, ENOENT, "there is no template %s (brig template build %s SOURCE)", template,
			       template);
	if (fd < 0)
		return err_sys(e, -fd, "template %s", template);
	*ret = fd;
	return 0;
}

static int
read_info(int dir_fd, json_t **ret, struct err *e)
{
	_auto_free char *text = NULL;
	json_error_t where;
	json_t *j;

	if (fsx_read_at(dir_fd, "release.json", INFO_MAX, &text, NULL, e) < 0)
		return -e->num;
	j = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	if (!json_is_object(j)) {
		json_decref(j);
		return err_set(e, EINVAL, "release.json:%d: %s", j ? 1 : where.line,
			       j ? "is not an object" : where.text);
	}
	*ret = j;
	return 0;
}

/* A name and when it was built, for sorting: oldest first; of the same second by strverscmp(3). */
struct dated {
	char *name, *built;
};

static int
by_date(const void *pa, const void *pb)
{
	const struct dated *a = pa, *b = pb;
	int c = strcmp(a->built, b->built);

	return c ? c : strverscmp(a->name, b->name);
}

static char *
built_when(int template_fd, const char *name)
{
	_auto_close int fd = path_open(template_fd, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	struct err ignored;
	json_t *info = NULL;
	char *when;

	if (fd < 0 || read_info(fd, &info, &ignored) < 0)
		return xstrdup(""); /* damaged: still a release; `verify` reports it */
	when = xstrdup_null(json_string_value(json_object_get(info, "built")));
	json_decref(info);
	return when ? when : xstrdup("");
}

/* Adds the names below templates/TEMPLATE, oldest first. */
static int
add_names(int fd, struct strv *ret)
{
	_auto_strv struct strv all = STRV_INIT;
	struct dated *v;
	size_t n = 0;
	int r = tree_names(fd, &all);

	if (r < 0)
		return r;
	v = xcalloc(all.n + 1, sizeof(*v));
	for (size_t i = 0; i < all.n && r >= 0; i++) {
		r = release_name_ok(all.v[i]) ? is_dir(fd, all.v[i]) : 0;
		if (r > 0)
			v[n++] = (struct dated){xstrdup(all.v[i]), built_when(fd, all.v[i])};
	}
	qsort(v, n, sizeof(*v), by_date);
	for (size_t i = 0; i < n; i++) {
		strv_take(ret, v[i].name);
		free(v[i].built);
	}
	free(v);
	return r < 0 ? r : 0;
}

int
release_names(const struct store *s, const char *template, struct strv *ret, struct err *e)
{
	_auto_close int fd = -EBADF;
	int by_hand, r;

	if (name_check("template", template, e) < 0)
		return -e->num;
	by_hand = made_by_hand(s, template, e);
	if (by_hand < 0)
		return by_hand;
	r = release_template_dir(s, template, &fd, e);
	if (r == -ENOENT && by_hand) {
		strv_add(ret, RELEASE_BY_HAND);
		return 0;
	}
	if (r < 0)
		return r;
	if (by_hand)
		strv_add(ret, RELEASE_BY_HAND);
	r = add_names(fd, ret);
	return r < 0 ? err_sys(e, -r, "template %s", template) : 0;
}

int
release_exists(const struct store *s, const char *template, const char *name, struct err *e)
{
	struct release rel;
	int r = release_open(s, template, name, &rel, e);

	if (r < 0)
		return r;
	release_close(&rel);
	return 0;
}

int
release_templates(const struct store *s, struct strv *ret, struct err *e)
{
	_auto_strv struct strv dirs = STRV_INIT, hand = STRV_INIT;
	int r = s->templates_fd >= 0 ? tree_names(s->templates_fd, &dirs) : 0;

	if (r == 0 && s->j_fd >= 0)
		r = tree_names(s->j_fd, &hand);
	if (r < 0)
		return err_sys(e, -r, "read the templates in %s", s->base);
	for (size_t i = 0; i < dirs.n; i++) {
		r = name_ok(dirs.v[i]) ? is_dir(s->templates_fd, dirs.v[i]) : 0;
		if (r < 0)
			return err_sys(e, -r, "template %s", dirs.v[i]);
		if (r > 0)
			strv_add(ret, dirs.v[i]);
	}
	for (size_t i = 0; i < hand.n; i++) {
		const char *name = streq(hand.v[i], "skel") ? STORE_TEMPLATE : str_after(hand.v[i], "skel.");

		r = name && name_ok(name) ? made_by_hand(s, name, e) : 0;
		if (r < 0)
			return r;
		if (r > 0 && !strv_has(ret, name))
			strv_add(ret, name);
	}
	strv_sort(ret);
	return 0;
}

int
release_current(const struct store *s, const char *template, char **ret, struct err *e)
{
	_auto_close int fd = -EBADF;
	_auto_free char *name = NULL;
	int by_hand = name_ok(template) ? made_by_hand(s, template, e) : 0;
	int r = by_hand < 0 ? by_hand : release_template_dir(s, template, &fd, e);

	if (r < 0 && (r != -ENOENT || by_hand <= 0))
		return r;
	name = r == 0 ? tree_readlink(fd, "current") : NULL;
	if (!name && r == 0 && errno != ENOENT)
		return err_sys(e, errno, "template %s: current", template);
	if (!name && by_hand) {
		*ret = xstrdup(RELEASE_BY_HAND);
		return 0;
	}
	if (!name)
		return err_set(e, ENOENT, "template %s has no current release (brig template list %s)",
			       template, template);
	r = release_name_ok(name) ? is_dir(fd, name) : 0;
	if (r == 0)
		return err_set(e, ENOENT, "template %s: current leads to no release (brig template list %s)",
			       template, template);
	if (r < 0)
		return err_sys(e, -r, "release %s/%s", template, name);
	*ret = TAKE_PTR(name);
	return 0;
}

static int
open_half(int dir_fd, const char *name, int *ret)
{
	int fd = path_open(dir_fd, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);

	if (fd >= 0)
		*ret = fd;
	return fd;
}

static int
open_by_hand(const struct store *s, struct release *r, struct err *e)
{
	_auto_free char *skel = release_skel_link(r->template);

	r->root_fd = hand_dir(s, r->template);
	r->skel_fd = hand_dir(s, skel);
	if (r->root_fd < 0)
		return err_sys(e, -r->root_fd, "%s/j/%s", s->base, r->template);
	if (r->skel_fd < 0)
		return err_sys(e, -r->skel_fd, "%s/j/%s", s->base, skel);
	r->root_path = xasprintf("%s/j/%s", s->base, r->template);
	return 0;
}

static int
open_built(const struct store *s, struct release *r, struct err *e)
{
	_auto_close int fd = -EBADF;
	int got = release_template_dir(s, r->template, &fd, e);

	if (got < 0)
		return got;
	if (name_check("release", r->name, e) < 0)
		return -e->num;
	got = release_name_ok(r->name) ? open_half(fd, r->name, &r->dir_fd) : -ENOENT;
	if (got == -ENOENT)
		return err_set(e, ENOENT, "template %s has no release %s (brig template list %s)",
			       r->template, r->name, r->template);
	if (got >= 0)
		got = open_half(r->dir_fd, "root", &r->root_fd);
	if (got >= 0)
		got = open_half(r->dir_fd, "skel", &r->skel_fd);
	if (got < 0)
		return err_sys(e, -got, "release %s/%s", r->template, r->name);
	r->root_path = xasprintf("%s/templates/%s/%s/root", s->base, r->template, r->name);
	return 0;
}

int
release_open(const struct store *s, const char *template, const char *name, struct release *ret,
	     struct err *e)
{
	struct release r = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	int got = 0;

	if (name_check("template", template, e) < 0)
		return -e->num;
	r.template = xstrdup(template);
	if (name)
		r.name = xstrdup(name);
	else
		got = release_current(s, template, &r.name, e);
	if (got == 0)
		got = streq(r.name, RELEASE_BY_HAND) ? made_by_hand(s, template, e) : 0;
	if (got >= 0)
		got = got ? open_by_hand(s, &r, e) : open_built(s, &r, e);
	if (got < 0) {
		release_close(&r);
		return got;
	}
	*ret = r;
	return 0;
}

int
release_info(const struct release *r, json_t **ret, struct err *e)
{
	if (r->dir_fd < 0) {
		*ret = json_pack("{s:s, s:s, s:n, s:n}", "template", r->template, "release", r->name, "built",
				 "recipe");
		return *ret ? 0 : err_sys(e, ENOMEM, "release %s/%s", r->template, r->name);
	}
	if (read_info(r->dir_fd, ret, e) < 0)
		return err_wrap(e, "release %s/%s", r->template, r->name);
	return 0;
}

/* 1, 0, -errno. */
static int
same_dir(int at, const char *path, dev_t dev, ino_t ino)
{
	_auto_close int fd = path_open(at, path, O_PATH | O_DIRECTORY, 0, PATH_BENEATH);
	struct stat st;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? 0 : fd;
	return fstat(fd, &st) < 0 ? -errno : st.st_dev == dev && st.st_ino == ino;
}

static int
find_built(int template_fd, dev_t dev, ino_t ino, char **ret_name)
{
	_auto_strv struct strv names = STRV_INIT;
	int r = tree_names(template_fd, &names);

	for (size_t i = 0; i < names.n && r == 0; i++) {
		_auto_free char *root = path_join(names.v[i], "root");

		r = release_name_ok(names.v[i]) ? same_dir(template_fd, root, dev, ino) : 0;
		if (r > 0)
			*ret_name = xstrdup(names.v[i]);
	}
	return r;
}

/* Looks through one template; cheap: no file is read.  1 found. */
static int
find_inode(const struct store *s, const char *template, dev_t dev, ino_t ino, char **ret_name, struct err *e)
{
	_auto_close int fd = -EBADF;
	int r = release_template_dir(s, template, &fd, e);

	if (r < 0 && r != -ENOENT)
		return r;
	r = r == 0 ? find_built(fd, dev, ino, ret_name) : 0;
	if (r != 0)
		return r < 0 ? err_sys(e, -r, "template %s", template) : r;
	r = made_by_hand(s, template, e);
	if (r > 0)
		r = same_dir(s->j_fd, template, dev, ino);
	if (r > 0)
		*ret_name = xstrdup(RELEASE_BY_HAND);
	return r;
}

int
release_by_inode(const struct store *s, dev_t dev, ino_t ino, char **ret_template, char **ret_name,
		 struct err *e)
{
	_auto_strv struct strv templates = STRV_INIT;

	if (release_templates(s, &templates, e) < 0)
		return -e->num;
	for (size_t i = 0; i < templates.n; i++) {
		int r = find_inode(s, templates.v[i], dev, ino, ret_name, e);

		if (r > 0)
			*ret_template = xstrdup(templates.v[i]);
		if (r != 0)
			return r;
	}
	err_clear(e);
	return 0;
}

static bool
names_release(const char *template, const char *name, const char *rec_template, const char *rec_name)
{
	return rec_template && rec_name && streq(rec_template, template) && streq(rec_name, name);
}

/* Is it the jail's release, the other one of its change, or the base of one of its conflicts? */
static bool
record_uses(const struct record *rec, const char *template, const char *name)
{
	if (names_release(template, name, rec->template, rec->release) ||
	    names_release(template, name, rec->template, rec->change_other))
		return true;
	for (size_t i = 0; i < rec->n_conflict; i++)
		if (names_release(template, name, rec->template, rec->conflict[i].base))
			return true;
	return false;
}

static bool
record_starts_on(const struct record *rec, const char *template, const char *name)
{
	return names_release(template, name, rec->template, rec->release);
}

static int
jails_with(const struct store *s, const char *template, const char *name,
	   bool (*fits)(const struct record *rec, const char *template, const char *name), struct strv *ret,
	   struct err *e)
{
	_auto_strv struct strv jails = STRV_INIT;

	if (record_list(s, &jails, e) < 0)
		return -e->num;
	for (size_t i = 0; i < jails.n; i++) {
		struct record rec;
		int r = record_read(s, jails.v[i], &rec, e);

		if (r < 0)
			return r;
		if (r > 0 && fits(&rec, template, name))
			strv_add(ret, jails.v[i]);
		if (r > 0)
			record_free(&rec);
	}
	return 0;
}

int
release_starters(const struct store *s, const char *template, const char *name, struct strv *ret,
		 struct err *e)
{
	return jails_with(s, template, name, record_starts_on, ret, e);
}

int
release_users(const struct store *s, const char *template, const char *name, struct strv *ret, struct err *e)
{
	struct state *running = NULL;
	size_t n = 0;
	int r = jails_with(s, template, name, record_uses, ret, e);

	if (r < 0)
		return r;
	if (state_list(s, &running, &n, e) < 0)
		return -e->num;
	for (size_t i = 0; i < n; i++) {
		if (names_release(template, name, running[i].template, running[i].release) &&
		    !strv_has(ret, running[i].name))
			strv_add(ret, running[i].name);
		state_free(&running[i]);
	}
	free(running);
	strv_sort(ret);
	return 0;
}
