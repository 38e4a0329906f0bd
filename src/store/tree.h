/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking a tree that may be hostile, and text forms of its names.
 *
 * The walk goes by descriptors, follows no link and crosses no mount; a directory comes before what is in
 * it, names of one directory in the order of strcmp, so that two walks over equal trees are equal.
 */
#ifndef BRIG_STORE_TREE_H
#define BRIG_STORE_TREE_H

#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"
#include "merge/decide.h"

#define TREE_DEPTH 256 /* deeper is an error: one descriptor a level is open */

struct tree_entry {
	const char *path; /* relative to the top: "usr/bin/x"; "" for the top itself */
	int dir_fd;       /* its directory (the top: the top's descriptor) */
	const char *name; /* in that directory (the top: ".") */
	struct stat st;
};

/* fn returns 0 to go on, TREE_PRUNE to pass over what is in a directory; anything else ends the walk and is what
 * tree_walk returns. */
#define TREE_PRUNE 1000000
int tree_walk(int top_fd, int (*fn)(void *ctx, const struct tree_entry *t, struct err *e), void *ctx,
	      struct err *e);

/* The same, but directories on which something is mounted are passed over and told to mounted(). */
int tree_walk_mounts(int top_fd, int (*fn)(void *ctx, const struct tree_entry *t, struct err *e),
		     void (*mounted)(void *ctx, const char *path), void *ctx, struct err *e);

/* Names in a directory, sorted, without "." and "..".  -errno. */
int tree_names(int fd, struct strv *ret);
bool tree_empty(int fd);
bool tree_is_link(int dir_fd, const char *name);
/* The target of a link, or NULL and errno.  The caller frees. */
char *tree_readlink(int dir_fd, const char *name);
enum node_type tree_type(mode_t mode);
/* The directory that holds path below top, PATH_BENEATH, or -errno without a message; *ret_name points into
 * path. */
int tree_dir_of(int top_fd, const char *path, const char **ret_name);
/* Is r an error that a jail's root can cause at a path of its own?  It is an answer about that path, never an
 * error of the whole.  -EAGAIN: another process has a lease on the file (fcntl(2), F_SETLEASE). */
bool tree_is_jails_doing(int r);
/* Opens the directory that holds path below top and points *ret_name at path's last component.  With make,
 * missing directories are made (0755).  -errno; e names the directory that is not one. */
int tree_parent(int top_fd, const char *path, bool make, const char **ret_name, struct err *e);

/* vis(3)'s octal form: everything but visible ASCII, and '\\', '#', '=', becomes \ooo. */
void vis_add(struct buf *b, const char *s);
/* Turns \ooo back, in place.  -EINVAL for anything else after a backslash and for \000. */
int vis_decode(char *s);

#endif
