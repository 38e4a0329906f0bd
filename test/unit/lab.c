/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/child.h"
#include "os/linux/instance/ref.h"
#include "lab.h"

#define ADDR_TEXT INET6_ADDRSTRLEN

char *lab_answer;

void
lab_open(void)
{
	lab_answer = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (lab_answer == MAP_FAILED)
		abort();
}

void
sh(const char *fmt, ...)
{
	_auto_free char *cmd = NULL;
	va_list ap;
	int status;

	va_start(ap, fmt);
	cmd = xvasprintf(fmt, ap);
	va_end(ap);
	status = system(cmd);
	if (status != 0)
		print_error("'%s': status %d\n", cmd, status);
	assert_int_equal(status, 0);
}

/* Runs fn in the namespace (HOST: here) in a child; its exit status. */
int
in_ns(int ns_fd, int (*fn)(void *), void *arg)
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (ns_fd != HOST && setns(ns_fd, CLONE_NEWNET) < 0)
			_exit(99);
		_exit(fn(arg));
	}
	assert_int_equal(child_wait(pid, &status), 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int
run_shell(void *arg)
{
	return system(arg) == 0 ? 0 : 1;
}

void
ns_sh(const struct ns *ns, const char *cmd)
{
	int r = in_ns(ns->fd, run_shell, (char *)(uintptr_t)cmd);

	if (r != 0)
		print_error("in namespace: '%s' failed\n", cmd);
	assert_int_equal(r, 0);
}

/* A namespace that lives as long as its process, owned by a user namespace as a jail's is. */
void
ns_make(struct ns *ns, bool user)
{
	struct err e = ERR_INIT;
	char path[32], c;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	ns->pid = fork();
	assert_true(ns->pid >= 0);
	if (ns->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET | (user ? CLONE_NEWUSER : 0)) < 0 || write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", ns->pid);
	ns->fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(ns->fd >= 0);
	assert_int_equal(ref_make(ns->pid, &ns->ref, &e), 0);
}

void
kill_pid(pid_t pid)
{
	int status;

	(void)kill(pid, SIGKILL);
	(void)child_wait(pid, &status);
}

void
ns_end(struct ns *ns)
{
	kill_pid(ns->pid);
	close(ns->fd);
}

char *
output_of(const char *cmd)
{
	_auto_buf struct buf b = BUF_INIT;
	char chunk[4096];
	FILE *f = popen(cmd, "re");
	size_t n;

	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&b, chunk, n);
	assert_int_equal(pclose(f), 0);
	buf_addc(&b, '\n');
	return buf_take(&b);
}

static int
listener(int family, int type, const char *addr, int port)
{
	struct sockaddr_in6 s6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in s4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(family, type | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -1;
	if (addr)
		(void)inet_pton(family, addr,
				family == AF_INET ? (void *)&s4.sin_addr : (void *)&s6.sin6_addr);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, family == AF_INET ? (void *)&s4 : (void *)&s6,
		 family == AF_INET ? sizeof(s4) : sizeof(s6)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 16) < 0))
		return -1;
	return fd;
}

static const char *
peer_text(const struct sockaddr_storage *ss, char buf[ADDR_TEXT])
{
	const void *a = ss->ss_family == AF_INET
			    ? (const void *)&((const struct sockaddr_in *)ss)->sin_addr
			    : (const void *)&((const struct sockaddr_in6 *)ss)->sin6_addr;

	return inet_ntop(ss->ss_family, a, buf, ADDR_TEXT) ? buf : "?";
}

static void
serve_one(int fd, bool stream, struct mailbox *box)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	char text[ADDR_TEXT], junk[16];
	int c;

	if (stream) {
		c = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC);
		if (c >= 0) {
			box->count++;
			peer_text(&ss, text);
			(void)!write(c, text, strlen(text));
			close(c);
		}
	} else if (recvfrom(fd, junk, sizeof(junk), 0, (struct sockaddr *)&ss, &len) >= 0) {
		box->count++;
		peer_text(&ss, text);
		(void)!sendto(fd, text, strlen(text), 0, (struct sockaddr *)&ss, len);
	}
}

static void
server_main(struct server *s, int ready)
{
	struct pollfd p[4];
	int n = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (s->ns_fd != HOST && setns(s->ns_fd, CLONE_NEWNET) < 0)
		_exit(1);
	for (int i = 0; i < 4; i++) {
		int family = i & 1 ? AF_INET6 : AF_INET;

		if (s->only && family != (strchr(s->only, ':') ? AF_INET6 : AF_INET))
			continue;
		p[n] = (struct pollfd){listener(family, i & 2 ? SOCK_STREAM : SOCK_DGRAM, s->only, s->port),
				       POLLIN, 0};
		if (p[n++].fd < 0)
			_exit(1);
	}
	(void)!write(ready, "x", 1);
	for (;;) {
		if (poll(p, (nfds_t)n, -1) < 0)
			continue;
		for (int i = 0; i < n; i++)
			if (p[i].revents)
				serve_one(p[i].fd, s->only ? i == 1 : i >= 2, s->box);
	}
}

void
server_start(struct server *s)
{
	int p[2];
	char c;

	s->box = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(s->box != MAP_FAILED);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0)
		server_main(s, p[1]);
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
}

void
server_end(struct server *s)
{
	kill_pid(s->pid);
	(void)munmap(s->box, 4096);
}

struct question {
	int type, port, wait_ms;
	const char *to, *from; /* from: source address, also one that is not the jail's */
	char *answer;          /* shared memory, ADDR_TEXT */
};

static int
sockaddr_of(const char *text, int port, struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in6 *s6 = (void *)ss;
	struct sockaddr_in *s4 = (void *)ss;
	char host[64];
	char *scope;

	memset(ss, 0, sizeof(*ss));
	(void)snprintf(host, sizeof(host), "%s", text);
	scope = strchr(host, '%');
	if (scope) {
		*scope++ = '\0';
		s6->sin6_scope_id = if_nametoindex(scope);
	}
	ss->ss_family = strchr(host, ':') ? AF_INET6 : AF_INET;
	*len = ss->ss_family == AF_INET ? sizeof(*s4) : sizeof(*s6);
	if (ss->ss_family == AF_INET)
		s4->sin_port = htons((uint16_t)port);
	else
		s6->sin6_port = htons((uint16_t)port);
	return inet_pton(ss->ss_family, host,
			 ss->ss_family == AF_INET ? (void *)&s4->sin_addr : (void *)&s6->sin6_addr);
}

/* 0 answered, 1 not. */
static int
ask_child(void *arg)
{
	struct question *q = arg;
	struct timeval tv = {q->wait_ms / 1000, (q->wait_ms % 1000) * 1000};
	struct sockaddr_storage to, from;
	socklen_t len;
	int one = 1, fd;
	ssize_t n;

	if (sockaddr_of(q->to, q->port, &to, &len) != 1)
		return 90;
	fd = socket(to.ss_family, q->type | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)); /* connect too */
	if (q->from) {
		(void)setsockopt(fd, to.ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
				 to.ss_family == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one,
				 sizeof(one));
		if (sockaddr_of(q->from, 0, &from, &len) != 1 || bind(fd, (void *)&from, len) < 0)
			return 91;
	}
	if (connect(fd, (void *)&to, len) < 0 || (q->type == SOCK_DGRAM && send(fd, "?", 1, 0) < 0))
		return 1;
	n = recv(fd, q->answer, ADDR_TEXT - 1, 0);
	if (n <= 0)
		return 1;
	q->answer[n] = '\0';
	return 0;
}

int
ask(int ns_fd, int type, const char *to, int port, int wait_ms)
{
	struct question q = {.type = type, .to = to, .port = port, .wait_ms = wait_ms, .answer = lab_answer};

	lab_answer[0] = '\0';
	return in_ns(ns_fd, ask_child, &q);
}

void
say_from(int ns_fd, const char *from, const char *to, int port)
{
	struct question q = {
	    .type = SOCK_DGRAM, .to = to, .from = from, .port = port, .wait_ms = 150, .answer = lab_answer};

	assert_in_range(in_ns(ns_fd, ask_child, &q), 0, 1); /* it was sent; an answer need not come */
}

void
reaches(int ns_fd, const char *who, const char *to, int port, const char *seen)
{
	for (int i = 0; i < 2; i++) {
		int r = ask(ns_fd, i ? SOCK_STREAM : SOCK_DGRAM, to, port, 2000);

		if (r != 0)
			fail_msg("%s -> %s port %d by %s: no answer (%d)", who, to, port, i ? "TCP" : "UDP",
				 r);
		if (seen && !streq(seen, lab_answer))
			fail_msg("%s -> %s port %d by %s: the jail sees %s", who, to, port, i ? "TCP" : "UDP",
				 lab_answer);
	}
}

void
tcp_reaches(int ns_fd, const char *to, int port, const char *seen)
{
	int r = ask(ns_fd, SOCK_STREAM, to, port, 2000);

	if (r != 0 || !streq(seen, lab_answer))
		fail_msg("%s port %d by TCP: %d, seen as '%s'", to, port, r, lab_answer);
}

void
unreachable(int ns_fd, const char *who, const char *to, int port)
{
	for (int i = 0; i < 2; i++)
		if (ask(ns_fd, i ? SOCK_STREAM : SOCK_DGRAM, to, port, 300) == 0)
			fail_msg("%s -> %s port %d by %s: answered %s", who, to, port, i ? "TCP" : "UDP",
				 lab_answer);
}
