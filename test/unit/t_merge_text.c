/* SPDX-License-Identifier: BSD-2-Clause */
/* merge/text.h.  In the tables a text is its lines with blanks between; a '~' at the end: no newline there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "merge/text.h"

#include "merge_help.h"

static struct text
raw(const char *s)
{
	return (struct text){s, strlen(s)};
}

static struct text
of(const struct buf *b)
{
	return (struct text){b->s, b->len};
}

/* "a b c" -> "a\nb\nc\n"; "_" is a blank line. */
static void
lines(struct buf *b, const char *words)
{
	*b = (struct buf)BUF_INIT;
	buf_adds(b, "");
	for (const char *p = words; *p && *p != '~';) {
		size_t n = strcspn(p, " ~");

		if (*p != '_')
			buf_add(b, p, n);
		p += n;
		if (*p != '~')
			buf_addc(b, '\n');
		p += strspn(p, " ");
	}
}

struct merge_case {
	const char *what, *base, *ours, *theirs;
	const char *want; /* NULL: conflicts */
};

static const struct merge_case clean_cases[] = {
    {"nothing is changed", "a b c", "a b c", "a b c", "a b c"},
    {"all are empty", "", "", "", ""},
    {"ours is changed", "a b c", "a X c", "a b c", "a X c"},
    {"theirs is changed", "a b c", "a b c", "a X c", "a X c"},
    {"both changed different lines", "a b c d e", "a X c d e", "a b c Y e", "a X c Y e"},
    {"one unchanged line between is enough", "a b c", "X b c", "a b Y", "X b Y"},
    {"both made the same change", "a b c", "a X c", "a X c", "a X c"},
    {"both made the same change, and others", "a b c d e", "A b X d e", "a b X d E", "A b X d E"},
    {"both removed the same line", "a b c", "a c", "a c", "a c"},
    {"both removed all", "a b c", "", "", ""},
    {"both added the same file", "", "a b", "a b", "a b"},
    {"ours inserts at the top, theirs at the end", "a b", "X a b", "a b Y", "X a b Y"},
    {"ours removes, theirs inserts elsewhere", "a b c d", "b c d", "a b c Y d", "b c Y d"},
    {"theirs removes all of an unchanged file", "a b", "a b", "", ""},
    {"ours moved a block, theirs changed another line", "a b c d e f g", "c d a b e f g", "a b c d e f G",
     "c d a b e f G"},
    {"repeated lines: an insertion goes down as far as it can", "f { } _ g { }", "f { } _ h { } _ g { }",
     "F { } _ g { }", "F { } _ h { } _ g { }"},
    {"ours lost the last newline", "a b c d e", "a b c d e~", "A b c d e", "A b c d e~"},
    {"theirs lost the last newline", "a b c d e", "A b c d e", "a b c d e~", "A b c d e~"},
    {"none had it", "a b c~", "A b c~", "a b c~", "A b c~"},
    {"ours adds lines behind it", "a b c~", "a b c d", "A b c~", "A b c d"},
    {"carriage returns are part of a line", "a\r b\r c\r", "A\r b\r c\r", "a\r b\r C\r", "A\r b\r C\r"},
};

static const struct merge_case conflict_cases[] = {
    {"one line, two ways", "a b c", "a X c", "a Y c", NULL},
    {"neighbouring lines", "a b c d", "a X c d", "a b Y d", NULL},
    {"two insertions at one place", "a b", "a X b", "a Y b", NULL},
    {"an insertion beside a change", "a b c", "a X b c", "a B c", NULL},
    {"an insertion where the other removed", "a b c", "a X b c", "a c", NULL},
    {"changed here, removed there", "a b c", "a X c", "a c", NULL},
    {"both added a file", "", "a", "b", NULL},
    {"all replaced, two ways", "a b c", "x", "y z", NULL},
    {"one side's line is longer", "a b c", "a X Y c", "a X c", NULL},
    {"the last newline, two ways", "a b~", "a b", "a c~", NULL},
};

static enum text_result
merge(const struct merge_case *c, bool swapped, struct buf *out, size_t *n)
{
	_auto_buf struct buf o, b, t;

	lines(&b, c->base);
	lines(&o, swapped ? c->theirs : c->ours);
	lines(&t, swapped ? c->ours : c->theirs);
	buf_adds(out, "");
	return text_merge(SIDES(of(&o), of(&b), of(&t)), 0, NULL, out, n);
}

static void
clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(clean_cases); i++) {
		for (int swapped = 0; swapped < 2; swapped++) {
			const struct merge_case *c = &clean_cases[i];
			_auto_buf struct buf got = BUF_INIT, want;
			size_t n = 77;

			lines(&want, c->want);
			if (merge(c, swapped, &got, &n) != TEXT_CLEAN || n != 77 ||
			    !same_text(of(&got), of(&want)))
				fail_msg("%s: got\n%s", c->what, got.s);
		}
	}
}

static void
conflicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(conflict_cases); i++) {
		for (int swapped = 0; swapped < 2; swapped++) {
			_auto_buf struct buf got = BUF_INIT;
			size_t n = 0;

			if (merge(&conflict_cases[i], swapped, &got, &n) != TEXT_CONFLICT || n != 1)
				fail_msg("%s: %zu conflicts\n%s", conflict_cases[i].what, n, got.s);
		}
	}
}

static void
markers(void **state)
{
	static const struct text_labels labels = {"www", NULL, "mroot 20060601"};
	_auto_buf struct buf out = BUF_INIT;
	size_t n = 0;

	(void)state;
	/* the block is the whole of what overlaps, and what is outside is merged */
	buf_adds(&out, "kept: ");
	assert_int_equal(text_merge(SIDES(raw("A\nb\nX\nY\ne\nf\ng\n"), raw("a\nb\nc\nd\ne\nf\ng\n"),
					  raw("a\nb\nc\nZ\ne\nf\nG")),
				    0, NULL, &out, &n),
			 TEXT_CONFLICT);
	assert_int_equal(n, 1);
	assert_string_equal(out.s, "kept: A\nb\n<<<<<<< yours\nX\nY\n||||||| original\nc\nd\n=======\nc\nZ\n"
				   ">>>>>>> new\ne\nf\nG");
	/* a marker begins a line, whatever is before it; an absent part is no line */
	buf_free(&out);
	assert_int_equal(text_merge(SIDES(raw("a"), raw(""), raw("b")), 0, &labels, &out, &n), TEXT_CONFLICT);
	assert_string_equal(out.s, "<<<<<<< www\na\n||||||| original\n=======\nb\n>>>>>>> mroot 20060601\n");
	buf_free(&out);
	assert_int_equal(
	    text_merge(SIDES(raw("1\n2\nx\n"), raw("a\n2\nb\n"), raw("3\n2\ny\n")), 0, NULL, &out, &n),
	    TEXT_CONFLICT);
	assert_int_equal(n, 2);
	assert_string_equal(out.s, "<<<<<<< yours\n1\n||||||| original\na\n=======\n3\n>>>>>>> new\n2\n"
				   "<<<<<<< yours\nx\n||||||| original\nb\n=======\ny\n>>>>>>> new\n");
}

static void
not_text(void **state)
{
	static const char nul[] = "a\0b\n";
	_auto_free char *big = xcalloc(TEXT_MAX + 1, 1);
	struct text bin = {nul, 4}, large = {big, TEXT_MAX + 1}, ok = raw("a\n");
	_auto_buf struct buf out = BUF_INIT;

	(void)state;
	memset(big, '\n', TEXT_MAX + 1);
	assert_true(text_is_text((struct text){NULL, 0}));
	assert_true(text_is_text((struct text){big, TEXT_MAX}));
	assert_false(text_is_text(large));
	assert_false(text_is_text(bin));
	for (int i = 0; i < 6; i++) {
		struct text t[3] = {ok, ok, ok};

		t[i % 3] = i < 3 ? bin : large;
		assert_int_equal(text_merge(SIDES(t[0], t[1], t[2]), 0, NULL, &out, NULL), TEXT_BINARY);
	}
	text_conflict2(bin, ok, "a", "b", &out);
	assert_null(out.s);
	text_unified(ok, bin, "x", "y", 3, &out);
	assert_string_equal(out.s, "Binary files x and y differ\n");
	assert_false(text_same_but_ids(ok, bin));
	assert_false(text_same_but_freebsd_id(bin, ok));
	assert_true(text_same_but_ids(bin, bin));
}

struct id_case {
	const char *what, *base, *ours, *theirs, *want;
};
#define OLD "# $FreeBSD: head/etc/rc 1 2019-01-01 $\n"
#define NEW "# $FreeBSD: head/etc/rc 2 2020-01-01 $\n"
static const struct id_case id_cases[] = {
    {"theirs' id comes beside our change", OLD "a\n", OLD "b\n", NEW "a\n", NEW "b\n"},
    {"an id that ours has otherwise", OLD "a\n", "# $FreeBSD$\nb\n", NEW "a\n", NEW "b\n"},
    {"only ours has another id: theirs' counts", OLD "a\nb\n", "# $FreeBSD$\na\nb\n", OLD "a\nB\n",
     OLD "a\nB\n"},
    {"all keywords",
     "$Id: a $\n$NetBSD: a $\n$OpenBSD: a $\n$Header: a $\n$Revision: 1 $\n$Date: a $\n$Author: a $\n"
     "$Source: a $\nx\n",
     "$Id: b $\n$NetBSD: b $\n$OpenBSD: b $\n$Header: b $\n$Revision: 2 $\n$Date: b $\n$Author: b $\n"
     "$Source: b $\ny\n",
     "$Id$\n$NetBSD$\n$OpenBSD$\n$Header$\n$Revision$\n$Date$\n$Author$\n$Source$\nx\n",
     "$Id$\n$NetBSD$\n$OpenBSD$\n$Header$\n$Revision$\n$Date$\n$Author$\n$Source$\ny\n"},
    {"a line that ours removed stays removed", OLD "a\nb\n", "a\nb\n", NEW "a\nb\n", "a\nb\n"},
    {"a line that theirs removed goes", OLD "a\nb\n", "# $FreeBSD$\na\nB\n", "a\nb\n", "a\nB\n"},
    {"the rest of the line counts", "x # $Id: 1 $\na\nb\n", "y # $Id: 1 $\na\nb\n", "x # $Id: 2 $\na\nb\n",
     "y # $Id: 1 $\na\nb\n"},
    {"both made the same change, ids aside", "x $Id: 1 $\n", "y $Id: 2 $\n", "y $Id: 3 $\n", "y $Id: 3 $\n"},
    {"shell variables are not ids", "A=$Source:a:$HOME\n", "A=$Source:b:$HOME\n", "A=$Source:a:$HOME\n",
     "A=$Source:b:$HOME\n"},
    {"nor is a name that only begins like one", "$Idle: a $\n", "$Idle: b $\n", "$Idle: a $\n",
     "$Idle: b $\n"},
};

static void
ids(void **state)
{
	_auto_buf struct buf out = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(id_cases); i++) {
		const struct id_case *c = &id_cases[i];

		out.len = 0;
		if (text_merge(SIDES(raw(c->ours), raw(c->base), raw(c->theirs)), TEXT_IDS, NULL, &out,
			       NULL) != TEXT_CLEAN ||
		    !same_text(of(&out), raw(c->want)))
			fail_msg("%s: got\n%s", c->what, out.s);
	}
	/* without the flag they are changes like others */
	assert_int_equal(text_merge(SIDES(raw("# $FreeBSD$\n"), raw(OLD), raw(NEW)), 0, NULL, &out, NULL),
			 TEXT_CONFLICT);
}

static void
same_but(void **state)
{
	(void)state;
	assert_true(text_same_but_ids(raw(OLD "a\n$Id$ x\n"), raw(NEW "a\n$Id: 7 $ x\n")));
	assert_false(text_same_but_ids(raw(OLD "a\n"), raw(NEW "b\n")));
	assert_false(text_same_but_ids(raw(OLD "a\n"), raw("a\n")));
	assert_false(text_same_but_ids(raw("$Id: 1 $ x\n"), raw("$Id: 2 $ y\n")));
	assert_true(text_same_but_ids(raw(""), raw("")));
	/* diff -I: whole lines, in groups; one more of them is none */
	assert_true(text_same_but_freebsd_id(raw(OLD "a\n"), raw(NEW "a\n")));
	assert_true(text_same_but_freebsd_id(raw(OLD "a\n"), raw("a\n")));
	assert_true(text_same_but_freebsd_id(raw("x $FreeBSD$\na\n"), raw("y $FreeBSD$\na\n")));
	assert_false(text_same_but_freebsd_id(raw(OLD "a\nb\n"), raw(NEW "A\nb\n")));
	assert_false(text_same_but_freebsd_id(raw("$Id: 1 $\n"), raw("$Id: 2 $\n")));
	assert_false(text_same_but_freebsd_id(raw("$FreeBSD\n"), raw("$FreeBSD \n")));
}

static void
replace_id(void **state)
{
	_auto_buf struct buf out = BUF_INIT;

	(void)state;
	assert_true(text_replace_freebsd_id(raw("a\n" OLD "b\n"), raw(NEW "c\n"), &out));
	assert_string_equal(out.s, "a\n" NEW "b\n");
	assert_false(text_replace_freebsd_id(raw(NEW "a\n"), raw(NEW), &out));
	assert_false(text_replace_freebsd_id(raw("a\n"), raw(NEW), &out));
	assert_false(text_replace_freebsd_id(raw(OLD), raw("a\n"), &out));
	assert_false(text_replace_freebsd_id(raw(OLD OLD), raw(NEW), &out));
	assert_false(text_replace_freebsd_id(raw(OLD), raw(NEW OLD), &out));
	assert_string_equal(out.s, "a\n" NEW "b\n");
	/* the end of the line is ours' */
	buf_free(&out);
	assert_true(text_replace_freebsd_id(raw("# $FreeBSD$"), raw(NEW), &out));
	assert_memory_equal(out.s, NEW, out.len);
	assert_int_equal(out.len, strlen(NEW) - 1);
}

static void
two_way(void **state)
{
	_auto_buf struct buf out = BUF_INIT;

	(void)state;
	text_conflict2(raw("a\nx\nb\nc"), raw("a\nb\ny\nd"), "(local)", "(stock)", &out);
	assert_string_equal(out.s, "a\n<<<<<<< (local)\nx\n=======\n>>>>>>> (stock)\nb\n"
				   "<<<<<<< (local)\nc\n=======\ny\nd\n>>>>>>> (stock)\n");
	buf_free(&out);
	text_conflict2(raw("a\n"), raw("a\n"), "(local)", "(stock)", &out);
	assert_string_equal(out.s, "a\n");
}

struct unified_case {
	const char *a, *b;
	unsigned context;
	const char *want;
};
static const struct unified_case unified_cases[] = {
    {"a b", "a b", 3, ""},
    {"a b c", "a X c", 3, "@@ -1,3 +1,3 @@\n a\n-b\n+X\n c\n"},
    {"a b c", "a X c", 0, "@@ -2 +2 @@\n-b\n+X\n"},
    {"a b", "a b c", 0, "@@ -2,0 +3 @@\n+c\n"},
    {"a b", "b", 0, "@@ -1 +0,0 @@\n-a\n"},
    {"", "a b", 3, "@@ -0,0 +1,2 @@\n+a\n+b\n"},
    {"a", "", 3, "@@ -1 +0,0 @@\n-a\n"},
    {"a b c d", "A b c D", 1, "@@ -1,4 +1,4 @@\n-a\n+A\n b\n c\n-d\n+D\n"},
    {"a b c d e", "A b c d E", 1, "@@ -1,2 +1,2 @@\n-a\n+A\n b\n@@ -4,2 +4,2 @@\n d\n-e\n+E\n"},
    /* runs that could stand elsewhere: down, but where the other text has a change, too */
    {"a b", "a a b", 1, "@@ -1,2 +1,3 @@\n a\n+a\n b\n"},
    {"f { }", "f { } g { }", 0, "@@ -3,0 +4,3 @@\n+g\n+{\n+}\n"},
    {"b b b d", "b d b d", 1, "@@ -1,3 +1,3 @@\n b\n-b\n+d\n b\n"},
    {"a b~", "a b", 1, "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"},
    {"a b~", "A b~", 1, "@@ -1,2 +1,2 @@\n-a\n+A\n b\n\\ No newline at end of file\n"},
};

static void
unified(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(unified_cases); i++) {
		const struct unified_case *c = &unified_cases[i];
		_auto_buf struct buf a, b, out = BUF_INIT, want = BUF_INIT, applied = BUF_INIT;

		lines(&a, c->a);
		lines(&b, c->b);
		buf_adds(&out, "");
		if (*c->want)
			buf_addf(&want, "--- x\n+++ y\n%s", c->want);
		text_unified(of(&a), of(&b), "x", "y", c->context, &out);
		if (!same_text(of(&out), of(&want)))
			fail_msg("case %zu: got\n%s", i, out.s);
		assert_true(apply_unified(of(&a), of(&out), &applied));
		assert_true(same_text(of(&applied), of(&b)));
	}
}

static void
has_markers(void **state)
{
	(void)state;
	assert_true(text_has_markers(raw("a\n<<<<<<< yours\n")));
	assert_true(text_has_markers(raw("||||||| x")));
	assert_true(text_has_markers(raw("=======\n")));
	assert_true(text_has_markers(raw("a\n=======")));
	assert_true(text_has_markers(raw("======= ")));
	assert_true(text_has_markers(raw(">>>>>>> new\n")));
	assert_false(text_has_markers(raw("")));
	assert_false(text_has_markers(raw("<<<<<<<\n>>>>>>>\n|||||||\n")));
	assert_false(text_has_markers(raw(" <<<<<<< a\na ======= b\n<<<<<< a\n========\n")));
	assert_false(text_has_markers(raw("<<<<<<=  a\n")));
}

/* The lines of a hostile or large text: enough of them for any search without a bound to take minutes. */
enum shape { ALL_EQUAL, ALL_DIFFERENT, COIN, PERIODIC, SPARSE, N_SHAPES };

static void
large(struct buf *b, enum shape shape, unsigned salt)
{
	uint64_t x = salt * 0x9e3779b97f4a7c15u + 1;
	size_t n = shape == ALL_DIFFERENT ? 500000 : TEXT_MAX / 2 - salt * 1000;

	for (size_t i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		if (shape == ALL_EQUAL)
			buf_addc(b, 'a');
		else if (shape == ALL_DIFFERENT)
			buf_addf(b, "%x", (unsigned)(i * 3 + salt));
		else if (shape == COIN)
			buf_addc(b, x >> 40 & 1 ? 'a' : 'b');
		else if (shape == PERIODIC)
			buf_addc(b, (char)('a' + (i + salt) % (7 + salt)));
		else
			buf_addc(b, x >> 40 & 255 ? 'a' : 'b');
		buf_addc(b, '\n');
	}
}

static void
bounded(void **state)
{
	(void)state;
	for (int shape = ALL_EQUAL; shape < N_SHAPES; shape++) {
		_auto_buf struct buf o = BUF_INIT, b = BUF_INIT, t = BUF_INIT, out = BUF_INIT;
		enum text_result r;

		large(&b, (enum shape)shape, 0);
		large(&o, (enum shape)shape, 1);
		large(&t, (enum shape)shape, 2);
		alarm(60); /* ends the test: with a search of quadratic cost these take hours */
		r = text_merge(SIDES(of(&o), of(&b), of(&t)), 0, NULL, &out, NULL);
		assert_int_not_equal(r, TEXT_BINARY);
		out.len = 0;
		assert_int_equal(text_merge(SIDES(of(&b), of(&b), of(&t)), 0, NULL, &out, NULL), TEXT_CLEAN);
		assert_true(same_text(of(&out), of(&t)));
		out.len = 0;
		assert_int_equal(text_merge(SIDES(of(&o), of(&b), of(&o)), 0, NULL, &out, NULL), TEXT_CLEAN);
		assert_true(same_text(of(&out), of(&o)));
		alarm(0);
	}
}

/* As in lines.c. */
static unsigned
bucket(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return (unsigned)(h ^ h >> 32) & 255;
}

/* Lines that the jail made to collide cost little, are merged as they are, and do not spoil what theirs
 * changed. */
static void
colliding(void **state)
{
	_auto_buf struct buf ours = BUF_INIT, out = BUF_INIT, want = BUF_INIT;
	char line[16];

	(void)state;
	buf_adds(&ours, "a\nb\n");
	for (unsigned i = 0, n = 0; n < 150; i++) {
		snprintf(line, sizeof(line), "%u\n", i);
		if (bucket(line) != bucket("b\n"))
			continue;
		buf_adds(&ours, line);
		n++;
	}
	buf_addf(&want, "A\n%s", ours.s + 2);
	assert_int_equal(text_merge(SIDES(of(&ours), raw("a\nb\n"), raw("A\nb\n")), 0, NULL, &out, NULL),
			 TEXT_CLEAN);
	assert_string_equal(out.s, want.s);
	/* too many of them: equal lines behind them may be told apart, which is a conflict or the same result
	 */
	buf_adds(&ours, "b\nc\n");
	buf_adds(&want, "b\nc\n");
	out.len = 0;
	if (text_merge(SIDES(of(&ours), raw("a\nb\nc\n"), raw("A\nb\nc\n")), 0, NULL, &out, NULL) ==
	    TEXT_CLEAN)
		assert_string_equal(out.s, want.s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(clean),       cmocka_unit_test(conflicts), cmocka_unit_test(markers),
	    cmocka_unit_test(not_text),    cmocka_unit_test(ids),       cmocka_unit_test(same_but),
	    cmocka_unit_test(replace_id),  cmocka_unit_test(two_way),   cmocka_unit_test(unified),
	    cmocka_unit_test(has_markers), cmocka_unit_test(bounded),   cmocka_unit_test(colliding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
