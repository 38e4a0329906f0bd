#!/usr/bin/env bats
# Commands in a running jail: exec, shell, jexec; limits; what brig doctor says.

load lib
bats_require_minimum_version 1.5.0

setup_file() {
	lab_setup
	conf <<-EOF
		persist;
		exec.clean;
		a { }
		full { limit.pids = 12; limit.memory = 64m; }
		bare { mount.nodevfs; }
	EOF
	brig -q create a full bare
	brig -q start a full bare
}
teardown_file() { lab_teardown; }

# on_tty COMMAND: with a terminal, whose output is printed
on_tty() { script -qec "$1" /dev/null </dev/null; }

@test "the exit status is the command's" {
	brig exec a true
	run brig exec a sh -c 'exit 7'
	[ "$status" = 7 ]
	run brig exec a sh -c 'kill -9 $$'
	[ "$status" = 137 ]
	run -127 brig exec a nosuch
	[ "$output" = "brig: nosuch: No such file or directory" ]
	run brig exec a /etc/passwd
	[ "$status" = 126 ]
	[ "$output" = "brig: /etc/passwd: Permission denied" ]
	run brig exec nosuch true
	[ "$status" = 1 ]
	[ "$output" = "brig: nosuch: not running (brig start nosuch)" ]
	run brig exec a
	[ "$status" = 2 ]
}

@test "standard input, output and error are the caller's" {
	[ "$(echo in | brig exec a sh -c 'cat; echo err >&2' 2>&1)" = "in
err" ]
	[ "$(echo 'echo $0' | brig shell a)" = -sh ]
	[ "$(brig exec a head -c 200000 /dev/zero | wc -c)" = 200000 ]
	brig exec a yes 2>/dev/null | head -n 1 | grep -qx y
}

@test "a clean environment unless asked otherwise" {
	export BRIG_TEST_SECRET=s
	run brig exec a env
	[[ $output != *SECRET* ]]
	[[ $output == *HOME=/root* ]]
	[ "$(brig exec -E a sh -c 'echo $BRIG_TEST_SECRET')" = s ]
	[ "$(jexec a sh -c 'echo $BRIG_TEST_SECRET')" = s ]
	run -0 jexec -l a sh -c 'echo $BRIG_TEST_SECRET'
	[ -z "$output" ]
	[ "$(brig exec a pwd) $(jexec a pwd)" = "/ /" ]
	[ "$(jexec -l a pwd -P)" = "$(brig exec -d /root a pwd -P)" ]
}

@test "users of the jail and of the host" {
	brig exec a sh -c 'echo joe:x:1234:1234:Joe:/tmp:/bin/sh >>/etc/passwd; echo joes:x:77:joe >>/etc/group'
	[ "$(brig exec -U joe a id -u) $(brig exec -U joe a id -G)" = "1234 1234 77" ]
	[ "$(brig exec -u daemon a id -u)" = 1 ]
	[ "$(jexec -U joe a grep CapEff /proc/self/status | cut -f2)" = 0000000000000000 ]
	run jexec -U nobody.here a true
	[ "$status" = 1 ]
	[ "$output" = "jexec: nobody.here: no such user" ]
}

@test "jexec has jexec's messages and statuses" {
	run jexec 99999 true
	[ "$status" = 1 ]
	[ "$output" = "jexec: jail 99999 not found" ]
	run jexec nosuch true
	[ "$status" = 1 ]
	[ "$output" = 'jexec: jail "nosuch" not found' ]
	run jexec a nosuch
	[ "$status" = 1 ]
	[ "$output" = "jexec: execvp: nosuch: No such file or directory" ]
	run jexec
	[ "$status" = 1 ]
	[[ $output == usage:* ]]
	run jexec -u root -U root a
	[ "$status" = 1 ]
	run jexec -n a sh -c 'exit 5'
	[ "$status" = 5 ]
	[ "$(jexec "$(jls -j a jid)" hostname)" = a ]
}

@test "exec is confined exactly as the jail's own processes" {
	pid=$(jail_pid a)
	for field in CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp; do
		[ "$(grep "^$field:" "/proc/$pid/status" | cut -f2)" = \
			"$(brig exec a grep "^$field:" /proc/self/status | cut -f2)" ]
	done
	for ns in cgroup ipc mnt net pid user uts; do
		[ "$(readlink "/proc/$pid/ns/$ns")" = "$(brig exec a readlink "/proc/self/ns/$ns")" ]
	done
	pid=$(jail_pid full)
	brig exec full sleep 30 &
	sleep 0.5
	for p in $(brig exec full ps -o pid,args | awk '/[s]leep 30/ {print $1}'); do
		host=$(grep -l "NSpid:.*[[:blank:]]$p\$" /proc/[0-9]*/status | cut -d/ -f3 |
			while read -r h; do [ "$(readlink "/proc/$h/ns/pid")" = "$(readlink "/proc/$pid/ns/pid")" ] && echo "$h"; done)
		diff "/proc/$pid/cgroup" "/proc/$host/cgroup"
	done
	kill %1 || true
}

@test "a terminal is the jail's own" {
	[[ $(on_tty "$BRIG exec a tty") == *"/dev/pts/0"* ]]
	[[ $(on_tty "$BRIG exec -T a sh -c 'tty; readlink /proc/self/fd/1'") == *"not a tty"*"pipe:"* ]]
	run on_tty "$BRIG exec bare true"
	[[ $output == *"brig: no terminal: the jail's /dev/pts/ptmx: "* ]]
}

@test "a jail at its limit says so" {
	run -2 brig exec full sh -c 'i=0; while [ $i -lt 30 ]; do sleep 2 >/dev/null 2>&1 & i=$((i+1)); done'
	[[ $output == *"can't fork"* ]]
	"$BRIG" exec full sleep 2 & # in place of the shell that gave up
	sleep 0.3
	run brig exec full true
	[ "$status" = 1 ]
	[[ $output == *"limit.pids"* ]]
	sleep 2.5
	brig exec full true
	run brig exec full sh -c 'x=$(head -c 200000000 /dev/zero | tr "\0" x); echo survived'
	[[ $output != *survived* ]]
}

@test "a directory of the host is not let in" {
	run brig exec a ls </
	[ "$status" = 1 ]
	[ "$output" = "brig: standard input is a directory of the host" ]
}

@test "a killed brig takes its command along, and stop is not held up by one in the background" {
	"$BRIG" exec a sleep 4321 &
	sleep 0.5
	kill -9 $!
	sleep 0.3
	run brig exec a sh -c 'ps -o args | grep "[s]leep 4321"'
	[ "$status" = 1 ]
	echo 'persist; exec.clean; bg { exec.start = "sleep 1 &"; exec.poststart = "sleep 1.5"; }' | conf
	brig -q create bg
	brig -q start bg
	SECONDS=0
	brig -q stop bg
	[ $SECONDS -lt 5 ]
}

@test "exec ends with its command, whatever goes on writing; what the command wrote arrives" {
	brig exec a sh -c 'cat >/root/loud' <<-'E'
		(trap "" HUP TERM; exec yes) &
		sleep 0.2
		exit 3
	E
	for opts in '' -T; do # a terminal of the jail's, pipes
		run timeout 20 script -qec "'$BRIG' exec $opts a sh /root/loud" /dev/null
		[ "$status" = 3 ]
		[[ "$output" == *y*y* ]]
	done
	[ "$(brig exec a sh -c 'head -c 60000 /dev/zero' </dev/null | wc -c)" = 60000 ]
	[ "$(on_tty "'$BRIG' exec -T a sh -c 'head -c 60000 /dev/zero'" | tr -dc '\0' | wc -c)" = 60000 ]
	[ "$(on_tty "'$BRIG' exec a sh -c 'head -c 60000 /dev/zero'" | tr -dc '\0' | wc -c)" = 60000 ]
	brig exec a killall yes 2>/dev/null || true # they may have ended
}

@test "files of the host as standard output are not the jail's to read, cut or keep" {
	mkdir -m 700 "$LAB/private"
	echo secret >"$LAB/private/log"
	chmod 666 "$LAB/private/log"
	# shellcheck disable=SC2016 # the jail's shell
	try='cat /proc/$$/fd/1 2>/dev/null | grep -q secret && echo read >&2; (: >/proc/$$/fd/1) 2>/dev/null; echo new; echo err >&2; (sleep 1; echo late) &'
	brig exec a sh -c "$try" >"$LAB/none" 2>&1
	[ "$(cat "$LAB/none")" = "new
err" ]
	[ "$(brig exec a sh -c "$try" 2>&1 >>"$LAB/private/log")" = err ]
	sleep 1.5
	[ "$(cat "$LAB/private/log")" = "secret
new" ]
	# the control: a shell of the host that gets the file does all of it
	[ "$(sh -c "$try" 2>&1 >>"$LAB/private/log")" = "read
err" ]
	eventually 5 grep -q late "$LAB/private/log"
	refuse grep -q secret "$LAB/private/log"
	# one file for both keeps the order; block by block, and much of it
	# shellcheck disable=SC2016
	brig exec a sh -c 'i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); echo $i >&2; i=$((i+1)); done' >"$LAB/both" 2>&1
	seq 0 199 | cmp - "$LAB/both"
	brig exec a sh -c 'head -c 30000000 /dev/zero' >"$LAB/both"
	[ "$(stat -c %s "$LAB/both")" = 30000000 ]
	(brig exec a sh -c 'echo x' >/dev/full) 2>"$LAB/both" || true
	grep -q 'No space left on device' "$LAB/both"
	rm -r "$LAB/private" "$LAB/both" "$LAB/none"
}

@test "who comes into a jail shows it nothing of the host" {
	[ -x "$BRIG_BUILD/test/spy" ] || skip "a build with sanitizers has no static programs"
	cp "$BRIG_BUILD/test/spy" "$BRIG_BASE/js/a/etc/spy"
	watched() { # COMMAND...: again and again while the jail looks; what it saw
		brig exec a /etc/spy 4 >"$LAB/seen" &
		eventually 5 grep -q ready "$LAB/seen"
		while kill -0 $! 2>/dev/null; do "$@" || true; done
		wait $!
		read -r seen mounts net < <(tail -n 1 "$LAB/seen")
		echo "$seen processes, $mounts mounts, $net networks"
	}
	busybox nc -ll -p 7777 3>&- & # something to see
	listener=$!
	watched "$BRIG" exec a true
	was="$seen $mounts $net"
	# the control: the pid namespace first, the others when the jail sees it already
	pid=$(jail_pid a)
	watched nsenter -t "$pid" -p sleep 0.1
	kill "$listener"
	read -r before alien_mounts alien_net <<<"$was"
	[ "$before" -ge 10 ]
	[ "$alien_mounts $alien_net" = "0 0" ]
	[ "$seen" -ge 2 ]
	[ "$mounts" -ge 1 ]
	[ "$net" -ge 1 ]
}

@test "a script whose interpreter is /proc/self/exe does not get the host's program" {
	printf '#!/proc/self/exe\n' >"$BRIG_BASE/js/a/root/self"
	chmod 755 "$BRIG_BASE/js/a/root/self"
	run brig exec a /root/self # brig-init, which does nothing where it is not the first process
	[ "$status" = 2 ]
	[ -z "$output" ]
	# the control: the kernel does so; here the shell's program is busybox
	run -127 brig exec a sh -c 'exec /root/self'
	[[ "$output" == *"applet not found"* ]]
	# what execvp(3) does: PATH, texts without an interpreter, errors
	brig exec a sh -c 'mkdir -p /root/x/none; echo "echo plain \$0 \$1" >/root/x/text; chmod 755 /root/x/text; echo >/root/x/refused'
	[ "$(brig exec a env PATH=/nowhere:/root/x:/bin text one)" = "plain /root/x/text one" ]
	[ "$(brig exec a /root/x/text two)" = "plain /root/x/text two" ]
	run -126 brig exec a /root/x/refused
	[ "$output" = "brig: /root/x/refused: Permission denied" ]
	run -126 brig exec a /root/x
}

@test "a stopped or blocked exec does not hold up stop" {
	conf <<-E
		persist; exec.clean; full { limit.pids = 12; }
	E
	brig -q stop full
	for how in stopped blocked; do
		brig -q start full
		if [ $how = stopped ]; then
			"$BRIG" exec full sleep 1000 &
			sleep 0.3
			kill -STOP $!
		else
			mkfifo "$LAB/slow"
			(exec 9<>"$LAB/slow" && exec "$BRIG" exec full yes >"$LAB/slow") & # nobody reads
			sleep 0.3
		fi
		run timeout 10 "$BRIG" -q stop full
		[ "$status" = 0 ] || { echo "$how: $output"; false; }
		kill -KILL $! 2>/dev/null || true
	done
}

@test "doctor tells what works and exits 1 where something is needed" {
	run brig doctor
	[ "$status" = 0 ]
	[[ $output == *"user namespaces"*ok* ]]
	brig --json doctor | python3 -c 'import json, sys
assert [f for f in json.load(sys.stdin) if f["feature"] == "confinement" and f["works"]]'
	run setpriv --reuid 65534 --clear-groups "$BRIG" doctor
	[ "$status" = 1 ]
	[[ $output == *"run it with sudo"* ]]
}
