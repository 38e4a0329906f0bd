/* SPDX-License-Identifier: BSD-2-Clause */
/* import/: archives as an attacker would write them; nothing may appear outside the directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/path.h"
#include "import/import.h"

static char top[32];
static int top_fd, in_fd;
static struct archive *out;
static struct err e;
static struct import_limits limits;

/* TOP/in is filled; TOP/outside must stay as it is. */
static int
begin(int (*format)(struct archive *))
{
	_auto_free char *file = NULL;

	limits = import_limits;
	memcpy(top, "/tmp/brig-import.XXXXXX", sizeof("/tmp/brig-import.XXXXXX"));
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fsx_mkdir_open(top_fd, "in", 0755, &in_fd, &e) < 0 || mkdirat(top_fd, "outside", 0755) < 0 ||
	    fsx_write_text(top_fd, "outside/f", "safe", 0644, 0, &e) < 0)
		return -1;
	file = xasprintf("%s/a.tar", top);
	out = archive_write_new();
	(void)format(out);
	return archive_write_open_filename(out, file) == ARCHIVE_OK ? 0 : -1;
}

static int
setup(void **state)
{
	(void)state;
	return begin(archive_write_set_format_pax_restricted);
}

static int
setup_cpio(void **state)
{
	(void)state;
	return begin(archive_write_set_format_cpio_newc);
}

static int
packed_pax(struct archive *a)
{
	(void)archive_write_add_filter_gzip(a);
	return archive_write_set_format_pax_restricted(a);
}

static int
setup_packed(void **state)
{
	(void)state;
	return begin(packed_pax);
}

static int
teardown(void **state)
{
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	(void)archive_write_free(out);
	fd_close(in_fd);
	fd_close(top_fd);
	(void)fsx_rm_rf_at(tmp, top + 5, &e);
	fd_close(tmp);
	return 0;
}

/* One entry; text is the content of a file, the target of a link. */
static struct archive_entry *
entry(const char *name, mode_t type, const char *text)
{
	struct archive_entry *a = archive_entry_new();

	archive_entry_set_pathname(a, name);
	archive_entry_set_filetype(a, type);
	archive_entry_set_perm(a, type == AE_IFDIR ? 0755 : 0644);
	archive_entry_set_mtime(a, 1000000000, 0);
	archive_entry_set_size(a, type == AE_IFREG ? (la_int64_t)strlen(text) : 0);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(a, text);
	if (type == AE_IFCHR || type == AE_IFBLK) {
		archive_entry_set_rdevmajor(a, 1);
		archive_entry_set_rdevminor(a, 3);
	}
	return a;
}

static void
put(struct archive_entry *a, const char *text)
{
	assert_true(archive_write_header(out, a) >= ARCHIVE_WARN);
	if (archive_entry_filetype(a) == AE_IFREG && !archive_entry_hardlink(a))
		assert_int_equal(archive_write_data(out, text, strlen(text)), strlen(text));
	archive_entry_free(a);
}

static void
add(const char *name, mode_t type, const char *text)
{
	put(entry(name, type, text), text);
}

static void
add_hardlink(const char *name, const char *target)
{
	struct archive_entry *a = entry(name, AE_IFREG, "");

	archive_entry_set_hardlink(a, target);
	archive_entry_unset_size(a);
	put(a, "");
}

static int
run_file(void)
{
	_auto_free char *file = xasprintf("%s/a.tar", top);
	_auto_close int fd = open(file, O_RDONLY | O_CLOEXEC);

	err_clear(&e);
	return import_run(fd, in_fd, &limits, &e);
}

static int
run(void)
{
	assert_int_equal(archive_write_close(out), ARCHIVE_OK);
	return run_file();
}

static bool
outside_clean(void)
{
	_auto_free char *text = NULL;
	_auto_closedir DIR *d = NULL;
	struct stat f, dir;
	int n = 0;

	if (fstatat(top_fd, "evil", &f, AT_SYMLINK_NOFOLLOW) == 0 ||
	    fsx_read_at(top_fd, "outside/f", 100, &text, NULL, &e) < 0 || !streq(text, "safe") ||
	    fstatat(top_fd, "outside/f", &f, 0) < 0 || fstatat(top_fd, "outside", &dir, 0) < 0)
		return false;
	d = fdopendir(openat(top_fd, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	while (readdir(d))
		n++;
	return n == 3 && f.st_nlink == 1 && (f.st_mode & 07777) == 0644 && (dir.st_mode & 07777) == 0755;
}

static void
outside_untouched(void)
{
	assert_true(outside_clean());
}

/* What a program does that takes the archive at its word; our archive is one that would hurt. */
static void
naive_is_fooled(void)
{
	pid_t pid;
	int status;

	assert_int_equal(mkdirat(top_fd, "naive", 0755), 0);
	pid = fork();
	if (pid == 0) {
		struct archive *in = archive_read_new();
		struct archive_entry *one;

		(void)archive_read_support_format_all(in);
		if (fchdir(top_fd) < 0 || archive_read_open_filename(in, "a.tar", 65536) != ARCHIVE_OK ||
		    chdir("naive") < 0)
			_exit(1);
		while (archive_read_next_header(in, &one) == ARCHIVE_OK)
			(void)archive_read_extract(in, one, ARCHIVE_EXTRACT_PERM);
		(void)archive_read_free(in); /* modes of directories are set now */
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(outside_clean());
}

static void
refused(const char *why)
{
	struct err got;

	assert_true(run() < 0);
	got = e;
	outside_untouched();
	if (!strstr(got.msg, why))
		fail_msg("'%s' is not in: %s", why, got.msg);
	assert_null(strchr(got.msg, '\n'));
	assert_null(strchr(got.msg, '\033'));
}

static bool
is(const char *path, mode_t type)
{
	struct stat st;

	return fstatat(in_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == type;
}

static void
text_is(const char *path, const char *want)
{
	_auto_free char *text = NULL;

	if (fsx_read_at(in_fd, path, 1 << 20, &text, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(text, want);
}

static void
good(void **state)
{
	static const char cap[] =
	    "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
	struct archive_entry *a;
	char value[64];
	struct stat st;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	add("./", AE_IFDIR, "");
	add("./dir", AE_IFDIR, "");
	a = entry("./dir/prog", AE_IFREG, "hello");
	archive_entry_set_perm(a, 04755);
	archive_entry_set_uid(a, 12);
	archive_entry_set_gid(a, 34);
	archive_entry_xattr_add_entry(a, "user.x", "y", 1);
	archive_entry_xattr_add_entry(a, "trusted.x", "y", 1);
	archive_entry_xattr_add_entry(a, "security.capability", cap, 20);
	archive_entry_acl_add_entry(a, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 6, ARCHIVE_ENTRY_ACL_USER, 5, "five");
	archive_entry_acl_add_entry(a, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 5, ARCHIVE_ENTRY_ACL_MASK, -1, NULL);
	put(a, "hello");
	add_hardlink("./dir/again", "./dir/prog");
	add("./link", AE_IFLNK, "../../outside/f");
	add("./dev/null", AE_IFCHR, "");
	add("./dev/pipe", AE_IFIFO, "");
	add("./dir/\033[31m\n-rf --checkpoint-action=exec=x", AE_IFREG, "n");
	add("./.wh.dir", AE_IFREG, "w");
	add("implied/parents/f", AE_IFREG, "f");
	if (run() < 0)
		fail_msg("%s", e.msg);
	outside_untouched();
	assert_int_equal(fstatat(in_fd, "dir/again", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, 34);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mtime, 1000000000);
	fd = openat(in_fd, "dir/prog", O_RDONLY | O_CLOEXEC);
	if (fgetxattr(fd, "user.x", value, sizeof(value)) != 1 && errno != ENOTSUP)
		fail_msg("user.x is missing");
	assert_int_equal(fgetxattr(fd, "trusted.x", value, sizeof(value)), -1);
	assert_int_equal(fgetxattr(fd, "security.capability", value, sizeof(value)), 20);
	assert_true(fgetxattr(fd, "system.posix_acl_access", value, sizeof(value)) == 4 + 5 * 8 ||
		    errno == ENOTSUP);
	fd_close(fd);
	assert_int_equal(fstatat(in_fd, "dir", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mtime, 1000000000);
	assert_false(is("dev/null", S_IFCHR));
	assert_false(is("dev/pipe", S_IFIFO));
	assert_true(is("dir/\033[31m\n-rf --checkpoint-action=exec=x", S_IFREG));
	assert_true(is("link", S_IFLNK));
	text_is(".wh.dir", "w");
	text_is("implied/parents/f", "f");
}

static void
names(void **state)
{
	(void)state;
	add("../evil", AE_IFREG, "x");
	refused("'../evil': a name with '..'");
	naive_is_fooled();
}

static void
names_inside(void **state)
{
	(void)state;
	add("a/../../evil", AE_IFREG, "x");
	refused("a name with '..'");
	naive_is_fooled();
}

static void
names_absolute(void **state)
{
	(void)state;
	add("/tmp/evil", AE_IFREG, "x");
	refused("'/tmp/evil': an absolute name");
}

static void
names_long(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[299] = '\0';
	add(name, AE_IFREG, "x");
	refused("a name longer than 255 bytes");
}

static void
names_deep(void **state)
{
	_auto_buf struct buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 1500; i++)
		buf_adds(&b, "d/");
	buf_adds(&b, "f");
	add(b.s, AE_IFREG, "x");
	refused("more than 128 directories deep");
}

static void
through_link(void **state)
{
	(void)state;
	add("x", AE_IFLNK, "../outside");
	add("x/evil", AE_IFREG, "x");
	refused("'x/evil' leads through the link 'x'");
	naive_is_fooled();
}

static void
through_chain(void **state)
{
	(void)state;
	add("a", AE_IFDIR, "");
	add("a/b", AE_IFLNK, "..");
	add("c", AE_IFLNK, "a/b/../outside");
	add("c/evil", AE_IFREG, "x");
	refused("leads through the link 'c'");
	naive_is_fooled();
}

static void
leaf_link(void **state)
{
	(void)state;
	add("x", AE_IFLNK, "../outside/f");
	add("x", AE_IFREG, "evil");
	assert_int_equal(run(), 0);
	outside_untouched();
	text_is("x", "evil");
	assert_true(is("x", S_IFREG));
}

static void
directory_for_link(void **state)
{
	struct archive_entry *a;

	(void)state;
	add("x", AE_IFLNK, "../outside");
	a = entry("x", AE_IFDIR, "");
	archive_entry_set_perm(a, 0777);
	put(a, "");
	add("x/evil", AE_IFREG, "x");
	assert_int_equal(run(), 0);
	outside_untouched();
	assert_true(is("x", S_IFDIR));
	text_is("x/evil", "x");
}

/* The directory was real when it was made and is a link when its time is set. */
static void
link_for_directory(void **state)
{
	(void)state;
	add("x", AE_IFDIR, "");
	add("x", AE_IFLNK, "../outside");
	assert_int_equal(run(), 0);
	outside_untouched();
	assert_true(is("x", S_IFLNK));
}

static void
file_for_full_directory(void **state)
{
	(void)state;
	add("x/f", AE_IFREG, "x");
	add("x", AE_IFREG, "x");
	refused("'x': replace what an earlier entry put there");
}

static void
hardlinks(void **state)
{
	(void)state;
	add_hardlink("x", "../outside/f");
	refused("a name with '..'");
	naive_is_fooled();
}

static void
hardlinks_absolute(void **state)
{
	(void)state;
	add_hardlink("x", "/etc/passwd");
	refused("an absolute name");
}

static void
hardlinks_through_link(void **state)
{
	(void)state;
	add("o", AE_IFLNK, "../outside");
	add_hardlink("x", "o/f");
	refused("not in the archive before it");
	naive_is_fooled();
}

static void
hardlinks_missing(void **state)
{
	(void)state;
	add_hardlink("x", "later");
	add("later", AE_IFREG, "x");
	refused("'x': hard link to 'later'");
}

static void
hardlink_to_link(void **state)
{
	(void)state;
	add("o", AE_IFLNK, "../outside/f");
	add_hardlink("x", "o");
	add("x", AE_IFREG, "evil");
	assert_int_equal(run(), 0);
	outside_untouched();
	assert_true(is("o", S_IFLNK));
	text_is("x", "evil");
}

static void
top_as_link(void **state)
{
	(void)state;
	add(".", AE_IFLNK, "../outside");
	refused("the top of the archive is not a directory");
}

static void
special(void **state)
{
	(void)state;
	add("devices/null", AE_IFCHR, "");
	refused("'devices/null' is a device node");
}

static void
special_fifo(void **state)
{
	(void)state;
	add("run/x", AE_IFIFO, "");
	refused("'run/x' is a FIFO");
}

static void
owner(void **state)
{
	struct archive_entry *a = entry("x", AE_IFREG, "x");

	(void)state;
	archive_entry_set_uid(a, 4294967295);
	put(a, "x");
	refused("owner 4294967295:0 is not an id");
}

/* The first is a file, the second a link in its place, the third goes through it. */
static void
file_link_through(void **state)
{
	(void)state;
	add("x", AE_IFREG, "x");
	add("x", AE_IFLNK, "../outside");
	add("x/evil", AE_IFREG, "x");
	refused("'x/evil' leads through the link 'x'");
	naive_is_fooled();
}

static void
directories_through_link(void **state)
{
	(void)state;
	add("x", AE_IFLNK, "../outside");
	add("x/evil", AE_IFDIR, "");
	refused("'x/evil/' leads through the link 'x'");
	naive_is_fooled();
}

static void
links_through_link(void **state)
{
	(void)state;
	add("x", AE_IFLNK, "../outside");
	add("x/evil", AE_IFLNK, "f");
	refused("'x/evil' leads through the link 'x'");
	naive_is_fooled();
}

static void
hardlink_below_link(void **state)
{
	(void)state;
	add("f", AE_IFREG, "evil");
	add("x", AE_IFLNK, "../outside");
	add_hardlink("x/evil", "f");
	refused("'x/evil' leads through the link 'x'");
	naive_is_fooled();
}

/* ---- totals ---- */

static void
bound_entries(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		add("same", AE_IFREG, "x");
	assert_int_equal(run(), 0); /* it is the number that is wrong, nothing else */
	limits.entries = 19;
	assert_int_equal(run_file(), -EFBIG);
	assert_string_equal(e.msg, "'same': more than 19 members");
}

static void
bound_names(void **state)
{
	char name[201];

	(void)state;
	memset(name, 'n', 200);
	name[200] = '\0';
	for (int i = 0; i < 20; i++)
		add(name, AE_IFDIR, "");
	limits.names = 4000;
	assert_int_equal(run(), 0);
	limits.names = 3999;
	assert_int_equal(run_file(), -EFBIG);
	assert_non_null(strstr(e.msg, "the names are longer than 0 MiB together"));
}

static void
bound_total(void **state)
{
	(void)state;
	add("a", AE_IFREG, "12345678");
	add("b", AE_IFREG, "12345678");
	limits.total = 16;
	assert_int_equal(run(), 0);
	limits.total = 15;
	assert_int_equal(run_file(), -EFBIG);
	assert_string_equal(e.msg, "'b': the files are larger than 0 MiB together");
	limits.file = 7;
	assert_int_equal(run_file(), -EFBIG);
	assert_string_equal(e.msg, "'a': larger than 0 MiB");
}

/* 64 MiB of nothing in 64 KiB. */
static void
bound_bomb(void **state)
{
	const size_t size = 64 << 20;
	_auto_free char *zeros = calloc(1, 1 << 20);
	struct archive_entry *a = entry("bomb", AE_IFREG, "");
	struct stat st;

	(void)state;
	archive_entry_set_size(a, (la_int64_t)size);
	assert_int_equal(archive_write_header(out, a), ARCHIVE_OK);
	archive_entry_free(a);
	for (size_t i = 0; i < size >> 20; i++)
		assert_int_equal(archive_write_data(out, zeros, 1 << 20), 1 << 20);
	limits.unpacked = 8 << 20;
	assert_int_equal(run(), -EFBIG);
	assert_non_null(strstr(e.msg, "'bomb': the archive unpacks to more than 200 times its size"));
	assert_int_equal(fstatat(in_fd, "bomb", &st, 0), 0);
	assert_in_range(st.st_size, 1, 16 << 20); /* it was ended on the way */
	limits.unpacked = 128 << 20;
	assert_int_equal(run_file(), 0);
	assert_int_equal(fstatat(in_fd, "bomb", &st, 0), 0);
	assert_int_equal(st.st_size, size);
}

/* Holes are not written: 60 GiB of them are no blocks.  But they are read later: as much as a bomb may be. */
static void
sparse(void **state)
{
	struct archive_entry *a = entry("holes", AE_IFREG, "");
	const la_int64_t size = 60ll << 30;
	struct stat st;

	(void)state;
	archive_entry_set_size(a, size);
	archive_entry_sparse_add_entry(a, size - 4, 4);
	assert_int_equal(archive_write_header(out, a), ARCHIVE_OK);
	archive_entry_free(a);
	for (la_int64_t left = size - 4; left > 0;) { /* libarchive writes only what is no hole */
		static char zeros[1 << 20];
		size_t n = left > (1 << 20) ? 1 << 20 : (size_t)left;
		la_ssize_t w = archive_write_data(out, zeros, n);

		if (w <= 0)
			break;
		left -= w;
	}
	(void)archive_write_data(out, "tail", 4);
	assert_int_equal(run(), -EFBIG);
	assert_non_null(strstr(e.msg, "'holes': the archive unpacks to more than 200 times its size"));
	limits.unpacked = 64ull << 30;
	if (run_file() < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(fstatat(in_fd, "holes", &st, 0), 0);
	assert_int_equal(st.st_size, size);
	assert_in_range(st.st_blocks, 0, 64);
}

/* A header by hand: what a careful writer would not write. */
static void
raw_header(const char *name, const char *size, char type, const char *link, char block[512])
{
	unsigned sum = 0;

	memset(block, 0, 512);
	(void)snprintf(block, 100, "%s", name);
	memcpy(block + 100, "0000644", 7);
	memcpy(block + 108, "0000000", 7);
	memcpy(block + 116, "0000000", 7);
	(void)snprintf(block + 124, 12, "%s", size);
	memcpy(block + 136, "00000000000", 11);
	block[156] = type;
	(void)snprintf(block + 157, 100, "%s", link);
	memcpy(block + 257, "ustar\00000", 8);
	memset(block + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)block[i];
	(void)snprintf(block + 148, 8, "%06o", sum);
}

static void
refused_raw(const void *data, size_t len, const char *why)
{
	struct err got;

	assert_int_equal(fsx_write_atomic(top_fd, "a.tar", &(struct fsx_file){data, len, 0644}, 0, &e), 0);
	assert_true(run_file() < 0);
	got = e;
	outside_untouched();
	if (!strstr(got.msg, why))
		fail_msg("'%s' is not in: %s", why, got.msg);
}

static void
raw(void **state)
{
	char b[1024];

	(void)state;
	raw_header("x", "77777777777", '0', "", b);
	refused_raw(b, 512, "runcated");
	raw_header("big", "00000000000", '0', "", b);
	memcpy(b + 124, "\x80\0\0\0\0\4\0\0\0\0\0\0", 12); /* 2^50 in base 256 */
	memset(b + 148, ' ', 8);
	{
		unsigned sum = 0;

		for (int i = 0; i < 512; i++)
			sum += (unsigned char)b[i];
		(void)snprintf(b + 148, 8, "%06o", sum);
	}
	refused_raw(b, 512, "larger than 65536 MiB");
	raw_header("l", "00000000000", '2', "", b);
	refused_raw(b, 512, "a link without a usable target");
	refused_raw("not a tar file, just text\n", 26, "nrecognized");
	refused_raw("", 0, "nrecognized");
}

/* One pax record, "LENGTH key=value\n" (pax(1)), before a member. */
static void
pax_before(struct buf *b, const char *key, const char *value, size_t len, char type, const char *link)
{
	char block[512], size[12];
	size_t n = strlen(key) + len + 3, digits = 1;
	static const char zeros[512];

	for (size_t d = n; d >= 10; d /= 10)
		digits++;
	n += digits;
	if (n >= 10000 && digits < 5)
		n++;
	(void)snprintf(size, sizeof(size), "%011zo", n);
	raw_header("pax", size, 'x', "", block);
	buf_add(b, block, 512);
	buf_addf(b, "%zu %s=", n, key);
	buf_add(b, value, len);
	buf_addc(b, '\n');
	buf_add(b, zeros, (512 - n % 512) % 512);
	raw_header("plain", "00000000000", type, link, block);
	buf_add(b, block, 512);
	buf_add(b, zeros, 512);
	buf_add(b, zeros, 512);
}

static void
pax_case(const char *key, const char *value, size_t len, char type, const char *why)
{
	_auto_buf struct buf b = BUF_INIT;

	pax_before(&b, key, value, len, type, type == '0' ? "" : "plainer");
	if (why) {
		refused_raw(b.s, b.len, why);
		return;
	}
	assert_int_equal(fsx_write_atomic(top_fd, "a.tar", &(struct fsx_file){b.s, b.len, 0644}, 0, &e), 0);
	(void)run_file();
	outside_untouched();
}

static void
pax(void **state)
{
	_auto_buf struct buf b = BUF_INIT;

	(void)state;
	pax_case("path", "../evil", 7, '0', "'../evil': a name with '..'");
	pax_case("path", "/tmp/evil", 9, '0', "'/tmp/evil': an absolute name");
	pax_case("linkpath", "../outside/f", 12, '1', "a name with '..'");
	for (int i = 0; i < 5000; i++)
		buf_addc(&b, 'n');
	pax_case("path", b.s, b.len, '0', "a name longer than 255 bytes");
	pax_case("linkpath", b.s, b.len, '2', "a link without a usable target");
	for (size_t i = 0; i + 2 < b.len; i += 2)
		memcpy(b.s + i, "d/", 2);
	pax_case("path", b.s, b.len, '0', "more than 128 directories deep");
	/* whatever the library makes of these, it stays inside */
	pax_case("path", "x\0/../../evil", 13, '0', NULL);
	pax_case("path", "", 0, '0', NULL);
	pax_case("linkpath", "../outside/f\0x", 14, '1', NULL);
	pax_case("size", "-1", 2, '0', NULL);
	pax_case("GNU.sparse.realsize", "1125899906842624", 16, '0', NULL);
	pax_case("mtime", "999999999999999999999999", 24, '0', NULL);
}

static void
cpio_names(void **state)
{
	(void)state;
	add("../evil", AE_IFREG, "x");
	refused("'../evil': a name with '..'");
	naive_is_fooled();
}

static void
cpio_absolute(void **state)
{
	(void)state;
	add("/tmp/evil", AE_IFREG, "x");
	refused("'/tmp/evil': an absolute name");
}

static void
cpio_through_link(void **state)
{
	(void)state;
	add("x", AE_IFLNK, "../outside");
	add("x/evil", AE_IFREG, "x");
	refused("'x/evil' leads through the link 'x'");
	naive_is_fooled();
}

static void
cpio_device(void **state)
{
	(void)state;
	add("etc/null", AE_IFCHR, "");
	refused("'etc/null' is a device node");
}

static void
cpio_good(void **state)
{
	(void)state;
	add("d", AE_IFDIR, "");
	add("d/f", AE_IFREG, "text");
	add("d/l", AE_IFLNK, "f");
	assert_int_equal(run(), 0);
	outside_untouched();
	text_is("d/f", "text");
	assert_true(is("d/l", S_IFLNK));
}

/* The archive of all that can hurt, for the next two. */
static size_t
everything(char **ret)
{
	size_t len;

	add("./", AE_IFDIR, "");
	add("d/f", AE_IFREG, "text of more than a few bytes");
	add("d/./g", AE_IFREG, "x");
	add("l", AE_IFLNK, "d");
	add_hardlink("h", "d/f");
	add("dev/null", AE_IFCHR, "");
	add("\xff\x01\n", AE_IFREG, "x");
	add("o", AE_IFLNK, "../outside");
	add("o", AE_IFDIR, "");
	add("o/evil", AE_IFREG, "inside");
	assert_int_equal(archive_write_close(out), ARCHIVE_OK);
	assert_int_equal(fsx_read_at(top_fd, "a.tar", 1 << 20, ret, &len, &e), 0);
	return len;
}

static void
cut(void **state)
{
	_auto_free char *all = NULL;
	size_t len = everything(&all), failed = 0;

	(void)state;
	for (size_t n = 0; n < len; n += 173) {
		assert_int_equal(fsx_write_atomic(top_fd, "a.tar", &(struct fsx_file){all, n, 0644}, 0, &e),
				 0);
		failed += run_file() < 0;
		outside_untouched();
	}
	assert_true(failed > 5);
}

/* Seeded: the same bytes are spoilt in every run; checksums of headers are made right again. */
static void
spoilt(void **state)
{
	_auto_free char *all = NULL;
	size_t len = everything(&all), failed = 0, done = 0;
	unsigned seed = 1;

	(void)state;
	for (int i = 0; i < 150; i++) {
		_auto_free char *one = xcalloc(1, len);

		memcpy(one, all, len);
		for (int k = 0; k < 3; k++) {
			size_t head = (size_t)rand_r(&seed) % (len / 512) * 512;
			unsigned sum = 0;

			if (memcmp(one + head + 257, "ustar", 5) != 0) {
				k--;
				continue;
			}
			one[head + (size_t)rand_r(&seed) % 345] = (char)rand_r(&seed);
			memset(one + head + 148, ' ', 8);
			for (size_t j = 0; j < 512; j++)
				sum += (unsigned char)one[head + j];
			(void)snprintf(one + head + 148, 8, "%06o", sum & 0777777);
		}
		assert_int_equal(fsx_write_atomic(top_fd, "a.tar", &(struct fsx_file){one, len, 0644}, 0, &e),
				 0);
		if (run_file() < 0)
			failed++;
		else
			done++;
		outside_untouched();
		(void)fsx_rm_rf_at(top_fd, "in", &e);
		fd_close(in_fd);
		assert_int_equal(fsx_mkdir_open(top_fd, "in", 0755, &in_fd, &e), 0);
	}
	assert_in_range(failed, 10, 140);
	assert_int_equal(failed + done, 150);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define C(f) cmocka_unit_test_setup_teardown(f, setup_cpio, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(good),
	    T(names),
	    T(names_inside),
	    T(names_absolute),
	    T(names_long),
	    T(names_deep),
	    T(through_link),
	    T(through_chain),
	    T(leaf_link),
	    T(directory_for_link),
	    T(link_for_directory),
	    T(file_for_full_directory),
	    T(hardlinks),
	    T(hardlinks_absolute),
	    T(hardlinks_through_link),
	    T(hardlinks_missing),
	    T(hardlink_to_link),
	    T(top_as_link),
	    T(special),
	    T(special_fifo),
	    T(owner),
	    T(raw),
	    T(file_link_through),
	    T(directories_through_link),
	    T(links_through_link),
	    T(hardlink_below_link),
	    T(bound_entries),
	    T(bound_names),
	    T(bound_total),
	    cmocka_unit_test_setup_teardown(bound_bomb, setup_packed, teardown),
	    T(sparse),
	    T(pax),
	    C(cpio_good),
	    C(cpio_names),
	    C(cpio_absolute),
	    C(cpio_through_link),
	    C(cpio_device),
	    T(cut),
	    T(spoilt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
