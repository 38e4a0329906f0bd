/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks across jails: labels, names, JIDs, addresses and ports that two have; dependencies. */
#include <stdarg.h>

#include "base/name.h"
#include "conf/conf_int.h"
#include "conf/value.h"

const char *
name_reserved(const char *name)
{
	const char *rest = str_after(name, CONF_TEMPLATE);
	static const char why[] =
	    "the name is reserved for templates and skeletons (mroot, mroot2, mroot.DATE, skel)";

	if (streq(name, "skel") || str_after(name, "skel."))
		return why;
	if (rest && (*rest == '.' || rest[strspn(rest, "0123456789")] == '\0'))
		return why;
	return NULL;
}

static int
by_label_then_order(const void *a, const void *b)
{
	const struct jail *x = *(struct jail *const *)a, *y = *(struct jail *const *)b;
	int r = strcmp(x->label, y->label);

	return r ? r : (x->block->seq > y->block->seq) - (x->block->seq < y->block->seq);
}

/* Of jails with the same label all but the first are removed. */
static void
drop_duplicates(struct conf *c, struct jail **sorted)
{
	size_t n = 0;

	for (size_t i = 1, first = 0; i < c->n_jails; i++) {
		_auto_free char *where = pos_text(sorted[first]->pos);

		if (!streq(sorted[i]->label, sorted[first]->label)) {
			first = i;
			continue;
		}
		conf_err(c, sorted[i]->label, sorted[i]->pos,
			 "jail '%s' is defined twice: the first time at %s", sorted[i]->label, where);
		sorted[i]->resolved = true; /* marks it for the loop below: nothing is resolved yet */
	}
	for (size_t i = 0; i < c->n_jails; i++) {
		if (c->jails[i]->resolved)
			jail_free(c->jails[i]);
		else
			c->jails[n++] = c->jails[i];
	}
	c->n_jails = n;
}

void
check_labels(struct conf *c)
{
	_auto_free struct jail **sorted = xcalloc(c->n_jails, sizeof(*sorted));

	for (size_t i = 0; i < c->n_jails; i++) {
		struct jail *j = c->jails[i];

		sorted[i] = j;
		if (name_reserved(j->label))
			jail_err(c, j, j->pos, "jail '%s': %s", j->label, name_reserved(j->label));
	}
	if (c->n_jails == 0)
		return;
	qsort(sorted, c->n_jails, sizeof(struct jail *), by_label_then_order);
	drop_duplicates(c, sorted);
}

/* --- things that only one jail may have --- */

struct claim {
	char key[64];
	struct jail *j;
	struct pos pos;
	size_t seq;
};
struct claims {
	struct claim *v;
	size_t n, cap;
};

static void _printf_(4, 5) add_claim(struct claims *l, struct jail *j, struct pos pos, const char *fmt, ...)
{
	struct claim *one;
	va_list ap;

	GROW(l->v, l->n, l->cap);
	one = &l->v[l->n];
	*one = (struct claim){.j = j, .pos = pos, .seq = l->n++};
	va_start(ap, fmt);
	(void)vsnprintf(one->key, sizeof(one->key), fmt, ap);
	va_end(ap);
}

static int
by_key(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int r = strcmp(x->key, y->key);

	return r ? r : (x->seq > y->seq) - (x->seq < y->seq);
}

/* The position of a jail's list parameter, or of the jail. */
static struct pos
pos_of(const struct jail *j, const char *name)
{
	const struct entry *e = jail_entry(j, name);

	return e ? entry_pos(e) : j->pos;
}

static void
claims_of(struct claims *l, struct jail *j)
{
	const struct jailspec *s = j->spec;

	add_claim(l, j, pos_of(j, "name"), "name %s", s->name);
	if (s->jid)
		add_claim(l, j, pos_of(j, "jid"), "JID %d", s->jid);
	for (size_t i = 0; i < s->n_addrs; i++) {
		_auto_free char *text = addr_text(&s->addrs[i]);

		add_claim(l, j, pos_of(j, s->addrs[i].family == AF_INET ? "ip4.addr" : "ip6.addr"),
			  "address %s", text);
	}
	for (size_t i = 0; i < s->n_rdr; i++)
		add_claim(l, j, pos_of(j, "rdr"), "%s port %u of the host",
			  s->rdr[i].proto == IPPROTO_TCP ? "TCP" : "UDP", s->rdr[i].host_port);
}

static void
check_claims(struct conf *c)
{
	struct claims l = {NULL, 0, 0};

	for (size_t i = 0; i < c->n_jails; i++)
		if (c->jails[i]->spec)
			claims_of(&l, c->jails[i]);
	if (l.n > 1)
		qsort(l.v, l.n, sizeof(*l.v), by_key);
	for (size_t i = 1, first = 0; i < l.n; i++) {
		struct claim *a = &l.v[first], *b = &l.v[i];
		_auto_free char *where = pos_text(a->pos);

		if (!streq(a->key, b->key)) {
			first = i;
			continue;
		}
		if (a->j == b->j)
			jail_err(c, b->j, b->pos, "jail '%s' has %s twice", b->j->label, b->key);
		else
			jail_err(c, b->j, b->pos, "jails '%s' and '%s' both have %s (%s)", a->j->label,
				 b->j->label, b->key, where);
	}
	free(l.v);
}

/* A jail must not have the name of a template: both are directories of BASE/j. */
static void
check_templates(struct conf *c)
{
	const char *last = NULL;

	for (size_t i = 0; i < c->n_jails; i++) {
		const struct jailspec *s = c->jails[i]->spec;
		struct jail *j;

		if (!s || !s->template || (last && streq(last, s->template)))
			continue;
		last = s->template;
		j = conf_find(c, last);
		if (j && !name_reserved(last))
			jail_err(c, j, j->pos, "jail '%s' has the name of a template that jail '%s' uses",
				 j->label, c->jails[i]->label);
	}
}

/* --- dependencies --- */

struct visit { /* one level of the walk */
	size_t jail, next;
};

static size_t
index_of(const struct conf *c, const char *label)
{
	const struct jail *j = conf_find(c, label);

	return j ? j->index : c->n_jails;
}

static struct pos
depend_pos(const struct jail *j, const char *on)
{
	const struct entry *e = jail_entry(j, "depend");

	for (size_t i = 0; e && i < e->n; i++)
		if (streq(e->v[i].s, on))
			return e->v[i].pos;
	return j->pos;
}

static void
report_loop(struct conf *c, const struct visit *stack, size_t depth, size_t again)
{
	struct buf b = BUF_INIT;
	struct jail *j = c->jails[again];
	size_t from = 0;

	while (stack[from].jail != again)
		from++;
	for (size_t i = from; i < depth; i++)
		buf_addf(&b, "%s -> ", c->jails[stack[i].jail]->label);
	jail_err(c, j, depend_pos(j, c->jails[stack[from + 1 < depth ? from + 1 : from].jail]->label),
		 "dependency loop: %s%s", b.s ? b.s : "", j->label);
	for (size_t i = from; i < depth; i++) {
		struct jail *o = c->jails[stack[i].jail];

		o->failed = true;
		if (!o->error)
			o->error = xstrdup(j->error);
	}
	buf_free(&b);
}

/* Depth first, without recursion.  state: 0 not seen, 1 on the way, 2 done. */
static void
walk(struct conf *c, size_t start, char *state, struct visit *stack)
{
	size_t depth = 1;

	stack[0] = (struct visit){start, 0};
	state[start] = 1;
	while (depth > 0) {
		struct visit *top = &stack[depth - 1];
		const struct jailspec *s = c->jails[top->jail]->spec;
		size_t to;

		if (!s || top->next == s->depend.n) {
			state[top->jail] = 2;
			depth--;
			continue;
		}
		to = index_of(c, s->depend.v[top->next++]);
		if (to == c->n_jails)
			continue;
		if (state[to] == 1)
			report_loop(c, stack, depth, to);
		if (state[to] != 0)
			continue;
		state[to] = 1;
		stack[depth++] = (struct visit){to, 0};
	}
}

static void
check_depend(struct conf *c)
{
	_auto_free char *state = xcalloc(c->n_jails, 1);
	_auto_free struct visit *stack = xcalloc(c->n_jails, sizeof(*stack));

	for (size_t i = 0; i < c->n_jails; i++) {
		struct jail *j = c->jails[i];

		for (size_t k = 0; j->spec && j->origin != FROM_WORDS && k < j->spec->depend.n; k++) {
			_auto_free char *shown = text_printable(j->spec->depend.v[k], NAME_MAX_LEN);

			if (!conf_find(c, j->spec->depend.v[k]))
				jail_err(c, j, depend_pos(j, j->spec->depend.v[k]),
					 "depends on undefined jail \"%s\"", shown);
		}
	}
	for (size_t i = 0; i < c->n_jails; i++)
		if (state[i] == 0)
			walk(c, i, state, stack);
}

void
check_jails(struct conf *c)
{
	for (size_t i = 0; i < c->n_jails; i++)
		c->jails[i]->index = i;
	check_claims(c);
	check_templates(c);
	check_depend(c);
}
