/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line: one table a command gives the parser, `--help`, shell completion and the check of the
 * manual (tools/check-man).  A command file (cmd_*.c) turns options into a request, calls run/ or store/,
 * and prints.  Only this layer prints.
 *
 * Exit status: 0 done, 1 failed, 2 wrong use, 3 the answer is yes (template outdated); exec and run pass on the
 * command's own (126 cannot be run, 127 not found, 128+N ended by signal N).
 */
#ifndef BRIG_CLI_CLI_H
#define BRIG_CLI_CLI_H

#include <jansson.h>

#include "base/err.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "run/run.h"
#include "store/template/release.h"
#include "store/store.h"

enum opt_kind {
	OPT_FLAG,   /* bool * */
	OPT_STRING, /* const char ** */
	OPT_LIST,   /* struct strv *: may be repeated */
	OPT_INT,    /* int *: 0..INT_MAX */
	OPT_COUNT,  /* int *: counts */
};

struct opt {
	char c;           /* short, or 0 */
	const char *name; /* long, or NULL */
	enum opt_kind kind;
	void *dst;
	const char *arg; /* its argument's name: "FILE", NULL for a flag */
	const char *help;
};

/* What the words of a command are, for completion. */
enum words { WORDS_NONE, WORDS_JAIL, WORDS_RUNNING, WORDS_TEMPLATE, WORDS_FILE };

struct cli {
	/* options of every command */
	const char *base, *run; /* -b, --run; BRIG_BASE, BRIG_RUN; NULL: default */
	struct strv conf_files; /* -f; BRIG_CONF; empty: /etc/jail.conf and jail.conf.d, else rc.conf */
	const char *fstab;      /* --fstab: with an rc.conf */
	bool json, quiet;
	int verbose;
	bool base_set; /* the user chose it */
	/* jails that a stop is about: not started again first where a killed command has left them down; "*": all */
	struct strv leave;
	/* filled on demand */
	struct store store;
	bool store_is_open;
	struct conf *conf;
	struct labels *labels; /* labels.c */
	const char *prog; /* "brig", "jls", "jexec", "jail": begins messages */
};

#define CMD_READS_REST 1 /* options end at the first word (exec) */
#define CMD_HIDDEN 2

struct command {
	const char *name;
	const char *usage;      /* after the name: "[-t TEMPLATE] NAME..." */
	const char *help;       /* one line */
	const struct opt *opts; /* ends with .kind 0 and no name: OPT_END; may be NULL */
	enum words words;
	unsigned flags;
	int (*run)(struct cli *cli, int argc, char **argv); /* argv: the words; returns the exit status */
};
#define OPT_END   \
	{         \
		0 \
	}

extern const struct command cmd_template, cmd_create, cmd_destroy, cmd_start, cmd_stop, cmd_restart, cmd_list,
    cmd_status, cmd_config, cmd_check, cmd_logs, cmd_exec, cmd_shell, cmd_run, cmd_merge, cmd_convert,
    cmd_doctor, cmd_completion, cmd_upgrade, cmd_rollback, cmd_tidy, cmd_help, cmd_jls, cmd_jexec, cmd_jail, cmd_audit;
extern const struct command *const commands[]; /* ends with NULL */
const struct command *command_find(const char *name);
extern const struct opt global_opts[];

/* opt.c: fills dst's; *ret_words are the words left (in argv).  0; 2 after a message on stderr; -1 when help
 * was asked for and printed. */
int opt_parse(const struct cli *cli, const struct command *cmd, int argc, char **argv, int *ret_argc,
	      char ***ret_argv);
void opt_help(FILE *f, const struct command *cmd);

/* Needed by most commands; all print the error and give an exit status (0 fine).  With STORE_CREATE what
 * killed commands and jails left is cleaned up first (cli_recover, for commands that only look). */
int cli_store(struct cli *cli, int flags);
int cli_recover(struct cli *cli);
/* Reads the configuration.  Errors in it are printed as FILE:LINE:COL: text, all of them, and give 1, unless
 * lenient: then the jails without an error can be used. */
int cli_conf(struct cli *cli, bool lenient);
/* The same, but errors that concern one jail only are left to that jail (conf_jail). */
int cli_conf_usable(struct cli *cli);
/* One message of the configuration: "FILE:LINE:COL: kind text" on stderr. */
void cli_conf_message(const char *kind, const struct conf_error *m);
/* Prints "prog: text" (one line, control characters made visible), returns 1. */
int cli_error(const struct cli *cli, const struct err *e);
/* "prog: what: text" */
int cli_fail(const struct cli *cli, const char *what, const struct err *e);
/* Wrong use: prints "prog: text" and a pointer to --help, returns 2. */
int cli_usage(const struct cli *cli, const struct command *cmd, const char *fmt, ...) _printf_(3, 4);
void cli_say(const struct cli *cli, const char *fmt, ...) _printf_(2, 3);  /* stdout, not with -q or --json */
void cli_warn(const struct cli *cli, const char *fmt, ...) _printf_(2, 3); /* stderr */
/* What run/ has to say goes to stderr: warnings, with -v every step. */
struct run_caller cli_caller(struct cli *cli);
/* Prints and frees. */
int cli_json(json_t *j);

/* Names of a command line: the words, or with all (-a) every configured (running: every running) jail.
 * jail.conf wildcards ("foo.*") are expanded.  Exit status. */
int cli_jails(struct cli *cli, const struct command *cmd, int argc, char **argv, bool all, struct strv *ret);

/* labels.c: what the configuration calls the jail of a record; its name, where it is in none.  The configuration has
 * been read. */
const char *cli_label(struct cli *cli, const char *name);
void cli_labels_free(struct cli *cli);

/* out.c: aligned columns for people.  Values are made printable.  Colour only on a terminal. */
struct table {
	size_t n_cols;
	struct strv cells;
	const char *const *titles;
	const char *align; /* one letter a column, l or r; NULL: all l */
};
void table_row(struct table *t, ...); /* n_cols strings */
void table_print(struct table *t, FILE *f);
void table_free(struct table *t);
char *out_size(uint64_t bytes);      /* "1.4M" */
char *out_duration(int64_t seconds); /* "3d 4h" */
/* Progress on a terminal (one line, redrawn, gone at the end) or one line a step elsewhere. */
struct progress *progress_start(const struct cli *cli, const char *title);
void progress_end(struct progress *p);

#endif
