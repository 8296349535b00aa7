#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Do 32-bit programs lay out the structures of our interface as we do? Their ioctls are
# not translated. Every member of every struct of the two uapi headers is looked at,
# by the compiler's own answer: an array that is as long as the member's offset.
#
# usage: test_layout.sh DIR	DIR: for what is compiled

set -u
here=$(cd "$(dirname "$0")" && pwd)
uapi=$here/../../include/uapi
dir=$1/layout
n=0 failed=0

mkdir -p "$dir"

# members HEADER: "struct member" for each that is not inside another one
members() {
	awk '
		/^struct [a-z0-9_]+ \{/ { name = $2; depth = 1; print name, "-"; next }
		!name { next }
		/\/\*/ && !/\*\// { comment = 1 }
		comment { if (/\*\//) comment = 0; next }
		{ sub(/\/\*.*\*\//, "") }
		depth == 1 && /^\t.*;/ && !/[{}]/ {
			member = $0
			sub(/(\[[^]]*\])?;.*/, "", member)
			sub(/.*[ \t*]/, "", member)
			print name, member
		}
		{ depth += gsub(/\{/, "{") - gsub(/\}/, "}") }
		depth == 0 { name = "" }' "$1"
}

# offsets HEADER BITS: "<offset> struct.member", "<size> struct.-" in hexadecimal
offsets() {
	{
		echo "#include <linux/$1>"
		members "$uapi/linux/$1" | while read -r name member; do
			case $member in
			-) echo "char at_${name}__[sizeof(struct $name)];" ;;
			*) echo "char at_${name}__${member}[__builtin_offsetof(struct $name, $member) + 1];" ;;
			esac
		done
	} > "$dir/layout.c"
	${CC:-gcc} -m"$2" -I"$uapi" -isystem /usr/include/x86_64-linux-gnu -fno-common -c \
		-o "$dir/layout.o" "$dir/layout.c" || return 1
	nm -S "$dir/layout.o" | awk '{ sub(/^0+/, "", $2); print $4, $2 }' | sort
}

# What we do not offer: dirty bitmaps of type1, EEH of PowerPC. (The tails of these are
# shorter where 64 bits are aligned to 32.)
others='at_vfio_(bitmap|eeh_pe_op|iommu_type1_dirty_bitmap_get|iommu_type1_info_cap_migration)__'

echo "TAP version 13"
echo "1..2"
for header in iommufd.h vfio.h; do
	claim="32_bits_change_nothing_in_$header"
	n=$((n + 1))
	offsets $header 64 > "$dir/64" && offsets $header 32 > "$dir/32" || failed=1
	grep -vE "^$others" "$dir/64" > "$dir/ours.64"
	grep -vE "^$others" "$dir/32" > "$dir/ours.32"
	if [ "$(wc -l < "$dir/ours.64")" -gt 100 ] && cmp -s "$dir/ours.64" "$dir/ours.32"; then
		echo "ok $n $claim"
	else
		failed=1
		diff "$dir/ours.64" "$dir/ours.32" | sed -n 's/^[<>]/# &/p'
		echo "not ok $n $claim"
	fi
done
exit $failed
