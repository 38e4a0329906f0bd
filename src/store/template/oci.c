/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/path.h"
#include "store/template/oci.h"

#define POLL_MS 100
#define ASKED_MAX 4096 /* far more than the files of an image: brig-import cannot keep brig busy for ever */
#define MESSAGE_MAX 512
#define TAG_MAX 255
#define HEX "0123456789abcdef"
#define HEX_LEN 64

/* ---- DIR[:TAG] ---- */

/* image-spec, annotations.md: what a reference may be made of. */
static bool
tag_ok(const char *tag)
{
	static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	return *tag && strchr(alnum, *tag) && strlen(tag) <= TAG_MAX &&
	       strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:@/+") ==
		   strlen(tag);
}

int
oci_split(const char *spec, char **ret_dir, char **ret_tag, struct err *e)
{
	_auto_free char *shown = text_printable(spec, 200);
	const char *colon = strchr(spec, ':');

	if (!*spec || *spec == ':')
		return err_set(e, EINVAL, "oci:%s: a path is missing (oci:DIR[:TAG])", shown);
	if (colon && !tag_ok(colon + 1))
		return err_set(e, EINVAL,
			       "oci:%s: not a tag after the first colon (oci:DIR[:TAG]; DIR has no colon)",
			       shown);
	*ret_dir = colon ? xstrndup(spec, (size_t)(colon - spec)) : xstrdup(spec);
	*ret_tag = colon ? xstrdup(colon + 1) : NULL;
	return 0;
}

int
oci_resolve(const char *spec, char **ret, struct err *e)
{
	_auto_free char *dir = NULL, *tag = NULL, *real = NULL, *shown = NULL;
	struct stat st;

	if (oci_split(spec, &dir, &tag, e) < 0)
		return -e->num;
	shown = text_printable(dir, 200);
	real = realpath(dir, NULL);
	if (!real || stat(real, &st) < 0)
		return err_sys(e, errno, "oci:%s", shown);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, EINVAL,
			       "oci:%s: is not a directory (for an archive of an image: unpack it)", shown);
	if (strchr(real, ':')) {
		free(shown);
		shown = text_printable(real, 200);
		return err_set(e, EINVAL, "oci:%s: the path has a colon, which begins a tag: rename it",
			       shown);
	}
	*ret = xasprintf("oci:%s%s%s", real, tag ? ":" : "", tag ? tag : "");
	return 0;
}

/* ---- serving ---- */

struct serve {
	const struct source_place *at;
	int layout_fd, sock;
	int file_fd; /* the last one that was sent: its offset is how far brig-import is */
	uint64_t size;
	unsigned asked;
	char *digest, *tag; /* NULL until it is done */
};

static bool
name_expected(const char *name)
{
	const char *hex = str_after(name, "blobs/sha256/");

	return streq(name, "oci-layout") || streq(name, "index.json") ||
	       (hex && strlen(hex) == HEX_LEN && strspn(hex, HEX) == HEX_LEN);
}

static int
open_error(const char *name, int num, struct err *e)
{
	if (num == ELOOP)
		return err_set(e, ELOOP, "%s: is a link or leads through one", name);
	if (num == EXDEV)
		return err_set(e, EXDEV, "%s: is on another file system than the layout", name);
	return err_sys(e, num, "%s", name);
}

/* Opens by O_PATH and checks the type first: to open a FIFO or a device has effects. */
int
oci_open(int layout_fd, const char *name, struct err *e)
{
	_auto_close int look = path_open(layout_fd, name, O_PATH | O_NOFOLLOW, 0, PATH_BENEATH);
	_auto_close int fd = -EBADF;
	struct stat st, now;

	if (look < 0)
		return open_error(name, -look, e);
	if (fstat(look, &st) < 0)
		return err_sys(e, errno, "%s", name);
	if (S_ISREG(st.st_mode)) {
		fd = path_open(layout_fd, name, O_RDONLY | O_NONBLOCK, 0, PATH_BENEATH);
		if (fd < 0)
			return open_error(name, -fd, e);
		if (fstat(fd, &now) < 0)
			return err_sys(e, errno, "%s", name);
	}
	if (fd < 0 || now.st_ino != st.st_ino || now.st_dev != st.st_dev)
		return S_ISLNK(st.st_mode) ? open_error(name, ELOOP, e)
					   : err_set(e, EINVAL, "%s: is not a regular file", name);
	return TAKE_FD(fd);
}

static int
send_answer(int sock, const struct err *answer, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct err copy = *answer;
	struct iovec data = {&copy, sizeof(copy)};
	struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int
answer(struct serve *s, const char *name, struct err *e)
{
	struct err said = ERR_INIT;
	struct stat st;
	int fd, r;

	if (!name_expected(name) || ++s->asked > ASKED_MAX)
		return err_set(e, EPROTO, "brig-import asked for a file that no image has");
	fd = oci_open(s->layout_fd, name, &said);
	r = send_answer(s->sock, &said, fd);
	fd_close(s->file_fd);
	s->file_fd = fd;
	s->size = fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	/* if it has ended, its report says why */
	return r < 0 && r != -EPIPE && r != -ECONNRESET ? err_sys(e, -r, "answer brig-import") : 0;
}

static int
take_result(struct serve *s, const char *text, struct err *e)
{
	size_t n = strspn(text, HEX);

	if (n != HEX_LEN || (text[n] && (text[n] != ' ' || !text[n + 1])) || s->digest)
		return err_set(e, EPROTO, "brig-import sent a malformed result");
	s->digest = xasprintf("sha256:%.*s", HEX_LEN, text);
	s->tag = text[n] ? text_printable(text + n + 1, TAG_MAX) : NULL;
	return 0;
}

/* Answers one message; 0 also at end of file. */
static int
serve_one(struct serve *s, struct err *e)
{
	char text[MESSAGE_MAX + 1];
	ssize_t n = recv(s->sock, text, MESSAGE_MAX, MSG_DONTWAIT);
	const char *result;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN || errno == ECONNRESET
			   ? 0
			   : err_sys(e, errno, "read from brig-import");
	if (n == 0) {
		fd_close(s->sock);
		s->sock = -EBADF;
		return 0;
	}
	text[n] = '\0';
	result = str_after(text, "= ");
	return result ? take_result(s, result, e) : answer(s, text, e);
}

/* Answers messages until brig-import has sent its report, or has ended. */
static int
serve(struct serve *s, int report, struct err *e)
{
	for (;;) {
		struct pollfd p[2] = {{s->sock, POLLIN, 0}, {report, POLLIN, 0}};
		int n = poll(p, 2, POLL_MS);

		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "read from brig-import");
		if (n > 0 && p[0].revents) {
			if (serve_one(s, e) < 0)
				return -e->num;
		} else if (n > 0 && p[1].revents) {
			return 0;
		}
		if (n == 0 && s->size && s->at->pr && s->at->pr->at)
			s->at->pr->at(s->at->pr->ctx, (uint64_t)lseek(s->file_fd, 0, SEEK_CUR), s->size);
	}
}

static int
unpack_image(struct serve *s, const char *tag, int theirs, struct err *e)
{
	struct import_child child;
	struct err why;
	int r = import_start(s->at, theirs, "image", tag, &child, e);

	fd_close(theirs);
	if (r < 0)
		return r;
	r = serve(s, child.report, e);
	if (r < 0)
		import_kill(&child);
	/* of two errors the first is the cause */
	if (import_finish(&child, r < 0 ? &why : e) < 0)
		return -e->num;
	if (r < 0)
		return r;
	return s->digest ? 0 : err_set(e, EPROTO, "brig-import ended without a result");
}

int
oci_fill(const struct source_place *at, const char *spec, struct err *e)
{
	struct serve s = {.at = at, .layout_fd = -EBADF, .sock = -EBADF, .file_fd = -EBADF};
	_auto_free char *dir = NULL, *tag = NULL;
	int pair[2], r;

	if (oci_split(spec, &dir, &tag, e) < 0)
		return -e->num;
	s.layout_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s.layout_fd < 0)
		return err_sys(e, errno, "%s", dir);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		r = err_sys(e, errno, "start brig-import");
	} else {
		s.sock = pair[0];
		r = unpack_image(&s, tag, pair[1], e);
	}
	if (r == 0 && at->image) {
		at->image->digest = TAKE_PTR(s.digest);
		at->image->tag = TAKE_PTR(s.tag);
	}
	free(s.digest);
	free(s.tag);
	fd_close(s.layout_fd);
	fd_close(s.sock);
	fd_close(s.file_fd);
	return r;
}
