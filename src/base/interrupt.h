/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INT, TERM and HUP as a value that is asked for. A function that may be interrupted gets the process'
 * interrupt, and asks between two steps and while it waits. A function that must not be (going back,
 * recovery, removing) gets NULL, and no signal interrupts it. From interrupt_catch() on the first signal is
 * only noted.  The second one prints on standard error what is being waited for.  The third has its default
 * action: the process ends, and the next command finishes its work.  A child made by fork(2) has its own
 * count, which begins with the parent's.
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

/* The process' own interrupt; the first call installs the handlers. */
const struct interrupt *interrupt_catch(void);
/* Restores the default actions; what was noted stays noted. */
void interrupt_release(void);
bool interrupt_pending(const struct interrupt *in); /* NULL: never */
/* -EINTR, "interrupted before WHAT"; 0 when nothing is pending. */
int interrupt_check(const struct interrupt *in, const char *what, struct err *e);
/* What a second signal prints: "waiting for WHAT (jail LABEL)".  The latest call counts; label may be
 * NULL. */
void interrupt_waits_for(const char *what, const char *label);

#endif
