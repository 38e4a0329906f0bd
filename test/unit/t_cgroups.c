/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os/linux/limits/limit.c on hierarchies that this host need not have: a directory that behaves like them, with
 * exactly the files that a kernel would make, and a mountinfo that leads there.  t_limit has the real ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "os/linux/host/syscalls.h"

static char lab[] = "/tmp/t_cgroups.XXXXXX";
static char mountinfo[4096];
static int mkdir_errno;     /* 0: works */
static const char *refused; /* the file in which the kernel takes no value */
static int clone_errno;
static char *own_adj; /* in the place of /proc/self/oom_score_adj */

/* /sys/dev/block is a directory of ours. */
static char *
block_path(const char *path)
{
	const char *rest = str_after(path, "/sys/dev/block/");

	return rest ? xasprintf("%s/block/%s", lab, rest) : xstrdup(path);
}

static int
fake_access(const char *path, int mode)
{
	_auto_free char *own = block_path(path);

	return access(own, mode);
}

static int
fake_open(const char *path, int flags)
{
	_auto_free char *own = block_path(path);

	if (!streq(own, path))
		return open(own, flags);
	if (streq(path, "/proc/self/mountinfo")) {
		int fd = memfd_create("mountinfo", MFD_CLOEXEC);

		assert_true(fd >= 0 && write(fd, mountinfo, strlen(mountinfo)) >= 0 &&
			    lseek(fd, 0, SEEK_SET) == 0);
		return fd;
	}
	if (streq(path, "/proc/self/oom_score_adj") && own_adj)
		return open(own_adj, flags);
	if (refused && strstr(path, refused)) {
		errno = EINVAL;
		return -1;
	}
	/* a value is taken whole: what was written before is not seen */
	return open(path, (flags & O_ACCMODE) == O_WRONLY ? flags | O_TRUNC : flags);
}

static const char *const group_files[] = {"cgroup.procs",
					  "memory.limit_in_bytes",
					  "memory.memsw.limit_in_bytes",
					  "pids.max",
					  "cpu.cfs_period_us",
					  "cpu.cfs_quota_us",
					  "blkio.throttle.read_bps_device",
					  "blkio.throttle.write_bps_device",
					  "memory.max",
					  "memory.swap.max",
					  "memory.oom.group",
					  "cpu.max",
					  "io.max",
					  "cgroup.subtree_control"};

static int
fake_mkdir(const char *path, mode_t mode)
{
	if (mkdir_errno) {
		errno = mkdir_errno;
		return -1;
	}
	if (mkdir(path, mode) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(group_files); i++) {
		_auto_free char *file = xasprintf("%s/%s", path, group_files[i]);
		_auto_close int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
	}
	return 0;
}

static char *
value_of(const char *dir, const char *file)
{
	_auto_free char *path = xasprintf("%s/%s", dir, file);
	_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;

	return fd >= 0 && fsx_read_fd(fd, 4096, &text, NULL) == 0 ? text : xstrdup("none");
}

/* Its files go with it; one with a process in it, or with a group below it, stays. */
static int
fake_rmdir(const char *path)
{
	_auto_free char *procs = value_of(path, "cgroup.procs"), *child = xasprintf("%s/x", path);
	struct stat st;

	if (stat(path, &st) < 0)
		return -1;
	if (st.st_nlink > 2 || (*procs && !streq(procs, "none"))) {
		errno = EBUSY;
		return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(group_files); i++) {
		_auto_free char *file = xasprintf("%s/%s", path, group_files[i]);

		(void)unlink(file);
	}
	return rmdir(path);
}

static pid_t
fake_clone_into(int group, int exit_signal)
{
	(void)group;
	(void)exit_signal;
	errno = clone_errno;
	return -1;
}

#define open(path, flags) fake_open(path, flags)
#define access fake_access
#define mkdir fake_mkdir
#define rmdir fake_rmdir
#define sys_clone_into fake_clone_into
#include "os/linux/limits/limit.c"
#undef access
#undef open
#undef mkdir
#undef rmdir

static const struct os_id id = {"", "www", 7};

static struct jailspec
spec_of(uint64_t memory, uint64_t pids, uint64_t cpu, uint64_t io)
{
	struct jailspec s = {.path = (char[]){"/"}};

	s.limit.memory = memory;
	s.limit.pids = pids;
	s.limit.cpu = cpu;
	s.limit.io_bps = io;
	return s;
}

/* name: of the hierarchy's directory; kind and options as in mountinfo. */
static void
hierarchy(const char *name, const char *root, const char *kind, const char *options)
{
	size_t n = strlen(mountinfo);
	_auto_free char *dir = xasprintf("%s/%s", lab, name);

	(void)snprintf(mountinfo + n, sizeof(mountinfo) - n,
		       "30 20 0:26 %s %s rw,nosuid shared:9 - %s none rw,%s\n", root, dir, kind, options);
	(void)fake_mkdir(dir, 0755);
}

static int
each(void **state)
{
	(void)state;
	(void)snprintf(lab, sizeof(lab), "/tmp/t_cgroups.XXXXXX");
	mountinfo[0] = '\0';
	mkdir_errno = 0;
	refused = NULL;
	clone_errno = EBADF;
	return mkdtemp(lab) ? 0 : -1;
}

static int
done(void **state)
{
	_auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = ERR_INIT;

	(void)state;
	return fsx_rm_rf_at(tmp, lab + 5, &e);
}

static char *
group(const char *name)
{
	return xasprintf("%s/%s/brig/www-7", lab, name);
}

static bool
there(const char *name)
{
	_auto_free char *dir = group(name);

	return access(dir, F_OK) == 0;
}

static void
expect(const char *name, const char *file, const char *want)
{
	_auto_free char *dir = group(name), *now = value_of(dir, file);

	if (!streq(now, want))
		fail_msg("%s/%s is '%s', not '%s'", dir, file, now, want);
}

static void
version_1(void)
{
	hierarchy("memory", "/", "cgroup", "memory");
	hierarchy("pids", "/", "cgroup", "pids");
	hierarchy("cpu", "/", "cgroup", "cpu,cpuacct");
	hierarchy("blkio", "/", "cgroup", "blkio");
}

static void
make_used(const char *name)
{
	_auto_free char *dir = group(name), *file = xasprintf("%s/cgroup.procs", dir),
			*above = xasprintf("%s/%s/brig", lab, name);
	_auto_close int fd = -EBADF;

	(void)fake_mkdir(above, 0755);
	assert_int_equal(fake_mkdir(dir, 0755), 0);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "1", 1), 1);
}

/* ---- which mounts ---- */

static void
mounts(void **state)
{
	struct hiers h = {0};
	struct err e = ERR_INIT;
	_auto_free char *two = NULL;

	(void)state;
	/* somebody's group that is mounted is no hierarchy; words are whole */
	hierarchy("part", "/user.slice", "cgroup", "memory");
	hierarchy("part2", "/user.slice", "cgroup2", "nsdelegate");
	hierarchy("acct", "/", "cgroup", "cpuacct");
	hierarchy("mem", "/", "cgroup", "memory");
	hierarchy("later", "/", "cgroup", "memory");
	hierarchy("none", "/", "tmpfs", "pids");
	hierarchy("cpu", "/", "cgroup", "xcpu,cpu,y");
	hierarchy("name", "/", "cgroup", "name=pids");
	hierarchy("two", "/", "cgroup2", "nsdelegate");
	hierarchy("two-again", "/", "cgroup2", "nsdelegate");
	two = xasprintf("%s/two", lab);
	assert_int_equal(hiers_find(&h, &e), 0);
	assert_string_equal(h.v2, two);
	assert_string_equal(h.v1[C_MEMORY] + strlen(lab), "/mem");
	assert_string_equal(h.v1[C_CPU] + strlen(lab), "/cpu");
	assert_string_equal(h.v1[C_CPUACCT] + strlen(lab), "/acct");
	assert_null(h.v1[C_PIDS]);
	assert_null(h.v1[C_IO]);
	assert_int_equal(h.on_v2, 0);
	hiers_free(&h);
}

/* ---- what is written ---- */

static void
values_v1(void **state)
{
	struct jailspec s = spec_of(64 << 20, 20, 50, 0);
	struct err e = ERR_INIT;

	(void)state;
	version_1();
	assert_int_equal(os_limit_up(&id, &s, &e), 0);
	expect("memory", "memory.limit_in_bytes", "67108864");
	expect("memory", "memory.memsw.limit_in_bytes", "67108864");
	expect("pids", "pids.max", "20");
	expect("cpu", "cpu.cfs_period_us", "100000");
	expect("cpu", "cpu.cfs_quota_us", "5000");
	assert_false(there("blkio"));
	assert_int_equal(os_limit_down(&id, &e), 0);
	assert_false(there("memory") || there("pids") || there("cpu"));
	{
		_auto_free char *above = xasprintf("%s/memory/brig", lab);

		assert_true(access(above, F_OK) < 0);
	}
}

static void
values_v2(void **state)
{
	struct jailspec s = spec_of(64 << 20, 20, 150, 0);
	_auto_free char *file = NULL;
	struct err e = ERR_INIT;

	(void)state;
	hierarchy("two", "/", "cgroup2", "nsdelegate");
	file = xasprintf("%s/two/cgroup.controllers", lab);
	{
		_auto_close int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_true(write(fd, "cpuset cpu io memory pids\n", 26) == 26);
	}
	assert_int_equal(os_limit_up(&id, &s, &e), 0);
	expect("two", "memory.max", "67108864");
	expect("two", "memory.swap.max", "0");
	expect("two", "memory.oom.group", "1");
	expect("two", "pids.max", "20");
	expect("two", "cpu.max", "15000 100000");
	expect("two", "io.max", "");
}

static void
io_values(void **state)
{
	struct hiers h = {0};
	struct jailspec s = spec_of(0, 0, 0, 1 << 20);
	struct err e = ERR_INIT;
	_auto_free char *want1 = NULL, *want2 = NULL, *dir = xasprintf("%s/disk", lab);
	struct stat st;
	dev_t dev;

	(void)state;
	if (stat("/dev/null", &st) < 0)
		skip();
	/* a disk's node is as good as the disk */
	s.space_arg = xasprintf("%s/node", lab);
	if (mknod(s.space_arg, S_IFBLK | 0600, makedev(7, 77)) < 0)
		skip();
	assert_int_equal(io_device(&s, &dev, &e), 0);
	assert_true(dev == makedev(7, 77));
	(void)fake_mkdir(dir, 0755);
	h.v1[C_IO] = xstrdup("blkio");
	want1 = xasprintf("7:77 %u", 1 << 20);
	want2 = xasprintf("7:77 rbps=%u wbps=%u", 1 << 20, 1 << 20);
	assert_int_equal(set_v1(&h, "blkio", dir, &s, 1u << C_IO, &e), 0);
	assert_int_equal(set_v2(dir, &s, 1u << C_IO, &e), 0);
	{
		_auto_free char *r = value_of(dir, "blkio.throttle.read_bps_device"),
				*w = value_of(dir, "blkio.throttle.write_bps_device"),
				*m = value_of(dir, "io.max");

		assert_string_equal(r, want1);
		assert_string_equal(w, want1);
		assert_string_equal(m, want2);
	}
	hiers_free(&h);
	free(s.space_arg);
}

static void
put_block(const char *name, const char *text)
{
	_auto_free char *path = xasprintf("%s/block/%s", lab, name);
	_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(write(fd, text, strlen(text)) >= 0);
}

/* A partition is limited by its disk. */
static void
whole_disks(void **state)
{
	static const char *const dirs[] = {"", "/disk", "/disk/part"};
	_auto_free char *link1 = xasprintf("%s/block/8:1", lab), *link2 = xasprintf("%s/block/8:16", lab);
	struct jailspec s = spec_of(0, 0, 0, 1 << 20);
	struct err e = ERR_INIT;
	dev_t dev;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		_auto_free char *dir = xasprintf("%s/block%s", lab, dirs[i]);

		assert_int_equal(mkdir(dir, 0755), 0);
	}
	put_block("disk/dev", "8:16\n");
	put_block("disk/part/dev", "8:1\n");
	put_block("disk/part/partition", "1\n");
	assert_true(symlink("disk/part", link1) == 0 && symlink("disk", link2) == 0);
	assert_true(whole_disk(makedev(8, 1)) == makedev(8, 16));
	assert_true(whole_disk(makedev(8, 16)) == makedev(8, 16));
	assert_true(whole_disk(makedev(8, 2)) == makedev(8, 2));
	s.space_arg = xasprintf("%s/node", lab);
	if (mknod(s.space_arg, S_IFBLK | 0600, makedev(8, 1)) == 0) {
		assert_int_equal(io_device(&s, &dev, &e), 0);
		assert_true(dev == makedev(8, 16));
	}
	put_block("disk/dev", "8;16\n");
	assert_true(whole_disk(makedev(8, 1)) == makedev(8, 1));
	free(s.space_arg);
}

static void
shares(void **state)
{
	static const struct {
		uint64_t percent;
		unsigned long long quota, period;
	} rows[] = {{1, 1000, 1000000}, {5, 5000, 1000000},   {9, 9000, 1000000},     {10, 1000, 100000},
		    {11, 1100, 100000}, {100, 10000, 100000}, {1000, 100000, 100000}, {6400, 640000, 100000}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct jailspec s = spec_of(0, 0, rows[i].percent, 0);
		struct cpu_share c = cpu_share(&s);

		assert_int_equal(c.quota_us, rows[i].quota);
		assert_int_equal(c.period_us, rows[i].period);
	}
}

/* ---- what cannot be ---- */

static void
missing_controller(void **state)
{
	struct jailspec s = spec_of(64 << 20, 20, 0, 0), none = spec_of(0, 0, 0, 0);
	struct err e = ERR_INIT;

	(void)state;
	hierarchy("two", "/", "cgroup2", "nsdelegate"); /* without controllers */
	hierarchy("memory", "/", "cgroup", "memory");
	assert_int_equal(os_limit_check(&s, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "limit.pids"));
	assert_int_equal(os_limit_up(&id, &s, &e), -EOPNOTSUPP);
	assert_false(there("memory") || there("two"));
	assert_int_equal(os_limit_up(&id, &none, &e), 0);
	assert_true(there("two") && !there("memory"));
}

/* Without limits a group is for order only; with them there must be one. */
static void
cannot_be_made(void **state)
{
	static const int nums[] = {EROFS, EACCES, EPERM, ENOSPC};
	struct jailspec s = spec_of(64 << 20, 0, 0, 0), none = spec_of(0, 0, 0, 0);
	struct err e = ERR_INIT;

	(void)state;
	hierarchy("two", "/", "cgroup2", "nsdelegate");
	hierarchy("memory", "/", "cgroup", "memory");
	for (size_t i = 0; i < ARRAY_LEN(nums); i++) {
		mkdir_errno = nums[i];
		assert_int_equal(os_limit_up(&id, &s, &e), -nums[i]);
		assert_int_equal(os_limit_up(&id, &none, &e), nums[i] == ENOSPC ? -ENOSPC : 0);
		err_clear(&e);
	}
}

/* A value that the kernel refuses: nothing of what was made stays. */
static void
all_or_nothing(void **state)
{
	static const char *const files[] = {"memory.limit_in_bytes", "memory.memsw", "pids.max",
					    "cpu.cfs_quota_us", "cpu.cfs_period_us"};
	struct jailspec s = spec_of(64 << 20, 20, 50, 0);
	struct err e = ERR_INIT;

	(void)state;
	version_1();
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		refused = files[i];
		assert_int_equal(os_limit_up(&id, &s, &e), -EINVAL);
		assert_false(there("memory") || there("pids") || there("cpu"));
	}
}

/* A group of the name that is in use is somebody's: it stays, as do those that were not come to, and what was made
 * before goes. */
static void
of_others(void **state)
{
	struct jailspec s = spec_of(64 << 20, 20, 50, 0);
	_auto_free char *above = xasprintf("%s/cpu/brig", lab), *cpu = NULL;
	struct err e = ERR_INIT;

	(void)state;
	version_1();
	cpu = group("cpu");
	make_used("pids");
	assert_int_equal(fake_mkdir(above, 0755), 0);
	assert_int_equal(fake_mkdir(cpu, 0755), 0); /* empty, and not come to */
	assert_int_equal(os_limit_up(&id, &s, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "in use"));
	assert_true(there("pids") && there("cpu"));
	assert_false(there("memory"));
	expect("pids", "cgroup.procs", "1");
	expect("pids", "pids.max", "");
}

/* One that was left is made anew: no old value stays. */
static void
left_over(void **state)
{
	struct jailspec s = spec_of(64 << 20, 0, 0, 0), more = spec_of(64 << 20, 5, 0, 0);
	struct err e = ERR_INIT;

	(void)state;
	hierarchy("one", "/", "cgroup", "memory,pids");
	assert_int_equal(os_limit_up(&id, &more, &e), 0);
	expect("one", "pids.max", "5");
	assert_int_equal(os_limit_up(&id, &s, &e), 0);
	expect("one", "pids.max", "");
}

/* Who has limits is born with them, or not at all. */
static void
born_with_limits(void **state)
{
	static const int nums[] = {EACCES, EPERM, ENOENT, EBADF, EAGAIN};
	struct jailspec s = spec_of(64 << 20, 0, 0, 0), none = spec_of(0, 0, 0, 0);
	struct err e = ERR_INIT;
	_auto_free char *file = NULL;
	int status;

	(void)state;
	hierarchy("two", "/", "cgroup2", "nsdelegate");
	file = xasprintf("%s/two/cgroup.controllers", lab);
	{
		_auto_close int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_true(write(fd, "memory\n", 7) == 7);
	}
	assert_true(limit_fork(&id, &s, NULL, &e) < 0); /* its group is not there */
	assert_int_equal(os_limit_up(&id, &s, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(nums); i++) {
		pid_t pid;

		clone_errno = nums[i];
		err_clear(&e);
		pid = limit_fork(&id, &s, NULL, &e);
		if (pid == 0)
			_exit(0);
		assert_int_equal(pid, -nums[i]);
		/* for order only: beside it, where the group is out of reach */
		pid = limit_fork(&id, &none, NULL, &e);
		if (pid == 0)
			_exit(0);
		assert_true(nums[i] == EACCES || nums[i] == EPERM || nums[i] == ENOENT ? pid > 0 : pid < 0);
		if (pid > 0)
			assert_int_equal(waitpid(pid, &status, 0), pid);
	}
}

/* Who joins is in every hierarchy of version 1 that has a limit. */
static void
joins(void **state)
{
	struct jailspec s = spec_of(64 << 20, 20, 50, 0);
	struct err e = ERR_INIT;

	(void)state;
	version_1();
	assert_int_equal(os_limit_up(&id, &s, &e), 0);
	assert_int_equal(limit_join(&id, &s, &e), 0);
	expect("memory", "cgroup.procs", "0");
	expect("pids", "cgroup.procs", "0");
	expect("cpu", "cgroup.procs", "0");
	refused = "pids/brig/www-7/cgroup.procs";
	assert_true(limit_join(&id, &s, &e) < 0);
}

/* What does not go is told within seconds. */
static void
does_not_go(void **state)
{
	struct jailspec s = spec_of(64 << 20, 0, 0, 0);
	struct timespec a, b;
	struct err e = ERR_INIT;

	(void)state;
	hierarchy("memory", "/", "cgroup", "memory");
	hierarchy("pids", "/", "cgroup", "pids");
	(void)s;
	make_used("memory");
	(void)alarm(30);
	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(os_limit_down(&id, &e), -EBUSY);
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	(void)alarm(0);
	assert_true(b.tv_sec - a.tv_sec >= 2); /* it had a moment for its last process to go */
	assert_true(there("memory"));
}

/* What is not counted is -1, and not 0. */
static void
usage_of_none(void **state)
{
	struct os_usage u = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(os_limit_usage(&id, &u, &e), 0);
	assert_true(u.memory == -1 && u.pids == -1 && u.cpu_ns == -1);
	hierarchy("two", "/", "cgroup2", "nsdelegate");
	version_1();
	assert_int_equal(os_limit_usage(&id, &u, &e), 0);
	assert_true(u.memory == -1 && u.pids == -1 && u.cpu_ns == -1);
}

/* ---- memory shortage ---- */

static int
adj(const char *value)
{
	_auto_close int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

static void
cap_resource(bool on)
{
	cap_t caps = cap_get_proc();
	cap_value_t c = CAP_SYS_RESOURCE;

	if (cap_set_flag(caps, CAP_EFFECTIVE, 1, &c, on ? CAP_SET : CAP_CLEAR) < 0 || cap_set_proc(caps) < 0)
		_exit(10);
	(void)cap_free(caps);
}

/* 0: as expected */
static int
spared(const char *first, const char *then, const char *want)
{
	struct jailspec none = spec_of(0, 0, 0, 0);
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		_auto_free char *now = NULL;
		struct err e = ERR_INIT;

		if (adj(first) < 0)
			_exit(6);
		cap_resource(false);
		if (then && adj(then) < 0)
			_exit(1);
		cap_resource(true);
		if (limit_join(&id, &none, &e) < 0)
			_exit(2);
		now = value_of("/proc/self", "oom_score_adj");
		now[strcspn(now, "\n")] = '\0';
		if (!streq(now, want)) {
			fprintf(stderr, "oom_score_adj is %s, not %s\n", now, want);
			_exit(3);
		}
		/* a process of the jail has not the capability: it cannot go below what it was given */
		cap_resource(false);
		if (!streq(want, "0") && adj("0") == 0)
			_exit(4);
		if (adj("-1") == 0)
			_exit(5);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* The same where nobody may be spared: what is written, and that it is. */
static void
value_written(void **state)
{
	static const char *const rows[][2] = {{"-500\n", "0"}, {"-1\n", "0"}, {"0\n", "0"}, {"300\n", "300"}};
	static const struct timespec old[2];

	(void)state;
	own_adj = xasprintf("%s/adj", lab);
	for (int with_limits = 0; with_limits < 2; with_limits++)
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			struct jailspec s = spec_of(0, 0, 0, 0);
			_auto_close int fd = open(own_adj, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
			_auto_free char *now = NULL;
			struct err e = ERR_INIT;
			struct stat st;

			s.limit.pids = with_limits ? 5 : 0;
			assert_true(write(fd, rows[i][0], strlen(rows[i][0])) > 0 && futimens(fd, old) == 0);
			(void)limit_join(&id, &s, &e);
			assert_true(fstat(fd, &st) == 0 && st.st_mtim.tv_sec != 0);
			now = value_of(lab, "adj");
			assert_true(str_after(now, rows[i][1]) != NULL);
		}
	free(own_adj);
	own_adj = NULL;
}

static void
memory_shortage(void **state)
{
	(void)state;
	hierarchy("memory", "/", "cgroup", "memory");
	assert_int_equal(spared("-500", NULL, "0"), 0);
	assert_int_equal(spared("-1", NULL, "0"), 0);
	assert_int_equal(spared("0", NULL, "0"), 0);
	assert_int_equal(spared("300", NULL, "300"), 0);
	/* spared once, and raised since: what it may go back to is what it was */
	assert_int_equal(spared("-500", "0", "0"), 0);
	assert_int_equal(spared("-500", "200", "200"), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, each, done)

int
main(void)
{
	const struct CMUnitTest spare[] = {TEST(memory_shortage)};
	const struct CMUnitTest tests[] = {
	    TEST(mounts),         TEST(values_v1),   TEST(values_v2),          TEST(io_values),
	    TEST(whole_disks),    TEST(shares),      TEST(missing_controller), TEST(cannot_be_made),
	    TEST(all_or_nothing), TEST(of_others),   TEST(left_over),          TEST(born_with_limits),
	    TEST(joins),          TEST(does_not_go), TEST(usage_of_none),      TEST(value_written),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_cgroups: needs root\n");
		return 77;
	}
	/* only who has the capability can be spared; elsewhere value_written() has what can be seen */
	if (prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE) == 1 && cmocka_run_group_tests(spare, NULL, NULL) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
