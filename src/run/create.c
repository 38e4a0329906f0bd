/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making and removing a jail on disk.
 *
 * Making: record, jailspace.  The record comes first, written under the lock that removers of releases take: from
 * then on the release that is copied from counts as used and cannot be removed.  A record without a whole jailspace
 * is what an interrupted create left; the same command goes on from there.
 *
 * Removing: jailspace out of the way, record, mount point, what was in the jailspace, log, run files.  Each
 * step succeeds when there is nothing to remove, so that the same command finishes an interrupted one.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "run/files.h"
#include "run/run.h"
#include "run/volume.h"
#include "store/change/change.h"
#include "store/record/ids.h"

#define LOCK_WAIT_MS 30000

/* Removes temporary files of a killed writer of the record.  The caller holds the jail's lock. */
static int
tidy_record(const struct store *s, const char *name, struct err *e)
{
	_auto_free char *file = xasprintf("%s.json", name);

	return fsx_tidy_at(s->record_fd, file, e);
}

/* ---- create ---- */

static int
check_name(const struct store *s, const struct jailspec *spec, struct err *e)
{
	if (name_check("jail", spec->name, e) < 0)
		return -e->num;
	return spec->root == ROOT_TEMPLATE ? store_check_name(s, spec->name, e) : 0;
}

/* 1: there is a whole jailspace. */
static int
space_is_there(const struct store *s, const struct jailspec *spec, bool recorded, struct err *e)
{
	switch (spec->space) {
	case SPACE_DIR:
		return space_exists(s, spec->name, spec->space_arg, e);
	case SPACE_IMAGE:
	case SPACE_DEVICE:
		return volume_exists(spec, e);
	case SPACE_TMPFS: /* filled at each start */
		break;
	}
	return recorded;
}

static int
make_space(const struct store *s, const struct jailspec *spec, const struct release *from,
	   const struct progress *pr, struct err *e)
{
	const struct space_want want = {spec->name, spec->hostname, from, spec->space_arg, pr};
	int r = 0;

	if (spec->space == SPACE_DIR)
		return space_create(s, &want, e);
	if (spec->space != SPACE_TMPFS)
		r = volume_create(spec, from, pr, e);
	return r;
}

/* Makes sure that no other jail has the range of ids.  The caller holds the registry's lock.  1: another one
 * had it; rec has a new range now, and must be written. */
static int
own_range(const struct store *s, const char *name, struct record *rec, struct err *e)
{
	int r = record_claim_range(s, name, rec->idbase, e);

	if (r != -EEXIST)
		return r;
	err_clear(e);
	r = record_new_range(s, &rec->idbase, e);
	return r < 0 ? r : 1;
}

static int
write_record(const struct store *s, const char *name, struct record *rec, bool recorded, struct err *e)
{
	_auto_close int lock = -EBADF;
	int r = store_lock_wait(s, "registry", &lock, e);

	if (r == 0 && rec->template)
		r = release_exists(s, rec->template, rec->release, e);
	if (r < 0)
		return r;
	if (recorded) {
		r = own_range(s, name, rec, e);
	} else {
		rec->created = clock_utc();
		r = record_new_range(s, &rec->idbase, e);
	}
	return r < 0 ? r : record_write(s, name, rec, e);
}

/* The jail exists and does not run. */
static int
existed(const struct store *s, const char *name, struct record *rec, struct err *e)
{
	_auto_close int lock = -EBADF;
	int r = store_lock_wait(s, "registry", &lock, e);

	if (r == 0)
		r = own_range(s, name, rec, e);
	if (r <= 0)
		return r < 0 ? r : RUN_CREATE_EXISTED;
	r = record_write(s, name, rec, e);
	return r < 0 ? r : RUN_CREATE_NEW_IDS;
}

/* Makes the default mount point of a jail without a template: an empty directory. */
static int
make_mount_point(const struct store *s, const struct jailspec *spec, struct err *e)
{
	if (mkdirat(s->j_fd, spec->name, 0755) < 0 && errno != EEXIST)
		return err_sys(e, errno, "%s/j/%s", s->base, spec->name);
	return 0;
}

/* Is what will be copied as it was built?  All of it is read, so once for all jails that a command makes of a release. */
static int
verify_once(const struct release *rel, struct err *e)
{
	static dev_t dev;
	static ino_t ino; /* of the last release */
	struct stat st;
	int r;

	if (rel->dir_fd < 0) /* made by hand: there is nothing to compare it with */
		return 0;
	if (fstat(rel->dir_fd, &st) < 0)
		return err_sys(e, errno, "release %s/%s", rel->template, rel->name);
	if (st.st_dev == dev && st.st_ino == ino)
		return 0;
	r = release_verify_skel(rel, NULL, e);
	if (r == 0) {
		dev = st.st_dev;
		ino = st.st_ino;
	}
	return r;
}

static int
create_from_template(const struct store *s, const struct jailspec *spec, struct record *rec, bool recorded,
		     const struct progress *pr, struct err *e)
{
	_auto_(release_close) struct release rel = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	struct err ignore = ERR_INIT;
	int there = space_is_there(s, spec, recorded, e), r;

	if (there < 0)
		return there;
	if (there && recorded)
		return make_mount_point(s, spec, e) < 0 ? -e->num : existed(s, spec->name, rec, e);
	r = release_open(s, spec->template, spec->release, &rel, e);
	if (r == 0 && !there && spec->space != SPACE_TMPFS)
		r = verify_once(&rel, e);
	if (r < 0)
		return r;
	free(rec->template);
	free(rec->release);
	rec->template = xstrdup(rel.template);
	rec->release = xstrdup(rel.name);
	r = there ? 0 : switch_create_hooks(&rel, &rec->pending, e);
	if (r == 0)
		r = write_record(s, spec->name, rec, recorded, e);
	if (r == 0 && !there)
		r = make_space(s, spec, &rel, pr, e);
	if (r == 0)
		r = make_mount_point(s, spec, e);
	if (r < 0) {
		if (!there)
			(void)unlinkat(s->j_fd, spec->name, AT_REMOVEDIR);
		(void)record_remove(s, spec->name, &ignore);
		return r;
	}
	return there ? RUN_CREATE_ADOPTED : RUN_CREATE_MADE;
}

static int
create_from_path(const struct store *s, const struct jailspec *spec, struct record *rec, bool recorded,
		 struct err *e)
{
	struct stat st;
	int r;

	if (recorded)
		return existed(s, spec->name, rec, e);
	if (lstat(spec->path, &st) < 0)
		return err_sys(e, errno, "path %s", spec->path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "path %s: is not a directory", spec->path);
	if (path_trusted(spec->path, e) < 0)
		return err_wrap(e, "path %s", spec->path);
	r = write_record(s, spec->name, rec, false, e);
	return r < 0 ? r : RUN_CREATE_MADE;
}

/* 1: it runs, 0: it does not; -errno, also for a damaged state. */
static int
is_running(const struct store *s, const char *name, struct err *e)
{
	struct state st;
	int r = state_read(s, name, &st, e);

	if (r <= 0)
		return r;
	r = os_jail_alive(&st.ref) == 1;
	state_free(&st);
	return r;
}

static int
create(const struct store *s, const struct jailspec *spec, bool ephemeral, const struct progress *pr,
       struct err *e)
{
	_auto_close int lock = -EBADF;
	_auto_(record_free) struct record rec = {0};
	int r = check_name(s, spec, e);
	bool recorded;

	if (r == 0)
		r = store_lock(s, &(struct store_want){"jail", spec->name, LOCK_WAIT_MS, NULL}, &lock, e);
	if (r == 0)
		r = tidy_record(s, spec->name, e);
	if (r == 0)
		r = record_read(s, spec->name, &rec, e);
	if (r < 0)
		return r;
	recorded = r > 0;
	if (!recorded) {
		rec.ephemeral = ephemeral;
		/* of a jail of that name whose destroy was killed: a new one has nothing of its files */
		if (change_remove_all(s, spec->name, e) < 0)
			return -e->num;
	}
	r = is_running(s, spec->name, e);
	if (r < 0)
		return r;
	if (r > 0) /* its jailspace is in use: an image is not opened */
		return recorded ? RUN_CREATE_EXISTED
				: err_set(e, EBUSY, "is running (brig stop %s)", spec->name);
	r = spec->root == ROOT_TEMPLATE ? create_from_template(s, spec, &rec, recorded, pr, e)
					: create_from_path(s, spec, &rec, recorded, e);
	if (r < 0 && !recorded)
		store_lock_remove(s, "jail", spec->name);
	return r;
}

int
run_create(const struct store *s, const struct jailspec *spec, const struct progress *pr, struct err *e)
{
	return create(s, spec, false, pr, e);
}

int
run_create_ephemeral(const struct store *s, const struct jailspec *spec, struct err *e)
{
	return create(s, spec, true, NULL, e);
}

/* Removes a jail of `brig run` that was not started yet, if the command that made it is gone: then nobody
 * holds its RUN_LOCK. */
static int
remove_abandoned(const struct store *s, const char *name, struct err *e)
{
	_auto_close int run = -EBADF, lock = -EBADF;
	_auto_(record_free) struct record rec = {0};
	struct state st;
	int r = record_read(s, name, &rec, e);

	if (r <= 0 || !rec.ephemeral)
		return r;
	r = store_lock_try(s, RUN_LOCK, name, &run, e);
	if (r == 0)
		r = store_lock_try(s, "jail", name, &lock, e);
	if (r < 0)
		return r == -EBUSY ? 0 : r;
	r = state_read(s, name, &st, e);
	if (r > 0) { /* it was started: stop and recovery clean up */
		state_free(&st);
		return 0;
	}
	if (r == 0)
		r = rec.template ? space_destroy(s, name, e) : 0;
	if (r == 0)
		r = record_remove(s, name, e);
	if (r == 0)
		store_lock_remove(s, RUN_LOCK, name);
	if (r == 0)
		store_lock_remove(s, "jail", name);
	return r;
}

int
run_remove_ephemeral(const struct store *s, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;
	int r = record_list_prefix(s, RUN_PREFIX, &names, e);

	for (size_t i = 0; i < names.n && r == 0; i++) {
		err_clear(e);
		r = remove_abandoned(s, names.v[i], e) < 0 && e->num != EBUSY ? -e->num : 0;
	}
	return r;
}

/* ---- destroy ---- */

struct removal {
	const struct store *s;
	const char *name;
};

static int
remove_record(void *ctx, struct err *e)
{
	const struct removal *m = ctx;

	return record_remove(m->s, m->name, e);
}

/* Is there anything of it on disk?  If not, the name is probably a typing error. */
static int
known(const struct store *s, const char *name, struct err *e)
{
	_auto_strv struct strv left = STRV_INIT;
	int r = fsx_look(s->js_fd, name, NULL);

	if (r == 0)
		r = fsx_look(s->j_fd, name, NULL);
	if (r != 0)
		return r < 0 ? err_sys(e, -r, "look for what there is of it in %s", s->base) : 1;
	r = space_leftovers(s, name, &left, e);
	return r < 0 ? r : left.n > 0;
}

/* Is there anything of what goes after the record (remove_rest)?  A destroy that was killed there has left it. */
static int
rest_is_left(const struct store *s, const char *name, struct err *e)
{
	_auto_free char *change = xasprintf("change/%s", name), *mark = xasprintf("switch/%s", name),
			*log = xasprintf("%s.log", name);
	const struct {
		int at;
		const char *name;
	} places[] = {{s->record_fd, change}, {s->record_fd, mark}, {s->jail_fd, name}, {s->log_fd, log}};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int r = places[i].at < 0 ? 0 : fsx_look(places[i].at, places[i].name, NULL);

		if (r != 0)
			return r < 0 ? err_sys(e, -r, "look for what there is of it (%s)", places[i].name) : 1;
	}
	return 0;
}

/* Cleans up after an instance that ended by itself or was killed: it may have left mounts and links. */
static int
clean_up(const struct store *s, const char *name, const struct jailspec *spec, int *lock, struct err *e)
{
	struct state st;
	int r = state_read(s, name, &st, e);

	if (r <= 0)
		return r;
	r = os_jail_alive(&st.ref);
	state_free(&st);
	if (r != 0)
		return err_set(e, EBUSY, "is running: stop it first (brig stop %s)", name);
	fd_close(TAKE_FD(*lock)); /* run_stop takes it */
	if (run_stop(s, name, spec, STOP_FORCE, NULL, e) < 0)
		return -e->num;
	r = store_lock(s, &(struct store_want){"jail", name, LOCK_WAIT_MS, NULL}, lock, e);
	if (r < 0)
		return r;
	return run_is_running(s, name) ? err_set(e, EBUSY, "is running: stop it first (brig stop %s)", name)
				       : 0;
}

static int
remove_space(const struct store *s, const char *name, const struct jailspec *spec, bool all, struct err *e)
{
	struct removal m = {s, name};
	bool dir = spec && spec->space == SPACE_DIR && spec->space_arg && all;
	int r = dir ? space_remove(s, name, spec->space_arg, remove_record, &m, e) : 0;

	if (r == 0)
		r = space_remove(s, name, NULL, remove_record, &m, e);
	if (r == 0 && spec && all && spec->space == SPACE_IMAGE)
		r = volume_remove(spec, e);
	return r;
}

/* Log and run files. */
static int
remove_rest(const struct store *s, const char *name, struct err *e)
{
	_auto_free char *log = xasprintf("%s.log", name);
	int r = state_remove(s, name, e);

	if (r == 0)
		r = fsx_rm_rf_at(s->jail_fd, name, e);
	if (r == 0)
		r = change_remove_all(s, name, e);
	if (r == 0 && s->log_fd >= 0 && unlinkat(s->log_fd, log, 0) < 0 && errno != ENOENT)
		r = err_sys(e, errno, "remove %s/%s", s->log, log);
	return r;
}

/* The caller holds the lock, and the jail does not run. */
static int
remove_jail(const struct store *s, const char *name, const struct jailspec *spec, bool all, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	int recorded = record_read(s, name, &rec, e), r = 1;
	bool by_path;

	if (recorded == -EINVAL) { /* damaged: it is removed anyway */
		err_clear(e);
		recorded = 0;
	}
	if (recorded < 0)
		return recorded;
	by_path = recorded ? !rec.template : spec && spec->root == ROOT_PATH;
	if (!recorded)
		r = by_path ? 0 : known(s, name, e);
	if (r == 0)
		r = rest_is_left(s, name, e);
	if (r == 0)
		return err_set(e, ENOENT, "no such jail (brig list)");
	if (r > 0)
		r = by_path ? record_remove(s, name, e) : remove_space(s, name, spec, all, e);
	return r;
}

static int
destroy(const struct store *s, const char *name, const struct jailspec *spec, bool all, struct err *e)
{
	_auto_close int lock = -EBADF;
	int r = name_check("jail", name, e);

	if (r == 0 && store_reserved(s, name) && !(spec && spec->root == ROOT_PATH))
		r = err_set(e, EINVAL, "is not a jail (brig template remove)");
	if (r == 0)
		r = store_lock(s, &(struct store_want){"jail", name, LOCK_WAIT_MS, NULL}, &lock, e);
	if (r == 0)
		r = clean_up(s, name, spec, &lock, e);
	if (r == 0)
		r = tidy_record(s, name, e);
	if (r == 0)
		r = remove_jail(s, name, spec, all, e);
	if (r == 0)
		r = remove_rest(s, name, e);
	if (lock >= 0 && (r == 0 || r == -ENOENT))
		store_lock_remove(s, "jail", name);
	return r;
}

int
run_destroy(const struct store *s, const char *name, const struct jailspec *spec, struct err *e)
{
	return destroy(s, name, spec, false, e);
}

int
run_destroy_all(const struct store *s, const char *name, const struct jailspec *spec, struct err *e)
{
	return destroy(s, name, spec, true, e);
}
