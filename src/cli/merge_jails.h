/* SPDX-License-Identifier: BSD-2-Clause */
/* `brig merge` for jails: shows the conflicts of all of them, each once, and carries out decisions. */
#ifndef BRIG_CLI_MERGE_JAILS_H
#define BRIG_CLI_MERGE_JAILS_H

#include "cli/cli.h"

/* Paths are as in the report, with or without the '/' in front; sh patterns are fine. */
struct merge_request {
	struct strv mine, theirs, merged, edit; /* paths to decide about */
	const char *file;                       /* with edit: its content instead of an editor */
	bool diff, interactive, all;
};
int merge_jails(struct cli *cli, const struct command *cmd, const struct merge_request *q, int argc,
		char **argv);

#endif
