/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carrying a change out and taking it back.  Every operation is one or two renames whose traces tell how far
 *it got, so that both directions can be begun at any point any number of times:
 *
 *	new/N	old/N	path		apply does		revert does
 *	yes	no	before		link path to old/N	nothing
 *	yes	yes	before		rename new/N to path	remove old/N
 *	no	yes	after		nothing: done		rename old/N to path
 *
 * (where before or after is "nothing there" the same with a plain rename; directories are not kept but made
 *again).
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/path.h"
#include "store/change_int.h"
#include "store/tree.h"

struct place {
	struct change *c;
	struct change_op *op;
	int dir; /* of the path */
	const char *name;
	struct node_name n;
	bool has_new, has_old;
	bool here; /* something is at path */
	struct stat st;
};

static int
fail(const struct change *c, const struct change_op *op, const char *what, int num, struct err *e)
{
	_auto_buf struct buf shown = BUF_INIT;

	vis_add(&shown, op->path);
	return err_sys(e, num, "jail %s: %s %s", c->jail, what, shown.s);
}

/* -ENOENT: the directory of the path is not there. */
static int
place_open(struct change *c, struct change_op *op, int space_fd, struct place *p)
{
	struct stat st;
	int r;

	*p = (struct place){.c = c, .op = op, .dir = -EBADF, .n = change_node_name(op->n)};
	p->has_new = fstatat(c->new_fd, p->n.s, &st, AT_SYMLINK_NOFOLLOW) == 0;
	p->has_old = fstatat(c->old_fd, p->n.s, &st, AT_SYMLINK_NOFOLLOW) == 0;
	r = change_parent(space_fd, op->path, &p->dir, &p->name);
	if (r < 0)
		return r;
	if (fstatat(p->dir, p->name, &p->st, AT_SYMLINK_NOFOLLOW) == 0)
		p->here = true;
	else if (errno != ENOENT)
		return -errno;
	return 0;
}

static bool
same_node(int dir, const char *name, const struct stat *st)
{
	struct stat other;

	return fstatat(dir, name, &other, AT_SYMLINK_NOFOLLOW) == 0 && other.st_ino == st->st_ino &&
	       other.st_dev == st->st_dev;
}

static bool
same_owner(const struct stat *st, const struct change_node *n)
{
	return st->st_uid == n->uid && st->st_gid == n->gid && (st->st_mode & 07777) == n->mode;
}

/* Is what is there what was looked at when the change was staged? */
static bool
as_before(const struct place *p)
{
	const struct change_node *b = &p->op->before;

	if (!p->here || b->type == NODE_NONE)
		return !p->here && b->type == NODE_NONE;
	if (change_type(p->st.st_mode) != b->type)
		return false;
	if (b->type == NODE_DIR)
		return true;
	if (p->has_old && same_node(p->c->old_fd, p->n.s, &p->st))
		return true; /* our own link to it changed its time */
	return p->st.st_ino == b->ino && (uint64_t)p->st.st_size == b->size &&
	       p->st.st_ctim.tv_sec == b->changed.tv_sec && p->st.st_ctim.tv_nsec == b->changed.tv_nsec;
}

static int
set_owner(const struct place *p, const struct change_node *n)
{
	return change_own(p->dir, p->name, n);
}

/* ---- forwards ---- */

/* Between the two system calls of set_owner() the owner is new and the mode old, perhaps without set-id bits.
 */
static bool
meta_expected(const struct place *p)
{
	const struct change_node *b = &p->op->before, *a = &p->op->after;
	mode_t mode = p->st.st_mode & 07777;

	if (!p->here || change_type(p->st.st_mode) != b->type)
		return false;
	if (p->st.st_uid != b->uid && p->st.st_uid != a->uid)
		return false;
	return mode == b->mode || mode == a->mode || mode == (b->mode & 01777);
}

/* 1: it is not as expected. */
static int
apply_meta(const struct place *p)
{
	if (!meta_expected(p))
		return 1;
	return same_owner(&p->st, &p->op->after) ? 0 : set_owner(p, &p->op->after);
}

/* Takes what is there out of the way, keeping it. */
static int
set_aside(const struct place *p)
{
	if (p->op->before.type == NODE_DIR)
		return unlinkat(p->dir, p->name, AT_REMOVEDIR) < 0 ? -errno : 0;
	return renameat(p->dir, p->name, p->c->old_fd, p->n.s) < 0 ? -errno : 0;
}

/* One file in the place of another: at no instant is there none. */
static int
replace(const struct place *p)
{
	if (p->has_old && !same_node(p->c->old_fd, p->n.s, &p->st))
		return -EUCLEAN;
	if (!p->has_old && linkat(p->dir, p->name, p->c->old_fd, p->n.s, 0) < 0)
		return -errno;
	return renameat(p->c->new_fd, p->n.s, p->dir, p->name) < 0 ? -errno : 0;
}

/* 1: it is not as expected. */
static int
apply_node(const struct place *p)
{
	enum node_type before = p->op->before.type, after = p->op->after.type;
	int r = 0;

	if (after != NODE_NONE && !p->has_new)
		return 0; /* done */
	if (after == NODE_NONE && !p->here)
		return 0; /* done, or gone by itself */
	if (before != NODE_NONE && before != NODE_DIR && !p->here && p->has_old)
		goto put; /* set aside already */
	if (!as_before(p))
		return 1;
	if (before != NODE_NONE && before != NODE_DIR && after != NODE_NONE && after != NODE_DIR)
		return replace(p);
	if (before != NODE_NONE)
		r = set_aside(p);
	if (r == -ENOTEMPTY || r == -EEXIST)
		return 1;
	if (r < 0 || after == NODE_NONE)
		return r;
put:
	r = renameat2(p->c->new_fd, p->n.s, p->dir, p->name, RENAME_NOREPLACE) < 0 ? -errno : 0;
	return r == -EEXIST ? 1 : r;
}

static void
drop_staged(const struct change *c, const struct change_op *op)
{
	struct node_name n = change_node_name(op->n);

	if (unlinkat(c->new_fd, n.s, 0) < 0)
		(void)unlinkat(c->new_fd, n.s, AT_REMOVEDIR);
}

/* The jail changed the file after it was looked at: an upgrade merges it again (the new operations come
 * last), a decision about a conflict waits again, anything else leaves it. */
static int
changed_meanwhile(struct change *c, size_t i, bool again, int space_fd, struct err *e)
{
	const char *path = c->op[i].path;
	const struct record_conflict *waits = record_conflict(&c->was, path);
	int r = 0;

	if (c->kind == CHANGE_UPGRADE && !again)
		r = change_stage_again(c, &c->op[i], space_fd, e);
	else
		strv_add(&c->kept, path);
	if (r < 0)
		return r;
	if (c->kind == CHANGE_MERGE && waits)
		record_add_conflict(&c->leaves, path, waits->base, waits->why);
	c->op[i].skip = true;
	if (change_save(c, e) < 0)
		return -e->num;
	drop_staged(c, &c->op[i]);
	return 0;
}

static int
apply_one(struct change *c, size_t i, bool again, int space_fd, struct err *e)
{
	struct change_op *op = &c->op[i];
	struct place p;
	int r;

	if (op->skip)
		return 0;
	r = place_open(c, op, space_fd, &p);
	if (r == 0)
		r = op->meta ? apply_meta(&p) : apply_node(&p);
	fd_close(p.dir);
	if (r == -ENOENT || r == -ELOOP || r == -ENOTDIR || r == -EXDEV)
		r = 1; /* a directory above it is not what it was */
	if (r < 0)
		return fail(c, op, "put in place", -r, e);
	return r == 0 ? 0 : changed_meanwhile(c, i, again, space_fd, e);
}

int
change_apply(struct change *c, int space_fd, struct err *e)
{
	size_t first = c->n_op;

	for (size_t i = 0; i < c->n_op; i++)
		if (apply_one(c, i, i >= first, space_fd, e) < 0)
			return -e->num;
	return 0;
}

/* ---- backwards ---- */

static int
make_dir_again(const struct place *p)
{
	if (!p->here && mkdirat(p->dir, p->name, 0700) < 0)
		return -errno;
	return set_owner(p, &p->op->before);
}

/* What the change put there goes; a directory that has got something in it stays. */
static int
take_away(const struct place *p)
{
	bool is_dir = p->here && S_ISDIR(p->st.st_mode);

	if (!p->here)
		return 0;
	if (unlinkat(p->dir, p->name, is_dir ? AT_REMOVEDIR : 0) == 0)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST ? 1 : -errno;
}

/* 1: something else is in the way and stays. */
static int
revert_node(const struct place *p)
{
	enum node_type before = p->op->before.type, after = p->op->after.type;
	int r;

	if (before == NODE_NONE) /* has_new: it never got there */
		return p->has_new ? 0 : take_away(p);
	if (before == NODE_DIR) {
		if (p->here && S_ISDIR(p->st.st_mode))
			return make_dir_again(p);
		r = take_away(p);
		if (r != 0)
			return r;
		return mkdirat(p->dir, p->name, 0700) < 0 ? -errno : set_owner(p, &p->op->before);
	}
	if (!p->has_old)
		return 0;
	if (p->has_new && p->here && same_node(p->c->old_fd, p->n.s, &p->st))
		return unlinkat(p->c->old_fd, p->n.s, 0) < 0 ? -errno : 0;
	if (after == NODE_DIR) {
		r = take_away(p);
		if (r != 0)
			return r;
	}
	return renameat(p->c->old_fd, p->n.s, p->dir, p->name) < 0 ? -errno : 0;
}

static int
revert_one(struct change *c, struct change_op *op, int space_fd, struct err *e)
{
	struct place p;
	int r;

	if (op->skip)
		return 0;
	r = place_open(c, op, space_fd, &p);
	if (r == 0 && op->meta)
		r = p.here && meta_expected(&p) ? set_owner(&p, &op->before) : 0;
	else if (r == 0)
		r = revert_node(&p);
	fd_close(p.dir);
	if (r == -ENOENT || r == -ELOOP || r == -ENOTDIR || r == -EXDEV)
		r = 1;
	if (r < 0)
		return fail(c, op, "put back", -r, e);
	if (r == 1)
		strv_add(&c->kept, op->path);
	return 0;
}

int
change_revert(struct change *c, int space_fd, struct err *e)
{
	for (size_t i = c->n_op; i-- > 0;)
		if (revert_one(c, &c->op[i], space_fd, e) < 0)
			return -e->num;
	return 0;
}
