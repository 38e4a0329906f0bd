/* SPDX-License-Identifier: BSD-2-Clause */
#include "merge/entry.h"

#include "merge/account.h"

enum { OURS, BASE, THEIRS, N_TEXTS };
static const char *const side_word[] = {"yours", "original", "new"};

enum result { RESULT_OURS, RESULT_THEIRS, RESULT_BOTH, RESULT_GONE, RESULT_CONFLICT };

/* All that the three texts have of one name. */
struct account {
	const struct line *side[N_TEXTS];
	bool bad[N_TEXTS]; /* a line of the name is not an entry */
	enum result result;
	struct buf both; /* RESULT_BOTH: the line */
	uint32_t id;     /* of the result */
};

struct merging {
	const struct format *f;
	struct file file[N_TEXTS];
	struct account *acc;
	size_t n_acc;
	/* The lines of the result as a list, by number: 0 begins it, then ours', theirs', base's. */
	uint32_t *next;
	const char *end; /* of new lines */
	size_t conflicts;
	char *why; /* of the first conflict */
};

struct ref {
	struct line *l;
	uint32_t side, at;
};

/* By name, side and type (entries first); malformed lines also by text, so that equal ones are together;
 * then in the order of the file. */
static int
by_name(const void *pa, const void *pb)
{
	const struct ref *a = pa, *b = pb;
	int r = text_compare(line_name(a->l), line_name(b->l));

	if (r == 0)
		r = (a->side > b->side) - (a->side < b->side);
	if (r == 0)
		r = (a->l->type > b->l->type) - (a->l->type < b->l->type);
	if (r == 0 && a->l->type == LINE_BAD)
		r = text_compare(line_text(a->l), line_text(b->l));
	return r ? r : (a->at > b->at) - (a->at < b->at);
}

/* One account for each name.  The first entry of a name counts, as for getpwnam(3). */
static void
join(struct merging *m)
{
	size_t n = 0, cap = 0;
	_auto_free struct ref *ref = NULL;

	for (uint32_t side = OURS; side < N_TEXTS; side++)
		for (uint32_t i = 0; i < m->file[side].n; i++) {
			if (m->file[side].v[i].type == LINE_OTHER)
				continue;
			GROW(ref, n, cap);
			ref[n++] = (struct ref){&m->file[side].v[i], side, i};
		}
	if (n > 0)
		qsort(ref, n, sizeof(*ref), by_name);
	m->acc = xcalloc(n, sizeof(*m->acc));
	for (size_t i = 0; i < n; i++) {
		struct line *l = ref[i].l;
		bool same = i > 0 && text_equal(line_name(l), line_name(ref[i - 1].l));
		bool bad = l->type == LINE_BAD;
		struct account *a;

		if (!same)
			m->acc[m->n_acc++].id = NONE;
		a = &m->acc[m->n_acc - 1];
		l->account = (uint32_t)(m->n_acc - 1);
		if (!a->side[ref[i].side])
			a->side[ref[i].side] = l;
		else
			l->again = !bad || text_equal(line_text(l), line_text(ref[i - 1].l));
		a->bad[ref[i].side] |= bad;
	}
}

/* The name for a message: it comes from a jail, so it is cut and made printable. */
static char *
printable(const struct line *l)
{
	char *s = xstrndup(l->s + l->name, l->name_len < 32 ? l->name_len : 32);

	for (char *p = s; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return s;
}

static void
conflict(struct merging *m, struct account *a, char *why)
{
	a->result = RESULT_CONFLICT;
	m->conflicts++;
	if (m->why)
		free(why);
	else
		m->why = why;
}

/* The elements of a list field, sorted, each once. */
struct set {
	struct text *v;
	size_t n, cap;
};

static int
by_text(const void *a, const void *b)
{
	return text_compare(*(const struct text *)a, *(const struct text *)b);
}

/* The element of a list at *p, which goes behind it; empty ones are passed over. */
static bool
next_element(const char **p, const char *end, struct text *ret)
{
	while (*p < end && **p == ',')
		++*p;
	if (*p == end)
		return false;
	ret->s = *p;
	while (*p < end && **p != ',')
		++*p;
	ret->len = (size_t)(*p - ret->s);
	return true;
}

static void
set_make(struct set *s, struct text list)
{
	const char *p = list.s;
	struct text e;

	*s = (struct set){NULL, 0, 0};
	while (next_element(&p, list.s + list.len, &e)) {
		GROW(s->v, s->n, s->cap);
		s->v[s->n++] = e;
	}
	if (s->n > 1)
		qsort(s->v, s->n, sizeof(*s->v), by_text);
}

static bool
set_has(const struct set *s, struct text e)
{
	return s->n > 0 && bsearch(&e, s->v, s->n, sizeof(*s->v), by_text) != NULL;
}

static void
add_element(struct buf *out, size_t start, struct text e)
{
	if (out->len > start)
		buf_addc(out, ',');
	buf_add(out, e.s, e.len);
}

/* Ours without what theirs removed, then what theirs added. */
static void
merge_list(struct text o, struct text b, struct text t, struct buf *out)
{
	struct set so, sb, st;
	const char *p = o.s, *q = t.s;
	size_t start = out->len;
	struct text e;

	set_make(&so, o);
	set_make(&sb, b);
	set_make(&st, t);
	while (next_element(&p, o.s + o.len, &e))
		if (!set_has(&sb, e) || set_has(&st, e))
			add_element(out, start, e);
	while (next_element(&q, t.s + t.len, &e))
		if (!set_has(&sb, e) && !set_has(&so, e))
			add_element(out, start, e);
	free(so.v);
	free(sb.v);
	free(st.v);
}

/* The date of the side that changed the password: a template that is built anew has new dates, which say
 * nothing about a password that was set in the jail. */
static struct text
merge_date(const struct format *f, const struct text *o, const struct text *b, const struct text *t)
{
	bool ours = !text_equal(o[PASSWORD], b[PASSWORD]), theirs = !text_equal(t[PASSWORD], b[PASSWORD]);

	if (ours != theirs)
		return ours ? o[f->date] : t[f->date];
	return text_equal(o[f->date], b[f->date]) ? t[f->date] : o[f->date];
}

/* Merges field by field; without base all fields but lists and the date must be equal.  Returns the field
 * that is in conflict, or 0. */
static unsigned
merge_fields(const struct format *f, const struct account *a, struct buf *out)
{
	struct text o[FIELDS_MAX], b[FIELDS_MAX], t[FIELDS_MAX];

	account_split(a->side[OURS], o, FIELDS_MAX);
	account_split(a->side[THEIRS], t, FIELDS_MAX);
	if (a->side[BASE])
		account_split(a->side[BASE], b, FIELDS_MAX);
	else
		for (unsigned i = 0; i < FIELDS_MAX; i++)
			b[i] = (struct text){"", 0};
	for (unsigned i = 0; i < f->n; i++) {
		struct text take = o[i];

		if (i > 0)
			buf_addc(out, ':');
		if (text_equal(o[i], t[i])) {
			/* as it is */
		} else if (f->lists & 1u << i) {
			merge_list(o[i], b[i], t[i], out);
			continue;
		} else if (f->date && i == f->date) {
			take = a->side[BASE] ? merge_date(f, o, b, t) : o[i];
		} else if (!a->side[BASE]) {
			return i;
		} else if (text_equal(o[i], b[i])) {
			take = t[i];
		} else if (!text_equal(t[i], b[i])) {
			return i;
		}
		buf_add(out, take.s, take.len);
	}
	return 0;
}

/* Equal but for the date of the password. */
static bool
same_account(const struct format *f, const struct line *x, const struct line *y)
{
	struct text a[FIELDS_MAX], b[FIELDS_MAX];

	if (text_equal(line_text(x), line_text(y)))
		return true;
	if (!f->date || x->type != LINE_ENTRY || y->type != LINE_ENTRY)
		return false;
	account_split(x, a, FIELDS_MAX);
	account_split(y, b, FIELDS_MAX);
	for (unsigned i = 0; i < f->n; i++)
		if (i != f->date && !text_equal(a[i], b[i]))
			return false;
	return true;
}

static bool
same_line(const struct line *x, const struct line *y)
{
	return x && y ? text_equal(line_text(x), line_text(y)) : x == y;
}

static void
resolve_both(struct merging *m, struct account *a, const char *who, const char *name)
{
	const struct line *o = a->side[OURS], *b = a->side[BASE];
	unsigned field = 0;

	if (o->type == LINE_ENTRY)
		field = merge_fields(m->f, a, &a->both);
	a->result = RESULT_BOTH;
	if (o->type != LINE_ENTRY)
		conflict(m, a, xasprintf("both changed the line of %s", name));
	else if (field && b)
		conflict(m, a, xasprintf("both changed the %s of %s %s", m->f->field[field], who, name));
	else if (field)
		conflict(m, a,
			 xasprintf("both added %s %s, with a different %s", who, name, m->f->field[field]));
}

static void
resolve(struct merging *m, struct account *a)
{
	const struct line *o = a->side[OURS], *b = a->side[BASE], *t = a->side[THEIRS];
	const char *who = m->f->who;
	_auto_free char *name = printable(o ? o : t ? t : b);

	for (int side = THEIRS; side >= BASE; side--)
		if (a->bad[side]) {
			conflict(m, a,
				 xasprintf("the line of '%s' in %s is not one of %s", name, side_word[side],
					   m->f->path));
			return;
		}
	if (same_line(t, b) || same_line(o, t))
		a->result = o ? RESULT_OURS : RESULT_GONE;
	else if (a->bad[OURS] && !t)
		a->result = RESULT_OURS;
	else if (a->bad[OURS])
		conflict(m, a, xasprintf("the line of '%s' in yours is not one of %s", name, m->f->path));
	else if (same_line(o, b))
		a->result = t ? RESULT_THEIRS : RESULT_GONE;
	else if (o && t)
		resolve_both(m, a, who, name);
	else if (same_account(m->f, b, o ? o : t))
		a->result = RESULT_GONE;
	else
		conflict(m, a,
			 xasprintf("%s %s is removed in %s and changed in %s", who, name,
				   side_word[o ? THEIRS : OURS], side_word[o ? OURS : THEIRS]));
}

/* Sets the id that the account has in the result. */
static void
find_id(const struct merging *m, struct account *a)
{
	struct line line = {.s = a->both.s, .len = (uint32_t)a->both.len};

	if (a->result == RESULT_OURS)
		a->id = a->side[OURS]->id;
	else if (a->result == RESULT_THEIRS)
		a->id = a->side[THEIRS]->id;
	else if (a->result == RESULT_BOTH) {
		account_classify(&line, m->f);
		a->id = line.id;
	}
}

/* Who has an id in the result: an account, or a malformed line of ours. */
struct holder {
	struct account *a;
	const struct line *l;
	uint32_t id;
};

static bool
id_from_theirs(const struct holder *h)
{
	const struct account *a = h->a;

	return !h->l && a->side[THEIRS] && a->side[THEIRS]->id == h->id &&
	       !(a->side[OURS] && a->side[OURS]->id == h->id);
}

/* Does theirs have this id for this name? */
static bool
theirs_has(const struct holder *h)
{
	return !h->l && h->a->side[THEIRS] && h->a->side[THEIRS]->id == h->id;
}

static int
by_id(const void *pa, const void *pb)
{
	const struct holder *a = pa, *b = pb;

	return (a->id > b->id) - (a->id < b->id);
}

/* h: all n holders of one id. */
static void
check_id(struct merging *m, const struct holder *h, size_t n)
{
	const struct holder *other = NULL;

	for (size_t i = 0; i < n && !other; i++)
		other = theirs_has(&h[i]) ? NULL : &h[i];
	for (size_t i = 0; i < n && other; i++) {
		const struct line *l = other->l ? other->l : other->a->side[OURS];
		_auto_free char *name = NULL, *taken = NULL;
		struct account *a = h[i].a;

		if (!id_from_theirs(&h[i]))
			continue;
		name = printable(a->side[THEIRS]);
		taken = printable(l);
		conflict(m, a,
			 xasprintf("%s %u of %s%s %s is taken by %s", m->f->id_word, h[i].id,
				   a->side[OURS] ? "" : "new ", m->f->who, name, taken));
	}
}

static void
check_ids(struct merging *m)
{
	const struct file *ours = &m->file[OURS];
	_auto_free struct holder *h = NULL;
	size_t n = 0, cap = 0;

	for (size_t i = 0; i < m->n_acc; i++) {
		find_id(m, &m->acc[i]);
		if (m->acc[i].id == NONE || m->acc[i].bad[OURS])
			continue;
		GROW(h, n, cap);
		h[n++] = (struct holder){&m->acc[i], NULL, m->acc[i].id};
	}
	for (uint32_t i = 0; i < ours->n; i++) {
		const struct account *a = ours->v[i].type == LINE_OTHER ? NULL : &m->acc[ours->v[i].account];

		if (!a || ours->v[i].id == NONE || !a->bad[OURS] || ours->v[i].again)
			continue;
		GROW(h, n, cap);
		h[n++] = (struct holder){NULL, &ours->v[i], ours->v[i].id};
	}
	if (n > 1)
		qsort(h, n, sizeof(*h), by_id);
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && h[i + run].id == h[i].id; run++)
			;
		if (run > 1)
			check_id(m, &h[i], run);
	}
}

/* The place of line i of a text in the list. */
static uint32_t
place(const struct merging *m, int side, uint32_t i)
{
	uint32_t at = 1 + i;

	if (side != OURS)
		at += m->file[OURS].n;
	if (side == BASE)
		at += m->file[THEIRS].n;
	return at;
}

/* The line at a place, and whose it is. */
static const struct line *
line_at(const struct merging *m, uint32_t at, int *ret_side)
{
	static const int order[] = {OURS, THEIRS, BASE};
	unsigned i = 0;

	for (at--; at >= m->file[order[i]].n; i++)
		at -= m->file[order[i]].n;
	*ret_side = order[i];
	return &m->file[order[i]].v[at];
}

/* After which places of the list lines are inserted that ours does not have. */
struct spots {
	uint32_t first; /* before the first entry */
	uint32_t nis;   /* before the first NIS line, or at the end */
	uint32_t last;
	uint32_t nis_line; /* of ours; NONE */
};

static void
insert(struct merging *m, struct spots *s, uint32_t after, uint32_t at)
{
	m->next[at] = m->next[after];
	m->next[after] = at;
	/* the next one goes behind it, except at the first spot: there it has a predecessor by then */
	if (s->nis == after)
		s->nis = at;
	if (s->last == after)
		s->last = at;
}

/* Places the accounts of a text that ours does not have and the result shows, each behind the one that it
 * follows there. */
static void
place_new(struct merging *m, struct spots *s, int side)
{
	uint32_t before = 0; /* place of the last line seen that has one; 0: none yet */

	for (uint32_t i = 0; i < m->file[side].n; i++) {
		const struct line *l = &m->file[side].v[i];
		struct account *a = l->type == LINE_OTHER ? NULL : &m->acc[l->account];
		uint32_t after;

		if (!a || l != a->side[side] || a->result == RESULT_GONE)
			continue;
		if (a->side[OURS]) {
			before = place(m, OURS, (uint32_t)(a->side[OURS] - m->file[OURS].v));
			/* nothing but NIS lines goes behind NIS lines */
			if (l->type != LINE_NIS && s->nis_line != NONE && before > s->nis_line)
				before = s->nis;
			continue;
		}
		if (side == BASE && a->side[THEIRS])
			continue;
		if (l->type == LINE_NIS)
			after = s->last;
		else
			after = before ? before : s->first;
		before = place(m, side, i);
		insert(m, s, after, before);
	}
}

static void
arrange(struct merging *m)
{
	const struct file *ours = &m->file[OURS];
	struct spots s = {.first = NONE, .nis_line = NONE};

	m->next = xcalloc((size_t)1 + ours->n + m->file[THEIRS].n + m->file[BASE].n, sizeof(*m->next));
	for (uint32_t i = 0; i < ours->n; i++) {
		m->next[i] = i + 1;
		if (ours->v[i].type == LINE_NIS && s.nis_line == NONE)
			s.nis_line = i + 1;
		if (ours->v[i].type != LINE_OTHER && s.first == NONE)
			s.first = i;
	}
	s.last = ours->n;
	s.nis = s.nis_line == NONE ? s.last : s.nis_line - 1;
	if (s.first == NONE)
		s.first = s.last;
	place_new(m, &s, THEIRS);
	place_new(m, &s, BASE);
}

/* One line, on a line of its own. */
static void
add_line(const struct merging *m, struct buf *out, size_t start, struct text t, const char *end)
{
	if (out->len > start && out->s[out->len - 1] != '\n')
		buf_adds(out, m->end);
	buf_add(out, t.s, t.len);
	buf_adds(out, end);
}

static void
add_conflict(const struct merging *m, const struct account *a, const char *const label[], struct buf *out,
	     size_t start)
{
	static const char *const mark[] = {"<<<<<<< ", "||||||| ", "======="};

	for (int side = OURS; side < N_TEXTS; side++) {
		_auto_free char *line = xasprintf("%s%s", mark[side], side == THEIRS ? "" : label[side]);
		const struct line *l = a->side[side];

		add_line(m, out, start, (struct text){line, strlen(line)}, "\n");
		if (l)
			add_line(m, out, start, line_text(l), "\n");
	}
	buf_addf(out, ">>>>>>> %s\n", label[THEIRS]);
}

static void
write_out(const struct merging *m, const char *const label[], struct buf *out)
{
	static const char *const ends[] = {"", "\n", "\r\n"};
	size_t start = out->len;

	buf_adds(out, "");
	for (uint32_t at = m->next[0]; at; at = m->next[at]) {
		int side;
		const struct line *l = line_at(m, at, &side);
		const struct account *a = l->account == NONE ? NULL : &m->acc[l->account];
		const char *end = side == OURS ? ends[l->eol] : m->end;

		/* comments, and lines that a reader of the file passes over, are as they were */
		enum result result = a && l == a->side[side] ? a->result : RESULT_OURS;

		if (l->again)
			continue;
		if (result == RESULT_OURS)
			add_line(m, out, start, line_text(l), end);
		else if (result == RESULT_THEIRS)
			add_line(m, out, start, line_text(a->side[THEIRS]), end);
		else if (result == RESULT_BOTH)
			add_line(m, out, start, (struct text){a->both.s, a->both.len}, end);
		else if (result == RESULT_CONFLICT)
			add_conflict(m, a, label, out, start);
	}
}

/* "\n" or "\r\n", as in ours. */
static const char *
line_end(const struct merging *m)
{
	const struct file *like = &m->file[m->file[OURS].n > 0 ? OURS : THEIRS];

	return like->n > 0 && like->v->eol == 2 ? "\r\n" : "\n";
}

enum text_result
entry_merge(enum entry_format f, const struct text_sides *t, const struct text_labels *l, struct buf *out,
	    char **why)
{
	const struct text text[] = {t->ours, t->base, t->theirs};
	const char *const label[] = {l && l->ours ? l->ours : side_word[OURS],
				     l && l->base ? l->base : side_word[BASE],
				     l && l->theirs ? l->theirs : side_word[THEIRS]};
	struct merging m = {.f = &account_formats[f]};

	if (f == ENTRY_NONE || !text_is_text(t->ours) || !text_is_text(t->base) || !text_is_text(t->theirs))
		return TEXT_BINARY;
	for (int i = 0; i < N_TEXTS; i++)
		account_read(&m.file[i], text[i].len ? text[i] : (struct text){"", 0}, m.f);
	m.end = line_end(&m);
	join(&m);
	for (size_t i = 0; i < m.n_acc; i++)
		resolve(&m, &m.acc[i]);
	check_ids(&m);
	arrange(&m);
	write_out(&m, label, out);
	if (m.conflicts && why)
		*why = m.conflicts > 1 ? xasprintf("%s (and %zu more)", m.why, m.conflicts - 1)
				       : TAKE_PTR(m.why);
	for (size_t i = 0; i < m.n_acc; i++)
		buf_free(&m.acc[i].both);
	for (int i = 0; i < N_TEXTS; i++)
		free(m.file[i].v);
	free(m.acc);
	free(m.next);
	free(m.why);
	return m.conflicts ? TEXT_CONFLICT : TEXT_CLEAN;
}
