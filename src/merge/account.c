/* SPDX-License-Identifier: BSD-2-Clause */
#include "merge/account.h"

#include "base/num.h"

const struct format account_formats[] = {
    [ENTRY_PASSWD] =
	{
	    .path = "etc/passwd",
	    .who = "user",
	    .id_word = "uid",
	    .n = 7,
	    .id = 2,
	    .gid = 3,
	    .field = {"name", "password", "uid", "gid", "full name", "home directory", "shell"},
	},
    [ENTRY_MASTER_PASSWD] =
	{
	    .path = "etc/master.passwd",
	    .who = "user",
	    .id_word = "uid",
	    .n = 10,
	    .id = 2,
	    .gid = 3,
	    .field = {"name", "password", "uid", "gid", "class", "change time", "expiry", "full name",
		      "home directory", "shell"},
	},
    [ENTRY_GROUP] =
	{
	    .path = "etc/group",
	    .who = "group",
	    .id_word = "gid",
	    .n = 4,
	    .id = 2,
	    .lists = 1 << 3,
	    .field = {"name", "password", "gid", "members"},
	},
    [ENTRY_SHADOW] =
	{
	    .path = "etc/shadow",
	    .who = "user",
	    .n = 9,
	    .date = 2,
	    .field = {"name", "password", "date of the password", "minimum age", "maximum age",
		      "warning period", "inactivity period", "expiry", "reserved field"},
	},
    [ENTRY_GSHADOW] =
	{
	    .path = "etc/gshadow",
	    .who = "group",
	    .n = 4,
	    .lists = 1 << 2 | 1 << 3,
	    .field = {"name", "password", "administrators", "members"},
	},
};

enum entry_format
entry_format_of(const char *path)
{
	for (size_t i = ENTRY_PASSWD; i < ARRAY_LEN(account_formats); i++)
		if (streq(account_formats[i].path, path))
			return (enum entry_format)i;
	return ENTRY_NONE;
}

static uint32_t
parse_id(struct text t)
{
	char s[16];
	uint64_t id;

	if (t.len == 0 || t.len >= sizeof(s))
		return NONE;
	memcpy(s, t.s, t.len);
	s[t.len] = '\0';
	return num_u64(s, ID_MAX, &id) < 0 ? NONE : (uint32_t)id;
}

unsigned
account_split(const struct line *l, struct text *f, unsigned max)
{
	const char *p = l->s, *end = l->s + l->len;

	for (unsigned n = 0;; n++) {
		const char *colon = memchr(p, ':', (size_t)(end - p));

		if (n < max)
			f[n] = (struct text){p, (size_t)((colon ? colon : end) - p)};
		if (!colon)
			return n + 1;
		p = colon + 1;
	}
}

bool
text_equal(struct text a, struct text b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static bool
blank(char c)
{
	return c == ' ' || c == '\t';
}

void
account_classify(struct line *l, const struct format *f)
{
	struct text field[FIELDS_MAX];
	unsigned n;
	bool good;

	l->id = l->account = NONE;
	l->type = LINE_OTHER;
	while (l->name < l->len && blank(l->s[l->name]))
		l->name++;
	if (l->name == l->len || *l->s == '#')
		return;
	n = account_split(l, field, FIELDS_MAX);
	l->name = l->name < field->len ? l->name : (uint32_t)field->len;
	l->name_len = (uint32_t)field->len - l->name;
	l->type = LINE_NIS;
	if (*l->s == '+' || *l->s == '-')
		return;
	if (f->id && n > f->id)
		l->id = parse_id(field[f->id]);
	good = n == f->n && l->name == 0 && l->name_len > 0 && (!f->id || l->id != NONE) &&
	       (!f->gid || parse_id(field[f->gid]) != NONE);
	l->type = good ? LINE_ENTRY : LINE_BAD;
}

void
account_read(struct file *file, struct text t, const struct format *f)
{
	const char *end = t.s + t.len;
	size_t cap = 0, n = 0;

	for (const char *p = t.s; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		struct line *l;

		GROW(file->v, n, cap);
		l = &file->v[n++];
		*l = (struct line){.s = p, .len = (uint32_t)((nl ? nl : end) - p), .eol = nl != NULL};
		p += l->len + l->eol;
		if (nl && l->len > 0 && nl[-1] == '\r') {
			l->len--;
			l->eol++;
		}
		account_classify(l, f);
	}
	file->n = (uint32_t)n;
}

int
text_compare(struct text a, struct text b)
{
	int r = memcmp(a.s, b.s, a.len < b.len ? a.len : b.len);

	return r ? r : (a.len > b.len) - (a.len < b.len);
}
