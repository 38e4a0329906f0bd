/* SPDX-License-Identifier: BSD-2-Clause */
/* store/merge: the plan by the rules for jails, over real trees.  Root only: owners are part of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/path.h"
#include "store/merge/merge.h"

static char top[40];
static int top_fd, fd[3];
static struct err e;
static struct merge_opts opts;
static struct strv always, ignore;
static struct merge_plan plan;

static int
setup(void **state)
{
	static const char *const names[] = {"old", "new", "dest"};

	(void)state;
	memcpy(top, "/tmp/brig-plan.XXXXXX", sizeof("/tmp/brig-plan.XXXXXX"));
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < 3; i++)
		if (fsx_mkdir_open(top_fd, names[i], 0755, &fd[i], &e) < 0)
			return -1;
	err_clear(&e);
	opts = (struct merge_opts){.always = &always, .ignore = &ignore, .jail = true};
	return 0;
}

static int
teardown(void **state)
{
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	(void)state;
	merge_plan_free(&plan);
	strv_free(&always);
	strv_free(&ignore);
	for (size_t i = 0; i < 3; i++)
		fd_close(fd[i]);
	fd_close(top_fd);
	r = fsx_rm_rf_at(tmp, top + strlen("/tmp/"), &e);
	fd_close(tmp);
	return r;
}

/* --- trees: each is a letter of "ond" --- */

static char *
where(char tree, const char *path)
{
	return xasprintf("%s/%s/%s", top, tree == 'o' ? "old" : tree == 'n' ? "new" : "dest", path);
}

static char *
place(char tree, const char *path)
{
	char *full = where(tree, path), *slash = strrchr(full, '/');

	*slash = '\0';
	assert_int_equal(fsx_mkdir_p(full, 0755, &e), 0);
	*slash = '/';
	return full;
}

static void
put_bytes(const char *trees, const char *path, const void *data, size_t len)
{
	for (; *trees; trees++) {
		_auto_free char *full = place(*trees, path);
		_auto_close int f = open(full, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

		assert_true(f >= 0);
		assert_int_equal(fsx_write_all(f, data, len), 0);
	}
}

static void
put(const char *trees, const char *path, const char *text)
{
	put_bytes(trees, path, text, strlen(text));
}

static void
put_dir(const char *trees, const char *path)
{
	for (; *trees; trees++) {
		_auto_free char *full = where(*trees, path);

		assert_int_equal(fsx_mkdir_p(full, 0755, &e), 0);
	}
}

static void
put_link(const char *trees, const char *path, const char *target)
{
	for (; *trees; trees++) {
		_auto_free char *full = place(*trees, path);

		assert_int_equal(symlink(target, full), 0);
	}
}

static void
put_fifo(const char *trees, const char *path)
{
	for (; *trees; trees++) {
		_auto_free char *full = place(*trees, path);

		assert_int_equal(mkfifo(full, 0644), 0);
	}
}

static void
meta(const char *trees, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	for (; *trees; trees++) {
		_auto_free char *full = where(*trees, path);

		assert_int_equal(lchown(full, uid, gid), 0);
		assert_int_equal(chmod(full, mode), 0);
	}
}

/* --- a plan as text: "ACT path [MODE UID:GID] [why]", M for merged, m for owner and mode alone --- */

static const char *
word(enum merge_why why)
{
	static const char *const words[] = {
	    [WHY_NONE] = "",
	    [WHY_REMAINS] = "remains",
	    [WHY_DIR_REMAINS] = "dir-remains",
	    [WHY_NEW_LINK] = "new-link",
	    [WHY_NEW_FILE] = "new-file",
	    [WHY_REMOVED_FILE] = "removed-file",
	    [WHY_REMOVED_LINK] = "removed-link",
	    [WHY_REMOVED_TYPE] = "removed-type",
	    [WHY_MODIFIED_TYPE] = "modified-type",
	    [WHY_MODIFIED_LINK] = "modified-link",
	    [WHY_MODIFIED_CHANGE] = "modified-change",
	    [WHY_CONTENT] = "content",
	    [WHY_BINARY] = "binary",
	    [WHY_ENTRY] = "entry",
	    [WHY_TWO] = "two",
	    [WHY_META] = "meta",
	    [WHY_PARENT] = "parent",
	    [WHY_TOGETHER] = "together",
	    [WHY_UNREADABLE] = "unreadable",
	};

	return words[why];
}

static char
letter(const struct merge_item *it)
{
	switch (it->act) {
	case MERGE_ADD:
		return 'A';
	case MERGE_UPDATE:
		return it->content_same ? 'm' : it->merged ? 'M' : 'U';
	case MERGE_REMOVE:
		return 'D';
	case MERGE_CONFLICT:
		return 'C';
	default:
		return 'W';
	}
}

static char *
planned(void)
{
	_auto_strv struct strv paths = STRV_INIT;
	struct buf b = BUF_INIT;

	merge_plan_free(&plan);
	if (merge_delta(fd[0], fd[1], &opts, &paths, &e) < 0 ||
	    merge_plan(&paths, &(struct merge_trees){fd[0], fd[1], fd[2], "/dest"}, &opts, &plan, &e) < 0)
		return xasprintf("error: %s", e.msg);
	buf_adds(&b, "");
	for (size_t i = 0; i < plan.n; i++) {
		const struct merge_item *it = &plan.v[i];
		bool changes = it->act == MERGE_ADD || it->act == MERGE_UPDATE;

		buf_addf(&b, "%c %s", letter(it), it->path);
		if (changes && it->meta &&
		    (it->mode != (it->n.type == NODE_DIR ? 0755 : 0644) || it->uid || it->gid))
			buf_addf(&b, " %04o %u:%u", (unsigned)it->mode, it->uid, it->gid);
		buf_addf(&b, "%s%s\n", it->why ? " " : "", word(it->why));
	}
	assert_int_equal(plan.warnings.n, 0);
	return buf_take(&b);
}

#define EXPECT(text)                               \
	do {                                       \
		_auto_free char *got_ = planned(); \
		assert_string_equal(got_, text);   \
	} while (0)

static const struct merge_item *
item(const char *path)
{
	for (size_t i = 0; i < plan.n; i++)
		if (streq(plan.v[i].path, path))
			return &plan.v[i];
	fail_msg("%s is not in the plan", path);
	return NULL;
}

/* --- tests --- */

static void
files(void **state)
{
	(void)state;
	put("ond", "etc/same", "1\n");
	put("on", "etc/kept", "1\n");
	put("d", "etc/kept", "mine\n");
	put("od", "etc/updated", "1\n");
	put("n", "etc/updated", "2\n");
	put("od", "etc/removed", "1\n");
	put("o", "etc/remains", "1\n");
	put("d", "etc/remains", "mine\n");
	put("n", "etc/new", "2\n");
	put("o", "etc/merged", "a\nb\nc\n");
	put("n", "etc/merged", "a\nb\nC\n");
	put("d", "etc/merged", "A\nb\nc\n");
	put("o", "etc/clash", "a\n");
	put("n", "etc/clash", "b\n");
	put("d", "etc/clash", "c\n");
	put("n", "etc/two", "b\n");
	put("d", "etc/two", "c\n");
	put("o", "etc/gone", "1\n");
	put("n", "etc/gone", "2\n");
	EXPECT("W etc/remains remains\n"
	       "D etc/removed\n"
	       "C etc/clash content\n"
	       "C etc/gone removed-file\n"
	       "M etc/merged\n"
	       "U etc/updated\n"
	       "A etc/new\n"
	       "C etc/two two\n");
	assert_string_equal(item("etc/merged")->text.s, "A\nb\nC\n");
	assert_string_equal(item("etc/clash")->text.s,
			    "<<<<<<< yours\nc\n||||||| original\na\n=======\nb\n>>>>>>> new\n");
	assert_string_equal(item("etc/two")->text.s, "<<<<<<< (local)\nc\n=======\nb\n>>>>>>> (stock)\n");
	assert_string_equal(item("etc/gone")->detail, "Removed file changed: /etc/gone");
}

/* What a jail's root did to the type of a path is never undone. */
static void
types(void **state)
{
	(void)state;
	put("o", "file", "1\n");
	put("n", "file", "2\n");
	put_dir("d", "file");
	put("o", "fifo", "1\n");
	put("n", "fifo", "2\n");
	put_fifo("d", "fifo");
	put_link("o", "link", "a");
	put_link("n", "link", "b");
	put_link("d", "link", "c");
	put("o", "todir", "1\n");
	put("d", "todir", "mine\n");
	put("n", "todir/sub", "2\n");
	put("od", "unchanged", "1\n");
	put("n", "unchanged/sub", "2\n");
	put_dir("od", "fromdir");
	put("d", "fromdir/mine", "");
	put("n", "fromdir", "2\n");
	put("od", "emptied/sub", "1\n");
	put("n", "emptied", "2\n");
	EXPECT("D emptied/sub\n"
	       "U emptied\n"
	       "C fifo modified-type\n"
	       "C file modified-type\n"
	       "C fromdir modified-change\n"
	       "C link modified-link\n"
	       "C todir modified-change\n"
	       "U unchanged\n"
	       "C todir/sub parent\n"
	       "A unchanged/sub\n");
	assert_string_equal(item("todir/sub")->detail, "/todir: regular file");
}

static void
owner_and_mode(void **state)
{
	(void)state;
	put("ond", "skeleton", "1\n"); /* changed by the skeleton alone */
	meta("n", "skeleton", 0600, 7, 8);
	put("ond", "jail", "1\n"); /* by the jail alone */
	meta("d", "jail", 0600, 7, 8);
	put("ond", "both-same", "1\n");
	meta("nd", "both-same", 0600, 7, 8);
	put("ond", "both", "1\n");
	meta("n", "both", 0600, 0, 0);
	meta("d", "both", 0640, 0, 0);
	put("ond", "apart", "1\n"); /* one the mode, the other the owner */
	meta("n", "apart", 0600, 0, 0);
	meta("d", "apart", 0644, 7, 8);
	put("on", "content", "1\n"); /* the jail its content, the skeleton its mode */
	put("d", "content", "mine\n");
	meta("n", "content", 0600, 0, 0);
	put("ond", "setuid", "1\n");
	meta("o", "setuid", 04755, 0, 0);
	meta("nd", "setuid", 0755, 0, 0);
	meta("d", "setuid", 04755, 0, 0);
	put_dir("ond", "dir");
	meta("n", "dir", 01777, 0, 0);
	put_link("ond", "link", "x");
	{
		_auto_free char *full = where('n', "link");

		assert_int_equal(lchown(full, 7, 8), 0);
	}
	EXPECT("m apart 0600 7:8\n"
	       "C both meta\n"
	       "m content 0600 0:0\n"
	       "m dir 1777 0:0\n"
	       "m link 0777 7:8\n"
	       "m setuid 0755 0:0\n"
	       "m skeleton 0600 7:8\n");
}

static void
owner_and_mode_with_content(void **state)
{
	(void)state;
	put("od", "update", "1\n");
	put("n", "update", "2\n");
	meta("n", "update", 0600, 0, 0);
	put("od", "keep", "1\n");
	put("n", "keep", "2\n");
	meta("d", "keep", 0600, 7, 8);
	put("od", "clash", "1\n");
	put("n", "clash", "2\n");
	meta("n", "clash", 0600, 0, 0);
	meta("d", "clash", 0640, 0, 0);
	put("o", "merge", "a\nb\nc\n");
	put("n", "merge", "a\nb\nC\n");
	put("d", "merge", "A\nb\nc\n");
	meta("n", "merge", 0600, 0, 0);
	put("o", "merge-clash", "a\nb\nc\n");
	put("n", "merge-clash", "a\nb\nC\n");
	put("d", "merge-clash", "A\nb\nc\n");
	meta("n", "merge-clash", 0600, 0, 0);
	meta("d", "merge-clash", 0640, 0, 0);
	put("od", "removed", "1\n");
	meta("d", "removed", 0600, 0, 0);
	put("od", "retyped", "1\n");
	put_link("n", "retyped", "x");
	meta("d", "retyped", 0600, 0, 0);
	put("nd", "added", "1\n");
	meta("d", "added", 0600, 0, 0);
	put_dir("nd", "added-dir");
	meta("d", "added-dir", 0700, 7, 8);
	put("n", "new", "1\n");
	meta("n", "new", 02750, 7, 8);
	EXPECT("W removed remains\n"
	       "C clash meta\n"
	       "U keep\n"
	       "M merge 0600 0:0\n"
	       "C merge-clash meta\n"
	       "C retyped meta\n"
	       "U update 0600 0:0\n"
	       "C added meta\n"
	       "A new 2750 7:8\n");
	assert_int_equal(item("keep")->mode, 0600);
	assert_int_equal(item("keep")->uid, 7);
	assert_false(item("keep")->meta);
	assert_int_equal(item("merge-clash")->text.len, 0);
	strv_add(&always, "/clash /retyped");
	{
		_auto_free char *got = planned();

		assert_non_null(strstr(got, "U clash 0600 0:0\n"));
		assert_non_null(strstr(got, "U retyped\n"));
	}
}

static void
directories(void **state)
{
	(void)state;
	put_dir("n", "new/empty/deep");
	put_dir("on", "lost");
	put("n", "lost/file", "2\n");
	meta("on", "lost", 0750, 7, 8);
	put("od", "goes/a/b", "1\n");
	put("od", "stays/a", "1\n");
	put("d", "stays/mine", "1\n");
	put("od", "owned/a", "1\n");
	meta("d", "owned", 0700, 7, 8);
	EXPECT("D goes/a/b\n"
	       "D owned/a\n"
	       "D stays/a\n"
	       "W stays dir-remains\n"
	       "W owned remains\n"
	       "D goes/a\n"
	       "D goes\n"
	       "A lost 0750 7:8\n"
	       "A lost/file\n"
	       "A new\n"
	       "A new/empty\n"
	       "A new/empty/deep\n");
}

/* Nothing is put below what somebody has still to decide about. */
static void
below_a_conflict(void **state)
{
	(void)state;
	put("o", "x", "1\n"); /* the jail has removed it */
	put("n", "x/sub/file", "2\n");
	EXPECT("C x removed-type\n"
	       "C x/sub parent\n"
	       "C x/sub/file parent\n");
	assert_string_equal(item("x/sub")->detail, "/x: waits for a decision");
}

static void
links_above(void **state)
{
	_auto_free char *outside = xasprintf("%s/outside", top);

	(void)state;
	assert_int_equal(mkdir(outside, 0755), 0);
	put("o", "etc/changed", "1\n");
	put("n", "etc/changed", "2\n");
	put("o", "etc/removed", "1\n");
	put("n", "etc/new", "2\n");
	put("on", "etc/same", "1\n");
	meta("n", "etc/same", 0600, 0, 0);
	put("o", "etc/deep/er/changed", "1\n");
	put("n", "etc/deep/er/changed", "2\n");
	put("o", "etc/deep/er/removed", "1\n");
	put_link("d", "etc", outside);
	EXPECT("C etc/changed parent\n"
	       "C etc/deep/er/changed parent\n"
	       "C etc/new parent\n");
	assert_string_equal(item("etc/new")->detail, "/etc: symbolic link");
}

static void
what_is_no_text(void **state)
{
	static char big[TEXT_MAX + 10];

	(void)state;
	memset(big, 'x', sizeof(big));
	put_bytes("o", "nul", "a\0b\n", 4);
	put_bytes("n", "nul", "a\0c\n", 4);
	put_bytes("d", "nul", "a\0d\n", 4);
	put("o", "big", "1\n");
	put("n", "big", "2\n");
	put_bytes("d", "big", big, sizeof(big));
	put_bytes("od", "updated", "a\0b\n", 4);
	put_bytes("n", "updated", "a\0c\n", 4);
	put_bytes("n", "two", "a\0c\n", 4);
	put("d", "two", "mine\n");
	EXPECT("C big binary\n"
	       "C nul binary\n"
	       "U updated\n"
	       "C two binary\n");
	assert_int_equal(item("nul")->text.len, 0);
}

static void
ids_do_not_count(void **state)
{
	(void)state;
	put("o", "new-id", "# $FreeBSD: 1 $\nx\n"); /* the skeleton: only the id; the jail: something else */
	put("n", "new-id", "# $FreeBSD: 2 $\nx\n");
	put("d", "new-id", "# $FreeBSD: 1 $\nmine\n");
	put("o", "old-id", "# $Id: 1 $\nx\n"); /* the jail: only the id */
	put("n", "old-id", "# $Id: 2 $\ny\n");
	put("d", "old-id", "# $Id: 0 $\nx\n");
	put("o", "gone", "# $FreeBSD: 1 $\nx\n");
	put("n", "gone", "# $FreeBSD: 2 $\nx\n");
	put("o", "type", "# $FreeBSD: 1 $\nx\n");
	put("n", "type", "# $FreeBSD: 2 $\nx\n");
	put_link("d", "type", "x");
	put("o", "removed", "# $FreeBSD: 1 $\nx\n");
	put("d", "removed", "# $FreeBSD: 9 $\nx\n");
	EXPECT("D removed\n"
	       "M new-id\n"
	       "U old-id\n");
	assert_string_equal(item("new-id")->text.s, "# $FreeBSD: 2 $\nmine\n");
}

#define ROOT "root:x:0:0::/root:/bin/sh\n"
#define WWW "www:x:80:80::/nonexistent:/bin/false\n"
#define JOE "joe:x:1000:1000::/home/joe:/bin/sh\n"
#define ROOT_GROUP "root:x:0:\n"

static void
accounts(void **state)
{
	(void)state;
	put("o", "etc/passwd", ROOT);
	put("n", "etc/passwd", ROOT WWW);
	put("d", "etc/passwd", ROOT JOE);
	put("od", "etc/group", ROOT_GROUP);
	put("n", "etc/group", ROOT_GROUP "www:x:80:\n");
	put("n", "etc/gshadow", "root:*::\n"); /* both made it; entry by entry they agree */
	put("d", "etc/gshadow", "root:*::\njoe:!::\n");
	EXPECT("U etc/group\n"
	       "M etc/passwd\n");
	assert_non_null(strstr(item("etc/passwd")->text.s, WWW));
	assert_non_null(strstr(item("etc/passwd")->text.s, JOE));
}

static void
accounts_wait_together(void **state)
{
	(void)state;
	put("o", "etc/passwd", ROOT);
	put("n", "etc/passwd", ROOT WWW);
	put("d", "etc/passwd", ROOT "joe:x:80:80::/home/joe:/bin/sh\n"); /* www's uid */
	put("od", "etc/group", ROOT_GROUP);
	put("n", "etc/group", ROOT_GROUP "www:x:80:\n");
	put("n", "etc/gshadow", "root:*::\n");
	put("od", "etc/shadow", "root:*:1::::::\n");
	put("n", "etc/shadow", "root:*:1::::::\nwww:*:1::::::\n");
	put("od", "etc/services", "a\n");
	put("n", "etc/services", "b\n");
	EXPECT("C etc/group together\n"
	       "C etc/passwd entry\n"
	       "U etc/services\n"
	       "C etc/shadow together\n"
	       "C etc/gshadow together\n");
	assert_string_equal(item("etc/group")->detail, "waits for /etc/passwd");
	assert_non_null(strstr(item("etc/passwd")->detail, "joe"));
}

static void
patterns(void **state)
{
	(void)state;
	put("od", "etc/a/x", "1\n");
	put("n", "etc/a/x", "2\n");
	put("od", "etc/b", "1\n");
	put("n", "etc/b", "2\n");
	put("o", "etc/c", "1\n");
	put("n", "etc/c", "2\n");
	put("d", "etc/c", "3\n");
	strv_add(&ignore, "/nothing /etc/a*");
	strv_add(&always, "/etc/[a-c]*");
	EXPECT("U etc/b\n"
	       "U etc/c\n");
}

/* The plan is of DEST as it is: a second look sees what has changed. */
static void
nothing_to_do(void **state)
{
	(void)state;
	put("ond", "a", "1\n");
	put("o", "b", "1\n");
	put("nd", "b", "2\n");
	put_dir("ond", "c");
	put_link("ond", "d", "x");
	put_fifo("ond", "e");
	EXPECT("");
}

/* In the stock trees, too, what is behind a link is not there. */
static void
links_in_the_stock_trees(void **state)
{
	(void)state;
	put_link("od", "dir", "elsewhere");
	put("ond", "elsewhere/sub/file", "1\n");
	put("n", "dir/sub/file", "2\n");
	EXPECT("U dir\n"
	       "A dir/sub\n"
	       "A dir/sub/file\n");
}

/* The administrator's trees, not the jail's: what cannot be read there ends it. */
static void
the_stock_trees_must_be_whole(void **state)
{
	_auto_strv struct strv paths = STRV_INIT;
	struct merge_plan p = MERGE_PLAN_INIT;
	_auto_free char *name = xcalloc(1, 300);

	(void)state;
	memset(name, 'x', 299);
	strv_add(&paths, name);
	assert_int_equal(merge_plan(&paths, &(struct merge_trees){fd[0], fd[1], fd[2], NULL}, &opts, &p, &e), -ENAMETOOLONG);
	assert_non_null(strstr(e.msg, "the old tree: /xxx"));
	assert_int_equal(p.n, 0);
	err_clear(&e);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* --- classes: what is data is not merged, but given --- */

/* The plan by these rules, with warnings; data: how it is given, in letters of enum merge_whole. */
static char *
planned_by(const char *rules_text)
{
	_auto_(rules_free) struct rules rules = RULES_INIT;
	_auto_(classes_free) struct classes classes = {0};
	_auto_(merge_data_free) struct merge_data data = {0};
	_auto_strv struct strv paths = STRV_INIT;
	struct buf b = BUF_INIT;

	merge_plan_free(&plan);
	opts.classes = &classes;
	if (rules_parse(rules_text, "rules", &rules, &e) == 0) {
		classes_add(&classes, &rules, &rules, true);
		if (merge_delta(fd[0], fd[1], &opts, &paths, &e) == 0 &&
		    merge_plan(&paths, &(struct merge_trees){fd[0], fd[1], fd[2], NULL}, &opts, &plan, &e) == 0 &&
		    merge_data(fd[0], fd[1], &opts, &data, &e) == 0)
			(void)merge_data_plan(&data, fd[1], fd[2], &plan, &e);
	}
	opts.classes = NULL;
	assert_string_equal(e.msg, "");
	buf_adds(&b, "");
	for (size_t i = 0; i < plan.n; i++)
		buf_addf(&b, "%c%.1s %s\n", letter(&plan.v[i]), &"-tsdn"[plan.v[i].whole], plan.v[i].path);
	for (size_t i = 0; i < plan.warnings.n; i++)
		buf_addf(&b, "%s\n", plan.warnings.v[i]);
	return buf_take(&b);
}

#define RULES                                                                                        \
	"move etc\nmove srv\nmove usr/local usr-local\nmove var\nconfig etc\nconfig usr/local/etc\n" \
	"data srv/*\ndata usr/local/*\ndata usr/local/share/*\ndata var/*\ndata var/lib/*\nignore var/log\n"
#define EXPECT_BY(rules, text)                             \
	do {                                               \
		_auto_free char *got_ = planned_by(rules); \
		assert_string_equal(got_, text);           \
	} while (0)

/* Whatever the two releases hold: a live database keeps each file, and gets none. */
static void
data_is_not_merged(void **state)
{
	(void)state;
	put("ond", "etc/x", "1\n");
	put("od", "var/lib/mysql/same-as-old", "1\n");
	put("n", "var/lib/mysql/same-as-old", "2\n");
	put("od", "var/lib/mysql/gone", "1\n");
	put("on", "var/lib/mysql/changed", "1\n");
	put("d", "var/lib/mysql/changed", "mine\n");
	put("n", "var/lib/mysql/new", "2\n");
	put("n", "var/lib/mysql/newdb/t", "2\n");
	put_dir("n", "var/lib/mysql/empty");
	put("od", "var/lib/pg/15/base/1", "1\n");
	put("n", "var/lib/pg/17/base/1", "2\n");
	put("o", "var/lib/taken-away/x", "1\n"); /* by the administrator */
	put("n", "var/lib/taken-away/x", "2\n");
	put("od", "var/lib/file", "1\n");
	put("n", "var/lib/file", "2\n");
	put("n", "var/lib/new-file", "2\n");
	put_link("n", "var/lib/new-link", "x");
	put_link("od", "var/lib/link", "x");
	put_link("n", "var/lib/link", "y");
	put_dir("od", "var/lib/now-a-file");
	put("n", "var/lib/now-a-file", "");
	put("od", "var/lib/now-a-dir", "");
	put("n", "var/lib/now-a-dir/x", "");
	put("o", "var/lib/rel", "1\n");
	put("n", "var/lib/rel", "2\n");
	put("d", "var/lib/rel", "mine\n");
	put("od", "var/log/x", "1\n");
	put("n", "var/log/y", "2\n");
	put("od", "stray", "1\n");
	put("n", "stray", "2\n");
	meta("n", "var/lib", 0700, 0, 0);
	EXPECT_BY(RULES, "");
	put("n", "etc/y", "2\n"); /* and with something else to do */
	EXPECT_BY(RULES, "A- etc/y\n");
	EXPECT_BY(RULES "config var/lib/file\nrelease var/lib/rel\n",
		  "U- var/lib/file\nU- var/lib/rel\nA- etc/y\n");
}

/* As a whole, where the jail has nothing of the name and there is a directory for it. */
static void
data_is_given(void **state)
{
	(void)state;
	put_dir("ond", "etc");
	put_dir("ond", "var/lib");
	put_dir("ond", "var/log");
	put("n", "var/lib/redis/dump/x", "2\n");
	put("n", "var/lib/mine/x", "2\n"); /* the jail has its own */
	put("d", "var/lib/mine/y", "mine\n");
	put("n", "var/lib/mine-too/x", "2\n");
	put("d", "var/lib/mine-too", "mine\n");
	put("n", "var/log/redis/x.log", "2\n");
	put("n", "var/www/html/index.html", "2\n");
	put("n", "srv/app/x", "2\n"); /* all of srv */
	put("n", "store/x", "2\n");
	put("n", "usr-local/bin/x", "2\n");
	put("n", "usr-local/etc/x", "2\n");
	put("n", "usr-local/share/app/x", "2\n");
	put("n", "usr-local/README", "2\n");
	EXPECT_BY(RULES, "A- usr-local\nA- usr-local/etc\nA- usr-local/etc/x\nAd srv\nAt srv/app\nAt store\n"
			 "Ad usr-local\nAn usr-local/README\nAt usr-local/bin\nAd usr-local/share\n"
			 "At usr-local/share/app\nAt var/lib/redis\nAs var/log/redis\nAt var/www\n");
	/* another directory above it */
	{
		_auto_free char *lib = where('d', "var/lib"), *away = where('d', "var/away");

		assert_int_equal(rename(lib, away), 0);
		assert_int_equal(symlink("away", lib), 0);
	}
	EXPECT_BY(RULES "ignore srv\nignore store\nignore usr/local\nignore usr/local/etc\n"
			"ignore usr/local/*\nignore usr/local/share/*\n",
		  "As srv\nAt store\nAs usr-local\nAs var/log/redis\nAt var/www\n");
}

/* A piece with configuration in it, and configuration with a piece in it. */
static void
data_and_configuration(void **state)
{
	(void)state;
	put_dir("ond", "srv");
	put("n", "srv/app/conf/main", "2\n");
	put("n", "srv/app/db/x", "2\n");
	put("n", "srv/app/run", "2\n");
	put("n", "etc/app/main", "2\n");
	put("n", "etc/app/db/x", "2\n");
	put("n", "etc/app/made.key", "2\n"); /* a file, in a directory of configuration */
	put("n", "etc/new.key", "2\n");
	put("on", "etc/old.key", "2\n");
	put("n", "etc/mine.key", "2\n");
	put("d", "etc/mine.key", "mine\n");
	put("on", "etc/le/live/x", "1\n");
	put("d", "etc/le/live/y", "1\n");
	EXPECT_BY(RULES
		  "config srv/app/conf\ndata etc/app/db\ndata etc/le\ndata etc/*.key\ndata etc/*/*.key\n",
		  "A- etc/app\nA- etc/app/main\nA- srv/app\nA- srv/app/conf\nA- srv/app/conf/main\n"
		  "At etc/app/db\nAn etc/app/made.key\nAn etc/new.key\nAd srv/app\nAt srv/app/db\nAn "
		  "srv/app/run\n");
	put("d", "srv/app/mine", "");
	put("d", "etc/app/mine", "");
	EXPECT_BY(RULES
		  "config srv/app/conf\ndata etc/app/db\ndata etc/le\ndata etc/*.key\ndata etc/*/*.key\n",
		  "A- etc/app/main\nA- srv/app/conf\nA- srv/app/conf/main\nAt etc/app/db\nAn "
		  "etc/app/made.key\nAn etc/new.key\n");
}

static void
data_keeps_its_owner(void **state)
{
	(void)state;
	put("ond", "var/lib/mysql/x", "");
	put("ond", "var/lib/redis/x", "");
	put("on", "var/lib/none/x", "");
	meta("od", "var/lib/mysql", 0700, 104, 105);
	meta("n", "var/lib/mysql", 0755, 106, 107);
	meta("d", "var/lib/redis", 0755, 9, 9); /* the jail's doing */
	meta("n", "var/lib/redis", 0755, 106, 107);
	meta("n", "var/lib/none", 0755, 106, 107);
	EXPECT_BY(RULES "config etc\n",
		  "/var/lib/mysql: belongs to 104:105, in the new release to 106:107: the "
		  "owner of data is not changed\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(data_is_not_merged, setup, teardown),
	    cmocka_unit_test_setup_teardown(data_is_given, setup, teardown),
	    cmocka_unit_test_setup_teardown(data_and_configuration, setup, teardown),
	    cmocka_unit_test_setup_teardown(data_keeps_its_owner, setup, teardown),
	    TEST(files),
	    TEST(types),
	    TEST(owner_and_mode),
	    TEST(owner_and_mode_with_content),
	    TEST(directories),
	    TEST(below_a_conflict),
	    TEST(links_above),
	    TEST(what_is_no_text),
	    TEST(ids_do_not_count),
	    TEST(accounts),
	    TEST(accounts_wait_together),
	    TEST(patterns),
	    TEST(nothing_to_do),
	    TEST(links_in_the_stock_trees),
	    TEST(the_stock_trees_must_be_whole),
	};

	if (geteuid() != 0)
		return 77;
	(void)umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
