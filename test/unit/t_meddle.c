/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store/change: what a jail does between two looks of brig's, at the very system call (trace.h), and what of it must
 * neither be lost nor be believed.  t_change has the other half: a change as a whole, stopped anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <sha256.h>
#include <sys/xattr.h>

#include "change_lab.h"
#include "store/jailspace/host.h"
#include "store/tree.h"

static bool
has(const char *path, const char *text)
{
	_auto_free char *file = xasprintf(SPACE "%s", path);
	_auto_free char *now = text_of(file);

	return streq(now, text);
}

/* Test double: no file can have one more name, on request. */
static bool no_links;

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	if (no_links) {
		errno = EMLINK;
		return -1;
	}
	return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

static struct stat
look(const char *path)
{
	_auto_free char *p = at(path);
	struct stat st = {0};

	(void)lstat(p, &st);
	return st;
}

static struct change_op *
op_of(const char *path)
{
	for (size_t i = c.n_op; i-- > 0;)
		if (streq(c.op[i].path, path))
			return &c.op[i];
	return NULL;
}

static void
staged(void)
{
	begin(CHANGE_UPGRADE, R2);
	stage(R1, R2);
	CHECK(change_seal(&c, &e) == 0);
}

static void
carry_out(void)
{
	CHECK(change_commit(&c, &rec, &e) == 0);
	CHECK(change_apply(&c, space, &e) == 0);
	CHECK(change_finish(&c, &rec, space, &e) == 0);
}

static void
upgraded(void)
{
	staged();
	carry_out();
}

static void
rollback_staged(void)
{
	begin(CHANGE_ROLLBACK, R1);
	CHECK(change_stage_undo(&c, &rec, space, &e) == 1);
	CHECK(change_seal(&c, &e) == 0);
}

/* Named, as a conflict or as kept. */
static bool
named(const char *path)
{
	return record_conflict(&rec, path) || strv_has(&c.kept, path);
}

/* ---- between staging and its turn ---- */

/* The clock of file systems ticks every few milliseconds. */
static void
next_tick(void)
{
	(void)nanosleep(&(struct timespec){0, 12000000}, NULL);
}

/* Content of the same size, and the times as before as far as they can be set. */
static void
write_over(const char *path, const char *text)
{
	_auto_free char *p = at(path);
	_auto_close int fd = open(p, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	next_tick();
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && fsx_write_all(fd, text, strlen(text)) == 0);
	CHECK(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}) == 0);
}

static void
rename_over(const char *path, const char *text)
{
	_auto_free char *from = at(SPACE "newest"), *to = at(path);
	struct stat st = look(path);

	put(SPACE "newest", text, st.st_mode & 07777);
	CHECK(utimensat(AT_FDCWD, from, (struct timespec[]){st.st_atim, st.st_mtim}, 0) == 0);
	CHECK(rename(from, to) == 0);
}

static void
set_mode(const char *path, const char *text)
{
	_auto_free char *p = at(path);

	(void)text;
	next_tick();
	CHECK(chmod(p, 0600) == 0);
}

static void
set_owner(const char *path, const char *text)
{
	_auto_free char *p = at(path);

	(void)text;
	next_tick();
	CHECK(chown(p, 55, 66) == 0);
}

static void
meanwhile(void **state)
{
	static void (*const acts[])(const char *path, const char *text) = {write_over, rename_over, set_mode,
									   set_owner};
	/* replaced, removed, owner and mode only */
	static const char *const paths[] = {"etc/file", "etc/goes", "etc/owner"};
	static const char *const texts[] = {"ONE\n", "TEXT\n", "OWNER\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(acts); i++)
		for (size_t k = 0; k < ARRAY_LEN(paths); k++) {
			_auto_free char *path = xasprintf(SPACE "%s", paths[k]), *text = NULL;
			struct stat st;

			if (streq(paths[k], "etc/owner") && acts[i] == write_over)
				continue; /* its content is not what is changed */
			new_jail();
			staged();
			acts[i](path, texts[k]);
			st = look(path);
			text = text_of(path);
			carry_out();
			if (acts[i] == write_over || acts[i] == rename_over) {
				if (!has(paths[k], text))
					fail_msg("act %zu: the content of %s is lost", i, path);
				assert_true(streq(paths[k], "etc/owner") || named(paths[k]));
			}
			/* new content, or none, but owner and mode are the jail's */
			if (acts[i] == set_owner && there(path))
				assert_true(look(path).st_uid == 55 && look(path).st_gid == 66);
			if (acts[i] == set_mode && there(path))
				assert_int_equal(look(path).st_mode, st.st_mode);
			/* the others are as the release has them */
			assert_true(has("etc/other", "two\n") && has("etc/comes", "text\n"));
		}
}

/* Another file with the same size and the very same times: it is the inode that tells. */
static void
same_times(void **state)
{
	_auto_free char *etc = at(SPACE "etc"), *etc2 = at(SPACE "etc2"), *etc3 = at(SPACE "etc3");
	struct stat a, b;
	int tries = 0;

	(void)state;
	dirs(SPACE "etc2");
	do {
		remove_all(SPACE "etc/file");
		remove_all(SPACE "etc2/file");
		put(SPACE "etc/file", "one\n", 0644);
		put(SPACE "etc2/file", "ONE\n", 0644);
		a = look(SPACE "etc/file");
		b = look(SPACE "etc2/file");
	} while (!clock_same(&a.st_ctim, &b.st_ctim) && ++tries < 1000);
	if (tries == 1000)
		skip(); /* times of single nanoseconds */
	staged();
	CHECK(rename(etc, etc3) == 0 && rename(etc2, etc) == 0);
	carry_out();
	assert_true(has("etc/file", "ONE\n"));
	assert_true(named("etc/file"));
}

/* ---- at the call ---- */

static const char *at_line; /* where something is done */
static void (*act)(void);
static unsigned acted, act_max;

static void
before(const char *line)
{
	size_t n = strlen(at_line);

	if (strncmp(line, at_line, n) != 0 || acted >= act_max)
		return;
	acted++;
	act();
}

/* What fn does to the disk, and act() before the call that begins so. */
static void
with(const char *line, unsigned max, void (*what)(void), void (*fn)(void))
{
	at_line = line;
	act = what;
	act_max = max;
	acted = 0;
	free(traced(fn, before));
	CHECK(acted > 0);
	record_free(&rec);
	CHECK(record_read(&store, "www", &rec, &e) == 1);
}

static void
other_text(void)
{
	_auto_free char *text = xasprintf("A\nb%u\nc\nd\ne\n", acted);

	CHECK(acted < 20); /* it goes on for ever */
	put(SPACE "etc/merged", text, 0644);
}

static void
merged_once_more(void **state)
{
	(void)state;
	(void)alarm(60);
	staged();
	put(SPACE "etc/merged", "A\nB\nc\nd\ne\n", 0644);
	/* whenever it has been merged, the jail writes it again */
	with("sync all of base/js/.brig/change/www/1", 100, other_text, carry_out);
	assert_int_equal(acted, 2); /* and before the record settles */
	assert_true(has("etc/merged", "A\nb2\nc\nd\ne\n"));
	(void)alarm(0);
}

static void
newest_file(void)
{
	rename_over(SPACE "etc/file", "new\n");
}

static void
linked_another(void **state)
{
	_auto_free char *line = NULL, *old = NULL;
	unsigned n;

	(void)state;
	staged();
	n = op_of("etc/file")->n;
	line = xasprintf("link base/js/.brig/change/www/1/old/%u\n", n);
	old = xasprintf("base/js/.brig/change/www/1/old/%u", n);
	/* what was looked at is not what is linked */
	with(line, 1, newest_file, carry_out);
	assert_true(has("etc/file", "new\n"));
	assert_false(there(old));
	assert_non_null(record_conflict(&rec, "etc/file"));
}

static void
mine_comes(void)
{
	put(SPACE "etc/comes", "mine\n", 0644);
}

static void
came_first(void **state)
{
	_auto_free char *line = NULL;

	(void)state;
	staged();
	line =
	    xasprintf("move base/js/.brig/change/www/1/new/%u base/js/www/etc/comes", op_of("etc/comes")->n);
	with(line, 1, mine_comes, carry_out);
	assert_true(has("etc/comes", "mine\n"));
	assert_non_null(record_conflict(&rec, "etc/comes"));
}

/* ---- links, where owner and mode are set or a file is made ---- */

static const char *swapped;

static void
swap_for_link(void)
{
	remove_all(swapped);
	{
		_auto_free char *victim = at("victim"), *p = at(swapped);

		CHECK(symlink(victim, p) == 0);
	}
}

static void
try_all(void)
{
	struct err err = ERR_INIT;

	begin(CHANGE_UPGRADE, R2);
	if (try_stage(R1, R2, NULL, &err) < 0 || change_seal(&c, &err) < 0 ||
	    change_commit(&c, &rec, &err) < 0 || change_apply(&c, space, &err) < 0)
		return;
	(void)change_finish(&c, &rec, space, &err);
}

static void
never_through_a_link(void **state)
{
	/* owner and mode of what is there; the making, owner and mode of what is staged */
	static const char *const calls[] = {"own", "mode", "make"};
	static const char *const files[] = {"base/js/www/etc/owner", "base/js/.brig/change/www/1/new/%u"};
	unsigned n_op, tried = 0;

	(void)state;
	staged();
	n_op = (unsigned)c.n_op;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		for (unsigned k = 0; k <= n_op; k++) {
			_auto_free char *file = k ? xasprintf("base/js/.brig/change/www/1/new/%u", k)
						  : xstrdup(files[0]),
					*line = xasprintf("%s %s\n", calls[i], file), *text = NULL;
			struct stat st;

			new_jail();
			remove_all("victim");
			put("victim", "of the host\n", 0640);
			swapped = file;
			at_line = line;
			act = swap_for_link;
			act_max = 1;
			acted = 0;
			free(traced(try_all, before));
			tried += acted;
			text = text_of("victim");
			st = look("victim");
			if (!streq(text, "of the host\n") || st.st_uid != 0 || st.st_gid != 0 ||
			    (st.st_mode & 07777) != 0640)
				fail_msg("%s: the link was followed", line);
		}
	assert_true(tried >= 6);
}

static void
cut_staged(void)
{
	_auto_free char *p = at(swapped);

	CHECK(truncate(p, 3) == 0);
}

static void
fifo_staged(void)
{
	_auto_free char *p = at(swapped);

	remove_all(swapped);
	CHECK(mkfifo(p, 0600) == 0);
}

static void
stage_stale(void)
{
	struct err err = ERR_INIT;

	begin(CHANGE_UPGRADE, R2);
	CHECK(try_stage(R1, R2, NULL, &err) == -ESTALE);
}

/* What was done to a staged node before it was looked at is not taken for what was staged. */
static void
not_as_staged(void **state)
{
	static const struct {
		const char *path;
		void (*act)(void);
	} cases[] = {{"etc/merged", cut_staged}, {"etc/merged", fifo_staged}, {"etc/link", fifo_staged}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_auto_free char *file = NULL, *line = NULL;

		new_jail();
		staged();
		file = xasprintf("base/js/.brig/change/www/1/new/%u", op_of(cases[i].path)->n);
		line = xasprintf("own %s\n", file);
		new_jail();
		swapped = file;
		with(line, 1, cases[i].act, stage_stale);
	}
}

/* ---- between plan and staging ---- */

static void
same_size_file(void)
{
	rename_over(SPACE "etc/file", "ONE\n");
}

static void
etc_leads_out(void)
{
	_auto_free char *etc = at(SPACE "etc"), *away = at(SPACE "away"), *out = at("outside"),
			*file = at("outside/merged");

	tree_of("outside", 1);
	CHECK(setxattr(file, "user.secret", "x", 1, 0) == 0);
	CHECK(rename(etc, away) == 0 && symlink(out, etc) == 0);
}

static void
after_the_plan(void **state)
{
	_auto_free char *merged = NULL, *p = NULL;
	char value[8];
	struct err err = ERR_INIT;

	(void)state;
	/* what is kept has the digest of the file that was looked at, or none */
	begin(CHANGE_UPGRADE, R2);
	CHECK(try_stage(R1, R2, same_size_file, &e) == 0);
	assert_string_equal(op_of("etc/file")->before.digest, "");
	assert_int_equal(strlen(op_of("etc/other")->before.digest), 64);
	assert_int_equal(strlen(op_of("etc/goes")->before.digest), 64);
	assert_int_equal(strlen(op_of("etc/merged")->before.digest), 64);
	/* nothing is taken from a file outside */
	new_jail();
	begin(CHANGE_UPGRADE, R2);
	(void)try_stage(R1, R2, etc_leads_out, &err);
	merged =
	    xasprintf("base/js/.brig/change/www/1/new/%u", op_of("etc/merged") ? op_of("etc/merged")->n : 0);
	p = at(merged);
	assert_true(getxattr(p, "user.secret", value, sizeof(value)) < 0);
}

/* Of what brig makes of a file of the jail's: attributes stay, what gives rights does not. */
static void
made_of_the_jails(void **state)
{
	_auto_free char *merged = at(SPACE "etc/merged");
	/* struct vfs_cap_data: cap_sys_admin, permitted and effective */
	const unsigned char cap[20] = {1, 0, 0, 2, 0, 0, 0x20, 0};
	char value[32];
	struct stat st;

	(void)state;
	CHECK(chmod(merged, 06755) == 0);
	CHECK(setxattr(merged, "user.note", "kept", 4, 0) == 0);
	CHECK(setxattr(merged, "security.capability", cap, sizeof(cap), 0) == 0);
	upgraded();
	assert_true(has("etc/merged", "A\nb\nc\nd\nE\n"));
	st = look(SPACE "etc/merged");
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(getxattr(merged, "user.note", value, sizeof(value)), 4);
	assert_true(getxattr(merged, "security.capability", value, sizeof(value)) < 0);
	/* a release's own are those of the release */
	st = look(SPACE "etc/owner");
	assert_true(st.st_uid == 7 && (st.st_mode & 07777) == 02640);
}

static void
still_secret(void)
{
	CHECK((look(swapped).st_mode & 07777) == 0600);
}

/* Nobody reads along while it is made, whatever the umask. */
static void
staged_in_secret(void **state)
{
	_auto_free char *merged = at(SPACE "etc/merged"), *one = NULL, *line = NULL;
	mode_t mask = umask(0);

	(void)state;
	CHECK(chmod(merged, 0600) == 0);
	staged();
	one = xasprintf("base/js/.brig/change/www/1/new/%u", op_of("etc/merged")->n);
	assert_int_equal(look(one).st_mode & 07777, 0600);
	assert_int_equal(look("base/js/.brig/change/www/1.json").st_mode & 07777, 0600);
	assert_int_equal(look("base/js/.brig/change/www").st_mode & 07777, 0700);
	assert_int_equal(look("base/js/.brig/change/www/1").st_mode & 07777, 0700);
	new_jail();
	CHECK(chmod(merged, 0600) == 0);
	swapped = one;
	line = xasprintf("own %s\n", one);
	with(line, 1, still_secret, staged);
	(void)umask(mask);
}

/* Going back, where the jail has something at the name that is given to what is in the way. */
static void
name_of_what_is_in_the_way(void **state)
{
	_auto_free char *left = NULL, *aside = NULL;

	(void)state;
	put("base/templates/mroot/" R1 "/skel/etc/turns", "file\n", 0644);
	dirs("base/templates/mroot/" R2 "/skel/etc/turns");
	put(SPACE "etc/turns", "file\n", 0644);
	staged();
	CHECK(change_commit(&c, &rec, &e) == 0 && change_apply(&c, space, &e) == 0);
	put(SPACE "etc/turns/data", "written since\n", 0644);
	aside = xasprintf(SPACE "etc/turns.brig-%u", c.id);
	dirs(aside);
	CHECK(change_commit_back(&c, &rec, &e) == 0 && change_revert(&c, space, &e) == 0);
	assert_true(has("etc/turns/data", "written since\n"));
	left = names_in(aside);
	assert_string_equal(left, "");
	assert_true(strv_has(&c.kept, "etc/turns"));
	assert_true(has("etc/file", "one\n"));
	CHECK(change_discard(&c, &rec, space, &e) == 0);
}

/* ---- the base of a merge ---- */

static void
base_of_a_conflict(void **state)
{
	const struct record_conflict *waits;

	(void)state;
	/* on the second release, with a file that was last merged with the first */
	free(rec.release);
	rec.release = xstrdup(R2);
	put(SPACE "etc/file", "mine\n", 0644);
	put(SPACE "etc/merged", "A\nb\nc\nd\ne\n", 0644);
	begin(CHANGE_UPGRADE, R3);
	stage(R1, R3);
	CHECK(change_seal(&c, &e) == 0);
	put(SPACE "etc/merged", "A\nb\nx\nd\ne\n", 0644);
	carry_out();
	waits = record_conflict(&rec, "etc/merged");
	assert_non_null(waits);
	assert_string_equal(waits->base, R1);
}

/* ---- the way back ---- */

static void
old_is_another(void)
{
	_auto_free char *from = at(SPACE "newest"), *to = at(swapped);

	put(SPACE "newest", "ONE\n", 0644);
	CHECK(rename(from, to) == 0);
}

static void
back_and_out(void)
{
	rollback_staged();
	carry_out();
	CHECK(strv_has(&c.kept, "etc/file"));
}

/* What was kept is exchanged at the moment in which it is read, or linked. */
static void
kept_exchanged(void **state)
{
	static const char *const calls[] = {"open base/js/.brig/change/www/1/old/%u\n",
					    "link base/js/.brig/change/www/2/new/%u\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		_auto_free char *old = NULL, *line = NULL;
		unsigned n;

		new_jail();
		upgraded();
		n = op_of("etc/file")->n;
		old = xasprintf("base/js/.brig/change/www/1/old/%u", n);
		if (i == 1) { /* the number that it has in the rollback */
			rollback_staged();
			n = op_of("etc/file")->n;
			CHECK(change_discard(&c, &rec, space, &e) == 0);
		}
		line = i ? xasprintf("link base/js/.brig/change/www/2/new/%u\n", n)
			 : xasprintf("open base/js/.brig/change/www/1/old/%u\n", n);
		swapped = old;
		with(line, 1, old_is_another, back_and_out);
		assert_true(has("etc/file", "two\n"));
		assert_true(has("etc/other", "one\n"));
	}
}

/* Owner and mode that the jail gave since are not taken back with the content, and are named. */
static void
owner_changed_since(void **state)
{
	static const char *const paths[] = {"etc/file", "etc/comes", "etc/owner", "etc/link"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		for (int how = 0; how < 3; how++) {
			_auto_free char *path = xasprintf(SPACE "%s", paths[i]), *p = at(path);
			struct stat st;

			if (how == 2 && streq(paths[i], "etc/link"))
				continue; /* a link has no mode */
			new_jail();
			upgraded();
			st = look(path);
			CHECK(how == 2
				  ? chmod(p, 0604) == 0
				  : lchown(p, how == 0 ? 55 : st.st_uid, how == 1 ? 66 : st.st_gid) == 0);
			st = look(path);
			rollback_staged();
			carry_out();
			if (!strv_has(&c.kept, paths[i]))
				fail_msg("%s, %d: not named", paths[i], how);
			assert_true(look(path).st_uid == st.st_uid && look(path).st_gid == st.st_gid &&
				    look(path).st_mode == st.st_mode);
			assert_true(has("etc/other", "one\n"));
		}
}

static void
another_giant(void)
{
	_auto_free char *from = at(SPACE "newest"), *to = at(swapped);
	struct stat st = look(swapped);

	put(SPACE "newest", "EVIL", 0644);
	CHECK(truncate(from, BIG) == 0 && chown(from, 7, 7) == 0);
	CHECK(utimensat(AT_FDCWD, from, (struct timespec[]){st.st_atim, st.st_mtim}, 0) == 0);
	CHECK(rename(from, to) == 0);
}

static void
back_without_goes(void)
{
	rollback_staged();
	carry_out();
	CHECK(strv_has(&c.kept, "etc/goes"));
}

/* A large file that must be copied to go back, since its owner was another one first. */
static void
copied_giant(void **state)
{
	_auto_free char *goes = at(SPACE "etc/goes");

	(void)state;
	for (int tamper = 0; tamper < 2; tamper++) {
		struct change_op *op;
		struct release to;

		new_jail();
		put(SPACE "etc/goes", "mine", 0644);
		CHECK(truncate(goes, BIG) == 0);
		begin(CHANGE_UPGRADE, R2);
		op = change_add_op(&c, "etc/goes");
		op->meta = true;
		op->before = (struct change_node){.type = NODE_FILE, .mode = 0644};
		op->after = (struct change_node){.type = NODE_FILE, .mode = 0644, .uid = 7, .gid = 7};
		CHECK(change_seal(&c, &e) == 0);
		carry_out();
		assert_int_equal(look(SPACE "etc/goes").st_uid, 7);
		begin(CHANGE_MERGE, R2);
		CHECK(release_open(&store, "mroot", R2, &to, &e) == 0);
		CHECK(change_stage_theirs(&c, "etc/goes", to.skel_fd, space, &e) == 0);
		release_close(&to);
		CHECK(change_seal(&c, &e) == 0);
		carry_out();
		assert_false(there(SPACE "etc/goes"));
		if (tamper) {
			swapped = "base/js/.brig/change/www/2/old/1";
			with("open base/js/.brig/change/www/2/old/1\n", 1, another_giant, back_without_goes);
			assert_false(there(SPACE "etc/goes"));
			continue;
		}
		rollback_staged();
		carry_out();
		assert_int_equal(c.kept.n, 0);
		assert_true(look(SPACE "etc/goes").st_size == (off_t)BIG &&
			    look(SPACE "etc/goes").st_uid == 0);
	}
}

/* The jail's root gave everything as many names as there can be: what is small is copied, a giant is not. */
static void
names_used_up(void **state)
{
	_auto_free char *goes = at(SPACE "etc/goes");
	struct release to;

	(void)state;
	put(SPACE "etc/goes", "mine", 0644);
	CHECK(truncate(goes, BIG) == 0);
	upgraded();
	begin(CHANGE_MERGE, R2);
	CHECK(release_open(&store, "mroot", R2, &to, &e) == 0);
	CHECK(change_stage_theirs(&c, "etc/goes", to.skel_fd, space, &e) == 0);
	release_close(&to);
	CHECK(change_seal(&c, &e) == 0);
	carry_out();
	assert_false(there(SPACE "etc/goes"));
	no_links = true;
	rollback_staged();
	carry_out();
	no_links = false;
	assert_int_equal(c.kept.n, 1);
	assert_string_equal(c.kept.v[0], "etc/goes");
	assert_false(there(SPACE "etc/goes"));
	assert_true(has("etc/file", "one\n") && has("etc/merged", "A\nb\nc\nd\ne\n"));
}

static void
write_on(void)
{
	_auto_free char *p = at(swapped);
	_auto_close int fd = open(p, O_WRONLY | O_CLOEXEC);

	next_tick();
	CHECK(fd >= 0 && pwrite(fd, "EVIL", 4, 0) == 4);
}

static void
same_giant(void)
{
	_auto_free char *from = at(SPACE "newest"), *to = at(swapped);
	struct stat st = look(swapped);

	put(SPACE "newest", "EVIL", 0644);
	CHECK(truncate(from, BIG) == 0);
	CHECK(utimensat(AT_FDCWD, from, (struct timespec[]){st.st_atim, st.st_mtim}, 0) == 0);
	CHECK(rename(from, to) == 0);
}

/* After a rollback that was given up the time of a large kept file says nothing any more: its inode and the time of
 * its content do. */
static void
giant_given_up(void **state)
{
	static void (*const acts[])(void) = {NULL, write_on, same_giant};
	_auto_free char *goes = at(SPACE "etc/goes");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
		struct release to;

		new_jail();
		put(SPACE "etc/goes", "mine", 0644);
		CHECK(truncate(goes, BIG) == 0);
		upgraded();
		begin(CHANGE_MERGE, R2);
		CHECK(release_open(&store, "mroot", R2, &to, &e) == 0);
		CHECK(change_stage_theirs(&c, "etc/goes", to.skel_fd, space, &e) == 0);
		release_close(&to);
		CHECK(change_seal(&c, &e) == 0);
		carry_out();
		rollback_staged();
		CHECK(change_discard(&c, &rec, space, &e) == 0);
		swapped = "base/js/.brig/change/www/2/old/1";
		CHECK(there(swapped));
		if (acts[i])
			acts[i]();
		rollback_staged();
		carry_out();
		assert_int_equal(c.kept.n, acts[i] ? 1 : 0);
		assert_true(there(SPACE "etc/goes") == !acts[i]);
	}
}

/* What the upgrade passed over has nothing to go back to, and is not named. */
static void
passed_over(void **state)
{
	(void)state;
	staged();
	write_over(SPACE "etc/file", "ONE\n");
	carry_out();
	assert_non_null(record_conflict(&rec, "etc/file"));
	rollback_staged();
	carry_out();
	assert_int_equal(c.kept.n, 0);
	assert_true(has("etc/file", "ONE\n") && has("etc/other", "one\n"));
}

/* Where brig stages in the jailspace itself, its root can be there first: those files stay and are named. */
static void
there_first(void **state)
{
	(void)state;
	upgraded();
	begin(CHANGE_ROLLBACK, R1);
	c.inside = true;
	for (int n = 1; n < 20; n++) {
		_auto_free char *path = xasprintf("base/js/.brig/change/www/2/new/%d", n);

		put(path, "first\n", 0644);
	}
	assert_int_equal(change_stage_undo(&c, &rec, space, &e), 1);
	assert_true(strv_has(&c.kept, "etc/file") && strv_has(&c.kept, "etc/link"));
	/* elsewhere nobody but brig is: there it is an error */
	new_jail();
	upgraded();
	begin(CHANGE_ROLLBACK, R1);
	for (int n = 1; n < 20; n++) {
		_auto_free char *path = xasprintf("base/js/.brig/change/www/2/new/%d", n);

		put(path, "first\n", 0644);
	}
	assert_int_equal(change_stage_undo(&c, &rec, space, &e), -EEXIST);
}

/* What waited for a decision before the upgrade waits again after going back. */
static void
conflicts_come_back(void **state)
{
	(void)state;
	record_add_conflict(&rec, "etc/x", R3, "first");
	record_add_conflict(&rec, "etc/y", R3, "second");
	CHECK(record_write(&store, "www", &rec, &e) == 0);
	upgraded();
	rollback_staged();
	carry_out();
	assert_int_equal(rec.n_conflict, 2);
	assert_string_equal(record_conflict(&rec, "etc/x")->why, "first");
	assert_string_equal(record_conflict(&rec, "etc/y")->base, R3);
}

/* A large file with two names that the jail writes to while it is put back. */
static void
large_of_two_names(void **state)
{
	_auto_free char *one = at(SPACE "etc/file"), *other = at(SPACE "etc/other");
	static const char *const paths[] = {"etc/file", "etc/other"};

	(void)state;
	for (int tamper = 0; tamper < 2; tamper++) {
		new_jail();
		put(SPACE "etc/file", "mine\n", 0644);
		CHECK(truncate(one, BIG) == 0 && unlink(other) == 0 && link(one, other) == 0);
		/* a decision for the release's: of both names */
		for (size_t i = 0; i < ARRAY_LEN(paths); i++)
			record_add_conflict(&rec, paths[i], R1, "both");
		CHECK(record_write(&store, "www", &rec, &e) == 0);
		upgraded();
		begin(CHANGE_MERGE, R2);
		for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
			struct release to;

			CHECK(release_open(&store, "mroot", R2, &to, &e) == 0);
			CHECK(change_stage_theirs(&c, paths[i], to.skel_fd, space, &e) == 0);
			release_close(&to);
		}
		CHECK(change_seal(&c, &e) == 0);
		carry_out();
		assert_true(has("etc/file", "two\n") && has("etc/other", "two\n"));
		rollback_staged();
		if (tamper) { /* through a descriptor that a process of the jail still has */
			_auto_free char *staged_as = xasprintf("base/js/.brig/change/www/%u/new/%u", c.id,
							       op_of("etc/file")->n),
					*p = at(staged_as);
			_auto_close int fd = open(p, O_WRONLY | O_CLOEXEC);

			next_tick();
			CHECK(fd >= 0 && pwrite(fd, "X", 1, 7) == 1);
		}
		carry_out();
		assert_int_equal(c.kept.n, tamper ? 2 : 0);
		assert_true(look(SPACE "etc/file").st_size == (tamper ? 4 : (off_t)BIG));
	}
}

/* The time of a large file that is kept is that after the renames, also after a recovery. */
static void
kept_time_once(void **state)
{
	_auto_free char *one = at(SPACE "etc/goes"), *second = at(SPACE "second");
	unsigned id;

	(void)state;
	put(SPACE "etc/goes", "mine\n", 0644);
	CHECK(truncate(one, BIG) == 0 && link(one, second) == 0);
	upgraded();
	/* the release has it no more, and the jail had changed it: nothing was done; a decision takes it away */
	begin(CHANGE_MERGE, R2);
	{
		struct release to;

		CHECK(release_open(&store, "mroot", R2, &to, &e) == 0);
		CHECK(change_stage_theirs(&c, "etc/goes", to.skel_fd, space, &e) == 0);
		release_close(&to);
	}
	CHECK(change_seal(&c, &e) == 0 && change_commit(&c, &rec, &e) == 0);
	id = c.id;
	CHECK(change_apply(&c, space, &e) == 0);
	assert_false(there(SPACE "etc/goes"));
	assert_true(op_of("etc/goes")->kept.tv_sec != 0);
	CHECK(change_save(&c, &e) == 0); /* killed before the record settles; the jail ran meanwhile */
	write_over(SPACE "second", "EVIL");
	{
		struct timespec was = op_of("etc/goes")->kept;

		change_free(&c);
		CHECK(change_load(&store, "www", id, space, &c, &e) == 0);
		CHECK(change_apply(&c, space, &e) == 0);
		assert_true(clock_same(&op_of("etc/goes")->kept, &was));
	}
	CHECK(change_finish(&c, &rec, space, &e) == 0);
	rollback_staged();
	carry_out();
	assert_true(strv_has(&c.kept, "etc/goes") && !there(SPACE "etc/goes"));
}

/* ---- files and ids of a change ---- */

static void
put_text(const char *text)
{
	put("base/js/.brig/change/www/1.json", text, 0600);
}

/* The journal with one thing in it replaced. */
static bool
accepted(const char *from, const char *to)
{
	_auto_free char *text = text_of("base/js/.brig/change/www/1.json"), *whole = xstrdup(text),
			*all = NULL;
	_auto_(change_free) struct change one = CHANGE_INIT;
	struct err err = ERR_INIT;
	char *p = strstr(text, from);
	bool yes;

	if (!p)
		fail_msg("%s is not in %s", from, text);
	*p = '\0';
	all = xasprintf("%s%s%s", text, to, p + strlen(from));
	put_text(all);
	yes = change_load(&store, "www", 1, space, &one, &err) == 0;
	put_text(whole);
	return yes;
}

#define HEX16 "0123456789abcdef"
#define HEX64 HEX16 HEX16 HEX16 HEX16

static void
journal_bounds(void **state)
{
	(void)state;
	begin(CHANGE_UPGRADE, R2);
	c.op = NULL;
	(void)stpcpy(change_add_op(&c, "etc/x")->before.digest, HEX64);
	c.op[0].before.type = NODE_FILE;
	(void)stpcpy(c.boot, "0f7fd6c4-3c0e-4f2f-8a8e-3c1f5d0a9b11");
	CHECK(change_save(&c, &e) == 0);
	assert_true(accepted("\"type\":0", "\"type\":0"));
	assert_true(accepted(HEX64, HEX64));
	assert_false(accepted(HEX64, HEX64 "0"));
	assert_false(accepted(HEX64, HEX64 HEX64));
	assert_true(accepted("\"type\":0", "\"type\":7") == (NODE_BLOCK >= 7));
	assert_false(accepted("\"type\":0", "\"type\":-1"));
	assert_false(accepted("\"type\":0", "\"type\":8"));
	assert_true(accepted("-8a8e-3c1f5d0a9b11", "-8a8e-3c1f5d0a9b11456")); /* 39 */
	assert_false(accepted("-8a8e-3c1f5d0a9b11", "-8a8e-3c1f5d0a9b114567"));
	assert_false(accepted("-8a8e-3c1f5d0a9b11", "-8a8e-3c1f5d0a9b1145678"));
	assert_false(accepted("\"upgrade\"", "\"update\""));
	assert_false(accepted("\"etc/x\"", "1"));
}

/* Whatever is in a change is there again when it is read. */
static void
journal_whole(void **state)
{
	_auto_(change_free) struct change r = CHANGE_INIT;
	struct change_op *op;

	(void)state;
	begin(CHANGE_MERGE, R2);
	op = change_add_op(&c, "etc/a b\n\xff");
	*op = (struct change_op){
	    .path = op->path,
	    .n = 1,
	    .meta = true,
	    .merged = true,
	    .skip = true,
	    .base = xstrdup(R3),
	    .before = {NODE_FILE, 04755, 1, 2, UINT64_C(1) << 40, NULL, HEX64, 77, {5, 6}, {7, 8}},
	    .after = {NODE_LINK, 0777, 3, 4, 5, xstrdup("to\n"), "", 78, {9, 10}, {0, 0}},
	    .kept = {11, 12}};
	(void)change_add_op(&c, "etc/b");
	c.inside = c.restart = true;
	(void)stpcpy(c.boot, "boot");
	free(c.space);
	c.space = xstrdup("image:/x\n");
	record_add_conflict(&c.was, "w", R1, "was");
	record_add_conflict(&c.leaves, "l", R2, "leaves");
	strv_add(&c.kept, "kept");
	strv_add(&c.always, "always");
	strv_add(&c.ignore, "ignore");
	c.keep = (struct change_keep){7, INT64_C(1) << 40};
	for (enum pending_kind k = 0; k < PENDING_N; k++) {
		_auto_free char *new = xasprintf("new %d", (int)k), *old = xasprintf("old %d", (int)k);

		pending_add(&c.pending, k, new);
		pending_add(&c.was.pending, k, old);
	}
	CHECK(change_save(&c, &e) == 0);
	r.store = &store;
	r.id = 1;
	r.jail = xstrdup("www");
	CHECK(change_open(&r, &e) == 0 && change_read(&r, &e) == 0);
	assert_int_equal(r.kind, CHANGE_MERGE);
	assert_string_equal(r.template, "mroot");
	assert_true(streq(r.from, R1) && streq(r.to, R2) && streq(r.space, "image:/x\n") &&
		    streq(r.boot, "boot"));
	assert_true(r.inside && r.restart && r.saved && r.n_op == 2);
	assert_true(r.keep.n == 7 && r.keep.age == INT64_C(1) << 40);
	assert_true(streq(r.op[0].path, "etc/a b\n\xff") && r.op[0].n == 1 && streq(r.op[0].base, R3));
	assert_true(r.op[0].meta && r.op[0].merged && r.op[0].skip);
	assert_true(!r.op[1].meta && !r.op[1].merged && !r.op[1].skip && !r.op[1].base && r.op[1].n == 2);
	assert_true(clock_same(&r.op[0].kept, &(struct timespec){11, 12}));
	assert_true(r.op[0].before.size == UINT64_C(1) << 40 && streq(r.op[0].before.digest, HEX64) &&
		    r.op[0].before.ino == 77 && r.op[0].before.mode == 04755 && r.op[0].before.uid == 1 &&
		    r.op[0].before.gid == 2 &&
		    clock_same(&r.op[0].before.changed, &(struct timespec){5, 6}) &&
		    clock_same(&r.op[0].before.modified, &(struct timespec){7, 8}));
	assert_true(r.op[0].after.type == NODE_LINK && streq(r.op[0].after.link, "to\n"));
	assert_true(record_conflict(&r.was, "w") && record_conflict(&r.leaves, "l"));
	assert_true(strv_has(&r.kept, "kept") && strv_has(&r.always, "always") &&
		    strv_has(&r.ignore, "ignore"));
	for (enum pending_kind k = 0; k < PENDING_N; k++) {
		_auto_free char *new = xasprintf("new %d", (int)k), *old = xasprintf("old %d", (int)k);

		assert_true(r.pending.v[k].n == 1 && streq(r.pending.v[k].v[0], new));
		assert_true(r.was.pending.v[k].n == 1 && streq(r.was.pending.v[k].v[0], old));
	}
}

static void
which_ids(void **state)
{
	_auto_free char *left = NULL;

	(void)state;
	record_add_undo(&rec, 3, R3, R1, 0);
	record_add_undo(&rec, 5, R3, R1, 0);
	dirs("base/js/.brig/change/www/3/old");
	dirs("base/js/.brig/change/www/4/old");
	dirs("base/js/.brig/change/www/5/old");
	put("base/js/.brig/change/www/4.json", "{}", 0600);
	put("base/js/.brig/change/www/.tmp.7.json.0123456789abcdef", "{}", 0600);
	begin(CHANGE_UPGRADE, R2);
	assert_int_equal(c.id, 8); /* also of one that was only begun */
	left = names_in("base/js/.brig/change/www");
	assert_string_equal(left, "3 5 8");
	/* without names on disk the list tells, too */
	remove_all("base/js/.brig/change/www");
	begin(CHANGE_UPGRADE, R2);
	assert_int_equal(c.id, 6);
	/* what the record is about stays */
	rec.change = RECORD_APPLY;
	rec.change_id = 6;
	CHECK(change_tidy(&store, "www", &rec, space, false, &e) == 0);
	assert_true(there("base/js/.brig/change/www/6/new"));
	rec.change = RECORD_SETTLED;
	CHECK(change_tidy(&store, "www", &rec, space, false, &e) == 0);
	assert_false(there("base/js/.brig/change/www/6"));
}

static void
unknown_nodes(void **state)
{
	_auto_free char *before_names = NULL, *now = NULL;

	(void)state;
	staged();
	before_names = names_in("base/js/.brig/change/www/1/new");
	put("base/js/.brig/change/www/1/new/99", "x", 0600);
	dirs("base/js/.brig/change/www/1/new/98");
	CHECK(change_open_nodes(&c, space, &e) == 0);
	now = names_in("base/js/.brig/change/www/1/new");
	assert_string_equal(now, before_names);
	carry_out();
	assert_true(has("etc/comes", "text\n") && has("etc/file", "two\n"));
}

/* Where a prepared change's nodes must lie is not guessed. */
static void
place_unknown(void **state)
{
	struct err one = ERR_INIT;

	(void)state;
	begin(CHANGE_UPGRADE, R2);
	assert_int_equal(change_open_nodes(&c, 9999, &one), -EBADF);
	assert_non_null(strstr(one.msg, "jail www"));
	assert_int_equal(change_open_nodes(&c, space, &e), 0);
}

/* A list of changes as text: "12 22 23" are an upgrade from 1 to 2, a decision, an upgrade to 3, one a day, the last
 * one today; '!' behind it: the release that it left is gone.  How many at its front are of no use? */
#define DAY 86400
#define TODAY (INT64_C(1000) * DAY)

static size_t
useless(const char *list, int keep, int days)
{
	const struct change_keep k = {keep, (int64_t)days * DAY};
	_auto_(record_free) struct record r = {0};
	bool there[16];
	size_t n;

	for (const char *p = list; *p; p += *p == ' ') {
		char from[2] = {p[0]}, to[2] = {p[1]};

		CHECK(r.n_undo < ARRAY_LEN(there));
		free(r.release);
		r.release = xstrdup(to);
		record_add_undo(&r, (unsigned)r.n_undo + 1, from, to, 0);
		p += 2;
		there[r.n_undo - 1] = *p != '!';
		p += *p == '!';
	}
	for (size_t i = 0; i < r.n_undo; i++)
		r.undo[i].when = TODAY - (int64_t)(r.n_undo - 1 - i) * DAY;
	n = change_useless(&r, &k, there, TODAY);
	return n;
}

static void
what_is_kept(void **state)
{
	static const struct {
		const char *list;
		int keep, days;
		size_t useless;
	} cases[] = {
	    {"", 2, 0, 0},
	    {"12", 2, 0, 0},
	    {"12 23", 2, 0, 0},
	    {"12 23 34", 2, 0, 1},
	    {"12 23 34 45", 2, 0, 2},
	    {"12 23 34 45", -1, 0, 0},
	    {"12 23", 1, 0, 1},
	    {"12 23", 0, 0, 2},
	    {"12", 0, 0, 1},
	    /* decisions do not count, and go with what is before them */
	    {"12 22 22 23 33 34 44", 2, 0, 3},
	    {"12 22 23", 2, 0, 0},
	    {"22 23 33", 2, 0, 1},
	    {"22 22", -1, 0, 2},
	    {"12 22 22", 0, 0, 3},
	    /* a release that is gone: its own entry, if none before it is of use */
	    {"12! 23", -1, 0, 1},
	    {"12 23! 34", -1, 0, 0},
	    {"12! 22 23! 33 34", -1, 0, 4},
	    {"12! 22", -1, 0, 2},
	    /* where it is, and what it has left once more since, it cannot go back to by the older entry */
	    {"12 21", 2, 0, 1},
	    {"12 21 12", 2, 0, 2},
	    {"12 21 12 23", -1, 0, 2},
	    /* the last one is of today */
	    {"12 23 34", -1, 1, 1},
	    {"12 23 34", -1, 2, 0},
	    {"12 23 34", 1, 2, 2},
	    {"12 22 23", -1, 1, 2},
	    /* "12" alone is in bounds, but the entry after it is not there to go over: both bounds count from the end */
	    {"12 23 34 45", 3, 2, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (useless(cases[i].list, cases[i].keep, cases[i].days) != cases[i].useless)
			fail_msg("%s, keep %d, %d days: %zu", cases[i].list, cases[i].keep, cases[i].days,
				 useless(cases[i].list, cases[i].keep, cases[i].days));
}

/* A clock that went back between two changes. */
static void
kept_by_a_clock_that_jumps(void **state)
{
	const bool there[] = {true, true};

	(void)state;
	record_add_undo(&rec, 1, R3, R2, TODAY);
	record_add_undo(&rec, 2, R2, R1, TODAY - 5 * DAY);
	assert_int_equal(change_useless(&rec, &(struct change_keep){-1, 3 * DAY}, there, TODAY), 2);
}

static size_t
looks_useless(int64_t age)
{
	size_t n = 99;

	CHECK(change_look_useless(&store, "www", &rec, &(struct change_keep){-1, age}, &n, &e) == 0);
	return n;
}

/* The time of a change of an older brig is that of its file. */
static void
time_of_older(void **state)
{
	const struct timespec times[2] = {{time(NULL), 0}, {time(NULL) - 10 * DAY, 0}};
	_auto_free char *file = at("base/js/.brig/change/www/1.json");

	(void)state;
	dirs("base/js/.brig/change/www");
	put("base/js/.brig/change/www/1.json", "{}", 0600);
	CHECK(utimensat(AT_FDCWD, file, times, 0) == 0);
	record_add_undo(&rec, 1, R2, R1, 0);
	assert_int_equal(looks_useless(0), 0);
	assert_int_equal(rec.undo[0].when, 0); /* nobody asked */
	assert_int_equal(looks_useless(11 * DAY), 0);
	assert_int_equal(rec.undo[0].when, times[1].tv_sec);
	assert_int_equal(looks_useless(9 * DAY), 1);
	rec.undo[0].when = 0;
	CHECK(unlink(file) == 0);
	assert_int_equal(looks_useless(11 * DAY), 1);
	assert_int_equal(rec.undo[0].when, 0);
}

/* What cannot be looked at is not gone. */
static void
not_looked_at(void **state)
{
	const struct change_keep all = CHANGE_KEEP_ALL;
	struct err one = ERR_INIT;
	size_t n = 99;

	(void)state;
	record_add_undo(&rec, 1, R2, R1, 0);
	remove_all("base/templates/mroot/" R2);
	link_to(R2, "base/templates/mroot/" R2); /* ENOTDIR */
	assert_int_equal(change_look_useless(&store, "www", &rec, &all, &n, &one), -ENOTDIR);
	assert_non_null(strstr(one.msg, R2));
	assert_int_equal(n, 99);
	/* nor is anything where the jail's own release is missing */
	remove_all("base/templates/mroot/" R2);
	assert_int_equal(looks_useless(0), 1);
	free(rec.release);
	rec.release = xstrdup("nosuch");
	err_clear(&one);
	assert_int_equal(change_look_useless(&store, "www", &rec, &all, &n, &one), -ENOENT);
	assert_non_null(strstr(one.msg, "jail www: template mroot has no release nosuch"));
}

static void
upgraded_to(const char *to, int keep)
{
	begin(CHANGE_UPGRADE, to);
	c.keep.n = keep;
	CHECK(change_seal(&c, &e) == 0);
	carry_out();
}

/* When a change is settled, what is of no use goes with its files. */
static void
bound_of_undo(void **state)
{
	_auto_free char *left = NULL, *after = NULL;

	(void)state;
	for (unsigned i = 1; i <= 70; i++) {
		_auto_free char *old = xasprintf("base/js/.brig/change/www/%u/old", i);

		record_add_undo(&rec, i, R1, R1, time(NULL));
		dirs(old);
	}
	upgraded_to(R2, -1);
	assert_int_equal(rec.n_undo, 1); /* no rollback begins with a decision */
	assert_int_equal(rec.undo[0].id, 71);
	assert_true(rec.undo[0].when > time(NULL) - 100 && rec.undo[0].when <= time(NULL));
	left = names_in("base/js/.brig/change/www");
	assert_string_equal(left, "71 71.json");
	upgraded_to(R3, 1);
	assert_int_equal(rec.n_undo, 1);
	assert_string_equal(rec.undo[0].from, R2);
	/* the way to a release that is gone is none */
	remove_all("base/templates/mroot/" R2);
	upgraded_to(R1, 2);
	assert_int_equal(rec.n_undo, 1);
	assert_string_equal(rec.undo[0].from, R3);
	upgraded_to(R3, 0);
	assert_int_equal(rec.n_undo, 0);
	after = names_in("base/js/.brig/change/www");
	assert_string_equal(after, "");
}

/* ---- what the record says at each step ---- */

static void
says(enum record_change change, const char *release_now, const char *other, const char *commands)
{
	_auto_(record_free) struct record now = {0};
	_auto_strv struct strv waits = STRV_INIT;
	_auto_free char *all = NULL;

	CHECK(record_read(&store, "www", &now, &e) == 1);
	assert_int_equal(now.change, change);
	assert_string_equal(now.release, release_now);
	if (other)
		assert_string_equal(now.change_other, other);
	else
		assert_null(now.change_other);
	/* hooks of an upgrade are due where it has gone to another release */
	assert_true(streq(release_now, R2) ? now.upgrade_from && streq(now.upgrade_from, R1)
					   : !now.upgrade_from);
	for (size_t k = 0; k < PENDING_N; k++)
		strv_copy(&waits, &now.pending.v[k]);
	all = waits.n ? strv_join(&waits, " ") : xstrdup("");
	assert_string_equal(all, commands);
}

static void
steps_of_the_record(void **state)
{
	(void)state;
	for (int way = 0; way < 4; way++) {
		new_jail();
		pending_add(&rec.pending, PENDING_REGENERATE, "old");
		pending_add(&rec.pending, PENDING_HOOK_AFTER, "gone");
		CHECK(record_write(&store, "www", &rec, &e) == 0);
		begin(CHANGE_UPGRADE, R2);
		stage(R1, R2);
		pending_add(&c.pending, PENDING_REGENERATE, "new");
		strv_free(&c.pending.v[PENDING_HOOK_AFTER]);
		CHECK(change_seal(&c, &e) == 0);
		says(RECORD_SETTLED, R1, NULL, "old gone");
		if (way == 3) {
			CHECK(change_prepare(&c, &rec, &e) == 0);
			says(RECORD_PREPARED, R1, R2, "old gone");
			CHECK(change_discard(&c, &rec, space, &e) == 0);
			says(RECORD_SETTLED, R1, NULL, "old gone");
			continue;
		}
		CHECK(change_commit(&c, &rec, &e) == 0);
		says(RECORD_APPLY, R2, R1, "old new");
		if (way == 2) { /* given up before anything was carried out */
			CHECK(change_discard(&c, &rec, space, &e) == 0);
			says(RECORD_SETTLED, R1, NULL, "old gone");
			continue;
		}
		CHECK(change_apply(&c, space, &e) == 0);
		if (way == 0) {
			CHECK(change_finish(&c, &rec, space, &e) == 0);
			says(RECORD_SETTLED, R2, NULL, "old new");
			continue;
		}
		CHECK(change_commit_back(&c, &rec, &e) == 0);
		says(RECORD_REVERT, R1, R2, "old gone");
		CHECK(change_revert(&c, space, &e) == 0 && change_discard(&c, &rec, space, &e) == 0);
		says(RECORD_SETTLED, R1, NULL, "old gone");
		assert_true(has("etc/file", "one\n"));
	}
}

/* ---- small things ---- */

static void
digests(void **state)
{
	static const size_t sizes[] = {0, 1, 50, 65535, 65536, 65537, 131072, 200000};
	_auto_free char *p = at("bytes"), *data = xcalloc(1, 200000);
	_auto_close int fd = -EBADF;
	struct change_node n;

	(void)state;
	for (size_t i = 0; i < 200000; i++)
		data[i] = (char)(i * 7 + i / 256);
	put("bytes", "", 0600);
	fd = open(p, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && fsx_write_all(fd, data, 200000) == 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char got[65], want[65];

		CHECK(lseek(fd, 0, SEEK_SET) == 0);
		assert_int_equal(change_digest(fd, sizes[i], got), 0);
		(void)SHA256Data((const uint8_t *)data, sizes[i], want);
		assert_string_equal(got, want);
		assert_int_equal(lseek(fd, 0, SEEK_CUR), sizes[i]); /* it grows while it is read */
	}
	/* of a file of another size nothing is read; of what is no file either, and nobody waits for a FIFO */
	{
		_auto_close int dir_fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
		_auto_free char *fifo = at("fifo");

		CHECK(mkfifo(fifo, 0600) == 0);
		link_to("bytes", "link");
		assert_true(change_look(dir_fd, "bytes", 200000, &n) == 0 && n.digest[0]);
		assert_true(change_look(dir_fd, "bytes", 199999, &n) == 0 && !n.digest[0]);
		(void)alarm(10);
		assert_true(change_look(dir_fd, "fifo", 0, &n) == 0 && n.type == NODE_FIFO && !n.digest[0]);
		(void)alarm(0);
		assert_true(change_look(dir_fd, "link", 5, &n) == 0 && n.type == NODE_LINK && !n.digest[0]);
		assert_string_equal(n.link, "bytes");
		change_node_free(&n);
		assert_true(change_look(dir_fd, "none", 5, &n) == 0 && n.type == NODE_NONE);
	}
}

static void
swap_raced(void)
{
	remove_all("looked/raced");
	link_to("../victim", "looked/raced");
}

static void
look_at_raced(void)
{
	_auto_free char *path = at("looked");
	_auto_close int dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct change_node n;

	CHECK(change_look(dir_fd, "raced", 5, &n) < 0);
}

static void
swap_for_fifo(void)
{
	_auto_free char *path = at("looked/raced");

	remove_all("looked/raced");
	CHECK(mkfifo(path, 0600) == 0);
}

static void
look_at_fifo(void)
{
	_auto_free char *path = at("looked");
	_auto_close int dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct change_node n;

	(void)alarm(20);
	(void)change_look(dir_fd, "raced", 5, &n);
}

/* What becomes a link between the look and the opening is not read, and what becomes a FIFO holds nobody up. */
static void
looked_at_and_gone(void **state)
{
	(void)state;
	dirs("looked");
	put("looked/raced", "five\n", 0600);
	put("victim", "host\n", 0600);
	at_line = "open looked/raced\n";
	act = swap_raced;
	act_max = 1;
	acted = 0;
	free(traced(look_at_raced, before));
	assert_int_equal(acted, 1);
	remove_all("looked/raced");
	put("looked/raced", "five\n", 0600);
	act = swap_for_fifo;
	acted = 0;
	free(traced(look_at_fifo, before));
	assert_int_equal(acted, 1);
}

static void
jails_doing(void **state)
{
	static const int doing[] = {ENOENT, ELOOP, ENOTDIR, EXDEV, ENXIO, ESTALE, EAGAIN};

	(void)state;
	for (int num = 0; num < 200; num++) {
		bool want = false;

		for (size_t i = 0; i < ARRAY_LEN(doing); i++)
			want |= doing[i] == num;
		if (tree_is_jails_doing(-num) != want)
			fail_msg("%s", strerror(num));
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, each, done)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(meanwhile),           TEST(same_times),
	    TEST(merged_once_more),    TEST(linked_another),
	    TEST(came_first),          TEST(never_through_a_link),
	    TEST(after_the_plan),      TEST(made_of_the_jails),
	    TEST(staged_in_secret),    TEST(base_of_a_conflict),
	    TEST(kept_exchanged),      TEST(large_of_two_names),
	    TEST(kept_time_once),      TEST(journal_bounds),
	    TEST(journal_whole),       TEST(which_ids),
	    TEST(unknown_nodes),       TEST(place_unknown),
	    TEST(bound_of_undo),       TEST(what_is_kept),
	    TEST(kept_by_a_clock_that_jumps), TEST(time_of_older),
	    TEST(not_looked_at),
	    TEST(steps_of_the_record), TEST(digests),
	    TEST(jails_doing),         TEST(name_of_what_is_in_the_way),
	    TEST(looked_at_and_gone),  TEST(not_as_staged),
	    TEST(owner_changed_since), TEST(conflicts_come_back),
	    TEST(copied_giant),        TEST(names_used_up),
	    TEST(there_first),         TEST(giant_given_up),
	    TEST(passed_over),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_meddle: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
