/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>

#include "cli/screen.h"

static void
put_hex(struct buf *out, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "\\x%02x", p[i]);
}

void
screen_end(struct screen *v, struct buf *out)
{
	put_hex(out, v->part, v->have);
	v->have = v->need = 0;
}

/* Bytes of the sequence that c begins; 0: it begins none. */
static size_t
sequence(unsigned char c)
{
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	if (c >= 0xe0 && c <= 0xef)
		return 3;
	if (c >= 0xf0 && c <= 0xf4)
		return 4;
	return 0;
}

static uint32_t
decode(const unsigned char *p, size_t n)
{
	uint32_t u = p[0] & (0x7fU >> n);

	for (size_t i = 1; i < n; i++)
		u = u << 6 | (p[i] & 0x3fU);
	return u;
}

/* Shortest form, no surrogate, no control, no mark of direction. */
static bool
harmless(uint32_t u, size_t n)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	if (u < least[n] || u > 0x10ffff || (u >= 0xd800 && u <= 0xdfff))
		return false;
	if (u < 0xa0 || u == 0x2028 || u == 0x2029)
		return false;
	return !(u >= 0x200e && u <= 0x200f) && !(u >= 0x202a && u <= 0x202e) &&
	       !(u >= 0x2066 && u <= 0x2069);
}

static void
finish(struct screen *v, struct buf *out)
{
	if (harmless(decode(v->part, v->need), v->need))
		buf_add(out, v->part, v->have);
	else
		put_hex(out, v->part, v->have);
	v->have = v->need = 0;
}

static void
begin(struct screen *v, struct buf *out, unsigned char c)
{
	if (c == '\r' || sequence(c)) {
		v->part[0] = c;
		v->have = 1;
		v->need = c == '\r' ? 2 : sequence(c);
	} else if (c == '\n' || c == '\t' || (c >= 0x20 && c <= 0x7e)) {
		buf_addc(out, (char)c);
	} else {
		put_hex(out, &c, 1);
	}
}

void
screen_add(struct screen *v, struct buf *out, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (v->have && v->part[0] == '\r') {
			if (c == '\n')
				v->have = 0;
			screen_end(v, out);
		} else if (v->have && (c & 0xc0) == 0x80) {
			v->part[v->have++] = c;
			if (v->have == v->need)
				finish(v, out);
			continue;
		}
		screen_end(v, out);
		begin(v, out, c);
	}
}
