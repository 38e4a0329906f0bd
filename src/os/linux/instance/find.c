/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A jail whose state is lost, found from the kernel alone: a process that is the first one of a pid
 * namespace (NSpid in /proc/PID/status, proc_pid_status(5)) and whose ids are the jail's range
 * (/proc/PID/uid_map and gid_map, user_namespaces(7)).  No two jails have one range, and a jail can make no
 * user namespace of its own.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/num.h"
#include "os/linux/instance/build.h"
#include "os/linux/instance/ref.h"

#define STATUS_MAX 65536

/* "NSpid:	4711	1": the pid in our namespace first, the one in its own last. */
static bool
is_first(int procfd)
{
	_auto_close int fd = openat(procfd, "status", O_RDONLY | O_CLOEXEC);
	_auto_free char *text = NULL;
	char *line, *last;

	if (fd < 0 || fsx_read_fd(fd, STATUS_MAX, &text, NULL) < 0)
		return false; /* it has ended */
	line = strstr(text, "\nNSpid:\t");
	if (!line)
		return false;
	line += strlen("\nNSpid:\t");
	line[strcspn(line, "\n")] = '\0';
	last = strrchr(line, '\t');
	return last && streq(last + 1, "1");
}

static bool
fits(int procfd, uint32_t idbase)
{
	struct err ignored = ERR_INIT;

	return is_first(procfd) && keep_check_ids(procfd, idbase, &ignored) == 0;
}

int
os_jail_find(const struct os_id *id _unused_, uint32_t idbase, struct os_ref *ret, struct err *e)
{
	_auto_closedir DIR *d = opendir("/proc");
	struct dirent *de;

	if (!d)
		return err_sys(e, errno, "/proc");
	while ((errno = 0, de = readdir(d))) {
		_auto_close int look = -EBADF, same = -EBADF;
		struct err ignored = ERR_INIT;
		struct os_ref ref;
		int pid;

		if (num_int(de->d_name, 1, INT_MAX, &pid) < 0)
			continue;
		look = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (look < 0 || !fits(look, idbase) || ref_make(pid, &ref, &ignored) < 0)
			continue;
		/* checked again by a descriptor that ref_open() has found to be this process': the pid
		 * may have been used again meanwhile */
		if (ref_open(&ref, &same) < 0 || !fits(same, idbase))
			continue;
		*ret = ref;
		return 1;
	}
	return errno ? err_sys(e, errno, "/proc") : 0;
}
