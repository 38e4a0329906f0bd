/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jailspaces: the read-write part of a jail, BASE/js/NAME, copied from a skeleton.
 *
 * A new jailspace is filled in js/.new.NAME.XXXX, synced, and becomes js/NAME by one rename; an old one is
 * renamed to js/.old.NAME.XXXX before it is removed.  So js/NAME is always whole.  A directory that exists
 * already (a mounted partition, an image) cannot be replaced by a rename: DIR/.brig-new/part is filled,
 * synced and renamed to .brig-new/whole, whose entries are then moved to DIR.  While .brig-new exists the
 * jailspace is not whole, and space_open() refuses it.
 *
 * Whoever calls space_create, space_fill, space_destroy or space_tidy_jail holds the lock of that jail.
 */
#ifndef BRIG_STORE_JAILSPACE_SPACE_H
#define BRIG_STORE_JAILSPACE_SPACE_H

#include "store/template/release.h"

/*
 * Copies a tree: hard links, modes, owners, times, xattrs, ACLs, file capabilities, holes; FIFOs; also the
 * attributes of the top directory.  dst must be empty.  By descriptors only, PATH_BENEATH on both sides, any
 * depth; shares blocks where the file systems can.  An entry that becomes something else while it is copied
 * is an error; of a file that changes its size what is there is copied.  Errors name the path.  Sockets,
 * devices and mount points in src are errors that name them, unless flags say to leave them out (a mount
 * point that is a directory is then made as an empty directory).  Not copied: inode flags (chattr(1)), times
 * of creation, what is in other mounts.
 */
#define COPY_SKIP_SPECIAL 1
/* Of those, leaves out sockets only: a server makes its own again when it starts. */
#define COPY_SKIP_SOCKETS 2
int copy_tree(int src_fd, int dst_fd, int flags, const struct progress *pr, struct err *e);

/* Makes the jailspace of a new jail from a skeleton: copies it, then makes what must differ in each jail
 * (etc/machine-id, etc/hostname, ...) by the `fresh` rules of the release.  Ssh host keys are only removed:
 * the jail's own rc makes them when it starts (ssh-keygen -A); no program of the host or the jail runs here.
 * dir NULL: js/NAME, and j/NAME is made, too.  Otherwise an absolute path, missing or an empty directory.
 * Finishes what an interrupted space_create left.  -EEXIST if the directory has anything in it; nothing is
 * left over after an error. */
struct space_want {
	const char *jail, *hostname;
	const struct release *from;
	const char *dir;
	const struct progress *pr;
};
int space_create(const struct store *s, const struct space_want *w, struct err *e);
/* The same for an open directory: the top of a mounted file system (lost+found may be in it). */
int space_fill(int dir_fd, const char *hostname, const struct release *from, const struct progress *pr,
	       struct err *e);
/* 1: there is a whole jailspace, 0: there is none (missing, empty, unfinished), -EEXIST: there is something
 * else (not a directory, or one without etc). */
int space_exists(const struct store *s, const char *jail, const char *dir, struct err *e);
/* The same for an open directory. */
int space_is_whole(int dir_fd, struct err *e);
/* Removes js/NAME and j/NAME.  -EXDEV where something is mounted in one of them, naming it, -ENOTEMPTY where
 * j/NAME is not empty; nothing is removed then. */
int space_destroy(const struct store *s, const char *jail, struct err *e);
/* The same; dir not NULL: removes that directory instead of js/NAME.  gone() (may be NULL) is called
 * between the renaming of the jailspace and its removal; if it returns <0 the removal stops, and the next
 * space_tidy() continues it. */
int space_remove(const struct store *s, const char *jail, const char *dir,
		 int (*gone)(void *ctx, struct err *e), void *ctx, struct err *e);
/* Remove what an interrupted create or destroy left: of all jails that no command has locked; of one. */
int space_tidy(const struct store *s, struct err *e);
int space_tidy_jail(const struct store *s, const char *jail, struct err *e);
/* The names of what space_tidy_jail() would remove. */
int space_leftovers(const struct store *s, const char *jail, struct strv *ret, struct err *e);
/* Removes the names .new.JAIL.* and .old.JAIL.* of another directory, files too (images). */
int space_tidy_at(int dir_fd, const char *jail, struct err *e);
/* Opens the jailspace directory (dir NULL: js/NAME). */
int space_open(const struct store *s, const char *jail, const char *dir, int *ret_fd, struct err *e);
/* Bytes in use and number of names (without the top), for `destroy` to say what is removed.  Does not cross
 * mounts. */
int space_usage(int fd, uint64_t *ret_bytes, uint64_t *ret_files, struct err *e);
/* -EXDEV, naming the place, when anything is mounted below fd. */
int space_check_mounts(int fd, struct err *e);

#endif
