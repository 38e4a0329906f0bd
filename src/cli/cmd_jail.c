/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jail(8): its command lines, turned into a set of jails (jailop.h).
 *
 *	jail -c|-m|-r... [NAME]			jails of the configuration; no NAME: all (not with -r)
 *	jail -c|-m... param=value ...		one jail that no file defines
 *	jail -r|-R NAME... | '*'
 *	jail -e SEP				every configured jail on a line
 *	jail /path hostname addresses command	as before FreeBSD 8
 *
 * Like jail(8), wrong use gives exit status 1.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/name.h"
#include "base/num.h"
#include "cli/jailop.h"
#include "run/run.h"

static struct {
	bool create, modify, removes, force, cleanup, dying, ip_hostname, print_jid, clean;
	const char *separator, *jid_file, *name, *securelevel, *system_jail_user, *jail_user;
	struct strv files;
	int parallel;
} jo;

static const struct opt jail_opts[] = {
    {'c', NULL, OPT_FLAG, &jo.create, NULL, "create"},
    {'m', NULL, OPT_FLAG, &jo.modify, NULL,
     "modify a running jail (-cm: or create it; -mr: with a restart if needed)"},
    {'r', NULL, OPT_FLAG, &jo.removes, NULL, "remove (-rc: restart)"},
    {'R', NULL, OPT_FLAG, &jo.force, NULL, "remove at once: no exec.*, no waiting"},
    {'C', NULL, OPT_FLAG, &jo.cleanup, NULL, "clean up after jails that have ended"},
    {'e', NULL, OPT_STRING, &jo.separator, "SEP",
     "print every configured jail, its parameters joined by SEP"},
    {'f', "file", OPT_LIST, &jo.files, "FILE", "configuration (\"-\": standard input)"},
    {'d', NULL, OPT_FLAG, &jo.dying, NULL, "allow.dying (without effect: brig cleans up first)"},
    {'h', NULL, OPT_FLAG, &jo.ip_hostname, NULL, "ip_hostname: the addresses that host.hostname has"},
    {'i', NULL, OPT_FLAG, &jo.print_jid, NULL, "print only the JID"},
    {'J', NULL, OPT_STRING, &jo.jid_file, "FILE",
     "write the JID and the parameters of each jail started to FILE"},
    {'l', NULL, OPT_FLAG, &jo.clean, NULL, "exec.clean"},
    {'n', NULL, OPT_STRING, &jo.name, "NAME", "name=NAME"},
    {'p', NULL, OPT_INT, &jo.parallel, "N", "at most N jails at a time (0: 4 for each CPU)"},
    {'s', NULL, OPT_STRING, &jo.securelevel, "LEVEL", "securelevel=LEVEL"},
    {'u', NULL, OPT_STRING, &jo.system_jail_user, "USER", "exec.jail_user=USER, looked up on the host"},
    {'U', NULL, OPT_STRING, &jo.jail_user, "USER", "exec.jail_user=USER, looked up in the jail"},
    OPT_END,
};

/* jail(8) exits with 1 where other commands of brig exit with 2. */
static int
usage(struct cli *cli, const char *text)
{
	(void)cli_usage(cli, &cmd_jail, "%s", text);
	return 1;
}

/* ---- the configuration ---- */

static void
choose_files(struct cli *cli)
{
	if (jo.files.n == 0)
		return;
	strv_free(&cli->conf_files);
	for (size_t i = 0; i < jo.files.n; i++)
		strv_add(&cli->conf_files, streq(jo.files.v[i], "-") ? "/dev/stdin" : jo.files.v[i]);
}

/* Options that stand for parameters: with them the configuration is not read. */
static bool
has_word_options(void)
{
	return jo.ip_hostname || jo.clean || jo.name || jo.securelevel || jo.system_jail_user || jo.jail_user;
}

static void
option_words(struct strv *w)
{
	if (jo.name)
		strv_addf(w, "name=%s", jo.name);
	if (jo.ip_hostname)
		strv_add(w, "ip_hostname");
	if (jo.clean)
		strv_add(w, "exec.clean");
	if (jo.securelevel)
		strv_addf(w, "securelevel=%s", jo.securelevel);
	if (jo.system_jail_user) {
		strv_addf(w, "exec.jail_user=%s", jo.system_jail_user);
		strv_add(w, "exec.system_jail_user");
	}
	if (jo.jail_user)
		strv_addf(w, "exec.jail_user=%s", jo.jail_user);
	if (jo.dying)
		strv_add(w, "allow.dying");
}

/* ---- targets ---- */

/* jail(8): a pattern has a whole component that is "*"; "foo*" is an ordinary name. */
static bool
is_wild(const char *word)
{
	for (const char *p = word; *p;) {
		size_t n = strcspn(p, ".");

		if (n == 1 && *p == '*')
			return true;
		p += n + (p[n] == '.');
	}
	return false;
}

static void
add_error(struct jailop *o, const char *key, const struct err *e)
{
	o->status = cli_fail(o->cli, key, e);
}

/* A jail of the file; its own errors are reported here. */
static struct jail_job *
add_label(struct jailop *o, const char *label)
{
	struct jailspec *spec = NULL;
	struct err e = ERR_INIT;
	struct jail_job *j = jailop_find(o, label);

	if (j)
		return j;
	if (conf_jail(o->cli->conf, label, &spec, &e) < 0) {
		add_error(o, label, &e);
		return NULL;
	}
	return jailop_add(o, label, spec);
}

/* Adds the jails that it depends on and that do not run: they are started first. */
static void
add_depended(struct jailop *o, size_t index)
{
	struct strv depend = STRV_INIT;

	strv_copy(&depend, &o->job[index].spec->depend);
	for (size_t i = 0; i < depend.n; i++) {
		struct jail_job *d = jailop_find(o, depend.v[i]);
		struct err e = ERR_INIT;

		if (d)
			continue;
		if (!conf_has(o->cli->conf, depend.v[i])) {
			(void)err_set(&e, ENOENT, "depends on undefined jail \"%s\"", depend.v[i]);
			add_error(o, o->job[index].key, &e);
			o->job[index].act = ACT_NONE;
			continue;
		}
		d = add_label(o, depend.v[i]);
		if (d)
			jailop_decide(o, d, true, false, false, true);
	}
	strv_free(&depend);
}

static void
add_start_dependencies(struct jailop *o)
{
	for (size_t i = 0; i < o->n; i++) /* grows while it is walked */
		if (o->job[i].act == ACT_CREATE && o->job[i].spec)
			add_depended(o, i);
}

static void
add_target(struct jailop *o, const char *target)
{
	const struct strv *labels = conf_jails(o->cli->conf);
	bool wild = !target || is_wild(target), any = false;

	for (size_t i = 0; i < labels->n; i++) {
		struct jail_job *j;

		if (wild ? target && !conf_match(target, labels->v[i]) : !streq(target, labels->v[i]))
			continue;
		any = true;
		j = add_label(o, labels->v[i]);
		if (j)
			jailop_decide(o, j, jo.create, jo.modify, jo.removes, wild);
	}
	if (!any && target && !wild) {
		cli_warn(o->cli, "\"%s\" not found", target);
		o->status = 1;
	}
}

/* ---- removing ---- */

/* A running jail under its label, where the file has it, else under its name. */
static void
add_running(struct jailop *o, const char *name, const char *label)
{
	struct jailspec *spec = NULL;
	struct err e = ERR_INIT;
	struct jail_job *j;

	if (label && !jo.force)
		(void)conf_jail(o->cli->conf, label, &spec, &e);
	/* an error in the file does not prevent a stop: the recorded parameters are used */
	if (spec && !streq(spec->name, name)) {
		jailspec_free(spec);
		spec = NULL;
	}
	if (jailop_find(o, label ? label : name)) {
		jailspec_free(spec);
		return;
	}
	err_clear(&e);
	if (!spec) {
		struct state st = {0};

		if (state_find(&o->cli->store, name, &st, &e) > 0) {
			(void)spec_from_params(st.name, &st.params, o->cli->store.base, &spec, &e);
			state_free(&st);
		}
	}
	j = jailop_add(o, label ? label : name, spec);
	j->alone = !label;
	j->act = j->running ? ACT_REMOVE : ACT_NONE;
}

/* Which label of the file has the name?  Mostly the name itself. */
static const char *
label_of(const struct jailop *o, const char *name)
{
	const struct strv *labels;

	if (!o->cli->conf || jo.force)
		return NULL;
	if (conf_has(o->cli->conf, name))
		return name;
	labels = conf_jails(o->cli->conf);
	for (size_t i = 0; i < labels->n; i++) {
		struct jailspec *spec = NULL;
		struct err e = ERR_INIT;
		bool same;

		if (conf_jail(o->cli->conf, labels->v[i], &spec, &e) < 0)
			continue;
		same = streq(spec->name, name);
		jailspec_free(spec);
		if (same)
			return labels->v[i];
	}
	return NULL;
}

struct running {
	struct state *st;
	size_t n;
};

static void
running_free(struct running *r)
{
	for (size_t i = 0; i < r->n; i++)
		state_free(&r->st[i]);
	free(r->st);
}

/* A label, a name, a JID or a pattern of them. */
static void
add_removal(struct jailop *o, const struct running *run, const char *target)
{
	bool wild = is_wild(target), any = false;
	int jid = 0;

	if (num_int(target, 1, INT_MAX, &jid) < 0)
		jid = 0;
	for (size_t i = 0; i < run->n; i++) {
		const struct state *st = &run->st[i];
		const char *label = label_of(o, st->name);
		bool hit;

		if (os_jail_alive(&st->ref) <= 0)
			continue;
		if (wild)
			hit = conf_match(target, label ? label : st->name);
		else
			hit = (label && streq(label, target)) || streq(st->name, target) || st->jid == jid;
		if (hit)
			add_running(o, st->name, label);
		any |= hit;
	}
	if (!any && !wild) {
		cli_warn(o->cli, "\"%s\" not found", target);
		o->status = 1;
	}
}

/* Adds running jails that depend on one that is removed: they are removed first. */
static void
add_dependants(struct jailop *o, const struct running *run)
{
	bool more = !jo.force;

	while (more) {
		more = false;
		for (size_t i = 0; i < run->n; i++) {
			const char *label = label_of(o, run->st[i].name);
			const struct param *dep = params_get(&run->st[i].params, "depend");
			const char *key = label ? label : run->st[i].name;
			bool add = false;

			if (!dep || jailop_find(o, key) || os_jail_alive(&run->st[i].ref) <= 0)
				continue;
			for (size_t k = 0; k < dep->values.n && !add; k++)
				add = jailop_find(o, dep->values.v[k]) != NULL;
			if (add)
				add_running(o, run->st[i].name, label);
			more |= add;
		}
	}
}

static int
remove_jails(struct jailop *o, int argc, char **argv)
{
	struct running run = {NULL, 0};
	struct err e = ERR_INIT;

	if (state_list(&o->cli->store, &run.st, &run.n, &e) < 0)
		return cli_error(o->cli, &e);
	for (int i = 0; i < argc; i++)
		add_removal(o, &run, argv[i]);
	add_dependants(o, &run);
	o->force = jo.force;
	o->note_removed = (o->cli->conf && conf_jails(o->cli->conf)->n > 0) || argc > 1 || is_wild(argv[0]) ||
			  o->cli->verbose;
	running_free(&run);
	return jailop_run(o);
}

/* ---- one jail of the command line ---- */

/* Everything from command= on is the command's own: an argument list, never for a shell. */
static void
split_command(int argc, char **argv, struct strv *words, struct strv *command)
{
	for (int i = 0; i < argc; i++) {
		const char *first = str_after(argv[i], "command=");

		if (!first && !streq(argv[i], "command")) {
			strv_add(words, argv[i]);
			continue;
		}
		if (first)
			strv_add(command, first);
		while (++i < argc)
			strv_add(command, argv[i]);
	}
}

/* "/path hostname addresses command ..." */
static void
old_words(char **argv, struct strv *words, struct strv *command)
{
	struct in6_addr a6;

	strv_addf(words, "path=%s", argv[0]);
	strv_addf(words, "host.hostname=%s", argv[1]);
	for (const char *p = argv[2]; *p;) {
		size_t n = strcspn(p, ",");
		_auto_free char *one = xstrndup(p, n);

		strv_addf(words, "%s=%s", inet_pton(AF_INET6, one, &a6) == 1 ? "ip6.addr" : "ip4.addr", one);
		p += n + (p[n] == ',');
	}
	for (char **c = argv + 3; *c; c++)
		strv_add(command, *c);
}

/* jail(8): a jail without a name is called by its number. */
static char *
number_as_name(void *ctx)
{
	struct cli *cli = ctx;
	struct err e = ERR_INIT;
	int jid;

	if (state_next_jid(&cli->store, &jid, &e) < 0) {
		(void)cli_error(cli, &e);
		return NULL;
	}
	return xasprintf("%d", jid);
}

/* Errors of the words have no place: only their text is printed. */
static int
spec_of_words(struct cli *cli, const struct strv *words, struct jailspec **ret, char **ret_label)
{
	struct conf_input in = conf_files; /* its functions need no context */
	struct conf *c;
	const char *label;
	struct err e = ERR_INIT;
	int status = 0;

	in.fresh = number_as_name;
	in.ctx = cli;
	c = conf_new(&in, cli->base ? cli->base : STORE_BASE, cli->base_set);
	label = conf_add_words(c, words->v, words->n);
	conf_finish(c);
	for (size_t i = 0; i < conf_n_errors(c); i++) {
		cli_warn(cli, "%s", conf_error_at(c, i)->text);
		status = 1;
	}
	if (!status && label && conf_jail(c, label, ret, &e) < 0)
		status = cli_fail(cli, label, &e);
	else if (!status && label)
		*ret_label = xstrdup(label);
	conf_free(c);
	return status || !label;
}

/* "allow.nomount", "meta+=x", "path=/x" -> "allow.mount", "meta", "path" */
static void
mentioned_names(const struct strv *words, struct strv *ret)
{
	for (size_t i = 0; i < words->n; i++) {
		size_t n = strcspn(words->v[i], "=");
		_auto_free char *name = xstrndup(words->v[i], n);
		const struct param_def *def;
		bool no = false;

		if (n > 0 && name[n - 1] == '+')
			name[n - 1] = '\0';
		def = param_find(name, &no);
		strv_add(ret, def && no ? def->name : name);
	}
}

static int
one_jail(struct jailop *o, const struct strv *words, struct strv *command)
{
	struct jailspec *spec = NULL;
	_auto_free char *label = NULL;
	struct jail_job *j;

	if (spec_of_words(o->cli, words, &spec, &label))
		return 1;
	j = jailop_add(o, label, spec);
	j->partial = j->running && jo.modify;
	if (j->partial)
		mentioned_names(words, &j->mentioned);
	j->alone = true;
	jailop_decide(o, j, jo.create, jo.modify, jo.removes, false);
	o->command = command->n ? command->v : NULL;
	o->note_created = o->note_removed = o->cli->verbose > 0;
	return o->status ? o->status : jailop_run(o);
}

/* ---- the other forms ---- */

/* jail -e: one line a jail; jid is left out. */
static int
print_all(struct cli *cli)
{
	const struct strv *labels;
	int r = cli_conf_usable(cli), status = 0;

	if (r)
		return r;
	labels = conf_jails(cli->conf);
	for (size_t i = 0; i < labels->n; i++) {
		struct jailspec *spec = NULL;
		struct err e = ERR_INIT;
		_auto_buf struct buf b = BUF_INIT;

		if (conf_jail(cli->conf, labels->v[i], &spec, &e) < 0) {
			status = cli_fail(cli, labels->v[i], &e);
			continue;
		}
		jail_put_params(&b, spec, jo.separator, 0);
		(void)fwrite(b.s, 1, b.len, stdout);
		jailspec_free(spec);
	}
	return status;
}

static int
from_files(struct jailop *o, const char *target)
{
	int r = cli_conf_usable(o->cli);

	if (r)
		return r;
	add_target(o, target);
	add_start_dependencies(o);
	o->note_created = o->note_removed = true;
	return jailop_run(o);
}

static int
open_jid_file(struct jailop *o)
{
	struct err e = ERR_INIT;
	int fd;

	if (!jo.jid_file)
		return 0;
	fd = open(jo.jid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	o->jid_file = fd < 0 ? NULL : fdopen(fd, "w");
	if (o->jid_file)
		return 0;
	(void)err_sys(&e, errno, "open %s", jo.jid_file);
	fd_close(fd);
	return cli_error(o->cli, &e);
}

static int
run_form(struct jailop *o, int argc, char **argv)
{
	_auto_strv struct strv words = STRV_INIT, command = STRV_INIT;
	bool only_remove = (jo.removes || jo.force) && !jo.create && !jo.modify;

	if (only_remove && argc == 0)
		return usage(o->cli, "no jail named ('*': all)");
	for (int i = 0; only_remove && i < argc; i++)
		if (strchr(argv[i], '='))
			return usage(o->cli, "-r and -R take names, not parameters");
	if (only_remove)
		return remove_jails(o, argc, argv);
	if (jo.force)
		return usage(o->cli, "-R excludes -c, -m, -r and -e");
	option_words(&words);
	if (!jo.create && !jo.modify) { /* no letter at all: the old form, checked by the caller */
		jo.create = true;
		old_words(argv, &words, &command);
		return one_jail(o, &words, &command);
	}
	if (argc > 1 || (argc == 1 && strchr(argv[0], '='))) {
		split_command(argc, argv, &words, &command);
		return one_jail(o, &words, &command);
	}
	if (has_word_options())
		return usage(o->cli, "-h, -l, -n, -s, -u and -U need parameters on the command line");
	return from_files(o, argc ? argv[0] : NULL);
}

static int
jail_main(struct cli *cli, int argc, char **argv)
{
	struct jailop o = {.cli = cli, .quiet = cli->quiet || jo.print_jid, .print_jid = jo.print_jid};
	bool acts = jo.create || jo.modify || jo.removes || jo.force;
	int r;

	o.parallel = jo.parallel;
	choose_files(cli);
	if (jo.separator)
		return acts || argc ? usage(cli, "-e takes no other option than -f") : print_all(cli);
	if (!acts && !jo.cleanup && (argc < 4 || argv[0][0] != '/'))
		return usage(cli, "one of -c, -m, -r, -R and -e is needed");
	(void)cli_conf(cli, true); /* where the base is, also for jails that it does not have */
	r = cli_store(cli, STORE_CREATE);
	if (r || (jo.cleanup && !acts))
		return r;
	r = open_jid_file(&o);
	if (r == 0)
		r = run_form(&o, argc, argv);
	if (o.jid_file)
		(void)fclose(o.jid_file);
	jailop_free(&o);
	return r;
}

const struct command cmd_jail = {
    .name = "jail",
    .usage = "-c|-m|-r|-R [-dhilqv] [-f FILE] [-J FILE] [-p N] [NAME... | PARAMETER=VALUE... [command=CMD "
	     "ARG...]]",
    .help = "As jail(8): creates, modifies and removes jails.",
    .opts = jail_opts,
    .words = WORDS_JAIL,
    .flags = CMD_READS_REST | CMD_HIDDEN,
    .run = jail_main,
};
