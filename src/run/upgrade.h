/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many jails from one release to another: in which order, how many at a time, and what a failure means for
 * the rest.  One jail is switch.h's.
 */
#ifndef BRIG_RUN_UPGRADE_H
#define BRIG_RUN_UPGRADE_H

#include "run/switch.h"

struct upgrade_jail {
	char *label; /* as the configuration calls it; the list's own */
	struct jailspec *spec;
	struct jailspec *made; /* what it was started with, while it ran; NULL */
	char *from; /* the release that its record names */
	bool running;
	/* upgrade_plan() */
	int planned; /* 0, or -errno: `problem` says why there is no plan */
	struct err problem;
	bool pinned; /* to another release: not an error, it is passed over */
	struct switch_counts counts;
	struct merge_plan plan;
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
	bool
	    details; /* the plans keep every path; otherwise conflicts only (a thousand jails, thousands of paths) */
	struct switch_result *result; /* one a jail, shared with the processes that do the work */
	const struct run_caller *who;
	void (*done)(void *ctx, const struct upgrade_jail *j, const struct switch_result *res,
		     const struct err *e);
	void *ctx;
	bool stop; /* a jail failed: the rest is not tried */
};

/* Adds a jail; spec becomes the upgrade's, label is copied.  1: it is none of this template's, or has no files yet
 * (then spec is freed). */
int upgrade_add(struct upgrade *u, const char *label, struct jailspec *spec, struct err *e);
/* Works out what would happen to each jail, and in which order; canary is set.  Those that are on the release already
 * leave the list. */
int upgrade_plan(struct upgrade *u, struct err *e);
/* Does it.  Returns the number of jails that failed or were not tried. */
int upgrade_run(struct upgrade *u, struct err *e);
void upgrade_free(struct upgrade *u);

#endif
