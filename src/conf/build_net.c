/* SPDX-License-Identifier: BSD-2-Clause */
/* The network part of a specification. */
#include "base/name.h"
#include "conf/build.h"
#include "conf/value.h"

#define ADDRS_MAX 255 /* of one family */

bool
build_interface_ok(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < 16 && !streq(name, ".") && !streq(name, "..") &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@-")] ==
		   '\0';
}

/* One address; takes what it holds. */
static void
add_addr(struct build *b, const struct entry *e, struct spec_addr a, struct pos pos)
{
	struct jailspec *s = b->s;
	_auto_free char *text = addr_text(&a);
	size_t same = 0;

	for (size_t i = 0; i < s->n_addrs; i++) {
		same += s->addrs[i].family == a.family;
		if (addr_equal(&s->addrs[i], &a)) {
			jail_err(b->c, b->j, pos, "%s: %s is given twice", e->def->name, text);
			free(a.interface);
			return;
		}
	}
	if (a.interface && !build_interface_ok(a.interface))
		jail_err(b->c, b->j, pos, "%s: '%s' is not the name of an interface", e->def->name,
			 a.interface);
	if (same == ADDRS_MAX)
		jail_err(b->c, b->j, pos, "too many %s addresses", a.family == AF_INET ? "IPv4" : "IPv6");
	if (same >= ADDRS_MAX) {
		free(a.interface);
		return;
	}
	s->addrs = xrealloc(s->addrs, s->n_addrs + 1, sizeof(*s->addrs));
	s->addrs[s->n_addrs++] = a;
}

static void
one_addr(struct build *b, const struct entry *e, int family, const char *text, struct pos pos)
{
	_auto_free char *extra = NULL;
	_auto_free char *shown = text_printable(text, 80);
	struct spec_addr a;
	const char *fault = value_addr(text, family, &a, &extra);

	if (fault) {
		jail_err(b->c, b->j, pos, "%s: '%s': %s", e->def->name, shown, fault);
		return;
	}
	if (extra)
		jail_warn(b->c, b->j, pos, "%s: '%s' has no effect here", e->def->name, extra);
	add_addr(b, e, a, pos);
}

/* A value may be several addresses, with commas between.  An empty one is none. */
static void
addresses(struct build *b, const char *name, int family)
{
	const struct entry *e = build_entry(b, name);

	for (size_t i = 0; e && i < e->n; i++)
		for (const char *p = e->v[i].s; *p; p += *p == ',') {
			size_t len = strcspn(p, ",");
			_auto_free char *one = xstrndup(p, len);

			if (one[strspn(one, " \t")])
				one_addr(b, e, family, one, e->v[i].pos);
			p += len;
		}
}

/* ip_hostname: the name's addresses are added to the others; the record gets the addresses and
 * ip_hostname = false, so that they do not change while the jail runs. */
static void
by_hostname(struct build *b)
{
	const struct entry *e = build_entry(b, "ip_hostname"), *host = build_entry(b, "host.hostname");
	struct params *p = &b->s->params;
	_auto_strv struct strv found = STRV_INIT;
	const char *name = host ? entry_last(host) : NULL;
	struct param *self = params_get(p, "ip_hostname");
	bool on = e && self && self->values.n == 0;

	if (!on)
		return;
	if (!name || !*name) {
		build_err(b, e, "needs host.hostname");
		return;
	}
	if (!b->c->in.resolve || b->c->in.resolve(b->c->in.ctx, name, &found) < 0 || found.n == 0) {
		build_err(b, e, "'%s' has no address", name);
		return;
	}
	strv_add(&self->values, "false");
	for (size_t i = 0; i < found.n; i++) {
		int family = strchr(found.v[i], ':') ? AF_INET6 : AF_INET;
		const char *list = family == AF_INET ? "ip4.addr" : "ip6.addr";
		struct param *to = params_get(p, list);

		one_addr(b, e, family, found.v[i], entry_pos(e));
		if (!to)
			to = params_set(p, list);
		strv_add(&to->values, found.v[i]);
	}
}

static bool
has_family(const struct jailspec *s, int family)
{
	for (size_t i = 0; i < s->n_addrs; i++)
		if (s->addrs[i].family == family)
			return true;
	return false;
}

/* jail(8): addresses imply new, without any it is disable unless the configuration says otherwise. */
static enum spec_share
policy(struct build *b, const char *name, const char *list, int family)
{
	const struct entry *e = build_entry(b, name);
	bool addrs = has_family(b->s, family);
	enum spec_share v = build_share(b, name, addrs || build_entry(b, list) ? SHARE_NEW : SHARE_DISABLE);

	if (addrs && v != SHARE_NEW) {
		build_warn(b, e, "'%s' has no effect: with addresses it is new", share_name(v));
		(void)params_set(&b->s->params, name);
		v = SHARE_NEW;
	}
	return v;
}

static void
vnet(struct build *b)
{
	static const char *const others[] = {"ip4.addr", "ip6.addr", "ip4", "ip6"};
	const struct entry *e = build_entry(b, "vnet"), *o;
	struct jailspec *s = b->s;

	if (e && build_share(b, "vnet", SHARE_NEW) == SHARE_DISABLE)
		build_err(b, e, "is new or inherit");
	s->vnet = e && build_share(b, "vnet", SHARE_INHERIT) == SHARE_NEW;
	if (s->vnet_interface.n > 0 && !e)
		s->vnet = true;
	else if (s->vnet_interface.n > 0 && !s->vnet)
		build_err(b, build_entry(b, "vnet.interface"), "needs vnet");
	for (size_t i = 0; s->vnet && i < ARRAY_LEN(others); i++) {
		o = build_entry(b, others[i]);
		if (!o || (i < 2 && o->n == 0) ||
		    (i >= 2 && build_share(b, others[i], SHARE_NEW) == SHARE_NEW))
			continue;
		build_err(b, o, "vnet jails cannot have IP address restrictions");
		return;
	}
}

static void
redirections(struct build *b)
{
	const struct entry *e = build_entry(b, "rdr");
	struct jailspec *s = b->s;

	for (size_t i = 0; e && i < e->n; i++)
		for (const char *p = e->v[i].s; *p; p += *p == ',') {
			size_t len = strcspn(p, ",");
			_auto_free char *one = xstrndup(p, len);
			struct spec_rdr r;
			const char *fault = value_rdr(one, &r);

			if (fault) {
				_auto_free char *shown = text_printable(one, 80);

				jail_err(b->c, b->j, e->v[i].pos, "rdr: '%s': %s", shown, fault);
			} else {
				s->rdr = xrealloc(s->rdr, s->n_rdr + 1, sizeof(*s->rdr));
				s->rdr[s->n_rdr++] = r;
			}
			p += len;
		}
	if (s->n_rdr > 0 && s->n_addrs == 0 && !s->vnet)
		build_err(b, e, "needs an address of the jail's own (ip4.addr, ip6.addr)");
	if (s->nat && s->n_addrs == 0 && !s->vnet)
		build_warn(b, build_entry(b, "nat"), "has no effect without an address of the jail's own");
}

static bool
is_local(const struct spec_listen *l)
{
	static const struct in6_addr none;

	if (l->family == AF_INET)
		return l->addr.s6_addr[0] == 127 || memcmp(&l->addr, &none, 4) == 0;
	return IN6_IS_ADDR_LOOPBACK(&l->addr) || IN6_IS_ADDR_UNSPECIFIED(&l->addr);
}

/* Is it one of the jail's addresses?  True also where those are not known. */
static bool
listen_address_ok(const struct jailspec *s, const struct spec_listen *l)
{
	const struct spec_addr a = {.family = l->family, .addr = l->addr};

	if (l->family == AF_UNSPEC || is_local(l) || s->vnet || s->ip4 == SHARE_INHERIT ||
	    s->ip6 == SHARE_INHERIT)
		return true;
	for (size_t i = 0; i < s->n_addrs; i++)
		if (addr_equal(&s->addrs[i], &a))
			return true;
	return false;
}

/* NULL, or what is wrong with one more socket. */
static const char *
listen_fault(const struct jailspec *s, const struct spec_listen *l)
{
	if (s->n_listen == SPEC_LISTEN_MAX)
		return "a jail has at most 64 sockets";
	if (!listen_address_ok(s, l))
		return "the jail does not have this address";
	for (size_t i = 0; i < s->n_listen; i++)
		if (s->listen[i].proto == l->proto && s->listen[i].port == l->port &&
		    s->listen[i].family == l->family &&
		    memcmp(&s->listen[i].addr, &l->addr, sizeof(l->addr)) == 0)
			return "is given twice";
	return NULL;
}

static void
one_listen(struct build *b, const char *text, struct pos pos)
{
	struct jailspec *s = b->s;
	struct spec_listen l = {.name = NULL};
	const char *fault = value_listen(text, &l);

	if (!fault)
		fault = listen_fault(s, &l);
	if (fault) {
		_auto_free char *shown = text_printable(text, 80);

		jail_err(b->c, b->j, pos, "listen: '%s': %s", shown, fault);
		free(l.name);
		return;
	}
	s->listen = xrealloc(s->listen, s->n_listen + 1, sizeof(*s->listen));
	s->listen[s->n_listen++] = l;
}

static void
listeners(struct build *b)
{
	const struct entry *e = build_entry(b, "listen");

	for (size_t i = 0; e && i < e->n; i++)
		for (const char *p = e->v[i].s; *p; p += *p == ',') {
			size_t len = strcspn(p, ",");
			_auto_free char *one = xstrndup(p, len);

			one_listen(b, one, e->v[i].pos);
			p += len;
		}
	if (b->s->n_listen > 0 && b->s->service.n == 0)
		build_err(b, e, "needs service: the sockets are for the services of the jail");
}

void
build_net(struct build *b)
{
	struct jailspec *s = b->s;

	addresses(b, "ip4.addr", AF_INET);
	addresses(b, "ip6.addr", AF_INET6);
	by_hostname(b);
	s->ip4 = policy(b, "ip4", "ip4.addr", AF_INET);
	s->ip6 = policy(b, "ip6", "ip6.addr", AF_INET6);
	vnet(b);
	redirections(b);
	listeners(b);
	if (s->vnet)
		return;
	if (s->ip4 == SHARE_INHERIT ? has_family(s, AF_INET6)
				    : s->ip6 == SHARE_INHERIT && has_family(s, AF_INET))
		build_err(b, build_entry(b, s->ip4 == SHARE_INHERIT ? "ip4" : "ip6"),
			  "inherit shares the host's whole network here; the jail cannot have addresses of "
			  "its own");
	else if (s->ip4 == SHARE_INHERIT && s->ip6 == SHARE_DISABLE)
		build_warn(b, build_entry(b, "ip4"),
			   "inherit shares the host's whole network here, IPv6 too");
	else if (s->ip6 == SHARE_INHERIT && s->ip4 == SHARE_DISABLE)
		build_warn(b, build_entry(b, "ip6"),
			   "inherit shares the host's whole network here, IPv4 too");
}
