/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree that the source of a failed build has made, for `template build --resume`:
 *
 *	templates/.kept/TEMPLATE/root		the tree as the source made it: no overlay, not split
 *	templates/.kept/TEMPLATE/build.json	recipe, warnings, image
 *
 * During a build it is TEMPLATE/.new.XXXX.kept, made of hard links: overlays and the split replace files and
 * do not write into them (split.c copies a file before it edits it).  It is synced before it is renamed to
 * templates/.kept/TEMPLATE, and renamed again before it is removed, so a tree of that name is complete.
 * Everything is done under the template's lock.
 */
#ifndef BRIG_STORE_TEMPLATE_KEPT_H
#define BRIG_STORE_TEMPLATE_KEPT_H

#include "store/template/build.h"

/* Is the tree of this source kept?  Of those that take long to make. */
bool kept_wanted(const char *source);

struct kept {
	struct recipe recipe;
	struct strv warnings;
	struct source_image image;
};
void kept_free(struct kept *k);
/* -ENOENT: nothing is kept. */
int kept_read(const struct store *s, const char *template, struct kept *ret, struct err *e);
/* Links its tree into root_fd, which is empty. */
int kept_take(const struct store *s, const char *template, int root_fd, struct err *e);

/* Makes template_fd/name, a copy of root_fd by hard links, with its description. */
int kept_make(int template_fd, const char *name, int root_fd, const struct kept *k, struct err *e);
/* Renames it to templates/.kept/TEMPLATE, in place of an older one. */
int kept_name(const struct store *s, const char *template, int template_fd, const char *name, struct err *e);
/* Removes the kept tree of a template, if there is one. */
int kept_drop(const struct store *s, const char *template, struct err *e);

#endif
