/* SPDX-License-Identifier: BSD-2-Clause */
/* Removing releases, and what interrupted builds and removals left. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/name.h"
#include "store/template/build.h"
#include "store/tree.h"

#define LOCK_WAIT_MS 0 /* a build takes long: fail at once, naming who has the lock */

static bool
leftover(const char *name)
{
	return str_after(name, BUILD_PREFIX ".") || str_after(name, OLD_PREFIX ".") ||
	       str_after(name, ".tmp.");
}

static int
find_leftovers(int fd, struct strv *ret)
{
	_auto_strv struct strv all = STRV_INIT;
	int r = tree_names(fd, &all);

	for (size_t i = 0; i < all.n; i++)
		if (leftover(all.v[i]))
			strv_add(ret, all.v[i]);
	return r;
}

int
release_tidy_locked(int template_fd, const char *template, struct err *e)
{
	_auto_strv struct strv left = STRV_INIT;
	int r = find_leftovers(template_fd, &left);

	if (r < 0)
		return err_sys(e, -r, "template %s", template);
	for (size_t i = 0; i < left.n; i++)
		if (fsx_rm_rf_at(template_fd, left.v[i], e) < 0)
			return err_wrap(e, "template %s: clean up", template);
	return 0;
}

static int
tidy_one(const struct store *s, const char *template, struct err *e)
{
	_auto_strv struct strv left = STRV_INIT;
	_auto_close int fd = -EBADF, lock = -EBADF;
	int r = release_template_dir(s, template, &fd, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = find_leftovers(fd, &left);
	if (r < 0)
		return err_sys(e, -r, "template %s", template);
	if (s->lock_fd < 0 || (left.n == 0 && !tree_empty(fd)))
		return 0; /* nothing to do, or no run directory: commands that only read do not make it */
	r = store_lock_try(s, "template", template, &lock, e);
	if (r == -EBUSY)
		return 0; /* its builder lives */
	if (r == 0)
		r = release_tidy_locked(fd, template, e);
	if (r == 0) /* a first build that was interrupted: not a template at all */
		(void)unlinkat(s->templates_fd, template, AT_REMOVEDIR);
	return r;
}

int
release_tidy(const struct store *s, const char *template, struct err *e)
{
	_auto_strv struct strv all = STRV_INIT;
	size_t n = 0;

	if (template)
		return tidy_one(s, template, e);
	if (s->lock_fd >= 0 && release_tidy_kept(s, KEPT_SECONDS, &n, e) < 0)
		return -e->num;
	if (release_templates(s, &all, e) < 0)
		return -e->num;
	for (size_t i = 0; i < all.n; i++)
		if (tidy_one(s, all.v[i], e) < 0)
			return -e->num;
	return 0;
}

static int
refuse_users(const struct store *s, const char *template, const char *name, struct err *e)
{
	_auto_strv struct strv users = STRV_INIT;
	_auto_free char *list = NULL;

	if (release_users(s, template, name, &users, e) < 0)
		return -e->num;
	if (users.n == 0)
		return 0;
	list = strv_join(&users, ", ");
	return err_set(e, EBUSY, "release %s/%s is used by %s %s: upgrade or destroy %s first", template,
		       name, users.n > 1 ? "the jails" : "jail", list, users.n > 1 ? "them" : "it");
}

/* With the last release `current` and the links in j/ are removed. */
static int
unlink_current(const struct store *s, int fd, const char *template, struct err *e)
{
	_auto_free char *skel = release_skel_link(template);
	const char *const links[] = {template, skel};
	struct stat st;

	if (unlinkat(fd, "current", 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "template %s: current", template);
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		int r = fsx_look(s->j_fd, links[i], &st);

		if (r > 0 && S_ISLNK(st.st_mode) && unlinkat(s->j_fd, links[i], 0) < 0)
			r = -errno;
		if (r < 0)
			return err_sys(e, -r, "%s/j/%s", s->base, links[i]);
	}
	return fsx_sync_dir(s->j_fd, "j", e);
}

/* Renames the release to .old.XXXX, if no jail uses it.  The caller holds the registry's lock, which the
 * maker of a jail holds until the record that names the release is written. */
static int
move_aside(const struct store *s, int fd, const char *template, const char *name, bool *ret_last,
	   struct err *e)
{
	_auto_free char *current = tree_readlink(fd, "current");
	_auto_strv struct strv names = STRV_INIT;
	char old[64];
	int r = 0;

	if (!current && errno != ENOENT)
		r = err_sys(e, errno, "template %s: current", template);
	if (r == 0)
		r = refuse_users(s, template, name, e);
	if (r == 0)
		r = release_names(s, template, &names, e);
	if (r < 0)
		return r;
	if (current && streq(current, name) && names.n > 1)
		return err_set(e, EBUSY,
			       "release %s/%s is current: what new jails get (brig template list %s)",
			       template, name, template);
	*ret_last = names.n == 1;
	if (*ret_last) {
		r = unlink_current(s, fd, template, e);
		if (r < 0)
			return r;
	}
	fsx_temp_name(old, sizeof(old), OLD_PREFIX);
	if (renameat2(fd, name, fd, old, RENAME_NOREPLACE) < 0)
		return err_sys(e, errno, "remove %s/%s", template, name);
	return fsx_sync_dir(fd, name, e);
}

static int
remove_locked(const struct store *s, int fd, const char *template, const char *name, struct err *e)
{
	_auto_close int registry = -EBADF;
	bool last = false;
	int r = store_lock_wait(s, "registry", &registry, e);

	if (r == 0)
		r = move_aside(s, fd, template, name, &last, e);
	fd_close(TAKE_FD(registry));
	if (r == 0)
		r = release_tidy_locked(fd, template, e);
	if (r == 0 && last)
		(void)unlinkat(s->templates_fd, template, AT_REMOVEDIR);
	return r;
}

int
release_remove(const struct store *s, const char *template, const char *name, struct err *e)
{
	_auto_close int lock = -EBADF, fd = -EBADF;
	struct release rel;
	int r = release_open(s, template, name, &rel, e);

	if (r < 0)
		return r;
	r = rel.dir_fd;
	release_close(&rel);
	if (r < 0)
		return err_set(e, EPERM, "release %s/%s was made by hand: remove %s/j/%s by hand, too",
			       template, name, s->base, template);
	r = store_lock(s, &(struct store_want){"template", template, LOCK_WAIT_MS, NULL}, &lock, e);
	if (r == 0)
		r = release_template_dir(s, template, &fd, e);
	return r < 0 ? r : remove_locked(s, fd, template, name, e);
}
