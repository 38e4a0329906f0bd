/* SPDX-License-Identifier: BSD-2-Clause */
/* Running a command in a jail: confined exactly as the jail's own processes. */
#ifndef BRIG_OS_EXEC_H
#define BRIG_OS_EXEC_H

#include <stdbool.h>

#include "os/instance.h"

struct os_exec {
	char *const *argv;     /* argv[0] is searched in the PATH inside */
	const char *jail_user; /* looked up in the jail's passwd; NULL: root */
	const char *host_user; /* looked up on the host (jexec -u); at most one of the two */
	bool clean; /* empty environment but for TERM and the user's PATH, HOME, USER, SHELL; cwd is HOME */
	char *const *env_add; /* NAME=VALUE; NULL: none */
	const char *workdir;  /* inside; NULL: the home directory with clean, else "/" */
	bool shell;           /* argv is empty: the user's shell, interactive; /bin/sh when there is none */
	bool login;           /* with shell: as a login shell */
	bool tty;             /* a terminal of the jail's own, connected byte by byte to ours */
	/* <0: the caller's (not with tty).  A terminal is never passed into the jail, nor is a file or
	 * block device open for writing: the command gets a pipe, whose bytes are copied until the last
	 * one that it wrote.  In the background it gets /dev/null for a terminal, and the file itself. */
	int fd_in, fd_out, fd_err;
	struct buf *capture; /* stdout and stderr, at most 64 KiB, instead */
	int timeout_s;       /* 0 none; then the whole process group is killed, -ETIMEDOUT */
	bool background;     /* new session, not waited for */
	/* INT, TERM, HUP and QUIT to this process are passed on to the command, and end it.  Otherwise
	 * the caller's handlers get them, and the command does not. */
	bool signals;
};
#define OS_EXEC_INIT                                    \
	{                                               \
		.fd_in = -1, .fd_out = -1, .fd_err = -1 \
	}
/* 0 and the wait status; <0: the command could not be started.  If its program is missing (message "COMMAND:
 * No such file or directory") or cannot be run, *ret_status is that of exit 127 or 126; otherwise it is left
 * alone. */
int os_jail_exec(const struct os_id *id, const struct os_ref *ref, const struct jailspec *spec,
		 const struct os_exec *x, int *ret_status, struct err *e);

#endif
