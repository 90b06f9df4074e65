# SPDX-License-Identifier: GPL-2.0
#
# Reads what json.awk writes, one metric a line. What is done with it is in
# entry(), which whoever uses this has: key is the metric's, value() the rest.

function value(name,    at, text)
{
	at = index($0, "\"" name "\": ")
	if (!at)
		return ""
	text = substr($0, at + length(name) + 4)
	if (text ~ /^"/) {
		text = substr(text, 2)
		sub(/".*/, "", text)
		return text
	}
	sub(/[,}].*/, "", text)
	return text ~ /^[-0-9]/ ? text + 0 : text
}

# How far we are from the bar: 1 is on it, less is better. The worst condition.
function distance(    i, n, part, limit, d, worst)
{
	n = split(value("bar"), part, ",")
	for (i = 1; i <= n; i++) {
		limit = part[i]
		sub(/^[a-z]*[<>]=?/, "", limit)
		d = (part[i] ~ /^ratio/ ? value("ratio") : value("ours")) / limit
		if (part[i] ~ />/)
			d = 1 / d
		if (d > worst)
			worst = d
	}
	return worst
}

# A number to read: times in the unit that suits them.
function readable(number, unit)
{
	if (unit == "ns" && number >= 1e9)
		return sprintf("%.2f s", number / 1e9)
	if (unit == "ns" && number >= 1e6)
		return sprintf("%.2f ms", number / 1e6)
	if (unit == "ns" && number >= 1e4)
		return sprintf("%.1f us", number / 1e3)
	if (unit == "bytes" && number >= 1e6)
		return sprintf("%.1f MB", number / 1e6)
	return sprintf("%.4g %s", number, unit)
}

/^"/ {
	key = substr($0, 2)
	sub(/".*/, "", key)
	entry()
}
