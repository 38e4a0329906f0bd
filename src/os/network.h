/* SPDX-License-Identifier: BSD-2-Clause */
/* The network of a created jail: links and addresses, redirections, sockets that services are given. */
#ifndef BRIG_OS_NETWORK_H
#define BRIG_OS_NETWORK_H

#include "os/instance.h"

/* up: links, addresses, routes, on both sides.  down: removes them. */
int os_net_check(const struct os_id *id, const struct jailspec *spec, struct err *e); /* before anything */
int os_net_up(const struct os_id *id, const struct jailspec *spec, const struct os_ref *ref,
	      struct strv *warnings, struct err *e);
/* ref: the running instance, so that interfaces of vnet.interface can be moved back to the host: once it
 * has ended, virtual ones are lost (the kernel itself moves physical devices back).  NULL: it has ended. */
int os_net_down(const struct os_id *id, const struct jailspec *spec, const struct os_ref *ref, struct err *e);

/* Redirections and masquerade, in a table of brig's own, which is removed with the last jail. */
int os_fw_up(const struct os_id *id, const struct jailspec *spec, struct err *e);
int os_fw_down(const struct os_id *id, const struct jailspec *spec, struct err *e);
/* Removes everything that has the jail's name, for a jail whose state is lost. */
int os_fw_remove(const struct os_id *id, struct err *e);

/*
 * Sockets of spec->listen, for the services of the jail (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS,
 * LISTEN_FDNAMES, descriptors from 3 on).  They are made in the jail's network, after os_net_up(), and are
 * held by its first process as long as it lives; services get them at every start. from: NULL, or the
 * running jail, made of `made`, whose sockets are taken over where an entry of listen is the same: a
 * connection that waits in one is not lost.  Before os_jail_release().  Errors name the entry and the cause
 * ("listen 'tcp 80': Address already in use").
 */
int os_jail_listen(struct os_jail *j, const struct jailspec *spec, const struct os_ref *from,
		   const struct jailspec *made, struct err *e);

#endif
