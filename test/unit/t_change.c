/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store/change*.c: a change is carried out or taken back as a whole, wherever it is stopped; what the jail
 * does meanwhile is not lost.  Stopped: a child is traced (ptrace(2)), and is killed, or something is done to
 * its files, at its N-th system call that changes a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "at_call.h"
#include "scratch.h"
#include "store/change/change.h"
#include "store/record/ids.h"
#include "store/tree.h"

#define SPACE "base/js/www/"
#define R1 "20060601"
#define R2 "20060602"
#define R3 "20060603"
#define SKEL(r) "base/templates/mroot/" r "/skel/"
#define CHANGES "base/js/.brig/change/www"
#define ODD "etc/new\nline \xff \\ [*]"

static int space = -EBADF;

/* ---- what is there ---- */

static int
list_one(void *ctx, const struct tree_entry *t, struct err *err)
{
	struct buf *b = ctx;

	(void)err;
	buf_addf(b, "%s %o %u:%u", t->path, t->st.st_mode, t->st.st_uid, t->st.st_gid);
	if (S_ISLNK(t->st.st_mode)) {
		_auto_free char *to = tree_readlink(t->dir_fd, t->name);

		buf_addf(b, " -> %s", to);
	} else if (S_ISREG(t->st.st_mode)) {
		_auto_close int fd = openat(t->dir_fd, t->name, O_RDONLY | O_CLOEXEC);
		_auto_free char *text = NULL;

		if (t->st.st_size < 1 << 16 && fsx_read_fd(fd, 1 << 16, &text, NULL) == 0)
			buf_addf(b, " = %s", text);
	}
	buf_addc(b, '\n');
	return 0;
}

/* All of the jailspace, but for what the change itself keeps in it. */
static char *
look(void)
{
	struct buf b = BUF_INIT;
	_auto_free char *inside = at(SPACE CHANGE_INSIDE), *aside = at("aside");
	bool moved = rename(inside, aside) == 0;

	CHECK(tree_walk(space, list_one, &b, &e) == 0);
	CHECK(!moved || rename(aside, inside) == 0);
	return buf_take(&b);
}

static void
same_look(const char *want, const char *what)
{
	_auto_free char *now = look();
	size_t i = 0;

	if (streq(now, want))
		return;
	while (now[i] == want[i])
		i++;
	while (i > 0 && want[i - 1] != '\n')
		i--;
	fail_msg("%s: should be\n%.100s\n--- is\n%.100s", what, want + i, now + i);
}

static bool
has(const char *path, const char *text)
{
	_auto_free char *file = xasprintf(SPACE "%s", path);
	_auto_free char *now = text_of(file);

	return streq(now, text);
}

/* ---- the laboratory ---- */

static void
remove_all(const char *path)
{
	_auto_close int dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_auto_free char *p = at(path);
	char *slash = strrchr(p, '/');
	_auto_close int parent = -EBADF;

	*slash = '\0';
	parent = open(p, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(dir >= 0 && (parent < 0 || fsx_rm_rf_at(parent, slash + 1, &e) == 0));
}

static void
owned(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	_auto_free char *p = at(path);

	CHECK(lchown(p, uid, gid) == 0 && chmod(p, mode) == 0);
}

static void
name_too(const char *path, const char *other)
{
	_auto_free char *from = at(path), *to = at(other);

	CHECK(link(from, to) == 0);
}

/* A file of every kind of change; n: of which release. */
static void
tree_of(const char *in, int n)
{
	_auto_free char *etc = xasprintf("%setc", in);

#define IN(name) (xasprintf("%s" name, in))
#define PUT(name, text)                         \
	do {                                    \
		_auto_free char *f_ = IN(name); \
		put(f_, text, 0644);            \
	} while (0)
#define DO(fn, name)                            \
	do {                                    \
		_auto_free char *f_ = IN(name); \
		fn(f_);                         \
	} while (0)
#define LINK(target, name)                      \
	do {                                    \
		_auto_free char *f_ = IN(name); \
		link_to(target, f_);            \
	} while (0)
	dirs(etc);
	PUT("etc/same", "same\n");
	PUT("etc/file", n == 1 ? "one\n" : n == 2 ? "two\n" : "three\n");
	PUT("etc/merged", n == 1 ? "a\nb\nc\nd\ne\n" : "a\nb\nc\nd\nE\n");
	PUT("etc/clash", n == 1 ? "one\n" : n == 2 ? "two\n" : "three\n");
	PUT(ODD, n == 1 ? "odd\n" : "odder\n");
	if (n == 1) {
		PUT("etc/goes", "goes\n");
		DO(dir, "etc/dir-goes");
		PUT("etc/dir-goes/in", "in\n");
		PUT("etc/to-link", "file\n");
		LINK("same", "etc/to-file");
		LINK("same", "etc/link");
		DO(dir, "etc/dir-to-file");
		PUT("etc/file-to-dir", "file\n");
	} else {
		PUT("etc/comes", "comes\n");
		DO(dir, "etc/dir-comes");
		PUT("etc/dir-comes/in", "in\n");
		LINK("same", "etc/to-link");
		PUT("etc/to-file", "file\n");
		LINK("file", "etc/link");
		PUT("etc/dir-to-file", "file\n");
		DO(dir, "etc/file-to-dir");
	}
	PUT("etc/owner", "owner\n");
	DO(dir, "etc/dir-owner");
	{
		_auto_free char *f = IN("etc/owner"), *d = IN("etc/dir-owner");

		owned(f, n == 1 ? 0 : 7, n == 1 ? 0 : 8, n == 1 ? 04755 : n == 2 ? 02750 : 0700);
		owned(d, n == 1 ? 0 : 7, 0, n == 1 ? 0755 : 01770);
	}
	/* data: a database, and what a later release brings */
	{
		_auto_free char *lib = IN("var/lib/db"), *sub = IN("var/lib/new/sub"),
				*log = IN("var/log/new");
		_auto_free char *a = IN("var/lib/new/file"), *b = IN("var/lib/new/sub/too"),
				*new = IN("var/lib/new");

		dirs(lib);
		PUT("var/lib/db/table", n == 1 ? "one\n" : n == 2 ? "two\n" : "three\n");
		PUT("var/lib/db/same", "same\n");
		if (n > 1) {
			dirs(sub);
			dirs(log);
			put(a, "data\n", 0640);
			name_too(a, b);
			LINK("file", "var/lib/new/link");
			PUT("var/log/new/x.log", "log\n");
			owned(a, 33, 34, 04750);
			owned(new, 33, 34, 02750);
			owned(log, 35, 36, 01730);
		} else {
			PUT("var/lib/db/gone", "gone\n");
		}
	}
	/* one file with three names, as releases have them */
	{
		_auto_free char *a = IN("etc/name-a"), *b = IN("etc/name-b"), *c = IN("etc/name-c");

		put(a, n == 1 ? "names one\n" : "names two\n", 0644);
		name_too(a, b);
		name_too(a, c);
	}
#undef IN
#undef PUT
#undef DO
#undef LINK
}

static void
release(const char *name, int n)
{
	_auto_free char *root = xasprintf("base/templates/mroot/%s/root", name);
	_auto_free char *skel = xasprintf("base/templates/mroot/%s/skel/", name);
	_auto_free char *rules = xasprintf("base/templates/mroot/%s/rules", name);
	_auto_free char *old = xasprintf("base/templates/mroot/%s", name);

	remove_all(old);
	dirs(root);
	dirs(skel);
	put(rules, "move etc\nmove var\nconfig etc\ndata var/*\ndata var/lib/*\nignore var/log\n", 0644);
	tree_of(skel, n);
	seal(old);
}

/* Jail www on the first release, with a file that merges and one that does not. */
static void
new_jail(void)
{
	struct record rec = {.idbase = ID_BASE};
	_auto_free char *dir_path = at("base/js/www");

	fd_close(TAKE_FD(space));
	remove_all("base/js/www");
	remove_all(CHANGES);
	remove_all("base/js/.brig/switch/www");
	tree_of(SPACE, 1);
	put(SPACE "etc/merged", "A\nb\nc\nd\ne\n", 0644);
	put(SPACE "etc/clash", "mine\n", 0644);
	put(SPACE "etc/own", "own\n", 0600);
	rec.template = xstrdup("mroot");
	rec.release = xstrdup(R1);
	CHECK(record_write(&store, "www", &rec, &e) == 0);
	record_free(&rec);
	space = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(space >= 0);
}

static int
setup(void **state)
{
	if (geteuid() != 0)
		return 0;
	if (scratch_setup(state) < 0)
		return -1;
	release(R1, 1);
	release(R2, 2);
	release(R3, 3);
	return 0;
}

static int
teardown(void **state)
{
	if (geteuid() != 0)
		return 0;
	fd_close(TAKE_FD(space));
	return scratch_teardown(state);
}

/* ---- a change, in its steps ---- */

struct job {
	struct record rec;
	struct change c;
};
#define NO_JOB                   \
	{                        \
		{0}, CHANGE_INIT \
	}

static void
job_free(struct job *j)
{
	record_free(&j->rec);
	change_free(&j->c);
}

static void
begin(struct job *j, enum change_kind kind, const char *to)
{
	*j = (struct job)NO_JOB;
	CHECK(record_read(&store, "www", &j->rec, &e) == 1 && j->rec.change == RECORD_SETTLED);
	CHECK(change_new(&store, &(struct change_want){"www", &j->rec, kind, to, "", space}, &j->c, &e) == 0);
}

static int
skel_of(const char *name)
{
	struct release rel;
	int fd;

	CHECK(release_open(&store, "mroot", name, &rel, &e) == 0);
	fd = dup(rel.skel_fd);
	release_close(&rel);
	return fd;
}

static void
classes_of(const char *name, struct classes *ret)
{
	struct release rel;

	CHECK(release_open(&store, "mroot", name, &rel, &e) == 0);
	CHECK(classes_of_release(&rel, ret, &e) == 0);
	release_close(&rel);
}

static bool older; /* as a brig does it that knows no data */

static void
stage_upgrade(struct job *j, const char *to)
{
	struct merge_opts o = {.jail = true};
	_auto_(merge_plan_free) struct merge_plan plan = MERGE_PLAN_INIT, given = MERGE_PLAN_INIT;
	_auto_(merge_data_free) struct merge_data data = {0};
	_auto_(classes_free) struct classes classes = {0};
	_auto_strv struct strv paths = STRV_INIT;
	_auto_close int from_fd = -EBADF, to_fd = skel_of(to);

	begin(j, CHANGE_UPGRADE, to);
	from_fd = skel_of(j->rec.release);
	classes_of(to, &classes);
	o.classes = older ? NULL : &classes;
	CHECK(merge_delta(from_fd, to_fd, &o, &paths, &e) == 0);
	CHECK(merge_plan(&paths, &(struct merge_trees){from_fd, to_fd, space, NULL}, &o, &plan, &e) == 0);
	CHECK(change_stage(&j->c, &plan, j->rec.release, to_fd, space, &e) == 0);
	CHECK(older || (merge_data(from_fd, to_fd, &o, &data, &e) == 0 &&
			merge_data_plan(&data, to_fd, space, &given, &e) == 0 &&
			change_stage(&j->c, &given, j->rec.release, to_fd, space, &e) == 0));
	CHECK(change_seal(&j->c, &e) == 0);
}

static void
stage_rollback(struct job *j, const char *to)
{
	begin(j, CHANGE_ROLLBACK, to);
	CHECK(change_stage_undo(&j->c, &j->rec, space, &e) == 1);
	CHECK(change_seal(&j->c, &e) == 0);
}

/* The release's file, or nothing where it has none. */
static void
stage_theirs(struct job *j, const char *path, const char *why)
{
	_auto_close int skel = -EBADF;

	begin(j, CHANGE_MERGE, R2);
	skel = skel_of(j->rec.release);
	record_add_conflict(&j->rec, path, R1, why);
	record_add_conflict(&j->c.was, path, R1, why);
	CHECK(change_stage_theirs(&j->c, path, skel, space, &e) == 0);
	CHECK(change_seal(&j->c, &e) == 0);
}

static void
carry_out(void *ctx)
{
	struct job *j = ctx;

	CHECK(change_commit(&j->c, &j->rec, &e) == 0);
	CHECK(change_apply(&j->c, space, &e) == 0);
	CHECK(change_finish(&j->c, &j->rec, space, &e) == 0);
}

static void
there_and_back(void *ctx)
{
	struct job *j = ctx;

	CHECK(change_commit(&j->c, &j->rec, &e) == 0);
	CHECK(change_apply(&j->c, space, &e) == 0);
	CHECK(change_commit_back(&j->c, &j->rec, &e) == 0);
	CHECK(change_revert(&j->c, space, &e) == 0);
	CHECK(change_discard(&j->c, &j->rec, space, &e) == 0);
}

static void
upgrade(const char *to)
{
	_auto_(job_free) struct job j = NO_JOB;

	stage_upgrade(&j, to);
	carry_out(&j);
}

/* As run/steps_change.c does it. */
static void
recover(void *unused)
{
	_auto_(change_free) struct change c = CHANGE_INIT;
	_auto_(record_free) struct record rec = {0};

	(void)unused;
	CHECK(record_read(&store, "www", &rec, &e) == 1);
	if (rec.change == RECORD_SETTLED) {
		CHECK(change_tidy(&store, "www", &rec, space, false, &e) == 0);
		return;
	}
	CHECK(change_load(&store, "www", rec.change_id, space, &c, &e) == 0);
	if (rec.change == RECORD_APPLY)
		CHECK(change_apply(&c, space, &e) == 0 && change_finish(&c, &rec, space, &e) == 0);
	else
		CHECK(change_revert(&c, space, &e) == 0 && change_discard(&c, &rec, space, &e) == 0);
}

static char *
record_says(enum record_change *ret)
{
	_auto_(record_free) struct record rec = {0};

	CHECK(record_read(&store, "www", &rec, &e) == 1);
	*ret = rec.change;
	return xstrdup(rec.release);
}

/* Settled, and nothing on disk that no rollback needs. */
static void
nothing_unfinished(const char *release_now, size_t n_undo)
{
	_auto_(record_free) struct record rec = {0};
	_auto_free char *marks = names_in("base/js/.brig/switch"), *kept = names_in(CHANGES);
	_auto_buf struct buf want = BUF_INIT;

	CHECK(record_read(&store, "www", &rec, &e) == 1);
	assert_int_equal(rec.change, RECORD_SETTLED);
	assert_string_equal(rec.release, release_now);
	assert_int_equal(rec.n_undo, n_undo);
	assert_string_equal(marks, "");
	buf_adds(&want, "");
	for (size_t i = 0; i < rec.n_undo; i++)
		buf_addf(&want, "%s%u %u.json", i ? " " : "", rec.undo[i].id, rec.undo[i].id);
	assert_string_equal(kept, want.s);
}

/* ---- every point ---- */

static char *
after_upgrade(const char *to)
{
	new_jail();
	upgrade(to);
	return look();
}

/* So that the rest compares with the right thing. */
static void
whole(void **state)
{
	_auto_(record_free) struct record rec = {0};
	_auto_free char *pre = NULL;
	struct stat st;
	_auto_free char *owner = at(SPACE "etc/owner"), *dir_owner = at(SPACE "etc/dir-owner"),
			*link = at(SPACE "etc/to-link"), *fd = at(SPACE "etc/file-to-dir");

	(void)state;
	new_jail();
	pre = look();
	upgrade(R2);
	assert_true(has("etc/file", "two\n"));
	assert_true(has("etc/merged", "A\nb\nc\nd\nE\n"));
	assert_true(has("etc/clash", "mine\n"));
	assert_true(has(ODD, "odder\n"));
	assert_true(has("etc/comes", "comes\n") && has("etc/dir-comes/in", "in\n"));
	assert_false(there(SPACE "etc/goes") || there(SPACE "etc/dir-goes"));
	assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
	assert_true(has("etc/to-file", "file\n") && has("etc/dir-to-file", "file\n"));
	assert_true(lstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
	assert_true(lstat(owner, &st) == 0 && st.st_uid == 7 && st.st_gid == 8 &&
		    (st.st_mode & 07777) == 02750);
	assert_true(lstat(dir_owner, &st) == 0 && st.st_uid == 7 && (st.st_mode & 07777) == 01770);
	assert_true(has("etc/name-a", "names two\n") && has("etc/name-b", "names two\n") &&
		    has("etc/name-c", "names two\n"));
	assert_int_equal(record_read(&store, "www", &rec, &e), 1);
	assert_int_equal(rec.n_conflict, 1);
	assert_string_equal(rec.conflict[0].path, "etc/clash");
	nothing_unfinished(R2, 1);
	{
		_auto_(job_free) struct job j = NO_JOB;

		stage_rollback(&j, R1);
		carry_out(&j);
		assert_int_equal(j.c.kept.n, 0);
	}
	same_look(pre, "after a rollback");
	nothing_unfinished(R1, 0);
}

/* Both directions; again > 0: the recovery is killed, too, at this call and the following ones. */
static void
each_point(void (*way)(void *j), unsigned again)
{
	_auto_free char *post = after_upgrade(R2), *pre = NULL;
	unsigned seen[3] = {0};

	new_jail();
	pre = look();
	for (unsigned n = 1, hit = 1; hit; n++) {
		_auto_(job_free) struct job j = NO_JOB, back = NO_JOB;
		_auto_free char *release_now = NULL, *settled = NULL;
		enum record_change says;
		bool forth;

		new_jail();
		stage_upgrade(&j, R2);
		hit = (unsigned)at_call(n, NULL, way, &j);
		release_now = record_says(&says);
		forth = streq(release_now, R2);
		seen[says == RECORD_APPLY ? 0 : says == RECORD_REVERT ? 1 : 2]++;
		if (again)
			(void)at_call(1 + (n * again) % 40, NULL, recover, NULL);
		recover(NULL);
		same_look(forth ? post : pre, "after a recovery");
		nothing_unfinished(release_now, forth);
		if (!forth)
			continue;
		stage_rollback(&back, R1);
		carry_out(&back);
		same_look(pre, "rolled back after a recovery");
		nothing_unfinished(R1, 0);
	}
	/* there were such points */
	assert_true(seen[0] > 40 && seen[2] > 3 && (way == carry_out || seen[1] > 40));
}

static void
forwards(void **state)
{
	(void)state;
	each_point(carry_out, 0);
}

static void
backwards(void **state)
{
	(void)state;
	each_point(there_and_back, 0);
}

static void
recovery_of_recovery(void **state)
{
	(void)state;
	each_point(there_and_back, 7);
}

/* The same for the way back over two upgrades. */
static void
rollback_points(void **state)
{
	_auto_free char *pre = NULL, *post = NULL;

	(void)state;
	new_jail();
	pre = look();
	upgrade(R2);
	upgrade(R3);
	post = look();
	for (unsigned n = 1, hit = 1; hit; n++) {
		_auto_(job_free) struct job j = NO_JOB;
		_auto_free char *release_now = NULL;
		enum record_change says;

		new_jail();
		upgrade(R2);
		upgrade(R3);
		stage_rollback(&j, R1);
		hit = (unsigned)at_call(n, NULL, n % 2 ? carry_out : there_and_back, &j);
		release_now = record_says(&says);
		recover(NULL);
		same_look(streq(release_now, R1) ? pre : post, "a rollback");
		nothing_unfinished(release_now, streq(release_now, R1) ? 0 : 2);
	}
}

/* ---- what the jail does meanwhile ---- */

static void
all_changed(void)
{
	put(SPACE "etc/file", "one\nand mine\n", 0644);
	put(SPACE "etc/merged", "A\nB!\nc\nd\ne\n", 0644);
	put(SPACE "etc/goes", "goes, but mine\n", 0644);
	put(SPACE "etc/comes", "mine came first\n", 0644);
}

/* Changed after the staging: merged again as it is then, wherever that is stopped. */
static void
changed_since_staged(void **state)
{
	_auto_free char *want = NULL;
	unsigned n = 0;

	(void)state;
	for (int hit = 1; hit; n++) {
		_auto_(job_free) struct job j = NO_JOB;
		_auto_(record_free) struct record rec = {0};

		new_jail();
		stage_upgrade(&j, R2);
		all_changed();
		CHECK(change_commit(&j.c, &j.rec, &e) == 0);
		/* n 0: not stopped */
		hit = at_call(n, NULL, recover, NULL) || n == 0;
		recover(NULL);
		if (!want)
			want = look();
		same_look(want, "changed meanwhile, and stopped");
		assert_true(has("etc/file", "one\nand mine\n"));
		assert_true(has("etc/merged", "A\nB!\nc\nd\nE\n"));
		assert_true(has("etc/goes", "goes, but mine\n"));
		assert_true(has("etc/comes", "mine came first\n"));
		assert_int_equal(record_read(&store, "www", &rec, &e), 1);
		assert_true(record_conflict(&rec, "etc/file") && record_conflict(&rec, "etc/comes"));
		nothing_unfinished(R2, 1);
	}
	assert_true(n > 60);
}

static void
rename_newest(const char *onto)
{
	_auto_free char *from = at(SPACE "newest"), *to = xasprintf("%s/" SPACE "%s", top, onto);

	put(SPACE "newest", "newest\n", 0644);
	CHECK(rename(from, to) == 0);
}

static void
newest_file(void)
{
	rename_newest("etc/file");
}

static void
newest_own(void)
{
	rename_newest("etc/own");
}

/* A running jail puts a file in place while a decision about it is carried out: whenever that is, it is there
 * afterwards. */
static void
last_moment(void **state)
{
	static const struct {
		const char *path;
		void (*act)(void);
	} cases[] = {{"etc/file", newest_file}, {"etc/own", newest_own}}; /* replaced; removed */

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned n = 1, given_back = 0;

		for (int hit = 1; hit; n++) {
			_auto_(job_free) struct job j = NO_JOB;
			_auto_(record_free) struct record rec = {0};

			new_jail();
			upgrade(R2);
			put(SPACE "etc/file", "mine\n", 0644);
			stage_theirs(&j, cases[i].path, "both");
			hit = at_call(n, cases[i].act, carry_out, &j);
			if (!hit)
				continue;
			if (!has(cases[i].path, "newest\n"))
				fail_msg("lost at call %u of %s", n, cases[i].path);
			assert_int_equal(record_read(&store, "www", &rec, &e), 1);
			given_back += record_conflict(&rec, cases[i].path) != NULL;
			recover(NULL);
			nothing_unfinished(R2, 2);
		}
		assert_true(given_back > 0 && given_back < n - 2); /* both ways of it were seen */
	}
}

/* Directories above a path that lead elsewhere, and things that are not files. */
static void
hostile_space(void **state)
{
	_auto_(job_free) struct job j = NO_JOB;
	_auto_free char *outside = NULL, *etc = at(SPACE "etc"), *moved = at(SPACE "etc.moved"),
			*fifo = at(SPACE "etc/file"), *merged = at(SPACE "etc/merged"),
			*comes = at(SPACE "etc/dir-comes"), *to_outside = at("outside");

	(void)state;
	new_jail();
	remove_all("outside");
	tree_of("outside/", 1);
	/* the directory of everything becomes a link to the host's, after the staging */
	stage_upgrade(&j, R2);
	CHECK(rename(etc, moved) == 0);
	{
		_auto_free char *target = at("outside/etc");

		CHECK(symlink(target, etc) == 0);
	}
	carry_out(&j);
	outside = text_of("outside/etc/file");
	assert_string_equal(outside, "one\n");
	{
		_auto_free char *names = names_in("outside/etc"), *as_made = names_in(SKEL(R1) "etc");

		assert_string_equal(names, as_made);
		assert_true(there("outside/etc/goes") && !there("outside/etc/comes"));
	}
	nothing_unfinished(R2, 1);
	/* single paths */
	new_jail();
	{
		_auto_(job_free) struct job k = NO_JOB;

		stage_upgrade(&k, R2);
		CHECK(unlink(fifo) == 0 && mkfifo(fifo, 0600) == 0);
		CHECK(unlink(merged) == 0 && mkdir(merged, 0700) == 0);
		CHECK(symlink(to_outside, comes) == 0);
		carry_out(&k);
		assert_true(record_conflict(&k.rec, "etc/file") && record_conflict(&k.rec, "etc/merged"));
		assert_false(there("outside/in"));
		nothing_unfinished(R2, 1);
	}
	new_jail();
	{
		_auto_(job_free) struct job k = NO_JOB, back = NO_JOB;

		upgrade(R2);
		/* what is to go back is not a file, or of any size */
		CHECK(unlink(fifo) == 0 && mkfifo(fifo, 0600) == 0);
		CHECK(truncate(merged, (off_t)1 << 40) == 0);
		(void)alarm(20);
		stage_rollback(&back, R1);
		carry_out(&back);
		(void)alarm(0);
		assert_true(strv_has(&back.c.kept, "etc/file") && strv_has(&back.c.kept, "etc/merged"));
		assert_int_equal(back.c.kept.n, 2);
		nothing_unfinished(R1, 0);
		stage_upgrade(&k, R2); /* and nothing of it is in the way of the next one */
		carry_out(&k);
	}
}

/* Going back to a file where the new release has a directory that is in use by then. */
static void
nothing_lost_going_back(void **state)
{
	_auto_(job_free) struct job j = NO_JOB;
	_auto_free char *aside = NULL;

	(void)state;
	new_jail();
	stage_upgrade(&j, R2);
	CHECK(change_commit(&j.c, &j.rec, &e) == 0 && change_apply(&j.c, space, &e) == 0);
	put(SPACE "etc/file-to-dir/data", "written on the new release\n", 0644);
	put(SPACE "etc/dir-comes/more", "here, too\n", 0644);
	CHECK(change_commit_back(&j.c, &j.rec, &e) == 0 && change_revert(&j.c, space, &e) == 0);
	aside = xasprintf("etc/file-to-dir.brig-%u", j.c.id);
	assert_true(strv_has(&j.c.kept, aside) && strv_has(&j.c.kept, "etc/dir-comes"));
	CHECK(change_discard(&j.c, &j.rec, space, &e) == 0);
	assert_true(has("etc/file-to-dir", "file\n"));
	{
		_auto_free char *data = xasprintf("%s/data", aside);

		assert_true(has(data, "written on the new release\n"));
	}
	assert_true(has("etc/dir-comes/more", "here, too\n"));
	nothing_unfinished(R1, 0);
}

/* ---- the way back over several changes ---- */

static void
undo_of_several(void **state)
{
	_auto_free char *pre = NULL, *middle = NULL;

	(void)state;
	new_jail();
	pre = look();
	upgrade(R2);
	middle = look();
	{
		_auto_(job_free) struct job j = NO_JOB;

		stage_theirs(&j, "etc/clash", "both");
		carry_out(&j);
		assert_true(has("etc/clash", "two\n"));
	}
	upgrade(R3);
	assert_true(has("etc/clash", "three\n") && has("etc/file", "three\n"));
	{
		_auto_(job_free) struct job j = NO_JOB;

		stage_rollback(&j, R2);
		carry_out(&j);
		assert_true(has("etc/clash", "two\n") && has("etc/file", "two\n"));
		nothing_unfinished(R2, 2);
	}
	upgrade(R3);
	{
		_auto_(job_free) struct job j = NO_JOB;
		_auto_(record_free) struct record rec = {0};

		stage_rollback(&j, R1);
		carry_out(&j);
		assert_int_equal(j.c.kept.n, 0);
		assert_int_equal(record_read(&store, "www", &rec, &e), 1);
		assert_int_equal(rec.n_conflict, 0);
	}
	same_look(pre, "over two upgrades and a decision");
	nothing_unfinished(R1, 0);
	upgrade(R2);
	same_look(middle, "upgraded again");
}

/* Changed since: kept and named; also where the last change of a path was about its owner alone. */
static void
kept_if_changed_since(void **state)
{
	_auto_(job_free) struct job j = NO_JOB;
	_auto_free char *owner = at(SPACE "etc/owner"), *link = at(SPACE "etc/link");

	(void)state;
	new_jail();
	/* R2 changes its content, R3 only its mode */
	put(SKEL(R2) "etc/owner", "new content\n", 0755);
	put(SKEL(R3) "etc/owner", "new content\n", 0755);
	owned(SKEL(R2) "etc/owner", 7, 8, 0750);
	owned(SKEL(R3) "etc/owner", 7, 8, 0700);
	upgrade(R2);
	upgrade(R3);
	{
		_auto_close int fd = open(owner, O_WRONLY | O_CLOEXEC);

		CHECK(fd >= 0 && fsx_write_all(fd, "NEW CONTENT\n", 12) == 0); /* the size stays */
	}
	put(SPACE "etc/file", "mine since\n", 0644);
	CHECK(unlink(link) == 0 && symlink("elsewhere", link) == 0);
	remove_all(SPACE "etc/comes");
	put(SPACE "etc/goes", "made again\n", 0644);
	put(SPACE "etc/dir-comes/more", "in use\n", 0644);
	stage_rollback(&j, R1);
	carry_out(&j);
	assert_true(strv_has(&j.c.kept, "etc/owner") && has("etc/owner", "NEW CONTENT\n"));
	assert_true(strv_has(&j.c.kept, "etc/file") && has("etc/file", "mine since\n"));
	assert_true(strv_has(&j.c.kept, "etc/link"));
	assert_true(strv_has(&j.c.kept, "etc/comes"));
	assert_true(strv_has(&j.c.kept, "etc/goes") && has("etc/goes", "made again\n"));
	assert_true(strv_has(&j.c.kept, "etc/dir-comes") && has("etc/dir-comes/more", "in use\n"));
	assert_int_equal(j.c.kept.n, 6);
	assert_true(has("etc/merged", "A\nb\nc\nd\ne\n") && has("etc/name-c", "names one\n"));
	release(R2, 2);
	release(R3, 3);
}

/* ---- what is kept, and the jail has another name of ---- */

#define SECOND SPACE "second" /* the same inode as etc/file of the first release */
#define GIANT ((off_t)1 << 40)

static ino_t
inode_of(const char *path)
{
	_auto_free char *p = at(path);
	struct stat st;

	CHECK(lstat(p, &st) == 0);
	return st.st_ino;
}

/* Writes over the first bytes; the times of the file are as before, as far as they can be set. */
static void
write_over(const char *path, const char *text)
{
	_auto_free char *p = at(path);
	_auto_close int fd = open(p, O_WRONLY | O_CLOEXEC);
	struct stat st;

	CHECK(fd >= 0 && fstat(fd, &st) == 0 && fsx_write_all(fd, text, strlen(text)) == 0);
	CHECK(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}) == 0);
}

static void
act_none(void)
{
}

static void
act_longer(void)
{
	put(SECOND, "one\nand evil\n", 0644);
}

static void
act_giant(void)
{
	_auto_free char *p = at(SECOND);

	CHECK(truncate(p, GIANT) == 0);
}

static void
act_same_size(void)
{
	write_over(SECOND, "evl\n");
}

static void
act_mode(void)
{
	owned(SECOND, 0, 0, 04777);
}

static void
act_owner(void)
{
	owned(SECOND, 7, 0, 0644);
}

static void
act_group(void)
{
	owned(SECOND, 0, 8, 0644);
}

static void
act_unlink(void)
{
	remove_all(SECOND);
}

/* Neither content nor owner nor mode. */
static void
act_touch(void)
{
	_auto_free char *p = at(SECOND);

	name_too(SECOND, SPACE "third");
	put(SECOND, "one\n", 0644);
	CHECK(utimensat(AT_FDCWD, p, (struct timespec[]){{1, 0}, {1, 0}}, 0) == 0);
	remove_all(SPACE "third");
}

static const struct {
	const char *what;
	void (*act)(void);
	bool lost;
} second_names[] = {
    {"nothing", act_none, false},     {"another time", act_touch, false}, {"no name", act_unlink, false},
    {"longer", act_longer, true},     {"a giant", act_giant, true},       {"same size", act_same_size, true},
    {"another mode", act_mode, true}, {"another owner", act_owner, true}, {"another group", act_group, true},
};

/* Of the rest of the jail nothing is different. */
static void
rest_is_back(const struct change *c, bool lost, const char *path, const char *what)
{
	if (c->kept.n != lost || strv_has(&c->kept, path) != lost)
		fail_msg("%s: %zu kept, should be %d", what, c->kept.n, lost);
	assert_true(has("etc/merged", "A\nb\nc\nd\ne\n") && has("etc/goes", "goes\n"));
	assert_true(has("etc/name-a", "names one\n") && !there(SPACE "etc/comes"));
	nothing_unfinished(R1, 0);
}

/* The plan names the same, and changes nothing. */
static void
planned_as(bool lost)
{
	_auto_(change_free) struct change c = CHANGE_INIT;
	_auto_(record_free) struct record rec = {0};
	_auto_free char *before = look(), *after = NULL;

	CHECK(record_read(&store, "www", &rec, &e) == 1);
	c.store = &store;
	c.kind = CHANGE_ROLLBACK;
	c.jail = xstrdup("www");
	c.template = xstrdup("mroot");
	c.to = xstrdup(R1);
	CHECK(change_open(&c, &e) == 0 && change_stage_undo(&c, &rec, space, &e) == 1);
	after = look();
	assert_string_equal(before, after);
	assert_int_equal(c.kept.n, lost);
	assert_true(strv_has(&c.kept, "etc/file") == lost);
}

static void
changed_by_another_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(second_names); i++) {
		bool after_staging = i >= ARRAY_LEN(second_names), lost;
		_auto_(job_free) struct job j = NO_JOB;
		const char *what = second_names[i % ARRAY_LEN(second_names)].what;
		ino_t ino;

		new_jail();
		name_too(SPACE "etc/file", SECOND);
		ino = inode_of(SECOND);
		upgrade(R2);
		assert_true(has("etc/file", "two\n") && has("second", "one\n"));
		lost = second_names[i % ARRAY_LEN(second_names)].lost;
		if (!after_staging) {
			second_names[i].act();
			planned_as(lost);
		}
		(void)alarm(20);
		stage_rollback(&j, R1);
		if (after_staging) /* the jail still runs then */
			second_names[i % ARRAY_LEN(second_names)].act();
		carry_out(&j);
		(void)alarm(0);
		rest_is_back(&j.c, lost, "etc/file", what);
		if (!has("etc/file", lost ? "two\n" : "one\n"))
			fail_msg("%s: etc/file is not as it should be", what);
		assert_true((inode_of(SPACE "etc/file") == ino) == !lost);
	}
}

/* The same of three names that are kept together, and of one of them that was replaced later. */
static void
names_kept_together(void **state)
{
	(void)state;
	for (int tamper = 0; tamper < 2; tamper++) {
		_auto_(job_free) struct job one = NO_JOB;

		new_jail();
		name_too(SPACE "etc/name-a", SECOND);
		upgrade(R2);
		upgrade(R3);
		if (tamper)
			write_over(SECOND, "NAMES");
		stage_rollback(&one, R1);
		carry_out(&one);
		assert_int_equal(one.c.kept.n, tamper ? 3 : 0);
		assert_true(has("etc/name-b", tamper ? "names two\n" : "names one\n"));
		assert_true(strv_has(&one.c.kept, "etc/name-c") == tamper);
		assert_true(has("etc/file", "one\n"));
		nothing_unfinished(R1, 0);
	}
}

/* Bytes that this process has read so far: proc(5), io. */
static uint64_t
bytes_read(void)
{
	_auto_free char *text = NULL;
	uint64_t n;

	CHECK(fsx_read_at(AT_FDCWD, "/proc/self/io", 4096, &text, NULL, &e) == 0);
	CHECK(sscanf(text, "rchar: %" SCNu64, &n) == 1);
	return n;
}

static void
giant_jail(off_t size)
{
	_auto_free char *clash = at(SPACE "etc/clash");

	new_jail();
	CHECK(truncate(clash, size) == 0);
	name_too(SPACE "etc/clash", SECOND);
	upgrade(R2);
}

static void
decide_theirs(struct job *j)
{
	stage_theirs(j, "etc/clash", "both");
	carry_out(j);
}

static void
giant_act_none(void)
{
}

static void
giant_act_byte(void)
{
	write_over(SECOND, "M");
}

static void
giant_act_size(void)
{
	_auto_free char *p = at(SECOND);

	CHECK(truncate(p, GIANT - 1) == 0);
}

/* Back as the same inode, or kept and named. */
static void
giant_back(ino_t ino, bool lost, const char *what)
{
	_auto_(job_free) struct job j = NO_JOB;
	_auto_free char *clash = at(SPACE "etc/clash");
	struct stat st;

	stage_rollback(&j, R1);
	carry_out(&j);
	rest_is_back(&j.c, lost, "etc/clash", what);
	assert_true(stat(clash, &st) == 0);
	if (lost ? st.st_size != (off_t)strlen("two\n") : st.st_ino != ino || st.st_size != GIANT)
		fail_msg("%s: etc/clash has %jd bytes", what, (intmax_t)st.st_size);
}

/* A file of the jail that nobody can read to its end is put aside and comes back. */
static void
kept_giant(void **state)
{
	static const struct {
		const char *what;
		void (*act)(void);
		bool lost;
	} cases[] = {{"nothing", giant_act_none, false},
		     {"same size and times", giant_act_byte, true},
		     {"another size", giant_act_size, true},
		     {"another mode", act_mode, true},
		     {"another owner", act_owner, true}};
	uint64_t start, small;

	(void)state;
	(void)alarm(60);
	start = bytes_read();
	giant_jail(TEXT_MAX); /* one that is read: this is counted */
	{
		_auto_(job_free) struct job j = NO_JOB;

		decide_theirs(&j);
	}
	small = bytes_read() - start;
	assert_true(small > TEXT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_auto_(job_free) struct job j = NO_JOB;
		ino_t ino;

		giant_jail(GIANT);
		ino = inode_of(SECOND);
		start = bytes_read();
		decide_theirs(&j);
		assert_true(has("etc/clash", "two\n"));
		cases[i].act();
		giant_back(ino, cases[i].lost, cases[i].what);
		assert_true(bytes_read() - start < 3 * small);
	}
	(void)alarm(0);
}

/* A rollback that is given up is none: the next one finds what it needs. */
static void
giant_after_a_rollback_given_up(void **state)
{
	_auto_(job_free) struct job j = NO_JOB, first = NO_JOB, second = NO_JOB;
	_auto_free char *clash = at(SPACE "etc/clash");
	ino_t ino;

	(void)state;
	giant_jail(GIANT);
	ino = inode_of(SECOND);
	decide_theirs(&j);
	stage_rollback(&first, R1);
	CHECK(change_discard(&first.c, &first.rec, space, &e) == 0);
	stage_rollback(&second, R1);
	there_and_back(&second);
	nothing_unfinished(R2, 2);
	giant_back(ino, false, "given up twice");
}

/* Killed anywhere, what is written down of it is what it is. */
static void
giant_points(void **state)
{
	unsigned n = 1;

	(void)state;
	for (int hit = 1; hit; n++) {
		_auto_(job_free) struct job j = NO_JOB;
		_auto_(record_free) struct record rec = {0};
		ino_t ino;

		giant_jail(GIANT);
		ino = inode_of(SECOND);
		stage_theirs(&j, "etc/clash", "both");
		hit = at_call(n, NULL, carry_out, &j);
		recover(NULL);
		CHECK(record_read(&store, "www", &rec, &e) == 1);
		if (rec.n_undo == 2) {
			assert_true(has("etc/clash", "two\n"));
			giant_back(ino, false, "after a recovery");
		}
	}
	assert_true(n > 15);
}

/* Many files just small enough to be read: in all no more than KEPT_ALL_MAX (256 MiB) of them is. */
static void
kept_many(void **state)
{
	_auto_strv struct strv always = STRV_INIT;
	struct merge_opts o = {.jail = true, .always = &always};
	_auto_(merge_plan_free) struct merge_plan plan = MERGE_PLAN_INIT;
	_auto_strv struct strv paths = STRV_INIT;
	_auto_(job_free) struct job j = NO_JOB, back = NO_JOB;
	_auto_free char *pre = NULL;
	uint64_t start;

	(void)state;
	strv_add(&always, "/etc/many-*");
	new_jail();
	for (int i = 0; i < 100; i++) {
		_auto_free char *stock1 = xasprintf(SKEL(R1) "etc/many-%d", i),
				*stock2 = xasprintf(SKEL(R2) "etc/many-%d", i),
				*own = xasprintf(SPACE "etc/many-%d", i), *p = at(own);

		put(stock1, "1\n", 0644);
		put(stock2, "2\n", 0644);
		put(own, "1\n", 0644);
		CHECK(truncate(p, TEXT_MAX) == 0);
	}
	pre = look();
	begin(&j, CHANGE_UPGRADE, R2);
	{
		_auto_close int from_fd = skel_of(R1), to_fd = skel_of(R2);

		CHECK(merge_delta(from_fd, to_fd, &o, &paths, &e) == 0);
		CHECK(merge_plan(&paths, &(struct merge_trees){from_fd, to_fd, space, NULL}, &o, &plan, &e) == 0);
		start = bytes_read();
		CHECK(change_stage(&j.c, &plan, R1, to_fd, space, &e) == 0);
	}
	CHECK(change_seal(&j.c, &e) == 0);
	assert_true(bytes_read() - start > (200u << 20) && bytes_read() - start < (280u << 20));
	carry_out(&j);
	assert_true(has("etc/many-99", "2\n"));
	start = bytes_read();
	write_over(SPACE "etc/many-7", "3");
	stage_rollback(&back, R1);
	carry_out(&back);
	assert_true(bytes_read() - start < (280u << 20));
	assert_int_equal(back.c.kept.n, 1);
	assert_true(has("etc/many-7", "3\n"));
	{
		_auto_free char *p = at(SPACE "etc/many-7");

		put(SPACE "etc/many-7", "1\n", 0644);
		CHECK(truncate(p, TEXT_MAX) == 0);
	}
	same_look(pre, "many files");
	release(R1, 1);
	release(R2, 2);
}

/* ID.json as an older brig wrote it: neither digest nor times of what was there. */
static void
without_new_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(second_names); i++) {
		_auto_(job_free) struct job j = NO_JOB;
		_auto_(record_free) struct record rec = {0};
		_auto_free char *file = NULL, *text = NULL;
		bool lost = second_names[i].lost && second_names[i].act != act_same_size;
		json_t *all, *op;
		size_t k;

		new_jail();
		name_too(SPACE "etc/file", SECOND);
		upgrade(R2);
		CHECK(record_read(&store, "www", &rec, &e) == 1);
		file = xasprintf("%s/" CHANGES "/%u.json", top, rec.undo[0].id);
		all = json_load_file(file, 0, NULL);
		assert_non_null(all);
		json_array_foreach(json_object_get(all, "ops"), k, op)
		{
			json_t *before = json_object_get(op, "before");

			(void)json_object_del(before, "sha256");
			(void)json_object_del(before, "mtime");
			(void)json_object_del(json_object_get(op, "after"), "mtime");
			(void)json_object_del(op, "kept");
		}
		assert_int_equal(json_dump_file(all, file, JSON_INDENT(1)), 0);
		json_decref(all);
		second_names[i].act();
		stage_rollback(&j, R1);
		carry_out(&j);
		rest_is_back(&j.c, lost, "etc/file", second_names[i].what);
	}
}

/* ---- data ---- */

static ino_t inode_of(const char *path);

/* Owner, mode, hard links and all; nothing of what the jail has. */
static void
data_given(void **state)
{
	_auto_free char *new = at(SPACE "var/lib/new"), *file = at(SPACE "var/lib/new/file"),
			*log = at(SPACE "var/log/new");
	struct stat st;

	(void)state;
	new_jail();
	put(SPACE "var/lib/db/mine", "live\n", 0600);
	upgrade(R2);
	assert_true(has("var/lib/db/table", "one\n") && has("var/lib/db/gone", "gone\n"));
	assert_true(has("var/lib/db/mine", "live\n"));
	assert_true(has("var/lib/new/file", "data\n"));
	assert_int_equal(inode_of(SPACE "var/lib/new/file"), inode_of(SPACE "var/lib/new/sub/too"));
	assert_true(lstat(new, &st) == 0 && st.st_uid == 33 && st.st_gid == 34 &&
		    (st.st_mode & 07777) == 02750);
	assert_true(lstat(file, &st) == 0 && st.st_uid == 33 && (st.st_mode & 07777) == 04750);
	assert_true(lstat(log, &st) == 0 && st.st_uid == 35 && (st.st_mode & 07777) == 01730);
	assert_false(there(SPACE "var/log/new/x.log")); /* a log is no part of a release */
	nothing_unfinished(R2, 1);
}

static void
data_content(void)
{
	put(SPACE "var/lib/new/sub/too", "DATA\n", 0640);
	owned(SPACE "var/lib/new/file", 33, 34, 04750);
}
static void
data_more(void)
{
	put(SPACE "var/lib/new/sub/more", "", 0600);
}
static void
data_less(void)
{
	remove_all(SPACE "var/lib/new/link");
}
static void
data_mode(void)
{
	owned(SPACE "var/lib/new/sub", 0, 0, 0700);
}
static void
data_owner(void)
{
	owned(SPACE "var/lib/new", 34, 34, 02750);
}
static void
data_link(void)
{
	remove_all(SPACE "var/lib/new/link");
	link_to("FILE", SPACE "var/lib/new/link");
}
static void
data_instead(void)
{
	remove_all(SPACE "var/lib/new");
	put(SPACE "var/lib/new", "mine\n", 0600);
}
static void
data_fifo(void)
{
	_auto_free char *p = at(SPACE "var/lib/new/sub/fifo");

	remove_all(SPACE "var/lib/new/link"); /* as many as before */
	CHECK(mkfifo(p, 0644) == 0);
}

/* What was given goes at a rollback as it was given, whenever it is changed; otherwise all of it stays. */
static void
data_taken_back(void **state)
{
	static void (*const act[])(void) = {data_content, data_more, data_less,    data_mode,
					    data_owner,   data_link, data_instead, data_fifo};

	(void)state;
	for (size_t i = 0; i < 3 * ARRAY_LEN(act); i++) {
		_auto_(job_free) struct job j = NO_JOB;
		_auto_free char *with = NULL;

		new_jail();
		upgrade(R2);
		if (i % 3 == 0)
			act[i / 3]();
		stage_rollback(&j, R1);
		if (i % 3 == 1)
			act[i / 3]();
		with = look();
		CHECK(change_commit(&j.c, &j.rec, &e) == 0);
		CHECK(change_apply(&j.c, space, &e) == 0);
		if (i % 3 == 2) { /* it was gone: it comes back when the rollback is taken back */
			assert_false(there(SPACE "var/lib/new"));
			CHECK(change_commit_back(&j.c, &j.rec, &e) == 0 &&
			      change_revert(&j.c, space, &e) == 0);
			CHECK(change_discard(&j.c, &j.rec, space, &e) == 0);
			same_look(with, "data of a rollback that was taken back");
			act[i / 3]();
			continue;
		}
		CHECK(change_finish(&j.c, &j.rec, space, &e) == 0);
		assert_true(strv_has(&j.c.kept, "var/lib/new"));
		assert_int_equal(j.c.kept.n, 1);
		assert_true(there(SPACE "var/lib/new"));
		assert_true(has("etc/file", "one\n") && has("var/lib/db/table", "one\n"));
		assert_false(there(SPACE "var/log/new"));
		assert_true(act[i / 3] != data_instead || has("var/lib/new", "mine\n"));
		nothing_unfinished(R1, 0);
	}
	{ /* logs are no reason to speak */
		_auto_(job_free) struct job j = NO_JOB;

		new_jail();
		upgrade(R2);
		put(SPACE "var/log/new/log", "x\n", 0600);
		stage_rollback(&j, R1);
		carry_out(&j);
		assert_int_equal(j.c.kept.n, 0);
		assert_true(has("var/log/new/log", "x\n"));
		assert_false(there(SPACE "var/lib/new"));
	}
}

/* The jail makes it itself before it is its turn, takes away the directory above it, or an upgrade that fails has
 * used it. */
static void
data_meanwhile(void **state)
{
	_auto_(job_free) struct job a = NO_JOB, b = NO_JOB, c = NO_JOB;

	(void)state;
	new_jail();
	stage_upgrade(&a, R2);
	dirs(SPACE "var/lib/new");
	put(SPACE "var/lib/new/mine", "mine\n", 0600);
	carry_out(&a);
	assert_int_equal(a.c.kept.n, 0);
	assert_true(has("var/lib/new/mine", "mine\n") && has("etc/file", "two\n"));
	assert_false(there(SPACE "var/lib/new/file"));
	nothing_unfinished(R2, 1);

	new_jail();
	stage_upgrade(&b, R2);
	remove_all(SPACE "var/lib");
	carry_out(&b);
	assert_true(has("etc/file", "two\n"));
	assert_false(there(SPACE "var/lib"));

	new_jail();
	stage_upgrade(&c, R2);
	CHECK(change_commit(&c.c, &c.rec, &e) == 0 && change_apply(&c.c, space, &e) == 0);
	data_more();
	CHECK(change_commit_back(&c.c, &c.rec, &e) == 0 && change_revert(&c.c, space, &e) == 0);
	CHECK(change_discard(&c.c, &c.rec, space, &e) == 0);
	assert_true(strv_has(&c.c.kept, "var/lib/new"));
	assert_true(there(SPACE "var/lib/new/sub/more") && has("etc/file", "one\n"));
	nothing_unfinished(R1, 0);
}

/* ---- data that an older brig merged ---- */

static void
db_none(void)
{
}
static void
db_other_file(void) /* one that the upgrade had not touched */
{
	put(SPACE "var/lib/db/same", "SAME\n", 0644);
}
static void
db_new_file(void)
{
	put(SPACE "var/lib/db/log", "", 0644);
}
static void
db_written_again(void)
{
	put(SPACE "var/lib/db/table", "two\n", 0644);
}
static void
db_written(void)
{
	put(SPACE "var/lib/db/table", "TWO\n", 0644);
}

/* A database goes back as a whole or not at all. */
static void
data_of_older(void **state)
{
	static const struct {
		void (*act)(void);
		bool back;
	} cases[] = {{db_none, true},
		     {db_other_file, false},
		     {db_new_file, false},
		     {db_written_again, false},
		     {db_written, false}};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		_auto_(job_free) struct job j = NO_JOB;
		_auto_free char *pre = NULL, *table = NULL;
		/* written with the content of the release: the next upgrade could not know that */
		bool back = cases[i / 2].back || (i % 2 && cases[i / 2].act == db_written_again);

		new_jail();
		pre = look();
		older = true;
		upgrade(R2);
		(void)nanosleep(&(struct timespec){0, 20000000}, NULL); /* times of files are that coarse */
		if (i % 2) /* twice: it was changed since the first of them */
			cases[i / 2].act();
		if (i % 2)
			upgrade(R3);
		older = false;
		assert_true(has("var/lib/db/table", i % 2 && cases[i / 2].act == db_written ? "TWO\n"
						    : i % 2                                 ? "three\n"
											    : "two\n"));
		assert_false(there(SPACE "var/lib/db/gone"));
		if (i % 2 == 0)
			cases[i / 2].act();
		table = text_of(SPACE "var/lib/db/table");
		stage_rollback(&j, R1);
		carry_out(&j);
		assert_true(has("etc/file", "one\n"));
		assert_false(there(SPACE "var/lib/new"));
		if (back) {
			same_look(pre, "data of an older brig");
			assert_int_equal(j.c.kept.n, 0);
		} else {
			assert_int_equal(j.c.kept.n, 1);
			assert_string_equal(j.c.kept.v[0], "var/lib/db");
			assert_true(has("var/lib/db/table", table));
			assert_false(there(SPACE "var/lib/db/gone"));
		}
		nothing_unfinished(R1, 0);
	}
}

/* ---- damage ---- */

static void
damaged(void **state)
{
	static const char *const texts[] = {"",
					    "{",
					    "[]",
					    "{}",
					    "{\"kind\": \"upgrade\"}",
					    "{\"kind\": \"upgrade\", \"template\": \"mroot\", \"from\": "
					    "\"a\", \"to\": \"b\", \"inside\": false,"
					    " \"restart\": false, \"boot\": \"\", \"space\": \"\", \"ops\": "
					    "[{\"n\": 1, \"path\": \"etc/\\\\9\"}]}"};
	_auto_free char *pre = NULL;
	_auto_(job_free) struct job j = NO_JOB;
	_auto_free char *file = NULL;

	(void)state;
	new_jail();
	pre = look();
	stage_upgrade(&j, R2);
	CHECK(change_commit(&j.c, &j.rec, &e) == 0);
	file = xasprintf(CHANGES "/%u.json", j.c.id);
	for (size_t i = 0; i <= ARRAY_LEN(texts); i++) {
		struct change c = CHANGE_INIT;
		struct err one = ERR_INIT;
		_auto_free char *now = NULL;
		enum record_change says;

		if (i < ARRAY_LEN(texts))
			put(file, texts[i], 0600);
		else
			remove_all(file);
		assert_true(change_load(&store, "www", j.c.id, space, &c, &one) < 0);
		assert_non_null(strstr(one.msg, "www"));
		assert_null(strchr(one.msg, '\n'));
		same_look(pre, "with a damaged ID.json");
		now = record_says(&says); /* it still knows */
		assert_int_equal(says, RECORD_APPLY);
	}
	put("base/js/.brig/www.json", "{\"idbase\": 1879048192, \"change\": \"apply\"}", 0600);
	{
		struct record rec;
		struct err one = ERR_INIT;

		assert_int_equal(record_read(&store, "www", &rec, &one), -EINVAL);
		assert_non_null(strstr(one.msg, "damaged"));
	}
	/* a destroyed jail leaves nothing of it */
	assert_int_equal(change_remove_all(&store, "www", &e), 0);
	assert_false(there(CHANGES) || there("base/js/.brig/switch/www"));
}

/* ---- where the jailspace is another file system ---- */

static void
other_bytes(const char *path)
{
	put(path, "oen\n", 0644);
}

static void
other_fifo(const char *path)
{
	_auto_free char *p = at(path);

	CHECK(mkfifo(p, 0644) == 0);
}

static void
other_link(const char *path)
{
	link_to("/etc/passwd", path);
}

static void
other_giant(const char *path)
{
	_auto_free char *p = at(path);

	put(path, "", 0644);
	CHECK(truncate(p, GIANT) == 0);
}

static void
same_bytes(const char *path)
{
	put(path, "one\n", 0644);
}

/* What is kept lies in the jailspace: its root puts something else in its place. */
static void
instead_of_kept(void)
{
	static const struct {
		void (*put)(const char *path);
		bool lost;
	} cases[] = {{NULL, false},      {same_bytes, false}, {other_bytes, true},
		     {other_fifo, true}, {other_link, true},  {other_giant, true}};

	(void)alarm(60);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_auto_(job_free) struct job up = NO_JOB, back = NO_JOB;
		_auto_free char *kept = NULL;

		remove_all(SPACE "etc");
		tree_of(SPACE, 1);
		stage_upgrade(&up, R2);
		for (size_t k = 0; k < up.c.n_op; k++)
			if (streq(up.c.op[k].path, "etc/file"))
				kept = xasprintf(SPACE CHANGE_INSIDE "/%u/old/%u", up.c.id, up.c.op[k].n);
		carry_out(&up);
		CHECK(kept && there(kept) && has("etc/file", "two\n"));
		if (cases[i].put) {
			remove_all(kept);
			cases[i].put(kept);
		}
		stage_rollback(&back, R1);
		carry_out(&back);
		CHECK(strv_has(&back.c.kept, "etc/file") == cases[i].lost);
		CHECK(has("etc/file", cases[i].lost ? "two\n" : "one\n"));
		CHECK(has("etc/goes", "goes\n") && !there(SPACE CHANGE_INSIDE));
	}
	(void)alarm(0);
}

/* Everything that is staged becomes empty, as far as it is there yet; names to come are taken. */
static void
meddle(void)
{
	_auto_free char *path = at(SPACE CHANGE_INSIDE), *ids = names_in(SPACE CHANGE_INSIDE);

	for (int n = 1; n < 40; n++) {
		_auto_free char *one = xasprintf("%s/%s/new/%d", path, ids, n);
		_auto_close int fd = open(one, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
}

static void
stage_and_carry_out(void *ctx)
{
	struct job *j = ctx;

	stage_upgrade(j, R2);
	carry_out(j);
}

/* The jail's root does that while brig is at it: whenever it is, the change goes through, and what was
 * meddled with waits for a decision. */
static void
meddled_with(void)
{
	unsigned waited = 0, n = 1;

	for (int hit = 1; hit; n += 2) {
		_auto_(job_free) struct job j = NO_JOB;
		_auto_(record_free) struct record rec = {0};

		remove_all(SPACE "etc");
		tree_of(SPACE, 1);
		hit = at_call(n, meddle, stage_and_carry_out, &j);
		recover(NULL);
		CHECK(record_read(&store, "www", &rec, &e) == 1);
		CHECK(rec.change == RECORD_SETTLED && streq(rec.release, R2) && rec.n_undo == 1);
		for (size_t i = 0; i < rec.n_conflict; i++)
			waited += strstr(rec.conflict[i].why, "prepared") != NULL;
		while (rec.n_conflict > 0)
			record_remove_conflict(&rec, rec.conflict[0].path);
		/* as if it had never been */
		free(rec.release);
		rec.release = xstrdup(R1);
		rec.n_undo = 0;
		CHECK(record_write(&store, "www", &rec, &e) == 0);
		CHECK(change_tidy(&store, "www", &rec, space, false, &e) == 0);
	}
	CHECK(waited > 10);
}

static void
on_tmpfs(void)
{
	_auto_free char *dir_path = at("base/js/www"), *pre = NULL, *post = NULL;
	unsigned step = 3;

	new_jail();
	remove_all("base/js/www");
	dir("base/js/www");
	CHECK(mount("none", dir_path, "tmpfs", 0, NULL) == 0);
	for (unsigned n = 1, hit = 1; hit; n += n > 1 ? step : 1) {
		_auto_(job_free) struct job j = NO_JOB, back = NO_JOB;
		_auto_free char *release_now = NULL;
		enum record_change says;

		/* empty and fill it again: it stays mounted */
		fd_close(TAKE_FD(space));
		CHECK(umount(dir_path) == 0);
		new_jail();
		fd_close(TAKE_FD(space));
		remove_all("base/js/www/etc");
		CHECK(mount("none", dir_path, "tmpfs", 0, NULL) == 0);
		tree_of(SPACE, 1);
		space = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CHECK(space >= 0);
		if (!pre)
			pre = look();
		/* names of the jail's root where brig looks for its own */
		dirs(SPACE CHANGE_INSIDE "/1073741824/new");
		put(SPACE CHANGE_INSIDE "/7", "x", 0644);
		stage_upgrade(&j, R2);
		CHECK(j.c.inside && j.c.id < 100 && there(SPACE CHANGE_INSIDE));
		if (n == 1) {
			carry_out(&j);
			post = look();
		} else {
			hit = (unsigned)at_call(n, NULL, n % 2 ? carry_out : there_and_back, &j);
		}
		release_now = record_says(&says);
		recover(NULL);
		{
			_auto_free char *now = look();

			CHECK(streq(now, streq(release_now, R2) ? post : pre));
		}
		if (!streq(release_now, R2)) {
			CHECK(!there(SPACE CHANGE_INSIDE));
			continue;
		}
		stage_rollback(&back, R1);
		carry_out(&back);
		{
			_auto_free char *now = look();

			CHECK(streq(now, pre) && !there(SPACE CHANGE_INSIDE));
		}
	}
	/* the jail's root takes away what a rollback needs: that file stays as it is, the rest goes back */
	{
		_auto_(job_free) struct job back = NO_JOB;
		upgrade(R2);
		remove_all(SPACE CHANGE_INSIDE);
		stage_rollback(&back, R1);
		carry_out(&back);
		CHECK(strv_has(&back.c.kept, "etc/file") && has("etc/file", "two\n"));
		CHECK(!there(SPACE "etc/comes") && !there(SPACE CHANGE_INSIDE));
	}
	instead_of_kept();
	meddled_with();
	fd_close(TAKE_FD(space));
	CHECK(umount(dir_path) == 0);
}

static void
another_file_system(void **state)
{
	(void)state;
	in_namespace(on_tmpfs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole),
	    cmocka_unit_test(forwards),
	    cmocka_unit_test(backwards),
	    cmocka_unit_test(recovery_of_recovery),
	    cmocka_unit_test(rollback_points),
	    cmocka_unit_test(changed_since_staged),
	    cmocka_unit_test(last_moment),
	    cmocka_unit_test(hostile_space),
	    cmocka_unit_test(nothing_lost_going_back),
	    cmocka_unit_test(undo_of_several),
	    cmocka_unit_test(kept_if_changed_since),
	    cmocka_unit_test(changed_by_another_name),
	    cmocka_unit_test(names_kept_together),
	    cmocka_unit_test(kept_giant),
	    cmocka_unit_test(giant_after_a_rollback_given_up),
	    cmocka_unit_test(giant_points),
	    cmocka_unit_test(kept_many),
	    cmocka_unit_test(without_new_fields),
	    cmocka_unit_test(data_given),
	    cmocka_unit_test(data_taken_back),
	    cmocka_unit_test(data_meanwhile),
	    cmocka_unit_test(data_of_older),
	    cmocka_unit_test(damaged),
	    cmocka_unit_test(another_file_system),
	};

	if (geteuid() != 0) {
		puts("1..0 # SKIP must be root: owners of files");
		return 77;
	}
	/* in memory where that can be had: thousands of syncs */
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		(void)mount("none", "/tmp", "tmpfs", 0, "mode=1777");
	return cmocka_run_group_tests(tests, setup, teardown);
}
