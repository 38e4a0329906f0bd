/* SPDX-License-Identifier: BSD-2-Clause */
/* os/linux/limits/device.c: the program over every kind and number of a device, run here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "os/linux/limits/device.c"

/* eBPF, as far as the program uses it; registers hold 32 bits. */
static uint32_t
answer_of(const struct bpf_cgroup_dev_ctx *ctx)
{
	uint32_t r[10] = {0};

	for (size_t i = 0; i < ARRAY_LEN(program); i++) {
		const struct bpf_insn *f = &program[i];

		switch (f->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			assert_int_equal(f->src_reg, 1);
			memcpy(&r[f->dst_reg], (const char *)ctx + f->off, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			r[f->dst_reg] &= (uint32_t)f->imm;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[f->dst_reg] = (uint32_t)f->imm;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += r[f->dst_reg] == (uint32_t)f->imm ? (size_t)f->off : 0;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			i += r[f->dst_reg] != (uint32_t)f->imm ? (size_t)f->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return r[0];
		default:
			fail_msg("instruction 0x%x", f->code);
		}
	}
	fail_msg("the program does not end");
	return 0;
}

static bool
wanted(unsigned type, unsigned major, unsigned minor)
{
	if (type != BPF_DEVCG_DEV_CHAR)
		return false;
	switch (major) {
	case 1: /* null zero full random urandom */
		return minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9;
	case 5: /* tty ptmx */
		return minor == 0 || minor == 2;
	default:
		return major >= 136 && major <= 143;
	}
}

static void
every_device(void **state)
{
	static const unsigned types[] = {BPF_DEVCG_DEV_CHAR, BPF_DEVCG_DEV_BLOCK, 0, 3};

	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(types); t++)
		for (unsigned access = 1; access < 8; access++)
			for (unsigned major = 0; major < 600; major++)
				for (unsigned minor = 0; minor<300; minor += major> 10 ? 37 : 1) {
					struct bpf_cgroup_dev_ctx ctx = {.access_type =
									     access << 16 | types[t],
									 .major = major,
									 .minor = minor};

					if (answer_of(&ctx) != wanted(types[t], major, minor))
						fail_msg("type %u access %u %u:%u", types[t], access, major,
							 minor);
				}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_device)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
