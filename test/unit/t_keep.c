/* SPDX-License-Identifier: BSD-2-Clause */
/* os/linux/instance/keep.c: when a jail may take another's place, field by field; build.h, die_with_parent(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "os/linux/instance/build.h"
#include "os/linux/instance/ref.h"
#include "os/linux/instance/userns.h"

static struct spec_addr addrs[2];
static struct spec_rdr rdrs[2];
static struct jailspec made, spec;

static void
both(void)
{
	static struct spec_addr a[2];
	static struct spec_rdr r[2];

	memset(addrs, 0, sizeof(addrs));
	memset(rdrs, 0, sizeof(rdrs));
	for (int i = 0; i < 2; i++) {
		addrs[i].family = i ? AF_INET6 : AF_INET;
		addrs[i].prefix = 24;
		(void)inet_pton(addrs[i].family, i ? "fd00::1" : "10.0.0.1", &addrs[i].addr);
		rdrs[i].proto = i ? IPPROTO_UDP : IPPROTO_TCP;
		rdrs[i].host_port = 80;
		rdrs[i].jail_port = 8080;
	}
	memcpy(a, addrs, sizeof(a));
	memcpy(r, rdrs, sizeof(r));
	made = (struct jailspec){.name = (char[]){"www"},
				 .hostname = (char[]){"www"},
				 .ip4 = SHARE_NEW,
				 .ip6 = SHARE_NEW,
				 .addrs = addrs,
				 .n_addrs = 2,
				 .rdr = rdrs,
				 .n_rdr = 2};
	spec = made;
	spec.addrs = a;
	spec.rdr = r;
}

/* Of both, in both directions. */
static void
differ(bool keep, int line)
{
	struct jailspec a = spec, b = made;

	if (os_jail_can_keep(&a, &b) != keep || os_jail_can_keep(&b, &a) != keep)
		fail_msg("line %d: should be %d", line, keep);
}

#define CASE(keep, set)                 \
	do {                            \
		both();                 \
		differ(true, __LINE__); \
		set;                    \
		differ(keep, __LINE__); \
	} while (0)

static void
field_by_field(void **state)
{
	(void)state;
	CASE(true, spec.persist = true);
	CASE(true, spec.allow.raw_sockets = true);
	CASE(true, spec.space = SPACE_TMPFS);
	CASE(false, spec.space = SPACE_IMAGE);
	CASE(false, spec.space = made.space = SPACE_IMAGE);
	CASE(false, spec.space = made.space = SPACE_DEVICE);
	CASE(false, spec.vnet = true);
	CASE(false, spec.vnet = made.vnet = true);
	CASE(false, spec.allow.routing = true);
	CASE(false, spec.allow.routing = made.allow.routing = true);
	CASE(false, spec.name = (char[]){"web"});
	CASE(false, spec.jid = 7);
	CASE(false, spec.limit.memory = 1);
	CASE(false, spec.limit.pids = 1);
	CASE(false, spec.limit.cpu = 1);
	CASE(false, spec.limit.io_bps = 1);
	CASE(false, spec.ip4 = SHARE_INHERIT);
	CASE(false, spec.ip6 = SHARE_INHERIT);
	CASE(false, spec.ip4 = SHARE_DISABLE);
	CASE(false, spec.ip6 = SHARE_DISABLE);
	CASE(false, spec.n_addrs = 1);
	CASE(false, spec.addrs[0].prefix = 16);
	CASE(false, spec.addrs[0].family = AF_INET6);
	CASE(false, (void)inet_pton(AF_INET, "10.0.0.2", &spec.addrs[0].addr));
	CASE(false, (void)inet_pton(AF_INET6, "fd00::2", &spec.addrs[1].addr));
	CASE(false, spec.addrs[0].interface = (char[]){"eth7"});
	CASE(false, spec.interface = (char[]){"eth7"});
	CASE(false, spec.addrs[0] = addrs[1]; spec.addrs[1] = addrs[0]);
	CASE(false, spec.hostname = (char[]){"other"});
	CASE(false, spec.hostname = NULL);
	CASE(true, spec.hostname = (char[]){"other"}; spec.n_addrs = made.n_addrs = 0);
	CASE(false, spec.n_rdr = 1);
	CASE(false, spec.rdr[0].proto = IPPROTO_UDP);
	CASE(false, spec.rdr[1].host_port = 81);
	CASE(false, spec.rdr[1].jail_port = 81);
	CASE(false, spec.nat = true);
}

static void
put(int dir, const char *name, const char *text)
{
	_auto_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(fsx_write_all(fd, text, strlen(text)), 0);
}

static void
ids(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = {
	    {"         0 1879048192      65536\n", true},
	    {"0 1879048192 65536", true},
	    {"         0 1879113728      65536\n", false},
	    {"         0 1879048192      65537\n", false},
	    {"         0 1879048192      65535\n", false},
	    {"         1 1879048192      65536\n", false},
	    {"         0 1879048192      65536\n     65536 0 1\n", false},
	    {"         0 1879048192\n", false},
	    {"", false},
	};
	char dir[] = "/tmp/t_keep.XXXXXX";
	_auto_close int fd = -EBADF;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(JAIL_IDS, 65536);
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int which = 0; which < 2; which++) {
			put(fd, "uid_map", which ? rows[0].text : rows[i].text);
			put(fd, "gid_map", which ? rows[i].text : rows[0].text);
			if ((keep_check_ids(fd, 0x70000000, &e) == 0) != rows[i].ok)
				fail_msg("%s map '%s'", which ? "gid" : "uid", rows[i].text);
		}
	assert_int_equal(unlinkat(fd, "gid_map", 0), 0);
	assert_int_equal(keep_check_ids(fd, 0x70000000, &e), -ENOENT);
	assert_int_equal(unlinkat(fd, "uid_map", 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* What is in the host's user namespace is no jail. */
static void
of_the_host(void **state)
{
	struct keep k = KEEP_INIT;
	struct jailspec s = {.name = (char[]){"www"}, .ip4 = SHARE_INHERIT, .ip6 = SHARE_INHERIT};
	struct err e = ERR_INIT;
	struct os_ref ref;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		for (;;)
			(void)pause();
	assert_int_equal(ref_make(pid, &ref, &e), 0);
	for (int how = 0; how < 2; how++) {
		assert_int_equal(keep_open(&ref, &s, &k, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "host's user namespace"));
		assert_true(k.userns < 0 && k.netns < 0);
		s.ip4 = s.ip6 = SHARE_NEW;
	}
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(keep_open(&ref, &s, &k, &e), -ESRCH);
}

/* A parent that ends later takes its child along; one that had ended before is noticed. */
static void
with_the_parent(void **state)
{
	(void)state;
	for (int gone = 0; gone < 2; gone++) {
		int p[2], status, sig = 0;
		pid_t pid;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
		pid = fork();
		if (pid == 0) {
			(void)close(p[0]);
			if (gone) /* until nobody has the other end */
				(void)!read(p[1], &sig, 1);
			die_with_parent(p[1]);
			_exit(prctl(PR_GET_PDEATHSIG, &sig) == 0 && sig == SIGKILL ? 0 : 2);
		}
		if (gone)
			(void)close(p[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), gone ? 1 : 0);
		if (!gone)
			(void)close(p[0]);
		(void)close(p[1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(field_by_field),
	    cmocka_unit_test(ids),
	    cmocka_unit_test(of_the_host),
	    cmocka_unit_test(with_the_parent),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_keep: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
