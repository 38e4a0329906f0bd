/* SPDX-License-Identifier: BSD-2-Clause */
/* Conflicts of one jail: what waits for a decision, and carrying out a decision. */
#ifndef BRIG_RUN_ANSWER_H
#define BRIG_RUN_ANSWER_H

#include "run/run.h"
#include "store/merge/merge.h"

/*
 * A decision about a conflict.  keep: the jail's file stays; otherwise content is what the file becomes, or
 * NULL: as the release has it.  The file of a running jail is replaced in one rename.
 */
struct switch_answer {
	const char *path;
	bool keep;
	const struct text *content;
};
/* 0: done, 1: the jail has no such conflict. */
int switch_answer(const struct store *s, const struct jailspec *spec, const struct switch_answer *a,
		  const struct run_caller *who, struct err *e);

/* The conflicts of a jail, merged again with its files as they are now; one that has become equal or merges
 * cleanly is MERGE_NOTHING or MERGE_UPDATE.  One item for each conflict of the record, in its order.  Nothing stays
 * open: there can be any number of jails, and of conflicts in one. */
struct switch_waiting {
	char *base, *release; /* names */
	struct merge_item item;
	char *why; /* as it was recorded */
	char *key; /* equal for the same conflict in different jails: path and contents of all sides */
};
struct switch_waits {
	struct switch_waiting *v;
	size_t n;
	char *template;
};
int switch_conflicts(const struct store *s, const struct jailspec *spec, struct switch_waits *ret,
		     struct err *e);
void switch_waits_free(struct switch_waits *w);
/* The sides of one of them, to show what each has changed.  Of an image as long as they are open it is mounted. */
struct switch_sides {
	struct release base, release;
	int space_fd; /* the jail's files */
};
#define SWITCH_SIDES_INIT                                                                                         \
	{                                                                                                         \
		{.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF},                                         \
		    {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF}, -EBADF                              \
	}
int switch_sides_open(const struct store *s, const struct jailspec *spec, const struct switch_waits *of,
		      const struct switch_waiting *w, struct switch_sides *ret, struct err *e);
void switch_sides_close(struct switch_sides *sides);

#endif
