/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that do not want to end, for test/e2e/attacks.bats; copied into a jail, so linked statically.
 *
 *	bomb fork	every process forks again and again, each child in a session of its own
 *	bomb chain N	N of them, and each lives for some milliseconds and leaves a child
 *	bomb title T	waits, under the title T
 * All of them ignore the signals that can be ignored.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"

static int
chain(int n)
{
	while (n > 1 && fork() != 0)
		n--;
	for (;;) {
		(void)usleep(50000);
		if (fork() > 0)
			_exit(0);
		(void)setsid();
	}
}

int
main(int argc, char **argv)
{
	int n;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "chain") == 0 && num_int(argv[2], 1, 1000, &n) == 0)
		return chain(n);
	if (argc == 3 && strcmp(argv[1], "title") == 0) {
		char *again[] = {argv[2], NULL};

		return execv("/proc/self/exe", again) < 0;
	}
	while (argc == 1)
		(void)pause();
	if (argc != 2 || strcmp(argv[1], "fork") != 0) {
		fputs("usage: bomb fork | chain N | title T\n", stderr);
		return 2;
	}
	for (;;) {
		if (fork() == 0)
			(void)setsid();
		(void)usleep(1000);
	}
}
