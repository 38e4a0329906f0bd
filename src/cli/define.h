/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Definitions that brig writes: CONF.d/NAME.conf beside the configuration file in use, one jail a file.  A
 * file that brig did not write, or that has become more than this one jail, is never replaced or removed.
 */
#ifndef BRIG_CLI_DEFINE_H
#define BRIG_CLI_DEFINE_H

#include "cli/cli.h"

/* Where the definition of a new jail goes; the caller frees.  NULL and a message when there is no place: the
 * configuration is an rc.conf that would not be read any more, or the file exists. */
char *define_place(const struct cli *cli, const char *name, struct err *e);
/* Writes the parameters called names out of spec. */
int define_write(const struct jailspec *spec, const struct strv *names, const char *path, struct err *e);
/* The file that defines the jail, if brig wrote it and it has become nothing else; NULL otherwise.  The
 * caller frees. */
char *define_ours(const struct cli *cli, const char *name);
int define_remove(const char *path, struct err *e);

#endif
