/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rest of brig sees of the configuration: one struct jailspec a jail, with every default applied
 * and every value checked.  Made by conf/ (conf_jail) and, for a running jail, again from the parameters
 * that its state recorded (spec_from_params).  Pure data; the owner frees it with jailspec_free.
 */
#ifndef BRIG_CONF_SPEC_H
#define BRIG_CONF_SPEC_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

/* Parameters as jail(8) knows them: name and values, in the order of first mention.  Names are stored
 * without a `no` prefix ("allow.nomount" is name "allow.mount", value "false"). */
struct param {
	char *name;
	struct strv values; /* no value: a boolean that is set */
};
struct params {
	struct param *v;
	size_t n, cap;
};
#define PARAMS_INIT        \
	{                  \
		NULL, 0, 0 \
	}
struct param *params_get(const struct params *p, const char *name); /* NULL when absent */
/* The last value, or NULL when absent or valueless. */
const char *params_value(const struct params *p, const char *name);
struct param *params_set(struct params *p, const char *name); /* finds or adds; the values are emptied */
void params_remove(struct params *p, const char *name);
void params_free(struct params *p);

enum spec_share { SHARE_DISABLE, SHARE_NEW, SHARE_INHERIT }; /* jail(8): disable | new | inherit */

struct spec_addr {
	int family;           /* AF_INET, AF_INET6 */
	struct in6_addr addr; /* AF_INET: its first four bytes */
	int prefix;           /* 32, 128 where the configuration gives none */
	char *interface;      /* "IF|ADDR": NULL when none was named */
};

/* One fstab line (`mount`, `mount.fstab`).  Fields are decoded; source and target absolute. */
struct spec_mount {
	char *source, *target, *type, *options;
	char *where; /* "FILE:LINE", for messages */
};

struct spec_rdr {
	int proto; /* IPPROTO_TCP, IPPROTO_UDP */
	uint16_t host_port, jail_port;
};

/* A socket that is made before the services and given to each of them. */
struct spec_listen {
	int proto;            /* IPPROTO_TCP, IPPROTO_UDP */
	int family;           /* AF_UNSPEC: no address was given, every one of the jail's */
	struct in6_addr addr; /* AF_INET: its first four bytes */
	uint16_t port;
	char *name; /* NULL: none was given */
};
#define SPEC_LISTEN_MAX 64 /* of one jail */

/* Where the jail's root comes from. */
enum spec_root {
	ROOT_TEMPLATE, /* a template's release, read-only, with the jailspace on /s */
	ROOT_PATH,     /* the directory `path` itself, as in jail(8) (path without template) */
};

enum spec_space {
	SPACE_DIR,    /* a directory (default BASE/js/NAME) */
	SPACE_IMAGE,  /* image:FILE */
	SPACE_DEVICE, /* device:DEV */
	SPACE_TMPFS,  /* tmpfs:SIZE */
};

/* Steps of jail(8) that run commands, in jail(8)'s order of running. */
enum spec_exec {
	EXEC_PREPARE, /* host */
	EXEC_PRESTART,
	EXEC_CREATED,
	EXEC_START, /* in the jail */
	EXEC_COMMAND,
	EXEC_POSTSTART, /* host */
	EXEC_PRESTOP,
	EXEC_STOP,     /* in the jail */
	EXEC_POSTSTOP, /* host */
	EXEC_RELEASE,
	/* brig's own: around the switch to another release, in the jail */
	EXEC_PREUPGRADE,
	EXEC_UPGRADE,
	EXEC_POSTUPGRADE,
	EXEC_N
};

struct jailspec {
	char *name;           /* of the jail; the label unless `name` was set */
	char *label;          /* as the configuration calls it: what messages print */
	int jid;              /* 0: the next free one */
	char *where;          /* "FILE:LINE" of its definition, NULL on the command line */
	struct params params; /* every parameter in effect, defaults of brig not filled in */

	enum spec_root root;
	char *path;     /* canonical; the mount point, and the root itself for ROOT_PATH */
	char *template; /* ROOT_TEMPLATE: its name ... */
	char *release;  /* ... and the release it is pinned to, or NULL */
	enum spec_space space;
	char *space_arg; /* directory, file, device; NULL: BASE/js/NAME */
	uint64_t space_size;

	char *hostname;                       /* default: the name */
	char *domainname, *hostuuid, *hostid; /* NULL: not set */
	enum spec_share host;                 /* UTS */
	enum spec_share sysvipc;              /* the strictest of sysvmsg, sysvsem, sysvshm; default new */

	enum spec_share ip4, ip6; /* DISABLE: loopback only */
	struct spec_addr *addrs;  /* v4 and v6 in the order of the configuration */
	size_t n_addrs;
	bool vnet;
	struct strv vnet_interface;
	char *interface;
	struct spec_rdr *rdr;
	size_t n_rdr;
	struct spec_listen *listen; /* in the order of the configuration */
	size_t n_listen;
	bool nat;

	struct strv exec[EXEC_N];
	bool exec_clean, system_jail_user;
	char *jail_user, *system_user; /* NULL: root */
	int exec_timeout;              /* seconds, 0 none */
	bool syslog;                   /* default true */
	int stop_timeout;              /* seconds, default 10; 0 no SIGTERM */
	char *consolelog;              /* NULL: the installation's default */
	bool persist;

	struct strv service; /* commands kept running */
	struct strv health;
	struct strv depend;

	struct spec_mount *mounts;
	size_t n_mounts;
	bool mount_devfs, mount_fdescfs, mount_procfs; /* default true */
	int devfs_ruleset;                             /* default 4 */
	int enforce_statfs;                            /* default 2 */
	int securelevel;                               /* default -1 */

	/* allow.*: what the parameters permit; os/linux/confine/confine.h has what that is on Linux */
	struct {
		bool set_hostname, reserved_ports, raw_sockets, chflags, mlock, read_msgbuf, suid, socket_af,
		    sysvipc, proc_debug, adjtime, settime, routing, setaudit, extattr, coredump, io_uring,
		    keyring, numa, proc_unmasked, abstract_unix;
	} allow;

	int undo_keep;    /* changes of release that can be rolled back, default 2; 0 none */
	int64_t undo_age; /* seconds that each can be, 0 without bound */

	struct {
		uint64_t memory; /* bytes, 0 none */
		uint64_t pids;   /* 0 none */
		uint64_t cpu;    /* thousandths of a CPU, 0 none */
		uint64_t io_bps; /* bytes a second, reads and writes each, 0 none */
	} limit;
};

void jailspec_free(struct jailspec *s);
/* Does the jail's root decide what the path means: is it, or the directory that it is in, below a
 * jailspace of its own (base: BASE/js/NAME), its root without a template, a directory mounted read-write?
 * Compares text: both paths are normal.  The host's root must not write there (FreeBSD-SA-07:01.jail). */
bool jailspec_holds(const struct jailspec *s, const char *base, const char *path);
/* Only the first of these, for the jailspace of any jail: is the path below a directory of BASE/js? */
bool spec_in_jailspace(const char *base, const char *path);

#endif
