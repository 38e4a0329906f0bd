/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What listens in a jail: sockets of its network by sock_diag(7), and whose they are by the descriptors of its processes
 * (proc_pid_fd(5)).  Both are lists that the jail can make as long as it likes: they are read up to a bound.
 */
#include <dirent.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <limits.h>
#include <sched.h>

#include "base/fsx.h"
#include "base/num.h"
#include "os/linux/instance/ref.h"
#include "os/linux/instance/userns.h"
#include "os/linux/network/diag.h"
#include "os/linux/network/net.h"
#include "os/watch.h"

#define STATUS_MAX 65536
#define FDS_MAX 65536 /* descriptors that are looked at */

/* ---- whose? ---- */

struct process {
	int pid, parent; /* as the host counts */
	int own;         /* as the jail counts */
	int procfd;
	bool holds;
};
struct processes {
	struct process *v;
	size_t n, cap;
};

static void
processes_free(struct processes *p)
{
	for (size_t i = 0; i < p->n; i++)
		fd_close(p->v[i].procfd);
	free(p->v);
}

/* A number of /proc/PID/status: "PPid:\t1", or the last of "NSpid:\t4711\t2".  0: there is none. */
static int
status_number(const char *text, const char *name)
{
	_auto_free char *begin = xasprintf("\n%s:\t", name);
	const char *line = strstr(text, begin), *last;
	_auto_free char *numbers = NULL;
	int n;

	if (!line)
		return 0;
	line += strlen(begin);
	numbers = xstrndup(line, strcspn(line, "\n"));
	last = strrchr(numbers, '\t');
	return num_int(last ? last + 1 : numbers, 0, INT_MAX, &n) < 0 ? 0 : n;
}

static void
add_process(void *ctx, int procfd, int pid)
{
	struct processes *p = ctx;
	_auto_close int fd = openat(procfd, "status", O_RDONLY | O_CLOEXEC);
	_auto_free char *text = NULL;
	int keep;

	if (fd < 0 || fsx_read_fd(fd, STATUS_MAX, &text, NULL) < 0)
		return; /* it has ended */
	keep = fcntl(procfd, F_DUPFD_CLOEXEC, 0);
	GROW(p->v, p->n, p->cap);
	p->v[p->n++] = (struct process){.pid = pid,
					.parent = status_number(text, "PPid"),
					.own = status_number(text, "NSpid"),
					.procfd = keep};
}

static bool
is_holder(const struct os_pids *holders, int own)
{
	for (size_t i = 0; holders && i < holders->n; i++)
		if (holders->v[i] == own)
			return true;
	return !holders;
}

/* Marks the holders and what descends from them. */
static void
mark_holders(struct processes *p, const struct os_pids *holders)
{
	bool more = true;

	for (size_t i = 0; i < p->n; i++)
		p->v[i].holds = is_holder(holders, p->v[i].own);
	while (more) {
		more = false;
		for (size_t i = 0; i < p->n; i++)
			for (size_t k = 0; k < p->n && !p->v[i].holds; k++)
				if (p->v[k].holds && p->v[k].pid == p->v[i].parent)
					p->v[i].holds = more = true;
	}
}

struct inodes {
	uint64_t *v;
	size_t n, cap;
};

/* "socket:[4711]" */
static void
add_inode(int dir, const char *name, struct inodes *ret)
{
	char link[64];
	ssize_t len = readlinkat(dir, name, link, sizeof(link) - 1);
	const char *number;
	uint64_t inode;

	link[len > 0 ? len : 0] = '\0';
	number = str_after(link, "socket:[");
	if (!number)
		return;
	link[len - 1] = '\0';
	if (num_u64(number, UINT64_MAX, &inode) < 0)
		return;
	GROW(ret->v, ret->n, ret->cap);
	ret->v[ret->n++] = inode;
}

static void
sockets_of(int procfd, size_t *left, struct inodes *ret)
{
	int fd = openat(procfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_auto_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d)
		fd_close(fd);
	for (; d && *left > 0 && (de = readdir(d)); (*left)--)
		add_inode(dirfd(d), de->d_name, ret);
}

/* ---- the sockets ---- */

struct listing {
	const struct inodes *held; /* NULL: whoever holds them */
	struct os_sockets *ret;
};

static void
add_socket(void *ctx, int proto, const struct inet_diag_msg *m)
{
	const struct listing *l = ctx;
	const struct os_socket one = {proto, ntohs(m->id.idiag_sport)};
	bool held = !l->held;

	for (size_t i = 0; !held && i < l->held->n; i++)
		held = l->held->v[i] == m->idiag_inode;
	if (held && !diag_is_chosen(one.port) && l->ret->n < OS_SOCKETS_MAX && !os_sockets_have(l->ret, &one))
		l->ret->v[l->ret->n++] = one;
}

/* A socket for questions about the jail's network, which is joined for a moment. */
static int
open_diag(int procfd, int *ret, struct err *e)
{
	_auto_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), netns = -EBADF;
	int r;

	if (own < 0)
		return err_sys(e, errno, "/proc/self/ns/net");
	if (proc_ns(procfd, "net", &netns, e) < 0)
		return -e->num;
	if (setns(netns, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "join the jail's network");
	r = nl_open(NETLINK_SOCK_DIAG, ret, e);
	if (setns(own, CLONE_NEWNET) < 0)
		abort(); /* whatever came next would be done in the jail's network */
	return r;
}

int
os_jail_sockets(const struct os_ref *ref, const struct jailspec *spec, const struct os_pids *holders,
		struct os_sockets *ret, struct err *e)
{
	_auto_(processes_free) struct processes all = {0};
	_auto_close int procfd = -EBADF, diag = -EBADF;
	struct inodes held = {0};
	struct listing l = {holders || net_shared(spec) ? &held : NULL, ret};
	size_t left = FDS_MAX;
	int r = ref_open(ref, &procfd);

	ret->n = 0;
	if (r < 0)
		return ref_error(r, e);
	if (l.held) {
		if (ref_each_process(ref, add_process, &all, e) < 0)
			return -e->num;
		mark_holders(&all, holders);
		for (size_t i = 0; i < all.n; i++)
			if (all.v[i].holds)
				sockets_of(all.v[i].procfd, &left, &held);
	}
	r = open_diag(procfd, &diag, e);
	if (r == 0)
		r = diag_each(diag, add_socket, &l, e);
	free(held.v);
	if (r == -ENOENT || r == -EPROTONOSUPPORT) { /* a kernel without these parts of sock_diag(7) */
		err_clear(e);
		return 0;
	}
	return r;
}
