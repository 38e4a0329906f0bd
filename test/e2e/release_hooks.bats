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
			echo "$1 $(cat /etc/which) $RELEASE_FROM $RELEASE_TO $(pidof beat >/dev/null && echo up || echo down)" >>/s/var/told
			beats() { wc -l </s/var/beat; }
			[ -z "$(pidof beat)" ] || { n=$(beats); while [ "$(beats)" = "$n" ]; do sleep 0.1; done; }
		EOS
		script "$LAB/o$n/usr/sbin/update-ca-certificates" <<-'EOS'
			note certificates
			cp /etc/ca-certificates.conf /etc/ssl/certs/ca-certificates.crt
		EOS
		: >"$LAB/o$n/usr/sbin/new$n"
		brig -q template build mroot busybox --overlay "$LAB/o$n" --rules "$LAB/rules" --release "r$n" --no-current
	done
}
teardown_file() { lab_teardown; }

setup() {
	jails
	brig -q upgrade mroot/r1
	brig -q create a
}
teardown() {
	brig -q stop -a --force || true
	[ ! -d "$BRIG_BASE/js/a" ] || brig -q destroy -y a
	brig -q upgrade mroot/r1
	for r in h1 h2; do [ ! -d "$BRIG_BASE/templates/mroot/$r" ] || brig -q template remove mroot/$r; done
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
waits() { grep -c '"regenerate\|"hook' "$BRIG_BASE/js/.brig/a.json" || true; }

@test "certificates are made anew beside the services: no downtime" {
	brig -q start a
	brig -q upgrade mroot/r2
	[ "$(told)" = "start
start
certificates r2 r1 r2 up" ]
	[ "$(made)" = "certificates of r2" ]
	[ "$(waits)" = 0 ]
	brig -q restart a
	[ "$(told | tail -n 1)" = start ]
}

@test "the same where the jail has to be stopped first, and all at once; and on the way back" {
	jails 'exec.prestart = "true";'
	brig -q start a
	brig -q upgrade mroot/r2
	[ "$(told | tail -n 1)" = "certificates r2 r1 r2 up" ]
	brig -q rollback mroot r1
	[ "$(told | tail -n 2)" = "start
certificates r1   up" ]
	[ "$(made)" = "certificates of r1" ]
	brig -q upgrade --all-at-once mroot/r2
	[ "$(told | tail -n 1)" = "certificates r2 r1 r2 up" ]
}

@test "they wait for the start of a jail that does not run, and of one that is not to be restarted" {
	brig -q upgrade mroot/r2
	[ "$(waits)" = 1 ]
	[ "$(made)" = "none yet" ]
	run brig start -n a
	[[ "$output" == *"hooks of the release, beside its services: update-ca-certificates"* ]]
	brig -q start a
	[ "$(told)" = "start
certificates r2 r1 r2 up" ]
	brig -q rollback mroot r1
	brig -q upgrade --no-restart mroot/r2
	[ "$(release_of a)" = r1 ]
	brig -q restart a
	[ "$(told | tail -n 2)" = "start
certificates r2 r1 r2 up" ]
	[ "$(waits)" = 0 ]
}

@test "a decision about the source, in a jail that runs" {
	echo mine >"$BRIG_BASE/js/a/etc/ca-certificates.conf"
	brig -q start a
	brig -q upgrade mroot/r2
	[ "$(made)" = "none yet" ]
	brig -q merge --theirs etc/ca-certificates.conf a
	[ "$(told | tail -n 1)" = "certificates r2   up" ]
	[ "$(made)" = "certificates of r2" ]
}

# hooks RELEASE RULE...: builds the release with these rules as well; r1 and r2 have the files above
hooks() {
	local release=$1
	shift
	printf '%s\n' "$@" | cat "$LAB/rules" - >"$LAB/rules.$release"
	brig -q template build mroot busybox --overlay "$LAB/o${release#h}" --rules "$LAB/rules.$release" \
		--release "$release" --no-current
}
# with_hooks RULE...: h2 has them, the jail is on r1
with_hooks() { hooks h2 "$@"; }

@test "a hook of a new jail runs once, at its first start, before its services" {
	hooks h1 'hook create - note create' 'hook before - note before'
	brig -q destroy -y a
	brig -q upgrade mroot/h1
	brig -q create a
	[ "$(waits)" = 1 ]
	[ ! -e "$BRIG_BASE/js/a/var/told" ]
	brig -q start a
	[ "$(told)" = "create r1   down
start" ]
	[ "$(waits)" = 0 ]
	brig -q restart a
	[ "$(told | tail -n +3)" = start ]
}

@test "one that fails: the jail does not start, and it runs again at the next one" {
	hooks h1 'hook create - note create; test -e /var/ready'
	brig -q destroy -y a
	brig -q upgrade mroot/h1
	brig -q create a
	run brig start a
	[ "$status" = 1 ]
	[[ "$output" == *"a: hook: note create; test -e /var/ready: failed with status 1"* ]]
	touch "$BRIG_BASE/js/a/var/ready"
	brig -q start a
	[ "$(told | cut -d ' ' -f 1 | tr '\n' ' ')" = "create create start " ]
}

@test "files in memory are those of a new jail at each start" {
	hooks h1 'hook create - echo new >>/var/new'
	brig -q destroy -y a
	brig -q upgrade mroot/h1
	jails 'space = "tmpfs:16m";'
	brig -q create a
	for _ in 1 2; do
		brig -q start a
		[ "$(brig exec a cat /var/new)" = new ]
		brig -q stop a
	done
}

@test "at an upgrade: only where something differs, before the services or beside them" {
	with_hooks 'hook before etc/which,etc/none note before-which' 'hook after usr/sbin/not* note after-same' \
		'hook after usr/sbin/new* note after-new' 'hook before - note before-always' 'hook create - note create'
	brig -q start a
	run brig upgrade -n -v mroot/h2
	[[ "$output" == *"hooks of the release: note before-which"*"exec.start"*"beside its services: note after-new"* ]]
	[[ "$output" != *after-same* ]]
	brig -q upgrade mroot/h2
	[ "$(told)" = "start
before-which r2 r1 h2 down
before-always r2 r1 h2 down
start
certificates r2 r1 h2 up
after-new r2 r1 h2 up" ]
	brig -q restart a
	[ "$(told | tail -n 1)" = start ]
	# going back has none, but what is made from files
	brig -q rollback mroot r1
	[ "$(told | tail -n 3)" = "start
start
certificates r1   up" ]
	[ "$(waits)" = 0 ]
}

@test "the same for a jail that is stopped first, all at once, later, and at its next start" {
	with_hooks 'hook before - note before' 'hook after etc/which note after'
	jails 'exec.prestart = "true";'
	brig -q start a
	brig -q upgrade mroot/h2
	[ "$(told | tail -n 4 | cut -d ' ' -f 1 | tr '\n' ' ')" = "before start certificates after " ]
	for how in --all-at-once --no-restart; do
		brig -q rollback mroot r1
		brig -q upgrade $how mroot/h2
		[ $how = --all-at-once ] || brig -q restart a
		[ "$(told | tail -n 4)" = "before r2 r1 h2 down
start
certificates r2 r1 h2 up
after r2 r1 h2 up" ]
	done
	brig -q rollback mroot r1
	brig -q stop a
	brig -q upgrade mroot/h2
	[ "$(waits)" = 3 ]
	run brig start -n a
	[[ "$output" == *"hooks of the release: note before"*"beside its services: note after"* ]]
	brig -q start a
	[ "$(told | tail -n 4 | cut -d ' ' -f 1 | tr '\n' ' ')" = "before start certificates after " ]
	[ "$(waits)" = 0 ]
}

@test "a jail that was upgraded and taken back without having run has nothing to do" {
	with_hooks 'hook before - note before' 'hook after - note after'
	brig -q upgrade mroot/h2
	grep -q '"hook_after"' "$BRIG_BASE/js/.brig/a.json"
	brig -q rollback mroot r1
	run grep '"hook' "$BRIG_BASE/js/.brig/a.json"
	[ "$status" = 1 ]
	brig -q start a
	[ "$(told | head -n 1)" = start ]
}

@test "going back to a release that has hooks runs none" {
	hooks h1 'hook before - note before' 'hook after - note after'
	brig -q start a
	brig -q upgrade mroot/h1
	brig -q upgrade mroot/r2
	brig -q rollback mroot h1
	[ "$(release_of a)" = h1 ]
	[ "$(told | grep -c '^before\|^after')" = 2 ]
}

@test "where there is no list of a release's files to compare with, it is run" {
	with_hooks 'hook before etc/none note before'
	mv "$BRIG_BASE/templates/mroot/r1/manifest" "$LAB/manifest"
	brig -q start a
	brig -q upgrade mroot/h2
	mv "$LAB/manifest" "$BRIG_BASE/templates/mroot/r1/manifest"
	[ "$(told | tail -n 3 | head -n 1)" = "before r2 r1 h2 down" ]
}

@test "a jailspace in an image: its files are looked at late, the hooks are the same" {
	brig -q destroy -y a
	jails "space = \"image:$LAB/a.img\"; space.size = 32m;"
	with_hooks 'hook before etc/which note before' 'hook after - note after; test ! -e /var/fail'
	brig -q create a
	brig -q start a
	brig -q upgrade mroot/h2
	[ "$(brig exec a tail -n 4 /s/var/told)" = "before r2 r1 h2 down
start
certificates r2 r1 h2 up
after r2 r1 h2 up" ]
	brig -q rollback mroot r1
	brig -q exec a touch /var/fail
	run brig upgrade mroot/h2
	[ "$status" = 1 ]
	[ "$(brig exec a cat /etc/which)" = r1 ]
	brig -q stop a
}

@test "a jail that was upgraded twice: what its last release has differs from the one that it last ran on" {
	with_hooks 'hook before etc/which note before'
	brig -q start a
	brig -q stop a
	brig -q upgrade mroot/r2
	brig -q upgrade mroot/h2
	echo mine >"$BRIG_BASE/js/a/etc/which"
	brig -q start a
	[ "$(told | tail -n 3)" = "before mine r1 h2 down
start
certificates mine r1 h2 up" ]
}

@test "one that fails sends the jail back, with its files as they were" {
	for when in before after; do
		how=$([ $when = before ] || echo --all-at-once)
		with_hooks "hook $when - echo spoilt >/etc/which; exit 3"
		brig -q start a
		echo mine >"$BRIG_BASE/js/a/etc/own"
		run brig upgrade $how mroot/h2
		echo "$output"
		[ "$status" = 1 ]
		[[ "$output" == *"a: hook: echo spoilt >/etc/which; exit 3: failed with status 3: back on release r1, as it was"* ]]
		[ "$(release_of a)" = r1 ]
		[ "$(brig exec a cat /etc/which)" = r1 ]
		[ "$(cat "$BRIG_BASE/js/a/etc/ca-certificates.conf")" = "certificates of r1" ]
		[ "$(cat "$BRIG_BASE/js/a/etc/own")" = mine ]
		[ "$(waits)" = 0 ]
		[ -z "$(ls "$BRIG_BASE/js/.brig/switch")" ]
		brig -q stop a
		brig -q template remove mroot/h2
	done
}

@test "killed while one runs: the next command goes on, and it runs again" {
	for when in before after; do
		with_hooks "hook $when - note $when; test -e /var/go || sleep 600"
		brig -q start a
		"$BRIG" -q upgrade mroot/h2 &
		pid=$!
		eventually 20 grep -q "^$when" "$BRIG_BASE/js/a/var/told"
		kill -9 $pid
		wait $pid || true
		touch "$BRIG_BASE/js/a/var/go"
		brig list
		[ "$(release_of a)" = h2 ]
		[ "$(told | grep -c "^$when r2 r1 h2")" = 2 ]
		[ "$(told | grep -v '^$' | tail -n 1 | cut -d ' ' -f 1)" = "$([ $when = after ] && echo after || echo certificates)" ]
		[ "$(waits)" = 0 ]
		brig exec a pidof beat
		brig -q rollback mroot r1
		brig -q stop a
		rm "$BRIG_BASE/js/a/var/told" "$BRIG_BASE/js/a/var/go"
		brig -q template remove mroot/h2
	done
}
