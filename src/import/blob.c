/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/stat.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "import/import_int.h"

#define CHUNK (1u << 20)

static void
hex_of(const uint8_t digest[SHA256_DIGEST_LENGTH], char hex[BLOB_HEX + 1])
{
	for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* Exactly len bytes. */
static int
read_full(int fd, void *into, size_t len, struct err *e)
{
	ssize_t n = fsx_read_full(fd, into, len);

	if (n < 0)
		return err_sys(e, (int)-n, "read");
	return (size_t)n < len ? err_set(e, EINVAL, "became shorter while it was read") : 0;
}

static int
check_size(int fd, uint64_t size, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "read");
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "is not a regular file");
	if ((uint64_t)st.st_size != size)
		return err_set(e, EINVAL, "has %llu bytes, its descriptor says %llu",
			       (unsigned long long)st.st_size, (unsigned long long)size);
	return 0;
}

static int
check_digest(const uint8_t digest[SHA256_DIGEST_LENGTH], const char hex[BLOB_HEX + 1], struct err *e)
{
	char got[BLOB_HEX + 1];

	hex_of(digest, got);
	if (streq(got, hex))
		return 0;
	return err_set(e, EINVAL, "has another content: its digest is sha256:%s", got);
}

/* Reads the next chunk into b->chunk; upto becomes the digest of the file up to its end.  *ret_len 0 at
 * the end. */
static int
read_chunk(struct blob *b, size_t *ret_len, uint8_t upto[SHA256_DIGEST_LENGTH], struct err *e)
{
	uint64_t left = b->size - b->at;
	size_t len = left < CHUNK ? (size_t)left : CHUNK;
	SHA2_CTX copy;

	if (read_full(b->fd, b->chunk, len, e) < 0)
		return -e->num;
	SHA256Update(&b->sha, b->chunk, len);
	copy = b->sha;
	SHA256Final(upto, &copy);
	b->at += len;
	*ret_len = len;
	return 0;
}

void
blob_rewind(struct blob *b)
{
	(void)lseek(b->fd, 0, SEEK_SET);
	SHA256Init(&b->sha);
	b->at = 0;
}

int
blob_check(struct blob *b, int fd, uint64_t size, const char hex[BLOB_HEX + 1], struct err *e)
{
	size_t n = (size_t)(size / CHUNK) + 1, len = 0;

	b->fd = fd;
	b->size = size;
	if (check_size(fd, size, e) < 0)
		return -e->num;
	b->marks = xcalloc(n, sizeof(*b->marks));
	b->chunk = xcalloc(size < CHUNK ? (size_t)size + 1 : CHUNK, 1);
	blob_rewind(b);
	for (size_t i = 0; i < n; i++)
		if (read_chunk(b, &len, b->marks[i], e) < 0)
			return -e->num;
	return check_digest(b->marks[n - 1], hex, e);
}

ssize_t
blob_next(struct blob *b, const void **ret, struct err *e)
{
	uint8_t upto[SHA256_DIGEST_LENGTH];
	size_t i = (size_t)(b->at / CHUNK), len = 0;

	if (b->at == b->size)
		return 0;
	if (read_chunk(b, &len, upto, e) < 0)
		return -e->num;
	if (memcmp(upto, b->marks[i], sizeof(upto)) != 0)
		return err_set(e, EINVAL, "was changed while it was read");
	*ret = b->chunk;
	return (ssize_t)len;
}

void
blob_free(struct blob *b)
{
	fd_close(b->fd);
	free(b->marks);
	free(b->chunk);
	*b = (struct blob)BLOB_INIT;
}

int
blob_text(int fd, uint64_t size, const char hex[BLOB_HEX + 1], char **ret, struct err *e)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	_auto_free char *text = NULL;
	SHA2_CTX sha;

	if (check_size(fd, size, e) < 0)
		return -e->num;
	text = xcalloc(size + 1, 1);
	if (read_full(fd, text, size, e) < 0)
		return -e->num;
	SHA256Init(&sha);
	SHA256Update(&sha, (const uint8_t *)text, size);
	SHA256Final(digest, &sha);
	if (check_digest(digest, hex, e) < 0)
		return -e->num;
	*ret = TAKE_PTR(text);
	return 0;
}
