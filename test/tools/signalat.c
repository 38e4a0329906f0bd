/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signalat [-gp] [-t SECONDS] -x FILE SIGNAL MICROSECONDS COMMAND [ARG...]: runs the command in a session of its own,
 * and sends it a signal (its number) so long after it was executed.
 *
 *	-g		to its process group
 *	-p		it runs on a terminal, which is closed then: SIGNAL does not matter, the kernel sends SIGHUP
 *	-t SECONDS	so long it may take to end after that (60); then it is killed
 *	-x FILE		gets a line: "hit" or "late" (the command had ended before), its exit status (128 + N for signal N)
 *			or "never" (it did not end), and the microseconds that it ran
 *
 * Exit status: 0 the command ended, 1 it had to be killed, 2 this program failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

static _Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "signalat: %s: %s\n", what, strerror(errno));
	_exit(2);
}

static int
terminal(char *name, size_t size)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, name, size) != 0)
		die("terminal");
	return master;
}

static _Noreturn void
child(const char *tty, int ready, char **argv)
{
	(void)setsid();
	for (int sig = 1; sig < NSIG; sig++) /* what runs in the background of a shell ignores some */
		(void)signal(sig, SIG_DFL);
	if (tty) {
		int fd = open(tty, O_RDWR); /* and so it is the controlling one of the session */

		if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			die(tty);
		if (fd > 2)
			(void)close(fd);
	}
	(void)execvp(argv[0], argv);
	(void)write(ready, "x", 1);
	die(argv[0]);
}

/* Waits for the end of the process until a time of clock_us(); what a terminal says is passed on meanwhile. */
static bool
ended(int pidfd, int master, int64_t until)
{
	char buf[4096];

	for (;;) {
		struct pollfd p[] = {{pidfd, POLLIN, 0}, {master, POLLIN, 0}};
		int64_t left = until - clock_us();
		struct timespec t = {left > 0 ? left / 1000000 : 0, left > 0 ? left % 1000000 * 1000 : 0};
		int n = ppoll(p, 2, &t, NULL);

		if (n < 0 && errno != EINTR)
			die("ppoll");
		if (p[0].revents)
			return true;
		if (n == 0)
			return false;
		if (p[1].revents) {
			ssize_t got = read(master, buf, sizeof(buf));

			if (got <= 0)
				master = -1; /* nobody has it open any more */
			else
				(void)write(STDOUT_FILENO, buf, (size_t)got);
		}
	}
}

int
main(int argc, char **argv)
{
	bool group = false, tty = false, hit, end;
	int o, sig, usec, seconds = 60, ready[2], status, pidfd, master = -1;
	const char *report = NULL;
	char name[64] = "", byte;
	int64_t start;
	pid_t pid;
	FILE *f;

	while ((o = getopt(argc, argv, "+gpt:x:")) != -1) {
		if (o == 'g')
			group = true;
		else if (o == 'p')
			tty = true;
		else if (o == 'x')
			report = optarg;
		else if (o != 't' || num_int(optarg, 1, 3600, &seconds) < 0)
			return 2;
	}
	argv += optind;
	if (argc - optind < 3 || !report || num_int(argv[0], 1, 64, &sig) < 0 ||
	    num_int(argv[1], 0, 600000000, &usec) < 0) {
		(void)fputs("usage: signalat [-gp] [-t SECONDS] -x FILE SIGNAL MICROSECONDS COMMAND...\n",
			    stderr);
		return 2;
	}
	if (tty)
		master = terminal(name, sizeof(name));
	if (pipe2(ready, O_CLOEXEC) < 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		child(tty ? name : NULL, ready[1], argv + 2);
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 0)
		return 2; /* it was not executed */
	start = clock_us();
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		die("pidfd_open");
	hit = !ended(pidfd, master, start + usec);
	if (hit && tty) {
		(void)close(master);
		master = -1;
	} else if (hit && kill(group ? -pid : pid, sig) < 0) {
		die("kill");
	}
	end = ended(pidfd, master, clock_us() + seconds * (int64_t)1000000);
	if (!end)
		(void)kill(-pid, SIGKILL);
	if (waitpid(pid, &status, 0) < 0)
		die("waitpid");
	f = fopen(report, "w");
	if (!f)
		die(report);
	(void)fprintf(f, "%s ", hit ? "hit" : "late");
	if (end)
		(void)fprintf(f, "%d", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	else
		(void)fputs("never", f);
	(void)fprintf(f, " %jd\n", (intmax_t)(clock_us() - start));
	return fclose(f) != 0 ? 2 : !end;
}
