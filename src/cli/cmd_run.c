/* SPDX-License-Identifier: BSD-2-Clause */
/* run: a throw-away jail around one command. */
#include <fcntl.h>
#include <sys/wait.h>

#include "base/fsx.h"
#include "base/path.h"
#include "cli/cli.h"
#include "run/run.h"

static const char *opt_template, *opt_space;
static struct strv opt_params;
static bool opt_no_tty;

static const struct opt run_opts[] = {
    {'t', "template", OPT_STRING, &opt_template, "TEMPLATE[/RELEASE]",
     "its template (default " STORE_TEMPLATE ")"},
    {0, "space", OPT_STRING, &opt_space, "DIR", "its jailspace: filled if empty, and kept"},
    {'o', "option", OPT_LIST, &opt_params, "PARAM=VALUE", "a parameter of jail.conf (repeatable)"},
    {'T', "no-tty", OPT_FLAG, &opt_no_tty, NULL, "no terminal, even where standard input is one"},
    OPT_END,
};

/* The words of the command line as parameters of a jail that no file defines. */
static int
specify(struct cli *cli, const char *name, struct jailspec **ret)
{
	_auto_strv struct strv words = STRV_INIT;
	struct err e = ERR_INIT;

	if (opt_template)
		strv_addf(&words, "template=%s", opt_template);
	if (opt_space) {
		_auto_free char *real = path_real(opt_space);

		strv_addf(&words, "space=%s", real ? real : opt_space);
	}
	strv_copy(&words, &opt_params);
	for (size_t i = 0; i < words.n; i++)
		if (conf_override(cli->conf, name, words.v[i], &e) < 0)
			return cli_error(cli, &e);
	if (conf_default_jail(cli->conf, name, ret, &e) < 0)
		return cli_error(cli, &e);
	return 0;
}

/* 1; 0, also when it does not exist or is an image; -errno. */
static int
has_files(const char *dir, struct err *e)
{
	_auto_closedir DIR *d = opendir(dir);
	struct dirent *de;

	if (!d)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, errno, "space %s", dir);
	while ((errno = 0, de = readdir(d)))
		if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
			return 1;
	return errno ? err_sys(e, errno, "space %s", dir) : 0;
}

static int
run_it(struct cli *cli, const struct jailspec *spec, char **argv)
{
	struct os_exec x = OS_EXEC_INIT;
	int status = 0, r;
	struct run_start_opts o = {.ephemeral = true, .command = &x, .ret_status = &status};
	struct run_caller who = cli_caller(cli);
	struct err e = ERR_INIT, undo = ERR_INIT;
	const struct interrupt *in;

	x.signals = true;
	x.argv = argv;
	x.clean = true;
	x.tty = !opt_no_tty && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	/* what is made has a name that no later command knows: a signal is waited for, and then all of it
	 * goes */
	in = interrupt_catch();
	interrupt_waits_for("the jailspace to be made", NULL);
	r = spec->root != ROOT_TEMPLATE ? 1 : spec->space_arg ? has_files(spec->space_arg, &e) : 0;
	if (r == 0)
		r = run_create_ephemeral(&cli->store, spec, &e);
	if (r >= 0)
		r = interrupt_check(in, "start", &e);
	interrupt_release();
	who.in = NULL;
	if (r >= 0)
		r = run_start(&cli->store, spec, &o, &who, &e);
	/* what it left running goes now; if it never started, what was created for it */
	if (run_stop(&cli->store, spec->name, spec, STOP_FORCE, &who, &undo) < 0)
		(void)cli_error(cli, &undo);
	if (r < 0) {
		(void)run_destroy(&cli->store, spec->name, spec, &undo);
		(void)cli_error(cli, &e);
		return WEXITSTATUS(status) ? WEXITSTATUS(status) : 1; /* 126, 127: the command itself */
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* As long as we live the name is ours: what is made under it is not taken for what a killed command left. */
static int
run_locked(struct cli *cli, const struct jailspec *spec, char **argv)
{
	_auto_close int lock = -EBADF;
	struct err e = ERR_INIT;
	int r;

	if (store_lock_try(&cli->store, RUN_LOCK, spec->name, &lock, &e) < 0)
		return cli_error(cli, &e);
	r = run_it(cli, spec, argv);
	store_lock_remove(&cli->store, RUN_LOCK, spec->name);
	return r;
}

static int
run_run(struct cli *cli, int argc, char **argv)
{
	struct jailspec *spec = NULL;
	char name[64];
	int r;

	if (argc == 0)
		return cli_usage(cli, &cmd_run, "no command");
	r = cli_conf_usable(cli);
	if (r == 0)
		r = cli_store(cli, STORE_CREATE);
	if (r != 0)
		return r;
	fsx_temp_name(name, sizeof(name), "run");
	name[strlen("run")] = '-'; /* RUN_PREFIX */
	r = specify(cli, name, &spec);
	if (r == 0)
		r = run_locked(cli, spec, argv);
	jailspec_free(spec);
	return r;
}

const struct command cmd_run = {
    "run",
    "[-t TEMPLATE] [--space DIR] [-o PARAM=VALUE] CMD [ARG...]",
    "Runs one command in a throw-away jail; nothing is left afterwards.",
    run_opts,
    WORDS_NONE,
    CMD_READS_REST,
    run_run,
};
