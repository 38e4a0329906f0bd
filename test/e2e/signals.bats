#!/usr/bin/env bats
# INT, TERM and HUP, to the process and to its group, and a terminal that is closed, at any moment of every command.
# Afterwards and after one more command (brig list) every jail that ran runs, on one release with the files and the
# record of that release, nothing is left, and exit status 0 was a promise.
#
# A round is a command that gets a signal while it works.  A check takes BRIG_SIGNAL_ROUNDS (2) of each command, with
# ways and moments from a random number that is printed; BRIG_SIGNAL_SEED takes the same ones again.  7 are all ways.

load lib

WAYS=("INT" "-g HUP" "TERM" "-p HUP" "-g INT" "HUP" "-g TERM")

setup_file() {
	BRIG_SIGNAL_SEED=${BRIG_SIGNAL_SEED:-$RANDOM}
	export BRIG_SIGNAL_SEED
	echo "# seed $BRIG_SIGNAL_SEED" >&3
	lab_setup none
	: >"$LAB/counts"
	mkdir -p "$LAB"/o1/etc "$LAB"/o2/etc
	for n in 1 2; do
		printf '%s\n' a b c d e f "G$n" >"$LAB/o$n/etc/fits"
		echo "clash $n" >"$LAB/o$n/etc/clash"
		echo "plain $n" >"$LAB/o$n/etc/plain"
		echo "only in $n" >"$LAB/o$n/etc/only$n"
		brig -q template build mroot busybox --overlay "$LAB/o$n" --release "r$n" --no-current
	done
	make_jails
	host_things >"$LAB/down"
	brig -q start a b c
}
teardown_file() { lab_teardown; }

setup() {
	RANDOM=$((BRIG_SIGNAL_SEED + BATS_TEST_NUMBER))
	: >"$LAB/round"
	if [ -e "$LAB/failed" ]; then # what it left is its own
		brig -q stop -a --force || true
		for j in "$BRIG_BASE"/js/*; do brig -q destroy -y "$(basename "$j")" || true; done
		find "$BRIG_BASE/js/.brig" "$BRIG_RUN/jail" "$BRIG_RUN/jid" -mindepth 1 -delete
		make_jails
		brig -q start a b c
		[ ! -e "$LAB/up" ] || host_things >"$LAB/up"
		rm "$LAB/failed"
	fi
}
teardown() {
	[ -z "${BATS_TEST_COMPLETED:-}" ] || return 0
	cat "$LAB/round"
	touch "$LAB/failed"
}

# Three that run, one of them with a host command around it, and one that does not; what they are on each release.
make_jails() {
	local j
	conf <<-E
		exec.start = "true"; exec.stop = "true"; persist; stop.timeout = 2;
		a { service = "sleep 1000"; ip4.addr = 198.51.100.1; rdr = "tcp 8080 80"; }
		b { service = "sleep 1000"; }
		c { service = "sleep 1000"; depend = a; exec.prestart = "true"; }
		s { }
	E
	brig -q upgrade mroot/r1
	brig -q create a b c s
	for j in a b c s; do
		sed -i "1s/a/$j edited/" "$BRIG_BASE/js/$j/etc/fits"
		[ $j = b ] || echo mine >"$BRIG_BASE/js/$j/etc/clash"
		facts $j >"$LAB/$j.r1"
	done
	brig -q upgrade mroot/r2
	for j in a b c s; do facts $j >"$LAB/$j.r2"; done
	brig -q merge --theirs /etc/clash -a
	for j in a b c s; do facts $j >"$LAB/$j.r2.decided"; done
	brig -q rollback mroot r1
	for j in a b c s; do
		facts $j | diff -u "$LAB/$j.r1" -
		refuse cmp -s "$LAB/$j.r1" "$LAB/$j.r2"
	done
	refuse cmp -s "$LAB/a.r2" "$LAB/a.r2.decided"
}

# ---- what can be seen from outside ----

# facts JAIL: its configuration, and what its record says about it
facts() {
	sed -n -e '/^ *"release": /p' -e '/^ "conflicts"/,/^ \]/p' "$BRIG_BASE/js/.brig/$1.json"
	(cd "$BRIG_BASE/js/$1/etc" && find . -printf '%P %y %m %U:%G %l\n' \( ! -type f -o -exec sha256sum {} + \)) | sort
}
# agrees JAIL: files and record are those of one release
agrees() {
	local f now
	now=$(facts "$1")
	for f in "$LAB/$1.r1" "$LAB/$1.r2" "$LAB/$1.r2.decided"; do
		[ "$now" != "$(cat "$f")" ] || return 0
	done
	echo "$1 is as on no release:"
	diff "$LAB/$1.$(release_of "$1")" - <<<"$now"
	return 1
}
up() { [ -e "$BRIG_RUN/jail/$1/state.json" ]; }
service_runs() { brig exec "$1" sh -c 'ps -o args | grep -q "^[s]leep 1000"'; }
# runs JAIL: with its service, on the release that its record names
runs() {
	local pid
	up "$1" || { echo "$1 does not run: $(brig status "$1" 2>&1 | head -n 3)"; return 1; }
	brig exec "$1" true || return 1
	[ "$1" = s ] || [ "$1" = n ] || eventually 5 service_runs "$1" || { echo "the service of $1 does not run"; return 1; }
	pid=$(jail_pid "$1")
	[ "/proc/$pid/root/bin" -ef "$BRIG_BASE/templates/mroot/$(release_of "$1")/root/bin" ] ||
		{ echo "$1 runs on another release than $(release_of "$1"), of its record"; return 1; }
}
# Nothing that is unfinished or that nobody needs; `prepared` is for the next start.
nothing_unfinished() {
	local left f j id
	left=$(find "$BRIG_BASE" \( -name '.new*' -o -name '.old*' -o -name '.tmp*' -o -name '.brig-merge*' \) 2>/dev/null)
	for j in a b c s; do
		f=$BRIG_BASE/js/.brig/$j.json
		grep -E '"change": "(apply|revert)"' "$f" && { echo "$j: a change is not finished"; return 1; }
		[ ! -e "$BRIG_BASE/js/.brig/switch/$j" ] || grep -q '"change": "prepared"' "$f" || left="$left switch/$j"
		for id in "$BRIG_BASE/js/.brig/change/$j"/*; do
			id=$(basename "$id" .json)
			[ "$id" = "*" ] || grep -qE "\"(id|change_id)\": $id,?\$" "$f" || left="$left change/$j/$id"
		done
	done
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}

# ---- rounds ----

nothing() { :; }

# interrupted MICROSECONDS WAY command...: STATUS is the command's, HOW says whether the signal came in time
interrupted() {
	local at=$1 words sig
	read -ra words <<<"$2"
	shift 2
	sig=$(kill -l "${words[${#words[@]} - 1]}")
	unset "words[${#words[@]}-1]"
	rm -f "$LAB/ended"
	"$BRIG_BUILD/test/signalat" "${words[@]}" -x "$LAB/ended" "$sig" "$at" "$BRIG" -q "$@" \
		>"$LAB/said" 2>&1 </dev/null 3>&- || true
	read -r HOW STATUS TOOK <"$LAB/ended"
	[ "$STATUS" != never ] || { echo "does not end"; return 1; }
}

# rounds PREPARE DONE AFTER command...: PREPARE makes what the command is for; UP are the jails that have to run in the
# end.  When the command said that all was done, DONE holds.  AFTER looks at the rest, and puts it away.
rounds() {
	local prepare=$1 done=$2 after=$3 n=${BRIG_SIGNAL_ROUNDS:-2} first=$((RANDOM % 7)) tries=0 way at
	shift 3
	HITS=0 CUT=0 UP="a b c"
	# the control: nobody interrupts it, and this is how long it takes
	$prepare
	if [ -z "${LIMIT:-}" ]; then
		interrupted 60000000 INT "$@"
		echo "uninterrupted: $HOW $STATUS: $(cat "$LAB/said")" >"$LAB/round"
		[ "$HOW $STATUS" = "late 0" ]
		LIMIT=$TOOK
		judge "$done" "$after"
		$prepare
	fi
	while [ $HITS -lt "$n" ] && [ $tries -lt $((n * 4)) ]; do
		[ $tries = 0 ] || $prepare
		tries=$((tries + 1))
		way=${WAYS[$(((first + HITS) % 7))]}
		at=$((LIMIT * RANDOM / 32768))
		interrupted $at "$way" "$@"
		echo "brig $*, $way after $at of $LIMIT us: $HOW, status $STATUS after $TOOK us: $(cat "$LAB/said")" >"$LAB/round"
		if [ "$HOW" = hit ]; then
			HITS=$((HITS + 1))
			[ "$STATUS" = 0 ] || CUT=$((CUT + 1))
		else
			LIMIT=$((LIMIT * 3 / 4)) # it is faster now; once more
		fi
		judge "$done" "$after"
	done
	echo "$HITS $CUT" >>"$LAB/counts"
	echo "# ${BATS_TEST_DESCRIPTION}: $HITS signals, $CUT made it fail" >&3
	[ $HITS = "$n" ]
}

judge() { # DONE AFTER
	local j
	[ "$STATUS" -le 1 ] || [ "$STATUS" -ge 128 ] || [ -n "${ANY_STATUS:-}" ]
	brig list >"$LAB/list" 2>&1
	echo "brig list: $(cat "$LAB/list")" >>"$LAB/round"
	for j in $UP; do runs "$j"; done
	for j in a b c s; do
		agrees $j
		if up $j; then runs $j; fi
	done
	[ -n "${UNTIL_THE_NEXT:-}" ] || nothing_unfinished
	if [ "$STATUS" = 0 ]; then $1; fi
	$2
	nothing_unfinished
	put_back
}

# Everything as it was: a, b and c run, on r1.
put_back() {
	local j
	if [ -e "$LAB/up" ]; then # no jail was touched
		assert_host_as "$LAB/up"
		return
	fi
	brig -q start a b c s # and what is prepared is done
	brig -q stop -a
	assert_host_as "$LAB/down"
	assert_tidy
	if [ "$(release_of a)$(release_of b)$(release_of c)$(release_of s)" != r1r1r1r1 ]; then
		brig -q rollback mroot r1
	fi
	brig -q upgrade mroot/r1
	for j in a b c s; do facts $j | diff -u "$LAB/$j.r1" -; done
	brig -q start a b c
}

all_on() { # RELEASE
	local j
	for j in a b c s; do [ "$(release_of $j)" = "$1" ] || { echo "exit status 0, and $j is not on $1"; return 1; }; done
	[ "$(readlink "$BRIG_BASE/templates/mroot/current")" = "$1" ]
}
on_r1() { all_on r1; }
on_r2() { all_on r2; }
all_up() { for j in a b c; do runs $j; done; }
all_down() { for j in a b c; do refuse up $j; done; }
to_r2() { brig -q upgrade mroot/r2; }

@test "upgrade, one jail after the other" { rounds nothing on_r2 nothing upgrade mroot/r2; }
@test "upgrade, several at a time" { rounds nothing on_r2 nothing upgrade -j 4 mroot/r2; }
@test "upgrade with a canary" { rounds nothing on_r2 nothing upgrade --canary b mroot/r2; }
@test "upgrade of all at once" { rounds nothing on_r2 nothing upgrade --all-at-once mroot/r2; }
@test "upgrade that goes on when one fails" { rounds nothing on_r2 nothing upgrade --keep-going mroot/r2; }

will_be_on_r2() {
	local j
	for j in a b c; do
		[ "$(release_of $j)" = r1 ]
		grep -q '"change": "prepared"' "$BRIG_BASE/js/.brig/$j.json"
	done
}
@test "upgrade at the next start" { rounds nothing will_be_on_r2 nothing upgrade --no-restart mroot/r2; }

prepared() {
	brig -q upgrade --no-restart mroot/r2
	brig -q stop a b c
	UP=
}
@test "the start after it" { rounds prepared all_up nothing start a b c; }

prepared_up() { brig -q upgrade --no-restart mroot/r2; }
@test "the restart after it" { rounds prepared_up on_r2 nothing restart a b c; }

@test "rollback" { rounds to_r2 on_r1 nothing rollback mroot r1; }
@test "rollback of all at once" { rounds to_r2 on_r1 nothing rollback --all-at-once mroot r1; }

decided() {
	local j
	for j in a c s; do [ "$(cat "$BRIG_BASE/js/$j/etc/clash")" = "clash 2" ]; done
}
@test "a decision for all jails" { rounds to_r2 decided nothing merge --theirs /etc/clash -a; }

# another hook than $first sleeps
slow_start() {
	SLEEPER=$(pgrep -xf 'sleep 3.14') || return 1
	[ "$SLEEPER" != "$first" ]
}

down() {
	brig -q stop -a
	UP=
}
nobody_has_to_run() { UP=; }
@test "start" { rounds down all_up nothing start a b c; }
@test "stop" { rounds nobody_has_to_run all_down nothing stop a b c; }
@test "restart" { rounds nothing all_up nothing restart a b c; }

@test "a second signal says what is waited for, a third ends the command, and the next one finishes its work" {
	cp "$BRIG_CONF" "$LAB/conf"
	sed -i '/^a {/s/}$/exec.prestart = "sleep 3.14"; }/' "$BRIG_CONF"
	brig -q restart a
	"$BRIG" -q upgrade mroot/r2 --jail a 2>"$LAB/said" 3>&- &
	pid=$!
	first=
	eventually 10 slow_start
	first=$SLEEPER
	kill -TERM $pid # it goes back: it starts a again, on r1, and that is not interrupted
	eventually 10 slow_start
	echo "after the first: $(cat "$LAB/said")" >"$LAB/round"
	said=$(wc -l <"$LAB/said")
	kill -TERM $pid
	eventually 2 eval '[ "$(wc -l <"$LAB/said")" -gt $said ]'
	echo "after the second: $(cat "$LAB/said")" >"$LAB/round"
	tail -n +$((said + 1)) "$LAB/said" | grep '^brig: a: .*waiting for'
	kill -0 $pid
	kill -TERM $pid
	r=0
	wait $pid || r=$?
	[ $r = 143 ]
	brig list >"$LAB/list"
	runs a
	agrees a
	nothing_unfinished
	cp "$LAB/conf" "$BRIG_CONF"
	put_back
}

# ---- what leaves the other jails alone ----

@test "the jails that run are left alone from here on" {
	host_things >"$LAB/up"
}

no_n() {
	local left
	left=$(find "$BRIG_BASE/js" "$BRIG_BASE/j" "$LAB/etc" -name 'n' -o -name 'n.*')
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}
no_ids_of_n() { # a link to a jail without a record is taken away by who looks for a range: the next create
	[ -z "$(find "$BRIG_BASE/js/.brig/ids" -lname n)" ]
}
created() { [ -d "$BRIG_BASE/js/n" ]; }
created_again() {
	run brig create n
	[ "$status" = 0 ] || [[ "$output" == *"exists already"* ]]
	brig -q start n
	runs n
	brig -q stop n
	brig -q destroy -y n
	no_n
	no_ids_of_n
}
@test "create" { rounds nothing created created_again create n; }

make_n() { brig -q create n; }
destroyed_again() {
	run brig destroy -y n
	[ "$status" = 0 ] || [[ "$output" == *"nothing to remove"* || "$output" == *"no such jail"* ]]
	no_n
	brig -q create n
	brig -q destroy -y n
	no_n
	no_ids_of_n
}
@test "destroy" { rounds make_n no_n destroyed_again destroy -y n; }

no_run() {
	local left
	left=$(find "$BRIG_BASE/js" "$BRIG_BASE/j" "$BRIG_RUN/jail" "$BRIG_RUN/log" -name '*run-*')
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}
@test "run" { rounds nothing nothing no_run run sleep 0.2; }

same_a() {
	[ "$STATUS" != 0 ]
	eventually 5 no_sleeper
}
no_sleeper() { brig exec a sh -c '! ps -o args | grep -q "[s]leep 4321"'; }
@test "exec" { LIMIT=200000 ANY_STATUS=yes rounds nothing nothing same_a exec a sleep 4321; }

# What is left of a release goes with the next command about templates.
built() { brig -q template verify other/t1; }
built_again() {
	run brig template build other busybox --release t1 --no-current
	[ "$status" = 0 ] || [[ "$output" == *"has a release t1 already"* ]]
	built
	nothing_unfinished
	brig -q template remove other/t1
}
@test "template build" {
	UNTIL_THE_NEXT=build rounds nothing built built_again template build other busybox --release t1 --no-current
}

make_t1() { brig -q template build other busybox --release t1 --no-current; }
no_t1() { [ ! -e "$BRIG_BASE/templates/other/t1" ]; }
removed_again() {
	if [ -e "$BRIG_BASE/templates/other/t1" ]; then
		built
		brig -q template remove other/t1
	fi
	no_t1
	brig template list >"$LAB/list"
	refuse grep -q t1 "$LAB/list"
}
@test "template remove" {
	UNTIL_THE_NEXT=remove rounds make_t1 no_t1 removed_again template remove other/t1
}

@test "enough of the signals changed what the command did" {
	awk '{ hits += $1; cut += $2 } END { print hits, cut; exit !(hits > 0 && cut * 3 >= hits) }' "$LAB/counts"
}
