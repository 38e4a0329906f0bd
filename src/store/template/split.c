/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Splitting a tree by rules.  First the `move` rules, by renames inside one file system; then the others are
 * applied to the two halves, where a path below a moved one is looked up in the skeleton.  Every directory
 * on the way is opened without following links: a tree whose `etc` or `usr` is a planted link is an error
 * that names it.
 */
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "base/where.h"
#include "store/jailspace/copy_file.h"
#include "store/template/links.h"
#include "store/template/split.h"
#include "store/tree.h"

#define SPACE "s" /* the jailspace is /s in the jail */
#define EDIT_MAX (4u << 20)

struct split {
	int root_fd, skel_fd;
	const struct rules *rules;
	struct strv names, owners; /* name in the skeleton, path of the tree it came from */
};

/* "usr/ports/distfiles" -> "../../s/distfiles": as many ".." as the link has directories above it. */
static char *
link_text(const char *path, const char *name)
{
	struct buf b = BUF_INIT;

	for (const char *p = path; (p = strchr(p, '/')); p++)
		buf_adds(&b, "../");
	buf_addf(&b, SPACE "/%s", name);
	return buf_take(&b);
}

/* Where a link at path leads to, as a path of the tree, by its text alone.  NULL: to the root or above. */
static char *
link_place(const char *path, const char *target)
{
	const char *slash = strrchr(path, '/');
	struct buf b = BUF_INIT;

	if (*target != '/' && slash)
		buf_add(&b, path, (size_t)(slash - path));
	for (const char *p = target; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.') {
			char *cut = b.s ? strrchr(b.s, '/') : NULL;

			b.len = cut ? (size_t)(cut - b.s) : 0;
			if (b.s)
				b.s[b.len] = '\0';
		} else if (n > 0 && !(n == 1 && *p == '.')) {
			if (b.len)
				buf_addc(&b, '/');
			buf_add(&b, p, n);
		}
		p += n + (p[n] == '/');
	}
	return b.len ? buf_take(&b) : (buf_free(&b), NULL);
}

/* ---- relative links that lead out of a directory which moves ---- */

struct moved {
	const char *from; /* where the directory was in the tree */
};

/* Does a relative target, read at link_path below the moved directory, lead out of that directory? */
static bool
leaves(const char *link_path, const char *target)
{
	long depth = 0;

	if (*target == '/')
		return false;
	for (const char *p = link_path; (p = strchr(p, '/')); p++)
		depth++;
	for (const char *p = target; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			depth--;
		else if (n > 0 && !(n == 1 && *p == '.'))
			depth++;
		if (depth < 0)
			return true;
		p += n + (p[n] == '/');
	}
	return false;
}

/* etc/os-release -> ../usr/lib/os-release becomes /usr/lib/os-release: the old target is wrong in /s/etc. */
static int
fix_link(void *ctx, const struct tree_entry *t, struct err *e)
{
	const struct moved *m = ctx;
	_auto_free char *target = NULL, *old = NULL, *place = NULL, *text = NULL;

	if (!S_ISLNK(t->st.st_mode))
		return 0;
	old = path_join(m->from, t->path);
	target = tree_readlink(t->dir_fd, t->name);
	if (!target)
		return err_sys(e, errno, "%s", old);
	if (!leaves(t->path, target))
		return 0;
	place = link_place(old, target);
	text = xasprintf("/%s", place ? place : "");
	return link_set(t, text, e) < 0 ? err_wrap(e, "%s", m->from) : 0;
}

/* Fixes the links in dir/name, which was `from` in the tree. */
static int
fix_links(int dir, const char *name, const char *from, struct err *e)
{
	_auto_close int fd = path_open(dir, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	struct moved m = {from};

	if (fd == -ENOTDIR)
		return 0; /* a file that is kept */
	return fd < 0 ? err_sys(e, -fd, "%s", from) : tree_walk(fd, fix_link, &m, e);
}

static const char *
owner_of(const struct split *s, const char *name)
{
	for (size_t i = 0; i < s->names.n; i++)
		if (streq(s->names.v[i], name))
			return s->owners.v[i];
	return NULL;
}

static int
claim(struct split *s, int dir_fd, const char *leaf, const char *path, const char *name, struct err *e)
{
	const char *other = owner_of(s, name);

	if (other)
		return err_set(e, EEXIST, "%s and %s both claim %s in the skeleton", other, path, name);
	if (dir_fd >= 0 && renameat2(dir_fd, leaf, s->skel_fd, name, RENAME_NOREPLACE) < 0)
		return err_sys(e, errno, "move %s to the skeleton", path);
	strv_add(&s->names, name);
	strv_add(&s->owners, path);
	return 0;
}

/* A tree that was split before (a copy of a running jail): what is in its s/ goes to the skeleton. */
static int
take_space(struct split *s, struct err *e)
{
	_auto_close int fd = path_open(s->root_fd, SPACE, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	_auto_strv struct strv names = STRV_INIT;
	int r;

	if (fd < 0)
		return 0; /* none, or not a directory: the rule `empty s` removes it */
	r = tree_names(fd, &names);
	if (r < 0)
		return err_sys(e, -r, SPACE);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		_auto_free char *path = path_join(SPACE, names.v[i]);

		r = claim(s, fd, names.v[i], path, names.v[i], e);
	}
	return r;
}

/* Is another rule for something below path?  A link at path would lead it to another place. */
static bool
rules_below(const struct split *s, const char *path)
{
	for (size_t i = 0; i < s->rules->n; i++) {
		const struct rule *r = &s->rules->v[i];

		if (r->kind != RULE_MOVE && r->kind != RULE_MOVE_IF && r->kind < RULE_REGENERATE &&
		    path_below(r->path, path))
			return true;
	}
	return false;
}

/*
 * The tree has a link where a directory is to be moved.  Accepted are: the link that a split leaves, if the
 * skeleton has what it leads to; and a link into something that another rule moves (FreeBSD's home ->
 * usr/home, opt -> var/opt of image-based systems).
 */
static int
moved_link(struct split *s, const struct rule *r, const char *target, struct err *e)
{
	_auto_free char *ours = path_join(SPACE, r->arg), *place = link_place(r->path, target);
	_auto_free char *shown = NULL;

	if (place && streq(place, ours) && owner_of(s, r->arg))
		return 0;
	if (place && !path_below(place, r->path) && !path_below(r->path, place) && !rules_below(s, r->path)) {
		_auto_free char *moved = rules_skel_path(s->rules, place);

		if (moved)
			return 0;
	}
	shown = text_printable(target, 120);
	return err_set(e, ENOTDIR, "%s is a link to '%s': only a directory can go to the skeleton", r->path,
		       shown);
}

static int
make_moved(struct split *s, const struct rule *r, struct err *e)
{
	if (owner_of(s, r->arg))
		return 0; /* s/NAME of a split tree whose link was lost */
	if (mkdirat(s->skel_fd, r->arg, 0700) < 0 || fchmodat(s->skel_fd, r->arg, r->mode, 0) < 0)
		return err_sys(e, errno, "make %s in the skeleton", r->arg);
	return claim(s, -1, NULL, r->path, r->arg, e);
}

static int
do_move(struct split *s, const struct rule *r, struct err *e)
{
	_auto_free char *text = link_text(r->path, r->arg), *target = NULL;
	_auto_close int dir = -EBADF;
	const char *leaf;
	struct stat st;
	int got;

	dir = tree_parent(s->root_fd, r->path, r->kind == RULE_MOVE, &leaf, e);
	if (dir == -ENOENT && r->kind == RULE_MOVE_IF)
		return 0;
	if (dir < 0)
		return dir;
	if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return err_sys(e, errno, "%s", r->path);
		if (r->kind == RULE_MOVE_IF)
			return 0;
		got = make_moved(s, r, e);
	} else if (S_ISLNK(st.st_mode)) {
		target = tree_readlink(dir, leaf);
		return target ? moved_link(s, r, target, e) : err_sys(e, errno, "%s", r->path);
	} else if (!S_ISDIR(st.st_mode)) {
		return err_set(e, ENOTDIR, "%s is not a directory: it cannot go to the skeleton", r->path);
	} else {
		got = claim(s, dir, leaf, r->path, r->arg, e);
	}
	if (got == 0)
		got = fix_links(s->skel_fd, r->arg, r->path, e);
	if (got < 0)
		return got;
	if (symlinkat(text, dir, leaf) < 0)
		return err_sys(e, errno, "make the link %s", r->path);
	return 0;
}

/* The half (template or skeleton) that has path, and its name there.  The caller frees *ret_rel. */
static int
half_of(const struct split *s, const char *path, char **ret_rel)
{
	*ret_rel = rules_skel_path(s->rules, path);
	if (*ret_rel)
		return s->skel_fd;
	*ret_rel = xstrdup(path);
	return s->root_fd;
}

static int
open_place(const struct split *s, const char *path, bool make, char **ret_leaf, struct err *e)
{
	_auto_free char *rel = NULL;
	int half = half_of(s, path, &rel), dir;
	const char *leaf;

	dir = tree_parent(half, rel, make, &leaf, e);
	if (dir >= 0)
		*ret_leaf = xstrdup(leaf);
	return dir;
}

static int
do_empty(struct split *s, const struct rule *r, struct err *e)
{
	_auto_free char *leaf = NULL;
	_auto_close int dir = open_place(s, r->path, true, &leaf, e);

	if (dir < 0)
		return dir;
	if (fsx_rm_rf_at(dir, leaf, e) < 0)
		return err_wrap(e, "%s", r->path);
	if (mkdirat(dir, leaf, 0755) < 0 || fchmodat(dir, leaf, 0755, 0) < 0)
		return err_sys(e, errno, "make the directory %s", r->path);
	return 0;
}

/* Removes what matches the pattern in the last component. */
static int
do_remove(struct split *s, const struct rule *r, struct err *e)
{
	_auto_free char *leaf = NULL;
	_auto_close int dir = open_place(s, r->path, false, &leaf, e);
	_auto_strv struct strv names = STRV_INIT;
	int got;

	if (dir == -ENOENT || (dir == -ENOTDIR && r->kind != RULE_FRESH))
		return 0; /* nothing there that could match */
	if (dir < 0)
		return dir;
	got = tree_names(dir, &names);
	if (got < 0)
		return err_sys(e, -got, "%s", r->path);
	for (size_t i = 0; i < names.n; i++)
		if (fnmatch(leaf, names.v[i], 0) == 0 && fsx_rm_rf_at(dir, names.v[i], e) < 0)
			return err_wrap(e, "%s", r->path);
	return 0;
}

static bool
empty_dir(int dir, const char *leaf)
{
	_auto_close int fd = path_open(dir, leaf, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);

	return fd >= 0 && tree_empty(fd);
}

/* Moves something that describes the template (dpkg's status) back from the skeleton, and leaves an
 * absolute link to it. */
static int
do_keep(struct split *s, const struct rule *r, struct err *e)
{
	_auto_free char *rel = rules_skel_path(s->rules, r->path), *target = xasprintf("/%s", r->arg);
	_auto_close int from = -EBADF, to = -EBADF;
	const char *leaf, *to_leaf;
	struct stat st;

	if (!rel)
		return 0; /* it is in the template anyway */
	from = tree_parent(s->skel_fd, rel, false, &leaf, e);
	if (from == -ENOENT || from == -ENOTDIR)
		return 0;
	if (from < 0)
		return from;
	if (fstatat(from, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", r->path);
	if (S_ISLNK(st.st_mode) || empty_dir(from, leaf))
		return 0; /* it leads to the template already, or is empty */
	to = tree_parent(s->root_fd, r->arg, true, &to_leaf, e);
	if (to < 0)
		return err_wrap(e, "keep %s", r->path);
	if (renameat2(from, leaf, to, to_leaf, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return err_set(e, EEXIST, "%s and %s are both in the tree: they claim one place",
				       r->path, r->arg);
		return err_sys(e, errno, "keep %s in the template", r->path);
	}
	if (fix_links(to, to_leaf, r->path, e) < 0)
		return -e->num;
	if (symlinkat(target, from, leaf) < 0)
		return err_sys(e, errno, "make the link %s", r->path);
	return 0;
}

static int
do_link(struct split *s, const struct rule *r, struct err *e)
{
	_auto_free char *leaf = NULL;
	_auto_close int dir = open_place(s, r->path, true, &leaf, e);

	if (dir < 0)
		return dir;
	if (fsx_rm_rf_at(dir, leaf, e) < 0)
		return err_wrap(e, "%s", r->path);
	if (symlinkat(r->arg, dir, leaf) < 0)
		return err_sys(e, errno, "make the link %s", r->path);
	return 0;
}

/* Replaces a file that has other names (kept.h, or in its package) by a copy of its own, which can be
 * changed.  The copy's descriptor. */
static int
own_copy(int half, const char *rel, int src, const struct stat *st)
{
	_auto_close int dir = -EBADF;
	struct copy_fs fs;
	const char *leaf;
	char tmp[64];
	int r = tree_dir_of(half, rel, &leaf);

	if (r < 0)
		return r;
	dir = r;
	fsx_temp_name(tmp, sizeof(tmp), ".tmp");
	copy_fs_init(&fs);
	r = copy_file(&fs, src, dir, tmp, st);
	copy_fs_free(&fs);
	if (r == 0 && renameat(dir, tmp, dir, leaf) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, tmp, 0);
	return r < 0 ? r : path_open(half, rel, O_RDWR, 0, PATH_BENEATH);
}

/* Reads a file of the tree to change it (owner, mode and attributes stay).  1: there is one. */
static int
edit_open(struct split *s, const struct rule *r, int *ret_fd, char **ret_text, struct err *e)
{
	_auto_free char *rel = NULL;
	int half = half_of(s, r->path, &rel), got;
	_auto_close int fd = path_open(half, rel, O_RDWR | O_NONBLOCK, 0, PATH_BENEATH), own = -EBADF;
	struct stat st;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, fd < 0 ? -fd : errno, "%s", r->path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s is not a regular file", r->path);
	if (st.st_nlink > 1) {
		own = own_copy(half, rel, fd, &st);
		if (own < 0)
			return err_sys(e, -own, "%s", r->path);
		fd_close(fd);
		fd = TAKE_FD(own);
	}
	got = fsx_read_fd(fd, EDIT_MAX, ret_text, NULL);
	if (got < 0)
		return err_sys(e, -got, "%s", r->path);
	*ret_fd = TAKE_FD(fd);
	return 1;
}

static int
edit_write(int fd, const struct rule *r, const struct buf *b, struct err *e)
{
	int got;

	if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)
		return err_sys(e, errno, "%s", r->path);
	got = fsx_write_all(fd, b->s, b->len);
	return got < 0 ? err_sys(e, -got, "%s", r->path) : 0;
}

/* The password becomes '*'.  "x" (the hash is in another file) locks, too, and stays: programs look for
 * it. */
static int
do_lock(struct split *s, const struct rule *r, struct err *e)
{
	_auto_free char *text = NULL, *user = xasprintf("%s:", r->arg);
	_auto_close int fd = -EBADF;
	_auto_buf struct buf out = BUF_INIT;
	int got = edit_open(s, r, &fd, &text, e);

	if (got <= 0)
		return got;
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, "\n"), full = n + (p[n] == '\n');
		const char *pass = str_after(p, user);

		if (pass) {
			size_t len = strcspn(pass, ":\n");

			buf_adds(&out, user);
			buf_adds(&out, len == 1 && *pass == 'x' ? "x" : "*");
			buf_add(&out, pass + len, full - (size_t)(pass + len - p));
		} else {
			buf_add(&out, p, full);
		}
		p += full;
	}
	return out.len && !streq(out.s, text) ? edit_write(fd, r, &out, e) : 0;
}

static bool
sets_variable(const char *line, const char *name, size_t len)
{
	return strncmp(line, name, len) == 0 && strchr("?+:!= \t", line[len]) && line[len];
}

static int
do_line(struct split *s, const struct rule *r, struct err *e)
{
	size_t len = strcspn(r->arg, "?+:!= \t");
	_auto_free char *text = NULL, *leaf = NULL;
	_auto_close int fd = -EBADF, dir = -EBADF;
	_auto_buf struct buf out = BUF_INIT;
	int got = edit_open(s, r, &fd, &text, e);

	if (got < 0)
		return got;
	if (got == 0) {
		dir = open_place(s, r->path, true, &leaf, e);
		if (dir < 0)
			return dir;
		fd = openat(dir, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd < 0 || fchmod(fd, 0644) < 0)
			return err_sys(e, errno, "%s", r->path);
	}
	for (const char *p = text ? text : ""; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (sets_variable(p, r->arg, len))
			return 0;
	if (text && *text) {
		buf_adds(&out, text);
		if (out.s[out.len - 1] != '\n')
			buf_addc(&out, '\n');
	}
	buf_addf(&out, "%s\n", r->arg);
	return edit_write(fd, r, &out, e);
}

/* Reads the file of a rule `add`: in skel/ beside the rules, else the installed one. */
static int
add_source(const struct split *s, const struct rule *r, char **ret, size_t *ret_len, struct err *e)
{
	const char *slash = strrchr(s->rules->file, '/');
	_auto_free char *beside =
	    xasprintf("%.*sskel/%s", slash ? (int)(slash - s->rules->file + 1) : 0, s->rules->file, r->arg);
	_auto_free char *name = path_join("skel", r->arg), *installed = where_data(name);
	int there = fsx_look(AT_FDCWD, beside, NULL);

	if (there < 0)
		return err_sys(e, -there, "%s", beside);
	return fsx_read_at(AT_FDCWD, there > 0 ? beside : installed, EDIT_MAX, ret, ret_len, e);
}

static int
do_add(struct split *s, const struct rule *r, struct err *e)
{
	_auto_free char *leaf = NULL, *data = NULL;
	_auto_close int dir = open_place(s, r->path, true, &leaf, e);
	size_t len;
	int got;

	if (dir < 0)
		return dir;
	got = fsx_look(dir, leaf, NULL);
	if (got != 0)
		return got < 0 ? err_sys(e, -got, "%s", r->path) : 0;
	got = add_source(s, r, &data, &len, e);
	if (got == 0)
		got = fsx_write_atomic(dir, leaf, &(struct fsx_file){data, len, r->mode}, 0, e);
	return got < 0 ? err_wrap(e, "%s:%d: %s", s->rules->file, r->line, r->path) : 0;
}

/* Does the tree have path?  Looked up before anything is added.  1, 0, -errno. */
static int
has(const struct split *s, const char *path, struct err *e)
{
	_auto_free char *leaf = NULL;
	_auto_close int dir = open_place(s, path, false, &leaf, e);
	int r;

	if (dir == -ENOENT || dir == -ENOTDIR) {
		err_clear(e);
		return 0;
	}
	r = dir < 0 ? dir : fsx_look(dir, leaf, NULL);
	return r < 0 && dir >= 0 ? err_sys(e, -r, "%s", path) : r;
}

static int
apply(struct split *s, const struct rule *r, struct err *e)
{
	switch (r->kind) {
	case RULE_EMPTY:
		return do_empty(s, r, e);
	case RULE_FRESH:
		if (r->fresh == FRESH_NAME)
			return 0;
		return do_remove(s, r, e);
	case RULE_DROP:
		return do_remove(s, r, e);
	case RULE_KEEP:
		return do_keep(s, r, e);
	case RULE_LINK:
		return do_link(s, r, e);
	case RULE_LOCK:
		return do_lock(s, r, e);
	case RULE_LINE:
		return do_line(s, r, e);
	case RULE_ADD:
	case RULE_ADD_IF:
		return do_add(s, r, e);
	case RULE_MOVE:
	case RULE_MOVE_IF:
	case RULE_REGENERATE:
	case RULE_HOOK:
	case RULE_DANGLING:
	case RULE_GUARD:
	case RULE_GUARD_FORMAT:
	case RULE_GUARD_ENABLED:
	case RULE_CONFIG:
	case RULE_DATA:
	case RULE_RELEASE:
	case RULE_IGNORE:
		break;
	}
	return 0;
}

/* Moves deeper paths first, so that a rule for usr/local and one for usr do not get in each other's way. */
static int
move_all(struct split *s, struct err *e)
{
	int deepest = 0, r = 0;

	for (size_t i = 0; i < s->rules->n; i++) {
		int depth = 0;

		for (const char *p = s->rules->v[i].path; (p = strchr(p, '/')); p++)
			depth++;
		if (depth > deepest)
			deepest = depth;
	}
	for (int want = deepest; want >= 0 && r == 0; want--)
		for (size_t i = 0; i < s->rules->n && r == 0; i++) {
			const struct rule *rule = &s->rules->v[i];
			int depth = 0;

			for (const char *p = rule->path; (p = strchr(p, '/')); p++)
				depth++;
			if (depth == want && (rule->kind == RULE_MOVE || rule->kind == RULE_MOVE_IF))
				r = do_move(s, rule, e);
		}
	return r;
}

int
split_tree(int root_fd, int skel_fd, const struct rules *rules, struct err *e)
{
	struct split s = {root_fd, skel_fd, rules, STRV_INIT, STRV_INIT};
	_auto_free bool *skip = xcalloc(rules->n + 1, sizeof(*skip));
	int r = take_space(&s, e);

	if (r == 0)
		r = move_all(&s, e);
	for (size_t i = 0; i < rules->n && r == 0; i++) {
		r = rules->v[i].unless ? has(&s, rules->v[i].unless, e) : 0;
		skip[i] = rules->v[i].unless && (r > 0) != (rules->v[i].kind == RULE_ADD_IF);
		r = r < 0 ? r : 0;
	}
	for (size_t i = 0; i < rules->n && r == 0; i++)
		if (!skip[i])
			r = apply(&s, &rules->v[i], e);
	strv_free(&s.names);
	strv_free(&s.owners);
	return r;
}
