#!/usr/bin/env bats
# How it must fail: one clear line each, exit status not 0, nothing lost.

load lib

setup_file() { lab_setup; }
teardown_file() { lab_teardown; }
setup() {
	conf <<-EOF
		f { persist; ip4.addr = 198.51.100.1; }
	EOF
	[ -d "$BRIG_BASE/js/f" ] || brig -q create f
}
teardown() { brig -q stop -a --force || true; }

@test "not root" {
	chmod 755 "$LAB"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$BRIG" start f
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *root* ]]
	chmod 700 "$LAB"
}

@test "no user namespaces" {
	old=$(cat /proc/sys/user/max_user_namespaces)
	# a limit of a user namespace of our own, not the host's
	run unshare --user --map-root-user --mount sh -c "echo 0 > /proc/sys/user/max_user_namespaces; $BRIG start f"
	[ "$status" = 1 ]
	[ "$(cat /proc/sys/user/max_user_namespaces)" = "$old" ]
	[[ "$output" == *"brig: "* ]]
}

@test "no free disk" {
	mkdir "$LAB/small"
	truncate -s 8M "$LAB/small.img"
	mkfs.ext4 -q "$LAB/small.img"
	mount -o loop "$LAB/small.img" "$LAB/small"
	dd if=/dev/zero of="$LAB/small/fill" bs=64k 2>/dev/null || true
	run env BRIG_BASE="$LAB/small/base" "$BRIG" -q template build mroot busybox
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"No space left"* ]]
	[ -z "$(find "$LAB/small/base/templates" -name '.new*' 2>/dev/null)" ]
	umount "$LAB/small"
}

@test "no mirror" {
	# this network namespace has no way out
	run timeout 300 "$BRIG" -q template build deb debian:bookworm
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *debian* ]]
	[ ! -e "$BRIG_BASE/j/deb" ]
	assert_tidy
}

@test "missing nft" {
	conf <<-EOF
		f { persist; ip4.addr = 198.51.100.1; nat; }
	EOF
	mount --bind /dev/null "$(command -v nft)" # in this mount namespace only
	run brig start f
	umount "$(command -v nft)"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *nft* ]]
}

@test "an interface of the name exists already" {
	# the next JID's name, made by somebody else
	brig -q start f
	jid=$(jls -j f jid)
	name=$(ip -o link show | sed -n "s/^[0-9]*: \([^:@]*\.\)$jid@.*/\1/p")
	brig -q stop f
	ip link add "$name$((jid + 1))" type veth peer name foreign0
	run brig start f
	ip link show "$name$((jid + 1))"
	ip link del foreign0
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"$name$((jid + 1))"* ]]
	assert_tidy
}

@test "an address of the host" {
	ip addr add 198.51.100.77/32 dev lo
	conf <<-EOF
		f { persist; ip4.addr = 198.51.100.77; }
	EOF
	run brig start f
	ip addr del 198.51.100.77/32 dev lo
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *198.51.100.77* ]]
}

@test "configuration errors: all at once, with file, line and column" {
	printf 'a { ip4.addr = 300.1.2.3; nosuch = 1; }\nb { exec.timeout = soon }\n"c d" { }\n' >"$BRIG_CONF"
	run brig check
	[ "$status" = 1 ]
	[ "${#lines[@]}" -ge 4 ]
	for l in "${lines[@]}"; do [[ "$l" =~ ^"$BRIG_CONF":[0-9]+:[0-9]+:\  ]]; done
}

@test "a syntax error starts nothing" {
	printf 'f { persist; }\ng { persist; \n' >"$BRIG_CONF"
	run brig start f
	[ "$status" = 1 ]
	run jls -c -j f
	[ "$status" = 1 ]
}

@test "one failing jail does not stop the others" {
	conf <<-EOF
		persist;
		f { }
		g { exec.start = "false"; }
		h { depend = g; }
	EOF
	brig -q create g h
	run brig start g f h
	[ "$status" = 1 ]
	[[ "$output" == *"f: started"* ]]
	[[ "$output" == *"h: skipped: g failed"* ]]
	brig -q stop -a
	brig -q destroy -y g h
}

@test "wrong use exits 2" {
	for words in "" "--nosuch" "start --nosuch f" "nosuch" "exec" "create" "template" "template nosuch" "logs"; do
		# shellcheck disable=SC2086
		run brig $words </dev/null
		[ -z "$words" ] || [ "$status" = 2 ] || { echo "brig $words: $status"; false; }
	done
}

@test "a parameter that cannot be had here is refused by name, with the reason" {
	conf <<-EOF
		f { persist; zfs.dataset = tank/x; }
	EOF
	run brig start f
	[ "$status" = 1 ]
	[[ "$output" == *zfs.dataset* ]]
}

@test "a damaged record or state is named, and nothing is lost" {
	cp "$BRIG_BASE/js/.brig/f.json" "$LAB/f.json"
	echo '{' >"$BRIG_BASE/js/.brig/f.json"
	run brig start f
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *damaged* ]]
	cp "$LAB/f.json" "$BRIG_BASE/js/.brig/f.json"
	brig -q start f
}

@test "a template that is used cannot be removed" {
	run brig template remove "mroot/$(basename "$(readlink "$BRIG_BASE/templates/mroot/current")")"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *f* ]]
}

@test "a jail whose record is damaged can be destroyed, and upgrades name it" {
	conf <<-EOF
		dm { persist; }
	EOF
	brig -q create dm
	echo '{' >"$BRIG_BASE/js/.brig/dm.json"
	run brig start dm
	[ "$status" = 1 ]
	[[ "$output" == *"dm.json is damaged"* ]]
	run brig merge
	[ "$status" = 1 ]
	[[ "$output" == *"dm.json is damaged"* ]]
	brig destroy -y dm
	[ ! -e "$BRIG_BASE/js/dm" ]
	[ ! -e "$BRIG_BASE/js/.brig/dm.json" ]
}
