/* SPDX-License-Identifier: BSD-2-Clause */
/* import/: archives as an attacker would write them; nothing may appear outside the directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/path.h"
#include "import/import.h"

static char top[32];
static int top_fd, in_fd;
static struct archive *out;
static struct err e;

/* TOP/in is filled; TOP/outside must stay as it is. */
static int
setup(void **state)
{
	_auto_free char *file = NULL;

	(void)state;
	memcpy(top, "/tmp/brig-import.XXXXXX", sizeof("/tmp/brig-import.XXXXXX"));
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fsx_mkdir_open(top_fd, "in", 0755, &in_fd, &e) < 0 || mkdirat(top_fd, "outside", 0755) < 0 ||
	    fsx_write_atomic(top_fd, "outside/f", "safe", 4, 0644, 0, &e) < 0)
		return -1;
	file = xasprintf("%s/a.tar", top);
	out = archive_write_new();
	(void)archive_write_set_format_pax_restricted(out);
	return archive_write_open_filename(out, file) == ARCHIVE_OK ? 0 : -1;
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
	if (type == AE_IFLNK)
		archive_entry_set_symlink(a, text);
	else if (type == AE_IFREG)
		archive_entry_set_size(a, (la_int64_t)strlen(text));
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
	return import_run(fd, in_fd, &e);
}

static int
run(void)
{
	assert_int_equal(archive_write_close(out), ARCHIVE_OK);
	return run_file();
}

static void
outside_untouched(void)
{
	_auto_free char *text = NULL;
	_auto_closedir DIR *d = NULL;
	struct dirent *de;
	struct stat st;
	int n = 0;

	assert_int_equal(fsx_read_at(top_fd, "outside/f", 100, &text, NULL, &e), 0);
	assert_string_equal(text, "safe");
	assert_int_equal(fstatat(top_fd, "outside/f", &st, 0), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(fstatat(top_fd, "outside", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	d = fdopendir(openat(top_fd, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	while ((de = readdir(d)))
		n++;
	assert_int_equal(n, 3);
	assert_int_equal(fstatat(top_fd, "evil", &st, AT_SYMLINK_NOFOLLOW), -1);
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
}

static void
names_inside(void **state)
{
	(void)state;
	add("a/../../evil", AE_IFREG, "x");
	refused("a name with '..'");
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

	assert_int_equal(fsx_write_atomic(top_fd, "a.tar", data, len, 0644, 0, &e), 0);
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
	refused_raw(b, 512, "larger than 64 GiB");
	raw_header("l", "00000000000", '2', "", b);
	refused_raw(b, 512, "a link without a usable target");
	refused_raw("not a tar file, just text\n", 26, "nrecognized");
	refused_raw("", 0, "nrecognized");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
