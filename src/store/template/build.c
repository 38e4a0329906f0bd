/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building a release (release.h).  Everything happens in templates/TEMPLATE/.new.XXXX, which nobody takes for
 * a release; it becomes one by a single rename after one syncfs(2) of its file system.  Order at the end:
 * manifest, release.json (which has the manifest's digest), sync, rename, sync of the parent, `current`,
 * links in j/.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "store/record/record.h"
#include "store/template/build.h"
#include "store/template/kept.h"
#include "store/template/links.h"
#include "store/template/manifest.h"
#include "store/template/packages.h"
#include "store/template/split.h"
#include "store/tree.h"

#define LOCK_WAIT_MS 2000
#define TRIES_A_DAY 1000
#define LINKS_TOLD 200 /* of a release's warnings about links */

struct build {
	const struct store *s;
	const char *template;
	char *source;         /* resolved */
	struct strv overlays; /* resolved */
	char *rules_file;     /* resolved; NULL: default */
	struct rules rules;
	struct strv warnings;
	size_t links_told;
	struct links links; /* of the tree before it is split */
	struct source_image image;
	const struct progress *pr;
	bool resume;
	int template_fd, dir_fd, root_fd, skel_fd;
	char tmp[64];  /* name in template_fd */
	char kept[80]; /* there, too: the tree of the source, aside */
	char *path;   /* of dir_fd */
	struct manifest_sum sum;
	struct timespec start;
};

static void
build_free(struct build *b)
{
	fd_close(b->root_fd);
	fd_close(b->skel_fd);
	fd_close(b->dir_fd);
	fd_close(b->template_fd);
	free(b->source);
	free(b->rules_file);
	free(b->path);
	free(b->image.digest);
	free(b->image.tag);
	strv_free(&b->overlays);
	strv_free(&b->warnings);
	rules_free(&b->rules);
	links_free(&b->links);
}

/* ---- before anything is made ---- */

static int
resolve_overlays(struct build *b, const struct strv *overlays, struct err *e)
{
	for (size_t i = 0; i < overlays->n; i++) {
		char *real = realpath(overlays->v[i], NULL);
		struct stat st;

		if (!real || stat(real, &st) < 0 || !S_ISDIR(st.st_mode)) {
			free(real);
			return err_sys(e, real ? ENOTDIR : errno, "overlay %s", overlays->v[i]);
		}
		strv_take(&b->overlays, real);
	}
	return 0;
}

/* --resume: source, warnings and image of the build come from the tree that is kept. */
static int
resume_recipe(struct build *b, struct kept *kept, const struct recipe *asked, struct err *e)
{
	_auto_free char *source = NULL;

	if (kept_read(b->s, b->template, kept, e) < 0 ||
	    (asked->source && source_resolve(asked->source, &source, e) < 0))
		return -e->num;
	if (source && !streq(source, kept->recipe.source)) {
		_auto_free char *shown = text_printable(kept->recipe.source, 300);

		return err_set(e, EINVAL,
			       "the kept tree is of the source %s: for another, build without --resume",
			       shown);
	}
	b->source = xstrdup(kept->recipe.source);
	strv_copy(&b->warnings, &kept->warnings);
	b->image = kept->image;
	kept->image = (struct source_image){0};
	b->resume = true;
	return 0;
}

static int
resolve_recipe(struct build *b, const struct recipe *asked, struct err *e)
{
	_auto_(kept_free) struct kept kept = {0};
	const char *rules = asked->rules;
	int r;

	r = asked->resume ? resume_recipe(b, &kept, asked, e) : source_resolve(asked->source, &b->source, e);
	if (r == 0)
		r = resolve_overlays(b, asked->overlays.n ? &asked->overlays : &kept.recipe.overlays, e);
	if (r < 0)
		return r;
	if (!rules)
		rules = kept.recipe.rules;
	if (rules && !(b->rules_file = realpath(rules, NULL)))
		return err_sys(e, errno, "rules of the split: %s", rules);
	return rules_load(b->rules_file, &b->rules, e);
}

static int
check_request(const struct build *b, const char *name, struct err *e)
{
	struct record rec;
	int r;

	if (name_check("template", b->template, e) < 0)
		return -e->num;
	if (streq(b->template, "skel") || str_after(b->template, "skel."))
		return err_set(e, EINVAL, "template %s: the name is reserved for skeletons", b->template);
	if (name && name_check("release", name, e) < 0)
		return -e->num;
	if (name && !release_name_ok(name))
		return err_set(e, EINVAL, "release '%s': the name is reserved", name);
	if (b->s->templates_fd < 0)
		return err_set(e, EACCES, "%s: cannot make a template there: must be root", b->s->base);
	if (geteuid() != 0)
		return err_set(e, EPERM, "building a template needs root: its files belong to many users");
	r = record_read(b->s, b->template, &rec, e);
	if (r > 0) {
		record_free(&rec);
		return err_set(e, EEXIST, "a jail is called %s: a template needs another name", b->template);
	}
	return r;
}

/* ---- the tree ---- */

static int
make_place(struct build *b, struct err *e)
{
	int r;

	fsx_temp_name(b->tmp, sizeof(b->tmp), BUILD_PREFIX);
	if (mkdirat(b->template_fd, b->tmp, 0700) < 0)
		return err_sys(e, errno, "make a directory for the build");
	b->path = xasprintf("%s/templates/%s/%s", b->s->base, b->template, b->tmp);
	r = fsx_mkdir_open(b->template_fd, b->tmp, 0700, &b->dir_fd, e);
	if (r == 0)
		r = fsx_mkdir_open(b->dir_fd, "root", 0755, &b->root_fd, e);
	if (r == 0)
		r = fsx_mkdir_open(b->dir_fd, "skel", 0755, &b->skel_fd, e);
	if (r == 0 && (fchmod(b->root_fd, 0755) < 0 || fchmod(b->skel_fd, 0755) < 0))
		r = err_sys(e, errno, "%s", b->path);
	return r;
}

struct faults {
	struct buf text;
	size_t n;
};

static void
note_fault(struct faults *f, const char *path, const char *what)
{
	_auto_free char *shown = text_printable(path, 200);

	if (f->n++ < 3)
		buf_addf(&f->text, "%s%s: %s", f->text.len ? "; " : "", shown, what);
}

static int
tell_faults(struct faults *f, const char *before, struct err *e)
{
	if (f->n > 3)
		buf_addf(&f->text, "; and %zu more", f->n - 3);
	if (f->n)
		(void)err_set(e, EINVAL, "%s%s", before, f->text.s);
	buf_free(&f->text);
	return f->n ? -EINVAL : 0;
}

/* An error for links that lead nowhere since the overlays were copied.  source: the links before that. */
static int
blame_overlays(struct build *b, const struct links *source, struct err *e)
{
	struct faults f = {BUF_INIT, 0};

	for (size_t i = 0; i < b->links.n; i++) {
		const struct link *l = &b->links.v[i], *was = links_find(source, l->path);
		_auto_free char *path = NULL, *text = NULL, *what = NULL;

		if (!l->wrong || (was && was->wrong && streq(was->text, l->text)) ||
		    rules_may_dangle(&b->rules, l->path))
			continue;
		path = xasprintf("/%s", l->path);
		text = text_printable(l->text, 200);
		what = xasprintf("the link to '%s' %s", text, l->wrong);
		note_fault(&f, path, what);
	}
	return tell_faults(&f, "with the overlays: ", e);
}

static int
add_overlays(struct build *b, const struct source_place *at, struct err *e)
{
	_auto_(links_free) struct links source = {0};
	int r = links_read(b->root_fd, b->overlays.n ? &source : &b->links, e);

	if (r < 0 || b->overlays.n == 0)
		return r;
	for (size_t i = 0; i < b->overlays.n && r == 0; i++)
		r = source_overlay(at, b->overlays.v[i], e);
	if (r == 0)
		r = links_read(b->root_fd, &b->links, e);
	return r == 0 ? blame_overlays(b, &source, e) : r;
}

/* Keeps the tree of the source (kept.h), in case that the rest of the build fails.  Its own failure is no
 * error. */
static void
keep_source(struct build *b)
{
	const struct kept k = {{b->source, b->overlays, b->rules_file, false}, b->warnings, b->image};
	struct err ignored;

	(void)snprintf(b->kept, sizeof(b->kept), "%s.kept", b->tmp);
	if (kept_make(b->template_fd, b->kept, b->root_fd, &k, &ignored) == 0)
		return;
	(void)fsx_rm_rf_at(b->template_fd, b->kept, &ignored);
	*b->kept = '\0';
}

static int
fill_root(struct build *b, const struct source_place *at, struct err *e)
{
	int r;

	if (b->resume) {
		build_step(b->pr, "going on with the tree that was kept");
		return kept_take(b->s, b->template, b->root_fd, e);
	}
	r = source_fill(at, b->source, e);
	if (r == 0 && tree_empty(b->root_fd))
		r = err_set(e, ENOENT, "%s: made an empty tree", b->source);
	if (r == 0 && kept_wanted(b->source))
		keep_source(b);
	return r;
}

static int
fill(struct build *b, struct err *e)
{
	const struct source_place at = {b->s,       b->template, b->dir_fd,    b->path,
					b->root_fd, b->pr,       &b->warnings, &b->image};
	int r = fill_root(b, &at, e);

	if (r == 0)
		r = add_overlays(b, &at, e);
	/* a source may have given the top another mode and owner */
	if (r == 0 && (fchown(b->root_fd, 0, 0) < 0 || fchmod(b->root_fd, 0755) < 0))
		r = err_sys(e, errno, "%s", b->path);
	return r;
}

struct looking {
	struct build *b;
	struct faults faults;
};

static void
say_fault(void *ctx, const char *path, const char *what)
{
	struct looking *l = ctx;

	note_fault(&l->faults, path, what);
}

static void
say_warning(void *ctx, const char *path, const char *what)
{
	struct looking *l = ctx;
	_auto_free char *shown = text_printable(path, 200);

	if (l->b->links_told++ < LINKS_TOLD)
		strv_addf(&l->b->warnings, "%s: %s", shown, what);
}

static int
split(struct build *b, struct err *e)
{
	struct looking l = {b, {BUF_INIT, 0}};
	struct split_look look = {b->root_fd, b->skel_fd,  &b->rules, &b->links,
				  say_fault,  say_warning, &l,        0};
	int r;

	build_step(b->pr, "splitting into template and skeleton");
	r = split_tree(b->root_fd, b->skel_fd, &b->rules, e);
	if (r == 0)
		r = split_check(&look, e);
	if (b->links_told > LINKS_TOLD)
		strv_addf(&b->warnings, "%zu more links that lead nowhere", b->links_told - LINKS_TOLD);
	if (r == 0)
		return tell_faults(&l.faults, "", e);
	buf_free(&l.faults.text);
	return r;
}

/* ---- the description ---- */

json_t *
json_strings(const struct strv *v)
{
	json_t *a = json_array();

	for (size_t i = 0; i < v->n; i++) {
		/* a path may have bytes that are not UTF-8: shown, not usable, in the recipe */
		json_t *s = json_string(v->v[i]);
		_auto_free char *shown = s ? NULL : text_printable(v->v[i], strlen(v->v[i]));

		(void)json_array_append_new(a, s ? s : json_string(shown));
	}
	return a;
}

/* NULL where the source is no image: json_pack(3)'s o* then leaves the member out. */
json_t *
json_image(const struct source_image *image)
{
	return image->digest ? json_pack("{s:s, s:s?}", "digest", image->digest, "tag", image->tag) : NULL;
}

static int
write_info(struct build *b, const char *name, struct err *e)
{
	_auto_strv struct strv packages = STRV_INIT;
	_auto_free char *built = clock_utc(), *text = NULL;
	struct timespec now;
	json_t *j;

	source_packages(b->source, &packages);
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	j = json_pack("{s:s, s:s, s:s, s:f, s:{s:s, s:o, s:o, s:s?}, s:o*, s:o, s:I, s:I, s:s, s:s}",
		      "template", b->template, "release", name, "built", built, "seconds",
		      (double)(now.tv_sec - b->start.tv_sec) + (double)(now.tv_nsec - b->start.tv_nsec) / 1e9,
		      "recipe", "source", b->source, "packages", json_strings(&packages), "overlays",
		      json_strings(&b->overlays), "rules", b->rules_file, "image", json_image(&b->image),
		      "warnings", json_strings(&b->warnings), "files", (json_int_t)b->sum.files, "bytes",
		      (json_int_t)b->sum.bytes, "manifest_sha256", b->sum.digest, "brig", BRIG_VERSION);
	text = j ? json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
	json_decref(j);
	if (!text)
		return err_set(e, EINVAL, "describe the release: a path in the recipe is not UTF-8");
	return fsx_write_text(b->dir_fd, "release.json", text, 0444, 0, e);
}

static int
describe(struct build *b, struct err *e)
{
	int r = fsx_write_text(b->dir_fd, "rules", b->rules.text, 0444, 0, e);

	if (r == 0)
		r = packages_write(b->dir_fd, b->root_fd, b->skel_fd, &b->rules, e);
	build_step(b->pr, "writing the manifest");
	return r < 0 ? r : manifest_write(b->dir_fd, b->pr, &b->sum, e);
}

/* ---- making it a release ---- */

/* 1, 0, -errno. */
static int
taken(const struct build *b, const char *name, struct err *e)
{
	int r = fsx_look(b->template_fd, name, NULL);

	return r < 0 ? err_sys(e, -r, "release %s/%s", b->template, name) : r;
}

/* The lock of the template is held: a name that is free stays free. */
static int
choose_name(const struct build *b, const char *want, char **ret, struct err *e)
{
	time_t t = time(NULL);
	char date[16];
	struct tm tm;
	int r = want ? taken(b, want, e) : 0;

	if (r > 0)
		return err_set(e, EEXIST, "template %s has a release %s already", b->template, want);
	if (r < 0)
		return r;
	if (want) {
		*ret = xstrdup(want);
		return 0;
	}
	(void)localtime_r(&t, &tm);
	(void)strftime(date, sizeof(date), "%Y%m%d", &tm);
	for (int i = 0; i < TRIES_A_DAY; i++) {
		_auto_free char *name = i ? xasprintf("%s.%d", date, i) : xstrdup(date);

		r = taken(b, name, e);
		if (r == 0)
			*ret = TAKE_PTR(name);
		if (r <= 0)
			return r;
	}
	return err_set(e, EEXIST, "template %s has %d releases of %s", b->template, TRIES_A_DAY, date);
}

static int
publish(struct build *b, const char *name, struct err *e)
{
	build_step(b->pr, "writing to disk");
	/* it stays 0700: its set-user-id programs are for jails, and none of the host's users is to run them
	 * as root */
	if (syncfs(b->dir_fd) < 0)
		return err_sys(e, errno, "write the release to disk");
	if (renameat2(b->template_fd, b->tmp, b->template_fd, name, RENAME_NOREPLACE) < 0)
		return err_sys(e, errno, "put release %s in place", name);
	*b->tmp = '\0';
	return fsx_sync_dir(b->template_fd, name, e);
}

/* Makes a link in j/, unless there is something: what an administrator made by hand stays. */
static int
link_once(const struct store *s, const char *target, const char *name, struct err *e)
{
	if (symlinkat(target, s->j_fd, name) < 0 && errno != EEXIST)
		return err_sys(e, errno, "make the link %s/j/%s", s->base, name);
	return 0;
}

static int
make_current(const struct store *s, int template_fd, const char *template, const char *name, struct err *e)
{
	_auto_free char *skel = release_skel_link(template);
	_auto_free char *to_root = xasprintf("../templates/%s/current/root", template);
	_auto_free char *to_skel = xasprintf("../templates/%s/current/skel", template);
	int r = fsx_tidy_at(template_fd, "current", e); /* temporary links of killed builds */

	if (r == 0)
		r = fsx_symlink_swap(template_fd, name, "current", FSX_SYNC, e);
	if (r == 0)
		r = link_once(s, to_root, template, e);
	if (r == 0)
		r = link_once(s, to_skel, skel, e);
	return r == 0 ? fsx_sync_dir(s->j_fd, "j", e) : r;
}

int
release_set_current(const struct store *s, const char *template, const char *name, struct err *e)
{
	_auto_(release_close) struct release rel = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	_auto_close int lock = -EBADF, fd = -EBADF;
	int r = store_lock(s, &(struct store_want){"template", template, LOCK_WAIT_MS, NULL}, &lock, e);

	if (r == 0)
		r = release_open(s, template, name, &rel, e);
	if (r == 0)
		r = fsx_mkdir_open(s->templates_fd, template, 0755, &fd, e);
	if (r < 0)
		return r;
	if (rel.dir_fd >= 0)
		return make_current(s, fd, template, name, e);
	/* a release made by hand is current when there is no link */
	if (unlinkat(fd, "current", 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "template %s: current", template);
	return fsx_sync_dir(fd, "current", e);
}

static int
build_steps(struct build *b, const struct release_want *want, char **ret_name, struct err *e)
{
	_auto_free char *name = NULL;
	const struct early early = {b->s, b->template, b->source, &b->overlays, &b->rules};
	int r = choose_name(b, want->name, &name, e);

	if (r == 0 && !b->resume) /* with --resume the tree exists already, and add_overlays() checks it */
		r = overlays_check(&early, e);
	if (r == 0)
		r = make_place(b, e);
	if (r == 0)
		r = fill(b, e);
	if (r == 0)
		r = split(b, e);
	if (r == 0)
		r = describe(b, e);
	if (r == 0)
		r = write_info(b, name, e);
	if (r == 0)
		r = publish(b, name, e);
	if (r == 0 && want->set_current)
		r = make_current(b->s, b->template_fd, b->template, name, e);
	if (r == 0)
		*ret_name = TAKE_PTR(name);
	return r;
}

/* After a failure only the tree of the source stays, if it is kept; a template's directory goes, too,
 * when this was its first build. */
static void
clean_up(struct build *b, struct err *e)
{
	struct err said = *e, ignored;

	if (b->resume || (*b->kept && kept_name(b->s, b->template, b->template_fd, b->kept, &ignored) == 0))
		(void)err_set(e, said.num,
			      "%.800s; its tree is kept for a second try: brig template build --resume %s",
			      said.msg, b->template);
	else if (*b->kept)
		(void)fsx_rm_rf_at(b->template_fd, b->kept, &ignored);
	if (b->template_fd >= 0 && *b->tmp)
		(void)fsx_rm_rf_at(b->template_fd, b->tmp, &ignored);
	(void)unlinkat(b->s->templates_fd, b->template, AT_REMOVEDIR);
}

/* The release is built, so nothing is kept.  Errors are ignored: the next command tidies up. */
static void
drop_kept(struct build *b)
{
	struct err ignored;

	if (*b->kept)
		(void)fsx_rm_rf_at(b->template_fd, b->kept, &ignored);
	(void)kept_drop(b->s, b->template, &ignored);
}

int
release_build(const struct store *s, const char *template, const struct recipe *recipe,
	      const struct release_want *want, char **ret_name, struct err *e)
{
	struct build b = {.s = s,
			  .template = template,
			  .pr = want->pr,
			  .template_fd = -EBADF,
			  .dir_fd = -EBADF,
			  .root_fd = -EBADF,
			  .skel_fd = -EBADF};
	_auto_close int lock = -EBADF;
	size_t tidied = 0;
	int r;

	(void)clock_gettime(CLOCK_MONOTONIC, &b.start);
	r = check_request(&b, want->name, e);
	if (r == 0 && !recipe->resume)
		r = release_tidy_kept(s, KEPT_SECONDS, &tidied, e); /* takes the locks of the others */
	if (r == 0)
		r = store_lock(s, &(struct store_want){"template", template, LOCK_WAIT_MS, NULL}, &lock, e);
	if (r < 0) {
		build_free(&b);
		return r;
	}
	r = resolve_recipe(&b, recipe, e);
	if (r == 0)
		r = fsx_mkdir_open(s->templates_fd, template, 0755, &b.template_fd, e);
	if (r == 0)
		r = release_tidy_locked(b.template_fd, template, e);
	if (r == 0)
		r = build_steps(&b, want, ret_name, e);
	if (r == 0)
		drop_kept(&b);
	if (r < 0) {
		r = err_wrap(e, "template %s", template);
		clean_up(&b, e);
	}
	build_free(&b);
	return r;
}
