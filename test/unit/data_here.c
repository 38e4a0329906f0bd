/* SPDX-License-Identifier: BSD-2-Clause */
/* base/where.h for tests of libraries: the data of the sources, whatever is installed. */
#include "base/mem.h"
#include "base/where.h"

char *
where_libexec(const char *program)
{
	return xasprintf("/nowhere/%s", program);
}

char *
where_data(const char *name)
{
	return xasprintf("%s/%s", TEST_DATA, name);
}
