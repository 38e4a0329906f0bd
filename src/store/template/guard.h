/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a jail's data need of the release that it is brought to: the rules guard, guard-format and guard-enabled
 * (brig-template(5), "Guards").  Of the jail only names are looked at, and the beginning of small files; all of it
 * may be hostile, and there are bounds.
 */
#ifndef BRIG_STORE_TEMPLATE_GUARD_H
#define BRIG_STORE_TEMPLATE_GUARD_H

#include "store/template/packages.h"
#include "store/template/split.h"

/* The rules about one release, read once for all jails. */
struct guards {
	struct rules own,
	    installed; /* the release's; those of the installed rules that it does not have are added */
	struct packages packages;
	bool loaded;
};
int guards_load(struct guards *g, const struct release *to, struct err *e);
void guards_free(struct guards *g);

struct guard_note {
	bool
	    holds; /* the jail must not be brought to the release; else: its data will be converted, and not back */
	char *data; /* the directory of data, as in the jailspace */
	char *text; /* for people */
};
struct guard_notes {
	struct guard_note *v;
	size_t n, cap;
	struct strv data; /* all directories of data that guards are about and the jail has */
};
void guard_notes_free(struct guard_notes *n);
/* What the data in the jailspace need of release `to` and do not have there; what `from`, the release that they are on,
 * does not have either is no reason. */
int guards_look(const struct guards *g, const struct release *from, const struct release *to, int space_fd,
		struct guard_notes *ret, struct err *e);

#endif
