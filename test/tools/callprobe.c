/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the process may do that runs it, for tests of jails (static: it is put into them).
 *
 *	callprobe			every system call, with arguments that nothing can come of: name and errno;
 *					then limits, capabilities, no_new_privs
 *	callprobe socket FAMILY PROTOCOL
 *	callprobe listen NAME		an abstract UNIX socket; says "ready", stays until it is killed
 *	callprobe connect NAME		to one
 *
 * Status 0 when the call worked, otherwise 1 with its error.  Calls with a number only are those that the
 * headers it was built with lack.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS 512

static const struct {
	const char *name;
	int nr;
} names[] = {
#include "unistd_names.h"
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

/* They end, stop, double or endanger whoever makes them, take long, or leave something. */
static const char *const left_out[] = {"exit",  "exit_group", "rt_sigreturn", "fork", "vfork",
				       "clone", "msgget",     "pause",        "kill", "sync"};

static const char *
name_of(int nr)
{
	static char number[16];

	for (size_t i = 0; i < N_NAMES; i++)
		if (names[i].nr == nr)
			return names[i].name;
	(void)snprintf(number, sizeof(number), "%d", nr);
	return number;
}

static bool
is_left_out(int nr)
{
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (strcmp(name_of(nr), left_out[i]) == 0)
			return true;
	return nr == 335 || nr == 336; /* uretprobe, uprobe: only from the kernel's own trampolines */
}

static int
calls(void)
{
	int *error = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (error == MAP_FAILED)
		return 1;
	for (int nr = 0; nr < CALLS; nr++) {
		int status;
		pid_t pid;

		if (is_left_out(nr))
			continue;
		pid = fork();
		if (pid == 0) {
			(void)alarm(5);
			*error = syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L) < 0 ? errno : 0;
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 1;
		if (WIFSIGNALED(status))
			printf("%s signal %d\n", name_of(nr), WTERMSIG(status));
		else
			printf("%s %d\n", name_of(nr), *error);
	}
	return 0;
}

static int
rights(void)
{
	static const char *const fields[] = {"Cap", "NoNewPrivs:", "Seccomp:"};
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];

	for (int i = 0; i < RLIMIT_NLIMITS; i++) {
		struct rlimit l;

		if (getrlimit(i, &l) < 0)
			return 1;
		printf("limit %d %lld %lld\n", i, (long long)l.rlim_cur, (long long)l.rlim_max);
	}
	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			if (strncmp(line, fields[i], strlen(fields[i])) == 0)
				printf("%s", line);
	return f ? 0 : 1;
}

static int
told(int r)
{
	if (r < 0)
		printf("%s\n", strerror(errno));
	return r < 0;
}

int
main(int argc, char **argv)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (argc == 1)
		return calls() || rights() || fflush(stdout) != 0;
	if (argc == 4 && strcmp(argv[1], "socket") == 0)
		return told(socket(atoi(argv[2]), SOCK_RAW, atoi(argv[3])));
	if (argc == 2 && strcmp(argv[1], "landlock") == 0) {
		long abi = syscall(444 /* landlock_create_ruleset */, NULL, 0, 1);

		return printf("%ld\n", abi < 0 ? 0 : abi) < 0;
	}
	if (argc != 3)
		return 2;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	(void)snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s", argv[2]);
	if (strcmp(argv[1], "connect") == 0)
		return told(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	if (strcmp(argv[1], "listen") != 0)
		return 2;
	if (told(bind(fd, (struct sockaddr *)&a, sizeof(a))) || told(listen(fd, 8)))
		return 1;
	printf("ready\n");
	(void)fflush(stdout);
	(void)pause();
	return 1;
}
