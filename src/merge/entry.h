/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three-way merge of the account files by entry: passwd(5), group(5), shadow(5), gshadow(5) and FreeBSD's
 * master.passwd(5).  Pure; hostile input is expected.
 *
 * An entry is known by its name (first field).  For each name: added by one side -> there; removed by one
 * side and unchanged by the other -> gone; changed by one side -> that; by both -> field by field, and the
 * member and administrator lists of group and gshadow as sets (three-way; added by both: all of both).  The
 * date of shadow's password is that of the side that changed the password, otherwise ours' if ours changed
 * it; a change of the date alone does not count where the other side removed the entry.  Order: ours', new
 * entries of theirs after the entry they follow there, but before NIS lines ("+", "-").  Comments and blank
 * lines are ours', theirs' new ones are not taken; NIS lines are merged as wholes.  The end of a line ("\n",
 * "\r\n", none at the end of the file) is no part of it and is as ours has it.  Of entries with one name the
 * first counts, as for getpwnam(3); the others are not in the result, nor is a malformed line twice.
 *
 * A conflict, which leaves the whole file alone: both sides changed one field differently; one side changed
 * an entry that the other removed; both added the name with different contents; an id that an entry has from
 * theirs (new, or with a new id) is another entry's in the result, unless theirs itself has it for both; a
 * line of theirs or base that is not an entry of the format (wrong number of fields, an id that is not a
 * number below 2^32 - 1, a blank before the name).  A malformed line of ours is kept as it is, unless it has
 * the name of an entry that theirs changes or adds; its id is taken, if it has one.
 */
#ifndef BRIG_MERGE_ENTRY_H
#define BRIG_MERGE_ENTRY_H

#include "merge/text.h"

enum entry_format {
	ENTRY_NONE,
	ENTRY_PASSWD,        /* name:pw:uid:gid:gecos:home:shell */
	ENTRY_MASTER_PASSWD, /* name:pw:uid:gid:class:change:expire:gecos:home:shell */
	ENTRY_GROUP,         /* name:pw:gid:members */
	ENTRY_SHADOW,        /* name:pw:last:min:max:warn:inactive:expire:reserved */
	ENTRY_GSHADOW,       /* name:pw:admins:members */
};
/* By the path in a skeleton: "etc/passwd" ...; ENTRY_NONE for anything else. */
enum entry_format entry_format_of(const char *path);

/*
 * As text_merge().  TEXT_CLEAN: *out.  TEXT_CONFLICT: *out is the merged file with, for each entry in
 * conflict, the three forms between markers (an absent one is no line), and *why (may be NULL; the caller
 * frees) one line of text for people: "uid 120 of new user _x is taken by joe", names cut and made
 * printable.  TEXT_BINARY: not text, or ENTRY_NONE.
 */
enum text_result entry_merge(enum entry_format f, const struct text_sides *t, const struct text_labels *l,
			     struct buf *out, char **why);

#endif
