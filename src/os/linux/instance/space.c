/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jailspaces that are not a directory: an image file behind a loop device that goes away with its mount, a
 * block device, or a tmpfs.
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/mem.h"
#include "os/linux/instance/build.h"
#include "os/linux/instance/mnt.h"
#include "os/linux/instance/userns.h"
#include "os/space.h"

#define LOOP_TRIES 64
/* Names and empty files take kernel memory that size= does not count, so nr_inodes= follows from it; the
 * default is half the number of the machine's pages (tmpfs(5)). */
#define TMPFS_PER_INODE 2048
#define TMPFS_INODES_MIN 1024

/* Attaches the image to a free loop device, which the kernel detaches when it is closed for the last time
 * (LO_FLAGS_AUTOCLEAR): *ret_fd keeps it until the file system is mounted.  LOOP_CONFIGURE: Linux 5.8,
 * loop(4). */
static int
loop_attach(int image, bool read_only, char path[32], int *ret_fd, struct err *e)
{
	_auto_close int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (control < 0)
		return err_sys(e, errno, "/dev/loop-control (modprobe loop)");
	for (int tries = 0; tries < LOOP_TRIES; tries++) {
		struct loop_config config = {.fd = (unsigned)image};
		_auto_close int fd = -EBADF;
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		if (n < 0)
			return err_sys(e, errno, "find a free loop device");
		(void)snprintf(path, 32, "/dev/loop%d", n);
		fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, errno, "%s", path);
		config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0);
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
		if (errno != EBUSY) /* EBUSY: another took it between the two calls */
			return err_sys(e, errno, "%s", path);
	}
	return err_set(e, EBUSY, "other programs take every free loop device");
}

static int
mount_device(const char *device, bool read_only, int *ret_fd, struct err *e)
{
	static const char *const types[] = {"ext4", "xfs", "btrfs"};
	const struct mnt_opt opts[] = {{"source", device}, {"ro", NULL}};
	struct err last = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct err now = ERR_INIT;

		if (mnt_new(types[i], opts, read_only ? 2 : 1, MNT_PLAIN, ret_fd, &now) == 0)
			return 0;
		/* ENODEV: the kernel lacks this file system; the first other error is the one to report */
		if (now.num != ENODEV && last.num == 0)
			last = now;
	}
	if (last.num == 0)
		return err_set(e, ENODEV, "the kernel has none of ext4, xfs, btrfs");
	if (last.num == EINVAL)
		return err_set(e, EINVAL, "no ext4, xfs or btrfs file system on it (mkfs.ext4)");
	*e = last;
	return -e->num;
}

int
os_space_mount(int fd, bool read_only, int *ret_dir, struct err *e)
{
	_auto_close int loop = -EBADF;
	char path[32];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "jailspace");
	if (S_ISREG(st.st_mode)) {
		if (loop_attach(fd, read_only, path, &loop, e) < 0)
			return err_wrap(e, "jailspace image");
		if (mount_device(path, read_only, ret_dir, e) < 0)
			return err_wrap(e, "jailspace image");
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return err_set(e, ENOTBLK, "jailspace: neither an image file nor a block device");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (mount_device(path, read_only, ret_dir, e) < 0)
		return err_wrap(e, "jailspace device %u:%u", major(st.st_rdev), minor(st.st_rdev));
	return 0;
}

/* As the jail's root, so that the files get the right owners without an id-mapped tmpfs (Linux 6.3). */
static _Noreturn void
fill_main(const struct build *b, int src, int dst, int report)
{
	struct err e = ERR_INIT;

	if (userns_become_root(b->userns, &e) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || /* after the change of ids, which resets it */
	    b->root->fill(b->root->fill_ctx, src, dst, &e) < 0) {
		(void)err_send(report, &e);
		_exit(1);
	}
	_exit(0);
}

static int
fill(struct build *b, int src, int dst, struct err *e)
{
	_auto_close int from = openat(src, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_auto_close int to = openat(dst, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int p[2], status, r;
	pid_t pid;

	if (from < 0 || to < 0 || pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "fill the jailspace");
	pid = fork();
	if (pid == 0)
		fill_main(b, from, to, p[1]);
	fd_close(p[1]);
	if (pid < 0) {
		fd_close(p[0]);
		return err_sys(e, errno, "fill the jailspace");
	}
	r = err_recv(p[0], e);
	fd_close(p[0]);
	if (child_wait(pid, &status) < 0 || (r <= 0 && status != 0))
		return err_set(e, EIO, "fill the jailspace: the copying process was ended by a signal");
	return r > 0 ? err_wrap(e, "fill the jailspace") : 0;
}

int
space_tmpfs(struct build *b, int skel, int *ret_fd, struct err *e)
{
	_auto_close int fs = -EBADF;
	char id[16], size[24], inodes[24];
	const struct mnt_opt opts[] = {
	    {"mode", "755"}, {"size", size}, {"nr_inodes", inodes}, {"uid", id}, {"gid", id}};
	uint64_t n = b->root->space_tmpfs / TMPFS_PER_INODE;

	(void)snprintf(id, sizeof(id), "%u", b->root->idbase);
	(void)snprintf(size, sizeof(size), "%llu", (unsigned long long)b->root->space_tmpfs);
	(void)snprintf(inodes, sizeof(inodes), "%llu",
		       (unsigned long long)(n > TMPFS_INODES_MIN ? n : TMPFS_INODES_MIN));
	if (mnt_new("tmpfs", opts, ARRAY_LEN(opts), MNT_PLAIN, &fs, e) < 0)
		return -e->num;
	if (skel >= 0 && b->root->fill) {
		/* id-mapped, so that the jail's root can read what the host's root owns */
		if (mnt_attr_map(skel, MNT_PLAIN | MOUNT_ATTR_RDONLY, b->userns, b->root->space_fd, e) < 0 ||
		    fill(b, skel, fs, e) < 0)
			return -e->num;
	}
	*ret_fd = TAKE_FD(fs);
	return 0;
}
