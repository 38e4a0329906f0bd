#!/usr/bin/env bats
# Guards: a jail is not brought to a release that its data cannot be used with, and the plan says why.

load lib

# Releases p15, p1517 and p17 have a server of these versions; m10 and m11 a package of a version, and services.
setup_file() {
	local r v
	lab_setup none
	for r in p15 p1517 p17; do
		mkdir -p "$LAB/$r/etc"
		echo $r >"$LAB/$r/etc/release"
		for v in ${r/p/}; do
			case $v in 1517) v="15 17" ;; esac
			for v in $v; do
				mkdir -p "$LAB/$r/usr/lib/postgresql/$v/bin"
				echo "#!/bin/sh" >"$LAB/$r/usr/lib/postgresql/$v/bin/postgres"
			done
		done
	done
	for r in m10:1:10.11.6-0+deb12u1 m11:1:11.8.3-0+deb13u1 m12:; do
		v=${r#*:}
		r=${r%%:*}
		mkdir -p "$LAB/$r/etc/init.d" "$LAB/$r/var/lib/dpkg"
		echo $r >"$LAB/$r/etc/release"
		: >"$LAB/$r/var/lib/dpkg/status"
		[ -z "$v" ] || printf 'Package: mariadb-server\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n' "$v" \
			>"$LAB/$r/var/lib/dpkg/status"
		[ $r = m11 ] || echo "#!/bin/sh" >"$LAB/$r/etc/init.d/some-service"
	done
	for r in p15 p1517 p17 m10 m11 m12; do
		brig -q template build mroot busybox --overlay "$LAB/$r" --release $r --no-current
	done
}
teardown_file() { lab_teardown; }

setup() {
	conf <<-EOF
		exec.start = "true"; persist; stop.timeout = 2;
		a { service = "sleep 1000"; }
		b { service = "sleep 1000"; }
	EOF
}
teardown() {
	destroy_all
}
begin() { # RELEASE
	brig -q upgrade "mroot/$1"
	brig -q create a b
	brig -q start a b
}
on() { # JAIL RELEASE
	[ "$(release_of "$1")" = "$2" ]
	[ "$(brig exec "$1" cat /etc/release)" = "$2" ]
}
cluster() { # JAIL VERSION
	mkdir -p "$BRIG_BASE/js/$1/var/lib/postgresql/$2/main"
	echo "$2" >"$BRIG_BASE/js/$1/var/lib/postgresql/$2/main/PG_VERSION"
}

@test "a cluster whose server the release does not have: that jail is held back, the others are switched" {
	begin p15
	cluster a 15
	run brig upgrade -n mroot/p17
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == *"a: stays on p15: /var/lib/postgresql/15/main needs /usr/lib/postgresql/15/bin/postgres, which release p17 does not have: have packages of this version, too,"*"pg_upgradecluster(1) (--force NAME switches it all the same)"* ]]
	[[ "$output" == *"a     p15      held"* ]]
	run brig upgrade mroot/p17
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"switched 1 of 2 jails to p17"*"; 1 held back"* ]]
	on a p15
	on b p17
	status=0
	output=$("$BRIG" --json upgrade mroot/p17 2>/dev/null) || status=$?
	[ "$status" = 1 ]
	python3 -c 'import json, sys
o = json.load(sys.stdin)
assert [p["held"] for p in o["plan"]] == [True] and [j["result"] for j in o["jails"]] == ["held"], o' <<<"$output"
	[ "$(readlink "$BRIG_BASE/templates/mroot/current")" = p17 ]
	# a release with both is no difficulty, and from there the new cluster is not, either
	brig -q upgrade mroot/p1517
	on a p1517
	rm -r "$BRIG_BASE/js/a/var/lib/postgresql/15"
	cluster a 17
	brig -q upgrade mroot/p17
	on a p17
	# and back it would be without its server
	run brig rollback mroot p15
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"a: stays on p17: /var/lib/postgresql/17/main needs"* ]]
	on a p17
	on b p15
}

@test "--force NAME, for this jail only; what was not there before is no reason" {
	begin p15
	cluster a 15
	cluster b 15
	run brig upgrade --force a mroot/p17
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"a: warning: /var/lib/postgresql/15/main needs"* ]]
	on a p17
	on b p15
	brig -q upgrade --jail a mroot/p1517
	brig -q upgrade --jail a mroot/p15 # forced: what a release before did not have is not asked for again
	on a p15
	run brig upgrade --force nobody mroot/p17
	[ "$status" = 2 ]
	[[ "$output" == *"nobody: no jail of template mroot"* ]]
	# one that waits for its start: forced, and one that gets its cluster only meanwhile
	brig -q upgrade --jail a --force a --no-restart mroot/p17
	brig -q restart a
	on a p17
	rm -r "$BRIG_BASE/js/b/var/lib/postgresql/15"
	brig -q upgrade --jail b --no-restart mroot/p17
	cluster b 15
	run brig restart b
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"/var/lib/postgresql/15/main needs"* ]]
	[ "$(release_of b)" = p15 ]
	brig exec b true
}

@test "all at once: the held one runs on, untouched" {
	begin p15
	cluster a 15
	before=$(jail_pid a)
	run brig upgrade --all-at-once mroot/p17
	echo "$output"
	[ "$status" = 1 ]
	on a p15
	[ "$(jail_pid a)" = "$before" ]
	on b p17
}

@test "a format that is converted is announced, and is no way back" {
	begin m10
	mkdir -p "$BRIG_BASE/js/a/var/lib/mysql"
	echo -n 10.11.6-MariaDB >"$BRIG_BASE/js/a/var/lib/mysql/mysql_upgrade_info"
	run brig upgrade mroot/m11
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == *"a: warning: /var/lib/mysql has the format of mariadb-server 10.11: release m11 converts it to 11.8, and a rollback cannot convert it back"* ]]
	on a m11
	echo -n 11.8.3-MariaDB >"$BRIG_BASE/js/a/var/lib/mysql/mariadb_upgrade_info"
	run brig rollback -n mroot
	echo "$output"
	[[ "$output" == *"a: stays on m11: /var/lib/mysql has the format of mariadb-server 11.8, and release m10 has 10.11, which cannot read it: put back a dump"* ]]
	run brig rollback mroot
	echo "$output"
	[ "$status" = 1 ]
	on a m11
	on b m10
	run brig upgrade --jail a mroot/m12
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"/var/lib/mysql needs package mariadb-server (11.8), which release m12 does not have"* ]]
	# not converted yet: its own format is still the old one, and it can go back
	echo -n 10.11.6-MariaDB >"$BRIG_BASE/js/a/var/lib/mysql/mariadb_upgrade_info"
	brig -q rollback --jail a mroot m10
	on a m10
	# by the name of a file, the highest
	rm "$BRIG_BASE/js/a/var/lib/mysql/"*
	touch "$BRIG_BASE/js/a/var/lib/mysql/"debian-{10.5,10.11,9.9}.flag
	run brig upgrade -n --jail a mroot/m11
	echo "$output"
	[[ "$output" == *"has the format of mariadb-server 10.11: release m11 converts it to 11.8"* ]]
}

@test "--keep-data copies what guards are about, and the way back with it is not held" {
	begin m10
	mkdir -p "$BRIG_BASE/js/a/var/lib/mysql" "$BRIG_BASE/js/a/var/lib/other"
	echo -n 10.11.6-MariaDB >"$BRIG_BASE/js/a/var/lib/mysql/mariadb_upgrade_info"
	echo old >"$BRIG_BASE/js/a/var/lib/mysql/table"
	chown 7:8 "$BRIG_BASE/js/a/var/lib/mysql/table"
	run brig upgrade -n --keep-data mroot/m11
	echo "$output"
	[[ "$output" == *"var/lib/mysql"*"cop"* ]]
	[[ "$output" != *"var/lib/other"*"cop"* ]]
	brig -q upgrade --keep-data mroot/m11
	on a m11
	on b m11
	echo -n 11.8.3-MariaDB >"$BRIG_BASE/js/a/var/lib/mysql/mariadb_upgrade_info"
	echo new >"$BRIG_BASE/js/a/var/lib/mysql/table"
	run brig rollback --jail a mroot m10
	[ "$status" = 1 ]
	[[ "$output" == *"a: stays on m11"* ]]
	run brig rollback -n --with-data --jail a mroot m10
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" != *"stays on"* ]]
	brig -q rollback --with-data --jail a mroot m10
	on a m10
	[ "$(cat "$BRIG_BASE/js/a/var/lib/mysql/table")" = old ]
	[ "$(stat -c %u:%g "$BRIG_BASE/js/a/var/lib/mysql/table")" = 7:8 ]
	[ "$(cat "$BRIG_BASE/js/a/var/lib/mysql/mariadb_upgrade_info")" = 10.11.6-MariaDB ]
	# one that waits for its start
	brig -q upgrade --keep-data --no-restart --jail a mroot/m11
	brig -q restart a
	on a m11
	echo new >"$BRIG_BASE/js/a/var/lib/mysql/table"
	brig -q rollback --with-data --jail a mroot m10
	[ "$(cat "$BRIG_BASE/js/a/var/lib/mysql/table")" = old ]
}

@test "a service that rc.conf enables and the release has no script for" {
	begin m10
	printf '# none_enable="YES"\nother_enable="YES"\nsome_service_enable="YES"\n' >"$BRIG_BASE/js/a/etc/rc.conf"
	printf 'some_service_enable="NO"\n' >"$BRIG_BASE/js/b/etc/rc.conf"
	run brig upgrade mroot/m11
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"a: stays on m10: /etc/rc.conf enables some_service, and release m11 has neither a script nor a unit for it: add its package"* ]]
	[[ "$output" != *other* ]]
	on a m10
	on b m11
	echo 'some_service_command="sleep 1000"' >>"$BRIG_BASE/js/a/etc/rc.conf"
	brig -q upgrade mroot/m11
	on a m11
}

@test "a hostile jail: links, FIFOs, endless names" {
	begin p15
	cd "$BRIG_BASE/js/a/var/lib"
	mkdir -p postgresql mysql
	ln -s /usr/lib postgresql/15
	ln -s .. postgresql/16
	mkfifo mysql/mariadb_upgrade_info
	ln -s /etc/shadow mysql/mysql_upgrade_info
	mkdir postgresql/14
	(cd postgresql/14 && seq 1 5000 | xargs touch)
	mkfifo "$BRIG_BASE/js/b/etc/rc.conf.x"
	rm -f "$BRIG_BASE/js/b/etc/rc.conf"
	mv "$BRIG_BASE/js/b/etc/rc.conf.x" "$BRIG_BASE/js/b/etc/rc.conf"
	cd /
	run timeout 60 "$BRIG" upgrade mroot/p1517
	echo "$output" | cut -c 1-2000
	[ "$status" = 0 ]
	[ "$(release_of a)" = p1517 ]
	[ "$(release_of b)" = p1517 ]
}
