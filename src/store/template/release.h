/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Releases of templates: BASE/templates/TEMPLATE/RELEASE/{root,skel,manifest,release.json}.
 *
 * A directory there is a release exactly when its name is a release name: builds happen in ".new.XXXX" and
 * become a release by one rename, after everything was synced.  `current` is a link beside the releases,
 * switched by one rename; j/TEMPLATE and j/skel lead through it and never change.  A release is never
 * altered.  A base made by hand from the Handbook (real directories j/mroot and j/skel; for another template
 * j/NAME and j/skel.NAME) is a template with the one release RELEASE_BY_HAND, which stays the oldest one when
 * others are built.
 */
#ifndef BRIG_STORE_TEMPLATE_RELEASE_H
#define BRIG_STORE_TEMPLATE_RELEASE_H

#include <jansson.h>

#include "store/store.h"

#define RELEASE_BY_HAND "by-hand"

struct release {
	char *template, *name;
	int dir_fd; /* the release directory; -EBADF for RELEASE_BY_HAND */
	int root_fd, skel_fd;
	char *root_path;  /* absolute, for messages and FreeBSD's nullfs */
	char *rules_text; /* of rules_keep(), or NULL */
};
void release_close(struct release *r);

/* name NULL: the current one.  -ENOENT names what exists instead ("brig template list"). */
int release_open(const struct store *s, const char *template, const char *name, struct release *ret,
		 struct err *e);
/* 0: it is there, and stays as long as the caller holds the registry's lock (release_remove); who writes a record
 * that names it asks before, and lets the lock go after. */
int release_exists(const struct store *s, const char *template, const char *name, struct err *e);
int release_templates(const struct store *s, struct strv *ret, struct err *e); /* sorted */
int release_names(const struct store *s, const char *template, struct strv *ret,
		  struct err *e); /* old first */
/* Name of the current release, malloc'ed, or NULL and -ENOENT. */
int release_current(const struct store *s, const char *template, char **ret, struct err *e);
/* What new jails get from now on.  One rename. */
int release_set_current(const struct store *s, const char *template, const char *name, struct err *e);
/* release.json:
 * {"template","release","built","seconds","recipe":{"source","packages":[],"overlays":[],"rules"},
 * "image":{"digest","tag"} (of oci: only; tag or null),"warnings":[],"files","bytes","manifest_sha256","brig"}.
 * "rules" is the file given with --rules or null.  Of RELEASE_BY_HAND only the first two are known, "built" and
 * "recipe" are null.  A new reference. */
int release_info(const struct release *r, json_t **ret, struct err *e);
/* The root directory with this device and inode is which release of ours?  1 found. */
int release_by_inode(const struct store *s, dev_t dev, ino_t ino, char **ret_template, char **ret_name,
		     struct err *e);
/* Jails whose files are of it. */
int release_starters(const struct store *s, const char *template, const char *name, struct strv *ret,
		     struct err *e);
/* Jails that need it: they start or run on it, are on the way to or from it, or have a conflict that began
 * with it. */
int release_users(const struct store *s, const char *template, const char *name, struct strv *ret,
		  struct err *e);

/* Progress of a long operation: what is being done, how far (0..total, total 0: unknown).  May be NULL. */
struct progress {
	void (*step)(void *ctx, const char *what);
	void (*at)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
};

struct recipe {
	char *source;         /* dir:PATH tar:FILE oci:DIR[:TAG] debian:SUITE[,PKG...] cmd:COMMAND busybox */
	struct strv overlays; /* directories copied over the tree, in order */
	char *rules;          /* file with the rules of the split; NULL: the installed default */
	bool
	    resume; /* begin with the tree that the last, failed build kept; what is missing above is that one's */
};
struct release_want {
	const char *name; /* NULL: today's date, ".1" ... when taken */
	bool set_current;
	const struct progress *pr;
};
/* Builds a release aside and publishes it.  *ret_name: the release's name, the caller frees. */
int release_build(const struct store *s, const char *template, const struct recipe *recipe,
		  const struct release_want *want, char **ret_name, struct err *e);
/* Removes what interrupted builds and removals left of one template (NULL: of all), unless its builder
 * still lives. */
int release_tidy(const struct store *s, const char *template, struct err *e);
/* Trees that failed builds kept (template/kept.h): those that are so old go; *ret_n of them did. */
#define KEPT_SECONDS (7 * 86400)
int release_tidy_kept(const struct store *s, int64_t seconds, size_t *ret_n, struct err *e);
/* Templates with one. */
int release_kept(const struct store *s, struct strv *ret, struct err *e);
/* What builds of debian: keep below BASE/cache: all of it goes. */
struct release_cleaned {
	size_t packages;
	uint64_t bytes; /* of packages, and of lists of mirrors */
};
int release_clean_cache(const struct store *s, struct release_cleaned *ret, struct err *e);
struct release_check {
	const struct progress *pr;
	/* gets one line per difference ("usr/bin/x: mode 0755, was built as 0555") */
	void (*say)(void *ctx, const char *path, const char *what);
	void *ctx;
	size_t diffs; /* how many there were */
	size_t
	    cached_only; /* files whose file system has no direct I/O (open(2), O_DIRECT): they were read through
			     * the page cache only, the others past it as well */
};
/* Checks every file against the manifest: type, mode, owner, size, SHA-256, link target; also what is there
 * and should not be. */
int release_verify(const struct release *r, struct release_check *c, struct err *e);
/* Before anything of its skeleton is put into a jail: are all names in it there with the types, owners, modes, sizes
 * and targets that they were built with, and the contents, as who copies them would read them?  part: only the
 * contents of these paths of the skeleton; NULL: all.  -EBADMSG: no, and the message has the first difference.  A
 * release made by hand has no manifest: 0. */
struct release_part {
	bool (*wanted)(void *ctx, const char *path);
	void *ctx;
};
int release_verify_skel(const struct release *r, const struct release_part *part, struct err *e);
/* Refused (-EBUSY, naming the jails) while a jail uses it or it is current with other releases left.  Whether one
 * does and the removal are one step for those who hold the registry's lock; an upgrade or a rollback holds the
 * template's lock "upgrade" from before it looks for its release, and so does the caller. */
int release_remove(const struct store *s, const char *template, const char *name, struct err *e);

#endif
