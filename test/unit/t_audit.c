/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The judgement of jails: every item can be weak, alone; and looking: a process that is locked in by nothing
 * is found weak in everything that looking can tell.  The second part needs root.
 */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/child.h"
#include "base/mem.h"
#include "os/linux/audit/audit.h"
#include "os/linux/instance/ref.h"

/* Test double: no jail is made here. */
char *where_libexec(const char *program);
char *
where_libexec(const char *program)
{
	return xstrdup(program);
}

/* ---- the judgement ---- */

/* A jail without a weak item. */
static void
strong(struct audit_facts *f)
{
	static const char *const limits[AUDIT_LIMIT_N] = {"64", "10", "10", "10"};

	*f = (struct audit_facts){.processes = 3,
				  .threads = 3,
				  .lowest_id = 1879048192,
				  .root_ro = true,
				  .own_proc = true,
				  .all_fds = true,
				  .devices = true,
				  .label = xstrdup("brig (enforce)")};
	for (int k = 0; k < AUDIT_NS_N; k++) {
		f->ns[k].own = true;
		f->ns[k].by_jail = k != AUDIT_USER;
	}
	for (int i = 0; i < AUDIT_LIMIT_N; i++)
		f->limit[i] = xstrdup(limits[i]);
}

static void
judge_strong(void **state)
{
	_auto_free struct os_finding *list = NULL;
	struct audit_facts f;

	(void)state;
	strong(&f);
	list = audit_judge(&f);
	for (size_t i = 0; i < audit_items_n; i++)
		if (list[i].state != 1 || !list[i].what[0])
			fail_msg("%s: %s", list[i].name, list[i].what);
	assert_int_equal(os_audit_score(list, audit_items_n), 0);
	audit_facts_free(&f);
}

struct weakening {
	const char *item; /* what becomes weak */
	void (*weaken)(struct audit_facts *f, long arg);
	long arg;
	const char *also; /* what is weak with it, of necessity */
};

static void
w_ns(struct audit_facts *f, long k)
{
	f->ns[k].own = f->ns[k].by_jail = false;
}

static void
w_owner(struct audit_facts *f, long k)
{
	f->ns[k].by_jail = false;
}

static void
w_caps(struct audit_facts *f, long cap)
{
	f->caps = UINT64_C(1) << cap;
}

static void
w_count(struct audit_facts *f, long offset)
{
	*(unsigned *)(void *)((char *)f + offset) = 1;
}

static void
w_list(struct audit_facts *f, long offset)
{
	strv_add((struct strv *)(void *)((char *)f + offset), "/place");
}

static void
w_flag(struct audit_facts *f, long offset)
{
	*(bool *)((char *)f + offset) = false;
}

static void
w_limit(struct audit_facts *f, long i)
{
	free(f->limit[i]);
	f->limit[i] = NULL;
}

static void
w_label(struct audit_facts *f, long arg)
{
	(void)arg;
	free(f->label);
	f->label = NULL;
}

static void
w_ids(struct audit_facts *f, long id)
{
	f->lowest_id = (uint64_t)id;
}

static void
w_nested(struct audit_facts *f, long n)
{
	f->nested_max = n;
}

static void
w_inh(struct audit_facts *f, long cap)
{
	f->caps_inh = UINT64_C(1) << cap;
}

#define AT(member) ((long)offsetof(struct audit_facts, member))

static const struct weakening weakenings[] = {
    {"mount namespace", w_ns, AUDIT_MNT, "mounts locked"},
    {"pid namespace", w_ns, AUDIT_PID, NULL},
    {"network namespace", w_ns, AUDIT_NET, NULL},
    {"IPC namespace", w_ns, AUDIT_IPC, NULL},
    {"UTS namespace", w_ns, AUDIT_UTS, NULL},
    {"cgroup namespace", w_ns, AUDIT_CGROUP, NULL},
    {"user namespace", w_ns, AUDIT_USER, "namespace owner"},
    {"namespace owner", w_owner, AUDIT_NET, NULL},
    {"namespace owner", w_owner, AUDIT_PID, NULL},
    {"mounts locked", w_owner, AUDIT_MNT, "namespace owner"},
    {"processes", w_count, AT(elsewhere), NULL},
    {"user ids", w_ids, 0, NULL},
    {"user ids", w_ids, 65535, NULL},
    {"nested user namespaces", w_nested, 1, NULL},
    {"nested user namespaces", w_nested, -1, NULL},
    {"CAP_SYS_ADMIN", w_caps, CAP_SYS_ADMIN, NULL},
    {"CAP_SYS_PTRACE", w_caps, CAP_SYS_PTRACE, NULL},
    {"CAP_NET_ADMIN", w_caps, CAP_NET_ADMIN, NULL},
    {"CAP_NET_RAW", w_caps, CAP_NET_RAW, NULL},
    {"CAP_NET_BIND_SERVICE", w_caps, CAP_NET_BIND_SERVICE, NULL},
    {"capabilities on files", w_caps, CAP_DAC_READ_SEARCH, NULL},
    {"capabilities on files", w_caps, CAP_MKNOD, NULL},
    {"other capabilities", w_caps, CAP_SYS_MODULE, NULL},
    {"other capabilities", w_caps, CAP_BPF, NULL},
    {"other capabilities", w_caps, 63, NULL},
    {"inheritable capabilities", w_inh, CAP_CHOWN, NULL},
    {"no_new_privs", w_count, AT(new_privs), NULL},
    {"system call filter", w_count, AT(unfiltered), NULL},
    {"root", w_flag, AT(root_ro), NULL},
    {"set-user-id mounts", w_list, AT(suid), NULL},
    {"mounts with devices", w_list, AT(dev), NULL},
    {"mounts that propagate", w_list, AT(shared), NULL},
    {"writable mounts of the host", w_list, AT(writable), NULL},
    {"kernel file systems", w_list, AT(kernel_fs), NULL},
    {"device nodes", w_list, AT(nodes), NULL},
    {"/proc", w_flag, AT(own_proc), NULL},
    {"/proc that tells", w_list, AT(unmasked), NULL},
    {"/proc that changes", w_list, AT(proc_rw), NULL},
    {"directories held", w_count, AT(dirs), NULL},
    {"directories held", w_flag, AT(all_fds), "terminals held"},
    {"terminals held", w_count, AT(terminals), NULL},
    {"core dumps", w_count, AT(core), NULL},
    {"memory locks", w_count, AT(memlock), NULL},
    {"real time", w_count, AT(realtime), NULL},
    {"memory shortage", w_count, AT(oom_spared), NULL},
    {"memory limit", w_limit, AUDIT_MEMORY, NULL},
    {"process limit", w_limit, AUDIT_PIDS, NULL},
    {"CPU limit", w_limit, AUDIT_CPU, NULL},
    {"I/O limit", w_limit, AUDIT_IO, NULL},
    {"device controller", w_flag, AT(devices), NULL},
    {"security module", w_label, 0, NULL},
};

static void
judge_weak(void **state)
{
	_auto_free bool *was_weak = xcalloc(audit_items_n, sizeof(*was_weak));
	_auto_free struct os_finding *names = NULL;
	struct audit_facts f;

	(void)state;
	for (size_t w = 0; w < ARRAY_LEN(weakenings); w++) {
		_auto_free struct os_finding *list = NULL;

		strong(&f);
		weakenings[w].weaken(&f, weakenings[w].arg);
		list = audit_judge(&f);
		for (size_t i = 0; i < audit_items_n; i++) {
			const char *also = weakenings[w].also;
			bool want =
			    streq(list[i].name, weakenings[w].item) || (also && streq(list[i].name, also));

			if ((list[i].state <= 0) != want)
				fail_msg("row %zu (%s): %s is %d: %s", w, weakenings[w].item, list[i].name,
					 list[i].state, list[i].what);
			was_weak[i] |= want;
			assert_true(list[i].what[0] && list[i].improve[0]);
		}
		assert_true(os_audit_score(list, audit_items_n) > 0);
		audit_facts_free(&f);
	}
	/* no item without a row */
	strong(&f);
	names = audit_judge(&f);
	for (size_t i = 0; i < audit_items_n; i++)
		if (!was_weak[i])
			fail_msg("no row makes '%s' weak", names[i].name);
	audit_facts_free(&f);
}

/* A limit does not count when a process is outside the group; lists and names are cut, not overrun. */
static void
judge_more(void **state)
{
	_auto_free struct os_finding *list = NULL;
	struct audit_facts f;

	(void)state;
	strong(&f);
	f.other_group = 1;
	f.caps = f.caps_inh = UINT64_MAX;
	for (int i = 0; i < 1000; i++)
		strv_add(&f.suid, "/a/long/name/of/a/mount/point");
	list = audit_judge(&f);
	for (size_t i = 0; i < audit_items_n; i++) {
		assert_true(strlen(list[i].what) < sizeof(list[i].what));
		if (strstr(list[i].name, " limit"))
			assert_int_equal(list[i].state, 0);
	}
	audit_facts_free(&f);
}

static void
score(void **state)
{
	struct os_finding f[] = {{.weight = 1, .state = 0}, {.weight = 9, .state = 1}};

	(void)state;
	assert_int_equal(os_audit_score(f, 2), 10);
	f[1].state = -1; /* what could not be read is not safe */
	assert_int_equal(os_audit_score(f, 2), 100);
	f[1].weight = 9999;
	f[1].state = 1; /* never 0.0 with a weak item */
	assert_int_equal(os_audit_score(f, 2), 1);
	assert_int_equal(os_audit_score(f, 0), 0);
}

/* ---- looking ---- */

static int
detached(const char *path)
{
	return (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

/* A process with nothing around it: the first of a pid namespace, the rest is the host's.  It holds a
 * directory and a terminal of mounts that it does not see, and has a child that is elsewhere. */
static void
plain_child(int ready)
{
	struct rlimit core = {RLIM_INFINITY, RLIM_INFINITY};
	int dir = detached("/"), pts = detached("/dev/pts");
	cap_t caps = cap_get_proc();
	cap_value_t chown = CAP_CHOWN;

	if (dir < 0 || pts < 0 || openat(pts, "ptmx", O_RDWR | O_NOCTTY) < 0 || !caps ||
	    cap_set_flag(caps, CAP_INHERITABLE, 1, &chown, CAP_SET) < 0 || cap_set_proc(caps) < 0)
		_exit(1);
	(void)setrlimit(RLIMIT_CORE, &core);
	if (fork() == 0) {
		if (unshare(CLONE_NEWUTS) < 0 || write(ready, "", 1) != 1)
			_exit(1);
	}
	for (;;)
		(void)pause();
}

static pid_t
start_plain(int *ret_end)
{
	int p[2], sync[2];
	pid_t outer;
	char c;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(pipe2(sync, O_CLOEXEC), 0);
	outer = fork();
	if (outer == 0) {
		pid_t first;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWPID) < 0)
			_exit(1);
		first = fork();
		if (first == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			plain_child(sync[1]);
		}
		fd_close(sync[1]);
		if (read(sync[0], &c, 1) != 1 || write(p[1], &first, sizeof(first)) != sizeof(first))
			_exit(1);
		(void)pause();
		_exit(0);
	}
	fd_close(p[1]);
	fd_close(sync[0]);
	fd_close(sync[1]);
	*ret_end = outer;
	assert_int_equal(read(p[0], &outer, sizeof(outer)), sizeof(outer));
	fd_close(p[0]);
	return outer;
}

static void
look_plain(void **state)
{
	/* what this process has of its own; what it takes rights to give it; what may be the host's ways */
	static const char *const fine[] = {"pid namespace", "real time", "memory shortage", "memory locks",
					   "security module"};
	_auto_free struct os_finding *list = NULL;
	struct err e = ERR_INIT;
	struct os_ref ref;
	int end, status;
	size_t n;
	pid_t pid = start_plain(&end);

	(void)state;
	assert_int_equal(ref_make(pid, &ref, &e), 0);
	if (os_audit_jail(&ref, &list, &n, &e) < 0)
		fail_msg("%s", e.msg);
	(void)kill(pid, SIGKILL);
	(void)kill(end, SIGKILL);
	(void)waitpid(end, &status, 0);
	assert_int_equal(n, audit_items_n);
	for (size_t i = 0; i < n; i++) {
		bool may_be_fine = false;

		for (size_t k = 0; k < ARRAY_LEN(fine); k++)
			may_be_fine |= streq(list[i].name, fine[k]);
		if (list[i].state > 0 && !may_be_fine)
			fail_msg("%s: %s", list[i].name, list[i].what);
	}
	assert_true(os_audit_score(list, n) >= 90);
}

static void
look_gone(void **state)
{
	struct os_finding *list = NULL;
	struct err e = ERR_INIT;
	struct os_ref ref;
	size_t n;
	int end, status;
	pid_t pid = start_plain(&end);

	(void)state;
	assert_int_equal(ref_make(pid, &ref, &e), 0);
	(void)kill(pid, SIGKILL);
	(void)kill(end, SIGKILL);
	(void)waitpid(end, &status, 0);
	for (int i = 0; i < 100 && os_jail_alive(&ref); i++)
		(void)usleep(10000);
	assert_int_equal(os_audit_jail(&ref, &list, &n, &e), -ESRCH);
	assert_null(list);
}

/* Which mounts of control groups are no view of the jail's own: a directory is its /proc/PID here. */
static void
look_groups(void **state)
{
	static const struct {
		const char *root, *type;
		bool read_only, own;
	} cases[] = {
	    {"/brig/www-1", "cgroup2", true, true},    {"/v1/www-1", "cgroup", true, true},
	    {"/brig/www-1", "cgroup2", false, false},  {"/brig", "cgroup2", true, false},
	    {"/brig/www-10", "cgroup2", true, false},  {"/brig/www-", "cgroup2", true, false},
	    {"/brig/mail-2", "cgroup2", true, false},  {"/", "cgroup2", true, false},
	    {"/brig/www-1/x", "cgroup2", true, false}, {"/brig/www-1", "sysfs", true, false},
	};
	static const char groups[] = "4:memory:/v1/www-1\n0::/brig/www-1\n";
	char top[] = "/tmp/brig-audit.XXXXXX", point[] = "/sys/fs/cgroup", super[] = "ro";
	struct audit_mounts none = {0};
	int dir, file;

	(void)state;
	assert_non_null(mkdtemp(top));
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0 && mkdirat(dir, "root", 0755) == 0);
	file = openat(dir, "cgroup", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(file, groups, strlen(groups)), strlen(groups));
	fd_close(file);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct audit_mount m = {.root = (char *)(uintptr_t)cases[i].root,
					.point = point,
					.type = (char *)(uintptr_t)cases[i].type,
					.super = super,
					.read_only = cases[i].read_only};
		const struct audit_mounts jail = {&m, 1, 1};
		struct audit_facts f = {0};
		struct err e = ERR_INIT;

		assert_int_equal(audit_look_mounts(dir, &jail, &none, &f, &e), 0);
		if (f.kernel_fs.n != (cases[i].own ? 0 : 1))
			fail_msg("%s of %s: %s", cases[i].root, cases[i].type,
				 cases[i].own ? "found" : "not found");
		audit_facts_free(&f);
	}
	assert_true(unlinkat(dir, "cgroup", 0) == 0 && unlinkat(dir, "root", AT_REMOVEDIR) == 0 &&
		    rmdir(top) == 0);
	fd_close(dir);
}

/* ---- the host ---- */

static const struct os_finding *
finding(const struct os_finding *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(list[i].name, name))
			return &list[i];
	fail_msg("no item %s", name);
	return NULL;
}

static void
host_spaces(void **state)
{
	char dir[] = "/tmp/brig-audit.XXXXXX";
	struct os_finding *list = NULL;
	struct err e = ERR_INIT;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0711), 0);
	assert_int_equal(os_audit_host(dir, &list, &n, &e), 0);
	assert_int_equal(finding(list, n, "jailspaces")->state, 0);
	for (size_t i = 0; i < n; i++)
		assert_true(list[i].what[0] && list[i].weight > 0);
	free(list);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(os_audit_host(dir, &list, &n, &e), 0);
	assert_int_equal(finding(list, n, "jailspaces")->state, 1);
	free(list);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(os_audit_host(NULL, &list, &n, &e), 0);
	free(list);
}

int
main(void)
{
	const struct CMUnitTest pure[] = {cmocka_unit_test(judge_strong), cmocka_unit_test(judge_weak),
					  cmocka_unit_test(judge_more), cmocka_unit_test(score)};
	const struct CMUnitTest root[] = {cmocka_unit_test(look_plain), cmocka_unit_test(look_gone),
					  cmocka_unit_test(look_groups), cmocka_unit_test(host_spaces)};
	int failed = cmocka_run_group_tests(pure, NULL, NULL);

	if (failed == 0 && geteuid() != 0)
		return 77;
	/* as most hosts have it: mounts that propagate */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(NULL, "/", NULL, MS_SHARED, NULL) < 0)
		return 1;
	return failed + (failed ? 0 : cmocka_run_group_tests(root, NULL, NULL));
}
