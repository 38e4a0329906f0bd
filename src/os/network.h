/* SPDX-License-Identifier: BSD-2-Clause */
/* The network of a created jail: links and addresses, redirections, sockets that services are given. */
#ifndef BRIG_OS_NETWORK_H
#define BRIG_OS_NETWORK_H

#include "os/instance.h"

/* up: links, addresses, routes, both sides.  down: everything away. */
int os_net_check(const struct os_id *id, const struct jailspec *spec, struct err *e); /* before anything */
int os_net_up(const struct os_id *id, const struct jailspec *spec, const struct os_ref *ref,
	      struct strv *warnings, struct err *e);
/* ref: the jail that has it, before that is ended, so that interfaces of vnet.interface come back to the host: one
 * that is gone already has lost those that are only software; the kernel itself gives back devices.  NULL: it is
 * gone. */
int os_net_down(const struct os_id *id, const struct jailspec *spec, const struct os_ref *ref, struct err *e);

/* Redirections and masquerade in a table of our own; the table goes with the last jail. */
int os_fw_up(const struct os_id *id, const struct jailspec *spec, struct err *e);
int os_fw_down(const struct os_id *id, const struct jailspec *spec, struct err *e);
/* The same for a jail whose state is lost: everything that has its name. */
int os_fw_remove(const struct os_id *id, struct err *e);

/*
 * Sockets of spec->listen, for the services of the jail (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES,
 * descriptors from 3 on).  They are made in the jail's network, after os_net_up(), and are held by its first
 * process as long as it lives; services get them at every start.
 * from: NULL, or the running jail, made of `made`, whose sockets are taken over where an entry of listen is the
 * same: a connection that waits in one is not lost.  Before os_jail_release().  Errors name the entry and the
 * cause ("listen 'tcp 80': Address already in use").
 */
int os_jail_listen(struct os_jail *j, const struct jailspec *spec, const struct os_ref *from,
		   const struct jailspec *made, struct err *e);

#endif
