/* SPDX-License-Identifier: BSD-2-Clause */
#include <libmnl/libmnl.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>

#include "base/mem.h"
#include "os/linux/network/diag.h"

#define CHOSEN_FIRST 32768
#define CHOSEN_LAST 60999

struct inet_diag_req_v2 *
diag_msg(void *buf, struct nlmsghdr **ret, int proto, int family, uint16_t flags)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *q = mnl_nlmsg_put_extra_header(m, sizeof(*q));

	m->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	m->nlmsg_flags = NLM_F_REQUEST | flags;
	q->sdiag_family = (uint8_t)family;
	q->sdiag_protocol = (uint8_t)proto;
	/* a UDP socket that is not connected has this state */
	q->idiag_states = 1u << (proto == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE);
	*ret = m;
	return q;
}

struct each {
	void (*fn)(void *ctx, int proto, const struct inet_diag_msg *m);
	void *ctx;
	int proto;
};

static int
one(const struct nlmsghdr *msg, void *ctx)
{
	const struct each *each = ctx;
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(msg);

	if (mnl_nlmsg_get_payload_len(msg) >= sizeof(*m) && m->id.idiag_sport != 0)
		each->fn(each->ctx, each->proto, m);
	return 0;
}

int
diag_each(int fd, void (*fn)(void *ctx, int proto, const struct inet_diag_msg *m), void *ctx, struct err *e)
{
	static const int protos[] = {IPPROTO_TCP, IPPROTO_UDP}, families[] = {AF_INET, AF_INET6};
	char buf[NL_MSG];

	for (size_t p = 0; p < ARRAY_LEN(protos); p++)
		for (size_t f = 0; f < ARRAY_LEN(families); f++) {
			struct each each = {fn, ctx, protos[p]};
			struct nlmsghdr *m;

			(void)diag_msg(buf, &m, protos[p], families[f], NLM_F_DUMP);
			if (nl_do(fd, m, one, &each, e) < 0)
				return err_wrap(e, "list the sockets of the jail");
		}
	return 0;
}

bool
diag_is_chosen(uint16_t port)
{
	return port >= CHOSEN_FIRST && port <= CHOSEN_LAST;
}

bool
diag_is_clients(int proto, uint16_t port)
{
	return proto == IPPROTO_UDP && diag_is_chosen(port);
}
