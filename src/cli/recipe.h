/* SPDX-License-Identifier: BSD-2-Clause */
/* What a release is built from: the command line, or what the current release was built from. */
#ifndef BRIG_CLI_RECIPE_H
#define BRIG_CLI_RECIPE_H

#include "cli/cli.h"

/* What the command line says. */
struct recipe_given {
	const char *source; /* NULL: the recorded recipe */
	/* where given, they take the place of its parts */
	const struct strv *overlays;
	const char *rules;
};
int recipe_make(struct cli *cli, const char *template, const struct recipe_given *g, struct recipe *ret,
		struct err *e);
void recipe_free(struct recipe *r);
/* Says what was built, with its warnings (--json: its release.json).  Exit status. */
int recipe_built(struct cli *cli, const char *template, const char *name, bool current);

#endif
