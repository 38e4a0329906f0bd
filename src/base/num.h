/* SPDX-License-Identifier: BSD-2-Clause */
/* Strict numbers: the whole string, decimal, no sign, no blanks.  0, or -EINVAL / -ERANGE. */
#ifndef BRIG_BASE_NUM_H
#define BRIG_BASE_NUM_H

#include <stdint.h>

int num_u64(const char *s, uint64_t max, uint64_t *ret);
int num_int(const char *s, int min, int max, int *ret); /* a leading '-': below 0, -ERANGE where min is not */
int num_size(const char *s, uint64_t *ret); /* bytes; suffix k m g t p (1024), any case, as mdconfig(8) */
int num_octal(const char *s, unsigned max, unsigned *ret);

#endif
