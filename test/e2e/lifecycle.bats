#!/usr/bin/env bats
# create, start, list, exec, logs, status, stop, destroy.

load lib
bats_require_minimum_version 1.5.0

setup_file() { lab_setup; }
teardown_file() { lab_teardown; }
setup() {
	conf <<-EOF
		persist;
		a { host.hostname = a.example.org; ip4.addr = 198.51.100.1; }
		b { ip4.addr = 198.51.100.2; ip6.addr = 2001:db8::2; depend = a; }
		c { depend = b; }
		s { service = "sh -c 'echo hello from s; exec sleep 1000'"; nopersist; }
	EOF
	for j in a b c s; do [ -d "$BRIG_BASE/js/$j" ] || brig -q create $j; done
}
teardown() { brig -q stop -a --force || true; }

@test "start goes by depend, stop the other way round" {
	run brig start c
	[ "$status" = 0 ]
	[ "$(printf '%s\n' "${lines[@]}" | cut -d: -f1 | tr '\n' ' ')" = "a b c " ]
	run brig stop a
	[ "$status" = 0 ]
	[ "$(printf '%s\n' "${lines[@]}" | cut -d: -f1 | tr '\n' ' ')" = "c b a " ]
	assert_tidy
}

@test "starting twice is no error, and says so" {
	brig start a
	run brig start a
	[ "$status" = 0 ]
	[ "$output" = "a: runs already" ]
	run brig stop a
	[ "$status" = 0 ]
	run brig stop a
	[ "$status" = 0 ]
	[ "$output" = "a: was not running" ]
}

@test "jls prints FreeBSD's columns" {
	brig -q start a b
	run jls
	[ "$status" = 0 ]
	[ "${lines[0]}" = "   JID  IP Address      Hostname                      Path" ]
	[[ "${lines[1]}" =~ ^\ {1,5}[0-9]+\ \ 198.51.100.1\ {4}a.example.org\ {17}"$BRIG_BASE"/j/a$ ]]
	[ "$(jls -j b name)" = b ]
	[ "$(jls -j a host.hostname)" = a.example.org ]
	run jls -j nosuch
	[ "$status" = 1 ]
	[ "$output" = 'jls: jail "nosuch" not found' ]
	[ "$(brig list --json | head -c 1)" = "{" ]
}

@test "exec runs confined, passes input, output and status" {
	brig -q start a
	[ "$(brig exec a hostname)" = a.example.org ]
	[ "$(echo text | brig exec a cat)" = text ]
	run brig exec a sh -c 'exit 7'
	[ "$status" = 7 ]
	run brig exec a sh -c 'kill -9 $$'
	[ "$status" = 137 ]
	run -127 brig exec a /no/such
	run env SECRET=x "$BRIG" exec a env
	[ "$status" = 0 ]
	[[ "$output" != *SECRET* ]]
	[ "$(brig exec a id -u)" = 0 ]
	[ "$(jexec "$(jls -j a jid)" pwd)" = / ]
}

@test "a running jail has its own everything and a read-only root" {
	brig -q start a
	pid=$(jail_pid a)
	for ns in cgroup ipc mnt net pid user uts; do
		[ "$(readlink "/proc/$pid/ns/$ns")" != "$(readlink /proc/self/ns/$ns)" ]
	done
	[ "$(brig exec a sh -c 'ls -A /dev | sort | tr "\n" " "')" = \
		"fd full log null ptmx pts random shm stderr stdin stdout tty urandom zero " ]
	run brig exec a ls -A /sys
	[ "$status" = 0 ]
	[ -z "$output" ]
	run brig exec a sh -c 'echo x > /bin/x'
	[ "$status" != 0 ]
	brig exec a sh -c 'echo x > /etc/x && echo x > /s/x && echo x > /tmp/x && echo x > /run/x'
	[ "$(cat "$BRIG_BASE/js/a/etc/x")" = x ]
	[ "$(stat -c %u "$BRIG_BASE/js/a/etc/x")" = 0 ]
	# on the host its root is nobody
	[ "$(awk '/^Uid/ { print $2 }' "/proc/$pid/status")" -ge 1879048192 ]
	[ "$(brig exec a stat -c %u:%g /bin/busybox)" = 0:0 ]
	brig exec a rm /etc/x /s/x /tmp/x
}

@test "a jail without an address has only its loopback; with one it reaches the others" {
	brig -q start a b c
	[ "$(brig exec c ip -o link show | wc -l)" = 1 ]
	# a closed port of a neighbour refuses at once; the host and the jails reach each other by address and name
	brig exec b sh -c 'timeout 3 wget -q -O - http://198.51.100.1/ 2>&1 | grep refused'
	brig exec b sh -c 'timeout 3 wget -q -O - http://a.example.org/ 2>&1 | grep refused'
	brig exec b sh -c 'timeout 3 wget -q -O - http://a/ 2>&1 | grep refused'
	busybox ping -c 1 -W 2 198.51.100.2
	busybox ping6 -c 1 -W 2 2001:db8::2
	run brig exec c sh -c 'timeout 2 wget -q -O - http://198.51.100.1/ 2>&1 | grep refused'
	[ "$status" != 0 ]
	# a name is there once, and goes with its jail
	brig -q restart b
	[ "$(brig exec a grep -c '#b$' /etc/hosts)" = 2 ] # one line an address
	brig -q stop b
	run brig exec a grep '#b$' /etc/hosts
	[ "$status" = 1 ]
	brig -q start b
	# raw sockets are for those who are allowed to
	run brig exec b ping -c 1 -W 1 198.51.100.1
	[ "$status" != 0 ]
}

@test "a service is kept running, its output in the log" {
	brig -q start s
	eventually 5 sh -c "$BRIG logs s | grep -q 'hello from s'"
	pid=$(pgrep -P "$(jail_pid s)" sleep)
	kill -9 "$pid"
	eventually 5 sh -c "$BRIG logs s | grep -c 'hello from s' | grep -q 2"
	run brig status s
	[ "$status" = 0 ]
	[[ "$output" == *sleep* ]]
}

@test "a jail that is not persist ends with its last process, and the next command cleans up" {
	host_things >"$LAB/before"
	conf <<-EOF
		a { ip4.addr = 198.51.100.1; exec.start = "sleep 0.3 &"; }
	EOF
	brig -q start a
	eventually 5 sh -c "! kill -0 $(jail_pid a) 2>/dev/null"
	run brig start a
	[ "$status" = 0 ]
	[[ "$output" == *"cleaned up"* ]]
	brig -q stop a
	assert_host_as "$LAB/before"
}

@test "hooks run in jail(8)'s order, on the host or inside" {
	conf <<-EOF
		h {
			persist; exec.clean;
			exec.prepare = 'echo prepare >> $LAB/order';
			exec.prestart = 'echo prestart \$JNAME \$JPATH >> $LAB/order';
			exec.created = 'echo created \$JID >> $LAB/order';
			exec.start = 'echo start \$(hostname) >> /s/order';
			exec.poststart = 'echo poststart >> $LAB/order';
			exec.prestop = 'echo prestop >> $LAB/order';
			exec.stop = 'echo stop >> /s/order';
			exec.poststop = 'echo poststop \$JID >> $LAB/order';
			exec.release = 'echo release >> $LAB/order';
		}
	EOF
	brig -q create h
	brig -q start h
	jid=$(jls -j h jid)
	brig -q stop h
	[ "$(tr '\n' ' ' <"$LAB/order")" = \
		"prepare prestart h $BRIG_BASE/j/h created $jid poststart prestop poststop $jid release " ]
	[ "$(tr '\n' ' ' <"$BRIG_BASE/js/h/order")" = "start h stop " ]
	brig -q destroy -y h
}

@test "a failing step walks the same steps backwards" {
	host_things >"$LAB/before"
	conf <<-EOF
		f { persist; ip4.addr = 198.51.100.9; exec.start = "echo because; exit 3"; exec.poststop = "touch $LAB/no"; }
	EOF
	brig -q create f
	run brig start f
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"failed with status 3: because"* ]]
	[ ! -e "$LAB/no" ]
	assert_host_as "$LAB/before"
	assert_tidy
	brig -q destroy -y f
}

@test "exec.timeout ends a step that hangs" {
	conf <<-EOF
		f { persist; exec.start = "sleep 100"; exec.timeout = 1; }
	EOF
	brig -q create f
	run timeout 20 "$BRIG" start f
	[ "$status" = 1 ]
	[[ "$output" == *"timed out"* ]]
	run jls -j f jid
	[ "$status" = 1 ]
	brig -q destroy -y f
}

@test "stop ends what ignores TERM after stop.timeout" {
	conf <<-EOF
		f { persist; service = "sh -c 'trap \"\" TERM; while :; do sleep 1; done'"; stop.timeout = 1; }
	EOF
	brig -q create f
	brig -q start f
	pid=$(jail_pid f)
	run timeout 20 "$BRIG" stop f
	[ "$status" = 0 ]
	eventually 5 test ! -e "/proc/$pid" # a zombie until its new parent looks
	brig -q destroy -y f
}

@test "run is a jail around one command and leaves nothing" {
	host_things >"$LAB/before"
	brig run true # makes what is made once
	(cd "$BRIG_BASE" && find . "$BRIG_RUN" | sort) >"$LAB/ls"
	[ "$(echo in | brig run sh -c 'cat; hostname >/dev/null; touch /s/x')" = in ]
	run brig run sh -c 'exit 5'
	[ "$status" = 5 ]
	run -127 brig run /no/such
	(cd "$BRIG_BASE" && find . "$BRIG_RUN" | sort) | diff "$LAB/ls" -
	assert_tidy
	assert_host_as "$LAB/before"
	brig run --space "$LAB/kept" sh -c 'echo kept > /s/x'
	[ "$(cat "$LAB/kept/x")" = kept ]
	[ "$(brig run --space "$LAB/kept" cat /s/x)" = kept ]
	rm -r "$LAB/kept"
}

@test "whatever the caller does with signals, streams and limits" {
	conf <<-E
		w { ip4.addr = 198.51.100.9; persist; }
	E
	brig -q create w
	# cron, some daemons: the kernel would take the children away
	env --ignore-signal=CHLD "$BRIG" -q start w
	[ "$(env --ignore-signal=CHLD "$BRIG" exec w echo in)" = in ]
	env --ignore-signal=CHLD "$BRIG" -q stop w
	env --ignore-signal=CHLD "$BRIG" run true
	env --block-signal "$BRIG" -q start w
	# the jail does not get it
	brig exec w grep -E '^Sig(Blk|Ign):' /proc/1/status | grep -v 'SigBlk.*[1-9a-f]' | grep -q .
	[ "$(env --block-signal "$BRIG" exec w sh -c "grep SigBlk /proc/self/status")" = "$(printf 'SigBlk:\t%016x' 0)" ]
	(exec "$BRIG" -q restart w <&- >&- 2>&-)
	brig status w | grep -q up
	brig -q stop w
	# few descriptors: the soft limit is raised, of the hard one it is said
	(ulimit -S -n 16 && exec "$BRIG" -q start w)
	[ "$(ulimit -S -n 16 && "$BRIG" exec w sh -c 'ulimit -S -n')" = 1024 ]
	brig -q stop w
	run bash -c 'ulimit -n 32; exec "$BRIG" start w'
	[ "$status" = 1 ]
	[ "$output" = "brig: only 32 files may be open at once, 128 are needed (ulimit -n)" ]
	brig -q destroy -y w
	# files of no size: an error, and what was begun is undone
	run bash -c 'ulimit -f 0; exec "$BRIG" create w'
	[ "$status" = 1 ]
	[[ "$output" == *"File too large"* ]]
	[ ! -e "$BRIG_BASE/js/w" ]
	for words in --version list help; do
		run bash -c '"$BRIG" $1 >/dev/full' sh "$words"
		[ "$status" = 1 ]
		[[ "$output" == *"No space left on device"* ]]
	done
}

@test "a jail that create defines runs its /etc/rc" {
	conf </dev/null
	brig -q create new --ip 198.51.100.7
	printf 'idle_enable="YES"\nidle_command="sleep 100000"\n' >"$BRIG_BASE/js/new/etc/rc.conf"
	brig -q start new
	eventually 5 sh -c "$BRIG exec new ps | grep -q 'sleep 100000'"
	brig -q stop new
	brig -q destroy -y new
	[ ! -e "$BRIG_CONF.d/new.conf" ]
}

@test "destroy is refused while it runs, and takes everything after" {
	brig -q start a
	run brig destroy -y a
	[ "$status" = 1 ]
	one_line "$output"
	brig -q stop a
	run brig destroy --archive -y a
	[ "$status" = 2 ]
	[ -d "$BRIG_BASE/js/a" ]
	brig -q destroy -y a
	[ ! -e "$BRIG_BASE/js/a" ]
	[ ! -e "$BRIG_BASE/j/a" ]
	assert_tidy
}
