# SPDX-License-Identifier: GPL-2.0
#
# Sort the data races in a kernel's log:
#
#   awk -f kcsan.awk kcsan-known <log>
#
# A report stands between two lines of ====. It is "ours" if a stack of it goes
# through our modules (what an interrupt came upon is no part of it), unless its title is in kcsan-known (one regular expression
# a line, # and why): then it is "known". All others are the kernel's own. Prints
# the reports that are ours, each after a line "ours <title>", then for the rest
# "known <number> <title>" and "kernel <number> <title>", and last a line "total".

FILENAME != log_name && FNR == 1 { file++; log_name = FILENAME }

file == 1 {
	sub(/[ \t]*#.*/, "")
	if (NF)
		known[$0] = 1
	next
}

{ text = $0; sub(/^\[ *[0-9]+\.[0-9]+\] /, "", text) }

text ~ /^=====+$/ {
	if (inside && title != "")
		finish()
	# after a report's last line comes the first of the next one
	inside = !(inside && title != "")
	title = report = ""
	mine = 0
	next
}

inside && text ~ /^BUG: KCSAN: / { title = substr(text, 13) }
inside {
	report = report text "\n"
	if (text ~ /^ asm_(sysvec|common_interrupt)/)
		interrupted = 1
	if (text !~ /^ /)
		interrupted = 0
	if (!interrupted && text ~ /\[(iommufd|vfio|vcopy)\]/)
		mine = 1
}

function finish(	pattern, what)
{
	what = mine ? "ours" : "kernel"
	if (mine)
		for (pattern in known)
			if (title ~ pattern)
				what = "known"
	sum[what]++
	if (what == "ours")
		printf "ours %s\n%s\n", title, report
	else
		nr[what " " title]++
}

END {
	for (key in nr) {
		split(key, word, " ")
		printf "%s %d %s\n", word[1], nr[key], substr(key, length(word[1]) + 2) | "sort"
	}
	close("sort")
	printf "total: %d ours, %d known, %d of the kernel's own\n",
		sum["ours"], sum["known"], sum["kernel"]
}
