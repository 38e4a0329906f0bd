# What test/vm/systemd looks at, with the functions of checks.sh.  Each check begins with no jail running and brig's
# unit active, and shows with a control that its probe can tell.
# shellcheck shell=sh disable=SC1091,SC2010,SC2016,SC2030,SC2031,SC2317

# The disk before the first boot: the unit is enabled; a unit that runs the checks and ends the machine; one that
# stands for the network.
install_units() {
	units=$1/etc/systemd/system
	mkdir -p "$units/multi-user.target.wants"
	cat >"$units/checks.service" <<-'UNIT'
		[Unit]
		After=brig.service netmark.service
		[Service]
		Type=oneshot
		TimeoutStartSec=infinity
		ExecStart=/bin/sh /vm/systemd-checks.sh run
	UNIT
	# started before the network counts as up, so stopped after whatever needs it
	cat >"$units/netmark.service" <<-'UNIT'
		[Unit]
		Before=network.target network-online.target
		Wants=network.target
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/true
		ExecStop=/bin/sh -c 'cat /proc/uptime >/var/net-stop'
	UNIT
	for unit in checks netmark; do
		ln -s "../$unit.service" "$units/multi-user.target.wants/"
	done
	ln -s /usr/local/lib/systemd/system/brig.service "$units/multi-user.target.wants/"
	cat >"$1/etc/jail.conf" <<-'CONF'
		persist;
		free { }
		disc { limit.io = 1m; }
		lim { limit.memory = 16m; limit.pids = 20; limit.cpu = 0.2; limit.io = 1m; }
		net { ip4.addr = 198.51.100.7; limit.pids = 50; }
		svc { nopersist; service = "sleep 1000"; limit.pids = 30; limit.cpu = 0.5; }
		stubborn { exec.stop = "false"; }
		marked { exec.prestop = "cat /proc/uptime >/var/jail-stop"; }
		broken { path = "/no/such/directory"; }
	CONF
}

if [ "$1" = install ]; then
	install_units "$2"
	exit 0
fi
. /vm/vars
chosen=$CHECKS
. /vm/checks.sh
CHECKS=$chosen
# the default installation, which the unit is for
unset BRIG_BASE BRIG_CONF
export BRIG_RUN=/run/brig
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
FIRST="broken_at_boot place by_hand limits oom reload switching taken_away session sandboxed restarted killed"
FIRST="$FIRST stop_unit tmpfiles ids host later_boot"
SECOND="boot_start shutdown_order earlier_boot no_memory"

# run_checks of checks.sh, but for what each check begins with
run_checks() {
	n=0
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
		[ "$name" = later_boot ] || {
			systemctl start brig.service
			brig -q stop -a --force
		} >/dev/null 2>&1
	done
	echo "1..$n"
}
group() {
	for d in "$CGROUP/brig/$1"-*; do
		[ ! -d "$d" ] || echo "$d"
	done
}
pid_of() { sed -n 's/^ *"pid": \([0-9]*\),*$/\1/p' "$BRIG_RUN/jail/$1/state.json"; }
# at the top, whoever started it
in_place() { [ "$CGROUP$(cut -d: -f3 "/proc/$(pid_of "$1")/cgroup")" = "$(group "$1")" ]; }
runs_jail() { [ -n "$(pid_of "$1")" ] && [ "$(brig exec "$1" echo here)" = here ]; }
unit_is() { [ "$(systemctl show -P ActiveState -P SubState "$1" | paste -s -d ' ')" = "$2" ]; }
inactive() { unit_is "$1" "inactive dead" || unit_is "$1" "failed failed"; }
lim_values() { # of the jail lim, and that nobody has moved it
	[ "$(value lim memory.max)" = 16777216 ] && [ "$(value lim memory.oom.group)" = 1 ] &&
		[ "$(value lim pids.max)" = 20 ] && [ "$(value lim cpu.max)" = "20000 100000" ] &&
		value lim io.max | grep "rbps=1048576 wbps=1048576" && in_place lim
}
# Before there is a template nothing can start: the unit is there all the same, or nothing would be stopped in order.
check_broken_at_boot() {
	unit_is brig.service "active exited"
	systemctl show -P ExecStart brig.service | grep 'status=1'
	[ "$(brig list | grep -c running)" = 0 ]
	brig -q template build mroot busybox --release r1
	brig -q create free disc lim net svc stubborn marked
}

check_place() {
	brig -q start free lim
	in_place free
	in_place lim
	brig exec lim cat /proc/self/cgroup | grep -x '0::/'
	grep checks.service /proc/self/cgroup # we are not there
	brig exec lim sleep 771 &
	eventually runs sleep 771
	value lim cgroup.procs | grep -x "$(pids_of sleep 771)"
	brig -q stop free lim
	[ ! -e "$CGROUP/brig" ]
	# another installation has a place of its own, and is not the unit's to end
	brig -q start free
	BRIG_RUN=/run/other brig -q start free
	[ -n "$(find "$CGROUP" -maxdepth 2 -path "$CGROUP/brig.*/free-*")" ]
	systemctl stop brig.service
	fails runs_jail free
	(BRIG_RUN=/run/other && runs_jail free)
	BRIG_RUN=/run/other brig -q stop free
	[ -z "$(find "$CGROUP" -maxdepth 1 -name 'brig*')" ]
}

# A jail that was started without the unit is the unit's to stop.
check_by_hand() {
	systemctl stop brig.service
	brig -q start lim
	pid=$(pid_of lim)
	systemctl start brig.service
	[ "$(pid_of lim)" = "$pid" ]
	lim_values
	for jail in free disc net svc stubborn marked; do
		in_place $jail
		runs_jail $jail
	done
	brig -q stop stubborn --force
	systemctl stop brig.service
	[ ! -d "/proc/$pid" ]
	[ ! -e "$CGROUP/brig" ]
}

check_limits() {
	brig -q start lim free
	lim_values
	for jail in lim free; do
		brig exec "$jail" sh -c 'i=0; while [ $i -lt 30 ]; do sleep 1000 & i=$((i + 1)); done' || true
		brig exec "$jail" timeout 2 sh -c 'while :; do :; done' || true
	done
	[ "$(value lim pids.current)" -le 20 ]
	[ "$(value free pids.current)" -gt 30 ]
	brig -q stop --force lim
	brig -q start lim
	brig exec lim timeout 2 sh -c 'while :; do :; done' || true
	[ "$(field lim cpu.stat nr_throttled)" -ge 3 ]
	brig -q stop lim
	brig -q start disc
	brig exec disc dd if=/dev/zero of=/root/data bs=64k count=48
	start=$(cut -d. -f1 /proc/uptime)
	sync
	# 3 MB at 1 MB a second: never in less than one
	[ $(($(cut -d. -f1 /proc/uptime) - start)) -ge 1 ]
	[ "$(grep -o 'wbytes=[0-9]*' "$(group disc)/io.stat" | cut -d= -f2)" -ge 3145728 ]
}

# One jail without memory ends as a whole, and nothing else does.
check_oom() {
	brig -q start lim free
	pid=$(pid_of free)
	brig exec free dd if=/dev/zero of=/dev/null bs=32M count=1
	fails brig exec lim dd if=/dev/zero of=/dev/null bs=32M count=1
	[ "$(field lim memory.events oom_group_kill)" = 1 ]
	eventually empty lim
	sleep 1
	runs_jail free
	[ "$(pid_of free)" = "$pid" ]
	fails brig exec lim true
	brig -q start lim
	unit_is brig.service "active exited"
}

check_reload() {
	brig -q start lim free net
	pid=$(pid_of lim)
	systemctl daemon-reload
	lim_values
	systemctl daemon-reexec
	lim_values
	systemd-run --unit=neighbour -p MemoryMax=64M -p CPUQuota=50% -p TasksMax=100 -p IOWeight=10 sleep 1000
	lim_values
	[ "$(cat "$CGROUP/system.slice/neighbour.service/memory.max")" = 67108864 ] # it reached the tree
	systemctl set-property --runtime neighbour.service MemoryMax=32M TasksMax=50
	systemctl set-property --runtime system.slice MemoryMax=400M CPUWeight=50 IOWeight=50
	systemctl set-property --runtime machine.slice MemoryMax=410M
	[ "$(cat "$CGROUP/machine.slice/memory.max")" = 429916160 ]
	lim_values
	systemctl revert system.slice machine.slice || true
	systemctl stop neighbour.service
	systemctl daemon-reload
	lim_values
	[ "$(pid_of lim)" = "$pid" ]
	for jail in lim free net; do runs_jail "$jail"; done
	fails brig exec lim dd if=/dev/zero of=/dev/null bs=32M count=1
}
# Controllers go on and off at the top all the time while jails start.
check_switching() {
	touch /run/go
	(
		set +x
		n=0
		while [ -e /run/go ]; do
			for c in memory pids cpu io; do
				echo "-$c" >"$CGROUP/cgroup.subtree_control" && n=$((n + 1))
			done
			echo "+memory +pids +cpu +io" >"$CGROUP/cgroup.subtree_control"
		done 2>/dev/null
		echo "$n" >/run/switched
	) &
	switcher=$!
	i=0
	while [ $i -lt 12 ]; do
		i=$((i + 1))
		brig -q start lim || { rm /run/go; return 1; }
		lim_values || { rm /run/go; return 1; }
		brig -q stop lim
	done
	rm /run/go
	wait $switcher
	[ "$(cat /run/switched)" -gt 20 ] # so it was possible, between the jails
}
# What systemd switches on for a unit it switches off after it, and groups beside lose their limits; jails do not.
with_io() { # COMMAND...: while a unit needs the controller
	systemd-run --unit=heavy -p IOWeight=10 sleep 1000
	eventually grep -w io "$CGROUP/cgroup.subtree_control"
	"$@"
	systemctl stop heavy.service
	systemctl daemon-reload
}
check_taken_away() {
	with_io true
	eventually fails grep -w io "$CGROUP/cgroup.subtree_control"
	mkdir "$CGROUP/plain"
	with_io test -f "$CGROUP/plain/io.max"
	eventually test ! -f "$CGROUP/plain/io.max"
	brig -q start lim
	with_io test -f "$CGROUP/plain/io.max"
	sleep 2
	[ -f "$CGROUP/plain/io.max" ]
	lim_values
	rmdir "$CGROUP/plain"
}

# Who started a jail may go: a session's scope, a service that is ended as a whole.
check_session() {
	systemd-run --scope --unit=login sh -c 'sleep 881 & brig -q start lim; exec sleep 882' &
	eventually runs sleep 882
	runs sleep 881
	systemctl stop login.scope
	eventually fails runs sleep 881
	fails runs sleep 882
	runs_jail lim
	lim_values
	systemd-run --unit=starter -p KillMode=control-group \
		sh -c 'sleep 883 & brig -q start free net; sleep 1; exec sleep 884'
	eventually runs sleep 884
	eventually runs_jail net
	runs sleep 883
	systemctl stop starter.service
	fails runs sleep 883
	runs_jail free
	runs_jail net
	systemctl reset-failed || true
}

# Started from a unit that sees another /tmp and no /home, used and ended from outside.
check_sandboxed() {
	systemd-run --unit=boxed -p PrivateTmp=yes -p ProtectHome=yes -p ProtectSystem=full -p Type=oneshot \
		-p RemainAfterExit=yes sh -c 'ls -A /tmp >/run/boxed-tmp; brig start free lim >/run/boxed 2>&1'
	touch /tmp/outside
	eventually unit_is boxed.service "active exited" || { cat /run/boxed; return 1; }
	fails grep outside /run/boxed-tmp
	lim_values
	brig exec free sh -c 'echo data >/root/boxed'
	systemctl stop boxed.service
	runs_jail free
	lim_values
	[ "$(brig exec free cat /root/boxed)" = data ]
	brig -q restart free
	[ "$(brig exec free cat /root/boxed)" = data ]
	brig -q stop free lim
	[ -z "$(group free)$(group lim)" ]
}

# A first process that was killed, and the first start after it.
check_killed() {
	brig -q start lim svc
	kill -9 "$(pid_of lim)"
	eventually empty lim
	runs_jail svc
	unit_is brig.service "active exited"
	brig -q start lim
	lim_values
}

check_restarted() {
	brig -q start svc
	pid=$(pid_of svc)
	BRIG_RUN=/run/other brig -q start free
	systemctl restart brig.service
	unit_is brig.service "active exited"
	[ "$(pid_of svc)" != "$pid" ]
	[ ! -d "/proc/$pid" ]
	for jail in free disc lim net svc stubborn marked; do
		in_place $jail
		runs_jail $jail
	done
	lim_values
	(BRIG_RUN=/run/other && runs_jail free) # no business of the unit
	BRIG_RUN=/run/other brig -q stop free
}

# The end of the unit is that of the jails, but of one that refuses: as with brig stop.
check_stop_unit() {
	brig -q start free lim net stubborn
	systemctl stop brig.service || true
	inactive brig.service
	[ -z "$(group free)$(group lim)$(group net)" ]
	runs_jail stubborn
	systemctl reset-failed brig.service || true
	systemctl start brig.service
	runs_jail free
	runs_jail stubborn
}

# What tidies up takes nothing of ours.
check_tmpfiles() {
	brig -q start lim svc
	ls -lR "$BRIG_RUN" /var/lib/brig | grep -v '^total' | awk '{ print $1, $NF }' >/var/before
	mkdir -p /tmp/old /run/old
	mkdir -p /run/tmpfiles.d
	echo 'd /run/old - - - 0' >/run/tmpfiles.d/old.conf
	echo 'd /tmp 1777 root root 0' >/run/tmpfiles.d/tmp.conf
	touch /run/old/file /tmp/old/file
	sleep 2
	systemd-tmpfiles --clean
	systemd-tmpfiles --create
	systemd-tmpfiles --remove
	[ ! -e /run/old/file ]
	[ ! -e /tmp/old/file ]
	ls -lR "$BRIG_RUN" /var/lib/brig | grep -v '^total' | awk '{ print $1, $NF }' >/var/after
	diff /var/before /var/after
	runs_jail lim
	brig -q restart svc
	runs_jail svc
}

# The ids of jails are none that systemd gives to containers and services.
check_ids() {
	max=$(sed -n 's/^container_uid_base_max=//p' /usr/share/pkgconfig/systemd.pc)
	dynamic=$(sed -n 's/^dynamic_uid_max=//p' /usr/share/pkgconfig/systemd.pc)
	brig -q start lim free
	for jail in lim free; do
		low=$(awk 'NR == 1 { print $2 }' "/proc/$(pid_of $jail)/uid_map")
		[ "$low" -ge $((max + 65536)) ]
		[ "$low" -gt "$dynamic" ]
		[ $((low + 65535)) -lt 2147483647 ]
		getent passwd "$low" && return 1
	done
	return 0
}

check_host() {
	brig doctor >/tmp/doctor || { cat /tmp/doctor; return 1; }
	cat /tmp/doctor
	[ "$(grep -cE '^(memory|pids|cpu|io) controller +ok ' /tmp/doctor)" = 4 ]
	brig -q start lim
	brig audit -v >/tmp/audit || true
	cat /tmp/audit
	grep -E '^host: [0-9]+ of [0-9]+ items weak' /tmp/audit
	brig audit lim >/tmp/audit || true
	cat /tmp/audit
	# the limits are seen where they are
	grep -i memory /tmp/audit
	brig status lim | grep -E '^ *processes +[0-9]+ of 20$'
	brig status lim | grep -E '^ *memory +[0-9.]+.* of 16'
}

# For the second boot: what runs now is stopped with the machine; an installation with its state on the disk is not.
check_later_boot() {
	rm -f /var/jail-stop /var/net-stop
	mkdir /var/other
	BRIG_RUN=/var/other brig -q start svc
	(BRIG_RUN=/var/other; runs_jail svc)
	brig -q start marked
}

# --- the second boot, without the memory controller ---

check_boot_start() {
	unit_is brig.service "active exited"
	for jail in free net svc stubborn marked; do
		in_place $jail
		runs_jail $jail
	done
	[ "$(value net pids.max)" = 50 ]
	[ "$(value svc pids.max)" = 30 ]
	[ "$(value svc cpu.max)" = "50000 100000" ]
	brig exec net ip addr | grep -w 198.51.100.7
	[ -z "$(group lim)" ]
}

# The jails were stopped at the end of the first boot before the network went.
check_shutdown_order() {
	cat /var/jail-stop /var/net-stop
	awk 'NR == 1 { jail = $1 } NR == 2 { exit !($1 >= jail) }' /var/jail-stop /var/net-stop
}

check_earlier_boot() {
	[ -f /var/other/jail/svc/state.json ]
	(
		BRIG_RUN=/var/other
		fails brig exec svc true
		[ "$(brig list | grep -c running)" = 0 ]
		brig -q start svc
		runs_jail svc
		brig -q stop svc
		[ ! -f /var/other/jail/svc/state.json ]
	)
}

check_no_memory() {
	fails_with 'limit.memory: this host has no cgroup controller' brig start lim
	brig doctor >/tmp/doctor || true
	cat /tmp/doctor
	grep -E '^memory controller +missing ' /tmp/doctor
	[ "$(grep -cE '^(pids|cpu|io) controller +ok ' /tmp/doctor)" = 3 ]
	brig -q start free
	[ "$(brig exec free echo here)" = here ]
	[ -z "$(group lim)" ]
}

# the first of a boot sees what the boot left
case $(cat /proc/cmdline) in
*brig.boot=1*) ALL=$FIRST ;;
*) ALL=$SECOND ;;
esac
if [ -n "$CHECKS" ]; then
	mine=
	for name in $CHECKS; do
		case " $ALL " in *" $name "*) mine="$mine $name" ;; esac
	done
	# what the first does is needed by all
	case $ALL in broken*) mine="broken_at_boot ${mine#broken_at_boot}" ;; esac
	CHECKS=${mine:-$(echo "$ALL" | cut -d' ' -f1)}
fi
stty -F /dev/ttyS1 raw
run_checks >/dev/ttyS1 2>&1 </dev/null
systemctl --no-block poweroff
