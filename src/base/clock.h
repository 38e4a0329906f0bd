/* SPDX-License-Identifier: BSD-2-Clause */
/* The time as this program needs it: for waiting, and as text in records. */
#ifndef BRIG_BASE_CLOCK_H
#define BRIG_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

long clock_ms(void);    /* milliseconds since some fixed moment (CLOCK_MONOTONIC) */
int64_t clock_us(void); /* microseconds, the same */
bool clock_same(const struct timespec *a, const struct timespec *b);
char *clock_utc(void); /* now, ISO 8601: "2006-06-01T12:00:00Z"; the caller frees */

#endif
