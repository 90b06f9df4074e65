# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Debian's packages, through apt-get only. Source it after lib.sh.

# Lists may name versions that are gone, so they are renewed once a day. Only
# root can do that; anyone else does with what there is, as does a machine that
# is offline: whether it was needed is for the next command to tell.
apt_update()
{
	local stamp=$CACHE/.apt-update

	[ "$(id -u)" -eq 0 ] || return 0
	[ -z "$(find "$stamp" -mtime -1 2>/dev/null)" ] ||
		! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null ||
		return 0
	if apt-get -o DPkg::Lock::Timeout=300 update; then
		mkdir -p "$CACHE"
		touch "$stamp"
	fi
}

apt_install()
{
	apt_update
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
		install --yes --no-install-recommends "$@"
}

# apt_unpack DIR PACKAGE...: unpacks packages below DIR, installing nothing.
apt_unpack()
{
	local dir=$1 debs deb

	shift
	debs=$(mktemp -d)
	(cd "$debs" && apt-get download "$@")
	mkdir -p "$dir"
	for deb in "$debs"/*.deb; do
		dpkg-deb --extract "$deb" "$dir"
	done
	rm -r "$debs"
}

# apt_depends PACKAGE: what the newest version of a package depends on, one a
# line, first alternatives only.
apt_depends()
{
	apt-cache show --no-all-versions "$1" |
		sed -n 's/^Depends: //p' | tr ',' '\n' |
		sed 's/^ *//; s/[ |(].*//'
}
