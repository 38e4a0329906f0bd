/* SPDX-License-Identifier: BSD-2-Clause */
/* The status record of a service, as brig-init writes it (init/proto.h) and commands show it. */
#ifndef BRIG_CLI_SERVICE_H
#define BRIG_CLI_SERVICE_H

#include <stddef.h>
#include <stdint.h>

struct service_status {
	char *command;
	char *state; /* up, wait, failed, done; "?" when init has not said anything yet */
	int pid, restarts, last;
	int64_t since;
};
void service_free(struct service_status *s);
/* Everything but the command, from record number i of the status file.  The file may be short or missing
 * (data NULL). */
void service_parse(const char *data, size_t len, size_t i, struct service_status *ret);

#endif
