/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way back: what the changes since a release kept, taken together.  For each path the first change that
 * touched it has what was there, the last one what should be there now.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/path.h"
#include "store/change_int.h"

/* One path over all those changes. */
struct trace {
	const char *path;
	const struct change *had;             /* whose old/ has the content */
	const struct change_op *content;      /* its operation; NULL: only owner and mode were changed */
	const struct change_op *last_content; /* the last one that was about more than owner and mode */
	const struct change_op *first, *last;
};

struct traces {
	struct trace *v;
	size_t n;
};

static void
add_trace(struct traces *t, const struct change *c, const struct change_op *op)
{
	struct trace *one = NULL;

	for (size_t i = 0; i < t->n && !one; i++)
		if (streq(t->v[i].path, op->path))
			one = &t->v[i];
	if (!one) {
		t->v = xrealloc(t->v, t->n + 1, sizeof(*t->v));
		one = &t->v[t->n++];
		*one = (struct trace){.path = op->path, .first = op};
	}
	one->last = op;
	if (op->meta)
		return;
	one->last_content = op;
	if (!one->content) {
		one->content = op;
		one->had = c;
	}
}

static bool
same_owner(const struct change_node *a, const struct change_node *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid;
}

/* Is it as the last change left it?  Content is compared, not times: a service may have touched it. */
static bool
as_left(const struct change_node *now, const struct trace *t)
{
	const struct change_node *want = &t->last->after;
	const struct change_node *content = t->last_content ? &t->last_content->after : NULL;

	if (now->type != want->type)
		return false;
	if (now->type == NODE_NONE || now->type == NODE_DIR)
		return true;
	if (!same_owner(now, want))
		return false;
	if (!content) /* only owner and mode were changed, and only they come back */
		return true;
	if (now->type == NODE_LINK)
		return now->link && content->link && streq(now->link, content->link);
	return now->type != NODE_FILE || streq(now->digest, content->digest);
}

/* new/N of c: the node that was kept, as the same inode where nothing about it differs.  -ENOENT: it is not
 * there any more (it may have been kept where the jail's root can reach it). */
static int
take_kept(struct change *c, struct change_op *op, const struct trace *t)
{
	struct node_name from = change_node_name(t->content->n), to = change_node_name(op->n);
	const struct change_node *owner = &t->first->before;
	_auto_close int src = -EBADF;
	struct stat st;
	int r = 0;

	op->after = t->content->before;
	op->after.link = xstrdup_null(t->content->before.link);
	op->after.mode = owner->mode;
	op->after.uid = owner->uid;
	op->after.gid = owner->gid;
	if (op->after.type != NODE_FILE) {
		r = change_make_other(c, op);
		return r < 0 ? r : change_note_after(c, op);
	}
	if (fstatat(t->had->old_fd, from.s, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return -ENOENT;
	if (t->had->inside == c->inside && same_owner(&t->content->before, owner) &&
	    linkat(t->had->old_fd, from.s, c->new_fd, to.s, 0) == 0)
		return change_note_after(c, op);
	src = path_open(t->had->old_fd, from.s, O_RDONLY | O_NONBLOCK, 0, PATH_BENEATH);
	r = src < 0 ? src : change_make_file(c, op, src);
	return r < 0 ? r : change_note_after(c, op);
}

static int
stage_back(struct change *c, const struct trace *t, int space_fd)
{
	_auto_close int dir = -EBADF;
	struct change_node now = {0};
	struct change_op *op;
	const char *name;
	int r = change_parent(space_fd, t->path, &dir, &name);

	if (r == 0)
		r = change_look(dir, name, t->last_content ? t->last_content->after.size : 0, &now);
	if (r < 0 && r != -ENOENT && r != -ELOOP && r != -ENOTDIR && r != -EXDEV)
		return r;
	if (r < 0 ? t->last->after.type != NODE_NONE : !as_left(&now, t)) {
		change_node_free(&now);
		strv_add(&c->kept, t->path);
		return 0;
	}
	op = change_add_op(c, t->path);
	op->before = now;
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
	if (op->after.type == NODE_DIR) {
		r = change_make_other(c, op);
		return r < 0 ? r : change_note_after(c, op);
	}
	r = take_kept(c, op, t);
	if (r == -ENOENT) {
		change_drop_op(c);
		strv_add(&c->kept, t->path);
		return 0;
	}
	return r;
}

/* Directories before what goes into them; what goes, deepest first. */
static int
order(const void *pa, const void *pb)
{
	const struct trace *a = pa, *b = pb;
	bool gone_a = a->first->before.type == NODE_NONE, gone_b = b->first->before.type == NODE_NONE;

	if (gone_a != gone_b)
		return gone_a ? -1 : 1;
	return gone_a ? strcmp(b->path, a->path) : strcmp(a->path, b->path);
}

/* The first entry of the way: the last one that left c->to. */
static int
find_way(const struct change *c, const struct record *rec, size_t *ret)
{
	for (size_t i = rec->n_undo; i-- > 0;)
		if (streq(rec->undo[i].from, c->to) && !streq(rec->undo[i].to, c->to)) {
			*ret = i;
			return 1;
		}
	return 0;
}

int
change_stage_undo(struct change *c, const struct record *rec, int space_fd, struct err *e)
{
	struct change *past;
	struct traces t = {0};
	size_t first = 0, n = 0;
	int r = find_way(c, rec, &first);

	if (r <= 0)
		return r;
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
	if (t.n > 1)
		qsort(t.v, t.n, sizeof(*t.v), order);
	for (size_t i = 0; i < t.n && r > 0; i++) {
		int one = space_fd < 0 ? 0 : stage_back(c, &t.v[i], space_fd);

		if (one < 0)
			r = err_sys(e, -one, "jail %s: prepare the way back of %s", c->jail, t.v[i].path);
	}
	if (r > 0)
		for (size_t i = 0; i < past[0].was.n_conflict; i++)
			record_add_conflict(&c->leaves, past[0].was.conflict[i].path,
					    past[0].was.conflict[i].base, past[0].was.conflict[i].why);
	for (size_t i = 0; i < n; i++)
		change_free(&past[i]);
	free(past);
	free(t.v);
	return r;
}
