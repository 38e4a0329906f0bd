/* SPDX-License-Identifier: BSD-2-Clause */
/* What undo.c (the way back) and older.c (over changes of an older brig) share; not for the rest of brig. */
#ifndef BRIG_STORE_CHANGE_UNDO_H
#define BRIG_STORE_CHANGE_UNDO_H

#include "store/change/internal.h"

/* One path over all those changes. */
struct trace {
	const char *path;
	size_t at;                            /* its place among all operations, oldest first */
	struct change *had;                   /* whose old/ has the content */
	struct change_op *content;            /* its operation; NULL: only owner and mode were changed */
	const struct change_op *last_content; /* the last one that changed more than owner and mode */
	const struct change_op *first, *last;
	const struct change *first_of; /* the change of first */
	bool lost;                     /* what was kept is missing, or was changed since */
	bool left;    /* data that is not put back: nothing is done, and the whole is named */
	size_t piece; /* data of an older brig: the length of its piece's name (class.h); else 0 */
	ino_t ino;    /* inode of what was kept, when it was looked at */
};
struct traces {
	struct trace *v;
	size_t n, cap;
};

/* Is a path as the last change left it?  1, 0, -errno.  Of a whole directory *ret_stamp is what its inodes were
 * before it was looked at. */
int undo_look_at_left(const struct trace *t, int space_fd, struct change_node *ret,
		      struct change_tree *ret_stamp);
/* Data that an older brig merged: `left` of what must not be put back.  The traces are sorted by path. */
int undo_older_data(struct change *c, struct traces *t, const struct classes *classes, int space_fd,
		    struct err *e);

#endif
