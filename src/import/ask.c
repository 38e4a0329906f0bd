/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/socket.h>

#include "base/mem.h"
#include "import/image.h"

static int
send_text(int sock, const char *text, struct err *e)
{
	ssize_t n;

	do
		n = write(sock, text, strlen(text));
	while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(e, errno, "ask brig") : 0;
}

/* The answer; *ret_fd stays as it is when there is no descriptor. */
static int
receive(int sock, struct err *ret, int *ret_fd, struct err *e)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = {ret, sizeof(*ret)};
	struct msghdr m = {
	    .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	const struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "ask brig");
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	if ((size_t)n != sizeof(*ret))
		return err_set(e, EPIPE, "brig did not answer");
	ret->msg[sizeof(ret->msg) - 1] = '\0';
	return 0;
}

int
ask_open(int sock, const char *name, struct err *e)
{
	_auto_close int fd = -EBADF;
	struct err got;

	if (send_text(sock, name, e) < 0 || receive(sock, &got, &fd, e) < 0)
		return -e->num;
	if (got.num) {
		*e = got;
		return -e->num;
	}
	return fd < 0 ? err_set(e, EBADF, "brig sent no descriptor") : TAKE_FD(fd);
}

int
ask_result(int sock, const struct image_result *result, struct err *e)
{
	_auto_free char *text =
	    xasprintf("= %s%s%s", result->digest, result->tag ? " " : "", result->tag ? result->tag : "");

	return send_text(sock, text, e);
}
