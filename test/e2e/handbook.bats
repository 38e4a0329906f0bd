#!/usr/bin/env bats
# The Handbook's own rc.conf and fstab: as they were printed, repaired, and as one jail.conf.
# The addresses are the literal ones: check(1) runs this in a network namespace with no way out.

load lib

setup_file() {
	lab_setup
	mkdir "$LAB/hb"
	cp "$BRIG_TOP/test/data/handbook-as-printed/rc.conf" "$LAB/hb/rc.conf"
	# one entry a line: the fault of the printed fstab repaired
	tr -s ' \n' '\n' <"$BRIG_TOP/test/data/handbook-as-printed/fstab" | paste -d' ' - - - - - - >"$LAB/hb/fstab"
	# every jail gets a service that its /etc/rc starts
	BRIG_CONF=$LAB/hb/rc.conf
	export BRIG_CONF
	brig -q create ns mail www
	for j in ns mail www; do
		printf 'idle_enable="YES"\nidle_command="sleep 100000"\n' >"$BRIG_BASE/js/$j/etc/rc.conf"
	done
}
teardown_file() { lab_teardown; }
teardown() { brig -q stop -a --force || true; }

columns() { jls | awk 'NR > 1 { print $2, $3, $4 }' | sort; }

@test "the printed fstab is an error with its line number and advice" {
	run brig check "$BRIG_TOP/test/data/handbook-as-printed/rc.conf" "$BRIG_TOP/test/data/handbook-as-printed/fstab"
	[ "$status" = 1 ]
	[[ "$output" == *"fstab:1:"*"several entries"* ]]
}

@test "the printed rc.conf, all on one line, is fine" {
	run brig check
	[ "$status" = 0 ]
	[ "$(brig config ns | grep -c 'host.hostname')" = 1 ]
}

@test "the older text's empty addresses mean loopback only, and it is said" {
	cp "$BRIG_TOP/test/data/handbook-older/rc.conf" "$LAB/older-rc.conf"
	run brig -f "$LAB/older-rc.conf" --fstab "$LAB/hb/fstab" check
	[ "$status" = 0 ]
	brig -q -f "$LAB/older-rc.conf" --fstab "$LAB/hb/fstab" start ns
	[ "$(brig exec ns ip -o link show | wc -l)" = 1 ]
	jls | grep -q ' ns.example.org '
}

@test "both forms start the same jails" {
	brig -q start -a
	columns >"$LAB/by-rc"
	[ "$(wc -l <"$LAB/by-rc")" = 3 ]
	grep -qx "192.168.3.17 ns.example.org $BRIG_BASE/j/ns" "$LAB/by-rc"
	grep -qx "62.123.43.14 www.example.org $BRIG_BASE/j/www" "$LAB/by-rc"
	jls -s -j www | tr ' ' '\n' | grep -v '^jid=' | sort >"$LAB/s-by-rc"
	brig -q stop -a
	brig convert >"$LAB/converted.conf"
	export BRIG_CONF=$LAB/converted.conf
	brig check
	brig -q start -a
	columns | diff "$LAB/by-rc" -
	jls -s -j www | tr ' ' '\n' | grep -v '^jid=' | sort | diff "$LAB/s-by-rc" -
	brig exec www ps | grep -q 'sleep 100000'
}

@test "convert reads the two files by name, in any order" {
	brig convert "$LAB/hb/fstab" "$LAB/hb/rc.conf" >"$LAB/1"
	brig convert "$LAB/hb/rc.conf" "$LAB/hb/fstab" >"$LAB/2"
	diff "$LAB/1" "$LAB/2"
	grep -q 'ip4.addr' "$LAB/1"
}

@test "service jail start, jls and jexec work as the Handbook has them" {
	brig -q start -a
	jid=$(jls -j ns jid)
	[ "$(jexec "$jid" hostname)" = ns.example.org ]
	# a shell that the template does not have is answered by /bin/sh
	[ "$(echo hostname | jexec "$jid" tcsh 2>"$LAB/err")" = ns.example.org ]
	grep -q 'tcsh: no such shell' "$LAB/err"
	run jexec "$jid" tcsh -c true
	[ "$status" = 1 ]
	# mail reaches ns, by address and by name: a closed port refuses at once
	brig exec mail sh -c 'timeout 3 wget -q -O - http://192.168.3.17/ 2>&1 | grep refused'
	brig exec mail sh -c 'timeout 3 wget -q -O - http://ns.example.org/ 2>&1 | grep refused'
}

@test "a jail list entry without variables is an error that names it" {
	sed 's/ns mail www/ns mail www ftp/' "$LAB/hb/rc.conf" >"$LAB/rc.conf"
	run brig check "$LAB/rc.conf" "$LAB/hb/fstab"
	[ "$status" = 1 ]
	[[ "$output" == *ftp* ]]
}

@test "names of templates and skeletons are refused for jails" {
	for n in mroot mroot2 mroot.20060601 skel; do
		run brig create "$n"
		[ "$status" = 1 ]
		one_line "$output"
		[[ "$output" == *"$n"* ]]
	done
}

@test "a base made by hand is adopted" {
	by_hand=$LAB/hand
	mkdir -p "$by_hand/j" "$by_hand/js"
	cp -a "$BRIG_BASE/j/mroot/." "$by_hand/j/mroot"
	cp -a "$BRIG_BASE/j/skel/." "$by_hand/j/skel"
	cp -a "$by_hand/j/skel" "$by_hand/js/ns"
	mkdir "$by_hand/j/ns"
	chmod 755 "$by_hand"
	printf 'idle_enable="YES"\nidle_command="sleep 100000"\n' >"$by_hand/js/ns/etc/rc.conf"
	export BRIG_BASE=$by_hand BRIG_RUN=$LAB/hand-run
	brig -q start ns
	[ "$(brig exec ns cat /etc/rc.conf | head -c 4)" = idle ]
	brig template list | grep -q 'by-hand'
	brig -q stop ns
}
