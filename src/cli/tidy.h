/* SPDX-License-Identifier: BSD-2-Clause */
/* Rollback data that no rollback will use, of many jails: what `brig tidy` and `template remove` do about it. */
#ifndef BRIG_CLI_TIDY_H
#define BRIG_CLI_TIDY_H

#include "cli/cli.h"

struct tidy {
	struct cli *cli;
	bool dry;
	json_t *json; /* a list that gets what was done to each jail; NULL */
	size_t jails; /* of which something went */
	int status;   /* 1: a jail was left alone, or could not be tidied */
};
/* name: of the record. */
void tidy_jail(struct tidy *t, const char *name);
/* Every jail of a template, or (NULL) of all, and what is left of jails that have no record any more. */
void tidy_jails(struct tidy *t, const char *template);

#endif
