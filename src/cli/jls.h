/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The output of jls(8), byte for byte as FreeBSD's: columns, -N, -v, parameters, -h -n -q -s and libxo's
 * JSON.
 *
 * Pure: what is shown comes in as values, what is printed goes into a buffer; cmd_list.c reads and writes.
 * Bytes that a terminal could act upon appear as \xNN in text.  Facts: jls(8); the formats are those of
 * FreeBSD 12 to 14.
 */
#ifndef BRIG_CLI_JLS_H
#define BRIG_CLI_JLS_H

#include <jansson.h>

#include "base/err.h"
#include "base/mem.h"
#include "conf/conf.h"

#define JLS_NAME 1    /* -N: the name instead of the JID */
#define JLS_HEADER 2  /* -h: a line with the names of the parameters */
#define JLS_NAMEVAL 4 /* -n: name=value */
#define JLS_QUOTE 8   /* -q */
#define JLS_SKIP 16   /* -s: -nq without what jail(8) cannot set */
#define JLS_VERBOSE 32

/* One column of the parameter form: the word that was asked for and what it means. */
struct jls_col {
	const char *word; /* of the command line, or def->name */
	const struct param_def *def;
};

struct jls {
	unsigned flags;
	bool params;         /* columns were asked for (or -h -n -s); else the default or the -v form */
	struct jls_col *col; /* n_cols */
	size_t n_cols;
};

/* A running jail.  Everything is borrowed. */
struct jls_jail {
	int jid, cpuset;
	const char *name, *hostname, *path;
	bool dying;
	const struct strv *ip4, *ip6; /* addresses without prefix */
	char *const *value;           /* n_cols texts of the columns; NULL: the jail has no such value */
	const char *host, *ip4_mode, *ip6_mode; /* tri-states, "new" ...: for JLS_SKIP; may be NULL */
};

/* Decides the form from the flags and the words (parameters; "all").  -EINVAL "unknown parameter: x". */
int jls_init(struct jls *l, unsigned flags, char *const *words, size_t n, struct err *e);
void jls_free(struct jls *l);
void jls_put_header(struct buf *b, const struct jls *l); /* nothing where the form has none */
void jls_put(struct buf *b, const struct jls *l, const struct jls_jail *j);
json_t *jls_json(const struct jls *l, const struct jls_jail *j);
/* {"__version": "2", "jail-information": {"jail": [...]}} and a newline, as libxo spaces it.  Takes rows. */
void jls_put_json(struct buf *b, json_t *rows);

#endif
