#!/usr/bin/env bats
# jail(8), jls(8) and the commands that look: command lines, output and exit status as FreeBSD's own.

load lib

setup_file() { lab_setup; }
teardown_file() { lab_teardown; }
setup() {
	root=$LAB/root
	[ -d "$root" ] || cp -a "$BRIG_BASE/j/mroot/." "$root"
	conf </dev/null
}
teardown() {
	brig -q stop -a --force >/dev/null 2>&1 || true
	assert_tidy
}

@test "a jail of the command line: created silently, listed, removed by name" {
	run jail -c name=basejail persist path="$root" ip4.addr=192.0.2.1
	[ "$status" = 0 ]
	[ -z "$output" ]
	run jls name ip4.addr path
	[ "$output" = "basejail 192.0.2.1 $root" ]
	run jls -n -j basejail persist allow.raw_sockets jid
	[[ "$output" =~ ^persist\ allow.noraw_sockets\ jid=[0-9]+$ ]]
	run jail -c name=basejail persist path="$root"
	[ "$status" = 1 ]
	[ "$output" = 'jail: "basejail" already exists' ]
	run jail -r basejail
	[ "$status" = 0 ]
	[ -z "$output" ]
	run jls -j basejail
	[ "$status" = 1 ]
	[ "$output" = 'jls: jail "basejail" not found' ]
	run jail -r basejail
	[ "$status" = 1 ]
	[ "$output" = 'jail: "basejail" not found' ]
}

@test "removed by its number; jls -c is silent" {
	jail -c name=basejail persist path="$root"
	run jls -c -j basejail
	[ "$status" = 0 ]
	[ -z "$output" ]
	jail -r "$(jls -j basejail jid)"
	run jls -c -j basejail
	[ "$status" = 1 ]
	[ -z "$output" ]
	run jls
	[ "$status" = 0 ]
	[ "$output" = "   JID  IP Address      Hostname                      Path" ]
}

@test "a jail without a name is called by its number" {
	run jail -i -c persist path="$root"
	[ "$status" = 0 ]
	[ "$(jls -j "$output" name)" = "$output" ]
	[ "$(jls -j "$output" jid)" = "$output" ]
	jail -r "$output"
}

@test "its command has the caller's input and output, and its arguments as they are" {
	run jail -c path="$root" command=/bin/echo 'a  b' '$HOME' ';'
	[ "$status" = 0 ]
	[ "$output" = 'a  b $HOME ;' ]
	run jail -c path="$root" command=/bin/cat <<<"from standard input"
	[ "$output" = "from standard input" ]
	run jail -c name=x path="$root" command=/bin/false
	[ "$status" = 1 ]
	[ "$output" = "jail: x: /bin/false: failed" ]
	run jls name
	[ "$status" = 0 ]
	[ -z "$output" ]
}

@test "-cm, -rc, -m and -mr" {
	run jail -rc name=m persist path="$root"
	[ "$status" = 1 ]
	[ "$output" = 'jail: "m" not found' ]
	jail -cm name=m persist path="$root" meta=one
	first=$(jls -j m jid)
	[ "$(jls -j m meta)" = one ]
	jail -cm name=m meta="two words"
	[ "$(jls -j m jid meta)" = "$first two words" ]
	run jail -m name=m enforce_statfs=1
	[ "$status" = 1 ]
	[ "$output" = "jail: m: enforce_statfs cannot be changed while the jail runs; use -mr" ]
	jail -mr name=m enforce_statfs=1
	[ "$(jls -j m enforce_statfs meta)" = "1 two words" ]
	[ "$(jls -j m jid)" != "$first" ]
	jail -rc name=m persist path="$root"
	run jail -m name=nosuch meta=x
	[ "$status" = 1 ]
	[ "$output" = 'jail: "nosuch" not found' ]
	jail -r m
}

@test "hooks of a file: their output and environment, and nothing else with -q" {
	conf <<-EOF
		basejail {
			path = $root; persist;
			exec.prestart = "echo START"; exec.poststart = "env | grep ^J | sort";
			exec.prestop = "echo STOP"; exec.poststop = 'echo JID=\$JID';
		}
	EOF
	run jail -qc basejail
	jid=$(jls -j basejail jid)
	[ "$output" = "START
JID=$jid
JNAME=basejail
JPATH=$root" ]
	run jail -qr basejail
	[ "$output" = "STOP
JID=$jid" ]
	run jail -c basejail
	[ "${lines[${#lines[@]} - 1]}" = "basejail: created" ]
	run jail -r basejail
	[ "${lines[${#lines[@]} - 1]}" = "basejail: removed" ]
}

@test "a number as label" {
	conf <<-EOF
		persist; path = $root;
		5309 { name = basejail; host.hostname = "\${name}"; }
	EOF
	run jail -c 5309
	[ "$status" = 0 ]
	[ "$output" = "5309: created" ]
	[ "$(jls -j 5309 name)" = basejail ]
	[ "$(jls -j basejail jid)" = 5309 ]
	run jail -r 5309
	[ "$output" = "5309: removed" ]
	conf <<-EOF
		basejail { persist; path = $root; jid = 5309; }
	EOF
	[ "$(jail -c basejail)" = "basejail: created" ]
	[ "$(jls -j 5309 name)" = basejail ]
	[ "$(jail -r basejail)" = "basejail: removed" ]
}

@test "groups: what is in the wanted state already is no error" {
	conf <<-EOF
		persist; path = $root;
		a { } b { depend = a; } c.x { } c.y { }
	EOF
	run jail -c b
	[ "$status" = 0 ]
	[ "$output" = "a: created
b: created" ]
	run jail -c a
	[ "$status" = 1 ]
	[ "$output" = 'jail: "a" already exists' ]
	run jail -c 'c.*'
	[ "$status" = 0 ]
	[ "$(printf '%s\n' "${lines[@]}" | sort | xargs)" = "c.x: created c.y: created" ]
	run jail -c
	[ "$status" = 0 ]
	[ -z "$output" ]
	run jail -r a
	[ "$status" = 0 ]
	[ "$output" = "b: removed
a: removed" ]
	run jail -r 'c.*'
	[ "$status" = 0 ]
	[ "${#lines[@]}" = 2 ]
	run jail -r '*'
	[ "$status" = 0 ]
	[ -z "$output" ]
	run jail -r
	[ "$status" = 1 ]
	run jail -c nosuch
	[ "$status" = 1 ]
	[ "$output" = 'jail: "nosuch" not found' ]
}

@test "-e, -J, -f -, the form of old, wrong use" {
	conf <<-EOF
		a { persist; path = $root; exec.start = "echo 'x y'", ""; allow.nomount; }
	EOF
	run jail -e '|'
	[ "$output" = "name=a|persist|path=$root|exec.start=\"echo 'x y'\",\"\"|allow.nomount" ]
	jail -q -J "$LAB/jids" -c a
	[ "$(cut -f1,2 "$LAB/jids")" = "jid=$(jls -j a jid)	name=a" ]
	jail -qr a
	[ "$(echo "s { persist; path = $root; }" | jail -f - -c)" = "s: created" ]
	jail -r s
	run jail "$root" old.example.org 192.0.2.9,2001:db8::9 /bin/hostname
	[ "$status" = 0 ]
	[ "$output" = old.example.org ]
	run jail -c name=a nonsense=1
	[ "$status" = 1 ]
	[[ "$output" = *nonsense* ]]
	run jail start
	[ "$status" = 1 ]
	run jail -e , -c a
	[ "$status" = 1 ]
}

@test "jls -s gives what jail takes" {
	jail -c name=one persist path="$root" ip4.addr=192.0.2.1 meta="it's me"
	eval "set -- $(jls -s -j one)"
	jail -r one
	jail -c "$@"
	[ "$(jls -j one name ip4.addr meta)" = "one 192.0.2.1 it's me" ]
	jail -r one
}

@test "status and logs" {
	conf <<-EOF
		up { persist; path = $root; service = "printf 'hello\\\\033[31m\\\\n'; sleep 1000"; limit.pids = 50; }
		down { path = $root; persist; }
		bad { path = $root; nonsense; }
	EOF
	brig -q start up
	eventually 5 grep -q hello "$(brig --json status up | sed -n 's/.*"console_log": "\(.*\)".*/\1/p')"
	run brig status
	[[ "${lines[0]}" = NAME* ]]
	[[ "${lines[1]}" =~ ^up\ +running.*1/1$ ]]
	[[ "${lines[2]}" =~ ^down\ +stopped ]]
	[[ "${lines[3]}" =~ ^bad\ +invalid ]]
	run brig status up
	[[ "$output" = *'hello\x1b[31m'* ]]
	run brig status nosuch
	[ "$status" = 1 ]
	one_line "$output"
	[ "$(brig logs -n 1 up)" = "$(printf 'hello\033[31m')" ]
	[[ "$(script -qec "'$BRIG' logs -n 1 up" /dev/null)" = *'hello\x1b[31m'* ]]
	run brig logs nosuch
	[ "$status" = 1 ]
	one_line "$output"
	[ "$(brig completion --words running)" = up ]
	[ "$(brig completion --words jail | grep -cxE 'bad|down|up')" = 3 ]
	[ "$(brig completion --words template)" = mroot ]
}

@test "logs -f goes on when the log is cut and when it is replaced" {
	conf <<-EOF
		f { path = $root; persist; exec.consolelog = $LAB/f.log; }
	EOF
	seq 1 1000 >"$LAB/f.log"
	"$BRIG" logs -f -n 1 f >"$LAB/followed" &
	pid=$!
	eventually 5 grep -qx 1000 "$LAB/followed"
	tail -n 500 "$LAB/f.log" >"$LAB/half"
	cat "$LAB/half" >"$LAB/f.log"
	echo 1001 >>"$LAB/f.log"
	eventually 5 grep -qx 1001 "$LAB/followed"
	mv "$LAB/f.log" "$LAB/f.log.1"
	echo 1002 >"$LAB/f.log"
	eventually 5 grep -qx 1002 "$LAB/followed"
	kill "$pid"
	[ "$(xargs <"$LAB/followed")" = "1000 1001 1002" ]
}

@test "logs reads no link, no FIFO" {
	conf <<-EOF
		l { path = $root; persist; exec.consolelog = $LAB/l.log; }
	EOF
	ln -s /etc/passwd "$LAB/l.log"
	run brig logs l
	[ "$status" = 1 ]
	[[ "$output" = *"symbolic link"* ]]
	rm "$LAB/l.log"
	mkfifo "$LAB/l.log"
	run timeout 5 "$BRIG" logs l
	[ "$status" = 1 ]
	[[ "$output" = *"not a regular file"* ]]
	rm "$LAB/l.log"
}

@test "completion scripts are scripts" {
	brig completion bash >"$LAB/c"
	bash -n "$LAB/c"
	grep -q 'complete -F _brig brig' "$LAB/c"
	[ "$(brig completion zsh | head -n 1)" = "#compdef brig jls jexec jail" ]
	brig completion fish | grep -q '^complete -c brig '
	run brig completion csh
	[ "$status" = 2 ]
}
