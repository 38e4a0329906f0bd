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

/* 1 found, 0 no such state; -EINVAL it is damaged (the message says what takes the jail away), another error: it cannot
 * be read. */
int state_read(const struct store *s, const char *jail, struct state *ret, struct err *e);
int state_write(const struct store *s, const struct state *st, struct err *e);
int state_remove(const struct store *s, const char *jail, struct err *e);
/* Of a damaged one: what shown.json has, without params; 1 found. */
int state_read_shown(const struct store *s, const char *jail, struct state *ret, struct err *e);
/* All of them, by JID; damaged ones are passed over.  The caller frees each and the array. */
int state_list(const struct store *s, struct state **ret, size_t *ret_n, struct err *e);
/* The same without params, three times as fast: for lists of a thousand. */
int state_list_brief(const struct store *s, struct state **ret, size_t *ret_n, struct err *e);
/* Either, and the names of the damaged ones. */
int state_list_all(const struct store *s, bool brief, struct state **ret, size_t *ret_n, struct strv *damaged,
		   struct err *e);
/* RUN/jid/N is a link to the name of the jail with JID N; RUN/jid/last holds the last one given. */
/* A JID that is linked to this jail, whose state is damaged.  1 found. */
int state_jid_of(const struct store *s, const char *jail, int *ret, struct err *e);
int state_remove_jid(const struct store *s, int jid, struct err *e);
/* Takes away what a command killed while it claimed a JID left: links without a state, directories without
 * one (those that nobody has locked).  list: all states, by JID. */
int state_tidy(const struct store *s, const struct state *list, size_t n, struct err *e);
/* Reserves a JID (0: the next free, wrapping at 999999, not reused before) under the registry lock and
 * writes st with it.  -EEXIST: "jail N already exists" / 'jail "x" already exists'. */
int state_claim(const struct store *s, struct state *st, int want_jid, struct err *e);
/* The next free JID, passed over from now on: for a jail whose name is its number (jail(8) without name=). */
int state_next_jid(const struct store *s, int *ret, struct err *e);
/* By name or, all digits, by JID.  1 found. */
int state_find(const struct store *s, const char *name_or_jid, struct state *ret, struct err *e);
/* Service records (init/proto.h) in RUN/jail/NAME; NEXT: of the instance that will take the jail's place. */
#define STATE_FILE "state.json"
#define STATE_SHOWN "shown.json"
#define STATE_SERVICES "services"
#define STATE_SERVICES_NEXT "services.next"
/* RUN/jail/NAME, created. */
int state_dir(const struct store *s, const char *jail, int *ret_fd, struct err *e);

/*
 * Names.  RUN/hosts/hosts has the addresses and names of all running jails, one line an address with the
 * jail's name behind '#', replaced in one rename; RUN/hosts/resolv.conf is the host's, without name servers
 * that only the host reaches.  The directory is seen in every jail as /run/brig.
 */
/* spec NULL: the jail's lines go.  Where the file cannot be read it is made anew from all states. */
int hosts_set(const struct store *s, const char *jail, const struct jailspec *spec, struct err *e);
/* The addresses that a jail has there. */
int hosts_addrs(const struct store *s, const char *jail, struct strv *ret4, struct strv *ret6, struct err *e);
/* The directory for a jail: the common one, or for a jail without addresses (which reaches nobody) one of
 * its own in RUN/jail/NAME/hosts in which its own name is 127.0.1.1. */
int hosts_dir(const struct store *s, const struct jailspec *spec, int *ret_fd, struct err *e);

#endif
