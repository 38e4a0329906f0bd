/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Putting a jail together, looked at from the host, from inside, and as an enemy inside with every capability
 * of the jail's user namespace.  Needs root and a static busybox.  Arguments: path of brig-init, optionally a
 * number: then so many jails are made and the times printed, and nothing else is done.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/nsfs.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/where.h"
#include "init/proto.h"
#include "os/os.h"

#define IDBASE 1879048192U

static const char *init_path, *init_path_given;
static char base[64]; /* of the test's files */

/* Test double: brig-init of this build. */
char *
where_libexec(const char *program)
{
	assert_string_equal(program, "brig-init");
	return xstrdup(init_path);
}

static long
now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000L + ts.tv_nsec / 1000L;
}

static void
nap(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};

	(void)nanosleep(&ts, NULL);
}

static char *
at_base(const char *rel)
{
	return xasprintf("%s/%s", base, rel);
}

static void
sh(const char *script)
{
	char *const argv[] = {(char[]){"/bin/sh"}, (char[]){"-ec"}, xstrdup(script), NULL};
	struct child c = CHILD_INIT;
	struct err e = ERR_INIT;

	c.argv = argv;
	if (child_must(&c, &e) < 0)
		fail_msg("%s: %s", script, e.msg);
	free(argv[2]);
}

static char *
slurp(const char *path)
{
	_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;

	if (fd < 0 || fsx_read_fd(fd, 4 << 20, &text, NULL) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return text;
}

/* ---- one jail ---- */

struct jail {
	struct jailspec *spec;
	struct os_root root;
	struct os_init init;
	struct os_id id;
	struct os_ref ref;
	struct os_jail *handle;
	struct err e;
};

static int
open_dir(const char *rel)
{
	_auto_free char *path = at_base(rel);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void
prepare(struct jail *j)
{
	_auto_free char *log = at_base("log"), *status = at_base("status");

	*j = (struct jail){.id = {.tag = "", .name = "t", .jid = 1}};
	j->spec = xcalloc(1, sizeof(*j->spec));
	*j->spec = (struct jailspec){.name = xstrdup("t"),
				     .label = xstrdup("t"),
				     .root = ROOT_TEMPLATE,
				     .path = at_base("mnt"),
				     .hostname = xstrdup("t.example.org"),
				     .host = SHARE_NEW,
				     .sysvipc = SHARE_NEW,
				     .stop_timeout = 5,
				     .persist = true,
				     .mount_devfs = true,
				     .mount_fdescfs = true,
				     .mount_procfs = true,
				     .devfs_ruleset = 4};
	j->spec->allow.reserved_ports = true;
	j->root = (struct os_root){.root_fd = open_dir("tpl"),
				   .read_only = true,
				   .space_fd = open_dir("space"),
				   .hosts_fd = open_dir("hosts"),
				   .path = j->spec->path,
				   .idbase = IDBASE};
	j->init.log_fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	j->init.log_rw_fd = open(log, O_RDWR | O_CLOEXEC);
	j->init.status_fd = open(status, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	j->init.log_max = 1 << 20;
	assert_true(j->init.log_fd >= 0 && j->init.log_rw_fd >= 0 && j->init.status_fd >= 0);
}

static int
create(struct jail *j)
{
	return os_jail_create(&(struct os_new){&j->id, j->spec, &j->root, &j->init, NULL}, &j->ref,
			      &j->handle, &j->e);
}

static void
must_create(struct jail *j)
{
	if (create(j) < 0)
		fail_msg("os_jail_create: %s", j->e.msg);
}

static void
gone(struct jail *j)
{
	if (j->ref.pid > 0)
		assert_int_equal(os_jail_kill(&j->ref, &j->e), 0);
	os_jail_close(j->handle);
	fd_close(j->root.root_fd);
	fd_close(j->root.space_fd);
	fd_close(j->root.hosts_fd);
	fd_close(j->init.log_fd);
	fd_close(j->init.log_rw_fd);
	fd_close(j->init.status_fd);
	jailspec_free(j->spec);
}

static void
done(struct jail *j)
{
	gone(j);
	errno = 0; /* no child is left, dead or alive */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* What the jail's processes have written to the console log, once text is in it. */
static char *
log_with(const char *text)
{
	_auto_free char *path = at_base("log");

	for (int i = 0; i < 300; i++) {
		char *all = slurp(path);

		if (strstr(all, text))
			return all;
		if (i == 299)
			print_message("log without '%s':\n%s\n", text, all);
		free(all);
		nap(10);
	}
	fail();
	return NULL;
}

/* Runs script in a jail as its service and returns what it printed. */
static char *
inside(struct jail *j, const char *script)
{
	strv_addf(&j->spec->service, "{ %s; } 2>&1; echo the-end; exec sleep 1000", script);
	must_create(j);
	if (os_jail_release(j->handle, &j->e) < 0)
		fail_msg("%s", j->e.msg);
	return log_with("the-end\n");
}

static void
has(const char *all, const char *text)
{
	if (!strstr(all, text))
		fail_msg("'%s' is not in:\n%s", text, all);
}

static void
has_not(const char *all, const char *text)
{
	if (strstr(all, text))
		fail_msg("'%s' is in:\n%s", text, all);
}

static char *
proc_file(const struct jail *j, const char *name)
{
	_auto_free char *path = xasprintf("/proc/%d/%s", (int)j->ref.pid, name);

	return slurp(path);
}

static void
add_mount(struct jail *j, const char *source, const char *target, const char *type, const char *options)
{
	struct spec_mount *m;

	j->spec->mounts = xrealloc(j->spec->mounts, j->spec->n_mounts + 1, sizeof(*m));
	m = &j->spec->mounts[j->spec->n_mounts++];
	m->source = *source == '/' ? xstrdup(source) : at_base(source);
	m->target = xasprintf("%s/mnt%s", base, target);
	m->type = xstrdup(type);
	m->options = xstrdup(options);
	m->where = xstrdup("fstab:1");
}

/* ---- from the host ---- */

static void
t_host_view(void **state)
{
	static const char *const ns[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
	_auto_free char *before = slurp("/proc/self/mountinfo"), *during = NULL, *after = NULL, *map = NULL;
	struct stat tpl, host, theirs;
	struct jail j;
	dev_t dev;
	ino_t ino;

	(void)state;
	prepare(&j);
	must_create(&j);
	during = slurp("/proc/self/mountinfo");
	assert_string_equal(before, during);
	for (size_t i = 0; i < ARRAY_LEN(ns); i++) {
		_auto_free char *a = xasprintf("/proc/self/ns/%s", ns[i]);
		_auto_free char *b = xasprintf("/proc/%d/ns/%s", (int)j.ref.pid, ns[i]);

		assert_int_equal(stat(a, &host), 0);
		assert_int_equal(stat(b, &theirs), 0);
		assert_true(host.st_ino != theirs.st_ino);
		if (streq(ns[i], "pid"))
			assert_int_equal(theirs.st_ino, j.ref.ns);
	}
	map = proc_file(&j, "uid_map");
	{
		unsigned in, out, n;

		assert_int_equal(sscanf(map, "%u %u %u", &in, &out, &n), 3);
		assert_true(in == 0 && out == IDBASE && n == 65536);
	}
	assert_int_equal(fstat(j.root.root_fd, &tpl), 0);
	assert_int_equal(os_jail_root(&j.ref, &dev, &ino, &j.e), 0);
	assert_true(dev == tpl.st_dev && ino == tpl.st_ino);
	assert_int_equal(os_jail_alive(&j.ref), 1);
	done(&j);
	assert_int_equal(os_jail_alive(&j.ref), 0);
	after = slurp("/proc/self/mountinfo");
	assert_string_equal(before, after);
}

/* Exactly the mounts that are meant to be there, each with the flags that are meant. */
static void
t_mounts(void **state)
{
	_auto_free char *info = NULL;
	struct jail j;
	size_t n = 0;
	char *save = NULL;

	(void)state;
	prepare(&j);
	must_create(&j);
	info = proc_file(&j, "mountinfo");
	for (char *line = strtok_r(info, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char point[256], flags[256];
		bool device;

		assert_int_equal(sscanf(line, "%*s %*s %*s %*s %255s %255s", point, flags), 2);
		/* what hides files of /proc is the host's /dev/null, on whatever the host has as its /dev */
		device = strstr(line, "/null /proc/") || streq(point, "/dev") || streq(point, "/dev/pts");
		has(flags, "nosuid");
		if (!device)
			has(flags, "nodev");
		has_not(line, "shared:");
		has_not(line, "master:");
		if (streq(point, "/"))
			assert_true(strncmp(flags, "ro,", 3) == 0);
		if (streq(point, "/s"))
			assert_true(strncmp(flags, "rw,", 3) == 0);
		if (streq(point, "/run/brig") || streq(point, "/dev") || streq(point, "/proc/sys"))
			assert_true(strncmp(flags, "ro,", 3) == 0);
		if (strncmp(point, "/proc/", 6) != 0)
			n++;
	}
	assert_int_equal(n, 8); /* / /s /run /run/brig /proc /dev /dev/pts /dev/shm */
	done(&j);
}

static void
t_descriptors(void **state)
{
	_auto_free char *path = NULL, *all = NULL;
	struct dirent *de;
	struct jail j;
	DIR *d;

	(void)state;
	prepare(&j);
	all = inside(&j, "ls -l /proc/self/fd | awk '{print $9,$10,$11}'");
	has_not(all, base);
	has(all, "0 -> /dev/null\n");
	path = xasprintf("/proc/%d/fd", (int)j.ref.pid);
	d = opendir(path);
	assert_non_null(d);
	while ((de = readdir(d))) {
		char target[256] = "";

		if (de->d_name[0] == '.')
			continue;
		assert_true(readlinkat(dirfd(d), de->d_name, target, sizeof(target) - 1) > 0);
		if (streq(target, "/dev/null") || strncmp(target, "pipe:", 5) == 0 ||
		    strstr(target, "signalfd"))
			continue;
		if ((streq(de->d_name, "4") || streq(de->d_name, "5")) && strstr(target, "/log"))
			continue;
		if (streq(de->d_name, "6") && strstr(target, "/status"))
			continue;
		if (strstr(target, INIT_FOLLOW))
			continue;
		fail_msg("descriptor %s of brig-init is %s", de->d_name, target);
	}
	(void)closedir(d);
	done(&j);
}

static void
t_limits_of_first(void **state)
{
	_auto_free char *status = NULL, *cmdline = NULL, *limits = NULL;
	const char *core;
	struct jail j;

	(void)state;
	prepare(&j);
	must_create(&j);
	status = proc_file(&j, "status");
	has(status, "NoNewPrivs:\t1");
	has(status, "Seccomp:\t2");
	has(status, "Uid:\t1879048192\t1879048192\t1879048192\t1879048192\n");
	has(status, "Groups:\t \n");
	has_not(status, "CapBnd:\t000001ffffffffff");
	limits = proc_file(&j, "limits"); /* soft and hard; 0 where the caller's is 0 */
	core = strstr(limits, "Max core file size");
	assert_non_null(core);
	core += strlen("Max core file size") + strspn(core + strlen("Max core file size"), " ");
	assert_true((core[0] == '0' || core[0] == '1') && core[1] == ' ');
	core += 1 + strspn(core + 1, " ");
	assert_true((core[0] == '0' || core[0] == '1') && core[1] == ' ');
	done(&j);
}

/* ---- from inside ---- */

/* The host's variables stay outside. */
static void
t_environment(void **state)
{
	_auto_free char *all = NULL;
	struct jail j;

	(void)state;
	assert_int_equal(setenv("OF_THE_HOST", "1", 1), 0);
	prepare(&j);
	all = inside(&j, "env");
	has(all, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
	has(all, "HOME=/root\n");
	has(all, "LANG=C\n");
	has_not(all, "OF_THE_HOST");
	done(&j);
	assert_int_equal(unsetenv("OF_THE_HOST"), 0);
}

static void
t_dev(void **state)
{
	_auto_free char *all = NULL;
	struct jail j;

	(void)state;
	prepare(&j);
	all = inside(
	    &j, "cd /dev; echo list: *; stat -c '%n %F %a %u:%g %t:%T' null zero full random urandom tty; "
		"readlink ptmx; readlink fd; ls pts; stat -c '%n %a' pts/ptmx shm; echo x > null && echo "
		"null ok; "
		"head -c 4 zero | wc -c; echo y > shm/f && cat shm/f; touch /dev/new; "
		"grep -E ' /dev(/[a-z]+)? ' /proc/self/mountinfo; mknod /dev/shm/sda b 8 0; "
		"echo err > /dev/stderr; echo q | cat /dev/stdin; "
		"echo z > /dev/shm/x && chmod 755 /dev/shm/x && /dev/shm/x");
	has(all, "list: fd full log null ptmx pts random shm stderr stdin stdout tty urandom zero\n");
	has(all, "null character special file 666 0:0 1:3\n");
	has(all, "zero character special file 666 0:0 1:5\n");
	has(all, "full character special file 666 0:0 1:7\n");
	has(all, "random character special file 666 0:0 1:8\n");
	has(all, "urandom character special file 666 0:0 1:9\n");
	has(all, "tty character special file 666 0:0 5:0\n");
	has(all, "pts/ptmx\n/proc/self/fd\nptmx\n");
	has(all, "pts/ptmx 666\nshm 1777\nnull ok\n4\ny\n");
	has(all, "/dev/new: Read-only file system");
	has(all, "gid=1879048197,mode=620,ptmxmode=666,max=64");
	has(all, "size=64k");
	has(all, "size=65536k");
	has(all, "mknod: /dev/shm/sda: Operation not permitted");
	has(all, "err\nq\n");
	has(all, "/dev/shm/x: Permission denied");
	done(&j);
}

static void
t_no_dev(void **state)
{
	_auto_free char *all = NULL;
	struct jail j;

	(void)state;
	prepare(&j);
	j.spec->mount_devfs = false;
	all = inside(&j, "echo dev: $(ls -A /dev) end; cat");
	has(all, "dev: end\n");
	done(&j);
}

static void
t_files(void **state)
{
	_auto_free char *all = NULL, *made = at_base("space/made");
	struct stat st;
	struct jail j;

	(void)state;
	prepare(&j);
	all = inside(
	    &j, "touch /x; echo hi > /s/made && cat /s/made; stat -c '%n %u:%g' /s/made /s/of7 /bin/busybox; "
		"chown 5:6 /s/made; cat /s/secret; stat -c '%n %a %u' /run /run/lock /run/brig; "
		"cat /run/brig/names; echo x > /run/brig/names; touch /run/ok && echo run ok; "
		"echo sys: $(ls /sys) end; hostname; pwd; ls -A /; cat /proc/sys/kernel/domainname");
	has(all, "touch: /x: Read-only file system");
	has(all, "hi\n/s/made 0:0\n/s/of7 7:7\n/bin/busybox 0:0\nsecret\n");
	has(all, "/run 755 0\n/run/lock 1777 0\n/run/brig 755");
	has(all, "the names\n");
	has(all, "run ok\nsys: end\nt.example.org\n/\n");
	has(all, "(none)\n");
	/* ordinary owners on disk */
	assert_int_equal(stat(made, &st), 0);
	assert_int_equal(st.st_uid, 5);
	assert_int_equal(st.st_gid, 6);
	done(&j);
}

static void
t_proc(void **state)
{
	_auto_free char *all = NULL;
	struct jail j;

	(void)state;
	prepare(&j);
	all = inside(
	    &j,
	    "echo pid: $(ls -d /proc/[0-9]* | wc -l); readlink /proc/self; "
	    "for f in kallsyms kcore keys interrupts timer_list vmallocinfo slabinfo; do "
	    "[ -e /proc/$f ] && echo $f: $(head -c 100 /proc/$f | wc -c); done; "
	    "for d in acpi scsi asound pressure; do [ -d /proc/$d ] && echo $d: $(ls -A /proc/$d | wc -l); "
	    "done; "
	    "echo 1 > /proc/sys/kernel/panic; [ ! -e /proc/sysrq-trigger ] || echo h > /proc/sysrq-trigger; "
	    "cat /proc/meminfo | head -1; "
	    "cat /proc/sys/user/max_user_namespaces; cat /proc/1/comm; readlink /proc/1/fd/4 || echo no "
	    "link; cat /proc/1/environ; "
	    "readlink /proc/1/exe");
	has(all, "pid: ");
	assert_null(strstr(all, "kallsyms: 100"));
	has(all, "kallsyms: 0\n");
	has(all, "acpi: 0\n");
	has(all, "/proc/sys/kernel/panic: Read-only file system");
	if (access("/proc/sysrq-trigger", F_OK) == 0)
		has(all, "/proc/sysrq-trigger: Read-only file system");
	has(all, "MemTotal:");
	has(all, "\n0\nbrig-init\n"); /* no user namespaces below */
	has(all, "\nno link\n");
	has(all, "'/proc/1/environ': Permission denied");
	has_not(all, init_path);
	done(&j);
}

/* The covers go, and nothing else: what only the host's root may read stays unread. */
static void
t_proc_unmasked(void **state)
{
	_auto_free char *all = NULL;
	struct jail j;

	(void)state;
	prepare(&j);
	j.spec->allow.proc_unmasked = true;
	all = inside(&j, "echo kallsyms: $(head -c 100 /proc/kallsyms | wc -c); "
			 "echo covers: $(grep -c ' /proc/' /proc/self/mountinfo); "
			 "echo read-only: $(grep ' /proc/' /proc/self/mountinfo | grep -c ' ro,'); "
			 "echo 1 > /proc/sys/kernel/panic; head -c 1 /proc/kcore");
	has(all, "kallsyms: 100\n");
	has(all, "/proc/sys/kernel/panic: Read-only file system");
	if (access("/proc/kcore", F_OK) == 0)
		has(all, "head: /proc/kcore: Permission denied");
	has_not(all, "covers: 0\n");
	{
		int covers = -1, ro = -2;
		const char *p = strstr(all, "covers: ");

		assert_non_null(p);
		assert_int_equal(sscanf(p, "covers: %d\nread-only: %d", &covers, &ro), 2);
		assert_int_equal(covers, ro);
		assert_true(covers <= 5);
	}
	done(&j);
}

/* ---- an enemy inside with all rights in the user namespace ---- */

#define TRY(n, call)                                                                               \
	do {                                                                                       \
		if ((call) >= 0)                                                                   \
			_exit(n);                                                                  \
		else if (errno != EPERM && errno != EINVAL && errno != EBUSY && errno != EACCES && \
			 errno != EROFS)                                                           \
			_exit(100 + (n));                                                          \
	} while (0)

static _Noreturn void
enemy(int userns, int mntns)
{
	struct mount_attr rw = {.attr_clr = MOUNT_ATTR_RDONLY}, suid = {.attr_clr = MOUNT_ATTR_NOSUID},
			  dev = {.attr_clr = MOUNT_ATTR_NODEV};
	int tree;

	if (setns(userns, CLONE_NEWUSER) < 0 || setns(mntns, CLONE_NEWNS) < 0 || setresgid(0, 0, 0) < 0 ||
	    setresuid(0, 0, 0) < 0)
		_exit(200);
	/* it does have rights: a mount of its own is possible */
	if (mount("x", "/s/dir", "tmpfs", 0, NULL) < 0 || umount("/s/dir") < 0)
		_exit(201);
	TRY(1, mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
	TRY(2, mount_setattr(AT_FDCWD, "/", 0, &rw, sizeof(rw)));
	TRY(3, mount_setattr(AT_FDCWD, "/s", 0, &suid, sizeof(suid)));
	TRY(4, mount_setattr(AT_FDCWD, "/s", 0, &dev, sizeof(dev)));
	TRY(5, mount_setattr(AT_FDCWD, "/dev", 0, &rw, sizeof(rw)));
	TRY(6, mount_setattr(AT_FDCWD, "/proc/sys", 0, &rw, sizeof(rw)));
	TRY(7, umount2("/s", MNT_DETACH));
	TRY(8, umount2("/proc/sys", MNT_DETACH));
	TRY(9, umount2("/proc/kallsyms", MNT_DETACH));
	TRY(10, umount2("/dev", MNT_DETACH));
	TRY(11, mount("proc", "/s/dir", "proc", 0, NULL));
	TRY(12, mount("sysfs", "/s/dir", "sysfs", 0, NULL));
	TRY(13, mount("/", "/s/dir", NULL, MS_BIND, NULL)); /* would show what is covered */
	tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | AT_RECURSIVE);
	if (tree >= 0) {
		TRY(14, mount_setattr(tree, "", AT_EMPTY_PATH, &rw, sizeof(rw)));
		TRY(15, mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &rw, sizeof(rw)));
	}
	TRY(16, open("/planted", O_CREAT | O_WRONLY, 0600));
	TRY(17, mknod("/s/disk", S_IFBLK | 0600, makedev(254, 0)));
	_exit(0);
}

static void
t_enemy(void **state)
{
	_auto_free char *up = NULL, *mp = NULL;
	int u, m, status;
	struct jail j;
	pid_t pid;

	(void)state;
	prepare(&j);
	must_create(&j);
	up = xasprintf("/proc/%d/ns/user", (int)j.ref.pid);
	mp = xasprintf("/proc/%d/ns/mnt", (int)j.ref.pid);
	u = open(up, O_RDONLY | O_CLOEXEC);
	m = open(mp, O_RDONLY | O_CLOEXEC);
	assert_true(u >= 0 && m >= 0);
	pid = fork();
	if (pid == 0)
		enemy(u, m);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0); /* else the number of what was possible */
	(void)close(u);
	(void)close(m);
	done(&j);
}

/* ---- in another jail's place ---- */

static int
create_in_place(struct jail *j, const struct jail *old)
{
	return os_jail_create(&(struct os_new){&j->id, j->spec, &j->root, &j->init, &old->ref}, &j->ref,
			      &j->handle, &j->e);
}

static void
must_create_in_place(struct jail *j, const struct jail *old)
{
	if (create_in_place(j, old) < 0)
		fail_msg("os_jail_create: %s", j->e.msg);
}

static int
ns_fd(pid_t pid, const char *ns)
{
	_auto_free char *path = xasprintf("/proc/%d/ns/%s", (int)pid, ns);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static ino_t
ns_of(pid_t pid, const char *ns)
{
	_auto_close int fd = ns_fd(pid, ns);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

/* The namespace that ioctl_ns(2) gives for this one. */
static ino_t
ns_related(pid_t pid, const char *ns, unsigned long what)
{
	_auto_close int fd = ns_fd(pid, ns);
	_auto_close int other = ioctl(fd, what);
	struct stat st;

	assert_true(other >= 0);
	assert_int_equal(fstat(other, &st), 0);
	return st.st_ino;
}

static void
t_keep_namespaces(void **state)
{
	static const char *const same[] = {"user", "net"}, *const fresh[] = {"mnt", "pid", "ipc", "uts",
									     "cgroup"};
	_auto_free char *before = slurp("/proc/self/mountinfo"), *after = NULL, *map = NULL, *nspid = NULL;
	struct jail old, new;
	pid_t a, b;

	(void)state;
	prepare(&old);
	prepare(&new);
	must_create(&old);
	must_create_in_place(&new, &old);
	a = (pid_t)old.ref.pid;
	b = (pid_t) new.ref.pid;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		assert_int_equal(ns_of(a, same[i]), ns_of(b, same[i]));
		assert_int_not_equal(ns_of(a, same[i]), ns_of(getpid(), same[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(fresh); i++) {
		assert_int_not_equal(ns_of(a, fresh[i]), ns_of(b, fresh[i]));
		assert_int_not_equal(ns_of(b, fresh[i]), ns_of(getpid(), fresh[i]));
		/* both belong to the jail's user namespace, in a new jail and in one that takes its place */
		assert_int_equal(ns_related(a, fresh[i], NS_GET_USERNS), ns_of(a, "user"));
		assert_int_equal(ns_related(b, fresh[i], NS_GET_USERNS), ns_of(a, "user"));
	}
	/* not below the old one, which would see it */
	assert_int_equal(ns_related(b, "pid", NS_GET_PARENT), ns_of(getpid(), "pid"));
	map = proc_file(&new, "status");
	nspid = xasprintf("NSpid:\t%d\t1\n", (int)b);
	has(map, nspid);
	has(map, "Uid:\t1879048192\t1879048192\t1879048192\t1879048192\n");
	has(map, "NoNewPrivs:\t1");
	has(map, "Seccomp:\t2");
	assert_int_equal(os_jail_kill(&old.ref, &old.e), 0);
	assert_int_equal(os_jail_alive(&old.ref), 0);
	assert_int_equal(os_jail_alive(&new.ref), 1);
	gone(&old);
	done(&new);
	after = slurp("/proc/self/mountinfo");
	assert_string_equal(before, after);
}

static void
t_keep_runs(void **state)
{
	_auto_free char *all = NULL;
	struct jail old, new;

	(void)state;
	prepare(&old);
	prepare(&new);
	must_create(&old);
	assert_int_equal(os_jail_release(old.handle, &old.e), 0);
	strv_add(&new.spec->service, "{ hostname; cat /s/secret; ls -d /proc/[0-9]* | wc -l; } 2>&1; "
				     "echo the-end; exec sleep 1000");
	free(new.spec->hostname);
	new.spec->hostname = xstrdup("new.example.org");
	must_create_in_place(&new, &old);
	gone(&old);
	assert_int_equal(os_jail_release(new.handle, &new.e), 0);
	all = log_with("the-end\n");
	has(all, "new.example.org\nsecret\n");
	assert_int_equal(os_jail_term(&new.ref, 5, &new.e), 1);
	done(&new);
}

/* The probes of t_enemy, with all capabilities of the common user namespace. */
static void
t_keep_enemy(void **state)
{
	struct jail old, new;
	int u, m, status;
	pid_t pid;

	(void)state;
	prepare(&old);
	prepare(&new);
	must_create(&old);
	must_create_in_place(&new, &old);
	u = ns_fd((pid_t) new.ref.pid, "user");
	m = ns_fd((pid_t) new.ref.pid, "mnt");
	pid = fork();
	if (pid == 0)
		enemy(u, m);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	(void)close(u);
	(void)close(m);
	gone(&old);
	done(&new);
}

/* In the old instance with all capabilities: how many processes are there that it could do something to? */
static _Noreturn void
neighbour(int userns, int pidns)
{
	int status, seen = 0;
	pid_t pid;

	if (setns(pidns, CLONE_NEWPID) < 0 || setns(userns, CLONE_NEWUSER) < 0)
		_exit(200);
	pid = fork();
	if (pid == 0) {
		for (pid_t p = 1; p < 32768; p++)
			seen += p != getpid() && kill(p, 0) == 0;
		_exit(seen);
	}
	_exit(waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 201);
}

static int
neighbours_of(const struct jail *j)
{
	_auto_close int u = ns_fd((pid_t)j->ref.pid, "user"), p = ns_fd((pid_t)j->ref.pid, "pid");
	pid_t pid = fork();
	int status;

	if (pid == 0)
		neighbour(u, p);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
t_keep_unseen(void **state)
{
	struct jail old, new;

	(void)state;
	prepare(&old);
	prepare(&new);
	must_create(&old);
	assert_int_equal(neighbours_of(&old), 1); /* its own first process */
	must_create_in_place(&new, &old);
	assert_int_equal(neighbours_of(&old), 1);
	assert_int_equal(neighbours_of(&new), 1);
	gone(&old);
	done(&new);
}

/* Whoever makes the new instance and dies takes it along, and leaves the old one. */
static void
t_keep_creator_dies(void **state)
{
	struct jail old, new;
	struct os_ref ref;
	int p[2];
	pid_t pid;

	(void)state;
	prepare(&old);
	prepare(&new);
	must_create(&old);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid = fork();
	if (pid == 0) {
		if (create_in_place(&new, &old) < 0)
			_exit(1);
		(void)!write(p[1], &new.ref, sizeof(new.ref));
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(p[0], &ref, sizeof(ref)), sizeof(ref));
	assert_int_equal(os_jail_alive(&ref), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(waitpid((pid_t)ref.pid, NULL, 0), (pid_t)ref.pid);
	assert_int_equal(os_jail_alive(&ref), 0);
	assert_int_equal(os_jail_alive(&old.ref), 1);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	(void)close(p[0]);
	(void)close(p[1]);
	gone(&new);
	done(&old);
}

/* The same at any moment while it is made. */
static void
t_keep_kill_creator(void **state)
{
	struct jail old, new;
	long took;

	(void)state;
	prepare(&old);
	prepare(&new);
	must_create(&old);
	took = now_us();
	must_create_in_place(&new, &old);
	took = now_us() - took;
	os_jail_close(TAKE_PTR(new.handle));
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (int i = 0; i < 40; i++) {
		struct timespec ts = {0, took * 1000 * i / 33};
		bool clean = false;
		pid_t pid = fork();

		if (pid == 0) {
			(void)create_in_place(&new, &old);
			(void)pause();
			_exit(0);
		}
		(void)nanosleep(&ts, NULL);
		(void)kill(pid, SIGKILL);
		/* the old one is the only child that stays */
		for (long stop = now_us() + 3000000; !clean && now_us() < stop; nap(2)) {
			_auto_free char *path = xasprintf("/proc/self/task/%d/children", getpid());
			_auto_free char *all = NULL, *only = xasprintf("%d ", (int)old.ref.pid);

			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
			all = slurp(path);
			clean = streq(all, only);
		}
		if (!clean)
			fail_msg("killed after %ld us: something is left", ts.tv_nsec / 1000);
		assert_int_equal(os_jail_alive(&old.ref), 1);
	}
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	new.ref.pid = 0;
	gone(&new);
	done(&old);
}

static void
t_keep_refused(void **state)
{
	struct jail old, new;

	(void)state;
	prepare(&old);
	prepare(&new);
	must_create(&old);
	new.root.idbase = IDBASE + 65536;
	assert_int_equal(create_in_place(&new, &old), -EINVAL);
	has(new.e.msg, "other ids than 1879113728 to 1879179263");
	assert_null(new.handle);
	new.root.idbase = IDBASE;
	assert_int_equal(os_jail_kill(&old.ref, &old.e), 0);
	assert_int_equal(create_in_place(&new, &old), -ESRCH);
	gone(&old);
	prepare(&old);
	old.spec->ip4 = old.spec->ip6 = SHARE_INHERIT;
	must_create(&old);
	assert_int_equal(create_in_place(&new, &old), -EINVAL);
	has(new.e.msg, "has no network of its own");
	gone(&new);
	done(&old);
}

/* Both in the host's network. */
static void
t_keep_inherit(void **state)
{
	struct jail old, new;

	(void)state;
	prepare(&old);
	prepare(&new);
	old.spec->ip4 = new.spec->ip4 = SHARE_INHERIT;
	must_create(&old);
	must_create_in_place(&new, &old);
	assert_int_equal(ns_of((pid_t) new.ref.pid, "user"), ns_of((pid_t)old.ref.pid, "user"));
	assert_int_equal(ns_of((pid_t) new.ref.pid, "net"), ns_of(getpid(), "net"));
	gone(&old);
	done(&new);
}

static void
t_can_keep(void **state)
{
	struct spec_addr addr = {.family = AF_INET, .addr.s6_addr = {192, 0, 2, 1}, .prefix = 32};
	struct spec_addr other = {.family = AF_INET, .addr.s6_addr = {192, 0, 2, 2}, .prefix = 32};
	struct spec_rdr rdr = {IPPROTO_TCP, 8080, 80}, rdr2 = {IPPROTO_TCP, 8081, 80};
	char name[] = "a", host[] = "h", host2[] = "h2", eth[] = "eth0";
	const struct jailspec made = {.name = name,
				      .hostname = host,
				      .ip4 = SHARE_NEW,
				      .addrs = &addr,
				      .n_addrs = 1,
				      .rdr = &rdr,
				      .n_rdr = 1};
	struct jailspec s;

	(void)state;
#define DIFFERS(what)                                             \
	do {                                                      \
		s = made;                                         \
		what;                                             \
		assert_int_equal(os_jail_can_keep(&s, &made), 0); \
		assert_int_equal(os_jail_can_keep(&made, &s), 0); \
	} while (0)
	assert_int_equal(os_jail_can_keep(&made, &made), 1);
	DIFFERS(s.addrs = &other);
	DIFFERS(s.n_addrs = 0);
	DIFFERS(s.interface = eth);
	DIFFERS(s.ip6 = SHARE_NEW);
	DIFFERS(s.ip4 = SHARE_INHERIT);
	DIFFERS(s.rdr = &rdr2);
	DIFFERS(s.n_rdr = 0);
	DIFFERS(s.nat = true);
	DIFFERS(s.vnet = true);
	DIFFERS(s.hostname = host2);
	DIFFERS(s.jid = 7);
	DIFFERS(s.space = SPACE_IMAGE);
	DIFFERS(s.space = SPACE_DEVICE);
	DIFFERS(s.allow.routing = true);
	DIFFERS(s.limit.memory = 1 << 30);
#undef DIFFERS
	/* nothing of the network: only the jail itself is another */
	s = made;
	s.exec_timeout = 5;
	s.space = SPACE_TMPFS;
	s.allow.raw_sockets = true;
	assert_int_equal(os_jail_can_keep(&s, &made), 1);
}

/* ---- sockets of listen ---- */

static void
add_listen(struct jail *j, int proto, int port, const char *name)
{
	struct jailspec *s = j->spec;

	s->listen = xrealloc(s->listen, s->n_listen + 1, sizeof(*s->listen));
	s->listen[s->n_listen++] =
	    (struct spec_listen){.proto = proto, .port = (uint16_t)port, .name = xstrdup_null(name)};
}

static void
net_up(struct jail *j)
{
	_auto_strv struct strv warnings = STRV_INIT;

	if (os_net_up(&j->id, j->spec, &j->ref, &warnings, &j->e) < 0)
		fail_msg("%s", j->e.msg);
}

static int
listen_of(struct jail *j, const struct jail *from)
{
	return os_jail_listen(j->handle, j->spec, from ? &from->ref : NULL, from ? from->spec : NULL, &j->e);
}

/* A connection to 127.0.0.1 in the jail's network: -1 refused. */
static int
connect_in(const struct jail *j, int port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_auto_close int net = ns_fd((pid_t)j->ref.pid, "net"), own = ns_fd(getpid(), "net");
	int fd;

	assert_int_equal(setns(net, CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	assert_int_equal(errno, ECONNREFUSED);
	(void)close(fd);
	return -1;
}

/* What the first process holds at descriptor fd. */
static int
held(const struct jail *j, int fd)
{
	_auto_close int pidfd = pidfd_open((pid_t)j->ref.pid, 0);

	assert_true(pidfd >= 0);
	return pidfd_getfd(pidfd, fd, 0);
}

static void
t_listen(void **state)
{
	_auto_free char *all = NULL;
	_auto_close int fd = -EBADF;
	struct stat st;
	struct jail j;

	(void)state;
	prepare(&j);
	add_listen(&j, IPPROTO_TCP, 80, NULL);
	add_listen(&j, IPPROTO_UDP, 53, "dns");
	strv_add(&j.spec->service,
		 "sh -c 'echo $LISTEN_FDS $LISTEN_FDNAMES; [ $LISTEN_PID = $$ ] && echo mine; "
		 "ls -l /proc/self/fd 2>/dev/null | grep -c socket:; echo the-end; exec sleep 1000'");
	must_create(&j);
	net_up(&j);
	assert_int_equal(connect_in(&j, 80), -1);
	if (listen_of(&j, NULL) < 0)
		fail_msg("%s", j.e.msg);
	fd = connect_in(&j, 80);
	assert_true(fd >= 0);
	/* the jail's, not the host's root's */
	(void)close(fd);
	fd = held(&j, INIT_FD_LISTEN);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_uid, IDBASE);
	assert_int_equal(os_jail_release(j.handle, &j.e), 0);
	all = log_with("the-end\n");
	has(all, "2 unknown:dns\nmine\n2\nthe-end\n");
	done(&j);
}

static void
t_listen_refused(void **state)
{
	struct jail a, b;

	(void)state;
	prepare(&a);
	prepare(&b);
	add_listen(&a, IPPROTO_TCP, 80, NULL);
	add_listen(&b, IPPROTO_TCP, 80, NULL);
	must_create(&a);
	net_up(&a);
	must_create_in_place(&b, &a);
	assert_int_equal(listen_of(&a, NULL), 0);
	assert_int_equal(listen_of(&b, NULL), -EADDRINUSE);
	assert_string_equal(b.e.msg, "listen 'tcp 80': Address already in use");
	b.spec->listen[0].family = AF_INET;
	b.spec->listen[0].addr.s6_addr[0] = 192;
	err_clear(&b.e);
	assert_int_equal(listen_of(&b, NULL), -EADDRNOTAVAIL);
	assert_string_equal(b.e.msg, "listen 'tcp 192.0.0.0:80': Cannot assign requested address");
	gone(&a);
	done(&b);
}

/* A connection that waits in a socket of the old instance is the new one's. */
static void
t_listen_taken(void **state)
{
	_auto_close int client = -EBADF, one = -EBADF, two = -EBADF, conn = -EBADF, more = -EBADF;
	struct stat x, y;
	struct jail old, new;

	(void)state;
	prepare(&old);
	prepare(&new);
	add_listen(&old, IPPROTO_UDP, 53, NULL);
	add_listen(&old, IPPROTO_TCP, 80, NULL);
	add_listen(&new, IPPROTO_TCP, 81, NULL);
	add_listen(&new, IPPROTO_TCP, 80, "web");
	must_create(&old);
	net_up(&old);
	assert_int_equal(listen_of(&old, NULL), 0);
	client = connect_in(&old, 80);
	assert_true(client >= 0);
	must_create_in_place(&new, &old);
	if (listen_of(&new, &old) < 0)
		fail_msg("%s", new.e.msg);
	one = held(&old, INIT_FD_LISTEN + 1);
	two = held(&new, INIT_FD_LISTEN + 1);
	assert_true(one >= 0 && two >= 0);
	assert_int_equal(fstat(one, &x), 0);
	assert_int_equal(fstat(two, &y), 0);
	assert_int_equal(x.st_ino, y.st_ino);
	(void)close(TAKE_FD(one));
	gone(&old);
	conn = accept(two, NULL, NULL);
	assert_true(conn >= 0);
	assert_int_equal(write(client, "x", 1), 1);
	assert_int_equal(read(conn, &(char){0}, 1), 1);
	more = connect_in(&new, 81);
	assert_true(more >= 0);
	done(&new);
}

/* One that was shut down is not taken but made again. */
static void
t_listen_shut(void **state)
{
	_auto_close int one = -EBADF, fd = -EBADF;
	struct jail old, new;

	(void)state;
	prepare(&old);
	prepare(&new);
	add_listen(&old, IPPROTO_TCP, 80, NULL);
	add_listen(&new, IPPROTO_TCP, 80, NULL);
	must_create(&old);
	net_up(&old);
	assert_int_equal(listen_of(&old, NULL), 0);
	one = held(&old, INIT_FD_LISTEN);
	assert_int_equal(shutdown(one, SHUT_RDWR), 0);
	assert_int_equal(connect_in(&old, 80), -1);
	must_create_in_place(&new, &old);
	if (listen_of(&new, &old) < 0)
		fail_msg("%s", new.e.msg);
	fd = connect_in(&new, 80);
	assert_true(fd >= 0);
	(void)close(TAKE_FD(one));
	gone(&old);
	done(&new);
}

/* ---- mounts of the configuration ---- */

static void
t_fstab(void **state)
{
	_auto_free char *all = NULL;
	struct jail j;

	(void)state;
	prepare(&j);
	add_mount(&j, "space", "/s", "nullfs", "rw"); /* the Handbook's line: there already */
	add_mount(&j, "extra", "/s/dir", "nullfs", "ro");
	add_mount(&j, "extra/file", "/s/file", "nullfs", "rw");
	add_mount(&j, "/", "/tmp", "tmpfs", "rw,size=1m,mode=1777");
	add_mount(&j, "/", "/proc", "procfs", "rw");
	all = inside(
	    &j, "cat /s/dir/file; touch /s/dir/x; echo more >> /s/file && cat /s/file; stat -c '%u' /s/file; "
		"stat -c '%a %u' /tmp; touch /tmp/x && echo tmp ok; grep -c ' /s ' /proc/self/mountinfo; "
		"grep ' /tmp ' /proc/self/mountinfo");
	has(all, "extra\ntouch: /s/dir/x: Read-only file system\nextra\nmore\n0\n1777 0\ntmp ok\n1\n");
	has(all, "size=1024k");
	has(all, "nosuid,nodev");
	done(&j);
}

static void
refused(const char *source, const char *target, const char *type, const char *options, const char *text)
{
	struct jail j;

	prepare(&j);
	add_mount(&j, source, target, type, options);
	if (create(&j) >= 0)
		fail_msg("%s on %s was not refused", source, target);
	has(j.e.msg, text);
	has(j.e.msg, "fstab:1: ");
	assert_null(j.handle);
	done(&j);
}

static void
t_fstab_refused(void **state)
{
	(void)state;
	refused("extra", "/s/link", "nullfs", "ro", "/mnt/s/link is a symbolic link");
	refused("extra", "/s/link/dir", "nullfs", "ro", "/mnt/s/link is a symbolic link");
	refused("extra", "/s/none", "nullfs", "ro", "/mnt/s/none: No such file or directory");
	refused("extra", "/s/file", "nullfs", "ro", "not a directory");
	refused("extra/file", "/s/dir", "nullfs", "ro", "not a regular file");
	refused("extra", "/../..", "nullfs", "ro", "not an absolute pathname");
	refused("extra", "", "nullfs", "ro", "the jail's root");
	refused("extra/link", "/s/dir", "nullfs", "ro", "/extra/link is a symbolic link");
	refused("/dev/null", "/s/file", "nullfs", "ro", "only directories, files and sockets");
	refused("/dev/sda1", "/s/dir", "ext4", "rw", "not ext4");
	refused("/", "/s/dir", "sysfs", "rw", "not sysfs");
	refused("extra", "/s/dir", "nullfs", "rw,suid", "not possible in a jail: suid");
	refused("/", "/s/dir", "tmpfs", "size=lots", "not a valid value: size=lots");
}

/* ---- templates and trees that are wrong ---- */

static void
broken(const char *make, const char *undo, const char *text)
{
	struct jail j;

	sh(make);
	prepare(&j);
	if (create(&j) >= 0)
		fail_msg("%s: not refused", make);
	has(j.e.msg, text);
	done(&j);
	sh(undo);
}

static void
t_broken_template(void **state)
{
	static const char *const points[] = {"s", "proc", "dev", "run", "sys"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		const char *p = points[i];
		_auto_free char *link = xasprintf("cd %s/tpl; rmdir %s; ln -s /tmp %s", base, p, p);
		_auto_free char *file = xasprintf("cd %s/tpl; rmdir %s; : > %s", base, p, p);
		_auto_free char *none = xasprintf("cd %s/tpl; rmdir %s", base, p);
		_auto_free char *undo = xasprintf("cd %s/tpl; rm -f %s; mkdir %s", base, p, p);
		_auto_free char *link_text = xasprintf("/%s is a symbolic link", p);
		_auto_free char *file_text = xasprintf("/%s is not a directory", p);

		broken(link, undo, link_text);
		broken(file, undo, file_text);
		if (!streq(p, "sys"))
			broken(none, undo, "No such file or directory");
	}
}

static void
t_cannot_map(void **state)
{
	struct jail j;

	(void)state;
	prepare(&j);
	fd_close(j.root.space_fd);
	j.root.space_fd = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(create(&j) < 0);
	has(j.e.msg, "/proc/sys is on proc, which cannot map ids");
	done(&j);
}

/* A jail whose root is its own directory: what it lacks is not mounted. */
static void
t_own_root(void **state)
{
	_auto_free char *all = NULL, *info = NULL, *log = at_base("log");
	struct jail j;

	(void)state;
	prepare(&j);
	j.spec->root = ROOT_PATH;
	j.root.read_only = false;
	fd_close(j.root.root_fd);
	j.root.root_fd = open_dir("plain");
	fd_close(TAKE_FD(j.root.space_fd));
	strv_add(&j.spec->service, "/bin/busybox sh -c 'echo mine > /file; /bin/busybox ls /; echo the-end'");
	must_create(&j);
	info = proc_file(&j, "mountinfo");
	has_not(info, " /dev ");
	has_not(info, " /run ");
	has(info, " /proc ");
	assert_int_equal(os_jail_release(j.handle, &j.e), 0);
	all = log_with("cannot run /bin/sh: No such file or directory"); /* the tree has none */
	done(&j);
}

static void
t_root_is_host(void **state)
{
	_auto_free char *info = NULL;
	char line[2048], from[1024], point[1024], root[1024] = "";
	_auto_free char *want = NULL;
	FILE *own = fopen("/proc/self/mountinfo", "re");
	struct jail j;
	struct statfs fs;

	(void)state;
	/* the host's root may be a bind mount: then it is what the jail gets, and no more of that file system */
	assert_non_null(own);
	while (fgets(line, sizeof(line), own))
		if (sscanf(line, "%*s %*s %*s %1023s %1023s", from, point) == 2 && streq(point, "/"))
			(void)snprintf(root, sizeof(root), "%s", from);
	(void)fclose(own);
	want = xasprintf(" %s / ro,nosuid,nodev,noatime", root);
	prepare(&j);
	j.spec->root = ROOT_PATH;
	j.root.read_only = false;
	free(j.spec->path);
	j.spec->path = xstrdup("/");
	j.root.path = "/";
	fd_close(j.root.root_fd);
	j.root.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd_close(TAKE_FD(j.root.space_fd));
	assert_int_equal(fstatfs(j.root.root_fd, &fs), 0);
	if (create(&j) < 0) { /* a root of overlayfs cannot be mapped: said so */
		has(j.e.msg, "cannot map ids");
	} else {
		info = proc_file(&j, "mountinfo");
		has(info, want);
	}
	done(&j);
}

static void
t_inherit(void **state)
{
	struct stat a, b;
	struct jail j;

	(void)state;
	prepare(&j);
	j.spec->ip4 = SHARE_INHERIT;
	j.spec->host = SHARE_INHERIT;
	j.spec->sysvipc = SHARE_INHERIT;
	must_create(&j);
	for (int i = 0; i < 3; i++) {
		const char *ns = (const char *[]){"net", "uts", "ipc"}[i];
		_auto_free char *own = xasprintf("/proc/self/ns/%s", ns);
		_auto_free char *path = xasprintf("/proc/%d/ns/%s", (int)j.ref.pid, ns);

		assert_int_equal(stat(own, &a), 0);
		assert_int_equal(stat(path, &b), 0);
		assert_int_equal(a.st_ino, b.st_ino);
	}
	done(&j);
}

static void
t_long_hostname(void **state)
{
	struct jail j;

	(void)state;
	prepare(&j);
	free(j.spec->hostname);
	j.spec->hostname = xasprintf("%0100d", 1);
	assert_true(create(&j) < 0);
	has(j.e.msg, "host.hostname");
	has(j.e.msg, "at most 64");
	done(&j);
}

static void
t_no_init(void **state)
{
	const char *keep = init_path;
	struct jail j;

	(void)state;
	prepare(&j);
	init_path = "/nonexistent/brig-init";
	assert_true(create(&j) < 0);
	has(j.e.msg, "/nonexistent/brig-init (install brig again): No such file or directory");
	init_path = "/etc/passwd";
	assert_true(create(&j) < 0);
	has(j.e.msg, "start brig-init in the jail: ");
	init_path = keep;
	done(&j);
}

/* ---- jailspaces that are no directory ---- */

static int
fill(void *ctx, int src, int dst, struct err *e)
{
	_auto_free char *text = NULL;
	_auto_close int out = -EBADF;
	struct stat st;

	(void)ctx;
	/* as the jail's root: of7 belongs to 7, not to IDBASE + 7 */
	if (fstatat(src, "of7", &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid != 7)
		return err_set(e, EINVAL, "of7 belongs to %u", st.st_uid);
	if (fsx_read_at(src, "secret", 100, &text, NULL, e) < 0)
		return -e->num;
	out = openat(dst, "secret", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0 || fsx_write_all(out, text, strlen(text)) < 0 || fchown(out, 7, 8) < 0)
		return err_sys(e, errno, "copy");
	return 0;
}

static int
fill_fails(void *ctx, int src, int dst, struct err *e)
{
	(void)ctx;
	(void)src;
	(void)dst;
	return err_set(e, ENOSPC, "etc/passwd: No space left on device");
}

static void
t_space_tmpfs(void **state)
{
	_auto_free char *all = NULL;
	struct jail j;

	(void)state;
	prepare(&j);
	j.root.space_tmpfs = 3 << 20;
	j.root.fill = fill_fails;
	assert_true(create(&j) < 0);
	has(j.e.msg, "etc/passwd: No space left on device");
	j.root.fill = fill;
	all = inside(
	    &j,
	    "stat -c '%n %u:%g %a' /s/secret; cat /s/secret; stat -c '%u %a' /s; grep ' /s ' /proc/mounts; "
	    "echo x > /s/new; chown 9 /s/new && stat -c %u /s/new");
	has(all, "/s/secret 7:8 600\nsecret\n0 755\n");
	has(all, "size=3072k");
	has(all, "\n9\n");
	done(&j);
}

static void
t_space_image(void **state)
{
	_auto_free char *all = NULL, *image = at_base("image"), *make = NULL;
	struct err e = ERR_INIT;
	struct jail j;
	int dir, f;

	(void)state;
	make = xasprintf("PATH=$PATH:/sbin:/usr/sbin; truncate -s 16M %s; mkfs.ext4 -q %s", image, image);
	sh(make);
	f = open(image, O_RDWR | O_CLOEXEC);
	if (os_space_mount(f, false, &dir, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(mkdirat(dir, "etc", 0755), 0);
	(void)close(dir);
	prepare(&j);
	fd_close(j.root.space_fd);
	j.root.space_fd = f;
	all = inside(&j, "ls -A /s; echo x > /s/etc/f && echo written; stat -c %u /s/etc/f; grep ' /s ' "
			 "/proc/self/mounts");
	has(all, "etc\nlost+found\nwritten\n0\n");
	has(all, "ext4 rw,nosuid,nodev");
	done(&j);
	f = open(image, O_RDWR | O_TRUNC | O_CLOEXEC);
	assert_int_equal(ftruncate(f, 1 << 20), 0);
	e.num = 0;
	assert_true(os_space_mount(f, false, &dir, &e) < 0);
	has(e.msg, "no ext4, xfs or btrfs file system on it");
	(void)close(f);
	/* the kernel has given the loop devices back */
	for (int i = 0; i < 100; i++) {
		_auto_free char *left = xasprintf("grep -lsF %s /sys/block/loop*/loop/backing_file", image);
		char *const argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, left, NULL};
		struct buf out = BUF_INIT;
		struct child c = CHILD_INIT;
		int status;
		bool none;

		c.argv = argv;
		c.capture = &out;
		assert_int_equal(child_run(&c, &status, &e), 0);
		none = out.len == 0;
		buf_free(&out);
		if (none)
			break;
		assert_true(i < 99);
		nap(20);
	}
}

/* ---- ends ---- */

static void
t_close_unreleased(void **state)
{
	struct jail j;

	(void)state;
	prepare(&j);
	must_create(&j);
	assert_int_equal(os_jail_alive(&j.ref), 1);
	os_jail_close(TAKE_PTR(j.handle));
	assert_int_equal(os_jail_alive(&j.ref), 0);
	done(&j);
}

/* One that is stopped does not end by itself. */
static void
t_close_stopped(void **state)
{
	struct jail j;

	(void)state;
	prepare(&j);
	must_create(&j);
	assert_int_equal(kill((pid_t)j.ref.pid, SIGSTOP), 0);
	(void)alarm(20);
	os_jail_close(TAKE_PTR(j.handle));
	(void)alarm(0);
	assert_int_equal(os_jail_alive(&j.ref), 0);
	done(&j);
}

static void
t_too_many_services(void **state)
{
	struct jail j;

	(void)state;
	prepare(&j);
	for (int i = 0; i < 65; i++)
		strv_add(&j.spec->service, "sleep 1000");
	assert_int_equal(create(&j), -E2BIG);
	has(j.e.msg, "65 services");
	done(&j);
}

static void
t_term_and_pids(void **state)
{
	_auto_strv struct strv lines = STRV_INIT;
	_auto_free char *all = NULL, *text = NULL;
	struct jail j;
	size_t n = 0;

	(void)state;
	prepare(&j);
	strv_add(&j.spec->service, "sleep 4321");
	all = inside(&j, "printf 'a\\033b'");
	assert_int_equal(os_jail_pids(&j.ref, &lines, &n, &j.e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(lines.n, 3);
	text = strv_join(&lines, "\n");
	has(text, "sleep 4321");
	has(text, "brig-init -p -t 5 -m 1048576 -f /run/brig-init -- sleep 4321");
	assert_int_equal(os_jail_term(&j.ref, 5, &j.e), 1);
	assert_int_equal(os_jail_alive(&j.ref), 0);
	assert_true(os_jail_pids(&j.ref, NULL, &n, &j.e) < 0);
	assert_int_equal(os_jail_term(&j.ref, 5, &j.e), 1);
	assert_int_equal(os_jail_kill(&j.ref, &j.e), 0);
	done(&j);
}

static void
t_kill_stopped(void **state)
{
	_auto_free char *all = NULL;
	struct jail j;
	long start;

	(void)state;
	prepare(&j);
	all = inside(&j, "trap '' TERM; sh -c 'kill -STOP $$' & sleep 0.2");
	assert_int_equal(kill((pid_t)j.ref.pid, SIGSTOP), 0);
	assert_int_equal(os_jail_term(&j.ref, 0, &j.e), 0);
	start = now_us();
	assert_int_equal(os_jail_kill(&j.ref, &j.e), 0);
	assert_true(now_us() - start < 2000000);
	assert_int_equal(os_jail_alive(&j.ref), 0);
	done(&j);
}

static bool
put(const char *dir, const char *name, const char *text)
{
	_auto_free char *path = path_join(dir, name);
	_auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A process frozen by cgroup v1 does not die: it is thawed. */
static void
t_kill_frozen(void **state)
{
	_auto_free char *group = xasprintf("/sys/fs/cgroup/freezer/t_os_create.%d", getpid()), *pid = NULL;
	struct jail j;

	(void)state;
	if (mkdir(group, 0755) < 0 && errno != EEXIST) {
		print_message("needs the freezer of cgroup v1 (%s)\n", group);
		skip();
	}
	prepare(&j);
	must_create(&j);
	pid = xasprintf("%d", (int)j.ref.pid);
	assert_true(put(group, "cgroup.procs", pid));
	assert_true(put(group, "freezer.state", "FROZEN"));
	nap(50);
	assert_int_equal(os_jail_kill(&j.ref, &j.e), 0);
	assert_int_equal(os_jail_alive(&j.ref), 0);
	done(&j);
	for (int i = 0; i < 100 && rmdir(group) < 0; i++)
		nap(20); /* until its zombie is gone */
	assert_int_equal(access(group, F_OK), -1);
}

/* Another process with the jail's pid is not the jail; nor is one of an earlier boot. */
static void
t_ref(void **state)
{
	struct jail j;
	struct os_ref other;

	(void)state;
	prepare(&j);
	must_create(&j);
	other = j.ref;
	other.start++;
	assert_int_equal(os_jail_alive(&other), 0);
	assert_int_equal(os_jail_kill(&other, &j.e), 0);
	other = j.ref;
	other.boot[0] ^= 1;
	assert_int_equal(os_jail_alive(&other), 0);
	assert_int_equal(os_jail_kill(&other, &j.e), 0);
	other = j.ref;
	other.pid = 0;
	assert_int_equal(os_jail_alive(&other), 0);
	assert_int_equal(os_jail_alive(&j.ref), 1);
	done(&j);
}

/* Every process below this one has ended, within ms. */
static bool
all_gone(long ms)
{
	for (long stop = now_us() + ms * 1000; now_us() < stop; nap(2)) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return true;
	}
	return false;
}

/* kill -9 of the creator at any moment before the release leaves nothing. */
static void
t_kill_creator(void **state)
{
	_auto_free char *before = slurp("/proc/self/mountinfo"), *after = NULL;
	struct jail j;
	long took;

	(void)state;
	prepare(&j);
	took = now_us();
	must_create(&j);
	took = now_us() - took;
	os_jail_close(TAKE_PTR(j.handle));
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (int i = 0; i < 60; i++) {
		struct timespec ts = {0, took * 1000 * i / 50};
		pid_t pid = fork();

		if (pid == 0) {
			(void)create(&j);
			(void)pause();
			_exit(0);
		}
		(void)nanosleep(&ts, NULL);
		(void)kill(pid, SIGKILL);
		if (!all_gone(3000)) {
			sh("ps -ef --forest | tail -20 >&2");
			fail_msg("killed after %ld us: something is left", ts.tv_nsec / 1000);
		}
	}
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	after = slurp("/proc/self/mountinfo");
	assert_string_equal(before, after);
	j.ref.pid = 0;
	done(&j);
}

/* After the release the creator's death changes nothing. */
static void
t_outlives_creator(void **state)
{
	struct jail j;
	int p[2], status;
	pid_t pid;

	(void)state;
	prepare(&j);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid = fork();
	if (pid == 0) {
		if (create(&j) < 0 || os_jail_release(j.handle, &j.e) < 0)
			_exit(1);
		(void)!write(p[1], &j.ref, sizeof(j.ref));
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(read(p[0], &j.ref, sizeof(j.ref)), sizeof(j.ref));
	nap(200);
	assert_int_equal(os_jail_alive(&j.ref), 1);
	(void)close(p[0]);
	(void)close(p[1]);
	done(&j);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

/* ---- the test's files ---- */

static int
setup(void **state)
{
	_auto_free char *script = NULL;

	(void)state;
	memcpy(base, "/var/tmp/t_os_create.XXXXXX", sizeof("/var/tmp/t_os_create.XXXXXX"));
	if (!mkdtemp(base))
		return -1;
	script = xasprintf(
	    "cd %s; umask 022; mkdir -p tpl/bin tpl/s tpl/proc tpl/dev tpl/sys tpl/run tpl/tmp tpl/root "
	    "space/dir hosts extra mnt plain/bin plain/proc\n"
	    "cp /bin/busybox tpl/bin/; cp /bin/busybox plain/bin/\n"
	    "for a in sh ls cat stat touch echo sleep head wc grep awk readlink chown chmod mknod hostname ; "
	    "do "
	    "ln -s busybox tpl/bin/$a; done\n"
	    "echo secret > space/secret; chmod 600 space/secret; : > space/of7; chown 7:7 space/of7; "
	    ": > space/file; ln -s /tmp space/link\n"
	    "echo the names > hosts/names; echo extra > extra/file; ln -s . extra/link",
	    base);
	sh(script);
	return 0;
}

/* A test that failed leaves no jail and no broken template to the next. */
static int
each(void **state)
{
	_auto_free char *script =
	    xasprintf("for d in s proc dev run sys; do [ -L %s/tpl/$d ] || [ -f %s/tpl/$d ] && rm %s/tpl/$d; "
		      "mkdir -p %s/tpl/$d; done; "
		      "for p in $(cat /proc/%d/task/%d/children); do [ $p = $$ ] || kill -9 $p; done",
		      base, base, base, base, getpid(), getpid());

	(void)state;
	init_path = init_path_given;
	sh(script);
	while (waitpid(-1, NULL, 0) > 0)
		;
	return 0;
}

static int
teardown(void **state)
{
	_auto_free char *script = xasprintf("rm -rf %s", base);

	(void)state;
	sh(script);
	return 0;
}

static int
compare_long(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

static int
bench(int n)
{
	long *took = xcalloc((size_t)n, sizeof(*took));
	struct jail j;

	(void)setup(NULL);
	for (int i = 0; i < n; i++) {
		long start;

		prepare(&j);
		start = now_us();
		must_create(&j);
		took[i] = now_us() - start;
		done(&j);
	}
	qsort(took, (size_t)n, sizeof(*took), compare_long);
	(void)printf("os_jail_create, %d times: median %ld us, least %ld us, 95%% %ld us\n", n, took[n / 2],
		     took[0], took[n * 95 / 100]);
	free(took);
	return teardown(NULL);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(t_host_view, each),
	    cmocka_unit_test_setup(t_mounts, each),
	    cmocka_unit_test_setup(t_descriptors, each),
	    cmocka_unit_test_setup(t_limits_of_first, each),
	    cmocka_unit_test_setup(t_environment, each),
	    cmocka_unit_test_setup(t_dev, each),
	    cmocka_unit_test_setup(t_no_dev, each),
	    cmocka_unit_test_setup(t_files, each),
	    cmocka_unit_test_setup(t_proc, each),
	    cmocka_unit_test_setup(t_proc_unmasked, each),
	    cmocka_unit_test_setup(t_enemy, each),
	    cmocka_unit_test_setup(t_fstab, each),
	    cmocka_unit_test_setup(t_fstab_refused, each),
	    cmocka_unit_test_setup(t_broken_template, each),
	    cmocka_unit_test_setup(t_cannot_map, each),
	    cmocka_unit_test_setup(t_own_root, each),
	    cmocka_unit_test_setup(t_root_is_host, each),
	    cmocka_unit_test_setup(t_inherit, each),
	    cmocka_unit_test_setup(t_long_hostname, each),
	    cmocka_unit_test_setup(t_no_init, each),
	    cmocka_unit_test_setup(t_space_tmpfs, each),
	    cmocka_unit_test_setup(t_space_image, each),
	    cmocka_unit_test_setup(t_close_unreleased, each),
	    cmocka_unit_test_setup(t_close_stopped, each),
	    cmocka_unit_test_setup(t_too_many_services, each),
	    cmocka_unit_test_setup(t_term_and_pids, each),
	    cmocka_unit_test_setup(t_kill_stopped, each),
	    cmocka_unit_test_setup(t_kill_frozen, each),
	    cmocka_unit_test_setup(t_ref, each),
	    cmocka_unit_test_setup(t_kill_creator, each),
	    cmocka_unit_test_setup(t_outlives_creator, each),
	    cmocka_unit_test_setup(t_keep_namespaces, each),
	    cmocka_unit_test_setup(t_keep_runs, each),
	    cmocka_unit_test_setup(t_keep_enemy, each),
	    cmocka_unit_test_setup(t_keep_unseen, each),
	    cmocka_unit_test_setup(t_keep_creator_dies, each),
	    cmocka_unit_test_setup(t_keep_kill_creator, each),
	    cmocka_unit_test_setup(t_keep_refused, each),
	    cmocka_unit_test_setup(t_keep_inherit, each),
	    cmocka_unit_test_setup(t_can_keep, each),
	    cmocka_unit_test_setup(t_listen, each),
	    cmocka_unit_test_setup(t_listen_refused, each),
	    cmocka_unit_test_setup(t_listen_taken, each),
	    cmocka_unit_test_setup(t_listen_shut, each),
	};

	if (argc < 2)
		return 2;
	if (geteuid() != 0 || access("/bin/busybox", X_OK) != 0) {
		(void)fprintf(stderr, "needs root and /bin/busybox\n");
		return 77;
	}
	init_path = init_path_given = argv[1];
	if (argc > 2)
		return bench((int)strlen(argv[2]) * 50);
	return cmocka_run_group_tests(tests, setup, teardown);
}
