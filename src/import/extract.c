/* SPDX-License-Identifier: BSD-2-Clause */
/* Unpacks the entries of an archive into the tree, one after the other. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/path.h"
#include "import/import_int.h"

#define READ_BLOCK (256u << 10)

const struct import_limits import_limits = {
    .entries = 4u << 20,
    .names = 256u << 20,
    .file = 64ull << 30,
    .total = 256ull << 30,
    .unpacked = 256u << 20,
    .ratio = 200,
};

int
import_broken(const struct import *im, struct err *e)
{
	const char *what = archive_error_string(im->a);
	_auto_free char *text = text_printable(what ? what : "damaged archive", 300);

	return err_set(e, EINVAL, "%s%s%s", im->shown ? im->shown : "", im->shown ? ": " : "", text);
}

/* ---- how much ---- */

static int
check_ratio(const struct import *im, struct err *e)
{
	uint64_t packed = im->packed + (uint64_t)archive_filter_bytes(im->a, -1);
	uint64_t unpacked = im->unpacked + (uint64_t)archive_filter_bytes(im->a, 0);

	/* the archive does not contain the bytes of holes, but they are read later (manifest, verify) */
	if (im->total - im->coming > unpacked)
		unpacked = im->total - im->coming;
	if (unpacked <= im->limits->unpacked || unpacked / im->limits->ratio <= packed)
		return 0;
	return err_set(
	    e, EFBIG,
	    "'%s': the archive unpacks to more than %llu times its size (decompress it first if that is "
	    "meant)",
	    im->shown, (unsigned long long)im->limits->ratio);
}

/* Skips an entry's content.  It has to be unpacked all the same, so it counts for the ratio. */
int
import_pass(const struct import *im, struct err *e)
{
	const void *block;
	size_t len;
	la_int64_t at;
	int r;

	while ((r = archive_read_data_block(im->a, &block, &len, &at)) == ARCHIVE_OK)
		if (check_ratio(im, e) < 0)
			return -e->num;
	return r == ARCHIVE_EOF ? 0 : import_broken(im, e);
}

/* Counts a member of any kind, also one that is skipped. */
int
import_count(struct import *im, struct archive_entry *entry, struct err *e)
{
	const struct import_limits *max = im->limits;
	la_int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;

	if (size < 0 || (uint64_t)size > max->file)
		return err_set(e, EFBIG, "'%s': larger than %llu MiB", im->shown,
			       (unsigned long long)max->file >> 20);
	im->entries++;
	im->names += strlen(im->path);
	im->total += (uint64_t)size;
	im->coming = (uint64_t)size;
	if (im->entries > max->entries)
		return err_set(e, EFBIG, "'%s': more than %llu members", im->shown,
			       (unsigned long long)max->entries);
	if (im->names > max->names)
		return err_set(e, EFBIG, "'%s': the names are longer than %llu MiB together", im->shown,
			       (unsigned long long)max->names >> 20);
	if (im->total > max->total)
		return err_set(e, EFBIG, "'%s': the files are larger than %llu MiB together", im->shown,
			       (unsigned long long)max->total >> 20);
	return check_ratio(im, e);
}

/* ---- names ---- */

/* The name, relative, without ".." and bounded; "" is the top.  NULL and e when it is not acceptable. */
static char *
clean_name(const char *name, struct err *e)
{
	_auto_free char *shown = name ? text_printable(name, 120) : NULL;
	_auto_free char *normal = NULL;
	size_t depth = 0;

	if (!name || !*name)
		return err_set(e, EINVAL, "an entry without a usable name"), NULL;
	if (*name == '/')
		return err_set(e, EINVAL, "'%s': an absolute name", shown), NULL;
	normal = path_normal(name);
	if (!normal)
		return err_set(e, EINVAL, "'%s': a name with '..'", shown), NULL;
	if (streq(normal, "."))
		*normal = '\0';
	for (const char *p = normal; *p;
	     p += p[strcspn(p, "/")] == '/' ? strcspn(p, "/") + 1 : strcspn(p, "/")) {
		if (strcspn(p, "/") > IMPORT_NAME)
			return err_set(e, ENAMETOOLONG, "'%s': a name longer than %d bytes", shown,
				       IMPORT_NAME),
			       NULL;
		if (++depth > IMPORT_DEPTH)
			return err_set(e, ENAMETOOLONG, "'%s': more than %d directories deep", shown,
				       IMPORT_DEPTH),
			       NULL;
	}
	if (strlen(normal) >= PATH_MAX - 1)
		return err_set(e, ENAMETOOLONG, "'%s': the name is too long", shown), NULL;
	return TAKE_PTR(normal);
}

/* Opens the directory that path is in; makes missing ones. */
int
import_parent(const struct import *im, const char *path, bool make, const char **ret_leaf, struct err *e)
{
	_auto_free char *work = xstrdup(path);
	char *p = work, *slash;
	_auto_close int at = openat(im->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (at < 0)
		return err_sys(e, errno, "%s", im->shown);
	for (; (slash = strchr(p, '/')); p = slash + 1) {
		int fd;

		*slash = '\0';
		fd = path_open(at, p, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
		if (fd == -ENOENT && make && mkdirat(at, p, 0755) == 0)
			fd = path_open(at, p, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
		if (fd < 0) {
			_auto_free char *part = text_printable(work, 120);
			struct stat st;

			if (fstatat(at, p, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
				return err_set(e, ELOOP, "'%s' leads through the link '%s'", im->shown, part);
			return err_sys(e, -fd, "'%s': '%s'", im->shown, part);
		}
		fd_close(at);
		at = fd;
		*slash = '/';
	}
	*ret_leaf = path + (p - work);
	return TAKE_FD(at);
}

/* Removes what a later entry of the same name replaces; a directory only when it is empty. */
static int
make_room(const struct import *im, int dir, const char *leaf, struct err *e)
{
	if (unlinkat(dir, leaf, 0) == 0 || errno == ENOENT)
		return 0;
	if ((errno == EISDIR || errno == EPERM) && unlinkat(dir, leaf, AT_REMOVEDIR) == 0)
		return 0;
	return err_sys(e, errno, "'%s': replace what an earlier entry put there", im->shown);
}

/* ---- owner, mode, times ---- */

static int
owner_of(const struct import *im, struct archive_entry *entry, uid_t *ret_uid, gid_t *ret_gid, struct err *e)
{
	la_int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return err_set(e, EINVAL, "'%s': owner %lld:%lld is not an id", im->shown, (long long)uid,
			       (long long)gid);
	*ret_uid = (uid_t)uid;
	*ret_gid = (gid_t)gid;
	return 0;
}

static struct timespec
mtime_of(struct archive_entry *entry)
{
	struct timespec t = {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};

	if (!archive_entry_mtime_is_set(entry) || t.tv_nsec < 0 || t.tv_nsec > 999999999)
		t = (struct timespec){0, 0};
	return t;
}

/* Owner before mode: chown(2) clears set-user-ID bits and file capabilities. */
static int
apply_fd(const struct import *im, int fd, struct archive_entry *entry, bool times, struct err *e)
{
	struct timespec t[2] = {{0, UTIME_OMIT}, mtime_of(entry)};
	uid_t uid;
	gid_t gid;
	int r;

	if (owner_of(im, entry, &uid, &gid, e) < 0)
		return -e->num;
	if (fchown(fd, uid, gid) < 0 || fchmod(fd, archive_entry_perm(entry) & 07777) < 0)
		return err_sys(e, errno, "'%s': owner and mode", im->shown);
	r = attr_apply(fd, entry);
	if (r < 0)
		return err_sys(e, -r, "'%s': attributes", im->shown);
	if (times && futimens(fd, t) < 0)
		return err_sys(e, errno, "'%s': time", im->shown);
	return 0;
}

/* ---- kinds of entries ---- */

static int
put_directory(struct import *im, struct archive_entry *entry, struct err *e)
{
	_auto_close int dir = -EBADF, fd = -EBADF;
	const char *leaf = ".";
	int r;

	if (*im->path) {
		dir = import_parent(im, im->path, true, &leaf, e);
		if (dir < 0)
			return dir;
		fd = path_open(dir, leaf, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
		if (fd < 0) {
			if (make_room(im, dir, leaf, e) < 0)
				return -e->num;
			if (mkdirat(dir, leaf, 0700) < 0)
				return err_sys(e, errno, "'%s'", im->shown);
			fd = path_open(dir, leaf, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
		}
	} else {
		fd = openat(im->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return err_sys(e, fd == -1 ? errno : -fd, "'%s'", im->shown);
	if (im->layers && (r = attr_clear(fd)) < 0) /* the directory may be of a layer below */
		return err_sys(e, -r, "'%s': attributes", im->shown);
	GROW(im->dirs, im->n_dirs, im->cap_dirs);
	im->dirs[im->n_dirs++] = (struct dir_time){xstrdup(im->path), mtime_of(entry)};
	return apply_fd(im, fd, entry, false, e);
}

static int
write_content(struct import *im, int fd, la_int64_t size, struct err *e)
{
	const la_int64_t max = (la_int64_t)im->limits->file;
	const void *block;
	size_t len;
	la_int64_t at;
	int r;

	while ((r = archive_read_data_block(im->a, &block, &len, &at)) == ARCHIVE_OK) {
		const char *p = block;

		if (at < 0 || at > max || (la_int64_t)len > max - at)
			return err_set(e, EFBIG, "'%s': larger than %lld MiB", im->shown,
				       (long long)max >> 20);
		if (check_ratio(im, e) < 0)
			return -e->num;
		while (len > 0) {
			ssize_t n = pwrite(fd, p, len, at);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return err_sys(e, errno, "'%s'", im->shown);
			p += n;
			at += n;
			len -= (size_t)n;
		}
	}
	if (r != ARCHIVE_EOF)
		return import_broken(im, e);
	if (ftruncate(fd, size) < 0)
		return err_sys(e, errno, "'%s'", im->shown);
	im->coming = 0;
	return check_ratio(im, e);
}

static int
put_file(struct import *im, struct archive_entry *entry, struct err *e)
{
	la_int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
	_auto_close int dir = -EBADF, fd = -EBADF;
	const char *leaf;
	int r;

	dir = import_parent(im, im->path, true, &leaf, e);
	if (dir < 0)
		return dir;
	if (make_room(im, dir, leaf, e) < 0)
		return -e->num;
	fd = openat(dir, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "'%s'", im->shown);
	r = write_content(im, fd, size, e);
	return r < 0 ? r : apply_fd(im, fd, entry, true, e);
}

static int
put_link(struct import *im, struct archive_entry *entry, struct err *e)
{
	const char *target = archive_entry_symlink(entry), *leaf;
	struct timespec t[2] = {{0, UTIME_OMIT}, mtime_of(entry)};
	_auto_close int dir = -EBADF;
	uid_t uid;
	gid_t gid;

	if (!target || !*target || strlen(target) >= PATH_MAX)
		return err_set(e, EINVAL, "'%s': a link without a usable target", im->shown);
	if (owner_of(im, entry, &uid, &gid, e) < 0)
		return -e->num;
	dir = import_parent(im, im->path, true, &leaf, e);
	if (dir < 0)
		return dir;
	if (make_room(im, dir, leaf, e) < 0)
		return -e->num;
	if (symlinkat(target, dir, leaf) < 0 || fchownat(dir, leaf, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(dir, leaf, t, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "'%s'", im->shown);
	return 0;
}

/* A hard link to an earlier member: everything in the tree came from this archive. */
static int
put_hardlink(struct import *im, const char *target, struct err *e)
{
	_auto_free char *clean = clean_name(target, e), *shown = NULL;
	_auto_close int from = -EBADF, to = -EBADF;
	const char *from_leaf, *to_leaf;
	struct stat st;

	if (!clean)
		return err_wrap(e, "'%s': hard link to", im->shown);
	shown = text_printable(clean, 120);
	if (streq(clean, im->path))
		return 0;
	from = import_parent(im, clean, false, &from_leaf, e);
	if (from < 0)
		return err_set(e, EINVAL, "'%s': hard link to '%s', which is not in the archive before it",
			       im->shown, shown);
	if (fstatat(from, from_leaf, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return err_set(e, EINVAL,
			       "'%s': hard link to '%s', which is not a file in the archive before it",
			       im->shown, shown);
	to = import_parent(im, im->path, true, &to_leaf, e);
	if (to < 0)
		return to;
	if (make_room(im, to, to_leaf, e) < 0)
		return -e->num;
	return linkat(from, from_leaf, to, to_leaf, 0) < 0 ? err_sys(e, errno, "'%s'", im->shown) : 0;
}

/* Device nodes in dev/ are skipped: base archives have them, and each jail gets its own.  Elsewhere they are
 * errors. */
static int
put_special(const struct import *im, const char *what, struct err *e)
{
	if (path_below(im->path, "dev"))
		return 0;
	return err_set(e, EINVAL, "'%s' is %s: a template cannot have one (all jails would share it)",
		       im->shown, what);
}

static int
put_entry(struct import *im, struct archive_entry *entry, struct err *e)
{
	const char *hardlink = archive_entry_hardlink(entry);

	if (!*im->path && (hardlink || archive_entry_filetype(entry) != AE_IFDIR))
		return err_set(e, EINVAL, "the top of the archive is not a directory");
	if (hardlink)
		return put_hardlink(im, hardlink, e);
	switch (archive_entry_filetype(entry)) {
	case AE_IFDIR:
		return put_directory(im, entry, e);
	case AE_IFREG:
		return put_file(im, entry, e);
	case AE_IFLNK:
		return put_link(im, entry, e);
	case AE_IFCHR:
	case AE_IFBLK:
		return put_special(im, "a device node", e);
	case AE_IFIFO:
		return put_special(im, "a FIFO", e);
	case AE_IFSOCK:
		return put_special(im, "a socket", e);
	default:
		return err_set(e, EINVAL, "'%s': an entry of an unknown kind", im->shown);
	}
}

/* ---- the archive ---- */

int
import_next(struct import *im, struct archive_entry **ret, struct err *e)
{
	const char *name;
	int r;

	free(im->shown);
	im->shown = NULL;
	while ((r = archive_read_next_header(im->a, ret)) == ARCHIVE_RETRY)
		;
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return import_broken(im, e);
	name = archive_entry_pathname(*ret);
	free(im->path);
	im->shown = name ? text_printable(*name ? name : ".", 200) : NULL;
	im->path = clean_name(name, e);
	return im->path ? 1 : -e->num;
}

/* One entry.  A whiteout makes nothing: whiteout_apply() has obeyed it already. */
static int
take_entry(struct import *im, struct archive_entry *entry, struct err *e)
{
	enum whiteout kind = WHITEOUT_NONE;

	if (import_count(im, entry, e) < 0)
		return -e->num;
	if (im->layers && whiteout_of(im, entry, &kind, e) < 0)
		return -e->num;
	if (kind == WHITEOUT_NONE && put_entry(im, entry, e) < 0)
		return -e->num;
	/* put_file() has read the content */
	if (kind == WHITEOUT_NONE && !archive_entry_hardlink(entry) &&
	    archive_entry_filetype(entry) == AE_IFREG)
		return 0;
	return import_pass(im, e);
}

int
import_entries(struct import *im, struct err *e)
{
	struct archive_entry *entry;
	int r;

	while ((r = import_next(im, &entry, e)) > 0)
		if (take_entry(im, entry, e) < 0)
			return -e->num;
	return r;
}

/* Sets the times of directories at the end; of one that came twice the later time counts. */
int
import_dir_times(const struct import *im, struct err *e)
{
	for (size_t i = 0; i < im->n_dirs; i++) {
		struct timespec t[2] = {{0, UTIME_OMIT}, im->dirs[i].mtime};
		_auto_close int fd = path_open(im->top, *im->dirs[i].path ? im->dirs[i].path : ".",
					       O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);

		if (fd >= 0 && futimens(fd, t) < 0)
			return err_sys(e, errno, "time of a directory");
	}
	return 0;
}

void
import_free(struct import *im)
{
	for (size_t i = 0; i < im->n_dirs; i++)
		free(im->dirs[i].path);
	free(im->dirs);
	free(im->path);
	free(im->shown);
}

/* Supports only formats and filters for which the libraries that are loaded suffice: none with a program or a
 * character set table, and none that names files of the host (mtree). */
static struct archive *
open_archive(void)
{
	struct archive *a = archive_read_new();

	if (!a)
		return NULL;
	(void)archive_read_support_format_tar(a);
	(void)archive_read_support_format_cpio(a);
	(void)archive_read_support_filter_gzip(a);
	(void)archive_read_support_filter_bzip2(a);
	(void)archive_read_support_filter_xz(a);
	(void)archive_read_support_filter_lzma(a);
	(void)archive_read_support_filter_zstd(a);
	(void)archive_read_support_filter_lz4(a);
	(void)archive_read_support_filter_compress(a);
	return a;
}

int
import_run(int in_fd, int top_fd, const struct import_limits *limits, struct err *e)
{
	struct import im = {.a = open_archive(), .limits = limits, .top = top_fd};
	int r;

	if (!im.a)
		return err_sys(e, ENOMEM, "read the archive");
	r = archive_read_open_fd(im.a, in_fd, READ_BLOCK) == ARCHIVE_OK ? import_entries(&im, e)
									: import_broken(&im, e);
	if (r == 0)
		r = import_dir_times(&im, e);
	(void)archive_read_free(im.a);
	import_free(&im);
	return r;
}
