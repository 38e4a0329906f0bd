/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three-way merge of trees: what would have to be done to DEST so that it follows from OLD to NEW.  Planning
 * only reads; who carries a plan out is the caller (change.c for jails, with a journal; merge_tree() for
 * `brig merge --tree`).
 *
 * All three trees are reached by descriptors and PATH_BENEATH; DEST belongs to a jail's root and may be
 * hostile: FIFOs are not opened, links not followed, sizes bounded (merge/text.h), anything that cannot be
 * merged is a conflict or a warning of that path, never an error of the whole.  Paths are relative without a
 * leading '/', any bytes but NUL.
 */
#ifndef BRIG_STORE_MERGE_MERGE_H
#define BRIG_STORE_MERGE_MERGE_H

#include "merge/decide.h"
#include "merge/text.h"
#include "store/template/release.h"

struct merge_opts {
	const struct strv *always,
	    *ignore;      /* sh patterns over "/PATH", '*' crosses '/'; NULL none.  A pattern
					     * string may hold several, separated by blanks */
	bool freebsd_ids; /* etcupdate -F */
	bool jail;        /* the rules of product jails: accounts by entry, ids of all kinds do not count
			   * (TEXT_IDS), owner and mode are merged, what etcupdate only warns of is a conflict.
			   * false: etcupdate's rules exactly */
};

struct merge_node {
	enum node_type type;
	mode_t mode; /* permission bits */
	uid_t uid;
	gid_t gid;
	uint64_t size;
	char *link; /* target */
	/* identity at the time of planning */
	dev_t dev;
	ino_t ino;
	nlink_t nlink;
	struct timespec changed;
};

struct merge_item {
	char *path;
	struct merge_node o, n, d;
	enum merge_act
	    act; /* MERGE_CONTENT and MERGE_ID are worked out: they became MERGE_UPDATE (merged) or MERGE_CONFLICT */
	enum merge_why why;
	bool merged;       /* act is MERGE_UPDATE, but with text as the new content (etcupdate's M) */
	bool content_same; /* MERGE_UPDATE of owner and mode alone: the content stays as d has it */
	bool meta;         /* mode, uid, gid below differ from d's: to be set */
	mode_t mode;       /* what the result has (MERGE_ADD, MERGE_UPDATE) */
	uid_t uid;
	gid_t gid;
	struct buf text; /* merged: the content; MERGE_CONFLICT: the content with markers (may be empty);
			  * WHY_TOGETHER: what it would become (empty: n's content) */
	char *detail; /* of a conflict, for people: "uid 120 of new user _x is taken by joe"; may be NULL */
};
struct merge_plan {
	struct merge_item *v;
	size_t n, cap;
	struct strv warnings; /* etcupdate's lines, without the indent (not with jail) */
};
#define MERGE_PLAN_INIT               \
	{                             \
		NULL, 0, 0, STRV_INIT \
	}
void merge_item_free(struct merge_item *it);
void merge_plan_free(struct merge_plan *p);

/* Paths at which the trees differ: type, content, target, presence; with opts->jail also owner and mode.
 * Sorted by strcmp; a directory before what is in it.  IGNORE is applied here. */
int merge_delta(int old_fd, int new_fd, const struct merge_opts *o, struct strv *ret, struct err *e);

/* The plan for these paths (sorted, as merge_delta() gives them).  The order is the one in which it can be carried out, and etcupdate's: what goes
 * (other things than directories, then directories, deepest first), what both have, what is new; each sorted.
 * Items with MERGE_NOTHING are left out.  dest_prefix: for etcupdate's "Directory mismatch: FULLPATH".
 *
 * New directories: with opts->jail each is a MERGE_ADD of its own, also a missing one above something that is
 * added; without, there is none (etcupdate makes them when something is put in them). */
int merge_plan(const struct strv *paths, int old_fd, int new_fd, int dest_fd, const struct merge_opts *o,
	       const char *dest_prefix, struct merge_plan *ret, struct err *e);

/* `brig merge --tree`: carries the plan out in dest_fd at once, each file atomically, writes conflict files
 * below conflicts_fd (<0: nowhere), and says each line ("  U /etc/x") through say.  dry: only says. */
struct merge_tree {
	int old_fd, new_fd, dest_fd, conflicts_fd;
	const char *dest; /* its path, for messages */
	bool dry;
	struct merge_opts opts;
	void (*say)(void *ctx, const char *line);
	void *ctx;
};
int merge_tree(const struct merge_tree *t, size_t *ret_conflicts, size_t *ret_warnings, struct err *e);

#endif
