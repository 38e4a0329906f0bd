/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packages of a release: RELEASE/packages, one a line, sorted: NAME VERSION ARCHITECTURE.
 *
 * Written when a release is built, from dpkg(1)'s status file in the tree, whatever the source; without one
 * there is no such file.  For a release that an older brig built the packages are read from the status file.
 */
#ifndef BRIG_STORE_TEMPLATE_PACKAGES_H
#define BRIG_STORE_TEMPLATE_PACKAGES_H

#include "store/template/manifest.h"
#include "store/template/split.h"

struct package {
	char *name, *version, *arch; /* visible ASCII without blanks */
};
struct packages {
	struct package *v;
	size_t n, cap;
};
void packages_free(struct packages *p);

/* The installed packages of dpkg's status file; malformed entries are skipped. */
void packages_of_status(const char *text, struct packages *ret);
/* Of the file `packages`. */
int packages_parse(const char *text, struct packages *ret, struct err *e);
/* dpkg's status in a tree that was split, as a path below the release:
 * "root/usr/lib/sysimage/dpkg/status".  NULL: there is none; the caller frees. */
char *packages_status(int root_fd, int skel_fd, const struct rules *rules);
/* Makes dir_fd/packages, where the tree has packages. */
int packages_write(int dir_fd, int root_fd, int skel_fd, const struct rules *rules, struct err *e);
/* Of a release; none: ret->n is 0. */
int packages_read(const struct release *r, struct packages *ret, struct err *e);

/* diff.c: what differs between two releases. */
struct package_change {
	const char *name;      /* with :ARCHITECTURE where a release has the package for several */
	const char *from, *to; /* versions; NULL: not in the old, not in the new release */
	char *made;            /* memory of name, or NULL */
};
struct path_change {
	char letter;      /* A added, D removed, U another type, mode, owner, content or target */
	const char *path; /* as in the manifest: "root/usr/bin/x", "skel/etc/x" */
};
struct release_diff {
	struct package_change *package;
	size_t n_packages, cap_packages;
	struct path_change *path;
	size_t n_paths, cap_paths;
	/* what these point into */
	struct packages packages[2];
	struct manifest manifest[2];
};
/* files: the paths, too; a release made by hand has no list of them (-ENOENT). */
int release_diff(const struct release *from, const struct release *to, bool files, struct release_diff *ret,
		 struct err *e);
void release_diff_free(struct release_diff *d);

#endif
