/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/path.h"
#include "run/steps.h"
#include "store/record/ids.h"
#include "store/template/split.h"

#define LOG_MAX (1u << 20) /* limit of a console log, in bytes */

char *
console_path(const struct store *s, const struct jailspec *spec)
{
	return spec->consolelog ? xstrdup(spec->consolelog) : xasprintf("%s/%s.log", s->log, spec->name);
}

/* Refuses a console log in a directory where the jail's root could make links (after resolving the path). */
static int
log_place(struct instance *c, struct err *e)
{
	const char *path = c->st.consolelog;
	_auto_free char *real = path_real(path), *base = path_real(c->s->base);

	if (!real || !base)
		return err_sys(e, errno, "console log %s", path);
	return jailspec_holds(c->spec, base, real)
		   ? err_set(e, EPERM,
			     "console log %s is where the jail's root could put a link (use /var/log)", path)
		   : 0;
}

/* Opens the console log.  It is written as root, so anything but a plain file is refused
 * (FreeBSD-SA-07:01.jail). */
static int
open_log(const char *path, int flags, int *ret, struct err *e)
{
	_auto_close int fd =
	    open(path, flags | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return err_sys(e, errno, "console log %s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "console log %s", path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid())
		return err_set(e, EINVAL, "console log %s: not a plain file of its own (remove it)", path);
	*ret = TAKE_FD(fd);
	return 0;
}

static int
open_init(struct instance *c, struct os_init *init, struct err *e)
{
	_auto_close int dir = -EBADF;
	int r;

	r = log_place(c, e);
	if (r == 0)
		r = open_log(c->st.consolelog, O_WRONLY | O_APPEND, &init->log_fd, e);
	if (r == 0)
		r = open_log(c->st.consolelog, O_RDWR, &init->log_rw_fd, e);
	if (r == 0)
		r = state_dir(c->s, c->spec->name, &dir, e);
	if (r < 0)
		return r;
	init->log_max = LOG_MAX;
	init->status_fd = openat(dir, c->keep ? STATE_SERVICES_NEXT : STATE_SERVICES,
				 O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	return init->status_fd < 0 ? err_sys(e, errno, "%s/jail/%s/services", c->s->run, c->spec->name) : 0;
}

/* Writes the record of a jailspace copied by hand, or of a jail that is only a path: it gets its ids now. */
static int
adopt(struct instance *c, struct err *e)
{
	_auto_close int lock = -EBADF;
	int r;

	if (c->spec->root == ROOT_TEMPLATE) {
		_auto_close int space = -EBADF;

		r = space_open(c->s, c->spec->name, c->spec->space_arg, &space, e);
		if (r == -ENOENT)
			return err_set(e, ENOENT, "it has no jailspace yet (brig create %s)", c->spec->name);
		if (r < 0)
			return r;
		c->record.template = xstrdup(c->spec->template);
	}
	c->record.created = clock_utc();
	r = store_lock_wait(c->s, "registry", &lock, e);
	if (r == 0 && c->record.template)
		r = release_current(c->s, c->record.template, &c->record.release, e);
	if (r == 0)
		r = record_new_range(c->s, &c->record.idbase, e);
	if (r == 0)
		r = record_write(c->s, c->spec->name, &c->record, e);
	return r;
}

static int
claim_range(struct instance *c, struct err *e)
{
	_auto_close int lock = -EBADF;
	int r = store_lock_wait(c->s, "registry", &lock, e);

	return r < 0 ? r : record_claim_range(c->s, c->spec->name, c->record.idbase, e);
}

int
made_of_record(struct instance *c, struct err *e)
{
	int r = record_read(c->s, c->spec->name, &c->record, e);

	r = r == 0 ? adopt(c, e) : r > 0 ? claim_range(c, e) : r;
	if (r < 0)
		return r;
	if (c->spec->root != ROOT_TEMPLATE)
		return 0;
	if (!c->record.template || !streq(c->record.template, c->spec->template))
		return err_set(e, EINVAL,
			       "its files come from template %s, not %s (change the parameter back)",
			       c->record.template ? c->record.template : "(none)", c->spec->template);
	if (c->spec->release && c->record.release && !streq(c->spec->release, c->record.release))
		return err_set(e, EINVAL,
			       "its files come from release %s, not %s (change the parameter back)",
			       c->record.release, c->spec->release);
	return 0;
}

/* space=tmpfs: copies the skeleton at every start. */
static int
fill_space(void *ctx, int src, int dst, struct err *e)
{
	const struct made_of *m = ctx;
	struct release from = m->release;

	from.skel_fd = src; /* the same directory, as the jail's root sees it */
	from.dir_fd = m->root.fill_fd;
	return space_fill(dst, m->hostname, &from, NULL, e);
}

/* Refuses an image or device without a whole jailspace, such as an interrupted create leaves. */
static int
check_volume(struct instance *c, int fd, struct err *e)
{
	_auto_close int dir = -EBADF;
	int r = os_space_mount(fd, false, &dir, e);

	if (r == 0)
		r = space_is_whole(dir, e);
	if (r == 0)
		r = err_set(e, ENOENT, "%s has no jailspace yet (brig create %s)", c->spec->space_arg,
			    c->spec->name);
	return r < 0 ? err_wrap(e, "space") : 0;
}

static int
open_space(struct instance *c, struct made_of *m, struct err *e)
{
	const struct jailspec *s = c->spec;

	switch (s->space) {
	case SPACE_DIR:
		return space_open(c->s, s->name, s->space_arg, &m->root.space_fd, e);
	case SPACE_IMAGE:
	case SPACE_DEVICE:
		if (path_trusted(s->space_arg, e) < 0)
			return -e->num;
		m->root.space_fd = open(s->space_arg, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		return m->root.space_fd < 0 ? err_sys(e, errno, "space %s", s->space_arg)
					    : check_volume(c, m->root.space_fd, e);
	case SPACE_TMPFS:
		m->root.space_fd = openat(m->release.skel_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		m->root.space_tmpfs = s->space_size;
		m->root.fill = fill_space;
		m->root.fill_ctx = m;
		m->root.fill_fd = m->release.dir_fd;
		m->hostname = s->hostname;
		if (m->root.space_fd >= 0 && rules_keep(&m->release, e) < 0)
			return -e->num;
		return m->root.space_fd < 0 ? err_sys(e, errno, "skeleton of %s", c->record.template) : 0;
	}
	return 0;
}

static int
open_template(struct instance *c, struct made_of *m, struct err *e)
{
	int r = release_open(c->s, c->record.template, c->record.release, &m->release, e);

	if (r < 0)
		return r;
	m->root.read_only = true;
	m->root.root_fd = openat(m->release.root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->root.root_fd < 0)
		return err_sys(e, errno, "template %s", c->record.template);
	return open_space(c, m, e);
}

/* Checks the mount point.  Below j/ it must be blank and is made when it is missing; elsewhere it must
 * exist. */
static int
mount_point(struct instance *c, struct err *e)
{
	_auto_free char *ours = xasprintf("%s/j/%s", c->s->base, c->spec->name);
	struct stat st;

	if (streq(c->spec->path, ours) && c->s->j_fd >= 0 && mkdirat(c->s->j_fd, c->spec->name, 0755) < 0 &&
	    errno != EEXIST)
		return err_sys(e, errno, "%s", ours);
	if (*c->spec->path != '/')
		return err_set(e, EINVAL, "path %s: not an absolute pathname", c->spec->path);
	if (lstat(c->spec->path, &st) < 0)
		return err_set(e, errno, "path %s: %s", c->spec->path, strerror(errno));
	if (S_ISLNK(st.st_mode))
		return err_set(e, ELOOP, "path %s: is a symbolic link", c->spec->path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "path %s: Not a directory", c->spec->path);
	return path_trusted(c->spec->path, e);
}

static int
open_path(struct instance *c, struct made_of *m, struct err *e)
{
	m->root.root_fd = open(c->spec->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (m->root.root_fd < 0)
		return err_sys(e, errno, "path %s", c->spec->path);
	m->root.read_only = streq(c->spec->path, "/");
	return 0;
}

int
made_of_open(struct instance *c, struct made_of *m, struct err *e)
{
	int r;

	*m = (struct made_of){.release = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF},
			      .root = {.root_fd = -EBADF, .space_fd = -EBADF, .hosts_fd = -EBADF},
			      .init = {.log_fd = -EBADF, .log_rw_fd = -EBADF, .status_fd = -EBADF}};
	m->root.path = c->spec->path;
	m->root.idbase = c->record.idbase;
	r = mount_point(c, e);
	if (r == 0)
		r = c->spec->root == ROOT_TEMPLATE ? open_template(c, m, e) : open_path(c, m, e);
	if (r == 0)
		r = hosts_dir(c->s, c->spec, &m->root.hosts_fd, e);
	if (r == 0)
		r = open_init(c, &m->init, e);
	if (r < 0)
		made_of_close(m);
	return r;
}

void
made_of_close(struct made_of *m)
{
	release_close(&m->release);
	fd_close(m->root.root_fd);
	fd_close(m->root.space_fd);
	fd_close(m->root.hosts_fd);
	fd_close(m->init.log_fd);
	fd_close(m->init.log_rw_fd);
	fd_close(m->init.status_fd);
}
