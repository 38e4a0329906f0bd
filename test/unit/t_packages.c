/* SPDX-License-Identifier: BSD-2-Clause */
/* store/template: packages in dpkg's record, in a release's list, in apt's plan, and in the cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsx.h"
#include "store/template/cache.h"
#include "store/template/outdated.h"

static char *
text_of(const struct packages *p)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "");
	for (size_t i = 0; i < p->n; i++)
		buf_addf(&b, "%s %s %s\n", p->v[i].name, p->v[i].version, p->v[i].arch);
	return buf_take(&b);
}

static void
assert_status(const char *status, const char *want)
{
	_auto_(packages_free) struct packages p = {0};
	_auto_free char *got = NULL;

	packages_of_status(status, &p);
	got = text_of(&p);
	assert_string_equal(got, want);
}

static void
dpkg_status(void **state)
{
	(void)state;
	assert_status("", "");
	assert_status("\n\n\n", "");
	assert_status("Package: b\nStatus: install ok installed\nVersion: 1:2-3\nArchitecture: amd64\n"
		      "Description: x\n Version: 9\n\n\n\nStatus: hold ok installed\nversion:2\nPackage:\ta\n"
		      "Architecture: all",
		      "a 2 all\nb 1:2-3 amd64\n");
	/* not there, not whole, or not what dpkg would write */
	assert_status("Package: a\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n", "");
	assert_status("Package: a\nStatus: install ok half-installed\nVersion: 1\nArchitecture: all\n", "");
	assert_status("Package: a\nStatus: install ok not-installed\nVersion: 1\nArchitecture: all\n", "");
	assert_status("Package: a\nStatus: install ok installed\nArchitecture: all\n", "");
	assert_status("Package: a b\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n", "");
	assert_status("Package: a\033[1m\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n", "");
	assert_status("Status: install ok installed\n\nPackage: a\nVersion: 1\nArchitecture: all\n", "");
}

static void
list(void **state)
{
	static const char *const wrong[] = {"a",      "a 1",        "a 1 ", " 1 all",
					    "a  all", "a 1 all\nb", "\n",   "a 1 \tall"};
	_auto_(packages_free) struct packages p = {0};
	_auto_free char *got = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(packages_parse("b 1 all\na 2 amd64 later fields\n", &p, &e), 0);
	got = text_of(&p);
	assert_string_equal(got, "a 2 amd64\nb 1 all\n");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct packages none = {0};

		assert_int_equal(packages_parse(wrong[i], &none, &e), -EINVAL);
		assert_int_equal(none.n, 0);
	}
	assert_string_equal(e.msg, "packages:1: expected NAME VERSION ARCHITECTURE");
}

static void
apt_plan(void **state)
{
	char text[] = "Reading package lists...\nInst b [1:1.0-1] (1:1.0-2 Debian:12.1/stable [amd64]) []\n"
		      "Inst new (2.0 Debian:12.1/stable, Debian-Security:12/stable-security [all])\n"
		      "Remv old [3]\nConf b (1:1.0-2 Debian:12.1/stable [amd64])\nInst\nInst a [1] (2)\n";
	static const char *const want[][3] = {
	    {"a", "1", "2"}, {"b", "1:1.0-1", "1:1.0-2"}, {"new", NULL, "2.0"}, {"old", "3", NULL}};
	_auto_(outdated_free) struct outdated o = {0};

	(void)state;
	outdated_parse(text, &o);
	assert_int_equal(o.n, ARRAY_LEN(want));
	for (size_t i = 0; i < o.n; i++) {
		const char *const got[] = {o.v[i].package, o.v[i].current, o.v[i].candidate};

		for (size_t k = 0; k < ARRAY_LEN(got); k++)
			if (want[i][k])
				assert_string_equal(got[k], want[i][k]);
			else
				assert_null(got[k]);
	}
}

/* A file of n bytes that was used so many seconds after the beginning of 2026. */
static void
put(int dir, const char *name, size_t n, time_t used)
{
	const struct timespec times[2] = {{1767225600 + used, 0}, {1767225600 + used, 0}};
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)n), 0);
	assert_int_equal(futimens(fd, times), 0);
	fd_close(fd);
}

static void
trim(void **state)
{
	char top[] = "/tmp/brig-cache.XXXXXX";
	struct store s = {.base_fd = -EBADF, .lock_fd = -EBADF};
	struct release_cleaned done = {0};
	struct err e = ERR_INIT;
	int fd, tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_non_null(mkdtemp(top));
	s.base_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cache_trim(&s, 0, &done, &e), 0); /* none there */
	assert_int_equal(cache_open(&s, "packages", &fd, &e), 0);
	put(fd, "oldest", 100, 1);
	put(fd, "newest", 100, 3);
	put(fd, "middle", 100, 2);
	put(fd, ".tmp.1", 100, 0); /* of a copy that was killed */
	assert_int_equal(cache_trim(&s, 300, &done, &e), 0);
	assert_int_equal(done.packages, 0);
	assert_int_equal(faccessat(fd, ".tmp.1", F_OK, 0), -1);
	assert_int_equal(cache_trim(&s, 299, &done, &e), 0);
	assert_int_equal(done.packages, 1);
	assert_int_equal(done.bytes, 100);
	assert_int_equal(faccessat(fd, "oldest", F_OK, 0), -1);
	assert_int_equal(faccessat(fd, "middle", F_OK, 0), 0);
	assert_int_equal(release_clean_cache(&s, &done, &e), 0);
	assert_int_equal(done.packages, 3);
	assert_int_equal(faccessat(fd, "newest", F_OK, 0), -1);
	fd_close(fd);
	fd_close(s.base_fd);
	assert_int_equal(fsx_rm_rf_at(tmp, top + 5, &e), 0);
	fd_close(tmp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dpkg_status),
	    cmocka_unit_test(list),
	    cmocka_unit_test(apt_plan),
	    cmocka_unit_test(trim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
