/* SPDX-License-Identifier: BSD-2-Clause */
/* A scratch installation for tests: BASE and RUN below /tmp, a template with one release. */
#ifndef BRIG_TEST_SCRATCH_H
#define BRIG_TEST_SCRATCH_H

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/path.h"
#include "seal.h"
#include "store/store.h"

static char *top;
static struct store store;
static struct err e;

/* A condition that ends the process: for children, where cmocka's would not. */
#define CHECK(cond)                                                                           \
	do {                                                                                  \
		if (!(cond)) {                                                                \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #cond, e.msg); \
			_exit(1);                                                             \
		}                                                                             \
	} while (0)

static char *
at(const char *path)
{
	return xasprintf("%s/%s", top, path);
}

static void
put(const char *path, const char *text, mode_t mode)
{
	_auto_free char *p = at(path);
	_auto_close int fd = open(p, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && fsx_write_all(fd, text, strlen(text)) == 0 && fchmod(fd, mode) == 0);
}

static void
dir(const char *path)
{
	_auto_free char *p = at(path);

	CHECK(mkdir(p, 0755) == 0);
}

static void
dirs(const char *path)
{
	_auto_free char *p = at(path);

	CHECK(fsx_mkdir_p(p, 0755, &e) == 0);
}

_unused_ static void
link_to(const char *target, const char *path)
{
	_auto_free char *p = at(path);

	CHECK(symlink(target, p) == 0);
}

static bool
there(const char *path)
{
	_auto_free char *p = at(path);
	struct stat st;

	return lstat(p, &st) == 0;
}

/* Content of a small file; "" when it is missing. */
_unused_ static char *
text_of(const char *path)
{
	_auto_free char *p = at(path);
	struct err ignore = ERR_INIT;
	char *text;

	return fsx_read_at(AT_FDCWD, p, 65536, &text, NULL, &ignore) < 0 ? xstrdup("") : text;
}

/* Names in a directory, sorted and joined by blanks. */
_unused_ static char *
names_in(const char *path)
{
	_auto_free char *p = at(path);
	_auto_closedir DIR *d = opendir(p);
	_auto_strv struct strv all = STRV_INIT;
	struct dirent *de;

	while (d && (de = readdir(d)))
		if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
			strv_add(&all, de->d_name);
	strv_sort(&all);
	return all.n ? strv_join(&all, " ") : xstrdup("");
}

static void
seal(const char *release)
{
	_auto_free char *path = at(release);

	CHECK(seal_release(path, &e) == 0);
}

static void
make_template(void)
{
	dirs("base/templates/mroot/20060601/root/etc");
	dirs("base/templates/mroot/20060601/skel/etc/ssh");
	dirs("base/templates/mroot/20060601/skel/var/lib/dbus");
	put("base/templates/mroot/20060601/rules",
	    "move etc\nmove var\nfresh etc/machine-id machine-id\nfresh etc/hostname hostname\n"
	    "fresh etc/ssh/ssh_host_* ssh-host-keys\nfresh var/lib/dbus/machine-id remove\n"
	    "fresh entropy remove\nfresh var/no/such/place remove\n",
	    0644);
	put("base/templates/mroot/20060601/skel/etc/rc.conf", "x=1\n", 0644);
	put("base/templates/mroot/20060601/skel/etc/ssh/ssh_host_rsa_key", "secret", 0600);
	put("base/templates/mroot/20060601/skel/etc/ssh/sshd_config", "Port 22\n", 0644);
	put("base/templates/mroot/20060601/skel/var/lib/dbus/machine-id", "old", 0644);
	seal("base/templates/mroot/20060601");
	link_to("20060601", "base/templates/mroot/current");
}

static int
scratch_setup(void **state)
{
	char name[] = "/tmp/brig-test.XXXXXX";

	(void)state;
	if (!mkdtemp(name))
		return -1;
	top = xstrdup(name);
	dir("base");
	dir("run");
	make_template();
	{
		_auto_free char *base = at("base"), *run = at("run");

		return store_open(base, run, STORE_CREATE, &store, &e);
	}
}

static int
scratch_teardown(void **state)
{
	_auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	(void)state;
	store_close(&store);
	r = fsx_rm_rf_at(tmp, top + strlen("/tmp/"), &e);
	free(top);
	return r;
}

/* Descriptors opened before unshare(2) lead to the mounts of the old namespace. */
_unused_ static void
in_namespace(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		_auto_free char *base = at("base"), *run = at("run");

		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(77);
		store_close(&store);
		CHECK(store_open(base, run, STORE_CREATE, &store, &e) == 0);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

#endif
