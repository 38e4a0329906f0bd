/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the record of a jail (record.c) and the description of a change (change/file.c) write alike.  File
 * names and commands are any bytes, JSON is UTF-8: they are in vis(3)'s octal form.
 */
#ifndef BRIG_STORE_RECORD_JSON_H
#define BRIG_STORE_RECORD_JSON_H

#include <jansson.h>

#include "store/record/record.h"

json_t *record_json_text(const char *s);
/* The caller frees; NULL: not a string, or not in that form. */
char *record_parse_text(const json_t *j);
json_t *record_json_texts(const struct strv *v);
int record_parse_texts(const json_t *list, struct strv *ret); /* 0 or -EINVAL; adds */
/* Members of j whose names begin with prefix, for the lists that are not empty. */
void record_json_pending(json_t *j, const char *prefix, const struct pending *p);
int record_parse_pending(const json_t *j, const char *prefix, struct pending *ret); /* 0 or -EINVAL; adds */
json_t *record_json_conflicts(const struct record *r);
int record_parse_conflicts(const json_t *list, struct record *ret); /* 0 or -EINVAL; adds */

#endif
