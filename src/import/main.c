/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "import/image.h"

#define REPORT_FD 3
#define TOP_FD 4

static int
open_asked(void *ctx _unused_, const char *name, struct err *e)
{
	return ask_open(STDIN_FILENO, name, e);
}

/* Names are UTF-8.  Converts one, so that the C library loads what it needs for it from the host, and not
 * later from the tree that becomes "/". */
static void
prepare_names(void)
{
	wchar_t wide[8];
	char back[32];

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		(void)setlocale(LC_CTYPE, "en_US.UTF-8");
	if (mbstowcs(wide, "\xc3\xa9", 8) != (size_t)-1)
		(void)wcstombs(back, wide, sizeof(back));
}

/* The seed of jansson's hash tables is read from the host's /dev/urandom, so before confine(). */
static int
run_image(const char *tag, struct err *e)
{
	struct image_want want = {.tag = tag, .open = open_asked};
	struct image_result result;
	int top = TOP_FD;

	json_object_seed(0);
	if (image_platform(&want.host, e) < 0 || confine(&top, true, e) < 0 ||
	    image_run(&want, top, &import_limits, &result, e) < 0)
		return -e->num;
	return ask_result(STDIN_FILENO, &result, e);
}

static int
run_archive(struct err *e)
{
	int top = TOP_FD;

	if (confine(&top, false, e) < 0)
		return -e->num;
	return import_run(STDIN_FILENO, top, &import_limits, e);
}

int
main(int argc, char **argv)
{
	bool image = argc > 1 && streq(argv[1], "image");
	struct err e = ERR_INIT;
	struct stat st;
	int r;

	if (fcntl(REPORT_FD, F_GETFD) < 0 || fstat(TOP_FD, &st) < 0 || !S_ISDIR(st.st_mode) ||
	    argc > (image ? 3 : 1)) {
		fputs("brig-import: started by `brig template build` (brig-template(5))\n", stderr);
		return 2;
	}
	(void)umask(0);
	prepare_names();
	r = image ? run_image(argv[2], &e) : run_archive(&e);
	if (r < 0)
		(void)err_send(REPORT_FD, &e);
	return r < 0 ? 1 : 0;
}
