/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three-way merge of trees: what would have to be done to DEST so that it follows from OLD to NEW.  Planning
 * only reads; a plan is carried out by the caller (store/change for jails; merge_tree() for `brig merge
 * --tree`).
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
#include "store/template/class.h"
#include "store/template/release.h"

struct merge_opts {
	const struct strv *always,
	    *ignore;      /* sh patterns over "/PATH", '*' crosses '/'; NULL none.  A pattern
					     * string may hold several, separated by blanks */
	/* only what is configuration, or the release's; NULL: all paths */
	const struct classes *classes;
	bool freebsd_ids; /* etcupdate -F */
	/* the rules for jails: accounts by entry, ids of all kinds do not count (TEXT_IDS), owner and mode
	 * are merged, what etcupdate only warns of is a conflict.  false: etcupdate's rules exactly */
	bool jail;
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

/* How something of the release that is data is given to a jail which has nothing of the name. */
enum merge_whole {
	WHOLE_NO,   /* it is not data */
	WHOLE_TREE, /* a directory with all that is in it */
	WHOLE_DIRS, /* its directories, and empty files: what is in them comes and goes */
	WHOLE_DIR,  /* the directory alone: its parts are items of their own */
	WHOLE_NODE, /* a part that is no directory */
};

struct merge_item {
	char *path;
	struct merge_node o, n, d;
	/* never MERGE_CONTENT or MERGE_ID: the planning turns them into MERGE_UPDATE (merged) or
	 * MERGE_CONFLICT */
	enum merge_act act;
	enum merge_why why;
	enum merge_whole whole; /* MERGE_ADD of data */
	bool merged;            /* act is MERGE_UPDATE, but with text as the new content (etcupdate's M) */
	bool content_same;      /* MERGE_UPDATE of owner and mode alone: the content stays as d has it */
	bool meta;              /* mode, uid, gid below differ from d's: to be set */
	mode_t mode;            /* what the result has (MERGE_ADD, MERGE_UPDATE) */
	uid_t uid;
	gid_t gid;
	struct buf text; /* merged: the content; MERGE_CONFLICT: the content with markers (may be empty);
			  * WHY_TOGETHER: what it would become (empty: n's content) */
	char *detail; /* of a conflict, for people: "uid 120 of new user _x is taken by joe"; may be NULL */
};
struct merge_plan {
	struct merge_item *v;
	size_t n, cap;
	struct strv warnings; /* etcupdate's lines, without the indent; with jail: about data */
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

/* The plan for these paths (sorted, as merge_delta() gives them), in the order in which it can be carried
 * out, which is etcupdate's: what is removed (other things than directories, then directories, deepest
 * first), what both have, what is new; each sorted.  Items with MERGE_NOTHING are left out.  dest_prefix:
 * for etcupdate's "Directory mismatch: FULLPATH".
 *
 * New directories: with opts->jail each is a MERGE_ADD of its own, also a missing one above something that is
 * added; without, there is none (etcupdate makes them when something is put in them). */
struct merge_trees {
	int old_fd, new_fd, dest_fd;
	const char *dest_prefix; /* or NULL */
};
int merge_plan(const struct strv *paths, const struct merge_trees *trees, const struct merge_opts *o,
	       struct merge_plan *ret, struct err *e);

/* What is data in the new tree and not in the old one; o->classes is not NULL, IGNORE is applied. */
struct merge_part {
	char *path;
	size_t piece; /* length of its piece's name (class.h): all parts of one are given, or none */
	enum merge_whole how;
	bool parent_comes; /* the piece's directory is configuration that comes with the new release */
};
struct merge_owner { /* a piece that both have, with another owner */
	char *path;
	uid_t uid, was_uid;
	gid_t gid, was_gid;
};
struct merge_data {
	struct merge_part *v; /* directories before what is in them */
	size_t n, cap;
	struct merge_owner *owner;
	size_t n_owner, cap_owner;
};
void merge_data_free(struct merge_data *d);
int merge_data(int old_fd, int new_fd, const struct merge_opts *o, struct merge_data *ret, struct err *e);
/* What of it a jail is given: added to the plan, after what its merge needs.  Of the jail nothing is
 * looked at but whether it has something of a name. */
int merge_data_plan(const struct merge_data *d, int new_fd, int dest_fd, struct merge_plan *plan,
		    struct err *e);

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
