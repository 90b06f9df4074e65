# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What every script here shares: where things are, and how a long step shows
# itself. Source it; it runs nothing.
#
#   MOHEAP_CACHE  kernels, their sources and other packages, shared by trees
#   MOHEAP_OUT    everything built from this tree (make's O=)
#   V=1           details go to the terminal, not to a log
#   STEPS_MIX=1   steps run side by side, so each tells of itself in whole lines

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${MOHEAP_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/moheap}
OUT=${MOHEAP_OUT:-$TOP/build}
LOGS=$OUT/logs

# Variables given to one make are not meant for every make below it: they are
# in the environment, for whom it may concern.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# step NAME TITLE COMMAND...: runs COMMAND with its output in a log of that
# name, and shows TITLE, the time it took, and the log where it failed.
# Progress goes to stderr: stdout is for what a script answers.
#
# Where COMMAND is a function, "step ... || ..." would keep the shell from
# stopping at the first command in it that fails: use set +e around it instead.
step()
{
	local log=$LOGS/$1.log title=$2 start=$SECONDS status options=$-

	shift 2
	mkdir -p "$LOGS"
	if [ "${STEPS_MIX:-0}" = 1 ]; then
		printf '  %s ...\n' "$title" >&2
	else
		printf '  %-50s ' "$title" >&2
	fi
	set +e
	if [ "${V:-0}" = 1 ]; then
		echo >&2
		(set -e; "$@") 2>&1 | tee "$log" >&2
	else
		(set -e; "$@") >"$log" 2>&1
	fi
	status=$?
	[[ $options != *e* ]] || set -e
	[ "${STEPS_MIX:-0}" != 1 ] || printf '  %-50s ' "$title" >&2
	if [ $status -ne 0 ]; then
		printf 'FAILED after %d s\n' $((SECONDS - start)) >&2
		tail -n 15 "$log" | sed 's/^/    /' >&2
		echo "    log: $log" >&2
		return $status
	fi
	printf '%d s\n' $((SECONDS - start)) >&2
}

# kernel_of SUITE: the name of the kernel that a suite of tests runs on.
kernel_of()
{
	case $1 in
	sanitizer)	echo kunit ;;
	*)		echo "$1" ;;
	esac
}

# locked NAME COMMAND...: one at a time in this cache; two trees may share it.
locked()
{
	local lock=$CACHE/.$1.lock

	shift
	mkdir -p "$CACHE"
	(
		flock 9
		"$@"
	) 9>"$lock"
}
