#!/usr/bin/env bats
# What `brig audit` says is what the kernel says: a default jail has only the weak items that it should have, and
# whatever loosens a jail, in its configuration or past it, is found.

load lib

plain() {
	conf <<-EOF
		persist; plain { ip4.addr = 198.51.100.1; service = "sleep 1000"; }
	EOF
}

setup_file() {
	lab_setup
	plain
	brig -q create plain
	cp -a "$BRIG_BASE/j/mroot/." "$LAB/own"
	for l in etc home root tmp var srv opt; do rm "$LAB/own/$l"; done
	cp -a "$BRIG_BASE/j/skel/." "$LAB/own/"
}
teardown_file() { lab_teardown; }
setup() { plain; }
teardown() {
	end_guest
	brig -q stop -a --force || true
}

# nsenter(1) waits for a child, which is the process in the jail
end_guest() {
	[ -n "${guest:-}" ] || return 0
	# shellcheck disable=SC2046 # pids
	kill $(cat "/proc/$guest/task/$guest/children") 2>/dev/null || true
	wait "$guest" || true
	guest=
}

# weak NAME: the items that are not ok
weak() { brig audit "$1" | awk -F'  +' '($2 == "weak" || $2 == "unknown") && $1 != "security module" { print $1 }' | sort; }

# only NAME ITEM...: the jail has these weak items and those of a jail without limits, and no others
only() {
	local jail=$1
	shift
	diff <(printf '%s\n' CAP_NET_BIND_SERVICE 'memory limit' 'process limit' 'CPU limit' 'I/O limit' "$@" | sort) \
		<(weak "$jail")
}

# loose TEXT: starts jail l with these parameters
loose() {
	conf <<-EOF
		persist; l { $1 }
	EOF
	[ -d "$BRIG_BASE/js/l" ] || brig -q create l
	brig -q start l
}

@test "a jail as it is by default" {
	brig -q start plain
	only plain
	run brig audit plain
	[ "$status" = 0 ]
	[[ "${lines[-1]}" == "plain: exposure 0."*" of 10 (SAFE), "*" items weak" ]]
	[[ "$output" == *"system call filter"*" ok "*"in force in every thread"* ]]
	[[ "$output" == *"memory limit"*" weak "*"limit.memory"* ]]
}

@test "whatever a parameter opens is found, and nothing else" {
	local -A opens=(
		["ip4 = inherit; ip6 = inherit;"]="network namespace"
		["sysvmsg = inherit; sysvsem = inherit; sysvshm = inherit;"]="IPC namespace"
		["host = inherit;"]="UTS namespace"
		["allow.raw_sockets;"]="CAP_NET_RAW"
		["allow.routing;"]="CAP_NET_ADMIN"
		["allow.unprivileged_proc_debug;"]="CAP_SYS_PTRACE"
		["allow.proc_unmasked;"]="/proc that tells"
		["mount = \"$LAB/etc $BRIG_BASE/j/l/mnt nullfs rw 0 0\";"]="writable mounts of the host"
		["mount = \"$LAB/etc $BRIG_BASE/j/l/mnt nullfs ro 0 0\";"]=""
		["allow.socket_af; allow.set_hostname;"]="" # the filter is in force, what it lets through is not seen
		["mount.noprocfs; mount.nodevfs;"]=""
	)
	for text in "${!opens[@]}"; do
		echo "$text"
		loose "$text"
		if [ -n "${opens[$text]}" ]; then only l "${opens[$text]}"; else only l; fi
		brig -q stop l
	done
	loose "allow.suid;"
	only l no_new_privs "set-user-id mounts"
	brig -q stop l
	conf <<-EOF
		persist; p { path = "$LAB/own"; host.hostname = p.example.org; }
	EOF
	brig -q start p
	only p root
}

@test "what closes more is found as well" {
	loose "allow.noreserved_ports; limit.memory = 32m; limit.pids = 20;"
	[ "$(weak l)" = "$(printf '%s\n' 'CPU limit' 'I/O limit' | sort)" ]
	brig audit l | grep -q '^process limit  *ok .* 20$'
	brig audit l | grep -q '^kernel file systems  *ok '
}

@test "the view of another control group than the jail's own is found" {
	loose "limit.memory = 32m; limit.pids = 20;"
	view=$(awk '$5 ~ "^/sys/fs/cgroup" { print $5; exit }' "/proc/$(jail_pid l)/mountinfo")
	[ -n "$view" ]
	above=/sys/fs/cgroup
	[ ! -d $above/memory ] || above=$above/memory
	python3 - "$(jail_pid l)" "$above/brig.$(printf %s "$(realpath "$BRIG_RUN")" | sha256sum | cut -c1-6)" <<-'END'
		import ctypes, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		tree = libc.syscall(428, -100, sys.argv[2].encode(), 1 | 0o2000000)
		assert tree >= 0, os.strerror(ctypes.get_errno())
		assert libc.setns(os.open("/proc/%s/ns/mnt" % sys.argv[1], os.O_RDONLY), 0x20000) == 0
		assert libc.syscall(429, tree, b"", -100, b"/mnt", 4) == 0, os.strerror(ctypes.get_errno())
		# read-only, as the jail's own view is: remount, bind, ro, nosuid, nodev
		assert libc.mount(None, b"/mnt", None, 32 | 4096 | 1 | 2 | 4, None) == 0, os.strerror(ctypes.get_errno())
	END
	weak l | grep -qx "kernel file systems"
}

@test "a process that joined past brig makes the jail as weak as itself" {
	brig -q start plain
	nsenter -t "$(jail_pid plain)" -a sleep 1000 &
	guest=$!
	joined() { weak plain | grep -qx no_new_privs; }
	eventually 5 joined
	for item in CAP_SYS_ADMIN CAP_SYS_PTRACE "other capabilities" "capabilities on files" "system call filter"; do
		weak plain | grep -qx "$item" || { echo "not weak: $item"; false; }
	done
	end_guest
	as_before() { only plain >/dev/null; }
	eventually 5 as_before
}

@test "a process with the host's files and a name that looks like an answer" {
	brig -q start plain
	# as a line of /proc/PID/status it would say that a filter is in force
	name=$'a\nSeccomp:\t2\nx'
	cp /bin/sleep "$LAB/$name"
	nsenter -t "$(jail_pid plain)" -p "$LAB/$name" 1000 &
	guest=$!
	joined() { weak plain | grep -qx processes; }
	eventually 5 joined
	weak plain | grep -qx "system call filter"
	weak plain | grep -qx "directories held"
	# a limit that some process is not under is none
	run brig audit plain
	[ "$status" = 0 ]
	[[ "$output" != *$'\nSeccomp:'* ]]
}

@test "--fail-above, --json, -q, wrong use" {
	brig -q start plain
	brig audit -q --fail-above 5 plain
	run brig audit -q --fail-above 0.1 plain
	[ "$status" = 1 ]
	[ -z "$output" ]
	run brig audit --fail-above 0.1
	[ "$status" = 1 ]
	brig audit -a --json | python3 -c '
import json, sys
jail, = json.load(sys.stdin)["jails"]
assert jail["name"] == "plain" and jail["level"] == "SAFE" and 0 < jail["exposure_tenths"] < 10
assert {i["state"] for i in jail["items"]} == {"ok", "weak"}
'
	for wrong in "--fail-above" "--fail-above x" "--fail-above 10.1" "--fail-above 1.23" "--fail-above=" "-a plain"; do
		# shellcheck disable=SC2086 # words
		run brig audit $wrong
		[ "$status" = 2 ]
	done
	brig -q stop plain
	run brig audit plain
	[ "$status" = 1 ]
	one_line "$output"
	[ "$(brig audit -a --json | tr -d ' \n')" = '{"jails":[]}' ]
}

@test "the host: what the kernel says, and jailspaces that others can reach" {
	brig -q start plain
	run brig audit -v
	[ "$status" = 0 ]
	[[ "$output" == *"host: "*" items weak"* ]]
	[[ "$output" == *"plain "*" SAFE "* ]]
	state() { brig audit -v | awk -F'  +' -v item="$1" '$1 == item { print $2 }'; }
	[ "$(state jailspaces)" = ok ]
	chmod 755 "$BRIG_BASE/js"
	[ "$(state jailspaces)" = weak ]
	chmod 700 "$BRIG_BASE/js"
	if [ -e /proc/sys/dev/tty/legacy_tiocsti ]; then
		want=ok
		[ "$(cat /proc/sys/dev/tty/legacy_tiocsti)" = 0 ] || want=weak
		[ "$(state dev.tty.legacy_tiocsti)" = "$want" ]
	fi
	# a core_pattern of ours, as a file over the real one: the host's is not touched
	echo '|/bin/handler %p' >"$LAB/pattern"
	mount --bind "$LAB/pattern" /proc/sys/kernel/core_pattern
	[ "$(state kernel.core_pattern)" = weak ]
	only plain
	echo core >"$LAB/pattern"
	[ "$(state kernel.core_pattern)" = ok ]
	umount /proc/sys/kernel/core_pattern
}
