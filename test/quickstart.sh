#!/bin/sh
# The quickstart, for real, in directories of its own: Debian's releases are built with the host's network (they
# need the package mirror), everything else in a network namespace with no way out.  Speaks TAP.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
lab=${BRIG_LAB:-$(mktemp -d /var/tmp/brig-quickstart.XXXXXX)}
QUICKSTART_BASE=$lab/base QUICKSTART_RUN=$lab/run QUICKSTART_CONF=$lab/etc
QUICKSTART_BUILD=${BRIG_BUILD:-$top/build-check}
export QUICKSTART_BASE QUICKSTART_RUN QUICKSTART_CONF QUICKSTART_BUILD
n=0

apart() {
	unshare --mount --net --pid --fork --mount-proc --kill-child --propagation private \
		sh -c 'ip link set lo up; "$@"; exit $?' sh "$@"
}

cleanup() {
	BRIG_BASE=$lab/base BRIG_RUN=$lab/run "$QUICKSTART_BUILD/src/cli/brig" -q stop -a --force >/dev/null 2>&1
	rm -rf --one-file-system "$lab"
}
[ -n "${BRIG_LAB:-}" ] || trap cleanup EXIT
trap 'exit 1' INT TERM

t() { # t "what" command...
	n=$((n + 1))
	what=$1
	shift
	if "$@" >"$lab/out" 2>&1; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		sed 's/^/# /' "$lab/out" | tail -n 30
	fi
}

brig() { "$QUICKSTART_BUILD/src/cli/brig" -b "$lab/base" --run "$lab/run" -f "$lab/etc/rc.conf" "$@"; }

no() {
	if "$@"; then exit 1; fi
}

# run [OPTION]: what it prints is kept for said()
run() {
	"$top/quickstart" "$@" >"$lab/said" 2>&1 || {
		cat "$lab/said"
		exit 1
	}
}

# said PATTERN...: each is a line of the last run
said() {
	for line in "$@"; do
		grep -qE -e "$line" "$lab/said" && continue
		echo "this is missing: $line"
		cat "$lab/said"
		exit 1
	done
}

# The story of the upgrade, with the file in conflict and the one that is merged.
told() {
	said '^www +[0-9.]+ +running +- +1 +- +- +1 +-$' "^  C $1  \\(www\\)$" "^  M $2  \\(www\\)$" \
		"^  U $2  \\(mail, ns\\)$" '^nothing was changed' \
		"^www: upgraded to $second, downtime [0-9.]+ ms; 1 conflict$" \
		"^switched 3 of 3 jails to $second in [0-9.]+ s: downtime [0-9.]+ ms in all, at most [0-9.]+ ms$" \
		"^mroot +$second .* current +3 +[nsmailw, ]*$" '^    www:  tree ' \
		"^$1 +both changed the same lines +www$" "^www: $1: as the release has it$" \
		"^www: rolled back to $first, downtime [0-9.]+ ms$" 'the same files as before the upgrade'
}

# What there must be afterwards, by other means than the quickstart's.
on_first() {
	[ "$(readlink "$lab/base/templates/mroot/current")" = "$first" ]
	[ "$(grep -l "\"release\": \"$first\"" "$lab"/base/js/.brig/*.json | wc -l)" = 3 ]
	grep -qF "$2" "$lab/base/js/www$1"
	no grep -F -e "$2" -e "$3" "$lab/base/js/ns$1"
	no brig exec www sh -c 'command -v tree'
	brig merge | grep -q 'nothing waits'
	brig template verify mroot
}

releases() {
	first=$(find "$lab/base/templates/mroot" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort -V | head -n 1)
	second=$(cat "$lab/etc/release")
	[ "$first" != "$second" ]
}

# What a second run must not change: services only write what they are asked for.
settled() {
	brig list jid name | sort
	find "$lab/base/templates" "$lab/base/js/.brig" -type f -printf '%p %T@\n' | sort
	find "$lab"/base/js/*/etc -printf '%p %T@ %s\n' | sort
}

# All of it in one namespace: the jails that the first run started are there for the second.
session() {
	set -e
	run
	releases
	told /etc/nginx/nginx.conf /etc/nginx/mime.types
	on_first /etc/nginx/nginx.conf 'worker_connections 64;' 'worker_connections 1024;'
	settled >"$lab/settled"
	run
	said 'was shown already'
	settled | diff "$lab/settled" -
	# shellcheck disable=SC2016
	brig exec ns sh -c \
		'dpkg -l nsd | grep -q ^ii && test "$(cut -d: -f2 /etc/shadow | head -n 1)" != "" && test -x /usr/sbin/nsd'
	looked_after
	remove
}

# What rc.conf enables is known by name, and is started again when it was killed.
looked_after() {
	brig status www | grep -q 'nginx: up for .*pid'
	brig status ns | grep -q 'nsd: up for .*pid'
	# shellcheck disable=SC2016 # the jail's shell
	brig exec www sh -c 'kill -9 $(cat /run/nginx.pid)'
	tries=100
	until brig status www | grep -q 'nginx: up for .*restarted 1 time'; do
		tries=$((tries - 1))
		[ $tries -gt 0 ]
		sleep 0.1
	done
	brig exec www sh -c '[ -e /run/nginx.pid ]'
}

remove() {
	"$top/quickstart" --remove
	[ ! -e "$lab/base" ]
	[ ! -e "$lab/run" ]
	[ ! -e "$lab/etc" ]
	[ "$(ip -o link | wc -l)" = 1 ]
}

session_busybox() {
	set -e
	run --busybox
	releases
	told /etc/profile /etc/services
	on_first /etc/profile "PS1='www" "PS1='["
	# one that was interrupted after the upgrade goes back first, and tells it again
	rm "$lab/etc/told"
	brig -q upgrade "mroot/$second"
	run --busybox
	told /etc/profile /etc/services
	on_first /etc/profile "PS1='www" "PS1='["
	remove
}

case ${1:-} in
session | session_busybox)
	"$1"
	exit
	;;
esac
t "two Debian releases are built" "$top/quickstart" --build
t "quickstart, with an upgrade and back; quickstart again, and --remove" apart env BRIG_LAB="$lab" sh "$0" session
t "busybox in place of Debian; one that was interrupted" apart env BRIG_LAB="$lab" sh "$0" session_busybox
echo "1..$n"
