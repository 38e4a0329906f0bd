/* SPDX-License-Identifier: BSD-2-Clause */
/* The seccomp program of a jail, made from the lists of calls.c.  Only for confine.c and its test. */
#ifndef BRIG_OS_LINUX_CONFINE_FILTER_H
#define BRIG_OS_LINUX_CONFINE_FILTER_H

#include <linux/filter.h>

#include "base/err.h"
#include "conf/spec.h"

/* What of a specification the program depends on, as a bit mask: equal keys, equal programs. */
unsigned filter_key(const struct jailspec *spec);
/* ret->filter is malloc'ed. */
int filter_make(unsigned key, struct sock_fprog *ret, struct err *e);

#endif
