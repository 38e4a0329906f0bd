/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `brig logs`: the console log of a jail.
 *
 * What is in the log was written by the jail: on a terminal it is shown with every control character made
 * visible, so that nothing in it can act upon the administrator's terminal.  brig-init keeps a log that grows
 * too large short by dropping its older half; -f recognises that by the text it printed last and goes on
 * behind it.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "base/path.h"
#include "cli/cli.h"
#include "cli/screen.h"
#include "store/record/record.h"
#include "store/record/state.h"

#define CUT_TRIES 20
#define CHUNK 65536
#define TAIL 4096 /* of what was printed, kept to find our place again */
#define POLL_NS 200000000L

static struct {
	bool follow, raw;
	const char *lines;
} go;

struct follower {
	struct store *store;
	const char *path; /* absolute, or NULL: name in store->log_fd */
	const char *name;
	int fd;
	dev_t dev;
	ino_t ino;
	off_t pos;
	bool raw;
	struct screen screen;
	char tail[TAIL];
	size_t tail_len;
};

/* A jail that neither runs nor is configured: it was created, or has at least left a log. */
static int
known(struct cli *cli, const char *jail, struct err *e)
{
	_auto_free char *log = xasprintf("%s.log", jail);
	struct record rec = {0};
	int r = record_read(&cli->store, jail, &rec, e);

	record_free(&rec);
	if (r != 0)
		return r < 0 ? r : 0;
	r = cli->store.log_fd >= 0 ? fsx_look(cli->store.log_fd, log, NULL) : 0;
	if (r != 0)
		return r < 0 ? err_sys(e, -r, "%s/%s", cli->store.log, log) : 0;
	return err_set(e, ENOENT, "no such jail (brig status lists all)");
}

/* Where the log is: what the running jail was started with, what the configuration says, the default. */
static int
log_path(struct cli *cli, const char *jail, char **ret_path, struct err *e)
{
	struct state st = {0};
	struct jailspec *spec = NULL;
	int r = state_find(&cli->store, jail, &st, e);

	*ret_path = NULL;
	if (r < 0)
		return r;
	if (r > 0) {
		*ret_path = xstrdup_null(st.consolelog);
		state_free(&st);
		return 0;
	}
	if (cli_conf(cli, true) != 0 || !conf_has(cli->conf, jail))
		return known(cli, jail, e);
	r = conf_jail(cli->conf, jail, &spec, e);
	if (r < 0)
		return r;
	*ret_path = xstrdup_null(spec->consolelog);
	jailspec_free(spec);
	return 0;
}

static int
log_open(struct follower *f, struct err *e)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	const char *shown = f->path ? f->path : f->name;
	_auto_close int fd = -EBADF;
	struct stat st;

	if (f->path && path_trusted(f->path, e) < 0)
		return -e->num;
	if (!f->path && f->store->log_fd < 0)
		return err_set(e, ENOENT, "there is no log yet (%s)", f->store->log);
	fd = openat(f->path ? AT_FDCWD : f->store->log_fd, shown, flags);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ENOENT, "there is no log yet (%s%s%s)", f->path ? "" : f->store->log,
			       f->path ? "" : "/", shown);
	if (fd < 0 && errno == ELOOP)
		return err_set(e, ELOOP, "'%s' is a symbolic link: not read", shown);
	if (fd < 0)
		return err_sys(e, errno, "open '%s'", shown);
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "fstat '%s'", shown);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is not a regular file", shown);
	fd_close(f->fd);
	f->fd = TAKE_FD(fd);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->pos = 0;
	return 0;
}

/* Where the last n lines begin. */
static off_t
last_lines(int fd, off_t size, int n)
{
	char buf[CHUNK];
	off_t end = size;
	int seen = 0;

	while (end > 0) {
		off_t from = end > (off_t)sizeof(buf) ? end - (off_t)sizeof(buf) : 0;
		ssize_t got = pread(fd, buf, (size_t)(end - from), from);

		if (got <= 0)
			return 0;
		for (ssize_t i = got - 1; i >= 0; i--) {
			/* the newline at the very end closes the last line, it begins none */
			if (buf[i] == '\n' && from + i + 1 < size && ++seen >= n)
				return from + i + 1;
		}
		end = from;
	}
	return 0;
}

static void
tail_keep(struct follower *f, const char *p, size_t n)
{
	if (n >= TAIL) {
		memcpy(f->tail, p + n - TAIL, TAIL);
		f->tail_len = TAIL;
		return;
	}
	if (f->tail_len + n > TAIL) {
		size_t drop = f->tail_len + n - TAIL;

		memmove(f->tail, f->tail + drop, f->tail_len - drop);
		f->tail_len -= drop;
	}
	memcpy(f->tail + f->tail_len, p, n);
	f->tail_len += n;
}

/* Prints what is there from pos on.  0, or -errno when standard output or the log fails. */
static int
print_rest(struct follower *f)
{
	char buf[CHUNK];
	ssize_t n;

	while ((n = pread(f->fd, buf, sizeof(buf), f->pos)) > 0) {
		struct buf text = BUF_INIT;
		int r;

		if (!f->raw)
			screen_add(&f->screen, &text, buf, (size_t)n);
		r = f->raw ? fsx_write_all(STDOUT_FILENO, buf, (size_t)n)
			   : fsx_write_all(STDOUT_FILENO, text.s ? text.s : "", text.len);
		buf_free(&text);
		if (r < 0)
			return r;
		tail_keep(f, buf, (size_t)n);
		f->pos += n;
	}
	return n < 0 ? -errno : 0;
}

/* The last n lines.  When the log is cut meanwhile, they are where they were not: once more. */
static int
print_last(struct follower *f, int n)
{
	struct stat st;
	int r = 0;

	for (int tries = 0; tries < CUT_TRIES; tries++) {
		off_t from;

		if (fstat(f->fd, &st) < 0)
			return -errno;
		from = f->pos = n == 0 ? st.st_size : last_lines(f->fd, st.st_size, n);
		r = print_rest(f);
		if (r < 0 || f->pos > from || fstat(f->fd, &st) < 0 || st.st_size >= from)
			break;
	}
	return r;
}

/* The log became shorter: its older half was dropped, or it was emptied.  Finds the text that was printed
 * last and puts pos behind it; 0 when it is not there any more. */
static void
find_place(struct follower *f, off_t size)
{
	char *data = NULL;
	size_t len = (size_t)size;
	ssize_t got;

	f->pos = 0;
	if (f->tail_len == 0 || len < f->tail_len || len > 256U << 20)
		return;
	data = xcalloc(1, len + 1);
	got = pread(f->fd, data, len, 0);
	/* from the end: the same lines may come again and again */
	for (ssize_t at = got - (ssize_t)f->tail_len; at >= 0; at--)
		if (memcmp(data + at, f->tail, f->tail_len) == 0) {
			f->pos = at + (ssize_t)f->tail_len;
			break;
		}
	free(data);
}

/* One look at the log: shorter, replaced by another file, or grown. */
static int
follow_once(struct follower *f)
{
	struct err e = ERR_INIT;
	struct stat now, there;
	const char *at = f->path ? f->path : f->name;

	if (fstat(f->fd, &now) < 0)
		return -errno;
	if (now.st_size < f->pos)
		find_place(f, now.st_size);
	if (print_rest(f) < 0)
		return -EIO;
	if (fstatat(f->path ? AT_FDCWD : f->store->log_fd, at, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (there.st_dev != f->dev || there.st_ino != f->ino) && log_open(f, &e) == 0) {
		f->tail_len = 0;
		return print_rest(f);
	}
	return 0;
}

static int
follow(struct follower *f)
{
	const struct timespec pause = {0, POLL_NS};
	int r;

	for (;;) {
		r = follow_once(f);
		if (r < 0)
			return r;
		(void)nanosleep(&pause, NULL);
	}
}

/* Until it is there: a jail that was never started has no log yet. */
static int
open_or_wait(const struct cli *cli, struct follower *f, struct err *e)
{
	const struct timespec pause = {0, POLL_NS};
	bool said = false;
	int r;

	while ((r = log_open(f, e)) == -ENOENT && go.follow) {
		if (!said)
			cli_warn(cli, "%s: waiting for the log to appear", f->name);
		said = true;
		err_clear(e);
		(void)nanosleep(&pause, NULL);
	}
	return r;
}

static int
show_log(struct cli *cli, const char *jail, int lines, struct err *e)
{
	_auto_free char *path = NULL, *name = xasprintf("%s.log", jail);
	struct follower f = {.store = &cli->store, .name = name, .fd = -EBADF};
	int r = log_path(cli, jail, &path, e);

	if (r < 0)
		return r;
	f.path = path;
	f.raw = go.raw || !isatty(STDOUT_FILENO);
	r = open_or_wait(cli, &f, e);
	if (r == 0) {
		r = lines >= 0 ? print_last(&f, lines) : print_rest(&f);
		if (r == 0 && go.follow)
			r = follow(&f);
		/* the reader of a pipe has seen enough */
		r = r == -EPIPE ? 0 : r < 0 ? err_sys(e, -r, "the log") : 0;
	}
	fd_close(f.fd);
	return r;
}

/* A name, or the JID of a running jail. */
static int
jail_name(struct cli *cli, const char *word, char **ret, struct err *e)
{
	struct state st = {0};
	int r = state_find(&cli->store, word, &st, e);

	if (r > 0) {
		*ret = xstrdup(st.name);
		state_free(&st);
		return 0;
	}
	if (r < 0)
		return r;
	r = name_check("jail", word, e);
	if (r == 0)
		*ret = xstrdup(word);
	return r;
}

static int
logs_main(struct cli *cli, int argc, char **argv)
{
	struct err e = ERR_INIT;
	_auto_free char *name = NULL;
	int lines = -1, r;

	if (argc != 1)
		return cli_usage(cli, &cmd_logs, "one jail is needed");
	if (go.lines && num_int(go.lines, 0, INT_MAX, &lines) < 0)
		return cli_usage(cli, &cmd_logs, "-n: '%s' is not a number of lines", go.lines);
	(void)cli_conf(cli, true); /* first: it may say where the base is */
	r = cli_store(cli, STORE_READ);
	if (r)
		return r;
	if (jail_name(cli, argv[0], &name, &e) < 0)
		return cli_error(cli, &e);
	return show_log(cli, name, lines, &e) < 0 ? cli_fail(cli, name, &e) : 0;
}

static const struct opt logs_opts[] = {
    {'f', "follow", OPT_FLAG, &go.follow, NULL, "wait for more and print it"},
    {'n', "lines", OPT_STRING, &go.lines, "LINES", "only the last LINES lines"},
    {0, "raw", OPT_FLAG, &go.raw, NULL, "control characters as they are, also on a terminal"},
    OPT_END,
};

const struct command cmd_logs = {
    .name = "logs",
    .usage = "[-f] [-n LINES] [--raw] NAME",
    .help = "Prints the console log of a jail.",
    .opts = logs_opts,
    .words = WORDS_JAIL,
    .run = logs_main,
};
