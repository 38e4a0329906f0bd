/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plans of merges over three small trees.  A line of the input is "TREES KIND PATH TEXT": TREES some of o
 * (old), n (new) and d (the jail's), KIND f (file), l (link), d (directory) or p (FIFO), '|' a newline.
 * Planning must end without an error, and for a jail that has changed nothing without a conflict.
 */
#include "fuzz.h"

#include "base/path.h"
#include "store/merge/merge.h"
#include "store/tree.h"

#define LINES_MAX 40
#define PATH_LEN 200

static void
put(int tree, char kind, const char *path, const char *text)
{
	_auto_close int dir = -EBADF;
	struct err e = ERR_INIT;
	const char *name;
	int r = tree_parent(tree, path, true, &name, &e);

	if (r < 0)
		return; /* what is there is no directory */
	dir = r;
	if (kind == 'd')
		(void)mkdirat(dir, name, 0755);
	else if (kind == 'l')
		(void)symlinkat(*text ? text : "x", dir, name);
	else if (kind == 'p')
		(void)mkfifoat(dir, name, 0644);
	else if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		fuzz_file(dir, name, text, strlen(text));
}

static void
take_line(char *line, const int tree[3])
{
	char *save = NULL, *trees = strtok_r(line, " ", &save), *kind = strtok_r(NULL, " ", &save);
	char *path = strtok_r(NULL, " ", &save), *text = save;
	_auto_free char *normal = path && strlen(path) < PATH_LEN ? path_normal(path) : NULL;

	if (!normal || *normal == '/' || !*normal || streq(normal, "."))
		return;
	for (char *p = text; p && *p; p++)
		if (*p == '|')
			*p = '\n';
	for (int i = 0; i < 3; i++)
		if (strchr(trees, "ond"[i]))
			put(tree[i], *kind, normal, text ? text : "");
}

static size_t
conflicts(const int tree[3], int dest, bool jail)
{
	struct merge_opts opts = {.jail = jail};
	_auto_strv struct strv paths = STRV_INIT;
	struct merge_plan plan = MERGE_PLAN_INIT;
	struct err e = ERR_INIT;
	size_t n = 0;

	must(merge_delta(tree[0], tree[1], &opts, &paths, &e) == 0, "the trees can be compared");
	must(merge_plan(&paths, &(struct merge_trees){tree[0], tree[1], dest, "/dest"}, &opts, &plan, &e) == 0, "there is a plan");
	for (size_t i = 0; i < plan.n; i++) {
		const struct merge_item *it = &plan.v[i];

		must(it->act != MERGE_NOTHING, "nothing is left out");
		must(!jail || strv_has(&paths, it->path) || it->act == MERGE_ADD, "a path that differs");
		n += it->act == MERGE_CONFLICT;
	}
	must(!jail || plan.warnings.n == 0, "no warnings for jails");
	merge_plan_free(&plan);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"o", "n", "d"};
	_auto_free char *text = fuzz_text(data, size);
	struct err e = ERR_INIT;
	int tree[3], lines = 0;
	char *save = NULL;

	for (int i = 0; i < 3; i++)
		tree[i] = fuzz_subdir(names[i]);
	for (char *l = strtok_r(text, "\n", &save); l && lines++ < LINES_MAX; l = strtok_r(NULL, "\n", &save))
		take_line(l, tree);
	(void)conflicts(tree, tree[2], true);
	(void)conflicts(tree, tree[2], false);
	must(conflicts(tree, tree[0], true) == 0, "what is unchanged follows");
	for (int i = 0; i < 3; i++) {
		fd_close(tree[i]);
		must(fsx_rm_rf_at(fuzz_dir(), names[i], &e) == 0, "removal");
	}
	return 0;
}
