#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Bring VFs of an NVMe controller online, through its PF.
#
#   nvme-vf-online.sh BDF...	addresses of VFs, 0000:01:00.1
#
# A VF of an NVMe controller starts offline: without queues, without interrupts.
# The PF has "flexible" ones to give (identify primary-ctrl-caps: vqfrt, vifrt)
# and brings a VF online that has at least two queue pairs (one is for admin
# commands) and one interrupt. Here every VF gets as much as the PF allows for
# one (vqfrsm, vifrsm).
#
# The kernel's nvme driver has to run the PF, and nobody may use the VF. Order
# matters: resources can be given to an offline VF only, and a reset of the PF
# takes all VFs offline again. Make the VFs with
#	echo 0 > /sys/bus/pci/devices/PF/sriov_drivers_autoprobe
#	vfio-cdev sriov PF N
# so that the nvme driver does not try the offline VFs first.
set -eu

say() {
	echo "nvme-vf-online: $*" >&2
}

# primary <controller> <field>: a number of its capabilities
primary() {
	nvme primary-ctrl-caps "$1" | sed -n "s/^$2 *: *//p"
}

# scid <controller> <VF number>: the VF's controller ID
scid() {
	nvme list-secondary "$1" -e 127 | awk -v want="$2" '
		/SCID/	{ id = $NF }
		/VFN/	{ if (strtonum_hex($NF) == want) { print strtonum_hex(id); exit } }
		function strtonum_hex(text,   i, n) {
			text = tolower(text); sub(/^0x/, "", text)
			for (i = 1; i <= length(text); i++)
				n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
			return n
		}'
}

online() {
	vf=/sys/bus/pci/devices/$1
	[ -e "$vf/physfn" ] || { say "$1 is not a VF"; return 1; }
	pf=$(readlink -f "$vf/physfn")
	controller=
	for d in "$pf"/nvme/nvme*; do
		[ ! -e "$d" ] || controller=/dev/${d##*/}
	done
	[ -n "$controller" ] || {
		say "$1: the nvme driver does not run its PF ${pf##*/}"
		return 1
	}
	number=
	for d in "$pf"/virtfn*; do
		# sysfs counts from 0, NVMe from 1
		[ "$(readlink -f "$d")" != "$(readlink -f "$vf")" ] ||
			number=$((${d##*/virtfn} + 1))
	done
	id=$(scid "$controller" "$number")
	[ -n "$id" ] || { say "$1: $controller has no controller for VF $number"; return 1; }
	queues=$(primary "$controller" vqfrsm)
	vectors=$(primary "$controller" vifrsm)

	# Actions: 7 offline, 8 assign (resource 0 queues, 1 interrupts), 9 online
	nvme virt-mgmt "$controller" -c "$id" -a 7 > /dev/null
	nvme virt-mgmt "$controller" -c "$id" -r 0 -a 8 -n "$queues" > /dev/null
	nvme virt-mgmt "$controller" -c "$id" -r 1 -a 8 -n "$vectors" > /dev/null
	nvme virt-mgmt "$controller" -c "$id" -a 9 > /dev/null
	echo "$1: online, controller $id of $controller, $queues queue pairs, $vectors interrupts"
}

[ $# -gt 0 ] || { say "usage: nvme-vf-online.sh BDF..."; exit 2; }
for bdf; do
	online "$bdf"
done
