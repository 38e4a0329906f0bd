/* SPDX-License-Identifier: BSD-2-Clause */
/* run/create.c: creating and destroying jails, also when it is killed, the disk is full, or names are odd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <time.h>

#include "os/space.h"
#include "run/run.h"
#include "store/record/ids.h"
#include "trace.h"

static struct jailspec
spec_of(const char *name)
{
	return (struct jailspec){.name = (char *)(uintptr_t)name,
				 .label = (char *)(uintptr_t)name,
				 .hostname = (char *)(uintptr_t)name,
				 .root = ROOT_TEMPLATE,
				 .template = (char *)(uintptr_t) "mroot"};
}

static int
create(const char *name)
{
	struct jailspec s = spec_of(name);

	return run_create(&store, &s, NULL, &e);
}

static int
destroy(const char *name)
{
	struct jailspec s = spec_of(name);

	return run_destroy(&store, name, &s, &e);
}

/* Everything below BASE but templates, and what is left in RUN. */
static void
nothing_left(void)
{
	static const char *const places[] = {"base/j", "run/jail", "run/lock"};
	_auto_free char *js = names_in("base/js"), *records = names_in("base/js/.brig");

	assert_string_equal(js, ".brig");
	assert_string_equal(records, "ids");
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		_auto_free char *names = names_in(places[i]);

		if (*names && !streq(names, "registry"))
			fail_msg("%s: %s", places[i], names);
	}
}

/* Ranges of ids that are taken; one whose record was not written or is gone is given to the next jail. */
static size_t
ranges_taken(void)
{
	_auto_free char *ids = names_in("base/js/.brig/ids");

	return *ids ? 1 + (strchr(ids, ' ') != NULL) : 0;
}

static void
there_and_back(void **state)
{
	struct record rec;

	(void)state;
	assert_int_equal(create("www"), RUN_CREATE_MADE);
	assert_int_equal(record_read(&store, "www", &rec, &e), 1);
	assert_string_equal(rec.template, "mroot");
	assert_string_equal(rec.release, "20060601");
	assert_true(rec.idbase >= ID_BASE);
	record_free(&rec);
	assert_int_equal(create("www"), RUN_CREATE_EXISTED);
	put("run/log/www.log", "booted\n", 0600);
	assert_int_equal(destroy("www"), 0);
	assert_false(there("run/log/www.log"));
	nothing_left();
	assert_int_equal(ranges_taken(), 0);
	assert_int_equal(destroy("www"), -ENOENT);
	nothing_left();
}

static uint32_t
range_of(const char *name)
{
	_auto_(record_free) struct record rec = {0};

	assert_int_equal(record_read(&store, name, &rec, &e), 1);
	return rec.idbase;
}

static void
set_range(const char *name, uint32_t idbase)
{
	_auto_(record_free) struct record rec = {0};

	assert_int_equal(record_read(&store, name, &rec, &e), 1);
	rec.idbase = idbase;
	assert_int_equal(record_write(&store, name, &rec, &e), 0);
}

static char *
link_of(uint32_t idbase)
{
	return xasprintf("base/js/.brig/ids/%u", (idbase - ID_BASE) / ID_COUNT);
}

static void
forget_links(void)
{
	_auto_free char *ids = at("base/js/.brig/ids"), *all = names_in("base/js/.brig/ids");
	_auto_close int fd = open(ids, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *save = NULL;

	for (char *n = strtok_r(all, " ", &save); n; n = strtok_r(NULL, " ", &save))
		assert_int_equal(unlinkat(fd, n, 0), 0);
}

/* As after a backup of the records alone: the next jail gets another range, and the links come back. */
static void
links_lost(void **state)
{
	_auto_free char *link = NULL;
	uint32_t www;

	(void)state;
	assert_int_equal(create("www"), RUN_CREATE_MADE);
	www = range_of("www");
	link = link_of(www);
	forget_links();
	assert_int_equal(create("mail"), RUN_CREATE_MADE);
	assert_int_not_equal(range_of("mail"), www);
	assert_false(there(link));
	assert_int_equal(record_claim_range(&store, "www", www, &e), 0);
	assert_true(there(link));
	/* one that a jail had that is gone, or has another range by now */
	forget_links();
	link_to("gone", link);
	assert_int_equal(record_claim_range(&store, "www", www, &e), 0);
	forget_links();
	link_to("mail", link);
	assert_int_equal(record_claim_range(&store, "www", www, &e), 0);
	assert_int_equal(record_claim_range(&store, "mail", range_of("mail"), &e), 0);
	assert_int_equal(ranges_taken(), 2);
}

/* A record was restored whose range another jail has got meanwhile. */
static void
one_range_twice(void **state)
{
	uint32_t www;

	(void)state;
	assert_int_equal(create("www"), RUN_CREATE_MADE);
	assert_int_equal(create("mail"), RUN_CREATE_MADE);
	www = range_of("www");
	set_range("mail", www);
	assert_int_equal(record_claim_range(&store, "mail", www, &e), -EEXIST);
	assert_string_equal(e.msg, "its ids on the host are those of jail www, too: give it others "
				   "(brig create mail)");
	assert_int_equal(record_claim_range(&store, "www", www, &e), 0);
	forget_links();
	assert_int_equal(record_claim_range(&store, "www", www, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "jail mail, too"));
	assert_int_equal(create("mail"), RUN_CREATE_NEW_IDS);
	assert_int_not_equal(range_of("mail"), www);
	assert_int_equal(create("mail"), RUN_CREATE_EXISTED);
	assert_int_equal(create("www"), RUN_CREATE_EXISTED);
	assert_int_equal(record_claim_range(&store, "www", www, &e), 0);
	assert_int_equal(record_claim_range(&store, "mail", range_of("mail"), &e), 0);
	/* the host's own ids, and those between two ranges */
	set_range("mail", 1000);
	assert_int_equal(record_claim_range(&store, "mail", 1000, &e), -EEXIST);
	set_range("mail", www + 1);
	assert_int_equal(create("mail"), RUN_CREATE_NEW_IDS);
	assert_true(range_of("mail") % ID_COUNT == 0 && range_of("mail") != www);
}

static void
odd_names(void **state)
{
	char longname[301];
	const char *const names[] = {"../x",
				     "-a",
				     "a b",
				     "a\nb",
				     longname,
				     "",
				     ".",
				     "..",
				     "a/b",
				     ".brig",
				     ".new.www.0123456789abcdef"};

	(void)state;
	memset(longname, 'n', 300);
	longname[300] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(create(names[i]), -EINVAL);
		assert_null(strchr(e.msg, '\n'));
		assert_int_equal(destroy(names[i]), -EINVAL);
	}
	nothing_left();
	assert_int_equal(create("mroot"), -EINVAL);
	assert_int_equal(create("skel"), -EINVAL);
	assert_int_equal(destroy("mroot"), -EINVAL);
	assert_true(there("base/templates/mroot/20060601/skel/etc/rc.conf"));
}

static void
adopts(void **state)
{
	struct record rec;

	(void)state;
	dirs("base/js/www/etc");
	put("base/js/www/etc/mine", "x", 0644);
	assert_int_equal(create("www"), RUN_CREATE_ADOPTED);
	assert_true(there("base/js/www/etc/mine"));
	assert_false(there("base/js/www/etc/rc.conf"));
	assert_int_equal(record_read(&store, "www", &rec, &e), 1);
	record_free(&rec);
	/* a directory that is something else is not */
	dirs("base/js/ns/photos");
	assert_int_equal(create("ns"), -EEXIST);
	assert_int_equal(record_read(&store, "ns", &rec, &e), 0);
	/* an empty one is filled */
	dirs("base/js/mail");
	assert_int_equal(create("mail"), RUN_CREATE_MADE);
	assert_true(there("base/js/mail/etc/rc.conf"));
}

static void
missing_template(void **state)
{
	struct jailspec s = spec_of("www");

	(void)state;
	s.release = (char *)(uintptr_t) "20991231";
	assert_int_equal(run_create(&store, &s, NULL, &e), -ENOENT);
	assert_string_equal(e.msg, "template mroot has no release 20991231 (brig template list mroot)");
	s.template = (char *)(uintptr_t) "nosuch";
	assert_int_equal(run_create(&store, &s, NULL, &e), -ENOENT);
	{
		_auto_free char *js = names_in("base/js"), *records = names_in("base/js/.brig");

		assert_string_equal(js, ".brig");
		assert_string_equal(records, "ids");
	}
}

static void
jails_of_a_path(void **state)
{
	struct jailspec s = spec_of("www");
	_auto_free char *path = at("srv"), *link = at("link");

	(void)state;
	s.root = ROOT_PATH;
	s.template = NULL;
	s.path = path;
	assert_int_equal(run_create(&store, &s, NULL, &e), -ENOENT);
	dir("srv");
	put("srv/file", "x", 0644);
	/* what a link leads to can be another directory tomorrow */
	link_to("srv", "link");
	s.path = link;
	assert_int_equal(run_create(&store, &s, NULL, &e), -ENOTDIR);
	nothing_left();
	s.path = path;
	assert_int_equal(run_create(&store, &s, NULL, &e), RUN_CREATE_MADE);
	assert_int_equal(run_create(&store, &s, NULL, &e), RUN_CREATE_EXISTED);
	assert_int_equal(run_destroy_all(&store, "www", &s, &e), 0);
	assert_true(there("srv/file"));
	nothing_left();
}

static void
spaces_outside(void **state)
{
	struct jailspec s = spec_of("www");
	_auto_free char *space = at("srv/www"), *srv = NULL;

	(void)state;
	dir("srv");
	s.space_arg = space;
	assert_int_equal(run_create(&store, &s, NULL, &e), RUN_CREATE_MADE);
	assert_true(there("srv/www/etc/rc.conf"));
	assert_false(there("base/js/www"));
	assert_int_equal(run_destroy(&store, "www", &s, &e), 0);
	nothing_left();
	assert_true(there("srv/www/etc/rc.conf"));
	assert_int_equal(run_create(&store, &s, NULL, &e), RUN_CREATE_ADOPTED);
	assert_int_equal(run_destroy_all(&store, "www", &s, &e), 0);
	nothing_left();
	srv = names_in("srv");
	assert_string_equal(srv, "");
}

static void
image_child(void)
{
	struct jailspec s = spec_of("www");
	_auto_free char *file = at("srv/www.img"), *sub = at("mnt"), *srv = NULL;
	_auto_close int fd = -EBADF, image = -EBADF;

	s.space = SPACE_IMAGE;
	s.space_arg = file;
	CHECK(run_create(&store, &s, NULL, &e) == -EINVAL && strstr(e.msg, "space.size"));
	s.space_size = 2 << 20; /* too small for what the skeleton holds */
	CHECK(run_create(&store, &s, NULL, &e) < 0);
	CHECK(!there("srv/www.img"));
	s.space_size = 64 << 20;
	CHECK(run_create(&store, &s, NULL, &e) == RUN_CREATE_MADE);
	CHECK(run_create(&store, &s, NULL, &e) == RUN_CREATE_EXISTED);
	image = open(file, O_RDWR | O_CLOEXEC);
	CHECK(os_space_mount(image, true, &fd, &e) == 0);
	CHECK(faccessat(fd, "etc/machine-id", F_OK, 0) == 0 && faccessat(fd, "etc/big", F_OK, 0) == 0);
	CHECK(faccessat(fd, ".brig-new", F_OK, 0) < 0);
	fd_close(TAKE_FD(fd));
	CHECK(run_destroy(&store, "www", &s, &e) == 0 && there("srv/www.img"));
	CHECK(run_create(&store, &s, NULL, &e) == RUN_CREATE_ADOPTED);
	CHECK(run_destroy_all(&store, "www", &s, &e) == 0);
	srv = names_in("srv");
	CHECK(streq(srv, ""));
}

static void
images(void **state)
{
	_auto_free char *big = xcalloc(1, (3 << 20) + 1);

	(void)state;
	if (access("/dev/loop-control", F_OK) < 0 || access("/usr/sbin/mkfs.ext4", X_OK) < 0)
		skip();
	memset(big, 'x', 3 << 20);
	put("base/templates/mroot/20060601/skel/etc/big", big, 0644);
	seal("base/templates/mroot/20060601");
	dir("srv");
	in_namespace(image_child);
	nothing_left();
}

static void
in_memory(void **state)
{
	struct jailspec s = spec_of("www");

	(void)state;
	s.space = SPACE_TMPFS;
	s.space_size = 1 << 20;
	assert_int_equal(run_create(&store, &s, NULL, &e), RUN_CREATE_MADE);
	assert_false(there("base/js/www"));
	assert_int_equal(run_create(&store, &s, NULL, &e), RUN_CREATE_EXISTED);
	assert_int_equal(run_destroy(&store, "www", &s, &e), 0);
	nothing_left();
}

static void
fill_skeleton(int files)
{
	for (int d = 0; d < 10; d++) {
		_auto_free char *sub = xasprintf("base/templates/mroot/20060601/skel/var/%d", d);

		dir(sub);
		for (int i = 0; i < files / 10; i++) {
			_auto_free char *file = xasprintf("%s/%d", sub, i);

			put(file, "some text\n", 0644);
		}
	}
	seal("base/templates/mroot/20060601");
}

/* Runs fn in a child and kills it after us microseconds. */
static void
killed_after(int (*fn)(const char *name), const char *name, long us)
{
	struct timespec ts = {0, us * 1000};
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(name) < 0);
	(void)nanosleep(&ts, NULL);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static size_t
files_in_space(void)
{
	_auto_close int fd = -EBADF;
	uint64_t bytes, files = 0;

	assert_int_equal(space_open(&store, "www", NULL, &fd, &e), 0);
	assert_int_equal(space_usage(fd, &bytes, &files, &e), 0);
	return (size_t)files;
}

/* kill -9 at random moments; the same again finishes, and nothing is left over. */
static void
killed(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	size_t whole;

	(void)state;
	fprintf(stderr, "seed %u\n", seed);
	srandom(seed);
	fill_skeleton(200);
	assert_int_equal(create("www"), RUN_CREATE_MADE);
	whole = files_in_space();
	assert_int_equal(destroy("www"), 0);
	for (int i = 0; i < 20; i++) {
		int r;

		killed_after(create, "www", random() % 20000);
		if (there("base/js/www"))
			assert_int_equal(files_in_space(), whole);
		r = create("www");
		if (r < 0)
			fail_msg("%s", e.msg);
		assert_true(r == RUN_CREATE_MADE || r == RUN_CREATE_EXISTED);
		assert_int_equal(files_in_space(), whole);
		killed_after(destroy, "www", random() % 10000);
		if (there("base/js/www"))
			assert_int_equal(files_in_space(), whole);
		r = destroy("www");
		if (r < 0 && r != -ENOENT)
			fail_msg("%s", e.msg);
		nothing_left();
		assert_in_range(ranges_taken(), 0, 1);
	}
}

static void
full_disk_child(void)
{
	_auto_free char *js = NULL, *records = NULL, *j = NULL, *ids = NULL, *moved = at("base/tmp"),
			*base = at("base"), *run = at("run"), *templates = at("base/templates"),
			*from = at("templates");

	/* BASE on a small file system; the template comes from elsewhere */
	CHECK(rename(templates, from) == 0);
	CHECK(mount("none", base, "tmpfs", 0, "size=200k,mode=755") == 0);
	CHECK(mkdir(templates, 0755) == 0 && mount(from, templates, NULL, MS_BIND, NULL) == 0);
	store_close(&store);
	CHECK(store_open(base, run, STORE_CREATE, &store, &e) == 0);
	CHECK(create("www") == -ENOSPC);
	CHECK(strchr(e.msg, '\n') == NULL && strstr(e.msg, "No space left on device"));
	js = names_in("base/js");
	records = names_in("base/js/.brig");
	j = names_in("base/j");
	ids = names_in("base/js/.brig/ids");
	CHECK(streq(js, ".brig") && streq(records, "ids") && streq(j, "") && streq(ids, ""));
}

static void
full_disk(void **state)
{
	(void)state;
	fill_skeleton(400);
	in_namespace(full_disk_child);
}

static void
create_www(void)
{
	CHECK(create("www") == RUN_CREATE_MADE);
}

/* Ids are given out, and a release is seen to be there, under the lock of those that look at all records. */
static void
one_at_a_time(void **state)
{
	_auto_free char *trace = traced(create_www, NULL);
	const char *lock = strstr(trace, "lock run/lock/registry\n");
	const char *ids = strstr(trace, "base/js/.brig/ids/"),
		   *record = strstr(trace, "base/js/.brig/www.json\n");

	(void)state;
	assert_true(lock && ids && record);
	assert_true(lock < ids && lock < record);
}

/* A jail of `brig run` is its command's until that has ended. */
static void
being_made(void **state)
{
	static const char name[] = RUN_PREFIX "1";
	struct jailspec s = spec_of(name);
	int run = -EBADF;

	(void)state;
	assert_int_equal(store_lock_try(&store, RUN_LOCK, name, &run, &e), 0);
	assert_int_equal(run_create_ephemeral(&store, &s, &e), RUN_CREATE_MADE);
	assert_int_equal(run_remove_ephemeral(&store, &e), 0);
	assert_true(there("base/js/" RUN_PREFIX "1/etc/rc.conf"));
	assert_true(there("base/js/.brig/" RUN_PREFIX "1.json"));
	fd_close(run);
	assert_int_equal(run_remove_ephemeral(&store, &e), 0);
	nothing_left();
}

/* Two at once: one makes it, the other waits and finds it. */
static void
two_at_once(void **state)
{
	int made = 0, status;

	(void)state;
	fill_skeleton(200);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(create("www") + 10);
	}
	for (int i = 0; i < 2; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status));
		made += WEXITSTATUS(status);
	}
	assert_int_equal(made, 10 + RUN_CREATE_MADE + 10 + RUN_CREATE_EXISTED);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, scratch_setup, scratch_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(there_and_back),  TEST(odd_names),     TEST(adopts),      TEST(missing_template),
	    TEST(jails_of_a_path), TEST(images),        TEST(in_memory),   TEST(spaces_outside),
	    TEST(killed),          TEST(full_disk),     TEST(two_at_once), TEST(links_lost),
	    TEST(one_range_twice), TEST(one_at_a_time), TEST(being_made),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_create: needs root\n");
		return 77; /* skipped */
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
