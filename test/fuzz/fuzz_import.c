/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An archive into a directory: whatever it holds, nothing beside that directory appears, goes or changes.
 * Checksums of tar headers are made right, so that what changes in a header arrives.
 */
#include "fuzz.h"
#include "tar.h"

#include "import/import.h"

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
untouched(int top, int outside)
{
	_auto_free char *text = NULL;
	struct err e = ERR_INIT;
	struct stat st;

	must(entries(top) == 5, "in, outside, a.tar"); /* and "." and ".." */
	must(entries(outside) == 3, "outside has one file");
	must(fsx_read_at(outside, "f", 100, &text, NULL, &e) == 0 && streq(text, "safe"), "as it was");
	must(fstatat(outside, "f", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink == 1 && st.st_uid == 0 &&
		 (st.st_mode & 07777) == 0644,
	     "its owner, mode and names");
	must(fstat(outside, &st) == 0 && (st.st_mode & 07777) == 0755, "the directory's mode");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int outside = -EBADF;
	_auto_close int in = -EBADF, archive = -EBADF;
	_auto_free uint8_t *work = xcalloc(size + 1, 1);
	struct err e = ERR_INIT;
	int top = fuzz_dir();

	if (outside < 0) {
		outside = fuzz_subdir("outside");
		fuzz_file(outside, "f", "safe", 4);
	}
	if (size)
		memcpy(work, data, size);
	right_checksums(work, size);
	fuzz_file(top, "a.tar", work, size);
	in = fuzz_subdir("in");
	archive = openat(top, "a.tar", O_RDONLY | O_CLOEXEC);
	if (import_run(archive, in, &import_limits, &e) < 0)
		must(e.num != 0 && *e.msg, "an error says what is wrong");
	untouched(top, outside);
	must(fsx_rm_rf_at(top, "in", &e) == 0, "what an archive made can be removed");
	return 0;
}
