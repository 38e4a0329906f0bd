#!/usr/bin/env bats
# Live databases in a Debian jail: test/debian/data, which makes the templates and calls this.
# d0, d1: one recipe, built twice; d2: a package more; t1: the next Debian.

load ../e2e/lib

setup_file() {
	: >"$LAB/times"
	brig -q stop -a --force || true
	brig -q upgrade mroot/d0
	conf <<-'EOF'
		stop.timeout = 60;
		db {
			exec.start = "install -d -o mysql /run/mysqld; install -d -m 2775 -o postgres -g postgres /run/postgresql";
			service = "/usr/sbin/mariadbd --user=mysql", "/home/pg";
		}
	EOF
	[ ! -d "$BRIG_BASE/js/db" ] || brig -q destroy -y db
	brig -q create db
	# PostgreSQL of the cluster's version, where the release has it
	cat >"$BRIG_BASE/js/db/home/pg" <<-'EOF'
		#!/bin/sh
		b=/usr/lib/postgresql/15/bin/postgres
		[ -x $b ] || exec sleep 1000000
		exec setpriv --reuid=postgres --regid=postgres --init-groups $b -D /var/lib/postgresql/15/main \
			-c config_file=/etc/postgresql/15/main/postgresql.conf -c ssl=off
	EOF
	chmod 755 "$BRIG_BASE/js/db/home/pg"
	brig -q start db
	eventually 60 my 'SELECT 1'
	eventually 60 pg 'SELECT 1'
	my 'CREATE DATABASE app; CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT) ENGINE=InnoDB;
		CREATE TABLE app.a (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT) ENGINE=Aria;
		CREATE USER app@localhost IDENTIFIED BY "secret"; GRANT ALL ON app.* TO app@localhost'
	pg 'CREATE TABLE t (id SERIAL PRIMARY KEY, v TEXT)'
	my 'INSERT INTO app.t (v) SELECT REPEAT("x", 100) FROM seq_1_to_5000; INSERT INTO app.a (v) SELECT v FROM app.t' ||
		for _ in $(seq 50); do my 'INSERT INTO app.t (v) VALUES ("x"),("y"); INSERT INTO app.a (v) VALUES ("x")'; done
	pg "INSERT INTO t (v) SELECT repeat('x', 100) FROM generate_series(1, 5000)"
}
teardown_file() {
	brig -q stop -a --force || true
	[ ! -d "$BRIG_BASE/js/db" ] || brig -q destroy -y db
	sed 's/^/# /' "$LAB/times" >&3
}

my() { brig exec db mariadb -N -e "$1"; }
pg() { brig exec db setpriv --reuid=postgres --regid=postgres --init-groups psql -qAt -c "$1"; }
# All of the clusters, byte for byte; of a jail that does not run.
facts() {
	(
		cd "$BRIG_BASE/js/db/var/lib" || exit 1
		find mysql postgresql -printf '%y %m %U:%G %p %l %T@\n' | sort
		find mysql postgresql -type f -print0 | sort -z | xargs -0 sha256sum
	)
}
healthy() {
	[ "$(my 'CHECK TABLE mysql.proc, mysql.db, mysql.global_priv, app.t, app.a' | awk '$3 == "status" && $4 == "OK"' | wc -l)" = 5 ] || return 1
	[ "$(brig exec db mariadb -uapp -psecret -N -e 'SELECT COUNT(*) > 90 FROM app.t')" = 1 ] || return 1
	pg 'SELECT 1' >/dev/null
}
# writes rows until the file stop is there; each that was acknowledged is written down
writer() {
	local n=0
	while [ ! -e "$LAB/stop" ]; do
		n=$((n + 1))
		if my "INSERT INTO app.t (v) VALUES ('w$1.$n'); INSERT INTO app.a (v) VALUES ('w$1.$n')" 2>/dev/null; then
			echo "w$1.$n" >>"$LAB/my.rows"
		fi
		if pg "INSERT INTO t (v) VALUES ('w$1.$n')" 2>/dev/null; then
			echo "w$1.$n" >>"$LAB/pg.rows"
		fi
	done
}
rows_written() { [ "$(wc -l <"$LAB/my.rows")" -gt 5 ] && [ "$(wc -l <"$LAB/pg.rows")" -gt 5 ]; }
# switches with writes going on; nothing that was acknowledged is lost
with_writes() {
	local w
	rm -f "$LAB/stop" "$LAB/my.rows" "$LAB/pg.rows"
	writer "$1" 3>&- &
	w=$!
	sleep 1
	shift
	"$@" >"$LAB/out" 2>&1
	tail -n 1 "$LAB/out" >>"$LAB/times"
	eventually 60 my 'SELECT 1'
	eventually 60 pg 'SELECT 1'
	eventually 60 rows_written # a busy machine is slow
	touch "$LAB/stop"
	wait "$w"
	my "SELECT v FROM app.t WHERE v LIKE 'w%'" | sort >"$LAB/my.have"
	pg "SELECT v FROM t WHERE v LIKE 'w%'" | sort >"$LAB/pg.have"
	[ -z "$(sort "$LAB/my.rows" | comm -23 - "$LAB/my.have")" ]
	[ -z "$(sort "$LAB/pg.rows" | comm -23 - "$LAB/pg.have")" ]
}

@test "the builds differ in their databases, and the plan speaks of none of it" {
	for r in d1 d2 t1; do
		[ "$(diff -rq "$BRIG_BASE/templates/mroot/d0/skel/var/lib/mysql" "$BRIG_BASE/templates/mroot/$r/skel/var/lib/mysql" | wc -l)" -gt 5 ]
		brig upgrade mroot/$r -n >"$LAB/plan.$r"
		grep -c '^  . /' "$LAB/plan.$r" | sed "s/^/plan to $r: paths /" >>"$LAB/times"
		[ "$(grep -c -e var/lib/mysql -e var/lib/postgresql "$LAB/plan.$r")" = 0 ]
		grep '(data: ' "$LAB/plan.$r" | sed "s/^/plan to $r: /" >>"$LAB/times" || true
	done
}

@test "the next Debian has no server for the cluster: the jail is held back, and runs on" {
	run brig upgrade mroot/t1
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"db: stays on d0: /var/lib/postgresql/15/main needs /usr/lib/postgresql/15/bin/postgres, which release t1 does not have"* ]]
	run brig upgrade -n --force db mroot/t1
	echo "$output"
	[[ "$output" == *"db: warning: /var/lib/mysql has the format of mariadb-server 10.11: release t1 converts it to 11."* ]]
	healthy
}

@test "forced there, it goes back: nothing listens where PostgreSQL did" {
	run brig upgrade --force db mroot/t1
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"tcp 5432"*"nothing listens there any more"*"back on release d0, as it was"* ]]
	eventually 60 my 'SELECT 1'
	eventually 60 pg 'SELECT 1'
	healthy
}

@test "a rebuild, while rows are written" {
	with_writes 1 brig upgrade mroot/d1
	healthy
}

@test "a package more, while rows are written" {
	with_writes 2 brig upgrade mroot/d2
	healthy
	[ "$(brig exec db stat -c '%U' /var/lib/redis)" = redis ]
}

@test "and back, while rows are written" {
	with_writes 3 brig rollback mroot d0
	healthy
	[ ! -e "$BRIG_BASE/js/db/var/lib/redis" ]
}

@test "stopped: byte for byte the same through all of them, the next Debian, and back" {
	brig -q stop db
	facts >"$LAB/facts"
	for r in d1 d2 t1; do
		brig -q upgrade --force db mroot/$r
		facts | diff -u "$LAB/facts" -
	done
	[ ! -e "$BRIG_BASE/js/db/var/lib/postgresql/17" ]
	brig rollback mroot d0 >"$LAB/out"
	facts | diff -u "$LAB/facts" -
	[ "$(grep -c warning "$LAB/out")" = 0 ]
	brig -q start db
	eventually 60 my 'SELECT 1'
	eventually 60 pg 'SELECT 1'
	healthy
}

@test "the next Debian's MariaDB finds the data of this one" {
	brig -q upgrade --force db --ignore-listen --keep-data mroot/t1
	eventually 60 my 'SELECT 1'
	[[ "$(my 'SELECT VERSION()')" == 11.* ]]
	[ "$(my 'SELECT COUNT(*) > 90 FROM app.t')" = 1 ]
	# its upgrade of the tables is yet to be done, and knows it
	[ "$(cut -d- -f1 "$BRIG_BASE"/js/db/var/lib/mysql/mysql_upgrade_info "$BRIG_BASE"/js/db/var/lib/mysql/mariadb_upgrade_info 2>/dev/null |
		head -n 1 | cut -d. -f1)" != 11 ]
	[ "$(cat "$BRIG_BASE/js/db/var/lib/postgresql/15/main/PG_VERSION")" = 15 ]
}

@test "converted there, the way back is held; with the copy everything is as it was" {
	brig exec db mariadb-upgrade >"$LAB/out" 2>&1
	my "INSERT INTO app.t (v) VALUES ('there')"
	run brig rollback mroot d0
	echo "$output"
	[ "$status" = 1 ]
	[[ "$output" == *"db: stays on t1: /var/lib/mysql has the format of mariadb-server 11."*"which cannot read it"* ]]
	run brig rollback -n --with-data mroot d0
	echo "$output"
	[ "$status" = 0 ]
	brig rollback --with-data mroot d0 | tail -n 1 >>"$LAB/times"
	eventually 60 my 'SELECT 1'
	eventually 60 pg 'SELECT 1'
	[[ "$(my 'SELECT VERSION()')" == 10.11.* ]]
	[ "$(my "SELECT COUNT(*) FROM app.t WHERE v = 'there'")" = 0 ]
	healthy
}
