/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of template/ share for building releases; not for the rest of brig. */
#ifndef BRIG_STORE_TEMPLATE_BUILD_H
#define BRIG_STORE_TEMPLATE_BUILD_H

#include "store/template/release.h"

#define BUILD_PREFIX ".new" /* templates/TEMPLATE/.new.XXXX: being built */
#define OLD_PREFIX ".old"   /* being removed */

/* release.c */
bool release_name_ok(const char *name);
char *release_skel_link(const char *template); /* "skel", "skel.TEMPLATE": its name in j/ */
int release_template_dir(const struct store *s, const char *template, int *ret, struct err *e);

/* remove.c: the caller holds the template's lock. */
int release_tidy_locked(int template_fd, const char *template, struct err *e);

/* The image that oci: unpacked, for release.json.  NULL for other sources; the caller of source_fill()
 * frees. */
struct source_image {
	char *digest; /* "sha256:..." of its manifest */
	char *tag;    /* or NULL */
};

/* build.c: for release.json and its like. */
json_t *json_strings(const struct strv *v);
json_t *json_image(const struct source_image *image); /* NULL where the source is none */

/* source.c */
struct source_place {
	const struct store *store;
	const char *template;
	int dir_fd;       /* the release directory being filled */
	const char *path; /* its absolute path */
	int root_fd;
	const struct progress *pr;
	struct strv *warnings; /* what was left out; goes into release.json */
	struct source_image *image;
};
/* Checks a source, as far as that is possible before the build, and makes it independent of the working
 * directory: "dir:x" -> "dir:/cwd/x".  The caller frees *ret. */
int source_resolve(const char *source, char **ret, struct err *e);
int source_fill(const struct source_place *at, const char *source, struct err *e);
/* overlay.c.  Copies a directory over the tree: files replace files and links, directories are merged. */
int source_overlay(const struct source_place *at, const char *dir, struct err *e);
/* early.c.  An error if a link of the overlays leads nowhere, as far as can be known before the tree is
 * made. */
struct early {
	const struct store *store;
	const char *template, *source; /* resolved */
	const struct strv *overlays;   /* resolved */
	const struct rules *rules;
};
int overlays_check(const struct early *b, struct err *e);
/* The packages named in "debian:SUITE,a,b". */
void source_packages(const char *source, struct strv *ret);
void build_step(const struct progress *pr, const char *what);

/* debian.c, busybox.c, unpack.c: the larger sources. */
int debian_fill(const struct source_place *at, const char *spec, struct err *e);
/* The entries for suite in apt's sources in etc_apt ("/etc/apt"), in apt's two forms. */
void debian_sources(const char *etc_apt, const char *suite, struct buf *ret_list, struct buf *ret_sources);
/* Our environment for apt and mmdebstrap: their messages in English, the proxy of the host's apt. */
void debian_env(struct strv *ret);
int busybox_fill(const struct source_place *at, struct err *e);
/* Unpacks the archive that in_fd reads into the tree, by brig-import. */
int import_archive(const struct source_place *at, int in_fd, struct err *e);
/* The same in steps, for oci.c, which answers the program meanwhile: its report becomes readable when it
 * ends. import_finish() must follow; it says what went wrong. */
struct import_child {
	pid_t pid;
	int report;
	char *program;
};
int import_start(const struct source_place *at, int in_fd, const char *mode, const char *arg,
		 struct import_child *ret, struct err *e);
void import_kill(const struct import_child *c);
int import_finish(struct import_child *c, struct err *e);

/* Runs a command that fills the tree, contained (os_contained_start); its output goes to the log
 * LOG/template-NAME.log. On failure the message is its last line of output that says something. */
int source_run(const struct source_place *at, char *const *argv, char *const *envp, struct err *e);

#endif
