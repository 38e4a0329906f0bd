/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * brig-import: fills a directory from an archive that may be hostile, or from an image (image.h).
 *
 *	brig-import			0 is the archive
 *	brig-import image [TAG]		0 is a socket to brig, which opens the image's files (image.h)
 *
 * Descriptors: 0, 3 for one struct err when it fails, 4 the directory, which must be empty and which nobody
 * else writes to.  Nothing outside that directory is ever written: every name is opened below it with
 * path_open(PATH_BENEATH), links are made but never followed, and the directory is the process' root before
 * it reads the first byte.
 */
#ifndef BRIG_IMPORT_IMPORT_H
#define BRIG_IMPORT_IMPORT_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define IMPORT_DEPTH 128
#define IMPORT_NAME 255

/* Limits of an archive.  A member beyond one of them ends the import, and is named. */
struct import_limits {
	uint64_t entries;  /* members */
	uint64_t names;    /* bytes of their names together: they are kept until the end */
	uint64_t file;     /* apparent bytes of one member: holes cost nothing on disk, but are read later */
	uint64_t total;    /* of all */
	uint64_t unpacked; /* above so many bytes unpacked (or apparent, with holes) ... */
	uint64_t ratio;    /* ... they are at most so many times what was read: real trees pack to a tenth */
};
extern const struct import_limits import_limits;

/* Reads the archive in_fd into top_fd. */
int import_run(int in_fd, int top_fd, const struct import_limits *limits, struct err *e);

/* confine_HOST.c.  Gives up everything but writing below top_fd; *top_fd is replaced by a descriptor of
 * the new "/".  Without the privilege for namespaces and chroot(2) these are left out: path_open()
 * suffices to stay below top_fd.  image: descriptors may be received from 0, directories listed,
 * attributes removed. */
int confine(int *top_fd, bool image, struct err *e);

/* attr_HOST.c: extended attributes and access control lists of an entry, on the open file.  -errno. */
int attr_apply(int fd, struct archive_entry *entry);
/* Removes attributes that attr_apply() may have given a directory.  -errno. */
int attr_clear(int fd);

#endif
