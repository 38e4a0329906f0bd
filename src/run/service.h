/* SPDX-License-Identifier: BSD-2-Clause */
/* The status record of a service, as brig-init writes it (init/proto.h) and commands show it. */
#ifndef BRIG_RUN_SERVICE_H
#define BRIG_RUN_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "init/proto.h"
#include "store/store.h"

struct service_status {
	char *command; /* of one that is followed: its name in rc.conf */
	char *state;   /* up, wait, failed, done, started; "?" when init has not said anything yet */
	int pid, restarts, last;
	int64_t since;
};
void service_free(struct service_status *s);
/* Everything but the command, from record number i of the status file.  The file may be short or missing
 * (data NULL). */
void service_parse(const char *data, size_t len, size_t i, struct service_status *ret);
/* Number k of those that the jail's rc has started, behind the records of n of the configuration.  True: *ret is
 * one. */
bool service_followed(const char *data, size_t len, size_t n, size_t k, struct service_status *ret);
#define SERVICE_FILE_MAX (INIT_RECORD * (INIT_MAX_SERVICES + 2 * INIT_MAX_FOLLOWED))

/* Those of a running jail: n of the configuration, whose commands are left NULL, and behind them those that its rc has
 * started. */
struct services {
	struct service_status *v;
	size_t n;
};
void services_read(const struct store *s, const char *jail, size_t n, struct services *ret);
void services_free(struct services *s);
bool service_is_up(const struct service_status *s); /* or started, and nothing is known of its process */

#endif
