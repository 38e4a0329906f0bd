/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "os/linux/exec/tty.h"

#define PTMX_MAJOR 5 /* the kernel's devices.txt */
#define PTMX_MINOR 2
#define CTRL_D 4
#define TTY_LEFT \
	(128u << 10) /* more than the kernel buffers: 64 KiB (drivers/tty/tty_buffer.c) and 4 KiB */

void
tty_shape(struct tty_shape *ret)
{
	*ret = (struct tty_shape){0};
	ret->known = tcgetattr(STDIN_FILENO, &ret->modes) == 0;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ret->size) < 0 &&
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &ret->size) < 0)
		ret->size = (struct winsize){0};
}

/* --- inside --- */

int
tty_make(const struct tty_shape *shape, int *ret_master, int *ret_slave, struct err *e)
{
	_auto_close int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	_auto_close int slave = -EBADF;
	struct statfs fs;
	struct stat st;
	int unlock = 0;

	if (master < 0)
		return err_set(e, errno,
			       "no terminal: the jail's /dev/pts/ptmx: %s (mount.devfs is off? without a "
			       "terminal: -T)",
			       strerror(errno));
	/* the jail's root may have put anything there */
	if (fstatfs(master, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC || fstat(master, &st) < 0 ||
	    !S_ISCHR(st.st_mode) || st.st_rdev != makedev(PTMX_MAJOR, PTMX_MINOR))
		return err_set(e, ENOTTY,
			       "no terminal: the jail's /dev/pts is not a devpts file system "
			       "(without a terminal: -T)");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, errno, "unlock the jail's terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(e, errno, "open the jail's terminal");
	if (shape->known && tcsetattr(slave, TCSANOW, &shape->modes) < 0)
		return err_sys(e, errno, "set up the jail's terminal");
	if (shape->size.ws_row && ioctl(slave, TIOCSWINSZ, &shape->size) < 0)
		return err_sys(e, errno, "size of the jail's terminal");
	*ret_master = TAKE_FD(master);
	*ret_slave = TAKE_FD(slave);
	return 0;
}

int
tty_take(int slave, struct err *e)
{
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_sys(e, errno, "take the jail's terminal");
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave, fd) < 0)
			return err_sys(e, errno, "take the jail's terminal");
	return 0;
}

/* --- the caller's terminal --- */

/* TCSADRAIN, not TCSAFLUSH: what was typed ahead is kept.  In a background process group this stops us with
 * SIGTTOU, as it should. */
static void
make_raw(struct relay *r)
{
	struct termios raw = r->shape.modes;

	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0)
		r->raw = true;
}

/* A second opening of a terminal can be non-blocking without making the shell's own so. */
static int
open_again(int fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

struct stream *
relay_add(struct relay *r, int from, int to, bool outward)
{
	struct stream *s = &r->s[r->n++];

	*s = (struct stream){.from = from, .to = to, .outward = outward};
	return s;
}

void
relay_tty(struct relay *r, int master)
{
	struct stream *in;

	(void)fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	r->master = master;
	if (isatty(STDOUT_FILENO))
		r->out_fd = open_again(STDOUT_FILENO);
	in = relay_add(r, STDIN_FILENO, master, false);
	in->tty_eof = true;
	(void)relay_add(r, master, r->out_fd >= 0 ? r->out_fd : STDOUT_FILENO, true);
	if (r->shape.known)
		make_raw(r);
}

void
relay_resize(struct relay *r)
{
	struct winsize size;

	if (r->master >= 0 &&
	    (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0))
		(void)ioctl(r->master, TIOCSWINSZ, &size);
}

void
relay_again(struct relay *r)
{
	if (r->raw)
		make_raw(r);
	relay_resize(r);
}

void
relay_end(struct relay *r)
{
	sigset_t ttou, old;

	if (r->raw) {
		/* even if the shell has taken the terminal from us meanwhile */
		sigemptyset(&ttou);
		sigaddset(&ttou, SIGTTOU);
		(void)sigprocmask(SIG_BLOCK, &ttou, &old);
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &r->shape.modes);
		(void)sigprocmask(SIG_SETMASK, &old, NULL);
		r->raw = false;
	}
	for (size_t i = 0; i < r->n; i++) {
		if (r->s[i].own_from)
			fd_close(r->s[i].from);
		if (r->s[i].own_to)
			fd_close(r->s[i].to);
	}
	r->n = 0;
	fd_close(TAKE_FD(r->master));
	fd_close(TAKE_FD(r->out_fd));
}

/* --- moving bytes --- */

void
relay_poll(const struct relay *r, struct pollfd *p)
{
	for (size_t i = 0; i < STREAM_MAX; i++) {
		const struct stream *s = &r->s[i];

		p[i] = (struct pollfd){.fd = -1};
		if (i < r->n && s->len > 0)
			p[i] = (struct pollfd){.fd = s->to, .events = POLLOUT};
		else if (i < r->n && s->from >= 0)
			p[i] = (struct pollfd){.fd = s->from, .events = POLLIN};
	}
}

/* End of file: passes it on, as ^D to a terminal, else by closing `to` if it is ours. */
static void
stream_eof(struct stream *s)
{
	if (s->own_from)
		fd_close(s->from);
	s->from = -EBADF;
	if (s->tty_eof && s->to >= 0) {
		s->data[0] = CTRL_D;
		s->at = 0;
		s->len = 1;
		s->tty_eof = false;
	} else if (s->own_to && s->len == 0) {
		fd_close(TAKE_FD(s->to));
	}
}

/* Nobody reads `to` any more.  Input for the jail is then not read either; output of the jail is read and
 * discarded, so that the command does not block (when the caller's terminal is gone, it gets SIGHUP by
 * way of ours). */
static void
stream_broken(struct stream *s)
{
	s->len = 0;
	if (s->own_to)
		fd_close(s->to);
	s->to = -EBADF;
	if (s->outward)
		return;
	if (s->own_from)
		fd_close(s->from);
	s->from = -EBADF;
}

static void
stream_read(struct stream *s)
{
	size_t most = s->last && s->left < sizeof(s->data) ? s->left : sizeof(s->data);
	ssize_t n = read(s->from, s->data, most);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		stream_eof(s); /* a master whose last slave is closed gives EIO; nothing is left */
		return;
	}
	if (s->last)
		s->left -= (size_t)n;
	if (s->sink) {
		size_t room = s->sink->len < SINK_MAX ? SINK_MAX - s->sink->len : 0;

		buf_add(s->sink, s->data, (size_t)n < room ? (size_t)n : room);
	} else if (s->to >= 0) {
		s->at = 0;
		s->len = (size_t)n;
	}
}

static void
stream_write(struct stream *s)
{
	ssize_t n = write(s->to, s->data + s->at, s->len);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		stream_broken(s);
		return;
	}
	s->at += (size_t)n;
	s->len -= (size_t)n;
	if (s->len == 0 && s->from < 0 && s->own_to)
		fd_close(TAKE_FD(s->to));
}

void
relay_move(struct relay *r, const struct pollfd *p)
{
	for (size_t i = 0; i < r->n; i++) {
		struct stream *s = &r->s[i];

		if (!p[i].revents)
			continue;
		if (s->len > 0)
			stream_write(s);
		else
			stream_read(s);
	}
}

/* For a terminal FIONREAD does not count what is still in the kernel's buffer of the other side: TTY_LEFT. */
void
relay_last(struct relay *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct stream *s = &r->s[i];
		int n = 0;

		if (!s->outward || s->from < 0)
			continue;
		s->last = true;
		s->left = s->from == r->master                         ? TTY_LEFT
			  : ioctl(s->from, FIONREAD, &n) == 0 && n > 0 ? (size_t)n
								       : 0;
	}
}

bool
relay_pending(const struct relay *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct pollfd p = {.fd = r->s[i].from, .events = POLLIN};

		if (!r->s[i].outward)
			continue;
		if (r->s[i].last && r->s[i].left == 0)
			p.fd = -1;
		/* poll(2) on a master first flushes what was written to the slave and is still buffered
		 * there */
		if (r->s[i].len > 0 || (p.fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLIN)))
			return true;
	}
	return false;
}
