/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of steps, and those that make and take away an instance of a jail. */
#include <stdio.h>

#include "base/clock.h"
#include "run/steps.h"

/* ---- the state: written before anything is made, removed after everything is gone ---- */

/* The old instance has ended, and the state becomes that of this one. */
static int
take_over(struct instance *i, struct err *e)
{
	_auto_close int dir = -EBADF;

	i->st.phase = PHASE_STARTING;
	if (state_write(i->s, &i->st, e) < 0 || state_dir(i->s, i->st.name, &dir, e) < 0)
		return -e->num;
	i->keep = NULL;
	if (renameat(dir, STATE_SERVICES_NEXT, dir, STATE_SERVICES) < 0)
		return err_sys(e, errno, "service records of jail %s", i->st.name);
	return 0;
}

static int
up_claim(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	int r;

	if (i->keep)
		return take_over(i, e);
	r = made_of_record(i, e);
	if (r == 0)
		r = instance_state(i, e);
	if (r == 0)
		r = state_claim(i->s, &i->st, i->want_jid ? i->want_jid : i->spec->jid, e);
	if (r == 0)
		i->id.jid = i->st.jid;
	return r;
}

/* Removes jailspace, record and log of a jail of `brig run`, which ends with its command. */
static int
remove_ephemeral(struct instance *i, struct err *e)
{
	_auto_free char *log = xasprintf("%s.log", i->st.name);
	int r = i->st.template && i->made->space == SPACE_DIR && !i->made->space_arg
		    ? space_destroy(i->s, i->st.name, e)
		    : 0;

	if (r == 0 && i->s->log_fd >= 0 && unlinkat(i->s->log_fd, log, 0) < 0 && errno != ENOENT)
		r = err_sys(e, errno, "remove %s/%s", i->s->log, log);
	return r == 0 ? record_remove(i->s, i->st.name, e) : r;
}

static int
down_claim(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	bool ephemeral = i->st.ephemeral;
	int r = 0;

	if (!i->st.name || i->keep) /* it never had the place */
		return 0;
	if (ephemeral)
		r = remove_ephemeral(i, e);
	if (r == 0)
		r = state_remove(i->s, i->st.name, e);
	if (r == 0 && ephemeral)
		store_lock_remove(i->s, "jail", i->st.name);
	return r;
}

static void
about_claim(const struct jailspec *spec, struct strv *ret)
{
	strv_addf(ret, "jail %s", spec->name);
}

/* ---- limits ---- */

static int
up_limits(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	int r = os_limit_up(&i->id, i->spec, e);

	i->foreign_group = r == -EEXIST;
	return r;
}

static int
down_limits(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	return i->foreign_group ? 0 : os_limit_down(&i->id, e);
}

/* ---- the jail itself ---- */

static int
up_create(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	struct made_of m;
	int r = made_of_open(i, &m, e);

	if (r < 0)
		return r;
	r = os_jail_create(&(struct os_new){&i->id, i->spec, &m.root, &m.init, i->keep}, &i->st.ref, &i->jail,
			   e);
	made_of_close(&m);
	/* until it is released the jail dies with us, so a crash before this write leaves none.  Beside a
	 * running instance the state is still that one's */
	return r < 0 || i->keep ? r : state_write(i->s, &i->st, e);
}

static int
down_create(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	if (i->jail) {
		os_jail_close(i->jail);
		i->jail = NULL;
	}
	return i->st.ref.pid > 0 ? os_jail_kill(&i->st.ref, e) : 0;
}

static void
about_create(const struct jailspec *spec, struct strv *ret)
{
	if (spec->root == ROOT_TEMPLATE)
		strv_addf(ret, "root: template %s%s%s, read-only", spec->template, spec->release ? "/" : "",
			  spec->release ? spec->release : "");
	else
		strv_addf(ret, "root: %s", spec->path);
}

/* ---- its network ---- */

static int
up_network(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	_auto_strv struct strv warnings = STRV_INIT;
	int r = os_net_up(&i->id, i->spec, &i->st.ref, &warnings, e);

	for (size_t k = 0; k < warnings.n; k++)
		run_warn(i->who, i->spec->label, warnings.v[k]);
	return r;
}

static int
down_network(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	return os_net_down(&i->id, i->made, i->st.ref.pid > 0 ? &i->st.ref : NULL, e);
}

static int
up_redirect(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	return os_fw_up(&i->id, i->spec, e);
}

static int
down_redirect(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	return os_fw_down(&i->id, i->made, e);
}

static int
up_names(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	return i->spec->n_addrs ? hosts_set(i->s, i->spec->name, i->spec, e) : 0;
}

static int
down_names(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	return i->made->n_addrs ? hosts_set(i->s, i->made->name, NULL, e) : 0;
}

static void
about_names(const struct jailspec *spec, struct strv *ret)
{
	if (spec->n_addrs)
		strv_addf(ret, "%s", spec->hostname);
}

static void
about_param(const struct jailspec *spec, const char *const *names, struct strv *ret)
{
	for (; *names; names++) {
		const struct param *p = params_get(&spec->params, *names);

		for (size_t k = 0; p && k < p->values.n; k++)
			strv_addf(ret, "%s %s", *names, p->values.v[k]);
	}
}

static void
about_limits(const struct jailspec *spec, struct strv *ret)
{
	static const char *const names[] = {"limit.memory", "limit.pids", "limit.cpu", "limit.io", NULL};

	about_param(spec, names, ret);
}

static void
about_network(const struct jailspec *spec, struct strv *ret)
{
	static const char *const names[] = {"ip4", "ip4.addr", "ip6", "ip6.addr", "vnet.interface", NULL};

	about_param(spec, names, ret);
}

static void
about_redirect(const struct jailspec *spec, struct strv *ret)
{
	static const char *const names[] = {"rdr", "nat", NULL};

	about_param(spec, names, ret);
}

/* They go with the first process. */
static int
up_listen(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	return i->spec->n_listen ? os_jail_listen(i->jail, i->spec, i->keep, i->keep_made, e) : 0;
}

static void
about_listen(const struct jailspec *spec, struct strv *ret)
{
	static const char *const names[] = {"listen", NULL};

	about_param(spec, names, ret);
}

/* ---- what runs in it ---- */

/* Once: what they do is in the jailspace.  In a jail that runs on they may be late: the next start runs them. */
static int
run_pending(struct ctx *c, struct instance *i, enum step_id step, struct err *e)
{
	struct record *rec = c->has_change ? &c->rec : &i->record;
	bool any = false;
	int r = 0;

	i->from = rec->upgrade_from;
	i->to = rec->release;
	for (enum pending_kind k = run_steps[step].pending; k < run_steps[step].pending_end && r == 0; k++) {
		struct strv *commands = &rec->pending.v[k];

		any |= commands->n > 0;
		r = hooks_pending(i, k, commands, e);
		if (r == 0)
			strv_free(commands);
	}
	i->from = i->to = NULL;
	if (r < 0 && i == &c->old) {
		run_warn(i->who, i->spec->label, e->msg);
		err_clear(e);
		return 0;
	}
	/* in the middle of a change its end writes the record */
	return r < 0 || !any || c->has_change ? r : record_write(i->s, i->spec->name, rec, e);
}

/* Files in memory are those of a new jail at each start. */
static int
new_in_memory(const struct instance *i, struct record *rec, struct err *e)
{
	_auto_(release_close) struct release rel = {.dir_fd = -EBADF, .root_fd = -EBADF, .skel_fd = -EBADF};
	int r = release_open(i->s, rec->template, rec->release, &rel, e);

	return r < 0 ? r : switch_create_hooks(&rel, &rec->pending, e);
}

static int
up_hooks(struct ctx *c, struct instance *i, struct err *e)
{
	struct record *rec = c->has_change ? &c->rec : &i->record;
	int r = i->spec->space == SPACE_TMPFS && rec->template ? new_in_memory(i, rec, e) : 0;

	return r < 0 ? r : run_pending(c, i, STEP_HOOKS, e);
}

static int
up_hooks_after(struct ctx *c, struct instance *i, struct err *e)
{
	if (c->res && i == &c->next)
		note_up(c);
	return run_pending(c, i, STEP_HOOKS_AFTER, e);
}

/* Before anything is taken down: after a kill the state must say that the jail is not whole. */
static int
say_stopping(struct instance *i, struct err *e)
{
	i->st.phase = PHASE_STOPPING;
	return state_write(i->s, &i->st, e);
}

static bool
says_running(const struct instance *i)
{
	return i->st.name && !i->keep && i->st.phase == PHASE_RUNNING;
}

/* ---- around the switch to another release ---- */

/* Does nothing if the jail was not upgraded since it last ran. */
static int
run_upgrade_hooks(struct ctx *c, struct instance *i, enum spec_exec which, struct err *e)
{
	const struct record *rec = c->has_change ? &c->rec : &i->record;
	int r;

	if (!rec->upgrade_from)
		return 0;
	i->from = rec->upgrade_from;
	i->to = rec->release;
	r = hooks_run(i, which, e);
	i->from = i->to = NULL;
	return r;
}

/* Runs on the old release, while its services run; c->rec is the record before the switch. */
static int
up_preupgrade(struct ctx *c, struct instance *i, struct err *e)
{
	int r;

	i->from = c->rec.release;
	i->to = c->to->release;
	r = hooks_run(i, EXEC_PREUPGRADE, e);
	i->from = i->to = NULL;
	return r;
}

static int
up_upgrade(struct ctx *c, struct instance *i, struct err *e)
{
	return run_upgrade_hooks(c, i, EXEC_UPGRADE, e);
}

/* The jail is up on the new release: its upgrade hooks have run.  During a change the finish writes the
 * record. */
static int
up_postupgrade(struct ctx *c, struct instance *i, struct err *e)
{
	struct record *rec = c->has_change ? &c->rec : &i->record;
	int r = run_upgrade_hooks(c, i, EXEC_POSTUPGRADE, e);

	if (r < 0 || !rec->upgrade_from)
		return r;
	free(rec->upgrade_from);
	rec->upgrade_from = NULL;
	return c->has_change ? 0 : record_write(i->s, i->spec->name, rec, e);
}

/* exec.stop, then TERM to everything and stop.timeout; what is left is killed by down_create. */
static int
down_start(struct ctx *c, struct instance *i, struct err *e)
{
	struct err ignore = ERR_INIT;
	int r;

	c->stopped_us = clock_us();
	if (!os_jail_alive(&i->st.ref))
		return 0;
	if (!i->hooks) {
		r = says_running(i) ? say_stopping(i, e) : 0;
		if (r < 0) /* dead, it is known not to be whole */
			(void)os_jail_kill(&i->st.ref, &ignore);
		return r;
	}
	r = hooks_run(i, EXEC_STOP, e);
	if (r < 0 && os_jail_alive(&i->st.ref))
		return r;
	err_clear(e); /* it ended by itself meanwhile: no error */
	r = say_stopping(i, e);
	interrupt_waits_for("its processes to end", i->spec->label);
	if (r == 0 && i->spec->stop_timeout > 0)
		r = os_jail_term(&i->st.ref, i->spec->stop_timeout, e);
	return r < 0 ? r : 0;
}

/*
 * Services that exec.start could not start.  On a release that the jail is brought to they are a reason to go back,
 * unless it was without them before; otherwise it runs, degraded, and that is said.
 */
static int
look_at_missing(struct ctx *c, struct instance *i, struct err *e)
{
	struct record *rec = c->has_change ? &c->rec : &i->record;
	_auto_free char *names = strv_join(&i->missing, " "), *before = strv_join(&rec->missing, " "), *text = NULL;
	bool more = false;

	for (size_t k = 0; k < i->missing.n; k++)
		more |= !strv_has(&rec->missing, i->missing.v[k]);
	if (more && c->has_change && c->rec.change != RECORD_REVERT && i == &c->next)
		return err_set(e, EIO, "exec.start: not started: %s", names);
	if (i->missing.n) {
		text = xasprintf("runs, but these services did not start: %s (brig logs %s)", names, i->spec->name);
		run_warn(i->who, i->spec->label, text);
	}
	if (streq(names, before))
		return 0;
	strv_free(&rec->missing);
	strv_copy(&rec->missing, &i->missing);
	/* in the middle of a change its end writes the record */
	return c->has_change ? 0 : record_write(i->s, i->spec->name, rec, e);
}

static int
up_start(struct ctx *c, struct instance *i, struct err *e)
{
	int r = hooks_run(i, EXEC_START, e);

	return r < 0 ? r : look_at_missing(c, i, e);
}

static int
up_command(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	if (!i->opts->command)
		return hooks_run(i, EXEC_COMMAND, e);
	return os_jail_exec(&i->id, &i->st.ref, i->spec, i->opts->command, i->opts->ret_status, e);
}

static int
up_services(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	int r = os_jail_release(i->jail, e);

	if (r < 0)
		return r;
	os_jail_close(i->jail);
	i->jail = NULL;
	return 0;
}

static void
about_services(const struct jailspec *spec, struct strv *ret)
{
	strv_copy(ret, &spec->service);
}

static int
up_health(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	return hooks_health(i, e);
}

static void
about_health(const struct jailspec *spec, struct strv *ret)
{
	strv_copy(ret, &spec->health);
}

static int
up_running(struct ctx *c _unused_, struct instance *i, struct err *e)
{
	if (i->st.phase == PHASE_RUNNING) /* it was told to stop but still runs */
		return 0;
	i->st.phase = PHASE_RUNNING;
	return state_write(i->s, &i->st, e);
}

#define HOOKS(up_, down_) .hook = up_, .unhook = down_
#define NO_HOOKS HOOKS(NO_HOOK, NO_HOOK)
#define GO .may_stop = true
#define PENDING(first, end) .pending = first, .pending_end = end

/* In the order of jail(8); see brig(8), STARTING AND STOPPING.  The steps of a change are where they are when
 * nothing is made beside a running instance. */
const struct step run_steps[STEP_N] = {
    [STEP_MARK] = {"mark the jail to be started again", "remove the mark", OF_CHANGE, NO_HOOKS, .up = up_mark,
		   .down = down_mark},
    [STEP_PREUPGRADE] = {"exec.preupgrade", NULL, OF_CHANGE, GO, HOOKS(EXEC_PREUPGRADE, NO_HOOK),
			 .up = up_preupgrade},
    [STEP_INTEND] = {"prepare the next start", NULL, OF_CHANGE, NO_HOOKS, GO, .up = up_intend, .down = down_stage},
    [STEP_STAGE] = {"stage the files", "discard the change", OF_CHANGE, NO_HOOKS, GO, .up = up_stage,
		    .down = down_stage},
    [STEP_DECIDE] = {"record the new release", "record the old release", OF_CHANGE, NO_HOOKS, GO,
		     .up = up_decide, .down = down_decide},
    [STEP_PREPARE] = {"exec.prepare", "exec.release", OF_NETWORK, GO, HOOKS(EXEC_PREPARE, EXEC_RELEASE)},
    [STEP_CLAIM] = {"claim name and JID", "remove the state", OF_PLACE, GO, NO_HOOKS, .about = about_claim,
		    .up = up_claim, .down = down_claim},
    [STEP_LIMITS] = {"limits", "remove the limits", OF_NETWORK, GO, NO_HOOKS, .about = about_limits,
		     .up = up_limits, .down = down_limits},
    [STEP_PRESTART] = {"exec.prestart", "exec.poststop", OF_NETWORK, GO, HOOKS(EXEC_PRESTART, EXEC_POSTSTOP)},
    [STEP_CREATE] = {"create the first process", "end all processes", OF_INSTANCE, GO, NO_HOOKS, .early = true,
		     .about = about_create, .up = up_create, .down = down_create},
    [STEP_NETWORK] = {"network", "remove links, addresses and routes", OF_NETWORK, GO, NO_HOOKS,
		      .about = about_network, .up = up_network, .down = down_network},
    [STEP_REDIRECT] = {"redirections", "remove redirections", OF_NETWORK, GO, NO_HOOKS, .about = about_redirect,
		       .up = up_redirect, .down = down_redirect},
    [STEP_NAMES] = {"names", "remove its names", OF_NETWORK, GO, NO_HOOKS, .about = about_names, .up = up_names,
		    .down = down_names},
    [STEP_LISTEN] = {"listen", NULL, OF_INSTANCE, GO, NO_HOOKS, .early = true, .about = about_listen,
		     .up = up_listen},
    [STEP_CREATED] = {"exec.created", NULL, OF_NETWORK, GO, HOOKS(EXEC_CREATED, NO_HOOK)},
    [STEP_WATCH] = {"watch its sockets", NULL, OF_CHANGE, GO, NO_HOOKS, .up = up_watch, .down = down_watch},
    [STEP_SOCKETS] = {"note what listens", NULL, OF_CHANGE, GO, NO_HOOKS, .up = up_sockets},
    [STEP_KEEP] = {"copy data", NULL, OF_CHANGE, GO, NO_HOOKS, .up = up_keep},
    [STEP_FILES] = {"put the files in place", "put the files back", OF_CHANGE, GO, NO_HOOKS, .up = up_files,
		    .down = down_files},
    [STEP_HOOKS] = {"hooks of the release", NULL, OF_INSTANCE, GO, NO_HOOKS, PENDING(PENDING_CREATE, PENDING_AFTER),
		    .up = up_hooks},
    [STEP_UPGRADE] = {"exec.upgrade", NULL, OF_INSTANCE, GO, HOOKS(EXEC_UPGRADE, NO_HOOK),
		      .up = up_upgrade},
    [STEP_START] = {"exec.start", "exec.stop", OF_INSTANCE, GO, HOOKS(EXEC_START, EXEC_STOP), .up = up_start,
		    .down = down_start},
    [STEP_COMMAND] = {"command", NULL, OF_INSTANCE, GO, HOOKS(EXEC_COMMAND, NO_HOOK), .up = up_command},
    [STEP_SERVICES] = {"services", NULL, OF_INSTANCE, GO, NO_HOOKS, .about = about_services, .up = up_services},
    [STEP_HEALTH] = {"health", NULL, OF_INSTANCE, GO, NO_HOOKS, .about = about_health, .up = up_health},
    [STEP_LISTENING] = {"wait for what listened", NULL, OF_INSTANCE, GO, NO_HOOKS, .up = up_listening},
    [STEP_POSTSTART] = {"exec.poststart", "exec.prestop", OF_INSTANCE, HOOKS(EXEC_POSTSTART, EXEC_PRESTOP)},
    [STEP_HOOKS_AFTER] = {"hooks of the release, beside its services", NULL, OF_INSTANCE, NO_HOOKS,
			  PENDING(PENDING_AFTER, PENDING_N), .up = up_hooks_after},
    [STEP_POSTUPGRADE] = {"exec.postupgrade", NULL, OF_INSTANCE, HOOKS(EXEC_POSTUPGRADE, NO_HOOK),
			  .up = up_postupgrade},
    [STEP_RUNNING] = {"record that it runs", NULL, OF_INSTANCE, NO_HOOKS, .up = up_running},
    [STEP_MEASURE] = {"measure the downtime", NULL, OF_CHANGE, NO_HOOKS, .up = up_measure},
    [STEP_FINISH] = {"finish the change", NULL, OF_CHANGE, NO_HOOKS, .final = true, .up = up_finish},
};
