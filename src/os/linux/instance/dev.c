/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "/dev": a fixed list on a tmpfs of 64 KiB that is read-only once it is filled, as devfs ruleset 4 shows it:
 * null zero full random urandom tty, a pty system of the jail's own, shm, fd, the standard streams, and
 * nothing else.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/mem.h"
#include "init/proto.h"
#include "os/linux/instance/build.h"
#include "os/linux/instance/mnt.h"

#define TTY_GID 5
#define PTY_MAX "64"

static const struct {
	const char *name;
	unsigned major, minor;
} nodes[] = {
    {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

/* mount.fdescfs */
static const struct {
	const char *name, *to;
} links[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "fd/0"},
    {"stdout", "fd/1"},
    {"stderr", "fd/2"},
};

/*
 * The socket of syslog(3) is in /run, since a daemon of the jail cannot bind in a read-only /dev.  Its path
 * is systemd's, which rsyslogd and others know; busybox's syslogd follows the link, and the jail's rc gives
 * the path to those that do not.
 */
#define LOG_LINK "log"

static int
dev_fill(int dev, uint32_t idbase, bool fd_link, struct err *e)
{
	/* the builder's umask is 0 */
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		const char *name = nodes[i].name;

		if (mknodat(dev, name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0 ||
		    fchownat(dev, name, idbase, idbase, 0) < 0)
			return err_sys(e, errno, "make /dev/%s", name);
	}
	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0)
		return err_sys(e, errno, "make /dev/pts and /dev/shm");
	if (symlinkat("pts/ptmx", dev, "ptmx") < 0)
		return err_sys(e, errno, "make /dev/ptmx");
	if (symlinkat(INIT_SYSLOG, dev, LOG_LINK) < 0)
		return err_sys(e, errno, "make /dev/log");
	for (size_t i = 0; fd_link && i < ARRAY_LEN(links); i++)
		if (symlinkat(links[i].to, dev, links[i].name) < 0)
			return err_sys(e, errno, "make /dev/%s", links[i].name);
	return 0;
}

/* A file system of its own below /dev. */
struct sub {
	const char *name, *type;
	const struct mnt_opt *opts;
	size_t n_opts;
	uint64_t attr;
};

static int
dev_sub(int dev, const struct sub *s, struct err *e)
{
	_auto_close int fs = -EBADF, target = -EBADF;

	if (mnt_new(s->type, s->opts, s->n_opts, s->attr, &fs, e) < 0 ||
	    mnt_point(dev, s->name, false, &target, e) < 0)
		return -e->num;
	return mnt_attach(fs, target, s->name, e);
}

int
dev_build(struct build *b, bool fd_link, struct err *e)
{
	_auto_close int target = -EBADF, dev = -EBADF;
	char id[16], tty[16];
	const struct mnt_opt dev_opts[] = {
	    {"mode", "755"}, {"size", "64k"}, {"nr_inodes", "32"}, {"uid", id}, {"gid", id}};
	const struct mnt_opt shm_opts[] = {
	    {"mode", "1777"}, {"size", "64m"}, {"nr_inodes", "8k"}, {"uid", id}, {"gid", id}};
	/* every devpts mount is an instance of its own (Linux 4.7) */
	const struct mnt_opt pts_opts[] = {
	    {"gid", tty}, {"mode", "620"}, {"ptmxmode", "666"}, {"max", PTY_MAX}};
	uint64_t no_exec = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
	const struct sub pts = {"pts", "devpts", pts_opts, ARRAY_LEN(pts_opts), no_exec};
	const struct sub shm = {"shm", "tmpfs", shm_opts, ARRAY_LEN(shm_opts), MNT_PLAIN | MOUNT_ATTR_NOEXEC};

	(void)snprintf(id, sizeof(id), "%u", b->root->idbase);
	(void)snprintf(tty, sizeof(tty), "%u", b->root->idbase + TTY_GID);
	if (mnt_point(b->tree, "dev", b->spec->root == ROOT_PATH, &target, e) < 0)
		return -e->num;
	if (target < 0)
		return 0;
	if (mnt_new("tmpfs", dev_opts, ARRAY_LEN(dev_opts), no_exec, &dev, e) < 0 ||
	    dev_fill(dev, b->root->idbase, fd_link, e) < 0)
		return -e->num;
	if (mnt_attr(dev, no_exec | MOUNT_ATTR_RDONLY, e) < 0 || mnt_attach(dev, target, "/dev", e) < 0)
		return -e->num;
	if (dev_sub(dev, &pts, e) < 0)
		return -e->num;
	return dev_sub(dev, &shm, e);
}
