/* SPDX-License-Identifier: BSD-2-Clause */
/* Packages and files of releases, as `template show`, `template diff` and `upgrade -n` print them. */
#ifndef BRIG_CLI_RELEASE_DIFF_H
#define BRIG_CLI_RELEASE_DIFF_H

#include "cli/cli.h"
#include "store/template/packages.h"

/* A line for each package, and before it their numbers; nothing where neither release has packages. */
void print_package_changes(const struct release_diff *d);
/* Numbers by directory; all: every path. */
void print_path_changes(const struct release_diff *d, bool all);
/* {"added":[{"package","version"}],"removed":[...],"changed":[{"package","from","to"}]} */
json_t *package_changes_json(const struct release_diff *d);
json_t *path_changes_json(const struct release_diff *d); /* [{"action","path"}] */
json_t *packages_json(const struct packages *p);         /* [{"package","version","arch"}] */

/* The packages between two releases of a template; an error is a warning.  NULL: nothing is known. */
void print_packages_between(const struct cli *cli, const char *template, const char *from, const char *to);
json_t *packages_between_json(const struct cli *cli, const char *template, const char *from, const char *to);

#endif
