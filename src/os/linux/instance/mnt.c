/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <linux/magic.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/mem.h"
#include "base/path.h"
#include "os/linux/instance/mnt.h"

/* Adds the kernel's message from the log of the file system context: "e tmpfs: Bad value for 'size'". */
static int
fs_error(int fs, const char *type, struct err *e)
{
	int num = errno;
	char text[256];
	ssize_t n;

	while ((n = read(fs, text, sizeof(text) - 1)) > 0) {
		while (n > 0 && text[n - 1] == '\n')
			n--;
		text[n] = '\0';
		if (n > 2 && text[0] == 'e' && text[1] == ' ')
			return err_sys(e, num, "mount %s: %s", type, text + 2);
	}
	return err_sys(e, num, "mount %s", type);
}

int
mnt_new(const char *type, const struct mnt_opt *opts, size_t n, uint64_t attr, int *ret_fd, struct err *e)
{
	_auto_close int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return err_sys(e, errno, "mount %s", type);
	for (size_t i = 0; i < n; i++) {
		int cmd = opts[i].value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (fsconfig(fs, (unsigned)cmd, opts[i].key, opts[i].value, 0) < 0)
			return fs_error(fs, type, e);
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_error(fs, type, e);
	fd = fsmount(fs, FSOPEN_CLOEXEC, (unsigned)attr);
	if (fd < 0)
		return fs_error(fs, type, e);
	*ret_fd = fd;
	return 0;
}

static const char *
fd_path(int fd, char buf[PATH_MAX])
{
	char link[40];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, buf, PATH_MAX - 1);
	if (n < 0)
		return "mount";
	buf[n] = '\0';
	return buf;
}

int
mnt_clone(int fd, int *ret_fd, struct err *e)
{
	char path[PATH_MAX];
	int tree = open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (tree < 0)
		return err_sys(e, errno, "%s: bind", fd_path(fd, path));
	*ret_fd = tree;
	return 0;
}

const char *
mnt_fsname(int fd)
{
	static const struct {
		long magic;
		const char *name;
	} known[] = {
	    {BTRFS_SUPER_MAGIC, "btrfs"},   {CIFS_SUPER_MAGIC, "cifs"},
	    {DEVPTS_SUPER_MAGIC, "devpts"}, {ECRYPTFS_SUPER_MAGIC, "ecryptfs"},
	    {EXT4_SUPER_MAGIC, "ext2/3/4"}, {F2FS_SUPER_MAGIC, "f2fs"},
	    {FUSE_SUPER_MAGIC, "fuse"},     {MSDOS_SUPER_MAGIC, "vfat"},
	    {NFS_SUPER_MAGIC, "nfs"},       {OVERLAYFS_SUPER_MAGIC, "overlay"},
	    {PROC_SUPER_MAGIC, "proc"},     {RAMFS_MAGIC, "ramfs"},
	    {SQUASHFS_MAGIC, "squashfs"},   {SYSFS_MAGIC, "sysfs"},
	    {TMPFS_MAGIC, "tmpfs"},         {V9FS_MAGIC, "9p"},
	    {XFS_SUPER_MAGIC, "xfs"},       {0x2fc12fc1, "zfs"},
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return "unknown";
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].magic == fs.f_type)
			return known[i].name;
	return "unknown";
}

static int
set_attr(int mnt_fd, struct mount_attr *a)
{
	a->propagation = MS_PRIVATE;
	if (a->attr_set & MOUNT_ATTR__ATIME)
		a->attr_clr = MOUNT_ATTR__ATIME;
	return mount_setattr(mnt_fd, "", AT_EMPTY_PATH, a, sizeof(*a));
}

int
mnt_attr(int mnt_fd, uint64_t attr, struct err *e)
{
	struct mount_attr a = {.attr_set = attr};

	if (set_attr(mnt_fd, &a) < 0)
		return err_sys(e, errno, "set mount attributes");
	return 0;
}

int
mnt_attr_map(int mnt_fd, uint64_t attr, int userns_fd, int origin, struct err *e)
{
	struct mount_attr a = {.attr_set = attr | MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns_fd};
	char path[PATH_MAX];

	if (set_attr(mnt_fd, &a) == 0)
		return 0;
	if (errno == EINVAL)
		return err_set(e, EINVAL,
			       "%s is on %s, which cannot map ids here: put it on ext4, xfs or btrfs "
			       "(mount_setattr(2), MOUNT_ATTR_IDMAP)",
			       fd_path(origin, path), mnt_fsname(mnt_fd));
	return err_sys(e, errno, "%s: set mount attributes", fd_path(origin, path));
}

int
mnt_attach(int mnt_fd, int target_fd, const char *what, struct err *e)
{
	if (move_mount(mnt_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, errno, "mount on %s", what);
	return 0;
}

int
mnt_point(int at, const char *rel, bool may_miss, int *ret_fd, struct err *e)
{
	int fd = path_open(at, rel, O_PATH | O_DIRECTORY, 0, PATH_BENEATH);

	if (fd == -ENOENT && may_miss)
		return 0;
	if (fd == -ELOOP || fd == -ENOTDIR) {
		struct stat st;
		bool link = fstatat(at, rel, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);

		return err_set(e, -fd, "/%s is %s: nothing is mounted on it", rel,
			       link || fd == -ELOOP ? "a symbolic link" : "not a directory");
	}
	if (fd < 0)
		return err_sys(e, -fd, "mount point /%s", rel);
	*ret_fd = fd;
	return 0;
}
