/* SPDX-License-Identifier: BSD-2-Clause */
/* `brig destroy`: says what will be removed, asks, and removes it. */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/name.h"
#include "cli/cli.h"
#include "cli/define.h"
#include "run/run.h"

static bool opt_yes, opt_archive, opt_all_space;

static const struct opt destroy_opts[] = {
    {'y', "yes", OPT_FLAG, &opt_yes, NULL, "do not ask"},
    {0, "force", OPT_FLAG, &opt_yes, NULL, "the same as -y"},
    {0, "space", OPT_FLAG, &opt_all_space, NULL,
     "also a jailspace outside the base: space = DIR, image:FILE"},
    {0, "archive", OPT_FLAG, &opt_archive, NULL, "archive it first"},
    OPT_END,
};

/* What is known about a jail that is to be destroyed. */
struct going {
	const char *name;
	struct jailspec *spec; /* NULL: no file defines it, or with errors */
	bool defined;          /* some file does */
	bool recorded;
	char *definition; /* the file that goes with it, or NULL */
	char *inside;     /* BASE/js/NAME, or NULL */
	char *outside;    /* what the administrator gave, or NULL */
	bool outside_goes;
};

static void
going_free(struct going *g)
{
	jailspec_free(g->spec);
	free(g->definition);
	free(g->inside);
	free(g->outside);
}

static int
find(struct cli *cli, const char *name, struct going *g, struct err *e)
{
	struct err ignore = ERR_INIT;
	_auto_(record_free) struct record rec = {0};
	_auto_free char *js = NULL;
	int r;

	g->name = name;
	if (name_check("jail", name, e) < 0)
		return -e->num;
	if (run_is_running(&cli->store, name))
		return err_set(e, EBUSY, "is running: stop it first (brig stop %s)", name);
	/* wrong parameters do not keep a jail from going */
	if (conf_has(cli->conf, name) && conf_jail(cli->conf, name, &g->spec, &ignore) < 0)
		g->spec = NULL;
	g->definition = define_ours(cli, name);
	g->defined = conf_has(cli->conf, name);
	r = record_read(&cli->store, name, &rec, e);
	if (r < 0 && r != -EINVAL) /* damaged: it is destroyed like any other */
		return r;
	err_clear(e);
	g->recorded = r != 0;
	js = xasprintf("%s/js/%s", cli->store.base, name);
	r = fsx_look(AT_FDCWD, js, NULL);
	if (r < 0)
		return err_sys(e, -r, "%s", js);
	if (r > 0)
		g->inside = xstrdup(js);
	if (g->spec && g->spec->root == ROOT_PATH)
		g->outside = xstrdup(g->spec->path);
	else if (g->spec && g->spec->space_arg && g->spec->space != SPACE_TMPFS &&
		 !(g->spec->space == SPACE_DIR && streq(g->spec->space_arg, js)))
		g->outside = xstrdup(g->spec->space_arg);
	g->outside_goes =
	    g->outside && opt_all_space && g->spec->root == ROOT_TEMPLATE && g->spec->space != SPACE_DEVICE;
	return 0;
}

/* "/var/lib/brig/js/www (1234 files, 4.5M)" */
static char *
describe(const struct cli *cli, const struct going *g, bool outside)
{
	const char *path = outside ? g->outside : g->inside;
	_auto_close int fd = -EBADF;
	_auto_free char *size = NULL;
	struct err ignore = ERR_INIT;
	uint64_t bytes, files;
	struct stat st;

	if (outside && g->spec->space == SPACE_IMAGE) {
		if (stat(path, &st) < 0)
			return xstrdup(path);
		size = out_size((uint64_t)st.st_blocks * 512);
		return xasprintf("%s (%s)", path, size);
	}
	if (space_open(&cli->store, g->name, outside ? path : NULL, &fd, &ignore) < 0 ||
	    space_usage(fd, &bytes, &files, &ignore) < 0)
		return xstrdup(path);
	size = out_size(bytes);
	return xasprintf("%s (%" PRIu64 " files, %s)", path, files, size);
}

static void
say_going(const struct cli *cli, const struct going *g)
{
	_auto_strv struct strv list = STRV_INIT;
	_auto_free char *text = NULL;

	if (g->inside)
		strv_take(&list, describe(cli, g, false));
	if (g->outside_goes)
		strv_take(&list, describe(cli, g, true));
	if (g->definition)
		strv_add(&list, g->definition);
	text = list.n ? strv_join(&list, ", ") : xstrdup("its record");
	cli_say(cli, "%s: removes %s", g->name, text);
	if (g->outside && !g->outside_goes)
		cli_say(cli, "%s: keeps %s%s", g->name, g->outside,
			g->spec->root == ROOT_TEMPLATE && g->spec->space != SPACE_DEVICE
			    ? " (--space: that, too)"
			    : "");
}

static bool
agreed(const struct going *g)
{
	char answer[16];

	if (opt_yes)
		return true;
	fprintf(stderr, "Destroy %s? [y/N] ", g->name);
	fflush(stderr);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static const char *
defined_at(const struct going *g)
{
	return g->spec && g->spec->where ? g->spec->where : "the configuration (brig check)";
}

/* Removes the definition, after the jail itself. */
static int
undefine(const struct cli *cli, const struct going *g, struct err *e)
{
	if (g->definition)
		return define_remove(g->definition, e);
	if (g->defined)
		cli_say(cli, "%s: its definition stays at %s", g->name, defined_at(g));
	return 0;
}

static int
destroy(const struct cli *cli, const struct going *g, struct err *e)
{
	int r = opt_all_space ? run_destroy_all(&cli->store, g->name, g->spec, e)
			      : run_destroy(&cli->store, g->name, g->spec, e);

	if (r == -ENOENT && g->definition) { /* interrupted between the two */
		err_clear(e);
		r = 0;
	} else if (r == -ENOENT && g->defined) {
		return err_set(e, ENOENT, "there is nothing to remove; its definition is at %s",
			       defined_at(g));
	}
	return r < 0 ? r : undefine(cli, g, e);
}

static int
destroy_one(struct cli *cli, const char *name, json_t *results)
{
	_auto_(going_free) struct going g = {0};
	struct err e = ERR_INIT;
	int r = find(cli, name, &g, &e);

	if (r == -EINVAL)
		return cli_error(cli, &e);
	if (r == 0) {
		/* otherwise there can only be what an interrupted command left */
		bool something = g.inside || g.recorded || g.definition;

		if (something && (!opt_yes || cli->verbose))
			say_going(cli, &g);
		if (something && !agreed(&g)) {
			cli_say(cli, "%s: not destroyed", name);
			return 1;
		}
		r = destroy(cli, &g, &e);
	}
	if (r < 0)
		return cli_fail(cli, name, &e);
	cli_say(cli, "%s: destroyed%s%s", name, g.outside && !g.outside_goes ? "; kept " : "",
		g.outside && !g.outside_goes ? g.outside : "");
	json_array_append_new(results,
			      json_pack("{s:s, s:s*, s:s*}", "name", name, "definition", g.definition, "kept",
					g.outside && !g.outside_goes ? g.outside : NULL));
	return 0;
}

static int
run_destroy_cmd(struct cli *cli, int argc, char **argv)
{
	json_t *results;
	int status;

	if (argc == 0)
		return cli_usage(cli, &cmd_destroy, "no jail named");
	if (opt_archive)
		return cli_usage(cli, NULL,
				 "archives are not supported yet by this version; copy BASE/js/NAME first");
	if (!opt_yes && (!isatty(STDIN_FILENO) || cli->json))
		return cli_usage(cli, &cmd_destroy,
				 "cannot ask (no terminal, or --json): -y destroys without asking");
	(void)cli_conf(cli, true);
	status = cli_store(cli, STORE_CREATE);
	if (status != 0)
		return status;
	results = json_array();
	for (int i = 0; i < argc; i++)
		if (destroy_one(cli, argv[i], results) != 0)
			status = 1;
	if (cli->json)
		status |= cli_json(results);
	else
		json_decref(results);
	return status;
}

const struct command cmd_destroy = {
    "destroy", "[-y] [--space] NAME...", "Removes jails: says what goes, and asks.", destroy_opts, WORDS_JAIL,
    0,         run_destroy_cmd,
};
