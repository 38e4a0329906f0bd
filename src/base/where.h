/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the program's own helpers and data are: beside it in a build directory, else where it was installed.
 * Only directories that belong to root or to the caller are taken. */
#ifndef BRIG_BASE_WHERE_H
#define BRIG_BASE_WHERE_H

/* "brig-init", "brig-import": the caller frees. */
char *where_libexec(const char *program);
/* "split.rules", "skel": the caller frees. */
char *where_data(const char *name);

#endif
