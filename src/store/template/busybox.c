/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A minimal tree from the host's static busybox: one program, a link in /bin for each of its applets, and the
 * few files of /etc that programs look for.  Needs no network.
 */
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/name.h"
#include "os/host.h"
#include "store/template/build.h"
#include "store/tree.h"

static const struct {
	const char *path;
	mode_t mode;
} dirs[] = {
    {"bin", 0755},      {"etc", 0755},       {"home", 0755},    {"lib", 0755},      {"opt", 0755},
    {"root", 0700},     {"srv", 0755},       {"tmp", 01777},    {"usr", 0755},      {"usr/bin", 0755},
    {"usr/sbin", 0755}, {"usr/local", 0755}, {"sbin", 0755},    {"var", 0755},      {"var/cache", 0755},
    {"var/db", 0755},   {"var/lib", 0755},   {"var/log", 0755}, {"var/mail", 0755}, {"var/spool", 0755},
    {"var/tmp", 01777}, {"var/www", 0755},
};

static const struct {
	const char *path;
	mode_t mode;
	const char *text;
} files[] = {
    {"etc/passwd", 0644,
     "root:x:0:0:root:/root:/bin/sh\n"
     "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
     "bin:x:2:2:bin:/bin:/bin/false\n"
     "mail:x:8:8:mail:/var/mail:/bin/false\n"
     "www-data:x:33:33:www-data:/var/www:/bin/false\n"
     "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"},
    {"etc/group", 0644,
     "root:x:0:\ndaemon:x:1:\nbin:x:2:\ntty:x:5:\nmail:x:8:\nwww-data:x:33:\nshadow:x:42:\nusers:x:100:\n"
     "nogroup:x:65534:\n"},
    {"etc/shadow", 0640,
     "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nbin:*:19000:0:99999:7:::\n"
     "mail:*:19000:0:99999:7:::\nwww-data:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n"},
    {"etc/shells", 0644, "/bin/sh\n/bin/ash\n"},
    {"etc/hosts", 0644, "127.0.0.1\tlocalhost\n::1\tlocalhost\n"},
    {"etc/nsswitch.conf", 0644, "passwd: files\ngroup: files\nhosts: files dns\n"},
    {"etc/profile", 0644,
     "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
     "PS1='\\u@\\h:\\w\\$ '\n"},
    {"etc/protocols", 0644,
     "ip\t0\tIP\nicmp\t1\tICMP\ntcp\t6\tTCP\nudp\t17\tUDP\nipv6-icmp\t58\tIPv6-ICMP\n"},
    {"etc/services", 0644,
     "ssh\t22/tcp\nsmtp\t25/tcp\tmail\ndomain\t53/tcp\ndomain\t53/udp\nhttp\t80/tcp\tweb\npop3\t110/tcp\n"
     "ntp\t123/udp\nimap2\t143/tcp\nhttps\t443/tcp\nsubmission\t587/tcp\n"},
};

static int
make_dirs(int root_fd, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdirat(root_fd, dirs[i].path, 0700) < 0 ||
		    fchmodat(root_fd, dirs[i].path, dirs[i].mode, 0) < 0)
			return err_sys(e, errno, "%s", dirs[i].path);
	return 0;
}

static int
make_files(int root_fd, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_auto_close int fd =
		    openat(root_fd, files[i].path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		int r;

		if (fd < 0)
			return err_sys(e, errno, "%s", files[i].path);
		r = fsx_write_all(fd, files[i].text, strlen(files[i].text));
		if (r < 0)
			return err_sys(e, -r, "%s", files[i].path);
		if (streq(files[i].path, "etc/shadow") && fchown(fd, 0, 42) < 0)
			return err_sys(e, errno, "%s", files[i].path);
		if (fchmod(fd, files[i].mode) < 0)
			return err_sys(e, errno, "%s", files[i].path);
	}
	return 0;
}

static int
copy_program(const char *program, int root_fd, struct err *e)
{
	_auto_close int in = open(program, O_RDONLY | O_CLOEXEC);
	_auto_close int out = openat(root_fd, "bin/busybox", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	ssize_t n;

	if (in < 0 || out < 0)
		return err_sys(e, errno, "copy %s", program);
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	return n < 0 || fchmod(out, 0755) < 0 ? err_sys(e, errno, "copy %s", program) : 0;
}

/* Applets that would act on the host's kernel or make no sense below another init are left out. */
static bool
wanted(const char *applet)
{
	static const char *const no[] = {"busybox",  "init",    "linuxrc",    "insmod",      "rmmod",
					 "modprobe", "lsmod",   "modinfo",    "depmod",      "mkswap",
					 "swapon",   "swapoff", "pivot_root", "switch_root", "freeramdisk",
					 "fsck",     "hwclock", "loadkmap"};

	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (streq(applet, no[i]))
			return false;
	return name_ok(applet) || streq(applet, "[") || streq(applet, "[[");
}

static int
make_applets(const char *program, int root_fd, struct err *e)
{
	_auto_free char *path = xstrdup(program);
	_auto_buf struct buf out = BUF_INIT;
	char list[] = "--list";
	char *argv[] = {path, list, NULL}, *save = NULL;
	struct child c = CHILD_INIT;

	c.argv = argv;
	c.capture = &out;
	c.timeout_s = 10;
	if (child_must(&c, e) < 0)
		return -e->num;
	for (char *a = out.len ? strtok_r(out.s, "\n", &save) : NULL; a; a = strtok_r(NULL, "\n", &save)) {
		_auto_free char *link = xasprintf("bin/%s", a);

		if (wanted(a) && symlinkat("busybox", root_fd, link) < 0 && errno != EEXIST)
			return err_sys(e, errno, "%s", link);
	}
	return 0;
}

int
busybox_fill(const struct source_place *at, struct err *e)
{
	const char *program = os_busybox();
	int r;

	if (!program)
		return err_set(e, ENOENT, "this host has no static busybox (apt install busybox-static)");
	r = make_dirs(at->root_fd, e);
	if (r == 0)
		r = make_files(at->root_fd, e);
	if (r == 0)
		r = copy_program(program, at->root_fd, e);
	if (r == 0)
		r = make_applets(program, at->root_fd, e);
	/* the path that scripts use */
	if (r == 0 && symlinkat("../../bin/env", at->root_fd, "usr/bin/env") < 0)
		r = err_sys(e, errno, "usr/bin/env");
	return r;
}
