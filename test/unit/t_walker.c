/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run/walker.c: which moves are made when some of them fail, and what is told.  The steps are those of the table,
 * but all that they do is to say that they were made, or to fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "walk_words.h"

static struct step lab_steps[STEP_N];
static void lab_waits_for(const char *what, const char *label);
static int lab_alive(const struct os_ref *ref);

#define run_steps lab_steps
#define interrupt_waits_for lab_waits_for
#define os_jail_alive lab_alive
#include "run/walk.c"
#include "run/walker.c"
#undef run_steps
#undef interrupt_waits_for
#undef os_jail_alive

/* ---- the steps ---- */

static struct buf made;   /* words of the moves; "!" behind those that failed */
static const char *fails; /* those that fail; with a digit behind it: only the time of that number */
static unsigned times[STEP_N][2][2];
static struct move now; /* but for who */
static int jid_again;

/* walker.c says so before each move. */
static void
lab_waits_for(const char *what, const char *label)
{
	(void)label;
	for (now.step = 0; now.step < STEP_N; now.step++)
		if (lab_steps[now.step].name == what || lab_steps[now.step].undo == what)
			break;
	assert_true(now.step < STEP_N);
	now.way = lab_steps[now.step].name == what ? WAY_UP : WAY_DOWN;
}

static int
lab_alive(const struct os_ref *ref)
{
	(void)ref;
	return 0;
}

static bool
is_to_fail(const char *word, unsigned time)
{
	for (const char *at = fails; (at = strstr(at, word)); at++) {
		char next = at[strlen(word)];

		if (next == '\0' || next == ' ' || next == (char)('0' + time))
			return true;
	}
	return false;
}

static int
lab_move(struct ctx *c, struct instance *i, struct err *e)
{
	char word[WORD_MAX];
	bool bad;

	now.who = i == &c->old ? WHO_OLD : WHO_NEXT;
	word_of(&now, word);
	bad = is_to_fail(word, ++times[now.step][now.way][now.who]);
	buf_addf(&made, "%s%s%s", made.len ? " " : "", word, bad ? "!" : "");
	if (now.who == WHO_OLD && now.way == WAY_UP && now.step == STEP_PREPARE)
		jid_again = i->id.jid == i->want_jid ? i->want_jid : -1;
	return bad ? err_set(e, EIO, "%s", word) : 0;
}

/* What is made, and the error; "" when there is none. */
static void
walks(int (*fn)(struct ctx *c, const struct walk_facts *f, struct err *e), struct walk_facts f,
      const char *bad, const char *want, const char *told)
{
	struct jailspec spec = {.name = (char *)(uintptr_t) "www"};
	struct store s = {0};
	struct ctx c = CTX_INIT(&s, NULL, "www");
	struct err e = ERR_INIT;
	int r;

	memcpy(lab_steps, run_steps, sizeof(lab_steps));
	for (enum step_id i = 0; i < STEP_N; i++) {
		lab_steps[i].hook = lab_steps[i].unhook = NO_HOOK;
		lab_steps[i].up = lab_steps[i].down = lab_move;
	}
	c.next.spec = c.next.made = c.old.spec = c.old.made = &spec;
	c.old.st.jid = 7;
	fails = bad;
	memset(times, 0, sizeof(times));
	jid_again = 0;
	buf_adds(&made, "");
	r = fn(&c, &f, &e);
	assert_string_equal(made.s, want);
	assert_string_equal(r < 0 ? e.msg : "", told);
	free(buf_take(&made));
	ctx_free(&c);
}

#define ALL_OLD "-POSTSTART -START -NAMES -REDIRECT -NETWORK -CREATE -PRESTART -LIMITS "
#define SOME_OLD "-POSTSTART -START -NAMES -REDIRECT -NETWORK! -CREATE -PRESTART -LIMITS "
#define UP_TO_COMMAND \
	"+PREPARE +CLAIM +LIMITS +PRESTART +CREATE +NETWORK +REDIRECT +NAMES +LISTEN +CREATED +HOOKS "
#define UP_OLD UP_TO_COMMAND "+START +COMMAND +SERVICES +HEALTH +POSTSTART +HOOKSAFTER +RUNNING"

static const struct walk_facts stop_ = {.runs = true};
static const struct walk_facts in_turn = {
    .runs = true, .up = true, .returns = true, .finish = true, .files = FILES_NEW};
#define SWITCH "+stage +decide " ALL_OLD "-CLAIM -PREPARE +keep +files! "
#define BACK SWITCH ALL_OLD "-CLAIM -PREPARE "

/* Only the state says what is still there: it goes when all the rest has gone. */
static void
state_goes_last(void **state)
{
	(void)state;
	walks(walk_down, stop_, "", ALL_OLD "-CLAIM -PREPARE", "");
	walks(walk_down, stop_, "-NETWORK1", SOME_OLD ALL_OLD "-PREPARE -CLAIM -PREPARE", "");
	walks(walk_down, stop_, "-NETWORK", SOME_OLD SOME_OLD "-PREPARE -PREPARE", "-NETWORK");
	walks(walk_go, in_turn, "+files -NETWORK2",
	      SWITCH SOME_OLD ALL_OLD "-PREPARE -CLAIM -PREPARE "
				      "+mark -decide -files -stage " UP_OLD " -mark",
	      "+files: runs again as it was");
	walks(walk_go, in_turn, "+files -NETWORK2 -NETWORK3",
	      SWITCH SOME_OLD SOME_OLD "-PREPARE -PREPARE "
				       "+mark -decide -files -stage " UP_OLD " -mark",
	      "+files; going back failed, too: -NETWORK");
}

/* What came after the first error is not what was wrong. */
static void
first_error(void **state)
{
	(void)state;
	walks(walk_go, in_turn, "+files +mark +PREPARE",
	      BACK "+mark! -decide -files -stage +PREPARE! " ALL_OLD "-PREPARE -CLAIM",
	      "+files; going back failed, too: +mark");
	walks(walk_go, in_turn, "+files -decide -files", BACK "+mark -decide!",
	      "+files; going back failed, too: -decide");
}

/* The files are back: the jail runs, and the next command finds by the mark what is to be discarded yet. */
static void
not_discarded(void **state)
{
	(void)state;
	walks(walk_go, in_turn, "+files", BACK "+mark -decide -files -stage " UP_OLD " -mark",
	      "+files: runs again as it was");
	walks(walk_go, in_turn, "+files -stage", BACK "+mark -decide -files -stage! " UP_OLD,
	      "+files: runs again as it was");
	/* in a walk that is not a way back it is the error */
	walks(walk_down, (struct walk_facts){.files = FILES_DISCARD}, "-stage", "-stage!", "-stage");
}

/* Nothing stays of an instance that cannot be started again, but what cannot be taken down, and then its state. */
static void
not_again(void **state)
{
	static const char *told = "+files; going back failed, too: +START";

	(void)state;
	walks(walk_go, in_turn, "+files +START",
	      BACK "+mark -decide -files -stage " UP_TO_COMMAND "+START! " ALL_OLD "-PREPARE -CLAIM", told);
	walks(walk_go, in_turn, "+files +START -NETWORK3",
	      BACK "+mark -decide -files -stage " UP_TO_COMMAND "+START! " SOME_OLD "-PREPARE " ALL_OLD
		   "-PREPARE -CLAIM",
	      told);
	walks(walk_go, in_turn, "+files +START -NETWORK3 -NETWORK4",
	      BACK "+mark -decide -files -stage " UP_TO_COMMAND "+START! " SOME_OLD "-PREPARE " SOME_OLD
		   "-PREPARE",
	      told);
}

/* It is the same jail for who has its number. */
static void
same_jid(void **state)
{
	(void)state;
	walks(walk_go, in_turn, "+files", BACK "+mark -decide -files -stage " UP_OLD " -mark",
	      "+files: runs again as it was");
	assert_int_equal(jid_again, 7);
}

/* ---- the state itself ---- */

/* The state is that of the running instance until another one has its place. */
static void
state_of_the_old_one(void **state)
{
	char top[] = "/tmp/brig-walker.XXXXXX";
	_auto_free char *base = NULL, *run = NULL;
	_auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct os_ref ref = {0};
	struct store s = {0};
	struct ctx c = CTX_INIT(&s, NULL, "www");
	struct err e = ERR_INIT;
	struct state st = {0};

	(void)state;
	assert_non_null(mkdtemp(top));
	base = xasprintf("%s/base", top);
	run = xasprintf("%s/run", top);
	assert_true(mkdir(base, 0755) == 0 && mkdir(run, 0755) == 0);
	assert_int_equal(store_open(base, run, STORE_CREATE, &s, &e), 0);
	c.next.st = (struct state){.name = xstrdup("www"), .phase = PHASE_RUNNING};
	assert_int_equal(state_claim(&s, &c.next.st, 0, &e), 0);
	c.next.keep = &ref;
	assert_int_equal(run_steps[STEP_CLAIM].down(&c, &c.next, &e), 0);
	assert_int_equal(state_read(&s, "www", &st, &e), 1);
	state_free(&st);
	c.next.keep = NULL;
	assert_int_equal(run_steps[STEP_CLAIM].down(&c, &c.next, &e), 0);
	assert_int_equal(state_read(&s, "www", &st, &e), 0);
	ctx_free(&c);
	store_close(&s);
	assert_int_equal(fsx_rm_rf_at(tmp, top + strlen("/tmp/"), &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(state_goes_last), cmocka_unit_test(first_error),
	    cmocka_unit_test(not_discarded),   cmocka_unit_test(not_again),
	    cmocka_unit_test(same_jid),        cmocka_unit_test(state_of_the_old_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
