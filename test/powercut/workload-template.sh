# Building a release, creating and destroying jails.
# shellcheck shell=sh disable=SC2015,SC2034
#
# A workload defines: setup (on the host, before anything is recorded), STEPS and step1, step2, ... (one brig command
# each, in the virtual machine), FRESH (files that are different each time they are made; extended regular
# expression, relative to the directory that is compared); where the same command again is not step N, againN; where
# step N can be taken back, undoN; where merges can wait, waiting JAIL; begin and finish: in the virtual machine, before
# the first and after the last step.

FRESH='machine-id|ssh/ssh_host_.*'
STEPS=4

setup() {
	brig template build mroot busybox --release r1 &&
		brig create a b -t mroot &&
		echo "changed in the jail" >"$BRIG_BASE/js/a/etc/motd" &&
		echo data >"$BRIG_BASE/js/a/home/data"
}

step1() { brig template build mroot busybox --release r2; }
step2() { brig create x; }
step3() { brig destroy -y b; }
step4() { brig template build other busybox --release o1; }

# A release that is there is not built again under its name; the build may have ended before it was made current.
again1() { built mroot r2 skel; }
again4() { built other o1 skel.other; }
built() {
	if [ -d "$BRIG_BASE/templates/$1/$2" ]; then
		[ "$(readlink "$BRIG_BASE/templates/$1/current")" != "$2" ] || [ ! -L "$BRIG_BASE/j/$1" ] ||
			[ ! -L "$BRIG_BASE/j/$3" ] || return 0
		brig template remove "$1/$2" || return
	fi
	brig template build "$1" busybox --release "$2"
}

again2() { [ -f "$(dirname "$BRIG_CONF")/jail.conf.d/x.conf" ] && [ -d "$BRIG_BASE/js/x/etc" ] || brig create x; }
again3() {
	brig destroy -y b 2>"$TMP/said" || grep -qE 'nothing to remove|no such jail' "$TMP/said"
}
