/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <string.h>

#include "base/err.h"

static void
err_put(struct err *e, int num, const char *fmt, va_list ap)
{
	e->num = num > 0 ? num : EIO;
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
}

int
err_set(struct err *e, int num, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_put(e, num, fmt, ap);
	va_end(ap);
	return -e->num;
}

int
err_sys(struct err *e, int num, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	err_put(e, num, fmt, ap);
	va_end(ap);
	len = strlen(e->msg);
	(void)snprintf(e->msg + len, sizeof(e->msg) - len, ": %s", strerror(e->num));
	return -e->num;
}

int
err_wrap(struct err *e, const char *fmt, ...)
{
	char inner[sizeof(e->msg)];
	va_list ap;
	size_t len;

	memcpy(inner, e->msg, sizeof(inner));
	va_start(ap, fmt);
	err_put(e, e->num, fmt, ap);
	va_end(ap);
	len = strlen(e->msg);
	(void)snprintf(e->msg + len, sizeof(e->msg) - len, ": %s", inner);
	return -e->num;
}

void
err_clear(struct err *e)
{
	e->num = 0;
	e->msg[0] = '\0';
}

int
err_send(int fd, const struct err *e)
{
	const char *p = (const char *)e;
	size_t left = sizeof(*e);

	while (left > 0) {
		ssize_t n = write(fd, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -errno;
		p += n;
		left -= (size_t)n;
	}
	return 0;
}

int
err_recv(int fd, struct err *ret)
{
	struct err e;
	char *p = (char *)&e;
	size_t left = sizeof(e);

	while (left > 0) {
		ssize_t n = read(fd, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return left == sizeof(e) ? 0 : -EPIPE;
		p += n;
		left -= (size_t)n;
	}
	e.msg[sizeof(e.msg) - 1] = '\0';
	*ret = e;
	return 1;
}
