/* SPDX-License-Identifier: BSD-2-Clause */
/* What the steps of a change need of the files (switch_files.c), and who makes walks of them; not for the rest of
 * brig. */
#ifndef BRIG_RUN_SWITCH_INT_H
#define BRIG_RUN_SWITCH_INT_H

#include "run/switch.h"

/* Where a jailspace is, as struct change keeps it; the caller frees. */
char *space_where(const struct jailspec *spec);
/* Opens it; a volume is mounted for as long as the descriptor lives: only while the jail does not run.
 * *ret_fd -EBADF for one in memory. */
int space_by_where(const struct store *s, const char *jail, const char *where, int *ret_fd, struct err *e);
/* 0 it can be switched, 1 it is on the release, <0 it cannot. */
int switch_check(const struct jailspec *spec, const struct record *rec, const char *release, struct err *e);
/* The intention of an upgrade --no-restart goes: nothing is staged for it. */
int switch_forget_prepared(const struct store *s, const char *jail, struct record *rec, struct err *e);
/* Fills a new change. */
int switch_stage(struct switch_to *to, struct change *c, const struct record *rec, int space_fd,
		 struct err *e);
/* Fills c->regenerate by the rules of the release. */
int switch_regenerate(struct change *c, const struct release *to, int space_fd, struct err *e);
void switch_count(const struct change *c, struct switch_counts *ret);

#endif
