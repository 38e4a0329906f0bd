/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sha256.h>

#include "base/fsx.h"
#include "base/name.h"
#include "base/num.h"
#include "store/record/ids.h"
#include "store/record/record.h"
#include "store/record/state.h"

#define ID_FILE_MAX (1u << 20)

static char *
range_link(uint32_t idbase)
{
	return xasprintf("ids/%u", (idbase - ID_BASE) / ID_COUNT);
}

static bool
is_range(uint32_t idbase)
{
	return idbase >= ID_BASE && (idbase - ID_BASE) % ID_COUNT == 0 &&
	       (idbase - ID_BASE) / ID_COUNT < ID_RANGES;
}

/* Reads the link of a range.  1: it names a jail, 0: there is none (or its text is not a jail's name). */
static int
linked_jail(const struct store *s, uint32_t idbase, char ret[NAME_MAX_LEN + 1], struct err *e)
{
	_auto_free char *range = range_link(idbase);
	ssize_t len = readlinkat(s->record_fd, range, ret, NAME_MAX_LEN + 1);

	if (len < 0)
		return errno == ENOENT || errno == EINVAL
			   ? 0
			   : err_sys(e, errno, "%s/js/.brig/%s", s->base, range);
	if (len > NAME_MAX_LEN)
		return 0;
	ret[len] = '\0';
	return name_ok(ret);
}

/* Makes the link, for good.  What is in its place names no jail, or one that does not have this range.  There is
 * no temporary name that a killed command could leave: a link that is missing is made again. */
static int
put_link(const struct store *s, const char *jail, uint32_t idbase, struct err *e)
{
	_auto_free char *name = xasprintf("%u", (idbase - ID_BASE) / ID_COUNT);
	_auto_close int dir = openat(s->record_fd, "ids", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r = dir < 0 ? -errno : symlinkat(jail, dir, name) < 0 ? -errno : 0;

	if (r == -EEXIST)
		r = unlinkat(dir, name, 0) < 0 || symlinkat(jail, dir, name) < 0 ? -errno : 0;
	if (r < 0)
		return err_sys(e, -r, "%s/js/.brig/ids/%s", s->base, name);
	return fsx_sync_dir(dir, name, e);
}

int
record_keep_range(const struct store *s, const char *jail, uint32_t idbase, struct err *e)
{
	char holder[NAME_MAX_LEN + 1];
	int r = is_range(idbase) ? linked_jail(s, idbase, holder, e) : 1;

	if (r == 0)
		r = put_link(s, jail, idbase, e);
	return r < 0 ? err_wrap(e, "keep the ids of jail %s", jail) : 0;
}

void
record_give_back_range(const struct store *s, const char *jail, uint32_t idbase)
{
	_auto_free char *range = range_link(idbase);
	char holder[NAME_MAX_LEN + 1];
	struct err ignore = ERR_INIT;

	if (is_range(idbase) && linked_jail(s, idbase, holder, &ignore) == 1 && streq(holder, jail))
		(void)unlinkat(s->record_fd, range, 0);
}

/* ---- whose is it? ---- */

static bool
meet(uint32_t a, uint32_t b)
{
	return (uint64_t)a < (uint64_t)b + ID_COUNT && (uint64_t)b < (uint64_t)a + ID_COUNT;
}

/* 1: the jail has the range, by its record, or by its state where the record was removed while it runs. A
 * record or state that cannot be read counts as having it. */
static int
jail_has(const struct store *s, const char *jail, uint32_t idbase, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	struct state st;
	int r = record_read(s, jail, &rec, e);
	bool has;

	if (r == -EINVAL) {
		err_clear(e);
		return 1;
	}
	if (r != 0)
		return r < 0 ? r : meet(rec.idbase, idbase);
	r = state_read(s, jail, &st, e);
	if (r == -EINVAL) {
		err_clear(e);
		return 1;
	}
	if (r <= 0)
		return r;
	has = meet(st.idbase, idbase);
	state_free(&st);
	return has;
}

/* Calls fn for each range that a record has.  A damaged record has none: its jail does not start. */
static int
each_record(const struct store *s, void (*fn)(void *ctx, const char *jail, uint32_t idbase), void *ctx,
	    struct err *e)
{
	_auto_strv struct strv jails = STRV_INIT;
	int r = record_list(s, &jails, e);

	for (size_t i = 0; i < jails.n && r == 0; i++) {
		_auto_(record_free) struct record rec = {0};

		r = record_read(s, jails.v[i], &rec, e);
		if (r == -EINVAL) {
			err_clear(e);
			r = 0;
		}
		if (r > 0) {
			fn(ctx, jails.v[i], rec.idbase);
			r = 0;
		}
	}
	return r;
}

struct other {
	const char *jail;
	uint32_t idbase;
	char name[NAME_MAX_LEN + 1]; /* another one that has it */
};

static void
other_than(void *ctx, const char *jail, uint32_t idbase)
{
	struct other *o = ctx;

	if (!streq(jail, o->jail) && meet(idbase, o->idbase))
		(void)snprintf(o->name, sizeof(o->name), "%s", jail);
}

static int
not_its_own(const char *jail, const char *other, struct err *e)
{
	return err_set(e, EEXIST,
		       "its ids on the host are those of jail %s, too: give it others (brig create %s)",
		       other, jail);
}

int
record_claim_range(const struct store *s, const char *jail, uint32_t idbase, struct err *e)
{
	struct other o = {.jail = jail, .idbase = idbase};
	int r;

	if (!is_range(idbase))
		return err_set(e, EEXIST,
			       "its ids on the host begin at %u, where no range does: "
			       "give it others (brig create %s)",
			       idbase, jail);
	r = linked_jail(s, idbase, o.name, e);
	if (r < 0 || (r > 0 && streq(o.name, jail)))
		return r < 0 ? r : 0;
	if (r > 0) {
		r = jail_has(s, o.name, idbase, e);
		if (r != 0)
			return r < 0 ? r : not_its_own(jail, o.name, e);
	}
	o.name[0] = '\0';
	r = each_record(s, other_than, &o, e);
	if (r == 0 && o.name[0])
		r = not_its_own(jail, o.name, e);
	return r < 0 ? r : put_link(s, jail, idbase, e);
}

/* ---- a new one ---- */

/* Files that give ids of the host to others: NAME:START:COUNT (subuid(5)), NAME:PASSWORD:ID (passwd(5),
 * group(5)). */
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

/* Does one of these files give away an id of the range that begins at start?  texts: their contents. */
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

static void
mark_taken(void *ctx, const char *jail _unused_, uint32_t idbase)
{
	bool *taken = ctx;

	for (uint32_t n = 0; n < 2; n++) { /* a start that is not a multiple overlaps two ranges */
		uint64_t at = (uint64_t)idbase + n * (ID_COUNT - 1);

		if (at >= ID_BASE && (at - ID_BASE) / ID_COUNT < ID_RANGES)
			taken[(at - ID_BASE) / ID_COUNT] = true;
	}
}

/* 1: free, also when a command made the link and was killed before it wrote the record. */
static int
range_is_free(const struct store *s, uint32_t idbase, struct err *e)
{
	_auto_free char *range = range_link(idbase);
	char jail[NAME_MAX_LEN + 1];
	int r = linked_jail(s, idbase, jail, e);

	if (r > 0)
		r = jail_has(s, jail, idbase, e);
	if (r != 0)
		return r < 0 ? r : 0;
	if (unlinkat(s->record_fd, range, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "%s/js/.brig/%s", s->base, range);
	return 1;
}

/* 1 found. */
static int
search(const struct store *s, const bool *taken, char *const *others, uint32_t *ret, struct err *e)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;
	int r = 0;

	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)s->base, strlen(s->base));
	SHA256Final(digest, &ctx);
	for (uint32_t i = 0; i < ID_RANGES && r == 0; i++) {
		uint32_t n = (((uint32_t)digest[0] << 8 | digest[1]) + i) % ID_RANGES;

		*ret = ID_BASE + n * ID_COUNT;
		if (!taken[n] && !others_meet(others, *ret))
			r = range_is_free(s, *ret, e);
	}
	return r;
}

/* *ret NULL: there is no such file. */
static int
read_id_file(const char *path, char **ret, struct err *e)
{
	_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", path);
	r = fsx_read_fd(fd, ID_FILE_MAX, ret, NULL);
	return r < 0 ? err_sys(e, -r, "%s: whose ids are not a jail's", path) : 0;
}

int
record_new_range(const struct store *s, uint32_t *ret, struct err *e)
{
	_auto_free bool *taken = xcalloc(ID_RANGES, sizeof(*taken));
	char *others[ARRAY_LEN(id_files)] = {NULL};
	int r = each_record(s, mark_taken, taken, e);

	for (size_t i = 0; i < ARRAY_LEN(id_files) && r == 0; i++)
		r = read_id_file(id_files[i].path, &others[i], e);
	if (r == 0)
		r = search(s, taken, others, ret, e);
	if (r == 0)
		r = err_set(e, ENOSPC, "all %u ranges of ids are taken: destroy a jail first", ID_RANGES);
	for (size_t i = 0; i < ARRAY_LEN(id_files); i++)
		free(others[i]);
	return r < 0 ? r : 0;
}
