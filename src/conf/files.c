/* SPDX-License-Identifier: BSD-2-Clause */
/* The real struct conf_input: the only part of conf/ that calls the system. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <glob.h>
#include <netdb.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/path.h"
#include "conf/conf_int.h"

/* "-" is standard input.  Any file but a directory: it may be a pipe of a shell. */
static int
read_file(void *ctx, const char *path, char **ret_text, size_t *ret_len)
{
	_auto_close int fd = -EBADF;
	struct stat st;

	(void)ctx;
	if (streq(path, "-"))
		return fsx_read_fd(STDIN_FILENO, CONF_TEXT_MAX, ret_text, ret_len);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return fsx_read_fd(fd, CONF_TEXT_MAX, ret_text, ret_len);
}

static int
find_files(void *ctx, const char *pattern, struct strv *ret)
{
	glob_t g;
	int r = glob(pattern, 0, NULL, &g);

	(void)ctx;
	if (r == 0)
		for (size_t i = 0; i < g.gl_pathc; i++)
			strv_add(ret, g.gl_pathv[i]);
	globfree(&g);
	return r == 0 || r == GLOB_NOMATCH ? 0 : -EIO;
}

static char *
real(void *ctx, const char *path)
{
	(void)ctx;
	return path_real(path);
}

static int
resolve(void *ctx, const char *host, struct strv *ret)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int r = getaddrinfo(host, NULL, &hints, &list);

	(void)ctx;
	if (r != 0)
		return r == EAI_AGAIN ? -EAGAIN : -ENOENT;
	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		char text[NI_MAXHOST];

		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) ==
			0 &&
		    !strv_has(ret, text))
			strv_add(ret, text);
	}
	freeaddrinfo(list);
	return 0;
}

/* A process makes at most one jail without a name, so its pid is unique. */
static char *
fresh(void *ctx)
{
	(void)ctx;
	return xasprintf("jail-%d", (int)getpid());
}

const struct conf_input conf_files = {read_file, find_files, real, resolve, fresh, NULL};
