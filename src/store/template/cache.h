/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What builds of debian: sources keep below BASE/cache (0700).  All of it can be downloaded again:
 *
 *	cache/packages/NAME.deb	packages (data/debian-packages), by apt's name of the file
 *	cache/apt/KEY/		lists of the mirrors (outdated.c), one directory for each set of sources
 *
 * A file in packages is whole, and only ever linked and removed, so builds need no lock to use it.
 */
#ifndef BRIG_STORE_TEMPLATE_CACHE_H
#define BRIG_STORE_TEMPLATE_CACHE_H

#include "store/template/release.h"

#define CACHE_PACKAGES_MAX (1ull << 30) /* bytes; what was not used for longest goes first */
#define CACHE_LISTS_SECONDS (30 * 86400)

/* Makes BASE/cache/NAME and opens it. */
int cache_open(const struct store *s, const char *name, int *ret_fd, struct err *e);
/* Removes packages until at most max bytes are left, and what killed builds left. */
int cache_trim(const struct store *s, uint64_t max, struct release_cleaned *ret, struct err *e);
/* Removes lists that were not used for so long. */
int cache_trim_lists(const struct store *s, int64_t seconds, struct release_cleaned *ret, struct err *e);

#endif
