/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals and bytes between the caller and a command in a jail.
 *
 * A command never gets the caller's terminal, not even as a plain descriptor: it could read what is typed
 * after it has ended, push input (TIOCSTI), or change modes.  It gets a terminal of the jail's own devpts, or
 * pipes; the caller's process copies.
 */
#ifndef BRIG_OS_LINUX_EXEC_TTY_H
#define BRIG_OS_LINUX_EXEC_TTY_H

#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/err.h"
#include "base/mem.h"

/* Modes and size of the caller's terminal, for the jail's. */
struct tty_shape {
	bool known;
	struct termios modes;
	struct winsize size;
};
void tty_shape(struct tty_shape *ret);

/* In the jail: a new terminal of the devpts on /dev/pts, looking like shape. */
int tty_make(const struct tty_shape *shape, int *ret_master, int *ret_slave, struct err *e);
/* In the jail, leader of a new session: slave becomes its terminal and 0, 1 and 2. */
int tty_take(int slave, struct err *e);

/* One direction. */
struct stream {
	int from, to;          /* not open: -EBADF */
	bool own_from, own_to; /* ours to close, at end of file */
	bool outward;     /* out of the jail: what was written before the command ended is still passed on */
	bool tty_eof;     /* `to` is a terminal's master: the end of file is ^D */
	struct buf *sink; /* instead of `to` */
	bool last;        /* the command has ended: only `left` more bytes are passed on */
	size_t left;
	size_t at, len;
	char data[32768];
};
#define STREAM_MAX 3
#define SINK_MAX 65536

struct relay {
	struct stream s[STREAM_MAX];
	size_t n;
	int master; /* of the terminal inside, or -EBADF */
	int out_fd; /* our own opening of the caller's terminal, or -EBADF */
	bool raw;   /* the caller's terminal is to be set back to shape */
	struct tty_shape shape;
};
#define RELAY_INIT                                 \
	{                                          \
		.master = -EBADF, .out_fd = -EBADF \
	}
struct stream *relay_add(struct relay *r, int from, int to, bool outward);
/* The terminal inside has been made: the caller's becomes raw and its bytes go there. */
void relay_tty(struct relay *r, int master);
void relay_resize(struct relay *r); /* SIGWINCH */
void relay_again(struct relay *r);  /* SIGCONT */
/* Closes and restores; safe to repeat. */
void relay_end(struct relay *r);

struct pollfd;
/* Fills p (STREAM_MAX entries) with what the streams wait for. */
void relay_poll(const struct relay *r, struct pollfd *p);
/* Moves what can be moved. */
void relay_move(struct relay *r, const struct pollfd *p);
/* The command has ended.  From now on only what it has written and was not read yet is passed on, not what
 * processes that it left behind write, which could go on for ever. */
void relay_last(struct relay *r);
/* After relay_last(): is there something left to pass on? */
bool relay_pending(const struct relay *r);

#endif
