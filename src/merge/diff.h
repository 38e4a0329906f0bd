/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines and their differences, for text.c.  Pure.
 *
 * The script is a shortest one (Myers 1986, linear space), found in diff(1)'s order and shifted as diff(1)
 * shifts it, so that a merge matches repeated lines as diff3(1) does.  One rule of diff(1) is left out: it
 * takes frequent lines for noise where most of those around them are changed, and its script is longer then.
 */
#ifndef BRIG_MERGE_DIFF_H
#define BRIG_MERGE_DIFF_H

#include <stdint.h>

#include "merge/text.h"

/* A text as lines.  s belongs to the caller. */
struct lines {
	const char *s;
	uint32_t *at;   /* n + 1 offsets into s: line i is s[at[i]] to s[at[i + 1]], its newline included */
	uint32_t *kind; /* equal lines have equal kinds, also across the texts given together */
	uint32_t n;
};
/* Splits n texts (each text_is_text()).  ids: keywords of TEXT_IDS do not count.  Equal lines may get
 * different kinds if an attacker made many lines with the same hash: then differences are found where
 * there are none, never the other way round. */
void lines_make(struct lines *const v[], const struct text t[], unsigned n, bool ids);
void lines_free(struct lines *l);
#define _auto_lines _auto_(lines_free)

/* The an lines from line a on of one text correspond to the bn lines from line b on of the other. */
struct hunk {
	uint32_t a, an, b, bn;
};
struct hunks {
	struct hunk *v;
	size_t n, cap;
};
#define HUNKS_INIT         \
	{                  \
		NULL, 0, 0 \
	}
/* In order, never touching each other.  horizon: diff(1)'s --horizon-lines, how many of the equal lines at
 * both ends take part in the search. */
void diff_lines(const struct lines *a, const struct lines *b, uint32_t horizon, struct hunks *ret);
void hunks_free(struct hunks *h);
#define _auto_hunks _auto_(hunks_free)

/* The length of the version-id keyword at s ("$Id$", "$Id:$", "$Id: text $", one line), 0 for none. */
size_t id_keyword(const char *s, const char *end, size_t *ret_name_len);

#endif
