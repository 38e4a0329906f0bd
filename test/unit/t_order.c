/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which store/ writes and syncs (doc/STATE.md), seen from its system calls.  test/powercut shows what a
 * wrong order comes to; this shows each step of a right one, so that none can be left out or exchanged unnoticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "change_lab.h"
#include "store/record/state.h"

/* Lines about what is in the jailspace or in the directory of the change come to a single "files", a line that is repeated to one. */
static char *
without_files(const char *trace)
{
	static const char *const places[] = {"base/js/www", "base/js/.brig/change/www/1/"};
	struct buf b = BUF_INIT;
	const char *last = "", *files = "files\n";

	buf_adds(&b, "");
	for (const char *line = trace; *line; line += strcspn(line, "\n") + 1) {
		const char *path = strchr(line, ' ') + 1, *show = line;
		size_t n;

		for (size_t i = 0; i < ARRAY_LEN(places) && !str_after(line, "sync all"); i++)
			if (strncmp(path, places[i], strlen(places[i])) == 0)
				show = files;
		n = strcspn(show, "\n") + 1;
		if (strncmp(show, last, n) != 0)
			buf_add(&b, show, n);
		last = show;
	}
	return buf_take(&b);
}

static void
expect(void (*fn)(void), const char *want)
{
	_auto_free char *all = traced(fn, NULL), *now = without_files(all);

	if (!streq(now, want)) {
		size_t i = 0;

		while (now[i] == want[i])
			i++;
		while (i > 0 && want[i - 1] != '\n')
			i--;
		fail_msg("should go on with\n%.300s--- is\n%.300s", want + i, now + i);
	}
}

/* ---- a change ---- */

static void
staged(void)
{
	begin(CHANGE_UPGRADE, R2);
	stage(R1, R2);
	CHECK(change_seal(&c, &e) == 0);
}

static void
committed(void)
{
	staged();
	CHECK(change_commit(&c, &rec, &e) == 0);
}

static void
whole_upgrade(void)
{
	committed();
	CHECK(change_apply(&c, space, &e) == 0);
	CHECK(change_finish(&c, &rec, space, &e) == 0);
}

#define RECORD_WRITTEN                   \
	"sync base/js/.brig/www.json\n"  \
	"write base/js/.brig/www.json\n" \
	"sync base/js/.brig\n"
#define JOURNAL_WRITTEN                           \
	"sync base/js/.brig/change/www/1.json\n"  \
	"write base/js/.brig/change/www/1.json\n" \
	"sync base/js/.brig/change/www\n"
/* The mark is on disk before there is anything of the change, and all of the change before the decision. */
#define STAGED                              \
	"make base/js/.brig/switch\n"       \
	"make base/js/.brig/switch/www\n"   \
	"sync base/js/.brig/switch\n"       \
	"make base/js/.brig/change\n"       \
	"make base/js/.brig/change/www\n"   \
	"make base/js/.brig/change/www/1\n" \
	"files\n"                           \
	"sync all of base/js/.brig/change/www/1\n" JOURNAL_WRITTEN "sync base/js/.brig/change\n"
/* Both places where renames were made, then the record, then what is left over, and the mark last. */
#define FILES_SYNCED                \
	"sync all of base/js/www\n" \
	"sync all of base/js/.brig/change/www/1\n"
#define UNMARKED                            \
	"remove base/js/.brig/switch/www\n" \
	"sync base/js/.brig/switch\n"

static void
upgrade(void **state)
{
	(void)state;
	expect(whole_upgrade, STAGED RECORD_WRITTEN "files\n" FILES_SYNCED RECORD_WRITTEN UNMARKED);
}

/* A file is merged again at its turn: what is made of it is on disk before the journal names it. */
static void
again(void)
{
	committed();
	put("base/js/www/etc/merged", "A\nB\nc\nd\ne\n", 0644);
	CHECK(change_apply(&c, space, &e) == 0);
	CHECK(c.kept.n == 0);
}

static void
merged_again(void **state)
{
	(void)state;
	expect(again, STAGED RECORD_WRITTEN "files\nsync all of base/js/.brig/change/www/1\n" JOURNAL_WRITTEN
					    "files\n");
}

static void
there_and_back(void)
{
	committed();
	CHECK(change_apply(&c, space, &e) == 0);
	CHECK(change_commit_back(&c, &rec, &e) == 0);
	CHECK(change_revert(&c, space, &e) == 0);
	CHECK(change_discard(&c, &rec, space, &e) == 0);
}

static void
taken_back(void **state)
{
	(void)state;
	expect(there_and_back,
	       STAGED RECORD_WRITTEN "files\n" RECORD_WRITTEN "files\n" FILES_SYNCED RECORD_WRITTEN "files\n"
				     "remove base/js/.brig/change/www/1\n"
				     "remove base/js/.brig/change/www/1.json\n" UNMARKED);
}

static void
only_prepared(void)
{
	begin(CHANGE_UPGRADE, R2);
	CHECK(change_seal(&c, &e) == 0 && change_prepare(&c, &rec, &e) == 0);
}

static void
prepared(void **state)
{
	(void)state;
	expect(only_prepared, "make base/js/.brig/switch\n"
			      "make base/js/.brig/switch/www\n"
			      "sync base/js/.brig/switch\n"
			      "make base/js/.brig/change\n"
			      "make base/js/.brig/change/www\n"
			      "make base/js/.brig/change/www/1\n"
			      "files\n"
			      "sync all of base/js/.brig/change/www/1\n" JOURNAL_WRITTEN
			      "sync base/js/.brig/change\n" RECORD_WRITTEN);
}

/* Times of kept files that are too large for a digest: written when the renames that they are of are on disk. */
static void
giant(void)
{
	struct stat st = {.st_ctim = {.tv_sec = 1}};

	committed();
	CHECK(change_apply(&c, space, &e) == 0);
	c.op[0].kept = st.st_ctim;
	CHECK(change_finish(&c, &rec, space, &e) == 0);
}

static void
kept_times(void **state)
{
	(void)state;
	expect(giant, STAGED RECORD_WRITTEN
	       "files\n" FILES_SYNCED JOURNAL_WRITTEN FILES_SYNCED RECORD_WRITTEN UNMARKED);
}

/* The mark of a jail that is yet to be started again stays, and says so. */
static void
restarted(void)
{
	committed();
	CHECK(change_mark_restart(&store, "www", "a-boot", &e) == 0);
	c.keep_mark = true;
	CHECK(change_apply(&c, space, &e) == 0);
	CHECK(change_finish(&c, &rec, space, &e) == 0);
	CHECK(change_wants_restart(&store, "www", "a-boot") && !change_wants_restart(&store, "www", "a"));
}

static void
mark_kept(void **state)
{
	_auto_free char *marks = NULL;

	(void)state;
	expect(restarted, STAGED RECORD_WRITTEN "sync base/js/.brig/switch/www\n"
						"write base/js/.brig/switch/www\n"
						"sync base/js/.brig/switch\n"
						"files\n" FILES_SYNCED RECORD_WRITTEN);
	marks = names_in("base/js/.brig/switch");
	assert_string_equal(marks, "www");
}

static void
forget(void)
{
	CHECK(change_remove_all(&store, "www", &e) == 0);
}

static void
forgotten(void **state)
{
	_auto_free char *marks = NULL, *kept = NULL;

	(void)state;
	committed();
	free(traced(forget, NULL));
	marks = names_in("base/js/.brig/switch");
	kept = names_in("base/js/.brig/change");
	assert_string_equal(marks, "");
	assert_string_equal(kept, "");
}

/* Nobody but root has a name there; a link is not followed all the same. */
static void
mark_is_no_link(void **state)
{
	_auto_free char *victim = NULL;

	(void)state;
	dirs("base/js/.brig/switch");
	link_to("../../../victim", "base/js/.brig/switch/www");
	assert_int_equal(change_new(&store, &(struct change_want){"www", &rec, CHANGE_UPGRADE, R2, "", space}, &c, &e), -ELOOP);
	assert_false(there("base/victim"));
	victim = text_of("base/victim");
	assert_string_equal(victim, "");
}

/* ---- records ---- */

static void
write_other(void)
{
	struct record other = {.idbase = ID_BASE + ID_COUNT};

	CHECK(record_write(&store, "other", &other, &e) == 0);
}

static void
remove_www(void)
{
	CHECK(record_remove(&store, "www", &e) == 0);
}

static void
records(void **state)
{
	(void)state;
	/* a link without a record is found and free again, a record without a link is not */
	expect(write_other, "link base/js/.brig/ids/1\n"
			    "sync base/js/.brig/ids\n"
			    "sync base/js/.brig/other.json\n"
			    "write base/js/.brig/other.json\n"
			    "sync base/js/.brig\n");
	expect(remove_www, "make run/lock/registry\n"
			   "lock run/lock/registry\n"
			   "remove base/js/.brig/www.json\n"
			   "remove base/js/.brig/ids/0\n"
			   "sync base/js/.brig\n");
}

/* ---- states ---- */

static struct state st = {.name = (char[]){"www"}, .phase = PHASE_STARTING};

static void
claim(void)
{
	CHECK(state_claim(&store, &st, 0, &e) == 0);
}

static void
go_on(void)
{
	st.jid = 1;
	st.phase = PHASE_RUNNING;
	CHECK(state_write(&store, &st, &e) == 0);
}

static void
next_number(void)
{
	int jid;

	CHECK(state_next_jid(&store, &jid, &e) == 0 && jid == 2);
}

static void
remove_state(void)
{
	CHECK(state_remove(&store, "www", &e) == 0);
}

static void
states(void **state)
{
	(void)state;
	/* a link without a state is free again, a state without a link would hide its number */
	expect(claim, "make run/lock/registry\n"
		      "lock run/lock/registry\n"
		      "write run/jid/last\n"
		      "link run/jid/1\n"
		      "make run/jail/www\n"
		      "write run/jail/www/state.json\n");
	expect(go_on, "write run/jail/www/state.json\n"
		      "write run/jail/www/shown.json\n");
	expect(next_number, "make run/lock/registry\n"
			    "lock run/lock/registry\n"
			    "write run/jid/last\n");
	expect(remove_state, "remove run/jail/www/state.json\n"
			     "remove run/jail/www/shown.json\n"
			     "remove run/jail/www\n"
			     "remove run/jid/1\n");
}

/* A name service of a jail's: one writer at a time. */
static void
names(void)
{
	struct jailspec s = {.name = (char[]){"www"}};

	CHECK(hosts_set(&store, "www", &s, &e) == 0);
}

static void
hosts(void **state)
{
	(void)state;
	expect(names, "make run/lock/hosts\n"
		      "lock run/lock/hosts\n"
		      "write run/hosts/hosts\n"
		      "write run/hosts/resolv.conf\n");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, each, done)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(upgrade),    TEST(merged_again), TEST(taken_back), TEST(prepared),
	    TEST(kept_times), TEST(mark_kept),    TEST(forgotten),  TEST(mark_is_no_link),
	    TEST(records),    TEST(states),       TEST(hosts),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_order: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
