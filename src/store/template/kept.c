/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "store/jailspace/copy_file.h"
#include "store/template/kept.h"
#include "store/tree.h"

#define KEPT_TOP ".kept"
#define KEPT_INFO "build.json"
#define INFO_MAX (1u << 20)

bool
kept_wanted(const char *source)
{
	return str_after(source, "debian:") || str_after(source, "cmd:");
}

void
kept_free(struct kept *k)
{
	free(k->recipe.source);
	free(k->recipe.rules);
	strv_free(&k->recipe.overlays);
	strv_free(&k->warnings);
	free(k->image.digest);
	free(k->image.tag);
	*k = (struct kept){0};
}

/* ---- a tree of hard links ---- */

struct linking {
	int src_fd, dst_fd;
	struct strv dirs; /* get their attributes last: links change their times */
};

static int
link_entry(void *ctx, const struct tree_entry *t, struct err *e)
{
	struct linking *l = ctx;

	if (!*t->path)
		return 0;
	if (!S_ISDIR(t->st.st_mode))
		return linkat(t->dir_fd, t->name, l->dst_fd, t->path, 0) < 0
			   ? err_sys(e, errno, "%s", t->path)
			   : 0;
	strv_add(&l->dirs, t->path);
	return mkdirat(l->dst_fd, t->path, 0700) < 0 ? err_sys(e, errno, "%s", t->path) : 0;
}

static int
copy_dir_attributes(struct copy_fs *fs, const struct linking *l, const char *path)
{
	_auto_close int src = path_open(l->src_fd, path, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	_auto_close int dst = path_open(l->dst_fd, path, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	struct stat st;

	if (src < 0 || dst < 0 || fstat(src, &st) < 0)
		return src < 0 ? src : dst < 0 ? dst : -errno;
	return copy_attributes(fs, src, dst, &st, 0700);
}

/* Fills dst_fd, an empty directory of the same file system, with hard links to the files of src_fd. */
static int
link_tree(int src_fd, int dst_fd, struct err *e)
{
	struct linking l = {src_fd, dst_fd, STRV_INIT};
	struct copy_fs fs;
	int r = tree_walk(src_fd, link_entry, &l, e);

	copy_fs_init(&fs);
	for (size_t i = l.dirs.n; i-- > 0 && r == 0;) {
		r = copy_dir_attributes(&fs, &l, l.dirs.v[i]);
		if (r < 0)
			(void)err_sys(e, -r, "%s", l.dirs.v[i]);
	}
	copy_fs_free(&fs);
	strv_free(&l.dirs);
	return r;
}

/* ---- its description ---- */

static int
write_info(int dir_fd, const struct kept *k, struct err *e)
{
	json_t *j = json_pack("{s:s, s:o, s:s?, s:o, s:o*}", "source", k->recipe.source, "overlays",
			      json_strings(&k->recipe.overlays), "rules", k->recipe.rules, "warnings",
			      json_strings(&k->warnings), "image", json_image(&k->image));
	_auto_free char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;

	json_decref(j);
	if (!text)
		return err_set(e, EINVAL, "a path in the recipe is not UTF-8");
	return fsx_write_text(dir_fd, KEPT_INFO, text, 0600, 0, e);
}

static void
read_strings(const json_t *list, struct strv *ret)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (json_is_string(item))
			strv_add(ret, json_string_value(item));
	}
}

static int
parse_info(const char *text, struct kept *ret, struct err *e)
{
	json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const json_t *image = json_object_get(j, "image");
	const char *source = json_string_value(json_object_get(j, "source"));

	if (!source) {
		json_decref(j);
		return err_set(e, EINVAL, KEPT_INFO " is damaged (brig template clean)");
	}
	ret->recipe.source = xstrdup(source);
	ret->recipe.rules = xstrdup_null(json_string_value(json_object_get(j, "rules")));
	read_strings(json_object_get(j, "overlays"), &ret->recipe.overlays);
	read_strings(json_object_get(j, "warnings"), &ret->warnings);
	ret->image.digest = xstrdup_null(json_string_value(json_object_get(image, "digest")));
	ret->image.tag = xstrdup_null(json_string_value(json_object_get(image, "tag")));
	json_decref(j);
	return 0;
}

/* ---- where it is ---- */

static int
open_kept(const struct store *s, const char *name)
{
	_auto_free char *path = path_join(KEPT_TOP, name);

	return s->templates_fd < 0
		   ? -ENOENT
		   : path_open(s->templates_fd, path, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
}

int
kept_read(const struct store *s, const char *template, struct kept *ret, struct err *e)
{
	_auto_close int fd = open_kept(s, template);
	_auto_free char *text = NULL;

	if (fd == -ENOENT)
		return err_set(e, ENOENT,
			       "no tree is kept to resume a build with (brig template build %s SOURCE)",
			       template);
	if (fd < 0)
		return err_sys(e, -fd, KEPT_TOP);
	if (fsx_read_at(fd, KEPT_INFO, INFO_MAX, &text, NULL, e) < 0)
		return -e->num;
	return parse_info(text, ret, e);
}

int
kept_take(const struct store *s, const char *template, int root_fd, struct err *e)
{
	_auto_close int fd = open_kept(s, template), root = -EBADF;

	root = fd < 0 ? fd : path_open(fd, "root", O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (root < 0)
		return err_sys(e, -root, "the tree that was kept");
	return link_tree(root, root_fd, e);
}

int
kept_make(int template_fd, const char *name, int root_fd, const struct kept *k, struct err *e)
{
	_auto_close int fd = -EBADF, root = -EBADF;
	int r = fsx_mkdir_open(template_fd, name, 0700, &fd, e);

	if (r == 0)
		r = fsx_mkdir_open(fd, "root", 0755, &root, e);
	if (r == 0)
		r = link_tree(root_fd, root, e);
	return r == 0 ? write_info(fd, k, e) : r;
}

/* Renames it, then removes it. */
static int
drop_at(int top_fd, const char *name, struct err *e)
{
	char old[64];

	fsx_temp_name(old, sizeof(old), OLD_PREFIX);
	if (renameat(top_fd, name, top_fd, old) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "remove " KEPT_TOP "/%s", name);
	return fsx_rm_rf_at(top_fd, old, e);
}

int
kept_name(const struct store *s, const char *template, int template_fd, const char *name, struct err *e)
{
	_auto_close int top = -EBADF;
	int r = fsx_mkdir_open(s->templates_fd, KEPT_TOP, 0700, &top, e);

	if (r == 0)
		r = drop_at(top, template, e);
	if (r < 0)
		return r;
	if (syncfs(template_fd) < 0 || renameat(template_fd, name, top, template) < 0)
		return err_sys(e, errno, "keep the tree");
	return fsx_sync_dir(top, KEPT_TOP, e);
}

int
kept_drop(const struct store *s, const char *template, struct err *e)
{
	_auto_close int top = open_kept(s, ".");
	int r = top == -ENOENT ? 0 : top < 0 ? err_sys(e, -top, KEPT_TOP) : drop_at(top, template, e);

	(void)unlinkat(s->templates_fd, KEPT_TOP, AT_REMOVEDIR); /* if that was the last one */
	return r;
}

/* ---- age ---- */

static bool
is_old(int top_fd, const char *template, int64_t seconds)
{
	_auto_free char *info = path_join(template, KEPT_INFO);
	struct stat st;
	int r = fsx_look(top_fd, info, &st);

	return r == 0 || (r > 0 && time(NULL) - st.st_mtime >= seconds);
}

int
release_kept(const struct store *s, struct strv *ret, struct err *e)
{
	_auto_close int top = open_kept(s, ".");
	_auto_strv struct strv names = STRV_INIT;
	int r = top == -ENOENT || top == -EACCES ? 0 : top < 0 ? top : tree_names(top, &names);

	for (size_t i = 0; i < names.n; i++)
		if (name_ok(names.v[i]))
			strv_add(ret, names.v[i]);
	return r < 0 ? err_sys(e, -r, KEPT_TOP) : 0;
}

int
release_tidy_kept(const struct store *s, int64_t seconds, size_t *ret_n, struct err *e)
{
	_auto_close int top = open_kept(s, ".");
	_auto_strv struct strv names = STRV_INIT;
	int r = top == -ENOENT ? 0 : top < 0 ? top : tree_names(top, &names);

	if (r < 0)
		return err_sys(e, -r, KEPT_TOP);
	for (size_t i = 0; i < names.n; i++) {
		_auto_close int lock = -EBADF;
		struct err busy = ERR_INIT;
		bool named = name_ok(names.v[i]);

		if (named && (!is_old(top, names.v[i], seconds) ||
			      store_lock_try(s, "template", names.v[i], &lock, &busy) < 0))
			continue; /* not old, or in use by a build */
		if ((named ? drop_at(top, names.v[i], e) : fsx_rm_rf_at(top, names.v[i], e)) < 0)
			return -e->num;
		*ret_n += named;
	}
	if (top >= 0)
		(void)unlinkat(s->templates_fd, KEPT_TOP, AT_REMOVEDIR);
	return 0;
}
