/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets: families, protocols, raw ones, foreign addresses, what listens on the host. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "probe.h"

static int
any_type(int family)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_RDM};
	int num = EAFNOSUPPORT;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		for (int protocol = 0; protocol < 8; protocol++) {
			int fd = socket(family, types[i] | SOCK_CLOEXEC, protocol);

			if (fd >= 0)
				return fd;
			if (errno == EPERM || errno == EACCES)
				num = errno;
		}
	errno = num;
	return -1;
}

static void
family(const struct probe *p)
{
	tell(any_type((int)p->num) >= 0, "a socket of the family");
}

/* Those that have no line of their own. */
static void
other_families(const struct probe *p)
{
	static const int own[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_ALG,  AF_VSOCK, AF_PACKET,
				  AF_KEY,  AF_XDP,  AF_SMC,   AF_CAN,     AF_TIPC, AF_RDS,   AF_BLUETOOTH};

	(void)p;
	for (int f = 1; f < 64; f++) {
		bool known = false;

		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			known = known || own[i] == f;
		if (!known && any_type(f) >= 0)
			allowed("a socket of family %d", f);
	}
	errno = EAFNOSUPPORT;
	tell(false, "a socket of 50 other families");
}

static void
netlink(const struct probe *p)
{
	tell(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)p->num) >= 0, "a netlink socket");
}

static void
inet(const struct probe *p)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM, SOCK_DCCP};
	int num = 0;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (socket(AF_INET, types[i] | SOCK_CLOEXEC, (int)p->num) >= 0)
			allowed("a socket of the protocol");
		num = errno;
	}
	errno = num;
	tell(false, "a socket of the protocol");
}

static void
raw(const struct probe *p)
{
	tell(socket((int)p->num, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) >= 0, "a raw socket");
}

static void
sock_packet(const struct probe *p)
{
	(void)p;
	tell(socket(AF_INET, SOCK_PACKET | SOCK_CLOEXEC, htons(3)) >= 0, "AF_INET, SOCK_PACKET");
}

/* To the host, from an address that is nobody's here. */
static void
spoof(const struct probe *p)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
	} packet = {.ip = {.version = 4, .ihl = 5, .ttl = 4, .protocol = IPPROTO_UDP}};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	(void)p;
	packet.ip.saddr = inet_addr("203.0.113.66");
	packet.ip.daddr = to.sin_addr.s_addr;
	packet.ip.tot_len = htons(sizeof(packet));
	packet.udp.dest = htons(9);
	packet.udp.len = htons(sizeof(packet.udp));
	tell(fd >= 0 && sendto(fd, &packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)) > 0,
	     "a packet with a foreign source");
}

static void
option(const struct probe *p)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	tell(setsockopt(fd, p->num == IP_TRANSPARENT ? IPPROTO_IP : SOL_SOCKET, (int)p->num, &one,
			sizeof(one)) == 0,
	     p->arg);
}

/* The flags that the loopback interface has. */
static void
link_change(const struct probe *p)
{
	struct ifreq r = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)p;
	if (ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		na("lo: %s", strerror(errno));
	tell(ioctl(fd, SIOCSIFFLAGS, &r) == 0, "change an interface");
}

static void
tun(const struct probe *p)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "escape0"};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	(void)p;
	tell(fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0, "make a tap interface");
}

static void
host_port(const struct probe *p)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)p;
	to.sin_port = htons((uint16_t)bait_num("port"));
	tell(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0,
	     "connect to a service of the host's loopback");
}

/* The loopback's service by the address behind the default route. */
static void
gateway_port(const struct probe *p)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	FILE *f = fopen("/proc/net/route", "re");
	char line[256], interface[32];
	unsigned dst, via;

	(void)p;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%31s %x %x", interface, &dst, &via) == 3 && dst == 0)
			to.sin_addr.s_addr = via;
	to.sin_port = htons((uint16_t)bait_num("port"));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno == EINPROGRESS) {
		(void)usleep(300000);
		tell(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, inet_ntoa(to.sin_addr));
	}
	tell(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EISCONN,
	     inet_ntoa(to.sin_addr));
}

static void
host_abstract(const struct probe *p)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(to.sun_path + 1, sizeof(to.sun_path) - 1, "%s", bait("abstract"));

	(void)p;
	tell(connect(fd, (struct sockaddr *)&to,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0,
	     "connect to an abstract socket of the host's");
}

#define FAMILY(name, af)                                           \
	{                                                          \
		"socket_" name, "K7", family, NULL, af, true, NULL \
	}
#define NETLINK(name, protocol)                                            \
	{                                                                  \
		"netlink_" name, "K7", netlink, NULL, protocol, true, NULL \
	}

static const struct probe v[] = {
    FAMILY("alg", AF_ALG),
    FAMILY("vsock", AF_VSOCK),
    FAMILY("packet", AF_PACKET),
    FAMILY("key", AF_KEY),
    FAMILY("xdp", AF_XDP),
    FAMILY("smc", AF_SMC),
    FAMILY("can", AF_CAN),
    FAMILY("tipc", AF_TIPC),
    FAMILY("rds", AF_RDS),
    FAMILY("bluetooth", AF_BLUETOOTH),
    {"socket_other", "K7", other_families, NULL, 0, true, NULL},
    NETLINK("sock_diag", 4),
    NETLINK("xfrm", 6),
    NETLINK("audit", 9),
    NETLINK("connector", 11),
    NETLINK("netfilter", 12),
    NETLINK("uevent", 15),
    NETLINK("generic", 16),
    NETLINK("rdma", 20),
    NETLINK("crypto", 21),
    {"inet_sctp", "K7", inet, NULL, 132, true, NULL},
    {"inet_dccp", "K7", inet, NULL, 33, true, NULL},
    {"inet_l2tp", "K7", inet, NULL, 115, true, NULL},
    {"inet_smc", "K7", inet, NULL, 256, true, NULL},
    {"raw_ipv4", "K20", raw, NULL, AF_INET, false, NULL},
    {"raw_ipv6", "K20", raw, NULL, AF_INET6, true, NULL},
    {"sock_packet", "K20", sock_packet, NULL, 0, true, NULL},
    {"spoof_source", "K20", spoof, NULL, 0, false, NULL},
    {"transparent", "K20", option, "IP_TRANSPARENT", IP_TRANSPARENT, true, NULL},
    {"mark", "K20", option, "SO_MARK", SO_MARK, false, NULL},
    {"rcvbufforce", "K20", option, "SO_RCVBUFFORCE", SO_RCVBUFFORCE, false, NULL},
    {"link_change", "K20", link_change, NULL, 0, false, NULL},
    {"tun", "K20", tun, NULL, 0, true, NULL},
    {"host_port", "K21", host_port, NULL, 0, false, NULL},
    {"gateway_port", "K21", gateway_port, NULL, 0, false, NULL},
    {"host_abstract", "K13", host_abstract, NULL, 0, false, NULL},
};

const struct probes probes_sock = {v, sizeof(v) / sizeof(v[0])};
