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
#include "base/interrupt.h"
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

/* A name of j/ that is not a jail's: templates, skeletons, mroot, mroot2, mroot.DATE, skel; also one that cannot
 * be looked at. */
bool store_reserved(const struct store *s, const char *name);
/* 0: a jail may be called so; else what is wrong. */
int store_check_name(const struct store *s, const char *name, struct err *e);

/* Locks (base/lock.h).  doc/STATE.md says what each is for, and in which order they are taken. */
struct store_want {
	/* "run", "upgrade", "template", "apt", "jail" and the name of one; "registry", "hosts" and NULL */
	const char *kind, *name;
	int wait_ms;                /* 0: not at all, -1: without limit */
	const struct interrupt *in; /* NULL: the wait is not interrupted */
};
int store_lock(const struct store *s, const struct store_want *want, int *ret_fd, struct err *e);
/* Does not wait. */
int store_lock_try(const struct store *s, const char *kind, const char *name, int *ret_fd, struct err *e);
/* "registry" or "hosts": waits without limit. */
int store_lock_wait(const struct store *s, const char *kind, int *ret_fd, struct err *e);
/* Removes the file of a lock that the caller holds, when what it was for does not exist any more. */
void store_lock_remove(const struct store *s, const char *kind, const char *name);

#endif
