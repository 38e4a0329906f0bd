/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

#include "base/name.h"
#include "cli/cli.h"

void
table_row(struct table *t, ...)
{
	va_list ap;

	va_start(ap, t);
	for (size_t i = 0; i < t->n_cols; i++) {
		const char *s = va_arg(ap, const char *);

		strv_take(&t->cells, text_printable(s ? s : "", 4096));
	}
	va_end(ap);
}

static void
print_row(const struct table *t, FILE *f, char *const *cell, const size_t *width, bool bold)
{
	_auto_buf struct buf line = BUF_INIT;

	for (size_t i = 0; i < t->n_cols; i++) {
		bool right = t->align && t->align[i] == 'r';

		buf_addf(&line, right ? "%*s" : "%-*s", (int)width[i], cell[i]);
		if (i + 1 < t->n_cols)
			buf_adds(&line, "  ");
	}
	while (line.len && line.s[line.len - 1] == ' ')
		line.s[--line.len] = '\0';
	fprintf(f, bold ? "\033[1m%s\033[0m\n" : "%s\n", line.s);
}

void
table_print(struct table *t, FILE *f)
{
	_auto_free size_t *width = xcalloc(t->n_cols, sizeof(*width));
	_auto_strv struct strv titles = STRV_INIT;

	for (size_t i = 0; i < t->n_cols; i++) {
		strv_add(&titles, t->titles[i]);
		width[i] = strlen(t->titles[i]);
	}
	for (size_t i = 0; i < t->cells.n; i++)
		if (strlen(t->cells.v[i]) > width[i % t->n_cols])
			width[i % t->n_cols] = strlen(t->cells.v[i]);
	print_row(t, f, titles.v, width, isatty(fileno(f)) && !getenv("NO_COLOR"));
	for (size_t i = 0; i + t->n_cols <= t->cells.n; i += t->n_cols)
		print_row(t, f, t->cells.v + i, width, false);
}

void
table_free(struct table *t)
{
	strv_free(&t->cells);
}

char *
out_size(uint64_t bytes)
{
	static const char units[] = "BKMGTP";
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u + 2 < sizeof(units)) {
		v /= 1024;
		u++;
	}
	if (u == 0)
		return xasprintf("%" PRIu64, bytes);
	return xasprintf(v < 10 ? "%.1f%c" : "%.0f%c", v, units[u]);
}

char *
out_duration(int64_t s)
{
	if (s < 60)
		return xasprintf("%" PRId64 "s", s < 0 ? 0 : s);
	if (s < 3600)
		return xasprintf("%" PRId64 "m %" PRId64 "s", s / 60, s % 60);
	if (s < 86400)
		return xasprintf("%" PRId64 "h %" PRId64 "m", s / 3600, s / 60 % 60);
	return xasprintf("%" PRId64 "d %" PRId64 "h", s / 86400, s / 3600 % 24);
}

/* --- progress --- */

struct bar {
	struct progress p;
	char *title, *what;
	struct timespec start, drawn;
	bool tty, shown;
};

static double
since(const struct timespec *t)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

/* Draws nothing in the first second: short work needs no progress. */
static void
bar_draw(struct bar *b, uint64_t done, uint64_t total)
{
	char bar[21];

	if (!b->tty || since(&b->start) < 1.0 || (b->shown && since(&b->drawn) < 0.1))
		return;
	(void)clock_gettime(CLOCK_MONOTONIC, &b->drawn);
	b->shown = true;
	if (total > 0) {
		size_t n = (size_t)(done >= total ? 20 : done * 20 / total);

		memset(bar, '.', 20);
		memset(bar, '#', n);
		bar[20] = '\0';
		fprintf(stderr, "\r\033[K%s: %s [%s] %3u%%", b->title, b->what, bar,
			(unsigned)(done >= total ? 100 : done * 100 / total));
	} else if (done > 0) {
		fprintf(stderr, "\r\033[K%s: %s, %" PRIu64 " (%.0f s)", b->title, b->what, done,
			since(&b->start));
	} else {
		fprintf(stderr, "\r\033[K%s: %s (%.0f s)", b->title, b->what, since(&b->start));
	}
	fflush(stderr);
}

static void
bar_step(void *ctx, const char *what)
{
	struct bar *b = ctx;

	free(b->what);
	b->what = text_printable(what, 60);
	if (!b->tty)
		fprintf(stderr, "%s: %s\n", b->title, b->what);
	else if (b->shown)
		b->drawn.tv_sec = 0;
	bar_draw(b, 0, 0);
}

static void
bar_at(void *ctx, uint64_t done, uint64_t total)
{
	bar_draw(ctx, done, total);
}

struct progress *
progress_start(const struct cli *cli, const char *title)
{
	struct bar *b;

	if (cli->quiet || cli->json)
		return NULL;
	b = xcalloc(1, sizeof(*b));
	*b = (struct bar){{bar_step, bar_at, b}, xstrdup(title), xstrdup(""), {0}, {0}, false, false};
	b->tty = isatty(STDERR_FILENO) == 1;
	(void)clock_gettime(CLOCK_MONOTONIC, &b->start);
	return &b->p;
}

void
progress_end(struct progress *p)
{
	struct bar *b;

	if (!p)
		return;
	b = p->ctx;
	if (b->shown)
		fputs("\r\033[K", stderr);
	free(b->title);
	free(b->what);
	free(b);
}
