/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ID.json: a change on disk.  Only brig writes it; paths and link targets are in vis(3)'s octal form, since
 * file names are any bytes and JSON is UTF-8.
 */
#include <fcntl.h>

#include "base/fsx.h"
#include "store/change/internal.h"
#include "store/record/json.h"

#define FILE_MAX (128u << 20)
/* limit when it is first written: smaller, since carrying it out adds operations */
#define FILE_MAX_NEW (64u << 20)

static const char *const kinds[] = {"upgrade", "rollback", "merge"};

/* ---- writing ---- */

static json_t *
pack_time(const struct timespec *t)
{
	return json_pack("[I, I]", (json_int_t)t->tv_sec, (json_int_t)t->tv_nsec);
}

static json_t *
pack_node(const struct change_node *n)
{
	json_t *j = json_object();

	(void)json_object_set_new(j, "type", json_integer(n->type));
	if (n->type == NODE_NONE)
		return j;
	(void)json_object_set_new(j, "mode", json_integer(n->mode));
	(void)json_object_set_new(j, "uid", json_integer(n->uid));
	(void)json_object_set_new(j, "gid", json_integer(n->gid));
	(void)json_object_set_new(j, "size", json_integer((json_int_t)n->size));
	(void)json_object_set_new(j, "ino", json_integer((json_int_t)n->ino));
	(void)json_object_set_new(j, "ctime", pack_time(&n->changed));
	if (n->modified.tv_sec || n->modified.tv_nsec)
		(void)json_object_set_new(j, "mtime", pack_time(&n->modified));
	if (n->link)
		(void)json_object_set_new(j, "link", record_json_text(n->link));
	if (n->digest[0])
		(void)json_object_set_new(j, "sha256", json_string(n->digest));
	return j;
}

static json_t *
pack_tree(const struct change_tree *t)
{
	return json_pack("{s:I, s:I, s:s}", "n", (json_int_t)t->n, "bytes", (json_int_t)t->bytes, "sha256",
			 t->digest);
}

static json_t *
pack_ops(const struct change *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n_op; i++) {
		const struct change_op *op = &c->op[i];
		json_t *j =
		    json_pack("{s:i, s:o, s:o, s:o}", "n", (int)op->n, "path", record_json_text(op->path),
			      "before", pack_node(&op->before), "after", pack_node(&op->after));

		if (op->meta)
			(void)json_object_set_new(j, "meta", json_true());
		if (op->merged)
			(void)json_object_set_new(j, "merged", json_true());
		if (op->data)
			(void)json_object_set_new(j, "data", json_true());
		if (op->quiet)
			(void)json_object_set_new(j, "quiet", json_true());
		if (op->tree.n > 0)
			(void)json_object_set_new(j, "tree", pack_tree(&op->tree));
		if (op->skip)
			(void)json_object_set_new(j, "skip", json_true());
		if (op->base)
			(void)json_object_set_new(j, "base", json_string(op->base));
		if (op->copy_id)
			(void)json_object_set_new(j, "copy", json_pack("[i, i]", (int)op->copy_id, (int)op->copy_n));
		if (op->kept.tv_sec || op->kept.tv_nsec)
			(void)json_object_set_new(j, "kept", pack_time(&op->kept));
		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *
pack_copies(const struct change *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n_copy; i++) {
		const struct change_copy *copy = &c->copy[i];

		(void)json_array_append_new(
		    list, json_pack("{s:i, s:o, s:I, s:I, s:o}", "n", (int)copy->n, "path",
				    record_json_text(copy->path), "when", (json_int_t)copy->when, "bytes",
				    (json_int_t)copy->bytes, "stamp", pack_tree(&copy->stamp)));
	}
	return list;
}

int
change_save(struct change *c, struct err *e)
{
	_auto_free char *file = change_file_name(c->id);
	_auto_free char *text = NULL;
	json_t *j =
	    json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:b, s:b, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s*}",
		      "kind", kinds[c->kind], "template", c->template, "from", c->from, "to", c->to, "space",
		      record_json_text(c->space), "inside", c->inside, "restart", c->restart, "prepared",
		      c->prepared, "ignore_listen", c->ignore_listen, "force", c->force, "boot", c->boot,
		      "ops", pack_ops(c), "was", record_json_conflicts(&c->was), "leaves",
		      record_json_conflicts(&c->leaves), "kept", record_json_texts(&c->kept), "always",
		      record_json_texts(&c->always), "ignore", record_json_texts(&c->ignore), "was_upgrade_from",
		      c->was.upgrade_from);

	if (j && c->keep.n >= 0)
		(void)json_object_set_new(j, "undo_keep", json_integer(c->keep.n));
	if (j && c->keep.age > 0)
		(void)json_object_set_new(j, "undo_age", json_integer(c->keep.age));
	if (j && c->keep_data.n > 0)
		(void)json_object_set_new(j, "keep_data", record_json_texts(&c->keep_data));
	if (j && c->n_copy > 0)
		(void)json_object_set_new(j, "copies", pack_copies(c));
	if (j && c->keep_guarded)
		(void)json_object_set_new(j, "keep_guarded", json_true());
	if (j && c->with_data)
		(void)json_object_set_new(j, "with_data", json_true());
	if (j) {
		record_json_pending(j, "", &c->pending);
		record_json_pending(j, "was_", &c->was.pending);
	}
	text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	if (!text)
		return err_set(e, ENOMEM, "change %u of jail %s: out of memory", c->id, c->jail);
	if (strlen(text) > (c->saved ? FILE_MAX : FILE_MAX_NEW)) /* a larger file could not be read again */
		return err_set(e, E2BIG, "change %u of jail %s: too many files change", c->id, c->jail);
	if (fsx_write_text(c->change_fd, file, text, 0600, FSX_SYNC, e) < 0)
		return err_wrap(e, "change %u of jail %s", c->id, c->jail);
	c->saved = true;
	return 0;
}

/* ---- reading ---- */

static int
read_node(const json_t *j, struct change_node *ret)
{
	json_int_t type, mode = 0, uid = 0, gid = 0, size = 0, ino = 0, sec = 0, nsec = 0, msec = 0,
			 mnsec = 0;
	const char *digest = NULL;

	if (json_unpack((json_t *)(uintptr_t)j, "{s:I, s?I, s?I, s?I, s?I, s?I, s?[I, I], s?[I, I], s?s}",
			"type", &type, "mode", &mode, "uid", &uid, "gid", &gid, "size", &size, "ino", &ino,
			"ctime", &sec, &nsec, "mtime", &msec, &mnsec, "sha256", &digest) < 0 ||
	    type < NODE_NONE || type > NODE_BLOCK || (digest && strlen(digest) >= sizeof(ret->digest)))
		return -EINVAL;
	*ret = (struct change_node){.type = (enum node_type)type,
				    .mode = (mode_t)mode,
				    .uid = (uid_t)uid,
				    .gid = (gid_t)gid,
				    .size = (uint64_t)size,
				    .ino = (ino_t)ino,
				    .changed = {sec, nsec},
				    .modified = {msec, mnsec}};
	if (digest)
		(void)stpcpy(ret->digest, digest);
	ret->link = record_parse_text(json_object_get(j, "link"));
	return 0;
}

static int
read_tree(json_t *j, struct change_tree *ret)
{
	json_int_t n, bytes;
	const char *digest;

	if (!j)
		return 0;
	if (json_unpack(j, "{s:I, s:I, s:s}", "n", &n, "bytes", &bytes, "sha256", &digest) < 0 ||
	    strlen(digest) >= sizeof(ret->digest))
		return -EINVAL;
	ret->n = (uint64_t)n;
	ret->bytes = (uint64_t)bytes;
	(void)stpcpy(ret->digest, digest);
	return 0;
}

static int
read_ops(struct change *c, const json_t *list)
{
	const json_t *j;
	size_t i;

	json_array_foreach(list, i, j)
	{
		_auto_free char *path = record_parse_text(json_object_get(j, "path"));
		json_int_t sec = 0, nsec = 0;
		int copy_id = 0, copy_n = 0;
		struct change_op *op;

		if (!path || json_unpack((json_t *)(uintptr_t)j, "{s?[I, I], s?[i, i]}", "kept", &sec, &nsec, "copy",
					 &copy_id, &copy_n) < 0)
			return -EINVAL;
		op = change_add_op(c, path);
		op->copy_id = (unsigned)copy_id;
		op->copy_n = (unsigned)copy_n;
		op->kept = (struct timespec){sec, nsec};
		op->n = (unsigned)json_integer_value(json_object_get(j, "n"));
		op->meta = json_is_true(json_object_get(j, "meta"));
		op->merged = json_is_true(json_object_get(j, "merged"));
		op->data = json_is_true(json_object_get(j, "data"));
		op->quiet = json_is_true(json_object_get(j, "quiet"));
		op->skip = json_is_true(json_object_get(j, "skip"));
		op->base = xstrdup_null(json_string_value(json_object_get(j, "base")));
		if (read_node(json_object_get(j, "before"), &op->before) < 0 ||
		    read_node(json_object_get(j, "after"), &op->after) < 0 ||
		    read_tree(json_object_get(j, "tree"), &op->tree) < 0)
			return -EINVAL;
	}
	return 0;
}

static int
read_copies(struct change *c, const json_t *list)
{
	json_t *j;
	size_t i;

	json_array_foreach(list, i, j)
	{
		_auto_free char *path = record_parse_text(json_object_get(j, "path"));
		json_int_t when, bytes;
		struct change_copy *copy;
		int n;

		if (!path || json_unpack(j, "{s:i, s:I, s:I}", "n", &n, "when", &when, "bytes", &bytes) < 0)
			return -EINVAL;
		c->copy = xrealloc(c->copy, c->n_copy + 1, sizeof(*c->copy));
		copy = &c->copy[c->n_copy++];
		*copy = (struct change_copy){.path = TAKE_PTR(path), .id = c->id, .n = (unsigned)n, .when = when,
					     .bytes = (uint64_t)bytes};
		if (read_tree(json_object_get(j, "stamp"), &copy->stamp) < 0)
			return -EINVAL;
	}
	return 0;
}

static int
read_all(struct change *c, const json_t *j)
{
	const char *kind, *template, *from, *to, *boot;
	size_t k;
	/* missing in files of older versions of brig: prepared, ignore_listen, force, undo_keep, undo_age, keep_data,
	 * keep_guarded, copies, with_data */
	int inside, restart, prepared = 0, ignore_listen = 0, force = 0, keep = CHANGE_KEEP_ALL.n;
	json_int_t age = CHANGE_KEEP_ALL.age;

	if (json_unpack((json_t *)(uintptr_t)j, "{s:s, s:s, s:s, s:s, s:b, s:b, s?b, s?b, s?b, s:s, s?i, s?I}", "kind",
			&kind, "template", &template, "from", &from, "to", &to, "inside", &inside, "restart",
			&restart, "prepared", &prepared, "ignore_listen", &ignore_listen, "force", &force, "boot", &boot,
			"undo_keep", &keep, "undo_age", &age) < 0)
		return -EINVAL;
	for (k = 0; k < ARRAY_LEN(kinds) && !streq(kinds[k], kind); k++)
		;
	if (k == ARRAY_LEN(kinds) || strlen(boot) >= sizeof(c->boot))
		return -EINVAL;
	c->kind = (enum change_kind)k;
	c->inside = inside;
	c->restart = restart;
	c->prepared = prepared;
	c->ignore_listen = ignore_listen;
	c->force = force;
	c->keep = (struct change_keep){keep, age};
	c->keep_guarded = json_is_true(json_object_get(j, "keep_guarded"));
	c->with_data = json_is_true(json_object_get(j, "with_data"));
	(void)stpcpy(c->boot, boot);
	c->template = xstrdup(template);
	c->from = xstrdup(from);
	c->to = xstrdup(to);
	c->space = record_parse_text(json_object_get(j, "space"));
	c->was.upgrade_from = xstrdup_null(json_string_value(json_object_get(j, "was_upgrade_from")));
	if (!c->space || read_ops(c, json_object_get(j, "ops")) < 0 ||
	    record_parse_conflicts(json_object_get(j, "was"), &c->was) < 0 ||
	    record_parse_conflicts(json_object_get(j, "leaves"), &c->leaves) < 0 ||
	    record_parse_texts(json_object_get(j, "kept"), &c->kept) < 0)
		return -EINVAL;
	if (record_parse_pending(j, "was_", &c->was.pending) < 0 || record_parse_pending(j, "", &c->pending) < 0 ||
	    record_parse_texts(json_object_get(j, "always"), &c->always) < 0 ||
	    record_parse_texts(json_object_get(j, "ignore"), &c->ignore) < 0 ||
	    record_parse_texts(json_object_get(j, "keep_data"), &c->keep_data) < 0 ||
	    read_copies(c, json_object_get(j, "copies")) < 0)
		return -EINVAL;
	return 0;
}

int
change_read(struct change *c, struct err *e)
{
	_auto_free char *file = change_file_name(c->id);
	_auto_free char *text = NULL;
	size_t len;
	json_t *j;
	int r = fsx_read_at(c->change_fd, file, FILE_MAX, &text, &len, e);

	if (r < 0)
		return err_wrap(e, "change %u of jail %s", c->id, c->jail);
	j = json_loadb(text, len, 0, NULL);
	r = j ? read_all(c, j) : -EINVAL;
	json_decref(j);
	c->saved = true;
	return r < 0
		   ? err_set(e, EINVAL, "%s/js/.brig/change/%s/%s is damaged", c->store->base, c->jail, file)
		   : 0;
}
