#!/usr/bin/env bats
# brig merge --tree: etcupdate(8)'s rules, report and conflict files; hostile destinations.
bats_require_minimum_version 1.5.0
load lib

setup() {
	lab_setup none
	cd "$LAB"
	mkdir old new dest
	umask 022
}

teardown() {
	cd /
	lab_teardown
}

# --- trees: each is a letter of "ond" ---

tree() {
	case $1 in o) echo old ;; n) echo new ;; d) echo dest ;; esac
}

# each TREES PATH COMMAND...: with the place in each tree as the last argument
each() {
	local trees=$1 path=$2 t i
	shift 2
	for ((i = 0; i < ${#trees}; i++)); do
		t=$(tree "${trees:i:1}")/$path
		mkdir -p "$(dirname "$t")"
		"$@" "$t"
	done
}
write() { printf %b "$1" >"$2"; }
put() { each "$1" "$2" write "$3"; }
put_dir() { each "$1" "$2" mkdir -p; }
put_fifo() { each "$1" "$2" mkfifo; }
put_link() { each "$1" "$2" ln -s "$3"; }

merge() { run -0 timeout 20 "$BRIG" merge --tree old new dest --conflicts conflicts "$@"; }
plain() { run -0 timeout 20 "$BRIG" merge --tree old new dest "$@"; }

# said: standard input is all that was printed
said() { diff -u - <([ -z "$output" ] || printf '%s\n' "$output"); }
is() { diff -u <(printf %b "$2") "$1"; }
links_to() { [ "$(readlink "$1")" = "$2" ]; }
gone() { [ ! -e "$1" ] && [ ! -L "$1" ]; }

# everything in a tree: type, mode, owner, inode, links, size, time, target
state_of() { find "$1" -printf '%P\t%y %m %U:%G %i %n %s %T@ %l\n' | sort; }

# --- the table ---

@test "nothing changed in the stock: nothing happens, whatever is there" {
	put ond same 1
	put on edited 1
	put d edited mine
	put on missing 1
	put_fifo on type
	put d type mine
	put_link on link a
	put_link d link b
	put_dir on dir
	put d extra mine
	state_of dest >before
	merge
	said </dev/null
	diff -u before <(state_of dest)
}

@test "removed from the stock: goes where it is unmodified" {
	put od etc/file 1
	put_link od etc/link a
	put_fifo od etc/fifo
	put od etc/dir/sub/file 1
	put_dir od etc/empty
	put o etc/already 1
	merge
	said <<-'EOF'
		  D /etc/dir/sub/file
		  D /etc/fifo
		  D /etc/file
		  D /etc/link
		  D /etc/empty
		  D /etc/dir/sub
		  D /etc/dir
		  D /etc
	EOF
	gone dest/etc
}

@test "removed from the stock: stays where it is modified" {
	put o file 1
	put d file mine
	put_link o link a
	put_link d link b
	put_fifo o type
	put_dir d type
	put od dir/file 1
	put d dir/mine mine
	merge
	said <<-'EOF'
		  D /dir/file
		Warnings:
		  Modified regular file remains: /file
		  Modified symbolic link remains: /link
		  Modified directory remains: /type
		  Non-empty directory remains: /dir
	EOF
	is dest/file mine
	links_to dest/link b
	is dest/dir/mine mine
	gone dest/dir/file
}

@test "new in the stock" {
	put n file '2\n'
	put_link n link a
	put_fifo n fifo
	put n dir/sub/file '2\n'
	put_dir n empty
	chmod 640 new/file
	chown 7:8 new/file new/dir/sub
	chmod 2710 new/dir/sub
	touch -d 2001-02-03 new/file
	put nd same 2
	merge
	said <<-'EOF'
		  A /dir/sub/file
		  A /fifo
		  A /file
		  A /link
	EOF
	is dest/file '2\n'
	[ "$(stat -c '%a %u:%g' dest/file)" = "640 7:8" ]
	[ "$(stat -c %Y dest/file)" = "$(stat -c %Y new/file)" ]
	[ "$(stat -c '%a %u:%g' dest/dir/sub)" = "2710 7:8" ]
	[ -p dest/fifo ]
	links_to dest/link a
	gone dest/empty
}

@test "new in the stock, but there already and different" {
	put n file 'a\nnew\nz\n'
	put d file 'a\nmine\nz\n'
	put_link n link a
	put_link d link b
	put_dir n type
	put_fifo d type
	put n dir/file 2
	put d dir mine
	merge
	said <<-'EOF'
		  C /file
		Warnings:
		  New file mismatch: /dir (directory vs regular file)
		  Directory mismatch: dest/dir (regular file)
		  New link conflict: /link ("a" vs "b")
		  New file mismatch: /type (directory vs fifo file)
	EOF
	is dest/file 'a\nmine\nz\n'
	is conflicts/file 'a\n<<<<<<< (local)\nmine\n=======\nnew\n>>>>>>> (stock)\nz\n'
	links_to dest/link b
	[ -p dest/type ]
}

@test "changed in the stock, unmodified: updated" {
	put od file 1
	put n file 2
	chmod 600 new/file
	chown 7:8 new/file
	put_link od link a
	put_link n link b
	put od tolink 1
	put_link n tolink x
	put_link od tofile x
	put n tofile 2
	put od dir/sub 1
	put n dir 2
	put od todir 1
	put n todir/sub 2
	put od toempty 1
	put_dir n toempty
	put_dir od tofifo
	put_fifo n tofifo
	put o already 1
	put nd already 2
	merge
	said <<-'EOF'
		  D /dir/sub
		  U /dir
		  U /file
		  U /link
		  U /todir
		  D /toempty
		  U /tofifo
		  U /tofile
		  U /tolink
		  A /todir/sub
	EOF
	is dest/file 2
	[ "$(stat -c '%a %u:%g' dest/file)" = "600 7:8" ]
	links_to dest/link b
	links_to dest/tolink x
	[ ! -L dest/tofile ]
	is dest/tofile 2
	is dest/dir 2
	is dest/todir/sub 2
	gone dest/toempty
	[ -p dest/tofifo ]
}

@test "changed in the stock, removed here" {
	put o file 1
	put n file 2
	put_link o link a
	put_link n link b
	put_fifo o type
	put_dir n type
	merge
	said <<-'EOF'
		Warnings:
		  Removed file changed: /file
		  Removed link changed: /link ("a" became "b")
		  Remove mismatch: /type (fifo file became directory)
	EOF
	[ -z "$(ls dest)" ]
}

@test "changed in both" {
	put o merged '1\n2\n3\n'
	put n merged '1\n2\n3 new\n'
	put d merged '1 mine\n2\n3\n'
	chmod 640 dest/merged
	chown 7:8 dest/merged
	put o clash '1\n2\n3\n'
	put n clash '1\nnew\n3\n'
	put d clash '1\nmine\n3\n'
	chmod 600 dest/clash
	put o type 1
	put n type 2
	put_fifo d type
	put_link o link a
	put_link n link b
	put_link d link c
	put_link o linktype a
	put_link n linktype b
	put d linktype mine
	merge
	said <<-'EOF'
		  C /clash
		  M /merged
		Warnings:
		  Modified link changed: /link ("a" became "b")
		  Modified mismatch: /linktype (symbolic link vs regular file)
		  Modified mismatch: /type (regular file vs fifo file)
	EOF
	is dest/merged '1 mine\n2\n3 new\n'
	[ "$(stat -c '%a %u:%g' dest/merged)" = "640 7:8" ]
	is dest/clash '1\nmine\n3\n'
	is conflicts/clash '1\n<<<<<<< yours\nmine\n||||||| original\n2\n=======\nnew\n>>>>>>> new\n3\n'
	[ "$(stat -c %a conflicts/clash)" = 600 ]
	gone conflicts/merged
}

@test "another type in the stock, modified here" {
	put_fifo o link
	put_link n link a
	put_link d link b
	put_link o file a
	put n file 'new\n'
	put d file 'mine\n'
	put_fifo o three
	put_dir n three
	put d three mine
	put od dir/sub 1
	put d dir/mine mine
	put_link n dir x
	put o todir 1
	put n todir/sub 2
	put d todir mine
	merge
	said <<-'EOF'
		  D /dir/sub
		  C /file
		Warnings:
		  Modified directory changed: /dir (directory became symbolic link)
		  New link conflict: /link ("a" vs "b")
		  Modified regular file changed: /three (fifo file became directory)
		  Modified regular file changed: /todir (regular file became directory)
		  Directory mismatch: dest/todir (regular file)
	EOF
	is conflicts/file '<<<<<<< (local)\nmine\n=======\nnew\n>>>>>>> (stock)\n'
	is dest/dir/mine mine
	is dest/todir mine
}

@test "a file with several names keeps them" {
	put od file '1\n2\n3\n'
	put n file '1\n2\nnew\n'
	ln dest/file dest/other
	put o merged '1\n2\n3\n'
	put n merged '1\n2\nnew\n'
	put d merged 'mine\n2\n3\n'
	ln dest/merged dest/another
	chmod 600 new/file
	merge
	said <<-'EOF'
		  U /file
		  M /merged
	EOF
	[ dest/file -ef dest/other ]
	is dest/other '1\n2\nnew\n'
	[ "$(stat -c %a dest/other)" = 600 ]
	[ dest/merged -ef dest/another ]
	is dest/another 'mine\n2\nnew\n'
}

@test "/.cshrc and /.profile that are root's are left to root's" {
	put od .cshrc 1
	put n .cshrc 2
	put o root/.cshrc 1
	put n root/.cshrc 2
	mkdir dest/root
	ln dest/.cshrc dest/root/.cshrc
	merge
	said <<<'  U /root/.cshrc'
	is dest/.cshrc 2
}

@test "what is not text: a conflict, the new one beside it" {
	printf 'a\0o' >old/f
	printf 'a\0n' >new/f
	printf 'a\0d' >dest/f
	printf 'a\0n' >new/g
	printf 'a\0d' >dest/g
	chmod 4755 new/f
	merge
	said <<-'EOF'
		  C /f
		  C /g
	EOF
	cmp new/f conflicts/f
	cmp new/g conflicts/g
	[ "$(stat -c %a conflicts/f)" = 755 ]
	[ "$(wc -c <dest/f)" = 3 ]
}

@test "what other programs would have to do is said" {
	put o etc/mail/aliases '1\n2\n3\n'
	put n etc/mail/aliases '1\n2\nnew\n'
	put d etc/mail/aliases 'mine\n2\n3\n'
	put d etc/localtime zone
	merge
	said <<-'EOF'
		  M /etc/mail/aliases
		Warnings:
		  Needs update: /etc/mail/aliases.db (requires manual update via newaliases(1))
		  Needs update: /etc/localtime (required manual update via tzsetup(8))
	EOF
	put d var/db/zoneinfo Europe/Vienna
	plain
	said <<-'EOF'
		  M /etc/mail/aliases
		Warnings:
		  Needs update: /etc/mail/aliases.db (requires manual update via newaliases(1))
	EOF
	rm dest/etc/localtime
	ln -s ../zone dest/etc/localtime
	cp new/etc/mail/aliases dest/etc/mail/aliases
	plain
	said </dev/null
}

# --- options ---

@test "-A: installed in any case, but nothing full is removed" {
	put o file 1
	put n file 2
	put d file mine
	put o gone 1
	put n gone 2
	put n new 2
	put d new mine
	put_fifo n type
	put d type mine
	put_dir n empty
	put d empty mine
	put n dir 2
	put d dir/mine mine
	put o removed 1
	put d removed mine
	put o other 1
	put n other 2
	put d other mine
	merge -A '/f* /gone' -A '/n*	/type /e* /dir /removed'
	said <<-'EOF'
		  U /file
		  A /gone
		  C /other
		  D /empty
		  U /new
		  U /type
		Warnings:
		  Modified regular file remains: /removed
		  New file mismatch: /dir (regular file vs directory)
	EOF
	is dest/file 2
	is dest/gone 2
	is dest/new 2
	[ -p dest/type ]
	gone dest/empty
	is dest/dir/mine mine
	is dest/removed mine
}

@test "-I: left alone, also with -A; '*' crosses '/'" {
	put od etc/a/b 1
	put n etc/a/b 2
	put o etc/c 1
	put n etc/c 2
	put d etc/c mine
	put n var/x 2
	put od var/y 1
	plain -n -I '/etc/*' -A '/*'
	said <<-'EOF'
		  D /var/y
		  A /var/x
	EOF
	merge -I '/etc/* /var/x' -I '/var/[y-z]' -A '/*'
	said </dev/null
	is dest/etc/a/b 1
}

@test "-F: ids alone do not count" {
	put o removed '# $FreeBSD: 1 $\n'
	put d removed '# $FreeBSD: 9 $\n'
	put o asold '# $FreeBSD: 1 $\nold\n'
	put n asold '# $FreeBSD: 2 $\nnew\n'
	put d asold '# $FreeBSD$\nold\n'
	put o asnew '# $FreeBSD: 1 $\nold\n'
	put n asnew '# $FreeBSD: 2 $\nnew\n'
	put d asnew '# $FreeBSD$\nnew\n'
	put n added '# $FreeBSD: 2 $\nx\n'
	put d added '# $FreeBSD$\nx\n'
	put on local 'x\n# $FreeBSD: 1 $\ny\n'
	put d local 'x\n# $FreeBSD$\nmine\n'
	sed -i 's/1 /2 /' new/local
	put o none '# $FreeBSD: 1 $\ny\n'
	put n none '# $FreeBSD: 2 $\ny\n'
	put d none 'mine\n'
	put o newest '# $FreeBSD: 1 $\ny\n'
	put n newest '# $FreeBSD: 2 $\ny\n'
	put d newest '# $FreeBSD: 2 $\nmine\n'
	put o missing '# $FreeBSD: 1 $\n'
	put n missing '# $FreeBSD: 2 $\n'
	put o clash '# $FreeBSD: 1 $\nold\n'
	put n clash '# $FreeBSD: 2 $\nnew\n'
	put d clash '# $FreeBSD: 1 $\nmine\n'
	put o many '# $FreeBSD: 1 $\n\nx\ny\n'
	put n many '# $FreeBSD: 2 $\n\nx\ny\n'
	put d many '# $FreeBSD: 1 $\n\nx\ny\nmine\n# $FreeBSD: 7 $\n'
	cp -a dest dest.keep
	plain -n
	[[ $output == *"Modified regular file remains: /removed"* ]]
	[[ $output == *"Removed file changed: /missing"* ]]
	[[ $output == *"C /asold"* ]]
	merge -F
	said <<-'EOF'
		  D /removed
		  U /asnew
		  U /asold
		  C /clash
		  M /local
		  M /many
		  U /added
	EOF
	is dest/local 'x\n# $FreeBSD: 2 $\nmine\n'
	is dest/many '# $FreeBSD: 2 $\n\nx\ny\nmine\n# $FreeBSD: 7 $\n'
	rm -rf dest conflicts
	mv dest.keep dest
	merge -F -A '/*'
	said <<-'EOF'
		  D /removed
		  U /asnew
		  U /asold
		  U /clash
		  U /local
		  U /many
		  A /missing
		  U /newest
		  U /none
		  U /added
	EOF
}

@test "-n says the same and writes nothing" {
	put od dir/sub/file 1
	put n dir 2
	put od todir 1
	put n todir/sub 2
	put o clash 1
	put n clash 2
	put d clash mine
	put od removed/x/y 1
	put n new/x/y 2
	state_of dest >before
	merge -n
	diff -u before <(state_of dest)
	gone conflicts
	dry=$output
	[[ $dry == *"C /clash"* ]]
	merge
	said <<<"$dry"
	[ -f conflicts/clash ]
	is dest/dir 2
}

@test "conflicts of an earlier run come first" {
	mkdir -p conflicts/etc
	put od a 1
	put n a 2
	touch conflicts/etc/x
	run -1 "$BRIG" merge --tree old new dest --conflicts conflicts
	[ "$output" = "brig: Conflicts remain from previous update, aborting." ]
	run -1 "$BRIG" merge -n --tree old new dest --conflicts conflicts
	is dest/a 1
	rm conflicts/etc/x
	merge
	said <<<'  U /a'
}

@test "without --conflicts conflicts are only said" {
	put n file 2
	put d file mine
	plain
	said <<<'  C /file'
	gone conflicts
	is dest/file mine
}

@test "wrong use, missing trees" {
	run -2 "$BRIG" merge --tree old new
	run -2 "$BRIG" merge --tree old new dest more
	run -1 "$BRIG" merge --tree old nowhere dest
	[ "$output" = "brig: nowhere: No such file or directory" ]
	run -1 "$BRIG" merge --tree old new dest --conflicts /dev/null/x
	one_line "$output"
}

@test "--json says the same" {
	put od a 1
	put n a 2
	put o b 1
	put n b 2
	run -0 "$BRIG" --json merge --tree old new dest
	echo "$output" | python3 -c '
import json, sys
assert json.load(sys.stdin) == {"changes": [{"letter": "U", "path": "/a"}], "warnings": ["Removed file changed: /b"]}'
}

# --- names and hostile trees ---

@test "names with blanks, newlines, pattern characters and bytes that are no text" {
	local names=('a b' $'new\nline' 'st*r' 'br[a]cket' '-rf' 'back\slash' $'esc\e[31m' $'\xff\xfe' 'q?"'\''$x') name
	for name in "${names[@]}"; do
		put od "x/$name" 1
		put n "x/$name" 2
		put od "goes/$name" 1
		put n "new/$name" 2
		put o "clash/$name" 1
		put n "clash/$name" 2
		put d "clash/$name" mine
	done
	put od 'x/stir' 1 # would match the patterns
	put n 'x/stir' 2
	merge -I '/x/stir'
	LC_ALL=C refuse grep -q '[^ -~]' <<<"$output"
	printf '%s\n' "$output" | grep -qxF '  U /x/new\012line'
	printf '%s\n' "$output" | grep -qxF '  U /x/esc\033[31m'
	printf '%s\n' "$output" | grep -qxF '  U /x/back\134slash'
	printf '%s\n' "$output" | grep -qxF '  U /x/a b'
	for name in "${names[@]}"; do
		is "dest/x/$name" 2
		is "dest/new/$name" 2
		is "dest/clash/$name" mine
		[ -f "conflicts/clash/$name" ]
	done
	is dest/x/stir 1
	gone dest/goes
}

@test "links in the destination are never followed" {
	mkdir outside
	echo canary >outside/file
	echo canary >outside/clash
	mkdir outside/sub
	state_of outside >before
	local f
	for f in file clash new sub/deep; do
		put o "etc/$f" 1
		put n "etc/$f" 2
	done
	rm old/etc/new
	put o etc/goes 1
	ln -s "$LAB/outside" dest/etc
	put od var/file canary
	put n var/file 2
	rm dest/var/file
	ln -s "$LAB/outside/file" dest/var/file
	put n opt/x/y 2
	ln -s ../outside dest/opt
	put n conf/file 2
	mkdir dest/conf
	ln -s ../../outside/new dest/conf/file
	merge -A '/etc/*'
	said <<-'EOF'
		Warnings:
		  Directory mismatch: dest/etc (symbolic link)
		  Directory mismatch: dest/etc (symbolic link)
		  Directory mismatch: dest/etc (symbolic link)
		  Modified mismatch: /var/file (regular file vs symbolic link)
		  New file mismatch: /conf/file (regular file vs symbolic link)
		  Directory mismatch: dest/etc (symbolic link)
		  New file mismatch: /opt (directory vs symbolic link)
		  Directory mismatch: dest/opt (symbolic link)
	EOF
	diff -u before <(state_of outside)
}

@test "links in the destination are replaced, not followed, by -A" {
	mkdir outside
	echo canary >outside/file
	put o etc/file 1
	put n etc/file 2
	mkdir dest/etc
	ln -s "$LAB/outside/file" dest/etc/file
	merge -A '/*'
	said <<<'  U /etc/file'
	[ ! -L dest/etc/file ]
	is dest/etc/file 2
	is outside/file 'canary\n'
}

@test "FIFOs, sockets and huge files in the destination do not hang it" {
	put o fifo 1
	put n fifo 2
	put_fifo d fifo
	put n added 2
	put_fifo d added
	put o socket 1
	put n socket 2
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("dest/socket")'
	put o huge 1
	put n huge 2
	truncate -s 1T dest/huge
	put o null 1
	put n null 2
	mknod dest/null c 1 3
	merge
	said <<-'EOF'
		  C /huge
		Warnings:
		  Modified mismatch: /fifo (regular file vs fifo file)
		  Modified mismatch: /null (regular file vs character special file)
		  Modified mismatch: /socket (regular file vs socket)
		  New file mismatch: /added (regular file vs fifo file)
	EOF
	cmp new/huge conflicts/huge
}

@test "a directory with very many names, a very deep one" {
	put od dir/x 1
	put n dir 2
	(cd dest/dir && seq 20000 | xargs touch)
	put_dir o deep
	put n deep 2
	python3 -c '
import os
os.mkdir("dest/deep"); os.chdir("dest/deep")
for i in range(3000):
	os.mkdir("d"); os.chdir("d")'
	merge
	said <<-'EOF'
		  D /dir/x
		Warnings:
		  Modified directory changed: /deep (directory became regular file)
		  Modified directory changed: /dir (directory became regular file)
	EOF
}

@test "another mount in the destination is left alone" {
	put o etc/file 1
	put n etc/file 2
	put n etc/new 2
	mkdir dest/etc
	mount -t tmpfs tmpfs dest/etc
	echo 1 >dest/etc/file
	merge
	umount dest/etc
	said <<-'EOF'
		Warnings:
		  Directory mismatch: dest/etc (mount point)
		  Directory mismatch: dest/etc (mount point)
	EOF
}

@test "what cannot be read in the destination is said, and is not the end" {
	put o a/x 1
	put n a/x 2
	put d a/x mine
	put o b/y 1
	put n b/y 2
	put d b/y 1
	chmod 755 . dest
	chmod 700 dest/a
	chmod 755 old new dest/b
	setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$BRIG" || skip "others cannot run the program"
	run -0 setpriv --reuid 65534 --regid 65534 --clear-groups "$BRIG" merge -n --tree old new dest
	said <<-'EOF'
		  U /b/y
		Warnings:
		  Cannot be read: /a/x (Permission denied)
	EOF
}

@test "what cannot be changed is said, the rest is done, the exit status is 1" {
	put od a 1
	put n a 2
	put od b/x 1
	put n b/x 2
	put od c 1
	put n c 2
	chattr +i dest/b 2>/dev/null || skip "no immutable files here"
	run -1 timeout 20 "$BRIG" merge --tree old new dest
	chattr -i dest/b
	[[ $output == *"Not done: /b/x (Operation not permitted)"* ]]
	[[ $output == *"brig: dest: 1 change could not be made (see the warnings)"* ]]
	is dest/a 2
	is dest/b/x 1
	is dest/c 2
	[ -z "$(find dest -name '.tmp*')" ]
}
