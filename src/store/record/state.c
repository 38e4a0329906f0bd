/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "store/record/state.h"

#define STATE_MAX (1 << 20)
#define JID_MAX 999999

static const char *const phase_names[] = {"starting", "running", "stopping"};

void
state_free(struct state *st)
{
	free(st->name);
	free(st->template);
	free(st->release);
	free(st->path);
	free(st->hostname);
	free(st->consolelog);
	free(st->ip4);
	params_free(&st->params);
	*st = (struct state){0};
}

/* "lo1|10.0.0.1/24 broadcast 10.0.0.255" -> "10.0.0.1"; the first of several.  NULL: there is none. */
static char *
first_ip4(const struct params *p)
{
	const struct param *addr = params_get(p, "ip4.addr");
	const char *v = addr && addr->values.n ? addr->values.v[0] : "";
	const char *bar = strchr(v, '|');
	size_t n;

	if (bar && bar < v + strcspn(v, ","))
		v = bar + 1;
	v += strspn(v, " \t");
	n = strcspn(v, "/, \t");
	return n ? xstrndup(v, n) : NULL;
}

static json_t *
params_to_json(const struct params *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->n; i++) {
		json_t *values = json_array();

		for (size_t k = 0; k < p->v[i].values.n; k++) {
			/* not checked here: state_write() fails with a message for what is not UTF-8 */
			json_array_append_new(values, json_string_nocheck(p->v[i].values.v[k]));
		}
		json_array_append_new(list, json_pack("{s:s, s:o}", "name", p->v[i].name, "values", values));
	}
	return list;
}

static int
params_from_json(json_t *list, struct params *ret)
{
	json_t *one, *v;
	size_t i, k;

	json_array_foreach(list, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "name"));
		struct param *p;

		if (!name)
			return -EINVAL;
		p = params_set(ret, name);
		json_array_foreach(json_object_get(one, "values"), k, v)
		{
			if (!json_is_string(v))
				return -EINVAL;
			strv_add(&p->values, json_string_value(v));
		}
	}
	return 0;
}

/* params must be the last member: cut_params() relies on it. */
static json_t *
state_to_json(const struct state *st)
{
	_auto_free char *ip4 = first_ip4(&st->params);

	return json_pack(
	    "{s:s, s:i, s:s, s:I, s:I, s:I, s:s, s:I, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:I, s:b, s:o}",
	    "name", st->name, "jid", st->jid, "phase", phase_names[st->phase], "pid", (json_int_t)st->ref.pid,
	    "start", (json_int_t)st->ref.start, "ns", (json_int_t)st->ref.ns, "boot", st->ref.boot, "idbase",
	    (json_int_t)st->idbase, "template", st->template, "release", st->release, "path", st->path,
	    "hostname", st->hostname, "ip4", ip4, "consolelog", st->consolelog, "started",
	    (json_int_t)st->started, "ephemeral", st->ephemeral, "params", params_to_json(&st->params));
}

static int
phase_of(const char *text, enum state_phase *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(phase_names); i++) {
		if (streq(text, phase_names[i])) {
			*ret = (enum state_phase)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int
state_from_json(json_t *j, struct state *st)
{
	const char *name, *phase, *boot, *template = NULL, *release = NULL, *path = NULL, *hostname = NULL,
					 *consolelog = NULL, *ip4 = NULL;
	json_int_t pid, start, ns, idbase, started;
	int ephemeral;
	json_t *params = NULL;

	if (json_unpack(
		j, "{s:s, s:i, s:s, s:I, s:I, s:I, s:s, s:I, s?s, s?s, s?s, s?s, s?s, s?s, s:I, s:b, s?o}",
		"name", &name, "jid", &st->jid, "phase", &phase, "pid", &pid, "start", &start, "ns", &ns,
		"boot", &boot, "idbase", &idbase, "template", &template, "release", &release, "path", &path,
		"hostname", &hostname, "ip4", &ip4, "consolelog", &consolelog, "started", &started,
		"ephemeral", &ephemeral, "params", &params) < 0 ||
	    phase_of(phase, &st->phase) < 0 || !name_ok(name))
		return -EINVAL;
	st->name = xstrdup(name);
	st->ref.pid = pid;
	st->ref.start = (uint64_t)start;
	st->ref.ns = (uint64_t)ns;
	(void)snprintf(st->ref.boot, sizeof(st->ref.boot), "%s", boot);
	st->idbase = (uint32_t)idbase;
	st->template = xstrdup_null(template);
	st->release = xstrdup_null(release);
	st->path = xstrdup_null(path);
	st->hostname = xstrdup_null(hostname);
	st->ip4 = xstrdup_null(ip4);
	st->consolelog = xstrdup_null(consolelog);
	st->started = started;
	st->ephemeral = ephemeral;
	return params_from_json(params, &st->params);
}

/* Cuts off the last member, params, which is most of the text.  Only a member of the outermost object can
 * stand at the beginning of a line behind one blank; a text that is not as state_write() writes it is left
 * alone. */
static void
cut_params(char *text, size_t *len)
{
	char *p = strstr(text, ",\n \"params\": ");

	if (!p)
		return;
	p[0] = '}';
	p[1] = '\0';
	*len = (size_t)(p + 1 - text);
}

/* The file is not as state_write() writes it. */
static int
damaged(const struct store *s, const char *jail, const char *file, struct err *e)
{
	return err_set(e, EINVAL,
		       "state of jail %s: %s/jail/%s is damaged (brig stop --force %s takes the jail away)",
		       jail, s->run, file, jail);
}

/* 0: there is no such file. */
static int
read_file(const struct store *s, const char *jail, const char *file, bool brief, struct state *ret,
	  struct err *e)
{
	_auto_free char *text = NULL;
	struct state st = {0};
	json_error_t je;
	size_t len;
	json_t *j;
	int r = fsx_read_at(s->jail_fd, file, STATE_MAX, &text, &len, e);

	if (r == -ENOENT || r == -ENOTDIR) {
		err_clear(e);
		return 0;
	}
	if (r == -EINVAL || r == -EFBIG || r == -ELOOP)
		return damaged(s, jail, file, e);
	if (r < 0)
		return r;
	if (brief)
		cut_params(text, &len);
	j = json_loadb(text, len, 0, &je);
	r = j ? state_from_json(j, &st) : -EINVAL;
	json_decref(j);
	if (r < 0 || !streq(st.name, jail)) {
		state_free(&st);
		return damaged(s, jail, file, e);
	}
	*ret = st;
	return 1;
}

static int
read_state(const struct store *s, const char *jail, bool brief, struct state *ret, struct err *e)
{
	_auto_free char *file = xasprintf("%s/" STATE_FILE, jail),
			*shown = xasprintf("%s/" STATE_SHOWN, jail);
	int r;

	if (s->jail_fd < 0)
		return 0;
	r = read_file(s, jail, file, brief, ret, e);
	if (r == -EACCES) {
		err_clear(e);
		r = read_file(s, jail, shown, brief, ret, e);
	}
	return r < 0 && r != -EINVAL ? err_wrap(e, "state of jail %s", jail) : r;
}

int
state_read_shown(const struct store *s, const char *jail, struct state *ret, struct err *e)
{
	_auto_free char *shown = xasprintf("%s/" STATE_SHOWN, jail);

	return s->jail_fd < 0 ? 0 : read_file(s, jail, shown, true, ret, e);
}

int
state_read(const struct store *s, const char *jail, struct state *ret, struct err *e)
{
	return read_state(s, jail, false, ret, e);
}

int
state_dir(const struct store *s, const char *jail, int *ret_fd, struct err *e)
{
	return fsx_mkdir_open(s->jail_fd, jail, 0755, ret_fd, e);
}

int
state_write(const struct store *s, const struct state *st, struct err *e)
{
	_auto_close int dir = -EBADF;
	_auto_free char *text = NULL;
	json_t *j = state_to_json(st);
	size_t len;
	int r;

	text = j ? json_dumps(j, JSON_INDENT(1)) : NULL;
	json_decref(j);
	if (!text)
		return err_set(e, EILSEQ, "state of jail %s: a parameter is not valid UTF-8", st->name);
	len = strlen(text);
	r = state_dir(s, st->name, &dir, e);
	if (r == 0)
		r = fsx_write_atomic(dir, STATE_FILE, &(struct fsx_file){text, len, 0600}, 0, e);
	cut_params(text, &len);
	if (r == 0 && st->phase == PHASE_RUNNING)
		r = fsx_write_atomic(dir, STATE_SHOWN, &(struct fsx_file){text, len, 0644}, 0, e);
	return r < 0 ? err_wrap(e, "state of jail %s", st->name) : 0;
}

/* Removes the link last: a link without a state is reused by the next claim; a state without its link could
 * not be found by JID. */
int
state_remove(const struct store *s, const char *jail, struct err *e)
{
	_auto_free char *file = xasprintf("%s/" STATE_FILE, jail);
	struct state st;
	int found = state_read(s, jail, &st, e);

	err_clear(e);
	if (s->jail_fd < 0)
		return 0;
	/* a directory of that name is removed with the rest below */
	if (unlinkat(s->jail_fd, file, 0) < 0 && errno != ENOENT && errno != ENOTDIR && errno != EISDIR)
		return err_sys(e, errno, "remove the state of jail %s", jail);
	/* service records, hosts file, temporary files of a killed command */
	if (fsx_rm_rf_at(s->jail_fd, jail, e) < 0)
		return err_wrap(e, "state of jail %s", jail);
	if (found > 0) {
		char link[16];

		(void)snprintf(link, sizeof(link), "%d", st.jid);
		(void)unlinkat(s->jid_fd, link, 0);
		state_free(&st);
	}
	return 0;
}

static int
by_jid(const void *a, const void *b)
{
	const struct state *x = a, *y = b;

	return (x->jid > y->jid) - (x->jid < y->jid);
}

/* The names in RUN/jail, RUN/jid or RUN/hosts. */
static int
names_in(int at, struct strv *ret, struct err *e)
{
	_auto_closedir DIR *dir = NULL;
	struct dirent *de;
	int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return err_sys(e, errno, "read the run directory");
	}
	while ((errno = 0, de = readdir(dir)))
		if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
			strv_add(ret, de->d_name);
	return errno ? err_sys(e, errno, "read the run directory") : 0;
}

struct states {
	struct state *v;
	size_t n, cap;
};

/* The name of a jail whose state is damaged is added to `damaged`: the others are listed all the same. */
static int
add_states(const struct store *s, const struct strv *names, bool brief, struct states *ret,
	   struct strv *damaged, struct err *e)
{
	for (size_t i = 0; i < names->n; i++) {
		struct err one = ERR_INIT;
		struct state st;
		int r = name_ok(names->v[i]) ? read_state(s, names->v[i], brief, &st, &one) : 0;

		if (r < 0 && r != -EINVAL) {
			*e = one;
			return r;
		}
		if (r < 0 && damaged)
			strv_add(damaged, names->v[i]);
		if (r <= 0)
			continue;
		GROW(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = st;
	}
	return 0;
}

static int
list_states(const struct store *s, bool brief, struct state **ret, size_t *ret_n, struct strv *damaged,
	    struct err *e)
{
	_auto_strv struct strv names = STRV_INIT;
	struct states all = {0};
	int r = s->jail_fd < 0 ? 0 : names_in(s->jail_fd, &names, e);

	*ret = NULL;
	*ret_n = 0;
	if (r == 0)
		r = add_states(s, &names, brief, &all, damaged, e);
	if (r < 0) {
		while (all.n > 0)
			state_free(&all.v[--all.n]);
		free(all.v);
		return r;
	}
	if (all.n > 1)
		qsort(all.v, all.n, sizeof(*all.v), by_jid);
	*ret = all.v;
	*ret_n = all.n;
	return 0;
}

int
state_list(const struct store *s, struct state **ret, size_t *ret_n, struct err *e)
{
	return list_states(s, false, ret, ret_n, NULL, e);
}

int
state_list_brief(const struct store *s, struct state **ret, size_t *ret_n, struct err *e)
{
	return list_states(s, true, ret, ret_n, NULL, e);
}

int
state_list_all(const struct store *s, bool brief, struct state **ret, size_t *ret_n, struct strv *damaged,
	       struct err *e)
{
	return list_states(s, brief, ret, ret_n, damaged, e);
}

/* The name that a JID's link has; 1 found. */
static int
jid_name(const struct store *s, const char *jid, char name[NAME_MAX_LEN + 1], struct err *e)
{
	ssize_t len;

	if (s->jid_fd < 0)
		return 0;
	len = readlinkat(s->jid_fd, jid, name, NAME_MAX_LEN + 1);
	if (len < 0 && errno != ENOENT && errno != EINVAL)
		return err_sys(e, errno, "%s/jid/%s", s->run, jid);
	if (len <= 0 || len > NAME_MAX_LEN)
		return 0;
	name[len] = '\0';
	return name_ok(name);
}

int
state_jid_of(const struct store *s, const char *jail, int *ret, struct err *e)
{
	_auto_strv struct strv links = STRV_INIT;
	int r = s->jid_fd < 0 ? 0 : names_in(s->jid_fd, &links, e);

	for (size_t i = 0; r == 0 && i < links.n; i++) {
		char name[NAME_MAX_LEN + 1];

		if (num_int(links.v[i], 1, JID_MAX, ret) < 0)
			continue;
		r = jid_name(s, links.v[i], name, e);
		r = r > 0 ? streq(name, jail) : r;
	}
	return r;
}

int
state_remove_jid(const struct store *s, int jid, struct err *e)
{
	char link[16];

	(void)snprintf(link, sizeof(link), "%d", jid);
	return unlinkat(s->jid_fd, link, 0) < 0 && errno != ENOENT
		   ? err_sys(e, errno, "%s/jid/%s", s->run, link)
		   : 0;
}

int
state_find(const struct store *s, const char *name_or_jid, struct state *ret, struct err *e)
{
	char name[NAME_MAX_LEN + 1];
	int r = 0;

	if (name_ok(name_or_jid))
		r = state_read(s, name_or_jid, ret, e);
	if (r != 0 || !*name_or_jid || strspn(name_or_jid, "0123456789") != strlen(name_or_jid))
		return r;
	r = jid_name(s, name_or_jid, name, e);
	return r > 0 ? state_read(s, name, ret, e) : r;
}

/* 1: the JID belongs to a jail that has a state, also a damaged one; 0: it is free, and its link, left
 * without a state, is removed. */
static int
jid_taken(const struct store *s, int jid, struct err *e)
{
	char link[16], name[NAME_MAX_LEN + 1];
	struct state st;
	int r;

	(void)snprintf(link, sizeof(link), "%d", jid);
	r = jid_name(s, link, name, e);
	if (r > 0)
		r = state_read(s, name, &st, e);
	if (r > 0) {
		r = st.jid == jid;
		state_free(&st);
	} else if (r == -EINVAL) {
		err_clear(e);
		r = 1;
	}
	if (r != 0)
		return r;
	return unlinkat(s->jid_fd, link, 0) < 0 && errno != ENOENT
		   ? err_sys(e, errno, "%s/jid/%s", s->run, link)
		   : 0;
}

static int
tidy_jids(const struct store *s, const struct state *list, size_t n, struct err *e)
{
	_auto_strv struct strv links = STRV_INIT;
	_auto_close int lock = -EBADF;
	int r = names_in(s->jid_fd, &links, e);

	for (size_t i = 0; r == 0 && i < links.n; i++) {
		bool tmp = str_after(links.v[i], ".tmp.");
		struct state key = {0};

		if (!tmp && (num_int(links.v[i], 1, JID_MAX, &key.jid) < 0 ||
			     (n > 0 && bsearch(&key, list, n, sizeof(*list), by_jid))))
			continue;
		if (lock < 0)
			r = store_lock_wait(s, "registry", &lock, e);
		if (r == 0 && tmp)
			r = fsx_tidy_at(s->jid_fd, "last", e);
		else if (r == 0) /* removes the link if there is no state */
			r = jid_taken(s, key.jid, e) < 0 ? -e->num : 0;
	}
	return r;
}

static int
name_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
tidy_dirs(const struct store *s, const struct state *list, size_t n, struct err *e)
{
	_auto_free const char **known = xcalloc(n, sizeof(*known));
	_auto_strv struct strv dirs = STRV_INIT;
	int r = names_in(s->jail_fd, &dirs, e);

	for (size_t i = 0; i < n; i++)
		known[i] = list[i].name;
	if (n > 1)
		qsort(known, n, sizeof(*known), name_order);
	for (size_t i = 0; r == 0 && i < dirs.n; i++) {
		_auto_free char *file = xasprintf("%s/" STATE_FILE, dirs.v[i]);
		_auto_close int lock = -EBADF;
		const char *name = dirs.v[i];

		if ((n > 0 && bsearch(&name, known, n, sizeof(*known), name_order)) || !name_ok(name))
			continue;
		if (store_lock_try(s, "jail", name, &lock, e) < 0)
			err_clear(e); /* somebody works on it */
		else if ((r = fsx_look(s->jail_fd, file, NULL)) == 0)
			r = fsx_rm_rf_at(s->jail_fd, name, e);
		else
			r = r < 0 ? err_sys(e, -r, "%s/jail/%s", s->run, file) : 0;
	}
	return r;
}

static int
tidy_hosts(const struct store *s, struct err *e)
{
	_auto_strv struct strv files = STRV_INIT;
	_auto_close int lock = -EBADF;
	int r = names_in(s->hosts_fd, &files, e);

	for (size_t i = 0; r == 0 && i < files.n; i++) {
		if (!str_after(files.v[i], ".tmp."))
			continue;
		r = store_lock_wait(s, "hosts", &lock, e);
		if (r == 0)
			r = fsx_tidy_at(s->hosts_fd, "hosts", e);
		if (r == 0)
			r = fsx_tidy_at(s->hosts_fd, "resolv.conf", e);
		break;
	}
	return r;
}

int
state_tidy(const struct store *s, const struct state *list, size_t n, struct err *e)
{
	int r = tidy_jids(s, list, n, e);

	if (r == 0)
		r = tidy_hosts(s, e);
	return r < 0 ? r : tidy_dirs(s, list, n, e);
}

static int
next_jid(const struct store *s, int *ret, struct err *e)
{
	_auto_free char *text = NULL;
	struct err ignore = ERR_INIT;
	int last = 0;

	if (fsx_read_at(s->jid_fd, "last", 32, &text, NULL, &ignore) < 0 ||
	    num_int(text, 0, JID_MAX, &last) < 0)
		last = 0;
	for (int i = 0; i < JID_MAX; i++) {
		char num[16];
		int taken;

		last = last % JID_MAX + 1;
		taken = jid_taken(s, last, e);
		if (taken < 0)
			return taken;
		if (taken)
			continue;
		(void)snprintf(num, sizeof(num), "%d", last);
		*ret = last;
		return fsx_write_text(s->jid_fd, "last", num, 0644, 0, e);
	}
	return err_set(e, ENOSPC, "no available jail IDs");
}

int
state_next_jid(const struct store *s, int *ret, struct err *e)
{
	_auto_close int lock = -EBADF;
	int r = store_lock_wait(s, "registry", &lock, e);

	return r < 0 ? r : next_jid(s, ret, e);
}

int
state_claim(const struct store *s, struct state *st, int want_jid, struct err *e)
{
	_auto_close int lock = -EBADF;
	char link[16];
	int r = store_lock_wait(s, "registry", &lock, e);

	if (r < 0)
		return r;
	if (want_jid > 0)
		r = jid_taken(s, want_jid, e);
	if (r > 0)
		return err_set(e, EEXIST, "jail %d already exists", want_jid);
	st->jid = want_jid;
	if (r == 0 && want_jid <= 0)
		r = next_jid(s, &st->jid, e);
	if (r < 0)
		return r;
	(void)snprintf(link, sizeof(link), "%d", st->jid);
	if (symlinkat(st->name, s->jid_fd, link) < 0)
		return err_sys(e, errno, "%s/jid/%s", s->run, link);
	r = state_write(s, st, e);
	if (r < 0)
		(void)unlinkat(s->jid_fd, link, 0);
	return r;
}
