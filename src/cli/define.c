/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/path.h"
#include "cli/define.h"

#define CONF_FILE "/etc/jail.conf"
#define RC_FILE "/etc/rc.conf"
#define MARK "# Written by `brig create"
#define FILE_MAX 65536

static char *
dir_of(const struct cli *cli)
{
	return xasprintf("%s.d", cli->conf_files.n > 0 ? cli->conf_files.v[0] : CONF_FILE);
}

/* 1, 0, -errno. */
static int
exists(const char *path, struct err *e)
{
	int r = fsx_look(AT_FDCWD, path, NULL);

	return r < 0 ? err_sys(e, -r, "%s", path) : r;
}

/* An rc.conf is only read while there is no jail.conf (main.c): writing one would hide its jails.  1, 0, -errno. */
static int
would_hide_rc_conf(const struct cli *cli, struct err *e)
{
	int r;

	if (cli->conf_files.n > 0 || !cli->conf)
		return 0;
	r = exists(CONF_FILE, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = exists(RC_FILE, e);
	if (r <= 0)
		return r;
	for (size_t i = 0; i < conf_jails(cli->conf)->n; i++) {
		struct jailspec *spec = NULL;
		struct err ignore = ERR_INIT;
		bool there = conf_jail(cli->conf, conf_jails(cli->conf)->v[i], &spec, &ignore) < 0 ||
			     (spec->where && str_after(spec->where, RC_FILE ":"));

		jailspec_free(spec);
		if (there)
			return 1;
	}
	return 0;
}

char *
define_place(const struct cli *cli, const char *name, struct err *e)
{
	_auto_free char *dir = dir_of(cli);
	_auto_free char *path = xasprintf("%s/%s.conf", dir, name);

	int r = would_hide_rc_conf(cli, e);

	if (r < 0)
		return NULL;
	if (r > 0) {
		(void)err_set(e, EEXIST,
			      "the configuration is %s: define it there, or move to jail.conf first "
			      "(brig convert > %s)",
			      RC_FILE, CONF_FILE);
		return NULL;
	}
	r = exists(path, e);
	if (r < 0)
		return NULL;
	if (r > 0) {
		(void)err_set(e, EEXIST,
			      "%s exists but does not define it: add the definition or remove the file",
			      path);
		return NULL;
	}
	return TAKE_PTR(path);
}

int
define_write(const struct jailspec *spec, const struct strv *names, const char *path, struct err *e)
{
	/* only what was asked for: no path, no host name, so that conf_print_jail() adds no defaults */
	struct jailspec part = {
	    .name = spec->name, .label = spec->label, .root = ROOT_PATH, .host = SHARE_INHERIT};
	_auto_free char *copy = xstrdup(path), *copy2 = xstrdup(path), *block = NULL, *text = NULL;
	_auto_close int dir = -EBADF;
	const char *parent = dirname(copy);

	for (size_t i = 0; i < names->n; i++) {
		const struct param *p = params_get(&spec->params, names->v[i]);

		if (p)
			strv_copy(&params_set(&part.params, names->v[i])->values, &p->values);
	}
	block = conf_print_jail(&part);
	params_free(&part.params);
	text = xasprintf(MARK " %s`; `brig destroy %s` removes it.\n%s", spec->label, spec->label, block);
	if (mkdir(parent, 0755) < 0 && errno != EEXIST)
		return err_sys(e, errno, "create the directory %s", parent);
	dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, errno, "%s", parent);
	if (fsx_tidy_at(dir, basename(copy2), e) < 0 ||
	    fsx_write_text(dir, basename(copy2), text, 0644, FSX_SYNC, e) < 0)
		return err_wrap(e, "%s", parent);
	return 0;
}

/* Our first line, and one block, of this jail: the text tells also where the configuration has errors. */
static bool
only_defines(const char *text, const char *name)
{
	_auto_free char *mark = xasprintf(MARK " %s`", name), *block = xasprintf("\n%s {\n", name);
	size_t blocks = 0;

	for (const char *p = strchr(text, '{'); p; p = strchr(p + 1, '{'))
		blocks += p[1] == '\n' || p[1] == '\r';
	return str_after(text, mark) && blocks == 1 && strstr(text, block) && !strstr(text, ".include");
}

char *
define_ours(const struct cli *cli, const char *name)
{
	_auto_free char *dir = dir_of(cli);
	_auto_free char *path = xasprintf("%s/%s.conf", dir, name);
	_auto_free char *text = NULL;
	struct err ignore = ERR_INIT;

	if (fsx_read_at(AT_FDCWD, path, FILE_MAX, &text, NULL, &ignore) < 0 || !only_defines(text, name))
		return NULL;
	return TAKE_PTR(path);
}

int
define_remove(const char *path, struct err *e)
{
	_auto_free char *copy = xstrdup(path);
	_auto_close int dir = -EBADF;
	const char *parent = dirname(copy);

	if (unlink(path) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "remove %s", path);
	dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, errno, "%s", parent);
	return fsx_sync_dir(dir, path, e);
}
