/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of commands, in the order that `brig help` shows. */
#include "cli/cli.h"

const struct command *const commands[] = {
    &cmd_template, &cmd_create,   &cmd_destroy, &cmd_start,   &cmd_stop,   &cmd_restart, &cmd_list,
    &cmd_status,   &cmd_config,   &cmd_check,   &cmd_logs,    &cmd_exec,   &cmd_shell,   &cmd_run,
    &cmd_upgrade,  &cmd_rollback, &cmd_merge,   &cmd_tidy,    &cmd_convert, &cmd_doctor,  &cmd_audit,
    &cmd_completion, &cmd_help,   &cmd_jls,     &cmd_jexec,   &cmd_jail,   NULL,
};

const struct command *
command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (streq(commands[i]->name, name))
			return commands[i];
	return NULL;
}
