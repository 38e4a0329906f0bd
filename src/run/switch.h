/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One jail from one release to another (upgrade, rollback), its files with it, and decisions about its
 * conflicts.
 *
 * A running jail is switched so that it is away as short as possible: all that can be done before is done
 * before. Where the host can (os_jail_can_keep()) and no exec.* command of the host wants to be in between,
 * the new instance is made beside the old one, in the same network, and only then the old one's services
 * stop; addresses, routes, redirections and the JID stay.  Otherwise the jail is stopped and started.  One
 * that does not start, or is not healthy, goes back to the release it came from, with its files as they were.
 *
 * store/change/change.h says how the files and the release change in one step.
 */
#ifndef BRIG_RUN_SWITCH_H
#define BRIG_RUN_SWITCH_H

#include "run/run.h"
#include "store/change/change.h"

/* What a jail's release and the new one's differ in; the same for all jails that come from it. */
struct switch_delta {
	char *from;
	struct strv paths;
};

struct switch_to {
	const struct store *store;
	enum change_kind kind; /* CHANGE_UPGRADE or CHANGE_ROLLBACK */
	const char *release;
	struct switch_delta *delta; /* filled on demand */
	size_t n_delta;
	const struct strv *always, *ignore; /* merge_opts; NULL none */
	bool restart;                       /* stopped by the caller, who starts them again */
	bool no_restart;                    /* a running jail switches at its next start */
};
void switch_to_free(struct switch_to *to);

/* Numbers only: it crosses processes in shared memory. */
struct switch_counts {
	size_t added, updated, merged, removed, conflicts, kept;
};
struct switch_result {
	struct switch_counts files;
	bool ran;         /* it was running */
	bool beside;      /* the new instance was made beside the old one */
	bool back;        /* it did not come up and is on its old release again */
	bool later;       /* no_restart: prepared */
	int64_t down_us;  /* the old services' last moment to the new ones' first; -1 not measured */
	size_t listeners; /* how many sockets were watched; 0: down_us is from the stop to the start */
};

/* The plan for one jail as it is now: nothing is changed.  1: there is nothing to switch (it is on the
 * release). `conflicts` of a rollback are files that would stay.  -EBUSY: its image is in use; it is planned
 * when it stops. */
int switch_plan(struct switch_to *to, const struct jailspec *spec, struct merge_plan *ret,
		struct switch_counts *counts, struct err *e);
/* What would be done to the jail, a line each. */
int switch_walk(struct switch_to *to, const struct jailspec *spec, struct strv *ret, struct err *e);
/* 0 done, 1 it was on the release already. */
int switch_jail(struct switch_to *to, const struct jailspec *spec, const struct run_caller *who,
		struct switch_result *ret, struct err *e);
/* The part between a stop (STOP_RETURNS) and a start of to->restart: the record and the files are the new release's,
 * and the start that follows ends the change, or goes back over it. */
int switch_stopped_jail(struct switch_to *to, const struct jailspec *spec, const struct run_caller *who,
			struct switch_result *ret, struct err *e);

/*
 * Decisions.  content: what the file becomes; NULL with keep false: as the release has it; keep: it stays as
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
