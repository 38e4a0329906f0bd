/* SPDX-License-Identifier: BSD-2-Clause */
/* t_corpus DIRECTORY: a fuzz target's properties on the inputs that are kept, and on each of them cut short
 * and with a byte changed; a violation aborts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/num.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VARIANTS 64 /* of each kind */

static const char *directory;
static int at_least = 2; /* seeds */

static void
variants(char *data, size_t len)
{
	size_t step = len / VARIANTS + 1;

	for (size_t i = 0; i < len; i += step) {
		/* of its own size: a read beyond the end is one beyond the allocation */
		_auto_free uint8_t *cut = xcalloc(i + !i, 1);

		if (i)
			memcpy(cut, data, i);
		assert_int_equal(LLVMFuzzerTestOneInput(cut, i), 0);
		data[i] = (char)(data[i] ^ 0x20);
		assert_int_equal(LLVMFuzzerTestOneInput((const uint8_t *)data, len), 0);
		data[i] = (char)(data[i] ^ 0x20);
	}
}

static void
corpus(void **state)
{
	_auto_close int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_auto_closedir DIR *d = opendir(directory);
	int n = 0;

	(void)state;
	assert_true(fd >= 0 && d);
	for (struct dirent *e; (e = readdir(d));) {
		_auto_free char *data = NULL;
		struct err err = ERR_INIT;
		size_t len = 0;

		if (*e->d_name == '.')
			continue;
		if (fsx_read_at(fd, e->d_name, 1 << 20, &data, &len, &err) < 0)
			fail_msg("%s", err.msg);
		print_message("# %s\n", e->d_name);
		n++;
		assert_int_equal(LLVMFuzzerTestOneInput((const uint8_t *)data, len), 0);
		variants(data, len);
	}
	assert_true(n >= at_least);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(corpus)};

	if (argc < 2 || argc > 3 || (argc == 3 && num_int(argv[2], 1, 1000, &at_least) < 0)) {
		fprintf(stderr, "usage: t_corpus DIRECTORY [AT_LEAST]\n");
		return 2;
	}
	if (geteuid() != 0) /* owners are set, records are root's */
		return 77;
	directory = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
