/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a template must not have: links that lead nowhere in a jail, and FIFOs, sockets and devices (all jails
 * would share them: a channel between jails).
 *
 * A link that led nowhere before the split is a warning: the tree was made so (Debian's packages have links
 * to files of other packages).  One that the split broke is given a new target; where a rule removes what it
 * leads to, each jail gets its own (fresh), or it is a warning.
 */
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include "base/name.h"
#include "base/path.h"
#include "store/record/ids.h"
#include "store/template/links.h"
#include "store/template/split.h"
#include "store/tree.h"

struct check {
	struct split_look *look;
	struct view view;
	bool skel; /* walking the skeleton */
};

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
	c->look->say(c->look->ctx, path, what);
	c->look->faults++;
}

/* path with `now` in place of dir at its beginning; NULL: it is not below dir.  The caller frees. */
static char *
moved_back(const char *path, const char *dir, const char *now)
{
	return path_below(path, dir) ? xasprintf("%s%s", now, path + strlen(dir)) : NULL;
}

/* The link before the split that is now at path, which is one of the jail, without the leading slash. */
static const struct link *
was_link(const struct check *c, const char *path)
{
	const struct rules *rules = c->look->rules;
	const struct link *was = links_find(c->look->before, path); /* nothing moved it */
	const char *in = str_after(path, "s/");

	for (size_t i = 0; i < rules->n && !was; i++) {
		const struct rule *r = &rules->v[i];
		_auto_free char *old = NULL;

		if (in && (r->kind == RULE_MOVE || r->kind == RULE_MOVE_IF))
			old = moved_back(in, r->arg, r->path);
		else if (!in && r->kind == RULE_KEEP)
			old = moved_back(path, r->arg, r->path);
		was = old ? links_find(c->look->before, old) : NULL;
	}
	return was;
}

static void
warn_link(struct check *c, const struct link *was, const char *wrong)
{
	_auto_free char *text = text_printable(was->text, 200), *path = xasprintf("/%s", was->path);
	_auto_free char *what = xasprintf("the link to '%s' %s", text, wrong);

	if (!rules_may_dangle(c->look->rules, was->path))
		c->look->warn(c->look->ctx, path, what);
}

/* The link led somewhere before the split: makes it lead there again. */
static int
put_right(struct check *c, const struct tree_entry *t, const struct link *was, struct err *e)
{
	_auto_free char *text = xasprintf("/%s", was->to);
	_auto_buf struct buf at = BUF_INIT;

	if (!view_resolve(&c->view, &at, text))
		return link_set(t, text, e);
	if (!rules_fresh(c->look->rules, was->to))
		warn_link(c, was, "leads to what the rules of the split leave out");
	return 0;
}

static int
check_link(struct check *c, const struct tree_entry *t, const char *jail_path, struct err *e)
{
	_auto_free char *target = tree_readlink(t->dir_fd, t->name), *shown = NULL, *what = NULL;
	_auto_buf struct buf at = BUF_INIT;
	const struct link *was;
	const char *wrong;

	if (!target)
		return err_sys(e, errno, "%s", jail_path);
	wrong = view_link(&c->view, jail_path + 1, target, &at);
	if (!wrong || may_dangle(c->look->rules, jail_path))
		return 0;
	was = c->look->before && wrong != view_unreadable ? was_link(c, jail_path + 1) : NULL;
	if (was && was->to)
		return put_right(c, t, was, e);
	if (was && was->wrong) {
		warn_link(c, was, was->wrong);
		return 0;
	}
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
split_check(struct split_look *look, struct err *e)
{
	struct check c = {look, {look->root_fd, look->skel_fd, NULL, NULL, 0}, false};
	int r = tree_walk(look->root_fd, check_entry, &c, e);

	c.skel = true;
	return r == 0 ? tree_walk(look->skel_fd, check_entry, &c, e) : r;
}
