/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/num.h"
#include "os/linux/network/net.h"
#include "os/linux/instance/ref.h"

int
net_ifname(const struct os_id *id, char buf[IFNAMSIZ], struct err *e)
{
	int n;

	n = id->tag[0] ? snprintf(buf, IFNAMSIZ, "b%s.%d", id->tag, id->jid)
		       : snprintf(buf, IFNAMSIZ, "brig%d", id->jid);
	if (n >= IFNAMSIZ)
		return err_set(e, ERANGE, "jid %d is too large for the name of an interface", id->jid);
	return 0;
}

void
net_alias(const struct os_id *id, char buf[NET_ALIAS_MAX])
{
	(void)snprintf(buf, NET_ALIAS_MAX, "brig:%s:%s:%d", id->tag, id->name, id->jid);
}

enum net_owner
net_owner(const struct os_id *id, const struct nl_link *link)
{
	char alias[NET_ALIAS_MAX];

	if (!streq(link->kind, "veth") || link->group != NET_GROUP)
		return NET_FOREIGN;
	net_alias(id, alias);
	return !link->alias[0] || streq(link->alias, alias) ? NET_OURS : NET_OTHER_JAIL;
}

bool
net_alias_jail(const struct nl_link *link, char name[64])
{
	const char *p = str_after(link->alias, "brig:");
	size_t n;

	if (link->group != NET_GROUP || !p || !(p = strchr(p, ':')))
		return false;
	n = strcspn(++p, ":");
	if (n >= 64)
		return false;
	memcpy(name, p, n);
	name[n] = '\0';
	return true;
}

bool
net_shared(const struct jailspec *spec)
{
	return spec->ip4 == SHARE_INHERIT || spec->ip6 == SHARE_INHERIT;
}

bool
net_is_loopback(const struct spec_addr *a)
{
	return a->family == AF_INET ? a->addr.s6_addr[0] == 127 : IN6_IS_ADDR_LOOPBACK(&a->addr);
}

struct net_ip
net_addr_ip(const struct spec_addr *a)
{
	return (struct net_ip){.family = a->family, .a = a->addr};
}

size_t
net_addrs(const struct jailspec *spec, int family, struct net_ip *ret_first)
{
	size_t n = 0;

	for (size_t i = 0; i < spec->n_addrs; i++) {
		const struct spec_addr *a = &spec->addrs[i];

		if ((family != AF_UNSPEC && a->family != family) || net_is_loopback(a))
			continue;
		if (n++ == 0 && ret_first)
			*ret_first = net_addr_ip(a);
	}
	return n;
}

const char *
net_addr_interface(const struct jailspec *spec, const struct spec_addr *a)
{
	return a->interface ? a->interface : spec->interface;
}

bool
net_has_ipv6(void)
{
	static int known = -1;
	int fd;

	if (known < 0) {
		fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		known = fd >= 0 || errno != EAFNOSUPPORT;
		fd_close(fd);
	}
	return known;
}

static int
sysctl_dir(const char *family, const char *ifname)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s", family, ifname);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
net_sysctl_get(const char *family, const char *ifname, const char *key)
{
	_auto_close int dir = sysctl_dir(family, ifname), fd = -EBADF;
	char text[16];
	ssize_t n;
	int value;

	if (dir < 0)
		return dir;
	fd = openat(dir, key, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return num_int(text, -1, 1 << 30, &value) < 0 ? -EIO : value;
}

int
net_sysctl_set(const char *family, const char *ifname, const struct net_setting *set, struct err *e)
{
	_auto_close int dir = sysctl_dir(family, ifname);
	char text[16];

	if (dir < 0)
		return err_sys(e, -dir, "net.%s.conf.%s", family, ifname);
	for (; set->key; set++) {
		_auto_close int fd = openat(dir, set->key, O_WRONLY | O_CLOEXEC);
		int n = snprintf(text, sizeof(text), "%d\n", set->value), r = fd < 0 ? -errno : 0;

		if (r == -ENOENT && set->optional)
			continue;
		if (r == 0)
			r = fsx_write_all(fd, text, (size_t)n);
		if (r < 0)
			return err_sys(e, -r, "set net.%s.conf.%s.%s", family, ifname, set->key);
	}
	return 0;
}

/*
 * Into the jail's network namespace: a child goes there and opens a netlink socket, which stays bound to that
 * namespace; this process never leaves its own.  The child shares memory and descriptors with us and we stand
 * still until it is done (as vfork(2)), so the socket is simply ours afterwards.  Nothing below /proc/sys/net
 * is touched inside: the kernel keeps an entry of each name for every namespace that was looked into, and
 * each further look-up walks along them.
 */
struct inside {
	int ns_fd, fd; /* where to, the socket */
	struct err err;
};

/* The network namespace of the process that ref names; it is not ours. */
static int
ns_open(const struct os_ref *ref, int *ret_fd, struct err *e)
{
	_auto_close int proc = -EBADF, fd = -EBADF, own = -EBADF;
	struct stat st, own_st;
	int r = ref_open(ref, &proc);

	if (r < 0)
		return ref_error(r, e);
	fd = openat(proc, "ns/net", O_RDONLY | O_CLOEXEC);
	own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || own < 0 || fstat(fd, &st) < 0 || fstat(own, &own_st) < 0)
		return err_sys(e, errno, "network namespace of the jail");
	if (st.st_ino == own_st.st_ino && st.st_dev == own_st.st_dev)
		return err_set(e, EINVAL, "the jail is in the host's network");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int
inside_child(void *arg)
{
	struct inside *in = arg;

	if (setns(in->ns_fd, CLONE_NEWNET) < 0)
		return err_sys(&in->err, errno, "enter the jail's network namespace");
	return nl_open(NETLINK_ROUTE, &in->fd, &in->err) < 0;
}

#define INSIDE_STACK 65536

static int
inside_open(int ns_fd, int *ret_fd, struct err *e)
{
	_auto_free char *stack = xcalloc(1, INSIDE_STACK);
	struct inside in = {.ns_fd = ns_fd, .fd = -EBADF, .err = ERR_INIT};
	int status, r;
	pid_t pid;

	pid = clone(inside_child, stack + INSIDE_STACK, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &in);
	if (pid < 0)
		return err_sys(e, errno, "clone");
	r = child_wait(pid, &status);
	if (in.err.num) {
		*e = in.err;
		return -e->num;
	}
	if (in.fd < 0)
		return err_sys(e, r < 0 ? -r : EIO, "enter the jail's network namespace");
	*ret_fd = in.fd;
	return 0;
}

/* One message; on failure "WHAT: the kernel's words". */
static int
tell(int fd, struct nlmsghdr *msg, struct err *e, const char *what, const char *object)
{
	return nl_do(fd, msg, NULL, NULL, e) < 0 ? err_wrap(e, "%s %s", what, object) : 0;
}

static struct net_ip
host_ip(int family)
{
	struct net_ip ip = {.family = family};

	(void)inet_pton(family, family == AF_INET ? NET_HOST4 : NET_HOST6, &ip.a);
	return ip;
}

/* A locally administered address, made from the jail's name and JID: the same at every start.  The host's
 * ends all have host_mac. */
static void
peer_mac(const struct os_id *id, uint8_t mac[6])
{
	char alias[NET_ALIAS_MAX];
	uint64_t h = 0xcbf29ce484222325U; /* FNV-1a */

	net_alias(id, alias);
	for (const char *p = alias; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3U;
	mac[0] = 0x02;
	for (int i = 1; i < 6; i++)
		mac[i] = (uint8_t)(h >> (8 * i));
}

static const uint8_t host_mac[6] = {0x02, 'b', 'r', 'i', 'g', 1};

/* Settings of our own interface, before it is up. */
static int
host_settings(const char *ifname, bool ip6, struct err *e)
{
	static const struct net_setting v4[] = {{"forwarding", 1, false},
						{"rp_filter", 1, false},
						{"accept_redirects", 0, false},
						{"send_redirects", 0, false},
						{0}};
	static const struct net_setting no_v6[] = {{"disable_ipv6", 1, false}, {0}};
	/* disable_ipv6: the host may have it off for all new interfaces.  force_forwarding (Linux 6.17)
	 * forwards what comes in here without net.ipv6.conf.all.forwarding; on an older kernel net_warnings()
	 * names that setting. */
	static const struct net_setting v6[] = {{"disable_ipv6", 0, false},
						{"addr_gen_mode", 1, false},
						{"accept_ra", 0, false},
						{"accept_redirects", 0, false},
						{"forwarding", 1, false},
						{"force_forwarding", 1, true},
						{0}};

	if (net_sysctl_set("ipv4", ifname, v4, e) < 0)
		return -e->num;
	return net_has_ipv6() ? net_sysctl_set("ipv6", ifname, ip6 ? v6 : no_v6, e) : 0;
}

static int
host_routes(int fd, int index, const struct jailspec *spec, struct err *e)
{
	char buf[NL_MSG], text[NET_IP_TEXT];

	for (size_t i = 0; i < spec->n_addrs; i++) {
		struct nl_route r = {.dst = net_addr_ip(&spec->addrs[i]),
				     .type = RTN_UNICAST,
				     .table = RT_TABLE_MAIN,
				     .index = index};

		if (net_is_loopback(&spec->addrs[i]))
			continue;
		r.prefix = (int)net_ip_len(r.dst.family) * 8;
		r.scope = r.dst.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
		if (tell(fd, nl_route_msg(buf, RTM_NEWROUTE, &r), e, "route to", net_ip_text(&r.dst, text)) <
		    0)
			return -e->num;
	}
	return 0;
}

static int
host_addrs(int fd, int index, const struct jailspec *spec, struct err *e)
{
	struct nl_addr a4 = {.index = index,
			     .ip = host_ip(AF_INET),
			     .prefix = 32,
			     .scope = RT_SCOPE_LINK,
			     .flags = IFA_F_PERMANENT};
	struct nl_addr a6 = {.index = index,
			     .ip = host_ip(AF_INET6),
			     .prefix = 128,
			     .scope = RT_SCOPE_LINK,
			     .flags = IFA_F_PERMANENT | IFA_F_NODAD | IFA_F_NOPREFIXROUTE};
	char buf[NL_MSG];

	if (net_addrs(spec, AF_INET, NULL) && tell(fd, nl_addr_msg(buf, &a4), e, "address", NET_HOST4) < 0)
		return -e->num;
	if (net_addrs(spec, AF_INET6, NULL))
		return tell(fd, nl_addr_msg(buf, &a6), e, "address", NET_HOST6);
	return 0;
}

/* Proxy neighbour entries: the host answers for the address on one of its links.  One that somebody else made
 * is left as it is. */
static int
host_proxies(int fd, const struct jailspec *spec, struct err *e)
{
	char buf[NL_MSG], text[NET_IP_TEXT];

	for (size_t i = 0; i < spec->n_addrs; i++) {
		const char *ifname = net_addr_interface(spec, &spec->addrs[i]);
		struct net_ip ip = net_addr_ip(&spec->addrs[i]);
		struct nl_link link = {0};
		int protocol, r;

		if (!ifname || streq(ifname, "lo") || net_is_loopback(&spec->addrs[i]))
			continue;
		r = nl_link_get(fd, ifname, 0, &link, e);
		if (r == 0)
			return err_set(e, ENODEV, "interface %s is gone", ifname);
		if (r > 0)
			r = nl_proxy_get(fd, link.index, &ip, &protocol, e);
		if (r == 0)
			r = tell(fd, nl_proxy_msg(buf, RTM_NEWNEIGH, link.index, &ip), e, "proxy neighbour",
				 net_ip_text(&ip, text));
		if (r < 0)
			return err_wrap(e, "interface %s", ifname);
	}
	return 0;
}

static int
host_side(int fd, const struct os_id *id, const struct jailspec *spec, const char *ifname, int ns_fd,
	  struct err *e)
{
	uint8_t mac[6];
	struct nl_veth v = {ifname, "eth0", host_mac, mac, NET_GROUP, ns_fd};
	struct nl_link_change up = {.up = true, .ns_fd = -1};
	struct nl_link link = {0};
	char buf[NL_MSG], alias[NET_ALIAS_MAX];
	int r;

	peer_mac(id, mac);
	net_alias(id, alias);
	r = nl_do(fd, nl_veth_msg(buf, &v), NULL, NULL, e);
	if (r == -EOPNOTSUPP)
		return err_set(e, EOPNOTSUPP, "the kernel has no veth interfaces: modprobe veth");
	if (r < 0)
		return r;
	r = nl_link_get(fd, ifname, 0, &link, e);
	if (r <= 0)
		return r < 0 ? r : err_set(e, ENODEV, "it was deleted while it was set up");
	up.index = link.index;
	up.alias = alias;
	if (host_settings(ifname, net_addrs(spec, AF_INET6, NULL) > 0, e) < 0 ||
	    tell(fd, nl_link_change_msg(buf, &up), e, "bring up", ifname) < 0 ||
	    host_addrs(fd, link.index, spec, e) < 0 || host_routes(fd, link.index, spec, e) < 0)
		return -e->num;
	return host_proxies(fd, spec, e);
}

static int
jail_default_route(int fd, int index, const struct jailspec *spec, int family, struct err *e)
{
	struct nl_route r = {.dst.family = family,
			     .type = RTN_UNICAST,
			     .table = RT_TABLE_MAIN,
			     .scope = RT_SCOPE_UNIVERSE,
			     .index = index,
			     .has_via = true,
			     .has_src = true,
			     .onlink = true};
	char buf[NL_MSG];

	if (!net_addrs(spec, family, &r.src))
		return 0;
	r.via = host_ip(family);
	return tell(fd, nl_route_msg(buf, RTM_NEWROUTE, &r), e, "default route", "in the jail");
}

static int
jail_side(int fd, const struct jailspec *spec, struct err *e)
{
	struct nl_link_change quiet = {.no_own_ip6 = true, .ns_fd = -1}, up = {.up = true, .ns_fd = -1};
	struct nl_link eth0 = {0};
	char buf[NL_MSG], text[NET_IP_TEXT];
	int r;

	r = nl_link_get(fd, "eth0", 0, &eth0, e);
	if (r <= 0)
		return r < 0 ? r : err_set(e, ENODEV, "eth0 of the jail is gone");
	quiet.index = up.index = eth0.index;
	if ((net_has_ipv6() &&
	     tell(fd, nl_link_change_msg(buf, &quiet), e, "set up", "eth0 in the jail") < 0) ||
	    tell(fd, nl_link_change_msg(buf, &up), e, "bring up", "eth0 in the jail") < 0)
		return -e->num;
	for (size_t i = 0; i < spec->n_addrs; i++) {
		const struct spec_addr *s = &spec->addrs[i];
		/* no route for the prefix: whatever it is, only the host is on this link */
		struct nl_addr a = {.index = eth0.index,
				    .ip = net_addr_ip(s),
				    .prefix = s->prefix,
				    .scope = RT_SCOPE_UNIVERSE,
				    .flags = IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE};

		if (net_is_loopback(s))
			continue;
		a.flags |= s->family == AF_INET6 ? IFA_F_NODAD : 0;
		if (tell(fd, nl_addr_msg(buf, &a), e, "address", net_ip_text(&a.ip, text)) < 0)
			return -e->num;
	}
	if (jail_default_route(fd, eth0.index, spec, AF_INET, e) < 0)
		return -e->num;
	return jail_default_route(fd, eth0.index, spec, AF_INET6, e);
}

/* Moves an interface by name from the namespace of fd to ns_fd.  0 moved, 1 it is not there. */
static int
move_link(int fd, const char *name, int ns_fd, struct err *e)
{
	struct nl_link_change c = {.ns_fd = ns_fd};
	struct nl_link link = {0};
	char buf[NL_MSG];
	int r = nl_link_get(fd, name, 0, &link, e);

	if (r <= 0)
		return r < 0 ? r : 1;
	c.index = link.index;
	return tell(fd, nl_link_change_msg(buf, &c), e, "move interface", name);
}

static int
move_back(int inner, const struct jailspec *spec, struct err *e)
{
	_auto_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int failed = 0;

	if (own < 0)
		return err_sys(e, errno, "/proc/self/ns/net");
	for (size_t i = 0; i < spec->vnet_interface.n; i++) {
		int r = move_link(inner, spec->vnet_interface.v[i], own, e);

		failed = r < 0 ? r : failed;
	}
	return failed;
}

static int
move_in(int fd, int inner, int ns_fd, const struct jailspec *spec, struct err *e)
{
	for (size_t i = 0; i < spec->vnet_interface.n; i++) {
		struct err ignored = ERR_INIT;
		int r = move_link(fd, spec->vnet_interface.v[i], ns_fd, e);

		if (r == 0)
			continue;
		if (r == 1)
			r = err_set(e, ENODEV, "vnet.interface: interface %s is gone",
				    spec->vnet_interface.v[i]);
		(void)move_back(inner, spec, &ignored);
		return r;
	}
	return 0;
}

static int
lo_up(int inner, struct err *e)
{
	struct nl_link_change lo = {.index = 1, .up = true, .ns_fd = -1}; /* lo is always 1 */
	char buf[NL_MSG];

	return tell(inner, nl_link_change_msg(buf, &lo), e, "bring up", "lo in the jail");
}

static int
remove_link(int fd, const struct os_id *id, const char *ifname, struct err *e)
{
	struct nl_link link = {0};
	char buf[NL_MSG];
	int r = nl_link_get(fd, ifname, 0, &link, e);

	if (r <= 0 || net_owner(id, &link) != NET_OURS)
		return r < 0 ? r : 0;
	r = nl_do(fd, nl_link_del_msg(buf, link.index), NULL, NULL, e);
	if (r < 0 && r != -ENODEV) /* the jail's end went, and took it along */
		return err_wrap(e, "delete interface %s", ifname);
	return 0;
}

static int
net_up(const struct os_id *id, const struct jailspec *spec, const struct os_ref *ref, struct strv *warnings,
       struct err *e)
{
	_auto_close int fd = -EBADF, inner = -EBADF, ns_fd = -EBADF;
	char ifname[IFNAMSIZ];

	if (ns_open(ref, &ns_fd, e) < 0)
		return -e->num;
	if (inside_open(ns_fd, &inner, e) < 0 || nl_open(NETLINK_ROUTE, &fd, e) < 0 || lo_up(inner, e) < 0)
		return -e->num;
	if (net_addrs(spec, AF_UNSPEC, NULL)) {
		if (net_ifname(id, ifname, e) < 0 || remove_link(fd, id, ifname, e) < 0)
			return -e->num;
		if (host_side(fd, id, spec, ifname, ns_fd, e) < 0)
			return err_wrap(e, "interface %s", ifname);
		if (jail_side(inner, spec, e) < 0)
			return -e->num;
	}
	if (spec->vnet && move_in(fd, inner, ns_fd, spec, e) < 0)
		return -e->num;
	return net_warnings(spec, fd, warnings, e);
}

int
os_net_up(const struct os_id *id, const struct jailspec *spec, const struct os_ref *ref,
	  struct strv *warnings, struct err *e)
{
	struct err ignored = ERR_INIT;
	int r;

	if (net_shared(spec))
		return 0;
	r = net_up(id, spec, ref, warnings, e);
	if (r < 0)
		(void)os_net_down(id, spec, NULL, &ignored);
	return r < 0 ? err_wrap(e, "network") : 0;
}

/* Interfaces of vnet.interface, back to the host. */
static int
give_back(const struct jailspec *spec, const struct os_ref *ref, struct err *e)
{
	_auto_close int inner = -EBADF, ns_fd = -EBADF;

	if (!ref || !spec->vnet || !spec->vnet_interface.n)
		return 0;
	if (ns_open(ref, &ns_fd, e) < 0)
		return e->num == ESRCH ? 0 : -e->num; /* the namespace is gone, and what was in it */
	if (inside_open(ns_fd, &inner, e) < 0 || move_back(inner, spec, e) < 0)
		return err_wrap(e, "vnet.interface");
	return 0;
}

static int
remove_proxies(int fd, const struct jailspec *spec, struct err *e)
{
	char buf[NL_MSG];

	for (size_t i = 0; i < spec->n_addrs; i++) {
		const char *ifname = net_addr_interface(spec, &spec->addrs[i]);
		struct net_ip ip = net_addr_ip(&spec->addrs[i]);
		struct nl_link link = {0};
		int protocol = 0, r;

		if (!ifname)
			continue;
		r = nl_link_get(fd, ifname, 0, &link, e);
		if (r > 0)
			r = nl_proxy_get(fd, link.index, &ip, &protocol, e);
		if (r > 0 && protocol == NL_PROTO_BRIG)
			r = nl_do(fd, nl_proxy_msg(buf, RTM_DELNEIGH, link.index, &ip), NULL, NULL, e);
		if (r < 0 && r != -ENOENT && r != -ENODEV)
			return err_wrap(e, "interface %s", ifname);
	}
	return 0;
}

int
os_net_down(const struct os_id *id, const struct jailspec *spec, const struct os_ref *ref, struct err *e)
{
	_auto_close int fd = -EBADF;
	char ifname[IFNAMSIZ];
	int r;

	if (net_shared(spec))
		return 0;
	if (give_back(spec, ref, e) < 0)
		return -e->num;
	if (!net_addrs(spec, AF_UNSPEC, NULL))
		return 0;
	if (net_ifname(id, ifname, e) < 0)
		return 0; /* then it was never made */
	r = nl_open(NETLINK_ROUTE, &fd, e);
	if (r == 0)
		r = remove_proxies(fd, spec, e);
	if (r == 0)
		r = remove_link(fd, id, ifname, e);
	return r < 0 ? err_wrap(e, "network") : 0;
}
