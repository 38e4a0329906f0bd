#!/usr/bin/env bats
# The escape suite (test/escape/run): every way out that is known tried in a jail, as its service and by `brig exec`,
# and by the same program where nothing defends, which shows that the try can work.

load lib
bats_require_minimum_version 1.5.0

setup_file() {
	PROBE=$BRIG_BUILD/test/escape/escape-probe
	[ -x "$PROBE" ] || skip "there is no escape-probe (sanitizers)"
	RESULTS=$(mktemp /var/tmp/brig-escape-results.XXXXXX)
	export PROBE RESULTS
	"$BRIG_TOP/test/escape/run" -t "$RESULTS" host brig exec >"$RESULTS.table" 2>"$RESULTS.err" || true
}
teardown_file() { [ -z "${RESULTS:-}" ] || rm -f "$RESULTS" "$RESULTS".*; }

# closed SECTION...: the checks of these sections that the control can do are refused in both columns, but for those
# that the table of probes excuses
closed() {
	local n
	printf '%s\n' "$@" >"$RESULTS.sections"
	"$PROBE" list | cat - <(printf '%s\n' "planted_suid F10 -" "planted_caps F10 -" "propagation F12 -" "joiner K11 -") |
		awk 'NR == FNR { wanted[$1]; next } $2 in wanted && $3 != "excused" { print $1 }' "$RESULTS.sections" - >"$RESULTS.names"
	awk 'NR == FNR { wanted[$1]; next }
		$2 in wanted && $1 == "host" && $3 == "ALLOWED" { print $2 }' "$RESULTS.names" "$RESULTS" >"$RESULTS.works"
	n=$(wc -l <"$RESULTS.works")
	echo "# $n checks that work without defence" >&3
	[ "$n" -gt 0 ]
	awk 'NR == FNR { works[$1]; next }
		$2 in works && $1 != "host" && $3 != "DENIED" { print; bad = 1 }
		$2 in works && $1 != "host" { seen[$1, $2] }
		END {
			for (name in works) {
				if (!(("exec", name) in seen)) { print "exec " name " is missing"; bad = 1 }
				if (!(("brig", name) in seen) && name != "joiner") { print "brig " name " is missing"; bad = 1 }
			}
			exit bad
		}' "$RESULTS.works" "$RESULTS"
}

@test "everything that is tried works where nothing defends" {
	refuse grep '^host [^ ]* DENIED' "$RESULTS"
	grep -q '^host end ' "$RESULTS"
	[ "$(grep -c '^host [^ ]* ALLOWED' "$RESULTS")" -gt 180 ]
}

@test "the template, masks, mounts" { closed F1 F2 F12; }
@test "inherited descriptors, directories, environment; chroot" { closed F5 F6 F13; }
@test "handles, device nodes, set-user-id files" { closed F8 F9 F10; }
@test "/proc and /sys, control groups" { closed K1 K2 K3 K4; }
@test "namespaces, other tables of system calls" { closed K5 K6; }
@test "sockets, foreign addresses, services of the host" { closed K7 K13 K20 K21; }
@test "system calls, keys" { closed K8 K9; }
@test "terminals" { closed K10; }
@test "other processes, what joins, its program" { closed K11 K12; }
@test "capabilities, limits, clocks and names" { closed K14 K15 K16 K19 L6 L9 L14; }
@test "lowering oom_score_adj, where the machine lets root do it" {
	! grep -q '^host oom_self ALLOWED' "$RESULTS" || closed K17
}

@test "the suite as a whole agrees" {
	cat "$RESULTS.err"
	refuse grep '^WRONG' "$RESULTS.table"
	grep -q '^ALLOWED' "$RESULTS.table"
}

# judge COMMAND...: the results, changed by the command, are judged again
judge() {
	"$PROBE" list >"$RESULTS.list"
	"$@" <"$RESULTS" >"$RESULTS.changed"
	awk -v columns="host brig exec" -f "$BRIG_TOP/test/escape/judge.awk" "$RESULTS.list" "$RESULTS.changed"
}

@test "the suite notices what is allowed, what has no answer, and a control that does not work" {
	judge cat >/dev/null
	run -1 judge sed 's/^exec remount_rw DENIED/exec remount_rw ALLOWED/'
	[[ $output == *"WRONG exec remount_rw: ALLOWED"* ]]
	run -1 judge sed '/^brig int80 /d'
	[[ $output == *"WRONG brig int80: no answer"* ]]
	run -1 judge sed 's/^host ptrace_seize ALLOWED/host ptrace_seize DENIED/'
	[[ $output == *"WRONG host ptrace_seize: the control does not work"* ]]
	run -1 judge sed 's|^brig umount_proc DENIED|brig umount_proc N/A|'
	[[ $output == *"WRONG brig umount_proc: cannot tell"* ]]
}

@test "the same checks against what else is here" {
	local others=script
	for p in bwrap runc; do
		! command -v $p >/dev/null || others="$others $p"
	done
	# shellcheck disable=SC2086 # words
	"$BRIG_TOP/test/escape/run" -t "$RESULTS.others" $others >"$RESULTS.table" 2>&1 || true
	for p in $others; do
		echo "# $p allows $(grep -c "^$p [^ ]* ALLOWED" "$RESULTS.others") checks" >&3
	done
	echo "# brig allows $(grep -c '^brig [^ ]* ALLOWED' "$RESULTS"), excused ones" >&3
	[ "$(grep -c '^script [^ ]* ALLOWED' "$RESULTS.others")" -gt 100 ]
}
