/* SPDX-License-Identifier: BSD-2-Clause */
/* How a listening socket is named in messages. */
#ifndef BRIG_OS_LINUX_NETWORK_LISTEN_H
#define BRIG_OS_LINUX_NETWORK_LISTEN_H

#include "os/linux/network/netlink.h"

#define LISTEN_TEXT (NET_IP_TEXT + 16)
/* "tcp 192.0.2.1:80", "udp [::]:53"; ip->family AF_UNSPEC: "tcp 80".  Returns buf. */
const char *listen_text(int proto, const struct net_ip *ip, uint16_t port, char buf[LISTEN_TEXT]);

#endif
