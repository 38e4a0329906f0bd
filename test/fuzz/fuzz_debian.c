/* SPDX-License-Identifier: BSD-2-Clause */
/* apt's lists: what is taken of them is taken whole when it is read again. */
#include "fuzz.h"

#include "store/template/build.h"

static int
apt_dir(void)
{
	static int dir = -EBADF;

	if (dir < 0) {
		dir = fuzz_subdir("apt");
		must(mkdirat(dir, "sources.list.d", 0755) == 0, "a directory");
	}
	return dir;
}

static void
read_lists(const char *list, size_t list_len, const char *sources, size_t sources_len, struct buf *ret_list,
	   struct buf *ret_sources)
{
	_auto_free char *path = xasprintf("%s/apt", fuzz_path);

	fuzz_file(apt_dir(), "sources.list", list, list_len);
	fuzz_file(apt_dir(), "sources.list.d/a.sources", sources, sources_len);
	buf_adds(ret_list, "");
	buf_adds(ret_sources, "");
	debian_sources(path, "bookworm", ret_list, ret_sources);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_auto_buf struct buf list = BUF_INIT, sources = BUF_INIT, list2 = BUF_INIT, sources2 = BUF_INIT;
	const char *text = (const char *)data;

	(void)apt_dir();
	read_lists(text, size, text, size, &list, &sources);
	read_lists(list.s, list.len, sources.s, sources.len, &list2, &sources2);
	must(streq(list.s, list2.s), "the list is taken whole");
	must(streq(sources.s, sources2.s), "the paragraphs are taken whole");
	return 0;
}
