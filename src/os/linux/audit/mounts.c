/* SPDX-License-Identifier: BSD-2-Clause */
/* What a jail has mounted, and what it finds in /dev, /proc and /sys. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "os/linux/audit/audit.h"

#define MOUNTINFO_MAX (16u << 20)
#define LIST_MAX 64 /* findings of a kind that are kept */
#define GROUPS_MAX 65536
#define DEV_ENTRIES_MAX 4096

/* --- mountinfo --- */

/* \040 and the like, in place. */
static void
unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPEROPTIONS" */
static bool
parse_mount(char *line, struct audit_mount *m)
{
	char *tail = strstr(line, " - "), *field[6], *save = NULL, *type, *super, *tag;

	if (!tail)
		return false;
	*tail = '\0';
	for (size_t i = 0; i < ARRAY_LEN(field); i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return false;
	}
	*m = (struct audit_mount){0};
	while ((tag = strtok_r(NULL, " ", &save)))
		m->shared |= str_after(tag, "shared:") || str_after(tag, "master:");
	type = strtok_r(tail + 3, " ", &save);
	(void)strtok_r(NULL, " ", &save);
	super = strtok_r(NULL, " ", &save);
	if (!type || num_u64(field[0], UINT64_MAX, &m->id) < 0 ||
	    sscanf(field[2], "%u:%u", &m->major, &m->minor) != 2)
		return false;
	m->read_only = audit_has_word(field[5], "ro") || (super && audit_has_word(super, "ro"));
	m->nosuid = audit_has_word(field[5], "nosuid");
	m->nodev = audit_has_word(field[5], "nodev");
	unescape(field[3]);
	unescape(field[4]);
	m->root = xstrdup(field[3]);
	m->point = xstrdup(field[4]);
	m->type = xstrdup(type);
	m->super = xstrdup(super ? super : "");
	return true;
}

int
audit_mounts_read(int procfd, struct audit_mounts *ret)
{
	_auto_close int fd = openat(procfd, "mountinfo", O_RDONLY | O_CLOEXEC);
	_auto_free char *text = NULL;
	char *save = NULL;
	int r = fd < 0 ? -errno : fsx_read_fd(fd, MOUNTINFO_MAX, &text, NULL);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		GROW(ret->v, ret->n, ret->cap);
		if (parse_mount(line, &ret->v[ret->n]))
			ret->n++;
	}
	return 0;
}

bool
audit_mounts_have(const struct audit_mounts *m, uint64_t id)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].id == id)
			return true;
	return false;
}

void
audit_mounts_free(struct audit_mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].root);
		free(m->v[i].point);
		free(m->v[i].type);
		free(m->v[i].super);
	}
	free(m->v);
	*m = (struct audit_mounts){0};
}

/* --- places in the jail --- */

/* Opens a path of the jail, or -errno.  No link is followed, so that what is opened is what is named. */
static int
open_inside(int root, const char *path, int flags)
{
	struct open_how how = {.flags = (unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static void
list_add(struct strv *list, const char *text)
{
	if (list->n < LIST_MAX)
		strv_take(list, text_printable(text, 64));
}

static bool
is_null(int root, const char *path)
{
	_auto_close int fd = open_inside(root, path, O_PATH);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* --- mounts --- */

static bool
kernel_type(const char *type)
{
	static const char *const types[] = {"sysfs",    "cgroup",     "cgroup2",     "debugfs", "tracefs",
					    "bpf",      "securityfs", "configfs",    "pstore",  "efivarfs",
					    "devtmpfs", "selinuxfs",  "binfmt_misc", "fusectl", "nfsd"};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (streq(type, types[i]))
			return true;
	return false;
}

/* Devices can be opened on it, and it is none that is judged elsewhere (/dev, devpts, the null device as
 * a cover). */
static bool
opens_devices(int root, const struct audit_mount *m)
{
	return !m->nodev && !streq(m->type, "devpts") && !streq(m->point, "/dev") && !is_null(root, m->point);
}

/* Is it (a part of) a file system that the host has mounted, too? */
static bool
is_the_hosts(const struct audit_mount *m, const struct audit_mounts *host)
{
	for (size_t i = 0; i < host->n; i++)
		if (host->v[i].major == m->major && host->v[i].minor == m->minor)
			return true;
	return false;
}

/* Is it the view of the jail's own control group: read-only, and of the group that its first process is
 * in (a line "N:CONTROLLERS:PATH" of groups)? */
static bool
own_group(const struct audit_mount *m, const char *groups)
{
	if (!m->read_only || !str_after(m->type, "cgroup") || streq(m->root, "/"))
		return false;
	for (const char *line = groups; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		const char *path = strchr(line, ':');
		size_t n;

		path = path ? strchr(path + 1, ':') : NULL;
		n = path ? strcspn(++path, "\n") : 0;
		if (path && strlen(m->root) == n && memcmp(path, m->root, n) == 0)
			return true;
	}
	return false;
}

static void
look_mount(int root, const struct audit_mount *m, const struct audit_mounts *host, const char *groups,
	   struct audit_facts *f)
{
	if (!m->nosuid)
		list_add(&f->suid, m->point);
	if (opens_devices(root, m))
		list_add(&f->dev, m->point);
	if (m->shared)
		list_add(&f->shared, m->point);
	if (kernel_type(m->type) && !is_null(root, m->point) && !own_group(m, groups))
		list_add(&f->kernel_fs, m->point);
	/* "/" is an item of its own; "/s" is the jailspace */
	if (!m->read_only && !streq(m->point, "/") && !streq(m->point, "/s") && is_the_hosts(m, host))
		list_add(&f->writable, m->point);
}

/* --- /dev --- */

static bool
usual_node(mode_t mode, dev_t dev)
{
	static const unsigned memory[] = {3, 5, 7, 8, 9}; /* null zero full random urandom */
	unsigned ma = major(dev), mi = minor(dev);

	if (!S_ISCHR(mode))
		return false;
	for (size_t i = 0; ma == 1 && i < ARRAY_LEN(memory); i++)
		if (mi == memory[i])
			return true;
	return (ma == 5 && (mi == 0 || mi == 2)) || (ma >= 136 && ma <= 143);
}

/* On a nodev mount device nodes cannot be opened: they do not count. */
static void
look_dev(int root, struct audit_facts *f)
{
	_auto_closedir DIR *d = NULL;
	struct dirent *de;
	struct statvfs fs;
	struct stat st;
	int fd = open_inside(root, "dev", O_RDONLY | O_DIRECTORY | O_NONBLOCK);

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		fd_close(fd);
		return;
	}
	if (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NODEV))
		return;
	for (int i = 0; i < DEV_ENTRIES_MAX && (de = readdir(d)); i++)
		if (fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) && !usual_node(st.st_mode, st.st_rdev))
			list_add(&f->nodes, de->d_name);
}

/* --- /proc --- */

/* Entries that change settings of the host when written, and that show things of it when read: as in
 * procfs.c. */
static const char *const proc_changes[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
static const char *const proc_tells[] = {
    "acpi",     "asound",      "config.gz",   "interrupts", "kallsyms",   "kcore",         "key-users",
    "keys",     "kmsg",        "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "modules",
    "pressure", "sched_debug", "scsi",        "slabinfo",   "timer_list", "timer_stats",   "vmallocinfo",
};

static bool
on_procfs(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC;
}

static bool
is_writable(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) < 0 || !(fs.f_flag & ST_RDONLY);
}

/* proc: a directory below which the entries of a proc file system may be; at: where, for the findings. */
static void
look_proc_entries(int root, const char *at, struct audit_facts *f)
{
	for (size_t i = 0; i < ARRAY_LEN(proc_changes); i++) {
		_auto_free char *path = xasprintf("%s/%s", at, proc_changes[i]);
		_auto_close int fd = open_inside(root, path, O_PATH);

		if (fd >= 0 && on_procfs(fd) && is_writable(fd))
			list_add(&f->proc_rw, path);
	}
	for (size_t i = 0; i < ARRAY_LEN(proc_tells); i++) {
		_auto_free char *path = xasprintf("%s/%s", at, proc_tells[i]);
		_auto_close int fd = open_inside(root, path, O_PATH);

		if (fd >= 0 && on_procfs(fd))
			list_add(&f->unmasked, path);
	}
}

/* Every mount of the root of a proc file system is judged, wherever it is: one whose entries are not
 * covered is enough. */
static int
look_proc(int root, const struct audit_mounts *jail, struct audit_facts *f, struct err *e)
{
	struct stat st;

	if (stat("/proc", &st) < 0)
		return err_sys(e, errno, "/proc");
	f->own_proc = true;
	for (size_t i = 0; i < jail->n; i++) {
		const struct audit_mount *m = &jail->v[i];

		if (!streq(m->type, "proc"))
			continue;
		if (makedev(m->major, m->minor) == st.st_dev)
			f->own_proc = false;
		if (streq(m->root, "/"))
			look_proc_entries(root, m->point, f);
	}
	return 0;
}

static char *
read_groups(int procfd)
{
	_auto_close int fd = openat(procfd, "cgroup", O_RDONLY | O_CLOEXEC);
	char *text = NULL;

	return fd >= 0 && fsx_read_fd(fd, GROUPS_MAX, &text, NULL) == 0 ? text : NULL;
}

int
audit_look_mounts(int procfd, const struct audit_mounts *jail, const struct audit_mounts *host,
		  struct audit_facts *f, struct err *e)
{
	/* a magic link of this very process, not a path in the jail */
	_auto_close int root = openat(procfd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_auto_free char *groups = read_groups(procfd);

	if (root < 0)
		return err_sys(e, errno, "root of the jail");
	f->root_ro = !is_writable(root);
	for (size_t i = 0; i < jail->n; i++)
		look_mount(root, &jail->v[i], host, groups, f);
	look_dev(root, f);
	return look_proc(root, jail, f, e);
}
