/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions of the parameter table that are for conf/ only. */
#ifndef BRIG_CONF_TABLE_H
#define BRIG_CONF_TABLE_H

#include "conf/conf.h"

const char *param_near(const char *name);        /* a known name that may have been meant, or NULL */
bool param_default(const struct param_def *def); /* the default of a boolean */
/* May no variable have this name?  jail(8)'s own short list: a file that uses $ip4 or $service works. */
bool param_clashes(const char *name);

#endif
