/* SPDX-License-Identifier: BSD-2-Clause */
/* /proc, /sys and control groups: what tells about the host, what changes it, and other processes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/num.h"

#include "probe.h"

/* Opened and not written. */
static void
opens_writable(const struct probe *p)
{
	int fd = open(p->arg, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		denied("%s is covered by the null device", p->arg);
	if (control && p->num && errno == EACCES)
		na("no CAP_SYS_RESOURCE on this machine");
	tell(fd >= 0, p->arg);
}

static bool
has_entries(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return true;
	errno = d ? ENODATA : errno;
	return false;
}

static void
readable(const struct probe *p)
{
	struct stat st;
	char buf[8192]; /* a line of kmsg is read whole */
	ssize_t n;
	int fd;

	if (stat(p->arg, &st) == 0 && S_ISDIR(st.st_mode)) {
		bool any = has_entries(p->arg);

		if (!any && control && errno == ENODATA)
			na("%s is empty", p->arg);
		tell(any, p->arg);
	}
	fd = open(p->arg, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
	if (n == 0 && control && p->optional)
		na("%s is empty", p->arg);
	if (n == 0)
		denied("%s is empty", p->arg);
	tell(n > 0, p->arg);
}

/* Addresses, not zeroes, which are what others read. */
static void
kallsyms(const struct probe *p)
{
	FILE *f = fopen(p->arg, "re");
	unsigned long long at = 0;

	while (f && fscanf(f, "%llx%*[^\n]", &at) == 1) /* that of the first symbol may be 0 */
		if (at != 0)
			allowed("the kernel's addresses");
	if (f)
		denied("no address");
	tell(false, p->arg);
}

static const char *found;

static int
is_writable(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	static char name[512];
	int fd;

	(void)ftw;
	if (type != FTW_F || !(st->st_mode & 0222))
		return 0;
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	(void)close(fd);
	(void)snprintf(name, sizeof(name), "%s", path);
	found = name;
	return 1;
}

static void
tree_writable(const struct probe *p)
{
	(void)nftw(p->arg, is_writable, 32, FTW_PHYS);
	if (found)
		allowed("%s", found);
	if (control && p->optional)
		na("no file below %s", p->arg);
	denied("no file below %s", p->arg);
}

static int
is_release_agent(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return type == FTW_F && strcmp(path + ftw->base, "release_agent") == 0
		   ? is_writable(path, st, type, ftw)
		   : 0;
}

static void
release_agent(const struct probe *p)
{
	static const char *const kinds[] = {"pids",    "cpu",     "memory",
					    "devices", "freezer", "none,name=systemd"};
	const char *at = work("cgroup");

	(void)p;
	apart();
	(void)mkdir(at, 0755);
	for (size_t i = 0; !found && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (mount("cgroup", at, "cgroup", 0, kinds[i]) == 0) {
			(void)nftw(at, is_release_agent, 32, FTW_PHYS);
			(void)umount2(at, MNT_DETACH);
		}
	if (!found)
		(void)nftw("/sys/fs/cgroup", is_release_agent, 32, FTW_PHYS);
	if (found)
		allowed("%s", found);
	if (control)
		na("version 1 of control groups is not there");
	denied("none can be mounted or opened");
}

static void
mount_cgroup(const struct probe *p)
{
	const char *at = work("cgroup");

	apart();
	(void)mkdir(at, 0755);
	if (mount("cgroup", at, p->arg, 0, p->num ? "pids" : NULL) == 0)
		allowed("mount it");
	if (control && p->num && (errno == EINVAL || errno == EBUSY))
		na("no version 1: %s", strerror(errno));
	tell(false, "mount it");
}

/* Of all processes that are seen, but for ourselves. */
static bool
each_process(bool (*f)(const char *dir))
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	bool r = false;

	while (!r && d && (e = readdir(d))) {
		char dir[64];
		int pid;

		if (num_int(e->d_name, 1, INT_MAX, &pid) < 0 || pid == getpid())
			continue;
		(void)snprintf(dir, sizeof(dir), "/proc/%d", pid);
		r = f(dir);
	}
	return r;
}

static char in_file[128];

static bool
environ_tells(const char *dir)
{
	(void)snprintf(in_file, sizeof(in_file), "%s/environ", dir);
	return secret_in_file(in_file);
}

static bool
cwd_leads_out(const char *dir)
{
	char path[160];

	(void)snprintf(in_file, sizeof(in_file), "%s/cwd", dir);
	(void)snprintf(path, sizeof(path), "%s/cwd/secret", dir);
	return secret_in_file(path);
}

static bool
root_leads_out(const char *dir)
{
	char path[700];

	(void)snprintf(in_file, sizeof(in_file), "%s/root", dir);
	(void)snprintf(path, sizeof(path), "%s/root%s", dir, bait("path"));
	return secret_in_file(path);
}

static bool
fd_leads_out(const char *dir)
{
	for (int fd = 3; fd < 32; fd++) {
		char path[160];

		(void)snprintf(in_file, sizeof(in_file), "%s/fd/%d", dir, fd);
		(void)snprintf(path, sizeof(path), "%s/secret", in_file);
		if (secret_in_file(path))
			return true;
	}
	return false;
}

/* Not its own environment, which is where a process of ours may have it. */
static bool
is_victim(const char *dir)
{
	char path[160], buf[4096];
	int fd;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/cmdline", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
	if (fd >= 0)
		(void)close(fd);
	(void)snprintf(in_file, sizeof(in_file), "%s", dir);
	return n > 0 && has_secret(buf, (size_t)n) && memmem(buf, (size_t)n, "victim", 6) != NULL;
}

static void
others(const struct probe *p)
{
	static bool (*const f[])(const char *) = {environ_tells, cwd_leads_out, root_leads_out, fd_leads_out,
						  is_victim};

	if (each_process(f[p->num]))
		allowed("%s", in_file);
	denied("of no process that is seen");
}

static pid_t
victim(void)
{
	int pid = 0;

	if (!each_process(is_victim))
		denied("no process outside is seen");
	if (num_int(in_file + strlen("/proc/"), 1, INT_MAX, &pid) < 0)
		na("%s", in_file);
	return pid;
}

static void
victim_signal(const struct probe *p)
{
	(void)p;
	tell(kill(victim(), 0) == 0, "signal a process outside");
}

static void
victim_ptrace(const struct probe *p)
{
	pid_t pid = victim();
	bool r = ptrace(PTRACE_SEIZE, pid, 0, 0) == 0;

	(void)p;
	tell(r, "trace a process outside");
}

static void
victim_mem(const struct probe *p)
{
	char path[64];

	(void)p;
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", victim());
	tell(open(path, O_RDWR | O_CLOEXEC) >= 0, "memory of a process outside");
}

/* The program of the first process, which is the host's where that is shared (CVE-2019-5736).  A busy one can
 * be written as soon as it is not; what says so has passed the test of rights. */
static void
exe_overwrite(const struct probe *p)
{
	char path[64];
	int held = open(p->arg, O_RDONLY | O_CLOEXEC), fd, num;
	struct stat st, own;

	if (held >= 0 && fstat(held, &st) == 0 && stat("/proc/self/exe", &own) == 0 &&
	    st.st_dev == own.st_dev && st.st_ino == own.st_ino)
		denied("%s is the probe", p->arg);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
	fd = held < 0 ? -1 : open(path, O_WRONLY | O_CLOEXEC);
	num = errno;
	if (fd < 0 && held >= 0 && num == ETXTBSY &&
	    fchmod(held, fstat(held, &st) == 0 ? st.st_mode & 07777 : 0) == 0)
		allowed("%s, as soon as it is not busy", p->arg);
	errno = num;
	tell(fd >= 0, p->arg);
}

#define SYS_W(name, file)                                                    \
	{                                                                    \
		name, "K1", opens_writable, "/proc/sys/" file, 0, true, NULL \
	}
#define PROC_W(name, file)                                               \
	{                                                                \
		name, "K1", opens_writable, "/proc/" file, 0, true, NULL \
	}
#define SYSFS_W(name, file)                                             \
	{                                                               \
		name, "K1", opens_writable, "/sys/" file, 0, true, NULL \
	}
#define PROC_R(name, file)                                         \
	{                                                          \
		name, "K2", readable, "/proc/" file, 0, true, NULL \
	}
#define CMDLINE_EXCUSE \
	"the words of the host's boot loader; no secret belongs there (every user of the host reads them)"
#define DISKS_EXCUSE "names, sizes and use of the host's disks, in numbers only"

static const struct probe v[] = {
    SYS_W("sys_core_pattern", "kernel/core_pattern"),
    SYS_W("sys_modprobe", "kernel/modprobe"),
    SYS_W("sys_hotplug", "kernel/hotplug"),
    SYS_W("sys_poweroff_cmd", "kernel/poweroff_cmd"),
    SYS_W("sys_sysrq", "kernel/sysrq"),
    SYS_W("sys_panic", "kernel/panic"),
    SYS_W("sys_kptr_restrict", "kernel/kptr_restrict"),
    SYS_W("sys_hostname", "kernel/hostname"),
    SYS_W("sys_domainname", "kernel/domainname"),
    SYS_W("sys_ns_last_pid", "kernel/ns_last_pid"),
    SYS_W("sys_randomize", "kernel/randomize_va_space"),
    SYS_W("sys_shmmax", "kernel/shmmax"),
    {"sys_userns", "K1", opens_writable, "/proc/sys/user/max_user_namespaces", 1, true, NULL},
    SYS_W("sys_drop_caches", "vm/drop_caches"),
    SYS_W("sys_overcommit", "vm/overcommit_memory"),
    SYS_W("sys_file_max", "fs/file-max"),
    SYS_W("sys_suid_dumpable", "fs/suid_dumpable"),
    SYS_W("sys_binfmt_register", "fs/binfmt_misc/register"),
    SYS_W("sys_ip_forward", "net/ipv4/ip_forward"),
    SYS_W("sys_tiocsti", "dev/tty/legacy_tiocsti"),
    {"sysctl_any", "K1", tree_writable, "/proc/sys", 0, false, NULL},
    PROC_W("sysrq_trigger", "sysrq-trigger"),
    PROC_W("irq_affinity", "irq/default_smp_affinity"),
    {"proc_bus_any", "K1", tree_writable, "/proc/bus", 0, false, NULL},
    {"proc_fs_any", "K1", tree_writable, "/proc/fs", 0, true, NULL},
    PROC_W("mtrr_write", "mtrr"),
    PROC_W("scsi_write", "scsi/scsi"),
    PROC_W("pressure_write", "pressure/memory"),
    PROC_W("slabinfo_write", "slabinfo"),
    PROC_W("kcore_write", "kcore"),
    SYSFS_W("sysfs_uevent_helper", "kernel/uevent_helper"),
    SYSFS_W("sysfs_power", "power/state"),
    SYSFS_W("sysfs_thp", "kernel/mm/transparent_hugepage/enabled"),
    SYSFS_W("sysfs_module", "module/printk/parameters/time"),
    SYSFS_W("sysfs_lo", "class/net/lo/mtu"),
    {"sysfs_any", "K1", tree_writable, "/sys", 0, false, NULL},
    {"sysfs_readable", "K1", readable, "/sys/kernel", 0, false, NULL},
    {"sysfs_block", "K1", readable, "/sys/block", 0, false, NULL},
    PROC_R("read_kcore", "kcore"),
    PROC_R("read_kmsg", "kmsg"),
    {"read_kallsyms", "K2", kallsyms, "/proc/kallsyms", 0, true, NULL},
    PROC_R("read_keys", "keys"),
    PROC_R("read_key_users", "key-users"),
    PROC_R("read_timer_list", "timer_list"),
    PROC_R("read_timer_stats", "timer_stats"),
    PROC_R("read_latency_stats", "latency_stats"),
    PROC_R("read_vmallocinfo", "vmallocinfo"),
    PROC_R("read_slabinfo", "slabinfo"),
    PROC_R("read_interrupts", "interrupts"),
    PROC_R("read_config", "config.gz"),
    PROC_R("read_sched_debug", "sched_debug"),
    PROC_R("read_modules", "modules"),
    PROC_R("read_kpagecount", "kpagecount"),
    PROC_R("read_kpageflags", "kpageflags"),
    PROC_R("read_kpagecgroup", "kpagecgroup"),
    PROC_R("read_pagetypeinfo", "pagetypeinfo"),
    PROC_R("read_acpi", "acpi"),
    PROC_R("read_scsi", "scsi/scsi"),
    PROC_R("read_asound", "asound"),
    PROC_R("read_pressure", "pressure/memory"),
    {"read_cmdline", "K2", readable, "/proc/cmdline", 0, false, CMDLINE_EXCUSE},
    {"read_partitions", "K2", readable, "/proc/partitions", 0, true, DISKS_EXCUSE},
    {"read_diskstats", "K2", readable, "/proc/diskstats", 0, true, DISKS_EXCUSE},
    {"read_dev_kmsg", "K2", readable, "/dev/kmsg", 0, false, NULL},
    {"read_dev_mem", "K2", readable, "/dev/mem", 0, true, NULL},
    {"mount_cgroup_v1", "K3", mount_cgroup, "cgroup", 1, true, NULL},
    {"mount_cgroup_v2", "K4", mount_cgroup, "cgroup2", 0, false, NULL},
    {"release_agent", "K3", release_agent, NULL, 0, true, NULL},
    {"cgroup_files", "K4", tree_writable, "/sys/fs/cgroup", 0, false, NULL},
    {"foreign_environ", "K2", others, NULL, 0, false, NULL},
    {"foreign_cwd", "F5", others, NULL, 1, false, NULL},
    {"foreign_root", "F13", others, NULL, 2, false, NULL},
    {"foreign_fd", "F5", others, NULL, 3, false, NULL},
    {"foreign_process", "K11", others, NULL, 4, false, NULL},
    {"victim_signal", "K11", victim_signal, NULL, 0, false, NULL},
    {"victim_ptrace", "K11", victim_ptrace, NULL, 0, false, NULL},
    {"victim_memory", "K11", victim_mem, NULL, 0, false, NULL},
    {"init_exe_overwrite", "K12", exe_overwrite, "/proc/1/exe", 0, false, NULL},
};

const struct probes probes_proc = {v, sizeof(v) / sizeof(v[0])};
