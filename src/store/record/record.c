/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>

#include "base/fsx.h"
#include "base/name.h"
#include "store/record/ids.h"
#include "store/record/json.h"

#define TEMP_PREFIX ".tmp." /* fsx_write_atomic() */
#define RECORD_MAX (8u << 20)

static const char *const change_names[] = {"settled", "prepared", "apply", "revert"};

void
record_free(struct record *r)
{
	free(r->template);
	free(r->release);
	free(r->created);
	free(r->change_other);
	for (size_t i = 0; i < r->n_undo; i++) {
		free(r->undo[i].from);
		free(r->undo[i].to);
	}
	free(r->undo);
	for (size_t i = 0; i < r->n_conflict; i++) {
		free(r->conflict[i].path);
		free(r->conflict[i].base);
		free(r->conflict[i].why);
	}
	free(r->conflict);
	pending_free(&r->pending);
	free(r->upgrade_from);
	strv_free(&r->missing);
	*r = (struct record){0};
}

/* ---- commands that wait ---- */

void
pending_free(struct pending *p)
{
	for (size_t i = 0; i < PENDING_N; i++)
		strv_free(&p->v[i]);
}

void
pending_copy(struct pending *dst, const struct pending *src)
{
	pending_free(dst);
	for (size_t i = 0; i < PENDING_N; i++)
		strv_copy(&dst->v[i], &src->v[i]);
}

void
pending_add(struct pending *p, enum pending_kind kind, const char *command)
{
	if (!strv_has(&p->v[kind], command))
		strv_add(&p->v[kind], command);
}

/* ---- conflicts, undo ---- */

/* The index of the conflict of this path, or where it would be inserted. */
static size_t
conflict_place(const struct record *r, const char *path)
{
	size_t i = 0;

	while (i < r->n_conflict && strcmp(r->conflict[i].path, path) < 0)
		i++;
	return i;
}

const struct record_conflict *
record_conflict(const struct record *r, const char *path)
{
	size_t i = conflict_place(r, path);

	return i < r->n_conflict && streq(r->conflict[i].path, path) ? &r->conflict[i] : NULL;
}

void
record_remove_conflict(struct record *r, const char *path)
{
	size_t i = conflict_place(r, path);

	if (i == r->n_conflict || !streq(r->conflict[i].path, path))
		return;
	free(r->conflict[i].path);
	free(r->conflict[i].base);
	free(r->conflict[i].why);
	r->n_conflict--;
	memmove(&r->conflict[i], &r->conflict[i + 1], (r->n_conflict - i) * sizeof(*r->conflict));
}

void
record_add_conflict(struct record *r, const char *path, const char *base, const char *why)
{
	size_t i;

	record_remove_conflict(r, path);
	i = conflict_place(r, path);
	r->conflict = xrealloc(r->conflict, r->n_conflict + 1, sizeof(*r->conflict));
	memmove(&r->conflict[i + 1], &r->conflict[i], (r->n_conflict - i) * sizeof(*r->conflict));
	r->conflict[i] = (struct record_conflict){xstrdup(path), xstrdup(base), xstrdup(why)};
	for (char *p = r->conflict[i].why; *p; p++) /* the text may quote bytes of the jail's files */
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	r->n_conflict++;
}

void
record_add_undo(struct record *r, unsigned id, const char *from, const char *to, int64_t when)
{
	r->undo = xrealloc(r->undo, r->n_undo + 1, sizeof(*r->undo));
	r->undo[r->n_undo++] = (struct record_undo){id, xstrdup(from), xstrdup(to), when};
}

int
record_check_finished(const struct record *r, const char *jail, struct err *e)
{
	if (r->change == RECORD_APPLY || r->change == RECORD_REVERT)
		return err_set(e, EBUSY,
			       "an earlier change of its files is not finished (brig status %s says why)", jail);
	return 0;
}

void
record_remove_undo(struct record *r, size_t first, size_t n)
{
	if (n == 0)
		return;
	for (size_t i = first; i < first + n; i++) {
		free(r->undo[i].from);
		free(r->undo[i].to);
	}
	r->n_undo -= n;
	memmove(&r->undo[first], &r->undo[first + n], (r->n_undo - first) * sizeof(*r->undo));
}

/* ---- reading ---- */

static int
parse_undo(const json_t *list, struct record *r)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *from, *to;
		json_int_t when = 0;
		int id;

		if (json_unpack((json_t *)(uintptr_t)one, "{s:i, s:s, s:s, s?I}", "id", &id, "from", &from,
				"to", &to, "when", &when) < 0 ||
		    id <= 0)
			return -EINVAL;
		record_add_undo(r, (unsigned)id, from, to, when);
	}
	return 0;
}

/* Conflicts, undo and the change that is under way; absent for a jail that was never changed. */
static int
parse_changes(const json_t *j, struct record *r)
{
	const char *state = json_string_value(json_object_get(j, "change"));

	for (size_t i = 0; state && i < ARRAY_LEN(change_names); i++)
		if (streq(state, change_names[i]))
			r->change = (enum record_change)i;
	r->change_id = (unsigned)json_integer_value(json_object_get(j, "change_id"));
	r->change_other = xstrdup_null(json_string_value(json_object_get(j, "change_other")));
	if (state && (r->change == RECORD_SETTLED || r->change_id == 0 || !r->change_other))
		return -EINVAL;
	r->upgrade_from = xstrdup_null(json_string_value(json_object_get(j, "upgrade_from")));
	if (record_parse_pending(j, "", &r->pending) < 0 ||
	    record_parse_texts(json_object_get(j, "missing"), &r->missing) < 0 ||
	    parse_undo(json_object_get(j, "undo"), r) < 0)
		return -EINVAL;
	return record_parse_conflicts(json_object_get(j, "conflicts"), r);
}

static int
parse_record(const json_t *j, struct record *ret)
{
	const char *template = NULL, *release = NULL, *created = NULL;
	struct record r = {0};
	json_int_t idbase;

	if (!j ||
	    json_unpack((json_t *)(uintptr_t)j, "{s:I, s?s, s?s, s?s}", "idbase", &idbase, "template",
			&template, "release", &release, "created", &created) < 0 ||
	    idbase < 0 || idbase > UINT32_MAX - ID_COUNT)
		return -EINVAL;
	r.idbase = (uint32_t)idbase;
	r.template = xstrdup_null(template);
	r.release = xstrdup_null(release);
	r.created = xstrdup_null(created);
	r.ephemeral = json_is_true(json_object_get(j, "ephemeral"));
	if (parse_changes(j, &r) < 0) {
		record_free(&r);
		return -EINVAL;
	}
	*ret = r;
	return 0;
}

int
record_read(const struct store *s, const char *jail, struct record *ret, struct err *e)
{
	_auto_free char *file = xasprintf("%s.json", jail);
	_auto_free char *text = NULL;
	json_error_t je;
	json_t *j;
	size_t len;
	int r;

	if (s->record_fd < 0)
		return 0;
	r = fsx_read_at(s->record_fd, file, RECORD_MAX, &text, &len, e);
	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return err_wrap(e, "record of jail %s", jail);
	j = json_loadb(text, len, 0, &je);
	r = parse_record(j, ret);
	json_decref(j);
	if (r < 0)
		return err_set(e, EINVAL, "record of jail %s: %s/js/.brig/%s is damaged", jail, s->base,
			       file);
	return 1;
}

/* ---- writing ---- */

static json_t *
pack_undo(const struct record *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_undo; i++) {
		const struct record_undo *u = &r->undo[i];
		json_t *j = json_pack("{s:i, s:s, s:s}", "id", (int)u->id, "from", u->from, "to", u->to);

		if (u->when)
			(void)json_object_set_new(j, "when", json_integer(u->when));
		(void)json_array_append_new(list, j);
	}
	return list;
}

static void
pack_changes(const struct record *r, json_t *j)
{
	if (r->change != RECORD_SETTLED) {
		(void)json_object_set_new(j, "change", json_string(change_names[r->change]));
		(void)json_object_set_new(j, "change_id", json_integer(r->change_id));
		(void)json_object_set_new(j, "change_other", json_string(r->change_other));
	}
	if (r->n_undo)
		(void)json_object_set_new(j, "undo", pack_undo(r));
	if (r->n_conflict)
		(void)json_object_set_new(j, "conflicts", record_json_conflicts(r));
	if (r->missing.n)
		(void)json_object_set_new(j, "missing", record_json_texts(&r->missing));
	record_json_pending(j, "", &r->pending);
	if (r->upgrade_from)
		(void)json_object_set_new(j, "upgrade_from", json_string(r->upgrade_from));
}

int
record_write(const struct store *s, const char *jail, const struct record *r, struct err *e)
{
	_auto_free char *file = xasprintf("%s.json", jail);
	_auto_free char *text = NULL;
	json_t *j;

	/* the link of the range first: a link without a record is found, and its range used again */
	if (record_keep_range(s, jail, r->idbase, e) < 0)
		return -e->num;
	j = json_pack("{s:I, s:s*, s:s*, s:s*}", "idbase", (json_int_t)r->idbase, "template", r->template,
		      "release", r->release, "created", r->created);
	if (j)
		pack_changes(r, j);
	if (j && r->ephemeral)
		(void)json_object_set_new(j, "ephemeral", json_true());
	text = j ? json_dumps(j, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
	json_decref(j);
	if (!text)
		return err_set(e, ENOMEM, "record of jail %s: out of memory", jail);
	if (fsx_write_text(s->record_fd, file, text, 0600, FSX_SYNC, e) < 0)
		return err_wrap(e, "record of jail %s", jail);
	return 0;
}

int
record_remove(const struct store *s, const char *jail, struct err *e)
{
	_auto_free char *file = xasprintf("%s.json", jail);
	_auto_close int lock = -EBADF;
	struct record r;
	int found = record_read(s, jail, &r, e);

	if (found == 0)
		return 0;
	/* without the lock, another command could find the link without a record, and use the range */
	if (store_lock_wait(s, "registry", &lock, e) < 0) {
		if (found > 0)
			record_free(&r);
		return -e->num;
	}
	if (s->record_fd >= 0 && unlinkat(s->record_fd, file, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove the record of jail %s", jail);
	if (found > 0) {
		record_give_back_range(s, jail, r.idbase);
		record_free(&r);
	}
	err_clear(e);
	return fsx_sync_dir(s->record_fd, file, e);
}

/* Names in js/.brig that begin with prefix, sorted. */
static int
names_with(const struct store *s, const char *prefix, struct strv *ret, struct err *e)
{
	_auto_closedir DIR *dir = NULL;
	struct dirent *de;
	int fd;

	if (s->record_fd < 0)
		return 0;
	fd = openat(s->record_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return err_sys(e, errno, "%s/js/.brig", s->base);
	}
	while ((errno = 0, de = readdir(dir)))
		if (str_after(de->d_name, prefix))
			strv_add(ret, de->d_name);
	if (errno)
		return err_sys(e, errno, "%s/js/.brig", s->base);
	strv_sort(ret);
	return 0;
}

int
record_list_prefix(const struct store *s, const char *prefix, struct strv *ret, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;
	int r = names_with(s, prefix, &names, e);

	for (size_t i = 0; i < names.n; i++) {
		size_t len = strlen(names.v[i]);

		if (len > 5 && streq(names.v[i] + len - 5, ".json")) {
			_auto_free char *name = xstrndup(names.v[i], len - 5);

			if (name_ok(name))
				strv_add(ret, name);
		}
	}
	strv_sort(ret); /* "a-b.json" comes before "a.json" */
	return r;
}

int
record_list(const struct store *s, struct strv *ret, struct err *e)
{
	return record_list_prefix(s, "", ret, e);
}

int
record_tidy(const struct store *s, struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;
	int r = names_with(s, TEMP_PREFIX, &names, e);

	for (size_t i = 0; i < names.n && r >= 0; i++) {
		const char *name = names.v[i] + strlen(TEMP_PREFIX);
		const char *end = strstr(name, ".json.");
		_auto_free char *jail = end ? xstrndup(name, (size_t)(end - name)) : NULL;
		_auto_free char *file = jail ? xasprintf("%s.json", jail) : NULL;
		_auto_close int lock = -EBADF;

		if (!jail || !name_ok(jail))
			continue;
		r = store_lock_try(s, "jail", jail, &lock, e);
		if (r == -EBUSY) { /* its writer lives */
			err_clear(e);
			r = 0;
			continue;
		}
		if (r < 0 || fsx_tidy_at(s->record_fd, file, e) < 0)
			return -e->num;
		r = 0;
	}
	return r;
}
