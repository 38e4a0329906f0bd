/* SPDX-License-Identifier: BSD-2-Clause */
/* run/walk.c: what a walk does, and the way back from each of its moves, as values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "run/walk.h"
#include "walk_words.h"

static char *
text_of(const struct walk *w)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "");
	for (size_t i = 0; i < w->n; i++) {
		char word[WORD_MAX];

		word_of(&w->v[i], word);
		buf_addf(&b, "%s%s", i ? " " : "", word);
	}
	return buf_take(&b);
}

#define UP_ALL \
	"+prepare +claim +limits +prestart +create +network +redirect +names +listen +created +hooks +start " \
	"+command +services +health +poststart +hooksafter +running"
#define DOWN_OLD "-POSTSTART -START -NAMES -REDIRECT -NETWORK -CREATE -PRESTART -LIMITS -CLAIM -PREPARE"
#define DOWN_NEXT "-poststart -start -names -redirect -network -create -prestart -limits -claim -prepare"
#define UP_OLD \
	"+PREPARE +CLAIM +LIMITS +PRESTART +CREATE +NETWORK +REDIRECT +NAMES +LISTEN +CREATED +HOOKS +START " \
	"+COMMAND +SERVICES +HEALTH +POSTSTART +HOOKSAFTER +RUNNING"

static void
is(const struct walk *w, const char *want)
{
	char *text = text_of(w);

	assert_string_equal(text, want);
	free(text);
}

static void
makes(struct walk_facts f, const char *want)
{
	struct walk w;

	walk_make(&f, &w);
	is(&w, want);
}

static const struct walk_facts start_ = {.up = true};
static const struct walk_facts prepared = {.up = true, .returns = true, .finish = true, .files = FILES_NEW};
static const struct walk_facts stop_ = {.runs = true};
static const struct walk_facts stop_returns = {.runs = true, .returns = true, .mark = true};
static const struct walk_facts beside = {
    .runs = true, .up = true, .returns = true, .beside = true, .finish = true, .files = FILES_NEW};
static const struct walk_facts in_turn = {
    .runs = true, .up = true, .returns = true, .finish = true, .files = FILES_NEW};
static const struct walk_facts volume = {.runs = true,
					 .up = true,
					 .returns = true,
					 .finish = true,
					 .volume = true,
					 .mark = true,
					 .files = FILES_NEW};
static const struct walk_facts stopped = {.finish = true, .files = FILES_NEW};
static const struct walk_facts goes_on = {.up = true, .returns = true, .finish = true, .files = FILES_GO_ON};

static void
walks(void **state)
{
	(void)state;
	makes(start_, UP_ALL);
	makes(prepared, "+stage +decide +keep +files " UP_ALL " +finish");
	makes(stop_, DOWN_OLD);
	makes(stop_returns, "+mark " DOWN_OLD);
	makes(beside,
	      "+stage +create +listen +watch +decide -POSTSTART -START -CREATE +claim +keep +files +hooks "
	      "+start +command +services +health +poststart +hooksafter +running +measure +finish");
	makes(in_turn, "+stage +decide " DOWN_OLD " +keep +files " UP_ALL " +measure +finish");
	makes(volume, "+mark " DOWN_OLD " +stage +decide +keep +files " UP_ALL " +measure +finish");
	makes(stopped, "+stage +decide +keep +files +finish");
	makes(goes_on, "+keep +files " UP_ALL " +finish");
	makes((struct walk_facts){.runs = true, .intend = true}, "+intend");
	/* the hooks of an upgrade: before anything else, before the services, when it is up */
	makes((struct walk_facts){.runs = true, .before = true, .intend = true}, "+PREUPGRADE +intend");
	makes((struct walk_facts){.runs = true, .before = true, .mark = true, .returns = true},
	      "+mark +PREUPGRADE " DOWN_OLD);
	makes((struct walk_facts){.runs = true,
				  .before = true,
				  .upgrade = true,
				  .up = true,
				  .returns = true,
				  .beside = true,
				  .finish = true,
				  .files = FILES_NEW},
	      "+PREUPGRADE +stage +create +listen +watch +sockets +decide -POSTSTART -START -CREATE +claim "
	      "+keep +files +hooks +upgrade +start +command +services +health +listening +poststart +hooksafter +postupgrade "
	      "+running +measure +finish");
	makes((struct walk_facts){.finish = true, .anew = true, .files = FILES_NEW},
	      "+stage +decide +keep +files +HOOKS +HOOKSAFTER +finish");
	makes((struct walk_facts){.files = FILES_BACK}, "-files -stage");
	makes((struct walk_facts){.files = FILES_DISCARD}, "-stage");
	makes((struct walk_facts){.files = FILES_DONE, .finish = true}, "+finish");
	makes((struct walk_facts){.files = FILES_BACK, .up = true, .finish = true},
	      "-files -stage " UP_ALL " +finish");
}

static void
back(const struct walk_facts *f, enum step_id step, enum way way, struct walk_failure at, const char *want)
{
	struct walk w, ret;

	walk_make(f, &w);
	while (w.v[at.at].step != step || w.v[at.at].way != way)
		assert_true(++at.at < w.n);
	walk_back(&w, f, &at, &ret);
	is(&ret, want);
}

static void
ways_back(void **state)
{
	const struct walk_failure failed = {.begun = true}, alive = {.begun = true, .old_alive = true};
	const struct walk_failure interrupted = {.unwanted = true}, stays = {.old_alive = true};

	(void)state;
	/* a start leaves nothing */
	back(&start_, STEP_PREPARE, WAY_UP, interrupted, "");
	back(&start_, STEP_LIMITS, WAY_UP, failed, "-limits -claim -prepare");
	back(&start_, STEP_HEALTH, WAY_UP, interrupted,
	     "-start -names -redirect -network -create -prestart -limits -claim -prepare");
	/* one that was prepared starts on the old release, or waits on when nobody wants it to start any more */
	back(&prepared, STEP_START, WAY_UP, failed,
	     "-start -names -redirect -network -create -prestart -limits -claim -prepare +mark -decide -files -stage "
	     UP_OLD " -mark");
	back(&prepared, STEP_PREPARE, WAY_UP, interrupted, "-decide -files -stage");
	/* a stop is done to the end, unless the jail refuses it */
	back(&stop_, STEP_POSTSTART, WAY_DOWN, stays, "");
	back(&stop_, STEP_START, WAY_DOWN, alive, "+RUNNING");
	back(&stop_, STEP_NETWORK, WAY_DOWN, failed, DOWN_OLD);
	back(&stop_returns, STEP_NETWORK, WAY_DOWN, failed, DOWN_OLD " +mark " UP_OLD " -mark");
	/* a switch: before the old one is told to stop, after it, when the new one has its place, and at the end */
	back(&beside, STEP_WATCH, WAY_UP, stays, "-create -stage");
	back(&beside, STEP_POSTSTART, WAY_DOWN, stays, "-create -watch -stage");
	back(&beside, STEP_START, WAY_DOWN, alive, "-create -watch -stage +RUNNING");
	back(&beside, STEP_CLAIM, WAY_UP, (struct walk_failure){0},
	     "-create -watch " DOWN_OLD " +mark -stage " UP_OLD " -mark");
	back(&beside, STEP_HEALTH, WAY_UP, failed,
	     DOWN_NEXT " -watch " DOWN_OLD " +mark -decide -files -stage " UP_OLD " -mark");
	back(&beside, STEP_FINISH, WAY_UP, failed, "");
	back(&in_turn, STEP_FILES, WAY_UP, failed, DOWN_OLD " +mark -decide -files -stage " UP_OLD " -mark");
	back(&volume, STEP_STAGE, WAY_UP, failed, DOWN_OLD " +mark -stage " UP_OLD " -mark");
	back(&stopped, STEP_STAGE, WAY_UP, failed, "-stage");
	back(&stopped, STEP_FILES, WAY_UP, failed, "-decide -files -stage");
	back(&goes_on, STEP_FILES, WAY_UP, failed, "+mark -decide -files -stage " UP_OLD " -mark");
}

static size_t
at_of(const struct walk *w, enum step_id step, enum way way, enum who who)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].step == step && w->v[i].way == way && w->v[i].who == who)
			return i;
	return SIZE_MAX;
}

/* What must hold of every way back: nothing interrupts it, all that was made of the next instance goes, the record is
 * first, an instance is started only when the files are back, and a jail that ran runs. */
static void
check_back(const struct walk_facts *f, const struct walk *w, struct walk_failure at)
{
	struct walk r;
	bool gone = false;
	size_t up_old;

	walk_back(w, f, &at, &r);
	for (size_t i = 0; i < r.n; i++)
		assert_false(r.v[i].may_stop);
	for (size_t i = 0; i < at.at + at.begun; i++) {
		const struct move *m = &w->v[i];

		gone |= m->way == WAY_DOWN && m->who == WHO_OLD;
		if (r.n > 0 && m->way == WAY_UP && run_steps[m->step].of != OF_CHANGE && run_steps[m->step].undo &&
		    m->who == WHO_NEXT)
			assert_true(at_of(&r, m->step, WAY_DOWN, WHO_NEXT) != SIZE_MAX);
		if (r.n > 0 && m->step == STEP_STAGE && m->way == WAY_UP)
			assert_true(at_of(&r, STEP_STAGE, WAY_DOWN, WHO_NEXT) != SIZE_MAX);
	}
	up_old = at_of(&r, STEP_CLAIM, WAY_UP, WHO_OLD);
	if (at_of(&r, STEP_FILES, WAY_DOWN, WHO_NEXT) != SIZE_MAX) {
		assert_true(at_of(&r, STEP_DECIDE, WAY_DOWN, WHO_NEXT) < at_of(&r, STEP_FILES, WAY_DOWN, WHO_NEXT));
		if (up_old != SIZE_MAX)
			assert_true(at_of(&r, STEP_STAGE, WAY_DOWN, WHO_NEXT) < up_old);
	}
	if (up_old != SIZE_MAX) { /* killed on the way, the next command still knows that it ran */
		assert_true(at_of(&r, STEP_MARK, WAY_UP, WHO_NEXT) < up_old);
		assert_true(at_of(&r, STEP_MARK, WAY_DOWN, WHO_NEXT) == r.n - 1);
	}
	if (f->runs && f->returns && gone && r.n > 0)
		assert_true(at.old_alive ? at_of(&r, STEP_RUNNING, WAY_UP, WHO_OLD) != SIZE_MAX : up_old != SIZE_MAX);
	if (at.old_alive)
		assert_true(up_old == SIZE_MAX && at_of(&r, STEP_CREATE, WAY_DOWN, WHO_OLD) == SIZE_MAX);
}

static void
every_way_back(void **state)
{
	size_t cases = 0;

	(void)state;
	for (unsigned bits = 0; bits < 1024; bits++)
		for (int files = FILES_STAY; files <= FILES_DISCARD; files++) {
			struct walk_facts f = {.runs = bits & 1,
					       .up = bits & 2,
					       .returns = bits & 4,
					       .beside = bits & 8,
					       .volume = bits & 16,
					       .mark = bits & 32,
					       .finish = bits & 64,
					       .anew = bits & 128,
					       .upgrade = bits & 256,
					       .before = bits & 512,
					       .files = files};
			struct walk w;

			walk_make(&f, &w);
			assert_true(w.n <= WALK_MAX);
			for (size_t i = 0; i < 4 * w.n; i++, cases++)
				check_back(&f, &w, (struct walk_failure){.at = i / 4, .begun = i & 1,
									 .old_alive = f.runs && (i & 2),
									 .unwanted = !f.runs && (i & 2)});
		}
	assert_true(cases > 10000);
}

/* An interrupt is obeyed before the old instance is told to stop, and not again until all of it is gone. */
static void
interrupts(void **state)
{
	struct walk w;

	(void)state;
	walk_make(&in_turn, &w);
	for (size_t i = 0; i < w.n; i++) {
		bool down = w.v[i].way == WAY_DOWN;

		assert_int_equal(w.v[i].may_stop,
				 down ? w.v[i].step == STEP_POSTSTART
				      : w.v[i].step < STEP_POSTSTART);
	}
}

static void
printed(void **state)
{
	static char start_rc[] = "/bin/sh /etc/rc", stop_rc[] = "/bin/sh /etc/rc.shutdown", *up[] = {start_rc}, *down[] = {stop_rc};
	struct jailspec spec = {.name = (char *)(uintptr_t) "www", .path = (char *)(uintptr_t) "/p", .stop_timeout = 10};
	_auto_(pending_free) struct pending waits = {0};
	_auto_strv struct strv lines = STRV_INIT, data = STRV_INIT;
	struct walk w;

	(void)state;
	pending_add(&waits, PENDING_HOOK, "migrate");
	pending_add(&waits, PENDING_CREATE, "setup");
	pending_add(&waits, PENDING_REGENERATE_AFTER, "certificates");
	spec.root = ROOT_PATH;
	spec.exec[EXEC_START] = (struct strv){.v = up, .n = 1};
	spec.exec[EXEC_STOP] = (struct strv){.v = down, .n = 1};
	walk_make(&start_, &w);
	walk_print(&w, &(struct walk_about){NULL, &spec, &waits}, &lines);
	assert_int_equal(lines.n, 7);
	assert_string_equal(lines.v[0], "claim name and JID: jail www");
	assert_string_equal(lines.v[1], "create the first process: root: /p");
	assert_string_equal(lines.v[2], "hooks of the release: setup");
	assert_string_equal(lines.v[3], "hooks of the release: migrate");
	assert_string_equal(lines.v[4], "exec.start: /bin/sh /etc/rc");
	assert_string_equal(lines.v[5], "hooks of the release, beside its services: certificates");
	assert_string_equal(lines.v[6], "record that it runs");
	strv_free(&lines);
	walk_make(&stop_, &w);
	walk_print(&w, &(struct walk_about){&spec, &spec, &waits}, &lines);
	assert_int_equal(lines.n, 4);
	assert_string_equal(lines.v[0], "exec.stop: /bin/sh /etc/rc.shutdown");
	assert_string_equal(lines.v[1], "TERM to its processes, at most 10 s");
	assert_string_equal(lines.v[2], "end all processes");
	assert_string_equal(lines.v[3], "remove the state");
	strv_free(&lines);
	strv_add(&data, "var/lib/db");
	walk_make(&stopped, &w);
	walk_print(&w, &(struct walk_about){&spec, &spec, &waits, NULL}, &lines);
	assert_int_equal(lines.n, 4);
	strv_free(&lines);
	walk_print(&w, &(struct walk_about){&spec, &spec, &waits, &data}, &lines);
	assert_int_equal(lines.n, 5);
	assert_string_equal(lines.v[2], "copy data: var/lib/db");
	assert_string_equal(lines.v[3], "put the files in place");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(walks),	  cmocka_unit_test(ways_back), cmocka_unit_test(every_way_back),
	    cmocka_unit_test(interrupts), cmocka_unit_test(printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
