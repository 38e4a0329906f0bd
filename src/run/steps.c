/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "run/steps.h"

volatile sig_atomic_t run_interrupted;

static void
on_signal(int sig _unused_)
{
	run_interrupted = 1;
}

void
run_catch_signals(void)
{
	/* A second signal has its default action: the next command cleans up. */
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGHUP, &sa, NULL);
}

void
run_release_signals(void)
{
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
}

/* --- exec.prepare / exec.release: may make and remove what the jail stands on --- */

static int
up_prepare(struct ctx *c, struct err *e)
{
	return hooks_run(c, EXEC_PREPARE, e);
}

static int
down_prepare(struct ctx *c, struct err *e)
{
	return c->hooks ? hooks_run(c, EXEC_RELEASE, e) : 0;
}

/* --- the state: written before anything is made, removed after everything is gone --- */

static void
copy_params(struct params *dst, const struct params *src)
{
	for (size_t i = 0; i < src->n; i++)
		strv_copy(&params_set(dst, src->v[i].name)->values, &src->v[i].values);
}

int
steps_state(struct ctx *c, struct err *e)
{
	struct state *st = &c->st;

	*st = (struct state){
	    .name = xstrdup(c->spec->name), .phase = PHASE_STARTING, .idbase = c->record.idbase};
	st->template = xstrdup_null(c->record.template);
	st->release = xstrdup_null(c->record.release);
	st->path = xstrdup(c->spec->path);
	st->hostname = xstrdup(c->spec->hostname);
	st->consolelog = console_path(c->s, c->spec);
	st->started = time(NULL);
	st->ephemeral = c->opts && c->opts->ephemeral;
	copy_params(&st->params, &c->spec->params);
	return os_boot_id(st->ref.boot, e);
}

static int
up_claim(struct ctx *c, struct err *e)
{
	int r = made_of_record(c, e);

	if (r == 0)
		r = steps_state(c, e);
	if (r == 0)
		r = state_claim(c->s, &c->st, c->want_jid ? c->want_jid : c->spec->jid, e);
	if (r == 0)
		c->id.jid = c->st.jid;
	return r;
}

/* The jailspace of `brig run` goes with the jail, and so do its record and its log, which nobody could ask
 * for. */
static int
forget_ephemeral(struct ctx *c, struct err *e)
{
	_auto_free char *log = xasprintf("%s.log", c->st.name);
	int r = c->st.template && c->made->space == SPACE_DIR && !c->made->space_arg
		    ? space_destroy(c->s, c->st.name, e)
		    : 0;

	if (r == 0 && c->s->log_fd >= 0 && unlinkat(c->s->log_fd, log, 0) < 0 && errno != ENOENT)
		r = err_sys(e, errno, "remove %s/%s", c->s->log, log);
	return r == 0 ? record_remove(c->s, c->st.name, e) : r;
}

static int
down_claim(struct ctx *c, struct err *e)
{
	bool ephemeral = c->st.ephemeral;
	int r = ephemeral ? forget_ephemeral(c, e) : 0;

	if (r == 0)
		r = state_remove(c->s, c->st.name, e);
	if (r == 0 && ephemeral)
		store_lock_forget(c->s, "jail", c->st.name);
	return r;
}

static int
up_limits(struct ctx *c, struct err *e)
{
	int r = os_limit_up(&c->id, c->spec, e);

	c->foreign_group = r == -EEXIST;
	return r;
}

static int
down_limits(struct ctx *c, struct err *e)
{
	return c->foreign_group ? 0 : os_limit_down(&c->id, e);
}

static int
up_prestart(struct ctx *c, struct err *e)
{
	return hooks_run(c, EXEC_PRESTART, e);
}

static int
down_prestart(struct ctx *c, struct err *e)
{
	return c->hooks ? hooks_run(c, EXEC_POSTSTOP, e) : 0;
}

/* --- the jail itself --- */

static int
up_create(struct ctx *c, struct err *e)
{
	struct made_of m;
	int r = made_of_open(c, &m, e);

	if (r < 0)
		return r;
	r = os_jail_create(&c->id, c->spec, &m.root, &m.init, c->keep, &c->st.ref, &c->jail, e);
	made_of_close(&m);
	/* dies with us until it is released: a crash before this write leaves no jail; while the one whose
	 * place it takes is there, the state is that one's */
	return r < 0 || c->keep ? r : state_write(c->s, &c->st, e);
}

static int
down_create(struct ctx *c, struct err *e)
{
	if (c->jail) {
		os_jail_close(c->jail);
		c->jail = NULL;
	}
	return c->st.ref.pid > 0 ? os_jail_kill(&c->st.ref, e) : 0;
}

static void
warn_all(struct ctx *c, const struct strv *warnings)
{
	for (size_t i = 0; i < warnings->n && c->rep && c->rep->warn; i++)
		c->rep->warn(c->rep->ctx, c->spec->label, warnings->v[i]);
}

static int
up_network(struct ctx *c, struct err *e)
{
	_auto_strv struct strv warnings = STRV_INIT;
	int r = os_net_up(&c->id, c->spec, &c->st.ref, &warnings, e);

	warn_all(c, &warnings);
	return r;
}

static int
down_network(struct ctx *c, struct err *e)
{
	int r = 0;

	if (c->made->vnet_interface.n > 0 && c->st.ref.pid > 0 && os_jail_alive(&c->st.ref))
		r = os_net_return(&c->id, c->made, &c->st.ref, e);
	return r < 0 ? r : os_net_down(&c->id, c->made, e);
}

static int
up_redirect(struct ctx *c, struct err *e)
{
	return os_fw_up(&c->id, c->spec, e);
}

static int
down_redirect(struct ctx *c, struct err *e)
{
	return os_fw_down(&c->id, c->made, e);
}

static int
up_names(struct ctx *c, struct err *e)
{
	return c->spec->n_addrs ? hosts_set(c->s, c->spec->name, c->spec, e) : 0;
}

static int
down_names(struct ctx *c, struct err *e)
{
	return c->made->n_addrs ? hosts_set(c->s, c->st.name, NULL, e) : 0;
}

/* They go with the first process. */
static int
up_listen(struct ctx *c, struct err *e)
{
	return c->spec->n_listen ? os_jail_listen(c->jail, c->spec, c->keep, c->keep_made, e) : 0;
}

static int
up_created(struct ctx *c, struct err *e)
{
	return hooks_run(c, EXEC_CREATED, e);
}

/* --- what runs in it --- */

/* Once: what it makes is in the jailspace. */
static int
up_regenerate(struct ctx *c, struct err *e)
{
	int r = c->record.regenerate.n ? hooks_regenerate(c, e) : 0;

	if (r < 0 || c->record.regenerate.n == 0)
		return r;
	strv_free(&c->record.regenerate);
	/* in the middle of a change its end writes the record */
	return c->record.change == RECORD_SETTLED ? record_write(c->s, c->spec->name, &c->record, e) : 0;
}

static int
up_start(struct ctx *c, struct err *e)
{
	return hooks_run(c, EXEC_START, e);
}

/* exec.stop, then TERM to everything and stop.timeout; what is left is killed by down_create. */
static int
down_start(struct ctx *c, struct err *e)
{
	int r;

	if (!c->hooks || !os_jail_alive(&c->st.ref))
		return 0;
	r = hooks_run(c, EXEC_STOP, e);
	if (r == -ETIMEDOUT) { /* it is ended all the same */
		if (c->rep && c->rep->warn)
			c->rep->warn(c->rep->ctx, c->spec->label, e->msg);
		r = 0;
	}
	if (r < 0 && os_jail_alive(&c->st.ref))
		return r;
	err_clear(e); /* it ended by itself meanwhile, which is what was wanted */
	c->st.phase = PHASE_STOPPING;
	r = state_write(c->s, &c->st, e);
	if (r == 0 && c->spec->stop_timeout > 0)
		r = os_jail_term(&c->st.ref, c->spec->stop_timeout, e);
	return r < 0 ? r : 0;
}

static int
up_command(struct ctx *c, struct err *e)
{
	if (!c->opts || !c->opts->command)
		return hooks_run(c, EXEC_COMMAND, e);
	return os_jail_exec(&c->id, &c->st.ref, c->spec, c->opts->command, c->opts->ret_status, e);
}

static int
up_services(struct ctx *c, struct err *e)
{
	int r = os_jail_release(c->jail, e);

	if (r < 0)
		return r;
	os_jail_close(c->jail);
	c->jail = NULL;
	return 0;
}

static int
up_health(struct ctx *c, struct err *e)
{
	return hooks_health(c, e);
}

static int
up_poststart(struct ctx *c, struct err *e)
{
	return hooks_run(c, EXEC_POSTSTART, e);
}

static int
down_poststart(struct ctx *c, struct err *e)
{
	return c->hooks ? hooks_run(c, EXEC_PRESTOP, e) : 0;
}

static int
up_running(struct ctx *c, struct err *e)
{
	c->st.phase = PHASE_RUNNING;
	return state_write(c->s, &c->st, e);
}

/* jail(8)'s order; see freebsd's manual and brig(8), STARTING AND STOPPING. */
const struct step run_steps[] = {
    {"exec.prepare", up_prepare, down_prepare, true},
    {"claim", up_claim, down_claim, true},
    {"limits", up_limits, down_limits, true},
    {"exec.prestart", up_prestart, down_prestart, true},
    {"create", up_create, down_create},
    {"network", up_network, down_network, true},
    {"redirections", up_redirect, down_redirect, true},
    {"names", up_names, down_names, true},
    {"listen", up_listen, NULL},
    {"exec.created", up_created, NULL, true},
    {"regenerate", up_regenerate, NULL, false},
    {"exec.start", up_start, down_start},
    {"command", up_command, NULL},
    {"services", up_services, NULL},
    {"health", up_health, NULL},
    {"exec.poststart", up_poststart, down_poststart},
    {"running", up_running, NULL},
};
const size_t run_steps_len = ARRAY_LEN(run_steps);
