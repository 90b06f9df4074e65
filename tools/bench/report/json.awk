# SPDX-License-Identifier: GPL-2.0
#
# What the guest said, with the table of metrics before it, becomes bench.json:
# medians over the rounds, and the spread.

function median(key,    n, i, j, list, swap)
{
	n = split(values[key], list, " ")
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && list[j - 1] + 0 > list[j] + 0; j--) {
			swap = list[j]
			list[j] = list[j - 1]
			list[j - 1] = swap
		}
	least = list[1]
	most = list[n]
	return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function holds(condition, ours, ratio,    value, limit)
{
	value = condition ~ /^ratio/ ? ratio : ours
	limit = condition
	sub(/^[a-z]*[<>]=?/, "", limit)
	if (condition ~ />=/)
		return value >= limit + 0
	if (condition ~ /<=/)
		return value <= limit + 0
	return value < limit + 0
}

function met(bar, ours, ratio,    i, n, part)
{
	n = split(bar, part, ",")
	for (i = 1; i <= n; i++)
		if (!holds(part[i], ours, ratio))
			return "false"
	return "true"
}

function besides(key,    i, n, part, text)
{
	n = split(seen[key], part, " ")
	for (i = 1; i <= n; i++)
		text = text sprintf(", \"%s_%s\": %.6g", key ~ / ours$/ ? "ours" : "peer",
				    part[i], median(key " " part[i]))
	return text
}

function entry(i,    mine, peer, name, theirs, ours, text)
{
	mine = metric[i] " ours"
	name = against[i]
	peer = metric[i] " " name
	if (name ~ /=/) {
		values[peer] = substr(name, index(name, "=") + 1)
		sub(/=.*/, "", name)
	}
	if (!(mine in values) || !(peer in values))
		return ""
	ours = median(mine)
	text = sprintf("\"ours_min\": %.6g, \"ours_max\": %.6g", least, most)
	theirs = median(peer)
	text = text sprintf(", \"peer_min\": %.6g, \"peer_max\": %.6g", least, most)
	text = text sprintf(", \"rounds\": %d", split(values[mine], unused, " "))
	if (bar[i] != "-")
		text = text sprintf(", \"bar\": \"%s\", \"met\": %s", bar[i],
				    met(bar[i], ours, ours / theirs))
	text = text besides(mine) besides(peer)
	return sprintf("\"%s\": {\"ours\": %.6g, \"peer\": %.6g, \"peer_name\": \"%s\", " \
		       "\"ratio\": %.4g, \"unit\": \"%s\", %s}", keyed(i, name),
		       ours, theirs, name, ours / theirs, unit[i], text)
}

# The first peer of a metric has its name, the others "metric/peer".
function keyed(i, name)
{
	return i > 1 && metric[i] == metric[i - 1] ? metric[i] "/" name : metric[i]
}

{
	sub(/\r$/, "")
}

FNR == NR {
	if (!/^#/ && NF) {
		metric[++n] = $1
		against[n] = $2
		unit[n] = $3
		bar[n] = $4
	}
	next
}

$1 == "kernel" {
	kernel = $2
}

$1 == "result" && NF == 4 {
	values[$2 " " $3] = values[$2 " " $3] " " $4
}

$1 == "besides" && NF == 5 {
	key = $2 " " $3
	if (!(key " " $4 in values))
		seen[key] = seen[key] " " $4
	values[key " " $4] = values[key " " $4] " " $5
}

END {
	printf "{\"kernel\": \"%s\", \"metrics\": {\n", kernel
	for (i = 1; i <= n; i++)
		if ((text = entry(i)) != "") {
			printf "%s%s", separator, text
			separator = ",\n"
		}
	print "\n}}"
}
