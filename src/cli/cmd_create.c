/* SPDX-License-Identifier: BSD-2-Clause */
/* `brig create`: makes the jailspaces of configured jails, or new jails with their definition. */
#include <arpa/inet.h>
#include <time.h>

#include "base/name.h"
#include "base/path.h"
#include "cli/cli.h"
#include "cli/define.h"
#include "run/run.h"

static const char *opt_template, *opt_space;
static struct strv opt_params, opt_ip;

static const struct opt create_opts[] = {
    {'t', "template", OPT_STRING, &opt_template, "TEMPLATE[/RELEASE]",
     "its template (default " STORE_TEMPLATE ")"},
    {0, "ip", OPT_LIST, &opt_ip, "ADDR", "an address, IPv4 or IPv6 (repeatable)"},
    {'o', "option", OPT_LIST, &opt_params, "PARAM=VALUE", "a parameter of jail.conf (repeatable)"},
    {0, "space", OPT_STRING, &opt_space, "SPACE",
     "where its jailspace is: a directory, image:FILE, device:DEV or tmpfs:SIZE"},
    OPT_END,
};

/* Counts what the copying reports, for the line at the end, and passes it on. */
struct meter {
	struct progress p;
	struct progress *bar; /* may be NULL */
	uint64_t files;
	struct timespec start;
};

static void
meter_step(void *ctx, const char *what)
{
	struct meter *m = ctx;

	if (m->bar)
		m->bar->step(m->bar->ctx, what);
}

static void
meter_at(void *ctx, uint64_t done, uint64_t total)
{
	struct meter *m = ctx;

	m->files = done;
	if (m->bar)
		m->bar->at(m->bar->ctx, done, total);
}

static long
meter_ms(const struct meter *m)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - m->start.tv_sec) * 1000L + (now.tv_nsec - m->start.tv_nsec) / 1000000L;
}

/* "1,234" */
static char *
with_commas(uint64_t n)
{
	_auto_free char *digits = xasprintf("%llu", (unsigned long long)n);
	struct buf b = BUF_INIT;
	size_t len = strlen(digits);

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf_addc(&b, ',');
		buf_addc(&b, digits[i]);
	}
	return buf_take(&b);
}

/* The options of the command line as parameters. */
static void
option_words(struct strv *ret)
{
	if (opt_template)
		strv_addf(ret, "template=%s", opt_template);
	for (size_t i = 0; i < opt_ip.n; i++)
		strv_addf(ret, "%s+=%s", strchr(opt_ip.v[i], ':') ? "ip6.addr" : "ip4.addr", opt_ip.v[i]);
	if (opt_space) {
		/* a directory may be relative to the working directory; "image:FILE" is taken as it is */
		_auto_free char *real = strchr(opt_space, ':') ? NULL : path_real(opt_space);

		strv_addf(ret, "space=%s", real ? real : opt_space);
	}
	strv_copy(ret, &opt_params);
}

/* The names of the parameters that the words set; always with template, so that a later default changes
 * nothing. */
static void
option_names(const struct strv *words, struct strv *ret)
{
	strv_add(ret, "template");
	for (size_t i = 0; i < words->n; i++) {
		_auto_free char *name = xstrndup(words->v[i], strcspn(words->v[i], "="));
		size_t len = strlen(name);
		const struct param_def *def;

		if (len > 0 && name[len - 1] == '+')
			name[len - 1] = '\0';
		def = param_find(name, NULL);
		if (!strv_has(ret, def ? def->name : name))
			strv_add(ret, def ? def->name : name);
	}
}

/* One jail to make. */
struct making {
	struct jailspec *spec;
	struct strv names; /* parameters for its definition */
	char *place;       /* where the definition goes; NULL: the configuration has it */
};

static void
making_free(struct making *m)
{
	jailspec_free(m->spec);
	strv_free(&m->names);
	free(m->place);
}

static int
plan_defined(struct cli *cli, const char *name, const struct strv *words, struct making *m, struct err *e)
{
	if (conf_jail(cli->conf, name, &m->spec, e) < 0)
		return -e->num;
	if (words->n == 0)
		return 0;
	return err_set(e, EEXIST,
		       "is defined at %s: change it there (options are for jails that no file defines)",
		       m->spec->where ? m->spec->where : "the configuration");
}

/* Refuses an address of another jail: the definition would be refused when it is read. */
static int
check_addresses(struct cli *cli, const struct jailspec *spec, struct err *e)
{
	const struct strv *all = conf_jails(cli->conf);
	int r = 0;

	for (size_t i = 0; spec->n_addrs > 0 && r == 0 && i < all->n; i++) {
		struct jailspec *other = NULL;
		struct err ignore = ERR_INIT;

		if (conf_jail(cli->conf, all->v[i], &other, &ignore) < 0)
			continue;
		for (size_t k = 0; r == 0 && k < spec->n_addrs * other->n_addrs; k++) {
			const struct spec_addr *a = &spec->addrs[k / other->n_addrs];
			const struct spec_addr *b = &other->addrs[k % other->n_addrs];
			char text[INET6_ADDRSTRLEN];

			if (a->family == b->family &&
			    memcmp(&a->addr, &b->addr, a->family == AF_INET ? 4 : 16) == 0)
				r = err_set(e, EADDRINUSE, "address %s is jail %s's (%s)",
					    inet_ntop(a->family, &a->addr, text, sizeof(text)), other->label,
					    other->where ? other->where : "the configuration");
		}
		jailspec_free(other);
	}
	return r;
}

/* The specification of a jail that no file defines, from the words and the wildcard sections. */
static int
default_jail(struct cli *cli, const char *name, const struct strv *words, struct jailspec **ret,
	     struct err *e)
{
	for (size_t i = 0; i < words->n; i++)
		if (conf_override(cli->conf, name, words->v[i], e) < 0)
			return -e->num;
	return conf_default_jail(cli->conf, name, ret, e);
}

/* Without anything to run, the jail runs /etc/rc as in the Handbook, which reads its rc.conf. */
static int
run_rc(struct cli *cli, const char *name, struct strv *words, struct making *m, struct err *e)
{
	_auto_strv struct strv rc = STRV_INIT;
	const struct jailspec *s = m->spec;

	if (s->root != ROOT_TEMPLATE || s->persist || s->service.n || s->exec[EXEC_START].n ||
	    s->exec[EXEC_COMMAND].n)
		return 0;
	strv_add(&rc, "persist=true");
	strv_add(&rc, "exec.start=/bin/sh /etc/rc");
	strv_add(&rc, "exec.stop=/bin/sh /etc/rc.shutdown");
	strv_copy(words, &rc);
	jailspec_free(m->spec);
	m->spec = NULL;
	return default_jail(cli, name, &rc, &m->spec, e);
}

static int
plan_new(struct cli *cli, const char *name, const struct strv *given, struct making *m, struct err *e)
{
	_auto_strv struct strv all = STRV_INIT;
	struct strv *words = &all;

	strv_copy(words, given);
	m->place = define_place(cli, name, e);
	if (!m->place)
		return -e->num;
	if (default_jail(cli, name, words, &m->spec, e) < 0 || run_rc(cli, name, words, m, e) < 0 ||
	    check_addresses(cli, m->spec, e) < 0)
		return -e->num;
	if (m->spec->root == ROOT_TEMPLATE && !params_get(&m->spec->params, "template"))
		strv_add(&params_set(&m->spec->params, "template")->values, m->spec->template);
	option_names(words, &m->names);
	return 0;
}

static int
define(const struct making *m, struct err *e)
{
	if (!m->place)
		return 0;
	if (define_write(m->spec, &m->names, m->place, e) < 0)
		return err_wrap(e, "was created, but not defined: run the same command again");
	return 0;
}

static json_t *
result(const struct making *m, const struct record *rec, const char *what, const struct meter *meter)
{
	return json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:I, s:I}", "name", m->spec->name, "result", what,
			 "template", rec->template, "release", rec->release, "definition", m->place, "files",
			 (json_int_t)meter->files, "ms", (json_int_t)meter_ms(meter));
}

static void
say_made(const struct cli *cli, const struct making *m, const struct record *rec, const struct meter *meter)
{
	_auto_free char *files = with_commas(meter->files);

	if (!rec->template)
		cli_say(cli, "%s: created, its root is %s", m->spec->label, m->spec->path);
	else if (meter->files == 0)
		cli_say(cli, "%s: created from %s/%s (filled at each start)", m->spec->label, rec->template,
			rec->release);
	else
		cli_say(cli, "%s: created from %s/%s (%s files, %ld ms)", m->spec->label, rec->template,
			rec->release, files, meter_ms(meter));
}

/* The jail existed: an error, unless it has no definition yet and the one asked for fits it. */
static int
existed(const struct cli *cli, const struct making *m, const struct record *rec, struct err *e)
{
	if (!m->place)
		return err_set(e, EEXIST, "exists already (brig start %s)", m->spec->name);
	if (m->spec->template && (!rec->template || !streq(rec->template, m->spec->template)))
		return err_set(e, EEXIST, "exists already, from template %s",
			       rec->template ? rec->template : "(none)");
	if (define(m, e) < 0)
		return -e->num;
	cli_say(cli, "%s: existed already; is now defined in %s", m->spec->label, m->place);
	return 0;
}

static int
make(struct cli *cli, const struct making *m, json_t *results, struct err *e)
{
	static const char *const words[] = {"created", "adopted", "existed", "new ids"};
	_auto_(record_free) struct record rec = {0};
	struct meter meter = {.bar = progress_start(cli, m->spec->label)};
	int r, what;

	meter.p = (struct progress){meter_step, meter_at, &meter};
	(void)clock_gettime(CLOCK_MONOTONIC, &meter.start);
	what = run_create(&cli->store, m->spec, &meter.p, e);
	progress_end(meter.bar);
	if (what < 0)
		return what;
	r = record_read(&cli->store, m->spec->name, &rec, e);
	if (r < 0)
		return r;
	if (what == RUN_CREATE_EXISTED)
		r = existed(cli, m, &rec, e);
	else
		r = define(m, e);
	if (r < 0)
		return r;
	if (what == RUN_CREATE_MADE)
		say_made(cli, m, &rec, &meter);
	else if (what == RUN_CREATE_NEW_IDS)
		cli_say(cli, "%s: existed; another jail had its host ids, too: it has new ones now",
			m->spec->label);
	else if (what == RUN_CREATE_ADOPTED)
		cli_say(cli, "%s: its jailspace existed: adopted, on %s/%s", m->spec->label, rec.template,
			rec.release);
	json_array_append_new(results, result(m, &rec, words[what], &meter));
	return 0;
}

static int
create_one(struct cli *cli, const char *name, const struct strv *words, json_t *results)
{
	_auto_(making_free) struct making m = {0};
	struct err e = ERR_INIT;
	int r = name_check("jail", name, &e);

	if (r < 0)
		return cli_error(cli, &e);
	r = conf_has(cli->conf, name) ? plan_defined(cli, name, words, &m, &e)
				      : plan_new(cli, name, words, &m, &e);
	if (r == 0)
		r = make(cli, &m, results, &e);
	return r < 0 ? cli_fail(cli, name, &e) : 0;
}

static bool
gives_address(void)
{
	bool any = opt_ip.n > 0;

	for (size_t i = 0; i < opt_params.n; i++)
		any = any || str_after(opt_params.v[i], "ip4.addr") || str_after(opt_params.v[i], "ip6.addr");
	return any;
}

static int
run_create_cmd(struct cli *cli, int argc, char **argv)
{
	_auto_strv struct strv words = STRV_INIT;
	json_t *results;
	int status;

	if (argc == 0)
		return cli_usage(cli, &cmd_create, "no jail named");
	if (argc > 1 && gives_address())
		return cli_usage(cli, &cmd_create, "an address is for one jail, not for %d", argc);
	status = cli_conf_usable(cli);
	if (status == 0)
		status = cli_store(cli, STORE_CREATE);
	if (status != 0)
		return status;
	option_words(&words);
	results = json_array();
	for (int i = 0; i < argc; i++)
		if (create_one(cli, argv[i], &words, results) != 0)
			status = 1;
	if (cli->json)
		status |= cli_json(results);
	else
		json_decref(results);
	return status;
}

const struct command cmd_create = {
    "create",
    "[-t TEMPLATE[/RELEASE]] [--ip ADDR]... [-o PARAM=VALUE]... [--space SPACE] NAME...",
    "Makes the jailspaces of jails; a jail that no file defines is defined, too.",
    create_opts,
    WORDS_JAIL,
    0,
    run_create_cmd,
};
