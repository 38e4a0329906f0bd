/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A look at a jailspace before it is removed: how much is in it, and is anything mounted there.
 *
 * It may be of any depth and may change meanwhile: no recursion, two descriptors; a parent is opened again
 * by "..", which must be the inode that it was.  (tree.h is for trees that only brig writes: sorted and with
 * paths.)
 */
#include <dirent.h>
#include <fcntl.h>

#include "base/mem.h"
#include "base/path.h"
#include "store/jailspace/host.h"
#include "store/jailspace/space.h"

struct level {
	char *name;
	dev_t dev;
	ino_t ino;
	struct strv sub; /* directories in it that are still to be visited */
	size_t next;
};

struct walk {
	struct level *level;
	size_t depth, cap;
	int at;
	uint64_t mount; /* of the top */
	uint64_t bytes, names;
	bool stop_at_mounts; /* or pass over them */
};

static char *
path_here(const struct walk *w, const char *name)
{
	struct buf b = BUF_INIT;
	size_t from = w->depth > 16 ? w->depth - 16 : 1;

	buf_adds(&b, from > 1 ? ".../" : "");
	for (size_t i = from; i < w->depth; i++)
		buf_addf(&b, "%s/", w->level[i].name);
	buf_adds(&b, name);
	if (b.len > 500)
		memmove(b.s, b.s + b.len - 500, 501);
	return buf_take(&b);
}

static int
fail(const struct walk *w, const char *name, int num, struct err *e)
{
	_auto_free char *path = path_here(w, name);

	return err_sys(e, num, "look at '%s'", path);
}

static int
look(struct walk *w, const char *name, struct err *e)
{
	struct stat st;
	uint64_t mount;
	int r = host_stat_mount(w->at, name, &st, &mount);

	if (r == -ENOENT) /* removed by the jail meanwhile */
		return 0;
	if (r < 0)
		return fail(w, name, -r, e);
	if (mount != w->mount) {
		_auto_free char *path = NULL;

		if (!w->stop_at_mounts)
			return 0;
		path = path_here(w, name);
		return err_set(e, EXDEV, "'%s' is a mount point: unmount it first", path);
	}
	w->names++;
	/* a file with several names counts once: an equal part for each name */
	w->bytes +=
	    (uint64_t)st.st_blocks * 512 / (st.st_nlink > 1 && !S_ISDIR(st.st_mode) ? st.st_nlink : 1);
	if (S_ISDIR(st.st_mode))
		strv_add(&w->level[w->depth - 1].sub, name);
	return 0;
}

/* takes fd */
static int
enter(struct walk *w, const char *name, int fd, struct err *e)
{
	_auto_closedir DIR *dir = NULL;
	struct dirent *de;
	struct stat st;

	GROW(w->level, w->depth, w->cap);
	w->level[w->depth++] = (struct level){.name = xstrdup(name)};
	fd_close(w->at);
	w->at = fd;
	if (fstat(fd, &st) < 0)
		return fail(w, "", errno, e);
	w->level[w->depth - 1].dev = st.st_dev;
	w->level[w->depth - 1].ino = st.st_ino;
	fd = openat(w->at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return fail(w, "", errno, e);
	}
	while ((errno = 0, de = readdir(dir)))
		if (!streq(de->d_name, ".") && !streq(de->d_name, "..") && look(w, de->d_name, e) < 0)
			return -e->num;
	return errno ? fail(w, "", errno, e) : 0;
}

static void
pop(struct walk *w)
{
	struct level *l = &w->level[--w->depth];

	strv_free(&l->sub);
	free(l->name);
}

static int
leave(struct walk *w, struct err *e)
{
	struct level *up;
	struct stat st;
	int fd;

	pop(w);
	if (w->depth == 0)
		return 0;
	up = &w->level[w->depth - 1];
	fd = openat(w->at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(w, "", errno, e);
	fd_close(w->at);
	w->at = fd;
	if (fstat(fd, &st) < 0 || st.st_dev != up->dev || st.st_ino != up->ino)
		return fail(w, "", EAGAIN, e); /* the directory was moved meanwhile */
	return 0;
}

static int
next(struct walk *w, struct err *e)
{
	struct level *l = &w->level[w->depth - 1];
	const char *name;
	int fd;

	if (l->next == l->sub.n)
		return leave(w, e);
	name = l->sub.v[l->next++];
	fd = path_open(w->at, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR || (fd == -EXDEV && !w->stop_at_mounts))
		return 0;
	if (fd == -EXDEV) {
		_auto_free char *path = path_here(w, name);

		return err_set(e, EXDEV, "'%s' is a mount point: unmount it first", path);
	}
	return fd < 0 ? fail(w, name, -fd, e) : enter(w, name, fd, e);
}

static int
run(struct walk *w, int top, struct err *e)
{
	struct stat st;
	int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	w->at = -EBADF;
	if (fd < 0)
		return err_sys(e, errno, "open the jailspace");
	r = host_stat_mount(fd, ".", &st, &w->mount);
	if (r < 0) {
		fd_close(fd);
		return err_sys(e, -r, "look at the jailspace");
	}
	r = enter(w, "", fd, e);
	while (r == 0 && w->depth > 0)
		r = next(w, e);
	while (w->depth > 0)
		pop(w);
	free(w->level);
	fd_close(w->at);
	return r;
}

int
space_usage(int fd, uint64_t *ret_bytes, uint64_t *ret_files, struct err *e)
{
	struct walk w = {0};
	int r = run(&w, fd, e);

	if (r < 0)
		return r;
	*ret_bytes = w.bytes;
	*ret_files = w.names;
	return 0;
}

int
space_check_mounts(int fd, struct err *e)
{
	struct walk w = {.stop_at_mounts = true};

	return run(&w, fd, e);
}
