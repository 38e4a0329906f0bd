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

# ---- what is kept ----

upgrade_to() { for r in "$@"; do brig -q upgrade "mroot/$r" || return 1; done; }
app() { cat "$BRIG_BASE/js/a/etc/app.conf"; }
# The changes that are kept: by the record, and by their files.
kept() { sed -n 's/^ *"id": \([0-9]*\),*/\1/p' "$BRIG_BASE/js/.brig/a.json" | xargs; }
files_kept() { find "$(CHANGES)" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -V | xargs; }

@test "the last two upgrades are kept, by number" {
	upgrade_to r2 r3 r4 r5
	[ "$(kept)" = "3 4" ]
	[ "$(files_kept)" = "3 3.json 4 4.json" ]
	brig -q rollback mroot r3
	[ "$(app)" = "release 3" ]
	[ "$(kept)" = "" ]
	[ "$(files_kept)" = "" ]
}

@test "undo.keep: none, one, many" {
	sed -i 's/a {/a { undo.keep = 0;/' "$BRIG_CONF"
	upgrade_to r2
	[ "$(kept)$(files_kept)" = "" ]
	sed -i 's/undo.keep = 0/undo.keep = 10/' "$BRIG_CONF"
	upgrade_to r3 r4 r5
	[ "$(kept)" = "1 2 3" ]
	sed -i 's/undo.keep = 10/undo.keep = 1/' "$BRIG_CONF"
	upgrade_to r2
	[ "$(files_kept)" = "4 4.json" ]
	brig -q rollback mroot
	[ "$(app)" = "release 5" ]
}

@test "undo.age: what is older goes with the next change" {
	sed -i 's/a {/a { undo.age = 30d;/' "$BRIG_CONF"
	upgrade_to r2
	grep -qE "\"when\": [0-9]{10}" "$BRIG_BASE/js/.brig/a.json"
	sed -i "s/\"when\": [0-9]*/\"when\": $(date -d '29 days ago' +%s)/" "$BRIG_BASE/js/.brig/a.json"
	upgrade_to r3
	[ "$(kept)" = "1 2" ]
	sed -i "0,/\"when\"/s/\"when\": [0-9]*/\"when\": $(date -d '31 days ago' +%s)/" "$BRIG_BASE/js/.brig/a.json"
	sed -i 's/a {/a { undo.keep = 9;/' "$BRIG_CONF"
	upgrade_to r4
	[ "$(kept)" = "2 3" ]
}

@test "a release that cannot be looked at is not gone" {
	local tried=0 n
	upgrade_to r2
	for n in 1 2 3 4; do
		run strace -f -qq -o "$LAB/calls" -P r1 -e trace=openat2 -e inject="openat2:error=EIO:when=$n" "$BRIG" upgrade mroot/r3
		[ "$status" -le 1 ]
		! grep -q INJECTED "$LAB/calls" || tried=$((tried + 1))
		[ "$(kept)" = "1 2" ] || [ "$(kept)" = 1 ]
	done
	[ $tried -gt 0 ]
	brig -q upgrade mroot/r3
	brig -q rollback mroot r1
	[ "$(app)" = "release 1" ]
}

@test "rollback beyond what is kept is a merge, and says so before it does anything" {
	upgrade_to r2 r3 r4
	echo mine >"$BRIG_BASE/js/a/etc/app.conf"
	run brig rollback -n mroot r1
	[ "$status" = 0 ]
	[[ "$output" == *"a: warning: nothing is kept that leads back to release r1 (undo.keep, undo.age): its files are merged with it, as in an upgrade"* ]]
	[[ "$output" == *"C /etc/app.conf"* ]]
	run brig rollback -n mroot r2
	[ "$status" = 0 ]
	[[ "$output" != *"nothing is kept"* ]]
	brig -q rollback mroot r1
	[ "$(app)" = mine ]
	grep -q conflicts "$BRIG_BASE/js/.brig/a.json"
}
