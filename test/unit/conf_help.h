/* SPDX-License-Identifier: BSD-2-Clause */
/* For the tests of conf/: files in memory, and what came out of them as text. */
#ifndef TEST_CONF_HELP_H
#define TEST_CONF_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fnmatch.h>

#include "base/path.h"
#include "conf/conf_int.h"

struct mem_file {
	const char *name, *text;
	size_t len; /* 0: strlen */
};
/* Files of the running test; ends with a NULL name. */
static const struct mem_file *mem_files;
/* "/from" -> "/to": mem_real gives the second for the first and what is below it. */
static const char *mem_links[4];

static int
mem_read(void *ctx, const char *path, char **ret_text, size_t *ret_len)
{
	(void)ctx;
	for (const struct mem_file *f = mem_files; f && f->name; f++) {
		size_t len = f->len ? f->len : strlen(f->text);

		if (!streq(f->name, path))
			continue;
		*ret_text = xcalloc(len + 1, 1);
		memcpy(*ret_text, f->text, len);
		*ret_len = len;
		return 0;
	}
	return -ENOENT;
}

static int
mem_glob(void *ctx, const char *pattern, struct strv *ret)
{
	(void)ctx;
	for (const struct mem_file *f = mem_files; f && f->name; f++)
		if (fnmatch(pattern, f->name, FNM_PATHNAME) == 0)
			strv_add(ret, f->name);
	strv_sort(ret);
	return 0;
}

static char *
mem_real(void *ctx, const char *path)
{
	(void)ctx;
	for (size_t i = 0; i + 1 < ARRAY_LEN(mem_links) && mem_links[i]; i += 2)
		if (path_below(path, mem_links[i]))
			return xasprintf("%s%s", mem_links[i + 1], path + strlen(mem_links[i]));
	return xstrdup(path);
}

static int
mem_resolve(void *ctx, const char *host, struct strv *ret)
{
	(void)ctx;
	if (!streq(host, "www.example.org"))
		return -ENOENT;
	strv_add(ret, "192.0.2.7");
	strv_add(ret, "2001:db8::7");
	return 0;
}

static const struct conf_input mem_input = {mem_read, mem_glob, mem_real, mem_resolve, NULL, NULL};

static inline struct conf *
load_files(const struct mem_file *files, const char *base, bool explicit_base, size_t n_read)
{
	struct conf *c = conf_new(&mem_input, base ? base : "/var/lib/brig", explicit_base);

	mem_files = files;
	for (size_t i = 0; i < n_read; i++)
		conf_read(c, files[i].name, CONF_AUTO);
	conf_finish(c);
	return c;
}

static struct mem_file mem_one[2];

static inline struct conf *
load_kind(const char *text, enum conf_kind kind)
{
	struct conf *c = conf_new(&mem_input, "/var/lib/brig", false);

	mem_one[0] = (struct mem_file){"f", text, 0};
	mem_one[1] = (struct mem_file){NULL, NULL, 0};
	mem_files = mem_one;
	conf_read(c, "f", kind);
	conf_finish(c);
	return c;
}

static inline struct conf *
load(const char *text)
{
	return load_kind(text, CONF_JAILCONF);
}

/* "LINE:COL text" of all errors (or warnings), a line each. */
static inline char *
messages_text(const struct conf *c, bool warnings, const char *without)
{
	size_t n = warnings ? conf_n_warnings(c) : conf_n_errors(c);
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		const struct conf_error *e = warnings ? conf_warning_at(c, i) : conf_error_at(c, i);

		if (without && strstr(e->text, without))
			continue;
		buf_addf(&b, "%s%d:%d %s", b.len ? "\n" : "", e->line, e->col, e->text);
	}
	return buf_take(&b);
}

static inline void
assert_errors(const struct conf *c, const char *want)
{
	_auto_free char *got = messages_text(c, false, NULL);

	assert_string_equal(got, want);
}

static inline void
assert_warnings(const struct conf *c, const char *want)
{
	_auto_free char *got = messages_text(c, true, NULL);

	assert_string_equal(got, want);
}

static inline struct jailspec *
spec_of(struct conf *c, const char *label)
{
	struct jailspec *s = NULL;
	struct err e = ERR_INIT;

	if (conf_jail(c, label, &s, &e) < 0)
		fail_msg("%s: %s", label, e.msg);
	return s;
}

/* The one error that a jail.conf text gives. */
static inline void
assert_refused(const char *text, const char *want)
{
	struct conf *c = load(text);

	assert_errors(c, want);
	conf_free(c);
}

#endif
