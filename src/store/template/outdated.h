/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the mirrors have that is newer than a release of a debian: recipe.  The release's own apt sources, keys and
 * preferences and dpkg's record in it are read by the host's apt-get(8), which has lists and caches of its own in
 * BASE/cache/apt/KEY (apt.conf, lists, ...), so nothing of the release and of the host is touched.  KEY is made of the
 * sources: templates with the same ones share the lists.
 */
#ifndef BRIG_STORE_TEMPLATE_OUTDATED_H
#define BRIG_STORE_TEMPLATE_OUTDATED_H

#include "store/template/packages.h"

struct outdated {
	struct newer {
		char *package, *current, *candidate; /* NULL: not in the release; would not be in a new one */
	} * v;
	size_t n, cap;
};
void outdated_free(struct outdated *o);
/* Is the release made of a debian: recipe? */
bool outdated_applies(const struct release *r);
/* Fetches lists where they have changed. */
int release_outdated(const struct store *s, const struct release *r, const struct progress *pr,
		     struct outdated *ret, struct err *e);
/* What `apt-get -s dist-upgrade` prints. */
void outdated_parse(char *text, struct outdated *ret);

#endif
