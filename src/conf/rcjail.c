/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The jail_* variables of an rc.conf(5) become blocks, as FreeBSD's rc.d/jail would write them: that of the
 * Handbook's time and today's.  Where that script is wrong (it splits values, takes two names for one, skips
 * jails without a word) this does what its manual says, or it is an error or a warning; brig-jail.conf(5)
 * lists it.  Values are literal: a '$' or '"' in them has no meaning any more.
 */
#include <strings.h>

#include "base/name.h"
#include "conf/conf_int.h"
#include "conf/value.h"

struct rc {
	struct conf *c;
	struct strv vars; /* jail_VAR_...: one a jail */
	struct strv made; /* those of jails that got a block */
	char *dir;        /* where the rc.conf is */
};
struct rcjail {
	struct rc *rc;
	const char *var;
	char *label;
	struct pos pos;
	struct block *b;
};

/* --- variables --- */

static int
by_name(const void *a, const void *b)
{
	const struct shvar *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->seq > y->seq) - (x->seq < y->seq);
}

/* The last assignment of a name, if possible one whose value is known; NULL: none. */
static struct shvar *
find(struct conf *c, const char *name)
{
	size_t lo = 0, hi = c->rc.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (strcmp(c->rc.v[mid].name, name) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t i = lo; i > 0 && streq(c->rc.v[i - 1].name, name); i--)
		if (!c->rc.v[i - 1].unknown)
			return &c->rc.v[i - 1];
	return lo > 0 && streq(c->rc.v[lo - 1].name, name) ? &c->rc.v[lo - 1] : NULL;
}

/* The variable of that name, which counts as used now; NULL: not set, or not known, which was an error
 * already. */
static struct shvar *
global(struct conf *c, const char *name)
{
	struct shvar *v = find(c, name);

	if (!v)
		return NULL;
	v->used = true;
	return v->unknown ? NULL : v;
}

/* jail_VAR_SUFFIX; if that is not set and fall_back, jail_SUFFIX. */
static struct shvar *
get(const struct rcjail *r, const char *suffix, bool fall_back)
{
	_auto_free char *own = xasprintf("jail_%s_%s", r->var, suffix);
	_auto_free char *all = xasprintf("jail_%s", suffix);
	struct shvar *v = global(r->rc->c, own);

	return v || !fall_back ? v : global(r->rc->c, all);
}

static bool
is_set(const struct shvar *v)
{
	return v && *v->value;
}

/* rc.subr's checkyesno. */
static bool
yes(const struct rcjail *r, const struct shvar *v)
{
	static const char *const words[] = {"yes", "true", "on", "1", "no", "false", "off", "0"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(v->value, words[i]) == 0)
			return i < 4;
	conf_warn(r->rc->c, r->label, v->pos, "%s is not set properly: it counts as NO", v->name);
	return false;
}

/* --- statements --- */

static void
put(struct rcjail *r, const char *name, const char *value, struct pos pos)
{
	stmt_add(block_stmt(r->b, name, false, pos), value, pos);
}

static void
append(struct rcjail *r, const char *name, const char *value, struct pos pos)
{
	stmt_add(block_stmt(r->b, name, true, pos), value, pos);
}

static void
put_set(struct rcjail *r, const char *suffix, bool fall_back, const char *name)
{
	const struct shvar *v = get(r, suffix, fall_back);

	if (is_set(v))
		put(r, name, v->value, v->pos);
}

static void
put_bool(struct rcjail *r, const char *suffix, const char *name)
{
	const struct shvar *v = get(r, suffix, true);

	if (is_set(v))
		put(r, name, yes(r, v) ? "true" : "false", v->pos);
}

/* exec_prestart0, exec_prestart1, ...: 0 may be missing, the first gap behind it ends the list. */
static void
put_numbered(struct rcjail *r, const char *suffix, bool fall_back, const char *name)
{
	for (int k = 0;; k++) {
		_auto_free char *one = xasprintf("%s%d", suffix, k);
		const struct shvar *v = get(r, one, fall_back);

		if (is_set(v))
			append(r, name, v->value, v->pos);
		else if (k > 0)
			return;
	}
}

/* --- addresses --- */

static void
one_list(struct rcjail *r, const struct shvar *v)
{
	for (const char *p = v->value; *p; p += *p == ',') {
		size_t len = strcspn(p, ",");
		_auto_free char *one = xstrndup(p, len);
		const char *bar = strchr(one, '|');

		if (one[strspn(one, " \t")])
			append(r, strchr(bar ? bar : one, ':') ? "ip6.addr" : "ip4.addr", one, v->pos);
		p += len;
	}
}

static void
no_address(struct rcjail *r, const struct shvar *ip)
{
	const struct shvar *vnet = get(r, "vnet_interface", true);
	const char *p;
	char *word;

	if (is_set(vnet)) {
		block_stmt(r->b, "vnet", false, vnet->pos);
		for (p = vnet->value; (word = next_word(&p)); free(word))
			append(r, "vnet.interface", word, vnet->pos);
		return;
	}
	conf_warn(r->rc->c, r->label, ip ? ip->pos : r->pos,
		  "jail '%s' has no address: its network is loopback only (jail_%s_ip)", r->label, r->var);
}

static void
put_addresses(struct rcjail *r)
{
	const struct shvar *ip = get(r, "ip", false);

	put_set(r, "interface", true, "interface");
	if (!is_set(ip)) {
		no_address(r, ip);
		return;
	}
	one_list(r, ip);
	for (int k = 0;; k++) {
		_auto_free char *suffix = xasprintf("ip_multi%d", k);
		const struct shvar *v = get(r, suffix, false);

		if (!is_set(v))
			break;
		one_list(r, v);
	}
	put_set(r, "fib", true, "exec.fib");
}

/* --- commands --- */

static void
put_commands(struct rcjail *r)
{
	const struct shvar *exec = get(r, "exec", false), *start = get(r, "exec_start", true);
	const struct shvar *stop = get(r, "exec_stop", true);

	put_numbered(r, "exec_prestart", true, "exec.prestart");
	if (is_set(exec)) {
		put(r, "exec.start", exec->value, exec->pos);
		put(r, "exec.stop", "", exec->pos);
	} else {
		put(r, "exec.start", is_set(start) ? start->value : "/bin/sh /etc/rc",
		    is_set(start) ? start->pos : r->pos);
		put_numbered(r, "exec_afterstart", true, "exec.start");
		if (is_set(stop))
			put(r, "exec.stop", stop->value, stop->pos);
		else if (!is_set(start))
			put(r, "exec.stop", "/bin/sh /etc/rc.shutdown jail", r->pos);
	}
	put_numbered(r, "exec_poststart", true, "exec.poststart");
	put_numbered(r, "exec_prestop", true, "exec.prestop");
	put_numbered(r, "exec_poststop", true, "exec.poststop");
	put_set(r, "consolelog", true, "exec.consolelog");
}

/* --- file systems --- */

static bool
exists(struct conf *c, const char *file)
{
	_auto_strv struct strv found = STRV_INIT;

	return c->in.glob && c->in.glob(c->in.ctx, file, &found) == 0 && found.n > 0;
}

static void
put_mounts(struct rcjail *r)
{
	const struct shvar *fstab = get(r, "fstab", true), *rules = get(r, "devfs_ruleset", true);
	const struct shvar *mount = get(r, "mount_enable", true);
	_auto_free char *usual = xasprintf("%s/fstab.%s", r->rc->dir, r->label);

	if (is_set(fstab) && !exists(r->rc->c, fstab->value))
		conf_warn(r->rc->c, r->label, fstab->pos, "%s: %s does not exist: nothing is mounted from it",
			  fstab->name, fstab->value);
	else if (is_set(fstab))
		put(r, "mount.fstab", fstab->value, fstab->pos);
	else if (exists(r->rc->c, usual))
		put(r, "mount.fstab", usual, r->pos);
	if (is_set(mount) && yes(r, mount))
		conf_warn(r->rc->c, r->label, mount->pos,
			  "%s is taken as before FreeBSD 10, the jail's fstab is mounted; mounting inside "
			  "the jail is "
			  "not permitted",
			  mount->name);
	put_bool(r, "devfs_enable", "mount.devfs");
	put_bool(r, "fdescfs_enable", "mount.fdescfs");
	put_bool(r, "procfs_enable", "mount.procfs");
	if (!is_set(rules) || streq(rules->value, "devfsrules_jail"))
		return;
	if (rules->value[strspn(rules->value, "0123456789")])
		conf_warn(r->rc->c, r->label, rules->pos,
			  "%s: the ruleset '%s' is not known here, the usual one is used", rules->name,
			  rules->value);
	else
		put(r, "devfs_ruleset", rules->value, rules->pos);
}

/* --- rights and the rest --- */

/* Blank-separated words, where quotes keep blanks together. */
static char *
quoted_word(const char **p)
{
	struct buf b = BUF_INIT;
	const char *s = *p + strspn(*p, " \t\r\n");
	char quote = 0;

	if (!*s)
		return NULL;
	for (; *s && (quote || !strchr(" \t\r\n", *s)); s++) {
		if (quote ? *s == quote : *s == '\'' || *s == '"')
			quote = quote ? 0 : *s;
		else
			buf_addc(&b, *s);
	}
	*p = s;
	return buf_take(&b);
}

static void
put_parameters(struct rcjail *r)
{
	const struct shvar *v = get(r, "parameters", true);
	const char *p = v ? v->value : "";
	char *word;

	for (; (word = quoted_word(&p)); free(word)) {
		size_t len = strlen(word);

		if (len > 0 && word[len - 1] == ';')
			word[len - 1] = '\0';
		if (*word)
			(void)block_word(r->b, word, v->pos);
	}
}

/* Options of the old jail(8) that are parameters today. */
static void
put_flags(struct rcjail *r)
{
	static const struct {
		const char *flag, *param;
		bool arg;
	} known[] = {{"-l", "exec.clean", false},
		     {"-h", "ip_hostname", false},
		     {"-U", "exec.jail_user", true},
		     {"-u", "exec.system_user", true},
		     {"-s", "securelevel", true},
		     {"-n", "name", true},
		     {"-i", NULL, false}};
	const struct shvar *v = get(r, "flags", true);
	const char *p = v ? v->value : "";
	char *word;

	for (; (word = next_word(&p)); free(word)) {
		size_t i = 0;

		while (i < ARRAY_LEN(known) && !streq(known[i].flag, word))
			i++;
		if (i == ARRAY_LEN(known)) {
			conf_warn(r->rc->c, r->label, v->pos, "%s: '%s' has no effect", v->name, word);
		} else if (known[i].param) {
			_auto_free char *arg = known[i].arg ? next_word(&p) : NULL;

			if (!streq(known[i].param, "name"))
				put(r, known[i].param, arg ? arg : "true", v->pos);
		}
	}
}

static void
put_rights(struct rcjail *r)
{
	const struct shvar *host = get(r, "set_hostname_allow", true);
	const struct shvar *sock = get(r, "socket_unixiproute_only", true);

	put(r, "allow.set_hostname", is_set(host) && yes(r, host) ? "true" : "false",
	    is_set(host) ? host->pos : r->pos);
	if (is_set(sock))
		put(r, "allow.socket_af", yes(r, sock) ? "false" : "true", sock->pos);
	put_bool(r, "sysvipc_allow", "allow.sysvipc");
	put_set(r, "enforce_statfs", true, "enforce_statfs");
	put_set(r, "osreldate", true, "osreldate");
	put_set(r, "osrelease", true, "osrelease");
}

static void
make_block(struct rcjail *r, const struct shvar *hostname, const struct shvar *rootdir)
{
	r->b = block_new(r->rc->c, r->label, r->pos, FROM_RC, 0);
	put(r, "host.hostname", hostname->value, hostname->pos);
	put(r, "path", rootdir->value, rootdir->pos);
	put_addresses(r);
	put(r, "exec.clean", "true", r->pos);
	/* /etc/rc of a service jail may leave nothing running; it stays in the list until it is stopped. */
	put(r, "persist", "true", r->pos);
	put_commands(r);
	put_mounts(r);
	put_rights(r);
	put_parameters(r);
	put_flags(r);
}

/* --- the jails --- */

static bool
has_block(const struct conf *c, const char *label)
{
	for (size_t i = 0; i < c->n_blocks; i++)
		if (c->blocks[i]->label && streq(c->blocks[i]->label, label))
			return true;
	return false;
}

/* A jail of jail_list without variables of its own: as rc.d/jail, looks for it in these files. */
static bool
in_jail_conf(struct rcjail *r)
{
	struct conf *c = r->rc->c;
	const struct shvar *own = get(r, "conf", false), *all = global(c, "jail_conf");
	char *names[3];
	bool found = has_block(c, r->label);

	names[0] = own ? xstrdup(own->value) : xasprintf("%s/jail.%s.conf", r->rc->dir, r->label);
	names[1] = xasprintf("%s/jail.conf.d/%s.conf", r->rc->dir, r->label);
	names[2] = all ? xstrdup(all->value) : xasprintf("%s/jail.conf", r->rc->dir);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!found && exists(c, names[i])) {
			conf_read(c, names[i], CONF_JAILCONF);
			found = has_block(c, r->label);
		}
		free(names[i]);
	}
	return found;
}

static void
one_jail(struct rc *rc, const char *var, char *label, struct pos pos)
{
	struct rcjail r = {.rc = rc, .var = var, .label = label, .pos = pos};
	const struct shvar *hostname = get(&r, "hostname", true), *rootdir = get(&r, "rootdir", false);

	if (is_set(hostname) && is_set(rootdir)) {
		make_block(&r, hostname, rootdir);
		strv_add(&rc->made, var);
		return;
	}
	if (in_jail_conf(&r))
		return;
	if (!is_set(hostname) && !is_set(rootdir))
		conf_err(rc->c, label, pos,
			 "jail '%s' is in jail_list, but nothing defines it (jail_%s_rootdir, "
			 "jail_%s_hostname)",
			 label, var, var);
	else
		conf_err(rc->c, label, pos, "jail '%s': jail_%s_%s is not set", label, var,
			 is_set(rootdir) ? "hostname" : "rootdir");
}

static char *
sanitised(const char *name)
{
	char *var = xstrdup(name);

	for (char *p = var; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
			*p = '_';
	return var;
}

static void
add_jail(struct rc *rc, const char *name, struct pos pos)
{
	_auto_free char *label = xstrdup(name);
	struct err e = ERR_INIT;
	char *var;

	if (name_check("jail", name, &e) < 0) {
		conf_err(rc->c, NULL, pos, "%s", e.msg);
		return;
	}
	for (char *p = label; *p; p++)
		if (*p == '.')
			*p = '_'; /* rc.d/jail does */
	if (rc->vars.n >= CONF_JAILS_MAX) {
		conf_err(rc->c, NULL, pos, "more than %d jails", CONF_JAILS_MAX);
		return;
	}
	var = sanitised(name);
	if (strv_has(&rc->vars, var)) {
		conf_err(rc->c, NULL, pos,
			 "jail '%s': another jail of jail_list has the same variables, jail_%s_*", name, var);
		free(var);
		return;
	}
	strv_take(&rc->vars, var);
	one_jail(rc, rc->vars.v[rc->vars.n - 1], label, pos);
}

/* The words of jail_list, each with its own position for messages. */
static void
from_list(struct rc *rc, const struct shvar *list)
{
	const char *p = list->value;
	char *word;

	for (; (word = next_word(&p)); free(word)) {
		size_t at = (size_t)(p - list->value) - strlen(word);

		add_jail(rc, word, (struct pos){list->pos.file, list->at[at].line, list->at[at].col});
	}
}

/* Without a jail_list: whoever has a jail_NAME_rootdir, in the order of the file. */
static int
by_place(const void *a, const void *b)
{
	const struct shvar *x = *(const struct shvar *const *)a, *y = *(const struct shvar *const *)b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

static void
from_rootdirs(struct rc *rc)
{
	static const char suffix[] = "_rootdir";
	struct conf *c = rc->c;
	_auto_free const struct shvar **found = xcalloc(c->rc.n, sizeof(*found));
	size_t n = 0;

	for (size_t i = 0; i < c->rc.n; i++) {
		const struct shvar *v = &c->rc.v[i];
		size_t len = strlen(v->name);

		if (str_after(v->name, "jail_") && len > 5 + sizeof(suffix) - 1 &&
		    streq(v->name + len - (sizeof(suffix) - 1), suffix) && find(c, v->name) == v)
			found[n++] = v;
	}
	if (n == 0)
		return;
	qsort(found, n, sizeof(*found), by_place);
	conf_warn(c, NULL, found[0]->pos,
		  "jail_list is not set: all jails with a jail_NAME_rootdir are taken");
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(found[i]->name) - 5 - (sizeof(suffix) - 1);
		_auto_free char *name = xstrndup(found[i]->name + 5, len);

		add_jail(rc, name, found[i]->pos);
	}
}

/* --- what is left --- */

static bool
belongs(const struct strv *vars, const char *rest)
{
	for (size_t i = 0; i < vars->n; i++) {
		const char *after = str_after(rest, vars->v[i]);

		if (after && *after == '_')
			return true;
	}
	return false;
}

/* Variables for rc.d/jail itself and for ezjail, which do not change the jail. */
static bool
without_meaning(const char *name)
{
	static const char *const ends[] = {"_parallel_start",
					   "_reverse_stop",
					   "_confwarn",
					   "_program",
					   "_jexec",
					   "_jls",
					   "_consolecmd",
					   "_conf",
					   "_flags",
					   "_stop_all",
					   "_image",
					   "_imagetype",
					   "_attachparams",
					   "_attachblocking",
					   "_forceblocking",
					   "_zfs_datasets",
					   "_cpuset",
					   "_vnet_interface",
					   "_exec_stop",
					   "_exec_start",
					   "_interface",
					   "_hostname",
					   "_fib"};
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t n = strlen(ends[i]);

		if (len >= n && streq(name + len - n, ends[i]))
			return true;
	}
	return false;
}

static bool
numbered(const char *name)
{
	return *name && name[strlen(name) - 1] >= '0' && name[strlen(name) - 1] <= '9';
}

static void
leftovers(struct rc *rc)
{
	for (size_t i = 0; i < rc->c->rc.n; i++) {
		struct shvar *v = &rc->c->rc.v[i];
		const char *rest = str_after(v->name, "jail_");

		if (!rest || v->used || v->unknown || find(rc->c, v->name) != v || without_meaning(v->name))
			continue;
		if (belongs(&rc->vars, rest) && !belongs(&rc->made, rest))
			continue; /* the jail was an error */
		if (!belongs(&rc->vars, rest))
			conf_warn(rc->c, NULL, v->pos, "%s belongs to no jail of jail_list: it is not used",
				  v->name);
		else if (numbered(v->name))
			conf_warn(rc->c, NULL, v->pos, "%s is not used: a number before it is missing",
				  v->name);
		else
			conf_err(rc->c, NULL, v->pos, "%s: unknown variable", v->name);
	}
}

static void
set_dir(struct rc *rc, const char *file)
{
	const char *slash = strrchr(file, '/');

	rc->dir = slash ? xstrndup(file, (size_t)(slash - file)) : xstrdup(".");
}

void
rc_jails(struct conf *c)
{
	struct rc rc = {.c = c};
	const struct shvar *list, *enable;

	if (c->rc.n == 0)
		return;
	qsort(c->rc.v, c->rc.n, sizeof(*c->rc.v), by_name);
	list = global(c, "jail_list");
	enable = global(c, "jail_enable");
	set_dir(&rc, list ? list->pos.file : c->rc.v[0].pos.file);
	if (enable && strcasecmp(enable->value, "yes") != 0 && strcasecmp(enable->value, "true") != 0 &&
	    strcasecmp(enable->value, "on") != 0 && !streq(enable->value, "1"))
		conf_warn(c, NULL, enable->pos, "jail_enable is %s: jails are not started at boot",
			  *enable->value ? enable->value : "empty");
	if (is_set(list))
		from_list(&rc, list);
	else if (!find(c, "jail_list"))
		from_rootdirs(&rc);
	leftovers(&rc);
	strv_free(&rc.vars);
	strv_free(&rc.made);
	free(rc.dir);
}
