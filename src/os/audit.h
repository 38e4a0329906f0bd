/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a running jail is confined, and which settings of the host are weak: read from the kernel, never from
 * the configuration (`brig audit`).  Items are in a fixed order; `name` and `improve` are constants, `what`
 * is printable.
 */
#ifndef BRIG_OS_AUDIT_H
#define BRIG_OS_AUDIT_H

#include "os/instance.h"

struct os_finding {
	const char *name;    /* "user namespace" */
	const char *improve; /* what would make it fine: parameters of jail.conf(5), settings of the host */
	char what[160];      /* what was found */
	unsigned weight;     /* how much it counts in the score */
	int state;           /* 1 fine, 0 weak, -1 could not be read: counts as weak */
};
/* An item is as weak as the weakest process.  -ESRCH: the jail is gone, or ended meanwhile.  The caller frees
 * *ret. */
int os_audit_jail(const struct os_ref *ref, struct os_finding **ret, size_t *ret_n, struct err *e);
/* spaces: the directory that the jailspaces are in, or NULL. */
int os_audit_host(const char *spaces, struct os_finding **ret, size_t *ret_n, struct err *e);
/* In tenths, 0 (nothing is weak) to 100, as `systemd-analyze security` computes it: the weight of the weak
 * items as a share of all weights. */
unsigned os_audit_score(const struct os_finding *f, size_t n);

#endif
