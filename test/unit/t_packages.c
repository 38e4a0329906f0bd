/* SPDX-License-Identifier: BSD-2-Clause */
/* store/template: packages in dpkg's record and in a release's list, what differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/template/packages.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dpkg_status),
	    cmocka_unit_test(list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
