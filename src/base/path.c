/* SPDX-License-Identifier: BSD-2-Clause */
#include <limits.h>

#include "base/mem.h"
#include "base/path.h"

/* One component at a time; never a link, never "..", never another file system. */
static int
path_walk(int dirfd, const char *rel, int flags, mode_t mode)
{
	_auto_close int at = -EBADF;
	struct stat root, st;
	const char *p = rel;

	if (*rel == '/')
		return -EXDEV;
	if (fstat(dirfd, &root) < 0)
		return -errno;
	at = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -errno;
	for (;;) {
		char part[NAME_MAX + 1];
		size_t len = strcspn(p, "/");
		const char *next = p + len + strspn(p + len, "/");
		int fd;

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		if (len == 0 && !*next) {
			memcpy(part, ".", 2);
		} else {
			memcpy(part, p, len);
			part[len] = '\0';
		}
		if (streq(part, ".."))
			return -EXDEV;
		if (*next) {
			fd = openat(at, part, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
			if (fd < 0 && errno == ENOTDIR && fstatat(at, part, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			    S_ISLNK(st.st_mode))
				return -ELOOP;
			if (fd < 0)
				return -errno;
			fd_close(at);
			at = fd;
			if (fstat(at, &st) < 0)
				return -errno;
			if (st.st_dev != root.st_dev)
				return -EXDEV;
			p = next;
			continue;
		}
		fd = openat(at, part, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
		if (fd < 0)
			return -errno;
		if (fstat(fd, &st) == 0 && (S_ISLNK(st.st_mode) || st.st_dev != root.st_dev)) {
			fd_close(fd);
			return S_ISLNK(st.st_mode) ? -ELOOP : -EXDEV;
		}
		return fd;
	}
}

int
path_open(int dirfd, const char *rel, int flags, mode_t mode, enum path_scope scope)
{
	int fd = resolve_open(dirfd, rel, flags, mode, scope);

	if (fd == -ENOSYS && scope == PATH_BENEATH)
		fd = path_walk(dirfd, rel, flags, mode);
	return fd;
}

char *
path_join(const char *a, const char *b)
{
	size_t len = strlen(a);

	while (len > 1 && a[len - 1] == '/')
		len--;
	while (*b == '/')
		b++;
	if (!*b)
		return xstrndup(a, len);
	return xasprintf("%.*s%s%s", (int)len, a, len && a[len - 1] == '/' ? "" : "/", b);
}

char *
path_normal(const char *path)
{
	struct buf b = BUF_INIT;
	const char *p = path;

	buf_adds(&b, *p == '/' ? "/" : "");
	while (*p) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.') {
			buf_free(&b);
			return NULL;
		}
		if (len > 0 && !(len == 1 && *p == '.')) {
			if (b.len > 0 && b.s[b.len - 1] != '/')
				buf_addc(&b, '/');
			buf_add(&b, p, len);
		}
		p += len;
		p += strspn(p, "/");
	}
	if (b.len == 0)
		buf_addc(&b, '.');
	return buf_take(&b);
}

char *
path_real(const char *path)
{
	_auto_free char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
	_auto_free char *work = cwd ? path_join(cwd, path) : xstrdup(path);
	struct buf tail = BUF_INIT;
	char *real, *out;

	for (;;) {
		char *slash;

		real = realpath(*work ? work : "/", NULL);
		if (real || errno != ENOENT)
			break;
		slash = strrchr(work, '/');
		if (!slash)
			break;
		{
			_auto_free char *old = buf_take(&tail);

			buf_addf(&tail, "/%s%s", slash + 1, old);
		}
		*slash = '\0';
	}
	if (!real) {
		buf_free(&tail);
		return NULL;
	}
	out = tail.s ? path_join(real, tail.s) : xstrdup(real);
	free(real);
	buf_free(&tail);
	return out;
}

bool
path_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (len == 1 && *dir == '/')
		return *path == '/';
	return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

int
path_trusted(const char *path, struct err *e)
{
	_auto_free char *part = xstrdup(path);
	struct stat st;

	if (*path != '/')
		return err_set(e, EINVAL, "%s is not an absolute pathname", path);
	for (char *p = part + 1;; p++) {
		char keep = *p;

		if (*p != '/' && *p != '\0')
			continue;
		*p = '\0';
		if (lstat(part, &st) < 0)
			return errno == ENOENT ? 0 : err_sys(e, errno, "%s", part);
		if (st.st_uid != 0 && st.st_uid != geteuid())
			return err_set(e, EPERM,
				       "%s belongs to uid %u: it could be replaced by a link (chown root)",
				       part, st.st_uid);
		if (!S_ISLNK(st.st_mode) && (st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX) &&
		    (st.st_gid != 0 || (st.st_mode & S_IWOTH)))
			return err_set(e, EPERM, "%s may be written by others (chmod go-w)", part);
		*p = keep;
		if (!keep)
			return 0;
	}
}
