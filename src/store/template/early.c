/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks links of overlays before the long part of a build.
 *
 * Where a link leads can be known from the overlays themselves, and from the tree that they will be copied
 * over: that of a dir: source, or the current release, if it was built from the same debian: source.
 * Without such a tree a link to what no overlay has is not an error yet (a package may bring it), except in
 * directories where packages have no files.  All links are checked again when the tree is there (build.c).
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/name.h"
#include "base/path.h"
#include "store/template/build.h"
#include "store/template/links.h"

struct checking {
	const struct early *b;
	struct view view;
	bool known; /* there is such a tree */
	struct buf first;
	size_t faults;
};

/* Is place in a directory where no Debian package has files?  Debian policy 9.1.2, hier(7). */
static bool
nobody_puts(const struct checking *c, const char *place)
{
	static const char *const dirs[] = {"home", "usr/local/bin", "usr/local/etc", "usr/local/sbin"};

	if (!str_after(c->b->source, "debian:"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (path_below(place, dirs[i]) && !streq(place, dirs[i]))
			return true;
	return false;
}

/* Is place the path of an overlay on the host, or below it? */
static bool
is_overlay(const struct checking *c, const char *place)
{
	for (size_t i = 0; i < c->b->overlays->n; i++)
		if (path_below(place, c->b->overlays->v[i] + 1))
			return true;
	return false;
}

/* Nothing was found at place: is it certain that nothing will be there? */
static bool
certain(const struct checking *c, const char *place)
{
	if (rules_fresh(c->b->rules, place))
		return false;
	return c->known || is_overlay(c, place) || nobody_puts(c, place);
}

static int
check_entry(void *ctx, const struct tree_entry *t, struct err *e)
{
	struct checking *c = ctx;
	_auto_free char *text = NULL, *shown = NULL, *path = NULL;
	_auto_buf struct buf at = BUF_INIT;
	const char *wrong;

	if (!S_ISLNK(t->st.st_mode))
		return 0;
	text = tree_readlink(t->dir_fd, t->name);
	if (!text)
		return err_sys(e, errno, "%s", t->path);
	wrong = view_link(&c->view, t->path, text, &at);
	if (!wrong || rules_may_dangle(c->b->rules, t->path) ||
	    (str_after(wrong, "leads nowhere") && !certain(c, at.s)))
		return 0;
	if (c->faults++ > 0)
		return 0;
	shown = text_printable(text, 200);
	path = text_printable(t->path, 200);
	buf_addf(&c->first, "/%s: the link to '%s' %s", path, shown, wrong);
	return 0;
}

static int
check_all(struct checking *c, struct err *e)
{
	_auto_free int *fds = xcalloc(c->b->overlays->n + 1, sizeof(*fds));
	size_t n = 0;
	int r = 0;

	for (; n < c->b->overlays->n && r == 0; n++) {
		fds[n] = open(c->b->overlays->v[n], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fds[n] < 0)
			r = err_sys(e, errno, "overlay %s", c->b->overlays->v[n]);
	}
	c->view.over = fds;
	c->view.n_over = n;
	for (size_t i = 0; i < n && r == 0; i++) {
		r = tree_walk(fds[i], check_entry, c, e);
		if (r < 0)
			(void)err_wrap(e, "overlay %s", c->b->overlays->v[i]);
		else if (c->faults > 1)
			r = err_set(e, EINVAL, "overlay %s: %s; and %zu more", c->b->overlays->v[i],
				    c->first.s, c->faults - 1);
		else if (c->faults)
			r = err_set(e, EINVAL, "overlay %s: %s", c->b->overlays->v[i], c->first.s);
	}
	while (n-- > 0)
		fd_close(fds[n]);
	return r;
}

/* Opens the current release; true if it was built from the same debian: source. */
static bool
same_recipe(const struct early *b, struct release *ret, struct rules *ret_rules)
{
	struct err ignored = ERR_INIT;
	json_t *info = NULL;
	const char *source;
	bool same;

	if (!str_after(b->source, "debian:") || release_open(b->store, b->template, NULL, ret, &ignored) < 0)
		return false;
	if (release_info(ret, &info, &ignored) < 0)
		return false;
	source = json_string_value(json_object_get(json_object_get(info, "recipe"), "source"));
	same = source && streq(source, b->source);
	json_decref(info);
	return same && rules_of_release(ret, ret_rules, &ignored) == 0;
}

int
overlays_check(const struct early *b, struct err *e)
{
	_auto_(release_close) struct release last = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_(rules_free) struct rules rules = RULES_INIT;
	_auto_close int dir = -EBADF;
	struct checking c = {b, {-1, -1, NULL, NULL, 0}, false, BUF_INIT, 0};
	const char *path = str_after(b->source, "dir:");
	int r;

	if (b->overlays->n == 0)
		return 0;
	if (path) {
		dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		c.view.root_fd = dir;
		c.known = dir >= 0;
	} else if (same_recipe(b, &last, &rules)) {
		c.view = (struct view){last.root_fd, last.skel_fd, &rules, NULL, 0};
		c.known = true;
	}
	r = check_all(&c, e);
	buf_free(&c.first);
	return r;
}
