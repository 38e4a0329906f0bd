/* SPDX-License-Identifier: BSD-2-Clause */
/* `brig template build|list|show|diff|verify|remove`: releases of templates. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/name.h"
#include "cli/cli.h"
#include "cli/recipe.h"
#include "cli/release_diff.h"
#include "cli/tidy.h"
#include "store/template/outdated.h"
#include "store/template/release.h"

#define STATUS_NEWER 3 /* of template outdated: there is something newer */
#define NAMES_WIDTH 40 /* of the names of jails in a row of the list */

static struct {
	struct strv overlays;
	const char *rules, *release;
	bool no_current, resume, unused, packages;
	int keep;
} opt;

static const struct opt opts[] = {
    {0, "overlay", OPT_LIST, &opt.overlays, "DIR", "build: copy this directory over the tree (repeatable)"},
    {0, "rules", OPT_STRING, &opt.rules, "FILE", "build: rules of the split into template and skeleton"},
    {0, "release", OPT_STRING, &opt.release, "NAME", "build: name of the release (default: today's date)"},
    {0, "no-current", OPT_FLAG, &opt.no_current, NULL, "build: new jails do not get this release yet"},
    {0, "resume", OPT_FLAG, &opt.resume, NULL, "build: go on with the tree that a failed build kept"},
    {0, "unused", OPT_FLAG, &opt.unused, NULL, "remove: all releases that no jail needs"},
    {0, "keep", OPT_INT, &opt.keep, "N", "remove --unused: but the newest N of them stay"},
    {0, "packages", OPT_FLAG, &opt.packages, NULL, "clean: only the package cache"},
    OPT_END,
};

/* "NAME" or "NAME/RELEASE"; *ret_release NULL in the first case. */
static void
split_name(const char *arg, char **ret_template, char **ret_release)
{
	const char *slash = strchr(arg, '/');

	*ret_template = slash ? xstrndup(arg, (size_t)(slash - arg)) : xstrdup(arg);
	*ret_release = slash ? xstrdup(slash + 1) : NULL;
}

static int
tidy(struct cli *cli)
{
	struct err e = ERR_INIT;

	if (geteuid() != 0)
		return 0; /* only looking */
	return release_tidy(&cli->store, NULL, &e) < 0 ? cli_error(cli, &e) : 0;
}

/* ---- build ---- */

static int
do_build(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	_auto_free char *name = NULL, *title = NULL;
	struct release_want want = {.name = opt.release, .set_current = !opt.no_current};
	struct recipe_given given = {.overlays = &opt.overlays, .rules = opt.rules};
	struct recipe recipe = {0};
	struct err e = ERR_INIT;
	struct progress *pr;
	int r;

	if (argc < 1 || argc > 2)
		return cli_usage(cli, cmd,
				 argc < 1 ? "template build: no template named"
					  : "template build: one name and one source (quote a cmd:)");
	if (cli_store(cli, STORE_CREATE) != 0)
		return 1;
	recipe.resume = opt.resume;
	given.source = argc > 1 ? argv[1] : NULL;
	r = recipe_make(cli, argv[0], &given, &recipe, &e);
	if (r == 0) {
		title = xasprintf("template %s", argv[0]);
		want.pr = pr = progress_start(cli, title);
		r = release_build(&cli->store, argv[0], &recipe, &want, &name, &e);
		progress_end(pr);
	}
	recipe_free(&recipe);
	return r < 0 ? cli_error(cli, &e) : recipe_built(cli, argv[0], name, !opt.no_current);
}

/* ---- list ---- */

/* The jails that run, each with what it has mounted as its root. */
struct mounted {
	char *name;
	dev_t dev;
	ino_t ino;
};

struct listing {
	struct table table;
	json_t *json;
	struct mounted *run;
	size_t n_run;
};

static int
find_mounted(struct cli *cli, struct listing *l, struct err *e)
{
	struct state *list;
	size_t n;

	if (state_list_brief(&cli->store, &list, &n, e) < 0)
		return -e->num;
	l->run = xcalloc(n + 1, sizeof(*l->run));
	for (size_t i = 0; i < n; i++) {
		struct mounted *m = &l->run[l->n_run];
		struct err ignore = ERR_INIT;

		if (os_jail_root(&list[i].ref, &m->dev, &m->ino, &ignore) == 0) {
			m->name = xstrdup(list[i].name);
			l->n_run++;
		}
		state_free(&list[i]);
	}
	free(list);
	return 0;
}

static void
listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->n_run; i++)
		free(l->run[i].name);
	free(l->run);
	table_free(&l->table);
}

static void
running_on(const struct listing *l, const struct release *r, struct strv *ret)
{
	struct stat st;

	for (size_t i = 0; i < l->n_run && fstat(r->root_fd, &st) == 0; i++)
		if (l->run[i].dev == st.st_dev && l->run[i].ino == st.st_ino)
			strv_add(ret, l->run[i].name);
	strv_sort(ret);
}

/* Some names, and how many more there are. */
static char *
short_list(const struct strv *names)
{
	struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < names->n && b.len < NAMES_WIDTH; i++)
		buf_addf(&b, "%s%s", i ? ", " : "", names->v[i]);
	if (i < names->n)
		buf_addf(&b, " and %zu more", names->n - i);
	return names->n ? buf_take(&b) : xstrdup("-");
}

static int
list_release(struct cli *cli, const char *template, const char *name, bool current, struct listing *l,
	     struct err *e)
{
	_auto_free char *files = NULL, *size = NULL, *jails = NULL, *runs = NULL;
	_auto_strv struct strv users = STRV_INIT, running = STRV_INIT;
	json_t *info = NULL, *n;
	const char *when;
	struct release r;
	int got = release_open(&cli->store, template, name, &r, e);

	if (got == 0) {
		got = release_info(&r, &info, e);
		running_on(l, &r, &running);
		release_close(&r);
	}
	if (got == 0)
		got = release_starters(&cli->store, template, name, &users, e);
	if (got < 0) {
		json_decref(info);
		return got;
	}
	if (cli->json) {
		json_t *list = json_array(), *on = json_array();

		for (size_t i = 0; i < running.n; i++)
			(void)json_array_append_new(on, json_string(running.v[i]));
		(void)json_object_set_new(info, "running", on);

		for (size_t i = 0; i < users.n; i++)
			(void)json_array_append_new(list, json_string(users.v[i]));
		(void)json_object_set_new(info, "current", json_boolean(current));
		(void)json_object_set_new(info, "jails", list);
		return json_array_append_new(l->json, info);
	}
	n = json_object_get(info, "files");
	files = n ? xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(n)) : xstrdup("-");
	n = json_object_get(info, "bytes");
	size = n ? out_size((uint64_t)json_integer_value(n)) : xstrdup("-");
	when = json_string_value(json_object_get(info, "built"));
	jails = xasprintf("%zu", users.n);
	runs = short_list(&running);
	table_row(&l->table, template, name, when ? when : "-", files, size, current ? "current" : "", jails,
		  runs);
	json_decref(info);
	return 0;
}

static int
list_template(struct cli *cli, const char *template, struct listing *l)
{
	_auto_strv struct strv names = STRV_INIT;
	_auto_free char *current = NULL;
	struct err e = ERR_INIT, ignored;
	int status = 0;

	if (release_names(&cli->store, template, &names, &e) < 0)
		return cli_error(cli, &e);
	(void)release_current(&cli->store, template, &current, &ignored);
	for (size_t i = 0; i < names.n; i++)
		if (list_release(cli, template, names.v[i], current && streq(current, names.v[i]), l, &e) < 0)
			status = cli_error(cli, &e);
	return status;
}

/* Trees of failed builds, of the templates that are asked for or of all. */
static void
list_kept(struct cli *cli, int argc, char **argv)
{
	_auto_strv struct strv kept = STRV_INIT;
	struct err ignored;

	(void)release_kept(&cli->store, &kept, &ignored);
	for (size_t i = 0; i < kept.n; i++) {
		bool asked = argc == 0;

		for (int k = 0; k < argc; k++)
			asked |= streq(argv[k], kept.v[i]);
		if (asked && !cli->quiet)
			cli_warn(cli,
				 "template %s: the tree of a failed build is kept: brig template build "
				 "--resume %s",
				 kept.v[i], kept.v[i]);
	}
}

static int
do_list(struct cli *cli, int argc, char **argv)
{
	static const char *const titles[] = {"TEMPLATE", "RELEASE", "BUILT", "FILES",
					     "SIZE",     "",        "JAILS", "RUNNING"};
	struct listing l = {.table = {.n_cols = ARRAY_LEN(titles), .titles = titles, .align = "lllrrlrl"}};
	_auto_strv struct strv all = STRV_INIT;
	struct err e = ERR_INIT;
	int status = 0;

	if (cli_store(cli, STORE_READ) != 0 || tidy(cli) != 0)
		return 1;
	for (int i = 0; i < argc; i++)
		strv_add(&all, argv[i]);
	if (argc == 0 && release_templates(&cli->store, &all, &e) < 0)
		return cli_error(cli, &e);
	if (find_mounted(cli, &l, &e) < 0)
		return cli_error(cli, &e);
	l.json = cli->json ? json_array() : NULL;
	for (size_t i = 0; i < all.n; i++)
		if (list_template(cli, all.v[i], &l) != 0)
			status = 1;
	if (cli->json) {
		listing_free(&l);
		return cli_json(l.json) != 0 ? 1 : status;
	}
	if (all.n == 0 && !cli->quiet)
		cli_warn(cli, "there is no template yet (brig template build " STORE_TEMPLATE " SOURCE)");
	if (l.table.cells.n)
		table_print(&l.table, stdout);
	fflush(stdout);
	list_kept(cli, argc, argv);
	listing_free(&l);
	return status;
}

/* ---- show ---- */

static void
show_line(const char *what, const char *value)
{
	_auto_free char *shown = text_printable(value, 4096);

	printf("%-10s %s\n", what, shown);
}

static void
show_list(const char *what, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		show_line(i ? "" : what, json_string_value(item) ? json_string_value(item) : "");
	}
}

static void
show_info(const struct release *r, const json_t *info, bool current, const struct strv *users,
	  const struct packages *packages)
{
	const json_t *recipe = json_object_get(info, "recipe");
	const json_t *files = json_object_get(info, "files"), *bytes = json_object_get(info, "bytes");
	const char *text;

	show_line("template", r->template);
	printf("%-10s %s%s\n", "release", r->name, current ? " (current)" : "");
	show_line("path", r->root_path);
	text = json_string_value(json_object_get(info, "built"));
	show_line("built", text ? text : "by hand");
	if ((text = json_string_value(json_object_get(recipe, "source"))))
		show_line("source", text);
	if ((text = json_string_value(json_object_get(json_object_get(info, "image"), "digest"))))
		show_line("image", text);
	if ((text = json_string_value(json_object_get(json_object_get(info, "image"), "tag"))))
		show_line("tag", text);
	show_list("packages", json_object_get(recipe, "packages"));
	show_list("overlays", json_object_get(recipe, "overlays"));
	if ((text = json_string_value(json_object_get(recipe, "rules"))))
		show_line("rules", text);
	show_list("warnings", json_object_get(info, "warnings"));
	if (files)
		printf("%-10s %" JSON_INTEGER_FORMAT "\n", "files", json_integer_value(files));
	if (bytes) {
		_auto_free char *size = out_size((uint64_t)json_integer_value(bytes));

		show_line("size", size);
	}
	for (size_t i = 0; i < users->n; i++)
		show_line(i ? "" : "jails", users->v[i]);
	for (size_t i = 0; i < packages->n; i++) {
		_auto_free char *line = xasprintf("%s %s", packages->v[i].name, packages->v[i].version);

		show_line(i ? "" : "installed", line);
	}
}

static int
do_show(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	_auto_free char *template = NULL, *name = NULL, *current = NULL;
	_auto_strv struct strv users = STRV_INIT;
	_auto_(packages_free) struct packages packages = {0};
	struct err e = ERR_INIT, ignored;
	json_t *info = NULL;
	struct release r;
	bool is_current;
	int got;

	if (argc != 1)
		return cli_usage(cli, cmd, "template show: one NAME or NAME/RELEASE");
	if (cli_store(cli, STORE_READ) != 0)
		return 1;
	split_name(argv[0], &template, &name);
	if (release_open(&cli->store, template, name, &r, &e) < 0)
		return cli_error(cli, &e);
	got = release_info(&r, &info, &e);
	if (got == 0)
		got = release_users(&cli->store, r.template, r.name, &users, &e);
	if (got == 0)
		got = packages_read(&r, &packages, &e);
	(void)release_current(&cli->store, template, &current, &ignored);
	is_current = current && streq(current, r.name);
	if (got == 0 && cli->json) {
		(void)json_object_set_new(info, "current", json_boolean(is_current));
		(void)json_object_set_new(info, "path", json_string(r.root_path));
		(void)json_object_set_new(info, "installed", packages_json(&packages));
		got = cli_json(json_incref(info)) ? -EIO : 0;
	} else if (got == 0) {
		show_info(&r, info, is_current, &users, &packages);
	}
	json_decref(info);
	release_close(&r);
	return got < 0 ? cli_error(cli, &e) : 0;
}

/* ---- diff ---- */

static int
open_named(struct cli *cli, const char *arg, struct release *ret, struct err *e)
{
	_auto_free char *template = NULL, *name = NULL;

	split_name(arg, &template, &name);
	return release_open(&cli->store, template, name, ret, e);
}

static json_t *
diff_json(const struct release *a, const struct release *b, const struct release_diff *d)
{
	return json_pack("{s:{s:s, s:s}, s:{s:s, s:s}, s:o, s:o}", "from", "template", a->template, "release",
			 a->name, "to", "template", b->template, "release", b->name, "packages",
			 package_changes_json(d), "files", path_changes_json(d));
}

/* Two releases, or a template and two of its. */
static int
do_diff(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	_auto_(release_close) struct release a = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF},
					     b = a;
	_auto_(release_diff_free) struct release_diff d = {0};
	_auto_free char *from = NULL, *to = NULL;
	struct err e = ERR_INIT;

	if (argc < 2 || argc > 3 || (argc == 3 && strchr(argv[0], '/')))
		return cli_usage(cli, cmd,
				 "template diff: two of NAME and NAME/RELEASE, or NAME RELEASE RELEASE");
	from = argc == 3 ? xasprintf("%s/%s", argv[0], argv[1]) : xstrdup(argv[0]);
	to = argc == 3 ? xasprintf("%s/%s", argv[0], argv[2]) : xstrdup(argv[1]);
	if (cli_store(cli, STORE_READ) != 0)
		return 1;
	if (open_named(cli, from, &a, &e) < 0 || open_named(cli, to, &b, &e) < 0 ||
	    release_diff(&a, &b, true, &d, &e) < 0)
		return cli_error(cli, &e);
	if (cli->json)
		return cli_json(diff_json(&a, &b, &d));
	cli_say(cli, "from %s/%s to %s/%s", a.template, a.name, b.template, b.name);
	print_package_changes(&d);
	print_path_changes(&d, cli->verbose > 0);
	return 0;
}

/* ---- verify ---- */

struct verifying {
	struct cli *cli;
	const struct release *r;
	json_t *list; /* --json */
};

static void
difference(void *ctx, const char *path, const char *what)
{
	struct verifying *v = ctx;
	_auto_free char *shown = text_printable(path, 4096);

	if (v->cli->json)
		(void)json_array_append_new(v->list,
					    json_pack("{s:s, s:s, s:s, s:s}", "template", v->r->template,
						      "release", v->r->name, "path", shown, "what", what));
	else
		printf("%s/%s: %s: %s\n", v->r->template, v->r->name, shown, what);
}

static int
verify_one(struct cli *cli, const char *template, const char *name, json_t *list)
{
	_auto_free char *title = NULL;
	struct verifying v = {.cli = cli, .list = list};
	struct err e = ERR_INIT;
	struct progress *pr;
	struct release_check check = {.say = difference, .ctx = &v};
	struct release r;
	int got;

	if (release_open(&cli->store, template, name, &r, &e) < 0)
		return cli_error(cli, &e);
	v.r = &r;
	title = xasprintf("verify %s/%s", r.template, r.name);
	check.pr = pr = progress_start(cli, title);
	got = release_verify(&r, &check, &e);
	progress_end(pr);
	if (got < 0)
		cli_error(cli, &e);
	else if (check.diffs == 0)
		cli_say(cli, "%s/%s: %s%s", r.template, r.name,
			r.dir_fd < 0 ? "made by hand; nothing is wrong with it" : "is as it was built",
			check.cached_only ? " (as the page cache has it: no direct I/O on this file system)"
					  : "");
	else if (!cli->json)
		cli_warn(cli, "%s/%s: %zu difference%s", r.template, r.name, check.diffs,
			 check.diffs > 1 ? "s" : "");
	release_close(&r);
	return got < 0 || check.diffs ? 1 : 0;
}

static int
verify_template(struct cli *cli, const char *arg, json_t *list)
{
	_auto_free char *template = NULL, *name = NULL;
	_auto_strv struct strv names = STRV_INIT;
	struct err e = ERR_INIT;
	int status = 0;

	split_name(arg, &template, &name);
	if (name)
		return verify_one(cli, template, name, list);
	if (release_names(&cli->store, template, &names, &e) < 0)
		return cli_error(cli, &e);
	for (size_t i = 0; i < names.n; i++)
		if (verify_one(cli, template, names.v[i], list) != 0)
			status = 1;
	return status;
}

/* NAME: all its releases; nothing: all of all templates. */
static int
do_verify(struct cli *cli, int argc, char **argv)
{
	_auto_strv struct strv all = STRV_INIT;
	struct err e = ERR_INIT;
	json_t *list = NULL;
	int status = 0;

	if (cli_store(cli, STORE_READ) != 0)
		return 1;
	for (int i = 0; i < argc; i++)
		strv_add(&all, argv[i]);
	if (argc == 0 && release_templates(&cli->store, &all, &e) < 0)
		return cli_error(cli, &e);
	if (cli->json)
		list = json_array();
	for (size_t i = 0; i < all.n; i++)
		if (verify_template(cli, all.v[i], list) != 0)
			status = 1;
	if (cli->json && cli_json(list) != 0)
		return 1;
	return status;
}

/* ---- remove ---- */

static int
remove_one(struct cli *cli, const char *template, const char *name)
{
	_auto_close int lock = -EBADF;
	struct err e = ERR_INIT;

	/* an upgrade may be on its way to it */
	if (store_lock_try(&cli->store, "upgrade", template, &lock, &e) < 0 ||
	    release_remove(&cli->store, template, name, &e) < 0)
		return cli_error(cli, &e);
	cli_say(cli, "release %s/%s removed", template, name);
	return 0;
}

/* What was kept to go back to a release that is gone.  What cannot be done now, as a jail is busy, `brig tidy` does. */
static void
tidy_after(struct cli *cli, const char *template)
{
	struct tidy t = {.cli = cli};

	tidy_jails(&t, template);
}

/* No jail starts, runs or was last merged with it, and it is not current. */
static int
remove_unused(struct cli *cli, const char *template)
{
	_auto_strv struct strv names = STRV_INIT, unused = STRV_INIT;
	_auto_free char *current = NULL;
	struct err e = ERR_INIT, ignored = ERR_INIT;
	int status = 0;

	if (release_names(&cli->store, template, &names, &e) < 0)
		return cli_error(cli, &e);
	(void)release_current(&cli->store, template, &current, &ignored);
	for (size_t i = 0; i < names.n; i++) {
		_auto_strv struct strv users = STRV_INIT;

		if (release_users(&cli->store, template, names.v[i], &users, &e) < 0)
			return cli_error(cli, &e);
		if (users.n == 0 && !(current && streq(current, names.v[i])) &&
		    !streq(names.v[i], RELEASE_BY_HAND))
			strv_add(&unused, names.v[i]);
	}
	for (size_t i = 0; i + (size_t)opt.keep < unused.n; i++)
		status |= remove_one(cli, template, unused.v[i]);
	if (unused.n <= (size_t)opt.keep)
		cli_say(cli, "template %s: nothing to remove", template);
	tidy_after(cli, template);
	return status;
}

static int
do_remove_unused(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	_auto_strv struct strv all = STRV_INIT;
	struct err e = ERR_INIT;
	int status = 0;

	for (int i = 0; i < argc; i++) {
		if (strchr(argv[i], '/'))
			return cli_usage(cli, cmd,
					 "template remove --unused: templates are named, not releases");
		strv_add(&all, argv[i]);
	}
	if (cli_store(cli, STORE_CREATE) != 0 || tidy(cli) != 0)
		return 1;
	if (argc == 0 && release_templates(&cli->store, &all, &e) < 0)
		return cli_error(cli, &e);
	for (size_t i = 0; i < all.n; i++)
		status |= remove_unused(cli, all.v[i]);
	return status;
}

static int
do_remove(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	_auto_strv struct strv touched = STRV_INIT;
	int status = 0;

	if (opt.unused)
		return do_remove_unused(cli, cmd, argc, argv);
	if (argc < 1)
		return cli_usage(cli, cmd, "template remove: no NAME/RELEASE named");
	for (int i = 0; i < argc; i++)
		if (!strchr(argv[i], '/'))
			return cli_usage(cli, cmd,
					 "template remove %s: which release? (brig template list %s)",
					 argv[i], argv[i]);
	if (cli_store(cli, STORE_CREATE) != 0 || tidy(cli) != 0)
		return 1;
	for (int i = 0; i < argc; i++) {
		_auto_free char *template = NULL, *name = NULL;

		split_name(argv[i], &template, &name);
		status |= remove_one(cli, template, name);
		if (!strv_has(&touched, template))
			strv_add(&touched, template);
	}
	for (size_t i = 0; i < touched.n; i++)
		tidy_after(cli, touched.v[i]);
	return status;
}

/* ---- outdated ---- */

static void
add_outdated(struct cli *cli, const struct release *r, const struct outdated *o, struct table *t,
	     json_t *list)
{
	json_t *packages = json_array();

	for (size_t i = 0; i < o->n; i++) {
		const struct newer *n = &o->v[i];

		table_row(t, r->template, r->name, n->package, n->current ? n->current : "-",
			  n->candidate ? n->candidate : "-");
		(void)json_array_append_new(packages,
					    json_pack("{s:s, s:s?, s:s?}", "package", n->package, "current",
						      n->current, "candidate", n->candidate));
	}
	(void)json_array_append_new(list,
				    json_pack("{s:s, s:s, s:b, s:o}", "template", r->template, "release",
					      r->name, "outdated", o->n > 0, "packages", packages));
	if (o->n == 0)
		cli_say(cli, "template %s: release %s has the newest packages", r->template, r->name);
}

/* named: another source than debian: is an error, else it is passed over. */
static int
outdated_one(struct cli *cli, const char *template, bool named, struct table *t, json_t *list)
{
	_auto_(release_close) struct release r = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_(outdated_free) struct outdated o = {0};
	_auto_free char *title = xasprintf("template %s", template);
	struct err e = ERR_INIT;
	struct progress *pr;
	int got = release_open(&cli->store, template, NULL, &r, &e);

	if (got < 0)
		return named || e.num != ENOENT ? cli_error(cli, &e) : 0;
	if (!named && !outdated_applies(&r))
		return 0;
	pr = progress_start(cli, title);
	got = release_outdated(&cli->store, &r, pr, &o, &e);
	progress_end(pr);
	if (got < 0)
		return cli_fail(cli, template, &e);
	add_outdated(cli, &r, &o, t, list);
	return o.n ? STATUS_NEWER : 0;
}

/* A failure is said before everything else: what is newer may not be all. */
static int
do_outdated(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	static const char *const titles[] = {"TEMPLATE", "RELEASE", "PACKAGE", "CURRENT", "CANDIDATE"};
	struct table t = {.n_cols = ARRAY_LEN(titles), .titles = titles};
	_auto_strv struct strv all = STRV_INIT;
	struct err e = ERR_INIT;
	json_t *list;
	int status = 0;

	for (int i = 0; i < argc; i++)
		if (strchr(argv[i], '/'))
			return cli_usage(cli, cmd, "template outdated: templates are named, not releases");
	if (cli_store(cli, STORE_CREATE) != 0)
		return 1;
	for (int i = 0; i < argc; i++)
		strv_add(&all, argv[i]);
	if (argc == 0 && release_templates(&cli->store, &all, &e) < 0)
		return cli_error(cli, &e);
	list = json_array();
	for (size_t i = 0; i < all.n; i++) {
		int one = outdated_one(cli, all.v[i], argc > 0, &t, list);

		status = status == 1 || one == 0 ? status : one;
	}
	if (!cli->json && t.cells.n)
		table_print(&t, stdout);
	table_free(&t);
	if (!cli->json)
		json_decref(list);
	else if (cli_json(list) != 0)
		return 1;
	return status;
}

/* ---- clean ---- */

static int
do_clean(struct cli *cli, const struct command *cmd, int argc)
{
	struct release_cleaned done = {0};
	_auto_free char *size = NULL;
	struct err e = ERR_INIT;
	size_t trees = 0;

	if (argc > 0)
		return cli_usage(cli, cmd, "template clean: it cleans for all templates");
	if (cli_store(cli, STORE_CREATE) != 0 || tidy(cli) != 0)
		return 1;
	if ((!opt.packages && release_tidy_kept(&cli->store, 0, &trees, &e) < 0) ||
	    release_clean_cache(&cli->store, &done, &e) < 0)
		return cli_error(cli, &e);
	size = out_size(done.bytes);
	if (cli->json)
		return cli_json(json_pack("{s:I, s:I, s:I}", "trees", (json_int_t)trees, "packages",
					  (json_int_t)done.packages, "cache_bytes", (json_int_t)done.bytes));
	if (!opt.packages)
		cli_say(cli, "removed the trees of %zu failed build%s", trees, trees == 1 ? "" : "s");
	cli_say(cli, "removed %zu package%s and the lists of mirrors: %s", done.packages,
		done.packages == 1 ? "" : "s", size);
	return 0;
}

static int
run_template(struct cli *cli, int argc, char **argv)
{
	const struct command *cmd = &cmd_template;
	const char *word = argc > 0 ? argv[0] : NULL;

	if (!word)
		return cli_usage(cli, cmd,
				 "template: build, list, show, diff, outdated, verify, remove or clean?");
	if (!streq(word, "build") &&
	    (opt.overlays.n || opt.rules || opt.release || opt.no_current || opt.resume))
		return cli_usage(cli, cmd, "template %s: the options belong to template build", word);
	if ((opt.unused || opt.keep) && !(streq(word, "remove") && opt.unused))
		return cli_usage(cli, cmd, "template %s: --unused and --keep belong to template remove",
				 word);
	if (opt.packages && !streq(word, "clean"))
		return cli_usage(cli, cmd, "template %s: --packages belongs to template clean", word);
	if (cli_conf(cli, true) != 0)
		return 1;
	argc--;
	argv++;
	if (streq(word, "build"))
		return do_build(cli, cmd, argc, argv);
	if (streq(word, "list"))
		return do_list(cli, argc, argv);
	if (streq(word, "show"))
		return do_show(cli, cmd, argc, argv);
	if (streq(word, "diff"))
		return do_diff(cli, cmd, argc, argv);
	if (streq(word, "outdated"))
		return do_outdated(cli, cmd, argc, argv);
	if (streq(word, "verify"))
		return do_verify(cli, argc, argv);
	if (streq(word, "remove"))
		return do_remove(cli, cmd, argc, argv);
	if (streq(word, "clean"))
		return do_clean(cli, cmd, argc);
	return cli_usage(cli, cmd,
			 "template %s: expected build, list, show, diff, outdated, verify, remove or clean",
			 word);
}

const struct command cmd_template = {
    "template",
    "build NAME [SOURCE] | list [NAME...] | show NAME[/RELEASE] | diff NAME[/RELEASE] NAME[/RELEASE] | diff "
    "NAME RELEASE "
    "RELEASE | outdated [NAME...] | verify [NAME[/RELEASE]...] | remove "
    "NAME/RELEASE... | remove --unused [NAME...] | clean",
    "build, look at, check and remove releases of templates",
    opts,
    WORDS_TEMPLATE,
    0,
    run_template,
};
