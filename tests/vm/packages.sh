# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# Sourced by ./demo and ./check: a bare Debian 12 becomes a machine that can
# build and test this. Packages come from apt; no kernel is among them.

packages_build=(build-essential linux-headers-amd64 libpci-dev libsmartcols-dev
	libjson-c-dev pci.ids kmod xz-utils)
packages_vm=(qemu-system-x86 busybox-static cpio iproute2 pciutils nvme-cli)
packages_test=(linux-source-6.1 pkgconf sparse shellcheck codespell perl coccinelle cppcheck clang-14 libclang-rt-14-dev
	linux-headers-cloud-amd64 linux-headers-rt-amd64
	dpdk-dev librte-net-e1000-23 ipxe-qemu
	debhelper dh-dkms dkms lintian openssl udev bash-completion mandoc valgrind)
packages_debug=(linux-source-6.1 flex bison bc libelf-dev)

# install_packages <name>...: those that are missing, telling which
install_packages() {
	local missing=() p id='' version=''

	# shellcheck disable=SC1091
	{ id=$(. /etc/os-release && echo "$ID"); version=$(. /etc/os-release && echo "$VERSION_ID"); }
	if [ "$id" != debian ] || [ "$version" != 12 ]; then
		echo "This is not Debian 12 but '$id $version': there is no 6.1 kernel to build for." >&2
		return 1
	fi
	if [ ! -e /proc/self/fd ]; then
		echo "/proc is not mounted here: mount -t proc proc /proc" >&2
		return 1
	fi
	for p; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' ||
			missing+=("$p")
	done
	[ ${#missing[@]} != 0 ] || return 0
	echo "Missing: ${missing[*]}"
	if [ "$(id -u)" != 0 ]; then
		echo "Run this as root, or: apt-get install ${missing[*]}" >&2
		return 1
	fi
	echo "Installing them with apt (no kernel, nothing that starts at boot)."
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update | tail -n 2 &&
	apt-get -q -y --no-install-recommends install "${missing[@]}" |
		awk '/^(Need to get|Fetched)/ { print; fflush() }
			/^Setting up/ && ++n % 20 == 0 { print n " packages set up"; fflush() }'
	for p in "${missing[@]}"; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || {
			echo "apt could not install $p" >&2
			return 1
		}
	done
}
