/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a layer removes of those below it (image-spec, layer.md): ".wh.NAME" hides NAME, ".wh..wh..opq"
 * everything in its directory, and an entry replaces one of another type that has its name.
 *
 * A layer hides nothing of its own, whatever the order of its entries.  So it is read twice: here, to remove
 * what is below, then by import_entries(), which only makes things.  What is removed is named below the
 * tree's top and through no link; nothing is mounted there; a deep tree needs no stack.  Overlayfs' own
 * whiteouts are not part of the image-spec: a device 0:0 is refused like every device, attributes
 * "overlay.*" are not set.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/path.h"
#include "import/import_int.h"

#define PREFIX ".wh."
#define OPAQUE ".wh..wh..opq"

static int
bad(const struct import *im, const char *why, struct err *e)
{
	return err_set(e, EINVAL, "'%s': %s", im->shown, why);
}

int
whiteout_of(const struct import *im, struct archive_entry *entry, enum whiteout *ret, struct err *e)
{
	const char *leaf = strrchr(im->path, '/'), *name;

	leaf = leaf ? leaf + 1 : im->path;
	for (const char *p = im->path; p < leaf; p = strchr(p, '/') + 1)
		if (str_after(p, PREFIX))
			return bad(im, "leads through the name of a whiteout", e);
	name = str_after(leaf, PREFIX);
	if (!name) {
		*ret = WHITEOUT_NONE;
		return 0;
	}
	if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) != AE_IFREG)
		return bad(im, "has the name of a whiteout and is not a file", e);
	if (streq(leaf, OPAQUE)) {
		*ret = WHITEOUT_OPAQUE;
		return 0;
	}
	if (!*name || streq(name, ".") || streq(name, "..") || str_after(name, PREFIX))
		return bad(im, "is not a whiteout of a name", e);
	*ret = WHITEOUT_NAME;
	return 0;
}

/* ---- removing ---- */

static int
remove_one(const struct import *im, int dir, const char *leaf, struct err *e)
{
	struct err why;

	/* its message is not used: it has names as they are on disk, not printable */
	if (fsx_rm_rf_at(dir, leaf, &why) < 0)
		return err_sys(e, why.num, "'%s': remove what the layers below have there", im->shown);
	return 0;
}

static int
remove_content(const struct import *im, int fd, struct err *e)
{
	int list = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_auto_closedir DIR *d = list >= 0 ? fdopendir(list) : NULL;
	struct dirent *de;

	if (!d) {
		fd_close(list);
		return err_sys(e, errno, "'%s'", im->shown);
	}
	while ((errno = 0, de = readdir(d))) {
		if (streq(de->d_name, ".") || streq(de->d_name, ".."))
			continue;
		if (remove_one(im, fd, de->d_name, e) < 0)
			return -e->num;
	}
	return errno ? err_sys(e, errno, "'%s'", im->shown) : 0;
}

/* 1: path exists, and *ret is the directory that it is in.  0: it does not, also where it leads through a
 * file. */
static int
below(const struct import *im, const char *path, int *ret, const char **ret_leaf, struct stat *st,
      struct err *e)
{
	int dir = import_parent(im, path, false, ret_leaf, e);

	if (dir == -ENOENT || dir == -ENOTDIR)
		return 0;
	if (dir < 0)
		return dir;
	if (fstatat(dir, *ret_leaf, st, AT_SYMLINK_NOFOLLOW) < 0) {
		int r = errno == ENOENT ? 0 : err_sys(e, errno, "'%s'", im->shown);

		fd_close(dir);
		return r;
	}
	*ret = dir;
	return 1;
}

/* Where a layer below has the entry's name with another type, one of them a directory: removes that, with
 * all that is in it. */
static int
replace(const struct import *im, struct archive_entry *entry, struct err *e)
{
	bool is_dir = !archive_entry_hardlink(entry) && archive_entry_filetype(entry) == AE_IFDIR;
	_auto_close int dir = -EBADF;
	struct err unused = ERR_INIT;
	const char *leaf;
	struct stat st;

	/* where it cannot be reached now, making the entry will fail and say why */
	if (!*im->path || below(im, im->path, &dir, &leaf, &st, &unused) <= 0 ||
	    is_dir == (S_ISDIR(st.st_mode) != 0) || (!is_dir && !S_ISDIR(st.st_mode)))
		return 0;
	return remove_one(im, dir, leaf, e);
}

/* path: of the whiteout itself. */
static int
hide(struct import *im, const char *path, struct err *e)
{
	const char *leaf, *name = strrchr(path, '/');
	_auto_close int dir = -EBADF, fd = -EBADF;
	_auto_free char *target = NULL;
	bool opaque;
	struct stat st;
	int r;

	name = name ? name + 1 : path;
	opaque = streq(name, OPAQUE);
	target = opaque ? xstrndup(path, (size_t)(name - path))
			: xasprintf("%.*s%s", (int)(name - path), path, name + strlen(PREFIX));
	if (opaque && !*target)
		return remove_content(im, im->top, e);
	if (opaque)
		target[strlen(target) - 1] = '\0';
	r = below(im, target, &dir, &leaf, &st, e);
	if (r <= 0)
		return r;
	if (!opaque)
		return remove_one(im, dir, leaf, e);
	if (S_ISLNK(st.st_mode))
		return err_set(e, ELOOP, "'%s': its directory is a link", im->shown);
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = path_open(dir, leaf, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	return fd < 0 ? err_sys(e, -fd, "'%s'", im->shown) : remove_content(im, fd, e);
}

/* ---- the layer ---- */

static int
look_at(struct import *im, struct archive_entry *entry, struct strv *whiteouts, struct err *e)
{
	enum whiteout kind;

	if (import_count(im, entry, e) < 0 || whiteout_of(im, entry, &kind, e) < 0)
		return -e->num;
	if (kind != WHITEOUT_NONE)
		strv_add(whiteouts, im->path);
	else if (replace(im, entry, e) < 0)
		return -e->num;
	return import_pass(im, e);
}

/* Whiteouts are obeyed last: what the layer replaces with a directory could be in their way. */
int
whiteout_apply(struct import *im, struct err *e)
{
	const uint64_t entries = im->entries, names = im->names, total = im->total;
	_auto_strv struct strv whiteouts = STRV_INIT;
	struct archive_entry *entry;
	int r;

	while ((r = import_next(im, &entry, e)) > 0)
		if (look_at(im, entry, &whiteouts, e) < 0)
			return -e->num;
	for (size_t i = 0; r == 0 && i < whiteouts.n; i++) {
		im->shown = text_printable(whiteouts.v[i], 200);
		r = hide(im, whiteouts.v[i], e);
		free(im->shown);
		im->shown = NULL;
	}
	/* import_entries() counts them again */
	im->entries = entries;
	im->names = names;
	im->total = total;
	return r;
}
