/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf/ on whole files: t_conf_corpus DIRECTORY.  Each NAME.jail.conf or NAME.rc.conf (with NAME.fstab) gives
 * what NAME.out has: errors, warnings, the base, the jails as jail.conf.  What is printed must read back as
 * the same.  With BRIG_GOLDEN=write in the environment the .out files are made anew.
 */
#include "conf_help.h"

#include <dirent.h>

#include "conf/value.h"

static char *
no_real(void *ctx, const char *path)
{
	(void)ctx;
	return xstrdup(path);
}

/* Files of the directory, nothing else of the host. */
static int
corpus_glob(void *ctx, const char *pattern, struct strv *ret)
{
	return *pattern == '/' ? 0 : conf_files.glob(ctx, pattern, ret);
}

static int
corpus_read(void *ctx, const char *path, char **ret_text, size_t *ret_len)
{
	return *path == '/' ? -ENOENT : conf_files.read(ctx, path, ret_text, ret_len);
}

static struct conf *
corpus_new(void)
{
	struct conf_input in = {corpus_read, corpus_glob, no_real, mem_resolve, NULL, NULL};

	return conf_new(&in, "/var/lib/brig", false);
}

static void
add_messages(struct buf *b, const struct conf *c, bool warnings)
{
	size_t n = warnings ? conf_n_warnings(c) : conf_n_errors(c);

	for (size_t i = 0; i < n; i++) {
		const struct conf_error *e = warnings ? conf_warning_at(c, i) : conf_error_at(c, i);

		buf_addf(b, "%s:%d:%d: %s%s\n", e->file, e->line, e->col, warnings ? "warning: " : "",
			 e->text);
	}
}

static struct conf *
read_case(const char *file)
{
	struct conf *c = corpus_new();
	size_t len = strlen(file), cut = strlen(".rc.conf");

	conf_read(c, file, CONF_AUTO);
	if (len > cut && streq(file + len - cut, ".rc.conf")) {
		_auto_free char *fstab = xasprintf("%.*s.fstab", (int)(len - cut), file);

		if (access(fstab, R_OK) == 0)
			conf_read(c, fstab, CONF_AUTO);
	}
	conf_finish(c);
	return c;
}

/* Jails without an error are shown also when others have one. */
static char *
outcome(struct conf *c)
{
	struct buf b = BUF_INIT;

	add_messages(&b, c, false);
	add_messages(&b, c, true);
	buf_addf(&b, "base %s\n", conf_base(c));
	for (size_t i = 0; i < conf_jails(c)->n; i++) {
		struct jailspec *s = NULL;
		struct err e = ERR_INIT;
		_auto_free char *text = NULL;

		if (conf_jail(c, conf_jails(c)->v[i], &s, &e) < 0) {
			buf_addf(&b, "\n%s: cannot be used\n", conf_jails(c)->v[i]);
			continue;
		}
		text = conf_print_jail(s);
		buf_addf(&b, "\n%s", text);
		jailspec_free(s);
	}
	return buf_take(&b);
}

/* Every field of a specification, for comparison. */
static char *
fields(const struct jailspec *s)
{
	struct buf b = BUF_INIT;
	const unsigned char *allow = (const unsigned char *)&s->allow;

	buf_addf(&b, "%s %s %d root %d %s %s/%s space %d %s %ju\n", s->name, s->label, s->jid, s->root,
		 s->path, s->template ? s->template : "-", s->release ? s->release : "-", s->space,
		 s->space_arg ? s->space_arg : "-", (uintmax_t)s->space_size);
	buf_addf(&b, "host %d %s %s %s %s ipc %d\n", s->host, s->hostname,
		 s->domainname ? s->domainname : "-", s->hostuuid ? s->hostuuid : "-",
		 s->hostid ? s->hostid : "-", s->sysvipc);
	buf_addf(&b, "net %d %d vnet %d nat %d if %s\n", s->ip4, s->ip6, s->vnet, s->nat,
		 s->interface ? s->interface : "-");
	for (size_t i = 0; i < s->n_addrs; i++) {
		_auto_free char *text = addr_text(&s->addrs[i]);

		buf_addf(&b, "addr %s/%d %s\n", text, s->addrs[i].prefix,
			 s->addrs[i].interface ? s->addrs[i].interface : "-");
	}
	for (size_t i = 0; i < s->n_rdr; i++)
		buf_addf(&b, "rdr %d %u %u\n", s->rdr[i].proto, s->rdr[i].host_port, s->rdr[i].jail_port);
	for (size_t i = 0; i < s->n_listen; i++)
		buf_addf(&b, "listen %d %d %u %s\n", s->listen[i].proto, s->listen[i].family,
			 s->listen[i].port, s->listen[i].name ? s->listen[i].name : "-");
	for (size_t i = 0; i < EXEC_N + 4; i++) {
		const struct strv *lists[] = {&s->service, &s->health, &s->depend, &s->vnet_interface};
		_auto_free char *text = strv_join(i < EXEC_N ? &s->exec[i] : lists[i - EXEC_N], "\n\t");

		buf_addf(&b, "list %zu %s\n", i, text);
	}
	for (size_t i = 0; i < s->n_mounts; i++)
		buf_addf(&b, "mount '%s' '%s' %s %s\n", s->mounts[i].source, s->mounts[i].target,
			 s->mounts[i].type, s->mounts[i].options);
	buf_addf(&b, "exec %d %d %s %s %d %d %s persist %d\n", s->exec_clean, s->system_jail_user,
		 s->jail_user ? s->jail_user : "-", s->system_user ? s->system_user : "-", s->exec_timeout,
		 s->stop_timeout, s->consolelog ? s->consolelog : "-", s->persist);
	buf_addf(&b, "fs %d %d %d %d %d %d\nallow", s->mount_devfs, s->mount_fdescfs, s->mount_procfs,
		 s->devfs_ruleset, s->enforce_statfs, s->securelevel);
	for (size_t i = 0; i < sizeof(s->allow); i++)
		buf_addf(&b, " %d", allow[i]);
	buf_addf(&b, "\nlimit %ju %ju %ju %ju\n", (uintmax_t)s->limit.memory, (uintmax_t)s->limit.pids,
		 (uintmax_t)s->limit.cpu, (uintmax_t)s->limit.io_bps);
	return buf_take(&b);
}

static void
assert_same_jail(struct conf *a, struct conf *b, const char *label)
{
	struct jailspec *x = spec_of(a, label), *y = spec_of(b, label), *z = NULL;
	_auto_free char *fx = fields(x), *fy = fields(y), *fz = NULL;
	struct err e = ERR_INIT;

	assert_string_equal(fx, fy);
	/* And from what would be recorded of it.  The edge to a parent jail is the configuration's. */
	if (spec_from_params(x->name, &x->params, conf_base(a), &z, &e) < 0)
		fail_msg("%s", e.msg);
	free(z->label);
	z->label = xstrdup(x->label);
	if (params_get(&x->params, "depend") == NULL)
		strv_copy(&z->depend, &x->depend);
	fz = fields(z);
	assert_string_equal(fx, fz);
	jailspec_free(x);
	jailspec_free(y);
	jailspec_free(z);
}

static void
round_trip(const char *file)
{
	struct conf *c = read_case(file), *again = NULL;
	struct err e = ERR_INIT;
	_auto_free char *first = conf_print_all(c, &e);
	struct mem_file printed[2] = {{"/printed", first, 0}, {NULL, NULL, 0}};

	if (!first) {
		assert_true(conf_n_errors(c) > 0);
		conf_free(c);
		return;
	}
	again = load_files(printed, NULL, false, 1);
	assert_errors(again, "");
	assert_string_equal(conf_base(c), conf_base(again));
	assert_int_equal(conf_jails(c)->n, conf_jails(again)->n);
	for (size_t i = 0; i < conf_jails(c)->n; i++)
		assert_same_jail(c, again, conf_jails(c)->v[i]);
	conf_free(again);
	conf_free(c);
}

static void
compare(const char *file, const char *got)
{
	_auto_free char *name = xstrdup(file);
	_auto_free char *golden = NULL, *want = NULL;
	const char *mode = getenv("BRIG_GOLDEN");
	size_t len = 0;
	FILE *f;

	*strchr(name, '.') = '\0';
	golden = xasprintf("%s.out", name);
	if (mode && streq(mode, "write")) {
		f = fopen(golden, "w");
		assert_non_null(f);
		fputs(got, f);
		fclose(f);
		return;
	}
	if (conf_files.read(NULL, golden, &want, &len) < 0)
		fail_msg("%s is missing", golden);
	if (!streq(got, want))
		fail_msg("%s: got\n%s\nwanted\n%s", file, got, want);
}

static struct strv files;

static void
corpus(void **state)
{
	(void)state;
	for (size_t i = 0; i < files.n; i++) {
		struct conf *c = read_case(files.v[i]);
		_auto_free char *got = outcome(c);

		compare(files.v[i], got);
		conf_free(c);
	}
}

static void
round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < files.n; i++)
		round_trip(files.v[i]);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(corpus), cmocka_unit_test(round_trips)};
	DIR *d;
	int r;

	if (argc != 2 || chdir(argv[1]) < 0 || !(d = opendir("."))) {
		fprintf(stderr, "usage: t_conf_corpus DIRECTORY\n");
		return 2;
	}
	for (struct dirent *e; (e = readdir(d));)
		if (fnmatch("*.jail.conf", e->d_name, 0) == 0 || fnmatch("*.rc.conf", e->d_name, 0) == 0)
			strv_add(&files, e->d_name);
	closedir(d);
	strv_sort(&files);
	if (files.n < 10) {
		fprintf(stderr, "t_conf_corpus: %s: the corpus is not there\n", argv[1]);
		return 1;
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	strv_free(&files);
	return r;
}
