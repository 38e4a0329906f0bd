/* SPDX-License-Identifier: BSD-2-Clause */
/* js/.brig/NAME.json: what reads is written and reads again as the same text; conflicts are sorted, each path
 * once. */
#include "fuzz.h"

#include "store/record/ids.h"
#include "store/record/record.h"

static struct store store = {.base = fuzz_path, .record_fd = -EBADF};

static char *
text_of(const char *name)
{
	struct err e = ERR_INIT;
	char *text = NULL;

	must(fsx_read_at(store.record_fd, name, 64u << 20, &text, NULL, &e) == 0, "a file");
	return text;
}

static void
check_conflicts(const struct record *r)
{
	for (size_t i = 0; i < r->n_conflict; i++) {
		must(i == 0 || strcmp(r->conflict[i - 1].path, r->conflict[i].path) < 0, "sorted");
		must(record_conflict(r, r->conflict[i].path) == &r->conflict[i], "found by its path");
		for (const char *p = r->conflict[i].why; *p; p++)
			must(*p >= ' ' && *p <= '~', "one visible line");
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_auto_free char *first = NULL, *second = NULL;
	struct err e = ERR_INIT;
	struct record r, again;

	if (store.record_fd < 0) {
		store.record_fd = fuzz_subdir("record");
		must(mkdirat(store.record_fd, "ids", 0755) == 0, "ids");
	}
	fuzz_file(store.record_fd, "x.json", data, size);
	if (record_read(&store, "x", &r, &e) != 1)
		return 0;
	check_conflicts(&r);
	r.idbase = ID_BASE; /* one link for all */
	must(record_write(&store, "x", &r, &e) == 0, "what was read can be written");
	first = text_of("x.json");
	must(record_read(&store, "x", &again, &e) == 1, "what was written can be read");
	must(record_write(&store, "x", &again, &e) == 0, "it can be written again");
	second = text_of("x.json");
	must(streq(first, second), "it is the same");
	while (r.n_conflict)
		record_remove_conflict(&r, r.conflict[r.n_conflict / 2].path);
	record_free(&again);
	record_free(&r);
	return 0;
}
