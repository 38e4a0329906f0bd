/* SPDX-License-Identifier: BSD-2-Clause */
/* store/jailspace/space.c: a jailspace is whole or not there; nothing outside it is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "scratch.h"
#include "store/jailspace/space.h"

static int
create(const char *jail, const char *space)
{
	struct release rel;
	int r = release_open(&store, "mroot", NULL, &rel, &e);

	CHECK(r == 0);
	r = space_create(&store, &(struct space_want){jail, "www.example.org", &rel, space, NULL}, &e);
	release_close(&rel);
	return r;
}

static void
must_create(const char *jail, const char *space)
{
	if (create(jail, space) < 0)
		fail_msg("%s", e.msg);
}

static void
differs_in_each(void **state)
{
	_auto_free char *id = NULL, *id2 = NULL, *host = NULL, *ssh = NULL, *js = NULL;
	_auto_free char *path = at("base/js/www"), *file = at("base/js/www/etc/machine-id");
	struct stat st;

	(void)state;
	must_create("www", NULL);
	must_create("ns", NULL);
	id = text_of("base/js/www/etc/machine-id");
	id2 = text_of("base/js/ns/etc/machine-id");
	assert_int_equal(strlen(id), 33);
	assert_int_equal(strspn(id, "0123456789abcdef"), 32);
	assert_string_not_equal(id, id2);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	host = text_of("base/js/www/etc/hostname");
	assert_string_equal(host, "www.example.org\n");
	ssh = names_in("base/js/www/etc/ssh");
	assert_string_equal(ssh, "sshd_config");
	assert_false(there("base/js/www/var/lib/dbus/machine-id"));
	assert_true(there("base/js/www/etc/rc.conf"));
	assert_true(there("base/j/www"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	js = names_in("base/js");
	assert_string_equal(js, ".brig ns www");
	/* the skeleton is as it was */
	assert_true(there("base/templates/mroot/20060601/skel/etc/ssh/ssh_host_rsa_key"));
}

/* A skeleton from somebody else's tree, with links where fresh files are written. */
static void
planted_links(void **state)
{
	_auto_free char *outside = at("outside"), *file = at("outside/machine-id"), *text = NULL, *js = NULL;
	_auto_free char *etc = at("base/templates/mroot/20060601/skel/etc"), *moved = at("etc.moved");

	(void)state;
	dir("outside");
	put("outside/machine-id", "host", 0644);
	link_to(file, "base/templates/mroot/20060601/skel/etc/machine-id");
	link_to("/etc/hostname", "base/templates/mroot/20060601/skel/etc/hostname");
	must_create("www", NULL);
	text = text_of("outside/machine-id");
	assert_string_equal(text, "host");
	assert_int_equal(rename(etc, moved), 0);
	assert_int_equal(symlink(outside, etc), 0);
	assert_int_equal(create("ns", NULL), -ELOOP);
	js = names_in("base/js");
	assert_string_equal(js, ".brig www"); /* nothing of it left */
	assert_false(there("base/j/ns"));
}

static void
never_seeded_twice(void **state)
{
	_auto_free char *other = at("srv");

	(void)state;
	must_create("www", NULL);
	put("base/js/www/etc/rc.conf", "mine", 0644);
	assert_int_equal(create("www", NULL), -EEXIST);
	dir("srv");
	put("srv/file", "x", 0644);
	assert_int_equal(create("ns", other), -EEXIST);
	assert_non_null(strstr(e.msg, "is not empty"));
	{
		_auto_free char *srv = names_in("srv"), *rc = text_of("base/js/www/etc/rc.conf");

		assert_string_equal(srv, "file");
		assert_string_equal(rc, "mine");
	}
}

static void
other_directories(void **state)
{
	_auto_free char *missing = at("srv/www"), *empty = at("srv/ns"), *link = at("srv/link"), *srv = NULL;
	_auto_close int fd = -EBADF;

	(void)state;
	dir("srv");
	dir("srv/ns");
	dir("srv/ns/lost+found");
	link_to(empty, "srv/link");
	must_create("www", missing);
	must_create("ns", empty);
	assert_true(there("srv/www/etc/machine-id"));
	assert_true(there("srv/ns/etc/machine-id"));
	assert_false(there("srv/ns/.brig-new"));
	assert_int_equal(create("mail", link), -EEXIST);
	assert_int_equal(create("mail", "relative/path"), -EINVAL);
	srv = names_in("srv");
	assert_string_equal(srv, "link ns www");
	assert_int_equal(space_exists(&store, "www", missing, &e), 1);
	assert_int_equal(space_open(&store, "ns", empty, &fd, &e), 0);
}

/* Filling a directory that is there, broken off at every stage. */
static void
finishes_inside(void **state)
{
	_auto_free char *srv = at("srv"), *names = NULL, *rc = NULL;
	int fd = -EBADF;

	(void)state;
	/* in the copy */
	dirs("srv/.brig-new/part/etc");
	put("srv/.brig-new/part/etc/half", "x", 0644);
	assert_int_equal(space_exists(&store, "www", srv, &e), 0);
	assert_int_equal(space_open(&store, "www", srv, &fd, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "not finished"));
	must_create("www", srv);
	assert_false(there("srv/etc/half"));
	assert_true(there("srv/etc/rc.conf"));
	/* while its entries move up: what has moved stays, the rest follows */
	dirs("srv/.brig-new/whole/root");
	put("srv/etc/rc.conf", "moved before", 0644);
	assert_int_equal(space_exists(&store, "www", srv, &e), 0);
	must_create("www", srv);
	names = names_in("srv");
	assert_string_equal(names, "etc root var");
	rc = text_of("srv/etc/rc.conf");
	assert_string_equal(rc, "moved before");
	assert_int_equal(space_exists(&store, "www", srv, &e), 1);
}

static void
tidies_up(void **state)
{
	_auto_close int lock = -EBADF;
	_auto_free char *js = NULL, *js2 = NULL;

	(void)state;
	dirs("base/js/.new.www.0123456789abcdef/etc");
	dirs("base/js/.old.www.0123456789abcdef/etc");
	dirs("base/js/.new.ns.0123456789abcdef/etc");
	dirs("base/js/.new.www.short");
	dirs("base/js/www.old");
	assert_int_equal(space_tidy_jail(&store, "www", &e), 0);
	js = names_in("base/js");
	assert_string_equal(js, ".brig .new.ns.0123456789abcdef .new.www.short www.old");
	/* somebody works on ns; nobody on mail */
	dirs("base/js/.new.mail.0123456789abcdef/etc");
	assert_int_equal(store_lock_try(&store, "jail", "ns", &lock, &e), 0);
	assert_int_equal(space_tidy(&store, &e), 0);
	js2 = names_in("base/js");
	assert_string_equal(js2, ".brig .new.ns.0123456789abcdef .new.www.short www.old");
}

static void
destroys_only_its_own(void **state)
{
	_auto_free char *outside = at("outside"), *js = NULL, *j = NULL;
	int at_fd;

	(void)state;
	must_create("www", NULL);
	dir("outside");
	put("outside/keep", "x", 0644);
	link_to(outside, "base/js/www/out");
	link_to("/", "base/js/www/etc/root");
	at_fd = openat(store.js_fd, "www", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 3000; i++) {
		int next;

		assert_int_equal(mkdirat(at_fd, "directory", 0000), 0);
		next = openat(at_fd, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		fd_close(at_fd);
		at_fd = next;
	}
	fd_close(at_fd);
	assert_int_equal(space_destroy(&store, "www", &e), 0);
	assert_true(there("outside/keep"));
	js = names_in("base/js");
	assert_string_equal(js, ".brig");
	j = names_in("base/j");
	assert_string_equal(j, "");
	assert_int_equal(space_destroy(&store, "www", &e), 0); /* again: nothing to do */
	assert_int_equal(space_destroy(&store, "../outside", &e), -EINVAL);
}

static void
mounted_child(void)
{
	_auto_free char *outside = at("outside"), *sub = at("base/js/www/var/lib/dbus"),
			*j = at("base/j/www"), *file = at("base/js/www/etc/rc.conf"),
			*keep = at("outside/keep"), *js = at("base/js/www");

	CHECK(mount(outside, sub, NULL, MS_BIND, NULL) == 0);
	CHECK(space_destroy(&store, "www", &e) == -EXDEV);
	CHECK(strstr(e.msg, "'var/lib/dbus' is a mount point"));
	CHECK(umount(sub) == 0);
	CHECK(mount(keep, file, NULL, MS_BIND, NULL) == 0);
	CHECK(space_destroy(&store, "www", &e) == -EXDEV);
	CHECK(strstr(e.msg, "'etc/rc.conf' is a mount point"));
	CHECK(umount(file) == 0);
	CHECK(mount(outside, j, NULL, MS_BIND, NULL) == 0);
	CHECK(space_destroy(&store, "www", &e) == -EXDEV);
	CHECK(umount(j) == 0);
	CHECK(mount(outside, js, NULL, MS_BIND, NULL) == 0);
	CHECK(space_destroy(&store, "www", &e) == -EXDEV);
	CHECK(umount(js) == 0);
}

static void
refuses_mounts(void **state)
{
	_auto_free char *js = NULL, *etc = NULL;

	(void)state;
	must_create("www", NULL);
	dir("outside");
	put("outside/keep", "x", 0644);
	in_namespace(mounted_child);
	assert_true(there("outside/keep"));
	js = names_in("base/js/www");
	assert_string_equal(js, "etc var");
	etc = names_in("base/js/www/etc");
	assert_string_equal(etc, "hostname machine-id rc.conf ssh");
	/* a mount point that is not blank is somebody's work */
	put("base/j/www/file", "x", 0644);
	assert_int_equal(space_destroy(&store, "www", &e), -ENOTEMPTY);
	assert_true(there("base/js/www/etc/rc.conf"));
}

static void
partition_child(void)
{
	_auto_free char *js = at("base/js/www");

	CHECK(mount("none", js, "tmpfs", 0, "size=4m") == 0);
	CHECK(create("www", NULL) == 0);
	CHECK(there("base/js/www/etc/rc.conf"));
	CHECK(!there("base/js/www/.brig-new"));
	CHECK(mount("none", js, "tmpfs", 0, "size=40k") == 0);
	CHECK(create("www", NULL) == -ENOSPC);
	CHECK(!there("base/js/www/.brig-new") && !there("base/js/www/etc"));
}

/* The Handbook's other media: a partition mounted on js/NAME. */
static void
partitions(void **state)
{
	char big[65537];

	(void)state;
	memset(big, 'x', 65536);
	big[65536] = '\0';
	put("base/templates/mroot/20060601/skel/etc/big", big, 0644);
	dir("base/js/www");
	in_namespace(partition_child);
	assert_false(there("base/js/www/etc"));
}

static void
usage_is_counted(void **state)
{
	_auto_close int fd = -EBADF;
	_auto_free char *a = at("base/js/www/etc/big"), *b = at("base/js/www/etc/big2"),
			*text = xcalloc(1, 100001);
	uint64_t bytes = 0, files = 0, more = 0;

	(void)state;
	must_create("www", NULL);
	assert_int_equal(space_open(&store, "www", NULL, &fd, &e), 0);
	assert_int_equal(space_usage(fd, &bytes, &files, &e), 0);
	/* etc etc/rc.conf etc/machine-id etc/hostname etc/ssh etc/ssh/sshd_config var var/lib var/lib/dbus */
	assert_int_equal(files, 9);
	memset(text, 'x', 100000);
	put("base/js/www/etc/big", text, 0644);
	assert_int_equal(link(a, b), 0);
	assert_int_equal(space_usage(fd, &more, &files, &e), 0);
	assert_int_equal(files, 11);
	assert_in_range(more - bytes, 100000, 140000); /* two names, one file */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, scratch_setup, scratch_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(differs_in_each),       TEST(planted_links),   TEST(never_seeded_twice),
	    TEST(other_directories),     TEST(finishes_inside), TEST(tidies_up),
	    TEST(destroys_only_its_own), TEST(refuses_mounts),  TEST(partitions),
	    TEST(usage_is_counted),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_space: needs root\n");
		return 77; /* skipped */
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
