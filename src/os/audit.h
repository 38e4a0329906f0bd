/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking at how a running jail is locked in, and at what of the host itself is weak: read from the kernel, never
 * from the configuration (`brig audit`).  Items in a fixed order; names and improve are constants, what is
 * printable.
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
/* The weakest process counts.  -ESRCH when the jail is gone, or ends meanwhile.  The caller frees. */
int os_audit_jail(const struct os_ref *ref, struct os_finding **ret, size_t *ret_n, struct err *e);
/* spaces: the directory that the jailspaces are in, or NULL. */
int os_audit_host(const char *spaces, struct os_finding **ret, size_t *ret_n, struct err *e);
/* Tenths, 0 (everything is fine) to 100, as `systemd-analyze security` reckons: the weight of what is weak in the
 * weight of all. */
unsigned os_audit_score(const struct os_finding *f, size_t n);

#endif
