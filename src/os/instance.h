/* SPDX-License-Identifier: BSD-2-Clause */
/* One instance of a jail, from creation to its end: os_jail_*. */
#ifndef BRIG_OS_INSTANCE_H
#define BRIG_OS_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"
#include "conf/spec.h"

/* The name of what belongs to one jail of one installation. */
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
 * Creating a jail.  Its first process exists, is confined and mounted, and waits; no code of the jail has
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
	/* NULL, or a running instance whose user and network namespace (with addresses, routes, sysctls) the
	 * new one joins; everything else is new.  Both run until the caller ends the old one.  Only if
	 * os_jail_can_keep() says so. */
	const struct os_ref *keep;
};
struct os_jail; /* the creator's handle: lives as long as the command */
int os_jail_create(const struct os_new *n, struct os_ref *ret_ref, struct os_jail **ret, struct err *e);
/* 1: a jail of spec can take over the network of the running instance that was made of `made`, with the same
 * JID: both have a network of their own, and nothing that os_net_up(), os_fw_up() or the names depend on
 * differs.  0: it cannot (its space is an image or a device, it has vnet, ...), or this host does not support
 * it. */
int os_jail_can_keep(const struct jailspec *spec, const struct jailspec *made);
/* Hands the jail to its own first process: its services (of spec) start, `persist` counts from now on; the
 * creator may die without ending it. */
int os_jail_release(struct os_jail *j, struct err *e);
/* Frees the handle; if the jail was not released, it ends.  NULL is allowed. */
void os_jail_close(struct os_jail *j);

/* 1: this very jail exists, 0: it is gone (also if its pid was used again, or the host booted since).
 * <0: that could not be found out (no descriptors, no memory): it may run, and nothing of it may be
 * removed. */
int os_jail_alive(const struct os_ref *ref);
/* A pipe for the output of commands in the jail: its first process copies it to the console log, which it
 * keeps within its bound.  -ENOENT: there is none (an older brig started the jail). */
int os_jail_output(const struct os_ref *ref, int *ret_fd, struct err *e);
/* Waits, for a moment at most, until what was written to the pipe is in the log. */
void os_jail_output_drain(int fd);
/* TERM to every process, then waits until the jail is gone, at most timeout_s.  1: gone, 0: still there. */
int os_jail_term(const struct os_ref *ref, int timeout_s, struct err *e);
/* Kills every process of the jail and waits until it is gone. */
int os_jail_kill(const struct os_ref *ref, struct err *e);
/* Finds a jail whose state is lost: by its ids on this host (os_root), or by its name if the kernel knows
 * names of jails.  1: found, 0: there is none (more): to remove all, kill each one that is found. */
int os_jail_find(const struct os_id *id, uint32_t idbase, struct os_ref *ret, struct err *e);
/* Device and inode of the root that the jail has mounted.  -ESRCH: the jail is gone, or ending. */
int os_jail_root(const struct os_ref *ref, dev_t *ret_dev, ino_t *ret_ino, struct err *e);
/* The processes in the jail, with the first one: "PID COMMAND", the pid as the host counts, the command
 * printable. ret_lines or ret_n may be NULL. */
int os_jail_pids(const struct os_ref *ref, struct strv *ret_lines, size_t *ret_n, struct err *e);

#endif
