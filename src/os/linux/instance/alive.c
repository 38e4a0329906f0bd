/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding a running jail again, looking at it, ending it.
 * Facts: proc_pid_stat(5), pidfd_open(2), pid_namespaces(7).  When the first process (PID 1 of the pid
 * namespace) ends, it becomes a zombie only after the kernel has killed and reaped every other process of the
 * namespace, so a pidfd that polls readable means that the whole jail is gone.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/num.h"
#include "init/proto.h"
#include "os/host.h"
#include "os/linux/instance/ref.h"

#define KILL_WAIT_S 30
#define DRAIN_TRIES 1000 /* a quarter of a second */
#define DRAIN_PAUSE_NS 250000
#define THAW_AFTER_MS 200

int
os_boot_id(char buf[40], struct err *e)
{
	static char boot[40];
	int fd;
	ssize_t n;

	if (!boot[0]) {
		fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, errno, "/proc/sys/kernel/random/boot_id");
		n = read(fd, boot, sizeof(boot) - 1);
		fd_close(fd);
		if (n < 0)
			n = 0;
		boot[n] = '\0';
		boot[strcspn(boot, "\n")] = '\0';
		if (strlen(boot) != 36) {
			boot[0] = '\0';
			return err_set(e, EIO, "/proc/sys/kernel/random/boot_id is not an id");
		}
	}
	memcpy(buf, boot, sizeof(boot));
	return 0;
}

/* State (field 3) and start time (field 22) of /proc/PID/stat.  The command in field 2 may hold anything. */
static int
parse_stat(char *text, char *ret_state, uint64_t *ret_start)
{
	char *p = strrchr(text, ')');

	if (!p || p[1] != ' ' || !p[2])
		return -EIO;
	*ret_state = p[2];
	p += 2;
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EIO;
		p++;
	}
	p[strcspn(p, " ")] = '\0';
	return num_u64(p, UINT64_MAX, ret_start);
}

static int
read_stat(int dirfd, const char *name, char *ret_state, uint64_t *ret_start)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	fd_close(fd);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	text[n] = '\0';
	return parse_stat(text, ret_state, ret_start);
}

static int
ns_inode(int dirfd, const char *name, uint64_t *ret)
{
	char link[64];
	ssize_t n = readlinkat(dirfd, name, link, sizeof(link) - 1);
	char *p;

	if (n < 0)
		return -errno;
	link[n] = '\0';
	p = strchr(link, '[');
	if (!p || link[n - 1] != ']')
		return -EIO;
	link[n - 1] = '\0';
	return num_u64(p + 1, UINT64_MAX, ret);
}

int
ref_make(pid_t pid, struct os_ref *ret, struct err *e)
{
	struct os_ref ref = {.pid = pid};
	char path[48], state;
	int r;

	if (os_boot_id(ref.boot, e) < 0)
		return -e->num;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	r = read_stat(AT_FDCWD, path, &state, &ref.start);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	if (r == 0)
		r = ns_inode(AT_FDCWD, path, &ref.ns);
	if (r < 0)
		return err_sys(e, -r, "%s", path);
	*ret = ref;
	return 0;
}

/* Is the jail one of this boot?  1, 0, or -errno when that cannot be found out. */
static int
same_boot(const struct os_ref *ref)
{
	struct err e = ERR_INIT;
	char boot[40];

	if (ref->pid <= 0 || ref->pid > INT_MAX)
		return 0;
	return os_boot_id(boot, &e) < 0 ? -e.num : streq(boot, ref->boot);
}

/* Is the process of this stat file the one of ref, and not a zombie?  1, 0, or -errno: that it could not
 * be read (no descriptors, no memory) does not mean that it is gone. */
static int
is_it(int dirfd, const char *name, const struct os_ref *ref)
{
	uint64_t start;
	char state;
	int r = read_stat(dirfd, name, &state, &start);

	if (r == -ENOENT || r == -ESRCH)
		return 0;
	return r < 0 ? r : start == ref->start && state != 'Z' && state != 'X';
}

int
os_jail_alive(const struct os_ref *ref)
{
	char path[48];
	int r = same_boot(ref);

	if (r <= 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)ref->pid);
	return is_it(AT_FDCWD, path, ref);
}

int
ref_open(const struct os_ref *ref, int *ret_procfd)
{
	_auto_close int fd = -EBADF;
	char path[32];
	int r = same_boot(ref);

	if (r <= 0)
		return r < 0 ? r : -ESRCH;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)ref->pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = is_it(fd, "stat", ref);
	if (r <= 0)
		return r < 0 ? r : -ESRCH;
	*ret_procfd = TAKE_FD(fd);
	return 0;
}

int
ref_pidfd(const struct os_ref *ref, int *ret_pidfd)
{
	_auto_close int fd = -EBADF;
	int r = same_boot(ref);

	if (r <= 0)
		return r < 0 ? r : -ESRCH;
	fd = pidfd_open((pid_t)ref->pid, 0);
	if (fd < 0)
		return -errno;
	/* checked after the pidfd was opened: a process that is the jail's now has had its pid all the
	 * time */
	r = os_jail_alive(ref);
	if (r <= 0)
		return r < 0 ? r : -ESRCH;
	*ret_pidfd = TAKE_FD(fd);
	return 0;
}

int
ref_error(int r, struct err *e)
{
	return r == -ESRCH ? err_set(e, ESRCH, "the jail is not running any more")
			   : err_sys(e, -r, "find the jail's first process");
}

int
os_jail_output(const struct os_ref *ref, int *ret_fd, struct err *e)
{
	_auto_close int procfd = -EBADF, fd = -EBADF;
	char name[16];
	struct stat st;
	int r = ref_open(ref, &procfd);

	(void)snprintf(name, sizeof(name), "fd/%d", INIT_FD_COMMANDS);
	if (r < 0)
		return ref_error(r, e);
	/* a magic link of our own first process: its pipe, opened once more */
	fd = openat(procfd, name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(e, errno, "output of the jail's commands");
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return err_set(e, ENOENT, "output of the jail's commands: not a pipe");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void
os_jail_output_drain(int fd)
{
	int left;

	for (int i = 0; i < DRAIN_TRIES && ioctl(fd, FIONREAD, &left) == 0 && left > 0; i++)
		(void)nanosleep(&(struct timespec){0, DRAIN_PAUSE_NS}, NULL);
}

/* 1 gone, 0 not within ms. */
static int
wait_gone(const struct os_ref *ref, int pidfd, long ms)
{
	long deadline = clock_ms() + ms;
	struct pollfd p = {pidfd, POLLIN, 0};

	for (;;) {
		long left = deadline - clock_ms();
		int n = poll(&p, 1, left > 0 ? (int)(left > INT_MAX ? INT_MAX : left) : 0);

		if (n > 0) {
			/* a child of ours if this command also created the jail: reap it */
			(void)waitpid((pid_t)ref->pid, NULL, WNOHANG);
			return 1;
		}
		if (n == 0 && left <= 0)
			return 0;
	}
}

int
os_jail_term(const struct os_ref *ref, int timeout_s, struct err *e)
{
	_auto_close int pidfd = -EBADF;
	int r = ref_pidfd(ref, &pidfd);

	if (r < 0)
		return r == -ESRCH ? 1 : ref_error(r, e);
	if (pidfd_send_signal(pidfd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
		return err_sys(e, errno, "signal the jail's first process");
	return wait_gone(ref, pidfd, timeout_s * 1000L);
}

/* A process in a frozen group of the freezer hierarchy (version 1) does not even die of SIGKILL; in one of
 * version 2 it does. */
static void
thaw(int procfd)
{
	_auto_free char *text = NULL, *path = NULL;
	_auto_close int fd = openat(procfd, "cgroup", O_RDONLY | O_CLOEXEC), state = -EBADF;
	char *p;

	if (fd < 0 || fsx_read_fd(fd, 65536, &text, NULL) < 0)
		return;
	p = strstr(text, ":freezer:/");
	if (!p)
		return;
	p += strlen(":freezer:");
	p[strcspn(p, "\n")] = '\0';
	if (streq(p, "/"))
		return;
	path = xasprintf("/sys/fs/cgroup/freezer%s/freezer.state", p);
	state = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	(void)!write(state, "THAWED", 6);
}

int
ref_each_process(const struct os_ref *ref, void (*each)(void *ctx, int procfd, int pid), void *ctx, struct err *e)
{
	_auto_closedir DIR *d = opendir("/proc");
	struct dirent *de;

	if (!d)
		return err_sys(e, errno, "/proc");
	while ((de = readdir(d))) {
		_auto_close int procfd = -EBADF;
		char link[NAME_MAX + 8];
		uint64_t inode;
		int pid;

		if (num_int(de->d_name, 1, INT_MAX, &pid) < 0)
			continue;
		(void)snprintf(link, sizeof(link), "%s/ns/pid", de->d_name);
		if (ns_inode(dirfd(d), link, &inode) < 0 || inode != ref->ns)
			continue;
		procfd = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (procfd >= 0)
			each(ctx, procfd, pid);
	}
	return 0;
}

static void
thaw_one(void *ctx, int procfd, int pid)
{
	(void)ctx;
	(void)pid;
	thaw(procfd);
}

int
os_jail_kill(const struct os_ref *ref, struct err *e)
{
	_auto_close int pidfd = -EBADF;
	int r = ref_pidfd(ref, &pidfd);

	if (r < 0)
		return r == -ESRCH ? 0 : ref_error(r, e);
	if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return err_sys(e, errno, "kill the jail's first process");
	if (wait_gone(ref, pidfd, THAW_AFTER_MS))
		return 0;
	if (ref_each_process(ref, thaw_one, NULL, e) < 0)
		return -e->num;
	if (wait_gone(ref, pidfd, KILL_WAIT_S * 1000L))
		return 0;
	return err_set(e, EBUSY,
		       "pid %d was killed and does not end (does a process of the jail wait for a device?)",
		       (int)ref->pid);
}

int
os_jail_root(const struct os_ref *ref, dev_t *ret_dev, ino_t *ret_ino, struct err *e)
{
	_auto_close int procfd = -EBADF;
	struct stat st;
	int r = ref_open(ref, &procfd);

	/* a magic link of this very process, not a path in the jail; an ending process has no root any
	 * more */
	if (r == 0 && fstatat(procfd, "root", &st, 0) < 0)
		r = errno == ENOENT || errno == ESRCH ? -ESRCH : -errno;
	if (r < 0)
		return ref_error(r, e);
	*ret_dev = st.st_dev;
	*ret_ino = st.st_ino;
	return 0;
}

struct pids {
	struct strv *lines;
	size_t n;
};

static void
pid_line(void *ctx, int procfd, int pid)
{
	struct pids *p = ctx;
	_auto_free char *text = NULL, *shown = NULL;
	_auto_close int fd = -EBADF;
	size_t len = 0;

	p->n++;
	if (!p->lines)
		return;
	fd = openat(procfd, "cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsx_read_fd(fd, 131072, &text, &len) < 0 || len == 0) {
		fd_close(TAKE_FD(fd));
		free(text);
		text = NULL;
		fd = openat(procfd, "comm", O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fsx_read_fd(fd, 64, &text, &len) < 0)
			return;
		text[strcspn(text, "\n")] = '\0';
		len = strlen(text);
	}
	for (size_t i = 0; i + 1 < len; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	shown = text_printable(text, 200);
	strv_addf(p->lines, "%d %s", pid, shown);
}

int
os_jail_pids(const struct os_ref *ref, struct strv *ret_lines, size_t *ret_n, struct err *e)
{
	struct pids p = {ret_lines, 0};
	int r = os_jail_alive(ref);

	if (r <= 0)
		return ref_error(r < 0 ? r : -ESRCH, e);
	if (ref_each_process(ref, pid_line, &p, e) < 0)
		return -e->num;
	if (ret_n)
		*ret_n = p.n;
	return 0;
}
