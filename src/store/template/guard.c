/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "base/path.h"
#include "base/where.h"
#include "store/template/guard.h"
#include "store/tree.h"

#define VERSION "VERSION" /* in a pattern: 15, 10.11 */
#define NAME "NAME"       /* in a path: of a service that is enabled */
#define MATCHES_MAX 64    /* of one pattern in one jail */
#define NAMES_MAX 4096    /* of one directory */
#define FILE_MAX (64u << 10)

/* ---- reading ---- */

void
guards_free(struct guards *g)
{
	rules_free(&g->own);
	rules_free(&g->installed);
	packages_free(&g->packages);
	*g = (struct guards){0};
}

int
guards_load(struct guards *g, const struct release *to, struct err *e)
{
	_auto_free char *file = where_data("split.rules");

	if (g->loaded)
		return 0;
	/* rules of an older brig, or an administrator's own, know no guards: the installed ones are asked, too */
	if (rules_of_release(to, &g->own, e) < 0 || packages_read(to, &g->packages, e) < 0 ||
	    (access(file, F_OK) == 0 && rules_load(file, &g->installed, e) < 0)) {
		guards_free(g); /* the next jail loads them anew */
		return -e->num;
	}
	g->loaded = true;
	return 0;
}

static bool
is_guard(const struct rule *r)
{
	return r->kind == RULE_GUARD || r->kind == RULE_GUARD_FORMAT || r->kind == RULE_GUARD_ENABLED;
}

/* Has the release a rule of its own about the same? */
static bool
has_own(const struct guards *g, const struct rule *r)
{
	for (size_t i = 0; i < g->own.n; i++)
		if (g->own.v[i].kind == r->kind && streq(g->own.v[i].path, r->path))
			return true;
	return false;
}

void
guard_notes_free(struct guard_notes *n)
{
	for (size_t i = 0; i < n->n; i++) {
		free(n->v[i].data);
		free(n->v[i].text);
	}
	free(n->v);
	strv_free(&n->data);
	*n = (struct guard_notes){0};
}

struct guarding {
	const struct guards *g;
	const struct release *from, *to;
	int space_fd;
	struct guard_notes *ret;
};

static void
add_note(struct guarding *w, bool holds, const char *data, char *text)
{
	GROW(w->ret->v, w->ret->n, w->ret->cap);
	w->ret->v[w->ret->n++] = (struct guard_note){holds, xstrdup(data), text};
}

static void
add_data(struct guarding *w, const char *path)
{
	_auto_close int fd =
	    path_open(w->space_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, PATH_BENEATH);

	if (fd >= 0 && !strv_has(&w->ret->data, path))
		strv_add(&w->ret->data, path);
}

/* ---- patterns in a jailspace ---- */

/* "15", "10.11": the length of a version at the beginning of text, 0: there is none. */
static size_t
version_len(const char *text)
{
	size_t n = strspn(text, "0123456789");

	while (n > 0 && text[n] == '.' && isdigit((unsigned char)text[n + 1]))
		n += 1 + strspn(text + n + 1, "0123456789");
	return n;
}

/* A name against one component of a pattern; *ret_version: what VERSION stands for, or NULL. */
static bool
name_matches(const char *pattern, const char *name, char **ret_version)
{
	const char *at = strstr(pattern, VERSION);
	size_t before = at ? (size_t)(at - pattern) : 0, n;

	*ret_version = NULL;
	if (!at)
		return fnmatch(pattern, name, FNM_PERIOD) == 0;
	if (strncmp(pattern, name, before) != 0)
		return false;
	n = version_len(name + before);
	if (n == 0 || !streq(name + before + n, at + strlen(VERSION)))
		return false;
	*ret_version = xstrndup(name + before, n);
	return true;
}

struct match {
	char *path, *version; /* version NULL: the pattern has none */
};
static char *
below(const char *dir, const char *name)
{
	return *dir ? path_join(dir, name) : xstrdup(name);
}

struct matches {
	struct match v[MATCHES_MAX];
	size_t n;
};

static void
matches_free(struct matches *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].path);
		free(m->v[i].version);
	}
	m->n = 0;
}

static bool
is_plain(const char *component)
{
	return !strstr(component, VERSION) && component[strcspn(component, "*?[")] == '\0';
}

/* The names in the directory of a match that match the next component. */
static int
list_next(int space_fd, const struct match *dir, const char *component, struct matches *ret)
{
	int fd = path_open(space_fd, *dir->path ? dir->path : ".", O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	_auto_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	size_t left = NAMES_MAX;

	if (fd < 0)
		return tree_is_jails_doing(fd) ? 0 : fd;
	if (!d) {
		fd_close(fd);
		return -errno;
	}
	for (; ret->n < MATCHES_MAX && left > 0 && (errno = 0, de = readdir(d)); left--) {
		char *version;

		if (streq(de->d_name, ".") || streq(de->d_name, "..") ||
		    !name_matches(component, de->d_name, &version))
			continue;
		ret->v[ret->n++] = (struct match){below(dir->path, de->d_name),
						  version ? version : xstrdup_null(dir->version)};
	}
	return left > 0 && ret->n < MATCHES_MAX && errno ? -errno : 0;
}

/* Everything in the jailspace that matches; -errno. */
static int
find_matches(int space_fd, const char *pattern, struct matches *ret)
{
	_auto_free struct matches *now = xcalloc(1, sizeof(*now)), *next = xcalloc(1, sizeof(*next));
	_auto_free char *rest = xstrdup(pattern);
	char *save = NULL;
	int r = 0;

	now->v[now->n++] = (struct match){xstrdup(""), NULL};
	for (char *c = strtok_r(rest, "/", &save); c && r == 0; c = strtok_r(NULL, "/", &save)) {
		for (size_t i = 0; i < now->n && r == 0; i++) {
			if (!is_plain(c))
				r = list_next(space_fd, &now->v[i], c, next);
			else if (next->n < MATCHES_MAX)
				next->v[next->n++] =
				    (struct match){below(now->v[i].path, c), xstrdup_null(now->v[i].version)};
		}
		matches_free(now);
		*now = *next;
		next->n = 0;
	}
	ret->n = 0;
	for (size_t i = 0; i < now->n && r == 0; i++) {
		_auto_close int fd =
		    path_open(space_fd, now->v[i].path, O_PATH | O_NOFOLLOW, 0, PATH_BENEATH);

		if (fd < 0 && !tree_is_jails_doing(fd))
			r = fd;
		if (fd < 0)
			continue;
		ret->v[ret->n++] = now->v[i];
		now->v[i] = (struct match){NULL, NULL};
	}
	matches_free(now);
	if (r < 0)
		matches_free(ret);
	return r;
}

/* ---- what a release has ---- */

static char *
replaced(const char *text, const char *word, const char *by)
{
	const char *at = strstr(text, word);

	return at ? xasprintf("%.*s%s%s", (int)(at - text), text, by, at + strlen(word)) : xstrdup(text);
}

/* Has the release one of these paths of its tree?  1, 0, -errno. */
static int
release_has(const struct guards *g, const struct release *r, const struct strv *paths, const char *word,
	    const char *by)
{
	for (size_t i = 0; i < paths->n; i++) {
		_auto_free char *path = replaced(paths->v[i], word, by);
		_auto_free char *skel = rules_skel_path(&g->own, path);
		_auto_close int fd = skel ? path_open(r->skel_fd, skel, O_PATH | O_NOFOLLOW, 0, PATH_BENEATH)
					  : path_open(r->root_fd, path, O_PATH | O_NOFOLLOW, 0, PATH_IN_ROOT);

		if (fd >= 0)
			return 1;
		if (!tree_is_jails_doing(fd))
			return fd;
	}
	return 0;
}

/* ---- guard DATA PATH TEXT ---- */

static int
look_needs(struct guarding *w, const struct rule *rule)
{
	_auto_free char *pattern = rules_skel_path(&w->g->own, rule->path);
	struct matches found = {.n = 0};
	int r = pattern ? find_matches(w->space_fd, pattern, &found) : 0;

	for (size_t i = 0; i < found.n && r >= 0; i++) {
		const char *version = found.v[i].version ? found.v[i].version : "";
		int had = release_has(w->g, w->from, &rule->paths, VERSION, version);

		add_data(w, found.v[i].path);
		r = had > 0 ? release_has(w->g, w->to, &rule->paths, VERSION, version) : had;
		if (had > 0 && r == 0) {
			_auto_free char *path = replaced(rule->paths.v[0], VERSION, version);
			_auto_free char *shown = text_printable(found.v[i].path, 4096);

			add_note(w, true, found.v[i].path,
				 xasprintf("/%s needs /%s, which release %s does not have%s%s", shown, path,
					   w->to->name, rule->arg ? ": " : "", rule->arg ? rule->arg : ""));
		}
	}
	matches_free(&found);
	return r < 0 ? r : 0;
}

/* ---- guard-format DATA FILE[,FILE] PACKAGE FIELDS TEXT ---- */

struct version {
	uint64_t v[GUARD_NUMBERS_MAX];
	size_t n;
};

/* The first version in text. */
static bool
version_in(const char *text, struct version *ret)
{
	size_t len;

	*ret = (struct version){.n = 0};
	text += strcspn(text, "0123456789");
	len = version_len(text);
	for (const char *p = text; p < text + len && ret->n < GUARD_NUMBERS_MAX; p += strspn(p, ".")) {
		_auto_free char *field = xstrndup(p, strspn(p, "0123456789"));

		if (num_u64(field, UINT32_MAX, &ret->v[ret->n++]) < 0)
			return false;
		p += strlen(field);
	}
	return ret->n > 0;
}

static int
version_compare(const struct version *a, const struct version *b, size_t fields)
{
	for (size_t i = 0; i < fields && i < GUARD_NUMBERS_MAX; i++) {
		uint64_t va = i < a->n ? a->v[i] : 0, vb = i < b->n ? b->v[i] : 0;

		if (va != vb)
			return va < vb ? -1 : 1;
	}
	return 0;
}

static char *
version_text(const struct version *v, size_t fields)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < v->n && i < fields; i++)
		buf_addf(&b, "%s%llu", i ? "." : "", (unsigned long long)v->v[i]);
	return buf_take(&b);
}

/* A version of one match: of its name, or else of its content. */
static int
version_of(int space_fd, const struct match *m, struct version *ret)
{
	_auto_free char *text = NULL;
	_auto_close int fd = -EBADF;
	struct stat st;
	int r;

	if (m->version)
		return version_in(m->version, ret);
	fd = path_open(space_fd, m->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0, PATH_BENEATH);
	if (fd < 0)
		return tree_is_jails_doing(fd) ? 0 : fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	r = fsx_read_fd(fd, FILE_MAX, &text, NULL);
	return r == -EFBIG ? 0 : r < 0 ? r : version_in(text, ret);
}

/* The version of the data: of the first FILE that has one, the highest.  1, 0 not known, -errno. */
static int
data_version(struct guarding *w, const struct rule *rule, struct version *ret)
{
	int known = 0;

	for (size_t i = 0; i < rule->paths.n && known == 0; i++) {
		_auto_free char *pattern = rules_skel_path(&w->g->own, rule->paths.v[i]);
		struct matches found = {.n = 0};
		int r = pattern ? find_matches(w->space_fd, pattern, &found) : 0;

		for (size_t k = 0; k < found.n && r >= 0; k++) {
			struct version one;

			r = version_of(w->space_fd, &found.v[k], &one);
			if (r > 0 && (!known || version_compare(&one, ret, GUARD_NUMBERS_MAX) > 0)) {
				*ret = one;
				known = 1;
			}
		}
		matches_free(&found);
		if (r < 0)
			return r;
	}
	return known;
}

/* What a release has of the package.  "1:10.11.6-0+deb12u1": the epoch is not its makers'. */
static bool
package_version(const struct packages *all, const char *name, struct version *ret)
{
	for (size_t i = 0; i < all->n; i++) {
		const char *text = all->v[i].version, *colon = strchr(text, ':');

		if (streq(all->v[i].name, name))
			return version_in(colon ? colon + 1 : text, ret);
	}
	return false;
}

static int
look_format(struct guarding *w, const struct rule *rule, struct err *e)
{
	_auto_(packages_free) struct packages before = {0};
	_auto_free char *data = rules_skel_path(&w->g->own, rule->path), *is = NULL, *will = NULL;
	struct version now, to, from;
	bool has = package_version(&w->g->packages, rule->unless, &to);
	int r = data ? data_version(w, rule, &now) : 0;

	if (data)
		add_data(w, data);
	if (r <= 0)
		return r < 0 ? err_sys(e, -r, "look at the jail's %s", rule->path) : 0;
	is = version_text(&now, rule->mode);
	if (!has) {
		if (packages_read(w->from, &before, e) < 0)
			return -e->num;
		if (package_version(&before, rule->unless, &from))
			add_note(w, true, data,
				 xasprintf("/%s needs package %s (%s), which release %s does not have%s%s",
					   data, rule->unless, is, w->to->name, rule->arg ? ": " : "",
					   rule->arg ? rule->arg : ""));
		return 0;
	}
	will = version_text(&to, rule->mode);
	r = version_compare(&to, &now, rule->mode);
	if (r < 0)
		add_note(
		    w, true, data,
		    xasprintf("/%s has the format of %s %s, and release %s has %s, which cannot read it%s%s",
			      data, rule->unless, is, w->to->name, will, rule->arg ? ": " : "",
			      rule->arg ? rule->arg : ""));
	else if (r > 0)
		add_note(
		    w, false, data,
		    xasprintf(
			"/%s has the format of %s %s: release %s converts it to %s, and a rollback cannot "
			"convert it back",
			data, rule->unless, is, w->to->name, will));
	return 0;
}

/* ---- guard-enabled FILE PATH[,PATH] TEXT ---- */

/* "nginx_enable="YES"" at the beginning of a line: the name; NULL: it is something else. */
static char *
enabled(const char *line)
{
	static const char suffix[] = "_enable=";
	size_t n = 0;
	const char *value;

	while (isalnum((unsigned char)line[n]) || line[n] == '_')
		n++;
	if (line[n] != '=' || n < sizeof(suffix) - 1 ||
	    memcmp(line + n + 2 - sizeof(suffix), suffix, sizeof(suffix) - 1) != 0)
		return NULL;
	value = line + n + 1;
	value += *value == '"' || *value == '\'';
	if (strncasecmp(value, "yes", 3) != 0 || isalnum((unsigned char)value[3]))
		return NULL;
	return xstrndup(line, n + 2 - sizeof(suffix));
}

/* Is there a command of its own for it in the file? */
static bool
has_command(const char *text, const char *name)
{
	_auto_free char *begin = xasprintf("%s_command=", name), *later = xasprintf("\n%s", begin);

	return str_after(text, begin) || strstr(text, later);
}

/* Scripts are called as services, or with '-' for '_'.  1, 0, -errno. */
static int
has_service(struct guarding *w, const struct release *r, const struct rule *rule, const char *name)
{
	_auto_free char *dashed = xstrdup(name);
	int has;

	for (char *p = dashed; *p; p++)
		*p = *p == '_' ? '-' : *p;
	has = release_has(w->g, r, &rule->paths, NAME, name);
	return has == 0 ? release_has(w->g, r, &rule->paths, NAME, dashed) : has;
}

static int
look_service(struct guarding *w, const struct rule *rule, const char *name)
{
	int r = has_service(w, w->from, rule, name);

	if (r <= 0)
		return r;
	r = has_service(w, w->to, rule, name);
	if (r == 0)
		add_note(
		    w, true, "",
		    xasprintf("/%s enables %s, and release %s has neither a script nor a unit for it%s%s",
			      rule->path, name, w->to->name, rule->arg ? ": " : "",
			      rule->arg ? rule->arg : ""));
	return r < 0 ? r : 0;
}

static int
look_enabled(struct guarding *w, const struct rule *rule)
{
	_auto_free char *path = rules_skel_path(&w->g->own, rule->path), *text = NULL;
	struct err ignore = ERR_INIT;
	_auto_close int dir = -EBADF;
	const char *name;
	int r;

	if (!path)
		return 0;
	dir = tree_dir_of(w->space_fd, path, &name);
	r = dir < 0 ? dir : fsx_read_at(dir, name, FILE_MAX, &text, NULL, &ignore);
	if (r < 0) /* none, or not one that a shell script would be: rc says so */
		return tree_is_jails_doing(r) || r == -EINVAL || r == -EFBIG ? 0 : r;
	for (const char *line = text; line && *line && r >= 0;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		_auto_free char *service = enabled(line);

		if (service && !has_command(text, service))
			r = look_service(w, rule, service);
	}
	return r < 0 ? r : 0;
}

/* ---- all of them ---- */

static int
look(struct guarding *w, const struct rule *rule, struct err *e)
{
	int r;

	if (rule->kind == RULE_GUARD_FORMAT)
		return look_format(w, rule, e);
	r = rule->kind == RULE_GUARD ? look_needs(w, rule) : look_enabled(w, rule);
	return r < 0 ? err_sys(e, -r, "look at the jail's %s", rule->path) : 0;
}

int
guards_look(const struct guards *g, const struct release *from, const struct release *to, int space_fd,
	    struct guard_notes *ret, struct err *e)
{
	struct guarding w = {g, from, to, space_fd, ret};

	for (size_t i = 0; i < g->own.n + g->installed.n; i++) {
		bool own = i < g->own.n;
		const struct rule *rule = own ? &g->own.v[i] : &g->installed.v[i - g->own.n];

		if (!is_guard(rule) || (!own && has_own(g, rule)))
			continue;
		if (look(&w, rule, e) < 0)
			return -e->num;
	}
	return 0;
}
