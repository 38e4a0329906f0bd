/* SPDX-License-Identifier: BSD-2-Clause */
/* store/: rules, the split, its check, names in octal, apt's lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/path.h"
#include "store/template/build.h"
#include "store/template/class.h"
#include "store/template/links.h"
#include "store/template/split.h"
#include "store/tree.h"

static char top[32];
static int top_fd, root_fd, skel_fd;
static struct err e;
static struct strv faults;

static int
setup(void **state)
{
	(void)state;
	memcpy(top, "/tmp/brig-split.XXXXXX", sizeof("/tmp/brig-split.XXXXXX"));
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err_clear(&e);
	if (fsx_mkdir_open(top_fd, "root", 0755, &root_fd, &e) < 0)
		return -1;
	return fsx_mkdir_open(top_fd, "skel", 0755, &skel_fd, &e);
}

static int
teardown(void **state)
{
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	strv_free(&faults);
	fd_close(root_fd);
	fd_close(skel_fd);
	fd_close(top_fd);
	(void)fsx_rm_rf_at(tmp, top + 5, &e);
	fd_close(tmp);
	return 0;
}

static void
put(const char *path, const char *text)
{
	_auto_free char *full = xasprintf("%s/%s", top, path), *dir = xstrdup(full);
	int fd;

	*strrchr(dir, '/') = '\0';
	assert_int_equal(fsx_mkdir_p(dir, 0755, &e), 0);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fsx_write_all(fd, text, strlen(text)), 0);
	fd_close(fd);
}

static void
put_dir(const char *path)
{
	_auto_free char *full = xasprintf("%s/%s", top, path);

	assert_int_equal(fsx_mkdir_p(full, 0755, &e), 0);
}

static void
put_link(const char *path, const char *target)
{
	assert_int_equal(symlinkat(target, top_fd, path), 0);
}

static char *
get(const char *path)
{
	char *text = NULL;

	if (fsx_read_at(top_fd, path, 1 << 20, &text, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	return text;
}

#define assert_text(path, want)                     \
	do {                                        \
		_auto_free char *text_ = get(path); \
		assert_string_equal(text_, (want)); \
	} while (0)
#define assert_link(path, want)                                       \
	do {                                                          \
		_auto_free char *link_ = tree_readlink(top_fd, path); \
		assert_non_null(link_);                               \
		assert_string_equal(link_, (want));                   \
	} while (0)

static bool
there(const char *path)
{
	struct stat st;

	return fstatat(top_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
split(const char *text)
{
	struct rules rules;
	int r = rules_parse(text, "test.rules", &rules, &e);

	if (r < 0)
		return r;
	r = split_tree(root_fd, skel_fd, &rules, &e);
	rules_free(&rules);
	return r;
}

/* With the rules that are installed. */
static int
split_default(void)
{
	struct rules rules;
	int r = rules_load(TEST_DATA "/split.rules", &rules, &e);

	if (r == 0)
		r = split_tree(root_fd, skel_fd, &rules, &e);
	rules_free(&rules);
	return r;
}

static void
note(void *ctx, const char *path, const char *what)
{
	(void)ctx;
	strv_addf(&faults, "%s: %s", path, what);
}

static size_t
check(const char *text)
{
	struct rules rules;
	struct split_look look = {root_fd, skel_fd, &rules, NULL, note, NULL, NULL, 0};

	assert_int_equal(rules_parse(text, "test.rules", &rules, &e), 0);
	assert_int_equal(split_check(&look, &e), 0);
	rules_free(&rules);
	assert_int_equal(look.faults, faults.n);
	strv_sort(&faults);
	return look.faults;
}

static void
rules_text(void **state)
{
	static const struct {
		const char *text, *msg;
	} wrong[] = {
	    {"moove etc\n", "r:1: unknown word 'moove'"},
	    {"# x\n\nmove\n", "r:3: expected: move PATH [NAME [MODE]]"},
	    {"move /etc\n", "r:1: '/etc' is not a path relative to the tree"},
	    {"move ../etc\n", "r:1: '../etc' is not a path relative to the tree"},
	    {"move a/../b x\n", "r:1: 'a/../b' is not a path relative to the tree"},
	    {"move usr/local\n", "r:1: 'usr/local': the name below /s is one word without '/'"},
	    {"move usr/local ..\n", "r:1: '..' is not a name"},
	    {"move tmp tmp 9\n", "r:1: '9' is not a mode"},
	    {"keep a /b\n", "r:1: '/b' is not a path relative to the tree"},
	    {"fresh a thing\n", "r:1: 'thing': expected machine-id, hostname, name, ssh-host-keys or remove"},
	    {"add etc/x ../x 0644\n", "r:1: '../x': a file of the directory skel beside the rules is meant"},
	    {"add-if etc/x x 0644\n", "r:1: expected: add-if PATH FILE MODE OTHER"},
	    {"add-if etc/x x 0644 /y\n", "r:1: '/y' is not a path relative to the tree"},
	    {"add etc/x x 0644 if etc/y\n", "r:1: after the mode only 'unless PATH' can stand"},
	    {"drop a\\0b\n", "r:1: after a backslash three octal digits are expected"},
	    {"regenerate-after etc/x /y make\n", "r:1: '/y' is not a path relative to the tree"},
	    {"hook after -\n", "r:1: expected: hook create|before|after PATTERN[,PATTERN]|- COMMAND"},
	    {"hook later - true\n", "r:1: 'later': expected create, before or after"},
	    {"hook create etc/x true\n", "r:1: 'etc/x': a new jail comes from no other release: '-' is meant"},
	    {"hook before /etc/x true\n", "r:1: '/etc/x' is not a path relative to the tree"},
	    {"hook before etc/x, true\n", "r:1: '' is not a path relative to the tree"},
	    {"hook before etc/x,../y true\n", "r:1: '../y' is not a path relative to the tree"},
    {"guard var/lib/x\n", "r:1: expected: guard PATTERN PATH[,PATH] [TEXT]"},
    {"guard var/lib/x usr/bin/x,/usr/bin/y text\n", "r:1: '/usr/bin/y' is not a path relative to the tree"},
    {"guard-format var/lib/x var/lib/x/v pkg\n",
     "r:1: expected: guard-format PATH PATTERN[,PATTERN] PACKAGE NUMBERS [TEXT]"},
    {"guard-format var/lib/x var/lib/x/v pkg 5 text\n",
     "r:1: '5': how many numbers of the version count, 1 to 4"},
    {"guard-enabled etc/rc.conf ../x\n", "r:1: '../x' is not a path relative to the tree"},
	    {"lock etc/shadow a:b\n", "r:1: 'a:b' is not a user's name"},
	    {"move a x\nmove b x\n", "r:2: b and a (line 1) claim one place, /s/x"},
	};
	struct rules r;
	char *s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_true(rules_parse(wrong[i].text, "r", &r, &e) < 0);
		assert_string_equal(e.msg, wrong[i].msg);
	}
	assert_int_equal(
	    rules_parse("move usr/local usr-local\r\nmove usr\\040x x\nline a/b V?= 1  2\n", "r", &r, &e), 0);
	assert_int_equal(r.n, 3);
	assert_string_equal(r.v[1].path, "usr x");
	assert_string_equal(r.v[2].arg, "V?= 1  2");
	s = rules_skel_path(&r, "usr/local/etc/x");
	assert_string_equal(s, "usr-local/etc/x");
	free(s);
	assert_null(rules_skel_path(&r, "usr/localx"));
	rules_free(&r);
}

static void
hooks_text(void **state)
{
	static const char text[] = "hook create - set up  all\nhook before etc/x,usr/lib/*/y migrate\nhook after - note\n"
				   "regenerate etc/p etc/q make p\nregenerate-after etc/r - make r\n";
	static const struct {
		enum rule_kind kind;
		enum pending_kind pending;
		const char *arg, *paths;
	} want[] = {
	    {RULE_HOOK, PENDING_CREATE, "set up  all", ""},
	    {RULE_HOOK, PENDING_HOOK, "migrate", "etc/x usr/lib/*/y"},
	    {RULE_HOOK, PENDING_HOOK_AFTER, "note", ""},
	    {RULE_REGENERATE, PENDING_REGENERATE, "make p", ""},
	    {RULE_REGENERATE, PENDING_REGENERATE_AFTER, "make r", ""},
	};
	struct rules r;

	(void)state;
	assert_int_equal(rules_parse(text, "r", &r, &e), 0);
	assert_int_equal(r.n, ARRAY_LEN(want));
	for (size_t i = 0; i < r.n; i++) {
		_auto_free char *paths = r.v[i].paths.n ? strv_join(&r.v[i].paths, " ") : xstrdup("");

		assert_int_equal(r.v[i].kind, want[i].kind);
		assert_int_equal(r.v[i].pending, want[i].pending);
		assert_string_equal(r.v[i].arg, want[i].arg);
		assert_string_equal(paths, want[i].paths);
	}
	rules_free(&r);
}

static void
patterns(void **state)
{
	(void)state;
	assert_true(class_pattern_covers("skel/etc/x", "skel/etc/x"));
	assert_true(class_pattern_covers("skel/etc", "skel/etc/x/y"));
	assert_true(class_pattern_covers("root/usr/lib/*/y", "root/usr/lib/a/y"));
	assert_false(class_pattern_covers("root/usr/lib/*/y", "root/usr/lib/a"));
	assert_false(class_pattern_covers("skel/etc/x", "skel/etc/xy"));
	assert_false(class_pattern_covers("skel/etc/x/y", "skel/etc/x"));
}

static void
names_in_octal(void **state)
{
	_auto_buf struct buf b = BUF_INIT;
	char bad[] = "a\\0", nul[] = "a\\000", high[] = "\\777";

	(void)state;
	vis_add(&b, "a b\\#=\n\xff");
	assert_string_equal(b.s, "a\\040b\\134\\043\\075\\012\\377");
	assert_int_equal(vis_decode(b.s), 0);
	assert_string_equal(b.s, "a b\\#=\n\xff");
	assert_int_equal(vis_decode(bad), -EINVAL);
	assert_int_equal(vis_decode(nul), -EINVAL);
	assert_int_equal(vis_decode(high), -EINVAL);
}

/* The Handbook's tree: links as in its older text, computed from where they stand. */
static void
handbook(void **state)
{
	struct stat st;

	(void)state;
	put("root/etc/master.passwd",
	    "# $FreeBSD$\nroot::0:0::0:0:Charlie &:/root:/bin/csh\ntoor:$1$x:0:0::0:0::/root:\n"
	    "bin:*:3:7::0:0::/:/usr/sbin/nologin\n");
	put("root/etc/rc", "freebsd\n");
	put("root/etc/make.conf", "CFLAGS= -O\nWRKDIRPREFIX= /elsewhere");
	put("root/root/.profile", "x");
	put("root/usr/local/bin/tool", "x");
	put("root/usr/bin/env", "x");
	put("root/usr/X11R6/lib/x", "x");
	put("root/usr/ports/distfiles/a.tgz", "x");
	put("root/var/db/x", "x");
	put("root/var/run/pid", "1");
	put("root/boot/kernel", "x");
	put("root/usr/home/u/f", "x");
	put_link("root/home", "usr/home");
	assert_int_equal(linkat(top_fd, "root/root/.profile", top_fd, "root/.profile", 0), 0);
	put_link("root/usr/local/bin/env", "../../bin/env");
	put_link("root/usr/local/bin/t", "tool");
	if (split_default() < 0)
		fail_msg("%s", e.msg);
	assert_link("root/etc", "s/etc");
	assert_link("root/tmp", "s/tmp");
	assert_link("root/usr/local", "../s/usr-local");
	assert_link("root/usr/X11R6", "../s/usr-X11R6");
	assert_link("root/usr/ports/distfiles", "../../s/distfiles");
	assert_link("root/home", "usr/home");
	assert_link("root/usr/home", "../s/home");
	assert_text("skel/home/u/f", "x");
	assert_text("skel/distfiles/a.tgz", "x");
	assert_text("skel/etc/rc", "freebsd\n");
	assert_false(there("skel/etc/rc.conf")); /* the tree has an rc of its own */
	assert_text("skel/etc/make.conf", "CFLAGS= -O\nWRKDIRPREFIX= /elsewhere\nMAKEOBJDIRPREFIX?= /s/obj\n"
					  "DISTDIR?= /s/distfiles\nPACKAGES?= /s/packages\n");
	assert_text("skel/etc/master.passwd",
		    "# $FreeBSD$\nroot:*:0:0::0:0:Charlie &:/root:/bin/csh\n"
		    "toor:*:0:0::0:0::/root:\nbin:*:3:7::0:0::/:/usr/sbin/nologin\n");
	assert_link("skel/var/run", "/run");
	/* out of the moved directory: as seen from /s/usr-local; inside it: as it was */
	assert_link("skel/usr-local/bin/env", "/usr/bin/env");
	assert_link("skel/usr-local/bin/t", "tool");
	assert_int_equal(fstatat(top_fd, "skel/tmp", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
	/* hard links keep their partner (fault 4) */
	assert_int_equal(fstatat(top_fd, "root/.profile", &st, 0), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(check(""), 0);
}

static void
linux_tree(void **state)
{
	(void)state;
	put("root/etc/shadow", "root::1:0:99999:7:::\nuser:$y$x:1:::::\n");
	put("root/etc/passwd", "root:x:0:0::/root:/bin/sh\nroot2:x:0:0::/:\n");
	put("root/etc/machine-id", "0123\n");
	put("root/etc/hostname", "builder\n");
	put("root/etc/ssh/ssh_host_rsa_key", "secret");
	put("root/etc/ssh/sshd_config", "x");
	put("root/etc/hosts", "1.2.3.4 builder\n");
	put("root/var/lib/dpkg/status", "Package: x\n");
	put("root/var/lib/dpkg/info/x.list", "/.\n");
	put_dir("root/var/lib/rpm");
	put("root/var/cache/x", "x");
	put("root/usr/lib/os-release", "x");
	put_link("root/etc/os-release", "../usr/lib/os-release");
	put("root/dev/junk", "x");
	assert_int_equal(mkfifoat(top_fd, "root/dev/initctl", 0600), 0);
	put("root/run/pid", "1");
	if (split_default() < 0)
		fail_msg("%s", e.msg);
	assert_text("skel/etc/shadow", "root:*:1:0:99999:7:::\nuser:$y$x:1:::::\n");
	assert_text("skel/etc/passwd", "root:x:0:0::/root:/bin/sh\nroot2:x:0:0::/:\n");
	assert_false(there("skel/etc/machine-id"));
	assert_false(there("skel/etc/hostname"));
	assert_false(there("skel/etc/ssh/ssh_host_rsa_key"));
	assert_true(there("skel/etc/ssh/sshd_config"));
	assert_link("skel/etc/hosts", "/run/brig/hosts");
	assert_link("skel/etc/mtab", "/proc/self/mounts");
	assert_link("skel/etc/os-release", "/usr/lib/os-release");
	assert_link("skel/var/lib/dpkg", "/usr/lib/sysimage/dpkg");
	assert_text("root/usr/lib/sysimage/dpkg/status", "Package: x\n");
	assert_true(there("skel/var/lib/rpm")); /* says nothing: stays */
	assert_false(there("root/dev/junk"));
	assert_false(there("root/run/pid"));
	assert_true(there("root/proc"));
	assert_true(there("root/s"));
	assert_true(there("skel/etc/rc"));
	assert_int_equal(check(""), 0);
}

static void
claims(void **state)
{
	(void)state;
	put("root/usr/local/a", "x");
	put("root/s/usr-local/b", "x");
	assert_int_equal(split("move usr/local usr-local\nempty s\n"), -EEXIST);
	assert_string_equal(e.msg, "s/usr-local and usr/local both claim usr-local in the skeleton");
}

static void
claims_home(void **state)
{
	(void)state;
	put("root/usr/home/a", "x");
	put("root/home/b", "x");
	assert_int_equal(split_default(), -EEXIST);
	assert_string_equal(e.msg, "usr/home and home both claim home in the skeleton");
}

static void
claims_keep(void **state)
{
	(void)state;
	put("root/var/lib/dpkg/a", "x");
	put("root/usr/lib/sysimage/dpkg/b", "x");
	assert_int_equal(split_default(), -EEXIST);
	assert_non_null(strstr(e.msg, "var/lib/dpkg and usr/lib/sysimage/dpkg are both in the tree"));
}

/* A tree that was split before: its links stay, s/ is the skeleton. */
static void
split_again(void **state)
{
	(void)state;
	put("root/s/etc/passwd", "root:x:0:0::/:\n");
	put("root/s/var/x", "x");
	put_link("root/etc", "s/etc");
	put("root/usr/x", "x");
	put_link("root/usr/local", "../s/usr-local");
	put("root/s/usr-local/bin/x", "x");
	assert_int_equal(split("move etc\nmove var\nmove usr/local usr-local\nempty s\n"), 0);
	assert_link("root/etc", "s/etc");
	assert_link("root/var", "s/var");
	assert_text("skel/var/x", "x");
	assert_text("skel/usr-local/bin/x", "x");
	assert_int_equal(check(""), 0);
}

static void
planted_links(void **state)
{
	(void)state;
	put("outside/f", "safe");
	put_link("root/etc", "../outside");
	assert_int_equal(split("move etc\nmove var\nlock etc/shadow root\n"), -ENOTDIR);
	assert_string_equal(e.msg, "etc is a link to '../outside': only a directory can go to the skeleton");
	assert_int_equal(unlinkat(root_fd, "etc", 0), 0);
	put_link("root/usr", "../outside");
	assert_int_equal(split("move usr/local usr-local\n"), -ENOTDIR);
	assert_string_equal(e.msg, "usr is a link, not a directory");
	put("root/etc/x", "x");
	put_link("root/etc/shadow", "../../outside/f");
	assert_int_equal(split("move etc\nlock etc/shadow root\n"), -ELOOP);
	assert_text("outside/f", "safe");
}

static void
planted_places(void **state)
{
	(void)state;
	put("outside/f", "root::safe");
	put("root/x", "x");
	put_link("root/proc", "../outside");
	put_link("root/dev", "/");
	put("root/etc/x", "x");
	put_link("root/etc/make.conf", "../../outside/f");
	assert_int_equal(split("move etc\nempty proc\nempty dev\nline etc/make.conf A?= 1\n"), -ELOOP);
	assert_text("outside/f", "root::safe");
	assert_true(there("outside/f"));
}

static void
dangling(void **state)
{
	(void)state;
	put_dir("root/s");
	put_dir("root/usr/bin");
	put_dir("skel/usr-local/bin");
	put_dir("skel/etc");
	put_dir("skel/tmp");
	put_link("root/etc", "s/etc");
	put_link("root/usr/local", "s/usr-local"); /* fault 1 */
	put_link("root/ok1", "/s/etc");
	put_link("root/ok2", "../../../etc");
	put_link("root/ok3", "/run/x/y");
	put_link("root/ok4", "etc/../tmpx/../usr/bin");
	put_link("root/ok5", "s/tmp/anything");
	put_link("root/self", "self");
	put_link("root/file", "notdir/x");
	put("root/notdir", "x");
	put_link("skel/etc/up", "../usr-local/bin");
	put_link("skel/etc/gone", "../usr/bin");
	put_link("skel/etc/may", "/nowhere");
	put_link("root/new\nline", "x");
	assert_int_equal(check("dangling /s/etc/may\n"), 6);
	assert_string_equal(faults.v[0], "/file: the link to 'notdir/x' leads through a file");
	assert_string_equal(faults.v[1], "/new\nline: the link to 'x' leads nowhere in a jail");
	assert_string_equal(faults.v[2],
			    "/ok4: the link to 'etc/../tmpx/../usr/bin' leads nowhere in a jail");
	assert_string_equal(faults.v[3], "/s/etc/gone: the link to '../usr/bin' leads nowhere in a jail");
	assert_string_equal(faults.v[4], "/self: the link to 'self' leads in a circle");
	assert_string_equal(faults.v[5], "/usr/local: the link to 's/usr-local' leads nowhere in a jail");
}

static void
note_warning(void *ctx, const char *path, const char *what)
{
	strv_addf(ctx, "%s: %s", path, what);
}

/* Links as packages ship them, as rules leave them, and as the split led them astray. */
static void
links_of_packages(void **state)
{
	static const char text[] = "move etc\nmove usr/local usr-local\nempty s\nfresh etc/ssl/*.key remove\n"
				   "drop usr/share/gone\nkeep etc/db usr/lib/db\nlink etc/own nowhere\n"
				   "dangling /usr/share/may\ndangling /s/etc/may\n";
	_auto_strv struct strv warnings = STRV_INIT;
	struct rules rules;
	struct links before = {0};
	struct split_look look = {root_fd, skel_fd, &rules, &before, note, note_warning, &warnings, 0};

	(void)state;
	put("root/etc/ssl/a.key", "x");
	put("root/etc/conf", "x");
	put("root/usr/lib/x", "x");
	put("root/usr/share/gone", "x");
	put_dir("root/etc/db");
	put_dir("root/etc/sub");
	put("root/etc/db/y", "x");
	put_link("root/etc/sub/modules.conf",
		 "../modules");                     /* to a file of a package that is not installed */
	put_link("root/etc/key", "/etc/ssl/a.key"); /* each jail gets its own */
	put_link("root/usr/share/left", "gone");
	put_link("root/usr/share/may", "nowhere");
	put_link("root/etc/may", "nowhere");
	put_link("root/usr/share/round", "../../etc/../usr/lib/x"); /* .. of /s/etc is /s */
	put_link("root/etc/db/back", "../conf");
	put_link("root/usr/share/space", "/s/etc/conf"); /* known only when it is split */
	assert_int_equal(links_read(root_fd, &before, &e), 0);
	assert_int_equal(rules_parse(text, "test.rules", &rules, &e), 0);
	assert_int_equal(split_tree(root_fd, skel_fd, &rules, &e), 0);
	assert_int_equal(split_check(&look, &e), 0);
	strv_sort(&warnings);
	assert_int_equal(warnings.n, 2);
	assert_string_equal(warnings.v[0],
			    "/etc/sub/modules.conf: the link to '../modules' leads nowhere in a jail");
	assert_string_equal(
	    warnings.v[1],
	    "/usr/share/left: the link to 'gone' leads to what the rules of the split leave out");
	/* what a rule makes itself is the fault of who wrote it */
	assert_int_equal(look.faults, 1);
	assert_string_equal(faults.v[0], "/s/etc/own: the link to 'nowhere' leads nowhere in a jail");
	assert_link("root/usr/share/round", "/usr/lib/x");
	assert_link("root/usr/lib/db/back", "/etc/conf");
	assert_link("skel/etc/key", "/etc/ssl/a.key");
	rules_free(&rules);
	links_free(&before);
}

static void
special(void **state)
{
	(void)state;
	assert_int_equal(mkfifoat(root_fd, "pipe", 0600), 0);
	assert_int_equal(mknodat(skel_fd, "sock", S_IFSOCK | 0600, 0), 0);
	assert_int_equal(check(""), 2);
	assert_string_equal(faults.v[0], "/pipe: is a FIFO: all jails would share it");
	assert_string_equal(faults.v[1], "/s/sock: is a socket: all jails would share it");
}

static void
foreign_owner(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	put("root/f", "x");
	assert_int_equal(fchownat(root_fd, "f", 100000, 0, 0), 0);
	assert_int_equal(check(""), 1);
	assert_string_equal(faults.v[0], "/f: belongs to 100000:0: a jail has the ids 0 to 65535");
}

static void
apt_lists(void **state)
{
	_auto_buf struct buf list = BUF_INIT, sources = BUF_INIT;
	_auto_free char *dir = xasprintf("%s/apt", top);

	(void)state;
	put("apt/sources.list", "# deb http://no bookworm main\ndeb-src http://src bookworm main\n"
				"  deb [signed-by=/k arch=amd64] http://a bookworm main\n"
				"deb http://b bookworm-security main\ndeb http://c bookworm-backports main\n"
				"deb http://d bullseye main");
	put("apt/sources.list.d/x.sources", "# comment\nTypes: deb deb-src\nURIs: http://e\n# "
					    "inside\nSuites: trixie bookworm\n bookworm-updates\n"
					    "Components: main\nSigned-By:\n -----BEGIN\n .\n "
					    "-----END\n\n\nTypes: deb\nURIs: http://f\nSuites: sid\n\n"
					    "Types: deb\nEnabled: no\nURIs: http://g\nSuites: bookworm\n");
	debian_sources(dir, "bookworm", &list, &sources);
	assert_string_equal(list.s, "deb [signed-by=/k arch=amd64] http://a bookworm main\n"
				    "deb http://b bookworm-security main\n");
	assert_string_equal(sources.s,
			    "Types: deb\nSuites: bookworm bookworm-updates\nURIs: http://e\n# inside\n"
			    "Components: main\nSigned-By:\n -----BEGIN\n .\n -----END\n\n");
}

/* ---- classes ---- */

/* "CLASS PIECE[+]" of path; '+' where something below it may be otherwise. */
static void
assert_class(const struct classes *c, const char *path, const char *want)
{
	static const char *const words[] = {"data", "config", "release", "ignore"};
	_auto_free char *is = xasprintf("%s %.*s%s", words[class_of(c, path)], (int)class_piece(c, path),
					path, class_mixed(c, path) ? "+" : "");

	if (!streq(is, want))
		fail_msg("%s is '%s', not '%s'", path, is, want);
}

static void
classes_default(void **state)
{
	struct rules rules;
	struct classes c = {0};

	(void)state;
	assert_int_equal(rules_load(TEST_DATA "/split.rules", &rules, &e), 0);
	classes_add(&c, &rules, &rules, false);
	assert_class(&c, "etc", "config etc+"); /* /etc/hosts is a link of the rules */
	assert_class(&c, "etc/ssh/sshd_config", "config etc");
	assert_class(&c, "etc/ssl", "config etc+");
	assert_class(&c, "etc/ssl/certs/ca-certificates.crt", "config etc");
	assert_class(&c, "etc/ssl/private/x.key", "data etc/ssl/private");
	assert_class(&c, "etc/ldap/slapd.d/cn=config.ldif", "data etc/ldap/slapd.d");
	assert_class(&c, "etc/unbound/unbound.conf", "config etc");
	assert_class(&c, "etc/unbound/unbound_server.key", "data etc/unbound/unbound_server.key");
	assert_class(&c, "var/lib/prometheus", "data var/lib/prometheus+");
	assert_class(&c, "var/lib/prometheus/metrics2/wal", "data var/lib/prometheus/metrics2");
	assert_class(&c, "var/lib/ucf", "config var/lib/ucf");
	assert_class(&c, "var/lib/systemd/deb-systemd-helper-enabled/x",
		     "config var/lib/systemd/deb-systemd-helper-enabled");
	assert_class(&c, "var/lib/systemd/catalog/database", "release var/lib/systemd/catalog");
	assert_class(&c, "var/lib/systemd/timers/x", "data var/lib/systemd/timers");
	assert_class(&c, "var/lib/roundcube/temp/x", "data var/lib/roundcube/temp");
	assert_class(&c, "var/www/html/index.html", "data var/www/html");
	assert_class(&c, "var/mail/joe", "data var/mail");
	assert_class(&c, "var/spool/postfix/incoming/x", "ignore var/spool/postfix");
	assert_class(&c, "root/.profile", "config root");
	assert_class(&c, "usr-local", "data usr-local+");
	assert_class(&c, "usr-local/etc", "config usr-local/etc");
	assert_class(&c, "usr-local/etc/x/y", "config usr-local/etc");
	assert_class(&c, "usr-local/bin", "data usr-local/bin");
	assert_class(&c, "usr-local/share", "data usr-local/share+");
	assert_class(&c, "usr-local/share/app/x", "data usr-local/share/app");
	assert_class(&c, "var", "data var+");
	assert_class(&c, "var/lib", "data var/lib+");
	assert_class(&c, "var/lib/mysql", "data var/lib/mysql");
	assert_class(&c, "var/lib/mysql/mysql/db.frm", "data var/lib/mysql");
	assert_class(&c, "var/lib/postgresql/15/main/base", "data var/lib/postgresql");
	assert_class(&c, "var/lib/foo.conf", "data var/lib/foo.conf");
	assert_class(&c, "var/lib/dpkg", "config var/lib/dpkg");
	assert_class(&c, "var/lib/apt", "data var/lib/apt+");
	assert_class(&c, "var/lib/apt/extended_states", "config var/lib/apt/extended_states");
	assert_class(&c, "var/run", "config var/run");
	assert_class(&c, "var/log", "ignore var/log+");
	assert_class(&c, "var/log/nginx", "ignore var/log/nginx");
	assert_class(&c, "var/log/nginx/error.log", "ignore var/log/nginx");
	assert_class(&c, "tmp/x", "ignore tmp/x");
	assert_class(&c, "home/joe/.profile", "data home/joe");
	assert_class(&c, "srv/www/index.html", "data srv/www");
	assert_class(&c, "unheard/of/it", "data unheard");
	classes_free(&c);
	rules_free(&rules);
}

/* The release's own rules first, then the one that says more, then the later one. */
static void
classes_which(void **state)
{
	struct rules installed, own;
	struct classes c = {0};

	(void)state;
	assert_int_equal(rules_parse("config etc\nconfig srv/app/conf\ndata var/lib/*\nconfig var/lib/x\n"
				     "ignore var/lib/y\ndata var/lib/y\nconfig var/lib/[a-x]*\n",
				     "a", &installed, &e),
			 0);
	assert_int_equal(rules_parse("move etc\nmove srv\nmove var\nmove data store\n"
				     "data etc/app?/db\nconfig data/conf\nrelease var/lib/x/[a-c]*\n"
				     "data srv/*\n",
				     "b", &own, &e),
			 0);
	classes_add(&c, &installed, &own, false);
	classes_add(&c, &own, &own, true);
	assert_class(&c, "etc/app1", "config etc+");
	assert_class(&c, "etc/app", "config etc");
	assert_class(&c, "etc/app1/db/1", "data etc/app1/db");
	assert_class(&c, "store", "data store+");
	assert_class(&c, "store/conf/x", "config store/conf");
	assert_class(&c, "srv/app/conf/x", "data srv/app");
	assert_class(&c, "var/lib/x/y", "config var/lib/x");
	assert_class(&c, "var/lib/x/b2/y", "release var/lib/x/b2");
	assert_class(&c, "var/lib/y/z", "data var/lib/y");
	assert_true(class_is_piece(&c, "var/lib/y"));
	assert_false(class_is_piece(&c, "var/lib/y/z"));
	assert_false(class_is_piece(&c, "etc"));
	assert_true(class_is_piece(&c, "var"));
	classes_free(&c);
	rules_free(&installed);
	rules_free(&own);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(classes_default),
	    cmocka_unit_test(classes_which),
	    cmocka_unit_test(rules_text),
	    cmocka_unit_test(hooks_text),
	    cmocka_unit_test(patterns),
	    cmocka_unit_test(names_in_octal),
	    cmocka_unit_test_setup_teardown(handbook, setup, teardown),
	    cmocka_unit_test_setup_teardown(linux_tree, setup, teardown),
	    cmocka_unit_test_setup_teardown(claims, setup, teardown),
	    cmocka_unit_test_setup_teardown(claims_home, setup, teardown),
	    cmocka_unit_test_setup_teardown(claims_keep, setup, teardown),
	    cmocka_unit_test_setup_teardown(split_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(planted_links, setup, teardown),
	    cmocka_unit_test_setup_teardown(planted_places, setup, teardown),
	    cmocka_unit_test_setup_teardown(dangling, setup, teardown),
	    cmocka_unit_test_setup_teardown(links_of_packages, setup, teardown),
	    cmocka_unit_test_setup_teardown(special, setup, teardown),
	    cmocka_unit_test_setup_teardown(foreign_owner, setup, teardown),
	    cmocka_unit_test_setup_teardown(apt_lists, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
