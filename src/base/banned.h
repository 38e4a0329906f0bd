/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions that must not be used; the build includes this file in every source file.  num.h, mem.h and
 * snprintf replace them. */
#ifndef BRIG_BASE_BANNED_H
#define BRIG_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll strtol strtoul strtoll strtoull
#pragma GCC poison gets mktemp tmpnam tempnam ctime asctime

#endif
