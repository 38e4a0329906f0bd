/* SPDX-License-Identifier: BSD-2-Clause */
/* dpkg's record, the list that is made of it, and apt's plan: what is read is words, and the list reads as the same. */
#include "fuzz.h"

#include "store/template/outdated.h"

static void
words(const struct packages *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const char *const v[] = {p->v[i].name, p->v[i].version, p->v[i].arch};

		must(i == 0 || strcmp(p->v[i - 1].name, p->v[i].name) <= 0, "sorted");
		for (size_t k = 0; k < ARRAY_LEN(v); k++) {
			must(*v[k] != '\0', "no empty word");
			for (const char *c = v[k]; *c; c++)
				must(*c > ' ' && *c <= '~', "visible, no blanks");
		}
	}
}

static void
written(const struct packages *p)
{
	_auto_buf struct buf b = BUF_INIT;
	struct packages again = {0};
	struct err e = ERR_INIT;

	buf_adds(&b, "");
	for (size_t i = 0; i < p->n; i++)
		buf_addf(&b, "%s %s %s\n", p->v[i].name, p->v[i].version, p->v[i].arch);
	must(packages_parse(b.s, &again, &e) == 0 && again.n == p->n, "the list is one");
	for (size_t i = 0; i < p->n; i++)
		must(streq(again.v[i].name, p->v[i].name), "the same packages");
	packages_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_auto_free char *text = fuzz_text(data, size);
	struct packages status = {0}, list = {0};
	struct outdated o = {0};
	struct err e = ERR_INIT;

	packages_of_status(text, &status);
	words(&status);
	written(&status);
	if (packages_parse(text, &list, &e) == 0) {
		words(&list);
		written(&list);
	}
	outdated_parse(text, &o);
	for (size_t i = 0; i < o.n; i++)
		must(o.v[i].package != NULL, "a package");
	outdated_free(&o);
	packages_free(&status);
	packages_free(&list);
	return 0;
}
