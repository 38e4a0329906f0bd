/* SPDX-License-Identifier: BSD-2-Clause */
/* What build*.c share: they make a jail's specification of its entries. */
#ifndef BRIG_CONF_BUILD_H
#define BRIG_CONF_BUILD_H

#include "conf/conf_int.h"

struct build {
	struct conf *c;
	struct jail *j;
	struct jailspec *s;
};

/* A parameter's entry; NULL: not set, or an error was found in it before. */
const struct entry *build_entry(const struct build *b, const char *name);
/* An error at the parameter's last value. */
void build_err(const struct build *b, const struct entry *e, const char *fmt, ...) _printf_(3, 4);
void build_warn(const struct build *b, const struct entry *e, const char *fmt, ...) _printf_(3, 4);
/* The parameter's share value; fallback when it is not set or wrong. */
enum spec_share build_share(const struct build *b, const char *name, enum spec_share fallback);
bool build_interface_ok(const char *name);

void build_net(struct build *b);
void build_root(struct build *b);

#endif
