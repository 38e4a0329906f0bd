/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Switching many jails to another release: in which order, how many at a time, and what a failure means for
 * the rest. Switching one jail is in switch.h.
 */
#ifndef BRIG_RUN_UPGRADE_H
#define BRIG_RUN_UPGRADE_H

#include "run/switch.h"

struct upgrade_jail {
	char *label; /* as the configuration calls it; the list's own */
	struct jailspec *spec;
	struct run_was was; /* --all-at-once: before it was stopped */
	char *from; /* the release that its record names */
	bool running;
	/* upgrade_plan() */
	int planned; /* 0, or -errno: there is no plan, and `problem` says why */
	struct err problem;
	bool pinned; /* to another release: skipped, which is no error */
	bool held;   /* its data need what the release does not have: skipped, which is one */
	struct switch_counts counts;
	struct merge_plan plan;
	struct switch_data_plan data;
	/* upgrade_run() */
	int r; /* 0 done, 1 was on it, <0 failed; -ECANCELED: not tried */
};

struct upgrade {
	const struct store *store;
	const char *template;
	struct switch_to to;
	struct upgrade_jail *jail;
	size_t n;
	int jobs;           /* at a time; 0: one after the other */
	const char *canary; /* goes first and alone; NULL none */
	bool all_at_once;   /* stop all, switch all, start all */
	bool keep_going;
	bool details;                 /* plans keep every path, not only conflicts and what is outside etc */
	struct switch_result *result; /* one a jail, shared with the processes that do the work */
	const struct run_caller *who;
	void (*done)(void *ctx, const struct upgrade_jail *j, const struct switch_result *res,
		     const struct err *e);
	void *ctx;
	bool stop; /* a jail failed: the rest is not tried */
};

/* Replaces or removes something of a jail that is not below etc: the plan says so in any case. */
bool upgrade_is_outside(const struct merge_item *it);
/* Adds a jail; takes spec, copies label.  1: the jail is not of this template or has no files yet (spec is
 * freed). */
int upgrade_add(struct upgrade *u, const char *label, struct jailspec *spec, struct err *e);
/* Plans the switch of each jail, and the order; the canary must be set.  Removes jails that are on the
 * release. */
int upgrade_plan(struct upgrade *u, struct err *e);
/* Switches the jails.  Returns the number of those that failed or were not tried. */
int upgrade_run(struct upgrade *u);
void upgrade_free(struct upgrade *u);

#endif
