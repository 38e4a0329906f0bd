/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host that is only in memory: the whole interface to the host (os/os.h) for tests, without root and
 * without waiting.
 *
 * All of it is in one mapping that processes made by fork(2) share: what a killed process leaves stays, as it
 * does in a kernel.  A jail that was not released ends with the process that made it.
 *
 * Every function of the interface is a call, and so is whatever else a test puts between fake_enter() and
 * fake_leave() (files: test/unit/walks_file.c).  Calls are counted from 1 on, over all processes; the script
 * says what happens at which of them.
 *
 * Commands in a jail: "true", "false", "end" (the jail ends by itself); every other one succeeds.
 */
#ifndef BRIG_OS_FAKE_FAKE_H
#define BRIG_OS_FAKE_FAKE_H

#include "os/os.h"

/* An empty host in its first boot, no script, the count at 0.  The first call makes the mapping. */
void fake_reset(void);
/* Everything that runs ends, networks, redirections and groups are gone, the boot has another id. */
void fake_reboot(void);

/* ---- the script ---- */

enum fake_when { FAKE_BEFORE, FAKE_AFTER };
/* One call fails, and changes nothing.  Functions that have no error ignore it. */
void fake_fail(unsigned at, int num);
/* A signal arrives: group: for all processes of the group (a key of the terminal), otherwise for its leader. */
void fake_signal(unsigned at, enum fake_when when, int sig, bool group);
/* group: all processes of the group die; otherwise the one that makes the call. */
void fake_kill(unsigned at, enum fake_when when, bool group);
/* The first process of the jail dies. */
void fake_ends(unsigned at, const char *name);
/* This command fails with a status (1 to 255) in jails with this root. */
void fake_command(const char *command, ino_t root, int status);
/* Can a jail be made beside a running one?  After fake_reset(): yes. */
void fake_can_keep(bool yes);
void fake_clear_script(void); /* but for commands; the count goes on */

/* ---- calls ---- */

/* 0, or -errno when the call is to fail.  call: a constant. */
int fake_enter(const char *call, const char *about);
void fake_leave(void);
unsigned fake_calls(void);
struct fake_call {
	const char *call;
	char about[40];
};
/* The N-th, as far back as they are kept; NULL: not known. */
const struct fake_call *fake_call(unsigned n);
/* Errors that a call of this name can have; ends with 0. */
const int *fake_errors(const char *call);

/* ---- what is there ---- */

/* As text, in a fixed order, without pids: "jail www 1 of 20060601", "network www 1", ... The caller frees. */
char *fake_dump(void);
/* How many jails of that name live. */
size_t fake_living(const char *name);
/* What brig did to this host that it must not; "" when nothing. */
const char *fake_wrong(void);
void fake_say_wrong(const char *fmt, ...) _printf_(1, 2);
/* Called in the process that runs something in a jail, before it: command NULL when its services start. */
struct fake_run {
	const char *name, *command;
	dev_t dev; /* of the jail's root */
	ino_t ino;
};
void fake_on_run(void (*fn)(const struct fake_run *run));

#endif
