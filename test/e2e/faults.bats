#!/usr/bin/env bats
# A disk that is full or broken, at every system call that changes it: the command fails with one line or has done
# its work, the same command again succeeds, nothing is left, and what was there before is as it was.

load lib
load points

setup_file() {
	lab_setup
	brig -q create bystander
	echo precious >"$BRIG_BASE/js/bystander/etc/motd"
	FAULTS="-e EIO;-e ENOSPC;-e ENOSPC -s;-e EIO -s"
	export FAULTS
}
teardown_file() { lab_teardown; }
setup() {
	: | conf
	others_now >"$LAB/others"
}
teardown() {
	brig -q stop -a --force || true
	[ ! -d "$BRIG_BASE/js/k" ] || brig -q destroy -y k
}

# Everything but jail k and template `other`.
others_now() {
	(cd "$BRIG_BASE" && find . \( -path './js/k' -o -path ./j/k -o -path ./templates/other -o -path ./j/other -o \
		-path ./j/skel.other -o -name k.json -o -path './js/.brig/ids/*' -o -path './js/.brig/change' -o \
		-path './js/.brig/switch' \) -prune -o \
		-printf '%p %y %m %U:%G %l\n' -type f -exec sha256sum {} + | sort)
}

# each_fault body [STEP]: each_point for each way of failing; $FAULT says which.
each_fault() {
	local IFS=';' faults
	read -ra faults <<<"$FAULTS"
	for FAULT in "${faults[@]}"; do
		IFS=' '
		echo "# $FAULT" >&3
		each_point "$@" || { echo "$FAULT"; return 1; }
	done
}

as_before() {
	others_now | diff -u "$LAB/others" - || { echo "something else changed"; return 2; }
	assert_tidy || return 2
}

create_at() {
	local r=0
	fails_at "$1" create k || r=$?
	[ $r != 2 ] || return 2
	run timeout 60 "$BRIG" create k
	# a last sync that fails leaves a jail that is whole, and a command that failed
	[[ "$output" == *"exists already"* ]] || { [ "$STATUS" != 0 ] && [ "$status" = 0 ]; } ||
		{ echo "again: $output"; return 2; }
	diff <(cd "$BRIG_BASE/j/skel/" && find . | sort) <(cd "$BRIG_BASE/js/k" && find . | sort) |
		grep '^<' | grep -v 'machine-id\|hostname\|ssh_host' && return 2
	as_before || return 2
	again -q destroy -y k || return 2
	return $r
}

@test "create" {
	each_fault create_at
}

destroy_at() {
	local r=0
	brig -q create k || return 2
	fails_at "$1" destroy -y k || r=$?
	[ $r != 2 ] || return 2
	run timeout 60 "$BRIG" destroy -y k
	[[ "$output" == *"nothing to remove"* || "$output" == *"no such jail"* ]] ||
		{ [ "$STATUS" != 0 ] && [ "$status" = 0 ]; } || { echo "again: $output"; return 2; }
	[ -z "$(find "$BRIG_BASE/js" "$BRIG_BASE/j" "$LAB/etc" -name 'k*')" ] || return 2
	as_before || return 2
	return $r
}

@test "destroy" {
	each_fault destroy_at
}

build_at() {
	local r=0 release
	fails_at "$1" template build other busybox || r=$?
	[ $r != 2 ] || return 2
	for release in "$BRIG_BASE"/templates/other/[0-9]*; do
		[ ! -e "$release" ] || brig -q template verify "other/$(basename "$release")" || return 2
	done
	if [ "$STATUS" = 0 ]; then
		brig -q template verify other || return 2
	else
		again -q template build other busybox || return 2
	fi
	as_before || return 2
	for release in "$BRIG_BASE"/templates/other/[0-9]*; do
		[ "$(basename "$release")" = "$(readlink "$BRIG_BASE/templates/other/current")" ] ||
			brig -q template remove "other/$(basename "$release")" || return 2
	done
	return $r
}

@test "template build" {
	each_fault build_at 197
}

start_stop_at() {
	local r=0
	fails_at "$1" start k || r=$?
	[ $r != 2 ] || return 2
	again -q start k || return 2
	brig exec k true || { echo "does not run"; return 2; }
	fails_at "$1" stop k || { [ $? != 2 ] || return 2; }
	again -q stop k || return 2
	as_before && assert_host_as "$LAB/before" || return 2
	return $r
}

@test "start and stop" {
	conf <<-EOF
		bystander { persist; }
		k { persist; ip4.addr = 198.51.100.1; service = "sleep 1000"; exec.start = "true"; }
	EOF
	brig -q create k
	others_now >"$LAB/others"
	host_things >"$LAB/before"
	each_fault start_stop_at
}

upgrade_at() {
	local r=0
	fails_at "$1" upgrade other/o2 || r=$?
	[ $r != 2 ] || return 2
	pre_or_post || return 2
	[ "$STATUS" != 0 ] || [ "$(pair)" = "$POST" ] || { echo "was not upgraded"; return 2; }
	upgraded_and_back && as_before || return 2
	return $r
}

rollback_at() {
	local r=0
	brig -q upgrade other/o2 || return 2
	fails_at "$1" rollback other o1 || r=$?
	[ $r != 2 ] || return 2
	pre_or_post || return 2
	[ "$STATUS" != 0 ] || [ "$(pair)" = "$PRE" ] || { echo "was not rolled back"; return 2; }
	again -q rollback other o1 || return 2
	[ "$(pair)" = "$PRE" ] || { echo "not as before"; return 2; }
	as_before || return 2
	return $r
}

@test "upgrade and rollback" {
	upgrade_lab -t other
	others_now >"$LAB/others"
	each_fault upgrade_at 31
	each_fault rollback_at 31
}

merge_at() {
	local r=0
	fails_at "$1" merge --theirs /etc/fits-not -a || r=$?
	[ $r != 2 ] || return 2
	pre_or_post || return 2
	[ "$STATUS" != 0 ] || [ "$(pair)" = "$POST" ] || { echo "was not decided"; return 2; }
	decided_and_back && others_now | diff -u "$LAB/others" - || return 2
	return $r
}

@test "a decision about a conflict of a stopped jail, and of a running one" {
	echo 'k { template = other; persist; exec.start = "true"; }' | conf
	merge_lab
	others_now >"$LAB/others"
	each_fault merge_at 23
	brig -q start k
	each_fault merge_at 29
}

prepared_at() {
	local r=0
	fails_at "$1" upgrade --no-restart other/o2 || { [ $? != 2 ] || return 2; }
	brig -q stop nobody 2>/dev/null || true
	[ "$(pair)" = "$PRE" ] && nothing_unfinished || { echo "not as before, with something prepared"; return 2; }
	[ "$STATUS" != 0 ] || grep -q '"prepared"' "$BRIG_BASE/js/.brig/k.json" || { echo "not prepared"; return 2; }
	again -q upgrade --no-restart other/o2 || return 2
	brig -q stop k || return 2
	fails_at "$1" start k || r=$?
	[ $r != 2 ] || return 2
	pre_or_post || return 2
	again -q start k || return 2
	brig exec k true || { echo "does not run"; return 2; }
	again -q upgrade other/o2 || return 2
	[ "$(pair)" = "$POST" ] || { echo "not as after an upgrade"; return 2; }
	again -q rollback other o1 || return 2
	[ "$(pair)" = "$PRE" ] || { echo "not as before"; return 2; }
	others_now | diff -u "$LAB/others" - || return 2
	return $r
}

@test "upgrade --no-restart, and the start that follows" {
	echo 'k { template = other; persist; exec.start = "true"; }' | conf
	upgrade_lab
	brig -q start k
	others_now >"$LAB/others"
	each_fault prepared_at 97
	brig -q stop k
}
