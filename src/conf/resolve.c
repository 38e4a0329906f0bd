/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statements to the options of one jail, in jail(8)'s order: name or jid first; then the wildcard records in
 * the order of the file, the jail's own statements before the first wildcard that stands behind them; what
 * comes later wins.  Variables are substituted after all merging, so where they are defined does not matter.
 */
#include "base/name.h"
#include "base/num.h"
#include "conf/conf_int.h"
#include "conf/table.h"

/* --- names --- */

bool
conf_match(const char *pattern, const char *label)
{
	for (;;) {
		size_t lp = strcspn(pattern, "."), ll = strcspn(label, ".");
		bool star = lp == 1 && *pattern == '*';

		if (star && !pattern[1])
			return ll > 0; /* a last "*" is one component or more */
		if (star ? ll == 0 : lp != ll || memcmp(pattern, label, lp) != 0)
			return false;
		pattern += lp;
		label += ll;
		if (!*pattern || !*label)
			return *pattern == *label;
		pattern++;
		label++;
	}
}

/* Equal, or equal but for a `no` in front of one component of one of them. */
static bool
same_option(const char *a, const char *b)
{
	size_t i = 0, start = 0;

	for (; a[i] && a[i] == b[i]; i++)
		if (a[i] == '.')
			start = i + 1;
	if (!a[i] && !b[i])
		return true;
	return (str_after(a + start, "no") && streq(a + start + 2, b + start)) ||
	       (str_after(b + start, "no") && streq(b + start + 2, a + start));
}

void
stmt_check(struct conf *c, const char *label, struct stmt *s)
{
	_auto_free char *shown = text_printable(s->name, 80);
	const char *near;

	if (s->var) {
		s->bad = param_clashes(s->name);
		if (s->bad)
			conf_err(c, label, s->pos,
				 "variable \"$%s\" cannot have the same name as a parameter", shown);
		return;
	}
	s->def = param_find(s->name, &s->no);
	if (s->def)
		return;
	s->bad = true;
	near = param_near(s->name);
	if (near)
		conf_err(c, label, s->pos, "unknown parameter '%s' (is '%s' meant?)", shown, near);
	else
		conf_err(c, label, s->pos, "unknown parameter '%s'", shown);
}

void
resolve_check_names(struct conf *c)
{
	for (size_t i = 0; i < c->n_blocks; i++) {
		struct block *b = c->blocks[i];

		for (size_t k = 0; k < b->n && b->origin != FROM_WORDS; k++)
			stmt_check(c, b->wild ? NULL : b->label, &b->v[k]);
	}
}

/* --- entries --- */

struct entry *
jail_add_entry(struct jail *j, const char *name, struct pos pos)
{
	struct entry *e;

	GROW(j->e, j->n, j->cap);
	e = &j->e[j->n++];
	*e = (struct entry){.name = name, .pos = pos, .state = ENTRY_DONE};
	e->def = param_find(name, &e->no);
	return e;
}

void
entry_add(struct entry *e, char *s, struct pos pos)
{
	GROW(e->v, e->n, e->cap);
	e->v[e->n++] = (struct rval){s, pos};
}

struct entry *
jail_entry(const struct jail *j, const char *name)
{
	const struct param_def *def = param_find(name, NULL);

	for (size_t i = 0; def && i < j->n; i++)
		if (j->e[i].def == def)
			return &j->e[i];
	return NULL;
}

const char *
entry_last(const struct entry *e)
{
	return e && e->n > 0 ? e->v[e->n - 1].s : NULL;
}

struct pos
entry_pos(const struct entry *e)
{
	return e->n > 0 ? e->v[e->n - 1].pos : e->pos;
}

static struct entry *
find_option(const struct jail *j, const struct stmt *s)
{
	for (size_t i = 0; i < j->n; i++) {
		struct entry *e = &j->e[i];

		if (e->var == s->var && (s->var ? streq(e->name, s->name) : same_option(e->name, s->name)))
			return e;
	}
	return NULL;
}

static void
apply(struct conf *c, struct jail *j, const struct stmt *s)
{
	struct entry *e = s->broken ? NULL : find_option(j, s);

	if (s->bad || s->broken) {
		j->failed = true;
		if (!j->error)
			j->error = xasprintf("%s:%d:%d: '%s' is wrong", s->pos.file ? s->pos.file : "",
					     s->pos.line, s->pos.col, s->name);
	}
	if (s->broken)
		return;
	if (e && e->fixed) {
		jail_err(c, j, s->pos, "cannot redefine variable \"%s\"", e->name);
		return;
	}
	if (!e && j->n >= CONF_OPTIONS_MAX) {
		jail_err(c, j, j->pos, "more than %d parameters and variables", CONF_OPTIONS_MAX);
		return;
	}
	if (!e) {
		GROW(j->e, j->n, j->cap);
		e = &j->e[j->n++];
		*e = (struct entry){.var = s->var, .pos = s->pos};
	}
	if (!s->append || e->n_src == 0) {
		e->n_src = 0;
		e->name = s->name;
		e->def = s->def;
		e->no = s->no;
		e->pos = s->pos;
	}
	for (size_t i = 0; i < s->n; i++) {
		GROW(e->src, e->n_src, e->cap_src);
		e->src[e->n_src++] = &s->v[i];
	}
}

static void
apply_block(struct conf *c, struct jail *j, const struct block *b)
{
	for (size_t i = 0; b && i < b->n; i++)
		apply(c, j, &b->v[i]);
}

static void
fixed_entry(struct jail *j, const char *name)
{
	struct entry *e = jail_add_entry(j, name, j->pos);

	entry_add(e, xstrdup(j->label), j->pos);
	e->fixed = true;
}

/* --- variables --- */

static struct entry *
lookup(const struct jail *j, const char *name)
{
	struct entry *param = NULL;

	for (size_t i = 0; i < j->n; i++) {
		if (!streq(j->e[i].name, name))
			continue;
		if (j->e[i].var)
			return &j->e[i];
		param = &j->e[i];
	}
	return param;
}

static void expand_entry(struct conf *c, struct jail *j, struct entry *e, int depth);

/* The entry that a piece names, its own variables done; NULL after an error. */
static struct entry *
referred(struct conf *c, struct jail *j, const struct entry *e, const struct piece *p, int depth)
{
	struct entry *r = lookup(j, p->text);
	_auto_free char *shown = text_printable(p->text, 80), *user = text_printable(e->name, 80);

	if (r && r->state == ENTRY_NEW && depth >= CONF_VAR_DEPTH) {
		jail_err(c, j, p->pos, "%s: variables refer to variables deeper than %d", user,
			 CONF_VAR_DEPTH);
		return NULL;
	}
	if (r && r->state == ENTRY_BUSY) {
		jail_err(c, j, p->pos, "%s: variable loop", shown);
		return NULL;
	}
	if (r && r->state == ENTRY_NEW)
		expand_entry(c, j, r, depth + 1);
	if (r && r->state == ENTRY_BAD)
		return NULL; /* reported already */
	if (!r || r->n == 0) {
		jail_err(c, j, p->pos, "%s: variable \"%s\" not found", user, shown);
		return NULL;
	}
	return r;
}

static int
budget(struct conf *c, struct jail *j, struct pos pos, size_t len)
{
	j->expanded += len + 1;
	if (len <= CONF_VALUE_MAX && j->expanded <= CONF_EXPAND_MAX)
		return 0;
	jail_err(c, j, pos, "the value is too long");
	return -1;
}

/* "$v" alone: every value of v becomes one of ours. */
static int
expand_alone(struct conf *c, struct jail *j, struct entry *e, const struct val *v, int depth)
{
	const struct entry *r = referred(c, j, e, &v->v[0], depth);

	if (!r)
		return -1;
	for (size_t i = 0; i < r->n; i++) {
		if (budget(c, j, v->pos, strlen(r->v[i].s)) < 0)
			return -1;
		entry_add(e, xstrdup(r->v[i].s), v->pos);
	}
	return 0;
}

static int
expand_value(struct conf *c, struct jail *j, struct entry *e, const struct val *v, int depth)
{
	struct buf b = BUF_INIT;
	int r = 0;

	if (v->n == 1 && v->v[0].var)
		return expand_alone(c, j, e, v, depth);
	for (size_t i = 0; i < v->n && r == 0; i++) {
		const struct piece *p = &v->v[i];
		const struct entry *other;

		if (!p->var) {
			buf_adds(&b, p->text);
		} else if (!(other = referred(c, j, e, p, depth))) {
			r = -1;
		} else if (other->n > 1) {
			jail_err(c, j, p->pos, "%s: array cannot be substituted inline", other->name);
			r = -1;
		} else {
			buf_adds(&b, other->v[0].s);
		}
		if (r == 0)
			r = v->n == 1 ? 0 : budget(c, j, v->pos, b.len);
	}
	if (r == 0)
		entry_add(e, buf_take(&b), v->pos);
	buf_free(&b);
	return r;
}

/* e stays where it is: no entry is added while variables are substituted.  The depth is bounded. */
static void
expand_entry(struct conf *c, struct jail *j, struct entry *e, int depth)
{
	bool bad = false;

	if (e->state != ENTRY_NEW)
		return;
	e->state = ENTRY_BUSY;
	for (size_t i = 0; i < e->n_src; i++)
		bad |= expand_value(c, j, e, e->src[i], depth) < 0;
	e->state = bad ? ENTRY_BAD : ENTRY_DONE;
}

/* --- one jail --- */

/* A label of digits is the jid, and then the name, too. */
static void
identity(struct conf *c, struct jail *j)
{
	bool number = j->label[strspn(j->label, "0123456789")] == '\0';
	int jid;

	if (number && (num_int(j->label, 1, 999999, &jid) < 0 || *j->label == '0')) {
		jail_err(c, j, j->pos, "jail '%s': a name of digits is a JID, and those are 1 to 999999",
			 j->label);
		number = false;
	}
	fixed_entry(j, number ? "jid" : "name");
}

static void
wildcards(struct conf *c, struct jail *j)
{
	bool own = false;

	for (size_t i = 0; i < c->n_wild; i++) {
		const struct block *b = c->wild[i];

		if (!own && j->block && b->seq > j->block->seq) {
			apply_block(c, j, j->block);
			own = true;
		}
		if ((b->scope == 0 || b->scope == j->scope) && conf_match(b->label, j->label))
			apply_block(c, j, b);
	}
	if (!own)
		apply_block(c, j, j->block);
}

static void
variable_clashes(struct conf *c, struct jail *j)
{
	for (size_t i = 0; i < j->n; i++) {
		const struct entry *e = &j->e[i];

		for (size_t k = 0; e->var && k < j->n; k++)
			if (!j->e[k].var && streq(j->e[k].name, e->name) &&
			    !(j->e[k].def && j->e[k].def->flags & PARAM_BRIG))
				jail_err(c, j, e->pos,
					 "variable \"$%s\" cannot have the same name as a parameter",
					 e->name);
	}
}

void
resolve_jail(struct conf *c, struct jail *j)
{
	size_t n;

	if (j->resolved)
		return;
	j->resolved = true;
	identity(c, j);
	if (j->origin == FROM_FILE)
		wildcards(c, j);
	else
		apply_block(c, j, j->block);
	apply_block(c, j, j->over);
	variable_clashes(c, j);
	if (j->e[0].def && streq(j->e[0].def->name, "jid") && !jail_entry(j, "name"))
		entry_add(jail_add_entry(j, "name", j->pos), xstrdup(j->label), j->pos);
	n = j->n;
	for (size_t i = 0; i < n; i++)
		expand_entry(c, j, &j->e[i], 0);
}
