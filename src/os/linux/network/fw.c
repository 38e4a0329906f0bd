/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redirections, masquerade and the guard against foreign source addresses, in one nf_tables table for each
 * installation, "brig" or "brig_TAG".  Nothing outside that table is touched.
 *
 * The table's chains are the same whatever the jails are; a jail is elements in its maps and sets. os_fw_up()
 * gives nft one transaction: the elements, after the table itself where it is missing or has the rules of
 * another version (set "version").  Only elements: 4 ms; a transaction that replaces rules or deletes
 * anything makes the kernel wait for an RCU grace period, some 15 ms more.  os_fw_down() asks the kernel
 * which of the jail's elements exist (one question each, no listing), deletes those in one transaction, and
 * the table after the last jail's.
 *
 * All of it happens under an exclusive lock, /run/brig-fw.lock or /run/brig-fw.TAG.lock.  The text for nft is
 * written into the locked file and the file is nft's standard input, so that an nft whose brig was killed
 * still holds the lock until it is done: nobody cleans up before it.  The file goes with the table.
 *
 * How the packets go.
 *
 * rdr: from other machines and jails in prerouting, from the host itself in output; only what is sent to an
 * address of the host (fib daddr type local), so nobody's traffic through the host is taken.
 *
 * 127.0.0.1: the packet leaves by the jail's interface with the host's address of that link as its source.
 * The answer comes in there for 127.0.0.1, which needs route_localnet: it is set on that interface alone, and
 * after the chain "guard", which drops what a jail itself sends to 127.0.0.0/8, is in place.
 *
 * ::1: there is no such setting for IPv6.  The answer is looked up as "::1, in on this interface" (loopback
 * destinations are looked up strictly by interface), so a local route to ::1 on the jail's interface, with a
 * higher metric than lo's, takes it.  The kernel itself drops a jail's own packets for ::1 (RFC 4291, 2.5.3).
 *
 * Hairpin: a jail that connects to its own redirection gets the host's address of the link as source, else
 * its answer would not come back through the host.
 *
 * nat: what leaves by an interface that is no jail's (group NET_GROUP).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/lock.h"
#include "os/linux/network/net.h"

#define FW_TIMEOUT_S 60
#define FW_LOCK_MS 120000
#define FW_TRIES 50
#define FW_VERSION 1 /* of the rules in skeleton[] */

static void
table_name(const struct os_id *id, char buf[16])
{
	(void)snprintf(buf, 16, "brig%s%s", id->tag[0] ? "_" : "", id->tag);
}

static void
lock_name(const struct os_id *id, char buf[32])
{
	(void)snprintf(buf, 32, "/run/brig-fw%s%s.lock", id->tag[0] ? "." : "", id->tag);
}

static int
fw_lock(const struct os_id *id, int *ret_fd, struct err *e)
{
	char path[32];
	struct lock_want want = {.name = path, .what = "the firewall table", .wait_ms = FW_LOCK_MS};

	lock_name(id, path);
	return lock_take(AT_FDCWD, &want, ret_fd, e);
}

/* One element of one of the table's maps or sets, as text for nft and as the kernel's bytes. */
struct element {
	const char *set;
	char key[2 * NET_IP_TEXT + 4], value[NET_IP_TEXT + 16];
	uint8_t raw_key[32], raw_value[20];
	size_t key_len, value_len; /* value_len 0: nothing to compare */
};
struct elements {
	struct element *v;
	size_t n, cap;
};

static void
elements_free(struct elements *l)
{
	free(l->v);
}

static struct element *
element_add(struct elements *l, const char *set)
{
	GROW(l->v, l->n, l->cap);
	l->v[l->n] = (struct element){.set = set};
	return &l->v[l->n++];
}

static void
add_rdr(struct elements *l, const struct spec_rdr *rdr, const struct net_ip *to)
{
	bool udp = rdr->proto == IPPROTO_UDP, six = to->family == AF_INET6;
	struct element *el =
	    element_add(l, udp ? (six ? "rdr_udp6" : "rdr_udp4") : (six ? "rdr_tcp6" : "rdr_tcp4"));
	uint16_t host_port = htons(rdr->host_port), jail_port = htons(rdr->jail_port);
	size_t len = net_ip_len(to->family);
	char text[NET_IP_TEXT];

	(void)snprintf(el->key, sizeof(el->key), "%u", rdr->host_port);
	(void)snprintf(el->value, sizeof(el->value), "%s . %u", net_ip_text(to, text), rdr->jail_port);
	memcpy(el->raw_key, &host_port, 2);
	el->key_len = 2;
	memcpy(el->raw_value, &to->a, len);
	memcpy(el->raw_value + len, &jail_port, 2);
	el->value_len = len + 4; /* each part takes whole 32-bit words */
}

static void
addr_key(struct element *el, const struct net_ip *ip, const struct net_ip *second)
{
	char a[NET_IP_TEXT], b[NET_IP_TEXT];

	if (second)
		(void)snprintf(el->key, sizeof(el->key), "%s . %s", net_ip_text(ip, a),
			       net_ip_text(second, b));
	else
		(void)snprintf(el->key, sizeof(el->key), "%s", net_ip_text(ip, a));
}

/* Sets of addresses: nat (the address), hairpin (the address, the redirections' target). */
static void
add_addr(struct elements *l, const char *set, const struct net_ip *ip, const struct net_ip *second)
{
	struct element *el = element_add(l, set);
	size_t len = net_ip_len(ip->family);

	memcpy(el->raw_key, &ip->a, len);
	el->key_len = len;
	if (second) {
		memcpy(el->raw_key + len, &second->a, len);
		el->key_len = 2 * len;
	}
	addr_key(el, ip, second);
}

static void
add_family(struct elements *l, const struct jailspec *spec, int family)
{
	bool six = family == AF_INET6;
	struct net_ip first;

	if (!net_addrs(spec, family, &first))
		return;
	for (size_t i = 0; i < spec->n_rdr; i++)
		add_rdr(l, &spec->rdr[i], &first);
	for (size_t i = 0; i < spec->n_addrs; i++) {
		struct net_ip ip = net_addr_ip(&spec->addrs[i]);

		if (ip.family != family || net_is_loopback(&spec->addrs[i]))
			continue;
		if (spec->nat)
			add_addr(l, six ? "nat6" : "nat4", &ip, NULL);
		if (spec->n_rdr)
			add_addr(l, six ? "hairpin6" : "hairpin4", &ip, &first);
	}
}

/* All that the jail has in the table.  ifname: its interface. */
static void
elements_of(const char *ifname, const struct jailspec *spec, struct elements *ret)
{
	struct element *el = element_add(ret, "jails");

	(void)snprintf(el->key, sizeof(el->key), "\"%s\"", ifname);
	(void)snprintf(el->value, sizeof(el->value), "jump guard");
	memcpy(el->raw_key, ifname, strlen(ifname));
	el->key_len = IFNAMSIZ;
	add_family(ret, spec, AF_INET);
	add_family(ret, spec, AF_INET6);
}

/* T, G and V stand for the table's name, NET_GROUP and FW_VERSION.  "add" of a chain, set or map that exists
 * changes nothing; the chains are flushed and filled again in the same transaction, so a table of another
 * version of brig gets the rules of this one. */
static const char skeleton[] =
    "add table inet T\n"
    "add chain inet T guard\n"
    "add map inet T jails { type ifname : verdict; }\n"
    "add map inet T rdr_tcp4 { type inet_service : ipv4_addr . inet_service; }\n"
    "add map inet T rdr_udp4 { type inet_service : ipv4_addr . inet_service; }\n"
    "add map inet T rdr_tcp6 { type inet_service : ipv6_addr . inet_service; }\n"
    "add map inet T rdr_udp6 { type inet_service : ipv6_addr . inet_service; }\n"
    "add set inet T version { type mark; }\n"
    "add set inet T nat4 { type ipv4_addr; }\n"
    "add set inet T nat6 { type ipv6_addr; }\n"
    "add set inet T hairpin4 { type ipv4_addr . ipv4_addr; }\n"
    "add set inet T hairpin6 { type ipv6_addr . ipv6_addr; }\n"
    "add chain inet T rdr\n"
    "add chain inet T inward\n"
    "add chain inet T early { type filter hook prerouting priority -300; policy accept; }\n"
    "add chain inet T to_host { type nat hook prerouting priority -100; policy accept; }\n"
    "add chain inet T from_host { type nat hook output priority -100; policy accept; }\n"
    "add chain inet T leave { type nat hook postrouting priority 100; policy accept; }\n"
    "flush set inet T version\n"
    "add element inet T version { V }\n"
    "flush chain inet T guard\n"
    "flush chain inet T rdr\n"
    "flush chain inet T inward\n"
    "flush chain inet T early\n"
    "flush chain inet T to_host\n"
    "flush chain inet T from_host\n"
    "flush chain inet T leave\n"
    "add rule inet T guard ip daddr 127.0.0.0/8 drop\n"
    "add rule inet T guard fib saddr . iif oif missing drop\n"
    "add rule inet T early iifname vmap @jails\n"
    "add rule inet T rdr dnat ip to tcp dport map @rdr_tcp4\n"
    "add rule inet T rdr dnat ip to udp dport map @rdr_udp4\n"
    "add rule inet T rdr dnat ip6 to tcp dport map @rdr_tcp6\n"
    "add rule inet T rdr dnat ip6 to udp dport map @rdr_udp6\n"
    "add rule inet T to_host fib daddr type local jump rdr\n"
    "add rule inet T from_host fib daddr type local jump rdr\n"
    "add rule inet T inward ip saddr 127.0.0.0/8 snat ip to " NET_HOST4 "\n"
    "add rule inet T inward ip6 saddr ::1 snat ip6 to " NET_HOST6 "\n"
    "add rule inet T inward ip saddr . ip daddr @hairpin4 snat ip to " NET_HOST4 "\n"
    "add rule inet T inward ip6 saddr . ip6 daddr @hairpin6 snat ip6 to " NET_HOST6 "\n"
    "add rule inet T inward accept\n"
    "add rule inet T leave oifgroup G goto inward\n"
    "add rule inet T leave ip saddr @nat4 masquerade\n"
    "add rule inet T leave ip6 saddr @nat6 masquerade\n";

static void
skeleton_text(const char *table, struct buf *ret)
{
	for (const char *p = skeleton; *p; p++) {
		if (str_after(p, " T "))
			buf_addf(ret, " %s", table), p++;
		else if (str_after(p, " T\n"))
			buf_addf(ret, " %s", table), p++;
		else if (str_after(p, " G "))
			buf_addf(ret, " %u", NET_GROUP), p++;
		else if (str_after(p, " V "))
			buf_addf(ret, " %d", FW_VERSION), p++;
		else
			buf_addc(ret, *p);
	}
}

static void
element_text(const char *verb, const char *table, const char *jail, const struct element *el, struct buf *ret)
{
	buf_addf(ret, "%s element inet %s %s { %s", verb, table, el->set, el->key);
	if (jail)
		buf_addf(ret, " comment \"%s\"", jail);
	if (jail && el->value[0])
		buf_addf(ret, " : %s", el->value);
	buf_adds(ret, " }\n");
}

void
fw_text(const struct os_id *id, const struct jailspec *spec, bool whole, struct buf *ret)
{
	_auto_(elements_free) struct elements l = {NULL, 0, 0};
	struct err ignored = ERR_INIT;
	char ifname[IFNAMSIZ], table[16];

	if (net_ifname(id, ifname, &ignored) < 0)
		return;
	table_name(id, table);
	elements_of(ifname, spec, &l);
	if (whole)
		skeleton_text(table, ret);
	for (size_t i = 0; i < l.n; i++)
		element_text("add", table, id->name, &l.v[i], ret);
}

static const char *
find_nft(char buf[256])
{
	static const char *const dirs[] = {"/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"};
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t n = strcspn(path, ":");

		if (*path == '/' && n < 250) {
			(void)snprintf(buf, 256, "%.*s/nft", (int)n, path);
			if (access(buf, X_OK) == 0)
				return buf;
		}
		path += n + (path[n] == ':');
	}
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		(void)snprintf(buf, 256, "%s/nft", dirs[i]);
		if (access(buf, X_OK) == 0)
			return buf;
	}
	return NULL;
}

bool
fw_have_nft(void)
{
	char buf[256];

	return find_nft(buf) != NULL;
}

/* The line of nft's output that says what is wrong: "/dev/stdin:3:1-20: Error: TEXT". */
static int
nft_failed(struct buf *out, int status, struct err *e)
{
	char *p = out->len ? strstr(out->s, "Error: ") : NULL;

	if (!p)
		return err_set(e, EIO, "nft failed (status %d)%s%.200s", status, out->len ? ": " : "",
			       out->len ? out->s : "");
	p += strlen("Error: ");
	p[strcspn(p, "\n")] = '\0';
	return err_set(e, EIO, "nft: %.300s", p);
}

static int
nft_once(int lock, const struct buf *text, char *path, struct buf *out, int *ret_status, struct err *e)
{
	char *argv[] = {path, (char[]){"-f"}, (char[]){"-"}, NULL};
	struct child c = CHILD_INIT;
	int r;

	if (ftruncate(lock, 0) < 0 || lseek(lock, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "text for nft");
	r = fsx_write_all(lock, text->s, text->len);
	if (r < 0 || lseek(lock, 0, SEEK_SET) < 0)
		return err_sys(e, r < 0 ? -r : errno, "text for nft");
	c.argv = argv;
	c.fd_in = lock;
	c.capture = out;
	c.timeout_s = FW_TIMEOUT_S;
	return child_run(&c, ret_status, e);
}

/* lock: the locked file, which becomes nft's input.  nft fails with EINTR when somebody changes the ruleset
 * while it lists it; it has changed nothing by then, so it is run again. */
static int
nft_run(int lock, const struct buf *text, struct err *e)
{
	char path[256];
	int r;

	if (!find_nft(path))
		return err_set(e, ENOENT, "nft is missing: apt-get install nftables");
	for (int tries = FW_TRIES;; tries--) {
		_auto_buf struct buf out = BUF_INIT;
		int status = 0;

		r = nft_once(lock, text, path, &out, &status, e);
		if (r < 0)
			return r;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return 0;
		if (tries == 0 || !out.len || !strstr(out.s, strerror(EINTR)))
			return nft_failed(&out, status, e);
	}
}

struct lookup {
	bool found;
	uint8_t value[20];
	size_t len;
};

static int
each_element(const struct nlmsghdr *msg, void *ctx)
{
	struct lookup *k = ctx;

	k->found = true;
	k->len = nl_nft_elem_value(msg, k->value, sizeof(k->value));
	return 1;
}

/* 1 the element is there, 0 it (or its table) is not. */
static int
element_get(int nf, const char *table, const struct element *el, struct lookup *ret, struct err *e)
{
	char buf[NL_MSG];
	int r;

	*ret = (struct lookup){0};
	r = nl_do(nf, nl_nft_elem_msg(buf, table, el->set, el->raw_key, el->key_len), each_element, ret, e);
	if (r < 0 && r != -ENOENT)
		return err_wrap(e, "nftables table %s, set %s", table, el->set);
	err_clear(e);
	return ret->found;
}

/* value_len - 2: the port is the first half of the last 32-bit word. */
static bool
same_value(const struct element *el, const struct lookup *k)
{
	return el->value_len == 0 ||
	       (k->len >= el->value_len - 2 && memcmp(k->value, el->raw_value, el->value_len - 2) == 0);
}

/* 1 the table exists, 0 it does not; -EOPNOTSUPP: the kernel has no nf_tables. */
static int
table_exists(int nf, const char *table, struct err *e)
{
	char buf[NL_MSG];
	int r = nl_do(nf, nl_nft_table_msg(buf, table), NULL, NULL, e);

	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	if (r == -EINVAL || r == -EOPNOTSUPP)
		return err_set(e, EOPNOTSUPP, "the kernel has no nf_tables: modprobe nf_tables");
	return r < 0 ? err_wrap(e, "nftables table %s", table) : 1;
}

struct count {
	const struct elements *mine;
	size_t others;
};

/* Elements of map "jails" that are not this jail's.  The first one is enough. */
static int
each_jail(const struct nlmsghdr *msg, void *ctx)
{
	struct count *c = ctx;
	uint8_t key[32];
	size_t n = nl_nft_elem_count(msg, key, sizeof(key));

	if (n > 1 || (n == 1 && memcmp(key, c->mine->v[0].raw_key, IFNAMSIZ) != 0))
		c->others++;
	return c->others > 0;
}

bool
fw_wanted(const struct jailspec *spec, bool *ret_need)
{
	*ret_need = false;
	if (net_shared(spec) || !net_addrs(spec, AF_UNSPEC, NULL))
		return false;
	*ret_need = spec->n_rdr || spec->nat;
	/* rp_filter = 1 (strict) of our interface drops IPv4 packets with a foreign source address,
	 * unless the host has set it to 2 (loose) for all interfaces; IPv6 has no such setting. */
	return *ret_need || net_addrs(spec, AF_INET6, NULL) ||
	       net_sysctl_get("ipv4", "all", "rp_filter") == 2;
}

/* Who has the host's port?  The redirection's target tells: it is routed to its jail. */
static int
taken(int fd, const struct element *el, const struct lookup *k, struct err *e)
{
	struct net_ip to = {.family = el->set[strlen(el->set) - 1] == '6' ? AF_INET6 : AF_INET};
	struct nl_route route;
	struct nl_link link = {0};
	char text[NET_IP_TEXT], jail[64], proto[4];
	struct err ignored = ERR_INIT;

	memcpy(&to.a, k->value, net_ip_len(to.family));
	(void)snprintf(proto, sizeof(proto), "%s", el->set + strlen("rdr_"));
	if (nl_route_get(fd, &to, &route, &ignored) > 0 &&
	    nl_link_get(fd, NULL, route.index, &link, &ignored) > 0 && net_alias_jail(&link, jail))
		return err_set(e, EADDRINUSE, "rdr: %s port %s of the host is redirected to jail %s already",
			       proto, el->key, jail);
	return err_set(e, EADDRINUSE, "rdr: %s port %s of the host is redirected to %s already", proto,
		       el->key, net_ip_text(&to, text));
}

/* -EADDRINUSE: a port of the host is redirected to another jail already. */
static int
check_ports(int fd, int nf, const char *table, const struct elements *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		struct lookup k;
		int r;

		if (!l->v[i].value_len)
			continue;
		r = element_get(nf, table, &l->v[i], &k, e);
		if (r < 0)
			return r;
		if (r && !same_value(&l->v[i], &k))
			return taken(fd, &l->v[i], &k, e);
	}
	return 0;
}

int
fw_check(const struct os_id *id, const struct jailspec *spec, int fd, struct err *e)
{
	_auto_(elements_free) struct elements l = {NULL, 0, 0};
	_auto_close int nf = -EBADF;
	char ifname[IFNAMSIZ], table[16];
	bool need;
	int r;

	if (!fw_wanted(spec, &need) || !need)
		return 0;
	if (!fw_have_nft())
		return err_set(e, ENOENT, "%s: nft is missing: apt-get install nftables",
			       spec->n_rdr ? "rdr" : "nat");
	table_name(id, table);
	if (net_ifname(id, ifname, e) < 0 || nl_open(NETLINK_NETFILTER, &nf, e) < 0)
		return -e->num;
	r = table_exists(nf, table, e);
	if (r <= 0)
		return r;
	elements_of(ifname, spec, &l);
	return check_ports(fd, nf, table, &l, e);
}

/* Makes redirections reachable by 127.0.0.1 and ::1 of the host, see above.  The guard must be in place. */
static int
open_loopback(const struct jailspec *spec, const char *ifname, int fd, struct err *e)
{
	struct nl_route r = {.dst = {.family = AF_INET6, .a = IN6ADDR_LOOPBACK_INIT},
			     .prefix = 128,
			     .type = RTN_LOCAL,
			     .table = RT_TABLE_LOCAL};
	static const struct net_setting localnet[] = {{"route_localnet", 1, false}, {0}};
	struct nl_link link = {0};
	char buf[NL_MSG];
	int n;

	if (!spec->n_rdr)
		return 0;
	if (net_addrs(spec, AF_INET, NULL) && net_sysctl_set("ipv4", ifname, localnet, e) < 0)
		return -e->num;
	if (!net_addrs(spec, AF_INET6, NULL))
		return 0;
	n = nl_link_get(fd, ifname, 0, &link, e);
	if (n <= 0)
		return n < 0 ? n : err_set(e, ENODEV, "interface %s is gone", ifname);
	r.index = link.index;
	/* a metric of its own: IPv6 has one route for a destination and a metric */
	r.metric = 2048 + (uint32_t)link.index;
	if (nl_do(fd, nl_route_msg(buf, RTM_NEWROUTE, &r), NULL, NULL, e) == 0)
		return 0;
	if (e->num != EEXIST) /* from an earlier call */
		return err_wrap(e, "local route to ::1 on %s", ifname);
	err_clear(e);
	return 0;
}

/* The table is there with the rules of this version. */
static bool
table_current(int nf, const char *table)
{
	struct element version = {.set = "version", .key_len = 4};
	struct err ignored = ERR_INIT;
	struct lookup k;
	uint32_t v = FW_VERSION;

	memcpy(version.raw_key, &v, sizeof(v));
	return element_get(nf, table, &version, &k, &ignored) == 1;
}

static int
add_elements(const struct os_id *id, const struct jailspec *spec, const char *ifname, int fd, struct err *e)
{
	_auto_(elements_free) struct elements l = {NULL, 0, 0};
	_auto_close int nf = -EBADF, lock = -EBADF;
	_auto_buf struct buf text = BUF_INIT;
	struct err clash = ERR_INIT;
	char table[16];

	table_name(id, table);
	if (fw_lock(id, &lock, e) < 0 || nl_open(NETLINK_NETFILTER, &nf, e) < 0)
		return -e->num;
	fw_text(id, spec, !table_current(nf, table), &text);
	if (nft_run(lock, &text, e) == 0)
		return 0;
	/* Two jails with one port that started at the same moment: say so. */
	elements_of(ifname, spec, &l);
	if (check_ports(fd, nf, table, &l, &clash) == -EADDRINUSE)
		*e = clash;
	return -e->num;
}

int
os_fw_up(const struct os_id *id, const struct jailspec *spec, struct err *e)
{
	_auto_close int fd = -EBADF;
	struct err ignored = ERR_INIT;
	char ifname[IFNAMSIZ];
	bool need;

	if (!fw_wanted(spec, &need) || (!need && !fw_have_nft()))
		return 0;
	if (net_ifname(id, ifname, e) < 0 || nl_open(NETLINK_ROUTE, &fd, e) < 0)
		return -e->num;
	if (add_elements(id, spec, ifname, fd, e) < 0 || open_loopback(spec, ifname, fd, e) < 0) {
		(void)os_fw_down(id, spec, &ignored);
		return err_wrap(e, "firewall");
	}
	return 0;
}

/* Deletes those of the jail's elements that exist and are its own. */
static int
remove_elements(int nf, int lock, const char *table, const struct elements *l, struct err *e)
{
	_auto_buf struct buf text = BUF_INIT;

	for (size_t i = 0; i < l->n; i++) {
		struct lookup k;
		int r = element_get(nf, table, &l->v[i], &k, e);

		if (r < 0)
			return r;
		if (r && same_value(&l->v[i], &k))
			element_text("delete", table, NULL, &l->v[i], &text);
	}
	return text.len ? nft_run(lock, &text, e) : 0;
}

/* Only the map "jails" is looked at: a jail without its element there has no others. */
static bool
last_jail(int nf, const char *table, const struct elements *l)
{
	struct err ignored = ERR_INIT;
	struct count c = {l, 0};
	char buf[NL_MSG];

	return nl_do(nf, nl_nft_elem_msg(buf, table, "jails", NULL, 0), each_jail, &c, &ignored) == 0 &&
	       c.others == 0;
}

/* Every set of the table that has elements of jails, and of what kind its keys are. */
enum key_kind { KEY_INTERFACE, KEY_PORT, KEY_ADDR, KEY_ADDRS };
static const struct set {
	const char *name;
	enum key_kind kind;
	int family;
} sets[] = {
    {"jails", KEY_INTERFACE, AF_UNSPEC}, {"rdr_tcp4", KEY_PORT, AF_INET},  {"rdr_udp4", KEY_PORT, AF_INET},
    {"rdr_tcp6", KEY_PORT, AF_INET6},    {"rdr_udp6", KEY_PORT, AF_INET6}, {"nat4", KEY_ADDR, AF_INET},
    {"nat6", KEY_ADDR, AF_INET6},        {"hairpin4", KEY_ADDRS, AF_INET}, {"hairpin6", KEY_ADDRS, AF_INET6},
};

struct collect {
	const char *jail;
	const struct set *set;
	struct elements *l;
};

static void
collect_one(void *ctx, const void *key, size_t len)
{
	struct collect *c = ctx;
	size_t one = net_ip_len(c->set->family);
	struct net_ip a = {.family = c->set->family}, b = a;
	struct element *el;
	uint16_t port;

	if (len < (c->set->kind == KEY_INTERFACE ? 1
		   : c->set->kind == KEY_PORT    ? sizeof(port)
		   : c->set->kind == KEY_ADDR    ? one
						 : 2 * one) ||
	    len > sizeof(el->raw_key))
		return;
	el = element_add(c->l, c->set->name);
	memcpy(el->raw_key, key, len);
	el->key_len = len;
	switch (c->set->kind) {
	case KEY_INTERFACE:
		(void)snprintf(el->key, sizeof(el->key), "\"%.*s\"", IFNAMSIZ - 1, (const char *)el->raw_key);
		break;
	case KEY_PORT:
		memcpy(&port, key, sizeof(port));
		(void)snprintf(el->key, sizeof(el->key), "%u", ntohs(port));
		break;
	case KEY_ADDR:
	case KEY_ADDRS:
		memcpy(&a.a, el->raw_key, one);
		memcpy(&b.a, el->raw_key + one, c->set->kind == KEY_ADDRS ? one : 0);
		addr_key(el, &a, c->set->kind == KEY_ADDRS ? &b : NULL);
		break;
	}
}

static int
each_collected(const struct nlmsghdr *msg, void *ctx)
{
	struct collect *c = ctx;

	nl_nft_elem_commented(msg, c->jail, collect_one, c);
	return 0;
}

/* What has the jail's name as its comment, whatever the jail was made with. */
static int
elements_named(int nf, const char *table, const char *jail, struct elements *ret, struct err *e)
{
	struct collect c = {.jail = jail, .l = ret};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		char buf[NL_MSG];
		int r;

		c.set = &sets[i];
		r = nl_do(nf, nl_nft_elem_msg(buf, table, sets[i].name, NULL, 0), each_collected, &c, e);
		if (r < 0 && r != -ENOENT)
			return err_wrap(e, "nftables table %s, set %s", table, sets[i].name);
	}
	err_clear(e);
	return 0;
}

/* spec NULL: by the jail's name. */
static int
remove_from(const struct os_id *id, int nf, int lock, const char *ifname, const struct jailspec *spec,
	    struct err *e)
{
	_auto_(elements_free) struct elements l = {NULL, 0, 0};
	_auto_buf struct buf text = BUF_INIT;
	char table[16], path[32];
	int r;

	table_name(id, table);
	lock_name(id, path);
	r = table_exists(nf, table, e);
	if (r < 0 && r != -EOPNOTSUPP)
		return r;
	if (r > 0) {
		if (spec)
			elements_of(ifname, spec, &l);
		else if (elements_named(nf, table, id->name, &l, e) < 0)
			return -e->num;
		if (l.n == 0)
			return 0;
		if (!last_jail(nf, table, &l))
			return remove_elements(nf, lock, table, &l, e);
		buf_addf(&text, "delete table inet %s\n", table);
		r = nft_run(lock, &text, e);
		if (r < 0)
			return r;
	}
	/* Removed while it is locked: whoever waits for the lock sees that the file is gone, and makes a
	 * new one. */
	return unlink(path) < 0 && errno != ENOENT ? err_sys(e, errno, "unlink %s", path) : 0;
}

static int
down(const struct os_id *id, const char *ifname, const struct jailspec *spec, struct err *e)
{
	_auto_close int nf = -EBADF, lock = -EBADF;
	char table[16], path[32];
	int r;

	table_name(id, table);
	lock_name(id, path);
	r = nl_open(NETLINK_NETFILTER, &nf, e);
	if (r == -EPROTONOSUPPORT) /* no nf_tables, no table */
		return 0;
	/* No lock file: nobody has a table or is making one.  The usual case, and no file is made in it. */
	if (r == 0 && access(path, F_OK) < 0) {
		r = table_exists(nf, table, e);
		if (r == 0 || r == -EOPNOTSUPP)
			return 0;
	}
	if (r >= 0)
		r = fw_lock(id, &lock, e);
	if (r >= 0)
		r = remove_from(id, nf, lock, ifname, spec, e);
	return r < 0 ? err_wrap(e, "firewall") : 0;
}

int
os_fw_down(const struct os_id *id, const struct jailspec *spec, struct err *e)
{
	char ifname[IFNAMSIZ];

	if (net_shared(spec) || !net_addrs(spec, AF_UNSPEC, NULL) || net_ifname(id, ifname, e) < 0)
		return 0;
	return down(id, ifname, spec, e);
}

int
os_fw_remove(const struct os_id *id, struct err *e)
{
	return down(id, NULL, NULL, e);
}
