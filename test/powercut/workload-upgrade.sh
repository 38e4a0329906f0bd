# An upgrade of three jails to a release that is built, what waits after it, and the way back.
# shellcheck shell=sh disable=SC2015,SC2034
# (what a workload defines: see workload-template.sh)

FRESH='machine-id|ssh/ssh_host_.*'
STEPS=4

# overlay NAME: etc of a release
overlay() {
	mkdir -p "$TMP/$1/etc/app.d" || return
	printf '%s\n' "# settings of app" "listen=80" "" "threads=$2" "" "log=/s/var/log/app" >"$TMP/$1/etc/app.conf"
	printf '%s\n' "$1" >"$TMP/$1/etc/app.d/release" # changed by no jail
	printf '%s\n' "a=1" "b=$2" >"$TMP/$1/etc/app.d/limits"
}

setup() {
	overlay one 4 && echo "goes with the release" >"$TMP/one/etc/app.d/gone" &&
		overlay two 8 && echo "comes with the release" >"$TMP/two/etc/app.d/new" &&
		chmod 600 "$TMP/two/etc/app.d/limits" || return
	brig template build mroot busybox --overlay "$TMP/one" --release r1 &&
		brig template build mroot busybox --overlay "$TMP/two" --release r2 --no-current &&
		brig create a b c -o persist -o "service=sleep 1000" || return
	# a: as it was made.  b: changes that fit.  c: changes that do not, and a file of its own.
	sed -i 's/^listen=80/listen=8080/' "$BRIG_BASE/js/b/etc/app.conf" &&
		echo 'joe:x:1000:1000::/home/joe:/bin/sh' >>"$BRIG_BASE/js/b/etc/passwd" &&
		sed -i 's/^threads=4/threads=64/' "$BRIG_BASE/js/c/etc/app.conf" &&
		echo 'kept' >"$BRIG_BASE/js/c/etc/app.d/own" &&
		for j in a b c; do echo "data of $j" >"$BRIG_BASE/js/$j/home/data" || return; done
}

step1() { brig upgrade mroot/r2; }
step2() { brig merge --theirs /etc/app.conf -a; }
step3() { brig rollback mroot r1; }
step4() { brig create d; } # after the way back everything is as at first: something must be different

undo1() { brig rollback mroot r1; }
again2() { nothing_waits || step2; }
again4() { [ -f "$(dirname "$BRIG_CONF")/jail.conf.d/d.conf" ] && [ -d "$BRIG_BASE/js/d/etc" ] || step4; }

# What a jail's record has in its list of conflicts.
waiting() { sed -n '/"conflicts"/,/\]/p' "$BRIG_BASE/js/.brig/$1.json" | sha256sum | cut -c1-16; }

nothing_waits() { ! grep -q '"conflicts"' "$BRIG_BASE"/js/.brig/*.json; }
