/* SPDX-License-Identifier: BSD-2-Clause */
#include "merge/text.h"

#include "merge/diff.h"

/* diff3(1) calls diff(1) with --horizon-lines=100. */
#define HORIZON 100

enum { OURS, BASE, THEIRS, N_TEXTS };

bool
text_is_text(struct text t)
{
	return t.len <= TEXT_MAX && (t.len == 0 || !memchr(t.s, '\0', t.len));
}

static void
add_lines(struct buf *out, const struct lines *l, uint32_t from, uint32_t to)
{
	buf_add(out, l->s + l->at[from], l->at[to] - l->at[from]);
}

/* Adds a newline where the text ends without one, so that a marker can follow. */
static void
add_whole_lines(struct buf *out, const struct lines *l, uint32_t from, uint32_t to)
{
	add_lines(out, l, from, to);
	if (to > from && l->s[l->at[to] - 1] != '\n')
		buf_addc(out, '\n');
}

static bool
same_lines(const struct lines *x, uint32_t x_from, uint32_t x_to, const struct lines *y, uint32_t y_from,
	   uint32_t y_to)
{
	return x_to - x_from == y_to - y_from &&
	       memcmp(x->kind + x_from, y->kind + y_from, (x_to - x_from) * sizeof(*x->kind)) == 0;
}

struct merging {
	struct lines l[N_TEXTS];
	struct hunks h[N_TEXTS]; /* of ours and theirs against base */
	size_t next[N_TEXTS];    /* hunk */
	uint32_t pos[N_TEXTS];   /* line: those before it are written */
	const char *label[N_TEXTS];
	size_t conflicts;
	struct buf *out;
};

/* Lines of each text that belong together. */
struct block {
	uint32_t from[N_TEXTS], to[N_TEXTS];
};

/* The next hunk of a side that begins at or before base line to, or NULL. */
static const struct hunk *
next_hunk(const struct merging *m, int side, uint32_t to)
{
	const struct hunk *h = m->next[side] < m->h[side].n ? &m->h[side].v[m->next[side]] : NULL;

	return h && h->b <= to ? h : NULL;
}

/* The next group of hunks of the two sides that touch, directly or through others. */
static bool
next_block(struct merging *m, struct block *ret)
{
	const struct hunk *o = next_hunk(m, OURS, UINT32_MAX), *t = next_hunk(m, THEIRS, UINT32_MAX), *h;
	uint32_t from, to;

	if (!o && !t)
		return false;
	from = to = !t || (o && o->b < t->b) ? o->b : t->b;
	for (int side = OURS; side <= THEIRS; side += THEIRS - OURS)
		ret->from[side] = m->pos[side] + (from - m->pos[BASE]);
	for (;;) {
		int side = next_hunk(m, OURS, to) ? OURS : THEIRS;

		if (!(h = next_hunk(m, side, to)))
			break;
		to = h->b + h->bn > to ? h->b + h->bn : to;
		m->next[side]++;
	}
	ret->from[BASE] = from;
	ret->to[BASE] = to;
	/* behind the last hunk of a side the lines are the base's again */
	for (int side = OURS; side <= THEIRS; side += THEIRS - OURS) {
		const struct hunk *last = m->next[side] > 0 ? &m->h[side].v[m->next[side] - 1] : NULL;

		ret->to[side] = last ? last->a + last->an + (to - (last->b + last->bn)) : to;
	}
	return true;
}

static void
add_conflict(struct merging *m, const struct block *b)
{
	static const char *const mark[] = {"<<<<<<< ", "||||||| "};

	for (int i = OURS; i <= BASE; i++) {
		buf_addf(m->out, "%s%s\n", mark[i], m->label[i]);
		add_whole_lines(m->out, &m->l[i], b->from[i], b->to[i]);
	}
	buf_adds(m->out, "=======\n");
	add_whole_lines(m->out, &m->l[THEIRS], b->from[THEIRS], b->to[THEIRS]);
	buf_addf(m->out, ">>>>>>> %s\n", m->label[THEIRS]);
	m->conflicts++;
}

static bool
block_same(const struct merging *m, const struct block *b, int x, int y)
{
	return same_lines(&m->l[x], b->from[x], b->to[x], &m->l[y], b->from[y], b->to[y]);
}

static void
add_block(struct merging *m, const struct block *b)
{
	/* lines that count as equal are taken from theirs: their ids may differ (TEXT_IDS) */
	add_lines(m->out, &m->l[THEIRS], m->pos[THEIRS], b->from[THEIRS]);
	if (block_same(m, b, OURS, BASE) || block_same(m, b, OURS, THEIRS))
		add_lines(m->out, &m->l[THEIRS], b->from[THEIRS], b->to[THEIRS]);
	else if (block_same(m, b, THEIRS, BASE))
		add_lines(m->out, &m->l[OURS], b->from[OURS], b->to[OURS]);
	else
		add_conflict(m, b);
	memcpy(m->pos, b->to, sizeof(m->pos));
}

enum text_result
text_merge(const struct text_sides *t, int flags, const struct text_labels *l, struct buf *out,
	   size_t *ret_conflicts)
{
	struct merging m = {.out = out};
	/* ours last: lines of a jail that collide in the hash (CHAIN_MAX) must not affect base and theirs */
	struct lines *const order[] = {&m.l[BASE], &m.l[THEIRS], &m.l[OURS]};
	struct block b;

	if (!text_is_text(t->ours) || !text_is_text(t->base) || !text_is_text(t->theirs))
		return TEXT_BINARY;
	m.label[OURS] = l && l->ours ? l->ours : "yours";
	m.label[BASE] = l && l->base ? l->base : "original";
	m.label[THEIRS] = l && l->theirs ? l->theirs : "new";
	lines_make(order, (struct text[]){t->base, t->theirs, t->ours}, N_TEXTS, flags & TEXT_IDS);
	diff_lines(&m.l[OURS], &m.l[BASE], HORIZON, &m.h[OURS]);
	diff_lines(&m.l[THEIRS], &m.l[BASE], HORIZON, &m.h[THEIRS]);
	while (next_block(&m, &b))
		add_block(&m, &b);
	add_lines(out, &m.l[THEIRS], m.pos[THEIRS], m.l[THEIRS].n);
	for (int i = 0; i < N_TEXTS; i++) {
		lines_free(&m.l[i]);
		hunks_free(&m.h[i]);
	}
	if (ret_conflicts && m.conflicts)
		*ret_conflicts = m.conflicts;
	return m.conflicts ? TEXT_CONFLICT : TEXT_CLEAN;
}

/* Two texts and what is between them. */
struct pair {
	struct lines a, b;
	struct hunks h;
};

static void
pair_make(struct pair *p, struct text a, struct text b, uint32_t horizon)
{
	*p = (struct pair){.h = HUNKS_INIT};
	lines_make((struct lines *[]){&p->a, &p->b}, (struct text[]){a, b}, 2, false);
	diff_lines(&p->a, &p->b, horizon, &p->h);
}

static void
pair_free(struct pair *p)
{
	lines_free(&p->a);
	lines_free(&p->b);
	hunks_free(&p->h);
}
#define _auto_pair _auto_(pair_free)

void
text_conflict2(struct text ours, struct text theirs, const char *ours_label, const char *theirs_label,
	       struct buf *out)
{
	_auto_pair struct pair p = {.h = HUNKS_INIT};
	uint32_t pos = 0;

	if (!text_is_text(ours) || !text_is_text(theirs))
		return;
	pair_make(&p, ours, theirs, 0);
	for (size_t i = 0; i < p.h.n; i++) {
		const struct hunk *h = &p.h.v[i];

		add_lines(out, &p.a, pos, h->a);
		buf_addf(out, "<<<<<<< %s\n", ours_label);
		add_whole_lines(out, &p.a, h->a, h->a + h->an);
		buf_adds(out, "=======\n");
		add_whole_lines(out, &p.b, h->b, h->b + h->bn);
		buf_addf(out, ">>>>>>> %s\n", theirs_label);
		pos = h->a + h->an;
	}
	add_lines(out, &p.a, pos, p.a.n);
}

static void
unified_lines(struct buf *out, char mark, const struct lines *l, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		buf_addc(out, mark);
		add_lines(out, l, i, i + 1);
		if (l->s[l->at[i + 1] - 1] != '\n')
			buf_adds(out, "\n\\ No newline at end of file\n");
	}
}

/* As diff(1): a count of 1 is left out; an empty range has the number of the line before it. */
static void
unified_range(struct buf *out, uint32_t from, uint32_t to)
{
	if (to - from == 1)
		buf_addf(out, "%u", to);
	else
		buf_addf(out, "%u,%u", to == from ? from : from + 1, to - from);
}

/* Hunks h[0] to h[n-1], between which no more than 2 * context lines are equal. */
static void
unified_group(struct buf *out, const struct pair *p, const struct hunk *h, size_t n, uint32_t context)
{
	const struct hunk *last = &h[n - 1];
	uint32_t before = h->a < context ? h->a : context;
	uint32_t left = p->a.n - (last->a + last->an), after = left < context ? left : context;
	uint32_t pos = h->a - before;

	buf_adds(out, "@@ -");
	unified_range(out, pos, last->a + last->an + after);
	buf_adds(out, " +");
	unified_range(out, h->b - before, last->b + last->bn + after);
	buf_adds(out, " @@\n");
	for (; h <= last; h++) {
		unified_lines(out, ' ', &p->a, pos, h->a);
		unified_lines(out, '-', &p->a, h->a, h->a + h->an);
		unified_lines(out, '+', &p->b, h->b, h->b + h->bn);
		pos = h->a + h->an;
	}
	unified_lines(out, ' ', &p->a, pos, pos + after);
}

void
text_unified(struct text a, struct text b, const char *a_label, const char *b_label, unsigned context,
	     struct buf *out)
{
	_auto_pair struct pair p = {.h = HUNKS_INIT};

	if (a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0))
		return;
	if (!text_is_text(a) || !text_is_text(b)) {
		buf_addf(out, "Binary files %s and %s differ\n", a_label, b_label);
		return;
	}
	context = context > TEXT_MAX ? TEXT_MAX : context;
	pair_make(&p, a, b, context);
	buf_addf(out, "--- %s\n+++ %s\n", a_label, b_label);
	for (size_t i = 0, n; i < p.h.n; i += n) {
		const struct hunk *h = &p.h.v[i];

		for (n = 1; i + n < p.h.n && h[n].a - (h[n - 1].a + h[n - 1].an) <= 2 * context; n++)
			;
		unified_group(out, &p, h, n, context);
	}
}

/* The line that begins at *pos, without its newline; *pos is behind it then.  false at the end. */
static bool
next_line(struct text t, size_t *pos, struct text *ret)
{
	const char *nl;

	if (*pos >= t.len)
		return false;
	nl = memchr(t.s + *pos, '\n', t.len - *pos);
	ret->s = t.s + *pos;
	ret->len = nl ? (size_t)(nl - ret->s) : t.len - *pos;
	*pos += ret->len + (nl != NULL);
	return true;
}

bool
text_has_markers(struct text t)
{
	struct text line;

	for (size_t pos = 0; next_line(t, &pos, &line);) {
		if (line.len < 7 || !memchr("<|=>", *line.s, 4) || memcmp(line.s, line.s + 1, 6) != 0)
			continue;
		if (line.len == 7 ? *line.s == '=' : line.s[7] == ' ')
			return true;
	}
	return false;
}

/* \$FreeBSD.*\$ */
static bool
has_freebsd_id(struct text line)
{
	static const char word[] = "$FreeBSD";
	const char *at = line.len ? memmem(line.s, line.len, word, sizeof(word) - 1) : NULL;

	if (!at)
		return false;
	at += sizeof(word) - 1;
	return memchr(at, '$', (size_t)(line.s + line.len - at)) != NULL;
}

static bool
all_freebsd_ids(const struct lines *l, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct text line = {l->s + l->at[i], l->at[i + 1] - l->at[i]};

		if (!has_freebsd_id(line))
			return false;
	}
	return true;
}

bool
text_same_but_freebsd_id(struct text a, struct text b)
{
	_auto_pair struct pair p = {.h = HUNKS_INIT};

	if (a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0))
		return true;
	if (!text_is_text(a) || !text_is_text(b))
		return false;
	pair_make(&p, a, b, 0);
	for (size_t i = 0; i < p.h.n; i++) {
		const struct hunk *h = &p.h.v[i];

		if (!all_freebsd_ids(&p.a, h->a, h->a + h->an) || !all_freebsd_ids(&p.b, h->b, h->b + h->bn))
			return false;
	}
	return true;
}

bool
text_same_but_ids(struct text a, struct text b)
{
	_auto_lines struct lines x = {0}, y = {0};

	if (a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0))
		return true;
	if (!text_is_text(a) || !text_is_text(b))
		return false;
	lines_make((struct lines *[]){&x, &y}, (struct text[]){a, b}, 2, true);
	return same_lines(&x, 0, x.n, &y, 0, y.n);
}

/* The only line of t with an id. */
static bool
only_id(struct text t, struct text *ret)
{
	struct text line;
	int n = 0;

	for (size_t pos = 0; next_line(t, &pos, &line);) {
		if (!has_freebsd_id(line))
			continue;
		*ret = line;
		n++;
	}
	return n == 1;
}

bool
text_replace_freebsd_id(struct text ours, struct text theirs, struct buf *out)
{
	struct text was, id;
	const char *rest;

	if (!text_is_text(ours) || !text_is_text(theirs) || !only_id(ours, &was) || !only_id(theirs, &id))
		return false;
	if (was.len == id.len && memcmp(was.s, id.s, id.len) == 0)
		return false;
	rest = was.s + was.len;
	buf_add(out, ours.s, (size_t)(was.s - ours.s));
	buf_add(out, id.s, id.len);
	buf_add(out, rest, (size_t)(ours.s + ours.len - rest));
	return true;
}
