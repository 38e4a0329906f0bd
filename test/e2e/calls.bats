#!/usr/bin/env bats
# The system calls of those that make a jail or enter one, in their order (src/os/linux/instance/create.c, inside.c,
# exec/attach.c): what each of them leaves behind or takes on, and that nothing of it is left out or comes too late.

load lib

CALLS=unshare,setns,keyctl,setsid,umask,prctl,seccomp,capset,close_range,execveat,setgroups,setresuid,setresgid
CALLS=$CALLS,chdir,sethostname,setdomainname,rt_sigprocmask,rt_sigaction,pivot_root,umount2,mount,clone3
CALLS=$CALLS,landlock_restrict_self

setup_file() {
	lab_setup
	conf <<-EOF
		persist;
		a { }
		shared { ip4 = inherit; ip6 = inherit; host = inherit; }
	EOF
	brig -q create a shared
}

teardown_file() {
	lab_teardown
}

# Repeated lines to one; what differs from run to run, or asks only, is left out.
calls() {
	sed -E -e '/^(---|\+\+\+)/d' -e '/PR_CAPBSET_READ|PR_GET_|PR_CAP_AMBIENT_IS_SET|SIG_BLOCK|SIG_UNBLOCK/d' \
		-e '/PR_SET_VMA/d' -e 's/ += .*//' -e 's/^rt_sigaction.*/rt_sigaction/' \
		-e 's/PR_CAPBSET_DROP, .*/PR_CAPBSET_DROP)/' -e 's/(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL).*/\1)/' \
		-e 's/^(clone3\(\{flags=[A-Z_|]*).*/\1)/' -e 's/^(capset)\(.*/\1/' \
		-e 's/^(execveat)\([0-9]+, "", \["([^"]*)".*/\1 \2/' -e 's/^(setns)\([0-9]+, /\1(/' \
		-e 's/^seccomp.SECCOMP_SET_MODE_FILTER, 0, .*/seccomp(SECCOMP_SET_MODE_FILTER)/' \
		-e '/^seccomp\(SECCOMP_GET/d' -e 's/~\[[A-Z0-9_ ]*\]/ALL/' -e 's/^setresuid\(-1, [1-9][0-9]+, -1\)/setresuid(-1, ID, -1)/' \
		-e 's/^(landlock_restrict_self)\(.*/\1/' -e 's/\(NO_NEW_PRIVS, 1.*/(NO_NEW_PRIVS)/' \
		-e 's/^(setns\(CLONE_NEWNS).*/\1)/' "$1" | uniq | between_actions
}

# sigaction(3) of newer C libraries (glibc 2.41) puts the mask back after each: those between two are its own.
between_actions() {
	awk '/^rt_sigaction/ && n > 1 && line[n] ~ /^rt_sigprocmask/ && line[n - 1] ~ /^rt_sigaction/ { n--; next }
		{ line[++n] = $0 }
		END { for (i = 1; i <= n; i++) print line[i] }'
}

# traced NAME COMMAND...: NAME.PID for each process; ends when all of them have ended
traced() {
	local name=$1
	shift
	strace -ff -qq -s 64 -e signal=none -o "$LAB/$name" -e "trace=$CALLS" "$@" </dev/null >"$LAB/$name.out" 2>&1
}

start_traced() { # NAME
	local n=0
	local tracer
	traced "$1" "$BRIG" start "$1" &
	tracer=$!
	# the tracer stays as long as the jail runs
	until brig -q status "$1" 2>/dev/null | grep -q running || [ $n -ge 200 ]; do
		n=$((n + 1))
		sleep 0.1
	done
	brig -q stop "$1"
	wait "$tracer"
}

same() { # standard input: what is expected; $1: what is
	diff -u - "$1"
}

first_of() { # the process that became brig-init
	grep -l '^execveat(.*"brig-init"' "$LAB/$1".[0-9]*
}

@test "the first process: namespaces, ids, session, descriptors, rights, and only then brig-init" {
	start_traced a
	calls "$(first_of a)" >"$LAB/first"
	same "$LAB/first" <<-'EOF'
		prctl(PR_SET_PDEATHSIG, SIGKILL)
		unshare(CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWNET)
		sethostname("a", 1)
		setdomainname("(none)", 6)
		setgroups(0, NULL)
		setresgid(0, 0, 0)
		setresuid(0, 0, 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL)
		unshare(CLONE_NEWNS)
		chdir("/")
		keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)
		setsid()
		umask(022)
		rt_sigaction
		rt_sigprocmask(SIG_SETMASK, [], NULL, 8)
		close_range(0, 8, 0)
		close_range(9, 4294967295, 0)
		prctl(PR_CAPBSET_DROP)
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		seccomp(SECCOMP_SET_MODE_FILTER)
		capset
		setns(-1, 0)
		execveat brig-init
		prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)
		prctl(PR_SET_NAME, "brig-init")
		rt_sigprocmask(SIG_SETMASK, ALL, NULL, 8)
		prctl(PR_SET_PDEATHSIG, 0)
	EOF
}

@test "the builder: descriptors, mounts of its own, the first process, the root" {
	builder=$(grep -l '^pivot_root' "$LAB"/a.[0-9]*)
	# how many descriptors there are to close, and how procfs is mounted, is a matter of the host
	calls "$builder" | sed -e 's/^close_range.*/close_range/' -e '/^setns(CLONE_NEWPID)/d' -e '/^clone3({flags=0/d' |
		uniq >"$LAB/builder"
	same "$LAB/builder" <<-'EOF'
		close_range
		prctl(PR_SET_PDEATHSIG, SIGKILL)
		umask(000)
		unshare(CLONE_NEWNS)
		mount(NULL, "/", NULL, MS_REC|MS_PRIVATE, NULL)
		prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
		setresuid(-1, ID, -1)
		clone3({flags=CLONE_PARENT|CLONE_NEWUSER|CLONE_NEWPID)
		setresuid(-1, 0, -1)
		prctl(PR_SET_SECUREBITS, 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL)
		pivot_root(".", ".")
		umount2(".", MNT_DETACH)
		chdir("/")
	EOF
}

@test "what a jail shares with the host is what its configuration says" {
	start_traced shared
	calls "$(first_of shared)" | grep '^unshare' >"$LAB/shared"
	same "$LAB/shared" <<-'EOF'
		unshare(CLONE_NEWCGROUP|CLONE_NEWIPC)
		unshare(CLONE_NEWNS)
	EOF
	run grep -hE '^(sethostname|setdomainname)' "$(first_of shared)"
	[ -z "$output" ]
}

@test "exec: who enters, and what is executed" {
	brig -q start a
	traced exec "$BRIG" exec -u daemon a true
	calls "$(first_of exec)" >"$LAB/command"
	same "$LAB/command" <<-'EOF'
		rt_sigaction
		rt_sigprocmask(SIG_SETMASK, [], NULL, 8)
		prctl(PR_SET_PDEATHSIG, SIGKILL)
		setns(CLONE_NEWUSER)
		setgroups(0, NULL)
		setresgid(0, 0, 0)
		setresuid(0, 0, 0)
		chdir("/")
		close_range(5, 4294967295, 0)
		keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)
		setsid()
		umask(022)
		prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)
		prctl(PR_CAPBSET_DROP)
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		seccomp(SECCOMP_SET_MODE_FILTER)
		capset
		setns(-1, 0)
		setgroups(1, [1])
		setresgid(1, 1, 1)
		setresuid(1, 1, 1)
		prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)
		prctl(PR_SET_PDEATHSIG, SIGKILL)
		chdir("/")
		execveat brig-init
		prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)
	EOF
}

@test "exec: the door joins everything but the user namespace before anybody is born in the jail" {
	door=$(grep -l '^setns([0-9]*, 0)' "$LAB"/exec.[0-9]*)
	calls "$door" | sed 's/^close_range.*/close_range/' | uniq >"$LAB/door"
	# out of the caller's group before signals have their default action
	same "$LAB/door" <<-'EOF'
		setsid()
		rt_sigaction
		rt_sigprocmask(SIG_SETMASK, [], NULL, 8)
		prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)
		setns(0)
		setns(CLONE_NEWPID)
		prctl(PR_SET_PDEATHSIG, SIGKILL)
		clone3({flags=)
		close_range
	EOF
	# net, ipc, uts, cgroup, mnt
	[ "$(grep -c '^setns([0-9]*, 0)' "$door")" = 5 ]
}

@test "services have an environment of the jail's own" {
	brig -q stop -a
	conf <<-EOF
		persist;
		plain { service = "env"; }
	EOF
	brig -q create plain
	HOST_SECRET=x PATH=$PATH:/host brig -q start plain
	eventually 10 grep -q '^PATH=' "$BRIG_RUN/log/plain.log"
	[ "$(grep -E '^[A-Z_]+=' "$BRIG_RUN/log/plain.log" | sort -u)" = "$(printf '%s\n' HOME=/root LANG=C \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)" ]
	brig -q stop plain
}

@test "what masks files must be the real null device" {
	conf <<-EOF
		persist;
		masked { }
	EOF
	brig -q create masked
	for how in 'ln -s null2 /dev/null; mknod /dev/null2 c 1 3' ': >/dev/null' 'mknod /dev/null c 1 5' \
		'mknod /dev/null b 1 3' 'mkdir /dev/null'; do
		run unshare --mount --propagation private sh -c \
			"mount -t tmpfs none /dev && mkdir /dev/pts /dev/shm && $how; exec \"\$BRIG\" start masked"
		[ "$status" = 1 ]
		[[ $output == *"/dev/null of the host is not the null device"* ]]
	done
}

@test "the first of several errors is told" {
	brig -q template build mroot busybox
	conf <<-EOF
		persist;
		a { }
	EOF
	brig -q start a
	# the process that joins the old instance's user namespace cannot; that no process came of it follows from that
	run strace -f -qq -o /dev/null -e trace=setns -e inject=setns:error=ENOSPC "$BRIG" upgrade mroot
	[[ $output == *"join the user namespace of the jail that runs"* ]]
	brig -q stop a
}
