/* SPDX-License-Identifier: BSD-2-Clause */
/* store/record: what is read and refused, who may read it, which ids and numbers are free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "scratch.h"
#include "store/record/ids.h"
#include "store/record/record.h"
#include "store/record/state.h"

#define RECORD "base/js/.brig/www.json"

static int
each(void **state)
{
	return geteuid() == 0 ? scratch_setup(state) : 0;
}

static int
done(void **state)
{
	return geteuid() == 0 ? scratch_teardown(state) : 0;
}

static mode_t
mode_of(const char *path)
{
	_auto_free char *p = at(path);
	struct stat st;

	return lstat(p, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* ---- records ---- */

static int
read_text(const char *text, struct record *ret)
{
	struct err err = ERR_INIT;

	*ret = (struct record){0};
	put(RECORD, text, 0600);
	return record_read(&store, "www", ret, &err);
}

static void
refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "{}",
	    "[]",
	    "{\"idbase\": \"1\"}",
	    "{\"idbase\": -1}",
	    "{\"idbase\": -65536}",
	    "{\"idbase\": 4294901760}", /* its last id would be (uid_t)-1 */
	    "{\"idbase\": 4294967295}",
	    "{\"idbase\": 4294967296}",
	    "{\"idbase\": 1, \"template\": 1}",
	    /* a change is about a number and another release, and is one of three */
	    "{\"idbase\": 1, \"change\": \"apply\"}",
	    "{\"idbase\": 1, \"change\": \"apply\", \"change_id\": 1}",
	    "{\"idbase\": 1, \"change\": \"apply\", \"change_other\": \"x\"}",
	    "{\"idbase\": 1, \"change\": \"apply\", \"change_id\": 0, \"change_other\": \"x\"}",
	    "{\"idbase\": 1, \"change\": \"settled\", \"change_id\": 1, \"change_other\": \"x\"}",
	    "{\"idbase\": 1, \"change\": \"later\", \"change_id\": 1, \"change_other\": \"x\"}",
	    "{\"idbase\": 1, \"undo\": [{}]}",
	    "{\"idbase\": 1, \"undo\": [{\"id\": 0, \"from\": \"a\", \"to\": \"b\"}]}",
	    "{\"idbase\": 1, \"undo\": [{\"id\": -1, \"from\": \"a\", \"to\": \"b\"}]}",
	    "{\"idbase\": 1, \"undo\": [{\"id\": 1, \"to\": \"b\"}]}",
	    "{\"idbase\": 1, \"undo\": [{\"id\": 1, \"from\": \"a\", \"to\": \"b\", \"when\": \"x\"}]}",
	    "{\"idbase\": 1, \"conflicts\": [{}]}",
	    "{\"idbase\": 1, \"regenerate\": [1]}",
	};
	static const char *const good[] = {
	    "{\"idbase\": 0}",
	    "{\"idbase\": 4294901759}",
	    "{\"idbase\": 1, \"change\": \"prepared\", \"change_id\": 1, \"change_other\": \"x\"}",
	    "{\"idbase\": 1, \"change\": \"apply\", \"change_id\": 1, \"change_other\": \"x\"}",
	    "{\"idbase\": 1, \"change\": \"revert\", \"change_id\": 1, \"change_other\": \"x\"}",
	    "{\"idbase\": 1, \"undo\": [{\"id\": 1, \"from\": \"a\", \"to\": \"b\"}]}",
	    "{\"idbase\": 1, \"undo\": [{\"id\": 1, \"from\": \"a\", \"to\": \"b\", \"when\": 1}]}",
	};
	struct record r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (read_text(bad[i], &r) != -EINVAL)
			fail_msg("not refused: %s", bad[i]);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (read_text(good[i], &r) != 1)
			fail_msg("refused: %s", good[i]);
		record_free(&r);
	}
	/* none is 0; one that cannot be read is an error, and no answer */
	assert_int_equal(record_read(&store, "none", &r, &e), 0);
	{
		_auto_free char *file = at(RECORD);

		assert_int_equal(unlink(file), 0);
		assert_int_equal(mkdir(file, 0755), 0);
		assert_int_equal(record_read(&store, "www", &r, &e), -EINVAL);
		assert_int_equal(rmdir(file), 0);
		link_to("www.json", RECORD);
		assert_int_equal(record_read(&store, "www", &r, &e), -ELOOP);
	}
}

static void
secret(void **state)
{
	struct record r = {.idbase = ID_BASE};
	mode_t mask = umask(0);

	(void)state;
	assert_int_equal(record_write(&store, "www", &r, &e), 0);
	(void)umask(mask);
	assert_int_equal(mode_of(RECORD), 0600);
	assert_int_equal(mode_of("base/js"), 0700);
}

/* Whatever a jail has written into a reason, a terminal gets visible ASCII. */
static void
plain_reasons(void **state)
{
	struct record r = {0};
	char why[256], *p = why;

	(void)state;
	for (int ch = 1; ch < 256; ch++)
		*p++ = (char)ch;
	*p = '\0';
	record_add_conflict(&r, "b", "20060601", why);
	record_add_conflict(&r, "c", "20060601", "third");
	record_add_conflict(&r, "a", "20060601", "first");
	record_add_conflict(&r, "c", "20060601", "third again");
	assert_int_equal(r.n_conflict, 3);
	assert_string_equal(r.conflict[0].path, "a");
	assert_string_equal(r.conflict[2].why, "third again");
	for (int ch = 1; ch < 256; ch++)
		assert_int_equal((unsigned char)r.conflict[1].why[ch - 1],
				 ch >= 0x20 && ch < 0x7f ? ch : '?');
	assert_null(record_conflict(&r, "aa"));
	record_remove_conflict(&r, "aa");
	record_remove_conflict(&r, "a");
	assert_int_equal(r.n_conflict, 2);
	assert_non_null(record_conflict(&r, "b"));
	record_free(&r);
}

/* What writers left goes; not that of one who holds the jail's lock. */
static void
left_over(void **state)
{
	_auto_close int lock = -EBADF;

	(void)state;
	put("base/js/.brig/.tmp.www.json.0123456789abcdef", "x", 0600);
	put("base/js/.brig/.tmp.db.json.0123456789abcdef", "x", 0600);
	assert_int_equal(store_lock_try(&store, "jail", "db", &lock, &e), 0);
	/* flock(2) is between openings of the file, also those of one process */
	assert_int_equal(record_tidy(&store, &e), 0);
	assert_false(there("base/js/.brig/.tmp.www.json.0123456789abcdef"));
	assert_true(there("base/js/.brig/.tmp.db.json.0123456789abcdef"));
}

/* ---- ranges of ids ---- */

static uint32_t
new_range(void)
{
	uint32_t start;

	CHECK(record_new_range(&store, &start, &e) == 0);
	return start;
}

static void
over(const char *file, const char *text)
{
	_auto_free char *own = xasprintf("%s/accounts", top);

	put("accounts", text, 0644);
	CHECK(mount(own, file, NULL, MS_BIND, NULL) == 0);
}

static void
cover_all(void)
{
	static const char *const files[] = {"/etc/subuid", "/etc/subgid", "/etc/passwd", "/etc/group"};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		/* a file of its own each: a bind mount is of the inode */
		_auto_free char *name = xasprintf("none%zu", i), *path = at(name);

		put(name, "", 0644);
		CHECK(access(files[i], F_OK) < 0 || mount(path, files[i], NULL, MS_BIND, NULL) == 0);
	}
}

/* What a line of a file does to the range from start on. */
static bool
passed_over(const char *file, const char *text, uint32_t start)
{
	uint32_t got;

	if (access(file, F_OK) < 0)
		return true; /* a host without it */
	over(file, text);
	got = new_range();
	CHECK(umount2(file, MNT_DETACH) == 0);
	return got != start;
}

static void
accounts_body(void)
{
	static const char *const id_files[] = {"/etc/passwd", "/etc/group"}, *const range_files[] = {
										 "/etc/subuid",
										 "/etc/subgid"};
	uint32_t start;

	cover_all();
	start = new_range();
	CHECK(start == new_range());
	for (size_t i = 0; i < ARRAY_LEN(id_files); i++) {
		static const struct {
			int64_t off;
			bool meets;
		} rows[] = {{-1, false},
			    {0, true},
			    {1, true},
			    {12345, true},
			    {ID_COUNT / 2, true},
			    {ID_COUNT - 2, true},
			    {ID_COUNT - 1, true},
			    {ID_COUNT, false}};

		for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
			int64_t n = (int64_t)start + rows[k].off;
			_auto_free char *one = xasprintf("a:x:%" PRId64, n),
					*last = xasprintf(
					    "root:x:0:0::/:/bin/sh\n\nno line\nb:x:y:0\na:x:%" PRId64 ":1",
					    n),
					*first = xasprintf("a:x:%" PRId64 ":%u:rest\nroot:x:0:\n", n, start);

			if (access(id_files[i], F_OK) < 0)
				continue;
			CHECK(passed_over(id_files[i], one, start) == rows[k].meets);
			CHECK(passed_over(id_files[i], last, start) == rows[k].meets);
			CHECK(passed_over(id_files[i], first, start) == rows[k].meets);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(range_files); i++) {
		const struct {
			int64_t off;
			uint32_t n;
			bool meets;
		} rows[] = {{-10, 10, false},
			    {-10, 11, true},
			    {-10, ID_COUNT * 3, true},
			    {0, 1, true},
			    {5, 1, true},
			    {ID_COUNT - 1, 1, true},
			    {ID_COUNT, 10, false},
			    {-1, 1, false},
			    {-1, 2, true},
			    {ID_COUNT + 5, start, false}};

		for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
			int64_t from = (int64_t)start + rows[k].off;
			_auto_free char *one = xasprintf("a:%" PRId64 ":%u\n", from, rows[k].n),
					*last =
					    xasprintf("b:100000:65536\na:%" PRId64 ":%u", from, rows[k].n);

			if (access(range_files[i], F_OK) < 0)
				continue;
			if (passed_over(range_files[i], one, start) != rows[k].meets ||
			    passed_over(range_files[i], last, start) != rows[k].meets) {
				fprintf(stderr, "%s: %s", range_files[i], one);
				_exit(1);
			}
		}
	}
}

static void
accounts(void **state)
{
	(void)state;
	in_namespace(accounts_body);
}

static void
in_range(uint32_t n, const char *holder)
{
	_auto_free char *link = xasprintf("base/js/.brig/ids/%u", n), *path = at(link);

	(void)unlink(path);
	link_to(holder, link);
}

static void
ranges_body(void)
{
	struct record r = {0};
	uint32_t start, n;

	cover_all();
	start = new_range();
	n = (start - ID_BASE) / ID_COUNT;
	CHECK(n < ID_RANGES - 1);
	/* a jail's: taken while it has its record, and the record this range */
	r.idbase = start;
	CHECK(record_write(&store, "www", &r, &e) == 0);
	CHECK(new_range() == start + ID_COUNT);
	in_range(n + 1, "www");
	CHECK(new_range() == start + ID_COUNT); /* it has another one: free again */
	in_range(n + 1, "nobody");
	CHECK(new_range() == start + ID_COUNT);
	in_range(n + 1, ".."); /* no name of a jail */
	CHECK(new_range() == start + ID_COUNT);
	/* one whose record is damaged keeps its range: its files have these owners */
	put("base/js/.brig/db.json", "{", 0600);
	in_range(n + 1, "db");
	CHECK(new_range() == start + 2 * ID_COUNT);
	/* so does one whose record was lost while it runs: its processes have these ids */
	{
		struct state st = {.name = (char[]){"runs"}, .jid = 1, .idbase = start + 2 * ID_COUNT};

		CHECK(state_write(&store, &st, &e) == 0);
		in_range(n + 2, "runs");
		CHECK(new_range() == start + 3 * ID_COUNT);
	}
	/* what a record says counts without its link, too, and of one that begins where no range does both that it meets */
	put("base/js/.brig/odd.json", "", 0600);
	{
		_auto_free char *text = xasprintf("{\"idbase\": %u}", start + 3 * ID_COUNT),
				*odd = xasprintf("{\"idbase\": %u}", start + 4 * ID_COUNT + 1);

		put("base/js/.brig/odd.json", text, 0600);
		CHECK(new_range() == start + 4 * ID_COUNT);
		put("base/js/.brig/odd.json", odd, 0600);
		CHECK(new_range() == start + 3 * ID_COUNT);
		in_range(n + 3, "db");
		CHECK(new_range() == start + 6 * ID_COUNT);
	}
	{
		_auto_free char *odd = at("base/js/.brig/odd.json");

		CHECK(unlink(odd) == 0);
	}
	/* given back by its own jail only */
	in_range(n, "other");
	CHECK(record_remove(&store, "www", &e) == 0);
	{
		_auto_free char *file = xasprintf("base/js/.brig/ids/%u", n);

		CHECK(there(file));
	}
	r.idbase = start;
	CHECK(record_write(&store, "other", &r, &e) == 0 && record_remove(&store, "other", &e) == 0);
	CHECK(new_range() == start);
	CHECK(record_remove(&store, "other", &e) == 0);
}

static void
ranges(void **state)
{
	(void)state;
	in_namespace(ranges_body);
}

static void
claim_range(const char *jail, uint32_t idbase, int want)
{
	struct err err = ERR_INIT;
	int r = record_claim_range(&store, jail, idbase, &err);

	if (r != want)
		fail_msg("%s %u: %d, should be %d: %s", jail, idbase, r, want, err.msg);
}

/* Before every start: is the range the jail's own? */
static void
own_range(void **state)
{
	struct record r = {.idbase = ID_BASE}, next = {.idbase = ID_BASE + ID_COUNT};
	const uint32_t last = ID_BASE + (ID_RANGES - 1) * ID_COUNT;

	(void)state;
	claim_range("www", 0, -EEXIST);
	claim_range("www", ID_BASE - ID_COUNT, -EEXIST);
	claim_range("www", ID_BASE + 1, -EEXIST);
	claim_range("www", last + ID_COUNT, -EEXIST);
	claim_range("www", last, 0);
	assert_int_equal(record_write(&store, "www", &r, &e), 0);
	assert_int_equal(record_write(&store, "db", &next, &e), 0); /* beside it */
	claim_range("www", ID_BASE, 0);
	claim_range("db", ID_BASE + ID_COUNT, 0);
	claim_range("db", ID_BASE, -EEXIST); /* the link leads to www, which has it */
	/* a link that is lost, or leads to one that has it no more, is made again */
	in_range(0, "nobody");
	claim_range("www", ID_BASE, 0);
	in_range(0, "db");
	claim_range("www", ID_BASE, 0);
	{
		_auto_free char *link = at("base/js/.brig/ids/0");
		char to[16] = "";

		assert_int_equal(readlink(link, to, sizeof(to) - 1), 3);
		assert_string_equal(to, "www");
		assert_int_equal(unlink(link), 0);
	}
	/* one whose record is damaged, or that runs without one, has what the link says */
	put("base/js/.brig/broken.json", "{", 0600);
	in_range(9, "broken");
	claim_range("www", ID_BASE + 9 * ID_COUNT, -EEXIST);
	{
		struct state st = {.name = (char[]){"runs"}, .jid = 1, .idbase = ID_BASE + 10 * ID_COUNT};

		assert_int_equal(state_write(&store, &st, &e), 0);
	}
	in_range(10, "runs");
	claim_range("www", ID_BASE + 10 * ID_COUNT, -EEXIST);
	/* without a link the records decide */
	claim_range("db", ID_BASE, -EEXIST);
	claim_range("www", ID_BASE, 0);
	/* writing a record takes no link from another jail */
	in_range(1, "www");
	assert_int_equal(record_write(&store, "db", &next, &e), 0);
	{
		_auto_free char *link = at("base/js/.brig/ids/1");
		char to[16] = "";

		assert_int_equal(readlink(link, to, sizeof(to) - 1), 3);
		assert_string_equal(to, "www");
	}
}

/* Whose ids are not a jail's must be known. */
static void
unreadable_accounts_body(void)
{
	_auto_free char *giant = at("giant");
	uint32_t start;

	cover_all();
	put("giant", "", 0644);
	CHECK(truncate(giant, 64 << 20) == 0);
	CHECK(mount(giant, "/etc/group", NULL, MS_BIND, NULL) == 0);
	CHECK(record_new_range(&store, &start, &e) < 0);
	CHECK(umount2("/etc/group", MNT_DETACH) == 0);
	{ /* one that cannot be opened */
		_auto_free char *path = at("socket");
		_auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sockaddr_un sun = {.sun_family = AF_UNIX};

		(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
		CHECK(bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
		CHECK(mount(path, "/etc/group", NULL, MS_BIND, NULL) == 0);
		CHECK(record_new_range(&store, &start, &e) < 0);
		CHECK(umount2("/etc/group", MNT_DETACH) == 0);
	}
	CHECK(record_new_range(&store, &start, &e) == 0);
}

static void
unreadable_accounts(void **state)
{
	(void)state;
	in_namespace(unreadable_accounts_body);
}

/* ---- states ---- */

static void
write_state(const char *name, int jid, enum state_phase phase)
{
	struct state st = {.name = xstrdup(name), .jid = jid, .phase = phase};

	strv_add(&params_set(&st.params, "exec.start")->values, "secret of\n \"params\": x");
	CHECK(state_write(&store, &st, &e) == 0);
	state_free(&st);
}

static void
who_reads_a_state(void **state)
{
	_auto_free char *shown = NULL;
	mode_t mask = umask(0);
	struct state st;
	pid_t pid;
	int status;

	(void)state;
	write_state("www", 1, PHASE_STARTING);
	assert_int_equal(mode_of("run/jail/www/state.json"), 0600);
	assert_false(there("run/jail/www/shown.json"));
	write_state("www", 1, PHASE_RUNNING);
	(void)umask(mask);
	assert_int_equal(mode_of("run/jail/www/state.json"), 0600);
	assert_int_equal(mode_of("run/jail/www/shown.json"), 0644);
	shown = text_of("run/jail/www/shown.json");
	assert_null(strstr(shown, "secret"));
	assert_non_null(strstr(shown, "\"www\""));
	assert_int_equal(state_read(&store, "www", &st, &e), 1);
	assert_string_equal(params_get(&st.params, "exec.start")->values.v[0], "secret of\n \"params\": x");
	state_free(&st);
	/* somebody else sees it run, and nothing more */
	assert_int_equal(chmod(top, 0755), 0);
	pid = fork();
	if (pid == 0) {
		CHECK(setgid(65534) == 0 && setuid(65534) == 0);
		CHECK(state_read(&store, "www", &st, &e) == 1);
		CHECK(st.jid == 1 && st.phase == PHASE_RUNNING && st.params.n == 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
put_state(const char *name, const char *from, const char *to)
{
	_auto_free char *file = xasprintf("run/jail/%s/state.json", name), *text = text_of(file), *all = NULL;
	char *p = strstr(text, from);

	assert_non_null(p);
	*p = '\0';
	all = xasprintf("%s%s%s", text, to, p + strlen(from));
	put(file, all, 0600);
}

static void
lists_and_damage(void **state)
{
	static const char *const changes[][2] = {
	    {"\"starting\"", "\"sleeping\""},        {"\"starting\"", "1"},
	    {"\"name\": \"b\"", "\"name\": \"..\""}, {"\"name\": \"b\"", "\"name\": \"\""},
	    {"\"pid\": 0", "\"pid\": \"0\""},        {"\"jid\": 2", "\"jid\": null"},
	    {"\"name\": \"b\"", "\"name\": \"a\""}};
	struct state *list, st;
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		write_state("a", 3, PHASE_RUNNING);
		write_state("b", 2, PHASE_STARTING);
		write_state("c", 1, PHASE_STOPPING);
		put_state("b", changes[i][0], changes[i][1]);
		assert_int_equal(state_read(&store, "b", &st, &e), -EINVAL);
		/* it does not hide the others, which come by number */
		assert_int_equal(state_list(&store, &list, &n, &e), 0);
		assert_int_equal(n, 2);
		assert_string_equal(list[0].name, "c");
		assert_string_equal(list[1].name, "a");
		assert_int_equal(list[0].phase, PHASE_STOPPING);
		assert_int_equal(list[1].params.n, 1);
		state_free(&list[0]);
		state_free(&list[1]);
		free(list);
		{
			_auto_strv struct strv damaged = STRV_INIT;
			_auto_free char *names = NULL;

			assert_int_equal(state_list_all(&store, true, &list, &n, &damaged, &e), 0);
			names = strv_join(&damaged, " ");
			assert_string_equal(names, "b");
		}
		assert_int_equal(n, 2);
		assert_int_equal(list[1].params.n, 0);
		state_free(&list[0]);
		state_free(&list[1]);
		free(list);
	}
}

static void
claim(const char *name, int want, int get)
{
	struct state st = {.name = xstrdup(name)};
	int r = state_claim(&store, &st, want, &e);

	if (r == 0)
		assert_int_equal(st.jid, get);
	else
		assert_int_equal(r, get);
	state_free(&st);
}

static void
numbers(void **state)
{
	struct state st = {.name = xstrdup("bad\xff")};
	int jid;

	(void)state;
	claim("a", 0, 1);
	claim("b", 0, 2);
	claim("c", 2, -EEXIST);
	{
		struct state other = {.name = (char[]){"c"}};
		struct err err = ERR_INIT;

		assert_int_equal(state_claim(&store, &other, 1, &err), -EEXIST);
		assert_string_equal(err.msg, "jail 1 already exists");
	}
	claim("c", 7, 7);
	assert_int_equal(state_next_jid(&store, &jid, &e), 0);
	assert_int_equal(jid, 3);
	claim("d", 0, 4);
	/* not given again at once */
	assert_int_equal(state_remove(&store, "d", &e), 0);
	assert_false(there("run/jid/4"));
	claim("d", 0, 5);
	/* the last one, and round: those that are taken are passed over */
	put("run/jid/last", "999998", 0644);
	claim("e", 0, 999999);
	claim("f", 0, 3);
	claim("g", 0, 4);
	claim("h", 0, 6);
	claim("i", 0, 8);
	/* a number that was left by a jail with another one, or by none, is free */
	link_to("a", "run/jid/20");
	claim("j", 20, 20);
	link_to("nobody", "run/jid/21");
	claim("k", 21, 21);
	link_to("..", "run/jid/22");
	claim("l", 22, 22);
	/* one that is damaged keeps its number: it may run */
	dirs("run/jail/broken");
	put("run/jail/broken/state.json", "{", 0600);
	link_to("broken", "run/jid/23");
	claim("m", 23, -EEXIST);
	/* what cannot be written leaves no number behind */
	assert_int_equal(state_claim(&store, &st, 30, &e), -EILSEQ);
	assert_false(there("run/jid/30"));
	state_free(&st);
	/* a name that is a number goes before the number */
	claim("20", 0, 9);
	assert_int_equal(state_find(&store, "20", &st, &e), 1);
	assert_int_equal(st.jid, 9);
	state_free(&st);
	assert_int_equal(state_find(&store, "21", &st, &e), 1);
	assert_string_equal(st.name, "k");
	state_free(&st);
	assert_int_equal(state_find(&store, "30", &st, &e), 0);
}

/* What a killed command left goes; not what somebody holds, nor what has a state by now. */
static void
tidy(void **state)
{
	_auto_close int lock = -EBADF;
	struct state *list;
	size_t n;

	(void)state;
	claim("a", 0, 1);
	assert_int_equal(state_list(&store, &list, &n, &e), 0);
	claim("late", 0, 2); /* after the list was made */
	dirs("run/jail/left");
	dirs("run/jail/held");
	link_to("left", "run/jid/5");
	put("run/jid/.tmp.last.0123456789abcdef", "", 0644);
	put("run/hosts/.tmp.hosts.0123456789abcdef", "", 0644);
	put("run/hosts/.tmp.resolv.conf.0123456789abcdef", "", 0644);
	assert_int_equal(store_lock_try(&store, "jail", "held", &lock, &e), 0);
	assert_int_equal(state_tidy(&store, list, n, &e), 0);
	assert_true(there("run/jail/a/state.json") && there("run/jail/late/state.json"));
	assert_true(there("run/jid/1") && there("run/jid/2"));
	assert_true(there("run/jail/held"));
	assert_false(there("run/jail/left") || there("run/jid/5"));
	assert_false(there("run/jid/.tmp.last.0123456789abcdef"));
	assert_false(there("run/hosts/.tmp.hosts.0123456789abcdef"));
	assert_false(there("run/hosts/.tmp.resolv.conf.0123456789abcdef"));
	for (size_t i = 0; i < n; i++)
		state_free(&list[i]);
	free(list);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, each, done)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(refused),
	    TEST(secret),
	    TEST(plain_reasons),
	    TEST(left_over),
	    TEST(accounts),
	    TEST(own_range),
	    TEST(unreadable_accounts),
	    TEST(ranges),
	    TEST(tidy),
	    TEST(who_reads_a_state),
	    TEST(lists_and_damage),
	    TEST(numbers),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "t_record: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
