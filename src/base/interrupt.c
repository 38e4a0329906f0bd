/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/mem.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
static struct interrupt process;
static pid_t owner; /* who says what is waited for: not each of its children */
/* Written whole, then its length: the handler may come at any moment and prints what is complete. */
static char waits[2][160];
static volatile sig_atomic_t waits_len[2], waits_now;

static void
on_signal(int sig)
{
	int keep = errno;

	process.last = sig;
	process.signals++;
	if (process.signals == 2 && getpid() == owner && waits_len[waits_now] > 0)
		(void)!write(STDERR_FILENO, waits[waits_now], (size_t)waits_len[waits_now]);
	if (process.signals >= 2)
		for (size_t i = 0; i < ARRAY_LEN(signals); i++)
			(void)signal(signals[i], SIG_DFL);
	errno = keep;
}

const struct interrupt *
interrupt_catch(void)
{
	struct sigaction sa = {.sa_handler = on_signal}, now;

	owner = getpid();
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		/* one that our caller has told us to ignore (nohup(1)) stays ignored */
		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN)
			continue;
		if (process.signals < 2)
			(void)sigaction(signals[i], &sa, NULL);
	}
	if (!waits_len[waits_now])
		interrupt_waits_for("the step that has begun", NULL);
	return &process;
}

void
interrupt_release(void)
{
	struct sigaction now;

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == on_signal)
			(void)signal(signals[i], SIG_DFL);
}

bool
interrupt_pending(const struct interrupt *in)
{
	return in && in->signals > 0;
}

int
interrupt_check(const struct interrupt *in, const char *what, struct err *e)
{
	return interrupt_pending(in) ? err_set(e, EINTR, "interrupted before %s", what) : 0;
}

void
interrupt_waits_for(const char *what, const char *label)
{
	int next = !waits_now;
	int n = label ? snprintf(waits[next], sizeof(waits[next]),
				 "brig: %s: interrupted; waiting for %s (a third signal ends brig at once; "
				 "the next command finishes)\n",
				 label, what)
		      : snprintf(waits[next], sizeof(waits[next]),
				 "brig: interrupted; waiting for %s (a third signal ends brig at once; "
				 "the next command finishes)\n",
				 what);

	waits_len[next] = n < 0 ? 0 : n < (int)sizeof(waits[next]) ? n : (int)sizeof(waits[next]) - 1;
	waits_now = next;
}
