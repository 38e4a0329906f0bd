/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: jail.conf(5) files, the Handbook's rc.conf and fstab, parameters of a command line.
 *
 * Pure: text in, structures out.  Files are read through struct conf_input, so that a test or a fuzzer can
 * give text; nothing from a file is ever executed.  Errors do not stop the reading: they are collected, and
 * conf_error_at() gives each of them.  Grammar and every departure from FreeBSD: brig-jail.conf(5).
 *
 *	struct conf *c = conf_new(&conf_files, base, false);
 *	conf_read(c, "/etc/jail.conf", CONF_AUTO);
 *	conf_finish(c);
 *	if (conf_n_errors(c)) ...
 *	s = conf_jail(c, "www", &e);			the caller frees it with jailspec_free
 */
#ifndef BRIG_CONF_CONF_H
#define BRIG_CONF_CONF_H

#include "base/err.h"
#include "base/mem.h"
#include "conf/spec.h"

#define CONF_TEMPLATE "mroot" /* the template of a jail that names none */

/* How the configuration reaches files.  conf_files (conf/files.c, the only part that calls the system) is
 * the real one. */
struct conf_input {
	/* Whole text of a file (at most 4 MiB), malloc'ed; 0 or -errno. */
	int (*read)(void *ctx, const char *path, char **ret_text, size_t *ret_len);
	/* Files that match a pattern, sorted; a pattern without magic that does not exist gives none. */
	int (*glob)(void *ctx, const char *pattern, struct strv *ret_paths);
	/* realpath also of what does not exist yet (path_real); NULL: the text as it is. */
	char *(*real)(void *ctx, const char *path);
	/* Host name to addresses (ip_hostname), as text; -errno. */
	int (*resolve)(void *ctx, const char *host, struct strv *ret_addrs);
	/* A name for a jail of conf_add_words that has none, malloc'ed; NULL: such a jail is an error. */
	char *(*fresh)(void *ctx);
	void *ctx;
};
extern const struct conf_input conf_files;

enum conf_kind { CONF_AUTO, CONF_JAILCONF, CONF_RCCONF, CONF_FSTAB };

struct conf_error {
	const char *file;
	int line, col;    /* from 1; 0: the file as a whole */
	const char *jail; /* the jail it is about, or NULL */
	bool syntax;      /* what follows it may have been misunderstood, too */
	const char *text;
};

struct conf;
/* base: the installation's base directory (for default paths and the Handbook's layout).  base_explicit:
 * the user chose it (-b, BRIG_BASE); then a Handbook configuration made for another base (/home) is read as
 * if it had been written for this one.  Otherwise conf_base() may become the Handbook's (place.c). */
struct conf *conf_new(const struct conf_input *in, const char *base, bool base_explicit);
void conf_free(struct conf *c);
const char *conf_base(const struct conf *c);

/* Adds a file.  CONF_AUTO looks at its name, then at its content: rc.conf (a jail_NAME=... line, or
 * nothing but assignments), fstab (most lines look like it), else jail.conf.  A file that cannot be read
 * is an error in the list. */
void conf_read(struct conf *c, const char *path, enum conf_kind kind);
/* The same for a file that a directory listing or a pattern found: it may be gone again (brig destroy). */
void conf_read_listed(struct conf *c, const char *path, enum conf_kind kind);
/* Several entries on one line of an fstab (36 fields: six entries) are a warning from now on, not an error.
 */
void conf_split_lines(struct conf *c);
/* jail(8)'s "param=value ..." form: one jail made of words.  name may come from name= or jid=; the jail's
 * label is returned (owned by c), NULL and an entry in the errors when a word is wrong. */
const char *conf_add_words(struct conf *c, char *const *words, size_t n);
/* Sets name=value ("+=" appends) for one jail, over what the files say (-o). */
int conf_override(struct conf *c, const char *label, const char *word, struct err *e);
/* Resolution and checks of everything read.  To be called once, after the last conf_read. */
void conf_finish(struct conf *c);

size_t conf_n_errors(const struct conf *c);
const struct conf_error *conf_error_at(const struct conf *c, size_t i);
/* Warnings, in the same form. */
size_t conf_n_warnings(const struct conf *c);
const struct conf_error *conf_warning_at(const struct conf *c, size_t i);

/* Labels of all jails in the order of the files (rc.conf: of jail_list). */
const struct strv *conf_jails(const struct conf *c);
bool conf_has(const struct conf *c, const char *label);
/* Does a wildcard label ("*", "foo.*") match? jail(8)'s rule. */
bool conf_match(const char *pattern, const char *label);
/* The checked, complete specification.  -ENOENT: no such jail; -EINVAL: its first error. */
int conf_jail(struct conf *c, const char *label, struct jailspec **ret, struct err *e);
/* A jail that no file defines, with all defaults (wildcard sections apply): brig create, brig run. */
int conf_default_jail(struct conf *c, const char *label, struct jailspec **ret, struct err *e);

/* The effective parameters of one jail as a jail.conf block, quoted so that reading it gives the same. */
char *conf_print_jail(const struct jailspec *s);
/* Everything as one jail.conf text (brig convert), comments say where each jail came from. */
char *conf_print_all(struct conf *c, struct err *e); /* NULL on error */

/* A specification from recorded parameters: what was in effect when the jail started. */
int spec_from_params(const char *name, const struct params *p, const char *base, struct jailspec **ret,
		     struct err *e);

/* The table of known parameters, for the manual, `jls` and completion. */
enum param_type {
	PARAM_BOOL,
	PARAM_INT,
	PARAM_STRING,
	PARAM_SHARE, /* disable|new|inherit */
	PARAM_IP4,
	PARAM_IP6,
	PARAM_LIST, /* strings; several values mean several things */
	PARAM_SIZE,
};
struct param_def {
	const char *name;
	enum param_type type;
	unsigned flags;      /* PARAM_* below */
	const char *refused; /* why it cannot be used on this host, or NULL */
	const char *help;    /* one line */
};
#define PARAM_KERNEL 1 /* jail(8): known to the kernel, shown by jls */
#define PARAM_READONLY 2
#define PARAM_CREATE 4   /* cannot change after creation */
#define PARAM_BRIG 8     /* brig's own */
#define PARAM_IGNORED 16 /* accepted, without effect on this host (a warning says so) */
extern const struct param_def param_table[];
extern const size_t param_table_len;
/* Finds by name, with `no` before the last component understood (*ret_no). NULL: unknown. */
const struct param_def *param_find(const char *name, bool *ret_no);
/* jls(8)'s text of one parameter of a running jail; NULL when the jail has no such value. */
char *param_show(const struct jailspec *s, int jid, const struct param_def *def);

#endif
