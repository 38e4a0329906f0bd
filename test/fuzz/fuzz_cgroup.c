/* SPDX-License-Identifier: BSD-2-Clause */
/* mountinfo for the control groups, lists of controllers, and the files of a group. */
#include "os/linux/limits/limit.c"

#include "fuzz.h"

static void
mounts(const char *text)
{
	_auto_free char *work = xstrdup(text);
	_auto_hiers struct hiers h = {0};
	_auto_strv struct strv all = STRV_INIT;
	char *save = NULL;

	for (char *line = strtok_r(work, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		take_mount(&h, line);
	for (int c = 0; c < C_N; c++)
		if (controllers[c].v2 && has_word(text, controllers[c].v2, " \n"))
			h.on_v2 |= 1u << c;
	hiers_wanted(&h, ~0u, &all);
	must(all.n <= C_N + 1, "each hierarchy once");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_auto_free char *text = fuzz_text(data, size);
	int dir = fuzz_dir();

	mounts(text);
	fuzz_file(dir, "memory.current", data, size);
	fuzz_file(dir, "cpu.stat", data, size);
	must(read_number(fuzz_path, "memory.current") >= -1, "a number, or -1");
	must(read_cpu_v2(fuzz_path) >= -1, "a time, or -1");
	return 0;
}
