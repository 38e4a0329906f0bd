/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <limits.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/path.h"
#include "store/jailspace/copy_file.h"
#include "store/jailspace/host.h"

#define BUF_SIZE (256 * 1024)  /* files up to this size: one read, one write */
#define RANGE_SIZE (64u << 20) /* at most this much in one copy_file_range(2) */

void
copy_fs_init(struct copy_fs *fs)
{
	*fs = (struct copy_fs){.uid = geteuid(), .gid = getegid(), .umask = umask(077)};
	(void)umask(fs->umask);
	fs->buf = xrealloc(NULL, 1, BUF_SIZE);
}

void
copy_fs_free(struct copy_fs *fs)
{
	free(fs->buf);
	fs->buf = NULL;
}

int
copy_open(struct copy_fs *fs, int dir, const char *name, int flags)
{
	int want = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | flags;
	int fd = -EPERM;

#ifdef O_NOATIME
	if (!fs->no_noatime) { /* EPERM: not the owner; on an id-mapped mount root may not be, either */
		fd = path_open(dir, name, want | O_NOATIME, 0, PATH_BENEATH);
		fs->no_noatime = fd == -EPERM;
	}
#endif
	return fd == -EPERM ? path_open(dir, name, want, 0, PATH_BENEATH) : fd;
}

/* Copies [at, end) by read and write; less if the file has become shorter. */
static int
copy_bytes(struct copy_fs *fs, int src, int dst, off_t at, off_t end)
{
	while (at < end) {
		size_t want = end - at < BUF_SIZE ? (size_t)(end - at) : BUF_SIZE;
		ssize_t n = pread(src, fs->buf, want, at);
		ssize_t done = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		while (done < n) {
			ssize_t w = pwrite(dst, fs->buf + done, (size_t)(n - done), at + done);

			if (w < 0 && errno != EINTR)
				return -errno;
			done += w > 0 ? w : 0;
		}
		at += n;
	}
	return 0;
}

/* The same by copy_file_range(2) where that is possible: some file systems share the blocks. */
static int
copy_range(struct copy_fs *fs, int src, int dst, off_t at, off_t end)
{
	off_t from = at, to = at;

	if (end - at <= BUF_SIZE)
		return copy_bytes(fs, src, dst, at, end);
	while (!fs->no_range && from < end) {
		size_t want = end - from < (off_t)RANGE_SIZE ? (size_t)(end - from) : RANGE_SIZE;
		ssize_t n = copy_file_range(src, &from, dst, &to, want, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EXDEV || errno == ENOSYS || errno == EOPNOTSUPP || errno == EINVAL ||
			      errno == EPERM))
			fs->no_range = true;
		else if (n < 0)
			return -errno;
		else if (n == 0) /* end of file, or a file system whose files have no size: read(2) tells */
			break;
	}
	return copy_bytes(fs, src, dst, from, end);
}

/* Copies all but holes, lseek(2). */
static int
copy_sparse(struct copy_fs *fs, int src, int dst, off_t size)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(src, at, SEEK_DATA), hole;
		int r;

		if (data < 0 && errno == ENXIO) /* nothing but a hole from here */
			break;
		if (data < 0 && errno == EINVAL) /* holes are not reported here */
			data = at;
		if (data < 0)
			return -errno;
		hole = lseek(src, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		r = copy_range(fs, src, dst, data, hole);
		if (r < 0)
			return r;
		at = hole;
	}
	return ftruncate(dst, size) < 0 ? -errno : 0;
}

static int
copy_data(struct copy_fs *fs, int src, int dst, const struct stat *st)
{
	if (st->st_size == 0)
		return 0;
	if (!fs->no_clone) {
		int r = host_clone(src, dst);

		if (r == 0)
			return 0;
		fs->no_clone = r == -EOPNOTSUPP;
	}
	if ((off_t)st->st_blocks * 512 < st->st_size)
		return copy_sparse(fs, src, dst, st->st_size);
	return copy_range(fs, src, dst, 0, st->st_size);
}

int
copy_attributes(struct copy_fs *fs, int src, int dst, const struct stat *st, mode_t mode)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	bool chowned = st->st_uid != fs->uid || st->st_gid != fs->gid;
	int r;

	/* owner first: chown(2) clears set-id bits and file capabilities */
	if (chowned && fchown(dst, st->st_uid, st->st_gid) < 0)
		return -errno;
	r = src >= 0 ? host_xattrs(src, dst) : 0;
	if (r < 0)
		return r;
	if ((mode & ~fs->umask) != (st->st_mode & 07777) && fchmod(dst, st->st_mode & 07777) < 0)
		return -errno;
	return futimens(dst, times) < 0 ? -errno : 0;
}

int
copy_file(struct copy_fs *fs, int src, int dst_dir, const char *name, const struct stat *st)
{
	/* without set-id bits: copy_attributes() sets them after the owner */
	mode_t mode = st->st_mode & 0777;
	_auto_close int dst =
	    openat(dst_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int r = dst < 0 ? -errno : copy_data(fs, src, dst, st);

	return r < 0 ? r : copy_attributes(fs, src, dst, st, mode);
}

static int
copy_symlink(int src_dir, int dst_dir, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(src_dir, name, target, sizeof(target));

	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof(target))
		return -ENAMETOOLONG;
	target[n] = '\0';
	return symlinkat(target, dst_dir, name) < 0 ? -errno : 0;
}

int
copy_node(struct copy_fs *fs, int src_dir, int dst_dir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	bool is_link = S_ISLNK(st->st_mode);
	int r = 0;

	if (is_link)
		r = copy_symlink(src_dir, dst_dir, name);
	else if (mknodat(dst_dir, name, S_IFIFO | 0600, 0) < 0)
		r = -errno;
	if (r < 0)
		return r;
	if ((st->st_uid != fs->uid || st->st_gid != fs->gid) &&
	    fchownat(dst_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* fchmodat(2) follows links, but nobody else can put one there: the copy is in a directory with
	 * mode 0700 */
	if (!is_link && fchmodat(dst_dir, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	if (!fs->no_node_xattrs) {
		r = host_node_xattrs(src_dir, dst_dir, name);
		fs->no_node_xattrs = r == -EOPNOTSUPP;
		if (r < 0 && r != -EOPNOTSUPP)
			return r;
	}
	return utimensat(dst_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}
