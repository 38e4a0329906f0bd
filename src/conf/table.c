/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every parameter that is known: jail(8) of FreeBSD 12 to 15, and brig's own.
 *
 * `refused` is the reason why a parameter cannot be used here: a boolean cannot have another value than its
 * default, the others no value but an empty one, 0 or disable (build.c).  With PARAM_IGNORED it is the
 * reason why such a value has no effect.
 */
#include "conf/table.h"

#define K PARAM_KERNEL
#define R PARAM_READONLY
#define C PARAM_CREATE
#define B PARAM_BRIG
#define I PARAM_IGNORED

#define MOUNT_INSIDE "a jail cannot mount here: give it the file system with `mount`"
#define NOT_OURS "the jail has user ids of its own here, and this right belongs to the host's alone"
#define NO_EMULATION "there is no emulation to describe on this host"

const struct param_def param_table[] = {
    /* identity */
    {"jid", PARAM_INT, K | C, NULL, "number of the jail (the next free one)"},
    {"name", PARAM_STRING, K, NULL, "name of the jail (its label)"},
    {"path", PARAM_STRING, K | C, NULL, "mount point; without a template the root itself"},
    {"parent", PARAM_INT, K | R, NULL, "the jail that made this one"},
    {"dying", PARAM_BOOL, K | R, NULL, "removed, but not gone yet"},
    {"persist", PARAM_BOOL, K, NULL, "exists without processes"},
    {"securelevel", PARAM_INT, K, NULL, "recorded; -1 to 3"},
    {"osrelease", PARAM_STRING, K | C | I, "the jail sees this host's own release",
     "release that uname shows"},
    {"osreldate", PARAM_INT, K | C | I, "the jail sees this host's own release", "version that uname shows"},
    {"children.max", PARAM_INT, K, "jails inside jails are not supported", "jails that it may create"},
    {"children.cur", PARAM_INT, K | R, NULL, "jails that it has created"},
    {"enforce_statfs", PARAM_INT, K, NULL, "which mounts it sees; 0 to 2"},
    {"devfs_ruleset", PARAM_INT, K, NULL, "devices of its /dev"},
    {"cpuset.id", PARAM_INT, K | R, NULL, "its set of CPUs"},
    {"host", PARAM_SHARE, K, NULL, "host names of its own, or the host's"},
    {"host.hostname", PARAM_STRING, K, NULL, "host name (the jail's name)"},
    {"host.domainname", PARAM_STRING, K, NULL, "NIS domain name"},
    {"host.hostuuid", PARAM_STRING, K, NULL, "UUID of the host"},
    {"host.hostid", PARAM_STRING, K, NULL, "number of the host"},

    /* network */
    {"ip4", PARAM_SHARE, K | C, NULL, "IPv4: disable, new, inherit"},
    {"ip4.addr", PARAM_IP4, K, NULL, "IPv4 addresses"},
    {"ip4.saddrsel", PARAM_BOOL, K | I, "the first address is used unless a route says otherwise",
     "choice of the source address"},
    {"ip6", PARAM_SHARE, K | C, NULL, "IPv6: disable, new, inherit"},
    {"ip6.addr", PARAM_IP6, K, NULL, "IPv6 addresses"},
    {"ip6.saddrsel", PARAM_BOOL, K | I, "the first address is used unless a route says otherwise",
     "choice of the source address"},
    {"vnet", PARAM_SHARE, K | C, NULL, "a network stack of its own: new, inherit"},
    {"vnet.interface", PARAM_LIST, 0, NULL, "interfaces moved into its network stack"},
    {"interface", PARAM_STRING, 0, NULL, "interface for addresses that name none"},
    {"ip_hostname", PARAM_BOOL, 0, NULL, "its addresses are those of its host name"},

    /* inter-process communication, emulation */
    {"sysvmsg", PARAM_SHARE, K, NULL, "SysV message queues: disable, new, inherit"},
    {"sysvsem", PARAM_SHARE, K, NULL, "SysV semaphores: disable, new, inherit"},
    {"sysvshm", PARAM_SHARE, K, NULL, "SysV shared memory: disable, new, inherit"},
    {"linux", PARAM_SHARE, K | I, NO_EMULATION, "Linux emulation"},
    {"linux.osname", PARAM_STRING, K | I, NO_EMULATION, "Linux emulation: system name"},
    {"linux.osrelease", PARAM_STRING, K | I, NO_EMULATION, "Linux emulation: release"},
    {"linux.oss_version", PARAM_INT, K | I, NO_EMULATION, "Linux emulation: sound"},

    /* rights */
    {"allow.set_hostname", PARAM_BOOL, K, NULL, "may set its host name"},
    {"allow.reserved_ports", PARAM_BOOL, K, NULL, "may use ports below 1024"},
    {"allow.raw_sockets", PARAM_BOOL, K, NULL, "may use raw sockets (ping)"},
    {"allow.chflags", PARAM_BOOL, K | I, NOT_OURS, "may change system file flags"},
    {"allow.mlock", PARAM_BOOL, K, NULL, "may lock memory"},
    {"allow.read_msgbuf", PARAM_BOOL, K, NULL, "may read the kernel's messages"},
    {"allow.socket_af", PARAM_BOOL, K, NULL, "may use any address family"},
    {"allow.sysvipc", PARAM_BOOL, K, NULL, "may use SysV IPC (old; sysvmsg, sysvsem, sysvshm)"},
    {"allow.quotas", PARAM_BOOL, K, "quotas belong to the host's file systems", "may administer quotas"},
    {"allow.vmm", PARAM_BOOL, K, "jails have no virtual machine devices here", "may use virtual machines"},
    {"allow.vmm_ppt", PARAM_BOOL, K, "jails have no virtual machine devices here",
     "may pass devices to virtual machines"},
    {"allow.nfsd", PARAM_BOOL, K, "an NFS server cannot run in a jail here", "may serve NFS"},
    {"allow.suser", PARAM_BOOL, K, "root of a jail always has the jail's own rights here",
     "root in the jail has rights"},
    {"allow.extattr", PARAM_BOOL, K | I, NOT_OURS, "may use system extended attributes"},
    {"allow.adjtime", PARAM_BOOL, K | I, NOT_OURS, "may adjust the clock"},
    {"allow.settime", PARAM_BOOL, K | I, NOT_OURS, "may set the clock"},
    {"allow.setaudit", PARAM_BOOL, K | I, NOT_OURS, "may set audit state"},
    {"allow.routing", PARAM_BOOL, K, NULL, "may change its routing table"},
    {"allow.unprivileged_proc_debug", PARAM_BOOL, K, NULL, "its users may debug their processes"},
    {"allow.unprivileged_parent_tampering", PARAM_BOOL, K | I, "the kernel lets only the host's root do it",
     "users outside may signal and trace its processes"},
    {"allow.mount", PARAM_BOOL, K, MOUNT_INSIDE, "may mount file systems"},
    {"allow.mount.devfs", PARAM_BOOL, K, MOUNT_INSIDE, "may mount devfs"},
    {"allow.mount.fdescfs", PARAM_BOOL, K, MOUNT_INSIDE, "may mount fdescfs"},
    {"allow.mount.fusefs", PARAM_BOOL, K, MOUNT_INSIDE, "may mount fusefs"},
    {"allow.mount.linprocfs", PARAM_BOOL, K, MOUNT_INSIDE, "may mount linprocfs"},
    {"allow.mount.linsysfs", PARAM_BOOL, K, MOUNT_INSIDE, "may mount linsysfs"},
    {"allow.mount.nullfs", PARAM_BOOL, K, MOUNT_INSIDE, "may mount nullfs"},
    {"allow.mount.procfs", PARAM_BOOL, K, MOUNT_INSIDE, "may mount procfs"},
    {"allow.mount.tmpfs", PARAM_BOOL, K, MOUNT_INSIDE, "may mount tmpfs"},
    {"allow.mount.zfs", PARAM_BOOL, K, MOUNT_INSIDE, "may mount zfs"},
    {"allow.dying", PARAM_BOOL, I, "a jail is gone as soon as it is removed here", "may change a dying jail"},
    {"mac.do", PARAM_SHARE, K, "mac_do does not exist on this host", "rules for changing users"},
    {"mac.do.rules", PARAM_STRING, K, "mac_do does not exist on this host", "rules for changing users"},
    {"zfs.mount_snapshot", PARAM_BOOL, K, "ZFS datasets cannot be given to a jail here",
     "snapshots are mounted when they are accessed"},
    {"zfs.dataset", PARAM_LIST, 0, "ZFS datasets cannot be given to a jail here; mount them with `mount`",
     "datasets attached to the jail"},
    {"meta", PARAM_STRING, K, NULL, "labels: meta, meta.KEY"},
    {"env", PARAM_STRING, K | I, "the jail's processes cannot read it here; jls shows it",
     "labels that the jail can read: env, env.KEY"},

    /* commands */
    {"exec.prepare", PARAM_LIST, 0, NULL, "host commands before anything is made"},
    {"exec.prestart", PARAM_LIST, 0, NULL, "host commands before the jail is created"},
    {"exec.created", PARAM_LIST, 0, NULL, "host commands right after it was created"},
    {"exec.start", PARAM_LIST, 0, NULL, "commands in the jail that start it"},
    {"command", PARAM_LIST, 0, NULL, "commands in the jail after exec.start"},
    {"exec.poststart", PARAM_LIST, 0, NULL, "host commands after it has started"},
    {"exec.prestop", PARAM_LIST, 0, NULL, "host commands before it is stopped"},
    {"exec.stop", PARAM_LIST, 0, NULL, "commands in the jail that stop it"},
    {"exec.poststop", PARAM_LIST, 0, NULL, "host commands after it was removed"},
    {"exec.release", PARAM_LIST, 0, NULL, "host commands after all is gone"},
    {"exec.preupgrade", PARAM_LIST, 0, NULL, "commands in the jail before it is upgraded, services up"},
    {"exec.upgrade", PARAM_LIST, 0, NULL, "commands in the jail on the new release, before its services"},
    {"exec.postupgrade", PARAM_LIST, 0, NULL, "commands in the jail when it is up on the new release"},
    {"exec.clean", PARAM_BOOL, 0, NULL, "commands get a clean environment"},
    {"exec.jail_user", PARAM_STRING, 0, NULL, "user for commands in the jail (root)"},
    {"exec.system_jail_user", PARAM_BOOL, 0, NULL, "exec.jail_user is a user of the host"},
    {"exec.system_user", PARAM_STRING, 0, NULL, "user for commands on the host (root)"},
    {"exec.timeout", PARAM_INT, 0, NULL, "seconds that each command may take (no limit)"},
    {"exec.consolelog", PARAM_STRING, 0, NULL, "file for the output of commands in the jail"},
    {"exec.fib", PARAM_INT, I, "there is one routing table for each jail's network here",
     "routing table for commands"},
    {"stop.timeout", PARAM_INT, 0, NULL, "seconds between TERM and KILL (10)"},
    {"depend", PARAM_LIST, 0, NULL, "jails that must run first"},

    /* file systems */
    {"mount", PARAM_LIST, 0, NULL, "fstab lines mounted for the jail"},
    {"mount.fstab", PARAM_LIST, 0, NULL, "fstab files mounted for the jail"},
    {"mount.devfs", PARAM_BOOL, 0, NULL, "has a /dev (on)"},
    {"mount.fdescfs", PARAM_BOOL, 0, NULL, "has a /dev/fd (on)"},
    {"mount.procfs", PARAM_BOOL, 0, NULL, "has a /proc (on)"},

    /* brig's own */
    {"template", PARAM_STRING, B | C, NULL, "TEMPLATE or TEMPLATE/RELEASE: its read-only root"},
    {"space", PARAM_STRING, B | C, NULL, "jailspace: directory, image:FILE, device:DEV, tmpfs:SIZE"},
    {"space.size", PARAM_SIZE, B, NULL, "size of an image or tmpfs jailspace"},
    {"service", PARAM_LIST, B, NULL, "commands kept running in the jail"},
    {"syslog", PARAM_BOOL, B, NULL, "without a syslog daemon, /dev/log goes to the console log (on)"},
    {"limit.memory", PARAM_SIZE, B, NULL, "memory it may use"},
    {"limit.pids", PARAM_INT, B, NULL, "processes it may have"},
    {"limit.cpu", PARAM_STRING, B, NULL, "CPUs it may use: 0.5, 50%"},
    {"limit.io", PARAM_SIZE, B, NULL, "bytes a second it may read, and write"},
    {"undo.keep", PARAM_INT, B, NULL, "upgrades that can be rolled back (2)"},
    {"undo.age", PARAM_STRING, B, NULL, "how long they can: 12h, 90d, 8w (no bound)"},
    {"rdr", PARAM_LIST, B, NULL, "PROTO HOSTPORT [JAILPORT]: port redirection"},
    {"listen", PARAM_LIST, B, NULL, "PROTO [ADDRESS:]PORT [NAME]: sockets made for the services"},
    {"nat", PARAM_BOOL, B, NULL, "its connections leave with the host's address"},
    {"health", PARAM_LIST, B, NULL, "commands that must succeed before it counts as up"},
    {"allow.suid", PARAM_BOOL, B, NULL, "set-user-id programs of its template work"},
    {"allow.abstract_unix", PARAM_BOOL, B, NULL, "in the host's network, may use its abstract sockets"},
    {"allow.coredump", PARAM_BOOL, B, NULL, "may dump core"},
    {"allow.io_uring", PARAM_BOOL, B, NULL, "may use io_uring"},
    {"allow.keyring", PARAM_BOOL, B, NULL, "may use the kernel's keyrings"},
    {"allow.numa", PARAM_BOOL, B, NULL, "may choose the memory node of its pages"},
    {"allow.proc_unmasked", PARAM_BOOL, B, NULL, "sees the entries of /proc about the host's kernel"},
};
const size_t param_table_len = ARRAY_LEN(param_table);

static const struct param_def *sorted[ARRAY_LEN(param_table)];

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(const struct param_def *const *)a)->name,
		      (*(const struct param_def *const *)b)->name);
}

static int
name_is(const void *name, const void *def)
{
	return strcmp(name, (*(const struct param_def *const *)def)->name);
}

static const struct param_def *
find_exact(const char *name)
{
	const struct param_def **p;

	if (!sorted[0]) {
		for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
			sorted[i] = &param_table[i];
		qsort(sorted, ARRAY_LEN(sorted), sizeof(*sorted), by_name);
	}
	p = bsearch(name, sorted, ARRAY_LEN(sorted), sizeof(*sorted), name_is);
	return p ? *p : NULL;
}

const struct param_def *
param_find(const char *name, bool *ret_no)
{
	const struct param_def *def = find_exact(name);
	const char *dot = strrchr(name, '.');
	const char *last = dot ? dot + 1 : name;
	char plain[64];

	if (ret_no)
		*ret_no = false;
	if (def)
		return def;
	if (str_after(name, "meta.") || str_after(name, "env."))
		return dot[1] ? find_exact(*name == 'm' ? "meta" : "env") : NULL;
	if (!str_after(last, "no") || strlen(name) >= sizeof(plain))
		return NULL;
	(void)snprintf(plain, sizeof(plain), "%.*s%s", (int)(last - name), name, last + 2);
	def = find_exact(plain);
	if (!def || def->type != PARAM_BOOL)
		return NULL;
	if (ret_no)
		*ret_no = true;
	return def;
}

/* Edit distance, given up above 2. */
static unsigned
distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[64];

	if (la >= ARRAY_LEN(row) || lb >= ARRAY_LEN(row) || la > lb + 2 || lb > la + 2)
		return 99;
	for (size_t k = 0; k <= lb; k++)
		row[k] = (unsigned)k;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t k = 1; k <= lb; k++) {
			unsigned cost = diagonal + (a[i - 1] != b[k - 1]);

			diagonal = row[k];
			if (row[k - 1] + 1 < cost)
				cost = row[k - 1] + 1;
			if (row[k] + 1 < cost)
				cost = row[k] + 1;
			row[k] = cost;
		}
	}
	return row[lb];
}

const char *
param_near(const char *name)
{
	const char *best = NULL;
	unsigned least = 3;

	if (strlen(name) < 3)
		return NULL;
	for (size_t i = 0; i < param_table_len; i++) {
		const char *dot = strrchr(param_table[i].name, '.');
		unsigned d = distance(name, param_table[i].name);

		/* The last component alone, or '_' for '.': hostname, mount_devfs. */
		if (d >= least && dot && streq(dot + 1, name))
			d = 1;
		if (d < least) {
			least = d;
			best = param_table[i].name;
		}
	}
	return best;
}

bool
param_default(const struct param_def *def)
{
	static const char *const on[] = {"allow.set_hostname", "allow.reserved_ports", "allow.suser",
					 "mount.devfs",        "mount.fdescfs",        "mount.procfs",
					 "ip4.saddrsel",       "ip6.saddrsel"};

	for (size_t i = 0; i < ARRAY_LEN(on); i++)
		if (streq(def->name, on[i]))
			return true;
	return false;
}

bool
param_clashes(const char *name)
{
	static const char *const known[] = {"jid",  "name",          "path",     "persist", "securelevel",
					    "vnet", "host.hostname", "ip4.addr", "ip6.addr"};
	const struct param_def *def = find_exact(name);

	if (!def || def->flags & PARAM_BRIG)
		return false;
	if (!(def->flags & PARAM_KERNEL))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (streq(name, known[i]))
			return true;
	return false;
}
