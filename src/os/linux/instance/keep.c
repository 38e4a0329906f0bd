/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking over the network of a running instance: whether it is possible, and the namespaces to join (build.h,
 * struct keep).
 * Facts: ioctl_ns(2), user_namespaces(7).
 */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "os/linux/instance/build.h"
#include "os/linux/network/net.h"
#include "os/linux/instance/ref.h"
#include "os/linux/instance/userns.h"

static int
same_file(int a, int b)
{
	struct stat x, y;

	if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
		return -errno;
	return x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* A network namespace that the jail's user namespace does not own is not the jail's. */
static int
check_owner(const struct keep *k, struct err *e)
{
	_auto_close int owner = ioctl(k->netns, NS_GET_USERNS);
	int r = owner < 0 ? -errno : same_file(owner, k->userns);

	if (r < 0)
		return err_sys(e, -r, "network of the jail that runs");
	return r ? 0 : err_set(e, EINVAL, "the jail that runs has no network of its own");
}

static int
check_user(const struct keep *k, struct err *e)
{
	_auto_close int self = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	int r = self < 0 ? -errno : same_file(self, k->userns);

	if (r < 0)
		return err_sys(e, -r, "user namespace of the jail that runs");
	return r ? err_set(e, EINVAL, "the jail that runs is in the host's user namespace") : 0;
}

int
keep_open(const struct os_ref *ref, const struct jailspec *spec, struct keep *ret, struct err *e)
{
	_auto_(keep_close) struct keep k = KEEP_INIT;
	_auto_close int procfd = -EBADF;
	int r = ref_open(ref, &procfd);

	if (r < 0)
		return ref_error(r, e);
	if (proc_ns(procfd, "user", &k.userns, e) < 0 || check_user(&k, e) < 0)
		return -e->num;
	if (!net_shared(spec) && (proc_ns(procfd, "net", &k.netns, e) < 0 || check_owner(&k, e) < 0))
		return -e->num;
	*ret = (struct keep){TAKE_FD(k.userns), TAKE_FD(k.netns)};
	return 0;
}

void
keep_close(struct keep *k)
{
	fd_close(TAKE_FD(k->userns));
	fd_close(TAKE_FD(k->netns));
}

int
keep_check_ids(int procfd, uint32_t idbase, struct err *e)
{
	static const char *const names[] = {"uid_map", "gid_map"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_auto_close int fd = openat(procfd, names[i], O_RDONLY | O_CLOEXEC);
		_auto_free char *text = NULL;
		unsigned inside, outside, n;
		int end = 0, r = fd < 0 ? -errno : fsx_read_fd(fd, 4096, &text, NULL);

		if (r < 0)
			return err_sys(e, -r, "%s of the jail that runs", names[i]);
		if (sscanf(text, "%u %u %u %n", &inside, &outside, &n, &end) != 3 || text[end] ||
		    inside != 0 || outside != idbase || n != JAIL_IDS)
			return err_set(e, EINVAL, "the jail that runs has other ids than %u to %u", idbase,
				       idbase + JAIL_IDS - 1);
	}
	return 0;
}

static bool
same_text(const char *a, const char *b)
{
	return a && b ? streq(a, b) : a == b;
}

/* In the same order: the first address is the source address of connections. */
static bool
same_addrs(const struct jailspec *a, const struct jailspec *b)
{
	if (a->n_addrs != b->n_addrs)
		return false;
	for (size_t i = 0; i < a->n_addrs; i++) {
		const struct spec_addr *x = &a->addrs[i], *y = &b->addrs[i];

		if (x->family != y->family || x->prefix != y->prefix ||
		    memcmp(&x->addr, &y->addr, net_ip_len(x->family)) != 0 ||
		    !same_text(net_addr_interface(a, x), net_addr_interface(b, y)))
			return false;
	}
	return true;
}

static bool
same_rdr(const struct jailspec *a, const struct jailspec *b)
{
	if (a->n_rdr != b->n_rdr)
		return false;
	for (size_t i = 0; i < a->n_rdr; i++)
		if (a->rdr[i].proto != b->rdr[i].proto || a->rdr[i].host_port != b->rdr[i].host_port ||
		    a->rdr[i].jail_port != b->rdr[i].jail_port)
			return false;
	return true;
}

/* Both instances are in the same control groups. */
static bool
same_limits(const struct jailspec *a, const struct jailspec *b)
{
	return a->limit.memory == b->limit.memory && a->limit.pids == b->limit.pids &&
	       a->limit.cpu == b->limit.cpu && a->limit.io_bps == b->limit.io_bps;
}

/* The file system of an image or device must not be mounted twice at a time. */
static bool
space_can_be_shared(const struct jailspec *s)
{
	return s->space == SPACE_DIR || s->space == SPACE_TMPFS;
}

int
os_jail_can_keep(const struct jailspec *spec, const struct jailspec *made)
{
	if (!space_can_be_shared(spec) || !space_can_be_shared(made) || spec->vnet || made->vnet)
		return 0;
	/* with CAP_NET_ADMIN its root may have changed addresses and routes: they are to be made anew */
	if (spec->allow.routing || made->allow.routing)
		return 0;
	if (!streq(spec->name, made->name) || spec->jid != made->jid || !same_limits(spec, made))
		return 0;
	if (spec->ip4 != made->ip4 || spec->ip6 != made->ip6)
		return 0;
	/* the host name counts for a jail with an address only: it is in the hosts file of all jails */
	if (!same_addrs(spec, made) || (spec->n_addrs > 0 && !same_text(spec->hostname, made->hostname)))
		return 0;
	return spec->nat == made->nat && same_rdr(spec, made);
}
