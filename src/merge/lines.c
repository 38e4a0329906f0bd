/* SPDX-License-Identifier: BSD-2-Clause */
#include "merge/diff.h"

#define CHAIN_MAX 64

static const char *const id_names[] = {"FreeBSD",  "Id",   "NetBSD", "OpenBSD", "Header",
				       "Revision", "Date", "Author", "Source"};

/* "$Name: text $" needs the blanks: "$Source:dir:$HOME" of a shell script is not a keyword. */
size_t
id_keyword(const char *s, const char *end, size_t *ret_name_len)
{
	for (size_t i = 0; i < ARRAY_LEN(id_names); i++) {
		size_t len = strlen(id_names[i]);
		const char *p = s + 1 + len, *q;

		if (end - s < (ptrdiff_t)len + 2 || *s != '$' || memcmp(s + 1, id_names[i], len) != 0)
			continue;
		*ret_name_len = len;
		if (*p == '$')
			return len + 2;
		if (*p++ != ':')
			continue;
		if (p < end && *p == '$')
			return len + 3;
		if (p < end && *p == ':') /* Subversion's fixed width */
			p++;
		if (p >= end || *p != ' ')
			continue;
		for (q = p; q < end && *q != '$' && *q != '\n'; q++)
			;
		if (q < end && *q == '$' && (q[-1] == ' ' || q[-1] == '#'))
			return (size_t)(q - s) + 1;
	}
	return 0;
}

/* The text with each keyword cut down to "$Name$": as many lines as before. */
static void
strip_ids(struct text t, struct buf *out)
{
	const char *p = t.s, *end = t.s + t.len;

	while (p < end) {
		const char *dollar = memchr(p, '$', (size_t)(end - p));
		size_t name = 0, len;

		if (!dollar)
			break;
		buf_add(out, p, (size_t)(dollar - p) + 1);
		len = id_keyword(dollar, end, &name);
		if (len > 0) {
			buf_add(out, dollar + 1, name);
			buf_addc(out, '$');
		}
		p = dollar + (len > 0 ? len : 1);
	}
	if (p < end)
		buf_add(out, p, (size_t)(end - p));
}

static void
split(struct lines *l, struct text t)
{
	size_t n = 0;

	for (size_t i = 0; i < t.len; i++)
		n += t.s[i] == '\n' || i + 1 == t.len;
	*l = (struct lines){.s = t.s ? t.s : "", .n = (uint32_t)n};
	l->at = xcalloc(n + 1, sizeof(*l->at));
	l->kind = xcalloc(n, sizeof(*l->kind));
	n = 0;
	for (size_t i = 0; i < t.len; i++)
		if (t.s[i] == '\n' || i + 1 == t.len)
			l->at[++n] = (uint32_t)i + 1;
}

struct kind {
	uint64_t hash;
	const char *s;
	uint32_t len, next; /* next in the chain, plus 1 */
};
struct kinds {
	struct kind *v;
	size_t n, cap;
	uint32_t *head; /* index plus 1 */
	size_t mask;
};

/* FNV-1a.  An attacker can make lines that collide: CHAIN_MAX bounds what that costs. */
static uint64_t
hash_line(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	return h ^ h >> 32;
}

static uint32_t
kind_of(struct kinds *k, const char *s, size_t len)
{
	uint64_t hash = hash_line(s, len);
	uint32_t *head = &k->head[hash & k->mask], at = *head;

	for (int steps = 0; at && steps < CHAIN_MAX; steps++, at = k->v[at - 1].next) {
		const struct kind *known = &k->v[at - 1];

		if (known->hash == hash && known->len == len && memcmp(known->s, s, len) == 0)
			return at - 1;
	}
	GROW(k->v, k->n, k->cap);
	k->v[k->n++] = (struct kind){hash, s, (uint32_t)len, *head};
	*head = (uint32_t)k->n;
	return *head - 1;
}

void
lines_make(struct lines *const v[], const struct text t[], unsigned n, bool ids)
{
	struct kinds k = {.mask = 255};
	struct buf *stripped = xcalloc(n, sizeof(*stripped));
	size_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		split(v[i], t[i]);
		total += v[i]->n;
	}
	while (k.mask < total)
		k.mask = k.mask * 2 + 1;
	k.head = xcalloc(k.mask + 1, sizeof(*k.head));
	for (unsigned i = 0; i < n; i++) {
		struct lines key = {NULL, NULL, NULL, 0};

		if (ids) {
			strip_ids(t[i], &stripped[i]);
			split(&key, (struct text){stripped[i].s, stripped[i].len});
		}
		for (uint32_t j = 0; j < v[i]->n; j++) {
			const struct lines *from = ids ? &key : v[i];

			v[i]->kind[j] = kind_of(&k, from->s + from->at[j], from->at[j + 1] - from->at[j]);
		}
		lines_free(&key);
	}
	for (unsigned i = 0; i < n; i++)
		buf_free(&stripped[i]);
	free(stripped);
	free(k.head);
	free(k.v);
}

void
lines_free(struct lines *l)
{
	free(l->at);
	free(l->kind);
	*l = (struct lines){NULL, NULL, NULL, 0};
}
