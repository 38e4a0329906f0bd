/* SPDX-License-Identifier: BSD-2-Clause */
/* The host itself: what it supports, and functions that concern no jail. */
#ifndef BRIG_OS_HOST_H
#define BRIG_OS_HOST_H

#include <sys/types.h>

#include "base/err.h"

/* What this host, kernel and user can do; printed by `brig doctor`. */
struct os_feature {
	const char *name;   /* "user namespaces" */
	const char *needed; /* for what: "every jail", "limit.memory" */
	int state;          /* 1 works, 0 missing, -1 missing and nothing starts without it */
	char detail[160];   /* why, and what to do */
};
int os_features(struct os_feature **ret, size_t *ret_n, struct err *e); /* the caller frees */
/* Checks, before anything is made, that the caller has the privileges and the kernel has what every jail
 * needs.  The message is one line: what is missing, and what to do. */
int os_ready(struct err *e);
/* Identifies this boot. */
int os_boot_id(char buf[40], struct err *e);

/* Runs work() in a child.  All processes that it starts and all mounts that it makes end when work()
 * returns, and also when the caller dies: for package tools and scripts that fill a template.  The host
 * name is OS_CONTAINED_NAME for them, so that files which they write it into can be found.  work() cannot
 * change the caller's memory.  os_contained_wait() returns the result of work(), with its message. */
#define OS_CONTAINED_NAME "brig-template.invalid"
struct os_task {
	pid_t pid;
	int report_fd;
};
int os_contained_start(int (*work)(void *ctx, struct err *e), void *ctx, struct os_task *ret, struct err *e);
int os_contained_wait(struct os_task *t, struct err *e);

/* The path of a static busybox of the host; NULL: there is none. */
const char *os_busybox(void);

#endif
