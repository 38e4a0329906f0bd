/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sha256.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "store/record/ids.h"
#include "store/record/record.h"

#define ID_FILE_MAX (1u << 20)

static char *
range_link(uint32_t idbase)
{
	return xasprintf("ids/%u", (idbase - ID_BASE) / ID_COUNT);
}

int
record_keep_range(const struct store *s, const char *jail, uint32_t idbase, struct err *e)
{
	_auto_free char *range = range_link(idbase);

	if (symlinkat(jail, s->record_fd, range) < 0 && errno != EEXIST)
		return err_sys(e, errno, "keep the ids of jail %s", jail);
	return 0;
}

void
record_give_back_range(const struct store *s, const char *jail, uint32_t idbase)
{
	_auto_free char *range = range_link(idbase);
	char holder[NAME_MAX_LEN + 1];
	ssize_t len = readlinkat(s->record_fd, range, holder, sizeof(holder) - 1);

	if (len < 0)
		return;
	holder[len] = '\0';
	if (streq(holder, jail))
		(void)unlinkat(s->record_fd, range, 0);
}

/* Where ids of others are given out: NAME:START:COUNT (subuid(5)), or NAME:PASSWORD:ID (passwd(5), group(5)).
 */
static const struct id_file {
	const char *path;
	bool ranges;
} id_files[] = {{"/etc/subuid", true}, {"/etc/subgid", true}, {"/etc/passwd", false}, {"/etc/group", false}};

static bool
line_meets(const char *line, bool ranges, uint32_t start)
{
	_auto_free char *l = xstrndup(line, strcspn(line, "\n"));
	char *second = strchr(l, ':'), *third = second ? strchr(second + 1, ':') : NULL;
	uint64_t a, n = 1;

	if (!third)
		return false;
	*second++ = *third++ = '\0';
	third[strcspn(third, ":")] = '\0';
	if (num_u64(ranges ? second : third, UINT32_MAX, &a) < 0 ||
	    (ranges && num_u64(third, UINT32_MAX, &n) < 0))
		return false;
	return a < (uint64_t)start + ID_COUNT && start < a + n;
}

/* Has anybody else an id of the range that begins at start?  texts: of id_files. */
static bool
others_meet(char *const *texts, uint32_t start)
{
	for (size_t i = 0; i < ARRAY_LEN(id_files); i++)
		for (const char *line = texts[i]; line;
		     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
			if (line_meets(line, id_files[i].ranges, start))
				return true;
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
	char *others[ARRAY_LEN(id_files)] = {NULL};
	uint8_t digest[SHA256_DIGEST_LENGTH];
	bool found = false;
	SHA2_CTX ctx;
	uint32_t first;

	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)s->base, strlen(s->base));
	SHA256Final(digest, &ctx);
	first = ((uint32_t)digest[0] << 8 | digest[1]) % ID_RANGES;
	for (size_t i = 0; i < ARRAY_LEN(id_files); i++) {
		struct err ignore = ERR_INIT;

		(void)fsx_read_at(AT_FDCWD, id_files[i].path, ID_FILE_MAX, &others[i], NULL, &ignore);
	}
	for (uint32_t i = 0; i < ID_RANGES && !found; i++) {
		uint32_t n = (first + i) % ID_RANGES;

		*ret = ID_BASE + n * ID_COUNT;
		found = range_is_free(s, n) && !others_meet(others, *ret);
	}
	for (size_t i = 0; i < ARRAY_LEN(id_files); i++)
		free(others[i]);
	if (found)
		return 0;
	return err_set(e, ENOSPC, "all %u ranges of ids are taken: destroy a jail first", ID_RANGES);
}
