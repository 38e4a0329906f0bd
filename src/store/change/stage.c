/* SPDX-License-Identifier: BSD-2-Clause */
/* Staging: makes in new/ what the change will install, complete with owner, mode and attributes. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/path.h"
#include "store/change/internal.h"
#include "store/jailspace/copy_file.h"
#include "store/jailspace/host.h"
#include "store/tree.h"

struct change_op *
change_add_op(struct change *c, const char *path)
{
	struct change_op *op;

	c->op = xrealloc(c->op, c->n_op + 1, sizeof(*c->op));
	op = &c->op[c->n_op++];
	*op = (struct change_op){.path = xstrdup(path), .n = (unsigned)c->n_op};
	return op;
}

void
change_remove_last_op(struct change *c)
{
	struct change_op *op = &c->op[--c->n_op];

	free(op->path);
	free(op->base);
	change_node_free(&op->before);
	change_node_free(&op->after);
}

const struct change_op *
change_find_op(const struct change *c, const char *path)
{
	for (size_t i = c->n_op; i-- > 0;)
		if (streq(c->op[i].path, path))
			return &c->op[i];
	return NULL;
}

static int
fail(const struct change *c, const char *path, int num, struct err *e)
{
	_auto_buf struct buf shown = BUF_INIT;

	vis_add(&shown, path);
	return err_sys(e, num, "jail %s: prepare %s", c->jail, shown.s);
}

/* ---- making nodes ---- */

/* Sets owner, then mode: chown(2) clears set-id bits. */
int
change_own(int dir, const char *name, const struct change_node *want)
{
	if (fchownat(dir, name, want->uid, want->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* never through a link: the jail can exchange what is inside its jailspace at any time */
	if (want->type != NODE_LINK && fchmodat(dir, name, want->mode, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

int
change_make_file(struct change *c, struct change_op *op, int src)
{
	struct node_name name = change_node_name(op->n);
	_auto_(copy_fs_free) struct copy_fs fs = {0};
	struct stat st;

	if (src < 0 || fstat(src, &st) < 0)
		return src < 0 ? src : -errno;
	op->after.size = (uint64_t)st.st_size;
	copy_fs_init(&fs);
	st.st_mode = (st.st_mode & S_IFMT) | op->after.mode;
	st.st_uid = op->after.uid;
	st.st_gid = op->after.gid;
	return copy_file(&fs, src, c->new_fd, name.s, &st);
}

/* like: the file whose extended attributes it gets; <0: none. */
static int
make_text(struct change *c, struct change_op *op, struct text t, int like)
{
	struct node_name name = change_node_name(op->n);
	_auto_close int fd =
	    openat(c->new_fd, name.s, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : fsx_write_all(fd, t.s, t.len);

	op->after.size = t.len;
	if (r == 0)
		r = change_own(c->new_fd, name.s, &op->after);
	if (r == 0 && like >= 0)
		r = host_xattrs(like, fd);
	return r < 0 ? r : host_no_capability(fd);
}

/* A directory, link or FIFO as op->after says. */
int
change_make_other(struct change *c, struct change_op *op)
{
	struct node_name name = change_node_name(op->n);
	int r;

	switch (op->after.type) {
	case NODE_DIR:
		r = mkdirat(c->new_fd, name.s, 0700);
		break;
	case NODE_LINK:
		r = symlinkat(op->after.link, c->new_fd, name.s);
		break;
	case NODE_FIFO:
		r = mkfifoat(c->new_fd, name.s, 0600);
		break;
	default:
		return -EOPNOTSUPP; /* no skeleton has devices or sockets */
	}
	return r < 0 ? -errno : change_own(c->new_fd, name.s, &op->after);
}

/* Records what was staged, for the comparison of a later rollback. */
int
change_note_after(struct change *c, struct change_op *op)
{
	struct node_name name = change_node_name(op->n);
	enum node_type type = op->after.type;
	uint64_t size = op->after.size;
	int r;

	change_node_free(&op->after);
	r = change_look(c->new_fd, name.s, size, &op->after);
	if (r < 0)
		return r;
	/* where new/ is in the jailspace, the jail's root can reach it */
	return op->after.type != type || (type == NODE_FILE && op->after.size != size) ? -ESTALE : 0;
}

/* 1: opened, and it is the file that was looked at. */
static int
open_looked_at(int space_fd, const char *path, const struct change_node *n, int flags, int *ret,
	       struct stat *ret_st)
{
	_auto_close int fd = path_open(space_fd, path, flags | O_NOFOLLOW, 0, PATH_BENEATH);

	if (fd < 0)
		return tree_is_jails_doing(fd) ? 0 : fd;
	if (fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode) || ret_st->st_ino != n->ino ||
	    !clock_same(&ret_st->st_ctim, &n->changed))
		return 0;
	*ret = TAKE_FD(fd);
	return 1;
}

/* Records what old/N will hold, for the comparison of a later rollback: the jail keeps access to its inode by
 * another name or an open descriptor.  If the path is another file by now, nothing is recorded: apply finds
 * that out. */
static int
note_kept(struct change *c, struct change_op *op, int space_fd)
{
	struct change_node *b = &op->before;
	_auto_close int fd = -EBADF;
	struct stat st;
	int r;

	if (b->type != NODE_FILE || op->meta)
		return 0;
	r = open_looked_at(space_fd, op->path, b, O_PATH, &fd, &st);
	if (r <= 0)
		return r;
	b->modified = st.st_mtim;
	if (b->size > KEPT_FILE_MAX || c->hashed + b->size > KEPT_ALL_MAX)
		return 0;
	fd_close(TAKE_FD(fd));
	r = open_looked_at(space_fd, op->path, b, O_RDONLY | O_NONBLOCK, &fd, &st);
	if (r <= 0)
		return r;
	c->hashed += b->size;
	r = change_digest(fd, b->size, b->digest);
	if (r < 0 || fstat(fd, &st) < 0 || !clock_same(&st.st_ctim, &b->changed))
		b->digest[0] = '\0';
	return r;
}

/* ---- from a plan ---- */

static void
node_from_plan(const struct merge_node *n, struct change_node *ret)
{
	*ret = (struct change_node){.type = n->type,
				    .mode = n->mode,
				    .uid = n->uid,
				    .gid = n->gid,
				    .size = n->size,
				    .link = xstrdup_null(n->link),
				    .ino = n->ino,
				    .changed = n->changed};
}

static int
open_below(int top, const char *path)
{
	return path_open(top, path, O_RDONLY | O_NONBLOCK, 0, PATH_BENEATH);
}

/* Opens the jail's file that will be replaced; *ret <0: the jail has something else there by now. */
static int
open_like(int space_fd, const char *path, int *ret)
{
	*ret = open_below(space_fd, path);
	return *ret >= 0 || tree_is_jails_doing(*ret) ? 0 : *ret;
}

/* Stages the directories above path that the jail does not have, as in the new skeleton. */
static int
stage_parents(struct change *c, const char *path, const char *base, int new_fd, int space_fd)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		_auto_free char *dir = xstrndup(path, (size_t)(slash - path));
		_auto_close int there = path_open(space_fd, dir, O_PATH | O_NOFOLLOW, 0, PATH_BENEATH);
		_auto_close int model = -EBADF;
		struct change_op *op;
		struct stat st;
		int r;

		if (there < 0 && !tree_is_jails_doing(there))
			return there;
		if (there != -ENOENT || change_find_op(c, dir))
			continue;
		model = path_open(new_fd, dir, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
		if (model < 0 || fstat(model, &st) < 0)
			return model < 0 ? model : -errno;
		op = change_add_op(c, dir);
		op->base = xstrdup(base);
		change_node_of(&st, &op->after);
		r = change_make_other(c, op);
		if (r == 0)
			r = change_note_after(c, op);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Set-id bits come from a release only: for a file that brig makes or gives to another owner, the jail
 * decides about the other bits of the mode. */
static mode_t
mode_for(const struct merge_item *it)
{
	mode_t release = it->n.type == NODE_FILE ? it->n.mode : 0;

	return it->n.type == NODE_DIR ? it->mode : it->mode & ~((S_ISUID | S_ISGID) & ~release);
}

static int
stage_put(struct change *c, struct change_op *op, const struct merge_item *it, int new_fd, int space_fd)
{
	struct text t = {it->text.s ? it->text.s : "", it->text.len};
	_auto_close int src = -EBADF;

	node_from_plan(&it->n, &op->after);
	op->after.mode = mode_for(it);
	op->after.uid = it->uid;
	op->after.gid = it->gid;
	if (it->merged) {
		int r = open_like(space_fd, it->path, &src);

		return r < 0 ? r : make_text(c, op, t, src);
	}
	if (it->n.type != NODE_FILE)
		return change_make_other(c, op);
	src = open_below(new_fd, it->path);
	return change_make_file(c, op, src);
}

static int
stage_item(struct change *c, const struct merge_item *it, const char *base, int new_fd, int space_fd)
{
	struct change_op *op;
	int r = it->whole == WHOLE_NO ? 1 : change_takes_data(c, it, space_fd);

	if (r <= 0)
		return r;
	r = 0;
	if (it->whole == WHOLE_TREE || it->whole == WHOLE_DIRS)
		return change_stage_tree(c, it, base, new_fd);
	if (it->act == MERGE_ADD && it->whole == WHOLE_NO)
		r = stage_parents(c, it->path, base, new_fd, space_fd);
	if (r < 0)
		return r;
	op = change_add_op(c, it->path);
	op->data = it->whole != WHOLE_NO;
	op->base = xstrdup(base);
	op->merged = it->merged;
	node_from_plan(&it->d, &op->before);
	if (it->act == MERGE_REMOVE)
		return note_kept(c, op, space_fd);
	if (it->content_same || (it->d.type == NODE_DIR && it->n.type == NODE_DIR)) {
		op->meta = true;
		node_from_plan(&it->d, &op->after);
		op->after.mode = mode_for(it);
		op->after.uid = it->uid;
		op->after.gid = it->gid;
		return 0;
	}
	r = stage_put(c, op, it, new_fd, space_fd);
	if (r == 0)
		r = change_note_after(c, op);
	return r < 0 ? r : note_kept(c, op, space_fd);
}

static const char *
why_text(const struct merge_item *it)
{
	if (it->detail)
		return it->detail;
	switch (it->why) {
	case WHY_CONTENT:
		return "both changed the same lines";
	case WHY_BINARY:
		return "both changed it, and it is not text";
	case WHY_ENTRY:
		return "both changed the same account";
	case WHY_TWO:
	case WHY_NEW_LINK:
	case WHY_NEW_FILE:
		return "the release brings it, and the jail has its own";
	case WHY_META:
		return "both changed its owner or mode";
	case WHY_PARENT:
		return "a directory above it is something else in the jail";
	case WHY_TOGETHER:
		return "waits for another account file";
	case WHY_REMOVED_FILE:
	case WHY_REMOVED_LINK:
	case WHY_REMOVED_TYPE:
		return "the jail removed it, the release changed it";
	case WHY_MODIFIED_TYPE:
	case WHY_MODIFIED_LINK:
	case WHY_MODIFIED_CHANGE:
		return "it is something else in the jail";
	default:
		return "both changed it";
	}
}

/* Nodes staged in the jailspace can be reached by the jail's root.  If that changed one (-ESTALE), or had
 * something there before, this path becomes a conflict and the others go on. */
static bool
meddled_with(struct change *c, const struct merge_item *it, const char *base, size_t n_op, int r)
{
	if (!c->inside || (r != -EEXIST && !tree_is_jails_doing(r)))
		return false;
	if (c->n_op > n_op) {
		change_remove_staged(c, change_node_name(c->op[c->n_op - 1].n).s);
		change_remove_last_op(c);
	}
	if (it->whole == WHOLE_NO) /* of data nothing is to be decided: they are not given */
		record_add_conflict(&c->leaves, it->path, base, "the jail changed what was prepared for it");
	return true;
}

int
change_stage(struct change *c, const struct merge_plan *plan, const char *base, int new_fd, int space_fd,
	     struct err *e)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct merge_item *it = &plan->v[i];
		size_t n_op = c->n_op;
		int r = 0;

		switch (it->act) {
		case MERGE_CONFLICT:
			record_add_conflict(&c->leaves, it->path, base, why_text(it));
			break;
		case MERGE_WARN:
			strv_add(&c->kept, it->path);
			break;
		case MERGE_ADD:
		case MERGE_UPDATE:
		case MERGE_REMOVE:
			r = stage_item(c, it, base, new_fd, space_fd);
			break;
		default:
			break;
		}
		if (r < 0 && !meddled_with(c, it, base, n_op, r))
			return fail(c, it->path, -r, e);
	}
	return 0;
}

/* ---- one file ---- */

/* Records what is at the path now as `before`. */
int
change_note_before(struct change_op *op, int space_fd)
{
	_auto_close int dir = -EBADF;
	const char *name;
	struct stat st;
	int r = change_parent(space_fd, op->path, &dir, &name);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	change_node_of(&st, &op->before);
	if (op->before.type == NODE_LINK && !(op->before.link = tree_readlink(dir, name)))
		return -errno;
	return 0;
}

int
change_stage_text(struct change *c, const char *path, struct text content, int space_fd, struct err *e)
{
	_auto_close int like = -EBADF;
	struct change_op *op = change_add_op(c, path);
	int r = change_note_before(op, space_fd);

	op->after = (struct change_node){.type = NODE_FILE, .mode = 0644};
	if (op->before.type == NODE_FILE) {
		op->after.mode = op->before.mode;
		op->after.uid = op->before.uid;
		op->after.gid = op->before.gid;
		r = r == 0 ? open_like(space_fd, path, &like) : r;
	}
	if (r == 0)
		r = make_text(c, op, content, like);
	if (r == 0)
		r = change_note_after(c, op);
	if (r == 0)
		r = note_kept(c, op, space_fd);
	return r < 0 ? fail(c, path, -r, e) : 0;
}

static int
stage_theirs(struct change *c, const char *path, int new_fd, int space_fd)
{
	_auto_close int dir = -EBADF, src = -EBADF;
	const char *name;
	struct change_op *op;
	struct stat st;
	int r = change_parent(new_fd, path, &dir, &name);
	bool gone;

	if (r == 0)
		r = fsx_look(dir, name, &st);
	if (r < 0 && r != -ENOENT)
		return r;
	gone = r <= 0; /* the release has nothing there */
	r = gone ? 0 : stage_parents(c, path, c->to, new_fd, space_fd);
	if (r < 0)
		return r;
	op = change_add_op(c, path);
	r = change_note_before(op, space_fd);
	if (r < 0)
		return r;
	if (gone && op->before.type == NODE_NONE) {
		change_remove_last_op(c);
		return 0;
	}
	if (gone)
		return note_kept(c, op, space_fd);
	change_node_of(&st, &op->after);
	if (op->after.type == NODE_LINK && !(op->after.link = tree_readlink(dir, name)))
		return -errno;
	if (op->before.type == NODE_DIR && op->after.type == NODE_DIR) {
		op->meta = true;
		return 0;
	}
	if (op->after.type == NODE_FILE) {
		src = open_below(new_fd, path);
		r = change_make_file(c, op, src);
	} else {
		r = change_make_other(c, op);
	}
	if (r == 0)
		r = change_note_after(c, op);
	return r < 0 ? r : note_kept(c, op, space_fd);
}

int
change_stage_theirs(struct change *c, const char *path, int new_fd, int space_fd, struct err *e)
{
	int r = stage_theirs(c, path, new_fd, space_fd);

	return r < 0 ? fail(c, path, -r, e) : 0;
}

/* ---- again ---- */

int
change_stage_again(struct change *c, const struct change_op *op, int space_fd, struct err *e)
{
	struct merge_opts rules = {.jail = true, .always = &c->always, .ignore = &c->ignore};
	_auto_(release_close) struct release base = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_(release_close) struct release to = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_(merge_plan_free) struct merge_plan plan = MERGE_PLAN_INIT;
	_auto_(classes_free) struct classes classes = {0};
	_auto_strv struct strv path = STRV_INIT;
	_auto_free char *base_name = xstrdup(op->base ? op->base : c->from);

	strv_add(&path, op->path);
	rules.classes = &classes;
	if (release_open(c->store, c->template, base_name, &base, e) < 0 ||
	    release_open(c->store, c->template, c->to, &to, e) < 0 ||
	    classes_of_release(&to, &classes, e) < 0)
		return -e->num;
	if (class_is_data(&classes, op->path)) /* of an older brig: it stays as it is now */
		return 0;
	if (merge_plan(&path, &(struct merge_trees){base.skel_fd, to.skel_fd, space_fd, NULL}, &rules, &plan, e) < 0)
		return -e->num;
	return change_stage(c, &plan, base_name, to.skel_fd, space_fd, e);
}
