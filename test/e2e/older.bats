#!/usr/bin/env bats
# Kernels that lack a system call brig prefers to use: the same tests pass, by the longer way.

load lib

# without SYSCALL: brig becomes one that does not find it, for this test
without() {
	REAL=$BRIG
	cat >"$BATS_TEST_TMPDIR/brig" <<-EOF
		#!/bin/sh
		exec "$BRIG_BUILD/test/without" $1 "$REAL" "\$@"
	EOF
	chmod +x "$BATS_TEST_TMPDIR/brig"
	export BRIG=$BATS_TEST_TMPDIR/brig
}

# passes FILE [FILTER]: all tests of another file pass with this brig, and there are some
passes() {
	local out
	out=$(bats --tap ${2:+-f "$2"} "$BATS_TEST_DIRNAME/$1.bats" 2>&1) || { echo "$out"; return 1; }
	grep -q '^ok 3 ' <<<"$out"
	! grep '# skip' <<<"$out"
}

@test "the tool takes the call away: brig says that it is missing" {
	[ "$("$BRIG" doctor | awk '$1 == "openat2" { print $2 }')" = ok ]
	without openat2
	[ "$("$BRIG" doctor | awk '$1 == "openat2" { print $2 }')" = missing ]
}

@test "openat2: hostile jailspaces" {
	without openat2
	passes hostile
}

@test "openat2: jails come and go" {
	without openat2
	# (not those that call brig by another name)
	passes lifecycle 'depend|twice|own everything|loopback|kept running|persist|run is a jail|etc/rc|destroy'
}

@test "openat2: upgrades, rollbacks, decisions" {
	without openat2
	passes upgrade 'replaces, merges|byte for byte|type changes|same conflict|changed since'
}

@test "openat2: trees that are merged" {
	without openat2
	passes merge_tree 'hostile|link|FIFO|outside'
}
