/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Settings of the host that would help an attacker in a jail, or a user of the host that got hold of a jail's
 * file.  brig changes none of them.
 * Facts: the kernel's admin-guide/sysctl, proc_sys_fs(5), proc_sys_kernel(5), core(5).
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "os/linux/audit/audit.h"

#define WHAT_MAX sizeof(((struct os_finding *)0)->what)
#define VULNERABILITIES "/sys/devices/system/cpu/vulnerabilities"

bool
audit_setting(const char *name, char *buf, size_t size)
{
	_auto_free char *path = xasprintf("/proc/sys/%s", name), *text = NULL;
	_auto_close int fd = -EBADF;

	for (char *p = path + strlen("/proc/sys/"); *p; p++)
		if (*p == '.')
			*p = '/';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	buf[0] = '\0';
	if (fd < 0 || fsx_read_fd(fd, 4096, &text, NULL) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	(void)snprintf(buf, size, "%s", text);
	return true;
}

/* --- numbers in /proc/sys --- */

static const struct number {
	const char *name; /* as sysctl(8) has it */
	int min, max;     /* fine */
	int missing;      /* state where the kernel has no such setting */
	unsigned weight;
	const char *means, *improve;
} numbers[] = {
    {"dev.tty.legacy_tiocsti", 0, 0, 0, 4, "whoever has a terminal open can type on it",
     "dev.tty.legacy_tiocsti=0"},
    {"dev.tty.ldisc_autoload", 0, 0, 0, 2, "users load line disciplines", "dev.tty.ldisc_autoload=0"},
    {"fs.protected_symlinks", 1, 1, 0, 4, "links in /tmp are followed for anybody",
     "fs.protected_symlinks=1"},
    {"fs.protected_hardlinks", 1, 1, 0, 4, "users link files that are not theirs",
     "fs.protected_hardlinks=1"},
    {"fs.protected_fifos", 1, 2, 0, 2, "FIFOs planted in /tmp are opened", "fs.protected_fifos=2"},
    {"fs.protected_regular", 1, 2, 0, 2, "files planted in /tmp are opened", "fs.protected_regular=2"},
    {"fs.suid_dumpable", 0, 0, 1, 3, "set-user-id programs leave core files", "fs.suid_dumpable=0"},
    {"kernel.unprivileged_bpf_disabled", 1, 2, 1, 4, "users load BPF programs",
     "kernel.unprivileged_bpf_disabled=1"},
    {"net.core.bpf_jit_harden", 1, 2, 1, 2, "BPF code can be sprayed", "net.core.bpf_jit_harden=2"},
    {"kernel.kptr_restrict", 1, 2, 0, 2, "addresses of the kernel are shown", "kernel.kptr_restrict=1"},
    {"kernel.dmesg_restrict", 1, 1, 0, 2, "users read the kernel's log", "kernel.dmesg_restrict=1"},
    {"kernel.yama.ptrace_scope", 1, 3, 0, 2, "users trace any process of theirs",
     "kernel.yama.ptrace_scope=1 (a kernel with Yama)"},
    {"kernel.perf_event_paranoid", 2, 9, 1, 2, "users measure the kernel", "kernel.perf_event_paranoid=3"},
    {"kernel.io_uring_disabled", 1, 2, 0, 3, "users have io_uring", "kernel.io_uring_disabled=2"},
    {"vm.unprivileged_userfaultfd", 0, 0, 1, 3, "users stop the kernel at page faults",
     "vm.unprivileged_userfaultfd=0"},
    {"kernel.randomize_va_space", 2, 2, 0, 4, "programs' addresses can be guessed",
     "kernel.randomize_va_space=2"},
};

static struct os_finding
look_number(const struct number *n)
{
	struct os_finding f = {.weight = n->weight, .improve = n->improve};
	char text[24];
	int value;

	f.name = n->name;
	if (!audit_setting(n->name, text, sizeof(text))) {
		f.state = n->missing;
		(void)snprintf(f.what, WHAT_MAX,
			       n->missing ? "this kernel does not have it" : "no such setting: %s", n->means);
		return f;
	}
	if (num_int(text, -100, 1000000, &value) < 0) {
		f.state = -1;
		(void)snprintf(f.what, WHAT_MAX, "not a number");
		return f;
	}
	f.state = value >= n->min && value <= n->max;
	if (f.state)
		(void)snprintf(f.what, WHAT_MAX, "%d", value);
	else
		(void)snprintf(f.what, WHAT_MAX, "%d: %s", value, n->means);
	return f;
}

/* --- the others --- */

static struct os_finding
look_core_pattern(void)
{
	struct os_finding f = {"kernel.core_pattern", "a file name, or a program that is safe as root", "", 3,
			       -1};
	char text[128];
	_auto_free char *shown = NULL;

	if (!audit_setting(f.name, text, sizeof(text)))
		return f;
	shown = text_printable(text, 80);
	f.state = text[0] != '|';
	(void)snprintf(f.what, WHAT_MAX, f.state ? "%s" : "%s: a crash runs it as root, of a jail too",
		       shown);
	return f;
}

/* In a user namespace of its own every user of the host reaches code of the kernel that is meant for
 * root.  Jails cannot make any in any case. */
static struct os_finding
look_user_namespaces(void)
{
	struct os_finding f = {"user.max_user_namespaces",
			       "kernel.unprivileged_userns_clone=0 (Debian, Arch)", "", 3, 1};
	char text[24];

	if (audit_setting("kernel.unprivileged_userns_clone", text, sizeof(text)) && streq(text, "0"))
		(void)snprintf(f.what, WHAT_MAX, "kernel.unprivileged_userns_clone is 0");
	else if (audit_setting("kernel.apparmor_restrict_unprivileged_userns", text, sizeof(text)) &&
		 streq(text, "1"))
		(void)snprintf(f.what, WHAT_MAX, "AppArmor lets only some make them");
	else if (!audit_setting(f.name, text, sizeof(text)))
		f.state = -1;
	else {
		f.state = 0;
		(void)snprintf(f.what, WHAT_MAX, "%.20s: every user of the host can make them", text);
	}
	return f;
}

static struct os_finding
look_cpu(void)
{
	struct os_finding f = {"CPU vulnerabilities", "microcode, the kernel's mitigations= option", "", 4,
			       1};
	_auto_closedir DIR *d = opendir(VULNERABILITIES);
	_auto_strv struct strv bad = STRV_INIT;
	_auto_free char *list = NULL;
	struct dirent *de;

	if (!d) {
		f.state = -1;
		(void)snprintf(f.what, WHAT_MAX, VULNERABILITIES " cannot be read");
		return f;
	}
	while ((de = readdir(d))) {
		_auto_close int fd = openat(dirfd(d), de->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		_auto_free char *text = NULL;

		if (fd >= 0 && fsx_read_fd(fd, 4096, &text, NULL) == 0 && strstr(text, "Vulnerable"))
			strv_add(&bad, de->d_name);
	}
	f.state = bad.n == 0;
	strv_sort(&bad);
	list = strv_join(&bad, " ");
	(void)snprintf(f.what, WHAT_MAX, "%s", bad.n ? list : "none that the kernel knows of");
	return f;
}

/* On disk a jail's files have ordinary owners: a set-user-id program that a jail's root makes is one of the
 * host's root, for whoever can reach it. */
static void
look_spaces(const char *spaces, struct os_finding *dir, struct os_finding *fs)
{
	_auto_close int fd = open(spaces, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_auto_free char *shown = text_printable(spaces, 80);
	struct statvfs v;
	struct stat st;

	*dir = (struct os_finding){"jailspaces", "owner root, mode 0700", "", 8, 1};
	*fs = (struct os_finding){"jailspaces' file system", "mount option nosuid,nodev", "", 3, 1};
	if (fd < 0 && errno == ENOENT) {
		(void)snprintf(dir->what, WHAT_MAX, "there are none");
		(void)snprintf(fs->what, WHAT_MAX, "there are none");
		return;
	}
	if (fd < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &v) < 0) {
		dir->state = fs->state = -1;
		(void)snprintf(dir->what, WHAT_MAX, "%s: %s", shown, strerror(errno));
		(void)snprintf(fs->what, WHAT_MAX, "%s: %s", shown, strerror(errno));
		return;
	}
	dir->state = st.st_uid == 0 && (st.st_mode & 077) == 0;
	(void)snprintf(dir->what, WHAT_MAX, "%s is %s", shown,
		       dir->state ? "root's alone"
				  : "open to others: programs planted in a jail run as root");
	fs->state = (v.f_flag & ST_NOSUID) && (v.f_flag & ST_NODEV);
	(void)snprintf(fs->what, WHAT_MAX, "%s is mounted %s", shown,
		       fs->state ? "nosuid,nodev"
				 : "with set-user-id or devices: only the mode above protects");
}

int
os_audit_host(const char *spaces, struct os_finding **ret, size_t *ret_n, struct err *e)
{
	struct os_finding *list = xcalloc(ARRAY_LEN(numbers) + 5, sizeof(*list));
	size_t n = 0;

	(void)e;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		list[n++] = look_number(&numbers[i]);
	list[n++] = look_core_pattern();
	list[n++] = look_user_namespaces();
	list[n++] = look_cpu();
	if (spaces) {
		look_spaces(spaces, &list[n], &list[n + 1]);
		n += 2;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}
