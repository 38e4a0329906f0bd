/* SPDX-License-Identifier: BSD-2-Clause */
/* What differs between two releases: sorted lists of packages and of files, compared entry by entry. */
#include "base/fsx.h"
#include "store/template/packages.h"

/* ---- packages ---- */

/* Has another entry the name of entry i (for another architecture)? */
static bool
several(const struct packages *p, size_t i)
{
	return (i > 0 && streq(p->v[i - 1].name, p->v[i].name)) ||
	       (i + 1 < p->n && streq(p->v[i + 1].name, p->v[i].name));
}

/* As strcmp(3); 0: the same package.  The architecture counts only where there are several of the name: a
 * package may become one for all architectures. */
static int
order(const struct packages *a, size_t i, const struct packages *b, size_t k)
{
	int c;

	if (i >= a->n || k >= b->n)
		return i >= a->n ? 1 : -1;
	c = strcmp(a->v[i].name, b->v[k].name);
	return c == 0 && (several(a, i) || several(b, k)) ? strcmp(a->v[i].arch, b->v[k].arch) : c;
}

static void
note_package(struct release_diff *d, size_t side, size_t i, const char *from, const char *to)
{
	const struct packages *of = &d->packages[side];
	struct package_change c = {of->v[i].name, from, to, NULL};

	if (several(of, i))
		c.name = c.made = xasprintf("%s:%s", of->v[i].name, of->v[i].arch);
	GROW(d->package, d->n_packages, d->cap_packages);
	d->package[d->n_packages++] = c;
}

static void
compare_packages(struct release_diff *d)
{
	const struct packages *a = &d->packages[0], *b = &d->packages[1];

	for (size_t i = 0, k = 0; i < a->n || k < b->n;) {
		int c = order(a, i, b, k);

		if (c < 0) {
			note_package(d, 0, i, a->v[i].version, NULL);
		} else if (c > 0) {
			note_package(d, 1, k, NULL, b->v[k].version);
		} else if (!streq(a->v[i].version, b->v[k].version)) {
			note_package(d, 0, i, a->v[i].version, b->v[k].version);
		}
		i += c <= 0;
		k += c >= 0;
	}
}

/* ---- files ---- */

static bool
same_file(const struct manifest_entry *a, const struct manifest_entry *b)
{
	if (a->type != b->type || a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
		return false;
	if (a->digest && b->digest)
		return a->size == b->size && streq(a->digest, b->digest);
	return !a->link || !b->link || streq(a->link, b->link);
}

static void
note_path(struct release_diff *d, char letter, const char *path)
{
	GROW(d->path, d->n_paths, d->cap_paths);
	d->path[d->n_paths++] = (struct path_change){letter, path};
}

static void
compare_files(struct release_diff *d)
{
	const struct manifest *a = &d->manifest[0], *b = &d->manifest[1];

	for (size_t i = 0, k = 0; i < a->n || k < b->n;) {
		int c = i >= a->n ? 1 : k >= b->n ? -1 : strcmp(a->v[i].path, b->v[k].path);

		if (c < 0)
			note_path(d, 'D', a->v[i].path);
		else if (c > 0)
			note_path(d, 'A', b->v[k].path);
		else if (!same_file(&a->v[i], &b->v[k]))
			note_path(d, 'U', b->v[k].path);
		i += c <= 0;
		k += c >= 0;
	}
}

static int
read_manifest(const struct release *r, struct manifest *ret, struct err *e)
{
	char *text = NULL;

	if (r->dir_fd < 0)
		return err_set(e, ENOENT, "release %s/%s was made by hand: there is no list of its files",
			       r->template, r->name);
	if (fsx_read_at(r->dir_fd, "manifest", MANIFEST_MAX, &text, NULL, e) < 0 ||
	    manifest_parse(text, ret, e) < 0)
		return err_wrap(e, "release %s/%s", r->template, r->name);
	return 0;
}

int
release_diff(const struct release *from, const struct release *to, bool files, struct release_diff *ret,
	     struct err *e)
{
	const struct release *const both[] = {from, to};
	struct release_diff d = {0};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(both) && r == 0; i++) {
		r = packages_read(both[i], &d.packages[i], e);
		if (r == 0 && files)
			r = read_manifest(both[i], &d.manifest[i], e);
	}
	if (r < 0) {
		release_diff_free(&d);
		return r;
	}
	compare_packages(&d);
	compare_files(&d);
	*ret = d;
	return 0;
}

void
release_diff_free(struct release_diff *d)
{
	for (size_t i = 0; i < d->n_packages; i++)
		free(d->package[i].made);
	free(d->package);
	free(d->path);
	for (size_t i = 0; i < ARRAY_LEN(d->packages); i++) {
		packages_free(&d->packages[i]);
		manifest_free(&d->manifest[i]);
	}
	*d = (struct release_diff){0};
}
