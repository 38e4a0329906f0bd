/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/: the grammar of jail.conf, resolution, variables, wildcards, includes, errors. */
#include "conf_help.h"

/* Values of an option before any check: "a|b", "" for one empty string, "(set)" without a value, "-" when
 * there is none. */
static char *
values(const struct conf *c, const char *label, const char *name)
{
	const struct jail *j = conf_find(c, label);
	struct buf b = BUF_INIT;

	for (size_t i = 0; j && i < j->n; i++) {
		const struct entry *e = &j->e[i];

		if (e->var || !streq(e->name, name))
			continue;
		for (size_t k = 0; k < e->n; k++)
			buf_addf(&b, "%s%s", k ? "|" : "", e->v[k].s);
		return e->n ? buf_take(&b) : xstrdup("(set)");
	}
	return xstrdup("-");
}

/* The tricky inputs of jail.conf(5), with the results of FreeBSD 14, or of its manual where it crashes.
 * want: jail, option, values.  errors: what must be said, in order, besides that x, y, z, w, r are unknown.
 */
struct row {
	int n;
	const char *text;
	struct {
		const char *jail, *name, *values;
	} want[6];
	const char *errors;
};

static const struct row rows[] = {
    {1,
     "path=\"/j/$name\"; a{} b.c{ path += /y; }",
     {{"a", "path", "/j/a"}, {"b.c", "path", "/j/b.c|/y"}},
     ""},
    {2,
     "a { ip4.addr = 10.0.0.1, 10.0.0.2; ip4.addr += 10.0.0.3; }",
     {{"a", "ip4.addr", "10.0.0.1|10.0.0.2|10.0.0.3"}},
     ""},
    {3,
     "a { persist; nopersist; allow.mount = \"false\"; allow.nomount; }",
     {{"a", "nopersist", "(set)"},
      {"a", "allow.nomount", "(set)"},
      {"a", "persist", "-"},
      {"a", "allow.mount", "-"}},
     ""},
    {4, "a { path = \"/a\"'/b'/c; }", {{"a", "path", "/a/b/c"}}, ""},
    {5, "a { path = \"/a\" /b; }", {{NULL}}, "1:17 syntax error at '/': ',' or ';' expected"},
    {6,
     "a { x = '$name'; y = \"\\$name\"; z = \\$name; w = \"$$name\"; }",
     {{"a", "x", "$name"}, {"a", "y", "$name"}, {"a", "z", "$name"}, {"a", "w", "$a"}},
     ""},
    {7,
     "a { x = ${host.hostname}; host.hostname = h1; y = $host.hostname; }",
     {{"a", "x", "h1"}},
     "1:51 y: variable \"host\" not found"},
    {8,
     "a { $ip = 5; ip4.addr = 10.240.0.${ip}; y = $ip.1; z = \"${ip}a$ip\"; w = ${ ip }; }",
     {{"a", "ip4.addr", "10.240.0.5"}, {"a", "y", "5.1"}, {"a", "z", "5a5"}},
     "1:73 w: variable \" ip \" not found"},
    {9, "a { $v = $w; $w = $v; x = $v; }", {{"a", "x", "(set)"}}, "1:19 v: variable loop"},
    {10,
     "a { $v = 1, 2; y = \"z$v\"; }",
     {{"a", "y", "(set)"}},
     "1:22 v: array cannot be substituted inline"},
    {11, "$y=0; A { $x=1; r=$x; } $x=2;", {{"A", "r", "1"}}, ""},
    {12, "A { x=1; } x=2; * { x=3; } B { x=4; }", {{"A", "x", "3"}, {"B", "x", "4"}}, ""},
    {13, "a { b { x=1; } }", {{"a", "x", "-"}, {"a.b", "x", "1"}}, ""},
    {14, "a { x = \"l1\\\nl2\"; y = \"l1\nl2\"; }", {{"a", "x", "l1l2"}, {"a", "y", "l1\nl2"}}, ""},
    {15,
     "a { x = \"\\t\\x41\\101\\e\\0zz\"; y = '\\n'; z = \"\\xzz\"; w = \"\\777\"; }",
     {{"a", "x", "\tAAe"}, {"a", "y", "\n"}, {"a", "z", ""}, {"a", "w", "\xff"}},
     ""},
    {16,
     "a { x = 10.0.0.1/24; y = a/b; z = a//b; }",
     {{"a", "x", "10.0.0.1/24"}, {"a", "y", "a/b"}},
     "1:42 syntax error at the end of the file: a ';' is missing\n1:42 unexpected end of the file"},
    {17, "a { x = a#b\n; }", {{"a", "x", "a"}}, ""},
    {18,
     "a { path = /usr/*; }",
     {{NULL}},
     "1:16 unterminated comment\n1:21 syntax error at the end of the file\n1:21 unexpected end of the file"},
    {19,
     "a { x = /* c */ b; y =/**/b; /***/ z = 3; }",
     {{"a", "x", "b"}, {"a", "y", "b"}, {"a", "z", "3"}},
     ""},
    {20, "a { x = 1 }", {{NULL}}, "1:11 syntax error at '}': a ';' is missing"},
    {21, "a {} a { x=1; }", {{"a", "x", "-"}}, "1:6 jail 'a' is defined twice: the first time at f:1"},
    {22, "\"a b\" { path = \"/x y\"; }", {{NULL}}, "1:1 jail 'a b': the name has a character other than"},
    {23,
     "12 { } 0 { } -1 { } 12a { }",
     {{"12", "jid", "12"}, {"12", "name", "12"}, {"12a", "name", "12a"}, {"12a", "jid", "-"}},
     "1:8 jail '0': a name of digits is a JID\n1:14 jail '-1': the name does not begin with"},
    {24,
     "a { name = b; } b { jid = 3; } 5 { name = c; }",
     {{"b", "jid", "3"}, {"5", "jid", "5"}, {"5", "name", "c"}},
     "1:5 cannot redefine variable \"name\""},
    {25,
     "\"foo.*\" {x=1;} foo.bar{} foo.bar.baz{} foo{} \"*.b\"{y=1;} q.b{} q.c.b{}",
     {{"foo.bar", "x", "1"},
      {"foo.bar.baz", "x", "1"},
      {"foo", "x", "-"},
      {"q.b", "y", "1"},
      {"q.c.b", "y", "-"}},
     ""},
    {26,
     "foo.* { x = 1; }",
     {{NULL}},
     "1:5 syntax error at '*': a name that is not one plain word must be quoted"},
    {27,
     "a { mount.nodevfs = false; mount.fdescfs = \"\"; mount.procfs = TRUE; exec.clean = -1; }",
     {{NULL}},
     ""},
    {28,
     "a { mount.devfs = maybe; exec.timeout = 1s; mount.fdescfs = 0x1; }",
     {{NULL}},
     "1:19 mount.devfs: unknown boolean 'maybe'\n1:41 exec.timeout: '1s' is not a decimal number\n"
     "1:61 mount.fdescfs: unknown boolean '0x1'"},
    {29,
     "exec.start += \"w\"; a { exec.start += \"j\"; } exec.start += \"w2\"; b { exec.start = \"k\"; }",
     {{"a", "exec.start", "w|w2|j"}, {"b", "exec.start", "k"}},
     ""},
    {30,
     "a { exec.start = \"a\"; exec.start += \"b\", \"c\"; exec.start = \"d\"; exec.stop += \"e\"; exec.stop "
     "= ''; }",
     {{"a", "exec.start", "d"}, {"a", "exec.stop", ""}},
     ""},
    {31,
     "a { ip4.addr = \"em0|10.0.0.1/24\", \"em1|10.0.0.2/255.255.255.0 broadcast 10.0.0.255\", 10.0.0.3; "
     "interface = lo1; }",
     {{"a", "interface", "lo1"}},
     ""},
    {32,
     "a { path = /; persist; // c\n x = \"a // b # c /* d */\"; # e\n }",
     {{"a", "path", "/"}, {"a", "x", "a // b # c /* d */"}},
     ""},
    {33,
     "a { $path = /x; path = $path; }",
     {{NULL}},
     "1:5 variable \"$path\" cannot have the same name as a parameter"},
    {34, "a { x 1; y 1, 2; z \"q r\"; }", {{"a", "x", "1"}, {"a", "y", "1|2"}, {"a", "z", "q r"}}, ""},
    {35,
     "a { x = \"abc;\n } b { y = 1; }",
     {{"b", "y", "1"}},
     "1:9 unterminated string\n2:2 syntax error at '}': a ';' is missing"},
    {36, "a { $v; x = \"p${v}q\"; }", {{NULL}}, "1:15 x: variable \"v\" not found"},
    {37,
     "a { x = \xc3\xa9; } b { x = \"\xc3\xa9\"; }",
     {{"b", "x", "\xc3\xa9"}},
     "1:9 syntax error at '\\xc3\\xa9': it may only stand in quotes"},
    {38, "# only\n// this\n/* here */\n", {{NULL}}, ""},
    {39,
     "a { depend = b, c; } b {} c { depend = a; }",
     {{"a", "depend", "b|c"}},
     "1:17 dependency loop: a -> c -> a"},
    {40,
     "j { x = \"$name foo; y = 1; }\nk { z = \"ok\"; }",
     {{NULL}},
     "2:12 unterminated string (is a quote missing? The string that begins at line 1, column 9\n"
     "2:16 syntax error at the end of the file\n2:16 unexpected end of the file"},
};

/* Each line of want must begin a line of got, and both must have as many. */
static void
same_errors(int n, const char *got, const char *want)
{
	const char *g = got, *w = want;

	while (*g || *w) {
		size_t lw = strcspn(w, "\n");

		if (lw == 0 || strncmp(g, w, lw) != 0)
			fail_msg("row %d: errors\n%s\nwanted\n%s", n, got, want);
		g += strcspn(g, "\n");
		g += *g == '\n';
		w += lw + (w[lw] == '\n');
	}
}

static void
table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct conf *c = load(r->text);
		_auto_free char *errors = messages_text(c, false, "unknown parameter");

		assert_int_equal(r->n, i + 1);
		same_errors(r->n, errors, r->errors);
		for (size_t k = 0; k < ARRAY_LEN(r->want) && r->want[k].jail; k++) {
			_auto_free char *got = values(c, r->want[k].jail, r->want[k].name);

			if (!streq(got, r->want[k].values))
				fail_msg("row %d: %s.%s is '%s', wanted '%s'", r->n, r->want[k].jail,
					 r->want[k].name, got, r->want[k].values);
		}
		conf_free(c);
	}
}

/* Row 27 in its effect, row 31 in its addresses, row 23's jid. */
static void
table_specs(void **state)
{
	struct conf *c = load(rows[26].text);
	struct jailspec *s = spec_of(c, "a");

	(void)state;
	assert_true(s->mount_devfs);
	assert_false(s->mount_fdescfs);
	assert_true(s->mount_procfs);
	assert_true(s->exec_clean);
	jailspec_free(s);
	conf_free(c);

	c = load(rows[30].text);
	assert_warnings(c, "1:35 ip4.addr: 'broadcast 10.0.0.255' has no effect here");
	s = spec_of(c, "a");
	assert_int_equal(s->n_addrs, 3);
	assert_string_equal(s->addrs[0].interface, "em0");
	assert_int_equal(s->addrs[0].prefix, 24);
	assert_int_equal(s->addrs[1].prefix, 24);
	assert_int_equal(s->addrs[2].prefix, 32);
	assert_null(s->addrs[2].interface);
	assert_string_equal(s->interface, "lo1");
	assert_int_equal(s->ip4, SHARE_NEW);
	assert_int_equal(s->ip6, SHARE_DISABLE);
	jailspec_free(s);
	conf_free(c);

	c = load("12 { host.hostname = \"${name}\"; } 7 { name = seven; }");
	s = spec_of(c, "12");
	assert_int_equal(s->jid, 12);
	assert_string_equal(s->hostname, "12");
	jailspec_free(s);
	s = spec_of(c, "7");
	assert_int_equal(s->jid, 7);
	assert_string_equal(s->name, "seven");
	assert_string_equal(s->path, "/var/lib/brig/j/seven");
	jailspec_free(s);
	conf_free(c);
}

static void
assert_value(struct conf *c, const char *jail, const char *name, const char *want)
{
	_auto_free char *got = values(c, jail, name);

	assert_string_equal(got, want);
}

static void
variables(void **state)
{
	struct conf *c = load("a { $v = 1, 2; x = $v; y = $v, 3; $w = $v; z = $w; }\n"
			      "b { $a = $b; $b = \"${c}-\"; $c = 7; x = $a$a; }\n"
			      "$h = $name; c { x = \"$h/${h}\"; }");
	struct buf chain = BUF_INIT;

	(void)state;
	assert_value(c, "a", "x", "1|2"); /* FreeBSD crashes here; its manual says this */
	assert_value(c, "a", "y", "1|2|3");
	assert_value(c, "a", "z", "1|2");
	assert_value(c, "b", "x", "7-7-");
	assert_value(c, "c", "x", "c/c");
	conf_free(c);

	/* A variable may be called like one of brig's own parameters: FreeBSD's files know nothing of them.
	 */
	c = load("$template = t; $ip4 = 4; a { host.hostname = \"$template$ip4\"; }");
	assert_errors(c, "");
	conf_free(c);
	/* ...but not like a parameter that the jail has. */
	assert_refused("$ip4 = new; a { ip4 = new; }",
		       "1:1 variable \"$ip4\" cannot have the same name as a parameter");
	/* One in a wildcard is said once, however many jails have it. */
	assert_refused("host.hostname = $nope; a {} b {} c {}",
		       "1:17 host.hostname: variable \"nope\" not found");

	/* Bounds: depth and size. */
	for (int i = 0; i < 100; i++)
		buf_addf(&chain, "$v%d = $v%d; ", i, i + 1);
	buf_adds(&chain, "$v100 = x; a { host.hostname = $v0; }");
	c = load(chain.s);
	assert_int_equal(conf_n_errors(c), 1);
	assert_non_null(strstr(conf_error_at(c, 0)->text, "deeper than 64"));
	conf_free(c);
	buf_free(&chain);
	buf_adds(&chain, "$v0 = 0123456789abcdef; ");
	for (int i = 0; i < 60; i++)
		buf_addf(&chain, "$v%d = $v%d$v%d; ", i + 1, i, i);
	buf_adds(&chain, "a { host.hostname = $v60; }");
	c = load(chain.s);
	assert_int_equal(conf_n_errors(c), 1);
	assert_non_null(strstr(conf_error_at(c, 0)->text, "too long"));
	conf_free(c);
	buf_free(&chain);
}

static void
wildcards(void **state)
{
	(void)state;
	assert_true(conf_match("*", "a"));
	assert_true(conf_match("*", "a.b"));
	assert_true(conf_match("foo.*", "foo.bar.baz"));
	assert_false(conf_match("foo.*", "foo"));
	assert_true(conf_match("*.b", "q.b"));
	assert_false(conf_match("*.b", "q.c.b"));
	assert_true(conf_match("*.*", "a.b.c"));
	assert_false(conf_match("*.*", "a"));
	assert_false(conf_match("foo*", "foobar"));
	assert_true(conf_match("a", "a"));
	assert_false(conf_match("a", "a.b"));
	assert_false(conf_match("a.*.c", "a.b"));
	assert_true(conf_match("a.*.c", "a.b.c"));
}

static void
nesting(void **state)
{
	struct conf *c = load("a { host.hostname = one; b { c { host.hostname = three; } } }\n"
			      "w { * { persist; } d { } }");
	struct jailspec *s;

	(void)state;
	assert_errors(c, "");
	assert_int_equal(conf_jails(c)->n, 5);
	assert_string_equal(conf_jails(c)->v[2], "a.b.c");
	assert_value(c, "a.b.c", "host.hostname", "three");
	assert_value(c, "a.b", "host.hostname", "-");
	assert_value(c, "w.d", "persist", "(set)");
	assert_value(c, "w", "persist", "-");
	s = spec_of(c, "a.b.c");
	assert_int_equal(s->depend.n, 1);
	assert_string_equal(s->depend.v[0], "a.b");
	jailspec_free(s);
	conf_free(c);
}

static void
crlf_and_bytes(void **state)
{
	static const struct mem_file nul[] = {{"n", "a { persist; }\0b { }", 20}, {NULL, NULL, 0}};
	static const struct mem_file in_string[] = {{"n", "a { path = \"/x\0y\"; }", 20}, {NULL, NULL, 0}};
	struct conf *c = load("# c\r\na {\r\n\tpath = /x;\r\n\texec.start = \"a \\\r\nb\";\r\n}\r\n");

	(void)state;
	assert_errors(c, "");
	assert_value(c, "a", "path", "/x");
	assert_value(c, "a", "exec.start", "a b");
	conf_free(c);
	c = load("\xef\xbb\xbf"
		 "a { persist; }");
	assert_errors(c, "");
	assert_int_equal(conf_jails(c)->n, 1);
	conf_free(c);
	c = load_files(nul, NULL, false, 1);
	assert_errors(c, "1:15 syntax error at 'NUL': this character has no meaning here");
	assert_int_equal(conf_jails(c)->n, 1);
	conf_free(c);
	c = load_files(in_string, NULL, false, 1);
	assert_errors(c, "1:15 NUL byte in a string");
	conf_free(c);
	/* A backslash at the end of a line continues it, quoted or not. */
	c = load("a { ip4.addr = 10.0.0.1, \\\n\t10.0.0.2; }");
	assert_errors(c, "");
	assert_value(c, "a", "ip4.addr", "10.0.0.1|10.0.0.2");
	conf_free(c);
}

/* Many mistakes, one message each, at their own places. */
static void
recovery(void **state)
{
	struct conf *c = load("a {\n"
			      "\tpath = /a\n"
			      "\thost.hostname = a;\n"
			      "\tx y z;\n"
			      "\tpersit;\n"
			      "\tip4.addr = ;\n"
			      "\texec.timeout = 1s;\n"
			      "}\n"
			      "}\n"
			      "b { path = /b; $n { persist; } }\n"
			      "{ persist; }\n"
			      "c { hostname = c; }\n");

	(void)state;
	assert_errors(
	    c, "3:2 syntax error at 'host.hostname': a ';' is missing at the end of the statement before\n"
	       "4:2 unknown parameter 'x'\n"
	       "4:6 syntax error at 'z': ',' or ';' expected (text with blanks must be quoted)\n"
	       "5:2 unknown parameter 'persit' (is 'persist' meant?)\n"
	       "6:13 syntax error at ';': a value is missing here\n"
	       "7:17 exec.timeout: '1s' is not a decimal number\n"
	       "9:1 syntax error at '}': no block is open here\n"
	       "10:19 syntax error at '{': a variable cannot be the name of a jail\n"
	       "11:1 syntax error at '{': the name of a jail is missing before it\n"
	       "12:5 unknown parameter 'hostname' (is 'host.hostname' meant?)");
	assert_int_equal(conf_jails(c)->n, 3);
	conf_free(c);
}

/* A jail without an error can be used although another one is wrong. */
static void
lenient(void **state)
{
	struct conf *c = load("a { path = ; } b { persist; } c { ip4.addr = nonsense; } d { x = 1 }");
	struct err e = ERR_INIT;
	struct jailspec *s = NULL;

	(void)state;
	assert_int_equal(conf_jail(c, "a", &s, &e), -EINVAL);
	assert_string_equal(e.msg, "f:1:12: syntax error at ';': a value is missing here");
	assert_int_equal(conf_jail(c, "c", &s, &e), -EINVAL);
	assert_string_equal(e.msg, "f:1:46: ip4.addr: 'nonsense': not an IPv4 address");
	assert_int_equal(conf_jail(c, "d", &s, &e), -EINVAL);
	assert_int_equal(conf_jail(c, "zz\n", &s, &e), -ENOENT);
	assert_string_equal(e.msg, "jail 'zz\\x0a' is not in the configuration");
	assert_int_equal(conf_jail(c, "b", &s, &e), 0);
	assert_true(s->persist);
	jailspec_free(s);
	assert_int_equal(conf_jail(c, "b", &s, &e), 0); /* a second time, too */
	assert_true(s->persist);
	jailspec_free(s);
	conf_free(c);
}

static void
names(void **state)
{
	char text[400];
	struct conf *c;

	(void)state;
	assert_refused("\"../x\" {}", "1:1 jail '../x': the name does not begin with a letter or a digit");
	assert_refused("-a {}", "1:1 jail '-a': the name does not begin with a letter or a digit");
	assert_refused(
	    "\"a\nb\" {}",
	    "1:1 jail 'a\\x0ab': the name has a character other than letters, digits, '.', '_' and '-'");
	memset(text, 'n', 300);
	memcpy(text + 300, " {}", 4);
	c = load(text);
	assert_int_equal(conf_n_errors(c), 1);
	assert_non_null(strstr(conf_error_at(c, 0)->text, "longer than 63 bytes"));
	assert_int_equal(conf_jails(c)->n, 0);
	conf_free(c);
	assert_refused("skel {}",
		       "1:1 jail 'skel': the name is reserved for templates and skeletons (mroot, mroot2, "
		       "mroot.DATE, skel)");
	c = load("mroot {} mroot2 {} mroot.20060601 {} mroots {} skeleton {}");
	assert_int_equal(conf_n_errors(c), 3);
	conf_free(c);
	assert_refused("a { name = \"-x\"; } b { jid = 4; name = 5; }",
		       "1:5 cannot redefine variable \"name\"\n1:33 cannot redefine variable \"name\"");
	assert_refused("5 { name = 6; }", "1:12 name: cannot be numeric (unless it is the jid)");
	assert_refused("5 { name = skel; }",
		       "1:12 name: 'skel': the name is reserved for templates and skeletons "
		       "(mroot, mroot2, mroot.DATE, skel)");
	assert_refused("007 {}", "1:1 jail '007': a name of digits is a JID, and those are 1 to 999999");
	assert_refused("web {} a { template = web; }",
		       "1:1 jail 'web' has the name of a template that jail 'a' uses");
}

static const struct mem_file include_files[] = {
    {"/etc/jail.conf",
     "exec.clean;\n.include \"jail.conf.d/*.conf\";\na { .include \"common.inc\"; b { } }\n", 0},
    {"/etc/common.inc", "persist; sub { .include '/etc/deep.inc'; }", 0},
    {"/etc/deep.inc", "host.hostname = deep;", 0},
    {"/etc/jail.conf.d/one.conf", "one { path = /one; }", 0},
    {"/etc/jail.conf.d/two.conf", "two { path = /two; }", 0},
    {NULL, NULL, 0}};

static void
include(void **state)
{
	struct conf *c = conf_new(&mem_input, "/b", false);

	(void)state;
	mem_files = include_files;
	conf_read(c, "/etc/jail.conf", CONF_AUTO);
	conf_read(c, "/etc/jail.conf.d/one.conf", CONF_AUTO); /* has been included: not again */
	conf_finish(c);
	assert_errors(c, "");
	assert_int_equal(conf_jails(c)->n, 5);
	assert_string_equal(conf_jails(c)->v[0], "one");
	assert_string_equal(conf_jails(c)->v[1], "two");
	assert_value(c, "a", "persist", "(set)");
	assert_value(c, "a.sub", "host.hostname", "deep");
	assert_value(c, "one", "exec.clean", "(set)");
	conf_free(c);
}

static void
include_errors(void **state)
{
	static const struct mem_file loop[] = {{"/l", ".include '/l'; .include '/l';", 0}, {NULL, NULL, 0}};
	static const struct mem_file other[] = {{"/x/f",
						 "$v = 1; .include $v;\n.include 'gone';\n.include 'no*ne';\n"
						 ".include;\n a { .include 'half'; persist; }",
						 0},
						{"/x/half", "path = ", 0},
						{NULL, NULL, 0}};
	struct conf *c = load_files(loop, NULL, false, 1);

	(void)state;
	assert_int_equal(conf_n_errors(c), 1);
	assert_non_null(strstr(conf_error_at(c, 0)->text, "maximum include depth exceeded"));
	conf_free(c);
	c = load_files(other, NULL, false, 1);
	assert_errors(c, "1:18 variables are not permitted in '.include'\n"
			 "2:10 include '/x/gone': No such file or directory\n"
			 "4:1 '.include' needs the name of a file\n"
			 "1:8 syntax error at the end of the file: a value is missing here");
	assert_string_equal(conf_error_at(c, 3)->file, "/x/half");
	conf_free(c);
}

/* A file of jail.conf.d says things for its own jails; jail.conf for all. */
static void
scopes(void **state)
{
	static const struct mem_file files[] = {{"/etc/jail.conf", "persist; main { }", 0},
						{"/etc/jail.conf.d/a.conf", "exec.clean; a { }", 0},
						{"/etc/jail.conf.d/b.conf", "b { } *{ nat; }", 0},
						{NULL, NULL, 0}};
	struct conf *c = load_files(files, NULL, false, 3);

	(void)state;
	assert_errors(c, "");
	assert_value(c, "main", "exec.clean", "-");
	assert_value(c, "main", "nat", "-");
	assert_value(c, "a", "persist", "(set)");
	assert_value(c, "a", "exec.clean", "(set)");
	assert_value(c, "a", "nat", "-");
	assert_value(c, "b", "nat", "(set)");
	assert_value(c, "b", "exec.clean", "-");
	conf_free(c);
}

static void
sniffing(void **state)
{
	static const struct mem_file files[] = {{"/1",
						 "# "
						 "x\nhostname=\"h\"\njail_list=\"ns\"\njail_ns_rootdir=/"
						 "x\njail_ns_hostname=h\njail_ns_ip=10.0.0.1",
						 0},
						{"/2", "jail_a_x { path = /x; }", 0},
						{"/3", "/dev/ada0p2 / ufs rw 1 1\nproc /proc proc rw 0 0", 0},
						{"/4", "path=\"/x/$name\";\nb { }", 0},
						{"/5", "hostname=\"h\"\nsshd_enable=YES\n", 0},
						{NULL, NULL, 0}};
	struct conf *c = load_files(files, NULL, false, 5);
	struct conf *gone = conf_new(&mem_input, "/b", false);

	(void)state;
	assert_int_equal(c->fstab.n, 2);
	assert_int_equal(conf_jails(c)->n, 3);
	assert_true(conf_has(c, "jail_a_x"));
	assert_true(conf_has(c, "b"));
	assert_true(conf_has(c, "ns"));
	assert_errors(c, "");
	conf_free(c);
	conf_read(gone, "/gone", CONF_AUTO);
	conf_finish(gone);
	assert_errors(gone, "0:0 No such file or directory");
	assert_string_equal(conf_error_at(gone, 0)->file, "/gone");
	conf_free(gone);
}

static void
between_jails(void **state)
{
	(void)state;
	assert_refused("a { ip4.addr = 10.0.0.1; } b { ip4.addr = 10.0.0.2, 10.0.0.1; }",
		       "1:53 jails 'a' and 'b' both have address 10.0.0.1 (f:1)");
	assert_refused("a { ip6.addr = 2001:db8::1; } b { ip6.addr = 2001:db8:0::1; }",
		       "1:46 jails 'a' and 'b' both have address 2001:db8::1 (f:1)");
	assert_refused("5 { name = a; } a { }", "1:17 jails '5' and 'a' both have name a (f:1)");
	assert_refused("a { jid = 3; } 3 { }", "1:16 jails 'a' and '3' both have JID 3 (f:1)");
	assert_refused("ip4 = new; a { ip4.addr = 10.0.0.1; rdr = 'tcp 80'; }\nb { ip4.addr = 10.0.0.2; rdr "
		       "= 'tcp 80 8080'; }",
		       "2:32 jails 'a' and 'b' both have TCP port 80 of the host (f:1)");
	assert_refused("a { depend = b, nope; } b {}", "1:17 depends on undefined jail \"nope\"");
	assert_refused("a { depend = a; }", "1:14 dependency loop: a -> a");
	assert_refused("a {}\nb {}\na {}\n", "3:1 jail 'a' is defined twice: the first time at f:1");
}

static void
limits(void **state)
{
	struct buf b = BUF_INIT;
	struct conf *c;

	(void)state;
	for (int i = 0; i < 40; i++)
		buf_adds(&b, "a {");
	for (int i = 0; i < 40; i++)
		buf_adds(&b, "}");
	c = load(b.s);
	assert_true(conf_n_errors(c) >= 1); /* names too long, blocks too deep; and it ends */
	conf_free(c);
	buf_free(&b);
	buf_adds(&b, "a {");
	for (int i = 0; i < 5000; i++)
		buf_addf(&b, "$v%d = 1;", i);
	buf_adds(&b, "}");
	assert_refused(b.s, "1:1 more than 4096 parameters and variables");
	buf_free(&b);
	for (int i = 0; i < 3000; i++)
		buf_addf(&b, "a%d { nonsense%d; }\n", i, i);
	c = load(b.s);
	assert_int_equal(conf_n_errors(c), CONF_MESSAGES_MAX);
	conf_free(c);
	buf_free(&b);
	{
		struct mem_file big[2] = {{"/big", NULL, CONF_TEXT_MAX + 1}, {NULL, NULL, 0}};
		_auto_free char *text = xcalloc(CONF_TEXT_MAX + 1, 1);

		big[0].text = text;
		c = load_files(big, NULL, false, 1);
		assert_errors(c, "0:0 larger than 4 MiB");
		conf_free(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table),     cmocka_unit_test(table_specs),    cmocka_unit_test(variables),
	    cmocka_unit_test(wildcards), cmocka_unit_test(nesting),        cmocka_unit_test(crlf_and_bytes),
	    cmocka_unit_test(recovery),  cmocka_unit_test(lenient),        cmocka_unit_test(names),
	    cmocka_unit_test(include),   cmocka_unit_test(include_errors), cmocka_unit_test(scopes),
	    cmocka_unit_test(sniffing),  cmocka_unit_test(between_jails),  cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
