/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a template must not have: links that lead nowhere in a jail, and FIFOs, sockets and devices (all jails
 * would share them: a channel between jails).
 *
 * Links are resolved here as a jail would, with the template at / and the skeleton at /s, one component at a
 * time.  Nothing is opened: the components walked so far are known to be directories, so that one
 * fstatat(2) with the path collected so far follows nothing.
 */
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/name.h"
#include "base/path.h"
#include "store/record/ids.h"
#include "store/template/split.h"
#include "store/tree.h"

#define HOPS_MAX 40 /* as the kernel's: path_resolution(7) */

struct check {
	int root_fd, skel_fd;
	bool skel; /* walking the skeleton */
	const struct rules *rules;
	void (*say)(void *ctx, const char *path, const char *what);
	void *ctx;
	size_t faults;
};

/* Filled when the jail runs: what is there cannot be known now. */
static bool
is_volatile(const char *path)
{
	static const char *const dirs[] = {"run", "proc", "dev", "sys", "tmp", "s/tmp"};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (path_below(path, dirs[i]))
			return true;
	return false;
}

static int
jail_lstat(const struct check *c, const char *path, struct stat *st)
{
	const char *in = str_after(path, "s/");

	return fstatat(in ? c->skel_fd : c->root_fd, in ? in : path, st, AT_SYMLINK_NOFOLLOW);
}

static char *
jail_readlink(const struct check *c, const char *path)
{
	const char *in = str_after(path, "s/");

	return tree_readlink(in ? c->skel_fd : c->root_fd, in ? in : path);
}

static void
up(struct buf *at)
{
	char *slash = at->len ? strrchr(at->s, '/') : NULL;

	at->len = slash ? (size_t)(slash - at->s) : 0;
	if (at->s)
		at->s[at->len] = '\0';
}

/* Where text, read as a path in directory at ("" is /), leads: NULL fine, else what is wrong. */
static const char *
resolve(const struct check *c, struct buf *at, const char *text)
{
	_auto_free char *rest = xstrdup(text);
	const char *p = rest;
	int hops = 0;

	if (*p == '/')
		at->len = 0;
	while (*(p += strspn(p, "/"))) {
		size_t n = strcspn(p, "/"), before = at->len;
		struct stat st;

		if (n == 1 && *p == '.') {
			p += n;
			continue;
		}
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			up(at);
			p += n;
			continue;
		}
		if (at->len)
			buf_addc(at, '/');
		buf_add(at, p, n);
		p += n;
		if (is_volatile(at->s))
			return NULL;
		if (at->len >= PATH_MAX)
			return "too long";
		if (jail_lstat(c, at->s, &st) < 0)
			return errno == ENOENT || errno == ENOTDIR ? "leads nowhere in a jail"
								   : "leads to what cannot be read";
		if (S_ISLNK(st.st_mode)) {
			_auto_free char *link = jail_readlink(c, at->s), *joined = NULL;

			if (!link || ++hops > HOPS_MAX)
				return "leads in a circle";
			joined = path_join(*link ? link : ".", p);
			free(rest);
			rest = TAKE_PTR(joined);
			p = rest;
			at->len = *p == '/' ? 0 : before;
			at->s[at->len] = '\0';
		} else if (!S_ISDIR(st.st_mode) && *p) {
			return "leads through a file";
		}
	}
	return NULL;
}

static bool
may_dangle(const struct rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->n; i++)
		if (rules->v[i].kind == RULE_DANGLING && fnmatch(rules->v[i].path, path, 0) == 0)
			return true;
	return false;
}

static void
fault(struct check *c, const char *path, const char *what)
{
	c->say(c->ctx, path, what);
	c->faults++;
}

static int
check_link(struct check *c, const struct tree_entry *t, const char *jail_path, struct err *e)
{
	_auto_free char *target = tree_readlink(t->dir_fd, t->name), *shown = NULL, *what = NULL;
	_auto_buf struct buf at = BUF_INIT;
	const char *wrong;

	if (!target)
		return err_sys(e, errno, "%s", jail_path);
	buf_adds(&at, jail_path + 1);
	up(&at);
	wrong = resolve(c, &at, target);
	if (!wrong || may_dangle(c->rules, jail_path))
		return 0;
	shown = text_printable(target, 200);
	what = xasprintf("the link to '%s' %s", shown, wrong);
	fault(c, jail_path, what);
	return 0;
}

static int
check_entry(void *ctx, const struct tree_entry *t, struct err *e)
{
	struct check *c = ctx;
	_auto_free char *path = xasprintf("%s%s%s", c->skel ? "/s" : "", *t->path ? "/" : "", t->path);

	if (t->st.st_uid >= ID_COUNT || t->st.st_gid >= ID_COUNT) {
		_auto_free char *what = xasprintf("belongs to %u:%u: a jail has the ids 0 to %u",
						  t->st.st_uid, t->st.st_gid, ID_COUNT - 1);

		fault(c, path, what);
	}
	switch (t->st.st_mode & S_IFMT) {
	case S_IFLNK:
		return check_link(c, t, path, e);
	case S_IFIFO:
		fault(c, path, "is a FIFO: all jails would share it");
		break;
	case S_IFSOCK:
		fault(c, path, "is a socket: all jails would share it");
		break;
	case S_IFBLK:
	case S_IFCHR:
		fault(c, path, "is a device node");
		break;
	default:
		break;
	}
	return 0;
}

int
split_check(int root_fd, int skel_fd, const struct rules *rules,
	    void (*say)(void *ctx, const char *path, const char *what), void *ctx, struct err *e)
{
	struct check c = {root_fd, skel_fd, false, rules, say, ctx, 0};
	int r = tree_walk(root_fd, check_entry, &c, e);

	c.skel = true;
	if (r == 0)
		r = tree_walk(skel_fd, check_entry, &c, e);
	return r < 0 ? r : c.faults < INT_MAX ? (int)c.faults : INT_MAX;
}
