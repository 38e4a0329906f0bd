/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps of a change: a jail's release and files (store/change/change.h), and what is measured around it. */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/name.h"
#include "init/proto.h"
#include "run/steps.h"
#include "run/files.h"

#define BEGUN_TRIES 1000
#define BEGUN_PAUSE_NS 100000
#define WATCH_MS 5000 /* time for a socket to listen again, before it is reported missing */

/* ---- the jailspace ---- */

bool
on_volume(const struct ctx *c)
{
	const struct jailspec *spec = c->next.spec;

	if (c->has_change)
		return str_after(c->change.space, "image:") || str_after(c->change.space, "device:");
	return spec && (spec->space == SPACE_IMAGE || spec->space == SPACE_DEVICE);
}

/* Opens the jailspace.  A volume is open only during a step: it must be unmounted before a jail mounts it. */
static int
open_space(struct ctx *c, struct err *e)
{
	_auto_free char *where = c->has_change ? xstrdup(c->change.space) : space_where(c->next.spec);
	int r;

	if (c->space >= 0)
		return 0;
	r = space_by_where(c->s, c->next.spec ? c->next.spec->name : c->change.jail, where, &c->space, e);
	if (r == 0 && c->has_change)
		r = change_open_nodes(&c->change, c->space, e);
	if (r < 0) /* both, or none */
		fd_close(TAKE_FD(c->space));
	return r;
}

static void
leave_volume(struct ctx *c)
{
	if (!on_volume(c))
		return;
	if (c->has_change)
		change_close_nodes(&c->change);
	fd_close(TAKE_FD(c->space));
}

int
ctx_load_change(struct ctx *c, struct err *e)
{
	int r = change_load(c->s, c->next.id.name, c->rec.change_id, -EBADF, &c->change, e);

	if (r == 0)
		c->has_change = true;
	return r;
}

/* ---- the mark ---- */

int
up_mark(struct ctx *c, struct instance *i, struct err *e)
{
	char boot[40];
	int r = os_boot_id(boot, e);

	if (r == 0)
		r = change_mark_restart(c->s, i->id.name, boot, e);
	c->marked |= r == 0;
	return r;
}

bool
wants_restart(const struct store *s, const char *jail)
{
	struct err ignore = ERR_INIT;
	char boot[40];

	return change_is_marked(s, jail) && os_boot_id(boot, &ignore) == 0 && change_wants_restart(s, jail, boot);
}

/* Removes the mark, unless a change is unfinished: then it belongs to that. */
int
down_mark(struct ctx *c, struct instance *i, struct err *e)
{
	c->marked = false;
	return c->has_change ? 0 : change_unmark(c->s, i->id.name, e);
}

/* ---- stage, decide ---- */

static int
begin_change(struct ctx *c, struct err *e)
{
	const struct jailspec *spec = c->next.spec;
	_auto_free char *where = space_where(spec);
	const struct change_want want = {spec->name, &c->rec, c->to->kind, c->to->release, where, c->space};
	int r = change_new(c->s, &want, &c->change, e);

	if (r < 0)
		return r;
	c->has_change = true;
	c->change.restart = c->old.st.name != NULL || c->to->restart;
	c->change.ignore_listen = c->to->ignore_listen;
	c->change.force = c->to->force && strv_has(c->to->force, spec->label);
	c->change.keep = (struct change_keep){spec->undo_keep, spec->undo_age};
	if (c->to->always)
		strv_copy(&c->change.always, c->to->always);
	if (c->to->ignore)
		strv_copy(&c->change.ignore, c->to->ignore);
	for (size_t k = 0; c->to->keep_data && k < c->to->keep_data->n; k++)
		(void)change_keep_data(&c->change.keep_data, c->to->keep_data->v[k]);
	c->change.keep_guarded = c->to->keep_guarded;
	c->change.with_data = c->to->with_data;
	return os_boot_id(c->change.boot, e);
}

int
up_intend(struct ctx *c, struct instance *i _unused_, struct err *e)
{
	int r = on_volume(c) ? 0 : open_space(c, e);

	if (r == 0)
		r = begin_change(c, e);
	c->change.prepared = true;
	if (r == 0)
		r = change_seal(&c->change, e);
	return r < 0 ? r : change_prepare(&c->change, &c->rec, e);
}

int
up_stage(struct ctx *c, struct instance *i _unused_, struct err *e)
{
	int r = open_space(c, e);

	if (r == 0)
		r = c->has_change ? change_restage(&c->change, e) : begin_change(c, e);
	if (r == 0)
		r = c->stage ? c->stage(c, e) : switch_stage(c->to, &c->change, &c->rec, c->space, e);
	return r < 0 ? r : change_seal(&c->change, e);
}

/* Warns, at the end, of each file that is not as the change wants it. */
static void
tell_kept(const struct ctx *c, const char *label, bool back)
{
	for (size_t i = 0; i < c->change.kept.n && c->change.kind != CHANGE_MERGE; i++) {
		_auto_free char *path = text_printable(c->change.kept.v[i], 4096);
		_auto_free char *text =
		    back ? xasprintf("%s: kept, because the jail changed it meanwhile", path)
		    : c->change.kind == CHANGE_ROLLBACK
			? xasprintf("%s: changed since, kept as it is", path)
			: xasprintf("%s: the release has it no more, kept because the jail changed it", path);

		run_warn(c->who, label, text);
	}
}

/* Discards the change.  A prepared one whose start was interrupted waits for the next start again. */
int
down_stage(struct ctx *c, struct instance *i, struct err *e)
{
	bool waits = c->change.prepared && c->waits;
	int r;

	if (!c->has_change) { /* it could not be begun: the jail gets its volume back all the same */
		leave_volume(c);
		return 0;
	}
	r = waits ? 0 : open_space(c, e);
	c->change.keep_mark = c->marked;
	if (r == 0)
		r = waits ? change_prepare_again(&c->change, &c->rec, e)
			  : change_discard(&c->change, &c->rec, c->space, e);
	leave_volume(c);
	if (r < 0)
		return r;
	c->has_change = false;
	tell_kept(c, i->id.name, true);
	return 0;
}

int
up_decide(struct ctx *c, struct instance *i _unused_, struct err *e)
{
	return change_commit(&c->change, &c->rec, e);
}

int
down_decide(struct ctx *c, struct instance *i _unused_, struct err *e)
{
	return change_commit_back(&c->change, &c->rec, e);
}

/* ---- the files ---- */

/* A copy that could not be made goes with the change, which is discarded. */
int
up_keep(struct ctx *c, struct instance *i _unused_, struct err *e)
{
	int64_t begin = clock_us();
	int r = c->change.keep_data.n == 0 || c->change.n_copy > 0 ? 1 : open_space(c, e);

	if (r == 0)
		r = change_copy_data(&c->change, c->space, e);
	for (size_t k = 0; k < c->change.n_copy && r == 0 && c->res; k++)
		c->res->copied += c->change.copy[k].bytes;
	if (r == 0 && c->res)
		c->res->copied_us = clock_us() - begin;
	return r < 0 ? r : 0;
}

int
up_files(struct ctx *c, struct instance *i _unused_, struct err *e)
{
	int r = open_space(c, e);

	if (r == 0)
		r = change_apply(&c->change, c->space, e);
	if (r == 0 && on_volume(c))
		r = change_sync(&c->change, c->space, e);
	leave_volume(c);
	return r;
}

int
down_files(struct ctx *c, struct instance *i _unused_, struct err *e)
{
	int r = open_space(c, e);

	if (r == 0)
		r = change_revert(&c->change, c->space, e);
	leave_volume(c);
	return r;
}

/* ---- what is measured ---- */

int
up_watch(struct ctx *c, struct instance *i _unused_, struct err *e)
{
	int r = os_watch_start(&c->old.st.ref, c->made, &c->watch, e);

	return r < 0 ? r : 0;
}

int
down_watch(struct ctx *c, struct instance *i _unused_, struct err *e _unused_)
{
	os_watch_end(c->watch);
	c->watch = NULL;
	return 0;
}

/* Waits until the first process has a record of each service (init/proto.h), a moment after its release. */
static void
wait_begun(const struct ctx *c)
{
	_auto_free char *file = xasprintf("jail/%s/" STATE_SERVICES, c->next.spec->name);
	_auto_close int fd = openat(c->s->run_fd, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	size_t n = c->next.spec->service.n;
	char first;

	for (int i = 0; fd >= 0 && i < BEGUN_TRIES && n > 0; i++) {
		/* those of services that are followed come behind it, and can be there before */
		if (pread(fd, &first, 1, (off_t)(n - 1) * INIT_RECORD) == 1 && first)
			return;
		(void)nanosleep(&(struct timespec){0, BEGUN_PAUSE_NS}, NULL);
	}
}

void
note_up(struct ctx *c)
{
	wait_begun(c);
	c->up_us = clock_us();
}

int
up_measure(struct ctx *c, struct instance *i, struct err *e _unused_)
{
	struct os_outage out = {0};
	struct err why = ERR_INIT;

	if (!c->res)
		return 0;
	c->res->down_us = c->up_us - c->stopped_us;
	if (!c->watch)
		return 0;
	if (os_watch_ready(c->watch, WATCH_MS, &out, &why) == 0 && out.listeners > 0) {
		c->res->down_us = out.down_us;
		c->res->listeners = out.listeners;
		for (size_t k = 0; k < out.missing.n; k++) {
			_auto_free char *text =
			    xasprintf("%s: nothing listens there any more", out.missing.v[k]);

			run_warn(i->who, i->spec->label, text);
		}
	}
	strv_free(&out.missing);
	c->watch = NULL;
	return 0;
}

/* ---- the end ---- */

int
up_finish(struct ctx *c, struct instance *i, struct err *e)
{
	int r;

	if (!c->has_change) /* an uncommitted change may have left something */
		return c->rec.template ? change_tidy(c->s, i->id.name, &c->rec, -EBADF, false, e)
				       : change_unmark(c->s, i->id.name, e);
	/* a volume was synced before the jail got it */
	c->change.keep_mark = false;
	r = change_finish(&c->change, &c->rec, c->space, e);
	if (r < 0)
		return r;
	c->has_change = false;
	tell_kept(c, i->id.name, false);
	return 0;
}
