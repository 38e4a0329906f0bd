/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manifest of a release in the format of mtree(5): one line a file with its full path, names in octal
 * vis(3) form, the keywords type, mode, uid, gid and, for files, size and sha256digest, for links, link.
 * root/ and skel/ are in it as ./root and ./skel.  `bsdtar`, `mtree` and the like read it.
 */
#ifndef BRIG_STORE_TEMPLATE_MANIFEST_H
#define BRIG_STORE_TEMPLATE_MANIFEST_H

#include "store/template/release.h"

#define MANIFEST_MAX (512u << 20)

struct manifest_sum {
	uint64_t files, bytes; /* entries; bytes in regular files */
	char digest[65];       /* SHA-256 of the manifest itself */
};

/* Writes dir_fd/manifest of dir_fd/root and dir_fd/skel. */
int manifest_write(int dir_fd, const struct progress *pr, struct manifest_sum *ret, struct err *e);

/* One line of a manifest. */
struct manifest_entry {
	char *path; /* "root/usr/bin/x", decoded; all pointers point into the manifest's text */
	mode_t type, mode;
	uid_t uid;
	gid_t gid;
	uint64_t size;
	const char *digest; /* 64 hex digits, regular files */
	char *link;         /* links */
	bool seen;          /* for verify.c */
};
struct manifest {
	struct manifest_entry *v;
	size_t n, cap;
	char *text;
};
/* Takes text, also on failure; ret points into it. */
int manifest_parse(char *text, struct manifest *ret, struct err *e);
void manifest_free(struct manifest *m);
/* SHA-256 of what fd reads, as 64 hex digits; the bytes read are added to *bytes.  fd may be O_DIRECT. */
int manifest_digest(int fd, char digest[65], uint64_t *bytes);

#endif
