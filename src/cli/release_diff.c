/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "base/name.h"
#include "cli/release_diff.h"

/* ---- packages ---- */

static char
letter_of(const struct package_change *c)
{
	return !c->from ? 'A' : !c->to ? 'D' : 'U';
}

static char *
summary(const char *what, const size_t n[3])
{
	return xasprintf("%s: %zu added, %zu removed, %zu changed", what, n[0], n[1], n[2]);
}

static void
count(size_t n[3], char letter)
{
	n[letter == 'A' ? 0 : letter == 'D' ? 1 : 2]++;
}

void
print_package_changes(const struct release_diff *d)
{
	_auto_free char *head = NULL;
	size_t n[3] = {0};

	if (d->packages[0].n == 0 && d->packages[1].n == 0)
		return;
	for (size_t i = 0; i < d->n_packages; i++)
		count(n, letter_of(&d->package[i]));
	head = summary("packages", n);
	puts(head);
	for (size_t i = 0; i < d->n_packages; i++) {
		const struct package_change *c = &d->package[i];

		printf("  %c %s %s%s%s\n", letter_of(c), c->name, c->from ? c->from : "",
		       c->from && c->to ? " -> " : "", c->to ? c->to : "");
	}
}

json_t *
package_changes_json(const struct release_diff *d)
{
	json_t *added = json_array(), *removed = json_array(), *changed = json_array();

	for (size_t i = 0; i < d->n_packages; i++) {
		const struct package_change *c = &d->package[i];

		if (!c->from)
			(void)json_array_append_new(
			    added, json_pack("{s:s, s:s}", "package", c->name, "version", c->to));
		else if (!c->to)
			(void)json_array_append_new(
			    removed, json_pack("{s:s, s:s}", "package", c->name, "version", c->from));
		else
			(void)json_array_append_new(changed, json_pack("{s:s, s:s, s:s}", "package", c->name,
								       "from", c->from, "to", c->to));
	}
	return json_pack("{s:o, s:o, s:o}", "added", added, "removed", removed, "changed", changed);
}

json_t *
packages_json(const struct packages *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->n; i++)
		(void)json_array_append_new(list,
					    json_pack("{s:s, s:s, s:s}", "package", p->v[i].name, "version",
						      p->v[i].version, "arch", p->v[i].arch));
	return list;
}

/* ---- files ---- */

/* As upgrade's plan has it: "root/usr/x" is /usr/x, "skel/etc/x" is /etc/x.  NULL: the top of either. */
static const char *
plain(const char *path)
{
	return strchr(path, '/');
}

struct dir {
	char *name;
	size_t n[3];
};

/* The first two directories of a path. */
static char *
dir_of(const char *path)
{
	const char *second = strchr(path + 1, '/'), *third = second ? strchr(second + 1, '/') : NULL;

	if (!second)
		return xstrdup("/");
	return xstrndup(path, (size_t)((third ? third : second) - path));
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct dir *)a)->name, ((const struct dir *)b)->name);
}

/* Sorted, each name once. */
static size_t
count_dirs(const struct release_diff *d, struct dir **ret)
{
	struct dir *v = xcalloc(d->n_paths + 1, sizeof(*v));
	size_t n = 0, out = 0;

	for (size_t i = 0; i < d->n_paths; i++)
		if (plain(d->path[i].path)) {
			v[n].name = dir_of(plain(d->path[i].path));
			count(v[n++].n, d->path[i].letter);
		}
	qsort(v, n, sizeof(*v), by_name);
	for (size_t i = 0; i < n; i++) {
		if (out == 0 || !streq(v[out - 1].name, v[i].name)) {
			v[out++] = v[i];
			continue;
		}
		for (size_t k = 0; k < ARRAY_LEN(v[i].n); k++)
			v[out - 1].n[k] += v[i].n[k];
		free(v[i].name);
	}
	*ret = v;
	return out;
}

static char *
number(size_t n)
{
	return n ? xasprintf("%zu", n) : xstrdup("-");
}

static void
print_dirs(const struct release_diff *d)
{
	static const char *const titles[] = {"DIRECTORY", "ADDED", "REMOVED", "CHANGED"};
	struct table t = {.n_cols = ARRAY_LEN(titles), .titles = titles, .align = "lrrr"};
	struct dir *v;
	size_t n = count_dirs(d, &v);

	for (size_t i = 0; i < n; i++) {
		_auto_free char *added = number(v[i].n[0]), *removed = number(v[i].n[1]),
				*changed = number(v[i].n[2]);

		table_row(&t, v[i].name, added, removed, changed);
		free(v[i].name);
	}
	free(v);
	if (n)
		table_print(&t, stdout);
	table_free(&t);
}

void
print_path_changes(const struct release_diff *d, bool all)
{
	_auto_free char *head = NULL;
	size_t n[3] = {0};

	for (size_t i = 0; i < d->n_paths; i++)
		if (plain(d->path[i].path))
			count(n, d->path[i].letter);
	head = summary("files", n);
	puts(head);
	if (!all) {
		print_dirs(d);
		return;
	}
	for (size_t i = 0; i < d->n_paths; i++) {
		const char *path = plain(d->path[i].path);
		_auto_free char *shown = path ? text_printable(path, 4096) : NULL;

		if (shown)
			printf("  %c %s\n", d->path[i].letter, shown);
	}
}

json_t *
path_changes_json(const struct release_diff *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->n_paths; i++) {
		const char *path = plain(d->path[i].path);
		_auto_free char *shown = path ? text_printable(path, 4096) : NULL;
		char letter[2] = {d->path[i].letter};

		if (shown)
			(void)json_array_append_new(list,
						    json_pack("{s:s, s:s}", "action", letter, "path", shown));
	}
	return list;
}

/* ---- between two releases of a template ---- */

static int
packages_between(const struct cli *cli, const char *template, const char *from, const char *to,
		 struct release_diff *ret)
{
	_auto_(release_close) struct release a = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF},
					     b = a;
	struct err e = ERR_INIT;

	if (release_open(&cli->store, template, from, &a, &e) < 0 ||
	    release_open(&cli->store, template, to, &b, &e) < 0 || release_diff(&a, &b, false, ret, &e) < 0) {
		cli_warn(cli, "%s", e.msg);
		return -e.num;
	}
	return 0;
}

void
print_packages_between(const struct cli *cli, const char *template, const char *from, const char *to)
{
	_auto_(release_diff_free) struct release_diff d = {0};

	if (packages_between(cli, template, from, to, &d) == 0 && d.n_packages) {
		printf("from %s to %s, ", from, to);
		print_package_changes(&d);
	}
}

json_t *
packages_between_json(const struct cli *cli, const char *template, const char *from, const char *to)
{
	_auto_(release_diff_free) struct release_diff d = {0};

	return packages_between(cli, template, from, to, &d) == 0 ? package_changes_json(&d) : NULL;
}
