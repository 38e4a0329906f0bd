/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of accounts as lines and fields, for entry.c.  Pure.
 *
 * Formats: passwd(5), group(5), shadow(5), gshadow(5), FreeBSD's master.passwd in passwd(5).
 */
#ifndef BRIG_MERGE_ACCOUNT_H
#define BRIG_MERGE_ACCOUNT_H

#include <stdint.h>

#include "merge/entry.h"

#define FIELDS_MAX 10
#define PASSWORD 1         /* the field, in every format */
#define ID_MAX 4294967294u /* the next is (uid_t)-1, which is none */
#define NONE UINT32_MAX

/* Numbers of fields; 0, the name's, means that the format has no such field. */
struct format {
	const char *path, *who, *id_word;
	unsigned n, id, gid;
	unsigned lists; /* bit mask of the fields that are lists */
	unsigned date;  /* of the password's last change */
	const char *field[FIELDS_MAX];
};
extern const struct format account_formats[]; /* by enum entry_format; ENTRY_NONE has no fields */

/* In this order: of several lines with one name the first type is taken. */
enum line_type { LINE_ENTRY, LINE_NIS, LINE_BAD, LINE_OTHER };

struct line {
	const char *s; /* not a string */
	uint32_t len;  /* without its end */
	uint32_t name, name_len; /* offset and length */
	uint32_t id;       /* NONE: none */
	uint32_t account;  /* index in merging.acc (entry.c); NONE: a comment */
	uint8_t type, eol; /* length of its end: "\n" or "\r\n"; 0 at the end of the text */
	bool again;        /* a line before it has the same name: it is left out */
};

struct file {
	struct line *v;
	uint32_t n;
};

/* file->v belongs to the caller; its lines point into t. */
void account_read(struct file *file, struct text t, const struct format *f);
/* Sets type, name and id of a line from its text; name must be 0.  Name and id are also set for a line
 * that is not an entry by the rules here: other programs may take it for one. */
void account_classify(struct line *l, const struct format *f);
/* The fields of a line and their number, which may be larger than max. */
unsigned account_split(const struct line *l, struct text *f, unsigned max);

static inline struct text
line_name(const struct line *l)
{
	return (struct text){l->s + l->name, l->name_len};
}

static inline struct text
line_text(const struct line *l)
{
	return (struct text){l->s, l->len};
}

/* As strcmp(3), by bytes. */
int text_compare(struct text a, struct text b);
bool text_equal(struct text a, struct text b);

#endif
