/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changing the files of one jail together with its release, in one step: upgrade, rollback, merge.
 *
 * Everything is staged while the jail runs.  Then one write of the record (js/.brig/NAME.json), the commit,
 * decides: it names the new release and says "apply".  From then on every command of root, after any crash,
 * first carries the change out, before the jail may start.  Carrying out is renames of staged files, each of
 * which can be repeated; what was there is kept as the same inode, so that going back needs neither space nor
 * copying.
 *
 *	js/.brig/switch/NAME		the mark: something about NAME is unfinished; made first, removed last
 *	js/.brig/change/NAME/ID.json	what is to be done, in order
 *	js/.brig/change/NAME/ID/new/N	the node that takes the place of operation N's path
 *	js/.brig/change/NAME/ID/old/N	the node that was there (a hard link until it is replaced)
 *
 * Where the jailspace is another file system or mount, ID/ is in its top directory's .brig-merge instead.
 * After the end ID.json and old/ stay as long as the record lists the change in `undo`: that is what a
 * rollback uses.  keep.c says how long that is.
 *
 * Data that a release brings (store/merge/merge.h) are whole directories: one node, one rename.
 *
 * Of directories of data that somebody asks for, a change keeps copies, ID/data/N, made when the old services have
 * ended and before anything is put in place (data.c).  A change that goes back puts them in place again where the data
 * were touched since; a rollback does so only when it is asked to.
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
	/* of a rollback, the last ones: the copy data/N of another change takes the place of what is there; 0: no */
	unsigned copy_id, copy_n;
};
/* A copy of a directory of data: data/N of the change. */
struct change_copy {
	char *path;
	unsigned id, n;           /* of the change; in it, from 1 */
	int64_t when;             /* it was made, seconds */
	uint64_t bytes;           /* on disk */
	struct change_tree stamp; /* of what was copied: how many names, inodes and times */
};
/* How long what a rollback needs is kept: parameters of the jail. */
struct change_keep {
	int n;       /* changes of release that can be gone back over; <0: without bound */
	int64_t age; /* seconds that each can be; 0: without bound */
};
#define CHANGE_KEEP_ALL (struct change_keep){-1, 0}
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
	bool force;         /* upgrade --force: guards of its data do not count */
	bool ignore_listen; /* upgrade --ignore-listen, for the start that it waits for */
	struct change_keep keep; /* when it has ended; all, until who begins it says otherwise */
	struct change_op *op;
	size_t n_op;
	struct record was;          /* conflicts, pending and upgrade_from as they were; the rest is empty */
	struct record leaves;       /* conflicts as they will be */
	struct strv kept;           /* paths that are not as the change wants them, and stay */
	struct strv always, ignore; /* merge_opts, for what has to be merged again */
	struct pending pending;     /* as it will be */
	struct strv keep_data;      /* directories that are to be copied: change_keep_data() */
	struct change_copy *copy;   /* they are copied, all of them; none: not yet */
	size_t n_copy;
	bool keep_guarded; /* and those that guards are about when it is staged */
	bool with_data;  /* of a rollback: copies are put back */
	uint64_t hashed; /* bytes of the jail's files that were read for digests so far */
	int change_fd, dir_fd, new_fd, old_fd; /* js/.brig/change/JAIL, its ID, new, old */
};
#define CHANGE_INIT                                                                       \
	{                                                                                 \
		.change_fd = -EBADF, .dir_fd = -EBADF, .new_fd = -EBADF, .old_fd = -EBADF, \
		.keep = {-1, 0}                                                            \
	}
void change_free(struct change *c);

/* Begins a change.  rec: the jail's record, settled.  space_fd <0: there are no files (tmpfs, an empty
 * change). What an interrupted change of the same jail left is removed first. */
struct change_want {
	const char *jail;
	const struct record *rec;
	enum change_kind kind;
	const char *to;    /* release */
	const char *space; /* as struct change keeps it */
	int space_fd;
};
int change_new(const struct store *s, const struct change_want *w, struct change *ret, struct err *e);
/* For a change that is only a plan and has no directories: store and jail are set; earlier changes of the
 * jail can be read then. */
int change_open(struct change *c, struct err *e);
/* Stages a plan.  base: the name of the release that it merges from; new_fd: the new skeleton.  Conflicts of
 * the plan are added to `leaves`. */
int change_stage(struct change *c, const struct merge_plan *plan, const char *base, int new_fd, int space_fd,
		 struct err *e);
/* Stages a decision: path becomes a regular file with this content, and with owner and mode of the jail's
 * file. */
int change_stage_text(struct change *c, const char *path, struct text content, int space_fd, struct err *e);
/* Stages a decision: path becomes what the skeleton new_fd has there, or is removed if it has nothing
 * there. */
int change_stage_theirs(struct change *c, const char *path, int new_fd, int space_fd, struct err *e);
/* Stages the way back to release c->to from what earlier changes kept.  1: done; 0: the undo list does not
 * lead there (the caller merges instead).  For a change without directories (new_fd <0) only the operations
 * are worked out. */
int change_stage_undo(struct change *c, const struct record *rec, int space_fd, struct err *e);
/* Writes ID.json and syncs everything that was staged: it can be committed. */
int change_seal(struct change *c, struct err *e);
/* Commits: changes rec, the jail's record, and writes it. */
int change_commit(struct change *c, struct record *rec, struct err *e);
/* Commits for the next start only (--no-restart): nothing is staged yet. */
int change_prepare(struct change *c, struct record *rec, struct err *e);
/* For a prepared change that was loaded and whose nodes are open: removes what an earlier start staged, so
 * that it can be staged again. */
int change_restage(struct change *c, struct err *e);
/* Ends the attempt of a prepared change, after revert or before commit: it waits for the next start again. */
int change_prepare_again(struct change *c, struct record *rec, struct err *e);
/* new/ and old/ are closed, so that a volume can be unmounted, and opened again. */
void change_close_nodes(struct change *c);
int change_open_nodes(struct change *c, int space_fd, struct err *e);
/* Carries it out, or goes on with it. */
int change_apply(struct change *c, int space_fd, struct err *e);
/* Commits to going back; change_revert() takes back what was carried out, or goes on with that. */
int change_commit_back(struct change *c, struct record *rec, struct err *e);
int change_revert(struct change *c, int space_fd, struct err *e);
/* Syncs the jail's files: for a volume, which is unmounted before the change finishes. */
int change_sync(struct change *c, int space_fd, struct err *e);
/* Ends a change after apply: syncs the files, settles the record, with undo and conflicts of the change.  What no
 * rollback can use any more, or c->keep does not keep, goes from the undo list, and its files with it. */
int change_finish(struct change *c, struct record *rec, int space_fd, struct err *e);
/* Ends a change after revert, or before commit: removes all of it, settles the record, which is as before. */
int change_discard(struct change *c, struct record *rec, int space_fd, struct err *e);

/* data.c.  Adds a directory to keep_data, as a path of the jailspace ("var/lib/mysql"); one in another is copied with
 * that. -EINVAL: it cannot be one; no message. */
int change_keep_data(struct strv *keep_data, const char *path);
/* Are these directories there?  The error names the first that is not. */
int change_check_data(const struct strv *keep_data, int space_fd, struct err *e);
/* Makes the copies, and writes down that they are there: nothing to do when they are.  Of a failure nothing is left.
 * Nobody may write to them meanwhile. */
int change_copy_data(struct change *c, int space_fd, struct err *e);
/* The copies on the way back to release `to`, sorted by path; of each directory the oldest. 0: there are none. */
int change_find_copies(const struct store *s, const char *jail, const struct record *rec, const char *to, int space_fd,
		       struct change_copy **ret, size_t *ret_n, struct err *e);
void change_copies_free(struct change_copy *v, size_t n);
int change_no_copies(const char *to, struct err *e); /* the error for that */
/* Stages that these copies are put back; the last thing to be staged.  That there is none is an error. */
int change_stage_copies(struct change *c, const struct record *rec, int space_fd, struct err *e);

int change_load(const struct store *s, const char *jail, unsigned id, int space_fd, struct change *ret,
		struct err *e);
/* SHA-256 of the first size bytes: a jail may be appending to the file for ever.  -errno. */
int change_digest(int fd, uint64_t size, char ret[65]);
/* Jails with something unfinished, sorted.  Cheap when there are none. */
int change_unfinished(const struct store *s, struct strv *ret, struct err *e);
/* Jails that changes have left something of, whether or not they have a record, sorted. */
int change_jails(const struct store *s, struct strv *ret, struct err *e);
/* The entry of the undo list that a rollback to a release begins with: the latest change that left it. */
bool change_find_way(const struct record *rec, const char *to, size_t *ret);
/* Can a rollback begin with entry i of the undo list? */
bool change_can_begin(const struct record *rec, size_t i);
/* How many entries of the undo list, from the oldest on, no rollback will use.  there[i]: the release that entry i
 * left exists; asked for entries that a rollback can begin with. */
size_t change_useless(const struct record *rec, const struct change_keep *keep, const bool *there, int64_t now);
/* The same; finds out what is there, and when changes ended of which rec does not say it.  A release that cannot be
 * looked at, or the jail's own that is missing, is an error: nothing is known to be of no use then. */
int change_look_useless(const struct store *s, const char *jail, struct record *rec, const struct change_keep *keep,
			size_t *ret, struct err *e);
/* Bytes on disk of the changes of a jail: those that the record lists, and the others.  What lies in the jailspace
 * counts if it is open (space_fd >=0). */
struct change_usage {
	uint64_t used, unused;
};
int change_usage(const struct store *s, const char *jail, const struct record *rec, int space_fd,
		 struct change_usage *ret, struct err *e);
/* Removes changes that the record does not list; the record is settled.  keep_mark: the jail must still be
 * started again. */
int change_tidy(const struct store *s, const char *jail, const struct record *rec, int space_fd, bool keep_mark,
		struct err *e);
/* Makes the mark say that the jail ran, in which boot, and is to be started again; it stays until that was
 * done, or tried. */
int change_mark_restart(const struct store *s, const char *jail, const char *boot, struct err *e);
bool change_is_marked(const struct store *s, const char *jail); /* also if that cannot be found out */
bool change_wants_restart(const struct store *s, const char *jail, const char *boot);
int change_unmark(const struct store *s, const char *jail, struct err *e);
/* Removes all changes of a jail that is destroyed, and its mark. */
int change_remove_all(const struct store *s, const char *jail, struct err *e);

#endif
