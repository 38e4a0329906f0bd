/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tokens of jail.conf(5).  A string is one token or several: words, quoted parts, escapes and variables that
 * follow each other without a blank are `joined`.  struct lex owns no memory: a copy of it is a position to
 * come back to.
 */
#ifndef BRIG_CONF_LEX_H
#define BRIG_CONF_LEX_H

#include "conf/conf_int.h"

enum token_kind { T_END, T_STR, T_VAR, T_PLEQ, T_PUNCT, T_BAD };
struct token {
	enum token_kind kind;
	char punct;         /* T_PUNCT: one of , ; = { } */
	bool joined, first; /* first: of its line */
	char *text;         /* T_STR, T_VAR; T_BAD: the bytes.  Owned */
	struct pos pos;
};

struct lex {
	const char *s, *end, *p, *bol;
	const char *file;
	int line;
	bool instr, dq, dq_empty, fresh;
	const char *dq_start; /* where the string began, for "unterminated" */
	struct pos dq_pos;
	struct pos long_quote; /* the last string that ran over a line end */
	void (*error)(void *ctx, struct pos pos, const char *text);
	void *ctx;
};

void lex_init(struct lex *lx, const char *file, const char *text, size_t len);
struct token lex_next(struct lex *lx);

#endif
