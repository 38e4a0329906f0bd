/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <limits.h>

#include "base/name.h"
#include "base/path.h"
#include "store/tree.h"

struct walk {
	int (*fn)(void *ctx, const struct tree_entry *t, struct err *e);
	void (*mounted)(void *ctx, const char *path); /* NULL: a mount is an error */
	void *ctx;
	struct buf path;
	int depth;
};

int
tree_names(int fd, struct strv *ret)
{
	_auto_closedir DIR *dir = NULL;
	struct dirent *de;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = copy >= 0 ? fdopendir(copy) : NULL;
	if (!dir) {
		fd_close(copy);
		return -errno;
	}
	while ((errno = 0, de = readdir(dir)))
		if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
			strv_add(ret, de->d_name);
	if (errno)
		return -errno;
	strv_sort(ret);
	return 0;
}

static int
path_error(const struct walk *w, int num, struct err *e)
{
	_auto_free char *shown = text_printable(w->path.s, 200);

	return err_sys(e, num, "%s", shown);
}

static int walk_dir(struct walk *w, int fd, struct err *e);

static int
walk_entry(struct walk *w, int fd, const char *name, struct err *e)
{
	struct tree_entry t = {w->path.s, fd, name, {0}};
	_auto_close int sub = -EBADF;
	int r;

	if (fstatat(fd, name, &t.st, AT_SYMLINK_NOFOLLOW) < 0)
		return path_error(w, errno, e);
	r = w->fn(w->ctx, &t, e);
	if (r == TREE_PRUNE)
		return 0;
	if (r != 0 || !S_ISDIR(t.st.st_mode))
		return r;
	sub = path_open(fd, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (sub == -EXDEV && w->mounted) {
		w->mounted(w->ctx, w->path.s);
		return 0;
	}
	if (sub == -EXDEV)
		return err_set(e, EXDEV, "%s: something is mounted there", w->path.s);
	if (sub < 0)
		return path_error(w, -sub, e);
	return walk_dir(w, sub, e);
}

static int
walk_dir(struct walk *w, int fd, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;
	size_t len = w->path.len;
	int r = tree_names(fd, &names);

	if (r < 0)
		return path_error(w, -r, e);
	if (++w->depth > TREE_DEPTH)
		return err_set(e, ELOOP, "%.60s...: more than %d directories deep", w->path.s, TREE_DEPTH);
	for (size_t i = 0; i < names.n; i++) {
		if (len)
			buf_addc(&w->path, '/');
		buf_adds(&w->path, names.v[i]);
		r = walk_entry(w, fd, names.v[i], e);
		if (r != 0)
			return r;
		w->path.len = len;
		w->path.s[len] = '\0';
	}
	w->depth--;
	return 0;
}

int
tree_walk_mounts(int top_fd, int (*fn)(void *ctx, const struct tree_entry *t, struct err *e),
		 void (*mounted)(void *ctx, const char *path), void *ctx, struct err *e)
{
	struct walk w = {fn, mounted, ctx, BUF_INIT, 0};
	struct tree_entry top = {"", top_fd, ".", {0}};
	int r;

	buf_adds(&w.path, "");
	if (fstat(top_fd, &top.st) < 0)
		r = err_sys(e, errno, "read a tree");
	else
		r = fn(ctx, &top, e);
	if (r == 0)
		r = walk_dir(&w, top_fd, e);
	buf_free(&w.path);
	return r;
}

int
tree_walk(int top_fd, int (*fn)(void *ctx, const struct tree_entry *t, struct err *e), void *ctx,
	  struct err *e)
{
	return tree_walk_mounts(top_fd, fn, NULL, ctx, e);
}

bool
tree_empty(int fd)
{
	_auto_strv struct strv names = STRV_INIT;

	return tree_names(fd, &names) == 0 && names.n == 0;
}

bool
tree_is_link(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

char *
tree_readlink(int dir_fd, const char *name)
{
	char text[PATH_MAX + 1];
	ssize_t n = readlinkat(dir_fd, name, text, sizeof(text));

	if (n < 0)
		return NULL;
	if ((size_t)n == sizeof(text)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return xstrndup(text, (size_t)n);
}

/* One step down; made where it is missing and may be. */
static int
step_down(int at, const char *name, bool make)
{
	int fd = path_open(at, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);

	if (fd != -ENOENT || !make)
		return fd;
	if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	return path_open(at, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
}

bool
tree_is_jails_doing(int r)
{
	return r == -ENOENT || r == -ELOOP || r == -ENOTDIR || r == -EXDEV || r == -ENXIO || r == -ESTALE ||
	       r == -EAGAIN;
}

int
tree_parent(int top_fd, const char *path, bool make, const char **ret_name, struct err *e)
{
	_auto_close int at = openat(top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_auto_free char *work = xstrdup(path);
	char *p = work, *slash;

	if (at < 0)
		return err_sys(e, errno, "%s", path);
	while ((slash = strchr(p, '/'))) {
		int fd;

		*slash = '\0';
		fd = step_down(at, p, make);
		if (fd == -ELOOP || fd == -ENOTDIR)
			return err_set(e, ENOTDIR, "%s is %s, not a directory", work,
				       tree_is_link(at, p) ? "a link" : "a file");
		if (fd < 0)
			return err_sys(e, -fd, "%s", work);
		fd_close(at);
		at = fd;
		*slash = '/';
		p = slash + 1;
	}
	*ret_name = path + (p - work);
	return TAKE_FD(at);
}

enum node_type
tree_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return NODE_FILE;
	case S_IFDIR:
		return NODE_DIR;
	case S_IFLNK:
		return NODE_LINK;
	case S_IFIFO:
		return NODE_FIFO;
	case S_IFCHR:
		return NODE_CHAR;
	case S_IFBLK:
		return NODE_BLOCK;
	default:
		return NODE_SOCKET;
	}
}

int
tree_dir_of(int top_fd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_auto_free char *dir = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");

	*ret_name = slash ? slash + 1 : path;
	return path_open(top_fd, dir, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
}

void
vis_add(struct buf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= 0x20 || c > 0x7e || c == '\\' || c == '#' || c == '=')
			buf_addf(b, "\\%03o", c);
		else
			buf_addc(b, (char)c);
	}
}

static bool
octal(char c)
{
	return c >= '0' && c <= '7';
}

int
vis_decode(char *s)
{
	char *to = s;

	while (*s) {
		if (*s != '\\') {
			*to++ = *s++;
			continue;
		}
		if (!(s[1] >= '0' && s[1] <= '3') || !octal(s[2]) || !octal(s[3]))
			return -EINVAL;
		*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
		if (!*to++)
			return -EINVAL;
		s += 4;
	}
	*to = '\0';
	return 0;
}
