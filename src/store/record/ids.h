/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ranges of host ids, one a jail.  js/.brig/ids/N is a link to the name of the jail that has range N.
 */
#ifndef BRIG_STORE_RECORD_IDS_H
#define BRIG_STORE_RECORD_IDS_H

#include "store/store.h"

/* 4,096 ranges from 0x70000000: above systemd's containers and Debian's subuids, below 2^31. */
#define ID_BASE 0x70000000u
#define ID_COUNT 65536u
#define ID_RANGES 4096u
/* Taken for good: the link.  record_write() does it before the record. */
int record_keep_range(const struct store *s, const char *jail, uint32_t idbase, struct err *e);
/* Only a link that leads to this jail: where it was broken off once, another jail may have the range by now. */
void record_give_back_range(const struct store *s, const char *jail, uint32_t idbase);
/* A free range; the caller holds the registry lock until the record is written (which keeps the range).  The
 * search begins at a place that depends on BASE, so that two installations on one host do not begin alike;
 * ranges that /etc/subuid or /etc/subgid gives away, and those that an account of the host has an id in, are
 * passed over. */
int record_new_range(const struct store *s, uint32_t *ret, struct err *e);

#endif
