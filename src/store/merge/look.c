/* SPDX-License-Identifier: BSD-2-Clause */
/* One path in several trees; the paths at which two trees differ. */
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>

#include "base/fsx.h"
#include "base/path.h"
#include "store/merge/internal.h"
#include "store/tree.h"

#define CHUNK 65536

int
merge_node_at(int top, const char *path, struct merge_node *ret)
{
	struct merge_node n = {0};
	const char *name;
	struct stat st;
	_auto_close int dir = tree_dir_of(top, path, &name);
	int r = dir < 0 ? dir : 0;

	if (r == 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP) {
		*ret = n;
		return 0;
	}
	if (r < 0)
		return r;
	n = (struct merge_node){.type = tree_type(st.st_mode),
				.mode = st.st_mode & 07777,
				.uid = st.st_uid,
				.gid = st.st_gid,
				.size = (uint64_t)st.st_size,
				.dev = st.st_dev,
				.ino = st.st_ino,
				.nlink = st.st_nlink,
				.changed = st.st_ctim};
	if (n.type == NODE_LINK) {
		n.link = tree_readlink(dir, name);
		if (!n.link)
			return -errno;
	}
	*ret = n;
	return 0;
}

void
merge_node_copy(struct merge_node *dst, const struct merge_node *src)
{
	*dst = *src;
	dst->link = xstrdup_null(src->link);
}

void
merge_node_free(struct merge_node *n)
{
	free(n->link);
	n->link = NULL;
}

int
merge_open_file(int top, const char *path, const struct merge_node *node)
{
	/* O_NONBLOCK: a FIFO put in the place of the file does not hold us up */
	_auto_close int fd = path_open(top, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, PATH_BENEATH);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_dev != node->dev || st.st_ino != node->ino)
		return -ESTALE;
	return TAKE_FD(fd);
}

void
look_free(struct look *l)
{
	for (int i = 0; i < SIDES; i++)
		free(l->data[i]);
}

static int
look_open(struct look *l, int side)
{
	l->failed = side;
	return merge_open_file(l->top[side], l->path, l->node[side]);
}

/* The sizes are equal, and no more than that is read of a file that somebody appends to. */
static int
same_content(struct look *l, int a, int b)
{
	_auto_free char *buf = NULL;
	_auto_close int fa = look_open(l, a), fb = -EBADF;

	if (fa < 0)
		return fa;
	fb = look_open(l, b);
	if (fb < 0)
		return fb;
	buf = xrealloc(NULL, 2, CHUNK);
	for (uint64_t at = 0; at < l->node[a]->size;) {
		ssize_t na, nb;

		l->failed = a;
		na = fsx_read_full(fa, buf, CHUNK);
		if (na < 0)
			return (int)na;
		l->failed = b;
		nb = fsx_read_full(fb, buf + CHUNK, CHUNK);
		if (nb < 0)
			return (int)nb;
		if (na != nb || memcmp(buf, buf + CHUNK, (size_t)na) != 0)
			return 0;
		if (na == 0)
			break;
		at += (uint64_t)na;
	}
	return 1;
}

int
look_same(struct look *l, int a, int b)
{
	const struct merge_node *na = l->node[a], *nb = l->node[b];

	if (na->type != nb->type)
		return 0;
	if (na->type == NODE_LINK)
		return streq(na->link, nb->link);
	if (na->type != NODE_FILE || (na->dev == nb->dev && na->ino == nb->ino))
		return 1;
	return na->size == nb->size ? same_content(l, a, b) : 0;
}

/* A hole reads as NULs, so the file is no text; a jail gets it for nothing, and it is not read. */
static bool
has_hole(int fd)
{
	struct stat st;
	off_t hole = fstat(fd, &st) == 0 ? lseek(fd, 0, SEEK_HOLE) : -1;

	(void)lseek(fd, 0, SEEK_SET);
	return hole >= 0 && hole < st.st_size;
}

int
look_text(struct look *l, int side, bool *ret)
{
	_auto_close int fd = -EBADF;
	size_t len = 0;
	int r;

	if (!l->loaded[side]) {
		fd = look_open(l, side);
		if (fd < 0)
			return fd;
		if (has_hole(fd)) {
			l->loaded[side] = true;
			*ret = l->is_text[side] = false;
			return 0;
		}
		r = fsx_read_fd(fd, TEXT_MAX, &l->data[side], &len);
		if (r < 0 && r != -EFBIG)
			return r;
		l->loaded[side] = true;
		l->text[side] = (struct text){len ? l->data[side] : "", len};
		l->is_text[side] = r == 0 && text_is_text(l->text[side]);
	}
	*ret = l->is_text[side];
	return 0;
}

bool
merge_matches(const struct strv *patterns, const char *path)
{
	static const char blanks[] = " \t\n";
	_auto_free char *full = NULL;

	for (size_t i = 0; patterns && i < patterns->n; i++)
		for (const char *p = patterns->v[i] + strspn(patterns->v[i], blanks); *p;) {
			size_t len = strcspn(p, blanks);
			_auto_free char *pattern = xstrndup(p, len);

			if (!full)
				full = xasprintf("/%s", path);
			if (fnmatch(pattern, full, 0) == 0)
				return true;
			p += len;
			p += strspn(p, blanks);
		}
	return false;
}

void
merge_show(struct buf *b, const char *name)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c < 0x20 || c > 0x7e || c == '\\')
			buf_addf(b, "\\%03o", c);
		else
			buf_addc(b, (char)c);
	}
}

/* --- delta --- */

struct collect {
	const struct classes *classes;
	struct strv *paths;
};

static int
collect(void *ctx, const struct tree_entry *t, struct err *e)
{
	const struct collect *c = ctx;
	bool data = c->classes && *t->path && class_is_data(c->classes, t->path);

	(void)e;
	if (*t->path && !data)
		strv_add(c->paths, t->path);
	return data && !class_mixed(c->classes, t->path) ? TREE_PRUNE : 0;
}

static int
paths_of(int fd, const char *what, const struct merge_opts *o, struct strv *ret, struct err *e)
{
	struct collect c = {o->classes, ret};

	if (tree_walk(fd, collect, &c, e) < 0)
		return err_wrap(e, "%s", what);
	strv_sort(ret);
	return 0;
}

int
merge_path_error(const char *what, const char *path, int num, struct err *e)
{
	_auto_buf struct buf shown = BUF_INIT;

	merge_show(&shown, path);
	return err_sys(e, num, "%s: /%s", what, shown.s);
}

/* 1 both trees have it and it is the same. */
static int
unchanged(const int *top, const char *path, const struct merge_opts *o, struct err *e)
{
	struct merge_node a = {0}, b = {0};
	struct look l = {.path = path, .top = top, .node = {&a, &b, &b}};
	int r;

	l.failed = SIDE_O;
	r = merge_node_at(top[SIDE_O], path, &a);
	if (r == 0) {
		l.failed = SIDE_N;
		r = merge_node_at(top[SIDE_N], path, &b);
	}
	if (r == 0)
		r = look_same(&l, SIDE_O, SIDE_N);
	if (r < 0)
		r = merge_path_error(l.failed == SIDE_O ? "the old tree" : "the new tree", path, -r, e);
	else if (o->jail && (a.uid != b.uid || a.gid != b.gid || a.mode != b.mode))
		r = 0;
	merge_node_free(&a);
	merge_node_free(&b);
	return r;
}

int
merge_delta(int old_fd, int new_fd, const struct merge_opts *o, struct strv *ret, struct err *e)
{
	_auto_strv struct strv old = STRV_INIT, new = STRV_INIT, found = STRV_INIT;
	const int top[SIDES] = {old_fd, new_fd, -EBADF};
	size_t i = 0, j = 0;

	if (paths_of(old_fd, "the old tree", o, &old, e) < 0 ||
	    paths_of(new_fd, "the new tree", o, &new, e) < 0)
		return -e->num;
	while (i < old.n || j < new.n) {
		int cmp = i == old.n ? 1 : j == new.n ? -1 : strcmp(old.v[i], new.v[j]);
		const char *path = cmp <= 0 ? old.v[i] : new.v[j];
		int same = 0;

		if (!merge_matches(o->ignore, path)) {
			same = cmp == 0 ? unchanged(top, path, o, e) : 0;
			if (same < 0)
				return same;
			if (!same)
				strv_add(&found, path);
		}
		i += cmp <= 0;
		j += cmp >= 0;
	}
	strv_free(ret);
	*ret = found;
	found = (struct strv)STRV_INIT;
	return 0;
}
