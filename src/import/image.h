/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An OCI image (image-spec 1.0: image-layout, image-index, manifest, layer) into a tree.
 *
 * JSON and layers may be hostile.  So the JSON, too, is read here, in the confined program, and not by brig,
 * which is root: brig only opens the files that this asks for, below the layout and by names of three fixed
 * forms, and reads none of them.
 *
 * Size and SHA-256 of a file are verified before a byte of it is parsed, and the bytes that are parsed are
 * those that were verified (blob.c).  index.json and oci-layout have no digest.  The sums of import_limits
 * are those of all layers together.
 */
#ifndef BRIG_IMPORT_IMAGE_H
#define BRIG_IMPORT_IMAGE_H

#include "import/import.h"

#define IMAGE_JSON (4u << 20) /* bytes of an index, a manifest or a configuration */
#define IMAGE_MANIFESTS 4096  /* in one index */
#define IMAGE_LAYERS 1000
#define IMAGE_DEPTH 4 /* indexes in indexes */
#define IMAGE_TAG 255

/* In the words of the image-spec, which are Go's: "linux", "amd64". */
struct image_platform {
	char os[16], arch[16];
	int variant; /* of arm: 5 to 8; 0: none */
};
int image_platform(struct image_platform *ret, struct err *e); /* this machine's */

struct image_want {
	const char *tag; /* NULL: there must be only one image */
	struct image_platform host;
	/* Opens "oci-layout", "index.json" or "blobs/sha256/HEX" for reading.  The caller closes. */
	int (*open)(void *ctx, const char *name, struct err *e);
	void *ctx;
};

struct image_result {
	char digest[65]; /* of the manifest: hexadecimal SHA-256 */
	char *tag;       /* the image's name in index.json, or NULL; the caller frees */
};

int image_run(const struct image_want *want, int top_fd, const struct import_limits *limits,
	      struct image_result *ret, struct err *e);

/*
 * The request socket (ask.c), SOCK_SEQPACKET, between the confined program and brig.  The program sends the
 * name of a file; the answer is one struct err, and with num 0 the file's descriptor.  At the end it sends
 * what it unpacked: "= HEX" or "= HEX TAG".
 */
int ask_open(int sock, const char *name, struct err *e);
int ask_result(int sock, const struct image_result *result, struct err *e);

#endif
