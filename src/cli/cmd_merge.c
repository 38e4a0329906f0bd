/* SPDX-License-Identifier: BSD-2-Clause */
/* merge: conflicts of jails (merge_jails.c); --tree: a three-way merge of whole trees, with etcupdate(8)'s
 * report. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/path.h"
#include "cli/cli.h"
#include "cli/merge_jails.h"
#include "store/merge/merge.h"
#include "store/tree.h"

static bool opt_tree, opt_dry, opt_ids;
static const char *opt_conflicts;
static struct strv opt_always, opt_ignore;
static struct merge_request request;

static const struct opt options[] = {
    {'a', "all", OPT_FLAG, &request.all, NULL, "what waits in all jails (the default)"},
    {0, "diff", OPT_FLAG, &request.diff, NULL, "show what the release and the jail changed"},
    {'i', "interactive", OPT_FLAG, &request.interactive, NULL, "ask about one after the other"},
    {0, "mine", OPT_LIST, &request.mine, "PATH", "keep the jail's own file"},
    {0, "theirs", OPT_LIST, &request.theirs, "PATH", "take the release's file"},
    {0, "merged", OPT_LIST, &request.merged, "PATH", "take the merged file, where it merges cleanly by now"},
    {0, "edit", OPT_LIST, &request.edit, "PATH", "edit the file with the conflict marked ($EDITOR)"},
    {0, "file", OPT_STRING, &request.file, "FILE", "with --edit: take this file instead of editing"},
    {0, "tree", OPT_FLAG, &opt_tree, NULL,
     "merge the changes from OLD to NEW into DEST, as etcupdate(8) does"},
    {0, "conflicts", OPT_STRING, &opt_conflicts, "DIR",
     "with --tree: where files with conflicts are written"},
    {'n', "dry-run", OPT_FLAG, &opt_dry, NULL, "only print what would be done"},
    {'A', "always", OPT_LIST, &opt_always, "PATTERNS", "with --tree: files to install in any case"},
    {'I', "ignore", OPT_LIST, &opt_ignore, "PATTERNS", "with --tree: files to leave alone"},
    {'F', "freebsd-id", OPT_FLAG, &opt_ids, NULL, "with --tree: ignore changes of $FreeBSD$ lines"},
    OPT_END,
};

/* --- merge --tree --- */

static int
open_dir(const char *path, int *ret_fd, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	*ret_fd = fd;
	return 0;
}

static int
is_conflict(void *ctx, const struct tree_entry *t, struct err *e)
{
	(void)ctx;
	(void)e;
	return !S_ISDIR(t->st.st_mode);
}

/* Conflicts of an earlier run must be dealt with first.  A dry run makes no directory. */
static int
open_conflicts(int *ret_fd, struct err *e)
{
	_auto_close int fd = open(opt_conflicts, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT && opt_dry)
		return 0;
	if (fd < 0 && errno == ENOENT) {
		_auto_free char *path = path_real(opt_conflicts);

		if (!path)
			return err_sys(e, errno, "%s", opt_conflicts);
		if (fsx_mkdir_p(path, 0700, e) < 0)
			return -e->num;
		return open_dir(path, ret_fd, e);
	}
	if (fd < 0)
		return err_sys(e, errno, "%s", opt_conflicts);
	r = tree_walk(fd, is_conflict, NULL, e);
	if (r < 0)
		return err_wrap(e, "%s", opt_conflicts);
	if (r > 0)
		return err_set(e, EEXIST, "Conflicts remain from previous update, aborting.");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

struct report {
	bool warnings;
	json_t *json, *changes, *warned; /* --json */
};

static void
say_line(void *ctx, const char *line)
{
	struct report *r = ctx;

	if (!r->json)
		puts(line);
	else if (r->warnings)
		(void)json_array_append_new(r->warned, json_string(line + strlen("  ")));
	else if (streq(line, "Warnings:"))
		r->warnings = true;
	else
		(void)json_array_append_new(r->changes,
					    json_pack("{s:s#, s:s}", "letter", line + strlen("  "), 1, "path",
						      line + strlen("  X ")));
}

static int
merge_trees(struct cli *cli, char **argv)
{
	_auto_close int old_fd = -EBADF, new_fd = -EBADF, dest_fd = -EBADF, conflicts_fd = -EBADF;
	struct merge_tree t = {.dest = argv[2],
			       .dry = opt_dry,
			       .opts = {.always = &opt_always, .ignore = &opt_ignore, .freebsd_ids = opt_ids},
			       .say = say_line};
	struct err e = ERR_INIT;
	struct report report = {0};
	size_t conflicts, warnings;
	int r;

	if (open_dir(argv[0], &old_fd, &e) < 0 || open_dir(argv[1], &new_fd, &e) < 0 ||
	    open_dir(argv[2], &dest_fd, &e) < 0 || (opt_conflicts && open_conflicts(&conflicts_fd, &e) < 0))
		return cli_error(cli, &e);
	if (cli->json) {
		report.changes = json_array();
		report.warned = json_array();
		report.json = json_pack("{s:o, s:o}", "changes", report.changes, "warnings", report.warned);
	}
	t.old_fd = old_fd;
	t.new_fd = new_fd;
	t.dest_fd = dest_fd;
	t.conflicts_fd = conflicts_fd;
	t.ctx = &report;
	r = merge_tree(&t, &conflicts, &warnings, &e);
	if (report.json && cli_json(report.json) != 0)
		return 1;
	return r < 0 ? cli_error(cli, &e) : fflush(stdout) != 0;
}

static int
run_merge(struct cli *cli, int argc, char **argv)
{
	if (!opt_tree)
		return merge_jails(cli, &cmd_merge, &request, argc, argv);
	if (argc != 3)
		return cli_usage(cli, &cmd_merge, "merge --tree: expected three directories, OLD NEW DEST");
	return merge_trees(cli, argv);
}

const struct command cmd_merge = {
    "merge",
    "[NAME... | -a] | --tree [-nF] [-A PATTERNS] [-I PATTERNS] [--conflicts DIR] OLD NEW DEST",
    "conflicts of upgrades: list, show, decide; merge of plain trees",
    options,
    WORDS_JAIL,
    0,
    run_merge,
};
