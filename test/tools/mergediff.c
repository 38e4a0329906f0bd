/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random texts and edits, merged by text_merge(), `diff3 -m -E` and `git merge-file -p`; and compared by
 * text_unified(), text_conflict2() and diff(1).  Speaks TAP; the figures are comments.
 *
 *	mergediff [-v]
 *
 * BRIG_MERGE_CASES (400): how many.  BRIG_SEED (the clock): where the random numbers begin; what is told of
 * a case has its seed, which gives it again as the first one.  -v shows what differs.
 *
 * A failure is
 * - a clean merge of ours that differs from diff3's clean one in lines that occur at most once in each of the
 *   three texts: those can be matched in one way only.  Repeated lines can be matched in several, and diff(1)
 *   gives up a shortest script where it takes frequent lines for noise;
 * - a clean merge of ours where both of the others see a conflict;
 * - a merge with conflicts whose parts, taken out of the markers, are not what was merged;
 * - a script that is longer than diff's, or does not turn one text into the other;
 * - merge(x, x, y), merge(y, x, x) or merge(y, x, y) that is not y;
 * - merge(x, y, z) that is clean or not otherwise than merge(z, y, x), or has another result.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/num.h"
#include "merge/text.h"

#include "../unit/merge_help.h"

static uint64_t seed;
static bool verbose;
static int dir_fd = -1;
static char dir_path[] = "/tmp/mergediff.XXXXXX";

static const char *const file_names[] = {"ours", "base", "theirs"};

static struct {
	size_t cases, same, differ, theirs_conflict, conflict_all, ours_only, diff3_only, git_only, both_only;
	size_t diffs, diff_same, diff_shorter, twos, two_same;
	size_t failures;
} count;

/* xorshift64*: the same numbers everywhere for one seed */
static unsigned
rnd(unsigned below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (unsigned)((seed * 0x2545f4914f6cdd1du) >> 33) % below;
}

#define LINES_MAX 1200
struct doc {
	unsigned line[LINES_MAX];
	size_t n;
	bool open; /* no newline at the end */
};

static void
doc_insert(struct doc *d, size_t at, const unsigned *line, size_t n)
{
	if (d->n + n > LINES_MAX)
		return;
	memmove(d->line + at + n, d->line + at, (d->n - at) * sizeof(*line));
	memcpy(d->line + at, line, n * sizeof(*line));
	d->n += n;
}

static void
doc_delete(struct doc *d, size_t at, size_t n)
{
	n = n > d->n - at ? d->n - at : n;
	memmove(d->line + at, d->line + at + n, (d->n - at - n) * sizeof(*d->line));
	d->n -= n;
}

/* What lines there are: up to alphabet; where it is skewed, one of so many is one of the first two (blank
 * lines, closing braces). */
struct kinds {
	unsigned alphabet;
	unsigned skewed; /* 0: not */
};

static unsigned
line_of(const struct kinds *k)
{
	return k->skewed && rnd(k->skewed) == 0 ? rnd(2) : rnd(k->alphabet);
}

static void
edit(struct doc *d, const struct kinds *k)
{
	size_t at = rnd((unsigned)d->n + 1), len = 1 + rnd(4), have = d->n - at;
	unsigned fresh[60];

	len = len > have && have > 0 ? have : len;
	for (size_t i = 0; i < ARRAY_LEN(fresh); i++)
		fresh[i] = line_of(k);
	switch (rnd(7)) {
	case 0:
		doc_insert(d, at, fresh, len);
		break;
	case 1:
		doc_delete(d, at, len);
		break;
	case 2: /* change */
		doc_delete(d, at, len);
		doc_insert(d, at, fresh, 1 + rnd(3));
		break;
	case 3: /* move */
		if (have < len)
			break;
		memcpy(fresh, d->line + at, len * sizeof(*fresh));
		doc_delete(d, at, len);
		doc_insert(d, rnd((unsigned)d->n + 1), fresh, len);
		break;
	case 4: /* duplicate */
		if (have < len)
			break;
		memcpy(fresh, d->line + at, len * sizeof(*fresh));
		doc_insert(d, at + len, fresh, len);
		break;
	case 5: /* written anew */
		doc_delete(d, at, rnd(60));
		doc_insert(d, at, fresh, 10 + rnd(50));
		break;
	case 6:
		if (rnd(4) == 0)
			d->open = !d->open;
		break;
	}
}

/* Line 0 is blank, as in real files. */
static void
doc_text(const struct doc *d, struct buf *out)
{
	buf_adds(out, "");
	for (size_t i = 0; i < d->n; i++) {
		if (d->line[i] > 0 || (i + 1 == d->n && d->open))
			buf_addf(out, "line %u", d->line[i]);
		if (i + 1 < d->n || !d->open)
			buf_addc(out, '\n');
	}
}

enum { OURS, BASE, THEIRS, N_TEXTS };
struct texts {
	struct buf b[N_TEXTS];
};

static struct text
text_of(const struct buf *b)
{
	return (struct text){b->s, b->len};
}

static void
generate(struct texts *t)
{
	static const unsigned alphabets[] = {2, 3, 5, 12, 40, 100000};
	struct kinds k = {alphabets[rnd(ARRAY_LEN(alphabets))], rnd(2) ? 0 : 2 + rnd(10)};
	struct doc d[N_TEXTS] = {{.n = rnd(rnd(8) ? 40 : 800)}};
	unsigned edits = 1 + rnd(4);

	for (size_t i = 0; i < d->n; i++)
		d->line[i] = line_of(&k);
	d->open = rnd(4) == 0;
	d[BASE] = d[THEIRS] = d[OURS];
	if (rnd(4) == 0) { /* both sides make this change */
		edit(&d[OURS], &k);
		d[THEIRS] = d[OURS];
	}
	for (unsigned i = 0; i < edits; i++)
		edit(&d[rnd(2) ? OURS : THEIRS], &k);
	for (int i = 0; i < N_TEXTS; i++)
		doc_text(&d[i], &t->b[i]);
}

static void
die(const char *what, const struct err *e)
{
	printf("Bail out! mergediff: %s: %s\n", what, e->msg);
	exit(1); /* through tidy() */
}

/* Runs a program in the directory of the files; its exit status. */
static int
run(const char *const *argv, struct buf *out)
{
	static const char *const env[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=/nonexistent",
					  "GIT_CONFIG_NOSYSTEM=1", NULL};
	struct child c = CHILD_INIT;
	struct err e = ERR_INIT;
	int status = 0;

	c.argv = (char *const *)(uintptr_t)argv;
	c.envp = (char *const *)(uintptr_t)env;
	c.cwd_fd = dir_fd;
	c.capture = out;
	buf_adds(out, "");
	if (child_run(&c, &status, &e) < 0)
		die(argv[0], &e);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void
show(const char *title, const struct buf *b)
{
	const char *p = b->s, *end = b->s + b->len;

	printf("# --- %s%s\n", title, b->len && end[-1] != '\n' ? " (no newline at the end)" : "");
	for (; p < end; p += strcspn(p, "\n") + 1)
		printf("#   %.*s\n", (int)strcspn(p, "\n"), p);
}

static void
report(const char *what, uint64_t case_seed, const struct texts *t)
{
	printf("# seed %ju: %s\n", (uintmax_t)case_seed, what);
	for (int i = 0; i < N_TEXTS && verbose; i++)
		show(file_names[i], &t->b[i]);
}

static void
failure(const char *what, uint64_t case_seed, const struct texts *t)
{
	bool was = verbose;

	verbose = true;
	report(what, case_seed, t);
	verbose = was;
	count.failures++;
}

static bool
same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
}

/* How often each line occurs; without its newline.  At most LINES_MAX lines or so: no need to be quick. */
static size_t
occurs(const struct buf *b, const char *line, size_t len)
{
	size_t n = 0;

	for (const char *p = b->s; *p; p += p[strcspn(p, "\n")] ? strcspn(p, "\n") + 1 : strlen(p))
		n += strcspn(p, "\n") == len && memcmp(p, line, len) == 0;
	return n;
}

/* The lines of b that occur at most once in each of the texts. */
static void
unique_lines(const struct buf *b, const struct texts *t, struct buf *out)
{
	size_t len;

	buf_adds(out, "");
	for (const char *p = b->s; *p; p += len + (p[len] == '\n')) {
		bool once = true;

		len = strcspn(p, "\n");
		for (int i = 0; i < N_TEXTS; i++)
			once = once && occurs(&t->b[i], p, len) <= 1;
		if (once)
			buf_addf(out, "%.*s\n", (int)len, p);
	}
}

static bool
same_unique_lines(const struct buf *a, const struct buf *b, const struct texts *t)
{
	_auto_buf struct buf x = BUF_INIT, y = BUF_INIT;

	unique_lines(a, t, &x);
	unique_lines(b, t, &y);
	return same(&x, &y);
}

/* Every line between markers must be the side's, in its order: the parts of a side, cut out of the result one
 * after the other, are found in the side one after the other. */
static bool
parts_are_of(const struct buf *merged, int side, const struct buf *text)
{
	static const char marks[] = "<|=>";
	const char *pos = text->s;
	size_t len;
	int part = -1;

	for (const char *p = merged->s; *p; p += len) {
		const char *mark = strchr(marks, *p);
		_auto_free char *line = NULL;

		len = strcspn(p, "\n");
		len += p[len] == '\n';
		if (len >= 8 && mark && memcmp(p, p + 1, 6) == 0) {
			part = *mark == '>' ? -1 : (int)(mark - marks);
			continue;
		}
		if (part != side)
			continue;
		line = xstrndup(p, len);
		while (*pos && strncmp(pos, line, strlen(line)) != 0 &&
		       !(strlen(pos) == len - 1 && strncmp(pos, line, len - 1) == 0))
			pos += pos[strcspn(pos, "\n")] ? strcspn(pos, "\n") + 1 : strlen(pos);
		if (!*pos && len > 1)
			return false;
		pos += strlen(pos) < len ? strlen(pos) : len;
	}
	return true;
}

static enum text_result
merge(const struct texts *t, int ours, int base, int theirs, struct buf *out)
{
	struct text_sides sides = {text_of(&t->b[ours]), text_of(&t->b[base]), text_of(&t->b[theirs])};

	return text_merge(&sides, 0, NULL, out, NULL);
}

static void
check_merge(uint64_t case_seed, const struct texts *t)
{
	static const char *const diff3[] = {"diff3", "-m", "-E", "ours", "base", "theirs", NULL};
	static const char *const git[] = {"git", "merge-file", "-p", "-q", "ours", "base", "theirs", NULL};
	_auto_buf struct buf m = BUF_INIT, d = BUF_INIT, g = BUF_INIT;
	enum text_result r;
	bool d_clean, g_clean;

	buf_adds(&m, "");
	r = merge(t, OURS, BASE, THEIRS, &m);
	d_clean = run(diff3, &d) == 0;
	g_clean = run(git, &g) == 0;
	if (r == TEXT_CLEAN && d_clean) {
		if (same(&m, &d)) {
			count.same++;
			return;
		}
		count.differ++;
		if (!same_unique_lines(&m, &d, t))
			failure("differs from diff3 in lines that occur once", case_seed, t);
		else
			report("differs from diff3 in repeated lines", case_seed, t);
		if (verbose) {
			show("text_merge", &m);
			show("diff3", &d);
			show("git", &g);
		}
		return;
	}
	if (r == TEXT_CLEAN) {
		count.ours_only++;
		if (!g_clean)
			failure("clean, but a conflict for diff3 and git", case_seed, t);
		else
			report("clean for us and git only", case_seed, t);
		return;
	}
	for (int i = OURS; i <= THEIRS; i++)
		if (!parts_are_of(&m, i, &t->b[i]))
			failure("a conflict shows lines that are not there", case_seed, t);
	if (d_clean && g_clean) {
		count.both_only++;
		report("clean for diff3 and git only", case_seed, t);
	} else if (d_clean) {
		count.diff3_only++;
		report("clean for diff3 only", case_seed, t);
	} else if (g_clean) {
		count.git_only++;
	} else {
		count.conflict_all++;
	}
}

static void
expect(const struct texts *t, uint64_t case_seed, const char *what, int ours, int base, int theirs, int want)
{
	_auto_buf struct buf m = BUF_INIT;

	buf_adds(&m, "");
	if (merge(t, ours, base, theirs, &m) != TEXT_CLEAN || !same(&m, &t->b[want]))
		failure(what, case_seed, t);
}

static void
check_properties(uint64_t case_seed, const struct texts *t)
{
	_auto_buf struct buf m = BUF_INIT, r = BUF_INIT;
	enum text_result one, two;

	buf_adds(&m, "");
	buf_adds(&r, "");
	expect(t, case_seed, "merge(x, x, y) is not y", BASE, BASE, THEIRS, THEIRS);
	expect(t, case_seed, "merge(y, x, x) is not y", OURS, BASE, BASE, OURS);
	expect(t, case_seed, "merge(y, x, y) is not y", OURS, BASE, OURS, OURS);
	one = merge(t, OURS, BASE, THEIRS, &m);
	two = merge(t, THEIRS, BASE, OURS, &r);
	if (one != two || (one == TEXT_CLEAN && !same(&m, &r)))
		failure("merge(x, y, z) and merge(z, y, x) differ", case_seed, t);
}

/* Lines with - and + of a unified difference. */
static size_t
changes(const struct buf *b)
{
	size_t n = 0, line = 0;

	for (const char *p = b->s; *p; p += strcspn(p, "\n") + 1, line++)
		n += line > 1 && (*p == '-' || *p == '+');
	return n;
}

static bool
applies(const struct buf *diff, const struct buf *from, const struct buf *want)
{
	_auto_buf struct buf got = BUF_INIT;

	return apply_unified(text_of(from), text_of(diff), &got) && same(&got, want);
}

static bool
whole(const struct buf *b)
{
	return b->len == 0 || b->s[b->len - 1] == '\n';
}

static void
check_diff(uint64_t case_seed, const struct texts *t)
{
	static const char *const diff[] = {"diff", "-u",   "--label", "a", "--label",
					   "b",    "ours", "base",    NULL};
	static const char *const two[] = {
	    "diff", "--changed-group-format=<<<<<<< a\n%<=======\n%>>>>>>>> b\n", "ours", "base", NULL};
	_auto_buf struct buf u = BUF_INIT, d = BUF_INIT, m = BUF_INIT, g = BUF_INIT;
	struct text a = text_of(&t->b[OURS]), b = text_of(&t->b[BASE]);

	buf_adds(&u, "");
	buf_adds(&m, "");
	text_unified(a, b, "a", "b", 3, &u);
	text_conflict2(a, b, "a", "b", &m);
	(void)run(diff, &d);
	(void)run(two, &g);
	count.diffs++;
	count.diff_same += same(&u, &d);
	count.diff_shorter += changes(&u) < changes(&d);
	/* diff adds a newline where the end of the text has none */
	if (whole(&t->b[OURS]) && whole(&t->b[BASE])) {
		count.twos++;
		count.two_same += same(&m, &g);
	}
	if (changes(&u) > changes(&d))
		failure("longer than diff's script", case_seed, t);
	if (u.len > 0 && !applies(&u, &t->b[OURS], &t->b[BASE]))
		failure("the difference does not turn ours into base", case_seed, t);
	if (verbose && !same(&u, &d)) {
		report("unified differences differ", case_seed, t);
		show("text_unified", &u);
		show("diff -u", &d);
	}
	if (verbose && whole(&t->b[OURS]) && whole(&t->b[BASE]) && !same(&m, &g)) {
		report("two-way conflicts differ", case_seed, t);
		show("text_conflict2", &m);
		show("diff --changed-group-format", &g);
	}
}

static void
one_case(void)
{
	uint64_t case_seed = seed;
	struct texts t = {{BUF_INIT, BUF_INIT, BUF_INIT}};
	struct err e = ERR_INIT;

	generate(&t);
	for (int i = 0; i < N_TEXTS; i++)
		if (fsx_write_atomic(dir_fd, file_names[i], &(struct fsx_file){t.b[i].s, t.b[i].len, 0644}, 0,
				     &e) < 0)
			die(file_names[i], &e);
	count.cases++;
	check_merge(case_seed, &t);
	check_properties(case_seed, &t);
	if (case_seed % 4 == 0)
		check_diff(case_seed, &t);
	for (int i = 0; i < N_TEXTS; i++)
		buf_free(&t.b[i]);
}

static uint64_t
number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	if (s && num_u64(s, UINT64_MAX, &otherwise) < 0) {
		printf("Bail out! mergediff: %s is not a number\n", name);
		exit(2);
	}
	return otherwise;
}

static void
tidy(void)
{
	for (size_t i = 0; i < ARRAY_LEN(file_names) && dir_fd >= 0; i++)
		(void)unlinkat(dir_fd, file_names[i], 0);
	(void)rmdir(dir_path);
}

/* Is there such a program? */
static bool
found(const char *name)
{
	_auto_free char *path = xasprintf("/usr/bin/%s", name);

	if (access(path, X_OK) == 0)
		return true;
	printf("1..1\nok 1 # SKIP %s is not there\n", path);
	return false;
}

int
main(int argc, char **argv)
{
	struct timespec now;
	uint64_t cases;

	if (!found("diff") || !found("diff3") || !found("git"))
		return 77;
	verbose = argc == 2 && streq(argv[1], "-v");
	clock_gettime(CLOCK_REALTIME, &now);
	cases = number("BRIG_MERGE_CASES", 400);
	seed = number("BRIG_SEED", (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec);
	seed += seed == 0; /* from which it would not get away */
	if (!mkdtemp(dir_path) || (dir_fd = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		printf("Bail out! mergediff: %s: %s\n", dir_path, strerror(errno));
		return 1;
	}
	(void)atexit(tidy);
	printf("1..1\n# BRIG_SEED=%ju BRIG_MERGE_CASES=%ju\n", (uintmax_t)seed, (uintmax_t)cases);
	while (count.cases < cases && count.failures < 10)
		one_case();
	if (count.cases == 0)
		count.failures++; /* nothing was compared */
	printf("# clean for us and diff3: %zu the same, %zu differ\n", count.same, count.differ);
	printf("# clean for us and git only: %zu; for diff3 and git only: %zu; for diff3 only: %zu; for git "
	       "only: %zu; a conflict for all: %zu\n",
	       count.ours_only, count.both_only, count.diff3_only, count.git_only, count.conflict_all);
	printf("# diff -u: %zu of %zu the same, %zu shorter; two-way conflicts: %zu of %zu the same\n",
	       count.diff_same, count.diffs, count.diff_shorter, count.two_same, count.twos);
	printf("%sok 1 - text_merge() agrees with diff3 and git\n", count.failures ? "not " : "");
	return count.failures != 0;
}
