/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/name.h"
#include "import/import_int.h"

#define SHOW_TAGS 10 /* in a message */

enum media { M_INDEX, M_MANIFEST, M_CONFIG, M_LAYER, M_FOREIGN };

/* image-spec, media-types.md; Docker's own: distribution, docs/spec/manifest-v2-2.md */
static const struct media_type {
	const char *name;
	enum media kind;
	enum layer_kind layer;
} media_types[] = {
    {"application/vnd.oci.image.index.v1+json", M_INDEX, 0},
    {"application/vnd.docker.distribution.manifest.list.v2+json", M_INDEX, 0},
    {"application/vnd.oci.image.manifest.v1+json", M_MANIFEST, 0},
    {"application/vnd.docker.distribution.manifest.v2+json", M_MANIFEST, 0},
    {"application/vnd.oci.image.config.v1+json", M_CONFIG, 0},
    {"application/vnd.docker.container.image.v1+json", M_CONFIG, 0},
    {"application/vnd.oci.image.layer.v1.tar", M_LAYER, LAYER_TAR},
    {"application/vnd.oci.image.layer.v1.tar+gzip", M_LAYER, LAYER_GZIP},
    {"application/vnd.oci.image.layer.v1.tar+zstd", M_LAYER, LAYER_ZSTD},
    {"application/vnd.docker.image.rootfs.diff.tar", M_LAYER, LAYER_TAR},
    {"application/vnd.docker.image.rootfs.diff.tar.gzip", M_LAYER, LAYER_GZIP},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", M_LAYER, LAYER_ZSTD},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar", M_FOREIGN, 0},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", M_FOREIGN, 0},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", M_FOREIGN, 0},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar", M_FOREIGN, 0},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", M_FOREIGN, 0},
};

static const struct media_type *
media_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(media_types); i++)
		if (streq(media_types[i].name, name))
			return &media_types[i];
	return NULL;
}

static int
strange_media(const char *what, const char *media, const char *expected, struct err *e)
{
	_auto_free char *shown = text_printable(media, 120);

	return err_set(e, EINVAL, "%s: mediaType '%s' is not %s", what, shown, expected);
}

/* ---- this machine ---- */

static const char *
go_arch(const char *machine)
{
	static const char *const names[][2] = {
	    {"x86_64", "amd64"},  {"aarch64", "arm64"},
	    {"i486", "386"},      {"i586", "386"},
	    {"i686", "386"},      {"i386", "386"},
	    {"armv5tel", "arm"},  {"armv6l", "arm"},
	    {"armv7l", "arm"},    {"armv8l", "arm"},
	    {"mips64", "mips64"}, {"loongarch64", "loong64"},
	    {"powerpc", "ppc"},   {"powerpc64le", "ppc64le"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(machine, names[i][0]))
			return names[i][1];
	return machine;
}

int
image_platform(struct image_platform *ret, struct err *e)
{
	struct image_platform p = {0};
	struct utsname u;

	if (uname(&u) < 0)
		return err_sys(e, errno, "uname");
	(void)snprintf(p.os, sizeof(p.os), "%.15s", u.sysname);
	for (char *c = p.os; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	(void)snprintf(p.arch, sizeof(p.arch), "%.15s", go_arch(u.machine));
	if (str_after(u.machine, "armv"))
		p.variant = u.machine[4] - '0';
	*ret = p;
	return 0;
}

/* ---- files of the layout ---- */

struct image {
	const struct image_want *want;
	char *tag; /* of the manifest that was chosen */
};

static char *
blob_name(const struct descriptor *d)
{
	return xasprintf("blobs/sha256/%s", d->hex);
}

/* oci-layout, index.json */
static int
read_named(const struct image *im, const char *name, json_t **ret, struct err *e)
{
	_auto_close int fd = im->want->open(im->want->ctx, name, e);
	_auto_free char *text = NULL;
	size_t len;
	int r;

	if (fd < 0)
		return -e->num;
	r = fsx_read_fd(fd, IMAGE_JSON, &text, &len);
	if (r == -EFBIG)
		return err_set(e, EFBIG, "%s: larger than %u MiB", name, IMAGE_JSON >> 20);
	if (r < 0)
		return err_sys(e, -r, "%s", name);
	return json_document(text ? text : "", len, name, ret, e);
}

static int
read_blob(const struct image *im, const struct descriptor *d, json_t **ret, struct err *e)
{
	_auto_free char *name = blob_name(d), *text = NULL;
	_auto_close int fd = -EBADF;

	if (d->size > IMAGE_JSON)
		return err_set(e, EFBIG, "%s: its descriptor says %llu bytes, more than %u MiB", name,
			       (unsigned long long)d->size, IMAGE_JSON >> 20);
	fd = im->want->open(im->want->ctx, name, e);
	if (fd < 0)
		return -e->num;
	if (blob_text(fd, d->size, d->hex, &text, e) < 0)
		return err_wrap(e, "%s", name);
	return json_document(text, d->size, name, ret, e);
}

static int
check_layout(const struct image *im, struct err *e)
{
	_auto_free char *shown = NULL;
	const char *version = NULL;
	json_t *j = NULL;
	int r = read_named(im, "oci-layout", &j, e);

	if (r == 0)
		r = json_text(j, "imageLayoutVersion", "oci-layout", &version, e);
	if (r == 0 && !version)
		r = err_set(e, EINVAL, "oci-layout: imageLayoutVersion is missing");
	if (r == 0 && !streq(version, "1.0.0")) {
		shown = text_printable(version, 40);
		r = err_set(e, EOPNOTSUPP, "oci-layout: version '%s' is not 1.0.0", shown);
	}
	json_decref(j);
	return r;
}

/* Checks that a document is of the type that its descriptor says: it must not be an index for one reader
 * and a manifest for another (CVE-2021-41190). */
static int
check_kind(const json_t *j, const char *what, const char *media, const char *not_a, const char *nor_b,
	   struct err *e)
{
	const json_t *version = json_member(j, "schemaVersion");
	const char *own;

	if (!json_is_integer(version) || json_integer_value(version) != 2)
		return err_set(e, EINVAL, "%s: schemaVersion is not 2", what);
	if (json_text(j, "mediaType", what, &own, e) < 0)
		return -e->num;
	if (own && (media ? !streq(own, media) : !media_of(own) || media_of(own)->kind != M_INDEX))
		return err_set(e, EINVAL, "%s: its mediaType is not %s", what,
			       media ? "that of its descriptor" : "that of an index");
	if (json_member(j, not_a) || (nor_b && json_member(j, nor_b)))
		return err_set(e, EINVAL, "%s: has members of an index and of a manifest", what);
	return 0;
}

/* ---- choosing ---- */

/* The manifests of one index. */
struct choice {
	const char *what; /* the index, for messages */
	struct descriptor *v;
	size_t n;
};

static int
read_choice(const json_t *index, const char *what, const char *media, struct choice *ret, struct err *e)
{
	const json_t *list;
	struct choice c = {.what = what};

	if (check_kind(index, what, media, "layers", "config", e) < 0 ||
	    json_items(index, "manifests", what, IMAGE_MANIFESTS, &list, e) < 0)
		return -e->num;
	c.v = xcalloc(json_array_size(list), sizeof(*c.v));
	for (; c.n < json_array_size(list); c.n++) {
		_auto_free char *which = xasprintf("%s: manifests[%zu]", what, c.n);

		if (descriptor_read(json_array_get(list, c.n), which, &c.v[c.n], e) < 0) {
			free(c.v);
			return -e->num;
		}
	}
	*ret = c;
	return 0;
}

/* "the tags 'a', 'b' and 3 more", or that there is none. */
static char *
tags_of(const struct choice *c)
{
	struct buf b = BUF_INIT;
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		_auto_free char *shown = NULL;

		if (!c->v[i].tag || n++ >= SHOW_TAGS)
			continue;
		shown = text_printable(c->v[i].tag, 60);
		buf_addf(&b, "%s'%s'", n > 1 ? ", " : "", shown);
	}
	if (n > SHOW_TAGS)
		buf_addf(&b, " and %zu more", n - SHOW_TAGS);
	return n ? buf_take(&b) : xstrdup("none");
}

/* Picks the first manifest for this machine (image-index.md), with the tag if one is given; if there is only
 * one, it need not say what machine it is for. */
static int
pick_platform(const struct image *im, const struct choice *c, const char *tag, const struct descriptor **ret,
	      struct err *e)
{
	const struct descriptor *only = NULL, *fit = NULL;
	size_t n = 0;

	for (size_t i = 0; i < c->n && !fit; i++) {
		bool fits;

		if (tag && !(c->v[i].tag && streq(c->v[i].tag, tag)))
			continue;
		if (descriptor_fits(&c->v[i], &im->want->host, c->what, &fits, e) < 0)
			return -e->num;
		if (fits)
			fit = &c->v[i];
		only = &c->v[i];
		n++;
	}
	if (!fit && n == 1 && !only->platform)
		fit = only;
	if (!fit)
		return err_set(e, ENOENT, "%s: has no image for this machine (%s/%s)", c->what,
			       im->want->host.os, im->want->host.arch);
	*ret = fit;
	return 0;
}

/* Picks by name in index.json: with a tag the manifests that have it; without one there must be only one
 * image. */
static int
pick_named(const struct image *im, const struct choice *c, const struct descriptor **ret, struct err *e)
{
	_auto_free char *tags = tags_of(c), *shown = NULL;
	const char *tag = im->want->tag;
	const struct descriptor *one = NULL;
	size_t n = 0, tagged = 0;

	for (size_t i = 0; i < c->n; i++) {
		tagged += c->v[i].tag != NULL;
		if (tag && !(c->v[i].tag && streq(c->v[i].tag, tag)))
			continue;
		one = &c->v[i];
		n++;
	}
	if (n == 1) {
		*ret = one;
		return 0;
	}
	if (n == 0) {
		shown = text_printable(tag, 60);
		return err_set(e, ENOENT, "%s: there is no image with the tag '%s' (its tags: %s)", c->what,
			       shown, tags);
	}
	if (!tag && tagged)
		return err_set(e, EINVAL,
			       "%s: has %zu images: say which by its tag, oci:DIR:TAG (its tags: %s)",
			       c->what, n, tags);
	return pick_platform(im, c, tag, ret, e);
}

/* The document that is being read, on the way from index.json to a manifest. */
struct document {
	json_t *j;
	char *what, *media; /* its file; mediaType of its descriptor, NULL for index.json */
	char hex[BLOB_HEX + 1];
};

static void
document_free(struct document *d)
{
	json_decref(d->j);
	free(d->what);
	free(d->media);
}

/* Reads the document that a descriptor leads to. */
static int
follow(struct image *im, struct document *doc, const struct descriptor *d, enum media *ret, struct err *e)
{
	const struct media_type *type = media_of(d->media);
	struct document next = {.what = blob_name(d), .media = xstrdup(d->media)};

	memcpy(next.hex, d->hex, sizeof(next.hex));
	if (!type || (type->kind != M_INDEX && type->kind != M_MANIFEST))
		(void)strange_media(doc->what, d->media, "an image's", e);
	else
		(void)read_blob(im, d, &next.j, e);
	if (!next.j) {
		document_free(&next);
		return -e->num;
	}
	if (!doc->media)
		im->tag = xstrdup_null(d->tag);
	document_free(doc);
	*doc = next;
	*ret = type->kind;
	return 0;
}

static int
choose(struct image *im, struct document *doc, enum media *ret, struct err *e)
{
	const struct descriptor *d = NULL;
	struct choice c = {0};
	int r = read_choice(doc->j, doc->what, doc->media, &c, e);

	if (r == 0)
		r = doc->media ? pick_platform(im, &c, NULL, &d, e) : pick_named(im, &c, &d, e);
	if (r == 0)
		r = follow(im, doc, d, ret, e);
	free(c.v);
	return r;
}

static int
find_manifest(struct image *im, struct document *doc, struct err *e)
{
	enum media kind = M_INDEX;

	doc->what = xstrdup("index.json");
	if (read_named(im, doc->what, &doc->j, e) < 0)
		return -e->num;
	for (int depth = 0; kind == M_INDEX; depth++) {
		if (depth > IMAGE_DEPTH)
			return err_set(e, EINVAL, "%s: more than %d indexes in one another", doc->what,
				       IMAGE_DEPTH);
		if (choose(im, doc, &kind, e) < 0)
			return -e->num;
	}
	return check_kind(doc->j, doc->what, doc->media, "manifests", NULL, e);
}

/* ---- the image that was chosen ---- */

/* Checks only that the image is for this machine; how it is to be run is ignored. */
static int
check_config(const struct image *im, const json_t *manifest, const char *what, struct err *e)
{
	_auto_free char *which = xasprintf("%s: config", what), *shown = NULL;
	const struct image_platform *host = &im->want->host;
	const char *os = NULL, *arch = NULL;
	const struct media_type *type;
	struct descriptor d;
	json_t *j = NULL;
	int r;

	if (descriptor_read(json_member(manifest, "config"), which, &d, e) < 0)
		return -e->num;
	type = media_of(d.media);
	if (!type || type->kind != M_CONFIG)
		return strange_media(which, d.media, "an image's", e);
	r = read_blob(im, &d, &j, e);
	if (r == 0)
		r = json_text(j, "os", which, &os, e);
	if (r == 0)
		r = json_text(j, "architecture", which, &arch, e);
	if (r == 0 && ((os && !streq(os, host->os)) || (arch && !streq(arch, host->arch)))) {
		_auto_free char *both = xasprintf("%s/%s", os ? os : "?", arch ? arch : "?");

		shown = text_printable(both, 60);
		r = err_set(e, EINVAL, "the image is for %s, this machine is %s/%s", shown, host->os,
			    host->arch);
	}
	json_decref(j);
	return r;
}

/* A layer that is to be fetched from elsewhere is refused. */
static int
layer_type(const struct descriptor *d, const char *what, enum layer_kind *ret, struct err *e)
{
	const struct media_type *type = media_of(d->media);

	if ((type && type->kind == M_FOREIGN) || (type && d->elsewhere))
		return err_set(e, EOPNOTSUPP,
			       "%s: its content is not in the layout (it has urls, or is not distributable): "
			       "brig fetches nothing",
			       what);
	if (!type || type->kind != M_LAYER)
		return strange_media(what, d->media, "a layer's", e);
	*ret = type->layer;
	return 0;
}

static int
take_layer(const struct image *im, struct import *tree, const struct descriptor *d, enum layer_kind kind,
	   bool lowest, struct err *e)
{
	_auto_(blob_free) struct blob b = BLOB_INIT;
	_auto_free char *name = blob_name(d);
	int fd, r;

	if (d->size > tree->limits->total)
		return err_set(e, EFBIG, "%s: larger than %llu MiB", name,
			       (unsigned long long)tree->limits->total >> 20);
	fd = im->want->open(im->want->ctx, name, e);
	if (fd < 0)
		return -e->num;
	r = blob_check(&b, fd, d->size, d->hex, e);
	if (r == 0)
		r = layer_apply(tree, &b, kind, lowest, e);
	return r < 0 ? err_wrap(e, "%s", name) : 0;
}

static int
take_layers(const struct image *im, struct import *tree, const json_t *manifest, const char *what,
	    struct err *e)
{
	_auto_free struct descriptor *v = NULL;
	_auto_free enum layer_kind *kind = NULL;
	const json_t *list;
	size_t n;

	if (json_items(manifest, "layers", what, IMAGE_LAYERS, &list, e) < 0)
		return -e->num;
	n = json_array_size(list);
	v = xcalloc(n, sizeof(*v));
	kind = xcalloc(n, sizeof(*kind));
	for (size_t i = 0; i < n; i++) {
		_auto_free char *which = xasprintf("%s: layers[%zu]", what, i);

		if (descriptor_read(json_array_get(list, i), which, &v[i], e) < 0 ||
		    layer_type(&v[i], which, &kind[i], e) < 0)
			return -e->num;
	}
	for (size_t i = 0; i < n; i++)
		if (take_layer(im, tree, &v[i], kind[i], i == 0, e) < 0)
			return -e->num;
	return import_dir_times(tree, e);
}

int
image_run(const struct image_want *want, int top_fd, const struct import_limits *limits,
	  struct image_result *ret, struct err *e)
{
	struct import tree = {.limits = limits, .top = top_fd, .layers = true};
	struct image im = {.want = want};
	struct image_result result = {0};
	struct document doc = {0};
	int r = check_layout(&im, e);

	if (r == 0)
		r = find_manifest(&im, &doc, e);
	if (r == 0)
		r = check_config(&im, doc.j, doc.what, e);
	if (r == 0)
		r = take_layers(&im, &tree, doc.j, doc.what, e);
	memcpy(result.digest, doc.hex, sizeof(result.digest));
	document_free(&doc);
	import_free(&tree);
	if (r == 0) {
		result.tag = im.tag;
		*ret = result;
	} else {
		free(im.tag);
	}
	return r;
}
