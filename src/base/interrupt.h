/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INT, TERM and HUP as a value that is asked for, rather than something that happens to whoever runs.
 *
 * What may be interrupted is handed the process' interrupt and asks between two steps and while it waits; what
 * must not be (going back, recovery, removing) is handed NULL, and so is never interrupted, whatever arrived
 * before or arrives meanwhile.
 *
 * From interrupt_catch() on the first signal is only noted.  The second one says on standard error what is
 * being waited for.  The third has its default action: the process ends, and the next command finishes what it
 * was about.  A child made by fork(2) has its own count, which begins with the parent's.
 */
#ifndef BRIG_BASE_INTERRUPT_H
#define BRIG_BASE_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"

struct interrupt {
	volatile sig_atomic_t signals; /* how many have arrived */
	volatile sig_atomic_t last;    /* which one */
};

/* The process' own; caught from the first call on. */
const struct interrupt *interrupt_catch(void);
/* Back to the default action of each; what was noted stays noted. */
void interrupt_release(void);
bool interrupt_pending(const struct interrupt *in); /* NULL: never */
/* -EINTR, "interrupted before WHAT"; 0 when nothing is pending. */
int interrupt_check(const struct interrupt *in, const char *what, struct err *e);
/* What a second signal says: "waiting for WHAT (jail LABEL)".  The last one said counts; label may be NULL. */
void interrupt_waits_for(const char *what, const char *label);

#endif
