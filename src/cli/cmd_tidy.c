/* SPDX-License-Identifier: BSD-2-Clause */
/* `brig tidy`: removes rollback data that cannot be used any more, and what interrupted commands left. */
#include "cli/cli.h"
#include "cli/tidy.h"

static bool opt_dry;

static const struct opt options[] = {
    {'n', "dry-run", OPT_FLAG, &opt_dry, NULL, "only say what would be removed"},
    OPT_END,
};

/* The words are labels, or names of records that no file defines. */
static int
tidy_named(struct tidy *t, int argc, char **argv)
{
	_auto_strv struct strv names = STRV_INIT;
	int r = cli_jails(t->cli, &cmd_tidy, argc, argv, false, &names);

	for (size_t i = 0; i < names.n && r == 0; i++) {
		struct jailspec *spec = NULL;
		struct record rec = {0};
		struct err e = ERR_INIT;
		const char *name = names.v[i];
		int found = 0;

		if (conf_has(t->cli->conf, name) && conf_jail(t->cli->conf, name, &spec, &e) == 0)
			name = spec->name;
		if (e.num == 0)
			found = record_read(&t->cli->store, name, &rec, &e);
		if (e.num == 0 && found == 0)
			(void)err_set(&e, ENOENT, "there is no such jail (brig list)");
		if (e.num)
			t->status = cli_fail(t->cli, names.v[i], &e);
		else
			tidy_jail(t, name);
		record_free(&rec);
		jailspec_free(spec);
	}
	return r;
}

static int
run_tidy_cmd(struct cli *cli, int argc, char **argv)
{
	struct tidy t = {.cli = cli, .dry = opt_dry};
	struct err e = ERR_INIT;
	int r = cli_conf_usable(cli);

	if (r == 0)
		r = cli_store(cli, STORE_CREATE); /* it cleans up what jails and commands have left */
	if (r != 0)
		return r;
	t.json = cli->json ? json_array() : NULL;
	if (argc > 0) {
		r = tidy_named(&t, argc, argv);
	} else {
		tidy_jails(&t, NULL);
		if (!opt_dry && release_tidy(&cli->store, NULL, &e) < 0)
			t.status = cli_error(cli, &e);
	}
	if (r == 0 && t.status == 0 && t.jails == 0)
		cli_say(cli, "nothing to remove");
	if (cli->json && cli_json(json_pack("{s:b, s:o}", "dry_run", opt_dry, "jails", t.json)) != 0)
		return 1;
	return r ? r : t.status;
}

const struct command cmd_tidy = {
    "tidy",
    "[-n] [NAME...]",
    "removes rollback data that cannot be used any more",
    options,
    WORDS_JAIL,
    0,
    run_tidy_cmd,
};
