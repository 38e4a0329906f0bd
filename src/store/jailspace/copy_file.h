/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One file of copy_tree(): content, owner, mode, times, extended attributes.  Names are single components
 * below directories that the caller verified; no link is followed.  All return 0 or -errno, without a
 * message: the caller knows the path.
 */
#ifndef BRIG_STORE_JAILSPACE_COPY_FILE_H
#define BRIG_STORE_JAILSPACE_COPY_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

/* What the two file systems turned out not to support, and a buffer: one for each copy_tree(). */
struct copy_fs {
	uid_t uid; /* of files we make */
	gid_t gid;
	mode_t umask;
	bool no_clone, no_range, no_noatime, no_node_xattrs;
	char *buf;
};
void copy_fs_init(struct copy_fs *fs);
void copy_fs_free(struct copy_fs *fs);

/* Opens for reading, without blocking, following a link, or changing the access time; -EXDEV: a mount
 * point. */
int copy_open(struct copy_fs *fs, int dir, const char *name, int flags);
/* A regular file, open as src, st as of src. */
int copy_file(struct copy_fs *fs, int src, int dst_dir, const char *name, const struct stat *st);
/* A symbolic link or a FIFO. */
int copy_node(struct copy_fs *fs, int src_dir, int dst_dir, const char *name, const struct stat *st);
/* Owner, extended attributes (src <0: none), mode, times.  mode: what dst was made with, before the umask. */
int copy_attributes(struct copy_fs *fs, int src, int dst, const struct stat *st, mode_t mode);

#endif
