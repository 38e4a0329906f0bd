/* SPDX-License-Identifier: BSD-2-Clause */
#include <getopt.h>
#include <limits.h>

#include "base/num.h"
#include "cli/cli.h"

#define LONG_BASE 1000 /* getopt_long's value of options that have no letter */

static bool
is_end(const struct opt *o)
{
	return !o->c && !o->name;
}

/* Both tables as getopt_long(3) wants them. */
struct getopt_table {
	struct option *longs;
	const struct opt **opts; /* by index of long value, and by letter below */
	size_t n;
	struct buf letters;
};

static void
add_opts(struct getopt_table *t, const struct opt *opts)
{
	for (const struct opt *o = opts; o && !is_end(o); o++) {
		int has_arg = o->kind == OPT_FLAG || o->kind == OPT_COUNT ? no_argument : required_argument;

		t->longs = xrealloc(t->longs, t->n + 2, sizeof(*t->longs));
		t->opts = xrealloc(t->opts, t->n + 1, sizeof(*t->opts));
		t->longs[t->n] =
		    (struct option){o->name ? o->name : "", has_arg, NULL, LONG_BASE + (int)t->n};
		t->opts[t->n++] = o;
		t->longs[t->n] = (struct option){0};
		if (o->c) {
			buf_addc(&t->letters, o->c);
			if (has_arg)
				buf_addc(&t->letters, ':');
		}
	}
}

static const struct opt *
by_letter(const struct getopt_table *t, int c)
{
	/* the command's own table comes first, so that it may use a global letter for itself */
	for (size_t i = 0; i < t->n; i++)
		if (t->opts[i]->c == c)
			return t->opts[i];
	return NULL;
}

static int
store_value(const struct cli *cli, const struct command *cmd, const struct opt *o, const char *arg)
{
	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)o->dst = true;
		break;
	case OPT_COUNT:
		++*(int *)o->dst;
		break;
	case OPT_STRING:
		*(const char **)o->dst = arg;
		break;
	case OPT_LIST:
		strv_add(o->dst, arg);
		break;
	case OPT_INT:
		if (num_int(arg, 0, INT_MAX, o->dst) < 0)
			return cli_usage(cli, cmd, "%s '%s' is not a number", o->arg, arg);
		break;
	}
	return 0;
}

static int
parse(const struct cli *cli, const struct command *cmd, struct getopt_table *t, int argc, char **argv)
{
	_auto_free char *letters = xasprintf("%s:h%s", cmd->flags & CMD_READS_REST ? "+" : "", t->letters.s);
	int c, r = 0;

	opterr = 0;
	optind = 0; /* glibc: start anew, also after an earlier parse */
	while (r == 0 && (c = getopt_long(argc, argv, letters, t->longs, NULL)) >= 0) {
		const struct opt *o = c >= LONG_BASE ? t->opts[c - LONG_BASE] : by_letter(t, c);

		if (c == 'h' && !o) {
			opt_help(stdout, cmd);
			return -1;
		}
		if (c == ':')
			r = cli_usage(cli, cmd, "option '%s' needs an argument", argv[optind - 1]);
		else if (c == '?' && optopt > 0 && optopt < LONG_BASE)
			r = cli_usage(cli, cmd, "unknown option '-%c'", optopt);
		else if (!o)
			r = cli_usage(cli, cmd, "unknown or ambiguous option '%s'", argv[optind - 1]);
		else
			r = store_value(cli, cmd, o, optarg);
	}
	return r;
}

int
opt_parse(const struct cli *cli, const struct command *cmd, int argc, char **argv, int *ret_argc,
	  char ***ret_argv)
{
	struct getopt_table t = {0};
	int r;

	if (argc > 1 && streq(argv[1], "--help")) {
		opt_help(stdout, cmd);
		return -1;
	}
	buf_adds(&t.letters, "");
	add_opts(&t, cmd->opts);
	add_opts(&t, global_opts);
	r = parse(cli, cmd, &t, argc, argv);
	free(t.longs);
	free(t.opts);
	buf_free(&t.letters);
	if (r == 0) {
		*ret_argc = argc - optind;
		*ret_argv = argv + optind;
	}
	return r;
}

static void
help_opts(FILE *f, const struct opt *opts)
{
	for (const struct opt *o = opts; o && !is_end(o); o++) {
		char left[80];
		int n = 0;

		if (o->c)
			n = snprintf(left, sizeof(left), "-%c%s", o->c, o->name ? ", " : "");
		if (o->name)
			n += snprintf(left + n, sizeof(left) - (size_t)n, "--%s", o->name);
		if (o->arg)
			(void)snprintf(left + n, sizeof(left) - (size_t)n, " %s", o->arg);
		fprintf(f, "  %-24s  %s\n", left, o->help);
	}
}

void
opt_help(FILE *f, const struct command *cmd)
{
	fprintf(f, "usage: brig %s%s%s\n\n%s\n", cmd->name, *cmd->usage ? " " : "", cmd->usage, cmd->help);
	if (cmd->opts && !is_end(cmd->opts)) {
		fputs("\noptions:\n", f);
		help_opts(f, cmd->opts);
	}
	fputs("\noptions of every command:\n", f);
	help_opts(f, global_opts);
}
