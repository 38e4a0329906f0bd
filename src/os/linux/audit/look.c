/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel says of a jail's processes. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <linux/prctl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "os/linux/audit/audit.h"
#include "os/linux/limits/device.h"
#include "os/linux/instance/ref.h"
#include "os/linux/instance/userns.h"

#define TEXT_MAX (1u << 20)
#define NS_DEPTH 40 /* the kernel nests 32 deep */
#define FDS_MAX 200000

static const char *const ns_name[AUDIT_NS_N] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};

struct look {
	struct audit_facts *f;
	const struct os_ref *ref;
	struct audit_mounts jail, host;
	uint64_t ns[AUDIT_NS_N]; /* inodes of the first process' namespaces */
	char *groups;            /* /proc/PID/cgroup of the first process */
	unsigned fds;
};

static int
read_at(int dirfd, const char *name, char **ret)
{
	_auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fsx_read_fd(fd, TEXT_MAX, ret, NULL);
}

static bool
inode_of(int fd, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	*ret = st.st_ino;
	return true;
}

static bool
ns_inode_at(int procfd, enum audit_ns kind, uint64_t *ret)
{
	char name[16];
	struct stat st;

	(void)snprintf(name, sizeof(name), "ns/%s", ns_name[kind]);
	if (fstatat(procfd, name, &st, 0) < 0)
		return false;
	*ret = st.st_ino;
	return true;
}

/* --- namespaces --- */

static int
look_namespaces(int procfd, struct look *l, struct err *e)
{
	_auto_close int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (int k = 0; k < AUDIT_NS_N; k++) {
		_auto_close int ns = -EBADF, owner = -EBADF;
		uint64_t ours, owner_inode;

		if (proc_ns(procfd, ns_name[k], &ns, e) < 0)
			return -e->num;
		if (!inode_of(ns, &l->ns[k]) || !ns_inode_at(self, (enum audit_ns)k, &ours))
			return err_sys(e, errno, "%s namespace", ns_name[k]);
		l->f->ns[k].own = l->ns[k] != ours;
		if (k == AUDIT_USER)
			continue;
		owner = ioctl(ns, NS_GET_USERNS);
		l->f->ns[k].by_jail = l->f->ns[AUDIT_USER].own && owner >= 0 &&
				      inode_of(owner, &owner_inode) && owner_inode == l->ns[AUDIT_USER];
	}
	return 0;
}

/* Is a process in the jail's pid namespace, or in one that was made in it? */
static bool
in_jail(int procfd, uint64_t jail_ns)
{
	_auto_close int ns = openat(procfd, "ns/pid", O_RDONLY | O_CLOEXEC);
	uint64_t inode;

	for (int depth = 0; depth < NS_DEPTH && ns >= 0 && inode_of(ns, &inode); depth++) {
		int parent;

		if (inode == jail_ns)
			return true;
		parent = ioctl(ns, NS_GET_PARENT);
		fd_close(ns);
		ns = parent;
	}
	return false;
}

/* user.max_user_namespaces is that of the reader's user namespace, so a child that joins the jail's reads
 * it. */
static int64_t
nested_max(int procfd, bool own)
{
	struct err e = ERR_INIT;
	_auto_close int ns = -EBADF;
	int p[2], status;
	int64_t max = -1;
	pid_t pid;

	if (proc_ns(procfd, "user", &ns, &e) < 0 || pipe2(p, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		char text[32];
		uint64_t n;

		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		if (own && setns(ns, CLONE_NEWUSER) < 0)
			_exit(1);
		if (!audit_setting("user.max_user_namespaces", text, sizeof(text)) ||
		    num_u64(text, INT64_MAX, &n) < 0)
			_exit(1);
		max = (int64_t)n;
		_exit(write(p[1], &max, sizeof(max)) == sizeof(max) ? 0 : 1);
	}
	fd_close(p[1]);
	if (pid > 0 && read(p[0], &max, sizeof(max)) != sizeof(max))
		max = -1;
	fd_close(p[0]);
	if (pid > 0)
		(void)child_wait(pid, &status);
	return max;
}

/* Each line is "INSIDE OUTSIDE COUNT", OUTSIDE in the user namespace of the reader: the host's. */
static int
look_ids(int procfd, struct audit_facts *f, struct err *e)
{
	static const char *const maps[] = {"uid_map", "gid_map"};

	f->lowest_id = UINT64_MAX;
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		_auto_free char *text = NULL;
		char *save = NULL;
		int r = read_at(procfd, maps[i], &text);

		if (r < 0)
			return err_sys(e, -r, "%s", maps[i]);
		for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
			unsigned long long in, out, n;

			if (sscanf(l, "%llu %llu %llu", &in, &out, &n) == 3 && n > 0 && out < f->lowest_id)
				f->lowest_id = out;
		}
	}
	return 0;
}

/* --- rights of a thread --- */

/* The value of a line "NAME:\tVALUE": capabilities are hexadecimal, the others one digit.  The kernel writes
 * a newline in a process' name as "\n". */
static bool
status_value(const char *text, const char *name, uint64_t *ret)
{
	_auto_free char *key = xasprintf("\n%s:\t", name);
	const char *p = strstr(text, key);
	unsigned long long v;

	if (!p || sscanf(p + strlen(key), "%16llx", &v) != 1)
		return false;
	*ret = v;
	return true;
}

static void
look_thread(const char *status, struct audit_facts *f)
{
	static const char *const rights[] = {"CapBnd", "CapPrm", "CapEff"}, *const handed[] = {"CapInh",
											       "CapAmb"};
	uint64_t v;

	f->threads++;
	/* what cannot be read counts as a capability that the thread has */
	for (size_t i = 0; i < ARRAY_LEN(rights); i++)
		f->caps |= status_value(status, rights[i], &v) ? v : UINT64_MAX;
	for (size_t i = 0; i < ARRAY_LEN(handed); i++)
		f->caps_inh |= status_value(status, handed[i], &v) ? v : UINT64_MAX;
	if (!status_value(status, "NoNewPrivs", &v) || v != 1)
		f->new_privs++;
	if (!status_value(status, "Seccomp", &v) || v != 2)
		f->unfiltered++;
}

static void
look_threads(int procfd, struct audit_facts *f)
{
	_auto_closedir DIR *d = NULL;
	struct dirent *de;
	int fd = openat(procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), tid;

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		fd_close(fd);
		return;
	}
	while ((de = readdir(d))) {
		_auto_free char *path = NULL, *status = NULL;

		if (num_int(de->d_name, 1, INT_MAX, &tid) < 0)
			continue;
		path = xasprintf("%s/status", de->d_name);
		if (read_at(fd, path, &status) == 0)
			look_thread(status, f);
	}
}

/* --- limits of a process --- */

/* Soft and hard limit of a line of /proc/PID/limits. */
static bool
rlimit_of(const char *text, const char *name, uint64_t *ret_soft, uint64_t *ret_hard)
{
	const char *p = strstr(text, name);
	char soft[24], hard[24];

	if (!p || sscanf(p + strlen(name), "%23s %23s", soft, hard) != 2)
		return false;
	if (streq(soft, "unlimited"))
		*ret_soft = UINT64_MAX;
	else if (num_u64(soft, UINT64_MAX, ret_soft) < 0)
		return false;
	if (streq(hard, "unlimited"))
		*ret_hard = UINT64_MAX;
	else if (num_u64(hard, UINT64_MAX, ret_hard) < 0)
		return false;
	return true;
}

static void
look_rlimits(int procfd, struct audit_facts *f)
{
	_auto_free char *text = NULL, *oom = NULL;
	uint64_t soft, hard;

	if (read_at(procfd, "limits", &text) < 0)
		return;
	/* a program in core_pattern is run with size 0 as well, but not with 1: core(5) */
	if (!rlimit_of(text, "Max core file size", &soft, &hard) || (f->core_pipe ? soft != 1 : soft > 1))
		f->core++;
	if (!rlimit_of(text, "Max locked memory", &soft, &hard) || hard > AUDIT_MEMLOCK)
		f->memlock++;
	if (!rlimit_of(text, "Max realtime priority", &soft, &hard) || hard > 0)
		f->realtime++;
	if (read_at(procfd, "oom_score_adj", &oom) == 0 && oom[0] == '-')
		f->oom_spared++;
}

/* --- what a process holds --- */

/* Counts link's target if it is on no mount of the jail: a directory is a way out, a terminal is somebody
 * else's. */
static void
look_held(int procfd, const char *link, struct look *l)
{
	struct statx sx;
	bool terminal;

	if (statx(procfd, link, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, &sx) < 0)
		return;
	terminal = S_ISCHR(sx.stx_mode) && (sx.stx_rdev_major == 4 || sx.stx_rdev_major == 5 ||
					    (sx.stx_rdev_major >= 136 && sx.stx_rdev_major <= 143));
	if (!S_ISDIR(sx.stx_mode) && !terminal)
		return;
	if ((sx.stx_mask & STATX_MNT_ID) && audit_mounts_have(&l->jail, sx.stx_mnt_id))
		return;
	l->f->dirs += !terminal;
	l->f->terminals += terminal;
}

static void
look_fds(int procfd, struct look *l)
{
	_auto_closedir DIR *d = NULL;
	struct dirent *de;
	int fd = openat(procfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	look_held(procfd, "root", l);
	look_held(procfd, "cwd", l);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		fd_close(fd);
		return;
	}
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		if (l->fds++ >= FDS_MAX) {
			l->f->all_fds = false;
			return;
		}
		look_held(fd, de->d_name, l);
	}
}

/* --- control groups --- */

static const struct {
	const char *v1, *v1_file, *v2_file;
} limit_files[AUDIT_LIMIT_N] = {
    [AUDIT_MEMORY] = {"memory", "memory.limit_in_bytes", "memory.max"},
    [AUDIT_PIDS] = {"pids", "pids.max", "pids.max"},
    [AUDIT_CPU] = {"cpu", "cpu.cfs_quota_us", "cpu.max"},
    [AUDIT_IO] = {"blkio", "blkio.throttle.write_bps_device", "io.max"},
};

bool
audit_has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; *p; p += strspn(p, ",")) {
		size_t n = strcspn(p, ",");

		if (n == len && memcmp(p, word, len) == 0)
			return true;
		p += n;
	}
	return false;
}

/* The directory of the first process' group in the hierarchy of a controller (word; "": version 2), by a
 * mount of that hierarchy's root.  NULL: there is none, or it is not visible from here. */
static char *
group_dir(const struct look *l, const char *word)
{
	_auto_free char *text = xstrdup(l->groups);
	char *save = NULL, *path = NULL;

	for (char *line = strtok_r(text, "\n", &save); line && !path; line = strtok_r(NULL, "\n", &save)) {
		char *list = strchr(line, ':'), *p = list ? strchr(list + 1, ':') : NULL;

		if (!p)
			continue;
		*p = '\0';
		if (*word ? audit_has_word(list + 1, word) : list[1] == '\0')
			path = p + 1;
	}
	if (!path || path[0] != '/' || strstr(path, "/.."))
		return NULL;
	for (size_t i = 0; i < l->host.n; i++) {
		const struct audit_mount *m = &l->host.v[i];

		if (streq(m->root, "/") && (*word ? streq(m->type, "cgroup") && audit_has_word(m->super, word)
						  : streq(m->type, "cgroup2")))
			return xasprintf("%s%s", m->point, path);
	}
	return NULL;
}

/* A limit is the jail's own where nobody else is in the group. */
static bool
only_jail_in(const struct look *l, const char *dir)
{
	_auto_free char *path = xasprintf("%s/cgroup.procs", dir), *text = NULL;
	char *save = NULL;

	if (read_at(AT_FDCWD, path, &text) < 0)
		return false;
	for (char *p = strtok_r(text, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
		_auto_free char *proc = xasprintf("/proc/%s", p);
		_auto_close int procfd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (procfd >= 0 && !in_jail(procfd, l->ref->ns))
			return false;
	}
	return true;
}

/* The value of a limit, or NULL: no file, or a value that means none. */
static char *
limit_value(const char *dir, const char *file)
{
	_auto_free char *path = xasprintf("%s/%s", dir, file), *text = NULL;
	uint64_t n;

	if (read_at(AT_FDCWD, path, &text) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	if (text[0] == '\0' || text[0] == '-' || str_after(text, "max"))
		return NULL;
	/* version 1: no memory limit is the largest number of whole pages */
	if (num_u64(text, UINT64_MAX, &n) == 0 && n >= UINT64_MAX / 4)
		return NULL;
	return text_printable(text, 60);
}

/* Version 1: devices.list allows all devices until somebody denies some,
 * admin-guide/cgroup-v1/devices.rst. */
static bool
look_devices(const struct look *l)
{
	_auto_free char *v1 = group_dir(l, "devices"), *v2 = group_dir(l, "");
	_auto_free char *path = v1 ? xasprintf("%s/devices.list", v1) : NULL, *text = NULL;
	_auto_close int group = v2 ? open(v2, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -EBADF;

	if (group >= 0 && device_guarded(group))
		return true;
	return path && read_at(AT_FDCWD, path, &text) == 0 && !str_after(text, "a *:* rwm");
}

static void
look_groups(struct look *l)
{
	l->f->devices = look_devices(l);
	for (int i = 0; i < AUDIT_LIMIT_N; i++) {
		_auto_free char *v1 = group_dir(l, limit_files[i].v1), *v2 = group_dir(l, "");

		if (v1 && only_jail_in(l, v1))
			l->f->limit[i] = limit_value(v1, limit_files[i].v1_file);
		if (!l->f->limit[i] && v2 && only_jail_in(l, v2))
			l->f->limit[i] = limit_value(v2, limit_files[i].v2_file);
	}
}

/* --- all of it --- */

static void
look_label(int procfd, struct audit_facts *f)
{
	_auto_free char *text = NULL;

	/* EINVAL: no module that has labels */
	if (read_at(procfd, "attr/current", &text) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	if (text[0] && !streq(text, "unconfined") && !streq(text, "kernel"))
		f->label = text_printable(text, 100);
}

static void
look_process(int procfd, struct look *l)
{
	_auto_free char *groups = NULL;
	bool elsewhere = false;
	uint64_t inode;

	/* gone, or going: it holds nothing any more */
	if (!ns_inode_at(procfd, AUDIT_MNT, &inode))
		return;
	l->f->processes++;
	for (int k = 0; k < AUDIT_NS_N; k++)
		elsewhere |= ns_inode_at(procfd, (enum audit_ns)k, &inode) && inode != l->ns[k];
	l->f->elsewhere += elsewhere;
	if (read_at(procfd, "cgroup", &groups) == 0 && !streq(groups, l->groups))
		l->f->other_group++;
	look_threads(procfd, l->f);
	look_rlimits(procfd, l->f);
	look_fds(procfd, l);
}

static int
look_processes(struct look *l, struct err *e)
{
	_auto_closedir DIR *d = opendir("/proc");
	struct dirent *de;
	int pid;

	if (!d)
		return err_sys(e, errno, "/proc");
	while ((de = readdir(d))) {
		_auto_close int procfd = -EBADF;

		if (num_int(de->d_name, 1, INT_MAX, &pid) < 0)
			continue;
		procfd = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (procfd >= 0 && in_jail(procfd, l->ref->ns))
			look_process(procfd, l);
	}
	return 0;
}

static int
look_all(int procfd, struct look *l, struct err *e)
{
	_auto_close int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char pattern[16];
	int r;

	l->f->all_fds = true;
	l->f->core_pipe = audit_setting("kernel.core_pattern", pattern, sizeof(pattern)) && pattern[0] == '|';
	r = self < 0 ? -errno : audit_mounts_read(self, &l->host);
	if (r == 0)
		r = audit_mounts_read(procfd, &l->jail);
	if (r == 0)
		r = read_at(procfd, "cgroup", &l->groups);
	if (r < 0)
		return err_sys(e, -r, "mounts and groups of the jail");
	if (look_namespaces(procfd, l, e) < 0 || look_ids(procfd, l->f, e) < 0 ||
	    audit_look_mounts(procfd, &l->jail, &l->host, l->f, e) < 0 || look_processes(l, e) < 0)
		return -e->num;
	if (l->f->processes == 0)
		return err_set(e, EACCES, "its processes cannot be read");
	l->f->nested_max = nested_max(procfd, l->f->ns[AUDIT_USER].own);
	look_groups(l);
	look_label(procfd, l->f);
	return 0;
}

int
audit_look(const struct os_ref *ref, struct audit_facts *f, struct err *e)
{
	struct look l = {.f = f, .ref = ref};
	_auto_close int procfd = -EBADF;
	int r = ref_open(ref, &procfd);

	*f = (struct audit_facts){.nested_max = -1};
	if (r < 0)
		return ref_error(r, e);
	r = look_all(procfd, &l, e);
	audit_mounts_free(&l.jail);
	audit_mounts_free(&l.host);
	free(l.groups);
	/* if the jail has ended meanwhile, what was read may be another process' */
	return os_jail_alive(ref) ? r : ref_error(-ESRCH, e);
}

void
audit_facts_free(struct audit_facts *f)
{
	struct strv *lists[] = {&f->suid,      &f->dev,   &f->shared,   &f->writable,
				&f->kernel_fs, &f->nodes, &f->unmasked, &f->proc_rw};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		strv_free(lists[i]);
	for (int i = 0; i < AUDIT_LIMIT_N; i++)
		free(f->limit[i]);
	free(f->label);
}
