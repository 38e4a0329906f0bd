/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The record of a jail, js/.brig/NAME.json: what is kept for its whole life.  Written atomically and synced.
 * The release is the one that its files came from or were last merged with; the jail starts on it.
 */
#ifndef BRIG_STORE_RECORD_RECORD_H
#define BRIG_STORE_RECORD_RECORD_H

#include "store/store.h"

enum record_change {
	RECORD_SETTLED,
	RECORD_PREPARED, /* only for the next start, which stages and applies it */
	RECORD_APPLY,    /* committed: the next command applies it before the jail may start */
	RECORD_REVERT,   /* committed to go back: the next command reverts it */
};
/* Commands of a release's rules (`regenerate`, `hook`) that wait for the jail's next start, in the order in which they
 * are run. */
enum pending_kind {
	PENDING_CREATE,		  /* hooks of a new jail */
	PENDING_REGENERATE,
	PENDING_HOOK,
	PENDING_REGENERATE_AFTER, /* from here on when it is up, beside its services */
	PENDING_HOOK_AFTER,
	PENDING_N
};
#define PENDING_AFTER PENDING_REGENERATE_AFTER
struct pending {
	struct strv v[PENDING_N];
};
void pending_free(struct pending *p);
void pending_copy(struct pending *dst, const struct pending *src); /* in place of what dst has */
void pending_add(struct pending *p, enum pending_kind kind, const char *command); /* once */

struct record {
	uint32_t idbase;          /* first of its 65,536 host ids */
	char *template, *release; /* NULL: a jail without a template (ROOT_PATH) */
	char *created;            /* ISO 8601, UTC */
	bool ephemeral;           /* of `brig run`: goes with the jail or the command */
	/* upgrades, rollbacks and merges (change.h); empty for a jail that has seen none */
	enum record_change change; /* what is to be done about change_id before it may start */
	unsigned change_id;
	char *change_other;       /* its other release: from (APPLY), or to (others) */
	struct record_undo *undo; /* changes that can be rolled back, oldest first */
	size_t n_undo;
	struct record_conflict *conflict; /* conflicts that wait for a decision, sorted by path */
	size_t n_conflict;
	struct strv missing;    /* services that exec.start could not start, at its last start (EXEC_DEGRADED) */
	struct pending pending;
	/* The jail was upgraded from this release and has not run since: its next start runs exec.upgrade.
	 * NULL: no. */
	char *upgrade_from;
};
struct record_undo {
	unsigned id;
	char *from, *to; /* releases */
	int64_t when;    /* it ended, seconds since the epoch; 0: not recorded (an older brig) */
};
struct record_conflict {
	char *path; /* in the skeleton: "etc/ssh/sshd_config" */
	char *base; /* the release that the jail's file was last merged with */
	char *why;  /* one line for people, visible ASCII */
};
void record_free(struct record *r);
/* Conflicts can be added in any order; one of the same path is replaced. */
void record_add_conflict(struct record *r, const char *path, const char *base, const char *why);
const struct record_conflict *record_conflict(const struct record *r, const char *path);
void record_remove_conflict(struct record *r, const char *path);
void record_add_undo(struct record *r, unsigned id, const char *from, const char *to, int64_t when);
/* -EBUSY: a change is to be applied or reverted, and recovery could not do it: nothing else can be done to its files. */
int record_check_finished(const struct record *r, const char *jail, struct err *e);
void record_remove_undo(struct record *r, size_t first, size_t n);
/* 1 found, 0 there is none. */
int record_read(const struct store *s, const char *jail, struct record *ret, struct err *e);
int record_write(const struct store *s, const char *jail, const struct record *r, struct err *e);
/* Removes temporary files that killed writers left. */
int record_tidy(const struct store *s, struct err *e);
int record_remove(const struct store *s, const char *jail, struct err *e);
int record_list(const struct store *s, struct strv *ret, struct err *e); /* names, sorted */
int record_list_prefix(const struct store *s, const char *prefix, struct strv *ret, struct err *e);

#endif
