/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside os/fake: what the host is. */
#ifndef BRIG_OS_FAKE_FAKE_INT_H
#define BRIG_OS_FAKE_FAKE_INT_H

#include "os/fake/fake.h"

#define FAKE_JAILS 32
#define FAKE_THINGS 96
#define FAKE_NAME 40
#define FAKE_PID 100000 /* pids of first processes: no process of the real host is meant */

struct fake_jail {
	bool used, released;
	struct os_ref ref;
	char tag[8], name[FAKE_NAME];
	int jid;
	dev_t dev;
	ino_t ino;
	pid_t creator; /* holds a lock as long as it lives, see fake_alive() */
	size_t listen, services;
	dev_t space_dev; /* of the image or device that it has mounted */
	ino_t space_ino;
};
enum fake_kind { FAKE_GROUP, FAKE_NETWORK, FAKE_REDIRECT, FAKE_KINDS };
struct fake_thing {
	bool used;
	enum fake_kind kind;
	char tag[8], name[FAKE_NAME];
	int jid;
};
struct fake_host {
	unsigned boot;
	int64_t last_pid;
	bool can_keep;
	struct fake_jail jail[FAKE_JAILS];
	struct fake_thing thing[FAKE_THINGS];
	char wrong[512];
};
extern struct fake_host *fake_host;

/* Between these nobody else changes the host; also given back by a death. */
void fake_lock(void);
void fake_unlock(void);
/* The calling process is the creator of this slot, until it dies or lets go. */
void fake_hold(size_t slot);
void fake_let_go(size_t slot);
bool fake_held_by_other(size_t slot);

void fake_end(const char *name); /* every instance */
/* Under the lock.  The jail, or NULL: it is gone. */
struct fake_jail *fake_find(const struct os_ref *ref);
bool fake_alive(struct fake_jail *j);
struct fake_thing *fake_thing(enum fake_kind kind, const struct os_id *id);
int fake_thing_add(enum fake_kind kind, const struct os_id *id, struct err *e);
void fake_thing_remove(enum fake_kind kind, const struct os_id *id);
void fake_boot(char boot[40]);
void fake_script_reset(void);
int fake_command_status(const char *command, ino_t root); /* by the script; 0 */
void fake_tell_run(const struct fake_jail *j, const char *command);
/* What the host itself does to files is not a call. */
void fake_quiet(bool yes);
/* fake_enter() with a message. */
int fake_begin(const char *call, const char *about, struct err *e);

#endif
