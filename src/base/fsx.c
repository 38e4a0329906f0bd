/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/path.h"

int
fsx_look(int dirfd, const char *name, struct stat *ret)
{
	struct stat st;

	if (fstatat(dirfd, name, ret ? ret : &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

ssize_t
fsx_read(int fd, void *buf, size_t size)
{
	ssize_t n;

	do
		n = read(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t
fsx_read_full(int fd, void *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 0;

	while (len < size && (n = fsx_read(fd, (char *)buf + len, size - len)) > 0)
		len += (size_t)n;
	return n < 0 ? n : (ssize_t)len;
}

int
fsx_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len)
{
	_auto_(buf_free) struct buf b = BUF_INIT;
	char chunk[16384];
	ssize_t n;

	while ((n = fsx_read(fd, chunk, sizeof(chunk))) > 0) {
		if (b.len + (size_t)n > max)
			return -EFBIG;
		buf_add(&b, chunk, (size_t)n);
	}
	if (n < 0)
		return (int)n;
	if (ret_len)
		*ret_len = b.len;
	*ret_data = buf_take(&b);
	return 0;
}

int
fsx_read_at(int dirfd, const char *name, size_t max, char **ret_data, size_t *ret_len, struct err *e)
{
	_auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "open '%s'", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is not a regular file", name);
	r = fsx_read_fd(fd, max, ret_data, ret_len);
	if (r == -EFBIG)
		return err_set(e, EFBIG, "'%s' is larger than %zu bytes", name, max);
	return r < 0 ? err_sys(e, -r, "read '%s'", name) : 0;
}

int
fsx_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

void
fsx_temp_name(char *buf, size_t size, const char *prefix)
{
	uint64_t r = 0;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		r = (uint64_t)getpid() << 32 | (uint64_t)(uintptr_t)&r;
	(void)snprintf(buf, size, "%s.%016llx", prefix, (unsigned long long)r);
}

#define TEMP_HEX 16 /* digits of fsx_temp_name() */

/* ".tmp.NAME", cut so that the random part still fits into a name. */
static void
temp_prefix(char buf[NAME_MAX - TEMP_HEX], const char *name)
{
	const char *slash = strrchr(name, '/');

	(void)snprintf(buf, NAME_MAX - TEMP_HEX, ".tmp.%s", slash ? slash + 1 : name);
}

static bool
is_temp(const char *file, const char *prefix)
{
	const char *rest = str_after(file, prefix);

	return rest && *rest == '.' && strlen(rest) == 1 + TEMP_HEX &&
	       strspn(rest + 1, "0123456789abcdef") == TEMP_HEX;
}

int
fsx_tidy_at(int dirfd, const char *name, struct err *e)
{
	_auto_closedir DIR *dir = NULL;
	char prefix[NAME_MAX - TEMP_HEX];
	struct dirent *de;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	temp_prefix(prefix, name);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return err_sys(e, errno, "open the directory of '%s'", name);
	}
	while ((errno = 0, de = readdir(dir)))
		if (is_temp(de->d_name, prefix) && unlinkat(dirfd, de->d_name, 0) < 0 && errno != ENOENT)
			return err_sys(e, errno, "remove '%s'", de->d_name);
	return errno ? err_sys(e, errno, "read the directory of '%s'", name) : 0;
}

int
fsx_sync_dir(int dirfd, const char *what, struct err *e)
{
	_auto_close int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, errno, "sync the directory of '%s'", what);
	return 0;
}

int
fsx_write_atomic(int dirfd, const char *name, const struct fsx_file *f, int flags, struct err *e)
{
	_auto_close int fd = -EBADF;
	char tmp[NAME_MAX + 1], prefix[NAME_MAX - TEMP_HEX];
	int r = 0;

	temp_prefix(prefix, name);
	fsx_temp_name(tmp, sizeof(tmp), prefix);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, f->mode);
	if (fd < 0)
		return err_sys(e, errno, "create '%s'", name);
	if (fchmod(fd, f->mode) < 0)
		r = -errno;
	if (r == 0)
		r = fsx_write_all(fd, f->data, f->len);
	if (r == 0 && (flags & FSX_SYNC) && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, tmp, 0);
		return err_sys(e, -r, "write '%s'", name);
	}
	return flags & FSX_SYNC ? fsx_sync_dir(dirfd, name, e) : 0;
}

int
fsx_write_text(int dirfd, const char *name, const char *text, mode_t mode, int flags, struct err *e)
{
	return fsx_write_atomic(dirfd, name, &(struct fsx_file){text, strlen(text), mode}, flags, e);
}

int
fsx_symlink_swap(int dirfd, const char *target, const char *name, int flags, struct err *e)
{
	char tmp[NAME_MAX + 1], prefix[NAME_MAX - TEMP_HEX];

	temp_prefix(prefix, name);
	fsx_temp_name(tmp, sizeof(tmp), prefix);
	if (symlinkat(target, dirfd, tmp) < 0)
		return err_sys(e, errno, "create the link '%s'", name);
	if (renameat(dirfd, tmp, dirfd, name) < 0) {
		int keep = errno;

		(void)unlinkat(dirfd, tmp, 0);
		return err_sys(e, keep, "put the link '%s' in place", name);
	}
	return flags & FSX_SYNC ? fsx_sync_dir(dirfd, name, e) : 0;
}

int
fsx_mkdir_open(int dirfd, const char *name, mode_t mode, int *ret_fd, struct err *e)
{
	int fd;

	if (mkdirat(dirfd, name, mode) < 0 && errno != EEXIST)
		return err_sys(e, errno, "create the directory '%s'", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open the directory '%s'", name);
	*ret_fd = fd;
	return 0;
}

int
fsx_mkdir_p(const char *path, mode_t mode, struct err *e)
{
	_auto_free char *part = xstrdup(path);
	struct stat st;

	for (char *p = part + 1;; p++) {
		char keep = *p;

		if (*p != '/' && *p != '\0')
			continue;
		*p = '\0';
		if (mkdir(part, keep ? 0755 : mode) < 0 && errno != EEXIST)
			return err_sys(e, errno, "create the directory '%s'", part);
		if (!keep)
			break;
		*p = keep;
		p += strspn(p, "/") - 1;
		if (!p[1])
			break;
	}
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "'%s' is not a directory", path);
	return 0;
}

/*
 * Removes depth-first without recursion and with two descriptors: descends by openat, comes back by "..",
 * which must be the inode it came from (if somebody moves the directory meanwhile, the removal ends).
 */
struct rm_frame {
	char *name;
	dev_t dev;
	ino_t ino;
};

struct rm_walk {
	struct rm_frame *frame;
	size_t depth, cap;
	int at;    /* the directory being emptied */
	dev_t dev; /* the file system we may delete on */
};

/* Opens a directory for deletion; -EXDEV where something is mounted on it. */
static int
rm_open_dir(int at, const char *name)
{
	/* PATH_BENEATH refuses mount points also on the same file system (bind mounts). */
	return path_open(at, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
}

static int
rm_push(struct rm_walk *w, const char *name, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat '%s'", name);
	if (st.st_dev != w->dev)
		return err_set(e, EXDEV, "'%s' is a mount point: unmount it first", name);
	GROW(w->frame, w->depth, w->cap);
	w->frame[w->depth++] = (struct rm_frame){xstrdup(name), st.st_dev, st.st_ino};
	fd_close(w->at);
	w->at = fd;
	return 0;
}

/* Empties the directory w->at as far as possible without descending; 1: *ret_sub is a directory to enter. */
static int
rm_files(struct rm_walk *w, char **ret_sub, struct err *e)
{
	_auto_closedir DIR *dir = NULL;
	struct dirent *de;
	int fd = openat(w->at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "open a directory to remove");
	dir = fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return err_sys(e, errno, "read a directory to remove");
	}
	while ((errno = 0, de = readdir(dir))) {
		if (streq(de->d_name, ".") || streq(de->d_name, ".."))
			continue;
		if (unlinkat(w->at, de->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno == EISDIR || errno == EPERM) {
			if (unlinkat(w->at, de->d_name, AT_REMOVEDIR) == 0)
				continue;
			if (errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY) {
				*ret_sub = xstrdup(de->d_name);
				return 1;
			}
		}
		return err_sys(e, errno, "remove '%s'", de->d_name);
	}
	return errno ? err_sys(e, errno, "read a directory to remove") : 0;
}

static int
rm_up(struct rm_walk *w, int top, struct err *e)
{
	struct rm_frame *f = &w->frame[w->depth - 1];
	struct stat st;
	int up;

	if (w->depth == 1) {
		up = fcntl(top, F_DUPFD_CLOEXEC, 3);
	} else {
		up = openat(w->at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (up >= 0 && (fstat(up, &st) < 0 || st.st_ino != w->frame[w->depth - 2].ino ||
				st.st_dev != w->frame[w->depth - 2].dev)) {
			fd_close(up);
			return err_set(e, EAGAIN, "'%s' was moved while it was removed", f->name);
		}
	}
	if (up < 0)
		return err_sys(e, errno, "remove '%s'", f->name);
	fd_close(w->at);
	w->at = up;
	if (unlinkat(w->at, f->name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
		if (errno == EBUSY)
			return err_set(e, EXDEV, "'%s' is a mount point: unmount it first", f->name);
		if (errno != ENOTEMPTY)
			return err_sys(e, errno, "remove '%s'", f->name);
		/* somebody added a file: enter it again */
		up = rm_open_dir(w->at, f->name);
		if (up < 0)
			return err_sys(e, -up, "remove '%s'", f->name);
		fd_close(w->at);
		w->at = up;
		return 0;
	}
	free(f->name);
	w->depth--;
	return 0;
}

static int
rm_loop(struct rm_walk *w, int top, struct err *e)
{
	while (w->depth > 0) {
		_auto_free char *sub = NULL;
		int r = rm_files(w, &sub, e);

		if (r < 0)
			return r;
		if (r == 0) {
			r = rm_up(w, top, e);
		} else {
			int fd = rm_open_dir(w->at, sub);

			if (fd == -EXDEV)
				return err_set(e, EXDEV, "'%s' is a mount point: unmount it first", sub);
			r = fd < 0 ? err_sys(e, -fd, "open '%s' to remove it", sub) : rm_push(w, sub, fd, e);
			if (r < 0)
				fd_close(fd);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int
fsx_rm_rf_at(int dirfd, const char *name, struct err *e)
{
	struct rm_walk w = {.at = -EBADF};
	struct stat st;
	int fd, r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(e, errno, "remove '%s'", name);
	if (fstat(dirfd, &st) < 0)
		return err_sys(e, errno, "stat the directory of '%s'", name);
	w.dev = st.st_dev;
	fd = rm_open_dir(dirfd, name);
	if (fd == -EXDEV)
		return err_set(e, EXDEV, "'%s' is a mount point: unmount it first", name);
	if (fd < 0)
		return err_sys(e, -fd, "open '%s' to remove it", name);
	r = rm_push(&w, name, fd, e);
	if (r < 0)
		fd_close(fd);
	else
		r = rm_loop(&w, dirfd, e);
	fd_close(w.at);
	while (w.depth > 0)
		free(w.frame[--w.depth].name);
	free(w.frame);
	return r;
}
