/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What jail(8) does to a set of jails: create, modify, remove, restart, with its order, messages and exit
 * status. cmd_jail.c makes the set from the command line; jailop.c carries it out.
 */
#ifndef BRIG_CLI_JAILOP_H
#define BRIG_CLI_JAILOP_H

#include "cli/cli.h"
#include "run/run.h"
#include "store/record/state.h"

enum jail_act {
	ACT_NONE,    /* nothing to do: a jail of a wildcard that is in the wanted state */
	ACT_CREATE,  /* -c */
	ACT_REMOVE,  /* -r */
	ACT_MODIFY,  /* -m: what can be changed while it runs; anything else is refused */
	ACT_REPLACE, /* -mr: changed, with a restart when that is needed */
	ACT_RESTART, /* -rc */
};

struct jail_job {
	char *key; /* the label, or the name of a running jail: what messages call it */
	enum jail_act act;
	struct jailspec *spec; /* NULL: a running jail that the configuration does not have */
	struct state st;
	bool running;
	struct run_was was; /* ACT_RESTART */
	bool partial; /* only what mentioned names is to be changed (words with -m) */
	struct strv mentioned;
	bool alone; /* on the command line: it goes by what it recorded */
};

struct jailop {
	struct cli *cli;
	struct jail_job *job;
	size_t n, cap;
	bool quiet;        /* -q, -i */
	bool note_created; /* "NAME: created": jails of a file, or -v */
	bool note_removed;
	bool print_jid; /* -i */
	bool force;     /* -R */
	int parallel;   /* -p */
	FILE *jid_file; /* -J */
	char **command; /* argv of command=..., for the one jail of a command line */
	int status;     /* 1 once something failed */
};

/* Adds a job; what is known about a running jail of that name is looked up.  The specification is taken. */
struct jail_job *jailop_add(struct jailop *o, const char *key, struct jailspec *spec);
struct jail_job *jailop_find(const struct jailop *o, const char *key);
/* Decides with jail(8)'s rules; create, modify, remove: the letters given.  wild: part of a group, so that a
 * jail which is in the wanted state is no error. */
void jailop_decide(struct jailop *o, struct jail_job *j, bool create, bool modify, bool removes, bool wild);
/* Does it all.  Returns the exit status. */
int jailop_run(struct jailop *o);
void jailop_free(struct jailop *o);

/* A jail's parameters as jail -e and -J write them. */
void jail_put_params(struct buf *b, const struct jailspec *s, const char *sep, int jid);

#endif
