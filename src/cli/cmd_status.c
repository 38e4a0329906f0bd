/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `brig status`: every configured and every running jail in one table, or one jail in detail.
 *
 * What a running jail is on is read from what it has mounted as its root (product rule 7), not from a note.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "base/path.h"
#include "cli/cli.h"
#include "run/service.h"
#include "os/limits.h"
#include "store/record/ids.h"
#include "store/record/record.h"
#include "store/record/state.h"

#define LAST_LINES 10

struct view {
	char *name;
	struct jailspec *spec; /* of the running jail, else of the configuration; NULL: its error is in why */
	struct state st;
	bool has_state, alive, configured, damaged;
	const char *state;
	char *why;
	char *template, *release; /* what is mounted, or what it would start on */
	char *next;               /* the release that it switches to at its next start, or NULL */
	size_t conflicts;         /* files that wait for a decision (brig merge) */
	struct run_kept kept;     /* for a rollback */
	char *kept_why;           /* why it is not known how much that is, or NULL */
	uint32_t idbase;
	size_t procs;
	struct os_usage use;
	struct services svc;
	size_t svc_up, svc_failed;
	bool degraded; /* one that the jail's rc starts is among the failed */
};

static void
view_free(struct view *v)
{
	services_free(&v->svc);
	free(v->name);
	free(v->why);
	free(v->template);
	free(v->release);
	free(v->next);
	run_kept_free(&v->kept);
	free(v->kept_why);
	jailspec_free(v->spec);
	if (v->has_state)
		state_free(&v->st);
}

/* ---- gathering ---- */

static void
read_services(const struct store *s, struct view *v)
{
	if (!v->spec || !v->alive)
		return;
	services_read(s, v->name, v->spec->service.n, &v->svc);
	for (size_t i = 0; i < v->svc.n; i++) {
		struct service_status *one = &v->svc.v[i];
		bool failed = streq(one->state, "failed");

		if (i < v->spec->service.n)
			one->command = xstrdup(v->spec->service.v[i]);
		v->svc_up += service_is_up(one);
		v->svc_failed += failed;
		v->degraded |= failed && i >= v->spec->service.n;
	}
}

static void
read_release(const struct store *s, struct view *v)
{
	struct err e = ERR_INIT;
	struct record rec = {0};
	dev_t dev;
	ino_t ino;

	if (v->alive) {
		if (v->spec && v->spec->root == ROOT_TEMPLATE &&
		    os_jail_root(&v->st.ref, &dev, &ino, &e) >= 0)
			(void)release_by_inode(s, dev, ino, &v->template, &v->release, &e);
	}
	if (record_read(s, v->name, &rec, &e) > 0) {
		v->idbase = rec.idbase;
		v->conflicts = rec.n_conflict;
		if (rec.change == RECORD_PREPARED)
			v->next = TAKE_PTR(rec.change_other);
		if (!v->alive && rec.template) {
			v->template = TAKE_PTR(rec.template);
			v->release = TAKE_PTR(rec.release);
		}
		record_free(&rec);
	}
	if (v->has_state && v->st.idbase)
		v->idbase = v->st.idbase;
}

static const char *
state_word(const struct view *v)
{
	if (v->has_state && v->alive) {
		if (v->st.phase == PHASE_STARTING)
			return "starting";
		if (v->st.phase == PHASE_STOPPING)
			return "stopping";
		return v->degraded ? "degraded" : v->svc_failed ? "failed" : "running";
	}
	/* ended by itself, or its start or stop was killed: brig cleans up at its next command as root */
	if (v->has_state)
		return "ended";
	if (v->damaged)
		return "damaged";
	return v->why ? "invalid" : "stopped";
}

/* detail: also how much it takes, which means to look at all of it. */
static void
fill(struct cli *cli, struct view *v, bool detail)
{
	const struct store *s = &cli->store;
	struct os_id id = {s->tag, v->name, v->has_state ? v->st.jid : 0};
	struct err e = ERR_INIT, kept = ERR_INIT;

	v->use = (struct os_usage){-1, -1, -1};
	v->alive = v->has_state && os_jail_alive(&v->st.ref) > 0;
	if (v->has_state) {
		jailspec_free(v->spec);
		v->spec = NULL;
		if (spec_from_params(v->name, &v->st.params, s->base, &v->spec, &e) < 0 && !v->why)
			v->why = xstrdup(e.msg);
	}
	read_services(s, v);
	read_release(s, v);
	/* the table has no room for it */
	if ((detail || cli->json) && run_kept(s, v->name, v->spec, detail, &v->kept, &kept) < 0)
		v->kept_why = xstrdup(kept.msg);
	if (v->alive) {
		_auto_strv struct strv lines = STRV_INIT;

		if (os_jail_pids(&v->st.ref, &lines, &v->procs, &e) < 0)
			v->procs = 0;
		(void)os_limit_usage(&id, &v->use, &e);
	}
	v->state = state_word(v);
}

struct views {
	struct view *v;
	size_t n, cap;
};

static struct view *
views_find(struct views *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (streq(all->v[i].name, name))
			return &all->v[i];
	return NULL;
}

static struct view *
views_add(struct views *all, const char *name)
{
	struct view *v = views_find(all, name);

	if (v)
		return v;
	GROW(all->v, all->n, all->cap);
	all->v[all->n] = (struct view){.name = xstrdup(name)};
	return &all->v[all->n++];
}

static void
views_free(struct views *all)
{
	for (size_t i = 0; i < all->n; i++)
		view_free(&all->v[i]);
	free(all->v);
}

static void
add_configured(struct cli *cli, struct views *all)
{
	const struct strv *labels = conf_jails(cli->conf);

	for (size_t i = 0; i < labels->n; i++) {
		struct err e = ERR_INIT;
		struct jailspec *spec = NULL;
		struct view *v;

		if (conf_jail(cli->conf, labels->v[i], &spec, &e) < 0) {
			v = views_add(all, labels->v[i]);
			if (!v->why)
				v->why = xstrdup(e.msg);
		} else {
			v = views_add(all, spec->name);
			if (v->spec)
				jailspec_free(spec);
			else
				v->spec = spec;
		}
		v->configured = true;
	}
}

/* Whether it runs is not known; the message says what takes it away. */
static void
add_damaged(struct cli *cli, struct view *v)
{
	struct err why = ERR_INIT;
	struct state st = {0};

	v->damaged = state_read(&cli->store, v->name, &st, &why) < 0;
	state_free(&st);
	if (v->damaged) {
		free(v->why);
		v->why = xstrdup(why.msg);
	}
}

static int
gather(struct cli *cli, struct views *all, struct err *e)
{
	_auto_strv struct strv records = STRV_INIT;
	_auto_strv struct strv damaged = STRV_INIT;
	struct state *st = NULL;
	size_t n = 0;
	int r;

	if (cli->conf)
		add_configured(cli, all);
	r = state_list_all(&cli->store, false, &st, &n, &damaged, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < damaged.n; i++)
		add_damaged(cli, views_add(all, damaged.v[i]));
	for (size_t i = 0; i < n; i++) {
		struct view *v = views_add(all, st[i].name);

		if (v->has_state)
			state_free(&v->st);
		v->st = st[i];
		v->has_state = true;
	}
	free(st);
	r = record_list(&cli->store, &records, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < records.n; i++)
		(void)views_add(all, records.v[i]);
	return 0;
}

/* ---- words for people ---- */

static char *
address_text(const struct spec_addr *a)
{
	char text[INET6_ADDRSTRLEN] = "?";

	(void)inet_ntop(a->family, &a->addr, text, sizeof(text));
	return xstrdup(text);
}

static char *
addresses_text(const struct jailspec *s, bool all)
{
	_auto_buf struct buf b = BUF_INIT;

	if (!s)
		return xstrdup("-");
	for (size_t i = 0; i < s->n_addrs && (all || i == 0); i++) {
		_auto_free char *a = address_text(&s->addrs[i]);

		buf_addf(&b, "%s%s", i ? ", " : "", a);
	}
	if (!all && s->n_addrs > 1)
		buf_addf(&b, " +%zu", s->n_addrs - 1);
	if (s->n_addrs == 0)
		buf_adds(&b, s->vnet                                              ? "vnet"
			     : s->ip4 == SHARE_INHERIT || s->ip6 == SHARE_INHERIT ? "host's"
										  : "-");
	return buf_take(&b);
}

static char *
release_text(const struct view *v)
{
	if (v->template)
		return xasprintf("%s/%s%s%s", v->template, v->release ? v->release : "?",
				 v->next ? ", next " : "", v->next ? v->next : "");
	return xstrdup(v->spec && v->spec->root == ROOT_PATH ? "path" : "-");
}

static char *
services_text(const struct view *v)
{
	if (v->svc.n == 0)
		return xstrdup("-");
	if (v->svc_failed)
		return xasprintf("%zu/%zu, %zu failed", v->svc_up, v->svc.n, v->svc_failed);
	return xasprintf("%zu/%zu", v->svc_up, v->svc.n);
}

static char *
uptime_text(const struct view *v)
{
	return v->alive && v->st.started > 0 ? out_duration((int64_t)time(NULL) - v->st.started)
					     : xstrdup("-");
}

static void
print_table(const struct views *all)
{
	static const char *const titles[] = {"NAME", "STATE", "JID",    "RELEASE", "ADDRESS",
					     "UP",   "PROCS", "MEMORY", "SERVICES"};
	struct table t = {.n_cols = ARRAY_LEN(titles), .titles = titles, .align = "llrlllrrl"};

	for (size_t i = 0; i < all->n; i++) {
		const struct view *v = &all->v[i];
		_auto_free char *jid = v->alive ? xasprintf("%d", v->st.jid) : xstrdup("-");
		_auto_free char *rel = release_text(v), *addr = addresses_text(v->spec, false);
		_auto_free char *up = uptime_text(v), *svc = services_text(v);
		_auto_free char *procs = v->alive ? xasprintf("%zu", v->procs) : xstrdup("-");
		_auto_free char *mem = v->use.memory >= 0 ? out_size((uint64_t)v->use.memory) : xstrdup("-");

		table_row(&t, v->name, v->state, jid, rel, addr, up, procs, mem, svc);
	}
	table_print(&t, stdout);
	table_free(&t);
}

/* ---- one jail ---- */

static void line(const char *what, const char *fmt, ...) _printf_(2, 3);

static void
line(const char *what, const char *fmt, ...)
{
	_auto_free char *raw = NULL, *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	raw = xvasprintf(fmt, ap);
	va_end(ap);
	text = text_printable(raw, 4096);
	printf("  %-14s %s\n", what, text);
}

static void
with_limit(const char *what, const char *used, const char *limit)
{
	if (limit)
		line(what, "%s of %s", used, limit);
	else
		line(what, "%s", used);
}

static void
print_use(const struct view *v)
{
	_auto_free char *mem = v->use.memory >= 0 ? out_size((uint64_t)v->use.memory) : NULL;
	_auto_free char *procs = xasprintf("%zu", v->procs);
	_auto_free char *mem_max = v->spec && v->spec->limit.memory ? out_size(v->spec->limit.memory) : NULL;
	_auto_free char *pids_max =
	    v->spec && v->spec->limit.pids ? xasprintf("%" PRIu64, v->spec->limit.pids) : NULL;
	_auto_free char *cpu = NULL;

	with_limit("processes", procs, pids_max);
	if (mem || mem_max)
		with_limit("memory", mem ? mem : "?", mem_max);
	if (v->use.cpu_ns >= 0)
		cpu = xasprintf("%.1f s used", (double)v->use.cpu_ns / 1e9);
	if (v->spec && v->spec->limit.cpu)
		line("cpu", "%s%sat most %.2f CPUs", cpu ? cpu : "", cpu ? ", " : "",
		     (double)v->spec->limit.cpu / 1000);
	else if (cpu)
		line("cpu", "%s", cpu);
	if (v->spec && v->spec->limit.io_bps) {
		_auto_free char *io = out_size(v->spec->limit.io_bps);

		line("io", "at most %s a second", io);
	}
}

static void
print_services(const struct view *v)
{
	for (size_t i = 0; i < v->svc.n; i++) {
		const struct service_status *s = &v->svc.v[i];
		_auto_free char *since =
		    s->since ? out_duration((int64_t)time(NULL) - s->since) : xstrdup("?");
		_auto_buf struct buf b = BUF_INIT;

		buf_addf(&b, "%s: %s", s->command, s->state);
		if (streq(s->state, "up"))
			buf_addf(&b, " for %s, pid %d inside", since, s->pid);
		if (s->restarts)
			buf_addf(&b, ", restarted %d time%s", s->restarts, s->restarts == 1 ? "" : "s");
		if (s->restarts && s->last > 0)
			buf_addf(&b, ", last exit status %d", s->last);
		line(i ? "" : "services", "%s", b.s);
	}
}

static void
print_network(const struct jailspec *s)
{
	_auto_free char *addrs = addresses_text(s, true);
	_auto_buf struct buf b = BUF_INIT;

	line("addresses", "%s", addrs);
	for (size_t i = 0; i < s->n_rdr; i++)
		buf_addf(&b, "%s%s %u to %u", i ? ", " : "", s->rdr[i].proto == IPPROTO_UDP ? "udp" : "tcp",
			 s->rdr[i].host_port, s->rdr[i].jail_port);
	if (s->n_rdr)
		line("redirections", "%s", b.s);
}

static char *
space_text(const struct cli *cli, const struct view *v)
{
	static const char *const kind[] = {"", "image ", "device ", "tmpfs "};
	const struct jailspec *s = v->spec;

	if (s->root != ROOT_TEMPLATE)
		return NULL;
	if (s->space == SPACE_DIR && !s->space_arg)
		return xasprintf("%s/js/%s", cli->store.base, v->name);
	return xasprintf("%s%s", kind[s->space], s->space_arg ? s->space_arg : "");
}

/* What a jail was started with comes before what the configuration says now. */
static const char *
hostname_of(const struct view *v)
{
	return v->has_state && v->st.hostname ? v->st.hostname : v->spec ? v->spec->hostname : NULL;
}

static const char *
path_of(const struct view *v)
{
	return v->has_state && v->st.path ? v->st.path : v->spec ? v->spec->path : NULL;
}

static char *
log_name(const struct cli *cli, const struct view *v)
{
	const char *own = v->has_state ? v->st.consolelog : v->spec ? v->spec->consolelog : NULL;

	return own ? xstrdup(own) : xasprintf("%s/%s.log", cli->store.log, v->name);
}

/* "2 changes, 81M (to r2, r1)" */
static void
print_kept(const struct view *v)
{
	const struct run_kept *k = &v->kept;
	_auto_free char *size = out_size(k->bytes), *to = strv_join(&k->to, ", ");

	if (k->changes == 0)
		return;
	line("rollback", "%zu change%s, %s%s%s%s%s%s", k->changes, k->changes == 1 ? "" : "s",
	     v->kept_why ? v->kept_why : size, k->not_counted ? " beside " : "", k->not_counted ? k->not_counted : "",
	     k->to.n ? " (to " : "", to, k->to.n ? ")" : "");
}

/* The last lines of the console log, made printable one by one. */
static void
print_last_lines(const char *path)
{
	_auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char buf[8192];
	struct stat st;
	ssize_t n;
	char *p, *end;
	int lines = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return;
	n = pread(fd, buf, sizeof(buf) - 1,
		  st.st_size > (off_t)sizeof(buf) - 1 ? st.st_size - (off_t)sizeof(buf) + 1 : 0);
	if (n <= 0)
		return;
	buf[n] = '\0';
	end = buf + n;
	if (end[-1] == '\n')
		*--end = '\0';
	for (p = end; p > buf && lines < LAST_LINES; p--)
		lines += p[-1] == '\n';
	if (lines == LAST_LINES)
		p++;
	puts("  last lines");
	for (char *save = NULL, *l = strtok_r(p, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		_auto_free char *text = text_printable(l, 400);

		printf("    %s\n", text);
	}
}

static void
print_detail(const struct cli *cli, const struct view *v)
{
	_auto_free char *up = uptime_text(v), *log = log_name(cli, v), *rel = release_text(v);
	_auto_free char *name = text_printable(v->name, NAME_MAX_LEN);
	const struct jailspec *s = v->spec;

	printf("%s: %s", name, v->state);
	if (v->alive)
		printf(", JID %d, up %s", v->st.jid, up);
	puts(v->configured ? "" : " (not in the configuration)");
	if (v->why)
		line("problem", "%s", v->why);
	if (s) {
		_auto_free char *space = space_text(cli, v), *depend = strv_join(&s->depend, " ");

		line("hostname", "%s", hostname_of(v) ? hostname_of(v) : "");
		line("path", "%s", path_of(v) ? path_of(v) : "");
		if (s->root == ROOT_TEMPLATE)
			line("release", "%s", rel);
		if (v->conflicts)
			line("conflicts", "%zu (brig merge %s)", v->conflicts, name);
		print_kept(v);
		if (space)
			line("jailspace", "%s", space);
		print_network(s);
		if (s->depend.n)
			line("depends on", "%s", depend);
	}
	if (v->idbase)
		line("ids", "%u to %u", v->idbase, v->idbase + ID_COUNT - 1);
	if (v->alive) {
		line("first process", "%" PRId64, v->st.ref.pid);
		print_use(v);
		print_services(v);
	}
	line("console log", "%s", log);
	print_last_lines(log);
}

/* ---- JSON ---- */

static json_t *
services_json(const struct view *v)
{
	json_t *a = json_array();

	for (size_t i = 0; i < v->svc.n; i++) {
		const struct service_status *s = &v->svc.v[i];
		_auto_free char *command = text_printable(s->command, 4096);

		(void)json_array_append_new(a, json_pack("{s:s, s:s, s:i, s:i, s:I, s:i}", "command", command,
							 "state", s->state, "pid", s->pid, "restarts",
							 s->restarts, "since", (json_int_t)s->since,
							 "last_status", s->last));
	}
	return a;
}

static json_t *
addresses_json(const struct jailspec *s)
{
	json_t *a = json_array();

	for (size_t i = 0; s && i < s->n_addrs; i++) {
		_auto_free char *text = address_text(&s->addrs[i]);

		(void)json_array_append_new(a, json_string(text));
	}
	return a;
}

static void
json_put(json_t *o, const char *key, const char *text)
{
	_auto_free char *shown = NULL;

	if (!text)
		return;
	if (json_object_set_new(o, key, json_string(text)) == 0)
		return;
	shown = text_printable(text, 4096);
	(void)json_object_set_new(o, key, json_string(shown));
}

static void
json_put_int(json_t *o, const char *key, int64_t v)
{
	if (v >= 0)
		(void)json_object_set_new(o, key, json_integer(v));
}

/* bytes: of jails that were named. */
static json_t *
kept_json(const struct view *v, bool detail)
{
	json_t *o = json_object(), *to = json_array();

	(void)json_object_set_new(o, "changes", json_integer((json_int_t)v->kept.changes));
	for (size_t i = 0; i < v->kept.to.n; i++)
		(void)json_array_append_new(to, json_string(v->kept.to.v[i]));
	(void)json_object_set_new(o, "to", to);
	if (detail && !v->kept_why)
		(void)json_object_set_new(o, "bytes", json_integer((json_int_t)v->kept.bytes));
	json_put(o, "not_counted", v->kept.not_counted);
	json_put(o, "problem", v->kept_why);
	return o;
}

static json_t *
view_json(const struct cli *cli, const struct view *v, bool detail)
{
	json_t *o = json_object();
	_auto_free char *log = log_name(cli, v);

	json_put(o, "name", v->name);
	json_put(o, "state", v->state);
	(void)json_object_set_new(o, "configured", json_boolean(v->configured));
	json_put(o, "problem", v->why);
	json_put(o, "template", v->template);
	json_put(o, "release", v->release);
	json_put(o, "next_release", v->next);
	json_put_int(o, "conflicts", (int64_t)v->conflicts);
	(void)json_object_set_new(o, "rollback", kept_json(v, detail));
	json_put(o, "hostname", hostname_of(v));
	json_put(o, "path", path_of(v));
	(void)json_object_set_new(o, "addresses", addresses_json(v->spec));
	json_put_int(o, "idbase", v->idbase ? (int64_t)v->idbase : -1);
	json_put(o, "console_log", log);
	if (v->alive) {
		json_put_int(o, "jid", v->st.jid);
		json_put_int(o, "pid", v->st.ref.pid);
		json_put_int(o, "started", v->st.started);
		json_put_int(o, "processes", (int64_t)v->procs);
		json_put_int(o, "memory", v->use.memory);
		json_put_int(o, "cpu_ns", v->use.cpu_ns);
		(void)json_object_set_new(o, "services", services_json(v));
	}
	return o;
}

/* ---- the command ---- */

/* Leaves the jails that were named; a JID is understood for a running one. */
static int
keep_named(const struct cli *cli, struct views *all, int argc, char **argv)
{
	struct views kept = {0};
	int status = 0;

	for (int i = 0; i < argc; i++) {
		struct view *v = views_find(all, argv[i]);
		struct err e = ERR_INIT;
		int jid;

		for (size_t k = 0; !v && num_int(argv[i], 1, INT_MAX, &jid) == 0 && k < all->n; k++)
			if (all->v[k].has_state && all->v[k].st.jid == jid)
				v = &all->v[k];
		if (!v && views_find(&kept, argv[i]))
			continue;
		if (!v) {
			(void)err_set(&e, ENOENT, "no such jail (brig status lists all)");
			status = cli_fail(cli, argv[i], &e);
			continue;
		}
		GROW(kept.v, kept.n, kept.cap);
		kept.v[kept.n++] = *v;
		*v = (struct view){.name = xstrdup("")};
	}
	views_free(all);
	*all = kept;
	return status;
}

static int
print_views(const struct cli *cli, const struct views *all, bool detail)
{
	json_t *a;

	if (cli->json) {
		a = json_array();
		for (size_t i = 0; i < all->n; i++)
			(void)json_array_append_new(a, view_json(cli, &all->v[i], detail));
		return cli_json(a);
	}
	if (!detail) {
		print_table(all);
		for (size_t i = 0; i < all->n; i++)
			if (all->v[i].damaged)
				cli_warn(cli, "%s", all->v[i].why);
		return 0;
	}
	for (size_t i = 0; i < all->n; i++) {
		if (i)
			putchar('\n');
		print_detail(cli, &all->v[i]);
	}
	return 0;
}

static int
status_main(struct cli *cli, int argc, char **argv)
{
	struct views all = {0};
	struct err e = ERR_INIT;
	int status = 0, r = cli_conf(cli, true);

	if (r)
		return r;
	r = cli_store(cli, STORE_READ);
	if (r == 0)
		r = cli_recover(cli);
	if (r)
		return r;
	if (gather(cli, &all, &e) < 0) {
		views_free(&all);
		return cli_error(cli, &e);
	}
	if (argc > 0)
		status = keep_named(cli, &all, argc, argv);
	for (size_t i = 0; i < all.n; i++)
		fill(cli, &all.v[i], argc > 0);
	r = all.n || argc == 0 ? print_views(cli, &all, argc > 0) : 0;
	views_free(&all);
	return status ? status : r;
}

const struct command cmd_status = {
    .name = "status",
    .usage = "[NAME...]",
    .help = "Shows every configured and running jail, or some of them in detail.",
    .words = WORDS_JAIL,
    .run = status_main,
};
