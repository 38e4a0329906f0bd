/* SPDX-License-Identifier: BSD-2-Clause */
/* release.json, by whoever reads one release and by who sorts all of a template. */
#include "fuzz.h"

#include "store/template/release.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct store store = {.base = fuzz_path, .templates_fd = -EBADF, .j_fd = -EBADF};
	static char template[] = "mroot", name[] = "r1";
	static int dir = -EBADF;
	_auto_strv struct strv names = STRV_INIT;
	struct release r = {.template = template, .name = name};
	struct err e = ERR_INIT;
	json_t *info = NULL;

	if (dir < 0) {
		store.templates_fd = fuzz_subdir("templates");
		must(mkdirat(store.templates_fd, template, 0755) == 0 &&
			 mkdirat(store.templates_fd, "mroot/r0", 0755) == 0,
		     "directories");
		must(fsx_mkdir_open(store.templates_fd, "mroot/r1", 0755, &dir, &e) == 0, "a directory");
	}
	fuzz_file(dir, "release.json", data, size);
	r.dir_fd = dir;
	if (release_info(&r, &info, &e) == 0)
		must(json_is_object(info), "it is an object");
	else
		must(e.num != 0 && *e.msg, "an error says what is wrong");
	json_decref(info);
	err_clear(&e);
	must(release_names(&store, template, &names, &e) == 0 && names.n == 2, "a damaged release is one");
	return 0;
}
