/* SPDX-License-Identifier: BSD-2-Clause */
/* Of the extended attributes (xattr(7)) in an archive, user.* and file capabilities are set, but not
 * user.overlay.*, which has a meaning for overlayfs.  An ACL, acl(5), is set in the kernel's form
 * (system.posix_acl_access, linux/posix_acl_xattr.h): version 2, then tag, permissions, id,
 * little-endian. */
#include <endian.h>
#include <stdint.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "import/import.h"

#define ACL_VERSION 2
#define ACL_NO_ID 0xffffffffu

static void
put_entry(struct buf *b, unsigned tag, int perm, uint32_t id)
{
	uint16_t half[2] = {htole16((uint16_t)tag), htole16((uint16_t)perm)};
	uint32_t word = htole32(id);

	buf_add(b, half, sizeof(half));
	buf_add(b, &word, sizeof(word));
}

/* The kernel's number of a tag; entries are to be in the order of these.  0: not one of them. */
static unsigned
kernel_tag(int tag)
{
	switch (tag) {
	case ARCHIVE_ENTRY_ACL_USER_OBJ:
		return 0x01;
	case ARCHIVE_ENTRY_ACL_USER:
		return 0x02;
	case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
		return 0x04;
	case ARCHIVE_ENTRY_ACL_GROUP:
		return 0x08;
	case ARCHIVE_ENTRY_ACL_MASK:
		return 0x10;
	case ARCHIVE_ENTRY_ACL_OTHER:
		return 0x20;
	default:
		return 0;
	}
}

static int
apply_acl(int fd, struct archive_entry *entry, int kind, const char *name)
{
	_auto_buf struct buf b = BUF_INIT;
	uint32_t version = htole32(ACL_VERSION);

	if (!(archive_entry_acl_types(entry) & kind))
		return 0;
	buf_add(&b, &version, sizeof(version));
	for (unsigned want = 0x01; want <= 0x20; want <<= 1) {
		int type, perm, tag, id;
		const char *who;

		(void)archive_entry_acl_reset(entry, kind);
		while (archive_entry_acl_next(entry, kind, &type, &perm, &tag, &id, &who) == ARCHIVE_OK)
			if (type == kind && kernel_tag(tag) == want)
				put_entry(&b, want, perm & 7,
					  want == 0x02 || want == 0x08 ? (uint32_t)id : ACL_NO_ID);
	}
	return fsetxattr(fd, name, b.s, b.len, 0) < 0 ? -errno : 0;
}

static bool
wanted(const char *name)
{
	return (str_after(name, "user.") && !str_after(name, "user.overlay.")) ||
	       streq(name, "security.capability");
}

int
attr_apply(int fd, struct archive_entry *entry)
{
	const char *name;
	const void *value;
	size_t size;
	int r = apply_acl(fd, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access");

	if (r == 0)
		r = apply_acl(fd, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default");
	(void)archive_entry_xattr_reset(entry);
	while (r == 0 && archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		if (!name || !wanted(name))
			continue;
		if (fsetxattr(fd, name, value, size, 0) < 0)
			r = -errno;
	}
	return r;
}

int
attr_clear(int fd)
{
	ssize_t len = flistxattr(fd, NULL, 0);
	_auto_free char *names = len > 0 ? xcalloc((size_t)len + 1, 1) : NULL;

	if (names)
		len = flistxattr(fd, names, (size_t)len);
	if (len < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (const char *p = names; p && p < names + len; p += strlen(p) + 1)
		if ((wanted(p) || str_after(p, "system.posix_acl_")) && fremovexattr(fd, p) < 0 &&
		    errno != ENODATA)
			return -errno;
	return 0;
}
