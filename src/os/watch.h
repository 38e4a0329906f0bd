/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watching a jail be away: the sockets that listen in its network (TCP listeners, bound UDP sockets) are looked
 * at about every millisecond by a process of its own, until all that were there at the start are there again.
 * os_watch_start while the old instance runs; os_watch_ready once the new one is up: from then on at most wait_ms
 * for what is still missing.
 */
#ifndef BRIG_OS_WATCH_H
#define BRIG_OS_WATCH_H

#include <stdint.h>

#include "os/instance.h"

struct os_watch;
struct os_outage {
	int64_t down_us;     /* from the first one gone to the last one back; 0: none was ever gone */
	size_t listeners;    /* how many there were; 0: nothing listened, down_us says nothing */
	struct strv missing; /* those that did not come back: "tcp 192.0.2.1:80" */
};
/* 1, or 0 where it cannot be done (the jail has the host's network, or this host has no such thing). */
int os_watch_start(const struct os_ref *ref, const struct jailspec *spec, struct os_watch **ret,
		   struct err *e);
int os_watch_ready(struct os_watch *w, int wait_ms, struct os_outage *ret, struct err *e); /* ends it */
void os_watch_end(struct os_watch *w); /* without a result; NULL is fine */

#endif
