/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a switch does to the files of a jail: which paths, the plan, and filling a change with it.  It uses
 * the merge of trees (store/merge/merge.h) and fills the journal of a change (store/change/change.h), which
 * the steps carry out (steps_change.c).
 */
#ifndef BRIG_RUN_FILES_H
#define BRIG_RUN_FILES_H

#include "conf/spec.h"
#include "store/change/change.h"
#include "store/template/guard.h"
#include "store/template/release.h"

/* What a jail's release and the new one's differ in; the same for all jails that come from it. */
struct switch_delta {
	char *from;
	struct strv paths;
	struct merge_data data;
	char *damage; /* why release `from` is not as it was built; NULL */
};

struct switch_to {
	const struct store *store;
	enum change_kind kind; /* CHANGE_UPGRADE or CHANGE_ROLLBACK */
	const char *release;
	struct switch_delta *delta; /* filled on demand */
	size_t n_delta;
	struct classes classes; /* of the release's rules, filled with it */
	const struct strv *always, *ignore; /* merge_opts; NULL none */
	const struct strv *keep_data;       /* directories of the jailspace to keep a copy of; NULL none */
	bool keep_guarded;                  /* and of those that guards are about */
	bool with_data;                     /* a rollback puts such copies back */
	bool restart;                       /* stopped by the caller, who starts them again */
	bool no_restart;                    /* a running jail switches at its next start */
	const struct strv *force;           /* labels of jails whose guards do not count; NULL: none */
	struct guards guards;               /* of the release; filled on demand */
	bool ignore_listen;                 /* that nothing listens any more is no reason to go back */
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
	uint64_t copied;   /* bytes of the data that a copy is kept of */
	int64_t copied_us; /* how long that took */
	size_t listeners; /* how many sockets were watched; 0: down_us is from the stop to the start */
};

/* From switch_plan(), switch_stage(): a guard of the jail's data holds it back.  No other error is called so. */
#define SWITCH_HELD EPROTOTYPE

/* A directory of data that is to be copied, or put back, as a plan says it. */
struct switch_data {
	char *path;
	uint64_t bytes; /* on disk */
	bool shares;    /* to be copied: the file system shares the blocks */
	int64_t when;   /* to be put back: the copy was made; 0: it is to be copied */
};
struct switch_data_plan {
	struct switch_data *v;
	size_t n;
};
void switch_data_free(struct switch_data_plan *p);
/* Adds what becomes of the data of a jail (data.c).  A directory that no copy can be kept of, or that no copy is kept
 * of, is an error. */
int switch_data_keep(const struct strv *paths, int space_fd, struct switch_data_plan *ret, struct err *e);
int switch_data_back(const struct switch_to *to, const char *jail, const struct record *rec,
		     struct switch_data_plan *ret, struct err *e);
/* Plans the switch of one jail as it is now; nothing is changed.  1: it is on the release already.
 * `conflicts` of a rollback are files that would stay.  -EBUSY: its image is in use, and can be looked at
 * when it stops. */
int switch_plan(struct switch_to *to, const struct jailspec *spec, struct merge_plan *ret,
		struct switch_counts *counts, struct switch_data_plan *data, struct err *e);
/* Where the jailspace is, in the form that struct change keeps; the caller frees. */
char *space_where(const struct jailspec *spec);
/* Opens the jailspace.  A volume is mounted as long as the descriptor is open: only while the jail does not
 * run. *ret_fd -EBADF: it is in memory. */
int space_by_where(const struct store *s, const char *jail, const char *where, int *ret_fd, struct err *e);
/* 0: it can be switched, 1: it is on the release, <0: it cannot be switched. */
int switch_check(const struct jailspec *spec, const struct record *rec, const char *release, struct err *e);
/* Discards a change that --no-restart prepared; nothing is staged for it. */
int switch_discard_prepared(const struct store *s, const char *jail, struct record *rec, struct err *e);
/* Fills a new change. */
int switch_stage(struct switch_to *to, struct change *c, const struct record *rec, int space_fd,
		 struct err *e);
/* What the rules of release `to` have run because of the change: c->pending.  rec: the record before it. */
int switch_pending(struct change *c, const struct record *rec, const struct release *to, int space_fd,
		   struct err *e);
/* The hooks of it alone, from what two releases differ in: for a plan.  In place of those that rec has. */
int switch_hooks(struct switch_to *to, struct record *rec, struct err *e);
/* Adds the hooks of a new jail. */
int switch_create_hooks(const struct release *r, struct pending *ret, struct err *e);
/* What an older brig left to be decided about data: nothing is, the file stays.  *ret_said: a line for each. */
int switch_drop_data_conflicts(const struct store *s, struct record *rec, struct strv *ret_said,
			       struct err *e);
void switch_count(const struct change *c, struct switch_counts *ret);

#endif
