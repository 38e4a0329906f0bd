#!/usr/bin/env bats
# Copies of data: upgrade --keep and --keep-data, rollback --with-data.

load lib

# r1, and r2 whose service converts the data when it starts; r3 does so, and does not start.
setup_file() {
	lab_setup none
	local n
	for n in 1 2 3; do
		mkdir -p "$LAB/o$n/etc" "$LAB/o$n/var/lib/db"
		echo "conf $n" >"$LAB/o$n/etc/app.conf"
		cat >"$LAB/o$n/etc/serve" <<-EOF
			#!/bin/sh
			cd /var/lib/db || exit 1
			if [ $n != 1 ]; then
				echo "format $n" >table
				rm -rf sub
				chown 1:1 .
			fi
			[ $n != 3 ]
		EOF
		chmod 755 "$LAB/o$n/etc/serve"
		brig -q template build mroot busybox --overlay "$LAB/o$n" --release "r$n" --no-current
	done
}
teardown_file() { lab_teardown; }

setup() {
	conf <<-EOF
		exec.start = "/etc/serve"; persist; stop.timeout = 2;
		a { }
	EOF
	brig -q upgrade mroot/r1
	brig -q create a
	fill "$BRIG_BASE/js/a"
}
teardown() {
	destroy_all
	if mountpoint -q "$LAB/disk"; then umount "$LAB/disk"; fi
	rm -rf "$LAB/disk" "$LAB/disk.img" "$LAB/a.img"
}

# fill JAILSPACE
fill() {
	local db=$1/var/lib/db
	mkdir -p "$db/sub"
	echo "format 1" >"$db/table"
	head -c 300000 /dev/urandom >"$db/blob"
	truncate -s 8M "$db/sub/sparse"
	ln "$db/blob" "$db/sub/again"
	ln -s /etc/passwd "$db/link"
	mkfifo "$db/fifo"
	chown -R 104:105 "$db"
	chmod 4710 "$db/blob"
	chmod 2750 "$db/sub"
	setfattr -n user.a -v b "$db/table" 2>/dev/null || true
}
# data_of JAILSPACE: names, owners, modes, times, and contents
data_of() {
	(
		cd "$1/var/lib/db" || exit 1
		find . -printf '%y %m %U:%G %n %T@ %p %l\n' | sed 's/^\(d .*\) [0-9.]* \(\.[^ ]*\) $/\1 \2/' | sort
		find . -type f -print0 | sort -z | xargs -0 sha256sum
		getfattr -d -R . 2>/dev/null || true
	)
}
change_of() { ls "$BRIG_BASE/js/.brig/change/$1" 2>/dev/null; }
# mount_disk MKFS...: the base on a file system of its own
mount_disk() {
	truncate -s 400M "$LAB/disk.img"
	"$@" "$LAB/disk.img" >/dev/null
	mkdir -p "$LAB/disk"
	mount -o loop "$LAB/disk.img" "$LAB/disk"
	cp -a "$BRIG_BASE/." "$LAB/disk"
}
on_disk() { BRIG_BASE=$LAB/disk "$BRIG" "$@"; }

@test "a rollback leaves new data, and with --with-data the old ones are back, byte for byte" {
	js=$BRIG_BASE/js/a
	data_of "$js" >"$LAB/before"
	brig -q start a
	run brig upgrade mroot/r2 --keep var/lib/db
	[ "$status" = 0 ]
	[[ "$output" == *"a: data: /var/lib/db will be copied ("* ]]
	[[ "$output" == *"a: upgraded to r2"*"; copied "*" of data in "* ]]
	[ "$(cat "$js/var/lib/db/table")" = "format 2" ]
	data_of "$js" >"$LAB/after"
	brig -q rollback mroot
	data_of "$js" | diff -u "$LAB/after" -
	[ -z "$(change_of a)" ]
	# once more, and back with them
	brig -q stop a
	rm -rf "$js/var/lib/db"
	fill "$js"
	data_of "$js" >"$LAB/before"
	brig -q start a
	brig -q upgrade mroot/r2 --keep /var/lib/db/
	brig exec a sh -c 'echo lost >/var/lib/db/later'
	data_of "$js" >"$LAB/after"
	run brig rollback -n mroot --with-data
	[ "$status" = 0 ]
	[[ "$output" == *"a: data: /var/lib/db is put back as of 20"*"what was written since is lost"* ]]
	data_of "$js" | diff -u "$LAB/after" -
	run brig rollback mroot --with-data
	[ "$status" = 0 ]
	data_of "$js" | diff -u "$LAB/before" -
	[ "$(cat "$js/etc/app.conf")" = "conf 1" ]
	[ -z "$(change_of a)" ]
	brig -q stop a
	assert_tidy
}

@test "a release that does not start: data are as they were, and nothing is left" {
	js=$BRIG_BASE/js/a
	data_of "$js" >"$LAB/before"
	brig -q start a
	run brig upgrade mroot/r3 --keep var/lib/db
	[ "$status" = 1 ]
	[[ "$output" == *"back on release r1, as it was"* ]]
	data_of "$js" | diff -u "$LAB/before" -
	[ -z "$(change_of a)" ]
	# without a copy they are as the release left them
	refuse brig -q upgrade mroot/r3
	[ "$(cat "$js/var/lib/db/table")" = "format 3" ]
}

@test "a rollback with data that does not start has its data again" {
	js=$BRIG_BASE/js/a
	brig -q upgrade mroot/r2 --keep var/lib/db
	brig -q start a
	data_of "$js" >"$LAB/after"
	sed -i 's/persist;/persist; health = "grep -q 2 \/etc\/app.conf"; health.timeout = 1;/' "$BRIG_CONF"
	refuse brig -q rollback mroot --with-data
	data_of "$js" | diff -u "$LAB/after" -
	[ "$(cat "$js/etc/app.conf")" = "conf 2" ]
	sed -i 's/health = .*health.timeout = 1;//' "$BRIG_CONF"
	brig -q rollback mroot --with-data
	[ "$(cat "$js/var/lib/db/table")" = "format 1" ]
}

@test "prepared for the next start: copied then, put back then" {
	js=$BRIG_BASE/js/a
	brig -q start a
	brig -q upgrade mroot/r2 --keep var/lib/db --no-restart
	brig exec a sh -c 'echo row >>/var/lib/db/table'
	brig -q restart a
	[ "$(cat "$js/var/lib/db/table")" = "format 2" ]
	brig -q rollback mroot --with-data --no-restart
	[ "$(cat "$js/var/lib/db/table")" = "format 2" ]
	brig -q restart a
	[ "$(cat "$js/var/lib/db/table")" = "$(printf 'format 1\nrow')" ]
	[ "$(cat "$js/etc/app.conf")" = "conf 1" ]
}

@test "all at once" {
	js=$BRIG_BASE/js/a
	data_of "$js" >"$LAB/before"
	brig -q start a
	brig -q upgrade mroot/r2 --keep var/lib/db --all-at-once
	[ "$(cat "$js/var/lib/db/table")" = "format 2" ]
	brig -q rollback mroot --with-data --all-at-once
	data_of "$js" | diff -u "$LAB/before" -
}

@test "without a copy, without the directory, and with what is none: an error before anything is done" {
	js=$BRIG_BASE/js/a
	brig -q start a
	pid=$(jail_pid a)
	run brig upgrade mroot/r2 --keep var/lib/db,var/lib/other
	[ "$status" = 1 ]
	[[ "$output" == *"a: has no directory var/lib/other that a copy could be kept of"* ]]
	for bad in / .. a/../../b .brig-merge; do
		run brig upgrade mroot/r2 --keep "$bad"
		[ "$status" = 2 ]
		[[ "$output" == *"is no directory below the jailspace"* ]]
	done
	brig -q upgrade mroot/r2
	pid=$(jail_pid a)
	for n in -n ''; do
		run brig rollback $n mroot --with-data
		[ "$status" = 1 ]
		[[ "$output" == *"a: no copy of its data is kept on the way back to release r1"*"--keep-data"* ]]
	done
	[ "$(jail_pid a)" = "$pid" ]
	brig -q rollback mroot
	ln -s db "$js/var/lib/a-link"
	run brig upgrade mroot/r2 --keep var/lib/a-link
	[ "$status" = 1 ]
	[[ "$output" == *"is no directory, or is behind a link"* ]]
}

@test "status says what copies take, tidy frees them" {
	brig -q upgrade mroot/r2
	small=$(brig status a --json | jq '.[0].rollback.bytes')
	brig -q rollback mroot
	head -c 3000000 /dev/urandom >"$BRIG_BASE/js/a/var/lib/db/big"
	brig -q upgrade mroot/r2 --keep var/lib/db
	large=$(brig status a --json | jq '.[0].rollback.bytes')
	[ $((large - small)) -gt 2900000 ]
	sed -i 's/persist;/persist; undo.keep = 0;/' "$BRIG_CONF"
	brig -q tidy a
	[ -z "$(change_of a)" ]
}

@test "a volume" {
	conf <<-EOF
		exec.start = "/etc/serve"; persist; stop.timeout = 2;
		v { space = "image:$LAB/a.img"; space.size = 32M; }
	EOF
	brig -q create v
	brig -q start v
	brig exec v sh -c 'cd /var/lib/db; echo "format 1" >table; mkdir sub; echo x >sub/x; chown -R 7:8 .'
	brig -q upgrade mroot/r2 --keep var/lib/db --jail v
	[ "$(brig exec v cat /var/lib/db/table)" = "format 2" ]
	brig -q rollback mroot --with-data --jail v
	[ "$(brig exec v cat /var/lib/db/table /var/lib/db/sub/x)" = "$(printf 'format 1\nx')" ]
	[ "$(brig exec v stat -c %u:%g /var/lib/db/sub/x)" = 7:8 ]
	[ "$(brig exec v cat /etc/app.conf)" = "conf 1" ]
	# it does not go back over what has no copy, and says so before it stops
	brig -q upgrade mroot/r2 --jail v
	pid=$(jail_pid v)
	refuse brig -q rollback mroot --with-data --jail v
	[ "$(jail_pid v)" = "$pid" ]
	# one that is too small
	brig -q rollback mroot --jail v
	brig exec v sh -c 'cd /var/lib/db; echo "format 1" >table; head -c 18000000 /dev/urandom >big'
	refuse brig -q upgrade mroot/r2 --keep var/lib/db --jail v
	[ "$(brig exec v cat /var/lib/db/table)" = "format 1" ]
	brig exec v sh -c '[ ! -e /s/.brig-merge ]'
	brig -q stop v
}

@test "a disk that is full: the jail goes back, and nothing of the copy is left" {
	mount_disk mkfs.ext4 -q
	js=$LAB/disk/js/a
	on_disk -q start a
	dd if=/dev/urandom of="$js/var/lib/db/big" bs=1M count=8 2>/dev/null
	data_of "$js" >"$LAB/before"
	dd if=/dev/zero of="$LAB/disk/fill" bs=1M 2>/dev/null || true
	truncate -s -4M "$LAB/disk/fill"
	run on_disk upgrade mroot/r2 --keep var/lib/db
	[ "$status" = 1 ]
	[[ "$output" == *"No space left"*"back on release r1, as it was"* ]]
	data_of "$js" | diff -u "$LAB/before" -
	run find "$LAB/disk/js/.brig/change/a" -mindepth 1
	[ "$status" = 0 ]
	[ -z "$output" ]
	rm "$LAB/disk/fill"
	on_disk -q upgrade mroot/r2 --keep var/lib/db
	on_disk -q rollback mroot --with-data
	data_of "$js" | diff -u "$LAB/before" -
	on_disk -q stop a
}

@test "where the file system shares blocks a copy takes no space" {
	if command -v mkfs.btrfs >/dev/null; then
		mount_disk mkfs.btrfs -q
	elif command -v mkfs.xfs >/dev/null; then
		mount_disk mkfs.xfs -q
	else
		skip "neither mkfs.btrfs nor mkfs.xfs"
	fi
	js=$LAB/disk/js/a
	dd if=/dev/urandom of="$js/var/lib/db/big" bs=1M count=60 2>/dev/null
	data_of "$js" >"$LAB/before"
	sync -f "$LAB/disk"
	used=$(df --output=used -k "$LAB/disk" | tail -1)
	on_disk -q start a
	run on_disk upgrade mroot/r2 --keep var/lib/db
	[ "$status" = 0 ]
	[[ "$output" == *"will be copied ("*", by reflink)"* ]]
	sync -f "$LAB/disk"
	[ $(($(df --output=used -k "$LAB/disk" | tail -1) - used)) -lt 30000 ]
	[ "$(cat "$js/var/lib/db/table")" = "format 2" ]
	on_disk -q rollback mroot --with-data
	data_of "$js" | diff -u "$LAB/before" -
	on_disk -q stop a
}
