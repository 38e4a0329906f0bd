#!/bin/sh
# The quickstart, for real, in directories of its own: Debian's template is built with the host's network (it
# needs the package mirror), everything else in a network namespace with no way out.  Speaks TAP.
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

# All of it in one namespace: the jails that the first run started are there for the second.
session() {
	set -e
	"$top/quickstart"
	before=$(find "$lab/base" -newermt '1970-01-01' | wc -l)
	jids=$("$QUICKSTART_BUILD/src/cli/brig" -b "$lab/base" --run "$lab/run" list jid | sort | tr '\n' ' ')
	"$top/quickstart"
	[ "$jids" = "$("$QUICKSTART_BUILD/src/cli/brig" -b "$lab/base" --run "$lab/run" list jid | sort | tr '\n' ' ')" ]
	[ "$before" -le "$(find "$lab/base" | wc -l)" ]
	"$QUICKSTART_BUILD/src/cli/brig" -b "$lab/base" --run "$lab/run" -f "$lab/etc/rc.conf" template verify mroot
	# shellcheck disable=SC2016
	"$QUICKSTART_BUILD/src/cli/brig" -b "$lab/base" --run "$lab/run" exec ns sh -c \
		'dpkg -l nsd | grep -q ^ii && test "$(cut -d: -f2 /etc/shadow | head -n 1)" != "" && test -x /usr/sbin/nsd'
	"$top/quickstart" --remove
	[ ! -e "$lab/base" ] && [ ! -e "$lab/run" ] && [ ! -e "$lab/etc" ]
	[ "$(ip -o link | wc -l)" = 1 ]
}

if [ "${1:-}" = session ]; then
	session
	exit
fi
mkdir -p "$lab/etc"
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
t "a Debian template is built" "$QUICKSTART_BUILD/src/cli/brig" -b "$lab/base" --run "$lab/run" \
	template build mroot "debian:$suite,nsd,opensmtpd,nginx-light"
t "quickstart, quickstart again, and --remove" apart env BRIG_LAB="$lab" sh "$0" session
t "busybox in place of Debian" apart "$top/quickstart" --busybox
t "and --remove" apart "$top/quickstart" --remove
echo "1..$n"
