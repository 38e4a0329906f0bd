/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures the downtime of a jail.  A process of its own looks about every millisecond at the sockets that
 * listen in the jail's network (TCP listeners, bound UDP sockets), until all that were there at the start are
 * there again. Call os_watch_start() while the old instance runs, os_watch_ready() when the new one is up;
 * from then on it waits at most wait_ms for sockets that are still missing.
 */
#ifndef BRIG_OS_WATCH_H
#define BRIG_OS_WATCH_H

#include <stdint.h>

#include "os/instance.h"

struct os_watch;
struct os_outage {
	int64_t down_us;     /* from the first socket gone to the last one back; 0: none was gone */
	size_t listeners;    /* sockets watched; 0: nothing listened, and down_us means nothing */
	struct strv missing; /* those that did not come back: "tcp 192.0.2.1:80" */
};
/* 1: started, 0: not possible (the jail has the host's network, or this host cannot do it). */
int os_watch_start(const struct os_ref *ref, const struct jailspec *spec, struct os_watch **ret,
		   struct err *e);
int os_watch_ready(struct os_watch *w, int wait_ms, struct os_outage *ret, struct err *e); /* ends it */
void os_watch_end(struct os_watch *w); /* without a result; NULL is fine */

#endif
