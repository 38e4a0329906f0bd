/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The door to the host.  Everything above this line is the same on every system; below it stand
 * os/linux (namespaces, id-mapped mounts) and, beside it, os/freebsd (jail(8), nullfs).  The build picks
 * one.  No name of a host's mechanism appears in this file's users.
 *
 * Rules: every function returns >= 0 or -errno with a message; removal functions are idempotent, work from
 * names alone (the maker may be dead) and succeed when there is nothing left to remove; nothing is made that
 * a removal function cannot find again from struct os_id, the specification and the reference.
 */
#ifndef BRIG_OS_OS_H
#define BRIG_OS_OS_H

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

/* What this host, kernel and user can do; printed by `brig doctor`. */
struct os_feature {
	const char *name;   /* "user namespaces" */
	const char *needed; /* for what: "every jail", "limit.memory" */
	int state;          /* 1 works, 0 missing, -1 missing and nothing starts without it */
	char detail[160];   /* why, and what to do */
};
int os_features(struct os_feature **ret, size_t *ret_n, struct err *e); /* the caller frees */
/* Quick refusal before anything is made: privilege and what every jail needs.  One line: what is missing
 * and what to do. */
int os_ready(struct err *e);
/* Identifies this boot. */
int os_boot_id(char buf[40], struct err *e);

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
struct os_jail; /* the creator's handle: lives as long as the command */
/* keep: NULL, or a running jail whose place the new one is to take: its user and network namespace (with
 * everything in it: addresses, routes, sysctls) become the new one's; everything else is new.  Both run side by
 * side until the caller ends the old one.  Only where os_jail_can_keep() says so. */
int os_jail_create(const struct os_id *id, const struct jailspec *spec, const struct os_root *root,
		   const struct os_init *init, const struct os_ref *keep, struct os_ref *ret_ref,
		   struct os_jail **ret, struct err *e);
/* 1 a jail of spec can take over the network of the running one that was made of `made`, with the same JID: both
 * have a network of their own, and nothing that os_net_up(), os_fw_up() or the names depend on differs.  0 not
 * (its space is an image or a device, vnet, ...), or this host has no such thing. */
int os_jail_can_keep(const struct jailspec *spec, const struct jailspec *made);
/* Makes a new file system for a jailspace in an image (a regular file of its final size) or on a block
 * device, open for writing.  What is there is lost: the caller has looked. */
int os_space_format(int fd, struct err *e);
/* The file system in an image (regular file) or on a block device, as a directory that only *ret_dir leads
 * to: nothing is mounted anywhere, and it is unmounted when the last descriptor of it is closed. */
int os_space_mount(int fd, bool read_only, int *ret_dir, struct err *e);
/* Hands the jail to its own first process: services start (those of spec), `persist` counts from now on;
 * the creator's death no longer ends it. */
int os_jail_release(struct os_jail *j, struct err *e);
void os_jail_close(struct os_jail *j); /* frees the handle; not released: the jail ends */

/* 1 this very jail exists, 0 it is gone (pid reuse and an earlier boot are told apart). */
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
/* Device and inode of what the jail has mounted as its root. */
int os_jail_root(const struct os_ref *ref, dev_t *ret_dev, ino_t *ret_ino, struct err *e);
/* Processes in the jail, first one included: "PID COMMAND", the host's pid, the command printable.  ret_lines
 * or ret_n may be NULL. */
int os_jail_pids(const struct os_ref *ref, struct strv *ret_lines, size_t *ret_n, struct err *e);

/* Running a command in a jail: confined exactly as the jail's own processes. */
struct os_exec {
	char *const *argv;     /* argv[0] is searched in the PATH inside */
	const char *jail_user; /* looked up in the jail's passwd; NULL: root */
	const char *host_user; /* looked up on the host (jexec -u); at most one of the two */
	bool clean; /* empty environment but TERM; PATH, HOME, USER, SHELL of the user; cwd its home */
	char *const *env_add; /* NAME=VALUE; NULL: none */
	const char *workdir;  /* inside; NULL: the home directory with clean, else "/" */
	bool shell;           /* argv is empty: the user's shell, interactive; /bin/sh when there is none */
	bool login;           /* with shell: as a login shell */
	bool tty;             /* a terminal of the jail's own, connected byte by byte to ours */
	/* <0: ours (without tty).  Terminals, and files and disks that can be written, do not get into the jail:
	 * unless in the background, their bytes are copied; after the end of the command, those on their way */
	int fd_in, fd_out, fd_err;
	struct buf *capture; /* stdout and stderr, at most 64 KiB, instead */
	int timeout_s;       /* 0 none; then the whole process group is killed, -ETIMEDOUT */
	bool background;     /* new session, not waited for */
};
#define OS_EXEC_INIT                                    \
	{                                               \
		.fd_in = -1, .fd_out = -1, .fd_err = -1 \
	}
/* 0 and the wait status; <0: it could not be started.  Where only the program itself was missing (message
 * "COMMAND: No such file or directory") or could not be run, *ret_status is that of exit 127 or 126 then;
 * else it is left alone. */
int os_jail_exec(const struct os_id *id, const struct os_ref *ref, const struct jailspec *spec,
		 const struct os_exec *x, int *ret_status, struct err *e);

/* The network of a created jail.  up: links, addresses, routes, both sides.  down: everything away. */
int os_net_check(const struct os_id *id, const struct jailspec *spec, struct err *e); /* before anything */
int os_net_up(const struct os_id *id, const struct jailspec *spec, const struct os_ref *ref,
	      struct strv *warnings, struct err *e);
/* Before the jail is ended: interfaces of vnet.interface back to the host.  A jail that is gone already has
 * lost those that are only software; the kernel itself gives back devices. */
int os_net_return(const struct os_id *id, const struct jailspec *spec, const struct os_ref *ref,
		  struct err *e);
int os_net_down(const struct os_id *id, const struct jailspec *spec, struct err *e);
/* Redirections and masquerade in a table of our own; the table goes with the last jail.  text is what would
 * be given to the host's tool (for -v). */
int os_fw_up(const struct os_id *id, const struct jailspec *spec, struct err *e);
int os_fw_down(const struct os_id *id, const struct jailspec *spec, struct err *e);

/*
 * Sockets of spec->listen, for the services of the jail (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES,
 * descriptors from 3 on).  They are made in the jail's network, after os_net_up(), and are held by its first
 * process as long as it lives; services get them at every start.
 * from: NULL, or the running jail, made of `made`, whose sockets are taken over where an entry of listen is the
 * same: a connection that waits in one is not lost.  Before os_jail_release().  Errors name the entry and the
 * cause ("listen 'tcp 80': Address already in use").
 */
int os_jail_listen(struct os_jail *j, const struct jailspec *spec, const struct os_ref *from,
		   const struct jailspec *made, struct err *e);

/*
 * Watching a jail be away: the sockets that listen in its network (TCP listeners, bound UDP sockets) are looked
 * at about every millisecond by a process of its own, until all that were there at the start are there again.
 * os_watch_start while the old instance runs; os_watch_ready once the new one is up: from then on at most wait_ms
 * for what is still missing.
 */
struct os_watch;
struct os_outage {
	int64_t down_us;     /* from the first one gone to the last one back; 0: none was ever gone */
	size_t listeners;    /* how many there were; 0: nothing listened, down_us says nothing */
	struct strv missing; /* those that did not come back: "tcp 192.0.2.1:80" */
};
/* 1, or 0 where it cannot be done (the jail has the host's network, or this host has no such thing). */
int os_watch_start(const struct os_ref *ref, const struct jailspec *spec, struct os_watch **ret,
		   struct err *e);
int os_watch_ready(struct os_watch *w, int wait_ms, struct os_outage *ret, struct err *e); /* ends it */
void os_watch_end(struct os_watch *w); /* without a result; NULL is fine */

/* Limits: a group of our own, in force before the jail's first instruction (os_jail_create joins it). */
int os_limit_check(const struct jailspec *spec, struct err *e); /* can they be kept here? */
int os_limit_up(const struct os_id *id, const struct jailspec *spec, struct err *e); /* -EEXIST: not ours */
int os_limit_down(const struct os_id *id, struct err *e); /* ends what is still in it */
struct os_usage {
	int64_t memory, cpu_ns, pids; /* -1: not known */
};
int os_limit_usage(const struct os_id *id, struct os_usage *ret, struct err *e);

/* Runs work() in a process of its own, which with everything that it starts and mounts is gone when work()
 * returns, and also when we die: package tools and scripts that fill a template.  Not for work that must
 * change our memory.  wait: what work() returned, with its message. */
struct os_task {
	pid_t pid;
	int report_fd;
};
int os_contained_start(int (*work)(void *ctx, struct err *e), void *ctx, struct os_task *ret, struct err *e);
int os_contained_wait(struct os_task *t, struct err *e);

/* Sources of templates that are the host's own: path of a static busybox, NULL if none. */
const char *os_busybox(void);

/*
 * Looking at how a running jail is locked in, and at what of the host itself is weak: read from the kernel, never
 * from the configuration (`brig audit`).  Items in a fixed order; names and improve are constants, what is
 * printable.
 */
struct os_finding {
	const char *name;    /* "user namespace" */
	const char *improve; /* what would make it fine: parameters of jail.conf(5), settings of the host */
	char what[160];      /* what was found */
	unsigned weight;     /* how much it counts in the score */
	int state;           /* 1 fine, 0 weak, -1 could not be read: counts as weak */
};
/* The weakest process counts.  -ESRCH when the jail is gone, or ends meanwhile.  The caller frees. */
int os_audit_jail(const struct os_ref *ref, struct os_finding **ret, size_t *ret_n, struct err *e);
/* spaces: the directory that the jailspaces are in, or NULL. */
int os_audit_host(const char *spaces, struct os_finding **ret, size_t *ret_n, struct err *e);
/* Tenths, 0 (everything is fine) to 100, as `systemd-analyze security` reckons: the weight of what is weak in the
 * weight of all. */
unsigned os_audit_score(const struct os_finding *f, size_t n);

#endif
