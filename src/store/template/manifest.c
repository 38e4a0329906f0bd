/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sha256.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/num.h"
#include "base/path.h"
#include "store/template/manifest.h"
#include "store/tree.h"

#define READ_CHUNK (256u << 10)
#define READ_ALIGN 65536 /* for O_DIRECT: a page or a block of any file system, open(2) */
#define FLUSH_AT (1u << 20)
#define REPORT_EVERY 256 /* files between two reports of progress */

struct writer {
	int fd;
	const char *top; /* "root" or "skel" */
	struct buf out;
	SHA2_CTX sha;
	struct manifest_sum *sum;
	const struct progress *pr;
};

static const struct kind {
	mode_t type;
	const char *word;
} kinds[] = {
    {S_IFREG, "file"},    {S_IFDIR, "dir"},   {S_IFLNK, "link"}, {S_IFIFO, "fifo"},
    {S_IFSOCK, "socket"}, {S_IFBLK, "block"}, {S_IFCHR, "char"},
};

int
manifest_digest(int fd, char digest[65], uint64_t *bytes)
{
	static _Alignas(READ_ALIGN) uint8_t chunk[READ_CHUNK];
	SHA2_CTX sha;
	ssize_t n;

	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	SHA256Init(&sha);
	while ((n = fsx_read(fd, chunk, sizeof(chunk))) > 0) {
		SHA256Update(&sha, chunk, (size_t)n);
		*bytes += (uint64_t)n;
	}
	if (n < 0)
		return (int)n;
	(void)SHA256End(&sha, digest);
	return 0;
}

static int
flush(struct writer *w, struct err *e)
{
	int r = fsx_write_all(w->fd, w->out.s, w->out.len);

	SHA256Update(&w->sha, (const uint8_t *)w->out.s, w->out.len);
	w->out.len = 0;
	return r < 0 ? err_sys(e, -r, "write the manifest") : 0;
}

static int
add_content(struct writer *w, const struct tree_entry *t, struct err *e)
{
	char digest[SHA256_DIGEST_STRING_LENGTH];
	_auto_close int fd = -EBADF;
	int r;

	if (S_ISLNK(t->st.st_mode)) {
		_auto_free char *target = tree_readlink(t->dir_fd, t->name);

		if (!target)
			return err_sys(e, errno, "%s/%s", w->top, t->path);
		buf_adds(&w->out, " link=");
		vis_add(&w->out, target);
	}
	if (!S_ISREG(t->st.st_mode))
		return 0;
	fd = path_open(t->dir_fd, t->name, O_RDONLY | O_NONBLOCK, 0, PATH_BENEATH);
	r = fd < 0 ? fd : manifest_digest(fd, digest, &w->sum->bytes);
	if (r < 0)
		return err_sys(e, -r, "%s/%s", w->top, t->path);
	buf_addf(&w->out, " size=%lld sha256digest=%s", (long long)t->st.st_size, digest);
	return 0;
}

static int
add_entry(void *ctx, const struct tree_entry *t, struct err *e)
{
	struct writer *w = ctx;
	const char *word = "file";
	int r;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].type == (t->st.st_mode & S_IFMT))
			word = kinds[i].word;
	buf_addf(&w->out, "./%s%s", w->top, *t->path ? "/" : "");
	vis_add(&w->out, t->path);
	buf_addf(&w->out, " type=%s uid=%u gid=%u mode=%04o", word, t->st.st_uid, t->st.st_gid,
		 t->st.st_mode & 07777);
	r = add_content(w, t, e);
	buf_addc(&w->out, '\n');
	if (r == 0 && w->out.len >= FLUSH_AT)
		r = flush(w, e);
	if (++w->sum->files % REPORT_EVERY == 0 && w->pr && w->pr->at)
		w->pr->at(w->pr->ctx, w->sum->files, 0);
	return r;
}

static int
add_top(struct writer *w, int dir_fd, const char *top, struct err *e)
{
	_auto_close int fd = path_open(dir_fd, top, O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);

	if (fd < 0)
		return err_sys(e, -fd, "%s", top);
	w->top = top;
	return tree_walk(fd, add_entry, w, e);
}

int
manifest_write(int dir_fd, const struct progress *pr, struct manifest_sum *ret, struct err *e)
{
	_auto_close int fd =
	    openat(dir_fd, "manifest", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	struct manifest_sum sum = {0};
	struct writer w = {.fd = fd, .sum = &sum, .pr = pr};
	int r;

	if (fd < 0)
		return err_sys(e, errno, "create the manifest");
	SHA256Init(&w.sha);
	buf_adds(&w.out, "#mtree\n");
	r = add_top(&w, dir_fd, "root", e);
	if (r == 0)
		r = add_top(&w, dir_fd, "skel", e);
	if (r == 0)
		r = flush(&w, e);
	buf_free(&w.out);
	if (r < 0)
		return r;
	(void)SHA256End(&w.sha, sum.digest);
	*ret = sum;
	return 0;
}

static int
parse_keyword(struct manifest_entry *m, char *word)
{
	char *value = strchr(word, '=');
	uint64_t u;
	unsigned mode;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (streq(word, "type")) {
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			if (streq(value, kinds[i].word))
				m->type = kinds[i].type;
		return m->type ? 0 : -EINVAL;
	}
	if (streq(word, "mode")) {
		if (num_octal(value, 07777, &mode) < 0)
			return -EINVAL;
		m->mode = mode;
		return 0;
	}
	if (streq(word, "sha256digest")) {
		m->digest = value;
		return strlen(value) == 64 ? 0 : -EINVAL;
	}
	if (streq(word, "link")) {
		m->link = value;
		return vis_decode(value);
	}
	if (streq(word, "size"))
		return num_u64(value, UINT64_MAX, &m->size);
	if (num_u64(value, UINT32_MAX, &u) < 0)
		return -EINVAL;
	if (streq(word, "uid"))
		m->uid = (uid_t)u;
	else if (streq(word, "gid"))
		m->gid = (gid_t)u;
	else
		return -EINVAL;
	return 0;
}

static int
parse_entry(char *line, struct manifest_entry *m)
{
	char *save = NULL, *word = strtok_r(line, " ", &save);

	if (!word || !str_after(word, "./"))
		return -EINVAL;
	m->path = word + 2;
	if (vis_decode(m->path) < 0)
		return -EINVAL;
	while ((word = strtok_r(NULL, " ", &save)))
		if (parse_keyword(m, word) < 0)
			return -EINVAL;
	if (!m->type || (S_ISREG(m->type) && !m->digest) || (S_ISLNK(m->type) && !m->link))
		return -EINVAL;
	return 0;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct manifest_entry *)a)->path, ((const struct manifest_entry *)b)->path);
}

int
manifest_parse(char *text, struct manifest *ret, struct err *e)
{
	struct manifest m = {.text = text};
	size_t line = 0;

	for (char *p = text, *next; *p; p = next) {
		struct manifest_entry one = {0};

		next = p + strcspn(p, "\n");
		if (*next)
			*next++ = '\0';
		line++;
		if (!*p || *p == '#')
			continue;
		if (parse_entry(p, &one) < 0) {
			manifest_free(&m);
			return err_set(e, EINVAL, "manifest:%zu: not a line of a manifest", line);
		}
		GROW(m.v, m.n, m.cap);
		m.v[m.n++] = one;
	}
	if (m.n)
		qsort(m.v, m.n, sizeof(*m.v), by_path);
	*ret = m;
	return 0;
}

void
manifest_free(struct manifest *m)
{
	free(m->v);
	free(m->text);
	*m = (struct manifest){0};
}
