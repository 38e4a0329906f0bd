/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of the split into template and skeleton, and the split itself.
 *
 * Rules are a text file (brig-template(5)): one rule a line, its first word says what is done.  A release
 * keeps the text it was built with in the file "rules" beside root/ and skel/; creating a jail reads that
 * one.  Paths are relative to the tree's root, without "." and ".." (checked when they are read).
 */
#ifndef BRIG_STORE_TEMPLATE_SPLIT_H
#define BRIG_STORE_TEMPLATE_SPLIT_H

#include "store/record/record.h"
#include "store/template/release.h"

/* What must differ in each jail: removed from the skeleton at build, made when a jailspace is created. */
enum fresh {
	FRESH_REMOVE,        /* only removed */
	FRESH_MACHINE_ID,    /* 32 hex digits and a newline */
	FRESH_HOSTNAME,      /* the jail's host name and a newline */
	FRESH_SSH_HOST_KEYS, /* ssh host keys, where the jail has the tools to make them */
	FRESH_NAME,          /* stays; OS_CONTAINED_NAME in it becomes the jail's host name */
};

enum rule_kind {
	RULE_MOVE,    /* path -> /s/arg, with a link left behind; made empty where the tree has none */
	RULE_MOVE_IF, /* the same, only where the tree has path */
	RULE_EMPTY, /* an empty directory of the template: mount points; what the tree has there is dropped */
	RULE_DROP,  /* removed (arg NULL; path may be a pattern in its last component) */
	RULE_KEEP,  /* below a moved path: stays in the template as arg, linked from the skeleton */
	RULE_FRESH, /* path (pattern in its last component), fresh */
	RULE_LINK,  /* path of the skeleton becomes a link to arg */
	RULE_LOCK,  /* in the password file path, the password of user arg is '*' */
	RULE_LINE,  /* file path gets the line arg, unless it has one that sets the same variable */
	RULE_ADD, /* file arg of the rules' own directory skel/ is put at path with mode, unless unless exists
		   */
	RULE_ADD_IF,     /* the same, only where unless exists */
	/* from here on nothing is done to a tree that is split */
	RULE_REGENERATE, /* after an upgrade arg is run in the jail, when unless (a path; NULL: path itself,
			  * where the jail's differs) was changed: path is made by a program, and never a
			  * conflict */
	RULE_HOOK,       /* arg is run in the jail: see pending; at an upgrade only where one of paths differs */
	RULE_DANGLING,   /* a link at path (pattern over the whole path as the jail sees it) may dangle */
	/* guards (guard.h): path is of the jail's data; arg: what to do about it, or NULL */
	RULE_GUARD,         /* paths of the tree, one of which these data need */
	RULE_GUARD_FORMAT,  /* paths with the version of these data, unless: package, mode: how many numbers of it */
	RULE_GUARD_ENABLED, /* paths of the tree, one of which a service needs that this file enables */
	/* classes (class.h): path is a pattern in each of its components */
	RULE_CONFIG,
	RULE_DATA,
	RULE_RELEASE,
	RULE_IGNORE,
};

#define GUARD_NUMBERS_MAX 4 /* of a version */

struct rule {
	enum rule_kind kind;
	char *path, *arg;
	enum fresh fresh; /* RULE_FRESH */
	unsigned mode;    /* RULE_ADD, RULE_ADD_IF, RULE_GUARD_FORMAT */
	enum pending_kind pending; /* RULE_REGENERATE, RULE_HOOK: when arg is run */
	struct strv paths;         /* RULE_HOOK: patterns of the tree (glob(7) in each component); none: always.
				    * RULE_GUARD*: as there */
	char *unless;     /* RULE_ADD, RULE_ADD_IF, RULE_REGENERATE: NULL or a path of the tree */
	int line;         /* for messages */
};

struct rules {
	struct rule *v;
	size_t n, cap;
	char *file; /* where it was read, for messages */
	char *text; /* as it was read; goes into the release */
};
#define RULES_INIT                     \
	{                              \
		NULL, 0, 0, NULL, NULL \
	}
void rules_free(struct rules *r);

/* The rules of a build.  file NULL: /etc/brig/split.rules if there is one, else the installed default.
 * Errors: "FILE:LINE: text". */
int rules_load(const char *file, struct rules *ret, struct err *e);
/* The rules that release r was built with.  A release made by hand: those of rules_load(NULL). */
int rules_of_release(const struct release *r, struct rules *ret, struct err *e);
/* Reads them now, for a process that will use r and may not open the files of a release: a jail's root. */
int rules_keep(struct release *r, struct err *e);
/* From text; file is what messages call it. */
int rules_parse(const char *text, const char *file, struct rules *ret, struct err *e);

/* Where the skeleton has path of the tree: "usr/local/etc" -> "usr-local/etc"; NULL when it stays in the
 * template.  The caller frees.  For the rules whose path is in the skeleton (fresh, link, lock, line, add).
 */
char *rules_skel_path(const struct rules *rules, const char *path);

/* Splits the tree root_fd; what moves goes to skel_fd (an empty directory of the same file system).  All by
 * descriptors, no link is followed.  -EEXIST: two paths claim one place of the skeleton, both are named. */
int split_tree(int root_fd, int skel_fd, const struct rules *rules, struct err *e);
struct links; /* links.h */
struct split_look {
	int root_fd, skel_fd;
	const struct rules *rules;
	const struct links *before; /* of the tree before the split; NULL: not known, nothing is changed */
	/* Both get a path as the jail sees it, and text. */
	void (*say)(void *ctx, const char *path, const char *what);
	void (*warn)(void *ctx, const char *path, const char *what); /* with before */
	void *ctx;
	size_t faults; /* how many times say() was called */
};
/* Every link of both halves must lead somewhere inside a jail (root at /, skel at /s), and neither may hold FIFOs,
 * sockets and devices: faults.  With before, links that lead nowhere as the tree was made are warnings, and what
 * the split led astray is put right. */
int split_check(struct split_look *look, struct err *e);

#endif
