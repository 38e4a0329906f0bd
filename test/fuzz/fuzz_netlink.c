/* SPDX-License-Identifier: BSD-2-Clause */
/* A datagram as the kernel answers: through the walk of nl_do() with each of the callbacks. */
#include "os/linux/network/netlink.c"

#include "fuzz.h"

static void
sum(void *ctx, const void *key, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*(uint8_t *)ctx += ((const uint8_t *)key)[i];
}

static int
each_element(const struct nlmsghdr *msg, void *ctx)
{
	uint8_t value[20], key[32];

	(void)ctx;
	must(nl_nft_elem_value(msg, value, sizeof(value)) <= sizeof(value), "a value fits");
	(void)nl_nft_elem_count(msg, key, sizeof(key));
	nl_nft_elem_commented(msg, "www", sum, key);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const each[])(const struct nlmsghdr *, void *) = {each_link, each_route, each_neigh,
								       each_element, NULL};
	union {
		struct nl_link link;
		struct nl_route route;
		int protocol;
	} found;
	/* libmnl walks a message to its aligned end; that of a datagram is in the buffer, whose size is a
	 * multiple */
	_auto_free void *buf = xcalloc(NLMSG_ALIGN(size), 1);
	struct err e;

	if (size < sizeof(struct nlmsghdr))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(each); i++) {
		int r;

		err_clear(&e);
		memset(&found, 0, sizeof(found));
		memcpy(buf, data, size);
		r = take_answers(buf, size, ((const struct nlmsghdr *)buf)->nlmsg_seq, each[i], &found, &e);
		must(r <= 1 && (r < 0) == (e.num != 0), "an error has a message, nothing else has");
		if (i == 0)
			must(strnlen(found.link.name, sizeof(found.link.name)) < sizeof(found.link.name) &&
				 strnlen(found.link.alias, sizeof(found.link.alias)) <
				     sizeof(found.link.alias),
			     "names end");
	}
	return 0;
}
