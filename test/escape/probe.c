/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *	probe all [-c] [-o FILE]	every probe, a line each: NAME ALLOWED|DENIED|N/A DETAIL
 *	probe one NAME [-c]		only this one
 *	probe list			names, sections and, for those that brig lets through, why
 *	probe euid | caps		0 if it is the host's or jail's root, or has capabilities (see suid_works)
 *	probe ...			see bait.c
 *
 *	-c	control: nothing defends here
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/num.h"

#include "probe.h"

#define BAIT "/root/bait"
#define SECONDS 10

bool control;
int fds_at_start[64];
size_t n_fds_at_start;

static const struct probes *const all[] = {&probes_fs,   &probes_proc,  &probes_ns,
					   &probes_sock, &probes_calls, &probes_misc};
static int report = -1; /* the pipe to the parent */
static char baits[4096];

static _Noreturn void
finish(const char *word, const char *fmt, va_list ap)
{
	char text[400], line[512];
	int n;

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	for (char *p = text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	n = snprintf(line, sizeof(line), "%s %s", word, text);
	if (write(report, line, (size_t)n) != n)
		_exit(1);
	_exit(0);
}

void
allowed(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finish("ALLOWED", fmt, ap);
}

void
denied(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finish("DENIED", fmt, ap);
}

void
na(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finish("N/A", fmt, ap);
}

static bool
is_missing(int num)
{
	static const int missing[] = {ENOSYS, ENOENT,     EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT,
				      ENODEV, EOPNOTSUPP, ENXIO,        ENOTTY,          EPROTOTYPE};

	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		if (num == missing[i])
			return true;
	return false;
}

void
tell(bool worked, const char *what)
{
	if (worked)
		allowed("%s", what);
	if (control && is_missing(errno))
		na("%s: %s", what, strerror(errno));
	denied("%s: %s", what, strerror(errno));
}

void
reached(long r, const char *what)
{
	int num = errno;

	if (r >= 0)
		allowed("%s", what);
	if (control && num == ENOSYS)
		na("%s: %s", what, strerror(num));
	if (num == EPERM || num == ENOSYS || num == EACCES)
		denied("%s: %s", what, strerror(num));
	allowed("%s: the kernel's own code says %s", what, strerror(num));
}

const char *
bait(const char *key)
{
	static char value[512];
	size_t len = strlen(key);

	for (const char *p = baits; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : "") {
		if (strncmp(p, key, len) != 0 || p[len] != '=')
			continue;
		(void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(p + len + 1, "\n"), p + len + 1);
		return value;
	}
	na("%s has no %s", BAIT, key);
}

long
bait_num(const char *key)
{
	int n = 0;

	if (num_int(bait(key), 0, INT_MAX, &n) < 0)
		na("%s: %s is no number", BAIT, key);
	return n;
}

bool
has_secret(const char *buf, size_t n)
{
	const char *secret = bait("secret");

	return memmem(buf, n, secret, strlen(secret)) != NULL;
}

/* The start of it is enough: what is long is not a bait. */
bool
secret_in_fd(int fd)
{
	static char buf[65536];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0 && has_secret(buf, (size_t)n))
		return true;
	if (n >= 0)
		errno = ENODATA;
	return false;
}

bool
secret_at(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	bool r = fd >= 0 && secret_in_fd(fd);
	int num = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = num;
	return r;
}

bool
secret_in_file(const char *path)
{
	return secret_at(AT_FDCWD, path);
}

void
apart(void)
{
	if (unshare(CLONE_NEWNS) == 0)
		(void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

const char *
work(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)mkdir("/tmp/escape", 0755);
	(void)chmod("/tmp/escape", 0755);
	(void)snprintf(path, sizeof(paths[0]), "/tmp/escape/%s", name);
	return path;
}

void
copy_self(const char *path)
{
	static char buf[65536];
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t n = -1;

	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			break;
	if (n != 0 || close(in) < 0 || close(out) < 0)
		na("copy the probe to %s: %s", path, strerror(errno));
}

int
run_self(const char *path, const char *word, uid_t uid)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(uid) == 0 && setuid(uid) == 0)
			(void)execl(path, "probe", word, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		na("fork: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The answer of the process, or why there is none. */
static void
answer_of(pid_t pid, int fd, char *buf, size_t size)
{
	struct pollfd p = {fd, POLLIN, 0};
	ssize_t n = poll(&p, 1, SECONDS * 1000) == 1 ? read(fd, buf, size - 1) : -2;
	int status = 0;

	if (n == -2)
		(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	if (n > 0)
		buf[n] = '\0';
	else if (n == -2)
		(void)snprintf(buf, size, "N/A no answer in %d seconds", SECONDS);
	else if (WIFSIGNALED(status))
		(void)snprintf(buf, size, "%s %s", WTERMSIG(status) == SIGSYS ? "DENIED" : "N/A",
			       strsignal(WTERMSIG(status)));
	else
		(void)snprintf(buf, size, "N/A the probe ended with %d", WEXITSTATUS(status));
}

static void
run_probe(const struct probe *p, FILE *out)
{
	char buf[512];
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		exit(1);
	pid = fork();
	if (pid == 0) {
		report = fds[1];
		p->run(p);
		na("it says nothing");
	}
	if (pid < 0)
		return; /* no line: the runner notices */
	(void)close(fds[1]);
	answer_of(pid, fds[0], buf, sizeof(buf));
	(void)close(fds[0]);
	if (control && !p->optional && strncmp(buf, "N/A", 3) == 0)
		(void)fprintf(out, "%s DENIED the control has no answer: %s\n", p->name, buf + 4);
	else
		(void)fprintf(out, "%s %s\n", p->name, buf);
	(void)fflush(out);
}

static void
list(void)
{
	for (size_t g = 0; g < sizeof(all) / sizeof(all[0]); g++)
		for (size_t i = 0; i < all[g]->n; i++) {
			const struct probe *p = &all[g]->v[i];

			(void)printf("%s %s %s%s\n", p->name, p->section, p->excused ? "excused " : "-",
				     p->excused ? p->excused : "");
		}
}

void
read_baits(void)
{
	int fd = open(BAIT, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, baits, sizeof(baits) - 1);

	if (n <= 0)
		exit(1);
	(void)close(fd);
}

static void
note_descriptors(void)
{
	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0 &&
		    n_fds_at_start < sizeof(fds_at_start) / sizeof(fds_at_start[0]))
			fds_at_start[n_fds_at_start++] = fd;
}

static int
probe_main(int argc, char **argv)
{
	const char *name = NULL;
	FILE *out = stdout;

	note_descriptors();
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "-c") == 0)
			control = true;
		else if (strcmp(argv[i], "-o") == 0 && argv[i + 1])
			out = fopen(argv[++i], "we");
		else
			name = argv[i];
	}
	if (!out)
		return 1;
	read_baits();
	(void)signal(SIGTTOU, SIG_IGN);
	for (size_t g = 0; g < sizeof(all) / sizeof(all[0]); g++)
		for (size_t i = 0; i < all[g]->n; i++)
			if (!name || strcmp(name, all[g]->v[i].name) == 0)
				run_probe(&all[g]->v[i], out);
	(void)fprintf(out, "end OVER\n");
	return fclose(out) == 0 ? 0 : 1;
}

static bool
has_caps(void)
{
	char buf[4096];
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long caps = 0;

	while (f && fgets(buf, sizeof(buf), f))
		if (sscanf(buf, "CapEff: %llx", &caps) == 1)
			break;
	return caps != 0;
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	if (strcmp(argv[1], "all") == 0 || strcmp(argv[1], "one") == 0)
		return probe_main(argc, argv);
	if (strcmp(argv[1], "euid") == 0)
		return geteuid() == 0 ? 0 : 1;
	if (strcmp(argv[1], "caps") == 0)
		return has_caps() ? 0 : 1;
	if (strcmp(argv[1], "list") == 0) {
		list();
		return 0;
	}
	return bait_main(argc, argv);
}
