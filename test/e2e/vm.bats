#!/usr/bin/env bats
# Limits on version 2 of control groups, and jails on an older kernel: the checks of test/vm/checks.sh, which all run
# in one boot of a virtual machine.

setup_file() {
	command -v qemu-system-x86_64 >/dev/null || skip "there is no qemu-system-x86_64 (qemu-system-x86)"
	[ -f "$BRIG_BUILD/vm/vmlinuz" ] || skip "there is no kernel (test/vm/kernel $BRIG_BUILD/vm)"
	RESULTS=$(mktemp /var/tmp/brig-vm-results.XXXXXX)
	export RESULTS
	timeout -k 5 480 "$BRIG_TOP/test/vm/run" >"$RESULTS" 2>&1 || true
}
teardown_file() { rm -f "${RESULTS:-}"; }

# result NAME: and what the machine said
result() {
	sed -n "/ - $1\$/,/^[^#]/p" "$RESULTS" | grep '^#' || true
	grep -qE "^ok [0-9]+ - $1\$" "$RESULTS" || { tail -n 3 "$RESULTS"; return 1; }
}

@test "the values of the limits are the kernel's; a jail without limits has a group of its own" { result values; }
@test "limits are in force before the first process" { result before_first; }
@test "a command of exec is in the jail's group" { result exec; }
@test "limit.memory: one process that needs too much ends the whole jail, and only that" { result memory; }
@test "limit.pids: a fork bomb ends at the limit" { result pids; }
@test "limit.cpu: the jail is throttled" { result cpu; }
@test "limit.io: what is written is counted, and slowed down" { result io; }
@test "status shows use and limits, doctor the controllers" { result status; }
@test "a frozen jail is not joined, and can be ended" { result frozen; }
@test "what was put into the group ends with the jail" { result joined; }
@test "a controller cannot be taken away from above" { result kept_on; }
@test "processes in the group above: limits are refused with the reason" { result inner; }
@test "control groups that cannot be made: jails without limits start" { result read_only; }
@test "an upgrade's new instance is in the groups of the old one" { result beside; }
@test "start, exec, restart, stop; networks and jailspaces in memory" { result lifecycle; }
@test "jail -c, jls, jexec, jail -r" { result handbook; }
@test "a jail with limits sees its own control group, and cannot write to it" { result view; }
@test "the escape suite" { result escape; }
@test "no control group is left" { result gone; }

@test "every check is shown here" {
	diff <(sed -n 's/^[not ]*ok [0-9]* - //p' "$RESULTS" | sort) \
		<(sed -n 's/^@test .* { result \([a-z_]*\); }$/\1/p' "$BATS_TEST_FILENAME" | sort)
}
