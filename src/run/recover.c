/* SPDX-License-Identifier: BSD-2-Clause */
/* Recovery: cleans up after killed commands, jails that ended by themselves and reboots, and finishes their
 * changes. */
#include "run/walk.h"
#include "store/change/change.h"

/* Cleans up one jail; if another command has its lock, it is left to that one. */
static int
recover_one(const struct store *s, const char *name, struct run_recovered *ret, struct err *e)
{
	_auto_close int lock = -EBADF;
	struct state st = {0};
	int r = store_lock_try(s, "jail", name, &lock, e);

	if (r == -EBUSY) {
		err_clear(e);
		return 0;
	}
	if (r == 0) /* read again: its stop may have ended since the states were listed */
		r = state_read(s, name, &st, e);
	if (r <= 0)
		return r;
	state_free(&st);
	r = jail_clean_up(s, name, &st, e);
	if (r == 0)
		strv_add(&ret->cleaned, name);
	state_free(&st);
	return r < 0 ? r : 0;
}

/* ---- changes ---- */

static const char *
kind_word(const struct change *c)
{
	static const char *const words[] = {"upgrade", "rollback", "merge"};

	return words[c->kind];
}

/* A jail that runs on the new release has done there what was to be done: that it runs is recorded after it. */
static void
nothing_waits(struct record *rec)
{
	pending_free(&rec->pending);
	free(rec->upgrade_from);
	rec->upgrade_from = NULL;
}

/*
 * Finishes a change that was committed.  Normally forwards.  If the old instance still runs, the command was
 * killed before it stopped it, and nothing of the change was carried out: it is discarded.  (The volume of a
 * running jail cannot be opened; the jail runs on the new release, so everything was carried out before it
 * started.)  If the jail is to run again, the change is left to its start, which can go back.
 */
static int
decided(struct ctx *c, const char *alive_on, bool again, char **ret_text, struct err *e)
{
	const struct change *ch = &c->change;
	struct walk_facts f = {.finish = true, .volume = on_volume(c)};
	_auto_free char *kind = xstrdup(kind_word(ch)), *from = xstrdup(ch->from), *to = xstrdup(ch->to);
	int r;

	if (c->rec.change == RECORD_REVERT) {
		f = (struct walk_facts){.files = FILES_BACK};
		c->waits = true; /* a prepared change waits for the next start again */
	} else if (alive_on && ch->kind != CHANGE_MERGE && streq(alive_on, ch->from)) {
		f = (struct walk_facts){.files = FILES_DISCARD};
		r = walk_down(c, &f, e);
		if (r == 0)
			*ret_text = xasprintf("the %s to %s was interrupted before this jail was switched: it "
					      "stays on %s",
					      kind, to, from);
		return r;
	} else if (again) {
		*ret_text = xasprintf("the %s to %s was interrupted: goes on", kind, to);
		return 0;
	} else {
		f.files = alive_on && on_volume(c) ? FILES_DONE : FILES_GO_ON;
	}
	if (c->rec.change == RECORD_APPLY && alive_on && ch->kind != CHANGE_MERGE && streq(alive_on, ch->to))
		nothing_waits(&c->rec);
	r = walk_down(c, &f, e);
	if (r < 0)
		return r;
	*ret_text = f.files == FILES_BACK ? xasprintf("going back to %s was interrupted: completed", from)
					  : xasprintf("the %s to %s was interrupted: completed", kind, to);
	return 0;
}

static bool
same_boot(const char *boot)
{
	struct err ignore = ERR_INIT;
	char now[40];

	return os_boot_id(now, &ignore) == 0 && streq(now, boot);
}

/* A prepared change waits for the next start; the mark must not make a command start the jail. */
static int
only_waits(struct ctx *c, struct err *e)
{
	return wants_restart(c->s, c->next.id.name) ? change_mark_restart(c->s, c->next.id.name, "", e) : 0;
}

/* Deals with what is unfinished about a jail.  The caller holds its lock.  alive_on: the release that it runs
 * on, or NULL. */
static int
unfinished(struct ctx *c, const char *alive_on, bool leave, char **ret_text, bool *ret_again, struct err *e)
{
	const char *name = c->next.id.name;
	int r = record_read(c->s, name, &c->rec, e);

	if (r < 0)
		return r;
	if (r == 0)
		return change_remove_all(c->s, name, e);
	switch (c->rec.change) {
	case RECORD_SETTLED:
		*ret_again = !alive_on && !leave && wants_restart(c->s, name);
		return change_tidy(c->s, name, &c->rec, -EBADF, *ret_again, e);
	case RECORD_PREPARED: /* it waits for a start; a jail that was down for a restart is started now */
		*ret_again = !alive_on && !leave && wants_restart(c->s, name);
		return *ret_again ? 0 : only_waits(c, e);
	case RECORD_APPLY:
	case RECORD_REVERT:
		break;
	}
	r = ctx_load_change(c, e);
	if (r < 0)
		return r;
	*ret_again = !alive_on && !leave &&
		     (wants_restart(c->s, name) || (c->change.restart && same_boot(c->change.boot)));
	if (*ret_again && up_mark(c, &c->next, e) < 0)
		return -e->num;
	r = decided(c, alive_on, *ret_again, ret_text, e);
	*ret_again = *ret_again && r == 0;
	return r == 0 && c->rec.change == RECORD_PREPARED && !*ret_again ? only_waits(c, e) : r;
}

int
lock_against_upgrades(const struct store *s, const char *name, int *ret_lock, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	int r = record_read(s, name, &rec, e);

	return r <= 0 || !rec.template ? r : store_lock_try(s, "upgrade", rec.template, ret_lock, e);
}

/* Recovers an interrupted change.  The release that a running jail is on is read from its mount. */
static int
recover_change(const struct store *s, const char *name, bool leave, struct run_recovered *ret, struct err *e)
{
	_auto_close int lock = -EBADF, upgrade = -EBADF;
	_auto_free char *template = NULL, *release = NULL, *text = NULL;
	struct ctx c = CTX_INIT(s, NULL, name);
	struct state st = {0};
	bool again = false;
	dev_t dev;
	ino_t ino;
	int r = lock_against_upgrades(s, name, &upgrade, e);

	if (r >= 0)
		r = store_lock_try(s, "jail", name, &lock, e);
	if (r == -EBUSY) {
		err_clear(e);
		return 0;
	}
	if (r == 0)
		r = jail_clean_up(s, name, &st, e);
	if (r > 0)
		r = os_jail_root(&st.ref, &dev, &ino, e) < 0
			? -e->num
			: release_by_inode(s, dev, ino, &template, &release, e);
	state_free(&st);
	if (r >= 0)
		r = unfinished(&c, release, leave, &text, &again, e);
	if (r == 0 && text)
		strv_addf(&ret->said, "%s: %s", name, text);
	if (r == 0 && again)
		strv_add(&ret->restart, name);
	ctx_free(&c);
	return r;
}

int
run_give_up_restart(const struct store *s, const char *jail, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	int r = record_read(s, jail, &rec, e);

	if (r < 0)
		return r;
	/* a change that could go neither forwards nor back: the mark stays, so that the next command tries
	 * again */
	if (r > 0 && rec.change != RECORD_SETTLED)
		return 0;
	return change_unmark(s, jail, e);
}

/* ---- all of it ---- */

static void
failed(struct run_recovered *ret, const char *what, const char *jail, const struct err *e)
{
	strv_addf(&ret->failed, "%s jail %s: %s", what, jail, e->msg);
}

int
run_recover(const struct store *s, const struct strv *leave, struct run_recovered *ret, struct err *e)
{
	_auto_strv struct strv changes = STRV_INIT;
	struct state *list;
	size_t n;
	int r = state_list_brief(s, &list, &n, e);

	if (r == 0)
		r = state_tidy(s, list, n, e);
	for (size_t i = 0; i < n; i++) {
		struct err one = ERR_INIT;

		if (state_is_stale(&list[i]) && recover_one(s, list[i].name, ret, &one) < 0)
			failed(ret, "cleaning up after", list[i].name, &one);
		state_free(&list[i]);
	}
	free(list);
	if (r == 0)
		r = record_tidy(s, e);
	if (r == 0)
		r = run_remove_ephemeral(s, e);
	if (r == 0)
		r = change_unfinished(s, &changes, e);
	for (size_t i = 0; i < changes.n && r == 0; i++) {
		bool stays = leave && (strv_has(leave, changes.v[i]) || strv_has(leave, "*"));
		struct err one = ERR_INIT;

		if (recover_change(s, changes.v[i], stays, ret, &one) < 0)
			failed(ret, "going on with", changes.v[i], &one);
	}
	return r < 0 ? r : space_tidy(s, e);
}
