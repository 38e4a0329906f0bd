/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening paths below a directory that somebody else may write to.
 *
 * path_open() is the only way to anything below a jailspace or a template.  It never leaves dirfd.
 *	PATH_BENEATH	no symbolic link anywhere, no other mount, no "..": what brig wrote or a jail's root
 *			could have planted (openat2(2) RESOLVE_BENEATH|NO_SYMLINKS|NO_MAGICLINKS|NO_XDEV)
 *	PATH_IN_ROOT	links are followed as if dirfd were "/": what a process in the jail would see
 * Where the kernel has no openat2 (before Linux 5.6, or denied) PATH_BENEATH is a walk, component by
 * component with O_NOFOLLOW; PATH_IN_ROOT is then refused.
 * O_CLOEXEC and O_NOCTTY are always added.  Returns the descriptor or -errno (no message: the caller knows
 * what the object is); -ELOOP is a link met, -EXDEV a way out or a mount.
 */
#ifndef BRIG_BASE_PATH_H
#define BRIG_BASE_PATH_H

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

enum path_scope { PATH_BENEATH, PATH_IN_ROOT };

int path_open(int dirfd, const char *rel, int flags, mode_t mode, enum path_scope scope);
/* The kernel's own scoped open, or -ENOSYS (resolve_HOST.c). */
int resolve_open(int dirfd, const char *rel, int flags, mode_t mode, enum path_scope scope);

char *path_join(const char *a, const char *b); /* one '/' between; the caller frees */
/* "a//b/./c" -> "a/b/c" as text; NULL for a ".." component.  Absolute stays absolute.  The caller frees. */
char *path_normal(const char *path);
/* realpath(3), also when the last components do not exist yet.  The caller frees; NULL and errno. */
char *path_real(const char *path);
/* Is path equal to dir or below it (both normal)? */
bool path_below(const char *path, const char *dir);
/* No component of the absolute path may be a symbolic link that somebody other than root could change,
 * nor lie in a directory others may write (FreeBSD-SA-07:01.jail). */
int path_trusted(const char *path, struct err *e);

#endif
