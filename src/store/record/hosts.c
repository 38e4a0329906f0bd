/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <fcntl.h>

#include "base/fsx.h"
#include "base/name.h"
#include "store/record/state.h"

#define HOSTS_MAX (4 << 20)
#define RESOLV_MAX 65536

static const char hosts_head[] = "# Made by brig: the running jails.\n"
				 "127.0.0.1\tlocalhost\n"
				 "::1\tlocalhost ip6-localhost ip6-loopback\n";

/* Copies the lines that do not belong to the jail ("... #NAME"). */
static void
keep_others(const char *text, const char *jail, struct buf *out)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		const char *mark = memrchr(line, '#', len);
		size_t rest = mark ? (size_t)(line + len - mark - 1) : 0;

		if (mark && mark != line && !(rest == strlen(jail) && memcmp(mark + 1, jail, rest) == 0)) {
			buf_add(out, line, len);
			buf_addc(out, '\n');
		}
		line += len + (line[len] == '\n');
	}
}

/* A host name fit for hosts(5): no blanks, no '#', no control characters. */
static bool
host_ok(const char *name)
{
	return *name &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] ==
		   '\0';
}

static void
add_names(const char *addr, const char *jail, const struct jailspec *spec, struct buf *out)
{
	buf_addf(out, "%s\t", addr);
	if (spec->hostname && host_ok(spec->hostname) && !streq(spec->hostname, jail))
		buf_addf(out, "%s ", spec->hostname);
	buf_addf(out, "%s\t#%s\n", jail, jail);
}

/* NULL: the host has none. */
static int
read_resolv(char **ret, struct err *e)
{
	_auto_close int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : fsx_read_fd(fd, RESOLV_MAX, ret, NULL);

	return r < 0 && r != -ENOENT ? err_sys(e, -r, "/etc/resolv.conf") : 0;
}

static int
write_resolv(int dir, struct err *e)
{
	_auto_free char *host = NULL, *old = NULL;
	_auto_buf struct buf out = BUF_INIT;
	struct err ignore = ERR_INIT;

	if (read_resolv(&host, e) < 0)
		return -e->num;
	buf_adds(&out, "# Made by brig from the host's resolv.conf.\n");
	for (const char *line = host ? host : ""; *line;) {
		size_t len = strcspn(line, "\n");
		const char *value = str_after(line, "nameserver");

		value = value ? value + strspn(value, " \t") : NULL;
		if (!value || !(str_after(value, "127.") || str_after(value, "::1"))) {
			buf_add(&out, line, len);
			buf_addc(&out, '\n');
		}
		line += len + (line[len] == '\n');
	}
	if (fsx_read_at(dir, "resolv.conf", HOSTS_MAX, &old, NULL, &ignore) == 0 && streq(old, out.s))
		return 0;
	return fsx_write_atomic(dir, "resolv.conf", &(struct fsx_file){out.s, out.len, 0644}, 0, e);
}

static void
add_jail(const char *jail, const struct jailspec *spec, struct buf *out)
{
	for (size_t i = 0; i < spec->n_addrs; i++) {
		char addr[INET6_ADDRSTRLEN];

		if (inet_ntop(spec->addrs[i].family, &spec->addrs[i].addr, addr, sizeof(addr)))
			add_names(addr, jail, spec, out);
	}
}

/* Adds the other jails from their states: the hosts file does not exist yet or cannot be read. */
static int
add_states(const struct store *s, const char *jail, struct buf *out, struct err *e)
{
	struct state *list;
	size_t n;
	int r = state_list(s, &list, &n, e);

	for (size_t i = 0; i < n; i++) {
		struct jailspec *made = NULL;
		struct err ignore = ERR_INIT;

		if (!streq(list[i].name, jail) &&
		    spec_from_params(list[i].name, &list[i].params, s->base, &made, &ignore) == 0)
			add_jail(list[i].name, made, out);
		jailspec_free(made);
		state_free(&list[i]);
	}
	free(list);
	return r;
}

int
hosts_set(const struct store *s, const char *jail, const struct jailspec *spec, struct err *e)
{
	_auto_close int lock = -EBADF;
	_auto_buf struct buf out = BUF_INIT;
	_auto_free char *old = NULL;
	struct err ignore = ERR_INIT;
	int r;

	if (s->hosts_fd < 0)
		return 0;
	r = store_lock_wait(s, "hosts", &lock, e);
	if (r < 0)
		return r;
	buf_adds(&out, hosts_head);
	if (fsx_read_at(s->hosts_fd, "hosts", HOSTS_MAX, &old, NULL, &ignore) == 0)
		keep_others(old, jail, &out);
	else
		r = add_states(s, jail, &out, e);
	if (spec)
		add_jail(jail, spec, &out);
	if (r == 0 && (!old || !streq(old, out.s)))
		r = fsx_write_atomic(s->hosts_fd, "hosts", &(struct fsx_file){out.s, out.len, 0644}, 0, e);
	if (r == 0 && spec)
		r = write_resolv(s->hosts_fd, e);
	return r < 0 ? err_wrap(e, "names of the jails") : 0;
}

int
hosts_addrs(const struct store *s, const char *jail, struct strv *ret4, struct strv *ret6, struct err *e)
{
	_auto_free char *text = NULL;
	int r = s->hosts_fd < 0 ? -ENOENT : fsx_read_at(s->hosts_fd, "hosts", HOSTS_MAX, &text, NULL, e);

	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	for (char *line = text; r == 0 && *line;) {
		size_t len = strcspn(line, "\n"), addr = strcspn(line, "\t\n");
		const char *mark = memrchr(line, '#', len);

		if (mark && mark > line && (size_t)(line + len - mark - 1) == strlen(jail) &&
		    memcmp(mark + 1, jail, strlen(jail)) == 0)
			strv_take(memchr(line, ':', addr) ? ret6 : ret4, xstrndup(line, addr));
		line += len + (line[len] == '\n');
	}
	return r;
}

int
hosts_dir(const struct store *s, const struct jailspec *spec, int *ret_fd, struct err *e)
{
	_auto_close int jail = -EBADF, dir = -EBADF;
	_auto_buf struct buf out = BUF_INIT;
	int r;

	if (spec->n_addrs > 0) {
		dir = openat(s->hosts_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return err_sys(e, errno, "%s/hosts", s->run);
		*ret_fd = TAKE_FD(dir);
		return 0;
	}
	r = state_dir(s, spec->name, &jail, e);
	if (r == 0)
		r = fsx_mkdir_open(jail, "hosts", 0755, &dir, e);
	if (r < 0)
		return r;
	buf_adds(&out, hosts_head);
	add_names("127.0.1.1", spec->name, spec, &out);
	r = fsx_write_atomic(dir, "hosts", &(struct fsx_file){out.s, out.len, 0644}, 0, e);
	if (r == 0)
		r = write_resolv(dir, e);
	if (r == 0)
		*ret_fd = TAKE_FD(dir);
	return r;
}
