/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories of data in a change: given whole, by one rename of a tree that is complete and on disk, and taken
 * back whole, only as they were given.
 *
 * What was given is recorded as a digest of all of it: names, types, owners, modes, contents.  Whether it is
 * still so is found out while the jail runs; what stands at its turn is compared by the times of its inodes,
 * which any change of them alters and nobody can set.
 */
#include <fcntl.h>
#include <sha256.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/path.h"
#include "store/change/internal.h"
#include "store/jailspace/space.h"
#include "store/tree.h"

/* ---- digests ---- */

struct sum {
	SHA2_CTX sha;
	bool times; /* of inodes and times, not of contents */
	const struct change_tree *most;
	struct change_tree got;
};

static void
add(struct sum *s, const void *data, size_t len)
{
	SHA256Update(&s->sha, data, len);
}

static int
add_content(struct sum *s, const struct tree_entry *t)
{
	_auto_close int fd =
	    path_open(t->dir_fd, t->name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, PATH_BENEATH);
	char digest[65];
	struct stat st;
	int r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : 0;

	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_ino != t->st.st_ino))
		r = -ESTALE;
	if (r == 0)
		r = change_digest(fd, (uint64_t)t->st.st_size, digest);
	if (r == 0)
		add(s, digest, sizeof(digest));
	return r;
}

static int
add_target(struct sum *s, const struct tree_entry *t)
{
	_auto_free char *target = tree_readlink(t->dir_fd, t->name);

	if (!target)
		return -errno;
	add(s, target, strlen(target) + 1);
	return 0;
}

/* 1: there is more of it than there may be. */
static int
sum_one(void *ctx, const struct tree_entry *t, struct err *e)
{
	struct sum *s = ctx;
	const struct stat *st = &t->st;
	bool file = S_ISREG(st->st_mode);
	uint64_t what[] = {st->st_mode, st->st_uid, st->st_gid, file ? (uint64_t)st->st_size : 0};
	/* a rename of the top changes its own time */
	uint64_t times[] = {st->st_ino, *t->path ? (uint64_t)st->st_ctim.tv_sec : 0,
			    *t->path ? (uint64_t)st->st_ctim.tv_nsec : 0};
	int r = 0;

	s->got.n++;
	s->got.bytes += file ? (uint64_t)st->st_size : 0;
	if (s->most && (s->got.n > s->most->n || s->got.bytes > s->most->bytes))
		return 1;
	add(s, t->path, strlen(t->path) + 1);
	add(s, what, sizeof(what));
	if (s->times)
		add(s, times, sizeof(times));
	else if (file)
		r = add_content(s, t);
	else if (S_ISLNK(st->st_mode))
		r = add_target(s, t);
	return r < 0 ? err_sys(e, -r, "%s", t->path) : 0;
}

/* 0, 1: there is more than `most`, -errno. */
static int
sum_tree(int dir, const char *name, bool times, const struct change_tree *most, struct change_tree *ret)
{
	_auto_close int top = path_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, PATH_BENEATH);
	struct sum s = {.times = times, .most = most};
	struct err e = ERR_INIT;
	int r;

	if (top < 0)
		return top;
	SHA256Init(&s.sha);
	r = tree_walk(top, sum_one, &s, &e);
	(void)SHA256End(&s.sha, s.got.digest);
	*ret = s.got;
	return r;
}

static bool
same_tree(const struct change_tree *a, const struct change_tree *b)
{
	return a->n == b->n && a->bytes == b->bytes && streq(a->digest, b->digest);
}

/* What a jail can bring about below a directory: also a depth or a mount that ends the walk. */
static bool
is_jails_doing(int r)
{
	return tree_is_jails_doing(r) || r == -ENAMETOOLONG;
}

int
change_tree_as_given(int dir, const char *name, const struct change_tree *given)
{
	struct change_tree now;
	int r = sum_tree(dir, name, false, given, &now);

	if (r < 0)
		return is_jails_doing(r) ? 0 : r;
	return r == 0 && same_tree(&now, given);
}

int
change_tree_stamp(int dir, const char *name, const struct change_tree *given, struct change_tree *ret)
{
	int r = sum_tree(dir, name, true, given, ret);

	if (r < 0)
		return is_jails_doing(r) ? 0 : r;
	return r == 0;
}

int
change_tree_as_stamped(int dir, const char *name, const struct change_tree *stamp)
{
	struct change_tree now;
	int r = change_tree_stamp(dir, name, stamp, &now);

	return r > 0 ? same_tree(&now, stamp) : r;
}

/* ---- staging ---- */

/* The directories of src, and files that are empty: a log that a service may write, but not make. */
static int
copy_place(void *ctx, const struct tree_entry *t, struct err *e)
{
	const int *dst = ctx;
	struct change_node own = {.type = tree_type(t->st.st_mode),
				  .mode = t->st.st_mode & 07777,
				  .uid = t->st.st_uid,
				  .gid = t->st.st_gid};
	const char *name = ".";
	_auto_close int dir = -EBADF;
	int r = 0;

	if (own.type != NODE_DIR && (own.type != NODE_FILE || t->st.st_size > 0))
		return 0;
	if (*t->path)
		r = dir = tree_dir_of(*dst, t->path, &name);
	else if ((dir = openat(*dst, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		r = -errno;
	if (r >= 0 && *t->path &&
	    (own.type == NODE_DIR ? mkdirat(dir, name, 0700) : mknodat(dir, name, S_IFREG | 0600, 0)) < 0)
		r = -errno;
	if (r >= 0)
		r = change_own(dir, name, &own);
	return r < 0 ? err_sys(e, -r, "%s", t->path) : 0;
}

static int
make_tree(struct change *c, const struct change_op *op, enum merge_whole how, int src)
{
	struct node_name name = change_node_name(op->n);
	_auto_close int dst = -EBADF;
	struct err e = ERR_INIT;

	if (mkdirat(c->new_fd, name.s, 0700) < 0)
		return -errno;
	dst = path_open(c->new_fd, name.s, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (dst < 0)
		return dst;
	return how == WHOLE_TREE ? copy_tree(src, dst, COPY_SKIP_SPECIAL, NULL, &e)
				 : tree_walk(src, copy_place, &dst, &e);
}

int
change_stage_tree(struct change *c, const struct merge_item *it, const char *base, int new_fd)
{
	_auto_close int src = path_open(new_fd, it->path, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	struct change_op *op = change_add_op(c, it->path);
	struct node_name name = change_node_name(op->n);
	int r = src < 0 ? src : make_tree(c, op, it->whole, src);

	op->base = xstrdup(base);
	op->data = true;
	op->quiet = it->whole == WHOLE_DIRS;
	op->after.type = NODE_DIR;
	if (r == 0)
		r = change_note_after(c, op);
	if (r == 0)
		r = sum_tree(c->new_fd, name.s, false, NULL, &op->tree);
	return r;
}

int
change_takes_data(const struct change *c, const struct merge_item *it, int space_fd)
{
	const char *slash = strrchr(it->path, '/');
	_auto_free char *dir = xstrndup(it->path, slash ? (size_t)(slash - it->path) : 0);
	_auto_close int there = -EBADF;

	/* a directory that configuration needed, too, is there already */
	if (change_find_op(c, it->path))
		return 0;
	if (!slash || change_find_op(c, dir))
		return 1;
	there = path_open(space_fd, dir, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, PATH_BENEATH);
	return there >= 0 ? 1 : tree_is_jails_doing(there) ? 0 : there;
}
