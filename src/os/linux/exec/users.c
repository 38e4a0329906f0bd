/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "os/linux/exec/users.h"
#include "os/linux/instance/userns.h"

#define TEXT_MAX (4u << 20)
#define PASSWD_FIELDS 7
#define GROUP_FIELDS 4
#define TERM_MAX 64
#define PATH_ROOT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PATH_USER "/usr/local/bin:/usr/bin:/bin"

void
user_free(struct user *u)
{
	free(u->name);
	free(u->home);
	free(u->shell);
	*u = (struct user){0};
}

/* Cuts line at its colons; true when there are exactly n fields. */
static bool
fields(char *line, char **field, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *colon = strchr(line, ':');

		field[i] = line;
		if (!colon)
			return i == n - 1;
		*colon = '\0';
		line = colon + 1;
	}
	return false;
}

static bool
jail_id(const char *s, unsigned *ret)
{
	uint64_t v;

	if (num_u64(s, JAIL_IDS - 1, &v) < 0)
		return false;
	*ret = (unsigned)v;
	return true;
}

int
passwd_find(char *text, const char *name, struct user *ret)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *f[PASSWD_FIELDS];
		unsigned uid, gid;

		if (!fields(line, f, PASSWD_FIELDS) || !*f[0] || !jail_id(f[2], &uid) || !jail_id(f[3], &gid))
			continue;
		if (name ? !streq(f[0], name) : uid != 0)
			continue;
		user_free(ret);
		ret->uid = uid;
		ret->gid = gid;
		ret->name = xstrdup(f[0]);
		ret->home = xstrdup(*f[5] == '/' ? f[5] : "/");
		ret->shell = xstrdup(*f[6] == '/' ? f[6] : "/bin/sh");
		return 1;
	}
	return 0;
}

static void
add_group(struct user *u, gid_t gid)
{
	for (size_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] == gid)
			return;
	if (u->n_groups < USER_GROUPS_MAX)
		u->groups[u->n_groups++] = gid;
}

void
group_find(char *text, struct user *u)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *f[GROUP_FIELDS], *s = NULL;
		unsigned gid;

		if (!fields(line, f, GROUP_FIELDS) || !jail_id(f[2], &gid))
			continue;
		for (char *m = strtok_r(f[3], ", ", &s); m; m = strtok_r(NULL, ", ", &s))
			if (streq(m, u->name))
				add_group(u, gid);
	}
}

static int
read_inside(const char *path, char **ret)
{
	_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	return fsx_read_fd(fd, TEXT_MAX, ret, NULL);
}

static void
plain_root(struct user *u)
{
	struct stat st;

	u->name = xstrdup("root");
	u->home = xstrdup(stat("/root", &st) == 0 && S_ISDIR(st.st_mode) ? "/root" : "/");
	u->shell = xstrdup("/bin/sh");
}

int
user_inside(const char *name, struct user *ret, struct err *e)
{
	_auto_free char *passwd = NULL, *group = NULL, *shown = NULL;
	int r = read_inside("/etc/passwd", &passwd), found = 0;

	if (r == 0)
		found = passwd_find(passwd, name, ret);
	if (!found && name && !streq(name, "root")) {
		shown = text_printable(name, NAME_MAX_LEN);
		if (r < 0)
			return err_set(e, ENOENT, "%s: no such user (the jail's /etc/passwd: %s)", shown,
				       strerror(-r));
		return err_set(e, ENOENT, "%s: no such user", shown);
	}
	if (!found)
		plain_root(ret);
	add_group(ret, ret->gid);
	if (read_inside("/etc/group", &group) == 0)
		group_find(group, ret);
	return 0;
}

int
user_outside(const char *name, struct user *ret, struct err *e)
{
	int n = USER_GROUPS_MAX;
	gid_t groups[USER_GROUPS_MAX];
	struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (!pw) {
		_auto_free char *shown = text_printable(name, NAME_MAX_LEN);

		return err_set(e, ENOENT, "%s: no such user", shown);
	}
	if (pw->pw_uid >= JAIL_IDS || pw->pw_gid >= JAIL_IDS)
		return err_set(e, ERANGE, "%s: a jail has the ids 0 to %d only, not %u:%u", pw->pw_name,
			       JAIL_IDS - 1, pw->pw_uid, pw->pw_gid);
	ret->uid = pw->pw_uid;
	ret->gid = pw->pw_gid;
	ret->name = xstrdup(pw->pw_name);
	ret->home = xstrdup(*pw->pw_dir == '/' ? pw->pw_dir : "/");
	ret->shell = xstrdup(*pw->pw_shell == '/' ? pw->pw_shell : "/bin/sh");
	add_group(ret, ret->gid);
	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) >= 0)
		for (int i = 0; i < n; i++)
			if (groups[i] < JAIL_IDS)
				add_group(ret, groups[i]);
	return 0;
}

/* Sets NAME=VALUE, in place of one that is there. */
static void
env_set(struct strv *env, const char *entry)
{
	size_t n = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], entry, n) == 0) {
			free(env->v[i]);
			env->v[i] = xstrdup(entry);
			return;
		}
	strv_add(env, entry);
}

/* TERM is the one variable of the host in a clean environment: only a short plain word is passed on. */
static bool
plain_term(const char *s)
{
	return *s && strlen(s) <= TERM_MAX &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._")] == '\0';
}

void
user_env(const struct user *u, const struct os_exec *x, char *const *environment, struct strv *ret)
{
	for (; environment && *environment; environment++) {
		const char *term = str_after(*environment, "TERM=");

		if (!x->clean || (term && plain_term(term)))
			strv_add(ret, *environment);
	}
	if (x->clean) {
		strv_addf(ret, "PATH=%s", u->uid == 0 ? PATH_ROOT : PATH_USER);
		strv_addf(ret, "HOME=%s", u->home);
		strv_addf(ret, "SHELL=%s", u->shell);
		strv_addf(ret, "USER=%s", u->name);
		strv_addf(ret, "LOGNAME=%s", u->name);
	}
	for (char *const *v = x->env_add; v && *v; v++)
		env_set(ret, *v);
}
