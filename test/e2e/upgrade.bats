#!/usr/bin/env bats
# upgrade, rollback, merge: a jail's release and its files change together, and come back together.

load lib

# Three releases; what differs between r1 and r2 is one file of each kind.
setup_file() {
	lab_setup none
	mkdir -p "$LAB"/o1/etc "$LAB"/o2/etc/new.d "$LAB"/o3/etc
	printf '%s\n' a b c d e f g >"$LAB/o1/etc/app.conf"
	printf '%s\n' a b c d e f G >"$LAB/o2/etc/app.conf"
	printf '%s\n' a b c d e f G3 >"$LAB/o3/etc/app.conf"
	for n in 1 2 3; do
		echo "plain $n" >"$LAB/o$n/etc/plain"
		echo "clash $n" >"$LAB/o$n/etc/clash"
		echo "always the same" >"$LAB/o$n/etc/same"
	done
	echo gone >"$LAB/o1/etc/gone"
	echo gone >"$LAB/o1/etc/gone-but-mine"
	echo new >"$LAB/o2/etc/new"
	echo new >"$LAB/o2/etc/new.d/file"
	mkdir "$LAB/o2/etc/new.d/empty"
	ln -s plain "$LAB/o1/etc/link"
	ln -s same "$LAB/o2/etc/link"
	install -m 644 /dev/null "$LAB/o1/etc/mode"
	install -m 600 -o 7 -g 8 /dev/null "$LAB/o2/etc/mode"
	echo 'with blank' >"$LAB/o1/etc/with  blank [*]"
	echo 'with blank 2' >"$LAB/o2/etc/with  blank [*]"
	printf '\000bin1' >"$LAB/o1/etc/binary"
	printf '\000bin2' >"$LAB/o2/etc/binary"
	mkdir "$LAB/o1/etc/was-dir"
	echo x >"$LAB/o2/etc/was-dir"
	for n in 1 2 3; do brig -q template build mroot busybox --overlay "$LAB/o$n" --release "r$n" --no-current; done
	"$BRIG" -q upgrade mroot/r1
}
teardown_file() { lab_teardown; }

setup() {
	conf <<-EOF
		exec.start = "true"; persist; stop.timeout = 2;
		a { service = "sleep 1000"; ip4.addr = 198.51.100.1; }
		b { service = "sleep 1000"; }
		s { }
	EOF
	brig -q upgrade mroot/r1
	brig -q create a b s
	for j in a b s; do
		sed -i "1s/a/$j edited/" "$BRIG_BASE/js/$j/etc/app.conf"
		echo "data of $j" >"$BRIG_BASE/js/$j/var/data"
		files_of $j >"$LAB/$j.before"
	done
}
teardown() {
	destroy_all
}

# files_of JAIL: everything in its jailspace but data, with type, mode, owner, content
files_of() {
	(
		cd "$BRIG_BASE/js/$1" || exit 1
		find . ! -path ./var/data ! -path './var/log*' -printf '%y %m %U:%G %p %l\n' | sort
		find . -type f ! -path ./var/data ! -path './var/log*' -print0 | sort -z | xargs -0 sha256sum
	)
}
record() { cat "$BRIG_BASE/js/.brig/$1.json"; }
# The release that a running jail has mounted as its root.
mounted() {
	local pid ino r
	pid=$(jail_pid "$1")
	ino=$(stat -L -c %i "/proc/$pid/root")
	for r in "$BRIG_BASE"/templates/mroot/r*; do
		[ "$(stat -c %i "$r/root")" != "$ino" ] || basename "$r"
	done
}
js() { cat "$BRIG_BASE/js/$1/etc/$2"; }
no_leftovers() {
	local left
	left=$(find "$BRIG_BASE/js/.brig/switch" -mindepth 1 2>/dev/null || true
		find "$BRIG_BASE" -name '.brig-merge' -o -name '.tmp*' -o -name '.new.*')
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}

@test "an upgrade replaces, merges, adds, removes, and leaves what is the jail's" {
	echo 'my own' >"$BRIG_BASE/js/a/etc/gone-but-mine"
	brig -q start a b
	run brig upgrade mroot/r2
	[ "$status" = 0 ]
	[ "$(js a app.conf)" = "$(printf '%s\n' 'a edited' b c d e f G)" ]
	[ "$(js b plain)" = "plain 2" ]
	[ "$(js s new)" = new ]
	[ "$(js s new.d/file)" = new ]
	[ -d "$BRIG_BASE/js/s/etc/new.d/empty" ]
	[ ! -e "$BRIG_BASE/js/s/etc/gone" ]
	[ ! -e "$BRIG_BASE/js/b/etc/gone-but-mine" ]
	[ "$(js a gone-but-mine)" = 'my own' ]
	[[ "$output" == *"gone-but-mine"* ]]
	[ "$(readlink "$BRIG_BASE/js/a/etc/link")" = same ]
	[ "$(stat -c '%a %u:%g' "$BRIG_BASE/js/a/etc/mode")" = '600 7:8' ]
	[ "$(js a 'with  blank [*]')" = 'with blank 2' ]
	[ "$(tr -d '\000' <"$BRIG_BASE/js/a/etc/binary")" = bin2 ]
	[ "$(js a was-dir)" = x ]
	[ "$(js a same)" = "always the same" ]
	[ "$(cat "$BRIG_BASE/js/a/var/data")" = "data of a" ]
	no_leftovers
}

@test "jails run on the new release afterwards, those that were stopped stay stopped" {
	brig -q start a b
	brig -q upgrade mroot/r2
	[ "$(mounted a)" = r2 ]
	[ "$(mounted b)" = r2 ]
	[ "$(release_of s)" = r2 ]
	run brig template list
	[[ "$output" == *r2*current*3*"a, b"* ]]
	run brig status s
	[ "$status" = 0 ]
	[[ "$output" != *running* ]]
	[ "$(readlink "$BRIG_BASE/templates/mroot/current")" = r2 ]
	brig exec a grep -q 'plain 2' /etc/plain
}

@test "the JID stays, and so do addresses and what the host has" {
	brig -q start a
	host_things | grep -v '^process' >"$LAB/things"
	jls -j a jid >"$LAB/jid" || brig list >"$LAB/jid"
	brig -q upgrade mroot/r2
	host_things | grep -v '^process' | diff -u "$LAB/things" -
	{ jls -j a jid || brig list; } | diff -u "$LAB/jid" -
}

@test "rollback brings back release and files, byte for byte; data stays" {
	brig -q start a b
	brig -q upgrade mroot/r2
	echo "written since" >>"$BRIG_BASE/js/a/var/data"
	run brig rollback mroot
	[ "$status" = 0 ]
	for j in a b s; do files_of $j | diff -u "$LAB/$j.before" -; done
	[ "$(mounted a)" = r1 ]
	[ "$(release_of s)" = r1 ]
	[ "$(tail -n 1 "$BRIG_BASE/js/a/var/data")" = "written since" ]
	[ "$(readlink "$BRIG_BASE/templates/mroot/current")" = r1 ]
	no_leftovers
}

@test "rollback keeps and names what was changed since" {
	brig -q upgrade mroot/r2
	echo "after the upgrade" >>"$BRIG_BASE/js/s/etc/plain"
	chmod 640 "$BRIG_BASE/js/s/etc/app.conf"
	rm "$BRIG_BASE/js/s/etc/new"
	run brig rollback mroot
	[ "$status" = 0 ]
	[[ "$output" == *"s: warning: etc/plain: changed since"* ]]
	[[ "$output" == *"s: warning: etc/app.conf: changed since"* ]]
	[ "$(tail -n 1 "$BRIG_BASE/js/s/etc/plain")" = "after the upgrade" ]
	files_of a | diff -u "$LAB/a.before" -
}

@test "rollback: what the jail changed by another name of a file is kept and named, the rest goes back" {
	brig -q start a b
	brig exec a ln /s/etc/plain /s/var/k
	brig exec b ln /s/etc/plain /s/var/k
	ln "$BRIG_BASE/js/s/etc/plain" "$BRIG_BASE/js/s/var/k"
	for j in a b s; do files_of $j >"$LAB/$j.before"; done
	for how in 'echo evil >>' 'printf "plain X\n" >' 'chmod 4777' 'chown 7:8'; do
		brig -q upgrade mroot/r2
		[ "$(js a plain)" = "plain 2" ]
		[ "$(cat "$BRIG_BASE/js/a/var/k")" = "plain 1" ]
		brig exec a sh -c "$how /var/k"
		run timeout -k 2 60 "$BRIG" rollback mroot r1
		[ "$status" = 0 ]
		[ "$(grep -c 'a: warning: etc/plain: changed since' <<<"$output")" = 1 ]
		[[ "$output" != *"b: warning"* ]]
		[[ "$output" != *"s: warning"* ]]
		[ "$(mounted a) $(mounted b) $(release_of s)" = "r1 r1 r1" ]
		[ "$(js a plain)" = "plain 2" ]
		files_of a | grep -v -e /etc/plain -e /var/k >"$LAB/a.after"
		grep -v -e /etc/plain -e /var/k "$LAB/a.before" | diff -u - "$LAB/a.after"
		# the same names, left alone
		for j in b s; do files_of $j | diff -u "$LAB/$j.before" -; done
		[ "$BRIG_BASE/js/b/etc/plain" -ef "$BRIG_BASE/js/b/var/k" ]
		no_leftovers
		# as it was, for the next round
		brig exec a sh -c 'rm -f /s/etc/plain /s/var/k; echo "plain 1" >/s/etc/plain; ln /s/etc/plain /s/var/k'
		files_of a | diff -u "$LAB/a.before" -
	done
}

@test "rollback: a file as large as a file can be takes no longer, and is the same afterwards" {
	brig -q start a b
	brig exec a truncate -s 1024G /s/etc/clash
	brig exec b truncate -s 1M /s/etc/clash
	for j in a b; do brig exec $j ln /s/etc/clash /s/var/k; done
	run timeout -k 2 3 sha256sum "$BRIG_BASE/js/a/etc/clash"
	[ "$status" = 124 ] # this would take long
	for how in : chmod byte; do
		timeout -k 2 60 "$BRIG" -q upgrade mroot/r2
		timeout -k 2 60 "$BRIG" -q merge --theirs /etc/clash a b
		[ "$(js a clash) $(js b clash)" = "clash 2 clash 2" ]
		case $how in
			chmod) brig exec a chmod 600 /var/k ;;
			byte) brig exec a sh -c 'touch -r /var/k /var/t; printf x | dd of=/var/k conv=notrunc 2>/dev/null
				touch -r /var/t /var/k' ;;
		esac
		run timeout -k 2 60 "$BRIG" rollback mroot r1
		[ "$status" = 0 ]
		[ "$BRIG_BASE/js/b/etc/clash" -ef "$BRIG_BASE/js/b/var/k" ]
		[[ "$output" != *"b: warning: etc/clash"* ]]
		if [ "$how" = : ]; then
			[ "$BRIG_BASE/js/a/etc/clash" -ef "$BRIG_BASE/js/a/var/k" ]
			[ "$(stat -c %s "$BRIG_BASE/js/a/etc/clash")" = $((1 << 40)) ]
			[[ "$output" != *"warning: etc/clash"* ]]
		else
			[[ "$output" == *"a: warning: etc/clash: changed since"* ]]
			[ "$(js a clash)" = "clash 2" ]
			ln -f "$BRIG_BASE/js/a/var/k" "$BRIG_BASE/js/a/etc/clash"
			chmod 644 "$BRIG_BASE/js/a/var/k"
		fi
	done
}

@test "rollback of one jail leaves the others; two upgrades back in two steps and in one" {
	brig -q start a b
	brig -q upgrade mroot/r2
	brig -q rollback mroot --jail a
	[ "$(mounted a)" = r1 ]
	[ "$(mounted b)" = r2 ]
	[ "$(readlink "$BRIG_BASE/templates/mroot/current")" = r2 ]
	files_of a | diff -u "$LAB/a.before" -
	brig -q upgrade mroot/r3
	[ "$(release_of a) $(release_of b)" = "r3 r3" ]
	run brig rollback mroot
	[ "$status" = 2 ] # a comes from r1, the others from r2: which one is meant?
	[[ "$output" == *"say which release"* ]]
	brig -q rollback mroot r1
	for j in a b s; do files_of $j | diff -u "$LAB/$j.before" -; done
}

@test "the plan shows what would happen, and nothing happens" {
	brig -q start a
	for j in a b s; do files_of $j >"$LAB/$j.now"; done
	run brig upgrade -n mroot/r2
	[ "$status" = 0 ]
	[[ "$output" == *"M /etc/app.conf"* ]]
	[[ "$output" == *"U /etc/plain"* ]]
	[[ "$output" == *"D /etc/gone "* ]]
	[[ "$output" == *"A /etc/new "* ]]
	for j in a b s; do files_of $j | diff -u "$LAB/$j.now" -; done
	[ "$(mounted a)" = r1 ]
	[ "$(release_of b)" = r1 ]
	[ "$(readlink "$BRIG_BASE/templates/mroot/current")" = r1 ]
	brig --json upgrade -n mroot/r2 | python3 -c 'import json, sys; d = json.load(sys.stdin); assert len(d["plan"]) == 3 and d["plan"][0]["files"]'
}

@test "downtime is printed for each jail and in all" {
	brig -q start a b
	run brig upgrade mroot/r2
	[[ "$output" =~ "a: upgraded to r2, downtime "[0-9.]+" ms" ]]
	[[ "$output" =~ "b: upgraded to r2, downtime "[0-9.]+" ms" ]]
	[[ "$output" == *"s: upgraded to r2 (not running)"* ]]
	[[ "$output" =~ "switched 3 of 3 jails to r2 in "[0-9.]+" s: downtime "[0-9.]+" ms in all, at most "[0-9.]+" ms" ]]
}

@test "a jail that is not healthy goes back, with its files, and the rest is not touched" {
	conf <<-EOF
		exec.start = "true"; persist; stop.timeout = 2;
		a { service = "sleep 1000"; health = "grep -q 'plain 1' /etc/plain"; exec.timeout = 1; }
		b { depend = a; service = "sleep 1000"; }
		s { depend = b; }
	EOF
	brig -q start a b
	run brig upgrade mroot/r2
	[ "$status" = 1 ]
	[[ "$output" == *"back on release r1"* ]]
	[[ "$output" == *"b: skipped"* || "$output" == *"b: not tried"* ]]
	[ "$(mounted a)" = r1 ]
	[ "$(mounted b)" = r1 ]
	[ "$(release_of s)" = r1 ]
	for j in a b s; do files_of $j | diff -u "$LAB/$j.before" -; done
	[ "$(readlink "$BRIG_BASE/templates/mroot/current")" = r1 ]
	brig exec a true
	no_leftovers
}

@test "--keep-going goes on; the canary goes first and alone" {
	conf <<-EOF
		exec.start = "true"; persist; stop.timeout = 2;
		a { service = "sleep 1000"; health = "grep -q 'plain 1' /etc/plain"; exec.timeout = 1; }
		b { service = "sleep 1000"; }
		s { }
	EOF
	brig -q start a b
	run brig upgrade --keep-going mroot/r2
	[ "$status" = 1 ]
	[ "$(mounted a)" = r1 ]
	[ "$(mounted b)" = r2 ]
	[ "$(release_of s)" = r2 ]
	[ "$(readlink "$BRIG_BASE/templates/mroot/current")" = r2 ]
	brig -q rollback mroot r1
	run brig upgrade --canary a mroot/r2
	[ "$status" = 1 ]
	[ "$(mounted b)" = r1 ]
	[ "$(release_of s)" = r1 ]
	run brig upgrade --canary b mroot/r2 --jail b
	[ "$status" = 0 ]
	run brig upgrade --canary nobody mroot/r2
	[ "$status" = 2 ]
}

@test "a failing exec.start on the new release goes back as well" {
	conf <<-EOF
		persist; stop.timeout = 2;
		a { exec.start = "grep -q 'plain 1' /etc/plain"; }
	EOF
	brig -q start a
	run brig upgrade mroot/r2 --jail a
	[ "$status" = 1 ]
	[ "$(mounted a)" = r1 ]
	files_of a | diff -u "$LAB/a.before" -
}

@test "a failing exec.stop does not keep the jail from its upgrade, and is said" {
	conf <<-EOF
		persist; stop.timeout = 2;
		a { exec.start = "true"; exec.stop = "false"; }
	EOF
	brig -q start a
	run brig upgrade mroot/r2 --jail a
	[ "$status" = 0 ]
	[[ "$output" == *"exec.stop: false: failed with status 1"* ]]
	[ "$(release_of a)" = r2 ]
	[ "$(mounted a)" = r2 ]
}

@test "a failing exec.prestop leaves the jail as it is" {
	conf <<-EOF
		persist; stop.timeout = 2;
		a { exec.start = "true"; exec.prestop = "false"; }
	EOF
	brig -q start a
	pid=$(jail_pid a)
	run brig upgrade mroot/r2 --jail a
	[ "$status" = 1 ]
	[[ "$output" == *exec.prestop* ]]
	[ "$(jail_pid a)" = "$pid" ]
	[ -d "/proc/$pid" ]
	[ "$(release_of a)" = r1 ]
	files_of a | diff -u "$LAB/a.before" -
	no_leftovers
}

@test "--no-restart: the jail switches at its next start" {
	brig -q start a
	pid=$(jail_pid a)
	run brig upgrade --no-restart mroot/r2
	[ "$status" = 0 ]
	[[ "$output" == *"a: will be on r2 at its next start"* ]]
	run brig status a
	[[ "$output" == *"mroot/r1, next r2"* ]]
	[ "$(jail_pid a)" = "$pid" ]
	[ "$(mounted a)" = r1 ]
	files_of a | diff -u "$LAB/a.before" -
	run brig template remove mroot/r2
	[ "$status" = 1 ] # somebody is on the way to it
	echo "edited meanwhile" >>"$BRIG_BASE/js/a/etc/same"
	brig -q restart a
	[ "$(mounted a)" = r2 ]
	[ "$(js a plain)" = "plain 2" ]
	[ "$(tail -n 1 "$BRIG_BASE/js/a/etc/same")" = "edited meanwhile" ]
	no_leftovers
}

@test "--no-restart and a start that fails: back on the old release, and running" {
	conf <<-EOF
		persist; stop.timeout = 2;
		a { exec.start = "grep -q 'plain 1' /etc/plain"; }
	EOF
	brig -q start a
	brig -q upgrade --no-restart mroot/r2 --jail a
	run brig restart a
	[[ "$output" == *"back on release r1"* ]]
	[ "$(mounted a)" = r1 ]
	files_of a | diff -u "$LAB/a.before" -
}

@test "--all-at-once stops all, switches all, starts all" {
	brig -q start a b
	run brig upgrade --all-at-once mroot/r2
	[ "$status" = 0 ]
	[ "$(mounted a)" = r2 ]
	[ "$(mounted b)" = r2 ]
	[ "$(release_of s)" = r2 ]
	[[ "$output" =~ "a: upgraded to r2, downtime "[0-9.]+" ms" ]]
	brig -q rollback --all-at-once mroot
	[ "$(mounted a)" = r1 ]
	files_of a | diff -u "$LAB/a.before" -
}

@test "--jobs switches several at a time, in the order of depend" {
	conf <<-EOF
		exec.start = "true"; persist; stop.timeout = 2;
		a { depend = b; service = "sleep 1000"; }
		b { service = "sleep 1000"; }
		s { }
	EOF
	brig -q start a b
	run brig upgrade --jobs 4 mroot/r2
	[ "$status" = 0 ]
	[ "$(mounted a)" = r2 ]
	[ "$(mounted b)" = r2 ]
	b_at=$(grep -n '^b: up' <<<"$output" | cut -d: -f1)
	a_at=$(grep -n '^a: up' <<<"$output" | cut -d: -f1)
	[ "$b_at" -lt "$a_at" ]
}

@test "a pinned jail is passed over" {
	conf <<-EOF
		persist;
		a { template = mroot/r1; }
		b { }
	EOF
	run brig upgrade mroot/r2
	[ "$status" = 0 ]
	[[ "$output" == *"a: is pinned to release r1"* ]]
	[ "$(release_of a) $(release_of b)" = "r1 r2" ]
}

@test "host commands around the jail: it is stopped and started, in order" {
	conf <<-EOF
		persist; stop.timeout = 2;
		a { exec.prestart = "echo prestart >>$LAB/hooks"; exec.poststop = "echo poststop >>$LAB/hooks";
		    exec.start = "true"; }
	EOF
	brig -q start a
	: >"$LAB/hooks"
	brig -q upgrade mroot/r2 --jail a
	[ "$(cat "$LAB/hooks")" = "$(printf 'poststop\nprestart')" ]
	[ "$(mounted a)" = r2 ]
}

@test "a jailspace in an image, and one in memory" {
	conf <<-EOF
		persist; stop.timeout = 2; exec.start = "true";
		i { space = "image:$LAB/i.img"; space.size = 32M; }
		t { space = "tmpfs:16M"; }
	EOF
	brig -q create i t
	brig -q start i t
	brig exec i sh -c 'echo mine >/etc/clash'
	run brig upgrade mroot/r2
	[ "$status" = 0 ]
	[ "$(mounted i)" = r2 ]
	[ "$(mounted t)" = r2 ]
	[ "$(brig exec i cat /etc/plain)" = "plain 2" ]
	[ "$(brig exec t cat /etc/plain)" = "plain 2" ]
	[ "$(brig exec i cat /etc/clash)" = mine ]
	brig -q rollback mroot
	[ "$(mounted i)" = r1 ]
	[ "$(brig exec i cat /etc/plain)" = "plain 1" ]
	brig -q stop i t
	brig -q destroy -y --space i
	brig -q destroy -y t
}

@test "a jailspace in a directory elsewhere, on another file system" {
	mkdir "$LAB/other"
	mount -t tmpfs none "$LAB/other"
	conf <<-EOF
		persist; stop.timeout = 2; exec.start = "true";
		o { space = "$LAB/other/o"; }
	EOF
	brig -q create o
	brig -q start o
	brig -q upgrade mroot/r2
	[ "$(brig exec o cat /etc/plain)" = "plain 2" ]
	brig -q rollback mroot
	[ "$(brig exec o cat /etc/plain)" = "plain 1" ]
	[ "$(cat "$LAB/other/o/etc/plain")" = "plain 1" ]
	brig -q stop o
	brig -q destroy -y --space o
	umount "$LAB/other"
}

# ---- conflicts ----

@test "the same conflict of several jails waits once; decisions for one and for all" {
	for j in a b s; do echo mine >"$BRIG_BASE/js/$j/etc/clash"; done
	echo other >"$BRIG_BASE/js/s/etc/clash"
	brig -q start a
	run brig upgrade mroot/r2
	[ "$status" = 0 ]
	[[ "$output" == *"3 conflicts wait"* ]]
	run brig status a
	[[ "$output" == *"conflicts"*"1 (brig merge a)"* ]]
	for j in a b; do [ "$(js $j clash)" = mine ]; done # the jail keeps its own
	run brig merge
	[ "$(grep -c '^/etc/clash' <<<"$output")" = 2 ]
	[[ "$output" == *"a, b"* ]]
	run brig merge --diff
	[[ "$output" == *"-clash 1"*"+clash 2"* ]]
	[[ "$output" == *"+mine"* ]]
	brig -q merge --theirs /etc/clash a
	[ "$(js a clash)" = "clash 2" ]
	[ "$(js b clash)" = mine ]
	brig exec a grep -q 'clash 2' /etc/clash
	brig -q merge --mine etc/clash b
	[ "$(js b clash)" = mine ]
	echo answered >"$LAB/answer"
	brig -q merge --edit etc/clash --file "$LAB/answer"
	[ "$(js s clash)" = answered ]
	run brig merge
	[[ "$output" == *"nothing waits"* ]]
	run brig merge --mine etc/clash
	[ "$status" = 1 ]
	no_leftovers
	# every merge can be undone
	brig -q rollback mroot
	[ "$(js a clash) $(js b clash) $(js s clash)" = "mine mine other" ]
}

@test "an editor, with markers that must go" {
	echo mine >"$BRIG_BASE/js/s/etc/clash"
	brig -q upgrade mroot/r2
	export EDITOR=true
	run brig merge --edit etc/clash s
	[ "$status" = 1 ]
	[[ "$output" == *"conflict markers remain"* ]]
	[ "$(js s clash)" = mine ]
	cat >"$LAB/ed" <<-'EOF'
		#!/bin/sh
		grep -q '^<<<<<<< ' "$1" && grep -q '^||||||| ' "$1" && grep -q '^>>>>>>> ' "$1" || exit 3
		echo both >"$1"
	EOF
	chmod +x "$LAB/ed"
	EDITOR=$LAB/ed brig -q merge --edit etc/clash s
	[ "$(js s clash)" = both ]
	[ -z "$(ls /tmp/brig-merge.* 2>/dev/null)" ]
}

@test "asked one after the other" {
	echo mine >"$BRIG_BASE/js/a/etc/clash"
	echo my >"$BRIG_BASE/js/b/etc/clash"
	brig -q upgrade mroot/r2
	run bash -c "printf 'df\nx\ntf\np\n' | '$BRIG' merge -i"
	[ "$status" = 0 ]
	run brig merge
	[ "$(grep -c '^/etc/clash' <<<"$output")" = 1 ]
}

@test "a conflict that settles by itself is gone; one that still waits is merged from where it began" {
	echo mine >"$BRIG_BASE/js/a/etc/clash"
	echo mine >"$BRIG_BASE/js/b/etc/clash"
	brig -q upgrade mroot/r2
	echo "clash 2" >"$BRIG_BASE/js/a/etc/clash"
	run brig merge
	[[ "$output" == *"a: /etc/clash: agrees with the release by now"* ]]
	run brig template remove mroot/r1
	[ "$status" = 1 ] # it explains the conflict of b
	# the third release has another clash: the base of b's merge is still r1
	brig -q upgrade mroot/r3
	[ "$(js a clash)" = "clash 3" ]
	[ "$(js b clash)" = mine ]
	record b | grep -q '"base": "r1"'
	brig -q merge --theirs etc/clash
	[ "$(js b clash)" = "clash 3" ]
}

# How many files `brig merge` opens for these jails.
opened_by_merge() {
	strace -f -qq -o "$LAB/calls" -e trace=openat,openat2 "$BRIG" merge "$@" >/dev/null
	wc -l <"$LAB/calls"
}

@test "conflicts of many jails: few descriptors, and the same work for each" {
	local n names="" c10 c20 c30
	for n in $(seq -w 1 30); do
		echo "m$n { persist; }" >>"$BRIG_CONF"
		names="$names m$n"
	done
	# shellcheck disable=SC2086
	brig -q create $names
	for n in $names; do echo "mine $n" >"$BRIG_BASE/js/$n/etc/clash"; done
	brig -q upgrade mroot/r2
	run bash -c 'ulimit -n 128; exec "$BRIG" merge'
	[ "$status" = 0 ]
	[ "$(grep -c '^/etc/clash .* m[0-9]*$' <<<"$output")" = 30 ]
	run bash -c 'ulimit -n 128; exec "$BRIG" merge --diff'
	[ "$status" = 0 ]
	[[ "$output" == *"+mine m30"* ]]
	# shellcheck disable=SC2086
	set -- $names
	c10=$(opened_by_merge "${@:1:10}")
	c20=$(opened_by_merge "${@:1:20}")
	c30=$(opened_by_merge "${@:1:30}")
	echo "$c10 $c20 $c30"
	[ $((c30 - c20)) = $((c20 - c10)) ]
	[ $((c20 - c10)) -gt 0 ]
}

@test "type changes are conflicts, and nothing is lost" {
	rm "$BRIG_BASE/js/a/etc/plain"
	mkdir "$BRIG_BASE/js/a/etc/plain"
	echo in >"$BRIG_BASE/js/a/etc/plain/file"
	rm "$BRIG_BASE/js/b/etc/plain"
	ln -s /etc/passwd "$BRIG_BASE/js/b/etc/plain"
	rm "$BRIG_BASE/js/s/etc/plain"
	brig -q upgrade mroot/r2
	[ "$(js a plain/file)" = in ]
	[ "$(readlink "$BRIG_BASE/js/b/etc/plain")" = /etc/passwd ]
	run brig merge
	[ "$(grep -c '^/etc/plain' <<<"$output")" = 3 ]
	brig -q merge --theirs etc/plain b s
	[ "$(js b plain)" = "plain 2" ]
	[ "$(js s plain)" = "plain 2" ]
}

@test "accounts are merged by entry" {
	mkdir -p "$LAB/acct/etc"
	sed '$a_new:x:150:150:new service:/:/bin/false' "$BRIG_BASE/templates/mroot/r1/skel/etc/passwd" >"$LAB/acct/etc/passwd"
	sed '$a_new:x:150:' "$BRIG_BASE/templates/mroot/r1/skel/etc/group" >"$LAB/acct/etc/group"
	brig -q template build mroot busybox --overlay "$LAB/o1" --overlay "$LAB/acct" --release racct --no-current
	echo 'joe:x:1000:1000::/home/joe:/bin/sh' >>"$BRIG_BASE/js/a/etc/passwd"
	sed -i 's,^root:\(.*\):[^:]*$,root:\1:/bin/ash,' "$BRIG_BASE/js/a/etc/passwd"
	echo 'joe:x:150:1000::/home/joe:/bin/sh' >>"$BRIG_BASE/js/b/etc/passwd"
	brig -q upgrade mroot/racct
	grep -q '^_new:x:150:150:' "$BRIG_BASE/js/a/etc/passwd"
	grep -q '^joe:' "$BRIG_BASE/js/a/etc/passwd"
	grep -q '^root:.*:/bin/ash$' "$BRIG_BASE/js/a/etc/passwd"
	grep -q '^_new:' "$BRIG_BASE/js/a/etc/group"
	# an id that is taken: a conflict, and the group waits with it
	refuse grep -q '^_new:' "$BRIG_BASE/js/b/etc/passwd"
	refuse grep -q '^_new:' "$BRIG_BASE/js/b/etc/group"
	run brig merge b
	[[ "$output" == *"/etc/passwd"*150* ]]
	[[ "$output" == *"/etc/group"*"waits for /etc/passwd"* ]]
	run brig merge --merged etc/group b
	[ "$status" = 1 ]
	brig -q merge --theirs etc/passwd b # joe goes, and the group can come
	brig -q merge --merged etc/group b
	grep -q '^_new:x:150:' "$BRIG_BASE/js/b/etc/group"
	brig -q rollback mroot r1
	files_of s | diff -u "$LAB/s.before" -
	brig -q template remove mroot/racct
}

@test "-A and -I" {
	echo mine >"$BRIG_BASE/js/a/etc/clash"
	brig -q upgrade mroot/r2 -A /etc/clash -I '/etc/pl*'
	[ "$(js a clash)" = "clash 2" ]
	[ "$(js a plain)" = "plain 1" ]
}

@test "what the release makes anew is run in the jail" {
	cat "$BRIG_TOP/data/split.rules" - >"$LAB/rules" <<-'EOF'
		regenerate etc/made etc/plain cp /etc/plain /etc/made
	EOF
	for n in 1 2; do brig -q template build mroot busybox --overlay "$LAB/o$n" --rules "$LAB/rules" --release rr$n --no-current; done
	brig -q upgrade mroot/rr1
	for j in a b s; do echo stale >"$BRIG_BASE/js/$j/etc/made"; done
	brig -q start a
	brig -q upgrade mroot/rr2
	[ "$(js a made)" = "plain 2" ]
	[ "$(js s made)" = stale ] # it does not run: at its next start
	brig -q start s
	[ "$(js s made)" = "plain 2" ]
	brig -q stop s a
	brig -q rollback mroot
	brig -q start a
	[ "$(js a made)" = "plain 1" ]
	brig -q stop a
	brig -q upgrade mroot/r1
	brig -q template remove mroot/rr1 mroot/rr2
}

@test "a file that the jail changes while it is switched is merged as it is then" {
	conf <<-'EOF'
		persist; stop.timeout = 2;
		a { exec.start = "true";
		    exec.stop = "sed -i 's/^b$/b at the last minute/' /etc/app.conf; echo mine >/etc/plain"; }
	EOF
	brig -q start a
	brig -q upgrade mroot/r2 --jail a
	[ "$(js a app.conf)" = "$(printf '%s\n' 'a edited' 'b at the last minute' c d e f G)" ]
	[ "$(js a plain)" = mine ]
	run brig merge a
	[[ "$output" == *"/etc/plain"* ]]
	no_leftovers
}

@test "a recipe that is run again: upgrade without a source" {
	mkdir -p "$LAB/live/etc"
	echo "live 1" >"$LAB/live/etc/live"
	brig -q template build other busybox --overlay "$LAB/live" --release l1
	conf <<-EOF
		persist;
		l { template = other; }
	EOF
	brig -q create l
	echo "live 2" >"$LAB/live/etc/live"
	run brig upgrade other --release l2
	[ "$status" = 0 ]
	[ "$(js l live)" = "live 2" ]
	[ "$(release_of l)" = l2 ]
	[ "$(cat "$BRIG_BASE/templates/other/l1/skel/etc/live")" = "live 1" ]
	run brig template verify other
	[ "$status" = 0 ]
	brig -q rollback other
	[ "$(js l live)" = "live 1" ]
	brig -q destroy -y l
	brig -q template remove --unused --keep 0 other
	run brig template list other
	[[ "$output" != *l2* && "$output" == *l1* ]]
	brig -q template remove other/l1
}

@test "a recipe that gives the same tree again switches nobody" {
	brig -q template build twice busybox --overlay "$LAB/o1" --release t1
	conf <<-EOF
		persist; exec.start = "true";
		l { template = twice; }
	EOF
	brig -q create l
	brig -q start l
	pid=$(jail_pid l)
	run brig upgrade twice --release t2
	[ "$status" = 0 ]
	[[ "$output" == *"nothing has changed since release t1"* ]]
	[ "$(jail_pid l)" = "$pid" ]
	[ ! -e "$BRIG_BASE/templates/twice/t2" ]
	brig -q stop l
	brig -q destroy -y l
	brig -q template remove twice/t1
}

@test "what leads to a release that is gone is forgotten" {
	sed -i '1i undo.keep = 3;' "$BRIG_CONF"
	brig -q upgrade mroot/r2
	brig -q template build mroot busybox --overlay "$LAB/o1" --release rgone --no-current
	brig -q upgrade mroot/rgone
	brig -q upgrade mroot/r3
	ls "$BRIG_BASE/js/.brig/change/s" >"$LAB/kept"
	grep -qx 1 "$LAB/kept"
	grep -qx 3 "$LAB/kept"
	brig -q template remove mroot/rgone
	brig -q rollback mroot r2 # by the files kept since, over the release that is gone
	[ "$(js s plain)" = "plain 2" ]
	brig -q rollback mroot r1
	for j in a b s; do files_of $j | diff -u "$LAB/$j.before" -; done
}

@test "releases are untouched by all of it" {
	brig -q upgrade mroot/r2
	brig -q rollback mroot
	brig -q upgrade mroot/r3
	brig -q template verify mroot
}

@test "wrong use says so and changes nothing" {
	run brig upgrade
	[ "$status" = 2 ]
	run brig upgrade mroot/nosuch
	[ "$status" = 1 ]
	one_line "$output"
	run brig upgrade nosuch
	[ "$status" = 1 ]
	run brig rollback mroot nosuch
	[ "$status" = 1 ]
	run brig upgrade mroot/r2 --jail nosuch
	[ "$status" = 2 ]
	run brig upgrade mroot/r2 --all-at-once --jobs 2
	[ "$status" = 2 ]
	run brig template list --unused
	[ "$status" = 2 ]
	[ "$(release_of a)" = r1 ]
}

@test "two upgrades at a time: the second says who is busy" {
	conf <<-EOF
		persist; stop.timeout = 2;
		a { exec.start = "sleep 1"; }
	EOF
	brig -q start a
	"$BRIG" -q upgrade mroot/r2 --jail a &
	first=$!
	sleep 0.5
	run brig upgrade mroot/r3
	wait $first
	[ "$status" = 1 ]
	one_line "$output"
	[ "$(mounted a)" = r2 ]
}

@test "a jail whose change cannot be finished does not start; the others do, and it can be destroyed" {
	python3 - "$BRIG_BASE/js/.brig/s.json" <<-'EOF'
		import json, sys
		record = json.load(open(sys.argv[1]))
		record.update(change="apply", change_id=99, change_other="r1", release="r2")
		json.dump(record, open(sys.argv[1], "w"))
	EOF
	mkdir -p "$BRIG_BASE/js/.brig/switch"
	touch "$BRIG_BASE/js/.brig/switch/s" # decided, and its description is lost
	run brig start s
	[ "$status" = 1 ]
	[[ "$output" == *"s: an interrupted change of its files cannot be finished"* ]]
	[ ! -e "$BRIG_RUN/jail/s" ]
	run brig upgrade mroot/r3 --jail s
	[ "$status" = 1 ]
	brig -q start a
	brig -q stop a
	brig -q destroy -y s
	run brig list
	[ "$status" = 0 ]
	[[ "$output" != *warning* ]]
}

@test "a command that comes while all are stopped at once leaves them to the upgrade" {
	conf <<-EOF
		exec.start = "true"; persist; stop.timeout = 2;
		a { }
		b { exec.stop = "sleep 1"; }
	EOF
	brig -q start a b
	"$BRIG" -q upgrade --all-at-once mroot/r2 &
	upgrade=$!
	eventually 5 test ! -e "$BRIG_RUN/jail/a"
	[ -e "$BRIG_RUN/jail/b" ] # it is on its way down
	run brig list
	[ "$status" = 0 ]
	[[ "$output" != *started* ]]
	[ ! -e "$BRIG_RUN/jail/a" ]
	wait $upgrade
	[ "$(mounted a)" = r2 ]
	[ "$(mounted b)" = r2 ]
	no_leftovers
}

@test "destroy takes what upgrades kept" {
	brig -q upgrade mroot/r2
	[ -n "$(ls "$BRIG_BASE/js/.brig/change/s")" ]
	brig -q destroy -y s
	[ ! -e "$BRIG_BASE/js/.brig/change/s" ]
}

# sums: everything below the base and the run directory but locks
sums() {
	find "$BRIG_BASE" "$BRIG_RUN" ! -path '*/lock/*' \( -type d -printf '%p %m %i\n' -o -printf '%p %y %m %i %s %C@\n' \) | sort
}

@test "start -n, stop -n and restart -n say what would be done, and do nothing" {
	brig -q start a
	brig -q upgrade --no-restart mroot/r2
	sums >"$LAB/sums"
	run brig restart -n a
	[ "$status" = 0 ]
	# as it will be: down, then the change that waits, then up
	[[ "$output" == *"a: TERM to its processes"*"a: end all processes"*"a: stage the files"*"a: exec.start: true"*"a: services: sleep 1000"* ]]
	run brig stop -n a
	[ "$status" = 0 ]
	[[ "$output" == *"a: end all processes"* ]]
	run brig start -n a
	[ "$output" = "a: runs already" ]
	run brig start -n b
	[ "$status" = 0 ]
	[[ "$output" == *"b: exec.start: true"* ]]
	sums | diff "$LAB/sums" -
	brig -q stop a
	# what a start would give up with a warning is an error here, and stays
	echo '{' >"$BRIG_BASE"/js/.brig/change/a/1.json
	run brig start -n a
	[ "$status" = 1 ]
	one_line "$output"
	grep -q '"change": "prepared"' "$BRIG_BASE/js/.brig/a.json"
}
