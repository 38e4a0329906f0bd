/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets that wait for others, by sock_diag(7): TCP sockets that listen, UDP sockets that are bound and have no peer. */
#ifndef BRIG_OS_LINUX_NETWORK_DIAG_H
#define BRIG_OS_LINUX_NETWORK_DIAG_H

#include <linux/inet_diag.h>

#include "os/linux/network/netlink.h"

/* A request about sockets of this protocol and family, in the caller's buffer of NL_MSG bytes; its id is empty. */
struct inet_diag_req_v2 *diag_msg(void *buf, struct nlmsghdr **ret, int proto, int family, uint16_t flags);
/* Calls fn for each of them that has a port.  fd: a NETLINK_SOCK_DIAG socket, which stays in the network namespace that
 * it was opened in. */
int diag_each(int fd, void (*fn)(void *ctx, int proto, const struct inet_diag_msg *m), void *ctx,
	      struct err *e);
/* A UDP socket with a port that the kernel chooses for clients: a question is being asked (a resolver's), it is no
 * service.  The range is the kernel's own default, which a jail cannot change (ip(7), ip_local_port_range). */
bool diag_is_clients(int proto, uint16_t port);
bool diag_is_chosen(uint16_t port); /* is it in that range? */

#endif
