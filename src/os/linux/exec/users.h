/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user that a command in a jail runs as.  The jail's passwd and group are read as text, with limits:
 * getpwnam(3) would read the host's, and the jail's name services (nsswitch.conf(5)) would be code of the
 * jail in our process.
 */
#ifndef BRIG_OS_LINUX_EXEC_USERS_H
#define BRIG_OS_LINUX_EXEC_USERS_H

#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"
#include "os/exec.h"

#define USER_GROUPS_MAX 256

struct user {
	uid_t uid;
	gid_t gid;
	char *name, *home, *shell; /* never NULL once found */
	gid_t groups[USER_GROUPS_MAX];
	size_t n_groups;
};
void user_free(struct user *u);

/* In the process that is in the jail: looks in /etc/passwd and /etc/group.  NULL: root, which needs no entry.
 */
int user_inside(const char *name, struct user *ret, struct err *e);
/* On the host (jexec -u); the ids must be ones that a jail has. */
int user_outside(const char *name, struct user *ret, struct err *e);

/* The parts of user_inside() that only look at text (changed by it).  1 found. */
int passwd_find(char *text, const char *name, struct user *ret);
void group_find(char *text, struct user *u);

/* The environment of a command, as struct os_exec says (os/exec.h), from the caller's environment. */
void user_env(const struct user *u, const struct os_exec *x, char *const *environment, struct strv *ret);

#endif
