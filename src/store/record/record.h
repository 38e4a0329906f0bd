/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The record of a jail: what is kept for its whole life, js/.brig/NAME.json.  Written atomically with
 * fsync.  The release is the one that its files came from or were last merged with (what it starts on).
 */
#ifndef BRIG_STORE_RECORD_RECORD_H
#define BRIG_STORE_RECORD_RECORD_H

#include "store/store.h"

enum record_change {
	RECORD_SETTLED,
	RECORD_PREPARED, /* only the intention: staged and done at the next start (upgrade --no-restart) */
	RECORD_APPLY,    /* decided: the files follow, whoever comes next */
	RECORD_REVERT,   /* decided: the files go back */
};
struct record {
	uint32_t idbase;          /* first of its 65,536 host ids */
	char *template, *release; /* NULL: a jail without a template (ROOT_PATH) */
	char *created;            /* ISO 8601, UTC */
	bool ephemeral;           /* of `brig run`: goes with the jail, or with the command that made it */
	/* upgrades, rollbacks and merges (change.h); empty for a jail that has seen none */
	enum record_change change; /* what is to be done about change_id before it may start */
	unsigned change_id;
	char *change_other;       /* with change: the release that it comes from, goes to, or came from */
	struct record_undo *undo; /* the changes that can be taken back, oldest first */
	size_t n_undo;
	struct record_conflict *conflict; /* what waits for a decision, sorted by path */
	size_t n_conflict;
	struct strv regenerate; /* commands to run in the jail at its next start, before exec.start */
	/* It was upgraded since it last ran: from this release, and its next start runs exec.upgrade.  NULL: not */
	char *upgrade_from;
};
struct record_undo {
	unsigned id;
	char *from, *to; /* releases */
};
struct record_conflict {
	char *path; /* in the skeleton: "etc/ssh/sshd_config" */
	char *base; /* the release that the jail's file was last merged with */
	char *why;  /* one line for people, visible ASCII */
};
void record_free(struct record *r);
/* Conflicts are added in any order; an older one of the same path is replaced. */
void record_add_conflict(struct record *r, const char *path, const char *base, const char *why);
const struct record_conflict *record_conflict(const struct record *r, const char *path);
void record_remove_conflict(struct record *r, const char *path);
void record_add_undo(struct record *r, unsigned id, const char *from, const char *to);
/* 1 found, 0 there is none. */
int record_read(const struct store *s, const char *jail, struct record *ret, struct err *e);
int record_write(const struct store *s, const char *jail, const struct record *r, struct err *e);
/* Removes what killed writers left. */
int record_tidy(const struct store *s, struct err *e);
int record_remove(const struct store *s, const char *jail, struct err *e);
int record_list(const struct store *s, struct strv *ret, struct err *e); /* names, sorted */
int record_list_prefix(const struct store *s, const char *prefix, struct strv *ret, struct err *e);

#endif
