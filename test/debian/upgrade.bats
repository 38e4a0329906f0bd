#!/usr/bin/env bats
# 30 Debian jails with edited configuration: test/debian/upgrade, which makes the templates and calls this.
# d0, d1: one recipe, built for days a month apart; d2: a package (with accounts) more, and changed default files.

load ../e2e/lib

N=30

# edit I: what an administrator does in jail jI; a different choice in each
edit() {
	local i=$1 s=$BRIG_BASE/js/j$1 f
	for f in passwd shadow group gshadow; do cp -p "$s/etc/$f" "$s/etc/$f-"; done # as useradd(8) does
	echo "u$i:x:$((2000 + i)):$((2000 + i))::/home/u$i:/bin/bash" >>"$s/etc/passwd"
	echo "u$i:\$6\$salt\$hash$i:20000:0:99999:7:::" >>"$s/etc/shadow"
	echo "u$i:x:$((2000 + i)):" >>"$s/etc/group"
	echo "u$i:!::" >>"$s/etc/gshadow"
	mkdir -p "$s/home/u$i" "$s/etc/app/conf.d"
	chown $((2000 + i)):$((2000 + i)) "$s/home/u$i"
	echo "port = $((8000 + i))" >"$s/etc/app/conf.d/main.conf"
	chmod 600 "$s/etc/app/conf.d/main.conf"
	ln -s conf.d/main.conf "$s/etc/app/current"
	echo "$((i % 60)) 3 * * * root true" >"$s/etc/cron.d/job$i"
	echo "$((i % 60)) 4 * * * true" >"$s/var/spool/cron/crontabs/root"
	chgrp "$(awk -F: '$1 == "crontab" { print $3 }' "$s/etc/group")" "$s/var/spool/cron/crontabs/root"
	chmod 600 "$s/var/spool/cron/crontabs/root"
	echo "data $i" >"$s/var/lib/data"
	case $((i % 5)) in
	0) sed -i 's/^#Port 22/Port 2222/' "$s/etc/ssh/sshd_config" ;;          # the release changes other lines
	1) sed -i 's/^#PermitRootLogin.*/PermitRootLogin yes/' "$s/etc/ssh/sshd_config" ;; # the same line
	2) echo 'AllowUsers admin' >>"$s/etc/ssh/sshd_config" ;;
	3) rm "$s/etc/ssh/sshd_config" ;;
	esac
	case $((i % 6)) in
	0) rm -f "$s/etc/motd" "$s/etc/cron.daily/dpkg" ;;
	1) chmod 600 "$s/etc/adduser.conf" ;;
	2) chmod 600 "$s/etc/crontab" ;;
	3) sed -i '/^SHELL=/a MAILTO=root' "$s/etc/crontab" ;;
	4) sed -i 's/^UMASK.*/UMASK 077/' "$s/etc/login.defs" ;;
	5) sed -i 's/^PASS_MAX_DAYS.*/PASS_MAX_DAYS 90/' "$s/etc/login.defs" ;;
	esac
	case $((i % 7)) in
	0) ln -sfn ../usr/share/zoneinfo/Europe/Paris "$s/etc/localtime" ;;
	1) ln -sfn /usr/bin/more "$s/etc/alternatives/pager" ;;
	2) rm "$s/etc/rc2.d/S01cron" ;;
	3) rm "$s/etc/pam.d/chsh" && ln -s login "$s/etc/pam.d/chsh" ;;
	4) rm -f "$s/etc/motd" && mkdir -p "$s/etc/motd" && echo x >"$s/etc/motd/file" ;;
	5) printf 'a\000b' >"$s/etc/motd" ;;
	6) sed -i 's/^daemon:\(.*\):[^:]*$/daemon:\1:\/bin\/false/' "$s/etc/passwd" ;;
	esac
}

setup_file() {
	: >"$LAB/times"
	brig -q stop -a --force || true
	brig -q upgrade mroot/d0
	{
		echo 'exec.start = "true"; stop.timeout = 10;'
		for i in $(seq $N); do
			echo "j$i { ip4.addr = 198.51.100.$i; service = \"/usr/sbin/cron -f\"; }"
		done
	} | conf
	for i in $(seq $N); do
		[ ! -d "$BRIG_BASE/js/j$i" ] || brig -q destroy -y "j$i"
		brig -q create "j$i"
		edit "$i"
	done
	brig -q start -a
}
teardown_file() {
	brig -q stop -a --force || true
	for i in $(seq $N); do [ ! -d "$BRIG_BASE/js/j$i" ] || brig -q destroy -y "j$i"; done
	sed 's/^/# /' "$LAB/times" >&3
}

# keep NAME: copies of all jailspaces
keep() {
	rm -rf "$LAB/$1"
	mkdir "$LAB/$1"
	cp -a "$BRIG_BASE"/js/j* "$LAB/$1/"
}
# compare FROM TO: before.FROM with after.TO, by the plan.TO
compare() {
	local words=()
	for i in $(seq $N); do words+=("j$i" "$LAB/before.$1/j$i" "$LAB/after.$2/j$i"); done
	"$BRIG_TOP/test/debian/compare" "$BRIG_BASE" "$1" "$2" "$LAB/plan.$2" etc/ld.so.cache "${words[@]}"
}
# upgrade FROM TO: with the plan, copies and the times of it
upgrade() {
	keep "before.$1"
	brig --json upgrade "mroot/$2" --dry-run >"$LAB/plan.$2"
	brig upgrade "mroot/$2" >"$LAB/out.$2"
	keep "after.$2"
	tail -n 2 "$LAB/out.$2" | sed "s/^/$1 to $2: /" >>"$LAB/times"
}
in_each() { for i in $(seq $N); do brig exec "j$i" "$@" || { echo "in j$i: $*"; return 1; }; done; }
all_of() { for i in $(seq $N); do "$@" "$BRIG_BASE/js/j$i" || { echo "j$i: $*"; return 1; }; done; }

@test "another build of the same recipe: no conflicts, and only dates of passwords are replaced" {
	upgrade d0 d1
	compare d0 d1 >>"$LAB/times"
	python3 - "$LAB/plan.d1" <<-'EOF'
		import json, sys
		for jail in json.load(open(sys.argv[1]))["plan"]:
		    other = [f for f in jail["files"] if f["path"] not in ("etc/shadow", "etc/shadow-")]
		    assert not other, (jail["jail"], other)
		    assert jail["counts"]["conflicts"] == 0, jail
	EOF
	in_each true
}

@test "a package more and changed default files: no file is lost, each edit is kept, merged or a conflict" {
	upgrade d1 d2
	compare d1 d2 >>"$LAB/times"
	conflicts=$(grep -o '"action": *"C"' "$LAB/plan.d2" | wc -l)
	[ "$conflicts" -gt 0 ]
	grep -q "^$conflicts conflicts wait" "$LAB/out.d2"
}

@test "the package is there in every jail, and runs" {
	in_each sh -c 'dpkg -l tinyproxy | grep -q ^ii'
	in_each sh -c 'ldconfig -p | grep -q libpopt.so.0 && tinyproxy -v >/dev/null && logrotate --version >/dev/null 2>&1'
}

has_accounts() {
	grep -q '^tinyproxy:x:[0-9]*:[0-9]*:Tinyproxy' "$1/etc/passwd" && grep -q '^tinyproxy:!:' "$1/etc/shadow" &&
		grep -q '^tinyproxy:x:[0-9]*:$' "$1/etc/group" && grep -q '^tinyproxy:!::$' "$1/etc/gshadow" &&
		grep -q "^u[0-9]*:x:20" "$1/etc/passwd" && grep -q '^u[0-9]*:$6' "$1/etc/shadow"
}
@test "its accounts are in every jail beside the jail's own, and pwck and grpck have nothing to say" {
	all_of has_accounts
	in_each sh -c 'id tinyproxy >/dev/null && grpck -r && pwck -qr'
}

# Files in the jailspaces are known by number: a number that gets another name is data in the wrong hands.
@test "accounts of packages that were there before keep their ids" {
	for i in $(seq $N); do
		for f in passwd group; do
			join -t: <(sort "$LAB/before.d1/j$i/etc/$f") <(sort "$LAB/after.d2/j$i/etc/$f") |
				awk -F: -v f=$f '{ n = f == "passwd" ? 9 : 6 } $3 != $n { print; bad = 1 } END { exit bad }' || return 1
		done
	done
}

facts() { (cd "$1" && find . ! -path './var/log*' ! -path ./etc/ld.so.cache ! -type d -printf '%y %m %U:%G %p %l\n' | sort); }
@test "rollback: every file as it was" {
	brig rollback mroot d1 >"$LAB/out.back"
	tail -n 1 "$LAB/out.back" | sed 's/^/rollback to d1: /' >>"$LAB/times"
	for i in $(seq $N); do
		diff -r --no-dereference -x log -x ld.so.cache "$LAB/before.d1/j$i" "$BRIG_BASE/js/j$i"
		diff <(facts "$LAB/before.d1/j$i") <(facts "$BRIG_BASE/js/j$i")
	done
	in_each sh -c '! dpkg -l tinyproxy 2>/dev/null | grep -q ^ii'
}
