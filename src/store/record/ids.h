/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ranges of host ids, one for each jail.  The record has the range; js/.brig/ids/N is a link whose text is
 * the name of the jail that has range N, so that finding the owner is one readlink(2).
 */
#ifndef BRIG_STORE_RECORD_IDS_H
#define BRIG_STORE_RECORD_IDS_H

#include "store/store.h"

/* 4,096 ranges from 0x70000000: above systemd's containers and Debian's subuids, below 2^31. */
#define ID_BASE 0x70000000u
#define ID_COUNT 65536u
#define ID_RANGES 4096u
/*
 * Finds a range that no link, record or state has.  The caller holds the registry's lock until it has written
 * the record, which claims the range.  The search begins at a place that depends on BASE, so that two
 * installations on one host do not begin with the same range; ranges that overlap /etc/subuid, /etc/subgid or
 * an account of the host are skipped.
 */
int record_new_range(const struct store *s, uint32_t *ret, struct err *e);
/*
 * Checks that no other jail has the range in this jail's record.  Called before every start, under the
 * registry's lock: links and records may have been removed or restored from a backup.  Usually it costs one
 * readlink(2).  A link that is missing, or names a jail that does not have this range any more, is made
 * again.  -EEXIST: another jail, which the message names, has the range.  Files on disk do not have ids of
 * the range, so `brig create` can give the jail another one (record_new_range).
 */
int record_claim_range(const struct store *s, const char *jail, uint32_t idbase, struct err *e);
/* For record_write() and record_remove().  keep makes the link, on disk before the record is written;
 * give_back removes it afterwards, but only if it still names this jail: another one may have the range by
 * now. */
int record_keep_range(const struct store *s, const char *jail, uint32_t idbase, struct err *e);
void record_give_back_range(const struct store *s, const char *jail, uint32_t idbase);

#endif
