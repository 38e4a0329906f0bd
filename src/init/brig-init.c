/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PID 1 of a jail.  It keeps services running, restarts those that the jail's rc has started, copies their
 * output and messages of syslog(3) to the console log, reaps orphans, and stops the jail.  proto.h is its
 * interface.
 *
 * Each jail has one in memory, so: no heap, no stdio, nothing but system calls and a few string functions,
 * statically linked.  One process, one poll(2) loop, signals by signalfd(2).
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
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto.h"

#define DELAY_FIRST_MS 100
#define DELAY_MAX_MS 30000
#define RUN_GOOD_MS 10000
#define FAILURES_MAX 20
#define LOOK_MS 1000 /* interval of the check for processes that are not our children (exec) */
#define LOOK_STOPPING_MS 20
#define ARGS_MAX 256
#define LINE_MAX_LEN 512
#define ENV_MAX 64
#define PIPE_CHUNKS 16 /* 64 KiB, as much as a pipe holds: nobody keeps init reading for ever */

#define FD_SIGNAL (INIT_FD_LISTEN - 1)        /* of signalfd(2) */
#define FD_COMMANDS_IN (INIT_FD_COMMANDS + 1) /* the reading end */
#define FD_FOLLOW (INIT_FD_COMMANDS + 2)      /* the FIFO of -f, -1 where there is none: follow_fd */
#define FD_SYSLOG (INIT_FD_COMMANDS + 3)
#define FD_OTHERS (INIT_FD_COMMANDS + 4) /* and up: below are the numbers of received sockets */
#define SOURCE_COMMANDS (SERVICES_MAX + 1)
#define SERVICES_MAX (INIT_MAX_SERVICES + INIT_MAX_FOLLOWED)
#define NAME_LEN (INIT_RECORD - 1)
#define PID_FILE_LEN 95
#define LOOK_AGAIN_MS 1000 /* after a process has ended: until pid files and the syslog socket are checked */
#define LEFT_TERM_MS 10000 /* from TERM to KILL, for what is left of a service's process group */
#define LEFT_LOOK_MS 100
#define SYSLOG_MAX 1024 /* of a message, RFC 3164 */

enum state { STATE_UP, STATE_WAIT, STATE_FAILED, STATE_DONE, STATE_STARTED };
static const char *const state_names[] = {"up", "wait", "failed", "done", "started"};

/* When a followed service is restarted; those of the configuration always are. */
enum policy { POLICY_ALWAYS, POLICY_ON_FAILURE, POLICY_NO };
static const char *const policy_names[] = {"always", "on-failure", "no"};

struct service {
	char *command;
	pid_t pid;   /* 0: not running */
	int in, out; /* of the pipe for its output: ours, its own.  Followed: in is its pidfd */
	pid_t starter; /* followed: the rc that is starting it again, 0: none */
	pid_t group;   /* followed: its own process group, 0: it has none */
	unsigned char follow, policy;
	unsigned char gone;    /* its pidfd says that it has ended */
	unsigned char adopted; /* found by its pid file: not our child, so its exit status may stay unknown */
	unsigned char quiet;   /* rc.shutdown runs: its end is no failure */
	unsigned char state, failures;
	unsigned short last; /* exit status as a shell has it: 128 + signal */
	unsigned restarts;
	int delay_ms;    /* before the next start */
	int64_t started; /* ms, monotonic */
	int64_t ended;   /* the same; followed */
	int64_t look;    /* when its pid file is to be read; 0: not */
	int64_t due;     /* STATE_WAIT: when it is to be started */
};

/* Those of the configuration, then those that are followed. */
static struct service services[SERVICES_MAX];
static char followed_names[INIT_MAX_FOLLOWED][NAME_LEN + 1], pid_files[INIT_MAX_FOLLOWED][PID_FILE_LEN + 1];
static unsigned n_config, n_services, n_listen;
static const char *follow_path, *syslog_path;
static int follow_fd = -1, syslog_fd = -1;
static ino_t syslog_ino;
static int64_t syslog_look; /* when to check whether a daemon still has the socket; 0: not */
static int persist, stopping, going;
static int stop_seconds = 10;
static uint64_t log_max;
static int64_t deadline; /* of stopping */
static int line_open;    /* source (log_write) of an unfinished last line of the log; 0: it is finished */
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

/* Begins a log line.  A service is called by the last component of the first word of its command. */
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

/* Moves the last log_max / 2 bytes, from the start of a line on, to the beginning of the file, and
 * truncates it: the same file, because others have it open. */
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

/* Copies the output of a service to the log, a few chunks at most. */
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
	if (!sv->follow)
		copy_pipe(sv->in, (int)(sv - services) + 1, chunks);
}

/* ---- services ---- */

static void
write_record(struct text *t, unsigned slot)
{
	while (t->n < INIT_RECORD - 1)
		add(t, " ");
	t->s[INIT_RECORD - 1] = '\n';
	(void)!pwrite(INIT_FD_STATUS, t->s, INIT_RECORD, (off_t)slot * INIT_RECORD);
}

static void
record(const struct service *sv)
{
	unsigned i = (unsigned)(sv - services);
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
	write_record(&t, sv->follow ? n_config + 2 * (i - n_config) : i);
	if (!sv->follow)
		return;
	t.n = 0;
	add(&t, sv->command);
	write_record(&t, n_config + 2 * (i - n_config) + 1);
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
		command[len - 1] = '\0'; /* services run in the background anyway */
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
		/* the service's end blocks, as programs expect */
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

/* As systemd.service(5), Restart=on-failure. */
static int
is_clean(int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (sig)
		return sig == SIGHUP || sig == SIGINT || sig == SIGTERM || sig == SIGPIPE;
	return WEXITSTATUS(status) == 0;
}

static void
after_end(struct service *sv, struct text *t, int clean)
{
	if (sv->policy == POLICY_ALWAYS || (sv->policy == POLICY_ON_FAILURE && !clean))
		schedule(sv, t);
	else
		sv->state = clean || sv->quiet ? STATE_DONE : STATE_FAILED;
}

static void
count_failure(struct service *sv)
{
	sv->ended = now_ms();
	if (now_ms() - sv->started >= RUN_GOOD_MS) {
		sv->delay_ms = DELAY_FIRST_MS;
		sv->failures = 0;
	} else {
		sv->failures++;
	}
}

static void close_pidfd(struct service *sv);

static void
ended(struct service *sv, int status)
{
	struct text t = {.n = 0};
	int signaled = WIFSIGNALED(status);

	copy_output(sv, PIPE_CHUNKS); /* its output before our message */
	if (sv->follow)
		close_pidfd(sv);
	sv->pid = 0;
	sv->last = (unsigned short)(signaled ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	add_head(&t, sv);
	add(&t, signaled ? "ended by signal " : "exited with status ");
	add_number(&t, (uint64_t)(signaled ? WTERMSIG(status) : WEXITSTATUS(status)));
	count_failure(sv);
	if (stopping)
		sv->state = STATE_DONE;
	else
		after_end(sv, &t, is_clean(status));
	log_line(&t);
	record(sv);
}

/* ---- followed services: the jail's rc has started them ---- */

/* The lines of the FIFO, proto.h.  The jail's root writes them, about processes of its own: init waits
 * for their end, signals what is left of their groups, and runs the jail's rc. */

static void
close_pidfd(struct service *sv)
{
	if (sv->in >= 0)
		(void)close(sv->in);
	sv->in = -1;
	sv->pid = 0;
	sv->gone = 0;
}

/* A followed process has ended that is not our child, or has not been reaped by us yet: its status is not
 * known. */
static void
ended_elsewhere(struct service *sv)
{
	struct text t = {.n = 0};

	close_pidfd(sv);
	add_head(&t, sv);
	add(&t, "ended");
	count_failure(sv);
	if (stopping)
		sv->state = STATE_DONE;
	else
		after_end(sv, &t, sv->adopted);
	log_line(&t);
	record(sv);
}

static int
is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	return n > 0 && !s[n] && n <= NAME_LEN;
}

static struct service *
followed(const char *name)
{
	struct service *sv = &services[n_services];

	for (unsigned i = n_config; i < n_services; i++)
		if (strcmp(services[i].command, name) == 0)
			return &services[i];
	if (n_services - n_config == INIT_MAX_FOLLOWED)
		return NULL;
	sv->command = followed_names[n_services++ - n_config];
	memcpy(sv->command, name, strlen(name) + 1);
	sv->follow = 1;
	sv->in = sv->out = -1;
	sv->delay_ms = DELAY_FIRST_MS;
	sv->state = STATE_STARTED;
	return sv;
}

static void
follow(struct service *sv, unsigned char policy, pid_t pid)
{
	struct text t = {.n = 0};
	int again = sv->state == STATE_WAIT, fd;

	if (pid > 0 && pid == sv->pid) {
		sv->policy = policy;
		return;
	}
	close_pidfd(sv);
	sv->starter = sv->group = 0;
	sv->adopted = 0;
	sv->look = 0;
	sv->policy = policy;
	sv->state = STATE_STARTED;
	sv->started = now_ms();
	sv->restarts += (unsigned)again;
	add_head(&t, sv);
	add(&t, again ? "restarted" : "started");
	log_line(&t);
	fd = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (fd >= 0) {
		sv->in = fcntl(fd, F_DUPFD_CLOEXEC, FD_OTHERS);
		(void)close(fd);
		sv->pid = sv->in < 0 ? 0 : pid;
		/* the group is its own only if it is a session of its own */
		sv->group = getsid(pid) == getpgid(pid) && getpgid(pid) > 1 ? getpgid(pid) : 0;
		sv->state = sv->pid ? STATE_UP : STATE_STARTED;
	} else if (pid > 1 && errno == ESRCH) {
		ended_elsewhere(sv);
		return;
	}
	record(sv);
}

/* ---- services that somebody has stopped or started by hand ---- */

static char *
pid_file(const struct service *sv)
{
	return pid_files[sv - services - n_config];
}

static pid_t
read_pid(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	char text[16];
	ssize_t n = -1;
	long pid = 0;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read(fd, text, sizeof(text));
	if (fd >= 0)
		(void)close(fd);
	for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9' && pid < 100000000; i++)
		pid = pid * 10 + (text[i] - '0');
	return (pid_t)pid;
}

/* Its script was run by hand: the process in the pid file is the service now. */
static void
adopt(struct service *sv)
{
	pid_t pid = read_pid(pid_file(sv));

	sv->look = 0;
	if (pid <= 1 || kill(pid, 0) < 0)
		return;
	follow(sv, sv->policy, pid);
	sv->adopted = 1;
}

/* After an orphan was reaped: a daemon that starts leaves one, so it may be a service that was started by
 * hand. */
static void
look_again(void)
{
	for (unsigned i = n_config; i < n_services; i++) {
		struct service *sv = &services[i];

		if (!sv->look && !sv->pid && !sv->starter && !sv->quiet && sv->state != STATE_WAIT &&
		    *pid_file(sv))
			sv->look = now_ms() + LOOK_AGAIN_MS;
	}
}

/* rc could not start it.  A restart is tried again; at the start of the jail it is left to the
 * administrator. */
static void
not_started(struct service *sv)
{
	struct text t = {.n = 0};

	if (sv->state == STATE_WAIT) {
		sv->starter = 0;
		add_head(&t, sv);
		add(&t, "did not start");
		sv->failures++;
		schedule(sv, &t);
		log_line(&t);
	} else {
		close_pidfd(sv);
		sv->state = STATE_FAILED;
	}
	record(sv);
}

static void
stop_following(void)
{
	for (unsigned i = n_config; i < n_services; i++) {
		services[i].policy = POLICY_NO;
		services[i].quiet = 1;
		if (services[i].state == STATE_WAIT) {
			services[i].state = STATE_DONE;
			record(&services[i]);
		}
	}
}

static void
obey(char *line)
{
	char *word[6] = {NULL};
	struct service *sv;
	uint64_t pid = 0;
	unsigned char policy = 0;
	unsigned n = 0;

	for (char *p = line + strspn(line, " "); *p && n < 6; p += strspn(p, " ")) {
		word[n++] = p;
		p += strcspn(p, " ");
		if (*p)
			*p++ = '\0';
	}
	if (n == 1 && strcmp(word[0], "stop") == 0)
		stop_following();
	if (n < 2 || !is_name(word[1]) || stopping)
		return;
	if (n == 2 && strcmp(word[0], "failed") == 0 && (sv = followed(word[1])))
		not_started(sv);
	if (n < 4 || n > 5 || strcmp(word[0], "follow") != 0 || number(word[3], &pid) < 0 || pid > INT_MAX)
		return;
	while (policy <= POLICY_NO && strcmp(word[2], policy_names[policy]) != 0)
		policy++;
	if (policy > POLICY_NO)
		policy = POLICY_ON_FAILURE;
	if ((sv = followed(word[1]))) {
		sv->quiet = 0;
		*pid_file(sv) = '\0';
		if (n == 5 && word[4][0] == '/' && strlen(word[4]) <= PID_FILE_LEN)
			memcpy(pid_file(sv), word[4], strlen(word[4]) + 1);
		follow(sv, policy, (pid_t)pid);
	}
}

/* Obeys whole lines; ignores those that are too long. */
static void
read_follow(void)
{
	static char line[LINE_MAX_LEN];
	static unsigned n, skip;
	int chunks = PIPE_CHUNKS;
	ssize_t got;

	while (follow_fd >= 0 && chunks-- > 0 && (got = read(follow_fd, chunk, sizeof(chunk))) > 0) {
		for (ssize_t i = 0; i < got; i++) {
			if (chunk[i] != '\n') {
				if (n < sizeof(line) - 1 && chunk[i])
					line[n++] = chunk[i];
				else
					skip = 1;
				continue;
			}
			line[n] = '\0';
			if (!skip)
				obey(line);
			n = skip = 0;
		}
	}
}

static _Noreturn void
run_rc(const struct service *sv)
{
	static char sh[] = "/bin/sh", rc[] = "/etc/rc", start_word[] = "start";
	char *argv[] = {sh, rc, start_word, sv->command, NULL};
	sigset_t none;

	(void)setsid();
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)dup2(INIT_FD_COMMANDS, 1);
	(void)dup2(INIT_FD_COMMANDS, 2);
	(void)syscall(SYS_close_range, 3, ~0U, 0);
	(void)execv(sh, argv);
	_exit(127);
}

/* What is left of the process group of a service that was killed may still have its port: TERM, later
 * KILL.  1: there is something left. */
static int
has_left(struct service *sv, int64_t now)
{
	if (sv->group <= 1 || kill(-sv->group, now - sv->ended >= LEFT_TERM_MS ? SIGKILL : SIGTERM) < 0)
		return 0;
	sv->due = now + LEFT_LOOK_MS;
	return 1;
}

/* Runs rc; it stays in STATE_WAIT until rc has written "follow" or "failed". */
static void
start_followed(struct service *sv)
{
	if (has_left(sv, now_ms()))
		return;
	sv->starter = fork();
	if (sv->starter == 0)
		run_rc(sv);
	if (sv->starter < 0)
		not_started(sv);
}

/* ---- processes that end ---- */

static int
has_syslog(void)
{
	struct stat st;

	return syslog_fd >= 0 && lstat(syslog_path, &st) == 0 && st.st_ino == syslog_ino;
}

static void
starter_ended(struct service *sv)
{
	sv->starter = 0;
	if (sv->state == STATE_WAIT) /* it has written neither "follow" nor "failed" */
		not_started(sv);
}

/* Reaps every child that has ended, orphans included.  0: no child is left. */
static int
reap(void)
{
	int status, any = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		any = 1;
		for (unsigned i = 0; i < n_services; i++) {
			if (services[i].pid == pid)
				ended(&services[i], status);
			else if (services[i].starter == pid) {
				read_follow(); /* what it has written before */
				if (services[i].starter == pid)
					starter_ended(&services[i]);
			}
		}
	}
	for (unsigned i = n_config; i < n_services; i++)
		if (services[i].gone && services[i].pid > 0)
			ended_elsewhere(&services[i]);
	if (any) {
		if (syslog_path && !syslog_look && !has_syslog())
			syslog_look = now_ms() + LOOK_AGAIN_MS;
		look_again();
	}
	return pid == 0;
}

/* ---- syslog(3) ---- */

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "<30>Nov 21 10:00:00 cron[7]: text" of syslog(3) or logger(1) becomes "daemon.info cron[7]: text". */
static void
log_message(char *s, size_t n)
{
	static const char *const facility[] = {"kern", "user", "mail", "daemon", "auth",     "syslog",
					       "lpr",  "news", "uucp", "cron",   "authpriv", "ftp"};
	static const char *const level[] = {"emerg",   "alert",  "crit", "err",
					    "warning", "notice", "info", "debug"};
	static char line[SYSLOG_MAX + LINE_MAX_LEN];
	struct text t = {.n = 0};
	unsigned pri = 13, i = 0, v = 0;

	for (i = 1; n > 0 && s[0] == '<' && i < n && i < 4 && is_digit(s[i]); i++)
		v = v * 10 + (unsigned)(s[i] - '0');
	if (i > 1 && i < n && s[i] == '>') {
		pri = v;
		s += i + 1;
		n -= i + 1;
	}
	if (n > 16 && s[3] == ' ' && s[6] == ' ' && s[9] == ':' && s[12] == ':' && s[15] == ' ') {
		s += 16;
		n -= 16;
	}
	if (pri / 8 < sizeof(facility) / sizeof(facility[0])) {
		add(&t, facility[pri / 8]);
	} else {
		add(&t, "local");
		add_number(&t, pri / 8 % 8);
	}
	add(&t, ".");
	add(&t, level[pri % 8]);
	add(&t, " ");
	memcpy(line, t.s, t.n);
	if (n > SYSLOG_MAX)
		n = SYSLOG_MAX;
	while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\0'))
		n--;
	for (i = 0; i < n; i++) /* as add_head() */
		line[t.n + i] = (s[i] >= 0 && s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f ? '?' : s[i];
	line[t.n + n] = '\n';
	log_write(line, t.n + n + 1, -1);
	log_bound();
}

static void
read_syslog(void)
{
	ssize_t n;

	for (int i = 0; i < PIPE_CHUNKS && (n = recv(syslog_fd, chunk, sizeof(chunk), 0)) >= 0; i++)
		if (n > 0)
			log_message(chunk, (size_t)n);
}

/* Makes the socket of syslog(3), as a daemon of the jail would. */
static void
make_syslog(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;
	int fd;

	if (!syslog_path || strlen(syslog_path) >= sizeof(a.sun_path))
		return;
	memcpy(a.sun_path, syslog_path, strlen(syslog_path) + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && chmod(syslog_path, 0666) == 0 &&
	    lstat(syslog_path, &st) == 0 && dup3(fd, FD_SYSLOG, O_CLOEXEC) >= 0) {
		syslog_fd = FD_SYSLOG;
		syslog_ino = st.st_ino;
	}
	(void)close(fd);
}

/* A daemon of the jail takes the socket over by unlink(2) and bind(2); hence the pause before this, in
 * which it can do both.  When it has ended, connect(2) is refused. */
static void
take_syslog_back(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd, dead;

	syslog_look = 0;
	if (stopping || strlen(syslog_path) >= sizeof(a.sun_path) || has_syslog())
		return;
	memcpy(a.sun_path, syslog_path, strlen(syslog_path) + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	dead = connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 &&
	       (errno == ECONNREFUSED || errno == ENOENT);
	(void)close(fd);
	if (!dead)
		return;
	(void)unlink(syslog_path);
	make_syslog();
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

/* Does the jail end?  Nothing runs or waits, and it is stopping, or it runs without persist. */
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
	for (unsigned i = 0; i < n_config && !stopping; i++)
		start(&services[i]);
}

/* Received descriptors get the lowest free numbers, which must be those from INIT_FD_LISTEN on. */
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
		_exit(1); /* the creator died before INIT_GO */
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

/* Milliseconds until the next thing that is due; -1: none. */
static int
next_timeout(int children)
{
	int64_t now = now_ms(), next = syslog_look ? syslog_look : -1;

	for (unsigned i = 0; i < n_services; i++)
		if (services[i].look && (next < 0 || services[i].look < next))
			next = services[i].look;
	for (unsigned i = 0; i < n_services; i++)
		if (services[i].state == STATE_WAIT && !services[i].starter &&
		    (next < 0 || services[i].due < next))
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
	struct pollfd p[5 + SERVICES_MAX];
	unsigned n = 0;

	p[n++] = (struct pollfd){FD_SIGNAL, POLLIN, 0};
	p[n++] = (struct pollfd){going ? -1 : INIT_FD_CTL, POLLIN, 0};
	p[n++] = (struct pollfd){FD_COMMANDS_IN, POLLIN, 0};
	p[n++] = (struct pollfd){follow_fd, POLLIN, 0};
	p[n++] = (struct pollfd){syslog_fd, POLLIN, 0};
	for (unsigned i = 0; i < n_services; i++)
		p[n++] = (struct pollfd){services[i].in, POLLIN, 0};
	if (poll(p, n, next_timeout(children)) < 0)
		return;
	if (p[2].revents)
		copy_pipe(FD_COMMANDS_IN, SOURCE_COMMANDS, 1);
	for (unsigned i = 5; i < n; i++) {
		if (!p[i].revents)
			continue;
		services[i - 5].gone = services[i - 5].follow;
		copy_output(&services[i - 5], 1);
	}
	if (p[4].revents)
		read_syslog();
	if (p[3].revents) /* after the pidfds: "follow" may replace the one whose process has ended */
		read_follow();
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
			(void)kill(-1, SIGKILL); /* our own end kills the rest, pid_namespaces(7) */
			finish();
		}
		if (syslog_look && syslog_look <= now)
			take_syslog_back();
		for (unsigned i = 0; i < n_services && !stopping; i++) {
			if (services[i].look && services[i].look <= now)
				adopt(&services[i]);
			if (services[i].state == STATE_WAIT && !services[i].starter &&
			    services[i].due <= now) {
				if (services[i].follow)
					start_followed(&services[i]);
				else
					start(&services[i]);
				children = 1;
			}
		}
		wait_events(children);
	}
}

/* ---- start ---- */

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
		} else if (strcmp(argv[i], "-f") == 0 && argv[i + 1]) {
			follow_path = argv[++i];
		} else if (strcmp(argv[i], "-l") == 0 && argv[i + 1]) {
			syslog_path = argv[++i];
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
		n_config = ++n_services;
	}
	return 0;
}

/* Makes the FIFO of -f.  Open for writing here, too, so that it has no end of file.  Only root can write
 * to it; a jail without /run has none. */
static void
make_follow(void)
{
	int fd;

	if (!follow_path || mkfifo(follow_path, 0600) < 0)
		return;
	fd = open(follow_path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	if (dup3(fd, FD_FOLLOW, O_CLOEXEC) >= 0)
		follow_fd = FD_FOLLOW;
	(void)close(fd);
}

/* Opens 0 to 2, which are closed at the start: the standard input of services has to be empty.  In a jail
 * without /dev a pipe whose other end is closed does it. */
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

/* Makes FD_SIGNAL.  All numbers below it are in use afterwards, so that received sockets begin at
 * INIT_FD_LISTEN. */
static int
place_signals(const sigset_t *set)
{
	int fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);

	while (fd >= 0 && fd < FD_SIGNAL)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
	return fd == FD_SIGNAL ? 0 : -1;
}

/* Both ends stay open here: no end of file, and no SIGPIPE for a command that outlives brig. */
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

/* A text file without "#!" is run by the shell, as execvp(3) does. */
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

/* Tries each directory of PATH.  Returns EACCES rather than ENOENT, as execvp(3). */
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
	/* no process of the jail may trace it or open its executable by /proc (CVE-2019-5736) */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_NAME, "brig-init");
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	sigaddset(&all, SIGTERM);
	if (place_signals(&all) < 0 || make_commands_pipe() < 0)
		return 1;
	make_follow();
	make_syslog();
	/* from here on an end of file on INIT_FD_CTL says that the creator died */
	(void)prctl(PR_SET_PDEATHSIG, 0);
	if (write(INIT_FD_CTL, &ready, 1) != 1)
		return 1;
	loop();
}
