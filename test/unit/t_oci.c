/* SPDX-License-Identifier: BSD-2-Clause */
/* oci: images as an attacker would write them.  TOP/in is filled from the layout TOP/lay through the same
 * function as brig's (oci_open); TOP/outside must stay as it is.  The argument is brig-import, for what only
 * the program does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/fsx.h"
#include "import/import_int.h"
#include "store/template/oci.c" /* its static functions */

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define INDEX "application/vnd.oci.image.index.v1+json"
#define CONFIG "application/vnd.oci.image.config.v1+json"
#define LAYER "application/vnd.oci.image.layer.v1.tar"

static char top[32];
static int top_fd, in_fd, lay_fd;
static struct err e;
static struct import_limits limits;
static struct image_want want;
static struct image_result result;
static const char *import_program;

/* the layer in hand, and the descriptors of those that are done */
static struct archive *out;
static char layer_bytes[4 << 20];
static size_t layer_len;
static struct buf layers, manifests;
static struct buf made; /* digests of the layers of the image in hand, one a line */
static int (*compress)(struct archive *a);
static const char *layer_media;
static char *config;

static int
open_member(void *ctx, const char *name, struct err *err)
{
	(void)ctx;
	assert_true(name_expected(name));
	return oci_open(lay_fd, name, err);
}

static int
setup(void **state)
{
	(void)state;
	limits = import_limits;
	want = (struct image_want){.host = {"linux", "amd64", 0}, .open = open_member};
	result = (struct image_result){0};
	memcpy(top, "/tmp/brig-oci.XXXXXX", sizeof("/tmp/brig-oci.XXXXXX"));
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fsx_mkdir_open(top_fd, "in", 0755, &in_fd, &e) < 0 ||
	    fsx_mkdir_open(top_fd, "lay", 0755, &lay_fd, &e) < 0 || mkdirat(top_fd, "outside", 0755) < 0 ||
	    fsx_write_text(top_fd, "outside/f", "safe", 0644, 0, &e) < 0 ||
	    mkdirat(lay_fd, "blobs", 0755) < 0 || mkdirat(lay_fd, "blobs/sha256", 0755) < 0)
		return -1;
	compress = archive_write_add_filter_none;
	layer_media = LAYER;
	config = xstrdup("{\"architecture\": \"amd64\", \"os\": \"linux\"}");
	out = NULL;
	return fsx_write_text(lay_fd, "oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}", 0644, 0, &e);
}

static int
teardown(void **state)
{
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	(void)archive_write_free(out);
	buf_free(&layers);
	buf_free(&manifests);
	buf_free(&made);
	free(config);
	free(result.tag);
	fd_close(in_fd);
	fd_close(lay_fd);
	fd_close(top_fd);
	(void)fsx_rm_rf_at(tmp, top + 5, &e);
	fd_close(tmp);
	return 0;
}

/* ---- making a layout ---- */

static void
file(const char *name, const void *data, size_t len)
{
	if (fsx_write_atomic(lay_fd, name, &(struct fsx_file){data, len, 0644}, 0, &e) < 0)
		fail_msg("%s", e.msg);
}

/* A blob; its digest.  The caller frees. */
static char *
blob(const void *data, size_t len)
{
	_auto_free char *name = NULL;
	char hex[65];

	(void)SHA256Data(data, len, hex);
	name = xasprintf("blobs/sha256/%s", hex);
	file(name, data, len);
	return xstrdup(hex);
}

static void
describe(struct buf *list, const char *media, const char *hex, size_t size, const char *more)
{
	buf_addf(list, "%s{\"mediaType\": \"%s\", \"digest\": \"sha256:%s\", \"size\": %zu%s}",
		 list->len ? ", " : "", media, hex, size, more);
}

static void
begin(void)
{
	out = archive_write_new();
	(void)archive_write_set_format_pax_restricted(out);
	(void)compress(out);
	(void)archive_write_set_bytes_in_last_block(out, 1);
	assert_int_equal(archive_write_open_memory(out, layer_bytes, sizeof(layer_bytes), &layer_len),
			 ARCHIVE_OK);
}

static void
bytes_end(const void *data, size_t len)
{
	_auto_free char *hex = blob(data, len);

	describe(&layers, layer_media, hex, len, "");
	buf_addf(&made, "%s\n", hex);
}

/* The layer in hand is done; the next entry begins another. */
static void
end(void)
{
	if (!out)
		begin();
	assert_int_equal(archive_write_close(out), ARCHIVE_OK);
	(void)archive_write_free(out);
	out = NULL;
	bytes_end(layer_bytes, layer_len);
}

static struct archive_entry *
entry(const char *name, mode_t type, const char *text)
{
	struct archive_entry *a = archive_entry_new();

	archive_entry_set_pathname(a, name);
	archive_entry_set_filetype(a, type);
	archive_entry_set_perm(a, type == AE_IFDIR ? 0755 : 0644);
	archive_entry_set_mtime(a, 1000000000, 0);
	archive_entry_set_size(a, type == AE_IFREG ? (la_int64_t)strlen(text) : 0);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(a, text);
	return a;
}

static void
put(struct archive_entry *a, const char *text)
{
	if (!out)
		begin();
	assert_true(archive_write_header(out, a) >= ARCHIVE_WARN);
	if (archive_entry_filetype(a) == AE_IFREG && !archive_entry_hardlink(a))
		assert_int_equal(archive_write_data(out, text, strlen(text)), strlen(text));
	archive_entry_free(a);
}

static void
add(const char *name, mode_t type, const char *text)
{
	put(entry(name, type, text), text);
}

static void
add_hardlink(const char *name, const char *target)
{
	struct archive_entry *a = entry(name, AE_IFREG, "");

	archive_entry_set_hardlink(a, target);
	archive_entry_unset_size(a);
	put(a, "");
}

/* A manifest over the layers that are done, and its descriptor with more in it. */
static void
manifest_of(const char *more, const char *in_manifest)
{
	_auto_free char *hex = blob(config, strlen(config)), *text = NULL, *own = NULL;
	_auto_buf struct buf c = BUF_INIT;

	describe(&c, CONFIG, hex, strlen(config), "");
	text = xasprintf("{\"schemaVersion\": 2, \"config\": %s, \"layers\": [%s]%s}", c.s,
			 layers.s ? layers.s : "", in_manifest);
	own = blob(text, strlen(text));
	describe(&manifests, MANIFEST, own, strlen(text), more);
	layers.len = 0;
}

static void
manifest(const char *more)
{
	manifest_of(more, "");
}

/* index.json over the manifests that are done. */
static void
index_json(void)
{
	_auto_free char *text = xasprintf("{\"schemaVersion\": 2, \"manifests\": [%s]}", manifests.s);

	file("index.json", text, strlen(text));
}

static void
image(void)
{
	if (out)
		end();
	manifest("");
	index_json();
}

/* ---- running ---- */

static int
run_again(void)
{
	err_clear(&e);
	free(result.tag);
	result.tag = NULL;
	return image_run(&want, in_fd, &limits, &result, &e);
}

static int
run(void)
{
	image();
	return run_again();
}

static bool
outside_clean(void)
{
	_auto_free char *text = NULL;
	_auto_closedir DIR *d = NULL;
	struct stat f, dir;
	int n = 0;

	if (fstatat(top_fd, "evil", &f, AT_SYMLINK_NOFOLLOW) == 0 ||
	    fsx_read_at(top_fd, "outside/f", 100, &text, NULL, &e) < 0 || !streq(text, "safe") ||
	    fstatat(top_fd, "outside/f", &f, 0) < 0 || fstatat(top_fd, "outside", &dir, 0) < 0)
		return false;
	d = fdopendir(openat(top_fd, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	while (readdir(d))
		n++;
	return n == 3 && f.st_nlink == 1 && (f.st_mode & 07777) == 0644 && (dir.st_mode & 07777) == 0755;
}

static void
says(int r, const char *why)
{
	struct err got = e;

	assert_true(r < 0);
	assert_true(outside_clean());
	if (!strstr(got.msg, why))
		fail_msg("'%s' is not in: %s", why, got.msg);
	assert_null(strchr(got.msg, '\n'));
	assert_null(strchr(got.msg, '\033'));
}

static void
refused(const char *why)
{
	says(run(), why);
}

static void
works(void)
{
	if (run() < 0)
		fail_msg("%s", e.msg);
	assert_true(outside_clean());
}

/* Empties TOP/in for another run. */
static void
fresh(void)
{
	fd_close(in_fd);
	(void)fsx_rm_rf_at(top_fd, "in", &e);
	assert_int_equal(fsx_mkdir_open(top_fd, "in", 0755, &in_fd, &e), 0);
	layers.len = manifests.len = made.len = 0;
}

static bool
is(const char *path, mode_t type)
{
	struct stat st;

	return fstatat(in_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == type;
}

static bool
gone(const char *path)
{
	struct stat st;

	return fstatat(in_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0;
}

static void
text_is(const char *path, const char *text)
{
	_auto_free char *got = NULL;

	if (fsx_read_at(in_fd, path, 1 << 20, &got, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(got, text);
}

/* What a program does that takes the layers at their word, one after the other: our image is one that would
 * hurt.  Whiteouts are paths to it. */
static void
naive_is_fooled(const char *whiteout)
{
	pid_t pid;
	int status;

	assert_int_equal(mkdirat(top_fd, "naive", 0755), 0);
	pid = fork();
	if (pid == 0) {
		if (fchdir(top_fd) < 0 || chdir("naive") < 0)
			_exit(1);
		for (char *rest = made.s, *hex; (hex = strsep(&rest, "\n")) && *hex;) {
			_auto_free char *path = xasprintf("../lay/blobs/sha256/%s", hex);
			struct archive *in = archive_read_new();
			struct archive_entry *one;

			(void)archive_read_support_format_tar(in);
			if (archive_read_open_filename(in, path, 65536) != ARCHIVE_OK)
				_exit(1);
			while (archive_read_next_header(in, &one) == ARCHIVE_OK)
				(void)archive_read_extract(in, one, 0);
			(void)archive_read_free(in);
		}
		if (whiteout)
			(void)unlink(whiteout);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(outside_clean());
}

/* ---- what an image is ---- */

static void
three_layers(void **state)
{
	static const char cap[] =
	    "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
	struct archive_entry *a;
	struct stat st;

	(void)state;
	add("./", AE_IFDIR, "");
	add("./keep", AE_IFREG, "keep");
	add("./gone", AE_IFREG, "gone");
	add("./dir/deep/er", AE_IFREG, "x");
	add("./empty/a/b", AE_IFREG, "x");
	add("./empty/c", AE_IFREG, "x");
	add("./file", AE_IFREG, "x");
	add("./full/of/things", AE_IFREG, "x");
	add("./full2/of/things", AE_IFREG, "x");
	add("./link", AE_IFLNK, "dir");
	a = entry("./prog", AE_IFREG, "prog");
	archive_entry_set_perm(a, 04755);
	archive_entry_set_uid(a, 12);
	archive_entry_xattr_add_entry(a, "security.capability", cap, 20);
	put(a, "prog");
	end();
	compress = archive_write_add_filter_gzip;
	layer_media = LAYER "+gzip";
	add("./new", AE_IFREG, "new");
	add("./.wh.gone", AE_IFREG, "");
	add("./dir/.wh.deep", AE_IFREG, "");
	add("./empty/new", AE_IFREG, "new");
	add("./empty/.wh..wh..opq", AE_IFREG, "");
	add("./file", AE_IFDIR, "");
	add("./file/in", AE_IFREG, "in");
	add("./full", AE_IFREG, "no longer");
	add("./full2", AE_IFLNK, "keep");
	add("./link", AE_IFDIR, "");
	add("./.wh.never-was", AE_IFREG, "");
	add("./never/.wh.was", AE_IFREG, "");
	add("./keep/.wh.below-a-file", AE_IFREG, "");
	add("./nor/.wh..wh..opq", AE_IFREG, "");
	end();
	compress = archive_write_add_filter_zstd;
	layer_media = LAYER "+zstd";
	add_hardlink("./again", "./prog");
	add("./new", AE_IFREG, "newer");
	add("./link", AE_IFLNK, "keep");
	works();
	text_is("keep", "keep");
	assert_true(gone("gone") && gone("dir/deep") && gone("empty/a") && gone("empty/c"));
	assert_true(is("dir", S_IFDIR));
	text_is("empty/new", "new");
	text_is("file/in", "in");
	text_is("full", "no longer");
	assert_true(is("full2", S_IFLNK) && is("link", S_IFLNK));
	text_is("new", "newer");
	assert_true(gone(".wh.gone") && gone("never") && gone("nor") && gone("empty/.wh..wh..opq"));
	assert_int_equal(fstatat(in_fd, "again", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(strlen(result.digest), 64);
	assert_null(result.tag);
}

/* The same, written the other way round; and what a layer has itself stays. */
static void
whiteouts_in_any_order(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		fresh();
		add("d/low", AE_IFREG, "low");
		add("d/sub/low", AE_IFREG, "low");
		add("d/x", AE_IFREG, "low");
		add("o/low", AE_IFREG, "low");
		add("l", AE_IFLNK, "d");
		end();
		if (order == 0) {
			add("d/.wh.x", AE_IFREG, "");
			add("d/.wh.sub", AE_IFREG, "");
			add("o/.wh..wh..opq", AE_IFREG, "");
			add("l/.wh.y", AE_IFREG, "");
		}
		if (order == 1)
			add("l/in", AE_IFREG, "in");
		add("l", AE_IFDIR, "");
		if (order == 0)
			add("l/in", AE_IFREG, "in");
		add("d/x", AE_IFREG, "own");
		add("d/sub/own", AE_IFREG, "own");
		add("o/own", AE_IFREG, "own");
		add("o/sub/own", AE_IFREG, "own");
		if (order == 1) {
			add("d/.wh.x", AE_IFREG, "");
			add("d/.wh.sub", AE_IFREG, "");
			add("o/.wh..wh..opq", AE_IFREG, "");
			add("l/.wh.y", AE_IFREG, "");
		}
		works();
		text_is("d/x", "own");
		text_is("d/low", "low");
		text_is("d/sub/own", "own");
		text_is("o/own", "own");
		text_is("o/sub/own", "own");
		text_is("l/in", "in");
		assert_true(gone("d/sub/low") && gone("o/low"));
	}
}

static void
opaque_top(void **state)
{
	(void)state;
	add("a/b", AE_IFREG, "x");
	add("c", AE_IFREG, "x");
	end();
	add(".wh..wh..opq", AE_IFREG, "");
	add("d", AE_IFREG, "d");
	works();
	assert_true(gone("a") && gone("c"));
	text_is("d", "d");
}

/* In the first layer there is nothing below; a layer may be empty; one may come twice. */
static void
plain_layers(void **state)
{
	_auto_free char *both = NULL;

	(void)state;
	add("a", AE_IFREG, "a");
	add(".wh.a", AE_IFREG, "");
	end();
	both = xstrdup(layers.s);
	end();
	compress = archive_write_add_filter_gzip;
	layer_media = "application/vnd.docker.image.rootfs.diff.tar.gzip";
	end();
	buf_addf(&layers, ", %s", both);
	works();
	text_is("a", "a");
}

static void
directories_again(void **state)
{
	struct archive_entry *a = entry("d", AE_IFDIR, "");
	char value[64];
	struct stat st;
	int fd;

	(void)state;
	archive_entry_xattr_add_entry(a, "user.x", "y", 1);
	archive_entry_acl_add_entry(a, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_USER, 5, "five");
	archive_entry_acl_add_entry(a, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_MASK, -1, NULL);
	put(a, "");
	add("d/f", AE_IFREG, "f");
	image();
	assert_int_equal(run_again(), 0);
	fd = openat(in_fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fgetxattr(fd, "user.x", value, sizeof(value)) != 1 && errno != ENOTSUP)
		fail_msg("user.x is missing");
	fd_close(fd);
	/* a second layer says it anew */
	fresh();
	a = entry("d", AE_IFDIR, "");
	archive_entry_xattr_add_entry(a, "user.x", "y", 1);
	archive_entry_acl_add_entry(a, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_USER, 5, "five");
	archive_entry_acl_add_entry(a, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_MASK, -1, NULL);
	put(a, "");
	add("d/f", AE_IFREG, "f");
	end();
	a = entry("d", AE_IFDIR, "");
	archive_entry_set_perm(a, 0700);
	archive_entry_set_mtime(a, 1100000000, 0);
	put(a, "");
	add("d/g", AE_IFREG, "g");
	works();
	text_is("d/f", "f");
	assert_int_equal(fstatat(in_fd, "d", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_mtime, 1100000000);
	fd = openat(in_fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flistxattr(fd, value, sizeof(value)), 0);
	fd_close(fd);
}

static void
hardlinks_between_layers(void **state)
{
	struct stat st;

	(void)state;
	add("a", AE_IFREG, "old");
	end();
	add_hardlink("b", "a");
	end();
	add("a", AE_IFREG, "new"); /* another file: the other name keeps the old one */
	works();
	text_is("a", "new");
	text_is("b", "old");
	assert_int_equal(fstatat(in_fd, "b", &st, 0), 0);
	assert_int_equal(st.st_nlink, 1);
	fresh();
	add("d/a", AE_IFREG, "x");
	end();
	add(".wh.d", AE_IFREG, "");
	add_hardlink("b", "d/a");
	refused("hard link to 'd/a', which is not in the archive before it");
}

/* ---- which image ---- */

static void
one_of(const char *text, const char *more)
{
	add("which", AE_IFREG, text);
	end();
	manifest(more);
}

#define TAG(t) ", \"annotations\": {\"org.opencontainers.image.ref.name\": \"" t "\"}"
#define PLATFORM(os, arch, more) \
	", \"platform\": {\"os\": \"" os "\", \"architecture\": \"" arch "\"" more "}"

static void
tags(void **state)
{
	(void)state;
	one_of("one", TAG("one"));
	one_of("two", TAG("library/two:2.0"));
	one_of("none", "");
	index_json();
	says(run_again(), "index.json: has 3 images: say which by its tag, oci:DIR:TAG (its tags: 'one', "
			  "'library/two:2.0')");
	want.tag = "library/two:2.0";
	assert_int_equal(run_again(), 0);
	text_is("which", "two");
	assert_string_equal(result.tag, "library/two:2.0");
	want.tag = "on";
	says(run_again(), "index.json: there is no image with the tag 'on' (its tags: 'one', ");
	/* the only one needs no tag, and keeps its own */
	fresh();
	want.tag = NULL;
	one_of("only", TAG("its"));
	index_json();
	assert_int_equal(run_again(), 0);
	text_is("which", "only");
	assert_string_equal(result.tag, "its");
	/* two of one name */
	one_of("again", TAG("its"));
	index_json();
	want.tag = "its";
	says(run_again(), "index.json: has no image for this machine (linux/amd64)");
}

static void
many_tags(void **state)
{
	_auto_free char *text = NULL;

	(void)state;
	one_of("x", TAG("t\\u001b[31m\\n"));
	for (int i = 0; i < 20; i++) {
		_auto_free char *more = xasprintf(TAG("t%d"), i);

		one_of("x", more);
	}
	index_json();
	says(run_again(), "(its tags: 't\\x1b[31m\\x0a', 't0', 't1', 't2', 't3', 't4', 't5', 't6', 't7', "
			  "'t8' and 11 more)");
}

/* The manifests that are done become an index, which is the only thing of the next one. */
static void
nest(const char *media, const char *more)
{
	_auto_free char *text = xasprintf("{\"schemaVersion\": 2, \"manifests\": [%s]}", manifests.s);
	_auto_free char *hex = blob(text, strlen(text));

	manifests.len = 0;
	describe(&manifests, media, hex, strlen(text), more);
}

static void
platforms(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		fresh();
		one_of("windows", PLATFORM("windows", "amd64", ""));
		one_of("s390x", PLATFORM("linux", "s390x", ""));
		one_of("none", "");
		one_of("amd64", PLATFORM("linux", "amd64", ""));
		one_of("second", PLATFORM("linux", "amd64", ", \"variant\": \"v2\""));
		one_of("unknown", PLATFORM("unknown", "unknown", ""));
		nest(i ? "application/vnd.docker.distribution.manifest.list.v2+json" : INDEX, TAG("t"));
		index_json();
		want.tag = i ? "t" : NULL;
		if (run_again() < 0)
			fail_msg("%s", e.msg);
		text_is("which", "amd64");
		assert_string_equal(result.tag, "t");
	}
	want.host = (struct image_platform){"linux", "riscv64", 0};
	says(run_again(), "has no image for this machine (linux/riscv64)");
	/* of arm a newer one does not run; an older one does */
	fresh();
	want.tag = NULL;
	free(config);
	config = xstrdup("{}");
	one_of("v7", PLATFORM("linux", "arm", ", \"variant\": \"v7\""));
	one_of("v6", PLATFORM("linux", "arm", ", \"variant\": \"v6\""));
	index_json();
	want.host = (struct image_platform){"linux", "arm", 6};
	assert_int_equal(run_again(), 0);
	text_is("which", "v6");
	want.host.variant = 8;
	assert_int_equal(run_again(), 0);
	text_is("which", "v7");
}

static void
another_machine(void **state)
{
	(void)state;
	free(config);
	config = xstrdup("{\"architecture\": \"arm64\", \"os\": \"linux\"}");
	add("f", AE_IFREG, "x");
	refused("the image is for linux/arm64, this machine is linux/amd64");
	assert_true(gone("f"));
	fresh();
	free(config);
	config = xstrdup("{\"architecture\": \"amd64\", \"os\": \"freebsd\"}");
	add("f", AE_IFREG, "x");
	refused("the image is for freebsd/amd64, ");
	want.host = (struct image_platform){"freebsd", "amd64", 0};
	assert_int_equal(run_again(), 0);
}

static void
this_machine(void **state)
{
	struct image_platform p;

	(void)state;
	assert_int_equal(image_platform(&p, &e), 0);
	assert_true(streq(p.os, "linux") || streq(p.os, "freebsd"));
	assert_string_not_equal(p.arch, "");
	assert_string_not_equal(p.arch, "x86_64");
}

static void
nested_too_deep(void **state)
{
	(void)state;
	for (int depth = 4; depth <= 5; depth++) {
		fresh();
		one_of("x", "");
		for (int i = 0; i < depth; i++)
			nest(INDEX, "");
		index_json();
		if (depth == 4) {
			assert_int_equal(run_again(), 0);
			text_is("which", "x");
		} else {
			says(run_again(), "more than 4 indexes in one another");
		}
	}
}

/* ---- JSON ---- */

/* index.json, a manifest and the layout, each with one thing in it spoilt. */
static const struct spoilt {
	char in; /* 'i' index.json, 'm' the manifest, 'l' oci-layout, 'c' config */
	const char *from, *to, *why;
} spoilt[] = {
    {'l', "1.0.0", "2.0.0", "oci-layout: version '2.0.0' is not 1.0.0"},
    {'l', "\"1.0.0\"", "1", "oci-layout: imageLayoutVersion is not a string"},
    {'l', "imageLayoutVersion", "x", "oci-layout: imageLayoutVersion is missing"},
    {'l', "{\"imageLayoutVersion\": \"1.0.0\"}", "[]", "oci-layout: is not a JSON object"},
    {'l', "{\"imageLayoutVersion\": \"1.0.0\"}", "", "oci-layout:1: "},
    {'l', "}", "} x", "oci-layout:1: end of file expected"},
    {'i', "\"schemaVersion\": 2", "\"schemaVersion\": 1", "index.json: schemaVersion is not 2"},
    {'i', "\"schemaVersion\": 2", "\"schemaVersion\": 2.0", "index.json: schemaVersion is not 2"},
    {'i', "\"schemaVersion\": 2, ", "", "index.json: schemaVersion is not 2"},
    {'i', "\"schemaVersion\": 2", "\"schemaVersion\": 2, \"schemaVersion\": 2",
     "index.json:1: duplicate object"},
    {'i', "\"schemaVersion\": 2", "\"schemaVersion\": 2, \"layers\": []",
     "has members of an index and of a manifest"},
    {'i', "\"schemaVersion\": 2", "\"schemaVersion\": 2, \"mediaType\": \"" MANIFEST "\"",
     "index.json: its mediaType is not that of an index"},
    {'i', "\"schemaVersion\": 2", "\"schemaVersion\": 2, \"mediaType\": 7",
     "index.json: mediaType is not a string"},
    {'i', "\"manifests\": [", "\"manifest\": [", "index.json: manifests is missing"},
    {'i', "\"manifests\": [", "\"manifests\": [7, ", "index.json: manifests[0]: is not an object"},
    {'i', "\"manifests\": [", "\"manifests\": 7, \"x\": [", "index.json: manifests is not an array"},
    {'i', "\"manifests\": [", "\"manifests\": [], \"x\": [", "index.json: has no manifests"},
    {'i', "sha256:", "sha256:../../../../etc/", "manifests[0]: digest 'sha256:../../../../etc/"},
    {'i', "sha256:", "sha256:0", "is not 'sha256:' and 64 hexadecimal digits"},
    {'i', "sha256:", "SHA256:", "only sha256 is supported"},
    {'i', "sha256:", "sha512:", "only sha256 is supported"},
    {'i', "sha256:", "", "is not 'sha256:' and 64 hexadecimal digits"},
    {'i', "\"digest\"", "\"Digest\"", "manifests[0]: digest is missing"},
    {'i', "\"digest\": \"", "\"digest\": 7, \"x\": \"", "manifests[0]: digest is not a string"},
    {'i', "\"digest\": \"", "\"digest\": \"sha256:\\u001b[2J\\n\", \"x\": \"",
     "digest 'sha256:\\x1b[2J\\x0a' is not"},
    {'i', "\"digest\": \"sha256:",
     "\"digest\": \"sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\", \"x\": \"",
     "hexadecimal digits in lower case"},
    {'i', "\"size\": ", "\"size\": -", "manifests[0]: size is negative"},
    {'i', "\"size\": ", "\"size\": 0.5, \"x\": ", "manifests[0]: size is not an integer"},
    {'i', "\"size\": ", "\"size\": 99999999999999999999999", "too big integer"},
    {'i', "\"size\": ", "\"size\": 9000000000000000000, \"x\": ", "more than 4 MiB"},
    {'i', "\"size\": ", "\"size\": \"7\", \"x\": ", "manifests[0]: size is not an integer"},
    {'i', "\"size\": ", "\"size\": 1", " bytes, its descriptor says 1"},
    {'i', "\"size\": ", "\"length\": ", "manifests[0]: size is missing"},
    {'i', "\"size\": ", "\"annotations\": 7, \"size\": ", "manifests[0]: annotations is not an object"},
    {'i', "\"size\": ", "\"annotations\": {\"org.opencontainers.image.ref.name\": {}}, \"size\": ",
     "org.opencontainers.image.ref.name is not a string"},
    {'i', "\"size\": ", "\"urls\": 7, \"size\": ", "manifests[0]: urls is not an array"},
    {'i', "\"size\": ", "\"platform\": [], \"size\": ", "manifests[0]: platform is not an object"},
    {'i', "\"mediaType\"", "\"type\"", "manifests[0]: mediaType is missing"},
    {'i', MANIFEST, "application/vnd.docker.distribution.manifest.v1+json",
     "index.json: mediaType 'application/vnd.docker.distribution.manifest.v1+json' is not an image's"},
    {'i', MANIFEST, LAYER, "index.json: mediaType '" LAYER "' is not an image's"},
    {'i', MANIFEST, INDEX, "has members of an index and of a manifest"},
    {'i', MANIFEST, "a\\u0000b", "NUL"},
    {'i', MANIFEST, "\xff\xfe", "unable to decode byte 0xff"},
    {'m', "\"schemaVersion\": 2", "\"schemaVersion\": 3", ": schemaVersion is not 2"},
    {'m', "\"schemaVersion\": 2", "\"schemaVersion\": 2, \"manifests\": []",
     "has members of an index and of a manifest"},
    {'m', "\"schemaVersion\": 2", "\"schemaVersion\": 2, \"mediaType\": \"" INDEX "\"",
     ": its mediaType is not that of its descriptor"},
    {'m', "\"config\"", "\"configuration\"", ": config: is not an object"},
    {'m', CONFIG, "application/vnd.cncf.helm.config.v1+json",
     "config: mediaType 'application/vnd.cncf.helm.config.v1+json' is not an image's"},
    {'m', "\"layers\": [", "\"layers\": [], \"x\": [", ": has no layers"},
    {'m', "\"layers\": [", "\"layer\": [", ": layers is missing"},
    {'m', LAYER "\"", LAYER "+xz\"", "layers[0]: mediaType '" LAYER "+xz' is not a layer's"},
    {'m', LAYER "\"", LAYER "+gzip+encrypted\"", "layers[0]: mediaType '" LAYER "+gzip+encrypted' is not"},
    {'m', LAYER "\"", CONFIG "\"", "layers[0]: mediaType '" CONFIG "' is not a layer's"},
    {'m', LAYER "\"", "application/vnd.oci.image.layer.nondistributable.v1.tar\"",
     "layers[0]: its content is not in the layout"},
    {'m', LAYER "\"", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\"",
     "brig fetches nothing"},
    {'m', LAYER "\"", LAYER "\", \"urls\": [\"http://127.0.0.1/x\"]", "layers[0]: its content is not in the layout"},
    {'m', LAYER "\"", LAYER "+gzip\"", "is not compressed as its media type says"},
    {'m', LAYER "\"", LAYER "+zstd\"", "is not compressed as its media type says"},
    {'c', "\"amd64\"", "7", "architecture is not a string"},
    {'c', "{", "[", "blobs/sha256/"},
    {'c', "{", "{\"os\": \"linux\", ", "duplicate object key"},
};

static char *
spoil(const char *text, char in, const struct spoilt *s)
{
	const char *at = strstr(text, s->from);

	if (in != s->in)
		return xstrdup(text);
	assert_non_null(at);
	return xasprintf("%.*s%s%s", (int)(at - text), text, s->to, at + strlen(s->from));
}

/* The layout with s in it; the digests are right. */
static void
write_spoilt(const struct spoilt *s)
{
	_auto_free char *conf = spoil("{\"architecture\": \"amd64\", \"os\": \"linux\"}", 'c', s);
	_auto_free char *hex = blob(conf, strlen(conf)), *plain = NULL, *text = NULL, *own = NULL;
	_auto_free char *layout = spoil("{\"imageLayoutVersion\": \"1.0.0\"}", 'l', s);
	_auto_free char *index = NULL, *whole = NULL;
	_auto_buf struct buf c = BUF_INIT;

	describe(&c, CONFIG, hex, strlen(conf), "");
	plain = xasprintf("{\"schemaVersion\": 2, \"config\": %s, \"layers\": [%s]}", c.s, layers.s);
	text = spoil(plain, 'm', s);
	own = blob(text, strlen(text));
	manifests.len = 0;
	describe(&manifests, MANIFEST, own, strlen(text), "");
	whole = xasprintf("{\"schemaVersion\": 2, \"manifests\": [%s]}", manifests.s);
	index = spoil(whole, 'i', s);
	file("oci-layout", layout, strlen(layout));
	file("index.json", index, strlen(index));
}

static void
json(void **state)
{
	static const struct spoilt nothing = {'-', "", "", ""};

	(void)state;
	add("f", AE_IFREG, "f");
	end();
	write_spoilt(&nothing);
	if (run_again() < 0)
		fail_msg("%s", e.msg);
	text_is("f", "f");
	for (size_t i = 0; i < ARRAY_LEN(spoilt); i++) {
		_auto_free char *keep = xstrdup(layers.s);

		fresh();
		buf_adds(&layers, keep);
		write_spoilt(&spoilt[i]);
		print_message("# %s\n", spoilt[i].why);
		says(run_again(), spoilt[i].why);
		assert_true(gone("f"));
	}
}

static void
json_bombs(void **state)
{
	_auto_buf struct buf b = BUF_INIT;

	(void)state;
	add("f", AE_IFREG, "f");
	end();
	manifest("");
	index_json();
	/* 10^5 manifests; then as many as may be, and one more */
	buf_adds(&b, "{\"schemaVersion\": 2, \"manifests\": [7");
	for (int i = 1; i < 100000; i++)
		buf_adds(&b, ",7");
	buf_adds(&b, "]}");
	file("index.json", b.s, b.len);
	says(run_again(), "index.json: has more than 4096 manifests");
	/* too large, though only blanks */
	b.len = 0;
	buf_addf(&b, "{\"schemaVersion\": 2, \"manifests\": [%s]}", manifests.s);
	while (b.len <= IMAGE_JSON)
		buf_addf(&b, "%1024s", "");
	file("index.json", b.s, IMAGE_JSON + 1);
	says(run_again(), "index.json: larger than 4 MiB");
	file("index.json", b.s, IMAGE_JSON);
	assert_int_equal(run_again(), 0); /* it was the size alone */
	/* deep */
	b.len = 0;
	for (int i = 0; i < 1 << 20; i++)
		buf_adds(&b, "[");
	file("index.json", b.s, b.len);
	says(run_again(), "index.json:1: maximum parsing depth reached");
	/* wide: every value costs memory */
	b.len = 0;
	buf_adds(&b, "{\"schemaVersion\": 2, \"x\": [{}");
	while (b.len < IMAGE_JSON - 100)
		buf_adds(&b, ",{}");
	buf_adds(&b, "]}");
	file("index.json", b.s, b.len);
	says(run_again(), "index.json: manifests is missing");
}

static void
layer_bombs(void **state)
{
	(void)state;
	add("f", AE_IFREG, "f");
	end();
	{
		_auto_free char *one = xstrdup(layers.s);

		for (int i = 1; i < 1001; i++)
			buf_addf(&layers, ", %s", one);
		manifest("");
		index_json();
		says(run_again(), ": has more than 1000 layers");
	}
}

/* ---- digests ---- */

static char *
only_layer(void)
{
	const char *at = strstr(layers.s, "sha256:");

	return xasprintf("blobs/sha256/%.64s", at + strlen("sha256:"));
}

static void
layer_of_other_content(void **state)
{
	_auto_free char *name = NULL, *text = NULL;
	size_t len;

	(void)state;
	add("f", AE_IFREG, "right");
	end();
	name = only_layer();
	manifest("");
	index_json();
	assert_int_equal(run_again(), 0);
	text_is("f", "right");
	fresh();
	assert_int_equal(fsx_read_at(lay_fd, name, 1 << 20, &text, &len, &e), 0);
	memcpy(memmem(text, len, "right", 5), "wrong", 5);
	file(name, text, len);
	says(run_again(), "has another content: its digest is sha256:");
	assert_true(gone("f")); /* nothing of it was read as an archive */
	file(name, text, len - 1);
	says(run_again(), " bytes, its descriptor says ");
	assert_true(gone("f"));
	assert_int_equal(unlinkat(lay_fd, name, 0), 0);
	says(run_again(), "No such file or directory");
}

static void
manifest_of_other_content(void **state)
{
	_auto_free char *text = NULL, *name = NULL;
	size_t len;

	(void)state;
	add("f", AE_IFREG, "f");
	end();
	manifest("");
	index_json();
	name = xasprintf("blobs/sha256/%.64s", strstr(manifests.s, "sha256:") + 7);
	assert_int_equal(fsx_read_at(lay_fd, name, 1 << 20, &text, &len, &e), 0);
	assert_int_equal(run_again(), 0);
	text[len - 1] = ' ';
	file(name, text, len); /* no longer JSON; but that is not what is said */
	says(run_again(), "has another content");
}

/* The file changes after it was verified: what was not verified never gets to the archive's reader. */
static void
changed_while_read(void **state)
{
	struct import im = {.limits = &limits, .top = in_fd};
	_auto_(blob_free) struct blob b = BLOB_INIT;
	_auto_free char *name = NULL, *text = NULL;
	_auto_close int fd = -EBADF;
	char hex[65];
	size_t len;

	(void)state;
	add("f", AE_IFREG, "right");
	end();
	name = only_layer();
	assert_int_equal(fsx_read_at(lay_fd, name, 1 << 20, &text, &len, &e), 0);
	(void)snprintf(hex, sizeof(hex), "%s", name + strlen("blobs/sha256/"));
	fd = openat(lay_fd, name, O_RDWR | O_CLOEXEC);
	if (blob_check(&b, openat(lay_fd, name, O_RDONLY | O_CLOEXEC), len, hex, &e) < 0)
		fail_msg("%s", e.msg);
	memcpy(memmem(text, len, "right", 5), "wrong", 5);
	assert_int_equal(pwrite(fd, text, len, 0), len);
	says(layer_apply(&im, &b, LAYER_TAR, true, &e), "was changed while it was read");
	assert_true(gone("f"));
	/* the same bytes read by somebody who has checked before are the wrong ones */
	{
		struct archive *a = archive_read_new();
		struct archive_entry *one;
		char got[5];

		(void)archive_read_support_format_tar(a);
		assert_int_equal(lseek(b.fd, 0, SEEK_SET), 0);
		assert_int_equal(archive_read_open_fd(a, b.fd, 65536), ARCHIVE_OK);
		assert_int_equal(archive_read_next_header(a, &one), ARCHIVE_OK);
		assert_int_equal(archive_read_data(a, got, 5), 5);
		assert_memory_equal(got, "wrong", 5);
		(void)archive_read_free(a);
	}
	memcpy(memmem(text, len, "wrong", 5), "right", 5);
	assert_int_equal(pwrite(fd, text, len, 0), len);
	assert_int_equal(layer_apply(&im, &b, LAYER_TAR, true, &e), 0);
	text_is("f", "right");
	/* shorter */
	assert_int_equal(ftruncate(fd, (off_t)len - 512), 0);
	says(layer_apply(&im, &b, LAYER_TAR, true, &e), "became shorter while it was read");
	import_free(&im);
}

/* Each chunk is compared by itself: the first is right, the second is not. */
static void
changed_late(void **state)
{
	const size_t len = (3 << 20) + 5;
	_auto_free char *data = xcalloc(len, 1);
	_auto_(blob_free) struct blob b = BLOB_INIT;
	_auto_free char *hex = NULL, *name = NULL;
	_auto_close int fd = -EBADF;
	const void *p;

	(void)state;
	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 7 + i / 1000);
	hex = blob(data, len);
	name = xasprintf("blobs/sha256/%s", hex);
	assert_int_equal(blob_check(&b, openat(lay_fd, name, O_RDONLY | O_CLOEXEC), len, hex, &e), 0);
	for (int i = 0; i < 2; i++) { /* twice: as for a layer */
		size_t at = 0;
		ssize_t n;

		blob_rewind(&b);
		while ((n = blob_next(&b, &p, &e)) > 0) {
			assert_memory_equal(p, data + at, n);
			at += (size_t)n;
		}
		assert_int_equal(n, 0);
		assert_int_equal(at, len);
	}
	fd = openat(lay_fd, name, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, (2 << 20) + 7), 1);
	blob_rewind(&b);
	assert_int_equal(blob_next(&b, &p, &e), 1 << 20);
	assert_int_equal(blob_next(&b, &p, &e), 1 << 20);
	assert_true(blob_next(&b, &p, &e) < 0);
	assert_string_equal(e.msg, "was changed while it was read");
}

/* Sizes around a chunk's. */
static void
blob_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 2 << 20};
	_auto_free char *data = xcalloc(2 << 20, 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		_auto_(blob_free) struct blob b = BLOB_INIT;
		_auto_free char *hex = blob(data, sizes[i]);
		_auto_free char *name = xasprintf("blobs/sha256/%s", hex), *text = NULL;
		_auto_close int fd = openat(lay_fd, name, O_RDONLY | O_CLOEXEC);
		size_t got = 0;
		const void *p;
		ssize_t n;

		assert_int_equal(
		    blob_check(&b, openat(lay_fd, name, O_RDONLY | O_CLOEXEC), sizes[i], hex, &e), 0);
		blob_rewind(&b);
		while ((n = blob_next(&b, &p, &e)) > 0)
			got += (size_t)n;
		assert_int_equal(n, 0);
		assert_int_equal(got, sizes[i]);
		assert_int_equal(blob_text(fd, sizes[i], hex, &text, &e), 0);
		assert_true(blob_text(fd, sizes[i] + 1, hex, &text, &e) < 0);
	}
}

/* ---- the layout's own files ---- */

static void
layout_kinds(void **state)
{
	_auto_free char *layer = NULL;

	(void)state;
	add("f", AE_IFREG, "f");
	end();
	layer = only_layer();
	manifest("");
	index_json();
	{
		const char *const names[] = {"oci-layout", "index.json", layer};

		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			assert_int_equal(run_again(), 0);
			/* a link to the very same file */
			assert_int_equal(renameat(lay_fd, names[i], top_fd, "aside"), 0);
			assert_int_equal(symlinkat(i == 2 ? "../../../aside" : "../aside", lay_fd, names[i]),
					 0);
			assert_int_equal(faccessat(lay_fd, names[i], R_OK, 0), 0);
			says(run_again(), "is a link or leads through one");
			assert_int_equal(unlinkat(lay_fd, names[i], 0), 0);
			/* one that nobody writes to: opening it would wait for ever */
			assert_int_equal(mkfifoat(lay_fd, names[i], 0644), 0);
			(void)alarm(20);
			says(run_again(), "is not a regular file");
			assert_int_equal(unlinkat(lay_fd, names[i], 0), 0);
			assert_int_equal(mkdirat(lay_fd, names[i], 0755), 0);
			says(run_again(), "is not a regular file");
			assert_int_equal(unlinkat(lay_fd, names[i], AT_REMOVEDIR), 0);
			if (mknodat(lay_fd, names[i], S_IFCHR | 0644, makedev(1, 5)) == 0) {
				says(run_again(), "is not a regular file");
				assert_int_equal(unlinkat(lay_fd, names[i], 0), 0);
			}
			(void)alarm(0);
			says(run_again(), names[i]);
			assert_int_equal(renameat(top_fd, "aside", lay_fd, names[i]), 0);
		}
	}
	assert_int_equal(run_again(), 0);
}

static void
layout_links(void **state)
{
	static const char *const names[] = {"blobs", "blobs/sha256"};

	(void)state;
	add("f", AE_IFREG, "f");
	image();
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(run_again(), 0);
		assert_int_equal(renameat(lay_fd, names[i], top_fd, "aside"), 0);
		assert_int_equal(symlinkat(i ? "../../aside" : "../aside", lay_fd, names[i]), 0);
		says(run_again(), "is a link or leads through one");
		assert_int_equal(unlinkat(lay_fd, names[i], 0), 0);
		assert_int_equal(mkfifoat(lay_fd, names[i], 0644), 0);
		says(run_again(), "Not a directory");
		assert_int_equal(unlinkat(lay_fd, names[i], 0), 0);
		assert_int_equal(renameat(top_fd, "aside", lay_fd, names[i]), 0);
	}
	assert_int_equal(run_again(), 0);
}

/* ---- hostile layers ---- */

static void
through_link(void **state)
{
	(void)state;
	add("x", AE_IFLNK, "../outside");
	end();
	add("x/evil", AE_IFREG, "x");
	refused("'x/evil' leads through the link 'x'");
	naive_is_fooled(NULL);
}

static void
whiteout_through_link(void **state)
{
	(void)state;
	add("x", AE_IFLNK, "../outside");
	end();
	add("x/.wh.f", AE_IFREG, "");
	refused("'x/.wh.f' leads through the link 'x'");
	naive_is_fooled("x/f");
}

static void
opaque_through_link(void **state)
{
	(void)state;
	add("x", AE_IFLNK, "../outside");
	end();
	add("x/.wh..wh..opq", AE_IFREG, "");
	refused("'x/.wh..wh..opq': its directory is a link");
	fresh();
	add("d/x", AE_IFLNK, "../../outside");
	end();
	add("d/x/y/.wh..wh..opq", AE_IFREG, "");
	refused("leads through the link 'd/x'");
	naive_is_fooled("d/x/f");
}

/* The link goes, not what it leads to; nor what is behind links in a directory that goes. */
static void
whiteout_of_link(void **state)
{
	(void)state;
	add("x", AE_IFLNK, "../outside");
	add("d/e/x", AE_IFLNK, "../../../outside");
	add("o/x", AE_IFLNK, "../../outside");
	add("r/x", AE_IFLNK, "../../outside");
	end();
	add(".wh.x", AE_IFREG, "");
	add(".wh.d", AE_IFREG, "");
	add("o/.wh..wh..opq", AE_IFREG, "");
	add("r", AE_IFREG, "file");
	works();
	assert_true(gone("x") && gone("d") && gone("o/x"));
	text_is("r", "file");
}

static void
directory_over_link(void **state)
{
	struct archive_entry *a = entry("x", AE_IFDIR, "");

	(void)state;
	add("x", AE_IFLNK, "../outside");
	end();
	archive_entry_set_perm(a, 0777);
	put(a, "");
	add("x/evil", AE_IFREG, "inside");
	add("x/.wh.f", AE_IFREG, "");
	works();
	assert_true(is("x", S_IFDIR));
	text_is("x/evil", "inside");
}

static void
whiteout_names(void **state)
{
	static const struct {
		const char *name, *why;
		mode_t type;
	} bad[] = {
	    {".wh.", "'.wh.': is not a whiteout of a name", AE_IFREG},
	    {".wh..", "'.wh..': is not a whiteout of a name", AE_IFREG},
	    {".wh...", "'.wh...': is not a whiteout of a name", AE_IFREG},
	    {"d/.wh...", "'d/.wh...': is not a whiteout of a name", AE_IFREG},
	    {".wh.../evil", "leads through the name of a whiteout", AE_IFREG},
	    {".wh.a/b", "'.wh.a/b': leads through the name of a whiteout", AE_IFREG},
	    {".wh..wh..opq/b", "leads through the name of a whiteout", AE_IFREG},
	    {".wh..wh.aufs", "is not a whiteout of a name", AE_IFREG},
	    {".wh..wh.", "is not a whiteout of a name", AE_IFREG},
	    {"../.wh.outside", "a name with '..'", AE_IFREG},
	    {"d/../../.wh.outside", "a name with '..'", AE_IFREG},
	    {"/.wh.tmp", "an absolute name", AE_IFREG},
	    {".wh.d", "has the name of a whiteout and is not a file", AE_IFDIR},
	    {".wh.d", "has the name of a whiteout and is not a file", AE_IFLNK},
	    {"d/.wh..wh..opq", "has the name of a whiteout and is not a file", AE_IFIFO},
	};

	(void)state;
	for (int low = 0; low < 2; low++)
		for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
			fresh();
			add("d/f", AE_IFREG, "f");
			if (low) /* in an upper layer, and in the lowest */
				end();
			add(bad[i].name, bad[i].type, bad[i].type == AE_IFLNK ? "t" : "");
			refused(bad[i].why);
			if (low)
				text_is("d/f", "f");
		}
	fresh();
	add("d/f", AE_IFREG, "f");
	end();
	add_hardlink(".wh.d", "d/f");
	refused("has the name of a whiteout and is not a file");
	/* names that only look like it */
	fresh();
	add(".whx", AE_IFREG, "f");
	add("a.wh.b", AE_IFREG, "f");
	end();
	add(".wh.a.wh.b", AE_IFREG, "content of a whiteout does not matter");
	works();
	assert_true(gone("a.wh.b") && is(".whx", S_IFREG));
}

/* Other ways to say it, which are not an image's. */
static void
overlay_forms(void **state)
{
	struct archive_entry *a = entry("d", AE_IFDIR, "");
	char list[256];
	int fd;

	(void)state;
	add("d/f", AE_IFREG, "f");
	end();
	archive_entry_xattr_add_entry(a, "user.overlay.opaque", "y", 1);
	archive_entry_xattr_add_entry(a, "trusted.overlay.opaque", "y", 1);
	archive_entry_xattr_add_entry(a, "user.other", "y", 1);
	put(a, "");
	works();
	text_is("d/f", "f");
	fd = openat(in_fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "user.overlay.opaque", list, sizeof(list)), -1);
	assert_int_equal(fgetxattr(fd, "trusted.overlay.opaque", list, sizeof(list)), -1);
	assert_true(fgetxattr(fd, "user.other", list, sizeof(list)) == 1 || errno == ENOTSUP);
	fd_close(fd);
	fresh();
	add("d/f", AE_IFREG, "f");
	end();
	add("d/f", AE_IFCHR, "");
	refused("'d/f' is a device node");
}

static void
as_an_archive(void **state)
{
	(void)state;
	add("d/f", AE_IFREG, "f");
	end();
	add("d/pipe", AE_IFIFO, "");
	refused("'d/pipe' is a FIFO: a template cannot have one");
	fresh();
	add("d/f", AE_IFREG, "f");
	end();
	add("../evil", AE_IFREG, "x");
	refused("'../evil': a name with '..'");
	naive_is_fooled(NULL);
}

static void
hardlinks_outside(void **state)
{
	(void)state;
	add("o", AE_IFLNK, "../outside");
	end();
	add_hardlink("x", "o/f");
	refused("not in the archive before it");
	fresh();
	add("f", AE_IFREG, "x");
	end();
	add_hardlink("x", "../outside/f");
	refused("a name with '..'");
	naive_is_fooled(NULL);
}

static void
other_formats(void **state)
{
	static const char text[] =
	    "not an archive, just text, more than a block of it would be needed to be one";
	char zeros[1024] = {0};

	(void)state;
	bytes_end(text, sizeof(text));
	refused("Unrecognized archive format");
	fresh();
	bytes_end("", 0);
	refused("Unrecognized archive format");
	/* a cpio archive is none of the types */
	out = archive_write_new();
	(void)archive_write_set_format_cpio_newc(out);
	assert_int_equal(archive_write_open_memory(out, layer_bytes, sizeof(layer_bytes), &layer_len),
			 ARCHIVE_OK);
	add("f", AE_IFREG, "f");
	fresh();
	refused("Unrecognized archive format");
	/* compressed twice; with what is not in the type */
	fresh();
	compress = archive_write_add_filter_gzip;
	layer_media = LAYER;
	add("f", AE_IFREG, "f");
	refused("Unrecognized archive format");
	fresh();
	out = archive_write_new();
	(void)archive_write_set_format_pax_restricted(out);
	(void)archive_write_add_filter_gzip(out);
	(void)archive_write_add_filter_gzip(out);
	assert_int_equal(archive_write_open_memory(out, layer_bytes, sizeof(layer_bytes), &layer_len),
			 ARCHIVE_OK);
	layer_media = LAYER "+gzip";
	add("f", AE_IFREG, "f");
	refused("is not compressed as its media type says");
	assert_true(gone("f"));
	/* the end of an archive and nothing else is an empty layer */
	fresh();
	layer_media = LAYER;
	bytes_end(zeros, sizeof(zeros));
	works();
}

static void
cut_short(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		fresh();
		compress = i == 0   ? archive_write_add_filter_none
			   : i == 1 ? archive_write_add_filter_gzip
				    : archive_write_add_filter_zstd;
		layer_media = i == 0 ? LAYER : i == 1 ? LAYER "+gzip" : LAYER "+zstd";
		for (int k = 0; k < 40; k++) {
			_auto_free char *name = xasprintf("f%d-%d", k, k * 7919);

			add(name, AE_IFREG, name);
		}
		end();
		layers.len = 0;
		bytes_end(layer_bytes, layer_len); /* whole: the control */
		works();
		fresh();
		bytes_end(layer_bytes, layer_len / 2 / 512 * 512 + 100);
		assert_true(run() < 0);
		assert_true(outside_clean());
	}
}

/* ---- totals of all layers ---- */

static void
add_zeros(size_t mib)
{
	_auto_free char *zeros = xcalloc(1, 1 << 20);
	struct archive_entry *a = entry("bomb", AE_IFREG, "");

	begin();
	archive_entry_set_size(a, (la_int64_t)(mib << 20));
	assert_int_equal(archive_write_header(out, a), ARCHIVE_OK);
	archive_entry_free(a);
	for (size_t i = 0; i < mib; i++)
		assert_int_equal(archive_write_data(out, zeros, 1 << 20), 1 << 20);
}

static void
bomb(void **state)
{
	struct stat st;

	(void)state;
	compress = archive_write_add_filter_gzip;
	layer_media = LAYER "+gzip";
	for (int i = 0; i < 3; i++) {
		add_zeros(6);
		end();
	}
	limits.unpacked = 8 << 20; /* two are more than that */
	refused("'bomb': the archive unpacks to more than 200 times its size");
	limits.unpacked = 32 << 20;
	assert_int_equal(run_again(), 0);
	/* in what is passed over when whiteouts are looked for, too: the second layer alone is too much */
	fresh();
	compress = archive_write_add_filter_none;
	layer_media = LAYER;
	add("f", AE_IFREG, "small");
	end();
	compress = archive_write_add_filter_zstd;
	layer_media = LAYER "+zstd";
	add_zeros(64);
	limits.unpacked = 8 << 20;
	refused("'bomb': the archive unpacks to more than 200 times its size");
	assert_int_equal(fstatat(in_fd, "bomb", &st, 0), -1); /* it never came to be written */
	text_is("f", "small");
}

static void
bounds(void **state)
{
	char text[4001] = {0};

	(void)state;
	memset(text, 'x', 4000); /* so that a layer itself is smaller than all files may be */
	for (const char *name = "abc"; *name; name++) {
		const char one[] = {*name, '\0'};

		add(one, AE_IFREG, text);
		end();
	}
	limits.entries = 3;
	limits.total = 12000;
	limits.names = 3;
	manifest("");
	index_json();
	if (run_again() < 0)
		fail_msg("%s", e.msg);
	limits.entries = 2;
	says(run_again(), "'c': more than 2 members");
	limits.entries = 3;
	limits.total = 11999;
	says(run_again(), "'c': the files are larger than 0 MiB together");
	limits.total = 12000;
	limits.names = 2;
	says(run_again(), "'c': the names are longer");
	limits.names = 3;
	limits.total = 4000;
	says(run_again(), ": larger than 0 MiB");
}

/* Frames by hand: RFC 8878, 3.1.1.  No content size, so that there is a window descriptor. */
static void
zstd_window(void **state)
{
	_auto_buf struct buf b = BUF_INIT;
	uint8_t head[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00};
	uint8_t block[3];

	(void)state;
	add("f", AE_IFREG, "f");
	end();
	layers.len = 0;
	layer_media = LAYER "+zstd";
	block[0] = (uint8_t)(layer_len << 3 | 1); /* raw, the last one */
	block[1] = (uint8_t)(layer_len >> 5);
	block[2] = (uint8_t)(layer_len >> 13);
	for (int exponent = 7; exponent < 32; exponent += 24) { /* 128 KiB, 2 TiB */
		fresh();
		b.len = 0;
		head[5] = (uint8_t)(exponent << 3);
		buf_add(&b, head, sizeof(head));
		buf_add(&b, block, sizeof(block));
		buf_add(&b, layer_bytes, layer_len);
		bytes_end(b.s, b.len);
		if (exponent == 7) {
			works();
			text_is("f", "f");
		} else {
			refused("too much memory");
		}
	}
}

/* A layer that replaces a deep directory, and one of many entries: no recursion, and everything goes. */
static void
replaced_depths(void **state)
{
	_auto_buf struct buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 126; i++)
		buf_adds(&b, "d/");
	buf_adds(&b, "f");
	add(b.s, AE_IFREG, "x");
	for (int i = 0; i < 500; i++) {
		_auto_free char *name = xasprintf("d/many%d/f", i);

		add(name, AE_IFREG, "x");
	}
	end();
	add("d", AE_IFREG, "file");
	works();
	text_is("d", "file");
}

/* A layer's own directory is not replaced by its own file: as in an archive. */
static void
own_directory(void **state)
{
	(void)state;
	add("f", AE_IFREG, "x");
	end();
	add("x/f", AE_IFREG, "x");
	add("x", AE_IFREG, "x");
	refused("'x': replace what an earlier entry put there");
}

/* ---- oci:DIR:TAG, and the request socket ---- */

static void
spec(void **state)
{
	static const struct {
		const char *spec, *dir, *tag;
	} good[] = {
	    {"/a/b", "/a/b", NULL},
	    {"a", "a", NULL},
	    {"/a:latest", "/a", "latest"},
	    {"/a:docker.io/library/x:1.2+y", "/a", "docker.io/library/x:1.2+y"},
	};
	static const char *const bad[] = {"",      ":x",       "/a:",     "/a:-x",  "/a:x y", "/a:../x",
					  "/a:\n", "/a:x\033", "/a:$(x)", "/a:x\\", "/a:=x"};
	_auto_free char *with_colon = xasprintf("%s/with:colon", top), *link = xasprintf("%s/link", top);
	_auto_free char *text = NULL, *lay = xasprintf("%s/./lay:t", top), *expect = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		_auto_free char *dir = NULL, *tag = NULL;

		assert_int_equal(oci_split(good[i].spec, &dir, &tag, &e), 0);
		assert_string_equal(dir, good[i].dir);
		assert_true(tag ? good[i].tag && streq(tag, good[i].tag) : !good[i].tag);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_auto_free char *dir = NULL, *tag = NULL;

		assert_int_equal(oci_split(bad[i], &dir, &tag, &e), -EINVAL);
		assert_null(strchr(e.msg, '\n'));
	}
	assert_int_equal(oci_resolve(lay, &text, &e), 0);
	expect = xasprintf("oci:%s/lay:t", top);
	assert_string_equal(text, expect);
	assert_int_equal(mkdir(with_colon, 0755), 0);
	assert_int_equal(symlink("with:colon", link), 0);
	free(text);
	text = NULL;
	says(oci_resolve(link, &text, &e), "the path has a colon");
	says(oci_resolve("/dev/null", &text, &e), "oci:/dev/null: is not a directory");
	says(oci_resolve("/nonexistent", &text, &e), "oci:/nonexistent: No such file");
}

/* What brig does with the messages of a program that somebody has taken over. */
static void
messages(void **state)
{
	static const char *const bad[] = {
	    "../../../../etc/passwd",
	    "/etc/passwd",
	    "blobs/sha256/..",
	    "blobs/sha256/",
	    "blobs/sha512/0000000000000000000000000000000000000000000000000000000000000000",
	    "blobs/sha256/000000000000000000000000000000000000000000000000000000000000000",
	    "blobs/sha256/000000000000000000000000000000000000000000000000000000000000000G",
	    "blobs/sha256/0000000000000000000000000000000000000000000000000000000000000000/",
	    "blobs/sha256/00000000000000000000000000000000000000000000000000000000000000000",
	    "blobs",
	    "index.json/",
	    "= ",
	    "= 00",
	    "= 00000000000000000000000000000000000000000000000000000000000000000",
	    "= 0000000000000000000000000000000000000000000000000000000000000000 ",
	    "=",
	    "",
	};
	struct serve s = {.layout_fd = lay_fd, .file_fd = -EBADF};
	struct err said;
	int pair[2], fd;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	s.sock = pair[0];
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char text[600] = {0};

		if (!*bad[i])
			memset(text, 'x', sizeof(text) - 1); /* longer than any */
		assert_true(send(pair[1], *bad[i] ? bad[i] : text, strlen(*bad[i] ? bad[i] : text), 0) > 0);
		assert_int_equal(serve_one(&s, &e), -EPROTO);
		assert_true(recv(pair[1], &said, sizeof(said), MSG_DONTWAIT) < 0);
	}
	assert_null(s.digest);
	/* what is a name is answered: with the file, or with why not */
	assert_int_equal(send(pair[1], "oci-layout", 10, 0), 10);
	assert_int_equal(serve_one(&s, &e), 0);
	file("index.json", "x", 1);
	assert_int_equal(send(pair[1], "index.json", 10, 0), 10);
	assert_int_equal(unlinkat(lay_fd, "index.json", 0), 0);
	assert_int_equal(serve_one(&s, &e), 0);
	assert_int_equal(recv(pair[1], &said, sizeof(said), MSG_DONTWAIT), sizeof(said));
	assert_int_equal(said.num, 0);
	assert_int_equal(recv(pair[1], &said, sizeof(said), MSG_DONTWAIT), sizeof(said));
	assert_int_equal(said.num, ENOENT);
	/* and the client of it gets a descriptor */
	{
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			struct err ce = ERR_INIT;
			char c;

			fd_close(pair[0]);
			fd = ask_open(pair[1], "oci-layout", &ce);
			_exit(fd >= 0 && read(fd, &c, 1) == 1 && c == '{' ? 0 : 1);
		}
		while (recv(s.sock, &(char){0}, 1, MSG_PEEK) < 0)
			;
		assert_int_equal(serve_one(&s, &e), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	/* the result once, made fit for a terminal */
	{
		_auto_free char *done = xasprintf("= %064d t\033[31m", 0);

		assert_true(send(pair[1], done, strlen(done), 0) > 0);
		assert_int_equal(serve_one(&s, &e), 0);
		assert_string_equal(s.tag, "t\\x1b[31m");
		assert_int_equal(strlen(s.digest), 7 + 64);
		assert_true(send(pair[1], done, strlen(done), 0) > 0);
		assert_int_equal(serve_one(&s, &e), -EPROTO);
	}
	/* without end */
	for (int i = 0; i < ASKED_MAX + 1; i++) {
		int r;

		assert_int_equal(send(pair[1], "index.json", 10, 0), 10);
		r = serve_one(&s, &e);
		(void)recv(pair[1], &said, sizeof(said), MSG_DONTWAIT);
		if (r < 0)
			break;
		assert_true(i < ASKED_MAX);
	}
	assert_string_equal(e.msg, "brig-import asked for a file that no image has");
	free(s.digest);
	free(s.tag);
	fd_close(s.file_fd);
	fd_close(pair[0]);
	fd_close(pair[1]);
}

static void
status_has(const char *status, const char *line)
{
	if (!strstr(status, line))
		fail_msg("'%s' is not in: %s", line, status);
}

/* The program waits for its first answer: what it has given up by then. */
static void
confined(void **state)
{
	_auto_free char *path = NULL, *status = NULL, *root = NULL, *net = NULL;
	char link[256] = {0}, name[32] = {0}, own[64] = {0}, theirs[64] = {0};
	int pair[2], report[2], n = 0, code, proc;
	struct err got;
	pid_t pid;

	(void)state;
	if (!import_program)
		skip();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char *const argv[] = {(char *)(uintptr_t)import_program, (char *)(uintptr_t) "image", NULL};
		char *const envp[] = {NULL};
		int a = fcntl(pair[1], F_DUPFD_CLOEXEC, 20), b = fcntl(report[1], F_DUPFD_CLOEXEC, 20);
		int c = fcntl(in_fd, F_DUPFD_CLOEXEC, 20), null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(null, 1);
		(void)dup2(null, 2);
		if (dup2(a, 0) < 0 || dup2(b, 3) < 0 || dup2(c, 4) < 0)
			_exit(9);
		closefrom(5);
		(void)execve(import_program, argv, envp);
		_exit(9);
	}
	fd_close(pair[1]);
	fd_close(report[1]);
	assert_int_equal(recv(pair[0], name, sizeof(name) - 1, 0), strlen("oci-layout"));
	assert_string_equal(name, "oci-layout");
	path = xasprintf("/proc/%d/status", pid);
	proc = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fsx_read_fd(proc, 1 << 20, &status, NULL), 0);
	fd_close(proc);
	status_has(status, "\nSeccomp:\t2\n");
	status_has(status, "\nNoNewPrivs:\t1\n");
	status_has(status, "\nCapEff:\t000000008000001b\n"); /* CHOWN DAC_OVERRIDE FOWNER FSETID SETFCAP */
	root = xasprintf("/proc/%d/root", pid);
	assert_true(readlink(root, link, sizeof(link) - 1) > 0);
	assert_true(str_after(link, top) != NULL);
	net = xasprintf("/proc/%d/ns/net", pid);
	assert_true(readlink(net, theirs, sizeof(theirs) - 1) > 0);
	assert_true(readlink("/proc/self/ns/net", own, sizeof(own) - 1) > 0);
	assert_string_not_equal(own, theirs);
	/* 0, 1, 2, 3 and the directory */
	{
		_auto_free char *fds = xasprintf("/proc/%d/fd", pid);
		_auto_closedir DIR *d = opendir(fds);

		for (struct dirent *de; (de = readdir(d));)
			n += *de->d_name != '.';
	}
	assert_int_equal(n, 5);
	/* an answer that is none ends it with a word */
	assert_int_equal(send(pair[0], "x", 1, 0), 1);
	assert_int_equal(err_recv(report[0], &got), 1);
	assert_string_equal(got.msg, "brig did not answer");
	assert_int_equal(waitpid(pid, &code, 0), pid);
	assert_int_equal(WEXITSTATUS(code), 1);
	fd_close(pair[0]);
	fd_close(report[0]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    T(three_layers),
	    T(whiteouts_in_any_order),
	    T(opaque_top),
	    T(plain_layers),
	    T(directories_again),
	    T(hardlinks_between_layers),
	    T(tags),
	    T(many_tags),
	    T(platforms),
	    T(another_machine),
	    T(this_machine),
	    T(nested_too_deep),
	    T(json),
	    T(json_bombs),
	    T(layer_bombs),
	    T(layer_of_other_content),
	    T(manifest_of_other_content),
	    T(changed_while_read),
	    T(changed_late),
	    T(blob_sizes),
	    T(layout_kinds),
	    T(layout_links),
	    T(through_link),
	    T(whiteout_through_link),
	    T(opaque_through_link),
	    T(whiteout_of_link),
	    T(directory_over_link),
	    T(whiteout_names),
	    T(overlay_forms),
	    T(as_an_archive),
	    T(hardlinks_outside),
	    T(other_formats),
	    T(cut_short),
	    T(bomb),
	    T(bounds),
	    T(zstd_window),
	    T(replaced_depths),
	    T(own_directory),
	    T(spec),
	    T(messages),
	    T(confined),
	};

	if (geteuid() != 0) /* owners are set */
		return 77;
	import_program = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
