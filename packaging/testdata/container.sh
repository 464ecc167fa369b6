#!/bin/bash
# The package where no systemd runs, as in a container: it installs, starts nothing, and is removed again.
# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$(dirname "$0")/steps.sh"

installed >/tmp/before

step 'without systemd: install'
install_deb 1
[[ $(traffic_management --version) == 'traffic_management v0.1.0' ]] || fail 'version'
! pgrep -x traffic_managem >/dev/null || fail 'something was started'

step 'without systemd: it serves, and goes on over an upgrade'
setpriv --reuid traffic-management --regid traffic-management --clear-groups traffic_management -c "$config" 2>/tmp/log &
within 5 answers 404
install_deb 2
answers 404 || fail 'no longer served after an upgrade'
kill %1
wait %1 || fail "ended with $?"
grep -q '"status":404' /var/log/traffic_management/access.log || fail 'no access log'

step 'without systemd: remove, purge'
dpkg --remove traffic-management >/dev/null
[[ -e $config ]] || fail 'the configuration is gone before a purge'
purge
