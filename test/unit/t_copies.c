/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store/change/data.c: copies of data are made, put back by a rollback and by a change that goes back, wherever any of
 * that is stopped: a child is killed at its N-th system call that changes a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "at_call.h"
#include "change_lab.h"
#include "store/tree.h"

#define DB "var/lib/db"
#define COPY "base/js/.brig/change/www/1/data"

/* ---- data ---- */

static int
list_one(void *ctx, const struct tree_entry *t, struct err *err)
{
	struct buf *b = ctx;

	(void)err;
	if (S_ISSOCK(t->st.st_mode))
		return 0;
	buf_addf(b, "%s %o %u:%u", t->path, t->st.st_mode, t->st.st_uid, t->st.st_gid);
	if (!S_ISDIR(t->st.st_mode))
		buf_addf(b, " links %u size %u time %u", (unsigned)t->st.st_nlink, (unsigned)t->st.st_size,
			 (unsigned)t->st.st_mtim.tv_nsec);
	if (S_ISREG(t->st.st_mode) && t->st.st_size < 4096) {
		_auto_close int fd = openat(t->dir_fd, t->name, O_RDONLY | O_CLOEXEC);
		_auto_free char *text = NULL;

		CHECK(fsx_read_fd(fd, 4096, &text, NULL) == 0);
		buf_addf(b, " = %s", text);
	}
	buf_addc(b, '\n');
	return 0;
}

static char *
listed(const char *path)
{
	_auto_free char *p = at(path);
	_auto_close int fd = open(p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct buf b = BUF_INIT;

	CHECK(fd >= 0 && tree_walk(fd, list_one, &b, &e) == 0);
	return buf_take(&b);
}

static void
same(const char *now, const char *want, const char *what)
{
	if (!streq(now, want))
		fail_msg("%s: should be\n%s--- is\n%s", what, want, now);
}

static void
make_data(void)
{
	_auto_free char *db = at(SPACE DB), *sub = at(SPACE DB "/sub"), *a = at(SPACE DB "/sub/a"),
			*b = at(SPACE DB "/b"), *fifo = at(SPACE DB "/fifo"),
			*sparse = at(SPACE DB "/sparse");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_auto_close int fd = -EBADF, sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	dirs(SPACE DB "/sub");
	put(SPACE DB "/table", "old\n", 0640);
	put(SPACE DB "/sub/a", "two names\n", 0600);
	link_to("/etc/passwd", SPACE DB "/link");
	CHECK(link(a, b) == 0 && mkfifo(fifo, 0620) == 0 && chown(a, 7, 8) == 0 && chmod(a, 04711) == 0);
	fd = open(sparse, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, 8 << 20) == 0 && pwrite(fd, "end", 3, 4 << 20) == 3);
	CHECK(chown(sub, 7, 8) == 0 && chmod(sub, 02750) == 0 && chown(db, 9, 10) == 0 &&
	      chmod(db, 01770) == 0);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", db);
	CHECK(sock >= 0 && bind(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0);
}

/* What a service of the new release does to them. */
static void
use_data(void)
{
	_auto_free char *table = at(SPACE DB "/table"), *db = at(SPACE DB);

	put(SPACE DB "/table", "NEW\n", 0640);
	put(SPACE DB "/more", "more\n", 0600);
	remove_all(SPACE DB "/sub");
	CHECK(chown(table, 11, 11) == 0 && chmod(db, 0700) == 0);
}

/* ---- changes, in their steps ---- */

static void
again(void)
{
	new_jail();
	remove_all(SPACE "var");
	make_data();
}

static void
begin_upgrade(const char *to)
{
	begin(CHANGE_UPGRADE, to);
	CHECK(change_keep_data(&c.keep_data, DB) == 0);
	stage(rec.release, to);
	CHECK(change_seal(&c, &e) == 0);
}

static void
upgrade(void)
{
	CHECK(change_commit(&c, &rec, &e) == 0 && change_copy_data(&c, space, &e) == 0);
	CHECK(change_apply(&c, space, &e) == 0);
	use_data();
	CHECK(change_finish(&c, &rec, space, &e) == 0);
}

static void
upgrade_and_back(void)
{
	CHECK(change_commit(&c, &rec, &e) == 0 && change_copy_data(&c, space, &e) == 0);
	CHECK(change_apply(&c, space, &e) == 0);
	use_data();
	CHECK(change_commit_back(&c, &rec, &e) == 0 && change_revert(&c, space, &e) == 0);
	CHECK(change_discard(&c, &rec, space, &e) == 0);
}

static void
begin_rollback(const char *to)
{
	begin(CHANGE_ROLLBACK, to);
	c.with_data = true;
	CHECK(change_stage_undo(&c, &rec, space, &e) == 1 && change_stage_copies(&c, &rec, space, &e) == 0);
	CHECK(change_seal(&c, &e) == 0);
}

static void
rollback(void)
{
	CHECK(change_commit(&c, &rec, &e) == 0 && change_copy_data(&c, space, &e) == 0);
	CHECK(change_apply(&c, space, &e) == 0 && change_finish(&c, &rec, space, &e) == 0);
}

static void
rollback_and_back(void)
{
	CHECK(change_commit(&c, &rec, &e) == 0 && change_apply(&c, space, &e) == 0);
	CHECK(change_commit_back(&c, &rec, &e) == 0 && change_revert(&c, space, &e) == 0);
	CHECK(change_discard(&c, &rec, space, &e) == 0);
}

/* As run/steps_change.c does it.  used: by a service, when it is up again. */
static void
recover_as(bool used)
{
	change_free(&c);
	record_free(&rec);
	CHECK(record_read(&store, "www", &rec, &e) == 1);
	if (rec.change == RECORD_SETTLED) {
		CHECK(change_tidy(&store, "www", &rec, space, false, &e) == 0);
		return;
	}
	CHECK(change_load(&store, "www", rec.change_id, space, &c, &e) == 0);
	if (rec.change == RECORD_APPLY) {
		CHECK(change_copy_data(&c, space, &e) == 0 && change_apply(&c, space, &e) == 0);
		if (used)
			use_data();
		CHECK(change_finish(&c, &rec, space, &e) == 0);
	} else {
		CHECK(change_revert(&c, space, &e) == 0 && change_discard(&c, &rec, space, &e) == 0);
	}
}

static void
recover(void)
{
	recover_as(false);
}

/* ---- stopping ---- */

static void
call(void *fn)
{
	(*(void (**)(void))fn)();
}

/* Runs fn in a child, which ends before its N-th call that changes something.  0: it had fewer. */
static int
killed_at(unsigned n, void (*fn)(void))
{
	return at_call(n, NULL, call, &fn);
}

/* ---- copies ---- */

static void
made(void **state)
{
	_auto_free char *before = NULL, *copy = NULL, *after = NULL;
	_auto_free char *sparse = at(COPY "/1/sparse"), *sock = at(COPY "/1/s");
	struct change_usage use;
	struct stat st;

	(void)state;
	again();
	before = listed(SPACE DB);
	begin_upgrade(R2);
	upgrade();
	copy = listed(COPY "/1");
	same(copy, before, "the copy");
	assert_true(stat(sparse, &st) == 0 && st.st_blocks < 2048);
	assert_true(lstat(sock, &st) < 0 && errno == ENOENT);
	/* as it is on disk */
	change_free(&c);
	CHECK(change_load(&store, "www", 1, space, &c, &e) == 0);
	assert_int_equal(c.n_copy, 1);
	assert_string_equal(c.copy[0].path, DB);
	assert_true(c.copy[0].stamp.n == 9 && c.copy[0].bytes > 0 && c.copy[0].when > 1000000000);
	CHECK(change_usage(&store, "www", &rec, space, &use, &e) == 0);
	assert_true(use.used > c.copy[0].bytes);
	/* a rollback as always: the data stay */
	after = listed(SPACE DB);
	begin(CHANGE_ROLLBACK, R1);
	CHECK(change_stage_undo(&c, &rec, space, &e) == 1 && change_seal(&c, &e) == 0);
	rollback();
	free(copy);
	copy = listed(SPACE DB);
	same(copy, after, "data after a rollback");
	assert_false(there("base/js/.brig/change/www/1")); /* the copies went with the change */
}

static void
upgrade_points(void **state)
{
	_auto_free char *old = NULL;

	(void)state;
	again();
	old = listed(SPACE DB);
	for (unsigned n = 1, hit = 1; hit; n++) {
		again();
		free(old);
		old = listed(SPACE DB);
		begin_upgrade(R2);
		hit = (unsigned)killed_at(n, upgrade);
		if (n % 3 == 0)
			(void)killed_at(1 + n % 40, recover);
		recover_as(true);
		if (streq(rec.release, R1)) {
			_auto_free char *now = listed(SPACE DB);

			same(now, old, "never begun");
			continue;
		}
		begin_rollback(R1);
		rollback();
		{
			_auto_free char *now = listed(SPACE DB);

			same(now, old, "put back after a killed upgrade");
		}
	}
}

static void
going_back_points(void **state)
{
	unsigned back = 0;

	(void)state;
	for (unsigned n = 1, hit = 1; hit; n++) {
		_auto_free char *old = NULL, *now = NULL;

		again();
		old = listed(SPACE DB);
		begin_upgrade(R2);
		hit = (unsigned)killed_at(n, upgrade_and_back);
		if (n % 3 == 0)
			(void)killed_at(1 + n % 20, recover);
		recover();
		if (!streq(rec.release, R1))
			continue;
		now = listed(SPACE DB);
		same(now, old, "as it was");
		assert_false(there(COPY));
		back++;
	}
	assert_true(back > 40);
}

static void
copy_only(void)
{
	CHECK(change_copy_data(&c, space, &e) == 0);
}

/* ID.json says that they are there when they are on disk, not before. */
static void
synced(void **state)
{
	_auto_free char *lines = NULL;
	const char *sync, *saved;

	(void)state;
	again();
	begin_upgrade(R2);
	CHECK(change_commit(&c, &rec, &e) == 0);
	lines = traced(copy_only, NULL);
	sync = strstr(lines, "sync all of base/js/.brig/change/www/1\n");
	saved = strstr(lines, "write base/js/.brig/change/www/1.json\n");
	if (!sync || !saved || saved < sync || strstr(sync, "make base/js/.brig/change/www/1/data"))
		fail_msg("not in order:\n%s", lines);
}

/* What nobody has touched stays where it is. */
static void
untouched(void **state)
{
	_auto_free char *db = at(SPACE DB), *sock = at(SPACE DB "/s");
	struct stat before, after;

	(void)state;
	again();
	CHECK(stat(db, &before) == 0);
	begin_upgrade(R2);
	CHECK(change_commit(&c, &rec, &e) == 0 && change_copy_data(&c, space, &e) == 0);
	CHECK(change_apply(&c, space, &e) == 0 && change_commit_back(&c, &rec, &e) == 0);
	CHECK(change_revert(&c, space, &e) == 0 && change_discard(&c, &rec, space, &e) == 0);
	assert_true(stat(db, &after) == 0 && after.st_ino == before.st_ino && access(sock, F_OK) == 0);
}

/* A rollback that is stopped anywhere has put all of it back, or nothing; given up, it can be begun again. */
static void
rollback_points(void **state)
{
	unsigned seen[2] = {0};

	(void)state;
	for (unsigned n = 1, hit = 1; hit; n++) {
		_auto_free char *old = NULL, *new = NULL, *now = NULL;

		again();
		old = listed(SPACE DB);
		begin_upgrade(R2);
		upgrade();
		new = listed(SPACE DB);
		begin_rollback(R1);
		hit = (unsigned)killed_at(n, n % 2 ? rollback : rollback_and_back);
		if (n % 3 == 0)
			(void)killed_at(1 + n % 20, recover);
		recover();
		now = listed(SPACE DB);
		seen[streq(rec.release, R1)]++;
		same(now, streq(rec.release, R1) ? old : new, "a rollback");
		if (streq(rec.release, R1))
			continue;
		begin_rollback(R1);
		rollback();
		free(now);
		now = listed(SPACE DB);
		same(now, old, "a second rollback");
	}
	assert_true(seen[0] > 20 && seen[1] > 20);
}

/* Of each directory the oldest copy, also as a part of another one. */
static void
several(void **state)
{
	struct change_copy *v = NULL;
	size_t n = 0;
	struct stat st;
	_auto_free char *gone = at(SPACE DB "/third");

	(void)state;
	again();
	begin_upgrade(R2);
	upgrade();
	begin(CHANGE_UPGRADE, R3);
	CHECK(change_keep_data(&c.keep_data, "var/lib") == 0);
	put(SPACE "var/lib/other", "second\n", 0644);
	stage(R2, R3);
	CHECK(change_seal(&c, &e) == 0);
	upgrade();
	put(SPACE DB "/third", "third\n", 0644);
	put(SPACE "var/lib/other", "third\n", 0644);
	CHECK(change_find_copies(&store, "www", &rec, R2, space, &v, &n, &e) == 0);
	assert_true(n == 1 && streq(v[0].path, "var/lib"));
	change_copies_free(v, n);
	begin_rollback(R1);
	assert_true(c.op[c.n_op - 2].copy_id == 2 && c.op[c.n_op - 1].copy_id == 1);
	rollback();
	{
		_auto_free char *table = text_of(SPACE DB "/table"), *other = text_of(SPACE "var/lib/other");

		assert_string_equal(table, "old\n");
		assert_string_equal(other, "second\n");
		assert_true(lstat(gone, &st) < 0);
	}
}

/* The same directory twice. */
static void
oldest(void **state)
{
	_auto_free char *table = NULL;

	(void)state;
	again();
	begin_upgrade(R2);
	upgrade();
	begin_upgrade(R3);
	upgrade();
	begin_rollback(R1);
	assert_true(c.op[c.n_op - 1].copy_id == 1 && c.op[c.n_op - 2].copy_id == 0);
	rollback();
	table = text_of(SPACE DB "/table");
	assert_string_equal(table, "old\n");
}

/* The directory went meanwhile: the copy is put where it was. */
static void
directory_gone(void **state)
{
	_auto_free char *old = NULL, *now = NULL;

	(void)state;
	again();
	old = listed(SPACE DB);
	begin_upgrade(R2);
	upgrade();
	remove_all(SPACE DB);
	begin_rollback(R1);
	rollback_and_back();
	assert_false(there(SPACE DB "/table"));
	begin_rollback(R1);
	rollback();
	now = listed(SPACE DB);
	same(now, old, "put back");
}

/* ---- what cannot be ---- */

static void
nothing_left(int want, const char *says)
{
	assert_int_equal(change_copy_data(&c, space, &e), -want);
	if (!strstr(e.msg, says))
		fail_msg("%s: says %s", says, e.msg);
	err_clear(&e);
	assert_true(!there(COPY) && c.n_copy == 0);
}

static void
refused(void **state)
{
	_auto_free char *dev = at(SPACE DB "/sub/device"), *sub = at(SPACE DB "/sub"), *db = at(SPACE DB);

	(void)state;
	again();
	begin_upgrade(R2);
	CHECK(change_commit(&c, &rec, &e) == 0);
	if (mknod(dev, S_IFCHR | 0600, makedev(1, 3)) == 0) {
		nothing_left(EINVAL, "sub/device' is a device node");
		CHECK(unlink(dev) == 0);
	}
	CHECK(mount("none", sub, "tmpfs", 0, NULL) == 0);
	nothing_left(EXDEV, "sub' is a mount point");
	CHECK(umount(sub) == 0 && mount("none", db, "tmpfs", 0, NULL) == 0);
	nothing_left(EXDEV, DB " is a mount");
	CHECK(umount(db) == 0);
	remove_all(SPACE DB);
	nothing_left(ENOENT, "has no directory " DB);
	link_to("/etc", SPACE DB);
	nothing_left(ENOTDIR, DB " is no directory, or is behind a link");
	CHECK(change_copy_data(&c, space, &e) < 0);
	err_clear(&e);
	CHECK(change_discard(&c, &rec, space, &e) == 0);
}

static void
names(void **state)
{
	static const char *const bad[] = {"",    "/", ".", "a/../..", "..", CHANGE_INSIDE, CHANGE_INSIDE "/1",
					  "//./"};
	_auto_strv struct strv v = STRV_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(change_keep_data(&v, bad[i]), -EINVAL);
	assert_int_equal(v.n, 0);
	assert_int_equal(change_keep_data(&v, "/var//lib/db/"), 0);
	assert_int_equal(change_keep_data(&v, "var/lib/db2"), 0);
	assert_int_equal(change_keep_data(&v, "var/lib/db/sub"), 0);
	assert_true(v.n == 2 && strv_has(&v, DB) && strv_has(&v, "var/lib/db2"));
	assert_int_equal(change_keep_data(&v, "var/lib"), 0);
	assert_true(v.n == 1 && streq(v.v[0], "var/lib"));
}

static void
no_copy(void **state)
{
	(void)state;
	again();
	begin(CHANGE_UPGRADE, R2);
	stage(R1, R2);
	CHECK(change_seal(&c, &e) == 0);
	upgrade();
	begin(CHANGE_ROLLBACK, R1);
	CHECK(change_stage_undo(&c, &rec, space, &e) == 1);
	assert_int_equal(change_stage_copies(&c, &rec, space, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "no copy of its data is kept on the way back to release " R1));
	err_clear(&e);
}

/* A prepared change whose start was given up copies again. */
static void
prepared(void **state)
{
	_auto_free char *table = NULL;

	(void)state;
	again();
	begin(CHANGE_UPGRADE, R2);
	c.prepared = true;
	CHECK(change_keep_data(&c.keep_data, DB) == 0);
	CHECK(change_seal(&c, &e) == 0 && change_prepare(&c, &rec, &e) == 0);
	for (int k = 0; k < 2; k++) {
		change_free(&c);
		CHECK(change_load(&store, "www", 1, space, &c, &e) == 0);
		assert_true(c.keep_data.n == 1 && change_restage(&c, &e) == 0 && c.n_copy == 0);
		stage(R1, R2);
		CHECK(change_seal(&c, &e) == 0 && change_commit(&c, &rec, &e) == 0);
		put(SPACE DB "/table", k ? "second\n" : "first\n", 0644);
		CHECK(change_copy_data(&c, space, &e) == 0);
		if (k == 0) {
			CHECK(change_commit_back(&c, &rec, &e) == 0 && change_revert(&c, space, &e) == 0);
			CHECK(change_prepare_again(&c, &rec, &e) == 0);
			assert_false(there(COPY));
		}
	}
	table = text_of(COPY "/1/table");
	assert_string_equal(table, "second\n");
	CHECK(change_apply(&c, space, &e) == 0 && change_finish(&c, &rec, space, &e) == 0);
}

/* ---- where the jail's root reaches them ---- */

static void
inside(void **state)
{
	_auto_free char *path = at("base/js/www");

	(void)state;
	again();
	for (int k = 0; k < 3; k++) {
		_auto_free char *old = NULL, *new = NULL, *now = NULL;

		new_jail();
		fd_close(TAKE_FD(space));
		CHECK(mount("none", path, "tmpfs", 0, NULL) == 0);
		space = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		tree_of(SPACE "etc", 1);
		make_data();
		old = listed(SPACE DB);
		begin_upgrade(R2);
		CHECK(c.inside);
		upgrade();
		new = listed(SPACE DB);
		if (k == 0) { /* nobody does anything */
			begin_rollback(R1);
			rollback_and_back();
			begin_rollback(R1);
			rollback();
		} else if (k == 1) { /* taken away before it is looked for */
			remove_all(SPACE CHANGE_INSIDE "/1/data/1");
			begin(CHANGE_ROLLBACK, R1);
			CHECK(change_stage_undo(&c, &rec, space, &e) == 1);
			assert_int_equal(change_stage_copies(&c, &rec, space, &e), -ENOENT);
			assert_non_null(strstr(e.msg, "the copy of " DB " is not there any more"));
			err_clear(&e);
			CHECK(change_discard(&c, &rec, space, &e) == 0);
		} else { /* and after that */
			begin_rollback(R1);
			CHECK(change_commit(&c, &rec, &e) == 0);
			remove_all(SPACE CHANGE_INSIDE "/1/data");
			assert_int_equal(change_apply(&c, space, &e), -ENOENT);
			err_clear(&e);
			CHECK(change_commit_back(&c, &rec, &e) == 0 && change_revert(&c, space, &e) == 0);
			CHECK(change_discard(&c, &rec, space, &e) == 0);
		}
		now = listed(SPACE DB);
		same(now, k == 0 ? old : new, "inside");
		change_free(&c);
		fd_close(TAKE_FD(space));
		CHECK(umount(path) == 0);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, each, done)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(made),           TEST(synced),          TEST(upgrade_points), TEST(going_back_points),
	    TEST(untouched),      TEST(rollback_points), TEST(several),        TEST(oldest),
	    TEST(directory_gone), TEST(refused),         TEST(names),          TEST(no_copy),
	    TEST(prepared),       TEST(inside),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_copies: needs root\n");
		return 77;
	}
	CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	/* in memory where that can be had: thousands of syncs */
	(void)mount("none", "/tmp", "tmpfs", 0, "mode=1777");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
