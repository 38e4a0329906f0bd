/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "/proc" of the jail's pid namespace, mounted by the host's root: the jail can neither mount another nor
 * unmount what covers its entries.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/mem.h"
#include "os/linux/instance/build.h"
#include "os/linux/instance/mnt.h"

/* Writing to them changes settings of the host. */
static const char *const read_only[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
/* They show things of the host's kernel, its keys and other jails.  Entries that a kernel lacks are
 * skipped. */
static const char *const masked[] = {
    "acpi",     "asound",      "config.gz",   "interrupts", "kallsyms",   "kcore",         "key-users",
    "keys",     "kmsg",        "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "modules",
    "pressure", "sched_debug", "scsi",        "slabinfo",   "timer_list", "timer_stats",   "vmallocinfo",
};

struct maker {
	int fd, num; /* the mount, or errno */
};

/* Shares memory and descriptors with the builder, which waits: the mount stays when this process ends. */
static int
maker_main(void *arg)
{
	struct maker *m = arg;
	int fs = fsopen("proc", FSOPEN_CLOEXEC);

	if (fs >= 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		m->fd = fsmount(fs, FSOPEN_CLOEXEC, MNT_PLAIN | MOUNT_ATTR_NOEXEC);
	m->num = m->fd < 0 ? errno : 0;
	fd_close(fs);
	return 0;
}

/* A proc file system shows the pid namespace of the process that makes it, so a child in the jail's makes it.
 * (From Linux 6.17 on there is the mount option "pidns" for it.) */
static int
procfs_new(struct build *b, int *ret_fd, struct err *e)
{
	static char stack[16384] __attribute__((aligned(16)));
	struct maker m = {-EBADF, 0};
	int status;
	pid_t pid;

	if (setns(b->pidns, CLONE_NEWPID) < 0)
		return err_sys(e, errno, "join the jail's pid namespace");
	pid = clone(maker_main, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &m);
	if (pid < 0)
		return err_sys(e, errno, "start a process in the jail's pid namespace");
	if (child_wait(pid, &status) < 0 || status != 0 || m.fd < 0)
		return err_sys(e, m.num, "mount /proc");
	*ret_fd = m.fd;
	return 0;
}

static int
cover_read_only(const char *name, int entry, struct err *e)
{
	_auto_close int copy = -EBADF;

	if (mnt_clone(entry, &copy, e) < 0 ||
	    mnt_attr(copy, MNT_PLAIN | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, e) < 0)
		return -e->num;
	return mnt_attach(copy, entry, name, e);
}

/* Mounts an empty read-only tmpfs over a directory, the host's null device over a file. */
static int
cover(struct build *b, const char *name, int entry, int *empty, struct err *e)
{
	static const struct mnt_opt opts[] = {{"size", "4k"}, {"nr_inodes", "2"}, {"mode", "555"}};
	_auto_close int copy = -EBADF;
	struct stat st;

	if (fstat(entry, &st) < 0)
		return err_sys(e, errno, "/proc/%s", name);
	if (!S_ISDIR(st.st_mode)) {
		if (mnt_clone(b->null_fd, &copy, e) < 0 ||
		    mnt_attr(copy, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, e) < 0)
			return -e->num;
		return mnt_attach(copy, entry, name, e);
	}
	if (*empty >= 0) { /* attached already: bind mounts of it for the others */
		if (mnt_clone(*empty, &copy, e) < 0)
			return -e->num;
		return mnt_attach(copy, entry, name, e);
	}
	if (mnt_new("tmpfs", opts, ARRAY_LEN(opts), MNT_PLAIN | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, empty,
		    e) < 0)
		return -e->num;
	return mnt_attach(*empty, entry, name, e);
}

int
procfs_build(struct build *b, struct err *e)
{
	_auto_close int target = -EBADF, proc = -EBADF, empty = -EBADF;
	size_t n;

	if (mnt_point(b->tree, "proc", b->spec->root == ROOT_PATH, &target, e) < 0)
		return -e->num;
	if (target < 0)
		return 0;
	if (procfs_new(b, &proc, e) < 0 || mnt_attach(proc, target, "/proc", e) < 0)
		return -e->num;
	n = ARRAY_LEN(read_only) + (b->spec->allow.proc_unmasked ? 0 : ARRAY_LEN(masked));
	for (size_t i = 0; i < n; i++) {
		bool ro = i < ARRAY_LEN(read_only);
		const char *name = ro ? read_only[i] : masked[i - ARRAY_LEN(read_only)];
		_auto_close int entry = openat(proc, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

		if (entry < 0 && errno == ENOENT)
			continue;
		if (entry < 0)
			return err_sys(e, errno, "/proc/%s", name);
		if ((ro ? cover_read_only(name, entry, e) : cover(b, name, entry, &empty, e)) < 0)
			return err_wrap(e, "/proc/%s", name);
	}
	return 0;
}
