#!/usr/bin/env bats
# What an upgrade promises: it says before what it will do, installs nothing of a damaged release, and a service that is
# not there afterwards counts as a failed upgrade.

load lib

setup_file() {
	lab_setup none
	mkdir -p "$LAB"/o1/etc "$LAB"/o2/etc
	for n in 1 2; do
		echo "plain $n" >"$LAB/o$n/etc/plain"
		echo same >"$LAB/o$n/etc/same"
		brig -q template build mroot busybox --overlay "$LAB/o$n" --release "r$n" --no-current
	done
	cp -a "$BRIG_BASE/templates/mroot" "$LAB/whole"
}
teardown_file() { lab_teardown; }

setup() {
	conf <<-EOF
		exec.start = "true"; persist; stop.timeout = 2;
		a { service = "sleep 1000"; }
		b { service = "sleep 1000"; }
	EOF
	brig -q upgrade mroot/r1
	brig -q create a b
	brig -q start a b
}
teardown() {
	destroy_all
	rm -rf "$BRIG_BASE/templates/mroot"
	cp -a "$LAB/whole" "$BRIG_BASE/templates/mroot"
}

SKEL() { echo "$BRIG_BASE/templates/mroot/$1/skel"; }
all_on() {
	local j
	for j in a b; do [ "$(release_of $j)" = "$1" ] || return 1; done
}

# ---- a damaged release ----

# damage KIND RELEASE
damage() {
	local skel
	skel=$(SKEL "$2")
	case $1 in
	flip) sed -i 's/plain/plaim/' "$skel/etc/plain" ;;
	same) sed -i 's/same/sane/' "$skel/etc/same" ;;
	missing) rm "$skel/etc/passwd" ;;
	empty) find "$skel" -mindepth 1 -delete ;;
	more) echo 0wn >"$skel/etc/more" ;;
	owner) chown 7 "$skel/etc/plain" ;;
	mode) chmod 4755 "$skel/etc/plain" ;;
	manifest) sed -i 's/etc\/plain /etc\/plaim /' "$skel/../manifest" ;;
	gone) rm "$skel/../manifest" ;;
	esac
}

@test "nothing of a damaged release is installed in any jail" {
	local kind
	for kind in flip same missing empty more owner mode manifest gone; do
		damage $kind r2
		for how in "-n" "" "--all-at-once" "--keep-going" "--no-restart"; do
			# shellcheck disable=SC2086
			run brig upgrade $how mroot/r2
			echo "$kind $how: $status: $output"
			[ "$status" = 1 ]
			[[ "$output" == *mroot/r2* ]]
			all_on r1
			[ "$(cat "$BRIG_BASE/js/a/etc/plain")" = "plain 1" ]
			[ -s "$BRIG_BASE/js/a/etc/passwd" ]
			brig exec a true
		done
		run brig create -t mroot/r2 new
		echo "$output"
		[ "$status" = 1 ]
		[ ! -e "$BRIG_BASE/js/new" ]
		[ ! -e "$BRIG_BASE/js/.brig/new.json" ]
		rm -rf "$BRIG_BASE/templates/mroot/r2"
		cp -a "$LAB/whole/r2" "$BRIG_BASE/templates/mroot/r2"
	done
	brig -q upgrade mroot/r2
	all_on r2
}

@test "the message names the first difference, once, and how to see all" {
	damage missing r2
	damage flip r2
	run brig upgrade mroot/r2
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == "brig: release mroot/r2 is not as it was built: skel/etc/plain: content differs"*", and 1 more difference (brig template verify mroot/r2)" ]]
}

@test "an upgrade that waits for a start does not install it either, and waits on" {
	brig -q upgrade --no-restart mroot/r2
	damage flip r2
	run brig restart a
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"mroot/r2 is not as it was built"* ]]
	[ "$(release_of a)" = r1 ]
	brig exec a true
	cp -a "$LAB/whole/r2/skel/etc/plain" "$(SKEL r2)/etc/plain"
	brig -q restart a
	[ "$(release_of a)" = r2 ]
}

@test "a damaged release can be left" {
	damage same r1
	run brig upgrade mroot/r2
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == *"warning: release mroot/r1 is not as it was built: skel/etc/same"* ]]
	[ "$(grep -c 'not as it was built' <<<"$output")" = 1 ]
	all_on r2
	[ "$(cat "$BRIG_BASE/js/a/etc/plain")" = "plain 2" ]
}

@test "merge --theirs does not take a damaged file" {
	echo mine >"$BRIG_BASE/js/a/etc/plain"
	brig -q upgrade mroot/r2
	damage flip r2
	run brig merge --theirs /etc/plain a
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"mroot/r2 is not as it was built: skel/etc/plain"* ]]
	[ "$(cat "$BRIG_BASE/js/a/etc/plain")" = mine ]
}

# ---- the plan ----

@test "what is replaced or removed outside etc is said, with -n and without" {
	mkdir -p "$LAB"/p1/root "$LAB"/p2/root "$LAB"/p1/usr/local/etc
	echo 1 >"$LAB/p1/root/.profile"
	echo 2 >"$LAB/p2/root/.profile"
	echo gone >"$LAB/p1/usr/local/etc/gone"
	for n in 1 2; do
		brig -q template build mroot busybox --overlay "$LAB/o$n" --overlay "$LAB/p$n" --release "p$n" --no-current
	done
	brig -q upgrade mroot/p1
	want="outside /etc these are replaced or removed:
  U /root/.profile  (all)
  D /usr-local/etc  (all)
  D /usr-local/etc/gone  (all)"
	run brig upgrade -n mroot/p2
	echo "$output"
	[[ "$output" == *"  U /etc/plain  (all)
$want"* ]]
	run brig upgrade mroot/p2
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == *"$want"* ]]
	[[ "$output" != *"/etc/plain"* ]]
	[ ! -e "$BRIG_BASE/js/a/usr-local/etc/gone" ]
	run brig rollback -n mroot
	echo "$output"
	[[ "$output" == *"outside /etc this is replaced or removed:
  U /root/.profile  (all)"* ]]
	[[ "$output" == *"A /usr-local/etc/gone"* ]]
}

# ---- what listened listens again ----

# A server on a port that the release's /etc/port names; "" for none.
servers() {
	local n
	for n in 1 2; do
		mkdir -p "$LAB/s$n/etc"
		echo "$n" >"$LAB/s$n/etc/release"
		cat >"$LAB/s$n/etc/serve" <<-'END'
			#!/bin/sh
			. /etc/how
			[ -n "$port" ] || exec sleep 1000
			exec httpd -f -h /etc -p "$port"
		END
		chmod 755 "$LAB/s$n/etc/serve"
		printf '%s\n' "$1" >"$LAB/s$n/etc/how"
		shift
	done
	for n in 1 2; do
		brig -q template build mroot busybox --overlay "$LAB/s$n" --release "s$n" --no-current
	done
	brig -q upgrade mroot/s1
	brig -q stop -a
	conf
}
listens() { # JAIL PORT
	brig exec "$1" sh -c "netstat -ltn | grep -q ':$2 '"
}
on() { # JAIL RELEASE: it is on it, and so are its files
	[ "$(release_of "$1")" = "$2" ]
	[ "$(brig exec "$1" cat /etc/release)" = "${2#s}" ]
}

@test "a service that does not listen any more: back, and the rest is not tried" {
	servers port=80 port=
	conf <<-E
		exec.start = "true"; persist; stop.timeout = 2; exec.timeout = 7; service = "sh -c '/etc/serve; exit 1'";
		a { ip4.addr = 198.51.100.1; }
		b { ip4.addr = 198.51.100.2; }
	E
	brig -q start a b
	eventually 5 listens a 80
	eventually 5 listens b 80
	run brig upgrade mroot/s2
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"a: tcp 80: nothing listens there any more (--ignore-listen: upgrade all the same): back on release s1, as it was"* ]]
	[[ "$output" == *"switched 0 of 2 jails"*"1 failed, 1 not tried"* ]]
	on a s1
	on b s1
	eventually 5 listens a 80
	listens b 80
	# all at once: each goes back by itself
	run brig upgrade --all-at-once mroot/s2
	echo "$output"
	[ "$status" = 1 ]
	for j in a b; do
		on $j s1
		eventually 5 listens $j 80
		[[ "$output" == *"$j: "*"tcp 80: nothing listens there any more"* ]]
	done
	# one that waits for its start
	brig -q upgrade --no-restart mroot/s2
	run brig restart a
	echo "$output"
	[[ "$output" == *"did not start on release s2: tcp 80: nothing listens there any more"* ]]
	on a s1
	eventually 5 listens a 80
	brig -q rollback mroot s1
	# said otherwise
	run brig upgrade --ignore-listen --jail a mroot/s2
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == *"tcp 198.51.100.1:80"*"nothing listens there any more"* || "$output" == *":80: nothing listens there any more"* ]]
	on a s2
	brig -q upgrade --ignore-listen --no-restart --jail b mroot/s2
	brig -q restart b
	on b s2
}

@test "a service of rc.conf that does not listen any more" {
	servers port=80 port=
	conf <<-E
		exec.start = "/bin/sh /etc/rc"; exec.stop = "/bin/sh /etc/rc.shutdown"; persist; stop.timeout = 2; exec.timeout = 7;
		a { ip4.addr = 198.51.100.1; }
	E
	printf 'web_enable="YES"\nweb_command="/etc/serve"\n' >"$BRIG_BASE/js/a/etc/rc.conf"
	brig -q start a
	eventually 5 listens a 80
	run brig upgrade --jail a mroot/s2
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"a: tcp 80: nothing listens there any more"*"back on release s1, as it was"* ]]
	on a s1
	eventually 5 listens a 80
}

@test "a service that ends with status 1 on the new release, and one that needs a moment" {
	servers port=80 'exit 1'
	conf <<-E
		exec.start = "true"; persist; stop.timeout = 2;
		a { ip4.addr = 198.51.100.1; service = "/etc/serve"; }
	E
	brig -q start a
	eventually 5 listens a 80
	run brig upgrade --jail a mroot/s2
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"back on release s1, as it was"* ]]
	on a s1
	eventually 5 listens a 80
	brig -q stop a
	brig -q template remove mroot/s2
	printf 'sleep 7\nport=80\n' >"$LAB/s2/etc/how"
	brig -q template build mroot busybox --overlay "$LAB/s2" --release s2 --no-current
	brig -q start a
	eventually 5 listens a 80
	brig -q upgrade --jail a mroot/s2
	on a s2
	listens a 80
}

@test "another address, what was started by hand, and ports that the kernel chose do not count" {
	servers 'port=0.0.0.0:80' 'port=127.0.0.1:80'
	conf <<-E
		exec.start = "true"; persist; stop.timeout = 2;
		a { ip4.addr = 198.51.100.1; service = "/etc/serve", "httpd -f -h /etc -p 40000"; }
	E
	brig -q start a
	eventually 5 listens a 80
	brig exec a sh -c 'setsid httpd -f -h /etc -p 90 >/dev/null 2>&1 </dev/null &'
	eventually 5 listens a 90
	brig -q upgrade --jail a mroot/s2
	on a s2
	listens a 80
	refuse listens a 90
}

@test "a jail that shares the host's network: its own sockets count, not those of others" {
	servers port=8090 port=
	conf <<-E
		exec.start = "true"; persist; stop.timeout = 2; exec.timeout = 7;
		a { ip4 = inherit; service = "/etc/serve"; }
	E
	brig -q start a
	eventually 5 listens a 8090
	run brig upgrade --jail a mroot/s2
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"tcp 8090: nothing listens there any more"*"back on release s1"* ]]
	on a s1
	eventually 5 listens a 8090
	brig -q stop a
	# another process of the host has the port afterwards: it is not the jail's
	brig -q start a
	eventually 5 listens a 8090
	conf <<-E
		exec.start = "true"; persist; stop.timeout = 2; exec.timeout = 7;
		exec.poststop = "busybox httpd -p 8090 -h $LAB/s1";
		a { ip4 = inherit; service = "/etc/serve"; }
	E
	run brig upgrade --jail a mroot/s2
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"tcp 8090: nothing listens there any more"* ]]
}

@test "start -n and upgrade -n -v show the steps" {
	run brig upgrade -n -v mroot/r2
	echo "$output"
	[[ "$output" == *"a: note what listens"*"a: wait for what listened"* ]]
	run brig restart -n a
	refuse grep -q 'what listen' <<<"$output"
}
