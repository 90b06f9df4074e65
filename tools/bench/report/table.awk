# SPDX-License-Identifier: GPL-2.0
#
# bench.json as a table, after read.awk. The bars of "#" are as long as what we
# take of what the bar allows: up to the line is good.

function repeat(text, n,    all)
{
	while (n-- > 0)
		all = all text
	return all
}

# The line is at 10 of 20.
function gauge(d,    n)
{
	n = int(d * 10 + 0.5)
	if (n <= 10)
		return sprintf("%-10s|%9s", repeat("#", n), "")
	return sprintf("##########|%-9s", repeat("#", n > 19 ? 9 : n - 10))
}

function spread(which, unit)
{
	return readable(value(which "_min"), unit) " .. " readable(value(which "_max"), unit)
}

function entry(    unit, verdict, line)
{
	unit = value("unit")
	line = sprintf("%-28s %11s %11s %-12s %8s", key, readable(value("ours"), unit),
		       readable(value("peer"), unit), value("peer_name"), value("ratio"))
	if (value("bar") == "") {
		print line
		return
	}
	verdict = value("met") == "true" ? "met" : "MISSED"
	count[verdict]++
	printf "%s  %-20s %s %s\n", line, value("bar"), gauge(distance()), verdict
	more = more sprintf("%-28s %-12s %-26s %s\n", key, value("peer_name"),
			    spread("ours", unit), spread("peer", unit))
}

BEGIN {
	printf "%-28s %11s %11s %-12s %8s  %-20s %s\n", "metric", "ours", "theirs",
		"peer", "ratio", "bar", "0         bar"
}

END {
	printf "\n%d bars met, %d missed\n\n", count["met"], count["MISSED"]
	printf "%-28s %-12s %-26s %s\n%s", "least .. most of the rounds", "peer", "ours",
		"theirs", more
}
