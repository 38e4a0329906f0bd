#!/usr/bin/env bats
# shellcheck shell=bash disable=SC2016,SC2154
# Services that the jail's rc starts: what it does when one fails, units, who looks after them, syslog(3), keys.
load lib

setup_file() { lab_setup; }
teardown_file() { lab_teardown; }
bats_require_minimum_version 1.5.0

# jail NAME [PARAMETERS]: one with rc, empty rc.conf
new() {
	mkdir -p "$LAB/etc"
	printf '%s { persist; exec.start = "/bin/sh /etc/rc"; exec.stop = "/bin/sh /etc/rc.shutdown"; stop.timeout = 2; %s }\n' \
		"$1" "${2:-}" >"$BRIG_CONF"
	brig -q create "$1" || return
	etc=$BRIG_BASE/js/$1/etc
	mkdir -p "$etc/init.d" "$etc/systemd/system"
	: >"$etc/rc.conf"
}

gone() { brig -q stop --force "$1" && brig -q destroy -y "$1"; }

# script NAME TEXT
script() {
	printf '#!/bin/sh\n%s\n' "$2" >"$etc/init.d/$1"
	chmod 755 "$etc/init.d/$1"
}

unit() { cat >"$etc/systemd/system/$1.service"; }

# service JAIL NAME: its line in status
service_line() { brig status "$1" | sed 's/^  services  */  /' | grep -E "^ +$2: " | sed 's/^ *//'; }
service_is() { [[ "$(service_line "$1" "$2")" == "$2: $3"* ]]; }

@test "a service that cannot be started does not keep the others from it" {
	new s9
	cat >"$etc/rc.conf" <<-'END'
		good_enable="YES"
		good_command="httpd -f -p 80"
		typo_enable="YES"
		last_enable="YES"
		last_command="httpd -f -p 81"
	END
	run --separate-stderr brig start s9
	[ "$status" = 1 ]
	[[ "$stderr" == *"s9"*"these services did not start: typo"* ]]
	[[ "$output" == *"s9: started, degraded"* ]]
	run brig status s9
	[[ "${lines[0]}" == "s9: degraded"* ]]
	[ "$(brig exec s9 ps | grep -c 'httpd -f -p 8[01]')" = 2 ]
	eventually 5 service_is s9 typo failed
	eventually 5 service_is s9 last up
	grep -q '"missing"' "$BRIG_BASE/js/.brig/s9.json"
	# repaired, it is no longer so
	sed -i '/typo/d' "$etc/rc.conf"
	brig restart s9
	run brig status s9
	[[ "${lines[0]}" == "s9: running"* ]]
	run grep '"missing"' "$BRIG_BASE/js/.brig/s9.json"
	[ "$status" = 1 ]
	gone s9
}

@test "a script that fails at the stop, and exec.stop itself, do not keep a jail alive" {
	new s
	# shellcheck disable=SC2016
	script x 'case $1 in stop) echo "x died: process 7 not running"; exit 1;; esac'
	script y 'echo "y $1" >>/s/root/y'
	printf 'y_enable=YES\nx_enable=YES\n' >"$etc/rc.conf"
	brig start s
	run --separate-stderr brig stop s
	[ "$status" = 0 ]
	[[ "$stderr" == *"not stopped: x"* ]]
	[ "$(tail -n 1 "$BRIG_BASE/js/s/root/y")" = "y stop" ]
	run brig status s
	[[ "${lines[0]}" == "s: stopped"* ]]
	gone s
	new s 'exec.stop += "false", "touch /s/root/second";'
	brig start s
	run --separate-stderr brig stop s
	[ "$status" = 0 ]
	[[ "$stderr" == *"exec.stop: false: failed with status 1"* ]]
	[ -e "$BRIG_BASE/js/s/root/second" ]
	gone s
}

@test "a service that fails only on the new release is a reason to go back, one that failed before is none" {
	mkdir -p "$LAB/ov1/usr/local/sbin" "$LAB/ov2/usr/bin"
	new up
	# shellcheck disable=SC2016
	script old 'case $1 in start) exit 1;; esac'
	script new 'case $1 in start) [ ! -e /usr/bin/broken ];; esac'
	printf 'old_enable=YES\nnew_enable=YES\n' >"$etc/rc.conf"
	run brig start up
	[ "$status" = 1 ]
	first=$(sed -n 's/.*"release": "\([^"]*\)".*/\1/p' "$BRIG_BASE/js/.brig/up.json")
	brig -q template build mroot busybox --release 20990101 --no-current
	run brig upgrade mroot/20990101
	[ "$status" = 0 ]
	[[ "$output" == *"did not start: old"* ]]
	: >"$LAB/ov2/usr/bin/broken"
	brig -q template build mroot busybox --overlay "$LAB/ov2" --release 20990102 --no-current
	run brig upgrade mroot/20990102
	[ "$status" = 1 ]
	[[ "$output" == *"not started: old new"*"back on release 20990101"* ]]
	grep -q '"release": "20990101"' "$BRIG_BASE/js/.brig/up.json"
	[ "$first" != 20990101 ]
	gone up
}

@test "a service that was killed is started again, one that ended is not" {
	new k
	# shellcheck disable=SC2016
	script d 'case $1 in start) setsid sh -c "echo \$\$ >/run/d.pid; exec sleep 1000" </dev/null >/dev/null 2>&1 & sleep 0.2;; esac'
	cat >"$etc/rc.conf" <<-'END'
		d_enable=YES
		c_enable=YES
		c_command="sleep 2000"
		never_enable=YES
		never_command="sleep 3000"
		never_restart=no
		ends_enable=YES
		ends_command="sleep 0.3"
		always_enable=YES
		always_command="sleep 4000"
		always_restart=always
	END
	brig start k
	for s in d c never always; do eventually 5 service_is k "$s" up; done
	eventually 5 service_is k ends "done"
	brig exec k sh -c 'kill -9 $(pidof sleep)'
	for s in d c always; do eventually 10 bash -c "$(declare -f service_line brig); export BRIG=$BRIG; service_line k $s | grep -q 'up for .*restarted 1 time'"; done
	service_is k never failed
	run brig status k
	[[ "${lines[0]}" == "k: degraded"* ]]
	[ "$(brig exec k pidof sleep | wc -w)" = 3 ]
	# TERM is an end that was asked for, but for `always`
	brig exec k sh -c 'kill $(cat /run/d.pid) $(cat /run/rc.always.pid)'
	eventually 5 service_is k d "done"
	eventually 10 bash -c "$(declare -f service_line brig); export BRIG=$BRIG; service_line k always | grep -q 'up for .*restarted 2 times'"
	# its script called by hand: what the pid file names then is the service
	brig exec k /etc/init.d/d start
	eventually 5 service_is k d up
	brig exec k sh -c 'kill -9 $(cat /run/d.pid)'
	eventually 10 bash -c "$(declare -f service_line brig); export BRIG=$BRIG; service_line k d | grep -q 'up for .*restarted 2 times'"
	# and nothing is started again while it stops
	brig stop k
	run brig logs k
	[[ "$output" == *"brig-init: d: ended by signal 9, restart in 0.1 s"* ]]
	[ "$(grep -c 'c: restarted' <<<"$output")" = 1 ]
	gone k
}

@test "what only the unit does is done: directories, commands before it" {
	new u
	script mosq '[ -d /run/mosq ] && [ -w /run/other ] && [ -d /run/pre ] || { echo no directory; exit 1; }'
	unit mosq <<-'END'
		[Unit]
		Description=x
		[Service]
		Type=notify
		User=daemon
		RuntimeDirectory=mosq \
			other
		RuntimeDirectoryMode=0750
		ExecStartPre=+/bin/mkdir -m 740 -p /run/pre
		ExecStartPre=/bin/false
		ExecStart=/bin/nothing
	END
	echo mosq_enable=YES >"$etc/rc.conf"
	brig start u
	[ "$(brig exec u stat -c '%a %U' /run/mosq)" = "750 daemon" ]
	[ "$(brig exec u stat -c %a /run/pre)" = 740 ]
	gone u
}

@test "a service without a script is started from its unit" {
	new n
	unit web-app <<-'END'
		[Service]
		# a comment
		Type=simple
		User=daemon
		DynamicUser=yes
		Environment="A=a b" B=$c
		EnvironmentFile=-/etc/default/web
		EnvironmentFile=-/etc/default/none
		StateDirectory=web
		WorkingDirectory=/tmp
		UMask=0027
		ExecStartPre=+/bin/touch /run/by-root
		ExecStartPre=-/bin/false
		ExecStart=/bin/nothing
		ExecStart=
		ExecStart=/bin/sh -c 'umask; pwd; id -un; echo "$A|$B|$C|$${D}"; echo %%n=%n; exec sleep 1000' x;y $OPTS
		[Install]
		WantedBy=multi-user.target
	END
	unit shot <<-'END'
		[Service]
		Type=oneshot
		ExecStart=/bin/touch /run/one /run/a*b
		ExecStart=/bin/touch /run/two
	END
	unit forks <<-'END'
		[Service]
		Type=forking
		PIDFile=/run/forks.id
		ExecStart=/bin/sh -c "sleep 5000 & echo $$! >/run/forks.id"
	END
	unit bad <<-'END'
		[Service]
		ExecStartPre=/bin/false
		ExecStart=/bin/true
	END
	mkdir -p "$etc/default"
	printf 'C="c d"\nOPTS=-x\n' >"$etc/default/web"
	printf 'web_app_enable=YES\nshot_enable=YES\nforks_enable=YES\nbad_enable=YES\n' >"$etc/rc.conf"
	run brig start n
	[ "$status" = 1 ]
	[[ "$output" == *"did not start: bad"* ]]
	eventually 5 service_is n web_app up
	eventually 5 service_is n forks up
	run brig logs n
	[[ "$output" == *0027*/tmp*daemon*'a b|$c|c d|'* ]]
	[[ "$output" == *'%n=web-app.service'* ]]
	[[ "$output" == *"web_app: DynamicUser= of /etc/systemd/system/web-app.service is not understood"* ]]
	brig exec n sh -c '[ -e /run/by-root ] && [ -e "/run/a*b" ] && [ -e /run/two ] && [ "$(stat -c %U /var/lib/web)" = daemon ]'
	brig exec n sh -c 'kill -9 $(cat /run/forks.id)'
	eventually 10 bash -c "$(declare -f service_line brig); export BRIG=$BRIG; service_line n forks | grep -q 'restarted 1 time'"
	brig stop n
	gone n
}

@test "syslog(3) goes to the console log until a daemon takes it, and again when that has ended" {
	new l
	brig start l
	brig exec l logger -t prog -p mail.err "to the console"
	eventually 5 grep -q 'mail.err prog: to the console' "$BRIG_RUN/log/l.log"
	brig exec l sh -c "printf '<30>\033[31mx\n' >/tmp/x; logger -t t \"\$(cat /tmp/x)\""
	eventually 5 grep -q 'user.notice t: <30>?\[31mx' "$BRIG_RUN/log/l.log"
	for i in 1 2 3 4 5; do # it is not in the way of one that begins
		brig exec l sh -c "syslogd -O /var/log/messages; sleep 0.3; logger 'to the daemon'; sleep 0.3; grep -q 'to the daemon' /var/log/messages"
		[ $i = 5 ] || brig exec l sh -c 'kill $(pidof syslogd); rm -f /var/log/messages; sleep 0.1'
	done
	run grep "to the daemon" "$BRIG_RUN/log/l.log"
	[ "$status" = 1 ]
	brig exec l sh -c 'kill -9 $(pidof syslogd)'
	eventually 5 bash -c "'$BRIG' exec l logger 'nobody else' 2>/dev/null; sleep 0.1; grep -q 'user.notice .*nobody else' '$BRIG_RUN/log/l.log'"
	gone l
	new l 'nosyslog;'
	brig start l
	brig exec l test -L /dev/log
	brig exec l test ! -e /dev/log
	gone l
}

@test "keys that the rules take out are made for each jail, and the builder's name is replaced" {
	mkdir -p "$LAB/keys/etc/ssl/private" "$LAB/keys/etc/ssl/certs" "$LAB/keys/etc/postfix" "$LAB/keys/usr/sbin" \
		"$LAB/keys/bin"
	cp "$(command -v busybox)" "$LAB/keys/bin/"
	for a in sh mkdir chmod chown chgrp sed awk tr grep cat cp date rm tail id kill hostname; do
		ln -s busybox "$LAB/keys/bin/$a"
	done
	echo shared >"$LAB/keys/etc/ssl/private/ssl-cert-snakeoil.key"
	echo shared >"$LAB/keys/etc/ssl/certs/ssl-cert-snakeoil.pem"
	printf '%s\n' root:x:0: ssl-cert:x:101: >"$LAB/keys/etc/group"
	printf '%s\n' root:x:0:0::/root:/bin/sh >"$LAB/keys/etc/passwd"
	printf 'a\nmyhostname = brig-template.invalid\nmydestination = $myhostname, brig-template.invalid, localhost\n' \
		>"$LAB/keys/etc/postfix/main.cf"
	chmod 640 "$LAB/keys/etc/postfix/main.cf"
	printf '#!/bin/sh\nfor f in private/ssl-cert-snakeoil.key certs/ssl-cert-snakeoil.pem; do cat /proc/sys/kernel/random/uuid >/etc/ssl/$f; done\n' \
		>"$LAB/keys/usr/sbin/make-ssl-cert"
	chmod 755 "$LAB/keys/usr/sbin/make-ssl-cert"
	brig -q template build keys "dir:$LAB/keys"
	for j in one two; do
		new $j 'template = keys; host.hostname = "$name.example.org";'
		[ ! -e "$etc/ssl/private/ssl-cert-snakeoil.key" ]
		[ "$(sed -n 3p "$etc/postfix/main.cf")" = "mydestination = \$myhostname, $j.example.org, localhost" ]
		[ "$(stat -c %a "$etc/postfix/main.cf")" = 640 ]
		echo "name brig-template.invalid" >"$etc/other"
		brig start $j
		[ "$(cat "$etc/other")" = "name $j.example.org" ]
		[ "$(stat -c %g "$etc/ssl/private/ssl-cert-snakeoil.key")" = 101 ]
		cp "$etc/ssl/private/ssl-cert-snakeoil.key" "$LAB/$j.key"
		brig -q stop $j
		brig start $j
		cmp "$etc/ssl/private/ssl-cert-snakeoil.key" "$LAB/$j.key"
		gone $j
	done
	run cmp -s "$LAB/one.key" "$LAB/two.key"
	[ "$status" = 1 ]
}

@test "commands that fill a template see a name that is no machine's" {
	brig -q template build named "cmd:mkdir -p bin etc; cp $(command -v busybox) bin/; ln -s busybox bin/sh; uname -n >etc/built-on"
	[ "$(cat "$BRIG_BASE"/templates/named/current/skel/etc/built-on)" = brig-template.invalid ]
}

# Where the view of the memory controller is, in jail $1.
view() {
	local d
	for d in /sys/fs/cgroup/memory /sys/fs/cgroup; do
		if brig exec "$1" test -e "$d/cgroup.procs"; then
			echo "$d"
			return 0
		fi
	done
	return 1
}

@test "a jail with limits sees its own control group, read-only, and nothing else of the kind" {
	[ -e /sys/fs/cgroup/memory/cgroup.procs ] || grep -qw memory /sys/fs/cgroup/cgroup.controllers || skip "no controller"
	new m 'limit.memory = 48m; limit.pids = 50;'
	brig start m
	d=$(view m)
	[ "$(brig exec m sh -c "cat $d/memory.limit_in_bytes $d/memory.max 2>/dev/null")" = $((48 << 20)) ]
	# the root of the mount is the group itself, for the jail and for the host
	[ "$(brig exec m awk -v d="$d" '$5 == d { print $4 }' /proc/self/mountinfo)" = / ]
	[[ "$(awk -v d="$d" '$5 == d { print $4 }' "/proc/$(jail_pid m)/mountinfo")" == /brig*/m-* ]]
	[[ "$(awk -v d="$d" '$5 == d { print $6 }' "/proc/$(jail_pid m)/mountinfo")" == ro,* ]]
	# no group below or beside it
	run brig exec m find /sys -type d
	[ "$status" = 0 ]
	[ -z "$(grep -vxE '/sys(/fs(/cgroup(/[a-z]+)?)?)?' <<<"$output")" ]
	run brig exec m sh -c 'for f in $(find /sys); do if [ -d $f ]; then mkdir $f/x 2>/dev/null && echo made $f; elif (: >>$f) 2>/dev/null; then echo wrote $f; fi; done; chmod 777 /sys/fs/cgroup/* 2>/dev/null && echo chmod; umount /sys 2>/dev/null && echo umounted; echo end'
	[ "$status" = 0 ]
	[ "$output" = end ]
	gone m
	new m
	brig start m
	run brig exec m ls -A /sys
	[ "$status" = 0 ]
	[ -z "$output" ]
	gone m
}

@test "a program that chooses its size by the memory finds the limit" {
	echo 'h { path = /; host.hostname = h; persist; limit.memory = 300m; }' >"$BRIG_CONF"
	brig -q start h
	# where they look, in version 2 and 1 of control groups; and one of them, where it is
	limit=$(brig exec h sh -c 'cd /sys/fs/cgroup && cat memory.max 2>/dev/null || cat memory/memory.limit_in_bytes')
	[ "$limit" = $((300 << 20)) ]
	if command -v node >/dev/null && node -e 'process.constrainedMemory()' 2>/dev/null; then
		[ "$(brig exec h node -p 'process.constrainedMemory()')" = $((300 << 20)) ]
	fi
	brig -q stop --force h
}

@test "tools of Debian that write to the template work on a copy, or say in one line what to do" {
	tree=$LAB/tools
	mkdir -p "$tree/bin" "$tree/usr/bin" "$tree/usr/sbin" "$tree/usr/lib/locale" "$tree/var/lib/dpkg/alternatives"
	cp "$(command -v busybox)" "$tree/bin/"
	for a in sh cp cat echo; do ln -s busybox "$tree/bin/$a"; done
	echo auto >"$tree/var/lib/dpkg/alternatives/pager"
	for t in usr/bin/update-alternatives usr/bin/dpkg-statoverride usr/sbin/locale-gen; do
		printf '#!/bin/sh\necho "%s $*"\n' "${t##*/}" >"$tree/$t"
		chmod 755 "$tree/$t"
	done
	brig -q template build tools "dir:$tree"
	new t 'template = tools;'
	brig -q start t
	[ "$(brig exec t update-alternatives --auto pager)" = \
		"update-alternatives --admindir /var/lib/alternatives.jail --auto pager" ]
	brig exec t sh -c 'echo manual >/var/lib/alternatives.jail/pager; update-alternatives --auto pager'
	[ "$(brig exec t cat /var/lib/alternatives.jail/pager)" = manual ]
	[ "$(brig exec t update-alternatives --admindir /x --list y)" = "update-alternatives --admindir /x --list y" ]
	[ "$(brig exec t dpkg-statoverride --list)" = "dpkg-statoverride --list" ]
	for c in 'dpkg-statoverride --update --add root root 755 /bin/x' locale-gen; do
		# shellcheck disable=SC2086
		run brig exec t $c
		echo "$c: $output"
		[ "$status" = 1 ]
		one_line "$output"
		[[ "$output" == *"template's"*build* ]]
	done
	gone t
	[ ! -e "$BRIG_BASE/templates/mroot/current/skel/usr-local/sbin/locale-gen" ]
}

@test "ping needs no right in a network of the jail's own, and the host's network is left alone" {
	mine=$(cat /proc/sys/net/ipv4/ping_group_range)
	new p
	brig start p
	[ "$(brig exec p cat /proc/sys/net/ipv4/ping_group_range | tr "\t" " ")" = "0 65535" ]
	gone p
	new p 'ip4 = inherit;'
	brig start p
	[ "$(cat /proc/sys/net/ipv4/ping_group_range)" = "$mine" ]
	gone p
}
