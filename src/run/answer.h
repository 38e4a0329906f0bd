/* SPDX-License-Identifier: BSD-2-Clause */
/* Conflicts of one jail: what waits for a decision, and carrying out a decision. */
#ifndef BRIG_RUN_ANSWER_H
#define BRIG_RUN_ANSWER_H

#include "run/run.h"
#include "store/merge/merge.h"

/*
 * A decision.  content: what the file becomes; NULL with keep false: as the release has it; keep: it stays as
 * it is. The file of a running jail is replaced in one rename.
 */
struct switch_answer {
	const char *path;
	bool keep;
	const struct text *content;
};
/* 0 done, 1 it had no such conflict. */
int switch_answer(const struct store *s, const struct jailspec *spec, const struct switch_answer *a,
		  const struct run_caller *who, struct err *e);

/* What a jail has waiting, worked out anew from the files as they are; what has become equal or merges
 * cleanly by now is MERGE_NOTHING or MERGE_UPDATE.  One item for each conflict of the record, in its order;
 * what explains them is read from base and release, which are open. */
struct switch_waiting {
	struct release base, release;
	struct merge_item item;
	char *why; /* as it was recorded */
	char *key; /* equal for the same conflict in different jails: path, and what all three sides have */
};
struct switch_waits {
	struct switch_waiting *v;
	size_t n;
	int space_fd; /* the jail's files */
};
int switch_conflicts(const struct store *s, const struct jailspec *spec, struct switch_waits *ret,
		     struct err *e);
void switch_waits_free(struct switch_waits *w);

#endif
