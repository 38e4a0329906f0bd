/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsx.h"
#include "base/mem.h"
#include "os/linux/limits/device.h"

/* Jumps count the instructions passed over. */
#define LOAD(reg, field)                                                           \
	{                                                                          \
		.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (reg), .src_reg = 1, \
		.off = offsetof(struct bpf_cgroup_dev_ctx, field)                  \
	}
#define AND(reg, bits)                                                             \
	{                                                                          \
		.code = BPF_ALU | BPF_AND | BPF_K, .dst_reg = (reg), .imm = (bits) \
	}
#define IF_EQ(reg, value, over)                                                                    \
	{                                                                                          \
		.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = (reg), .off = (over), .imm = (value) \
	}
#define IF_NE(reg, value, over)                                                                    \
	{                                                                                          \
		.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = (reg), .off = (over), .imm = (value) \
	}
#define ANSWER(what)                                                        \
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = (what)}, \
	{                                                                   \
		.code = BPF_JMP | BPF_EXIT                                  \
	}

/* admin-guide/devices.txt: 1 is memory (null zero full random urandom), 5 tty and ptmx, 136 to 143 are pts */
/* clang-format off */
static const struct bpf_insn program[] = {
    LOAD(2, access_type), AND(2, 0xffff),
    LOAD(3, major),
    LOAD(4, minor),
    IF_NE(2, BPF_DEVCG_DEV_CHAR, 11),
    IF_NE(3, 1, 5),
    IF_EQ(4, 3, 11), IF_EQ(4, 5, 10), IF_EQ(4, 7, 9), IF_EQ(4, 8, 8), IF_EQ(4, 9, 7),
    IF_NE(3, 5, 2),
    IF_EQ(4, 0, 5), IF_EQ(4, 2, 4),
    AND(3, ~7),
    IF_EQ(3, 136, 2),
    ANSWER(0),
    ANSWER(1),
};
/* clang-format on */

static int
sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static bool
missing(int num)
{
	return num == EPERM || num == EINVAL || num == ENOSYS || num == EOPNOTSUPP;
}

/* The number of programs attached to the group, or -errno. */
static int
programs(int group, unsigned flags)
{
	union bpf_attr attr = {
	    .query = {.target_fd = (uint32_t)group, .attach_type = BPF_CGROUP_DEVICE, .query_flags = flags}};

	return sys_bpf(BPF_PROG_QUERY, &attr) < 0 ? -errno : (int)attr.query.prog_cnt;
}

bool
device_guarded(int group)
{
	return programs(group, BPF_F_QUERY_EFFECTIVE) > 0;
}

/* A descriptor, or -errno. */
static int
load(void)
{
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
			       .insns = (uintptr_t)program,
			       .insn_cnt = ARRAY_LEN(program),
			       .license = (uintptr_t) "BSD"};
	int fd = sys_bpf(BPF_PROG_LOAD, &attr);

	return fd < 0 ? -errno : fd;
}

int
device_supported(struct err *e)
{
	int fd = load();

	if (fd < 0)
		return err_sys(e, -fd, "load a device program, bpf(2) (the kernel needs CONFIG_CGROUP_BPF)");
	fd_close(fd);
	return 0;
}

int
device_guard(int group, struct err *e)
{
	union bpf_attr attach = {.target_fd = (uint32_t)group,
				 .attach_type = BPF_CGROUP_DEVICE,
				 .attach_flags = BPF_F_ALLOW_MULTI};
	_auto_close int fd = -EBADF;

	if (programs(group, 0) > 0)
		return 0;
	fd = load();
	if (fd < 0)
		return missing(-fd) ? 0 : err_sys(e, -fd, "load the device program (bpf)");
	attach.attach_bpf_fd = (uint32_t)fd;
	if (sys_bpf(BPF_PROG_ATTACH, &attach) < 0)
		return missing(errno)
			   ? 0
			   : err_sys(e, errno, "attach the device program to the jail's control group");
	return 0;
}
