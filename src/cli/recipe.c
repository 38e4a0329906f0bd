/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "cli/recipe.h"

#define WARNINGS_SAID 8 /* the others can be looked up */

void
recipe_free(struct recipe *r)
{
	free(r->source);
	free(r->rules);
	strv_free(&r->overlays);
}

/* Reads what the current release was built from. */
static int
recorded_recipe(struct cli *cli, const char *template, struct recipe *ret, struct err *e)
{
	struct release r;
	json_t *info = NULL, *recipe, *dir;
	size_t i;

	if (release_open(&cli->store, template, NULL, &r, e) < 0)
		return e->num == ENOENT ? err_set(e, ENOENT,
						  "template %s has no release yet: name a source "
						  "(brig template build %s SOURCE)",
						  template, template)
					: -e->num;
	if (release_info(&r, &info, e) < 0) {
		release_close(&r);
		return -e->num;
	}
	recipe = json_object_get(info, "recipe");
	ret->source = xstrdup_null(json_string_value(json_object_get(recipe, "source")));
	ret->rules = xstrdup_null(json_string_value(json_object_get(recipe, "rules")));
	json_array_foreach(json_object_get(recipe, "overlays"), i, dir)
	{
		if (json_is_string(dir))
			strv_add(&ret->overlays, json_string_value(dir));
	}
	json_decref(info);
	release_close(&r);
	if (!ret->source)
		return err_set(e, ENOENT,
			       "template %s was made by hand: name a source "
			       "(brig template build %s SOURCE)",
			       template, template);
	return 0;
}

/* The source of the command line, or the recorded recipe (a build that is resumed has that of its tree); options
 * replace parts of it. */
int
recipe_make(struct cli *cli, const char *template, const struct recipe_given *g, struct recipe *ret,
	    struct err *e)
{
	if (g->source)
		ret->source = xstrdup(g->source);
	else if (!ret->resume && recorded_recipe(cli, template, ret, e) < 0)
		return -e->num;
	if (g->overlays->n) {
		strv_free(&ret->overlays);
		strv_copy(&ret->overlays, g->overlays);
	}
	if (g->rules) {
		free(ret->rules);
		ret->rules = xstrdup(g->rules);
	}
	return 0;
}

int
recipe_built(struct cli *cli, const char *template, const char *name, bool current)
{
	_auto_free char *size = NULL;
	struct err e = ERR_INIT;
	struct release r;
	json_t *info = NULL, *warnings, *warning;
	int64_t files;
	size_t i;
	int got = release_open(&cli->store, template, name, &r, &e);

	if (got == 0) {
		got = release_info(&r, &info, &e);
		release_close(&r);
	}
	if (got < 0)
		return cli_error(cli, &e);
	warnings = json_object_get(info, "warnings");
	json_array_foreach(warnings, i, warning)
	{
		if (i < WARNINGS_SAID)
			cli_warn(cli, "template %s: warning: %s", template, json_string_value(warning));
	}
	if (i > WARNINGS_SAID)
		cli_warn(cli, "template %s: %zu more warnings: brig template show %s/%s", template,
			 i - WARNINGS_SAID, template, name);
	if (cli->json)
		return cli_json(info);
	files = json_integer_value(json_object_get(info, "files"));
	size = out_size((uint64_t)json_integer_value(json_object_get(info, "bytes")));
	cli_say(cli, "template %s: built release %s: %" PRId64 " files, %s, in %.1f s%s", template, name,
		files, size, json_number_value(json_object_get(info, "seconds")),
		current ? "" : " (not current)");
	json_decref(info);
	return 0;
}
