/* SPDX-License-Identifier: BSD-2-Clause */
/* exec and shell: run a command in a jail, confined as the jail is.  jexec: the same with jexec(8)'s
 * options. */
#include <sys/wait.h>

#include "cli/cli.h"
#include "store/record/state.h"

static bool opt_login, opt_no_tty, opt_keep, opt_ignored;
static const char *opt_host_user, *opt_jail_user, *opt_dir;

static const struct opt exec_opts[] = {
    {'u', "host-user", OPT_STRING, &opt_host_user, "USER", "as this user of the host's passwd"},
    {'U', "user", OPT_STRING, &opt_jail_user, "USER", "as this user of the jail's passwd"},
    {'d', "directory", OPT_STRING, &opt_dir, "DIR", "working directory in the jail"},
    {'l', "login", OPT_FLAG, &opt_login, NULL, "clean environment (always; for jexec's users)"},
    {'E', "environment", OPT_FLAG, &opt_keep, NULL, "keep the caller's environment: the jail can see it"},
    {'T', "no-tty", OPT_FLAG, &opt_no_tty, NULL, "no terminal, even where standard input is one"},
    OPT_END,
};
static const struct opt shell_opts[] = {
    {'U', "user", OPT_STRING, &opt_jail_user, "USER", "as this user of the jail's passwd (default root)"},
    OPT_END,
};
static const struct opt jexec_opts[] = {
    {'l', NULL, OPT_FLAG, &opt_login, NULL, "clean environment"},
    {'u', NULL, OPT_STRING, &opt_host_user, "USER", "as this user of the host's passwd"},
    {'U', NULL, OPT_STRING, &opt_jail_user, "USER", "as this user of the jail's passwd"},
    {'d', NULL, OPT_STRING, &opt_dir, "DIR", "working directory in the jail"},
    {'n', NULL, OPT_FLAG, &opt_ignored, NULL, "accepted and ignored"},
    OPT_END,
};

static bool
is_jexec(const struct cli *cli)
{
	return streq(cli->prog, "jexec");
}

static bool
is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

/* The running jail of that name or JID, with what it was started with. */
static int
find(struct cli *cli, const char *word, struct state *st, struct jailspec **spec, struct err *e)
{
	int found = state_find(&cli->store, word, st, e);

	if (found < 0)
		return found;
	if (found == 0 || !os_jail_alive(&st->ref)) {
		if (found)
			state_free(st);
		if (is_jexec(cli)) /* its own words: a number is a JID */
			return err_set(e, ENOENT,
				       is_number(word) ? "jail %s not found" : "jail \"%s\" not found", word);
		return err_set(e, ENOENT, "%s: not running (brig start %s)", word, word);
	}
	found = spec_from_params(st->name, &st->params, cli->store.base, spec, e);
	if (found < 0)
		state_free(st);
	return found;
}

/* Is it a shell that the jail may lack, as in the Handbook's `jexec 3 tcsh`?  Then /bin/sh is run instead. */
static bool
names_a_shell(const struct os_exec *x)
{
	static const char *const shells[] = {"tcsh", "csh", "bash", "zsh", "ksh", "fish"};
	const char *name;

	if (x->shell || !x->argv[0] || x->argv[1])
		return false;
	name = strrchr(x->argv[0], '/');
	name = name ? name + 1 : x->argv[0];
	for (size_t i = 0; i < ARRAY_LEN(shells); i++)
		if (streq(name, shells[i]))
			return true;
	return false;
}

/* Runs x; if it is a shell that the jail does not have, /bin/sh instead. */
static int
exec_with_shell(struct cli *cli, const struct state *st, const struct jailspec *spec, const struct os_exec *x,
		int *status, struct err *e)
{
	const struct os_id id = {cli->store.tag, st->name, st->jid};
	int r = os_jail_exec(&id, &st->ref, spec, x, status, e);
	char sh[] = "/bin/sh";
	char *argv[] = {sh, NULL};
	struct os_exec fallback = *x;

	if (r >= 0 || !WIFEXITED(*status) || WEXITSTATUS(*status) != 127 || !names_a_shell(x))
		return r;
	cli_warn(cli, "%s: no such shell in the jail; using /bin/sh", x->argv[0]);
	err_clear(e);
	fallback.argv = argv;
	return os_jail_exec(&id, &st->ref, spec, &fallback, status, e);
}

/* Returns the exit status of the command, or brig's own where it could not be started. */
static int
run_inside(struct cli *cli, const char *word, const struct os_exec *x)
{
	struct jailspec *spec;
	struct err e = ERR_INIT;
	struct state st;
	int status = 0, r;

	r = find(cli, word, &st, &spec, &e);
	if (r < 0)
		return cli_error(cli, &e);
	r = exec_with_shell(cli, &st, spec, x, &status, &e);
	jailspec_free(spec);
	state_free(&st);
	if (r < 0) {
		if (is_jexec(cli)) /* jexec(8): what fails before the command, the exec included, is 1 */
			return status ? cli_fail(cli, "execvp", &e) : cli_error(cli, &e);
		(void)cli_error(cli, &e);
		return WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool
on_terminal(void)
{
	return !opt_no_tty && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
}

static int
need_root(struct cli *cli)
{
	struct err e = ERR_INIT;

	if (geteuid() != 0) {
		(void)err_set(&e, EPERM, "must be root: run it with sudo");
		return cli_error(cli, &e);
	}
	return cli_store(cli, STORE_READ);
}

static int
exec_run(struct cli *cli, int argc, char **argv)
{
	struct os_exec x = OS_EXEC_INIT;
	int r;

	if (argc < 2)
		return cli_usage(cli, &cmd_exec, "%s",
				 argc < 1 ? "no jail named" : "no command named (for a shell: brig shell)");
	if (opt_host_user && opt_jail_user)
		return cli_usage(cli, &cmd_exec, "-u and -U exclude each other");
	r = need_root(cli);
	if (r != 0)
		return r;
	x.signals = true;
	x.argv = argv + 1;
	x.host_user = opt_host_user;
	x.jail_user = opt_jail_user;
	x.workdir = opt_dir ? opt_dir : "/";
	x.clean = !opt_keep;
	x.tty = on_terminal();
	return run_inside(cli, argv[0], &x);
}

static int
shell_run(struct cli *cli, int argc, char **argv)
{
	char *none[] = {NULL};
	struct os_exec x = OS_EXEC_INIT;
	int r;

	if (argc != 1)
		return cli_usage(cli, &cmd_shell, "%s",
				 argc < 1 ? "no jail named" : "expected one jail (for a command: brig exec)");
	r = need_root(cli);
	if (r != 0)
		return r;
	x.signals = true;
	x.argv = none;
	x.jail_user = opt_jail_user;
	x.clean = x.shell = x.login = true;
	x.tty = on_terminal();
	return run_inside(cli, argv[0], &x);
}

/* jexec(8): wrong use and everything that fails before the command exit with 1; without -l and a user the
 * environment is the caller's. */
static int
jexec_run(struct cli *cli, int argc, char **argv)
{
	struct os_exec x = OS_EXEC_INIT;

	if (argc < 1 || (opt_host_user && opt_jail_user)) {
		fputs("usage: jexec [-l] [-d working-directory] [-u username | -U username] jail [command "
		      "...]\n",
		      stderr);
		return 1;
	}
	if (need_root(cli) != 0)
		return 1;
	x.signals = true;
	x.argv = argv + 1;
	x.shell = argc == 1;
	x.host_user = opt_host_user;
	x.jail_user = opt_jail_user;
	x.workdir = opt_dir;
	x.clean = opt_login;
	x.tty = on_terminal();
	return run_inside(cli, argv[0], &x);
}

const struct command cmd_exec = {
    "exec",
    "[-u USER | -U USER] [-d DIR] [-T] NAME CMD [ARG...]",
    "Runs a command in a jail, confined as the jail is.",
    exec_opts,
    WORDS_RUNNING,
    CMD_READS_REST,
    exec_run,
};
const struct command cmd_shell = {
    "shell", "[-U USER] NAME", "A login shell in a jail.", shell_opts, WORDS_RUNNING, 0, shell_run,
};
const struct command cmd_jexec = {
    "jexec",       "[-l] [-d DIR] [-u USER | -U USER] JAIL [CMD...]",
    "jexec(8).",   jexec_opts,
    WORDS_RUNNING, CMD_READS_REST | CMD_HIDDEN,
    jexec_run,
};
