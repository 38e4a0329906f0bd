#!/usr/bin/env bats
# Redirections, masquerade, sharing: from the host's loopback, from the host, from other jails, v4 and v6.

load lib

setup_file() {
	lab_setup
	conf <<-EOF
		persist;
		w { ip4.addr = 198.51.100.1; ip6.addr = 2001:db8::1; rdr = "tcp 8080 80";
		    service = "httpd -f -p [::]:80 -h /var/www"; }
		c { ip4.addr = 198.51.100.2; ip6.addr = 2001:db8::2; nat; }
		i { ip4 = inherit; }
	EOF
	brig -q create w c i
	mkdir -p "$BRIG_BASE/js/w/var/www"
	echo page >"$BRIG_BASE/js/w/var/www/index.html"
	sysctl -a 2>/dev/null | grep -E '^net\.ipv[46]' | grep -v '\.brig\|\.b[0-9a-f]\{6\}' | sort >"$LAB/sysctl.before"
	host_things >"$LAB/before"
	brig -q start -a
}
teardown_file() { lab_teardown; }

get() { timeout 5 busybox wget -q -O - "http://$1/"; }
inside() { brig exec "$1" timeout 5 wget -q -O - "http://$2/"; }

@test "the jail's own address, from the host and from another jail, v4 and v6" {
	eventually 5 get 198.51.100.1
	[ "$(get 198.51.100.1)" = page ]
	[ "$(get '[2001:db8::1]')" = page ]
	[ "$(inside c 198.51.100.1)" = page ]
	[ "$(inside c '[2001:db8::1]')" = page ]
	[ "$(inside c w)" = page ]
}

@test "a redirection answers on loopback, on the host's address, to other jails and to itself" {
	[ "$(get 127.0.0.1:8080)" = page ]
	[ "$(get '[::1]:8080')" = page ]
	[ "$(get 169.254.1.1:8080)" = page ]
	[ "$(inside c 169.254.1.1:8080)" = page ]
	[ "$(inside w 169.254.1.1:8080)" = page ]
}

@test "ip4 = inherit is the host's own network" {
	[ "$(brig exec i readlink /proc/self/ns/net)" = "$(readlink /proc/self/ns/net)" ]
	[ "$(inside i 198.51.100.1)" = page ]
}

@test "a port that is redirected already is refused by name" {
	conf <<-EOF
		persist;
		d { ip4.addr = 198.51.100.9; rdr = "tcp 8080 80"; }
	EOF
	brig -q create d
	run brig start d
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *8080* ]]
	brig -q destroy -y d
}

@test "nothing of the host's own was changed, and everything goes with the jails" {
	sysctl -a 2>/dev/null | grep -E '^net\.ipv[46]' | grep -v '\.brig\|\.b[0-9a-f]\{6\}' | sort | diff "$LAB/sysctl.before" -
	brig -q stop -a
	assert_host_as "$LAB/before"
}
