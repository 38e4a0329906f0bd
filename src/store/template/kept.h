/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of a build that failed after its source was there, for a second try (`template build --resume`):
 *
 *	templates/.kept/TEMPLATE/root		the tree as the source made it: no overlay, not split
 *	templates/.kept/TEMPLATE/build.json	recipe, warnings, image
 *
 * While a build goes on it is TEMPLATE/.new.XXXX.kept, made of hard links: overlays and the split replace files and do
 * not write into them (split.c makes a copy of one that it edits).  It is synced before it gets its name, and
 * loses its name before it is emptied, so what is there is whole.  Everything is done under the template's lock.
 */
#ifndef BRIG_STORE_TEMPLATE_KEPT_H
#define BRIG_STORE_TEMPLATE_KEPT_H

#include "store/template/build.h"

/* Is what this source makes worth keeping: does it take long to make again? */
bool kept_wanted(const char *source);

struct kept {
	struct recipe recipe;
	struct strv warnings;
	struct source_image image;
};
void kept_free(struct kept *k);
/* -ENOENT: nothing is kept. */
int kept_read(const struct store *s, const char *template, struct kept *ret, struct err *e);
/* Its tree into root_fd, which is empty. */
int kept_take(const struct store *s, const char *template, int root_fd, struct err *e);

/* Makes template_fd/name of root_fd. */
int kept_make(int template_fd, const char *name, int root_fd, const struct kept *k, struct err *e);
/* That becomes the template's, in place of an older one. */
int kept_name(const struct store *s, const char *template, int template_fd, const char *name, struct err *e);
/* The one of a template, if there is one, goes. */
int kept_drop(const struct store *s, const char *template, struct err *e);

#endif
