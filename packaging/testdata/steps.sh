#!/bin/bash
# What the tests of the package have in common.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive
cd /

# shellcheck disable=SC2034 # used where this file is read
config=/etc/traffic_management/config.yaml
site=http://127.0.0.1:8080/

step() {
	echo "--- $*"
}

fail() {
	echo "failed: $*" >&2
	exit 1
}

# within SECONDS COMMAND...: waits until the command succeeds.
within() {
	local tries=$(($1 * 20))
	shift
	until "$@"; do
		((tries--)) || fail "not in time: $*"
		sleep 0.05
	done
}

# answers STATUS [URL]
answers() {
	[[ $(curl --silent --max-time 2 --output /dev/null --write-out '%{http_code}' "${2:-$site}") == "$1" ]]
}

install_deb() {
	dpkg --force-confold -i "/bed/$1.deb" >/tmp/dpkg.log 2>&1 || {
		cat /tmp/dpkg.log >&2
		fail "dpkg -i $1.deb"
	}
}

# installed lists what a package may leave behind, apart from what dpkg itself and the system keep.
installed() {
	find /etc /lib/ /usr /var -xdev \( -path /var/lib/dpkg -o -path /var/cache -o -path /var/log/journal \
		-o -name '*.pyc' -o -name __pycache__ \) -prune -o -print | sort
	cut -d : -f 1 /etc/passwd /etc/group
}

purge() {
	dpkg --purge traffic-management >/dev/null
	installed >/tmp/after
	diff /tmp/before /tmp/after || fail 'a purge leaves something behind'
}
