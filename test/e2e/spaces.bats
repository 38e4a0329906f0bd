#!/usr/bin/env bats
# Other jailspaces than a directory, limits, roots without a template, and what loosens the profile.

load lib

setup_file() { lab_setup; }
teardown_file() { lab_teardown; }
teardown() { brig -q stop -a --force || true; }

@test "space = tmpfs: fresh from the skeleton at every start" {
	conf <<-EOF
		persist; t { space = "tmpfs:16m"; }
	EOF
	brig -q create t
	brig -q start t
	[ "$(brig exec t cat /etc/hostname)" = t ]
	brig exec t sh -c 'echo x > /s/x; df /s | tail -n 1' | grep -q 16384
	[ "$(brig exec t stat -c %u /etc/rc.conf)" = 0 ]
	brig -q restart t
	run brig exec t ls /s/x
	[ "$status" != 0 ]
	brig -q stop t
	brig -q destroy -y t
}

@test "space = image: a file with a file system of its own size" {
	conf <<-EOF
		persist; m { space = "image:$LAB/m.img"; space.size = 16m; }
	EOF
	brig -q create m
	brig -q start m
	brig exec m sh -c 'echo kept > /s/kept; dd if=/dev/zero of=/s/fill bs=1M count=64 2>&1' | grep -q 'No space'
	brig -q restart m
	[ "$(brig exec m cat /s/kept)" = kept ]
	brig -q stop m
	# the kernel takes a loop device back a moment after the last user has gone
	eventually 5 eval '[ -z "$(losetup -n -O NAME -j "$LAB/m.img")" ]'
	brig -q destroy -y m
	[ -e "$LAB/m.img" ]
}

@test "path without a template is the jail's root, as in jail(8)" {
	cp -a "$BRIG_BASE/j/mroot/." "$LAB/own"
	for l in etc home root tmp var srv opt; do rm "$LAB/own/$l"; done
	cp -a "$BRIG_BASE/j/skel/." "$LAB/own/"
	conf <<-EOF
		persist; p { path = "$LAB/own"; host.hostname = p.example.org; exec.start = "touch /was-here"; }
	EOF
	brig -q start p
	[ -e "$LAB/own/was-here" ]
	[ "$(stat -c %u "$LAB/own/was-here")" = 0 ]
	jls -j p path | grep -qx "$LAB/own"
	brig -q stop p
}

@test "limits hold before the first instruction, and go without a trace" {
	conf <<-EOF
		persist; l { limit.memory = 32m; limit.pids = 20; service = "sleep 1000"; }
	EOF
	brig -q create l
	host_things >"$LAB/before"
	brig -q start l
	run brig exec l sh -c 'i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done 2>&1; wait'
	[[ "$output" == *fork* ]] || [[ "$output" == *"Resource temporarily"* ]]
	run timeout 30 "$BRIG" exec l sh -c 'head -c 200000000 /dev/zero | tail'
	[ "$status" != 0 ]
	brig status l | grep -qi memory
	brig -q stop l
	assert_host_as "$LAB/before"
}

@test "mount lines of the jail's own: read-only, read-write, in memory" {
	mkdir "$LAB/shared"
	echo s >"$LAB/shared/file"
	conf <<-EOF
		persist;
		o {
			mount = "$LAB/shared $BRIG_BASE/j/o/mnt nullfs ro 0 0";
			mount += "tmpfs $BRIG_BASE/j/o/media tmpfs rw,size=1m 0 0";
		}
	EOF
	brig -q create o
	brig -q start o
	[ "$(brig exec o cat /mnt/file)" = s ]
	run brig exec o sh -c 'echo x > /mnt/file'
	[ "$status" != 0 ]
	brig exec o sh -c 'echo x > /media/x'
	[ ! -e "$BRIG_BASE/j/o/media" ]
	brig -q stop o
}

@test "allow.raw_sockets opens just that" {
	conf <<-EOF
		persist; r { ip4.addr = 198.51.100.1; allow.raw_sockets; }
	EOF
	brig -q create r
	brig -q start r
	brig exec r ping -c 1 -W 2 127.0.0.1
	brig exec r grep -q '^CapBnd:.*00000000a00425fb' /proc/self/status
	brig exec r grep -q '^NoNewPrivs:.*1' /proc/self/status
}
