#!/bin/bash
# Usage: packaging/deb.sh VERSION [DIR] — builds traffic-management_VERSION_ARCHITECTURE.deb of the source tree into DIR,
# bin if not said, and prints its path. VERSION is what `git describe` says. The same commit gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
described=$1
into=${2:-bin}
version=$(packaging/version.sh "$described")
case $(go env GOARCH) in
arm) architecture=armhf ;;
386) architecture=i386 ;;
ppc64le) architecture=ppc64el ;;
*) architecture=$(go env GOARCH) ;;
esac
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git show -s --format=%ct HEAD 2>/dev/null || date +%s)}
email=${DEBEMAIL:-$(git show -s --format=%ce HEAD 2>/dev/null || echo "root@$(hostname)")}
maintainer="${DEBFULLNAME:-The Traffic Management authors} <$email>"

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
umask 022
doc=$tree/usr/share/doc/traffic-management

CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$described" \
	-o "$tree/usr/bin/traffic_management" ./cmd/traffic_management
install -D -m 644 packaging/config.yaml "$tree/etc/traffic_management/config.yaml"
install -D -m 644 packaging/logrotate "$tree/etc/logrotate.d/traffic-management"
install -D -m 644 packaging/traffic-management.service "$tree/lib/systemd/system/traffic-management.service"

install -D -m 644 packaging/debian/lintian "$tree/usr/share/lintian/overrides/traffic-management"
install -D -m 644 README.md "$doc/README.md"
install -D -m 644 -t "$doc/docs" docs/*.md
# Of the license the text itself is in LICENSE: what follows its copyright line, with the indent and "." of the format.
{
	cat packaging/debian/copyright
	sed -e '1,/^Copyright/d' LICENSE | sed -e '1{/^$/d}' -e 's/^$/./' -e 's/^/ /'
} >"$doc/copyright"
install -d "$tree/usr/share/man/man8"
gzip -9n <packaging/traffic_management.8 >"$tree/usr/share/man/man8/traffic_management.8.gz"
gzip -9n >"$doc/changelog.gz" <<END
traffic-management ($version) unstable; urgency=medium

  * Built from $described.

 -- $maintainer  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
END

mkdir "$tree/DEBIAN"
install -m 755 -t "$tree/DEBIAN" packaging/debian/{postinst,prerm,postrm}
(cd "$tree" && find etc -type f -printf '/%p\n' | sort) >"$tree/DEBIAN/conffiles"
(cd "$tree" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@MAINTAINER@/$maintainer/" \
	-e "s/@SIZE@/$(du -ks --apparent-size --exclude DEBIAN "$tree" | cut -f1)/" \
	packaging/debian/control >"$tree/DEBIAN/control"

mkdir -p "$into"
deb=$into/traffic-management_${version}_$architecture.deb
dpkg-deb --root-owner-group --build -Zxz "$tree" "$deb" >/dev/null
echo "$deb"
