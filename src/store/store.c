/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sha256.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/lock.h"
#include "base/name.h"
#include "base/path.h"
#include "store/store.h"

static void
make_tag(struct store *s)
{
	char hex[SHA256_DIGEST_STRING_LENGTH];

	if (streq(s->run, STORE_RUN))
		return;
	(void)SHA256Data((const uint8_t *)s->run, strlen(s->run), hex);
	memcpy(s->tag, hex, 6);
	s->tag[6] = '\0';
}

/* Commands that only look do without what is not there, or is not for them to see.  For root there is nothing of
 * that kind: to take it for missing would be to take what is in it for gone. */
static bool
can_do_without(int num)
{
	return num == ENOENT || (num == EACCES && geteuid() != 0);
}

/* Opens a directory of BASE or RUN; flags say whether it is made when it is missing.  Otherwise *ret stays
 * -EBADF. */
static int
open_dir(int at, const char *name, mode_t mode, int flags, int *ret, struct err *e)
{
	struct stat st;
	int fd;

	if (flags & STORE_CREATE)
		return fsx_mkdir_open(at, name, mode, ret, e);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && can_do_without(errno))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "open the directory '%s'", name);
	*ret = fd;
	return 0;
}

static int
open_top(const char *path, mode_t mode, int flags, char **ret_path, int *ret_fd, struct err *e)
{
	_auto_free char *real = path_real(path);
	struct stat st;
	int fd;

	if (!real)
		return err_sys(e, errno, "%s", path);
	if (flags & STORE_CREATE) {
		int r = fsx_mkdir_p(real, mode, e);

		if (r < 0)
			return r;
	}
	fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && !can_do_without(errno))
		return err_sys(e, errno, "%s", real);
	if (fd >= 0 && fstat(fd, &st) == 0 &&
	    ((st.st_mode & 022) || (st.st_uid != 0 && st.st_uid != geteuid()))) {
		fd_close(fd);
		return err_set(e, EPERM, "%s: only root may be able to write there (chown root, chmod go-w)",
			       real);
	}
	*ret_path = TAKE_PTR(real);
	*ret_fd = fd >= 0 ? fd : -EBADF;
	return 0;
}

struct sub {
	int *at, *ret;
	const char *name;
	mode_t mode;
};

static int
open_subs(const struct sub *subs, size_t n, int flags, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		int r;

		if (*subs[i].at < 0)
			continue;
		r = open_dir(*subs[i].at, subs[i].name, subs[i].mode, flags, subs[i].ret, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int
store_open(const char *base, const char *run, int flags, struct store *ret, struct err *e)
{
	struct store s = {.base_fd = -EBADF,
			  .j_fd = -EBADF,
			  .js_fd = -EBADF,
			  .templates_fd = -EBADF,
			  .run_fd = -EBADF,
			  .lock_fd = -EBADF,
			  .log_fd = -EBADF,
			  .jail_fd = -EBADF,
			  .jid_fd = -EBADF,
			  .hosts_fd = -EBADF,
			  .record_fd = -EBADF};
	int ids = -EBADF, r;
	const struct sub subs[] = {
	    {&s.base_fd, &s.j_fd, "j", 0755},
	    {&s.base_fd, &s.js_fd, "js", 0700},
	    {&s.base_fd, &s.templates_fd, "templates", 0755},
	    {&s.js_fd, &s.record_fd, ".brig", 0700},
	    {&s.record_fd, &ids, "ids", 0700},
	    {&s.run_fd, &s.lock_fd, "lock", 0700},
	    {&s.run_fd, &s.jail_fd, "jail", 0755},
	    {&s.run_fd, &s.jid_fd, "jid", 0755},
	    {&s.run_fd, &s.hosts_fd, "hosts", 0755},
	};

	r = open_top(base ? base : STORE_BASE, 0755, flags, &s.base, &s.base_fd, e);
	if (r == 0)
		r = open_top(run ? run : STORE_RUN, 0755, flags, &s.run, &s.run_fd, e);
	if (r == 0) {
		make_tag(&s);
		r = open_subs(subs, ARRAY_LEN(subs), flags, e);
	}
	fd_close(ids);
	if (r == 0 && *s.tag == '\0')
		r = open_top(STORE_LOG, 0700, flags, &s.log, &s.log_fd, e);
	else if (r == 0) {
		s.log = path_join(s.run, "log");
		if (s.run_fd >= 0)
			r = open_dir(s.run_fd, "log", 0700, flags, &s.log_fd, e);
	}
	if (r == 0 && (flags & STORE_CREATE) && fchmod(s.js_fd, 0700) < 0)
		r = err_sys(e, errno, "%s/js", s.base);
	if (r < 0) {
		store_close(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void
store_close(struct store *s)
{
	int *fds[] = {&s->base_fd, &s->j_fd,    &s->js_fd,  &s->templates_fd, &s->run_fd,   &s->lock_fd,
		      &s->log_fd,  &s->jail_fd, &s->jid_fd, &s->hosts_fd,     &s->record_fd};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fd_close(*fds[i]);
		*fds[i] = -EBADF;
	}
	free(s->base);
	free(s->run);
	free(s->log);
	s->base = s->run = s->log = NULL;
}

/* 1, 0, -errno. */
static int
reserved(const struct store *s, const char *name)
{
	const char *rest = str_after(name, STORE_TEMPLATE);
	struct stat st;
	int r;

	if (streq(name, "skel") || str_after(name, "skel."))
		return 1;
	if (rest && (!*rest || *rest == '.' || rest[strspn(rest, "0123456789")] == '\0'))
		return 1;
	r = s->templates_fd >= 0 ? fsx_look(s->templates_fd, name, NULL) : 0;
	if (r != 0 || s->j_fd < 0)
		return r;
	r = fsx_look(s->j_fd, name, &st);
	return r > 0 ? S_ISLNK(st.st_mode) : r;
}

bool
store_reserved(const struct store *s, const char *name)
{
	return reserved(s, name) != 0;
}

int
store_check_name(const struct store *s, const char *name, struct err *e)
{
	int r = reserved(s, name);

	if (r < 0)
		return err_sys(e, -r, "%s/j/%s", s->base, name);
	return r ? err_set(e, EINVAL, "the name is reserved (a template or a skeleton is called so)") : 0;
}

int
store_lock(const struct store *s, const struct store_want *want, int *ret_fd, struct err *e)
{
	_auto_free char *file = want->name ? xasprintf("%s.%s", want->kind, want->name) : xstrdup(want->kind);
	_auto_free char *what = want->name ? xasprintf("%s %s", want->kind, want->name) : xstrdup(s->run);
	struct lock_want lock = {.name = file, .what = what, .wait_ms = want->wait_ms, .in = want->in};

	if (s->lock_fd < 0)
		return err_set(e, EACCES, "%s: cannot lock %s there: must be root", s->run, what);
	return lock_take(s->lock_fd, &lock, ret_fd, e);
}

int
store_lock_try(const struct store *s, const char *kind, const char *name, int *ret_fd, struct err *e)
{
	return store_lock(s, &(struct store_want){kind, name, 0, NULL}, ret_fd, e);
}

int
store_lock_wait(const struct store *s, const char *kind, int *ret_fd, struct err *e)
{
	return store_lock(s, &(struct store_want){kind, NULL, -1, NULL}, ret_fd, e);
}

void
store_lock_remove(const struct store *s, const char *kind, const char *name)
{
	_auto_free char *file = xasprintf("%s.%s", kind, name);

	(void)unlinkat(s->lock_fd, file, 0);
}
