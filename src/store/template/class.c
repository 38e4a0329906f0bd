/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classes of paths (class.h).  Patterns are compared component by component.  Of several rules that match,
 * one of the release itself counts, then the more specific one (more components; a name before a pattern),
 * then the later one.
 */
#include <fnmatch.h>

#include "base/fsx.h"
#include "base/path.h"
#include "base/where.h"
#include "store/template/class.h"

void
classes_free(struct classes *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].pattern);
	free(c->v);
	*c = (struct classes){0};
}

/* ---- reading ---- */

/* The class that a rule gives its path.  keep and link: the path is a link in the skeleton, and merged as
 * one. */
static bool
class_by_kind(enum rule_kind kind, enum path_class *ret)
{
	switch (kind) {
	case RULE_CONFIG:
	case RULE_KEEP:
	case RULE_LINK:
		*ret = CLASS_CONFIG;
		return true;
	case RULE_DATA:
		*ret = CLASS_DATA;
		return true;
	case RULE_RELEASE:
		*ret = CLASS_RELEASE;
		return true;
	case RULE_IGNORE:
		*ret = CLASS_IGNORE;
		return true;
	default:
		return false;
	}
}

void
classes_add(struct classes *c, const struct rules *rules, const struct rules *layout, bool own)
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct rule *r = &rules->v[i];
		struct class_rule one = {.own = own};

		if (!class_by_kind(r->kind, &one.is) || !(one.pattern = rules_skel_path(layout, r->path)))
			continue;
		GROW(c->v, c->n, c->cap);
		c->v[c->n++] = one;
	}
}

static bool
has_classes(const struct rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		switch (rules->v[i].kind) {
		case RULE_CONFIG:
		case RULE_DATA:
		case RULE_RELEASE:
		case RULE_IGNORE:
			return true;
		default:
			break;
		}
	return false;
}

int
classes_of_release(const struct release *r, struct classes *ret, struct err *e)
{
	_auto_(rules_free) struct rules own = RULES_INIT, installed = RULES_INIT;
	_auto_free char *file = where_data("split.rules");
	struct classes c = {0};

	if (rules_of_release(r, &own, e) < 0)
		return -e->num;
	/* rules of an older brig, or an administrator's copy of them, have no classes */
	if ((!has_classes(&own) || access(file, F_OK) == 0) && rules_load(file, &installed, e) < 0)
		return -e->num;
	if (!has_classes(&own) && !has_classes(&installed))
		return err_set(e, EINVAL, "%s: has no rule 'config' or 'data': is it of an older brig?",
			       file);
	classes_add(&c, &installed, &own, false);
	classes_add(&c, &own, &own, true);
	*ret = c;
	return 0;
}

/* ---- lookups ---- */

static size_t
depth_of(const char *path)
{
	size_t n = 1;

	for (const char *p = path; (p = strchr(p, '/')); p++)
		n++;
	return n;
}

/* Does one component match?  Both end at '/' or at the end. */
static bool
component_matches(const char *pattern, size_t pattern_len, const char *name, size_t name_len)
{
	_auto_free char *glob = NULL, *text = NULL;

	if (pattern_len == name_len && memcmp(pattern, name, name_len) == 0)
		return true;
	if (!memchr(pattern, '*', pattern_len) && !memchr(pattern, '?', pattern_len) &&
	    !memchr(pattern, '[', pattern_len))
		return false;
	if (pattern_len == 1 && *pattern == '*')
		return true;
	glob = xstrndup(pattern, pattern_len);
	text = xstrndup(name, name_len);
	return fnmatch(glob, text, 0) == 0;
}

/* The number of leading components of path that match pattern's, and whether pattern or path ended there. */
static size_t
common(const char *pattern, const char *path, bool *ret_pattern_end, bool *ret_path_end)
{
	size_t n = 0;

	for (;;) {
		size_t a = strcspn(pattern, "/"), b = strcspn(path, "/");

		*ret_pattern_end = *ret_path_end = false;
		if (!component_matches(pattern, a, path, b))
			return n;
		n++;
		*ret_pattern_end = pattern[a] == '\0';
		*ret_path_end = path[b] == '\0';
		if (*ret_pattern_end || *ret_path_end)
			return n;
		pattern += a + 1;
		path += b + 1;
	}
}

bool
class_pattern_covers(const char *pattern, const char *path)
{
	bool all, end;

	(void)common(pattern, path, &all, &end);
	return all;
}

static bool
is_glob(const struct class_rule *r)
{
	return r->pattern[strcspn(r->pattern, "*?[")] != '\0';
}

static bool
says_more(const struct class_rule *a, size_t depth_a, const struct class_rule *b, size_t depth_b)
{
	if (a->own != b->own)
		return a->own;
	return depth_a != depth_b ? depth_a > depth_b : is_glob(b) || !is_glob(a);
}

/* The rule that decides about path; *ret_depth: how many components of path it is about. */
static const struct class_rule *
rule_for(const struct classes *c, const char *path, size_t *ret_depth)
{
	const struct class_rule *best = NULL;
	bool all, end;

	*ret_depth = 0;
	for (size_t i = 0; i < c->n; i++) {
		const struct class_rule *r = &c->v[i];
		size_t depth = common(r->pattern, path, &all, &end);

		if (all && (!best || says_more(r, depth, best, *ret_depth))) {
			best = r;
			*ret_depth = depth;
		}
	}
	return best;
}

enum path_class
class_of(const struct classes *c, const char *path)
{
	size_t depth;
	const struct class_rule *r = rule_for(c, path, &depth);

	return r ? r->is : CLASS_DATA;
}

bool
class_is_data(const struct classes *c, const char *path)
{
	enum path_class is = class_of(c, path);

	return is == CLASS_DATA || is == CLASS_IGNORE;
}

size_t
class_piece(const struct classes *c, const char *path)
{
	size_t depth, len = 0;
	const struct class_rule *r = rule_for(c, path, &depth);

	if (!r)
		depth = 1;
	else if (r->is == CLASS_IGNORE)
		depth++;
	for (; depth > 0; depth--) {
		len += strcspn(path + len, "/");
		if (!path[len])
			break;
		len += depth > 1;
	}
	return len;
}

bool
class_is_piece(const struct classes *c, const char *path)
{
	return class_is_data(c, path) && class_piece(c, path) == strlen(path);
}

bool
class_mixed(const struct classes *c, const char *path)
{
	size_t depth;
	const struct class_rule *decides = rule_for(c, path, &depth);
	bool all, end;

	/* each directory directly below an ignored one is a piece of its own, class_piece() */
	if (decides && decides->is == CLASS_IGNORE && depth == depth_of(path))
		return true;
	for (size_t i = 0; i < c->n; i++)
		if (common(c->v[i].pattern, path, &all, &end) > 0 && end && !all)
			return true;
	return false;
}
