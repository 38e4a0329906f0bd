/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be checked of a jail's network before anything of it is made, and warnings about settings of the
 * host that keep it from working.  Asks the kernel for single objects, never for lists: the thousandth jail
 * costs what the first did.
 */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "os/linux/network/net.h"

/* Addresses that nobody has: the withdrawn 6to4 relay (RFC 7526), and one that is not allocated.  The
 * route to them is the default route.  They are looked up, never sent to. */
#define FAR4 "192.88.99.1"
#define FAR6 "2000::1"

static int
check_name(const struct os_id *id, int fd, struct err *e)
{
	struct nl_link link = {0};
	char ifname[IFNAMSIZ], jail[64];
	int r;

	if (net_ifname(id, ifname, e) < 0)
		return -e->num;
	r = nl_link_get(fd, ifname, 0, &link, e);
	if (r <= 0)
		return r;
	switch (net_owner(id, &link)) {
	case NET_OURS:
		return 0; /* left behind; os_net_up replaces it */
	case NET_OTHER_JAIL:
		if (net_alias_jail(&link, jail))
			return err_set(e, EEXIST, "interface %s belongs to jail %s: stop that jail first",
				       ifname, jail);
		/* fallthrough */
	default:
		return err_set(
		    e, EEXIST,
		    "interface %s exists already and is not brig's: 'ip link delete %s', or give the jail "
		    "another jid",
		    ifname, ifname);
	}
}

static int
check_unicast(const struct os_id *id, const struct net_ip *ip, const struct nl_link *via, struct err *e)
{
	char text[NET_IP_TEXT], jail[64];

	/* no jail has it: the host has a route to some network, of which the jail takes this address */
	if (!net_alias_jail(via, jail) || net_owner(id, via) == NET_OURS)
		return 0;
	return err_set(e, EADDRINUSE, "%s is an address of jail %s already (interface %s)",
		       net_ip_text(ip, text), jail, via->name);
}

static int
check_addr(const struct os_id *id, int fd, const struct net_ip *ip, struct err *e)
{
	struct nl_route route;
	struct nl_link via = {0};
	char text[NET_IP_TEXT];
	int r = nl_route_get(fd, ip, &route, e);

	if (r <= 0)
		return r;
	r = nl_link_get(fd, NULL, route.index, &via, e);
	if (r < 0)
		return r;
	net_ip_text(ip, text);
	switch (route.type) {
	case RTN_LOCAL:
		return err_set(
		    e, EADDRINUSE,
		    "%s is an address of the host: a jail needs one of its own ('ip address del' takes it "
		    "from the host), or ip%c=inherit to share the host's",
		    text, ip->family == AF_INET ? '4' : '6');
	case RTN_BROADCAST:
	case RTN_MULTICAST:
	case RTN_ANYCAST:
		return err_set(e, EADDRNOTAVAIL, "%s is a broadcast, multicast or anycast address here%s%s",
			       text, via.name[0] ? ": interface " : "", via.name);
	case RTN_UNICAST:
		return check_unicast(id, ip, &via, e);
	default:
		return 0;
	}
}

static int
check_addrs(const struct os_id *id, const struct jailspec *spec, int fd, struct err *e)
{
	for (size_t i = 0; i < spec->n_addrs; i++) {
		const struct spec_addr *a = &spec->addrs[i];
		const char *ifname = net_addr_interface(spec, a);
		struct net_ip ip = net_addr_ip(a);
		struct nl_link link = {0};
		char text[NET_IP_TEXT];
		int r;

		if (net_is_loopback(a))
			continue;
		if (a->family == AF_INET6 && !net_has_ipv6())
			return err_set(e, EAFNOSUPPORT,
				       "%s: this host's kernel has IPv6 off (ipv6.disable=1?)",
				       net_ip_text(&ip, text));
		if (check_addr(id, fd, &ip, e) < 0)
			return -e->num;
		if (!ifname)
			continue;
		r = nl_link_get(fd, ifname, 0, &link, e);
		if (r == 0)
			return err_set(
			    e, ENODEV,
			    "%s: there is no interface %s on this host; without one the host routes the "
			    "address itself",
			    net_ip_text(&ip, text), ifname);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The interface of the host's default route: 1, 0 none. */
static int
default_link(int fd, int family, struct nl_link *ret, struct err *e)
{
	struct net_ip ip = {.family = family};
	struct nl_route route;
	int r;

	(void)inet_pton(family, family == AF_INET ? FAR4 : FAR6, &ip.a);
	r = nl_route_get(fd, &ip, &route, e);
	if (r <= 0 || route.type != RTN_UNICAST)
		return r < 0 ? r : 0;
	return nl_link_get(fd, NULL, route.index, ret, e);
}

static int
check_vnet(const struct jailspec *spec, int fd, struct err *e)
{
	struct nl_link link = {0}, out4 = {0}, out6 = {0};

	if (!spec->vnet || !spec->vnet_interface.n)
		return 0;
	if (default_link(fd, AF_INET, &out4, e) < 0 ||
	    (net_has_ipv6() && default_link(fd, AF_INET6, &out6, e) < 0))
		return -e->num;
	for (size_t i = 0; i < spec->vnet_interface.n; i++) {
		const char *name = spec->vnet_interface.v[i];
		int r = strlen(name) < IFNAMSIZ ? nl_link_get(fd, name, 0, &link, e) : 0;

		if (r < 0)
			return r;
		if (r == 0)
			return err_set(e, ENODEV, "vnet.interface: there is no interface %s on this host",
				       name);
		if (link.index == out4.index || link.index == out6.index)
			return err_set(
			    e, EBUSY,
			    "vnet.interface: %s carries the host's default route: the host would lose its "
			    "network",
			    name);
	}
	return 0;
}

int
os_net_check(const struct os_id *id, const struct jailspec *spec, struct err *e)
{
	_auto_close int fd = -EBADF;

	if (net_shared(spec))
		return 0;
	if (spec->n_rdr && !net_addrs(spec, AF_UNSPEC, NULL))
		return err_set(e, EINVAL, "rdr needs an address to redirect to: set ip4.addr or ip6.addr");
	if (nl_open(NETLINK_ROUTE, &fd, e) < 0)
		return -e->num;
	if (net_addrs(spec, AF_UNSPEC, NULL) &&
	    (check_name(id, fd, e) < 0 || check_addrs(id, spec, fd, e) < 0))
		return -e->num;
	if (check_vnet(spec, fd, e) < 0)
		return -e->num;
	return fw_check(id, spec, fd, e);
}

static bool
forwards6(const char *ifname)
{
	return net_sysctl_get("ipv6", "all", "forwarding") > 0 ||
	       net_sysctl_get("ipv6", ifname, "force_forwarding") > 0;
}

/* The setting that lets IPv6 in from ifname: of that interface alone where the kernel has it (Linux 6.17). */
static void
advise6(struct strv *warnings, const char *what, const char *ifname, const char *consequence)
{
	if (net_sysctl_get("ipv6", ifname, "force_forwarding") >= 0)
		strv_addf(warnings,
			  "%s: %s does not forward IPv6, so %s: sysctl net.ipv6.conf.%s.force_forwarding=1",
			  what, ifname, consequence, ifname);
	else
		strv_addf(warnings,
			  "%s: the host does not forward IPv6, so %s: sysctl net.ipv6.conf.all.forwarding=1",
			  what, consequence);
}

static void
warn_forwarding(struct strv *warnings, int family, const char *what, const char *ifname,
		const char *consequence)
{
	if (family == AF_INET6) {
		if (!forwards6(ifname))
			advise6(warnings, what, ifname, consequence);
	} else if (net_sysctl_get("ipv4", ifname, "forwarding") == 0) {
		strv_addf(warnings,
			  "%s: %s does not forward IPv4, so %s: sysctl net.ipv4.conf.%s.forwarding=1", what,
			  ifname, consequence, ifname);
	}
}

static int
warn_outside(const struct jailspec *spec, int fd, int family, struct strv *warnings, struct err *e)
{
	struct nl_link out = {0};
	int r;

	if (!net_addrs(spec, family, NULL) || (!spec->nat && !spec->n_rdr))
		return 0;
	r = default_link(fd, family, &out, e);
	if (r <= 0)
		return r;
	if (spec->nat)
		warn_forwarding(warnings, family, "nat", out.name, "replies from outside are dropped");
	else
		warn_forwarding(warnings, family, "rdr", out.name, "connections from outside are dropped");
	return 0;
}

static void
warn_addr(const struct jailspec *spec, const struct spec_addr *a, struct strv *warnings)
{
	const char *ifname = net_addr_interface(spec, a);
	struct net_ip ip = net_addr_ip(a);
	char text[NET_IP_TEXT];

	net_ip_text(&ip, text);
	if (net_is_loopback(a)) {
		strv_addf(
		    warnings,
		    "%s: every jail has a loopback network of its own; the host does not reach this one",
		    text);
		return;
	}
	if (!ifname || streq(ifname, "lo"))
		return;
	warn_forwarding(warnings, a->family, text, ifname, "packets for the jail are dropped");
	if (a->family == AF_INET6 && net_sysctl_get("ipv6", ifname, "proxy_ndp") == 0 &&
	    net_sysctl_get("ipv6", "all", "proxy_ndp") == 0)
		strv_addf(warnings,
			  "%s: %s does not answer neighbour solicitations for it: sysctl "
			  "net.ipv6.conf.%s.proxy_ndp=1",
			  text, ifname, ifname);
}

int
net_warnings(const struct jailspec *spec, int fd, struct strv *warnings, struct err *e)
{
	bool need;

	if (!warnings)
		return 0;
	for (size_t i = 0; i < spec->n_addrs; i++)
		warn_addr(spec, &spec->addrs[i], warnings);
	if (net_addrs(spec, AF_INET6, NULL) && net_sysctl_get("ipv6", "all", "forwarding") == 0 &&
	    net_sysctl_get("ipv6", "all", "force_forwarding") < 0)
		strv_add(warnings,
			 "ip6.addr: only the host reaches the jail by IPv6, other jails do not: sysctl "
			 "net.ipv6.conf.all.forwarding=1");
	if (fw_wanted(spec, &need) && !need && !fw_have_nft())
		strv_add(
		    warnings,
		    "nft is missing, so the jail can send packets with a foreign source address: apt-get "
		    "install nftables");
	if (warn_outside(spec, fd, AF_INET, warnings, e) < 0)
		return -e->num;
	return net_has_ipv6() ? warn_outside(spec, fd, AF_INET6, warnings, e) : 0;
}
