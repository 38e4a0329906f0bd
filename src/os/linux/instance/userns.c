/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/vfs.h>

#include "base/fsx.h"
#include "os/linux/host/syscalls.h"
#include "os/linux/instance/userns.h"

int
proc_dir(pid_t pid, int *ret_fd, struct err *e)
{
	_auto_close int fd = -EBADF;
	char path[32];
	struct statfs fs;

	(void)snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return err_set(e, ENOSYS, "/proc is not a proc file system (mount -t proc proc /proc)");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int
proc_ns(int procfd, const char *ns, int *ret_fd, struct err *e)
{
	char name[32];
	int fd;

	(void)snprintf(name, sizeof(name), "ns/%s", ns);
	fd = openat(procfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "%s namespace of the jail", ns);
	*ret_fd = fd;
	return 0;
}

pid_t
userns_birth(uint64_t flags, uint32_t idbase)
{
	int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0), num;
	uid_t self = geteuid();
	pid_t pid = -1;

	/* keep the capabilities: some hosts let only a privileged process make a user namespace.  In the
	 * new one the securebits have their defaults, user_namespaces(7). */
	if (bits >= 0)
		(void)prctl(PR_SET_SECUREBITS, (unsigned)bits | SECBIT_NO_SETUID_FIXUP, 0, 0, 0);
	if (setresuid((uid_t)-1, idbase, (uid_t)-1) == 0)
		pid = sys_clone(CLONE_NEWUSER | flags, 0);
	if (pid == 0)
		return 0;
	num = errno;
	if (setresuid((uid_t)-1, self, (uid_t)-1) < 0) {
		num = errno;
		pid = -1;
	}
	if (bits >= 0)
		(void)prctl(PR_SET_SECUREBITS, (unsigned)bits, 0, 0, 0);
	errno = num;
	return pid;
}

static int
write_map(int procfd, const char *name, uint32_t idbase, struct err *e)
{
	_auto_close int fd = openat(procfd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	char line[48];
	int n, r;

	if (fd < 0)
		return err_sys(e, errno, "%s of the jail", name);
	n = snprintf(line, sizeof(line), "0 %u %d\n", idbase, JAIL_IDS);
	r = fsx_write_all(fd, line, (size_t)n);
	if (r < 0)
		return err_sys(e, -r, "%s of the jail: ids %u to %u", name, idbase, idbase + JAIL_IDS - 1);
	return 0;
}

int
userns_map(int procfd, uint32_t idbase, struct err *e)
{
	if (idbase == 0 || idbase > UINT32_MAX - JAIL_IDS)
		return err_set(e, EINVAL, "ids from %u cannot be given to a jail", idbase);
	if (write_map(procfd, "uid_map", idbase, e) < 0 || write_map(procfd, "gid_map", idbase, e) < 0)
		return -e->num;
	return 0;
}

int
userns_become_root(int fd, struct err *e)
{
	if (fd >= 0 && setns(fd, CLONE_NEWUSER) < 0)
		return err_sys(e, errno, "join the jail's user namespace");
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(e, errno, "become the jail's root");
	return 0;
}
