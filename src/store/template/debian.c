/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * debian:SUITE[,PACKAGE...] by mmdebstrap(1), from the mirrors that the host itself uses.
 *
 * apt's own lists (sources.list(5), both forms) are read and the entries that offer SUITE, SUITE-updates or
 * SUITE-security are written into files of the build's own, which mmdebstrap takes as its mirrors and leaves
 * in the tree's /etc/apt.  A host without such entries: mmdebstrap's default mirror.
 *
 * Packages that an earlier build downloaded come from a cache (cache.h).
 *
 * Accounts of the release before keep their ids, whatever packages are new.
 */
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "base/where.h"
#include "os/host.h"
#include "store/template/build.h"
#include "store/template/cache.h"

#define LIST_MAX (1u << 20)

extern char **environ;

/* SUITE itself, its updates or its security archive ("bullseye/updates" was its name up to Debian 10). */
static bool
suite_matches(const char *word, size_t n, const char *suite)
{
	static const char *const tails[] = {"", "-updates", "-security", "/updates"};
	size_t len = strlen(suite);

	if (n < len || strncmp(word, suite, len) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(tails); i++)
		if (n - len == strlen(tails[i]) && strncmp(word + len, tails[i], n - len) == 0)
			return true;
	return false;
}

/* "deb [options] URI SUITE component...": adds the whole line if its suite is ours. */
static void
take_line(const char *line, size_t n, const char *suite, struct buf *out)
{
	_auto_free char *text = xstrndup(line, n);
	const char *p = str_after(text, "deb");

	if (!p || (*p != ' ' && *p != '\t'))
		return;
	p += strspn(p, " \t");
	if (*p == '[') {
		p += strcspn(p, "]");
		p += *p == ']';
		p += strspn(p, " \t");
	}
	p += strcspn(p, " \t"); /* URI */
	p += strspn(p, " \t");
	if (suite_matches(p, strcspn(p, " \t"), suite))
		buf_addf(out, "%s\n", text);
}

static void
take_list(const char *text, const char *suite, struct buf *out)
{
	while (*text) {
		size_t n = strcspn(text, "\n"), skip = strspn(text, " \t");

		if (skip < n)
			take_line(text + skip, n - skip, suite, out);
		text += n + (text[n] == '\n');
	}
}

static bool
has_word(const char *value, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = value; *(p += strspn(p, " \t\n"));) {
		size_t n = strcspn(p, " \t\n");

		if (n == len && strncasecmp(p, word, n) == 0)
			return true;
		p += n;
	}
	return false;
}

/* The suites of a value that are ours, each after a blank. */
static void
our_suites(const char *value, const char *suite, struct buf *out)
{
	for (const char *p = value; *(p += strspn(p, " \t\n"));) {
		size_t n = strcspn(p, " \t\n");

		if (suite_matches(p, n, suite)) {
			buf_addc(out, ' ');
			buf_add(out, p, n);
		}
		p += n;
	}
}

/* Length of a field with its continuation lines. */
static size_t
field_len(const char *p)
{
	size_t n = 0;

	do {
		n += strcspn(p + n, "\n");
		n += p[n] == '\n';
	} while (p[n] == ' ' || p[n] == '\t' || p[n] == '#');
	return n;
}

/* One paragraph of a .sources file: all fields stay but Types and Suites. */
static void
take_paragraph(const char *text, const char *suite, struct buf *out)
{
	_auto_buf struct buf rest = BUF_INIT, suites = BUF_INIT;
	bool deb = false, enabled = true;

	buf_adds(&rest, "");
	buf_adds(&suites, "");
	while (*text) {
		size_t n = field_len(text);
		_auto_free char *field = xstrndup(text, n);
		/* a comment, or a continuation of nothing */
		char *colon = strchr("# \t", *field) ? NULL : strchr(field, ':');
		size_t name = colon ? (size_t)(colon - field) : 0;

		text += n;
		if (!colon)
			continue;
		if (name == 5 && strncasecmp(field, "Types", 5) == 0)
			deb = has_word(colon + 1, "deb");
		else if (name == 6 && strncasecmp(field, "Suites", 6) == 0)
			our_suites(colon + 1, suite, &suites);
		else if (name == 7 && strncasecmp(field, "Enabled", 7) == 0)
			enabled = !has_word(colon + 1, "no") && !has_word(colon + 1, "false");
		else
			buf_adds(&rest, field);
	}
	if (deb && enabled && suites.len)
		buf_addf(out, "Types: deb\nSuites:%s\n%s%s\n", suites.s, rest.s,
			 rest.len && rest.s[rest.len - 1] == '\n' ? "" : "\n");
}

/* Length of a line that has nothing but blanks, deb822(5): it ends a paragraph.  0: another line, or the end.
 */
static size_t
blank_line(const char *p)
{
	size_t n = strspn(p, " \t");

	return p[n] == '\n' ? n + 1 : p[n] == '\0' ? n : 0;
}

static void
take_sources(const char *text, const char *suite, struct buf *out)
{
	while (*text) {
		size_t n = blank_line(text);

		if (n == 0) {
			_auto_free char *paragraph = NULL;

			while (text[n] && !blank_line(text + n)) {
				n += strcspn(text + n, "\n");
				n += text[n] == '\n';
			}
			paragraph = xstrndup(text, n);
			take_paragraph(paragraph, suite, out);
		}
		text += n;
	}
}

void
debian_sources(const char *etc_apt, const char *suite, struct buf *ret_list, struct buf *ret_sources)
{
	static const char *const patterns[] = {"sources.list", "sources.list.d/*.list",
					       "sources.list.d/*.sources"};

	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		_auto_free char *pattern = path_join(etc_apt, patterns[i]);
		glob_t g;

		if (glob(pattern, 0, NULL, &g) != 0)
			continue;
		for (size_t j = 0; j < g.gl_pathc; j++) {
			_auto_free char *real = realpath(g.gl_pathv[j], NULL), *text = NULL;
			struct err ignored; /* apt skips what it cannot read, too */

			if (!real || fsx_read_at(AT_FDCWD, real, LIST_MAX, &text, NULL, &ignored) < 0)
				continue;
			if (i == 2)
				take_sources(text, suite, ret_sources);
			else
				take_list(text, suite, ret_list);
		}
		globfree(&g);
	}
}

/* Writes one file of mirrors and names it in argv. */
static int
give_mirrors(const struct source_place *at, const char *name, const struct buf *text, struct strv *argv,
	     struct err *e)
{
	_auto_close int dir = -EBADF;
	int r;

	if (!text->len)
		return 0;
	r = fsx_mkdir_open(at->dir_fd, "mirrors", 0755, &dir, e);
	if (r == 0)
		r = fsx_write_atomic(dir, name, &(struct fsx_file){text->s, text->len, 0644}, 0, e);
	if (r == 0)
		strv_addf(argv, "%s/mirrors/%s", at->path, name);
	return r;
}

/* mmdebstrap does not read the host's apt.conf; a proxy set there is passed on in the environment, which
 * leaves no trace in the tree. */
static void
add_proxy(struct strv *env)
{
	_auto_buf struct buf out = BUF_INIT;
	char sh[] = "/bin/sh", c_opt[] = "-c";
	char command[] = "eval \"$(apt-config shell p Acquire::http::Proxy)\"; printf %s \"$p\"";
	char *argv[] = {sh, c_opt, command, NULL};
	struct child c = CHILD_INIT;
	struct err ignored;

	if (getenv("http_proxy"))
		return;
	c.argv = argv;
	c.capture = &out;
	if (child_must(&c, &ignored) == 0 && out.len && str_after(out.s, "http"))
		strv_addf(env, "http_proxy=%s", out.s);
}

void
debian_env(struct strv *env)
{
	for (char **v = environ; *v; v++)
		if (!str_after(*v, "LC_") && !str_after(*v, "LANG=") && !str_after(*v, "LANGUAGE=") &&
		    !str_after(*v, "TMPDIR="))
			strv_add(env, *v);
	strv_add(env, "LC_ALL=C.UTF-8"); /* explain() looks for its messages */
	add_proxy(env);
}

static bool
about_mirror(const char *msg)
{
	static const char *const signs[] = {
	    "Failed to fetch",   "Could not resolve", "Could not connect",     "Temporary failure resolving",
	    "Unable to connect", "Cannot initiate",   "Network is unreachable"};

	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (strstr(msg, signs[i]))
			return true;
	return false;
}

static int
explain(struct err *e)
{
	struct err said = *e;

	if (!about_mirror(said.msg) || strstr(said.msg, "404"))
		return -e->num;
	return err_set(e, ENETUNREACH, "no package mirror reachable: %.700s", said.msg);
}

/* In single quotes for sh(1). */
static void
add_quoted(struct buf *b, const char *s)
{
	buf_addc(b, '\'');
	for (; *s; s++)
		if (*s == '\'')
			buf_adds(b, "'\\''");
		else
			buf_addc(b, *s);
	buf_addc(b, '\'');
}

/* etc of the skeleton that jails have by now: the current release's, else the newest one's.  NULL: none; the
 * caller frees. */
static char *
last_etc(const struct source_place *at)
{
	_auto_(release_close) struct release last = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_strv struct strv names = STRV_INIT;
	_auto_free char *skel = NULL;
	struct err ignored = ERR_INIT;

	if (release_open(at->store, at->template, NULL, &last, &ignored) < 0 &&
	    (release_names(at->store, at->template, &names, &ignored) < 0 || names.n == 0 ||
	     release_open(at->store, at->template, names.v[names.n - 1], &last, &ignored) < 0))
		return NULL;
	if (last.dir_fd >= 0)
		return xasprintf("%s/templates/%s/%s/skel/etc", at->store->base, last.template, last.name);
	skel = release_skel_link(last.template);
	return xasprintf("%s/j/%s/etc", at->store->base, skel);
}

/* Adds a hook of mmdebstrap(1) that runs a script of brig's: SCRIPT WORD DIR ROOT. */
static void
add_hook(struct strv *argv, const char *stage, const char *script, const char *word, const char *dir)
{
	_auto_free char *path = where_data(script);
	_auto_buf struct buf hook = BUF_INIT;

	buf_addf(&hook, "--%s-hook=sh ", stage);
	add_quoted(&hook, path);
	buf_addf(&hook, " %s ", word);
	add_quoted(&hook, dir);
	buf_adds(&hook, " \"$1\"");
	strv_add(argv, hook.s);
}

/* Accounts keep their ids, and their shadow entries, from release to release (data/debian-accounts). */
static void
keep_accounts(const struct source_place *at, struct strv *argv)
{
	_auto_free char *etc = last_etc(at);

	if (!etc)
		return;
	add_hook(argv, "essential", "debian-accounts", "add", etc);
	add_hook(argv, "customize", "debian-accounts", "settle", etc);
}

/* Takes packages from the cache, and adds what is downloaded to it (data/debian-packages). */
static int
use_cache(const struct source_place *at, struct strv *argv, struct err *e)
{
	_auto_free char *dir = xasprintf("%s/cache/packages", at->store->base);
	_auto_close int fd = -EBADF;

	if (cache_open(at->store, "packages", &fd, e) < 0)
		return -e->num;
	add_hook(argv, "setup", "debian-packages", "load", dir);
	add_hook(argv, "extract", "debian-packages", "keep", dir);
	add_hook(argv, "essential", "debian-packages", "fetch", dir);
	add_hook(argv, "customize", "debian-packages", "keep", dir);
	/* or mmdebstrap would remove the packages that it unpacks itself before the hook "keep" */
	strv_add(argv, "--skip=essential/unlink");
	return 0;
}

/* Gives the tree the name OS_CONTAINED_NAME: packages ask `hostname --fqdn`, which reads /etc/hosts, and read
 * /etc/hostname, which mmdebstrap copies from the host. */
static void
give_name(struct strv *argv)
{
	strv_add(argv, "--essential-hook=echo " OS_CONTAINED_NAME " >\"$1/etc/hostname\"");
	strv_add(argv, "--essential-hook=printf '127.0.0.1 localhost\\n127.0.1.1 " OS_CONTAINED_NAME
		       "\\n' >\"$1/etc/hosts\"");
}

int
debian_fill(const struct source_place *at, const char *spec, struct err *e)
{
	size_t n = strcspn(spec, ",");
	_auto_free char *suite = xstrndup(spec, n);
	_auto_buf struct buf list = BUF_INIT, sources = BUF_INIT;
	_auto_strv struct strv argv = STRV_INIT, env = STRV_INIT;
	struct release_cleaned trimmed = {0};
	struct err ignored;
	int r;

	strv_add(&argv, "mmdebstrap");
	strv_add(&argv, "--mode=root");
	strv_add(&argv, "--variant=minbase");
	strv_add(&argv, "--format=directory");
	if (spec[n] && spec[n + 1])
		strv_addf(&argv, "--include=%s", spec + n + 1);
	give_name(&argv);
	keep_accounts(at, &argv);
	r = use_cache(at, &argv, e);
	if (r < 0)
		return r;
	strv_add(&argv, suite);
	strv_addf(&argv, "%s/root", at->path);
	debian_sources("/etc/apt", suite, &list, &sources);
	r = give_mirrors(at, "brig.list", &list, &argv, e);
	if (r == 0)
		r = give_mirrors(at, "brig.sources", &sources, &argv, e);
	if (r < 0)
		return r;
	debian_env(&env);
	r = source_run(at, argv.v, env.v, e);
	(void)cache_trim(at->store, CACHE_PACKAGES_MAX, &trimmed, &ignored);
	if (r < 0)
		return explain(e);
	return fsx_rm_rf_at(at->dir_fd, "mirrors", e);
}
