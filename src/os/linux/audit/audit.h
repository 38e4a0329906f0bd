/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside `brig audit`: what the kernel says of a running jail, gathered first and judged afterwards.
 *
 *	look.c		processes: namespaces, rights, limits, descriptors
 *	mounts.c	mounts, devices, /proc, /sys
 *	audit.c		the judgement: a table of items over struct audit_facts, without a system call
 *	host.c		the host itself
 *
 * The jail's root controls much of what is read: names of files and processes, the number of processes and
 * descriptors.  So no link is followed (openat2(2)), nothing read is used as a path on the host, text is cut
 * and made printable, and what there can be any number of is counted up to a limit.  Of the jail's files only
 * the directory /dev is opened for reading: FIFOs and devices planted there are not opened.
 *
 * Facts: proc_pid_status(5), proc_pid_mountinfo(5), ioctl_ns(2), capabilities(7), cgroups(7), core(5).
 */
#ifndef BRIG_OS_LINUX_AUDIT_AUDIT_H
#define BRIG_OS_LINUX_AUDIT_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "os/audit.h"

enum audit_ns { AUDIT_USER, AUDIT_MNT, AUDIT_PID, AUDIT_NET, AUDIT_IPC, AUDIT_UTS, AUDIT_CGROUP, AUDIT_NS_N };
enum audit_limit { AUDIT_MEMORY, AUDIT_PIDS, AUDIT_CPU, AUDIT_IO, AUDIT_LIMIT_N };

/* A number counts the processes or threads for which it is so. */
struct audit_facts {
	unsigned processes, threads;
	struct {
		bool own;     /* not the one that brig itself is in */
		bool by_jail; /* the jail's user namespace owns it; without one of its own: never */
	} ns[AUDIT_NS_N];
	unsigned elsewhere; /* in other namespaces than the first process */

	uint64_t lowest_id;  /* the lowest id of the host that a user or group of the jail is */
	int64_t nested_max;  /* user namespaces that may be made inside; -1 not known */
	uint64_t caps;       /* 1 << CAP_*: bounding, permitted or effective, in any thread */
	uint64_t caps_inh;   /* inheritable or ambient, in any thread */
	unsigned new_privs;  /* threads without no_new_privs */
	unsigned unfiltered; /* threads without a seccomp filter */

	bool root_ro;
	struct strv suid, dev, shared,
	    writable;                  /* mounts: not nosuid; not nodev; propagating; the host's, rw */
	struct strv kernel_fs;         /* mounts of sysfs, cgroup and the like */
	struct strv nodes;             /* device nodes in /dev beyond the usual */
	bool own_proc;                 /* no /proc, or an instance that is not the host's */
	struct strv unmasked, proc_rw; /* entries of /proc that can be read; that can be written */

	unsigned dirs, terminals; /* descriptors, roots, working directories outside the jail's mounts */
	bool all_fds;             /* false: too many to look at all of them */

	char *limit[AUDIT_LIMIT_N]; /* its value; NULL: none of its own */
	bool devices;               /* a device controller that is not open for all */
	unsigned other_group;       /* in other control groups than the first process */
	bool core_pipe;             /* a crash starts a program on the host */
	unsigned core;              /* may write core files or start that program */
	unsigned memlock, realtime; /* may lock more than AUDIT_MEMLOCK, may ask for real time */
	unsigned oom_spared;        /* are spared when memory is short */
	char *label;                /* of a security module; NULL: none confines it */
};
#define AUDIT_MEMLOCK (8u << 20)

/* What is gathered belongs to the facts, also after an error. */
int audit_look(const struct os_ref *ref, struct audit_facts *f, struct err *e);
void audit_facts_free(struct audit_facts *f);
/* The judgement alone: audit_items_n findings; the caller frees. */
struct os_finding *audit_judge(const struct audit_facts *f);
extern const size_t audit_items_n;

/* The mounts that a process sees (proc_pid_mountinfo(5)). */
struct audit_mount {
	uint64_t id;
	unsigned major, minor;
	char *root, *point, *type, *super; /* root: what of the file system; unescaped, not printable */
	bool read_only, nosuid, nodev, shared;
};
struct audit_mounts {
	struct audit_mount *v;
	size_t n, cap;
};
int audit_mounts_read(int procfd, struct audit_mounts *ret); /* -errno, no message */
bool audit_mounts_have(const struct audit_mounts *m, uint64_t id);
void audit_mounts_free(struct audit_mounts *m);
/* Fills in what the mounts and files of the process of procfd say. */
int audit_look_mounts(int procfd, const struct audit_mounts *jail, const struct audit_mounts *host,
		      struct audit_facts *f, struct err *e);

/* The value of a host setting as sysctl(8) names it (host.c); false and "" when there is none. */
bool audit_setting(const char *name, char *buf, size_t size);
/* Is word in a list with commas between? */
bool audit_has_word(const char *list, const char *word);

#endif
