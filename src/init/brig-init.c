/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PID 1 of a jail.  It keeps services running, copies what they print to the console log, reaps, and ends
 * the jail in order.  proto.h says how it is started and what it answers to.
 *
 * It stays in memory once a jail, so: no heap, no stdio, nothing but system calls and a few string
 * functions, statically linked.  One process, one poll(2) loop, signals through signalfd(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto.h"

#define DELAY_FIRST_MS 100
#define DELAY_MAX_MS 30000
#define RUN_GOOD_MS 10000
#define FAILURES_MAX 20
#define LOOK_MS 1000 /* how often processes that are no children of ours are looked for */
#define LOOK_STOPPING_MS 20
#define ARGS_MAX 256
#define LINE_MAX_LEN 512
#define ENV_MAX 64
#define PIPE_CHUNKS 16 /* of what a pipe holds, 64 KiB: nobody keeps init reading for ever */

#define FD_SIGNAL (INIT_FD_LISTEN - 1)        /* of signalfd(2) */
#define FD_COMMANDS_IN (INIT_FD_COMMANDS + 1) /* the reading end */
#define SOURCE_COMMANDS (INIT_MAX_SERVICES + 1)

enum state { STATE_UP, STATE_WAIT, STATE_FAILED, STATE_DONE };
static const char *const state_names[] = {"up", "wait", "failed", "done"};

struct service {
	char *command;
	pid_t pid;   /* 0: not running */
	int in, out; /* of its pipe: we read in; out is what its processes get */
	unsigned char state, failures;
	unsigned short last; /* as a shell says it: 128 + signal */
	unsigned restarts;
	int delay_ms;    /* before the next start */
	int64_t started; /* ms, monotonic */
	int64_t due;     /* when it waits */
};

static struct service services[INIT_MAX_SERVICES];
static unsigned n_services, n_listen;
static int persist, stopping, going;
static int stop_seconds = 10;
static uint64_t log_max;
static int64_t deadline; /* of stopping */
static int line_open;    /* the log's last byte is not a newline, and it came from service line_open - 1 */
static char chunk[4096];

/* ---- small text ---- */

struct text {
	char s[LINE_MAX_LEN];
	unsigned n;
};

static void
add(struct text *t, const char *s)
{
	while (*s && t->n < sizeof(t->s) - 1)
		t->s[t->n++] = *s++;
}

static void
add_number(struct text *t, uint64_t v)
{
	char digits[24];
	unsigned i = sizeof(digits);

	digits[--i] = '\0';
	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	add(t, digits + i);
}

/* What a log line starts with.  The name a service goes by is the last part of the first word of its command.
 */
static void
add_head(struct text *t, const struct service *sv)
{
	const char *p = sv->command + strspn(sv->command, " \t\n({");
	size_t n = strcspn(p, " \t\n;&|<>()");

	for (size_t i = n; i-- > 0;) {
		if (p[i] == '/') {
			p += i + 1;
			n -= i + 1;
			break;
		}
	}
	add(t, "brig-init: ");
	for (; n > 0 && t->n < 64; n--, p++) /* a control character must not reach a terminal */
		t->s[t->n++] = (*p >= ' ' && *p < 0x7f) ? *p : '?';
	add(t, ": ");
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- console log ---- */

/* Keeps the last half of what is allowed, from the start of a line on, in the same file: others hold it open.
 */
static void
log_bound(void)
{
	struct stat st;
	off_t from, to = 0;
	ssize_t n;

	if (log_max == 0 || fstat(INIT_FD_LOGRW, &st) < 0 || (uint64_t)st.st_size <= log_max)
		return;
	from = st.st_size - (off_t)(log_max / 2);
	n = pread(INIT_FD_LOGRW, chunk, sizeof(chunk), from);
	if (n > 0) {
		char *end = memchr(chunk, '\n', (size_t)n);

		from += end ? end - chunk + 1 : 0;
	}
	while ((n = pread(INIT_FD_LOGRW, chunk, sizeof(chunk), from)) > 0) {
		if (pwrite(INIT_FD_LOGRW, chunk, (size_t)n, to) != n)
			break;
		from += n;
		to += n;
	}
	(void)!ftruncate(INIT_FD_LOGRW, to);
}

/* A log that cannot be written (full disk) must not hold up the services: what does not fit is lost. */
static void
log_write(const char *s, size_t n, int source)
{
	if (line_open && line_open != source)
		(void)!write(INIT_FD_LOG, "\n", 1);
	(void)!write(INIT_FD_LOG, s, n);
	line_open = s[n - 1] == '\n' ? 0 : source;
}

static void
log_line(struct text *t)
{
	if (t->n > sizeof(t->s) - 1)
		t->n = sizeof(t->s) - 1;
	t->s[t->n++] = '\n';
	log_write(t->s, t->n, -1);
	log_bound();
}

static void
say(const char *what)
{
	struct text t = {.n = 0};

	add(&t, what);
	log_line(&t);
}

/* What a service has printed, a few chunks at most. */
static void
copy_pipe(int fd, int source, int chunks)
{
	ssize_t n;

	while (chunks-- > 0 && (n = read(fd, chunk, sizeof(chunk))) > 0) {
		log_write(chunk, (size_t)n, source);
		log_bound();
	}
}

static void
copy_output(struct service *sv, int chunks)
{
	copy_pipe(sv->in, (int)(sv - services) + 1, chunks);
}

/* ---- services ---- */

static void
record(const struct service *sv)
{
	struct text t = {.n = 0};

	add(&t, state_names[sv->state]);
	add(&t, " ");
	add_number(&t, (uint64_t)sv->pid);
	add(&t, " ");
	add_number(&t, sv->restarts);
	add(&t, " ");
	add_number(&t, (uint64_t)time(NULL));
	add(&t, " ");
	add_number(&t, sv->last);
	while (t.n < INIT_RECORD - 1)
		add(&t, " ");
	t.s[INIT_RECORD - 1] = '\n';
	(void)!pwrite(INIT_FD_STATUS, t.s, INIT_RECORD, (off_t)(sv - services) * INIT_RECORD);
}

/* jail(8)'s rule: characters that mean something to a shell are given to one, else split at blanks.  The
 * command is cut up in place: this is the child's own copy. */
static void
split(char *command, char **argv)
{
	static char sh[] = "/bin/sh", c[] = "-c";
	size_t len = strlen(command);
	unsigned n = 0;

	if (len > 0 && command[len - 1] == '&' && strcspn(command, "&") == len - 1)
		command[len - 1] = '\0'; /* it is kept running: "in the background" is what it is */
	if (strpbrk(command, "!\"$&'()*;<>?[\\]`{|}~")) {
		argv[n++] = sh;
		argv[n++] = c;
		argv[n++] = command;
	} else {
		char *p = command + strspn(command, " \t\n");

		while (*p && n < ARGS_MAX) {
			argv[n++] = p;
			p += strcspn(p, " \t\n");
			if (*p)
				*p++ = '\0';
			p += strspn(p, " \t\n");
		}
	}
	argv[n] = NULL;
}

static void
add_variable(struct text *t, const char *name, uint64_t v)
{
	add(t, name);
	add_number(t, v);
	t->s[t->n] = '\0';
}

/* sd_listen_fds(3).  The environment becomes env; fds and pid hold what is added to it. */
static void
give_sockets(char **env, struct text *fds, struct text *pid)
{
	unsigned n = 0;

	for (char **p = environ; *p && n < ENV_MAX; p++)
		if (strncmp(*p, "LISTEN_FDS=", 11) != 0 && strncmp(*p, "LISTEN_PID=", 11) != 0)
			env[n++] = *p;
	add_variable(fds, "LISTEN_FDS=", n_listen);
	add_variable(pid, "LISTEN_PID=", (uint64_t)getpid());
	env[n++] = fds->s;
	env[n++] = pid->s;
	env[n] = NULL;
	environ = env;
	/* upwards: what is overwritten has been copied */
	for (unsigned i = 0; i < n_listen; i++)
		(void)dup2(INIT_FD_LISTEN + (int)i, 3 + (int)i);
}

static _Noreturn void
run_service(struct service *sv)
{
	char *argv[ARGS_MAX + 1], *env[ENV_MAX + 3];
	struct text t = {.n = 0}, fds = {.n = 0}, pid = {.n = 0};
	sigset_t none;

	(void)setsid();
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)dup2(sv->out, 1);
	(void)dup2(sv->out, 2);
	if (n_listen > 0)
		give_sockets(env, &fds, &pid);
	(void)syscall(SYS_close_range, 3 + n_listen, ~0U, 0);
	split(sv->command, argv);
	if (argv[0])
		(void)execvp(argv[0], argv);
	else
		errno = ENOENT;
	add(&t, "brig-init: service ");
	add_number(&t, (uint64_t)(sv - services) + 1);
	add(&t, ": cannot run ");
	add(&t, argv[0] ? argv[0] : "an empty command");
	add(&t, ": ");
	add(&t, strerror(errno));
	t.s[t.n++] = '\n';
	(void)!write(2, t.s, t.n);
	_exit(127);
}

static void
schedule(struct service *sv, struct text *t)
{
	if (sv->failures >= FAILURES_MAX) {
		sv->state = STATE_FAILED;
		add(t, ", given up after ");
		add_number(t, FAILURES_MAX);
		add(t, " failures in a row");
		return;
	}
	sv->state = STATE_WAIT;
	sv->due = now_ms() + sv->delay_ms;
	add(t, ", restart in ");
	add_number(t, (uint64_t)(sv->delay_ms / 1000));
	add(t, ".");
	add_number(t, (uint64_t)(sv->delay_ms % 1000 / 100));
	add(t, " s");
	sv->delay_ms = sv->delay_ms * 2 > DELAY_MAX_MS ? DELAY_MAX_MS : sv->delay_ms * 2;
}

static void
start(struct service *sv)
{
	int again = sv->state == STATE_WAIT, p[2];
	struct text t = {.n = 0};

	if (sv->in < 0 && pipe2(p, O_CLOEXEC | O_NONBLOCK) == 0) {
		sv->in = p[0];
		sv->out = p[1];
		/* its own end blocks, as programs expect of their output */
		(void)fcntl(sv->out, F_SETFL, 0);
	}
	sv->started = now_ms();
	sv->pid = sv->in < 0 ? -1 : fork();
	if (sv->pid == 0)
		run_service(sv);
	add_head(&t, sv);
	if (sv->pid < 0) {
		add(&t, "cannot start: ");
		add(&t, strerror(errno));
		sv->pid = 0;
		sv->failures++;
		schedule(sv, &t);
	} else {
		sv->state = STATE_UP;
		sv->restarts += (unsigned)again;
		add(&t, again ? "restarted" : "started");
	}
	log_line(&t);
	record(sv);
}

static void
ended(struct service *sv, int status)
{
	struct text t = {.n = 0};
	int signaled = WIFSIGNALED(status);

	copy_output(sv, PIPE_CHUNKS); /* its last words before ours */
	sv->pid = 0;
	sv->last = (unsigned short)(signaled ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	add_head(&t, sv);
	add(&t, signaled ? "ended by signal " : "exited with status ");
	add_number(&t, (uint64_t)(signaled ? WTERMSIG(status) : WEXITSTATUS(status)));
	if (now_ms() - sv->started >= RUN_GOOD_MS) {
		sv->delay_ms = DELAY_FIRST_MS;
		sv->failures = 0;
	} else {
		sv->failures++;
	}
	if (stopping)
		sv->state = STATE_DONE;
	else
		schedule(sv, &t);
	log_line(&t);
	record(sv);
}

/* Every child that has ended, ours and the orphans.  0 when no child is left. */
static int
reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < n_services; i++)
			if (services[i].pid == pid)
				ended(&services[i], status);
	return pid == 0;
}

/* ---- the end ---- */

static void
begin_stop(void)
{
	if (stopping)
		return;
	stopping = 1;
	deadline = now_ms() + (int64_t)stop_seconds * 1000;
	for (unsigned i = 0; i < n_services; i++)
		if (services[i].state == STATE_WAIT)
			services[i].state = STATE_DONE;
	say("brig-init: stopping");
	(void)kill(-1, SIGTERM);
	(void)kill(-1, SIGCONT);
}

static _Noreturn void
finish(void)
{
	copy_pipe(FD_COMMANDS_IN, SOURCE_COMMANDS, PIPE_CHUNKS);
	for (unsigned i = 0; i < n_services; i++) {
		copy_output(&services[i], PIPE_CHUNKS);
		services[i].pid = 0;
		if (services[i].state != STATE_FAILED)
			services[i].state = STATE_DONE;
		record(&services[i]);
	}
	_exit(0);
}

/* Nothing left to run, and nobody who wants the jail to stay? */
static int
nothing_left(int children)
{
	if (children || (!stopping && (!going || persist)))
		return 0;
	for (unsigned i = 0; i < n_services; i++)
		if (services[i].pid > 0 || services[i].state == STATE_WAIT)
			return 0;
	return kill(-1, 0) < 0 && errno == ESRCH;
}

/* ---- the loop ---- */

static void
go(void)
{
	going = 1;
	(void)close(INIT_FD_CTL);
	for (unsigned i = 0; i < n_services && !stopping; i++)
		start(&services[i]);
}

/* Received descriptors have the lowest free numbers: those from INIT_FD_LISTEN on, one after the other. */
static void
take_sockets(struct msghdr *h)
{
	static const char ready = INIT_READY;
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	size_t n = 0;
	int fd;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (n == 0 || n > INIT_MAX_LISTEN - n_listen || (h->msg_flags & MSG_CTRUNC))
		_exit(1);
	for (size_t i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		if (fd != INIT_FD_LISTEN + (int)n_listen++)
			_exit(1);
	}
	if (write(INIT_FD_CTL, &ready, 1) != 1)
		_exit(1);
}

static void
control(void)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(INIT_MAX_LISTEN * sizeof(int))];
	} rights;
	char c = 0;
	struct iovec iov = {&c, 1};
	struct msghdr h = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof(rights.space)};
	ssize_t n = recvmsg(INIT_FD_CTL, &h, MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n != 1)
		_exit(1); /* the creator died before the jail was its own */
	if (c == INIT_LISTEN)
		take_sockets(&h);
	else if (c == INIT_GO)
		go();
}

static void
signals(void)
{
	struct signalfd_siginfo si;

	while (read(FD_SIGNAL, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_signo == SIGTERM)
			begin_stop();
}

/* Milliseconds until something is to be done without being asked; -1 never. */
static int
next_timeout(int children)
{
	int64_t now = now_ms(), next = -1;

	for (unsigned i = 0; i < n_services; i++)
		if (services[i].state == STATE_WAIT && (next < 0 || services[i].due < next))
			next = services[i].due;
	if (stopping)
		next = now + LOOK_STOPPING_MS < deadline && !children ? now + LOOK_STOPPING_MS : deadline;
	else if (!children && going && !persist && next < 0)
		next = now + LOOK_MS;
	if (next < 0)
		return -1;
	return next <= now ? 0 : (int)(next - now);
}

static void
wait_events(int children)
{
	struct pollfd p[3 + INIT_MAX_SERVICES];
	unsigned n = 0;

	p[n++] = (struct pollfd){FD_SIGNAL, POLLIN, 0};
	p[n++] = (struct pollfd){going ? -1 : INIT_FD_CTL, POLLIN, 0};
	p[n++] = (struct pollfd){FD_COMMANDS_IN, POLLIN, 0};
	for (unsigned i = 0; i < n_services; i++)
		p[n++] = (struct pollfd){services[i].in, POLLIN, 0};
	if (poll(p, n, next_timeout(children)) < 0)
		return;
	if (p[2].revents)
		copy_pipe(FD_COMMANDS_IN, SOURCE_COMMANDS, 1);
	for (unsigned i = 3; i < n; i++)
		if (p[i].revents)
			copy_output(&services[i - 3], 1);
	if (p[0].revents)
		signals();
	if (p[1].revents)
		control();
}

static _Noreturn void
loop(void)
{
	for (;;) {
		int children = reap();
		int64_t now = now_ms();

		if (nothing_left(children))
			finish();
		if (stopping && now >= deadline) {
			if (kill(-1, 0) == 0 || errno == EPERM)
				say("brig-init: killing what is left after the stop timeout");
			(void)kill(-1, SIGKILL); /* and our own end makes sure */
			finish();
		}
		for (unsigned i = 0; i < n_services && !stopping; i++) {
			if (services[i].state == STATE_WAIT && services[i].due <= now) {
				start(&services[i]);
				children = 1;
			}
		}
		wait_events(children);
	}
}

/* ---- start ---- */

static int
number(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s || !*s)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
			return -1;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*ret = v;
	return 0;
}

static int
arguments(int argc, char **argv)
{
	uint64_t v;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "-p") == 0) {
			persist = 1;
		} else if (strcmp(argv[i], "-t") == 0 && number(argv[i + 1], &v) == 0 && v < 1000000) {
			stop_seconds = (int)v;
			i++;
		} else if (strcmp(argv[i], "-m") == 0 && number(argv[i + 1], &v) == 0) {
			log_max = v;
			i++;
		} else {
			return -1;
		}
	}
	for (; i < argc; i++) {
		struct service *sv = &services[n_services];

		if (n_services == INIT_MAX_SERVICES)
			return -1;
		sv->command = argv[i];
		sv->in = sv->out = -1;
		sv->delay_ms = DELAY_FIRST_MS;
		sv->state = STATE_DONE;
		n_services++;
	}
	return 0;
}

/* 0 to 2 come closed.  Services read nothing; what init itself would print has no place but the log.  In a
 * jail without /dev a pipe whose other end is closed does the same. */
static void
standard_fds(void)
{
	int p[2];

	if (open("/dev/null", O_RDWR) != 0) {
		if (pipe(p) < 0 || p[0] != 0)
			_exit(1);
		(void)close(p[1]);
	}
	(void)dup2(0, 1);
	(void)dup2(0, 2);
}

/* On FD_SIGNAL, and no hole below it: what is received later is numbered from INIT_FD_LISTEN on. */
static int
place_signals(const sigset_t *set)
{
	int fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);

	while (fd >= 0 && fd < FD_SIGNAL)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
	return fd == FD_SIGNAL ? 0 : -1;
}

/* Both ends stay open here: the pipe never ends, and never breaks under a command that outlives brig. */
static int
make_commands_pipe(void)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	if (dup3(p[0], FD_COMMANDS_IN, O_CLOEXEC) < 0 || dup3(p[1], INIT_FD_COMMANDS, O_CLOEXEC) < 0)
		return -1;
	(void)close(p[0]);
	(void)close(p[1]);
	return 0;
}

/* ---- brig-init -x ---- */

/* A text without "#!" and an interpreter is the shell's, as execvp(3) has it. */
static void
execute(char *path, char **argv)
{
	static char sh[] = "/bin/sh";
	char *own = argv[0];

	(void)execve(path, argv, environ);
	if (errno != ENOEXEC)
		return;
	/* the two words before argv are -x and FILE: there is room */
	argv[-1] = sh;
	argv[0] = path;
	(void)execve(sh, argv - 1, environ);
	argv[0] = own; /* for the next one of PATH */
}

/* In each directory of PATH; that one of them may not be executed counts more than that others are not there.
 */
static int
search(char *file, char **argv)
{
	static char path[PATH_MAX];
	const char *dirs = getenv("PATH");
	int refused = 0;

	if (!dirs)
		dirs = "/bin:/usr/bin";
	for (;; dirs++) {
		size_t n = strcspn(dirs, ":"), len = strlen(file);

		if (n + len + 2 <= sizeof(path)) {
			memcpy(path, dirs, n);
			path[n] = '/';
			/* an empty one is the working directory */
			memcpy(path + n + (n > 0), file, len + 1);
			execute(path, argv);
			if (errno == EACCES)
				refused = 1;
			else if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
				return errno;
		}
		dirs += n;
		if (!*dirs)
			return refused ? EACCES : ENOENT;
	}
}

static int
exec_main(char **argv)
{
	int num;

	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)fcntl(INIT_FD_CTL, F_SETFD, FD_CLOEXEC);
	if (strchr(argv[2], '/')) {
		execute(argv[2], argv + 3);
		num = errno;
	} else {
		num = *argv[2] ? search(argv[2], argv + 3) : ENOENT;
	}
	(void)!write(INIT_FD_CTL, &num, sizeof(num));
	return 127;
}

int
main(int argc, char **argv)
{
	static const char ready = INIT_READY;
	sigset_t all;

	if (argc > 3 && strcmp(argv[1], INIT_EXEC) == 0 && getpid() != 1)
		return exec_main(argv);
	if (getpid() != 1 || arguments(argc, argv) < 0)
		return 2;
	standard_fds();
	for (int fd = INIT_FD_CTL; fd <= INIT_FD_STATUS; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	/* nobody in the jail may look into it or at its file, whoever he is (CVE-2019-5736) */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_NAME, "brig-init");
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	sigaddset(&all, SIGTERM);
	if (place_signals(&all) < 0 || make_commands_pipe() < 0)
		return 1;
	/* from here on the end of INIT_FD_CTL says that the creator died */
	(void)prctl(PR_SET_PDEATHSIG, 0);
	if (write(INIT_FD_CTL, &ready, 1) != 1)
		return 1;
	loop();
}
