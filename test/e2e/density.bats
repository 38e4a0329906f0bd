#!/usr/bin/env bats
# Ten jails on one template: its pages are in memory once, and the host's mount table does not grow.

load lib

setup_file() {
	lab_setup
	{
		echo 'persist;'
		for i in 1 2 3 4 5 6 7 8 9 10; do echo "d$i { ip4.addr = 198.51.100.1$i; service = \"sleep 1000\"; }"; done
	} | conf
	brig -q create d1 d2 d3 d4 d5 d6 d7 d8 d9 d10
}
teardown_file() { lab_teardown; }

@test "the host's mount table does not grow" {
	cp /proc/self/mountinfo "$LAB/mounts"
	brig -q start -a
	diff "$LAB/mounts" /proc/self/mountinfo
	[ "$(jls | wc -l)" = 11 ]
}

@test "every jail's programs are the same pages" {
	# device and inode of what is mapped, and how much of it is shared
	ids=$(for i in 1 2 3 4 5 6 7 8 9 10; do
		pid=$(pgrep -P "$(jail_pid d$i)")
		awk '/busybox/ { print $4, $5; exit }' "/proc/$pid/maps"
	done | sort -u | wc -l)
	[ "$ids" = 1 ]
	pid=$(pgrep -P "$(jail_pid d1)")
	awk '/busybox/ { in_it = 1 } /^[0-9a-f]+-/ && !/busybox/ { in_it = 0 }
		in_it && /^Rss:/ { rss += $2 } in_it && /^Pss:/ { pss += $2 } END { print rss, pss; exit !(pss * 3 < rss) }' \
		"/proc/$pid/smaps"
}

@test "what stays of brig for a jail is one small process" {
	for i in 1 2 3 4 5; do
		pid=$(jail_pid d$i)
		[ "$(awk '/^Pss:/ { p += $2 } END { print p }' "/proc/$pid/smaps_rollup")" -lt 64 ]
	done
	[ -z "$(pgrep -x brig)" ]
}

@test "no descriptor of the host is left in a jail" {
	pid=$(jail_pid d1)
	for fd in "/proc/$pid"/fd/*; do
		case $(readlink "$fd") in
		"$BRIG_RUN"/log/d1.log | "$BRIG_RUN"/jail/d1/services | /dev/null | pipe:* | anon_inode:* | socket:* | \
			/run/brig-init) ;; # its own, in the jail
		*) echo "$fd $(readlink "$fd")"; false ;;
		esac
	done
	pid=$(pgrep -P "$pid")
	[ "$(ls "/proc/$pid/fd" | sort -n | tr '\n' ' ')" = "0 1 2 " ]
}
