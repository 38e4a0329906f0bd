/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data that a release brings: directories that it has and the one before has not.  They are looked for once
 * for a pair of releases; what is asked of each jail is whether it has something of that name.
 *
 * A piece of data (class.h) in which a part is of another class is given in parts: the directory alone, and
 * what is in it one by one, but for that part.
 */
#include "store/merge/internal.h"

struct find {
	int old_fd;
	const struct classes *classes;
	const struct strv *ignore;
	struct merge_data *ret;
};

void
merge_data_free(struct merge_data *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->v[i].path);
	for (size_t i = 0; i < d->n_owner; i++)
		free(d->owner[i].path);
	free(d->v);
	free(d->owner);
	*d = (struct merge_data){0};
}

/* ---- of two releases ---- */

static int
is_missing(const struct find *f, const char *path, bool *ret)
{
	struct merge_node n = {0};
	int r = merge_node_at(f->old_fd, path, &n);

	*ret = n.type == NODE_NONE;
	merge_node_free(&n);
	return r;
}

/* Is the directory of this piece configuration that comes with the new release? */
static int
parent_comes(const struct find *f, const char *piece, bool *ret)
{
	const char *slash = strrchr(piece, '/');
	_auto_free char *parent = xstrndup(piece, slash ? (size_t)(slash - piece) : 0);

	*ret = false;
	return slash && !class_is_data(f->classes, parent) ? is_missing(f, parent, ret) : 0;
}

static bool
is_new_piece(const struct merge_data *d, const char *path, size_t len)
{
	for (size_t i = d->n; i-- > 0;)
		if (d->v[i].piece == len && strncmp(d->v[i].path, path, len) == 0)
			return true;
	return false;
}

static int
note_owner(const struct find *f, const struct tree_entry *t)
{
	struct merge_data *d = f->ret;
	struct merge_node old = {0};
	int r = merge_node_at(f->old_fd, t->path, &old);

	if (r == 0 && old.type == NODE_DIR && (old.uid != t->st.st_uid || old.gid != t->st.st_gid)) {
		GROW(d->owner, d->n_owner, d->cap_owner);
		d->owner[d->n_owner++] = (struct merge_owner){.path = xstrdup(t->path),
							      .uid = t->st.st_uid,
							      .gid = t->st.st_gid,
							      .was_uid = old.uid,
							      .was_gid = old.gid};
	}
	merge_node_free(&old);
	return r;
}

static int
note_part(const struct find *f, const struct tree_entry *t, size_t len, bool mixed)
{
	bool ignored = class_of(f->classes, t->path) == CLASS_IGNORE, dir = S_ISDIR(t->st.st_mode);
	struct merge_data *d = f->ret;
	struct merge_part part = {.piece = len};
	_auto_free char *piece = xstrndup(t->path, len);
	int r = parent_comes(f, piece, &part.parent_comes);

	if (r < 0 || (ignored && !dir))
		return r;
	part.how = ignored ? WHOLE_DIRS : !dir ? WHOLE_NODE : mixed ? WHOLE_DIR : WHOLE_TREE;
	part.path = xstrdup(t->path);
	GROW(d->v, d->n, d->cap);
	d->v[d->n++] = part;
	return mixed && !ignored ? 0 : TREE_PRUNE;
}

/* A file is data of its own among configuration only. */
static bool
is_piece(const struct find *f, const struct tree_entry *t)
{
	const char *slash = strrchr(t->path, '/');
	_auto_free char *parent = xstrndup(t->path, slash ? (size_t)(slash - t->path) : 0);

	return S_ISDIR(t->st.st_mode) || (slash && !class_is_data(f->classes, parent));
}

/* Elsewhere one that a rule's pattern happens to match is a part of its directory. */
static size_t
piece_of_file(const struct find *f, const char *path)
{
	size_t len = class_piece(f->classes, path);
	const char *slash = strrchr(path, '/');
	_auto_free char *parent = xstrndup(path, slash ? (size_t)(slash - path) : 0);

	return path[len] || !slash || !class_is_data(f->classes, parent) ? len
									 : class_piece(f->classes, parent);
}

static int
find_one(void *ctx, const struct tree_entry *t, struct err *e)
{
	struct find *f = ctx;
	bool dir = S_ISDIR(t->st.st_mode), mixed, missing = false;
	size_t len;
	int r = 0;

	if (!*t->path)
		return 0;
	if (merge_matches(f->ignore, t->path))
		return TREE_PRUNE;
	mixed = dir && class_mixed(f->classes, t->path);
	if (!class_is_data(f->classes, t->path))
		return mixed ? 0 : TREE_PRUNE;
	len = dir ? class_piece(f->classes, t->path) : piece_of_file(f, t->path);
	if (t->path[len])
		missing = is_new_piece(f->ret, t->path, len);
	else if (is_piece(f, t))
		r = is_missing(f, t->path, &missing);
	if (r == 0 && missing)
		r = note_part(f, t, len, mixed);
	else if (r == 0 && dir && !t->path[len])
		r = note_owner(f, t);
	if (r < 0)
		return err_sys(e, -r, "%s", t->path);
	return r != 0 || mixed ? r : TREE_PRUNE;
}

int
merge_data(int old_fd, int new_fd, const struct merge_opts *o, struct merge_data *ret, struct err *e)
{
	struct merge_data d = {0};
	struct find f = {old_fd, o->classes, o->ignore, &d};

	if (tree_walk(new_fd, find_one, &f, e) < 0) {
		merge_data_free(&d);
		return err_wrap(e, "the new tree");
	}
	*ret = d;
	return 0;
}

/* ---- of one jail ---- */

/* 1: the jail has nothing of this name, and the directory for it, or will have that. */
static int
is_wanted(const struct merge_part *part, const char *piece, int dest_fd, const struct strv *made)
{
	const char *slash = strrchr(piece, '/');
	_auto_free char *parent = xstrndup(piece, slash ? (size_t)(slash - piece) : 0);
	struct merge_node here = {0}, up = {.type = NODE_DIR};
	int r = merge_node_at(dest_fd, piece, &here);

	if (r == 0 && here.type == NODE_NONE && slash)
		r = merge_node_at(dest_fd, parent, &up);
	if (r == 0 && here.type == NODE_NONE)
		r = up.type == NODE_DIR ||
		    (up.type == NODE_NONE && (part->parent_comes || strv_has(made, parent)));
	merge_node_free(&here);
	merge_node_free(&up);
	return r == -EXDEV ? 0 : r; /* another mount is in the way: there is something */
}

static int
add_part(const struct merge_part *part, int new_fd, struct merge_plan *plan)
{
	struct merge_item it = {.act = MERGE_ADD, .whole = part->how};
	int r = merge_node_at(new_fd, part->path, &it.n);

	if (r < 0)
		return r;
	it.path = xstrdup(part->path);
	it.mode = it.n.mode;
	it.uid = it.n.uid;
	it.gid = it.n.gid;
	GROW(plan->v, plan->n, plan->cap);
	plan->v[plan->n++] = it;
	return 0;
}

static void
tell_owner(const struct merge_owner *o, int dest_fd, struct merge_plan *plan)
{
	_auto_buf struct buf shown = BUF_INIT;
	struct merge_node n = {0};

	if (merge_node_at(dest_fd, o->path, &n) == 0 && n.type == NODE_DIR && n.uid == o->was_uid &&
	    n.gid == o->was_gid) {
		merge_show(&shown, o->path);
		strv_addf(
		    &plan->warnings,
		    "/%s: belongs to %u:%u, in the new release to %u:%u: the owner of data is not changed",
		    shown.s, n.uid, n.gid, o->uid, o->gid);
	}
	merge_node_free(&n);
}

int
merge_data_plan(const struct merge_data *d, int new_fd, int dest_fd, struct merge_plan *plan, struct err *e)
{
	_auto_strv struct strv made = STRV_INIT;
	_auto_free char *last = NULL;
	int wanted = 0;

	for (size_t i = 0; i < d->n; i++) {
		const struct merge_part *part = &d->v[i];
		char *piece = xstrndup(part->path, part->piece);
		int r;

		if (!last || !streq(last, piece))
			wanted = is_wanted(part, piece, dest_fd, &made);
		free(last);
		last = piece;
		if (wanted < 0)
			return err_sys(e, -wanted, "the jail's %s", piece);
		r = wanted ? add_part(part, new_fd, plan) : 0;
		if (r < 0)
			return err_sys(e, -r, "the new tree: %s", part->path);
		if (wanted && part->how == WHOLE_DIR)
			strv_add(&made, part->path);
	}
	for (size_t i = 0; i < d->n_owner; i++)
		tell_owner(&d->owner[i], dest_fd, plan);
	return 0;
}
