# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# TAP for tests of programs. Source it, call the functions, end with tap_end.
#
#   run command...		runs it; leaves $status, $out, $err
#   is NAME WANT GOT		one test: equal?
#   like NAME PATTERN GOT	one test: does the shell pattern fit?
#   tap_skip NAME REASON	one test that cannot run
#   documented MARK		leaves in ${blocks[@]} the commands that the documentation
#				marks so, a file each (tests/docs/blocks)
#   run_documented MARK		one test for each of these: all its commands succeed
#   tap_lines			tests of the last run: its lines "ok NAME", "not ok NAME"
#   expect NAME STATUS OUT ERR	one test of the last run; OUT and ERR in full,
#				or a pattern after "~", or "*" for anything

status='' out='' err=''
nr_tests=0
nr_failed=0
tap_dir=$(mktemp -d) || exit 1
trap 'rm -rf "$tap_dir"' EXIT
echo "TAP version 13"

run() {
	"$@" > "$tap_dir/out" 2> "$tap_dir/err" < /dev/null
	status=$?
	out=$(cat "$tap_dir/out")
	err=$(cat "$tap_dir/err")
}

tap_result() {	# <true or false> <name>
	nr_tests=$((nr_tests + 1))
	if "$1"; then
		echo "ok $nr_tests - $2"
	else
		nr_failed=$((nr_failed + 1))
		echo "not ok $nr_tests - $2"
	fi
}

tap_show() {	# <what> <text>
	printf '%s\n' "$2" | sed "s/^/# $1: /"
}

is() {
	if [ "$2" = "$3" ]; then
		tap_result true "$1"
	else
		tap_result false "$1"
		tap_show want "$2"
		tap_show "got " "$3"
	fi
}

fits() {	# <pattern or text> <text>
	case $1 in
	'*')	return 0 ;;
	'~'*)	# shellcheck disable=SC2053  # the pattern is meant as one
		[[ $2 == ${1#\~} ]] ;;
	*)	[ "$1" = "$2" ] ;;
	esac
}

tap_skip() {	# <name> <reason>
	nr_tests=$((nr_tests + 1))
	echo "ok $nr_tests - $1 # SKIP $2"
}

like() {
	if fits "~$2" "$3"; then
		tap_result true "$1"
	else
		tap_result false "$1"
		tap_show want "$2"
		tap_show "got " "$3"
	fi
}

expect() {
	if [ "$2" = "$status" ] && fits "$3" "$out" && fits "$4" "$err"; then
		tap_result true "$1"
		return
	fi
	tap_result false "$1"
	tap_show "want status" "$2"
	tap_show "got  status" "$status"
	tap_show "want stdout" "$3"
	tap_show "got  stdout" "$out"
	tap_show "want stderr" "$4"
	tap_show "got  stderr" "$err"
}

blocks=()
documented() {
	"${BASH_SOURCE[0]%/*}/../docs/blocks" "$1" "$tap_dir/blocks.$1" || exit
	blocks=("$tap_dir/blocks.$1"/*)
}

run_documented() {
	local block

	documented "$1"
	for block in "${blocks[@]}"; do
		run sh -eux "$block"
		expect "${block##*/}" 0 "*" "*"
	done
}

tap_lines() {
	local line

	while read -r line; do
		case $line in
		"ok "*)		tap_result true "${line#ok }" ;;
		"not ok "*)	tap_result false "${line#not ok }" ;;
		*)		echo "# $line" ;;
		esac
	done <<< "$out"
}

tap_end() {
	echo "1..$nr_tests"
	[ "$nr_failed" = 0 ]
	exit
}
