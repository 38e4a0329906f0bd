#!/usr/bin/env bats
# A jail that takes all it can get of what the kernel counts outside of memory, and jails that come and go in ways
# that nobody planned.  What one jail takes is not missing to another, to the host's root or to its users.

load lib

setup_file() { lab_setup; }
teardown_file() { lab_teardown; }
setup() {
	HOG=
	conf <<-EOF
		persist; exec.clean; stop.timeout = 1;
		a { }
		b { }
		keys1 { allow.keyring; }
		keys2 { allow.keyring; }
		j { jid = 7; ip4.addr = 198.51.100.1; limit.pids = 100; service = "sleep 1000"; }
	EOF
	for j in a b keys1 keys2 j; do [ -d "$BRIG_BASE/js/$j" ] || new "$j"; done
}
teardown() {
	let_go
	brig -q stop -a --force || true
}

# new NAME: a jail with the tools in it
new() {
	brig -q create "$1"
	cp "$BRIG_BUILD/test/hog" "$BRIG_BASE/js/$1/etc/hog"
}
more() { cat >>"$BRIG_CONF"; }
# hog_in JAIL DIRECTORY KIND MAX: what it says
hog_in() { timeout 30 "$BRIG" exec "$1" sh -c "cd '$2' && exec /etc/hog $3 $4" 2>/dev/null; }
hog_here() { (cd "$LAB" && timeout 30 "$BRIG_BUILD/test/hog" "$@" 2>/dev/null); }
hog_nobody() { (cd / && timeout 30 setpriv --reuid 65534 --regid 65534 --clear-groups "$LAB/hog" "$@" 2>/dev/null); }
# holding COMMAND...: in the background, as $HOG, once it has said what it took, as $TOOK
holding() {
	rm -f "$LAB/took"
	"$@" >"$LAB/took" 2>&1 </dev/null &
	HOG=$!
	eventually 30 test -s "$LAB/took"
	TOOK=$(cat "$LAB/took")
}
let_go() {
	[ -z "$HOG" ] || kill "$HOG" 2>/dev/null || true
	[ -z "$HOG" ] || wait "$HOG" 2>/dev/null || true
	HOG=
}
state_of() { awk '$1 == "State:" { print $2 }' "/proc/$1/status" 2>/dev/null; }
gone() { [ ! -e "/proc/$1" ] || [ "$(state_of "$1")" = Z ]; }

# ---- what the kernel counts by user ----

@test "control: user namespaces that root made take from each other and from root" {
	for kind in inotify queue; do
		holding unshare --user --map-root-user "$BRIG_BUILD/test/hog" $kind 200000 hold
		run unshare --user --map-root-user "$BRIG_BUILD/test/hog" $kind 10
		echo "$TOOK, then $output"
		[ "${output% *}" = "$kind 0" ]
		run hog_here $kind 10
		[ "${output% *}" = "$kind 0" ]
		let_go
	done
}

@test "what one jail takes is there for another, for the host's root and for its users" {
	brig -q start a b
	chmod 755 "$LAB"
	cp "$BRIG_BUILD/test/hog" "$LAB/hog"
	for kind in inotify queue signal timer inflight pipe pty; do
		holding "$BRIG" exec a /etc/hog $kind 2000000 hold
		echo "a: $TOOK"
		[[ "$TOOK" == "$kind "*" E"* ]] # all of it
		[ "$(cut -d' ' -f2 <<<"$TOOK")" -ge 60 ]
		run hog_in a / $kind 10 # nothing is left for a itself
		echo "a again: $output"
		[ "${output% *}" = "$kind 0" ]
		[ "$(hog_in b / $kind 10)" = "$kind 10 enough" ]
		[ "$(hog_here $kind 10)" = "$kind 10 enough" ]
		[ $kind = pty ] || [ "$(hog_nobody $kind 10)" = "$kind 10 enough" ]
		run timeout 10 "$BRIG" exec a true # and a is still the administrator's
		[ "$status" = 0 ]
		brig exec a killall hog
		let_go
	done
}

@test "keys: none by default; with allow.keyring each jail has its own quota" {
	brig -q start a keys1 keys2
	[ "$(hog_in a / key 10)" = "key 0 EPERM" ]
	holding "$BRIG" exec keys1 /etc/hog key 100000 hold
	[[ "$TOOK" == "key "*" EDQUOT" ]]
	[ "$(hog_in keys1 / key 10)" = "key 0 EDQUOT" ]
	[ "$(hog_in keys2 / key 10)" = "key 10 enough" ]
	[ "$(hog_here key 10)" = "key 10 enough" ]
}

@test "descriptors and locks count for the memory of the jail" {
	[ -e /sys/fs/cgroup/memory/cgroup.procs ] || grep -qw memory /sys/fs/cgroup/cgroup.controllers || skip "no controller"
	more <<-EOF
		small { limit.memory = 24m; }
	EOF
	new small
	brig -q start a small
	many='for i in 1 2 3 4 5 6 7 8 9 10; do /etc/hog socket 15000 hold & done; wait'
	before=$(cut -f1 /proc/sys/fs/file-nr)
	holding "$BRIG" exec a sh -c "$many" # the control: what it takes where there is no limit
	eventually 20 eval '[ "$(cut -f1 /proc/sys/fs/file-nr)" -gt $((before + 140000)) ]'
	brig -q stop a --force
	let_go
	timeout 30 "$BRIG" exec small sh -c "$many" >"$LAB/out" 2>&1 </dev/null &
	HOG=$!
	over=
	for _ in $(seq 40); do
		[ "$(cut -f1 /proc/sys/fs/file-nr)" -lt $((before + 100000)) ] || over=yes
		sleep 0.05
	done
	[ -z "$over" ]
	[ -n "$(cat "$LAB/out")" ] || ! kill -0 $HOG 2>/dev/null || # something was ended for it
		grep -qE '^(oom_kill|under_oom) [1-9]' /sys/fs/cgroup/memory/brig*/small-*/memory.oom_control
	brig -q stop small --force
	let_go
	brig -q destroy -y small
}

@test "no more open files than the limit says, and it cannot be raised" {
	brig -q start a
	[ "$(brig exec a sh -c 'ulimit -Sn')" -le 1024 ]
	hard=$(brig exec a sh -c 'ulimit -Hn')
	[ "$hard" -le 524288 ]
	[ "$(hog_in a / file 1000000)" = "file $((hard - 3)) EMFILE" ]
	run brig exec a sh -c "ulimit -Hn $((hard + 1))"
	[ "$status" != 0 ]
}

# ---- file systems ----

@test "/run and /dev/shm end at their size and their number of names; a jail has its own" {
	brig -q start a b
	for dir in /run /dev/shm; do
		[[ "$(hog_in a $dir inode 20000)" == "inode 8"*" ENOSPC" ]]
		[ "$(hog_in b $dir inode 100)" = "inode 100 enough" ]
		brig exec a true
		brig exec a sh -c "rm -f $dir/hog-*"
		run brig exec a sh -c "dd if=/dev/zero of=$dir/big bs=1M count=80; stat -c %s $dir/big"
		size=$(tail -n 1 <<<"$output")
		[ "$size" -gt 10000000 ]
		[ "$size" -le 67108864 ]
		brig exec b sh -c "head -c 1000000 /dev/zero >$dir/big"
		brig exec a rm $dir/big
	done
	mkdir "$LAB/memory" # the control: one that has no such limit
	mount -t tmpfs none "$LAB/memory"
	[ "$(cd "$LAB/memory" && "$BRIG_BUILD/test/hog" inode 9000)" = "inode 9000 enough" ]
	umount "$LAB/memory"
}

@test "a jailspace in an image or in memory ends at its size and its number of names, and its jail can still be run" {
	more <<-EOF
		image { space = "image:$LAB/i.img"; space.size = 16m; }
		memory { space = "tmpfs:8m"; }
	EOF
	brig -q create image memory
	for j in image memory; do
		brig -q start $j
		brig exec $j sh -c 'cat >/etc/hog; chmod 755 /etc/hog' <"$BRIG_BUILD/test/hog"
		run hog_in $j /s inode 100000
		echo "$j: $output"
		[[ "$output" == "inode "*" ENOSPC" ]]
		[ "$(cut -d' ' -f2 <<<"$output")" -gt 500 ]
		[ "$(hog_here inode 100)" = "inode 100 enough" ]
		rm "$LAB"/hog-*
		brig exec $j true
		brig exec $j sh -c 'cd /s; find . -name "hog-*" | xargs rm; dd if=/dev/zero of=big bs=1M count=80' 2>/dev/null || true
		[ "$(brig exec $j stat -c %s /s/big)" -lt 17000000 ]
		brig exec $j true
		run brig status $j
		[ "$status" = 0 ]
		run brig restart $j
		[ "$status" = 0 ] || { echo "$output"; false; }
		brig exec $j true
		brig -q stop $j
	done
	brig -q destroy -y image memory
	rm "$LAB/i.img"
	assert_tidy
}

# ---- terminals ----

@test "a jail that takes all its terminals has no other's, and a command says what to do" {
	brig -q start a b
	mkfifo "$LAB/quiet" # nothing is typed, and the end of input is not either
	on_tty() { script -qec "$BRIG exec $1 tty" /dev/null <>"$LAB/quiet" | tr -d '\r'; }
	[ "$(on_tty a)" = /dev/pts/0 ] # the control
	free=$(cat /proc/sys/kernel/pty/nr)
	holding "$BRIG" exec a /etc/hog pty 100000 hold
	[[ "$TOOK" == "pty "[56][0-9]" ENOSPC" ]]
	[ $(($(cat /proc/sys/kernel/pty/nr) - free)) -le 64 ]
	[ "$(on_tty b)" = /dev/pts/0 ]
	[ "$(brig exec -T a echo out)" = out ]
	run on_tty a
	one_line "$output"
	[[ "$output" == *"no terminal"*"-T"* ]]
	let_go
}

# ---- time, disk, kernel's log ----

@test "limit.cpu: a jail that spins is held back, one without the limit is not" {
	more <<-EOF
		slow { limit.cpu = 0.1; }
		fast { limit.cpu = 64; }
	EOF
	brig -q create slow fast
	brig -q start slow fast
	used() { brig status --json "$1" | sed -n 's/.*"cpu_ns": \([0-9]*\).*/\1/p'; }
	for j in slow fast; do brig exec $j sh -c 'while :; do :; done >/dev/null 2>&1 &'; done
	from=$SECONDS
	# the control is waited for: the machine may have much else to do
	eventually 60 eval '[ "$(used fast)" -gt 600000000 ]'
	slow=$(used slow)
	echo "slow $slow, fast $(used fast) in $((SECONDS - from)) s"
	[ "$slow" -lt $(((SECONDS - from + 1) * 100000000 + 200000000)) ] # a tenth, and what starting took
	[ "$slow" -gt 0 ]
	brig -q stop slow fast --force
	brig -q destroy -y slow fast
}

@test "limit.io: reading and writing past the page cache take their time" {
	[ -e /sys/fs/cgroup/blkio/blkio.throttle.write_bps_device ] || skip "version 1 of blkio is not here"
	[ "$(stat -c %d "$LAB")" -gt 255 ] || skip "no disc below $LAB"
	more <<-EOF
		io { limit.io = 2m; }
	EOF
	brig -q create io
	brig -q start a io
	for how in "if=/dev/zero of=/var/big oflag=direct" "if=/var/big of=/dev/null iflag=direct"; do
		for j in a io; do
			from=$(date +%s%N)
			brig exec $j dd $how bs=64k count=64 2>/dev/null
			eval "took_$j=$((($(date +%s%N) - from) / 1000000))"
		done
		echo "$how: $took_a ms, with the limit $took_io ms"
		[ "$took_io" -ge 1500 ] # 4 MiB at 2 MiB a second; a moment of credit
		[ "$took_a" -lt "$took_io" ]
	done
	brig -q stop a io
	brig -q destroy -y io
}

@test "the memory killer: no process of a jail is spared, and none can spare itself" {
	brig -q start a
	pid=$(jail_pid a)
	[ "$(cat "/proc/$pid/oom_score_adj")" -ge 0 ]
	run brig exec a sh -c 'for v in -1 -500 -1000; do echo $v >/proc/self/oom_score_adj; echo $v >/proc/1/oom_score_adj; done 2>/dev/null
		echo 500 >/proc/self/oom_score_adj && cat /proc/self/oom_score_adj
		echo -17 >/proc/self/oom_adj 2>/dev/null
		cat /proc/self/oom_score_adj'
	echo "$output"
	[ "$(head -n 1 <<<"$output")" -ge 0 ] # (the control: it may write there, and be killed sooner)
	[[ "$output" == *500* ]]
	[[ "$output" != *-* ]]
	[ "$(cat "/proc/$pid/oom_score_adj")" -ge 0 ]
}

@test "nothing that a jail does to the network is written to the kernel's log" {
	more <<-EOF
		net { ip4.addr = 198.51.100.2; rdr = "tcp 8080 80"; }
	EOF
	brig -q create net
	brig -q start net
	nft list ruleset | grep -q brig # there are rules
	nft list ruleset >"$LAB/rules"
	refuse grep -wE 'log|nftrace' "$LAB/rules"
	brig -q stop net
	brig -q destroy -y net
}

# ---- the first process ----

@test "orphans are reaped, a thousand at once" {
	storm='i=0; while [ $i -lt 1000 ]; do (: & ) ; i=$((i + 1)); done'
	# the control: a first process that does not reap
	unshare --pid --fork --kill-child --mount-proc sleep 1000 &
	outer=$!
	eventually 5 eval 'first=$(pgrep -P $outer)'
	nsenter -t "$first" -p -m sh -c 'i=0; while [ $i -lt 50 ]; do (: & ) ; i=$((i + 1)); done'
	# a zombie has no namespaces left to look at: by their parent
	left() { pgrep -P "$1" -c -r Z || true; }
	[ "$(left "$first")" -ge 40 ]
	kill -9 "$first"
	wait $outer || true
	brig -q start j
	pid=$(jail_pid j)
	brig exec j sh -c "$storm; exec true"
	last=$(brig exec j sh -c 'echo $$') # that many there were
	[ "$last" -gt 1000 ]
	eventually 3 eval '[ "$(left "$pid")" = 0 ]'
	[ "$(state_of "$pid")" = S ]
}

@test "signals from inside: the first process has none that end it but TERM, which ends the jail in order" {
	brig -q start j
	pid=$(jail_pid j)
	for s in HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM STKFLT STOP TSTP TTIN TTOU XCPU VTALRM PROF IO PWR SYS RTMIN; do
		env --default-signal sleep 1000 >/dev/null 2>&1 3>&- & # the control
		probe=$!
		eventually 20 eval '[ "$(cat /proc/$probe/comm)" = sleep ]'
		# (those of the terminal stop only who has somebody to let him go on)
		[[ $s == T[ST]* ]] ||
			eventually 20 eval 'kill -s $s $probe 2>/dev/null; gone $probe || [ "$(state_of $probe)" = T ]' ||
			{ echo "$s does nothing to $(cat /proc/$probe/status)"; kill -9 $probe; false; }
		kill -9 $probe 2>/dev/null || true
		brig exec j kill -$(kill -l $s) 1
		[[ "$(state_of "$pid")" == [SR] ]] || { echo "$s: $(state_of "$pid")"; false; }
	done
	brig exec j true
	pgrep -P "$pid" -x sleep
	brig exec j kill -s TERM 1 || true
	eventually 5 gone "$pid"
	run brig list
	[[ "$output" == *"j: had ended; cleaned up"* ]]
	assert_tidy
}

# ---- commands that meet, and what was there before ----

@test "two stops at once, fifty times: one stops it, the other says that it does not run" {
	host_things >"$LAB/before"
	for _ in $(seq 50); do
		brig -q start j
		pid=$(jail_pid j)
		timeout 20 "$BRIG" stop j >"$LAB/one" 2>&1 &
		one=$!
		r=0
		timeout 20 "$BRIG" stop j >"$LAB/two" 2>&1 || r=$?
		wait $one
		[ $r = 0 ]
		cat "$LAB/one" "$LAB/two" >"$LAB/said"
		[ "$(grep -c '^j: stopped (' "$LAB/said") $(grep -c '^j: was not running$' "$LAB/said") $(wc -l <"$LAB/said")" = "1 1 2" ] ||
			{ cat "$LAB/said"; false; }
		gone "$pid"
	done
	assert_host_as "$LAB/before"
	assert_tidy
}

@test "a control group of the jail's name: of others it is left alone, an old one of nobody is taken anew" {
	mount=/sys/fs/cgroup/pids
	[ -e $mount/cgroup.procs ] || mount=/sys/fs/cgroup
	group=$mount/brig.$(printf %s "$(realpath "$BRIG_RUN")" | sha256sum | cut -c1-6)/j-7
	host_things >"$LAB/before"
	mkdir -p "$group"
	sleep 1000 &
	other=$!
	echo $other >"$group/cgroup.procs"
	run timeout 20 "$BRIG" start j
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"$group is in use already"* ]]
	kill -0 $other
	grep -qx $other "$group/cgroup.procs"
	[ ! -e "$BRIG_RUN/jail/j" ]
	kill $other
	wait $other || true
	# empty, with a limit that would not let anything run
	eventually 5 eval '[ -z "$(cat "$group/cgroup.procs")" ]'
	echo 0 >"$group/pids.max"
	brig -q start j
	brig exec j true
	[ "$(cat "$group/pids.max")" = 100 ]
	brig -q stop j
	assert_host_as "$LAB/before"
}

@test "states of an earlier boot: the jail starts anew, with its number, and the rest of it is gone" {
	host_things >"$LAB/before"
	brig -q start j
	pid=$(jail_pid j)
	cp -a "$BRIG_RUN/jail/j" "$LAB/old"
	cp -a "$BRIG_RUN/hosts/hosts" "$LAB/old-hosts"
	brig -q stop j
	restore() { # as it would be found when the run directory outlives the machine
		rm -rf "$BRIG_RUN/jail/j"
		cp -a "$LAB/old" "$BRIG_RUN/jail/j"
		cp "$LAB/old-hosts" "$BRIG_RUN/hosts/hosts"
		ln -sfn ../jail/j "$BRIG_RUN/jid/7"
		[ "$1" = same ] || sed -i 's/"boot": .*/"boot": "00000000-0000-4000-8000-000000000000",/' "$BRIG_RUN/jail/j/state.json"
	}
	for cmd in "list" "status" "stop j" "destroy -y a" "start j"; do
		restore other
		# shellcheck disable=SC2086
		run timeout 20 "$BRIG" $cmd
		[ "$status" = 0 ] || { echo "$cmd: $output"; false; }
		refuse grep -qE '^ *([0-9]+ .*198.51|j +running)' <<<"$output"
		[ "$cmd" = "start j" ] || [ ! -e "$BRIG_RUN/jail/j" ] || { echo "$cmd left it"; false; }
	done
	[ "$(brig list -j j jid)" = 7 ]
	brig exec j true
	[ "$(jail_pid j)" != "$pid" ]
	brig -q stop j
	new a
	assert_host_as "$LAB/before"
	assert_tidy
}

# ---- ids ----

# every range once, 65536 apart, above what systemd and Debian give to containers, below 2^31
ids_right() { # NUMBER: so many
	sed -n 's/^ *"idbase": \([0-9]*\).*/\1/p' "$BRIG_BASE"/js/.brig/*.json | sort -n >"$LAB/ids"
	awk -v want="$1" '
		$1 < 1879048192 || $1 > 2147483648 - 65536 || ($1 - 1879048192) % 65536 || $1 - last < 65536 {
			print "wrong:", last, $1
			bad = 1
		}
		{ last = $1 }
		END { if (NR != want) print NR, "of", want; exit bad || NR != want }' "$LAB/ids"
	[ "$(ls "$BRIG_BASE/js/.brig/ids" | wc -l)" = "$1" ] # as many taken as there are jails
}

@test "two hundred jails, made at once, half of them replaced: ranges of ids never meet, and none is lost" {
	mkdir "$LAB/many"
	mount -t tmpfs none "$LAB/many"
	export BRIG_BASE=$LAB/many/base BRIG_RUN=$LAB/many/run
	brig -q template build mroot busybox
	{ echo "persist;"; printf '%s { }\n' n{1..300}; } | conf
	at_once() { # COMMAND... -- NAMES: four at a time
		local k p=() cmd=()
		while [ "$1" != -- ]; do cmd+=("$1"); shift; done
		shift
		for k in 0 1 2 3; do
			"$BRIG" -q "${cmd[@]}" $(for n in "$@"; do [ $((${n#n} % 4)) != $k ] || echo "$n"; done) &
			p+=($!)
		done
		for k in "${p[@]}"; do wait "$k"; done
	}
	at_once create -- n{1..200}
	ids_right 200
	cp "$LAB/ids" "$LAB/first"
	mapfile -t half < <(seq 200 | shuf --random-source="$BRIG" -n 100 | sed 's/^/n/')
	"$BRIG" -q destroy -y "${half[@]}" & # while others come
	brig -q create n{201..300}
	wait $!
	ids_right 200
	at_once create -- "${half[@]}"
	ids_right 300
	at_once destroy -y -- n{1..300}
	ids_right 0
	umount "$LAB/many"
}

@test "ids that others of the host have are passed over: subuid, subgid, accounts" {
	more <<-EOF
		x { }
		y { }
	EOF
	base() { sed -n 's/^ *"idbase": \([0-9]*\).*/\1/p' "$BRIG_BASE/js/.brig/$1.json"; }
	brig -q create x
	first=$(base x)
	brig -q destroy -y x
	brig -q create x
	[ "$(base x)" = "$first" ] # the control: nobody has it, so it is given again
	brig -q destroy -y x
	for file in subuid subgid passwd group; do
		cp "/etc/$file" "$LAB/$file" 2>/dev/null || : >"$LAB/$file"
		[ -e "/etc/$file" ] || { : >"/etc/$file"; made="$made /etc/$file"; }
		case $file in
		sub*) echo "joe:$((first + 65535)):65536" >>"$LAB/$file" ;; # meets the last one, and the next range
		passwd) echo "joe:x:$((first + 1000)):1000::/:/bin/sh" >>"$LAB/$file" ;;
		group) echo "joe:x:$((first + 65535)):" >>"$LAB/$file" ;;
		esac
		mount --bind "$LAB/$file" "/etc/$file"
		brig -q create x y
		for j in x y; do
			[ "$(base $j)" != "$first" ] || { echo "$file: $j has the ids"; false; }
			case $file in sub*) [ "$(base $j)" != $((first + 65536)) ] ;; esac
		done
		brig -q destroy -y x y
		umount "/etc/$file"
	done
	# shellcheck disable=SC2086
	[ -z "$made" ] || rm $made
}
