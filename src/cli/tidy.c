/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/tidy.h"
#include "store/change/change.h"

static void
report(struct tidy *t, const char *label, const struct run_tidied *done, const struct err *e)
{
	_auto_free char *size = out_size(done->bytes);
	const char *verb = t->dry ? "would remove" : "removed";

	if (t->json)
		(void)json_array_append_new(
		    t->json, json_pack("{s:s, s:I, s:I, s:s*, s:s*}", "jail", label, "changes",
				       (json_int_t)done->changes, "bytes", (json_int_t)done->bytes, "in_use",
				       done->in_use, "error", e->num ? e->msg : NULL));
	if (e->num) {
		t->status = 1;
		if (e->num == EBUSY)
			cli_warn(t->cli, "%s: left alone: %s", label, e->msg);
		else
			(void)cli_fail(t->cli, label, e);
		return;
	}
	if (done->changes == 0 && done->bytes == 0)
		return;
	t->jails++;
	if (done->changes > 0)
		cli_say(t->cli, "%s: %s %zu change%s that no rollback will use: %s", label, verb,
			done->changes, done->changes == 1 ? "" : "s", size);
	else
		cli_say(t->cli, "%s: %s what was left of earlier changes: %s", label, verb, size);
	if (done->in_use && done->changes > 0)
		cli_say(t->cli,
			"%s: what lies in %s goes with its next change, or when it is tidied while it does "
			"not run",
			label, done->in_use);
}

void
tidy_jail(struct tidy *t, const char *name)
{
	_auto_(run_tidied_free) struct run_tidied done = {0};
	const char *label = cli_label(t->cli, name);
	struct jailspec *spec = NULL;
	struct err e = ERR_INIT;
	int r = conf_has(t->cli->conf, label) ? conf_jail(t->cli->conf, label, &spec, &e) : 0;

	if (r == 0)
		(void)run_tidy(&t->cli->store, name, spec, t->dry, &done, &e);
	report(t, label, &done, &e);
	jailspec_free(spec);
}

static bool
is_of(const struct store *s, const char *name, const char *template)
{
	_auto_(record_free) struct record rec = {0};
	struct err ignore = ERR_INIT; /* who tidies it says so */

	return !template ||
	       (record_read(s, name, &rec, &ignore) > 0 && rec.template && streq(rec.template, template));
}

void
tidy_jails(struct tidy *t, const char *template)
{
	_auto_strv struct strv names = STRV_INIT;
	struct err e = ERR_INIT;

	if (change_jails(&t->cli->store, &names, &e) < 0)
		t->status = cli_error(t->cli, &e);
	for (size_t i = 0; i < names.n; i++)
		if (is_of(&t->cli->store, names.v[i], template))
			tidy_jail(t, names.v[i]);
}
