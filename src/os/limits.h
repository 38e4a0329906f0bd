/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits: a control group for each jail, in force before its first instruction (os_jail_create() makes
 * the first process in it). */
#ifndef BRIG_OS_LIMITS_H
#define BRIG_OS_LIMITS_H

#include <stdint.h>

#include "os/instance.h"

int os_limit_check(const struct jailspec *spec, struct err *e); /* does this host support them? */
int os_limit_up(const struct os_id *id, const struct jailspec *spec, struct err *e); /* -EEXIST: not ours */
int os_limit_down(const struct os_id *id, struct err *e); /* kills what is still in it */
struct os_usage {
	int64_t memory, cpu_ns, pids; /* -1: not known */
};
int os_limit_usage(const struct os_id *id, struct os_usage *ret, struct err *e);

#endif
