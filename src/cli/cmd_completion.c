/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `brig completion SHELL`: prints a completion script made from the tables that the parser uses, so that the
 * two cannot differ.  The script asks for names when they are needed: `brig completion --words KIND`.
 */
#include <stdio.h>

#include "base/name.h"
#include "cli/cli.h"
#include "store/record/record.h"
#include "store/record/state.h"

static const char *opt_words;

/* Words after a command that are not names. */
static const struct {
	const char *command, *words;
} fixed[] = {
    {"template", "build list show diff outdated verify remove clean"},
    {"completion", "bash zsh fish"},
};

static const char *
fixed_words(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (streq(fixed[i].command, command))
			return fixed[i].words;
	return NULL;
}

static const char *
kind_name(enum words w)
{
	static const char *const names[] = {"none", "jail", "running", "template", "file"};

	return names[w];
}

static bool
is_end(const struct opt *o)
{
	return !o->c && !o->name;
}

/* ---- bash ---- */

static void
bash_opts(struct buf *b, const struct opt *opts)
{
	for (const struct opt *o = opts; o && !is_end(o); o++) {
		if (o->name)
			buf_addf(b, "%s--%s", b->len ? " " : "", o->name);
		else
			buf_addf(b, "%s-%c", b->len ? " " : "", o->c);
	}
}

/* What the argument of an option is, by its name in the table. */
static enum words
arg_words(const char *arg)
{
	if (streq(arg, "FILE") || streq(arg, "DIR"))
		return WORDS_FILE;
	if (streq(arg, "JAIL"))
		return WORDS_RUNNING;
	return str_after(arg, "TEMPLATE") ? WORDS_TEMPLATE : WORDS_NONE;
}

/* Options whose argument is of one kind, as a pattern of case. */
static void
bash_args(struct buf *b, const struct opt *opts, enum words kind)
{
	for (const struct opt *o = opts; o && !is_end(o); o++) {
		if (!o->arg || arg_words(o->arg) != kind)
			continue;
		if (o->c)
			buf_addf(b, "%s-%c", b->len ? "|" : "", o->c);
		if (o->name)
			buf_addf(b, "%s--%s", b->len ? "|" : "", o->name);
	}
}

static void
bash_arg_cases(const struct opt *opts)
{
	static const enum words kinds[] = {WORDS_FILE, WORDS_RUNNING, WORDS_TEMPLATE};
	_auto_buf struct buf other = BUF_INIT;

	puts("\t\tcase $prev in");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		_auto_buf struct buf b = BUF_INIT;

		bash_args(&b, opts, kinds[i]);
		if (b.len)
			printf("\t\t%s) kind=%s opts='' words='' ;;\n", b.s, kind_name(kinds[i]));
	}
	bash_args(&other, opts, WORDS_NONE);
	if (other.len)
		printf("\t\t%s) return ;;\n", other.s);
	puts("\t\tesac");
}

static bool
has_args(const struct opt *opts)
{
	for (const struct opt *o = opts; o && !is_end(o); o++)
		if (o->arg)
			return true;
	return false;
}

static void
bash_command(const struct command *c)
{
	_auto_buf struct buf opts = BUF_INIT;
	const char *words = fixed_words(c->name);

	bash_opts(&opts, c->opts);
	printf("\t%s)\n\t\topts='%s' words='%s' kind=%s\n", c->name, opts.s ? opts.s : "", words ? words : "",
	       kind_name(c->words));
	if (has_args(c->opts))
		bash_arg_cases(c->opts);
	puts("\t\t;;");
}

static void
print_bash(void)
{
	_auto_buf struct buf global = BUF_INIT, paths = BUF_INIT, names = BUF_INIT;

	bash_opts(&global, global_opts);
	bash_args(&paths, global_opts, WORDS_FILE);
	for (size_t i = 0; commands[i]; i++)
		if (!(commands[i]->flags & CMD_HIDDEN))
			buf_addf(&names, "%s%s", i ? " " : "", commands[i]->name);
	puts("# brig(8) completion for bash: brig completion bash > /etc/bash_completion.d/brig\n"
	     "_brig()\n{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	     "\tlocal cmd='' i opts='' words='' kind=none global select=''\n"
	     "\tcase ${COMP_WORDS[0]##*/} in\n\tjls|jexec|jail) cmd=${COMP_WORDS[0]##*/} ;;\n\tesac\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase ${COMP_WORDS[i]} in");
	printf("\t\t%s) select+=\" ${COMP_WORDS[i]} ${COMP_WORDS[++i]}\" ;;\n", paths.s);
	puts("\t\t-*) ;;\n\t\t*) [ -n \"$cmd\" ] || cmd=${COMP_WORDS[i]} ;;\n\t\tesac\n\tdone");
	printf("\tglobal='%s --help'\n\tcase $cmd in\n\t'')\n\t\twords='%s'\n"
	       "\t\tcase $prev in\n\t\t%s) kind=file words='' ;;\n\t\tesac\n\t\t;;\n",
	       global.s, names.s, paths.s);
	for (size_t i = 0; commands[i]; i++)
		bash_command(commands[i]);
	puts("\tesac\n"
	     "\tcase $cur in\n"
	     "\t-*) COMPREPLY=($(compgen -W \"$opts $global\" -- \"$cur\")); return ;;\n"
	     "\tesac\n"
	     "\tcase $kind in\n"
	     "\tfile) compopt -o default; COMPREPLY=(); return ;;\n"
	     "\tnone) ;;\n"
	     "\t*) words+=\" $(brig $select completion --words $kind 2>/dev/null)\" ;;\n"
	     "\tesac\n"
	     "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "}\ncomplete -F _brig brig jls jexec jail");
}

/* ---- zsh ---- */

/* Text inside '...' of a zsh or fish script: no quote; for _arguments no bracket or colon either. */
static void
put_plain(const char *s)
{
	for (; *s; s++)
		putchar(strchr("'[]:\\", *s) ? ' ' : *s);
}

static bool
has_letter(const struct opt *opts, char c)
{
	for (const struct opt *o = opts; o && !is_end(o); o++)
		if (o->c == c)
			return true;
	return false;
}

static bool
has_name(const struct opt *opts, const char *name)
{
	for (const struct opt *o = opts; o && !is_end(o); o++)
		if (o->name && streq(o->name, name))
			return true;
	return false;
}

/* but: the command's own options, which have the letter or the name already. */
static void
zsh_opt(const struct opt *o, const struct opt *but)
{
	char names[2][40];
	int n = 0;

	if (o->c && !has_letter(but, o->c))
		(void)snprintf(names[n++], sizeof(names[0]), "-%c", o->c);
	if (o->name && !has_name(but, o->name))
		(void)snprintf(names[n++], sizeof(names[0]), "--%s", o->name);
	for (int i = 0; i < n; i++) {
		printf("\t\t\t'%s%s[", o->kind == OPT_LIST ? "*" : "", names[i]);
		put_plain(o->help);
		putchar(']');
		if (o->arg) {
			putchar(':');
			put_plain(o->arg);
			if (arg_words(o->arg) == WORDS_FILE)
				printf(":_files%s", streq(o->arg, "DIR") ? " -/" : "");
			else if (arg_words(o->arg) != WORDS_NONE)
				printf(": _brig_words %s", kind_name(arg_words(o->arg)));
			else
				printf(": ");
		}
		printf("' \\\n");
	}
}

static void
zsh_command(const struct command *c)
{
	const char *words = fixed_words(c->name);

	printf("\t\t%s)\n\t\t\t_arguments \\\n", c->name);
	for (const struct opt *o = c->opts; o && !is_end(o); o++)
		zsh_opt(o, NULL);
	for (const struct opt *o = global_opts; !is_end(o); o++)
		zsh_opt(o, c->opts);
	if (words)
		printf("\t\t\t'*:word:(%s)'\n", words);
	else if (c->words == WORDS_FILE)
		puts("\t\t\t'*:file:_files'");
	else if (c->words == WORDS_NONE)
		puts("\t\t\t'*:argument: '");
	else
		printf("\t\t\t'*:%s: _brig_words %s'\n", kind_name(c->words), kind_name(c->words));
	puts("\t\t\t;;");
}

static void
print_zsh(void)
{
	puts("#compdef brig jls jexec jail\n"
	     "# brig(8) completion for zsh: brig completion zsh > a directory of $fpath, as _brig\n"
	     "_brig_words()\n{\n\tlocal -a names\n\tnames=(${(f)\"$(brig completion --words $1 "
	     "2>/dev/null)\"})\n"
	     "\t_describe -t names $1 names\n}\n"
	     "_brig_run()\n{\n\tcase $1 in");
	for (size_t i = 0; commands[i]; i++)
		zsh_command(commands[i]);
	puts("\tesac\n}\n"
	     "_brig()\n{\n\tlocal context state state_descr line curcontext=$curcontext\n\ttypeset -A "
	     "opt_args\n"
	     "\tlocal -a commands\n\tcase $service in\n\tjls|jexec|jail) _brig_run $service; return "
	     ";;\n\tesac\n"
	     "\tcommands=(");
	for (size_t i = 0; commands[i]; i++) {
		if (commands[i]->flags & CMD_HIDDEN)
			continue;
		printf("\t\t'%s:", commands[i]->name);
		put_plain(commands[i]->help);
		puts("'");
	}
	puts("\t)\n\t_arguments -C \\");
	for (const struct opt *o = global_opts; !is_end(o); o++)
		zsh_opt(o, NULL);
	puts("\t\t\t'1:command:->command' '*::argument:->argument'\n"
	     "\tcase $state in\n\tcommand) _describe -t commands command commands ;;\n"
	     "\targument) _brig_run $line[1] ;;\n\tesac\n}\n"
	     "_brig \"$@\"");
}

/* ---- fish ---- */

static void
fish_opt(const char *condition, const struct opt *o)
{
	enum words kind = o->arg ? arg_words(o->arg) : WORDS_NONE;

	printf("complete -c brig%s", condition);
	if (o->c)
		printf(" -s %c", o->c);
	if (o->name)
		printf(" -l %s", o->name);
	if (o->arg)
		printf(" -r%s", kind == WORDS_FILE ? "F" : "");
	if (kind == WORDS_RUNNING || kind == WORDS_TEMPLATE)
		printf(" -a '(brig completion --words %s 2>/dev/null)'", kind_name(kind));
	printf(" -d '");
	put_plain(o->help);
	puts("'");
}

static void
fish_command(const struct command *c)
{
	_auto_free char *seen = xasprintf(" -n '__fish_seen_subcommand_from %s'", c->name);
	const char *words = fixed_words(c->name);

	if (!(c->flags & CMD_HIDDEN)) {
		printf("complete -c brig -n __fish_use_subcommand -a %s -d '", c->name);
		put_plain(c->help);
		puts("'");
	}
	for (const struct opt *o = c->opts; o && !is_end(o); o++)
		fish_opt(seen, o);
	if (words)
		printf("complete -c brig%s -a '%s'\n", seen, words);
	else if (c->words == WORDS_FILE)
		printf("complete -c brig%s -F\n", seen);
	else if (c->words != WORDS_NONE)
		printf("complete -c brig%s -a '(brig completion --words %s 2>/dev/null)'\n", seen,
		       kind_name(c->words));
}

static void
print_fish(void)
{
	puts("# brig(8) completion for fish: brig completion fish > ~/.config/fish/completions/brig.fish\n"
	     "complete -c brig -f");
	for (const struct opt *o = global_opts; !is_end(o); o++)
		fish_opt("", o);
	for (size_t i = 0; commands[i]; i++)
		fish_command(commands[i]);
}

/* ---- names ---- */

static void
print_names(const struct strv *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (name_ok(names->v[i])) /* the shell splits and expands what we print */
			puts(names->v[i]);
}

static int
running_names(struct cli *cli, struct strv *ret)
{
	struct state *st = NULL;
	struct err e = ERR_INIT;
	size_t n = 0;

	if (state_list(&cli->store, &st, &n, &e) < 0)
		return 1;
	for (size_t i = 0; i < n; i++) {
		if (os_jail_alive(&st[i].ref) > 0)
			strv_add(ret, st[i].name);
		state_free(&st[i]);
	}
	free(st);
	return 0;
}

/* Running and configured jails, and those that have a record; each once. */
static int
jail_names(struct cli *cli, struct strv *ret)
{
	_auto_strv struct strv all = STRV_INIT, records = STRV_INIT;
	struct err e = ERR_INIT;

	strv_copy(&all, conf_jails(cli->conf));
	(void)running_names(cli, &all);
	if (record_list(&cli->store, &records, &e) >= 0)
		strv_copy(&all, &records);
	strv_sort(&all);
	for (size_t i = 0; i < all.n; i++)
		if (i == 0 || !streq(all.v[i], all.v[i - 1]))
			strv_add(ret, all.v[i]);
	return 0;
}

static int
print_words(struct cli *cli, const char *kind)
{
	_auto_strv struct strv names = STRV_INIT;
	struct err e = ERR_INIT;
	int r;

	(void)cli_conf(cli, true);
	r = cli_store(cli, STORE_READ);
	if (r)
		return r;
	if (streq(kind, "jail"))
		r = jail_names(cli, &names);
	else if (streq(kind, "running"))
		r = running_names(cli, &names);
	else if (streq(kind, "template"))
		r = release_templates(&cli->store, &names, &e) < 0 ? cli_error(cli, &e) : 0;
	else
		return cli_usage(cli, &cmd_completion, "--words: jail, running or template, not '%s'", kind);
	print_names(&names);
	return r;
}

static int
completion_main(struct cli *cli, int argc, char **argv)
{
	if (opt_words && argc == 0)
		return print_words(cli, opt_words);
	if (argc != 1 || opt_words)
		return cli_usage(cli, &cmd_completion, "one shell is needed: bash, zsh or fish");
	if (streq(argv[0], "bash"))
		print_bash();
	else if (streq(argv[0], "zsh"))
		print_zsh();
	else if (streq(argv[0], "fish"))
		print_fish();
	else
		return cli_usage(cli, &cmd_completion, "'%s': only bash, zsh and fish are known", argv[0]);
	return 0;
}

static const struct opt completion_opts[] = {
    {0, "words", OPT_STRING, &opt_words, "KIND", "print names, one a line: jail, running or template"},
    OPT_END,
};

const struct command cmd_completion = {
    .name = "completion",
    .usage = "bash|zsh|fish",
    .help = "Prints a completion script for a shell.",
    .opts = completion_opts,
    .run = completion_main,
};
