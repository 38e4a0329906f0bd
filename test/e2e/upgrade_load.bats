#!/usr/bin/env bats
# Upgrades while clients connect all the time: what is lost, and whether the printed downtimes are what an
# observer outside sees.  No time is compared with a fixed number, but where a service itself sleeps.

load lib

ALL="1 2 3 4 5 6 7 8 9 10"

# h*: the socket is held for the jail; o*: the service makes its own, after 10 ms, 20 ms, ...; d, k: an answer takes
# 200 ms, and d is given the time to finish, k is not
setup_file() {
	lab_setup none
	{ command -v musl-gcc >/dev/null && cc=musl-gcc; } || cc=cc
	$cc -static -Os -D_GNU_SOURCE -I"$BRIG_TOP/src" -o "$LAB/replier" \
		"$BRIG_TOP/test/tools/replier.c" "$BRIG_TOP/src/base/num.c"
	for n in 1 2; do
		mkdir -p "$LAB/o$n/etc"
		echo "$n" >"$LAB/o$n/etc/number"
		brig -q template build mroot busybox --overlay "$LAB/o$n" --release "r$n" --no-current
	done
	brig -q upgrade mroot/r1
	{
		echo 'stop.timeout = 20;'
		for i in $ALL; do
			echo "h$i { ip4.addr = 198.51.100.$i; listen = \"tcp 80\"; service = \"/root/replier\"; }"
			echo "o$i { ip4.addr = 198.51.100.$((100 + i)); service = \"sleep 0.$(printf %02d "$i"); exec /root/replier -p 80\"; }"
		done
		echo 'd { ip4.addr = 198.51.100.201; listen = "tcp 80"; service = "/root/replier -d 200"; }'
		echo 'k { ip4.addr = 198.51.100.202; listen = "tcp 80"; service = "/root/replier -d 200"; stop.timeout = 0; }'
	} | conf
	# shellcheck disable=SC2046,SC2086
	brig -q create $(printf 'h%s o%s ' $(for i in $ALL; do echo $i $i; done)) d k
	for j in "$BRIG_BASE"/js/*; do cp "$LAB/replier" "$j/root/"; done
	host_things >"$LAB/before"
}
teardown_file() { lab_teardown; }
teardown() {
	[ ! -s "$LAB/load.pid" ] || kill "$(cat "$LAB/load.pid")" 2>/dev/null || true
	rm -f "$LAB/load.pid"
	brig -q stop -a || true
}

addresses() { # addresses FIRST: of ten jails
	for i in $ALL; do echo "198.51.100.$(($1 + i)):80"; done
}
jails() { # jails LETTER
	for i in $ALL; do echo "$1$i"; done
}
only() { # only LETTER: the options that confine an upgrade to those ten
	for i in $ALL; do echo "--jail=$1$i"; done
}

# load WORDS...: runs until load_end, and has seen every target answer
load() {
	timeout 120 "$BRIG_BUILD/test/loadgen" -t 100 "$@" >"$LAB/load" 3>&- &
	echo $! >"$LAB/load.pid"
	eventually 20 grep -q ready "$LAB/load"
}
load_end() {
	kill -TERM "$(cat "$LAB/load.pid")"
	while kill -0 "$(cat "$LAB/load.pid")" 2>/dev/null; do sleep 0.05; done
	: >"$LAB/load.pid"
	sed -i 1d "$LAB/load"
	cat "$LAB/load"
}
# of WORD: its values, one a target
of() { sed -n "s/.* $1=\([-0-9.]*\).*/\1/p" "$LAB/load"; }
each() { # each WORD TEST: test(1) says so of every value; there are ten
	[ "$(of "$1" | wc -l)" = 10 ] || return 1
	for v in $(of "$1"); do [ "$v" "$2" "$3" ] || { echo "$1=$v is not $2 $3"; return 1; }; done
}
lost_nothing() {
	awk '{ split($2, a, "="); split($3, b, "="); if (a[2] != b[2] || a[2] < 10) { print "lost: " $0; bad = 1 } }
		END { exit bad || NR == 0 }' "$LAB/load"
}
sum() { of "$1" | awk '{ n += $1 } END { print n + 0 }'; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# true EXPRESSION: as awk has it; both sides may be fractions
holds() { awk "BEGIN { exit !($1) }" || { echo "not so: $1"; return 1; }; }

# shellcheck disable=SC2046
@test "held sockets: no connection of a load on ten jails is lost in an upgrade and a rollback" {
	brig -q start $(jails h)
	load -i 2 $(addresses 0)
	run brig upgrade mroot/r2 $(only h)
	echo "$output"
	[ "$status" = 0 ]
	[ "$(grep -c 'its sockets were never closed' <<<"$output")" = 10 ]
	brig rollback mroot r1 $(only h)
	sleep 0.2
	load_end
	lost_nothing
	each changes = 2 # both times another process answered
}

# shellcheck disable=SC2046
@test "held sockets: the same load does lose connections when the jails are restarted" {
	brig -q start $(jails h)
	load -i 2 -w 3000 $(addresses 0)
	brig -q restart $(jails h)
	sleep 0.2
	load_end
	[ $(($(sum refused) + $(sum unreachable) + $(sum reset) + $(sum timeouts))) -gt 0 ]
	refuse lost_nothing
	each changes = 1
}

# The observer begins a connection every 2 ms, so it may take an outage for 4 ms longer than it was (8 on a busy machine); what is printed
# is at most two looks (1 ms each) longer.  A machine that is busy adds to either: medians, and 10 ms of tolerance.
# shellcheck disable=SC2046
@test "own sockets: what is printed for ten jails is what the observer sees" {
	brig -q start $(jails o)
	load -i 2 $(addresses 100)
	run brig upgrade mroot/r2 $(only o)
	echo "$output"
	[ "$status" = 0 ]
	sleep 0.3
	load_end
	each refused -gt 0
	each changes = 1
	[ "$(sum timeouts) $(sum unreachable)" = "0 0" ]
	sed -n 's/^o\([0-9]*\): upgraded to r2, downtime \([0-9.]*\) ms.*/\1 \2/p' <<<"$output" | sort -n >"$LAB/printed"
	[ "$(wc -l <"$LAB/printed")" = 10 ]
	of gap_ms | paste -d' ' "$LAB/printed" - >"$LAB/pairs" # number of the jail, printed, seen
	cat "$LAB/pairs"
	# the time that the service itself takes is in both
	awk '$2 < 10 * $1 || $3 < 10 * $1 { bad = 1 } END { exit bad }' "$LAB/pairs"
	difference=$(awk '{ print $2 - $3 }' "$LAB/pairs" | median)
	holds "$difference >= -8"
	holds "$difference <= 10 + $(cut -d' ' -f3 "$LAB/pairs" | median) / 2"
}

@test "requests in progress are finished, those that wait are answered by the new instance" {
	brig -q start d
	load -i 10 198.51.100.201:80
	sleep 0.5
	brig upgrade mroot/r2 --jail=d
	sleep 0.5
	load_end
	lost_nothing
	[ "$(of changes)" = 1 ]
}

@test "and they are cut off where stop.timeout is 0" {
	brig -q start k
	load -i 10 198.51.100.202:80
	sleep 0.5
	brig upgrade mroot/r2 --jail=k
	sleep 0.5
	load_end
	[ "$(of reset)" -gt 0 ]
	[ "$(of refused)" = 0 ]
	[ "$(of changes)" = 1 ]
}

@test "nothing is left" {
	assert_host_as "$LAB/before"
	assert_tidy
}
