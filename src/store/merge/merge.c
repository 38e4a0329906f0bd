/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plan of a three-way merge of trees.
 *
 * Nothing is changed while it is made, but later decisions depend on earlier ones: a directory can go when
 * all that is in it goes.  So the planner keeps, for each path, the type that it will have in D (`after`).
 */
#include <fcntl.h>

#include "base/path.h"
#include "merge/entry.h"
#include "store/merge/internal.h"
#include "store/tree.h"

struct at {
	struct merge_node o, n, d;
	int d_err; /* D cannot be looked at: -errno */
	enum node_type after;
	bool waits; /* a conflict */
};

struct planner {
	const struct strv *paths;
	struct at *at; /* of each path */
	int top[SIDES];
	const struct merge_opts *opts;
	const char *dest;
	struct merge_plan plan;
	struct strv made; /* directories added above something that is */
};

/* One path. */
struct work {
	struct planner *p;
	struct at *at;
	struct look l;
	struct merge_facts f;
	struct merge_item it;
};

void
merge_item_free(struct merge_item *it)
{
	free(it->path);
	merge_node_free(&it->o);
	merge_node_free(&it->n);
	merge_node_free(&it->d);
	buf_free(&it->text);
	free(it->detail);
	*it = (struct merge_item){0};
}

void
merge_plan_free(struct merge_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		merge_item_free(&p->v[i]);
	free(p->v);
	strv_free(&p->warnings);
	*p = (struct merge_plan)MERGE_PLAN_INIT;
}

/* --- what D will look like --- */

static int
by_name(const void *key, const void *path)
{
	return strcmp(key, *(char *const *)path);
}

static struct at *
at_of(const struct planner *p, const char *path)
{
	char **found = p->paths->n ? bsearch(path, p->paths->v, p->paths->n, sizeof(char *), by_name) : NULL;

	return found ? &p->at[found - p->paths->v] : NULL;
}

static int
type_after(const struct planner *p, const char *path, enum node_type *ret)
{
	const struct at *at = at_of(p, path);
	struct merge_node n = {0};
	int r;

	if (strv_has(&p->made, path)) {
		*ret = NODE_DIR;
		return 0;
	}
	if (at) {
		*ret = at->after;
		return at->d_err;
	}
	r = merge_node_at(p->top[SIDE_D], path, &n);
	*ret = n.type;
	merge_node_free(&n);
	return r;
}

/* Will nothing be in this directory of D?  Stops at the first name that stays. */
static bool
will_be_empty(const struct planner *p, const char *path)
{
	_auto_close int fd = path_open(p->top[SIDE_D], path, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	_auto_closedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!dir)
		return false;
	fd = -EBADF;
	while ((errno = 0, de = readdir(dir))) {
		_auto_free char *sub = xasprintf("%s/%s", path, de->d_name);
		const struct at *at = at_of(p, sub);

		if (streq(de->d_name, ".") || streq(de->d_name, ".."))
			continue;
		if (!at || at->d_err < 0 || at->after != NODE_NONE)
			return false;
	}
	return errno == 0;
}

/* The first directory above path that will not be one, and what it is.  NULL: none (it may be missing). */
static char *
obstacle(const struct planner *p, const char *path, const char **ret_what)
{
	_auto_free char *prev = NULL;

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		_auto_free char *dir = xstrndup(path, (size_t)(slash - path));
		const struct at *at = at_of(p, dir);
		enum node_type type = NODE_NONE;
		int r = type_after(p, dir, &type);

		if (r == 0 && (type == NODE_DIR || (type == NODE_NONE && !(at && at->waits)))) {
			free(prev);
			prev = TAKE_PTR(dir);
			continue;
		}
		if (r == -EXDEV && prev) {
			*ret_what = "mount point";
			return TAKE_PTR(prev);
		}
		if (r < 0)
			*ret_what = strerror(-r);
		else
			*ret_what = type == NODE_NONE ? "waits for a decision" : node_word(type);
		return TAKE_PTR(dir);
	}
	return NULL;
}

/* --- what is said --- */

static void
add_links(struct buf *b, const char *first, const char *word, const char *second)
{
	buf_adds(b, " (\"");
	merge_show(b, first);
	buf_addf(b, "\" %s \"", word);
	merge_show(b, second);
	buf_adds(b, "\")");
}

/* etcupdate's line. */
static char *
warning(const struct merge_item *it)
{
	const char *o = node_word(it->o.type), *n = node_word(it->n.type), *d = node_word(it->d.type);
	struct buf b = BUF_INIT;

	switch (it->why) {
	case WHY_REMAINS:
		buf_addf(&b, "Modified %s remains: /", d);
		merge_show(&b, it->path);
		break;
	case WHY_DIR_REMAINS:
		buf_adds(&b, "Non-empty directory remains: /");
		merge_show(&b, it->path);
		break;
	case WHY_NEW_LINK:
		buf_adds(&b, "New link conflict: /");
		merge_show(&b, it->path);
		add_links(&b, it->n.link, "vs", it->d.link);
		break;
	case WHY_NEW_FILE:
		buf_adds(&b, "New file mismatch: /");
		merge_show(&b, it->path);
		buf_addf(&b, " (%s vs %s)", n, d);
		break;
	case WHY_REMOVED_FILE:
		buf_adds(&b, "Removed file changed: /");
		merge_show(&b, it->path);
		break;
	case WHY_REMOVED_LINK:
		buf_adds(&b, "Removed link changed: /");
		merge_show(&b, it->path);
		add_links(&b, it->o.link, "became", it->n.link);
		break;
	case WHY_REMOVED_TYPE:
		buf_adds(&b, "Remove mismatch: /");
		merge_show(&b, it->path);
		buf_addf(&b, " (%s became %s)", o, n);
		break;
	case WHY_MODIFIED_TYPE:
		buf_adds(&b, "Modified mismatch: /");
		merge_show(&b, it->path);
		buf_addf(&b, " (%s vs %s)", n, d);
		break;
	case WHY_MODIFIED_LINK:
		buf_adds(&b, "Modified link changed: /");
		merge_show(&b, it->path);
		add_links(&b, it->o.link, "became", it->n.link);
		break;
	case WHY_MODIFIED_CHANGE:
		buf_addf(&b, "Modified %s changed: /", d);
		merge_show(&b, it->path);
		buf_addf(&b, " (%s became %s)", o, n);
		break;
	default:
		buf_adds(&b, it->detail);
	}
	return buf_take(&b);
}

/* Hands the item to the plan. */
static void
emit(struct work *w, enum merge_act act, enum merge_why why)
{
	struct merge_plan *plan = &w->p->plan;
	struct merge_item *it = &w->it;

	it->path = xstrdup(w->l.path);
	merge_node_copy(&it->o, w->l.node[SIDE_O]);
	merge_node_copy(&it->n, w->l.node[SIDE_N]);
	merge_node_copy(&it->d, w->l.node[SIDE_D]);
	it->act = act;
	it->why = why;
	if (act == MERGE_WARN && !w->p->opts->jail)
		strv_take(&plan->warnings, warning(it));
	if (act == MERGE_REMOVE)
		w->at->after = NODE_NONE;
	else if (act == MERGE_ADD || (act == MERGE_UPDATE && !it->content_same))
		w->at->after = it->n.type == NODE_DIR && !w->p->opts->jail ? NODE_NONE : it->n.type;
	w->at->waits = act == MERGE_CONFLICT;
	GROW(plan->v, plan->n, plan->cap);
	plan->v[plan->n++] = *it;
	*it = (struct merge_item){0};
}

/* etcupdate warns; for a jail it waits for a decision. */
static void
emit_warning(struct work *w, enum merge_why why)
{
	if (!w->p->opts->jail || why == WHY_REMAINS || why == WHY_DIR_REMAINS) {
		emit(w, MERGE_WARN, why);
		return;
	}
	emit(w, MERGE_CONFLICT, why);
	if (why != WHY_PARENT && why != WHY_UNREADABLE) {
		struct merge_item *it = &w->p->plan.v[w->p->plan.n - 1];

		it->detail = warning(it);
	}
}

static void
emit_parent(struct work *w, const char *dir, const char *what)
{
	_auto_buf struct buf b = BUF_INIT;

	if (!w->p->opts->jail) {
		size_t len = strlen(w->p->dest);

		while (len && w->p->dest[len - 1] == '/')
			len--;
		buf_adds(&b, "Directory mismatch: ");
		{
			_auto_free char *dest = xstrndup(w->p->dest, len);

			merge_show(&b, dest);
		}
	}
	buf_addc(&b, '/');
	merge_show(&b, dir);
	buf_addf(&b, w->p->opts->jail ? ": %s" : " (%s)", what);
	w->it.detail = buf_take(&b);
	emit_warning(w, WHY_PARENT);
}

/* Is something in the way above it?  Then that is said. */
static bool
blocked(struct work *w)
{
	const char *what;
	_auto_free char *dir = obstacle(w->p, w->l.path, &what);

	if (dir)
		emit_parent(w, dir, what);
	return dir != NULL;
}

/* A path that D does not have: is that so because of what is above it?  Of etcupdate's rules it concerns
 * links alone, which it follows and we do not. */
static bool
lost_above(struct work *w)
{
	const char *what;
	_auto_free char *dir = obstacle(w->p, w->l.path, &what);

	if (!dir || (!w->p->opts->jail && what != node_word(NODE_LINK)))
		return false;
	emit_parent(w, dir, what);
	return true;
}

static void
emit_unreadable(struct work *w, int num)
{
	_auto_buf struct buf b = BUF_INIT;

	buf_adds(&b, w->p->opts->jail ? "/" : "Cannot be read: /");
	merge_show(&b, w->l.path);
	buf_addf(&b, w->p->opts->jail ? ": %s" : " (%s)", strerror(num));
	w->it.detail = buf_take(&b);
	emit_warning(w, WHY_UNREADABLE);
}

/* --- owner and mode --- */

static bool
same_meta(const struct merge_node *a, const struct merge_node *b)
{
	return a->uid == b->uid && a->gid == b->gid && (a->type == NODE_LINK || a->mode == b->mode);
}

static void
take_meta(struct merge_item *it, const struct merge_node *from, const struct merge_node *d)
{
	it->mode = from->mode;
	it->uid = from->uid;
	it->gid = from->gid;
	it->meta = !same_meta(from, d);
}

/* Three-way; without a base both must agree. */
static bool
pick(bool base, unsigned o, unsigned n, unsigned d, unsigned *ret)
{
	if (n != d && (!base || (o != n && o != d)))
		return false;
	*ret = base && o == d ? n : d;
	return true;
}

/* false: both changed it. */
static bool
merge_meta(const struct merge_node *base, const struct merge_node *n, const struct merge_node *d,
	   struct merge_item *it)
{
	const struct merge_node *o = base ? base : n;
	struct merge_node m = *d;

	if (n->type != NODE_LINK && !pick(base, o->mode, n->mode, d->mode, &m.mode))
		return false;
	if (!pick(base, o->uid, n->uid, d->uid, &m.uid) || !pick(base, o->gid, n->gid, d->gid, &m.gid))
		return false;
	take_meta(it, &m, d);
	return true;
}

/* The node whose owner and mode N's were changed from. */
static const struct merge_node *
meta_base(const struct at *at)
{
	return at->o.type == at->n.type ? &at->o : NULL;
}

/* Content needs nothing (any more): owner and mode alone. */
static void
only_meta(struct work *w)
{
	const struct at *at = w->at;
	const struct merge_node *base = meta_base(at);

	if (!w->p->opts->jail || at->n.type == NODE_NONE || at->n.type != at->d.type)
		return;
	/* a directory that the jail made itself stays as it made it */
	if (!base && at->n.type == NODE_DIR)
		return;
	if (!merge_meta(base, &at->n, &at->d, &w->it)) {
		emit(w, MERGE_CONFLICT, WHY_META);
	} else if (w->it.meta) {
		w->it.content_same = true;
		emit(w, MERGE_UPDATE, WHY_NONE);
	}
}

/* --- files --- */

/* All there and text?  1, 0, -errno. */
static int
texts(struct work *w)
{
	bool o = true, n, d;
	int r = look_text(&w->l, SIDE_D, &d);

	if (r == 0)
		r = look_text(&w->l, SIDE_N, &n);
	if (r == 0 && w->at->o.type == NODE_FILE)
		r = look_text(&w->l, SIDE_O, &o);
	return r < 0 ? r : o && n && d;
}

/* it.text is the merged content. */
static void
merged(struct work *w)
{
	const struct at *at = w->at;
	const struct text *d = &w->l.text[SIDE_D];
	struct buf *text = &w->it.text;

	if (!w->p->opts->jail) {
		take_meta(&w->it, &at->d, &at->d);
	} else if (!merge_meta(meta_base(at), &at->n, &at->d, &w->it)) {
		buf_free(text);
		emit(w, MERGE_CONFLICT, WHY_META);
		return;
	} else if (text->len == d->len && memcmp(text->s, d->s, d->len) == 0) {
		buf_free(text);
		w->it.content_same = true;
		if (w->it.meta)
			emit(w, MERGE_UPDATE, WHY_NONE);
		return;
	}
	w->it.merged = true;
	emit(w, MERGE_UPDATE, WHY_NONE);
}

/* Lines or entries; without a file in O, entries are merged as if O had none. */
static int
merge_content(struct work *w)
{
	enum entry_format format = w->p->opts->jail ? entry_format_of(w->l.path) : ENTRY_NONE;
	struct text_sides t = {.base = {"", 0}};
	enum text_result got;
	int r = texts(w);

	if (r < 0)
		return r;
	if (w->at->o.type == NODE_FILE)
		t.base = w->l.text[SIDE_O];
	t.theirs = w->l.text[SIDE_N];
	t.ours = w->l.text[SIDE_D];
	buf_adds(&w->it.text, "");
	if (r == 0)
		got = TEXT_BINARY;
	else if (format != ENTRY_NONE)
		got = entry_merge(format, &t, NULL, &w->it.text, &w->it.detail);
	else
		got = text_merge(&t, w->p->opts->jail ? TEXT_IDS : 0, NULL, &w->it.text, NULL);
	if (got == TEXT_CLEAN)
		merged(w);
	else if (got == TEXT_CONFLICT)
		emit(w, MERGE_CONFLICT, format == ENTRY_NONE ? WHY_CONTENT : WHY_ENTRY);
	else
		emit(w, MERGE_CONFLICT, WHY_BINARY);
	return 0;
}

static int
two_files(struct work *w)
{
	int r;

	if (w->p->opts->jail && entry_format_of(w->l.path) != ENTRY_NONE && w->at->o.type != NODE_FILE)
		return merge_content(w);
	r = texts(w);
	if (r < 0)
		return r;
	if (r > 0)
		text_conflict2(w->l.text[SIDE_D], w->l.text[SIDE_N], "(local)", "(stock)", &w->it.text);
	emit(w, MERGE_CONFLICT, r > 0 ? WHY_TWO : WHY_BINARY);
	return 0;
}

/* Lines with $FreeBSD...$ */
static unsigned
count_ids(struct text t)
{
	static const char word[] = "$FreeBSD";
	unsigned n = 0;

	for (const char *p = t.s, *end = t.s + t.len; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *id;

		eol = eol ? eol : end;
		id = memmem(p, (size_t)(eol - p), word, sizeof(word) - 1);
		if (id && memchr(id + 1, '$', (size_t)(eol - id - 1)))
			n++;
		p = eol + 1;
	}
	return n;
}

/* -F, and O and N differ in the id alone: D's line becomes N's. */
static int
new_id(struct work *w)
{
	unsigned ids;
	int r = texts(w);

	if (r < 0)
		return r;
	if (r == 0 || w->p->opts->jail)
		return merge_content(w);
	ids = count_ids(w->l.text[SIDE_D]);
	if (ids == 0)
		return 0;
	if (ids > 1 || count_ids(w->l.text[SIDE_N]) != 1)
		return merge_content(w);
	if (text_replace_freebsd_id(w->l.text[SIDE_D], w->l.text[SIDE_N], &w->it.text))
		merged(w);
	return 0;
}

/* --- decisions --- */

/* A directory that is missing in D above something that is added. */
static int
add_above(struct work *w)
{
	struct planner *p = w->p;

	for (const char *slash = strchr(w->l.path, '/'); slash; slash = strchr(slash + 1, '/')) {
		_auto_free char *dir = xstrndup(w->l.path, (size_t)(slash - w->l.path));
		struct merge_node o = {0}, n = {0}, d = {0};
		struct at unused = {0};
		struct work up = {.p = p, .at = &unused, .l = {.path = dir, .node = {&o, &n, &d}}};
		enum node_type type = NODE_NONE;
		int r = type_after(p, dir, &type);

		if (r == 0 && type == NODE_DIR)
			continue;
		w->l.failed = SIDE_O;
		r = merge_node_at(p->top[SIDE_O], dir, &o);
		if (r == 0) {
			w->l.failed = SIDE_N;
			r = merge_node_at(p->top[SIDE_N], dir, &n);
		}
		if (r == 0) {
			take_meta(&up.it, &n, &d);
			emit(&up, MERGE_ADD, WHY_NONE);
			strv_add(&p->made, dir);
		}
		merge_node_free(&o);
		merge_node_free(&n);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
add(struct work *w)
{
	int r = 0;

	if (!w->p->opts->jail && w->at->n.type == NODE_DIR)
		return 0;
	if (blocked(w))
		return 0;
	if (w->p->opts->jail)
		r = add_above(w);
	if (r < 0)
		return r;
	take_meta(&w->it, &w->at->n, &w->at->d);
	emit(w, MERGE_ADD, WHY_NONE);
	return 0;
}

static void
update(struct work *w)
{
	const struct at *at = w->at;
	bool fits = true;

	take_meta(&w->it, &at->n, &at->d);
	if (w->p->opts->jail && !w->f.always) {
		if (at->n.type == at->d.type)
			fits = merge_meta(meta_base(at), &at->n, &at->d, &w->it);
		else /* the old node goes with what the jail made of it */
			fits = at->o.type != at->d.type || same_meta(&at->o, &at->d);
	}
	if (fits)
		emit(w, MERGE_UPDATE, WHY_NONE);
	else
		emit(w, MERGE_CONFLICT, WHY_META);
}

static int
carry(struct work *w, enum merge_act act, enum merge_why why)
{
	bool jail = w->p->opts->jail;

	switch (act) {
	case MERGE_NOTHING:
		only_meta(w);
		return 0;
	case MERGE_ADD:
		return add(w);
	case MERGE_UPDATE:
		update(w);
		return 0;
	case MERGE_REMOVE:
		if (jail && !same_meta(&w->at->o, &w->at->d))
			emit(w, MERGE_WARN, WHY_REMAINS);
		else
			emit(w, MERGE_REMOVE, WHY_NONE);
		return 0;
	case MERGE_CONTENT:
		return merge_content(w);
	case MERGE_ID:
		return new_id(w);
	case MERGE_CONFLICT:
		return two_files(w);
	case MERGE_WARN:
		if (w->at->d.type != NODE_NONE || !lost_above(w))
			emit_warning(w, why);
		return 0;
	}
	return 0;
}

/* Do files a and b differ in nothing but ids? */
static int
same_but_ids(struct work *w, int a, int b, bool *ret)
{
	const struct merge_opts *o = w->p->opts;
	bool ta, tb;
	int r;

	if ((!o->jail && !o->freebsd_ids) || w->l.node[a]->type != NODE_FILE ||
	    w->l.node[b]->type != NODE_FILE)
		return 0;
	r = look_text(&w->l, a, &ta);
	if (r == 0)
		r = look_text(&w->l, b, &tb);
	if (r < 0 || !ta || !tb)
		return r;
	*ret = o->jail ? text_same_but_ids(w->l.text[a], w->l.text[b])
		       : text_same_but_freebsd_id(w->l.text[a], w->l.text[b]);
	return 0;
}

static int
compare(struct work *w, int a, int b, bool *ret_same, bool *ret_id)
{
	int r;

	if (w->l.node[a]->type == NODE_NONE || w->l.node[b]->type == NODE_NONE)
		return 0;
	r = look_same(&w->l, a, b);
	if (r < 0)
		return r;
	*ret_same = r > 0;
	return r > 0 ? 0 : same_but_ids(w, a, b, ret_id);
}

static int
decide(struct work *w)
{
	const struct at *at = w->at;
	struct merge_facts *f = &w->f;
	enum merge_act act;
	enum merge_why why;
	int r;

	*f = (struct merge_facts){.o = at->o.type, .n = at->n.type, .d = at->d.type};
	r = compare(w, SIDE_O, SIDE_N, &f->same_on, &f->id_on);
	if (r < 0 || (f->same_on && !w->p->opts->jail))
		return r;
	f->always = merge_matches(w->p->opts->always, w->l.path) ||
		    (w->p->opts->classes && class_of(w->p->opts->classes, w->l.path) == CLASS_RELEASE);
	/* nobody needs a new id where the file is not one any more */
	if (w->p->opts->jail && f->id_on && f->d != NODE_FILE && !f->always)
		f->same_on = true;
	r = compare(w, SIDE_O, SIDE_D, &f->same_od, &f->id_od);
	if (r == 0)
		r = compare(w, SIDE_N, SIDE_D, &f->same_nd, &f->id_nd);
	if (r < 0)
		return r;
	f->d_empty = f->d == NODE_DIR && will_be_empty(w->p, w->l.path);
	act = merge_decide(f, &why);
	return carry(w, act, why);
}

/* Below a mount D has nothing of ours: what would be put there is not. */
static int
decide_unreachable(struct work *w)
{
	int same = w->at->n.type == NODE_NONE;

	w->l.failed = SIDE_D;
	if (w->at->d_err != -EXDEV)
		return w->at->d_err;
	if (w->at->o.type != NODE_NONE && !same)
		same = look_same(&w->l, SIDE_O, SIDE_N);
	if (same == 0 && !blocked(w)) { /* then it is the directory itself */
		const char *slash = strrchr(w->l.path, '/');
		_auto_free char *dir = slash ? xstrndup(w->l.path, (size_t)(slash - w->l.path)) : xstrdup("");

		emit_parent(w, dir, "mount point");
	}
	return same < 0 ? same : 0;
}

/* /.cshrc and /.profile that are the same file as those of /root are merged there. */
static bool
is_roots(const struct planner *p, const char *path)
{
	struct merge_node a = {0}, b = {0};
	bool same;

	if (p->opts->jail || (!streq(path, ".cshrc") && !streq(path, ".profile")))
		return false;
	{
		_auto_free char *other = xasprintf("root/%s", path);

		same = merge_node_at(p->top[SIDE_D], path, &a) == 0 &&
		       merge_node_at(p->top[SIDE_D], other, &b) == 0 && a.type == NODE_FILE &&
		       b.type == NODE_FILE && a.dev == b.dev && a.ino == b.ino;
	}
	merge_node_free(&a);
	merge_node_free(&b);
	return same;
}

static int
plan_path(struct planner *p, size_t i, struct err *e)
{
	struct at *at = &p->at[i];
	struct work w = {.p = p, .at = at};
	int r;

	if (merge_matches(p->opts->ignore, p->paths->v[i]) || is_roots(p, p->paths->v[i]))
		return 0;
	w.l = (struct look){
	    .path = p->paths->v[i], .top = p->top, .node = {&at->o, &at->n, &at->d}, .failed = SIDE_O};
	r = at->d_err < 0 ? decide_unreachable(&w) : decide(&w);
	/* what the jail's root can do there is an answer about this path; a disk error is none */
	if (r < 0 && w.l.failed == SIDE_D && (!p->opts->jail || tree_is_jails_doing(r))) {
		emit_unreadable(&w, -r);
		r = 0;
	} else if (r < 0) {
		r = merge_path_error(w.l.failed == SIDE_O   ? "the old tree"
				     : w.l.failed == SIDE_N ? "the new tree"
							    : "the jail's files",
				     w.l.path, -r, e);
	}
	look_free(&w.l);
	buf_free(&w.it.text);
	free(w.it.detail);
	return r;
}

/* --- all of it --- */

static int
look_at_all(struct planner *p, struct err *e)
{
	for (size_t i = 0; i < p->paths->n; i++) {
		struct at *at = &p->at[i];
		const char *path = p->paths->v[i];
		int r = merge_node_at(p->top[SIDE_O], path, &at->o);

		if (r < 0)
			return merge_path_error("the old tree", path, -r, e);
		r = merge_node_at(p->top[SIDE_N], path, &at->n);
		if (r < 0)
			return merge_path_error("the new tree", path, -r, e);
		at->d_err = merge_node_at(p->top[SIDE_D], path, &at->d);
		at->after = at->d.type;
	}
	return 0;
}

enum pass { PASS_GOES, PASS_DIR_GOES, PASS_BOTH, PASS_NEW };

static enum pass
pass_of(const struct at *at)
{
	if (at->n.type == NODE_NONE)
		return at->o.type == NODE_DIR && at->d.type == NODE_DIR ? PASS_DIR_GOES : PASS_GOES;
	return at->o.type == NODE_NONE ? PASS_NEW : PASS_BOTH;
}

static int
run_pass(struct planner *p, enum pass pass, struct err *e)
{
	size_t n = p->paths->n;
	int r = 0;

	for (size_t k = 0; k < n && r == 0; k++) {
		size_t i = pass == PASS_DIR_GOES ? n - 1 - k : k; /* deepest first */

		if (pass_of(&p->at[i]) == pass)
			r = plan_path(p, i, e);
	}
	return r;
}

/* An account without its group, or without its password, is worse than waiting. */
static void
keep_together(struct merge_plan *plan)
{
	const struct merge_item *waits = NULL;

	for (size_t i = 0; i < plan->n && !waits; i++)
		if (plan->v[i].act == MERGE_CONFLICT && entry_format_of(plan->v[i].path) != ENTRY_NONE)
			waits = &plan->v[i];
	for (size_t i = 0; i < plan->n && waits; i++) {
		struct merge_item *it = &plan->v[i];

		if (entry_format_of(it->path) == ENTRY_NONE || it->content_same ||
		    (it->act != MERGE_ADD && it->act != MERGE_UPDATE && it->act != MERGE_REMOVE))
			continue;
		it->act = MERGE_CONFLICT;
		it->why = WHY_TOGETHER;
		it->merged = it->meta = false;
		it->detail = xasprintf("waits for /%s", waits->path);
	}
}

/* What etcupdate would have other programs do, and says instead. */
static void
needs_update(struct planner *p)
{
	enum node_type time, zone;

	for (size_t i = 0; i < p->plan.n; i++) {
		const struct merge_item *it = &p->plan.v[i];

		if (streq(it->path, "etc/mail/aliases") && (it->act == MERGE_ADD || it->act == MERGE_UPDATE))
			strv_add(&p->plan.warnings, "Needs update: /etc/mail/aliases.db (requires manual "
						    "update via newaliases(1))");
	}
	if (type_after(p, "etc/localtime", &time) == 0 && time == NODE_FILE &&
	    (type_after(p, "var/db/zoneinfo", &zone) < 0 || zone != NODE_FILE))
		strv_add(&p->plan.warnings,
			 "Needs update: /etc/localtime (required manual update via tzsetup(8))");
}

int
merge_plan(const struct strv *paths, const struct merge_trees *trees, const struct merge_opts *o,
	   struct merge_plan *ret, struct err *e)
{
	struct planner p = {.paths = paths, .opts = o, .dest = trees->dest_prefix ? trees->dest_prefix : ""};
	int r;

	p.top[SIDE_O] = trees->old_fd;
	p.top[SIDE_N] = trees->new_fd;
	p.top[SIDE_D] = trees->dest_fd;
	p.at = xcalloc(paths->n + 1, sizeof(*p.at));
	r = look_at_all(&p, e);
	for (enum pass pass = PASS_GOES; r == 0 && pass <= PASS_NEW; pass++)
		r = run_pass(&p, pass, e);
	if (r == 0 && o->jail)
		keep_together(&p.plan);
	else if (r == 0)
		needs_update(&p);
	for (size_t i = 0; i < paths->n; i++) {
		merge_node_free(&p.at[i].o);
		merge_node_free(&p.at[i].n);
		merge_node_free(&p.at[i].d);
	}
	free(p.at);
	strv_free(&p.made);
	if (r < 0) {
		merge_plan_free(&p.plan);
		return r;
	}
	*ret = p.plan;
	return 0;
}
