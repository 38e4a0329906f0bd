/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sha256.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/name.h"
#include "store/template/build.h"
#include "store/template/cache.h"
#include "store/template/outdated.h"

#define OUTPUT_MAX (16u << 20)
#define LOCK_WAIT_MS 120000
#define KEY_LEN 16

struct apt {
	const struct store *store;
	const struct release *r;
	const struct progress *pr;
	char key[SHA256_DIGEST_STRING_LENGTH];
	char *path; /* BASE/cache/apt/KEY */
	int fd;
	struct strv env;
};

void
outdated_free(struct outdated *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->v[i].package);
		free(o->v[i].current);
		free(o->v[i].candidate);
	}
	free(o->v);
	*o = (struct outdated){0};
}

/* ---- what apt-get says ---- */

/* s up to the first of the bytes of end; the caller frees. */
static char *
word(const char *s, const char *end)
{
	return xstrndup(s, strcspn(s, end));
}

/* "Inst NAME [OLD] (NEW ARCHIVE [ARCH])", "Inst NAME (NEW ...)", "Remv NAME [OLD]" */
static void
take_line(struct outdated *o, const char *line)
{
	const char *in = str_after(line, "Inst "), *out = str_after(line, "Remv ");
	const char *name = in ? in : out, *p;
	struct newer one = {0};

	if (!name)
		return;
	one.package = word(name, " ");
	p = name + strlen(one.package);
	if (str_after(p, " [")) {
		one.current = word(p + 2, "]");
		p += 2 + strlen(one.current);
		p += *p == ']';
	}
	if (in && str_after(p, " ("))
		one.candidate = word(p + 2, " )");
	GROW(o->v, o->n, o->cap);
	o->v[o->n++] = one;
}

static int
by_package(const void *a, const void *b)
{
	return strcmp(((const struct newer *)a)->package, ((const struct newer *)b)->package);
}

void
outdated_parse(char *text, struct outdated *ret)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		take_line(ret, line);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_package);
}

/* ---- running it ---- */

/* The first error in the output of apt-get, else its last line; the caller frees. */
static char *
telling_line(const char *text)
{
	const char *error = str_after(text, "E: ");
	const char *last = text;

	if (!error && (error = strstr(text, "\nE: ")))
		error += 4;
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (*p != '\n')
			last = p;
	return word(error ? error : last, "\n");
}

/* The caller frees what it printed. */
static int
run_apt(const struct apt *a, const char *what, const char *option, char **ret, struct err *e)
{
	_auto_close int out = openat(a->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	_auto_strv struct strv argv = STRV_INIT;
	_auto_free char *text = NULL, *line = NULL, *shown = NULL;
	struct child c = CHILD_INIT;
	int status, r;

	if (out < 0)
		return err_sys(e, errno, "%s", a->path);
	strv_add(&argv, "apt-get");
	strv_add(&argv, "-q");
	strv_add(&argv, option);
	strv_add(&argv, what);
	c.argv = argv.v;
	c.envp = a->env.v;
	c.fd_out = c.fd_err = out;
	if (child_run(&c, &status, e) < 0)
		return -e->num;
	if (lseek(out, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "%s", a->path);
	r = fsx_read_fd(out, OUTPUT_MAX, &text, NULL);
	if (r < 0)
		return err_sys(e, -r, "what apt-get printed");
	if (status != 0) {
		line = telling_line(text);
		shown = text_printable(line, 400);
		return err_set(e, EIO, "apt-get %s: %s", what, *shown ? shown : "failed");
	}
	*ret = TAKE_PTR(text);
	return 0;
}

/* Adds a line of apt.conf(5).  write_conf() has checked that no path has a double quote in it. */
static void
set(struct buf *b, const char *name, const char *dir, const char *rest)
{
	buf_addf(b, "%s \"%s%s%s\";\n", name, dir, *dir && *rest ? "/" : "", rest);
}

/* Architectures of the release: dpkg's own first. */
static void
set_archs(struct buf *b, const struct packages *p)
{
	_auto_strv struct strv archs = STRV_INIT;

	for (size_t i = 0; i < p->n; i++)
		if (streq(p->v[i].name, "dpkg") && !streq(p->v[i].arch, "all"))
			strv_add(&archs, p->v[i].arch);
	for (size_t i = 0; i < p->n; i++)
		if (!streq(p->v[i].arch, "all") && !strv_has(&archs, p->v[i].arch))
			strv_add(&archs, p->v[i].arch);
	if (archs.n)
		set(b, "APT::Architecture", "", archs.v[0]);
	for (size_t i = 0; i < archs.n; i++)
		set(b, "APT::Architectures::", "", archs.v[i]);
}

static int
write_conf(const struct apt *a, const struct rules *rules, const struct packages *p, struct err *e)
{
	_auto_free char *status = packages_status(a->r->root_fd, a->r->skel_fd, rules);
	_auto_free char *top = xstrndup(a->r->root_path, strlen(a->r->root_path) - strlen("/root"));
	_auto_free char *etc = xasprintf("%s/skel/etc/apt", top);
	_auto_buf struct buf b = BUF_INIT;

	if (!status || strchr(a->path, '"'))
		return err_set(e, ENOENT, "release %s/%s has no record of its packages", a->r->template,
			       a->r->name);
	set(&b, "Dir::State", a->path, "");
	set(&b, "Dir::State::lists", a->path, "lists");
	set(&b, "Dir::State::extended_states", a->path, "extended_states");
	set(&b, "Dir::State::status", top, status);
	set(&b, "Dir::Cache", a->path, "");
	set(&b, "Dir::Cache::archives", a->path, "archives");
	/* twice the size of the lists, and made in a second */
	set(&b, "Dir::Cache::pkgcache", "", "");
	set(&b, "Dir::Cache::srcpkgcache", "", "");
	set(&b, "Dir::Log", a->path, "");
	set(&b, "Dir::Etc", etc, "");
	/* neither the host's apt.conf, nor the release's, which is for jails */
	set(&b, "Dir::Etc::main", "", "/dev/null");
	set(&b, "Dir::Etc::parts", "", "/dev/null");
	set_archs(&b, p);
	/* user _apt could not reach the lists, below directories with mode 0700 */
	set(&b, "APT::Sandbox::User", "", "root");
	set(&b, "APT::Get::Always-Include-Phased-Updates", "", "true");
	/* go on where a dependency is missing that was removed by force */
	set(&b, "APT::Get::Fix-Broken", "", "true");
	set(&b, "APT::Install-Recommends", "", "false");
	set(&b, "Acquire::Languages", "", "none");
	set(&b, "Acquire::GzipIndexes", "", "true");
	return fsx_write_atomic(a->fd, "apt.conf", &(struct fsx_file){b.s, b.len, 0600}, 0, e);
}

static int
make_dirs(const struct apt *a, struct err *e)
{
	static const char *const dirs[] = {"lists", "lists/partial", "archives", "archives/partial"};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdirat(a->fd, dirs[i], 0700) < 0 && errno != EEXIST)
			return err_sys(e, errno, "%s/%s", a->path, dirs[i]);
	return 0;
}

/* The name of the directory with the lists: a digest of the release's apt sources. */
static int
make_key(struct apt *a, const char *suite, struct err *e)
{
	_auto_free char *etc =
	    xasprintf("%.*s/skel/etc/apt", (int)(strlen(a->r->root_path) - strlen("/root")), a->r->root_path);
	_auto_buf struct buf list = BUF_INIT, sources = BUF_INIT;

	buf_adds(&list, "");
	buf_adds(&sources, "");
	debian_sources(etc, suite, &list, &sources);
	if (list.len == 0 && sources.len == 0)
		return err_set(e, ENOENT, "release %s/%s has no source of %s in its etc/apt", a->r->template,
			       a->r->name, suite);
	buf_add(&list, sources.s, sources.len);
	(void)SHA256Data((const uint8_t *)list.s, list.len, a->key);
	a->key[KEY_LEN] = '\0';
	a->path = xasprintf("%s/cache/apt/%s", a->store->base, a->key);
	return 0;
}

/* The suite of "debian:SUITE,..."; NULL: another source.  The caller frees. */
static char *
suite_of(const struct release *r)
{
	struct err ignored;
	json_t *info = NULL;
	const char *source;
	char *suite = NULL;

	if (r->dir_fd < 0 || release_info(r, &info, &ignored) < 0)
		return NULL;
	source = json_string_value(json_object_get(json_object_get(info, "recipe"), "source"));
	source = source ? str_after(source, "debian:") : NULL;
	if (source)
		suite = word(source, ",");
	json_decref(info);
	return suite;
}

bool
outdated_applies(const struct release *r)
{
	_auto_free char *suite = suite_of(r);

	return suite != NULL;
}

static int
ask(struct apt *a, struct outdated *ret, struct err *e)
{
	_auto_(rules_free) struct rules rules = RULES_INIT;
	_auto_(packages_free) struct packages p = {0};
	_auto_free char *said = NULL, *plan = NULL;
	int r = packages_read(a->r, &p, e);

	if (r == 0)
		r = rules_of_release(a->r, &rules, e);
	if (r == 0)
		r = make_dirs(a, e);
	if (r == 0)
		r = write_conf(a, &rules, &p, e);
	if (r < 0)
		return r;
	debian_env(&a->env);
	strv_addf(&a->env, "APT_CONFIG=%s/apt.conf", a->path);
	build_step(a->pr, "reading the lists of the mirrors");
	if (run_apt(a, "update", "--error-on=any", &said, e) < 0 ||
	    run_apt(a, "dist-upgrade", "--simulate", &plan, e) < 0)
		return -e->num;
	outdated_parse(plan, ret);
	return 0;
}

int
release_outdated(const struct store *s, const struct release *r, const struct progress *pr,
		 struct outdated *ret, struct err *e)
{
	struct apt a = {.store = s, .r = r, .pr = pr, .fd = -EBADF};
	_auto_close int top = -EBADF, lock = -EBADF;
	_auto_free char *suite = suite_of(r);
	struct release_cleaned cleaned = {0};
	int got;

	if (!suite)
		return err_set(e, EINVAL,
			       "release %s/%s is not of a debian: source: what is newer cannot be told",
			       r->template, r->name);
	if (geteuid() != 0)
		return err_set(e, EPERM, "reading the lists of mirrors needs root: they are kept in %s/cache",
			       s->base);
	got = make_key(&a, suite, e);
	if (got == 0)
		got = cache_open(s, "apt", &top, e);
	if (got == 0)
		got = cache_trim_lists(s, CACHE_LISTS_SECONDS, &cleaned, e);
	if (got == 0)
		got = store_lock(s, &(struct store_want){"apt", a.key, LOCK_WAIT_MS, NULL}, &lock, e);
	if (got == 0)
		got = fsx_mkdir_open(top, a.key, 0700, &a.fd, e);
	if (got == 0)
		got = ask(&a, ret, e);
	fd_close(a.fd);
	free(a.path);
	strv_free(&a.env);
	return got;
}
