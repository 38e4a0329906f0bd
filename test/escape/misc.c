/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities, terminals, limits, memory and files that are shared with the host, the environment. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

extern char **environ;

/* Those of services that start as root and become somebody else; all over what belongs to the jail only. */
static const int usual[] = {CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FOWNER,  CAP_FSETID,           CAP_KILL,
			    CAP_SETGID,  CAP_SETUID,       CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT,
			    CAP_SETFCAP, CAP_AUDIT_WRITE};

static unsigned long long
status_hex(const char *key)
{
	char line[256];
	unsigned long long value;
	size_t len = strlen(key);
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, len) == 0 && line[len] == ':' &&
		    sscanf(line + len + 1, "%llx", &value) == 1)
			return value;
	na("/proc/self/status has no %s", key);
}

static void
more_caps(const struct probe *p)
{
	unsigned long long caps = status_hex(p->arg), more = caps;

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		more &= ~(1ull << usual[i]);
	if (more)
		allowed("%llx, %d more than the usual", caps, __builtin_popcountll(more));
	denied("%llx", caps);
}

static void
any_caps(const struct probe *p)
{
	unsigned long long caps = status_hex(p->arg);

	if (caps)
		allowed("%llx", caps);
	denied("none");
}

static void
unset(const struct probe *p)
{
	if (status_hex(p->arg) == 0)
		allowed("%s is 0", p->arg);
	denied("it is on");
}

static void
inherited_env(const struct probe *p)
{
	(void)p;
	for (char **e = environ; *e; e++)
		if (has_secret(*e, strlen(*e)))
			allowed("%.20s...", *e);
	denied("no variable of the caller's");
}

/* Input for whoever reads the terminal next. */
static void
push(const struct probe *p)
{
	static const int fds[] = {0, 1, 2};
	int num = ENOTTY;

	for (size_t i = 0; i < 4; i++) {
		int fd = i < 3 ? fds[i] : open("/dev/tty", O_RDWR | O_CLOEXEC);

		if (fd >= 0 && syscall(SYS_ioctl, fd, (unsigned long)p->num, "\n") == 0)
			allowed("into %s", i < 3 ? "a standard descriptor" : "/dev/tty");
		if (errno != ENOTTY && errno != ENXIO)
			num = errno;
	}
	errno = num;
	tell(false, "push a character");
}

/* Only a console has it; on others the kernel's own code says so. */
static void
push_console(const struct probe *p)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		na("/dev/ptmx: %s", strerror(errno));
	reached(syscall(SYS_ioctl, fd, (unsigned long)p->num, "\3"), "TIOCLINUX");
}

static void
line_discipline(const struct probe *p)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	(void)p;
	if (fd < 0)
		na("/dev/ptmx: %s", strerror(errno));
	for (int n = 1; n < 32; n++)
		if (n != 27 /* N_NULL */ && ioctl(fd, TIOCSETD, &n) == 0)
			allowed("line discipline %d", n);
	errno = ENODEV;
	tell(false, "another line discipline");
}

static void
core_zero(const struct probe *p)
{
	struct rlimit none = {0, 0}, now = {1, 1};
	long r = p->num ? syscall(SYS_prlimit64, 0, RLIMIT_CORE, &none, NULL)
			: syscall(SYS_setrlimit, RLIMIT_CORE, &none);

	if (r < 0)
		tell(false, "set it to 0");
	if (getrlimit(RLIMIT_CORE, &now) < 0)
		na("getrlimit");
	if (now.rlim_cur == 1)
		denied("it stays 1, at which the program of core_pattern does not run");
	allowed("the core limit is %llu", (unsigned long long)now.rlim_cur);
}

static void
core_limit(const struct probe *p)
{
	struct rlimit now;

	(void)p;
	if (getrlimit(RLIMIT_CORE, &now) < 0)
		na("getrlimit");
	if (now.rlim_cur == 1 && now.rlim_max == 1)
		denied("1");
	allowed("%lld, %lld", (long long)now.rlim_cur, (long long)now.rlim_max);
}

/* The runner looks whether the host's program of core_pattern has run. */
static void
crash(const struct probe *p)
{
	struct rlimit none = {0, 0};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (p->num)
			(void)setrlimit(RLIMIT_CORE, &none);
		(void)prctl(PR_SET_DUMPABLE, 1);
		abort();
	}
	if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
		allowed("crashed");
	na("no crash");
}

static void
real_time(const struct probe *p)
{
	struct sched_param s = {.sched_priority = 1};

	(void)p;
	tell(sched_setscheduler(0, SCHED_FIFO, &s) == 0, "SCHED_FIFO");
}

static void
nice_below(const struct probe *p)
{
	(void)p;
	tell(setpriority(PRIO_PROCESS, 0, -5) == 0, "nice -5");
}

static void
io_priority(const struct probe *p)
{
	(void)p;
	tell(syscall(SYS_ioprio_set, 1, 0, 1 << 13) == 0, "real time for the disk");
}

static void
lock_memory(const struct probe *p)
{
	void *at = mmap(NULL, 16u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)p;
	if (at == MAP_FAILED)
		na("mmap");
	tell(mlock(at, 16u << 20) == 0, "lock 16 MiB");
}

static void
raise_limit(const struct probe *p)
{
	struct rlimit l;

	(void)p;
	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		na("getrlimit");
	l.rlim_max++;
	if (setrlimit(RLIMIT_NOFILE, &l) < 0 && control && errno == EPERM)
		na("no CAP_SYS_RESOURCE on this machine");
	tell(setrlimit(RLIMIT_NOFILE, &l) == 0, "raise a hard limit");
}

static void
oom_adjust(const struct probe *p)
{
	int fd = open(p->arg, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		tell(false, p->arg);
	if (write(fd, "-500", 4) == 4)
		allowed("-500");
	if (control && errno == EACCES)
		na("no CAP_SYS_RESOURCE on this machine");
	tell(false, "lower it");
}

/* As many as a fork bomb begins with; the jail has limit.pids. */
static void
forks(const struct probe *p)
{
	long n = 0;
	int fds[2], num;
	pid_t pid = 0;

	if (pipe(fds) < 0)
		na("pipe");
	while (n < p->num && (pid = fork()) > 0)
		n++;
	if (n < p->num && pid == 0) {
		char c;

		(void)close(fds[1]);
		(void)!read(fds[0], &c, 1);
		_exit(0);
	}
	num = errno;
	(void)close(fds[1]);
	while (wait(NULL) > 0)
		; /* the next probe needs the room */
	if (n == p->num)
		allowed("%ld processes at once", n);
	denied("%ld processes, then: %s", n, strerror(num));
}

/* A file system in memory may take half of the machine's. */
static void
big_tmpfs(const struct probe *p)
{
	struct statfs fs;
	struct sysinfo all;
	unsigned long long size;

	if (statfs(p->arg, &fs) < 0 || sysinfo(&all) < 0)
		tell(false, p->arg);
	if (fs.f_type != 0x01021994)
		na("%s is not in memory", p->arg);
	size = (unsigned long long)fs.f_blocks * (unsigned long long)fs.f_bsize;
	if (size == 0 || size >= (unsigned long long)all.totalram * all.mem_unit / 3)
		allowed("%llu MiB", size >> 20);
	denied("%llu MiB", size >> 20);
}

static void
many_ptys(const struct probe *p)
{
	long n = 0;

	while (n < p->num && open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC) >= 0)
		n++;
	if (n == p->num)
		allowed("%ld terminals", n);
	denied("%ld terminals, then: %s", n, strerror(errno));
}

static void
host_shm(const struct probe *p)
{
	const char *at = shmat((int)bait_num("shmid"), NULL, SHM_RDONLY);

	(void)p;
	tell(at != (void *)-1 && has_secret(at, 64), "the host's shared memory");
}

static void
host_queue(const struct probe *p)
{
	char name[128];

	(void)p;
	(void)snprintf(name, sizeof(name), "%s", bait("queue"));
	tell(mq_open(name, O_RDONLY | O_CLOEXEC) >= 0, "the host's message queue");
}

static void
host_dev_shm(const struct probe *p)
{
	(void)p;
	tell(secret_in_file(bait("devshm")), "the host's file in /dev/shm");
}

#define CORE "K16"

static const struct probe v[] = {
    {"caps_effective", "K14", more_caps, "CapEff", 0, false, NULL},
    {"caps_permitted", "K14", more_caps, "CapPrm", 0, false, NULL},
    {"caps_bounding", "K14", more_caps, "CapBnd", 0, false, NULL},
    {"caps_inheritable", "K14", any_caps, "CapInh", 0, false, NULL},
    {"caps_ambient", "K14", any_caps, "CapAmb", 0, false, NULL},
    {"new_privileges", "K14", unset, "NoNewPrivs", 0, false, NULL},
    {"no_filter", "K8", unset, "Seccomp", 0, false, NULL},
    {"inherited_env", "F5", inherited_env, NULL, 0, false, NULL},
    {"tiocsti", "K10", push, NULL, TIOCSTI, false, NULL},
    {"tiocsti_high", "K10", push, NULL, (long)(TIOCSTI | 0x100000000ul), false, NULL},
    {"tioclinux", "K10", push_console, NULL, TIOCLINUX, false, NULL},
    {"tioclinux_high", "K10", push_console, NULL, (long)(TIOCLINUX | 0x100000000ul), false, NULL},
    {"line_discipline", "K10", line_discipline, NULL, 0, true, NULL},
    {"core_limit", CORE, core_limit, NULL, 0, false, NULL},
    {"core_setrlimit", CORE, core_zero, NULL, 0, false, NULL},
    {"core_prlimit", CORE, core_zero, NULL, 1, false, NULL},
    {"real_time", "K15", real_time, NULL, 0, false, NULL},
    {"nice", "K15", nice_below, NULL, 0, false, NULL},
    {"ioprio", "K15", io_priority, NULL, 0, false, NULL},
    {"mlock", "K15", lock_memory, NULL, 0, false, NULL},
    {"raise_limit", "K15", raise_limit, NULL, 0, true, NULL},
    {"oom_self", "K17", oom_adjust, "/proc/self/oom_score_adj", 0, true, NULL},
    {"oom_init", "K17", oom_adjust, "/proc/1/oom_score_adj", 0, true, NULL},
    {"fork_bomb", "L6", forks, NULL, 200, false, NULL},
    {"shm_size", "L9", big_tmpfs, "/dev/shm", 0, true, NULL},
    {"many_ptys", "L14", many_ptys, NULL, 100, false, NULL},
    {"host_shm", "K13", host_shm, NULL, 0, false, NULL},
    {"host_queue", "K13", host_queue, NULL, 0, true, NULL},
    {"host_dev_shm", "K13", host_dev_shm, NULL, 0, false, NULL},
    {"crash", CORE, crash, NULL, 0, false, "a process may crash; see core_handler"},
    {"crash_limit_0", CORE, crash, NULL, 1, false, "a process may crash; see core_handler"},
};

const struct probes probes_misc = {v, sizeof(v) / sizeof(v[0])};
