/* SPDX-License-Identifier: BSD-2-Clause */
/* upgrade, rollback: all jails of a template to another release, and back. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/name.h"
#include "cli/cli.h"
#include "cli/recipe.h"
#include "cli/release_diff.h"
#include "run/upgrade.h"

static struct {
	bool dry, all_at_once, no_restart, keep_going, ignore_listen, keep_data, with_data;
	int jobs;
	const char *canary, *rules, *release;
	struct strv overlays, always, ignore, jails, force, keep;
} opt;

#define COMMON_OPTS                                                                                            \
	{'n', "dry-run", OPT_FLAG, &opt.dry, NULL, "print the plan and stop"},                                 \
	    {'j', "jobs", OPT_INT, &opt.jobs, "N", "switch N jails at a time (default: one after the other)"}, \
	    {0,           "canary", OPT_STRING,                                                                \
	     &opt.canary, "NAME",   "this jail first, alone; the rest when it is well"},                       \
	    {0, "all-at-once", OPT_FLAG, &opt.all_at_once, NULL, "stop all, switch all, start all"},           \
	    {0, "no-restart", OPT_FLAG, &opt.no_restart, NULL, "running jails switch at their next start"},    \
	    {0, "keep-going", OPT_FLAG, &opt.keep_going, NULL, "go on with the others when one fails"},        \
	    {0, "force", OPT_LIST, &opt.force, "NAME", "this jail, too, whatever its data need (repeatable)"}, \
	{                                                                                                      \
		0, "jail", OPT_LIST, &opt.jails, "NAME", "only this jail (repeatable)"                         \
	}

static const struct opt upgrade_opts[] = {
    COMMON_OPTS,
    {'A', "always", OPT_LIST, &opt.always, "PATTERNS", "files that become the release's in any case"},
    {0, "ignore-listen", OPT_FLAG, &opt.ignore_listen, NULL,
     "that a service listens no more is no reason to go back"},
    {'I', "ignore", OPT_LIST, &opt.ignore, "PATTERNS", "files that are left alone"},
    {0, "keep-data", OPT_FLAG, &opt.keep_data, NULL, "keep a copy of the data that guards name, for rollback --with-data"},
    {0, "keep", OPT_LIST, &opt.keep, "PATHS", "keep a copy of these directories, too (repeatable)"},
    {0, "overlay", OPT_LIST, &opt.overlays, "DIR", "copy this directory over the tree (repeatable)"},
    {0, "rules", OPT_STRING, &opt.rules, "FILE", "rules of the split into template and skeleton"},
    {0, "release", OPT_STRING, &opt.release, "NAME", "name of the new release (default: today's date)"},
    OPT_END,
};
static const struct opt rollback_opts[] = {
    COMMON_OPTS,
    {0, "with-data", OPT_FLAG, &opt.with_data, NULL, "put back the data that the upgrade kept a copy of"},
    OPT_END,
};

/* One run of either command. */
struct job {
	struct cli *cli;
	const struct command *cmd;
	struct upgrade u;
	char *template, *release, *was_current;
	struct strv keep; /* of --keep, one path each */
	json_t *jails; /* --json: results */
	size_t done, later, failed, not_tried, held, conflicts; /* not_tried are a part of failed */
	int64_t total_us, longest_us;
	bool measured;
	long start_ms;
};

static void
job_free(struct job *j)
{
	upgrade_free(&j->u);
	free(j->template);
	free(j->release);
	free(j->was_current);
	strv_free(&j->keep);
	json_decref(j->jails);
}

/* ---- which jails ---- */

static bool
wanted(const char *label)
{
	return opt.jails.n == 0 || strv_has(&opt.jails, label);
}

/* A jail that no file defines: running, its state says what it is. */
static struct jailspec *
from_state(struct cli *cli, const char *name)
{
	struct jailspec *spec = NULL;
	struct err ignore = ERR_INIT;
	struct state st;

	if (state_read(&cli->store, name, &st, &ignore) <= 0)
		return NULL;
	if (spec_from_params(st.name, &st.params, cli->store.base, &spec, &ignore) < 0)
		spec = NULL;
	state_free(&st);
	return spec;
}

static bool
configured(const struct upgrade *u, const char *name)
{
	for (size_t i = 0; i < u->n; i++)
		if (streq(u->jail[i].spec->name, name))
			return true;
	return false;
}

/* A record of the template that no file and no running jail explains. */
static int
add_unconfigured(struct job *j, const char *name)
{
	struct jailspec *spec;
	struct err e = ERR_INIT;
	struct record rec;
	bool ours;

	if (conf_has(j->cli->conf, name) || configured(&j->u, name) || !wanted(name))
		return 0;
	if (record_read(&j->cli->store, name, &rec, &e) <= 0)
		return e.num ? cli_error(j->cli, &e) : 0;
	ours = rec.template && streq(rec.template, j->template);
	record_free(&rec);
	if (!ours)
		return 0;
	spec = from_state(j->cli, name);
	if (spec)
		return upgrade_add(&j->u, name, spec, &e) < 0 ? cli_fail(j->cli, name, &e) : 0;
	cli_warn(j->cli, "%s: has files of template %s but is in no configuration: left alone", name,
		 j->template);
	return 0;
}

/* Is each of them a jail of the template? */
static int
check_named(const struct job *j, const struct strv *names)
{
	int status = 0;

	for (size_t i = 0; i < names->n; i++) {
		bool found = false;

		for (size_t k = 0; k < j->u.n; k++)
			found |= streq(j->u.jail[k].label, names->v[i]);
		if (!found)
			status = cli_usage(j->cli, j->cmd, "%s: no jail of template %s (brig template list %s)",
					   names->v[i], j->template, j->template);
	}
	return status;
}

static int
gather(struct job *j)
{
	const struct strv *all = conf_jails(j->cli->conf);
	_auto_strv struct strv records = STRV_INIT;
	struct err e = ERR_INIT;
	int status = 0;

	for (size_t i = 0; i < all->n; i++) {
		struct jailspec *spec;
		struct err one = ERR_INIT;

		if (!wanted(all->v[i]))
			continue;
		if (conf_jail(j->cli->conf, all->v[i], &spec, &one) < 0 ||
		    upgrade_add(&j->u, all->v[i], spec, &one) < 0)
			status = cli_fail(j->cli, all->v[i], &one);
	}
	if (record_list(&j->cli->store, &records, &e) < 0)
		return cli_error(j->cli, &e);
	for (size_t i = 0; i < records.n; i++)
		status |= add_unconfigured(j, records.v[i]);
	return status != 0 ? status : check_named(j, &opt.jails) | check_named(j, &opt.force);
}

static int
check_canary(struct job *j)
{
	for (size_t i = 0; opt.canary && i < j->u.n; i++)
		if (streq(j->u.jail[i].label, opt.canary))
			return 0;
	return opt.canary
		   ? cli_usage(j->cli, j->cmd, "--canary %s: is not among the jails to switch", opt.canary)
		   : 0;
}

/* ---- the plan ---- */

/* Paths of all jails, each with its letter once and the jails it concerns. */
struct line {
	char letter;
	bool data, outside;
	const char *path;
	struct strv jails;
};

static char
letter_of(const struct merge_item *it)
{
	switch (it->act) {
	case MERGE_ADD:
		return 'A';
	case MERGE_UPDATE:
		return it->merged ? 'M' : 'U';
	case MERGE_REMOVE:
		return 'D';
	case MERGE_CONFLICT:
		return 'C';
	default:
		return 'K';
	}
}

static int
by_path(const void *pa, const void *pb)
{
	const struct line *a = pa, *b = pb;
	int c = strcmp(a->path, b->path);

	return c ? c : a->letter - b->letter;
}

/* One line for each jail and path first, sorted; then equal ones become one. */
static size_t
collect_lines(const struct upgrade *u, struct line **ret)
{
	struct line *v = NULL;
	size_t n = 0, cap = 0, out = 0;

	for (size_t i = 0; i < u->n; i++)
		for (size_t k = 0; k < u->jail[i].plan.n; k++) {
			const struct merge_item *it = &u->jail[i].plan.v[k];

			GROW(v, n, cap);
			v[n] = (struct line){letter_of(it), it->whole != WHOLE_NO, upgrade_is_outside(it), it->path,
					     STRV_INIT};
			strv_add(&v[n++].jails, u->jail[i].label);
		}
	if (n > 1)
		qsort(v, n, sizeof(*v), by_path);
	for (size_t i = 0; i < n; i++) {
		if (out > 0 && by_path(&v[out - 1], &v[i]) == 0) {
			strv_copy(&v[out - 1].jails, &v[i].jails);
			strv_free(&v[i].jails);
		} else {
			v[out++] = v[i];
		}
	}
	*ret = v;
	return out;
}

static void
print_line(const struct upgrade *u, struct line *l)
{
	_auto_free char *path = text_printable(l->path, 4096);
	_auto_free char *who = NULL;

	strv_sort(&l->jails);
	who = l->jails.n == u->n && u->n > 1 ? xstrdup("all") : strv_join(&l->jails, ", ");
	printf("  %c /%s  (%s%s)\n", l->letter, path, l->data ? "data: " : "", who);
}

/* all: every line; otherwise conflicts, and what is outside etc. */
static void
print_lines(const struct upgrade *u, bool all)
{
	size_t outside = 0, n;
	struct line *v;

	n = collect_lines(u, &v);
	for (size_t i = 0; i < n; i++) {
		outside += v[i].outside;
		if (!v[i].outside && (all || v[i].letter == 'C'))
			print_line(u, &v[i]);
	}
	if (outside)
		printf("outside /etc %s replaced or removed:\n", outside > 1 ? "these are" : "this is");
	for (size_t i = 0; i < n; i++) {
		if (v[i].outside)
			print_line(u, &v[i]);
		strv_free(&v[i].jails);
	}
	free(v);
}

static char *
number(size_t n)
{
	return n ? xasprintf("%zu", n) : xstrdup("-");
}

static void
print_plan(const struct job *j)
{
	static const char *const titles[] = {"JAIL", "RELEASE", "STATE",     "REPLACED", "MERGED",
					     "NEW",  "REMOVED", "CONFLICTS", "KEPT"};
	struct table t = {.n_cols = ARRAY_LEN(titles), .titles = titles, .align = "lllrrrrrr"};

	for (size_t i = 0; i < j->u.n; i++) {
		const struct upgrade_jail *u = &j->u.jail[i];
		const struct switch_counts *c = &u->counts;
		_auto_free char *updated = number(c->updated), *merged = number(c->merged),
				*added = number(c->added), *removed = number(c->removed),
				*conflicts = number(c->conflicts), *kept = number(c->kept);

		table_row(&t, u->label, u->from,
			  u->pinned    ? "pinned"
			  : u->held    ? "held"
			  : u->running ? "running"
				       : "stopped",
			  updated, merged, added, removed, conflicts, kept);
	}
	table_print(&t, stdout);
	table_free(&t);
}

/* What the packages of the release are, beside those that the jails have. */
static void
each_from(const struct job *j, json_t *json)
{
	_auto_strv struct strv from = STRV_INIT;

	for (size_t i = 0; i < j->u.n; i++)
		if (!j->u.jail[i].pinned && j->u.jail[i].from && !strv_has(&from, j->u.jail[i].from))
			strv_add(&from, j->u.jail[i].from);
	for (size_t i = 0; i < from.n; i++)
		if (json)
			(void)json_object_set_new(
			    json, from.v[i],
			    packages_between_json(j->cli, j->template, from.v[i], j->release));
		else
			print_packages_between(j->cli, j->template, from.v[i], j->release);
}

static json_t *
counts_json(const struct switch_counts *c)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "replaced", (json_int_t)c->updated, "merged",
			 (json_int_t)c->merged, "new", (json_int_t)c->added, "removed",
			 (json_int_t)c->removed, "conflicts", (json_int_t)c->conflicts, "kept",
			 (json_int_t)c->kept);
}

/* "2006-06-01 12:00", local time; the caller frees. */
static char *
minute_of(int64_t when)
{
	char text[32] = "";
	time_t t = when;
	struct tm tm;

	if (localtime_r(&t, &tm))
		(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	return xstrdup(text);
}

static void
print_data(const struct upgrade *u)
{
	for (size_t i = 0; i < u->n; i++)
		for (size_t k = 0; k < u->jail[i].data.n; k++) {
			const struct switch_data *d = &u->jail[i].data.v[k];
			_auto_free char *path = text_printable(d->path, 4096), *size = out_size(d->bytes),
					*when = minute_of(d->when);

			if (d->when)
				printf("%s: data: /%s is put back as of %s (%s); what was written since is lost\n",
				       u->jail[i].label, path, when, size);
			else
				printf("%s: data: /%s will be copied (%s, %s)\n", u->jail[i].label, path, size,
				       d->shares ? "by reflink" : "read and written while it is down");
		}
}

static json_t *
data_json(const struct switch_data_plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->n; i++) {
		_auto_free char *path = text_printable(p->v[i].path, 4096);
		json_t *o = json_pack("{s:s, s:I}", "path", path, "bytes", (json_int_t)p->v[i].bytes);

		if (p->v[i].when)
			(void)json_object_set_new(o, "when", json_integer((json_int_t)p->v[i].when));
		else
			(void)json_object_set_new(o, "reflink", json_boolean(p->v[i].shares));
		(void)json_array_append_new(list, o);
	}
	return list;
}

static json_t *
plan_json(const struct job *j)
{
	json_t *list = json_array();

	for (size_t i = 0; i < j->u.n; i++) {
		const struct upgrade_jail *u = &j->u.jail[i];
		json_t *files = json_array();

		for (size_t k = 0; k < u->plan.n; k++) {
			_auto_free char *path = text_printable(u->plan.v[k].path, 4096);
			char letter[2] = {letter_of(&u->plan.v[k])};

			json_t *file = json_pack("{s:s, s:s}", "action", letter, "path", path);

			if (u->plan.v[k].whole != WHOLE_NO)
				(void)json_object_set_new(file, "data", json_true());
			(void)json_array_append_new(files, file);
		}
		(void)json_array_append_new(
		    list, json_pack("{s:s, s:s, s:b, s:b, s:b, s:o, s:o, s:o, s:s*}", "jail", u->label, "from",
				    u->from, "running", u->running, "pinned", u->pinned, "held", u->held,
				    "counts", counts_json(&u->counts), "files", files, "data",
				    data_json(&u->data), "problem",
				    u->planned < 0 ? u->problem.msg : NULL));
	}
	return list;
}

/* Warnings: about data, and about jails that cannot be planned; an image in use is planned when it is its turn. */
static int
tell_problems(const struct job *j)
{
	int status = 0;

	for (size_t i = 0; i < j->u.to.n_delta; i++)
		if (j->u.to.delta[i].damage)
			cli_warn(j->cli, "warning: %s; what differs there counts as changed by the jail",
				 j->u.to.delta[i].damage);
	for (size_t i = 0; i < j->u.n; i++) {
		const struct upgrade_jail *u = &j->u.jail[i];

		for (size_t k = 0; k < u->plan.warnings.n; k++)
			cli_warn(j->cli, "%s: warning: %s", u->label, u->plan.warnings.v[k]);
		if (u->planned >= 0)
			continue;
		if (u->pinned || u->held || u->planned == -EBUSY)
			cli_warn(j->cli, "%s: %s", u->label, u->problem.msg);
		else
			status = cli_fail(j->cli, u->label, &u->problem);
	}
	return status;
}

/* ---- doing it ---- */

static char *
milliseconds(int64_t us)
{
	return xasprintf("%" PRId64 ".%" PRId64 " ms", us / 1000, us % 1000 / 100);
}

/* "; copied 1.2 GB of data in 3.2 s"; the caller frees. */
static char *
copied(const struct switch_result *res)
{
	_auto_free char *size = out_size(res->copied);

	return res->copied ? xasprintf("; copied %s of data in %.1f s", size, (double)res->copied_us / 1000000)
			   : xstrdup("");
}

static void
say_done(struct job *j, const struct upgrade_jail *u, const struct switch_result *res)
{
	_auto_free char *down = milliseconds(res->down_us);
	const char *verb = j->u.to.kind == CHANGE_ROLLBACK ? "rolled back to" : "upgraded to";
	_auto_free char *data = copied(res);
	_auto_free char *more = res->files.conflicts ? xasprintf("; %zu conflict%s%s", res->files.conflicts,
								 res->files.conflicts > 1 ? "s" : "", data)
						     : xstrdup(data);

	if (res->later)
		cli_say(j->cli, "%s: will be on %s at its next start", u->label, j->release);
	else if (!res->ran)
		cli_say(j->cli, "%s: %s %s (not running)%s", u->label, verb, j->release, more);
	else if (res->listeners > 0 && res->down_us == 0)
		cli_say(j->cli, "%s: %s %s, its sockets were never closed%s", u->label, verb, j->release, more);
	else
		cli_say(j->cli, "%s: %s %s, downtime %s%s", u->label, verb, j->release, down, more);
}

static void
count_down(struct job *j, const struct switch_result *res)
{
	if (!res->ran || res->down_us < 0)
		return;
	j->measured = true;
	j->total_us += res->down_us;
	if (res->down_us > j->longest_us)
		j->longest_us = res->down_us;
}

static void
jail_done(void *ctx, const struct upgrade_jail *u, const struct switch_result *res, const struct err *e)
{
	struct job *j = ctx;
	const char *word = u->r == -ECANCELED ? "not tried"
			   : u->r < 0         ? "failed"
			   : u->r == 1        ? "was on it"
			   : res->later       ? "prepared"
					      : "done";

	if (j->cli->json)
		(void)json_array_append_new(
		    j->jails,
		    json_pack("{s:s, s:s, s:s, s:b, s:o, s:f, s:I, s:b, s:s*}", "jail", u->label, "from",
			      u->from, "result", word, "ran", res->ran, "files", counts_json(&res->files),
			      "downtime_ms", u->r == 0 && res->ran ? (double)res->down_us / 1000 : 0.0, "sockets",
			      (json_int_t)res->listeners, "back", res->back, "error",
			      u->r < 0 ? e->msg : NULL));
	if (u->r < 0) {
		j->failed++;
		j->not_tried += u->r == -ECANCELED;
		(void)cli_fail(j->cli, u->label, e);
		return;
	}
	if (!j->cli->json && u->r == 1)
		cli_say(j->cli, "%s: stays on %s", u->label, j->release);
	j->done += u->r == 0 && !res->later;
	j->later += u->r == 0 && res->later;
	j->conflicts += res->files.conflicts;
	count_down(j, res);
	if (!j->cli->json && u->r == 0)
		say_done(j, u, res);
}

static void
summary(const struct job *j)
{
	size_t all = j->done + j->failed + j->later + j->held;
	_auto_free char *total = milliseconds(j->total_us), *longest = milliseconds(j->longest_us);
	_auto_free char *failed = NULL, *not_tried = NULL, *held = NULL;

	if (j->failed > j->not_tried)
		failed = xasprintf("; %zu failed", j->failed - j->not_tried);
	if (j->not_tried > 0)
		not_tried = xasprintf("%s %zu not tried", failed ? "," : ";", j->not_tried);
	if (j->held > 0)
		held = xasprintf("%s %zu held back", failed || not_tried ? "," : ";", j->held);
	if (j->done > 0 || j->failed > 0 || j->held > 0)
		cli_say(j->cli, "switched %zu of %zu jail%s to %s in %.1f s%s%s%s%s%s%s%s", j->done, all,
			all == 1 ? "" : "s", j->release,
			(double)(clock_ms() - j->start_ms) / 1000, j->measured ? ": downtime " : "",
			j->measured ? total : "", j->measured ? " in all, at most " : "",
			j->measured ? longest : "", failed ? failed : "", not_tried ? not_tried : "",
			held ? held : "");
	if (j->later)
		cli_say(j->cli, "%zu at %s next start", j->later, j->later > 1 ? "their" : "its");
	if (j->conflicts)
		cli_say(j->cli, "%zu conflict%s wait%s for a decision: brig merge", j->conflicts,
			j->conflicts > 1 ? "s" : "", j->conflicts > 1 ? "" : "s");
	if (j->failed && !opt.keep_going)
		cli_warn(j->cli,
			 "the other jails are as they were: brig %s %s%s%s goes on, brig rollback %s goes back",
			 j->cmd->name, j->template, streq(j->cmd->name, "upgrade") ? "/" : " ", j->release,
			 j->template);
}

/* What new jails get: the release from the first jail on; what it was when none could be switched. */
static int
set_current(struct job *j, const char *release)
{
	struct err e = ERR_INIT;

	if (opt.jails.n > 0 || !release)
		return 0;
	return release_set_current(&j->cli->store, j->template, release, &e) < 0 ? cli_error(j->cli, &e) : 0;
}

/* Those that are not switched because of their data: the plan has said why. */
static void
count_held(struct job *j)
{
	for (size_t i = 0; i < j->u.n; i++) {
		const struct upgrade_jail *u = &j->u.jail[i];

		if (!u->held)
			continue;
		j->held++;
		if (j->jails)
			(void)json_array_append_new(j->jails,
						    json_pack("{s:s, s:s, s:s, s:s}", "jail", u->label, "from", u->from,
							      "result", "held", "error", u->problem.msg));
	}
}

static int
carry_out(struct job *j)
{
	struct run_caller who = cli_caller(j->cli);
	int r = set_current(j, j->release);

	if (r != 0)
		return r;
	j->jails = j->cli->json ? json_array() : NULL;
	j->u.jobs = opt.jobs;
	j->u.all_at_once = opt.all_at_once;
	j->u.keep_going = opt.keep_going;
	j->u.who = &who;
	j->u.done = jail_done;
	j->u.ctx = j;
	count_held(j);
	(void)upgrade_run(&j->u);
	if (j->failed + j->held > 0 && j->done + j->later == 0)
		(void)set_current(j, j->was_current);
	return j->failed + j->held > 0 ? 1 : 0;
}

static int
finish_json(struct job *j, json_t *plan)
{
	json_t *packages = json_object();
	json_t *o;

	each_from(j, packages);
	o = json_pack("{s:s, s:s, s:o, s:o, s:o*}", "template", j->template, "release", j->release,
		      "packages", packages, "plan", plan, "jails", j->jails);
	j->jails = NULL;
	return cli_json(o);
}

/* What will be done to each jail, step by step. */
static void
print_walks(struct job *j)
{
	for (size_t i = 0; i < j->u.n; i++) {
		const struct upgrade_jail *u = &j->u.jail[i];
		_auto_strv struct strv lines = STRV_INIT;
		struct err e = ERR_INIT;

		if (u->pinned || u->held)
			continue;
		if (switch_walk(&j->u.to, u->spec, &lines, &e) < 0)
			(void)cli_fail(j->cli, u->label, &e);
		for (size_t k = 0; k < lines.n; k++) {
			_auto_free char *text = text_printable(lines.v[k], 4096);

			printf("%s: %s\n", u->label, text);
		}
	}
}

/* The common part: everything but where the release comes from. */
static int
switch_all(struct job *j)
{
	struct err e = ERR_INIT;
	json_t *plan = NULL;
	int status;

	j->start_ms = clock_ms();
	j->u.to.store = &j->cli->store;
	j->u.to.release = j->release;
	j->u.to.always = &opt.always;
	j->u.to.ignore = &opt.ignore;
	j->u.to.keep_data = &j->keep;
	j->u.to.keep_guarded = opt.keep_data;
	j->u.to.with_data = opt.with_data;
	j->u.to.no_restart = opt.no_restart;
	j->u.to.ignore_listen = opt.ignore_listen;
	j->u.to.force = &opt.force;
	j->u.canary = opt.canary;
	j->u.details = opt.dry || j->cli->verbose || j->cli->json;
	if (upgrade_plan(&j->u, &e) < 0)
		return cli_error(j->cli, &e);
	status = check_canary(j);
	if (status == 0)
		status = tell_problems(j);
	if (status != 0)
		return status;
	if (j->cli->json)
		plan = plan_json(j);
	else if (!j->cli->quiet && j->u.n > 0) {
		print_plan(j);
		if (opt.dry || j->cli->verbose)
			each_from(j, NULL);
		print_lines(&j->u, opt.dry || j->cli->verbose);
		print_data(&j->u);
		if (opt.dry && j->cli->verbose)
			print_walks(j);
		fflush(stdout);
	}
	if (!opt.dry)
		status = carry_out(j);
	if (j->cli->json)
		return finish_json(j, plan) ? 1 : status;
	if (opt.dry)
		cli_say(j->cli, "nothing was changed; to do it: brig %s %s%s%s", j->cmd->name, j->template,
			streq(j->cmd->name, "upgrade") ? "/" : " ", j->release);
	else if (j->u.n == 0)
		cli_say(j->cli, "every jail of template %s is on %s", j->template, j->release);
	else
		summary(j);
	return status;
}

/* Two upgrades of one template at a time make no sense: the second says who is busy. */
static int
begin(struct job *j, int *ret_lock)
{
	struct err e = ERR_INIT, ignore = ERR_INIT;
	int r = cli_conf_usable(j->cli);

	if (r == 0)
		r = cli_store(j->cli, STORE_CREATE);
	if (r != 0)
		return r;
	if (store_lock_try(&j->cli->store, "upgrade", j->template, ret_lock, &e) < 0)
		return cli_fail(j->cli, j->template, &e);
	(void)release_current(&j->cli->store, j->template, &j->was_current, &ignore);
	j->u.store = &j->cli->store;
	j->u.template = j->template;
	return 0;
}

/* ---- upgrade ---- */

/* PATHS are separated by commas; a path with one in it is that of no database. */
static int
split_keep(struct job *j)
{
	for (size_t i = 0; i < opt.keep.n; i++) {
		_auto_free char *all = xstrdup(opt.keep.v[i]);
		char *rest = all, *path;

		while ((path = strsep(&rest, ",")))
			if (change_keep_data(&j->keep, path) < 0)
				return cli_usage(j->cli, j->cmd,
						 "--keep '%s': is no directory below the jailspace (var/lib/mysql)",
						 path);
	}
	return 0;
}

static int
build(struct job *j, const char *source)
{
	_auto_free char *title = xasprintf("template %s", j->template);
	struct recipe_given given = {source, &opt.overlays, opt.rules};
	struct recipe recipe = {0};
	struct err e = ERR_INIT;
	struct progress *pr;
	int r = recipe_make(j->cli, j->template, &given, &recipe, &e);

	if (r == 0) {
		pr = progress_start(j->cli, title);
		r = release_build(&j->cli->store, j->template, &recipe,
				  &(struct release_want){.name = opt.release, .pr = pr}, &j->release, &e);
		progress_end(pr);
	}
	recipe_free(&recipe);
	if (r < 0)
		return cli_error(j->cli, &e);
	return j->cli->json ? 0 : recipe_built(j->cli, j->template, j->release, true);
}

/* The digest of everything in a release; the caller frees.  NULL: not known. */
static char *
digest_of(const struct job *j, const char *name)
{
	_auto_(release_close) struct release r = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	struct err ignore = ERR_INIT;
	json_t *info = NULL;
	char *digest = NULL;

	if (name && release_open(&j->cli->store, j->template, name, &r, &ignore) == 0 &&
	    release_info(&r, &info, &ignore) == 0)
		digest = xstrdup_null(json_string_value(json_object_get(info, "manifest_sha256")));
	json_decref(info);
	return digest;
}

/* The recipe gave the same tree again: no jail is switched for nothing, and the disk keeps one of them. */
static void
nothing_new(struct job *j)
{
	_auto_free char *is = digest_of(j, j->release), *was = digest_of(j, j->was_current);
	struct err e = ERR_INIT;

	if (!is || !was || !streq(is, was) || release_remove(&j->cli->store, j->template, j->release, &e) < 0)
		return;
	cli_say(j->cli, "template %s: nothing has changed since release %s; the new one is removed again",
		j->template, j->was_current);
	free(j->release);
	j->release = xstrdup(j->was_current);
}

static int
use_release(struct job *j, const char *name)
{
	struct release r;
	struct err e = ERR_INIT;

	if (opt.overlays.n || opt.rules || opt.release)
		return cli_usage(j->cli, j->cmd, "%s/%s exists: the options of a build do not apply",
				 j->template, name);
	if (release_open(&j->cli->store, j->template, name, &r, &e) < 0)
		return cli_error(j->cli, &e);
	release_close(&r);
	j->release = xstrdup(name);
	return 0;
}

static int
run_upgrade(struct cli *cli, int argc, char **argv)
{
	_auto_(job_free) struct job j = {.cli = cli, .cmd = &cmd_upgrade};
	_auto_close int lock = -EBADF;
	const char *slash;
	int r;

	if (argc < 1 || argc > 2)
		return cli_usage(cli, &cmd_upgrade,
				 argc < 1 ? "upgrade: no template named"
					  : "upgrade: one template and one source (quote a cmd:)");
	slash = strchr(argv[0], '/');
	if (slash && argc > 1)
		return cli_usage(cli, &cmd_upgrade, "upgrade: a release that is there needs no source");
	if (opt.all_at_once && (opt.no_restart || opt.canary || opt.jobs))
		return cli_usage(cli, &cmd_upgrade,
				 "--all-at-once excludes --no-restart, --canary and --jobs");
	r = split_keep(&j);
	if (r != 0)
		return r;
	j.template = slash ? xstrndup(argv[0], (size_t)(slash - argv[0])) : xstrdup(argv[0]);
	r = begin(&j, &lock);
	if (r == 0)
		r = gather(&j);
	if (r == 0)
		r = slash ? use_release(&j, slash + 1) : build(&j, argc > 1 ? argv[1] : NULL);
	if (r == 0 && !slash)
		nothing_new(&j);
	return r ? r : switch_all(&j);
}

/* ---- rollback ---- */

/* Where a jail's release came from: what its last upgrade left.  *ret stays NULL: nothing is kept of one. */
static int
came_from(const struct store *s, const char *jail, char **ret, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	int r = record_read(s, jail, &rec, e);

	if (r <= 0)
		return r;
	if (rec.change == RECORD_PREPARED) /* it has not even gone */
		*ret = xstrdup(rec.release);
	for (size_t i = rec.n_undo; i-- > 0 && !*ret;)
		if (!streq(rec.undo[i].from, rec.undo[i].to))
			*ret = xstrdup(rec.undo[i].from);
	return 0;
}

/* The one before the current; *ret stays NULL: there is none. */
static int
one_before(const struct job *j, char **ret, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;
	int r = j->was_current ? release_names(&j->cli->store, j->template, &names, e) : 0;

	for (size_t i = 1; i < names.n && r == 0 && !*ret; i++)
		if (streq(names.v[i], j->was_current))
			*ret = xstrdup(names.v[i - 1]);
	return r;
}

static int
choose_target(struct job *j)
{
	_auto_free char *target = NULL;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < j->u.n; i++) {
		_auto_free char *from = NULL;

		if (came_from(&j->cli->store, j->u.jail[i].spec->name, &from, &e) < 0)
			return cli_fail(j->cli, j->u.jail[i].label, &e);
		if (from && target && !streq(target, from))
			return cli_usage(
			    j->cli, j->cmd,
			    "jails of %s come from %s and from %s: say which release, or which jail "
			    "with --jail",
			    j->template, target, from);
		if (from && !target)
			target = TAKE_PTR(from);
	}
	if (!target && one_before(j, &target, &e) < 0)
		return cli_error(j->cli, &e);
	if (!target)
		return cli_usage(j->cli, j->cmd,
				 "template %s: there is no release to go back to (brig template list %s)",
				 j->template, j->template);
	j->release = TAKE_PTR(target);
	return 0;
}

static int
run_rollback(struct cli *cli, int argc, char **argv)
{
	_auto_(job_free) struct job j = {.cli = cli, .cmd = &cmd_rollback};
	_auto_close int lock = -EBADF;
	int r;

	if (argc < 1 || argc > 2)
		return cli_usage(cli, &cmd_rollback,
				 argc < 1 ? "rollback: no template named"
					  : "rollback: one template, one release");
	if (opt.all_at_once && (opt.no_restart || opt.canary || opt.jobs))
		return cli_usage(cli, &cmd_rollback,
				 "--all-at-once excludes --no-restart, --canary and --jobs");
	j.template = xstrdup(argv[0]);
	r = begin(&j, &lock);
	if (r == 0)
		r = gather(&j);
	if (r == 0)
		r = argc > 1 ? use_release(&j, argv[1]) : choose_target(&j);
	j.u.to.kind = CHANGE_ROLLBACK;
	return r ? r : switch_all(&j);
}

const struct command cmd_upgrade = {
    "upgrade",
    "TEMPLATE [SOURCE] | TEMPLATE/RELEASE",
    "builds a new release of a template and switches its jails to it",
    upgrade_opts,
    WORDS_TEMPLATE,
    0,
    run_upgrade,
};
const struct command cmd_rollback = {
    "rollback",
    "TEMPLATE [RELEASE]",
    "switches jails back to an earlier release, with their files as they were",
    rollback_opts,
    WORDS_TEMPLATE,
    0,
    run_rollback,
};
