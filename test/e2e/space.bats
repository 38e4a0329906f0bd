#!/usr/bin/env bats
# Jailspaces that are made to harm who works on them: what is no file where a file is expected, trees without end,
# names that are commands, and inputs of merges that take for ever.  A real upgrade has to get through all of them.

load lib

# Two releases of one template; "merge*" are changed in the second.
setup_file() {
	lab_setup none
	mkdir "$LAB/victim"
	echo precious >"$LAB/victim/file"
	find "$LAB/victim" -printf '%p %y %m %U %s %T@ %n\n' | sort >"$LAB/victim.before"
	for n in 1 2; do
		mkdir -p "$LAB/o$n/etc/d"
		for k in {1..24}; do printf '%s\n' a b c d e f "release $n" g h >"$LAB/o$n/etc/merge$k"; done
		for k in {1..6}; do printf '%s\n' "release $n" >"$LAB/o$n/etc/d/$k"; done
		brig -q template build mroot busybox --overlay "$LAB/o$n" --release "r$n" --no-current
	done
	brig -q upgrade mroot/r1
}
teardown_file() { lab_teardown; }
setup() {
	conf <<-EOF
		persist; stop.timeout = 1;
		h { exec.start = "true"; }
	EOF
	brig -q upgrade mroot/r1 2>/dev/null || true
	brig -q create h
	S=$BRIG_BASE/js/h
}
teardown() {
	brig -q stop -a --force || true
	timeout 60 "$BRIG" -q destroy -y h
	[ ! -e "$BRIG_BASE/js/h" ]
	find "$LAB/victim" -printf '%p %y %m %U %s %T@ %n\n' | sort | diff "$LAB/victim.before" -
	assert_tidy
}

# bounded SECONDS KBYTES command...: with status 0 or 1, in that time and memory; what it says is in $output
bounded() {
	local t=$1 k=$2
	shift 2
	[ -z "${ASAN_OPTIONS:-}" ] || { # its shadow is terabytes of addresses, and everything takes longer
		k=unlimited
		t=$((t * 5))
	}
	run bash -c "ulimit -v $k; exec timeout -k 1 $t \"\$@\"" bash "$BRIG" "$@"
	[ "$status" -le 1 ] || { echo "brig $*: status $status: ${output:0:2000}"; return 1; }
	LC_ALL=C refuse grep -n $'[\001-\010\013-\037\177-\377]' <<<"$output" || { echo "brig $*"; return 1; }
}
well() { # ... with status 0
	bounded "$@"
	[ "$status" = 0 ] || { echo "brig ${*:3}: ${output:0:2000}"; return 1; }
}
json() { python3 -c 'import json, sys; json.loads(sys.stdin.buffer.read().decode("utf-8"))' <<<"$output"; }

# Each way to put something that is no file in the place of one.
plants=(fifo socket device directory link magic hard giant unreadable)
plant() { # KIND PATH
	rm -rf "$2"
	case $1 in
	fifo) mkfifo "$2" ;;
	socket) python3 -c 'import os, socket, sys
os.chdir(os.path.dirname(sys.argv[1]))
socket.socket(socket.AF_UNIX).bind(os.path.basename(sys.argv[1]))' "$2" ;;
	device) mknod "$2" c 1 5 ;; # zero: without an end
	directory) mkdir "$2" ;;
	link) ln -s "$LAB/victim/file" "$2" ;;
	magic) ln -s /proc/self/fd/0 "$2" ;;
	hard) ln "$LAB/victim/hard" "$2" ;;
	giant) truncate -s 1T "$2" ;;
	unreadable) : >"$2" && chmod 0 "$2" ;;
	esac
}

@test "what is no file, wherever the host reads or merges one: every command ends, nothing outside is touched" {
	cp -a "$S/etc" "$LAB/saved"
	echo precious >"$LAB/victim/hard"
	find "$LAB/victim" -printf '%p %y %m %U %s %T@ %n\n' | sort >"$LAB/victim.before"
	# the control: who reads by name is held up
	mkfifo "$LAB/fifo"
	run timeout 0.3 cat "$LAB/fifo"
	[ "$status" = 124 ]
	for kind in "${plants[@]}"; do
		for file in passwd group merge1 d/1 hostname rc.conf; do plant $kind "$S/etc/$file"; done
		echo "$kind" >>"$LAB/kinds"
		started=
		case $kind in # (links and giants: hostile.bats)
		fifo | device | directory | hard | unreadable)
			bounded 20 900000 start h
			[ "$status" != 0 ] || started=yes
			;;
		esac
		if [ "$started" ]; then
			echo "$kind started"
			well 10 900000 status h
			well 10 900000 exec h true
			bounded 10 900000 exec -U daemon h true
			[ $kind = unreadable ] || [ "$status" = 1 ] || { echo "$kind: user daemon was found"; false; }
			well 10 900000 stop h
		fi
		well 20 900000 upgrade mroot/r2
		[ "$(release_of h)" = r2 ]
		[ "$(cat "$S/etc/merge2")" = "$(cat "$LAB/o2/etc/merge2")" ] # the rest of it was done
		well 10 900000 --json merge
		json
		[ "$started" ] || well 10 900000 merge --diff
		well 20 900000 rollback mroot r1
		[ "$(cat "$S/etc/merge2")" = "$(cat "$LAB/o1/etc/merge2")" ]
		[ "$(cat "$LAB/victim/hard")" = precious ]
		rm -rf "$S/etc"
		cp -a "$LAB/saved" "$S/etc"
	done
	[ "$(wc -l <"$LAB/kinds")" = ${#plants[@]} ]
	[ "$started" ] # the last one: it started, and nothing but a file was in the way
	rm "$LAB/victim/hard"
	find "$LAB/victim" -printf '%p %y %m %U %s %T@ %n\n' | sort >"$LAB/victim.before"
}

@test "a tree of 3000 directories in each other, and one of 100000 names: create, upgrade, back, destroy" {
	deep='import os, sys
os.chdir(sys.argv[1]); os.mkdir("deep"); os.chdir("deep")
for i in range(3000): os.mkdir("d"); os.chdir("d")
open("end", "w")'
	# in memory: the file system is not what is looked at
	mkdir -p "$LAB/space"
	mount -t tmpfs none "$LAB/space"
	conf <<-EOF
		persist; stop.timeout = 1;
		h { }
		big { space = "$LAB/space/big"; exec.start = "true"; }
	EOF
	brig -q create big
	B=$LAB/space/big
	python3 -c "$deep" "$B/etc"
	rm -r "$B/etc/d"
	mv "$B/etc/deep" "$B/etc/d" # the release has a directory of six files there
	mkdir "$B/var/many" "$B/etc/many"
	(cd "$B/var/many" && seq -f 'f%06.0f' 100000 | xargs touch)
	(cd "$B/etc/many" && seq -f 'f%05.0f' 10000 | xargs touch)
	[ "$(find "$B" | wc -l)" -gt 113000 ]
	for cmd in "status big" "upgrade -n mroot/r2" "start big" "upgrade mroot/r2" "merge" "rollback mroot r1" "upgrade mroot/r2" "stop big" "destroy -y --space big"; do
		# shellcheck disable=SC2086
		well 20 900000 $cmd
	done
	[ ! -e "$B" ]
	umount "$LAB/space"
	# and as a skeleton: from a tree that a template is built from
	mkdir -p "$LAB/odeep/etc/wide"
	python3 -c "${deep/3000/100}" "$LAB/odeep/etc"
	(cd "$LAB/odeep/etc/wide" && seq 3000 | xargs touch)
	brig -q template build deep busybox --overlay "$LAB/odeep"
	conf <<-EOF
		persist;
		h { }
		k { template = deep; }
	EOF
	well 20 900000 create k
	[ "$(find "$BRIG_BASE/js/k/etc/deep" -name end | wc -l)" = 1 ]
	[ "$(ls "$BRIG_BASE/js/k/etc/wide" | wc -l)" = 3000 ]
	well 20 900000 destroy -y k
	brig -q template remove "$(cd "$BRIG_BASE/templates" && echo deep/2*)"
}

# ---- what a merge is given ----

@test "inputs of merges: none ends the upgrade, each has its answer, all within seconds" {
	put() { cat >"$S/etc/merge$1"; }
	before=$(cat "$S/etc/merge1")
	printf 'a\0b\n' | put 1                                               # not text
	seq 1000000 | put 2                                                   # a million lines
	head -c 100000000 /dev/zero | tr '\0' x | put 3                       # one line of 100 MB
	printf '%s\r\n' a b c d e f "release 1" g h | put 4                   # CRLF
	printf '%s\n' mine b c d e f "release 1" g h | head -c -1 | put 5     # no newline at the end
	printf '%s\n' a '<<<<<<< yours' b '=======' '>>>>>>> new' c d e f "release 1" g h | put 6
	printf '%s\n' mine b c d e f "release 1" g h | put 7                  # merges: the control
	: | put 8
	rm "$S/etc/merge9"
	for k in 10 11 12; do printf '%s\n' mine b c d e f "release 1" g h | put $k; done
	chmod 6755 "$S/etc/merge10"
	chown 12:34 "$S/etc/merge11"
	setcap cap_net_raw+ep "$S/etc/merge12"
	[ -n "$(getcap "$S/etc/merge12")" ]
	[ "$(stat -c %a "$S/etc/merge10")" = 6755 ] # the control
	rm "$S/etc/merge"{13,14,15}
	mkdir "$S/etc/merge13"
	ln -s "$LAB/victim/file" "$S/etc/merge14"
	mkfifo "$S/etc/merge15"
	python3 -c 'import sys
for i in range(120000): sys.stdout.write("ab"[i * i % 7 % 2] + "\n")' | put 16 # lines that are alike: many ways to match
	chmod 6755 "$S/etc/merge17"                                           # the mode alone
	chmod 0 "$S/etc/merge18"
	from=$(date +%s)
	well 60 900000 upgrade mroot/r2
	[ $(($(date +%s) - from)) -lt 40 ]
	[ "$(release_of h)" = r2 ]
	said=$output
	well 20 900000 merge
	echo "$output"
	for k in 1 2 3 6 8 13 14 15 16; do # they wait, and the jail keeps its own
		[ $k = 6 ] || [ $k = 8 ] || grep -q "/etc/merge$k\b" <<<"$output$said" || { echo "$k is not mentioned"; false; }
	done
	[ "$(stat -c %s "$S/etc/merge2")" -gt 6000000 ]
	[ "$(stat -c %s "$S/etc/merge3")" = 100000000 ]
	[ -d "$S/etc/merge13" ]
	[ -L "$S/etc/merge14" ]
	[ -p "$S/etc/merge15" ]
	[ "$(cat "$S/etc/merge7")" = "$(printf '%s\n' mine b c d e f 'release 2' g h)" ]
	[ "$(cat "$S/etc/merge19")" = "$(cat "$LAB/o2/etc/merge19")" ]
	# nothing that brig wrote has what only the jail gave it
	for k in 10 12 17; do
		grep -qx 'release 2' "$S/etc/merge$k"
		mode=$(stat -c %a "$S/etc/merge$k")
		[ $((0$mode & 06000)) = 0 ] || { echo "merge$k has mode $mode"; false; }
		[ -z "$(getcap "$S/etc/merge$k")" ] || { echo "merge$k has capabilities"; false; }
	done
	[ "$(stat -c %a "$S/etc/merge10") $(stat -c %u:%g "$S/etc/merge11")" = "755 12:34" ] # the rest is the jail's
	for how in theirs mine; do bounded 20 900000 merge --$how /etc/merge2; done
	well 60 900000 rollback mroot r1
	[ "$(stat -c %s "$S/etc/merge3")" = 100000000 ]
	[ ! -e "$S/etc/merge9" ]
}

# ---- names ----

@test "names and texts of a jail in everything that is printed: nothing that a terminal obeys, and JSON is UTF-8" {
	evil=$'e\033]0;evil\a\n\377\376\302\233x'
	# the control: who prints names as they are
	mkdir "$LAB/names"
	: >"$LAB/names/$evil"
	find "$LAB/names" -print0 | LC_ALL=C grep -q $'\033'
	mkdir -p "$LAB/e1/etc/$evil" "$LAB/e2/etc/$evil"
	for n in 1 2; do
		for f in "$evil" clash; do printf '%s\n' "release $n" >"$LAB/e$n/etc/$evil/$f"; done
		brig -q template build evil busybox --overlay "$LAB/e$n" --release e$n --no-current
	done
	conf <<-EOF
		persist; stop.timeout = 1;
		h { }
		v { template = evil; exec.start = "printf '\\\\033]0;evil\\\\007\\\\n\\\\377\\\\n'"; service = "sleep 1000"; }
	EOF
	brig -q upgrade evil/e1
	brig -q create v
	V=$BRIG_BASE/js/v
	for f in "$evil" clash; do printf '\033]0;evil\a mine\377\n' >"$V/etc/$evil/$f"; done
	: >"$V/etc/own$evil"
	brig -q start v
	brig exec v hostname "$evil" 2>/dev/null || true
	printf '%s\n' "$evil" >"$V/etc/hostname"
	well 20 900000 upgrade -n evil/e2
	[[ "$output" == *evil* ]]
	well 20 900000 --json upgrade -n evil/e2
	json
	well 20 900000 upgrade evil/e2
	[[ "$output" == *conflict* ]]
	for cmd in "merge" "merge v" "merge --diff" "list" "status" "status v" "template list" "template show evil" "template verify evil" "audit v"; do
		# shellcheck disable=SC2086
		well 20 900000 $cmd
		# shellcheck disable=SC2086
		bounded 20 900000 --json $cmd
		[ -z "$output" ] || json || { echo "--json $cmd: $output"; false; }
	done
	well 20 900000 merge --diff
	[[ "$output" == *evil*mine* ]] # it is shown
	run bash -c "exec -a jls '$BRIG' -v"
	[ "$status" = 0 ]
	LC_ALL=C refuse grep -q $'[\001-\010\013-\037\177-\377]' <<<"$output"
	run script -qec "$BRIG logs v" /dev/null </dev/null
	[[ "$output" == *evil* ]]
	LC_ALL=C refuse grep -q $'[\001-\003\005-\007\013-\037\177-\377]' <<<"${output//$'\r'/}"
	brig -q stop v
	# a release whose file was changed: verify names it
	printf x >>"$BRIG_BASE/templates/evil/e2/skel/etc/$evil/clash" 2>/dev/null
	bounded 20 900000 template verify evil
	[[ "$output" == *evil* ]]
	brig -q destroy -y v
	brig -q template remove evil/e1
}

# ---- files that the host writes ----

@test "hard links and others as console log, lock or state: refused or made anew, and what they lead to stays" {
	brig -q start h
	brig -q stop h
	log=$BRIG_RUN/log/h.log
	[ -f "$log" ]
	for kind in hard fifo socket device directory link; do
		echo precious >"$LAB/hard"
		rm -rf "$log"
		if [ $kind = hard ]; then ln "$LAB/hard" "$log"; else plant $kind "$log"; fi
		bounded 10 900000 start h
		[ "$status" = 1 ] || { echo "$kind was taken as log"; false; }
		one_line "$output"
		[ "$(cat "$LAB/hard")" = precious ]
		bounded 10 900000 logs h
	done
	rm -rf "$log"
	brig -q start h # the control
	[ -f "$log" ]
}
