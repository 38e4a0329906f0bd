#!/usr/bin/env bats
# Recipes: packages of releases, what differs between two, second tries, the package cache.  Nothing needs a network:
# trees come from commands, packages from files that look like dpkg's.

load lib

setup_file() { lab_setup none; }
teardown_file() { lab_teardown; }
setup() {
	T=$BRIG_BASE/templates
	K=$T/.kept
}

current() { readlink "$T/$1/current"; }

# status NAME VERSION ARCH...: dpkg's record of these packages
status() {
	while [ $# -gt 0 ]; do
		printf 'Package: %s\nStatus: install ok installed\nArchitecture: %s\nVersion: %s\nDescription: x\n y\n\n' \
			"$1" "$3" "$2"
		shift 3
	done
	printf 'Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n'
}

# made NAME FILE...: a tree whose dpkg has the status of standard input
made() {
	mkdir -p "$LAB/$1/var/lib/dpkg" "$LAB/$1/etc" "$LAB/$1/usr/bin" "$LAB/$1/usr/share/doc"
	cat >"$LAB/$1/var/lib/dpkg/status"
	echo "$1" >"$LAB/$1/etc/motd"
	echo "$1" >"$LAB/$1/usr/share/doc/x"
	cp /bin/busybox "$LAB/$1/usr/bin/busybox"
}

@test "the packages of a release: a list beside the manifest, show, and of one that an older brig built" {
	status zlib1g 1:1.2.13-1 amd64 bash 5.2-2 amd64 nano 7.2-1 amd64 libc6 2.36-9 amd64 | made one
	brig -q template build p "dir:$LAB/one" --release r1
	printf '%s\n' 'bash 5.2-2 amd64' 'libc6 2.36-9 amd64' 'nano 7.2-1 amd64' 'zlib1g 1:1.2.13-1 amd64' |
		diff - "$T/p/r1/packages"
	brig template show p | sed -n '/^installed/,$p' | sed 's/^installed//; s/^ *//' |
		diff - <(cut -d' ' -f1,2 "$T/p/r1/packages")
	brig --json template show p | tr -d ' \n' | grep -qF '{"package":"nano","version":"7.2-1","arch":"amd64"}'
	rm "$T/p/r1/packages"
	[ "$(brig template show p | grep -A9 ^installed | wc -l)" = 4 ]
	brig template verify p
	# one without packages
	brig -q template build b busybox
	[ ! -e "$T/b/current/packages" ]
	[ "$(brig template show b | grep -c ^installed)" = 0 ]
	echo 'no list' >"$T/b/$(current b)/packages"
	run brig template show b
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"release b/$(current b): packages:1: expected NAME VERSION ARCHITECTURE"* ]]
	brig -q template remove "b/$(current b)"
}

@test "diff: packages, then files by directory; -v has every path; --json" {
	status zlib1g 1:1.2.13-1 amd64 bash 5.2-3 all tree 2.1.0-1 amd64 libc6 2.36-9 amd64 libc6 2.36-9 i386 | made two
	mkdir -p "$LAB/two/etc/new"
	: >"$LAB/two/etc/new/file"
	chmod 700 "$LAB/two/usr/share/doc"
	rm "$LAB/two/usr/bin/busybox"
	brig -q template build p "dir:$LAB/two" --release r2
	run brig template diff p r1 r2
	[ "$status" = 0 ]
	cat >"$LAB/want" <<-'END'
		from p/r1 to p/r2
		packages: 2 added, 1 removed, 1 changed
		  U bash 5.2-2 -> 5.2-3
		  A libc6:i386 2.36-9
		  D nano 7.2-1
		  A tree 2.1.0-1
		files: 2 added, 1 removed, 4 changed
		DIRECTORY   ADDED  REMOVED  CHANGED
		/etc            1        -        1
		/etc/new        1        -        -
		/usr/bin        -        1        -
		/usr/lib        -        -        1
		/usr/share      -        -        2
	END
	diff "$LAB/want" - <<<"$output"
	[ "$(brig template diff p/r1 p)" = "$output" ]
	run brig -v template diff p/r2 p/r1
	[[ "$output" == *"  U bash 5.2-3 -> 5.2-2"* ]]
	[[ "$output" == *"  D /etc/new/file"* ]]
	[[ "$output" == *"  U /usr/share/doc"* ]]
	[[ "$output" == *"  A /usr/bin/busybox"* ]]
	brig --json template diff p r1 r2 | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["from"] == {"template": "p", "release": "r1"}, d
assert d["packages"]["changed"] == [{"package": "bash", "from": "5.2-2", "to": "5.2-3"}], d
assert [p["package"] for p in d["packages"]["added"]] == ["libc6:i386", "tree"], d
assert {"action": "A", "path": "/etc/new/file"} in d["files"], d
assert len(d["files"]) == 7, d'
	run brig template diff p r2 r2
	[ "$output" = "$(printf 'from p/r2 to p/r2\npackages: 0 added, 0 removed, 0 changed\nfiles: 0 added, 0 removed, 0 changed')" ]
	for wrong in "p" "p/r1 r1 r2" "p r1 r2 r3"; do
		# shellcheck disable=SC2086
		run brig template diff $wrong
		[ "$status" = 2 ]
	done
	run brig template diff p r1 nosuch
	[ "$status" = 1 ]
	one_line "$output"
}

@test "the plan of an upgrade has the packages, too" {
	conf <<<'www { template = p; command = "/usr/bin/busybox sleep 1000"; }'
	brig -q template build p "dir:$LAB/one" --release r3
	brig -q create www
	run brig upgrade -n p/r2
	[ "$status" = 0 ]
	[[ "$output" == *"from r3 to r2, packages: 2 added, 1 removed, 1 changed"* ]]
	[[ "$output" == *"  U bash 5.2-2 -> 5.2-3"* ]]
	[[ "$output" == *"  U /etc/motd"* ]]
	brig --json upgrade -n p/r2 | tr -d ' \n' | grep -qF '"r3":{"added":[{"package":"libc6:i386"'
	run brig upgrade -n p/r1
	[ "$status" = 0 ]
	[[ "$output" != *packages:* ]]
	brig destroy -y www
}

# A command that counts how often it made the tree.
made_by() {
	echo "cmd:echo x >>$LAB/made; mkdir -p etc usr/bin usr/share; printf 'root::0:0::/root:/bin/sh\n' >etc/passwd; " \
		"cp -a etc/passwd etc/passwd.orig; ln etc/passwd etc/passwd.ln; chmod 2775 usr/share; chown 5:6 usr/share; " \
		"touch -d 2001-01-01 usr/bin usr/share; ln usr/bin/../../etc/passwd.orig usr/bin/x"
}

@test "a build that fails after its tree is there keeps it for a second try" {
	src=$(made_by)
	mkdir -p "$LAB/over/etc"
	ln -s nowhere "$LAB/over/etc/broken"
	run brig -q template build k "$src" --overlay "$LAB/over"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"/etc/broken: the link to 'nowhere' leads nowhere"*"brig template build --resume k" ]]
	[ ! -e "$T/k" ]
	[ "$(ls "$K")" = k ]
	[ "$(brig template list 2>/dev/null | grep -c '^\.\|^k')" = 0 ]
	[[ "$(brig template list 2>&1)" == *"template k: the tree of a failed build is kept: brig template build --resume k" ]]
	[[ "$(brig template list p 2>&1)" != *kept* ]]
	# the same again, then with another overlay, another rules file that cannot be, then right
	run brig -q template build --resume k
	[ "$status" = 1 ]
	[[ "$output" == *"/etc/broken"*"brig template build --resume k" ]]
	echo 'move etc' >"$LAB/k.rules"
	echo 'link etc/own nowhere' >>"$LAB/k.rules"
	rm "$LAB/over/etc/broken"
	run brig -q template build --resume k --rules "$LAB/k.rules"
	[ "$status" = 1 ]
	[[ "$output" == *"/s/etc/own"* ]]
	run brig -q template build --resume k busybox
	[ "$status" = 1 ]
	[[ "$output" == *"is of the source cmd:echo x"* ]]
	echo hello >"$LAB/over/etc/motd"
	brig -q template build --resume k --release r1
	[ "$(wc -l <"$LAB/made")" = 1 ]
	[ ! -e "$K" ]
	assert_tidy
	[ "$(cat "$T/k/r1/skel/etc/motd")" = hello ]
	brig --json template show k | tr -d ' \n' | grep -qF "\"overlays\":[\"$LAB/over\"]"
	# as one that was built at once: times of directories, modes, and files with other names that rules change
	brig -q template build k "$src" --overlay "$LAB/over" --release r2
	[ "$(wc -l <"$LAB/made")" = 2 ]
	cmp "$T/k/r1/manifest" "$T/k/r2/manifest"
	for r in r1 r2; do
		[ "$(stat -c '%a %u:%g %Y' "$T/k/$r/root/usr/share")" = "2775 5:6 $(date -d 2001-01-01 +%s)" ]
		[ "$(cut -d: -f2 "$T/k/$r/skel/etc/passwd")" = '*' ]
		[ "$(stat -c %h "$T/k/$r/skel/etc/passwd.orig")" = 2 ]
	done
	# nothing is kept by now
	run brig -q template build --resume k
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"no tree is kept to resume a build with"* ]]
}

@test "what is kept goes by age, when a build succeeds, and by template clean" {
	src=$(made_by)
	mkdir -p "$LAB/over/etc"
	ln -sf nowhere "$LAB/over/etc/broken"
	run brig -q template build k "$src" --overlay "$LAB/over"
	[ "$status" = 1 ]
	run brig -q template build k2 "$src" --overlay "$LAB/over"
	[ "$status" = 1 ]
	[ "$(ls "$K" | tr '\n' ' ')" = "k k2 " ]
	touch -d '6 days ago' "$K/k/build.json"
	touch -d '8 days ago' "$K/k2/build.json"
	brig -q template list >/dev/null
	[ "$(ls "$K")" = k ]
	# a failure in the command keeps nothing new
	run brig -q template build k "cmd:mkdir etc; exit 3"
	[ "$status" = 1 ]
	[[ "$output" != *resume* ]]
	[ "$(ls "$K")" = k ]
	brig -q template build k busybox --release r3
	[ ! -e "$K" ]
	run brig -q template build k "$src" --overlay "$LAB/over"
	[ "$status" = 1 ]
	[ -d "$K/k" ]
	run brig template clean
	[ "$status" = 0 ]
	[[ "$output" == *"removed the trees of 1 failed build"* ]]
	[ ! -e "$K" ]
	assert_tidy
}

# ---- packages of a mirror, which here is a directory ----

# repo DIR NAME VERSION...: an archive of these packages, whose content is their name
repo() {
	local dir=$1 file
	shift
	rm -rf "$dir"
	mkdir -p "$dir"
	while [ $# -gt 0 ]; do
		file=$dir/$1_${2#*:}_all.deb
		echo "$1 $2" >"$file"
		printf 'Package: %s\nVersion: %s\nArchitecture: all\nFilename: ./%s\nSize: %s\nSHA256: %s\nDescription: x\n\n' \
			"$1" "$2" "${file##*/}" "$(stat -c %s "$file")" "$(sha256sum <"$file" | cut -d' ' -f1)" >>"$dir/Packages"
		shift 2
	done
}

# dist DIR NAME VERSION...: the same as the suite bookworm
dist() {
	local dir=$1 at=$1/dists/bookworm
	repo "$@"
	mkdir -p "$at/main/binary-amd64"
	mv "$dir/Packages" "$at/main/binary-amd64"
	printf 'Suite: bookworm\nCodename: bookworm\nComponents: main\nArchitectures: amd64\nDate: %s\nSHA256:\n %s %s %s\n' \
		"$(date -u -R)" "$(sha256sum <"$at/main/binary-amd64/Packages" | cut -d' ' -f1)" \
		"$(stat -c %s "$at/main/binary-amd64/Packages")" main/binary-amd64/Packages >"$at/Release"
}

# What mmdebstrap's hooks have: an apt of the tree's own.
hooks() {
	hooked=$LAB/hooked cache=$BRIG_BASE/cache/packages
	rm -rf "$hooked"
	mkdir -p "$hooked/etc/apt" "$hooked/var/lib/apt/lists/partial" "$hooked/var/cache/apt/archives/partial" \
		"$hooked/var/lib/dpkg" "$hooked/tmp" "$cache"
	: >"$hooked/var/lib/dpkg/status"
	echo "deb [trusted=yes] file:$LAB/repo ./" >"$hooked/etc/apt/sources.list"
	printf 'Dir "%s";\nDir::Etc::parts "/dev/null";\nDir::State::status "%s/var/lib/dpkg/status";\n%s\n' "$hooked" \
		"$hooked" 'APT::Architecture "amd64"; APT::Sandbox::User "root"; Acquire::Languages "none";' >"$hooked.conf"
	export MMDEBSTRAP_APT_CONFIG=$hooked.conf
}

@test "the package cache: what the lists name by its SHA-256 is used, what is spoilt goes, the rest stays" {
	repo "$LAB/repo" good 1:2.0-1 spoilt 1 'pl+us~' 1.0_x only-there 1
	hooks
	archives=$hooked/var/cache/apt/archives
	# nothing there yet: apt is not even asked
	run sh "$BRIG_TOP/data/debian-packages" load "$cache" "$hooked"
	[ "$status" = 0 ]
	[ "$output" = "" ]
	echo 'good 1:2.0-1' >"$cache/good_1%3a2.0-1_all.deb"
	echo 'pl+us~ 1.0_x' >"$cache/pl+us~_1.0%5fx_all.deb"
	echo 'SPOILT' >"$cache/spoilt_1_all.deb"
	[ "$(stat -c %s "$cache/spoilt_1_all.deb")" != 0 ]
	echo old >"$cache/good_1%3a1.0-1_all.deb"
	touch -d '3 days ago' "$cache"/*
	run sh "$BRIG_TOP/data/debian-packages" load "$cache" "$hooked"
	[ "$status" = 0 ]
	[[ "$output" == *"I: 2 packages of the mirrors are in the cache"* ]]
	[ "$(cd "$archives" && ls | tr '\n' ' ')" = "good_1%3a2.0-1_all.deb lock partial pl+us~_1.0%5fx_all.deb " ] ||
		[ "$(cd "$archives" && ls | tr '\n' ' ')" = "good_1%3a2.0-1_all.deb partial pl+us~_1.0%5fx_all.deb " ]
	[ "$(cd "$cache" && ls | tr '\n' ' ')" = "good_1%3a1.0-1_all.deb good_1%3a2.0-1_all.deb pl+us~_1.0%5fx_all.deb " ]
	# no copy, and used now
	[ "$archives/good_1%3a2.0-1_all.deb" -ef "$cache/good_1%3a2.0-1_all.deb" ]
	[ "$(($(date +%s) - $(stat -c %Y "$cache/good_1%3a2.0-1_all.deb")))" -lt 1000 ]
	[ "$(($(date +%s) - $(stat -c %Y "$cache/good_1%3a1.0-1_all.deb")))" -gt 100000 ]
	# what apt downloads afterwards is kept; twice is as good as once
	echo new >"$archives/new_1_all.deb"
	sh "$BRIG_TOP/data/debian-packages" keep "$cache" "$hooked"
	sh "$BRIG_TOP/data/debian-packages" keep "$cache" "$hooked"
	[ "$archives/new_1_all.deb" -ef "$cache/new_1_all.deb" ]
	# the lists cannot be had: the build must not go on without
	rm -r "$LAB/repo"
	run sh "$BRIG_TOP/data/debian-packages" load "$cache" "$hooked"
	[ "$status" != 0 ]
	[[ "$output" == *"E: "* ]]
}

@test "the package cache on a full disk, and on another one: nothing is kept, or a copy" {
	hooks
	mkdir -p "$LAB/full"
	mount -t tmpfs -o size=64k none "$LAB/full"
	archives=$hooked/var/cache/apt/archives
	head -c 40000 /dev/urandom >"$archives/a_1_all.deb"
	head -c 40000 /dev/urandom >"$archives/b_1_all.deb"
	sh "$BRIG_TOP/data/debian-packages" keep "$LAB/full" "$hooked"
	cmp "$archives/a_1_all.deb" "$LAB/full/a_1_all.deb"
	[ "$(ls -A "$LAB/full")" = a_1_all.deb ]
	umount "$LAB/full"
}

@test "outdated: what the release's own sources have that is newer; 0, 3, and 1" {
	status base 1:1.0-1 all gone 1 all same 2 all | made deb
	mkdir -p "$LAB/deb/etc/apt"
	dist "$LAB/repo" base 1:1.0-2 same 2 other 5
	echo "deb [trusted=yes] file:$LAB/repo bookworm main" >"$LAB/deb/etc/apt/sources.list"
	run brig template outdated
	[ "$status" = 0 ]
	[ "$output" = "" ]
	brig -q template build deb "dir:$LAB/deb" --release d1
	run brig -q template outdated deb
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"release deb/d1 is not of a debian: source"* ]]
	# as if mmdebstrap had made it
	sed -i "s,\"dir:$LAB/deb\",\"debian:bookworm\,base\"," "$T/deb/d1/release.json"
	run brig -q template outdated deb
	echo "$output"
	[ "$status" = 3 ]
	[ "$(wc -l <<<"$output")" = 2 ]
	[[ "$output" == *"deb "*" d1 "*" base "*" 1:1.0-1 "*" 1:1.0-2"* ]]
	brig --json -q template outdated | tr -d ' \n' |
		grep -qF '[{"template":"deb","release":"d1","outdated":true,"packages":[{"package":"base","current":"1:1.0-1","candidate":"1:1.0-2"}]}]'
	[ "$(ls "$BRIG_BASE/cache/apt" | wc -l)" = 1 ]
	# nothing of the release was touched
	brig template verify deb
	dist "$LAB/repo" base 1:1.0-1 same 2
	run brig template outdated deb
	[ "$status" = 0 ]
	[[ "$output" == *"release d1 has the newest packages"* ]]
	rm -r "$LAB/repo"
	run brig -q template outdated p deb
	[ "$status" = 1 ]
	[[ "$output" == *"deb: apt-get update: "* ]]
	run brig template outdated deb/d1
	[ "$status" = 2 ]
}

@test "clean: failed builds' trees, packages and lists; --packages: only those" {
	mkdir -p "$BRIG_BASE/cache/packages" "$LAB/over/etc"
	ln -sf nowhere "$LAB/over/etc/broken"
	echo x >"$BRIG_BASE/cache/packages/x_1_all.deb"
	run brig -q template build k "$(made_by)" --overlay "$LAB/over"
	[ "$status" = 1 ]
	[ -d "$K/k" ]
	run brig template clean --packages
	[ "$status" = 0 ]
	[[ "$output" == "removed "[1-9]*" package"*" and the lists of mirrors: "* ]]
	[ -z "$(find "$BRIG_BASE/cache" -mindepth 2)" ]
	[ -d "$K/k" ]
	run brig --json template clean
	[ "$(tr -d ' \n' <<<"$output")" = '{"trees":1,"packages":0,"cache_bytes":0}' ]
	[ ! -e "$K" ]
	for wrong in "clean k" "list --packages" "list --resume"; do
		# shellcheck disable=SC2086
		run brig template $wrong
		[ "$status" = 2 ]
	done
}

# ---- overlays, before packages are downloaded ----

# A mmdebstrap that says that it ran and makes a small tree.
fake_mmdebstrap() {
	mkdir -p "$LAB/bin"
	cat >"$LAB/bin/mmdebstrap" <<-END
		#!/bin/sh
		echo x >>$LAB/ran
		for a; do
			case \$a in */root) break ;; esac
		done
		cd "\$a" && mkdir -p etc/nginx/sites-available usr/bin usr/share/zoneinfo var/lib home
		echo x >etc/nginx/sites-available/default
		echo x >usr/share/zoneinfo/UTC
		ln -s usr/bin bin
	END
	chmod 755 "$LAB/bin/mmdebstrap"
	PATH=$LAB/bin:$PATH
	rm -f "$LAB/ran"
}

# refused TEXT: the overlay "o" over Debian is, before anything is downloaded
refused() {
	run brig -q template build early debian:bookworm,x --overlay "$LAB/o"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"template early: overlay $LAB/o: /etc/l: the link to "*"$1" ]]
	[ ! -e "$LAB/ran" ]
}

@test "a link in an overlay that certainly leads nowhere is an error before anything is downloaded" {
	fake_mmdebstrap
	rm -rf "$LAB/o"
	mkdir -p "$LAB/o/etc/avail" "$LAB/o/bin"
	echo x >"$LAB/o/etc/avail/a"
	echo x >"$LAB/o/bin/mine"
	ln -s avail/a/b "$LAB/o/etc/l"
	refused "leads through a file"
	ln -sfn l "$LAB/o/etc/l"
	refused "leads in a circle"
	ln -sfn /home/me/file "$LAB/o/etc/l"
	refused "leads nowhere in a jail"
	ln -sfn "$LAB/o/etc/avail/a" "$LAB/o/etc/l"
	refused "leads nowhere in a jail"
	# a rule allows it
	{
		cat "$BRIG_TOP/data/split.rules"
		echo 'dangling /etc/l'
	} >"$LAB/o.rules"
	brig -q template build early debian:bookworm,x --overlay "$LAB/o" --rules "$LAB/o.rules" --release e0
	[ "$(wc -l <"$LAB/ran")" = 1 ]
	brig -q template remove early/e0
	rm "$LAB/ran"
	# a package may bring it: known when it is there, and nothing is downloaded again
	ln -sfn nginx/sites-available/none "$LAB/o/etc/l"
	run brig -q template build early debian:bookworm,x --overlay "$LAB/o"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"/etc/l: the link to "*"nowhere in a jail"*"brig template build --resume early" ]]
	ln -sfn nginx/sites-available/default "$LAB/o/etc/l"
	ln -s /usr/bin/mine "$LAB/o/etc/l2"
	ln -s /run/x "$LAB/o/etc/l3"
	ln -s /s/etc/avail "$LAB/o/etc/l4"
	ln -s ../usr/share/zoneinfo/UTC "$LAB/o/etc/l5"
	ln -s /bin/mine "$LAB/o/etc/l6"
	brig -q template build --resume early --release e1
	[ "$(wc -l <"$LAB/ran")" = 1 ]
	# the same packages again: what they bring is known
	rm "$LAB/ran"
	ln -sfn nginx/sites-available/none "$LAB/o/etc/l"
	refused "leads nowhere in a jail"
	ln -sfn nginx/sites-available/default "$LAB/o/etc/l"
	brig -q template build early debian:bookworm,x --overlay "$LAB/o" --release e2
	cmp "$T/early/e1/manifest" "$T/early/e2/manifest"
}
