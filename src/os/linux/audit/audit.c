/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The judgement of a running jail: one row an item, each judged by itself.
 *
 * Weights say how near the host is where the item is weak: 8 to 10 one step away, 4 to 6 one of several
 * barriers is missing, 1 to 3 a nuisance, or a second line of defence is missing.
 */
#include <inttypes.h>
#include <stddef.h>
#include <sys/capability.h>

#include "base/name.h"
#include "os/linux/audit/audit.h"

#define WHAT_MAX sizeof(((struct os_finding *)0)->what)
#define BIT(cap) (UINT64_C(1) << (cap))
/* Ids below are users of the host, as useradd(8) and adduser(8) give them. */
#define HOST_IDS 65536

#define CAPS_FILES                                                                               \
	(BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_MKNOD) | BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_LEASE) | \
	 BIT(CAP_IPC_OWNER))
#define CAPS_SERVICE                                                                                     \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_KILL) |    \
	 BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) | BIT(CAP_SYS_CHROOT) | BIT(CAP_SETFCAP) | \
	 BIT(CAP_AUDIT_WRITE))
#define CAPS_NAMED                                                                                   \
	(CAPS_SERVICE | CAPS_FILES | BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_PTRACE) | BIT(CAP_NET_ADMIN) | \
	 BIT(CAP_NET_RAW) | BIT(CAP_NET_BROADCAST) | BIT(CAP_NET_BIND_SERVICE))

struct item {
	const char *name;
	unsigned weight;
	/* 1 fine, 0 weak, -1 not known */
	int (*judge)(const struct audit_facts *f, uint64_t arg, char *what);
	uint64_t arg;
	const char *improve;
};

static int _printf_(3, 4) say(char *what, int state, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, WHAT_MAX, fmt, ap);
	va_end(ap);
	return state;
}

static int
judge_ns(const struct audit_facts *f, uint64_t kind, char *what)
{
	return f->ns[kind].own ? say(what, 1, "its own") : say(what, 0, "the host's");
}

static int
judge_owner(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	if (!f->ns[AUDIT_USER].own)
		return say(what, 0, "the host's user namespace owns them");
	for (int k = AUDIT_USER + 1; k < AUDIT_NS_N; k++)
		if (f->ns[k].own && !f->ns[k].by_jail)
			return say(what, 0, "one of them belongs to another user namespace");
	return say(what, 1, "the jail's user namespace owns them");
}

/* The mounts that a mount namespace gets from one with a more privileged owner are locked,
 * mount_namespaces(7). */
static int
judge_locked(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	if (f->ns[AUDIT_MNT].own && f->ns[AUDIT_MNT].by_jail)
		return say(what, 1, "locked: the jail's user namespace owns the mount namespace");
	return say(what, 0, "not locked: whoever gets CAP_SYS_ADMIN here can take them away");
}

static int
judge_elsewhere(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	if (f->elsewhere)
		return say(what, 0, "%u of %u are in other namespaces than the first", f->elsewhere,
			   f->processes);
	return say(what, 1, "%u, all in the same namespaces", f->processes);
}

static int
judge_ids(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	if (f->lowest_id == UINT64_MAX)
		return say(what, -1, "no ids are mapped");
	if (f->lowest_id < HOST_IDS)
		return say(what, 0, "the jail's users are users of the host, from %" PRIu64 " on",
			   f->lowest_id);
	return say(what, 1, "nobody's on the host, from %" PRIu64 " on", f->lowest_id);
}

static int
judge_nested(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	if (f->nested_max < 0)
		return say(what, -1, "could not be read");
	if (f->nested_max > 0)
		return say(what, 0, "%" PRId64 " may be made", f->nested_max);
	return say(what, 1, "none may be made");
}

/* Returns 0, weak.  cap_to_name(3) gives the number of a capability that libcap does not know. */
static int
say_caps(char *what, uint64_t caps)
{
	size_t len = 0;

	for (cap_value_t c = 0; c < 64 && len < WHAT_MAX; c++) {
		char *name = caps & BIT(c) ? cap_to_name(c) : NULL;

		if (!name)
			continue;
		len += (size_t)snprintf(what + len, WHAT_MAX - len, "%s%s", len ? " " : "", name);
		(void)cap_free(name);
	}
	return 0;
}

static int
judge_caps(const struct audit_facts *f, uint64_t mask, char *what)
{
	return f->caps & mask ? say_caps(what, f->caps & mask) : say(what, 1, "not there");
}

static int
judge_handed(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	return f->caps_inh ? say_caps(what, f->caps_inh) : say(what, 1, "none");
}

static int
judge_new_privs(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	return f->new_privs ? say(what, 0, "off in %u of %u threads: set-user-id programs work", f->new_privs,
				  f->threads)
			    : say(what, 1, "on in every thread");
}

static int
judge_seccomp(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	return f->unfiltered
		   ? say(what, 0, "none in %u of %u threads: every system call", f->unfiltered, f->threads)
		   : say(what, 1, "in force in every thread");
}

static int
judge_core(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	if (f->core)
		return say(what, 0, "%u of %u processes %s when they crash", f->core, f->processes,
			   f->core_pipe ? "start the host's program" : "write a file");
	return say(what, 1, "none");
}

static int
judge_memlock(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	return f->memlock
		   ? say(what, 0, "%u of %u processes may lock more than 8 MiB", f->memlock, f->processes)
		   : say(what, 1, "at most 8 MiB a process");
}

static int
judge_realtime(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	return f->realtime ? say(what, 0, "%u of %u processes may take it", f->realtime, f->processes)
			   : say(what, 1, "none");
}

static int
judge_oom(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	return f->oom_spared ? say(what, 0, "%u of %u processes are spared", f->oom_spared, f->processes)
			     : say(what, 1, "no process is spared");
}

static int
judge_root(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	return f->root_ro ? say(what, 1, "read-only") : say(what, 0, "writable");
}

/* A list that should be empty: its offset in the facts. */
static int
judge_list(const struct audit_facts *f, uint64_t offset, char *what)
{
	const struct strv *list = (const struct strv *)(const void *)((const char *)f + offset);
	size_t len = 0;

	if (list->n == 0)
		return say(what, 1, "none");
	for (size_t i = 0; i < list->n && len < WHAT_MAX; i++)
		len += (size_t)snprintf(what + len, WHAT_MAX - len, "%s%s", i ? " " : "", list->v[i]);
	return 0;
}

static int
judge_proc(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	return f->own_proc ? say(what, 1, "the jail's processes only") : say(what, 0, "the host's processes");
}

static int
judge_dirs(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	if (f->dirs)
		return say(what, 0, "%u lead outside", f->dirs);
	return f->all_fds ? say(what, 1, "none leads outside") : say(what, -1, "too many to look at all");
}

static int
judge_terminals(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	if (f->terminals)
		return say(what, 0, "%u are not the jail's own", f->terminals);
	return f->all_fds ? say(what, 1, "none from outside") : say(what, -1, "too many to look at all");
}

static int
judge_limit(const struct audit_facts *f, uint64_t kind, char *what)
{
	if (!f->limit[kind])
		return say(what, 0, "none of its own");
	if (f->other_group)
		return say(what, 0, "%s, but not for %u of %u processes", f->limit[kind], f->other_group,
			   f->processes);
	return say(what, 1, "%s", f->limit[kind]);
}

static int
judge_devices(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	if (!f->devices)
		return say(what, 0, "none: only mounts without devices protect them");
	if (f->other_group)
		return say(what, 0, "not for %u of %u processes", f->other_group, f->processes);
	return say(what, 1, "holds for the jail's control group");
}

static int
judge_label(const struct audit_facts *f, uint64_t arg, char *what)
{
	(void)arg;
	return f->label ? say(what, 1, "%s", f->label) : say(what, 0, "none confines it");
}

#define LIST(member) offsetof(struct audit_facts, member)
#define NOT_BRIGS "stop it and start it with brig"
#define OUTSIDE "end the process that joined the jail, use brig exec"

static const struct item items[] = {
    {"user namespace", 10, judge_ns, AUDIT_USER, NOT_BRIGS},
    {"mount namespace", 8, judge_ns, AUDIT_MNT, NOT_BRIGS},
    {"pid namespace", 6, judge_ns, AUDIT_PID, NOT_BRIGS},
    {"network namespace", 6, judge_ns, AUDIT_NET, "ip4.addr, ip6.addr (instead of inherit)"},
    {"IPC namespace", 2, judge_ns, AUDIT_IPC, "sysvmsg, sysvsem, sysvshm = new"},
    {"UTS namespace", 1, judge_ns, AUDIT_UTS, "host = new"},
    {"cgroup namespace", 1, judge_ns, AUDIT_CGROUP, NOT_BRIGS},
    {"namespace owner", 5, judge_owner, 0, NOT_BRIGS},
    {"mounts locked", 6, judge_locked, 0, NOT_BRIGS},
    {"processes", 5, judge_elsewhere, 0, OUTSIDE},
    {"user ids", 8, judge_ids, 0, NOT_BRIGS},
    {"nested user namespaces", 4, judge_nested, 0, NOT_BRIGS},
    {"CAP_SYS_ADMIN", 8, judge_caps, BIT(CAP_SYS_ADMIN), OUTSIDE},
    {"CAP_SYS_PTRACE", 2, judge_caps, BIT(CAP_SYS_PTRACE), "allow.nounprivileged_proc_debug"},
    {"CAP_NET_ADMIN", 4, judge_caps, BIT(CAP_NET_ADMIN), "allow.norouting, no vnet"},
    {"CAP_NET_RAW", 2, judge_caps, BIT(CAP_NET_RAW) | BIT(CAP_NET_BROADCAST), "allow.noraw_sockets"},
    {"CAP_NET_BIND_SERVICE", 1, judge_caps, BIT(CAP_NET_BIND_SERVICE), "allow.noreserved_ports (listen)"},
    {"capabilities on files", 4, judge_caps, CAPS_FILES, OUTSIDE},
    {"other capabilities", 5, judge_caps, ~(uint64_t)CAPS_NAMED, OUTSIDE},
    {"inheritable capabilities", 2, judge_handed, 0, OUTSIDE},
    {"no_new_privs", 4, judge_new_privs, 0, "allow.nosuid"},
    {"system call filter", 8, judge_seccomp, 0, OUTSIDE},
    {"root", 4, judge_root, 0, "template (instead of path alone)"},
    {"set-user-id mounts", 3, judge_list, LIST(suid), "allow.nosuid"},
    {"mounts with devices", 4, judge_list, LIST(dev), NOT_BRIGS},
    {"mounts that propagate", 3, judge_list, LIST(shared), NOT_BRIGS},
    {"writable mounts of the host", 4, judge_list, LIST(writable), "mount lines with ro"},
    {"kernel file systems", 4, judge_list, LIST(kernel_fs), "no mount line for it"},
    {"device nodes", 4, judge_list, LIST(nodes), "mount.devfs"},
    {"/proc", 4, judge_proc, 0, NOT_BRIGS},
    {"/proc that tells", 3, judge_list, LIST(unmasked), "allow.noproc_unmasked"},
    {"/proc that changes", 4, judge_list, LIST(proc_rw), NOT_BRIGS},
    {"directories held", 6, judge_dirs, 0, OUTSIDE},
    {"terminals held", 2, judge_terminals, 0, OUTSIDE},
    {"core dumps", 2, judge_core, 0, "allow.nocoredump"},
    {"memory locks", 1, judge_memlock, 0, "allow.nomlock"},
    {"real time", 1, judge_realtime, 0, NOT_BRIGS},
    {"memory shortage", 1, judge_oom, 0, NOT_BRIGS},
    {"memory limit", 2, judge_limit, AUDIT_MEMORY, "limit.memory"},
    {"process limit", 2, judge_limit, AUDIT_PIDS, "limit.pids"},
    {"CPU limit", 1, judge_limit, AUDIT_CPU, "limit.cpu"},
    {"I/O limit", 1, judge_limit, AUDIT_IO, "limit.io"},
    {"device controller", 1, judge_devices, 0, "version 2 of control groups, CONFIG_CGROUP_BPF"},
    {"security module", 1, judge_label, 0, "AppArmor or SELinux on the host"},
};

const size_t audit_items_n = ARRAY_LEN(items);

struct os_finding *
audit_judge(const struct audit_facts *f)
{
	struct os_finding *list = xcalloc(ARRAY_LEN(items), sizeof(*list));

	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		list[i].name = items[i].name;
		list[i].improve = items[i].improve;
		list[i].weight = items[i].weight;
		list[i].state = items[i].judge(f, items[i].arg, list[i].what);
	}
	return list;
}

int
os_audit_jail(const struct os_ref *ref, struct os_finding **ret, size_t *ret_n, struct err *e)
{
	struct audit_facts f;
	int r;

	if (geteuid() != 0)
		return err_set(e, EPERM, "must be root to look into a jail: run it with sudo");
	r = audit_look(ref, &f, e);
	if (r == 0) {
		*ret = audit_judge(&f);
		*ret_n = ARRAY_LEN(items);
	}
	audit_facts_free(&f);
	return r;
}

unsigned
os_audit_score(const struct os_finding *f, size_t n)
{
	unsigned all = 0, weak = 0;

	for (size_t i = 0; i < n; i++) {
		all += f[i].weight;
		weak += f[i].state > 0 ? 0 : f[i].weight;
	}
	/* rounded up: 0.0 only without a weak item */
	return all ? (weak * 100 + all - 1) / all : 0;
}
