/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jails as a whole: create, destroy, start, stop, recover.  Between the commands and store/, os/.
 *
 * Starting is a table of steps walked forwards; stopping, a failed start and the recovery after a killed
 * command are the same table walked backwards (steps.h).  Several jails: run_many() goes by `depend`, each
 * jail in a process of its own.
 */
#ifndef BRIG_RUN_RUN_H
#define BRIG_RUN_RUN_H

#include "base/interrupt.h"
#include "conf/conf.h"
#include "os/exec.h"
#include "os/watch.h"
#include "store/template/release.h"
#include "store/jailspace/space.h"
#include "store/record/record.h"
#include "store/record/state.h"

/* The caller: where messages go, and what interrupts it.  Any field may be NULL. */
struct run_caller {
	void (*note)(void *ctx, const char *jail, const char *text); /* -v: "exec.start: /bin/sh /etc/rc" */
	void (*warn)(void *ctx, const char *jail, const char *text);
	void *ctx;
	const struct interrupt *in; /* obeyed between two steps; going back and recovery never are */
};

void run_warn(const struct run_caller *who, const char *jail, const char *text); /* who NULL: nobody listens */

/* Makes the record and the jailspace of a jail, with template and space of its specification.  A jailspace
 * without a record (the Handbook's steps by hand) is adopted: it only gets a record.  After an interruption
 * or a kill -9 the same call finishes; after an error nothing is left over.  A jail that exists, but has host
 * ids that another jail has, too, gets new ones (record/ids.h). */
enum { RUN_CREATE_MADE, RUN_CREATE_ADOPTED, RUN_CREATE_EXISTED, RUN_CREATE_NEW_IDS };
int run_create(const struct store *s, const struct jailspec *spec, const struct progress *pr, struct err *e);
/* `brig run`: names begin with RUN_PREFIX, and the command holds the lock RUN_LOCK of the name as long as it
 * lives. run_remove_ephemeral() removes jails whose command has died before it started them. */
#define RUN_PREFIX "run-"
#define RUN_LOCK "run"
int run_create_ephemeral(const struct store *s, const struct jailspec *spec, struct err *e);
int run_remove_ephemeral(const struct store *s, struct err *e);
/* Refused (-EBUSY) while it runs, and (-EXDEV) while anything is mounted in it.  Removes jailspace, mount
 * point, record, console log, run files.  What the administrator gave (space = DIR, image:FILE) stays; a
 * device, and the directory of a jail without a template, always stay.  spec NULL: it is not in the
 * configuration. -ENOENT: there is nothing of that name. */
int run_destroy(const struct store *s, const char *name, const struct jailspec *spec, struct err *e);
/* The same, and removes space = DIR or image:FILE, too. */
int run_destroy_all(const struct store *s, const char *name, const struct jailspec *spec, struct err *e);

/* A running jail: what it was made of, and on what its services listen. */
struct run_was {
	struct jailspec *made; /* NULL: it did not run */
	struct os_sockets listened;
};
/* 1: it runs, 0: it does not. */
int run_was(const struct store *s, const char *name, struct run_was *ret, struct err *e);
void run_was_free(struct run_was *w);

struct run_start_opts {
	bool ephemeral; /* brig run */
	const struct os_exec
	    *command;    /* run instead of spec->exec[EXEC_COMMAND], ours to wait for; NULL none */
	int *ret_status; /* its wait status */
	/* What it was, if it ran and was stopped only for this start (STOP_RETURNS).  If it does not start, it is started
	 * as it was; so it is when a release that waited for this start does not listen where its services did. */
	const struct run_was *before;
	bool *ret_back; /* set when it runs again as it was, or on the release that it came from; NULL: not asked */
};
/*
 * 0: started, 1: it was running already, RUN_DEGRADED: started, but without services that exec.start could not
 * start (a warning names them).  A change that waits for this start (upgrade --no-restart, or an interrupted one) is
 * carried out; if the jail does not come up on the new release, it is started on the old one.
 */
#define RUN_DEGRADED 2
int run_start(const struct store *s, const struct jailspec *spec, const struct run_start_opts *o,
	      const struct run_caller *who, struct err *e);
#define STOP_FORCE 1 /* jail -R: no hooks, no waiting */
/* It is to be started again: a mark says so until it was, also after this command is killed.  A stop that
 * fails leaves the jail running, or starts it as it was. */
#define STOP_RETURNS 2
/* 0: stopped, 1: it was not running.  spec NULL: the recorded parameters are used. */
int run_stop(const struct store *s, const char *name, const struct jailspec *spec, int flags,
	     const struct run_caller *who, struct err *e);
/* What a running jail was made of; the caller frees *ret.  1: it runs, 0: it does not. */
int run_made_of(const struct store *s, const char *name, struct jailspec **ret, struct err *e);
/* What a start or a stop would do, a line each; nothing is changed. */
int run_start_plan(const struct store *s, const struct jailspec *spec, bool restart, struct strv *ret,
		   struct err *e);
int run_stop_plan(const struct store *s, const char *name, const struct jailspec *spec, struct strv *ret,
		  struct err *e);

/* By name (or JID). */
bool run_is_running(const struct store *s, const char *name);

/* Recovery: cleans up after killed commands and jails that ended by themselves, and finishes or takes back
 * interrupted upgrades, rollbacks and merges.  Jails that another command works on are left to it.  leave:
 * names of jails that are not to be started again, because they are to be stopped ("*": none is started);
 * NULL: all are. */
struct run_recovered {
	struct strv cleaned; /* names of jails that were cleaned up after */
	struct strv said;    /* "NAME: what was finished" */
	struct strv restart; /* jails that a killed command had stopped: run_start() */
	struct strv failed;  /* "what jail NAME: why": the others can be used, that one refuses to start */
};
/* A jail of `restart` could not be started: its mark is removed, so that no other command tries it. */
int run_give_up_restart(const struct store *s, const char *jail, struct err *e);
int run_recover(const struct store *s, const struct strv *leave, struct run_recovered *ret, struct err *e);

/*
 * Rollback data of one jail that no rollback will use (change_useless()): it goes, out of the record first.  spec NULL:
 * it is in no configuration, and only what can not be used is looked for, whatever its number and age.  dry: it is only
 * counted.  -EBUSY: another command works on the jail or upgrades its template, or a change of it is not finished;
 * nothing is done.
 */
struct run_tidied {
	size_t changes; /* that the record does not list any more */
	uint64_t bytes; /* on disk: theirs, and of changes that it did not list before */
	char *in_use;   /* the volume of a running jail: what lies in it goes with its next change, or is tidied when it is
			 * stopped; NULL */
};
int run_tidy(const struct store *s, const char *name, const struct jailspec *spec, bool dry, struct run_tidied *ret,
	     struct err *e);
void run_tidied_free(struct run_tidied *t);
/* What is kept of a jail for a rollback, without a lock.  size: also how much that is; of a volume, which is mounted for
 * none, what lies beside it. */
struct run_kept {
	size_t changes;
	struct strv to;    /* releases that it can go back to, the last one first */
	uint64_t bytes;    /* on disk */
	char *not_counted; /* the volume, or NULL */
};
int run_kept(const struct store *s, const char *name, const struct jailspec *spec, bool size, struct run_kept *ret,
	     struct err *e);
void run_kept_free(struct run_kept *k);

/*
 * Many jails in the order of `depend` (reverse when stopping).  Each runs work() in a forked process (one alone in
 * ours); done() is called here, in the order of finishing, r as from work().  A jail whose dependency failed is not
 * tried (-ECANCELED), nor is one whose turn had not come when `in` was interrupted (-EINTR).
 */
struct run_job {
	const char *label;
	const struct strv *depend;
};
struct run_batch {
	const struct run_job *jobs;
	size_t n;
	bool reverse;
	bool keep_going; /* one whose dependency failed is tried all the same */
	int parallel;    /* at most so many at a time; 0: CPUs x 4 */
	const struct interrupt *in;
	int (*work)(void *ctx, const char *label, struct err *e);
	void (*done)(void *ctx, const char *label, int r, long ms, const struct err *e);
	void *ctx;
};
/* The number that failed or were not tried. */
int run_many(const struct run_batch *b);

#endif
