/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The source oci:DIR[:TAG]: an OCI image layout, as skopeo(1) and umoci(1) write it.
 *
 * DIR ends at the first colon, as there; so it has none itself.
 *
 * No file of the layout is read here: brig is root, and the JSON of an image may be as hostile as its
 * layers. brig-import, which is confined, reads it (src/import/image.h), and asks for the files by name over
 * the request socket (SOCK_SEQPACKET, a message each way):
 *
 *	"oci-layout", "index.json", "blobs/sha256/" and 64 hexadecimal digits
 *		answered by a struct err and, with num 0, the descriptor of the file
 *	"= HEX" or "= HEX TAG"
 *		at the end: the digest of the manifest that was taken, and its tag
 *
 * A name of another form ends the build.  A file is opened below DIR, through no link and no mount, and only
 * if it is a regular file.
 */
#ifndef BRIG_STORE_TEMPLATE_OCI_H
#define BRIG_STORE_TEMPLATE_OCI_H

#include "store/template/build.h"

/* Splits what follows "oci:"; *ret_tag NULL without a tag.  The caller frees both. */
int oci_split(const char *spec, char **ret_dir, char **ret_tag, struct err *e);
/* source_resolve() of "oci:SPEC". */
int oci_resolve(const char *spec, char **ret, struct err *e);
/* Opens the file that brig-import asked for.  The descriptor or -errno. */
int oci_open(int layout_fd, const char *name, struct err *e);
int oci_fill(const struct source_place *at, const char *spec, struct err *e);

#endif
