/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The installation: where BASE, RUN and the logs are, and who holds what there.  doc/STATE.md lists every
 * file.  Everything is reached by descriptors of directories that only root may write.
 *
 *	BASE/j	BASE/js (0700)	BASE/templates	RUN/jail/NAME/	RUN/lock/	LOG/
 *
 * An installation has a tag: "" for the default RUN directory, otherwise 6 hex digits made from RUN's real
 * path.  The host layer puts it into the names of what it makes, so that installations do not meet.
 */
#ifndef BRIG_STORE_STORE_H
#define BRIG_STORE_STORE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"
#include "conf/conf.h"

#define STORE_BASE "/var/lib/brig"
#define STORE_RUN "/run/brig"
#define STORE_LOG "/var/log/brig"
#define STORE_TEMPLATE CONF_TEMPLATE /* the default template; its skeleton is j/skel */

struct store {
	char *base, *run, *log; /* canonical; log is STORE_LOG, or RUN/log where RUN is not the default */
	char tag[8];
	int base_fd, j_fd, js_fd, templates_fd; /* -EBADF where it does not exist (STORE_READ) */
	int run_fd, lock_fd, log_fd;
	int jail_fd, jid_fd, hosts_fd; /* RUN/jail, RUN/jid, RUN/hosts */
	int record_fd;                 /* js/.brig */
};

#define STORE_READ 0   /* what is missing stays missing */
#define STORE_CREATE 1 /* makes the directories (root) */
int store_open(const char *base, const char *run, int flags, struct store *ret, struct err *e);
void store_close(struct store *s);

/* A name of j/ that is not a jail's: templates, skeletons, mroot, mroot2, mroot.DATE, skel. */
bool store_reserved(const struct store *s, const char *name);

/* Locks (base/lock.h).  kind: "jail", "template"; NULL name: the registry of JIDs and ids. */
int store_lock(const struct store *s, const char *kind, const char *name, int wait_ms, int *ret_fd,
	       struct err *e);
/* What it was for is gone: takes away the file of a lock that the caller holds. */
void store_lock_forget(const struct store *s, const char *kind, const char *name);

/*
 * The record of a jail: what is kept for its whole life, js/.brig/NAME.json.  Written atomically with
 * fsync.  The release is the one that its files came from or were last merged with (what it starts on).
 */
enum record_change {
	RECORD_SETTLED,
	RECORD_PREPARED, /* everything is staged; done at the next start (upgrade --no-restart) */
	RECORD_APPLY,    /* decided: the files follow, whoever comes next */
	RECORD_REVERT,   /* decided: the files go back */
};
struct record {
	uint32_t idbase;          /* first of its 65,536 host ids */
	char *template, *release; /* NULL: a jail without a template (ROOT_PATH) */
	char *created;            /* ISO 8601, UTC */
	bool ephemeral;           /* of `brig run`: goes with the jail, or with the command that made it */
	/* upgrades, rollbacks and merges (change.h); empty for a jail that has seen none */
	enum record_change change; /* what is to be done about change_id before it may start */
	unsigned change_id;
	char *change_other;       /* with change: the release that it comes from, goes to, or came from */
	struct record_undo *undo; /* the changes that can be taken back, oldest first */
	size_t n_undo;
	struct record_conflict *conflict; /* what waits for a decision, sorted by path */
	size_t n_conflict;
	struct strv regenerate; /* commands to run in the jail at its next start, before exec.start */
};
struct record_undo {
	unsigned id;
	char *from, *to; /* releases */
};
struct record_conflict {
	char *path; /* in the skeleton: "etc/ssh/sshd_config" */
	char *base; /* the release that the jail's file was last merged with */
	char *why;  /* one line for people, visible ASCII */
};
void record_free(struct record *r);
/* Conflicts are added in any order; an older one of the same path is replaced. */
void record_add_conflict(struct record *r, const char *path, const char *base, const char *why);
const struct record_conflict *record_conflict(const struct record *r, const char *path);
void record_drop_conflict(struct record *r, const char *path);
void record_add_undo(struct record *r, unsigned id, const char *from, const char *to);
/* 1 found, 0 there is none. */
int record_read(const struct store *s, const char *jail, struct record *ret, struct err *e);
int record_write(const struct store *s, const char *jail, const struct record *r, struct err *e);
/* Removes what killed writers left. */
int record_tidy(const struct store *s, struct err *e);
int record_remove(const struct store *s, const char *jail, struct err *e);
int record_list(const struct store *s, struct strv *ret, struct err *e); /* names, sorted */
int record_list_prefix(const struct store *s, const char *prefix, struct strv *ret, struct err *e);
/* A free range; the caller holds the registry lock until the record is written (which keeps the range:
 * js/.brig/ids/N is a link to the jail's name).  4,096 ranges from 0x70000000 (above systemd's containers
 * and Debian's subuids, below 2^31); the search begins at a place that depends on BASE, so that two
 * installations on one host do not begin alike; ranges that /etc/subuid or /etc/subgid gives away, and those
 * that an account of the host has an id in, are passed over. */
#define ID_BASE 0x70000000u
#define ID_COUNT 65536u
#define ID_RANGES 4096u
int record_new_range(const struct store *s, uint32_t *ret, struct err *e);

#endif
