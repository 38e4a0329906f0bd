/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of conf/ share.  What each makes of what:
 *
 *	lex.c, parse.c		jail.conf text		-> blocks of statements
 *	rcread.c, rcjail.c	rc.conf text		-> variables -> blocks of statements
 *	fstab.c			fstab text, mount lines	-> fields
 *	resolve.c		blocks			-> one struct jail each: entries, variables
 *							   substituted
 *	place.c			path, template, mounts	-> where root and jailspace of a jail are; the base
 *	build*.c, value.c	entries			-> struct jailspec
 *	check.c			all jails		-> errors: what two of them cannot both have
 *
 * Everything belongs to struct conf and is freed with it.  Positions point at interned file names.
 */
#ifndef BRIG_CONF_CONF_INT_H
#define BRIG_CONF_CONF_INT_H

#include "conf/conf.h"

#define CONF_TEXT_MAX ((size_t)4 << 20) /* bytes of one file */
#define CONF_INCLUDE_MAX 32             /* depth; jail(8) has the same */
#define CONF_FILES_MAX 4096             /* files in all: stops include bombs */
#define CONF_NEST_MAX 32                /* blocks in blocks */
#define CONF_MESSAGES_MAX 1000
#define CONF_JAILS_MAX 20000
#define CONF_OPTIONS_MAX 4096      /* parameters and variables of one jail */
#define CONF_SHVARS_MAX 65536      /* assignments of an rc.conf */
#define CONF_VALUE_MAX 65536       /* bytes of one value after substitution */
#define CONF_EXPAND_MAX (1u << 20) /* bytes that substitution may make for one jail */
#define CONF_VAR_DEPTH 64          /* variables in variables */

struct pos {
	const char *file; /* interned; NULL: nowhere */
	int line, col;    /* from 1; 0: the file as a whole */
};

struct piece { /* of a string: text, or the name of a variable */
	char *text;
	bool var;
	struct pos pos;
};
struct val {
	struct piece *v;
	size_t n, cap;
	struct pos pos;
};
struct stmt {
	char *name;
	bool var, append;
	bool bad;    /* its name cannot be used */
	bool broken; /* there is a syntax error in it */
	struct pos pos;
	struct val *v;
	size_t n, cap;
	const struct param_def *def; /* NULL: a variable, or unknown */
	bool no;                     /* spelled with `no` */
};

enum origin { FROM_FILE, FROM_RC, FROM_WORDS, FROM_RECORD };
struct block {
	char *label; /* full name: "a.b"; NULL: its label is wrong, only its statements are checked */
	struct pos pos;
	enum origin origin;
	unsigned scope; /* 0: everywhere; else a file of a ".d" directory, whose wildcards stay inside it */
	bool wild;
	size_t seq; /* of all blocks */
	struct stmt *v;
	size_t n, cap;
};

struct rval {
	char *s;
	struct pos pos;
};
enum { ENTRY_NEW, ENTRY_BUSY, ENTRY_DONE, ENTRY_BAD };
struct entry {            /* an option of one jail, all its statements merged */
	const char *name; /* as spelled last */
	const struct param_def *def;
	bool no, var, fixed;
	struct pos pos;
	const struct val **src;
	size_t n_src, cap_src;
	struct rval *v;
	size_t n, cap;
	int state;
};

/* One line of an fstab or of `mount`; fields decoded. */
struct fsline {
	struct pos pos;
	char *source, *target, *type, *options;
	char *canon; /* target with its parent's links resolved (place.c) */
	size_t seq;
	bool used;
};
struct fslines {
	struct fsline *v;
	size_t n, cap;
};

struct place {          /* where a jail is, before the base is known */
	bool done, lay; /* lay: it is laid out as in the Handbook (place.c) */
	char *path;     /* explicit path, canonical; NULL */
	char *prefix;   /* path is PREFIX/j/X: PREFIX */
	char *template, *space;
	struct fslines mounts; /* what is left to mount */
};

struct jail {
	char *label;
	size_t index;              /* in conf->jails */
	const struct block *block; /* NULL: a default jail */
	struct block *over;        /* conf_override; NULL */
	enum origin origin;
	unsigned scope;
	struct pos pos;
	struct entry *e;
	size_t n, cap;
	size_t expanded;
	bool failed, resolved;
	char *error; /* its first error, as text; NULL */
	struct place place;
	struct jailspec *spec; /* built by conf_finish, handed out once */
};

struct shplace {
	int line, col;
};
struct shvar { /* a variable of an rc.conf; the last one of a name counts */
	char *name, *value;
	struct shplace *at; /* of every byte of the value; jail_list only */
	struct pos pos;     /* of the value */
	size_t seq;
	bool unknown; /* set by something that is not executed */
	bool used;
};
struct shvars {
	struct shvar *v;
	size_t n, cap;
};

struct messages {
	struct conf_error *v;
	size_t n, cap;
	bool full;
};

struct conf {
	struct conf_input in;
	char *base, *base_real;
	char *lay_prefix; /* all jails with a template are below LAY_PREFIX/j */
	bool base_explicit, finished;
	struct strv names; /* interned files */
	struct strv read;  /* files read, for conf_read of one that was included */
	size_t n_files;
	bool stop_include;
	bool split_lines; /* conf_split_lines */
	unsigned scopes;
	struct block *outside; /* statements outside blocks, scope 0 */
	struct block **blocks;
	size_t n_blocks, cap_blocks;
	struct block **wild; /* those with a wildcard label */
	size_t n_wild, cap_wild;
	struct jail **jails; /* in order */
	size_t n_jails, cap_jails;
	struct jail **by_label;
	struct strv labels;
	struct block **overs; /* overrides of labels: label and statements */
	size_t n_overs, cap_overs;
	struct shvars rc;
	struct fslines fstab;
	size_t *fs_sorted; /* indices of fstab by canon */
	struct messages errors, warnings;
	struct err *sink; /* not NULL: the first error goes here instead of into the list, warnings nowhere */
	int usr_home;     /* -1 not looked up yet; is there a /usr/home? */
	struct {
		char *dir, *real;
	} last_dir; /* one directory's canonical name is remembered */
};

/* conf.c */
const char *conf_intern(struct conf *c, const char *file);
void conf_err(struct conf *c, const char *label, struct pos pos, const char *fmt, ...) _printf_(4, 5);
void conf_syntax(struct conf *c, const char *label, struct pos pos, const char *fmt, ...) _printf_(4, 5);
void conf_warn(struct conf *c, const char *label, struct pos pos, const char *fmt, ...) _printf_(4, 5);
void jail_err(struct conf *c, struct jail *j, struct pos pos, const char *fmt, ...) _printf_(4, 5);
void jail_warn(struct conf *c, struct jail *j, struct pos pos, const char *fmt, ...) _printf_(4, 5);
char *pos_text(struct pos pos); /* "FILE:LINE" */
int conf_text(struct conf *c, const char *file, char **ret_text, size_t *ret_len);
struct jail *conf_find(const struct conf *c, const char *label);
void jail_free(struct jail *j);
void jail_clear(struct jail *j); /* frees what was resolved and built */

/* parse.c */
struct block *block_new(struct conf *c, const char *label, struct pos pos, enum origin origin,
			unsigned scope);
void block_free(struct block *b);
struct stmt *block_stmt(struct block *b, const char *name, bool append, struct pos pos);
void stmt_add(struct stmt *s, const char *text, struct pos pos);            /* a literal value */
struct stmt *block_word(struct block *b, const char *word, struct pos pos); /* "name=value" (conf.c) */
bool label_wild(const char *label);
void parse_text(struct conf *c, const char *file, const char *text, size_t len, unsigned scope);

/* resolve.c */
void resolve_check_names(struct conf *c); /* unknown parameters, of every block once */
void stmt_check(struct conf *c, const char *label, struct stmt *s);
void resolve_jail(struct conf *c, struct jail *j);
struct entry *jail_entry(const struct jail *j, const char *name); /* a parameter, by its canonical name */
const char *entry_last(const struct entry *e);                    /* last value; NULL without any */
struct pos entry_pos(const struct entry *e);                      /* of the last value, or of the name */
struct entry *jail_add_entry(struct jail *j, const char *name, struct pos pos);
void entry_add(struct entry *e, char *s, struct pos pos); /* takes s */

/* fstab.c */
void fstab_text(struct conf *c, const char *label, const char *file, const char *text, size_t len,
		struct fslines *ret);
void fstab_mount_value(struct conf *c, struct jail *j, const char *value, struct pos pos,
		       struct fslines *ret);
char *fstab_print(const struct spec_mount *m);
bool fs_option(const char *options, const char *name, char **ret_value); /* "ro", "size" */
void fslines_free(struct fslines *l);

/* place.c */
void place_jail(struct conf *c, struct jail *j);
void place_base(struct conf *c);
char *place_reroot(const struct conf *c, const struct place *p, const char *path);
char *place_canon(struct conf *c, const char *path);     /* all links resolved; NULL: has ".." */
char *place_canon_dir(struct conf *c, const char *path); /* links of all but the last component */
const char *conf_base_real(struct conf *c);
void place_free(struct place *p);

/* build.c */
/* Also for a jail with errors (j->failed), as far as it goes: other jails are checked against it. */
struct jailspec *build_jail(struct conf *c, struct jail *j);

/* check.c */
void check_labels(struct conf *c);
void check_jails(struct conf *c);
/* NULL, or why no jail may have this name. */
const char *name_reserved(const char *name);

/* rcread.c, rcjail.c */
void rc_text(struct conf *c, const char *file, const char *text, size_t len);
void rc_jails(struct conf *c);

#endif
