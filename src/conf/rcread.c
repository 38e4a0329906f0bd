/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rc.conf(5): the assignments of a sh(1) text, and nothing else.
 *
 * Several may stand on a line; quotes, backslashes, comments, continued lines and $name of what the same file
 * has set before are understood as sh(1) does.  Nothing is ever executed: a command, a substitution or a
 * condition is an error where a jail_ variable is concerned, and otherwise only makes the variable unknown.
 */
#include "base/name.h"
#include "conf/conf_int.h"

struct sh {
	struct conf *c;
	const char *file, *p, *end, *bol;
	int line;
	int depth;     /* of if, for, case, { ... */
	bool exports;  /* this command is `export`: names without a value are harmless */
	int taint;     /* the last line with an operator (&&, |, ...) */
	size_t n_done; /* variables of finished commands; behind them those of this one */
};

struct word {
	struct buf b;
	struct shplace *at;
	size_t n_at, cap_at;
	bool keep_at, unknown;
	const char *fault; /* first thing that cannot be read */
	struct pos fault_pos;
};

static struct pos
here(const struct sh *sh)
{
	return (struct pos){sh->file, sh->line, (int)(sh->p - sh->bol) + 1};
}

static int
peek(const struct sh *sh, size_t ahead)
{
	return (size_t)(sh->end - sh->p) > ahead ? (unsigned char)sh->p[ahead] : -1;
}

static void
step(struct sh *sh)
{
	if (*sh->p++ == '\n') {
		sh->line++;
		sh->bol = sh->p;
	}
}

static bool
name_char(int ch, bool first)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' ||
	       (!first && ch >= '0' && ch <= '9');
}

static bool
is_jail_name(const char *name)
{
	return str_after(name, "jail_") != NULL;
}

static void
word_add(struct word *w, struct pos pos, int ch)
{
	buf_addc(&w->b, (char)ch);
	if (!w->keep_at)
		return;
	GROW(w->at, w->n_at, w->cap_at);
	w->at[w->n_at++] = (struct shplace){pos.line, pos.col};
}

static void
word_fault(struct word *w, struct pos pos, const char *text)
{
	w->unknown = true;
	if (w->fault)
		return;
	w->fault = text;
	w->fault_pos = pos;
}

static void
word_free(struct word *w)
{
	buf_free(&w->b);
	free(w->at);
}

/* --- $ and ` --- */

static const struct shvar *
find_var(const struct sh *sh, const char *name, size_t len)
{
	for (size_t i = sh->c->rc.n; i > 0; i--) {
		const struct shvar *v = &sh->c->rc.v[i - 1];

		if (v->pos.file == sh->file && strlen(v->name) == len && memcmp(v->name, name, len) == 0)
			return v;
	}
	return NULL;
}

/* Skips to behind the closing bracket; quotes have no meaning inside. */
static void
skip_nested(struct sh *sh, char open, char close)
{
	size_t depth = 0;

	while (sh->p < sh->end) {
		char ch = *sh->p;

		if (ch == '\\' && peek(sh, 1) >= 0)
			step(sh);
		else if (ch == open)
			depth++;
		else if (ch == close && depth-- <= 1) {
			step(sh);
			return;
		}
		step(sh);
	}
}

static void
substitute(struct word *w, const struct shvar *v, struct pos pos)
{
	if (!v)
		word_fault(w, pos, "the variable is not set before in this file");
	else if (v->unknown)
		word_fault(w, pos, "the variable's value comes from something that is not executed");
	else if (w->b.len + strlen(v->value) > CONF_VALUE_MAX)
		word_fault(w, pos, "the value is too long");
	else
		for (const char *s = v->value; *s; s++)
			word_add(w, pos, *s);
}

static void
dollar(struct sh *sh, struct word *w)
{
	struct pos pos = here(sh);
	bool braces = peek(sh, 1) == '{';
	const char *name = sh->p + 1 + braces;
	size_t len = 0;

	if (peek(sh, 1) == '(') {
		word_fault(w, pos, "commands are not executed: write the value itself");
		step(sh);
		skip_nested(sh, '(', ')');
		return;
	}
	while (name_char(peek(sh, 1 + braces + len), len == 0))
		len++;
	if (len > 0 && (!braces || peek(sh, 2 + len) == '}')) {
		sh->p += 1 + len + 2 * (size_t)braces;
		substitute(w, find_var(sh, name, len), pos);
		return;
	}
	step(sh);
	if (braces) {
		word_fault(w, pos, "only ${name} is understood here");
		skip_nested(sh, '{', '}');
	} else if (peek(sh, 0) > 0 && strchr("0123456789@*#?-$!", peek(sh, 0))) {
		word_fault(w, pos, "only $name is understood here");
		step(sh);
	} else {
		word_add(w, pos, '$');
	}
}

static void
backquote(struct sh *sh, struct word *w)
{
	word_fault(w, here(sh), "commands are not executed: write the value itself");
	for (step(sh); sh->p < sh->end && *sh->p != '`'; step(sh))
		if (*sh->p == '\\' && peek(sh, 1) >= 0)
			step(sh);
	if (sh->p < sh->end)
		step(sh);
}

/* --- words --- */

/* A quote that nothing closes ends with its line. */
static void
unclosed(struct sh *sh, struct pos pos, const char *start)
{
	const char *eol = memchr(start, '\n', (size_t)(sh->end - start));

	conf_err(sh->c, NULL, pos, "unterminated string");
	sh->line = pos.line;
	sh->bol = start - (pos.col - 1);
	sh->p = eol ? eol : sh->end;
}

static void
single_quoted(struct sh *sh, struct word *w)
{
	struct pos pos = here(sh);
	const char *start = sh->p++;

	while (sh->p < sh->end && *sh->p != '\'') {
		word_add(w, here(sh), *sh->p);
		step(sh);
	}
	if (sh->p < sh->end)
		sh->p++;
	else
		unclosed(sh, pos, start);
}

static void
double_quoted(struct sh *sh, struct word *w)
{
	struct pos pos = here(sh);
	const char *start = sh->p++;

	while (sh->p < sh->end && *sh->p != '"') {
		int next = peek(sh, 1);

		if (*sh->p == '$') {
			dollar(sh, w);
			continue;
		}
		if (*sh->p == '`') {
			backquote(sh, w);
			continue;
		}
		if (*sh->p == '\\' && next > 0 && strchr("$`\"\\\n", next)) {
			sh->p++;
			if (next != '\n')
				word_add(w, here(sh), next);
		} else {
			word_add(w, here(sh), *sh->p);
		}
		step(sh);
	}
	if (sh->p < sh->end)
		sh->p++;
	else
		unclosed(sh, pos, start);
}

static bool
ends_word(int ch)
{
	return ch < 0 || ch == 0 || strchr(" \t\r\n;&|()", ch);
}

static void
read_word(struct sh *sh, struct word *w)
{
	while (!ends_word(peek(sh, 0))) {
		int ch = peek(sh, 0);

		if (ch == '\'') {
			single_quoted(sh, w);
		} else if (ch == '"') {
			double_quoted(sh, w);
		} else if (ch == '$') {
			dollar(sh, w);
		} else if (ch == '`') {
			backquote(sh, w);
		} else {
			if (ch == '\\' && peek(sh, 1) >= 0)
				sh->p++;
			if (ch != '\\' || *sh->p != '\n')
				word_add(w, here(sh), *sh->p);
			step(sh);
		}
	}
}

/* --- commands --- */

/* The length of "NAME=" at p, 0 when no assignment begins here. */
static size_t
assignment(const struct sh *sh)
{
	size_t n = 0;

	while (name_char(peek(sh, n), n == 0))
		n++;
	return n > 0 && peek(sh, n) == '=' ? n + 1 : 0;
}

static void
read_assignment(struct sh *sh, size_t len)
{
	struct shvars *l = &sh->c->rc;
	_auto_free char *name = xstrndup(sh->p, len - 1);
	struct word w = {.b = BUF_INIT, .keep_at = streq(name, "jail_list")};
	struct pos pos;

	sh->p += len;
	pos = here(sh);
	read_word(sh, &w);
	if (w.fault && is_jail_name(name))
		conf_err(sh->c, NULL, w.fault_pos, "%s: %s", name, w.fault);
	GROW(l->v, l->n, l->cap);
	l->v[l->n] = (struct shvar){.name = TAKE_PTR(name),
				    .value = buf_take(&w.b),
				    .at = TAKE_PTR(w.at),
				    .pos = pos,
				    .seq = l->n,
				    .unknown = w.unknown};
	l->n++;
	word_free(&w);
}

static bool
one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (streq(word, *list))
			return true;
	return false;
}

/* The end of a command.  why not NULL: the values of its assignments are not known, since it is not
 * executed. */
static void
finish_command(struct sh *sh, const char *why)
{
	struct shvars *l = &sh->c->rc;

	for (size_t i = sh->n_done; i < l->n && why; i++) {
		struct shvar *v = &l->v[i];

		if (is_jail_name(v->name) && !v->unknown)
			conf_err(sh->c, NULL, v->pos, "%s: %s", v->name, why);
		v->unknown = true;
	}
	sh->n_done = l->n;
}

static void
strange_command(struct sh *sh, struct pos pos, const char *word)
{
	_auto_free char *shown = text_printable(word, 40);
	size_t n = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

	if (is_jail_name(word) && streq(word + n, "+="))
		conf_err(sh->c, NULL, pos, "'%s': '+=' is not sh: write the whole value", shown);
	else if (is_jail_name(word) && str_after(word + n, "+="))
		conf_err(sh->c, NULL, pos, "'%s': '+=' is not sh: write the whole value", shown);
	else if (is_jail_name(word) && !word[n])
		conf_err(sh->c, NULL, pos, "'%s' is not an assignment (no blank may stand before '=')",
			 shown);
	else if (sh->depth == 0)
		conf_warn(sh->c, NULL, pos, "'%s' is a command: nothing is executed, only assignments count",
			  shown);
}

/* The first word of a command.  *ret_go_on: the next word is a first one again. */
static const char *
first_word(struct sh *sh, struct pos pos, const char *word, bool *ret_go_on)
{
	static const char *const opens[] = {"if", "for", "while", "until", "case", "{", NULL};
	static const char *const closes[] = {"fi", "done", "esac", "}", NULL};
	static const char *const middle[] = {"then", "else", "elif", "do", "!", NULL};
	static const char *const exports[] = {"export", "readonly", NULL};

	*ret_go_on = one_of(word, middle) || one_of(word, exports) || sh->exports;
	sh->exports |= one_of(word, exports);
	if (*ret_go_on)
		return NULL;
	if (one_of(word, closes)) {
		sh->depth -= sh->depth > 0;
		return "a condition is not executed";
	}
	strange_command(sh, pos, word);
	if (one_of(word, opens)) {
		sh->depth++;
		*ret_go_on = !streq(word, "for") && !streq(word, "case");
		return "it is in a condition or function, which is not executed";
	}
	return "it is in front of a command, which is not executed";
}

static void
operator_at(struct sh *sh)
{
	struct pos pos = here(sh);

	if (sh->depth == 0 && sh->taint != sh->line)
		conf_warn(sh->c, NULL, pos, "'%c': nothing is executed, only assignments count", *sh->p);
	sh->taint = sh->line;
	sh->p++;
}

static void
read_command(struct sh *sh)
{
	const char *why =
	    sh->depth > 0 ? "it is in a condition or function, which is not executed" : NULL;
	bool first = true;

	sh->exports = false;
	for (;;) {
		struct word w = {.b = BUF_INIT};
		struct pos pos;
		size_t len;

		while (peek(sh, 0) == ' ' || peek(sh, 0) == '\t' || peek(sh, 0) == '\r' ||
		       (peek(sh, 0) == '\\' && peek(sh, 1) == '\n')) {
			if (*sh->p == '\\')
				step(sh);
			step(sh);
		}
		if (ends_word(peek(sh, 0)) || *sh->p == '#')
			break;
		pos = here(sh);
		len = first && sh->c->rc.n < CONF_SHVARS_MAX ? assignment(sh) : 0;
		if (len > 0) {
			read_assignment(sh, len);
			continue;
		}
		read_word(sh, &w);
		if (first) {
			const char *reason = first_word(sh, pos, w.b.s ? w.b.s : "", &first);

			why = why ? why : reason;
		}
		word_free(&w);
	}
	if (peek(sh, 0) > 0 && strchr("&|()", *sh->p))
		operator_at(sh);
	finish_command(sh, sh->taint == sh->line && !why ? "there is an operator on its line" : why);
}

void
rc_text(struct conf *c, const char *file, const char *text, size_t len)
{
	struct sh sh = {
	    .c = c, .file = file, .p = text, .end = text + len, .bol = text, .line = 1, .n_done = c->rc.n};

	while (sh.p < sh.end) {
		int ch = peek(&sh, 0);

		if (c->rc.n >= CONF_SHVARS_MAX) {
			conf_err(c, NULL, here(&sh), "more than %d assignments", CONF_SHVARS_MAX);
			return;
		}
		if (ch == '#') {
			while (sh.p < sh.end && *sh.p != '\n')
				sh.p++;
		} else if (ch == 0) {
			conf_err(c, NULL, here(&sh), "NUL byte in the file");
			sh.p++;
		} else if (ch == '\n' || ch == ';' || ch == ' ' || ch == '\t' || ch == '\r') {
			step(&sh);
		} else {
			read_command(&sh);
		}
	}
}
