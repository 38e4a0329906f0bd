/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "base/num.h"

static int
digits(const char *s, size_t len, unsigned radix, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned d = (unsigned)(s[i] - '0');

		if (d >= radix)
			return -EINVAL;
		if (__builtin_mul_overflow(v, radix, &v) || __builtin_add_overflow(v, d, &v) || v > max)
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int
num_u64(const char *s, uint64_t max, uint64_t *ret)
{
	return digits(s, strlen(s), 10, max, ret);
}

int
num_int(const char *s, int min, int max, int *ret)
{
	uint64_t v;
	int neg = *s == '-';
	int r = digits(s + neg, strlen(s + neg), 10, INT32_MAX, &v);
	int n;

	if (r < 0)
		return r;
	n = neg ? -(int)v : (int)v;
	if ((neg && min >= 0) || n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}

int
num_size(const char *s, uint64_t *ret)
{
	static const char units[] = "bkmgtp";
	size_t len = strlen(s);
	unsigned shift = 0;
	const char *u;
	uint64_t v;
	int r;

	if (len > 0 && (u = strchr(units, s[len - 1] | 0x20)) && s[len - 1] > '9') {
		shift = 10 * (unsigned)(u - units);
		len--;
	}
	r = digits(s, len, 10, UINT64_MAX >> shift, &v);
	if (r < 0)
		return r;
	*ret = v << shift;
	return 0;
}

int
num_octal(const char *s, unsigned max, unsigned *ret)
{
	uint64_t v;
	int r = digits(s, strlen(s), 8, max, &v);

	if (r < 0)
		return r;
	*ret = (unsigned)v;
	return 0;
}
