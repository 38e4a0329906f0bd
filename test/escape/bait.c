/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other side: what a careless host has lying about, for the probes to find.
 *
 *	probe victims DIR SECRET	makes them and stays: a process with the secret in its memory and title, a
 *					terminal, a service on the loopback, an abstract socket, shared memory, a
 *					message queue; writes DIR/bait when all are there
 *	probe careless DIR COMMAND...	runs the command as a careless caller does: on a terminal of its own, with
 *					descriptors to DIR/outside, from that directory, with a key in the session,
 *					ambient capabilities
 *	probe enter ROOT COMMAND...	chroot without chdir
 *	probe hunt SECONDS FILE		in a jail: lies in wait for what joins it; writes "joiner ALLOWED|DENIED ..."
 *	probe core FILE			the program of core_pattern: makes FILE
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

#include "probe.h"

static _Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "escape: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
listen_port(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		die("listen on the loopback");
	*port = ntohs(a.sin_port);
	return fd;
}

static void
listen_abstract(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s", name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0 ||
	    listen(fd, 64) < 0)
		die("an abstract socket");
}

/* Another user's terminal, known by its size. */
static void
other_terminal(void)
{
	struct winsize size = {61, 173, 0, 0};
	int fd = posix_openpt(O_RDWR | O_NOCTTY);

	if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 || ioctl(fd, TIOCSWINSZ, &size) < 0)
		die("a terminal");
	/* gone without its other end */
	if (open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC) < 0)
		die("a terminal");
}

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) < 0)
		die(path);
}

static void
put_handle(FILE *f, const char *path)
{
	struct {
		struct file_handle h;
		unsigned char bytes[MAX_HANDLE_SZ];
	} x = {.h.handle_bytes = MAX_HANDLE_SZ};
	int id;

	if (name_to_handle_at(AT_FDCWD, path, &x.h, &id, 0) < 0)
		x.h.handle_bytes = 0;
	(void)fprintf(f, "handle=%d:", x.h.handle_type);
	for (unsigned i = 0; i < x.h.handle_bytes; i++)
		(void)fprintf(f, "%02x", x.bytes[i]);
	(void)fprintf(f, "\n");
}

static void
put_namespaces(FILE *f)
{
	static const char *const names[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64], to[64] = "";

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		if (readlink(path, to, sizeof(to) - 1) > 0)
			(void)fprintf(f, "ns_%s=%s\n", names[i], to);
	}
}

/* The first disk that there is, for mknod. */
static void
put_disk(FILE *f)
{
	DIR *d = opendir("/sys/block");
	struct dirent *e;
	unsigned major = 0, minor = 0;
	bool found = false;

	while (!found && d && (e = readdir(d))) {
		char path[512];
		FILE *dev;

		/* some machines forbid it to their root, too */
		(void)snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		if (open(path, O_RDONLY | O_CLOEXEC) < 0)
			continue;
		if (e->d_name[0] == '.' || strncmp(e->d_name, "loop", 4) == 0 ||
		    strncmp(e->d_name, "zram", 4) == 0)
			continue;
		(void)snprintf(path, sizeof(path), "/sys/block/%s/dev", e->d_name);
		dev = fopen(path, "re");
		found = dev && fscanf(dev, "%u:%u", &major, &minor) == 2;
	}
	if (found)
		(void)fprintf(f, "disk=b %u %u\n", major, minor);
	else
		(void)fprintf(f, "disk=none\n");
}

static int
make_victims(const char *dir, const char *secret)
{
	char path[512], temp[512], text[128];
	uint16_t port;
	int shm = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	char *at = shmat(shm, NULL, 0);
	FILE *f;

	if (at == (void *)-1)
		die("shared memory");
	(void)snprintf(at, 4096, "%s", secret);
	(void)shmctl(shm, IPC_RMID, NULL); /* ends with us; can be attached meanwhile */
	(void)listen_port(&port);
	listen_abstract(secret);
	other_terminal();
	(void)snprintf(text, sizeof(text), "/escape-%s", secret);
	if (mq_open(text, O_CREAT | O_RDWR | O_CLOEXEC, 0600, NULL) < 0 && errno != ENOSYS)
		die("a message queue");
	(void)snprintf(temp, sizeof(temp), "/dev/shm%s", text);
	write_file(temp, secret);
	(void)snprintf(path, sizeof(path), "%s/outside/secret", dir);
	(void)snprintf(temp, sizeof(temp), "%s/bait.new", dir);
	f = fopen(temp, "we");
	if (!f)
		die(temp);
	(void)fprintf(f, "secret=%s\npath=%s\nport=%u\nshmid=%d\nqueue=%s\nabstract=%s\ndevshm=/dev/shm%s\n",
		      secret, path, port, shm, text, secret, text);
	put_handle(f, path);
	put_namespaces(f);
	put_disk(f);
	(void)snprintf(path, sizeof(path), "%s/bait", dir);
	if (fclose(f) != 0 || chdir(dir) < 0 || chdir("outside") < 0 ||
	    open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 || rename(temp, path) < 0)
		die("bait");
	for (;;)
		(void)pause();
}

static void
key_in_session(void)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ||
	    syscall(SYS_add_key, "user", "escape", "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0)
		die("a key");
}

static void
ambient(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		die("capget");
	d[0].inheritable |= d[0].permitted & (1u << CAP_NET_ADMIN | 1u << CAP_CHOWN);
	if (syscall(SYS_capset, &h, d) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0) < 0)
		die("ambient capabilities");
}

static _Noreturn void
careless_child(const char *dir, const char *tty, char **argv)
{
	int out, secret;

	if (setsid() < 0 || (out = open(tty, O_RDWR)) < 0 || ioctl(out, TIOCSCTTY, 0) < 0)
		die("the terminal");
	if (dup2(out, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		die("dup2");
	(void)close(out);
	if (chdir(dir) < 0 || chdir("outside") < 0)
		die("chdir");
	/* where a shell would have them, and further up; found high, so that dup2 does not meet them */
	out = fcntl(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), F_DUPFD_CLOEXEC, 300);
	secret = fcntl(open("secret", O_RDWR | O_CLOEXEC), F_DUPFD_CLOEXEC, 300);
	if (out < 0 || secret < 0 || dup2(out, 7) < 0 || dup2(secret, 8) < 0 || dup2(out, 200) < 0)
		die("descriptors");
	key_in_session();
	ambient();
	(void)execvp(argv[0], argv);
	die(argv[0]);
}

/* What the command says on its terminal is copied to standard output. */
static int
careless(const char *dir, char **argv)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), keep, status = 0;
	struct winsize size = {24, 80, 0, 0};
	pid_t pid;

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		die("a terminal");
	(void)ioctl(master, TIOCSWINSZ, &size);
	keep = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	pid = fork();
	if (pid == 0)
		careless_child(dir, ptsname(master), argv);
	for (bool over = false;;) {
		struct pollfd p = {master, POLLIN, 0};
		char buf[4096];
		ssize_t n = poll(&p, 1, over ? 0 : 50) == 1 ? read(master, buf, sizeof(buf)) : 0;

		if (n > 0)
			(void)!write(1, buf, (size_t)n);
		else if (over)
			break;
		over = over || waitpid(pid, &status, WNOHANG) == pid;
	}
	(void)close(keep);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int
enter(const char *root, char **argv)
{
	if (chroot(root) < 0)
		die(root);
	(void)execv(argv[0], argv);
	die(argv[0]);
}

/* Whether what has joined can be taken over; `why` says how. */
static bool
take_over(int pid, char *why, size_t size)
{
	char path[128], to[256];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	if (secret_in_file(path)) {
		(void)snprintf(why, size, "its environment was the host's");
		return true;
	}
	for (int i = 0; i < 12; i++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d/secret", pid, i == 11 ? 200 : i);
		if (secret_in_file(path)) {
			(void)snprintf(why, size, "its descriptor %d led out", i);
			return true;
		}
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/cwd/secret", pid);
	if (secret_in_file(path)) {
		(void)snprintf(why, size, "its working directory was outside");
		return true;
	}
	/* its program, where it is not one of the jail's */
	(void)snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, to, sizeof(to) - 1);
	if (n <= 0)
		return false;
	to[n] = '\0';
	if (strncmp(to, "/bin/", 5) == 0 || strncmp(to, "/root/", 6) == 0 || strncmp(to, "/s/", 3) == 0)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (open(path, O_WRONLY | O_CLOEXEC) >= 0 || errno == ETXTBSY) {
		(void)snprintf(why, size, "its program %.60s could be written", to);
		return true;
	}
	(void)close(fd);
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		(void)snprintf(why, size, "its memory could be written, of %.60s", to);
		return true;
	}
	return false;
}

/* Every process that was not there is looked at as soon as it is there, again and again. */
static int
hunt(int seconds, const char *file)
{
	char why[256] = "", line[512];
	static bool was_there[1 << 22]; /* pids */
	time_t end = time(NULL) + seconds;
	unsigned long seen = 0;
	bool first = true;
	int last = 0;
	bool r = false;

	read_baits();
	while (!r && time(NULL) < end) {
		DIR *d = opendir("/proc");
		struct dirent *e;

		while (!r && d && (e = readdir(d))) {
			int pid;

			if (num_int(e->d_name, 2, (int)sizeof(was_there) - 1, &pid) < 0)
				continue;
			if (first)
				was_there[pid] = true;
			if (was_there[pid])
				continue;
			seen += pid != last;
			last = pid;
			r = take_over(pid, why, sizeof(why));
		}
		if (d)
			(void)closedir(d);
		first = false;
	}
	(void)snprintf(line, sizeof(line), "joiner %s %s, %lu looked at\n",
		       r      ? "ALLOWED"
		       : seen ? "DENIED"
			      : "N/A",
		       r ? why : "nothing of what joined could be had", seen);
	write_file(file, line);
	return 0;
}

int
bait_main(int argc, char **argv)
{
	int n;

	if (argc == 4 && strcmp(argv[1], "victims") == 0)
		return make_victims(argv[2], argv[3]);
	if (argc >= 4 && strcmp(argv[1], "careless") == 0)
		return careless(argv[2], argv + 3);
	if (argc >= 4 && strcmp(argv[1], "enter") == 0)
		return enter(argv[2], argv + 3);
	if (argc == 4 && strcmp(argv[1], "hunt") == 0)
		return num_int(argv[2], 1, 600, &n) == 0 ? hunt(n, argv[3]) : 2;
	if (argc == 4 && strcmp(argv[1], "as-nobody") == 0)
		return run_self(argv[2], argv[3], 65534);
	if (argc >= 2 && strcmp(argv[1], "idle") == 0)
		for (;;)
			(void)pause();
	if (argc >= 3 && strcmp(argv[1], "core") == 0) {
		write_file(argv[2], "ran\n");
		return 0;
	}
	return 2;
}
