/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of merge/ share: t_merge_text.c, fuzz_merge.c, mergediff.c. */
#ifndef BRIG_TEST_MERGE_HELP_H
#define BRIG_TEST_MERGE_HELP_H

#include "merge/text.h"

#define SIDES(ours, base, theirs) (&(struct text_sides){ours, base, theirs})

/* The next line of t from *pos with its newline; empty at the end. */
static inline struct text
take_line(struct text t, size_t *pos)
{
	const char *nl = *pos < t.len ? memchr(t.s + *pos, '\n', t.len - *pos) : NULL;
	struct text line = {t.s + *pos, nl ? (size_t)(nl + 1 - (t.s + *pos)) : t.len - *pos};

	*pos += line.len;
	return line;
}

static inline bool
same_text(struct text a, struct text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

/* Applies a unified difference strictly, as patch(1) does without fuzz: every line that it shows must be
 * there.  Line numbers must be right, too. */
static inline bool
apply_unified(struct text from, struct text diff, struct buf *out)
{
	size_t pos = 0, at = 0, line_no = 0;

	buf_adds(out, "");
	(void)take_line(diff, &at);
	(void)take_line(diff, &at);
	while (at < diff.len) {
		struct text line = take_line(diff, &at), was;
		size_t next_at = at;
		struct text next = take_line(diff, &next_at);
		unsigned start, n = 1;

		if (line.len > 4 && memcmp(line.s, "@@ -", 4) == 0) {
			if (sscanf(line.s, "@@ -%u,%u", &start, &n) < 1)
				return false;
			for (; line_no + (n > 0) < start && pos < from.len; line_no++) {
				was = take_line(from, &pos);
				buf_add(out, was.s, was.len);
			}
			if (line_no + (n > 0) != start)
				return false;
			continue;
		}
		if (next.len > 1 && *next.s == '\\') { /* no newline at the end of this one */
			at = next_at;
			line.len--;
		}
		if (*line.s != '+') {
			was = take_line(from, &pos);
			line_no++;
			if (!same_text(was, (struct text){line.s + 1, line.len - 1}))
				return false;
		}
		if (*line.s != '-')
			buf_add(out, line.s + 1, line.len - 1);
	}
	if (pos < from.len)
		buf_add(out, from.s + pos, from.len - pos);
	return true;
}

#endif
