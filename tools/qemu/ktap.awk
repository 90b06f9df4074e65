# SPDX-License-Identifier: GPL-2.0
#
# Reads TAP and KTAP, from programs or from a kernel log, and prints a line for
# each test: pass, fail or skip, its name, and what is known of the reason, with
# tabs between. Only leaves are tests: a suite, or a case with parameters, is
# counted by what is in it, and fails by itself only where nothing in it did.
#
# Programs stand between two marks:
#	# moheap-test begin NAME
#	# moheap-test end NAME STATUS ...
# A program must fulfil its plan, end, and end with 0.

function report(verdict, name, why,	i, path)
{
	path = program
	for (i = 1; i <= depth; i++)
		path = path (path != "" && label[i] != "" ? "." : "") label[i]
	printf "%s\t%s\t%s\n", verdict, path (path != "" ? "." : "") name, why
	if (verdict == "fail")
		for (i = 0; i <= depth; i++)
			failed[i]++
}

# Ends the tests at depth d: were there as many as planned?
function finish(d,	missing)
{
	missing = planned[d] - seen[d]
	depth = d
	if (d in planned && missing > 0)
		report("fail", "(plan)", missing " of " planned[d] " tests did not run")
	delete planned[d]
	delete seen[d]
	delete failed[d]
	delete label[d]
}

function finish_all(	d)
{
	for (d = 9; d >= 0; d--)
		finish(d)
}

function end_program(status)
{
	if (seen[0] + skipped_all == 0)
		report("fail", "(plan)", "no test ran")
	silent = status != 0 && !failed[0]
	finish_all()
	depth = 0
	if (silent)
		report("fail", "(exit)", "exit status " status)
	finish_all()
	program = ""
}

{ sub(/\r$/, "") }
{ sub(/^(<[0-9]+>)?\[ *[0-9]+\.[0-9]+\](\[ *[TC][0-9]+\])? /, "") }

/^# moheap-test begin / {
	finish_all()
	program = $4
	skipped_all = 0
	next
}

/^# moheap-test end / {
	end_program($5)
	next
}

/^ *# Subtest: / {
	match($0, /^ */)
	name = $0
	sub(/^ *# Subtest: /, "", name)
	label[int(RLENGTH / 4)] = name
	next
}

/^ *# .*(EXPECTATION|ASSERTION) FAILED at / {
	why = $0
	sub(/^.* FAILED at /, "", why)
	next
}

/^ *1\.\.[0-9]+/ {
	match($0, /^ */)
	depth = int(RLENGTH / 4)
	plan = $1
	sub(/^1\.\./, "", plan)
	planned[depth] = plan + 0
	if (plan + 0 == 0 && program != "" && toupper($0) ~ /# *SKIP/) {
		report("skip", "(all)", $0)
		skipped_all = 1
	}
	next
}

/^ *(not )?ok [0-9]+/ {
	match($0, /^ */)
	level = int(RLENGTH / 4)
	bad = $1 == "not"
	name = $0
	sub(/^ *(not )?ok [0-9]+ *(- *)?/, "", name)
	directive = ""
	if (match(name, / *# .*$/)) {
		directive = substr(name, RSTART)
		name = substr(name, 1, RSTART - 1)
		sub(/^ *# */, "", directive)
	}

	inner = level + 1
	parent = seen[inner] > 0 || inner in planned
	if (parent) {
		depth = inner
		missed = planned[inner] > seen[inner]
		innocent = !failed[inner] && !missed
		finish(inner)
	}
	depth = level
	if (parent && bad && innocent)
		report("fail", name, "failed as a whole")
	else if (!parent && toupper(directive) ~ /^SKIP/)
		report("skip", name, directive)
	else if (!parent)
		report(bad ? "fail" : "pass", name, bad ? why : "")
	seen[level]++
	why = ""
	next
}

END {
	if (program != "") {
		depth = 0
		report("fail", "(exit)", "did not end")
	}
	finish_all()
}
