/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory, growing strings, lists of strings.  Running out of memory ends the program with one line and
 * exit status 1: every caller is a short-lived command.  PID 1 of a jail (init/) does not use this file.
 */
#ifndef BRIG_BASE_MEM_H
#define BRIG_BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/auto.h"

void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size); /* n * size, checked */
char *xstrdup(const char *s);
char *xstrdup_null(const char *s); /* NULL stays NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) _printf_(1, 2);
char *xvasprintf(const char *fmt, va_list ap);

/* Makes room for one more in (ptr, n, cap), all lvalues. */
#define GROW(ptr, n, cap)                                                       \
	do {                                                                    \
		if ((n) >= (cap)) {                                             \
			(cap) = (cap) ? (cap)*2 : 8;                            \
			(ptr) = xrealloc((ptr), (size_t)(cap), sizeof(*(ptr))); \
		}                                                               \
	} while (0)

/* A string that grows.  s is never NULL after buf_add*; s[len] is always '\0'. */
struct buf {
	char *s;
	size_t len, cap;
};
#define BUF_INIT           \
	{                  \
		NULL, 0, 0 \
	}
#define _auto_buf _auto_(buf_free)
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
char *buf_take(struct buf *b); /* the caller frees; b is empty again */
void buf_free(struct buf *b);

/* A list of strings, always followed by NULL so that v can be an argv. */
struct strv {
	char **v;
	size_t n, cap;
};
#define STRV_INIT          \
	{                  \
		NULL, 0, 0 \
	}
#define _auto_strv _auto_(strv_free)
void strv_add(struct strv *sv, const char *s);
void strv_take(struct strv *sv, char *s); /* s belongs to the list from now on */
void strv_addf(struct strv *sv, const char *fmt, ...) _printf_(2, 3);
void strv_copy(struct strv *dst, const struct strv *src); /* appends */
bool strv_has(const struct strv *sv, const char *s);
char *strv_join(const struct strv *sv, const char *sep);
void strv_sort(struct strv *sv); /* by strcmp */
void strv_free(struct strv *sv);

static inline bool
streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* The rest of s after prefix, or NULL. */
static inline const char *
str_after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

#endif
