/* SPDX-License-Identifier: BSD-2-Clause */
/* `brig list` and jls(8): the running jails. */
#include <limits.h>
#include <stdio.h>

#include "base/name.h"
#include "base/num.h"
#include "cli/cli.h"
#include "cli/jls.h"
#include "os/instance.h"
#include "store/record/state.h"

static struct {
	bool header, name, nameval, quote, skip, verbose, dying, exists;
	const char *jail, *libxo;
} lo;

/* "lo1|10.0.0.1/24 broadcast 10.0.0.255" -> "10.0.0.1"; several may stand between commas. */
static void
add_addresses(struct strv *out, const char *value)
{
	for (const char *p = value; *p;) {
		size_t n = strcspn(p, ",");
		_auto_free char *one = xstrndup(p, n);
		char *bar = strchr(one, '|'), *a = bar ? bar + 1 : one;

		a += strspn(a, " \t");
		a[strcspn(a, "/ \t")] = '\0';
		if (*a)
			strv_add(out, a);
		p += n + (p[n] == ',');
	}
}

static void
addresses(const struct params *params, const char *name, struct strv *out)
{
	const struct param *p = params_get(params, name);

	for (size_t i = 0; p && i < p->values.n; i++)
		add_addresses(out, p->values.v[i]);
}

/* The texts of the columns. */
static char **
values_of(const struct jls *l, const struct jailspec *spec, const struct state *st, bool dying)
{
	char **v = xcalloc(l->n_cols + 1, sizeof(*v));

	for (size_t i = 0; i < l->n_cols; i++) {
		const struct jls_col *c = &l->col[i];

		if (streq(c->word, "dying"))
			v[i] = xstrdup(dying ? "true" : "false");
		else if (streq(c->word, "jid") || streq(c->word, "cpuset.id"))
			v[i] = xasprintf("%d", st->jid);
		else if (streq(c->word, "path"))
			v[i] = xstrdup_null(st->path);
		else if (streq(c->word, "name"))
			v[i] = xstrdup(st->name);
		else if (streq(c->word, "host.hostname"))
			v[i] = xstrdup(st->hostname ? st->hostname : "");
		else if (!streq(c->word, c->def->name)) /* meta.KEY, env.KEY */
			v[i] = xstrdup_null(params_value(&spec->params, c->word));
		else
			v[i] = param_show(spec, st->jid, c->def);
	}
	return v;
}

static void
values_free(char **v, size_t n)
{
	for (size_t i = 0; v && i < n; i++)
		free(v[i]);
	free(v);
}

static const char *
share_name(enum spec_share s)
{
	static const char *const names[] = {"disable", "new", "inherit"};

	return names[s];
}

struct listing {
	const struct cli *cli;
	struct jls jls;
	struct buf out;
	json_t *rows; /* NULL: text */
};

/* Parameters are read only where they are needed: a thousand jails are listed from brief states. */
static int
list_jail(struct listing *l, const struct state *st, bool dying, struct err *e)
{
	_auto_strv struct strv ip4 = STRV_INIT, ip6 = STRV_INIT;
	struct jailspec *spec = NULL;
	char **values = NULL;
	struct jls_jail j = {.jid = st->jid, .cpuset = st->jid, .name = st->name, .dying = dying};

	if (l->jls.params && spec_from_params(st->name, &st->params, l->cli->store.base, &spec, e) < 0)
		return err_wrap(e, "%s", st->name);
	if (l->jls.params)
		values = values_of(&l->jls, spec, st, dying);
	addresses(&st->params, "ip4.addr", &ip4);
	addresses(&st->params, "ip6.addr", &ip6);
	if (ip4.n == 0 && st->ip4)
		strv_add(&ip4, st->ip4);
	j.hostname = st->hostname ? st->hostname : "";
	j.path = st->path ? st->path : "";
	j.ip4 = &ip4;
	j.ip6 = &ip6;
	j.value = values;
	if (spec) {
		j.host = share_name(spec->host);
		j.ip4_mode = share_name(spec->ip4);
		j.ip6_mode = share_name(spec->ip6);
	}
	if (l->rows)
		(void)json_array_append_new(l->rows, jls_json(&l->jls, &j));
	else
		jls_put(&l->out, &l->jls, &j);
	values_free(values, l->jls.n_cols);
	jailspec_free(spec);
	return 0;
}

/* A jail whose first process has ended is dying: it waits to be cleaned up. */
static int
list_if_wanted(struct listing *l, const struct state *st, struct err *e)
{
	bool alive = os_jail_alive(&st->ref) > 0;

	if (!alive && (!lo.dying || st->ref.pid == 0))
		return -ENOENT;
	return list_jail(l, st, !alive, e);
}

static int
not_found(const char *jail, struct err *e)
{
	_auto_free char *shown = text_printable(jail, NAME_MAX_LEN);
	int jid;

	if (num_int(jail, 1, INT_MAX, &jid) == 0)
		return err_set(e, ENOENT, "jail %d not found", jid);
	return err_set(e, ENOENT, "jail \"%s\" not found", shown);
}

static int
list_one(struct listing *l, const char *jail, struct err *e)
{
	struct state st = {0};
	int r = state_find(&l->cli->store, jail, &st, e);

	if (r < 0)
		return r;
	if (r > 0) {
		r = list_if_wanted(l, &st, e);
		state_free(&st);
		if (r != -ENOENT)
			return r;
	}
	return not_found(jail, e);
}

/* One jail that cannot be read does not hide the others. */
static int
list_all(struct listing *l, struct err *e)
{
	_auto_strv struct strv damaged = STRV_INIT;
	struct state *st = NULL;
	size_t n = 0;
	bool brief = !l->jls.params && !(l->jls.flags & JLS_VERBOSE);
	int status = 0, r = state_list_all(&l->cli->store, brief, &st, &n, &damaged, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < damaged.n; i++) {
		struct err one = ERR_INIT;
		struct state ignored = {0};

		if (state_read(&l->cli->store, damaged.v[i], &ignored, &one) < 0)
			status = cli_error(l->cli, &one);
		state_free(&ignored);
	}
	for (size_t i = 0; i < n; i++) {
		struct err one = ERR_INIT;

		r = list_if_wanted(l, &st[i], &one);
		if (r < 0 && r != -ENOENT)
			status = cli_error(l->cli, &one);
		state_free(&st[i]);
	}
	free(st);
	return status;
}

/* jls -c -j JAIL: only the exit status tells. */
static int
check_exists(const struct cli *cli, const char *jail)
{
	struct err e = ERR_INIT;
	struct listing l = {.cli = cli};
	int r;

	r = jls_init(&l.jls, 0, NULL, 0, &e);
	if (r == 0)
		r = list_one(&l, jail, &e);
	buf_free(&l.out);
	jls_free(&l.jls);
	return r < 0;
}

static unsigned
flags_of_options(void)
{
	unsigned f = 0;

	f |= lo.name ? JLS_NAME : 0;
	f |= lo.header ? JLS_HEADER : 0;
	f |= lo.nameval ? JLS_NAMEVAL : 0;
	f |= lo.quote ? JLS_QUOTE : 0;
	f |= lo.skip ? JLS_SKIP : 0;
	f |= lo.verbose ? JLS_VERBOSE : 0;
	return f;
}

/* --libxo: text and json are made; "json,pretty" and the short forms ":J" and ":T" are understood. */
static int
wants_json(struct cli *cli, const struct command *cmd, bool *ret)
{
	*ret = cli->json;
	if (!lo.libxo)
		return 0;
	if (str_after(lo.libxo, "json") || streq(lo.libxo, ":J"))
		*ret = true;
	else if (!streq(lo.libxo, "text") && !streq(lo.libxo, ":T"))
		return cli_usage(cli, cmd, "--libxo: only text and json can be written, not '%s'", lo.libxo);
	return 0;
}

static int
list_run(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct listing l = {.cli = cli};
	bool json;
	int r = wants_json(cli, cmd, &json);

	if (r)
		return r;
	if (lo.exists && !lo.jail)
		return cli_usage(cli, cmd, "-j jail to check must be provided for -c");
	if (jls_init(&l.jls, flags_of_options(), argv, (size_t)argc, &e) < 0)
		return cli_error(cli, &e);
	r = cli_store(cli, STORE_READ);
	if (r == 0)
		r = cli_recover(cli);
	if (r == 0 && lo.exists) {
		jls_free(&l.jls);
		return check_exists(cli, lo.jail);
	}
	if (r == 0) {
		l.rows = json ? json_array() : NULL;
		if (!json)
			jls_put_header(&l.out, &l.jls);
		r = lo.jail ? list_one(&l, lo.jail, &e) : list_all(&l, &e);
		if (r < 0)
			r = cli_error(cli, &e);
		else if (json)
			jls_put_json(&l.out, TAKE_PTR(l.rows));
		if (r == 0 || !lo.jail)
			(void)fwrite(l.out.s, 1, l.out.len, stdout);
	}
	json_decref(l.rows);
	buf_free(&l.out);
	jls_free(&l.jls);
	return r;
}

static const struct opt list_opts[] = {
    {'a', NULL, OPT_FLAG, &lo.dying, NULL, "the same as -d"},
    {'c', NULL, OPT_FLAG, &lo.exists, NULL,
     "print nothing: the exit status says whether the jail of -j exists"},
    {'d', NULL, OPT_FLAG, &lo.dying, NULL, "also jails that have ended and are not cleaned up yet"},
    {'h', NULL, OPT_FLAG, &lo.header, NULL,
     "begin with a line of parameter names (all parameters if none is given)"},
    {'N', NULL, OPT_FLAG, &lo.name, NULL, "names instead of JIDs"},
    {'n', NULL, OPT_FLAG, &lo.nameval, NULL, "print name=value (all parameters if none is given)"},
    {'q', NULL, OPT_FLAG, &lo.quote, NULL, "quote values that need it"},
    {'s', NULL, OPT_FLAG, &lo.skip, NULL, "print name=value as jail(8) takes it"},
    {'v', NULL, OPT_FLAG, &lo.verbose, NULL, "four lines a jail: name, state, cpuset and all addresses"},
    {'j', NULL, OPT_STRING, &lo.jail, "JAIL", "only this jail (JID or name)"},
    {0, "libxo", OPT_STRING, &lo.libxo, "FORMAT", "text or json"},
    OPT_END,
};

static int list_main(struct cli *cli, int argc, char **argv);
static int jls_main(struct cli *cli, int argc, char **argv);

const struct command cmd_list = {
    .name = "list",
    .usage = "[-acdhNnqsv] [-j JAIL] [PARAMETER...]",
    .help = "Lists running jails, or parameters of them.",
    .opts = list_opts,
    .run = list_main,
};
const struct command cmd_jls = {
    .name = "jls",
    .usage = "[--libxo FORMAT] [-acdhNnqsv] [-j JAIL] [PARAMETER...]",
    .help = "As jls(8): lists running jails.",
    .opts = list_opts,
    .flags = CMD_READS_REST | CMD_HIDDEN,
    .run = jls_main,
};

static int
list_main(struct cli *cli, int argc, char **argv)
{
	return list_run(cli, &cmd_list, argc, argv);
}

static int
jls_main(struct cli *cli, int argc, char **argv)
{
	int r = list_run(cli, &cmd_jls, argc, argv);

	return r == 2 ? 1 : r; /* as jls(8) for wrong use */
}
