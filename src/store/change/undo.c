/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way back: what the changes since a release kept, combined.  For each path the first change that touched
 * it has what was there, the last one what should be there now.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/path.h"
#include "store/change/undo.h"
#include "store/tree.h"

static void
add_trace(struct traces *t, struct change *c, struct change_op *op)
{
	GROW(t->v, t->n, t->cap);
	t->v[t->n] = (struct trace){.path = op->path, .at = t->n, .first = op, .last = op, .first_of = c};
	if (!op->meta) {
		t->v[t->n].last_content = t->v[t->n].content = op;
		t->v[t->n].had = c;
	}
	t->n++;
}

static int
by_path(const void *pa, const void *pb)
{
	const struct trace *a = pa, *b = pb;
	int cmp = strcmp(a->path, b->path);

	return cmp != 0 ? cmp : (a->at > b->at) - (a->at < b->at);
}

/* One a path. */
static void
join_traces(struct traces *t)
{
	size_t n = 0;

	if (t->n > 1)
		qsort(t->v, t->n, sizeof(*t->v), by_path);
	for (size_t i = 0; i < t->n; i++) {
		struct trace *one = n > 0 ? &t->v[n - 1] : NULL, *next = &t->v[i];

		if (!one || !streq(one->path, next->path)) {
			t->v[n++] = *next;
			continue;
		}
		one->last = next->last;
		if (next->last_content)
			one->last_content = next->last_content;
		if (!one->content) {
			one->content = next->content;
			one->had = next->had;
		}
	}
	t->n = n;
}

/* Is it as the last change left it?  Content is compared, not times: a service may have touched the file. */
static bool
as_left(const struct change_node *now, const struct trace *t)
{
	const struct change_node *want = &t->last->after;
	const struct change_node *content = t->last_content ? &t->last_content->after : NULL;

	if (now->type != want->type)
		return false;
	if (now->type == NODE_NONE || now->type == NODE_DIR)
		return true;
	if (!change_same_owner(now, want))
		return false;
	if (!content) /* only owner and mode were changed: only they are restored */
		return true;
	if (now->type == NODE_LINK)
		return now->link && content->link && streq(now->link, content->link);
	return now->type != NODE_FILE || streq(now->digest, content->digest);
}

/* ---- what was kept ---- */

static bool
needs_kept(const struct trace *t)
{
	return t->content && t->first->before.type == NODE_FILE && t->content->before.type == NODE_FILE;
}

/* Size, owner and mode are as kept; where there is no digest, the time of its content, too, if recorded. */
static bool
looks_kept(const struct trace *t, const struct stat *st)
{
	const struct change_node *was = &t->content->before;
	struct change_node now;

	change_node_of(st, &now);
	return now.type == NODE_FILE && now.size == was->size && change_same_owner(&now, was) &&
	       (was->digest[0] || !change_time_differs(&was->modified, &now.modified));
}

/*
 * Is old/N still what was there?  1, 0, -errno.  The jail can have changed it through another name of the
 * inode, or removed it where old/ lies in the jailspace.  If there is a digest, it decides; for a file too
 * large for one, the ctime: any change of an inode sets it, and nobody can choose it.  Changes of older
 * versions of brig recorded neither: size, owner and mode decide.
 */
static int
look_at_kept(struct trace *t)
{
	const struct change_node *was = &t->content->before;
	struct node_name name = change_node_name(t->content->n);
	_auto_close int fd = -EBADF;
	char digest[65];
	struct stat st;
	int r;

	if (fstatat(t->had->old_fd, name.s, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	t->ino = st.st_ino;
	if (!looks_kept(t, &st))
		return 0;
	if (!was->digest[0])
		return (was->modified.tv_sec == 0 || st.st_ino == was->ino) &&
		       !change_time_differs(&t->content->kept, &st.st_ctim);
	fd = path_open(t->had->old_fd, name.s, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, PATH_BENEATH);
	if (fd < 0)
		return tree_is_jails_doing(fd) ? 0 : fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_ino != t->ino || !S_ISREG(st.st_mode))
		return 0;
	r = change_digest(fd, was->size, digest);
	return r < 0 ? r : streq(digest, was->digest);
}

/*
 * Looks at everything that was kept before the first node is staged, since staging makes links, and a new
 * link is a new ctime.  Where the ctime decides it is cleared first: a rollback after one that was discarded
 * goes by the rest.
 */
static int
look_at_all_kept(struct change *c, struct traces *t, struct change *past, size_t n, struct err *e)
{
	_auto_free bool *changed = xcalloc(n + 1, sizeof(*changed));

	for (size_t i = 0; i < t->n; i++) {
		struct trace *one = &t->v[i];
		int r = needs_kept(one) ? look_at_kept(one) : 1;

		if (r < 0)
			return err_sys(e, -r, "jail %s: look at what was kept of %s", c->jail, one->path);
		one->lost = r == 0;
	}
	for (size_t i = 0; i < t->n && c->new_fd >= 0; i++)
		if (needs_kept(&t->v[i]) && !t->v[i].lost && t->v[i].content->kept.tv_sec != 0) {
			t->v[i].content->kept = (struct timespec){0};
			changed[t->v[i].had - past] = true;
		}
	for (size_t i = 0; i < n; i++)
		if (changed[i] && change_save(&past[i], e) < 0)
			return -e->num;
	return 0;
}

/* Records what became new/N: the kept inode, or a copy of it.  -ESTALE: it is neither. */
static int
note_back(struct change *c, struct change_op *op, const struct trace *t, bool copy)
{
	const struct change_node *was = &t->content->before;
	struct node_name name = change_node_name(op->n);
	struct stat st;
	int r = 0;

	if (copy && was->digest[0]) {
		op->after.size = was->size;
		r = change_note_after(c, op);
		return r == 0 && !streq(op->after.digest, was->digest) ? -ESTALE : r;
	}
	if (fstatat(c->new_fd, name.s, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (copy ? !S_ISREG(st.st_mode) || (uint64_t)st.st_size != was->size
		 : st.st_ino != t->ino || !looks_kept(t, &st))
		return -ESTALE;
	change_node_free(&op->after);
	change_node_of(&st, &op->after);
	(void)stpcpy(op->after.digest, was->digest);
	return 0;
}

/* Copies it where a link to the inode is not possible. */
static int
copy_kept(struct change *c, struct change_op *op, const struct trace *t)
{
	struct node_name from = change_node_name(t->content->n);
	_auto_close int src =
	    path_open(t->had->old_fd, from.s, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, PATH_BENEATH);
	struct stat st;
	int r;

	if (src < 0)
		return src;
	if (fstat(src, &st) < 0)
		return -errno;
	if (st.st_ino != t->ino || !looks_kept(t, &st))
		return -ESTALE;
	r = change_make_file(c, op, src);
	return r < 0 ? r : note_back(c, op, t, true);
}

/* A directory, link or FIFO. */
static int
make_back(struct change *c, struct change_op *op)
{
	int r = change_make_other(c, op);

	return r < 0 ? r : change_note_after(c, op);
}

/* Makes new/N of c from the kept node: the same inode where nothing about it differs. */
static int
take_kept(struct change *c, struct change_op *op, const struct trace *t)
{
	struct node_name from = change_node_name(t->content->n), to = change_node_name(op->n);
	const struct change_node *owner = &t->first->before, *was = &t->content->before;

	op->after = *was;
	op->after.link = xstrdup_null(was->link);
	op->after.digest[0] = '\0';
	op->after.mode = owner->mode;
	op->after.uid = owner->uid;
	op->after.gid = owner->gid;
	if (op->after.type != NODE_FILE)
		return make_back(c, op);
	if (t->had->inside == c->inside && change_same_owner(was, owner)) {
		if (linkat(t->had->old_fd, from.s, c->new_fd, to.s, 0) == 0)
			return note_back(c, op, t, false);
		/* the jail's root has made as many links as possible: that must not make brig copy a file
		 * that fills the disk */
		if (errno == EMLINK && was->size > KEPT_FILE_MAX)
			return -ESTALE;
	}
	return copy_kept(c, op, t);
}

/* ---- staging ---- */

int
undo_look_at_left(const struct trace *t, int space_fd, struct change_node *ret, struct change_tree *ret_stamp)
{
	const struct change_tree *tree = t->last_content ? &t->last_content->tree : NULL;
	_auto_close int dir = -EBADF;
	const char *name;
	int r = change_parent(space_fd, t->path, &dir, &name);

	*ret = (struct change_node){0};
	*ret_stamp = (struct change_tree){0};
	if (r == 0)
		r = change_look(dir, name, t->last_content ? t->last_content->after.size : 0, ret);
	if (r < 0)
		return !tree_is_jails_doing(r) ? r : t->last->after.type == NODE_NONE;
	if (!as_left(ret, t))
		return 0;
	if (!tree || tree->n == 0)
		return 1;
	r = change_tree_stamp(dir, name, tree, ret_stamp);
	return r > 0 ? change_tree_as_given(dir, name, tree) : r;
}

static int
stage_back(struct change *c, const struct trace *t, int space_fd)
{
	struct change_node now = {0};
	struct change_tree stamp;
	struct change_op *op;
	int r = t->lost ? 0 : undo_look_at_left(t, space_fd, &now, &stamp);

	if (r <= 0) {
		change_node_free(&now);
		if (r == 0 && !t->first->quiet)
			strv_add(&c->kept, t->path);
		return r;
	}
	op = change_add_op(c, t->path);
	op->before = now;
	op->tree = stamp;
	op->quiet = t->first->quiet;
	if (!t->content) {
		op->meta = true;
		op->after = now;
		op->after.link = xstrdup_null(now.link);
		op->after.mode = t->first->before.mode;
		op->after.uid = t->first->before.uid;
		op->after.gid = t->first->before.gid;
		return 0;
	}
	if (t->first->before.type == NODE_NONE)
		return 0; /* it goes */
	if (t->first->before.type == NODE_DIR && now.type == NODE_DIR) {
		op->meta = true;
		op->after = t->first->before;
		op->after.link = NULL;
		return 0;
	}
	op->after = t->first->before;
	op->after.link = NULL;
	if (c->new_fd < 0)
		return 0; /* only the plan */
	r = op->after.type == NODE_DIR ? make_back(c, op) : take_kept(c, op, t);
	if (!tree_is_jails_doing(r) && !(r == -EEXIST && c->inside))
		return r;
	change_remove_staged(c, change_node_name(op->n).s);
	change_remove_last_op(c);
	strv_add(&c->kept, t->path);
	return 0;
}

/* Order of operations: removals first, deepest first; then directories before their content. */
static int
order(const void *pa, const void *pb)
{
	const struct trace *a = pa, *b = pb;
	bool gone_a = a->first->before.type == NODE_NONE, gone_b = b->first->before.type == NODE_NONE;

	if (gone_a != gone_b)
		return gone_a ? -1 : 1;
	return gone_a ? strcmp(b->path, a->path) : strcmp(a->path, b->path);
}

bool
change_find_way(const struct record *rec, const char *to, size_t *ret)
{
	for (size_t i = rec->n_undo; i-- > 0;)
		if (streq(rec->undo[i].from, to) && !streq(rec->undo[i].to, to)) {
			*ret = i;
			return true;
		}
	return false;
}

/* The rules of the release that the jail is on. */
static int
classes_now(const struct change *c, const struct record *rec, struct classes *ret, struct err *e)
{
	_auto_(release_close) struct release at = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	int r = release_open(c->store, rec->template, rec->release, &at, e);

	return r < 0 ? r : classes_of_release(&at, ret, e);
}

int
change_stage_undo(struct change *c, const struct record *rec, int space_fd, struct err *e)
{
	_auto_(classes_free) struct classes classes = {0};
	struct change *past;
	struct traces t = {0};
	size_t first = 0, n = 0;
	int r = 1;

	if (!change_find_way(rec, c->to, &first))
		return 0;
	if (classes_now(c, rec, &classes, e) < 0)
		return -e->num;
	past = xcalloc(rec->n_undo - first, sizeof(*past));
	for (size_t i = first; i < rec->n_undo && r > 0; i++) {
		past[n] = (struct change)CHANGE_INIT;
		r = change_load(c->store, c->jail, rec->undo[i].id, space_fd, &past[n], e) < 0 ? -e->num : 1;
		n += r > 0;
	}
	for (size_t i = 0; i < n && r > 0; i++)
		for (size_t k = 0; k < past[i].n_op; k++)
			if (!past[i].op[k].skip)
				add_trace(&t, &past[i], &past[i].op[k]);
	join_traces(&t);
	if (r > 0 && space_fd >= 0 &&
	    (look_at_all_kept(c, &t, past, n, e) < 0 || undo_older_data(c, &t, &classes, space_fd, e) < 0))
		r = -e->num;
	if (t.n > 1)
		qsort(t.v, t.n, sizeof(*t.v), order);
	for (size_t i = 0; i < t.n && r > 0; i++) {
		int one = space_fd < 0 || t.v[i].left ? 0 : stage_back(c, &t.v[i], space_fd);

		if (one < 0)
			r = err_sys(e, -one, "jail %s: prepare the way back of %s", c->jail, t.v[i].path);
	}
	if (r > 0)
		for (size_t i = 0; i < past[0].was.n_conflict; i++)
			if (!class_is_data(&classes, past[0].was.conflict[i].path))
				record_add_conflict(&c->leaves, past[0].was.conflict[i].path,
						    past[0].was.conflict[i].base,
						    past[0].was.conflict[i].why);
	for (size_t i = 0; i < n; i++)
		change_free(&past[i]);
	free(past);
	free(t.v);
	return r;
}
