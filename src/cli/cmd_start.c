/* SPDX-License-Identifier: BSD-2-Clause */
/* start, stop, restart: the jails named, with what they depend on, in order and side by side. */
#include "base/name.h"
#include "cli/cli.h"
#include "run/run.h"

static bool opt_all;
static int opt_parallel;
static bool opt_force, opt_dry;

static const struct opt start_opts[] = {
    {'a', "all", OPT_FLAG, &opt_all, NULL, "every configured jail"},
    {'p', "parallel", OPT_INT, &opt_parallel, "N", "at most N jails at a time (default: 4 for each CPU)"},
    {'n', "dry-run", OPT_FLAG, &opt_dry, NULL, "print what would be done, step by step, and do nothing"},
    OPT_END,
};
static const struct opt stop_opts[] = {
    {'a', "all", OPT_FLAG, &opt_all, NULL, "every jail that runs"},
    {'p', "parallel", OPT_INT, &opt_parallel, "N", "at most N jails at a time (default: 4 for each CPU)"},
    {0, "force", OPT_FLAG, &opt_force, NULL, "end them at once: no exec.*, no waiting"},
    {'n', "dry-run", OPT_FLAG, &opt_dry, NULL, "print what would be done, step by step, and do nothing"},
    OPT_END,
};

/* Jails of a command, each with its job. */
struct one {
	struct jailspec *spec; /* NULL: not in the configuration (stop only) */
	struct run_was was; /* restart: where it ran */
	int r;                 /* how its stop went */
};
struct batch {
	struct cli *cli;
	struct one *one;
	struct run_job *job;
	size_t n, cap;
	bool stopping, restarts, degraded; /* degraded: one runs without all of its services */
	json_t *results; /* NULL: without --json */
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
		b->one = xrealloc(b->one, b->cap, sizeof(*b->one));
	}
	b->one[b->n] = (struct one){.spec = spec};
	b->job[b->n++] = (struct run_job){label, spec ? &spec->depend : NULL};
}

static void
batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		jailspec_free(b->one[i].spec);
		run_was_free(&b->one[i].was);
		free((char *)(uintptr_t)b->job[i].label);
	}
	free(b->one);
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
	if (found < 0 && !(found == -EINVAL && opt_force)) { /* run_stop() can do with a damaged state */
		jailspec_free(spec);
		return cli_fail(b->cli, word, &e);
	}
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

static const char *
name_of(const struct batch *b, size_t i)
{
	return b->one[i].spec ? b->one[i].spec->name : b->job[i].label;
}

/* What has been stopped only to be started again is: that is not interrupted. */
static int
work(void *ctx, const char *label, struct err *e)
{
	struct batch *b = ctx;
	size_t i = (size_t)batch_index(b, label);
	const struct one *one = &b->one[i];
	struct run_caller who = cli_caller(b->cli);
	struct run_start_opts o = {.before = one->was.made ? &one->was : NULL};

	if (b->stopping)
		return run_stop(&b->cli->store, name_of(b, i), one->spec,
				(opt_force ? STOP_FORCE : 0) | (b->restarts ? STOP_RETURNS : 0), &who, e);
	if (one->was.made)
		who.in = NULL;
	return run_start(&b->cli->store, one->spec, &o, &who, e);
}

static void
done(void *ctx, const char *label, int r, long ms, const struct err *e)
{
	struct batch *b = ctx;
	const char *word =
	    b->stopping ? (r == 1 ? "was not running" : "stopped")
			: (r == 1 ? "runs already" : r == RUN_DEGRADED ? "started, degraded" : "started");

	b->one[batch_index(b, label)].r = r;
	b->degraded |= !b->stopping && r == RUN_DEGRADED;
	if (b->results)
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

/* In the order of the configuration: nothing is done, nothing fails. */
static int
print_plans(const struct batch *b)
{
	int status = 0;

	for (size_t i = 0; i < b->n; i++) {
		_auto_strv struct strv lines = STRV_INIT;
		const struct one *one = &b->one[i];
		struct err e = ERR_INIT;
		int r = b->stopping ? run_stop_plan(&b->cli->store, name_of(b, i), one->spec, &lines, &e)
				    : run_start_plan(&b->cli->store, one->spec, b->restarts, &lines, &e);

		if (r < 0)
			status = cli_fail(b->cli, b->job[i].label, &e);
		else if (r == 1)
			cli_say(b->cli, "%s: %s", b->job[i].label, b->stopping ? "does not run" : "runs already");
		for (size_t k = 0; r == 0 && k < lines.n; k++) {
			_auto_free char *text = text_printable(lines.v[k], 4096);

			cli_say(b->cli, "%s: %s", b->job[i].label, text);
		}
	}
	return status;
}

/* Restart: the second half is done to the end whatever arrives, or jails would stay down. */
static int
run_batch(struct batch *b)
{
	bool to_the_end = b->restarts && !b->stopping;
	struct run_batch many = {.jobs = b->job,
				 .n = b->n,
				 .reverse = b->stopping,
				 .parallel = opt_parallel,
				 .keep_going = to_the_end,
				 .in = to_the_end ? NULL : interrupt_catch(),
				 .work = work,
				 .done = done,
				 .ctx = b};

	if (opt_dry)
		return print_plans(b);
	return b->n > 0 && (run_many(&many) > 0 || b->degraded);
}

static int
run_and_print(struct batch *b)
{
	int r;

	b->results = b->cli->json ? json_array() : NULL;
	r = run_batch(b);
	if (b->results)
		(void)cli_json(b->results);
	return r;
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
	r = run_and_print(&b);
	batch_free(&b);
	return failed || r;
}

static int
all_running(struct cli *cli, struct strv *names)
{
	struct err e = ERR_INIT;
	struct state *list;
	size_t n;

	/* the damaged ones, too: each says what is wrong with it, or is taken away */
	if (state_list_all(&cli->store, true, &list, &n, names, &e) < 0)
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
	/* they are not started again first because somebody was killed while they were down */
	for (int i = 0; i < argc; i++)
		strv_add(&cli->leave, argv[i]);
	if (opt_all)
		strv_add(&cli->leave, "*");
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
	r = run_and_print(&b);
	batch_free(&b);
	return failed || r;
}

static int
stop_run(struct cli *cli, int argc, char **argv)
{
	return stop_them(cli, &cmd_stop, argc, argv);
}

/* What each of them runs as: it is that again if it cannot be started as it is configured now. */
static int
look_at_running(struct batch *down)
{
	int failed = 0;

	for (size_t i = 0; i < down->n; i++) {
		struct err e = ERR_INIT;

		if (run_was(&down->cli->store, name_of(down, i), &down->one[i].was, &e) < 0)
			failed = cli_fail(down->cli, down->job[i].label, &e);
	}
	return failed;
}

/* Those that have been stopped come back, those that did not run are started; one that could not be stopped runs. */
static int
add_stopped(struct batch *up, struct batch *down)
{
	int failed = 0;

	for (size_t i = 0; i < down->n; i++) {
		ssize_t at;

		failed |= add_start(up, down->job[i].label);
		at = batch_index(up, down->job[i].label);
		if (at < 0)
			continue;
		up->one[at].was = down->one[i].was;
		down->one[i].was.made = NULL;
	}
	return failed;
}

static void
drop_unstopped(struct batch *up, const struct batch *down)
{
	size_t n = 0;

	for (size_t i = 0; i < up->n; i++) {
		ssize_t at = batch_index(down, up->job[i].label);

		if (at >= 0 ? down->one[at].r >= 0 : !interrupt_pending(interrupt_catch())) {
			up->one[n] = up->one[i];
			up->job[n++] = up->job[i];
			continue;
		}
		jailspec_free(up->one[i].spec);
		run_was_free(&up->one[i].was);
		free((char *)(uintptr_t)up->job[i].label);
	}
	up->n = n;
}

/* A jail that does not run is started all the same. */
static int
restart_run(struct cli *cli, int argc, char **argv)
{
	_auto_strv struct strv names = STRV_INIT;
	struct batch down = {.cli = cli, .stopping = true, .restarts = true}, up = {.cli = cli, .restarts = true};
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
	failed |= look_at_running(&down);
	for (size_t i = 0; i < names.n; i++)
		failed |= add_start(&up, names.v[i]);
	failed |= add_stopped(&up, &down);
	if (opt_dry) {
		r = print_plans(&up);
	} else {
		down.results = up.results = cli->json ? json_array() : NULL;
		r = run_batch(&down);
		drop_unstopped(&up, &down);
		r |= run_batch(&up);
		if (up.results)
			(void)cli_json(up.results);
	}
	batch_free(&down);
	batch_free(&up);
	return failed || r;
}

const struct command cmd_start = {
    "start", "[-n] [-a | NAME...]", "Starts jails, and before them what they depend on.", start_opts, WORDS_JAIL,
    0,       start_run,
};
const struct command cmd_stop = {
    "stop",    "[-n] [-a | NAME...]", "Stops jails, and before them those that depend on them.",
    stop_opts, WORDS_RUNNING,    0,
    stop_run,
};
const struct command cmd_restart = {
    "restart", "[-n] [-a | NAME...]", "Stops jails if they run, and starts them.", stop_opts, WORDS_JAIL,
    0,         restart_run,
};
