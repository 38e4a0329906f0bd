/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the links of a tree lead: before it is split, after that, and before it is built.
 *
 * Links are resolved as a jail would, one component at a time.  Nothing is opened: the components walked so
 * far are known to be directories, so that one fstatat(2) with the path collected so far follows nothing.
 */
#ifndef BRIG_STORE_TEMPLATE_LINKS_H
#define BRIG_STORE_TEMPLATE_LINKS_H

#include "store/template/split.h"
#include "store/tree.h"

/* A tree as /, and overlays that will be copied over it.  A tree that was split is seen as a jail sees
 * it, with the skeleton at /s; or, with split_by, as it was before the split. */
struct view {
	int root_fd, skel_fd; /* <0: none */
	const struct rules *split_by;
	const int *over; /* directories, the last one on top */
	size_t n_over;
};
/* Resolves text as a path in directory at ("" is /): NULL, or what is wrong with it.  at becomes the path
 * that it leads to, without a leading slash, also where nothing is there. */
extern const char view_unreadable[]; /* one such answer: it could not be found out */
const char *view_resolve(const struct view *v, struct buf *at, const char *text);
/* The same for a link at path. */
const char *view_link(const struct view *v, const char *path, const char *text, struct buf *ret_at);
bool view_has(const struct view *v, const char *path); /* path without links */

struct link {
	char *path, *text; /* where it is in the tree, and its target */
	char *to;          /* the path that it leads to; NULL: nowhere, or not known before a jail runs */
	const char *wrong; /* why it leads nowhere, else NULL */
};
struct links {
	struct link *v;
	size_t n, cap;
};
/* Every link of a tree that is not split yet. */
int links_read(int root_fd, struct links *ret, struct err *e);
const struct link *links_find(const struct links *l, const char *path);
void links_free(struct links *l);

/* Where the template has a path of the tree that a rule `keep` is for.  NULL: there is none; the caller
 * frees. */
char *rules_kept_path(const struct rules *rules, const char *path);
/* May a link at path of the tree dangle (rule `dangling`)?  The pattern can be for its path in the tree,
 * or in /s. */
bool rules_may_dangle(const struct rules *rules, const char *path);
/* Is a rule `fresh` for path of the tree, or for a directory above it? */
bool rules_fresh(const struct rules *rules, const char *path);

/* Gives a link another target; owner and times stay. */
int link_set(const struct tree_entry *t, const char *text, struct err *e);

#endif
