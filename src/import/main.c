/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "import/import.h"

#define REPORT_FD 3
#define TOP_FD 4

/* Names are UTF-8.  The conversion is used once here: what the C library has to load for it must come from
 * the host, not from the tree that is about to become "/". */
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

int
main(void)
{
	struct err e = ERR_INIT;
	struct stat st;
	int top = TOP_FD, r;

	if (fcntl(REPORT_FD, F_GETFD) < 0 || fstat(TOP_FD, &st) < 0 || !S_ISDIR(st.st_mode)) {
		fputs("brig-import: started by `brig template build` (brig-template(5))\n", stderr);
		return 2;
	}
	(void)umask(0);
	prepare_names();
	r = confine(&top, &e);
	if (r == 0)
		r = import_run(STDIN_FILENO, top, &import_limits, &e);
	if (r < 0)
		(void)err_send(REPORT_FD, &e);
	return r < 0 ? 1 : 0;
}
