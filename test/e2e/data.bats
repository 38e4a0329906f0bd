#!/usr/bin/env bats
# Data of jails: what a service wrote is never merged, replaced or removed, whatever two releases hold; what a
# release brings is given whole.

load lib

# r1 has the database fakedb, r2 is a rebuild of it, r3 has another package instead; r4 is r1 with other ids.
setup_file() {
	lab_setup none
	local n f
	for n in 1 2 3 4; do
		mkdir -p "$LAB/o$n"/etc "$LAB/o$n"/var/lib "$LAB/o$n"/var/log "$LAB/o$n"/var/cache/pkg "$LAB/o$n"/srv
		echo "conf $n" >"$LAB/o$n/etc/app.conf"
		echo "built $n" >"$LAB/o$n/var/log/dpkg.log"
		echo "built $n" >"$LAB/o$n/var/cache/pkg/index"
		echo "built $n" >"$LAB/o$n/var/lib/single"
	done
	for n in 1 2 4; do
		mkdir -p "$LAB/o$n/var/lib/fakedb/sys" "$LAB/o$n/srv/www"
		for f in ibdata sys/proc sys/user; do echo "$f $n" >"$LAB/o$n/var/lib/fakedb/$f"; done
		echo "only in $n" >"$LAB/o$n/var/lib/fakedb/only$n"
		chmod 700 "$LAB/o$n/var/lib/fakedb"
		echo "page $n" >"$LAB/o$n/srv/www/index.html"
	done
	chown -R 104:105 "$LAB"/o[12]/var/lib/fakedb
	chown -R 106:107 "$LAB/o4/var/lib/fakedb"
	mkdir -p "$LAB/o3/var/lib/newdb/base" "$LAB/o3/var/log/newdb" "$LAB/o3/var/spool/newdb/in"
	echo init >"$LAB/o3/var/lib/newdb/base/one"
	ln "$LAB/o3/var/lib/newdb/base/one" "$LAB/o3/var/lib/newdb/base/two"
	ln -s base/one "$LAB/o3/var/lib/newdb/link"
	truncate -s 1M "$LAB/o3/var/lib/newdb/sparse"
	echo x >"$LAB/o3/var/log/newdb/log"
	install -m 640 -o 33 /dev/null "$LAB/o3/var/log/newdb/empty"
	echo x >"$LAB/o3/var/spool/newdb/in/msg"
	chmod 640 "$LAB/o3/var/lib/newdb/base/one"
	chown -R 33:34 "$LAB/o3/var/lib/newdb"
	chmod 2750 "$LAB/o3/var/lib/newdb"
	chown 33:4 "$LAB/o3/var/log/newdb"
	chmod 1730 "$LAB/o3/var/spool/newdb/in"
	for n in 1 2 3 4; do brig -q template build mroot busybox --overlay "$LAB/o$n" --release "r$n" --no-current; done
	cat >"$LAB/writer" <<-'EOF'
		#!/bin/sh
		cd /var/lib/fakedb || exit 1
		n=0
		while :; do
			n=$((n + 1))
			echo "$n" >>wal
			[ $((n % 5)) != 0 ] || { echo "row $n" >sys/.new && mv sys/.new "sys/row$((n % 3))"; }
			sleep 0.05
		done
	EOF
	chmod 755 "$LAB/writer"
}
teardown_file() { lab_teardown; }

setup() {
	conf <<-EOF
		exec.start = "true"; persist; stop.timeout = 2;
		a { service = "/s/home/writer"; }
		s { }
	EOF
	brig -q upgrade mroot/r1
	brig -q create a s
	for j in a s; do
		install -m 755 "$LAB/writer" "$BRIG_BASE/js/$j/home/writer"
		echo "mine" >"$BRIG_BASE/js/$j/var/lib/fakedb/sys/user"
		echo "mine" >"$BRIG_BASE/js/$j/srv/www/mine"
	done
}
teardown() {
	destroy_all
	rm -rf /etc/brig/split.rules
}

# data_of JAIL: all that is data in it, but for what the writer writes and what the tests look at by themselves
data_of() {
	(
		cd "$BRIG_BASE/js/$1" || exit 1
		find . -path ./etc -prune -o -path ./root -prune -o ! -name 'row?' ! -name .new ! -name wal ! -path './var/log*' \
			-printf '%y %m %U:%G %p %l\n' | sed 's/ $//' | sort
		find . -path ./etc -prune -o -path ./root -prune -o -type f ! -name 'row?' ! -name .new ! -name wal \
			! -path './var/log*' -print0 | sort -z | xargs -0 sha256sum
	)
}
# live JAIL BEFORE: what the writer wrote is all there
live() {
	local wal=$BRIG_BASE/js/$1/var/lib/fakedb/wal
	head -c "$(stat -c %s "$2")" "$wal" | cmp - "$2" || return 1
	seq "$(grep -c . "$wal")" >/dev/null
	[ -s "$wal" ] || return 1
	ls "$BRIG_BASE/js/$1/var/lib/fakedb/sys/row0" "$BRIG_BASE/js/$1/var/lib/fakedb/sys/row1" >/dev/null
}
written() { [ -e "$BRIG_BASE/js/a/var/lib/fakedb/sys/row0" ] && [ -e "$BRIG_BASE/js/a/var/lib/fakedb/sys/row1" ]; }
record() { echo "$BRIG_BASE/js/.brig/$1.json"; }

@test "a rebuild touches nothing of a database that is written to, nor does the way back" {
	brig -q start a
	eventually 10 written
	for j in a s; do data_of $j >"$LAB/$j.before"; done
	cp "$BRIG_BASE/js/a/var/lib/fakedb/wal" "$LAB/wal"
	run brig upgrade mroot/r2
	[ "$status" = 0 ]
	[[ "$output" != *fakedb* ]]
	for j in a s; do data_of $j | diff -u "$LAB/$j.before" -; done
	live a "$LAB/wal"
	[ "$(cat "$BRIG_BASE/js/a/etc/app.conf")" = "conf 2" ]
	cp "$BRIG_BASE/js/a/var/lib/fakedb/wal" "$LAB/wal"
	run brig rollback mroot
	[ "$status" = 0 ]
	[[ "$output" != *fakedb* ]]
	for j in a s; do data_of $j | diff -u "$LAB/$j.before" -; done
	live a "$LAB/wal"
	[ "$(cat "$BRIG_BASE/js/a/etc/app.conf")" = "conf 1" ]
}

@test "the same to a recipe without the package, and back" {
	brig -q start a
	eventually 10 written
	data_of a | grep -v -e newdb >"$LAB/a.before"
	cp "$BRIG_BASE/js/a/var/lib/fakedb/wal" "$LAB/wal"
	brig -q upgrade mroot/r3
	data_of a | grep -v -e newdb | diff -u "$LAB/a.before" -
	live a "$LAB/wal"
	brig -q upgrade mroot/r2
	data_of a | grep -v -e newdb | diff -u "$LAB/a.before" -
	brig -q rollback mroot r1
	data_of a | diff -u "$LAB/a.before" -
	live a "$LAB/wal"
}

@test "with -A as well; and with -I nothing is given" {
	data_of s >"$LAB/s.before"
	brig -q upgrade mroot/r2 -A '*'
	data_of s | diff -u "$LAB/s.before" -
	brig -q upgrade mroot/r3 -I '/var/lib/new*'
	[ ! -e "$BRIG_BASE/js/s/var/lib/newdb" ]
}

@test "data that the release brings arrives whole, with owners, modes and names" {
	brig -q upgrade mroot/r3
	for j in a s; do
		new=$BRIG_BASE/js/$j/var/lib/newdb
		[ "$(stat -c '%a %u:%g' "$new")" = '2750 33:34' ]
		[ "$(stat -c '%a %u:%g' "$new/base/one")" = '640 33:34' ]
		[ "$new/base/one" -ef "$new/base/two" ]
		[ "$(readlink "$new/link")" = base/one ]
		[ "$(cat "$new/base/two")" = init ]
		[ "$(stat -c '%s' "$new/sparse")" = 1048576 ]
		# directories that it needs, without what was in them when it was built
		[ "$(stat -c '%u:%g' "$BRIG_BASE/js/$j/var/log/newdb")" = 33:4 ]
		[ "$(stat -c '%a' "$BRIG_BASE/js/$j/var/spool/newdb/in")" = 1730 ]
		[ "$(find "$BRIG_BASE/js/$j/var/log/newdb" "$BRIG_BASE/js/$j/var/spool/newdb" -type f -printf '%f %m %U')" = \
			'empty 640 33' ]
	done
	[ ! "$BRIG_BASE/js/a/var/lib/newdb/base/one" -ef "$BRIG_BASE/js/s/var/lib/newdb/base/one" ]
	# as a template has it
	[ "$BRIG_BASE/templates/mroot/r3/skel/var/lib/newdb/base/one" -ef \
		"$BRIG_BASE/templates/mroot/r3/skel/var/lib/newdb/base/two" ]
	[ -z "$(ls "$BRIG_BASE/js/.brig/switch")" ]
}

@test "the plan shows what will be given, and nothing else about data" {
	run brig upgrade mroot/r3 -n
	[ "$status" = 0 ]
	[ "$(grep -c '^  A /var/lib/newdb  (data: all)$' <<<"$output")" = 1 ]
	[ "$(grep -c '^  U /etc/app.conf  (all)$' <<<"$output")" = 1 ]
	[ "$(grep -c '^  . /' <<<"$output")" = 2 ]
	[ ! -e "$BRIG_BASE/js/s/var/lib/newdb" ]
	run brig --json upgrade mroot/r3 -n
	[ "$(grep -c '"data": true' <<<"$output")" = 2 ]
	[ "$(grep -c '"action"' <<<"$output")" = 4 ]
	run brig upgrade mroot/r2 -n
	[ "$status" = 0 ]
	[[ "$output" != *var/* ]]
	[[ "$output" != *srv/* ]]
	brig -q upgrade mroot/r3
	run brig rollback mroot -n
	[ "$(grep -c '^  D /var/lib/newdb' <<<"$output")" = 1 ]
	[ "$(grep -c '^  . /' <<<"$output")" = 2 ]
}

@test "rollback: what was given goes as it was given" {
	data_of s >"$LAB/s.before"
	find "$BRIG_BASE/js/s/var/log" | sort >"$LAB/s.log"
	brig -q upgrade mroot/r3
	run brig rollback mroot
	[ "$status" = 0 ]
	[[ "$output" != *warning* ]]
	data_of s | diff -u "$LAB/s.before" -
	find "$BRIG_BASE/js/s/var/log" | sort | diff -u "$LAB/s.log" -
}

@test "rollback: what was given and changed stays, all of it, and is named" {
	for how in 'echo row >>"$new/base/one"' 'rm "$new/link"' 'touch "$new/base/three"' 'chmod 700 "$new/base"' \
		'chown 1 "$new/sparse"'; do
		brig -q upgrade mroot/r3
		new=$BRIG_BASE/js/s/var/lib/newdb
		eval "$how"
		find "$new" -printf '%y %m %U:%G %p %s\n' >"$LAB/new"
		echo line >"$BRIG_BASE/js/s/var/log/newdb/log"
		run brig rollback mroot
		[ "$status" = 0 ]
		[ "$(grep -c warning <<<"$output")" = 1 ]
		[[ "$output" == *"s: warning: var/lib/newdb: changed since, kept as it is"* ]]
		find "$new" -printf '%y %m %U:%G %p %s\n' | diff -u "$LAB/new" -
		[ "$(cat "$BRIG_BASE/js/s/var/log/newdb/log")" = line ]
		[ ! -e "$BRIG_BASE/js/a/var/lib/newdb" ]
		# the next upgrade leaves it, too
		brig -q upgrade mroot/r3
		find "$new" -printf '%y %m %U:%G %p %s\n' | diff -u "$LAB/new" -
		brig -q rollback mroot
		find "$new" -printf '%y %m %U:%G %p %s\n' | diff -u "$LAB/new" -
		rm -r "$new" "$BRIG_BASE/js/s/var/log/newdb"
	done
}

@test "what an administrator took away, or has of his own, is left so" {
	rm -r "$BRIG_BASE/js/s/srv/www"
	mkdir "$BRIG_BASE/js/s/var/lib/newdb"
	echo mine >"$BRIG_BASE/js/s/var/lib/newdb/mine"
	ln -s /srv "$BRIG_BASE/js/a/var/lib/newdb"
	brig -q upgrade mroot/r2
	[ ! -e "$BRIG_BASE/js/s/srv/www" ]
	run brig upgrade mroot/r3
	[ "$status" = 0 ]
	[ "$(ls "$BRIG_BASE/js/s/var/lib/newdb")" = mine ]
	[ "$(readlink "$BRIG_BASE/js/a/var/lib/newdb")" = /srv ]
	brig -q rollback mroot r1
	[ "$(cat "$BRIG_BASE/js/s/var/lib/newdb/mine")" = mine ]
}

@test "a jail that is not healthy goes back without what it was given, unless that was used" {
	conf <<-EOF
		exec.start = "true"; persist; stop.timeout = 2;
		a { service = "sleep 1000"; health = "grep -q 'conf 1' /etc/app.conf"; }
	EOF
	brig -q start a
	data_of a >"$LAB/a.before"
	run brig upgrade mroot/r3
	[ "$status" = 1 ]
	data_of a | diff -u "$LAB/a.before" -
	[ ! -e "$BRIG_BASE/js/a/var/lib/newdb" ]
	sed -i 's/exec.start = "true"/exec.start = "[ ! -d \/var\/lib\/newdb ] || echo x >\/var\/lib\/newdb\/used"/' "$BRIG_CONF"
	run brig upgrade mroot/r3
	[ "$status" = 1 ]
	[[ "$output" == *"a: warning: var/lib/newdb: kept, because the jail changed it meanwhile"* ]]
	[ "$(cat "$BRIG_BASE/js/a/var/lib/newdb/used")" = x ]
	[ "$(cat "$BRIG_BASE/js/a/etc/app.conf")" = "conf 1" ]
}

@test "other ids of the package: said, not done" {
	run brig upgrade mroot/r4 -n
	[ "$(grep -c 'warning: /var/lib/fakedb: belongs to 104:105, in the new release to 106:107' <<<"$output")" = 2 ]
	run brig upgrade mroot/r4
	[ "$status" = 0 ]
	[[ "$output" == *"s: warning: /var/lib/fakedb: belongs to 104:105, in the new release to 106:107"* ]]
	[ "$(stat -c '%a %u:%g' "$BRIG_BASE/js/s/var/lib/fakedb")" = '700 104:105' ]
	[ "$(stat -c '%u:%g' "$BRIG_BASE/js/s/var/lib/fakedb/ibdata")" = 104:105 ]
}

@test "a jailspace on another file system is given data, too" {
	mkdir "$LAB/other"
	mount -t tmpfs none "$LAB/other"
	conf <<-EOF
		persist; stop.timeout = 2; exec.start = "true";
		o { space = "$LAB/other/o"; }
	EOF
	brig -q create o
	brig -q start o
	brig -q upgrade mroot/r3
	[ "$(brig exec o cat /var/lib/newdb/link)" = init ]
	[ "$(stat -c '%a %u:%g' "$LAB/other/o/var/lib/newdb")" = '2750 33:34' ]
	brig -q rollback mroot
	[ ! -e "$LAB/other/o/var/lib/newdb" ]
	[ "$(cat "$LAB/other/o/var/lib/fakedb/ibdata")" = 'ibdata 1' ]
	brig -q stop o
	brig -q destroy -y --space o
	umount "$LAB/other"
}

@test "rules of a release: more that is configuration, and less" {
	mkdir -p "$LAB/p1/usr/local/bin" "$LAB/p1/etc/keys" "$LAB/p1/var/lib/rel"
	cp -a "$LAB/p1" "$LAB/p2"
	for n in 1 2; do
		echo "tool $n" >"$LAB/p$n/usr/local/bin/tool"
		echo "tool $n" >"$LAB/p$n/usr/local/other"
		echo "key $n" >"$LAB/p$n/etc/keys/key"
		echo "rel $n" >"$LAB/p$n/var/lib/rel/x"
	done
	{
		cat "$BRIG_TOP/data/split.rules"
		echo 'config usr/local/bin'
		echo 'data etc/keys'
		echo 'release var/lib/rel'
	} >"$LAB/rules"
	for n in 1 2; do
		brig -q template build rules busybox --overlay "$LAB/p$n" --release "p$n" --rules "$LAB/rules" --no-current
	done
	brig -q upgrade rules/p1
	conf <<<'t { template = rules; persist; exec.start = "true"; }'
	brig -q create t
	echo mine >"$BRIG_BASE/js/t/var/lib/rel/x"
	brig -q upgrade rules/p2
	[ "$(cat "$BRIG_BASE/js/t/usr-local/bin/tool")" = "tool 2" ]
	[ "$(cat "$BRIG_BASE/js/t/usr-local/other")" = "tool 1" ]
	[ "$(cat "$BRIG_BASE/js/t/etc/keys/key")" = "key 1" ]
	[ "$(cat "$BRIG_BASE/js/t/var/lib/rel/x")" = "rel 2" ]
	brig -q rollback rules
	[ "$(cat "$BRIG_BASE/js/t/usr-local/bin/tool")" = "tool 1" ]
	[ "$(cat "$BRIG_BASE/js/t/var/lib/rel/x")" = mine ]
}

# ---- what an older brig left ----

# no_classes RELEASE: its rules are those of a brig that knew no classes
no_classes() { sed -i -E '/^(config|data|release|ignore)[[:blank:]]/d' "$BRIG_BASE/templates/mroot/$1/rules"; }

# as_older: upgrades to r2 as an older brig did, file by file
as_older() {
	cp "$BRIG_BASE/templates/mroot/r2/rules" "$LAB/rules.r2"
	no_classes r2
	printf 'config %s\n' etc root var srv >>"$BRIG_BASE/templates/mroot/r2/rules"
	brig -q upgrade mroot/r2
	cp "$LAB/rules.r2" "$BRIG_BASE/templates/mroot/r2/rules"
	no_classes r2
	[ "$(cat "$BRIG_BASE/js/s/var/lib/fakedb/ibdata")" = 'ibdata 2' ]
	[ ! -e "$BRIG_BASE/js/s/var/lib/fakedb/only1" ]
}

@test "releases of an older brig: the installed classes hold" {
	for r in r1 r2 r3; do no_classes $r; done
	data_of s | grep -v newdb >"$LAB/s.before"
	brig -q upgrade mroot/r2
	data_of s | diff -u "$LAB/s.before" -
	brig -q upgrade mroot/r3
	data_of s | grep -v newdb | diff -u "$LAB/s.before" -
	[ -d "$BRIG_BASE/js/s/var/lib/newdb" ]
	brig -q rollback mroot r1
	data_of s | diff -u "$LAB/s.before" -
	[ "$(cat "$BRIG_BASE/js/s/etc/app.conf")" = "conf 1" ]
}

@test "the way back over an upgrade of an older brig: a database that nobody wrote to is as it was" {
	data_of s >"$LAB/s.before"
	as_older
	run brig rollback mroot
	[ "$status" = 0 ]
	[ "$(grep warning <<<"$output" | grep -vc '/var/lib/fakedb/sys/user: is data: what waited')" = 0 ]
	data_of s | diff -u "$LAB/s.before" -
}

@test "the same where one file was written to: all of it stays, and is named" {
	for file in ibdata sys/user wal sys/row0; do
		as_older
		sleep 0.1
		echo written >>"$BRIG_BASE/js/s/var/lib/fakedb/$file"
		(cd "$BRIG_BASE/js/s/var/lib/fakedb" && find . -type f -exec sha256sum {} +) | sort >"$LAB/db"
		run brig rollback mroot
		[ "$status" = 0 ]
		[ "$(grep 's: warning' <<<"$output" | grep -vc 'is data')" = 1 ]
		[[ "$output" == *"s: warning: var/lib/fakedb: changed since, kept as it is"* ]]
		(cd "$BRIG_BASE/js/s/var/lib/fakedb" && find . -type f -exec sha256sum {} +) | sort | diff -u "$LAB/db" -
		[ "$(cat "$BRIG_BASE/js/s/srv/www/index.html")" = "page 1" ]
		[ "$(cat "$BRIG_BASE/js/s/etc/app.conf")" = "conf 1" ]
		brig -q destroy -y s
		brig -q create s
		echo "mine" >"$BRIG_BASE/js/s/var/lib/fakedb/sys/user"
	done
}

@test "conflicts about data are dropped, and that is said" {
	python3 - "$(record s)" <<-'EOF'
		import json, sys
		r = json.load(open(sys.argv[1]))
		r["conflicts"] = [{"path": p, "base": "r1", "why": "both changed it"} for p in ("var/lib/fakedb/sys/user",)]
		json.dump(r, open(sys.argv[1], "w"))
	EOF
	run brig merge
	[ "$status" = 0 ]
	[[ "$output" != *fakedb* ]]
	run brig upgrade mroot/r2
	[ "$status" = 0 ]
	[[ "$output" == *"s: warning: /var/lib/fakedb/sys/user: is data: what waited there for a decision is dropped"* ]]
	run grep -c fakedb "$(record s)"
	[ "$output" = 0 ]
	[ "$(cat "$BRIG_BASE/js/s/var/lib/fakedb/sys/user")" = mine ]
}

@test "conflicts about data: a decision about another file drops them as well" {
	echo mine >"$BRIG_BASE/js/s/etc/app.conf"
	brig -q upgrade mroot/r2
	python3 - "$(record s)" <<-'EOF'
		import json, sys
		r = json.load(open(sys.argv[1]))
		r["conflicts"].append({"path": "var/lib/fakedb/sys/user", "base": "r1", "why": "both changed it"})
		json.dump(r, open(sys.argv[1], "w"))
	EOF
	run brig merge --theirs /var/lib/fakedb/sys/user s
	[ "$status" = 1 ]
	one_line "$output"
	[ "$(cat "$BRIG_BASE/js/s/var/lib/fakedb/sys/user")" = mine ]
	run brig merge --theirs /etc/app.conf s
	[ "$status" = 0 ]
	[[ "$output" == *"s: warning: /var/lib/fakedb/sys/user: is data: what waited there for a decision is dropped"* ]]
	run grep -c fakedb "$(record s)"
	[ "$output" = 0 ]
	[ "$(cat "$BRIG_BASE/js/s/var/lib/fakedb/sys/user")" = mine ]
	[ "$(cat "$BRIG_BASE/js/s/etc/app.conf")" = "conf 2" ]
}
