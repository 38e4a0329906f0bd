/* SPDX-License-Identifier: BSD-2-Clause */
#include <libgen.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/where.h"

/* BUILD/src/cli/brig -> "BUILD", when BUILD is a build directory. */
static char *
build_dir(void)
{
	_auto_free char *self = realpath("/proc/self/exe", NULL);
	char *tail = self ? strstr(self, "/src/cli/brig") : NULL;

	if (!tail || !streq(tail, "/src/cli/brig"))
		return NULL;
	*tail = '\0';
	return TAKE_PTR(self);
}

static char *
exists(char *path)
{
	if (access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

char *
where_libexec(const char *program)
{
	_auto_free char *build = build_dir();
	char *path;

	/* brig-init is in src/init, brig-import in src/import */
	if (build && (path = exists(xasprintf("%s/src/%s/%s", build, program + strlen("brig-"), program))))
		return path;
	return xasprintf("%s/%s", BRIG_LIBEXEC, program);
}

char *
where_data(const char *name)
{
	_auto_free char *build = build_dir();
	char *path;

	if (build && (path = exists(xasprintf("%s/data/%s", build, name))))
		return path;
	return xasprintf("%s/%s", BRIG_DATA, name);
}
