/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a change (change.h): new, seal, commit, finish or discard, load. */
#include <fcntl.h>
#include <limits.h>
#include <sha256.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "base/path.h"
#include "store/change/internal.h"
#include "store/jailspace/host.h"
#include "store/tree.h"

#define MODE_BITS 07777
#define CHUNK 65536

/* ---- nodes ---- */

void
change_node_free(struct change_node *n)
{
	free(n->link);
	*n = (struct change_node){0};
}

void
change_node_of(const struct stat *st, struct change_node *ret)
{
	*ret = (struct change_node){.type = tree_type(st->st_mode),
				    .mode = st->st_mode & MODE_BITS,
				    .uid = st->st_uid,
				    .gid = st->st_gid,
				    .size = (uint64_t)st->st_size,
				    .ino = st->st_ino,
				    .changed = st->st_ctim,
				    .modified = S_ISREG(st->st_mode) ? st->st_mtim : (struct timespec){0}};
}

bool
change_time_differs(const struct timespec *recorded, const struct timespec *now)
{
	return (recorded->tv_sec != 0 || recorded->tv_nsec != 0) && !clock_same(recorded, now);
}

bool
change_same_owner(const struct change_node *a, const struct change_node *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid;
}

int
change_digest(int fd, uint64_t size, char ret[65])
{
	_auto_free uint8_t *chunk = xcalloc(1, CHUNK);
	SHA2_CTX sha;

	SHA256Init(&sha);
	while (size > 0) {
		ssize_t n = fsx_read(fd, chunk, size < CHUNK ? (size_t)size : CHUNK);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		SHA256Update(&sha, chunk, (size_t)n);
		size -= (uint64_t)n;
	}
	(void)SHA256End(&sha, ret);
	return 0;
}

int
change_look(int dir_fd, const char *name, uint64_t size, struct change_node *ret)
{
	_auto_close int fd = -EBADF;
	struct stat st;

	*ret = (struct change_node){0};
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	change_node_of(&st, ret);
	if (ret->type == NODE_LINK) {
		ret->link = tree_readlink(dir_fd, name);
		return ret->link ? 0 : -errno;
	}
	if (ret->type != NODE_FILE || ret->size != size)
		return 0;
	fd = path_open(dir_fd, name, O_RDONLY | O_NONBLOCK, 0, PATH_BENEATH);
	if (fd < 0)
		return fd;
	return change_digest(fd, size, ret->digest);
}

struct node_name
change_node_name(unsigned n)
{
	struct node_name name;

	(void)snprintf(name.s, sizeof(name.s), "%u", n);
	return name;
}

int
change_parent(int space_fd, const char *path, int *ret_fd, const char **ret_name)
{
	int fd = tree_dir_of(space_fd, path, ret_name);

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

/* ---- directories ---- */

void
change_close_nodes(struct change *c)
{
	fd_close(TAKE_FD(c->dir_fd));
	fd_close(TAKE_FD(c->new_fd));
	fd_close(TAKE_FD(c->old_fd));
}

static void
free_ops(struct change *c)
{
	for (size_t i = 0; i < c->n_op; i++) {
		free(c->op[i].path);
		free(c->op[i].base);
		change_node_free(&c->op[i].before);
		change_node_free(&c->op[i].after);
	}
	free(c->op);
	c->op = NULL;
	c->n_op = 0;
}

void
change_free(struct change *c)
{
	change_close_nodes(c);
	fd_close(TAKE_FD(c->change_fd));
	free_ops(c);
	free(c->jail);
	free(c->template);
	free(c->from);
	free(c->to);
	free(c->space);
	record_free(&c->was);
	record_free(&c->leaves);
	strv_free(&c->kept);
	strv_free(&c->always);
	strv_free(&c->ignore);
	strv_free(&c->keep_data);
	change_copies_free(c->copy, c->n_copy);
	pending_free(&c->pending);
	*c = (struct change)CHANGE_INIT;
}

/* Opens js/.brig/KIND, and makes it when it is missing. */
static int
brig_dir(const struct store *s, const char *kind, int *ret, struct err *e)
{
	return fsx_mkdir_open(s->record_fd, kind, 0700, ret, e);
}

static int
open_change_dir(const struct store *s, const char *jail, int *ret, struct err *e)
{
	_auto_close int all = -EBADF;

	if (brig_dir(s, "change", &all, e) < 0)
		return -e->num;
	return fsx_mkdir_open(all, jail, 0700, ret, e);
}

/* Are both on one mount?  Renames and hard links between them work only then.  1, 0, -errno. */
static int
one_mount(int a, int b)
{
	struct stat st;
	uint64_t ma, mb;
	int r = host_stat_mount(a, ".", &st, &ma);

	if (r == 0)
		r = host_stat_mount(b, ".", &st, &mb);
	return r < 0 ? r : ma == mb;
}

static int
open_nodes(struct change *c, int space_fd, struct err *e)
{
	_auto_close int top = -EBADF;
	struct node_name name = change_node_name(c->id);

	if (c->inside && fsx_mkdir_open(space_fd, CHANGE_INSIDE, 0700, &top, e) < 0)
		return -e->num;
	if (fsx_mkdir_open(c->inside ? top : c->change_fd, name.s, 0700, &c->dir_fd, e) < 0 ||
	    fsx_mkdir_open(c->dir_fd, "new", 0700, &c->new_fd, e) < 0 ||
	    fsx_mkdir_open(c->dir_fd, "old", 0700, &c->old_fd, e) < 0)
		return -e->num;
	return 0;
}

void
change_remove_staged(const struct change *c, const char *name)
{
	struct err ignore = ERR_INIT;

	if (unlinkat(c->new_fd, name, 0) < 0)
		(void)fsx_rm_rf_at(c->new_fd, name, &ignore);
}

/* Removes staged nodes that ID.json does not list: whoever staged them was killed before it was written. */
static void
remove_unknown(const struct change *c)
{
	_auto_strv struct strv names = STRV_INIT;
	int n;

	(void)tree_names(c->new_fd, &names);
	for (size_t i = 0; i < names.n; i++)
		if (num_int(names.v[i], 1, INT_MAX, &n) == 0 && (size_t)n > c->n_op)
			change_remove_staged(c, names.v[i]);
}

char *
change_file_name(unsigned id)
{
	return xasprintf("%u.json", id);
}

int
change_open_inside(int space_fd, int *ret, struct err *e)
{
	*ret = path_open(space_fd, CHANGE_INSIDE, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	return *ret >= 0 || tree_is_jails_doing(*ret) ? 0 : err_sys(e, -*ret, "open " CHANGE_INSIDE);
}

/* Removes everything of change id, but not the mark. */
static int
remove_id(int change_fd, unsigned id, int space_fd, struct err *e)
{
	struct node_name name = change_node_name(id);
	_auto_free char *file = change_file_name(id);
	_auto_close int top = -EBADF;
	int r = fsx_rm_rf_at(change_fd, name.s, e);

	if (r == 0 && space_fd >= 0) {
		r = change_open_inside(space_fd, &top, e);
		if (top >= 0)
			r = fsx_rm_rf_at(top, name.s, e);
		if (r == 0 && top >= 0)
			(void)unlinkat(space_fd, CHANGE_INSIDE, AT_REMOVEDIR); /* when it is empty */
	}
	if (r == 0)
		r = fsx_tidy_at(change_fd, file, e);
	if (r == 0 && unlinkat(change_fd, file, 0) < 0 && errno != ENOENT)
		r = err_sys(e, errno, "remove %s", file);
	return r;
}

bool
change_in_use(const struct record *rec, unsigned id)
{
	if (rec->change != RECORD_SETTLED && rec->change_id == id)
		return true;
	for (size_t i = 0; i < rec->n_undo; i++)
		if (rec->undo[i].id == id)
			return true;
	return false;
}

unsigned
change_id_of(const char *name)
{
	const char *tmp = str_after(name, ".tmp.");
	_auto_free char *digits = xstrdup(tmp ? tmp : name);
	int id;

	digits[strcspn(digits, ".")] = '\0';
	return num_int(digits, 1, 1 << 30, &id) < 0 ? 0 : (unsigned)id;
}

/* Removes changes that the record does not list.  *ret_next: the next free number. */
static int
tidy_ids(int change_fd, const struct record *rec, int space_fd, unsigned *ret_next, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT, inside = STRV_INIT;
	_auto_close int top = -EBADF;
	unsigned next = 1;
	size_t own;
	int r = tree_names(change_fd, &names);

	if (r < 0)
		return err_sys(e, -r, "read js/.brig/change");
	if (space_fd >= 0 && change_open_inside(space_fd, &top, e) < 0)
		return -e->num;
	own = names.n; /* in SPACE/.brig-merge any other name may have been made by the jail's root */
	if (top >= 0 && tree_names(top, &inside) == 0)
		strv_copy(&names, &inside);
	for (size_t i = 0; i < rec->n_undo; i++)
		next = rec->undo[i].id >= next ? rec->undo[i].id + 1 : next;
	for (size_t i = 0; i < names.n; i++) {
		unsigned id = change_id_of(names.v[i]);

		if (id == 0)
			continue;
		if (i < own && str_after(names.v[i], ".tmp.")) /* of a killed writer */
			(void)unlinkat(change_fd, names.v[i], 0);
		if (i < own && id >= next)
			next = id + 1;
		if (!change_in_use(rec, id) && remove_id(change_fd, id, space_fd, e) < 0)
			return -e->num;
	}
	*ret_next = next;
	return 0;
}

/* ---- the marker ---- */

static int
mark(const struct store *s, const char *jail, struct err *e)
{
	_auto_close int dir = -EBADF, fd = -EBADF;

	if (brig_dir(s, "switch", &dir, e) < 0)
		return -e->num;
	fd = openat(dir, jail, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "js/.brig/switch/%s", jail);
	return fsx_sync_dir(dir, "js/.brig/switch", e);
}

#define RESTART_MAX 64

int
change_mark_restart(const struct store *s, const char *jail, const char *boot, struct err *e)
{
	_auto_close int dir = -EBADF;

	if (brig_dir(s, "switch", &dir, e) < 0)
		return -e->num;
	return fsx_write_text(dir, jail, boot, 0600, FSX_SYNC, e);
}

bool
change_is_marked(const struct store *s, const char *jail)
{
	_auto_free char *file = xasprintf("switch/%s", jail);

	/* if it cannot be looked at, whoever reads it says so */
	return s->record_fd >= 0 && (faccessat(s->record_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT);
}

bool
change_wants_restart(const struct store *s, const char *jail, const char *boot)
{
	_auto_free char *file = xasprintf("switch/%s", jail), *text = NULL;
	struct err ignore = ERR_INIT;

	return fsx_read_at(s->record_fd, file, RESTART_MAX, &text, NULL, &ignore) == 0 && streq(text, boot);
}

int
change_unmark(const struct store *s, const char *jail, struct err *e)
{
	_auto_close int dir = -EBADF;

	if (brig_dir(s, "switch", &dir, e) < 0)
		return -e->num;
	if (fsx_tidy_at(dir, jail, e) < 0)
		return -e->num;
	if (unlinkat(dir, jail, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove js/.brig/switch/%s", jail);
	return fsx_sync_dir(dir, "js/.brig/switch", e);
}

/* The names of jails in js/.brig/KIND, sorted; there need not be such a directory. */
static int
jails_in(const struct store *s, const char *kind, struct strv *ret, struct err *e)
{
	_auto_strv struct strv all = STRV_INIT;
	_auto_close int dir = -EBADF;
	int r;

	if (s->record_fd < 0)
		return 0;
	dir = path_open(s->record_fd, kind, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (dir == -ENOENT)
		return 0;
	r = dir < 0 ? dir : tree_names(dir, &all);
	if (r < 0)
		return err_sys(e, -r, "%s/js/.brig/%s", s->base, kind);
	for (size_t i = 0; i < all.n; i++)
		if (name_ok(all.v[i]))
			strv_add(ret, all.v[i]);
	return 0;
}

int
change_unfinished(const struct store *s, struct strv *ret, struct err *e)
{
	return jails_in(s, "switch", ret, e);
}

int
change_jails(const struct store *s, struct strv *ret, struct err *e)
{
	return jails_in(s, "change", ret, e);
}

/* ---- life ---- */

static void
copy_conflicts(struct record *dst, const struct record *src)
{
	for (size_t i = 0; i < src->n_conflict; i++)
		record_add_conflict(dst, src->conflict[i].path, src->conflict[i].base, src->conflict[i].why);
}

int
change_new(const struct store *s, const struct change_want *w, struct change *ret, struct err *e)
{
	const struct record *rec = w->rec;
	struct change c = CHANGE_INIT;
	int r;

	c.store = s;
	c.kind = w->kind;
	c.jail = xstrdup(w->jail);
	c.template = xstrdup(rec->template);
	c.from = xstrdup(rec->release);
	c.to = xstrdup(w->to);
	c.space = xstrdup(w->space);
	copy_conflicts(&c.was, rec);
	pending_copy(&c.was.pending, &rec->pending);
	pending_copy(&c.pending, &rec->pending);
	c.was.upgrade_from = xstrdup_null(rec->upgrade_from);
	r = mark(s, w->jail, e);
	if (r == 0)
		r = open_change_dir(s, w->jail, &c.change_fd, e);
	if (r == 0)
		r = tidy_ids(c.change_fd, rec, w->space_fd, &c.id, e);
	if (r == 0 && w->space_fd >= 0) {
		r = one_mount(w->space_fd, c.change_fd);
		c.inside = r == 0;
		r = r < 0 ? err_sys(e, -r, "look at the jailspace of jail %s", w->jail) : 0;
	}
	if (r == 0)
		r = open_nodes(&c, w->space_fd, e);
	if (r < 0) {
		change_free(&c);
		return r;
	}
	*ret = c;
	return 0;
}

int
change_open(struct change *c, struct err *e)
{
	return open_change_dir(c->store, c->jail, &c->change_fd, e);
}

int
change_seal(struct change *c, struct err *e)
{
	_auto_close int up = openat(c->change_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = up < 0 ? -errno : host_sync(c->dir_fd); /* the staged nodes */

	if (r < 0)
		return err_sys(e, -r, "write the staged files of jail %s", c->jail);
	if (change_save(c, e) < 0 || fsx_sync_dir(c->change_fd, "js/.brig/change", e) < 0)
		return -e->num;
	return fsx_sync_dir(up, "js/.brig/change", e); /* change/JAIL may be new */
}

static int
decide(struct change *c, struct record *rec, enum record_change state, const char *release, const char *other,
       struct err *e)
{
	_auto_free char *is = xstrdup(release), *was = xstrdup(other);

	rec->change = state;
	rec->change_id = c->id;
	free(rec->release);
	rec->release = TAKE_PTR(is);
	free(rec->change_other);
	rec->change_other = TAKE_PTR(was);
	return record_write(c->store, c->jail, rec, e);
}

int
change_commit(struct change *c, struct record *rec, struct err *e)
{
	pending_copy(&rec->pending, &c->pending);
	if (c->kind == CHANGE_UPGRADE && !rec->upgrade_from && !streq(c->from, c->to))
		rec->upgrade_from = xstrdup(c->from);
	if (rec->upgrade_from && streq(rec->upgrade_from, c->to)) { /* the jail never ran on that release */
		free(rec->upgrade_from);
		rec->upgrade_from = NULL;
	}
	return decide(c, rec, RECORD_APPLY, c->to, c->from, e);
}

static void
pending_as_before(const struct change *c, struct record *rec)
{
	pending_copy(&rec->pending, &c->was.pending);
	free(rec->upgrade_from);
	rec->upgrade_from = xstrdup_null(c->was.upgrade_from);
}

int
change_commit_back(struct change *c, struct record *rec, struct err *e)
{
	pending_as_before(c, rec);
	return decide(c, rec, RECORD_REVERT, c->from, c->to, e);
}

int
change_prepare(struct change *c, struct record *rec, struct err *e)
{
	return decide(c, rec, RECORD_PREPARED, c->from, c->to, e);
}

static int
empty_dir(int fd, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;
	int r = tree_names(fd, &names);

	if (r < 0)
		return err_sys(e, -r, "read js/.brig/change");
	for (size_t i = 0; i < names.n; i++)
		if (fsx_rm_rf_at(fd, names.v[i], e) < 0)
			return -e->num;
	return 0;
}

int
change_restage(struct change *c, struct err *e)
{
	free_ops(c);
	record_free(&c->leaves);
	strv_free(&c->kept);
	pending_copy(&c->pending, &c->was.pending);
	c->hashed = 0;
	if (change_remove_copies(c, e) < 0)
		return -e->num;
	if (c->new_fd >= 0 && empty_dir(c->new_fd, e) < 0)
		return -e->num;
	return c->old_fd >= 0 ? empty_dir(c->old_fd, e) : 0;
}

int
change_prepare_again(struct change *c, struct record *rec, struct err *e)
{
	struct err ignore = ERR_INIT; /* the next start stages it again, and removes them before */

	(void)change_remove_copies(c, &ignore);
	pending_as_before(c, rec);
	return decide(c, rec, RECORD_PREPARED, c->from, c->to, e);
}

/* The jailspace could not be opened when this change was prepared.  Now it can: finds out where its nodes
 * must lie so that they can be renamed into it.  Nothing is staged yet. */
static int
find_place(struct change *c, int space_fd, struct err *e)
{
	int r;

	if (c->inside || c->n_op > 0 || space_fd < 0)
		return 0;
	r = one_mount(space_fd, c->change_fd);
	if (r != 0)
		return r < 0 ? err_sys(e, -r, "look at the jailspace of jail %s", c->jail) : 0;
	if (fsx_rm_rf_at(c->change_fd, change_node_name(c->id).s, e) < 0)
		return -e->num;
	c->inside = true;
	return 0;
}

int
change_open_nodes(struct change *c, int space_fd, struct err *e)
{
	change_close_nodes(c);
	if (find_place(c, space_fd, e) < 0)
		return -e->num;
	if (c->inside && space_fd < 0)
		return 0;
	if (open_nodes(c, space_fd, e) < 0)
		return -e->num;
	remove_unknown(c);
	return 0;
}

int
change_load(const struct store *s, const char *jail, unsigned id, int space_fd, struct change *ret,
	    struct err *e)
{
	struct change c = CHANGE_INIT;
	int r;

	c.store = s;
	c.id = id;
	c.jail = xstrdup(jail);
	r = open_change_dir(s, jail, &c.change_fd, e);
	if (r == 0)
		r = change_read(&c, e);
	if (r == 0)
		r = change_open_nodes(&c, space_fd, e);
	if (r < 0) {
		change_free(&c);
		return r;
	}
	*ret = c;
	return 0;
}

/* The undo list after the change.  A rollback removes the entries that it went back over, any other change
 * adds itself; then what no rollback will use goes.  If that cannot be found out now, the next change does. */
static void
update_undo(const struct change *c, struct record *rec)
{
	struct err ignore = ERR_INIT;
	size_t useless, first;

	if (c->kind != CHANGE_ROLLBACK)
		record_add_undo(rec, c->id, c->from, c->to, time(NULL));
	else if (change_find_way(rec, c->to, &first))
		record_remove_undo(rec, first, rec->n_undo - first);
	if (change_look_useless(c->store, c->jail, rec, &c->keep, &useless, &ignore) == 0)
		record_remove_undo(rec, 0, useless);
}

int
change_sync(struct change *c, int space_fd, struct err *e)
{
	int r = space_fd >= 0 ? host_sync(space_fd) : 0;

	if (r == 0 && c->dir_fd >= 0 && !c->inside)
		r = host_sync(c->dir_fd);
	return r < 0 ? err_sys(e, -r, "write the files of jail %s", c->jail) : 0;
}

/* Ends a change: the renames are synced, then the record is settled, then what is not needed is removed. */
static int
settle(struct change *c, struct record *rec, int space_fd, struct err *e)
{
	unsigned next;
	int r = change_sync(c, space_fd, e);

	if (r < 0)
		return r;
	rec->change = RECORD_SETTLED;
	rec->change_id = 0;
	free(rec->change_other);
	rec->change_other = NULL;
	r = record_write(c->store, c->jail, rec, e);
	if (r < 0)
		return r;
	/* the change has ended: only files that nothing refers to are left */
	change_close_nodes(c);
	r = tidy_ids(c->change_fd, rec, space_fd, &next, e);
	return r < 0 || c->keep_mark ? r : change_unmark(c->store, c->jail, e);
}

/* Writes the times of large kept files into ID.json, after the renames are on disk: they are not recorded a
 * second time. */
static int
save_kept(struct change *c, int space_fd, struct err *e)
{
	bool any = false;

	for (size_t i = 0; i < c->n_op && !any; i++)
		any = c->op[i].kept.tv_sec != 0;
	if (!any || c->kind == CHANGE_ROLLBACK)
		return 0;
	return change_sync(c, space_fd, e) < 0 ? -e->num : change_save(c, e);
}

int
change_finish(struct change *c, struct record *rec, int space_fd, struct err *e)
{
	if (save_kept(c, space_fd, e) < 0)
		return -e->num;
	while (rec->n_conflict > 0)
		record_remove_conflict(rec, rec->conflict[0].path);
	copy_conflicts(rec, &c->leaves);
	update_undo(c, rec);
	return settle(c, rec, space_fd, e);
}

int
change_discard(struct change *c, struct record *rec, int space_fd, struct err *e)
{
	free(rec->release);
	rec->release = xstrdup(c->from);
	pending_as_before(c, rec);
	return settle(c, rec, space_fd, e);
}

int
change_tidy(const struct store *s, const char *jail, const struct record *rec, int space_fd, bool keep_mark,
	    struct err *e)
{
	_auto_close int dir = -EBADF;
	unsigned next;

	if (open_change_dir(s, jail, &dir, e) < 0 || tidy_ids(dir, rec, space_fd, &next, e) < 0)
		return -e->num;
	return keep_mark ? 0 : change_unmark(s, jail, e);
}

int
change_remove_all(const struct store *s, const char *jail, struct err *e)
{
	_auto_close int all = -EBADF, switching = -EBADF;

	if (s->record_fd < 0)
		return 0;
	all = path_open(s->record_fd, "change", O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	switching = path_open(s->record_fd, "switch", O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (all < 0 && all != -ENOENT)
		return err_sys(e, -all, "%s/js/.brig/change", s->base);
	if (switching < 0 && switching != -ENOENT)
		return err_sys(e, -switching, "%s/js/.brig/switch", s->base);
	if (all >= 0 && fsx_rm_rf_at(all, jail, e) < 0)
		return -e->num;
	return switching >= 0 ? change_unmark(s, jail, e) : 0;
}
