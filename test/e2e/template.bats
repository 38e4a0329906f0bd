#!/usr/bin/env bats
# Templates: sources, split, list, show, verify, remove, and what must fail.

load lib

setup_file() { lab_setup none; }
teardown_file() { lab_teardown; }
setup() { T=$BRIG_BASE/templates; }

# A small tree: tree DIR
tree() {
	mkdir -p "$1/etc" "$1/usr/bin" "$1/usr/local/bin" "$1/var/lib"
	echo 'root::0:0::/root:/bin/sh' >"$1/etc/passwd"
	echo 'root:$6$secret:1::::::' >"$1/etc/shadow"
	echo x >"$1/usr/bin/tool"
}

current() { readlink "$T/$1/current"; }

@test "busybox: built, listed, shown, verified" {
	run brig template build mroot busybox
	[ "$status" = 0 ]
	[[ "$output" == *"built release $(date +%Y%m%d)"* ]]
	[ "$(readlink "$BRIG_BASE/j/mroot")" = ../templates/mroot/current/root ]
	[ "$(readlink "$BRIG_BASE/j/skel")" = ../templates/mroot/current/skel ]
	[ "$(readlink "$BRIG_BASE/j/mroot/usr/local")" = ../s/usr-local ]
	grep -q '^root:\*:' "$BRIG_BASE/j/skel/etc/shadow"
	brig template list | grep -q "mroot .* current"
	brig template show mroot | grep -q '^source  *busybox'
	brig --json template show mroot | grep -q '"source": "busybox"'
	brig template verify
	chroot "$BRIG_BASE/j/mroot" /bin/busybox true
	assert_tidy
}

@test "a second release of a day gets a number; the same recipe is built again" {
	first=$(current mroot)
	brig -q template build mroot
	[ "$(current mroot)" != "$first" ]
	[[ "$(current mroot)" == "$(date +%Y%m%d)".* ]]
	brig --json template show mroot | grep -q '"source": "busybox"'
	[ "$(readlink "$BRIG_BASE/j/mroot")" = ../templates/mroot/current/root ]
}

@test "--release, --no-current; a name that is taken" {
	before=$(current mroot)
	brig -q template build mroot busybox --release mine --no-current
	[ "$(current mroot)" = "$before" ]
	run brig template build mroot busybox --release mine
	[ "$status" = 1 ]
	one_line "$output"
	for name in current by-hand ../x .new.1 "a b"; do
		run brig template build mroot busybox --release "$name"
		[ "$status" = 1 ]
	done
	brig -q template remove mroot/mine
}

@test "dir: a copy with everything; devices outside dev/, sockets and FIFOs fail by name" {
	tree "$LAB/tree"
	ln "$LAB/tree/usr/bin/tool" "$LAB/tree/usr/bin/again"
	chmod 4755 "$LAB/tree/usr/bin/tool"
	touch -d 2001-01-01 "$LAB/tree/usr/bin/tool"
	mkdir "$LAB/tree/dev"
	mknod "$LAB/tree/dev/null" c 1 3
	ln -s tree "$LAB/linked"
	(cd "$LAB" && brig -q template build d dir:linked)
	root=$T/d/current/root
	[ "$(stat -c '%a %h %Y' "$root/usr/bin/again")" = "4755 2 $(date -d 2001-01-01 +%s)" ]
	brig --json template show d | grep -qF "\"source\": \"dir:$LAB/tree\""
	[ -z "$(ls -A "$root/dev")" ]
	[ "$(cut -d: -f1,2 "$T/d/current/skel/etc/shadow")" = 'root:*' ]
	[ "$(cut -d: -f1,2 "$T/d/current/skel/etc/passwd")" = 'root:*' ]
	for kind in "p" "c 1 3"; do
		# shellcheck disable=SC2086
		mknod "$LAB/tree/usr/thing" $kind
		run brig -q template build d2 "dir:$LAB/tree"
		[ "$status" = 1 ]
		one_line "$output"
		[[ "$output" == *usr/thing* ]]
		rm "$LAB/tree/usr/thing"
	done
	[ ! -e "$T/d2" ]
}

@test "a link that the source has dangling is a warning that stays, unless a rule allows it" {
	tree "$LAB/dangling"
	mkdir -p "$LAB/dangling/etc/modules-load.d"
	ln -s ../nowhere "$LAB/dangling/usr/bin/lost"
	ln -s ../modules "$LAB/dangling/etc/modules-load.d/modules.conf"
	run brig -q template build dl "dir:$LAB/dangling"
	[ "$status" = 0 ]
	[[ "$output" == *"dl: warning: /usr/bin/lost: the link to '../nowhere' leads nowhere in a jail"* ]]
	[ "$(wc -l <<<"$output")" = 2 ]
	brig template show dl | grep -qF "/etc/modules-load.d/modules.conf: the link to '../modules' leads nowhere"
	brig template verify dl
	printf 'move etc\nmove var\nempty s\ndangling /usr/bin/lost\ndangling /etc/modules*\n' >"$LAB/my.rules"
	run brig -q template build dl "dir:$LAB/dangling" --rules "$LAB/my.rules"
	[ "$status" = 0 ]
	[ "$output" = "" ]
	cmp "$LAB/my.rules" "$T/dl/current/rules"
	[ -d "$T/dl/current/root/usr/local" ]
	# more than can be read at once
	for i in $(seq 20); do ln -s nowhere "$LAB/dangling/usr/bin/l$i"; done
	run brig -q template build dl "dir:$LAB/dangling"
	[ "$(wc -l <<<"$output")" = 9 ]
	[[ "$output" == *"14 more warnings: brig template show dl/$(current dl)" ]]
	[ "$(brig template show dl | grep -c 'leads nowhere')" = 22 ]
}

@test "links that the rules of the split lead astray: put right, or each jail gets its own" {
	tree "$LAB/astray"
	mkdir -p "$LAB/astray/etc/ssl/private" "$LAB/astray/etc/dovecot/private" "$LAB/astray/usr/lib/x"
	echo key >"$LAB/astray/etc/ssl/private/ssl-cert-snakeoil.key"
	ln -s /etc/ssl/private/ssl-cert-snakeoil.key "$LAB/astray/etc/dovecot/private/dovecot.key"
	ln -s ../../etc/../usr/lib/x "$LAB/astray/usr/bin/round"
	run brig -q template build as "dir:$LAB/astray"
	[ "$status" = 0 ]
	[ "$output" = "" ]
	[ "$(readlink "$T/as/current/root/usr/bin/round")" = /usr/lib/x ]
	[ ! -e "$T/as/current/skel/etc/ssl/private/ssl-cert-snakeoil.key" ]
	brig template verify as
	# what a rule makes itself is the fault of who wrote it
	printf 'move etc\nempty s\nlink etc/own ../nowhere\n' >"$LAB/bad.rules"
	run brig -q template build as2 "dir:$LAB/astray" --rules "$LAB/bad.rules"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"/s/etc/own: the link to '../nowhere' leads nowhere"* ]]
	[ ! -e "$T/as2" ]
}

@test "a link that an overlay leaves dangling fails the build by name" {
	tree "$LAB/under"
	mkdir -p "$LAB/under/etc/avail" "$LAB/over1/etc/enabled" "$LAB/over1/etc/mine"
	echo x >"$LAB/under/etc/avail/a"
	ln -s nowhere "$LAB/under/etc/own"
	ln -s ../avail/a "$LAB/over1/etc/enabled/a"
	ln -s ../avail/b "$LAB/over1/etc/enabled/b"
	ln -s /run/later "$LAB/over1/etc/mine/later"
	run brig -q template build ov "dir:$LAB/under" --overlay "$LAB/over1"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"/etc/enabled/b: the link to '../avail/b' leads nowhere in a jail"* ]]
	[[ "$output" != *etc/own* ]]
	[ ! -e "$T/ov" ]
	# it breaks a link of the source
	rm "$LAB/over1/etc/enabled/b"
	ln -s avail/a "$LAB/under/etc/a"
	mkdir -p "$LAB/over2/etc"
	echo file >"$LAB/over2/etc/avail"
	run brig -q template build ov "dir:$LAB/under" --overlay "$LAB/over2"
	[ "$status" = 1 ]
	[[ "$output" == *"/etc/a: the link to 'avail/a' leads through a file"* ]]
	run brig -q template build ov "dir:$LAB/under" --overlay "$LAB/over1"
	[ "$status" = 0 ]
	[[ "$output" == *"warning: /etc/own: "* ]]
}

@test "two paths that claim one place fail by name" {
	tree "$LAB/claims"
	mkdir -p "$LAB/claims/s/usr-local"
	run brig -q template build cl "dir:$LAB/claims"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"s/usr-local and usr/local both claim usr-local"* ]]
}

@test "tar: with owners, and a hostile one" {
	tree "$LAB/tarred"
	chown 33:44 "$LAB/tarred/usr/bin/tool"
	mkdir "$LAB/tarred/dev"
	mknod "$LAB/tarred/dev/null" c 1 3
	tar -C "$LAB/tarred" -czf "$LAB/t.tgz" .
	brig -q template build t "tar:$LAB/t.tgz"
	[ "$(stat -c %u:%g "$T/t/current/root/usr/bin/tool")" = 33:44 ]
	mkdir "$LAB/outside"
	ln -s "$LAB/outside" "$LAB/x"
	tar -C "$LAB" -cf "$LAB/bad.tar" x
	rm "$LAB/x"
	mkdir "$LAB/x"
	echo evil >"$LAB/x/evil"
	tar -C "$LAB" -rf "$LAB/bad.tar" x/evil
	run brig -q template build bad "tar:$LAB/bad.tar"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"leads through the link 'x'"* ]]
	[ -z "$(ls -A "$LAB/outside")" ]
	head -c $(($(stat -c %s "$LAB/t.tgz") / 2)) "$LAB/t.tgz" >"$LAB/short.tgz"
	run brig -q template build bad "tar:$LAB/short.tgz"
	[ "$status" = 1 ]
	one_line "$output"
	[ ! -e "$T/bad" ]
}

@test "cmd: runs with DESTDIR, its last words are the error" {
	brig -q template build c "cmd:mkdir -p etc usr/bin && test \"\$PWD\" = \"\$DESTDIR\" && echo hi > \$DESTDIR/usr/bin/x"
	[ "$(cat "$T/c/current/root/usr/bin/x")" = hi ]
	run brig -q template build c2 "cmd:echo one; echo no such thing >&2; exit 3"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"no such thing"* ]]
	run brig -q template build c2 "cmd:true"
	[ "$status" = 1 ]
	[[ "$output" == *"empty tree"* ]]
	[ ! -e "$T/c2" ]
}

@test "overlays replace files, follow the tree's own directory links inside the tree" {
	mkdir -p "$LAB/over/etc" "$LAB/over/bin"
	echo motd >"$LAB/over/etc/motd"
	echo new >"$LAB/over/bin/new"
	tree "$LAB/based"
	ln -s usr/bin "$LAB/based/bin"
	brig -q template build o "dir:$LAB/based" --overlay "$LAB/over"
	[ "$(cat "$T/o/current/skel/etc/motd")" = motd ]
	[ "$(readlink "$T/o/current/root/bin")" = usr/bin ]
	[ "$(cat "$T/o/current/root/usr/bin/new")" = new ]
	brig --json template show o | grep -qF "\"$LAB/over\""
	# a link that leads out of the tree leads nowhere else
	rm "$LAB/based/bin"
	mkdir -p "$LAB/trap"
	ln -s "$LAB/trap" "$LAB/based/bin"
	brig -q template build o "dir:$LAB/based" --overlay "$LAB/over"
	[ -z "$(ls -A "$LAB/trap")" ]
	[ -f "$T/o/current/root/bin/new" ]
}

@test "verify reads what jails see and what the disk has" {
	mkdir -p "$LAB/over/usr/share" "$LAB/disk"
	# a block whose place in the image can be found
	head -c 8192 /dev/zero | tr '\0' m >"$LAB/over/usr/share/big"
	printf 'brig-%s-marker' 4711 | dd of="$LAB/over/usr/share/big" bs=1 seek=4096 conv=notrunc status=none
	truncate -s 64M "$LAB/image"
	mke2fs -q -t ext4 "$LAB/image"
	mount -o loop "$LAB/image" "$LAB/disk"
	brig -b "$LAB/disk" -q template build v busybox --overlay "$LAB/over"
	sync -f "$LAB/disk"
	run brig -b "$LAB/disk" template verify v
	[ "$status" = 0 ]
	[[ "$output" != *"page cache"* ]]
	file=$(echo "$LAB"/disk/templates/v/2*/root/usr/share/big)
	at=$(grep -abo brig-4711-marker "$LAB/image" | cut -d: -f1)
	printf X | dd of="$LAB/image" bs=1 seek="$at" conv=notrunc status=none
	# the control: the file reads as before
	grep -q brig-4711-marker "$file"
	run brig -b "$LAB/disk" template verify v
	umount "$LAB/disk"
	rm -r "$LAB/image" "$LAB/over" "$LAB/disk"
	[ "$status" = 1 ]
	[[ "$output" == *"usr/share/big: content differs between page cache and disk: SHA-256 "* ]]
	[ "$(grep -c differ <<<"$output")" = 2 ] # and the number of differences
}

@test "verify names every difference" {
	brig -q template build v busybox
	root=$(readlink -f "$T/v/current/root")
	echo x >>"$root/bin/busybox"
	chmod 700 "$root/usr"
	chown 5 "$root/lib"
	ln -sf other "$root/bin/sh"
	rm "$root/bin/ls"
	echo new >"$root/bin/new"
	rm -f "$root/../skel/etc/shells"
	mkdir "$root/../skel/etc/shells"
	run brig template verify v
	[ "$status" = 1 ]
	[[ "$output" == *"root/bin/busybox: size "* ]]
	[[ "$output" == *"root/usr: mode 0700, was built as 0755"* ]]
	[[ "$output" == *"root/lib: owner 5:0, was built as 0:0"* ]]
	[[ "$output" == *"root/bin/sh: link to 'other', was built as 'busybox'"* ]]
	[[ "$output" == *"root/bin/ls: is missing (a link)"* ]]
	[[ "$output" == *"root/bin/new: was not there when it was built (a file)"* ]]
	[[ "$output" == *"skel/etc/shells: a directory, was built as a file"* ]]
	brig -q template build v busybox
	root=$(readlink -f "$T/v/current/root")
	# the same size, another content
	printf y | dd of="$root/bin/busybox" bs=1 seek=1000 conv=notrunc status=none
	run brig template verify "v/$(current v)"
	[ "$status" = 1 ]
	[[ "$output" == *"root/bin/busybox: content differs"* ]]
	sed -i 's/bin.new/bin.old/' "$root/../manifest"
	echo '# x' >>"$root/../manifest"
	run brig template verify "v/$(current v)"
	[[ "$output" == *"manifest: is not the one"* ]]
}

@test "remove: not the current one while there are others; the last takes its links along" {
	brig -q template build r busybox
	old=$(current r)
	brig -q template build r busybox
	run brig template remove "r/$(current r)"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"is current"* ]]
	brig -q template remove "r/$old"
	[ ! -e "$T/r/$old" ]
	brig -q template remove "r/$(current r)"
	[ ! -e "$T/r" ]
	[ ! -L "$BRIG_BASE/j/r" ]
	run brig template remove r/nosuch
	[ "$status" = 1 ]
	one_line "$output"
}

@test "a directory made by hand is never replaced" {
	mkdir -p "$BRIG_BASE/j/hand/usr" "$BRIG_BASE/j/skel.hand/etc" "$BRIG_BASE/j/hand/s"
	ln -s s/etc "$BRIG_BASE/j/hand/etc"
	brig template list hand | grep -q 'by-hand .*current'
	brig template verify hand
	ln -s s/usr-local "$BRIG_BASE/j/hand/usr/local" # the newer text's mistake
	run brig template verify hand
	[ "$status" = 1 ]
	[[ "$output" == *"/usr/local: the link to 's/usr-local' leads nowhere in a jail"* ]]
	run brig template build hand
	[ "$status" = 1 ]
	[[ "$output" == *"by hand"* ]]
	brig -q template build hand busybox
	[ -d "$BRIG_BASE/j/hand" ]
	[ ! -L "$BRIG_BASE/j/hand" ]
	[ "$(brig template list hand | grep -c by-hand)" = 1 ]
	[[ "$(current hand)" == "$(date +%Y%m%d)" ]]
}

@test "wrong sources: one line each, nothing left" {
	for source in "" nosuch oci:/x dir: dir:/nonexistent "dir:$BRIG_BASE" dir:/ tar:/etc debian: debian:-x \
		"debian:bookworm,--include" cmd:; do
		run brig -q template build wrong "$source"
		[ "$status" = 1 ] || { echo "$source: $status"; false; }
		one_line "$output"
		[[ "$output" == *"template wrong: "* ]]
		[ ! -e "$T/wrong" ]
	done
	for name in "" . .. ../x -- a/b skel "a b"; do
		run brig -q template build -- "$name" busybox
		[ "$status" != 0 ]
	done
	run brig -q template build wrong busybox --rules /nonexistent
	[ "$status" = 1 ]
	one_line "$output"
	run brig -q template build wrong busybox --overlay /etc/passwd
	[ "$status" = 1 ]
	one_line "$output"
}

@test "killed in the middle: the command ends too, the next build cleans up" {
	"$BRIG" -q template build k "cmd:mkdir usr etc; touch usr/x; echo \$\$ >$LAB/pid; sleep 98765" &
	brig_pid=$!
	eventually 10 test -s "$LAB/pid"
	[ -n "$(find "$T/k" -maxdepth 1 -name '.new*')" ]
	# while it builds, another one says so
	run brig -q template build k busybox
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"busy"* ]]
	kill -9 "$brig_pid"
	wait "$brig_pid" || true
	eventually 5 bash -c '! pgrep -f "^sleep 98765$" >/dev/null'
	run brig template list
	[ "$status" = 0 ]
	[[ "$output" != *.new* ]]
	brig -q template build k busybox
	brig template verify k
	assert_tidy
}

@test "rc starts what rc.conf enables, in its order" {
	sk=$LAB/rc
	mkdir -p "$sk/run" "$sk/etc/init.d" "$sk/bin"
	cp "$BRIG_BASE/j/skel/etc/rc" "$BRIG_BASE/j/skel/etc/rc.shutdown" "$BRIG_BASE/j/skel/etc/rc.subr" "$sk/etc"
	cp -a "$BRIG_BASE/j/mroot/bin/." "$sk/bin"
	for name in first sec.ond off bad; do
		printf '#!/bin/sh\necho %s "$1" >>/log\n[ %s != bad ]\n' "$name" "$name" >"$sk/etc/init.d/$name"
		chmod 755 "$sk/etc/init.d/$name"
	done
	cat >"$sk/etc/rc.conf" <<-'END'
		# commented_enable="YES"
		sec_ond_enable="YES"; first_enable=yes
		off_enable="NO" cmd_enable=on
		cmd_command="echo cmd >>/log2"
	END
	mkdir -p "$sk/dev"
	: >"$sk/dev/null"
	run chroot "$sk" /bin/sh /etc/rc
	[ "$status" = 0 ]
	[ "$output" = "$(printf 'Starting sec_ond.\nStarting first.\nStarting cmd.')" ]
	[ "$(cat "$sk/log")" = "$(printf 'sec.ond start\nfirst start')" ]
	eventually 5 grep -q cmd "$sk/log2"
	: >"$sk/log"
	run chroot "$sk" /bin/sh /etc/rc.shutdown
	[ "$status" = 0 ]
	[ "$(cat "$sk/log")" = "$(printf 'first stop\nsec.ond stop')" ]
	printf 'bad_enable=YES\nnosuch_enable=YES\nfirst_enable=YES\n' >"$sk/etc/rc.conf"
	: >"$sk/log"
	run chroot "$sk" /bin/sh /etc/rc
	[ "$status" = 99 ]
	[[ "$output" == *"bad did not start"* && "$output" == *"nosuch is enabled, but"* ]]
	[ "${lines[-1]}" = "rc: not started: bad nosuch" ]
	[ "$(tail -n 1 "$sk/log")" = "first start" ]
}

@test "accounts keep their ids when a package more comes" {
	mkdir -p "$LAB/old" "$LAB/tree/etc"
	printf '%s\n' root:x:0:0::/root:/bin/sh sshd:x:100:65534::/run/sshd:/bin/false joe:x:1000:1000::/:/bin/sh \
		clash:x:7:7::/:/bin/false >"$LAB/old/passwd"
	printf '%s\n' root:x:0: _ssh:x:102: staff:x:50:joe >"$LAB/old/group"
	printf '%s\n' 'root:*:1::::::' 'sshd:!:2::::::' 'joe:secret:3::::::' >"$LAB/old/shadow"
	printf '%s\n' 'root:*::' '_ssh:!::' >"$LAB/old/gshadow"
	printf '%s\n' root:x:0:0::/root:/bin/sh lp:x:7:7::/:/bin/false >"$LAB/tree/etc/passwd"
	printf '%s\n' root:x:0: staff:x:50: >"$LAB/tree/etc/group"
	sh "$BRIG_TOP/data/debian-accounts" add "$LAB/old" "$LAB/tree"
	# no person, no id that is another's by now, nothing that is there already
	[ "$(cut -d: -f1,3 "$LAB/tree/etc/passwd" | tr '\n' ' ')" = "root:0 lp:7 sshd:100 " ]
	[ "$(tr '\n' ' ' <"$LAB/tree/etc/group")" = "root:x:0: staff:x:50: _ssh:x:102: " ]
	# what the tools then make of them gets its old password and date back; what is new stays
	printf '%s\n' 'root:*:9::::::' 'lp:*:9::::::' 'sshd:x:9:0:99999:7:::' >"$LAB/tree/etc/shadow"
	chmod 640 "$LAB/tree/etc/shadow"
	printf '%s\n' 'root:*::' 'staff:x::' '_ssh:x::' >"$LAB/tree/etc/gshadow"
	sh "$BRIG_TOP/data/debian-accounts" settle "$LAB/old" "$LAB/tree"
	[ "$(tr '\n' ' ' <"$LAB/tree/etc/shadow")" = "root:*:1:::::: lp:*:9:::::: sshd:!:2:::::: " ]
	[ "$(tr '\n' ' ' <"$LAB/tree/etc/gshadow")" = "root:*:: staff:x:: _ssh:!:: " ]
	[ "$(stat -c %a "$LAB/tree/etc/shadow")" = 640 ]
	[ "$(ls "$LAB/tree/etc" | wc -l)" = 4 ]
}
