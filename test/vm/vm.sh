# A virtual machine (qemu without KVM) with Debian's kernel for clouds and nothing on it but busybox and brig.
# Sourced by bash scripts; BRIG, BRIG_TOP and BRIG_BUILD say which brig.
# shellcheck shell=bash

VM_KERNEL=$BRIG_BUILD/vm
vm_pid=

# What is needed and not there, in a line; status 0 when something is.
vm_missing() {
	local need
	for need in qemu-system-x86_64 mke2fs /bin/busybox; do
		command -v "$need" >/dev/null || { echo "there is no $need"; return 0; }
	done
	[ -f "$VM_KERNEL/vmlinuz" ] || { echo "there is no kernel (test/vm/kernel $VM_KERNEL)"; return 0; }
	return 1
}

# vm_root DIR INIT [PROGRAM...]: makes DIR (absolute) the file system of the machine, with INIT as its first process,
# which begins with guest.sh, and programs of the host in /vm.
vm_root() {
	local root=$1 init=$2 lib
	shift 2
	mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,run,vm}
	DESTDIR=$root meson install -C "$BRIG_BUILD" --no-rebuild --quiet >/dev/null || return
	rm -rf "$root"/usr/local/share/man
	cp /bin/busybox "$root/bin/busybox"
	/bin/busybox --list | while read -r applet; do
		[ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
	done
	[ $# = 0 ] || cp "$@" "$root/vm/" || return
	ldd "$BRIG" "$@" | grep -o '/[^ ]*' | grep -v ':$' | sort -u | while read -r lib; do
		mkdir -p "$root$(dirname "$lib")"
		cp -L "$lib" "$root$lib"
	done
	cp -r "$VM_KERNEL/modules" "$BRIG_TOP/test/vm/guest.sh" "$root/vm/" || return
	echo "root:x:0:0:root:/root:/bin/sh" >"$root/etc/passwd"
	echo "root:x:0:" >"$root/etc/group"
	install -m 0755 "$init" "$root/init"
}

# vm_pack DIR FILE: what vm_root made, as an initramfs; the directory is removed
vm_pack() {
	(cd "$1" && find . | /bin/busybox cpio -o -H newc 2>/dev/null) >"$2" && rm -rf "$1"
}

# vm_boot SECONDS MEGABYTES INITRAMFS APPEND [QEMU-OPTION...]: until the machine switches itself off.  The first
# serial port goes to the file console.  Who is interrupted meanwhile calls vm_kill.
vm_boot() {
	local seconds=$1 megabytes=$2 initramfs=$3 append=$4 status=0
	shift 4
	timeout -k 5 "$seconds" qemu-system-x86_64 -accel tcg -cpu max -m "$megabytes" -nodefaults -display none \
		-no-reboot -serial file:console -kernel "$VM_KERNEL/vmlinuz" -initrd "$initramfs" \
		-append "console=ttyS0 quiet panic=-1 random.trust_cpu=on no_timer_check $append" "$@" >qemu.out 2>&1 &
	vm_pid=$!
	wait "$vm_pid" || status=$?
	vm_pid=
	return $status
}

vm_kill() {
	[ -z "$vm_pid" ] || kill "$vm_pid" 2>/dev/null
	vm_pid=
}
