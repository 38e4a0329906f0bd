/* SPDX-License-Identifier: BSD-2-Clause */
/* What only conf/ asks of the parameter table. */
#ifndef BRIG_CONF_TABLE_H
#define BRIG_CONF_TABLE_H

#include "conf/conf.h"

const char *param_near(const char *name);        /* a known name that may have been meant, or NULL */
bool param_default(const struct param_def *def); /* of a boolean that nobody sets */
/* May no variable have this name?  jail(8)'s own short list: a file that uses $ip4 or $service works. */
bool param_clashes(const char *name);

#endif
