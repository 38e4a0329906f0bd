/* SPDX-License-Identifier: BSD-2-Clause */
/* Archives in fuzz targets: checksums of tar headers are made right, so that what changes in a header arrives. */
#ifndef BRIG_TEST_FUZZ_TAR_H
#define BRIG_TEST_FUZZ_TAR_H

#define BLOCK 512
#define SUM_AT 148

static inline void
right_checksums(uint8_t *a, size_t size)
{
	for (size_t at = 0; at + BLOCK <= size; at += BLOCK) {
		unsigned sum = 8 * ' ';
		char text[12];

		if (memcmp(a + at + 257, "ustar", 5) != 0)
			continue;
		for (size_t i = 0; i < BLOCK; i++)
			sum += i >= SUM_AT && i < SUM_AT + 8 ? 0 : a[at + i];
		(void)snprintf(text, sizeof(text), "%06o", sum);
		memcpy(a + at + SUM_AT, text, 7);
		a[at + SUM_AT + 7] = ' ';
	}
}

#endif
