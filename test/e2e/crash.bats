#!/usr/bin/env bats
# kill -9 of brig in the middle of every command; then the same command again: it finishes, nothing is left.

load lib
load points

setup_file() { lab_setup; }
teardown_file() { lab_teardown; }
setup() {
	conf <<-EOF
		k { persist; ip4.addr = 198.51.100.1; ip6.addr = 2001:db8::1; nat; rdr = "tcp 8080 80";
		    service = "sleep 1000"; exec.start = "true"; exec.stop = "true"; }
	EOF
}
teardown() {
	brig -q stop -a --force || true
	[ ! -d "$BRIG_BASE/js/k" ] || brig -q destroy -y k
}

start_at() {
	local r=0
	killed_at "$1" start k || r=$?
	again start k || return 2
	brig exec k true || return 2
	brig -q stop k || return 2
	assert_host_as "$LAB/before" && assert_tidy || return 2
	return $r
}

@test "start" {
	brig -q create k
	host_things >"$LAB/before"
	each_point start_at
}

stop_at() {
	local r=0
	brig -q start k || return 2
	killed_at "$1" stop k || r=$?
	again stop k || return 2
	assert_host_as "$LAB/before" && assert_tidy || return 2
	return $r
}

@test "stop" {
	brig -q create k
	host_things >"$LAB/before"
	each_point stop_at
}

create_at() {
	local r=0
	killed_at "$1" create k || r=$?
	run timeout 60 "$BRIG" create k
	# done before the kill, or done now
	[ "$status" = 0 ] || [[ "$output" == *"exists already"* ]] || { echo "again: $output"; return 2; }
	assert_tidy || return 2
	! diff <(cd "$BRIG_BASE/j/skel/" && find . | sort) <(cd "$BRIG_BASE/js/k" && find . | sort) |
		grep '^<' | grep -v 'machine-id\|hostname\|ssh_host' || return 2
	brig -q start k && brig -q stop k && brig -q destroy -y k || return 2
	[ -z "$(find "$BRIG_BASE/js" -mindepth 1 -name '*k*')" ] || return 2
	return $r
}

@test "create" {
	each_point create_at
}

destroy_at() {
	local r=0
	[ -d "$BRIG_BASE/js/k" ] || brig -q create k || return 2
	killed_at "$1" destroy -y k || r=$?
	run timeout 60 "$BRIG" destroy -y k
	[ "$status" = 0 ] || [[ "$output" == *"nothing to remove"* ]] || { echo "again: $output"; return 2; }
	[ -z "$(find "$BRIG_BASE/js" "$BRIG_BASE/j" -name '*k*' ! -name '*skel*')" ] || return 2
	assert_tidy || return 2
	return $r
}

@test "destroy" {
	each_point destroy_at
}

build_at() {
	local r=0 release
	killed_at "$1" template build other busybox || r=$?
	# what is taken for a release is one
	for release in "$BRIG_BASE"/templates/other/[0-9]*; do
		[ ! -e "$release" ] || brig -q template verify "other/$(basename "$release")" || return 2
	done
	again -q template build other busybox || return 2
	assert_tidy || return 2
	for release in "$BRIG_BASE"/templates/other/[0-9]*; do
		[ "$(basename "$release")" = "$(readlink "$BRIG_BASE/templates/other/current")" ] ||
			brig -q template remove "other/$(basename "$release")" || return 2
	done
	return $r
}

@test "template build" {
	# hundreds of files: a wider slice
	each_point build_at 97
}

upgrade_at() {
	local r=0
	killed_at "$1" upgrade other/o2 || r=$?
	pre_or_post || return 2
	upgraded_and_back || return 2
	again start k || return 2
	brig exec k true || return 2
	assert_tidy_but_running || return 2
	return $r
}

rollback_at() {
	local r=0
	brig -q upgrade other/o2 || return 2
	killed_at "$1" rollback other o1 || r=$?
	pre_or_post || return 2
	again -q rollback other o1 || return 2
	[ "$(pair)" = "$PRE" ] || { echo "not as before"; return 2; }
	again start k || return 2
	brig exec k true || return 2
	assert_tidy_but_running || return 2
	return $r
}

merge_at() {
	local r=0
	killed_at "$1" merge --theirs /etc/fits-not -a || r=$?
	pre_or_post || return 2
	decided_and_back || return 2
	assert_tidy_but_running || return 2
	return $r
}

# Prepared, and carried out by the next start; either is killed.
prepared_at() {
	local r=0
	killed_at "$1" upgrade --no-restart other/o2 || { [ $? = 1 ] || return 2; }
	brig -q stop nobody 2>/dev/null || true
	[ "$(pair)" = "$PRE" ] && nothing_unfinished || { echo "not as before, with something prepared"; return 2; }
	again -q upgrade --no-restart other/o2 || return 2
	[ "$(pair)" = "$PRE" ] || { echo "files changed already"; return 2; }
	brig -q stop k || return 2
	killed_at "$1" start k || r=$?
	pre_or_post || return 2
	again start k || return 2
	brig exec k true || return 2
	again -q upgrade other/o2 || return 2 # what did not come up went back
	[ "$(pair)" = "$POST" ] && nothing_unfinished || { echo "not as after an upgrade"; return 2; }
	again -q rollback other o1 || return 2
	[ "$(pair)" = "$PRE" ] || { echo "not as before"; return 2; }
	assert_tidy_but_running || return 2
	return $r
}

assert_tidy_but_running() {
	local left
	left=$(find "$BRIG_BASE" \( -name '.new*' -o -name '.old*' -o -name '.tmp*' \) | head)
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}

@test "upgrade and rollback of a running jail" {
	sed -i 's/k {/k { template = other;/' "$BRIG_CONF"
	upgrade_lab
	host_things >"$LAB/before"
	brig -q start k
	each_point upgrade_at 53
	each_point rollback_at 53
	brig -q stop k
	assert_host_as "$LAB/before"
	assert_tidy
}

@test "upgrade --no-restart, and the start that follows" {
	sed -i 's/k {/k { template = other;/' "$BRIG_CONF"
	upgrade_lab
	brig -q start k
	each_point prepared_at 97
	brig -q stop k
	assert_tidy
}

@test "a decision about a conflict of a stopped jail, and of a running one" {
	sed -i 's/k {/k { template = other;/' "$BRIG_CONF"
	merge_lab
	each_point merge_at 17
	brig -q start k
	each_point merge_at 31
	brig exec k true
	brig -q stop k
	assert_tidy
}

@test "kill -9 of the jail's first process: the next command cleans up" {
	brig -q create k
	host_things >"$LAB/before"
	for cmd in "start k" "stop k" "list" "status"; do
		brig -q start k
		pid=$(jail_pid k)
		kill -9 "$pid"
		eventually 5 sh -c "! readlink /proc/$pid/root >/dev/null 2>&1" # it has begun to end
		# shellcheck disable=SC2086
		brig $cmd >/dev/null
		[ "$cmd" != "start k" ] || brig -q stop k
		assert_host_as "$LAB/before" || { echo "$cmd"; false; }
		assert_tidy || { echo "$cmd"; false; }
	done
}

@test "two commands at once: one waits, both succeed" {
	brig -q create k
	for _ in 1 2 3; do
		brig -q start k &
		a=$!
		brig -q start k &
		b=$!
		wait $a
		wait $b
		brig -q stop k &
		a=$!
		brig -q stop k
		wait $a
		assert_tidy
	done
}
