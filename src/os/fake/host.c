/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's memory, and the functions of os/host.h. */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/fsx.h"
#include "os/fake/fake_int.h"

/* Record locks of fcntl(2) belong to a process and go with it, also while nobody has waited for it.  They go with
 * any descriptor of the file that is closed, too: this one never is. */
#define LOCK_FD 900

struct fake_host *fake_host;
static int lock_fd = -EBADF;
static void (*on_run)(const struct fake_run *run);

static void
make(void)
{
	int fd = memfd_create("fake", MFD_CLOEXEC);

	if (fd < 0)
		abort();
	lock_fd = fcntl(fd, F_DUPFD_CLOEXEC, LOCK_FD);
	fd_close(fd);
	fake_host = mmap(NULL, sizeof(*fake_host), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (lock_fd < 0 || fake_host == MAP_FAILED)
		abort();
}

void
fake_reset(void)
{
	if (!fake_host)
		make();
	*fake_host = (struct fake_host){.boot = 1, .can_keep = true};
	fake_script_reset();
}

void
fake_reboot(void)
{
	unsigned boot = fake_host->boot + 1;
	bool can_keep = fake_host->can_keep;

	*fake_host = (struct fake_host){.boot = boot, .can_keep = can_keep};
}

void
fake_can_keep(bool yes)
{
	fake_host->can_keep = yes;
}

void
fake_on_run(void (*fn)(const struct fake_run *run))
{
	on_run = fn;
}

void
fake_tell_run(const struct fake_jail *j, const char *command)
{
	struct fake_run run = {j->name, command, j->dev, j->ino};

	if (on_run)
		on_run(&run);
}

/* ---- locks ---- */

static void
lock_byte(size_t byte, short type, int how)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};

	while (fcntl(lock_fd, how, &l) < 0)
		if (errno != EINTR)
			abort();
}

void
fake_lock(void)
{
	lock_byte(0, F_WRLCK, F_SETLKW);
}

void
fake_unlock(void)
{
	lock_byte(0, F_UNLCK, F_SETLK);
}

void
fake_hold(size_t slot)
{
	lock_byte(1 + slot, F_WRLCK, F_SETLKW);
}

void
fake_let_go(size_t slot)
{
	lock_byte(1 + slot, F_UNLCK, F_SETLK);
}

bool
fake_held_by_other(size_t slot)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)(1 + slot), .l_len = 1};

	return fcntl(lock_fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

/* ---- what is there ---- */

void
fake_say_wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!fake_host->wrong[0])
		(void)vsnprintf(fake_host->wrong, sizeof(fake_host->wrong), fmt, ap);
	va_end(ap);
}

const char *
fake_wrong(void)
{
	return fake_host->wrong;
}

struct fake_thing *
fake_thing(enum fake_kind kind, const struct os_id *id)
{
	for (size_t i = 0; i < FAKE_THINGS; i++) {
		struct fake_thing *t = &fake_host->thing[i];

		if (t->used && t->kind == kind && t->jid == id->jid && streq(t->name, id->name) &&
		    streq(t->tag, id->tag))
			return t;
	}
	return NULL;
}

int
fake_thing_add(enum fake_kind kind, const struct os_id *id, struct err *e)
{
	if (fake_thing(kind, id))
		return 0;
	for (size_t i = 0; i < FAKE_THINGS; i++) {
		struct fake_thing *t = &fake_host->thing[i];

		if (t->used)
			continue;
		*t = (struct fake_thing){.used = true, .kind = kind, .jid = id->jid};
		(void)snprintf(t->name, sizeof(t->name), "%s", id->name);
		(void)snprintf(t->tag, sizeof(t->tag), "%s", id->tag);
		return 0;
	}
	return err_set(e, ENOSPC, "the fake host is full");
}

void
fake_thing_remove(enum fake_kind kind, const struct os_id *id)
{
	struct fake_thing *t = fake_thing(kind, id);

	if (t)
		t->used = false;
}

char *
fake_dump(void)
{
	static const char *const kinds[FAKE_KINDS] = {"group", "network", "redirections"};
	_auto_strv struct strv lines = STRV_INIT;

	fake_lock();
	for (size_t i = 0; i < FAKE_JAILS; i++) {
		struct fake_jail *j = &fake_host->jail[i];

		if (fake_alive(j))
			strv_addf(&lines, "jail %s %d%s\n", j->name, j->jid,
				  j->released ? "" : " (not released)");
	}
	for (size_t i = 0; i < FAKE_THINGS; i++) {
		const struct fake_thing *t = &fake_host->thing[i];

		if (t->used)
			strv_addf(&lines, "%s %s %d\n", kinds[t->kind], t->name, t->jid);
	}
	fake_unlock();
	strv_sort(&lines);
	return lines.n ? strv_join(&lines, "") : xstrdup("");
}

/* ---- os/host.h ---- */

void
fake_boot(char boot[40])
{
	(void)snprintf(boot, 40, "boot-%u", fake_host->boot);
}

int
os_boot_id(char buf[40], struct err *e)
{
	if (fake_begin("os_boot_id", NULL, e) < 0)
		return -e->num;
	fake_boot(buf);
	fake_leave();
	return 0;
}

int
os_ready(struct err *e)
{
	if (fake_begin("os_ready", NULL, e) < 0)
		return -e->num;
	fake_leave();
	return 0;
}

int
os_features(struct os_feature **ret, size_t *ret_n, struct err *e _unused_)
{
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)[0] = (struct os_feature){"memory", "every jail", 1, "this host is in memory"};
	*ret_n = 1;
	return 0;
}

const char *
os_busybox(void)
{
	return NULL;
}

int
os_contained_start(int (*work)(void *ctx, struct err *e), void *ctx, struct os_task *ret, struct err *e)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "start a command");
	pid = fork();
	if (pid == 0) {
		struct err own = ERR_INIT;

		if (work(ctx, &own) < 0)
			(void)err_send(p[1], &own);
		_exit(own.num ? 1 : 0);
	}
	fd_close(p[1]);
	if (pid < 0) {
		fd_close(p[0]);
		return err_set(e, EAGAIN, "start a command");
	}
	*ret = (struct os_task){pid, p[0]};
	return 0;
}

int
os_contained_wait(struct os_task *t, struct err *e)
{
	struct err got;
	int r = err_recv(t->report_fd, &got), status = 0;

	fd_close(t->report_fd);
	t->report_fd = -EBADF;
	if (child_wait(t->pid, &status) < 0)
		return err_set(e, ECHILD, "wait for a command");
	if (r > 0) {
		*e = got;
		return -e->num;
	}
	return status == 0 ? 0 : err_set(e, EIO, "ended before it was done");
}

int
os_audit_jail(const struct os_ref *ref, struct os_finding **ret, size_t *ret_n, struct err *e)
{
	if (!os_jail_alive(ref))
		return err_set(e, ESRCH, "the jail is gone");
	*ret = xcalloc(1, sizeof(**ret));
	*ret_n = 0;
	return 0;
}

int
os_audit_host(const char *spaces _unused_, struct os_finding **ret, size_t *ret_n, struct err *e _unused_)
{
	*ret = xcalloc(1, sizeof(**ret));
	*ret_n = 0;
	return 0;
}

unsigned
os_audit_score(const struct os_finding *f _unused_, size_t n _unused_)
{
	return 0;
}

/* ---- images: the file system in an image is the directory .fake-INODE beside it ---- */

static char *
tree_of(int fd)
{
	_auto_free char *link = xasprintf("/proc/self/fd/%d", fd);
	char path[4096];
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	char *slash;
	struct stat st;

	if (n < 0 || fstat(fd, &st) < 0)
		return NULL;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	return xasprintf("%s/.fake-%llu", path, (unsigned long long)st.st_ino);
}

int
os_space_format(int fd, struct err *e)
{
	_auto_free char *tree = tree_of(fd);
	bool made;

	if (fake_begin("os_space_format", NULL, e) < 0)
		return -e->num;
	/* an image that is gone may have had the same inode */
	fake_quiet(true);
	made = tree && fsx_rm_rf_at(AT_FDCWD, tree, e) == 0 && mkdir(tree, 0755) == 0;
	fake_quiet(false);
	if (!made)
		return err_sys(e, errno, "format");
	fake_leave();
	return 0;
}

int
os_space_mount(int fd, bool read_only _unused_, int *ret_dir, struct err *e)
{
	_auto_free char *tree = tree_of(fd);
	struct stat st;
	int dir;

	if (fake_begin("os_space_mount", NULL, e) < 0)
		return -e->num;
	if (!tree || fstat(fd, &st) < 0)
		return err_sys(e, errno, "mount");
	fake_lock();
	for (size_t i = 0; i < FAKE_JAILS; i++) {
		struct fake_jail *j = &fake_host->jail[i];

		if (fake_alive(j) && j->space_ino == st.st_ino && j->space_dev == st.st_dev)
			fake_say_wrong("%s: mounted while the jail has it", j->name);
	}
	fake_unlock();
	dir = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, errno, "mount");
	fake_leave();
	*ret_dir = dir;
	return 0;
}
