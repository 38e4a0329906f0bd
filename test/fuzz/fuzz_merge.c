/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge/: an input is ours, base and theirs with a line "%%" after the first and the second ("%%~": what is
 * before it has no newline at the end).  What must hold is checked; a violation aborts.
 *
 * test/unit/t_corpus.c runs it on the corpus.
 */
#include <stdint.h>

#include "merge/entry.h"

#include "../unit/merge_help.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	abort();
}

static struct text
of(const struct buf *b)
{
	return (struct text){b->s, b->len};
}

/* Up to the next line "%%", and over it. */
static struct text
part(struct text in, size_t *pos)
{
	size_t start = *pos, end = in.len;

	while (*pos < in.len) {
		size_t at = *pos;
		struct text line = take_line(in, pos);

		if (same_text(line, (struct text){"%%\n", 3})) {
			end = at;
			break;
		}
		if (same_text(line, (struct text){"%%~\n", 4})) {
			end = at > start ? at - 1 : at;
			break;
		}
	}
	return (struct text){in.s + start, end - start};
}

static enum text_result
merge(struct text o, struct text b, struct text t, int flags, struct buf *out)
{
	size_t n = 0;
	enum text_result r;

	buf_adds(out, "");
	r = text_merge(SIDES(o, b, t), flags, NULL, out, &n);
	must((r == TEXT_CONFLICT) == (n > 0), "conflicts are counted");
	return r;
}

static void
must_merge(struct text o, struct text b, struct text t, struct text want, const char *what)
{
	_auto_buf struct buf out = BUF_INIT;

	must(merge(o, b, t, 0, &out) == TEXT_CLEAN && same_text(of(&out), want), what);
}

static void
check_text(struct text o, struct text b, struct text t)
{
	_auto_buf struct buf m = BUF_INIT, r = BUF_INIT, ids = BUF_INIT;
	enum text_result one = merge(o, b, t, 0, &m), two = merge(t, b, o, 0, &r);

	must((one == TEXT_BINARY) == !(text_is_text(o) && text_is_text(b) && text_is_text(t)),
	     "text is text");
	must(one == two, "both sides are alike");
	if (one == TEXT_CLEAN)
		must(same_text(of(&m), of(&r)), "both sides give the same");
	if (one == TEXT_BINARY)
		return;
	must_merge(b, b, t, t, "merge(x, x, y) = y");
	must_merge(o, b, b, o, "merge(y, x, x) = y");
	must_merge(o, b, o, o, "merge(y, x, y) = y");
	must(merge(o, b, t, TEXT_IDS, &ids) != TEXT_BINARY, "ids are text");
	ids.len = 0;
	must(merge(b, b, t, TEXT_IDS, &ids) == TEXT_CLEAN && same_text(of(&ids), t),
	     "what ours left is theirs'");
}

static void
check_pair(struct text a, struct text b)
{
	_auto_buf struct buf two = BUF_INIT, id = BUF_INIT;
	size_t markers = 0;

	for (unsigned context = 0; context < 4; context += 3) {
		_auto_buf struct buf diff = BUF_INIT, applied = BUF_INIT;

		buf_adds(&diff, "");
		text_unified(a, b, "a", "b", context, &diff);
		must((diff.len == 0) == same_text(a, b), "no difference between equal texts only");
		if (text_is_text(a) && text_is_text(b))
			must(apply_unified(a, of(&diff), &applied) && same_text(of(&applied), b),
			     "the difference leads from one to the other");
	}
	buf_adds(&two, "");
	text_conflict2(a, b, "a", "b", &two);
	for (size_t pos = 0; pos < two.len;)
		markers += same_text(take_line(of(&two), &pos), (struct text){"<<<<<<< a\n", 10});
	if (text_is_text(a) && text_is_text(b) && !same_text(a, b))
		must(markers > 0 && text_has_markers(of(&two)), "what differs is between markers");
	if (same_text(a, b))
		must(text_same_but_ids(a, b) && text_same_but_freebsd_id(a, b), "equal is equal, ids aside");
	must(text_same_but_ids(a, b) == text_same_but_ids(b, a), "ids: both ways");
	(void)text_same_but_freebsd_id(a, b);
	if (text_replace_freebsd_id(a, b, &id))
		must(text_same_but_freebsd_id(a, of(&id)), "a replaced id is no difference");
}

static unsigned
fields(struct text line)
{
	unsigned n = 1;

	for (size_t i = 0; i < line.len; i++)
		n += line.s[i] == ':';
	return n;
}

static struct text
name(struct text line)
{
	const char *colon = memchr(line.s, ':', line.len);

	return (struct text){line.s, colon ? (size_t)(colon - line.s) : line.len};
}

/* Without its end, as entry.h has it. */
static struct text
bare(struct text line)
{
	if (line.len > 0 && line.s[line.len - 1] == '\n')
		line.len -= line.len > 1 && line.s[line.len - 2] == '\r' ? 2 : 1;
	return line;
}

static bool
blank(struct text line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.s[i] != ' ' && line.s[i] != '\t')
			return false;
	return true;
}

static bool
has_line(struct text t, struct text want, size_t from)
{
	while (from < t.len)
		if (same_text(bare(take_line(t, &from)), want))
			return true;
	return false;
}

static bool
has_name(struct text t, struct text who)
{
	for (size_t pos = 0; pos < t.len;)
		if (same_text(name(bare(take_line(t, &pos))), who))
			return true;
	return false;
}

/* An entry of shadow is one by its number of fields alone. */
static bool
has_shadow(struct text t, struct text who, size_t from)
{
	while (from < t.len) {
		struct text line = bare(take_line(t, &from));

		if (fields(line) == 9 && same_text(name(line), who))
			return true;
	}
	return false;
}

/* Every entry of the result has a name that one side has, and no line but comments is there twice. */
static void
check_names(enum entry_format f, struct text out, struct text o, struct text t)
{
	for (size_t pos = 0; pos < out.len;) {
		struct text line = bare(take_line(out, &pos));

		if (blank(line) || *line.s == '#')
			continue;
		must(has_name(o, name(line)) || has_name(t, name(line)), "a name comes from a side");
		must(!has_line(out, line, pos), "no line is there twice");
		if (f == ENTRY_SHADOW && fields(line) == 9 && *line.s != ' ' && *line.s != '\t' &&
		    *line.s != ':')
			must(!has_shadow(out, name(line), pos), "no name is there twice");
	}
}

static void
check_entry(enum entry_format f, struct text o, struct text b, struct text t)
{
	_auto_buf struct buf out = BUF_INIT, again = BUF_INIT;
	_auto_free char *why = NULL;
	enum text_result r = entry_merge(f, SIDES(o, b, t), NULL, &out, &why);

	must((r == TEXT_CONFLICT) == (why != NULL), "a conflict is explained");
	must(!why || strspn(why, " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
				 "abcdefghijklmnopqrstuvwxyz{|}~") == strlen(why),
	     "in one line of printable characters");
	if (r == TEXT_CONFLICT)
		must(text_has_markers(of(&out)), "a conflict is marked");
	if (r != TEXT_CLEAN)
		return;
	check_names(f, of(&out), o, t);
	/* what was merged is merged: nothing is left of theirs to do */
	must(entry_merge(f, SIDES(of(&out), t, t), NULL, &again, NULL) == TEXT_CLEAN &&
		 same_text(of(&again), of(&out)),
	     "a merged file stays as it is");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text in = {(const char *)data, size};
	size_t pos = 0;
	struct text o = part(in, &pos), b = part(in, &pos), t = part(in, &pos);

	check_text(o, b, t);
	check_pair(o, t);
	for (int f = ENTRY_PASSWD; f <= ENTRY_GSHADOW; f++)
		check_entry((enum entry_format)f, o, b, t);
	return 0;
}
