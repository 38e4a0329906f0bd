/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <sha256.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "store/store.h"

#define RECORD_MAX 65536

void
record_free(struct record *r)
{
	free(r->template);
	free(r->release);
	free(r->created);
	*r = (struct record){0};
}

int
record_read(const struct store *s, const char *jail, struct record *ret, struct err *e)
{
	_auto_free char *file = xasprintf("%s.json", jail);
	_auto_free char *text = NULL;
	const char *template = NULL, *release = NULL, *created = NULL;
	json_error_t je;
	json_int_t idbase;
	json_t *j;
	size_t len;
	int r;

	if (s->record_fd < 0)
		return 0;
	r = fsx_read_at(s->record_fd, file, RECORD_MAX, &text, &len, e);
	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return err_wrap(e, "record of jail %s", jail);
	j = json_loadb(text, len, 0, &je);
	if (!j ||
	    json_unpack_ex(j, &je, 0, "{s:I, s?s, s?s, s?s}", "idbase", &idbase, "template", &template,
			   "release", &release, "created", &created) < 0 ||
	    idbase < 0 || idbase > UINT32_MAX - ID_COUNT) {
		json_decref(j);
		return err_set(e, EINVAL, "record of jail %s: %s/js/.brig/%s is damaged", jail, s->base,
			       file);
	}
	*ret = (struct record){(uint32_t)idbase, xstrdup_null(template), xstrdup_null(release),
			       xstrdup_null(created)};
	json_decref(j);
	return 1;
}

static char *
range_link(uint32_t idbase)
{
	return xasprintf("ids/%u", (idbase - ID_BASE) / ID_COUNT);
}

int
record_write(const struct store *s, const char *jail, const struct record *r, struct err *e)
{
	_auto_free char *file = xasprintf("%s.json", jail);
	_auto_free char *range = range_link(r->idbase);
	_auto_free char *text = NULL;
	json_t *j;

	/* The range first: a link without a record is found and reused, a record without a link is not. */
	if (symlinkat(jail, s->record_fd, range) < 0 && errno != EEXIST)
		return err_sys(e, errno, "keep the ids of jail %s", jail);
	j = json_pack("{s:I, s:s*, s:s*, s:s*}", "idbase", (json_int_t)r->idbase, "template", r->template,
		      "release", r->release, "created", r->created);
	text = j ? json_dumps(j, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
	json_decref(j);
	if (!text)
		return err_set(e, ENOMEM, "record of jail %s: out of memory", jail);
	if (fsx_write_atomic(s->record_fd, file, text, strlen(text), 0600, FSX_SYNC, e) < 0)
		return err_wrap(e, "record of jail %s", jail);
	return 0;
}

int
record_remove(const struct store *s, const char *jail, struct err *e)
{
	_auto_free char *file = xasprintf("%s.json", jail);
	struct record r;
	int found = record_read(s, jail, &r, e);

	if (found == 0)
		return 0;
	if (s->record_fd >= 0 && unlinkat(s->record_fd, file, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove the record of jail %s", jail);
	if (found > 0) {
		_auto_free char *range = range_link(r.idbase);

		(void)unlinkat(s->record_fd, range, 0);
		record_free(&r);
	}
	err_clear(e);
	return fsx_sync_dir(s->record_fd, file, e);
}

int
record_list(const struct store *s, struct strv *ret, struct err *e)
{
	_auto_closedir DIR *dir = NULL;
	struct dirent *de;
	int fd;

	if (s->record_fd < 0)
		return 0;
	fd = openat(s->record_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return err_sys(e, errno, "%s/js/.brig", s->base);
	}
	while ((de = readdir(dir))) {
		size_t len = strlen(de->d_name);

		if (len > 5 && streq(de->d_name + len - 5, ".json")) {
			_auto_free char *name = xstrndup(de->d_name, len - 5);

			if (name_ok(name))
				strv_add(ret, name);
		}
	}
	strv_sort(ret);
	return 0;
}

/* subuid(5): NAME:START:COUNT.  Does any line meet the range? */
static bool
subuid_meets(const char *text, uint32_t start)
{
	for (const char *line = text; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		_auto_free char *l = xstrndup(line, strcspn(line, "\n"));
		char *from = strchr(l, ':');
		char *count = from ? strchr(from + 1, ':') : NULL;
		uint64_t a, n;

		if (!count)
			continue;
		*count++ = '\0';
		if (num_u64(from + 1, UINT32_MAX, &a) < 0 || num_u64(count, UINT32_MAX, &n) < 0)
			continue;
		if (a < (uint64_t)start + ID_COUNT && start < a + n)
			return true;
	}
	return false;
}

/* A link whose jail has no record was left by a command that died between the two. */
static bool
range_is_free(const struct store *s, uint32_t n)
{
	_auto_free char *range = xasprintf("ids/%u", n);
	char jail[NAME_MAX_LEN + 1];
	ssize_t len = readlinkat(s->record_fd, range, jail, sizeof(jail));
	struct err e = ERR_INIT;
	struct record r;

	if (len < 0)
		return errno == ENOENT;
	if (len < (ssize_t)sizeof(jail)) {
		jail[len] = '\0';
		if (name_ok(jail) && record_read(s, jail, &r, &e) == 1) {
			bool own = r.idbase == ID_BASE + n * ID_COUNT;

			record_free(&r);
			if (own)
				return false;
		} else if (e.num) {
			return false;
		}
	}
	return unlinkat(s->record_fd, range, 0) == 0;
}

int
record_new_range(const struct store *s, uint32_t *ret, struct err *e)
{
	_auto_free char *subuid = NULL;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	struct err ignore = ERR_INIT;
	SHA2_CTX ctx;
	uint32_t first;

	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)s->base, strlen(s->base));
	SHA256Final(digest, &ctx);
	first = ((uint32_t)digest[0] << 8 | digest[1]) % ID_RANGES;
	if (fsx_read_at(AT_FDCWD, "/etc/subuid", 1 << 20, &subuid, NULL, &ignore) < 0)
		subuid = xstrdup("");
	for (uint32_t i = 0; i < ID_RANGES; i++) {
		uint32_t n = (first + i) % ID_RANGES;

		if (!range_is_free(s, n) || subuid_meets(subuid, ID_BASE + n * ID_COUNT))
			continue;
		*ret = ID_BASE + n * ID_COUNT;
		return 0;
	}
	return err_set(e, ENOSPC, "all %u ranges of ids are taken: destroy a jail first", ID_RANGES);
}
