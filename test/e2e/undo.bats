#!/usr/bin/env bats
# Rollback data: how long it is kept, what it takes, and how it goes.

load lib
load points

# Releases r1 to r5, which differ in two configuration files.
setup_file() {
	lab_setup none
	local n
	for n in 1 2 3 4 5; do
		mkdir -p "$LAB/o$n/etc"
		echo "release $n" >"$LAB/o$n/etc/app.conf"
		head -c 200000 /dev/urandom >"$LAB/o$n/etc/blob"
		brig -q template build mroot busybox --overlay "$LAB/o$n" --release "r$n" --no-current
	done
	brig -q upgrade mroot/r1
}
teardown_file() { lab_teardown; }

setup() {
	conf <<-EOF
		exec.start = "true"; persist; stop.timeout = 2;
		a { }
	EOF
	brig -q upgrade mroot/r1
	brig -q create a
}
teardown() {
	brig -q stop -a --force || true
	brig -q destroy -y a >/dev/null 2>&1 || true
}

CHANGES() { echo "$BRIG_BASE/js/.brig/change/a"; }

# Everything that has the name of jail a, below the base and in the run directory.
left_of_a() {
	find "$BRIG_BASE/js" "$BRIG_BASE/j" \( -name a -o -name a.json -o -name '.*.a.*' \)
	find "$BRIG_RUN/jail" "$BRIG_RUN/log" \( -name a -o -name a.log \)
}

# ---- destroy ----

destroy_at() {
	local r=0
	[ -d "$BRIG_BASE/js/a" ] || brig -q create a || return 2
	again -q upgrade mroot/r2 || return 2
	again -q start a || return 2
	again -q stop a || return 2
	killed_at "$1" destroy -y a || r=$?
	[ -z "$(left_of_a)" ] || again destroy -y a || return 2
	[ -z "$(left_of_a)" ] || { left_of_a; return 2; }
	again -q upgrade mroot/r1 || return 2
	return $r
}

@test "destroy, killed at any call, is finished by the same command" {
	each_point destroy_at 7
}

@test "destroy: each thing that a killed one can leave is found" {
	local place
	brig -q destroy -y a
	for place in "$BRIG_BASE/js/.brig/change/a/1/old" "$BRIG_RUN/log/a.log"; do
		mkdir -p "$(dirname "$place")"
		if [[ $place == *.log ]]; then : >"$place"; else mkdir "$place"; fi
		brig destroy -y a
		[ -z "$(left_of_a)" ]
	done
	run brig destroy -y a
	[ "$status" = 1 ]
	[[ "$output" == *"nothing to remove"* ]]
}

@test "create: a new jail has nothing of one whose destroy was killed" {
	brig -q upgrade mroot/r2
	rm "$BRIG_BASE/js/.brig/a.json"
	rm -r "$BRIG_BASE/js/a"
	brig -q create a
	[ ! -e "$(CHANGES)" ]
}
