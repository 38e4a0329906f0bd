/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens to one path in a three-way merge of trees: etcupdate(8)'s table, one function.  Pure.
 *
 * O is the old stock tree, N the new one, D the destination.
 */
#ifndef BRIG_MERGE_DECIDE_H
#define BRIG_MERGE_DECIDE_H

#include <stdbool.h>

enum node_type { NODE_NONE, NODE_FILE, NODE_DIR, NODE_LINK, NODE_FIFO, NODE_SOCKET, NODE_CHAR, NODE_BLOCK };
/* etcupdate's words: "regular file", "directory", "symbolic link", "fifo file", "socket",
 * "character special file", "block special file". */
const char *node_word(enum node_type t);

/* What is known of one path.  same_*: the types are equal and so is the content (files) or the target
 * (links); directories and special files of one type are the same. */
struct merge_facts {
	enum node_type o, n, d;
	bool same_on, same_od, same_nd;
	bool d_empty;             /* a directory without entries */
	bool always;              /* -A matches */
	bool id_on, id_od, id_nd; /* with -F: both are files and differ in nothing but $FreeBSD$ */
};

enum merge_act {
	MERGE_NOTHING,
	MERGE_ADD,      /* A: N's node where D has nothing (a directory: only when something is put in it) */
	MERGE_UPDATE,   /* U: N's node replaces D's, which is as O's (or -A) */
	MERGE_REMOVE,   /* D: D's node goes */
	MERGE_CONTENT,  /* three files that differ: text_merge() or entry_merge(), then M or C */
	MERGE_ID,       /* M: D's $FreeBSD$ line becomes N's */
	MERGE_CONFLICT, /* C: two files without a common base: text_conflict2() */
	MERGE_WARN,     /* nothing is done; the reason is a warning */
};
enum merge_why {
	WHY_NONE,
	WHY_REMAINS,         /* Modified TYPE remains: P */
	WHY_DIR_REMAINS,     /* Non-empty directory remains: P */
	WHY_NEW_LINK,        /* New link conflict: P ("new" vs "dest") */
	WHY_NEW_FILE,        /* New file mismatch: P (N vs D) */
	WHY_REMOVED_FILE,    /* Removed file changed: P */
	WHY_REMOVED_LINK,    /* Removed link changed: P ("old" became "new") */
	WHY_REMOVED_TYPE,    /* Remove mismatch: P (O became N) */
	WHY_MODIFIED_TYPE,   /* Modified mismatch: P (N vs D) */
	WHY_MODIFIED_LINK,   /* Modified link changed: P ("old" became "new") */
	WHY_MODIFIED_CHANGE, /* Modified D changed: P (O became N) */
	/* not etcupdate's; for jails */
	WHY_CONTENT,    /* both changed the same lines */
	WHY_BINARY,     /* both changed it, and it is not text */
	WHY_ENTRY,      /* both changed an account */
	WHY_TWO,        /* both have it, and they differ */
	WHY_META,       /* both changed owner or mode */
	WHY_PARENT,     /* a directory above it is something else */
	WHY_TOGETHER,   /* another account file, which it must agree with, has a conflict */
	WHY_UNREADABLE, /* D's node cannot be read */
};
enum merge_act merge_decide(const struct merge_facts *f, enum merge_why *ret_why);

#endif
