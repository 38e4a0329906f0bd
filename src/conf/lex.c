/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/lex.h"

#define WORD_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_!%&()-.:<>?@[]^`|~"

void
lex_init(struct lex *lx, const char *file, const char *text, size_t len)
{
	static const char bom[] = "\xef\xbb\xbf";

	*lx = (struct lex){
	    .s = text, .end = text + len, .p = text, .bol = text, .file = file, .line = 1, .fresh = true};
	if (len >= 3 && memcmp(text, bom, 3) == 0)
		lx->p = lx->bol = text + 3;
}

static struct pos
here(const struct lex *lx)
{
	return (struct pos){lx->file, lx->line, (int)(lx->p - lx->bol) + 1};
}

static void
complain(struct lex *lx, struct pos pos, const char *text)
{
	if (lx->error)
		lx->error(lx->ctx, pos, text);
}

static int
peek(const struct lex *lx, size_t ahead)
{
	return (size_t)(lx->end - lx->p) > ahead ? (unsigned char)lx->p[ahead] : -1;
}

/* Advances by one byte, and counts lines. */
static void
step(struct lex *lx)
{
	if (*lx->p++ == '\n') {
		lx->line++;
		lx->bol = lx->p;
	}
}

static bool
in_word(int ch)
{
	return ch > 0 && strchr(WORD_CHARS, ch);
}

/* Is ch one of a variable's name? */
static bool
in_name(int ch, bool first)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' ||
	       (!first && ch >= '0' && ch <= '9');
}

static int
hex_digit(int ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch |= 0x20;
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static int
octal_or_hex(struct lex *lx)
{
	int v = 0, n = 0;

	if (peek(lx, 0) == 'x') {
		step(lx);
		for (; n < 2 && hex_digit(peek(lx, 0)) >= 0; n++, step(lx))
			v = v * 16 + hex_digit(peek(lx, 0));
	} else {
		for (; n < 3 && peek(lx, 0) >= '0' && peek(lx, 0) <= '7'; n++, step(lx))
			v = v * 8 + peek(lx, 0) - '0';
	}
	return v & 0xff;
}

/* Behind a backslash: the byte that is meant, -1 for none (a continued line). */
static int
escape(struct lex *lx)
{
	static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
	int ch = peek(lx, 0);
	const char *known;

	if (ch < 0)
		return '\\';
	if (ch == 'x' || (ch >= '0' && ch <= '7'))
		return octal_or_hex(lx);
	if (ch == '\r' && peek(lx, 1) == '\n')
		step(lx);
	ch = peek(lx, 0);
	step(lx);
	if (ch == '\n')
		return -1;
	known = ch ? strchr(from, ch) : NULL;
	return known ? to[known - from] : ch;
}

/* Text of one piece.  A NUL ends it, as in jail(8); the rest is skipped. */
struct text {
	struct buf b;
	bool cut;
};

static void
text_add(struct text *t, int ch)
{
	char one = (char)ch;

	if (ch == 0)
		t->cut = true;
	if (ch >= 0 && !t->cut)
		buf_add(&t->b, &one, 1);
}

static struct token
piece(struct lex *lx, enum token_kind kind, struct text *t, struct pos pos)
{
	struct token tok = {.kind = kind, .joined = lx->instr, .first = lx->fresh, .pos = pos};

	tok.text = buf_take(&t->b);
	lx->instr = true;
	lx->fresh = false;
	return tok;
}

/* The length of "${...}" at p; 0 when a '{', a newline or (in a string) a '"' comes before the '}'. */
static size_t
braced(const struct lex *lx)
{
	for (const char *q = lx->p + 2; q < lx->end; q++) {
		if (*q == '}')
			return (size_t)(q - lx->p) + 1;
		if (*q == '\n' || *q == '{' || (lx->dq && *q == '"'))
			return 0;
		if (*q == '\\' && q + 1 < lx->end)
			q++;
	}
	return 0;
}

/* Does a variable begin at p?  False also for a '$' that is none. */
static bool
at_variable(struct lex *lx)
{
	if (peek(lx, 0) != '$')
		return false;
	if (peek(lx, 1) != '{')
		return in_name(peek(lx, 1), true);
	if (braced(lx) > 0)
		return true;
	complain(lx, here(lx), "unterminated variable: '${' without '}'");
	return false;
}

static struct token
variable(struct lex *lx)
{
	struct pos pos = here(lx);
	struct text t = {BUF_INIT, false};

	if (peek(lx, 1) == '{') {
		const char *close = lx->p + braced(lx) - 1;

		lx->p += 2;
		while (lx->p < close) {
			int ch = (unsigned char)*lx->p;

			step(lx);
			text_add(&t, ch == '\\' ? escape(lx) : ch);
		}
		lx->p++;
	} else {
		for (lx->p++; in_name(peek(lx, 0), false); lx->p++)
			text_add(&t, *lx->p);
	}
	return piece(lx, T_VAR, &t, pos);
}

/* A string that no quote closes ends with the line where it began, so that the rest can be read. */
static void
unterminated(struct lex *lx, struct pos pos, const char *start)
{
	_auto_free char *text = NULL;
	const char *eol = memchr(start, '\n', (size_t)(lx->end - start));

	if (lx->long_quote.line && lx->long_quote.line < pos.line)
		text =
		    xasprintf("unterminated string (is a quote missing? The string that begins at line %d, "
			      "column %d runs over several lines)",
			      lx->long_quote.line, lx->long_quote.col);
	complain(lx, pos, text ? text : "unterminated string");
	lx->line = pos.line;
	lx->bol = start - (pos.col - 1);
	lx->p = eol ? eol : lx->end;
	lx->dq = false;
}

static void
closed(struct lex *lx, struct pos pos)
{
	if (lx->line > pos.line)
		lx->long_quote = pos;
}

/* One byte of a quoted string, its escapes understood. */
static void
quoted_byte(struct lex *lx, struct text *t)
{
	int ch = peek(lx, 0);
	struct pos pos = here(lx);

	step(lx);
	if (ch == 0 && !t->cut)
		complain(lx, pos, "NUL byte in a string");
	text_add(t, ch == '\\' ? escape(lx) : ch);
}

static struct token
single_quoted(struct lex *lx)
{
	struct pos pos = here(lx);
	struct text t = {BUF_INIT, false};
	const char *start = lx->p++;

	while (lx->p < lx->end && *lx->p != '\'')
		quoted_byte(lx, &t);
	if (lx->p < lx->end) {
		lx->p++;
		closed(lx, pos);
	} else {
		unterminated(lx, pos, start);
	}
	return piece(lx, T_STR, &t, pos);
}

/* The next piece of a double-quoted string; false: it ended, and there was none. */
static bool
double_quoted(struct lex *lx, struct token *ret)
{
	struct pos pos = lx->dq_empty ? lx->dq_pos : here(lx);
	struct text t = {BUF_INIT, false};

	while (lx->p < lx->end && *lx->p != '"') {
		if (*lx->p == '$' && at_variable(lx)) {
			lx->dq_empty = false;
			*ret = t.b.len > 0 ? piece(lx, T_STR, &t, pos) : variable(lx);
			buf_free(&t.b);
			return true;
		}
		quoted_byte(lx, &t);
	}
	if (lx->p < lx->end) {
		lx->p++;
		lx->dq = false;
		closed(lx, lx->dq_pos);
	} else {
		unterminated(lx, lx->dq_pos, lx->dq_start);
	}
	if (t.b.len == 0 && !lx->dq_empty)
		return false;
	*ret = piece(lx, T_STR, &t, pos);
	return true;
}

static void
block_comment(struct lex *lx)
{
	struct pos pos = here(lx);

	lx->p += 2;
	while (lx->p < lx->end && !(*lx->p == '*' && peek(lx, 1) == '/'))
		step(lx);
	if (lx->p < lx->end)
		lx->p += 2;
	else
		complain(lx, pos, "unterminated comment");
}

/* Blanks and comments; either ends a string. */
static void
skip_blanks(struct lex *lx)
{
	for (;;) {
		int ch = peek(lx, 0), next = peek(lx, 1);

		if (ch == '\\' && (next == '\n' || (next == '\r' && peek(lx, 2) == '\n'))) {
			/* A continued line is nothing at all. */
			lx->p++;
			(void)escape(lx);
			continue;
		}
		if (ch == '\n')
			lx->fresh = true;
		if (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n')
			step(lx);
		else if (ch == '#' || (ch == '/' && next == '/'))
			while (lx->p < lx->end && *lx->p != '\n')
				lx->p++;
		else if (ch == '/' && next == '*')
			block_comment(lx);
		else
			return;
		lx->instr = false;
	}
}

static struct token
plain(struct lex *lx)
{
	struct pos pos = here(lx);
	struct text t = {BUF_INIT, false};
	int ch = peek(lx, 0);

	if (in_word(ch)) {
		for (; in_word(peek(lx, 0)); lx->p++)
			text_add(&t, *lx->p);
	} else {
		lx->p++;
		text_add(&t, ch == '\\' ? escape(lx) : ch);
	}
	return piece(lx, T_STR, &t, pos);
}

/* A byte that is permitted in quotes only; a run of non-ASCII ones is one token. */
static struct token
bad(struct lex *lx)
{
	struct token tok = {.kind = T_BAD, .first = lx->fresh, .pos = here(lx)};
	const char *start = lx->p++;

	while ((unsigned char)*start >= 0x80 && peek(lx, 0) >= 0x80)
		lx->p++;
	tok.text =
	    *start ? xstrndup(start, lx->p - start > 32 ? 32 : (size_t)(lx->p - start)) : xstrdup("NUL");
	lx->instr = lx->fresh = false;
	return tok;
}

struct token
lex_next(struct lex *lx)
{
	struct token tok = {.kind = T_END};
	int ch;

	if (lx->dq && double_quoted(lx, &tok))
		return tok;
	for (;;) {
		skip_blanks(lx);
		if (peek(lx, 0) != '"')
			break;
		lx->dq = lx->dq_empty = true;
		lx->dq_pos = here(lx);
		lx->dq_start = lx->p++;
		if (double_quoted(lx, &tok))
			return tok;
	}
	ch = peek(lx, 0);
	tok.pos = here(lx);
	tok.first = lx->fresh;
	if (ch < 0)
		return tok;
	if (at_variable(lx))
		return variable(lx);
	if (ch == '\'')
		return single_quoted(lx);
	if (ch == '+' && peek(lx, 1) == '=') {
		lx->p += 2;
		tok.kind = T_PLEQ;
	} else if (ch > 0 && strchr(",;={}", ch)) {
		lx->p++;
		tok.kind = T_PUNCT;
		tok.punct = (char)ch;
	} else if (ch > 0 && (in_word(ch) || strchr("$*+/\\", ch))) {
		return plain(lx);
	} else {
		return bad(lx);
	}
	lx->instr = lx->fresh = false;
	return tok;
}
