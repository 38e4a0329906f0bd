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
	int want_jid;         /* 0: spec->jid, or the next free one */
	bool foreign_group;   /* the control group of that name is somebody else's: not to be taken away */
	/* A jail that is made beside the running one whose place it takes (switch.c): */
	const struct os_ref *keep;
	const struct jailspec *keep_made;
};

struct step {
	const char *name;
	int (*up)(struct ctx *c, struct err *e);
	int (*down)(struct ctx *c, struct err *e);
	bool kept; /* stays as it is when another instance takes the jail's place */
};
extern const struct step run_steps[];
extern const size_t run_steps_len;

/* start.c */
#define STEPS_LOCK_MS 30000 /* how long a command waits for the jail */
int steps_up(struct ctx *c, struct err *e);
int steps_down(struct ctx *c, size_t n, struct err *e); /* backwards from step n (exclusive) */
void steps_free(struct ctx *c);
/* Under the jail's lock. 1: it runs (*ret), 0: it does not, and nothing is left of it. */
int steps_settle(const struct store *s, const char *name, struct state *ret, struct err *e);
/* c->st as a start begins it, from c->spec and c->record; without the JID. */
int steps_state(struct ctx *c, struct err *e);
/* What a jail of this specification must have before anything is made. */
int steps_check(const struct store *s, const struct jailspec *spec, const struct os_id *id, struct err *e);

/* hooks.c: the commands of one exec.* step, on the host or in the jail, each with exec.timeout. */
int hooks_run(struct ctx *c, enum spec_exec which, struct err *e);
int hooks_health(struct ctx *c, struct err *e);
/* Commands that make anew what follows from the release (rules `regenerate`); a failing one is only said. */
int hooks_regenerate(struct ctx *c, struct err *e);
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

#endif
