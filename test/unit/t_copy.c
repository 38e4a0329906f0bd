/* SPDX-License-Identifier: BSD-2-Clause */
/* store/jailspace/copy.c: everything a tree can hold arrives, and nothing outside it is read or written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/path.h"
#include "store/jailspace/space.h"

static char *top; /* a scratch directory */
static int top_fd = -1;

static int
setup(void **state)
{
	char dir[] = "/tmp/brig-copy.XXXXXX";

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	top = xstrdup(dir);
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return top_fd < 0 || mkdirat(top_fd, "src", 0755) < 0 || mkdirat(top_fd, "dst", 0755) < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	struct err e = ERR_INIT;
	_auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = fsx_rm_rf_at(tmp, top + strlen("/tmp/"), &e);

	(void)state;
	fd_close(top_fd);
	free(top);
	return r;
}

#define NEED_ROOT()             \
	do {                    \
		if (geteuid())  \
			skip(); \
	} while (0)

static int
dir_at(const char *name)
{
	int fd = openat(top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int
copy(int flags, struct err *e)
{
	_auto_close int src = dir_at("src"), dst = dir_at("dst");

	return copy_tree(src, dst, flags, NULL, e);
}

static void
must_copy(int flags)
{
	struct err e = ERR_INIT;

	if (copy(flags, &e) < 0)
		fail_msg("%s", e.msg);
}

static void
put(const char *path, const char *text, mode_t mode)
{
	int fd = openat(top_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fsx_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	fd_close(fd);
}

static char *
full(const char *path)
{
	return xasprintf("%s/%s", top, path);
}

static void
set_times(const char *path, long sec, long nsec)
{
	struct timespec t[2] = {{sec, nsec}, {sec + 7, nsec + 1}};

	assert_int_equal(utimensat(top_fd, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

/* ---- comparing ---- */

/* All attributes of a path, as text in the order of their names. */
static char *
attributes(const char *path)
{
	_auto_strv struct strv all = STRV_INIT;
	char list[4096], value[4096];
	ssize_t n = llistxattr(path, list, sizeof(list));

	for (const char *p = list; n > 0 && p < list + n; p += strlen(p) + 1) {
		struct buf b = BUF_INIT;
		ssize_t len = lgetxattr(path, p, value, sizeof(value));

		assert_true(len >= 0);
		buf_addf(&b, "%s=", p);
		for (ssize_t i = 0; i < len; i++)
			buf_addf(&b, "%02x", (unsigned char)value[i]);
		strv_take(&all, buf_take(&b));
	}
	strv_sort(&all);
	return all.n ? strv_join(&all, " ") : xstrdup("");
}

static void
same_content(int a, int b, const char *name)
{
	_auto_close int fa = openat(a, name, O_RDONLY | O_NOATIME | O_CLOEXEC),
			fb = openat(b, name, O_RDONLY | O_NOATIME | O_CLOEXEC);
	char ca[65536], cb[65536];
	ssize_t na, nb;

	assert_true(fa >= 0 && fb >= 0);
	do {
		na = read(fa, ca, sizeof(ca));
		nb = read(fb, cb, sizeof(cb));
		assert_true(na >= 0 && na == nb);
		assert_memory_equal(ca, cb, (size_t)na);
	} while (na > 0);
}

static void
same_stat(const struct stat *x, const struct stat *y, const char *name)
{
	if (x->st_mode != y->st_mode || x->st_uid != y->st_uid || x->st_gid != y->st_gid)
		fail_msg("%s: mode %o owner %u:%u, copied as %o %u:%u", name, x->st_mode, x->st_uid,
			 x->st_gid, y->st_mode, y->st_uid, y->st_gid);
	/* reading a link changes its access time */
	if (x->st_mtim.tv_sec != y->st_mtim.tv_sec || x->st_mtim.tv_nsec != y->st_mtim.tv_nsec ||
	    (!S_ISLNK(x->st_mode) &&
	     (x->st_atim.tv_sec != y->st_atim.tv_sec || x->st_atim.tv_nsec != y->st_atim.tv_nsec)))
		fail_msg("%s: times differ", name);
	if (!S_ISDIR(x->st_mode) && (x->st_nlink != y->st_nlink || x->st_size != y->st_size))
		fail_msg("%s: %lu names, %ld bytes; copied: %lu, %ld", name, (unsigned long)x->st_nlink,
			 (long)x->st_size, (unsigned long)y->st_nlink, (long)y->st_size);
}

static void same_tree(const char *a, const char *b);

/* Attributes before content: reading changes access times. */
static void
same_entry(const char *a, const char *b, const char *name)
{
	_auto_free char *pa = path_join(a, name), *pb = path_join(b, name);
	_auto_free char *xa = attributes(pa), *xb = attributes(pb);
	struct stat x, y;

	assert_int_equal(lstat(pa, &x), 0);
	if (lstat(pb, &y) < 0)
		fail_msg("%s is missing", pb);
	same_stat(&x, &y, pa);
	assert_string_equal(xa, xb);
	if (S_ISLNK(x.st_mode)) {
		char ta[512] = "", tb[512] = "";

		assert_true(readlink(pa, ta, sizeof(ta) - 1) > 0 && readlink(pb, tb, sizeof(tb) - 1) > 0);
		assert_string_equal(ta, tb);
	} else if (S_ISREG(x.st_mode)) {
		_auto_close int fa = open(a, O_PATH | O_CLOEXEC), fb = open(b, O_PATH | O_CLOEXEC);

		same_content(fa, fb, name);
	} else if (S_ISDIR(x.st_mode)) {
		same_tree(pa, pb);
	}
}

static size_t
count(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void
same_tree(const char *a, const char *b)
{
	DIR *d = opendir(a);
	struct dirent *de;

	assert_non_null(d);
	assert_int_equal(count(a), count(b));
	while ((de = readdir(d)))
		if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
			same_entry(a, b, de->d_name);
	(void)closedir(d);
}

/* ---- tests ---- */

static void
make_links(void)
{
	assert_int_equal(linkat(top_fd, "src/plain", top_fd, "src/a/other name", 0), 0);
	assert_int_equal(linkat(top_fd, "src/plain", top_fd, "src/zz", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", top_fd, "src/link"), 0);
	assert_int_equal(symlinkat("nowhere/at all", top_fd, "src/a/dangling"), 0);
	assert_int_equal(linkat(top_fd, "src/link", top_fd, "src/a/link2", 0), 0);
	assert_int_equal(fchownat(top_fd, "src/a/dangling", 5, 6, AT_SYMLINK_NOFOLLOW), 0);
	set_times("src/link", 1000000, 1);
	set_times("src/a/dangling", 2000000, 999999998);
	assert_int_equal(mkfifoat(top_fd, "src/fifo", 0600), 0);
	assert_int_equal(fchmodat(top_fd, "src/fifo", 0620, 0), 0);
	assert_int_equal(fchownat(top_fd, "src/fifo", 3, 4, 0), 0);
	set_times("src/fifo", 3, 4);
}

static void
make_attributes(void)
{
	/* version 2: user::rw- user:1234:r-- group::r-- mask::r-- other::--- (acl(5),
	 * linux/posix_acl_xattr.h) */
	static const unsigned char acl[] = {2,    0,   0,   0,   1,  0, 6, 0, 255, 255, 255, 255, 2,  0, 4, 0,
					    0xd2, 4,   0,   0,   4,  0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0,
					    255,  255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};
	/* cap_net_raw+ep, version 2 (linux/capability.h) */
	static const unsigned char cap[] = {1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	_auto_free char *plain = full("src/plain"), *dir = full("src/a"), *suid = full("src/ping"),
			*link = full("src/a/dangling");

	assert_int_equal(setxattr(plain, "user.note", "x\0y", 3, 0), 0);
	assert_int_equal(setxattr(plain, "system.posix_acl_access", acl, sizeof(acl), 0), 0);
	assert_int_equal(setxattr(dir, "system.posix_acl_default", acl, sizeof(acl), 0), 0);
	assert_int_equal(setxattr(dir, "user.empty", "", 0, 0), 0);
	assert_int_equal(setxattr(suid, "security.capability", cap, sizeof(cap), 0), 0);
	assert_int_equal(lsetxattr(link, "trusted.t", "1", 1, 0), 0);
}

static void
make_everything(void)
{
	char longname[256];

	put("src/plain", "hello\n", 0640);
	put("src/empty", "", 0);
	put("src/ping", "elf", 04755);
	put("src/sgid", "elf", 02711);
	put("src/new\nline \033[31m", "x", 0777);
	assert_int_equal(mkdirat(top_fd, "src/a", 0755), 0);
	assert_int_equal(mkdirat(top_fd, "src/a/b", 0755), 0);
	assert_int_equal(mkdirat(top_fd, "src/tmp", 0755), 0);
	assert_int_equal(fchmodat(top_fd, "src/tmp", 01777, 0), 0);
	assert_int_equal(fchmodat(top_fd, "src/a/b", 02500, 0), 0);
	memset(longname, 'n', 255);
	longname[255] = '\0';
	{
		_auto_free char *p = xasprintf("src/a/%s", longname);

		put(p, "long", 0444);
	}
	assert_int_equal(fchownat(top_fd, "src/ping", 0, 42, 0), 0);
	assert_int_equal(fchmodat(top_fd, "src/ping", 06755, 0), 0);
	assert_int_equal(fchownat(top_fd, "src/plain", 70000, 33, 0), 0);
	assert_int_equal(fchownat(top_fd, "src/a", 1, 2, 0), 0);
	make_links();
	make_attributes();
	set_times("src/plain", 1, 123456789);
	set_times("src/ping", -5, 0);
	set_times("src/a/b", 1111, 2222);
	set_times("src/a", 3333, 4444);
	set_times("src/tmp", 5555, 0);
	assert_int_equal(fchmodat(top_fd, "src", 0751, 0), 0);
	set_times("src", 77, 88);
}

static void
everything(void **state)
{
	_auto_free char *src = full("src"), *dst = full("dst");
	struct stat st, first;

	(void)state;
	NEED_ROOT();
	make_everything();
	/* dst that would hand its group down */
	assert_int_equal(fchownat(top_fd, "dst", 9, 9, 0), 0);
	assert_int_equal(fchmodat(top_fd, "dst", 02777, 0), 0);
	must_copy(0);
	assert_int_equal(lstat(dst, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_mtim.tv_nsec, 89);
	assert_int_equal(fstatat(top_fd, "dst/link", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_atim.tv_sec, 1000000);
	same_tree(src, dst);
	/* the names of one file lead to one file */
	assert_int_equal(fstatat(top_fd, "dst/plain", &first, 0), 0);
	assert_int_equal(fstatat(top_fd, "dst/a/other name", &st, 0), 0);
	assert_int_equal(st.st_ino, first.st_ino);
	assert_int_equal(first.st_nlink, 3);
}

static void
umask_does_not_matter(void **state)
{
	_auto_free char *src = full("src"), *dst = full("dst");
	mode_t old = umask(077);

	(void)state;
	put("src/x", "x", 0666);
	must_copy(0);
	assert_int_equal(umask(old), 077);
	same_tree(src, dst);
}

static void
sparse(void **state)
{
	static const off_t at[] = {0, 5 << 20, (64 << 20) - 3};
	struct stat st;
	int fd = openat(top_fd, "src/disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_LEN(at); i++)
		assert_int_equal(pwrite(fd, "abc", 3, at[i]), 3);
	assert_int_equal(ftruncate(fd, 66L << 20), 0);
	fd_close(fd);
	fd = openat(top_fd, "src/hole", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 1L << 40), 0);
	fd_close(fd);
	must_copy(0);
	assert_int_equal(fstatat(top_fd, "dst/disk", &st, 0), 0);
	assert_true(st.st_blocks * 512 < 1 << 20);
	assert_int_equal(fstatat(top_fd, "dst/hole", &st, 0), 0);
	assert_int_equal(st.st_size, 1L << 40);
	assert_true(st.st_blocks * 512 < 1 << 20);
	assert_int_equal(unlinkat(top_fd, "src/hole", 0), 0); /* a TiB of zeros is not worth reading */
	assert_int_equal(unlinkat(top_fd, "dst/hole", 0), 0);
	{
		_auto_close int a = dir_at("src"), b = dir_at("dst");

		same_content(a, b, "disk");
	}
}

static void
large(void **state)
{
	_auto_close int a = dir_at("src"), b = dir_at("dst");
	char block[65536];
	int fd = openat(a, "big", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	for (unsigned i = 0; i < 101; i++) {
		memset(block, (int)i + 1, sizeof(block));
		assert_int_equal(fsx_write_all(fd, block, sizeof(block) - i), 0);
	}
	fd_close(fd);
	must_copy(0);
	same_content(a, b, "big");
}

/* A chain of directories with a file with two names at both ends; few descriptors allowed. */
static void
deep(void **state)
{
	struct rlimit old, few;
	int at = dir_at("src"), levels = 3000;
	struct stat st;

	(void)state;
	put("src/first", "one", 0600);
	for (int i = 0; i < levels; i++) {
		int next;

		if (i == levels - 1) {
			assert_int_equal(linkat(top_fd, "src/first", at, "last", 0), 0);
			assert_int_equal(linkat(top_fd, "src/first", at, "again", 0), 0);
		}
		assert_int_equal(mkdirat(at, "directory", 0755), 0);
		next = openat(at, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		fd_close(at);
		at = next;
	}
	fd_close(at);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){100, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	must_copy(0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	at = dir_at("dst");
	for (int i = 0; i < levels - 1; i++) {
		int next = openat(at, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_true(next >= 0);
		fd_close(at);
		at = next;
	}
	assert_int_equal(fstatat(at, "last", &st, 0), 0);
	assert_int_equal(st.st_nlink, 3);
	fd_close(at);
}

static int
chain(const char *name, int levels)
{
	_auto_free char *path = xasprintf("src/%s", name);
	int at;

	assert_int_equal(mkdirat(top_fd, path, 0755), 0);
	at = dir_at(path);
	for (int i = 0; i < levels; i++) {
		int next;

		assert_int_equal(mkdirat(at, "directory", 0755), 0);
		next = openat(at, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		fd_close(at);
		at = next;
	}
	return at;
}

/* Whichever of the two names is copied first: the way back to it is longer than PATH_MAX. */
static void
far_link(void **state)
{
	_auto_close int one = chain("one", 600), two = chain("two", 600), again = -EBADF;
	struct stat st;

	(void)state;
	{
		_auto_close int fd = openat(one, "x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
	}
	assert_int_equal(linkat(one, "x", two, "x", 0), 0);
	must_copy(0);
	again = dir_at("dst/two");
	for (int i = 0; i < 600; i++) {
		int next = openat(again, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_true(next >= 0);
		fd_close(again);
		again = next;
	}
	assert_int_equal(fstatat(again, "x", &st, 0), 0);
	assert_int_equal(st.st_nlink, 2);
}

static void
special_files(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct err e = ERR_INIT;
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(mkdirat(top_fd, "src/run", 0755), 0);
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/src/run/sock", top);
	assert_int_equal(bind(fd, (const void *)&un, sizeof(un)), 0);
	fd_close(fd);
	assert_int_equal(copy(0, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "'run/sock' is a socket"));
	assert_int_equal(fsx_rm_rf_at(top_fd, "dst", &e), 0);
	assert_int_equal(mkdirat(top_fd, "dst", 0755), 0);
	put("src/run/file", "x", 0644);
	must_copy(COPY_SKIP_SPECIAL);
	assert_int_equal(fstatat(top_fd, "dst/run/file", &st, 0), 0);
	assert_int_equal(fstatat(top_fd, "dst/run/sock", &st, 0), -1);
}

static void
device_nodes(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	NEED_ROOT();
	if (mknodat(top_fd, "src/null", S_IFCHR | 0666, makedev(1, 3)) < 0)
		skip();
	assert_int_equal(copy(0, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "'null' is a device node"));
}

/* In a mount namespace of a child, so that nothing stays mounted whatever happens. */
static void
in_namespace(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(77);
		fd_close(top_fd); /* it leads to the mounts of the parent's namespace */
		top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

#define CHECK(cond)                                                                           \
	do {                                                                                  \
		if (!(cond)) {                                                                \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #cond, e.msg); \
			_exit(1);                                                             \
		}                                                                             \
	} while (0)

static void
mounted(void)
{
	_auto_free char *dir = full("src/var/disk"), *file = full("src/file"), *other = full("other"),
			*secret = full("other/secret");
	struct err e = ERR_INIT;
	struct stat st;

	CHECK(mount(other, dir, NULL, MS_BIND, NULL) == 0);
	CHECK(copy(0, &e) == -EXDEV);
	CHECK(strstr(e.msg, "'var/disk' is a mount point"));
	CHECK(fsx_rm_rf_at(top_fd, "dst", &e) == 0 && mkdirat(top_fd, "dst", 0755) == 0);
	CHECK(mount(secret, file, NULL, MS_BIND, NULL) == 0);
	CHECK(copy(COPY_SKIP_SPECIAL, &e) == 0);
	CHECK(fstatat(top_fd, "dst/var/disk", &st, 0) == 0 && (st.st_mode & 07777) == 0700);
	CHECK(fstatat(top_fd, "dst/var/disk/secret", &st, 0) < 0);
	CHECK(fstatat(top_fd, "dst/file", &st, 0) < 0);
}

static void
mount_points(void **state)
{
	(void)state;
	NEED_ROOT();
	assert_int_equal(mkdirat(top_fd, "src/var", 0755), 0);
	assert_int_equal(mkdirat(top_fd, "src/var/disk", 0755), 0);
	assert_int_equal(mkdirat(top_fd, "other", 0700), 0);
	put("other/secret", "secret", 0600);
	put("src/file", "mine", 0600);
	in_namespace(mounted);
}

static void
full_disk_child(void)
{
	_auto_free char *dst = full("dst");
	struct err e = ERR_INIT;

	CHECK(mount("none", dst, "tmpfs", 0, "size=1m") == 0);
	CHECK(copy(0, &e) == -ENOSPC);
	CHECK(streq(e.msg, "copy 'big': No space left on device"));
}

static void
full_disk(void **state)
{
	_auto_free char *big = xcalloc(1, (3 << 20) + 1);

	(void)state;
	NEED_ROOT();
	memset(big, 'x', 3 << 20);
	put("src/big", big, 0600);
	in_namespace(full_disk_child);
}

/* Somebody exchanges a directory and a file of the source with links to a secret, as fast as possible. */
static atomic_bool stop_swapping;

static void *
swapper(void *arg)
{
	(void)arg;
	while (!stop_swapping) {
		(void)renameat2(top_fd, "src/d", top_fd, "src/dl", RENAME_EXCHANGE);
		(void)renameat2(top_fd, "src/f", top_fd, "src/fl", RENAME_EXCHANGE);
	}
	return NULL;
}

static bool
has_secret(const char *path)
{
	_auto_close int fd = openat(top_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[16] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "secret");
}

/* The control: what looks first and opens then is fooled by it sooner or later. */
static bool
naive_is_fooled(void)
{
	for (int i = 0; i < 1000000; i++) {
		char text[16] = "";
		struct stat st;
		int fd;

		if (fstatat(top_fd, "src/f", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		fd = openat(top_fd, "src/f", O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
		fd_close(fd);
		if (strstr(text, "secret"))
			return true;
	}
	return false;
}

static void
changing_source(void **state)
{
	int failed = 0, copied = 0;
	pthread_t t;

	(void)state;
	assert_int_equal(mkdirat(top_fd, "other", 0755), 0);
	put("other/secret", "secret", 0644);
	assert_int_equal(mkdirat(top_fd, "src/d", 0755), 0);
	put("src/d/secret", "public", 0644);
	put("src/f", "public", 0644);
	assert_int_equal(symlinkat("../other", top_fd, "src/dl"), 0);
	assert_int_equal(symlinkat("../other/secret", top_fd, "src/fl"), 0);
	stop_swapping = false;
	assert_int_equal(pthread_create(&t, NULL, swapper, NULL), 0);
	assert_true(naive_is_fooled());
	for (int i = 0; i < 400; i++) {
		static const char *const look[] = {"dst/d/secret", "dst/dl/secret", "dst/f", "dst/fl"};
		struct err e = ERR_INIT;
		int r = copy(0, &e);

		*(r < 0 ? &failed : &copied) += 1;
		for (size_t k = 0; k < ARRAY_LEN(look); k++) {
			struct stat st;
			_auto_free char *parent = xstrndup(look[k], strcspn(look[k] + 4, "/") + 4);

			/* a link in the copy is a link; only what is behind a real directory counts */
			if (fstatat(top_fd, parent, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode))
				assert_false(has_secret(look[k]));
		}
		assert_int_equal(fsx_rm_rf_at(top_fd, "dst", &e), 0);
		assert_int_equal(mkdirat(top_fd, "dst", 0755), 0);
	}
	stop_swapping = true;
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(failed + copied, 400);
}

static size_t
open_descriptors(void)
{
	return count("/proc/self/fd");
}

static void
nothing_leaks(void **state)
{
	struct err e = ERR_INIT;
	size_t before = open_descriptors();

	(void)state;
	assert_int_equal(mkdirat(top_fd, "src/a", 0755), 0);
	put("src/a/x", "x", 0644);
	must_copy(0);
	assert_int_equal(open_descriptors(), before);
	/* dst is not empty any more */
	assert_int_equal(copy(0, &e), -EEXIST);
	assert_string_equal(e.msg, "copy 'a': File exists");
	assert_int_equal(open_descriptors(), before);
}

static void
count_at(void *ctx, uint64_t done, uint64_t total)
{
	(void)total;
	*(uint64_t *)ctx = done;
}

static void
progress_is_told(void **state)
{
	uint64_t seen = 0;
	struct progress pr = {NULL, count_at, &seen};
	_auto_close int src = dir_at("src"), dst = dir_at("dst");
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 100; i++) {
		_auto_free char *name = xasprintf("src/%d", i);

		put(name, "x", 0644);
	}
	assert_int_equal(mkdirat(top_fd, "src/d", 0755), 0);
	assert_int_equal(copy_tree(src, dst, 0, &pr, &e), 0);
	assert_int_equal(seen, 101); /* the top is not one of them */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(everything),
	    TEST(umask_does_not_matter),
	    TEST(sparse),
	    TEST(large),
	    TEST(deep),
	    TEST(far_link),
	    TEST(special_files),
	    TEST(device_nodes),
	    TEST(mount_points),
	    TEST(full_disk),
	    TEST(changing_source),
	    TEST(nothing_leaks),
	    TEST(progress_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
