/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few rtnetlink and nf_tables messages that a jail's network needs.
 *
 * A message is built into the caller's buffer of NL_MSG bytes by one of the nl_*_msg functions and sent with
 * nl_do(), which waits for the kernel's answer.  Builders cannot fail: every attribute has a bounded size.
 * A socket stays in the network namespace that it was opened in, whatever its holder does later.
 * The text of an extended acknowledgement (Linux 4.12) goes into the message of the error.
 * Facts: rtnetlink(7), netlink(7), linux/if_link.h, linux/netfilter/nf_tables.h.
 */
#ifndef BRIG_OS_LINUX_NETWORK_NETLINK_H
#define BRIG_OS_LINUX_NETWORK_NETLINK_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/netlink.h>

#include "base/err.h"

#define NL_MSG 2048

struct net_ip {
	int family;        /* AF_INET, AF_INET6 */
	struct in6_addr a; /* AF_INET: its first four bytes */
};
#define NET_IP_TEXT INET6_ADDRSTRLEN
const char *net_ip_text(const struct net_ip *ip, char buf[NET_IP_TEXT]); /* returns buf */
static inline size_t
net_ip_len(int family)
{
	return family == AF_INET ? 4 : 16;
}

/* protocol: NETLINK_ROUTE or NETLINK_NETFILTER.  In the caller's network namespace. */
int nl_open(int protocol, int *ret_fd, struct err *e);
/* Sends a request and reads until it is acknowledged.  each() gets every answer but the acknowledgement
 * (NULL: they are skipped), and stops the reading by returning non-zero.  The message of an error is the
 * kernel's: the caller wraps it with what was being done. */
int nl_do(int fd, struct nlmsghdr *msg, int (*each)(const struct nlmsghdr *, void *), void *ctx,
	  struct err *e);

/* Links */
struct nl_link {
	int index;
	uint32_t group;
	char name[IFNAMSIZ], kind[16], alias[256];
};
struct nl_veth {
	const char *name, *peer_name;
	const uint8_t *mac, *peer_mac; /* given, or udev would set others later (systemd.link(5)) */
	uint32_t group;
	int peer_ns_fd;
};
struct nl_link_change {
	int index;
	bool up;
	bool no_own_ip6;   /* no link-local address by the kernel; to be set before it is up */
	const char *alias; /* NULL: as it is */
	int ns_fd;         /* <0: stays where it is */
};
struct nlmsghdr *nl_link_get_msg(void *buf, const char *name, int index); /* name NULL: by index */
struct nlmsghdr *nl_veth_msg(void *buf, const struct nl_veth *v);
struct nlmsghdr *nl_link_change_msg(void *buf, const struct nl_link_change *c);
struct nlmsghdr *nl_link_del_msg(void *buf, int index);
void nl_link_parse(const struct nlmsghdr *msg, struct nl_link *ret);
int nl_link_get(int fd, const char *name, int index, struct nl_link *ret, struct err *e); /* 1, 0 none */

/* Addresses */
struct nl_addr {
	int index;
	struct net_ip ip;
	int prefix;
	uint8_t scope;  /* RT_SCOPE_* */
	uint32_t flags; /* IFA_F_* */
};
struct nlmsghdr *nl_addr_msg(void *buf, const struct nl_addr *a);

/* Routes */
struct nl_route {
	struct net_ip dst; /* family is always set */
	int prefix;        /* 0: the default route */
	uint8_t type, table, scope;
	int index;
	uint32_t metric; /* 0: the kernel's default */
	bool has_via, has_src, onlink;
	struct net_ip via, src;
};
struct nlmsghdr *nl_route_msg(void *buf, uint16_t type,
			      const struct nl_route *r); /* RTM_NEWROUTE, RTM_DELROUTE */
struct nlmsghdr *nl_route_get_msg(void *buf, const struct net_ip *dst);
/* The route that a packet for dst would take: 1 and its type, table and index; 0: there is none. */
int nl_route_get(int fd, const struct net_ip *dst, struct nl_route *ret, struct err *e);

/* Proxy neighbours: the host answers ARP or neighbour solicitations for ip on that link.  The protocol number
 * (Linux 5.0) tells ours from those of others. */
#define NL_PROTO_BRIG 98
struct nlmsghdr *nl_proxy_msg(void *buf, uint16_t type, int index, const struct net_ip *ip);
int nl_proxy_get(int fd, int index, const struct net_ip *ip, int *ret_protocol,
		 struct err *e); /* 1, 0 none */

/* nf_tables, family inet: reading only; changes go through nft(8) as text. */
struct nlmsghdr *nl_nft_table_msg(void *buf, const char *table);
/* key NULL: all elements (ended early by the callback) */
struct nlmsghdr *nl_nft_elem_msg(void *buf, const char *table, const char *set, const void *key, size_t len);
/* Value of the first element in an answer; returns its length, 0 for a set or a verdict. */
size_t nl_nft_elem_value(const struct nlmsghdr *msg, void *value, size_t size);
/* Number of elements in an answer, and the key of the last one (filled up with zeros). */
size_t nl_nft_elem_count(const struct nlmsghdr *msg, void *key, size_t size);
/* Calls fn for each element in an answer that has this comment, with its key. */
void nl_nft_elem_commented(const struct nlmsghdr *msg, const char *comment,
			   void (*fn)(void *ctx, const void *key, size_t len), void *ctx);

#endif
