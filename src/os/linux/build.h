/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside os/linux: what the files that put a jail together share.
 *
 *	create.c	the processes: caller, builder, first process; the order of everything
 *	inside.c	the first process, from its birth to the start of brig-init
 *	mounts.c	"/", "/s", "/run", "/sys", and the exchange of the root
 *	space.c		jailspaces that are an image, a device or in memory
 *	dev.c procfs.c	"/dev", "/proc"
 *	fstab.c		the mounts of the configuration
 *
 * The mount functions run in the builder: a process of the host's root in a mount namespace of its own,
 * before the jail's user namespace owns any mount.  That order is what makes every mount locked for the jail.
 */
#ifndef BRIG_OS_LINUX_BUILD_H
#define BRIG_OS_LINUX_BUILD_H

#include "os/os.h"

struct build {
	const struct jailspec *spec;
	const struct os_root *root;
	int userns, pidns; /* of the jail */
	int null_fd;       /* the host's /dev/null, checked */
	int tree;          /* the jail's "/": first detached, then attached in the builder's namespace */
	int space, hosts;  /* detached, or -EBADF */
};
#define BUILD_INIT                                                                                     \
	{                                                                                              \
		.userns = -EBADF, .pidns = -EBADF, .null_fd = -EBADF, .tree = -EBADF, .space = -EBADF, \
		.hosts = -EBADF                                                                        \
	}

/* Detached copies of what the caller gave; before the mount namespace is left (a mount of another namespace
 * cannot be copied). */
int mounts_take(struct build *b, struct err *e);
/* All mounts of the jail, in the builder's namespace. */
int mounts_build(struct build *b, struct err *e);
/* Makes the tree the root of the builder's namespace and of every process in it; the host's is gone. */
int mounts_pivot(struct build *b, struct err *e);

/* Has the configuration a mount line of one of these types? */
bool fstab_has_type(const struct jailspec *spec, const char *const *types, size_t n);
int fstab_build(struct build *b, struct err *e);

int dev_build(struct build *b, bool fd_link, struct err *e);
int procfs_build(struct build *b, struct err *e);

/* Detached tmpfs of the jail's root, filled by root->fill from the skeleton. */
int space_tmpfs(struct build *b, int skel, int *ret_fd, struct err *e);

/* The first process.  Never returns; errors go to report. */
struct inside {
	const struct jailspec *spec;
	int go;     /* one byte from the builder each time it may go on */
	int report; /* struct report, see create.c */
	int ctl, log, logrw, status, exe;
	char *const *argv;
};
_Noreturn void inside_main(struct inside *in);

/* Messages to the caller while a jail is made: the pid of the first process, or an error. */
struct report {
	pid_t pid;
	struct err e;
};
void report_err(int fd, const struct err *e);
/* Asks for SIGKILL at the end of the parent, and ends at once if that was already: hangup is a socket whose
 * other end only the parent has. */
void die_with_parent(int hangup);

#endif
