/* SPDX-License-Identifier: BSD-2-Clause */
/* What a plan says of the copies of data that a switch keeps, or puts back (store/change/data.c). */
#include <fcntl.h>

#include "base/fsx.h"
#include "base/path.h"
#include "run/files.h"
#include "store/jailspace/host.h"
#include "store/jailspace/space.h"

#define PROBE_SIZE 65536 /* smaller files may be kept without a block that could be shared */

void
switch_data_free(struct switch_data_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].path);
	free(p->v);
	*p = (struct switch_data_plan){0};
}

static void
add(struct switch_data_plan *p, struct switch_data one)
{
	p->v = xrealloc(p->v, p->n + 1, sizeof(*p->v));
	p->v[p->n++] = one;
}

/* Tries it on a file without a name: copies lie in the file system of the jailspace. */
static bool
shares_blocks(int space_fd)
{
	_auto_close int src = openat(space_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	_auto_close int dst = openat(space_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	_auto_free char *block = xcalloc(1, PROBE_SIZE);

	return src >= 0 && dst >= 0 && fsx_write_all(src, block, PROBE_SIZE) == 0 &&
	       host_clone(src, dst) == 0;
}

static int
measure(int space_fd, const char *path, uint64_t *ret, struct err *e)
{
	_auto_close int fd = path_open(space_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, PATH_BENEATH);
	uint64_t names;

	if (fd < 0)
		return err_sys(e, -fd, "open %s", path);
	return space_usage(fd, ret, &names, e) < 0 ? err_wrap(e, "%s", path) : 0;
}

int
switch_data_keep(const struct strv *paths, int space_fd, struct switch_data_plan *ret, struct err *e)
{
	_auto_strv struct strv all = STRV_INIT;
	bool shares;

	for (size_t i = 0; i < paths->n; i++)
		(void)change_keep_data(&all, paths->v[i]);
	if (all.n == 0)
		return 0;
	if (change_check_data(&all, space_fd, e) < 0)
		return -e->num;
	shares = shares_blocks(space_fd);
	for (size_t i = 0; i < all.n; i++) {
		uint64_t bytes;

		if (measure(space_fd, all.v[i], &bytes, e) < 0)
			return -e->num;
		add(ret, (struct switch_data){.path = xstrdup(all.v[i]), .bytes = bytes, .shares = shares});
	}
	return 0;
}

/* By what the changes say: also of a volume that is in use. */
int
switch_data_back(const struct switch_to *to, const char *jail, const struct record *rec, struct switch_data_plan *ret,
		 struct err *e)
{
	struct change_copy *v = NULL;
	size_t n = 0;
	int r = change_find_copies(to->store, jail, rec, to->release, -EBADF, &v, &n, e);

	if (r == 0 && n == 0)
		r = change_no_copies(to->release, e);
	for (size_t i = 0; i < n; i++)
		add(ret, (struct switch_data){.path = xstrdup(v[i].path), .bytes = v[i].bytes, .when = v[i].when});
	change_copies_free(v, n);
	return r;
}
