/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one place that says what a name may look like: jails, templates, releases.  A name becomes a path
 * component, an argument and part of other names, so: letters, digits, '.', '_', '-'; the first a letter or
 * digit; at most 63 bytes; no "..", no '.' at the end.
 */
#ifndef BRIG_BASE_NAME_H
#define BRIG_BASE_NAME_H

#include <stdbool.h>

#include "base/err.h"

#define NAME_MAX_LEN 63

bool name_ok(const char *name);
/* -EINVAL with "what 'name': reason", the name made printable. */
int name_check(const char *what, const char *name, struct err *e);
/* Makes text from outside fit for a terminal: every byte outside 0x20-0x7e becomes \xNN, a backslash \\.  At
 * most max bytes of s are shown, then "...".  The caller frees. */
char *text_printable(const char *s, size_t max);

#endif
