#!/usr/bin/env bats
# Commands that the rules of a release have run in the jail: at which moment, how often, and what a failure does.

load lib

setup_file() {
	lab_setup none
	cp "$BRIG_TOP/data/split.rules" "$LAB/rules"
	for n in 1 2; do
		mkdir -p "$LAB/o$n"/{etc/ssl/certs,usr/sbin}
		echo "r$n" >"$LAB/o$n/etc/which"
		echo "certificates of r$n" >"$LAB/o$n/etc/ca-certificates.conf"
		echo "none yet" >"$LAB/o$n/etc/ssl/certs/ca-certificates.crt"
		# the service, which does something all the time
		script "$LAB/o$n/usr/sbin/beat" <<-'EOS'
			while echo >>/s/var/beat; do sleep 0.1; done
		EOS
		# note WORD: ends only when the service has done something meanwhile, if it runs
		script "$LAB/o$n/usr/sbin/note" <<-'EOS'
			echo "$1 $(cat /etc/which) $RELEASE_FROM $RELEASE_TO $(pidof beat | wc -w)" >>/s/var/told
			beats() { wc -l </s/var/beat; }
			[ -z "$(pidof beat)" ] || { n=$(beats); while [ "$(beats)" = "$n" ]; do sleep 0.1; done; }
		EOS
		script "$LAB/o$n/usr/sbin/update-ca-certificates" <<-'EOS'
			note certificates
			cp /etc/ca-certificates.conf /etc/ssl/certs/ca-certificates.crt
		EOS
		brig -q template build mroot busybox --overlay "$LAB/o$n" --rules "$LAB/rules" --release "r$n" --no-current
	done
}
teardown_file() { lab_teardown; }

setup() {
	brig -q upgrade mroot/r1
	jails
	brig -q create a
}
teardown() {
	brig -q stop -a --force || true
	[ ! -d "$BRIG_BASE/js/a" ] || brig -q destroy -y a
}

# script FILE: an executable of a template, from standard input
script() { { echo '#!/bin/sh'; cat; } >"$1" && chmod 755 "$1"; }
# jails [parameters]: the configuration
jails() {
	conf <<-EOF
		exec.timeout = 30; stop.timeout = 2; service = "/usr/sbin/beat"; health = "pidof beat";
		exec.start = "echo start >>/s/var/told"; persist;
		a { ip4.addr = 198.51.100.1; $* }
	EOF
}
told() { cat "$BRIG_BASE/js/a/var/told"; }
made() { cat "$BRIG_BASE/js/a/etc/ssl/certs/ca-certificates.crt"; }
release_of() { sed -n 's/^ *"release": "\([^"]*\)".*/\1/p' "$BRIG_BASE/js/.brig/a.json"; }
waits() { grep -c '"regenerate\|"hook' "$BRIG_BASE/js/.brig/a.json" || true; }

@test "certificates are made anew beside the services: no downtime" {
	brig -q start a
	brig -q upgrade mroot/r2
	[ "$(told)" = "start
start
certificates r2 r1 r2 1" ]
	[ "$(made)" = "certificates of r2" ]
	[ "$(waits)" = 0 ]
	brig -q restart a
	[ "$(told | tail -n 1)" = start ]
}

@test "the same where the jail has to be stopped first, and all at once; and on the way back" {
	jails 'exec.prestart = "true";'
	brig -q start a
	brig -q upgrade mroot/r2
	[ "$(told | tail -n 1)" = "certificates r2 r1 r2 1" ]
	brig -q rollback mroot r1
	[ "$(told | tail -n 2)" = "start
certificates r1   1" ]
	[ "$(made)" = "certificates of r1" ]
	brig -q upgrade --all-at-once mroot/r2
	[ "$(told | tail -n 1)" = "certificates r2 r1 r2 1" ]
}

@test "they wait for the start of a jail that does not run, and of one that is not to be restarted" {
	brig -q upgrade mroot/r2
	[ "$(waits)" = 1 ]
	[ "$(made)" = "none yet" ]
	run brig start -n a
	[[ "$output" == *"hooks of the release, beside its services: update-ca-certificates"* ]]
	brig -q start a
	[ "$(told)" = "start
certificates r2 r1 r2 1" ]
	brig -q rollback mroot r1
	brig -q upgrade --no-restart mroot/r2
	[ "$(release_of)" = r1 ]
	brig -q restart a
	[ "$(told | tail -n 2)" = "start
certificates r2 r1 r2 1" ]
	[ "$(waits)" = 0 ]
}

@test "a decision about the source, in a jail that runs" {
	echo mine >"$BRIG_BASE/js/a/etc/ca-certificates.conf"
	brig -q start a
	brig -q upgrade mroot/r2
	[ "$(made)" = "none yet" ]
	brig -q merge --theirs etc/ca-certificates.conf a
	[ "$(told | tail -n 1)" = "certificates r2   1" ]
	[ "$(made)" = "certificates of r2" ]
}
