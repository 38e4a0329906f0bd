/* SPDX-License-Identifier: BSD-2-Clause */
/* jls(8)'s output, byte for byte, and the text that `brig logs` lets through to a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/jls.h"
#include "cli/screen.h"

#define HEAD "   JID  IP Address      Hostname                      Path\n"

static const struct strv none = STRV_INIT;

static char *
words_out(unsigned flags, const char *words, const struct jls_jail *j)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct strv w = STRV_INIT;
	struct jls l;

	for (const char *p = words; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		strv_take(&w, xstrndup(p, n));
		p += n;
	}
	assert_int_equal(jls_init(&l, flags, w.v, w.n, &e), 0);
	buf_adds(&b, "");
	jls_put_header(&b, &l);
	if (j)
		jls_put(&b, &l, j);
	jls_free(&l);
	strv_free(&w);
	return buf_take(&b);
}

static void
expect(unsigned flags, const char *words, const struct jls_jail *j, const char *want)
{
	_auto_free char *got = words_out(flags, words, j);

	assert_string_equal(got, want);
}

static void
expect_json(unsigned flags, const char *word, const struct jls_jail *j, const char *want)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct jls l;
	char *w[] = {(char *)(uintptr_t)word, NULL};
	json_t *rows = json_array();

	assert_int_equal(jls_init(&l, flags, w, word ? 1 : 0, &e), 0);
	if (j)
		(void)json_array_append_new(rows, jls_json(&l, j));
	jls_put_json(&b, rows);
	assert_string_equal(b.s, want);
	buf_free(&b);
	jls_free(&l);
}

static struct jls_jail
ns_jail(const struct strv *ip4, const struct strv *ip6, char *const *value)
{
	return (struct jls_jail){.jid = 3,
				 .cpuset = 3,
				 .name = "ns",
				 .hostname = "ns.example.org",
				 .path = "/home/j/ns",
				 .ip4 = ip4,
				 .ip6 = ip6,
				 .value = value,
				 .host = "new",
				 .ip4_mode = "new",
				 .ip6_mode = "disable"};
}

static void
test_default(void **state)
{
	struct strv ip4 = STRV_INIT;
	struct jls_jail j = ns_jail(&ip4, &none, NULL);

	(void)state;
	expect(0, "", NULL, HEAD);
	expect(0, "", &j, HEAD "     3                  ns.example.org                /home/j/ns\n");
	strv_add(&ip4, "192.168.3.17");
	strv_add(&ip4, "192.168.3.18");
	expect(0, "", &j, HEAD "     3  192.168.3.17    ns.example.org                /home/j/ns\n");
	strv_free(&ip4);
}

static void
test_default_cut(void **state)
{
	struct strv ip4 = STRV_INIT;
	struct jls_jail j = ns_jail(&ip4, &none, NULL);

	(void)state;
	strv_add(&ip4, "255.255.255.255");
	j.jid = 999999;
	j.hostname = "a-name-that-is-longer-than-29-bytes.example.org";
	j.path = "/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789";
	expect(0, "", &j,
	       HEAD "999999  255.255.255.255 a-name-that-is-longer-than-29 "
		    "/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456\n");
	j.hostname = "evil\033[2Jname";
	j.path = "/j/\n\x9b";
	expect(0, "", &j, HEAD "999999  255.255.255.255 evil\\x1b[2Jname               /j/\\x0a\\x9b\n");
	strv_free(&ip4);
}

static void
test_names(void **state)
{
	struct strv ip4 = STRV_INIT;
	struct jls_jail j = ns_jail(&ip4, &none, NULL);

	(void)state;
	strv_add(&ip4, "192.168.3.17");
	expect(JLS_NAME, "", NULL, " JID             IP Address      Hostname                      Path\n");
	expect(JLS_NAME, "", &j,
	       " JID             IP Address      Hostname                      Path\n"
	       " ns              192.168.3.17    ns.example.org                /home/j/ns\n");
	strv_free(&ip4);
}

static void
test_verbose(void **state)
{
	struct strv ip4 = STRV_INIT, ip6 = STRV_INIT;
	struct jls_jail j = ns_jail(&ip4, &ip6, NULL);
	const char *head = "   JID  Hostname                      Path\n"
			   "        Name                          State\n"
			   "        CPUSetID\n"
			   "        IP Address(es)\n";
	_auto_free char *want = xasprintf("%s%s", head,
					  "     3  ns.example.org                /home/j/ns\n"
					  "        ns                            ACTIVE\n"
					  "        3\n"
					  "        192.168.3.17\n"
					  "        10.0.0.1\n"
					  "        2001:db8::17\n");
	_auto_free char *dying = xasprintf("%s%s", head,
					   "     3  ns.example.org                /home/j/ns\n"
					   "        ns                            DYING\n"
					   "        3\n");

	(void)state;
	expect(JLS_VERBOSE, "", NULL, head);
	j.dying = true;
	expect(JLS_VERBOSE, "", &j, dying);
	j.dying = false;
	strv_add(&ip4, "192.168.3.17");
	strv_add(&ip4, "10.0.0.1");
	strv_add(&ip6, "2001:db8::17");
	expect(JLS_VERBOSE, "", &j, want);
	strv_free(&ip4);
	strv_free(&ip6);
}

static void
test_params(void **state)
{
	char v0[] = "3", v1[] = "ns", v2[] = "10.0.0.1,10.0.0.2", v3[] = "", v4[] = "true";
	char *value[] = {v0, v1, v2, v3, v4, NULL};
	struct jls_jail j = ns_jail(&none, &none, value);
	const char *words = "jid name ip4.addr host.domainname persist ip6.addr";

	(void)state;
	expect(0, words, NULL, "");
	expect(0, words, &j, "3 ns 10.0.0.1,10.0.0.2 \"\" true -\n");
	/* -v is without effect with parameters */
	expect(JLS_VERBOSE, words, &j, "3 ns 10.0.0.1,10.0.0.2 \"\" true -\n");
	expect(JLS_HEADER, words, &j,
	       "jid name ip4.addr host.domainname persist ip6.addr\n3 ns 10.0.0.1,10.0.0.2 \"\" true -\n");
	expect(JLS_NAMEVAL, words, &j,
	       "jid=3 name=ns ip4.addr=10.0.0.1,10.0.0.2 host.domainname=\"\" persist ip6.addr=\n");
	expect(JLS_QUOTE, words, &j, "3 ns 10.0.0.1,10.0.0.2 \"\" true \"\"\n");
}

static void
test_booleans(void **state)
{
	char f[] = "false";
	char *value[] = {f, f, f, NULL};
	struct jls_jail j = ns_jail(&none, &none, value);

	(void)state;
	expect(JLS_NAMEVAL, "persist allow.mount allow.mount.nullfs", &j,
	       "nopersist allow.nomount allow.mount.nonullfs\n");
	expect(0, "persist", &j, "false\n");
}

static void
test_quoting(void **state)
{
	char v0[] = "a b", v1[] = "it's", v2[] = "say \"x\"", v3[] = "plain", v4[] = "a\tb", v5[] = "a\033b";
	char *value[] = {v0, v1, v2, v3, v4, v5};
	struct jls_jail j = ns_jail(&none, &none, value);
	const char *words = "name path host.hostname host.hostuuid host.domainname meta";

	(void)state;
	expect(JLS_QUOTE, words, &j, "\"a b\" \"it's\" 'say \"x\"' plain \"a\tb\" a\\x1bb\n");
	expect(0, words, &j, "a b it's say \"x\" plain a\tb a\\x1bb\n");
}

static void
test_skip(void **state)
{
	char v0[] = "3", v1[] = "false", v2[] = "ns", v3[] = "10.0.0.1", v4[] = "fd00::1";
	char *value[] = {v0, v1, v2, v3, v4, NULL};
	struct jls_jail j = ns_jail(&none, &none, value);
	const char *words = "jid dying host.hostname ip4.addr ip6.addr meta";

	(void)state;
	/* dying is read-only, ip6 is not "new", there is no meta */
	expect(JLS_SKIP, words, &j, "jid=3 host.hostname=ns ip4.addr=10.0.0.1\n");
	j.host = "inherit";
	j.ip6_mode = "new";
	expect(JLS_SKIP, words, &j, "jid=3 ip4.addr=10.0.0.1 ip6.addr=fd00::1\n");
}

static void
test_all(void **state)
{
	_auto_free char *head = words_out(JLS_HEADER, "", NULL);
	bool dotted = false;
	char last[64] = "";

	(void)state;
	assert_non_null(strstr(head, " jid "));
	assert_non_null(strstr(head, " host.hostname "));
	assert_null(strstr(head, "exec.start"));
	/* without a dot first, both groups sorted */
	for (char *save = NULL, *p = strtok_r(head, " \n", &save); p; p = strtok_r(NULL, " \n", &save)) {
		if (strchr(p, '.') && !dotted) {
			dotted = true;
			last[0] = '\0';
		}
		assert_int_equal(strchr(p, '.') != NULL, dotted);
		assert_true(strcmp(last, p) < 0);
		(void)snprintf(last, sizeof(last), "%s", p);
	}
	assert_true(dotted);
}

static void
test_unknown(void **state)
{
	struct jls l;
	struct err e = ERR_INIT;
	char good[] = "name", bad[] = "nonsense", escape[] = "x\033", no[] = "nopersist";
	char *w[] = {good, bad}, *w2[] = {escape}, *w3[] = {no};

	(void)state;
	assert_int_equal(jls_init(&l, 0, w, 2, &e), -EINVAL);
	assert_string_equal(e.msg, "unknown parameter: nonsense");
	assert_int_equal(jls_init(&l, 0, w2, 1, &e), -EINVAL);
	assert_string_equal(e.msg, "unknown parameter: x\\x1b");
	assert_int_equal(jls_init(&l, 0, w3, 1, &e), -EINVAL);
}

#define JSON(s) "{\"__version\": \"2\", \"jail-information\": {\"jail\": [" s "]}}\n"

static void
test_json(void **state)
{
	struct strv ip4 = STRV_INIT, ip6 = STRV_INIT;
	char v0[] = "10.0.0.1,10.0.0.2", t[] = "true", bad[] = "\xff";
	char *value[] = {v0}, *yes[] = {t}, *nothing[] = {NULL}, *bytes[] = {bad};
	struct jls_jail j = ns_jail(&ip4, &ip6, value);

	(void)state;
	strv_add(&ip4, "192.168.3.17");
	strv_add(&ip6, "2001:db8::17");
	expect_json(0, NULL, NULL, JSON(""));
	expect_json(0, NULL, &j,
		    JSON("{\"jid\":3,\"ipv4\":\"192.168.3.17\",\"hostname\":\"ns.example.org\",\"path\":\"/"
			 "home/j/ns\"}"));
	expect_json(JLS_NAME, NULL, &j,
		    JSON("{\"name\":\"ns\",\"ipv4\":\"192.168.3.17\",\"hostname\":\"ns.example.org\","
			 "\"path\":\"/home/j/ns\"}"));
	expect_json(JLS_VERBOSE, NULL, &j,
		    JSON("{\"jid\":3,\"hostname\":\"ns.example.org\",\"path\":\"/home/j/ns\",\"name\":\"ns\","
			 "\"state\":\"ACTIVE\",\"cpusetid\":3,\"ipv4_addrs\":[\"192.168.3.17\"],"
			 "\"ipv6_addrs\":[\"2001:db8::17\"]}"));
	expect_json(0, "ip4.addr", &j, JSON("{\"ip4.addr\":[\"10.0.0.1\",\"10.0.0.2\"]}"));
	j.value = yes;
	expect_json(0, "persist", &j, JSON("{\"persist\":\"true\"}"));
	expect_json(JLS_NAMEVAL, "persist", &j, JSON("{\"persist\":true}"));
	j.value = nothing;
	expect_json(0, "meta", &j, JSON("{}"));
	expect_json(0, "ip6.addr", &j, JSON("{\"ip6.addr\":[]}"));
	j.value = bytes;
	expect_json(0, "meta", &j, JSON("{\"meta\":\"\\\\xff\"}"));
	strv_free(&ip4);
	strv_free(&ip6);
}

static void
vis(const char *in, size_t chunk, const char *want)
{
	struct buf b = BUF_INIT;
	struct screen v = {0};
	size_t len = strlen(in);

	buf_adds(&b, "");
	for (size_t i = 0; i < len; i += chunk)
		screen_add(&v, &b, in + i, len - i < chunk ? len - i : chunk);
	screen_end(&v, &b);
	assert_string_equal(b.s, want);
	buf_free(&b);
}

static void
test_visible(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
	    {"plain text\n\ttab\n", "plain text\n\ttab\n"},
	    {"\033]0;title\007", "\\x1b]0;title\\x07"},
	    {"dos\r\nline\rover", "dos\nline\\x0dover"},
	    {"end\r", "end\\x0d"},
	    {"\r\r\n", "\\x0d\n"},
	    {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
	     "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
	    {"\xc2\x9b[31m", "\\xc2\\x9b[31m"},                      /* CSI as two bytes of UTF-8 */
	    {"\x9b[31m", "\\x9b[31m"},                               /* and as one */
	    {"\xc0\xaf \xe0\x80\xaf", "\\xc0\\xaf \\xe0\\x80\\xaf"}, /* longer than need be */
	    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                     /* half a surrogate */
	    {"\xe2\x80\xae"
	     "txt",
	     "\\xe2\\x80\\xaetxt"},       /* right-to-left override */
	    {"\xe2\x82x", "\\xe2\\x82x"}, /* cut off */
	    {"\xe2\x82", "\\xe2\\x82"},
	    {"\xc3\033", "\\xc3\\x1b"},
	    {"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
	    {"\177", "\\x7f"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t chunk = 1; chunk < 6; chunk++)
			vis(cases[i].in, chunk, cases[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_default), cmocka_unit_test(test_default_cut),
	    cmocka_unit_test(test_names),   cmocka_unit_test(test_verbose),
	    cmocka_unit_test(test_params),  cmocka_unit_test(test_booleans),
	    cmocka_unit_test(test_quoting), cmocka_unit_test(test_skip),
	    cmocka_unit_test(test_all),     cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_json),    cmocka_unit_test(test_visible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
