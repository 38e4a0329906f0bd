/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of a jail that runs (or was being started or stopped): RUN/jail/NAME/state.json.
 *
 * It is for root: parameters have commands in them, and their secrets.  Others read shown.json, the same
 * without parameters, of jails that run.
 *
 * Written before the first thing is made on the host and removed after the last one is gone, so that any
 * later command can find, check and clean up.  What is in it is a hint; the truth is the kernel's
 * (os_jail_alive).  Written atomically; RUN is a tmpfs, or is treated as one: a state of an earlier boot
 * (boot id differs) has nothing left but its files.
 */
#ifndef BRIG_STORE_RECORD_STATE_H
#define BRIG_STORE_RECORD_STATE_H

#include "conf/spec.h"
#include "os/instance.h"
#include "store/store.h"

enum state_phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct state {
	char *name;
	int jid;
	enum state_phase phase;
	struct os_ref ref; /* ref.pid 0: not created yet */
	uint32_t idbase;
	char *template, *release; /* what it was started on; status reads the mount instead */
	char *path, *hostname;
	char *consolelog;
	int64_t started;      /* seconds since 1970 */
	bool ephemeral;       /* brig run: the jailspace goes with the jail */
	struct params params; /* in effect when it started: spec_from_params() */
	char *ip4;            /* its first IPv4 address, or NULL: made of params by state_write() */
};
void state_free(struct state *st);

/* 1: found, 0: there is no state, -EINVAL: it is damaged (the message names the command that removes the
 * jail), another error: it cannot be read. */
int state_read(const struct store *s, const char *jail, struct state *ret, struct err *e);
int state_write(const struct store *s, const struct state *st, struct err *e);
int state_remove(const struct store *s, const char *jail, struct err *e);
/* For a jail whose state is damaged: what shown.json has, without params.  1: found. */
int state_read_shown(const struct store *s, const char *jail, struct state *ret, struct err *e);
/* All states, by JID, without the damaged ones.  The caller frees each and the array. */
int state_list(const struct store *s, struct state **ret, size_t *ret_n, struct err *e);
/* The same without params, in a third of the time: for lists of a thousand jails. */
int state_list_brief(const struct store *s, struct state **ret, size_t *ret_n, struct err *e);
/* The same, with or without params, and the names of the jails whose state is damaged. */
int state_list_all(const struct store *s, bool brief, struct state **ret, size_t *ret_n, struct strv *damaged,
		   struct err *e);
/* RUN/jid/N is a link to the name of the jail with JID N; RUN/jid/last holds the last one given. */
/* For a jail whose state is damaged: a JID whose link names it.  1: found. */
int state_jid_of(const struct store *s, const char *jail, int *ret, struct err *e);
int state_remove_jid(const struct store *s, int jid, struct err *e);
/* Removes what a command left that was killed while it claimed a JID: links without a state, and directories
 * without a state that no command has locked.  list: all states, by JID. */
int state_tidy(const struct store *s, const struct state *list, size_t n, struct err *e);
/* Claims a JID (0: the next free one; after 999999 comes 1 again) under the registry's lock and writes st
 * with it. -EEXIST: "jail N already exists" or 'jail "x" already exists'. */
int state_claim(const struct store *s, struct state *st, int want_jid, struct err *e);
/* Gives out the next free JID, for a jail whose name is its number (jail(8) without name=). */
int state_next_jid(const struct store *s, int *ret, struct err *e);
/* By name or, if it is all digits, by JID.  1: found. */
int state_find(const struct store *s, const char *name_or_jid, struct state *ret, struct err *e);
/* Service records (init/proto.h) in RUN/jail/NAME; NEXT: those of the instance that will replace the running
 * one. */
#define STATE_FILE "state.json"
#define STATE_SHOWN "shown.json"
#define STATE_SERVICES "services"
#define STATE_SERVICES_NEXT "services.next"
/* Opens RUN/jail/NAME, and makes it when it is missing. */
int state_dir(const struct store *s, const char *jail, int *ret_fd, struct err *e);

/*
 * Names.  RUN/hosts/hosts has the addresses and names of all running jails, one line an address with the
 * jail's name behind '#', replaced in one rename; RUN/hosts/resolv.conf is the host's, without name servers
 * that only the host reaches.  The directory is seen in every jail as /run/brig.
 */
/* Writes the jail's lines; spec NULL: removes them.  If the file cannot be read it is made anew from all
 * states. */
int hosts_set(const struct store *s, const char *jail, const struct jailspec *spec, struct err *e);
/* The addresses that the hosts file has for a jail. */
int hosts_addrs(const struct store *s, const char *jail, struct strv *ret4, struct strv *ret6, struct err *e);
/* Opens the directory that a jail sees: the common one; for a jail without addresses, which can reach nobody,
 * one of its own, RUN/jail/NAME/hosts, in which its name is 127.0.1.1. */
int hosts_dir(const struct store *s, const struct jailspec *spec, int *ret_fd, struct err *e);

#endif
