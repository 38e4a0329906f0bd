/* SPDX-License-Identifier: BSD-2-Clause */
/* The network of a jail without a network: names, messages as bytes, the firewall's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <libmnl/libmnl.h>

#include "os/linux/network/net.h"

static const struct os_id plain = {"", "www", 3}, tagged = {"0a1b2c", "www", 12};

static const struct nlattr *
find(const struct nlmsghdr *m, size_t skip, uint16_t type)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, m, skip) if (mnl_attr_get_type(a) == type) return a;
	return NULL;
}

static const struct nlattr *
inner(const struct nlattr *in, uint16_t type)
{
	const struct nlattr *a;

	assert_non_null(in);
	mnl_attr_for_each_nested(a, in) if (mnl_attr_get_type(a) == type) return a;
	return NULL;
}

static struct net_ip
ip(const char *text)
{
	struct net_ip r = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

	assert_int_equal(inet_pton(r.family, text, &r.a), 1);
	return r;
}

static void
names(void **state)
{
	struct os_id huge = {"0a1b2c", "www", 10000000};
	struct err e = ERR_INIT;
	char buf[IFNAMSIZ], alias[NET_ALIAS_MAX], jail[64];
	struct nl_link link = {.group = NET_GROUP, .kind = "veth"};

	(void)state;
	assert_int_equal(net_ifname(&plain, buf, &e), 0);
	assert_string_equal(buf, "brig3");
	assert_int_equal(net_ifname(&tagged, buf, &e), 0);
	assert_string_equal(buf, "b0a1b2c.12");
	assert_int_equal(net_ifname(&huge, buf, &e), -ERANGE);
	huge.jid = 9999999;
	assert_int_equal(net_ifname(&huge, buf, &e), 0);
	assert_string_equal(buf, "b0a1b2c.9999999");
	net_alias(&tagged, alias);
	assert_string_equal(alias, "brig:0a1b2c:www:12");

	assert_int_equal(net_owner(&tagged, &link), NET_OURS); /* its maker was killed before the alias */
	assert_false(net_alias_jail(&link, jail));
	(void)snprintf(link.alias, sizeof(link.alias), "%s", alias);
	assert_int_equal(net_owner(&tagged, &link), NET_OURS);
	assert_int_equal(net_owner(&plain, &link), NET_OTHER_JAIL);
	assert_true(net_alias_jail(&link, jail));
	assert_string_equal(jail, "www");
	link.group = 0;
	assert_int_equal(net_owner(&tagged, &link), NET_FOREIGN);
	assert_false(net_alias_jail(&link, jail));
	link.group = NET_GROUP;
	(void)snprintf(link.kind, sizeof(link.kind), "bridge");
	assert_int_equal(net_owner(&tagged, &link), NET_FOREIGN);
}

static void
veth_message(void **state)
{
	static const uint8_t mac[6] = {2, 1, 2, 3, 4, 5}, peer_mac[6] = {2, 9, 8, 7, 6, 5};
	struct nl_veth v = {"brig3", "eth0", mac, peer_mac, NET_GROUP, 77};
	char buf[NL_MSG];
	const struct nlmsghdr *m = nl_veth_msg(buf, &v);
	const struct nlattr *info, *peer, *a;
	struct nl_link link;
	int seen = 0;

	(void)state;
	assert_int_equal(m->nlmsg_type, RTM_NEWLINK);
	assert_int_equal(m->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL), NLM_F_CREATE | NLM_F_EXCL);
	nl_link_parse(m, &link);
	assert_string_equal(link.name, "brig3");
	assert_string_equal(link.kind, "veth");
	assert_int_equal(link.group, NET_GROUP);
	assert_memory_equal(mnl_attr_get_payload(find(m, sizeof(struct ifinfomsg), IFLA_ADDRESS)), mac, 6);
	info = find(m, sizeof(struct ifinfomsg), IFLA_LINKINFO);
	peer = inner(inner(info, IFLA_INFO_DATA), VETH_INFO_PEER);
	assert_non_null(peer);
	/* the peer's attributes stand behind a struct ifinfomsg */
	for (a = (const void *)((const char *)mnl_attr_get_payload(peer) + sizeof(struct ifinfomsg));
	     mnl_attr_ok(a, (int)((const char *)peer + peer->nla_len - (const char *)a));
	     a = mnl_attr_next(a)) {
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			assert_string_equal(mnl_attr_get_str(a), "eth0");
			seen++;
			break;
		case IFLA_ADDRESS:
			assert_memory_equal(mnl_attr_get_payload(a), peer_mac, 6);
			seen++;
			break;
		case IFLA_NET_NS_FD:
			assert_int_equal(mnl_attr_get_u32(a), 77);
			seen++;
			break;
		default:
			fail();
		}
	}
	assert_int_equal(seen, 3);
}

static void
address_and_route_messages(void **state)
{
	struct nl_addr a = {.index = 5, .ip = ip("2001:db8::5"), .prefix = 64, .flags = IFA_F_NODAD};
	struct nl_route r = {.dst = ip("10.0.0.5"),
			     .prefix = 32,
			     .type = RTN_UNICAST,
			     .table = RT_TABLE_MAIN,
			     .scope = RT_SCOPE_LINK,
			     .index = 5};
	char buf[NL_MSG];
	const struct nlmsghdr *m = nl_addr_msg(buf, &a);
	const struct ifaddrmsg *ia = mnl_nlmsg_get_payload(m);
	const struct rtmsg *rt;
	struct net_ip zero = {.family = AF_INET};

	(void)state;
	assert_int_equal(ia->ifa_family, AF_INET6);
	assert_int_equal(ia->ifa_prefixlen, 64);
	assert_int_equal(mnl_attr_get_payload_len(find(m, sizeof(*ia), IFA_LOCAL)), 16);
	assert_memory_equal(mnl_attr_get_payload(find(m, sizeof(*ia), IFA_LOCAL)), &a.ip.a, 16);
	assert_int_equal(mnl_attr_get_u32(find(m, sizeof(*ia), IFA_FLAGS)), IFA_F_NODAD);

	m = nl_route_msg(buf, RTM_NEWROUTE, &r);
	rt = mnl_nlmsg_get_payload(m);
	assert_int_equal(rt->rtm_dst_len, 32);
	assert_int_equal(mnl_attr_get_payload_len(find(m, sizeof(*rt), RTA_DST)), 4);
	assert_int_equal(mnl_attr_get_u32(find(m, sizeof(*rt), RTA_OIF)), 5);
	assert_null(find(m, sizeof(*rt), RTA_GATEWAY));
	assert_null(find(m, sizeof(*rt), RTA_PRIORITY));

	r = (struct nl_route){.dst = zero,
			      .type = RTN_UNICAST,
			      .index = 5,
			      .has_via = true,
			      .onlink = true,
			      .has_src = true,
			      .via = ip("169.254.1.1"),
			      .src = ip("10.0.0.5")};
	m = nl_route_msg(buf, RTM_NEWROUTE, &r);
	rt = mnl_nlmsg_get_payload(m);
	assert_null(find(m, sizeof(*rt), RTA_DST));
	assert_int_equal(rt->rtm_flags & RTNH_F_ONLINK, RTNH_F_ONLINK);
	assert_memory_equal(mnl_attr_get_payload(find(m, sizeof(*rt), RTA_GATEWAY)), "\xa9\xfe\x01\x01", 4);
	assert_memory_equal(mnl_attr_get_payload(find(m, sizeof(*rt), RTA_PREFSRC)), "\x0a\x00\x00\x05", 4);
}

static void
proxy_messages(void **state)
{
	struct net_ip a = ip("192.0.2.7");
	char buf[NL_MSG];
	const struct nlmsghdr *m = nl_proxy_msg(buf, RTM_NEWNEIGH, 4, &a);
	const struct ndmsg *n = mnl_nlmsg_get_payload(m);

	(void)state;
	assert_int_equal(n->ndm_flags, NTF_PROXY);
	assert_int_equal(n->ndm_ifindex, 4);
	assert_int_equal(mnl_attr_get_u8(find(m, sizeof(*n), NDA_PROTOCOL)), NL_PROTO_BRIG);
	m = nl_proxy_msg(buf, RTM_DELNEIGH, 4, &a);
	assert_null(find(m, sizeof(*n), NDA_PROTOCOL));
}

/* Answers of the kernel, made by hand: an element of a map, and links with names that are too long. */
static void
hostile_answers(void **state)
{
	char buf[NL_MSG], value[20], key[32], name[300];
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);
	struct nlattr *list, *el, *part;
	struct nl_link link;

	(void)state;
	m = nl_nft_elem_msg(buf, "brig", "rdr_tcp4", "\0\x50", 2);
	assert_int_equal(nl_nft_elem_count(m, key, sizeof(key)), 1);
	assert_memory_equal(key, "\0\x50\0\0", 4);
	assert_int_equal(nl_nft_elem_value(m, value, sizeof(value)), 0);
	m = nl_nft_elem_msg(buf, "brig", "jails", NULL, 0);
	assert_int_equal(m->nlmsg_flags & NLM_F_DUMP, NLM_F_DUMP);
	assert_int_equal(nl_nft_elem_count(m, key, sizeof(key)), 0);

	m = nl_nft_elem_msg(buf, "brig", "jails", NULL,
			    0); /* list -> element -> data -> value, 40 bytes of it */
	memset(name, 'x', sizeof(name));
	list = mnl_attr_nest_start(m, 3);
	el = mnl_attr_nest_start(m, 1);
	part = mnl_attr_nest_start(m, 2);
	mnl_attr_put(m, 1, 40, name);
	mnl_attr_nest_end(m, part);
	mnl_attr_nest_end(m, el);
	mnl_attr_nest_end(m, list);
	assert_int_equal(nl_nft_elem_value(m, value, sizeof(value)), sizeof(value));

	m = nl_link_get_msg(buf, NULL, 1);
	mnl_attr_put(m, IFLA_IFNAME, 200, name);
	mnl_attr_put(m, IFLA_IFALIAS, 300, name);
	nl_link_parse(m, &link);
	assert_int_equal(strlen(link.name), IFNAMSIZ - 1);
	assert_int_equal(strlen(link.alias), sizeof(link.alias) - 1);
}

static void
firewall_text(void **state)
{
	struct spec_addr addrs[] = {{AF_INET, {{{127, 0, 0, 9}}}, 8, NULL},
				    {AF_INET, {{{10, 0, 0, 5}}}, 32, NULL},
				    {AF_INET, {{{10, 0, 0, 6}}}, 32, NULL},
				    {AF_INET6, ip("2001:db8::5").a, 128, NULL}};
	struct spec_rdr rdr[] = {{IPPROTO_TCP, 80, 8080}, {IPPROTO_UDP, 53, 53}};
	struct jailspec spec = {.ip4 = SHARE_NEW,
				.ip6 = SHARE_NEW,
				.addrs = addrs,
				.n_addrs = 4,
				.rdr = rdr,
				.n_rdr = 2,
				.nat = true};
	_auto_buf struct buf part = BUF_INIT, whole = BUF_INIT;
	struct net_ip first;
	bool need;

	(void)state;
	fw_text(&tagged, &spec, false, &part);
	assert_string_equal(
	    part.s, "add element inet brig_0a1b2c jails { \"b0a1b2c.12\" comment \"www\" : jump guard }\n"
		    "add element inet brig_0a1b2c rdr_tcp4 { 80 comment \"www\" : 10.0.0.5 . 8080 }\n"
		    "add element inet brig_0a1b2c rdr_udp4 { 53 comment \"www\" : 10.0.0.5 . 53 }\n"
		    "add element inet brig_0a1b2c nat4 { 10.0.0.5 comment \"www\" }\n"
		    "add element inet brig_0a1b2c hairpin4 { 10.0.0.5 . 10.0.0.5 comment \"www\" }\n"
		    "add element inet brig_0a1b2c nat4 { 10.0.0.6 comment \"www\" }\n"
		    "add element inet brig_0a1b2c hairpin4 { 10.0.0.6 . 10.0.0.5 comment \"www\" }\n"
		    "add element inet brig_0a1b2c rdr_tcp6 { 80 comment \"www\" : 2001:db8::5 . 8080 }\n"
		    "add element inet brig_0a1b2c rdr_udp6 { 53 comment \"www\" : 2001:db8::5 . 53 }\n"
		    "add element inet brig_0a1b2c nat6 { 2001:db8::5 comment \"www\" }\n"
		    "add element inet brig_0a1b2c hairpin6 { 2001:db8::5 . 2001:db8::5 comment \"www\" }\n");
	fw_text(&plain, &spec, true, &whole);
	assert_non_null(strstr(whole.s, "add table inet brig\n"));
	assert_non_null(strstr(whole.s, "oifgroup 1651665255 goto inward\n"));
	assert_null(strstr(whole.s, " T "));
	assert_null(strstr(whole.s, " T\n"));

	assert_int_equal(net_addrs(&spec, AF_UNSPEC, &first), 3);
	assert_memory_equal(&first.a, "\x0a\x00\x00\x05", 4);
	assert_true(fw_wanted(&spec, &need));
	assert_true(need);
	spec.nat = false;
	spec.n_rdr = 0;
	assert_true(fw_wanted(&spec, &need)); /* the guard, for IPv6 */
	assert_false(need);
	spec.ip4 = SHARE_INHERIT;
	assert_false(fw_wanted(&spec, &need));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(veth_message),
	    cmocka_unit_test(address_and_route_messages),
	    cmocka_unit_test(proxy_messages),
	    cmocka_unit_test(hostile_answers),
	    cmocka_unit_test(firewall_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
