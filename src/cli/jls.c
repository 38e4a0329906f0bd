/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/name.h"
#include "cli/jls.h"

/* ---- which columns ---- */

/* jls(8): "all" gives the parameters without a dot first, both groups sorted. */
static int
col_order(const void *a, const void *b)
{
	const struct jls_col *x = a, *y = b;
	bool dx = strchr(x->word, '.') != NULL, dy = strchr(y->word, '.') != NULL;

	return dx != dy ? (dx ? 1 : -1) : strcmp(x->word, y->word);
}

static void
col_add(struct jls *l, const char *word, const struct param_def *def)
{
	l->col = xrealloc(l->col, l->n_cols + 1, sizeof(*l->col));
	l->col[l->n_cols++] = (struct jls_col){word, def};
}

static void
col_add_all(struct jls *l)
{
	size_t first = l->n_cols;

	for (size_t i = 0; i < param_table_len; i++)
		if (param_table[i].flags & PARAM_KERNEL)
			col_add(l, param_table[i].name, &param_table[i]);
	if (l->n_cols > first)
		qsort(l->col + first, l->n_cols - first, sizeof(*l->col), col_order);
}

static int
col_add_word(struct jls *l, const char *word, struct err *e)
{
	const struct param_def *def;
	_auto_free char *shown = NULL;
	bool no = false;

	if (streq(word, "all")) {
		col_add_all(l);
		return 0;
	}
	def = param_find(word, &no);
	if (def && !no) {
		col_add(l, word, def);
		return 0;
	}
	shown = text_printable(word, 200);
	return err_set(e, EINVAL, "unknown parameter: %s", shown);
}

int
jls_init(struct jls *l, unsigned flags, char *const *words, size_t n, struct err *e)
{
	*l = (struct jls){.flags = flags};
	if (l->flags & JLS_SKIP)
		l->flags |= JLS_NAMEVAL | JLS_QUOTE;
	l->params = n > 0 || (l->flags & (JLS_HEADER | JLS_NAMEVAL));
	if (l->params && n == 0)
		col_add_all(l);
	for (size_t i = 0; i < n; i++) {
		int r = col_add_word(l, words[i], e);

		if (r < 0) {
			jls_free(l);
			return r;
		}
	}
	return 0;
}

void
jls_free(struct jls *l)
{
	free(l->col);
	*l = (struct jls){0};
}

/* ---- text ---- */

/* Text for a terminal.  A backslash stays as it is: paths and values are to be read by programs, too. */
static char *
visible(const char *s)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "");
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c < 0x20 && c != '\t') || c > 0x7e)
			buf_addf(&b, "\\x%02x", c);
		else
			buf_addc(&b, (char)c);
	}
	return buf_take(&b);
}

/* A column of jls(8) is padded and cut; the last one of a line is only cut. */
static void
put_cell(struct buf *b, int width, const char *text)
{
	_auto_free char *v = visible(text ? text : "");

	buf_addf(b, "%-*.*s ", width, width, v);
}

static void
put_last(struct buf *b, const char *text)
{
	_auto_free char *v = visible(text ? text : "");

	buf_addf(b, "%.74s\n", v);
}

static const char *
first_ip4(const struct jls_jail *j)
{
	return j->ip4 && j->ip4->n ? j->ip4->v[0] : "";
}

static void
put_default(struct buf *b, const struct jls *l, const struct jls_jail *j)
{
	if (l->flags & JLS_NAME) {
		_auto_free char *name = visible(j->name), *host = visible(j->hostname),
				*path = visible(j->path);

		buf_addf(b, " %-15s %-15s %-29s %s\n", name, first_ip4(j), host, path);
		return;
	}
	buf_addf(b, "%6d  ", j->jid);
	put_cell(b, 15, first_ip4(j));
	put_cell(b, 29, j->hostname);
	put_last(b, j->path);
}

static void
put_verbose(struct buf *b, const struct jls_jail *j)
{
	const struct strv *lists[] = {j->ip4, j->ip6};

	buf_addf(b, "%6d  ", j->jid);
	put_cell(b, 29, j->hostname);
	put_last(b, j->path);
	buf_adds(b, "        ");
	put_cell(b, 29, j->name);
	put_last(b, j->dying ? "DYING" : "ACTIVE");
	buf_addf(b, "        %d\n", j->cpuset);
	for (size_t f = 0; f < ARRAY_LEN(lists); f++)
		for (size_t i = 0; lists[f] && i < lists[f]->n; i++)
			buf_addf(b, "        %s\n", lists[f]->v[i]);
}

static bool
is_true(const char *v)
{
	return v && !streq(v, "false") && !streq(v, "0");
}

/* "persist" -> "nopersist", "allow.mount" -> "allow.nomount" */
static void
put_noname(struct buf *b, const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t n = dot ? (size_t)(dot + 1 - name) : 0;

	buf_add(b, name, n);
	buf_addf(b, "no%s", name + n);
}

/* An empty string is always shown as "", other values get quotes only where they need them. */
static void
put_quoted(struct buf *b, const char *value, bool quote)
{
	_auto_free char *v = visible(value);
	char q = 0;

	if (!*v) {
		buf_adds(b, "\"\"");
		return;
	}
	if (quote)
		q = strchr(v, '\'') ? '"' : strchr(v, '"') ? '\'' : strpbrk(v, " \t") ? '"' : 0;
	if (q)
		buf_addc(b, q);
	buf_adds(b, v);
	if (q)
		buf_addc(b, q);
}

static bool
is_address_list(const struct param_def *d)
{
	return d->type == PARAM_IP4 || d->type == PARAM_IP6;
}

/* -s leaves out what jail(8) cannot set again: read-only parameters, those below a tri-state that is not
 * "new"
 * ("host", "ip4", "ip6"), and those that the jail has no value of. */
static bool
skipped(const struct jls *l, const struct jls_jail *j, size_t i)
{
	const struct jls_col *c = &l->col[i];
	const char *mode = NULL;

	if (!(l->flags & JLS_SKIP))
		return false;
	if ((c->def->flags & PARAM_READONLY) || !j->value[i])
		return true;
	if (str_after(c->word, "host."))
		mode = j->host;
	else if (str_after(c->word, "ip4."))
		mode = j->ip4_mode;
	else if (str_after(c->word, "ip6."))
		mode = j->ip6_mode;
	else
		return false;
	return mode && !streq(mode, "new");
}

static void
put_param(struct buf *b, const struct jls *l, const struct jls_col *c, const char *value)
{
	bool quote = l->flags & JLS_QUOTE;

	if ((l->flags & JLS_NAMEVAL) && c->def->type == PARAM_BOOL) {
		if (is_true(value))
			buf_adds(b, c->word);
		else
			put_noname(b, c->word);
		return;
	}
	if (l->flags & JLS_NAMEVAL)
		buf_addf(b, "%s=", c->word);
	if (value && !(is_address_list(c->def) && !*value))
		put_quoted(b, value, quote);
	else if (quote)
		buf_adds(b, "\"\"");
	else if (!(l->flags & JLS_NAMEVAL))
		buf_addc(b, '-');
}

static void
put_params(struct buf *b, const struct jls *l, const struct jls_jail *j)
{
	bool first = true;

	for (size_t i = 0; i < l->n_cols; i++) {
		if (skipped(l, j, i))
			continue;
		if (!first)
			buf_addc(b, ' ');
		first = false;
		put_param(b, l, &l->col[i], j->value[i]);
	}
	buf_addc(b, '\n');
}

void
jls_put_header(struct buf *b, const struct jls *l)
{
	if (l->params) {
		if (!(l->flags & JLS_HEADER))
			return;
		for (size_t i = 0; i < l->n_cols; i++)
			buf_addf(b, "%s%s", i ? " " : "", l->col[i].word);
		buf_addc(b, '\n');
	} else if (l->flags & JLS_VERBOSE) {
		buf_addf(b, "   JID  Hostname                      Path\n%8sName%26sState\n%8sCPUSetID\n", "",
			 "", "");
		buf_addf(b, "%8sIP Address(es)\n", "");
	} else if (l->flags & JLS_NAME) {
		buf_addf(b, " %-15s %-15s %-29s Path\n", "JID", "IP Address", "Hostname");
	} else {
		buf_adds(b, "   JID  IP Address      Hostname                      Path\n");
	}
}

void
jls_put(struct buf *b, const struct jls *l, const struct jls_jail *j)
{
	if (l->params)
		put_params(b, l, j);
	else if (l->flags & JLS_VERBOSE)
		put_verbose(b, j);
	else
		put_default(b, l, j);
}

/* ---- JSON ---- */

/* Text that is not UTF-8 is shown as the terminal would get it. */
static json_t *
json_text(const char *s)
{
	json_t *j = json_string(s);
	_auto_free char *v = NULL;

	if (j)
		return j;
	v = visible(s);
	return json_string(v);
}

static json_t *
json_list(const struct strv *v)
{
	json_t *a = json_array();

	for (size_t i = 0; v && i < v->n; i++)
		(void)json_array_append_new(a, json_text(v->v[i]));
	return a;
}

static json_t *
json_commas(const char *value)
{
	json_t *a = json_array();

	for (const char *p = value; p && *p;) {
		size_t n = strcspn(p, ",");
		_auto_free char *one = xstrndup(p, n);

		(void)json_array_append_new(a, json_text(one));
		p += n + (p[n] == ',');
	}
	return a;
}

static void
json_param(json_t *o, const struct jls *l, const struct jls_col *c, const char *value)
{
	if ((l->flags & JLS_NAMEVAL) && c->def->type == PARAM_BOOL)
		(void)json_object_set_new(o, c->word, json_boolean(is_true(value)));
	else if (is_address_list(c->def))
		(void)json_object_set_new(o, c->word, json_commas(value));
	else if (value)
		(void)json_object_set_new(o, c->word, json_text(value));
}

json_t *
jls_json(const struct jls *l, const struct jls_jail *j)
{
	json_t *o = json_object();

	if (l->params) {
		for (size_t i = 0; i < l->n_cols; i++)
			if (!skipped(l, j, i))
				json_param(o, l, &l->col[i], j->value[i]);
		return o;
	}
	if ((l->flags & JLS_NAME) && !(l->flags & JLS_VERBOSE))
		(void)json_object_set_new(o, "name", json_text(j->name));
	else
		(void)json_object_set_new(o, "jid", json_integer(j->jid));
	if (!(l->flags & JLS_VERBOSE))
		(void)json_object_set_new(o, "ipv4", json_text(first_ip4(j)));
	(void)json_object_set_new(o, "hostname", json_text(j->hostname));
	(void)json_object_set_new(o, "path", json_text(j->path));
	if (l->flags & JLS_VERBOSE) {
		(void)json_object_set_new(o, "name", json_text(j->name));
		(void)json_object_set_new(o, "state", json_string(j->dying ? "DYING" : "ACTIVE"));
		(void)json_object_set_new(o, "cpusetid", json_integer(j->cpuset));
		(void)json_object_set_new(o, "ipv4_addrs", json_list(j->ip4));
		(void)json_object_set_new(o, "ipv6_addrs", json_list(j->ip6));
	}
	return o;
}

void
jls_put_json(struct buf *b, json_t *rows)
{
	char *s = json_dumps(rows, JSON_COMPACT);

	buf_addf(b, "{\"__version\": \"2\", \"jail-information\": {\"jail\": %s}}\n", s ? s : "[]");
	free(s);
	json_decref(rows);
}
