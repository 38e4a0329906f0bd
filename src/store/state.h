/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of a jail that runs (or was being started or stopped): RUN/jail/NAME/state.json.
 *
 * Written before the first thing is made on the host and removed after the last one is gone, so that any
 * later command can find, check and clean up.  What is in it is a hint; the truth is the kernel's
 * (os_jail_alive).  Written atomically; RUN is a tmpfs, or is treated as one: a state of an earlier boot
 * (boot id differs) has nothing left but its files.
 */
#ifndef BRIG_STORE_STATE_H
#define BRIG_STORE_STATE_H

#include "conf/spec.h"
#include "os/os.h"
#include "store/store.h"

enum state_phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct state {
	char *name;
	int jid;
	enum state_phase phase;
	struct os_ref ref;	  /* ref.pid 0: not created yet */
	uint32_t idbase;
	char *template, *release; /* what it was started on; status reads the mount instead */
	char *path, *hostname;
	char *consolelog;
	int64_t started; /* seconds since 1970 */
	bool ephemeral;	 /* brig run: the jailspace goes with the jail */
	struct params params; /* in effect when it started: spec_from_params() */
};
void state_free(struct state *st);

/* 1 found, 0 no such state. */
int state_read(const struct store *s, const char *jail, struct state *ret, struct err *e);
int state_write(const struct store *s, const struct state *st, struct err *e);
int state_remove(const struct store *s, const char *jail, struct err *e);
/* All of them, by JID. The caller frees each and the array. */
int state_list(const struct store *s, struct state **ret, size_t *ret_n, struct err *e);
/* Reserves a JID (0: the next free, wrapping at 999999, not reused before) under the registry lock and
 * writes st with it.  -EEXIST: "jail N already exists" / 'jail "x" already exists'. */
int state_claim(const struct store *s, struct state *st, int want_jid, struct err *e);
/* By name or, all digits, by JID.  1 found. */
int state_find(const struct store *s, const char *name_or_jid, struct state *ret, struct err *e);
/* RUN/jail/NAME, created. */
int state_dir(const struct store *s, const char *jail, int *ret_fd, struct err *e);

/* RUN/hosts/hosts: addresses and names of all running jails, replaced in one rename; seen in each jail. */
int state_write_hosts(const struct store *s, struct err *e);

#endif
