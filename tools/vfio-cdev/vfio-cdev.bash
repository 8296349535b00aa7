# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2207 # words to complete have no blanks
#
# Completion of vfio-cdev for bash: subcommands, their options, PCI functions and cdevs.
#
# Subcommands and options are read off the tool's own help, so that there is no second
# list of them to keep. Functions, and mediated devices where they make sense, are those
# of sysfs (of --sysroot, if that stands before the subcommand).

# The addresses that make sense after subcommand $1, below $2
_vfio_cdev_functions() {
	local dir driver

	for dir in "$2"/sys/bus/pci/devices/*; do
		[ -e "$dir/vendor" ] || continue
		driver=$(readlink "$dir/driver")
		driver=${driver##*/}
		case $1 in
		bind)	[ "$driver" != vfio-pci ] || continue ;;
		unbind)	[ "$driver" = vfio-pci ] || continue ;;
		sriov)	[ -e "$dir/sriov_totalvfs" ] || continue ;;
		esac
		echo "${dir##*/}"
	done
	case $1 in
	list|who|info|test)
		for dir in "$2"/sys/bus/mdev/devices/*; do
			[ ! -e "$dir" ] || echo "${dir##*/}"
		done ;;
	esac
}

_vfio_cdev() {
	local cur=${COMP_WORDS[COMP_CWORD]} tool=${COMP_WORDS[0]} command='' root='' i at line word

	# An address is one word, whatever bash thinks of its colons
	line=${COMP_LINE:0:COMP_POINT}
	cur=${line##*[[:space:]]}
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--sysroot)	root=${COMP_WORDS[i + 1]:-}; i=$((i + 1)) ;;
		-*)		;;
		*)		command=${COMP_WORDS[i]}; break ;;
		esac
	done
	at=$((i + 1))
	COMPREPLY=()
	if [ -z "$command" ] || { [ "$command" = help ] && [ "$COMP_CWORD" = "$at" ]; }; then
		case $cur:$command in
		-*:)
			COMPREPLY=($(compgen -W "--help --version --sysroot" -- "$cur")) ;;
		*)
			COMPREPLY=($(compgen -W "$("$tool" help 2>/dev/null |
				sed -n 's/^  \([a-z]\{2,\}\) .*/\1/p')" -- "$cur")) ;;
		esac
		return
	fi
	case $cur in
	-*)
		COMPREPLY=($(compgen -W "$({ echo --help --quiet --verbose
			"$tool" help "$command" 2>/dev/null; } |
			grep -oE -- '--[a-z][a-z-]*' | sort -u)" -- "$cur"))
		return ;;
	esac
	# What belongs to "--file" and its like, as the help spells it
	word=${COMP_WORDS[COMP_CWORD - 1]}
	if [[ $word == --* ]] && "$tool" help "$command" 2>/dev/null |
	   grep -qE -- "${word}[ =](FILE|DIR|PATH)\b"; then
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$cur"))
		return
	fi
	case $command in
	help)	;;
	*)
		COMPREPLY=($(compgen -W "$(_vfio_cdev_functions "$command" "$root")" -- "$cur"))
		# the short form of domain 0000
		[ ${#COMPREPLY[@]} != 0 ] || [ -z "$cur" ] ||
			COMPREPLY=($(compgen -W "$(_vfio_cdev_functions "$command" "$root" |
				sed -n 's/^0000://p')" -- "$cur"))
		if declare -F __ltrim_colon_completions > /dev/null; then
			__ltrim_colon_completions "$cur"
		elif [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
			# bash puts only what is behind the last colon in
			COMPREPLY=("${COMPREPLY[@]#"${cur%:*}:"}")
		fi ;;
	esac
}

complete -F _vfio_cdev vfio-cdev
