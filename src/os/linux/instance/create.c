/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making a jail.  Three processes:
 *
 *	caller		brig.  Waits for the other two; ends them after a failure.
 *	builder		a child of it, born in the jail's control group, with a mount namespace of its own
 *			that the host's user namespace owns.  Mounts, then ends.
 *	first process	the jail's PID 1; a child of the caller (CLONE_PARENT).  inside.c
 *
 * Where the new instance takes over the network of a running one (keep), a fourth process, the joiner, makes
 * the first process: birth_by_joiner().
 *
 * The order in the builder, and why:
 *  1 die with the caller; only the descriptors that are needed
 *  2 join the other control groups	the first process is born in them, before its cgroup namespace
 *  3 clone the caller's mounts		open_tree(2) can only in the namespace they are in
 *  4 mount namespace, all private	no mount made from here on propagates to the host, and none of the
 *					host's here
 *  5 first process, in new user and pid namespaces but in the builder's mount namespace; its ids
 *  6 every mount			by the host's root: to be locked (mount_namespaces(7)), a mount must
 *					be there before the mount namespace of the jail's user namespace is
 *					made; one that is made inside can be unmounted inside
 *  7 device controller, pivot_root(2)	the latter also changes the root of the first process
 *  8 let the first process go on	its unshare(CLONE_NEWNS) copies the mounts, and locks them
 *
 * Whatever fails, the processes end, and with them namespaces and mounts: there is nothing else to undo.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/mem.h"
#include "base/where.h"
#include "init/proto.h"
#include "os/linux/instance/build.h"
#include "os/linux/limits/device.h"
#include "os/linux/limits/limit.h"
#include "os/linux/instance/ref.h"
#include "os/linux/host/syscalls.h"
#include "os/linux/instance/userns.h"

struct os_jail {
	struct os_ref ref;
	pid_t pid;
	int pidfd;
	int ctl;
	bool released;
};

/* ---- the builder ---- */

static int
compare_int(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes every descriptor but these; negative ones are ignored. */
static int
keep_only(int *fds, size_t n)
{
	unsigned next = 0;

	qsort(fds, n, sizeof(*fds), compare_int);
	for (size_t i = 0; i < n; i++) {
		if (fds[i] < 0)
			continue;
		if ((unsigned)fds[i] > next && close_range(next, (unsigned)fds[i] - 1, 0) < 0)
			return -errno;
		next = (unsigned)fds[i] + 1;
	}
	return close_range(next, ~0U, 0) < 0 ? -errno : 0;
}

/* It is mounted over files in /proc to mask them, so it must be the real null device (CVE-2025-31133). */
static int
open_null(int *ret_fd, struct err *e)
{
	_auto_close int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "/dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ENODEV,
			       "/dev/null of the host is not the null device (mknod -m 666 c 1 3)");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int
builder_start(const struct os_id *id, const struct jailspec *spec, struct build *b, struct err *e)
{
	if (limit_join(id, spec, e) < 0 || mounts_take(b, id, e) < 0)
		return -e->num;
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, errno, "make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, errno, "make the mounts private");
	return open_null(&b->null_fd, e);
}

static int
report_pid(int fd, pid_t pid, pid_t joiner, struct err *e)
{
	struct report r = {.pid = pid, .joiner = joiner};

	return write(fd, &r, sizeof(r)) == sizeof(r) ? 0 : err_sys(e, errno, "report to the caller");
}

static int
birth(struct inside *in, uint32_t idbase, int go[2], pid_t *ret, struct err *e)
{
	pid_t pid = userns_birth(CLONE_NEWPID | CLONE_PARENT, idbase);

	if (pid == 0) {
		fd_close(go[1]);
		inside_main(in);
	}
	if (pid < 0)
		return err_sys(e, errno, "make a user and a pid namespace (%s)",
			       errno == EAGAIN ? "limit.pids?" : "brig doctor says what is missing");
	die_with_parent(in->ctl); /* again: userns_birth() has reset it */
	*ret = pid;
	return report_pid(in->report, pid, 0, e);
}

/* told: the writing end of a pipe to the builder.  The first process must not keep it: when the joiner is
 * killed before it has written the pid, the builder would wait for an end of file that never comes. */
static _Noreturn void
joiner_main(struct inside *in, int told)
{
	struct err e = ERR_INIT;
	pid_t pid;

	if (setns(in->keep->userns, CLONE_NEWUSER) < 0) {
		(void)err_sys(&e, errno, "join the user namespace of the jail that runs");
	} else {
		pid = sys_clone(CLONE_NEWPID | CLONE_PARENT, 0);
		if (pid == 0) {
			fd_close(told);
			inside_main(in);
		}
		if (pid < 0)
			(void)err_sys(&e, errno, "make a pid namespace%s",
				      errno == EAGAIN ? " (limit.pids?)" : "");
		else if (report_pid(in->report, pid, 0, &e) == 0) {
			if (write(told, &pid, sizeof(pid)) == sizeof(pid))
				_exit(0);
			(void)err_sys(&e, EPIPE, "report to the process that makes the jail");
		}
	}
	report_err(in->report, &e);
	_exit(1);
}

/*
 * With keep.  A pid namespace is owned by the user namespace of the process that makes it, and the builder
 * must stay in the host's.  So another process, the joiner, enters the jail's, makes the first process and
 * ends.  It is a child of the caller, so that with CLONE_PARENT the first process is one, too.
 */
static int
birth_by_joiner(struct inside *in, int go[2], pid_t *ret, struct err *e)
{
	_auto_close int hears = -EBADF;
	pid_t joiner, pid;
	int told[2];

	if (pipe2(told, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe");
	hears = told[0];
	joiner = sys_clone(CLONE_PARENT, 0);
	if (joiner == 0) {
		fd_close(go[1]);
		fd_close(told[0]);
		joiner_main(in, told[1]);
	}
	fd_close(told[1]);
	if (joiner < 0)
		return err_sys(e, errno, "new process");
	if (report_pid(in->report, 0, joiner, e) < 0)
		return -e->num;
	fd_close(TAKE_FD(go[0]));
	/* the pid in the host's namespace; end of file: the joiner has reported why, or was killed */
	if (read(hears, &pid, sizeof(pid)) != sizeof(pid))
		return err_set(e, ECHILD, "the jail's first process could not be made");
	*ret = pid;
	return 0;
}

/* 5: the first process, its ids, and the descriptors of its namespaces. */
static int
builder_clone(struct build *b, struct inside *in, int go[2], struct err *e)
{
	_auto_close int procfd = -EBADF;
	pid_t pid = 0;

	if ((in->keep ? birth_by_joiner(in, go, &pid, e) : birth(in, b->root->idbase, go, &pid, e)) < 0)
		return -e->num;
	if (proc_dir(pid, &procfd, e) < 0 || proc_ns(procfd, "user", &b->userns, e) < 0 ||
	    proc_ns(procfd, "pid", &b->pidns, e) < 0)
		return -e->num;
	return in->keep ? keep_check_ids(procfd, b->root->idbase, e) : userns_map(procfd, b->root->idbase, e);
}

static int
builder_go(int fd, struct err *e)
{
	if (send(fd, "", 1, MSG_NOSIGNAL) != 1)
		return err_sys(e, EPIPE, "the jail's first process ended while it was made");
	return 0;
}

static int
builder_steps(const struct os_id *id, struct inside *in, struct build *b, struct err *e)
{
	int go[2];

	if (builder_start(id, in->spec, b, e) < 0)
		return -e->num;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0)
		return err_sys(e, errno, "socket");
	in->go = go[0];
	in->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (builder_clone(b, in, go, e) < 0)
		return -e->num;
	fd_close(TAKE_FD(in->proc));
	fd_close(TAKE_FD(go[0]));
	if (builder_go(go[1], e) < 0 || mounts_build(b, e) < 0 ||
	    (b->group >= 0 && device_guard(b->group, e) < 0) || mounts_pivot(b, e) < 0)
		return -e->num;
	return builder_go(go[1], e);
}

static _Noreturn void
builder_main(const struct os_id *id, struct inside *in, const struct os_root *root, int group)
{
	struct build b = BUILD_INIT;
	struct err e = ERR_INIT;
	int keep[] = {in->ctl,
		      in->log,
		      in->logrw,
		      in->status,
		      in->report,
		      in->exe,
		      root->root_fd,
		      root->space_fd,
		      root->hosts_fd,
		      root->fill ? root->fill_fd : -1,
		      in->keep ? in->keep->userns : -1,
		      in->keep ? in->keep->netns : -1,
		      group,
		      2};

	/* first, because the other end of ctl is open here too: die_with_parent() needs the caller to be
	 * the only one that has it */
	if (keep_only(keep, ARRAY_LEN(keep)) < 0)
		_exit(1);
	die_with_parent(in->ctl);
	(void)umask(0);
	b.spec = in->spec;
	b.root = root;
	b.group = group;
	if (builder_steps(id, in, &b, &e) == 0)
		_exit(0);
	report_err(in->report, &e);
	_exit(1);
}

/* ---- the caller ---- */

/* Reads the reports of builder, joiner and first process until all have closed the socket: by ending, or by
 * becoming brig-init.  The first error counts: later ones follow from it. */
static int
hear(int fd, pid_t *ret_pid, struct err *e)
{
	struct report r;
	pid_t joiner = 0;
	ssize_t n;
	int failed = 0, status;

	while ((n = read(fd, &r, sizeof(r))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(r))
			return err_sys(e, n < 0 ? errno : EPROTO, "wait for the jail to be made");
		if (r.pid > 0)
			*ret_pid = r.pid;
		else if (r.joiner > 0)
			joiner = r.joiner;
		else if (!failed++)
			*e = r.e;
	}
	if (joiner > 0)
		(void)child_wait(joiner, &status);
	return failed ? -e->num : 0;
}

static int
wait_ready(int ctl, struct err *e)
{
	char c = 0;
	ssize_t n;

	while ((n = read(ctl, &c, 1)) < 0 && errno == EINTR)
		;
	if (n != 1 || c != INIT_READY)
		return err_set(e, ECHILD, "the jail's first process ended before it was ready");
	return 0;
}

static int
init_argv(const struct jailspec *spec, const struct os_init *init, struct strv *ret, struct err *e)
{
	if (spec->service.n > INIT_MAX_SERVICES)
		return err_set(e, E2BIG, "%zu services: a jail keeps at most %d", spec->service.n,
			       INIT_MAX_SERVICES);
	strv_add(ret, "brig-init");
	if (spec->persist)
		strv_add(ret, "-p");
	strv_add(ret, "-t");
	strv_addf(ret, "%d", spec->stop_timeout);
	strv_add(ret, "-m");
	strv_addf(ret, "%llu", (unsigned long long)init->log_max);
	strv_add(ret, "-f");
	strv_add(ret, INIT_FOLLOW);
	if (spec->syslog) {
		strv_add(ret, "-l");
		strv_add(ret, INIT_SYSLOG);
	}
	strv_add(ret, "--");
	strv_copy(ret, &spec->service);
	return 0;
}

/* For the services: the names of the sockets that they will be given, sd_listen_fds(3). */
static char *
listen_names(const struct jailspec *spec)
{
	struct buf b = BUF_INIT;

	if (spec->n_listen == 0)
		return NULL;
	buf_adds(&b, "LISTEN_FDNAMES=");
	for (size_t i = 0; i < spec->n_listen; i++)
		buf_addf(&b, "%s%s", i ? ":" : "", spec->listen[i].name ? spec->listen[i].name : "unknown");
	return buf_take(&b);
}

int
init_open(int *ret_fd, struct err *e)
{
	_auto_free char *path = where_libexec("brig-init");
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "%s (install brig again)", path);
	*ret_fd = fd;
	return 0;
}

/* Runs the builder.  On success j has pid and ctl; on failure the builder has ended, and os_jail_close()
 * ends a first process. */
static int
build(const struct os_id *id, struct inside *in, const struct os_root *root, struct os_jail *j, struct err *e)
{
	int ctl[2], channel[2], group = -EBADF, status = 0, r;
	pid_t builder;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ctl) < 0)
		return err_sys(e, errno, "socket");
	j->ctl = ctl[0];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0) {
		fd_close(ctl[1]);
		return err_sys(e, errno, "socket");
	}
	in->ctl = ctl[1];
	in->report = channel[1];
	builder = limit_fork(id, in->spec, &group, e);
	if (builder == 0)
		builder_main(id, in, root, group);
	fd_close(ctl[1]);
	fd_close(channel[1]);
	if (builder < 0) {
		fd_close(channel[0]);
		return builder;
	}
	r = hear(channel[0], &j->pid, e);
	fd_close(channel[0]);
	if (child_wait(builder, &status) == 0 && status != 0 && r == 0)
		r = err_set(e, ECHILD, "the process that makes the jail was ended by signal %d",
			    WTERMSIG(status));
	return r < 0 ? r : wait_ready(j->ctl, e);
}

int
os_jail_create(const struct os_new *n, struct os_ref *ret_ref, struct os_jail **ret, struct err *e)
{
	_auto_strv struct strv argv = STRV_INIT;
	_auto_free char *names = listen_names(n->spec);
	_auto_close int exe = -EBADF;
	_auto_(keep_close) struct keep k = KEEP_INIT;
	struct os_jail *j;
	struct inside in = {.spec = n->spec,
			    .log = n->init->log_fd,
			    .logrw = n->init->log_rw_fd,
			    .status = n->init->status_fd};

	if (init_argv(n->spec, n->init, &argv, e) < 0 || init_open(&exe, e) < 0)
		return -e->num;
	if (n->keep && keep_open(n->keep, n->spec, &k, e) < 0)
		return -e->num;
	in.keep = n->keep ? &k : NULL;
	in.exe = exe;
	in.argv = argv.v;
	in.names = names;
	j = xcalloc(1, sizeof(*j));
	j->ctl = j->pidfd = -EBADF;
	if (build(n->id, &in, n->root, j, e) < 0 || ref_make(j->pid, &j->ref, e) < 0) {
		os_jail_close(j);
		return -e->num;
	}
	*ret_ref = j->ref;
	*ret = j;
	return 0;
}

const struct os_ref *
jail_ref(const struct os_jail *j)
{
	return &j->ref;
}

int
jail_give(struct os_jail *j, const int *fds, size_t n, struct err *e)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(INIT_MAX_LISTEN * sizeof(int))];
	} c = {0};
	struct iovec iov = {&(char){INIT_LISTEN}, 1};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &c,
			   .msg_controllen = CMSG_SPACE(n * sizeof(int))};

	if (n == 0)
		return 0;
	if (n > INIT_MAX_LISTEN || j->released)
		return err_set(e, EINVAL, "sockets for the jail's first process");
	c.align = (struct cmsghdr){CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), fds, n * sizeof(int));
	if (sendmsg(j->ctl, &h, MSG_NOSIGNAL) != 1)
		return err_sys(e, errno, "give sockets to the jail's first process");
	return wait_ready(j->ctl, e);
}

int
os_jail_release(struct os_jail *j, struct err *e)
{
	if (j->released)
		return 0;
	if (send(j->ctl, &(char){INIT_GO}, 1, MSG_NOSIGNAL) != 1)
		return err_sys(e, errno, "the jail's first process is gone");
	j->released = true;
	fd_close(TAKE_FD(j->ctl));
	return 0;
}

void
os_jail_close(struct os_jail *j)
{
	int status;

	if (!j)
		return;
	fd_close(j->ctl);
	if (!j->released && j->pid > 0) {
		/* our child, not waited for: its pid cannot have been used again */
		(void)kill(j->pid, SIGKILL);
		(void)child_wait(j->pid, &status);
	}
	free(j);
}
