/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mark DEVICE OFFSET N: writes "step N is done" to the recorded disk itself, behind the file system, past the
 * page cache and without a flush (a flush would save what the command forgot to save).  So the log of the
 * disk's writes holds the moment at which a command had returned with success.
 */
#include <fcntl.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/num.h"
#include "powercut.h"

int
main(int argc, char **argv)
{
	_Alignas(4096) static union {
		struct mark mark;
		char sector[MARK_SIZE];
	} m = {.mark = {MARK_MAGIC, 0}};
	uint64_t offset;
	int fd;

	if (argc != 4 || num_u64(argv[2], INT64_MAX, &offset) < 0 ||
	    num_u64(argv[3], UINT32_MAX, &m.mark.step) < 0)
		return 2;
	fd = open(argv[1], O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, &m, sizeof(m), (off_t)offset) != sizeof(m)) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
