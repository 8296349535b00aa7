# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A made-up /sys, /proc, /dev and /run below $root, for the tool's --sysroot.
#
# Everything the tool looks at is there in the form that the kernel gives it;
# writes go to plain files, so nothing follows from them. That is what the tests
# of failures want: a driver that does not take a function, for one.

: "${root:?}"

# fake_new: an empty system with an IOMMU
fake_new() {
	rm -rf "$root"
	mkdir -p "$root"/{sys/bus/pci/{devices,drivers},sys/kernel/iommu_groups,sys/class,proc,run,dev}
	echo "BOOT_IMAGE=/vmlinuz quiet" > "$root/proc/cmdline"
	: > "$root/sys/bus/pci/drivers_probe"
}

# fake_function BDF VENDOR DEVICE CLASS [GROUP]
fake_function() {
	local dir=$root/sys/bus/pci/devices/$1

	mkdir -p "$dir"
	echo "$2" > "$dir/vendor"
	echo "$3" > "$dir/device"
	echo "$4" > "$dir/class"
	echo 0x1af4 > "$dir/subsystem_vendor"
	echo 0x1100 > "$dir/subsystem_device"
	echo -1 > "$dir/numa_node"
	echo "(null)" > "$dir/driver_override"
	printf '%s\n' \
		"0x00000000fe000000 0x00000000fe003fff 0x0000000000140204" \
		"0x0000000000000000 0x0000000000000000 0x0000000000000000" \
		"0x000000000000c000 0x000000000000c03f 0x0000000000040101" > "$dir/resource"
	fake_config "$dir/config" "$2" "$3" 00
	if [ -n "${5:-}" ]; then
		mkdir -p "$root/sys/kernel/iommu_groups/$5/devices"
		ln -s "../../../../kernel/iommu_groups/$5" "$dir/iommu_group"
		ln -s "$dir" "$root/sys/kernel/iommu_groups/$5/devices/$1"
		echo "0x00000000fee00000 0x00000000feefffff msi" \
			> "$root/sys/kernel/iommu_groups/$5/reserved_regions"
	fi
}

# bytes HEX...: their bytes
bytes() {
	local b

	for b; do printf '%b' "\\x$b"; done
}

# fake_config FILE VENDOR DEVICE HEADER: 256 bytes with MSI (8 vectors) at 0x40
# and MSI-X (5) at 0x50
fake_config() {
	{
		bytes "${2:4:2}" "${2:2:2}" "${3:4:2}" "${3:2:2}" 00 00 10 00	# 00 status: caps
		bytes 00 00 00 00 00 00 "$4" 00			# 08 header type
		head -c 36 /dev/zero				# 10
		bytes 40 00 00 00 00 00 00 00 00 01 00 00	# 34 caps, 3d pin A
		bytes 05 50 86 00 00 00 00 00 00 00 00 00 00 00 00 00	# 40 MSI
		bytes 11 00 04 80 00 00 00 00 00 00 00 00	# 50 MSI-X
		head -c 164 /dev/zero
	} > "$1"
}

# fake_driver NAME: there is such a driver
fake_driver() {
	mkdir -p "$root/sys/bus/pci/drivers/$1"
	: > "$root/sys/bus/pci/drivers/$1/bind"
	: > "$root/sys/bus/pci/drivers/$1/unbind"
}

# fake_bound BDF DRIVER
fake_bound() {
	fake_driver "$2"
	ln -sfn "../../drivers/$2" "$root/sys/bus/pci/devices/$1/driver"
}

# fake_cdev BDF NAME [stock]: vfio-pci made a device of it, with a node or without
fake_cdev() {
	fake_bound "$1" vfio-pci
	mkdir -p "$root/sys/bus/pci/devices/$1/vfio-dev/$2" "$root/sys/class/vfio-dev"
	[ "${3:-}" = stock ] || echo 511:0 > "$root/sys/bus/pci/devices/$1/vfio-dev/$2/dev"
	ln -sfn "../../../bus/pci/devices/$1" "$root/sys/bus/pci/devices/$1/vfio-dev/$2/device"
	ln -sfn "$root/sys/bus/pci/devices/$1/vfio-dev/$2" "$root/sys/class/vfio-dev/$2"
}

# fake_pf BDF TOTAL NUM
fake_pf() {
	echo "$2" > "$root/sys/bus/pci/devices/$1/sriov_totalvfs"
	echo "$3" > "$root/sys/bus/pci/devices/$1/sriov_numvfs"
}

# fake_vf BDF PF INDEX
fake_vf() {
	ln -s "../$2" "$root/sys/bus/pci/devices/$1/physfn"
	ln -s "../$1" "$root/sys/bus/pci/devices/$2/virtfn$3"
}

# fake_holder PID NAME FD TARGET: a process that has TARGET open
fake_holder() {
	mkdir -p "$root/proc/$1/fd"
	echo "$2" > "$root/proc/$1/comm"
	ln -s "$4" "$root/proc/$1/fd/$3"
}

# fake_mount MAJOR:MINOR BDF DIR: a disk of a function that is mounted
fake_mount() {
	mkdir -p "$root/sys/dev/block" "$root/proc/self" "$root/sys/bus/pci/devices/$2/block/disk"
	ln -sfn "$root/sys/bus/pci/devices/$2/block/disk" "$root/sys/dev/block/$1"
	printf '%s\n' "22 1 0:20 / /proc rw - proc proc rw" \
		"36 1 $1 / $3 rw,relatime shared:1 - ext4 /dev/disk rw" > "$root/proc/self/mountinfo"
}

# fake_fdinfo PID FD LINE...: what fdinfo of that file has, "key: value" a line
fake_fdinfo() {
	local dir=$root/proc/$1/fdinfo fd=$2

	mkdir -p "$dir"
	shift 2
	printf '%s\n' "$@" | sed 's/: */:\t/' > "$dir/$fd"
}

# fake_behind BDF BRIDGE: the function is on the bus behind that bridge
fake_behind() {
	local dir=$root/sys/bus/pci/devices tree=$root/sys/devices/pci0000:00

	mkdir -p "$tree"
	if [ ! -L "$dir/$2" ]; then
		mv "$dir/$2" "$tree/$2"
		ln -s "../../../devices/pci0000:00/$2" "$dir/$2"
	fi
	mv "$dir/$1" "$(realpath "$dir/$2")/$1"
	ln -s "$(realpath "$dir/$2")/$1" "$dir/$1"
}

# fake_mdev UUID PARENT TYPE CDEV [GROUP]: a mediated device of a function
fake_mdev() {
	local dir=$root/sys/bus/pci/devices/$2/$1

	mkdir -p "$dir/vfio-dev/$4" "$root/sys/bus/mdev/devices" "$root/sys/class/vfio-dev" \
		"$root/sys/bus/pci/devices/$2/mdev_supported_types/$3"
	echo "A part of $2" > "$root/sys/bus/pci/devices/$2/mdev_supported_types/$3/name"
	ln -s "../mdev_supported_types/$3" "$dir/mdev_type"
	ln -s "../../../../../bus/mdev/drivers/vendor_mdev" "$dir/driver"
	echo 511:1 > "$dir/vfio-dev/$4/dev"
	ln -s "../../../$1" "$dir/vfio-dev/$4/device"
	ln -s "$dir/vfio-dev/$4" "$root/sys/class/vfio-dev/$4"
	ln -s "$dir" "$root/sys/bus/mdev/devices/$1"
	[ -z "${5:-}" ] || ln -s "../../../../kernel/iommu_groups/$5" "$dir/iommu_group"
}

# fake_inject: the system of inject_test
fake_inject() {
	fake_new
	fake_function 0000:00:1f.2 0x8086 0x2922 0x010601 6
	fake_bound 0000:00:1f.2 ahci
	fake_pf 0000:00:1f.2 2 0
	fake_mdev 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 0000:00:1f.2 a-part vfio4
	fake_function 0000:01:00.0 0x1b36 0x0010 0x010802 7
	fake_cdev 0000:01:00.0 vfio3
	fake_holder 812 qemu 9 /dev/iommu
	mkdir -p "$root/dev/vfio/devices"
	truncate -s 64K "$root/dev/vfio/devices/vfio3"
	: > "$root/dev/iommu"
	: > "$root/dev/vfio/vfio"
	: > "$root/dev/vfio/7"
}

# The text of docs/fdinfo.md, as the kernel wrote it
# shellcheck disable=SC2016 # backticks are backticks
doc_fdinfo() {
	sed -n '/^iommufd-format: 1/,/^```$/{/^```/!p}' \
		"$(dirname "${BASH_SOURCE[0]}")/../../docs/fdinfo.md" | sed 's/: */:	/'
}
