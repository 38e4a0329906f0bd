/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying a tree (space.h).
 *
 * Depth first, without recursion: a stack of directories, each entered by one name below its verified
 * parent.  At most COPY_OPEN levels keep their descriptors; in a deeper tree a parent is opened again by
 * "..", which must be the inode that it was.  A directory gets its mode, owner and times when it is
 * complete.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "store/jailspace/copy_file.h"
#include "store/jailspace/host.h"
#include "store/jailspace/space.h"

#define COPY_OPEN 24   /* levels with open descriptors, two each */
#define COPY_REPORT 64 /* entries between two reports of progress */

/* A directory on the way down. */
struct frame {
	char *name;
	int src, dst;
	struct stat st; /* of src */
	dev_t dst_dev;
	ino_t dst_ino;
	struct strv sub; /* directories in it, still to do */
	size_t next;
};

/* The first copy of a file with several names. */
struct link {
	dev_t dev;
	ino_t ino;
	char *path; /* below dst; NULL: free slot */
};

struct copy {
	struct copy_fs fs;
	int src, dst; /* the tops */
	int flags;
	const struct progress *pr;
	struct frame *frame;
	size_t depth, cap;
	struct link *link; /* open addressing, a power of two */
	size_t n_links, cap_links;
	uint64_t done;
};

/* Path below the top of name in the innermost directory; the caller frees. */
static char *
path_here(const struct copy *c, const char *name)
{
	struct buf b = BUF_INIT;

	for (size_t i = 1; i < c->depth; i++)
		buf_addf(&b, "%s/", c->frame[i].name);
	buf_adds(&b, name);
	return buf_take(&b);
}

/* The same for a message: only its end, if it is very long.  name "": the directory itself. */
static char *
path_shown(const struct copy *c, const char *name)
{
	_auto_free char *path = path_here(c, name);
	size_t len = strlen(path);

	if (!*name && len > 0)
		path[--len] = '\0'; /* the '/' */
	if (len == 0)
		return xstrdup(".");
	return len > 400 ? xasprintf("...%s", path + len - 400) : xstrdup(path);
}

static int
fail(const struct copy *c, const char *name, int r, struct err *e)
{
	_auto_free char *path = path_shown(c, name);

	return err_sys(e, -r, "copy '%s'", path);
}

/* ---- files with several names ---- */

static size_t
link_slot(const struct link *v, size_t cap, dev_t dev, ino_t ino)
{
	size_t i = (size_t)((ino * 0x9e3779b97f4a7c15u) ^ (dev * 0xff51afd7ed558ccdu));

	for (i ^= i >> 29;; i++) {
		const struct link *l = &v[i & (cap - 1)];

		if (!l->path || (l->ino == ino && l->dev == dev))
			return i & (cap - 1);
	}
}

static struct link *
link_find(struct copy *c, const struct stat *st)
{
	if (c->n_links * 2 >= c->cap_links) {
		size_t cap = c->cap_links ? c->cap_links * 2 : 64;
		struct link *v = xcalloc(cap, sizeof(*v));

		for (size_t i = 0; i < c->cap_links; i++)
			if (c->link[i].path)
				v[link_slot(v, cap, c->link[i].dev, c->link[i].ino)] = c->link[i];
		free(c->link);
		c->link = v;
		c->cap_links = cap;
	}
	return &c->link[link_slot(c->link, c->cap_links, st->st_dev, st->st_ino)];
}

/* Opens the directory part of a path of any length below top; *ret_name its last component. */
static int
open_parent(int top, const char *path, const char **ret_name)
{
	const char *last = strrchr(path, '/');
	_auto_close int at = openat(top, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (at >= 0 && last && path < last) {
		char part[PATH_MAX];
		size_t len = (size_t)(last - path);
		int fd;

		if (len >= sizeof(part)) /* the longest beginning that ends at a '/' */
			for (len = sizeof(part) - 1; path[len] != '/'; len--)
				;
		memcpy(part, path, len);
		part[len] = '\0';
		fd = path_open(at, part, O_PATH | O_DIRECTORY, 0, PATH_BENEATH);
		if (fd < 0)
			return fd;
		fd_close(at);
		at = fd;
		path += len + 1;
	}
	if (at < 0)
		return -errno;
	*ret_name = last ? last + 1 : path;
	return TAKE_FD(at);
}

/* 1: name is now another name of a file copied before.  0: the first time. */
static int
link_again(struct copy *c, int dst, const char *name, const struct stat *st)
{
	struct link *l = link_find(c, st);
	_auto_close int parent = -EBADF;
	const char *last;

	if (!l->path) {
		*l = (struct link){st->st_dev, st->st_ino, path_here(c, name)};
		c->n_links++;
		return 0;
	}
	parent = open_parent(c->dst, l->path, &last);
	if (parent < 0)
		return parent;
	return linkat(parent, last, dst, name, 0) < 0 ? -errno : 1;
}

/* ---- one entry of a directory ---- */

static int
special(const struct copy *c, const char *name, mode_t mode, const char *what, struct err *e)
{
	_auto_free char *path = NULL;

	if (c->flags & COPY_SKIP_SPECIAL)
		return 0;
	if (S_ISSOCK(mode) && (c->flags & COPY_SKIP_SOCKETS))
		return 0;
	path = path_shown(c, name);
	return err_set(e, EINVAL, "'%s' is %s: it cannot be copied (remove it first)", path, what);
}

/* Something is mounted on name: an error, or, with COPY_SKIP_SPECIAL, an empty directory in the copy. */
static int
mount_point(struct copy *c, const struct frame *f, const char *name, struct err *e)
{
	struct stat st;
	int fd, r;

	if (!(c->flags & COPY_SKIP_SPECIAL)) {
		_auto_free char *path = path_shown(c, name);

		return err_set(e, EXDEV, "'%s' is a mount point: it is not copied (unmount it first)", path);
	}
	if (fstatat(f->src, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(c, name, -errno, e);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (mkdirat(f->dst, name, 0700) < 0)
		return fail(c, name, -errno, e);
	fd = openat(f->dst, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(c, name, -errno, e);
	r = copy_attributes(&c->fs, -1, fd, &st, 0700);
	fd_close(fd);
	return r < 0 ? fail(c, name, r, e) : 0;
}

static int
copy_regular(struct copy *c, const struct frame *f, const char *name, struct err *e)
{
	_auto_close int src = copy_open(&c->fs, f->src, name, 0);
	struct stat st;
	int r;

	if (src == -EXDEV)
		return mount_point(c, f, name, e);
	if (src < 0 || fstat(src, &st) < 0)
		return fail(c, name, src < 0 ? src : -errno, e);
	if (!S_ISREG(st.st_mode)) {
		_auto_free char *path = path_shown(c, name);

		return err_set(e, EAGAIN, "'%s' was replaced by something else while it was copied", path);
	}
	if (st.st_nlink > 1) {
		r = link_again(c, f->dst, name, &st);
		if (r != 0)
			return r < 0 ? fail(c, name, r, e) : 0;
	}
	r = copy_file(&c->fs, src, f->dst, name, &st);
	return r < 0 ? fail(c, name, r, e) : 0;
}

/* Links and FIFOs; sockets and devices are for special(). */
static int
copy_other(struct copy *c, const struct frame *f, const char *name, struct err *e)
{
	struct stat st;
	int r;

	if (fstatat(f->src, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(c, name, -errno, e);
	switch (st.st_mode & S_IFMT) {
	case S_IFLNK:
	case S_IFIFO:
		break;
	case S_IFSOCK:
		return special(c, name, st.st_mode, "a socket", e);
	case S_IFBLK:
	case S_IFCHR:
		return special(c, name, st.st_mode, "a device node", e);
	default: {
		_auto_free char *path = path_shown(c, name);

		return err_set(e, EAGAIN, "'%s' was replaced by something else while it was copied", path);
	}
	}
	if (st.st_nlink > 1) {
		r = link_again(c, f->dst, name, &st);
		if (r != 0)
			return r < 0 ? fail(c, name, r, e) : 0;
	}
	r = copy_node(&c->fs, f->src, f->dst, name, &st);
	return r < 0 ? fail(c, name, r, e) : 0;
}

static int
copy_entry(struct copy *c, size_t at, const char *name, unsigned char type, struct err *e)
{
	struct frame *f = &c->frame[at];
	struct stat st;
	int r;

	if (type == DT_UNKNOWN) {
		if (fstatat(f->src, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return fail(c, name, -errno, e);
		type = (unsigned char)IFTODT(st.st_mode);
	}
	if (type == DT_DIR) {
		strv_add(&f->sub, name);
		return 0;
	}
	r = type == DT_REG ? copy_regular(c, f, name, e) : copy_other(c, f, name, e);
	if (r == 0 && ++c->done % COPY_REPORT == 0 && c->pr && c->pr->at)
		c->pr->at(c->pr->ctx, c->done, 0);
	return r;
}

/* ---- directories ---- */

/* Copies all that is not a directory and notes the directories. */
static int
copy_entries(struct copy *c, struct err *e)
{
	_auto_closedir DIR *dir = NULL;
	size_t at = c->depth - 1;
	struct dirent *d;
	int fd = fcntl(c->frame[at].src, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return fail(c, "", -errno, e);
	dir = fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return fail(c, "", -ENOMEM, e);
	}
	while ((errno = 0, d = readdir(dir))) {
		int r = 0;

		if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
			r = copy_entry(c, at, d->d_name, d->d_type, e);
		if (r < 0)
			return r;
	}
	return errno ? fail(c, "", -errno, e) : 0;
}

static void
frame_close(struct frame *f)
{
	fd_close(f->src);
	fd_close(f->dst);
	f->src = f->dst = -EBADF;
}

/* src and dst belong to the stack from now on, also on failure. */
static int
push(struct copy *c, const char *name, int src, int dst, struct err *e)
{
	struct frame *f;

	GROW(c->frame, c->depth, c->cap);
	f = &c->frame[c->depth++];
	*f = (struct frame){.name = xstrdup(name), .src = src, .dst = dst};
	if (fstat(src, &f->st) < 0)
		return fail(c, "", -errno, e);
	if (c->depth > COPY_OPEN + 1) { /* the top stays open */
		struct stat st;

		f = &c->frame[c->depth - 1 - COPY_OPEN];
		if (fstat(f->dst, &st) < 0)
			return fail(c, "", -errno, e);
		f->dst_dev = st.st_dev;
		f->dst_ino = st.st_ino;
		frame_close(f);
	}
	return copy_entries(c, e);
}

static int
open_up(int from, dev_t dev, ino_t ino)
{
	int fd = openat(from, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino)
		return fd;
	fd_close(fd);
	return -EAGAIN; /* moved away while it was copied */
}

/* The innermost directory is complete. */
static int
pop(struct copy *c, struct err *e)
{
	struct frame *f = &c->frame[c->depth - 1], *up = c->depth > 1 ? f - 1 : NULL;
	int r = copy_attributes(&c->fs, f->src, f->dst, &f->st, 0700);

	if (r == 0 && up && up->src < 0) {
		up->src = r = open_up(f->src, up->st.st_dev, up->st.st_ino);
		if (r >= 0)
			up->dst = r = open_up(f->dst, up->dst_dev, up->dst_ino);
	}
	if (r < 0)
		return fail(c, "", r, e);
	frame_close(f);
	strv_free(&f->sub);
	free(f->name);
	c->done += --c->depth > 0; /* the top itself does not count */
	return 0;
}

static int
enter(struct copy *c, const char *name, struct err *e)
{
	struct frame *f = &c->frame[c->depth - 1];
	int src = copy_open(&c->fs, f->src, name, O_DIRECTORY);
	int dst;

	if (src == -EXDEV)
		return mount_point(c, f, name, e);
	if (src < 0)
		return fail(c, name, src, e);
	if (mkdirat(f->dst, name, 0700) < 0) {
		fd_close(src);
		return fail(c, name, -errno, e);
	}
	dst = openat(f->dst, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dst < 0) {
		fd_close(src);
		return fail(c, name, -errno, e);
	}
	return push(c, name, src, dst, e);
}

static int
walk(struct copy *c, struct err *e)
{
	int src = openat(c->src, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int dst = openat(c->dst, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = src < 0 || dst < 0 ? err_sys(e, errno, "open the directories to copy") : 0;

	if (r < 0) {
		fd_close(src);
		fd_close(dst);
		return r;
	}
	r = push(c, "", src, dst, e);
	while (r == 0 && c->depth > 0) {
		struct frame *f = &c->frame[c->depth - 1];

		if (f->next < f->sub.n)
			r = enter(c, f->sub.v[f->next++], e);
		else
			r = pop(c, e);
	}
	return r;
}

/* Files made in dst are not to get a group or an ACL from it; and nobody else is to reach them yet. */
static int
prepare(const struct copy *c, struct err *e)
{
	int r;

	if (fchown(c->dst, c->fs.uid, c->fs.gid) < 0 || fchmod(c->dst, 0700) < 0)
		return err_sys(e, errno, "prepare the directory to copy to");
	r = host_no_default_acl(c->dst);
	return r < 0 ? err_sys(e, -r, "prepare the directory to copy to") : 0;
}

int
copy_tree(int src_fd, int dst_fd, int flags, const struct progress *pr, struct err *e)
{
	struct copy c = {.src = src_fd, .dst = dst_fd, .flags = flags, .pr = pr};
	int r;

	copy_fs_init(&c.fs);
	r = prepare(&c, e);
	if (r == 0)
		r = walk(&c, e);
	if (r == 0 && pr && pr->at)
		pr->at(pr->ctx, c.done, c.done);
	while (c.depth > 0) {
		struct frame *f = &c.frame[--c.depth];

		frame_close(f);
		strv_free(&f->sub);
		free(f->name);
	}
	free(c.frame);
	for (size_t i = 0; i < c.cap_links; i++)
		free(c.link[i].path);
	free(c.link);
	copy_fs_free(&c.fs);
	return r;
}
