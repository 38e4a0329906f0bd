/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/path.h"
#include "store/jailspace/fresh.h"
#include "os/os.h"
#include "store/template/split.h"

#define NAMED_MAX (256 << 10)

/* machine-id(5): 32 lower-case hex digits, not all zero, a random (version 4) UUID.  The file is 0444. */
static int
make_machine_id(int dir, const char *name, struct err *e)
{
	uint8_t id[16];
	char text[34];

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return err_sys(e, errno, "random numbers");
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(id); i++)
		(void)snprintf(text + 2 * i, 3, "%02x", id[i]);
	text[32] = '\n';
	return fsx_write_atomic(dir, name, &(struct fsx_file){text, 33, 0444}, 0, e);
}

static int
make_hostname(int dir, const char *name, const char *hostname, struct err *e)
{
	_auto_free char *text = xasprintf("%s\n", hostname);

	return fsx_write_text(dir, name, text, 0644, 0, e);
}

static int
find_matching(int dir_fd, const char *pattern, struct strv *names, struct err *e)
{
	_auto_closedir DIR *dir = NULL;
	struct dirent *d;
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		fd_close(copy);
		return err_sys(e, errno, "read the directory of '%s'", pattern);
	}
	while ((errno = 0, d = readdir(dir)))
		if (!streq(d->d_name, ".") && !streq(d->d_name, "..") &&
		    fnmatch(pattern, d->d_name, FNM_PERIOD) == 0)
			strv_add(names, d->d_name);
	return errno ? err_sys(e, errno, "read the directory of '%s'", pattern) : 0;
}

static int
remove_matching(int dir_fd, const char *pattern, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;

	if (find_matching(dir_fd, pattern, &names, e) < 0)
		return -e->num;
	for (size_t i = 0; i < names.n; i++)
		if (fsx_rm_rf_at(dir_fd, names.v[i], e) < 0)
			return -e->num;
	return 0;
}

/* Replaces OS_CONTAINED_NAME, which packages have written into the file when they were installed, by the
 * host name.  In place, so that owner, mode and attributes stay. */
static int
give_name(int dir, const char *name, const char *hostname, struct err *e)
{
	_auto_close int fd = path_open(dir, name, O_RDWR | O_NONBLOCK, 0, PATH_BENEATH);
	_auto_free char *text = NULL;
	_auto_buf struct buf out = BUF_INIT;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > NAMED_MAX)
		return 0; /* a link, or too large: no file with a host name in it */
	r = fsx_read_fd(fd, NAMED_MAX, &text, NULL);
	if (r < 0)
		return err_sys(e, -r, "%s", name);
	if (!strstr(text, OS_CONTAINED_NAME))
		return 0;
	for (const char *p = text, *at; *p; p = at + strlen(OS_CONTAINED_NAME)) {
		at = strstr(p, OS_CONTAINED_NAME);
		buf_add(&out, p, at ? (size_t)(at - p) : strlen(p));
		if (!at)
			break;
		buf_adds(&out, hostname);
	}
	if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)
		return err_sys(e, errno, "%s", name);
	r = fsx_write_all(fd, out.s, out.len);
	return r < 0 ? err_sys(e, -r, "%s", name) : 0;
}

static int
give_names(int dir_fd, const char *pattern, const char *hostname, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;

	if (find_matching(dir_fd, pattern, &names, e) < 0)
		return -e->num;
	for (size_t i = 0; i < names.n; i++)
		if (give_name(dir_fd, names.v[i], hostname, e) < 0)
			return -e->num;
	return 0;
}

static int
apply(int space_fd, const struct rule *rule, const char *path, const char *hostname, struct err *e)
{
	_auto_free char *parent = xstrdup(path);
	_auto_close int dir = -EBADF;
	char *slash = strrchr(parent, '/');
	const char *name = slash ? strrchr(path, '/') + 1 : path;

	if (slash)
		*slash = '\0';
	/* no link on the way: the skeleton is from a tree that was not made by us */
	dir = path_open(space_fd, slash ? parent : ".", O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (dir == -ENOENT || dir == -ENOTDIR)
		return 0;
	if (dir < 0)
		return err_sys(e, -dir, "open the directory of '%s'", path);
	switch (rule->fresh) {
	case FRESH_MACHINE_ID:
		return make_machine_id(dir, name, e);
	case FRESH_HOSTNAME:
		return make_hostname(dir, name, hostname, e);
	case FRESH_NAME:
		return give_names(dir, name, hostname, e);
	case FRESH_REMOVE:
	case FRESH_SSH_HOST_KEYS:
		break;
	}
	return remove_matching(dir, name, e);
}

int
space_fresh(int space_fd, const char *hostname, const struct release *from, struct err *e)
{
	_auto_(rules_free) struct rules rules = RULES_INIT;
	int r = rules_of_release(from, &rules, e);

	for (size_t i = 0; r == 0 && i < rules.n; i++) {
		_auto_free char *path = NULL;

		if (rules.v[i].kind != RULE_FRESH)
			continue;
		path = rules_skel_path(&rules, rules.v[i].path);
		if (path && apply(space_fd, &rules.v[i], path, hostname, e) < 0)
			r = err_wrap(e, "'%s'", path);
	}
	return r;
}
