/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network of jails in a laboratory: this program enters a network namespace of its own (the "host"),
 * another one is the world outside, and every jail is one more.  No packet leaves them.  Needs root, ip(8),
 * nft(8), sysctl(8); without root it is skipped (exit status 77).
 *
 *	outside 192.0.2.2, 2001:db8:0:1::2 --- up0 192.0.2.1, 2001:db8:0:1::1 host --- jails 10.0.0.N, 2001:db8:9::N
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/child.h"
#include "os/linux/network/net.h"
#include "os/linux/instance/ref.h"
#include "lab.h"

#define TAG "7e57ab"
#define PORT 8080
struct jail {
	struct os_id id;
	struct ns ns;
	struct spec_addr addrs[4];
	struct spec_rdr rdr[4];
	struct jailspec spec;
	char name[16];
};

static struct ns outside;
static bool force6; /* Linux 6.17: force_forwarding.  Before, the laboratory's host forwards all IPv6 */
static char *pristine;

static void
jail_init(struct jail *j, int jid)
{
	memset(j, 0, sizeof(*j));
	(void)snprintf(j->name, sizeof(j->name), "j%d", jid);
	j->id = (struct os_id){TAG, j->name, jid};
	j->spec.name = j->name;
	j->spec.addrs = j->addrs;
	j->spec.rdr = j->rdr;
	j->spec.ip4 = j->spec.ip6 = SHARE_NEW;
}

static void
jail_addr(struct jail *j, const char *text, int prefix, const char *ifname)
{
	struct spec_addr *a = &j->addrs[j->spec.n_addrs++];

	a->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(a->family, text, &a->addr), 1);
	a->prefix = prefix;
	a->interface = (char *)(uintptr_t)ifname;
}

/* 10.0.0.N and 2001:db8:9::N */
static void
jail_both(struct jail *j, int jid)
{
	char text[64];

	jail_init(j, jid);
	(void)snprintf(text, sizeof(text), "10.0.0.%d", jid);
	jail_addr(j, text, 32, NULL);
	(void)snprintf(text, sizeof(text), "2001:db8:9::%d", jid);
	jail_addr(j, text, 128, NULL);
}

static void
jail_rdr(struct jail *j, uint16_t port)
{
	j->rdr[j->spec.n_rdr++] = (struct spec_rdr){IPPROTO_TCP, port, PORT};
	j->rdr[j->spec.n_rdr++] = (struct spec_rdr){IPPROTO_UDP, port, PORT};
}

static int
up(struct jail *j, struct strv *warnings, struct err *e)
{
	int r = os_net_check(&j->id, &j->spec, e);

	if (r == 0)
		r = os_net_up(&j->id, &j->spec, &j->ns.ref, warnings, e);
	return r == 0 ? os_fw_up(&j->id, &j->spec, e) : r;
}

static void
jail_up(struct jail *j, struct strv *warnings)
{
	struct err e = ERR_INIT;

	ns_make(&j->ns, true);
	if (up(j, warnings, &e) < 0)
		fail_msg("%s", e.msg);
}

static void
down(struct jail *j)
{
	struct err e = ERR_INIT;

	if (os_fw_down(&j->id, &j->spec, &e) < 0 || os_net_down(&j->id, &j->spec, NULL, &e) < 0)
		fail_msg("%s", e.msg);
}

static void
jail_down(struct jail *j)
{
	down(j);
	ns_end(&j->ns);
	down(j); /* nothing there any more: success */
}

/* All that a jail's network could leave on the host. */
static char *
snapshot(void)
{
	return output_of(
	    "ip -d link; ip addr; ip rule; ip route show table all; ip -6 route show table all;"
	    "ip neigh show proxy; ip -6 neigh show proxy; nft list ruleset;"
	    "sysctl -a -r '^net\\.' 2>/dev/null | grep -v -e conntrack_count -e nf_conntrack_buckets;"
	    "ls /run | grep '^brig-fw.*" TAG "' || :");
}

static void
assert_pristine(void)
{
	_auto_free char *now = snapshot();

	if (!streq(now, pristine)) {
		FILE *a = fopen("/tmp/netlab.before", "we"), *b = fopen("/tmp/netlab.after", "we");

		if (a && b) {
			(void)fputs(pristine, a);
			(void)fputs(now, b);
			(void)fclose(a);
			(void)fclose(b);
			(void)!system(
			    "diff /tmp/netlab.before /tmp/netlab.after >&2; rm -f /tmp/netlab.before "
			    "/tmp/netlab.after");
		}
		fail_msg("the host is not as it was");
	}
}

/* What an administrator does whose jails speak with the world. */
static void
forward(int on)
{
	sh("sysctl -qw net.ipv4.conf.up0.forwarding=%d", on);
	if (force6)
		sh("sysctl -qw net.ipv6.conf.up0.force_forwarding=%d", on);
}

static void
fails_with(int r, const struct err *e, int num, const char *part)
{
	if (r != -num || !strstr(e->msg, part))
		fail_msg("expected %s, got %d '%s'", part, r, e->msg);
}

/*
 * The tests
 */
static void
without_addresses(void **state)
{
	struct jail j;

	(void)state;
	jail_init(&j, 1);
	j.spec.ip4 = j.spec.ip6 = SHARE_DISABLE;
	jail_up(&j, NULL);
	ns_sh(&j.ns, "test \"$(ls /proc/sys/net/ipv4/conf | tr '\\n' ' ')\" = 'all default lo '");
	ns_sh(&j.ns, "ip addr show lo | grep -q 127.0.0.1/8 && ip addr show lo | grep -q ::1/128");
	assert_pristine();
	jail_down(&j);
	assert_pristine();
}

static void
one_family_only(void **state)
{
	struct jail j4, j6;

	(void)state;
	jail_init(&j4, 1);
	jail_addr(&j4, "10.0.0.1", 24, NULL);
	jail_addr(&j4, "127.0.1.1", 8, NULL);
	jail_up(&j4, NULL);
	ns_sh(&j4.ns, "test \"$(ip -o addr show dev eth0 | wc -l)\" = 1; ip -4 route | grep -q '^default via "
		      "169.254.1.1 "
		      "dev eth0 .*src 10.0.0.1'");
	ns_sh(&j4.ns, "! ip -4 route | grep -q 10.0.0.0/24; ip addr show dev eth0 | grep -q 10.0.0.1/24");
	sh("test -z \"$(ip -6 addr show dev b" TAG ".1)\"");
	sh("ip link show dev b" TAG ".1 | grep -q 'alias brig:" TAG ":j1:1'");
	jail_down(&j4);
	jail_init(&j6, 2);
	jail_addr(&j6, "2001:db8:9::2", 128, NULL);
	jail_up(&j6, NULL);
	ns_sh(
	    &j6.ns,
	    "test \"$(ip -o addr show dev eth0 | wc -l)\" = 1; ip -6 route | grep -q '^default via fe80::1'");
	sh("test -z \"$(ip -4 addr show dev b" TAG ".2)\"");
	jail_down(&j6);
	assert_pristine();
}

static void
jails_and_host_reach_each_other(void **state)
{
	struct jail a, b;
	struct server sa = {.port = PORT}, sh_ = {.ns_fd = HOST, .port = 9000};

	(void)state;
	jail_both(&a, 1);
	jail_addr(&a, "62.123.43.14", 24, NULL); /* from anywhere */
	jail_both(&b, 2);
	jail_up(&a, NULL);
	jail_up(&b, NULL);
	sa.ns_fd = a.ns.fd;
	server_start(&sa);
	server_start(&sh_);
	reaches(HOST, "host", "10.0.0.1", PORT, "169.254.1.1");
	/* a UDP server on all addresses answers with its primary one; here as on every host with several */
	tcp_reaches(HOST, "62.123.43.14", PORT, "169.254.1.1");
	reaches(HOST, "host", "2001:db8:9::1", PORT, NULL);
	reaches(b.ns.fd, "b", "10.0.0.1", PORT, "10.0.0.2");
	tcp_reaches(b.ns.fd, "62.123.43.14", PORT, "10.0.0.2");
	reaches(b.ns.fd, "b", "2001:db8:9::1", PORT, "2001:db8:9::2");
	reaches(a.ns.fd, "a", "169.254.1.1", 9000, "10.0.0.1"); /* the first address is the primary one */
	tcp_reaches(a.ns.fd, "192.0.2.1", 9000, "10.0.0.1");
	tcp_reaches(a.ns.fd, "2001:db8:0:1::1", 9000, "2001:db8:9::1");
	tcp_reaches(a.ns.fd, "fe80::1%eth0", 9000, "2001:db8:9::1");
	reaches(a.ns.fd, "a", "127.0.0.1", PORT, "127.0.0.1");
	server_end(&sa);
	server_end(&sh_);
	jail_down(&a);
	jail_down(&b);
	assert_pristine();
}

static void
redirections(void **state)
{
	static const char *const host4[] = {"127.0.0.1", "127.9.9.9", "169.254.1.1", "192.0.2.1"};
	struct jail www, b, second;
	struct server s = {.port = PORT}, s2 = {.port = PORT}, foreign = {.port = 80};

	(void)state;
	jail_both(&www, 1);
	jail_rdr(&www, 80);
	jail_both(&b, 2);
	jail_up(&www, NULL);
	jail_up(&b, NULL);
	s.ns_fd = www.ns.fd;
	server_start(&s);
	for (size_t i = 0; i < ARRAY_LEN(host4); i++)
		reaches(HOST, "host", host4[i], 80, i == 3 ? "192.0.2.1" : "169.254.1.1");
	reaches(HOST, "host", "::1", 80, "fe80::1");
	reaches(HOST, "host", "2001:db8:0:1::1", 80, "2001:db8:0:1::1");
	for (size_t i = 2; i < ARRAY_LEN(host4); i++) {
		reaches(b.ns.fd, "other jail", host4[i], 80, "10.0.0.2");
		reaches(www.ns.fd, "the jail itself", host4[i], 80, "169.254.1.1");
	}
	reaches(b.ns.fd, "other jail", "2001:db8:0:1::1", 80, "2001:db8:9::2");
	reaches(b.ns.fd, "other jail", "fe80::1%eth0", 80, "2001:db8:9::2");
	reaches(www.ns.fd, "the jail itself", "2001:db8:0:1::1", 80, "fe80::1");
	unreachable(outside.fd, "outside", "192.0.2.1", 80); /* up0 does not forward */
	forward(1);
	reaches(outside.fd, "outside", "192.0.2.1", 80, "192.0.2.2");
	reaches(outside.fd, "outside", "2001:db8:0:1::1", 80, "2001:db8:0:1::2");
	/* what is not for the host is left alone: the same port at the world's, from a jail, by way of the
	 * host */
	foreign.ns_fd = outside.fd;
	server_start(&foreign);
	ns_sh(&outside,
	      "ip route add 10.0.0.0/24 via 192.0.2.1; ip -6 route add 2001:db8:9::/64 via 2001:db8:0:1::1");
	reaches(b.ns.fd, "other jail", "192.0.2.2", 80, "10.0.0.2");
	reaches(HOST, "host", "192.0.2.2", 80, "192.0.2.1");
	assert_int_equal(foreign.box->count, 4);
	ns_sh(&outside, "ip route del 10.0.0.0/24; ip -6 route del 2001:db8:9::/64");
	server_end(&foreign);
	forward(0);
	/* a second jail with redirections has its own way back to loopback */
	jail_both(&second, 3);
	jail_rdr(&second, 81);
	jail_up(&second, NULL);
	s2.ns_fd = second.ns.fd;
	server_start(&s2);
	for (uint16_t port = 80; port < 82; port++) {
		reaches(HOST, "host", "::1", port, "fe80::1");
		reaches(HOST, "host", "127.0.0.1", port, "169.254.1.1");
	}
	assert_int_equal(s2.box->count, 4);
	server_end(&s2);
	jail_down(&second);
	/* the host's own loopback is as it was, with a route to ::1 more */
	foreign.ns_fd = HOST;
	foreign.port = 9001;
	server_start(&foreign);
	reaches(HOST, "host", "::1", 9001, "::1");
	reaches(HOST, "host", "127.0.0.1", 9001, "127.0.0.1");
	server_end(&foreign);
	server_end(&s);
	jail_down(&www);
	jail_down(&b);
	assert_pristine();
}

static void
masquerade(void **state)
{
	_auto_strv struct strv warnings = STRV_INIT, quiet = STRV_INIT;
	_auto_free char *all = NULL;
	struct jail j, b;
	struct server s = {.ns_fd = outside.fd, .port = PORT}, sb = {.port = PORT};

	(void)state;
	server_start(&s);
	jail_both(&j, 1);
	j.spec.nat = true;
	jail_both(&b, 2);
	jail_up(&j, &warnings);
	all = strv_join(&warnings, "\n");
	assert_non_null(strstr(all,
			       "nat: up0 does not forward IPv4, so replies from outside are dropped: sysctl "
			       "net.ipv4.conf.up0.forwarding=1"));
	assert_true(!force6 || strstr(all, "nat: up0 does not forward IPv6"));
	unreachable(j.ns.fd, "jail", "192.0.2.2", PORT);
	if (force6)
		unreachable(j.ns.fd, "jail", "2001:db8:0:1::2", PORT);
	forward(1);
	reaches(j.ns.fd, "jail", "192.0.2.2", PORT, "192.0.2.1");
	reaches(j.ns.fd, "jail", "2001:db8:0:1::2", PORT, "2001:db8:0:1::1");
	jail_up(&b, &quiet);
	assert_int_equal(quiet.n, 0);
	unreachable(b.ns.fd, "jail without nat", "192.0.2.2", PORT);
	sb.ns_fd = b.ns.fd;
	server_start(&sb);
	reaches(j.ns.fd, "jail", "10.0.0.2", PORT, "10.0.0.1"); /* between jails nothing is masked */
	reaches(j.ns.fd, "jail", "2001:db8:9::2", PORT, "2001:db8:9::1");
	server_end(&sb);
	server_end(&s);
	forward(0);
	jail_down(&j);
	jail_down(&b);
	assert_pristine();
}

static unsigned
arrivals(struct server *s, int ns_fd, const char *from, const char *to, int port)
{
	unsigned before = s->box->count;

	say_from(ns_fd, from, to, port);
	return s->box->count - before;
}

static void
foreign_sources(void **state)
{
	struct jail j, b, plain;
	struct server s = {.port = PORT}, lo = {.ns_fd = HOST, .port = 9002, .only = "127.0.0.1"};

	(void)state;
	jail_both(&j, 1);
	jail_rdr(&j, 80);
	jail_both(&b, 2);
	jail_up(&j, NULL);
	jail_up(&b, NULL);
	s.ns_fd = b.ns.fd;
	server_start(&s);
	server_start(&lo);
	assert_int_equal(arrivals(&s, j.ns.fd, "10.0.0.1", "10.0.0.2", PORT), 1);
	assert_int_equal(arrivals(&s, j.ns.fd, "10.0.0.77", "10.0.0.2", PORT), 0);
	assert_int_equal(arrivals(&s, j.ns.fd, "192.0.2.1", "10.0.0.2", PORT), 0);
	assert_int_equal(arrivals(&s, j.ns.fd, "2001:db8:9::1", "2001:db8:9::2", PORT), 1);
	assert_int_equal(arrivals(&s, j.ns.fd, "2001:db8:9::77", "2001:db8:9::2", PORT), 0);
	assert_int_equal(arrivals(&s, j.ns.fd, "2001:db8:0:1::1", "2001:db8:9::2", PORT), 0);
	/* IPv4 alone needs no firewall: rp_filter of its interface does it */
	jail_init(&plain, 3);
	jail_addr(&plain, "10.0.0.3", 32, NULL);
	jail_up(&plain, NULL);
	sh("! nft get element inet brig_" TAG " jails '{ \"b" TAG ".3\" }' 2>/dev/null");
	assert_int_equal(arrivals(&s, plain.ns.fd, "10.0.0.3", "10.0.0.2", PORT), 1);
	assert_int_equal(arrivals(&s, plain.ns.fd, "10.0.0.77", "10.0.0.2", PORT), 0);
	jail_down(&plain);
	/* a jail that has made itself a way to the host's 127.0.0.1 */
	ns_sh(&j.ns, "ip route del local 127.0.0.0/8 dev lo table local; ip route del local 127.0.0.1 dev lo "
		     "table local;"
		     "ip route add 127.0.0.1 via 169.254.1.1 dev eth0 onlink; sysctl -qw "
		     "net.ipv4.conf.eth0.route_localnet=1");
	assert_int_equal(arrivals(&lo, j.ns.fd, "10.0.0.1", "127.0.0.1", 9002), 0);
	/* ... and the same without the guard, so that the zeros above mean something */
	sh("nft flush chain inet brig_" TAG " guard");
	assert_int_equal(arrivals(&s, j.ns.fd, "2001:db8:9::77", "2001:db8:9::2", PORT), 1);
	assert_int_equal(arrivals(&lo, j.ns.fd, "10.0.0.1", "127.0.0.1", 9002), 1);
	server_end(&lo);
	server_end(&s);
	jail_down(&j);
	jail_down(&b);
	assert_pristine();
}

static void
addresses_on_an_interface(void **state)
{
	_auto_strv struct strv warnings = STRV_INIT;
	_auto_free char *all = NULL;
	struct jail j;
	struct server s = {.port = PORT};
	struct err e = ERR_INIT;

	(void)state;
	jail_init(&j, 1);
	jail_addr(&j, "192.0.2.50", 24, "em0");
	fails_with(os_net_check(&j.id, &j.spec, &e), &e, ENODEV,
		   "192.0.2.50: there is no interface em0 on this host");
	jail_init(&j, 1);
	jail_addr(&j, "192.0.2.50", 24, "up0");
	jail_addr(&j, "2001:db8:0:1::50", 64, "up0");
	sh("ip neigh add proxy 192.0.2.60 dev up0"); /* the administrator's own */
	jail_addr(&j, "192.0.2.60", 24, "up0");
	jail_up(&j, &warnings);
	all = strv_join(&warnings, "\n");
	assert_non_null(strstr(all, "192.0.2.50: up0 does not forward IPv4"));
	assert_non_null(strstr(all,
			       "2001:db8:0:1::50: up0 does not answer neighbour solicitations for it: sysctl "
			       "net.ipv6.conf.up0.proxy_ndp=1"));
	s.ns_fd = j.ns.fd;
	server_start(&s);
	forward(1);
	sh("sysctl -qw net.ipv6.conf.up0.proxy_ndp=1 net.ipv6.conf.up0.forwarding=1");
	reaches(outside.fd, "neighbour outside", "192.0.2.50", PORT, "192.0.2.2");
	reaches(outside.fd, "neighbour outside", "2001:db8:0:1::50", PORT, "2001:db8:0:1::2");
	forward(0);
	sh("sysctl -qw net.ipv6.conf.up0.proxy_ndp=0 net.ipv6.conf.up0.forwarding=%d", !force6);
	server_end(&s);
	jail_down(&j);
	sh("ip neigh show proxy | grep -q 192.0.2.60 && ip neigh del proxy 192.0.2.60 dev up0");
	assert_pristine();
}

static int
check_without_nft(void *arg)
{
	struct jail *j = arg;
	struct err e = ERR_INIT;
	bool hidden;

	(void)setenv("PATH", "/nonexistent", 1);
	hidden = unshare(CLONE_NEWNS) == 0 && mount("/", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	for (const char *const *p = (const char *const[]){"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft",
							  "/usr/local/sbin/nft", NULL};
	     *p; p++)
		if (access(*p, X_OK) == 0)
			hidden = mount("/dev/null", *p, NULL, MS_BIND, NULL) == 0 && hidden;
	if (!hidden || os_net_check(&j->id, &j->spec, &e) != -ENOENT)
		return 1;
	return streq(e.msg, "rdr: nft is missing: apt-get install nftables") ? 0 : 2;
}

static void
refusals(void **state)
{
	struct jail a, b;
	struct os_ref wrong;
	struct err e = ERR_INIT;

	(void)state;
	jail_both(&a, 1);
	jail_rdr(&a, 80);
	sh("ip link add b" TAG ".1 type veth peer name other0");
	fails_with(os_net_check(&a.id, &a.spec, &e), &e, EEXIST,
		   "interface b" TAG ".1 exists already and is not brig's: 'ip link delete b" TAG ".1'");
	down(&a); /* and it is not taken for ours */
	sh("ip link delete b" TAG ".1");
	jail_up(&a, NULL);

	jail_init(&b, 2);
	jail_addr(&b, "192.0.2.1", 32, NULL);
	fails_with(os_net_check(&b.id, &b.spec, &e), &e, EADDRINUSE, "192.0.2.1 is an address of the host");
	jail_init(&b, 2);
	jail_addr(&b, "2001:db8:0:1::1", 128, NULL);
	fails_with(os_net_check(&b.id, &b.spec, &e), &e, EADDRINUSE,
		   "2001:db8:0:1::1 is an address of the host");
	jail_init(&b, 2);
	jail_addr(&b, "192.0.2.255", 32, NULL);
	fails_with(os_net_check(&b.id, &b.spec, &e), &e, EADDRNOTAVAIL, "192.0.2.255 is a broadcast");
	jail_init(&b, 2);
	jail_addr(&b, "10.0.0.1", 32, NULL);
	fails_with(os_net_check(&b.id, &b.spec, &e), &e, EADDRINUSE,
		   "10.0.0.1 is an address of jail j1 already");
	jail_both(&b, 2);
	jail_rdr(&b, 80);
	fails_with(os_net_check(&b.id, &b.spec, &e), &e, EADDRINUSE,
		   "rdr: tcp port 80 of the host is redirected to jail j1 already");
	/* the same moment, no check between: the transaction itself refuses, and takes nothing of j1's */
	ns_make(&b.ns, true);
	assert_int_equal(os_net_up(&b.id, &b.spec, &b.ns.ref, NULL, &e), 0);
	fails_with(os_fw_up(&b.id, &b.spec, &e), &e, EADDRINUSE,
		   "firewall: rdr: tcp port 80 of the host is redirected to jail j1 already");
	jail_down(&b);
	sh("nft list map inet brig_" TAG " rdr_tcp4 | grep -q '10.0.0.1 . 8080'");
	jail_both(&b, 1);
	(void)snprintf(b.name, sizeof(b.name), "else");
	fails_with(os_net_check(&b.id, &b.spec, &e), &e, EEXIST, "belongs to jail j1: stop that jail first");
	jail_init(&b, 2);
	b.rdr[b.spec.n_rdr++] = (struct spec_rdr){IPPROTO_TCP, 81, 81};
	fails_with(os_net_check(&b.id, &b.spec, &e), &e, EINVAL, "rdr needs an address");
	assert_int_equal(in_ns(HOST, check_without_nft, &a), 0);

	wrong = a.ns.ref;
	wrong.start++;
	fails_with(os_net_up(&a.id, &a.spec, &wrong, NULL, &e), &e, ESRCH,
		   "the jail is not running any more");
	assert_int_equal(ref_make(getpid(), &wrong, &e), 0);
	jail_both(&b, 3);
	fails_with(os_net_up(&b.id, &b.spec, &wrong, NULL, &e), &e, EINVAL,
		   "the jail is in the host's network");
	jail_down(&a);
	assert_pristine();
}

static void
own_stack(void **state)
{
	static char v1[] = "v1", gone[] = "gone0", out[] = "up0";
	char *list[] = {v1, gone, NULL};
	struct jail j;
	struct err e = ERR_INIT;

	(void)state;
	sh("ip link add v0 type veth peer name v1");
	jail_init(&j, 1);
	j.spec.vnet = true;
	j.spec.vnet_interface = (struct strv){list, 2, 3};
	fails_with(os_net_check(&j.id, &j.spec, &e), &e, ENODEV,
		   "vnet.interface: there is no interface gone0");
	list[1] = out;
	fails_with(os_net_check(&j.id, &j.spec, &e), &e, EBUSY, "up0 carries the host's default route");
	/* one that vanishes after the check: the other comes back */
	list[1] = gone;
	ns_make(&j.ns, true);
	fails_with(os_net_up(&j.id, &j.spec, &j.ns.ref, NULL, &e), &e, ENODEV, "interface gone0 is gone");
	sh("ip link show v1 >/dev/null");
	ns_end(&j.ns);
	list[1] = NULL;
	j.spec.vnet_interface.n = 1;
	jail_up(&j, NULL);
	ns_sh(&j.ns, "ip link show v1 >/dev/null");
	sh("! ip link show v1 2>/dev/null");
	assert_int_equal(os_net_down(&j.id, &j.spec, &j.ns.ref, &e), 0);
	sh("ip link show v1 >/dev/null");
	assert_int_equal(os_net_down(&j.id, &j.spec, &j.ns.ref, &e), 0);
	jail_down(&j);
	assert_int_equal(os_net_down(&j.id, &j.spec, &j.ns.ref, &e), 0);
	sh("ip link delete v0");
	assert_pristine();
}

static void
flushed_ruleset(void **state)
{
	_auto_free char *before = NULL, *after = NULL;
	struct jail a, b;
	struct err e = ERR_INIT;

	(void)state;
	jail_both(&a, 1);
	jail_rdr(&a, 80);
	a.spec.nat = true;
	jail_both(&b, 2);
	jail_up(&a, NULL);
	before = output_of("nft list table inet brig_" TAG);
	assert_int_equal(os_fw_up(&a.id, &a.spec, &e), 0); /* again: no change */
	sh("nft delete table inet brig_" TAG);             /* as a restart of the host's firewall does */
	assert_int_equal(os_fw_up(&a.id, &a.spec, &e), 0);
	after = output_of("nft list table inet brig_" TAG);
	assert_string_equal(before, after);
	sh("nft delete table inet brig_" TAG);
	jail_up(&b, NULL);
	jail_down(&a);
	sh("nft list table inet brig_" TAG " >/dev/null"); /* b has it still */
	/* a table with the rules of another version gets the rules of this one */
	sh("nft flush set inet brig_" TAG " version; nft flush chain inet brig_" TAG " guard");
	assert_int_equal(os_fw_up(&b.id, &b.spec, &e), 0);
	sh("nft list chain inet brig_" TAG " guard | grep -q 'fib saddr'");
	jail_down(&b);
	assert_pristine();
}

static int
up_quietly(void *arg)
{
	struct jail *j = arg;
	struct err e = ERR_INIT;

	(void)close(2);
	return up(j, NULL, &e) < 0;
}

/* kill -9 at any moment: what is made by then goes with the next os_net_down and os_fw_down. */
static void
killed_at_any_moment(void **state)
{
	const char *rounds = getenv("NETLAB_KILLS");
	int n = rounds && rounds[0] ? (int)(rounds[0] - '0') * 100 : 60;
	unsigned seed = (unsigned)getpid();
	struct jail j;

	(void)state;
	jail_both(&j, 1);
	jail_addr(&j, "192.0.2.50", 32, "up0");
	jail_rdr(&j, 80);
	j.spec.nat = true;
	print_message("seed %u, %d rounds\n", seed, n);
	srandom(seed);
	for (int i = 0; i < n; i++) {
		struct timespec ts = {0, random() % (i & 1 ? 4000000 : 25000000)};
		pid_t pid;

		ns_make(&j.ns, true);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(up_quietly(&j));
		(void)nanosleep(&ts, NULL);
		kill_pid(pid);
		down(&j);
		ns_end(&j.ns);
		if (i % 10 == 9)
			assert_pristine();
	}
	/* killed, and started again without anything between: the remains are replaced */
	ns_make(&j.ns, true);
	assert_int_equal(in_ns(HOST, up_quietly, &j), 0);
	ns_end(&j.ns);
	jail_up(&j, NULL);
	jail_down(&j);
	assert_pristine();
}

#define CROWD 6
static int
come_and_go(void *arg)
{
	struct jail *j = arg;
	struct err e = ERR_INIT;
	char cmd[200];

	/* nft gives up while others change something: a few tries */
	(void)snprintf(cmd, sizeof(cmd),
		       "for i in 1 2 3 4 5 6 7 8 9; do nft get element inet brig_" TAG
		       " rdr_tcp4 '{ %d }' >/dev/null 2>&1 && exit 0; done; exit 1",
		       j->rdr[0].host_port);
	for (int i = 0; i < 8; i++) {
		const char *step = up(j, NULL, &e) < 0                           ? "up"
				   : system(cmd) != 0                            ? cmd
				   : os_fw_down(&j->id, &j->spec, &e) < 0        ? "os_fw_down"
				   : os_net_down(&j->id, &j->spec, NULL, &e) < 0 ? "os_net_down"
										 : NULL;

		if (step) {
			(void)fprintf(stderr, "%s, round %d: %s: %s\n", j->name, i, step, e.msg);
			return 1;
		}
	}
	return 0;
}

/* The table goes with the last jail and comes with the first, all the time. */
static void
many_at_once(void **state)
{
	struct jail j[CROWD];
	pid_t pid[CROWD];
	int status, failed = 0;

	(void)state;
	for (int i = 0; i < CROWD; i++) {
		jail_both(&j[i], i + 1);
		jail_rdr(&j[i], (uint16_t)(1000 + i));
		ns_make(&j[i].ns, true);
	}
	for (int i = 0; i < CROWD; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0)
			_exit(come_and_go(&j[i]));
	}
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(child_wait(pid[i], &status), 0);
		failed += status != 0;
	}
	assert_int_equal(failed, 0);
	for (int i = 0; i < CROWD; i++)
		ns_end(&j[i].ns);
	assert_pristine();
}

static int
setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	lab_open();
	(void)unlink("/run/brig-fw." TAG ".lock"); /* of a run that was killed */
	ns_make(&outside, false);
	force6 = access("/proc/sys/net/ipv6/conf/all/force_forwarding", F_OK) == 0;
	if (!force6)
		sh("sysctl -qw net.ipv6.conf.all.forwarding=1");
	sh("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0"); /* what is set, brig
											     set */
	sh("ip link set lo up; ip link add up0 type veth peer name up0 netns %d", outside.pid);
	sh("ip addr add 192.0.2.1/24 brd 192.0.2.255 dev up0; ip addr add 2001:db8:0:1::1/64 dev up0 nodad; "
	   "ip link set up0 up");
	ns_sh(&outside, "ip link set lo up; ip addr add 192.0.2.2/24 dev up0; ip addr add 2001:db8:0:1::2/64 "
			"dev up0 nodad; "
			"ip link set up0 up");
	sh("ip route add default via 192.0.2.2; ip -6 route add default via 2001:db8:0:1::2");
	/* somebody else's rules stay */
	sh("nft 'add table inet other; add chain inet other c { type filter hook forward priority 0; policy "
	   "accept; }; add "
	   "rule inet other c ip saddr 203.0.113.0/24 drop'");
	sh("nft list ruleset >/dev/null; sysctl -a >/dev/null 2>&1; sleep 2"); /* link-local addresses settle
										*/
	pristine = snapshot();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ns_end(&outside);
	free(pristine);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_addresses),
	    cmocka_unit_test(one_family_only),
	    cmocka_unit_test(jails_and_host_reach_each_other),
	    cmocka_unit_test(redirections),
	    cmocka_unit_test(masquerade),
	    cmocka_unit_test(foreign_sources),
	    cmocka_unit_test(addresses_on_an_interface),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(own_stack),
	    cmocka_unit_test(flushed_ruleset),
	    cmocka_unit_test(killed_at_any_moment),
	    cmocka_unit_test(many_at_once),
	};

	if (geteuid() != 0) {
		(void)puts("skipped: needs root");
		return 77;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	return cmocka_run_group_tests(tests, setup, teardown);
}
