/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/path.h"
#include "run/switch.h"
#include "seal.h"
#include "walks_lab.h"

struct store lab_store;
const char *const lab_name[JAILS] = {"db", "www", "mail"};
struct jailspec *lab_spec[JAILS];
char *lab_top;
static char *lab_images;
static ino_t root_of[2];
static bool image[JAILS];

#define MUST(cond)                                                                            \
	do {                                                                                  \
		if (!(cond)) {                                                                \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #cond, e.msg); \
			abort();                                                              \
		}                                                                             \
	} while (0)

/* ---- files ---- */

static void
put(const char *dir, const char *name, const char *text)
{
	_auto_free char *path = xasprintf("%s/%s/%s", lab_top, dir, name);
	_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct err e = ERR_INIT;

	MUST(fd >= 0 && fsx_write_all(fd, text, strlen(text)) == 0);
}

static void
make_dirs(const char *rel)
{
	_auto_free char *path = xasprintf("%s/%s", lab_top, rel);
	struct err e = ERR_INIT;

	MUST(fsx_mkdir_p(path, 0755, &e) == 0);
}

/* Content of a small file; NULL when it is missing. */
static char *
text_of(const char *dir, const char *name)
{
	_auto_free char *path =
	    *dir == '/' ? xasprintf("%s/%s", dir, name) : xasprintf("%s/%s/%s", lab_top, dir, name);
	struct err e = ERR_INIT;
	char *text;

	return fsx_read_at(AT_FDCWD, path, 65536, &text, NULL, &e) < 0 ? NULL : text;
}

static bool
says(const char *dir, const char *name, const char *want)
{
	_auto_free char *text = text_of(dir, name);

	return want ? text && streq(text, want) : !text;
}

static char *
names_in(const char *rel)
{
	_auto_free char *path = xasprintf("%s/%s", lab_top, rel);
	_auto_closedir DIR *d = opendir(path);
	_auto_strv struct strv all = STRV_INIT;
	struct dirent *de;

	while (d && (de = readdir(d)))
		if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
			strv_add(&all, de->d_name);
	strv_sort(&all);
	return all.n ? strv_join(&all, " ") : xstrdup("");
}

static void
empty(const char *rel, const char *but)
{
	_auto_free char *path = *rel == '/' ? xstrdup(rel) : xasprintf("%s/%s", lab_top, rel);
	_auto_close int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_auto_closedir DIR *d = opendir(path);
	struct err e = ERR_INIT;
	struct dirent *de;

	while (d && (de = readdir(d)))
		if (!streq(de->d_name, ".") && !streq(de->d_name, "..") && !streq(de->d_name, but))
			MUST(fsx_rm_rf_at(at, de->d_name, &e) == 0);
}

/* ---- releases: files that stay, are replaced, merged, come, go and clash ---- */

static void
make_release(int n)
{
	_auto_free char *dir = xasprintf("base/templates/mroot/%s", n == 0 ? R1 : R2);
	_auto_free char *etc = xasprintf("%s/skel/etc", dir), *root = xasprintf("%s/root", dir);
	_auto_free char *root_path = xasprintf("%s/%s", lab_top, root);
	_auto_free char *link = xasprintf("%s/%s/link", lab_top, etc), *whole = xasprintf("%s/%s", lab_top, dir);
	struct err e = ERR_INIT;
	struct stat st;

	make_dirs(etc);
	make_dirs(root);
	put(dir, "rules", "move etc\nconfig etc\nhook create - new\nhook before - before\nhook after - after\n");
	put(etc, "same", "same\n");
	put(etc, "version", n == 0 ? "1\n" : "2\n");
	put(etc, "conf", n == 0 ? "a\nb\nc\nd\ne\n" : "a\nb\nc\nd\nE\n");
	put(etc, "clash", n == 0 ? "one\n" : "two\n");
	put(etc, n == 0 ? "old" : "new", "text\n");
	MUST(symlink(n == 0 ? "old" : "new", link) == 0);
	MUST(seal_release(whole, &e) == 0);
	MUST(stat(root_path, &st) == 0);
	root_of[n] = st.st_ino;
}

ino_t
lab_root(const char *release)
{
	return root_of[streq(release, R2)];
}

/* ---- jails ---- */

static void
set(struct params *p, const char *name, const char *value)
{
	struct param *one = params_set(p, name);

	if (value)
		strv_add(&one->values, value);
}

static void
make_spec(int i)
{
	_auto_free char *start = xasprintf("start %s", lab_name[i]),
			*stop = xasprintf("stop %s", lab_name[i]);
	_auto_free char *file = xasprintf("image:%s/%s", lab_images, lab_name[i]);
	struct params p = PARAMS_INIT;
	struct err e = ERR_INIT;

	set(&p, "template", "mroot");
	set(&p, "persist", NULL);
	set(&p, "exec.start", start);
	set(&p, "exec.stop", stop);
	if (i == WWW) {
		set(&p, "depend", "db");
		set(&p, "health", "healthy");
		set(&p, "ip4.addr", "10.9.8.7");
		set(&p, "listen", "tcp 80");
	}
	if (i != DB)
		set(&p, "service", "serve");
	if (image[i]) {
		set(&p, "space", file);
		set(&p, "space.size", "1M");
	}
	jailspec_free(lab_spec[i]);
	MUST(spec_from_params(lab_name[i], &p, lab_store.base, &lab_spec[i], &e) == 0);
	params_free(&p);
}

void
lab_use_image(int jail)
{
	image[jail] = true;
	make_spec(jail);
}

void
lab_use_directory(int jail)
{
	image[jail] = false;
	make_spec(jail);
}

/* What runs in a jail never sees the files of another release. */
static void
look_at_run(const struct fake_run *run)
{
	_auto_free char *dir = xasprintf("base/js/%s/etc", run->name), *version = text_of(dir, "version");
	int on = run->ino == root_of[1];

	if (version && !streq(version, on ? "2\n" : "1\n"))
		fake_say_wrong("%s: '%s' runs on release %s with the files of the other one", run->name,
			       run->command ? run->command : "services", on ? R2 : R1);
}

void
lab_open(void)
{
	char shm[] = "/dev/shm/brig-walks.XXXXXX", tmp[] = "/tmp/brig-walks.XXXXXX";
	char images[] = "/tmp/brig-walks.XXXXXX"; /* where it can be: another file system */
	_auto_free char *base = NULL, *run = NULL;
	struct err e = ERR_INIT;

	lab_top = xstrdup(mkdtemp(shm) ? shm : mkdtemp(tmp) ? tmp : "");
	MUST(*lab_top);
	make_dirs("base");
	make_dirs("run");
	MUST(mkdtemp(images));
	lab_images = xstrdup(images);
	make_release(0);
	make_release(1);
	base = xasprintf("%s/base", lab_top);
	run = xasprintf("%s/run", lab_top);
	{
		_auto_free char *current = xasprintf("%s/base/templates/mroot/current", lab_top);

		MUST(symlink(R1, current) == 0);
	}
	MUST(store_open(base, run, STORE_CREATE, &lab_store, &e) == 0);
	for (int i = 0; i < JAILS; i++)
		make_spec(i);
	fake_reset();
	fake_on_run(look_at_run);
}

static void
remove_all(char *path)
{
	_auto_free char *parent = xstrdup(path);
	char *slash = strrchr(parent, '/');
	_auto_close int at = -EBADF;
	struct err e = ERR_INIT;

	*slash = '\0';
	at = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)fsx_rm_rf_at(at, slash + 1, &e);
	free(path);
}

void
lab_close(void)
{
	for (int i = 0; i < JAILS; i++)
		jailspec_free(lab_spec[i]);
	store_close(&lab_store);
	remove_all(lab_top);
	remove_all(lab_images);
}

void
lab_wipe(void)
{
	const char *const all[] = {lab_images, "base/j",    "base/js/.brig/ids", "run/jail",
				   "run/jid",  "run/hosts", "run/lock",          "run/log"};

	empty("base/js", ".brig");
	empty("base/js/.brig", "ids");
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		empty(all[i], "");
	fake_reset();
}

void
lab_reboot(bool run_too)
{
	static const char *const all[] = {"run/jail", "run/jid", "run/hosts", "run/lock"};

	fake_reboot();
	for (size_t i = 0; run_too && i < ARRAY_LEN(all); i++)
		empty(all[i], "");
}

void
lab_make(int i, bool run)
{
	_auto_free char *etc = xasprintf("base/js/%s/etc", lab_name[i]);
	struct err e = ERR_INIT;

	MUST(run_create(&lab_store, lab_spec[i], NULL, &e) == RUN_CREATE_MADE);
	if (!image[i]) {
		put(etc, "conf", "A\nb\nc\nd\ne\n");
		put(etc, "clash", "mine\n");
	}
	if (run)
		MUST(run_start(&lab_store, lab_spec[i], NULL, NULL, &e) == 0);
}

/* ---- the next command ---- */

static void
start_again(const char *name, struct buf *out)
{
	struct err e = ERR_INIT;
	int i = 0;

	while (i < JAILS - 1 && !streq(lab_name[i], name))
		i++;
	if (run_start(&lab_store, lab_spec[i], NULL, NULL, &e) >= 0)
		return;
	if (!lab_runs(i)) /* otherwise it went back */
		buf_addf(out, "next command: %s was not started again: %s\n", name, e.msg);
	err_clear(&e);
	if (run_give_up_restart(&lab_store, name, &e) < 0)
		buf_addf(out, "next command: %s: %s\n", name, e.msg);
}

char *
lab_next_command(void)
{
	struct run_recovered done = {0};
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	buf_adds(&out, "");
	if (run_recover(&lab_store, NULL, &done, &e) < 0)
		buf_addf(&out, "next command: %s\n", e.msg);
	for (size_t i = 0; i < done.failed.n; i++)
		buf_addf(&out, "next command: %s\n", done.failed.v[i]);
	for (size_t i = 0; i < done.restart.n; i++)
		start_again(done.restart.v[i], &out);
	strv_free(&done.cleaned);
	strv_free(&done.said);
	strv_free(&done.restart);
	strv_free(&done.failed);
	return buf_take(&out);
}

/* ---- what must be so ---- */

static const char *
release_of_root(const struct state *st)
{
	struct err e = ERR_INIT;
	dev_t dev;
	ino_t ino;

	if (os_jail_root(&st->ref, &dev, &ino, &e) < 0)
		return "?";
	return ino == root_of[0] ? R1 : ino == root_of[1] ? R2 : "?";
}

/* Of a jail in an image: the fake host's directory for it, which nobody has changed a file in. */
static char *
etc_of(int i)
{
	_auto_free char *path = xasprintf("%s/%s", lab_images, lab_name[i]);
	struct stat st;

	if (!image[i])
		return xasprintf("base/js/%s/etc", lab_name[i]);
	return stat(path, &st) < 0
		   ? xstrdup("none")
		   : xasprintf("%s/.fake-%llu/etc", lab_images, (unsigned long long)st.st_ino);
}

static void
check_files(int i, const char *release, const struct lab_want *w, struct buf *wrong)
{
	_auto_free char *etc = etc_of(i), *link = *etc == '/' ? xasprintf("%s/link", etc)
							      : xasprintf("%s/%s/link", lab_top, etc);
	bool two = streq(release, R2), own = !image[i] && !w->pristine;
	char target[8] = "";
	const struct {
		const char *name, *want;
	} files[] = {
	    {"same", "same\n"},
	    {"version", two ? "2\n" : "1\n"},
	    {"conf", own   ? two ? "A\nb\nc\nd\nE\n" : "A\nb\nc\nd\ne\n"
		     : two ? "a\nb\nc\nd\nE\n"
			   : "a\nb\nc\nd\ne\n"},
	    {"clash", own   ? "mine\n"
		      : two ? "two\n"
			    : "one\n"},
	    {"old", two ? NULL : "text\n"},
	    {"new", two ? "text\n" : NULL},
	};

	for (size_t k = 0; k < ARRAY_LEN(files); k++)
		if (!says(etc, files[k].name, files[k].want) &&
		    !(w->decided && streq(files[k].name, "clash")))
			buf_addf(wrong, "%s: etc/%s is not that of release %s\n", lab_name[i], files[k].name,
				 release);
	if (readlink(link, target, sizeof(target) - 1) < 0 || !streq(target, two ? "new" : "old"))
		buf_addf(wrong, "%s: etc/link is not that of release %s\n", lab_name[i], release);
}

/* Then what its changes keep is in the image. */
static bool
image_is_elsewhere(int i)
{
	struct stat a, b;

	return image[i] && stat(lab_top, &a) == 0 && stat(lab_images, &b) == 0 && a.st_dev != b.st_dev;
}

static void
check_record(int i, const struct record *rec, const struct lab_want *w, struct buf *wrong)
{
	_auto_free char *dir = xasprintf("base/js/.brig/change/%s", lab_name[i]), *kept = names_in(dir);
	_auto_free char *mark = xasprintf("%s/base/js/.brig/switch/%s", lab_top, lab_name[i]);
	_auto_buf struct buf want = BUF_INIT;
	bool prepared = rec->change == RECORD_PREPARED;
	bool waits = streq(rec->release, R2) && !image[i];

	if (rec->change != RECORD_SETTLED && !(prepared && w->prepared))
		buf_addf(wrong, "%s: its record is not settled (%d)\n", lab_name[i], (int)rec->change);
	if (!(w->on & (streq(rec->release, R2) ? ON_R2 : ON_R1)))
		buf_addf(wrong, "%s: is on release %s\n", lab_name[i], rec->release);
	if (!w->decided && (record_conflict(rec, "etc/clash") != NULL) != waits)
		buf_addf(wrong, "%s: %s on release %s\n", lab_name[i],
			 waits ? "the conflict is forgotten" : "has a conflict", rec->release);
	if (rec->change == RECORD_SETTLED && access(mark, F_OK) == 0)
		buf_addf(wrong, "%s: still marked as unfinished\n", lab_name[i]);
	buf_adds(&want, "");
	for (size_t k = 0; k < rec->n_undo; k++) /* the nodes of one in an image are in there */
		buf_addf(&want, image_is_elsewhere(i) ? "%s%u.json" : "%s%u %u.json", want.len ? " " : "",
			 rec->undo[k].id, rec->undo[k].id);
	if (!prepared && !streq(kept, want.s))
		buf_addf(wrong, "%s: left of changes: '%s', should be '%s'\n", lab_name[i], kept, want.s);
	if (rec->n_undo != (streq(rec->release, R2) ? 1u : 0u) && !w->decided)
		buf_addf(wrong, "%s: %zu changes to go back over, on release %s\n", lab_name[i], rec->n_undo,
			 rec->release);
}

bool
lab_runs(int i)
{
	struct err e = ERR_INIT;
	struct state st;
	bool yes = state_read(&lab_store, lab_name[i], &st, &e) == 1;

	if (yes) {
		yes = st.phase == PHASE_RUNNING && os_jail_alive(&st.ref);
		state_free(&st);
	}
	return yes;
}

static void
check_jail(int i, const struct lab_want *w, struct buf *wrong)
{
	_auto_(record_free) struct record rec = {0};
	_auto_close int lock = -EBADF;
	struct state st = {0};
	struct err e = ERR_INIT;
	int recorded = record_read(&lab_store, lab_name[i], &rec, &e);
	int stated = state_read(&lab_store, lab_name[i], &st, &e);
	bool runs = lab_runs(i);
	unsigned is = runs ? RUNNING : recorded == 1 ? STOPPED : ABSENT;

	if (recorded < 0 || stated < 0)
		buf_addf(wrong, "%s: %s\n", lab_name[i], e.msg);
	if (!(w->is & is))
		buf_addf(wrong, "%s: %s\n", lab_name[i],
			 is == RUNNING   ? "runs"
			 : is == STOPPED ? "does not run"
					 : "is not there");
	if (stated == 1 && !runs)
		buf_addf(wrong, "%s: has a state, and does not run\n", lab_name[i]);
	if (fake_living(lab_name[i]) != (runs ? 1 : 0))
		buf_addf(wrong, "%s: %zu instances live\n", lab_name[i], fake_living(lab_name[i]));
	if (runs && (recorded != 1 || !streq(release_of_root(&st), rec.release) || !st.release ||
		     !streq(st.release, rec.release)))
		buf_addf(wrong, "%s: runs on %s, its state says %s, its record %s\n", lab_name[i],
			 release_of_root(&st), st.release ? st.release : "-",
			 rec.release ? rec.release : "-");
	for (int k = 0; runs && rec.change == RECORD_SETTLED && k < PENDING_N; k++)
		if (rec.pending.v[k].n > 0)
			buf_addf(wrong, "%s: runs, and '%s' waits still\n", lab_name[i], rec.pending.v[k].v[0]);
	if (runs && rec.change == RECORD_SETTLED && rec.upgrade_from)
		buf_addf(wrong, "%s: runs, and exec.upgrade waits still\n", lab_name[i]);
	if (recorded == 1)
		check_record(i, &rec, w, wrong);
	if (recorded == 1)
		check_files(i, rec.release, w, wrong);
	if (store_lock_try(&lab_store, "jail", lab_name[i], &lock, &e) < 0)
		buf_addf(wrong, "%s: is locked\n", lab_name[i]);
	state_free(&st);
}

static void
check_names(const char *dir, const char *want, struct buf *wrong)
{
	_auto_free char *now = names_in(dir);

	if (!streq(now, want))
		buf_addf(wrong, "%s has '%s', should have '%s'\n", dir, now, want);
}

/* Names of all jails that are (or that run), sorted, after the words in front and behind. */
static char *
joined(const char *front, bool running, const char *behind, bool (*pick)(int i))
{
	_auto_strv struct strv all = STRV_INIT;

	for (int i = 0; i < JAILS; i++) {
		_auto_(record_free) struct record rec = {0};
		struct err e = ERR_INIT;

		if ((running ? lab_runs(i) : record_read(&lab_store, lab_name[i], &rec, &e) == 1) &&
		    (!pick || pick(i)))
			strv_addf(&all, "%s%s", lab_name[i], behind);
	}
	if (*front)
		strv_add(&all, front);
	strv_sort(&all);
	return all.n ? strv_join(&all, " ") : xstrdup("");
}

static bool
in_directory(int i)
{
	return !image[i];
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The host has what the running jails need, and nothing else. */
static void
check_host(struct buf *wrong)
{
	static const char *const kinds[] = {"group", "jail", "network", "redirections"};
	_auto_strv struct strv lines = STRV_INIT;
	_auto_free char *now = fake_dump(), *want = NULL, *hosts = text_of("run/hosts", "hosts");
	_auto_free char *jids = NULL, *links = names_in("run/jid");
	_auto_strv struct strv jid = STRV_INIT;

	for (int i = 0; i < JAILS; i++) {
		struct err e = ERR_INIT;
		struct state st;

		if (!lab_runs(i) || state_read(&lab_store, lab_name[i], &st, &e) != 1)
			continue;
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
			strv_addf(&lines, "%s %s %d\n", kinds[k], lab_name[i], st.jid);
		strv_addf(&jid, "%d", st.jid);
		state_free(&st);
	}
	if (lines.n)
		qsort(lines.v, lines.n, sizeof(*lines.v), by_text);
	want = lines.n ? strv_join(&lines, "") : xstrdup("");
	if (!streq(now, want))
		buf_addf(wrong, "the host has\n%sand should have\n%s", now, want);
	strv_add(&jid, "last");
	strv_sort(&jid);
	jids = strv_join(&jid, " ");
	if (!streq(links, jids) && !(jid.n == 1 && !*links))
		buf_addf(wrong, "run/jid has '%s', should have '%s'\n", links, jids);
	if ((hosts && strstr(hosts, "#www")) != lab_runs(WWW))
		buf_addf(wrong, "run/hosts/hosts %s\n", lab_runs(WWW) ? "lacks www" : "still has www");
	if (*fake_wrong())
		buf_addf(wrong, "%s\n", fake_wrong());
}

void
lab_check(const struct lab_want want[JAILS], struct buf *wrong)
{
	_auto_free char *js = joined(".brig", false, "", in_directory), *run = joined("", true, "", NULL);
	_auto_free char *j = joined("", false, "", NULL), *marks = names_in("base/js/.brig");
	_auto_free char *log = names_in("run/hosts");

	for (int i = 0; i < JAILS; i++)
		check_jail(i, &want[i], wrong);
	check_names("base/js", js, wrong);
	check_names("base/j", j, wrong);
	check_names("run/jail", run, wrong);
	if (strstr(marks, ".tmp") || strstr(marks, ".new"))
		buf_addf(wrong, "base/js/.brig has '%s'\n", marks);
	if (strstr(log, ".tmp"))
		buf_addf(wrong, "run/hosts has '%s'\n", log);
	check_host(wrong);
}

void
lab_check_stops(struct buf *wrong)
{
	_auto_free char *next = NULL, *left = NULL;
	struct err e = ERR_INIT;

	for (int i = JAILS; i-- > 0;)
		if (lab_runs(i) && run_stop(&lab_store, lab_name[i], lab_spec[i], 0, NULL, &e) < 0)
			buf_addf(wrong, "stopping %s: %s\n", lab_name[i], e.msg);
	next = lab_next_command();
	buf_adds(wrong, next);
	for (int i = 0; i < JAILS; i++)
		if (lab_runs(i))
			buf_addf(wrong, "%s: was stopped, and is started again\n", lab_name[i]);
	left = fake_dump();
	if (*left)
		buf_addf(wrong, "all jails are stopped, and the host has\n%s", left);
}
