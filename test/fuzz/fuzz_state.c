/* SPDX-License-Identifier: BSD-2-Clause */
/* RUN/jail/NAME/state.json: what reads is written and reads again as the same; the brief form agrees. */
#include "fuzz.h"

#include "store/record/state.h"

static struct store store = {.run = fuzz_path, .jail_fd = -EBADF, .jid_fd = -EBADF};

static bool
same(const char *a, const char *b)
{
	return a && b ? streq(a, b) : a == b;
}

static void
must_equal(const struct state *a, const struct state *b)
{
	must(same(a->name, b->name) && a->jid == b->jid && a->phase == b->phase, "name, JID, phase");
	must(a->ref.pid == b->ref.pid && a->ref.start == b->ref.start && a->ref.ns == b->ref.ns &&
		 streq(a->ref.boot, b->ref.boot),
	     "reference");
	must(a->idbase == b->idbase && a->started == b->started && a->ephemeral == b->ephemeral, "numbers");
	must(same(a->template, b->template) && same(a->release, b->release) && same(a->path, b->path) &&
		 same(a->hostname, b->hostname) && same(a->consolelog, b->consolelog),
	     "texts");
}

static void
must_equal_params(const struct params *a, const struct params *b)
{
	must(a->n == b->n, "number of parameters");
	for (size_t i = 0; i < a->n; i++) {
		_auto_free char *x = strv_join(&a->v[i].values, "\n");
		_auto_free char *y = strv_join(&b->v[i].values, "\n");

		must(streq(a->v[i].name, b->v[i].name) && streq(x, y), "a parameter");
	}
}

static void
brief(void)
{
	struct state *list = NULL;
	struct err e = ERR_INIT;
	size_t n = 0;

	must(state_list_brief(&store, &list, &n, &e) == 0, "a list");
	for (size_t i = 0; i < n; i++)
		state_free(&list[i]);
	free(list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_auto_close int dir = -EBADF;
	struct err e = ERR_INIT;
	struct state st, again;

	if (store.jail_fd < 0)
		store.jail_fd = fuzz_subdir("jail");
	must(fsx_rm_rf_at(store.jail_fd, "x", &e) == 0, "an empty directory");
	must(fsx_mkdir_open(store.jail_fd, "x", 0755, &dir, &e) == 0, "a directory");
	fuzz_file(dir, "state.json", data, size);
	brief();
	if (state_read(&store, "x", &st, &e) != 1)
		return 0;
	must(state_write(&store, &st, &e) == 0, "what was read can be written");
	must(state_read(&store, st.name, &again, &e) == 1, "what was written can be read");
	must_equal(&st, &again);
	must_equal_params(&st.params, &again.params);
	brief();
	must(fsx_rm_rf_at(store.jail_fd, st.name, &e) == 0, "removal");
	state_free(&again);
	state_free(&st);
	return 0;
}
