/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/: rc.conf and fstab, the Handbook's layout, and the faults of its chapter (numbers 9 to 16). */
#include "conf_help.h"

static const char three_rc[] =
    "jail_enable=\"YES\"\njail_set_hostname_allow=\"NO\"\njail_list=\"ns mail www\"\n"
    "jail_ns_hostname=\"ns.example.org\"\njail_ns_ip=\"192.168.3.17\"\n"
    "jail_ns_rootdir=\"/usr/home/j/ns\"\njail_ns_devfs_enable=\"YES\"\n"
    "jail_mail_hostname=\"mail.example.org\"\njail_mail_ip=\"192.168.3.18\"\n"
    "jail_mail_rootdir=\"/usr/home/j/mail\"\njail_mail_devfs_enable=\"YES\"\n"
    "jail_www_hostname=\"www.example.org\"\njail_www_ip=\"62.123.43.14\"\n"
    "jail_www_rootdir=\"/usr/home/j/www\"\njail_www_devfs_enable=\"YES\"\n";
static const char three_fstab[] =
    "/home/j/mroot /home/j/ns nullfs ro 0 0\n/home/j/mroot /home/j/mail nullfs ro 0 0\n"
    "/home/j/mroot /home/j/www nullfs ro 0 0\n/home/js/ns /home/j/ns/s nullfs rw 0 0\n"
    "/home/js/mail /home/j/mail/s nullfs rw 0 0\n/home/js/www /home/j/www/s nullfs rw 0 0\n";

static char *
one_line(const char *text)
{
	char *s = xstrdup(text);

	for (char *p = s; *p; p++)
		if (*p == '\n')
			*p = ' ';
	return s;
}

/* Variables as sh(1) would have them. */
static void
variable(struct conf *c, const char *name, const char *want)
{
	const struct shvar *found = NULL;

	for (size_t i = 0; i < c->rc.n; i++)
		if (streq(c->rc.v[i].name, name) && (!found || c->rc.v[i].seq > found->seq))
			found = &c->rc.v[i];
	if (!found)
		fail_msg("%s is not set", name);
	if (found->unknown)
		assert_null(want);
	else
		assert_string_equal(found->value, want);
}

static void
reading(void **state)
{
	struct conf *c = load_kind(
	    "a=1 b='two words' c=\"x $a ${b}\"; d=\\\"q\\ r # comment\n"
	    "  e=a#b f=$e\"$f\" g=\\\nh; export i='it'\"'s\" # x='y\n"
	    "j=\"line\\\none\" k=\"two\nlines\" l= m=\"\\$a \\x \\\"\" n=$(date) o=`id` p=$HOME q=\"$n\"\n"
	    "a=2 r=$a\nif true; then s=1; fi\nfoo() { t=1; }\nu=1 command\nv=$(echo $(echo ')')) w=3\n"
	    "x=${a:-3} y=1 | cat\n'z'=1 echo\nfor i in 1 2; do aa=1; done; ab=1",
	    CONF_RCCONF);

	(void)state;
	variable(c, "a", "2");
	variable(c, "b", "two words");
	variable(c, "c", "x 1 two words");
	variable(c, "d", "\"q r");
	variable(c, "e", "a#b");
	variable(c, "f", NULL); /* $f was not set before */
	variable(c, "g", "h");
	variable(c, "i", "it's");
	variable(c, "j", "lineone");
	variable(c, "k", "two\nlines");
	variable(c, "l", "");
	variable(c, "m", "$a \\x \"");
	variable(c, "n", NULL);
	variable(c, "o", NULL);
	variable(c, "p", NULL);
	variable(c, "q", NULL);
	variable(c, "r", "2");
	variable(c, "s", NULL);
	variable(c, "t", NULL);
	variable(c, "u", NULL);
	variable(c, "v", NULL);
	variable(c, "x", NULL);
	variable(c, "y", NULL);
	variable(c, "aa", NULL);
	variable(c, "ab", "1");
	assert_errors(c, ""); /* no jail_ variable is concerned */
	assert_true(conf_n_warnings(c) >= 4);
	conf_free(c);

	c = load_kind("jail_list=\"a\njail_a_ip=\"x\"\n", CONF_RCCONF);
	assert_int_equal(conf_error_at(c, 0)->line, 1);
	conf_free(c);
	c = load_kind("jail_list='a", CONF_RCCONF);
	assert_string_equal(conf_error_at(c, 0)->text, "unterminated string");
	conf_free(c);
}

/* What would execute something is an error where a jail's variable is concerned. */
static void
never_executed(void **state)
{
	static const char *const texts[] = {
	    "jail_list=$(ls)",     "jail_list=`ls`",         "jail_list=\"a $(ls)\"",
	    "jail_list=a && echo", "true || jail_list=a",    "if true; then jail_list=a; fi",
	    "jail_list=a echo",    "jail_list+=a",           "jail_list = a",
	    "jail_list=$unset",    "x=$(ls)\njail_list=$x",  "jail_list=${x:-a}",
	    "jail_list=$1",        "jail_list=a | cat",      "(jail_list=a)",
	    "{ jail_list=a; }",    "foo() { jail_list=a; }", "case x in x) jail_list=a;; esac"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct conf *c = load_kind(texts[i], CONF_RCCONF);

		if (conf_n_errors(c) == 0)
			fail_msg("no error for: %s", texts[i]);
		conf_free(c);
	}
}

static struct conf *
handbook(const char *rc, const char *fstab, const char *base)
{
	static struct mem_file files[3];

	files[0] = (struct mem_file){"/etc/rc.conf", rc, 0};
	files[1] = (struct mem_file){"/etc/fstab", fstab, 0};
	return load_files(files, base, base != NULL, fstab ? 2 : 1);
}

static void
assert_three(struct conf *c, const char *base)
{
	static const char *const names[] = {"ns", "mail", "www"};
	static const char *const addrs[] = {"192.168.3.17", "192.168.3.18", "62.123.43.14"};

	assert_string_equal(conf_base(c), base);
	assert_int_equal(conf_jails(c)->n, 3);
	for (size_t i = 0; i < 3; i++) {
		struct jailspec *s = spec_of(c, names[i]);
		_auto_free char *path = xasprintf("%s/j/%s", base, names[i]);
		_auto_free char *host = xasprintf("%s.example.org", names[i]);

		assert_string_equal(conf_jails(c)->v[i], names[i]); /* the order of jail_list (14) */
		assert_string_equal(s->hostname, host);
		assert_string_equal(s->path, path);
		assert_int_equal(s->root, ROOT_TEMPLATE);
		assert_string_equal(s->template, "mroot");
		assert_null(s->release);
		assert_int_equal(s->space, SPACE_DIR);
		assert_null(s->space_arg);
		assert_int_equal(s->n_mounts, 0);
		assert_string_equal(params_value(&s->params, "ip4.addr"), addrs[i]);
		assert_true(s->mount_devfs);
		assert_true(s->exec_clean);
		assert_true(s->persist);
		assert_false(s->allow.set_hostname);
		assert_string_equal(s->exec[EXEC_START].v[0], "/bin/sh /etc/rc");
		assert_string_equal(s->exec[EXEC_STOP].v[0], "/bin/sh /etc/rc.shutdown jail");
		assert_null(s->consolelog);
		jailspec_free(s);
	}
}

/* Faults 10, 11, 13, 14: the Handbook's files, the rc.conf also as one line; the base follows, or is ours. */
static void
as_the_handbook(void **state)
{
	_auto_free char *flat = one_line(three_rc);
	struct conf *c = handbook(three_rc, three_fstab, NULL);

	(void)state;
	assert_errors(c, "");
	assert_warnings(c, "");
	assert_three(c, "/home");
	conf_free(c);
	c = handbook(flat, three_fstab, NULL);
	assert_errors(c, "");
	assert_three(c, "/home");
	conf_free(c);
	c = handbook(three_rc, three_fstab, "/srv/brig");
	assert_errors(c, "");
	assert_three(c, "/srv/brig");
	conf_free(c);

	/* FreeBSD: /home is a link to /usr/home. */
	mem_links[0] = "/home";
	mem_links[1] = "/usr/home";
	{
		struct mem_file files[] = {{"/etc/rc.conf", three_rc, 0},
					   {"/etc/fstab", three_fstab, 0},
					   {"/usr/home", "", 0},
					   {NULL, NULL, 0}};

		c = load_files(files, NULL, false, 2);
		mem_links[0] = NULL;
		assert_errors(c, "");
		assert_three(c, "/usr/home");
		conf_free(c);
	}
	/* Linux after a move of /home: /usr/home is not there, /home is a link. */
	mem_links[0] = "/home";
	mem_links[1] = "/data/home";
	c = handbook(three_rc, three_fstab, NULL);
	mem_links[0] = NULL;
	assert_three(c, "/data/home");
	conf_free(c);
}

/* Fault 9: entries on one line are an error, and are understood all the same. */
static void
one_line_fstab(void **state)
{
	_auto_free char *flat = one_line(three_fstab);
	struct conf *c = handbook(three_rc, flat, NULL);

	(void)state;
	assert_errors(
	    c,
	    "1:40 36 fields on one line: these are several entries; put each of the 6 on a line of "
	    "its own (brig convert --split reads them as they are)");
	assert_string_equal(conf_error_at(c, 0)->file, "/etc/fstab");
	assert_null(conf_error_at(c, 0)->jail);
	assert_warnings(c, "");
	assert_three(c, "/home");
	conf_free(c);

	c = conf_new(&mem_input, "/b", false);
	conf_split_lines(c);
	conf_read(c, "/etc/rc.conf", CONF_AUTO);
	conf_read(c, "/etc/fstab", CONF_AUTO);
	conf_finish(c);
	assert_errors(c, "");
	assert_warnings(c, "1:40 36 fields on one line: taken as 6 entries");
	assert_three(c, "/home");
	conf_free(c);
	c = handbook(three_rc,
		     "/a /b ufs rw 0 0 extra\n\n/c /d ufs\n/e /f\n# /g\n/h /i ufs rw 0 0 # comment\n", NULL);
	assert_int_equal(conf_n_errors(c), 2);
	assert_string_equal(conf_error_at(c, 0)->text, "7 fields on one line, where an entry has 6");
	assert_int_equal(conf_error_at(c, 0)->line, 1);
	assert_int_equal(conf_error_at(c, 0)->col, 18);
	assert_string_equal(conf_error_at(c, 1)->text,
			    "missing information: device, directory and type are needed");
	assert_int_equal(conf_error_at(c, 1)->line, 4);
	conf_free(c);
}

/* Fault 12: no address is no network, said plainly. */
static void
no_address(void **state)
{
	struct conf *c =
	    handbook("jail_list=a\njail_a_hostname=a\njail_a_rootdir=/home/j/a\njail_a_ip=\"\"\n",
		     "/home/j/mroot /home/j/a nullfs ro\n/home/js/a /home/j/a/s nullfs rw\n", NULL);
	struct jailspec *s = spec_of(c, "a");

	(void)state;
	assert_warnings(c, "4:11 jail 'a' has no address: its network is loopback only (jail_a_ip)");
	assert_int_equal(s->ip4, SHARE_DISABLE);
	assert_int_equal(s->ip6, SHARE_DISABLE);
	assert_int_equal(s->n_addrs, 0);
	assert_false(s->vnet);
	jailspec_free(s);
	conf_free(c);
	c = handbook("jail_list=a\njail_a_hostname=a\njail_a_rootdir=/r\njail_a_vnet_interface=\"e0 e1\"\n",
		     NULL, NULL);
	s = spec_of(c, "a");
	assert_true(s->vnet);
	assert_int_equal(s->vnet_interface.n, 2);
	assert_int_equal(s->root, ROOT_PATH);
	jailspec_free(s);
	conf_free(c);
}

/* Fault 15: a name without variables is an error that names it; 16: names that cannot be. */
static void
names(void **state)
{
	struct conf *c =
	    handbook("jail_list=\"one two skel a.b a_b web-1 web_1 ../x -a one\"\n"
		     "jail_two_hostname=x\njail_skel_hostname=s jail_skel_rootdir=/s\n"
		     "jail_a_b_hostname=h jail_a_b_rootdir=/ab jail_web_1_hostname=w jail_web_1_rootdir=/w\n",
		     NULL, NULL);

	(void)state;
	assert_errors(c, "1:12 jail 'one' is in jail_list, but nothing defines it (jail_one_rootdir, "
			 "jail_one_hostname)\n"
			 "1:16 jail 'two': jail_two_rootdir is not set\n"
			 "1:20 jail 'skel': the name is reserved for templates and skeletons (mroot, mroot2, "
			 "mroot.DATE, skel)\n"
			 "1:29 jail 'a_b': another jail of jail_list has the same variables, jail_a_b_*\n"
			 "1:39 jail 'web_1': another jail of jail_list has the same variables, jail_web_1_*\n"
			 "1:45 jail '../x': the name does not begin with a letter or a digit\n"
			 "1:50 jail '-a': the name does not begin with a letter or a digit\n"
			 "1:53 jail 'one': another jail of jail_list has the same variables, jail_one_*");
	assert_true(conf_has(c, "a_b")); /* rc.d/jail's name of a.b */
	assert_true(conf_has(c, "web-1"));
	assert_false(conf_has(c, "a.b"));
	conf_free(c);

	c = handbook(
	    "jail_enable=NO\njail_b_hostname=b jail_b_rootdir=/b\njail_a_hostname=a jail_a_rootdir=/a\n",
	    NULL, NULL);
	assert_errors(c, "");
	assert_string_equal(conf_jails(c)->v[0], "b");
	assert_int_equal(conf_jails(c)->n, 2);
	assert_int_equal(conf_n_warnings(c), 4);
	conf_free(c);

	/* A listed jail may stand in a jail.conf beside it. */
	{
		struct mem_file files[] = {{"/etc/rc.conf", "jail_list=\"x y\"", 0},
					   {"/etc/jail.conf", "x { persist; } z { }", 0},
					   {"/etc/jail.conf.d/y.conf", "y { }", 0},
					   {NULL, NULL, 0}};

		c = load_files(files, NULL, false, 1);
		assert_errors(c, "");
		assert_int_equal(conf_jails(c)->n, 3);
		conf_free(c);
	}
}

static void
parameter(struct conf *c, const char *jail, const char *name, const char *want)
{
	struct jailspec *s = spec_of(c, jail);
	const struct param *p = params_get(&s->params, name);
	_auto_free char *got = p ? strv_join(&p->values, "|") : xstrdup("-");

	if (p && p->values.n == 0)
		assert_string_equal("(set)", want);
	else
		assert_string_equal(got, want);
	jailspec_free(s);
}

static void
translation(void **state)
{
	struct conf *c = handbook(
	    "jail_list=\"a b\"\njail_interface=lo1\njail_devfs_enable=NO\njail_exec_poststart0=\"global\"\n"
	    "jail_a_hostname=a.x jail_a_rootdir=/ra jail_a_ip=\"10.0.0.1,em0|fd00::2/64\"\n"
	    "jail_a_ip_multi0=10.0.0.2 jail_a_ip_multi1='10.0.0.3 netmask 255.255.255.0' "
	    "jail_a_ip_multi3=10.0.0.9\n"
	    "jail_a_exec_start='/bin/s $HOME' jail_a_exec_afterstart1=after jail_a_exec_prestart0=p0 "
	    "jail_a_exec_prestart1=p1\njail_a_exec_poststart0=own\n"
	    "jail_a_consolelog=/var/log/a.log jail_a_fdescfs_enable=yes jail_a_devfs_ruleset=5 "
	    "jail_a_enforce_statfs=1\n"
	    "jail_a_set_hostname_allow=YES jail_a_sysvipc_allow=1 jail_a_socket_unixiproute_only=NO\n"
	    "jail_a_parameters=\"allow.raw_sockets=1; exec.prestop='a b' stop.timeout=3\"\njail_a_flags='-l "
	    "-U www -n x'\n"
	    "jail_b_hostname='b.x' jail_b_rootdir=/rb jail_b_ip=10.0.0.4 jail_b_exec=/one "
	    "jail_b_devfs_enable=maybe\n"
	    "jail_b_mount_enable=YES jail_b_devfs_ruleset=own_rules jail_b_fib=1 jail_b_hostnam=typo\n",
	    NULL, NULL);

	(void)state;
	assert_errors(c, "14:84 jail_b_hostnam: unknown variable");
	parameter(c, "a", "host.hostname", "a.x");
	parameter(c, "a", "path", "/ra");
	parameter(c, "a", "ip4.addr", "10.0.0.1|10.0.0.2|10.0.0.3 netmask 255.255.255.0");
	parameter(c, "a", "ip6.addr", "em0|fd00::2/64");
	parameter(c, "a", "interface", "lo1");
	parameter(c, "a", "mount.devfs", "false");
	parameter(c, "a", "mount.fdescfs", "(set)");
	parameter(c, "a", "exec.prestart", "p0|p1");
	parameter(c, "a", "exec.start", "/bin/s $HOME|after");
	parameter(c, "a", "exec.stop", "-");
	parameter(c, "a", "exec.poststart", "own");
	parameter(c, "a", "exec.prestop", "a b");
	parameter(c, "a", "exec.consolelog", "/var/log/a.log");
	parameter(c, "a", "devfs_ruleset", "5");
	parameter(c, "a", "enforce_statfs", "1");
	parameter(c, "a", "allow.set_hostname", "(set)");
	parameter(c, "a", "allow.sysvipc", "(set)");
	parameter(c, "a", "allow.socket_af", "(set)");
	parameter(c, "a", "allow.raw_sockets", "(set)");
	parameter(c, "a", "stop.timeout", "3");
	parameter(c, "a", "exec.jail_user", "www");
	parameter(c, "b", "exec.start", "/one");
	parameter(c, "b", "exec.stop", "");
	parameter(c, "b", "exec.poststart", "global");
	parameter(c, "b", "mount.devfs", "false");
	parameter(c, "b", "allow.mount", "-");
	parameter(c, "b", "allow.set_hostname", "false");
	{
		_auto_free char *w = messages_text(c, true, NULL);

		assert_non_null(strstr(w, "jail_a_ip_multi3 is not used: a number before it is missing"));
		assert_non_null(strstr(w, "jail_b_devfs_enable is not set properly: it counts as NO"));
		assert_non_null(strstr(w, "jail_b_mount_enable is taken as before FreeBSD 10"));
		assert_non_null(strstr(w, "the ruleset 'own_rules' is not known here"));
		assert_non_null(strstr(w, "exec.fib: has no effect here"));
	}
	conf_free(c);
	c = handbook("jail_list=a jail_a_hostname=a jail_a_rootdir=/a jail_a_ip=localhost\n", NULL, NULL);
	assert_errors(c, "1:59 ip4.addr: 'localhost': not an IPv4 address");
	conf_free(c);
}

/* The layout in all its forms: pinned and other templates, other jailspaces, more mounts, lines missing. */
static void
layout(void **state)
{
	struct conf *c = handbook(
	    "jail_list=\"a b c d e\"\n"
	    "jail_a_hostname=a jail_a_rootdir=/home/j/a jail_a_ip=10.0.0.1\njail_b_hostname=b "
	    "jail_b_rootdir=/home/j/b jail_b_ip=10.0.0.2\n"
	    "jail_c_hostname=c jail_c_rootdir=/home/j/c jail_c_ip=10.0.0.3\njail_d_hostname=d "
	    "jail_d_rootdir=/home/j/d jail_d_ip=10.0.0.4\n"
	    "jail_e_hostname=e jail_e_rootdir=/jails/e jail_e_ip=10.0.0.5\n",
	    "/home/j/mroot.20060601 /home/j/a nullfs ro 0 0\n/big/a /home/j/a/s nullfs rw 0 0\n"
	    "/usr/ports\t/home/j/a/usr/ports nullfs ro 0 0\n/home/js/my\\040data /home/j/a/s/data nullfs rw\n"
	    "/home/j/web /home/j/b nullfs ro\n/dev/ada1p3 /home/j/b/s ufs rw\n"
	    "/home/j/mroot /home/j/c none bind,ro\ntmpfs /home/j/c/s tmpfs rw,size=64m\n"
	    "/dev/ada0p2 / ufs rw 1 1\n/home/js/zz /home/j/zz/s nullfs rw 0 0\n/home/j/mroot /home/j/ab "
	    "nullfs ro 0 0\n",
	    "/base");
	struct jailspec *s = spec_of(c, "a");

	(void)state;
	assert_errors(c, "");
	assert_string_equal(s->template, "mroot");
	assert_string_equal(s->release, "20060601");
	assert_string_equal(s->space_arg, "/big/a");
	assert_int_equal(s->n_mounts, 2);
	assert_string_equal(s->mounts[0].target, "/base/j/a/usr/ports");
	assert_string_equal(s->mounts[0].source, "/usr/ports");
	assert_string_equal(s->mounts[0].where, "/etc/fstab:3");
	assert_string_equal(s->mounts[1].source, "/base/js/my data");
	assert_string_equal(s->mounts[1].target, "/base/j/a/s/data");
	jailspec_free(s);
	s = spec_of(c, "b");
	assert_string_equal(s->template, "web");
	assert_int_equal(s->space, SPACE_DEVICE);
	assert_string_equal(s->space_arg, "/dev/ada1p3");
	jailspec_free(s);
	s = spec_of(c, "c");
	assert_int_equal(s->space, SPACE_TMPFS);
	assert_int_equal(s->space_size, 64 << 20);
	jailspec_free(s);
	s = spec_of(c, "d");
	assert_int_equal(s->root, ROOT_TEMPLATE);
	assert_string_equal(s->template, "mroot");
	assert_string_equal(s->path, "/base/j/d");
	jailspec_free(s);
	s = spec_of(c, "e");
	assert_int_equal(s->root, ROOT_PATH);
	assert_string_equal(s->path, "/jails/e");
	jailspec_free(s);
	assert_warnings(c, "1:18 no fstab line mounts a template on /home/j/d: the template mroot is used\n"
			   "1:18 no fstab line mounts a jailspace on /home/j/d/s: js/d is used");
	conf_free(c);

	/* Two bases in one configuration cannot be; with -b both are taken as below it. */
	c = handbook("jail_list=\"a b\" jail_a_hostname=a jail_a_rootdir=/home/j/a jail_a_ip=10.0.0.1\n"
		     "jail_b_hostname=b jail_b_rootdir=/srv/j/b jail_b_ip=10.0.0.2\n",
		     "/home/j/mroot /home/j/a nullfs ro\n/srv/j/mroot /srv/j/b nullfs ro\n", NULL);
	assert_errors(
	    c,
	    "1:14 jail 'b' is below /srv, but jail 'a' is below /home: one configuration has one base (-b)");
	conf_free(c);
}

/* Fault 11, 13 in jail.conf's form, and a base that jail.conf says. */
static void
jail_conf_layout(void **state)
{
	static const char modern[] =
	    "$j = /usr/home/j; path = \"$j/$name\"; mount = \"$j/mroot $path nullfs ro 0 0\";"
	    "mount += \"/usr/home/js/$name $path/s nullfs rw 0 0\"; a { } b { mount += '/d /home/j/b/d "
	    "nullfs'; }";
	struct conf *c = load(modern);
	struct jailspec *s = spec_of(c, "b");

	(void)state;
	assert_errors(c, "");
	assert_string_equal(conf_base(c), "/home");
	assert_int_equal(s->root, ROOT_TEMPLATE);
	assert_null(s->space_arg);
	assert_int_equal(s->n_mounts, 1);
	jailspec_free(s);
	conf_free(c);

	c = load("template = mroot; path = \"/home/j/$name\"; a { } b { }");
	assert_string_equal(conf_base(c), "/home");
	conf_free(c);
	/* Not when another jail lives below the usual base. */
	c = load("a { template = mroot; path = /home/j/a; } b { }");
	assert_string_equal(conf_base(c), "/var/lib/brig");
	conf_free(c);
	c = load("a { template = web; path = /home/j/a; mount = '/home/j/mroot /home/j/a nullfs ro'; }");
	assert_errors(c, "1:16 template: 'web', but 'mroot' is mounted on the jail's root");
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reading),          cmocka_unit_test(never_executed),
	    cmocka_unit_test(as_the_handbook),  cmocka_unit_test(one_line_fstab),
	    cmocka_unit_test(no_address),       cmocka_unit_test(names),
	    cmocka_unit_test(translation),      cmocka_unit_test(layout),
	    cmocka_unit_test(jail_conf_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
