/* SPDX-License-Identifier: BSD-2-Clause */
/* How long what a rollback needs is kept: as long as a rollback can begin with it or goes over it. */
#include <time.h>

#include "base/fsx.h"
#include "store/change/internal.h"
#include "store/template/release.h"

/*
 * A rollback goes to the release that an entry left, and over every entry after it.  So none begins with a
 * decision, which left no release, nor with an entry whose release the jail is on, or has left once more since.
 */
bool
change_can_begin(const struct record *rec, size_t i)
{
	const char *to = rec->undo[i].from;

	if (streq(to, rec->undo[i].to) || streq(to, rec->release))
		return false;
	for (size_t k = i + 1; k < rec->n_undo; k++)
		if (streq(rec->undo[k].from, to) && !streq(rec->undo[k].to, to))
			return false;
	return true;
}

size_t
change_useless(const struct record *rec, const struct change_keep *keep, const bool *there, int64_t now)
{
	size_t first = rec->n_undo;
	int n = 0;

	for (size_t i = rec->n_undo; i-- > 0;) {
		const struct record_undo *u = &rec->undo[i];

		n += !streq(u->from, u->to);
		if ((keep->n >= 0 && n > keep->n) || (keep->age > 0 && u->when < now - keep->age))
			break;
		if (there[i] && change_can_begin(rec, i))
			first = i;
	}
	return first;
}

/* When a change ended that a brig recorded which did not write it down: its file was written then.  A missing
 * file is as old as can be. */
static int
look_at_time(const struct store *s, const char *jail, struct record_undo *u, struct err *e)
{
	_auto_free char *file = xasprintf("change/%s/%u.json", jail, u->id);
	struct stat st;
	int r = fsx_look(s->record_fd, file, &st);

	if (r < 0)
		return err_sys(e, -r, "%s/js/.brig/%s", s->base, file);
	u->when = r > 0 ? st.st_mtim.tv_sec : 0;
	return 0;
}

/* 1, 0, -errno. */
static int
is_there(const struct store *s, const char *template, const char *release, struct err *e)
{
	int r = release_exists(s, template, release, e);

	if (r != -ENOENT)
		return r < 0 ? r : 1;
	err_clear(e);
	return 0;
}

int
change_look_useless(const struct store *s, const char *jail, struct record *rec,
		    const struct change_keep *keep, size_t *ret, struct err *e)
{
	_auto_free bool *there = xcalloc(rec->n_undo + 1, sizeof(*there));

	/* where not even the jail's own release is, the others may be where that one is */
	if (rec->n_undo > 0 && release_exists(s, rec->template, rec->release, e) < 0)
		return err_wrap(e, "jail %s", jail);
	for (size_t i = 0; i < rec->n_undo; i++) {
		int r = change_can_begin(rec, i) ? is_there(s, rec->template, rec->undo[i].from, e) : 0;

		if (r < 0 ||
		    (keep->age > 0 && rec->undo[i].when == 0 && look_at_time(s, jail, &rec->undo[i], e) < 0))
			return -e->num;
		there[i] = r > 0;
	}
	*ret = change_useless(rec, keep, there, time(NULL));
	return 0;
}
