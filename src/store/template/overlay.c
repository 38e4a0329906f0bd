/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying a directory over a tree.  It is copied beside the tree first (copy_tree() keeps all attributes),
 * then its entries are moved into the tree one by one.  A directory that the tree has already keeps its own
 * mode and owner.  A link of the tree that leads to a directory (bin -> usr/bin) is followed, inside the
 * tree only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "store/template/build.h"
#include "store/jailspace/space.h"
#include "store/tree.h"

#define OVERLAY_DIR "overlay"

struct overlay {
	int root_fd;
	struct buf path;
	int depth;
};

static int merge(struct overlay *o, int from, int to, struct err *e);

/* Opens the directory that `to`/name is or, as a link, leads to; -ENOENT if there is none. */
static int
tree_dir(const struct overlay *o, int to, const char *name)
{
	int fd = path_open(to, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);

	if (fd < 0 && tree_is_link(to, name))
		fd = path_open(o->root_fd, o->path.s, O_RDONLY | O_DIRECTORY, 0, PATH_IN_ROOT);
	return fd == -ENOTDIR || fd == -ELOOP ? -ENOENT : fd;
}

static int
merge_one(struct overlay *o, int from, int to, const char *name, struct err *e)
{
	_auto_close int sub = -EBADF, there = -EBADF;
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "%s", o->path.s);
	if (S_ISDIR(st.st_mode)) {
		there = tree_dir(o, to, name);
		if (there < 0 && there != -ENOENT)
			return err_sys(e, -there, "%s", o->path.s);
		if (there >= 0) {
			sub = path_open(from, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
			return sub < 0 ? err_sys(e, -sub, "%s", o->path.s) : merge(o, sub, there, e);
		}
	}
	if (fsx_rm_rf_at(to, name, e) < 0)
		return -e->num;
	return renameat(from, name, to, name) < 0 ? err_sys(e, errno, "%s", o->path.s) : 0;
}

static int
merge(struct overlay *o, int from, int to, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;
	size_t len = o->path.len;
	int r = tree_names(from, &names);

	if (r < 0)
		return err_sys(e, -r, "%s", o->path.s);
	if (++o->depth > TREE_DEPTH)
		return err_set(e, ELOOP, "%.60s...: more than %d directories deep", o->path.s, TREE_DEPTH);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		if (len)
			buf_addc(&o->path, '/');
		buf_adds(&o->path, names.v[i]);
		r = merge_one(o, from, to, names.v[i], e);
		o->path.len = len;
		o->path.s[len] = '\0';
	}
	o->depth--;
	return r;
}

int
source_overlay(const struct source_place *at, const char *dir, struct err *e)
{
	_auto_close int from = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), copy = -EBADF;
	_auto_free char *shown = text_printable(dir, 200);
	struct overlay o = {.root_fd = at->root_fd};
	int r;

	build_step(at->pr, dir);
	if (from < 0)
		return err_sys(e, errno, "overlay %s", shown);
	if (path_below(at->store->base, dir))
		return err_set(e, EINVAL, "overlay %s holds brig's own %s", shown, at->store->base);
	r = fsx_mkdir_open(at->dir_fd, OVERLAY_DIR, 0700, &copy, e);
	if (r == 0)
		r = copy_tree(from, copy, 0, at->pr, e);
	buf_adds(&o.path, "");
	if (r == 0)
		r = merge(&o, copy, at->root_fd, e);
	buf_free(&o.path);
	if (r == 0)
		r = fsx_rm_rf_at(at->dir_fd, OVERLAY_DIR, e);
	return r < 0 ? err_wrap(e, "overlay %s", shown) : 0;
}
