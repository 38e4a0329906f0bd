/* SPDX-License-Identifier: BSD-2-Clause */
/* Namespaces: shared ones, new ones, and other tables of system calls. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

/* The host's own, or one of ours; which it is says the number behind the link. */
static void
shared(const struct probe *p)
{
	char path[64], key[32], now[128] = "", host[128];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", p->arg);
	(void)snprintf(key, sizeof(key), "ns_%s", p->arg);
	(void)snprintf(host, sizeof(host), "%s", bait(key));
	n = readlink(path, now, sizeof(now) - 1);
	if (n <= 0)
		na("%s: %s", path, strerror(errno));
	if (strcmp(now, host) == 0)
		allowed("%s", now);
	denied("%s, the host has %s", now, host);
}

static void
host_root(const struct probe *p)
{
	char line[128] = "";
	FILE *f = fopen("/proc/self/uid_map", "re");
	unsigned long in, out, n;

	(void)p;
	if (!f || !fgets(line, sizeof(line), f) || sscanf(line, "%lu %lu %lu", &in, &out, &n) != 3)
		na("uid_map");
	if (in == 0 && out == 0)
		allowed("0 is the host's 0");
	denied("0 is %lu outside", out);
}

static void
unshares(const struct probe *p)
{
	leave_chroot();
	tell(unshare((int)p->num) == 0, "unshare");
}

static long
clone_raw(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		(void)waitpid((pid_t)pid, NULL, __WALL);
	return pid;
}

static void
clones(const struct probe *p)
{
	leave_chroot();
	tell(clone_raw((unsigned long)p->num | SIGCHLD) > 0, "clone");
}

/* The kernel looks at 32 bits of the flags. */
static void
clones_high(const struct probe *p)
{
	leave_chroot();
	tell(clone_raw((unsigned long)p->num | SIGCHLD | (1ul << 40)) > 0, "clone with high bits set");
}

static void
clones3(const struct probe *p)
{
	struct clone_args args = {.flags = (uint64_t)p->num, .exit_signal = SIGCHLD};
	long pid;

	leave_chroot();
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		(void)waitpid((pid_t)pid, NULL, __WALL);
	tell(pid > 0, "clone3");
}

static void
setns_own(const struct probe *p)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", p->arg);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		na("%s: %s", path, strerror(errno));
	tell(setns(fd, 0) == 0, "join it again");
}

static void
setns_pidfd(const struct probe *p)
{
	int fd = (int)syscall(SYS_pidfd_open, getppid() > 0 ? getppid() : 1, 0);

	(void)p;
	if (fd < 0)
		tell(false, "pidfd_open");
	tell(setns(fd, CLONE_NEWUTS) == 0, "join those of another process by its pidfd");
}

/* A new user namespace has every capability in it: what nearly all ways from a user to root begin with. */
static void
nested_mount(const struct probe *p)
{
	(void)p;
	leave_chroot();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		tell(false, "unshare");
	tell(mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == 0, "mount in a user namespace of one's own");
}

#ifdef __x86_64__
static void
int80(const struct probe *p)
{
	long r;

	(void)p;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L /* getpid */) : "memory", "r8", "r9", "r10", "r11");
	errno = r < 0 ? (int)-r : 0;
	tell(r > 0, "getpid of the table for 32 bits");
}

static void
x32(const struct probe *p)
{
	(void)p;
	tell(syscall(0x40000000 | SYS_getpid) > 0, "getpid of the x32 table");
}
#endif

#define NS(name, flag)                                               \
	{"unshare_" name, "K5", unshares, NULL, flag, false, NULL},  \
	{                                                            \
		"clone_" name, "K5", clones, NULL, flag, false, NULL \
	}
#define SHARED(name)                                           \
	{                                                      \
		"ns_" name, "K5", shared, name, 0, false, NULL \
	}

static const struct probe v[] = {
    SHARED("user"),
    SHARED("mnt"),
    SHARED("pid"),
    SHARED("net"),
    SHARED("ipc"),
    SHARED("uts"),
    SHARED("cgroup"),
    {"host_root", "K14", host_root, NULL, 0, false, NULL},
    NS("user", CLONE_NEWUSER),
    NS("mnt", CLONE_NEWNS),
    NS("pid", CLONE_NEWPID),
    NS("net", CLONE_NEWNET),
    NS("ipc", CLONE_NEWIPC),
    NS("uts", CLONE_NEWUTS),
    NS("cgroup", CLONE_NEWCGROUP),
    {"unshare_time", "K19", unshares, NULL, CLONE_NEWTIME, true, NULL},
    {"clone_user_high", "K5", clones_high, NULL, CLONE_NEWUSER, false, NULL},
    {"clone3_user", "K5", clones3, NULL, CLONE_NEWUSER, false, NULL},
    {"clone3_net", "K5", clones3, NULL, CLONE_NEWNET, false, NULL},
    {"setns_uts", "K5", setns_own, "uts", 0, false, NULL},
    {"setns_net", "K5", setns_own, "net", 0, false, NULL},
    {"setns_pidfd", "K5", setns_pidfd, NULL, 0, false, NULL},
    {"userns_mount", "K5", nested_mount, NULL, 0, false, NULL},
#ifdef __x86_64__
    {"int80", "K6", int80, NULL, 0, true, NULL},
    {"x32", "K6", x32, NULL, 0, true, NULL},
#endif
};

const struct probes probes_ns = {v, sizeof(v) / sizeof(v[0])};
