#!/usr/bin/env bats
# A jail that does not want to end, commands that meet, archives that are bombs, output that is
# meant for a terminal.  Each attack has a control beside it: what shows that it took place, and would have hurt.

load lib

setup_file() { lab_setup; }
teardown_file() { lab_teardown; }
setup() {
	conf <<-EOF
		persist;
		j { ip4.addr = 198.51.100.1; stop.timeout = 1; }
		limited { limit.pids = 60; stop.timeout = 1; }
	EOF
	for j in j limited; do [ -d "$BRIG_BASE/js/$j" ] || brig -q create $j; done
}
teardown() {
	brig -q stop -a --force || true
	[ ! -e "$LAB/frozen" ] || rmdir "$(cat "$LAB/frozen")"
	rm -f "$LAB/frozen"
}

# Pids of a jail's processes, as the host sees them; the first one is not among them.
jail_pids() {
	local ns
	ns=$(readlink "/proc/$1/ns/pid")
	find /proc/[0-9]*/ns/pid -maxdepth 0 -lname "pid:?${ns//[^0-9]/}?" 2>/dev/null | cut -d/ -f3 | grep -vx "$1"
}
field() { awk -v f="$2" '$1 == f":" { print $2 }' "/proc/$1/status"; }
start_time() { sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20; }
gone() { # pids, all of them
	local p
	for p in "$@"; do [ ! -e "/proc/$p" ] || [ "$(field "$p" State)" = Z ] || return 1; done
}
printable() { # nothing that a terminal would obey
	LC_ALL=C refuse grep -n $'[\001-\010\013-\037\177-\377]' <<<"$1"
}

# stops_all NAME: stop is done within its bound, and everything that was in the jail is gone
stops_all() {
	local pids
	mapfile -t pids < <(jail_pid "$1"; jail_pids "$(jail_pid "$1")")
	run timeout 20 "$BRIG" stop "$1"
	[ "$status" = 0 ] || { echo "stop: $status: $output"; return 1; }
	eventually 5 gone "${pids[@]}"
	eventually 5 sh -c "! ps -eo uid= | awk '\$1 >= 1879048192 { found = 1 } END { exit !found }'"
	assert_tidy
}

# ---- archives ----

@test "the import program: its own root, no network, no rights but those over files" {
	mkdir "$LAB/tree" "$LAB/filled"
	head -c 300000 /dev/urandom >"$LAB/tree/f"
	tar -C "$LAB/tree" -cf "$LAB/t.tar" .
	mkfifo "$LAB/slow"
	exec 8<>"$LAB/slow"
	env SECRET=x "$BRIG_BUILD/src/import/brig-import" <"$LAB/slow" >/dev/null 2>&1 3>"$LAB/report" 4<"$LAB/filled" &
	pid=$!
	sleep 100 4<"$LAB/filled" & # the control: not confined
	control=$!
	head -c 200000 "$LAB/t.tar" >&8 # it waits in the middle now
	eventually 5 test -s "$LAB/filled/f"
	for what in root cwd; do [ "$(readlink "/proc/$pid/$what")" = "$LAB/filled" ]; done
	[ "$(readlink "/proc/$control/root")" = / ]
	for ns in net mnt ipc; do
		[ "$(readlink "/proc/$pid/ns/$ns")" != "$(readlink /proc/self/ns/$ns)" ]
		[ "$(readlink "/proc/$control/ns/$ns")" = "$(readlink /proc/self/ns/$ns)" ]
	done
	[ "$(tail -n +3 "/proc/$pid/net/dev" | wc -l)" -le 1 ] # lo, down
	[ "$(field $pid NoNewPrivs) $(field $pid Seccomp)" = "1 2" ]
	[ "$(field $control NoNewPrivs) $(field $control Seccomp)" = "0 $(field $$ Seccomp)" ]
	# chown, dac_override, fowner, fsetid, setfcap
	[ "$(field $pid CapEff)" = 000000008000001b ]
	[ "$(field $pid CapPrm)" = 000000008000001b ]
	[ "$(field $control CapEff)" != 000000008000001b ]
	grep -qE '^Max data size +1073741824 ' "/proc/$pid/limits"
	kill $control
	tail -c +200001 "$LAB/t.tar" >&8
	wait $pid
	cmp "$LAB/tree/f" "$LAB/filled/f"
	[ ! -s "$LAB/report" ]
	exec 8<&-
}

@test "what the import program may still do is enough for every packing, with and without openat2" {
	mkdir -p "$LAB/names/d"
	printf 'x' >"$LAB/names/d/"$'\303\251\n\033[31m-rf'
	seq 100000 >"$LAB/names/many"
	ln "$LAB/names/many" "$LAB/names/d/again"
	ln -s ../../etc "$LAB/names/d/out"
	chmod 4711 "$LAB/names/many"
	setfattr -n user.x -v y "$LAB/names/d" 2>/dev/null || true
	done=0
	for pack in gzip bzip2 xz "xz --format=lzma" zstd lz4 compress; do
		command -v "${pack%% *}" >/dev/null || continue
		# shellcheck disable=SC2086
		tar -C "$LAB/names" --xattrs --numeric-owner -c . | $pack -c >"$LAB/packed"
		for without in "" "$BRIG_BUILD/test/without openat2"; do
			rm -rf "$LAB/got"
			mkdir "$LAB/got"
			# shellcheck disable=SC2086
			$without "$BRIG_BUILD/src/import/brig-import" <"$LAB/packed" 3>"$LAB/report" 4<"$LAB/got" ||
				{ echo "$pack: $(tr -d '\0' <"$LAB/report")"; false; }
			diff <(cd "$LAB/names" && find . ! -name . -printf '%P %m %U:%G %n %l %Ts\n' | sort) \
				<(cd "$LAB/got" && find . ! -name . -printf '%P %m %U:%G %n %l %Ts\n' | sort)
			cmp "$LAB/names/many" "$LAB/got/d/again"
		done
		done=$((done + 1))
	done
	[ $done -ge 4 ]
}

@test "brig gives the import program five descriptors and no environment" {
	head -c 100000000 /dev/urandom >"$LAB/tree/big"
	tar -C "$LAB/tree" -cf "$LAB/t.tar" .
	exec 9</etc/passwd
	pid=
	for _ in 1 2 3; do # it has to be caught on its way
		SECRET=x "$BRIG" -q template build stopped "tar:$LAB/t.tar" 2>"$LAB/err" &
		brig=$!
		while kill -0 $brig 2>/dev/null; do
			! pid=$(pgrep -x brig-import -P $brig) || break
		done
		kill -STOP "$pid" 2>/dev/null && [[ "$(readlink "/proc/$pid/root")" == "$BRIG_BASE"/* ]] && break
		kill -CONT "$pid" || true
		wait $brig
	done
	[[ "$(readlink "/proc/$pid/root")" == "$BRIG_BASE"/templates/stopped/.new* ]]
	[ ! -s "/proc/$pid/environ" ]
	for fd in "/proc/$pid/fd/"*; do
		case $(readlink "$fd") in
		"$LAB/t.tar" | /dev/null | pipe:* | "$BRIG_BASE"/templates/stopped/.new*) ;;
		*) echo "${fd##*/}: $(readlink "$fd")"; false ;;
		esac
	done
	# its maker dies: so does it
	kill -9 "$brig"
	eventually 5 gone "$pid"
	exec 9<&-
	rm "$LAB/tree/big"
	brig -q stop j # any command; the next build cleans up
	brig -q template build stopped "dir:$LAB/tree"
	assert_tidy
}

@test "bombs: archives of a few KiB that are hundreds of MiB" {
	python3 - >"$LAB/head" <<-EOF
		import sys, tarfile
		t = tarfile.TarInfo("zeros"); t.size = 300 << 20
		sys.stdout.buffer.write(t.tobuf())
	EOF
	for pack in "gzip -1" "zstd -1 -q"; do
		# shellcheck disable=SC2086
		{ cat "$LAB/head"; head -c 300M /dev/zero; head -c 10240 /dev/zero; } | $pack -c >"$LAB/bomb"
		[ "$(stat -c %s "$LAB/bomb")" -lt 1500000 ]
		run timeout 60 "$BRIG" -q template build bomb "tar:$LAB/bomb"
		[ "$status" = 1 ]
		one_line "$output"
		[[ "$output" == *"'zeros': the archive unpacks to more than 200 times its size"* ]]
		[ ! -e "$BRIG_BASE/templates/bomb" ]
	done
	assert_tidy
}

# ---- jailspaces that change under the hands of a command ----

@test "destroy while a directory is exchanged with a link to the outside, as fast as possible" {
	mkdir -p "$LAB/victim"
	for k in $(seq 200); do echo precious >"$LAB/victim/$k"; done
	swap='import os, sys
d = os.open(sys.argv[1], os.O_RDONLY)
open(sys.argv[2], "w").close()
while True:
    for a, b in ("d", "t"), ("l", "d"), ("d", "l"), ("t", "d"):
        try: os.rename(a, b, src_dir_fd=d, dst_dir_fd=d)
        except OSError: pass'
	for round in 1 2 3 4 5; do
		[ -d "$BRIG_BASE/js/j" ] || brig -q create j
		mkdir "$BRIG_BASE/js/j/var/d"
		for k in $(seq 200); do echo own >"$BRIG_BASE/js/j/var/d/$k"; done
		ln -s "$LAB/victim" "$BRIG_BASE/js/j/var/l"
		rm -f "$LAB/swapping"
		python3 -c "$swap" "$BRIG_BASE/js/j/var" "$LAB/swapping" &
		swapper=$!
		eventually 20 [ -e "$LAB/swapping" ] # else the directory may go before it is there
		if [ $round = 1 ]; then # the control: a copy by names has what is outside
			fooled=
			for _ in $(seq 300); do
				rm -rf "$LAB/copy"
				cp -r "$BRIG_BASE/js/j/var/d/." "$LAB/copy" 2>/dev/null || true
				! grep -qr precious "$LAB/copy" 2>/dev/null || { fooled=yes; break; }
			done
			[ "$fooled" = yes ]
		fi
		for _ in 1 2 3; do # what appears while it goes may hold it up, and it says so
			run timeout 20 "$BRIG" -q destroy -y j
			[ "$status" = 0 ] && break
			one_line "$output"
		done
		kill $swapper
		[ ! -e "$BRIG_BASE/js/j" ]
		brig -q destroy -y j 2>/dev/null || true # the rest, now that nobody is in the way
		[ "$(cat "$LAB/victim/"* | grep -c precious)" = 200 ]
	done
	brig list >/dev/null
	assert_tidy
}

# ---- a jail that does not want to end ----

@test "stop ends a fork bomb" {
	cp "$BRIG_BUILD/test/bomb" "$BRIG_BASE/js/limited/etc/bomb"
	brig -q start limited
	brig exec limited sh -c 'exec /etc/bomb fork >/dev/null 2>&1 &'
	eventually 10 eval '[ "$(jail_pids "$(jail_pid limited)" | wc -l)" -ge 50 ]'
	[ "$(jail_pids "$(jail_pid limited)" | wc -l)" -le 60 ]
	stops_all limited
}

@test "stop ends processes that fork and exit all the time, each in a session of its own" {
	cp "$BRIG_BUILD/test/bomb" "$BRIG_BASE/js/j/etc/bomb"
	brig -q start j
	brig exec j sh -c 'exec /etc/bomb chain 20 >/dev/null 2>&1 &'
	# one look can fall between the end of all of them and the next ones
	eventually 5 eval 'first=$(jail_pids "$(jail_pid j)" | sort); [ -n "$first" ]'
	sleep 0.3
	eventually 5 eval 'second=$(jail_pids "$(jail_pid j)" | sort); [ -n "$second" ]'
	[ -z "$(comm -12 <(echo "$first") <(echo "$second"))" ] # none of the first is left, and there are others
	stops_all j
}

@test "stop ends daemons, what ignores signals, and what is stopped" {
	brig -q start j
	brig exec j sh -c '(trap "" TERM HUP INT; setsid sh -c "trap \"\" TERM; sleep 1000; sleep 1000") >/dev/null 2>&1 &
		(setsid sh -c "(setsid sleep 1001 &)" &) >/dev/null 2>&1
		setsid sleep 1002 >/dev/null 2>&1 &'
	eventually 5 eval '[ "$(jail_pids "$(jail_pid j)" | wc -l)" -ge 3 ]'
	mapfile -t pids < <(jail_pids "$(jail_pid j)")
	kill -STOP "${pids[@]}"
	for p in "${pids[@]}"; do eventually 5 eval '[ "$(field "$p" State)" = T ]'; done
	kill -TERM "${pids[@]}"
	sleep 0.1
	for p in "${pids[@]}"; do kill -0 "$p"; done # TERM did nothing
	stops_all j
}

@test "stop ends a jail that is frozen, and one whose first process is stopped" {
	brig -q start limited
	brig exec limited sh -c 'sleep 1000 >/dev/null 2>&1 &'
	group=
	if [ -e /sys/fs/cgroup/freezer/cgroup.procs ]; then
		group=/sys/fs/cgroup/freezer/brig-attack.$$
		mkdir "$group"
		echo "$group" >"$LAB/frozen"
		for p in $(jail_pid limited) $(jail_pids "$(jail_pid limited)"); do echo "$p" >"$group/cgroup.procs"; done
		echo FROZEN >"$group/freezer.state"
	else
		group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(jail_pid limited)/cgroup")
		[ -e "$group/cgroup.freeze" ] || skip "no control groups that can be frozen"
		echo 1 >"$group/cgroup.freeze"
	fi
	p=$(jail_pids "$(jail_pid limited)" | tail -n 1)
	kill -TERM "$p"
	sleep 0.1
	kill -0 "$p"
	stops_all limited
	brig -q start j
	kill -STOP "$(jail_pid j)"
	stops_all j
}

@test "stop while exec runs: exec ends, and says so" {
	brig -q start j
	timeout 20 "$BRIG" exec j sh -c 'echo up; exec sleep 1000' >"$LAB/out" 2>&1 &
	a=$!
	timeout 20 "$BRIG" exec j sh -c 'trap "" TERM; while :; do sleep 1; done' &
	b=$!
	eventually 5 grep -q up "$LAB/out"
	stops_all j
	for p in $a $b; do
		r=0
		wait $p || r=$?
		[ $r != 0 ]
		[ $r != 124 ]
	done
}

# ---- commands that meet ----

@test "start and stop at once, fifty times" {
	host_things >"$LAB/before"
	RANDOM=42
	up=0 down=0
	for _ in $(seq 25); do
		pids=()
		for cmd in start stop; do
			(
				sleep 0.0$((RANDOM % 3))
				timeout 30 "$BRIG" -q $cmd j
			) &
			pids+=($!)
		done
		for p in "${pids[@]}"; do wait "$p"; done
		if [ -e "$BRIG_RUN/jail/j/state.json" ]; then
			up=$((up + 1))
			brig exec j true
		else
			down=$((down + 1))
		fi
	done
	echo "up $up, down $down"
	brig -q stop j
	assert_host_as "$LAB/before"
	assert_tidy
}

@test "destroy and start at once: one of them says why not" {
	for _ in $(seq 8); do
		[ -d "$BRIG_BASE/js/j" ] || brig -q create j
		timeout 30 "$BRIG" -q start j 2>"$LAB/start.err" &
		a=$!
		timeout 30 "$BRIG" -q destroy -y j 2>"$LAB/destroy.err" &
		b=$!
		ra=0 rb=0
		wait $a || ra=$?
		wait $b || rb=$?
		[ "$ra$rb" = 01 ] || [ "$ra$rb" = 10 ] || { echo "start $ra, destroy $rb"; cat "$LAB"/*.err; false; }
		one_line "$(cat "$LAB/start.err" "$LAB/destroy.err")"
		if [ $rb = 0 ]; then
			[ ! -e "$BRIG_BASE/js/j" ]
			[ ! -e "$BRIG_RUN/jail/j" ]
		else
			brig exec j true
			brig -q stop j
		fi
		assert_tidy
	done
}

# ---- who is who ----

@test "another process with the pid of a jail is left alone" {
	brig -q start j
	cp "$BRIG_RUN/jail/j/state.json" "$LAB/state"
	kill -9 "$(jail_pid j)"
	eventually 5 gone "$(jail_pid j)"
	state() { # of the process $1 with start time $2 in the boot $3
		mkdir -p "$BRIG_RUN/jail/j"
		sed "s/\"pid\": .*/\"pid\": $1,/; s/\"start\": .*/\"start\": $2,/; s/\"boot\": .*/\"boot\": \"$3\",/;
			s/\"ns\": .*/\"ns\": $(readlink "/proc/$1/ns/pid" | tr -dc 0-9),/" "$LAB/state" >"$BRIG_RUN/jail/j/state.json"
	}
	unshare --pid --fork --kill-child sleep 1000 &
	helper=$!
	eventually 5 eval 'victim=$(pgrep -P $helper)'
	boot=$(cat /proc/sys/kernel/random/boot_id) start=$(start_time "$victim")
	for cmd in "stop j" "list" "start j" "exec j true" "status"; do
		state "$victim" $((start + 1)) "$boot" # the pid was given again
		# shellcheck disable=SC2086
		timeout 20 "$BRIG" -q $cmd || true
		kill -0 "$victim"
		brig -q stop j
		state "$victim" "$start" 00000000-0000-4000-8000-000000000000 # an earlier boot
		# shellcheck disable=SC2086
		timeout 20 "$BRIG" -q $cmd || true
		kill -0 "$victim"
		brig -q stop j
	done
	# the control: the same pid, start time and boot are the jail's, and end
	state "$victim" "$start" "$boot"
	timeout 20 "$BRIG" -q stop j --force
	eventually 5 gone "$victim"
	wait $helper || true
	assert_tidy
}

@test "ids of jails never overlap, also when they are made at once" {
	{
		echo "persist;"
		printf '%s { }\n' p{1,2,3,4}-{1..12} q{1..12}
	} | conf
	ids() { sed -n 's/^ *"idbase": \([0-9]*\).*/\1/p' "$BRIG_BASE"/js/.brig/*.json | sort -n; }
	others=$(ids | wc -l)
	pids=()
	for k in 1 2 3 4; do
		brig -q create p$k-{1..12} &
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
	ids >"$LAB/ids"
	[ "$(wc -l <"$LAB/ids")" = $((others + 48)) ]
	awk 'NR > 1 && $1 - last < 65536 { print "overlap at", $1; bad = 1 } { last = $1 } END { exit bad }' "$LAB/ids"
	# some go while others come; who stays keeps its own
	keep=$(sed -n 's/^ *"idbase": //p' "$BRIG_BASE/js/.brig/p1-1.json")
	brig -q destroy -y p{2,3}-{1..12} &
	a=$!
	brig -q create q{1..12}
	wait $a
	[ "$(sed -n 's/^ *"idbase": //p' "$BRIG_BASE/js/.brig/p1-1.json")" = "$keep" ]
	ids >"$LAB/ids"
	[ "$(wc -l <"$LAB/ids")" = $((others + 36)) ]
	awk 'NR > 1 && $1 - last < 65536 { print "overlap at", $1; bad = 1 } { last = $1 } END { exit bad }' "$LAB/ids"
	brig -q destroy -y p{1,4}-{1..12} q{1..12}
	assert_tidy
}

# ---- output ----

@test "what prints without end has a log of bounded size: services, hooks, what hooks leave behind, health checks" {
	conf <<-EOF
		persist;
		service { service = "yes from-service"; }
		hook { exec.start = "yes from-hook | head -c 20000000"; }
		left { exec.start = "yes from-left &"; }
		health { health = "yes from-health | head -c 20000000"; }
	EOF
	for j in service hook left health; do
		brig -q create $j
		timeout 60 "$BRIG" -q start $j &
		most=0
		for _ in $(seq 20); do
			size=$(stat -c %s "$BRIG_RUN/log/$j.log" 2>/dev/null) || size=0
			[ "$size" -le $most ] || most=$size
			sleep 0.05
		done
		wait $!
		[ $most -gt 500000 ] || { echo "$j: it did not print: $most"; false; }
		[ $most -le 1200000 ] || { echo "$j: $most"; false; }
		eventually 5 eval '[ "$(stat -c %s "$BRIG_RUN/log/$j.log")" -le 1200000 ]'
		# also while it is cut
		for _ in $(seq 10); do
			[[ "$(timeout 5 "$BRIG" logs -n 5 $j)" == *from-$j* ]]
		done
		brig -q stop $j
		brig -q destroy -y $j
	done
}

@test "titles, errors and file names of a jail are printed without what a terminal would obey" {
	evil=$'\033]0;evil\a\033[2J\nroot ok'
	conf <<-EOF
		persist;
		j { stop.timeout = 1; }
		bad { exec.start = "printf '\\\\033]0;evil\\\\007why\\\\n'; exit 3"; health = "true"; }
		sick { health = "printf '\\\\033]0;evil\\\\007why\\\\n'; exit 3"; exec.timeout = 1; }
	EOF
	brig -q create bad sick
	for name in bad sick; do
		run timeout 20 "$BRIG" start $name
		[ "$status" = 1 ]
		[[ "$output" == *evil*why* ]]
		one_line "$output"
		printable "$output"
	done
	cp "$BRIG_BUILD/test/bomb" "$BRIG_BASE/js/j/etc/bomb"
	brig -q start j
	brig exec j sh -c 'exec /etc/bomb title "$0" >/dev/null 2>&1 &' "$evil"
	eventually 5 eval '[[ "$(tr -d "\0" <"/proc/$(jail_pids "$(jail_pid j)" | head -n 1)/cmdline")" == *"$evil"* ]]'
	for cmd in list "list --json" status "status j" "status --json j" "audit -v j" "audit --json j"; do
		# shellcheck disable=SC2086
		run brig $cmd
		[ "$status" = 0 ] || { echo "$cmd: $output"; false; }
		printable "$output" || { echo "$cmd"; false; }
		case $cmd in *--json*) python3 -c 'import json, sys; json.load(sys.stdin)' <<<"$output" ;; esac
	done
	brig -q stop j
	brig -q destroy -y bad sick
}

@test "run that is ended at any moment leaves nothing that the next command does not take away" {
	host_things >"$LAB/before"
	RANDOM=11
	cut=0
	for signal in TERM HUP KILL; do
		for _ in $(seq 12); do
			"$BRIG" -q run sleep 1 >/dev/null 2>&1 </dev/null &
			pid=$!
			sleep "0.0$((RANDOM % 3))$((RANDOM % 10))"
			[ -z "$(find "$BRIG_BASE/js/.brig" -name 'run-*')" ] || cut=$((cut + 1)) # it is on its way
			kill -s $signal $pid 2>/dev/null || true
			wait $pid || true
			brig list >/dev/null
			left=$(find "$BRIG_BASE/js" "$BRIG_BASE/j" -maxdepth 2 -name '*run-*')
			[ -z "$left" ] || { echo "$signal left: $left"; false; }
		done
	done
	[ $cut -gt 5 ]
	assert_host_as "$LAB/before"
	assert_tidy
}

@test "a jail whose exec.stop does not end is stopped all the same, and it is said" {
	conf <<-EOF
		j { persist; exec.stop = "trap '' TERM INT; while :; do sleep 1; done"; exec.timeout = 1; stop.timeout = 1; }
	EOF
	brig -q start j
	pid=$(jail_pid j)
	run timeout 20 "$BRIG" stop j
	[[ "$output" == *exec.stop*"timed out"* ]]
	eventually 5 gone "$pid"
	assert_tidy
}
