/* SPDX-License-Identifier: BSD-2-Clause */
/* `brig check`: prints every error in the configuration. */
#include "cli/cli.h"

static json_t *
messages_json(const struct conf *c, size_t n, const struct conf_error *(*at)(const struct conf *c, size_t i))
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct conf_error *m = at(c, i);

		json_array_append_new(list,
				      json_pack("{s:s*, s:i, s:i, s:s*, s:s}", "file", m->file, "line",
						m->line, "column", m->col, "jail", m->jail, "text", m->text));
	}
	return list;
}

static int
check_json(struct cli *cli)
{
	const struct conf *c = cli->conf;
	json_t *jails = json_array();

	for (size_t i = 0; i < conf_jails(c)->n; i++)
		json_array_append_new(jails, json_string(conf_jails(c)->v[i]));
	(void)cli_json(json_pack("{s:o, s:o, s:o}", "jails", jails, "errors",
				 messages_json(c, conf_n_errors(c), conf_error_at), "warnings",
				 messages_json(c, conf_n_warnings(c), conf_warning_at)));
	return conf_n_errors(c) > 0;
}

static int
check_run(struct cli *cli, int argc, char **argv)
{
	size_t jails, warnings;
	int r;

	if (argc > 0) {
		strv_free(&cli->conf_files);
		for (int i = 0; i < argc; i++)
			strv_add(&cli->conf_files, argv[i]);
	}
	r = cli_conf(cli, cli->json);
	if (cli->json)
		return check_json(cli);
	warnings = conf_n_warnings(cli->conf);
	for (size_t i = 0; i < warnings && !cli->quiet; i++)
		cli_conf_message("warning: ", conf_warning_at(cli->conf, i));
	if (r != 0)
		return r;
	jails = conf_jails(cli->conf)->n;
	cli_say(cli, "%zu jail%s, no errors", jails, jails == 1 ? "" : "s");
	return 0;
}

const struct command cmd_check = {
    "check", "[FILE...]", "Checks the configuration and prints every error in it.", NULL, WORDS_FILE,
    0,       check_run,
};
