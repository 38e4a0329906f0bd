/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/path.h"
#include "store/template/links.h"

#define HOPS_MAX 40 /* as the kernel's: path_resolution(7) */

/* Is path in a directory whose content is only known when a jail runs? */
static bool
is_volatile(const char *path)
{
	static const char *const dirs[] = {"run", "proc", "dev", "sys", "tmp", "s/tmp"};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (path_below(path, dirs[i]))
			return true;
	return false;
}

static bool
is_at(int fd, const char *path, struct stat *st)
{
	return fstatat(fd, path, st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* "bin/x" for "usr/bin/x": where /bin is a link to usr/bin, a file that an overlay has in bin is found
 * there. */
static const char *
merged_usr(const char *path)
{
	static const char *const dirs[] = {"bin/", "sbin/", "lib"};
	const char *in = str_after(path, "usr/");

	for (size_t i = 0; in && i < ARRAY_LEN(dirs); i++)
		if (str_after(in, dirs[i]))
			return in;
	return NULL;
}

/* The directory of a split tree that path (of the tree before the split, or of a jail) is in, and its
 * name there. */
static int
split_place(const struct view *v, const char *path, char **ret_rel)
{
	const char *in = str_after(path, "s/");

	if (v->split_by) {
		if ((*ret_rel = rules_kept_path(v->split_by, path)))
			return v->root_fd;
		if ((*ret_rel = rules_skel_path(v->split_by, path)))
			return v->skel_fd;
	} else if (v->skel_fd >= 0 && in) {
		*ret_rel = xstrdup(in);
		return v->skel_fd;
	}
	*ret_rel = xstrdup(path);
	return v->root_fd;
}

/* The directory of the view that has path, and its name there, which the caller frees; -1 and errno: none
 * has. */
static int
shown_by(const struct view *v, const char *path, char **ret_rel, struct stat *st)
{
	const char *alias = merged_usr(path);
	char *rel;
	int fd, num;

	for (size_t i = v->n_over; i-- > 0;) {
		const char *found = is_at(v->over[i], path, st)             ? path
				    : alias && is_at(v->over[i], alias, st) ? alias
									    : NULL;

		if (found) {
			*ret_rel = xstrdup(found);
			return v->over[i];
		}
	}
	fd = split_place(v, path, &rel);
	errno = ENOENT; /* there is no tree at all */
	if (fd >= 0 && is_at(fd, rel, st)) {
		*ret_rel = rel;
		return fd;
	}
	num = errno;
	free(rel);
	errno = num;
	return -1;
}

bool
view_has(const struct view *v, const char *path)
{
	_auto_free char *rel = NULL;
	struct stat st;

	return shown_by(v, path, &rel, &st) >= 0;
}

static void
up(struct buf *at)
{
	char *slash = at->len ? strrchr(at->s, '/') : NULL;

	at->len = slash ? (size_t)(slash - at->s) : 0;
	if (at->s)
		at->s[at->len] = '\0';
}

static const char *
nowhere(struct buf *at, const char *rest)
{
	buf_adds(at, rest);
	return "leads nowhere in a jail";
}

const char view_unreadable[] = "leads to what cannot be read";

const char *
view_resolve(const struct view *v, struct buf *at, const char *text)
{
	_auto_free char *rest = xstrdup(text);
	const char *p = rest;
	int hops = 0;

	buf_adds(at, "");
	if (*p == '/')
		at->len = 0, at->s[0] = '\0';
	while (*(p += strspn(p, "/"))) {
		size_t n = strcspn(p, "/"), before = at->len;
		_auto_free char *rel = NULL;
		bool split = v->skel_fd >= 0 && !v->split_by;
		struct stat st;
		int fd;

		if (n == 1 && *p == '.') {
			p += n;
			continue;
		}
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			up(at);
			p += n;
			continue;
		}
		if (at->len)
			buf_addc(at, '/');
		buf_add(at, p, n);
		p += n;
		if (is_volatile(at->s))
			return NULL;
		if (at->len >= PATH_MAX)
			return "too long";
		fd = shown_by(v, at->s, &rel, &st);
		if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
			return view_unreadable;
		if (fd < 0 && !split && path_below(at->s, "s"))
			return NULL; /* in a tree that is not split yet nothing is known of /s */
		if (fd < 0)
			return nowhere(at, p);
		if (S_ISLNK(st.st_mode)) {
			_auto_free char *link = tree_readlink(fd, rel), *joined = NULL;

			if (!link || ++hops > HOPS_MAX)
				return "leads in a circle";
			joined = path_join(*link ? link : ".", p);
			free(rest);
			rest = TAKE_PTR(joined);
			p = rest;
			at->len = *p == '/' ? 0 : before;
			at->s[at->len] = '\0';
		} else if (!S_ISDIR(st.st_mode) && *p) {
			return "leads through a file";
		}
	}
	return NULL;
}

const char *
view_link(const struct view *v, const char *path, const char *text, struct buf *ret_at)
{
	ret_at->len = 0;
	buf_adds(ret_at, path);
	up(ret_at);
	return view_resolve(v, ret_at, text);
}

/* ---- all links of a tree ---- */

struct reading {
	struct view view;
	struct links *links;
};

static int
read_link(void *ctx, const struct tree_entry *t, struct err *e)
{
	struct reading *r = ctx;
	struct links *l = r->links;
	_auto_buf struct buf at = BUF_INIT;
	struct link one = {0};

	if (!S_ISLNK(t->st.st_mode))
		return 0;
	one.text = tree_readlink(t->dir_fd, t->name);
	if (!one.text)
		return err_sys(e, errno, "%s", t->path);
	one.wrong = view_link(&r->view, t->path, one.text, &at);
	if (one.wrong == view_unreadable) {
		free(one.text);
		return err_set(e, EIO, "%s: the link %s", t->path, one.wrong);
	}
	one.path = xstrdup(t->path);
	if (!one.wrong && (at.len == 0 || view_has(&r->view, at.s)))
		one.to = buf_take(&at);
	GROW(l->v, l->n, l->cap);
	l->v[l->n++] = one;
	return 0;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct link *)a)->path, ((const struct link *)b)->path);
}

int
links_read(int root_fd, struct links *ret, struct err *e)
{
	struct links l = {0};
	struct reading r = {{root_fd, -1, NULL, NULL, 0}, &l};

	if (tree_walk(root_fd, read_link, &r, e) < 0) {
		links_free(&l);
		return -e->num;
	}
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_path);
	*ret = l;
	return 0;
}

const struct link *
links_find(const struct links *l, const char *path)
{
	struct link key = {.path = xstrdup(path)};
	const struct link *found = l->n ? bsearch(&key, l->v, l->n, sizeof(*l->v), by_path) : NULL;

	free(key.path);
	return found;
}

void
links_free(struct links *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].path);
		free(l->v[i].text);
		free(l->v[i].to);
	}
	free(l->v);
	*l = (struct links){0};
}

/* ---- lookups in the rules ---- */

char *
rules_kept_path(const struct rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct rule *r = &rules->v[i];

		if (r->kind == RULE_KEEP && path_below(path, r->path))
			return xasprintf("%s%s", r->arg, path + strlen(r->path));
	}
	return NULL;
}

bool
rules_may_dangle(const struct rules *rules, const char *path)
{
	_auto_free char *skel = rules_skel_path(rules, path), *in_space = NULL,
			*in_tree = xasprintf("/%s", path);

	if (skel)
		in_space = xasprintf("/s/%s", skel);
	for (size_t i = 0; i < rules->n; i++) {
		const struct rule *r = &rules->v[i];

		if (r->kind == RULE_DANGLING &&
		    (fnmatch(r->path, in_tree, 0) == 0 || (in_space && fnmatch(r->path, in_space, 0) == 0)))
			return true;
	}
	return false;
}

bool
rules_fresh(const struct rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->n; i++)
		if (rules->v[i].kind == RULE_FRESH &&
		    fnmatch(rules->v[i].path, path, FNM_PATHNAME | FNM_LEADING_DIR) == 0)
			return true;
	return false;
}

/* ---- changing one ---- */

int
link_set(const struct tree_entry *t, const char *text, struct err *e)
{
	const struct timespec times[2] = {t->st.st_atim, t->st.st_mtim};

	if (fsx_symlink_swap(t->dir_fd, text, t->name, 0, e) < 0)
		return -e->num;
	if (fchownat(t->dir_fd, t->name, t->st.st_uid, t->st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(t->dir_fd, t->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "%s", t->path);
	return 0;
}
