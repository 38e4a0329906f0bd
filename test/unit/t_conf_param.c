/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/: the parameter table, types and defaults, what a specification gets, what jls shows. */
#include "conf_help.h"
#include "base/num.h"

#include "conf/table.h"
#include "conf/value.h"

static void
table(void **state)
{
	bool no = false;

	(void)state;
	for (size_t i = 0; i < param_table_len; i++) {
		const struct param_def *d = &param_table[i];

		assert_ptr_equal(param_find(d->name, &no), d);
		assert_false(no);
		assert_true(strlen(d->help) > 3);
		if (d->flags & PARAM_IGNORED)
			assert_non_null(d->refused); /* the reason */
		for (size_t k = i + 1; k < param_table_len; k++)
			assert_string_not_equal(d->name, param_table[k].name);
	}
	assert_string_equal(param_find("allow.nomount.zfs", &no) ? "y" : "n", "n");
	assert_string_equal(param_find("allow.mount.nozfs", &no)->name, "allow.mount.zfs");
	assert_true(no);
	assert_string_equal(param_find("nopersist", &no)->name, "persist");
	assert_true(no);
	assert_null(param_find("noname", &no));
	assert_null(param_find("", &no));
	assert_null(param_find("meta.", &no));
	assert_string_equal(param_find("meta.a.b", &no)->name, "meta");
	assert_string_equal(param_find("env.X", &no)->name, "env");
	assert_string_equal(param_near("exec.stat"), "exec.start");
	assert_string_equal(param_near("ip4.adr"), "ip4.addr");
	assert_null(param_near("frobnicate"));
}

static void
listen_values(void)
{
	static const char *const wrong[] = {
	    "",
	    "tcp",
	    "sctp 80",
	    "tcp 0",
	    "tcp 65536",
	    "tcp 80 a b",
	    "tcp :80",
	    "tcp 192.0.2.1",
	    "tcp 192.0.2:80",
	    "tcp 2001:db8::1:80",
	    "tcp [::1]",
	    "tcp [::1]80",
	    "tcp [::1:80",
	    "tcp ::1]:80",
	    "tcp [192.0.2.1]:80",
	    "tcp *:80",
	    "tcp 80 a:b",
	    "tcp +80",
	    "tcp []:80",
	    "unix /run/x.sock",
	    "tcp 80 \033[m",
	    "tcp x[::1]:80",
	    "tcp [::1]:80:81",
	    "tcp 1.2.3.4:5:6",
	};
	struct spec_listen l;
	char name[80] = "tcp 80 ";

	assert_null(value_listen("TCP  80", &l));
	assert_int_equal(l.proto, IPPROTO_TCP);
	assert_int_equal(l.family, AF_UNSPEC);
	assert_int_equal(l.port, 80);
	assert_null(l.name);
	assert_null(value_listen("udp 192.0.2.1:53 dns-4", &l));
	assert_int_equal(l.proto, IPPROTO_UDP);
	assert_int_equal(l.family, AF_INET);
	assert_int_equal(l.addr.s6_addr[3], 1);
	assert_int_equal(l.port, 53);
	assert_string_equal(l.name, "dns-4");
	free(l.name);
	assert_null(value_listen("tcp [2001:db8::1]:65535", &l));
	assert_int_equal(l.family, AF_INET6);
	assert_int_equal(l.addr.s6_addr[15], 1);
	assert_int_equal(l.port, 65535);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		if (!value_listen(wrong[i], &l))
			fail_msg("'%s' was taken", wrong[i]);
	memset(name + 7, 'n', 63);
	assert_null(value_listen(name, &l));
	free(l.name);
	name[7 + 63] = 'n';
	assert_non_null(value_listen(name, &l));
}

static void
values(void **state)
{
	struct spec_addr a;
	struct spec_rdr r;
	uint64_t u;
	char *extra;
	bool b;
	int n;

	(void)state;
	assert_int_equal(value_bool("TrUe", &b), 0);
	assert_true(b);
	assert_int_equal(value_bool("", &b), 0);
	assert_false(b);
	assert_int_equal(value_bool("-00", &b), 0);
	assert_false(b);
	assert_int_equal(value_bool("-1", &b), 0);
	assert_true(b);
	assert_int_equal(value_bool("yes", &b), -EINVAL);
	assert_int_equal(value_bool("-", &b), -EINVAL);
	assert_int_equal(value_bool("1x", &b), -EINVAL);
	assert_int_equal(num_int("0x10", 0, 99, &n), -EINVAL);
	assert_int_equal(num_int("-1", -1, 3, &n), 0);
	assert_int_equal(n, -1);
	assert_int_equal(num_int("4", -1, 3, &n), -ERANGE);
	assert_int_equal(num_int("99999999999", 0, 99, &n), -ERANGE);
	assert_int_equal(value_cpu("0.5", &u), 0);
	assert_int_equal(u, 500);
	assert_int_equal(value_cpu("150%", &u), 0);
	assert_int_equal(u, 1500);
	assert_int_equal(value_cpu("12.5%", &u), 0);
	assert_int_equal(u, 125);
	assert_int_equal(value_cpu("2", &u), 0);
	assert_int_equal(u, 2000);
	assert_int_equal(value_cpu("0.0001", &u), -ERANGE);
	assert_int_equal(value_cpu(".5", &u), -EINVAL);
	assert_int_equal(value_cpu("1.", &u), -EINVAL);
	assert_int_equal(value_cpu("1%%", &u), -EINVAL);
	assert_int_equal(value_rate("10m/s", &u), 0);
	assert_int_equal(u, 10 << 20);
	assert_int_equal(value_rate("/s", &u), -EINVAL);
	assert_null(value_rdr("TCP 8080  80", &r));
	assert_int_equal(r.host_port, 8080);
	assert_int_equal(r.jail_port, 80);
	assert_null(value_rdr("udp 53", &r));
	assert_int_equal(r.proto, IPPROTO_UDP);
	assert_int_equal(r.jail_port, 53);
	assert_non_null(value_rdr("tcp", &r));
	assert_non_null(value_rdr("icmp 1", &r));
	assert_non_null(value_rdr("tcp 65536", &r));
	assert_non_null(value_rdr("tcp 1 2 3", &r));
	listen_values();
	assert_null(
	    value_addr("em0|10.0.0.1/255.255.255.0 alias netmask 255.255.0.0 up", AF_INET, &a, &extra));
	assert_int_equal(a.prefix, 16);
	assert_string_equal(a.interface, "em0");
	assert_string_equal(extra, "up");
	free(a.interface);
	free(extra);
	assert_null(value_addr("fd00::2/64", AF_INET6, &a, &extra));
	assert_int_equal(a.prefix, 64);
	assert_null(a.interface);
	assert_non_null(value_addr("10.0.0.1/33", AF_INET, &a, &extra));
	assert_non_null(value_addr("10.0.0.1/255.0.255.0", AF_INET, &a, &extra));
	assert_non_null(value_addr("0.0.0.0", AF_INET, &a, &extra));
	assert_non_null(value_addr("255.255.255.255", AF_INET, &a, &extra));
	assert_non_null(value_addr("224.0.0.1", AF_INET, &a, &extra));
	assert_non_null(value_addr("::", AF_INET6, &a, &extra));
	assert_non_null(value_addr("|10.0.0.1", AF_INET, &a, &extra));
	assert_non_null(value_addr("10.1", AF_INET, &a, &extra));
	assert_non_null(value_addr("", AF_INET, &a, &extra));
}

static void
defaults(void **state)
{
	struct conf *c = load("a { }");
	struct jailspec *s = spec_of(c, "a");

	(void)state;
	assert_int_equal(s->root, ROOT_TEMPLATE);
	assert_string_equal(s->template, "mroot");
	assert_null(s->release);
	assert_string_equal(s->path, "/var/lib/brig/j/a");
	assert_int_equal(s->space, SPACE_DIR);
	assert_null(s->space_arg);
	assert_string_equal(s->hostname, "a");
	assert_int_equal(s->ip4, SHARE_DISABLE);
	assert_int_equal(s->ip6, SHARE_DISABLE);
	assert_int_equal(s->host, SHARE_NEW);
	assert_int_equal(s->sysvipc, SHARE_NEW);
	assert_int_equal(s->stop_timeout, 10);
	assert_int_equal(s->undo_keep, 2);
	assert_int_equal(s->undo_age, 0);
	assert_int_equal(s->devfs_ruleset, 4);
	assert_int_equal(s->enforce_statfs, 2);
	assert_int_equal(s->securelevel, -1);
	assert_true(s->mount_devfs && s->mount_fdescfs && s->mount_procfs);
	assert_true(s->allow.set_hostname && s->allow.reserved_ports);
	assert_false(s->allow.proc_debug);
	assert_false(s->allow.raw_sockets || s->allow.suid || s->persist || s->exec_clean);
	assert_string_equal(s->where, "f:1");
	jailspec_free(s);
	conf_free(c);
}

struct root_case {
	const char *text;
	enum spec_root root;
	const char *path, *template, *release;
};

static void
roots(void **state)
{
	static const struct root_case cases[] = {
	    {"a { path = /x; }", ROOT_PATH, "/x", NULL, NULL},
	    {"a { path = /var/lib/brig/j/a; }", ROOT_TEMPLATE, "/var/lib/brig/j/a", "mroot", NULL},
	    {"a { path = /var/lib/brig/j/b; }", ROOT_PATH, "/var/lib/brig/j/b", NULL, NULL},
	    {"a { path = /x; template = web; }", ROOT_TEMPLATE, "/x", "web", NULL},
	    {"a { template = 'web/20260101.1'; }", ROOT_TEMPLATE, "/var/lib/brig/j/a", "web", "20260101.1"},
	    {"a { path = '/x//y/./z/'; }", ROOT_PATH, "/x/y/z", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct root_case *k = &cases[i];
		struct conf *c = load(k->text);
		struct jailspec *s = spec_of(c, "a");

		assert_int_equal(s->root, k->root);
		assert_string_equal(s->path, k->path);
		assert_string_equal(s->template ? s->template : "-", k->template ? k->template : "-");
		assert_string_equal(s->release ? s->release : "-", k->release ? k->release : "-");
		jailspec_free(s);
		conf_free(c);
	}
	assert_refused("a { path = /x/../y; }", "1:12 path '/x/../y': '..' is not permitted");
	assert_refused("a { path = x; }", "1:12 path 'x': not an absolute pathname");
	assert_refused("a { path = /x; space = /y; }",
		       "1:24 space: needs a template: without one, '/x' itself is the jail's root");
	assert_refused("a { template = '..'; }",
		       "1:16 template '..': the name does not begin with a letter or a digit");
	assert_refused("a { template = 'x/'; }", "1:16 release '': the name is empty");
}

struct space_case {
	const char *text;
	enum spec_space space;
	const char *arg;
	uint64_t size;
};

static void
spaces(void **state)
{
	static const struct space_case cases[] = {
	    {"a { space = /var/lib/brig/js/a/; }", SPACE_DIR, NULL, 0},
	    {"a { space = /data/a; }", SPACE_DIR, "/data/a", 0},
	    {"a { space = 'image:/x/a.img'; space.size = 64M; }", SPACE_IMAGE, "/x/a.img", 64 << 20},
	    {"a { space = 'device:/dev/vg/a'; }", SPACE_DEVICE, "/dev/vg/a", 0},
	    {"a { space = 'tmpfs:64k'; }", SPACE_TMPFS, NULL, 64 << 10},
	    {"a { space = tmpfs; space.size = 1m; }", SPACE_TMPFS, NULL, 1 << 20},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conf *c = load(cases[i].text);
		struct jailspec *s = spec_of(c, "a");

		assert_int_equal(s->space, cases[i].space);
		assert_string_equal(s->space_arg ? s->space_arg : "-", cases[i].arg ? cases[i].arg : "-");
		assert_int_equal(s->space_size, cases[i].size);
		jailspec_free(s);
		conf_free(c);
	}
	assert_refused("a { space = tmpfs; }", "1:13 space: tmpfs needs a size (tmpfs:64m)");
	assert_refused("a { space = x; }",
		       "1:13 space: 'x': a directory, image:FILE, device:DEVICE (absolute "
		       "pathnames) or tmpfs:SIZE");
	assert_refused("a { space.size = 1m; }",
		       "1:18 space.size: only an image or tmpfs jailspace has a size of its own");
}

static void
network(void **state)
{
	struct conf *c = load(
	    "a { ip4.addr = '10.0.0.1,10.0.0.2/8', '10.0.0.3'; ip6.addr = '::1:2'; nat; rdr = 'tcp 80'; }\n"
	    "b { ip4 = inherit; ip6 = inherit; } v { vnet; vnet.interface = e0b, e1b; } n { ip4 = new; }\n"
	    "h { ip_hostname; host.hostname = www.example.org; ip4.addr = 192.0.2.1; }\n"
	    "w { ip4 = inherit; ip4.addr = 192.0.2.9; } e { ip4.addr = ''; }");
	struct jailspec *s = spec_of(c, "a");

	(void)state;
	assert_int_equal(s->n_addrs, 4);
	assert_int_equal(s->addrs[1].prefix, 8);
	assert_int_equal(s->addrs[3].family, AF_INET6);
	assert_int_equal(s->ip6, SHARE_NEW);
	assert_true(s->nat);
	assert_int_equal(s->n_rdr, 1);
	jailspec_free(s);
	s = spec_of(c, "b");
	assert_int_equal(s->ip4, SHARE_INHERIT);
	jailspec_free(s);
	s = spec_of(c, "v");
	assert_true(s->vnet);
	assert_int_equal(s->vnet_interface.n, 2);
	jailspec_free(s);
	s = spec_of(c, "n");
	assert_int_equal(s->ip4, SHARE_NEW);
	assert_int_equal(s->n_addrs, 0);
	jailspec_free(s);
	s = spec_of(c, "h");
	assert_int_equal(s->n_addrs, 3);
	assert_string_equal(params_value(&s->params, "ip_hostname"),
			    "false"); /* what was found is recorded */
	assert_string_equal(params_value(&s->params, "ip6.addr"), "2001:db8::7");
	jailspec_free(s);
	s = spec_of(c, "w");
	assert_int_equal(s->ip4, SHARE_NEW);
	jailspec_free(s);
	s = spec_of(c, "e");
	assert_int_equal(s->ip4, SHARE_NEW);
	assert_int_equal(s->n_addrs, 0);
	jailspec_free(s);
	assert_warnings(c, "4:11 ip4: 'inherit' has no effect: with addresses it is new");
	conf_free(c);

	assert_refused("a { vnet; ip4 = inherit; }",
		       "1:17 ip4: vnet jails cannot have IP address restrictions");
	assert_refused("a { vnet = disable; }", "1:12 vnet: is new or inherit");
	assert_refused("a { ip4.addr = 10.0.0.1, 10.0.0.1; }", "1:26 ip4.addr: 10.0.0.1 is given twice");
	assert_refused("a { ip4.addr = 'a b|10.0.0.1'; }",
		       "1:16 ip4.addr: 'a b|10.0.0.1': the name of an interface must stand before '|'");
	assert_refused("a { ip4.addr = '../x|10.0.0.1'; }",
		       "1:16 ip4.addr: '../x' is not the name of an interface");
	assert_refused("a { rdr = 'tcp 80'; }",
		       "1:11 rdr: needs an address of the jail's own (ip4.addr, ip6.addr)");
	assert_refused("a { ip_hostname; host.hostname = gone; }", "1:5 ip_hostname: 'gone' has no address");
	assert_refused("a { ip4 = inherit; ip6.addr = '::5'; }",
		       "1:11 ip4: inherit shares the host's whole network here; the jail cannot have "
		       "addresses of its own");
	assert_refused("a { ip4 = on; }", "1:11 ip4: 'on' is not disable, new or inherit");
	assert_refused("a { interface = '-x y'; }", "1:17 interface: '-x y' is not the name of an interface");
}

static void
listeners(void **state)
{
	_auto_buf struct buf many = BUF_INIT;
	struct conf *c = load(
	    "service = s; a { ip4.addr = 10.0.0.1; listen = 'tcp 80, udp 10.0.0.1:53 dns', "
	    "'tcp 127.0.0.1:81', 'tcp [::]:80', 'tcp 0.0.0.0:80', 'udp 80'; }\n"
	    "b { ip4 = inherit; listen = 'tcp 192.0.2.9:80'; } v { vnet; listen = 'tcp 192.0.2.9:80'; }\n"
	    "l { listen = 'tcp 80'; listen += 'tcp 81'; }");
	_auto_free char *text = NULL;
	struct jailspec *s = spec_of(c, "a");

	(void)state;
	assert_int_equal(s->n_listen, 6);
	assert_string_equal(s->listen[1].name, "dns");
	assert_int_equal(s->listen[5].proto, IPPROTO_UDP);
	text = conf_print_jail(s);
	assert_non_null(strstr(text, "\tlisten = \"tcp 80, udp 10.0.0.1:53 dns\",\n"));
	jailspec_free(s);
	for (size_t i = 0; i < 2; i++) {
		s = spec_of(c, i ? "v" : "b");
		assert_int_equal(s->n_listen, 1);
		jailspec_free(s);
	}
	s = spec_of(c, "l");
	assert_int_equal(s->n_listen, 2);
	jailspec_free(s);
	conf_free(c);
	assert_refused("a { listen = 'tcp 80'; }",
		       "1:14 listen: needs service: the sockets are for the services of the jail");
	assert_refused("service = s; a { ip4.addr = 10.0.0.1; listen = 'tcp 10.0.0.2:80'; }",
		       "1:48 listen: 'tcp 10.0.0.2:80': the jail does not have this address");
	assert_refused("service = s; a { listen = 'tcp [2001:db8::1]:80'; }",
		       "1:27 listen: 'tcp [2001:db8::1]:80': the jail does not have this address");
	assert_refused("service = s; a { listen = 'tcp 80', 'TCP 80 again'; }",
		       "1:37 listen: 'TCP 80 again': is given twice");
	assert_refused("service = s; a { listen = 'unix /run/x'; }",
		       "1:27 listen: 'unix /run/x': a socket in the file system is one of the jail's own "
		       "files: the service has to make it");
	buf_adds(&many, "service = s; a { listen = ");
	for (int i = 1; i <= 65; i++)
		buf_addf(&many, "%s'tcp %d'", i > 1 ? "," : "", i);
	buf_adds(&many, "; }");
	assert_refused(many.s, "1:594 listen: 'tcp 65': a jail has at most 64 sockets");
}

static void
refused(void **state)
{
	static const char *const harmless = "a { children.max = 0; allow.nomount; allow.mount.zfs = 0; "
					    "allow.vmm = false; allow.noquotas; zfs.dataset = '';"
					    " mac.do = disable; allow.suser; allow.nfsd = 0; "
					    "zfs.mount_snapshot = 0; linux = disable; exec.fib = 0; }";
	struct conf *c = load(harmless);

	(void)state;
	assert_errors(c, "");
	assert_warnings(c, "");
	conf_free(c);
	assert_refused("a { allow.mount; }",
		       "1:5 allow.mount: cannot be switched on here: a jail cannot mount here: give "
		       "it the file system with `mount`");
	assert_refused("a { allow.nosuser; }",
		       "1:5 allow.suser: cannot be switched off here: root of a jail always has the "
		       "jail's own rights here");
	assert_refused("a { children.max = 1; }",
		       "1:20 children.max: 1 cannot be used here: jails inside jails are not supported");
	assert_refused("a { parent = 3; }", "1:14 parent: can only be read");
	c = load("a { allow.chflags; ip4.nosaddrsel; osrelease = x; env.A = b; devfs_ruleset = 11; "
		 "exec.timeout; }");
	assert_errors(c, "");
	assert_int_equal(conf_n_warnings(c), 6);
	conf_free(c);
	for (size_t i = 0; i < param_table_len; i++) {
		/* Every refused one is refused in a jail.conf, too: by name, with the reason. */
		const struct param_def *d = &param_table[i];
		_auto_free char *text = NULL;

		if (!d->refused || d->flags & PARAM_IGNORED)
			continue;
		text = xasprintf("a { %s = %s; }", d->name,
				 d->type == PARAM_BOOL    ? (param_default(d) ? "0" : "1")
				 : d->type == PARAM_SHARE ? "new"
							  : "7");
		c = load(text);
		assert_int_equal(conf_n_errors(c), 1);
		assert_non_null(strstr(conf_error_at(c, 0)->text, d->name));
		assert_non_null(strstr(conf_error_at(c, 0)->text, d->refused));
		conf_free(c);
	}
}

static void
types(void **state)
{
	(void)state;
	assert_refused("a { securelevel = 4; }", "1:19 securelevel: 4 is not between -1 and 3");
	assert_refused("a { enforce_statfs = 3; }", "1:22 enforce_statfs: 3 is not between 0 and 2");
	assert_refused("a { exec.timeout = -1; }", "1:20 exec.timeout: -1 is not between 0 and 2147483647");
	assert_refused("a { host.hostname; }", "1:5 host.hostname: needs a value");
	assert_refused("a { host.hostname = 'a\nb'; }",
		       "1:21 host.hostname: a host name has letters, digits, '.', '-' and '_' only");
	assert_refused("a { exec.consolelog = log; }",
		       "1:23 exec.consolelog: 'log': not an absolute pathname");
	assert_refused("a { limit.memory = 0; }", "1:20 limit.memory: '0' is not a size (64m, 2g)");
	assert_refused("a { limit.pids = 0; }", "1:18 limit.pids: 0 is not between 1 and 2147483647");
	assert_refused("a { host = disable; }", "1:12 host: is new or inherit");
	assert_refused("a { host.hostid = 0x1; }", "1:19 host.hostid: '0x1' is not a decimal number");
	assert_refused("a { jid = 1000000; }", "1:11 jid: 1000000 is not between 1 and 999999");
}

/* How long rollback data is kept. */
static void
undo(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} ages[] = {{"1s", 1}, {"30m", 1800}, {"12h", 43200}, {"90d", 7776000}, {"8w", 4838400},
		    {"2147483647w", INT64_C(2147483647) * 604800}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
		_auto_free char *text = xasprintf("a { undo.keep = 0; undo.age = %s; }", ages[i].text);
		struct conf *c = load(text);
		struct jailspec *s = spec_of(c, "a");

		assert_int_equal(s->undo_keep, 0);
		assert_int_equal(s->undo_age, ages[i].seconds);
		assert_string_equal(params_value(&s->params, "undo.age"), ages[i].text);
		jailspec_free(s);
		conf_free(c);
	}
	assert_refused("a { undo.age = 90; }",
		       "1:16 undo.age: '90' is not a time above 0 with its unit (30m, 12h, 90d, 8w)");
	assert_refused("a { undo.age = 0d; }",
		       "1:16 undo.age: '0d' is not a time above 0 with its unit (30m, 12h, 90d, 8w)");
	assert_refused("a { undo.age = d; }",
		       "1:16 undo.age: 'd' is not a time above 0 with its unit (30m, 12h, 90d, 8w)");
	assert_refused("a { undo.age = 2147483648s; }",
		       "1:16 undo.age: '2147483648s' is not a time above 0 with its unit (30m, 12h, 90d, 8w)");
	assert_refused("a { undo.keep = -1; }", "1:17 undo.keep: -1 is not between 0 and 2147483647");
}

static void
lists(void **state)
{
	struct conf *c = load("a { exec.start = one, '', two; exec.stop = ''; service = 'x y'; health = z;"
			      " exec.jail_user = web; command = 'a b'; stop.timeout = 1, 2; }");
	struct jailspec *s = spec_of(c, "a");

	(void)state;
	assert_int_equal(s->exec[EXEC_START].n, 2); /* empty ones are nothing to run */
	assert_string_equal(s->exec[EXEC_START].v[1], "two");
	assert_int_equal(s->exec[EXEC_STOP].n, 0);
	assert_int_equal(params_get(&s->params, "exec.stop")->values.n, 1);
	assert_string_equal(s->service.v[0], "x y");
	assert_string_equal(s->jail_user, "web");
	assert_int_equal(s->stop_timeout, 2); /* a scalar keeps the last */
	jailspec_free(s);
	conf_free(c);
	c = load("a { sysvmsg = new; sysvshm = inherit; } b { allow.nosysvipc; } d { sysvsem = inherit; }");
	s = spec_of(c, "a");
	assert_int_equal(s->sysvipc, SHARE_NEW);
	jailspec_free(s);
	s = spec_of(c, "b");
	assert_int_equal(s->sysvipc, SHARE_DISABLE);
	jailspec_free(s);
	s = spec_of(c, "d");
	assert_int_equal(s->sysvipc, SHARE_INHERIT);
	jailspec_free(s);
	assert_int_equal(conf_n_warnings(c), 1);
	conf_free(c);
}

static void
mounts(void **state)
{
	struct conf *c;
	struct jailspec *s;

	(void)state;
	c = load("a { path = /x; mount = '/d\\\\040e /x/m\\\\040n nullfs ro,noatime', 'tmpfs /x/t tmpfs'; "
		 "mount += '/s /x/s nullfs'; }");
	s = spec_of(c, "a");
	assert_int_equal(s->n_mounts, 3);
	assert_string_equal(s->mounts[0].source, "/d e");
	assert_string_equal(s->mounts[0].target, "/x/m n");
	assert_string_equal(s->mounts[0].options, "ro,noatime");
	assert_string_equal(s->mounts[1].source, "tmpfs");
	assert_string_equal(s->mounts[2].options, "rw");
	assert_string_equal(s->mounts[0].where, "f:1");
	jailspec_free(s);
	conf_free(c);

	c = conf_new(&mem_input, "/var/lib/brig", false);
	{
		static const struct mem_file tab[] = {
		    {"/c", "a { path = /x; mount = '/one /x/one nullfs rw'; mount.fstab = '/tab'; }", 0},
		    {"/tab", "# comment\n\n/src /x/src nullfs ro 0 0 # tail\n", 0},
		    {NULL, NULL, 0}};

		mem_files = tab;
		conf_read(c, "/c", CONF_AUTO);
		conf_finish(c);
	}
	s = spec_of(c, "a");
	assert_int_equal(s->n_mounts, 2);
	assert_string_equal(s->mounts[1].target, "/x/src");
	assert_string_equal(s->mounts[1].where, "/tab:3");
	assert_null(params_get(&s->params, "mount.fstab")); /* recorded as lines */
	assert_int_equal(params_get(&s->params, "mount")->values.n, 2);
	jailspec_free(s);
	conf_free(c);

	assert_refused("a { path = /x; mount = '/d /y nullfs rw'; }",
		       "1:24 mount point '/y' is not below the jail's path '/x'");
	assert_refused("a { path = /x; mount = '/d /xy nullfs rw'; }",
		       "1:24 mount point '/xy' is not below the jail's path '/x'");
	assert_refused("a { path = /x; mount = '/d /x/../y nullfs rw'; }",
		       "1:24 mount point '/x/../y' is not below the jail's path '/x'");
	assert_refused("a { path = /x; mount = '/d /x/y'; }",
		       "1:24 mount: missing information: device, directory and type are needed");
	assert_refused("a { path = /x; mount = 'd /x/y nullfs'; }",
		       "1:24 mount source 'd': not an absolute pathname");
	assert_refused("a { path = /x; mount.fstab = '/gone'; }",
		       "1:30 mount.fstab '/gone': No such file or directory");
}

static void
words(void **state)
{
	struct conf *c = conf_new(&mem_input, "/b", false);
	char *const one[] = {(char *)(uintptr_t) "name=x",
			     (char *)(uintptr_t) "persist",
			     (char *)(uintptr_t) "ip4.addr=192.0.2.1,192.0.2.2",
			     (char *)(uintptr_t) "vnet.interface=",
			     (char *)(uintptr_t) "exec.start=a",
			     (char *)(uintptr_t) "exec.start=b",
			     (char *)(uintptr_t) "jid=7",
			     (char *)(uintptr_t) "command=/bin/sh",
			     (char *)(uintptr_t) "-c",
			     (char *)(uintptr_t) "echo $HOME"};
	char *const bad[] = {(char *)(uintptr_t) "name=y", (char *)(uintptr_t) "nonsense=1"};
	char *const none[] = {(char *)(uintptr_t) "persist"};
	struct jailspec *s;

	(void)state;
	assert_string_equal(conf_add_words(c, one, ARRAY_LEN(one)), "x");
	conf_finish(c);
	assert_errors(c, "");
	s = spec_of(c, "x");
	assert_int_equal(s->jid, 7);
	assert_string_equal(s->path, "/");
	assert_int_equal(s->root, ROOT_PATH);
	assert_string_equal(params_value(&s->params, "path"), "/");
	assert_int_equal(s->n_addrs, 2);
	assert_int_equal(s->exec[EXEC_START].n, 2);
	assert_string_equal(s->exec[EXEC_COMMAND].v[0], "/bin/sh -c 'echo $HOME'");
	assert_null(s->where);
	jailspec_free(s);
	conf_free(c);

	c = conf_new(&mem_input, "/b", false);
	assert_null(conf_add_words(c, bad, ARRAY_LEN(bad)));
	assert_null(conf_add_words(c, none, ARRAY_LEN(none)));
	assert_errors(c, "0:0 unknown parameter 'nonsense'\n0:0 a jail needs name= or jid=");
	conf_free(c);
}

static void
overrides(void **state)
{
	struct conf *c = conf_new(&mem_input, "/b", false);
	struct err e = ERR_INIT;
	struct jailspec *s;

	(void)state;
	mem_files = mem_one;
	mem_one[0] = (struct mem_file){"f", "persist; * { host.hostname = \"$name.x\"; } a { }", 0};
	conf_read(c, "f", CONF_AUTO);
	assert_int_equal(conf_override(c, "a", "nopersist", &e), 0);
	conf_finish(c);
	s = spec_of(c, "a");
	assert_false(s->persist);
	jailspec_free(s);
	assert_int_equal(conf_override(c, "a", "exec.start=$name", &e), 0);
	assert_int_equal(conf_override(c, "a", "exec.start+=two", &e), 0);
	s = spec_of(c, "a");
	assert_int_equal(s->exec[EXEC_START].n, 2);
	assert_string_equal(s->exec[EXEC_START].v[0], "$name"); /* literal */
	jailspec_free(s);
	assert_int_equal(conf_override(c, "a", "frob=1", &e), -EINVAL);
	assert_string_equal(e.msg, "unknown parameter 'frob'");
	assert_int_equal(conf_override(c, "a", "name=b", &e), -EINVAL);

	/* A jail that no file defines: wildcards apply, and what -o says. */
	assert_int_equal(conf_override(c, "new", "ip4.addr=192.0.2.3", &e), 0);
	assert_int_equal(conf_default_jail(c, "new", &s, &e), 0);
	assert_true(s->persist);
	assert_string_equal(s->hostname, "new.x");
	assert_int_equal(s->n_addrs, 1);
	assert_string_equal(s->path, "/b/j/new");
	jailspec_free(s);
	assert_int_equal(conf_override(c, "bad", "ip4.addr=x", &e), 0);
	assert_int_equal(conf_default_jail(c, "bad", &s, &e), -EINVAL);
	assert_string_equal(e.msg, "ip4.addr: 'x': not an IPv4 address");
	assert_int_equal(conf_default_jail(c, "../x", &s, &e), -EINVAL);
	assert_int_equal(conf_default_jail(c, "skel", &s, &e), -EINVAL);
	conf_free(c);
}

static void
shown(const struct jailspec *s, const char *name, const char *want)
{
	_auto_free char *got = param_show(s, 9, param_find(name, NULL));

	assert_string_equal(got ? got : "(null)", want);
}

static void
show(void **state)
{
	struct conf *c = load(
	    "a { ip4.addr = 'em0|10.0.0.1/24', 10.0.0.2; allow.raw_sockets; persist; meta = m; meta.k = v; "
	    "securelevel = 2; exec.start = x, y; template = t/1; host.hostname = h; }");
	struct jailspec *s = spec_of(c, "a");

	(void)state;
	shown(s, "jid", "9");
	shown(s, "name", "a");
	shown(s, "path", "/var/lib/brig/j/a");
	shown(s, "host.hostname", "h");
	shown(s, "host.domainname", "");
	shown(s, "host.hostid", "0");
	shown(s, "ip4.addr", "10.0.0.1,10.0.0.2");
	shown(s, "ip6.addr", "");
	shown(s, "ip4", "new");
	shown(s, "ip6", "disable");
	shown(s, "vnet", "inherit");
	shown(s, "host", "new");
	shown(s, "persist", "true");
	shown(s, "dying", "false");
	shown(s, "allow.raw_sockets", "true");
	shown(s, "allow.set_hostname", "true");
	shown(s, "allow.mount", "false");
	shown(s, "securelevel", "2");
	shown(s, "enforce_statfs", "2");
	shown(s, "parent", "0");
	shown(s, "children.max", "0");
	shown(s, "exec.start", "x,y");
	shown(s, "exec.stop", "(null)");
	shown(s, "template", "t/1");
	shown(s, "meta", "m\nk=v");
	shown(s, "env", "(null)");
	for (size_t i = 0; i < param_table_len; i++) {
		_auto_free char *text = param_show(s, 9, &param_table[i]);

		assert_true(text || !(param_table[i].flags & PARAM_KERNEL) ||
			    param_table[i].type == PARAM_STRING || param_table[i].type == PARAM_INT);
	}
	jailspec_free(s);
	conf_free(c);
}

/* Text with every awkward byte goes out and comes in again. */
static void
quoting(void **state)
{
	static const char awkward[] = "a\"b$c${d}\\e'f\ng\th;{}#//i /*j*/ \xc3\xa9\x01\x7f";
	struct jailspec s = {.label = (char *)(uintptr_t) "q",
			     .name = (char *)(uintptr_t) "q",
			     .hostname = (char *)(uintptr_t) "q",
			     .path = (char *)(uintptr_t) "/q",
			     .root = ROOT_PATH,
			     .host = SHARE_NEW};
	_auto_free char *text = NULL;
	struct jailspec *again;
	struct conf *c;

	(void)state;
	strv_add(&params_set(&s.params, "exec.start")->values, awkward);
	strv_add(&params_set(&s.params, "meta.a b$")->values, "");
	text = conf_print_jail(&s);
	c = load(text);
	assert_errors(c, "");
	again = spec_of(c, "q");
	assert_string_equal(again->exec[EXEC_START].v[0], awkward);
	assert_non_null(params_get(&again->params, "meta.a b$"));
	jailspec_free(again);
	conf_free(c);
	params_free(&s.params);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table),     cmocka_unit_test(values),  cmocka_unit_test(defaults),
	    cmocka_unit_test(roots),     cmocka_unit_test(spaces),  cmocka_unit_test(network),
	    cmocka_unit_test(listeners), cmocka_unit_test(refused), cmocka_unit_test(types),
	    cmocka_unit_test(undo),
	    cmocka_unit_test(lists),     cmocka_unit_test(mounts),  cmocka_unit_test(words),
	    cmocka_unit_test(overrides), cmocka_unit_test(show),    cmocka_unit_test(quoting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
