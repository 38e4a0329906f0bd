#!/usr/bin/env bats
# What only one may have at a time: ranges of host ids, releases, names of jails, locks.

setup_file() {
	load lib.bash
	lab_setup
	mkdir -p "$LAB/bin"
}

teardown_file() {
	load lib.bash
	lab_teardown
}

setup() {
	load lib.bash
	conf <<-EOF
		persist;
		a { }
		b { }
		c { }
	EOF
}

teardown() {
	brig -q stop -a --force >/dev/null 2>&1 || true
	for n in a b c; do brig -q destroy -y $n >/dev/null 2>&1 || true; done
}

ids() { sed -n 's/^ *"idbase": \([0-9]*\).*/\1/p' "$BRIG_BASE/js/.brig/$1.json"; }
# What the kernel maps root of a running jail to.
mapped() { awk '{ print $2; exit }' "/proc/$(jail_pid "$1")/uid_map"; }

@test "ids: a jail that is made when the links are lost gets others than the jails that are there" {
	brig -q create a
	rm "$BRIG_BASE"/js/.brig/ids/*
	brig -q create b
	brig -q start a b
	[ "$(mapped a)" != "$(mapped b)" ]
	[ "$(find "$BRIG_BASE/js/.brig/ids" -type l | wc -l)" = 2 ]
}

@test "ids: a jail with those of another does not start, and what it says to type gives it others" {
	brig -q create a
	brig -q create b
	sed -i "s/\"idbase\": .*[0-9]/\"idbase\": $(ids a)/" "$BRIG_BASE/js/.brig/b.json" # as from a backup
	echo kept >"$BRIG_BASE/js/b/etc/mine"
	brig -q start a
	run brig start b
	[ "$status" = 1 ]
	one_line "$output"
	[ "$output" = "brig: b: its ids on the host are those of jail a, too: give it others (brig create b)" ]
	run brig create b
	[ "$status" = 0 ]
	[ "$output" = "b: existed; another jail had its host ids, too: it has new ones now" ]
	brig -q start b
	[ "$(mapped a)" != "$(mapped b)" ]
	[ "$(brig exec b cat /etc/mine)" = kept ]
	[ "$(brig exec b stat -c %u:%g /etc/mine)" = 0:0 ]
}

@test "ids: the link is on the disk before the record" {
	strace -f -o "$LAB/calls" -e trace=symlink,symlinkat,rename,renameat,renameat2,fsync -y "$BRIG" -q create a
	cat "$LAB/calls"
	awk '/symlinkat.*\.brig\/ids>, "[0-9]+"\) += 0/ { link = NR } # ids/N
	     link && /fsync\(.*\.brig\/ids>\) += 0/ { synced = NR }
	     /renameat.*"a\.json"\) += 0/ { exit !(link && synced && NR > synced) }' "$LAB/calls"
}

# slowly COMMAND...: with a second before it puts a release out of the way
slowly() {
	strace -f -o /dev/null -e trace=renameat2 -e inject=renameat2:delay_enter=1000000 "$BRIG" "$@" &
	slow=$!
	sleep 0.4
}

@test "releases: one that is being removed is not what a new jail is made of" {
	brig -q template build --release 20060601 mroot busybox
	brig -q template build --release 20060602 mroot busybox
	conf <<-EOF
		persist;
		a { template = mroot/20060601; }
	EOF
	slowly -q template remove mroot/20060601
	run brig create a
	made=$status
	echo "$output"
	wait "$slow" && removed=0 || removed=$?
	echo "created: $made, removed: $removed"
	[ "$((made == 0))" != "$((removed == 0))" ]
	one_line "$output"
	[ "$output" = "brig: a: template mroot has no release 20060601 (brig template list mroot)" ]
	[ ! -e "$BRIG_BASE/js/.brig/a.json" ]
	[ ! -e "$BRIG_BASE/js/a" ]
	[ ! -e "$BRIG_BASE/j/a" ]
}

@test "names: those of the other jails are there when the file is too large, unreadable or gone" {
	conf <<-EOF
		persist;
		a { ip4.addr = 198.51.100.1; host.hostname = a.example; }
		b { ip4.addr = 198.51.100.2; rdr = "tcp 8081 81"; }
		c { ip4.addr = 198.51.100.3; }
	EOF
	for n in a b c; do brig -q create $n; done
	brig -q start a b
	cp "$BRIG_RUN/hosts/hosts" "$LAB/ab"
	head -c 5000000 /dev/zero | tr '\0' '#' >>"$BRIG_RUN/hosts/hosts"
	brig -q start c
	cp "$BRIG_RUN/hosts/hosts" "$LAB/abc"
	grep -q '^198.51.100.1.a.example a.#a$' "$LAB/abc"
	grep -q '^198.51.100.2.b.#b$' "$LAB/abc"
	grep -q '^198.51.100.3.c.#c$' "$LAB/abc"
	strace -f -o "$LAB/calls" -P "$BRIG_RUN/hosts/hosts" -e trace=read -e inject=read:error=EIO "$BRIG" -q stop c
	grep -q INJECTED "$LAB/calls"
	diff <(sort "$LAB/ab") <(sort "$BRIG_RUN/hosts/hosts")
	rm "$BRIG_RUN/hosts/hosts"
	brig -q start c
	diff <(sort "$LAB/abc") <(sort "$BRIG_RUN/hosts/hosts")
}

@test "a damaged state: is named, and stop --force takes the jail away with all that it has" {
	conf <<-EOF
		persist;
		a { ip4.addr = 198.51.100.1; ip6.addr = 2001:db8::1; rdr = "tcp 8080 80"; nat; limit.pids = 50; }
		b { ip4.addr = 198.51.100.2; rdr = "tcp 8081 81"; }
	EOF
	brig -q create a
	brig -q create b
	host_things >"$LAB/empty"
	brig -q start b
	host_things >"$LAB/before"
	for how in empty cut garbage directory; do
		brig -q start a
		brig exec a sleep 60 &
		job=$!
		first=$(jail_pid a)
		state=$BRIG_RUN/jail/a/state.json
		case $how in
		empty) : >"$state" ;;
		cut)
			head -c 100 "$state" >"$LAB/cut"
			cp "$LAB/cut" "$state"
			;;
		garbage) echo '{ "name": 1 }' >"$state" ;;
		directory)
			rm "$state"
			mkdir -p "$state/sub"
			;;
		esac
		run brig status
		echo "$how: $output"
		[[ "$output" == *"a"*"damaged"*"brig: state of jail a: $state is damaged (brig stop --force a takes the jail away)"* ]]
		run brig status a
		[[ "$output" == *"problem"*"brig stop --force a"* ]]
		run brig list
		[[ "$output" == *"brig stop --force a"* ]]
		for command in "stop a" "start a" "destroy -y a"; do
			# shellcheck disable=SC2086
			run brig $command
			echo "$output"
			[ "$status" = 1 ]
			one_line "$output"
			[[ "$output" == *"brig stop --force a"* ]]
		done
		[ "$how" != garbage ] || conf <<-EOF
			persist;
			a { }
			b { ip4.addr = 198.51.100.2; rdr = "tcp 8081 81"; }
		EOF
		run brig stop --force a
		echo "$output"
		[ "$status" = 0 ]
		[ ! -e "/proc/$first" ]
		wait "$job" || true
		assert_host_as "$LAB/before"
		[ ! -e "$BRIG_RUN/jail/a" ]
		[ "$(readlink "$BRIG_RUN"/jid/* | sort -u)" = b ]
		[ -z "$(grep '#a$' "$BRIG_RUN/hosts/hosts")" ]
		[ "$(jls -j b name)" = b ]
		conf <<-EOF
			persist;
			a { ip4.addr = 198.51.100.1; ip6.addr = 2001:db8::1; rdr = "tcp 8080 80"; nat; limit.pids = 50; }
			b { ip4.addr = 198.51.100.2; rdr = "tcp 8081 81"; }
		EOF
	done
	brig -q stop b
	assert_host_as "$LAB/empty"
}

@test "locks: a process that was about to enter the jail does not keep them when its command is killed" {
	: >"$LAB/calls"
	strace -f -qq -o "$LAB/calls" -e trace=setns -e inject=setns:delay_enter=1000000:when=3+ \
		"$BRIG" -q run sleep 1 >/dev/null 2>&1 </dev/null &
	tracer=$!
	eventually 10 grep -q DELAYED "$LAB/calls" # and the next is being delayed
	kill -s KILL "$(pgrep -o -P $tracer)"
	sleep 0.1
	brig list >/dev/null
	left=$(find "$BRIG_BASE/js" "$BRIG_BASE/j" -maxdepth 2 -name '*run-*')
	[ -z "$left" ] || { echo "left: $left"; false; }
	wait $tracer || true
	assert_tidy
}

@test "an upgrade of all at once reports a jail whose state is damaged, and switches the others" {
	mkdir -p "$LAB/o2/etc"
	echo 2 >"$LAB/o2/etc/motd"
	brig -q template build mroot busybox --overlay "$LAB/o2" --release r2 --no-current
	printf 'persist;\na { }\nb { }\n' | conf
	brig -q create a b
	brig -q start a b
	echo '{ "name": 1 }' >"$BRIG_RUN/jail/a/state.json"
	run brig upgrade --all-at-once mroot/r2
	echo "$output"
	[ "$status" = 1 ]
	grep -q '^brig: a: .*brig stop --force a' <<<"$output"
	grep -q '^b: upgraded to r2' <<<"$output"
	grep -q '"release": "r2"' "$BRIG_BASE/js/.brig/b.json"
	brig -q stop --force a b
	brig -q destroy -y a b
}
