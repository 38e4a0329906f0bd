/* SPDX-License-Identifier: BSD-2-Clause */
#include "merge/diff.h"

/* The largest number of edits that one search tries, and the same after TEXT_COST is spent. */
#define EDITS_MAX 4096
#define EDITS_POOR 8
/* The smaller half of a box is compared first, so the stack holds at most the logarithm of the number of
 * lines. */
#define DEPTH_MAX 64

/* One of the two texts.  changed has a false before line 0 and behind the last. */
struct side {
	const uint32_t *kind;
	uint32_t n;
	uint32_t from, to; /* what is left without the equal lines at both ends */
	uint8_t *changed;
	/* what takes part in the search: lines that the other text has somewhere */
	uint32_t *cmp, *line; /* their kinds and numbers */
	int n_cmp;
};

/* x counts the first text's lines, y the second's. */
struct box {
	int x0, x1, y0, y1;
};

/* How far the paths with c edits get: x on each diagonal x - y from lo to hi; mid is where they start. */
struct front {
	int x[2 * EDITS_MAX + 5];
	int mid, lo, hi;
};

struct search {
	struct side *a, *b;
	struct front fwd, bwd;
	uint64_t cost;
};

static int *
at(struct front *f, int diag)
{
	return &f->x[diag - f->mid + EDITS_MAX + 2];
}

static void
front_start(struct front *f, int diag, int x)
{
	f->mid = f->lo = f->hi = diag;
	*at(f, diag) = x;
}

/* One edit more: a diagonal more on each side, unless it lies outside of the box. */
static void
front_widen(struct front *f, const struct box *b, int beyond)
{
	if (f->lo > b->x0 - b->y1) {
		f->lo--;
		*at(f, f->lo) = *at(f, f->lo - 1) = beyond;
	} else {
		f->lo++;
	}
	if (f->hi < b->x1 - b->y0) {
		f->hi++;
		*at(f, f->hi) = *at(f, f->hi + 1) = beyond;
	} else {
		f->hi--;
	}
}

static bool
spent(const struct search *s)
{
	return s->cost >= TEXT_COST;
}

/* One edit more from the front end; true when a path from the other end is met, at *mx, *my. */
static bool
step_forward(struct search *s, const struct box *b, bool meets, int *mx, int *my)
{
	const uint32_t *xs = s->a->cmp, *ys = s->b->cmp;
	struct front *f = &s->fwd, *o = &s->bwd;
	bool poor = spent(s);

	front_widen(f, b, -1);
	for (int d = f->hi; d >= f->lo; d -= 2) {
		int below = *at(f, d - 1), above = *at(f, d + 1);
		int from = below < above ? above : below + 1;
		int x = from, y = from - d;

		while (x < b->x1 && y < b->y1 && xs[x] == ys[y])
			x++, y++;
		s->cost += (unsigned)(x - from) + 1;
		*at(f, d) = x;
		if (meets && d >= o->lo && d <= o->hi && *at(o, d) <= x) {
			*mx = x;
			*my = y;
			return true;
		}
		if (!poor && spent(s))
			break;
	}
	return false;
}

static bool
step_backward(struct search *s, const struct box *b, bool meets, int *mx, int *my)
{
	const uint32_t *xs = s->a->cmp, *ys = s->b->cmp;
	struct front *f = &s->bwd, *o = &s->fwd;
	bool poor = spent(s);

	front_widen(f, b, INT32_MAX / 2);
	for (int d = f->hi; d >= f->lo; d -= 2) {
		int below = *at(f, d - 1), above = *at(f, d + 1);
		int from = below < above ? below : above - 1;
		int x = from, y = from - d;

		while (x > b->x0 && y > b->y0 && xs[x - 1] == ys[y - 1])
			x--, y--;
		s->cost += (unsigned)(from - x) + 1;
		*at(f, d) = x;
		if (meets && d >= o->lo && d <= o->hi && x <= *at(o, d)) {
			*mx = x;
			*my = y;
			return true;
		}
		if (!poor && spent(s))
			break;
	}
	return false;
}

/* The search became too long: divides the box at the furthest point of one of the fronts.  Any point
 * inside is correct; the one a line from the start always exists. */
static void
divide_anyway(struct search *s, const struct box *b, int *mx, int *my)
{
	int fx = b->x0 + 1, fy = b->y0, bx = b->x1, by = b->y1;

	for (int d = s->fwd.hi; d >= s->fwd.lo; d -= 2) {
		int x = *at(&s->fwd, d), y;

		if (x > b->x1)
			x = b->x1;
		y = x - d;
		if (y > b->y1) {
			y = b->y1;
			x = y + d;
		}
		if (x >= b->x0 && y >= b->y0 && x + y > fx + fy && x + y < b->x1 + b->y1) {
			fx = x;
			fy = y;
		}
	}
	for (int d = s->bwd.hi; d >= s->bwd.lo; d -= 2) {
		int x = *at(&s->bwd, d), y;

		if (x < b->x0)
			x = b->x0;
		y = x - d;
		if (y < b->y0) {
			y = b->y0;
			x = y + d;
		}
		if (x <= b->x1 && y <= b->y1 && x + y < bx + by && x + y > b->x0 + b->y0) {
			bx = x;
			by = y;
		}
	}
	if (b->x1 + b->y1 - (bx + by) < fx + fy - (b->x0 + b->y0)) {
		*mx = fx;
		*my = fy;
	} else {
		*mx = bx;
		*my = by;
	}
}

/* Finds a point on a shortest path through the box, which has lines of both texts; never one of its
 * corners. */
static void
divide(struct search *s, const struct box *b, int *mx, int *my)
{
	int fmid = b->x0 - b->y0, bmid = b->x1 - b->y1, max = spent(s) ? EDITS_POOR : EDITS_MAX;
	bool odd = ((fmid - bmid) & 1) != 0, poor = spent(s);

	front_start(&s->fwd, fmid, b->x0);
	front_start(&s->bwd, bmid, b->x1);
	for (int c = 1; c <= max; c++) {
		if (step_forward(s, b, odd, mx, my))
			return;
		if (!poor && spent(s))
			break;
		if (step_backward(s, b, !odd, mx, my))
			return;
		if (!poor && spent(s))
			break;
	}
	divide_anyway(s, b, mx, my);
}

/* Removes the equal lines at both ends.  True when both texts have lines left; otherwise the rest is
 * marked as changed. */
static bool
shrink(struct search *s, struct box *b)
{
	const uint32_t *xs = s->a->cmp, *ys = s->b->cmp;

	for (; b->x0 < b->x1 && b->y0 < b->y1 && xs[b->x0] == ys[b->y0]; b->x0++)
		b->y0++;
	for (; b->x0 < b->x1 && b->y0 < b->y1 && xs[b->x1 - 1] == ys[b->y1 - 1]; b->x1--)
		b->y1--;
	if (b->x0 < b->x1 && b->y0 < b->y1)
		return true;
	for (int x = b->x0; x < b->x1; x++)
		s->a->changed[s->a->line[x]] = 1;
	for (int y = b->y0; y < b->y1; y++)
		s->b->changed[s->b->line[y]] = 1;
	return false;
}

static int
size_of(const struct box *b)
{
	return b->x1 - b->x0 + b->y1 - b->y0;
}

static void
compare(struct search *s)
{
	struct box stack[DEPTH_MAX];
	int n = 0;

	stack[n++] = (struct box){0, s->a->n_cmp, 0, s->b->n_cmp};
	while (n > 0) {
		struct box b = stack[--n], one, two;
		int x = 0, y = 0;

		if (!shrink(s, &b))
			continue;
		divide(s, &b, &x, &y);
		one = (struct box){b.x0, x, b.y0, y};
		two = (struct box){x, b.x1, y, b.y1};
		/* the larger one waits */
		stack[n++] = size_of(&one) > size_of(&two) ? one : two;
		stack[n++] = size_of(&one) > size_of(&two) ? two : one;
	}
}

/*
 * A run of changed lines can be moved along lines that repeat it.  As diff(1) does: each run is moved up as
 * far as possible, and joined with runs that it meets, then down; then up again to the last place where the
 * other text has a change, too.  Not into the equal lines at both ends.
 */
struct slider {
	const uint32_t *kind;
	uint8_t *mine, *other;
	uint32_t min, max; /* where a run may be */
	uint32_t from, to; /* the run */
	uint32_t twin;     /* the line of the other text at its end */
};

static void
slide_up(struct slider *s)
{
	s->mine[--s->from] = 1;
	s->mine[--s->to] = 0;
	while (s->from > 0 && s->mine[s->from - 1])
		s->from--;
	while (s->other[--s->twin])
		;
}

/* True when the run stands at a change of the other text now. */
static bool
slide_down(struct slider *s)
{
	bool met = false;

	s->mine[s->from++] = 0;
	s->mine[s->to++] = 1;
	while (s->mine[s->to])
		s->to++;
	while (s->other[++s->twin])
		met = true;
	return met;
}

/* The number of moves is bounded by TEXT_COST, too. */
static void
slide_run(struct slider *s, uint64_t *cost)
{
	uint32_t len, meets;

	do {
		len = s->to - s->from;
		while (s->from > s->min && s->kind[s->from - 1] == s->kind[s->to - 1] && *cost < TEXT_COST) {
			slide_up(s);
			++*cost;
		}
		meets = s->twin > 0 && s->other[s->twin - 1] ? s->to : UINT32_MAX;
		while (s->to < s->max && s->kind[s->from] == s->kind[s->to]) {
			if (slide_down(s))
				meets = s->to;
			++*cost;
		}
	} while (len != s->to - s->from && *cost < TEXT_COST);
	while (meets < s->to)
		slide_up(s);
}

static void
slide(const struct side *x, const struct side *y)
{
	struct slider s = {x->kind, x->changed, y->changed, x->from, x->to, x->from, x->from, y->from};
	uint64_t cost = 0;

	for (;;) {
		for (; s.to < s.max && !s.mine[s.to]; s.to++)
			while (s.other[s.twin++])
				;
		if (s.to == s.max)
			return;
		s.from = s.to;
		while (s.mine[s.to])
			s.to++;
		while (s.other[s.twin])
			s.twin++;
		slide_run(&s, &cost);
	}
}

static void
side_init(struct side *s, const struct lines *l, uint32_t head, uint32_t tail)
{
	*s = (struct side){.kind = l->kind, .n = l->n, .from = head, .to = l->n - tail};
	s->changed = (uint8_t *)xcalloc((size_t)l->n + 2, 1) + 1;
}

static void
side_free(struct side *s)
{
	free(s->changed - 1);
	free(s->cmp);
	free(s->line);
}

/* Chooses the lines of s that o has, too, for the search; marks the others as changed. */
static void
choose(struct side *s, const struct side *o)
{
	uint32_t max = 0;
	_auto_free uint8_t *there = NULL;

	for (uint32_t i = s->from; i < s->to; i++)
		max = s->kind[i] > max ? s->kind[i] : max;
	there = xcalloc((size_t)max + 1, 1);
	for (uint32_t i = o->from; i < o->to; i++)
		if (o->kind[i] <= max)
			there[o->kind[i]] = 1;
	s->cmp = xcalloc(s->to - s->from, sizeof(*s->cmp));
	s->line = xcalloc(s->to - s->from, sizeof(*s->line));
	for (uint32_t i = s->from; i < s->to; i++) {
		if (there[s->kind[i]]) {
			s->cmp[s->n_cmp] = s->kind[i];
			s->line[s->n_cmp++] = i;
		} else {
			s->changed[i] = 1;
		}
	}
}

static void
collect(const struct side *a, const struct side *b, struct hunks *ret)
{
	uint32_t i = 0, j = 0;

	while (i < a->n || j < b->n) {
		struct hunk h = {i, 0, j, 0};

		while (a->changed[i])
			i++;
		while (b->changed[j])
			j++;
		h.an = i - h.a;
		h.bn = j - h.b;
		if (h.an || h.bn) {
			GROW(ret->v, ret->n, ret->cap);
			ret->v[ret->n++] = h;
		} else {
			i++;
			j++;
		}
	}
}

void
diff_lines(const struct lines *la, const struct lines *lb, uint32_t horizon, struct hunks *ret)
{
	uint32_t head = 0, tail = 0, least = la->n < lb->n ? la->n : lb->n;
	struct side a, b;
	struct search *s;

	while (head < least && la->kind[head] == lb->kind[head])
		head++;
	if (head == la->n && head == lb->n)
		return;
	while (tail < least - head && la->kind[la->n - 1 - tail] == lb->kind[lb->n - 1 - tail])
		tail++;
	head -= head < horizon ? head : horizon;
	tail -= tail < horizon ? tail : horizon;
	side_init(&a, la, head, tail);
	side_init(&b, lb, head, tail);
	choose(&a, &b);
	choose(&b, &a);
	s = xcalloc(1, sizeof(*s));
	s->a = &a;
	s->b = &b;
	compare(s);
	free(s);
	slide(&a, &b);
	slide(&b, &a);
	collect(&a, &b, ret);
	side_free(&a);
	side_free(&b);
}

void
hunks_free(struct hunks *h)
{
	free(h->v);
	*h = (struct hunks)HUNKS_INIT;
}
