/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What store/ needs from the system's file interface beyond POSIX: sharing blocks, extended attributes,
 * mounts, syncing a whole file system.  One file a system (host_linux.c).  All return 0 or -errno.
 */
#ifndef BRIG_STORE_JAILSPACE_HOST_H
#define BRIG_STORE_JAILSPACE_HOST_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

/* Makes dst share the blocks of src; -EOPNOTSUPP: not possible with these file systems. */
int host_clone(int src, int dst);
/* All extended attributes, with ACLs and file capabilities.  Labels of the host's security modules are left
 * out where the destination does not take them; anything else that cannot be set is an error. */
int host_xattrs(int src, int dst);
/* The same for a symbolic link or a FIFO; -EOPNOTSUPP: not possible here. */
int host_node_xattrs(int src_dir, int dst_dir, const char *name);
int host_no_default_acl(int dir); /* removes the default ACL, which new files would inherit */
/* Removes file capabilities. */
int host_no_capability(int fd);
/* lstat; *ret_mount tells mounts apart: equal for everything that is in one mount. */
int host_stat_mount(int dir, const char *name, struct stat *ret, uint64_t *ret_mount);
int host_sync(int fd); /* everything of the file system that fd is on */

#endif
