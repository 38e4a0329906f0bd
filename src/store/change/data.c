/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of directories of data (change.h): made, and put back.
 *
 * A copy is put back by two renames; which of them were made is seen from what is there:
 *
 *	the copy	old/		path		forwards		backwards
 *	yes		no		the data	path to old/		nothing
 *	yes		yes		nothing		the copy to path	old/ to path
 *	no		yes		the copy	nothing: done		path becomes the copy, old/ to path
 *
 * While the path is missing nothing of the jail runs.  Backwards is what a rollback does that is given up.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fsx.h"
#include "base/path.h"
#include "store/change/internal.h"
#include "store/jailspace/host.h"
#include "store/jailspace/space.h"
#include "store/tree.h"

#define DATA "data"

void
change_copies_free(struct change_copy *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].path);
	free(v);
}

static void
forget(struct change *c)
{
	change_copies_free(c->copy, c->n_copy);
	c->copy = NULL;
	c->n_copy = 0;
}

static int
fail(const char *jail, const char *path, const char *what, int num, struct err *e)
{
	_auto_buf struct buf shown = BUF_INIT;

	vis_add(&shown, path);
	return err_sys(e, num, "jail %s: %s %s", jail, what, shown.s);
}

/* ---- which ---- */

int
change_keep_data(struct strv *keep_data, const char *path)
{
	_auto_free char *normal = path_normal(path);
	_auto_strv struct strv all = STRV_INIT;
	const char *p = normal;

	while (p && *p == '/')
		p++;
	if (!p || !*p || streq(p, ".") || path_below(p, CHANGE_INSIDE))
		return -EINVAL;
	for (size_t i = 0; i < keep_data->n; i++)
		if (path_below(p, keep_data->v[i]))
			return 0;
	strv_add(&all, p);
	for (size_t i = 0; i < keep_data->n; i++)
		if (!path_below(keep_data->v[i], p))
			strv_add(&all, keep_data->v[i]);
	strv_free(keep_data);
	*keep_data = all;
	all = (struct strv)STRV_INIT;
	return 0;
}

static int
open_data(const char *path, int space_fd, int *ret, struct err *e)
{
	_auto_buf struct buf shown = BUF_INIT;
	int fd = path_open(space_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, PATH_BENEATH);

	vis_add(&shown, path);
	if (fd == -ENOENT)
		return err_set(e, ENOENT, "has no directory %s that a copy could be kept of", shown.s);
	if (fd == -EXDEV)
		return err_set(e, EXDEV, "%s is a mount: no copy of it can be kept", shown.s);
	if (fd == -ELOOP || fd == -ENOTDIR)
		return err_set(e, ENOTDIR,
			       "%s is no directory, or is behind a link: no copy of it can be kept", shown.s);
	if (fd < 0)
		return err_sys(e, -fd, "open %s", shown.s);
	*ret = fd;
	return 0;
}

int
change_check_data(const struct strv *keep_data, int space_fd, struct err *e)
{
	if (keep_data->n > 0 && space_fd < 0)
		return err_set(e, EINVAL, "its files are in memory: no copy of its data can be kept");
	for (size_t i = 0; i < keep_data->n; i++) {
		_auto_close int fd = -EBADF;

		if (open_data(keep_data->v[i], space_fd, &fd, e) < 0)
			return -e->num;
	}
	return 0;
}

/* ---- making them ---- */

int
change_remove_copies(struct change *c, struct err *e)
{
	forget(c);
	return c->dir_fd >= 0 ? fsx_rm_rf_at(c->dir_fd, DATA, e) : 0;
}

/* *copy has path and n. */
static int
copy_one(struct change *c, struct change_copy *copy, int data_fd, int space_fd, struct err *e)
{
	struct node_name name = change_node_name(copy->n);
	_auto_close int src = -EBADF, dst = -EBADF;
	uint64_t names;
	int r = open_data(copy->path, space_fd, &src, e);

	if (r == 0)
		r = fsx_mkdir_open(data_fd, name.s, 0700, &dst, e);
	if (r == 0 && copy_tree(src, dst, COPY_SKIP_SOCKETS, NULL, e) < 0)
		r = err_wrap(e, "jail %s: %s", c->jail, copy->path);
	if (r == 0)
		r = space_usage(dst, &copy->bytes, &names, e);
	if (r < 0)
		return r;
	/* too deep to be looked at once more: then it counts as touched */
	r = change_tree_stamp(src, ".", NULL, &copy->stamp);
	if (r == 0)
		copy->stamp.digest[0] = '\0';
	copy->when = time(NULL);
	return r < 0 ? fail(c->jail, copy->path, "look at", -r, e) : 0;
}

static int
copy_all(struct change *c, int space_fd, struct err *e)
{
	_auto_close int data = -EBADF;
	int r = change_remove_copies(c, e); /* of a command that was killed */

	if (r == 0)
		r = fsx_mkdir_open(c->dir_fd, DATA, 0700, &data, e);
	c->copy = xcalloc(c->keep_data.n, sizeof(*c->copy));
	for (size_t i = 0; i < c->keep_data.n && r == 0; i++) {
		c->copy[c->n_copy++] = (struct change_copy){
		    .path = xstrdup(c->keep_data.v[i]), .id = c->id, .n = (unsigned)i + 1};
		r = copy_one(c, &c->copy[i], data, space_fd, e);
	}
	return r;
}

/* They are on disk, and ID.json says so, before anything of the new release runs: what is copied again after a crash
 * is what it was. */
int
change_copy_data(struct change *c, int space_fd, struct err *e)
{
	struct err ignore = ERR_INIT;
	int r;

	if (c->n_copy > 0 || c->keep_data.n == 0)
		return 0;
	r = copy_all(c, space_fd, e);
	if (r == 0 && (r = host_sync(c->dir_fd)) < 0)
		(void)err_sys(e, -r, "write the copies of the data of jail %s", c->jail);
	if (r == 0)
		r = change_save(c, e);
	if (r < 0)
		(void)change_remove_copies(c, &ignore);
	return r;
}

/* ---- going back over the change that made them ---- */

/* 1: something of the jail's is in the way. */
static int
revert_one(struct change *c, const struct change_copy *copy, int data_fd, int space_fd)
{
	_auto_free char *old = xasprintf(DATA "-%u", copy->n);
	struct node_name name = change_node_name(copy->n);
	_auto_close int dir = -EBADF;
	const char *last;
	int r = fsx_look(data_fd, name.s, NULL);

	if (r <= 0) /* done */
		return r;
	r = change_parent(space_fd, copy->path, &dir, &last);
	if (r < 0)
		return tree_is_jails_doing(r) ? 1 : r;
	if (copy->stamp.digest[0]) {
		r = change_tree_as_stamped(dir, last, &copy->stamp);
		if (r != 0)
			return r < 0 ? r : 0; /* nobody has touched them */
	}
	if (renameat2(dir, last, c->old_fd, old, RENAME_NOREPLACE) < 0 && errno != ENOENT)
		return -errno;
	return renameat2(data_fd, name.s, dir, last, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

int
change_revert_data(struct change *c, int space_fd, struct err *e)
{
	_auto_close int data = -EBADF;

	if (c->n_copy == 0)
		return 0;
	data = path_open(c->dir_fd, DATA, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, PATH_BENEATH);
	if (data == -ENOENT)
		return 0;
	if (data < 0)
		return err_sys(e, -data, "jail %s: open the copies of its data", c->jail);
	for (size_t i = c->n_copy; i-- > 0;) {
		int r = revert_one(c, &c->copy[i], data, space_fd);

		if (r < 0)
			return fail(c->jail, c->copy[i].path, "put back", -r, e);
		if (r > 0)
			strv_add(&c->kept, c->copy[i].path);
	}
	return 0;
}

/* ---- a rollback to them ---- */

static bool
covered(const struct change_copy *v, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (path_below(path, v[i].path))
			return true;
	return false;
}

static int
by_path(const void *pa, const void *pb)
{
	const struct change_copy *a = pa, *b = pb;

	return strcmp(a->path, b->path);
}

/* A directory that has an older copy as a part of another one gets that. */
int
change_find_copies(const struct store *s, const char *jail, const struct record *rec, const char *to,
		   int space_fd, struct change_copy **ret, size_t *ret_n, struct err *e)
{
	struct change_copy *v = NULL;
	size_t n = 0, first = rec->n_undo;
	int r = 0;

	(void)change_find_way(rec, to, &first);
	for (size_t i = first; i < rec->n_undo && r == 0; i++) {
		_auto_(change_free) struct change past = CHANGE_INIT;

		r = change_load(s, jail, rec->undo[i].id, space_fd, &past, e);
		for (size_t k = 0; k < past.n_copy && r == 0; k++) {
			if (covered(v, n, past.copy[k].path))
				continue;
			v = xrealloc(v, n + 1, sizeof(*v));
			v[n++] = past.copy[k];
			past.copy[k].path = NULL;
		}
	}
	if (r < 0) {
		change_copies_free(v, n);
		return r;
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), by_path);
	*ret = v;
	*ret_n = n;
	return 0;
}

/* The directory of the copies of change id, which lies where those of c do. */
static int
open_copies(const struct change *c, unsigned id, int space_fd)
{
	_auto_free char *path =
	    c->inside ? xasprintf(CHANGE_INSIDE "/%u/" DATA, id) : xasprintf("%u/" DATA, id);

	return path_open(c->inside ? space_fd : c->change_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
			 PATH_BENEATH);
}

static int
is_gone(const struct change *c, const char *path, struct err *e)
{
	_auto_buf struct buf shown = BUF_INIT;

	vis_add(&shown, path);
	return err_set(e, ENOENT,
		       "jail %s: the copy of %s is not there any more (without --with-data the data stay)",
		       c->jail, shown.s);
}

static int
stage_copy(struct change *c, const struct change_copy *copy, int space_fd, struct err *e)
{
	struct node_name name = change_node_name(copy->n);
	_auto_close int dir = open_copies(c, copy->id, space_fd), fd = -EBADF;
	struct change_op *op;
	int r;

	if (dir >= 0)
		fd = path_open(dir, name.s, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, PATH_BENEATH);
	r = dir < 0 ? dir : fd;
	if (r < 0 && tree_is_jails_doing(r))
		return is_gone(c, copy->path, e);
	if (r < 0)
		return fail(c->jail, copy->path, "open the copy of", -r, e);
	op = change_add_op(c, copy->path);
	op->copy_id = copy->id;
	op->copy_n = copy->n;
	op->after.type = NODE_DIR;
	r = change_note_before(op, space_fd);
	return r < 0 ? fail(c->jail, copy->path, "prepare", -r, e) : 0;
}

int
change_no_copies(const char *to, struct err *e)
{
	return err_set(e, ENOENT,
		       "no copy of its data is kept on the way back to release %s (upgrade --keep-data makes "
		       "one; without --with-data the data stay as they are)",
		       to);
}

int
change_stage_copies(struct change *c, const struct record *rec, int space_fd, struct err *e)
{
	struct change_copy *v = NULL;
	size_t n = 0;
	int r = space_fd < 0 ? 0 : change_find_copies(c->store, c->jail, rec, c->to, space_fd, &v, &n, e);

	if (r == 0 && n == 0)
		r = change_no_copies(c->to, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = stage_copy(c, &v[i], space_fd, e);
	change_copies_free(v, n);
	return r;
}

struct exchange {
	int copies, dir; /* directories of the copy and of the path */
	const char *last;
	struct node_name copy, old;
	bool has_copy, has_old, has_parent, here;
};

static int
look(int dir, const char *name, bool *ret)
{
	int r = fsx_look(dir, name, NULL);

	*ret = r > 0;
	return r < 0 ? r : 0;
}

/* The caller closes both directories. */
static int
exchange_open(struct change *c, const struct change_op *op, int space_fd, struct exchange *x)
{
	int r;

	*x = (struct exchange){
	    .dir = -EBADF, .copy = change_node_name(op->copy_n), .old = change_node_name(op->n)};
	x->copies = open_copies(c, op->copy_id, space_fd);
	r = x->copies >= 0                   ? look(x->copies, x->copy.s, &x->has_copy)
	    : tree_is_jails_doing(x->copies) ? 0 /* where they lie in the jailspace */
					     : x->copies;
	if (r == 0)
		r = look(c->old_fd, x->old.s, &x->has_old);
	if (r < 0)
		return r;
	r = change_parent(space_fd, op->path, &x->dir, &x->last);
	x->has_parent = r == 0;
	if (r < 0)
		return tree_is_jails_doing(r) ? 0 : r;
	return look(x->dir, x->last, &x->here);
}

static int
move(int from, const char *name, int to, const char *as)
{
	return renameat2(from, name, to, as, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

int
change_apply_copy(struct change *c, struct change_op *op, int space_fd, struct err *e)
{
	struct exchange x;
	int r = exchange_open(c, op, space_fd, &x);
	bool placed = x.has_old || (op->before.type == NODE_NONE && x.here);

	if (r == 0 && x.has_copy) {
		r = x.has_parent ? 0 : -ENOENT;
		if (r == 0 && x.here)
			r = move(x.dir, x.last, c->old_fd, x.old.s);
		if (r == 0)
			r = move(x.copies, x.copy.s, x.dir, x.last);
	} else if (r == 0 && !placed) {
		r = is_gone(c, op->path, e);
	}
	fd_close(x.copies);
	fd_close(x.dir);
	return r < 0 && !e->num ? fail(c->jail, op->path, "put back the copy of", -r, e) : r;
}

/* The release that it was given up for may have changed the copy: that stays with it. */
int
change_revert_copy(struct change *c, struct change_op *op, int space_fd, struct err *e)
{
	struct exchange x;
	int r = exchange_open(c, op, space_fd, &x);
	bool placed = !x.has_copy && (x.has_old || op->before.type == NODE_NONE);

	if (r == 0 && !x.has_parent && (x.has_old || placed)) {
		strv_add(&c->kept, op->path);
		x.has_old = false;
	} else if (r == 0 && x.here && placed && x.copies >= 0) {
		r = move(x.dir, x.last, x.copies, x.copy.s);
	}
	if (r == 0 && x.has_old && x.here && x.copies < 0) /* there is no place for the copy any more */
		r = renameat2(c->old_fd, x.old.s, x.dir, x.last, RENAME_EXCHANGE) < 0 ? -errno : 0;
	else if (r == 0 && x.has_old)
		r = move(c->old_fd, x.old.s, x.dir, x.last);
	fd_close(x.copies);
	fd_close(x.dir);
	return r < 0 ? fail(c->jail, op->path, "put back", -r, e) : 0;
}
