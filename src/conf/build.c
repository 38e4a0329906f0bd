/* SPDX-License-Identifier: BSD-2-Clause */
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>

#include "base/name.h"
#include "base/num.h"
#include "conf/build.h"
#include "conf/table.h"
#include "conf/value.h"

#define HOSTNAME_MAX 64 /* Linux's, the smallest of the supported systems */

const struct entry *
build_entry(const struct build *b, const char *name)
{
	const struct entry *e = jail_entry(b->j, name);

	return e && e->state == ENTRY_DONE ? e : NULL;
}

void
build_err(const struct build *b, const struct entry *e, const char *fmt, ...)
{
	_auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	jail_err(b->c, b->j, entry_pos(e), "%s: %s", e->def->name, text);
}

void
build_warn(const struct build *b, const struct entry *e, const char *fmt, ...)
{
	_auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	jail_warn(b->c, b->j, entry_pos(e), "%s: %s", e->def->name, text);
}

enum spec_share
build_share(const struct build *b, const char *name, enum spec_share fallback)
{
	const struct entry *e = build_entry(b, name);
	enum spec_share v = SHARE_NEW;

	if (!e)
		return fallback;
	if (e->n > 0 && value_share(entry_last(e), &v) < 0) {
		build_err(b, e, "'%s' is not disable, new or inherit", entry_last(e));
		return fallback;
	}
	return v;
}

/* --- fields that a parameter fills directly --- */

#define OFF(f) offsetof(struct jailspec, f)
static const struct field {
	const char *name;
	size_t off;
	int min, max; /* PARAM_INT */
} fields[] = {
    {"jid", OFF(jid), 1, 999999},
    {"persist", OFF(persist), 0, 0},
    {"securelevel", OFF(securelevel), -1, 3},
    {"enforce_statfs", OFF(enforce_statfs), 0, 2},
    {"devfs_ruleset", OFF(devfs_ruleset), 0, 65535},
    {"host.domainname", OFF(domainname), 0, 0},
    {"host.hostuuid", OFF(hostuuid), 0, 0},
    {"vnet.interface", OFF(vnet_interface), 0, 0},
    {"interface", OFF(interface), 0, 0},
    {"allow.set_hostname", OFF(allow.set_hostname), 0, 0},
    {"allow.reserved_ports", OFF(allow.reserved_ports), 0, 0},
    {"allow.raw_sockets", OFF(allow.raw_sockets), 0, 0},
    {"allow.chflags", OFF(allow.chflags), 0, 0},
    {"allow.mlock", OFF(allow.mlock), 0, 0},
    {"allow.read_msgbuf", OFF(allow.read_msgbuf), 0, 0},
    {"allow.socket_af", OFF(allow.socket_af), 0, 0},
    {"allow.sysvipc", OFF(allow.sysvipc), 0, 0},
    {"allow.extattr", OFF(allow.extattr), 0, 0},
    {"allow.adjtime", OFF(allow.adjtime), 0, 0},
    {"allow.settime", OFF(allow.settime), 0, 0},
    {"allow.setaudit", OFF(allow.setaudit), 0, 0},
    {"allow.routing", OFF(allow.routing), 0, 0},
    {"allow.unprivileged_proc_debug", OFF(allow.proc_debug), 0, 0},
    {"allow.suid", OFF(allow.suid), 0, 0},
    {"allow.abstract_unix", OFF(allow.abstract_unix), 0, 0},
    {"allow.coredump", OFF(allow.coredump), 0, 0},
    {"allow.io_uring", OFF(allow.io_uring), 0, 0},
    {"allow.keyring", OFF(allow.keyring), 0, 0},
    {"allow.numa", OFF(allow.numa), 0, 0},
    {"allow.proc_unmasked", OFF(allow.proc_unmasked), 0, 0},
    {"exec.prepare", OFF(exec[EXEC_PREPARE]), 0, 0},
    {"exec.prestart", OFF(exec[EXEC_PRESTART]), 0, 0},
    {"exec.created", OFF(exec[EXEC_CREATED]), 0, 0},
    {"exec.start", OFF(exec[EXEC_START]), 0, 0},
    {"command", OFF(exec[EXEC_COMMAND]), 0, 0},
    {"exec.poststart", OFF(exec[EXEC_POSTSTART]), 0, 0},
    {"exec.prestop", OFF(exec[EXEC_PRESTOP]), 0, 0},
    {"exec.stop", OFF(exec[EXEC_STOP]), 0, 0},
    {"exec.poststop", OFF(exec[EXEC_POSTSTOP]), 0, 0},
    {"exec.release", OFF(exec[EXEC_RELEASE]), 0, 0},
    {"exec.preupgrade", OFF(exec[EXEC_PREUPGRADE]), 0, 0},
    {"exec.upgrade", OFF(exec[EXEC_UPGRADE]), 0, 0},
    {"exec.postupgrade", OFF(exec[EXEC_POSTUPGRADE]), 0, 0},
    {"exec.clean", OFF(exec_clean), 0, 0},
    {"exec.jail_user", OFF(jail_user), 0, 0},
    {"exec.system_jail_user", OFF(system_jail_user), 0, 0},
    {"exec.system_user", OFF(system_user), 0, 0},
    {"exec.timeout", OFF(exec_timeout), 0, INT_MAX},
    {"stop.timeout", OFF(stop_timeout), 0, INT_MAX},
    {"exec.consolelog", OFF(consolelog), 0, 0},
    {"mount.devfs", OFF(mount_devfs), 0, 0},
    {"mount.fdescfs", OFF(mount_fdescfs), 0, 0},
    {"mount.procfs", OFF(mount_procfs), 0, 0},
    {"nat", OFF(nat), 0, 0},
    {"service", OFF(service), 0, 0},
    {"syslog", OFF(syslog), 0, 0},
    {"health", OFF(health), 0, 0},
    {"depend", OFF(depend), 0, 0},
    {"limit.memory", OFF(limit.memory), 0, 0},
    {"undo.keep", OFF(undo_keep), 0, INT_MAX},
};

/* Integers that are checked, but fill no field. */
static const struct field checked[] = {
    {"osreldate", 0, 1, INT_MAX}, {"children.max", 0, 0, INT_MAX}, {"linux.oss_version", 0, 0, INT_MAX},
    {"exec.fib", 0, 0, 65535},    {"limit.pids", 0, 1, INT_MAX},
};

static const struct field *
search_field(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (streq(fields[i].name, name))
			return &fields[i];
	for (size_t i = 0; i < ARRAY_LEN(checked); i++)
		if (streq(checked[i].name, name))
			return &checked[i];
	return NULL;
}

/* Looked up once for the whole table: it is needed for every parameter of every jail. */
static const struct field *
field_of(const struct param_def *def)
{
	static const struct field **found;

	if (!found) {
		found = xcalloc(param_table_len, sizeof(*found));
		for (size_t i = 0; i < param_table_len; i++)
			found[i] = search_field(param_table[i].name);
	}
	return found[def - param_table];
}

static struct param *
keep(struct build *b, const struct entry *e)
{
	bool dynamic = streq(e->def->name, "meta") || streq(e->def->name, "env");

	return params_set(&b->s->params, dynamic ? e->name : e->def->name);
}

static bool
bool_value(const struct build *b, const struct entry *e, bool *ret)
{
	const char *v = entry_last(e);
	bool on = true;

	if (v && value_bool(v, &on) < 0) {
		build_err(b, e, "unknown boolean '%s' (true or false)", v);
		return false;
	}
	*ret = on != e->no;
	return true;
}

static void
take_bool(struct build *b, const struct entry *e, const struct field *f)
{
	const struct param_def *def = e->def;
	bool on;

	if (!bool_value(b, e, &on))
		return;
	if (on != param_default(def) && def->flags & PARAM_IGNORED)
		build_warn(b, e, "has no effect here: %s", def->refused);
	else if (on != param_default(def) && def->refused) {
		build_err(b, e, "cannot be switched %s here: %s", on ? "on" : "off", def->refused);
		return;
	}
	if (f)
		*(bool *)((char *)b->s + f->off) = on;
	{
		struct param *p = keep(b, e);

		if (!on)
			strv_add(&p->values, "false");
	}
}

static void
take_int(struct build *b, const struct entry *e, const struct field *f)
{
	const char *v = entry_last(e);
	int n, r;

	if (!v) {
		build_warn(b, e, "has no value: it is not used");
		return;
	}
	r = num_int(v, f->min, f->max, &n);
	if (r == -EINVAL) {
		build_err(b, e, "'%s' is not a decimal number", v);
		return;
	}
	if (r < 0) {
		build_err(b, e, "%s is not between %d and %d", v, f->min, f->max);
		return;
	}
	if (e->def->refused && !(e->def->flags & PARAM_IGNORED) && n > 0) {
		build_err(b, e, "%s cannot be used here: %s", v, e->def->refused);
		return;
	}
	if (f->off)
		*(int *)((char *)b->s + f->off) = n;
	strv_add(&keep(b, e)->values, v);
}

static void
take_string(struct build *b, const struct entry *e, const struct field *f)
{
	const char *v = entry_last(e);
	char **field = f ? (char **)(void *)((char *)b->s + f->off) : NULL;

	if (!v && !str_after(e->def->name, "meta") && !str_after(e->def->name, "env")) {
		build_err(b, e, "needs a value");
		return;
	}
	v = v ? v : "";
	if (field) {
		free(*field);
		*field = *v ? xstrdup(v) : NULL;
	}
	strv_add(&keep(b, e)->values, v);
}

static void
take_list(struct build *b, const struct entry *e, const struct field *f)
{
	struct strv *field = f ? (struct strv *)(void *)((char *)b->s + f->off) : NULL;
	struct param *p = keep(b, e);

	for (size_t i = 0; i < e->n; i++) {
		strv_add(&p->values, e->v[i].s);
		if (field && *e->v[i].s)
			strv_add(field, e->v[i].s);
	}
}

static void
take_size(struct build *b, const struct entry *e, const struct field *f)
{
	const char *v = entry_last(e);
	bool rate = streq(e->def->name, "limit.io");
	uint64_t n;

	if (!v || (rate ? value_rate(v, &n) : num_size(v, &n)) < 0 || n == 0) {
		build_err(b, e, "'%s' is not a size (64m, 2g)", v ? v : "");
		return;
	}
	if (rate)
		b->s->limit.io_bps = n;
	else if (streq(e->def->name, "space.size"))
		b->s->space_size = n;
	else
		*(uint64_t *)(void *)((char *)b->s + f->off) = n;
	strv_add(&keep(b, e)->values, v);
}

/* Has it a value that is not empty, 0 or disable? */
static bool
asks(const struct entry *e)
{
	if (e->n == 0)
		return e->def->type == PARAM_SHARE;
	for (size_t i = 0; i < e->n; i++)
		if (*e->v[i].s && !streq(e->v[i].s, "0") && !streq(e->v[i].s, "disable"))
			return true;
	return false;
}

static void
take(struct build *b, const struct entry *e)
{
	const struct param_def *def = e->def;
	const struct field *f = field_of(def);

	if (def->flags & PARAM_READONLY) {
		build_err(b, e, "can only be read");
		return;
	}
	if (def->type == PARAM_BOOL) {
		take_bool(b, e, f);
		return;
	}
	if (def->flags & PARAM_IGNORED && asks(e))
		build_warn(b, e, "has no effect here: %s", def->refused);
	else if (def->refused && def->type != PARAM_INT && asks(e)) {
		build_err(b, e, "cannot be used here: %s", def->refused);
		return;
	}
	switch (def->type) {
	case PARAM_INT:
		take_int(b, e, f);
		break;
	case PARAM_STRING:
		take_string(b, e, f);
		break;
	case PARAM_SIZE:
		take_size(b, e, f);
		break;
	case PARAM_SHARE:
		strv_add(&keep(b, e)->values, share_name(build_share(b, def->name, SHARE_NEW)));
		break;
	default:
		take_list(b, e, f);
		break;
	}
}

/* --- what belongs together --- */

static void
build_identity(struct build *b)
{
	const struct entry *name = build_entry(b, "name"), *jid = build_entry(b, "jid");
	struct jailspec *s = b->s;
	struct err e = ERR_INIT;
	const char *text = name ? entry_last(name) : NULL;

	s->label = xstrdup(b->j->label);
	s->name = xstrdup(text ? text : b->j->label);
	if (b->j->origin != FROM_WORDS && b->j->pos.file)
		s->where = pos_text(b->j->pos);
	if (name && name_check("name", s->name, &e) < 0)
		jail_err(b->c, b->j, entry_pos(name), "%s", e.msg);
	else if (name && !name->fixed && s->name[strspn(s->name, "0123456789")] == '\0' &&
		 !(jid && streq(entry_last(jid), s->name)))
		build_err(b, name, "cannot be numeric (unless it is the jid)");
	if (name && !name->fixed && name_reserved(s->name))
		build_err(b, name, "'%s': %s", s->name, name_reserved(s->name));
}

static bool
hostname_ok(const char *s)
{
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

static void
build_host(struct build *b)
{
	static const char *const own[] = {"host.hostname", "host.domainname", "host.hostuuid", "host.hostid"};
	const struct entry *e = build_entry(b, "host.hostname"), *host = build_entry(b, "host");
	const char *name = e ? entry_last(e) : NULL;
	const struct entry *id = build_entry(b, "host.hostid");
	struct jailspec *s = b->s;
	uint64_t v;

	s->hostname = xstrdup(name && *name ? name : s->name);
	if (name && strlen(name) > HOSTNAME_MAX)
		build_err(b, e, "longer than %d bytes", HOSTNAME_MAX);
	else if (name && !hostname_ok(name))
		build_err(b, e, "a host name has letters, digits, '.', '-' and '_' only");
	if (id && entry_last(id)) {
		if (num_u64(entry_last(id), UINT64_MAX, &v) < 0)
			build_err(b, id, "'%s' is not a decimal number", entry_last(id));
		s->hostid = xstrdup(entry_last(id));
	}
	s->host = build_share(b, "host", SHARE_NEW);
	if (s->host == SHARE_DISABLE)
		build_err(b, host, "is new or inherit");
	for (size_t i = 0; i < ARRAY_LEN(own) && s->host == SHARE_INHERIT; i++)
		if (build_entry(b, own[i])) {
			s->host = SHARE_NEW; /* jail(8): setting one of them implies it */
			build_warn(b, host, "inherit has no effect: %s is set", own[i]);
		}
}

/* One IPC namespace for the three: the strictest of those that are set counts. */
static void
build_sysvipc(struct build *b)
{
	static const char *const kinds[] = {"sysvmsg", "sysvsem", "sysvshm"};
	const struct entry *allow = build_entry(b, "allow.sysvipc"), *first = NULL, *e;
	enum spec_share v, strictest = SHARE_NEW;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		e = build_entry(b, kinds[i]);
		if (!e)
			continue;
		v = build_share(b, kinds[i], SHARE_NEW);
		if (first && v != strictest)
			build_warn(b, e,
				   "sysvmsg, sysvsem and sysvshm are one setting here: the strictest counts");
		strictest = !first || v < strictest ? v : strictest;
		first = e;
	}
	if (!first && allow && !b->s->allow.sysvipc)
		strictest = SHARE_DISABLE;
	b->s->sysvipc = strictest;
}

static void
build_limits(struct build *b)
{
	const struct entry *cpu = build_entry(b, "limit.cpu"), *pids = build_entry(b, "limit.pids");
	int n;

	if (pids && entry_last(pids) && num_int(entry_last(pids), 1, INT_MAX, &n) == 0)
		b->s->limit.pids = (uint64_t)n;
	if (cpu && entry_last(cpu) && value_cpu(entry_last(cpu), &b->s->limit.cpu) < 0)
		build_err(b, cpu, "'%s' is not a number of CPUs above 0 (0.5, 2) or a percentage (50%%)",
			  entry_last(cpu));
}

static void
build_undo(struct build *b)
{
	const struct entry *age = build_entry(b, "undo.age");

	if (age && entry_last(age) && value_duration(entry_last(age), &b->s->undo_age) < 0)
		build_err(b, age, "'%s' is not a time above 0 with its unit (30m, 12h, 90d, 8w)",
			  entry_last(age));
}

static void
build_exec(struct build *b)
{
	const struct entry *log = build_entry(b, "exec.consolelog"), *rules = build_entry(b, "devfs_ruleset");
	const struct jailspec *s = b->s;

	if (log && s->consolelog && *s->consolelog != '/')
		build_err(b, log, "'%s': not an absolute pathname", s->consolelog);
	else if (log && s->consolelog && jailspec_holds(s, b->c->base, s->consolelog))
		build_err(b, log, "'%s' is where the jail's root could put a link (use /var/log)",
			  s->consolelog);
	if (rules && s->devfs_ruleset != 4 && s->devfs_ruleset != 5)
		build_warn(b, rules, "this host has one set of devices for jails, ruleset 4");
	for (size_t i = 0; i < s->vnet_interface.n; i++)
		if (!build_interface_ok(s->vnet_interface.v[i]))
			build_err(b, build_entry(b, "vnet.interface"), "'%s' is not the name of an interface",
				  s->vnet_interface.v[i]);
	if (s->interface && !build_interface_ok(s->interface))
		build_err(b, build_entry(b, "interface"), "'%s' is not the name of an interface",
			  s->interface);
}

/* jail(8): a.b needs a, when there is one. */
static void
build_depend(struct build *b)
{
	const char *dot = strrchr(b->j->label, '.');
	_auto_free char *parent = dot ? xstrndup(b->j->label, (size_t)(dot - b->j->label)) : NULL;

	if (parent && b->j->origin == FROM_FILE && conf_find(b->c, parent) &&
	    !strv_has(&b->s->depend, parent))
		strv_add(&b->s->depend, parent);
}

static struct jailspec *
defaults(void)
{
	struct jailspec *s = xcalloc(1, sizeof(*s));

	s->sysvipc = s->host = SHARE_NEW;
	s->stop_timeout = 10;
	s->undo_keep = 2;
	s->syslog = true;
	s->mount_devfs = s->mount_fdescfs = s->mount_procfs = true;
	s->devfs_ruleset = 4;
	s->enforce_statfs = 2;
	s->securelevel = -1;
	s->allow.set_hostname = s->allow.reserved_ports = true;
	return s;
}

struct jailspec *
build_jail(struct conf *c, struct jail *j)
{
	struct build b = {c, j, defaults()};

	for (size_t i = 0; i < j->n; i++)
		if (!j->e[i].var && j->e[i].def && j->e[i].state == ENTRY_DONE)
			take(&b, &j->e[i]);
	build_identity(&b);
	build_host(&b);
	build_sysvipc(&b);
	build_net(&b);
	build_root(&b);
	build_limits(&b);
	build_undo(&b);
	build_exec(&b);
	build_depend(&b);
	return b.s;
}

/* --- a jail from recorded parameters --- */

int
spec_from_params(const char *name, const struct params *p, const char *base, struct jailspec **ret,
		 struct err *e)
{
	static const struct conf_input nothing;
	struct conf *c = conf_new(&nothing, base, true);
	struct jail *j = xcalloc(1, sizeof(*j));
	struct err first = ERR_INIT;
	struct jailspec *s;
	bool failed;

	c->usr_home = 1; /* paths are what they were */
	j->label = xstrdup(name);
	j->origin = FROM_RECORD;
	j->resolved = true;
	for (size_t i = 0; i < p->n; i++) {
		struct entry *en = jail_add_entry(j, p->v[i].name, j->pos);

		for (size_t k = 0; k < p->v[i].values.n; k++)
			entry_add(en, xstrdup(p->v[i].values.v[k]), j->pos);
	}
	c->sink = &first;
	place_jail(c, j);
	s = build_jail(c, j);
	failed = j->failed;
	jail_free(j);
	conf_free(c);
	if (failed)
		jailspec_free(s);
	if (failed)
		return err_set(e, EINVAL, "recorded parameters of jail %s: %s", name,
			       first.num ? first.msg : "wrong");
	*ret = s;
	return 0;
}
