#!/usr/bin/env bats
# What cannot be read is not what is not there: a disk error at a call that only looks ends the command with a line,
# or changes nothing about what it does.

setup_file() {
	load lib.bash
	lab_setup none
	mkdir -p "$LAB/over/etc"
	echo new >"$LAB/over/etc/motd"
	brig -q template build --release 1 mroot busybox
	brig -q template build --release 2 --overlay "$LAB/over" mroot busybox
}

teardown_file() {
	load lib.bash
	lab_teardown
}

setup() {
	load lib.bash
	conf <<-EOF
		persist;
		a { template = mroot/1; }
	EOF
	brig -q create a
	conf <<-EOF
		persist;
		a { }
	EOF
}

teardown() {
	brig -q stop -a --force >/dev/null 2>&1 || true
	[ ! -e "$BRIG_BASE/js/.brig/a.json" ] || brig -q destroy -y a
}

# failing CALL N PATH COMMAND...: the N-th CALL of a process that is about PATH fails with EIO ($ERROR); its status in $STATUS
failing() {
	local call=$1 n=$2 path=$3
	shift 3
	run strace -f -qq -o "$LAB/calls" -P "$path" -e trace="$call" -e inject="$call:error=${ERROR:-EIO}:when=$n" "$BRIG" "$@"
	STATUS=$status
	grep -q INJECTED "$LAB/calls"
}

# Files and release belong together, whatever the command said.
whole() {
	case $(release_of a) in
	1) [ "$(cat "$BRIG_BASE/js/a/etc/motd" 2>/dev/null)" != new ] ;;
	2) [ "$(cat "$BRIG_BASE/js/a/etc/motd")" = new ] ;;
	*) false ;;
	esac
}

@test "upgrade: what is staged and what is kept" {
	local tried=0 place n
	for place in new old; do
		for n in 1 2 3 4; do
			failing newfstatat $n "$BRIG_BASE/js/.brig/change/a/1/$place" upgrade mroot/2 && tried=$((tried + 1))
			echo "$place $n: $status: $output"
			[ "$status" != 0 ] || [ "$(release_of a)" = 2 ]
			whole
			brig -q list >/dev/null # finishes
			whole
			brig -q destroy -y a
			setup
		done
	done
	[ $tried -ge 3 ]
}

# A name or a file of the jail that the disk does not give is no conflict: nothing was seen that one could decide about.
@test "upgrade: the jail's file, in the plan and at the switch" {
	local call n path
	for call in newfstatat read; do
		for n in 1 2 3 4 5 6 7 8; do
			echo mine >"$BRIG_BASE/js/a/etc/motd"
			path=$BRIG_BASE/js/a/etc # by the descriptor that the call is about
			[ $call = newfstatat ] || path=$path/motd
			if ! failing $call $n "$path" upgrade mroot/2; then
				[ "$(release_of a)" = 2 ]
				brig -q destroy -y a
				setup
				break
			fi
			echo "$call $n: $status: $output"
			[ "$status" = 1 ]
			[ "$(release_of a)" = 1 ]
			[ "$(cat "$BRIG_BASE/js/a/etc/motd")" = mine ]
			refuse grep -q conflicts "$BRIG_BASE/js/.brig/a.json"
			[[ "$output" == *"a: "*": Input/output error"* ]]
			brig -q destroy -y a
			setup
		done
		echo "$call: $n"
		[ "$n" -gt 2 ]
		[ "$n" -lt 8 ]
	done
}

@test "rollback: where a jail came from" {
	local n tried=0
	brig -q upgrade mroot/2
	for n in $(seq 1 12); do
		failing openat $n a.json rollback mroot || break
		tried=$((tried + 1))
		echo "$n: $status: $output"
		[ "$status" = 1 ]
		[[ "$output" == *"a: record of jail a: open 'a.json': Input/output error"* ]]
		[ "$(release_of a)" = 2 ]
	done
	[ $tried -ge 2 ]
	[ "$status" = 0 ] # the one that nothing happened to
	[ "$(release_of a)" = 1 ]
	brig -q upgrade mroot/2 # current again
}

@test "template remove: which release is current" {
	brig -q destroy -y a
	failing readlinkat 1 "$BRIG_BASE/templates/mroot" template remove mroot/2
	echo "$status: $output"
	[ "$status" = 1 ]
	one_line "$output"
	[ -d "$BRIG_BASE/templates/mroot/2" ]
	[ "$(readlink "$BRIG_BASE/templates/mroot/current")" = 2 ]
}

@test "start: whose a JID is" {
	brig -q start a
	jid=$(jls -j a jid)
	conf <<-EOF
		persist;
		a { }
		b { jid = $jid; }
	EOF
	brig -q create b
	failing readlinkat 1 "$BRIG_RUN/jid" start b
	echo "$status: $output"
	[ "$status" = 1 ]
	[ "$(readlink "$BRIG_RUN/jid/$jid")" = a ]
	brig -q destroy -y b
}

@test "create: whether the jailspace that is there is whole" {
	brig -q destroy -y a
	mkdir -p "$BRIG_BASE/js/a/etc" "$BRIG_BASE/js/a/.brig-new"
	failing newfstatat 1 "$BRIG_BASE/js/a" create a
	echo "$status: $output"
	[ "$status" = 1 ]
	[ ! -e "$BRIG_BASE/js/.brig/a.json" ]
	rm -rf "$BRIG_BASE/js/a"
	brig -q create a
}

@test "create: whether a file with the definition is there" {
	mkdir -p "$BRIG_CONF.d"
	echo '# mine' >"$BRIG_CONF.d/new.conf"
	for n in 1 2 3; do
		failing newfstatat $n "$BRIG_CONF.d/new.conf" create new || break
		echo "$n: $status: $output"
		[ "$status" = 1 ]
		[ "$(cat "$BRIG_CONF.d/new.conf")" = '# mine' ]
	done
	[ $n -gt 1 ]
	rm -r "$BRIG_CONF.d"
}

@test "what root may not open is not missing, either" {
	local dir
	for dir in base base/js base/js/.brig run; do
		ERROR=EACCES failing open,openat 1 "$LAB/$dir" list
		echo "$dir: $status: $output"
		[ "$status" = 1 ]
		one_line "$output"
	done
}
