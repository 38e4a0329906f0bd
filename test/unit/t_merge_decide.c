/* SPDX-License-Identifier: BSD-2-Clause */
/* merge/decide: etcupdate(8)'s table, every row; -A and -F. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "merge/decide.h"

#define NONE NODE_NONE
#define FILE_ NODE_FILE
#define DIR_ NODE_DIR
#define LINK NODE_LINK
#define FIFO NODE_FIFO

/* which of the three are the same; which files differ in the id alone; -A; an empty directory in D */
enum { ON = 1, OD = 2, ND = 4, ALL = 7, ID_ON = 8, ID_OD = 16, ID_ND = 32, ALWAYS = 64, EMPTY = 128 };

struct row {
	const char *what;
	enum node_type o, n, d;
	unsigned is;
	enum merge_act act;
	enum merge_why why;
};

static const struct row rows[] = {
    /* O and N the same: nothing, whatever D is */
    {"all the same", FILE_, FILE_, FILE_, ALL, MERGE_NOTHING, WHY_NONE},
    {"same, changed in D", FILE_, FILE_, FILE_, ON, MERGE_NOTHING, WHY_NONE},
    {"same, gone from D", FILE_, FILE_, NONE, ON, MERGE_NOTHING, WHY_NONE},
    {"same, another type in D", DIR_, DIR_, LINK, ON, MERGE_NOTHING, WHY_NONE},
    {"same, -A", FILE_, FILE_, FILE_, ON | ALWAYS, MERGE_NOTHING, WHY_NONE},
    {"same, gone from D, -A", FILE_, FILE_, NONE, ON | ALWAYS, MERGE_NOTHING, WHY_NONE},

    /* not in N */
    {"removed, as in O", FILE_, NONE, FILE_, OD, MERGE_REMOVE, WHY_NONE},
    {"removed link, as in O", LINK, NONE, LINK, OD, MERGE_REMOVE, WHY_NONE},
    {"removed fifo, as in O", FIFO, NONE, FIFO, OD, MERGE_REMOVE, WHY_NONE},
    {"removed directory, empty", DIR_, NONE, DIR_, OD | EMPTY, MERGE_REMOVE, WHY_NONE},
    {"removed directory, not empty", DIR_, NONE, DIR_, OD, MERGE_WARN, WHY_DIR_REMAINS},
    {"removed, gone from D", FILE_, NONE, NONE, 0, MERGE_NOTHING, WHY_NONE},
    {"removed, changed in D", FILE_, NONE, FILE_, 0, MERGE_WARN, WHY_REMAINS},
    {"removed link, other in D", LINK, NONE, LINK, 0, MERGE_WARN, WHY_REMAINS},
    {"removed, another type in D", FIFO, NONE, DIR_, EMPTY, MERGE_WARN, WHY_REMAINS},
    {"removed, changed in D, -A", FILE_, NONE, FILE_, ALWAYS, MERGE_WARN, WHY_REMAINS},
    {"removed, changed in D but the id", FILE_, NONE, FILE_, ID_OD, MERGE_REMOVE, WHY_NONE},
    {"in none of the stock trees", NONE, NONE, FILE_, 0, MERGE_NOTHING, WHY_NONE},

    /* not in O */
    {"new", NONE, FILE_, NONE, 0, MERGE_ADD, WHY_NONE},
    {"new link", NONE, LINK, NONE, 0, MERGE_ADD, WHY_NONE},
    {"new fifo", NONE, FIFO, NONE, 0, MERGE_ADD, WHY_NONE},
    {"new directory", NONE, DIR_, NONE, 0, MERGE_ADD, WHY_NONE},
    {"new, the same in D", NONE, FILE_, FILE_, ND, MERGE_NOTHING, WHY_NONE},
    {"new, the same in D, -A", NONE, LINK, LINK, ND | ALWAYS, MERGE_NOTHING, WHY_NONE},
    {"new, other file in D", NONE, FILE_, FILE_, 0, MERGE_CONFLICT, WHY_TWO},
    {"new, other link in D", NONE, LINK, LINK, 0, MERGE_WARN, WHY_NEW_LINK},
    {"new, another type in D", NONE, DIR_, FIFO, 0, MERGE_WARN, WHY_NEW_FILE},
    {"new, other file in D, -A", NONE, FILE_, FILE_, ALWAYS, MERGE_UPDATE, WHY_NONE},
    {"new, other link in D, -A", NONE, LINK, LINK, ALWAYS, MERGE_UPDATE, WHY_NONE},
    {"new, another type in D, -A", NONE, DIR_, FIFO, ALWAYS, MERGE_UPDATE, WHY_NONE},
    {"new, empty directory in D, -A", NONE, FILE_, DIR_, ALWAYS | EMPTY, MERGE_UPDATE, WHY_NONE},
    {"new, full directory in D, -A", NONE, FILE_, DIR_, ALWAYS, MERGE_WARN, WHY_NEW_FILE},
    {"new, another id in D", NONE, FILE_, FILE_, ID_ND, MERGE_UPDATE, WHY_NONE},

    /* changed; D as O, or as N, or without it */
    {"changed, as N already", FILE_, FILE_, FILE_, ND, MERGE_NOTHING, WHY_NONE},
    {"type changed, as N already", FIFO, FILE_, FILE_, ND, MERGE_NOTHING, WHY_NONE},
    {"changed, as N already, -A", FILE_, FILE_, FILE_, ND | ALWAYS, MERGE_NOTHING, WHY_NONE},
    {"changed, as O", FILE_, FILE_, FILE_, OD, MERGE_UPDATE, WHY_NONE},
    {"link changed, as O", LINK, LINK, LINK, OD, MERGE_UPDATE, WHY_NONE},
    {"file to link, as O", FILE_, LINK, FILE_, OD, MERGE_UPDATE, WHY_NONE},
    {"file to directory, as O", FILE_, DIR_, FILE_, OD, MERGE_UPDATE, WHY_NONE},
    {"directory to file, empty", DIR_, FILE_, DIR_, OD | EMPTY, MERGE_UPDATE, WHY_NONE},
    {"directory to file, not empty", DIR_, FILE_, DIR_, OD, MERGE_WARN, WHY_MODIFIED_CHANGE},
    {"directory to file, not empty, -A", DIR_, FILE_, DIR_, OD | ALWAYS, MERGE_WARN, WHY_MODIFIED_CHANGE},
    {"changed, gone from D", FILE_, FILE_, NONE, 0, MERGE_WARN, WHY_REMOVED_FILE},
    {"link changed, gone from D", LINK, LINK, NONE, 0, MERGE_WARN, WHY_REMOVED_LINK},
    {"type changed, gone from D", FIFO, DIR_, NONE, 0, MERGE_WARN, WHY_REMOVED_TYPE},
    {"changed, gone from D, -A", FILE_, FILE_, NONE, ALWAYS, MERGE_ADD, WHY_NONE},
    {"link changed, gone from D, -A", LINK, LINK, NONE, ALWAYS, MERGE_ADD, WHY_NONE},

    /* changed by both */
    {"three files", FILE_, FILE_, FILE_, 0, MERGE_CONTENT, WHY_NONE},
    {"three links", LINK, LINK, LINK, 0, MERGE_WARN, WHY_MODIFIED_LINK},
    {"changed file, fifo in D", FILE_, FILE_, FIFO, 0, MERGE_WARN, WHY_MODIFIED_TYPE},
    {"changed link, file in D", LINK, LINK, FILE_, 0, MERGE_WARN, WHY_MODIFIED_TYPE},
    {"fifo to link, other link in D", FIFO, LINK, LINK, 0, MERGE_WARN, WHY_NEW_LINK},
    {"link to file, other file in D", LINK, FILE_, FILE_, 0, MERGE_CONFLICT, WHY_TWO},
    {"three types", FIFO, DIR_, FILE_, 0, MERGE_WARN, WHY_MODIFIED_CHANGE},
    {"file to directory, changed in D", FILE_, DIR_, FILE_, 0, MERGE_WARN, WHY_MODIFIED_CHANGE},
    {"three files, -A", FILE_, FILE_, FILE_, ALWAYS, MERGE_UPDATE, WHY_NONE},
    {"three links, -A", LINK, LINK, LINK, ALWAYS, MERGE_UPDATE, WHY_NONE},
    {"three types, -A", FIFO, DIR_, FILE_, ALWAYS, MERGE_UPDATE, WHY_NONE},
    {"changed file, full directory in D, -A", FILE_, FILE_, DIR_, ALWAYS, MERGE_WARN, WHY_MODIFIED_TYPE},
    {"changed file, empty directory in D, -A", FILE_, FILE_, DIR_, ALWAYS | EMPTY, MERGE_UPDATE, WHY_NONE},

    /* -F */
    {"D as O but the id", FILE_, FILE_, FILE_, ID_OD, MERGE_UPDATE, WHY_NONE},
    {"D as N but the id", FILE_, FILE_, FILE_, ID_ND, MERGE_UPDATE, WHY_NONE},
    {"a new id, changed in D", FILE_, FILE_, FILE_, ID_ON, MERGE_ID, WHY_NONE},
    {"a new id, as O", FILE_, FILE_, FILE_, OD | ID_ON | ID_ND, MERGE_UPDATE, WHY_NONE},
    {"a new id, gone from D", FILE_, FILE_, NONE, ID_ON, MERGE_NOTHING, WHY_NONE},
    {"a new id, another type in D", FILE_, FILE_, FIFO, ID_ON, MERGE_WARN, WHY_MODIFIED_TYPE},
    {"a new id, changed in D, -A", FILE_, FILE_, FILE_, ID_ON | ALWAYS, MERGE_UPDATE, WHY_NONE},
    {"a new id, gone from D, -A", FILE_, FILE_, NONE, ID_ON | ALWAYS, MERGE_ADD, WHY_NONE},
};

static void
the_table(void **state)
{
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		const struct merge_facts f = {.o = r->o,
					      .n = r->n,
					      .d = r->d,
					      .same_on = r->is & ON,
					      .same_od = r->is & OD,
					      .same_nd = r->is & ND,
					      .d_empty = r->is & EMPTY,
					      .always = r->is & ALWAYS,
					      .id_on = r->is & ID_ON,
					      .id_od = r->is & ID_OD,
					      .id_nd = r->is & ID_ND};
		enum merge_why why;
		enum merge_act act = merge_decide(&f, &why);

		if (act == r->act && why == r->why)
			continue;
		print_error("%s: act %d why %d, expected act %d why %d\n", r->what, (int)act, (int)why,
			    (int)r->act, (int)r->why);
		bad++;
	}
	assert_int_equal(bad, 0);
}

static void
words(void **state)
{
	(void)state;
	assert_string_equal(node_word(NODE_FILE), "regular file");
	assert_string_equal(node_word(NODE_DIR), "directory");
	assert_string_equal(node_word(NODE_LINK), "symbolic link");
	assert_string_equal(node_word(NODE_FIFO), "fifo file");
	assert_string_equal(node_word(NODE_SOCKET), "socket");
	assert_string_equal(node_word(NODE_CHAR), "character special file");
	assert_string_equal(node_word(NODE_BLOCK), "block special file");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_table), cmocka_unit_test(words)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
