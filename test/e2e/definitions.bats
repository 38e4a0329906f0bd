#!/usr/bin/env bats
# A jail is taken away, and goes back, by the definition that it was made with; what is said of it meanwhile.

load lib

setup_file() {
	lab_setup none
	mkdir -p "$LAB/o1/etc" "$LAB/o2/etc"
	echo 1 >"$LAB/o1/etc/plain"
	echo 2 >"$LAB/o2/etc/plain"
	for n in 1 2; do brig -q template build mroot busybox --overlay "$LAB/o$n" --release "r$n" --no-current; done
	"$BRIG" -q upgrade mroot/r1
	sysctl -qw net.ipv4.ip_forward=1
}

teardown_file() {
	lab_teardown
}

teardown() {
	destroy_all
}

phase() { sed -n 's/^ *"phase": "\([a-z]*\)".*/\1/p' "$BRIG_RUN/jail/$1/state.json"; }
jid() { sed -n 's/^ *"jid": \([0-9]*\).*/\1/p' "$BRIG_RUN/jail/$1/state.json"; }

@test "users of the host and of the jail exclude each other" {
	conf <<-EOF
		persist;
		a { }
	EOF
	brig -q create a
	brig -q start a
	run "$BRIG" exec -u root -U root a true
	[ "$status" = 2 ]
	[[ "$output" == *"exclude each other"* ]]
	run jexec -u root -U root a true
	[ "$status" = 1 ]
	[[ "$output" == "usage: jexec"* ]]
}

@test "a configuration that was edited since the start: everything of the jail goes at the stop" {
	host_things >"$LAB/before"
	conf <<-EOF
		persist;
		a { ip4.addr = 198.51.100.7; rdr = "tcp 8080 80"; host.hostname = name7; }
	EOF
	brig -q create a
	brig -q start a
	grep -q '^198.51.100.7' "$BRIG_RUN/hosts/hosts"
	nft list ruleset | grep -q 8080
	conf <<-EOF
		persist;
		a { }
	EOF
	brig -q stop a
	assert_host_as "$LAB/before"
	run grep 198.51.100.7 "$BRIG_RUN/hosts/hosts"
	[ "$status" = 1 ]
}

@test "the state has the first process from its making on, and says when the jail ends" {
	conf <<-EOF
		persist; stop.timeout = 4;
		a {
			exec.created = "cp $BRIG_RUN/jail/a/state.json $LAB/created.json";
			service = "trap '' TERM; while :; do sleep 0.1; done";
		}
	EOF
	brig -q create a
	brig -q start a
	[ "$(sed -n 's/^ *"pid": \([0-9]*\),*$/\1/p' "$LAB/created.json")" = "$(jail_pid a)" ]
	grep -q '"phase": "starting"' "$LAB/created.json"
	[ "$(phase a)" = running ]
	"$BRIG" -q stop a &
	stopping=$!
	eventually 4 eval '[ "$(phase a)" = stopping ]'
	wait "$stopping"
	[ ! -e "$BRIG_RUN/jail/a" ]
}

@test "a jail that cannot run as it is defined now goes back as it was made: definition, number, no hooks" {
	conf <<-EOF
		persist; stop.timeout = 1;
		a {
			exec.start = "echo old >/tmp/started"; exec.prestart = "true";
			exec.prestop = "echo prestop >>$LAB/hooks"; exec.poststop = "echo poststop >>$LAB/hooks";
			exec.release = "echo release >>$LAB/hooks";
		}
	EOF
	brig -q create a
	brig -q start a
	number=$(jid a)
	conf <<-EOF
		persist; stop.timeout = 1;
		a {
			exec.start = "echo new >/tmp/started"; health = "false"; exec.timeout = 1; exec.prestart = "true";
			exec.prestop = "echo prestop-new >>$LAB/hooks"; exec.poststop = "echo poststop-new >>$LAB/hooks";
			exec.release = "echo release-new >>$LAB/hooks";
		}
	EOF
	: >"$LAB/hooks"
	run "$BRIG" upgrade mroot/r2
	[ "$status" = 1 ]
	[[ "$output" == *"back on release r1"* ]]
	[ "$(brig exec a cat /etc/plain)" = 1 ]
	[ "$(brig exec a cat /tmp/started)" = old ]
	[ "$(jid a)" = "$number" ]
	# hooks of the stop are those that are defined now, and ran once: going back has none
	grep -q prestop "$LAB/hooks"
	run eval 'sort "$LAB/hooks" | uniq -d'
	[ -z "$output" ]
}

@test "what a release makes anew is made once" {
	conf <<-EOF
		persist;
		a { exec.start = "test ! -e /var/again || cat /var/again"; }
	EOF
	brig -q create a
	brig -q start a
	brig -q stop a
	record=$BRIG_BASE/js/.brig/a.json
	sed -i 's|^{|{ "regenerate": ["echo x >>/var/again"],|' "$record"
	brig -q start a
	[ "$(brig exec a cat /var/again)" = x ]
	brig -q stop a
	brig -q start a
	[ "$(brig exec a cat /var/again)" = x ]
	run grep regenerate "$record"
	[ "$status" = 1 ]
}

@test "a jail's root that others can exchange is none" {
	mkdir -p "$LAB/trees/ok" "$LAB/open/in"
	chmod 777 "$LAB/open"
	conf <<-EOF
		persist;
		p1 { path = $LAB/trees/ok; }
		p3 { path = $LAB/open/in; }
	EOF
	brig -q create p1
	run "$BRIG" create p3
	[ "$status" = 1 ]
	[ ! -e "$BRIG_BASE/js/.brig/p3.json" ]
	brig -q destroy -y p1
	[ -d "$LAB/trees/ok" ]
}
