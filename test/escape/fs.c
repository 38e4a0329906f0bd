/* SPDX-License-Identifier: BSD-2-Clause */
/* The filesystem view: template, masks, root, descriptors, handles, device nodes, set-user-id files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <termios.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "probe.h"

#ifndef SYS_open_tree_attr
#define SYS_open_tree_attr 467
#endif
#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x200
#endif
#define OPEN_TREE_NAMESPACE_FLAG 2u /* OPEN_TREE_NAMESPACE, Linux 7.0 */
#define CLONE_TREE 1u               /* OPEN_TREE_CLONE */
#define RECURSIVE 0x8000u           /* AT_RECURSIVE */
#define EMPTY_PATH 0x1000u          /* AT_EMPTY_PATH */
#define MADE "escape-made"

/* A file in the template's top directory. */
static bool
creates(int dirfd)
{
	int fd = openat(dirfd, MADE, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	(void)close(fd);
	(void)unlinkat(dirfd, MADE, 0);
	return true;
}

static bool
creates_at(const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && creates(fd);
}

/* The control's template is writable: there it is made read-only first, so that taking that back is what is
 * tried. */
static void
read_only_root(void)
{
	apart();
	if (!control)
		return;
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0 || creates_at("/"))
		denied("cannot make the template read-only first");
}

static const char *
mount_point(const char *name)
{
	const char *path = work(name);

	(void)mkdir(path, 0755);
	return path;
}

static void
template_write(const struct probe *p)
{
	(void)p;
	tell(creates_at("/"), "create a file in /");
}

static void
template_program(const struct probe *p)
{
	int fd = open("/bin/escape-file", O_WRONLY | O_CLOEXEC);

	(void)p;
	tell(fd >= 0, "open a file of the template for writing");
}

static void
template_chmod(const struct probe *p)
{
	(void)p;
	tell(chmod("/bin/escape-file", 0644) == 0, "chmod a file of the template");
}

static void
remount_rw(const struct probe *p)
{
	(void)p;
	read_only_root();
	tell(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0 && creates_at("/"),
	     "remount / read-write");
}

static void
setattr_rw(const struct probe *p)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};

	(void)p;
	read_only_root();
	tell(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof(attr)) == 0 && creates_at("/"),
	     "mount_setattr / read-write");
}

/* nosuid and nodev go the same way. */
static void
setattr_flags(const struct probe *p)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};

	(void)p;
	apart();
	tell(syscall(SYS_mount_setattr, AT_FDCWD, p->arg, 0, &attr, sizeof(attr)) == 0,
	     "mount_setattr without nosuid, nodev");
}

static void
clone_tree_rw(const struct probe *p)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
	int fd;

	read_only_root();
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", CLONE_TREE | O_CLOEXEC | (unsigned)p->num);
	tell(fd >= 0 && syscall(SYS_mount_setattr, fd, "", EMPTY_PATH, &attr, sizeof(attr)) == 0 &&
		 creates(fd),
	     "a detached copy of /, made read-write");
}

static void
tree_attr_rw(const struct probe *p)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
	int fd;

	(void)p;
	read_only_root();
	fd = (int)syscall(SYS_open_tree_attr, AT_FDCWD, "/", CLONE_TREE | O_CLOEXEC, &attr, sizeof(attr));
	tell(fd >= 0 && creates(fd), "open_tree_attr / read-write");
}

static void
move_copy(const struct probe *p)
{
	const char *at = mount_point("copy");
	int fd;

	apart();
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", CLONE_TREE | O_CLOEXEC);
	tell(fd >= 0 && syscall(SYS_move_mount, fd, "", AT_FDCWD, at, 4u | (unsigned)p->num) == 0,
	     "a copy of / attached elsewhere");
}

static void
bind_rw(const struct probe *p)
{
	const char *at = mount_point("bind");

	read_only_root();
	tell(mount("/", at, NULL, MS_BIND | (unsigned long)p->num, NULL) == 0 &&
		 mount(NULL, at, NULL, MS_REMOUNT | MS_BIND, NULL) == 0 && creates_at(at),
	     "bind / elsewhere, read-write");
}

static void
fs_pick(const struct probe *p)
{
	(void)p;
	apart();
	tell(syscall(SYS_fspick, AT_FDCWD, "/", 0) >= 0, "fspick /");
}

/* The control's tree is a mount of its own that the probe may take off. */
static void
unmount(const struct probe *p)
{
	apart();
	tell(umount2(p->arg, MNT_DETACH) == 0, p->arg);
}

static void
move_space(const struct probe *p)
{
	(void)p;
	apart();
	tell(mount("/s", "/sys", NULL, MS_MOVE, NULL) == 0, "move /s away");
}

static void
cover(const struct probe *p)
{
	apart();
	tell(mount("tmpfs", p->arg, "tmpfs", 0, NULL) == 0, "a tmpfs over it");
}

static void
mount_beneath(const struct probe *p)
{
	int fd;

	(void)p;
	apart();
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/bin", CLONE_TREE | O_CLOEXEC);
	if (fd < 0)
		tell(false, "open_tree");
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, "/s", 4u | MOVE_MOUNT_BENEATH) == 0)
		allowed("a mount beneath /s");
	if (control && errno == EINVAL)
		na("no MOVE_MOUNT_BENEATH");
	tell(false, "a mount beneath /s");
}

static void
tree_namespace(const struct probe *p)
{
	(void)p;
	if (syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_NAMESPACE_FLAG | O_CLOEXEC) >= 0)
		allowed("a mount namespace by open_tree");
	if (control && errno == EINVAL)
		na("no OPEN_TREE_NAMESPACE");
	tell(false, "a mount namespace by open_tree");
}

static void
new_fs(const struct probe *p)
{
	const char *at = mount_point(p->arg);
	const char *data = strcmp(p->arg, "overlay") == 0 ? "lowerdir=/bin:/usr" : NULL;

	apart();
	tell(mount(p->arg, at, p->arg, 0, data) == 0, "mount it");
}

static void
fs_open(const struct probe *p)
{
	int fd, m = -1;

	apart();
	fd = (int)syscall(SYS_fsopen, p->arg, 0);
	if (fd >= 0 && syscall(SYS_fsconfig, fd, 6 /* CREATE */, NULL, NULL, 0) == 0)
		m = (int)syscall(SYS_fsmount, fd, 0, 0);
	tell(m >= 0, "fsopen, fsmount");
}

/* Stays: the runner looks whether it is seen outside. */
static void
propagate(const struct probe *p)
{
	(void)p;
	tell(mount("escape", mount_point("escape-seen"), "tmpfs", 0, NULL) == 0,
	     "mount a tmpfs in the jailspace");
}

static bool
on_mask(const char *point)
{
	return strncmp(point, "/proc/", 6) == 0;
}

/* In the control something is masked first. */
static void
unmask(const struct probe *p)
{
	char line[1024], point[512] = "";
	size_t n = 0;
	FILE *f;

	apart();
	if (control && (mount("/dev/null", "/proc/version", NULL, MS_BIND, NULL) < 0 ||
			mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) < 0 ||
			mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0))
		denied("cannot mask something first: %s", strerror(errno));
	f = fopen("/proc/self/mountinfo", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d %*d %*s %*s %511s", point) != 1 || !on_mask(point))
			continue;
		n++;
		if (p->num ? mount(NULL, point, NULL, MS_REMOUNT | MS_BIND, NULL) == 0
			   : umount2(point, MNT_DETACH) == 0)
			allowed("%s", point);
	}
	if (n == 0)
		na("nothing in /proc is covered");
	denied("%zu covers stay: %s", n, strerror(errno));
}

static void
reveal(const struct probe *p)
{
	const char *at = mount_point("reveal");

	apart();
	tell(mount(p->arg, at, NULL, MS_BIND, NULL) == 0, "bind it elsewhere without what covers it");
}

static void
reveal_tree(const struct probe *p)
{
	apart();
	tell(syscall(SYS_open_tree, AT_FDCWD, p->arg, CLONE_TREE) >= 0, "open_tree without what covers it");
}

static void
pivot(const struct probe *p)
{
	const char *at = mount_point("own-root");
	char old[160];

	(void)p;
	(void)snprintf(old, sizeof(old), "/s%s", mount_point("old"));
	apart();
	/* whose parent is shared cannot be pivoted: a root of our own */
	if (control && (mount("/", at, NULL, MS_BIND | MS_REC, NULL) < 0 || chroot(at) < 0 || chdir("/") < 0))
		tell(false, "a root of our own");
	tell(syscall(SYS_pivot_root, "/s", old) == 0, "pivot_root");
}

static void
climb(void)
{
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			break;
	(void)chroot(".");
}

/* Who is in a chroot cannot make user namespaces; out of it first, where that is possible. */
void
leave_chroot(void)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || chroot(mount_point("root")) < 0 || fchdir(fd) < 0)
		return;
	climb();
}

static void
chroot_dance(const struct probe *p)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *dir = mount_point("root");

	if (fd < 0 || chroot(dir) < 0)
		tell(false, "chroot");
	if (p->num && fchdir(fd) < 0)
		tell(false, "fchdir");
	climb();
	tell(secret_in_file(bait("path")), "out of a second chroot to the host's files");
}

static void
dot_dot(const struct probe *p)
{
	char path[1024];

	(void)snprintf(path, sizeof(path), "%s/../../../../../../../../../..%s", p->arg, bait("path"));
	tell(secret_in_file(path), p->arg);
}

static void
inherited_secret(const struct probe *p)
{
	(void)p;
	errno = EBADF;
	for (size_t i = 0; i < n_fds_at_start; i++) {
		(void)lseek(fds_at_start[i], 0, SEEK_SET);
		if (secret_at(fds_at_start[i], "secret") || secret_in_fd(fds_at_start[i]))
			allowed("descriptor %d leads to the host's file", fds_at_start[i]);
	}
	denied("none of %zu descriptors leads there", n_fds_at_start);
}

static void
inherited_any(const struct probe *p)
{
	char link[64], to[256] = "";
	ssize_t n;

	(void)p;
	if (n_fds_at_start == 0)
		denied("0, 1, 2 only");
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fds_at_start[0]);
	n = readlink(link, to, sizeof(to) - 1);
	allowed("%zu, such as %d, %s", n_fds_at_start, fds_at_start[0], n > 0 ? to : "?");
}

static void
inherited_cwd(const struct probe *p)
{
	char cwd[512] = "";

	(void)p;
	(void)syscall(SYS_getcwd, cwd, sizeof(cwd));
	if (secret_at(AT_FDCWD, "secret") || secret_at(AT_FDCWD, "../outside/secret"))
		allowed("the working directory is the host's: %s", cwd);
	if (cwd[0] != '/')
		allowed("the working directory is not below /: %s", cwd);
	denied("it is %s", cwd);
}

/* What the runner has of the file, and could be guessed. */
static void
by_handle(const struct probe *p)
{
	struct {
		struct file_handle h;
		unsigned char bytes[MAX_HANDLE_SZ];
	} f = {.h.handle_bytes = 0};
	const char *hex = bait("handle");
	unsigned byte;
	int n;

	if (sscanf(hex, "%d:%n", &f.h.handle_type, &n) != 1)
		na("this file system has no handles");
	for (hex += n; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		f.bytes[f.h.handle_bytes++] = (unsigned char)byte;
	if (f.h.handle_bytes == 0)
		na("this file system has no handles");
	for (int i = 0; i < 3; i++) {
		int at = open(i == 0 ? "/" : i == 1 ? "/s" : "/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int fd = open_by_handle_at(at, &f.h, O_RDONLY | O_CLOEXEC);

		if (fd >= 0 && secret_in_fd(fd))
			allowed("the host's file by its handle");
	}
	(void)p;
	denied("the host's file by its handle: %s", strerror(errno));
}

static void
template_by_handle(const struct probe *p)
{
	struct {
		struct file_handle h;
		unsigned char bytes[MAX_HANDLE_SZ];
	} f = {.h.handle_bytes = MAX_HANDLE_SZ};
	int id, at;

	(void)p;
	if (name_to_handle_at(AT_FDCWD, "/bin/escape-file", &f.h, &id, 0) < 0)
		tell(false, "name_to_handle_at");
	at = open("/s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tell(open_by_handle_at(at, &f.h, O_RDWR | O_CLOEXEC) >= 0,
	     "the template's file through the jailspace's mount");
}

static void
name_to_handle(const struct probe *p)
{
	struct {
		struct file_handle h;
		unsigned char bytes[MAX_HANDLE_SZ];
	} f = {.h.handle_bytes = MAX_HANDLE_SZ};
	int id;

	(void)p;
	tell(name_to_handle_at(AT_FDCWD, "/", &f.h, &id, 0) == 0, "the handle of /");
}

/* TYPE MAJOR MINOR of the argument, or the bait's disk: made and opened wherever it can be. */
static void
node(const struct probe *p)
{
	static const char *const dirs[] = {"/tmp/escape", "/dev/shm", "/run", "/dev", "/"};
	unsigned major, minor;
	char path[128], type;
	int num = 0;

	(void)work("");
	if (sscanf(p->arg ? p->arg : bait("disk"), "%c %u %u", &type, &major, &minor) != 3)
		na("there is no disk");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "%s/escape-node", dirs[i]);
		if (mknod(path, (type == 'b' ? S_IFBLK : S_IFCHR) | 0600, makedev(major, minor)) < 0) {
			num = num ? num : errno;
			continue;
		}
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		num = fd < 0 ? errno : 0;
		(void)unlink(path);
		if (fd >= 0)
			allowed("made and opened in %s", dirs[i]);
	}
	errno = num;
	tell(false, "make and open it");
}

static const char *const harmless[] = {"null", "zero", "full", "random", "urandom", "tty",    "ptmx",
				       "pts",  "shm",  "fd",   "stdin",  "stdout",  "stderr", "console"};

static bool
is_harmless(const char *name)
{
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strcmp(name, harmless[i]) == 0)
			return true;
	return false;
}

static void
dev_listing(const struct probe *p)
{
	DIR *d = opendir("/dev");
	char names[200] = "";
	struct dirent *e;
	size_t n = 0, at = 0;

	(void)p;
	while (d && (e = readdir(d))) {
		struct stat st;

		if (e->d_name[0] == '.' || is_harmless(e->d_name) ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
			continue;
		n++;
		if (n < 8)
			at += (size_t)snprintf(names + at, sizeof(names) - at, " %.20s", e->d_name);
	}
	if (n > 0)
		allowed("%zu more devices:%s", n, names);
	denied("the usual ones only");
}

static void
dev_write(const struct probe *p)
{
	int fd = open("/dev/escape-made", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)p;
	if (fd >= 0)
		(void)unlink("/dev/escape-made");
	tell(fd >= 0, "create a file in /dev");
}

/* A terminal of the host's with a size that no other has. */
static void
host_pts(const struct probe *p)
{
	char path[64];
	struct winsize size;

	(void)p;
	for (int i = 0; i < 64; i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "/dev/pts/%d", i);
		fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row == 61 && size.ws_col == 173)
			allowed("%s is another user's", path);
	}
	denied("no terminal of the host's");
}

static void
suid_works(const struct probe *p)
{
	const char *path = work("suid");

	(void)p;
	copy_self(path);
	if (chmod(path, 04755) < 0)
		tell(false, "chmod");
	errno = EPERM;
	tell(run_self(path, "euid", 1000) == 0, "a set-user-id file gives its owner's rights");
}

static void
filecaps_work(const struct probe *p)
{
	struct vfs_cap_data caps = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
				    .data = {{.permitted = 1u << CAP_KILL}}};
	const char *path = work("caps");

	(void)p;
	copy_self(path);
	if (setxattr(path, "security.capability", &caps, sizeof(caps), 0) < 0)
		tell(false, "setxattr");
	errno = EPERM;
	tell(run_self(path, "caps", 1000) == 0, "a file's capabilities are given");
}

/* Left where they are: the runner tries them as nobody on the host. */
static void
plant(const struct probe *p)
{
	const char *path = work(p->arg);
	struct vfs_cap_data caps = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
				    .data = {{.permitted = 1u << CAP_KILL}}};

	copy_self(path);
	if (p->num)
		tell(setxattr(path, "security.capability", &caps, sizeof(caps), 0) == 0, "file capabilities");
	tell(chmod(path, 04755) == 0, "chmod 4755");
}

#define SUID_EXCUSE \
	"the file works for nobody on the host, see planted_suid, and not in the jail, see suid_works"

static const struct probe v[] = {
    {"template_write", "F1", template_write, NULL, 0, false, NULL},
    {"template_program", "F1", template_program, NULL, 0, false, NULL},
    {"template_chmod", "F1", template_chmod, NULL, 0, false, NULL},
    {"remount_rw", "F1", remount_rw, NULL, 0, false, NULL},
    {"setattr_rw", "F1", setattr_rw, NULL, 0, false, NULL},
    {"setattr_nosuid_root", "F1", setattr_flags, "/", 0, false, NULL},
    {"setattr_nosuid_space", "F1", setattr_flags, "/s", 0, false, NULL},
    {"clone_tree_rw", "F1", clone_tree_rw, NULL, 0, false, NULL},
    {"clone_tree_rec_rw", "F1", clone_tree_rw, NULL, RECURSIVE, false, NULL},
    {"open_tree_attr_rw", "F1", tree_attr_rw, NULL, 0, true, NULL},
    {"move_mount_copy", "F1", move_copy, NULL, 0, false, NULL},
    {"bind_rw", "F1", bind_rw, NULL, 0, false, NULL},
    {"bind_rec_rw", "F1", bind_rw, NULL, MS_REC, false, NULL},
    {"fspick", "F1", fs_pick, NULL, 0, false, NULL},
    {"umount_space", "F1", unmount, "/s", 0, false, NULL},
    {"umount_proc", "F2", unmount, "/proc", 0, false, NULL},
    {"umount_dev", "F2", unmount, "/dev", 0, false, NULL},
    {"move_space", "F1", move_space, NULL, 0, false, NULL},
    {"cover_bin", "F1", cover, "/bin", 0, false, NULL},
    {"cover_proc", "F2", cover, "/proc", 0, false, NULL},
    {"mount_beneath", "F1", mount_beneath, NULL, 0, true, NULL},
    {"open_tree_namespace", "F1", tree_namespace, NULL, 0, true, NULL},
    {"fsopen_tmpfs", "F1", fs_open, "tmpfs", 0, false, NULL},
    {"fsopen_proc", "F2", fs_open, "proc", 0, false, NULL},
    {"mount_tmpfs", "F1", new_fs, "tmpfs", 0, false, NULL},
    {"mount_proc", "F2", new_fs, "proc", 0, false, NULL},
    {"mount_sysfs", "F2", new_fs, "sysfs", 0, false, NULL},
    {"mount_devtmpfs", "F9", new_fs, "devtmpfs", 0, true, NULL},
    {"mount_devpts", "F9", new_fs, "devpts", 0, false, NULL},
    {"mount_mqueue", "F1", new_fs, "mqueue", 0, true, NULL},
    {"mount_debugfs", "K1", new_fs, "debugfs", 0, true, NULL},
    {"mount_tracefs", "K1", new_fs, "tracefs", 0, true, NULL},
    {"mount_securityfs", "K1", new_fs, "securityfs", 0, true, NULL},
    {"mount_bpf", "K1", new_fs, "bpf", 0, true, NULL},
    {"mount_binfmt_misc", "K1", new_fs, "binfmt_misc", 0, true, NULL},
    {"mount_overlay", "F1", new_fs, "overlay", 0, true, NULL},
    {"mount_propagates", "F12", propagate, NULL, 0, false, NULL},
    {"unmask_umount", "F2", unmask, NULL, 0, false, NULL},
    {"unmask_remount", "F2", unmask, NULL, 1, false, NULL},
    {"reveal_proc", "F2", reveal, "/proc", 0, false, NULL},
    {"reveal_root", "F2", reveal, "/", 0, false, NULL},
    {"reveal_proc_tree", "F2", reveal_tree, "/proc", 0, false, NULL},
    {"pivot_root", "F6", pivot, NULL, 0, false, NULL},
    {"chroot_fchdir", "F6", chroot_dance, NULL, 1, false, NULL},
    {"chroot_cwd", "F6", chroot_dance, NULL, 0, false, NULL},
    {"pid1_root", "F6", dot_dot, "/proc/1/root", 0, false, NULL},
    {"inherited_fd", "F5", inherited_secret, NULL, 0, false, NULL},
    {"inherited_fd_any", "F5", inherited_any, NULL, 0, false, NULL},
    {"inherited_cwd", "F5", inherited_cwd, NULL, 0, false, NULL},
    {"open_by_handle", "F8", by_handle, NULL, 0, true, NULL},
    {"template_by_handle", "F8", template_by_handle, NULL, 0, true, NULL},
    {"name_to_handle", "F8", name_to_handle, NULL, 0, true, NULL},
    {"mknod_disk", "F9", node, NULL, 0, true, NULL},
    {"mknod_mem", "F9", node, "c 1 1", 0, true, NULL},
    {"mknod_kmsg", "F9", node, "c 1 11", 0, false, NULL},
    {"mknod_tun", "F9", node, "c 10 200", 0, true, NULL},
    {"mknod_loop_control", "F9", node, "c 10 237", 0, true, NULL},
    {"dev_listing", "F9", dev_listing, NULL, 0, false, NULL},
    {"dev_write", "F9", dev_write, NULL, 0, false, NULL},
    {"host_pts", "F9", host_pts, NULL, 0, false, NULL},
    {"suid_works", "F10", suid_works, NULL, 0, false, NULL},
    {"filecaps_work", "F10", filecaps_work, NULL, 0, true, NULL},
    {"chmod_suid", "F10", plant, "planted-suid", 0, false, SUID_EXCUSE},
    {"set_filecaps", "F10", plant, "planted-caps", 1, true, SUID_EXCUSE},
};

const struct probes probes_fs = {v, sizeof(v) / sizeof(v[0])};
