/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The escape suite's probes: each tries one thing that what runs in a jail must not be able to do, and says
 * what came of it.  See `run` for the whole.
 *
 * A probe is a function that is called in a process of its own and ends it by one of allowed(), denied() and
 * na().  It never harms the host: what is the whole machine's is opened for writing and not written, or
 * written with the value that it has, or done in a mount namespace of its own where one can be had.
 */
#ifndef ESCAPE_PROBE_H
#define ESCAPE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct probe {
	const char *name;
	const char *section; /* of the threat: F filesystem view, K kernel interface, L limits */
	void (*run)(const struct probe *);
	const char *arg;
	long num;
	/* the kernel or the machine may lack it: then the control says N/A */
	bool optional;
	/* why brig lets it through */
	const char *excused;
};

struct probes {
	const struct probe *v;
	size_t n;
};
extern const struct probes probes_fs, probes_proc, probes_ns, probes_sock, probes_calls, probes_misc;

/* Nothing defends here: what fails because the machine has no such thing is N/A and not DENIED. */
extern bool control;

_Noreturn void allowed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void denied(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void na(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* By whether it worked; errno says why not. */
_Noreturn void tell(bool worked, const char *what);
/* Whether a call got past filters and rights to the kernel's own code, which says no to its arguments. */
_Noreturn void reached(long r, const char *what);

void read_baits(void);
/* A value of the file that the runner has put beside the probe; ends the probe if there is none. */
const char *bait(const char *key);
long bait_num(const char *key);
/* Whether what a descriptor or path says has the secret in it. */
bool has_secret(const char *buf, size_t n);
bool secret_in_fd(int fd);
bool secret_at(int dirfd, const char *path);
bool secret_in_file(const char *path);

/* In a mount namespace of its own, if one can be had; what the other probes see is then left as it is. */
void apart(void);
/* To the root of the mount namespace, by a second chroot. */
void leave_chroot(void);
/* Somewhere to write: a directory in the jailspace. */
const char *work(const char *name);
/* Runs the probe's program again, as this user; what it ended with. */
int run_self(const char *path, const char *word, uid_t uid);
void copy_self(const char *path);
/* Those open when the probe's program began, without 0 to 2. */
extern int fds_at_start[64];
extern size_t n_fds_at_start;

/* What the program does besides probing (bait.c). */
int bait_main(int argc, char **argv);

#endif
