/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps of starting a jail, and their undoing.
 *
 * One table (steps.c).  A start walks it forwards.  When a step fails, the steps before it are walked
 * backwards, without hooks.  A stop walks the whole table backwards with hooks.  Recovery after a killed
 * command, a killed first process or a reboot walks it backwards without hooks, from the state alone.  So
 * there is one piece of code that takes each thing away, and it is used every time a jail stops.
 *
 * Every down function is idempotent and succeeds when there is nothing to undo.
 */
#ifndef BRIG_RUN_STEPS_H
#define BRIG_RUN_STEPS_H

#include <signal.h>

#include "run/run.h"

struct ctx {
	const struct store *s;
	const struct jailspec *spec;       /* what the configuration says now: hooks, time limits */
	const struct jailspec *made;       /* what the jail was started with: what is there to take away */
	const struct run_start_opts *opts; /* NULL when stopping */
	const struct run_report *rep;
	struct os_id id;
	struct state st;
	struct record record;
	struct os_jail *jail; /* while starting */
	bool hooks;           /* a stop that was asked for: exec.* run, and their failure ends it */
};

struct step {
	const char *name;
	int (*up)(struct ctx *c, struct err *e);
	int (*down)(struct ctx *c, struct err *e);
};
extern const struct step run_steps[];
extern const size_t run_steps_len;

/* hooks.c: the commands of one exec.* step, on the host or in the jail, each with exec.timeout. */
int hooks_run(struct ctx *c, enum spec_exec which, struct err *e);
int hooks_health(struct ctx *c, struct err *e);
/* root.c: what the jail is made of. */
struct made_of {
	struct release release;
	struct os_root root;
	struct os_init init;
	const char *hostname;
};
/* *m stays where it is until made_of_close(): root.fill_ctx points to it. */
int made_of_open(struct ctx *c, struct made_of *m, struct err *e);
void made_of_close(struct made_of *m);
/* The record of the jail (made when a jail of the Handbook's own steps, or one without a template, has none).
 */
int made_of_record(struct ctx *c, struct err *e);
/* The console log of a jail. */
char *console_path(const struct store *s, const struct jailspec *spec);

/* Set by SIGINT and SIGTERM: no further step is begun. */
extern volatile sig_atomic_t run_interrupted;
void run_catch_signals(void);

#endif
