/* SPDX-License-Identifier: BSD-2-Clause */
/* Specifications as jail.conf(5) text that reads back as the same, and as jls(8) shows them. */
#include "base/name.h"
#include "conf/conf_int.h"
#include "conf/table.h"
#include "conf/value.h"

/* In double quotes, with what has a meaning there escaped. */
static void
quote(struct buf *b, const char *s)
{
	buf_addc(b, '"');
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch == '"' || ch == '\\' || ch == '$')
			buf_addf(b, "\\%c", ch);
		else if (ch == '\n')
			buf_adds(b, "\\n");
		else if (ch == '\t')
			buf_adds(b, "\\t");
		else if (ch < 0x20 || ch == 0x7f)
			buf_addf(b, "\\%03o", ch);
		else
			buf_addc(b, *s);
	}
	buf_addc(b, '"');
}

static bool
plain_name(const char *s)
{
	return *s &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] == '\0';
}

static void
name_of(struct buf *b, const char *name)
{
	if (plain_name(name))
		buf_adds(b, name);
	else
		quote(b, name);
}

static void
print_one(struct buf *b, const char *name, const char *value)
{
	buf_addf(b, "\t%s = ", name);
	quote(b, value);
	buf_adds(b, ";\n");
}

static void
print_param(struct buf *b, const struct param *p)
{
	const struct param_def *def = param_find(p->name, NULL);
	bool word = def && (def->type == PARAM_BOOL || def->type == PARAM_INT || def->type == PARAM_SHARE);

	buf_addc(b, '\t');
	name_of(b, p->name);
	for (size_t i = 0; i < p->values.n; i++) {
		buf_adds(b, i ? ",\n\t    " : " = ");
		if (word && plain_name(p->values.v[i]))
			buf_adds(b, p->values.v[i]);
		else
			quote(b, p->values.v[i]);
	}
	buf_adds(b, ";\n");
}

/* The defaults that matter most, where the configuration does not set them. */
static void
print_defaults(struct buf *b, const struct jailspec *s)
{
	if (!params_get(&s->params, "host.hostname") && s->host == SHARE_NEW)
		print_one(b, "host.hostname", s->hostname);
	if (s->path && !params_get(&s->params, "path"))
		print_one(b, "path", s->path);
	if (s->root == ROOT_TEMPLATE && !params_get(&s->params, "template")) {
		_auto_free char *both = s->release ? xasprintf("%s/%s", s->template, s->release) : NULL;

		print_one(b, "template", both ? both : s->template);
	}
}

char *
conf_print_jail(const struct jailspec *s)
{
	struct buf b = BUF_INIT;

	name_of(&b, s->label);
	buf_adds(&b, " {\n");
	print_defaults(&b, s);
	for (size_t i = 0; i < s->params.n; i++) {
		const struct param *p = &s->params.v[i];
		bool identity = streq(p->name, "name") || streq(p->name, "jid");

		/* the label has the same value */
		if (identity && p->values.n == 1 && streq(p->values.v[0], s->label))
			continue;
		print_param(&b, p);
	}
	buf_adds(&b, "}\n");
	return buf_take(&b);
}

char *
conf_print_all(struct conf *c, struct err *e)
{
	struct buf b = BUF_INIT;

	if (c->errors.n > 0) {
		const struct conf_error *first = &c->errors.v[0];

		(void)err_set(e, EINVAL, "%s:%d:%d: %s", first->file ? first->file : "configuration",
			      first->line, first->col, first->text);
		return NULL;
	}
	for (size_t i = 0; i < c->n_jails; i++) {
		struct jailspec *s = NULL;
		_auto_free char *text = NULL, *where = NULL;

		if (conf_jail(c, c->jails[i]->label, &s, e) < 0) {
			buf_free(&b);
			return NULL;
		}
		text = conf_print_jail(s);
		where = text_printable(s->where ? s->where : "the command line", 1000);
		buf_addf(&b, "%s# %s\n%s", i ? "\n" : "", where, text);
		c->jails[i]->spec = s;
	}
	return buf_take(&b);
}

/* --- jls(8) --- */

static char *
show_addrs(const struct jailspec *s, int family)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < s->n_addrs; i++) {
		_auto_free char *text = addr_text(&s->addrs[i]);

		if (s->addrs[i].family == family)
			buf_addf(&b, "%s%s", b.len ? "," : "", text);
	}
	return buf_take(&b);
}

static bool
show_bool(const struct jailspec *s, const struct param_def *def)
{
	const struct param *p = params_get(&s->params, def->name);
	bool on = true;

	if (!p)
		return param_default(def);
	if (p->values.n > 0)
		(void)value_bool(p->values.v[p->values.n - 1], &on);
	return on;
}

static char *
show_share(const struct jailspec *s, const struct param_def *def)
{
	enum spec_share v = SHARE_INHERIT;

	if (streq(def->name, "ip4"))
		v = s->vnet ? SHARE_NEW : s->ip4;
	else if (streq(def->name, "ip6"))
		v = s->vnet ? SHARE_NEW : s->ip6;
	else if (streq(def->name, "vnet"))
		v = s->vnet ? SHARE_NEW : SHARE_INHERIT;
	else if (streq(def->name, "host"))
		v = s->host;
	else if (str_after(def->name, "sysv"))
		v = s->sysvipc;
	else if (streq(def->name, "mac.do"))
		v = SHARE_DISABLE;
	return xstrdup(share_name(v));
}

static char *
show_int(const struct jailspec *s, int jid, const struct param_def *def)
{
	const char *set = params_value(&s->params, def->name);

	if (streq(def->name, "jid"))
		return xasprintf("%d", jid);
	if (streq(def->name, "securelevel"))
		return xasprintf("%d", s->securelevel);
	if (streq(def->name, "enforce_statfs"))
		return xasprintf("%d", s->enforce_statfs);
	if (streq(def->name, "devfs_ruleset"))
		return xasprintf("%d", s->devfs_ruleset);
	if (streq(def->name, "cpuset.id"))
		return xasprintf("%d", jid);
	if (set)
		return xstrdup(set);
	return streq(def->name, "osreldate") || streq(def->name, "limit.pids") ? NULL : xstrdup("0");
}

static char *
show_string(const struct jailspec *s, const struct param_def *def)
{
	const char *set = params_value(&s->params, def->name);

	if (streq(def->name, "name"))
		return xstrdup(s->name);
	if (streq(def->name, "path"))
		return xstrdup(s->path);
	if (streq(def->name, "host.hostname"))
		return xstrdup(s->hostname);
	if (streq(def->name, "host.hostuuid"))
		return xstrdup(s->hostuuid ? s->hostuuid : "00000000-0000-0000-0000-000000000000");
	if (streq(def->name, "host.hostid"))
		return xstrdup(s->hostid ? s->hostid : "0");
	if (streq(def->name, "template") && s->root == ROOT_TEMPLATE)
		return s->release ? xasprintf("%s/%s", s->template, s->release) : xstrdup(s->template);
	if (streq(def->name, "host.domainname"))
		return xstrdup(s->domainname ? s->domainname : "");
	return xstrdup_null(set);
}

/* "meta" and "env": the whole text first, then KEY=value of each key, a line each. */
static char *
show_labels(const struct jailspec *s, const struct param_def *def)
{
	_auto_free char *prefix = xasprintf("%s.", def->name);
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < s->params.n; i++) {
		const struct param *p = &s->params.v[i];
		const char *key = str_after(p->name, prefix);
		const char *value = p->values.n > 0 ? p->values.v[p->values.n - 1] : "";

		if (!key && !streq(p->name, def->name))
			continue;
		buf_addf(&b, "%s%s%s%s", b.len ? "\n" : "", key ? key : "", key ? "=" : "", value);
	}
	return b.s ? buf_take(&b) : NULL;
}

char *
param_show(const struct jailspec *s, int jid, const struct param_def *def)
{
	const struct param *p = params_get(&s->params, def->name);

	if (streq(def->name, "meta") || streq(def->name, "env"))
		return show_labels(s, def);
	switch (def->type) {
	case PARAM_BOOL:
		if (!(def->flags & PARAM_KERNEL) && !p)
			return NULL;
		return xstrdup(show_bool(s, def) ? "true" : "false");
	case PARAM_INT:
		if (!(def->flags & PARAM_KERNEL) && !p)
			return NULL;
		return show_int(s, jid, def);
	case PARAM_SHARE:
		return show_share(s, def);
	case PARAM_IP4:
		return show_addrs(s, AF_INET);
	case PARAM_IP6:
		return show_addrs(s, AF_INET6);
	case PARAM_LIST:
		return p ? strv_join(&p->values, ",") : NULL;
	default:
		return show_string(s, def);
	}
}
