/* SPDX-License-Identifier: BSD-2-Clause */
/* merge/entry.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "merge/entry.h"

#include "merge_help.h"

static struct text
raw(const char *s)
{
	return (struct text){s, strlen(s)};
}

struct entry_case {
	const char *what;
	enum entry_format f;
	const char *base, *ours, *theirs, *want;
};

#define P ENTRY_PASSWD
#define G ENTRY_GROUP
#define S ENTRY_SHADOW
#define GS ENTRY_GSHADOW
#define M ENTRY_MASTER_PASSWD

/* passwd */
#define ROOT "root:x:0:0:root:/root:/bin/sh\n"
#define ROOT_ZSH "root:x:0:0:root:/root:/bin/zsh\n"
#define ROOT_NAME "root:x:0:0:Charlie:/root:/bin/sh\n"
#define ROOT_BOTH "root:x:0:0:Charlie:/root:/bin/zsh\n"
#define BIN "bin:x:2:2:bin:/bin:/usr/sbin/nologin\n"
#define MAIL "mail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n"
#define NEW "_x:x:120:120::/nonexistent:/usr/sbin/nologin\n"
#define JOE "joe:x:1000:1000:Joe:/home/joe:/bin/sh\n"
#define NIS "+@ops::::::\n+::::::\n"

static const struct entry_case clean_cases[] = {
    {"nothing is changed", P, ROOT BIN, ROOT BIN, ROOT BIN, ROOT BIN},
    {"all are empty", P, "", "", "", ""},
    {"added by ours", P, ROOT, ROOT JOE, ROOT, ROOT JOE},
    {"added by theirs, behind the entry it follows", P, ROOT BIN, ROOT BIN JOE, ROOT NEW BIN,
     ROOT NEW BIN JOE},
    {"added by theirs, where ours has the order otherwise", P, ROOT BIN MAIL, MAIL BIN ROOT,
     ROOT BIN NEW MAIL, MAIL BIN NEW ROOT},
    {"two new ones keep their order", P, ROOT BIN, ROOT BIN JOE, ROOT BIN NEW "_y:x:121:121::/:/bin/sh\n",
     ROOT BIN NEW "_y:x:121:121::/:/bin/sh\n" JOE},
    {"new first of all", P, ROOT, ROOT JOE, NEW ROOT, NEW ROOT JOE},
    {"new behind one that ours removed", P, ROOT BIN MAIL, ROOT MAIL, ROOT BIN NEW MAIL, ROOT NEW MAIL},
    {"added by both alike", P, ROOT, ROOT NEW, ROOT NEW, ROOT NEW},
    {"removed by theirs, unchanged in ours", P, ROOT BIN, ROOT BIN JOE, ROOT, ROOT JOE},
    {"removed by ours, unchanged in theirs", P, ROOT BIN, ROOT, ROOT BIN NEW, ROOT NEW},
    {"removed by both", P, ROOT BIN, ROOT JOE, ROOT, ROOT JOE},
    {"changed by ours", P, ROOT BIN, ROOT_ZSH BIN, ROOT BIN, ROOT_ZSH BIN},
    {"changed by theirs", P, ROOT BIN, ROOT BIN JOE, ROOT_ZSH BIN, ROOT_ZSH BIN JOE},
    {"changed by both, other fields", P, ROOT, ROOT_NAME, ROOT_ZSH, ROOT_BOTH},
    {"changed by both, alike", P, ROOT, ROOT_ZSH, ROOT_ZSH, ROOT_ZSH},
    {"renamed by theirs, with its id", G, "a:*:50:\nb:*:51:\n", "a:*:50:\nb:*:51:joe\n", "c:*:50:\nb:*:51:\n",
     "c:*:50:\nb:*:51:joe\n"},
    {"an id moves from one to another", P, ROOT BIN, ROOT BIN JOE,
     ROOT "bin:x:3:2:bin:/bin:/usr/sbin/nologin\n"
	  "new:x:2:2::/:/bin/sh\n",
     ROOT "bin:x:3:2:bin:/bin:/usr/sbin/nologin\nnew:x:2:2::/:/bin/sh\n" JOE},
    {"two of one id in theirs: toor", P, ROOT, ROOT JOE, ROOT "toor:x:0:0::/root:\n",
     ROOT "toor:x:0:0::/root:\n" JOE},
    {"ours has two of one id, and theirs changes the shell", P, ROOT, ROOT "toor:x:0:0::/root:\n", ROOT_ZSH,
     ROOT_ZSH "toor:x:0:0::/root:\n"},
    {"gids of passwd are not unique", P, ROOT, ROOT JOE, ROOT "_x:x:120:1000::/:/bin/sh\n",
     ROOT "_x:x:120:1000::/:/bin/sh\n" JOE},

    {"the largest id", P, ROOT, ROOT, ROOT "nobody:x:4294967294:4294967294::/:\n",
     ROOT "nobody:x:4294967294:4294967294::/:\n"},

    {"FreeBSD's comments are ours'; theirs' new ones are not taken", G,
     "# $FreeBSD: 1 $\n#\nwheel:*:0:root\n", "# $FreeBSD: 1 $\n# mine\nwheel:*:0:root,joe\n",
     "# $FreeBSD: 2 $\n#\n# more\n_x:*:120:\nwheel:*:0:root\n",
     "# $FreeBSD: 1 $\n# mine\n_x:*:120:\nwheel:*:0:root,joe\n"},
    {"blank lines stay, comments may be there twice", P, ROOT BIN, "#\n\n#\n" ROOT "\n \t\n" BIN,
     ROOT BIN NEW, "#\n\n#\n" ROOT "\n \t\n" BIN NEW},
    {"nothing but comments", P, "", "# empty\n", ROOT, "# empty\n" ROOT},

    {"new ones go before NIS lines", P, ROOT, ROOT NIS, ROOT NEW, ROOT NEW NIS},
    {"... also behind an entry that stands behind them", P, ROOT BIN, ROOT NIS BIN, ROOT BIN NEW,
     ROOT NEW NIS BIN},
    {"... and when there is nothing but them", P, "", "+\n", ROOT NEW, ROOT NEW "+\n"},
    {"NIS lines of theirs go to the end", P, ROOT, ROOT JOE, ROOT NIS, ROOT JOE NIS},
    {"a NIS line that theirs removed", P, ROOT NIS, ROOT JOE NIS, ROOT "+::::::\n", ROOT JOE "+::::::\n"},
    {"a NIS line may have any fields", P, "-joe\n", "-joe\n" ROOT, "-joe:x\n", "-joe:x\n" ROOT},

    {"members of both", G, "adm:x:4:a,b,c\n", "adm:x:4:c,joe,b\n", "adm:x:4:a,b,c,d\n",
     "adm:x:4:c,joe,b,d\n"},
    {"members: removed here and there", G, "adm:x:4:a,b,c\n", "adm:x:4:b,c\n", "adm:x:4:a,b\n",
     "adm:x:4:b\n"},
    {"members: added by both, another by theirs", G, "adm:x:4:\n", "adm:x:4:joe\n", "adm:x:4:joe,ann\n",
     "adm:x:4:joe,ann\n"},
    {"a member of ours, and theirs changes the gid", G, "adm:x:4:\n", "adm:x:4:joe\n", "adm:x:5:\n",
     "adm:x:5:joe\n"},
    {"a group that both added: the members of both", G, "", "ssl:x:101:joe\n", "ssl:x:101:www\n",
     "ssl:x:101:joe,www\n"},
    {"gshadow: both lists", GS, "adm:*::a\n", "adm:*:joe:a,joe\n", "adm:*:ann:\n", "adm:*:joe,ann:joe\n"},

    {"shadow: password of ours, date of theirs", S, "root:*:19000:0:99999:7:::\n",
     "root:$y$j:19500:0:99999:7:::\n", "root:*:19700:0:99999:7:::\n", "root:$y$j:19500:0:99999:7:::\n"},
    {"shadow: a password without a new date keeps its date", S, "root:*:19000:0:99999:7:::\n",
     "root:$y$j:19000:0:99999:7:::\n", "root:*:19700:0:99999:7:::\n", "root:$y$j:19000:0:99999:7:::\n"},
    {"shadow: theirs locks, ours has another date", S, "root:*:19000:0:99999:7:::\n",
     "root:*:0:0:99999:7:::\n", "root:!*:19700:0:99999:7:::\n", "root:!*:19700:0:99999:7:::\n"},
    {"shadow: two dates, no password", S, "root:*:19000:0:99999:7:::\n", "root:*:0:0:99999:7:::\n",
     "root:*:19700:0:99999:7:::\n", "root:*:0:0:99999:7:::\n"},
    {"shadow: a root that ours locked stays so", S, "root:x:19000:0:99999:7:::\n",
     "root:!x:19000:0:99999:7:::\n", "root:x:19700:0:9999:7:::\n", "root:!x:19000:0:9999:7:::\n"},
    {"shadow: removed by ours, a new date in theirs", S, "games:*:19000:0:99999:7:::\n", "",
     "games:*:19700:0:99999:7:::\n", ""},
    {"shadow: removed by theirs, a new date in ours", S, "games:*:19000:0:99999:7:::\nroot:*:1::::::\n",
     "games:*:0:0:99999:7:::\nroot:*:1::::::\n", "root:*:1::::::\n", "root:*:1::::::\n"},
    {"shadow: a new system user, installed in the jail at another date", S, "", "_x:!:19500::::::\n",
     "_x:!:19700::::::\n", "_x:!:19500::::::\n"},

    {"master.passwd has ten fields", M, "root::0:0::0:0:Charlie:/root:/bin/csh\n",
     "root:$6$x:0:0::0:0:Charlie:/root:/bin/csh\n",
     "root::0:0::0:0:Charlie:/root:/bin/sh\n"
     "_x:*:120:120:daemon:0:0::/:/usr/sbin/nologin\n",
     "root:$6$x:0:0::0:0:Charlie:/root:/bin/sh\n"
     "_x:*:120:120:daemon:0:0::/:/usr/sbin/nologin\n"},

    {"the same system user in group", G, "root:x:0:\n", "root:x:0:\njoe:x:1000:\n", "root:x:0:\n_x:x:120:\n",
     "root:x:0:\n_x:x:120:\njoe:x:1000:\n"},
    {"... and in gshadow", GS, "root:*::\n", "root:*::\njoe:!::\n", "root:*::\n_x:!::\n",
     "root:*::\n_x:!::\njoe:!::\n"},

    {"carriage returns are as ours has them", P, ROOT, "root:x:0:0:root:/root:/bin/sh\r\n", ROOT_NAME NEW,
     "root:x:0:0:Charlie:/root:/bin/sh\r\n_x:x:120:120::/nonexistent:/usr/sbin/nologin\r\n"},
    {"no newline at the end of ours, a new entry behind it", P, ROOT, "root:x:0:0:root:/root:/bin/sh",
     ROOT NEW, ROOT NEW},
    {"no newline at the end of ours, nothing behind it", P, BIN ROOT, "root:x:0:0:Charlie:/root:/bin/sh",
     BIN ROOT_ZSH, "root:x:0:0:Charlie:/root:/bin/zsh"},
    {"no newline at the end of theirs", P, ROOT, ROOT JOE, ROOT "_x:x:120:120::/:/bin/sh",
     ROOT "_x:x:120:120::/:/bin/sh\n" JOE},

    {"a name twice in ours: the first counts", P, ROOT, ROOT JOE "joe:x:0:0:::\n" JOE, ROOT_ZSH,
     ROOT_ZSH JOE},
    {"a malformed line of ours stays", P, ROOT, ROOT "joe\n:x:1:1:::\n", ROOT_ZSH,
     ROOT_ZSH "joe\n:x:1:1:::\n"},
    {"... but not twice", P, ROOT, ROOT "joe\n" JOE "ann\njoe\n", ROOT, ROOT "joe\n" JOE "ann\n"},
    {"... also when it is a form of an entry that theirs does not change", P, ROOT, "root:x:0\n", ROOT NEW,
     "root:x:0\n" NEW},
    {"ours emptied the file", P, ROOT BIN, "", ROOT BIN NEW, NEW},
};

static const struct entry_case conflict_cases[] = {
    {"both changed the shell of user root", P, ROOT, ROOT_ZSH, "root:x:0:0:root:/root:/bin/ksh\n",
     "<<<<<<< yours\n" ROOT_ZSH "||||||| original\n" ROOT
     "=======\nroot:x:0:0:root:/root:/bin/ksh\n>>>>>>> new\n"},
    {"both changed the password of user root", S, "root:*:1::::::\n", "root:$y$j:2::::::\n",
     "root:!*:3::::::\n", NULL},
    {"both changed the gid of group adm", G, "adm:x:4:\n", "adm:x:5:\n", "adm:x:6:\n", NULL},
    {"both changed the line of +", P, ROOT "+::::::\n", ROOT "+:*:::::\n", ROOT "+:x:::::\n", NULL},
    {"user bin is removed in new and changed in yours", P, ROOT BIN, ROOT "bin:x:2:2:bin:/bin:/bin/sh\n",
     ROOT, ROOT "<<<<<<< yours\nbin:x:2:2:bin:/bin:/bin/sh\n||||||| original\n" BIN "=======\n>>>>>>> new\n"},
    {"user bin is removed in yours and changed in new", P, ROOT BIN MAIL, ROOT MAIL,
     ROOT "bin:x:2:2:bin:/bin:/bin/sh\n" MAIL,
     ROOT "<<<<<<< yours\n||||||| original\n" BIN "=======\nbin:x:2:2:bin:/bin:/bin/sh\n>>>>>>> new\n" MAIL},
    {"user games is removed in yours and changed in new", S, "games:*:1::::::\n", "", "games:!:2::::::\n",
     NULL},
    {"group a is removed in new and changed in yours", G, "a:x:50:\n", "a:x:50:joe\n", "b:x:50:\n", NULL},
    {"both added user _x, with a different uid", P, ROOT,
     ROOT "_x:x:119:120::/nonexistent:/usr/sbin/nologin\n", ROOT NEW, NULL},
    {"both added group ssl, with a different gid", G, "", "ssl:x:101:joe\n", "ssl:x:102:\n", NULL},
    {"both added user _x, with a different password", S, "", "_x:!:1::::::\n", "_x:*:1::::::\n", NULL},
    {"uid 120 of new user _x is taken by joe", P, ROOT, ROOT "joe:x:120:1000:Joe:/:/bin/sh\n", ROOT NEW,
     ROOT "<<<<<<< yours\n||||||| original\n=======\n" NEW ">>>>>>> new\njoe:x:120:1000:Joe:/:/bin/sh\n"},
    {"uid 120 of new user _x is taken by joe", P, ROOT, ROOT "joe:x:0120:1000:Joe:/:/bin/sh\n", ROOT NEW,
     NULL},
    {"gid 120 of new group _x is taken by joe", G, "", "joe:x:120:\n", "_x:x:120:\n", NULL},
    {"gid 120 of new group _x is taken by joe", G, "", "joe:x:120\n", "_x:x:120:\n", NULL},
    {"uid 1000 of user bin is taken by joe", P, ROOT BIN, ROOT BIN JOE,
     ROOT "bin:x:1000:2:bin:/bin:/usr/sbin/nologin\n", NULL},
    {"uid 1000 of user bin is taken by joe", P, ROOT BIN, ROOT "bin:x:2:2:Bin:/bin:/usr/sbin/nologin\n" JOE,
     ROOT "bin:x:1000:2:bin:/bin:/usr/sbin/nologin\n", NULL},
    {"uid 120 of new user _x is taken by j?e (and 1 more)", P, ROOT,
     ROOT "j\033e:x:120:1::/:\nann:x:121:1::/:\n", ROOT NEW "_y:x:121:121::/:\n", NULL},
    {"uid 120 of new user _x is taken by "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     P, "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:x:120:1::/:\n", NEW, NULL},
    {"the line of 'joe' in new is not one of etc/passwd", P, ROOT, ROOT, ROOT "joe:x:1:1::/\n",
     ROOT "<<<<<<< yours\n||||||| original\n=======\njoe:x:1:1::/\n>>>>>>> new\n"},
    {"the line of 'joe' in original is not one of etc/passwd", P, ROOT "joe\n", ROOT JOE, ROOT, NULL},
    {"the line of 'joe' in original is not one of etc/passwd", P, ROOT "joe\n", ROOT, ROOT,
     ROOT "<<<<<<< yours\n||||||| original\njoe\n=======\n>>>>>>> new\n"},
    {"the line of 'joe' in new is not one of etc/passwd", P, ROOT, ROOT, ROOT "joe:x:4294967295:1:::\n",
     NULL},
    {"the line of 'joe' in new is not one of etc/passwd", P, ROOT, ROOT,
     ROOT "joe:x:1:99999999999999999999:::\n", NULL},
    {"the line of 'joe' in new is not one of etc/passwd", P, ROOT, ROOT, ROOT "joe:x:-1:1:::\n", NULL},
    {"the line of 'joe' in new is not one of etc/passwd", P, ROOT, ROOT, ROOT " joe:x:1:1:::\n", NULL},
    {"the line of '' in new is not one of etc/group", G, "", "", ":x:1:\n", NULL},
    {"the line of 'joe' in new is not one of etc/shadow", S, "", "", "joe:x:1:::::\n", NULL},
    {"the line of 'root' in yours is not one of etc/passwd", P, ROOT, "root:x:0\n", ROOT_ZSH, NULL},
    {"the line of '_x' in yours is not one of etc/passwd", P, ROOT, ROOT " _x:x\n", ROOT NEW, NULL},
};

static void
clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(clean_cases); i++) {
		const struct entry_case *c = &clean_cases[i];
		_auto_buf struct buf out = BUF_INIT;
		_auto_free char *why = NULL;

		if (entry_merge(c->f, SIDES(raw(c->ours), raw(c->base), raw(c->theirs)), NULL, &out, &why) !=
			TEXT_CLEAN ||
		    why || !streq(out.s, c->want))
			fail_msg("%s: %s\n%s", c->what, why, out.s);
	}
}

/* Each says why, and has the three forms of the entry. */
static void
conflicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(conflict_cases); i++) {
		const struct entry_case *c = &conflict_cases[i];
		_auto_buf struct buf out = BUF_INIT;
		_auto_free char *why = NULL;

		if (entry_merge(c->f, SIDES(raw(c->ours), raw(c->base), raw(c->theirs)), NULL, &out, &why) !=
			TEXT_CONFLICT ||
		    !why || !streq(why, c->what) || (c->want && !streq(out.s, c->want)))
			fail_msg("%s: %s\n%s", c->what, why, out.s);
		assert_true(text_has_markers((struct text){out.s, out.len}));
		out.len = 0;
		assert_int_equal(
		    entry_merge(c->f, SIDES(raw(c->ours), raw(c->base), raw(c->theirs)), NULL, &out, NULL),
		    TEXT_CONFLICT);
	}
}

static void
formats(void **state)
{
	(void)state;
	assert_int_equal(entry_format_of("etc/passwd"), ENTRY_PASSWD);
	assert_int_equal(entry_format_of("etc/master.passwd"), ENTRY_MASTER_PASSWD);
	assert_int_equal(entry_format_of("etc/group"), ENTRY_GROUP);
	assert_int_equal(entry_format_of("etc/shadow"), ENTRY_SHADOW);
	assert_int_equal(entry_format_of("etc/gshadow"), ENTRY_GSHADOW);
	assert_int_equal(entry_format_of("etc/passwd-"), ENTRY_NONE);
	assert_int_equal(entry_format_of("/etc/passwd"), ENTRY_NONE);
	assert_int_equal(entry_format_of(""), ENTRY_NONE);
}

static void
not_text(void **state)
{
	static const struct text_labels labels = {"www", "mroot/1", "mroot/2"};
	const struct text bin = {"a\0b", 3};
	_auto_buf struct buf out = BUF_INIT;
	_auto_free char *why = NULL;

	(void)state;
	assert_int_equal(entry_merge(P, SIDES(bin, raw(ROOT), raw(ROOT)), NULL, &out, &why), TEXT_BINARY);
	assert_int_equal(entry_merge(ENTRY_NONE, SIDES(raw(ROOT), raw(ROOT), raw(ROOT)), NULL, &out, &why),
			 TEXT_BINARY);
	assert_null(out.s);
	assert_null(why);
	/* it is appended to, and labelled */
	buf_adds(&out, "kept");
	assert_int_equal(
	    entry_merge(G, SIDES(raw("a:x:1:\n"), raw("a:x:2:\n"), raw("a:x:3:\n")), &labels, &out, NULL),
	    TEXT_CONFLICT);
	assert_string_equal(out.s, "kept<<<<<<< www\na:x:1:\n||||||| mroot/1\na:x:2:\n=======\na:x:3:\n"
				   ">>>>>>> mroot/2\n");
}

/* Files of the largest size: as many names, names alike, ids alike, members as fit. */
enum shape { NAMES, ONE_NAME, ONE_ID, BLANK, MALFORMED, MEMBERS, N_SHAPES };

static void
large(struct buf *b, enum shape shape)
{
	if (shape == MEMBERS)
		buf_adds(b, "adm:x:4:");
	for (unsigned n = 100; b->len + 40 < TEXT_MAX; n++) {
		if (shape == NAMES)
			buf_addf(b, "u%u:x:%u:\n", n, n);
		else if (shape == ONE_NAME)
			buf_addf(b, "same:x:%u:%u\n", n, n);
		else if (shape == ONE_ID)
			buf_addf(b, "u%u:x:7:%u\n", n, n);
		else if (shape == BLANK)
			buf_addc(b, '\n');
		else if (shape == MALFORMED)
			buf_addf(b, "u%u\n", n);
		else
			buf_addf(b, "u%u,", n);
	}
}

static void
bounded(void **state)
{
	(void)state;
	for (int shape = NAMES; shape < N_SHAPES; shape++) {
		_auto_buf struct buf ours = BUF_INIT, out = BUF_INIT;
		struct text_sides t = {.base = raw("adm:x:4:a\n"), .theirs = raw("adm:x:4:b\nnew:x:7:\n")};
		enum text_result r;

		large(&ours, (enum shape)shape);
		t.ours = (struct text){ours.s, ours.len};
		alarm(60); /* ends the test: a search of quadratic cost takes hours */
		r = entry_merge(G, &t, NULL, &out, NULL);
		alarm(0);
		/* but for the last one, adm is removed in ours */
		assert_int_equal(r, shape == MEMBERS ? TEXT_CLEAN : TEXT_CONFLICT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(clean),    cmocka_unit_test(conflicts), cmocka_unit_test(formats),
	    cmocka_unit_test(not_text), cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
