#!/usr/bin/env bats
# A slice of the power cuts (test/powercut/run), each with a fresh seed, which is printed.

setup() {
	command -v qemu-system-x86_64 >/dev/null || skip "there is no qemu-system-x86_64 (qemu-system-x86)"
	[ -f "$BRIG_BUILD/vm/vmlinuz" ] || skip "there is no kernel (test/vm/kernel $BRIG_BUILD/vm)"
	[ -e /dev/loop-control ] || skip "there are no loop devices"
}

cut() {
	run timeout -k 5 900 "$BRIG_TOP/test/powercut/run" -n "${BRIG_POWERCUT_STATES:-12}" -w "$1"
	printf '# %s\n' "${lines[@]}" >&3
	[ "$status" = 0 ]
}

@test "power cuts: releases and jails made and destroyed" {
	cut template
}

# A check takes one of the two; with BRIG_POWERCUT_STATES set, both.
@test "power cuts: upgrade, decisions, rollback of stopped jails, or of running ones" {
	[ -n "${BRIG_POWERCUT_STATES:-}" ] || chosen=$((RANDOM % 2))
	[ "${chosen:-0}" = 1 ] || cut upgrade
	[ "${chosen:-1}" = 0 ] || cut upgrade-running
}
