/* SPDX-License-Identifier: BSD-2-Clause */
/* jansson itself refuses ambiguous JSON: numbers beyond 64 bits, text after the end, NUL, invalid UTF-8,
 * nesting beyond 2048; and duplicate keys with JSON_REJECT_DUPLICATES. */
#include "base/mem.h"
#include "base/name.h"
#include "base/num.h"
#include "import/import_int.h"

#define TAG_KEY "org.opencontainers.image.ref.name"

int
json_document(const char *text, size_t len, const char *what, json_t **ret, struct err *e)
{
	_auto_free char *shown = NULL;
	json_error_t where;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);

	if (!j) {
		shown = text_printable(where.text, 200);
		return err_set(e, EINVAL, "%s:%d: %s", what, where.line, shown);
	}
	if (!json_is_object(j)) {
		json_decref(j);
		return err_set(e, EINVAL, "%s: is not a JSON object", what);
	}
	*ret = j;
	return 0;
}

const json_t *
json_member(const json_t *object, const char *key)
{
	const json_t *j = json_object_get(object, key);

	return json_is_null(j) ? NULL : j;
}

int
json_text(const json_t *object, const char *key, const char *what, const char **ret, struct err *e)
{
	const json_t *j = json_member(object, key);

	if (j && !json_is_string(j))
		return err_set(e, EINVAL, "%s: %s is not a string", what, key);
	*ret = json_string_value(j);
	return 0;
}

int
json_items(const json_t *object, const char *key, const char *what, size_t max, const json_t **ret,
	   struct err *e)
{
	const json_t *j = json_member(object, key);

	if (!json_is_array(j))
		return err_set(e, EINVAL, "%s: %s %s", what, key, j ? "is not an array" : "is missing");
	if (json_array_size(j) == 0)
		return err_set(e, EINVAL, "%s: has no %s", what, key);
	if (json_array_size(j) > max)
		return err_set(e, EFBIG, "%s: has more than %zu %s", what, max, key);
	*ret = j;
	return 0;
}

static int
read_digest(const char *digest, const char *what, char hex[BLOB_HEX + 1], struct err *e)
{
	const char *p = digest ? str_after(digest, "sha256:") : NULL;
	_auto_free char *shown = text_printable(digest ? digest : "", 140);

	if (!digest)
		return err_set(e, EINVAL, "%s: digest is missing", what);
	if (!p && strchr(digest, ':'))
		return err_set(e, EOPNOTSUPP, "%s: digest '%s': only sha256 is supported", what, shown);
	if (!p || strlen(p) != BLOB_HEX || strspn(p, "0123456789abcdef") != BLOB_HEX)
		return err_set(e, EINVAL,
			       "%s: digest '%s' is not 'sha256:' and %d hexadecimal digits in lower case",
			       what, shown, BLOB_HEX);
	memcpy(hex, p, BLOB_HEX + 1);
	return 0;
}

static int
read_size(const json_t *j, const char *what, uint64_t *ret, struct err *e)
{
	if (!json_is_integer(j))
		return err_set(e, EINVAL, "%s: size %s", what, j ? "is not an integer" : "is missing");
	if (json_integer_value(j) < 0)
		return err_set(e, EINVAL, "%s: size is negative", what);
	*ret = (uint64_t)json_integer_value(j);
	return 0;
}

static int
read_extras(const json_t *j, const char *what, struct descriptor *d, struct err *e)
{
	const json_t *notes = json_member(j, "annotations"), *urls = json_member(j, "urls");

	d->platform = json_member(j, "platform");
	if (d->platform && !json_is_object(d->platform))
		return err_set(e, EINVAL, "%s: platform is not an object", what);
	if (urls && !json_is_array(urls))
		return err_set(e, EINVAL, "%s: urls is not an array", what);
	d->elsewhere = json_array_size(urls) > 0;
	if (notes && !json_is_object(notes))
		return err_set(e, EINVAL, "%s: annotations is not an object", what);
	return notes ? json_text(notes, TAG_KEY, what, &d->tag, e) : 0;
}

int
descriptor_read(const json_t *j, const char *what, struct descriptor *ret, struct err *e)
{
	struct descriptor d = {0};
	const char *digest;

	if (!json_is_object(j))
		return err_set(e, EINVAL, "%s: is not an object", what);
	if (json_text(j, "mediaType", what, &d.media, e) < 0 ||
	    json_text(j, "digest", what, &digest, e) < 0 || read_digest(digest, what, d.hex, e) < 0 ||
	    read_size(json_member(j, "size"), what, &d.size, e) < 0 || read_extras(j, what, &d, e) < 0)
		return -e->num;
	if (!d.media)
		return err_set(e, EINVAL, "%s: mediaType is missing", what);
	*ret = d;
	return 0;
}

int
descriptor_fits(const struct descriptor *d, const struct image_platform *host, const char *what, bool *ret,
		struct err *e)
{
	const char *os = NULL, *arch = NULL, *variant = NULL;
	int v = 0;

	if (d->platform && (json_text(d->platform, "os", what, &os, e) < 0 ||
			    json_text(d->platform, "architecture", what, &arch, e) < 0 ||
			    json_text(d->platform, "variant", what, &variant, e) < 0))
		return -e->num;
	*ret = os && arch && streq(os, host->os) && streq(arch, host->arch);
	/* the machine also runs programs for older variants */
	if (variant && host->variant && *variant == 'v' && num_int(variant + 1, 0, 99, &v) == 0)
		*ret = *ret && v <= host->variant;
	return 0;
}
