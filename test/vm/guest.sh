# In a virtual machine of vm.sh: what its first process does before anything else.  Sourced with that process'
# arguments; guest_failed WHAT, which ends the machine, is defined before.
# shellcheck shell=sh

export PATH=/usr/local/sbin:/usr/local/bin:/bin
if [ "${1:-}" != again ]; then
	# the first root of a kernel cannot be pivoted, which starting a jail does
	mkdir /new
	mount -t tmpfs tmpfs /new
	cp -a /bin /dev /etc /lib* /usr /vm /init /new/
	mkdir /new/proc /new/sys /new/run /new/tmp
	exec switch_root /new /init again
fi
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
umask 022
for guest_module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk veth; do
	[ ! -f "/vm/modules/$guest_module.ko" ] || insmod "/vm/modules/$guest_module.ko" ||
		guest_failed "module $guest_module"
done
