/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes text of a jail safe for a terminal, piece by piece: printable ASCII, newline, tab and well-formed
 * UTF-8 pass, anything that a terminal could act upon becomes \xNN: control characters (also U+0080 to
 * U+009F), bytes that are not UTF-8, and the marks that reverse the direction of writing.  A carriage return
 * before a newline is left out.
 */
#ifndef BRIG_CLI_SCREEN_H
#define BRIG_CLI_SCREEN_H

#include "base/mem.h"

/* What waits for its next byte.  All zeros at the beginning. */
struct screen {
	unsigned char part[4];
	size_t have, need;
};
void screen_add(struct screen *v, struct buf *out, const char *p, size_t n);
void screen_end(struct screen *v, struct buf *out); /* what was cut off at the end of the text */

#endif
