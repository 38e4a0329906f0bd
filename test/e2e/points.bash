# Walking through the system calls of a command with test/tools/faultat.c; for crash.bats and faults.bats.
# shellcheck shell=bash disable=SC2154 # status and output are set by run, PRE and POST for others

FAULTAT=$BRIG_BUILD/test/faultat

# each_point body [STEP]: body N for N = 1, 2, ... until the body says 1 (the command was through).  A slice: every
# STEP-th (13th) call, beginning somewhere; BRIG_CRASH_POINTS=all takes every one.
each_point() {
	local body=$1 step=${2:-13} n r
	[ "${BRIG_CRASH_POINTS:-}" != all ] || step=1
	n=$((1 + RANDOM % step))
	echo "# ${BATS_TEST_DESCRIPTION}: from $n in steps of $step" >&3
	POINTS=0
	while [ $n -lt 5000 ]; do
		r=0
		$body $n || r=$?
		[ $r != 1 ] || break
		[ $r = 0 ] || { echo "at $n: $(cat "$LAB/fault" 2>/dev/null)"; return 1; }
		POINTS=$((POINTS + 1))
		n=$((n + step))
	done
	[ $POINTS -gt 0 ] || { echo "no call was spoilt"; return 1; }
}

# killed_at N command...: brig, or what it forked, is killed at its N-th system call that changes something, before
# the call or after it; 1 when the command was through before that.
killed_at() {
	local n=$1 after=
	shift
	[ $((RANDOM % 2)) = 0 ] || after=-a
	timeout 60 "$FAULTAT" -v $after "$n" "$BRIG" -q "$@" >/dev/null 2>"$LAB/fault"
}

# fails_at N command...: its N-th system call that changes the disk fails in the way that $FAULT says (options of
# faultat); 1 when the command was through before that.  STATUS is brig's exit status.  2: brig did not end as it must.
fails_at() {
	local n=$1 r=0
	shift
	# shellcheck disable=SC2086
	timeout 20 "$FAULTAT" -v $FAULT -x "$LAB/status" "$n" "$BRIG" -q "$@" >/dev/null 2>"$LAB/fault" || r=$?
	[ $r -le 1 ] || { echo "does not end"; return 2; }
	STATUS=$(cat "$LAB/status")
	said=$(grep -v '^faultat: ' "$LAB/fault") || true
	case $STATUS in
	0) ! grep -E '^faultat: .*: (fsync|fdatasync|syncfs)\(' "$LAB/fault" ||
		{ echo "not on disk, and it said nothing"; return 2; } ;;
	1) # a line for each thing that failed, and nothing else
		[ -n "$said" ] && [ "$(wc -l <<<"$said")" -le 3 ] && ! grep -v '^brig: ' <<<"$said" ||
			{ printf 'not a line for each failure:\n%s\n' "$said"; return 2; } ;;
	*) echo "exit status $STATUS"; return 2 ;;
	esac
	return $r
}

# again command...: the same command once more succeeds
again() {
	run timeout 60 "$BRIG" "$@"
	[ "$status" = 0 ] || { echo "again: $output"; return 2; }
}

# Template `other` with releases o1 and o2, and jail k on o1 (arguments: how it is created), with a file that merges
# and one that does not.
# PRE and POST: what pair() prints before and after an upgrade.
upgrade_lab() {
	local r
	for r in o1 o2; do
		mkdir -p "$LAB/$r/etc"
		printf '%s\n' "port=1" "" "threads=$r" "" "log=1" >"$LAB/$r/etc/fits"
		cp "$LAB/$r/etc/fits" "$LAB/$r/etc/fits-not"
		echo $r >"$LAB/$r/etc/only-$r"
	done
	for r in o1 o2; do
		[ -d "$BRIG_BASE/templates/other/$r" ] ||
			brig -q template build other busybox --overlay "$LAB/$r" --release $r --no-current
	done
	brig -q upgrade other/o1 # new jails get it
	brig -q create "$@" k
	sed -i 's/port=1/port=2/' "$BRIG_BASE/js/k/etc/fits"
	sed -i 's/threads=.*/threads=mine/' "$BRIG_BASE/js/k/etc/fits-not"
	PRE=$(pair)
	brig -q upgrade other/o2
	POST=$(pair)
	brig -q rollback other o1
	[ "$(pair)" = "$PRE" ] && [ "$PRE" != "$POST" ] || { echo "rollback is not the way back"; return 1; }
}

# The release of k's files, what waits for a decision, and the files: they change together.
pair() {
	sed -n -e 's/^ *"release": "\(.*\)",*$/\1/p' -e '/^ "conflicts"/,/^ \]/p' "$BRIG_BASE/js/.brig/k.json"
	(cd "$BRIG_BASE/js/k/etc" && find . -printf '%P %y %m %U:%G %l\n' \( ! -type f -o -exec sha256sum {} + \)) | sort
}

# One or the other, when whatever comes next has finished or undone it.
pre_or_post() {
	brig -q stop nobody >/dev/null 2>&1 || true
	local now
	now=$(pair)
	[ "$now" = "$PRE" ] || [ "$now" = "$POST" ] ||
		{ echo "neither before nor after"; diff <(echo "$PRE") <(echo "$now"); return 2; }
	nothing_unfinished
}

# Of changes there is what the record can take back, and what it has prepared; nothing else.
nothing_unfinished() {
	local f id record=$BRIG_BASE/js/.brig/k.json
	! grep -qE '"change": "(apply|revert)"' "$record" || { echo "not finished"; return 2; }
	[ -z "$(ls "$BRIG_BASE/js/.brig/switch")" ] || grep -q '"change": "prepared"' "$record" ||
		{ echo "still marked"; return 2; }
	for f in "$BRIG_BASE"/js/.brig/change/k/*; do
		id=$(basename "$f" .json)
		[ ! -e "$f" ] || grep -qE "\"(id|change_id)\": $id,?\$" "$record" || { echo "left: $f"; return 2; }
	done
}

# The same command again, and the way back.
upgraded_and_back() {
	again -q upgrade other/o2 || return 2
	[ "$(pair)" = "$POST" ] || { echo "not as after an upgrade"; diff <(echo "$POST") <(pair); return 2; }
	again -q rollback other o1 || return 2
	[ "$(pair)" = "$PRE" ] || { echo "not as before"; diff <(echo "$PRE") <(pair); return 2; }
}

# Jail k with the conflict of upgrade_lab waiting: PRE and POST are before and after the decision.
merge_lab() {
	upgrade_lab "$@"
	brig -q upgrade other/o2
	PRE=$(pair)
	brig -q merge --theirs /etc/fits-not k
	POST=$(pair)
	back_to_conflict
	! grep -q conflicts <<<"$POST" && grep -q fits-not <<<"$PRE" || { echo "no conflict to decide about"; return 1; }
}

# The decision is taken back, and waits again.
back_to_conflict() {
	again -q rollback other o1 && again -q upgrade other/o2 || return 2
	[ "$(pair)" = "$PRE" ] || { echo "not as before"; diff <(echo "$PRE") <(pair); return 2; }
}

# The same decision again, if it was not carried out; then back.
decided_and_back() {
	[ "$(pair)" = "$POST" ] || again -q merge --theirs /etc/fits-not -a || return 2
	[ "$(pair)" = "$POST" ] || { echo "not decided"; diff <(echo "$POST") <(pair); return 2; }
	back_to_conflict
}
