/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ranges of host ids, one a jail.  The record has the range; js/.brig/ids/N, a link to the name of the jail that
 * has range N, makes it quick to find whose it is.
 */
#ifndef BRIG_STORE_RECORD_IDS_H
#define BRIG_STORE_RECORD_IDS_H

#include "store/store.h"

/* 4,096 ranges from 0x70000000: above systemd's containers and Debian's subuids, below 2^31. */
#define ID_BASE 0x70000000u
#define ID_COUNT 65536u
#define ID_RANGES 4096u
/*
 * A free range: one that no link, no record and no state has.  The caller holds the registry's lock until the
 * record is written, which keeps it.  The search begins at a place that depends on BASE, so that two
 * installations on one host do not begin alike; ranges that /etc/subuid or /etc/subgid gives away, and those
 * that an account of the host has an id in, are passed over.
 */
int record_new_range(const struct store *s, uint32_t *ret, struct err *e);
/*
 * Is the range of the record that jail has its own?  Asked before every start, under the registry's lock: links
 * and records may have been removed or restored from a backup.  The ordinary answer costs one readlink(2).  A
 * link that is missing, or leads to a jail that has this range no more, is made again.  -EEXIST names the jail
 * that has the range, too; files on disk have no ids of a range, so `brig create` gives this one another
 * (record_new_range).
 */
int record_claim_range(const struct store *s, const char *jail, uint32_t idbase, struct err *e);
/* For record_write() and record_remove(): the link is made and on disk before the record, and goes after it; only
 * a link that leads to this jail, since another one may have the range by now. */
int record_keep_range(const struct store *s, const char *jail, uint32_t idbase, struct err *e);
void record_give_back_range(const struct store *s, const char *jail, uint32_t idbase);

#endif
