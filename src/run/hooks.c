/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/name.h"
#include "run/steps.h"

#define HEALTH_SECONDS 30 /* without exec.timeout */
#define REGENERATE_SECONDS 60
#define STOP_SECONDS 90 /* as FreeBSD gives rc.shutdown(8) */
#define LOG_PAUSE_NS 3000000

const char *const hook_names[EXEC_N] = {
    "exec.prepare",   "exec.prestart", "exec.created", "exec.start",    "command",
    "exec.poststart", "exec.prestop",  "exec.stop",    "exec.poststop", "exec.release",
    "exec.preupgrade", "exec.upgrade", "exec.postupgrade",
};

static bool
in_jail(enum spec_exec which)
{
	return which == EXEC_START || which == EXEC_COMMAND || which == EXEC_STOP || which >= EXEC_PREUPGRADE;
}

static void
note(struct instance *c, const char *what, const char *command)
{
	_auto_free char *text = NULL;

	text = xasprintf("%s: %s", what, command);
	interrupt_waits_for(text, c->spec->label);
	if (c->who && c->who->note)
		c->who->note(c->who->ctx, c->spec->label, text);
}

/* "exited with status 3", jail(8)'s words. */
static int
judge(const char *what, const char *command, int status, const char *last, struct err *e)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "%s: %s: exited on signal %d", what, command, WTERMSIG(status));
	return err_set(e, EIO, "%s: %s: failed with status %d%s%s", what, command, WEXITSTATUS(status),
		       last && *last ? ": " : "", last && *last ? last : "");
}

/* The environment of a command on the host: JID, JNAME, JPATH; with exec.clean hardly anything else. */
static void
host_env(struct instance *c, const struct passwd *pw, struct strv *env)
{
	const char *term = getenv("TERM");

	if (c->spec->exec_clean) {
		if (term)
			strv_addf(env, "TERM=%s", term);
		strv_add(env, "PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin");
		strv_addf(env, "HOME=%s", pw ? pw->pw_dir : "/root");
		strv_addf(env, "USER=%s", pw ? pw->pw_name : "root");
		strv_addf(env, "SHELL=%s", pw && *pw->pw_shell ? pw->pw_shell : "/bin/sh");
	} else {
		for (char **v = environ; *v; v++)
			if (!str_after(*v, "JID=") && !str_after(*v, "JNAME=") && !str_after(*v, "JPATH="))
				strv_add(env, *v);
	}
	if (c->st.jid > 0)
		strv_addf(env, "JID=%d", c->st.jid);
	strv_addf(env, "JNAME=%s", c->spec->name);
	strv_addf(env, "JPATH=%s", c->spec->path);
}

static int
run_on_host(struct instance *c, const char *what, const char *command, struct err *e)
{
	_auto_strv struct strv argv = STRV_INIT, env = STRV_INIT;
	struct child ch = CHILD_INIT;
	struct passwd *pw = NULL;
	int status, r;

	if (c->spec->system_user) {
		pw = getpwnam(c->spec->system_user);
		if (!pw)
			return err_set(e, ENOENT, "%s: exec.system_user %s: no such user", what,
				       c->spec->system_user);
	}
	child_command_argv(command, &argv, &ch.background);
	if (argv.n == 0)
		return 0;
	host_env(c, pw, &env);
	ch.argv = argv.v;
	ch.envp = env.v;
	ch.timeout_s = c->spec->exec_timeout;
	if (pw && pw->pw_uid != 0) {
		ch.set_ids = true;
		ch.uid = pw->pw_uid;
		ch.gid = pw->pw_gid;
		ch.user = pw->pw_name;
	}
	r = child_run(&ch, &status, e);
	if (r == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "%s: %s: timed out", what, command);
	if (r < 0)
		return err_wrap(e, "%s", what);
	return judge(what, command, status, NULL, e);
}

/* The last line that a command added to the console log, or the last of them with `what` in it, as the reason in an
 * error. */
static char *
last_line(int fd, off_t from, const char *what)
{
	char text[4096];
	struct stat st;
	ssize_t n;
	char *nl;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= from)
		return xstrdup("");
	if (st.st_size - from > (off_t)sizeof(text) - 1)
		from = st.st_size - (off_t)sizeof(text) + 1;
	n = pread(fd, text, sizeof(text) - 1, from);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	nl = strrchr(text, '\n');
	while (nl && what && !strstr(nl, what)) { /* what runs already goes on writing */
		*nl = '\0';
		nl = strrchr(text, '\n');
	}
	nl = nl ? nl + 1 : text;
	return xstrndup(nl, 511);
}

/* "rc: not started: NAME NAME", each once. */
static void
take_missing(const char *line, struct strv *ret)
{
	const char *p = line ? strstr(line, EXEC_MISSING) : NULL;

	for (p = p ? p + strlen(EXEC_MISSING) : ""; *(p += strspn(p, " "));) {
		size_t n = strcspn(p, " ");
		_auto_free char *raw = xstrndup(p, n), *name = text_printable(raw, NAME_MAX_LEN);

		if (!strv_has(ret, name))
			strv_add(ret, name);
		p += n;
	}
	if (ret->n == 0)
		strv_add(ret, "some of them");
}

/* The log itself can only be appended to; the first process keeps it within its bound, so output goes through
 * that. */
static int
open_output(const struct instance *c, int *ret_fd, struct err *e)
{
	int r = os_jail_output(&c->st.ref, ret_fd, e);

	if (r != -ENOENT)
		return r;
	err_clear(e);
	*ret_fd = open(c->st.consolelog, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
	return *ret_fd < 0 ? err_sys(e, errno, "%s", c->st.consolelog) : 0;
}

/* missing: EXEC_DEGRADED is no failure, and what it is about goes there; or NULL. */
static int
run_in_jail(struct instance *c, const char *what, const char *command, int timeout_s, struct strv *missing,
	    struct err *e)
{
	_auto_strv struct strv argv = STRV_INIT, env = STRV_INIT;
	const char *want = NULL;
	_auto_close int log = -EBADF;
	_auto_close int log_read = open(c->st.consolelog, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
	_auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	_auto_free char *last = NULL;
	struct os_exec x = OS_EXEC_INIT;
	struct stat st = {0};
	int status, r;

	child_command_argv(command, &argv, &x.background);
	if (argv.n == 0)
		return 0;
	if (open_output(c, &log, e) < 0)
		return err_wrap(e, "%s", what);
	if (log_read < 0 || null < 0 || fstat(log_read, &st) < 0)
		return err_sys(e, errno, "%s: %s", what, c->st.consolelog);
	x.argv = argv.v;
	x.clean = c->spec->exec_clean || !params_get(&c->spec->params, "exec.clean");
	x.jail_user = c->spec->system_jail_user ? NULL : c->spec->jail_user;
	x.host_user = c->spec->system_jail_user ? c->spec->jail_user : NULL;
	x.fd_in = null;
	x.fd_out = x.fd_err = log;
	x.timeout_s = timeout_s;
	if (c->from) {
		strv_addf(&env, "RELEASE_FROM=%s", c->from);
		strv_addf(&env, "RELEASE_TO=%s", c->to);
		x.env_add = env.v;
	}
	r = os_jail_exec(&c->id, &c->st.ref, c->made, &x, &status, e);
	if (r == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "%s: %s: timed out", what, command);
	if (r < 0)
		return err_wrap(e, "%s", what);
	os_jail_output_drain(log);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXEC_DEGRADED && missing)
		want = EXEC_MISSING;
	if (status != 0) /* the output reaches the log a moment after the pipe */
		(void)nanosleep(&(struct timespec){0, LOG_PAUSE_NS}, NULL);
	last = last_line(log_read, st.st_size, want);
	if (want) {
		take_missing(last, missing);
		return 0;
	}
	return judge(what, command, status, last, e);
}

/* The time limit of a command.  exec.stop has one always: it is the jail's own root that could refuse to
 * end. */
static int
limit_of(const struct instance *c, enum spec_exec which)
{
	if (c->spec->exec_timeout > 0)
		return c->spec->exec_timeout;
	return which == EXEC_STOP ? STOP_SECONDS : 0;
}

int
hooks_run(struct instance *c, enum spec_exec which, struct err *e)
{
	const struct strv *list = &c->spec->exec[which];

	for (size_t i = 0; i < list->n; i++) {
		int r;

		if (!*list->v[i])
			continue;
		note(c, hook_names[which], list->v[i]);
		r = in_jail(which) ? run_in_jail(c, hook_names[which], list->v[i], limit_of(c, which),
						 which == EXEC_START ? &c->missing : NULL, e)
				   : run_on_host(c, hook_names[which], list->v[i], e);
		/* an end that was asked for is not the jail's root to refuse; a frozen jail cannot even be asked */
		if (r < 0 && which == EXEC_STOP && r != -EBUSY) {
			if (!os_jail_alive(&c->st.ref))
				return r;
			run_warn(c->who, c->spec->label, e->msg);
			err_clear(e);
			continue;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* Runs `health` again and again until it succeeds or the time is up: services need a moment. */
static int
healthy(struct instance *c, const char *command, struct err *e)
{
	int limit = c->spec->exec_timeout > 0 ? c->spec->exec_timeout : HEALTH_SECONDS;
	struct timespec start, now, pause = {0, 20 * 1000000L};
	int r;

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		r = run_in_jail(c, "health", command, limit, NULL, e);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (r == 0 || now.tv_sec - start.tv_sec >= limit)
			return r;
		if (interrupt_pending(c->in))
			return err_set(e, EINTR, "interrupted while waiting for health: %s", command);
		if (!os_jail_alive(&c->st.ref))
			return err_set(e, ECHILD, "health: %s: the jail ended", command);
		(void)nanosleep(&pause, NULL);
		if (pause.tv_nsec < 500 * 1000000L)
			pause.tv_nsec += pause.tv_nsec / 2;
	}
}

int
hooks_health(struct instance *c, struct err *e)
{
	for (size_t i = 0; i < c->spec->health.n; i++) {
		int r;

		note(c, "health", c->spec->health.v[i]);
		r = healthy(c, c->spec->health.v[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

int
hooks_pending(struct instance *c, enum pending_kind kind, const struct strv *commands, struct err *e)
{
	bool hook = kind != PENDING_REGENERATE && kind != PENDING_REGENERATE_AFTER;
	const char *what = hook ? "hook" : "regenerate";
	int limit = c->spec->exec_timeout > 0 || hook ? c->spec->exec_timeout : REGENERATE_SECONDS;

	for (size_t i = 0; i < commands->n; i++) {
		int r;

		note(c, what, commands->v[i]);
		r = run_in_jail(c, what, commands->v[i], limit, NULL, e);
		if (r < 0 && (hook || !os_jail_alive(&c->st.ref)))
			return r;
		if (r < 0)
			run_warn(c->who, c->spec->label, e->msg);
		err_clear(e);
	}
	return 0;
}
