/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/fsx.h"
#include "base/name.h"
#include "base/path.h"
#include "cli/merge_jails.h"
#include "cli/screen.h"
#include "run/answer.h"

/* A jail with conflicts. */
struct jail {
	char *label;
	struct jailspec *spec;
	struct switch_waits waits;
};

/* The same conflict in several jails. */
struct group {
	const struct switch_waiting *one; /* as the first of them has it */
	struct jail **jail;
	size_t n;
};

struct work {
	struct cli *cli;
	const struct command *cmd;
	const struct merge_request *q;
	struct jail *jail;
	size_t n_jail, cap_jail;
	struct group *group;
	size_t n_group;
	int status;
};

static void
work_free(struct work *w)
{
	for (size_t i = 0; i < w->n_group; i++)
		free(w->group[i].jail);
	free(w->group);
	for (size_t i = 0; i < w->n_jail; i++) {
		free(w->jail[i].label);
		jailspec_free(w->jail[i].spec);
		switch_waits_free(&w->jail[i].waits);
	}
	free(w->jail);
}

/* ---- what waits ---- */

static bool
has_conflicts(struct cli *cli, const char *name, struct err *e)
{
	struct record rec;
	bool some;

	if (record_read(&cli->store, name, &rec, e) <= 0)
		return false;
	some = rec.n_conflict > 0;
	record_free(&rec);
	return some;
}

static int
add_jail(struct work *w, const char *label)
{
	struct jail j = {0};
	struct err e = ERR_INIT;
	struct state st;

	/* one that was started without a file is in its state */
	if (conf_jail(w->cli->conf, label, &j.spec, &e) < 0) {
		if (conf_has(w->cli->conf, label) ||
		    state_read(&w->cli->store, label, &st, &(struct err)ERR_INIT) <= 0)
			return cli_fail(w->cli, label, &e);
		if (spec_from_params(st.name, &st.params, w->cli->store.base, &j.spec, &e) < 0)
			return cli_fail(w->cli, label, &e);
		state_free(&st);
	}
	err_clear(&e);
	if (!has_conflicts(w->cli, j.spec->name, &e)) {
		jailspec_free(j.spec);
		return e.num ? cli_fail(w->cli, label, &e) : 0;
	}
	if (switch_conflicts(&w->cli->store, j.spec, &j.waits, &e) < 0) {
		jailspec_free(j.spec);
		return cli_fail(w->cli, label, &e);
	}
	j.label = xstrdup(label);
	GROW(w->jail, w->n_jail, w->cap_jail);
	w->jail[w->n_jail++] = j;
	return 0;
}

static int
gather(struct work *w, int argc, char **argv)
{
	_auto_strv struct strv names = STRV_INIT;
	struct err e = ERR_INIT;
	int status = 0;

	if (argc > 0)
		status = cli_jails(w->cli, w->cmd, argc, argv, false, &names);
	else if (record_list(&w->cli->store, &names, &e) < 0)
		return cli_error(w->cli, &e);
	for (size_t i = 0; i < names.n && status != 2; i++)
		if (argc > 0)
			status |= add_jail(w, names.v[i]);
		else if (has_conflicts(w->cli, names.v[i], &e))
			status |= add_jail(w, cli_label(w->cli, names.v[i]));
		else if (e.num) {
			status |= cli_error(w->cli, &e);
			err_clear(&e);
		}
	return status;
}

/* One conflict of one jail. */
struct waiting {
	struct jail *jail;
	const struct switch_waiting *one;
	size_t at; /* its place: jails of one group stay in their order */
};

static int
by_key(const void *pa, const void *pb)
{
	const struct waiting *a = pa, *b = pb;
	int cmp = strcmp(a->one->key, b->one->key);

	return cmp != 0 ? cmp : (a->at > b->at) - (a->at < b->at);
}

static void
make_groups(struct work *w)
{
	struct waiting *all = NULL;
	size_t n = 0, cap = 0;

	for (size_t i = 0; i < w->n_jail; i++)
		for (size_t k = 0; k < w->jail[i].waits.n; k++) {
			GROW(all, n, cap);
			all[n] = (struct waiting){&w->jail[i], &w->jail[i].waits.v[k], n};
			n++;
		}
	if (n > 1)
		qsort(all, n, sizeof(*all), by_key);
	w->group = xcalloc(n + 1, sizeof(*w->group));
	for (size_t i = 0, end; i < n; i = end) {
		struct group *g = &w->group[w->n_group++];

		for (end = i + 1; end < n && streq(all[end].one->key, all[i].one->key); end++)
			;
		g->one = all[i].one;
		g->jail = xcalloc(end - i, sizeof(*g->jail));
		for (size_t k = i; k < end; k++)
			g->jail[g->n++] = all[k].jail;
	}
	free(all);
}

static char *
names_of(const struct group *g)
{
	_auto_strv struct strv names = STRV_INIT;

	for (size_t i = 0; i < g->n; i++)
		strv_add(&names, g->jail[i]->label);
	return strv_join(&names, ", ");
}

/* ---- decisions ---- */

static void
answer(struct work *w, const struct group *g, const struct switch_answer *a, const char *word)
{
	struct run_caller who = cli_caller(w->cli);
	_auto_free char *path = text_printable(a->path, 4096);

	for (size_t i = 0; i < g->n; i++) {
		struct err e = ERR_INIT;
		int r = switch_answer(&w->cli->store, g->jail[i]->spec, a, &who, &e);

		if (r < 0)
			w->status = cli_fail(w->cli, g->jail[i]->label, &e);
		else if (r == 0)
			cli_say(w->cli, "%s: /%s: %s", g->jail[i]->label, path, word);
	}
}

static void
take_mine(struct work *w, const struct group *g)
{
	answer(w, g, &(struct switch_answer){.path = g->one->item.path, .keep = true}, "kept the jail's own");
}

static void
take_theirs(struct work *w, const struct group *g)
{
	answer(w, g, &(struct switch_answer){.path = g->one->item.path}, "as the release has it");
}

/* It merges cleanly by now: the jail's file was changed meanwhile. */
static bool
merges(const struct group *g)
{
	return g->one->item.act != MERGE_CONFLICT && g->one->item.act != MERGE_NOTHING;
}

static void
take_text(struct work *w, const struct group *g, struct text t, const char *word)
{
	answer(w, g, &(struct switch_answer){.path = g->one->item.path, .content = &t}, word);
}

static void
take_merged(struct work *w, const struct group *g)
{
	const struct merge_item *it = &g->one->item;
	_auto_free char *path = text_printable(it->path, 4096);
	struct err e = ERR_INIT;

	if (merges(g) && it->merged) {
		take_text(w, g, (struct text){it->text.s ? it->text.s : "", it->text.len}, "merged");
	} else if (merges(g)) {
		take_theirs(w, g);
	} else {
		(void)err_set(&e, EINVAL, "the two changes still overlap (--edit)");
		w->status = cli_fail(w->cli, path, &e);
	}
}

/* ---- text ---- */

/* Reads what one side has; empty where it is not a regular file. */
static char *
read_side(int top_fd, const char *path, size_t *ret_len)
{
	_auto_close int fd = path_open(top_fd, path, O_RDONLY | O_NONBLOCK, 0, PATH_BENEATH);
	char *text = NULL;
	struct stat st;

	*ret_len = 0;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    fsx_read_fd(fd, TEXT_MAX, &text, ret_len) < 0)
		return xstrdup("");
	return text;
}

static void
show_text(const struct buf *b)
{
	_auto_buf struct buf out = BUF_INIT;
	struct screen screen = {0};

	screen_add(&screen, &out, b->s ? b->s : "", b->len);
	screen_end(&screen, &out);
	fputs(out.s ? out.s : "", stdout);
}

static void
show_pair(const struct group *g, int a_fd, int b_fd, const char *a_label, const char *b_label)
{
	_auto_buf struct buf diff = BUF_INIT;
	size_t a_len, b_len;
	_auto_free char *a = read_side(a_fd, g->one->item.path, &a_len);
	_auto_free char *b = read_side(b_fd, g->one->item.path, &b_len);
	struct text ta = {a, a_len}, tb = {b, b_len};

	if (!text_is_text(ta) || !text_is_text(tb))
		printf("Binary files %s and %s differ\n", a_label, b_label);
	else
		text_unified(ta, tb, a_label, b_label, 3, &diff);
	show_text(&diff);
}

static void
node_line(const char *whose, const struct merge_node *n)
{
	if (n->type == NODE_NONE)
		printf("  %-11s nothing there\n", whose);
	else if (n->type == NODE_LINK) {
		_auto_free char *to = text_printable(n->link ? n->link : "", 4096);

		printf("  %-11s symbolic link to %s\n", whose, to);
	} else {
		printf("  %-11s %s, mode %04o, owner %u:%u\n", whose, node_word(n->type), (unsigned)n->mode,
		       n->uid, n->gid);
	}
}

static int
open_sides(const struct work *w, const struct group *g, struct switch_sides *ret, struct err *e)
{
	return switch_sides_open(&w->cli->store, g->jail[0]->spec, &g->jail[0]->waits, g->one, ret, e);
}

/* Shows what each side has changed. */
static void
show_group(struct work *w, const struct group *g)
{
	_auto_(switch_sides_close) struct switch_sides sides = SWITCH_SIDES_INIT;
	_auto_free char *names = names_of(g), *path = text_printable(g->one->item.path, 4096);
	const struct switch_waiting *o = g->one;
	_auto_free char *base = xasprintf("release %s", o->base);
	_auto_free char *release = xasprintf("release %s", o->release);
	struct err e = ERR_INIT;

	if (open_sides(w, g, &sides, &e) < 0) {
		w->status = cli_fail(w->cli, g->jail[0]->label, &e);
		return;
	}
	printf("/%s  (%s): %s\n", path, names, o->item.detail ? o->item.detail : o->why);
	if (o->item.o.type != NODE_FILE || o->item.n.type != NODE_FILE || o->item.d.type != NODE_FILE ||
	    o->item.why == WHY_META) {
		node_line(base, &o->item.o);
		node_line(release, &o->item.n);
		node_line("the jail", &o->item.d);
	}
	show_pair(g, sides.base.skel_fd, sides.release.skel_fd, base, release);
	show_pair(g, sides.base.skel_fd, sides.space_fd, base, "the jail");
	fflush(stdout);
}

/* ---- the editor ---- */

/* The text with markers, or the jail's own file where there is none.  Without a message: fd cannot be written. */
static int
write_text(const struct work *w, const struct group *g, int fd, struct err *e)
{
	_auto_(switch_sides_close) struct switch_sides sides = SWITCH_SIDES_INIT;
	_auto_free char *ours = NULL;
	size_t len;

	if (g->one->item.text.len)
		return fsx_write_all(fd, g->one->item.text.s, g->one->item.text.len);
	if (open_sides(w, g, &sides, e) < 0)
		return -e->num;
	ours = read_side(sides.space_fd, g->one->item.path, &len);
	return fsx_write_all(fd, ours, len);
}

/* Runs the editor on the text with markers, in a file that only root can read, and reads the result. */
static int
edit(const struct work *w, const struct group *g, char **ret, size_t *ret_len, struct err *e)
{
	const char *editor = getenv("VISUAL") ? getenv("VISUAL") : getenv("EDITOR");
	char name[] = "/tmp/brig-merge.XXXXXX";
	_auto_close int fd = mkostemp(name, O_CLOEXEC);
	_auto_strv struct strv argv = STRV_INIT;
	struct child c = CHILD_INIT;
	int status = 0, r;

	if (fd < 0)
		return err_sys(e, errno, "%s", name);
	r = write_text(w, g, fd, e);
	if (r < 0) {
		(void)unlink(name);
		return e->num ? r : err_sys(e, -r, "%s", name);
	}
	strv_add(&argv, "/bin/sh");
	strv_add(&argv, "-c");
	strv_addf(&argv, "%s \"$1\"", editor && *editor ? editor : "vi");
	strv_add(&argv, "sh");
	strv_add(&argv, name);
	c.argv = argv.v;
	c.fd_in = 0;
	r = child_run(&c, &status, e);
	if (r == 0 && status != 0)
		r = err_set(e, EIO, "the editor ended with status %d: nothing was changed",
			    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	if (r == 0)
		r = fsx_read_at(AT_FDCWD, name, TEXT_MAX, ret, ret_len, e);
	(void)unlink(name);
	if (r == 0 && text_has_markers((struct text){*ret, *ret_len})) {
		free(*ret);
		*ret = NULL;
		return err_set(e, EINVAL, "conflict markers remain: nothing was changed");
	}
	return r;
}

static void
take_edited(struct work *w, const struct group *g)
{
	_auto_free char *text = NULL;
	struct err e = ERR_INIT;
	size_t len = 0;
	int r = w->q->file ? fsx_read_at(AT_FDCWD, w->q->file, TEXT_MAX, &text, &len, &e)
			   : edit(w, g, &text, &len, &e);

	if (r < 0) {
		_auto_free char *path = text_printable(g->one->item.path, 4096);

		w->status = cli_fail(w->cli, path, &e);
		return;
	}
	take_text(w, g, (struct text){text, len}, "edited");
}

/* ---- on a terminal ---- */

static void
help(void)
{
	puts("  mf  mine: keep the jail's own file\n"
	     "  tf  theirs: take the release's file\n"
	     "  m   take the merged file, where it merges by now\n"
	     "  e   edit the file with the conflict marked\n"
	     "  df  show what each side changed\n"
	     "  p   postpone\n"
	     "  q   quit");
}

/* Asks about one group.  true: quit. */
static bool
ask(struct work *w, const struct group *g)
{
	_auto_free char *line = NULL;
	size_t cap = 0;

	for (;;) {
		_auto_free char *names = names_of(g), *path = text_printable(g->one->item.path, 4096);

		printf("/%s  (%s): %s\n  (p) postpone, (df) diff, (e) edit, (mf) mine, (tf) theirs, (q) "
		       "quit, (h) help: ",
		       path, names, g->one->item.detail ? g->one->item.detail : g->one->why);
		fflush(stdout);
		if (getline(&line, &cap, stdin) < 0)
			return true;
		line[strcspn(line, "\n")] = '\0';
		if (streq(line, "p") || streq(line, ""))
			return false;
		if (streq(line, "q"))
			return true;
		if (streq(line, "df")) {
			show_group(w, g);
			continue;
		}
		if (streq(line, "mf"))
			take_mine(w, g);
		else if (streq(line, "tf"))
			take_theirs(w, g);
		else if (streq(line, "m"))
			take_merged(w, g);
		else if (streq(line, "e"))
			take_edited(w, g);
		else {
			help();
			continue;
		}
		return false;
	}
}

/* ---- the command ---- */

static bool
named(const struct strv *patterns, const char *path)
{
	_auto_free char *full = xasprintf("/%s", path);

	for (size_t i = 0; i < patterns->n; i++)
		if (fnmatch(patterns->v[i], *patterns->v[i] == '/' ? full : path, 0) == 0)
			return true;
	return false;
}

/* A pattern that matches no conflict is probably a typing error. */
static int
check_named(const struct work *w, const struct strv *patterns)
{
	for (size_t i = 0; i < patterns->n; i++) {
		struct strv one = {&patterns->v[i], 1, 1};
		bool some = false;

		for (size_t k = 0; k < w->n_group; k++)
			some |= named(&one, w->group[k].one->item.path);
		if (!some) {
			cli_warn(w->cli, "%s: %s", patterns->v[i],
				 w->n_group ? "no such conflict (brig merge lists them)"
					    : "there are no conflicts");
			return 1;
		}
	}
	return 0;
}

static void
list(const struct work *w)
{
	static const char *const titles[] = {"FILE", "WHY", "JAILS"};
	struct table t = {.n_cols = ARRAY_LEN(titles), .titles = titles};

	for (size_t i = 0; i < w->n_group; i++) {
		const struct group *g = &w->group[i];
		_auto_free char *names = names_of(g), *path = xasprintf("/%s", g->one->item.path);

		table_row(&t, path,
			  merges(g)             ? "merges by now (--merged)"
			  : g->one->item.detail ? g->one->item.detail
						: g->one->why,
			  names);
	}
	if (w->n_group)
		table_print(&t, stdout);
	table_free(&t);
	if (w->n_group)
		cli_say(
		    w->cli,
		    "decide with --mine, --theirs or --edit PATH [NAME...]; look with --diff; one after the "
		    "other with -i");
	else
		cli_say(w->cli, "nothing waits for a decision");
}

static int
list_json(const struct work *w)
{
	json_t *all = json_array();

	for (size_t i = 0; i < w->n_group; i++) {
		const struct group *g = &w->group[i];
		_auto_free char *path = text_printable(g->one->item.path, 4096);
		json_t *jails = json_array();

		for (size_t k = 0; k < g->n; k++)
			(void)json_array_append_new(jails, json_string(g->jail[k]->label));
		(void)json_array_append_new(all,
					    json_pack("{s:s, s:s, s:b, s:s, s:s, s:o}", "path", path, "why",
						      g->one->item.detail ? g->one->item.detail : g->one->why,
						      "merges", merges(g), "base", g->one->base,
						      "release", g->one->release, "jails", jails));
	}
	return cli_json(all);
}

/* Conflicts whose sides have become equal need no decision: they are removed. */
static void
answer_equal(struct work *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_group; i++) {
		struct group *g = &w->group[i];

		if (g->one->item.act == MERGE_NOTHING) {
			answer(w, g, &(struct switch_answer){.path = g->one->item.path, .keep = true},
			       "agrees with the release by now");
			free(g->jail);
		} else {
			w->group[n++] = *g;
		}
	}
	w->n_group = n;
}

static void
decide(struct work *w)
{
	for (size_t i = 0; i < w->n_group; i++) {
		const struct group *g = &w->group[i];
		const char *path = g->one->item.path;

		if (named(&w->q->mine, path))
			take_mine(w, g);
		else if (named(&w->q->theirs, path))
			take_theirs(w, g);
		else if (named(&w->q->merged, path))
			take_merged(w, g);
		else if (named(&w->q->edit, path))
			take_edited(w, g);
	}
}

int
merge_jails(struct cli *cli, const struct command *cmd, const struct merge_request *q, int argc, char **argv)
{
	_auto_(work_free) struct work w = {.cli = cli, .cmd = cmd, .q = q};
	bool deciding = q->mine.n || q->theirs.n || q->merged.n || q->edit.n;
	int r = cli_conf_usable(cli);

	if (q->all && argc > 0)
		return cli_usage(cli, cmd, "-a and names exclude each other");
	if (q->file && (q->edit.n != 1 || deciding != (q->edit.n > 0)))
		return cli_usage(cli, cmd, "--file needs one --edit PATH");
	if (r == 0)
		r = cli_store(cli, STORE_CREATE);
	if (r == 0)
		r = gather(&w, argc, argv);
	if (r == 2)
		return r;
	w.status = r;
	make_groups(&w);
	answer_equal(&w);
	if (deciding) {
		if (check_named(&w, &q->mine) || check_named(&w, &q->theirs) || check_named(&w, &q->merged) ||
		    check_named(&w, &q->edit))
			return 1;
		decide(&w);
	} else if (q->interactive) {
		for (size_t i = 0; i < w.n_group; i++)
			if (ask(&w, &w.group[i]))
				break;
	} else if (cli->json) {
		w.status |= list_json(&w);
	} else if (q->diff) {
		for (size_t i = 0; i < w.n_group; i++)
			show_group(&w, &w.group[i]);
	} else {
		list(&w);
	}
	return w.status;
}
