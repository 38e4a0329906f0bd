/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "store/jailspace/space.h"
#include "store/template/cache.h"
#include "store/tree.h"

#define CACHE "cache"
#define LEFT_SECONDS 86400 /* an unfinished copy that is older was left by a killed build */

int
cache_open(const struct store *s, const char *name, int *ret_fd, struct err *e)
{
	_auto_close int top = -EBADF;
	int r = fsx_mkdir_open(s->base_fd, CACHE, 0700, &top, e);

	return r == 0 ? fsx_mkdir_open(top, name, 0700, ret_fd, e) : r;
}

/* -ENOENT without a message: there is none. */
static int
open_there(const struct store *s, const char *name)
{
	_auto_free char *path = path_join(CACHE, name);

	return s->base_fd < 0 ? -ENOENT
			      : path_open(s->base_fd, path, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
}

/* ---- packages ---- */

struct used {
	char *name;
	struct timespec when;
	uint64_t bytes;
};

static int
by_use(const void *pa, const void *pb)
{
	const struct used *a = pa, *b = pb;

	if (a->when.tv_sec != b->when.tv_sec)
		return a->when.tv_sec < b->when.tv_sec ? -1 : 1;
	return a->when.tv_nsec < b->when.tv_nsec ? -1 : a->when.tv_nsec > b->when.tv_nsec;
}

/* Lists the packages by their last use, and removes unfinished copies that killed builds left. */
static int
read_uses(int fd, struct used **ret, size_t *ret_n, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;
	struct used *v;
	size_t n = 0;
	int r = tree_names(fd, &names);

	if (r < 0)
		return err_sys(e, -r, CACHE "/packages");
	v = xcalloc(names.n + 1, sizeof(*v));
	for (size_t i = 0; i < names.n; i++) {
		struct stat st;

		if (fstatat(fd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* another build has removed it */
		if (*names.v[i] == '.' && time(NULL) - st.st_mtime > LEFT_SECONDS)
			(void)unlinkat(fd, names.v[i], 0);
		else if (*names.v[i] != '.')
			v[n++] = (struct used){xstrdup(names.v[i]), st.st_mtim, (uint64_t)st.st_size};
	}
	qsort(v, n, sizeof(*v), by_use);
	*ret = v;
	*ret_n = n;
	return 0;
}

int
cache_trim(const struct store *s, uint64_t max, struct release_cleaned *ret, struct err *e)
{
	_auto_close int fd = open_there(s, "packages");
	struct used *v = NULL;
	uint64_t total = 0;
	size_t n = 0;
	int r = fd == -ENOENT ? 0 : fd < 0 ? err_sys(e, -fd, CACHE "/packages") : read_uses(fd, &v, &n, e);

	for (size_t i = 0; i < n; i++)
		total += v[i].bytes;
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && total > max) {
			if (unlinkat(fd, v[i].name, 0) < 0 && errno != ENOENT)
				r = err_sys(e, errno, CACHE "/packages/%s", v[i].name);
			total -= v[i].bytes;
			ret->packages++;
			ret->bytes += v[i].bytes;
		}
		free(v[i].name);
	}
	free(v);
	return r;
}

/* ---- lists ---- */

static int
drop_lists(int fd, const char *key, struct release_cleaned *ret, struct err *e)
{
	_auto_close int sub = path_open(fd, key, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	uint64_t bytes = 0, files;
	struct err ignored;

	if (sub >= 0 && space_usage(sub, &bytes, &files, &ignored) == 0)
		ret->bytes += bytes;
	return fsx_rm_rf_at(fd, key, e);
}

/* Removes the lists of key, unless another command reads them now. */
static int
drop_unused(const struct store *s, int fd, const char *key, struct release_cleaned *ret, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct err busy = ERR_INIT;

	if (name_ok(key) && store_lock_try(s, "apt", key, &lock, &busy) < 0)
		return 0;
	return drop_lists(fd, key, ret, e);
}

int
cache_trim_lists(const struct store *s, int64_t seconds, struct release_cleaned *ret, struct err *e)
{
	_auto_close int fd = open_there(s, "apt");
	_auto_strv struct strv keys = STRV_INIT;
	int r = fd == -ENOENT ? 0 : fd < 0 ? fd : tree_names(fd, &keys);

	if (r < 0)
		return err_sys(e, -r, CACHE "/apt");
	for (size_t i = 0; i < keys.n && r == 0; i++) {
		_auto_free char *conf = path_join(keys.v[i], "apt.conf"); /* written at each use */
		struct stat st;

		r = fsx_look(fd, conf, &st);
		if (r > 0 && time(NULL) - st.st_mtime < seconds)
			r = 0;
		else if (r < 0)
			r = err_sys(e, -r, CACHE "/apt/%s", conf);
		else
			r = drop_unused(s, fd, keys.v[i], ret, e);
	}
	return r;
}

int
release_clean_cache(const struct store *s, struct release_cleaned *ret, struct err *e)
{
	int r = cache_trim(s, 0, ret, e);

	return r == 0 ? cache_trim_lists(s, 0, ret, e) : r;
}
