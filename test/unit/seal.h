/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes a directory that a test has filled a release: its manifest and release.json.  Again after each change. */
#ifndef BRIG_TEST_SEAL_H
#define BRIG_TEST_SEAL_H

#include <fcntl.h>

#include "base/fsx.h"
#include "store/template/manifest.h"

/* 0, -errno; path has root/ and skel/. */
static inline int
seal_release(const char *path, struct err *e)
{
	_auto_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_auto_free char *info = NULL;
	struct manifest_sum sum;

	if (dir < 0)
		return err_sys(e, errno, "%s", path);
	(void)unlinkat(dir, "manifest", 0);
	if (manifest_write(dir, NULL, &sum, e) < 0)
		return -e->num;
	info = xasprintf("{\"manifest_sha256\": \"%s\"}", sum.digest);
	return fsx_write_text(dir, "release.json", info, 0644, 0, e);
}

#endif
