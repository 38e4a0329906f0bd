# What is looked at in the virtual machine (run).  A check is a function check_NAME, run with set -e; each begins with
# no jail running, and shows with a control that its probe can tell.
# shellcheck shell=sh disable=SC2016,SC2317

export BRIG_BASE=/brig/base BRIG_RUN=/run/brig BRIG_CONF=/brig/etc/jail.conf
CGROUP=/sys/fs/cgroup
ALL="values before_first exec memory pids cpu io status frozen joined kept_on inner read_only beside lifecycle handbook"
ALL="$ALL view escape gone"

run_checks() {
	n=0
	prepare >/tmp/said 2>&1 || { echo "not ok 1 - prepare"; sed 's/^/# /' /tmp/said; echo "1..1"; return; }
	for name in ${CHECKS:-$ALL}; do
		n=$((n + 1))
		(
			set -ex
			"check_$name"
		) >/tmp/said 2>&1
		status=$?
		if [ "$status" = 0 ]; then
			echo "ok $n - $name"
		else
			echo "not ok $n - $name"
			tail -n 25 /tmp/said | sed 's/^/# /'
		fi
		brig -q stop -a --force >/dev/null 2>&1
	done
	echo "1..$n"
}

prepare() {
	mkdir -p /brig/etc /tmp/two/etc /var/lib
	mount --bind /brig /var/lib # where doctor looks
	cat >"$BRIG_CONF" <<-EOF
		persist;
		free { }
		lim { limit.memory = 16m; limit.pids = 20; limit.cpu = 0.2; limit.io = 1m; }
		one { limit.pids = 1; }
		disc { limit.io = 1m; }
		net { ip4.addr = 198.51.100.7; limit.pids = 50; }
		ram { space = "tmpfs:16m"; limit.memory = 64m; }
		svc { nopersist; service = "sleep 1000"; limit.memory = 16m; limit.pids = 30; }
	EOF
	echo two >/tmp/two/etc/two
	brig -q template build mroot busybox --release r1 &&
		brig -q template build mroot busybox --release r2 --no-current --overlay /tmp/two &&
		brig -q create free lim one disc net ram svc
}

group() { echo "$CGROUP"/brig/"$1"-*; }
pid_of() { sed -n 's/^ *"pid": \([0-9]*\),*$/\1/p' "$BRIG_RUN/jail/$1/state.json"; }
value() { cat "$(group "$1")/$2"; }
field() { awk -v name="$3" '$1 == name { print $2 }' "$(group "$1")/$2"; }
groups() { find "$CGROUP" -mindepth 1 -type d | sort; }
no_group() { ! groups | grep "/$1-"; }
# set -e does not see a pipeline with "!"
fails() { ! "$@"; }
fails_with() { # TEXT COMMAND...
	text=$1
	shift
	fails "$@" 2>/tmp/why || return 1
	cat /tmp/why
	grep -q "$text" /tmp/why
}
# eventually COMMAND...: within ten seconds
eventually() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || return 1
		sleep 0.1
	done
}
ended() { [ ! -d "/proc/$1" ]; }
# pids_of COMMAND ARGUMENT
pids_of() {
	for d in /proc/[0-9]*; do
		[ "$(tr '\0' ' ' <"$d/cmdline" 2>/dev/null)" != "$1 $2 " ] || echo "${d#/proc/}"
	done
}
runs() { [ -n "$(pids_of "$@")" ]; }
empty() { [ -z "$(value "$1" cgroup.procs)" ]; }

check_values() {
	brig -q start lim free
	[ "$(value lim memory.max)" = 16777216 ]
	[ "$(value lim memory.oom.group)" = 1 ]
	[ ! -f "$(group lim)/memory.swap.max" ] || [ "$(value lim memory.swap.max)" = 0 ]
	[ "$(value lim pids.max)" = 20 ]
	[ "$(value lim cpu.max)" = "20000 100000" ]
	disk=$(cat /sys/block/vda/dev)
	value lim io.max | grep -x "$disk rbps=1048576 wbps=1048576 riops=max wiops=max"
	# the jail is in it, and sees itself at the top
	[ "$(cat "/proc/$(pid_of lim)/cgroup")" = "0::/brig/$(basename "$(group lim)")" ]
	brig exec lim cat /proc/self/cgroup | grep -x '0::/'
	# a jail without limits has a group of its own without any
	[ "$(cat "/proc/$(pid_of free)/cgroup")" = "0::/brig/$(basename "$(group free)")" ]
	[ "$(value free memory.max)" = max ]
	[ "$(value free pids.max)" = max ]
	[ "$(cat /proc/self/cgroup)" = "0::/" ]
}

# The limit is there before the first process is: it cannot be made.
check_before_first() {
	fails_with limit.pids brig start one
	no_group one
	sed -i 's/limit.pids = 1;/limit.pids = 9;/' "$BRIG_CONF"
	brig -q start one
	sed -i 's/limit.pids = 9;/limit.pids = 1;/' "$BRIG_CONF"
}

check_exec() {
	brig -q start lim free
	brig exec lim sleep 771 &
	brig exec free sleep 772 &
	eventually runs sleep 771
	eventually runs sleep 772
	value lim cgroup.procs | grep -x "$(pids_of sleep 771)"
	value free cgroup.procs | grep -x "$(pids_of sleep 772)"
	[ "$(pids_of sleep 771 | wc -l)" = 1 ]
}

# One that wants too much takes the whole jail along.
check_memory() {
	brig -q start lim free
	brig exec free dd if=/dev/zero of=/dev/null bs=32M count=1
	[ "$(field free memory.events oom_group_kill)" = 0 ]
	pid=$(pid_of lim)
	brig exec lim dd if=/dev/zero of=/dev/null bs=1M count=32 # as much, but not at once
	kill -0 "$pid"
	fails brig exec lim dd if=/dev/zero of=/dev/null bs=32M count=1
	[ "$(field lim memory.events oom_group_kill)" = 1 ]
	eventually empty lim
	eventually ended "$pid" # reaped by whoever is its parent by now
	fails brig exec lim true
	brig -q start lim
	brig exec lim true
	[ "$(field lim memory.events oom_group_kill)" = 0 ]
	brig exec free true
}

check_pids() {
	brig -q start lim free
	for jail in lim free; do
		brig exec "$jail" sh -c 'i=0; while [ $i -lt 30 ]; do sleep 1000 & i=$((i + 1)); done' || true
	done
	[ "$(value lim pids.current)" -gt 15 ]
	[ "$(value lim pids.current)" -le 20 ]
	[ "$(field lim pids.events max)" -ge 1 ]
	[ "$(value free pids.current)" -gt 30 ]
	[ "$(field free pids.events max)" = 0 ]
	# the jail that is full can be stopped
	brig -q stop lim
}

check_cpu() {
	brig -q start lim free
	for jail in lim free; do
		brig exec "$jail" timeout 2 sh -c 'while :; do :; done' || true
		[ "$(field "$jail" cpu.stat usage_usec)" -gt 50000 ]
	done
	[ "$(field lim cpu.stat nr_throttled)" -ge 3 ]
	[ "$(field free cpu.stat nr_throttled)" = 0 ]
}

# What is written late is counted, too.
check_io() {
	brig -q start disc free
	for jail in disc free; do
		brig exec "$jail" dd if=/dev/zero of=/root/data bs=64k count=32
	done
	start=$(cut -d. -f1 /proc/uptime)
	sync
	for jail in disc free; do
		grep -o 'wbytes=[0-9]*' "$(group "$jail")/io.stat" >"/tmp/$jail" || echo wbytes=0 >"/tmp/$jail"
		cat "/tmp/$jail"
	done
	[ "$(cut -d= -f2 /tmp/disc)" -ge 2097152 ]
	# 2 MB at 1 MB a second: never in less than one
	[ $(($(cut -d. -f1 /proc/uptime) - start)) -ge 1 ]
	[ -z "$(value free io.max)" ]
}

check_status() {
	brig -q start lim free
	brig status lim >/tmp/lim
	brig status free >/tmp/free
	cat /tmp/lim /tmp/free
	grep -E '^ *processes +[0-9]+ of 20$' /tmp/lim
	grep -E '^ *memory +[0-9.]+.* of 16' /tmp/lim
	grep -E '^ *cpu +[0-9.]+ s used, at most 0.20 CPUs$' /tmp/lim
	grep -E '^ *io +at most 1.* a second$' /tmp/lim
	fails grep -E ' of |at most' /tmp/free
	brig doctor >/tmp/doctor || true
	cat /tmp/doctor
	[ "$(grep -cE '^(memory|pids|cpu|io) controller +ok ' /tmp/doctor)" = 4 ]
}

# Nothing joins a frozen jail, and it can be ended all the same.
check_frozen() {
	brig -q start lim free
	brig exec lim true
	echo 1 >"$(group lim)/cgroup.freeze"
	eventually grep -x 'frozen 1' "$(group lim)/cgroup.events"
	fails_with 'is frozen' brig exec lim true
	pid=$(pid_of lim)
	brig -q stop --force lim
	[ ! -d "/proc/$pid" ]
	no_group lim
	brig exec free true
}

# What others put into the group ends with the jail.
check_joined() {
	brig -q start lim
	sleep 1000 &
	in=$!
	sleep 1000 &
	out=$!
	echo "$in" >"$(group lim)/cgroup.procs"
	brig -q stop lim
	fails kill -0 "$in"
	kill -0 "$out"
	kill "$out"
	no_group lim
}

# Who manages the top cannot take a controller away from the jails.
check_kept_on() {
	brig -q start lim
	for c in memory pids cpu io; do
		fails_with busy sh -c "echo -$c >$CGROUP/cgroup.subtree_control"
	done
	[ "$(value lim memory.max)" = 16777216 ]
	brig -q stop lim
	echo "-memory" >"$CGROUP/cgroup.subtree_control"
	fails grep memory "$CGROUP/cgroup.subtree_control"
	brig -q start lim
	[ "$(value lim memory.max)" = 16777216 ]
}

# The top of a cgroup namespace whose processes are in that group itself: limits cannot be kept, other jails start.
check_inner() {
	brig -q start lim # what it switches on at the top stays so
	brig -q stop lim
	mkdir "$CGROUP/box"
	cat >/tmp/inner <<-'EOF'
		set -ex
		umount /sys/fs/cgroup
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		brig -q start free
		grep -x 0::/brig/free-[0-9]* "/proc/$(pid_of free)/cgroup"
		fails_with 'there are processes in control group' brig start lim
		brig -q stop free
		mkdir /sys/fs/cgroup/own
		echo 0 >/sys/fs/cgroup/own/cgroup.procs
		brig -q start lim
		[ "$(value lim memory.max)" = 16777216 ]
		brig -q stop lim
	EOF
	echo 'CHECKS=; . /vm/checks.sh; . /tmp/inner' >/tmp/start
	sh -c "echo 0 >$CGROUP/box/cgroup.procs; exec /vm/unshare -C -m sh -e /tmp/start"
	rmdir "$CGROUP/box/own" "$CGROUP/box"
}

# A host whose groups are not ours to make: jails without limits start, others are refused.
check_read_only() {
	cat >/tmp/inner <<-'EOF'
		set -ex
		mount -o remount,bind,ro /sys/fs/cgroup
		brig -q start free
		no_group free
		[ "$(brig exec free id -u)" = 0 ]
		fails_with 'Read-only' brig start lim
		brig -q stop free
		fails brig exec free true
	EOF
	echo 'CHECKS=; . /vm/checks.sh; . /tmp/inner' >/tmp/start
	/vm/unshare -m sh -e /tmp/start
	brig -q start lim
}

# An upgrade makes the new instance in the groups of the one that runs.
check_beside() {
	brig -q start svc
	pid=$(pid_of svc)
	dir=$(group svc)
	fails brig exec svc cat /etc/two
	brig upgrade --jail svc mroot/r2
	new=$(pid_of svc)
	[ "$new" != "$pid" ]
	[ ! -d "/proc/$pid" ]
	[ "$(brig exec svc cat /etc/two)" = two ]
	[ "$(group svc)" = "$dir" ]
	grep -x "$new" "$dir/cgroup.procs"
	[ "$(value svc memory.max)" = 16777216 ]
	fails brig exec svc dd if=/dev/zero of=/dev/null bs=32M count=1
	[ "$(field svc memory.events oom_group_kill)" = 1 ]
}

# The usual, on a kernel without pidns= for procfs, and, if it is Debian 12's, without id-mapped tmpfs.
check_lifecycle() {
	uname -r
	brig start free net ram svc
	[ "$(brig exec free id -u)" = 0 ]
	brig exec free sh -c 'echo data >/root/x'
	fails_with 'Read-only' brig exec free touch /bin/x
	[ "$(brig exec free cat /proc/1/comm)" = brig-init ]
	[ "$(brig exec ram sh -c 'echo data >/root/x && cat /root/x')" = data ]
	brig exec net ip addr | grep -w 198.51.100.7
	ping -c 1 -W 5 198.51.100.7
	brig list
	eventually runs sleep 1000
	brig restart free
	[ "$(brig exec free cat /root/x)" = data ]
	brig stop -a
	fails ping -c 1 -W 1 198.51.100.7
	[ "$(brig list | grep -c running)" = 0 ]
	brig start ram
	fails brig exec ram cat /root/x
}

# As jail(8), with a directory.
check_handbook() {
	mkdir -p /brig/root
	cp -a "$BRIG_BASE/j/mroot/." /brig/root/
	jail -c name=plain persist path=/brig/root mount.devfs
	[ "$(jls -j plain path)" = /brig/root ]
	[ "$(jexec plain echo hello)" = hello ]
	jexec plain sh -c 'ls -l /dev/null && echo x >/dev/null'
	jail -r plain
	fails_with 'not found' jls -j plain
	[ "$(jail -c path=/brig/root command=/bin/echo one)" = one ]
	rm -rf /brig/root
}

# The escape suite on this kernel, which has loadable modules, kexec and version 2 only; and the machine is ours, so
# core_pattern can be changed.  Where nothing defends every check must come out as possible.
check_view() {
	brig -q start lim free
	[ "$(brig exec lim cat /sys/fs/cgroup/memory.max)" = $((16 << 20)) ]
	[ "$(brig exec lim awk '$5 == "/sys/fs/cgroup" { print $4 }' /proc/self/mountinfo)" = / ]
	brig exec lim find /sys/fs/cgroup -type d >/tmp/dirs
	[ "$(cat /tmp/dirs)" = /sys/fs/cgroup ]
	fails_with "Read-only" brig exec lim sh -c 'echo max >/sys/fs/cgroup/memory.max'
	fails brig exec lim mkdir /sys/fs/cgroup/x
	brig exec free ls -A /sys >/tmp/dirs
	[ ! -s /tmp/dirs ]
}

check_escape() {
	ESCAPE_MACHINE=1 TMPDIR=/brig PROBE=/vm/escape/escape-probe UNSHARE=/vm/unshare BRIG=$(command -v brig) \
		sh /vm/escape/run -t /tmp/escaped host brig exec >/tmp/table 2>&1 ||
		{ grep -E '^(WRONG|escape)' /tmp/table || tail -n 20 /tmp/table; return 1; }
	grep '^host core_handler ALLOWED' /tmp/escaped
	[ "$(grep -c '^host [^ ]* ALLOWED' /tmp/escaped)" -gt 180 ]
	[ "$(grep -cE '^(brig|exec) core_handler DENIED' /tmp/escaped)" = 2 ]
	[ "$(grep -c ' DENIED' /tmp/escaped)" -gt 360 ]
	rm /tmp/table /tmp/escaped
}

# After all of it.
check_gone() {
	brig -q start lim
	groups | grep /brig/lim-
	brig -q stop lim
	[ -z "$(groups)" ]
}
