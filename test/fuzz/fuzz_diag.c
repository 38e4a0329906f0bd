/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of sock_diag(7): each is one of a jail's sockets, of which there may be more than are watched. */
#include "os/linux/network/diag.c"
#include "os/linux/network/watch.c"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct watcher w;
	static const int protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	_auto_free void *buf = xcalloc(size + 1, 1);
	char text[LISTEN_TEXT];

	memset(&w, 0, sizeof(w));
	for (size_t p = 0; p < ARRAY_LEN(protos); p++) {
		struct each d = {add_listener, &w, protos[p]};
		int left = (int)size, state = 0;

		memcpy(buf, data, size);
		/* the walk is nl_do()'s: fuzz_netlink.c */
		for (const struct nlmsghdr *h = buf; mnl_nlmsg_ok(h, left) && h->nlmsg_len <= (uint32_t)left;
		     h = mnl_nlmsg_next(h, &left)) {
			must(one(h, &d) == 0, "the list is read to its end");
			(void)found(h, &state);
		}
	}
	must(w.n <= WATCH_MAX, "no more than are watched");
	for (size_t i = 0; i < w.n; i++) {
		must(w.v[i].port != 0, "a port");
		must(strlen(listen_text(w.v[i].proto, &w.v[i].ip, w.v[i].port, text)) < sizeof(text),
		     "words");
	}
	return 0;
}
