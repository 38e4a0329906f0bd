/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <limits.h>
#include <strings.h>

#include "base/num.h"
#include "conf/value.h"

char *
next_word(const char **p)
{
	const char *s = *p + strspn(*p, " \t\r\n");
	size_t len = strcspn(s, " \t\r\n");

	*p = s + len;
	return len > 0 ? xstrndup(s, len) : NULL;
}

int
value_bool(const char *s, bool *ret)
{
	size_t sign = *s == '-' || *s == '+';

	if (!*s || strcasecmp(s, "false") == 0) {
		*ret = false;
	} else if (strcasecmp(s, "true") == 0) {
		*ret = true;
	} else {
		if (!s[sign] || s[sign + strspn(s + sign, "0123456789")])
			return -EINVAL;
		*ret = s[sign + strspn(s + sign, "0")] != '\0';
	}
	return 0;
}

static const char *const shares[] = {
    [SHARE_DISABLE] = "disable", [SHARE_NEW] = "new", [SHARE_INHERIT] = "inherit"};

int
value_share(const char *s, enum spec_share *ret)
{
	if (!*s)
		s = "new";
	for (size_t i = 0; i < ARRAY_LEN(shares); i++)
		if (streq(s, shares[i])) {
			*ret = (enum spec_share)i;
			return 0;
		}
	return -EINVAL;
}

const char *
share_name(enum spec_share s)
{
	return shares[s];
}

int
value_cpu(const char *s, uint64_t *ret)
{
	size_t whole = strcspn(s, ".%"), len = strlen(s);
	_auto_free char *left = xstrndup(s, whole);
	bool percent = len > 0 && s[len - 1] == '%';
	uint64_t v, scale = percent ? 10 : 1000;
	const char *p = s + whole;

	if (num_u64(left, 1000000, &v) < 0)
		return -EINVAL;
	v *= scale;
	if (*p == '.') {
		size_t digits = strspn(++p, "0123456789");

		if (digits == 0 || digits > 6)
			return -EINVAL;
		for (; digits > 0; digits--, p++) {
			scale /= 10;
			v += (uint64_t)(*p - '0') * scale;
		}
	}
	if (*p == '%')
		p++;
	if (*p)
		return -EINVAL;
	if (v == 0)
		return -ERANGE;
	*ret = v;
	return 0;
}

int
value_duration(const char *s, int64_t *ret)
{
	static const char letters[] = "smhdw";
	static const int seconds[] = {1, 60, 3600, 86400, 7 * 86400};
	size_t len = strlen(s);
	const char *unit = len > 1 ? strchr(letters, s[len - 1]) : NULL;
	_auto_free char *digits = unit ? xstrndup(s, len - 1) : NULL;
	int n;

	if (!unit || num_int(digits, 1, INT_MAX, &n) < 0)
		return -EINVAL;
	*ret = (int64_t)n * seconds[unit - letters];
	return 0;
}

int
value_rate(const char *s, uint64_t *ret)
{
	size_t len = strlen(s);
	_auto_free char *size = xstrndup(s, len > 2 && streq(s + len - 2, "/s") ? len - 2 : len);

	return num_size(size, ret);
}

static bool
port(const char *s, uint16_t *ret)
{
	int v;

	if (!s || num_int(s, 1, 65535, &v) < 0)
		return false;
	*ret = (uint16_t)v;
	return true;
}

const char *
value_rdr(const char *s, struct spec_rdr *ret)
{
	_auto_free char *proto = next_word(&s);
	_auto_free char *host = next_word(&s);
	_auto_free char *jail = next_word(&s);
	_auto_free char *rest = next_word(&s);

	if (!proto || !host || rest)
		return "'PROTOCOL HOSTPORT [JAILPORT]' expected";
	if (strcasecmp(proto, "tcp") == 0)
		ret->proto = IPPROTO_TCP;
	else if (strcasecmp(proto, "udp") == 0)
		ret->proto = IPPROTO_UDP;
	else
		return "the protocol is tcp or udp";
	if (!port(host, &ret->host_port) || !port(jail ? jail : host, &ret->jail_port))
		return "a port is a number from 1 to 65535";
	return NULL;
}

/* [ADDRESS:]PORT, an IPv6 address in brackets.  Changes where. */
static const char *
listen_where(char *where, struct spec_listen *l)
{
	char *colon = strrchr(where, ':'), *host = where, *end;

	if (!port(colon ? colon + 1 : where, &l->port))
		return "a port is a number from 1 to 65535";
	if (!colon)
		return NULL;
	*colon = '\0';
	end = colon - 1;
	l->family = *host == '[' ? AF_INET6 : AF_INET;
	if (l->family == AF_INET6) {
		if (end <= host || *end != ']')
			return "an IPv6 address must be in brackets: [2001:db8::1]:80";
		*end = '\0';
		host++;
	}
	if (inet_pton(l->family, host, &l->addr) != 1)
		return l->family == AF_INET6    ? "not an IPv6 address"
		       : strchr(host, ':') != 0 ? "an IPv6 address must be in brackets: [2001:db8::1]:80"
						: "not an IPv4 address";
	return NULL;
}

/* What fits between the colons of LISTEN_FDNAMES, sd_listen_fds(3). */
static bool
listen_name(const char *s)
{
	return strlen(s) <= 63 &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

const char *
value_listen(const char *s, struct spec_listen *ret)
{
	_auto_free char *proto = next_word(&s);
	_auto_free char *where = next_word(&s);
	_auto_free char *name = next_word(&s);
	_auto_free char *rest = next_word(&s);
	struct spec_listen l = {.family = AF_UNSPEC};
	const char *fault;

	if (!proto || !where || rest)
		return "'PROTOCOL [ADDRESS:]PORT [NAME]' expected";
	if (strcasecmp(proto, "unix") == 0)
		return "a socket in the file system is one of the jail's own files: the service has to make "
		       "it";
	if (strcasecmp(proto, "tcp") == 0)
		l.proto = IPPROTO_TCP;
	else if (strcasecmp(proto, "udp") == 0)
		l.proto = IPPROTO_UDP;
	else
		return "the protocol is tcp or udp";
	fault = listen_where(where, &l);
	if (fault)
		return fault;
	if (name && !listen_name(name))
		return "a name has letters, digits, '.', '_' and '-', at most 63";
	l.name = TAKE_PTR(name);
	*ret = l;
	return NULL;
}

/* "24", or for IPv4 "255.255.255.0".  -1: neither. */
static int
prefix_of(const char *s, int family)
{
	struct in_addr mask;
	int n;

	if (num_int(s, 0, family == AF_INET ? 32 : 128, &n) == 0)
		return n;
	if (family == AF_INET && inet_pton(AF_INET, s, &mask) == 1) {
		uint32_t m = ntohl(mask.s_addr);

		n = m ? 32 - __builtin_ctz(m) : 0;
		if (n == 0 ? m == 0 : m == ~(uint32_t)0 << (32 - n))
			return n;
	}
	return -1;
}

static bool
unusable(const struct spec_addr *a)
{
	static const struct in6_addr none;
	uint32_t v4;

	if (a->family == AF_INET6)
		return memcmp(&a->addr, &none, sizeof(none)) == 0 || a->addr.s6_addr[0] == 0xff;
	memcpy(&v4, &a->addr, sizeof(v4));
	v4 = ntohl(v4);
	return v4 == 0 || v4 >> 28 >= 14;
}

/* "netmask 255.255.255.0" and "prefixlen 64" are obeyed; other words of ifconfig(8) have no effect here. */
static const char *
addr_words(const char *s, int family, struct spec_addr *a, char **ret_extra)
{
	struct buf extra = BUF_INIT;
	const char *fault = NULL;
	char *word;

	for (; (word = next_word(&s)); free(word)) {
		bool mask = streq(word, "netmask") || streq(word, "prefixlen");
		_auto_free char *arg = mask ? next_word(&s) : NULL;
		int n = arg ? prefix_of(arg, family) : -1;

		if (mask && n < 0)
			fault = "the netmask is wrong";
		else if (mask)
			a->prefix = n;
		else if (!streq(word, "alias"))
			buf_addf(&extra, "%s%s", extra.len ? " " : "", word);
	}
	*ret_extra = extra.len && !fault ? buf_take(&extra) : NULL;
	buf_free(&extra);
	return fault;
}

const char *
value_addr(const char *s, int family, struct spec_addr *ret, char **ret_extra)
{
	const char *bar = strchr(s, '|'), *rest = bar ? bar + 1 : s;
	struct spec_addr a = {.family = family, .prefix = family == AF_INET ? 32 : 128};
	_auto_free char *addr = next_word(&rest);
	char *mask = addr ? strchr(addr, '/') : NULL;
	const char *fault;

	*ret_extra = NULL;
	if (bar && (bar == s || memchr(s, ' ', (size_t)(bar - s))))
		return "the name of an interface must stand before '|'";
	if (mask) {
		*mask++ = '\0';
		a.prefix = prefix_of(mask, family);
	}
	if (!addr || inet_pton(family, addr, &a.addr) != 1)
		return family == AF_INET ? "not an IPv4 address" : "not an IPv6 address";
	if (a.prefix < 0)
		return "the netmask is wrong";
	if (unusable(&a))
		return "no jail can have this address";
	fault = addr_words(rest, family, &a, ret_extra);
	if (fault)
		return fault;
	if (bar)
		a.interface = xstrndup(s, (size_t)(bar - s));
	*ret = a;
	return NULL;
}

char *
addr_text(const struct spec_addr *a)
{
	char text[INET6_ADDRSTRLEN];

	return xstrdup(inet_ntop(a->family, &a->addr, text, sizeof(text)) ? text : "");
}

bool
addr_equal(const struct spec_addr *a, const struct spec_addr *b)
{
	return a->family == b->family && memcmp(&a->addr, &b->addr, a->family == AF_INET ? 4 : 16) == 0;
}
