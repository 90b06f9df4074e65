# SPDX-License-Identifier: GPL-2.0
#
# bench.json as a picture (SVG), after read.awk: for each metric and peer how
# far we are from the bar, in a logarithmic scale; left of the line is good.

function log10(x)
{
	return log(x) / log(10)
}

# From a thousandth of the bar to ten times it.
function place(d)
{
	if (d < 0.001)
		d = 0.001
	if (d > 10)
		d = 10
	return left + (log10(d) + 3) / 4 * width
}

function text(x, y, anchor, words)
{
	gsub(/</, "\\&lt;", words)
	printf "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, words
}

function entry(    y, d)
{
	d = distance()
	if (!d)
		return
	y = top + row * rows++
	sub(/\/.*/, "", key)
	text(left - 8, y + 11, "end", key " / " value("peer_name"))
	printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", left, y,
		place(d) - left, row - 6, value("met") == "true" ? "#3a7d44" : "#c0392b"
	text(left + width + 8, y + 11, "start", readable(value("ours"), value("unit")) \
	     " against " readable(value("peer"), value("unit")) ", bar " value("bar"))
}

function scale(    i, x)
{
	for (i = -3; i <= 1; i++) {
		x = place(10 ^ i)
		printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"%s\"/>\n",
			x, x, top - 6, top + row * rows, i ? "#bbb" : "#000"
		text(x, top - 10, "middle", i ? 10 ^ i : "bar")
	}
}

BEGIN {
	left = 300
	width = 400
	top = 50
	row = 22
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1100\" height=\"640\" " \
		"font-family=\"sans-serif\" font-size=\"12\">\n" \
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
	text(left, 20, "start", "what we take of what the bar allows (less is better)")
}

END {
	scale()
	print "</svg>"
}
