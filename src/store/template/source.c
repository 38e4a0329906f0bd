/* SPDX-License-Identifier: BSD-2-Clause */
/* The sources of a template's tree, brig-template(5). */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "os/host.h"
#include "store/template/build.h"
#include "store/template/oci.h"
#include "store/jailspace/space.h"
#include "store/tree.h"

extern char **environ;

void
build_step(const struct progress *pr, const char *what)
{
	if (pr && pr->step)
		pr->step(pr->ctx, what);
}

/* ---- checks before the build ---- */

static int
resolve_path(const char *kind, const char *path, mode_t type, char **ret, struct err *e)
{
	_auto_free char *real = realpath(path, NULL), *shown = text_printable(path, 200);
	struct stat st;

	if (!*path)
		return err_set(e, EINVAL, "%s: a path is missing", kind);
	if (!real || stat(real, &st) < 0)
		return err_sys(e, errno, "%s%s", kind, shown);
	if ((st.st_mode & S_IFMT) != type)
		return err_set(e, EINVAL, "%s%s: is not a %s", kind, shown,
			       type == S_IFDIR ? "directory" : "file");
	*ret = xasprintf("%s%s", kind, real);
	return 0;
}

static bool
in_path(const char *program)
{
	const char *p = getenv("PATH");

	for (p = p ? p : "/usr/sbin:/usr/bin:/sbin:/bin"; *p;) {
		size_t n = strcspn(p, ":");
		_auto_free char *file = xasprintf("%.*s/%s", (int)n, p, program);

		if (access(file, X_OK) == 0)
			return true;
		p += n + (p[n] == ':');
	}
	return false;
}

/* Is it a suite or a package?  It becomes an argument of a command, so it must not begin with '-'. */
static bool
debian_word(const char *s, size_t n)
{
	if (n == 0 || !strchr("abcdefghijklmnopqrstuvwxyz0123456789", *s))
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-_:~=/") >= n;
}

static int
check_debian(const char *spec, struct err *e)
{
	_auto_free char *shown = text_printable(spec, 200);

	for (const char *p = spec;; p++) {
		size_t n = strcspn(p, ",");

		if (!debian_word(p, n))
			return err_set(e, EINVAL, "debian:%s: expected debian:SUITE[,PACKAGE...]", shown);
		p += n;
		if (!*p)
			break;
	}
	if (!in_path("mmdebstrap"))
		return err_set(e, ENOENT, "debian:%s: needs the program mmdebstrap (apt install mmdebstrap)",
			       shown);
	return 0;
}

int
source_resolve(const char *source, char **ret, struct err *e)
{
	_auto_free char *shown = text_printable(source, 80);
	const char *arg;

	if ((arg = str_after(source, "dir:")))
		return resolve_path("dir:", arg, S_IFDIR, ret, e);
	if ((arg = str_after(source, "tar:")))
		return resolve_path("tar:", arg, S_IFREG, ret, e);
	if ((arg = str_after(source, "oci:")))
		return oci_resolve(arg, ret, e);
	if ((arg = str_after(source, "debian:"))) {
		if (check_debian(arg, e) < 0)
			return -e->num;
	} else if ((arg = str_after(source, "cmd:"))) {
		if (!*arg)
			return err_set(e, EINVAL, "cmd: a command is missing");
	} else if (streq(source, "busybox")) {
		if (!os_busybox())
			return err_set(
			    e, ENOENT,
			    "busybox: this host has no static busybox (apt install busybox-static)");
	} else {
		return err_set(e, EINVAL,
			       "source '%s': expected dir:PATH, tar:FILE, oci:DIR[:TAG], "
			       "debian:SUITE[,PACKAGE...], cmd:COMMAND or busybox",
			       shown);
	}
	*ret = xstrdup(source);
	return 0;
}

void
source_packages(const char *source, struct strv *ret)
{
	const char *p = str_after(source, "debian:");

	p = p ? strchr(p, ',') : NULL;
	while (p) {
		size_t n = strcspn(++p, ",");

		strv_take(ret, xstrndup(p, n));
		p = strchr(p, ',');
	}
}

/* ---- dir: ---- */

struct look {
	const char *dir;
	const struct source_place *at;
};

/* The split empties these directories (mount points), so what is in them does not matter. */
static bool
dropped(const char *path)
{
	return path_below(path, "dev") || path_below(path, "run") || path_below(path, "proc") ||
	       path_below(path, "sys");
}

static int
look_special(void *ctx, const struct tree_entry *t, struct err *e)
{
	struct look *l = ctx;
	_auto_free char *shown = NULL;
	const char *what;

	switch (t->st.st_mode & S_IFMT) {
	case S_IFIFO:
		what = "a FIFO";
		break;
	case S_IFSOCK:
		what = "a socket";
		break;
	case S_IFBLK:
	case S_IFCHR:
		what = "a device node";
		break;
	default:
		return 0;
	}
	if (dropped(t->path))
		return 0;
	shown = text_printable(t->path, 200);
	return err_set(e, EINVAL, "%s/%s is %s: a template cannot have one (all jails would share it)",
		       l->dir, shown, what);
}

static void
look_mount(void *ctx, const char *path)
{
	struct look *l = ctx;
	_auto_free char *shown = text_printable(path, 200);
	_auto_free char *text = xasprintf("%s/%s is another mount: left out", l->dir, shown);

	if (!dropped(path))
		strv_add(l->at->warnings, text);
}

static int
fill_dir(const struct source_place *at, const char *dir, struct err *e)
{
	_auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct look l = {streq(dir, "/") ? "" : dir, at};

	if (fd < 0)
		return err_sys(e, errno, "%s", dir);
	if (path_below(at->store->base, dir))
		return err_set(e, EINVAL, "%s holds brig's own %s: it would be copied into itself", dir,
			       at->store->base);
	if (tree_walk_mounts(fd, look_special, look_mount, &l, e) < 0)
		return -e->num;
	return copy_tree(fd, at->root_fd, COPY_SKIP_SPECIAL, at->pr, e);
}

/* ---- tar: ---- */

static int
fill_tar(const struct source_place *at, const char *file, struct err *e)
{
	_auto_close int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_sys(e, errno, "%s", file);
	return import_archive(at, fd, e);
}

/* ---- cmd: ---- */

static int
fill_cmd(const struct source_place *at, const char *command, struct err *e)
{
	_auto_free char *destdir = xasprintf("DESTDIR=%s/root", at->path);
	_auto_free char *text = xstrdup(command);
	char sh[] = "/bin/sh", dash_c[] = "-c";
	char *argv[] = {sh, dash_c, text, NULL};
	_auto_strv struct strv env = STRV_INIT;

	for (char **v = environ; *v; v++)
		if (!str_after(*v, "DESTDIR="))
			strv_add(&env, *v);
	strv_add(&env, destdir);
	return source_run(at, argv, env.v, e);
}

int
source_fill(const struct source_place *at, const char *source, struct err *e)
{
	_auto_free char *shown = text_printable(source, 120);
	const char *arg;
	int r;

	build_step(at->pr, source);
	if ((arg = str_after(source, "dir:")))
		r = fill_dir(at, arg, e);
	else if ((arg = str_after(source, "tar:")))
		r = fill_tar(at, arg, e);
	else if ((arg = str_after(source, "oci:")))
		r = oci_fill(at, arg, e);
	else if ((arg = str_after(source, "debian:")))
		r = debian_fill(at, arg, e);
	else if ((arg = str_after(source, "cmd:")))
		r = fill_cmd(at, arg, e);
	else
		r = busybox_fill(at, e);
	return r < 0 ? err_wrap(e, "%s", shown) : 0;
}

/* ---- running a command ---- */

struct command {
	char *const *argv, *const *envp;
	int out_fd, cwd_fd;
};

static int
command_work(void *ctx, struct err *e)
{
	const struct command *cmd = ctx;
	struct child c = CHILD_INIT;
	int status;

	c.argv = cmd->argv;
	c.envp = cmd->envp;
	c.fd_out = c.fd_err = cmd->out_fd;
	c.cwd_fd = cmd->cwd_fd;
	if (child_run(&c, &status, e) < 0)
		return -e->num;
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "%s was ended by signal %d", cmd->argv[0], WTERMSIG(status));
	if (WEXITSTATUS(status))
		return err_set(e, EIO, "exit status %d", WEXITSTATUS(status));
	return 0;
}

/* The output of a command, line by line: it is written to the log and shown as progress. */
struct listen {
	const struct source_place *at;
	FILE *log;
	char *said; /* apt's and mmdebstrap's first error ("E: "), else the last line */
	bool is_error;
};

static void
heard(struct listen *l, char *line)
{
	const char *error = str_after(line, "E: "), *info = str_after(line, "I: ");
	_auto_free char *step = NULL;

	line[strcspn(line, "\r\n")] = '\0';
	if (!line[strspn(line, " \t")])
		return;
	if (!l->is_error) {
		free(l->said);
		l->said = xstrdup(error ? error : line);
		l->is_error = error != NULL;
	}
	if (info) {
		step = text_printable(info, 60);
		build_step(l->at->pr, step);
	} else if (l->at->pr && l->at->pr->at) {
		l->at->pr->at(l->at->pr->ctx, 0, 0);
	}
}

static void
listen_to(struct listen *l, int fd)
{
	_auto_fclose FILE *in = fdopen(fd, "r");
	_auto_free char *line = NULL;
	size_t cap = 0;

	while (in && getline(&line, &cap, in) >= 0) {
		if (l->log)
			(void)fputs(line, l->log);
		heard(l, line);
	}
}

static FILE *
open_log(const struct source_place *at, char **ret_path)
{
	_auto_free char *name = xasprintf("template-%s.log", at->template);
	int fd = at->store->log_fd < 0 ? -1
				       : openat(at->store->log_fd, name,
						O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!f)
		fd_close(fd);
	*ret_path = path_join(at->store->log ? at->store->log : "", name);
	return f;
}

int
source_run(const struct source_place *at, char *const *argv, char *const *envp, struct err *e)
{
	_auto_free char *log_path = NULL, *said = NULL;
	_auto_fclose FILE *log = open_log(at, &log_path);
	struct listen l = {.at = at, .log = log};
	struct command cmd = {argv, envp, -1, at->root_fd};
	struct os_task task;
	int p[2], r;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "%s", argv[0]);
	cmd.out_fd = p[1];
	r = os_contained_start(command_work, &cmd, &task, e);
	fd_close(p[1]);
	if (r < 0) {
		fd_close(p[0]);
		return r;
	}
	listen_to(&l, p[0]);
	r = os_contained_wait(&task, e);
	said = l.said ? text_printable(l.said, 400) : NULL;
	free(l.said);
	if (r == 0)
		return 0;
	if (said)
		return err_set(e, EIO, "%s%s%s", said, log ? " - see " : "", log ? log_path : "");
	return r;
}
