/* SPDX-License-Identifier: BSD-2-Clause */
/* Moves of a walk as words, for the tests of them. */
#ifndef BRIG_TEST_WALK_WORDS_H
#define BRIG_TEST_WALK_WORDS_H

#include "run/walk.h"

#define WORD_MAX 32

/* "+name" up, "-name" down; of the old instance in capitals: "-CREATE". */
static const char *const words[STEP_N] = {
    "mark",     "preupgrade", "intend",      "stage",      "decide",   "prepare", "claim",
    "limits",   "prestart",   "create",      "network",    "redirect", "names",   "listen",
    "created",  "watch",      "sockets",     "keep",       "files",      "hooks",    "upgrade", "start",   "command",
    "services", "health",     "listening",   "poststart",  "hooksafter", "postupgrade", "running", "measure", "finish"};

static void
word_of(const struct move *m, char ret[WORD_MAX])
{
	size_t k = 0;

	ret[k++] = m->way == WAY_UP ? '+' : '-';
	for (const char *p = words[m->step]; *p; p++)
		ret[k++] = m->who == WHO_OLD ? (char)(*p - 'a' + 'A') : *p;
	ret[k] = '\0';
}

#endif
