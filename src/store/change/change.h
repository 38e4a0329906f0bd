/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changing the files of one jail together with its release, in one step: upgrade, rollback, merge.
 *
 * Everything is staged aside while the jail runs.  Then one write of the record (js/.brig/NAME.json) decides:
 * it names the new release and says "apply"; whoever comes next, after any crash, carries the change out
 * before the jail may start.  Carrying out is renames of staged files, each repeatable; what was there is kept
 * as the same inode, so that going back needs neither space nor copying.
 *
 *	js/.brig/switch/NAME		there is something unfinished about NAME; first and last thing on disk
 *	js/.brig/change/NAME/ID.json	what is to be done, in order
 *	js/.brig/change/NAME/ID/new/N	the node that takes the place of operation N's path
 *	js/.brig/change/NAME/ID/old/N	the node that was there (a hard link until it is replaced)
 *
 * Where the jailspace is another file system or mount, ID/ is in its top directory's .brig-merge instead.
 * After the end ID.json and old/ stay as long as the record lists the change in `undo`: that is what a
 * rollback uses.
 *
 * Data that a release brings (store/merge/merge.h) are whole directories: one node, one rename.
 *
 * A file that the jail changed after the staging is never overwritten: it is merged again at its turn, or
 * kept and named.  The caller holds the jail's lock.
 */
#ifndef BRIG_STORE_CHANGE_CHANGE_H
#define BRIG_STORE_CHANGE_CHANGE_H

#include "store/merge/merge.h"
#include "store/record/record.h"

#define CHANGE_INSIDE ".brig-merge"

enum change_kind { CHANGE_UPGRADE, CHANGE_ROLLBACK, CHANGE_MERGE };

struct change_node {
	enum node_type type;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint64_t size;
	char *link;
	char digest[65]; /* of a regular file; "" where it is not known */
	ino_t ino;       /* with changed: is it the one that was looked at? */
	struct timespec changed;
	struct timespec modified; /* of a regular file; 0: not known (an older ID.json) */
};
/* A directory with all that is in it. */
struct change_tree {
	uint64_t n, bytes; /* 0: none */
	char digest[65];
};
struct change_op {
	char *path;
	unsigned n;
	bool meta;   /* owner and mode only */
	bool merged; /* by lines or entries, rather than replaced */
	bool data;   /* given because it is data: no later change touches it */
	bool quiet;  /* for what comes and goes: nothing is said about it */
	bool skip;   /* was not as expected at its turn: left alone */
	char *base;  /* release of the merge base */
	struct change_node before, after;
	/* ctime of old/N after the change, where before has no digest: a file too large to be read; 0: nobody
	 * looked, or brig itself has changed it since */
	struct timespec kept;
	/* after (of a rollback: before) is a whole directory: a digest of what was given (of a rollback: of its
	 * inodes and times) */
	struct change_tree tree;
};
struct change {
	const struct store *store;
	unsigned id;
	enum change_kind kind;
	char *jail, *template, *from, *to; /* from and to: releases */
	char *space; /* "" js/NAME, or as in jail.conf: "/dir", "image:FILE", "device:DEV", "tmpfs" */
	bool inside;
	bool saved;     /* ID.json is there */
	bool keep_mark; /* the end leaves the mark: the jail is yet to be started again */
	bool restart;   /* the jail ran when it began: after a crash it is started again */
	bool prepared;  /* waits, or waited, for a start (upgrade --no-restart) */
	char boot[40];  /* in this boot */
	struct change_op *op;
	size_t n_op;
	struct record was;          /* conflicts, regenerate and upgrade_from as they were; the rest is empty */
	struct record leaves;       /* conflicts as they will be */
	struct strv kept;           /* paths that are not as the change wants them, and stay */
	struct strv always, ignore; /* merge_opts, for what has to be merged again */
	struct strv regenerate;
	uint64_t hashed; /* bytes of the jail's files that were read for digests so far */
	int change_fd, dir_fd, new_fd, old_fd; /* js/.brig/change/JAIL, its ID, new, old */
};
#define CHANGE_INIT                                                                       \
	{                                                                                 \
		.change_fd = -EBADF, .dir_fd = -EBADF, .new_fd = -EBADF, .old_fd = -EBADF \
	}
void change_free(struct change *c);

/* Begins one.  rec: the jail's record, settled.  space_fd <0: there are no files (tmpfs, an empty change).
 * What an interrupted one of the same jail left is removed first. */
int change_new(const struct store *s, const char *jail, const struct record *rec, enum change_kind kind,
	       const char *to, const char *space, int space_fd, struct change *ret, struct err *e);
/* Of one that is only a plan (no directories of its own): store and jail are set, the earlier ones can be
 * read. */
int change_open(struct change *c, struct err *e);
/* Stages what a plan says: old_fd's release is base (a name), new_fd the new skeleton.  Conflicts of the plan
 * are added to `leaves`. */
int change_stage(struct change *c, const struct merge_plan *plan, const char *base, int new_fd, int space_fd,
		 struct err *e);
/* A decision: path becomes a regular file with this content, owner and mode as the jail's has them. */
int change_stage_text(struct change *c, const char *path, struct text content, int space_fd, struct err *e);
/* A decision: path becomes what the skeleton new_fd has, or goes where that has nothing. */
int change_stage_theirs(struct change *c, const char *path, int new_fd, int space_fd, struct err *e);
/* Stages the way back to release c->to by what earlier changes kept.  1; 0 when the record has no way (the
 * caller merges instead). Of a change without directories (new_fd <0) only the operations are worked out. */
int change_stage_undo(struct change *c, const struct record *rec, int space_fd, struct err *e);
/* All of it on disk for good.  From here on it can be decided. */
int change_seal(struct change *c, struct err *e);
/* Decides: record_write().  rec is the jail's and is changed. */
int change_commit(struct change *c, struct record *rec, struct err *e);
/* Only the intention: nothing is staged yet, the files follow at the jail's next start. */
int change_prepare(struct change *c, struct record *rec, struct err *e);
/* A prepared one that was loaded, its nodes open: what an earlier start staged for it goes, it is staged anew. */
int change_restage(struct change *c, struct err *e);
/* After revert, or instead of commit, of one that was prepared: it waits for the next start once more. */
int change_prepare_again(struct change *c, struct record *rec, struct err *e);
/* new/ and old/ are closed, so that a volume can be unmounted, and opened again. */
void change_close_nodes(struct change *c);
int change_open_nodes(struct change *c, int space_fd, struct err *e);
/* Carries it out, or goes on with it. */
int change_apply(struct change *c, int space_fd, struct err *e);
/* Decides the other way, and takes back what was carried out, or goes on with that. */
int change_commit_back(struct change *c, struct record *rec, struct err *e);
int change_revert(struct change *c, int space_fd, struct err *e);
/* What was done is on disk (a volume that is unmounted before the finish). */
int change_sync(struct change *c, int space_fd, struct err *e);
/* After apply: what was done is on disk, the record is settled, undo and conflicts are those of the change.
 */
int change_finish(struct change *c, struct record *rec, int space_fd, struct err *e);
/* After revert, or instead of commit: nothing of it is left, the record is settled and as before, but for
 * what was to be regenerated. */
int change_discard(struct change *c, struct record *rec, int space_fd, struct err *e);

int change_load(const struct store *s, const char *jail, unsigned id, int space_fd, struct change *ret,
		struct err *e);
/* SHA-256 of the first size bytes: a jail may be appending to the file for ever.  -errno. */
int change_digest(int fd, uint64_t size, char ret[65]);
/* Jails with something unfinished, sorted.  Cheap when there are none. */
int change_unfinished(const struct store *s, struct strv *ret, struct err *e);
/* Removes what the record does not know of; the jail has nothing unfinished.  keep_mark: it is yet to be started
 * again. */
int change_tidy(const struct store *s, const char *jail, const struct record *rec, int space_fd, bool keep_mark,
		struct err *e);
/* The mark of a jail that ran when its change was interrupted says so, with the boot it ran in, until
 * somebody has started it again (or tried to). */
int change_mark_restart(const struct store *s, const char *jail, const char *boot, struct err *e);
bool change_is_marked(const struct store *s, const char *jail); /* there may be something unfinished */
bool change_wants_restart(const struct store *s, const char *jail, const char *boot);
int change_unmark(const struct store *s, const char *jail, struct err *e);
/* A jail is destroyed: all of its changes go. */
int change_remove_all(const struct store *s, const char *jail, struct err *e);

#endif
