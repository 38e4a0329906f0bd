/* SPDX-License-Identifier: BSD-2-Clause */
/* js/.brig/change/NAME/ID.json: what reads is written and reads again as the same text. */
#include "fuzz.h"

#include "store/change/internal.h"

static char jail[] = "x";

/* A change frees its jail and closes its descriptors. */
static struct change
empty(const struct store *s, int dir)
{
	struct change c = CHANGE_INIT;

	c.store = s;
	c.id = 1;
	c.jail = xstrdup(jail);
	c.change_fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	return c;
}

static char *
saved(struct change *c)
{
	_auto_free char *file = change_file_name(c->id);
	struct err e = ERR_INIT;
	char *text = NULL;

	must(change_save(c, &e) == 0, "what was read can be written");
	must(fsx_read_at(c->change_fd, file, 128u << 20, &text, NULL, &e) == 0, "a file");
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct store store = {.base = fuzz_path};
	static int dir = -EBADF;
	_auto_free char *first = NULL, *second = NULL, *file = change_file_name(1);
	struct change c, again;
	struct err e = ERR_INIT;

	if (dir < 0)
		dir = fuzz_subdir("change");
	fuzz_file(dir, file, data, size);
	c = empty(&store, dir);
	if (change_read(&c, &e) == 0) {
		first = saved(&c);
		again = empty(&store, dir);
		must(change_read(&again, &e) == 0, "what was written can be read");
		second = saved(&again);
		must(streq(first, second), "it is the same");
		change_free(&again);
	}
	change_free(&c);
	return 0;
}
