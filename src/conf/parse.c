/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jail.conf(5): tokens to blocks of statements.
 *
 *	file  := { block | param ';' | ';' }
 *	block := NAME '{' file '}'
 *	param := name | name '=' list | name '+=' list | name list
 *	list  := string { ',' string }
 *
 * After an error the reading goes on at the next ';', '}' or line that looks like a new statement: one
 * mistake gives one message.  No recursion but for .include, which has a depth.
 */
#include "base/name.h"
#include "conf/lex.h"
#include "conf/table.h"

struct parser {
	struct conf *c;
	struct lex lx;
	struct token tok;
	struct block *stack[CONF_NEST_MAX];
	size_t depth, too_deep; /* blocks open; beyond the limit: only counted */
	struct block **outside;
	unsigned scope;
	int includes;
	/* The last token of this statement that is first on its line: where to go on after an error. */
	struct lex mark;
	bool has_mark, after_comma;
	bool again; /* the main loop is to see the token that is there */
};

static void parse_stream(struct parser *p, const char *file, const char *text, size_t len);

/* --- blocks --- */

struct block *
block_new(struct conf *c, const char *label, struct pos pos, enum origin origin, unsigned scope)
{
	struct block *b = xcalloc(1, sizeof(*b));

	b->label = xstrdup_null(label);
	b->pos = pos;
	b->origin = origin;
	b->scope = scope;
	b->wild = label && label_wild(label);
	b->seq = c->n_blocks;
	GROW(c->blocks, c->n_blocks, c->cap_blocks);
	c->blocks[c->n_blocks++] = b;
	if (b->wild) {
		GROW(c->wild, c->n_wild, c->cap_wild);
		c->wild[c->n_wild++] = b;
	}
	return b;
}

struct stmt *
block_stmt(struct block *b, const char *name, bool append, struct pos pos)
{
	struct stmt *s;

	GROW(b->v, b->n, b->cap);
	s = &b->v[b->n++];
	*s = (struct stmt){.name = xstrdup(name), .append = append, .pos = pos};
	return s;
}

static struct val *
stmt_val(struct stmt *s, struct pos pos)
{
	GROW(s->v, s->n, s->cap);
	s->v[s->n] = (struct val){.pos = pos};
	return &s->v[s->n++];
}

static void
val_piece(struct val *v, char *text, bool var, struct pos pos)
{
	GROW(v->v, v->n, v->cap);
	v->v[v->n++] = (struct piece){text, var, pos};
}

void
stmt_add(struct stmt *s, const char *text, struct pos pos)
{
	val_piece(stmt_val(s, pos), xstrdup(text), false, pos);
}

static void
stmt_clear(struct stmt *s)
{
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < s->v[i].n; k++)
			free(s->v[i].v[k].text);
		free(s->v[i].v);
	}
	free(s->v);
	free(s->name);
}

void
block_free(struct block *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++)
		stmt_clear(&b->v[i]);
	free(b->v);
	free(b->label);
	free(b);
}

bool
label_wild(const char *label)
{
	for (const char *p = label;; p++) {
		size_t len = strcspn(p, ".");

		if (len == 1 && *p == '*')
			return true;
		p += len;
		if (!*p)
			return false;
	}
}

/* --- errors --- */

static const char *
parser_label(const struct parser *p)
{
	const struct block *b = p->depth > 0 ? p->stack[p->depth - 1] : NULL;

	return b && !b->wild ? b->label : NULL;
}

static void
lex_error(void *ctx, struct pos pos, const char *text)
{
	struct parser *p = ctx;

	conf_syntax(p->c, parser_label(p), pos, "%s", text);
}

static char *
token_text(const struct token *t)
{
	_auto_free char *shown = NULL;

	switch (t->kind) {
	case T_END:
		return xstrdup("the end of the file");
	case T_PLEQ:
		return xstrdup("'+='");
	case T_PUNCT:
		return xasprintf("'%c'", t->punct);
	case T_VAR:
		shown = text_printable(t->text, 40);
		return xasprintf("'$%s'", shown);
	default:
		shown = text_printable(t->text, 40);
		return xasprintf("'%s'", shown);
	}
}

static void
syntax_error(struct parser *p, const char *why)
{
	_auto_free char *shown = token_text(&p->tok);

	if (p->tok.kind == T_BAD)
		why = (unsigned char)*p->tok.text >= 0x80 ? "it may only stand in quotes"
							  : "this character has no meaning here";
	conf_syntax(p->c, parser_label(p), p->tok.pos, "syntax error at %s: %s", shown, why);
}

/* --- tokens --- */

static void
advance(struct parser *p)
{
	struct lex before = p->lx;

	p->after_comma = (p->tok.kind == T_PUNCT && strchr(",=", p->tok.punct)) || p->tok.kind == T_PLEQ;
	free(p->tok.text);
	p->tok = lex_next(&p->lx);
	if (p->tok.first && !p->after_comma) {
		p->mark = before;
		p->has_mark = true;
	}
}

static bool
at(const struct parser *p, char punct)
{
	return p->tok.kind == T_PUNCT && p->tok.punct == punct;
}

static bool
at_string(const struct parser *p)
{
	return p->tok.kind == T_STR || p->tok.kind == T_VAR;
}

/* Back to the marked token: the next advance() reads it again. */
static void
back_to_mark(struct parser *p)
{
	p->lx = p->mark;
	p->has_mark = false;
	free(p->tok.text);
	p->tok = (struct token){.kind = T_PUNCT, .punct = ';'};
}

/* --- blocks of the file --- */

static void
open_block(struct parser *p, const char *label, struct pos pos)
{
	const struct block *up = p->depth > 0 ? p->stack[p->depth - 1] : NULL;
	_auto_free char *full = NULL;
	struct err e = ERR_INIT;

	if (p->depth == CONF_NEST_MAX) {
		if (p->too_deep++ == 0)
			conf_err(p->c, NULL, pos, "blocks in blocks deeper than %d", CONF_NEST_MAX);
		return;
	}
	if (label && (!up || up->label))
		full = up ? xasprintf("%s.%s", up->label, label) : xstrdup(label);
	if (full && !label_wild(full) && name_check("jail", full, &e) < 0) {
		conf_err(p->c, NULL, pos, "%s", e.msg);
		free(TAKE_PTR(full));
	}
	p->stack[p->depth++] = block_new(p->c, full, pos, FROM_FILE, p->scope);
}

static void
close_block(struct parser *p, size_t floor)
{
	if (p->too_deep > 0)
		p->too_deep--;
	else if (p->depth > floor)
		p->depth--;
	else
		conf_syntax(p->c, NULL, p->tok.pos, "syntax error at '}': no block is open here");
}

/* The block that a statement belongs to: the one that is open, or the block "*" for all statements outside of
 * blocks. */
static struct block *
current(struct parser *p)
{
	if (p->depth > 0)
		return p->stack[p->depth - 1];
	if (!*p->outside)
		*p->outside = block_new(p->c, "*", p->tok.pos, FROM_FILE, p->scope);
	return *p->outside;
}

/* --- .include --- */

static void
include_one(struct parser *p, const char *file, struct pos pos)
{
	_auto_free char *text = NULL;
	struct parser sub = *p;
	size_t len;
	int r;

	if (p->c->stop_include)
		return;
	if (p->includes >= CONF_INCLUDE_MAX || p->c->n_files >= CONF_FILES_MAX) {
		p->c->stop_include = true;
		conf_err(p->c, NULL, pos,
			 "maximum include depth exceeded at '%s' (does a file include itself?)", file);
		return;
	}
	r = conf_text(p->c, file, &text, &len);
	if (r < 0) {
		conf_err(p->c, parser_label(p), pos, "include '%s': %s", file,
			 r == -EFBIG ? "larger than 4 MiB" : strerror(-r));
		return;
	}
	sub.includes++;
	sub.tok = (struct token){.kind = T_END};
	parse_stream(&sub, conf_intern(p->c, file), text, len);
}

static void
include_value(struct parser *p, const struct val *v)
{
	_auto_strv struct strv found = STRV_INIT;
	_auto_free char *path = NULL;
	const char *name = v->n == 1 && !v->v[0].var ? v->v[0].text : NULL;
	const char *slash = strrchr(v->pos.file, '/');

	if (!name) {
		conf_err(p->c, parser_label(p), v->pos, "variables are not permitted in '.include'");
		return;
	}
	if (*name == '/' || !slash)
		path = xstrdup(name);
	else
		path = xasprintf("%.*s/%s", (int)(slash - v->pos.file), v->pos.file, name);
	if (!strpbrk(path, "*?[\\")) {
		include_one(p, path, v->pos);
		return;
	}
	if (p->c->in.glob && p->c->in.glob(p->c->in.ctx, path, &found) < 0)
		conf_err(p->c, parser_label(p), v->pos, "include '%s': cannot look for files", path);
	for (size_t i = 0; i < found.n; i++)
		include_one(p, found.v[i], v->pos);
}

/* --- statements --- */

static const char *
missing_end(const struct parser *p)
{
	return p->tok.first ? "a ';' is missing at the end of the statement before"
			    : "',' or ';' expected (text with blanks must be quoted)";
}

/* Pieces that follow each other without a blank. */
static void
parse_string(struct parser *p, struct stmt *s)
{
	struct val *v = stmt_val(s, p->tok.pos);
	struct pos pos = p->tok.pos;
	struct buf text = BUF_INIT;
	bool var;

	do {
		var = p->tok.kind == T_VAR;
		if (var && text.len > 0)
			val_piece(v, buf_take(&text), false, pos);
		if (var)
			val_piece(v, TAKE_PTR(p->tok.text), true, p->tok.pos);
		else if (text.len == 0)
			pos = p->tok.pos;
		if (!var)
			buf_adds(&text, p->tok.text);
		advance(p);
	} while (at_string(p) && p->tok.joined);
	if (text.len > 0 || v->n == 0)
		val_piece(v, buf_take(&text), false, pos);
	buf_free(&text);
}

/* 0, or -1 after an error. */
static int
parse_list(struct parser *p, struct stmt *s)
{
	for (;;) {
		if (!at_string(p)) {
			syntax_error(p, "a value is missing here");
			return -1;
		}
		parse_string(p, s);
		if (!at(p, ','))
			break;
		advance(p);
	}
	if (at(p, ';'))
		return 0;
	syntax_error(p, p->tok.kind == T_END || at(p, '}')
			    ? "a ';' is missing at the end of the statement before"
			    : missing_end(p));
	return -1;
}

/* After an error: skips to where the next statement may begin. */
static void
recover(struct parser *p)
{
	if (p->has_mark) {
		back_to_mark(p);
		return;
	}
	while (p->tok.kind != T_END && !at(p, ';') && !at(p, '}')) {
		if (at(p, '{')) {
			open_block(p, NULL, p->tok.pos);
			return;
		}
		advance(p);
		if (p->has_mark) {
			back_to_mark(p);
			return;
		}
	}
	p->again = !at(p, ';');
}

static void
finish_statement(struct parser *p, struct stmt *s, int r)
{
	if (r == 0 && !s->var && streq(s->name, ".include")) {
		for (size_t i = 0; i < s->n; i++)
			include_value(p, &s->v[i]);
		if (s->n == 0)
			conf_err(p->c, parser_label(p), s->pos, "'.include' needs the name of a file");
		stmt_clear(s);
		return;
	}
	{
		struct block *b = current(p);

		s->broken = r < 0;
		GROW(b->v, b->n, b->cap);
		b->v[b->n++] = *s;
	}
}

static const char *
composed(const struct parser *p)
{
	return p->tok.kind == T_VAR ? "a name cannot be put together with a variable"
				    : "a name that is not one plain word must be quoted as a whole";
}

static void
parse_statement(struct parser *p)
{
	struct stmt s = {.name = TAKE_PTR(p->tok.text), .var = p->tok.kind == T_VAR, .pos = p->tok.pos};
	int r = 0;

	p->has_mark = false;
	advance(p);
	if (at(p, '{') && !s.var) {
		open_block(p, s.name, s.pos);
		stmt_clear(&s);
		return;
	}
	if (at_string(p) && p->tok.joined) {
		syntax_error(p, composed(p));
		stmt_clear(&s);
		recover(p);
		return;
	}
	if (at(p, '=') || p->tok.kind == T_PLEQ) {
		s.append = p->tok.kind == T_PLEQ;
		advance(p);
		r = parse_list(p, &s);
	} else if (at_string(p)) {
		r = parse_list(p, &s);
	} else if (!at(p, ';')) {
		r = -1;
		syntax_error(p,
			     at(p, '{') ? "a variable cannot be the name of a jail" : "';' or '=' expected");
	}
	finish_statement(p, &s, r);
	if (r < 0)
		recover(p);
}

static void
parse_stream(struct parser *p, const char *file, const char *text, size_t len)
{
	size_t floor = p->depth;

	lex_init(&p->lx, file, text, len);
	p->lx.error = lex_error;
	p->lx.ctx = p;
	for (;;) {
		if (!p->again)
			advance(p);
		p->again = false;
		if (p->tok.kind == T_END)
			break;
		if (at(p, '}'))
			close_block(p, floor);
		else if (at_string(p) && !p->tok.joined)
			parse_statement(p);
		else if (!at(p, ';')) {
			p->has_mark = false;
			syntax_error(p, at(p, '{') ? "the name of a jail is missing before it"
						   : "a statement cannot begin like this");
			recover(p);
		}
	}
	if (p->depth > floor) {
		const struct block *b = p->stack[p->depth - 1];

		conf_syntax(p->c, b->label, p->tok.pos,
			    "unexpected end of the file: '}' is missing for the block "
			    "that line %d begins",
			    b->pos.line);
	}
	p->depth = floor;
	free(p->tok.text);
	p->tok.text = NULL;
}

void
parse_text(struct conf *c, const char *file, const char *text, size_t len, unsigned scope)
{
	struct parser p = {.c = c, .scope = scope};
	struct block *own = NULL;

	p.outside = scope ? &own : &c->outside;
	parse_stream(&p, file, text, len);
}
