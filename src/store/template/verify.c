/* SPDX-License-Identifier: BSD-2-Clause */
/* A release against its manifest. */
#include <fcntl.h>
#include <sha256.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "store/template/manifest.h"
#include "store/template/split.h"
#include "store/tree.h"

#define REPORT_EVERY 256

struct verify {
	struct manifest m;
	const char *top; /* "root" or "skel" */
	const struct progress *pr;
	bool (*wanted)(void *ctx, const char *path); /* whose content is looked at; NULL: everybody's */
	bool cached;                                 /* and only as the page cache has it */
	void (*say)(void *ctx, const char *path, const char *what);
	void *ctx;
	size_t diffs, done, cached_only;
};

static _printf_(3, 4) void differs(struct verify *v, const char *path, const char *fmt, ...)
{
	_auto_free char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = xvasprintf(fmt, ap);
	va_end(ap);
	v->say(v->ctx, path, what);
	v->diffs++;
}

static const char *
kind_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a file";
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a link";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device node";
	}
}

static struct manifest_entry *
find(const struct manifest *m, const char *path)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(path, m->v[mid].path);

		if (c == 0)
			return &m->v[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/* The same file again, from the disk: 1, or 0 where the file system has no direct I/O. */
static int
digest_past_cache(int fd, char *digest)
{
	int flags = fcntl(fd, F_GETFL), r;
	uint64_t bytes = 0;

	if (flags < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, flags | O_DIRECT) < 0)
		return errno == EINVAL ? 0 : -errno;
	r = manifest_digest(fd, digest, &bytes);
	return r == 0 ? 1 : r == -EINVAL ? 0 : r;
}

/*
 * Twice: as the jails of the release see it, and as the disk has it.  They differ when the kernel was made to
 * write to pages of a file that is open for reading only (CVE-2016-5195, CVE-2022-0847), which no other check
 * sees.
 */
static int
verify_content(struct verify *v, const char *path, const struct tree_entry *t, const struct manifest_entry *m,
	       struct err *e)
{
	char cached[SHA256_DIGEST_STRING_LENGTH], disk[SHA256_DIGEST_STRING_LENGTH];
	_auto_close int fd = -EBADF;
	uint64_t bytes = 0;
	int r, past = 0;

	if ((uint64_t)t->st.st_size != m->size) {
		differs(v, path, "size %lld, was built as %llu", (long long)t->st.st_size,
			(unsigned long long)m->size);
		return 0;
	}
	fd = path_open(t->dir_fd, t->name, O_RDONLY | O_NONBLOCK, 0, PATH_BENEATH);
	r = fd < 0 ? fd : manifest_digest(fd, cached, &bytes);
	if (r == 0 && !v->cached)
		r = past = digest_past_cache(fd, disk);
	if (r == -EIO) { /* a bad sector is a difference; the others are still looked at */
		differs(v, path, "cannot be read: %s", strerror(EIO));
		return 0;
	}
	if (r < 0)
		return err_sys(e, -r, "%s", path);
	v->cached_only += !past;
	if (past && !streq(cached, disk))
		differs(
		    v, path,
		    "content differs between page cache and disk: SHA-256 %.12s... and %.12s..., was built "
		    "as %.12s... (stop the jails of the release and restart the host: its kernel was made to "
		    "change "
		    "a file that it had open for reading)",
		    cached, disk, m->digest);
	else if (!streq(cached, m->digest))
		differs(v, path, "content differs: SHA-256 %.12s..., was built as %.12s...", cached,
			m->digest);
	return 0;
}

static int
verify_link(struct verify *v, const char *path, const struct tree_entry *t, const struct manifest_entry *m,
	    struct err *e)
{
	_auto_free char *target = tree_readlink(t->dir_fd, t->name), *is = NULL, *was = NULL;

	if (!target)
		return err_sys(e, errno, "%s", path);
	if (streq(target, m->link))
		return 0;
	is = text_printable(target, 200);
	was = text_printable(m->link, 200);
	differs(v, path, "link to '%s', was built as '%s'", is, was);
	return 0;
}

static int
verify_entry(void *ctx, const struct tree_entry *t, struct err *e)
{
	struct verify *v = ctx;
	_auto_free char *path = path_join(v->top, t->path);
	struct manifest_entry *m = find(&v->m, path);

	if (++v->done % REPORT_EVERY == 0 && v->pr && v->pr->at)
		v->pr->at(v->pr->ctx, v->done, v->m.n);
	if (!m) {
		differs(v, path, "was not there when it was built (%s)", kind_name(t->st.st_mode));
		return 0;
	}
	m->seen = true;
	if ((t->st.st_mode & S_IFMT) != m->type) {
		differs(v, path, "%s, was built as %s", kind_name(t->st.st_mode), kind_name(m->type));
		return 0;
	}
	if (t->st.st_uid != m->uid || t->st.st_gid != m->gid)
		differs(v, path, "owner %u:%u, was built as %u:%u", t->st.st_uid, t->st.st_gid, m->uid,
			m->gid);
	if (S_ISLNK(m->type))
		return verify_link(v, path, t, m, e);
	if ((t->st.st_mode & 07777) != m->mode)
		differs(v, path, "mode %04o, was built as %04o", t->st.st_mode & 07777, m->mode);
	return S_ISREG(m->type) && (!v->wanted || v->wanted(v->ctx, t->path)) ? verify_content(v, path, t, m, e) : 0;
}

static int
verify_top(struct verify *v, int fd, const char *top, struct err *e)
{
	v->top = top;
	return tree_walk(fd, verify_entry, v, e);
}

/* The manifest itself must be the one that release.json was written with. */
static int
load_manifest(const struct release *r, struct verify *v, struct err *e)
{
	_auto_free char *text = NULL;
	char digest[SHA256_DIGEST_STRING_LENGTH];
	json_t *info = NULL;
	const char *want;
	size_t len;

	if (release_info(r, &info, e) < 0)
		return -e->num;
	want = json_string_value(json_object_get(info, "manifest_sha256"));
	if (fsx_read_at(r->dir_fd, "manifest", MANIFEST_MAX, &text, &len, e) < 0) {
		json_decref(info);
		return -e->num;
	}
	(void)SHA256Data((const uint8_t *)text, len, digest);
	if (!want || !streq(want, digest))
		differs(v, "manifest", "is not the one that was written when it was built");
	json_decref(info);
	return manifest_parse(TAKE_PTR(text), &v->m, e);
}

/* Made by hand: no manifest; what can be checked is that it works as a template. */
static int
verify_by_hand(const struct release *r, struct verify *v, struct err *e)
{
	_auto_(rules_free) struct rules rules = RULES_INIT;
	int got = rules_load(NULL, &rules, e);
	struct split_look look = {r->root_fd, r->skel_fd, &rules, NULL, v->say, NULL, v->ctx, 0};

	if (got == 0)
		got = split_check(&look, e);
	v->diffs += look.faults;
	return got;
}

static void
say_missing(struct verify *v, const char *top)
{
	for (size_t i = 0; i < v->m.n; i++)
		if (!v->m.v[i].seen && str_after(v->m.v[i].path, top))
			differs(v, v->m.v[i].path, "is missing (%s)", kind_name(v->m.v[i].type));
}

static int
verify_built(const struct release *r, struct verify *v, struct err *e)
{
	int got = load_manifest(r, v, e);

	if (got == 0)
		got = verify_top(v, r->root_fd, "root", e);
	if (got == 0)
		got = verify_top(v, r->skel_fd, "skel", e);
	if (got == 0)
		say_missing(v, "");
	return got;
}

int
release_verify(const struct release *r, struct release_check *c, struct err *e)
{
	struct verify v = {.pr = c->pr, .say = c->say, .ctx = c->ctx};
	int got = r->dir_fd < 0 ? verify_by_hand(r, &v, e) : verify_built(r, &v, e);

	manifest_free(&v.m);
	if (got < 0)
		return err_wrap(e, "verify %s/%s", r->template, r->name);
	c->diffs = v.diffs;
	c->cached_only = v.cached_only;
	return 0;
}

/* ---- before it is installed ---- */

struct first {
	const struct release_part *part;
	char *text; /* the first difference */
};

static void
keep_first(void *ctx, const char *path, const char *what)
{
	struct first *f = ctx;
	_auto_free char *shown = f->text ? NULL : text_printable(path, 4096);

	if (shown)
		f->text = xasprintf("%s: %s", shown, what);
}

static bool
is_wanted(void *ctx, const char *path)
{
	const struct release_part *p = ((struct first *)ctx)->part;

	return !p || p->wanted(p->ctx, path);
}

int
release_verify_skel(const struct release *r, const struct release_part *part, struct err *e)
{
	struct first first = {part, NULL};
	struct verify v = {.say = keep_first, .ctx = &first, .wanted = is_wanted, .cached = true};
	_auto_free char *more = NULL;
	int got;

	if (r->dir_fd < 0) /* made by hand */
		return 0;
	got = load_manifest(r, &v, e);
	if (got == 0)
		got = verify_top(&v, r->skel_fd, "skel", e);
	if (got == 0)
		say_missing(&v, "skel/");
	if (got < 0)
		got = err_wrap(e, "verify %s/%s", r->template, r->name);
	more = v.diffs > 1 ? xasprintf(", and %zu more difference%s", v.diffs - 1, v.diffs > 2 ? "s" : "")
			   : xstrdup("");
	if (got == 0 && v.diffs > 0)
		got = err_set(e, EBADMSG, "release %s/%s is not as it was built: %s%s (brig template verify %s/%s)",
			      r->template, r->name, first.text, more, r->template, r->name);
	manifest_free(&v.m);
	free(first.text);
	return got;
}
