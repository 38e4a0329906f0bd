/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carrying a change out and taking it back.  Every operation is one or two renames whose traces tell how far
 * it got, so that both directions can be begun at any point any number of times:
 *
 *	new/N	old/N	path		apply does		revert does
 *	yes	no	before		link path to old/N	nothing
 *	yes	yes	before		exchange new/N and path	remove old/N
 *	= old/N	yes	after		remove new/N		rename old/N to path
 *	no	yes	after		nothing: done		rename old/N to path
 *
 * An exchange, and not a rename: what a running jail puts there at the last moment comes out and goes back.
 * Where before or after is "nothing there" it is a plain rename; directories are not kept but made again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/path.h"
#include "store/change/internal.h"
#include "store/jailspace/host.h"
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

static int
look(int dir, const char *name, struct stat *st, bool *ret)
{
	int r = fsx_look(dir, name, st);

	*ret = r > 0;
	return r < 0 ? r : 0;
}

/* -ENOENT: the directory that the path is in does not exist. */
static int
place_open(struct change *c, struct change_op *op, int space_fd, struct place *p)
{
	int r;

	*p = (struct place){.c = c, .op = op, .dir = -EBADF, .n = change_node_name(op->n)};
	r = look(c->new_fd, p->n.s, NULL, &p->has_new);
	if (r == 0)
		r = look(c->old_fd, p->n.s, NULL, &p->has_old);
	if (r == 0)
		r = change_parent(space_fd, op->path, &p->dir, &p->name);
	return r < 0 ? r : look(p->dir, p->name, &p->st, &p->here);
}

/* 1, 0, -errno. */
static int
same_node(int dir, const char *name, const struct stat *st)
{
	struct stat other;
	int r = fsx_look(dir, name, &other);

	return r <= 0 ? r : other.st_ino == st->st_ino && other.st_dev == st->st_dev;
}

static bool
same_owner(const struct stat *st, const struct change_node *n)
{
	return st->st_uid == n->uid && st->st_gid == n->gid && (st->st_mode & 07777) == n->mode;
}

static bool
same_inode(const struct change_node *a, const struct change_node *b)
{
	return a->ino == b->ino && clock_same(&a->changed, &b->changed);
}

/* Was another name of the same inode set aside by this change?  That alone changed its ctime.  1, 0,
 * -errno. */
static int
other_name_is_aside(const struct place *p)
{
	const struct change *c = p->c;
	int r = 0;

	for (size_t i = 0; i < c->n_op && r == 0; i++)
		if (&c->op[i] != p->op && same_inode(&c->op[i].before, &p->op->before))
			r = same_node(c->old_fd, change_node_name(c->op[i].n).s, &p->st);
	return r;
}

/* Is the path still what it was when the change was staged?  1, 0, -errno. */
static int
as_before(const struct place *p)
{
	const struct change_node *b = &p->op->before;
	int r;

	if (!p->here || b->type == NODE_NONE)
		return !p->here && b->type == NODE_NONE;
	if (tree_type(p->st.st_mode) != b->type)
		return false;
	if (b->type == NODE_DIR)
		return true;
	r = p->has_old ? same_node(p->c->old_fd, p->n.s, &p->st) : 0;
	if (r != 0)
		return r; /* the hard link old/N, too, changed the ctime */
	if (p->st.st_ino != b->ino || (uint64_t)p->st.st_size != b->size)
		return false;
	return clock_same(&p->st.st_ctim, &b->changed) ? 1 : other_name_is_aside(p);
}

/* Does another operation of the change install the same inode? */
static bool
has_other_name(const struct place *p)
{
	const struct change *c = p->c;

	for (size_t i = 0; i < c->n_op; i++)
		if (&c->op[i] != p->op && c->op[i].after.ino == p->op->after.ino)
			return true;
	return false;
}

/*
 * Is new/N still what was staged?  In a rollback it is the kept inode, of which the jail may have another
 * name or an open descriptor; otherwise it is a copy that brig made. Renames of its other names change the
 * ctime: then the content decides, or, of a file too large to be read, what else is recorded.
 */
static int
as_staged(const struct place *p)
{
	const struct change_node *a = &p->op->after;
	struct change_node now;
	struct stat st;
	int r;

	if (p->c->kind != CHANGE_ROLLBACK || a->type != NODE_FILE)
		return 1;
	if (fstatat(p->c->new_fd, p->n.s, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	change_node_of(&st, &now);
	if (now.type != NODE_FILE || now.ino != a->ino || now.size != a->size ||
	    !change_same_owner(&now, a) ||
	    (!a->digest[0] && change_time_differs(&a->modified, &now.modified)))
		return 0;
	if (clock_same(&now.changed, &a->changed))
		return 1;
	if (!a->digest[0])
		return has_other_name(p);
	r = change_look(p->c->new_fd, p->n.s, a->size, &now);
	if (r < 0)
		return tree_is_jails_doing(r) ? 0 : r;
	return streq(now.digest, a->digest);
}

static int
set_owner(const struct place *p, const struct change_node *n)
{
	return change_own(p->dir, p->name, n);
}

/* ---- forwards ---- */

/* The mode of a file after chown(2), which clears set-id bits. */
static mode_t
chowned(mode_t mode)
{
	return mode & ~(mode_t)(mode & S_IXGRP ? S_ISUID | S_ISGID : S_ISUID);
}

/* Owner and mode are as before, as after, or as between the two system calls of set_owner() in either
 * direction. */
static bool
meta_expected(const struct place *p)
{
	const struct change_node *b = &p->op->before, *a = &p->op->after;
	mode_t mode = p->st.st_mode & 07777;
	bool is_b = p->st.st_uid == b->uid && p->st.st_gid == b->gid;
	bool is_a = p->st.st_uid == a->uid && p->st.st_gid == a->gid;

	if (!p->here || tree_type(p->st.st_mode) != b->type)
		return false;
	return (is_b && (mode == b->mode || mode == a->mode || mode == chowned(a->mode))) ||
	       (is_a && (mode == a->mode || mode == b->mode || mode == chowned(b->mode)));
}

/* 1: owner or mode are not as expected. */
static int
apply_meta(const struct place *p)
{
	if (!meta_expected(p))
		return 1;
	return same_owner(&p->st, &p->op->after) ? 0 : set_owner(p, &p->op->after);
}

/* Moves the path to old/N.  1: it was not what was expected, and was moved back. */
static int
set_aside(const struct place *p)
{
	int r;

	if (p->op->tree.n > 0)
		return renameat2(p->dir, p->name, p->c->old_fd, p->n.s, RENAME_NOREPLACE) < 0 ? -errno : 0;
	if (p->op->before.type == NODE_DIR)
		return unlinkat(p->dir, p->name, AT_REMOVEDIR) < 0 ? -errno : 0;
	if (renameat(p->dir, p->name, p->c->old_fd, p->n.s) < 0)
		return -errno;
	r = same_node(p->c->old_fd, p->n.s, &p->st);
	if (r != 0)
		return r < 0 ? r : 0;
	(void)renameat2(p->c->old_fd, p->n.s, p->dir, p->name, RENAME_NOREPLACE);
	return 1;
}

/* Renames new/N to the path, where nothing is. */
static int
put(const struct place *p)
{
	return renameat2(p->c->new_fd, p->n.s, p->dir, p->name, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

/* new/N and the path were exchanged: is what came out the inode of old/N?  1: it is not, and they were
 * exchanged back. */
static int
exchanged(const struct place *p)
{
	struct stat out;
	int r;

	if (fstatat(p->c->new_fd, p->n.s, &out, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	r = same_node(p->c->old_fd, p->n.s, &out);
	if (r < 0)
		return r;
	if (r > 0)
		return unlinkat(p->c->new_fd, p->n.s, 0) < 0 ? -errno : 0;
	return renameat2(p->c->new_fd, p->n.s, p->dir, p->name, RENAME_EXCHANGE) < 0 ? -errno : 1;
}

/* Replaces a file; at no moment is the path missing.  1: the path is not as expected. */
static int
replace(const struct place *p)
{
	int r;

	if (!p->has_old && linkat(p->dir, p->name, p->c->old_fd, p->n.s, 0) < 0) {
		if (errno != EMLINK && errno != EPERM && errno != EOPNOTSUPP)
			return -errno;
		r = set_aside(p); /* no more names, or none at all on this file system: for an instant */
		return r != 0 ? r : put(p);
	}
	r = same_node(p->c->old_fd, p->n.s, &p->st);
	if (r < 0)
		return r;
	if (r == 0) {
		if (!p->has_old)
			(void)unlinkat(p->c->old_fd, p->n.s, 0);
		return 1;
	}
	if (renameat2(p->c->new_fd, p->n.s, p->dir, p->name, RENAME_EXCHANGE) == 0)
		return exchanged(p);
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -errno;
	return renameat(p->c->new_fd, p->n.s, p->dir, p->name) < 0 ? -errno : 0;
}

static bool
is_leaf(enum node_type type)
{
	return type != NODE_NONE && type != NODE_DIR;
}

/* 1: the path is not as expected. */
static int
apply_node(const struct place *p)
{
	enum node_type before = p->op->before.type, after = p->op->after.type;
	int r = 0;

	if (after != NODE_NONE && !p->has_new)
		return 0; /* done */
	if (after == NODE_NONE && !p->here)
		return 0; /* done, or gone by itself */
	if (!p->here && (before == NODE_DIR || (before != NODE_NONE && p->has_old)))
		return put(p); /* set aside already */
	if (is_leaf(before) && is_leaf(after) && p->has_old && p->st.st_ino == p->op->after.ino)
		return exchanged(p);
	r = as_before(p);
	if (r > 0)
		r = p->op->tree.n > 0 && before == NODE_DIR
			? change_tree_as_stamped(p->dir, p->name, &p->op->tree)
			: as_staged(p);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = 0;
	if (is_leaf(before) && is_leaf(after))
		return replace(p);
	if (before != NODE_NONE)
		r = set_aside(p);
	return r != 0 || after == NODE_NONE ? r : put(p);
}

/* Merges the path again; the new nodes are on disk before ID.json names them. */
static int
merge_again(struct change *c, size_t i, int space_fd, struct err *e)
{
	int r = change_stage_again(c, &c->op[i], space_fd, e);

	if (r < 0)
		return r;
	r = host_sync(c->dir_fd);
	return r < 0 ? err_sys(e, -r, "write the staged files of jail %s", c->jail) : 0;
}

/* The jail changed the file after it was staged.  An upgrade merges it again (the new operations come last),
 * a decision becomes a conflict again, anything else keeps the file. */
static int
changed_meanwhile(struct change *c, size_t i, bool again, int space_fd, struct err *e)
{
	const char *path = c->op[i].path;
	const struct record_conflict *waits = record_conflict(&c->was, path);
	int r = 0;

	if (c->op[i].data && c->kind == CHANGE_UPGRADE)
		; /* the jail has something of that name by now */
	else if (c->kind == CHANGE_UPGRADE && !again)
		r = merge_again(c, i, space_fd, e);
	else if (!c->op[i].quiet)
		strv_add(&c->kept, path);
	if (r < 0)
		return r;
	if (c->kind == CHANGE_MERGE && waits)
		record_add_conflict(&c->leaves, path, waits->base, waits->why);
	c->op[i].skip = true;
	if (change_save(c, e) < 0)
		return -e->num;
	change_remove_staged(c, change_node_name(c->op[i].n).s);
	return 0;
}

/* Something else is at the path or above it, or was put there just now. */
static bool
in_the_way(int r)
{
	return r == -ENOENT || r == -ELOOP || r == -ENOTDIR || r == -EXDEV || r == -EEXIST ||
	       r == -ENOTEMPTY || r == -EISDIR;
}

/* The directory of a path that is to be removed does not exist any more: a later operation has removed it. */
static bool
went_before(const struct place *p, int r)
{
	return p->op->after.type == NODE_NONE &&
	       (p->has_old || p->op->before.type == NODE_DIR || r == -ENOENT);
}

static int
apply_one(struct change *c, size_t i, bool again, int space_fd, struct err *e)
{
	struct change_op *op = &c->op[i];
	struct place p;
	int r;

	if (op->skip)
		return 0;
	if (op->copy_id)
		return change_apply_copy(c, op, space_fd, e);
	r = place_open(c, op, space_fd, &p);
	if (r == 0)
		r = op->meta ? apply_meta(&p) : apply_node(&p);
	else if (in_the_way(r) && went_before(&p, r))
		r = 0;
	fd_close(p.dir);
	if (in_the_way(r))
		r = 1;
	if (r < 0)
		return fail(c, op, "put in place", -r, e);
	return r == 0 ? 0 : changed_meanwhile(c, i, again, space_fd, e);
}

/* Records the times of kept files after all renames and before the jail runs on the new ones, when old/N is
 * what was there before. A recovery repeats it for those that have no time yet. */
static int
note_kept_times(struct change *c, struct err *e)
{
	for (size_t i = 0; i < c->n_op; i++) {
		struct change_op *op = &c->op[i];
		struct stat st;
		int r;

		if (c->kind == CHANGE_ROLLBACK || op->skip || op->meta || op->before.type != NODE_FILE ||
		    op->before.digest[0] || op->kept.tv_sec != 0)
			continue;
		r = fsx_look(c->old_fd, change_node_name(op->n).s, &st);
		if (r < 0)
			return fail(c, op, "look at what is kept of", -r, e);
		if (r > 0 && st.st_ino == op->before.ino)
			op->kept = st.st_ctim;
	}
	return 0;
}

int
change_apply(struct change *c, int space_fd, struct err *e)
{
	size_t first = c->n_op;

	for (size_t i = 0; i < c->n_op; i++)
		if (apply_one(c, i, i >= first, space_fd, e) < 0)
			return -e->num;
	return note_kept_times(c, e);
}

/* ---- backwards ---- */

static int
make_dir_again(const struct place *p)
{
	if (!p->here && mkdirat(p->dir, p->name, 0700) < 0)
		return -errno;
	return set_owner(p, &p->op->before);
}

/* Removes what the change installed; a directory that is not empty stays. */
static int
remove_new(const struct place *p)
{
	bool is_dir = p->here && S_ISDIR(p->st.st_mode);

	if (!p->here)
		return 0;
	if (unlinkat(p->dir, p->name, is_dir ? AT_REMOVEDIR : 0) == 0)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST ? 1 : -errno;
}

/* Renames a directory that the change made and that is not empty, to make room for the file that was
 * there. */
static int
move_aside(const struct place *p)
{
	_auto_free char *aside = xasprintf("%s.brig-%u", p->name, p->c->id);

	if (renameat2(p->dir, p->name, p->dir, aside, RENAME_NOREPLACE) < 0)
		return -errno;
	strv_addf(&p->c->kept, "%s.brig-%u", p->op->path, p->c->id);
	return 0;
}

/* A whole directory goes where it came from.  1: it is not as it was given, or something else is there. */
static int
revert_tree(const struct place *p)
{
	int r;

	if (p->op->before.type == NODE_DIR) /* a rollback took it away */
		return p->has_old && renameat2(p->c->old_fd, p->n.s, p->dir, p->name, RENAME_NOREPLACE) < 0
			   ? -errno
			   : 0;
	if (p->has_new || !p->here)
		return 0;
	r = change_tree_as_given(p->dir, p->name, &p->op->tree);
	if (r <= 0)
		return r < 0 ? r : 1;
	return renameat2(p->dir, p->name, p->c->new_fd, p->n.s, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

/* 1: something else is at the path, and stays. */
static int
revert_node(const struct place *p)
{
	enum node_type before = p->op->before.type, after = p->op->after.type;
	int r;

	if (p->op->tree.n > 0)
		return revert_tree(p);
	if (before == NODE_NONE) /* has_new: it never got there */
		return p->has_new ? 0 : remove_new(p);
	if (before == NODE_DIR) {
		if (p->here && S_ISDIR(p->st.st_mode))
			return make_dir_again(p);
		r = remove_new(p);
		if (r != 0)
			return r;
		return mkdirat(p->dir, p->name, 0700) < 0 ? -errno : set_owner(p, &p->op->before);
	}
	if (!p->has_old)
		return 0;
	r = p->has_new && p->here ? same_node(p->c->old_fd, p->n.s, &p->st) : 0;
	if (r < 0)
		return r;
	if (r > 0)
		return unlinkat(p->c->old_fd, p->n.s, 0) < 0 ? -errno : 0;
	if (after == NODE_DIR) {
		r = remove_new(p);
		if (r == 1)
			r = move_aside(p);
		if (r < 0)
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
	if (op->copy_id)
		return change_revert_copy(c, op, space_fd, e);
	r = place_open(c, op, space_fd, &p);
	if (r == 0 && op->meta)
		r = meta_expected(&p) && !same_owner(&p.st, &op->before) ? set_owner(&p, &op->before) : 0;
	else if (r == 0)
		r = revert_node(&p);
	else if (in_the_way(r) && op->before.type == NODE_NONE)
		r = 0; /* the change made the directory as well, and it is removed already */
	fd_close(p.dir);
	if (in_the_way(r))
		r = 1;
	if (r < 0)
		return fail(c, op, "put back", -r, e);
	if (r == 1 && !op->quiet)
		strv_add(&c->kept, op->path);
	return 0;
}

int
change_revert(struct change *c, int space_fd, struct err *e)
{
	for (size_t i = c->n_op; i-- > 0;)
		if (revert_one(c, &c->op[i], space_fd, e) < 0)
			return -e->num;
	return change_revert_data(c, space_fd, e);
}
