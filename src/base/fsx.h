/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changing files so that a crash leaves the old or the new, and reading them with a limit.
 *
 * All functions are relative to a directory descriptor and take a single name or a path of names that
 * belong to brig; for anything a jail could have planted, open the directory with path_open() first.
 * FSX_SYNC adds fsync(2) of the file and its directory: needed below BASE, not below RUN (a tmpfs).
 * A failed fsync is an error of the whole operation and is never repeated.
 */
#ifndef BRIG_BASE_FSX_H
#define BRIG_BASE_FSX_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

#define FSX_SYNC 1

/* Looks at name, without following a link.  1: *ret (may be NULL) is filled, 0: there is nothing of that
 * name, -errno: neither could be found out; no message. */
int fsx_look(int dirfd, const char *name, struct stat *ret);
/* Reads a regular file whole (no link, no FIFO, at most max bytes).  *ret_data ends with '\0', the caller
 * frees it; ret_len may be NULL. */
int fsx_read_at(int dirfd, const char *name, size_t max, char **ret_data, size_t *ret_len, struct err *e);
/* read(2), repeated after EINTR: the number of bytes, 0 at the end, -errno. */
ssize_t fsx_read(int fd, void *buf, size_t size);
/* The same, until size bytes are read or the end is reached. */
ssize_t fsx_read_full(int fd, void *buf, size_t size);
int fsx_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len); /* -errno, no message */
struct fsx_file {
	const void *data;
	size_t len;
	mode_t mode;
};
/* Writes a temporary file beside it and renames it: name has either the old or the new content. */
int fsx_write_atomic(int dirfd, const char *name, const struct fsx_file *f, int flags, struct err *e);
int fsx_write_text(int dirfd, const char *name, const char *text, mode_t mode, int flags, struct err *e);
int fsx_write_all(int fd, const void *data, size_t len); /* -errno; short writes and EINTR handled */
/* Removes the temporary files (.tmp.NAME.XXXX) that killed writers of name left.  The caller holds the lock
 * that keeps others from writing name. */
int fsx_tidy_at(int dirfd, const char *name, struct err *e);
/* name becomes a link to target in one rename. */
int fsx_symlink_swap(int dirfd, const char *target, const char *name, int flags, struct err *e);
/* Makes one directory if it is missing and opens it (O_DIRECTORY, no link). */
int fsx_mkdir_open(int dirfd, const char *name, mode_t mode, int *ret_fd, struct err *e);
/* mkdir -p of an absolute path; existing parts may be links (they are the administrator's). */
int fsx_mkdir_p(const char *path, mode_t mode, struct err *e);
/* Removes name and all below it: by descriptors, never through a link, never into another file system or
 * mount (-EXDEV with the name of the mount point; nothing below that directory is removed then).  No
 * recursion, any depth, few descriptors.  A missing name is success. */
int fsx_rm_rf_at(int dirfd, const char *name, struct err *e);
int fsx_sync_dir(int dirfd, const char *what, struct err *e);
/* A new name "prefix.XXXXXXXX" that cannot be guessed. */
void fsx_temp_name(char *buf, size_t size, const char *prefix);

#endif
