/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fstab(5) lines: six fields, the last two without meaning here; octal escapes (\040, a blank) are decoded.
 * A line with more fields is an error: fstab(5) would silently use only its first six.
 */
#include "base/name.h"
#include "conf/conf_int.h"
#include "conf/value.h"

#define FS_FIELDS 6

void
fslines_free(struct fslines *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].source);
		free(l->v[i].target);
		free(l->v[i].type);
		free(l->v[i].options);
		free(l->v[i].canon);
	}
	free(l->v);
	*l = (struct fslines){NULL, 0, 0};
}

/* Decodes vis(3)'s octal escapes, "\\" and "\s".  Anything else stays as it is, "\000", too. */
static char *
decode(const char *s)
{
	struct buf b = BUF_INIT;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7' && (s[1] != '0' || s[2] != '0' || s[3] != '0')) {
			buf_addc(&b, (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + s[3] - '0'));
			s += 4;
		} else if (s[0] == '\\' && (s[1] == '\\' || s[1] == 's')) {
			buf_addc(&b, s[1] == 's' ? ' ' : '\\');
			s += 2;
		} else {
			buf_addc(&b, *s++);
		}
	}
	return buf_take(&b);
}

static void
encode(struct buf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch <= ' ' || ch == '\\' || ch == '#' || ch == 0x7f)
			buf_addf(b, "\\%03o", ch);
		else
			buf_addc(b, *s);
	}
}

char *
fstab_print(const struct spec_mount *m)
{
	struct buf b = BUF_INIT;

	encode(&b, m->source);
	buf_addc(&b, ' ');
	encode(&b, m->target);
	buf_addc(&b, ' ');
	encode(&b, m->type);
	buf_addc(&b, ' ');
	encode(&b, m->options);
	buf_adds(&b, " 0 0");
	return buf_take(&b);
}

bool
fs_option(const char *options, const char *name, char **ret_value)
{
	for (const char *p = options; *p; p += *p == ',') {
		size_t len = strcspn(p, ","), n = strlen(name);
		bool has = len >= n && strncmp(p, name, n) == 0;

		if (has && (len == n || p[n] == '=')) {
			if (ret_value)
				*ret_value = xstrndup(p + n + (len > n), len > n ? len - n - 1 : 0);
			return true;
		}
		p += len;
	}
	return false;
}

struct fields {
	struct strv words;
	int cols[FS_FIELDS * 64]; /* of the first ones */
	size_t n;                 /* all that the line has */
};

/* Splits at blanks; a word that begins with '#' and all behind it is a comment. */
static void
split(const char *line, size_t len, int col, struct fields *f)
{
	_auto_free char *text = xstrndup(line, len);
	const char *p = text;
	char *word;

	*f = (struct fields){.words = STRV_INIT};
	while ((word = next_word(&p))) {
		if (*word == '#') {
			free(word);
			return;
		}
		if (f->n < ARRAY_LEN(f->cols)) {
			f->cols[f->n] = col + (int)(p - text - (ptrdiff_t)strlen(word));
			strv_take(&f->words, word);
		} else {
			free(word);
		}
		f->n++;
	}
}

static void
add_line(struct fslines *ret, const struct fields *f, size_t first, struct pos pos)
{
	size_t left = f->words.n - first;
	char *const *w = f->words.v + first;

	pos.col = f->cols[first];
	GROW(ret->v, ret->n, ret->cap);
	ret->v[ret->n] = (struct fsline){.pos = pos,
					 .source = decode(w[0]),
					 .target = decode(w[1]),
					 .type = decode(w[2]),
					 .options = left > 3 ? decode(w[3]) : xstrdup("rw"),
					 .seq = ret->n};
	ret->n++;
}

static void
extra_fields(struct conf *c, const char *label, const struct fields *f, struct pos pos)
{
	pos.col = f->cols[FS_FIELDS];
	if (f->n % FS_FIELDS == 0 && c->split_lines)
		conf_warn(c, label, pos, "%zu fields on one line: taken as %zu entries", f->n,
			  f->n / FS_FIELDS);
	else if (f->n % FS_FIELDS == 0)
		conf_err(c, label, pos,
			 "%zu fields on one line: these are several entries; put each of the %zu on "
			 "a line of "
			 "its own (brig convert --split reads them as they are)",
			 f->n, f->n / FS_FIELDS);
	else
		conf_err(c, label, pos, "%zu fields on one line, where an entry has %d", f->n, FS_FIELDS);
}

/* A line with extra fields is split all the same, so that what follows from it is not reported, too. */
static void
file_line(struct conf *c, const char *label, const char *line, size_t len, struct pos pos,
	  struct fslines *ret)
{
	struct fields f;

	split(line, len, 1, &f);
	if (f.n > FS_FIELDS)
		extra_fields(c, label, &f, pos);
	pos.col = 1;
	if (f.n > 0 && f.n < 3)
		conf_err(c, label, pos, "missing information: device, directory and type are needed");
	else
		for (size_t i = 0; i + 3 <= f.words.n; i += FS_FIELDS)
			add_line(ret, &f, i, pos);
	strv_free(&f.words);
}

void
fstab_text(struct conf *c, const char *label, const char *file, const char *text, size_t len,
	   struct fslines *ret)
{
	struct pos pos = {file, 1, 0};

	for (const char *p = text, *end = text + len; p < end; pos.line++) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((eol ? eol : end) - p);

		if (memchr(p, '\0', n))
			conf_err(c, label, (struct pos){file, pos.line, 1}, "NUL byte in the line");
		else
			file_line(c, label, p, n, pos, ret);
		p = eol ? eol + 1 : end;
	}
}

void
fstab_mount_value(struct conf *c, struct jail *j, const char *value, struct pos pos, struct fslines *ret)
{
	struct fields f;

	split(value, strlen(value), 0, &f);
	if (f.n > 0 && f.n < 3)
		jail_err(c, j, pos, "mount: missing information: device, directory and type are needed");
	else if (f.n > 0)
		add_line(ret, &f, 0, pos);
	if (f.n > FS_FIELDS && f.n % FS_FIELDS == 0)
		jail_err(c, j, pos, "mount: %zu fields: these are several entries, in one value", f.n);
	else if (f.n > FS_FIELDS)
		jail_warn(c, j, pos, "mount: fields behind the sixth are not used");
	if (f.n >= 3)
		ret->v[ret->n - 1].pos = pos;
	strv_free(&f.words);
}
