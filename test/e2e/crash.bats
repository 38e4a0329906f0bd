#!/usr/bin/env bats
# kill -9 of brig in the middle of every command; then the same command again: it finishes, nothing is left.

load lib

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

# killed_at N command...: brig is killed at its N-th system call that changes something (strace's counting: of
# each kind, in each process), or ends before that.
calls=clone,clone3,fork,vfork,unshare,mount,open_tree,move_mount,mount_setattr,fsopen,fsmount,umount2,pivot_root
calls=$calls,mkdirat,mkdir,symlinkat,symlink,renameat,renameat2,rename,unlinkat,unlink,linkat,fchown,fchmod
calls=$calls,sendto,sendmsg,setns,execve,execveat,ftruncate,fsync,syncfs,mknodat,write
killed_at() {
	local n=$1
	shift
	strace -f -qq -o /dev/null -e trace="$calls" -e inject="$calls":signal=SIGKILL:when="$n" \
		"$BRIG" -q "$@" >/dev/null 2>&1
}

# The points of a command, more of them with BRIG_CRASH_POINTS=all.
points() {
	if [ "${BRIG_CRASH_POINTS:-}" = all ]; then seq 1 400; else echo 1 2 3 5 7 9 12 16 21 28 36 47 60 80 105 140 190; fi
}

settled() { # everything of k is gone but what `create` made
	brig -q stop k --force >/dev/null 2>&1 || true
	assert_host_as "$LAB/before" && assert_tidy
}

@test "start" {
	brig -q create k
	host_things >"$LAB/before"
	for n in $(points); do
		killed_at "$n" start k || true
		run timeout 60 "$BRIG" start k
		[ "$status" = 0 ] || { echo "at $n: $output"; false; }
		brig exec k true
		brig -q stop k
		settled || { echo "at $n"; false; }
	done
}

@test "stop" {
	brig -q create k
	host_things >"$LAB/before"
	for n in $(points); do
		brig -q start k
		killed_at "$n" stop k || true
		run timeout 60 "$BRIG" stop k
		[ "$status" = 0 ] || { echo "at $n: $output"; false; }
		assert_host_as "$LAB/before" || { echo "at $n"; false; }
		assert_tidy || { echo "at $n"; false; }
	done
}

@test "create" {
	for n in $(points); do
		killed_at "$n" create k || true
		run timeout 60 "$BRIG" create k
		# done before the kill, or done now
		[ "$status" = 0 ] || [[ "$output" == *"exists"* ]] || { echo "at $n: $output"; false; }
		assert_tidy || { echo "at $n"; false; }
		diff <(cd "$BRIG_BASE/j/skel/" && find . | sort) <(cd "$BRIG_BASE/js/k" && find . | sort) |
			grep '^<' | grep -v 'machine-id\|hostname\|ssh_host' && { echo "at $n: files missing"; false; }
		brig -q start k
		brig -q stop k
		brig -q destroy -y k
		[ -z "$(find "$BRIG_BASE/js" -mindepth 1 -name '*k*')" ] || { echo "at $n"; false; }
	done
}

@test "destroy" {
	for n in $(points); do
		[ -d "$BRIG_BASE/js/k" ] || brig -q create k
		killed_at "$n" destroy -y k || true
		run timeout 60 "$BRIG" destroy -y k
		[ "$status" = 0 ] || [[ "$output" == *"nothing to remove"* ]] || { echo "at $n: $output"; false; }
		[ -z "$(find "$BRIG_BASE/js" "$BRIG_BASE/j" -mindepth 1 -maxdepth 3 -name '*k*' ! -name '*skel*')" ] ||
			{ echo "at $n: $(find "$BRIG_BASE/js" "$BRIG_BASE/j" -name '*k*' ! -name '*skel*')"; false; }
		assert_tidy || { echo "at $n"; false; }
	done
}

@test "template build" {
	for n in $(points) 300 500 800; do
		killed_at "$n" template build other busybox || true
		for r in "$BRIG_BASE"/templates/other/[0-9]*; do
			[ ! -e "$r" ] || brig -q template verify "other/$(basename "$r")" || { echo "at $n"; false; }
		done
		run timeout 60 "$BRIG" template build other busybox
		[ "$status" = 0 ] || { echo "at $n: $output"; false; }
		assert_tidy || { echo "at $n"; false; }
	done
}

@test "kill -9 of the jail's first process: the next command cleans up" {
	brig -q create k
	host_things >"$LAB/before"
	for cmd in "start k" "stop k" "list" "status"; do
		brig -q start k
		kill -9 "$(jail_pid k)"
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
