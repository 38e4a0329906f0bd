/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>

#include "base/name.h"
#include "base/path.h"
#include "conf/conf_int.h"

/* --- messages --- */

const char *
conf_intern(struct conf *c, const char *file)
{
	for (size_t i = c->names.n; i > 0; i--)
		if (streq(c->names.v[i - 1], file))
			return c->names.v[i - 1];
	strv_add(&c->names, file);
	return c->names.v[c->names.n - 1];
}

char *
pos_text(struct pos pos)
{
	if (!pos.file)
		return xstrdup("the command line");
	return pos.line > 0 ? xasprintf("%s:%d", pos.file, pos.line) : xstrdup(pos.file);
}

static void
message(struct messages *m, const char *label, struct pos pos, bool syntax, const char *text)
{
	if (m->full)
		return;
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].line == pos.line && m->v[i].col == pos.col && m->v[i].file == pos.file &&
		    streq(m->v[i].text, text))
			return;
	m->full = m->n + 1 == CONF_MESSAGES_MAX;
	GROW(m->v, m->n, m->cap);
	m->v[m->n++] =
	    (struct conf_error){.file = pos.file,
				.line = pos.line,
				.col = pos.col,
				.jail = xstrdup_null(label),
				.syntax = syntax,
				.text = xstrdup(m->full ? "too many messages, the rest is left out" : text)};
}

static void
fill_sink(struct conf *c, struct pos pos, const char *text)
{
	if (c->sink->num)
		return;
	if (pos.line > 0)
		(void)err_set(c->sink, EINVAL, "%s:%d:%d: %s", pos.file, pos.line, pos.col, text);
	else
		(void)err_set(c->sink, EINVAL, "%s", text);
}

static void
error(struct conf *c, const char *label, struct pos pos, bool syntax, const char *fmt, va_list ap)
{
	_auto_free char *text = xvasprintf(fmt, ap);

	if (c->sink)
		fill_sink(c, pos, text);
	else
		message(&c->errors, label, pos, syntax, text);
}

void
conf_err(struct conf *c, const char *label, struct pos pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error(c, label, pos, false, fmt, ap);
	va_end(ap);
}

void
conf_syntax(struct conf *c, const char *label, struct pos pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error(c, label, pos, true, fmt, ap);
	va_end(ap);
}

void
conf_warn(struct conf *c, const char *label, struct pos pos, const char *fmt, ...)
{
	_auto_free char *text = NULL;
	va_list ap;

	if (c->sink)
		return;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	message(&c->warnings, label, pos, false, text);
}

void
jail_err(struct conf *c, struct jail *j, struct pos pos, const char *fmt, ...)
{
	_auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	j->failed = true;
	if (!j->error)
		j->error = pos.line > 0 ? xasprintf("%s:%d:%d: %s", pos.file, pos.line, pos.col, text)
					: xstrdup(text);
	conf_err(c, j->label, pos, "%s", text);
}

void
jail_warn(struct conf *c, struct jail *j, struct pos pos, const char *fmt, ...)
{
	_auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	conf_warn(c, j->label, pos, "%s", text);
}

static size_t
file_index(const struct conf *c, const char *file)
{
	for (size_t i = 0; i < c->names.n; i++)
		if (c->names.v[i] == file)
			return i + 1;
	return 0;
}

/* Insertion sort by place: the lists are short, and equal places keep their order. */
static void
sort_messages(const struct conf *c, struct messages *m)
{
	for (size_t i = 1; i < m->n; i++) {
		struct conf_error one = m->v[i];
		size_t f = file_index(c, one.file), k = i;

		for (; k > 0; k--) {
			const struct conf_error *o = &m->v[k - 1];
			size_t of = o->file == one.file ? f : file_index(c, o->file);

			if (of < f ||
			    (of == f && (o->line < one.line || (o->line == one.line && o->col <= one.col))))
				break;
			m->v[k] = *o;
		}
		m->v[k] = one;
	}
}

static void
messages_free(struct messages *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free((void *)(uintptr_t)m->v[i].jail);
		free((void *)(uintptr_t)m->v[i].text);
	}
	free(m->v);
}

size_t
conf_n_errors(const struct conf *c)
{
	return c->errors.n;
}

const struct conf_error *
conf_error_at(const struct conf *c, size_t i)
{
	return &c->errors.v[i];
}

size_t
conf_n_warnings(const struct conf *c)
{
	return c->warnings.n;
}

const struct conf_error *
conf_warning_at(const struct conf *c, size_t i)
{
	return &c->warnings.v[i];
}

/* --- making and freeing --- */

struct conf *
conf_new(const struct conf_input *in, const char *base, bool base_explicit)
{
	struct conf *c = xcalloc(1, sizeof(*c));

	c->in = *in;
	c->base = path_normal(base);
	if (!c->base)
		c->base = xstrdup(base);
	c->base_explicit = base_explicit;
	c->usr_home = -1;
	return c;
}

void
jail_clear(struct jail *j)
{
	for (size_t i = 0; i < j->n; i++) {
		for (size_t k = 0; k < j->e[i].n; k++)
			free(j->e[i].v[k].s);
		free(j->e[i].v);
		free(j->e[i].src);
	}
	j->n = 0;
	j->expanded = 0;
	j->resolved = j->failed = false;
	free(TAKE_PTR(j->error));
	place_free(&j->place);
	jailspec_free(TAKE_PTR(j->spec));
}

void
jail_free(struct jail *j)
{
	if (!j)
		return;
	jail_clear(j);
	free(j->e);
	free(j->label);
	free(j);
}

static void
shvars_free(struct shvars *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->v[i].name);
		free(v->v[i].value);
		free(v->v[i].at);
	}
	free(v->v);
}

void
conf_free(struct conf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_jails; i++)
		jail_free(c->jails[i]);
	for (size_t i = 0; i < c->n_blocks; i++)
		block_free(c->blocks[i]);
	for (size_t i = 0; i < c->n_overs; i++)
		block_free(c->overs[i]);
	free(c->jails);
	free(c->by_label);
	free(c->blocks);
	free(c->wild);
	free(c->overs);
	shvars_free(&c->rc);
	fslines_free(&c->fstab);
	free(c->fs_sorted);
	messages_free(&c->errors);
	messages_free(&c->warnings);
	strv_free(&c->names);
	strv_free(&c->read);
	strv_free(&c->labels);
	free(c->last_dir.dir);
	free(c->last_dir.real);
	free(c->base);
	free(c->base_real);
	free(c->lay_prefix);
	free(c);
}

const char *
conf_base(const struct conf *c)
{
	return c->base;
}

/* --- reading --- */

void
conf_split_lines(struct conf *c)
{
	c->split_lines = true;
}

int
conf_text(struct conf *c, const char *file, char **ret_text, size_t *ret_len)
{
	_auto_free char *real = c->in.real ? c->in.real(c->in.ctx, file) : NULL;
	int r = c->in.read ? c->in.read(c->in.ctx, file, ret_text, ret_len) : -ENOENT;

	if (r < 0)
		return r;
	if (*ret_len > CONF_TEXT_MAX) {
		free(TAKE_PTR(*ret_text));
		return -EFBIG;
	}
	strv_add(&c->read, real ? real : file);
	c->n_files++;
	return 0;
}

/* Copies the next line that is neither blank nor a comment; false at the end. */
static bool
next_line(const char **p, const char *end, char *line, size_t size)
{
	while (*p < end) {
		const char *eol = memchr(*p, '\n', (size_t)(end - *p));
		const char *s = *p;
		size_t len;

		*p = eol ? eol + 1 : end;
		while (s < end && (*s == ' ' || *s == '\t' || *s == '\r'))
			s++;
		len = (size_t)((eol ? eol : end) - s);
		if (eol ? s >= eol : s >= end)
			continue;
		if (*s == '#' || *s == '\0')
			continue;
		len = len < size - 1 ? len : size - 1;
		memcpy(line, s, len);
		line[len] = '\0';
		return true;
	}
	return false;
}

/* "name=" of sh(1), also behind `export`: the length of the name. */
static size_t
assignment(const char *line, const char **ret_name)
{
	const char *s = line;
	size_t n;

	if (str_after(s, "export ") || str_after(s, "export\t"))
		s += 7 + strspn(s + 7, " \t");
	n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	*ret_name = s;
	return n > 0 && s[n] == '=' && !(*s >= '0' && *s <= '9') ? n : 0;
}

/* A line of an fstab: its second field is a directory or "none", its third a word. */
static bool
fstab_line(const char *line)
{
	const char *second = line + strcspn(line, " \t"), *third, *fourth;

	second += strspn(second, " \t");
	third = second + strcspn(second, " \t");
	third += strspn(third, " \t");
	fourth = third + strspn(third, "abcdefghijklmnopqrstuvwxyz0123456789._,-");
	if (fourth == third || (*fourth && *fourth != ' ' && *fourth != '\t' && *fourth != '\r'))
		return false;
	return *second == '/' || str_after(second, "none") || str_after(second, "swap");
}

static enum conf_kind
sniff(const char *text, size_t len)
{
	const char *p = text, *name;
	size_t lines = 0, sh = 0, fs = 0, n;
	char line[512];

	while (next_line(&p, text + len, line, sizeof(line))) {
		size_t end = strlen(line);

		n = assignment(line, &name);
		if (n > 5 && strncmp(name, "jail_", 5) == 0)
			return CONF_RCCONF;
		while (end > 0 && strchr(" \t\r", line[end - 1]))
			end--;
		sh += n > 0 && line[end - 1] != ';' && !strchr(line + n, '{');
		fs += fstab_line(line);
		lines++;
	}
	if (fs * 2 > lines)
		return CONF_FSTAB;
	return lines > 0 && sh == lines ? CONF_RCCONF : CONF_JAILCONF;
}

/* Files with these names are of the kind that the name says. */
static enum conf_kind
by_file_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (streq(name, "fstab"))
		return CONF_FSTAB;
	return streq(name, "rc.conf") || streq(name, "rc.conf.local") ? CONF_RCCONF : CONF_AUTO;
}

/* A file of a directory "*.d" is a scope of its own: its wildcards and its statements outside of blocks
 * are for its own jails only. */
static unsigned
scope_of(struct conf *c, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash || slash - path < 2 || slash[-1] != 'd' || slash[-2] != '.')
		return 0;
	return ++c->scopes;
}

static void
read_file(struct conf *c, const char *path, enum conf_kind kind, bool listed)
{
	_auto_free char *real = c->in.real ? c->in.real(c->in.ctx, path) : NULL;
	const char *file = conf_intern(c, path);
	_auto_free char *text = NULL;
	size_t len = 0;
	int r;

	if (strv_has(&c->read, real ? real : path))
		return; /* jail.conf has included it */
	r = conf_text(c, path, &text, &len);
	if (r == -ENOENT && listed)
		return; /* another command has removed it since the directory was read */
	if (r < 0) {
		conf_err(c, NULL, (struct pos){file, 0, 0}, "%s",
			 r == -EFBIG ? "larger than 4 MiB" : strerror(-r));
		return;
	}
	if (kind == CONF_AUTO)
		kind = by_file_name(path);
	if (kind == CONF_AUTO)
		kind = sniff(text, len);
	if (kind == CONF_RCCONF)
		rc_text(c, file, text, len);
	else if (kind == CONF_FSTAB)
		fstab_text(c, NULL, file, text, len, &c->fstab);
	else
		parse_text(c, file, text, len, scope_of(c, path));
}

void
conf_read(struct conf *c, const char *path, enum conf_kind kind)
{
	read_file(c, path, kind, false);
}

void
conf_read_listed(struct conf *c, const char *path, enum conf_kind kind)
{
	read_file(c, path, kind, true);
}

/* --- jails --- */

static int
by_label(const void *a, const void *b)
{
	const struct jail *x = *(struct jail *const *)a, *y = *(struct jail *const *)b;

	return strcmp(x->label, y->label);
}

static int
label_is(const void *label, const void *j)
{
	return strcmp(label, (*(struct jail *const *)j)->label);
}

struct jail *
conf_find(const struct conf *c, const char *label)
{
	struct jail **p;

	if (!c->by_label) {
		for (size_t i = 0; i < c->n_jails; i++)
			if (streq(c->jails[i]->label, label))
				return c->jails[i];
		return NULL;
	}
	p = bsearch(label, c->by_label, c->n_jails, sizeof(*c->by_label), label_is);
	return p ? *p : NULL;
}

static struct jail *
jail_new(struct conf *c, const char *label, const struct block *b)
{
	struct jail *j = xcalloc(1, sizeof(*j));

	j->label = xstrdup(label);
	j->block = b;
	j->pos = b ? b->pos : (struct pos){NULL, 0, 0};
	j->origin = b ? b->origin : FROM_FILE;
	j->scope = b ? b->scope : 0;
	for (size_t i = 0; i < c->n_overs; i++)
		if (streq(c->overs[i]->label, label))
			j->over = c->overs[i];
	return j;
}

static void
make_jails(struct conf *c)
{
	for (size_t i = 0; i < c->n_blocks; i++) {
		const struct block *b = c->blocks[i];

		if (!b->label || b->wild)
			continue;
		if (c->n_jails == CONF_JAILS_MAX) {
			conf_err(c, NULL, b->pos, "more than %d jails", CONF_JAILS_MAX);
			return;
		}
		GROW(c->jails, c->n_jails, c->cap_jails);
		c->jails[c->n_jails++] = jail_new(c, b->label, b);
	}
}

static void
index_jails(struct conf *c)
{
	check_labels(c);
	c->by_label = xcalloc(c->n_jails, sizeof(*c->by_label));
	for (size_t i = 0; i < c->n_jails; i++) {
		c->by_label[i] = c->jails[i];
		strv_add(&c->labels, c->jails[i]->label);
	}
	if (c->n_jails > 1)
		qsort(c->by_label, c->n_jails, sizeof(*c->by_label), by_label);
}

/* An error in the text of a jail's block makes the jail unusable. */
static void
fail_by_text(struct conf *c)
{
	for (size_t i = 0; i < c->errors.n; i++) {
		const struct conf_error *e = &c->errors.v[i];
		struct jail *j = e->jail ? conf_find(c, e->jail) : NULL;

		if (!j || j->error)
			continue;
		j->failed = true;
		j->error = xasprintf("%s:%d:%d: %s", e->file, e->line, e->col, e->text);
	}
}

void
conf_finish(struct conf *c)
{
	if (c->finished)
		return;
	c->finished = true;
	rc_jails(c);
	make_jails(c);
	index_jails(c);
	fail_by_text(c);
	resolve_check_names(c);
	for (size_t i = 0; i < c->n_jails; i++) {
		resolve_jail(c, c->jails[i]);
		place_jail(c, c->jails[i]);
	}
	place_base(c);
	for (size_t i = 0; i < c->n_jails; i++)
		c->jails[i]->spec = build_jail(c, c->jails[i]);
	check_jails(c);
	for (size_t i = 0; i < c->n_jails; i++)
		if (c->jails[i]->failed)
			jailspec_free(TAKE_PTR(c->jails[i]->spec));
	sort_messages(c, &c->errors);
	sort_messages(c, &c->warnings);
}

const struct strv *
conf_jails(const struct conf *c)
{
	return &c->labels;
}

bool
conf_has(const struct conf *c, const char *label)
{
	return conf_find(c, label) != NULL;
}

/* Builds a jail outside conf_finish: errors go to e. */
static int
build_now(struct conf *c, struct jail *j, struct jailspec **ret, struct err *e)
{
	struct err first = ERR_INIT;
	struct jailspec *s;

	jail_clear(j);
	c->sink = &first;
	if (j->over)
		for (size_t i = 0; i < j->over->n; i++)
			stmt_check(c, j->label, &j->over->v[i]);
	resolve_jail(c, j);
	place_jail(c, j);
	s = build_jail(c, j);
	c->sink = NULL;
	if (first.num || j->failed) {
		jailspec_free(s);
		return err_set(e, EINVAL, "%s", first.num ? first.msg : "the configuration is wrong");
	}
	*ret = s;
	return 0;
}

int
conf_jail(struct conf *c, const char *label, struct jailspec **ret, struct err *e)
{
	struct jail *j = conf_find(c, label);

	if (!j) {
		_auto_free char *shown = text_printable(label, NAME_MAX_LEN);

		return err_set(e, ENOENT, "jail '%s' is not in the configuration", shown);
	}
	if (j->failed)
		return err_set(e, EINVAL, "%s", j->error ? j->error : "its configuration is wrong");
	if (!j->spec)
		return build_now(c, j, ret, e);
	*ret = TAKE_PTR(j->spec);
	return 0;
}

int
conf_default_jail(struct conf *c, const char *label, struct jailspec **ret, struct err *e)
{
	struct jail *j;
	int r;

	if (name_check("jail", label, e) < 0)
		return -e->num;
	if (name_reserved(label))
		return err_set(e, EINVAL, "jail '%s': %s", label, name_reserved(label));
	j = jail_new(c, label, NULL);
	r = build_now(c, j, ret, e);
	jail_free(j);
	return r;
}

/* --- parameters of the command line --- */

static struct block *
over_block(struct conf *c, const char *label)
{
	struct block *b;

	for (size_t i = 0; i < c->n_overs; i++)
		if (streq(c->overs[i]->label, label))
			return c->overs[i];
	b = xcalloc(1, sizeof(*b));
	b->label = xstrdup(label);
	b->origin = FROM_WORDS;
	GROW(c->overs, c->n_overs, c->cap_overs);
	c->overs[c->n_overs++] = b;
	return b;
}

/* "name", "name=value", "name+=value" as a statement; values are split at commas where jail(8) does. */
struct stmt *
block_word(struct block *b, const char *word, struct pos pos)
{
	const char *eq = strchr(word, '=');
	bool append = eq && eq > word && eq[-1] == '+';
	_auto_free char *name = xstrndup(word, eq ? (size_t)(eq - word) - append : strlen(word));
	const struct param_def *def = param_find(name, NULL);
	bool split = def && (def->type == PARAM_IP4 || def->type == PARAM_IP6 ||
			     streq(def->name, "vnet.interface") || streq(def->name, "depend"));
	struct stmt *s;

	if (def && (def->type == PARAM_LIST || split))
		for (size_t i = 0; i < b->n; i++)
			append = append || streq(b->v[i].name, name);
	s = block_stmt(b, name, append, pos);
	if (!eq)
		return s;
	for (const char *p = eq + 1;;) {
		size_t len = split ? strcspn(p, ",") : strlen(p);
		_auto_free char *value = xstrndup(p, len);

		stmt_add(s, value, pos);
		p += len;
		if (!*p++)
			return s;
	}
}

int
conf_override(struct conf *c, const char *label, const char *word, struct err *e)
{
	struct block *b = over_block(c, label);
	struct jail *j = c->finished ? conf_find(c, label) : NULL;
	struct err first = ERR_INIT;
	struct stmt *s = block_word(b, word, (struct pos){NULL, 0, 0});

	c->sink = &first;
	stmt_check(c, label, s);
	if (!first.num && s->def && (streq(s->def->name, "name") || streq(s->def->name, "jid")))
		(void)err_set(&first, EINVAL, "%s cannot be set like this", s->def->name);
	c->sink = NULL;
	if (j) {
		j->over = b;
		jailspec_free(TAKE_PTR(j->spec));
	}
	if (first.num)
		return err_set(e, first.num, "%s", first.msg);
	return 0;
}

/* Adds an argument of a command, quoted for sh(1). */
static void
add_quoted(struct buf *b, const char *arg)
{
	if (*arg && !strpbrk(arg, "!\"$&'()*;<>?[\\]`{|}~ \t\n#")) {
		buf_adds(b, arg);
		return;
	}
	buf_addc(b, '\'');
	for (; *arg; arg++) {
		if (*arg == '\'')
			buf_adds(b, "'\\''");
		else
			buf_addc(b, *arg);
	}
	buf_addc(b, '\'');
}

/* All words from command=X on are the command: an argument list, never text for a shell. */
static void
command_words(struct conf *c, struct block *b, char *const *words, size_t n, struct pos pos)
{
	const char *first = str_after(words[0], "command=");
	struct stmt *s = block_stmt(b, "command", false, pos);
	struct buf line = BUF_INIT;

	if (first)
		add_quoted(&line, first);
	for (size_t i = 1; i < n; i++) {
		if (line.len > 0)
			buf_addc(&line, ' ');
		add_quoted(&line, words[i]);
	}
	stmt_add(s, line.s ? line.s : "", pos);
	stmt_check(c, NULL, s);
	buf_free(&line);
}

static bool
command_word(const char *word)
{
	return streq(word, "command") || str_after(word, "command=");
}

const char *
conf_add_words(struct conf *c, char *const *words, size_t n)
{
	struct pos pos = {conf_intern(c, "command line"), 0, 0};
	_auto_free char *label = NULL;
	struct block *b = block_new(c, NULL, pos, FROM_WORDS, 0);
	const char *name = NULL, *jid = NULL;
	size_t errors = c->errors.n;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < n && !command_word(words[i]); i++)
		if (str_after(words[i], "name="))
			name = str_after(words[i], "name=");
		else if (str_after(words[i], "jid="))
			jid = str_after(words[i], "jid=");
	label = xstrdup_null(name ? name : jid);
	for (size_t i = 0; i < n; i++) {
		if (command_word(words[i])) {
			command_words(c, b, words + i, n - i, pos);
			break;
		}
		if (!str_after(words[i], "name=") && (name || !str_after(words[i], "jid=")))
			stmt_check(c, NULL, block_word(b, words[i], pos));
	}
	if (!label)
		label = c->in.fresh ? c->in.fresh(c->in.ctx) : NULL;
	if (!label)
		conf_err(c, NULL, pos, "a jail needs name= or jid=");
	else if (name_check("jail", label, &e) < 0)
		conf_err(c, NULL, pos, "%s", e.msg);
	if (c->errors.n > errors)
		return NULL;
	b->label = TAKE_PTR(label);
	return b->label;
}
