/* SPDX-License-Identifier: BSD-2-Clause */
#include "store/record/json.h"
#include "store/tree.h"

json_t *
record_json_text(const char *s)
{
	_auto_buf struct buf b = BUF_INIT;

	vis_add(&b, s);
	return json_string(b.s ? b.s : "");
}

char *
record_parse_text(const json_t *j)
{
	const char *text = json_string_value(j);
	char *s = text ? xstrdup(text) : NULL;

	if (s && vis_decode(s) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

json_t *
record_json_texts(const struct strv *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n; i++)
		(void)json_array_append_new(list, record_json_text(v->v[i]));
	return list;
}

int
record_parse_texts(const json_t *list, struct strv *ret)
{
	const json_t *j;
	size_t i;

	json_array_foreach(list, i, j)
	{
		char *s = record_parse_text(j);

		if (!s)
			return -EINVAL;
		strv_take(ret, s);
	}
	return 0;
}

static const char *const pending_names[PENDING_N] = {
    [PENDING_CREATE] = "hook_create",
    [PENDING_REGENERATE] = "regenerate",
    [PENDING_HOOK] = "hook",
    [PENDING_REGENERATE_AFTER] = "regenerate_after",
    [PENDING_HOOK_AFTER] = "hook_after",
};

void
record_json_pending(json_t *j, const char *prefix, const struct pending *p)
{
	for (size_t i = 0; i < PENDING_N; i++) {
		_auto_free char *name = xasprintf("%s%s", prefix, pending_names[i]);

		if (p->v[i].n > 0)
			(void)json_object_set_new(j, name, record_json_texts(&p->v[i]));
	}
}

int
record_parse_pending(const json_t *j, const char *prefix, struct pending *ret)
{
	for (size_t i = 0; i < PENDING_N; i++) {
		_auto_free char *name = xasprintf("%s%s", prefix, pending_names[i]);

		if (record_parse_texts(json_object_get(j, name), &ret->v[i]) < 0)
			return -EINVAL;
	}
	return 0;
}

json_t *
record_json_conflicts(const struct record *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_conflict; i++)
		(void)json_array_append_new(list, json_pack("{s:o, s:s, s:s}", "path",
							    record_json_text(r->conflict[i].path), "base",
							    r->conflict[i].base, "why", r->conflict[i].why));
	return list;
}

int
record_parse_conflicts(const json_t *list, struct record *ret)
{
	const json_t *j;
	size_t i;

	json_array_foreach(list, i, j)
	{
		_auto_free char *path = record_parse_text(json_object_get(j, "path"));
		const char *base = json_string_value(json_object_get(j, "base"));
		const char *why = json_string_value(json_object_get(j, "why"));

		if (!path || !base || !why)
			return -EINVAL;
		record_add_conflict(ret, path, base, why);
	}
	return 0;
}
