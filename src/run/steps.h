/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that happens to a jail as a whole is made of steps: one constant table (steps.c).
 *
 * A walk (walk.h) is a list of moves over it: up does a step, down removes what it made.  So one function
 * makes each thing and one removes it, and the latter is called at every stop, after every failure and in
 * every recovery.  Every down function can be repeated, and succeeds when there is nothing to remove.
 *
 * What a step belongs to decides where it is in a walk:
 *
 *	OF_CHANGE	the jail's release and files (store/change/change.h)
 *	OF_NETWORK	what stays when another instance takes the jail's place in the same network
 *	OF_PLACE	name, JID and state: handed over then
 *	OF_INSTANCE	the first process and all that runs under it
 */
#ifndef BRIG_RUN_STEPS_H
#define BRIG_RUN_STEPS_H

#include "os/os.h"
#include "run/files.h"
#include "run/run.h"

enum step_id {
	STEP_MARK,
	STEP_PREUPGRADE,
	STEP_INTEND,
	STEP_STAGE,
	STEP_DECIDE,
	STEP_PREPARE,
	STEP_CLAIM,
	STEP_LIMITS,
	STEP_PRESTART,
	STEP_CREATE,
	STEP_NETWORK,
	STEP_REDIRECT,
	STEP_NAMES,
	STEP_LISTEN,
	STEP_CREATED,
	STEP_WATCH,
	STEP_SOCKETS,
	STEP_KEEP,
	STEP_FILES,
	STEP_HOOKS,
	STEP_UPGRADE,
	STEP_START,
	STEP_COMMAND,
	STEP_SERVICES,
	STEP_HEALTH,
	STEP_LISTENING,
	STEP_POSTSTART,
	STEP_HOOKS_AFTER,
	STEP_POSTUPGRADE,
	STEP_RUNNING,
	STEP_MEASURE,
	STEP_FINISH,
	STEP_N
};

/* One instance of a jail: the one that runs, or the one that is being made. */
struct instance {
	const struct store *s;
	const struct jailspec *spec;       /* what the configuration says now: hooks, time limits */
	const struct jailspec *made;       /* what it was started with: what is there to take away */
	const struct run_start_opts *opts; /* never NULL */
	const struct run_caller *who;
	const struct interrupt *in; /* of the move that is being made: NULL while it must not be interrupted */
	struct os_id id;
	struct state st;
	struct record record;
	struct os_jail *jail; /* while starting */
	bool hooks;           /* a stop by a command: exec.* run, and if exec.prestop fails the jail stays */
	struct strv missing;  /* services that exec.start named as not started */
	int want_jid;         /* 0: spec->jid, or the next free one */
	bool foreign_group;   /* the control group of that name is not brig's: it is not removed */
	const char *from, *to; /* of exec.preupgrade, exec.upgrade, exec.postupgrade: releases; else NULL */
	/* if it is made beside the running instance, whose place it takes: */
	const struct os_ref *keep;
	const struct jailspec *keep_made;
};
void instance_free(struct instance *i);

/* One jail on its walk. */
struct ctx {
	const struct store *s;
	const struct run_caller *who;
	const struct interrupt *in;  /* NULL: going back, recovering */
	struct instance old, next;   /* next.spec: what the configuration says now */
	struct jailspec *made;       /* old.made, where it was read from the state */
	struct record rec;           /* of the jail, with a change */
	struct change change;        /* CHANGE_INIT where there is none */
	bool has_change;             /* `change` is begun or loaded */
	struct switch_to *to;        /* what to begin a change for */
	/* Fills a new change; NULL: by switch_stage(). */
	int (*stage)(struct ctx *c, struct err *e);
	const void *stage_arg;
	struct switch_result *res; /* never NULL in a switch */
	int space;                 /* the jail's files, -EBADF: not open, or in memory */
	bool marked;               /* the mark says that it is to be started again, and outlives the change */
	bool waits;                /* a start was interrupted: a prepared change waits again */
	bool back;                 /* it went back, and runs again as it was */
	struct os_watch *watch;
	struct os_sockets listened; /* on what the services of the old instance did */
	int64_t stopped_us; /* when the old services were told to stop */
	int64_t up_us;      /* when the new ones were up */
};
#define CTX_INIT(store_, who_, name_)                                                                          \
	{                                                                                                      \
		.s = (store_), .who = (who_), .in = (who_) ? ((const struct run_caller *)(who_))->in : NULL,   \
		.old = {.s = (store_), .who = (who_), .opts = &run_plainly, .id = {(store_)->tag, (name_), 0}}, \
		.next = {.s = (store_), .who = (who_), .opts = &run_plainly, .id = {(store_)->tag, (name_), 0}}, \
		.change = CHANGE_INIT, .space = -EBADF                                                         \
	}
extern const struct run_start_opts run_plainly; /* no options */
void ctx_free(struct ctx *c);

enum step_of { OF_CHANGE, OF_NETWORK, OF_PLACE, OF_INSTANCE };
#define NO_HOOK EXEC_N

struct step {
	const char *name, *undo; /* what its two ways are called, for people; undo NULL: nothing to be said */
	enum step_of of;
	bool early;      /* can be done while the old instance has the place */
	bool may_stop;   /* an interrupt is obeyed before it, on the way up */
	bool final;      /* there is no way back from it: when it fails, the next command goes on with it */
	enum spec_exec hook, unhook; /* the commands that it runs, by up or down where it has these; NO_HOOK: none */
	/* the commands that it runs of those that wait in the record: first to end - 1; both 0: none */
	enum pending_kind pending, pending_end;
	/* What it is about for a jail of this specification, a line each; none: nothing to do.  NULL: it always
	 * has something to do, which its name says. */
	void (*about)(const struct jailspec *spec, struct strv *ret);
	int (*up)(struct ctx *c, struct instance *i, struct err *e);
	int (*down)(struct ctx *c, struct instance *i, struct err *e); /* NULL: goes with another step */
};
extern const struct step run_steps[STEP_N];

/* steps_change.c */
int up_mark(struct ctx *c, struct instance *i, struct err *e);
int down_mark(struct ctx *c, struct instance *i, struct err *e);
int up_intend(struct ctx *c, struct instance *i, struct err *e);
int up_stage(struct ctx *c, struct instance *i, struct err *e);
int down_stage(struct ctx *c, struct instance *i, struct err *e);
int up_decide(struct ctx *c, struct instance *i, struct err *e);
int down_decide(struct ctx *c, struct instance *i, struct err *e);
int up_watch(struct ctx *c, struct instance *i, struct err *e);
int down_watch(struct ctx *c, struct instance *i, struct err *e);
int up_keep(struct ctx *c, struct instance *i, struct err *e);
int up_files(struct ctx *c, struct instance *i, struct err *e);
int down_files(struct ctx *c, struct instance *i, struct err *e);
void note_up(struct ctx *c); /* the new services are up: what comes now is no downtime */
int up_measure(struct ctx *c, struct instance *i, struct err *e);
int up_finish(struct ctx *c, struct instance *i, struct err *e);
/* Its files are on a volume (image, device) that only one can have mounted. */
bool on_volume(const struct ctx *c);
/* The mark of this boot says that it is to be started again. */
bool wants_restart(const struct store *s, const char *jail);
/* The change that the record names. */
int ctx_load_change(struct ctx *c, struct err *e);

#define STEPS_LOCK_MS 30000 /* how long a command waits for the jail */

/* listening.c */
int up_sockets(struct ctx *c, struct instance *i, struct err *e);
int up_listening(struct ctx *c, struct instance *i, struct err *e);

/* cleanup.c.  Under the jail's lock. 1: it runs (*ret), 0: it does not, and nothing is left of it. */
int jail_clean_up(const struct store *s, const char *name, struct state *ret, struct err *e);
bool state_is_stale(const struct state *st); /* not that of a running jail */
/* Under the lock.  1: it runs, and c->old is it; spec as in run_stop(). */
int ctx_running(struct ctx *c, const struct jailspec *spec, struct err *e);

/* recover.c.  -EBUSY: an upgrade of its template is under way, which stops and starts the jail itself. */
int lock_against_upgrades(const struct store *s, const char *name, int *ret_lock, struct err *e);

/* instance.c: how an instance begins */
/* st as a start begins it, from spec and record; without the JID. */
int instance_state(struct instance *i, struct err *e);
/* damaged.c, under the jail's lock: takes away a jail whose state is damaged, from what else is known of it.  spec: what
 * the configuration says, or NULL. */
int run_stop_damaged(const struct store *s, const char *name, const struct jailspec *spec,
		     const struct run_caller *who, struct err *e);
/* What a jail of this specification must have before anything is made. */
int instance_check(const struct store *s, const struct jailspec *spec, const struct os_id *id, struct err *e);

/* hooks.c: the commands of one exec.* step, on the host or in the jail, each with exec.timeout. */
extern const char *const hook_names[EXEC_N];
int hooks_run(struct instance *i, enum spec_exec which, struct err *e);
/* exec.start with this status: the jail is of use, but not all of it.  The last line with EXEC_MISSING names what is
 * not there, in i->missing (data/skel/rc). */
#define EXEC_DEGRADED 99
#define EXEC_MISSING "not started:"
int hooks_health(struct instance *i, struct err *e);
/* Commands of the release's rules, in the jail.  Of those that make something anew (`regenerate`) a failing one is only
 * said. */
int hooks_pending(struct instance *i, enum pending_kind kind, const struct strv *commands, struct err *e);

/* root.c: what the jail is made of. */
struct made_of {
	struct release release;
	struct os_root root;
	struct os_init init;
	const char *hostname;
};
/* *m stays where it is until made_of_close(): root.fill_ctx points to it. */
int made_of_open(struct instance *i, struct made_of *m, struct err *e);
void made_of_close(struct made_of *m);
/* The record of the jail (made when a jail of the Handbook's own steps, or one without a template, has none). */
int made_of_record(struct instance *i, struct err *e);
/* The console log of a jail. */
char *console_path(const struct store *s, const struct jailspec *spec);

#endif
