/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/mem.h"
#include "base/name.h"

static const char name_first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
static const char name_later[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static const char *
name_fault(const char *name)
{
	size_t len = strnlen(name, NAME_MAX_LEN + 1);

	if (len == 0)
		return "is empty";
	if (len > NAME_MAX_LEN)
		return "is longer than 63 bytes";
	if (!strchr(name_first, name[0]))
		return "does not begin with a letter or a digit";
	if (strspn(name, name_later) != len)
		return "has a character other than letters, digits, '.', '_' and '-'";
	if (strstr(name, "..") || name[len - 1] == '.')
		return "has an empty part between dots";
	return NULL;
}

bool
name_ok(const char *name)
{
	return !name_fault(name);
}

int
name_check(const char *what, const char *name, struct err *e)
{
	const char *fault = name_fault(name);
	_auto_free char *shown = NULL;

	if (!fault)
		return 0;
	shown = text_printable(name, NAME_MAX_LEN);
	return err_set(e, EINVAL, "%s '%s': the name %s", what, shown, fault);
}

char *
text_printable(const char *s, size_t max)
{
	struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < max && s[i]; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '\\')
			buf_adds(&b, "\\\\");
		else if (c < 0x20 || c > 0x7e)
			buf_addf(&b, "\\x%02x", c);
		else
			buf_addc(&b, (char)c);
	}
	if (s[i])
		buf_adds(&b, "...");
	return buf_take(&b);
}
