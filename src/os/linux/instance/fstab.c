/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `mount` and `mount.fstab` add to a jail, in the order of the lines.  Targets are opened below the
 * jail's root, and sources below the host's, without following any symbolic link: the jail's root may have
 * planted one (FreeBSD-SA-07:01.jail).  Every mount is nosuid and nodev.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "os/linux/instance/build.h"
#include "os/linux/instance/mnt.h"
#include "os/linux/instance/userns.h"

enum kind { KIND_BIND, KIND_TMPFS, KIND_PROVIDED };

static const struct {
	const char *name;
	enum kind kind;
} types[] = {
    {"nullfs", KIND_BIND},        {"bind", KIND_BIND},      {"none", KIND_BIND},
    {"tmpfs", KIND_TMPFS},        {"proc", KIND_PROVIDED},  {"procfs", KIND_PROVIDED},
    {"linprocfs", KIND_PROVIDED}, {"devfs", KIND_PROVIDED}, {"devtmpfs", KIND_PROVIDED},
    {"fdescfs", KIND_PROVIDED},   {"fdesc", KIND_PROVIDED}, {"devpts", KIND_PROVIDED},
};

/* Accepted and without effect: they hold for every mount of a jail, or are for mount(8) at boot. */
static const char *const idle_options[] = {"rw",      "defaults", "bind",   "nosuid", "nodev",
					   "exec",    "auto",     "noauto", "late",   "async",
					   "nocover", "nofail",   "failok"};

struct options {
	uint64_t attr;
	char size[24], inodes[24], mode[8];
	uint32_t uid, gid;
};

static int
bad(const struct spec_mount *m, struct err *e, int num, const char *text, const char *arg)
{
	return err_set(e, num, "%s: %s: %s%s", m->where ? m->where : "mount", m->target, text, arg);
}

bool
fstab_has_type(const struct jailspec *spec, const char *const *names, size_t n)
{
	for (size_t i = 0; i < spec->n_mounts; i++)
		for (size_t k = 0; k < n; k++)
			if (streq(spec->mounts[i].type, names[k]))
				return true;
	return false;
}

static int
id_option(const char *value, uint32_t *ret)
{
	uint64_t id;

	if (num_u64(value, JAIL_IDS - 1, &id) < 0)
		return -EINVAL;
	*ret = (uint32_t)id;
	return 0;
}

static int
tmpfs_option(const char *o, struct options *ret)
{
	const char *v;
	uint64_t n;
	unsigned mode;

	if ((v = str_after(o, "size="))) {
		if (num_size(v, &n) < 0)
			return -EINVAL;
		(void)snprintf(ret->size, sizeof(ret->size), "%llu", (unsigned long long)n);
		return 0;
	}
	if ((v = str_after(o, "inodes=")) || (v = str_after(o, "nr_inodes="))) {
		if (num_size(v, &n) < 0)
			return -EINVAL;
		(void)snprintf(ret->inodes, sizeof(ret->inodes), "%llu", (unsigned long long)n);
		return 0;
	}
	if ((v = str_after(o, "mode="))) {
		if (num_octal(v, 07777, &mode) < 0)
			return -EINVAL;
		(void)snprintf(ret->mode, sizeof(ret->mode), "%o", mode);
		return 0;
	}
	if ((v = str_after(o, "uid=")))
		return id_option(v, &ret->uid);
	if ((v = str_after(o, "gid=")))
		return id_option(v, &ret->gid);
	return -ENOENT;
}

static int
one_option(const char *o, enum kind kind, struct options *ret)
{
	if (streq(o, "ro"))
		ret->attr |= MOUNT_ATTR_RDONLY;
	else if (streq(o, "noexec"))
		ret->attr |= MOUNT_ATTR_NOEXEC;
	else if (streq(o, "noatime"))
		ret->attr |= MOUNT_ATTR_NOATIME;
	else if (streq(o, "nosymfollow"))
		ret->attr |= MOUNT_ATTR_NOSYMFOLLOW;
	else {
		for (size_t i = 0; i < ARRAY_LEN(idle_options); i++)
			if (streq(o, idle_options[i]))
				return 0;
		return kind == KIND_TMPFS ? tmpfs_option(o, ret) : -ENOENT;
	}
	return 0;
}

static int
parse_options(const struct spec_mount *m, enum kind kind, struct options *ret, struct err *e)
{
	_auto_free char *work = xstrdup(m->options ? m->options : "");
	char *save = NULL;

	*ret = (struct options){.attr = MNT_PLAIN, .mode = "1777"};
	for (char *o = strtok_r(work, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		int r = one_option(o, kind, ret);

		if (r == -ENOENT)
			return bad(m, e, EINVAL, "this mount option is not possible in a jail: ", o);
		if (r < 0)
			return bad(m, e, EINVAL, "not a valid value: ", o);
	}
	return 0;
}

/* Opens rel below dirfd, one component at a time, without following any link; the message names the first
 * link.  Not path_open(): a target may lie in what is mounted below the jail's root.  root: dirfd's path,
 * for messages. */
static int
open_plain(const struct spec_mount *m, int dirfd, const char *root, const char *rel, int *ret_fd,
	   struct err *e)
{
	_auto_free char *part = xstrdup(rel);
	struct stat st;
	int fd = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *save = NULL;
	size_t shown = 0;

	for (char *name = strtok_r(part, "/", &save); name && fd >= 0; name = strtok_r(NULL, "/", &save)) {
		int at = fd;

		shown = (size_t)(name - part) + strlen(name);
		if (streq(name, "..")) {
			fd_close(at);
			return bad(m, e, EINVAL, "\"..\" in ", rel);
		}
		fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			int num = errno;

			fd_close(at);
			return err_sys(e, num, "%s: %s%.*s", m->where ? m->where : "mount", root, (int)shown,
				       rel);
		}
		fd_close(at);
		if (fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
			fd_close(fd);
			return err_set(e, ELOOP, "%s: %s%.*s is a symbolic link (name the real place)",
				       m->where ? m->where : "mount", root, (int)shown, rel);
		}
	}
	if (fd < 0)
		return err_sys(e, errno, "%s", root);
	*ret_fd = fd;
	return 0;
}

/* A target is given as a path of the host, below the jail's mount point (fstab(5) as in FreeBSD's
 * Handbook). */
static int
open_target(struct build *b, const struct spec_mount *m, int *ret_fd, struct err *e)
{
	const char *root = b->root->path ? b->root->path : b->spec->path;
	_auto_free char *path = path_normal(m->target);
	_auto_free char *base = path_normal(root);
	const char *rel;

	if (!path || *path != '/')
		return bad(m, e, EINVAL, "not an absolute pathname", "");
	if (!base || !path_below(path, base))
		return bad(m, e, EINVAL, "not below the jail's path ", root);
	rel = streq(base, "/") ? path : path + strlen(base);
	if (!rel[strspn(rel, "/")])
		return bad(m, e, EBUSY, "this is the jail's root: it comes from `template` or `path`", "");
	return open_plain(m, b->tree, streq(base, "/") ? "" : base, rel, ret_fd, e);
}

static int
mount_bind(struct build *b, const struct spec_mount *m, const struct options *o, struct err *e)
{
	_auto_close int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), source = -EBADF, target = -EBADF,
			copy = -EBADF;
	_auto_free char *path = path_normal(m->source);
	struct stat from, to;

	if (host < 0)
		return err_sys(e, errno, "/");
	if (!path || *path != '/')
		return bad(m, e, EINVAL, "not an absolute pathname: ", m->source);
	if (open_plain(m, host, "", path, &source, e) < 0 || open_target(b, m, &target, e) < 0)
		return -e->num;
	if (fstat(source, &from) < 0 || fstat(target, &to) < 0)
		return bad(m, e, errno, "cannot be looked at", "");
	if (from.st_dev == to.st_dev && from.st_ino == to.st_ino)
		return 0; /* the Handbook's lines for template and jailspace: mounted already */
	if (!S_ISDIR(from.st_mode) && !S_ISREG(from.st_mode) && !S_ISSOCK(from.st_mode))
		return bad(m, e, EINVAL, "only directories, files and sockets are given to a jail, not ",
			   path);
	if (S_ISDIR(from.st_mode) && !S_ISDIR(to.st_mode))
		return bad(m, e, ENOTDIR, "not a directory", "");
	if (!S_ISDIR(from.st_mode) && !S_ISREG(to.st_mode))
		return bad(m, e, EINVAL, "not a regular file, to have a file mounted on it", "");
	if (mnt_clone(source, &copy, e) < 0 || mnt_attr_map(copy, o->attr, b->userns, source, e) < 0)
		return err_wrap(e, "%s", m->where ? m->where : "mount");
	return mnt_attach(copy, target, m->target, e);
}

static int
mount_tmpfs(struct build *b, const struct spec_mount *m, const struct options *o, struct err *e)
{
	_auto_close int target = -EBADF, fs = -EBADF;
	struct mnt_opt opts[5];
	char uid[16], gid[16];
	struct stat st;
	size_t n = 0;

	if (open_target(b, m, &target, e) < 0)
		return -e->num;
	if (fstat(target, &st) < 0 || !S_ISDIR(st.st_mode))
		return bad(m, e, ENOTDIR, "not a directory", "");
	(void)snprintf(uid, sizeof(uid), "%u", b->root->idbase + o->uid);
	(void)snprintf(gid, sizeof(gid), "%u", b->root->idbase + o->gid);
	opts[n++] = (struct mnt_opt){"uid", uid};
	opts[n++] = (struct mnt_opt){"gid", gid};
	opts[n++] = (struct mnt_opt){"mode", o->mode};
	if (o->size[0])
		opts[n++] = (struct mnt_opt){"size", o->size};
	if (o->inodes[0])
		opts[n++] = (struct mnt_opt){"nr_inodes", o->inodes};
	if (mnt_new("tmpfs", opts, n, o->attr, &fs, e) < 0)
		return err_wrap(e, "%s", m->where ? m->where : "mount");
	return mnt_attach(fs, target, m->target, e);
}

static int
mount_line(struct build *b, const struct spec_mount *m, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct options o;

		if (!streq(types[i].name, m->type))
			continue;
		if (types[i].kind == KIND_PROVIDED) /* mounted by mounts_build() */
			return 0;
		if (parse_options(m, types[i].kind, &o, e) < 0)
			return -e->num;
		return types[i].kind == KIND_TMPFS ? mount_tmpfs(b, m, &o, e) : mount_bind(b, m, &o, e);
	}
	return bad(m, e, ENOTSUP, "a jail here can have nullfs, tmpfs, procfs and devfs mounts, not ",
		   m->type);
}

int
fstab_build(struct build *b, struct err *e)
{
	for (size_t i = 0; i < b->spec->n_mounts; i++)
		if (mount_line(b, &b->spec->mounts[i], e) < 0)
			return -e->num;
	return 0;
}
