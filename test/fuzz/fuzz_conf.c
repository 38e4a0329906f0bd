/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf/: any bytes as jail.conf, rc.conf and fstab.  What reads without an error must print and read back as
 * the same text, and what would be recorded of it must give the same jail.
 */
#include <stdint.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
	const char *s;
	size_t len;
};

static int
read_text(void *ctx, const char *path, char **ret_text, size_t *ret_len)
{
	const struct text *t = ctx;

	(void)path;
	*ret_text = xcalloc(t->len + 1, 1);
	if (t->len)
		memcpy(*ret_text, t->s, t->len);
	*ret_len = t->len;
	return 0;
}

/* Every second pattern has one file, so that includes and /etc/fstab.NAME are met, too. */
static int
find(void *ctx, const char *pattern, struct strv *ret)
{
	(void)ctx;
	if (strlen(pattern) % 2)
		strv_add(ret, pattern);
	return 0;
}

static int
resolve(void *ctx, const char *host, struct strv *ret)
{
	(void)ctx;
	strv_add(ret, strlen(host) % 2 ? "192.0.2.1" : "2001:db8::1");
	return 0;
}

static struct conf *
load(struct text *t, enum conf_kind kind, bool explicit_base)
{
	const struct conf_input in = {read_text, find, NULL, resolve, NULL, t};
	struct conf *c = conf_new(&in, "/b", explicit_base);

	conf_read(c, "/etc/f", kind);
	if (kind == CONF_RCCONF)
		conf_read(c, "/etc/g", CONF_FSTAB);
	conf_finish(c);
	return c;
}

static void
print_again(struct conf *c, const char *first)
{
	struct text t = {first, strlen(first)};
	struct conf *again = load(&t, CONF_JAILCONF, true);

	for (size_t i = 0; i < conf_n_errors(again); i++)
		fprintf(stderr, "%d:%d %s\n", conf_error_at(again, i)->line, conf_error_at(again, i)->col,
			conf_error_at(again, i)->text);
	if (conf_n_errors(again) > 0 || conf_jails(again)->n != conf_jails(c)->n) {
		fprintf(stderr, "base %s, printed:\n%s\n", conf_base(c), first);
		abort();
	}
	conf_free(again);
}

static void
use(struct conf *c)
{
	const struct strv *labels = conf_jails(c);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < labels->n; i++) {
		struct jailspec *s = NULL, *again = NULL;
		_auto_free char *text = NULL;

		if (conf_jail(c, labels->v[i], &s, &e) < 0)
			continue;
		text = conf_print_jail(s);
		for (size_t k = 0; k < param_table_len; k++)
			free(param_show(s, 1, &param_table[k]));
		if (spec_from_params(s->name, &s->params, conf_base(c), &again, &e) < 0) {
			fprintf(stderr, "recorded: %s\n%s\n", e.msg, text);
			abort();
		}
		if (strcmp(s->path, again->path) != 0 || s->root != again->root ||
		    s->n_mounts != again->n_mounts || s->n_addrs != again->n_addrs) {
			fprintf(stderr, "recorded: differs\n%s\n", text);
			abort();
		}
		jailspec_free(again);
		jailspec_free(s);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text t = {(const char *)data, size};

	for (int kind = CONF_AUTO; kind <= CONF_FSTAB; kind++) {
		struct conf *c = load(&t, (enum conf_kind)kind, size % 2);
		struct err e = ERR_INIT;
		_auto_free char *text = conf_print_all(c, &e);

		if (text)
			print_again(c, text);
		use(c);
		conf_free(c);
	}
	return 0;
}
