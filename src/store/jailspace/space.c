/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "store/jailspace/host.h"
#include "store/jailspace/space.h"
#include "store/jailspace/fresh.h"

#define NEW_DIR ".brig-new" /* in a directory that is filled in place, space.h */
#define TEMP_HEX 16         /* digits of fsx_temp_name() */

/* Where a jailspace is: a name in a directory that only the administrator writes to. */
struct site {
	int at;
	char *name, *path; /* path for messages */
};

static void
site_free(struct site *w)
{
	fd_close(w->at);
	free(w->name);
	free(w->path);
}

static int
site_open(const struct store *s, const char *jail, const char *dir, struct site *ret, struct err *e)
{
	_auto_free char *path = dir ? path_normal(dir) : path_join(s->base, "js");
	_auto_free char *parent = NULL;
	char *slash;
	int at;

	if (!dir) {
		at = s->js_fd < 0 ? -1 : openat(s->js_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (at < 0)
			return err_sys(e, s->js_fd < 0 ? ENOENT : errno, "%s", path);
		*ret = (struct site){at, xstrdup(jail), xasprintf("%s/%s", path, jail)};
		return 0;
	}
	slash = path && *path == '/' ? strrchr(path, '/') : NULL;
	if (!slash || !slash[1])
		return err_set(e, EINVAL, "space %s: not an absolute path of a directory", dir);
	parent = xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (path_trusted(path, e) < 0)
		return err_wrap(e, "space %s", dir);
	at = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return err_sys(e, errno, "space %s: %s", dir, parent);
	*ret = (struct site){at, xstrdup(slash + 1), xstrdup(path)};
	return 0;
}

/* ---- is there a whole jailspace? ---- */

/* 1, 0, -errno. */
static int
has(int dir, const char *name, struct err *e)
{
	int r = fsx_look(dir, name, NULL);

	return r < 0 ? err_sys(e, -r, "look for '%s'", name) : r;
}

/* 1: nothing in it but lost+found of a new file system, and what an interrupted space_fill() left. */
static int
is_blank(int fd)
{
	_auto_closedir DIR *dir = NULL;
	struct dirent *d;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		fd_close(copy);
		return -errno;
	}
	while ((errno = 0, d = readdir(dir)))
		if (!streq(d->d_name, ".") && !streq(d->d_name, "..") && !streq(d->d_name, "lost+found") &&
		    !streq(d->d_name, NEW_DIR))
			return 0;
	return errno ? -errno : 1;
}

int
space_is_whole(int dir_fd, struct err *e)
{
	int r = has(dir_fd, NEW_DIR, e);

	if (r != 0)
		return r < 0 ? r : 0;
	r = is_blank(dir_fd);
	if (r != 0)
		return r < 0 ? err_sys(e, -r, "read the jailspace") : 0;
	r = has(dir_fd, "etc", e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, EEXIST, "not a jailspace: it has files, but no etc (empty it first)");
	return 1;
}

/* -ENOENT without a message: it is not there. */
static int
site_dir(const struct site *w, int *ret_fd, struct err *e)
{
	int fd = openat(w->at, w->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(e, EEXIST, "%s: exists and is not a directory", w->path);
	if (fd < 0)
		return err_sys(e, errno, "%s", w->path);
	*ret_fd = fd;
	return 0;
}

int
space_exists(const struct store *s, const char *jail, const char *dir, struct err *e)
{
	_auto_(site_free) struct site w = {.at = -EBADF};
	_auto_close int fd = -EBADF;
	int r = site_open(s, jail, dir, &w, e);

	if (r == 0)
		r = site_dir(&w, &fd, e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = space_is_whole(fd, e);
	return r < 0 ? err_wrap(e, "%s", w.path) : r;
}

int
space_open(const struct store *s, const char *jail, const char *dir, int *ret_fd, struct err *e)
{
	_auto_(site_free) struct site w = {.at = -EBADF};
	_auto_close int fd = -EBADF;
	int r = site_open(s, jail, dir, &w, e);

	if (r == 0)
		r = site_dir(&w, &fd, e);
	if (r == -ENOENT)
		return err_set(e, ENOENT, "%s: no jailspace yet (brig create %s)", w.path ? w.path : "js",
			       jail);
	if (r == 0)
		r = has(fd, NEW_DIR, e);
	if (r < 0)
		return r;
	if (r > 0)
		return err_set(e, ENOENT, "%s: the jailspace is not finished (brig create %s)", w.path, jail);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- what was left over ---- */

/* ".new.JAIL.HEX" or ".old.JAIL.HEX"; jail NULL: of any.  *ret_jail: whose. */
static bool
is_leftover(const char *name, const char *jail, char **ret_jail)
{
	const char *rest = str_after(name, ".new.");
	_auto_free char *whose = NULL;
	size_t len;

	rest = rest ? rest : str_after(name, ".old.");
	len = rest ? strlen(rest) : 0;
	if (len < TEMP_HEX + 2 || rest[len - TEMP_HEX - 1] != '.' ||
	    strspn(rest + len - TEMP_HEX, "0123456789abcdef") != TEMP_HEX)
		return false;
	whose = xstrndup(rest, len - TEMP_HEX - 1);
	if (jail ? !streq(jail, whose) : !name_ok(whose))
		return false;
	if (ret_jail)
		*ret_jail = TAKE_PTR(whose);
	return true;
}

static int
find_leftovers(int at, const char *jail, struct strv *names, struct strv *jails, struct err *e)
{
	_auto_closedir DIR *dir = NULL;
	struct dirent *d;
	int copy = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		fd_close(copy);
		return err_sys(e, errno, "read the directory of jailspaces");
	}
	while ((errno = 0, d = readdir(dir))) {
		char *whose = NULL;

		if (!is_leftover(d->d_name, jail, &whose))
			continue;
		strv_add(names, d->d_name);
		strv_take(jails, whose);
	}
	return errno ? err_sys(e, errno, "read the directory of jailspaces") : 0;
}

int
space_tidy_at(int at, const char *jail, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT, jails = STRV_INIT;
	int r = find_leftovers(at, jail, &names, &jails, e);

	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = fsx_rm_rf_at(at, names.v[i], e);
	return r;
}

int
space_tidy_jail(const struct store *s, const char *jail, struct err *e)
{
	return s->js_fd < 0 ? 0 : space_tidy_at(s->js_fd, jail, e);
}

int
space_leftovers(const struct store *s, const char *jail, struct strv *ret, struct err *e)
{
	_auto_strv struct strv jails = STRV_INIT;

	return s->js_fd < 0 ? 0 : find_leftovers(s->js_fd, jail, ret, &jails, e);
}

int
space_tidy(const struct store *s, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT, jails = STRV_INIT;
	int r = s->js_fd < 0 ? 0 : find_leftovers(s->js_fd, NULL, &names, &jails, e);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		_auto_close int lock = -EBADF;

		r = store_lock_try(s, "jail", jails.v[i], &lock, e);
		if (r == 0)
			r = fsx_rm_rf_at(s->js_fd, names.v[i], e);
		if (r == -EBUSY) { /* its creator lives */
			err_clear(e);
			r = 0;
		}
	}
	return r;
}

/* ---- making ---- */

/* fd becomes a whole jailspace, on disk. */
static int
fill(int fd, const char *hostname, const struct release *from, const struct progress *pr, struct err *e)
{
	int r = copy_tree(from->skel_fd, fd, 0, pr, e);

	if (r == 0)
		r = space_fresh(fd, hostname, from, e);
	/* users of the jail must reach what is in it; users of the host cannot, js is 0700 */
	if (r == 0 && (fchown(fd, geteuid(), getegid()) < 0 || fchmod(fd, 0755) < 0))
		r = err_sys(e, errno, "set the mode of the jailspace");
	if (r == 0) {
		r = host_sync(fd);
		if (r < 0)
			r = err_sys(e, -r, "write the jailspace to disk");
	}
	return r;
}

static int
make_beside(const struct site *w, const char *jail, const char *hostname, const struct release *from,
	    const struct progress *pr, struct err *e)
{
	_auto_close int fd = -EBADF;
	_auto_free char *prefix = xasprintf(".new.%s", jail);
	struct err ignore = ERR_INIT;
	char tmp[NAME_MAX_LEN + 32];
	int r;

	fsx_temp_name(tmp, sizeof(tmp), prefix);
	r = fsx_mkdir_open(w->at, tmp, 0700, &fd, e);
	if (r == 0)
		r = fill(fd, hostname, from, pr, e);
	if (r == 0 && renameat(w->at, tmp, w->at, w->name) < 0)
		r = err_sys(e, errno, "put %s in place", w->path);
	if (r < 0) {
		(void)fsx_rm_rf_at(w->at, tmp, &ignore);
		return r;
	}
	return fsx_sync_dir(w->at, w->name, e);
}

/* Moves everything in from up to dir; can be repeated after an interrupt. */
static int
move_up(int from, int dir, struct err *e)
{
	_auto_closedir DIR *d = NULL;
	struct dirent *de;
	int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		fd_close(copy);
		return err_sys(e, errno, "read the new jailspace");
	}
	while ((errno = 0, de = readdir(d))) {
		int r;

		if (streq(de->d_name, ".") || streq(de->d_name, ".."))
			continue;
		r = has(dir, de->d_name, e);
		if (r < 0)
			return r;
		if (r > 0)
			return err_set(e, EEXIST, "'%s' is there already", de->d_name);
		if (renameat(from, de->d_name, dir, de->d_name) < 0)
			return err_sys(e, errno, "put '%s' in place", de->d_name);
	}
	return errno ? err_sys(e, errno, "read the new jailspace") : 0;
}

static int
finish_inside(int dir, int work, struct err *e)
{
	_auto_close int whole = path_open(work, "whole", O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	int r;

	if (whole < 0)
		return err_sys(e, -whole, "open the new jailspace");
	r = move_up(whole, dir, e);
	if (r == 0 && (fchown(dir, geteuid(), getegid()) < 0 || fchmod(dir, 0755) < 0))
		r = err_sys(e, errno, "set the mode of the jailspace");
	if (r == 0) {
		r = host_sync(dir);
		r = r < 0 ? err_sys(e, -r, "write the jailspace to disk") : 0;
	}
	if (r == 0)
		r = fsx_rm_rf_at(dir, NEW_DIR, e);
	return r < 0 ? r : fsx_sync_dir(dir, NEW_DIR, e);
}

/* Fills NEW_DIR/part, which then becomes NEW_DIR/whole. */
static int
fill_part(int work, const char *hostname, const struct release *from, const struct progress *pr,
	  struct err *e)
{
	_auto_close int part = -EBADF;
	int r = fsx_rm_rf_at(work, "part", e);

	if (r == 0)
		r = fsx_mkdir_open(work, "part", 0700, &part, e);
	if (r == 0)
		r = fill(part, hostname, from, pr, e);
	if (r == 0 && renameat(work, "part", work, "whole") < 0)
		r = err_sys(e, errno, "put the new jailspace in place");
	return r < 0 ? r : fsx_sync_dir(work, "whole", e);
}

int
space_fill(int dir_fd, const char *hostname, const struct release *from, const struct progress *pr,
	   struct err *e)
{
	/* dir_fd may be O_PATH */
	_auto_close int dir = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_auto_close int work = -EBADF;
	struct err ignore = ERR_INIT;
	int r;

	if (dir < 0)
		return err_sys(e, errno, "open the directory of the jailspace");
	r = has(dir, NEW_DIR "/whole", e);
	if (r < 0)
		return r;
	if (r == 0) {
		r = is_blank(dir);
		if (r <= 0)
			return r < 0 ? err_sys(e, -r, "read the directory of the jailspace")
				     : err_set(e, EEXIST, "the directory is not empty");
	}
	r = fsx_mkdir_open(dir, NEW_DIR, 0700, &work, e);
	if (r == 0)
		r = has(work, "whole", e);
	if (r == 0) {
		r = fill_part(work, hostname, from, pr, e);
		if (r < 0)
			(void)fsx_rm_rf_at(dir, NEW_DIR, &ignore);
	}
	return r < 0 ? r : finish_inside(dir, work, e);
}

int
space_create(const struct store *s, const struct space_want *w, struct err *e)
{
	_auto_(site_free) struct site site = {.at = -EBADF};
	_auto_close int fd = -EBADF;
	int r = site_open(s, w->jail, w->dir, &site, e);

	if (r == 0)
		r = space_tidy_at(site.at, w->jail, e);
	if (r < 0)
		return r;
	r = site_dir(&site, &fd, e);
	if (r == 0) {
		r = space_fill(fd, w->hostname, w->from, w->pr, e);
		if (r < 0)
			(void)err_wrap(e, "%s", site.path);
	} else if (r == -ENOENT) {
		r = make_beside(&site, w->jail, w->hostname, w->from, w->pr, e);
	}
	if (r == 0 && !w->dir && mkdirat(s->j_fd, w->jail, 0755) < 0 && errno != EEXIST)
		r = err_sys(e, errno, "%s/j/%s", s->base, w->jail);
	return r;
}

/* ---- removing ---- */

/* j/NAME must be empty, and nothing mounted on it. */
static int
check_mount_point(const struct store *s, const char *jail, struct err *e)
{
	int fd, r;

	if (s->j_fd < 0)
		return 0;
	fd = path_open(s->j_fd, jail, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (fd == -ENOENT)
		return 0;
	if (fd == -EXDEV)
		return err_set(e, EXDEV, "something is mounted on %s/j/%s: unmount it first", s->base, jail);
	if (fd < 0)
		return err_sys(e, -fd, "%s/j/%s", s->base, jail);
	r = is_blank(fd);
	fd_close(fd);
	if (r < 0)
		return err_sys(e, -r, "%s/j/%s", s->base, jail);
	return r ? 0 : err_set(e, ENOTEMPTY, "%s/j/%s is not empty: move away what is in it", s->base, jail);
}

/* Renames the jailspace to .old.JAIL.HEX, its new name in old; "": there is no jailspace. */
static int
move_away(const struct site *w, const char *jail, char *old, size_t size, struct err *e)
{
	_auto_free char *prefix = xasprintf(".old.%s", jail);
	_auto_close int fd = path_open(w->at, w->name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);

	*old = '\0';
	if (fd == -ENOENT)
		return 0;
	if (fd == -EXDEV)
		return err_set(e, EXDEV, "%s is a mount point: unmount it first", w->path);
	if (fd < 0)
		return err_sys(e, -fd, "%s", w->path);
	if (space_check_mounts(fd, e) < 0)
		return err_wrap(e, "%s", w->path);
	fsx_temp_name(old, size, prefix);
	if (renameat(w->at, w->name, w->at, old) < 0) {
		*old = '\0';
		return err_sys(e, errno, "move %s away", w->path);
	}
	return fsx_sync_dir(w->at, w->name, e);
}

int
space_remove(const struct store *s, const char *jail, const char *dir, int (*gone)(void *ctx, struct err *e),
	     void *ctx, struct err *e)
{
	_auto_(site_free) struct site w = {.at = -EBADF};
	char old[NAME_MAX_LEN + 32];
	int r = name_check("jail", jail, e);

	if (r == 0)
		r = site_open(s, jail, dir, &w, e);
	if (r == 0)
		r = check_mount_point(s, jail, e);
	if (r == 0)
		r = move_away(&w, jail, old, sizeof(old), e);
	if (r == 0 && gone)
		r = gone(ctx, e);
	if (r == 0 && s->j_fd >= 0 && unlinkat(s->j_fd, jail, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = err_sys(e, errno, "remove %s/j/%s", s->base, jail);
	/* the old jailspace, and what interrupted commands left */
	if (r == 0)
		r = space_tidy_at(w.at, jail, e);
	if (r == 0 && dir)
		r = space_tidy_jail(s, jail, e);
	return r;
}

int
space_destroy(const struct store *s, const char *jail, struct err *e)
{
	return space_remove(s, jail, NULL, NULL, NULL, e);
}
