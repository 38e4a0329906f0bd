/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside os/linux: what the files that put a jail together share.
 *
 *	create.c	the processes: caller, builder, first process; the order of everything
 *	inside.c	the first process, from its birth to the start of brig-init
 *	mounts.c	"/", "/s", "/run", "/sys", and pivot_root(2)
 *	space.c		jailspaces that are an image, a device or in memory
 *	dev.c procfs.c	"/dev", "/proc"
 *	fstab.c		the mounts of the configuration
 *	keep.c		what a jail that takes another's place joins
 *	network/listen.c	sockets that are made for the services
 *
 * The mount functions run in the builder: a process of the host's root in a mount namespace of its own,
 * before the jail's user namespace owns any mount.  That order is what makes every mount locked for the jail.
 */
#ifndef BRIG_OS_LINUX_INSTANCE_BUILD_H
#define BRIG_OS_LINUX_INSTANCE_BUILD_H

#include "os/instance.h"
#include "os/linux/limits/limit.h"

struct build {
	const struct jailspec *spec;
	const struct os_root *root;
	int userns, pidns; /* of the jail */
	int null_fd;       /* the host's /dev/null, checked */
	int group;         /* the jail's control group of version 2, or -EBADF */
	int tree;          /* the jail's "/": first detached, then attached in the builder's namespace */
	int space, hosts;  /* detached, or -EBADF */
	struct limit_view view; /* of its control groups: detached mounts */
};
#define BUILD_INIT                                                                                     \
	{                                                                                              \
		.userns = -EBADF, .pidns = -EBADF, .null_fd = -EBADF, .group = -EBADF, .tree = -EBADF, \
		.space = -EBADF, .hosts = -EBADF                                                       \
	}

/*
 * The user and network namespace of a running instance that the new one joins (os_new.keep).  The two share
 * these and what is writable on disk, and nothing else:
 *
 *  - Signals, ptrace(2), /proc, pidfds need a process that is visible.  The new pid namespace is a sibling of
 *    the old one, and the processes that make it are the host's: the old jail's root sees none of them, and
 *    its capabilities over the common user namespace reach none.
 *  - Joining the new namespaces needs CAP_SYS_ADMIN in the user namespace and setns(2): a jail has neither.
 *  - Before confine() the new first process executes and reads nothing that the old one could have written.
 *    Keys: it has a session keyring of its own, and the system call filter keeps both from any other.
 *  - In the common network the old instance can hold ports and abstract UNIX names that the new one wants,
 *    and speak to it, as any process of the same jail can; and it can use up what the kernel counts by user
 *    (message queues, locked memory).  The new one's programs run after the old one has been killed.
 *  - A socket of `listen` that is taken over stays as the old one has left it: options, packet filters.
 */
struct keep {
	int userns, netns; /* netns -EBADF: the host's, which both have */
};
#define KEEP_INIT              \
	{                      \
		-EBADF, -EBADF \
	}
int keep_open(const struct os_ref *ref, const struct jailspec *spec, struct keep *ret, struct err *e);
void keep_close(struct keep *k);
/* Are the ids of the process behind procfd (proc_dir()) mapped to idbase to idbase + 65535? */
int keep_check_ids(int procfd, uint32_t idbase, struct err *e);

/* Detached copies of the caller's directories, open_tree(2); before the caller's mount namespace is left,
 * since a mount of another namespace cannot be copied. */
int mounts_take(struct build *b, const struct os_id *id, struct err *e);
/* All mounts of the jail, in the builder's namespace. */
int mounts_build(struct build *b, struct err *e);
/* pivot_root(2): makes the tree the root of the builder's mount namespace and of every process in it, and
 * unmounts the host's. */
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
	const struct keep *keep; /* NULL: everything is new */
	int go;                  /* one byte from the builder each time it may go on */
	int report;              /* struct report, see create.c */
	int proc;                /* the host's /proc, O_PATH: after mounts_pivot() that path is the jail's */
	int ctl, log, logrw, status, exe;
	char *const *argv;
	char *names; /* "LISTEN_FDNAMES=...", or NULL */
};
_Noreturn void inside_main(struct inside *in);

/* Messages to the caller while a jail is made: the pid of the first process or of the joiner (create.c),
 * or an error. */
struct report {
	pid_t pid, joiner;
	struct err e;
};
void report_err(int fd, const struct err *e);
/* brig-init's file, to be executed by descriptor. */
int init_open(int *ret_fd, struct err *e);
/* Gives sockets to the first process of a jail that was not released, and waits until it has them. */
int jail_give(struct os_jail *j, const int *fds, size_t n, struct err *e);
const struct os_ref *jail_ref(const struct os_jail *j);
/* Asks for SIGKILL when the parent ends (PR_SET_PDEATHSIG), and exits if it has ended already: hangup is
 * a socket whose other end only the parent has. */
void die_with_parent(int hangup);

#endif
