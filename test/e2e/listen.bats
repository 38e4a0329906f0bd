#!/usr/bin/env bats
# Sockets that are made for the services: given by number and name, kept over restarts, gone with the jail.

load lib

setup_file() {
	lab_setup
	{ command -v musl-gcc >/dev/null && cc=musl-gcc; } || cc=cc
	$cc -static -Os -D_GNU_SOURCE -o "$LAB/acceptor" "$BRIG_TOP/test/tools/acceptor.c"
	conf <<-EOF
		l { ip4.addr = 198.51.100.1; ip6.addr = 2001:db8::1; allow.noreserved_ports;
		    listen = "tcp 80", "udp 53 dns", "tcp 198.51.100.1:81 four", "tcp [2001:db8::1]:82 six";
		    service = "/root/acceptor"; }
		four { ip4.addr = 198.51.100.2; listen = "tcp 80 only4"; service = "/root/acceptor"; }
		lo { listen = "tcp 80 loop"; service = "/root/acceptor"; }
		i { ip4 = inherit; listen = "tcp 127.0.0.1:799 host"; service = "/root/acceptor"; }
		two { ip4.addr = 198.51.100.3; listen = "tcp 80 both";
		      service = "/root/acceptor", "/bin/sleep 1000"; }
	EOF
	for j in l four lo i two; do
		brig -q create $j
		cp "$LAB/acceptor" "$BRIG_BASE/js/$j/root/"
	done
	host_things >"$LAB/before"
	brig -q start -a
}
teardown_file() { lab_teardown; }

# ask tcp|udp ADDRESS PORT: the line that the service answers
ask() {
	timeout 10 bash -c 'exec 3<>/dev/$0/$1/$2 || exit 1; [ $0 = tcp ] || echo >&3; head -n 1 <&3' "$@" 2>/dev/null
}
name_of() { ask "$@" | cut -d' ' -f2; }
service_pid() { brig exec "$1" pidof acceptor; }

@test "each socket answers under its name, also below port 1024 and without the right to such ports" {
	[ "$(name_of tcp 198.51.100.1 80)" = unknown ]
	[ "$(name_of tcp 2001:db8::1 80)" = unknown ]
	[ "$(name_of udp 198.51.100.1 53)" = dns ]
	[ "$(name_of udp 2001:db8::1 53)" = dns ]
	[ "$(name_of tcp 198.51.100.1 81)" = four ]
	[ "$(name_of tcp 2001:db8::1 82)" = six ]
	run ask tcp 2001:db8::1 81
	[ "$status" != 0 ]
	[ "$(name_of tcp 198.51.100.2 80)" = only4 ]
}

@test "a jail with loopback only, and one in the host's network" {
	run brig exec lo sh -c 'timeout 5 nc 127.0.0.1 80 </dev/null; timeout 5 nc ::1 80 </dev/null'
	[ "$(echo "$output" | grep -c ' loop$')" = 2 ]
	[ "$(name_of tcp 127.0.0.1 799)" = host ]
}

@test "every service gets them, and nothing but them" {
	[ "$(name_of tcp 198.51.100.3 80)" = both ]
	run brig exec two sh -c 'ls -l /proc/$(pidof sleep)/fd | grep -c socket:'
	[ "$output" = 1 ]
}

@test "a connection made while the service is away is answered by the next one" {
	local old='' now ends
	another() { now=$(service_pid four) && [ "$now" != "$old" ]; } # one that was killed may still be seen
	# the delay before a restart doubles: after some ends there is time to come in between, on a busy machine too
	for ends in 1 2 3 4 5 6 7; do
		eventually 10 another
		old=$now
		brig exec four kill -9 "$old"
		if [ "$ends" -ge 4 ] && grep -q '^wait' "$BRIG_RUN/jail/four/services"; then
			break
		fi
	done
	grep -q '^wait' "$BRIG_RUN/jail/four/services"
	run ask tcp 198.51.100.2 80
	[ "$status" = 0 ]
	[[ "$output" == *" only4" ]]
	[ "${output%% *}" = "$(service_pid four)" ]
	[ "${output%% *}" != "$old" ]
}

@test "a socket that cannot be had is named, and nothing is left" {
	cat >>"$BRIG_CONF" <<-EOF
		taken { ip4 = inherit; listen = "tcp 127.0.0.1:799"; service = "/root/acceptor"; }
	EOF
	brig -q create taken
	run brig start taken
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"listen 'tcp 127.0.0.1:799': Address already in use"* ]]
	[ ! -e "$BRIG_RUN/jail/taken/state.json" ]
	brig -q destroy -y taken
}

@test "config shows it, check says what is wrong with it" {
	brig config l | grep -q 'listen = "tcp 80"'
	cat >"$LAB/wrong.conf" <<-EOF
		a { listen = "tcp 80"; }
		b { service = "x"; listen = "unix /run/x.sock"; }
	EOF
	run brig -f "$LAB/wrong.conf" check
	[ "$status" = 1 ]
	[[ "$output" == *"wrong.conf:1:14"*"listen: needs service"* ]]
	[[ "$output" == *"wrong.conf:2:29"*"the service has to make it"* ]]
}

@test "they go with the jail" {
	brig -q stop -a
	run ask tcp 127.0.0.1 799
	[ "$status" != 0 ]
	assert_host_as "$LAB/before"
	assert_tidy
}
