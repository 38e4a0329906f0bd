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

/* Is there something of that name?  1 with *ret (which may be NULL), a link itself and not what it leads to; 0 there
 * is nothing; -errno when that cannot be told, without a message. */
int fsx_look(int dirfd, const char *name, struct stat *ret);
/* Reads a regular file whole (no link, no FIFO, at most max bytes).  *ret_data ends with '\0', the caller
 * frees it; ret_len may be NULL. */
int fsx_read_at(int dirfd, const char *name, size_t max, char **ret_data, size_t *ret_len, struct err *e);
/* read(2), again when a signal came in between: bytes, 0 at the end, -errno. */
ssize_t fsx_read(int fd, void *buf, size_t size);
/* The same until size bytes are there, or the end. */
ssize_t fsx_read_full(int fd, void *buf, size_t size);
int fsx_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len); /* -errno, no message */
/* Temporary file beside it, write, rename: name holds the old or the new content. */
int fsx_write_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode, int flags,
		     struct err *e);
int fsx_write_all(int fd, const void *data, size_t len); /* -errno; short writes and EINTR handled */
/* Removes the temporary files that killed writers of name left (.tmp.NAME.XXXX).  The caller holds whatever
 * keeps others from writing it. */
int fsx_tidy_at(int dirfd, const char *name, struct err *e);
/* name becomes a link to target in one rename. */
int fsx_symlink_swap(int dirfd, const char *target, const char *name, int flags, struct err *e);
/* Makes one directory if it is missing and opens it (O_DIRECTORY, no link). */
int fsx_mkdir_open(int dirfd, const char *name, mode_t mode, int *ret_fd, struct err *e);
/* mkdir -p of an absolute path; existing parts may be links (they are the administrator's). */
int fsx_mkdir_p(const char *path, mode_t mode, struct err *e);
/* Removes name and all below it: by descriptors, never through a link, never into another file system or
 * mount (-EXDEV and the name of the mount point: nothing below that directory is touched then).
 * No recursion on the stack, any depth, few descriptors.  A missing name is success. */
int fsx_rm_rf_at(int dirfd, const char *name, struct err *e);
int fsx_sync_dir(int dirfd, const char *what, struct err *e);
/* A fresh name "prefix.XXXXXXXX" that nobody guesses. */
void fsx_temp_name(char *buf, size_t size, const char *prefix);

#endif
