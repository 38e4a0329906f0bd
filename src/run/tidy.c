/* SPDX-License-Identifier: BSD-2-Clause */
/* Rollback data: what it takes, and what of it no rollback will use. */
#include "base/fsx.h"
#include "run/steps.h"
#include "store/template/release.h"

/* Is anything there that changes left?  1, 0, -errno. */
static int
has_changes(const struct store *s, const char *name, struct err *e)
{
	_auto_free char *dir = xasprintf("change/%s", name);
	int r = s->record_fd < 0 ? 0 : fsx_look(s->record_fd, dir, NULL);

	return r < 0 ? err_sys(e, -r, "%s/js/.brig/%s", s->base, dir) : r;
}

/* Opens the jailspace, if it can be: what lies in it of changes counts, and goes with it.  *ret_not: it is a volume that
 * is not mounted for this (looking: none is) or is a running jail's. */
static int
open_files(const struct store *s, const char *name, const struct jailspec *spec, bool looking, int *ret_fd,
	   char **ret_not, struct err *e)
{
	_auto_free char *where = spec ? space_where(spec) : xstrdup("");
	int r;

	if (spec && spec->root != ROOT_TEMPLATE)
		return 0;
	if (spec && (spec->space == SPACE_IMAGE || spec->space == SPACE_DEVICE) &&
	    (looking || run_is_running(s, name))) {
		*ret_not = TAKE_PTR(where);
		return 0;
	}
	r = space_by_where(s, name, where, ret_fd, e);
	if (r == -ENOENT) { /* it was never made, or its file or directory is gone */
		err_clear(e);
		r = 0;
	}
	return r;
}

static int
tidy_locked(const struct store *s, const char *name, const struct jailspec *spec, bool dry,
	    struct run_tidied *ret, struct err *e)
{
	const struct change_keep keep =
	    spec ? (struct change_keep){spec->undo_keep, spec->undo_age} : CHANGE_KEEP_ALL;
	_auto_(record_free) struct record rec = {0};
	_auto_close int space = -EBADF;
	struct change_usage size = {0};
	int found = record_read(s, name, &rec, e), r;

	r = found < 0 ? found : record_check_finished(&rec, name, e);
	if (r == 0)
		r = has_changes(s, name, e);
	if (r <= 0)
		return r;
	if (open_files(s, name, spec, false, &space, &ret->in_use, e) < 0 ||
	    change_look_useless(s, name, &rec, &keep, &ret->changes, e) < 0)
		return -e->num;
	record_remove_undo(&rec, 0, ret->changes);
	r = change_usage(s, name, &rec, space, &size, e);
	ret->bytes = size.unused;
	if (r < 0 || dry || found == 0)
		return r < 0 || dry ? r : change_remove_all(s, name, e);
	if (ret->changes > 0)
		r = record_write(s, name, &rec, e);
	return r < 0 ? r : change_tidy(s, name, &rec, space, true, e);
}

int
run_tidy(const struct store *s, const char *name, const struct jailspec *spec, bool dry,
	 struct run_tidied *ret, struct err *e)
{
	_auto_close int upgrade = -EBADF, lock = -EBADF;
	int r = lock_against_upgrades(s, name, &upgrade, e);

	*ret = (struct run_tidied){0};
	if (r >= 0)
		r = store_lock_try(s, "jail", name, &lock, e);
	if (r == 0)
		r = tidy_locked(s, name, spec, dry, ret, e);
	return r;
}

void
run_tidied_free(struct run_tidied *t)
{
	free(t->in_use);
}

int
run_kept(const struct store *s, const char *name, const struct jailspec *spec, bool size,
	 struct run_kept *ret, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	_auto_close int space = -EBADF;
	struct change_usage usage = {0};
	int r = record_read(s, name, &rec, e);

	*ret = (struct run_kept){.changes = rec.n_undo};
	for (size_t i = rec.n_undo; i-- > 0 && r > 0;) {
		struct err ignore = ERR_INIT;

		if (change_can_begin(&rec, i) &&
		    release_exists(s, rec.template, rec.undo[i].from, &ignore) == 0)
			strv_add(&ret->to, rec.undo[i].from);
	}
	if (r > 0 && size)
		r = open_files(s, name, spec, true, &space, &ret->not_counted, e);
	if (r >= 0 && size)
		r = change_usage(s, name, &rec, space, &usage, e);
	ret->bytes = usage.used;
	return r < 0 ? r : 0;
}

void
run_kept_free(struct run_kept *k)
{
	strv_free(&k->to);
	free(k->not_counted);
}
