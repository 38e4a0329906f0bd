/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/cli.h"
#include "os/host.h"

static const char *
word(int state)
{
	return state > 0 ? "ok" : state == 0 ? "missing" : "NEEDED";
}

static json_t *
feature_json(const struct os_feature *f)
{
	return json_pack("{s:s, s:s, s:b, s:b, s:s}", "feature", f->name, "needed_for", f->needed, "works",
			 f->state > 0, "required", f->state < 0, "detail", f->detail);
}

static int
doctor_run(struct cli *cli, int argc, char **argv)
{
	static const char *const titles[] = {"FEATURE", "STATE", "FOR", "DETAIL"};
	struct table t = {.n_cols = ARRAY_LEN(titles), .titles = titles};
	json_t *list = cli->json ? json_array() : NULL;
	struct os_feature *f = NULL;
	struct err e = ERR_INIT;
	bool bad = false;
	size_t n;

	(void)argv;
	if (argc > 0) {
		json_decref(list);
		return cli_usage(cli, command_find("doctor"), "it takes no arguments");
	}
	if (os_features(&f, &n, &e) < 0) {
		json_decref(list);
		return cli_error(cli, &e);
	}
	for (size_t i = 0; i < n; i++) {
		bad |= f[i].state < 0;
		if (list)
			json_array_append_new(list, feature_json(&f[i]));
		else
			table_row(&t, f[i].name, word(f[i].state), f[i].needed, f[i].detail);
	}
	if (list)
		(void)cli_json(list);
	else
		table_print(&t, stdout);
	table_free(&t);
	free(f);
	return bad ? 1 : 0;
}

const struct command cmd_doctor = {
    "doctor", "",         "Tries what brig needs from this host, and says what is missing.", NULL, WORDS_NONE,
    0,        doctor_run,
};
