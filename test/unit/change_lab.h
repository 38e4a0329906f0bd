/* SPDX-License-Identifier: BSD-2-Clause */
/* A jail www on the first of three releases, for tests of one change at a time (t_order, t_meddle). */
#ifndef BRIG_TEST_CHANGE_LAB_H
#define BRIG_TEST_CHANGE_LAB_H

#include "base/clock.h"
#include "trace.h"
#include "store/change/internal.h"
#include "store/record/ids.h"
#include "store/record/record.h"

#define SPACE "base/js/www/"
#define R1 "20060601"
#define R2 "20060602"
#define R3 "20060603"
#define BIG (KEPT_FILE_MAX + 1) /* too large for a digest */

static int space = -EBADF;
static struct record rec;
static struct change c;

/* What of a jailspace each release has; n: of which one. */
static void
tree_of(const char *in, int n)
{
	static const char *const lines[] = {"a\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n", "a\nb\nC\nd\nE\n"};
	const struct {
		const char *name, *text;
	} files[] = {{"file", n == 1   ? "one\n"
			      : n == 2 ? "two\n"
				       : "three\n"},
		     {"other", n == 1 ? "one\n" : "two\n"},
		     {"merged", lines[n - 1]},
		     {n == 1 ? "goes" : "comes", "text\n"},
		     {"owner", "owner\n"}};

	dirs(in);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_auto_free char *path = xasprintf("%s/%s", in, files[i].name), *p = at(path);

		put(path, files[i].text, 0644);
		if (streq(files[i].name, "owner"))
			CHECK(chown(p, n == 1 ? 0 : 7, 0) == 0 && chmod(p, n == 1 ? 0644 : 02640) == 0);
	}
	{
		_auto_free char *link = xasprintf("%s/link", in);

		link_to(n == 1 ? "file" : "other", link);
	}
}

static void
remove_all(const char *path)
{
	_auto_free char *p = at(path);
	char *slash = strrchr(p, '/');
	_auto_close int parent = -EBADF;

	*slash = '\0';
	parent = open(p, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(parent < 0 || fsx_rm_rf_at(parent, slash + 1, &e) == 0);
}

static void
release(const char *name, int n)
{
	_auto_free char *root = xasprintf("base/templates/mroot/%s/root", name),
			*etc = xasprintf("base/templates/mroot/%s/skel/etc", name),
			*rules = xasprintf("base/templates/mroot/%s/rules", name),
			*whole = xasprintf("base/templates/mroot/%s", name);

	dirs(root);
	tree_of(etc, n);
	put(rules, "move etc\n", 0644);
	seal(whole);
}

static void
new_jail(void)
{
	_auto_free char *path = at(SPACE);

	change_free(&c);
	record_free(&rec);
	fd_close(TAKE_FD(space));
	remove_all("base/js/www");
	remove_all("base/js/.brig/change");
	remove_all("base/js/.brig/switch");
	tree_of(SPACE "etc", 1);
	put(SPACE "etc/merged", "A\nb\nc\nd\ne\n", 0644);
	space = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rec = (struct record){.idbase = ID_BASE, .template = xstrdup("mroot"), .release = xstrdup(R1)};
	CHECK(space >= 0 && record_write(&store, "www", &rec, &e) == 0);
}

static int
each(void **state)
{
	if (geteuid() != 0)
		return 0;
	if (scratch_setup(state) < 0)
		return -1;
	remove_all("base/templates/mroot/" R1);
	release(R1, 1);
	release(R2, 2);
	release(R3, 3);
	c = (struct change)CHANGE_INIT;
	new_jail();
	return 0;
}

static int
done(void **state)
{
	if (geteuid() != 0)
		return 0;
	record_free(&rec);
	change_free(&c);
	fd_close(TAKE_FD(space));
	return scratch_teardown(state);
}

static void
begin(enum change_kind kind, const char *to)
{
	change_free(&c);
	CHECK(change_new(&store, &(struct change_want){"www", &rec, kind, to, "", space}, &c, &e) == 0);
}

/* between: what the jail does after the plan was made. */
static int
try_stage(const char *base, const char *new, void (*between)(void), struct err *err)
{
	struct merge_opts o = {.jail = true};
	_auto_(merge_plan_free) struct merge_plan plan = MERGE_PLAN_INIT;
	_auto_strv struct strv paths = STRV_INIT;
	struct release from, to;
	int r;

	CHECK(release_open(&store, "mroot", base, &from, &e) == 0 &&
	      release_open(&store, "mroot", new, &to, &e) == 0);
	CHECK(merge_delta(from.skel_fd, to.skel_fd, &o, &paths, &e) == 0);
	CHECK(merge_plan(&paths, &(struct merge_trees){from.skel_fd, to.skel_fd, space, NULL}, &o, &plan, &e) == 0);
	if (between)
		between();
	r = change_stage(&c, &plan, base, to.skel_fd, space, err);
	release_close(&from);
	release_close(&to);
	return r;
}

static void
stage(const char *base, const char *new)
{
	CHECK(try_stage(base, new, NULL, &e) == 0);
}

#endif
