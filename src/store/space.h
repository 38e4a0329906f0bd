/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jailspaces: the read-write part of a jail, BASE/js/NAME, copied from a skeleton.
 *
 * A new jailspace is filled in js/.new.NAME.XXXX, synced, and becomes js/NAME by one rename; an old one is
 * renamed to js/.old.NAME.XXXX before it is emptied.  So js/NAME is always whole.
 */
#ifndef BRIG_STORE_SPACE_H
#define BRIG_STORE_SPACE_H

#include "store/release.h"

/* Copies a tree: hard links, modes, owners, times, xattrs, ACLs, file capabilities, holes; FIFOs.  dst must
 * be empty.  By descriptors only, PATH_BENEATH on both sides.  Sockets and devices are errors by name
 * unless flags say to leave them out.  reflink (FICLONE) where the file system can. */
#define COPY_SKIP_SPECIAL 1 /* sockets and device nodes are left out */
int copy_tree(int src_fd, int dst_fd, int flags, const struct progress *pr, struct err *e);

/* The jailspace of a new jail from a skeleton: copy, then what must differ in each jail (etc/machine-id,
 * etc/hostname, ssh host keys, ...) by the rules in `fresh` lines of the split rules.  -EEXIST if the
 * directory has anything in it already (never a re-seed by accident). */
int space_create(const struct store *s, const char *jail, const char *hostname, const struct release *from,
		 const char *dir, const struct progress *pr, struct err *e);
/* Removes js/NAME and j/NAME.  -EXDEV where something is mounted inside, naming it; nothing removed then. */
int space_destroy(const struct store *s, const char *jail, struct err *e);
/* What interrupted creates and destroys left. */
int space_tidy(const struct store *s, struct err *e);
/* Opens the jailspace directory (dir NULL: js/NAME). */
int space_open(const struct store *s, const char *jail, const char *dir, int *ret_fd, struct err *e);
/* Bytes and inodes in use, for `destroy` to say what goes.  Does not cross mounts. */
int space_usage(int fd, uint64_t *ret_bytes, uint64_t *ret_files, struct err *e);

#endif
