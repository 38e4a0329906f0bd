/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running another program: explicit arguments, environment and descriptors, a time limit, no shell unless
 * asked for.  The child gets stdin, stdout and stderr as given, everything else is closed; signals have
 * their default action and nothing is blocked; it leads its own process group, so that a time-out ends all
 * of it.
 */
#ifndef BRIG_BASE_CHILD_H
#define BRIG_BASE_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

struct child {
	char *const *argv;
	char *const *envp;         /* NULL: ours */
	const char *input;         /* written to its stdin (needs no fd_in) */
	int fd_in, fd_out, fd_err; /* descriptors; <0: /dev/null for stdin, ours for the others */
	int cwd_fd;                /* <0: stays where we are */
	int timeout_s;             /* 0: none.  Then TERM, a second later KILL to the group; -ETIMEDOUT */
	struct buf *capture; /* stdout and stderr go here (at most 64 KiB), instead of fd_out and fd_err */
	bool background;     /* new session, not waited for */
	uid_t uid;           /* with set_ids */
	gid_t gid;
	const char *user; /* for initgroups(3); NULL: no supplementary groups */
	bool set_ids;
};
#define CHILD_INIT                                                    \
	{                                                             \
		.fd_in = -1, .fd_out = -1, .fd_err = -1, .cwd_fd = -1 \
	}

/* 0: it ran and exited with *ret_status as from waitpid(2).  <0: it could not be run, or -ETIMEDOUT. */
int child_run(const struct child *c, int *ret_status, struct err *e);
/* The same, and anything but exit status 0 is an error: "CMD: exited with status 3: last line of its
 * output". */
int child_must(const struct child *c, struct err *e);
/* waitpid(2), repeated after EINTR. */
int child_wait(pid_t pid, int *ret_status);
/* jail(8)'s rule for a command string: `sh -c` if it has one of !"$&'()*;<>?[\]`{|}~, else split at blanks.
 * A single '&' at the very end is cut off and sets *ret_background (ret_background may be NULL: then kept).
 */
void child_command_argv(const char *command, struct strv *ret_argv, bool *ret_background);

#endif
