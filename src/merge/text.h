/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three-way merge of text by lines.  Pure: bytes in, bytes out, no system calls; hostile input is expected
 * (one of the three texts belongs to a jail).
 *
 * A line ends with '\n'; the last one may lack it, which counts as a difference of that line.  Lines are
 * matched by a shortest edit script (Myers 1986) of base against each side; regions that both sides changed
 * are conflicts unless both made the same change.  As in diff3(1), changes of lines that touch each other
 * (no unchanged line between) overlap.
 *
 * Bounded: a side larger than TEXT_MAX bytes or with a NUL byte in it is not text (TEXT_BINARY).  Where the
 * shortest script would cost more than TEXT_COST steps a longer one is taken (never a wrong one).
 */
#ifndef BRIG_MERGE_TEXT_H
#define BRIG_MERGE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define TEXT_MAX (4u << 20)
#define TEXT_COST (1u << 24)

struct text {
	const char *s;
	size_t len;
};

/* No NUL byte and not larger than TEXT_MAX. */
bool text_is_text(struct text t);

/* What is merged: two texts, and the one that both were made from. */
struct text_sides {
	struct text ours, base, theirs;
};

/* Names of the sides in markers; NULL: "yours", "original", "new" (etcupdate's). */
struct text_labels {
	const char *ours, *base, *theirs;
};

enum text_result { TEXT_CLEAN, TEXT_CONFLICT, TEXT_BINARY };
#define TEXT_IDS 1 /* a change of nothing but version ids does not count, see below */
/*
 * TEXT_CLEAN: *out is the merged text.  TEXT_CONFLICT: *out is the text with every overlap as
 *	<<<<<<< OURS / lines / ||||||| BASE / lines / ======= / lines / >>>>>>> THEIRS
 * and *ret_conflicts (may be NULL) their number.  TEXT_BINARY: *out is untouched.  out is appended to.
 *
 * TEXT_IDS: a line that differs between base and a side only inside version-id keywords ($FreeBSD...$,
 * $Id...$, $NetBSD...$, $OpenBSD...$, $Header...$, $Revision...$, $Date...$, $Author...$, $Source...$) counts
 * as unchanged on that side; where the line stands in the result it is as theirs has it, if theirs has it.
 * A keyword is "$Id$", "$Id:$" or "$Id: ... $": "$Source:dir:$HOME" of a script is none.
 */
enum text_result text_merge(const struct text_sides *t, int flags, const struct text_labels *l,
			    struct buf *out, size_t *ret_conflicts);

/* Two texts without a base, diff3-like markers without the middle part: etcupdate's
 * "<<<<<<< (local)" / "=======" / ">>>>>>> (stock)".  Common lines stay outside the markers.  Nothing is
 * appended when one of them is not text. */
void text_conflict2(struct text ours, struct text theirs, const char *ours_label, const char *theirs_label,
		    struct buf *out);

/* Unified diff (diff -u) with context lines, appended to out; nothing when equal.  "\ No newline at end of
 * file" and "Binary files A and B differ" as diff(1) has them. */
void text_unified(struct text a, struct text b, const char *a_label, const char *b_label, unsigned context,
		  struct buf *out);

/* Does any line start with 7 of '<', '|', '=' or '>' and a blank (or, for '=', the end of the line)? */
bool text_has_markers(struct text t);

/* Equal when differences inside $FreeBSD...$ are left out: diff -q -I '\$FreeBSD.*\$'.  That is GNU diff's
 * rule: each group of changed lines consists only of lines that match on both sides. */
bool text_same_but_freebsd_id(struct text a, struct text b);
/* The same for all keywords of TEXT_IDS, and line by line: equal when every line is, keywords aside. */
bool text_same_but_ids(struct text a, struct text b);
/* etcupdate -F: ours with its only line that has $FreeBSD...$ taken from theirs'.  false (out untouched)
 * when ours or theirs has none or more than one, or it is the same already. */
bool text_replace_freebsd_id(struct text ours, struct text theirs, struct buf *out);

#endif
