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
	[[ "$output" != *packages:* ]]
	brig destroy -y www
}
