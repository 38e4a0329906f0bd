/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control groups.  A jail has one group in each hierarchy that it needs, HIERARCHY/brig[.TAG]/NAME-JID,
 * beside all others: no group of others is changed, and no process is moved but into a jail's group.
 *
 * A controller is used where it is: version 2 when cgroup.controllers has it, else the version 1 hierarchy
 * it is mounted with (both at once is the "hybrid" layout).  Where version 2 is mounted, a jail has a group
 * in it also without limits: else it would be in the session or unit of whoever started it, which systemd
 * ends as a whole.  Facts: cgroups(7), the kernel's admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/.
 *
 * Why at the top and not below a unit of systemd: systemd's rules (systemd.io/CGROUP_DELEGATION) are that the
 * top is its own, and that groups of others belong below a unit with Delegate=yes.  Such a unit needs a
 * process that stays, which a program without a daemon does not have: when the last of its own processes has
 * ended, systemd gives the group up also of a unit that remains active (RemainAfterExit=).  What systemd does
 * at the top is to switch controllers on and off for its own units, and the kernel does not let it switch off
 * one that brig/ hands down to its jails (EBUSY).  test/vm/systemd shows that it leaves the rest alone.
 *
 * Controllers that are switched on at the top stay so: other groups may have come to use them meanwhile, and
 * would silently lose their limits.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fsx.h"
#include "base/num.h"
#include "os/linux/limits/limit.h"
#include "os/linux/host/syscalls.h"

#define CPU_QUOTA_MIN_US 1000 /* the kernel refuses less */
#define REMOVE_WAIT_MS 3000
#define FILE_MAX_LEN 65536
#define MOUNTINFO_MAX (16u << 20)
#define SWITCH_TRIES 100 /* of a millisecond */

enum controller { C_MEMORY, C_PIDS, C_CPU, C_IO, C_CPUACCT, C_N };
static const struct {
	const char *v2, *v1;
	const char *limit; /* the parameter that needs it */
} controllers[C_N] = {
    [C_MEMORY] = {"memory", "memory", "limit.memory"},
    [C_PIDS] = {"pids", "pids", "limit.pids"},
    [C_CPU] = {"cpu", "cpu", "limit.cpu"},
    [C_IO] = {"io", "blkio", "limit.io"},
    [C_CPUACCT] = {NULL, "cpuacct", NULL}, /* version 2 counts the time in every group */
};

/* Where the hierarchies are mounted; NULL: not there. */
struct hiers {
	char *v2;
	char *v1[C_N];
	unsigned on_v2; /* 1 << controller */
};

static void
hiers_free(struct hiers *h)
{
	free(h->v2);
	for (int c = 0; c < C_N; c++)
		free(h->v1[c]);
}

#define _auto_hiers _auto_(hiers_free)

/* Is word one of a list with sep between? */
static bool
has_word(const char *list, const char *word, const char *sep)
{
	size_t len = strlen(word);

	for (const char *p = list; *p; p += strspn(p, sep)) {
		size_t n = strcspn(p, sep);

		if (n == len && memcmp(p, word, len) == 0)
			return true;
		p += n;
	}
	return false;
}

/* Files of procfs and cgroupfs have the size 0: read to the end of file. */
static int
read_text(const char *path, size_t max, char **ret)
{
	_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fsx_read_fd(fd, max, ret, NULL);
}

/* One line of mountinfo: "ID PARENT DEV ROOT MOUNTPOINT OPTIONS [FIELDS] - TYPE SOURCE SUPEROPTIONS". */
static void
take_mount(struct hiers *h, char *line)
{
	char *tail = strstr(line, " - "), *field[5], *save = NULL, *type, *super;

	if (!tail)
		return;
	*tail = '\0';
	for (size_t i = 0; i < ARRAY_LEN(field); i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return;
	}
	type = strtok_r(tail + 3, " ", &save);
	(void)strtok_r(NULL, " ", &save);
	super = strtok_r(NULL, " ", &save);
	/* only a mount of a hierarchy's root: one of a group below it (in a container) is somebody's group */
	if (!type || !super || !streq(field[3], "/"))
		return;
	if (streq(type, "cgroup2") && !h->v2)
		h->v2 = xstrdup(field[4]);
	for (int c = 0; streq(type, "cgroup") && c < C_N; c++)
		if (!h->v1[c] && has_word(super, controllers[c].v1, ","))
			h->v1[c] = xstrdup(field[4]);
}

static int
hiers_find(struct hiers *h, struct err *e)
{
	_auto_free char *text = NULL, *have = NULL, *path = NULL;
	char *save = NULL;
	int r;

	r = read_text("/proc/self/mountinfo", MOUNTINFO_MAX, &text);
	if (r < 0)
		return err_sys(e, -r, "/proc/self/mountinfo");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		take_mount(h, line);
	if (!h->v2)
		return 0;
	path = xasprintf("%s/cgroup.controllers", h->v2);
	if (read_text(path, FILE_MAX_LEN, &have) < 0)
		return 0;
	for (int c = 0; c < C_N; c++)
		if (controllers[c].v2 && has_word(have, controllers[c].v2, " \n"))
			h->on_v2 |= 1u << c;
	return 0;
}

static unsigned
wanted(const struct jailspec *spec)
{
	return (spec->limit.memory ? 1u << C_MEMORY : 0) | (spec->limit.pids ? 1u << C_PIDS : 0) |
	       (spec->limit.cpu ? 1u << C_CPU : 0) | (spec->limit.io_bps ? 1u << C_IO : 0);
}

/* The mount of a controller, or NULL. */
static const char *
hier_of(const struct hiers *h, int c)
{
	return h->on_v2 & (1u << c) ? h->v2 : h->v1[c];
}

/* The hierarchies of version 1 that a jail with these limits is put into, each once.  cpuacct, too, so
 * that the CPU time is counted. */
static void
hiers_v1(const struct hiers *h, unsigned want, struct strv *ret)
{
	if (want && !h->v2)
		want |= 1u << C_CPUACCT;
	for (int c = 0; c < C_N; c++) {
		const char *mount = want & ~h->on_v2 & (1u << c) ? h->v1[c] : NULL;

		if (mount && !strv_has(ret, mount))
			strv_add(ret, mount);
	}
}

/* The same, and version 2 if that is mounted. */
static void
hiers_wanted(const struct hiers *h, unsigned want, struct strv *ret)
{
	if (h->v2)
		strv_add(ret, h->v2);
	hiers_v1(h, want, ret);
}

static char *
top_path(const char *mount, const struct os_id *id)
{
	return xasprintf("%s/brig%s%s", mount, *id->tag ? "." : "", id->tag);
}

static char *
group_path(const char *mount, const struct os_id *id)
{
	_auto_free char *top = top_path(mount, id);

	return xasprintf("%s/%s-%d", top, id->name, id->jid);
}

/* The kernel takes or refuses a value in one write. */
static int
write_value(const char *dir, const char *file, const char *value)
{
	_auto_free char *path = xasprintf("%s/%s", dir, file);
	_auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

static int _printf_(4, 5) set(const char *dir, const char *file, struct err *e, const char *fmt, ...)
{
	_auto_free char *value = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	value = xvasprintf(fmt, ap);
	va_end(ap);
	r = write_value(dir, file, value);
	return r < 0 ? err_sys(e, -r, "write '%s' to %s/%s", value, dir, file) : 0;
}

static bool
has_file(const char *dir, const char *file)
{
	_auto_free char *path = xasprintf("%s/%s", dir, file);

	return access(path, F_OK) == 0;
}

/* --- the device that limit.io is about --- */

/* Throttling takes whole disks only: the number of a partition becomes its disk's. */
static dev_t
whole_disk(dev_t dev)
{
	_auto_free char *part = xasprintf("/sys/dev/block/%u:%u/partition", major(dev), minor(dev));
	_auto_free char *disk = xasprintf("/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
	_auto_free char *text = NULL;
	uint64_t ma, mi;
	char *colon;

	if (access(part, F_OK) < 0 || read_text(disk, 64, &text) < 0)
		return dev;
	text[strcspn(text, "\n")] = '\0';
	colon = strchr(text, ':');
	if (!colon)
		return dev;
	*colon = '\0';
	if (num_u64(text, UINT32_MAX, &ma) < 0 || num_u64(colon + 1, UINT32_MAX, &mi) < 0)
		return dev;
	return makedev((unsigned)ma, (unsigned)mi);
}

/* The disk that the jailspace is on, if the specification has its path; else the disk of the jail's path. */
static int
io_device(const struct jailspec *spec, dev_t *ret, struct err *e)
{
	const char *path = spec->space_arg && *spec->space_arg == '/' ? spec->space_arg : spec->path;
	struct stat st;
	dev_t dev;

	if (!path || stat(path, &st) < 0)
		return err_sys(e, path ? errno : ENOENT, "limit.io: %s",
			       path ? path : "the jail has no path");
	dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	if (major(dev) == 0)
		return err_set(e, EOPNOTSUPP,
			       "limit.io: the file system of %s has no disk of its own to limit", path);
	*ret = whole_disk(dev);
	return 0;
}

/* --- making --- */

struct cpu_share {
	unsigned long long quota_us, period_us;
};

/* The usual period is 100 ms, the longest a second: a small share needs the longer one to be above the
 * smallest quota. */
static struct cpu_share
cpu_share(const struct jailspec *spec)
{
	struct cpu_share s = {spec->limit.cpu * 100, 100000};

	return s.quota_us < CPU_QUOTA_MIN_US ? (struct cpu_share){s.quota_us * 10, 1000000} : s;
}

static int
set_v2(const char *dir, const struct jailspec *spec, unsigned want, struct err *e)
{
	struct cpu_share cpu = cpu_share(spec);
	dev_t dev;

	if ((want & (1u << C_MEMORY)) &&
	    (set(dir, "memory.max", e, "%llu", (unsigned long long)spec->limit.memory) < 0 ||
	     (has_file(dir, "memory.swap.max") && set(dir, "memory.swap.max", e, "0") < 0) ||
	     set(dir, "memory.oom.group", e, "1") < 0))
		return -e->num;
	if ((want & (1u << C_PIDS)) &&
	    set(dir, "pids.max", e, "%llu", (unsigned long long)spec->limit.pids) < 0)
		return -e->num;
	if ((want & (1u << C_CPU)) && set(dir, "cpu.max", e, "%llu %llu", cpu.quota_us, cpu.period_us) < 0)
		return -e->num;
	if (want & (1u << C_IO)) {
		if (io_device(spec, &dev, e) < 0 ||
		    set(dir, "io.max", e, "%u:%u rbps=%llu wbps=%llu", major(dev), minor(dev),
			(unsigned long long)spec->limit.io_bps, (unsigned long long)spec->limit.io_bps) < 0)
			return -e->num;
	}
	return 0;
}

/* mount holds the controllers of want that are in it. */
static int
set_v1(const struct hiers *h, const char *mount, const char *dir, const struct jailspec *spec, unsigned want,
       struct err *e)
{
	unsigned long long memory = spec->limit.memory, bps = spec->limit.io_bps;
	struct cpu_share cpu = cpu_share(spec);
	dev_t dev;

	for (int c = 0; c < C_N; c++)
		if (!h->v1[c] || !streq(h->v1[c], mount) || (h->on_v2 & (1u << c)))
			want &= ~(1u << c);
	/* memory and swap together may not be less than memory, so it comes second; absent without swap
	 * accounting */
	if ((want & (1u << C_MEMORY)) && (set(dir, "memory.limit_in_bytes", e, "%llu", memory) < 0 ||
					  (has_file(dir, "memory.memsw.limit_in_bytes") &&
					   set(dir, "memory.memsw.limit_in_bytes", e, "%llu", memory) < 0)))
		return -e->num;
	if ((want & (1u << C_PIDS)) &&
	    set(dir, "pids.max", e, "%llu", (unsigned long long)spec->limit.pids) < 0)
		return -e->num;
	if ((want & (1u << C_CPU)) && (set(dir, "cpu.cfs_period_us", e, "%llu", cpu.period_us) < 0 ||
				       set(dir, "cpu.cfs_quota_us", e, "%llu", cpu.quota_us) < 0))
		return -e->num;
	if (want & (1u << C_IO)) {
		if (io_device(spec, &dev, e) < 0 ||
		    set(dir, "blkio.throttle.read_bps_device", e, "%u:%u %llu", major(dev), minor(dev), bps) <
			0 ||
		    set(dir, "blkio.throttle.write_bps_device", e, "%u:%u %llu", major(dev), minor(dev),
			bps) < 0)
			return -e->num;
	}
	return 0;
}

/* Enables controllers for the children of dir (cgroup.subtree_control).  The kernel enables memory with
 * io: it knows who dirtied a page that is written back later by the group that the page is charged to
 * (block/blk-cgroup.c, depends_on). */
static int
enable_v2(const char *dir, unsigned want, struct err *e)
{
	for (int c = 0; c < C_N; c++) {
		_auto_free char *word = NULL;
		int r;

		if (!(want & (1u << c)) || !controllers[c].v2)
			continue;
		word = xasprintf("+%s", controllers[c].v2);
		r = write_value(dir, "cgroup.subtree_control", word);
		if (r == -EBUSY)
			return err_set(e, EBUSY,
				       "%s: there are processes in control group %s itself: they must be in "
				       "groups below it",
				       controllers[c].limit, dir);
		if (r < 0)
			return err_sys(e, -r, "%s: controller %s cannot be used in %s", controllers[c].limit,
				       controllers[c].v2, dir);
	}
	return 0;
}

/*
 * -EEXIST: the group exists and has processes in it.  An empty one was left by a jail whose removal was
 * interrupted; it is removed and made anew, so that no old limit stays.  The directory above it can vanish
 * between the two calls: the last jail's removal takes it away.
 */
static int
make_group(const char *top, const char *dir, struct err *e)
{
	for (int tries = 0; tries < 10; tries++) {
		if (mkdir(top, 0755) < 0 && errno != EEXIST)
			return err_sys(e, errno, "make control group %s", top);
		if (mkdir(dir, 0755) == 0)
			return 0;
		if (errno == EEXIST && rmdir(dir) < 0 && errno != ENOENT) {
			if (errno == EBUSY || errno == ENOTEMPTY)
				return err_set(e, EEXIST, "control group %s is in use already", dir);
			return err_sys(e, errno, "remove the left-over control group %s", dir);
		}
		if (errno != ENOENT && errno != EEXIST)
			return err_sys(e, errno, "make control group %s", dir);
	}
	return err_set(e, EAGAIN, "make control group %s: somebody else keeps making and removing it", dir);
}

/* Enables controllers from the hierarchy's root down to the jails.  systemd may disable one at the root
 * as long as no group below uses it, that is between the two calls; the second then fails with ENOENT,
 * and both are repeated.  Once brig/ has it enabled, the kernel does not let anybody disable it above. */
static int
hand_down(const char *mount, const char *top, unsigned want, struct err *e)
{
	for (int tries = 0;; tries++) {
		struct timespec ts = {0, 1000000};
		int r = enable_v2(mount, want, e);

		if (r == 0)
			r = enable_v2(top, want, e);
		if (r != -ENOENT || tries == SWITCH_TRIES)
			return r;
		err_clear(e);
		(void)nanosleep(&ts, NULL);
	}
}

static int
up_one(const struct hiers *h, const char *mount, const struct os_id *id, const struct jailspec *spec,
       struct err *e)
{
	_auto_free char *top = top_path(mount, id), *dir = group_path(mount, id);
	unsigned want = wanted(spec);
	bool v2 = h->v2 && streq(mount, h->v2);

	if (v2) {
		want &= h->on_v2;
		if (enable_v2(mount, want, e) < 0)
			return -e->num;
	}
	if (make_group(top, dir, e) < 0)
		return -e->num;
	if (!v2)
		return set_v1(h, mount, dir, spec, want, e);
	/* the files of a controller appear in dir once its parent has it enabled */
	return hand_down(mount, top, want, e) < 0 ? -e->num : set_v2(dir, spec, want, e);
}

static void
remove_group_of(const char *mount, const struct os_id *id)
{
	_auto_free char *top = top_path(mount, id), *dir = group_path(mount, id);

	(void)rmdir(dir);
	(void)rmdir(top);
}

int
os_limit_check(const struct jailspec *spec, struct err *e)
{
	_auto_hiers struct hiers h = {0};
	unsigned want = wanted(spec);
	dev_t dev;
	int r;

	if (!want)
		return 0;
	r = hiers_find(&h, e);
	if (r < 0)
		return r;
	for (int c = 0; c < C_N; c++)
		if ((want & (1u << c)) && !hier_of(&h, c))
			return err_set(
			    e, EOPNOTSUPP,
			    "%s: this host has no cgroup controller '%s' (brig doctor; the kernel's "
			    "command line may switch it off)",
			    controllers[c].limit, controllers[c].v2);
	return want & (1u << C_IO) ? io_device(spec, &dev, e) : 0;
}

int
os_limit_up(const struct os_id *id, const struct jailspec *spec, struct err *e)
{
	_auto_hiers struct hiers h = {0};
	_auto_strv struct strv mounts = STRV_INIT;
	int r;

	r = os_limit_check(spec, e);
	if (r == 0)
		r = hiers_find(&h, e);
	if (r < 0)
		return r;
	hiers_wanted(&h, wanted(spec), &mounts);
	for (size_t i = 0; i < mounts.n; i++) {
		r = up_one(&h, mounts.v[i], id, spec, e);
		/* without limits the group is not needed: where brig may not make one, the jail has none */
		if (!wanted(spec) && (r == -EROFS || r == -EACCES || r == -EPERM)) {
			remove_group_of(mounts.v[i], id);
			err_clear(e);
			return 0;
		}
		if (r < 0) {
			/* only what was made here: -EEXIST is somebody else's */
			for (size_t k = 0; k < i + (r != -EEXIST); k++)
				remove_group_of(mounts.v[k], id);
			return r;
		}
	}
	return 0;
}

/* --- joining --- */

/* 1: *ret_fd is the group of version 2; 0: there is none, and none is needed. */
static int
open_group(const struct hiers *h, const struct os_id *id, bool needed, int *ret_fd, struct err *e)
{
	_auto_free char *dir = h->v2 ? group_path(h->v2, id) : NULL, *freeze = NULL, *frozen = NULL;
	_auto_close int fd = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -EBADF;

	if (fd < 0)
		return needed ? err_sys(e, dir ? errno : ENOENT, "control group of jail %s", id->name) : 0;
	freeze = xasprintf("%s/cgroup.freeze", dir);
	/* a process born in a frozen group does not run, and its parent would wait for ever */
	if (read_text(freeze, 64, &frozen) == 0 && *frozen == '1')
		return err_set(e, EBUSY, "the jail is frozen (echo 0 > %s)", freeze);
	*ret_fd = TAKE_FD(fd);
	return 1;
}

pid_t
limit_fork(const struct os_id *id, const struct jailspec *spec, int *ret_group, struct err *e)
{
	_auto_hiers struct hiers h = {0};
	_auto_close int group = -EBADF;
	int r = hiers_find(&h, e);
	bool needed = wanted(spec) & h.on_v2;
	pid_t pid;

	if (r == 0)
		r = open_group(&h, id, needed, &group, e);
	if (r < 0)
		return r;
	pid = r > 0 ? sys_clone_into(group, SIGCHLD) : -1;
	/* no group, or one that cannot be joined from here, and no limits that need it: a child outside
	 * of it */
	if (pid < 0 && !needed && (r == 0 || errno == EACCES || errno == EPERM || errno == ENOENT))
		pid = sys_clone(0, SIGCHLD);
	else if (pid == 0 && ret_group)
		*ret_group = TAKE_FD(group);
	return pid >= 0 ? pid : err_sys(e, errno, "new process%s", errno == EAGAIN ? " (limit.pids?)" : "");
}

/*
 * A caller with a negative oom_score_adj must not hand it on to the jail.  It is written also where it is not
 * negative: what a process with CAP_SYS_RESOURCE writes becomes the minimum that it and its children can set
 * later without that capability (proc_pid_oom_score_adj(5)), and the minimum may be lower than the value.
 */
static void
oom_ordinary(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char value[16];
	ssize_t n = fd < 0 ? -1 : read(fd, value, sizeof(value));

	if (n > 0)
		(void)!pwrite(fd, value[0] == '-' ? "0" : value, value[0] == '-' ? 1 : (size_t)n, 0);
	fd_close(fd);
}

int
limit_join(const struct os_id *id, const struct jailspec *spec, struct err *e)
{
	_auto_hiers struct hiers h = {0};
	_auto_strv struct strv mounts = STRV_INIT;
	int r;

	oom_ordinary();
	if (!wanted(spec))
		return 0;
	r = hiers_find(&h, e);
	if (r < 0)
		return r;
	hiers_v1(&h, wanted(spec), &mounts);
	for (size_t i = 0; i < mounts.n; i++) {
		_auto_free char *dir = group_path(mounts.v[i], id);

		r = write_value(dir, "cgroup.procs", "0");
		if (r < 0)
			return err_sys(e, -r, "join control group %s", dir);
	}
	return 0;
}

/* --- a view of them --- */

static int
view_add(struct limit_view *v, const char *mount, const char *name, const struct os_id *id, struct err *e)
{
	_auto_free char *dir = group_path(mount, id);
	int fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "control group %s", dir);
	v->v[v->n].name = name;
	v->v[v->n++].fd = fd;
	return 0;
}

int
limit_view(const struct os_id *id, const struct jailspec *spec, struct limit_view *ret, struct err *e)
{
	_auto_hiers struct hiers h = {0};
	_auto_strv struct strv mounts = STRV_INIT;
	unsigned want = wanted(spec);
	int r = want ? hiers_find(&h, e) : 0;

	*ret = (struct limit_view){.n = 0};
	if (r < 0 || !want)
		return r;
	hiers_v1(&h, want, &mounts);
	for (size_t i = 0; i < mounts.n; i++)
		for (int c = 0; c < C_N; c++)
			if (h.v1[c] && streq(h.v1[c], mounts.v[i])) {
				if (view_add(ret, mounts.v[i], controllers[c].v1, id, e) < 0)
					return -e->num;
				break;
			}
	/* version 2 only where nothing is in version 1: programs look at one of the two */
	return mounts.n || !(want & h.on_v2) ? 0 : view_add(ret, h.v2, "", id, e);
}

/* --- removing, looking --- */

/* Every hierarchy that brig uses, each once: the removal does not know which limits there were. */
static void
hiers_all(const struct hiers *h, struct strv *ret)
{
	if (h->v2)
		strv_add(ret, h->v2);
	for (int c = 0; c < C_N; c++)
		if (h->v1[c] && !strv_has(ret, h->v1[c]))
			strv_add(ret, h->v1[c]);
}

/*
 * The last process of a jail leaves its group a moment after it was waited for.  Any other process in it was
 * about to join the jail and is not in its pid namespace: it is killed, which in version 2 works also when
 * the group is frozen.
 */
static int
remove_group(const char *dir, struct err *e)
{
	for (int step = 1, waited = 0;; step = step < 50 ? step * 2 : step) {
		struct timespec ts = {0, step * 1000000L};

		if (rmdir(dir) == 0 || errno == ENOENT || (errno == EROFS && access(dir, F_OK) < 0))
			return 0;
		if (errno != EBUSY || waited > REMOVE_WAIT_MS)
			return err_sys(e, errno, "remove control group %s", dir);
		(void)write_value(dir, "cgroup.kill", "1"); /* Linux 5.14, version 2 */
		(void)nanosleep(&ts, NULL);
		waited += step;
	}
}

int
os_limit_down(const struct os_id *id, struct err *e)
{
	_auto_hiers struct hiers h = {0};
	_auto_strv struct strv mounts = STRV_INIT;
	int r = hiers_find(&h, e), bad = 0;

	if (r < 0)
		return r;
	hiers_all(&h, &mounts);
	for (size_t i = 0; i < mounts.n; i++) {
		_auto_free char *top = top_path(mounts.v[i], id), *dir = group_path(mounts.v[i], id);

		r = remove_group(dir, e);
		if (r < 0)
			bad = r;
		(void)rmdir(top); /* not while another jail's group is in it */
	}
	return bad;
}

static int64_t
read_number(const char *dir, const char *file)
{
	_auto_free char *path = xasprintf("%s/%s", dir, file), *text = NULL;
	uint64_t v;

	if (read_text(path, FILE_MAX_LEN, &text) < 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	return num_u64(text, INT64_MAX, &v) < 0 ? -1 : (int64_t)v;
}

/* "usage_usec N" of cpu.stat. */
static int64_t
read_cpu_v2(const char *dir)
{
	_auto_free char *path = xasprintf("%s/cpu.stat", dir), *text = NULL;
	const char *v;
	uint64_t us;

	if (read_text(path, FILE_MAX_LEN, &text) < 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	v = str_after(text, "usage_usec ");
	return !v || num_u64(v, INT64_MAX / 1000, &us) < 0 ? -1 : (int64_t)us * 1000;
}

int
os_limit_usage(const struct os_id *id, struct os_usage *ret, struct err *e)
{
	_auto_hiers struct hiers h = {0};
	struct os_usage u = {-1, -1, -1};
	int r = hiers_find(&h, e);

	if (r < 0)
		return r;
	for (int c = 0; c < C_N; c++) {
		_auto_free char *dir = h.v1[c] ? group_path(h.v1[c], id) : NULL;

		if (!dir)
			continue;
		if (c == C_MEMORY)
			u.memory = read_number(dir, "memory.usage_in_bytes");
		else if (c == C_PIDS)
			u.pids = read_number(dir, "pids.current");
		else if (c == C_CPUACCT)
			u.cpu_ns = read_number(dir, "cpuacct.usage");
	}
	if (h.v2) {
		_auto_free char *dir = group_path(h.v2, id);

		u.memory = u.memory >= 0 ? u.memory : read_number(dir, "memory.current");
		u.pids = u.pids >= 0 ? u.pids : read_number(dir, "pids.current");
		u.cpu_ns = u.cpu_ns >= 0 ? u.cpu_ns : read_cpu_v2(dir);
	}
	*ret = u;
	return 0;
}
