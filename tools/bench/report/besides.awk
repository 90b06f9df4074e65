# SPDX-License-Identifier: GPL-2.0
#
# What else the programs told, in bench.json, after read.awk.

function entry(    i, n, part, name, number)
{
	if (key in told)
		return
	told[key] = 1
	n = split($0, part, ", ")
	for (i = 1; i <= n; i++) {
		if (part[i] !~ /^"(ours|peer)_/ || part[i] ~ /_(min|max|name)"/)
			continue
		name = part[i]
		gsub(/^"|": .*/, "", name)
		number = value(name)
		if (name ~ /^ours/ && key ~ /\//)
			continue
		sub(/^peer_/, value("peer_name") " ", name)
		sub(/^ours_/, "ours ", name)
		printf "%-28s %-40s %s\n", key, name, number
	}
}
