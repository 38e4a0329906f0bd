/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into brig for the rig's positive control: a brig that never waits for the disk.  The rig must
 * find what that breaks, or it finds nothing.
 */
#include <unistd.h>

int
fsync(int fd)
{
	(void)fd;
	return 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return 0;
}

int
syncfs(int fd)
{
	(void)fd;
	return 0;
}
