/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `brig audit`: how running jails are confined, item by item with a score, as systemd-analyze(1) `security`
 * does for services; and which settings of the host are weak.
 */
#include <ctype.h>

#include "base/path.h"
#include "cli/cli.h"
#include "os/audit.h"
#include "store/record/state.h"

#define SCORE_MAX 100 /* tenths */

static bool opt_all;
static const char *opt_fail_above;
static const struct opt audit_opts[] = {
    {'a', "all", OPT_FLAG, &opt_all, NULL, "every running jail, item by item"},
    {0, "fail-above", OPT_STRING, &opt_fail_above, "SCORE", "exit status 1 when a jail's score is higher"},
    OPT_END,
};

struct jail_audit {
	char *name;
	struct os_finding *item;
	size_t n;
	unsigned score;
};

/* The words of systemd-analyze(1). */
static const char *
level(unsigned score)
{
	static const struct {
		unsigned from;
		const char *word;
	} levels[] = {{100, "DANGEROUS"}, {90, "UNSAFE"}, {75, "EXPOSED"}, {50, "MEDIUM"},
		      {10, "OK"},         {1, "SAFE"},    {0, "PERFECT"}};
	size_t i = 0;

	while (score < levels[i].from)
		i++;
	return levels[i].word;
}

static const char *
state_word(int state)
{
	return state > 0 ? "ok" : state == 0 ? "weak" : "unknown";
}

/* "7", "0.8": tenths. */
static int
parse_score(const char *s, unsigned *ret)
{
	unsigned whole = 0, tenth = 0;
	size_t n = strspn(s, "0123456789");

	if (n == 0 || n > 2)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		whole = whole * 10 + (unsigned)(s[i] - '0');
	if (s[n] == '.') {
		if (!isdigit((unsigned char)s[n + 1]) || s[n + 2])
			return -EINVAL;
		tenth = (unsigned)(s[n + 1] - '0');
	} else if (s[n]) {
		return -EINVAL;
	}
	if (whole * 10 + tenth > SCORE_MAX)
		return -ERANGE;
	*ret = whole * 10 + tenth;
	return 0;
}

static size_t
count_weak(const struct os_finding *f, size_t n)
{
	size_t weak = 0;

	for (size_t i = 0; i < n; i++)
		weak += f[i].state <= 0;
	return weak;
}

/* ---- for people ---- */

static void
print_items(const struct os_finding *f, size_t n, bool weak_only)
{
	static const char *const titles[] = {"ITEM", "STATE", "WEIGHT", "FOUND", "IMPROVE"};
	struct table t = {.n_cols = ARRAY_LEN(titles), .titles = titles, .align = "llrll"};

	for (size_t i = 0; i < n; i++) {
		_auto_free char *weight = xasprintf("%u", f[i].weight);

		if (weak_only && f[i].state > 0)
			continue;
		table_row(&t, f[i].name, state_word(f[i].state), weight, f[i].what,
			  f[i].state > 0 ? "" : f[i].improve);
	}
	table_print(&t, stdout);
	table_free(&t);
}

static void
print_jail(const struct jail_audit *a)
{
	print_items(a->item, a->n, false);
	printf("%s: exposure %u.%u of 10 (%s), %zu of %zu items weak\n", a->name, a->score / 10,
	       a->score % 10, level(a->score), count_weak(a->item, a->n), a->n);
}

static void
print_overview(const struct cli *cli, const struct os_finding *host, size_t n_host,
	       const struct jail_audit *a, size_t n)
{
	static const char *const titles[] = {"JAIL", "EXPOSURE", "LEVEL", "WEAK"};
	struct table t = {.n_cols = ARRAY_LEN(titles), .titles = titles, .align = "lrll"};
	size_t weak = count_weak(host, n_host);

	if (weak || cli->verbose)
		print_items(host, n_host, !cli->verbose);
	printf("host: %zu of %zu items weak\n", weak, n_host);
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		_auto_free char *score = xasprintf("%u.%u", a[i].score / 10, a[i].score % 10);
		_auto_free char *items = xasprintf("%zu of %zu", count_weak(a[i].item, a[i].n), a[i].n);

		table_row(&t, a[i].name, score, level(a[i].score), items);
	}
	putchar('\n');
	table_print(&t, stdout);
	table_free(&t);
}

/* ---- for programs ---- */

static json_t *
items_json(const struct os_finding *f, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list,
					    json_pack("{s:s, s:s, s:i, s:s, s:s}", "item", f[i].name, "state",
						      state_word(f[i].state), "weight", (int)f[i].weight,
						      "found", f[i].what, "improve", f[i].improve));
	return list;
}

static json_t *
jails_json(const struct jail_audit *a, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:o}", "name", a[i].name,
							    "exposure_tenths", (int)a[i].score, "level",
							    level(a[i].score), "items",
							    items_json(a[i].item, a[i].n)));
	return list;
}

/* ---- the command ---- */

struct audits {
	struct jail_audit *v;
	size_t n, cap;
};

static void
audits_free(struct audits *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free(all->v[i].name);
		free(all->v[i].item);
	}
	free(all->v);
}

static int
audit_one(struct audits *all, const struct state *st, struct err *e)
{
	struct jail_audit a = {0};

	if (!os_jail_alive(&st->ref))
		return err_set(e, ESRCH, "not running");
	if (os_audit_jail(&st->ref, &a.item, &a.n, e) < 0)
		return -e->num;
	a.name = xstrdup(st->name);
	a.score = os_audit_score(a.item, a.n);
	GROW(all->v, all->n, all->cap);
	all->v[all->n++] = a;
	return 0;
}

static int
audit_named(struct cli *cli, int argc, char **argv, struct audits *all)
{
	int status = 0;

	for (int i = 0; i < argc; i++) {
		struct err e = ERR_INIT;
		struct state st;
		int r = state_find(&cli->store, argv[i], &st, &e);

		if (r == 0)
			(void)err_set(&e, ESRCH, "no such jail is running (brig list)");
		if (r > 0) {
			r = audit_one(all, &st, &e) < 0 ? 0 : 1;
			state_free(&st);
		}
		if (r <= 0)
			status = cli_fail(cli, argv[i], &e);
	}
	return status;
}

static int
audit_running(struct cli *cli, struct audits *all)
{
	struct err e = ERR_INIT;
	struct state *st = NULL;
	size_t n = 0;
	int status = 0;

	if (state_list_brief(&cli->store, &st, &n, &e) < 0)
		return cli_error(cli, &e);
	for (size_t i = 0; i < n; i++) {
		/* one that ends meanwhile counts as not running */
		if (os_jail_alive(&st[i].ref) && audit_one(all, &st[i], &e) < 0 && e.num != ESRCH)
			status = cli_fail(cli, st[i].name, &e);
		state_free(&st[i]);
	}
	free(st);
	return status;
}

static int
show_named(const struct cli *cli, const struct audits *all)
{
	if (cli->json)
		return cli_json(json_pack("{s:o}", "jails", jails_json(all->v, all->n)));
	for (size_t i = 0; i < all->n && !cli->quiet; i++) {
		if (i)
			putchar('\n');
		print_jail(&all->v[i]);
	}
	return 0;
}

static int
show_all(const struct cli *cli, const struct audits *all)
{
	_auto_free char *spaces = path_join(cli->store.base, "js");
	_auto_free struct os_finding *host = NULL;
	struct err e = ERR_INIT;
	size_t n;

	if (os_audit_host(spaces, &host, &n, &e) < 0)
		return cli_error(cli, &e);
	if (cli->json)
		return cli_json(json_pack("{s:o, s:o}", "host", items_json(host, n), "jails",
					  jails_json(all->v, all->n)));
	if (!cli->quiet)
		print_overview(cli, host, n, all->v, all->n);
	return 0;
}

static int
audit_main(struct cli *cli, int argc, char **argv)
{
	struct audits all = {0};
	unsigned most = SCORE_MAX;
	int status, r;

	if (opt_all && argc > 0)
		return cli_usage(cli, &cmd_audit, "-a and names exclude each other");
	if (opt_fail_above && parse_score(opt_fail_above, &most) < 0)
		return cli_usage(cli, &cmd_audit, "--fail-above '%s': a score is 0.0 to 10.0",
				 opt_fail_above);
	status = cli_store(cli, STORE_READ);
	if (status)
		return status;
	status = argc > 0 ? audit_named(cli, argc, argv, &all) : audit_running(cli, &all);
	r = argc > 0 || opt_all ? show_named(cli, &all) : show_all(cli, &all);
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].score > most)
			status = 1;
	audits_free(&all);
	return status ? status : r;
}

const struct command cmd_audit = {
    .name = "audit",
    .usage = "[-a | NAME...]",
    .help = "Shows how running jails are locked in, with a score, and what of the host is weak.",
    .opts = audit_opts,
    .words = WORDS_RUNNING,
    .run = audit_main,
};
