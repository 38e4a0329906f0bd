/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets that are made for the services of a jail and held by its first process (init/proto.h).
 *
 * A child that is the jail's root in the jail's network namespace makes them: so they belong to the jail
 * like those that its own processes make, and its root may bind low ports there.  For a jail in the host's
 * network (ip4 = inherit) the child stays the host's root.  It shares our descriptors (CLONE_FILES), so the
 * sockets are ours at once.
 * Facts: socket(7), ip(7), ipv6(7), pidfd_getfd(2).
 */
#include <assert.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "base/child.h"
#include "init/proto.h"
#include "os/linux/instance/build.h"
#include "os/linux/network/listen.h"
#include "os/linux/network/net.h"
#include "os/linux/instance/ref.h"
#include "os/linux/host/syscalls.h"
#include "os/linux/instance/userns.h"

#define BACKLOG 4096

static_assert(SPEC_LISTEN_MAX == INIT_MAX_LISTEN, "what the configuration allows is what init takes");

const char *
listen_text(int proto, const struct net_ip *ip, uint16_t port, char buf[LISTEN_TEXT])
{
	const char *name = proto == IPPROTO_TCP ? "tcp" : "udp";
	char text[NET_IP_TEXT];

	if (ip->family == AF_UNSPEC)
		(void)snprintf(buf, LISTEN_TEXT, "%s %u", name, port);
	else
		(void)snprintf(buf, LISTEN_TEXT, ip->family == AF_INET6 ? "%s [%s]:%u" : "%s %s:%u", name,
			       net_ip_text(ip, text), port);
	return buf;
}

static const char *
entry_text(const struct spec_listen *l, char buf[LISTEN_TEXT])
{
	const struct net_ip ip = {.family = l->family, .a = l->addr};

	return listen_text(l->proto, &ip, l->port, buf);
}

/* ---- what an entry means in this jail ---- */

struct place {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a;
	socklen_t len;
	int type;
	bool v6only;
};

static struct place
place_of(const struct jailspec *spec, const struct spec_listen *l)
{
	/* where the jail's addresses are not known: both families */
	bool all = net_shared(spec) || spec->vnet || net_addrs(spec, AF_UNSPEC, NULL) == 0;
	bool has4 = all || net_addrs(spec, AF_INET, NULL) > 0;
	bool has6 = (all || net_addrs(spec, AF_INET6, NULL) > 0) && net_has_ipv6();
	struct place p = {.type = l->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM};

	if (l->family == AF_INET || (l->family == AF_UNSPEC && !has6)) {
		p.a.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(l->port)};
		memcpy(&p.a.v4.sin_addr, &l->addr, sizeof(p.a.v4.sin_addr));
		p.len = sizeof(p.a.v4);
	} else {
		p.a.v6 = (struct sockaddr_in6){
		    .sin6_family = AF_INET6, .sin6_port = htons(l->port), .sin6_addr = l->addr};
		p.len = sizeof(p.a.v6);
		p.v6only = l->family == AF_INET6 || !has4;
	}
	return p;
}

/* ---- making ---- */

static bool
set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* SO_REUSEADDR lets a TCP port be taken over connections that are being closed; for UDP it would let others
 * take the port away. */
static int
make(const struct place *p, bool freebind)
{
	_auto_close int fd = socket(p->a.any.sa_family, p->type | SOCK_CLOEXEC, 0);
	bool v6 = p->a.any.sa_family == AF_INET6;

	if (fd < 0 || (p->type == SOCK_STREAM && !set(fd, SOL_SOCKET, SO_REUSEADDR, 1)) ||
	    (v6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, p->v6only)) ||
	    (freebind && !set(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND, 1)) ||
	    bind(fd, &p->a.any, p->len) < 0 || (p->type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		return -errno;
	return TAKE_FD(fd);
}

struct result {
	int fds[SPEC_LISTEN_MAX]; /* <0: not made */
	struct err e;
};

static int
make_all(const struct jailspec *spec, const struct keep *ns, struct result *r)
{
	char text[LISTEN_TEXT];

	if (ns->netns >= 0 &&
	    (setns(ns->netns, CLONE_NEWNET) < 0 || userns_become_root(ns->userns, &r->e) < 0))
		return r->e.num ? -r->e.num : err_sys(&r->e, errno, "join the jail's network");
	for (size_t i = 0; i < spec->n_listen; i++) {
		const struct spec_listen *l = &spec->listen[i];
		struct place p = place_of(spec, l);

		if (r->fds[i] >= 0)
			continue;
		/* with vnet the jail itself gives its interfaces their addresses, later */
		r->fds[i] = make(&p, spec->vnet && l->family != AF_UNSPEC);
		if (r->fds[i] < 0)
			return err_sys(&r->e, -r->fds[i], "listen '%s'", entry_text(l, text));
	}
	return 0;
}

/* Makes those that are <0 in r.  The answer fits into the pipe, so the child can end before it is read. */
static int
make_in_jail(const struct jailspec *spec, const struct keep *ns, struct result *r, struct err *e)
{
	int p[2], status, n;
	pid_t pid;

	static_assert(sizeof(*r) <= 4096, "at once through a pipe");
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, errno, "pipe");
	pid = sys_clone(CLONE_FILES, SIGCHLD);
	if (pid == 0) {
		(void)make_all(spec, ns, r);
		_exit(write(p[1], r, sizeof(*r)) == sizeof(*r) ? 0 : 1);
	}
	n = pid < 0 ? errno : child_wait(pid, &status);
	if (n == 0 && (status != 0 || read(p[0], r, sizeof(*r)) != sizeof(*r)))
		n = EIO;
	fd_close(p[0]);
	fd_close(p[1]);
	if (n != 0)
		return err_sys(e, n < 0 ? -n : n, "make the sockets of listen");
	if (r->e.num)
		*e = r->e;
	return -r->e.num;
}

/* ---- taking over ---- */

static int
option_of(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -errno : value;
}

/* Is fd a socket that listens at p?  It may be anything else: the jail was started by another version of
 * brig, or a service has shut the socket down for all who have it. */
static bool
is_at(int fd, const struct place *p)
{
	struct sockaddr_storage name = {0};
	socklen_t len = sizeof(name);
	int v6only = -1;
	socklen_t only_len = sizeof(v6only);

	if (option_of(fd, SO_TYPE) != p->type || getsockname(fd, (struct sockaddr *)&name, &len) < 0 ||
	    len != p->len || name.ss_family != p->a.any.sa_family ||
	    option_of(fd, SO_ACCEPTCONN) != (p->type == SOCK_STREAM))
		return false;
	if (p->a.any.sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)&name;

		return sin->sin_port == p->a.v4.sin_port && sin->sin_addr.s_addr == p->a.v4.sin_addr.s_addr;
	}
	return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &only_len) == 0 && v6only == p->v6only &&
	       ((const struct sockaddr_in6 *)(const void *)&name)->sin6_port == p->a.v6.sin6_port &&
	       memcmp(&((const struct sockaddr_in6 *)(const void *)&name)->sin6_addr, &p->a.v6.sin6_addr,
		      sizeof(struct in6_addr)) == 0;
}

static bool
same_entry(const struct spec_listen *a, const struct spec_listen *b)
{
	return a->proto == b->proto && a->family == b->family && a->port == b->port &&
	       memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

/* Takes the running jail's socket for l over, if it has one; else *ret is left alone. */
static int
take_one(int pidfd, const struct jailspec *spec, const struct spec_listen *l, const struct jailspec *made,
	 int *ret, struct err *e)
{
	struct place p = place_of(spec, l);
	char text[LISTEN_TEXT];

	for (size_t i = 0; i < made->n_listen; i++) {
		_auto_close int fd = -EBADF;

		if (!same_entry(l, &made->listen[i]))
			continue;
		fd = pidfd_getfd(pidfd, INIT_FD_LISTEN + (int)i, 0);
		if (fd < 0 && errno != EBADF && errno != ESRCH)
			return err_sys(e, errno, "listen '%s': take it from the jail that runs",
				       entry_text(l, text));
		if (fd >= 0 && is_at(fd, &p))
			*ret = TAKE_FD(fd);
		return 0;
	}
	return 0;
}

static int
take_all(const struct os_ref *from, const struct jailspec *spec, const struct jailspec *made,
	 struct result *r, struct err *e)
{
	_auto_close int pidfd = -EBADF;

	if (!from || !made || ref_pidfd(from, &pidfd) < 0)
		return 0;
	for (size_t i = 0; i < spec->n_listen; i++)
		if (take_one(pidfd, spec, &spec->listen[i], made, &r->fds[i], e) < 0)
			return -e->num;
	return 0;
}

int
os_jail_listen(struct os_jail *j, const struct jailspec *spec, const struct os_ref *from,
	       const struct jailspec *made, struct err *e)
{
	_auto_(keep_close) struct keep ns = KEEP_INIT;
	struct result r = {.e = ERR_INIT};
	int n;

	if (spec->n_listen == 0)
		return 0;
	memset(r.fds, 0xff, sizeof(r.fds)); /* -1 */
	n = keep_open(jail_ref(j), spec, &ns, e);
	if (n == 0)
		n = take_all(from, spec, made, &r, e);
	if (n == 0)
		n = make_in_jail(spec, &ns, &r, e);
	if (n == 0)
		n = jail_give(j, r.fds, spec->n_listen, e);
	for (size_t i = 0; i < spec->n_listen; i++)
		fd_close(r.fds[i]);
	return n;
}
