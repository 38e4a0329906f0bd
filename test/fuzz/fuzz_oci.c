/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An image layout into a directory: whatever it holds, nothing beside that directory appears, goes or
 * changes, and no whiteout stays behind.
 *
 * The input is index.json and the blobs, with lines "--" between.  In those that begin with '{', @N is the
 * digest of the N-th blob and #N its size, where that blob comes later: so what is in a blob can change and
 * it still is found.  Checksums of tar headers are made right.
 */
#include "fuzz.h"

#include <sha256.h>

#include "import/image.h"
#include "store/template/oci.h"
#include "store/tree.h"
#include "tar.h"

#define PARTS 9

struct part {
	struct buf data;
	char hex[65];
};

static int lay = -EBADF;

static size_t
cut(const uint8_t *data, size_t size, struct part parts[PARTS])
{
	size_t n = 0;

	for (;;) {
		const uint8_t *end = n < PARTS - 1 && size ? memmem(data, size, "\n--\n", 4) : NULL;
		size_t len = end ? (size_t)(end - data) : size;

		buf_add(&parts[n].data, data, len);
		right_checksums((uint8_t *)parts[n].data.s, len);
		n++;
		if (!end)
			return n;
		data += len + 4;
		size -= len + 4;
	}
}

/* @N and #N of the later parts. */
static void
fill_in(struct part parts[PARTS], size_t i, size_t n)
{
	struct buf b = BUF_INIT, *d = &parts[i].data;

	if (d->len == 0 || *d->s != '{')
		return;
	for (size_t k = 0; k < d->len; k++) {
		size_t to = k + 1 < d->len ? (size_t)(d->s[k + 1] - '0') : 0;

		if ((d->s[k] != '@' && d->s[k] != '#') || to <= i || to >= n) {
			buf_addc(&b, d->s[k]);
			continue;
		}
		if (d->s[k] == '@')
			buf_adds(&b, parts[to].hex);
		else
			buf_addf(&b, "%zu", parts[to].data.len);
		k++;
	}
	buf_free(d);
	*d = b;
}

static void
write_layout(const uint8_t *data, size_t size)
{
	struct part parts[PARTS] = {0};
	size_t n = cut(data, size, parts);

	fuzz_file(lay, "oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}", 31);
	for (size_t i = n; i-- > 0;) {
		_auto_free char *name = NULL;

		fill_in(parts, i, n);
		(void)SHA256Data((const uint8_t *)parts[i].data.s, parts[i].data.len, parts[i].hex);
		name = i ? xasprintf("blobs/sha256/%s", parts[i].hex) : xstrdup("index.json");
		fuzz_file(lay, name, parts[i].data.s, parts[i].data.len);
	}
	for (size_t i = 0; i < n; i++)
		buf_free(&parts[i].data);
}

static void
make_places(int *ret_outside)
{
	struct err e = ERR_INIT;

	if (*ret_outside < 0) {
		*ret_outside = fuzz_subdir("outside");
		fuzz_file(*ret_outside, "f", "safe", 4);
	}
	must(fsx_rm_rf_at(fuzz_dir(), "lay", &e) == 0, "an old layout goes");
	fd_close(lay);
	lay = fuzz_subdir("lay");
	must(mkdirat(lay, "blobs", 0755) == 0 && mkdirat(lay, "blobs/sha256", 0755) == 0, "a layout");
}

static size_t
entries(int dir)
{
	_auto_closedir DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	size_t n = 0;

	must(d != NULL, "a directory");
	while (readdir(d))
		n++;
	return n;
}

static void
untouched(int outside)
{
	_auto_free char *text = NULL;
	struct err e = ERR_INIT;
	struct stat st;

	must(entries(fuzz_dir()) == 5, "in, lay, outside"); /* and "." and ".." */
	must(entries(outside) == 3, "outside has one file");
	must(fsx_read_at(outside, "f", 100, &text, NULL, &e) == 0 && streq(text, "safe"), "as it was");
	must(fstatat(outside, "f", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink == 1 && st.st_uid == 0 &&
		 (st.st_mode & 07777) == 0644,
	     "its owner, mode and names");
	must(fstat(outside, &st) == 0 && (st.st_mode & 07777) == 0755, "the directory's mode");
}

static int
no_whiteout(void *ctx _unused_, const struct tree_entry *t, struct err *e _unused_)
{
	must(!str_after(t->name, ".wh."), "a whiteout is not in the tree");
	return 0;
}

static int
open_member(void *ctx _unused_, const char *name, struct err *e)
{
	return oci_open(lay, name, e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int outside = -EBADF;
	const struct image_want want = {.host = {"linux", "amd64", 0}, .open = open_member};
	struct image_result result = {0};
	_auto_close int in = -EBADF;
	struct err e = ERR_INIT;

	make_places(&outside);
	write_layout(data, size);
	in = fuzz_subdir("in");
	if (image_run(&want, in, &import_limits, &result, &e) < 0) {
		must(e.num != 0 && *e.msg, "an error says what is wrong");
		must(!strpbrk(e.msg, "\n\033"), "an error is one line");
	} else {
		must(strlen(result.digest) == 64, "the digest of what was taken");
		must(tree_walk(in, no_whiteout, NULL, &e) == 0, "a tree");
		free(result.tag);
	}
	untouched(outside);
	must(fsx_rm_rf_at(fuzz_dir(), "in", &e) == 0, "what an image made can be removed");
	return 0;
}
