/* SPDX-License-Identifier: BSD-2-Clause */
/* FICLONE: ioctl_ficlone(2).  Attributes: xattr(7).  STATX_MNT_ID: statx(2), Linux 5.8. */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "base/path.h"
#include "store/jailspace/host.h"

#define LIST_SIZE 65536  /* XATTR_LIST_MAX */
#define VALUE_SIZE 65536 /* XATTR_SIZE_MAX */

int
host_clone(int src, int dst)
{
	if (ioctl(dst, FICLONE, src) == 0)
		return 0;
	if (errno == ENOTTY || errno == EXDEV || errno == ENOSYS || errno == EPERM)
		return -EOPNOTSUPP;
	return -errno;
}

/* These must be copied; others are labels of security modules and of file systems, which the destination
 * may not support. */
static bool
must_copy(const char *name)
{
	return str_after(name, "user.") || str_after(name, "trusted.") ||
	       str_after(name, "system.posix_acl_") || streq(name, "security.capability");
}

/* One object: by descriptor, or by a path that is not followed. */
struct object {
	int fd;
	const char *path;
};

static ssize_t
list_of(const struct object *o, char *buf, size_t size)
{
	return o->path ? llistxattr(o->path, buf, size) : flistxattr(o->fd, buf, size);
}

static int
copy_one(const struct object *src, const struct object *dst, const char *name, char *value)
{
	ssize_t n = src->path ? lgetxattr(src->path, name, value, VALUE_SIZE)
			      : fgetxattr(src->fd, name, value, VALUE_SIZE);
	int r;

	if (n < 0)
		return errno == ENODATA || !must_copy(name) ? 0 : -errno;
	r = dst->path ? lsetxattr(dst->path, name, value, (size_t)n, 0)
		      : fsetxattr(dst->fd, name, value, (size_t)n, 0);
	if (r == 0 || (errno != ENOSPC && errno != EDQUOT && errno != EIO && !must_copy(name)))
		return 0;
	return -errno;
}

static int
copy_all(const struct object *src, const struct object *dst)
{
	_auto_free char *list = NULL, *value = NULL;
	char small[256];
	ssize_t n = list_of(src, small, sizeof(small));
	const char *names = small;

	if (n < 0 && errno == ERANGE) {
		list = xrealloc(NULL, 1, LIST_SIZE);
		n = list_of(src, list, LIST_SIZE);
		names = list;
	}
	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (const char *p = names; p < names + n; p += strlen(p) + 1) {
		int r;

		if (!value)
			value = xrealloc(NULL, 1, VALUE_SIZE);
		r = copy_one(src, dst, p, value);
		if (r < 0)
			return r;
	}
	return 0;
}

int
host_xattrs(int src, int dst)
{
	return copy_all(&(struct object){src, NULL}, &(struct object){dst, NULL});
}

/* Before Linux 6.13 there is no llistxattrat(), and flistxattr(2) takes no O_PATH descriptor: so paths by
 * way of the directories' descriptors in /proc.  The last component is not followed. */
int
host_node_xattrs(int src_dir, int dst_dir, const char *name)
{
	char src[300], dst[300];
	int r;

	(void)snprintf(src, sizeof(src), "/proc/self/fd/%d/%s", src_dir, name);
	(void)snprintf(dst, sizeof(dst), "/proc/self/fd/%d/%s", dst_dir, name);
	r = copy_all(&(struct object){-1, src}, &(struct object){-1, dst});
	if (r == -ENOENT && access("/proc/self/fd", F_OK) < 0)
		return -EOPNOTSUPP;
	return r;
}

int
host_no_default_acl(int dir)
{
	if (fremovexattr(dir, "system.posix_acl_default") < 0 && errno != ENODATA && errno != ENOTSUP)
		return -errno;
	return 0;
}

int
host_no_capability(int fd)
{
	if (fremovexattr(fd, "security.capability") == 0 || errno == ENODATA || errno == ENOTSUP)
		return 0;
	/* the kernel checks the caller's privilege first: without it, a file that has none is fine, too */
	if (errno == EPERM && fgetxattr(fd, "security.capability", NULL, 0) < 0 && errno == ENODATA)
		return 0;
	return -errno;
}

/* Before Linux 5.8 a mount is only noticed if it is of another file system. */
int
host_stat_mount(int dir, const char *name, struct stat *ret, uint64_t *ret_mount)
{
	struct statx x;

	if (statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_MNT_ID, &x) < 0)
		return -errno;
	*ret = (struct stat){.st_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
			     .st_ino = x.stx_ino,
			     .st_mode = x.stx_mode,
			     .st_nlink = x.stx_nlink,
			     .st_uid = x.stx_uid,
			     .st_gid = x.stx_gid,
			     .st_size = (off_t)x.stx_size,
			     .st_blocks = (blkcnt_t)x.stx_blocks};
	*ret_mount = x.stx_mask & STATX_MNT_ID ? x.stx_mnt_id : ret->st_dev;
	return 0;
}

int
host_sync(int fd)
{
	return syncfs(fd) < 0 ? -errno : 0;
}
