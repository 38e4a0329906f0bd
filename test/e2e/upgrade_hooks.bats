#!/usr/bin/env bats
# exec.preupgrade, exec.upgrade, exec.postupgrade: when each runs, on which release, and what its failure does.

load lib

setup_file() {
	lab_setup none
	for n in 1 2; do
		mkdir -p "$LAB/o$n/etc"
		echo "r$n" >"$LAB/o$n/etc/which"
		brig -q template build mroot busybox --overlay "$LAB/o$n" --release "r$n" --no-current
	done
	"$BRIG" -q upgrade mroot/r1
}
teardown_file() { lab_teardown; }

# Each hook notes its name, the file of the release that it sees, the releases it is told, and whether the service runs.
setup() {
	brig -q upgrade mroot/r1
	hooks a
	brig -q create a
}
teardown() {
	brig -q stop -a --force || true
	for j in a b; do [ ! -d "$BRIG_BASE/js/$j" ] || brig -q destroy -y $j; done
}

# hooks NAME... [failing]: a configuration of these jails; $FAIL is the hook that fails on r2, if one is to
hooks() {
	local name hook
	{
		echo 'exec.start = "echo start >>/s/var/told"; persist; stop.timeout = 2; service = "sleep 1000"; health = "pidof sleep";'
		for hook in preupgrade upgrade postupgrade; do
			# in single quotes: variables are the shell's, not jail.conf's
			echo "exec.$hook = 'echo $hook \$(cat /etc/which) \$RELEASE_FROM \$RELEASE_TO \$(pidof sleep | wc -w)" \
				">>/s/var/told$([ "${FAIL:-}" != $hook ] || echo '; exit 3')';"
		done
		for name; do echo "$name { ip4.addr = 198.51.100.$((${#name} + 1)); ${EXTRA:-} }"; done
	} | conf
}
told() { cat "$BRIG_BASE/js/${1:-a}/var/told"; }
pending() { grep -c upgrade_from "$BRIG_BASE/js/.brig/a.json" || true; }

@test "a running jail: before on the old release, then on the new one before its services, and when it is up" {
	brig -q start a
	brig -q upgrade mroot/r2
	[ "$(told)" = "start
preupgrade r1 r1 r2 1
upgrade r2 r1 r2 0
start
postupgrade r2 r1 r2 1" ]
	[ "$(pending)" = 0 ]
	brig -q restart a
	[ "$(told | tail -n 1)" = start ]
}

@test "the same where the jail has to be stopped first, and all at once" {
	EXTRA='exec.prestart = "true";' hooks a
	brig -q start a
	brig -q upgrade mroot/r2
	[ "$(told | cut -d ' ' -f 1 | tr '\n' ' ')" = "start preupgrade upgrade start postupgrade " ]
	brig -q rollback mroot r1
	[ "$(told | cut -d ' ' -f 1 | tail -n +6)" = start ]
	brig -q upgrade --all-at-once mroot/r2
	[ "$(told | tail -n 4)" = "preupgrade r1 r1 r2 1
upgrade r2 r1 r2 0
start
postupgrade r2 r1 r2 1" ]
}

@test "a jail that does not run: at its next start, with the release that it last ran on" {
	brig -q upgrade mroot/r2
	[ ! -e "$BRIG_BASE/js/a/var/told" ]
	[ "$(pending)" = 1 ]
	brig -q start a
	[ "$(told)" = "upgrade r2 r1 r2 0
start
postupgrade r2 r1 r2 1" ]
	[ "$(pending)" = 0 ]
}

@test "a jail that was upgraded and taken back without having run has nothing to do" {
	brig -q upgrade mroot/r2
	brig -q rollback mroot r1
	[ "$(pending)" = 0 ]
	brig -q start a
	[ "$(told)" = start ]
}

@test "--no-restart: before at once, the rest at the next start" {
	brig -q start a
	brig -q upgrade --no-restart mroot/r2
	[ "$(told)" = "start
preupgrade r1 r1 r2 1" ]
	brig -q restart a
	[ "$(told | tail -n 3)" = "upgrade r2 r1 r2 0
start
postupgrade r2 r1 r2 1" ]
}

@test "one that fails before: the jail stays as it is, nothing is left" {
	FAIL=preupgrade hooks a
	brig -q start a
	pid=$(jail_pid a)
	run brig upgrade mroot/r2
	[ "$status" = 1 ]
	[[ "$output" == *"a: exec.preupgrade: "*"failed with status 3"* ]]
	[ "$(jail_pid a)" = "$pid" ]
	[ "$(release_of a)" = r1 ]
	[ -z "$(ls "$BRIG_BASE/js/.brig/switch")" ]
}

@test "one that fails on the new release: the jail is back on the old one" {
	for hook in upgrade postupgrade; do
		FAIL=$hook hooks a
		brig -q start a
		run brig upgrade mroot/r2
		echo "$output"
		[ "$status" = 1 ]
		[[ "$output" == *"exec.$hook: "*"failed with status 3: back on release r1, as it was"* ]]
		[ "$(release_of a)" = r1 ]
		[ "$(told | tail -n 1)" = start ]
		[ "$(pending)" = 0 ]
		brig -q stop a
	done
}

@test "the plan names them" {
	brig -q start a
	run brig upgrade -n -v mroot/r2
	[ "$status" = 0 ]
	[[ "$output" == *"a: exec.preupgrade: echo preupgrade"*"a: exec.upgrade: echo upgrade"*"a: exec.postupgrade: echo postupgrade"* ]]
	[ "$(told)" = start ]
}
