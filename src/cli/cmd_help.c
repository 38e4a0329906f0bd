/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/cli.h"

static json_t *
opts_json(const struct opt *opts)
{
	json_t *list = json_array();

	for (const struct opt *o = opts; o && (o->c || o->name); o++) {
		char letter[2] = {o->c, '\0'};

		json_array_append_new(list,
				      json_pack("{s:s*, s:s*, s:s*, s:s}", "letter", o->c ? letter : NULL,
						"name", o->name, "argument", o->arg, "help", o->help));
	}
	return list;
}

static json_t *
params_json(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < param_table_len; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s*}", "parameter", param_table[i].name, "help",
						param_table[i].help, "refused", param_table[i].refused));
	return list;
}

/* What the manuals are checked against (tools/check-man). */
static int
help_json(void)
{
	json_t *list = json_array();

	for (size_t i = 0; commands[i]; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "command", commands[i]->name,
						      "usage", commands[i]->usage, "help", commands[i]->help,
						      "options", opts_json(commands[i]->opts)));
	return cli_json(json_pack("{s:o, s:o, s:o}", "options", opts_json(global_opts), "commands", list,
				  "parameters", params_json()));
}

static int
help_run(struct cli *cli, int argc, char **argv)
{
	const struct command *cmd;

	if (cli->json)
		return help_json();
	if (argc > 0) {
		cmd = command_find(argv[0]);
		if (!cmd)
			return cli_usage(cli, &cmd_help, "unknown command '%s'", argv[0]);
		opt_help(stdout, cmd);
		return 0;
	}
	puts("usage: brig [-f FILE] [-b DIR] [--run DIR] [-q] [-v] [--json] COMMAND ...\n"
	     "Many service jails from one read-only template.\n");
	for (size_t i = 0; commands[i]; i++)
		if (!(commands[i]->flags & CMD_HIDDEN))
			printf("  %-11s %s\n", commands[i]->name, commands[i]->help);
	puts("\nbrig help COMMAND tells its options; brig(8) is the manual.");
	return 0;
}

const struct command cmd_help = {
    "help", "[COMMAND]", "Tells what the commands are and what options they take.", NULL, WORDS_NONE,
    0,      help_run,
};
