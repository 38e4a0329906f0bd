/* SPDX-License-Identifier: BSD-2-Clause */
#include "import/import_int.h"

/* The read callback of libarchive. */
static la_ssize_t
feed_read(struct archive *a, void *ctx, const void **ret)
{
	struct err e = ERR_INIT;
	ssize_t n = blob_next(ctx, ret, &e);

	if (n < 0) {
		archive_set_error(a, e.num, "%s", e.msg);
		return -1;
	}
	return n;
}

/* The one format and the one compression that the media type says. */
static struct archive *
layer_archive(enum layer_kind kind)
{
	struct archive *a = archive_read_new();

	if (!a)
		return NULL;
	(void)archive_read_support_format_tar(a);
	if (kind == LAYER_GZIP)
		(void)archive_read_support_filter_gzip(a);
	if (kind == LAYER_ZSTD)
		(void)archive_read_support_filter_zstd(a);
	return a;
}

/* The library would also read a plain tar, or one that was compressed twice. */
static int
check_filters(struct archive *a, enum layer_kind kind, struct err *e)
{
	static const int code[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_ZSTD};

	if (archive_filter_code(a, 0) == code[kind] && archive_filter_count(a) == (kind == LAYER_TAR ? 1 : 2))
		return 0;
	return err_set(e, EINVAL, "is not compressed as its media type says");
}

static int
read_layer(struct import *im, struct blob *b, enum layer_kind kind,
	   int (*work)(struct import *im, struct err *e), struct err *e)
{
	int r;

	blob_rewind(b);
	im->a = layer_archive(kind);
	if (!im->a)
		return err_sys(e, ENOMEM, "read a layer");
	if (archive_read_open(im->a, b, NULL, feed_read, NULL) != ARCHIVE_OK)
		r = import_broken(im, e);
	else
		r = check_filters(im->a, kind, e);
	if (r == 0)
		r = work(im, e);
	return r;
}

static void
end_layer(struct import *im)
{
	(void)archive_read_free(im->a);
	im->a = NULL;
}

int
layer_apply(struct import *im, struct blob *b, enum layer_kind kind, bool lowest, struct err *e)
{
	int r = 0;

	im->layers = true;
	if (!lowest) {
		r = read_layer(im, b, kind, whiteout_apply, e);
		end_layer(im);
	}
	if (r == 0) {
		r = read_layer(im, b, kind, import_entries, e);
		if (r == 0) {
			im->packed += (uint64_t)archive_filter_bytes(im->a, -1);
			im->unpacked += (uint64_t)archive_filter_bytes(im->a, 0);
		}
		end_layer(im);
	}
	return r;
}
