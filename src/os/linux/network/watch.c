/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watching the sockets that listen in a jail's network, by sock_diag(7): a whole list at the start, then
 * each of them by itself about every millisecond, looked up as the kernel would for a packet to its address.
 * A child does it (the watcher), at the highest priority: it joins the jail's network namespace and stays in
 * the host's others.  It ends with the caller.
 *
 * The downtime is counted from the last look that found all sockets to the first one that finds them all
 * again: never less than what a client has seen, at most the time between two looks more.
 *
 * UDP sockets with a port of the ephemeral range are left out: they are a client's (a resolver waiting for an
 * answer), not a service's.  The range is the kernel's default (ip_local_port_range), whatever the jail sets.
 */
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fsx.h"
#include "base/lock.h"
#include "os/linux/instance/build.h"
#include "os/linux/network/diag.h"
#include "os/linux/network/listen.h"
#include "os/linux/network/net.h"
#include "os/linux/instance/ref.h"
#include "os/linux/instance/userns.h"
#include "os/watch.h"

#define WATCH_MAX 256 /* a jail can open sockets without end: more are not looked at */
#define LOOK_MS 1
#define FD_CALLER 3

struct listener {
	int proto;
	struct net_ip ip;
	uint16_t port;
	struct inet_diag_sockid id; /* what is asked for */
	int64_t back; /* us: when it was found again; 0: it is gone, or never was */
	bool away;    /* gone at the last look */
};

struct os_watch {
	pid_t pid;
	int fd;
};

/* From the watcher: this, then `missing` messages of one text each. */
struct answer {
	int64_t down_us;
	size_t listeners, missing;
	struct err e;
};

struct watcher {
	int diag;
	struct listener v[WATCH_MAX];
	size_t n;
	int64_t seen;  /* us: the last look at which everything was there before the first one went */
	bool went;     /* one has been gone */
	int64_t until; /* us: when to stop waiting; 0: os_watch_ready() has not been called yet */
};

/* ---- sock_diag ---- */

static void
add_listener(void *ctx, int proto, const struct inet_diag_msg *m)
{
	struct watcher *w = ctx;
	struct listener *l = &w->v[w->n];

	/* with a full list the rest is read all the same: the next dump must wait for the end of this one */
	if (w->n == WATCH_MAX || diag_is_clients(proto, ntohs(m->id.idiag_sport)))
		return;
	*l = (struct listener){.proto = proto, .ip.family = m->idiag_family, .id = m->id};
	memcpy(&l->ip.a, m->id.idiag_src, net_ip_len(l->ip.family));
	l->port = ntohs(m->id.idiag_sport);
	l->id.idiag_cookie[0] = l->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	/* to look up one UDP socket, the kernel wants the addresses as in a packet to it (udp_diag.c) */
	if (l->proto == IPPROTO_UDP) {
		memcpy(l->id.idiag_dst, m->id.idiag_src, sizeof(l->id.idiag_dst));
		memset(l->id.idiag_src, 0, sizeof(l->id.idiag_src));
		l->id.idiag_dport = m->id.idiag_sport;
		l->id.idiag_sport = 0;
	}
	for (size_t i = 0; i < w->n; i++) /* several sockets on one port (SO_REUSEPORT) */
		if (w->v[i].proto == l->proto && w->v[i].ip.family == l->ip.family &&
		    memcmp(&w->v[i].id, &l->id, sizeof(l->id)) == 0)
			return;
	w->n++;
}

static int
found(const struct nlmsghdr *msg, void *ctx)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(msg);

	if (mnl_nlmsg_get_payload_len(msg) >= sizeof(*m))
		*(int *)ctx = m->idiag_state;
	return 0;
}

static bool
is_there(struct watcher *w, const struct listener *l)
{
	struct err e = ERR_INIT;
	struct nlmsghdr *m;
	char buf[NL_MSG];
	int state = 0;

	diag_msg(buf, &m, l->proto, l->ip.family, 0)->id = l->id;
	return nl_do(w->diag, m, found, &state, &e) == 0 &&
	       state == (l->proto == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE);
}

/* ---- the watcher ---- */

/* One look at everything.  True when all are there. */
static bool
look(struct watcher *w)
{
	int64_t before = clock_us();
	bool all = true;

	for (size_t i = 0; i < w->n; i++) {
		struct listener *l = &w->v[i];
		bool there = is_there(w, l);

		if (!there) {
			l->away = true;
			l->back = 0;
			all = false;
		} else if (l->away) {
			l->away = false;
			l->back = clock_us();
		}
		w->went |= !there;
	}
	if (!w->went)
		w->seen = before;
	return all;
}

/* From the first one gone to the last one back.  One that does not come back counts only when none does:
 * it is named instead. */
static int64_t
outage(const struct watcher *w)
{
	int64_t last = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].back > last)
			last = w->v[i].back;
	if (!w->went)
		return 0;
	return (last ? last : clock_us()) - w->seen;
}

static _Noreturn void
tell(struct watcher *w, int fd)
{
	struct answer a = {.down_us = outage(w), .listeners = w->n, .e = ERR_INIT};
	char text[LISTEN_TEXT];

	for (size_t i = 0; i < w->n; i++)
		a.missing += w->v[i].away;
	if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) < 0)
		_exit(1);
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].away) {
			(void)listen_text(w->v[i].proto, &w->v[i].ip, w->v[i].port, text);
			(void)send(fd, text, strlen(text) + 1, MSG_NOSIGNAL);
		}
	_exit(0);
}

static _Noreturn void
watch_loop(struct watcher *w, int fd)
{
	struct pollfd p = {fd, POLLIN, 0};
	int wait_ms;

	for (;;) {
		bool all = look(w);

		if (w->until && (all || clock_us() >= w->until))
			tell(w, fd);
		if (poll(&p, 1, LOOK_MS) <= 0)
			continue;
		/* end of file: the caller has ended; else how long it will wait from now on */
		if (w->until || recv(fd, &wait_ms, sizeof(wait_ms), 0) != sizeof(wait_ms))
			_exit(0);
		w->until = clock_us() + (int64_t)wait_ms * 1000 + 1;
	}
}

static _Noreturn void
watch_main(int netns, int fd)
{
	static struct watcher w;
	struct answer a = {.e = ERR_INIT};

	lock_leave();
	die_with_parent(fd);
	(void)setpriority(PRIO_PROCESS, 0, -20);
	if (setns(netns, CLONE_NEWNET) < 0)
		(void)err_sys(&a.e, errno, "join the jail's network");
	/* no other descriptor of the caller's: with a copy of its control socket (init/proto.h) here, a new
	 * jail would not notice that its creator died */
	if (fd != FD_CALLER && dup2(fd, FD_CALLER) < 0)
		_exit(1);
	fd = FD_CALLER;
	(void)close_range(FD_CALLER + 1, ~0U, 0);
	if (a.e.num == 0 && nl_open(NETLINK_SOCK_DIAG, &w.diag, &a.e) == 0 &&
	    diag_each(w.diag, add_listener, &w, &a.e) == 0)
		w.seen = clock_us();
	a.listeners = w.n;
	if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a) || a.e.num)
		_exit(1);
	watch_loop(&w, fd);
}

/* ---- the caller ---- */

static int
hear(const struct os_watch *w, struct answer *a, struct err *e)
{
	ssize_t n;

	while ((n = recv(w->fd, a, sizeof(*a), 0)) < 0 && errno == EINTR)
		;
	if (n != sizeof(*a))
		return err_sys(e, n < 0 ? errno : ECHILD, "the process that watches the jail");
	if (a->e.num)
		*e = a->e;
	return -a->e.num;
}

static int
watch_fork(int netns, struct os_watch *w, struct err *e)
{
	int p[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0)
		return err_sys(e, errno, "socketpair");
	w->pid = fork();
	if (w->pid == 0) {
		fd_close(p[0]);
		watch_main(netns, p[1]);
	}
	fd_close(p[1]);
	w->fd = p[0];
	return w->pid < 0 ? err_sys(e, errno, "fork") : 0;
}

int
os_watch_start(const struct os_ref *ref, const struct jailspec *spec, struct os_watch **ret, struct err *e)
{
	_auto_close int procfd = -EBADF, netns = -EBADF;
	struct os_watch *w;
	struct answer a;
	int r;

	if (net_shared(spec))
		return 0;
	r = ref_open(ref, &procfd);
	if (r < 0)
		return ref_error(r, e);
	if (proc_ns(procfd, "net", &netns, e) < 0)
		return -e->num;
	w = xcalloc(1, sizeof(*w));
	w->fd = -EBADF;
	r = watch_fork(netns, w, e);
	if (r == 0)
		r = hear(w, &a, e);
	if (r < 0)
		os_watch_end(w);
	/* the answers of a kernel without sock_diag(7), or without its part for TCP or UDP */
	if (r == -ENOENT || r == -EPROTONOSUPPORT) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return r;
	*ret = w;
	return 1;
}

int
os_watch_ready(struct os_watch *w, int wait_ms, struct os_outage *ret, struct err *e)
{
	struct os_outage o = {.missing = STRV_INIT};
	char text[LISTEN_TEXT];
	struct answer a;
	int r = 0;

	if (send(w->fd, &wait_ms, sizeof(wait_ms), MSG_NOSIGNAL) != sizeof(wait_ms))
		r = err_sys(e, ECHILD, "the process that watches the jail");
	if (r == 0)
		r = hear(w, &a, e);
	for (size_t i = 0; r == 0 && i < a.missing; i++) {
		ssize_t n = recv(w->fd, text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
		strv_add(&o.missing, text);
	}
	os_watch_end(w);
	if (r < 0)
		return r;
	o.down_us = a.down_us;
	o.listeners = a.listeners;
	*ret = o;
	return 0;
}

void
os_watch_end(struct os_watch *w)
{
	int status;

	if (!w)
		return;
	fd_close(w->fd);
	if (w->pid > 0) {
		(void)kill(w->pid, SIGKILL);
		(void)child_wait(w->pid, &status);
	}
	free(w);
}
