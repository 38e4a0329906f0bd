#!/usr/bin/env bats
# A jail whose root is hostile: links where brig reads and writes, and names that are more than names.

load lib
bats_require_minimum_version 1.5.0

# setpriv itself keeps its capabilities until it executes something: it only starts a shell
nobody() { (cd / && setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'exec "$@"' sh "$@"); }

setup_file() {
	lab_setup
	mkdir "$LAB/victim"
	echo precious >"$LAB/victim/file"
	find "$LAB/victim" -printf '%p %m %U %s %T@\n' >"$LAB/victim.before"
}
teardown_file() { lab_teardown; }
setup() {
	conf <<-EOF
		persist;
		h { ip4.addr = 198.51.100.1; exec.start = "echo started"; exec.clean; }
	EOF
	[ -d "$BRIG_BASE/js/h" ] || brig -q create h
}
teardown() {
	brig -q stop -a --force || true
	brig -q destroy -y h || true
	find "$LAB/victim" -printf '%p %m %U %s %T@\n' | diff "$LAB/victim.before" -
}

space() { echo "$BRIG_BASE/js/h"; }

@test "links at every directory of the jailspace lead nowhere outside" {
	for d in etc tmp var root home run usr-local; do
		rm -rf "$(space)/$d"
		ln -s "$LAB/victim" "$(space)/$d"
	done
	# it may start or be refused, but nothing outside is touched (teardown looks)
	brig start h || true
	brig status h >/dev/null || true
	brig logs h >/dev/null || true
	brig exec h true || true
	brig stop h || true
}

@test "the jail cannot write to the host through a link that it plants while it runs" {
	brig -q start h
	brig exec h sh -c "rm -rf /s/etc; ln -s $LAB/victim /s/etc; echo evil > /etc/file" || true
	brig -q restart h || true
	run brig exec -U nobody h id
	brig -q stop h --force
}

@test "etc/passwd as a link, a FIFO or a giant does not hang or leave the jail" {
	brig -q start h
	for plant in "ln -s $LAB/victim/file" "mkfifo" "truncate -s 1T"; do
		rm -f "$(space)/etc/passwd"
		$plant "$(space)/etc/passwd"
		run timeout 20 "$BRIG" exec -U daemon h true
		[ "$status" != 124 ]
		[ "$status" != 0 ]
		run timeout 20 "$BRIG" exec h true
		[ "$status" = 0 ]
	done
	rm -f "$(space)/etc/passwd"
}

@test "a mount point of the jailspace that became a link is not followed by destroy" {
	ln -s "$LAB/victim" "$(space)/link"
	ln -s / "$(space)/root-link"
	brig -q destroy -y h
	[ -f "$LAB/victim/file" ]
}

@test "destroy refuses to cross a mount, and removes nothing" {
	mkdir "$(space)/mnt"
	mount --bind "$LAB/victim" "$(space)/mnt"
	run brig destroy -y h
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *mnt* ]]
	[ -d "$(space)/etc" ]
	umount "$(space)/mnt"
}

@test "names: every wrong one is one line, and nothing is made" {
	find "$BRIG_BASE" "$BRIG_RUN" "$LAB/etc" | sort >"$LAB/before"
	long=$(printf 'a%.0s' $(seq 300))
	for name in ../x -- -a "a b" "$(printf 'a\nb')" "$long" . .. "" /etc "a/b" 'a$b' "$(printf 'a\033[31m')"; do
		for cmd in create start stop destroy; do
			args=()
			[ $cmd != destroy ] || args=(-y)
			run brig $cmd "${args[@]}" -- "$name"
			[ "$status" != 0 ]
			[ "$status" -le 2 ]
			err=$(printf '%s\n' "$output" | grep -v '^usage:')
			one_line "$err"
			[[ "$err" != *$'\033'* ]]
		done
	done
	find "$BRIG_BASE" "$BRIG_RUN" "$LAB/etc" | sort | grep -v /lock/ >"$LAB/after"
	grep -v /lock/ "$LAB/before" | diff - "$LAB/after"
}

@test "output of a jail cannot speak to the terminal" {
	conf <<-EOF
		h { persist; service = "printf '\\\\033]0;evil\\\\007text\\\\n'"; }
	EOF
	brig -q start h
	eventually 5 sh -c "$BRIG logs h | grep -q text"
	run script -qec "$BRIG logs -n 5 h" /dev/null
	[[ "$output" == *text* ]]
	[[ "$output" != *$'\033]0'* ]]
}

@test "a console log that is a link is refused" {
	ln -sf "$LAB/victim/file" "$BRIG_RUN/log/h.log"
	run brig start h
	[ "$status" = 1 ]
	one_line "$output"
	rm "$BRIG_RUN/log/h.log"
}

@test "a console log, an image or a jailspace where a jail's root could put a link is refused" {
	ln -s "$BRIG_BASE/js" "$LAB/spaces"
	mkdir -p "$LAB/share" "$LAB/root/var/log" "$LAB/logs"
	conf <<-E
		persist;
		h { exec.consolelog = "$BRIG_BASE/js/h/var/log/console.log"; }
		by_link { exec.consolelog = "$LAB/spaces/h/var/log/console.log"; }
		path { path = "$LAB/root"; exec.consolelog = "$LAB/root/var/log/console.log"; }
		shared { exec.consolelog = "$LAB/share/log"; mount = "$LAB/share $BRIG_BASE/j/shared/mnt nullfs rw 0 0"; }
		image { space = "image:$BRIG_BASE/js/h/image"; space.size = 16m; }
		inside { space = "$BRIG_BASE/js/h/inside"; }
		beside { exec.consolelog = "$LAB/logs/beside.log"; }
	E
	run brig check
	[ "$status" = 1 ]
	for j in 2 4 5 6 7; do # by_link is for who opens it
		[[ "$output" == *"jail.conf:$j:"*"could put a link"* ]] || { echo "line $j: $output"; false; }
	done
	[ "$(grep -c "could put a link" <<<"$output")" = 5 ]
	sed -i '/path {\|shared {\|image {\|inside {\|h {/d' "$BRIG_CONF"
	brig -q create by_link beside
	mkdir -p "$BRIG_BASE/js/h/var/log"
	run brig start by_link
	[ "$status" = 1 ]
	[[ "$output" == *"could put a link there (use /var/log)"* ]] || [[ "$output" == *"could put a link (use /var/log)"* ]]
	[ ! -e "$BRIG_BASE/js/h/var/log/console.log" ]
	brig -q start beside # the control
	[ -f "$LAB/logs/beside.log" ]
	brig -q stop beside
	brig -q destroy -y by_link beside
	rm -r "$LAB/spaces" "$LAB/share" "$LAB/root" "$LAB/logs"
}

@test "the template stays read-only and unchanged whatever the jail's root does" {
	brig -q start h
	before=$(brig template verify mroot 2>&1 | tail -n 1)
	brig exec h sh -c 'rm -rf /bin /usr /etc/rc; mount -o remount,rw /; mount -o bind,remount,rw /; chmod 777 /bin; chown 1 /bin/busybox; touch /bin/x' || true
	run brig template verify mroot
	[ "$status" = 0 ]
}

@test "set-uid files of a jail are out of reach on the host" {
	brig -q start h
	brig exec h sh -c 'cat >/s/suid; chmod 4755 /s/suid' <"$(command -v id)"
	[ "$(stat -c %a "$BRIG_BASE/js")" = 700 ]
	chmod 755 "$LAB"
	run -126 nobody "$BRIG_BASE/js/h/suid" -u
	[[ "$output" == *"Permission denied"* ]]
	# the control: where others may go, it is the host's root's
	cp -p "$BRIG_BASE/js/h/suid" "$LAB/suid"
	[ "$(nobody "$LAB/suid" -u)" = 0 ]
	rm "$LAB/suid"
}

@test "exec on a terminal: nothing can be pushed into the caller's terminal" {
	brig -q start h
	mkfifo "$LAB/quiet" # nothing is typed, and the end of input is not either: script(1) would pass it on
	# the terminal inside is the jail's own
	out=$(script -qec "$BRIG exec h tty" /dev/null <>"$LAB/quiet" | tr -d '\r')
	[[ "$out" == /dev/pts/* ]]
	caller=$(script -qec "tty; $BRIG exec h stat -c %d:%i /proc/self/fd/0" /dev/null <>"$LAB/quiet" | tr -d '\r')
	mine=$(printf '%s\n' "$caller" | head -n 1)
	[ "$(printf '%s\n' "$caller" | tail -n 1)" != "$(stat -c %d:%i "$mine" 2>/dev/null)" ]
}

@test "set-uid programs of a template are out of reach on the host" {
	mkdir -p "$LAB/over/usr/bin"
	cp "$(command -v id)" "$LAB/over/usr/bin/suid"
	chmod 4755 "$LAB/over/usr/bin/suid"
	brig -q template build suid busybox --overlay "$LAB/over"
	program=$(readlink -f "$BRIG_BASE/templates/suid/current/root")/usr/bin/suid
	[ -u "$program" ]
	chmod 755 "$LAB"
	run -126 nobody "$program" -u
	[[ "$output" == *"Permission denied"* ]]
	# the control
	cp -p "$program" "$LAB/suid"
	[ "$(nobody "$LAB/suid" -u)" = 0 ]
	rm -r "$LAB/suid" "$LAB/over"
	brig -q template remove "suid/$(basename "$(readlink -f "$BRIG_BASE/templates/suid/current")")"
}

@test "parameters with secrets are for root; that a jail runs is for all" {
	conf <<-E
		secret { ip4.addr = 198.51.100.77; exec.prestart = "true hunter2"; persist; }
	E
	brig -q create secret
	brig -q start secret
	chmod 755 "$LAB"
	chmod 600 "$BRIG_CONF"
	grep -rq hunter2 "$BRIG_RUN" # the control
	run -2 nobody grep -rq hunter2 "$BRIG_RUN" "$BRIG_BASE" # found nothing, and much is closed
	# where the program can be run by others at all
	if nobody test -x "$BRIG"; then
		nobody "$BRIG" list | grep -q '198.51.100.77 .*secret'
	fi
	brig -q stop secret
	brig -q destroy -y secret
}
