/* SPDX-License-Identifier: BSD-2-Clause */
/* What changes of a jail take on disk. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/path.h"
#include "store/change/internal.h"
#include "store/jailspace/space.h"
#include "store/tree.h"

#define BLOCK 512 /* of st_blocks: stat(2) */

/* A file, or a directory with all that is in it. */
static int
add_name(int dir, const char *name, uint64_t *sum, struct err *e)
{
	_auto_close int fd = -EBADF;
	uint64_t bytes, files;
	struct stat st;
	int r = fsx_look(dir, name, &st);

	if (r <= 0)
		return r < 0 ? err_sys(e, -r, "look at %s", name) : 0;
	*sum += (uint64_t)st.st_blocks * BLOCK;
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = path_open(dir, name, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (fd < 0)
		return tree_is_jails_doing(fd) ? 0 : err_sys(e, -fd, "open %s", name);
	if (space_usage(fd, &bytes, &files, e) < 0)
		return -e->num;
	*sum += bytes;
	return 0;
}

/* All changes that dir has something of. */
static int
add_changes(int dir, const struct record *rec, struct change_usage *ret, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;
	int r = tree_names(dir, &names);

	if (r < 0)
		return err_sys(e, -r, "read the directory");
	for (size_t i = 0; i < names.n; i++) {
		unsigned id = change_id_of(names.v[i]);

		if (id > 0 &&
		    add_name(dir, names.v[i], change_in_use(rec, id) ? &ret->used : &ret->unused, e) < 0)
			return -e->num;
	}
	return 0;
}

int
change_usage(const struct store *s, const char *jail, const struct record *rec, int space_fd,
	     struct change_usage *ret, struct err *e)
{
	_auto_free char *dir = xasprintf("change/%s", jail);
	_auto_close int fd = -EBADF, inside = -EBADF;
	struct change_usage sum = {0};

	fd = s->record_fd < 0 ? -ENOENT
			      : path_open(s->record_fd, dir, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (fd < 0 && fd != -ENOENT)
		return err_sys(e, -fd, "%s/js/.brig/%s", s->base, dir);
	if (fd >= 0 && add_changes(fd, rec, &sum, e) < 0)
		return err_wrap(e, "%s/js/.brig/%s", s->base, dir);
	if (space_fd >= 0 && change_open_inside(space_fd, &inside, e) < 0)
		return err_wrap(e, "jail %s", jail);
	if (inside >= 0 && add_changes(inside, rec, &sum, e) < 0) {
		if (!tree_is_jails_doing(-e->num))
			return err_wrap(e, "jail %s: " CHANGE_INSIDE, jail);
		err_clear(e); /* it moves directories about meanwhile: they are not counted */
	}
	*ret = sum;
	return 0;
}
