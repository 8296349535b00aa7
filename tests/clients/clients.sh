# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of real clients share. They run in the virtual machine
# (tests/vm/run), print TAP, and prove what they claim by content: a marker drawn
# by chance on one side of a device has to come out on the other.
#
# A client is the distribution's, unmodified. Nothing here knows which vfio is
# loaded: `tests/vm/run --stock` is the control.

# shellcheck source=tests/tool/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tool/tap.sh"
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck disable=SC2034 # for those who source this
built=$top/build/tests/clients
export LC_ALL=C

marker_offset=$((0x180))	# as in boot.S

draw_marker() {
	od -An -N 12 -tx1 /dev/urandom | tr -d ' \n'
}

# sys_driver <BDF>: its driver, or nothing
sys_driver() {
	local link

	link=$(readlink "/sys/bus/pci/devices/$1/driver") && echo "${link##*/}"
}

# give <driver> <BDF>...: unbind it from what has it, bind it to that. What any
# administrator does by hand; the tool has no part in it, so that it is the same
# with the stock modules.
give() {
	local driver=$1 dev
	shift

	for dev; do
		if [ -e "/sys/bus/pci/devices/$dev/driver" ]; then
			echo "$dev" > "/sys/bus/pci/devices/$dev/driver/unbind"
		fi
		echo "$driver" > "/sys/bus/pci/devices/$dev/driver_override"
		echo "$dev" > /sys/bus/pci/drivers_probe
		echo > "/sys/bus/pci/devices/$dev/driver_override"
		[ "$(sys_driver "$dev")" = "$driver" ] || {
			echo "# $dev has not gone to $driver but to '$(sys_driver "$dev")'"
			return 1
		}
	done
}

# wait_for <seconds> <command>...: until it succeeds
wait_for() {
	local end=$((SECONDS + $1))
	shift

	until "$@" > /dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

# pci_devices <vendor:device>: their addresses
pci_devices() {
	lspci -Dnd "$1" | sed 's/ .*//'
}

pins() {	# pages pinned and not given back, summed up first
	echo 1 > /proc/sys/vm/stat_refresh
	awk '/^nr_foll_pin_acquired/ { a = $2 } /^nr_foll_pin_released/ { r = $2 }
		END { print a - r }' /proc/vmstat
}

# nvme_vf: one VF of the NVMe controller, online, without a driver, in $vf; the
# namespace's block device, run by the kernel through the PF, in $disk
nvme_vf() {
	local pf

	pf=$(pci_devices 1b36:0010 | head -n 1)
	vf=${pf%.*}.1
	disk=/dev/nvme0n1
	# a disk for each controller, not one with two paths
	modprobe nvme_core multipath=N && modprobe nvme &&
		wait_for 20 test -b "$disk" || return 1
	echo 0 > "/sys/bus/pci/devices/$pf/sriov_drivers_autoprobe"
	echo 1 > "/sys/bus/pci/devices/$pf/sriov_numvfs" || return 1
	"$top/examples/nvme-vf-online.sh" "$vf"
}

group_of() {
	basename "$(readlink -f "/sys/bus/pci/devices/$1/iommu_group")"
}

# --- QEMU inside -------------------------------------------------------------------

# shellcheck disable=SC2034 # for those who source this
pxe_rom=/usr/lib/ipxe/qemu/pxe-e1000e.rom
qemu=(qemu-system-x86_64)

# What the pages say instead of the arguments, if set: a file of tests/docs/blocks. "..."
# in there is what every inner machine has here, the device is what it boots from.
page=''

# shellcheck disable=SC2016 # they are for the script that is written
# qemu_of_the_page <argument>...: a qemu-system-x86_64 that the page's command finds,
# with these in place of "..."
qemu_of_the_page() {
	mkdir -p "$tap_dir/bin"
	{
		echo '#!/bin/bash'
		echo 'args=()'
		echo 'for arg; do'
		echo '	case $arg in'
		printf '	...)	args+=(%s) ;;\n' "$(printf '%q ' "$@")"
		echo '	vfio-pci,*) args+=("$arg,bootindex=0") ;;'
		echo '	*)	args+=("$arg") ;;'
		echo '	esac'
		echo 'done'
		echo 'PATH=${PATH#*:}	# without this one'
		printf 'exec %s "${args[@]}"\n' "$(printf '%q ' "${qemu[@]}")"
	} > "$tap_dir/bin/qemu-system-x86_64"
	chmod -R a+rX "$tap_dir" && chmod a+x "$tap_dir/bin/qemu-system-x86_64"
}

# inner <accelerator> <argument>...: run ${qemu[@]} until what it boots ends it. Leaves
# $status (33 is what boot.S ends with), $serial what it said, $held the files
# below /dev that QEMU had open and that matter here, $err QEMU's own words. KVM, which is
# emulated itself here, stands still once in a while, with the stock modules as well:
# then once more, and it is said.
inner() {
	inner_once "$@"
	if [ "$1" = kvm ] && [ "$status" = 124 ]; then
		echo "# emulated KVM stood still; once more"
		inner_once "$@"
	fi
}

inner_once() {
	local accel=$1 pid child next start=$SECONDS seen
	local machine=(-nodefaults -no-user-config -display none -no-reboot -m 32
		-accel "$accel" -serial "file:$tap_dir/serial"
		-device "isa-debug-exit,iobase=0xf4,iosize=4")
	shift

	: > "$tap_dir/serial"
	chmod 666 "$tap_dir/serial"
	if [ -n "$page" ]; then
		qemu_of_the_page "${machine[@]}"
		PATH=$tap_dir/bin:$PATH BDF=$vf timeout 200 sh -eux "$page" \
			< /dev/null > "$tap_dir/err" 2>&1 &
	else
		timeout 200 "${qemu[@]}" "${machine[@]}" "$@" \
			< /dev/null > "$tap_dir/err" 2>&1 &
	fi
	pid=$!
	held=''
	while kill -0 $pid 2>/dev/null; do
		# the program is the child of timeout, or of the shell that is
		child=$pid
		while next=''
		      # (there is no newline at its end, which read calls a failure)
		      read -r next _ 2>/dev/null < "/proc/$child/task/$child/children"
		      [ -n "$next" ]; do
			child=$next
		done
		seen=$(find "/proc/${child:-none}/fd" -type l -printf '%l\n' 2>/dev/null |
			grep -E '^/dev/(vfio|iommu|kvm)|kvm-v(m|fio)$' | sort -u | paste -sd ' ')
		[ ${#seen} -lt ${#held} ] || held=$seen
		sleep 0.5
	done
	wait $pid
	status=$?
	serial=$(tr -d '\r' < "$tap_dir/serial" | grep -aE '^(boot|read|wrote|error)')
	err=$(cat "$tap_dir/err")
	echo "# inner machine: $((SECONDS - start)) s, exit status $status"
	[ -z "$err" ] || tap_show qemu "$err"
}

# went_through <name> <accelerator> <files>: the last run used these, and KVM with its VFIO device or not
went_through() {
	local want=$3

	[ "$2" != kvm ] || want="/dev/kvm $want anon_inode:kvm-vm anon_inode:kvm-vfio"
	is "$1" "$(tr ' ' '\n' <<< "$want" | sort | paste -sd ' ')" \
		"$(tr ' ' '\n' <<< "$held" | sort | paste -sd ' ')"
}

# boots_from_the_disk <name> <accelerator> <files it opens> <argument>...: and
# reads and writes it; the other side of all three is the kernel at the PF
boots_from_the_disk() {
	local name=$1 accel=$2 files=$3 boot text
	shift 3

	boot=$(draw_marker) text=$(draw_marker)
	cp "$built/disk.bin" "$tap_dir/disk"
	printf '%s' "$boot" |
		dd of="$tap_dir/disk" bs=1 seek=$marker_offset conv=notrunc status=none
	printf 'text %s' "$text" >> "$tap_dir/disk"
	truncate -s 4096 "$tap_dir/disk"
	dd if="$tap_dir/disk" of="$disk" bs=4096 oflag=direct status=none
	inner "$accel" "$@"
	is "${name}_boots_and_reads" "33
boot: $boot
read: $text
wrote" "$status
$serial"
	went_through "${name}_path" "$accel" "$files"
	blockdev --flushbufs "$disk"
	is "${name}_writes" "echo $text" \
		"$(dd if="$disk" bs=4096 count=1 iflag=direct status=none |
			tail -c +1025 | head -c 512 | tr -d '\0')"
}

# boots_from_the_network <name> <accelerator> <files it opens> <argument>...:
# DHCP and TFTP from the network of the machine's runner
boots_from_the_network() {
	local name=$1 accel=$2 files=$3
	shift 3

	inner "$accel" "$@"
	is "${name}_boots" "33
boot: $(tail -c +$((marker_offset + 1)) "$built/tftp/boot.bin" | head -c 24)" "$status
$serial"
	went_through "${name}_path" "$accel" "$files"
}

# --- the kernel's drivers, afterwards -----------------------------------------------

# stock_nvme_works <VF>: what is written through it arrives through the PF
stock_nvme_works() {
	local vf_disk

	give nvme "$1"
	is nvme_takes_the_vf_back nvme "$(sys_driver "$1")"
	wait_for 20 test -b /dev/nvme1n1
	vf_disk=/dev/$(basename "$(echo "/sys/bus/pci/devices/$1/nvme/"nvme*/nvme*n1)")
	head -c 65536 /dev/urandom > "$tap_dir/data"
	dd if="$tap_dir/data" of="$vf_disk" bs=64k seek=5 oflag=direct status=none
	run cmp "$tap_dir/data" <(dd if="$disk" bs=64k skip=5 count=1 iflag=direct status=none)
	expect stock_nvme_on_the_vf_writes_what_the_pf_reads 0 "" ""
}

# stock_e1000e_works <NIC>: an address by DHCP, a file by TFTP
stock_e1000e_works() {
	local dev

	modprobe e1000e
	give e1000e "$1"
	is e1000e_takes_the_nic_back e1000e "$(sys_driver "$1")"
	dev=$(basename "/sys/bus/pci/devices/$1/net/"*)
	modprobe af_packet
	ip link set "$dev" up
	wait_for 20 grep -qx 1 "/sys/class/net/$dev/carrier"
	is stock_e1000e_has_a_link 1 "$(cat "/sys/class/net/$dev/carrier")"
	ip addr add 10.0.2.15/24 dev "$dev"
	run busybox tftp -g -r boot.bin -l "$tap_dir/fetched" 10.0.2.2
	is stock_e1000e_fetches_a_file 0 "$status"
	run cmp "$built/tftp/boot.bin" "$tap_dir/fetched"
	expect stock_e1000e_fetched_what_is_there 0 "" ""
	ip link set "$dev" down
}
