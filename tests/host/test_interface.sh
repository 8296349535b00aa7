#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Is a kernel whose in-kernel VFIO interface nobody has looked at refused?
#
# usage: test_interface.sh KDIR DIR	DIR: for copies of the headers

set -u
here=$(cd "$(dirname "$0")" && pwd)
check=$here/../../drivers/vfio/crc/check-interface
kdir=$1
copy=$2/kdir
n=0 failed=0

headers=$kdir
[ -r "$headers/include/linux/vfio.h" ] ||
	headers=$(sed -n 's,^include *\(/.*\)/Makefile$,\1,p' "$kdir/Makefile")

fresh() {
	rm -rf "$copy"
	mkdir -p "$copy/include/linux" "$copy/include/uapi/linux"
	cp "$kdir/Module.symvers" "$copy/"
	cp "$headers/include/linux/vfio.h" "$headers/include/linux/iova_bitmap.h" \
		"$copy/include/linux/"
	cp "$headers/include/uapi/linux/vfio.h" "$copy/include/uapi/linux/"
}

# expect STATUS WORDS CLAIM: run the check on the copy
expect() {
	n=$((n + 1))
	output=$("$check" "$copy" 2>&1)
	status=$?
	case $status:$output in
	$1:*"$2"*) echo "ok $n $3" ;;
	*)
		failed=1
		echo "not ok $n $3"
		echo "# status $status, wanted $1 and '$2': $output"
		;;
	esac
}

echo "TAP version 13"
echo "1..6"
fresh
expect 0 "" "the_headers_as_they_are_pass"
echo "/* nothing new */" >> "$copy/include/linux/vfio.h"
expect 0 "" "a_comment_is_no_change"
echo "struct vfio_new { int x; };" >> "$copy/include/linux/vfio.h"
expect 1 "never reviewed" "a_changed_declaration_is_refused"
VFIO_ABI_REVIEWED=1
export VFIO_ABI_REVIEWED
expect 0 "warning" "who_has_reviewed_it_can_go_on"
unset VFIO_ABI_REVIEWED
fresh
echo "#define VFIO_NEW 1" >> "$copy/include/uapi/linux/vfio.h"
expect 1 "never reviewed" "a_changed_uapi_header_is_refused"
fresh
sed -i 's/^0x[0-9a-f]*\(.*vfio_free_device\)/0x00000001\1/' "$copy/Module.symvers"
expect 0 "new symbol versions" "new_symbol_versions_are_noted"
rm -rf "$copy"
exit $failed
