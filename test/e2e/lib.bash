# Common to the end-to-end tests: a laboratory of its own (base, run directory, configuration) for each file,
# with a busybox template.  check(1) runs every file in a mount and a network namespace of its own.
# shellcheck shell=bash

lab_setup() {
	LAB=$(mktemp -d /var/tmp/brig-test.XXXXXX)
	export LAB BRIG_BASE=$LAB/base BRIG_RUN=$LAB/run BRIG_CONF=$LAB/etc/jail.conf
	mkdir -p "$LAB/etc"
	: >"$BRIG_CONF"
	if [ "${1:-template}" = template ]; then
		brig -q template build mroot busybox
	fi
}

lab_teardown() {
	[ -n "${LAB:-}" ] || return 0
	brig -q stop -a --force >/dev/null 2>&1 || true
	# what a failed test left mounted in this namespace
	awk -v lab="$LAB/" 'index($5, lab) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r m; do umount -l "$m"; done
	rm -rf --one-file-system "$LAB"
}

brig() { "$BRIG" "$@"; }
jls() { bash -c 'exec -a jls "$0" "$@"' "$BRIG" "$@"; }
jexec() { bash -c 'exec -a jexec "$0" "$@"' "$BRIG" "$@"; }
jail() { bash -c 'exec -a jail "$0" "$@"' "$BRIG" "$@"; }

# conf: standard input becomes the configuration
conf() { cat >"$BRIG_CONF"; }

# The pid of a jail's first process.
jail_pid() {
	sed -n 's/^ *"pid": \([0-9]*\),*$/\1/p' "$BRIG_RUN/jail/$1/state.json"
}

# The release that a jail's record names.
release_of() {
	sed -n 's/^ *"release": "\([^"]*\)".*/\1/p' "$BRIG_BASE/js/.brig/$1.json"
}

# Every jail of the laboratory is stopped and destroyed.
destroy_all() {
	local j
	brig -q stop -a --force || true
	for j in "$BRIG_BASE"/js/*; do [ ! -d "$j" ] || brig -q destroy -y "$(basename "$j")"; done
}

# What the host has that a jail could leave behind, one a line.
host_things() {
	cut -d' ' -f3- /proc/self/mountinfo | sort
	ip -o link show | sed 's/^[0-9]*: \([^:@]*\).*/link \1/' | sort
	ip route show table all | grep -v ' dev lo ' | sed 's/^/route /' | sort
	ip -6 route show table all | grep -v ' dev lo ' | sed 's/^/route6 /' | sort
	nft list ruleset 2>/dev/null | sed 's/^/nft /'
	local tag # of this installation: control groups are the whole host's
	tag=$(printf %s "$(realpath "$BRIG_RUN")" | sha256sum | cut -c1-6)
	for d in /sys/fs/cgroup /sys/fs/cgroup/*; do
		[ ! -d "$d" ] || find "$d" -maxdepth 3 -type d -path "*brig.$tag*" 2>/dev/null
	done | sort -u | sed 's/^/cgroup /'
	ps -eo args= | grep -E '^([^ ]*/)?brig(-init)?( |$)' | sort | sed 's/^/process /'
	sysctl -a 2>/dev/null | grep -E '^net\.ipv[46]\.(conf|ip_forward)' | grep -E 'forward|rp_filter|route_localnet' | sort
}

# assert_host_as FILE: nothing but what the file (an earlier host_things) says
assert_host_as() {
	host_things >"$LAB/now"
	diff -u "$1" "$LAB/now"
}

# Leftovers on disk and in the run directory.
assert_tidy() {
	local left
	left=$(find "$BRIG_BASE" \( -name '.new*' -o -name '.old*' -o -name '.tmp*' \) 2>/dev/null | head)
	[ -z "$left" ] || { echo "left: $left"; return 1; }
	left=$(find "$BRIG_RUN/jail" "$BRIG_RUN/jid" "$BRIG_RUN/hosts" -mindepth 1 ! -name hosts ! -name resolv.conf ! -name last 2>/dev/null | head)
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}

# eventually SECONDS command...
eventually() {
	local n=$(($1 * 20))
	shift
	until "$@"; do
		n=$((n - 1))
		[ $n -gt 0 ] || return 1
		sleep 0.05
	done
}

# refuse command...: it says no, with exit status 1.  Any other is a mistake of the test: no such file, wrong use.
# (`! command` in the middle of a test asserts nothing: tools/check-bats.)
refuse() {
	local r=0
	"$@" || r=$?
	[ $r = 1 ] || { echo "status $r: $*"; return 1; }
}

one_line() { # the error text is exactly one line
	[ "$(printf '%s\n' "$1" | wc -l)" = 1 ] || { printf 'not one line:\n%s\n' "$1"; return 1; }
}
