/* SPDX-License-Identifier: BSD-2-Clause */
/* A new file system for a jailspace: ext4, which supports id-mapped mounts since Linux 5.12. */
#include <stdint.h>

#include "base/child.h"
#include "os/space.h"

static const char *
find_mkfs(void)
{
	static const char *const places[] = {"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/* mkfs.ext4(8) gets the open file as its standard input, so that it is this one whatever becomes of its name.
 * -m 0: no blocks reserved for root, since the jail's root could not use them. */
int
os_space_format(int fd, struct err *e)
{
	const char *mkfs = find_mkfs();
	const char *const argv[] = {mkfs, "-q", "-F", "-m", "0", "--", "/proc/self/fd/0", NULL};
	static const char *const envp[] = {"PATH=/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL=C", NULL};
	struct child c = CHILD_INIT;

	if (!mkfs)
		return err_set(e, ENOENT, "mkfs.ext4 is not installed (apt install e2fsprogs)");
	c.argv = (char *const *)(uintptr_t)argv;
	c.envp = (char *const *)(uintptr_t)envp;
	c.fd_in = fd;
	return child_must(&c, e);
}
