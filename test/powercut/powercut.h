/* SPDX-License-Identifier: BSD-2-Clause */
/* What mark.c writes and replay.c finds: one sector of the recorded disk, outside its file system. */
#ifndef BRIG_TEST_POWERCUT_H
#define BRIG_TEST_POWERCUT_H

#include <stdint.h>

#define MARK_MAGIC 0x6b72616d67697262ULL /* "brigmark" */
#define MARK_SIZE 4096

struct mark {
	uint64_t magic;
	uint64_t step; /* this step of the workload, and all before it, returned with success */
};

#endif
