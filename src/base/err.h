/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors are values.  A function that can fail takes a struct err * as its last argument and returns a
 * negative errno.  On failure its out-parameters hold nothing that the caller would have to free or close;
 * what else is in them then means nothing.  Lists that a function adds to keep what was added.  The message
 * is set once, by the lowest level that knows the object, and wrapped at most once a layer with what was
 * being done.  Nothing below cli/ prints.  The size is fixed so that an error crosses fork(2) as one datagram
 * (err_send).
 *
 *	fd = openat(...);
 *	if (fd < 0)
 *		return err_sys(e, errno, "open '%s'", name);	"open 'x': No such file or directory"
 *	if (n > max)
 *		return err_set(e, E2BIG, "'%s' is larger than %zu bytes", name, max);
 *	if (store_open(...) < 0)
 *		return err_wrap(e, "template %s", name);	"template mroot: open 'x': ..."
 */
#ifndef BRIG_BASE_ERR_H
#define BRIG_BASE_ERR_H

#include "base/auto.h"

struct err {
	int num; /* errno value, 0 when nothing is wrong */
	char msg[1020];
};

#define ERR_INIT      \
	{             \
		0, "" \
	}

/* All return -num (never 0: a num of 0 becomes EIO). */
int err_set(struct err *e, int num, const char *fmt, ...) _printf_(3, 4);
int err_sys(struct err *e, int num, const char *fmt, ...) _printf_(3, 4); /* adds ": " strerror(num) */
int err_wrap(struct err *e, const char *fmt, ...) _printf_(2, 3);         /* puts "text: " in front */
void err_clear(struct err *e);

/* Over a socket or pipe, whole or not at all.  err_recv: 1 an error arrived, 0 end of file, <0 -errno. */
int err_send(int fd, const struct err *e);
int err_recv(int fd, struct err *ret);

#endif
