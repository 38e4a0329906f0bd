/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include "os/linux/network/netlink.h"

#define MAX_ERRNO 4095 /* the kernel's */

const char *
net_ip_text(const struct net_ip *ip, char buf[NET_IP_TEXT])
{
	if (!inet_ntop(ip->family, &ip->a, buf, NET_IP_TEXT))
		buf[0] = '\0';
	return buf;
}

int
nl_open(int protocol, int *ret_fd, struct err *e)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK};
	_auto_close int fd = -EBADF;
	int one = 1;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(e, errno, "netlink");
	/* For better messages only: a kernel that refuses them is no error. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The kernel's own words after an error, or NULL. */
static const char *
ack_text(const struct nlmsghdr *msg)
{
	const struct nlmsgerr *ack = mnl_nlmsg_get_payload(msg);
	size_t skip = sizeof(*ack);
	const struct nlattr *a;

	if (!(msg->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(msg->nlmsg_flags & NLM_F_CAPPED)) {
		if (ack->msg.nlmsg_len < sizeof(ack->msg) || ack->msg.nlmsg_len > msg->nlmsg_len)
			return NULL;
		skip += ack->msg.nlmsg_len - sizeof(ack->msg);
	}
	mnl_attr_for_each(a, msg, skip) if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
					    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >=
						0) return mnl_attr_get_str(a);
	return NULL;
}

static int
ack_result(const struct nlmsghdr *msg, struct err *e)
{
	const struct nlmsgerr *ack = mnl_nlmsg_get_payload(msg);
	const char *text;

	if (msg->nlmsg_len < mnl_nlmsg_size(sizeof(*ack)))
		return err_set(e, EBADMSG, "netlink: truncated answer");
	if (ack->error == 0)
		return 0;
	if (ack->error > 0 || ack->error < -MAX_ERRNO)
		return err_set(e, EBADMSG, "netlink: malformed answer");
	text = ack_text(msg);
	if (text)
		return err_set(e, -ack->error, "%s (%s)", strerror(-ack->error), text);
	return err_set(e, -ack->error, "%s", strerror(-ack->error));
}

/* 1 go on reading, 0 the request is answered. */
static int
take_answer(const struct nlmsghdr *msg, int (*each)(const struct nlmsghdr *, void *), void *ctx,
	    struct err *e)
{
	if (msg->nlmsg_type == NLMSG_ERROR)
		return ack_result(msg, e);
	if (msg->nlmsg_type == NLMSG_DONE)
		return 0;
	if (msg->nlmsg_type < NLMSG_MIN_TYPE || !each)
		return 1;
	return each(msg, ctx) == 0;
}

/* Is there a whole message?  mnl_nlmsg_ok() takes a length of 2 GiB and more for a negative one. */
static bool
message_ok(const struct nlmsghdr *h, int left)
{
	return mnl_nlmsg_ok(h, left) && h->nlmsg_len <= (uint32_t)left;
}

/* The answers in one datagram.  1 go on reading. */
static int
take_answers(const void *buf, size_t n, uint32_t seq, int (*each)(const struct nlmsghdr *, void *), void *ctx,
	     struct err *e)
{
	int left = (int)n;

	for (const struct nlmsghdr *h = buf; message_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		int r = h->nlmsg_seq == seq ? take_answer(h, each, ctx, e) : 1;

		if (r <= 0)
			return r;
	}
	return 1;
}

int
nl_do(int fd, struct nlmsghdr *msg, int (*each)(const struct nlmsghdr *, void *), void *ctx, struct err *e)
{
	static uint32_t seq;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	char buf[32768] __attribute__((aligned(8)));

	msg->nlmsg_seq = ++seq;
	msg->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (sendto(fd, msg, msg->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return err_sys(e, errno, "netlink");
	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(e, n < 0 ? errno : EPIPE, "netlink");
		if (from.nl_pid != 0) /* not the kernel */
			continue;
		r = take_answers(buf, (size_t)n, msg->nlmsg_seq, each, ctx, e);
		if (r <= 0)
			return r;
	}
}

/* 0 for an attribute that is too short for one. */
static uint32_t
attr_u32(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) < sizeof(uint32_t) ? 0 : mnl_attr_get_u32(a);
}

static struct nlmsghdr *
start(void *buf, uint16_t type, uint16_t flags, size_t extra_len, void **ret_extra)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);

	m->nlmsg_type = type;
	m->nlmsg_flags = NLM_F_REQUEST | flags;
	*ret_extra = mnl_nlmsg_put_extra_header(m, extra_len); /* zeroed */
	return m;
}

static void
put_ip(struct nlmsghdr *m, uint16_t attr, const struct net_ip *ip)
{
	mnl_attr_put(m, attr, net_ip_len(ip->family), &ip->a);
}

struct nlmsghdr *
nl_link_get_msg(void *buf, const char *name, int index)
{
	struct ifinfomsg *i;
	struct nlmsghdr *m = start(buf, RTM_GETLINK, 0, sizeof(*i), (void **)&i);

	i->ifi_index = name ? 0 : index;
	mnl_attr_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (name)
		mnl_attr_put_strz(m, IFLA_IFNAME, name);
	return m;
}

struct nlmsghdr *
nl_veth_msg(void *buf, const struct nl_veth *v)
{
	struct ifinfomsg *i;
	struct nlmsghdr *m = start(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*i), (void **)&i);
	struct nlattr *info, *data, *peer;

	mnl_attr_put_strz(m, IFLA_IFNAME, v->name);
	mnl_attr_put(m, IFLA_ADDRESS, 6, v->mac);
	mnl_attr_put_u32(m, IFLA_GROUP, v->group);
	info = mnl_attr_nest_start(m, IFLA_LINKINFO);
	mnl_attr_put_strz(m, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(m, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(m, VETH_INFO_PEER);
	/* the peer's, zeroed: it cannot be brought up before both ends exist */
	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(m, IFLA_IFNAME, v->peer_name);
	mnl_attr_put(m, IFLA_ADDRESS, 6, v->peer_mac);
	mnl_attr_put_u32(m, IFLA_NET_NS_FD, (uint32_t)v->peer_ns_fd);
	mnl_attr_nest_end(m, peer);
	mnl_attr_nest_end(m, data);
	mnl_attr_nest_end(m, info);
	return m;
}

struct nlmsghdr *
nl_link_change_msg(void *buf, const struct nl_link_change *c)
{
	struct ifinfomsg *i;
	struct nlmsghdr *m = start(buf, RTM_NEWLINK, 0, sizeof(*i), (void **)&i);
	struct nlattr *families, *inet6;

	i->ifi_index = c->index;
	if (c->up)
		i->ifi_flags = i->ifi_change = IFF_UP;
	if (c->alias)
		mnl_attr_put_strz(m, IFLA_IFALIAS, c->alias);
	if (c->ns_fd >= 0)
		mnl_attr_put_u32(m, IFLA_NET_NS_FD, (uint32_t)c->ns_fd);
	if (c->no_own_ip6) {
		families = mnl_attr_nest_start(m, IFLA_AF_SPEC);
		inet6 = mnl_attr_nest_start(m, AF_INET6);
		mnl_attr_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
		mnl_attr_nest_end(m, inet6);
		mnl_attr_nest_end(m, families);
	}
	return m;
}

struct nlmsghdr *
nl_link_del_msg(void *buf, int index)
{
	struct ifinfomsg *i;
	struct nlmsghdr *m = start(buf, RTM_DELLINK, 0, sizeof(*i), (void **)&i);

	i->ifi_index = index;
	return m;
}

static void
copy_str(char *dst, size_t size, const struct nlattr *a)
{
	size_t n = mnl_attr_get_payload_len(a);

	n = n < size ? n : size - 1;
	memcpy(dst, mnl_attr_get_payload(a), n);
	dst[n] = '\0';
}

void
nl_link_parse(const struct nlmsghdr *msg, struct nl_link *ret)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(msg);
	const struct nlattr *a, *b;

	memset(ret, 0, sizeof(*ret));
	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*i))
		return;
	ret->index = i->ifi_index;
	mnl_attr_for_each(a, msg, sizeof(*i))
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			copy_str(ret->name, sizeof(ret->name), a);
			break;
		case IFLA_IFALIAS:
			copy_str(ret->alias, sizeof(ret->alias), a);
			break;
		case IFLA_GROUP:
			ret->group = attr_u32(a);
			break;
		case IFLA_LINKINFO:
			mnl_attr_for_each_nested(b, a) if (mnl_attr_get_type(b) == IFLA_INFO_KIND)
			    copy_str(ret->kind, sizeof(ret->kind), b);
			break;
		default:
			break;
		}
	}
}

static int
each_link(const struct nlmsghdr *msg, void *ctx)
{
	if (msg->nlmsg_type == RTM_NEWLINK)
		nl_link_parse(msg, ctx);
	return 0;
}

int
nl_link_get(int fd, const char *name, int index, struct nl_link *ret, struct err *e)
{
	char buf[NL_MSG];
	int r;

	if (!name && index <= 0) /* a route to nowhere */
		return 0;
	r = nl_do(fd, nl_link_get_msg(buf, name, index), each_link, ret, e);
	if (r == -ENODEV) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return err_wrap(e, "look up interface %s", name ? name : "by number");
	return 1;
}

struct nlmsghdr *
nl_addr_msg(void *buf, const struct nl_addr *a)
{
	struct ifaddrmsg *i;
	struct nlmsghdr *m = start(buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*i), (void **)&i);

	i->ifa_family = (uint8_t)a->ip.family;
	i->ifa_prefixlen = (uint8_t)a->prefix;
	i->ifa_scope = a->scope;
	i->ifa_index = (uint32_t)a->index;
	put_ip(m, IFA_LOCAL, &a->ip);
	put_ip(m, IFA_ADDRESS, &a->ip);
	mnl_attr_put_u32(m, IFA_FLAGS, a->flags);
	return m;
}

struct nlmsghdr *
nl_route_msg(void *buf, uint16_t type, const struct nl_route *r)
{
	uint16_t flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct rtmsg *i;
	struct nlmsghdr *m = start(buf, type, flags, sizeof(*i), (void **)&i);

	i->rtm_family = (uint8_t)r->dst.family;
	i->rtm_dst_len = (uint8_t)r->prefix;
	i->rtm_table = r->table;
	i->rtm_protocol = RTPROT_STATIC;
	i->rtm_scope = r->scope;
	i->rtm_type = r->type;
	i->rtm_flags = r->onlink ? RTNH_F_ONLINK : 0;
	if (r->prefix > 0)
		put_ip(m, RTA_DST, &r->dst);
	mnl_attr_put_u32(m, RTA_OIF, (uint32_t)r->index);
	if (r->has_via)
		put_ip(m, RTA_GATEWAY, &r->via);
	if (r->has_src)
		put_ip(m, RTA_PREFSRC, &r->src);
	if (r->metric)
		mnl_attr_put_u32(m, RTA_PRIORITY, r->metric);
	return m;
}

struct nlmsghdr *
nl_route_get_msg(void *buf, const struct net_ip *dst)
{
	struct rtmsg *i;
	struct nlmsghdr *m = start(buf, RTM_GETROUTE, 0, sizeof(*i), (void **)&i);

	i->rtm_family = (uint8_t)dst->family;
	i->rtm_dst_len = (uint8_t)(net_ip_len(dst->family) * 8);
	/* Only the entry of the table: without it the kernel also chooses a source address, for IPv6
	 * among those of all interfaces. */
	i->rtm_flags = RTM_F_FIB_MATCH;
	put_ip(m, RTA_DST, dst);
	return m;
}

static int
each_route(const struct nlmsghdr *msg, void *ctx)
{
	const struct rtmsg *i = mnl_nlmsg_get_payload(msg);
	const struct rtnexthop *hop;
	struct nl_route *r = ctx;
	const struct nlattr *a;

	if (msg->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(msg) < sizeof(*i))
		return 0;
	r->type = i->rtm_type;
	r->table = i->rtm_table;
	mnl_attr_for_each(a, msg, sizeof(*i)) if (mnl_attr_get_type(a) == RTA_OIF) r->index =
	    (int)attr_u32(a);
	else if (mnl_attr_get_type(a) == RTA_MULTIPATH && mnl_attr_get_payload_len(a) >= sizeof(*hop))
	{
		hop = mnl_attr_get_payload(a); /* several next hops: the first one stands for them */
		r->index = hop->rtnh_ifindex;
	}
	return 0;
}

int
nl_route_get(int fd, const struct net_ip *dst, struct nl_route *ret, struct err *e)
{
	struct nl_route found = {.dst = *dst};
	char buf[NL_MSG], text[NET_IP_TEXT];
	int r = nl_do(fd, nl_route_get_msg(buf, dst), each_route, &found, e);

	switch (r) {
	case 0:
		*ret = found;
		return 1;
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -EACCES: /* the answers of unreachable, blackhole, prohibit and throw routes */
	case -EINVAL:
	case -EAGAIN:
		err_clear(e);
		return 0;
	default:
		return err_wrap(e, "look up the route to %s", net_ip_text(dst, text));
	}
}

struct nlmsghdr *
nl_proxy_msg(void *buf, uint16_t type, int index, const struct net_ip *ip)
{
	uint16_t flags = type == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct ndmsg *i;
	struct nlmsghdr *m = start(buf, type, flags, sizeof(*i), (void **)&i);

	i->ndm_family = (uint8_t)ip->family;
	i->ndm_ifindex = index;
	i->ndm_flags = NTF_PROXY;
	/* RTM_GETNEIGH takes flags, link and address only. */
	if (type != RTM_GETNEIGH)
		i->ndm_state = NUD_PERMANENT;
	put_ip(m, NDA_DST, ip);
	if (type == RTM_NEWNEIGH)
		mnl_attr_put_u8(m, NDA_PROTOCOL, NL_PROTO_BRIG);
	return m;
}

static int
each_neigh(const struct nlmsghdr *msg, void *ctx)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, msg, sizeof(struct ndmsg)) if (mnl_attr_get_type(a) == NDA_PROTOCOL &&
							    mnl_attr_get_payload_len(a) > 0) *
	    (int *)ctx = mnl_attr_get_u8(a);
	return 0;
}

int
nl_proxy_get(int fd, int index, const struct net_ip *ip, int *ret_protocol, struct err *e)
{
	char buf[NL_MSG], text[NET_IP_TEXT];
	int protocol = 0, r;

	r = nl_do(fd, nl_proxy_msg(buf, RTM_GETNEIGH, index, ip), each_neigh, &protocol, e);
	if (r == -ENOENT || r == -ENODEV) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return err_wrap(e, "look up the proxy neighbour %s", net_ip_text(ip, text));
	*ret_protocol = protocol;
	return 1;
}

static struct nlmsghdr *
nft_start(void *buf, uint16_t type, uint16_t flags)
{
	struct nfgenmsg *g;
	struct nlmsghdr *m =
	    start(buf, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, sizeof(*g), (void **)&g);

	g->nfgen_family = NFPROTO_INET;
	g->version = NFNETLINK_V0;
	return m;
}

struct nlmsghdr *
nl_nft_table_msg(void *buf, const char *table)
{
	struct nlmsghdr *m = nft_start(buf, NFT_MSG_GETTABLE, 0);

	mnl_attr_put_strz(m, NFTA_TABLE_NAME, table);
	return m;
}

struct nlmsghdr *
nl_nft_elem_msg(void *buf, const char *table, const char *set, const void *key, size_t len)
{
	struct nlmsghdr *m = nft_start(buf, NFT_MSG_GETSETELEM, key ? 0 : NLM_F_DUMP);
	struct nlattr *list, *elem, *k;

	mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set);
	if (!key)
		return m;
	list = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(m, NFTA_LIST_ELEM);
	k = mnl_attr_nest_start(m, NFTA_SET_ELEM_KEY);
	mnl_attr_put(m, NFTA_DATA_VALUE, len, key);
	mnl_attr_nest_end(m, k);
	mnl_attr_nest_end(m, elem);
	mnl_attr_nest_end(m, list);
	return m;
}

static const struct nlattr *
nested(const struct nlattr *in, uint16_t type)
{
	const struct nlattr *a;

	if (!in)
		return NULL;
	mnl_attr_for_each_nested(a, in) if (mnl_attr_get_type(a) == type) return a;
	return NULL;
}

size_t
nl_nft_elem_value(const struct nlmsghdr *msg, void *value, size_t size)
{
	const struct nlattr *a, *v;
	size_t n;

	mnl_attr_for_each(a, msg, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		v = nested(nested(nested(a, NFTA_LIST_ELEM), NFTA_SET_ELEM_DATA), NFTA_DATA_VALUE);
		if (!v)
			return 0;
		n = mnl_attr_get_payload_len(v);
		n = n < size ? n : size;
		memcpy(value, mnl_attr_get_payload(v), n);
		return n;
	}
	return 0;
}

/* The user data that nft(8) keeps with an element, in libnftnl's form: type, length, bytes; a comment has
 * type 0. */
static bool
has_comment(const struct nlattr *data, const char *comment)
{
	const uint8_t *p = data ? mnl_attr_get_payload(data) : NULL;
	size_t left = data ? mnl_attr_get_payload_len(data) : 0, n = strlen(comment) + 1;

	while (left >= 2 && left - 2 >= p[1]) {
		if (p[0] == 0)
			return p[1] == n && memcmp(p + 2, comment, n) == 0;
		left -= 2u + p[1];
		p += 2 + p[1];
	}
	return false;
}

void
nl_nft_elem_commented(const struct nlmsghdr *msg, const char *comment,
		      void (*fn)(void *ctx, const void *key, size_t len), void *ctx)
{
	const struct nlattr *a, *b, *k;

	mnl_attr_for_each(a, msg, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(b, a)
		{
			k = nested(nested(b, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
			if (k && has_comment(nested(b, NFTA_SET_ELEM_USERDATA), comment))
				fn(ctx, mnl_attr_get_payload(k), mnl_attr_get_payload_len(k));
		}
	}
}

size_t
nl_nft_elem_count(const struct nlmsghdr *msg, void *key, size_t size)
{
	const struct nlattr *a, *b, *k;
	size_t n = 0, len;

	mnl_attr_for_each(a, msg, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(b, a)
		{
			k = nested(nested(b, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
			if (!k)
				continue;
			n++;
			len = mnl_attr_get_payload_len(k);
			memset(key, 0, size);
			memcpy(key, mnl_attr_get_payload(k), len < size ? len : size);
		}
	}
	return n;
}
