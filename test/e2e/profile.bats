#!/usr/bin/env bats
# The default profile of a jail, the same for all that runs in it, and what each parameter opens of it.  Every system
# call is tried by test/tools/callprobe.c; what a jail answers is compared with what another one does.

load lib
bats_require_minimum_version 1.5.0

setup_file() {
	lab_setup
	"$BRIG_TOP/test/unit/unistd_names" "$LAB/unistd_names.h" "$LAB/d" cc
	cc -static -Os -D_GNU_SOURCE -I "$LAB" -o "$LAB/callprobe" "$BRIG_TOP/test/tools/callprobe.c"
	cat >"$BRIG_CONF" <<-EOF
		persist;
		service = "/root/callprobe >/root/service; echo done >/root/end; exec sleep 1000";
		all {
			exec.start = "/root/callprobe >/root/start";
			command = "/root/callprobe >/root/command";
			health = "/root/callprobe >/root/health";
			exec.stop = "/root/callprobe >/root/stop";
		}
		plain { }
		debug { allow.unprivileged_proc_debug; }
		msgbuf { allow.read_msgbuf; }
		uring { allow.io_uring; }
		keys { allow.keyring; }
		numa { allow.numa; }
		suid { allow.suid; }
		core { allow.coredump; }
		mlock { allow.mlock; }
		raw { allow.raw_sockets; }
		ports { allow.noreserved_ports; }
		routing { allow.routing; }
		name { allow.noset_hostname; }
		af { allow.socket_af; }
		proc { allow.proc_unmasked; }
		shared { ip4 = inherit; }
		open { ip4 = inherit; allow.abstract_unix; }
	EOF
	for j in $(jails); do
		brig -q create "$j"
		cp "$LAB/callprobe" "$BRIG_BASE/js/$j/root/"
	done
	brig -q start -a
	brig exec plain /root/callprobe >"$LAB/plain"
}
teardown_file() { lab_teardown; }

jails() { sed -n 's/^\([a-z]*\) {.*/\1/p' "$BRIG_CONF"; }

# opens JAIL NAME...: the lines in which the jail differs from one without parameters are those that begin with the
# names, each of them; for its services and for exec alike
opens() {
	local jail=$1 name
	shift
	brig exec "$jail" /root/callprobe >"$LAB/with"
	eventually 20 test -e "$BRIG_BASE/js/$jail/root/end"
	diff "$BRIG_BASE/js/$jail/root/service" "$LAB/with" || return 1
	diff "$LAB/plain" "$LAB/with" | sed -n 's/^> \([^ 	]*\).*/\1/p' | sort >"$LAB/opened"
	for name; do echo "$name"; done | sort | diff - "$LAB/opened"
}

# knows CALL...: those that the kernel has at all
knows() { for c in "$@"; do if grep -q "^$c 1$" "$LAB/plain"; then echo "$c"; fi; done; }

@test "services, hooks, health checks, exec and shell are confined by one profile" {
	local js=$BRIG_BASE/js/all/root
	eventually 20 test -e "$js/end"
	brig exec all /root/callprobe >"$js/exec"
	echo '/root/callprobe >/root/shell' | brig shell all
	script -qec "$BRIG exec all sh -c '/root/callprobe >/root/tty'" /dev/null </dev/null >/dev/null
	brig -q stop all
	for f in start command service health stop exec shell tty; do
		[ "$(wc -l <"$js/$f")" -gt 400 ]
		diff "$js/service" "$js/$f"
	done
	diff "$LAB/plain" "$js/service"
	run -0 brig run -o persist=false --space "$BRIG_BASE/js/all" /root/callprobe
	diff "$js/exec" - <<<"$output" # the service of this one writes anew
}

@test "what the profile denies, and how" {
	grep -qx 'mount 1' "$LAB/plain"
	grep -qx 'setns 1' "$LAB/plain"
	grep -qx 'bpf 1' "$LAB/plain"
	grep -qx 'clone3 38' "$LAB/plain"
	grep -qx '470 38' "$LAB/plain"
	grep -qx 'openat 14' "$LAB/plain"
	grep -qx 'limit 4 1 1' "$LAB/plain" # core
	grep -q '^NoNewPrivs:.1$' "$LAB/plain"
	grep -q '^CapBnd:.00000000a00405fb$' "$LAB/plain"
	grep -q '^Seccomp:.2$' "$LAB/plain"
	[ "$(awk '$1 == "limit" && $2 == 7 {print ($3 <= 1024 && $4 <= 524288)}' "$LAB/plain")" = 1 ]
	[ "$(awk '$1 == "limit" && $2 == 8 {print ($4 <= 8388608)}' "$LAB/plain")" = 1 ]
	run -1 brig exec plain /root/callprobe socket 17 0 # PACKET
	[ "$output" = "Address family not supported by protocol" ]
	run -1 brig exec plain /root/callprobe socket 16 12 # NETLINK_NETFILTER
	[ "$output" = "Protocol not supported" ]
	brig exec plain /root/callprobe socket 16 0
}

@test "each parameter opens its own calls and no others" {
	# shellcheck disable=SC2046 # names
	{
		opens debug $(knows ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd) CapPrm: CapEff: CapBnd:
		opens uring $(knows io_uring_setup io_uring_enter io_uring_register)
		opens keys $(knows keyctl add_key request_key)
		opens numa $(knows get_mempolicy set_mempolicy set_mempolicy_home_node mbind migrate_pages move_pages)
	}
	# which asks for no_new_privs itself
	opens suid NoNewPrivs: landlock_restrict_self || opens suid NoNewPrivs:
	opens raw CapPrm: CapEff: CapBnd:
	opens routing CapPrm: CapEff: CapBnd:
	opens ports CapPrm: CapEff: CapBnd:
	opens name # not more is closed: the right to it is one that no jail has
	opens af socket socketpair
	# an invalid argument, where the kernel looks at it first
	opens msgbuf syslog || opens msgbuf
	brig exec af /root/callprobe socket 16 12
}

@test "limits: core dumps and locked memory" {
	[ "$(ulimit -Hc)" = 0 ] || opens core limit
	[ "$(brig exec core sh -c 'ulimit -Hc')" = "$(ulimit -Hc)" ]
	[ "$(brig exec mlock sh -c 'ulimit -Hl')" = "$(ulimit -Hl)" ]
	run opens mlock
	[ "$status" = 0 ] || opens mlock limit
}

@test "a core dump's size stays, and setting it to 0 is no error" {
	# 0 would start the program of core_pattern again, core(5)
	# shellcheck disable=SC2016 # the jail's shell
	brig exec plain sh -c 'ulimit -S -c 0 && ulimit -c 0 && grep -q "^Max core file size  *1  *1 " /proc/self/limits'
	# shellcheck disable=SC2016
	brig exec core sh -c 'ulimit -c 0 && grep -q "^Max core file size  *0  *0 " /proc/self/limits'
}

# into JAIL COMMAND...: a process of the host, without any confinement, in the jail's control group
into() {
	local group
	group=$(sed -n 's/^0:://p' "/proc/$(jail_pid "$1")/cgroup")
	shift
	# shellcheck disable=SC2016 # the group is its first argument
	sh -c 'echo 0 >"$1/cgroup.procs" && shift && exec "$@"' sh "$(findmnt -nt cgroup2 -o TARGET | head -n 1)$group" "$@"
}

@test "the device controller lets the group open its own nodes and no others" {
	[ -n "$(findmnt -nt cgroup2)" ] || skip "no control groups of version 2"
	mknod "$LAB/null" c 1 3
	mknod "$LAB/kmsg" c 1 11
	mknod "$LAB/ptmx" c 5 2
	mknod "$LAB/console" c 5 1
	mknod "$LAB/loop" b 7 0
	open=": <\"\$1\""
	into plain sh -c "$open" sh "$LAB/null"
	run into plain sh -c "$open" sh "$LAB/ptmx" # there is no terminal beside it, but it may be asked
	[[ $output == *"No such file"* ]]
	for n in kmsg loop console; do
		run -2 into plain sh -c "$open" sh "$LAB/$n"
		[[ $output == *"not permitted"* ]]
	done
	refuse into plain mknod "$LAB/other" c 1 11
	into plain mknod "$LAB/other" c 1 5
	# the controls: beside the group they can be opened and made; in it, other things can be done
	sh -c "$open" sh "$LAB/kmsg"
	mknod "$LAB/third" c 1 11
	into plain touch "$LAB/file"
	rm -f "$LAB"/{null,kmsg,ptmx,console,loop,other,third,file}
}

@test "/proc, /sys and /dev" {
	for f in kallsyms interrupts modules keys timer_list config.gz kmsg; do
		[ -e /proc/$f ] || continue
		run -0 brig exec plain cat "/proc/$f"
		[ -z "$output" ]
	done
	for d in acpi scsi pressure asound; do
		[ -d /proc/$d ] || continue
		run -0 brig exec plain ls -A "/proc/$d"
		[ -z "$output" ]
	done
	for f in sys/kernel/core_pattern sysrq-trigger; do
		[ -e /proc/$f ] || continue
		run -1 brig exec plain sh -c "echo x >/proc/$f"
		[[ $output == *"Read-only file system" ]]
		run -1 brig exec proc sh -c "echo x >/proc/$f"
		[[ $output == *"Read-only file system" ]]
	done
	[ -n "$(brig exec proc cat /proc/interrupts)" ]
	[ -n "$(brig exec proc ls /proc/pressure)" ]
	run -0 brig exec plain ls -A /sys
	[ -z "$output" ]
	[ "$(brig exec plain sh -c 'cd /dev && echo *')" = \
		"fd full log null ptmx pts random shm stderr stdin stdout tty urandom zero" ]
	run -1 brig exec plain touch /dev/x
	[[ $output == *"Read-only file system" ]]
	run -1 brig exec plain sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=70 2>&1'
	[[ $output == *"No space left on device"* ]]
	# shellcheck disable=SC2016 # the jail's shell
	run -1 brig exec plain sh -c 'i=0; while [ $i -lt 9000 ]; do : >/run/$i || exit 1; i=$((i+1)); done'
	[[ $output == *"No space left on device"* ]]
	brig exec plain sh -c 'rm -f /run/[0-9]* /dev/shm/x'
}

@test "a jail in the host's network does not reach the host's abstract sockets" {
	local name=profile.$$
	"$LAB/callprobe" listen "$name" >"$LAB/ready" 3>&- &
	eventually 5 grep -q ready "$LAB/ready"
	"$LAB/callprobe" connect "$name" # the control
	brig exec open /root/callprobe connect "$name"
	run -1 brig exec plain /root/callprobe connect "$name"
	[ "$output" = "Connection refused" ] # its own network has no such name
	if [ "$("$LAB/callprobe" landlock)" -ge 6 ]; then
		run -1 brig exec shared /root/callprobe connect "$name"
		[ "$output" = "Operation not permitted" ]
	fi
	kill $!
}

@test "exec and the jail's own processes signal each other" {
	for j in plain shared; do
		brig exec "$j" sh -c 'sleep 1000 & echo $!' >"$LAB/pid"
		brig exec "$j" kill "$(cat "$LAB/pid")"
		run -1 brig exec "$j" kill -0 "$(cat "$LAB/pid")"
	done
}

# runs WORD COMMAND: in a jail whose root is the host's, where the host has the program and it runs here
runs() {
	command -v "${2%% *}" >/dev/null && (cd "$LAB" && sh -c "$2" 2>&1 | grep -q "$1") || return 0
	RAN="$RAN ${2%% *}"
	run -0 brig exec -d /tmp host sh -c "$2"
	# shellcheck disable=SC2031 # bats'
	[[ $output == *"$1"* ]]
}

@test "the host's own programs run under it" {
	cat >>"$BRIG_CONF" <<-EOF
		host { path = /; mount = "tmpfs /tmp tmpfs rw,mode=1777 0 0"; service = "/bin/sleep 1000"; }
		dhost { path = /; allow.unprivileged_proc_debug; service = "/bin/sleep 1000"; }
	EOF
	brig -q start host dhost
	runs fine 'perl -MSocket -e "socketpair(A,B,AF_UNIX,SOCK_STREAM,0) or die; fork or exit; wait; print qq(fine\n)"'
	runs fine 'python3 -c "import threading,subprocess; t=threading.Thread(target=subprocess.check_call,args=([\"true\"],)); t.start(); t.join(); print(\"fine\")"'
	runs OpenJDK 'java -version'
	runs fine 'node -e "new (require(\"worker_threads\").Worker)(\"1\",{eval:true}).on(\"exit\",()=>console.log(\"fine\"))"'
	runs fine 'git init -q r && cd r && echo x >f && git add f && git -c user.name=n -c user.email=e commit -qm m && echo fine'
	runs fine 'tar cf x.tar /etc/passwd && tar tf x.tar && cp -a /etc/passwd y && sort y >z && echo fine'
	runs fine 'dpkg -S /bin/sh && echo fine'
	echo "#$RAN" >&3
	[ "$(echo "$RAN" | wc -w)" -ge 2 ]
	# a debugger is what the parameter is for
	if command -v gdb >/dev/null; then
		run brig exec host gdb -nx -batch -ex run /bin/true
		[[ $output == *"ptrace: Operation not permitted"* ]]
		run -0 brig exec dhost gdb -nx -batch -ex run /bin/true
		[[ $output == *"exited normally"* ]]
	fi
}
