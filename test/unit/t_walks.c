/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run/: every walk, stopped at every call.  A walk is what one command does to jails.  It runs in a process
 * of its own on the host of os/fake; its calls of the interface to the host (os/os.h) and those that change
 * files are counted, and in each case one of them fails, or a signal or a death comes before or after it.
 * Then comes what every command does first, and then everything must be as if the walk had been carried out
 * or had not been begun (lab_check()).
 *
 * All cases take minutes; by default as many as fit into WALKS_SECONDS (20), from a place and in steps that are
 * printed: WALKS_SEED=N takes the same ones again.  WALKS=all: every one.  WALKS=NAME: those of one walk.
 * WALKS_CASE=N: this one alone.  WALKS_ONLY=signals,deaths,power,ends,errors,later,again,worse: some of what can happen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"
#include "run/answer.h"
#include "run/switch.h"
#include "run/upgrade.h"
#include "walks_lab.h"

#define HANGS_AFTER 20 /* seconds */
#define SHOWN 25       /* cases that are described; all with WALKS=... */

/* ---- the walks ---- */

struct walk {
	const char *name;
	void (*prepare)(void);
	int (*act)(struct err *e);
	/* what must be so whatever happened; and when the walk said that it succeeded */
	struct lab_want any[JAILS], done[JAILS];
	int (*again)(struct err *e); /* after the next command, before the check: the same command */
	bool softer;                 /* it succeeds also when it had to go back */
	bool processes;              /* it has more than one */
};

static void
three(void)
{
	lab_make(DB, true);
	lab_make(WWW, true);
	lab_make(MAIL, false);
}

/* Of the command that walks: nobody listens, and signals are noted. */
static struct run_caller who;

static int
start_www(struct err *e)
{
	return run_start(&lab_store, lab_spec[WWW], NULL, &who, e);
}

static int
stop_www(struct err *e)
{
	return run_stop(&lab_store, "www", lab_spec[WWW], 0, &who, e);
}

static int
stop_force(struct err *e)
{
	return run_stop(&lab_store, "www", NULL, STOP_FORCE, &who, e);
}

/* As cmd_start.c does it. */
static int
restart_www(struct err *e)
{
	struct run_caller on = who;
	struct run_was was = {0};
	int r = run_was(&lab_store, "www", &was, e);

	if (r > 0)
		r = run_stop(&lab_store, "www", lab_spec[WWW], STOP_RETURNS, &who, e);
	on.in = NULL;
	if (r >= 0)
		r = run_start(&lab_store, lab_spec[WWW], &(struct run_start_opts){.before = was.made ? &was : NULL}, &on, e);
	run_was_free(&was);
	return r;
}

static int
start_one(void *ctx, const char *label, struct err *e)
{
	(void)ctx;
	for (int i = 0; i < JAILS; i++)
		if (streq(lab_name[i], label))
			return run_start(&lab_store, lab_spec[i], NULL, &who, e);
	return 0;
}

static int
stop_one(void *ctx, const char *label, struct err *e)
{
	(void)ctx;
	return run_stop(&lab_store, label, NULL, 0, &who, e);
}

static void
note_first(void *ctx, const char *label, int r, long ms, const struct err *e)
{
	struct err *first = ctx;

	(void)label;
	(void)ms;
	if (r < 0 && !first->num)
		*first = *e;
}

static int
each(bool stop, struct err *e)
{
	struct run_job job[JAILS];

	for (int i = 0; i < JAILS; i++)
		job[i] = (struct run_job){lab_name[i], &lab_spec[i]->depend};
	return run_many(&(struct run_batch){.jobs = job,
					    .n = JAILS,
					    .reverse = stop,
					    .in = who.in,
					    .work = stop ? stop_one : start_one,
					    .done = note_first,
					    .ctx = e})
		   ? -e->num
		   : 0;
}

static int
start_all(struct err *e)
{
	return each(false, e);
}

static int
stop_all(struct err *e)
{
	return each(true, e);
}

static void
all_stopped(void)
{
	for (int i = 0; i < JAILS; i++)
		lab_make(i, false);
}

static void
www_stopped(void)
{
	lab_make(DB, true);
	lab_make(WWW, false);
	lab_make(MAIL, false);
}

static void
nothing_to_say(void *ctx, const struct upgrade_jail *j, const struct switch_result *res, const struct err *e)
{
	struct err *first = ctx;

	(void)j;
	(void)res;
	if (e->num && !first->num)
		*first = *e;
}

static int
upgrade(struct upgrade u, struct err *e)
{
	_auto_close int lock = -EBADF;
	int r = store_lock_try(&lab_store, "upgrade", "mroot", &lock, e);

	u.store = u.to.store = &lab_store;
	u.template = "mroot";
	u.who = &who;
	u.done = nothing_to_say;
	u.ctx = e;
	if (!u.to.release)
		u.to.release = R2;
	for (int i = 0; r >= 0 && i < JAILS; i++) {
		struct jailspec *spec;

		r = spec_from_params(lab_name[i], &lab_spec[i]->params, lab_store.base, &spec, e);
		if (r == 0)
			r = upgrade_add(&u, lab_name[i], spec, e);
	}
	if (r >= 0)
		r = upgrade_plan(&u, e);
	if (r >= 0)
		r = upgrade_run(&u) == 0 ? 0 : e->num ? -e->num : -EIO;
	upgrade_free(&u);
	return r;
}

static int
one_by_one(struct err *e)
{
	return upgrade((struct upgrade){0}, e);
}

static int
two_jobs(struct err *e)
{
	return upgrade((struct upgrade){.jobs = 2}, e);
}

static int
canary(struct err *e)
{
	return upgrade((struct upgrade){.canary = "mail"}, e);
}

static int
all_at_once(struct err *e)
{
	return upgrade((struct upgrade){.all_at_once = true}, e);
}

static int
no_restart(struct err *e)
{
	return upgrade((struct upgrade){.to = {.no_restart = true}}, e);
}

static int
keep_going(struct err *e)
{
	fake_command("start db", lab_root(R2), 1);
	return upgrade((struct upgrade){.keep_going = true}, e);
}

static int
rollback(struct err *e)
{
	return upgrade((struct upgrade){.to = {.kind = CHANGE_ROLLBACK, .release = R1}}, e);
}

/* etc as if it were data: what is looked at afterwards is what was put back. */
static int
with_copies(struct err *e)
{
	static char etc[] = "etc", *path[] = {etc};
	static const struct strv paths = {.v = path, .n = 1};

	return upgrade((struct upgrade){.to = {.keep_data = &paths}}, e);
}

static int
rollback_with_data(struct err *e)
{
	return upgrade((struct upgrade){.to = {.kind = CHANGE_ROLLBACK, .release = R1, .with_data = true}}, e);
}

static void
three_in_turn(void)
{
	three();
	fake_can_keep(false);
}

static void
must(int (*act)(struct err *e))
{
	struct err e = ERR_INIT;

	if (act(&e) < 0) {
		fprintf(stderr, "prepare: %s\n", e.msg);
		abort();
	}
}

static void
three_upgraded(void)
{
	three();
	must(one_by_one);
}

static void
three_upgraded_in_turn(void)
{
	three_upgraded();
	fake_can_keep(false);
}

static void
three_copied(void)
{
	three();
	must(with_copies);
}

static void
three_copied_in_turn(void)
{
	three_copied();
	fake_can_keep(false);
}

static void
three_prepared(void)
{
	three();
	must(no_restart);
}

static void
www_stopped_prepared(void)
{
	three_prepared();
	must(stop_www);
}

static int
start_unhealthy(struct err *e)
{
	fake_command("start www", lab_root(R2), 1);
	return start_www(e);
}

static int
www_unhealthy(struct err *e)
{
	fake_command("start www", lab_root(R2), 1);
	return one_by_one(e);
}

static int
restart_unhealthy(struct err *e)
{
	fake_command("start www", lab_root(R2), 1);
	return restart_www(e);
}

static void
www_image(void)
{
	lab_use_image(WWW);
	three();
}

static void
www_image_prepared(void)
{
	www_image();
	must(no_restart);
}

static int
create_www(struct err *e)
{
	return run_create(&lab_store, lab_spec[WWW], NULL, e);
}

static void
no_www(void)
{
	lab_make(DB, true);
	lab_make(MAIL, false);
}

static int
destroy_mail(struct err *e)
{
	return run_destroy_all(&lab_store, "mail", lab_spec[MAIL], e);
}

static int
answer(struct switch_answer a, struct err *e)
{
	a.path = "etc/clash";
	return switch_answer(&lab_store, lab_spec[WWW], &a, &who, e);
}

static int
answer_keep(struct err *e)
{
	return answer((struct switch_answer){.keep = true}, e);
}

static int
answer_theirs(struct err *e)
{
	return answer((struct switch_answer){0}, e);
}

static int
answer_text(struct err *e)
{
	struct text content = {(char *)(uintptr_t) "both\n", 5};

	return answer((struct switch_answer){.content = &content}, e);
}

/* clang-format off */
#define UP           {RUNNING, ON_R1}
#define DOWN         {STOPPED, ON_R1}
#define EITHER       {STOPPED | RUNNING, ON_R1}
#define UP_2         {RUNNING, ON_R2}
#define DOWN_2       {STOPPED, ON_R2}
#define UP_ANY       {RUNNING, ON_R1 | ON_R2}
#define DOWN_ANY     {STOPPED, ON_R1 | ON_R2}
#define UP_WAITS     {RUNNING, ON_R1, .prepared = true}
#define UP_ANY_WAITS {RUNNING, ON_R1 | ON_R2, .prepared = true}
#define EITHER_WAITS {STOPPED | RUNNING, ON_R1 | ON_R2, .prepared = true}
#define NEW          {STOPPED, ON_R1, .pristine = true}
#define DECIDED      {RUNNING, ON_R2, .decided = true}
#define NONE         {ABSENT}
/* clang-format on */

/* clang-format off */
static const struct walk walks[] = {
    {"start", www_stopped, start_www,
     {UP, EITHER, DOWN}, {UP, UP, DOWN}},
    {"stop", three, stop_www,
     {UP, EITHER, DOWN}, {UP, DOWN, DOWN}},
    {"stop by force", three, stop_force,
     {UP, EITHER, DOWN}, {UP, DOWN, DOWN}},
    {"restart", three, restart_www,
     {UP, UP, DOWN}, {UP, UP, DOWN}},
    {"start all", all_stopped, start_all,
     {EITHER, EITHER, EITHER}, {UP, UP, UP}, .processes = true},
    {"stop all", three, stop_all,
     {EITHER, EITHER, DOWN}, {DOWN, DOWN, DOWN}, .processes = true},
    {"one by one", three, one_by_one,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"in turn", three_in_turn, one_by_one,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"two jobs", three, two_jobs,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"canary", three, canary,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"all at once", three, all_at_once,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"keep going", three, keep_going,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"unhealthy", three, www_unhealthy,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"unhealthy in turn", three_in_turn, www_unhealthy,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"no restart", three, no_restart,
     {UP_WAITS, UP_WAITS, DOWN_ANY}, {UP_WAITS, UP_WAITS, DOWN_2}, .processes = true},
    {"restart prepared", three_prepared, restart_www,
     {UP_WAITS, UP_ANY_WAITS, DOWN_2}, {UP_WAITS, UP_2, DOWN_2}, .softer = true},
    {"restart prepared, unhealthy", three_prepared, restart_unhealthy,
     {UP_WAITS, UP_ANY_WAITS, DOWN_2}, {UP_WAITS, UP, DOWN_2}, .softer = true},
    {"start prepared", www_stopped_prepared, start_www,
     {UP_WAITS, EITHER_WAITS, DOWN_2}, {UP_WAITS, UP_2, DOWN_2}, .softer = true},
    {"start prepared, unhealthy", www_stopped_prepared, start_unhealthy,
     {UP_WAITS, EITHER_WAITS, DOWN_2}, {UP_WAITS, UP, DOWN_2}, .softer = true},
    {"rollback", three_upgraded, rollback,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP, UP, DOWN}, .processes = true},
    {"rollback in turn", three_upgraded_in_turn, rollback,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP, UP, DOWN}, .processes = true},
    {"copies", three, with_copies,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"copies in turn", three_in_turn, with_copies,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"rollback with data", three_copied, rollback_with_data,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP, UP, DOWN}, .processes = true},
    {"rollback with data in turn", three_copied_in_turn, rollback_with_data,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP, UP, DOWN}, .processes = true},
    {"image with copies", www_image, with_copies,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"image", www_image, one_by_one,
     {UP_ANY, UP_ANY, DOWN_ANY}, {UP_2, UP_2, DOWN_2}, .processes = true},
    {"image prepared", www_image_prepared, restart_www,
     {UP_WAITS, UP_ANY_WAITS, DOWN_2}, {UP_WAITS, UP_2, DOWN_2}, .softer = true},
    {"create", no_www, create_www,
     {UP, NEW, DOWN}, {UP, NEW, DOWN}, .again = create_www},
    {"destroy", three, destroy_mail,
     {UP, UP, NONE}, {UP, UP, NONE}, .again = destroy_mail},
    {"answer keep", three_upgraded, answer_keep,
     {UP_2, DECIDED, DOWN_2}, {UP_2, DECIDED, DOWN_2}},
    {"answer theirs", three_upgraded, answer_theirs,
     {UP_2, DECIDED, DOWN_2}, {UP_2, DECIDED, DOWN_2}},
    {"answer text", three_upgraded, answer_text,
     {UP_2, DECIDED, DOWN_2}, {UP_2, DECIDED, DOWN_2}},
};
/* clang-format on */

/* ---- one case ---- */

enum fault { NO_FAULT, FAILS, ARRIVES, DIES, ENDS, POWER, NEXT_DIES };
struct fault_at {
	enum fault fault;
	unsigned at; /* from the beginning of the walk; NEXT_DIES: of the next command */
	enum fake_when when;
	int arg;    /* errno, signal, jail */
	bool group; /* POWER: the run directory is lost, too */
};
struct outcome { /* shared with the walk's process */
	bool ended;
	int r;
	struct err e;
	unsigned first, calls;
};
static struct outcome *outcome;
static unsigned n_cases, n_wrong;
static unsigned long case_number;
static bool only_one;

static void
script(const struct fault_at *f, unsigned first)
{
	switch (f->fault) {
	case NO_FAULT:
	case NEXT_DIES:
		break;
	case FAILS:
		fake_fail(first + f->at, f->arg);
		break;
	case ARRIVES:
		fake_signal(first + f->at, f->when, f->arg, f->group);
		break;
	case DIES:
		fake_kill(first + f->at, f->when, f->group);
		break;
	case ENDS:
		fake_ends(first + f->at, lab_name[f->arg]);
		break;
	case POWER:
		fake_kill(first + f->at, f->when, true);
		break;
	}
}

static void
walk_process(const struct walk *w)
{
	struct err e = ERR_INIT;

	who.in = interrupt_catch();
	outcome->r = w->act(&e);
	outcome->e = e;
	outcome->ended = true;
}

static void
next_process(const struct walk *w)
{
	_auto_free char *ignore = lab_next_command();

	(void)w;
}

/* A process of its own, and whatever it leaves behind: until nothing of them lives.  The wait status of the first. */
static int
in_process(void (*fn)(const struct walk *w), const struct walk *w)
{
	int status = 0, one;
	pid_t pid, got;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)alarm(HANGS_AFTER);
		fn(w);
		_exit(0);
	}
	while ((got = waitpid(-1, &one, 0)) > 0 || errno == EINTR)
		if (got == pid)
			status = one;
	fake_clear_script();
	return status;
}

/* The wait status of its process. */
static int
run_walk(const struct walk *w, const struct fault_at *f, size_t n)
{
	int status;

	lab_wipe();
	lab_use_directory(WWW);
	w->prepare();
	*outcome = (struct outcome){.first = fake_calls()};
	for (size_t i = 0; i < n; i++)
		script(&f[i], outcome->first);
	status = in_process(walk_process, w);
	outcome->calls = fake_calls() - outcome->first;
	return status;
}

static bool
has_death(const struct fault_at *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (f[i].fault == DIES || f[i].fault == POWER || f[i].fault == NEXT_DIES)
			return true;
	return false;
}

static void
describe(const struct walk *w, const struct fault_at *f, size_t n, struct buf *out)
{
	buf_addf(out, "%s", w->name);
	for (size_t i = 0; i < n; i++) {
		const struct fake_call *c = fake_call(outcome->first + f[i].at);

		if (f[i].fault == NEXT_DIES) {
			buf_addf(out, ", the next command killed at its call %u", f[i].at);
			continue;
		}
		buf_addf(out, ", %s call %u (%s%s%s)",
			 f[i].fault == FAILS || f[i].when == FAKE_BEFORE ? "at" : "after", f[i].at,
			 c ? c->call : "?", c && *c->about ? " " : "", c ? c->about : "");
		switch (f[i].fault) {
		case NO_FAULT:
		case NEXT_DIES:
			break;
		case FAILS:
			buf_addf(out, " %s", strerrorname_np(f[i].arg));
			break;
		case ARRIVES:
			buf_addf(out, " SIG%s", sigabbrev_np(f[i].arg));
			break;
		case DIES:
			buf_addf(out, " %s", f[i].group ? "killed" : "killed alone");
			break;
		case ENDS:
			buf_addf(out, " %s ends", lab_name[f[i].arg]);
			break;
		case POWER:
			buf_addf(out, " no power%s", f[i].group ? ", run/ lost" : "");
			break;
		}
	}
}

/* Nobody starts it again, unless it is what the walk is about; a change that it had waited for may be undone. */
static void
after_an_end(const struct walk *w, int jail, struct lab_want want[JAILS])
{
	want[jail] = w->any[jail];
	want[jail].on = ON_R1 | ON_R2;
	if (want[jail].is & RUNNING)
		want[jail].is |= STOPPED;
}

static void
after_a_boot(const struct fault_at *f, struct lab_want want[JAILS])
{
	lab_reboot(f->group);
	for (int i = 0; i < JAILS; i++)
		if (want[i].is & RUNNING)
			want[i].is = STOPPED | (want[i].is & ABSENT);
}

static void
check(const struct walk *w, const struct fault_at *f, size_t n, int status, struct buf *wrong)
{
	bool died = has_death(f, n);
	struct lab_want want[JAILS];
	_auto_free char *next = NULL;
	struct err e = ERR_INIT;

	if (!outcome->ended && !died)
		buf_addf(wrong, "its process ended with status %#x\n", (unsigned)status);
	memcpy(want,
	       outcome->ended && outcome->r >= 0 && !died && !(w->softer && f->fault != NO_FAULT) ? w->done
												  : w->any,
	       sizeof(want));
	/* an error and something else: the mark may be what failed */
	for (int i = 0; i < JAILS && n > 1 && (f[0].fault == FAILS || f[1].fault == FAILS); i++)
		want[i].is |= want[i].is & RUNNING ? STOPPED : 0;
	if (f->fault == ENDS)
		after_an_end(w, f->arg, want);
	if (f->fault == POWER)
		after_a_boot(f, want);
	/* who is interrupted puts things in order itself */
	for (int i = 0; i < JAILS && n == 1 && f->fault == ARRIVES; i++)
		if (w->any[i].is == RUNNING && !lab_runs(i))
			buf_addf(wrong, "%s: was left stopped\n", lab_name[i]);
	for (size_t i = 0; i < n; i++) {
		if (f[i].fault != NEXT_DIES)
			continue;
		fake_kill(fake_calls() + f[i].at, FAKE_BEFORE, true);
		(void)in_process(next_process, w);
	}
	next = lab_next_command();
	buf_adds(wrong, next);
	if (w->again && w->again(&e) < 0 && e.num != ENOENT)
		buf_addf(wrong, "the same again: %s\n", e.msg);
	lab_check(want, wrong);
	if (case_number % 4 == 0)
		lab_check_stops(wrong);
}

/* Returns how many calls it was. */
static unsigned
one_case(const struct walk *w, const struct fault_at *f, size_t n)
{
	_auto_buf struct buf wrong = BUF_INIT, what = BUF_INIT;
	int status = run_walk(w, f, n);
	unsigned calls = outcome->calls;

	n_cases++;
	buf_adds(&wrong, "");
	describe(w, f, n, &what);
	check(w, f, n, status, &wrong);
	if (only_one)
		fprintf(stderr, "case %lu: %s: %s %s\n", case_number, what.s,
			outcome->ended ? "ended" : "died", outcome->e.msg);
	if (wrong.len == 0)
		return calls;
	if (++n_wrong <= SHOWN || getenv("WALKS"))
		fprintf(stderr, "case %lu: %s (%s)\n%s\n", case_number, what.s,
			!outcome->ended   ? "did not end"
			: outcome->r >= 0 ? "succeeded"
					  : outcome->e.msg,
			wrong.s);
	return calls;
}

/* ---- all cases ---- */

/* The walks as they are without faults. */
static unsigned calls_of[ARRAY_LEN(walks)];
static struct fake_call *trace[ARRAY_LEN(walks)];

static void
learn(size_t i)
{
	const struct fault_at none = {NO_FAULT, 0, FAKE_BEFORE, 0, false};

	calls_of[i] = one_case(&walks[i], &none, 1);
	trace[i] = xcalloc(calls_of[i] + 1, sizeof(**trace));
	/* read again: the check has added calls, but kept those of the walk */
	for (unsigned k = 1; k <= calls_of[i]; k++) {
		const struct fake_call *c = fake_call(outcome->first + k);

		if (c)
			trace[i][k] = *c;
	}
}

#define N_SIGNALS 3
/* What can happen at one call: three signals before and after it, deaths, errors; an error and a death later. */
enum {
	SIGNALS = 2 * N_SIGNALS,
	DEATHS = 4,
	POWERS = 2,
	ENDINGS = 2,
	ERRORS = 4,
	LATER = 4,
	AGAIN = 2,
	WORSE = 2,
	EACH = SIGNALS + DEATHS + POWERS + ENDINGS + ERRORS + LATER + AGAIN + WORSE
};

static unsigned
pick(unsigned *seed, unsigned below)
{
	*seed = *seed * 1103515245u + 12345u;
	return below ? (*seed >> 8) % below : 0;
}

static bool
wanted(const char *what)
{
	const char *only = getenv("WALKS_ONLY");

	return !only || strstr(only, what);
}

/* Case number n of all; false: there is no such thing at this call. */
static bool
nth(size_t i, unsigned at, unsigned which, unsigned seed)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct fault_at f[2] = {{.at = at}};
	const int *errs = fake_errors(trace[i][at].call ? trace[i][at].call : "");
	size_t n = 1, n_errs = 0;

	while (errs[n_errs])
		n_errs++;
	if (which < SIGNALS) {
		if (!wanted("signals"))
			return false;
		f[0].fault = ARRIVES;
		f[0].arg = signals[which / 2];
		f[0].group = f[0].arg != SIGTERM;
		f[0].when = which % 2 ? FAKE_AFTER : FAKE_BEFORE;
	} else if ((which -= SIGNALS) < DEATHS) {
		f[0].fault = DIES;
		f[0].group = which < 2;
		f[0].when = which % 2 ? FAKE_AFTER : FAKE_BEFORE;
		if (!wanted("deaths") || (!f[0].group && !walks[i].processes))
			return false;
	} else if ((which -= DEATHS) < POWERS) {
		f[0].fault = POWER;
		f[0].group = which % 2;
		if (!wanted("power"))
			return false;
	} else if ((which -= POWERS) < ENDINGS) {
		f[0].fault = ENDS;
		f[0].arg = which % 2 ? DB : WWW;
		if (!wanted("ends"))
			return false;
	} else if ((which -= ENDINGS) < ERRORS) {
		if (which >= n_errs || !wanted("errors"))
			return false;
		f[0].fault = FAILS;
		f[0].arg = errs[which];
	} else if ((which -= ERRORS) >= LATER + AGAIN) { /* interrupted, and then something fails */
		unsigned next = at + 1 + pick(&seed, which % 2 ? 12 : calls_of[i] + 20 - at);

		if (!wanted("worse"))
			return false;
		f[0].fault = ARRIVES;
		f[0].arg = SIGTERM;
		/* which call it will be nobody knows: every one of them can have this error, or none */
		f[1] = (struct fault_at){.fault = FAILS, .at = next, .arg = EIO};
		n = 2;
	} else if (which >= LATER) { /* killed, and so is the next command */
		if (!wanted("again"))
			return false;
		f[0].fault = DIES;
		f[0].group = true;
		f[1] = (struct fault_at){.fault = NEXT_DIES, .at = 1 + pick(&seed, which % 2 ? 30 : 150)};
		n = 2;
	} else { /* killed while it takes things back */
		if (n_errs == 0 || !wanted("later"))
			return false;
		f[0].fault = FAILS;
		f[0].arg = errs[0];
		f[1] = (struct fault_at){DIES, at + 1 + pick(&seed, which % 2 ? 12 : calls_of[i] + 20 - at),
					 FAKE_BEFORE, 0, true};
		n = 2;
	}
	(void)one_case(&walks[i], f, n);
	return true;
}

static unsigned long
number_of(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);
	uint64_t n;

	return text && num_u64(text, UINT32_MAX, &n) == 0 ? (unsigned long)n : otherwise;
}

static void
every_case(void **state)
{
	const char *which = getenv("WALKS");
	bool all = which && streq(which, "all"), named = which && !all;
	unsigned long seconds = number_of("WALKS_SECONDS", 20), total = 0, step, done = 0;
	unsigned seed = (unsigned)number_of("WALKS_SEED", (unsigned long)time(NULL) & 0xffff);
	unsigned long one = number_of("WALKS_CASE", ULONG_MAX), from;
	int64_t begin = clock_ms();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
		learn(i);
		total += (unsigned long)calls_of[i] * EACH;
	}
	/* a step that has no factor in common with the number of all: each case once */
	from = seed * 7919ul % total;
	for (step = total / 3 + seed % 1000;; step++) {
		unsigned long a = step, b = total;

		while (b) {
			unsigned long rest = a % b;

			a = b;
			b = rest;
		}
		if (a == 1)
			break;
	}
	fprintf(stderr, "WALKS_SEED=%u of %lu cases\n", seed, total);
	only_one = one != ULONG_MAX;
	for (unsigned long k = 0; k < total; k++) {
		unsigned long left = all || named ? k : (from + k * step) % total;
		size_t i = 0;

		if (only_one)
			left = one;
		case_number = left;
		while (left >= (unsigned long)calls_of[i] * EACH)
			left -= (unsigned long)calls_of[i++] * EACH;
		if (named && !streq(walks[i].name, which))
			continue;
		done += nth(i, (unsigned)(left / EACH) + 1, (unsigned)(left % EACH), (unsigned)case_number);
		if (only_one || (!all && !named && clock_ms() - begin > (int64_t)seconds * 1000))
			break;
	}
	fprintf(stderr, "%lu cases in %.1f s, %u wrong\n", done, (double)(clock_ms() - begin) / 1000,
		n_wrong);
	assert_int_equal(n_wrong, 0);
}

/* ---- walks without a fault ---- */

static const struct walk *
walk_called(const char *name)
{
	size_t i = 0;

	while (!streq(walks[i].name, name))
		assert_true(++i < ARRAY_LEN(walks));
	return &walks[i];
}

/* What has its files open must not look into them, and nothing takes them away. */
static void
not_while_it_runs(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	lab_wipe();
	www_image();
	assert_int_equal(run_create(&lab_store, lab_spec[WWW], NULL, &e), RUN_CREATE_EXISTED);
	assert_string_equal(fake_wrong(), "");
	assert_int_equal(run_destroy(&lab_store, "www", lab_spec[WWW], &e), -EBUSY);
	assert_int_equal(run_destroy_all(&lab_store, "www", lab_spec[WWW], &e), -EBUSY);
	assert_true(lab_runs(WWW));
	assert_int_equal(run_create(&lab_store, lab_spec[WWW], NULL, &e), RUN_CREATE_EXISTED);
}

/* Nobody on the host can sync a volume that a jail has mounted: what was renamed in it is on disk before. */
static void
synced_before_it_is_mounted(void **state)
{
	const struct fault_at none = {NO_FAULT, 0, FAKE_BEFORE, 0, false};

	bool mounted = false, renamed = false, synced = false;

	(void)state;
	(void)run_walk(walk_called("image"), &none, 1);
	for (unsigned i = 1; i <= outcome->calls; i++) {
		const struct fake_call *c = fake_call(outcome->first + i);

		assert_non_null(c);
		if (streq(c->call, "os_space_mount")) {
			mounted = true;
		} else if (streq(c->call, "renameat2")) { /* of files; records: renameat() */
			renamed |= mounted;
			synced = false;
		} else if (streq(c->call, "syncfs")) {
			synced = true;
		} else if (streq(c->call, "os_jail_create") && streq(c->about, "www")) {
			assert_true(renamed && synced);
			return;
		}
	}
	fail_msg("it was not started again");
}

/* Also when not even a change could be begun, the jail gets its image back. */
static void
given_back(void **state)
{
	struct fault_at f = {NO_FAULT, 0, FAKE_BEFORE, EIO, false};
	const struct fake_call *c;

	(void)state;
	(void)run_walk(walk_called("image"), &f, 1);
	do { /* the first write after www's image was opened */
		c = fake_call(outcome->first + ++f.at);
		assert_non_null(c);
	} while (!streq(c->call, "os_space_mount"));
	f.at++;
	f.fault = FAILS;
	(void)run_walk(walk_called("image"), &f, 1);
	assert_true(outcome->ended && outcome->r < 0);
	assert_non_null(strstr(outcome->e.msg, "runs again as it was"));
	assert_string_equal(fake_wrong(), "");
	assert_true(lab_runs(WWW));
}

/* An end that was asked for is not the jail's to refuse. */
static void
stop_fails(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	lab_wipe();
	lab_use_directory(WWW);
	three();
	fake_command("stop www", lab_root(R1), 1);
	assert_int_equal(run_stop(&lab_store, "www", lab_spec[WWW], 0, NULL, &e), 0);
	assert_false(lab_runs(WWW));
	assert_int_equal(fake_living("www"), 0);
}

#define DEGRADED 99 /* EXEC_DEGRADED of run/steps.h */

static bool
is_on(int jail, const char *release)
{
	_auto_(record_free) struct record rec = {0};
	struct err e = ERR_INIT;

	return record_read(&lab_store, lab_name[jail], &rec, &e) == 1 && streq(rec.release, release);
}

/* Services that did not start: a reason to go back where they did before, and only there. */
static void
some_services_fail(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	lab_wipe();
	lab_use_directory(WWW);
	three();
	fake_command("start www", lab_root(R2), DEGRADED);
	assert_true(one_by_one(&e) < 0);
	assert_non_null(strstr(e.msg, "exec.start: not started: some of them: back on release " R1));
	assert_true(lab_runs(WWW) && is_on(WWW, R1));
	err_clear(&e);
	fake_command("start www", lab_root(R1), DEGRADED);
	must(restart_www);
	assert_int_equal(one_by_one(&e), 0);
	assert_true(lab_runs(WWW) && is_on(WWW, R2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(not_while_it_runs),  cmocka_unit_test(synced_before_it_is_mounted),
	    cmocka_unit_test(given_back),         cmocka_unit_test(stop_fails),
	    cmocka_unit_test(some_services_fail), cmocka_unit_test(every_case),
	};
	int r;

	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcome == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return 1;
	lab_open();
	r = cmocka_run_group_tests(tests, NULL, NULL);
	lab_close();
	return r;
}
