/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of the split: no rule leads out of the tree. */
#include "fuzz.h"

#include "base/path.h"
#include "store/template/split.h"

static void
inside(const char *path)
{
	_auto_free char *normal = path_normal(path);

	must(*path && *path != '/' && normal && streq(normal, path), "a path in the tree");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_auto_free char *text = fuzz_text(data, size);
	struct rules rules = RULES_INIT;
	struct err e = ERR_INIT;

	if (rules_parse(text, "rules", &rules, &e) < 0) {
		must(rules.n == 0 && *e.msg, "a message, and nothing else");
		return 0;
	}
	for (size_t i = 0; i < rules.n; i++) {
		const struct rule *r = &rules.v[i];
		_auto_free char *where = NULL;

		if (r->kind == RULE_DANGLING)
			continue;
		inside(r->path);
		if (r->kind == RULE_MOVE || r->kind == RULE_MOVE_IF || r->kind == RULE_KEEP ||
		    r->kind == RULE_ADD || r->kind == RULE_ADD_IF)
			inside(r->arg);
		if (r->unless)
			inside(r->unless);
		for (size_t k = 0; k < r->paths.n; k++)
			inside(r->paths.v[k]);
		where = rules_skel_path(&rules, r->path);
		if (where)
			inside(where);
	}
	rules_free(&rules);
	return 0;
}
