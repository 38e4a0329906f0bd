/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/name.h"
#include "base/path.h"
#include "cli/cli.h"
#include "run/run.h"
#include "store/change/change.h"

#define CONF_FILE "/etc/jail.conf"
#define RC_FILE "/etc/rc.conf"
#define FSTAB_FILE "/etc/fstab"
#define DESCRIPTORS 128u /* a start needs some eighty descriptors, with brig-init's */

static struct cli the_cli = {.prog = "brig"};

const struct opt global_opts[] = {
    {'f', "file", OPT_LIST, &the_cli.conf_files, "FILE",
     "configuration: jail.conf, rc.conf or fstab (default /etc/jail.conf; repeatable)"},
    {0, "fstab", OPT_STRING, &the_cli.fstab, "FILE", "the fstab that goes with an rc.conf"},
    {'b', "base", OPT_STRING, &the_cli.base, "DIR", "base directory (default " STORE_BASE ")"},
    {0, "run", OPT_STRING, &the_cli.run, "DIR", "run directory (default " STORE_RUN ")"},
    {0, "json", OPT_FLAG, &the_cli.json, NULL, "print JSON"},
    {'q', "quiet", OPT_FLAG, &the_cli.quiet, NULL, "print only what was asked for, and errors"},
    {'v', "verbose", OPT_COUNT, &the_cli.verbose, NULL, "print every step"},
    OPT_END,
};

/* --- messages --- */

static void
say_line(const struct cli *cli, const char *text)
{
	fflush(stdout);
	fprintf(stderr, "%s: ", cli->prog);
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			fprintf(stderr, "\\x%02x", c);
		else
			fputc(c, stderr);
	}
	fputc('\n', stderr);
}

int
cli_error(const struct cli *cli, const struct err *e)
{
	say_line(cli, e->msg);
	return 1;
}

int
cli_fail(const struct cli *cli, const char *what, const struct err *e)
{
	_auto_free char *shown = text_printable(what, NAME_MAX_LEN);
	_auto_free char *text = xasprintf("%s: %s", shown, e->msg);

	say_line(cli, text);
	return 1;
}

int
cli_usage(const struct cli *cli, const struct command *cmd, const char *fmt, ...)
{
	_auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	say_line(cli, text);
	if (cmd)
		fprintf(stderr, "usage: brig %s%s%s (brig %s --help)\n", cmd->name, *cmd->usage ? " " : "",
			cmd->usage, cmd->name);
	return streq(cli->prog, "brig") ? 2 : 1; /* jls(8), jexec(8), jail(8) */
}

void
cli_say(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->quiet || cli->json)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void
cli_warn(const struct cli *cli, const char *fmt, ...)
{
	_auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	say_line(cli, text);
}

int
cli_json(json_t *j)
{
	int r = json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);

	putchar('\n');
	json_decref(j);
	return r < 0 || fflush(stdout) < 0 ? 1 : 0;
}

static void
report_note(void *ctx, const char *jail, const char *text)
{
	const struct cli *cli = ctx;

	if (cli->verbose)
		cli_warn(cli, "%s: %s", jail, text);
}

static void
report_warn(void *ctx, const char *jail, const char *text)
{
	cli_warn(ctx, "%s: warning: %s", jail, text);
}

struct run_caller
cli_caller(struct cli *cli)
{
	return (struct run_caller){report_note, report_warn, cli, interrupt_catch()};
}

/* --- what most commands need --- */

/* Starts a jail that was down when the command that stopped it was killed.  The mark is removed when the jail
 * runs, and also when it could not be started and that was reported: otherwise every command would try
 * again. */
static void
start_again(struct cli *cli, const char *name)
{
	struct run_caller who = cli_caller(cli);
	struct jailspec *spec = NULL;
	struct err e = ERR_INIT;

	who.in = NULL;
	(void)cli_conf(cli, true);
	if (conf_jail(cli->conf, name, &spec, &e) == 0 && run_start(&cli->store, spec, NULL, &who, &e) >= 0) {
		cli_warn(cli, "%s: started again", name);
	} else {
		(void)cli_fail(cli, name, &e);
		if (run_give_up_restart(&cli->store, name, &e) < 0)
			(void)cli_fail(cli, name, &e);
	}
	jailspec_free(spec);
}

int
cli_recover(struct cli *cli)
{
	struct run_recovered done = {0};
	const struct interrupt *in;
	struct err e = ERR_INIT;
	int r;

	if (geteuid() != 0 || cli->store.lock_fd < 0)
		return 0;
	in = interrupt_catch();
	r = run_recover(&cli->store, &cli->leave, &done, &e);
	for (size_t i = 0; i < done.cleaned.n && !cli->quiet; i++)
		cli_warn(cli, "%s: had ended; cleaned up what it left", done.cleaned.v[i]);
	for (size_t i = 0; i < done.said.n; i++)
		cli_warn(cli, "%s", done.said.v[i]);
	for (size_t i = 0; i < done.failed.n; i++) /* only commands about that jail fail */
		cli_warn(cli, "warning: %s", done.failed.v[i]);
	for (size_t i = 0; i < done.restart.n; i++)
		start_again(cli, done.restart.v[i]);
	strv_free(&done.cleaned);
	strv_free(&done.said);
	strv_free(&done.restart);
	strv_free(&done.failed);
	interrupt_release();
	if (r >= 0)
		r = interrupt_check(in, "the command itself began", &e);
	return r < 0 ? cli_error(cli, &e) : 0;
}

/* Finishes an interrupted upgrade, rollback or merge.  Every command does so, also one that only looks; such
 * a one makes the run directory, which is missing after a reboot, only if there is something to finish. */
static int
go_on(struct cli *cli)
{
	_auto_strv struct strv unfinished = STRV_INIT;
	struct err e = ERR_INIT;

	if (geteuid() != 0)
		return 0;
	if (change_unfinished(&cli->store, &unfinished, &e) < 0)
		return cli_error(cli, &e);
	if (unfinished.n == 0)
		return 0;
	if (cli->store.lock_fd < 0) {
		store_close(&cli->store);
		cli->store_is_open = false;
		if (store_open(cli->base, cli->run, STORE_CREATE, &cli->store, &e) < 0)
			return cli_error(cli, &e);
		cli->store_is_open = true;
	}
	return cli_recover(cli);
}

int
cli_store(struct cli *cli, int flags)
{
	struct err e = ERR_INIT;

	if (cli->store_is_open)
		return 0;
	if ((flags & STORE_CREATE) && geteuid() != 0) {
		(void)err_set(&e, EPERM, "must be root: run it with sudo");
		return cli_error(cli, &e);
	}
	if (store_open(cli->base, cli->run, flags, &cli->store, &e) < 0)
		return cli_error(cli, &e);
	cli->store_is_open = true;
	return flags & STORE_CREATE ? cli_recover(cli) : go_on(cli);
}

/* What cannot be looked at counts as existing: reading it gives the error. */
static bool
exists(const char *path)
{
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* FILE and FILE.d / *.conf; an rc.conf alone takes the fstab beside it, as both stand in /etc. */
static void
read_one(struct cli *cli, const char *file)
{
	_auto_free char *pattern = xasprintf("%s.d/*.conf", file);
	_auto_strv struct strv more = STRV_INIT;

	conf_read(cli->conf, file, CONF_AUTO);
	if (conf_files.glob(conf_files.ctx, pattern, &more) == 0)
		for (size_t i = 0; i < more.n; i++)
			conf_read_listed(cli->conf, more.v[i], CONF_JAILCONF);
}

static bool
named_rc_conf(const char *file)
{
	const char *name = strrchr(file, '/');

	return strstr(name ? name + 1 : file, "rc.conf") != NULL;
}

static void
read_named(struct cli *cli)
{
	for (size_t i = 0; i < cli->conf_files.n; i++) {
		const char *file = cli->conf_files.v[i];

		read_one(cli, file);
		if (named_rc_conf(file) && !cli->fstab && cli->conf_files.n == 1) {
			_auto_free char *copy = xstrdup(file);
			_auto_free char *beside = path_join(dirname(copy), "fstab");

			if (exists(beside))
				conf_read(cli->conf, beside, CONF_FSTAB);
		}
	}
	if (cli->fstab)
		conf_read(cli->conf, cli->fstab, CONF_FSTAB);
}

static void
read_default(struct cli *cli)
{
	_auto_strv struct strv more = STRV_INIT;

	if (exists(CONF_FILE))
		conf_read(cli->conf, CONF_FILE, CONF_JAILCONF);
	if (conf_files.glob(conf_files.ctx, CONF_FILE ".d/*.conf", &more) == 0)
		for (size_t i = 0; i < more.n; i++)
			conf_read_listed(cli->conf, more.v[i], CONF_JAILCONF);
	if (!exists(CONF_FILE) && more.n == 0 && exists(RC_FILE)) {
		conf_read(cli->conf, RC_FILE, CONF_RCCONF);
		conf_read(cli->conf, FSTAB_FILE, CONF_FSTAB);
	}
}

void
cli_conf_message(const char *kind, const struct conf_error *m)
{
	_auto_free char *text = text_printable(m->text, 1000);
	_auto_free char *file = text_printable(m->file ? m->file : "configuration", PATH_MAX);

	if (m->line > 0)
		fprintf(stderr, "%s:%d:%d: %s%s\n", file, m->line, m->col, kind, text);
	else
		fprintf(stderr, "%s: %s%s\n", file, kind, text);
}

int
cli_conf(struct cli *cli, bool lenient)
{
	if (!cli->conf) {
		cli->conf = conf_new(&conf_files, cli->base ? cli->base : STORE_BASE, cli->base_set);
		if (cli->conf_files.n > 0)
			read_named(cli);
		else
			read_default(cli);
		conf_finish(cli->conf);
		if (!cli->base_set && !streq(conf_base(cli->conf), STORE_BASE) && !cli->store_is_open)
			cli->base = conf_base(cli->conf);
	}
	if (conf_n_errors(cli->conf) == 0)
		return 0;
	if (lenient)
		return 0;
	for (size_t i = 0; i < conf_n_errors(cli->conf); i++)
		cli_conf_message("", conf_error_at(cli->conf, i));
	return 1;
}

/* A syntax error makes all of it doubtful (jail(8)); an error of one jail is that jail's. */
int
cli_conf_usable(struct cli *cli)
{
	(void)cli_conf(cli, true);
	for (size_t i = 0; i < conf_n_errors(cli->conf); i++)
		if (!conf_error_at(cli->conf, i)->jail || conf_error_at(cli->conf, i)->syntax)
			return cli_conf(cli, false);
	return 0;
}

static int
all_jails(struct cli *cli, struct strv *ret)
{
	if (!cli->conf)
		return 0;
	strv_copy(ret, conf_jails(cli->conf));
	return 0;
}

int
cli_jails(struct cli *cli, const struct command *cmd, int argc, char **argv, bool all, struct strv *ret)
{
	if (all && argc > 0)
		return cli_usage(cli, cmd, "-a and names exclude each other");
	if (all)
		return all_jails(cli, ret);
	if (argc == 0)
		return cli_usage(cli, cmd, "no jail named (-a: all)");
	for (int i = 0; i < argc; i++) {
		size_t before = ret->n;

		if (!strchr(argv[i], '*')) {
			strv_add(ret, argv[i]);
			continue;
		}
		for (size_t k = 0; cli->conf && k < conf_jails(cli->conf)->n; k++)
			if (conf_match(argv[i], conf_jails(cli->conf)->v[k]))
				strv_add(ret, conf_jails(cli->conf)->v[k]);
		if (ret->n == before)
			return cli_usage(cli, cmd, "no jail matches '%s'", argv[i]);
	}
	return 0;
}

/* --- main --- */

/* The words of brig itself may stand before the command: brig -f FILE -b DIR start www. */
static const struct command brig_command = {"",
					    "COMMAND [ARGUMENT...]",
					    "Many service jails from one read-only template.",
					    NULL,
					    WORDS_NONE,
					    CMD_READS_REST,
					    NULL};

static void
from_environment(struct cli *cli)
{
	const char *conf = getenv("BRIG_CONF");

	if (!cli->base)
		cli->base = getenv("BRIG_BASE");
	if (!cli->run)
		cli->run = getenv("BRIG_RUN");
	if (cli->conf_files.n == 0 && conf && *conf)
		strv_add(&cli->conf_files, conf);
	if (cli->base && !*cli->base)
		cli->base = NULL;
	if (cli->run && !*cli->run)
		cli->run = NULL;
	cli->base_set = cli->base != NULL;
}

/* Makes sure that 0, 1 and 2 are open: otherwise the first file that is opened would become standard
 * output. */
static void
sane_descriptors(void)
{
	struct stat st;
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (fstat(fd, &st) < 0 && open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd)
			_exit(1);
	closefrom(3);
}

/* Raises a soft limit that is below what a start needs (brig-init, pipes, mounts), as far as possible. */
static int
enough_descriptors(const struct cli *cli)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= DESCRIPTORS)
		return 0;
	l.rlim_cur = l.rlim_max < DESCRIPTORS ? l.rlim_max : DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur == DESCRIPTORS)
		return 0;
	fprintf(stderr, "%s: only %llu files may be open at once, %u are needed (ulimit -n)\n", cli->prog,
		(unsigned long long)l.rlim_max, DESCRIPTORS);
	return 1;
}

/* The exit status, or 1 when the output could not be written. */
static int
flushed(const struct cli *cli, int status)
{
	if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE)
		return status;
	fprintf(stderr, "%s: standard output: %s\n", cli->prog, strerror(errno));
	return status ? status : 1;
}

static int
run_command(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	char **words;
	int n, r;

	r = opt_parse(cli, cmd, argc, argv, &n, &words);
	if (r == 0)
		r = enough_descriptors(cli);
	if (r != 0)
		return flushed(cli, r < 0 ? 0 : r);
	from_environment(cli);
	return flushed(cli, cmd->run(cli, n, words));
}

static const struct command *
command_for(struct cli *cli, int *argc, char ***argv)
{
	const char *self = strrchr(*argv[0], '/');
	const struct command *cmd;
	int r;

	self = self ? self + 1 : *argv[0];
	if (streq(self, "jls") || streq(self, "jexec") || streq(self, "jail")) {
		cli->prog = self;
		return command_find(self);
	}
	r = opt_parse(cli, &brig_command, *argc, *argv, argc, argv);
	if (r != 0)
		exit(r < 0 ? 0 : r);
	if (*argc == 0) {
		cmd = command_find("help");
		*argc = 1;
		return cmd;
	}
	cmd = command_find((*argv)[0]);
	if (!cmd) {
		_auto_free char *shown = text_printable((*argv)[0], 40);

		fprintf(stderr, "brig: unknown command '%s' (brig help)\n", shown);
		exit(2);
	}
	return cmd;
}

int
main(int argc, char **argv)
{
	static char *no_words[] = {(char *)(uintptr_t) "help", NULL};
	struct cli *cli = &the_cli;
	const struct command *cmd;
	int r;

	sane_descriptors();
	(void)signal(SIGPIPE, SIG_IGN);
	/* if the caller ignores it, the kernel reaps our children before we have their status */
	(void)signal(SIGCHLD, SIG_DFL);
	/* beyond a limit of ulimit -f write(2) fails instead, and the work can be undone */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (argc > 1 && (streq(argv[1], "--version") || streq(argv[1], "-V"))) {
		printf("brig %s\n", BRIG_VERSION);
		return flushed(cli, 0);
	}
	if (argc > 1 && (streq(argv[1], "--help") || streq(argv[1], "-h")))
		argv[1] = no_words[0];
	cmd = command_for(cli, &argc, &argv);
	r = run_command(cli, cmd, argc, argc && argv[0] ? argv : no_words);
	cli_labels_free(cli);
	if (cli->conf)
		conf_free(cli->conf);
	if (cli->store_is_open)
		store_close(&cli->store);
	strv_free(&cli->conf_files);
	strv_free(&cli->leave);
	return r;
}
