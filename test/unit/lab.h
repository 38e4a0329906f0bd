/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A laboratory of network namespaces: making them, running something in one, servers and clients that tell
 * what address they see.  Every function fails the running cmocka test where it says so by its name or cannot
 * do its work.
 */
#ifndef BRIG_TEST_LAB_H
#define BRIG_TEST_LAB_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "os/os.h"

#define HOST (-1) /* for where to run: here */

struct ns {
	pid_t pid;
	int fd;
	struct os_ref ref;
};
/* A server tells here how often it was spoken to: also when no answer can come back. */
struct mailbox {
	_Atomic unsigned count;
};
/* Answers by TCP and UDP, each with the address it sees as its peer. */
struct server {
	int ns_fd, port;
	struct mailbox *box;
	pid_t pid;
	const char *only; /* one address to listen on, or NULL: all, both families */
};

void lab_open(void); /* first of all */
void sh(const char *fmt, ...) _printf_(1, 2);
char *output_of(const char *cmd); /* the caller frees */
/* Runs fn in the namespace (HOST: here) in a child; its exit status. */
int in_ns(int ns_fd, int (*fn)(void *), void *arg);
void ns_sh(const struct ns *ns, const char *cmd);
/* A namespace that lives as long as its process; user: owned by a user namespace, as a jail's is. */
void ns_make(struct ns *ns, bool user);
void ns_end(struct ns *ns);
void kill_pid(pid_t pid); /* of a child, and waits */

void server_start(struct server *s);
void server_end(struct server *s);
/* type: SOCK_STREAM, SOCK_DGRAM.  0 answered, the answer is in lab_answer. */
extern char *lab_answer;
int ask(int ns_fd, int type, const char *to, int port, int wait_ms);
/* One UDP packet with that source address, also one that is not the sender's. */
void say_from(int ns_fd, const char *from, const char *to, int port);
/* By TCP and UDP; seen: the address that the server sees (NULL: not checked). */
void reaches(int ns_fd, const char *who, const char *to, int port, const char *seen);
void tcp_reaches(int ns_fd, const char *to, int port, const char *seen);
void unreachable(int ns_fd, const char *who, const char *to, int port);

#endif
