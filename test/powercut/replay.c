/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a disk may hold after a power cut, from a log of its writes.
 *
 *	replay LOG MARKS			prints: entries flushes steps
 *	replay LOG MARKS BASE OUT flush N	all up to the N-th flush (0: nothing)
 *	replay LOG MARKS BASE OUT random SEED	all up to some flush, and a part of what came after it
 *
 * random: the cut is at a moment before the next flush was done; a disk may have written what is in its
 * cache in any order.
 *
 * BASE is the disk before the first write; OUT becomes a sparse file.  MARKS is the offset of the sector that
 * mark.c writes.  Printed for a cut: "S E: N unflushed writes, M of them kept whole"; S is the last step that
 * had returned with success before the cut, E the number of entries before it.
 *
 * The log is dm-log-writes' (Linux Documentation/admin-guide/device-mapper/log-writes.rst,
 * drivers/md/dm-log-writes.c), as qemu's blklogwrites driver writes it: a superblock, then for each entry one
 * sector with its header, and its data.  An entry is written when its request was done, so the order is that
 * of completion: a write that overlapped with a flush may be before it here although the disk had not
 * promised it.  Such a state is not made; none is made that cannot be.
 *
 * Writes are torn at 4096 bytes, the sector of today's disks: ext4 needs its superblock (1024 bytes) whole.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/num.h"
#include "powercut.h"

#define LOG_MAGIC 0x6a736677736872ULL
#define LOG_VERSION 1
#define LOG_FLUSH 1u
#define LOG_FUA 2u
#define LOG_DISCARD 4u
#define LOG_MARK 8u
#define TEAR 4096

struct log_super {
	uint64_t magic, version, entries;
	uint32_t sector_size;
};

struct log_entry {
	uint64_t sector, sectors, flags, data_len;
};

struct entry {
	uint64_t offset, size; /* bytes of the disk */
	uint64_t flags;
	const char *data; /* NULL: zeroes (a discard) */
	uint64_t steps;   /* done when this entry is */
};

struct log {
	struct entry *v;
	size_t n, flushes;
	const char *map;
	size_t size;
};

_Noreturn static void _printf_(1, 2) die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fputs("replay: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	exit(2);
}

/* ---- reading ---- */

static void
log_map(const char *path, struct log *log)
{
	_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		die("%s: %s", path, strerror(errno));
	log->size = (size_t)st.st_size;
	if (log->size < sizeof(struct log_super))
		die("%s: too short", path);
	log->map = mmap(NULL, log->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (log->map == MAP_FAILED)
		die("%s: %s", path, strerror(errno));
}

static uint64_t
marked_step(const struct entry *e, uint64_t marks)
{
	struct mark m;

	if (!e->data || e->offset != marks || e->size < sizeof(m))
		return 0;
	memcpy(&m, e->data, sizeof(m));
	return m.magic == MARK_MAGIC ? m.step : 0;
}

static void
log_read(const char *path, uint64_t marks, struct log *log)
{
	struct log_super super;
	struct log_entry le;
	uint64_t at, steps = 0, sector;

	log_map(path, log);
	memcpy(&super, log->map, sizeof(super));
	sector = le32toh(super.sector_size);
	if (le64toh(super.magic) != LOG_MAGIC || le64toh(super.version) != LOG_VERSION || sector < 512 ||
	    sector > 65536)
		die("%s: not a log of writes", path);
	log->n = le64toh(super.entries);
	log->v = xcalloc(log->n + 1, sizeof(*log->v));
	at = sector;
	for (size_t i = 0; i < log->n; i++) {
		struct entry *e = &log->v[i];

		if (at + sizeof(le) > log->size)
			die("%s: ends in entry %zu of %zu", path, i, log->n);
		memcpy(&le, log->map + at, sizeof(le));
		at += sector;
		e->flags = le64toh(le.flags);
		e->offset = le64toh(le.sector) * sector;
		e->size = le64toh(le.sectors) * sector;
		if (e->flags & LOG_MARK)
			e->size = le64toh(le.data_len);
		if (!(e->flags & LOG_DISCARD) && e->size > 0) {
			if (e->size > log->size - at)
				die("%s: ends in entry %zu of %zu", path, i, log->n);
			e->data = log->map + at;
			at += (e->size + sector - 1) / sector * sector;
		}
		if (e->flags & LOG_FLUSH)
			log->flushes++;
		if (marked_step(e, marks) > steps)
			steps = marked_step(e, marks);
		e->steps = steps;
	}
}

/* ---- writing ---- */

static void
put(int out, const char *data, uint64_t size, uint64_t offset)
{
	while (size > 0) {
		ssize_t n = pwrite(out, data, size, (off_t)offset);

		if (n <= 0)
			die("write the image: %s", strerror(errno));
		data += n;
		offset += (uint64_t)n;
		size -= (uint64_t)n;
	}
}

static void
copy_range(int in, int out, off_t from, off_t to)
{
	static char chunk[1 << 20];

	while (from < to) {
		size_t want = to - from < (off_t)sizeof(chunk) ? (size_t)(to - from) : sizeof(chunk);
		ssize_t n = pread(in, chunk, want, from);

		if (n <= 0)
			die("read the image: %s", n < 0 ? strerror(errno) : "too short");
		put(out, chunk, (uint64_t)n, (uint64_t)from);
		from += n;
	}
}

static int
copy_sparse(const char *from, const char *to)
{
	_auto_close int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t data = 0, hole = 0;
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		die("%s: %s", from, strerror(errno));
	if (out < 0 || ftruncate(out, st.st_size) < 0)
		die("%s: %s", to, strerror(errno));
	while ((data = lseek(in, hole, SEEK_DATA)) >= 0) {
		hole = lseek(in, data, SEEK_HOLE);
		copy_range(in, out, data, hole < 0 ? st.st_size : hole);
		if (hole < 0)
			break;
	}
	return out;
}

static void
apply_part(int out, const struct entry *e, uint64_t from, uint64_t size)
{
	if (e->data)
		put(out, e->data + from, size, e->offset + from);
	else if (fallocate(out, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(e->offset + from),
			   (off_t)size) < 0)
		die("discard: %s", strerror(errno));
}

static void
apply(int out, const struct entry *e)
{
	if (e->size > 0 && !(e->flags & LOG_MARK))
		apply_part(out, e, 0, e->size);
}

/* ---- choosing ---- */

static uint64_t seed;

/* splitmix64 */
static uint64_t
rnd(uint64_t below)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) % below;
}

/* Torn: some of its 4096-byte blocks.  true: all of them. */
static bool
apply_some(int out, const struct entry *e, bool torn)
{
	bool whole = true;

	if (!torn || e->size == 0) {
		whole = rnd(2) == 0;
		if (whole)
			apply(out, e);
		return whole;
	}
	for (uint64_t from = 0; from < e->size; from += TEAR) {
		uint64_t size = e->size - from < TEAR ? e->size - from : TEAR;

		if (rnd(2) == 0)
			apply_part(out, e, from, size);
		else
			whole = false;
	}
	return whole;
}

/* The index behind the n-th flush. */
static size_t
behind_flush(const struct log *log, uint64_t n)
{
	size_t i = 0;

	for (; n > 0 && i < log->n; i++)
		if (log->v[i].flags & LOG_FLUSH)
			n--;
	if (n > 0)
		die("there are only %zu flushes", log->flushes);
	return i;
}

static void
tell(const struct log *log, size_t cut, size_t loose, size_t whole)
{
	(void)printf("%llu %zu: %zu unflushed writes, %zu of them kept whole\n",
		     cut > 0 ? (unsigned long long)log->v[cut - 1].steps : 0ULL, cut, loose, whole);
}

static void
cut_flush(const struct log *log, int out, uint64_t n)
{
	size_t cut = behind_flush(log, n);

	for (size_t i = 0; i < cut; i++)
		apply(out, &log->v[i]);
	tell(log, cut, 0, 0);
}

static void
cut_random(const struct log *log, int out)
{
	size_t from, end, cut, whole = 0;
	bool torn;

	do { /* every interval between flushes as likely as any other */
		from = behind_flush(log, rnd(log->flushes + 1));
		for (end = from; end < log->n && !(log->v[end].flags & LOG_FLUSH); end++)
			;
	} while (end == from);
	cut = rnd(2) == 0 ? end : from + 1 + rnd(end - from);
	torn = rnd(2) == 0;
	for (size_t i = 0; i < from; i++)
		apply(out, &log->v[i]);
	for (size_t i = from; i < cut; i++) {
		if (log->v[i].flags & LOG_FUA) {
			apply(out, &log->v[i]);
			whole++;
		} else if (apply_some(out, &log->v[i], torn)) {
			whole++;
		}
	}
	tell(log, cut, cut - from, whole);
}

int
main(int argc, char **argv)
{
	struct log log = {0};
	_auto_close int out = -EBADF;
	uint64_t marks, n;
	bool writes = false;

	if ((argc != 3 && argc != 7) || num_u64(argv[2], INT64_MAX, &marks) < 0 ||
	    (argc == 7 && num_u64(argv[6], UINT64_MAX, &n) < 0)) {
		(void)fputs("usage: replay LOG MARKS [BASE OUT flush|random N]\n", stderr);
		return 2;
	}
	log_read(argv[1], marks, &log);
	for (size_t i = 0; i < log.n; i++)
		writes |= log.v[i].size > 0;
	if (!writes)
		die("%s: nothing was written", argv[1]);
	if (argc == 3) {
		(void)printf("%zu %zu %llu\n", log.n, log.flushes,
			     (unsigned long long)log.v[log.n - 1].steps);
		return 0;
	}
	out = copy_sparse(argv[3], argv[4]);
	seed = n;
	if (streq(argv[5], "flush"))
		cut_flush(&log, out, n);
	else if (streq(argv[5], "random"))
		cut_random(&log, out);
	else
		die("%s: flush or random", argv[5]);
	return 0;
}
