/* SPDX-License-Identifier: BSD-2-Clause */
/* Jails, their networks and groups, and what runs in them. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/proto.h"
#include "os/fake/fake_int.h"

struct os_jail {
	struct os_ref ref;
	size_t slot;
	int status_fd;
	size_t services;
};
struct os_watch {
	struct os_ref ref;
};

/* ---- what lives ---- */

static size_t
slot_of(const struct fake_jail *j)
{
	return (size_t)(j - fake_host->jail);
}

bool
fake_alive(struct fake_jail *j)
{
	if (j->used && !j->released && j->creator != getpid() && !fake_held_by_other(slot_of(j)))
		j->used = false; /* its creator has died */
	return j->used;
}

struct fake_jail *
fake_find(const struct os_ref *ref)
{
	char boot[40];

	fake_boot(boot);
	if (ref->pid <= 0 || !streq(boot, ref->boot))
		return NULL;
	for (size_t i = 0; i < FAKE_JAILS; i++) {
		struct fake_jail *j = &fake_host->jail[i];

		if (j->used && j->ref.pid == ref->pid && j->ref.start == ref->start && j->ref.ns == ref->ns)
			return fake_alive(j) ? j : NULL;
	}
	return NULL;
}

size_t
fake_living(const char *name)
{
	size_t n = 0;

	fake_lock();
	for (size_t i = 0; i < FAKE_JAILS; i++)
		n += fake_alive(&fake_host->jail[i]) && streq(fake_host->jail[i].name, name);
	fake_unlock();
	return n;
}

void
fake_end(const char *name)
{
	fake_lock();
	for (size_t i = 0; i < FAKE_JAILS; i++)
		if (streq(fake_host->jail[i].name, name))
			fake_host->jail[i].used = false;
	fake_unlock();
}

static void
end(const struct os_ref *ref)
{
	struct fake_jail *j;

	fake_lock();
	j = fake_find(ref);
	if (j)
		j->used = false;
	fake_unlock();
}

/* A copy of it; false: it is gone. */
static bool
look(const struct os_ref *ref, struct fake_jail *ret)
{
	struct fake_jail *j;

	fake_lock();
	j = fake_find(ref);
	if (j)
		*ret = *j;
	fake_unlock();
	return j != NULL;
}

static int
gone(struct err *e)
{
	return err_set(e, ESRCH, "the jail is gone");
}

/* ---- making and ending ---- */

/* The file system in an image is a directory here (os_space_mount()): does this process have any of it open? */
static bool
has_open(ino_t image)
{
	_auto_closedir DIR *d = opendir("/proc/self/fd");
	_auto_free char *tree = xasprintf("/.fake-%llu", (unsigned long long)image);
	struct dirent *de;
	char path[4096];

	while (d && (de = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), de->d_name, path, sizeof(path) - 1);

		path[n > 0 ? n : 0] = '\0';
		if (strstr(path, tree))
			return true;
	}
	return false;
}

static int
take_slot(const struct os_new *n, struct fake_jail **ret, struct err *e)
{
	struct fake_jail *free_one = NULL;

	for (size_t i = 0; i < FAKE_JAILS; i++) {
		struct fake_jail *j = &fake_host->jail[i];

		if (!fake_alive(j))
			free_one = free_one ? free_one : j;
		else if (streq(j->name, n->id->name) && streq(j->tag, n->id->tag) &&
			 (!n->keep || n->keep->pid != j->ref.pid))
			fake_say_wrong("%s: made while another instance lives", n->id->name);
	}
	if (!free_one)
		return err_set(e, ENOSPC, "the fake host is full");
	*ret = free_one;
	return 0;
}

static int
fill(const struct os_new *n, struct fake_jail *j, struct err *e)
{
	struct stat st;

	*j = (struct fake_jail){.jid = n->id->jid, .creator = getpid()};
	(void)snprintf(j->name, sizeof(j->name), "%s", n->id->name);
	(void)snprintf(j->tag, sizeof(j->tag), "%s", n->id->tag);
	if (fstat(n->root->root_fd, &st) < 0)
		return err_sys(e, errno, "the jail's root");
	j->dev = st.st_dev;
	j->ino = st.st_ino;
	if (n->root->space_fd >= 0 && fstat(n->root->space_fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
		j->space_dev = st.st_dev;
		j->space_ino = st.st_ino;
	}
	j->ref.pid = FAKE_PID + ++fake_host->last_pid;
	j->ref.start = (uint64_t)fake_host->last_pid;
	j->ref.ns = (uint64_t)fake_host->last_pid;
	fake_boot(j->ref.boot);
	return 0;
}

static int
create(const struct os_new *n, struct fake_jail **ret, struct err *e)
{
	if (n->keep && !fake_find(n->keep))
		return gone(e);
	if (!fake_thing(FAKE_GROUP, n->id))
		fake_say_wrong("%s: made without its group", n->id->name);
	if (take_slot(n, ret, e) < 0 || fill(n, *ret, e) < 0)
		return -e->num;
	if ((*ret)->space_ino && has_open((*ret)->space_ino))
		fake_say_wrong("%s: mounts its image while it is open on the host", n->id->name);
	fake_hold(slot_of(*ret));
	(*ret)->used = true;
	return 0;
}

int
os_jail_create(const struct os_new *n, struct os_ref *ret_ref, struct os_jail **ret, struct err *e)
{
	struct fake_jail *j = NULL;
	struct os_jail *handle;
	int r = fake_begin("os_jail_create", n->id->name, e);

	if (r < 0)
		return r;
	fake_lock();
	r = create(n, &j, e);
	fake_unlock();
	if (r < 0)
		return r;
	handle = xcalloc(1, sizeof(*handle));
	*handle = (struct os_jail){.ref = j->ref,
				   .slot = slot_of(j),
				   .status_fd = n->init->status_fd >= 0 ? dup(n->init->status_fd) : -EBADF,
				   .services = n->spec->service.n};
	fake_leave();
	*ret_ref = handle->ref;
	*ret = handle;
	return 0;
}

int
os_jail_release(struct os_jail *h, struct err *e)
{
	struct fake_jail *j, seen;
	char record[INIT_RECORD + 1];

	if (fake_begin("os_jail_release", NULL, e) < 0)
		return -e->num;
	if (!look(&h->ref, &seen))
		return gone(e);
	fake_tell_run(&seen, NULL);
	(void)snprintf(record, sizeof(record), "%-*s\n", INIT_RECORD - 1, "up 2 0 0 0");
	fake_quiet(true);
	for (size_t i = 0; i < h->services && h->status_fd >= 0; i++)
		(void)!write(h->status_fd, record, INIT_RECORD);
	fake_quiet(false);
	fake_lock();
	j = fake_find(&h->ref);
	if (j) {
		j->released = true;
		j->services = h->services;
	}
	fake_let_go(h->slot);
	fake_unlock();
	fake_leave();
	return 0;
}

void
os_jail_close(struct os_jail *h)
{
	struct fake_jail *j;

	if (!h)
		return;
	(void)fake_enter("os_jail_close", NULL);
	fake_lock();
	j = fake_find(&h->ref);
	if (j && !j->released)
		j->used = false;
	if (j)
		fake_let_go(h->slot);
	fake_unlock();
	fd_close(h->status_fd);
	free(h);
	fake_leave();
}

int
os_jail_can_keep(const struct jailspec *spec, const struct jailspec *made)
{
	return fake_host->can_keep && !spec->vnet && !made->vnet && spec->space != SPACE_IMAGE &&
	       spec->space != SPACE_DEVICE && spec->jid == made->jid && spec->n_addrs == made->n_addrs &&
	       spec->n_rdr == made->n_rdr;
}

int
os_jail_alive(const struct os_ref *ref)
{
	struct fake_jail j;

	return look(ref, &j);
}

int
os_jail_term(const struct os_ref *ref, int timeout_s _unused_, struct err *e)
{
	if (fake_begin("os_jail_term", NULL, e) < 0)
		return -e->num;
	end(ref);
	fake_leave();
	return 1;
}

int
os_jail_kill(const struct os_ref *ref, struct err *e)
{
	if (fake_begin("os_jail_kill", NULL, e) < 0)
		return -e->num;
	end(ref);
	fake_leave();
	return 0;
}

int
os_jail_find(const struct os_id *id, uint32_t idbase _unused_, struct os_ref *ret, struct err *e)
{
	int r = 0;

	if (fake_begin("os_jail_find", id->name, e) < 0)
		return -e->num;
	fake_lock();
	for (size_t i = 0; i < FAKE_JAILS && !r; i++) {
		struct fake_jail *j = &fake_host->jail[i];

		r = fake_alive(j) && streq(j->name, id->name) && streq(j->tag, id->tag);
		if (r)
			*ret = j->ref;
	}
	fake_unlock();
	fake_leave();
	return r;
}

int
os_jail_root(const struct os_ref *ref, dev_t *ret_dev, ino_t *ret_ino, struct err *e)
{
	struct fake_jail j;

	if (fake_begin("os_jail_root", NULL, e) < 0)
		return -e->num;
	if (!look(ref, &j))
		return gone(e);
	*ret_dev = j.dev;
	*ret_ino = j.ino;
	fake_leave();
	return 0;
}

int
os_jail_pids(const struct os_ref *ref, struct strv *ret_lines, size_t *ret_n, struct err *e)
{
	struct fake_jail j;

	if (fake_begin("os_jail_pids", NULL, e) < 0)
		return -e->num;
	if (!look(ref, &j))
		return gone(e);
	if (ret_lines)
		strv_addf(ret_lines, "%lld brig-init", (long long)ref->pid);
	if (ret_n)
		*ret_n = 1;
	fake_leave();
	return 0;
}

/* ---- commands ---- */

int
os_jail_output(const struct os_ref *ref, int *ret_fd, struct err *e)
{
	struct fake_jail j;
	int fd;

	if (fake_begin("os_jail_output", NULL, e) < 0)
		return -e->num;
	if (!look(ref, &j))
		return gone(e);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "/dev/null");
	*ret_fd = fd;
	fake_leave();
	return 0;
}

void
os_jail_output_drain(int fd _unused_)
{
}

int
os_jail_exec(const struct os_id *id _unused_, const struct os_ref *ref, const struct jailspec *spec _unused_,
	     const struct os_exec *x, int *ret_status, struct err *e)
{
	char command[200] = "";
	struct fake_jail j;

	for (size_t i = 0, at = 0; x->argv && x->argv[i] && at < sizeof(command); i++)
		at += (size_t)snprintf(command + at, sizeof(command) - at, "%s%s", i ? " " : "", x->argv[i]);
	if (fake_begin("os_jail_exec", command, e) < 0)
		return -e->num;
	if (!look(ref, &j))
		return gone(e);
	fake_tell_run(&j, command);
	if (streq(command, "end"))
		end(ref);
	*ret_status = W_EXITCODE(fake_command_status(command, j.ino), 0);
	fake_leave();
	return 0;
}

/* ---- network ---- */

int
os_net_check(const struct os_id *id, const struct jailspec *spec _unused_, struct err *e)
{
	if (fake_begin("os_net_check", id->name, e) < 0)
		return -e->num;
	fake_leave();
	return 0;
}

static int
thing_up(const char *call, enum fake_kind kind, const struct os_id *id, struct err *e)
{
	int r = fake_begin(call, id->name, e);

	if (r < 0)
		return r;
	fake_lock();
	r = fake_thing_add(kind, id, e);
	fake_unlock();
	fake_leave();
	return r;
}

static int
thing_down(const char *call, enum fake_kind kind, const struct os_id *id, struct err *e)
{
	if (fake_begin(call, id->name, e) < 0)
		return -e->num;
	fake_lock();
	fake_thing_remove(kind, id);
	fake_unlock();
	fake_leave();
	return 0;
}

int
os_net_up(const struct os_id *id, const struct jailspec *spec _unused_, const struct os_ref *ref,
	  struct strv *warnings _unused_, struct err *e)
{
	struct fake_jail j;

	return look(ref, &j) ? thing_up("os_net_up", FAKE_NETWORK, id, e) : gone(e);
}

int
os_net_down(const struct os_id *id, const struct jailspec *spec _unused_, const struct os_ref *ref _unused_,
	    struct err *e)
{
	return thing_down("os_net_down", FAKE_NETWORK, id, e);
}

int
os_fw_up(const struct os_id *id, const struct jailspec *spec _unused_, struct err *e)
{
	return thing_up("os_fw_up", FAKE_REDIRECT, id, e);
}

int
os_fw_down(const struct os_id *id, const struct jailspec *spec _unused_, struct err *e)
{
	return thing_down("os_fw_down", FAKE_REDIRECT, id, e);
}

int
os_fw_remove(const struct os_id *id, struct err *e)
{
	if (fake_begin("os_fw_remove", id->name, e) < 0)
		return -e->num;
	fake_lock();
	for (size_t i = 0; i < FAKE_THINGS; i++) {
		struct fake_thing *t = &fake_host->thing[i];

		if (t->used && t->kind == FAKE_REDIRECT && streq(t->name, id->name) && streq(t->tag, id->tag))
			t->used = false;
	}
	fake_unlock();
	fake_leave();
	return 0;
}

/* In one network a socket is only once: from another instance it is taken over. */
int
os_jail_listen(struct os_jail *h, const struct jailspec *spec, const struct os_ref *from,
	       const struct jailspec *made _unused_, struct err *e)
{
	struct fake_jail *j, *old;

	if (fake_begin("os_jail_listen", spec->name, e) < 0)
		return -e->num;
	fake_lock();
	j = fake_find(&h->ref);
	old = from ? fake_find(from) : NULL;
	if (j)
		j->listen = spec->n_listen;
	fake_unlock();
	if (!j || (from && !old))
		return gone(e);
	fake_leave();
	return 0;
}

/* ---- a clock that says always the same ---- */

int
os_watch_start(const struct os_ref *ref, const struct jailspec *spec _unused_, struct os_watch **ret,
	       struct err *e)
{
	struct os_watch *w;

	if (fake_begin("os_watch_start", NULL, e) < 0)
		return -e->num;
	w = xcalloc(1, sizeof(*w));
	w->ref = *ref;
	fake_leave();
	*ret = w;
	return 1;
}

int
os_watch_ready(struct os_watch *w, int wait_ms _unused_, struct os_outage *ret, struct err *e)
{
	int r = fake_begin("os_watch_ready", NULL, e);

	free(w);
	if (r < 0)
		return r;
	fake_leave();
	*ret = (struct os_outage){.down_us = 1000, .listeners = 1};
	return 0;
}

void
os_watch_end(struct os_watch *w)
{
	free(w);
}

/* Each service listens on a port of its own as soon as it has begun. */
int
os_jail_sockets(const struct os_ref *ref, const struct jailspec *spec _unused_, const struct os_pids *holders _unused_,
		struct os_sockets *ret, struct err *e)
{
	struct fake_jail j;

	if (fake_begin("os_jail_sockets", NULL, e) < 0)
		return -e->num;
	if (!look(ref, &j))
		return gone(e);
	ret->n = 0;
	for (size_t i = 0; i < j.services && ret->n < OS_SOCKETS_MAX; i++)
		ret->v[ret->n++] = (struct os_socket){IPPROTO_TCP, (uint16_t)(80 + i)};
	fake_leave();
	return 0;
}

/* ---- limits ---- */

int
os_limit_check(const struct jailspec *spec, struct err *e)
{
	if (fake_begin("os_limit_check", spec->name, e) < 0)
		return -e->num;
	fake_leave();
	return 0;
}

int
os_limit_up(const struct os_id *id, const struct jailspec *spec _unused_, struct err *e)
{
	return thing_up("os_limit_up", FAKE_GROUP, id, e);
}

/* What is still in it ends. */
int
os_limit_down(const struct os_id *id, struct err *e)
{
	int r = thing_down("os_limit_down", FAKE_GROUP, id, e);

	fake_lock();
	for (size_t i = 0; i < FAKE_JAILS && r == 0; i++) {
		struct fake_jail *j = &fake_host->jail[i];

		if (fake_alive(j) && j->jid == id->jid && streq(j->name, id->name) && streq(j->tag, id->tag))
			j->used = false;
	}
	fake_unlock();
	return r;
}

int
os_limit_usage(const struct os_id *id, struct os_usage *ret, struct err *e)
{
	bool there;

	fake_lock();
	there = fake_thing(FAKE_GROUP, id) != NULL;
	fake_unlock();
	if (!there)
		return err_set(e, ENOENT, "%s has no group", id->name);
	*ret = (struct os_usage){1 << 20, 1000000, 1};
	return 0;
}
