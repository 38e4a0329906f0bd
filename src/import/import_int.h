/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of import/ share; not for the rest of brig. */
#ifndef BRIG_IMPORT_IMPORT_INT_H
#define BRIG_IMPORT_IMPORT_INT_H

#include <jansson.h>
#include <sha256.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "import/image.h"
#include "import/import.h"

/* ---- extract.c: entries of an archive into the tree ---- */

/* Times of directories are set at the end, since making files in them changes them. */
struct dir_time {
	char *path;
	struct timespec mtime;
};

/* One tree being filled: from one archive, or from all layers of an image. */
struct import {
	struct archive *a; /* the one that is being read */
	const struct import_limits *limits;
	int top;
	bool layers;                    /* of an image: names that begin with ".wh." are whiteouts */
	uint64_t entries, names, total; /* so far */
	uint64_t coming;                /* of total: the size of the current entry until it is unpacked */
	uint64_t packed, unpacked;      /* bytes of the layers read before */
	struct dir_time *dirs;
	size_t n_dirs, cap_dirs;
	char *path, *shown; /* the current entry's name: normal, and for messages */
};
void import_free(struct import *im); /* all but the archive */

/* 1: there is a next entry; path and shown are its name, which has been checked.  0: the end. */
int import_next(struct import *im, struct archive_entry **ret, struct err *e);
int import_count(struct import *im, struct archive_entry *entry, struct err *e);
int import_pass(const struct import *im, struct err *e); /* skips the content of the entry */
/* The directory that path is in; never through a link (-ELOOP).  Missing ones are made, or -ENOENT. */
int import_parent(const struct import *im, const char *path, bool make, const char **ret_leaf, struct err *e);
int import_entries(struct import *im, struct err *e); /* all that are left in the archive */
int import_dir_times(const struct import *im, struct err *e);
int import_broken(const struct import *im, struct err *e); /* adds the library's message */

/* ---- blob.c: files of an image with a descriptor, which has their size and SHA-256 ---- */

#define BLOB_HEX 64

/*
 * Only verified bytes of a layer are unpacked, whoever writes to the file meanwhile: blob_check() reads the
 * whole file once, compares its digest, and keeps the digest of the bytes up to each chunk's end;
 * blob_next() reads a chunk into memory of its own and compares again before it returns it.
 */
struct blob {
	int fd;
	uint64_t size, at;
	uint8_t (*marks)[SHA256_DIGEST_LENGTH];
	uint8_t *chunk;
	SHA2_CTX sha;
};
#define BLOB_INIT            \
	{                    \
		.fd = -EBADF \
	}
/* Takes fd. */
int blob_check(struct blob *b, int fd, uint64_t size, const char hex[BLOB_HEX + 1], struct err *e);
void blob_rewind(struct blob *b);
/* Bytes at *ret, valid until the next call; 0 at the end. */
ssize_t blob_next(struct blob *b, const void **ret, struct err *e);
void blob_free(struct blob *b);
/* A whole file of exactly size bytes with this digest, in memory; ends with '\0', the caller frees. */
int blob_text(int fd, uint64_t size, const char hex[BLOB_HEX + 1], char **ret, struct err *e);

/* ---- layer.c, whiteout.c: one layer over what is there ---- */

enum layer_kind { LAYER_TAR, LAYER_GZIP, LAYER_ZSTD };
/* lowest: there is nothing below it. */
int layer_apply(struct import *im, struct blob *b, enum layer_kind kind, bool lowest, struct err *e);

enum whiteout { WHITEOUT_NONE, WHITEOUT_NAME, WHITEOUT_OPAQUE };
/* Of the current entry; a name that begins with ".wh." and is no whiteout is an error. */
int whiteout_of(const struct import *im, struct archive_entry *entry, enum whiteout *ret, struct err *e);
/* Reads a layer once, to remove what it hides or replaces of the layers below; makes nothing. */
int whiteout_apply(struct import *im, struct err *e);

/* ---- descriptor.c: the JSON of an image ---- */

/* Points into the JSON that it was read from. */
struct descriptor {
	const char *media, *tag; /* tag: org.opencontainers.image.ref.name, or NULL */
	char hex[BLOB_HEX + 1];
	uint64_t size;
	const json_t *platform; /* an object or NULL */
	bool elsewhere;         /* has urls */
};
/* what: of which file, for messages: "index.json". */
int json_document(const char *text, size_t len, const char *what, json_t **ret, struct err *e);
/* A member of an object, NULL when it is missing or null. */
const json_t *json_member(const json_t *object, const char *key);
/* The string of a member, NULL when it is missing; another type is an error. */
int json_text(const json_t *object, const char *key, const char *what, const char **ret, struct err *e);
/* The array of a member, of one to max elements. */
int json_items(const json_t *object, const char *key, const char *what, size_t max, const json_t **ret,
	       struct err *e);
int descriptor_read(const json_t *j, const char *what, struct descriptor *ret, struct err *e);
/* Does it say that it is for this machine?  One that says nothing: no. */
int descriptor_fits(const struct descriptor *d, const struct image_platform *host, const char *what,
		    bool *ret, struct err *e);

#endif
