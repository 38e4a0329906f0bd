/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the rules of the split: brig-template(5) is the description of the format. */
#include <limits.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/num.h"
#include "base/path.h"
#include "base/where.h"
#include "store/template/split.h"
#include "store/tree.h"

#define RULES_ADMIN "/etc/brig/split.rules"
#define RULES_MAX (256u << 10)

static const struct word {
	const char *name;
	enum rule_kind kind;
	size_t min, max; /* fields after the word */
	const char *form;
} words[] = {
    {"move", RULE_MOVE, 1, 3, "PATH [NAME [MODE]]"},
    {"move-if", RULE_MOVE_IF, 1, 2, "PATH [NAME]"},
    {"empty", RULE_EMPTY, 1, 1, "PATH"},
    {"drop", RULE_DROP, 1, 1, "PATTERN"},
    {"keep", RULE_KEEP, 2, 2, "PATH PLACE"},
    {"fresh", RULE_FRESH, 2, 2, "PATTERN machine-id|hostname|name|ssh-host-keys|remove"},
    {"link", RULE_LINK, 2, 2, "PATH TARGET"},
    {"lock", RULE_LOCK, 2, 2, "PATH USER"},
    {"line", RULE_LINE, 2, 2, "PATH TEXT"},
    {"add", RULE_ADD, 3, 5, "PATH FILE MODE [unless PATH]"},
    {"add-if", RULE_ADD_IF, 4, 4, "PATH FILE MODE OTHER"},
    {"regenerate", RULE_REGENERATE, 3, 3, "PATH SOURCE|- COMMAND"},
    {"regenerate-after", RULE_REGENERATE, 3, 3, "PATH SOURCE|- COMMAND"},
    {"hook", RULE_HOOK, 3, 3, "create|before|after PATTERN[,PATTERN]|- COMMAND"},
    {"dangling", RULE_DANGLING, 1, 1, "PATTERN"},
    {"guard", RULE_GUARD, 2, 3, "PATTERN PATH[,PATH] [TEXT]"},
    {"guard-format", RULE_GUARD_FORMAT, 4, 5, "PATH PATTERN[,PATTERN] PACKAGE NUMBERS [TEXT]"},
    {"guard-enabled", RULE_GUARD_ENABLED, 2, 3, "PATH PATH[,PATH] [TEXT]"},
    {"config", RULE_CONFIG, 1, 1, "PATTERN"},
    {"data", RULE_DATA, 1, 1, "PATTERN"},
    {"release", RULE_RELEASE, 1, 1, "PATTERN"},
    {"ignore", RULE_IGNORE, 1, 1, "PATTERN"},
};

static const char *const fresh_words[] = {
    [FRESH_REMOVE] = "remove",
    [FRESH_MACHINE_ID] = "machine-id",
    [FRESH_HOSTNAME] = "hostname",
    [FRESH_SSH_HOST_KEYS] = "ssh-host-keys",
    [FRESH_NAME] = "name",
};

void
rules_free(struct rules *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].path);
		free(r->v[i].arg);
		free(r->v[i].unless);
		strv_free(&r->v[i].paths);
	}
	free(r->v);
	free(r->file);
	free(r->text);
	*r = (struct rules)RULES_INIT;
}

/* A path of the tree: relative, normal, not the tree itself. */
static bool
tree_path_ok(const char *path)
{
	_auto_free char *normal = path_normal(path);

	return *path != '/' && normal && streq(normal, path) && !streq(path, ".") &&
	       strlen(path) < PATH_MAX / 2;
}

/* The number of the field that is the rest of the line, or 0. */
static size_t
rest_field(const char *word)
{
	static const struct {
		const char *word;
		size_t field;
	} rest[] = {{"line", 2},  {"regenerate", 3},    {"regenerate-after", 3}, {"hook", 3},
		    {"guard", 3}, {"guard-enabled", 3}, {"guard-format", 5}};

	for (size_t i = 0; i < ARRAY_LEN(rest); i++)
		if (streq(word, rest[i].word))
			return rest[i].field;
	return 0;
}

/* Fields of a line. */
static int
split_fields(char *line, struct strv *ret)
{
	size_t rest = 0;

	for (char *p = line; *(p += strspn(p, " \t"));) {
		bool last = rest > 0 && ret->n == rest;
		size_t n = last ? strlen(p) : strcspn(p, " \t");
		char *field = xstrndup(p, n);

		if (!last && ret->n > 0 && vis_decode(field) < 0) {
			free(field);
			return -EINVAL;
		}
		strv_take(ret, field);
		rest = rest_field(ret->v[0]);
		p += n;
	}
	return 0;
}

static int
fill_move(struct rule *rule, const struct strv *f, struct err *e)
{
	const char *name = f->n > 2 ? f->v[2] : f->v[1];

	if (strchr(name, '/'))
		return err_set(e, EINVAL, "'%s': the name below /s is one word without '/'", name);
	if (!tree_path_ok(name))
		return err_set(e, EINVAL, "'%s' is not a name", name);
	rule->arg = xstrdup(name);
	rule->mode = 0755;
	if (f->n > 3 && num_octal(f->v[3], 07777, &rule->mode) < 0)
		return err_set(e, EINVAL, "'%s' is not a mode", f->v[3]);
	return 0;
}

static int
fill_add(struct rule *rule, const struct strv *f, struct err *e)
{
	if (!tree_path_ok(f->v[2]))
		return err_set(e, EINVAL, "'%s': a file of the directory skel beside the rules is meant",
			       f->v[2]);
	rule->arg = xstrdup(f->v[2]);
	if (num_octal(f->v[3], 07777, &rule->mode) < 0)
		return err_set(e, EINVAL, "'%s' is not a mode", f->v[3]);
	if (f->n == 4)
		return 0;
	if (rule->kind == RULE_ADD_IF && !tree_path_ok(f->v[4]))
		return err_set(e, EINVAL, "'%s' is not a path relative to the tree", f->v[4]);
	if (rule->kind == RULE_ADD_IF) {
		rule->unless = xstrdup(f->v[4]);
		return 0;
	}
	if (f->n != 6 || !streq(f->v[4], "unless"))
		return err_set(e, EINVAL, "after the mode only 'unless PATH' can stand");
	if (!tree_path_ok(f->v[5]))
		return err_set(e, EINVAL, "'%s' is not a path relative to the tree", f->v[5]);
	rule->unless = xstrdup(f->v[5]);
	return 0;
}

static int
fill_regenerate(struct rule *rule, const struct strv *f, struct err *e)
{
	if (!streq(f->v[2], "-")) {
		if (!tree_path_ok(f->v[2]))
			return err_set(e, EINVAL, "'%s' is not a path relative to the tree", f->v[2]);
		rule->unless = xstrdup(f->v[2]);
	}
	rule->pending = streq(f->v[0], "regenerate") ? PENDING_REGENERATE : PENDING_REGENERATE_AFTER;
	rule->arg = xstrdup(f->v[3]);
	return 0;
}

/* "PATH,PATH" */
static int
fill_paths(struct rule *rule, const char *text, struct err *e)
{
	for (const char *p = text; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		_auto_free char *path = xstrndup(p, strcspn(p, ","));

		if (!tree_path_ok(path))
			return err_set(e, EINVAL, "'%s' is not a path relative to the tree", path);
		strv_add(&rule->paths, path);
	}
	return 0;
}

static int
fill_hook(struct rule *rule, const struct strv *f, struct err *e)
{
	static const enum pending_kind kinds[] = {PENDING_CREATE, PENDING_HOOK, PENDING_HOOK_AFTER};
	static const char *const when[] = {"create", "before", "after"};
	size_t k = 0;

	while (k < ARRAY_LEN(when) && !streq(when[k], f->v[1]))
		k++;
	if (k == ARRAY_LEN(when))
		return err_set(e, EINVAL, "'%s': expected create, before or after", f->v[1]);
	rule->pending = kinds[k];
	rule->arg = xstrdup(f->v[3]);
	if (streq(f->v[2], "-"))
		return 0;
	if (rule->pending == PENDING_CREATE)
		return err_set(e, EINVAL, "'%s': a new jail comes from no other release: '-' is meant", f->v[2]);
	return fill_paths(rule, f->v[2], e);
}

static int
fill_guard(struct rule *rule, const struct strv *f, struct err *e)
{
	bool format = rule->kind == RULE_GUARD_FORMAT;
	int numbers;

	if (fill_paths(rule, f->v[2], e) < 0)
		return -e->num;
	if (format && num_int(f->v[4], 1, GUARD_NUMBERS_MAX, &numbers) < 0)
		return err_set(e, EINVAL, "'%s': how many numbers of the version count, 1 to %d", f->v[4],
			       GUARD_NUMBERS_MAX);
	if (format) {
		rule->unless = xstrdup(f->v[3]);
		rule->mode = (unsigned)numbers;
	}
	if (f->n > (format ? 5 : 3))
		rule->arg = xstrdup(f->v[format ? 5 : 3]);
	return 0;
}

static int
fill_fresh(struct rule *rule, const char *word, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(fresh_words); i++)
		if (streq(word, fresh_words[i])) {
			rule->fresh = (enum fresh)i;
			return 0;
		}
	return err_set(e, EINVAL, "'%s': expected machine-id, hostname, name, ssh-host-keys or remove", word);
}

static int
fill_rule(struct rule *rule, const struct strv *f, struct err *e)
{
	switch (rule->kind) {
	case RULE_MOVE:
	case RULE_MOVE_IF:
		return fill_move(rule, f, e);
	case RULE_ADD:
	case RULE_ADD_IF:
		return fill_add(rule, f, e);
	case RULE_FRESH:
		return fill_fresh(rule, f->v[2], e);
	case RULE_KEEP:
		if (!tree_path_ok(f->v[2]))
			return err_set(e, EINVAL, "'%s' is not a path relative to the tree", f->v[2]);
		break;
	case RULE_LOCK:
		if (strchr(f->v[2], ':'))
			return err_set(e, EINVAL, "'%s' is not a user's name", f->v[2]);
		break;
	case RULE_REGENERATE:
		return fill_regenerate(rule, f, e);
	case RULE_HOOK:
		return fill_hook(rule, f, e);
	case RULE_GUARD:
	case RULE_GUARD_FORMAT:
	case RULE_GUARD_ENABLED:
		return fill_guard(rule, f, e);
	case RULE_EMPTY:
	case RULE_DROP:
	case RULE_LINK:
	case RULE_LINE:
	case RULE_DANGLING:
	case RULE_CONFIG:
	case RULE_DATA:
	case RULE_RELEASE:
	case RULE_IGNORE:
		break;
	}
	rule->arg = f->n > 2 ? xstrdup(f->v[2]) : NULL;
	return 0;
}

static int
parse_line(struct rules *r, char *text, int line, struct err *e)
{
	_auto_strv struct strv f = STRV_INIT;
	struct rule rule = {.line = line};
	const struct word *w = NULL;
	int ret;

	text += strspn(text, " \t");
	if (!*text || *text == '#')
		return 0;
	if (split_fields(text, &f) < 0)
		return err_set(e, EINVAL, "after a backslash three octal digits are expected");
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (streq(f.v[0], words[i].name))
			w = &words[i];
	if (!w)
		return err_set(e, EINVAL, "unknown word '%.40s'", f.v[0]);
	if (f.n - 1 < w->min || f.n - 1 > w->max)
		return err_set(e, EINVAL, "expected: %s %s", w->name, w->form);
	if (w->kind != RULE_DANGLING && !tree_path_ok(f.v[1]))
		return err_set(e, EINVAL, "'%s' is not a path relative to the tree", f.v[1]);
	rule.kind = w->kind;
	ret = fill_rule(&rule, &f, e);
	rule.path = xstrdup(f.v[1]);
	GROW(r->v, r->n, r->cap);
	r->v[r->n++] = rule;
	return ret;
}

/* Two rules that move different trees must not give them one name, unless the second applies to another
 * layout of the same thing (move-if): what really collides is found when the tree is split. */
static int
check_names(const struct rules *r, struct err *e)
{
	for (size_t i = 0; i < r->n; i++)
		for (size_t j = 0; j < i; j++) {
			const struct rule *a = &r->v[j], *b = &r->v[i];

			if (a->kind != RULE_MOVE || b->kind != RULE_MOVE)
				continue;
			if (streq(a->arg, b->arg))
				return err_set(e, EEXIST, "%s:%d: %s and %s (line %d) claim one place, /s/%s",
					       r->file, b->line, b->path, a->path, a->line, a->arg);
		}
	return 0;
}

int
rules_parse(const char *text, const char *file, struct rules *ret, struct err *e)
{
	struct rules r = RULES_INIT;
	int line = 0, got = 0;

	r.file = xstrdup(file);
	r.text = xstrdup(text);
	for (const char *p = text; *p && got == 0;) {
		size_t n = strcspn(p, "\n");
		_auto_free char *one = xstrndup(p, n > 0 && p[n - 1] == '\r' ? n - 1 : n);

		got = parse_line(&r, one, ++line, e);
		if (got < 0)
			got = err_wrap(e, "%s:%d", file, line);
		p += n + (p[n] == '\n');
	}
	if (got == 0)
		got = check_names(&r, e);
	if (got < 0) {
		rules_free(&r);
		return got;
	}
	*ret = r;
	return 0;
}

int
rules_load(const char *file, struct rules *ret, struct err *e)
{
	_auto_free char *path = NULL, *text = NULL;
	size_t len;

	if (!file && (access(RULES_ADMIN, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR)))
		file = RULES_ADMIN;
	path = file ? path_real(file) : where_data("split.rules");
	if (!path)
		return err_sys(e, errno, "rules of the split: %s", file);
	if (fsx_read_at(AT_FDCWD, path, RULES_MAX, &text, &len, e) < 0)
		return err_wrap(e, "rules of the split");
	if (strlen(text) != len)
		return err_set(e, EINVAL, "%s: is not text", path);
	return rules_parse(text, path, ret, e);
}

static int
read_rules(const struct release *r, char **ret, struct err *e)
{
	size_t len;

	if (fsx_read_at(r->dir_fd, "rules", RULES_MAX, ret, &len, e) < 0)
		return err_wrap(e, "release %s/%s", r->template, r->name);
	return 0;
}

int
rules_of_release(const struct release *r, struct rules *ret, struct err *e)
{
	_auto_free char *text = NULL, *file = xasprintf("%s/%s/rules", r->template, r->name);

	if (r->dir_fd < 0)
		return rules_load(NULL, ret, e);
	if (!r->rules_text && read_rules(r, &text, e) < 0)
		return -e->num;
	return rules_parse(text ? text : r->rules_text, file, ret, e);
}

int
rules_keep(struct release *r, struct err *e)
{
	return r->dir_fd < 0 || r->rules_text ? 0 : read_rules(r, &r->rules_text, e);
}

char *
rules_skel_path(const struct rules *rules, const char *path)
{
	const struct rule *best = NULL;

	for (size_t i = 0; i < rules->n; i++) {
		const struct rule *r = &rules->v[i];

		if (r->kind != RULE_MOVE && r->kind != RULE_MOVE_IF)
			continue;
		if (path_below(path, r->path) && (!best || strlen(r->path) > strlen(best->path)))
			best = r;
	}
	return best ? xasprintf("%s%s", best->arg, path + strlen(best->path)) : NULL;
}
