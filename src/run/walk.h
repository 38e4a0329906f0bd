/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A walk: moves over the table of steps (steps.h), worked out from a few facts before anything is done.
 *
 * Start, stop, restart, switch, the parts of an all-at-once upgrade, going back, recovery after a crash and the
 * start of a prepared jail are all made here, by two functions without a system call: walk_make() for what is
 * wanted, walk_back() for what has to be done when that fails or is interrupted at some move.  walk_go() is what
 * carries them out.  A walk can be printed (`brig start -n`) and compared.
 */
#ifndef BRIG_RUN_WALK_H
#define BRIG_RUN_WALK_H

#include "run/steps.h"

enum way { WAY_UP, WAY_DOWN };
enum who { WHO_NEXT, WHO_OLD };

struct move {
	enum step_id step;
	enum way way;
	enum who who;  /* the instance, for steps that belong to one */
	bool may_stop; /* an interrupt is obeyed before it */
};
#define WALK_MAX (4 * STEP_N)
struct walk {
	struct move v[WALK_MAX];
	size_t n;
};

/* What is known before a walk. */
struct walk_facts {
	bool runs;     /* an instance runs (it is "old") */
	bool up;       /* one is to run afterwards ("next") */
	bool returns;  /* if it fails, the jail is started as it was before */
	bool beside;   /* the new instance can be made beside the old one */
	bool volume;   /* the files can be opened only while nothing runs */
	bool mark;     /* the mark says that it is to be started again, from the first move on */
	bool finish;   /* the walk ends the change, or removes the mark */
	bool upgrade;  /* it goes to another release, or did since it last ran: exec.upgrade, exec.postupgrade */
	bool before;   /* and an instance runs on the old one: exec.preupgrade */
	bool intend;   /* only prepares the change: it is staged at the next start */
	bool anew;     /* regenerates files in the instance that keeps running */
	enum {
		FILES_STAY,    /* there is no change of files */
		FILES_NEW,     /* one is to be staged and committed */
		FILES_GO_ON,   /* it is committed, and applied here */
		FILES_DONE,    /* committed and applied: only the finish is missing */
		FILES_BACK,    /* committed to go back: is reverted here */
		FILES_DISCARD, /* committed, but nothing applied yet: is discarded */
	} files;
};
void walk_make(const struct walk_facts *f, struct walk *ret);

/* Where a walk failed: at move number `at`; begun: a part of that move may be done. */
struct walk_failure {
	size_t at;
	bool begun;
	bool old_alive; /* the old instance runs */
	bool unwanted;  /* interrupted: a jail that did not run before is not started as it was */
};
/* The way back; n = 0: nothing has to be taken back. */
void walk_back(const struct walk *w, const struct walk_facts *f, const struct walk_failure *at, struct walk *ret);

/*
 * Carries out a walk.  When a move fails, or c->in is interrupted before a move that obeys it, the way back
 * is walked, which nothing interrupts.  e has the cause and, for a jail that ran, what became of it.
 * c->res->back: it runs again as it was.
 */
int walk_go(struct ctx *c, const struct walk_facts *f, struct err *e);
/* The same for walks that only take down (recovery, a forced stop): every move is tried, the first error is
 * returned. */
int walk_down(struct ctx *c, const struct walk_facts *f, struct err *e);

/* One line a move, for people: "NAME: what it does". */
struct walk_about {
	const struct jailspec *old, *next;
	const struct pending *pending; /* what the rules of the release have run in it */
	const struct strv *data;       /* directories that a copy is kept of; NULL: none */
};
void walk_print(const struct walk *w, const struct walk_about *a, struct strv *ret);

#endif
