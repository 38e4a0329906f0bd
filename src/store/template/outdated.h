/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the mirrors have that is newer than a release of a debian: source.  The host's apt-get(8) is run with
 * the release's apt sources, keys, preferences and dpkg status, and with lists and caches of its own in
 * BASE/cache/apt/KEY (apt.conf, lists, ...), so that it changes nothing of the release or the host.  KEY is
 * a digest of the sources: templates with the same ones share the lists.
 */
#ifndef BRIG_STORE_TEMPLATE_OUTDATED_H
#define BRIG_STORE_TEMPLATE_OUTDATED_H

#include "store/template/packages.h"

struct outdated {
	struct newer {
		char *package;
		char *current;   /* NULL: not in the release */
		char *candidate; /* NULL: would not be in a new one */
	} * v;
	size_t n, cap;
};
void outdated_free(struct outdated *o);
/* Is the release built from a debian: source? */
bool outdated_applies(const struct release *r);
/* Downloads lists that have changed. */
int release_outdated(const struct store *s, const struct release *r, const struct progress *pr,
		     struct outdated *ret, struct err *e);
/* Parses the output of `apt-get -s dist-upgrade`; changes text. */
void outdated_parse(char *text, struct outdated *ret);

#endif
