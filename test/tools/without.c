/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * without SYSCALL COMMAND [ARG...]: runs the command, and all that it starts, on a kernel that does not know the
 * system call (ENOSYS): what an older kernel, or the filter of another container manager, does to brig.
 * seccomp(2); libseccomp knows the names.  Exit status: the command's; 2 this program failed.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int nr, r;

	if (argc < 3 || !filter) {
		fprintf(stderr, "usage: without SYSCALL COMMAND [ARG...]\n");
		return 2;
	}
	nr = seccomp_syscall_resolve_name(argv[1]);
	r = nr == __NR_SCMP_ERROR ? -EINVAL : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
	if (r == 0) /* root keeps its way to new privileges: brig needs it */
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
	if (r == 0)
		r = seccomp_load(filter);
	if (r < 0) {
		fprintf(stderr, "without: %s: %s\n", argv[1], strerror(-r));
		return 2;
	}
	seccomp_release(filter);
	(void)execvp(argv[2], argv + 2);
	fprintf(stderr, "without: %s: %s\n", argv[2], strerror(errno));
	return 2;
}
