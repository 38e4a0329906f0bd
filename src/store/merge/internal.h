/* SPDX-License-Identifier: BSD-2-Clause */
/* What look.c (one path in the trees), merge.c (the plan) and tree.c share; not for the rest of
 * brig. */
#ifndef BRIG_STORE_MERGE_INTERNAL_H
#define BRIG_STORE_MERGE_INTERNAL_H

#include "store/merge/merge.h"
#include "store/tree.h"

enum { SIDE_O, SIDE_N, SIDE_D, SIDES };

/* What is at path below top: 0, also for nothing (NODE_NONE: also below a link or another thing that is not a
 * directory).  -errno without a message; -EXDEV: it lies in another mount. */
int merge_node_at(int top, const char *path, struct merge_node *ret);
void merge_node_copy(struct merge_node *dst, const struct merge_node *src);
void merge_node_free(struct merge_node *n);
/* Opens the regular file that node was read from; -ESTALE: it is another one by now. */
int merge_open_file(int top, const char *path, const struct merge_node *node);

/* One path in the three trees, its content as far as it was needed. */
struct look {
	const char *path;
	const int *top; /* of the sides */
	const struct merge_node *node[SIDES];
	struct text text[SIDES];
	char *data[SIDES];
	bool loaded[SIDES], is_text[SIDES];
	int failed; /* the side that the last -errno was about */
};
void look_free(struct look *l);
/* 1 the same type and content (or target), 0 not, -errno. */
int look_same(struct look *l, int a, int b);
/* Fills text[side]; *ret false: not text (too large, NUL bytes). */
int look_text(struct look *l, int side, bool *ret);

/* Does one of the patterns match "/PATH"? */
bool merge_matches(const struct strv *patterns, const char *path);
/* A name as reports show it: blanks stay, other bytes that are not visible ASCII and '\\' become \ooo. */
void merge_show(struct buf *b, const char *name);
/* Fails with num and "WHAT: /PATH", the path as merge_show() shows it. */
int merge_path_error(const char *what, const char *path, int num, struct err *e);

#endif
