/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this host can do.  Every answer comes from trying it, each in a process of its own, so that nothing is
 * left of it; a kernel version or configuration would only say what ought to work.
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/num.h"
#include "base/path.h"
#include "base/where.h"
#include "os/linux/confine/confine.h"
#include "os/linux/limits/device.h"
#include "os/linux/instance/mnt.h"
#include "os/linux/network/net.h"
#include "os/linux/network/netlink.h"
#include "os/linux/host/syscalls.h"
#include "os/linux/instance/userns.h"
#include "os/host.h"
#include "os/limits.h"

#define PROBE_IDBASE 0x70000000u
#define MAX_USERNS "/proc/sys/user/max_user_namespaces"
#define STATE_DIR "/var/lib"

struct probe {
	const char *name, *needed;
	bool required;
	int (*run)(struct err *e); /* 0 it works (e->msg may say how), else the reason */
};

/* --- each runs in a process of its own --- */

/* A process in a new user namespace with a jail's ids; it ends with us. */
static int
new_userns(int *ret_procfd, struct err *e)
{
	int p[2];
	pid_t pid;
	char c;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe");
	pid = sys_clone(CLONE_NEWUSER, SIGCHLD);
	if (pid == 0) {
		fd_close(p[1]);
		_exit(read(p[0], &c, 1) == 0 ? 0 : 1);
	}
	if (pid < 0)
		return err_sys(e, errno, errno == ENOSPC ? MAX_USERNS " is reached" : "clone3");
	if (proc_dir(pid, ret_procfd, e) < 0)
		return -e->num;
	return userns_map(*ret_procfd, PROBE_IDBASE, e);
}

static int
probe_userns(struct err *e)
{
	_auto_close int procfd = -EBADF;

	return new_userns(&procfd, e);
}

static int
probe_namespaces(struct err *e)
{
	static const struct {
		int flag;
		const char *name;
	} kinds[] = {{CLONE_NEWNS, "mount"}, {CLONE_NEWPID, "pid"}, {CLONE_NEWNET, "network"},
		     {CLONE_NEWIPC, "IPC"},  {CLONE_NEWUTS, "UTS"}, {CLONE_NEWCGROUP, "cgroup"}};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (unshare(kinds[i].flag) < 0)
			return err_sys(e, errno, "%s namespace", kinds[i].name);
	return 0;
}

static int
probe_mounts(struct err *e)
{
	_auto_close int fd = -EBADF;

	if (mnt_new("tmpfs", NULL, 0, MNT_PLAIN, &fd, e) < 0)
		return -e->num;
	return mnt_attr(fd, MNT_PLAIN | MOUNT_ATTR_RDONLY, e);
}

static int
probe_idmap(struct err *e)
{
	_auto_close int dir = open(STATE_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC), mnt = -EBADF,
			procfd = -EBADF, ns = -EBADF;

	if (dir < 0)
		return err_sys(e, errno, STATE_DIR);
	if (new_userns(&procfd, e) < 0 || proc_ns(procfd, "user", &ns, e) < 0 ||
	    mnt_clone(dir, &mnt, e) < 0 || mnt_attr_map(mnt, MNT_PLAIN, ns, dir, e) < 0)
		return -e->num;
	(void)snprintf(e->msg, sizeof(e->msg), "%s is %s", STATE_DIR, mnt_fsname(dir));
	return 0;
}

static int
probe_confine(struct err *e)
{
	const struct jailspec spec = {.ip4 = SHARE_NEW, .ip6 = SHARE_NEW};

	return confine(&spec, e);
}

static int
probe_calls(struct err *e)
{
	int fd = pidfd_open(getpid(), 0);

	if (fd < 0)
		return err_sys(e, errno, "pidfd_open(2), Linux 5.3");
	fd_close(fd);
	if (syscall(SYS_close_range, ~0U, ~0U, 0) < 0)
		return err_sys(e, errno, "close_range(2), Linux 5.9");
	return 0;
}

/* Without it path_open() opens paths component by component; only overlays that lead through links of the
 * tree need it (PATH_IN_ROOT). */
static int
probe_openat2(struct err *e)
{
	int fd = resolve_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, PATH_IN_ROOT);

	if (fd < 0)
		return err_sys(e, -fd, "openat2(2), Linux 5.6");
	fd_close(fd);
	return 0;
}

static int
probe_init(struct err *e)
{
	_auto_free char *path = where_libexec("brig-init");

	if (access(path, X_OK) < 0)
		return err_sys(e, errno, "%s", path);
	return 0;
}

static int
probe_veth(struct err *e)
{
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	_auto_close int ns = -EBADF, fd = -EBADF;
	struct nl_veth v = {.name = "probe0", .peer_name = "probe1", .mac = mac[0], .peer_mac = mac[1]};
	_Alignas(NLMSG_ALIGNTO) char buf[NL_MSG];

	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(e, errno, "network namespace");
	ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return err_sys(e, errno, "/proc/self/ns/net");
	v.peer_ns_fd = ns;
	if (nl_open(NETLINK_ROUTE, &fd, e) < 0)
		return -e->num;
	return nl_do(fd, nl_veth_msg(buf, &v), NULL, NULL, e);
}

static int
probe_ip6(struct err *e)
{
	if (access("/proc/net/if_inet6", F_OK) < 0)
		return err_set(e, EAFNOSUPPORT,
			       "the kernel has no IPv6, or it is switched off (ipv6.disable=1)");
	return 0;
}

static int
probe_nft(struct err *e)
{
	char nft[] = "nft", opt[] = "-f", from[] = "-", *argv[] = {nft, opt, from, NULL};
	_auto_buf struct buf said = BUF_INIT;
	struct child c = CHILD_INIT;
	int status;

	if (!fw_have_nft())
		return err_set(e, ENOENT, "the program nft is not installed (nftables)");
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(e, errno, "network namespace");
	if (setenv("PATH", "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin:/usr/local/bin", 1) < 0)
		return err_sys(e, errno, "setenv");
	c.argv = argv;
	c.capture = &said;
	c.input =
	    "table inet probe { chain c { type nat hook prerouting priority -100; tcp dport 1 dnat ip to "
	    "127.0.0.1:2; }\nchain d { type nat hook postrouting priority 100; masquerade; }\n}\n";
	if (child_run(&c, &status, e) < 0)
		return -e->num;
	if (status == 0)
		return 0;
	buf_adds(&said, "");
	said.s[strcspn(said.s, "\n")] = '\0';
	return err_set(e, EIO, "nft cannot make a redirection: %s", said.s);
}

static int
probe_limit(struct err *e, uint64_t memory, uint64_t pids, uint64_t cpu, uint64_t io_bps)
{
	static char path[] = STATE_DIR;
	struct jailspec spec = {.path = path};

	spec.limit.memory = memory;
	spec.limit.pids = pids;
	spec.limit.cpu = cpu;
	spec.limit.io_bps = io_bps;
	return os_limit_check(&spec, e);
}

static int
probe_memory(struct err *e)
{
	return probe_limit(e, 1, 0, 0, 0);
}

static int
probe_pids(struct err *e)
{
	return probe_limit(e, 0, 1, 0, 0);
}

static int
probe_cpu(struct err *e)
{
	return probe_limit(e, 0, 0, 1, 0);
}

static int
probe_io(struct err *e)
{
	return probe_limit(e, 0, 0, 0, 1);
}

static int
probe_devices(struct err *e)
{
	return device_supported(e);
}

static int
probe_landlock(struct err *e)
{
	int abi = confine_landlock();

	if (abi < 0)
		return err_sys(e, -abi, "landlock(7), Linux 6.12");
	return abi < CONFINE_LANDLOCK_SCOPES
		   ? err_set(e, ENOTSUP,
			     "landlock(7): the kernel has ABI %d, scopes came with %d, Linux 6.12", abi,
			     CONFINE_LANDLOCK_SCOPES)
		   : 0;
}

static int
probe_loop(struct err *e)
{
	_auto_close int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "/dev/loop-control (modprobe loop)");
	if (ioctl(fd, LOOP_CTL_GET_FREE) < 0)
		return err_sys(e, errno, "no free loop device");
	return 0;
}

static int
probe_busybox(struct err *e)
{
	const char *path = os_busybox();

	if (!path)
		return err_set(e, ENOENT, "no static busybox (busybox-static)");
	(void)snprintf(e->msg, sizeof(e->msg), "%s", path);
	return 0;
}

static int
probe_mmdebstrap(struct err *e)
{
	_auto_free char *dirs = xstrdup_null(getenv("PATH"));
	char *save = NULL;

	for (char *d = dirs ? strtok_r(dirs, ":", &save) : NULL; d; d = strtok_r(NULL, ":", &save)) {
		_auto_free char *path = path_join(d, "mmdebstrap");

		if (access(path, X_OK) == 0)
			return 0;
	}
	return err_set(e, ENOENT, "the program mmdebstrap is not installed");
}

static const struct probe probes[] = {
    {"user namespaces", "every jail", true, probe_userns},
    {"other namespaces", "every jail", true, probe_namespaces},
    {"mounts by descriptor", "every jail", true, probe_mounts},
    {"id-mapped mounts", "every jail", true, probe_idmap},
    {"confinement", "every jail", true, probe_confine},
    {"system calls", "every jail", true, probe_calls},
    {"openat2", "template build --overlay", false, probe_openat2},
    {"brig-init", "every jail", true, probe_init},
    {"veth interfaces", "ip4.addr, ip6.addr", false, probe_veth},
    {"IPv6", "ip6.addr", false, probe_ip6},
    {"nftables", "rdr, nat", false, probe_nft},
    {"memory controller", "limit.memory", false, probe_memory},
    {"pids controller", "limit.pids", false, probe_pids},
    {"cpu controller", "limit.cpu", false, probe_cpu},
    {"io controller", "limit.io", false, probe_io},
    {"device controller", "a second protection of devices", false, probe_devices},
    {"Landlock scopes", "abstract sockets with ip4 = inherit", false, probe_landlock},
    {"loop devices", "space = image:FILE", false, probe_loop},
    {"static busybox", "templates from busybox", false, probe_busybox},
    {"mmdebstrap", "templates from debian:", false, probe_mmdebstrap},
};

/* --- asking them --- */

static void
probe_run(const struct probe *p, struct os_feature *f)
{
	struct err e = ERR_INIT;
	int io[2] = {-EBADF, -EBADF}, status;
	pid_t pid;

	*f = (struct os_feature){.name = p->name, .needed = p->needed};
	pid = pipe2(io, O_CLOEXEC) < 0 ? -1 : fork();
	if (pid == 0) {
		if (p->run(&e) == 0)
			e.num = 0;
		(void)err_send(io[1], &e);
		_exit(0);
	}
	fd_close(io[1]);
	if (pid < 0)
		(void)err_sys(&e, errno, "fork");
	else if (err_recv(io[0], &e) != 1)
		(void)err_set(&e, EIO, "the test process ended early");
	fd_close(io[0]);
	if (pid > 0)
		(void)child_wait(pid, &status);
	f->state = e.num == 0 ? 1 : p->required ? -1 : 0;
	(void)snprintf(f->detail, sizeof(f->detail), "%s", e.msg);
}

int
os_features(struct os_feature **ret, size_t *ret_n, struct err *e)
{
	struct os_feature *f;
	bool root = geteuid() == 0;

	(void)e;
	f = xcalloc(ARRAY_LEN(probes) + 1, sizeof(*f));
	f[0] = (struct os_feature){"administrator", "every jail", root ? 1 : -1, ""};
	if (!root)
		(void)snprintf(f[0].detail, sizeof(f[0].detail),
			       "not root: run it with sudo; what follows is what this user can do");
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		probe_run(&probes[i], &f[i + 1]);
	*ret = f;
	*ret_n = ARRAY_LEN(probes) + 1;
	return 0;
}

/* --- quick refusal --- */

static int
userns_allowed(struct err *e)
{
	_auto_close int fd = open(MAX_USERNS, O_RDONLY | O_CLOEXEC);
	_auto_free char *text = NULL;
	uint64_t max = 0;

	if (access("/proc/self/stat", F_OK) < 0)
		return err_set(e, ENOSYS, "/proc is not mounted (mount -t proc proc /proc)");
	if (access("/proc/self/ns/user", F_OK) < 0 || fd < 0 || fsx_read_fd(fd, 64, &text, NULL) < 0)
		return err_set(e, ENOSYS,
			       "user namespaces are not available (the kernel needs CONFIG_USER_NS)");
	text[strcspn(text, "\n")] = '\0';
	if (num_u64(text, UINT64_MAX, &max) < 0 || max == 0)
		return err_set(e, EPERM,
			       "user namespaces are not available (sysctl user.max_user_namespaces=10000)");
	return 0;
}

int
os_ready(struct err *e)
{
	cap_flag_value_t have = CAP_CLEAR;
	cap_t caps;

	if (geteuid() != 0)
		return err_set(e, EPERM, "must be root: run it with sudo (or as root)");
	caps = cap_get_proc();
	if (caps)
		(void)cap_get_flag(caps, CAP_SYS_ADMIN, CAP_EFFECTIVE, &have);
	(void)cap_free(caps);
	if (have != CAP_SET)
		return err_set(e, EPERM,
			       "root here may not make namespaces: CAP_SYS_ADMIN is missing (in a "
			       "container? brig belongs on the host)");
	if (userns_allowed(e) < 0)
		return -e->num;
	/* with these arguments the error is another one where the call exists */
	if (syscall(SYS_mount_setattr, -1, "", 0, NULL, 0) < 0 && errno == ENOSYS)
		return err_set(e, ENOSYS,
			       "id-mapped mounts are not available (Linux 5.12 or newer is needed)");
	return 0;
}
