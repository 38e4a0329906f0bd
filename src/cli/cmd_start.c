/* SPDX-License-Identifier: BSD-2-Clause */
/* start, stop, restart: the jails named, with what they depend on, in order and side by side. */
#include "cli/cli.h"
#include "run/run.h"

static bool opt_all;
static int opt_parallel;
static bool opt_force;

static const struct opt start_opts[] = {
    {'a', "all", OPT_FLAG, &opt_all, NULL, "every configured jail"},
    {'p', "parallel", OPT_INT, &opt_parallel, "N", "at most N jails at a time (default: 4 for each CPU)"},
    OPT_END,
};
static const struct opt stop_opts[] = {
    {'a', "all", OPT_FLAG, &opt_all, NULL, "every jail that runs"},
    {'p', "parallel", OPT_INT, &opt_parallel, "N", "at most N jails at a time (default: 4 for each CPU)"},
    {0, "force", OPT_FLAG, &opt_force, NULL, "end them at once: no exec.*, no waiting"},
    OPT_END,
};

struct batch {
	struct cli *cli;
	struct jailspec **spec; /* NULL: not in the configuration (stop only) */
	struct run_job *job;
	size_t n, cap;
	bool stopping;
	json_t *results;
};

static ssize_t
batch_index(const struct batch *b, const char *label)
{
	for (size_t i = 0; i < b->n; i++)
		if (streq(b->job[i].label, label))
			return (ssize_t)i;
	return -1;
}

static void
batch_add(struct batch *b, char *label, struct jailspec *spec)
{
	if (b->n >= b->cap) {
		b->cap = b->cap ? b->cap * 2 : 8;
		b->job = xrealloc(b->job, b->cap, sizeof(*b->job));
		b->spec = xrealloc(b->spec, b->cap, sizeof(struct jailspec *));
	}
	b->spec[b->n] = spec;
	b->job[b->n++] = (struct run_job){label, spec ? &spec->depend : NULL};
}

static void
batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		jailspec_free(b->spec[i]);
		free((char *)(uintptr_t)b->job[i].label);
	}
	free(b->spec);
	free(b->job);
}

/* One jail and, before it, what it depends on and does not run yet. */
static int
add_start(struct batch *b, const char *label)
{
	struct jailspec *spec;
	struct err e = ERR_INIT;

	if (batch_index(b, label) >= 0)
		return 0;
	if (conf_jail(b->cli->conf, label, &spec, &e) < 0)
		return cli_fail(b->cli, label, &e);
	batch_add(b, xstrdup(label), spec);
	for (size_t i = 0; i < spec->depend.n; i++)
		if (!run_is_running(&b->cli->store, spec->depend.v[i]) &&
		    add_start(b, spec->depend.v[i]) != 0)
			return 1;
	return 0;
}

/* A jail by label, name or JID; its specification when a file has one. */
static int
add_stop(struct batch *b, const char *word)
{
	struct jailspec *spec = NULL;
	struct err e = ERR_INIT;
	struct state st;
	int found;

	if (b->cli->conf && conf_has(b->cli->conf, word) && conf_jail(b->cli->conf, word, &spec, &e) < 0)
		spec = NULL; /* its recorded one will do */
	err_clear(&e);
	if (batch_index(b, word) >= 0) {
		jailspec_free(spec);
		return 0;
	}
	found = state_find(&b->cli->store, spec ? spec->name : word, &st, &e);
	if (found < 0)
		return cli_fail(b->cli, word, &e);
	if (found == 0 && !spec) {
		(void)err_set(&e, ENOENT, "no such jail (brig status)");
		return cli_fail(b->cli, word, &e);
	}
	if (found > 0 && !spec && conf_has(b->cli->conf, st.name))
		(void)conf_jail(b->cli->conf, st.name, &spec, &e);
	batch_add(b, xstrdup(found > 0 && !spec ? st.name : spec ? spec->label : word), spec);
	if (found > 0)
		state_free(&st);
	return 0;
}

/* Those that run and depend on one of the batch must stop, too, and first. */
static void
add_dependants(struct batch *b)
{
	const struct strv *all = conf_jails(b->cli->conf);
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < all->n; i++) {
			struct jailspec *spec;
			struct err e = ERR_INIT;
			bool add = false;

			if (batch_index(b, all->v[i]) >= 0 ||
			    conf_jail(b->cli->conf, all->v[i], &spec, &e) < 0)
				continue;
			for (size_t k = 0; k < spec->depend.n && !add; k++)
				add = batch_index(b, spec->depend.v[k]) >= 0 &&
				      run_is_running(&b->cli->store, spec->name);
			if (add)
				batch_add(b, xstrdup(all->v[i]), spec);
			else
				jailspec_free(spec);
			more |= add;
		}
	}
}

static int
work(void *ctx, const char *label, struct err *e)
{
	struct batch *b = ctx;
	struct jailspec *spec = b->spec[batch_index(b, label)];
	struct run_report rep = cli_report(b->cli);

	if (b->stopping)
		return run_stop(&b->cli->store, spec ? spec->name : label, spec, opt_force ? STOP_FORCE : 0,
				&rep, e);
	return run_start(&b->cli->store, spec, NULL, &rep, e);
}

static void
done(void *ctx, const char *label, int r, long ms, const struct err *e)
{
	struct batch *b = ctx;
	const char *word =
	    b->stopping ? (r == 1 ? "was not running" : "stopped") : (r == 1 ? "runs already" : "started");

	if (b->cli->json)
		json_array_append_new(b->results, json_pack("{s:s, s:s, s:I, s:s*}", "jail", label, "result",
							    r < 0 ? "failed" : word, "ms", (json_int_t)ms,
							    "error", r < 0 ? e->msg : NULL));
	if (r < 0)
		(void)cli_fail(b->cli, label, e);
	else if (r == 1)
		cli_say(b->cli, "%s: %s", label, word);
	else
		cli_say(b->cli, "%s: %s (%ld ms)", label, word, ms);
}

static int
run_batch(struct batch *b)
{
	struct err e = ERR_INIT;
	int failed;

	b->results = json_array();
	failed = b->n ? run_many(b->job, b->n, b->stopping, opt_parallel, work, done, b, &e) : 0;
	if (b->cli->json)
		(void)cli_json(b->results);
	else
		json_decref(b->results);
	return failed ? 1 : 0;
}

static int
start_run(struct cli *cli, int argc, char **argv)
{
	_auto_strv struct strv names = STRV_INIT;
	struct batch b = {.cli = cli};
	int failed = 0, r = cli_conf_usable(cli);

	if (r == 0)
		r = cli_jails(cli, &cmd_start, argc, argv, opt_all, &names);
	if (r == 0)
		r = cli_store(cli, STORE_CREATE);
	if (r != 0)
		return r;
	for (size_t i = 0; i < names.n; i++)
		failed |= add_start(&b, names.v[i]);
	r = run_batch(&b);
	batch_free(&b);
	return failed || r;
}

static int
all_running(struct cli *cli, struct strv *names)
{
	struct err e = ERR_INIT;
	struct state *list;
	size_t n;

	if (state_list(&cli->store, &list, &n, &e) < 0)
		return cli_error(cli, &e);
	for (size_t i = 0; i < n; i++) {
		strv_add(names, list[i].name);
		state_free(&list[i]);
	}
	free(list);
	return 0;
}

static int
stop_them(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	_auto_strv struct strv names = STRV_INIT;
	struct batch b = {.cli = cli, .stopping = true};
	int failed = 0, r;

	(void)cli_conf(cli, true);
	r = cli_store(cli, STORE_CREATE);
	if (r == 0 && opt_all)
		r = argc > 0 ? cli_usage(cli, cmd, "-a and names exclude each other")
			     : all_running(cli, &names);
	else if (r == 0)
		r = cli_jails(cli, cmd, argc, argv, false, &names);
	if (r != 0)
		return r;
	for (size_t i = 0; i < names.n; i++)
		failed |= add_stop(&b, names.v[i]);
	add_dependants(&b);
	r = run_batch(&b);
	batch_free(&b);
	return failed || r;
}

static int
stop_run(struct cli *cli, int argc, char **argv)
{
	return stop_them(cli, &cmd_stop, argc, argv);
}

/* A jail that does not run is started all the same. */
static int
restart_run(struct cli *cli, int argc, char **argv)
{
	_auto_strv struct strv names = STRV_INIT;
	struct batch down = {.cli = cli, .stopping = true}, up = {.cli = cli};
	int failed = 0, r = cli_conf_usable(cli);

	if (r == 0)
		r = cli_jails(cli, &cmd_restart, argc, argv, opt_all, &names);
	if (r == 0)
		r = cli_store(cli, STORE_CREATE);
	if (r != 0)
		return r;
	for (size_t i = 0; i < names.n; i++)
		if (run_is_running(&cli->store, names.v[i]))
			failed |= add_stop(&down, names.v[i]);
	add_dependants(&down);
	for (size_t i = 0; i < names.n; i++)
		failed |= add_start(&up, names.v[i]);
	for (size_t i = 0; i < down.n; i++) /* dependants that were stopped come back */
		failed |= add_start(&up, down.job[i].label);
	r = run_batch(&down);
	if (r == 0)
		r = run_batch(&up);
	batch_free(&down);
	batch_free(&up);
	return failed || r;
}

const struct command cmd_start = {
    "start", "[-a | NAME...]", "Starts jails, and before them what they depend on.", start_opts, WORDS_JAIL,
    0,       start_run,
};
const struct command cmd_stop = {
    "stop",    "[-a | NAME...]", "Stops jails, and before them those that depend on them.",
    stop_opts, WORDS_RUNNING,    0,
    stop_run,
};
const struct command cmd_restart = {
    "restart", "[-a | NAME...]", "Stops jails if they run, and starts them.", stop_opts, WORDS_JAIL,
    0,         restart_run,
};
