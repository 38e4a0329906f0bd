/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/path.h"
#include "store/template/links.h"
#include "store/template/packages.h"
#include "store/tree.h"

#define STATUS "var/lib/dpkg/status"
#define STATUS_MAX (64u << 20)
#define LIST_MAX (8u << 20)

void
packages_free(struct packages *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].name);
		free(p->v[i].version);
		free(p->v[i].arch);
	}
	free(p->v);
	*p = (struct packages){0};
}

static int
by_name(const void *pa, const void *pb)
{
	const struct package *a = pa, *b = pb;
	int c = strcmp(a->name, b->name);

	return c ? c : strcmp(a->arch, b->arch);
}

static void
sort(struct packages *p)
{
	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_name);
}

static bool
word_ok(const char *s)
{
	if (!s || !*s)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

/* Takes the three words. */
static bool
add(struct packages *p, char *name, char *version, char *arch)
{
	if (!word_ok(name) || !word_ok(version) || !word_ok(arch)) {
		free(name);
		free(version);
		free(arch);
		return false;
	}
	GROW(p->v, p->n, p->cap);
	p->v[p->n++] = (struct package){name, version, arch};
	return true;
}

/* ---- dpkg's status ---- */

/* The value of the field in a paragraph of n bytes, or NULL; the caller frees. */
static char *
field(const char *p, size_t n, const char *name)
{
	const char *end = p + n;
	size_t len = strlen(name);

	while (p < end) {
		size_t line = strcspn(p, "\n");

		if (line > len && strncasecmp(p, name, len) == 0 && p[len] == ':') {
			const char *value = p + len + 1;

			value += strspn(value, " \t");
			return xstrndup(value, (size_t)(p + line - value));
		}
		p += line + 1;
	}
	return NULL;
}

/* "install ok installed": wanted, flag, state. */
static bool
is_installed(const char *status)
{
	const char *last = status ? strrchr(status, ' ') : NULL;

	return last && streq(last + 1, "installed");
}

void
packages_of_status(const char *text, struct packages *ret)
{
	while (*text) {
		const char *end = strstr(text, "\n\n");
		size_t n = end ? (size_t)(end - text) : strlen(text);
		_auto_free char *status = field(text, n, "Status");

		if (is_installed(status))
			(void)add(ret, field(text, n, "Package"), field(text, n, "Version"),
				  field(text, n, "Architecture"));
		text += n;
		text += strspn(text, "\n");
	}
	sort(ret);
}

static bool
is_file(int fd, const char *path)
{
	_auto_close int file = path_open(fd, path, O_RDONLY | O_NONBLOCK, 0, PATH_BENEATH);
	struct stat st;

	return file >= 0 && fstat(file, &st) == 0 && S_ISREG(st.st_mode);
}

char *
packages_status(int root_fd, int skel_fd, const struct rules *rules)
{
	_auto_free char *kept = rules_kept_path(rules, STATUS), *skel = rules_skel_path(rules, STATUS);

	if (kept && is_file(root_fd, kept))
		return xasprintf("root/%s", kept);
	if (skel && is_file(skel_fd, skel))
		return xasprintf("skel/%s", skel);
	return is_file(root_fd, STATUS) ? xstrdup("root/" STATUS) : NULL;
}

/* place: of packages_status() */
static int
read_status(int root_fd, int skel_fd, const char *place, struct packages *ret, struct err *e)
{
	const char *root = str_after(place, "root/"), *path = root ? root : place + strlen("skel/");
	_auto_close int fd = path_open(root ? root_fd : skel_fd, path, O_RDONLY, 0, PATH_BENEATH);
	_auto_free char *text = NULL;
	int r = fd < 0 ? fd : fsx_read_fd(fd, STATUS_MAX, &text, NULL);

	if (r < 0)
		return err_sys(e, -r, "%s", place);
	packages_of_status(text, ret);
	return 0;
}

/* ---- the list of a release ---- */

int
packages_parse(const char *text, struct packages *ret, struct err *e)
{
	_auto_(packages_free) struct packages p = {0};
	int line = 0;

	for (; *text; text += *text == '\n') {
		size_t a = strcspn(text, " \n"), b = 0, c = 0;

		line++;
		if (text[a] == ' ')
			b = strcspn(text + a + 1, " \n");
		if (b && text[a + 1 + b] == ' ')
			c = strcspn(text + a + b + 2, " \n");
		if (!c ||
		    !add(&p, xstrndup(text, a), xstrndup(text + a + 1, b), xstrndup(text + a + b + 2, c)))
			return err_set(e, EINVAL, "packages:%d: expected NAME VERSION ARCHITECTURE", line);
		text += a + b + c + 2;
		text += strcspn(text, "\n");
	}
	sort(&p);
	*ret = p;
	p = (struct packages){0};
	return 0;
}

int
packages_write(int dir_fd, int root_fd, int skel_fd, const struct rules *rules, struct err *e)
{
	_auto_free char *status = packages_status(root_fd, skel_fd, rules);
	_auto_(packages_free) struct packages p = {0};
	_auto_buf struct buf out = BUF_INIT;

	if (!status)
		return 0;
	if (read_status(root_fd, skel_fd, status, &p, e) < 0)
		return -e->num;
	for (size_t i = 0; i < p.n; i++)
		buf_addf(&out, "%s %s %s\n", p.v[i].name, p.v[i].version, p.v[i].arch);
	return p.n ? fsx_write_atomic(dir_fd, "packages", &(struct fsx_file){out.s, out.len, 0444}, 0, e) : 0;
}

int
packages_read(const struct release *r, struct packages *ret, struct err *e)
{
	_auto_(rules_free) struct rules rules = RULES_INIT;
	_auto_free char *text = NULL, *status = NULL;
	struct packages p = {0};
	struct err missing = ERR_INIT;
	int got =
	    r->dir_fd < 0 ? -ENOENT : fsx_read_at(r->dir_fd, "packages", LIST_MAX, &text, NULL, &missing);

	if (got < 0 && got != -ENOENT)
		*e = missing;
	else if (got == 0)
		got = packages_parse(text, &p, e);
	else if ((got = rules_of_release(r, &rules, e)) == 0) {
		status = packages_status(r->root_fd, r->skel_fd, &rules);
		got = status ? read_status(r->root_fd, r->skel_fd, status, &p, e) : 0;
	}
	if (got < 0) {
		packages_free(&p);
		return err_wrap(e, "release %s/%s", r->template, r->name);
	}
	*ret = p;
	return 0;
}
