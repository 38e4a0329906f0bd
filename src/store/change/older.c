/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way back over changes of a brig that merged data, file by file, as it merged configuration.
 *
 * What a service wrote since must not be overwritten; but a mixture of old and new files of one database is
 * worse than either.  So a piece of data (class.h) goes back as a whole, when nothing in it has been changed
 * since the first of those changes, or it stays as a whole, and is named.
 *
 * Whether a file that no change touched was written since is known by its times: a change is over when the
 * last entry came into its old/ or went from its new/.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/path.h"
#include "store/change/undo.h"
#include "store/tree.h"

#define DIR_SLACK_S 2 /* directories are removed after that */

struct piece {
	char *path;
	const struct change *first; /* the first change that touched it */
	struct timespec over;       /* when that was */
	bool changed;
};

struct pieces {
	struct piece *v;
	size_t n, cap;
	const struct traces *t;
	const struct piece *at; /* the one that is walked */
};

static bool
later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static int
when_over(const struct change *c, struct timespec *ret)
{
	struct stat old, new;

	if (fstat(c->old_fd, &old) < 0 || fstat(c->new_fd, &new) < 0)
		return -errno;
	*ret = later(&old.st_mtim, &new.st_mtim) ? old.st_mtim : new.st_mtim;
	return 0;
}

/* Data, of a change that did not know it.  A directory that has pieces in it is none itself. */
static bool
is_older(const struct trace *t, const struct classes *classes)
{
	return !t->first->data && class_is_data(classes, t->path) &&
	       !(class_mixed(classes, t->path) &&
		 (t->first->before.type == NODE_DIR || t->last->after.type == NODE_DIR));
}

static struct piece *
piece_of(struct pieces *p, const char *path, size_t len)
{
	for (size_t i = 0; i < p->n; i++)
		if (strncmp(p->v[i].path, path, len) == 0 && !p->v[i].path[len])
			return &p->v[i];
	GROW(p->v, p->n, p->cap);
	p->v[p->n] = (struct piece){.path = xstrndup(path, len)};
	return &p->v[p->n++];
}

static int
by_path(const void *key, const void *trace)
{
	return strcmp(key, ((const struct trace *)trace)->path);
}

/* A file of the piece that a change put there: its content is compared, but it may have been written again. */
static bool
written_since(const struct piece *p, int space_fd, const char *path)
{
	const char *name;
	_auto_close int dir = tree_dir_of(space_fd, path, &name);
	struct stat st;

	return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       later(&st.st_mtim, &p->over);
}

/* 1: something that no change touched is newer than that. */
static int
look_at_other(void *ctx, const struct tree_entry *t, struct err *e)
{
	const struct pieces *p = ctx;
	_auto_free char *path = *t->path ? xasprintf("%s/%s", p->at->path, t->path) : xstrdup(p->at->path);
	struct timespec over = p->at->over;

	(void)e;
	if (S_ISDIR(t->st.st_mode)) {
		over.tv_sec += DIR_SLACK_S;
		return later(&t->st.st_mtim, &over);
	}
	if (bsearch(path, p->t->v, p->t->n, sizeof(*p->t->v), by_path))
		return 0;
	return later(&t->st.st_ctim, &over);
}

static int
look_at_others(struct pieces *p, struct piece *one, int space_fd)
{
	_auto_close int top =
	    path_open(space_fd, one->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, PATH_BENEATH);
	struct err e = ERR_INIT;

	int r = top;

	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0; /* a file, or nothing: its own trace says all of it */
	p->at = one;
	if (r >= 0)
		r = tree_walk(top, look_at_other, p, &e);
	one->changed = r > 0 || (r < 0 && tree_is_jails_doing(r));
	return one->changed ? 0 : r;
}

/* Is it not what the last change left, or was it written again? */
static int
look_at_trace(struct piece *one, struct trace *t, int space_fd)
{
	struct change_node now = {0};
	struct change_tree stamp;
	int r = 0;

	if (one->changed)
		return 0;
	r = t->lost ? 0 : undo_look_at_left(t, space_fd, &now, &stamp);

	change_node_free(&now);
	if (r < 0)
		return r;
	one->changed = r == 0 || written_since(one, space_fd, t->path);
	return 0;
}

static int
note_first(struct piece *one, struct trace *t, int space_fd _unused_)
{
	if (one->first && one->first->id <= t->first_of->id)
		return 0;
	one->first = t->first_of;
	return when_over(one->first, &one->over);
}

/* For each trace of older data, as long as that succeeds. */
static int
each(struct pieces *p, struct traces *t, int space_fd,
     int (*fn)(struct piece *one, struct trace *t, int space_fd))
{
	int r = 0;

	for (size_t i = 0; i < t->n && r == 0; i++)
		if (t->v[i].piece > 0)
			r = fn(piece_of(p, t->v[i].path, t->v[i].piece), &t->v[i], space_fd);
	return r;
}

static int
note_left(struct piece *one, struct trace *t, int space_fd _unused_)
{
	t->left = one->changed;
	return 0;
}

int
undo_older_data(struct change *c, struct traces *t, const struct classes *classes, int space_fd,
		struct err *e)
{
	struct pieces p = {.t = t};
	int r;

	for (size_t i = 0; i < t->n; i++)
		t->v[i].piece = is_older(&t->v[i], classes) ? class_piece(classes, t->v[i].path) : 0;
	r = each(&p, t, space_fd, note_first);

	if (r == 0)
		r = each(&p, t, space_fd, look_at_trace);
	for (size_t i = 0; i < p.n && r == 0; i++)
		if (!p.v[i].changed)
			r = look_at_others(&p, &p.v[i], space_fd);
	if (r == 0)
		r = each(&p, t, space_fd, note_left);
	for (size_t i = 0; i < p.n; i++) {
		if (r == 0 && p.v[i].changed)
			strv_add(&c->kept, p.v[i].path);
		free(p.v[i].path);
	}
	free(p.v);
	return r < 0 ? err_sys(e, -r, "jail %s: look at the data of an earlier change", c->jail) : 0;
}
