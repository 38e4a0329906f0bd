/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/wait.h>

#include "cli/jailop.h"
#include "run/run.h"

/* Parameters that only matter when something is done to the jail: those of a running jail are replaced in its
 * recorded state.  All others were built into it when it was created. */
static const char *const changeable[] = {
    "exec.prepare",     "exec.prestart",
    "exec.created",     "exec.start",
    "command",          "exec.poststart",
    "exec.prestop",     "exec.stop",
    "exec.poststop",    "exec.release",
    "exec.preupgrade",  "exec.upgrade",
    "exec.postupgrade",
    "exec.clean",       "exec.jail_user",
    "exec.system_user", "exec.system_jail_user",
    "exec.timeout",     "health",
    "depend",           "meta",
    "allow.dying",
};

#define LOCK_WAIT_MS 30000 /* how long it waits for the jail */

/* ---- the set ---- */

struct jail_job *
jailop_find(const struct jailop *o, const char *key)
{
	for (size_t i = 0; i < o->n; i++)
		if (streq(o->job[i].key, key))
			return &o->job[i];
	return NULL;
}

static void
fail(struct jailop *o, const char *key, const struct err *e)
{
	o->status = cli_fail(o->cli, key, e);
}

struct jail_job *
jailop_add(struct jailop *o, const char *key, struct jailspec *spec)
{
	struct jail_job j = {.key = xstrdup(key), .spec = spec};
	struct err e = ERR_INIT;
	const char *name = spec && spec->name ? spec->name : key;
	int found = state_find(&o->cli->store, name, &j.st, &e);

	if (found < 0)
		fail(o, key, &e);
	if (found > 0) {
		j.running = os_jail_alive(&j.st.ref) > 0;
		if (!j.running)
			state_free(&j.st);
	}
	GROW(o->job, o->n, o->cap);
	o->job[o->n] = j;
	return &o->job[o->n++];
}

void
jailop_free(struct jailop *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->job[i].key);
		jailspec_free(o->job[i].spec);
		run_was_free(&o->job[i].was);
		strv_free(&o->job[i].mentioned);
		if (o->job[i].running)
			state_free(&o->job[i].st);
	}
	free(o->job);
	o->job = NULL;
	o->n = o->cap = 0;
}

static void
refuse(struct jailop *o, const struct jail_job *j, const char *what)
{
	cli_warn(o->cli, "\"%s\" %s", j->key, what);
	o->status = 1;
}

void
jailop_decide(struct jailop *o, struct jail_job *j, bool create, bool modify, bool removes, bool wild)
{
	j->act = ACT_NONE;
	if (!j->running) {
		if (create && (modify || !removes))
			j->act = ACT_CREATE;
		else if (!wild)
			refuse(o, j, "not found");
	} else if (modify) {
		j->act = removes ? ACT_REPLACE : ACT_MODIFY;
	} else if (create && removes) {
		j->act = ACT_RESTART;
	} else if (removes) {
		j->act = ACT_REMOVE;
	} else if (!wild) {
		refuse(o, j, "already exists");
	}
}

/* ---- messages ---- */

static void
put_quoted(struct buf *b, const char *v)
{
	char q = strchr(v, '\'') ? '"' : strchr(v, '"') ? '\'' : strpbrk(v, " \t") ? '"' : 0;

	if (!*v)
		buf_adds(b, "\"\"");
	if (q)
		buf_addc(b, q);
	for (; *v; v++) {
		if (*v == '\\' || (q && *v == q))
			buf_addc(b, '\\');
		buf_addc(b, *v);
	}
	if (q)
		buf_addc(b, q);
}

static bool
says_false(const struct param *p)
{
	const char *v = p->values.n ? p->values.v[p->values.n - 1] : "true";

	return streq(v, "false") || streq(v, "0");
}

static void
put_param(struct buf *b, const struct param *p)
{
	const struct param_def *def = param_find(p->name, NULL);
	const char *dot = strrchr(p->name, '.');
	size_t head = dot ? (size_t)(dot + 1 - p->name) : 0;

	if (def && def->type == PARAM_BOOL) {
		buf_add(b, p->name, head);
		buf_addf(b, "%s%s", says_false(p) ? "no" : "", p->name + head);
		return;
	}
	buf_adds(b, p->name);
	for (size_t i = 0; i < p->values.n; i++) {
		buf_addc(b, i ? ',' : '=');
		put_quoted(b, p->values.v[i]);
	}
}

void
jail_put_params(struct buf *b, const struct jailspec *s, const char *sep, int jid)
{
	if (jid > 0)
		buf_addf(b, "jid=%d%s", jid, sep);
	buf_adds(b, "name=");
	put_quoted(b, s->name ? s->name : s->label);
	for (size_t i = 0; i < s->params.n; i++) {
		const struct param *p = &s->params.v[i];

		if (streq(p->name, "name") || streq(p->name, "jid"))
			continue;
		buf_adds(b, sep);
		put_param(b, p);
	}
	buf_addc(b, '\n');
}

/* ---- changing a running jail ---- */

static bool
is_changeable(const char *name)
{
	if (str_after(name, "meta."))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(changeable); i++)
		if (streq(changeable[i], name))
			return true;
	return false;
}

static bool
same_values(const struct param *a, const struct param *b)
{
	const struct param_def *def = param_find(a->name, NULL);

	if (def && def->type == PARAM_BOOL)
		return says_false(a) == says_false(b);
	if (a->values.n != b->values.n)
		return false;
	for (size_t i = 0; i < a->values.n; i++)
		if (!streq(a->values.v[i], b->values.v[i]))
			return false;
	return true;
}

static bool
is_identity(const char *name)
{
	return streq(name, "name") || streq(name, "jid");
}

/* Parameters that differ: with words those that they mention, else also those that are to go. */
static void
differences(const struct jail_job *j, struct strv *ret)
{
	const struct params *now = &j->st.params, *want = &j->spec->params;

	for (size_t i = 0; i < want->n; i++) {
		const struct param *p = &want->v[i], *old = params_get(now, p->name);

		if (is_identity(p->name) || (j->partial && !strv_has(&j->mentioned, p->name)))
			continue;
		if (!old || !same_values(p, old))
			strv_add(ret, p->name);
	}
	for (size_t i = 0; !j->partial && i < now->n; i++)
		if (!is_identity(now->v[i].name) && !params_get(want, now->v[i].name))
			strv_add(ret, now->v[i].name);
}

static void
copy_param(struct params *dst, const struct params *src, const char *name)
{
	const struct param *p = params_get(src, name);
	struct param *q = params_set(dst, name);

	if (p)
		strv_copy(&q->values, &p->values);
}

static void
drop_param(struct params *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (!streq(p->v[i].name, name))
			continue;
		free(p->v[i].name);
		strv_free(&p->v[i].values);
		memmove(&p->v[i], &p->v[i + 1], (p->n - i - 1) * sizeof(*p->v));
		p->n--;
		return;
	}
}

static void
apply(struct params *p, const struct params *want, const struct strv *names)
{
	for (size_t i = 0; i < names->n; i++) {
		if (params_get(want, names->v[i]))
			copy_param(p, want, names->v[i]);
		else
			drop_param(p, names->v[i]);
	}
}

/* The recorded parameters of a running jail, under its lock; checked before they are written. */
static int
record_changes(struct jailop *o, const struct jail_job *j, const struct strv *names, struct err *e)
{
	const struct store *s = &o->cli->store;
	_auto_close int lock = -EBADF;
	struct jailspec *check = NULL;
	struct state st = {0};
	int r = store_lock(s, &(struct store_want){"jail", j->st.name, LOCK_WAIT_MS, interrupt_catch()},
			   &lock, e);

	interrupt_release();

	if (r < 0)
		return r;
	r = state_read(s, j->st.name, &st, e);
	if (r == 0)
		r = err_set(e, ENOENT, "it has ended");
	if (r > 0) {
		apply(&st.params, &j->spec->params, names);
		r = spec_from_params(st.name, &st.params, s->base, &check, e);
		if (r >= 0)
			r = state_write(s, &st, e);
	}
	jailspec_free(check);
	state_free(&st);
	return r < 0 ? r : 0;
}

/* The words of -mr name only what changes: the rest stays as it was. */
static int
complete(struct jailop *o, struct jail_job *j, const struct strv *names, struct err *e)
{
	struct jailspec *full = NULL;
	int r;

	if (!j->partial)
		return 0;
	apply(&j->st.params, &j->spec->params, names);
	r = spec_from_params(j->st.name, &j->st.params, o->cli->store.base, &full, e);
	if (r < 0)
		return r;
	jailspec_free(j->spec);
	j->spec = full;
	j->partial = false;
	return 0;
}

static void
modify(struct jailop *o, struct jail_job *j)
{
	_auto_strv struct strv names = STRV_INIT;
	struct err e = ERR_INIT;
	const char *fixed = NULL;
	int r = 0;

	differences(j, &names);
	for (size_t i = 0; i < names.n && !fixed; i++)
		if (!is_changeable(names.v[i]))
			fixed = names.v[i];
	if (fixed && j->act == ACT_MODIFY)
		r = err_set(&e, EBUSY, "%s cannot be changed while the jail runs; use -mr", fixed);
	else if (fixed)
		r = complete(o, j, &names, &e);
	else if (names.n)
		r = record_changes(o, j, &names, &e);
	if (r < 0) {
		j->act = ACT_NONE;
		fail(o, j->key, &e);
		return;
	}
	if (fixed) {
		j->act = ACT_RESTART;
		return;
	}
	j->act = ACT_NONE;
	if (o->note_created && !o->quiet)
		cli_say(o->cli, "%s: updated", j->key);
}

/* ---- starting and stopping ---- */

/* For a jail that no file defines the record goes with it, unless it was there before. */
static bool
is_ephemeral(const struct jailop *o, const struct jail_job *j)
{
	struct record rec = {0};
	struct err e = ERR_INIT;

	if (!j->alone || j->spec->root != ROOT_PATH)
		return false;
	if (record_read(&o->cli->store, j->spec->name, &rec, &e) == 0)
		return true;
	record_free(&rec);
	return false;
}

static int
start_with_command(struct jailop *o, const struct jail_job *j, struct run_start_opts so,
		   const struct run_caller *who, struct err *e)
{
	struct os_exec x = OS_EXEC_INIT;
	struct err undo = ERR_INIT;
	int status = 0, r;

	x.signals = true;
	x.argv = o->command;
	x.clean = j->spec->exec_clean;
	x.jail_user = j->spec->system_jail_user ? NULL : j->spec->jail_user;
	x.host_user = j->spec->system_jail_user ? j->spec->jail_user : NULL;
	x.timeout_s = j->spec->exec_timeout;
	so.command = &x;
	so.ret_status = &status;
	r = run_start(&o->cli->store, j->spec, &so, who, e);
	if (r < 0 || r == 1 || status == 0)
		return r;
	(void)run_stop(&o->cli->store, j->spec->name, j->spec, STOP_FORCE, who, &undo);
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "%s: exited on signal %d", o->command[0], WTERMSIG(status));
	return err_set(e, EIO, "%s: failed", o->command[0]);
}

static int
start_one(void *ctx, const char *key, struct err *e)
{
	struct jailop *o = ctx;
	const struct jail_job *j = jailop_find(o, key);
	struct run_start_opts so = {.ephemeral = is_ephemeral(o, j), .before = j->was.made ? &j->was : NULL};
	struct run_caller who = cli_caller(o->cli);

	if (j->was.made) /* it was stopped for this */
		who.in = NULL;

	if (o->command)
		return start_with_command(o, j, so, &who, e);
	return run_start(&o->cli->store, j->spec, &so, &who, e);
}

static void
started(void *ctx, const char *key, int r, long ms, const struct err *e)
{
	struct jailop *o = ctx;
	struct jail_job *j = jailop_find(o, key);
	struct state st = {0};
	struct err ignored = ERR_INIT;
	int jid = 0;

	(void)ms;
	if (r < 0) {
		fail(o, key, e);
		return;
	}
	if (r == 1) { /* another command was faster */
		refuse(o, j, "already exists");
		return;
	}
	if (r == RUN_DEGRADED) /* it has been said */
		o->status = 1;
	if (state_find(&o->cli->store, j->spec->name, &st, &ignored) > 0) {
		jid = st.jid;
		state_free(&st);
	}
	if (o->print_jid && jid > 0)
		printf("%d\n", jid);
	else if (o->note_created && !o->quiet)
		cli_say(o->cli, "%s: created", key);
	if (o->jid_file && jid > 0) {
		_auto_buf struct buf b = BUF_INIT;

		jail_put_params(&b, j->spec, "\t", jid);
		(void)fwrite(b.s, 1, b.len, o->jid_file);
	}
}

static int
stop_one(void *ctx, const char *key, struct err *e)
{
	struct jailop *o = ctx;
	const struct jail_job *j = jailop_find(o, key);
	struct run_caller who = cli_caller(o->cli);

	/* hooks as the file has them now; a jail that no file defines goes by what it recorded */
	return run_stop(&o->cli->store, j->st.name, j->partial || j->alone ? NULL : j->spec,
			(o->force ? STOP_FORCE : 0) | (j->was.made ? STOP_RETURNS : 0), &who, e);
}

static void
stopped(void *ctx, const char *key, int r, long ms, const struct err *e)
{
	struct jailop *o = ctx;
	struct jail_job *j = jailop_find(o, key);

	(void)ms;
	if (r < 0) {
		fail(o, key, e);
		j->act = ACT_NONE; /* not started again either */
	} else if (o->note_removed && !o->quiet) {
		cli_say(o->cli, "%s: removed", key);
	}
}

/* Runs work over the jobs that want it. */
static void
run_phase(struct jailop *o, bool stopping)
{
	_auto_free struct run_job *list = xcalloc(o->n + 1, sizeof(*list));
	struct run_batch b = {.jobs = list,
			      .reverse = stopping,
			      .parallel = o->parallel,
			      .in = interrupt_catch(),
			      .work = stopping ? stop_one : start_one,
			      .done = stopping ? stopped : started,
			      .ctx = o};

	for (size_t i = 0; i < o->n; i++) {
		const struct jail_job *j = &o->job[i];
		bool down = j->act == ACT_REMOVE || j->act == ACT_RESTART;
		bool up = j->act == ACT_CREATE || j->act == ACT_RESTART;

		if (stopping ? down : up)
			list[b.n++] = (struct run_job){j->key, j->spec && !o->force ? &j->spec->depend : NULL};
		if (!stopping && j->act == ACT_RESTART) { /* what has been stopped for it is started */
			b.in = NULL;
			b.keep_going = true;
		}
	}
	if (b.n > 0 && run_many(&b))
		o->status = 1;
}

/* What it runs as: it is that again if it cannot be started as it is to be now. */
static void
look_at_running(struct jailop *o, struct jail_job *j)
{
	struct err e = ERR_INIT;

	if (j->act != ACT_RESTART || run_was(&o->cli->store, j->st.name, &j->was, &e) >= 0)
		return;
	j->act = ACT_NONE;
	fail(o, j->key, &e);
}

int
jailop_run(struct jailop *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->job[i].act == ACT_MODIFY || o->job[i].act == ACT_REPLACE)
			modify(o, &o->job[i]);
	for (size_t i = 0; i < o->n; i++)
		look_at_running(o, &o->job[i]);
	run_phase(o, true);
	run_phase(o, false);
	if (o->jid_file && fflush(o->jid_file) != 0)
		o->status = 1;
	return o->status;
}
