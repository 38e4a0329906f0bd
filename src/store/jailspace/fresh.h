/* SPDX-License-Identifier: BSD-2-Clause */
/* What must differ in each jail, made in a new jailspace by the `fresh` rules of its release (split.h). */
#ifndef BRIG_STORE_JAILSPACE_FRESH_H
#define BRIG_STORE_JAILSPACE_FRESH_H

#include "store/template/release.h"

/* A rule whose directory is not in the jailspace has no effect. */
int space_fresh(int space_fd, const char *hostname, const struct release *from, struct err *e);

#endif
