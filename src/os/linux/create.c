/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making a jail.  Three processes:
 *
 *	caller		brig.  Waits for the other two, and undoes.
 *	builder		a fork of it with a mount namespace of its own, owned by the host.  Mounts, then ends.
 *	first process	the jail's PID 1; a child of the caller (CLONE_PARENT).  inside.c
 *
 * The order in the builder, and why:
 *  1 die with the caller; only the descriptors that are needed
 *  2 join the jail's control groups	the first process is born in them, before its cgroup namespace
 *  3 copy the caller's mounts		possible only in the namespace they are in
 *  4 mount namespace, all private	nothing of what follows is seen by the host, or the other way round
 *  5 first process, in new user and pid namespaces but in the builder's mount namespace; its ids
 *  6 every mount			by the host's root: to be locked, a mount must be there before the
 *mount namespace of the jail's user namespace is made; one that is attached from inside can be undone from
 *inside 7 exchange the root			also that of the first process, which has the same
 *(pivot_root(2)) 8 let the first process go on: it takes its own copy of the mounts, and they are locked
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
#include "os/linux/build.h"
#include "os/linux/limit.h"
#include "os/linux/ref.h"
#include "os/linux/syscalls.h"
#include "os/linux/userns.h"

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

/* What masks files in /proc must be the real null device (CVE-2025-31133). */
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

/* A caller that the kernel spares from memory shortage must not hand that on. */
static void
oom_ordinary(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char c = '0';

	if (fd >= 0 && read(fd, &c, 1) == 1 && c == '-')
		(void)!pwrite(fd, "0", 1, 0);
	fd_close(fd);
}

static int
builder_start(const struct os_id *id, const struct jailspec *spec, struct build *b, struct err *e)
{
	oom_ordinary();
	if (limit_join(id, spec, e) < 0 || mounts_take(b, e) < 0)
		return -e->num;
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, errno, "make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, errno, "make the mounts private");
	return open_null(&b->null_fd, e);
}

/* 5: the first process, its ids, and the descriptors of its namespaces. */
static int
builder_clone(struct build *b, struct inside *in, int go[2], struct err *e)
{
	_auto_close int procfd = -EBADF;
	struct report r = {0, ERR_INIT};

	r.pid = sys_clone(CLONE_NEWUSER | CLONE_NEWPID | CLONE_PARENT, 0);
	if (r.pid == 0) {
		fd_close(go[1]);
		inside_main(in);
	}
	if (r.pid < 0)
		return err_sys(e, errno,
			       "make a user and a pid namespace (brig doctor says what is missing)");
	if (write(in->report, &r, sizeof(r)) != sizeof(r))
		return err_sys(e, errno, "report to the caller");
	if (proc_dir(r.pid, &procfd, e) < 0 || proc_ns(procfd, "user", &b->userns, e) < 0 ||
	    proc_ns(procfd, "pid", &b->pidns, e) < 0)
		return -e->num;
	return userns_map(procfd, b->root->idbase, e);
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
	if (builder_clone(b, in, go, e) < 0)
		return -e->num;
	fd_close(go[0]);
	if (builder_go(go[1], e) < 0 || mounts_build(b, e) < 0 || mounts_pivot(b, e) < 0)
		return -e->num;
	return builder_go(go[1], e);
}

static _Noreturn void
builder_main(const struct os_id *id, struct inside *in, const struct os_root *root)
{
	struct build b = BUILD_INIT;
	struct err e = ERR_INIT;
	int keep[] = {in->ctl, in->log,       in->logrw,      in->status,     in->report,
		      in->exe, root->root_fd, root->space_fd, root->hosts_fd, root->fill ? root->fill_fd : -1,
		      2};

	/* the socket's other end is still open here too, so it is closed first: then only the caller has it
	 */
	if (keep_only(keep, ARRAY_LEN(keep)) < 0)
		_exit(1);
	die_with_parent(in->ctl);
	(void)umask(0);
	b.spec = in->spec;
	b.root = root;
	if (builder_steps(id, in, &b, &e) == 0)
		_exit(0);
	report_err(in->report, &e);
	_exit(1);
}

/* ---- the caller ---- */

/* Takes what builder and first process have to say until both have let go of the channel: one has ended, the
 * other has become brig-init, or both have ended.  The first error counts: later ones follow from it. */
static int
hear(int fd, pid_t *ret_pid, struct err *e)
{
	struct report r;
	ssize_t n;
	int failed = 0;

	while ((n = read(fd, &r, sizeof(r))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(r))
			return err_sys(e, n < 0 ? errno : EPROTO, "wait for the jail to be made");
		if (r.pid > 0)
			*ret_pid = r.pid;
		else if (!failed++)
			*e = r.e;
	}
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
	strv_add(ret, "--");
	strv_copy(ret, &spec->service);
	return 0;
}

static int
open_init(int *ret_fd, struct err *e)
{
	_auto_free char *path = where_libexec("brig-init");
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "%s (install brig again)", path);
	*ret_fd = fd;
	return 0;
}

/* Runs the builder.  On success j has pid, pidfd and ctl; on failure both processes are gone. */
static int
build(const struct os_id *id, struct inside *in, const struct os_root *root, struct os_jail *j, struct err *e)
{
	int ctl[2], channel[2], status = 0, r;
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
	builder = fork();
	if (builder == 0)
		builder_main(id, in, root);
	fd_close(ctl[1]);
	fd_close(channel[1]);
	if (builder < 0) {
		fd_close(channel[0]);
		return err_sys(e, errno, "fork");
	}
	r = hear(channel[0], &j->pid, e);
	fd_close(channel[0]);
	if (child_wait(builder, &status) == 0 && status != 0 && r == 0)
		r = err_set(e, ECHILD, "the process that makes the jail was ended by signal %d",
			    WTERMSIG(status));
	return r < 0 ? r : wait_ready(j->ctl, e);
}

int
os_jail_create(const struct os_id *id, const struct jailspec *spec, const struct os_root *root,
	       const struct os_init *init, struct os_ref *ret_ref, struct os_jail **ret, struct err *e)
{
	_auto_strv struct strv argv = STRV_INIT;
	_auto_close int exe = -EBADF;
	struct os_jail *j;
	struct inside in = {
	    .spec = spec, .log = init->log_fd, .logrw = init->log_rw_fd, .status = init->status_fd};

	if (init_argv(spec, init, &argv, e) < 0 || open_init(&exe, e) < 0)
		return -e->num;
	in.exe = exe;
	in.argv = argv.v;
	j = xcalloc(1, sizeof(*j));
	j->ctl = j->pidfd = -EBADF;
	if (build(id, &in, root, j, e) < 0 || ref_make(j->pid, &j->ref, e) < 0) {
		os_jail_close(j);
		return -e->num;
	}
	*ret_ref = j->ref;
	*ret = j;
	return 0;
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
		/* our child, not waited for yet: the pid is its own */
		(void)kill(j->pid, SIGKILL);
		(void)child_wait(j->pid, &status);
	}
	free(j);
}
