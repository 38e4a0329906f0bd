/* SPDX-License-Identifier: BSD-2-Clause */
/* config: the parameters in effect.  convert: the configuration as one jail.conf. */
#include "cli/cli.h"

static bool opt_all, opt_split;

static const struct opt config_opts[] = {
    {'a', "all", OPT_FLAG, &opt_all, NULL, "every configured jail"},
    OPT_END,
};

static const struct opt convert_opts[] = {
    {0, "split", OPT_FLAG, &opt_split, NULL, "take an fstab line with several entries as one line each"},
    OPT_END,
};

static json_t *
spec_json(const struct jailspec *s)
{
	json_t *params = json_object();

	for (size_t i = 0; i < s->params.n; i++) {
		const struct param *p = &s->params.v[i];
		json_t *values = json_array();

		for (size_t k = 0; k < p->values.n; k++)
			json_array_append_new(values, json_string(p->values.v[k]));
		json_object_set_new(params, p->name, values);
	}
	return json_pack("{s:s, s:s, s:s*, s:s, s:o}", "jail", s->label, "name", s->name, "defined", s->where,
			 "path", s->path, "parameters", params);
}

static int
config_run(struct cli *cli, int argc, char **argv)
{
	_auto_strv struct strv names = STRV_INIT;
	json_t *list = json_array();
	int failed = 0, r;

	(void)cli_conf(cli, true);
	r = cli_jails(cli, &cmd_config, argc, argv, opt_all, &names);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		_auto_free char *text = NULL;
		struct jailspec *s;
		struct err e = ERR_INIT;

		if (conf_jail(cli->conf, names.v[i], &s, &e) < 0) {
			failed = cli_fail(cli, names.v[i], &e);
			continue;
		}
		if (cli->json) {
			json_array_append_new(list, spec_json(s));
		} else {
			text = conf_print_jail(s);
			fputs(text, stdout);
		}
		jailspec_free(s);
	}
	if (cli->json && r == 0 && !opt_all && json_array_size(list) == 1)
		(void)cli_json(json_incref(json_array_get(list, 0)));
	else if (cli->json && r == 0)
		(void)cli_json(json_incref(list));
	json_decref(list);
	return r ? r : failed;
}

/* Entries that stand several on a line count as if each had its own. */
static void
read_split(struct cli *cli)
{
	cli->conf = conf_new(&conf_files, cli->base ? cli->base : STORE_BASE, cli->base_set);
	conf_split_lines(cli->conf);
	for (size_t i = 0; i < cli->conf_files.n; i++)
		conf_read(cli->conf, cli->conf_files.v[i], CONF_AUTO);
	conf_finish(cli->conf);
}

static int
convert_run(struct cli *cli, int argc, char **argv)
{
	_auto_free char *text = NULL;
	struct err e = ERR_INIT;
	int r;

	if (argc > 2)
		return cli_usage(cli, &cmd_convert, "an rc.conf and an fstab, not %d files", argc);
	if (argc > 0) {
		strv_free(&cli->conf_files);
		for (int i = 0; i < argc; i++)
			strv_add(&cli->conf_files, argv[i]);
	}
	if (opt_split && cli->conf_files.n == 0)
		return cli_usage(cli, &cmd_convert, "--split needs the files to read");
	if (opt_split)
		read_split(cli);
	r = cli_conf(cli, false);
	if (r != 0)
		return r;
	for (size_t i = 0; i < conf_n_warnings(cli->conf) && !cli->quiet; i++)
		cli_conf_message("warning: ", conf_warning_at(cli->conf, i));
	text = conf_print_all(cli->conf, &e);
	if (!text)
		return cli_error(cli, &e);
	fputs(text, stdout);
	return 0;
}

const struct command cmd_config = {
    "config", "[-a | NAME...]", "Prints the parameters in effect.", config_opts, WORDS_JAIL, 0, config_run,
};
const struct command cmd_convert = {
    "convert",
    "[--split] [RC.CONF [FSTAB]]",
    "Prints the configuration, of whatever form, as one jail.conf.",
    convert_opts,
    WORDS_FILE,
    0,
    convert_run,
};
