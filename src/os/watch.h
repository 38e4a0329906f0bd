/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures the downtime of a jail.  A child looks about every millisecond at the sockets that listen in the
 * jail's network (TCP listeners, bound UDP sockets), until all that were there at the start are there again.
 * os_watch_start() is called while the old instance runs, os_watch_ready() when the new one is up: it waits
 * at most wait_ms for sockets that are still missing.
 */
#ifndef BRIG_OS_WATCH_H
#define BRIG_OS_WATCH_H

#include <stdbool.h>
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

/*
 * What listens in a jail, by protocol and port: TCP sockets, and bound ones of UDP.  Those with a port that the kernel
 * chose (ip(7), ip_local_port_range) are left out: nobody can rely on it, and a service has another one after each
 * start.  Numbers only: it crosses processes in shared memory.
 */
#define OS_SOCKETS_MAX 128 /* a jail can open sockets without end: more are not looked at */
struct os_socket {
	int proto; /* IPPROTO_TCP, IPPROTO_UDP */
	uint16_t port;
};
struct os_sockets {
	struct os_socket v[OS_SOCKETS_MAX]; /* each once */
	size_t n;
};
/* holders: only sockets that these processes (pids as the jail counts) or children of theirs have open; NULL: all of
 * a jail with a network of its own, and those that any of its processes has of one that shares the host's. */
struct os_pids {
	const int *v;
	size_t n;
};
int os_jail_sockets(const struct os_ref *ref, const struct jailspec *spec, const struct os_pids *holders,
		    struct os_sockets *ret, struct err *e);
static inline bool
os_sockets_have(const struct os_sockets *list, const struct os_socket *one)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].proto == one->proto && list->v[i].port == one->port)
			return true;
	return false;
}

#endif
