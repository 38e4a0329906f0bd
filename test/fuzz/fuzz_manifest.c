/* SPDX-License-Identifier: BSD-2-Clause */
/* The manifest, and vis(3)'s octal form: what is decoded and encoded again decodes to the same. */
#include "fuzz.h"

#include "store/template/manifest.h"
#include "store/tree.h"

static void
vis(const char *text)
{
	_auto_free char *s = xstrdup(text), *again = NULL;
	_auto_buf struct buf b = BUF_INIT;

	if (vis_decode(s) < 0)
		return;
	must(strlen(s) <= strlen(text), "decoding does not lengthen");
	buf_adds(&b, "");
	vis_add(&b, s);
	for (const char *p = b.s; *p; p++)
		must(*p > ' ' && *p <= '~' && *p != '#' && *p != '=', "visible, no separators");
	again = xstrdup(b.s);
	must(vis_decode(again) == 0 && streq(again, s), "there and back");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_auto_free char *text = fuzz_text(data, size);
	struct manifest m = {0};
	struct err e = ERR_INIT;

	vis(text);
	if (manifest_parse(xstrdup(text), &m, &e) < 0)
		return 0;
	for (size_t i = 0; i < m.n; i++) {
		const struct manifest_entry *t = &m.v[i];

		must(i == 0 || strcmp(m.v[i - 1].path, t->path) <= 0, "sorted");
		must(t->type != 0, "a type");
		must(!S_ISREG(t->type) || strlen(t->digest) == 64, "files have a digest");
		must(!S_ISLNK(t->type) || t->link, "links have a target");
	}
	manifest_free(&m);
	return 0;
}
