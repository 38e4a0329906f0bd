/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of a jail: template (or its `path`) on "/", jailspace on "/s", a tmpfs on "/run" with the names of
 * all jails (/run/brig) in it, then /proc, /dev and what the configuration mounts.  "/sys" is left empty, but
 * for the control groups of a jail with limits.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "os/linux/instance/build.h"
#include "os/linux/instance/mnt.h"
#include "os/linux/host/syscalls.h"
#include "os/space.h"

static bool
is_dir(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int
take_view(struct build *b, const struct os_id *id, struct err *e)
{
	struct limit_view own;
	int r = limit_view(id, b->spec, &own, e);

	for (size_t i = 0; i < own.n; i++) {
		_auto_close int group = own.v[i].fd;

		b->view.v[i].name = own.v[i].name;
		b->view.v[i].fd = -EBADF;
		if (r == 0)
			r = mnt_clone(group, &b->view.v[i].fd, e);
	}
	b->view.n = own.n;
	return r;
}

int
mounts_take(struct build *b, const struct os_id *id, struct err *e)
{
	const struct os_root *r = b->root;

	if (mnt_clone(r->root_fd, &b->tree, e) < 0)
		return -e->num;
	/* an image or a device is not copied but mounted, by mount_space() */
	if (r->space_fd >= 0 && is_dir(r->space_fd) && mnt_clone(r->space_fd, &b->space, e) < 0)
		return -e->num;
	if (r->hosts_fd >= 0 && mnt_clone(r->hosts_fd, &b->hosts, e) < 0)
		return -e->num;
	return take_view(b, id, e);
}

/* With path = / the root is always read-only: else the jail's root could write to every file of the host's
 * root. */
static bool
root_read_only(const struct build *b)
{
	return b->root->read_only || (b->spec->root == ROOT_PATH && streq(b->spec->path, "/"));
}

/* Attached on top of the builder's "/", a mount point that always exists; from then on it is reached by
 * descriptor only. */
static int
mount_root(struct build *b, struct err *e)
{
	uint64_t attr = MNT_PLAIN;
	_auto_close int place = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (place < 0)
		return err_sys(e, errno, "/");
	if (root_read_only(b)) {
		attr |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME;
		if (b->spec->allow.suid && b->spec->root == ROOT_TEMPLATE)
			attr &= ~(uint64_t)MOUNT_ATTR_NOSUID;
	}
	if (mnt_attr_map(b->tree, attr, b->userns, b->root->root_fd, e) < 0)
		return -e->num;
	return mnt_attach(b->tree, place, "/", e);
}

static int
mount_space(struct build *b, struct err *e)
{
	_auto_close int target = -EBADF, made = -EBADF;
	bool own_root = b->spec->root == ROOT_PATH;

	if (b->root->space_fd < 0)
		return 0;
	if (mnt_point(b->tree, "s", own_root, &target, e) < 0)
		return -e->num;
	if (target < 0)
		return 0;
	if (b->root->space_tmpfs > 0) {
		if (space_tmpfs(b, b->space, &made, e) < 0)
			return -e->num;
		return mnt_attach(made, target, "/s", e);
	}
	if (b->space < 0) { /* image or device */
		if (os_space_mount(b->root->space_fd, false, &b->space, e) < 0)
			return -e->num;
	}
	if (mnt_attr_map(b->space, MNT_PLAIN, b->userns, b->root->space_fd, e) < 0)
		return -e->num;
	return mnt_attach(b->space, target, "/s", e);
}

/* A directory of the jail's root in a tmpfs that the builder made. */
static int
make_dir(const struct build *b, int at, const char *name, mode_t mode, struct err *e)
{
	if (mkdirat(at, name, mode) < 0 || fchownat(at, name, b->root->idbase, b->root->idbase, 0) < 0)
		return err_sys(e, errno, "make /run/%s", name);
	return 0;
}

static int
mount_run(struct build *b, struct err *e)
{
	_auto_close int target = -EBADF, run = -EBADF, names = -EBADF;
	char id[16];
	const struct mnt_opt opts[] = {
	    {"mode", "755"}, {"size", "16m"}, {"nr_inodes", "8k"}, {"uid", id}, {"gid", id}};

	(void)snprintf(id, sizeof(id), "%u", b->root->idbase);
	if (mnt_point(b->tree, "run", b->spec->root == ROOT_PATH, &target, e) < 0)
		return -e->num;
	if (target < 0)
		return 0;
	if (mnt_new("tmpfs", opts, ARRAY_LEN(opts), MNT_PLAIN, &run, e) < 0)
		return -e->num;
	if (make_dir(b, run, "lock", 01777, e) < 0 || make_dir(b, run, "systemd", 0755, e) < 0 ||
	    make_dir(b, run, "systemd/journal", 0755, e) < 0) /* of INIT_SYSLOG */
		return -e->num;
	if (b->hosts >= 0 && make_dir(b, run, "brig", 0755, e) < 0)
		return -e->num;
	if (mnt_attach(run, target, "/run", e) < 0)
		return -e->num;
	if (b->hosts < 0)
		return 0;
	/* not id-mapped, which tmpfs supports since Linux 6.3 only; not needed: everybody may read it */
	if (mnt_attr(b->hosts, MNT_PLAIN | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, e) < 0 ||
	    mnt_point(run, "brig", false, &names, e) < 0)
		return -e->num;
	return mnt_attach(b->hosts, names, "/run/brig", e);
}

/* group: a bind mount of the jail's own group, so that nothing above it in the hierarchy is visible. */
static int
attach_view(int sys, const char *place, int group, struct err *e)
{
	_auto_close int target = -EBADF;

	if (mnt_attr(group, MNT_PLAIN | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, e) < 0 ||
	    mnt_point(sys, place, false, &target, e) < 0)
		return -e->num;
	return mnt_attach(group, target, "/sys/fs/cgroup", e);
}

/* The control groups of a jail with limits, on a tmpfs on /sys.  Without limits nothing is mounted, but a
 * template whose /sys is not a directory is refused all the same. */
static int
mount_sys(struct build *b, struct err *e)
{
	static const struct mnt_opt opts[] = {{"mode", "555"}, {"size", "4k"}, {"nr_inodes", "16"}};
	_auto_close int target = -EBADF, sys = -EBADF;

	if (b->spec->root != ROOT_TEMPLATE && b->view.n == 0)
		return 0;
	if (mnt_point(b->tree, "sys", true, &target, e) < 0)
		return -e->num;
	if (target < 0 || b->view.n == 0)
		return 0;
	if (mnt_new("tmpfs", opts, ARRAY_LEN(opts), MNT_PLAIN | MOUNT_ATTR_NOEXEC, &sys, e) < 0)
		return -e->num;
	if (mkdirat(sys, "fs", 0555) < 0 || mkdirat(sys, "fs/cgroup", 0555) < 0)
		return err_sys(e, errno, "make /sys/fs/cgroup");
	for (size_t i = 0; i < b->view.n; i++) {
		_auto_free char *place = xasprintf("fs/cgroup/%s", b->view.v[i].name);

		if (*b->view.v[i].name && mkdirat(sys, place, 0555) < 0)
			return err_sys(e, errno, "make /sys/%s", place);
	}
	if (mnt_attr(sys, MNT_PLAIN | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, e) < 0 ||
	    mnt_attach(sys, target, "/sys", e) < 0)
		return -e->num;
	for (size_t i = 0; i < b->view.n; i++) {
		_auto_free char *place = *b->view.v[i].name ? xasprintf("fs/cgroup/%s", b->view.v[i].name)
							    : xstrdup("fs/cgroup");

		if (attach_view(sys, place, b->view.v[i].fd, e) < 0)
			return -e->num;
	}
	return 0;
}

int
mounts_build(struct build *b, struct err *e)
{
	static const char *const t_dev[] = {"devfs", "devtmpfs"}, *const t_fd[] = {"fdescfs", "fdesc"},
				 *const t_proc[] = {"proc", "procfs", "linprocfs"};
	const struct jailspec *s = b->spec;

	if (s->devfs_ruleset != 0 && s->devfs_ruleset != 4)
		return err_set(e, EINVAL, "devfs_ruleset %d is not known: 4 is the one there is",
			       s->devfs_ruleset);
	if (mount_root(b, e) < 0 || mount_space(b, e) < 0 || mount_run(b, e) < 0 || mount_sys(b, e) < 0)
		return -e->num;
	if ((s->mount_procfs || fstab_has_type(s, t_proc, ARRAY_LEN(t_proc))) && procfs_build(b, e) < 0)
		return -e->num;
	if ((s->mount_devfs || fstab_has_type(s, t_dev, ARRAY_LEN(t_dev))) &&
	    dev_build(b, s->mount_fdescfs || fstab_has_type(s, t_fd, ARRAY_LEN(t_fd)), e) < 0)
		return -e->num;
	return fstab_build(b, e);
}

int
mounts_pivot(struct build *b, struct err *e)
{
	if (fchdir(b->tree) < 0 || sys_pivot_root(".", ".") < 0)
		return err_sys(e, errno, "make the jail's tree the root (pivot_root)");
	/* the old root is now mounted on top of the new one, and "." is in it: pivot_root(2) */
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_sys(e, errno, "unmount the host's root");
	return 0;
}
