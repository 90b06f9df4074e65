# SPDX-License-Identifier: GPL-2.0
#
# The ratios of two bench.json side by side, after read.awk: by time, and by
# instructions. Not where two processors work: that clock is one for both.

BEGIN {
	of_two = "^(scale_2|share_cycle|gc_longest_stall|gc_stall_growth|gc_overshoot|gc_cascade)"
}

function entry()
{
	if (FNR == NR) {
		ratio[key] = value("ratio")
		return
	}
	if (!(key in ratio) || key ~ of_two)
		return
	if (!told++)
		printf "%-28s %-12s %10s %10s %18s\n", "ratios", "peer", "by time",
			"by count", "ours, instructions"
	printf "%-28s %-12s %10s %10s %18s\n", key, value("peer_name"), ratio[key],
		value("ratio"), value("unit") == "ns" ? value("ours") : "-"
}
