#!/bin/sh
# Prints the Debian version of what `git describe --tags --always --dirty` says, so that dpkg orders packages as history
# does: v1.2.0-rc1 < v1.2.0 < v1.2.0-5-gabc1234 < v1.2.1. What has no tag yet is older than every release.
set -eu
described=${1:?usage: version.sh DESCRIPTION}
case $described in
v[0-9]*.* | [0-9]*.*)
	# In turn: commits after a tag, changes not committed, what comes before a release, what Debian has no sign for.
	printf '%s\n' "${described#v}" |
		sed -E 's/-([0-9]+)-g([0-9a-f]+)/+\1.g\2/; s/-dirty$/+dirty/; s/-/~/; s/-/./g; s/[^0-9A-Za-z.+~]/./g'
	;;
*)
	printf '0~%s.%s\n' "$(git show -s --format=%cd --date=format-local:%Y%m%d%H%M%S HEAD 2>/dev/null || echo 0)" \
		"$(printf '%s' "$described" | sed -E 's/-dirty$/+dirty/; s/[^0-9A-Za-z.+~]/./g')"
	;;
esac
