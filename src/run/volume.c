/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "os/space.h"
#include "run/volume.h"

/* A device is blank when nothing is where file systems, volume managers and partition tables leave their
 * marks: 72 KiB at the beginning (btrfs has its superblock at 64 KiB), 1 MiB at the end (RAID, ZFS, GPT). */
#define BLANK_HEAD (72 << 10)
#define BLANK_TAIL (1 << 20)

static int
all_zero(int fd, off_t at, off_t end)
{
	char chunk[4096];

	while (at < end) {
		size_t want = end - at < (off_t)sizeof(chunk) ? (size_t)(end - at) : sizeof(chunk);
		ssize_t n = pread(fd, chunk, want, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		for (ssize_t i = 0; i < n; i++)
			if (chunk[i])
				return 0;
		at += n;
	}
	return 1;
}

static int
is_blank(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	int r;

	if (size < 0)
		return -errno;
	r = all_zero(fd, 0, size < BLANK_HEAD ? size : BLANK_HEAD);
	if (r == 1 && size > BLANK_TAIL)
		r = all_zero(fd, size - BLANK_TAIL, size);
	return r;
}

/* Opens the file or device; *ret_fd -EBADF when it does not exist.  O_EXCL on a device: -EBUSY while it is
 * mounted or part of something else (open(2)). */
static int
open_volume(const struct jailspec *spec, int flags, int *ret_fd, struct err *e)
{
	const char *path = spec->space_arg;
	bool device = spec->space == SPACE_DEVICE;
	struct stat st;
	int fd;

	if (!path || *path != '/')
		return err_set(e, EINVAL, "space: not an absolute path");
	if (!device && path_trusted(path, e) < 0)
		return err_wrap(e, "space image");
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | (device ? flags : O_NOFOLLOW));
	*ret_fd = -EBADF;
	if (fd < 0 && errno == ENOENT && !device)
		return 0;
	if (fd < 0 && errno == EBUSY)
		return err_set(e, EBUSY, "%s: is mounted or in use", path);
	if (fd < 0)
		return err_sys(e, errno, "space %s", path);
	if (fstat(fd, &st) < 0 || (device ? !S_ISBLK(st.st_mode) : !S_ISREG(st.st_mode))) {
		fd_close(fd);
		return err_set(e, EINVAL, "space %s: is not a %s", path,
			       device ? "block device" : "regular file");
	}
	*ret_fd = fd;
	return 0;
}

static int
mount_volume(const struct jailspec *spec, int *ret_dir, struct err *e)
{
	_auto_close int fd = -EBADF;
	int r = open_volume(spec, 0, &fd, e);

	if (r < 0)
		return r;
	if (fd < 0)
		return err_set(e, ENOENT, "space %s: does not exist", spec->space_arg);
	r = os_space_mount(fd, false, ret_dir, e);
	return r < 0 ? err_wrap(e, "space %s", spec->space_arg) : 0;
}

int
volume_exists(const struct jailspec *spec, struct err *e)
{
	_auto_close int fd = -EBADF, dir = -EBADF;
	int r = open_volume(spec, O_EXCL, &fd, e);

	if (r < 0 || fd < 0)
		return r;
	if (spec->space == SPACE_DEVICE) {
		r = is_blank(fd);
		if (r < 0)
			return err_sys(e, -r, "read %s", spec->space_arg);
		if (r == 1)
			return 0;
	}
	fd_close(TAKE_FD(fd));
	r = mount_volume(spec, &dir, e);
	if (r == 0)
		r = space_is_whole(dir, e);
	return r < 0 && r == -EEXIST ? err_wrap(e, "space %s", spec->space_arg) : r;
}

/* Makes the image under a temporary name: FILE always has a file system in it. */
static int
make_image(const struct jailspec *spec, struct err *e)
{
	_auto_free char *dir = xstrdup(spec->space_arg), *prefix = xasprintf(".new.%s", spec->name);
	_auto_close int at = -EBADF, fd = -EBADF;
	char *name = strrchr(dir, '/'), tmp[NAME_MAX_LEN + 32];
	int r = 0;

	if (spec->space_size == 0)
		return err_set(e, EINVAL, "space image:%s needs space.size", spec->space_arg);
	*name++ = '\0';
	at = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return err_sys(e, errno, "space %s", spec->space_arg);
	r = space_tidy_at(at, spec->name, e);
	if (r < 0)
		return r;
	fsx_temp_name(tmp, sizeof(tmp), prefix);
	fd = openat(at, tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "create the image %s", spec->space_arg);
	if (ftruncate(fd, (off_t)spec->space_size) < 0)
		r = err_sys(e, errno, "create the image %s", spec->space_arg);
	if (r == 0)
		r = os_space_format(fd, e);
	if (r == 0 && fsync(fd) < 0)
		r = err_sys(e, errno, "write the image %s", spec->space_arg);
	if (r == 0 && linkat(at, tmp, at, name, 0) < 0) /* linkat: an existing file is never replaced */
		r = err_sys(e, errno, "put the image %s in place", spec->space_arg);
	(void)unlinkat(at, tmp, 0);
	return r < 0 ? r : fsx_sync_dir(at, name, e);
}

/* 1: it was made here. */
static int
prepare(const struct jailspec *spec, struct err *e)
{
	_auto_close int fd = -EBADF;
	int r = open_volume(spec, O_EXCL, &fd, e);

	if (r < 0)
		return r;
	if (spec->space == SPACE_IMAGE) {
		r = fd >= 0 ? 0 : make_image(spec, e);
		return r < 0 ? r : fd < 0;
	}
	r = is_blank(fd);
	if (r < 0)
		return err_sys(e, -r, "read %s", spec->space_arg);
	if (r == 0)
		return 0;
	fd_close(TAKE_FD(fd)); /* closed before: mkfs opens it exclusively */
	if (open_volume(spec, 0, &fd, e) < 0 || os_space_format(fd, e) < 0)
		return -e->num;
	return 0;
}

int
volume_create(const struct jailspec *spec, const struct release *from, const struct progress *pr,
	      struct err *e)
{
	_auto_close int dir = -EBADF;
	int made = prepare(spec, e), r;

	if (made < 0)
		return made;
	r = mount_volume(spec, &dir, e);
	if (r == 0) {
		r = space_fill(dir, spec->hostname, from, pr, e);
		if (r < 0)
			(void)err_wrap(e, "space %s", spec->space_arg);
	}
	if (r < 0 && made)
		(void)unlink(spec->space_arg);
	return r;
}

int
volume_remove(const struct jailspec *spec, struct err *e)
{
	_auto_close int fd = -EBADF;
	int r = spec->space == SPACE_IMAGE ? open_volume(spec, 0, &fd, e) : 0;

	if (r < 0 || fd < 0)
		return r;
	return unlink(spec->space_arg) < 0 ? err_sys(e, errno, "remove %s", spec->space_arg) : 0;
}
