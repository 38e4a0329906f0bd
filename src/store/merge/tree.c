/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carrying out a plan at once, as etcupdate(8) does: `brig merge --tree`.
 *
 * A node is made beside its place under a name of ours and renamed over it; only a file with several names is
 * written where it is, because a rename would part them.  What cannot be done is said among the warnings, the
 * rest is done, and the whole has failed.
 */
#include <fcntl.h>
#include <limits.h>

#include "base/fsx.h"
#include "base/path.h"
#include "store/jailspace/copy_file.h"
#include "store/jailspace/host.h"
#include "store/merge/internal.h"
#include "store/tree.h"

#define TEMP_PREFIX ".tmp.merge"

struct carry {
	const struct merge_tree *t;
	struct copy_fs fs;
	struct strv warnings;
	size_t failures;
};

/* --- directories --- */

static int
copy_dir(int top, const char *path, int new_fd)
{
	struct merge_node n = {0};
	_auto_close int fd = -EBADF;
	const char *name;
	_auto_close int dir = tree_dir_of(top, path, &name);
	int r = merge_node_at(new_fd, path, &n);

	if (dir < 0 || r < 0)
		return dir < 0 ? dir : r;
	if (n.type != NODE_DIR)
		return -ENOTDIR;
	if (mkdirat(dir, name, 0700) < 0)
		return -errno;
	fd = path_open(dir, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (fd < 0)
		return fd;
	if ((n.uid != geteuid() || n.gid != getegid()) && fchown(fd, n.uid, n.gid) < 0)
		return -errno;
	return fchmod(fd, n.mode) < 0 ? -errno : 0;
}

/* The directory of path below top.  Those that are missing are made as the new tree has them. */
static int
parent_made(int top, const char *path, int new_fd, int *ret_fd, const char **ret_name)
{
	int fd = tree_dir_of(top, path, ret_name);

	for (const char *slash = strchr(path, '/'); fd == -ENOENT && slash; slash = strchr(slash + 1, '/')) {
		_auto_free char *dir = xstrndup(path, (size_t)(slash - path));
		int r = copy_dir(top, dir, new_fd);

		if (r < 0 && r != -EEXIST)
			return r;
		if (!strchr(slash + 1, '/'))
			fd = tree_dir_of(top, path, ret_name);
	}
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

/* --- nodes --- */

/* A link or a special file, as the new tree has it. */
static int
copy_special(int src_dir, const char *src, const struct merge_node *n, int dst_dir, const char *dst)
{
	static const mode_t kind[] = {
	    [NODE_FIFO] = S_IFIFO, [NODE_CHAR] = S_IFCHR, [NODE_BLOCK] = S_IFBLK, [NODE_SOCKET] = S_IFSOCK};
	struct timespec times[2];
	struct stat st;

	if (fstatat(src_dir, src, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (n->type == NODE_LINK ? symlinkat(n->link, dst_dir, dst) < 0
				 : mknodat(dst_dir, dst, kind[n->type] | 0600, st.st_rdev) < 0)
		return -errno;
	if ((n->uid != geteuid() || n->gid != getegid()) &&
	    fchownat(dst_dir, dst, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* nobody can have put a link in the place of a name that is ours and random */
	if (n->type != NODE_LINK && fchmodat(dst_dir, dst, n->mode, 0) < 0)
		return -errno;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	return utimensat(dst_dir, dst, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int
make_copy(struct carry *c, const struct merge_item *it, mode_t keep, int dst_dir, const char *dst)
{
	const char *name;
	_auto_close int fd = -EBADF, dir = -EBADF;
	struct stat st;

	if (it->n.type != NODE_FILE) {
		dir = tree_dir_of(c->t->new_fd, it->path, &name);
		return dir < 0 ? dir : copy_special(dir, name, &it->n, dst_dir, dst);
	}
	fd = merge_open_file(c->t->new_fd, it->path, &it->n);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	st.st_mode &= S_IFMT | keep;
	return copy_file(&c->fs, fd, dst_dir, dst, &st);
}

/* it.text, with owner, mode and extended attributes of D's file (old <0: of nothing). */
static int
make_text(const struct merge_item *it, int old, int dst_dir, const char *dst)
{
	_auto_close int fd = openat(dst_dir, dst, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : fsx_write_all(fd, it->text.s, it->text.len);

	if (r < 0)
		return r;
	if ((it->d.uid != geteuid() || it->d.gid != getegid()) && fchown(fd, it->d.uid, it->d.gid) < 0)
		return -errno;
	r = host_xattrs(old, fd);
	if (r < 0)
		return r;
	return fchmod(fd, it->d.mode) < 0 ? -errno : 0;
}

/* --- in place: files with several names --- */

static int
write_copy(struct carry *c, const struct merge_item *it, int fd)
{
	_auto_close int src = merge_open_file(c->t->new_fd, it->path, &it->n);
	_auto_free char *buf = NULL;
	struct stat st;
	ssize_t n;
	int r = 0;

	if (src < 0)
		return src;
	if (fstat(src, &st) < 0 || ftruncate(fd, 0) < 0)
		return -errno;
	buf = xrealloc(NULL, 1, 65536);
	while (r == 0 && (n = fsx_read(src, buf, 65536)) != 0)
		r = n < 0 ? (int)n : fsx_write_all(fd, buf, (size_t)n);
	if (r < 0)
		return r;
	if (fchown(fd, st.st_uid, st.st_gid) < 0)
		return -errno;
	r = copy_attributes(&c->fs, src, fd, &st, 0);
	return r == 0 && fchmod(fd, st.st_mode & 07777) < 0 ? -errno : r;
}

static int
write_in_place(struct carry *c, const struct merge_item *it, int dir, const char *name)
{
	_auto_close int fd = path_open(dir, name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW, 0, PATH_BENEATH);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_dev != it->d.dev || st.st_ino != it->d.ino)
		return -ESTALE;
	if (!it->merged)
		return write_copy(c, it, fd);
	if (ftruncate(fd, 0) < 0)
		return -errno;
	return fsx_write_all(fd, it->text.s, it->text.len);
}

/* --- one item --- */

/* D still has what was planned with; a link that came since is not taken for it. */
static int
as_planned(const struct merge_item *it, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT && it->d.type == NODE_NONE ? 0 : -errno;
	return it->d.type != NODE_NONE && st.st_dev == it->d.dev && st.st_ino == it->d.ino ? 0 : -ESTALE;
}

static int
remove_node(const struct merge_item *it, int dir, const char *name)
{
	return unlinkat(dir, name, it->d.type == NODE_DIR ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
}

static int
put(struct carry *c, const struct merge_item *it, int dir, const char *name)
{
	_auto_close int old = -EBADF;
	char tmp[NAME_MAX + 1];
	int r;

	fsx_temp_name(tmp, sizeof(tmp), TEMP_PREFIX);
	if (it->merged) {
		old = merge_open_file(dir, name, &it->d);
		r = old < 0 ? old : make_text(it, old, dir, tmp);
	} else {
		r = make_copy(c, it, 07777, dir, tmp);
	}
	if (r == 0 && it->d.type == NODE_DIR)
		r = remove_node(it, dir, name);
	if (r == 0 && renameat(dir, tmp, dir, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, tmp, 0);
	return r;
}

static int
change(struct carry *c, const struct merge_item *it)
{
	_auto_close int dir = -EBADF;
	const char *name;
	int r = 0;

	if (it->d.type == NODE_NONE)
		r = parent_made(c->t->dest_fd, it->path, c->t->new_fd, &dir, &name);
	else
		r = dir = tree_dir_of(c->t->dest_fd, it->path, &name);
	if (r >= 0)
		r = as_planned(it, dir, name);
	if (r < 0)
		return r;
	if (it->act == MERGE_REMOVE || it->n.type == NODE_DIR) /* made when something is put in it */
		return remove_node(it, dir, name);
	if (it->d.type == NODE_FILE && it->n.type == NODE_FILE && it->d.nlink > 1)
		return write_in_place(c, it, dir, name);
	return put(c, it, dir, name);
}

/* The file with markers; of what is not text, the new one.  Its mode is D's: it shows the same content. */
static int
write_conflict(struct carry *c, const struct merge_item *it)
{
	_auto_close int dir = -EBADF;
	const char *name;
	struct err e = ERR_INIT;
	int r;

	if (c->t->conflicts_fd < 0 || c->t->dry)
		return 0;
	r = parent_made(c->t->conflicts_fd, it->path, c->t->new_fd, &dir, &name);
	if (r < 0)
		return r;
	if (it->why == WHY_BINARY)
		return make_copy(c, it, 0777, dir, name);
	return fsx_write_atomic(dir, name, &(struct fsx_file){it->text.s, it->text.len, it->d.mode & 0777}, 0,
				&e);
}

/* etcupdate's letter; an empty directory of N in the place of something else is only a removal. */
static char
letter(const struct merge_tree *t, const struct merge_item *it)
{
	_auto_close int fd = -EBADF;

	switch (it->act) {
	case MERGE_ADD:
		return 'A';
	case MERGE_REMOVE:
		return 'D';
	case MERGE_CONFLICT:
		return 'C';
	default:
		break;
	}
	if (it->merged)
		return 'M';
	if (it->n.type != NODE_DIR)
		return 'U';
	fd = path_open(t->new_fd, it->path, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	return fd >= 0 && tree_empty(fd) ? 'D' : 'U';
}

static void
failed(struct carry *c, const struct merge_item *it, int num)
{
	_auto_buf struct buf b = BUF_INIT;

	c->failures++;
	buf_adds(&b, "Not done: /");
	merge_show(&b, it->path);
	buf_addf(&b, " (%s)", num == ESTALE ? "it changed meanwhile" : strerror(num));
	strv_take(&c->warnings, buf_take(&b));
}

static void
carry_item(struct carry *c, const struct merge_item *it)
{
	_auto_buf struct buf line = BUF_INIT;
	int r = 0;

	if (it->act == MERGE_WARN)
		return;
	if (it->act == MERGE_CONFLICT)
		r = write_conflict(c, it);
	else if (!c->t->dry)
		r = change(c, it);
	if (r < 0) {
		failed(c, it, -r);
		return;
	}
	buf_addf(&line, "  %c /", letter(c->t, it));
	merge_show(&line, it->path);
	c->t->say(c->t->ctx, line.s);
}

static void
say_warnings(const struct merge_tree *t, const struct strv *list)
{
	if (list->n)
		t->say(t->ctx, "Warnings:");
	for (size_t i = 0; i < list->n; i++) {
		_auto_free char *line = xasprintf("  %s", list->v[i]);

		t->say(t->ctx, line);
	}
}

int
merge_tree(const struct merge_tree *t, size_t *ret_conflicts, size_t *ret_warnings, struct err *e)
{
	_auto_strv struct strv paths = STRV_INIT;
	struct merge_plan plan = MERGE_PLAN_INIT;
	struct carry c = {.t = t};
	size_t conflicts = 0;
	int r = merge_delta(t->old_fd, t->new_fd, &t->opts, &paths, e);

	if (r == 0)
		r = merge_plan(&paths, &(struct merge_trees){t->old_fd, t->new_fd, t->dest_fd, t->dest}, &t->opts, &plan, e);
	if (r < 0)
		return r;
	copy_fs_init(&c.fs);
	for (size_t i = 0; i < plan.n; i++) {
		carry_item(&c, &plan.v[i]);
		conflicts += plan.v[i].act == MERGE_CONFLICT;
	}
	copy_fs_free(&c.fs);
	strv_copy(&c.warnings, &plan.warnings);
	say_warnings(t, &c.warnings);
	if (c.failures)
		r = err_set(e, EIO, "%s: %zu change%s could not be made (see the warnings)", t->dest,
			    c.failures, c.failures > 1 ? "s" : "");
	if (r == 0) {
		*ret_conflicts = conflicts;
		*ret_warnings = c.warnings.n;
	}
	strv_free(&c.warnings);
	merge_plan_free(&plan);
	return r;
}
