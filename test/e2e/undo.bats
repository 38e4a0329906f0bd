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
		if grep -q INJECTED "$LAB/calls"; then tried=$((tried + 1)); fi
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

# ---- tidy ----

many() { # 4 upgrades, all kept; then the bound is two
	sed -i 's/a {/a { undo.keep = 10;/' "$BRIG_CONF"
	upgrade_to r2 r3 r4 r5
	[ "$(kept)" = "1 2 3 4" ]
	sed -i 's/undo.keep = 10;//' "$BRIG_CONF"
}
json() { python3 -c "import json,sys; d = json.load(sys.stdin); print($1)"; }

@test "tidy: what is out of bounds goes, oldest first, and is said" {
	many
	files_of_a >"$LAB/before"
	run brig tidy -n
	[ "$status" = 0 ]
	[[ "$output" =~ ^"a: would remove 2 changes that no rollback will use: "[0-9]+K$ ]]
	[ "$(kept)" = "1 2 3 4" ]
	[ "$(brig --json tidy -n a | json 'd["dry_run"], d["jails"][0]["jail"], d["jails"][0]["changes"]')" = "True a 2" ]
	bytes=$(brig --json tidy -n | json 'd["jails"][0]["bytes"]')
	# each change has kept a blob of 200,000 bytes and a few small things
	[ "$bytes" -gt 400000 ]
	[ "$bytes" -lt 500000 ]
	run brig tidy a
	[ "$status" = 0 ]
	[[ "$output" == "a: removed 2 changes that no rollback will use: "* ]]
	[ "$(kept)" = "3 4" ]
	[ "$(files_kept)" = "3 3.json 4 4.json" ]
	files_of_a | diff -u "$LAB/before" -
	run brig tidy
	[ "$output" = "nothing to remove" ]
	brig -q rollback mroot r3
	[ "$(app)" = "release 3" ]
}
files_of_a() { (cd "$BRIG_BASE/js/a" && find . -printf '%P %y %m %U:%G %l\n' \( ! -type f -o -exec sha256sum {} + \)) | sort; }

@test "tidy: a jail that somebody works on, or that has something to finish, is left alone and named" {
	local lock
	many
	for lock in jail.a upgrade.mroot; do
		run flock "$BRIG_RUN/lock/$lock" "$BRIG" tidy
		[ "$status" = 1 ]
		[[ "$output" == "brig: a: left alone: "*"is busy"* ]]
		one_line "$output"
		[ "$(kept)" = "1 2 3 4" ]
	done
	brig tidy
	[ "$(kept)" = "3 4" ]
	run brig tidy nosuch
	[ "$status" = 1 ]
	one_line "$output"
}

@test "tidy: a jail that runs, one that waits for a start, one in no configuration" {
	many
	brig -q start a
	brig -q upgrade --no-restart mroot/r1
	brig tidy
	[ "$(kept)" = "3 4" ]
	[ "$(files_kept)" = "3 3.json 4 4.json 5 5.json" ]
	brig -q restart a
	[ "$(app)" = "release 1" ]
	brig exec a true
	brig -q stop a
	sed -i '/a {/d' "$BRIG_CONF"
	sed -i 's/"when": [0-9]*/"when": 1/' "$BRIG_BASE/js/.brig/a.json"
	run brig tidy
	[ "$output" = "nothing to remove" ]
	[ "$(kept)" = "4 5" ]
	echo 'a { persist; }' >>"$BRIG_CONF"
}

@test "tidy: what is left of a jail that has no record goes" {
	upgrade_to r2
	mv "$BRIG_BASE/js/.brig/a.json" "$LAB/a.json"
	run brig tidy
	[ "$status" = 0 ]
	[[ "$output" == "a: removed what was left of earlier changes: "* ]]
	[ ! -e "$(CHANGES)" ]
	mv "$LAB/a.json" "$BRIG_BASE/js/.brig/a.json"
}

tidy_at() {
	local r=0 id
	cp -a "$BRIG_BASE/js/.brig" "$LAB/was"
	killed_at "$1" tidy || r=$?
	[ "$(kept)" = "1 2 3 4" ] || [ "$(kept)" = "3 4" ] || { echo "neither before nor after"; return 2; }
	for id in $(kept); do
		[ -e "$(CHANGES)/$id.json" ] || { echo "$id.json is gone"; return 2; }
		[ -e "$(CHANGES)/$id/old" ] || { echo "$id/old is gone"; return 2; }
	done
	again -q tidy || return 2
	[ "$(kept) $(files_kept)" = "3 4 3 3.json 4 4.json" ] || { echo "left: $(files_kept)"; return 2; }
	rm -r "$BRIG_BASE/js/.brig" && mv "$LAB/was" "$BRIG_BASE/js/.brig" || return 2
	return $r
}
@test "tidy, killed at any call: the record does not name what is gone" {
	many
	each_point tidy_at 3
}

@test "template remove: what cannot be gone back to goes" {
	sed -i 's/a {/a { undo.keep = 10;/' "$BRIG_CONF"
	upgrade_to r2 r3 r4
	mkdir "$LAB/gone"
	for r in r1 r2; do cp -a "$BRIG_BASE/templates/mroot/$r" "$LAB/gone/"; done
	brig -q template remove mroot/r2 # a rollback to r1 goes over it
	[ "$(kept)" = "1 2 3" ]
	run brig template remove mroot/r1
	[ "$status" = 0 ]
	[[ "$output" == *"a: removed 2 changes that no rollback will use: "* ]]
	[ "$(kept)" = 3 ]
	brig -q rollback mroot
	[ "$(app)" = "release 3" ]
	brig -q upgrade mroot/r5
	cp -a "$LAB"/gone/* "$BRIG_BASE/templates/mroot/"
	brig template remove --unused mroot
	[ "$(kept)$(files_kept)" = "" ]
	for r in r1 r2 r3 r4; do
		brig -q template build mroot busybox --overlay "$LAB/o${r#r}" --release "$r" --no-current
	done
}

# ---- status ----

@test "status: how many changes, to where, and what they take on disk" {
	run brig status a
	[ "$status" = 0 ]
	[[ "$output" != *rollback* ]]
	upgrade_to r2 r3
	run brig status a
	[ "$status" = 0 ]
	[[ "$output" =~ "  rollback       2 changes, "[0-9]+"K (to r2, r1)" ]]
	brig --json status a >"$LAB/json"
	[ "$(json 'd[0]["rollback"]["changes"], *d[0]["rollback"]["to"]' <"$LAB/json")" = "2 r2 r1" ]
	# as du(1) counts it
	du=$(du -s -B1 "$(CHANGES)" | cut -f1)
	top=$(stat -c %b "$(CHANGES)")
	[ "$(json 'd[0]["rollback"]["bytes"]' <"$LAB/json")" = $((du - top * 512)) ]
	# of all jails sizes are not looked for
	[ "$(brig --json status | json '"bytes" in d[0]["rollback"], d[0]["rollback"]["changes"]')" = "False 2" ]
}

@test "a jailspace on another file system, and one on an image" {
	local space
	brig -q destroy -y a
	mkdir "$LAB/mnt"
	mount -t tmpfs -o mode=755 none "$LAB/mnt"
	for space in "$LAB/mnt/space" "image:$LAB/a.img"; do
		conf <<-EOF
			exec.start = "true"; persist; stop.timeout = 2;
			a { space = "$space"; undo.keep = 10; }
		EOF
		[[ $space != image:* ]] || sed -i 's/a {/a { space.size = 64m;/' "$BRIG_CONF"
		brig -q upgrade mroot/r1
		brig -q create a
		upgrade_to r2 r3 r4 r5
		sed -i 's/undo.keep = 10;//' "$BRIG_CONF"
		run brig status a
		if [[ $space == image:* ]]; then
			[[ "$output" == *"4 changes, "*" beside image:$LAB/a.img (to r4, r3, r2, r1)"* ]]
			brig -q start a
			run brig tidy # the image is in use
			[[ "$output" == "a: removed 2 changes that no rollback will use: "* ]]
			[[ "$output" == *"what lies in image:$LAB/a.img goes with its next change, or when it is tidied while it does not run" ]]
			brig -q stop a
			run brig tidy
			[[ "$output" == "a: removed what was left of earlier changes: "*K ]]
		else
			[ "$(find "$LAB/mnt/space/.brig-merge" -mindepth 1 -maxdepth 1 | wc -l)" = 4 ]
			bytes=$(brig --json tidy | json 'd["jails"][0]["bytes"]')
			[ "$bytes" -gt 400000 ]
			[ "$(find "$LAB/mnt/space/.brig-merge" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs)" = "3 4" ]
		fi
		run brig tidy
		[ "$output" = "nothing to remove" ]
		brig -q rollback mroot r3
		brig -q start a
		[ "$(brig exec a cat /etc/app.conf)" = "release 3" ]
		brig -q stop a
		brig -q destroy -y --space a
	done
	umount "$LAB/mnt"
}
