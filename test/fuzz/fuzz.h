/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzz targets share.  A target defines LLVMFuzzerTestOneInput(); a property that does not hold ends
 * the process, as a finding of a sanitizer does.  The same source linked with test/unit/t_corpus.c replays
 * test/corpus/NAME.
 */
#ifndef BRIG_TEST_FUZZ_H
#define BRIG_TEST_FUZZ_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void
must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	abort();
}

static char fuzz_path[] = "/tmp/brig-fuzz.XXXXXX";

static inline void
fuzz_remove(void)
{
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err e = ERR_INIT;

	(void)fsx_rm_rf_at(tmp, fuzz_path + strlen("/tmp/"), &e);
	fd_close(tmp);
}

/* A directory for the readers that take descriptors: the process's own, removed at its end. */
static inline int
fuzz_dir(void)
{
	static int fd = -EBADF;

	if (fd >= 0)
		return fd;
	must(mkdtemp(fuzz_path) != NULL, "a directory in /tmp");
	fd = open(fuzz_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)atexit(fuzz_remove);
	return fd;
}

static inline int
fuzz_subdir(const char *name)
{
	struct err e = ERR_INIT;
	int fd = -EBADF;

	must(fsx_mkdir_open(fuzz_dir(), name, 0755, &fd, &e) == 0, "a directory");
	return fd;
}

static inline void
fuzz_file(int dir, const char *name, const void *data, size_t size)
{
	_auto_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	must(fd >= 0 && fsx_write_all(fd, data, size) == 0, "a file");
}

/* The input as a string: up to its first NUL.  The caller frees. */
static inline char *
fuzz_text(const uint8_t *data, size_t size)
{
	return xstrndup((const char *)data, strnlen((const char *)data, size));
}

#endif
