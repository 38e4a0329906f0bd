/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An installation in memory for t_walks: two releases, three jails, the host of os/fake; and what must be true of
 * them at any time when no command is at work.
 */
#ifndef BRIG_TEST_WALKS_LAB_H
#define BRIG_TEST_WALKS_LAB_H

#include "os/fake/fake.h"
#include "run/run.h"
#include "store/change/change.h"

#define R1 "20060601"
#define R2 "20060602"

enum { DB, WWW, MAIL, JAILS };
extern struct store lab_store;
extern const char *const lab_name[JAILS];
extern struct jailspec *lab_spec[JAILS];
extern char *lab_top;

void lab_open(void);
void lab_close(void);
/* Nothing but the releases is there; an empty host. */
void lab_wipe(void);
/* The jail, with changes of its own in etc/conf and etc/clash, on R1; started when run. */
void lab_make(int jail, bool run);
/* A jail whose jailspace is an image, instead of the one that is there. */
void lab_use_image(int jail);
void lab_use_directory(int jail);

/* The machine loses power; run_too: the run directory is in memory. */
void lab_reboot(bool run_too);
/* As every command begins (cli_recover() of src/cli/main.c).  "" or what went wrong; the caller frees. */
char *lab_next_command(void);

/* What may be so of a jail. */
enum { ABSENT = 1, STOPPED = 2, RUNNING = 4 };
enum { ON_R1 = 1, ON_R2 = 2 };
struct lab_want {
	unsigned is, on;
	bool decided;  /* the conflict of etc/clash is no more */
	bool prepared; /* a change may wait for the next start */
	bool pristine; /* it has no changes of its own */
};
/* Adds a line to wrong for everything that is not as it must be. */
void lab_check(const struct lab_want want[JAILS], struct buf *wrong);
/* What runs is stopped, and stays so; nothing is left on the host. */
void lab_check_stops(struct buf *wrong);
bool lab_runs(int jail);
ino_t lab_root(const char *release);

#endif
