/* SPDX-License-Identifier: BSD-2-Clause */
/* openat2(2), Linux 5.6.  ENOSYS and EPERM (a filter that does not know the call) are remembered. */
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base/path.h"

int
resolve_open(int dirfd, const char *rel, int flags, mode_t mode, enum path_scope scope)
{
	static bool missing;
	struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC | O_NOCTTY)};
	int fd, tries = 0;

	if (missing)
		return -ENOSYS;
	if (flags & (O_CREAT | __O_TMPFILE))
		how.mode = mode;
	if (flags & O_PATH)
		how.flags &= ~(unsigned)O_NOCTTY;
	how.resolve = RESOLVE_NO_MAGICLINKS;
	how.resolve |=
	    scope == PATH_IN_ROOT ? RESOLVE_IN_ROOT : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
	if (scope == PATH_BENEATH)
		how.flags |= O_NOFOLLOW;
	do /* EAGAIN: a rename raced with a ".." (openat2(2)) */
		fd = (int)syscall(SYS_openat2, dirfd, *rel ? rel : ".", &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN && ++tries < 32);
	if (fd >= 0)
		return fd;
	if (errno == ENOSYS || errno == EPERM) {
		int keep = errno;
		struct open_how probe = {.flags = O_PATH | O_CLOEXEC};
		int probe_fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &probe, sizeof(probe));

		if (probe_fd >= 0) { /* the call works: EPERM was about the file */
			fd_close(probe_fd);
			return -keep;
		}
		missing = true;
		return -ENOSYS;
	}
	return -errno;
}
