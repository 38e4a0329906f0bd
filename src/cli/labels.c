/* SPDX-License-Identifier: BSD-2-Clause */
/* What the configuration calls a jail whose name is known: made once for all jails. */
#include <stdlib.h>

#include "cli/cli.h"

struct labels {
	struct entry {
		char *name;
		const char *label; /* the configuration's own */
	} * v;
	size_t n;
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static struct labels *
labels_make(struct conf *conf)
{
	const struct strv *all = conf_jails(conf);
	struct labels *l = xcalloc(1, sizeof(*l));

	l->v = xcalloc(all->n + 1, sizeof(*l->v));
	for (size_t i = 0; i < all->n; i++) {
		struct err ignore = ERR_INIT;
		struct jailspec *spec;

		if (conf_jail(conf, all->v[i], &spec, &ignore) < 0)
			continue;
		l->v[l->n++] = (struct entry){xstrdup(spec->name), all->v[i]};
		jailspec_free(spec);
	}
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_name);
	return l;
}

const char *
cli_label(struct cli *cli, const char *name)
{
	struct entry key = {.name = (char *)(uintptr_t)name}, *found;

	if (!cli->labels)
		cli->labels = labels_make(cli->conf);
	found = bsearch(&key, cli->labels->v, cli->labels->n, sizeof(*cli->labels->v), by_name);
	return found ? found->label : name;
}

void
cli_labels_free(struct cli *cli)
{
	for (size_t i = 0; cli->labels && i < cli->labels->n; i++)
		free(cli->labels->v[i].name);
	if (cli->labels)
		free(cli->labels->v);
	free(cli->labels);
	cli->labels = NULL;
}
