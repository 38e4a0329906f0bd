/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What net.c, netcheck.c and fw.c share: names of a jail's network on the host, and which of its addresses
 * are routed.
 *
 * A jail with addresses has a veth pair of its own: "brig3" (or "bTAG.3") on the host, and eth0, which is
 * made in the jail's network namespace.  The host's end has 169.254.1.1 and fe80::1; each address of the
 * jail is a host route to it, and the jail's default route leads to it.  Nothing else of the host is
 * touched: forwarding, rp_filter and the like are set on our own interface only.  All of it goes with the
 * interface; what does not (proxy neighbours, firewall elements) is marked as brig's and is found again from
 * the specification.
 *
 * Ours is an interface of the kind veth, in the group NET_GROUP (set when it is made, so that there is no
 * moment without the mark) and with the alias "brig:TAG:NAME:JID" (set right after).
 */
#ifndef BRIG_OS_LINUX_NETWORK_NET_H
#define BRIG_OS_LINUX_NETWORK_NET_H

#include "os/linux/network/netlink.h"
#include "os/network.h"

#define NET_GROUP 1651665255U /* "brig" */
#define NET_HOST4 "169.254.1.1"
#define NET_HOST6 "fe80::1"
#define NET_ALIAS_MAX 160

/* The host's end of the jail's veth pair: -ERANGE when the jid is too long for a name. */
int net_ifname(const struct os_id *id, char buf[IFNAMSIZ], struct err *e);
void net_alias(const struct os_id *id, char buf[NET_ALIAS_MAX]);

enum net_owner { NET_FOREIGN, NET_OTHER_JAIL, NET_OURS };
/* Whose interface is it?  Ours also without alias: its maker died in between. */
enum net_owner net_owner(const struct os_id *id, const struct nl_link *link);
/* The jail's name in the alias of an interface of any installation; false: not a jail's. */
bool net_alias_jail(const struct nl_link *link, char name[64]);

/* The jail shares the host's network: nothing of this is done for it. */
bool net_shared(const struct jailspec *spec);
/* Is it an address of the loopback network, which every jail has for itself? */
bool net_is_loopback(const struct spec_addr *a);
/* Number of routed addresses of that family (AF_UNSPEC: both); ret_first (may be NULL) is the primary one. */
size_t net_addrs(const struct jailspec *spec, int family, struct net_ip *ret_first);
struct net_ip net_addr_ip(const struct spec_addr *a);
/* The interface of the host that the address was given for, or NULL. */
const char *net_addr_interface(const struct jailspec *spec, const struct spec_addr *a);

/* Settings /proc/sys/net/FAMILY/conf/IF/KEY of the namespace we are in; family "ipv4" or "ipv6". */
struct net_setting {
	const char *key; /* NULL ends the list */
	int value;
	bool optional; /* older kernels do not have it */
};
int net_sysctl_get(const char *family, const char *ifname, const char *key); /* the value, or -errno */
int net_sysctl_set(const char *family, const char *ifname, const struct net_setting *set, struct err *e);
bool net_has_ipv6(void);

/* Warns of settings of the host that keep the jail's network from working; the administrator's to change. */
int net_warnings(const struct jailspec *spec, int fd, struct strv *warnings, struct err *e);

/* The firewall part of os_net_check: nft, rdr ports taken by others.  fd: a NETLINK_ROUTE socket. */
int fw_check(const struct os_id *id, const struct jailspec *spec, int fd, struct err *e);
/* Does this jail get firewall rules?  need: it cannot do without. */
bool fw_wanted(const struct jailspec *spec, bool *ret_need);
bool fw_have_nft(void);
/* The text for nft(8) that adds the jail's elements; whole: after the table itself. */
void fw_text(const struct os_id *id, const struct jailspec *spec, bool whole, struct buf *ret);

#endif
