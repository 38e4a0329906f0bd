/* SPDX-License-Identifier: BSD-2-Clause */
/* One jail from its making to its end: os_jail_*. */
#ifndef BRIG_OS_INSTANCE_H
#define BRIG_OS_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"
#include "conf/spec.h"

/* Names what belongs to one jail of one installation. */
struct os_id {
	const char *tag; /* the installation's (store.h), "" for the default one */
	const char *name;
	int jid;
};

/* A created jail.  Linux: pid of its first process, that process' start time and pid namespace, the boot.
 * FreeBSD: the kernel's jid in pid.  Plain data: it is written into the state. */
struct os_ref {
	int64_t pid;
	uint64_t start;
	uint64_t ns;
	char boot[40];
};

/*
 * Creating.  The first process of the jail exists, confined and mounted, and waits; nothing of the jail has
 * run.  If the creator dies before os_jail_release(), the jail ends by itself.
 */
struct os_root {
	int root_fd;      /* the tree that becomes "/" (O_PATH directory) */
	bool read_only;   /* a template: read-only whatever the jail does */
	int space_fd;     /* read-write, on /s: a directory, or the file or block device that has its file
			   * system (os_space_mount); <0: none */
	int hosts_fd;     /* directory with the names of all jails, read-only, on /run/brig; <0: none */
	const char *path; /* the mount point on the host, for mount lines below it */
	uint32_t idbase;
	uint64_t space_tmpfs; /* >0: /s is in memory, of that size, and filled from space_fd (space=tmpfs:) */
	/* Copies the tree src to the empty directory dst, with owners.  Called in a process of its own that
	 * is the jail's root: it sees the owners of src as they are on disk, and can make what a jail can
	 * make. */
	int (*fill)(void *ctx, int src, int dst, struct err *e);
	void *fill_ctx;
	int fill_fd; /* kept open for fill(), with its number; -1: none */
};
struct os_init {
	int log_fd;    /* console log, O_APPEND */
	int log_rw_fd; /* the same file, O_RDWR, for keeping it below log_max; or -1 */
	uint64_t log_max;
	int status_fd; /* service status records are written here (init/proto.h), or -1 */
};
struct os_new {
	const struct os_id *id;
	const struct jailspec *spec;
	const struct os_root *root;
	const struct os_init *init;
	/* NULL, or a running jail whose place the new one is to take: its user and network namespace (with
	 * everything in it: addresses, routes, sysctls) become the new one's; everything else is new.  Both run side
	 * by side until the caller ends the old one.  Only where os_jail_can_keep() says so. */
	const struct os_ref *keep;
};
struct os_jail; /* the creator's handle: lives as long as the command */
int os_jail_create(const struct os_new *n, struct os_ref *ret_ref, struct os_jail **ret, struct err *e);
/* 1 a jail of spec can take over the network of the running one that was made of `made`, with the same JID: both
 * have a network of their own, and nothing that os_net_up(), os_fw_up() or the names depend on differs.  0 not
 * (its space is an image or a device, vnet, ...), or this host has no such thing. */
int os_jail_can_keep(const struct jailspec *spec, const struct jailspec *made);
/* Hands the jail to its own first process: services start (those of spec), `persist` counts from now on;
 * the creator's death no longer ends it. */
int os_jail_release(struct os_jail *j, struct err *e);
/* Frees the handle; not released: the jail ends.  NULL is fine. */
void os_jail_close(struct os_jail *j);

/* 1 this very jail exists, 0 it is gone (pid reuse and an earlier boot are told apart).  <0: that could not be found
 * out (no descriptors, no memory): it may run, and nothing of it may be taken away. */
int os_jail_alive(const struct os_ref *ref);
/* Where a command that runs in the jail prints: its first process copies it to the console log and keeps that within
 * its bound.  -ENOENT: it has no such thing (it was started by an older brig). */
int os_jail_output(const struct os_ref *ref, int *ret_fd, struct err *e);
/* Waits until what was printed there is in the log, a moment at most. */
void os_jail_output_drain(int fd);
/* Polite part of stopping: TERM to everything, wait until it is gone.  1 gone, 0 still there. */
int os_jail_term(const struct os_ref *ref, int timeout_s, struct err *e);
/* Ends every process of the jail at once and waits for it. */
int os_jail_kill(const struct os_ref *ref, struct err *e);
/* A jail whose state is lost: by the ids that it has on this host (os_root), or by its name where the kernel knows
 * names of jails.  1 found; 0 there is none (more), so that all go when each one found is killed. */
int os_jail_find(const struct os_id *id, uint32_t idbase, struct os_ref *ret, struct err *e);
/* Device and inode of what the jail has mounted as its root.  -ESRCH: it is gone, or about to be. */
int os_jail_root(const struct os_ref *ref, dev_t *ret_dev, ino_t *ret_ino, struct err *e);
/* Processes in the jail, first one included: "PID COMMAND", the host's pid, the command printable.  ret_lines
 * or ret_n may be NULL. */
int os_jail_pids(const struct os_ref *ref, struct strv *ret_lines, size_t *ret_n, struct err *e);

#endif
