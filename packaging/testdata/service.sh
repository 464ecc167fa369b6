#!/bin/bash
# The package under systemd.
# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$(dirname "$0")/steps.sh"

unit=traffic-management.service
old=/tmp/config.old

main_pid() {
	systemctl show --property MainPID --value "$unit"
}

# runs reports whether the unit is up and its main process runs the installed file, not one that was replaced.
runs() {
	systemctl is-active --quiet "$unit" && [[ $(readlink "/proc/$(main_pid)/exe") == /usr/bin/traffic_management ]]
}

gone() {
	[[ ! -e /proc/$1 ]]
}

# moved PID reports whether another process than this one is the service.
moved() {
	runs && [[ $(main_pid) != "$1" ]]
}

# setting LINES replaces what this test sets in the unit.
setting() {
	mkdir -p "/etc/systemd/system/$unit.d"
	printf '[Service]\n%s\n' "$1" >"/etc/systemd/system/$unit.d/test.conf"
	systemctl daemon-reload
}

alive_at() {
	systemctl show --property WatchdogTimestampMonotonic --value "$unit"
}

# alive_since TIME reports whether the process told of itself after it.
alive_since() {
	(($(alive_at) > $1))
}

# begin_request writes the first half of a request.
begin_request() {
	printf 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nbegun'
}

in_flight() {
	curl --silent http://127.0.0.1:9180/metrics | grep -q '^traffic_server_in_flight_requests.* [1-9]'
}

refused() {
	! curl --silent --output /dev/null "$site"
}

# no_failures in the file of a loop of requests that the job %1 is.
no_failures() {
	touch /tmp/enough
	wait %1
	! grep -q failed "$1" || fail "$(grep -c failed "$1") of $(wc -l <"$1") requests"
	rm /tmp/enough
}

# requests makes one after another, each on a connection of its own.
requests() {
	while [[ ! -e /tmp/enough ]]; do
		answers 200 && echo ok || echo failed
	done
}

installed >/tmp/before

step 'install'
install_deb 1
systemctl is-enabled --quiet "$unit" || fail 'not enabled'
runs || fail 'not running'
[[ $(stat -c %U "/proc/$(main_pid)") == traffic-management ]] || fail 'runs as another user'
within 5 answers 404
systemd-analyze verify "$unit"
# On systemd's scale from 0, sealed, to 10, open.
systemd-analyze security --offline=yes --threshold=20 "$unit" >/tmp/security || {
	tail -1 /tmp/security
	fail 'the unit is less sealed than it was'
}

step 'the first site of the configuration, and a port below 1024'
systemd-run --quiet --unit demo /usr/bin/traffic_management demo
sed -i -E -e 's/^#([a-z]|  )/\1/' -e 's/:3000/:9001/' "$config"
within 5 answers 200
sed -i 's/127.0.0.1:8080/127.0.0.1:80/' "$config"
within 5 answers 200 http://127.0.0.1:80/
sed -i 's/127.0.0.1:80$/127.0.0.1:8080/' "$config"
within 5 answers 200

step 'reload'
cp "$config" "$old"
echo 'nonsense: true' >>"$config"
! systemctl reload "$unit" 2>/dev/null || fail 'a wrong file is reloaded without complaint'
runs && answers 200 || fail 'a wrong file did harm'
cp "$old" "$config"
systemctl reload "$unit"
answers 200 || fail 'not served after a reload'

step 'upgrade under requests'
requests >/tmp/upgrade &
first=$(main_pid)
within 5 test -s /tmp/upgrade
install_deb 2
runs || fail 'the new version does not run'
[[ $(main_pid) != "$first" ]] || fail 'the process is still the same'
within 30 gone "$first"
systemctl reload "$unit"
no_failures /tmp/upgrade
[[ $(systemctl show --property NRestarts --value "$unit") == 0 ]] || fail 'it was restarted'

step 'upgrade with a configuration that is refused'
second=$(main_pid)
echo 'nonsense: true' >>"$config"
install_deb 1
grep -q 'refuses the configuration' /tmp/dpkg.log || fail 'nobody is told'
grep -q 'nonsense' /tmp/dpkg.log || fail 'nobody is told why'
[[ $(main_pid) == "$second" ]] && answers 200 || fail 'the old process does not go on'
cp "$old" "$config"

step 'upgrade on a machine whose policy forbids it'
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
install_deb 2
[[ $(main_pid) == "$second" ]] && answers 200 || fail 'it was done all the same'
rm /usr/sbin/policy-rc.d

step 'upgrade of a unit that would not follow the new process'
setting Type=exec
install_deb 1
within 5 moved "$second"
within 5 answers 200

step 'watchdog: who took over tells of itself, who hangs is replaced'
setting WatchdogSec=1
systemctl restart "$unit"
pid=$(main_pid)
kill -s USR2 "$pid"
within 10 moved "$pid"
within 10 gone "$pid"
for _ in 1 2; do
	within 5 alive_since "$(alive_at)"
done
pid=$(main_pid)
kill -s STOP "$pid"
within 10 moved "$pid"
within 5 answers 200

step 'stop after an upgrade: running requests end, and nothing stays'
setting ''
systemctl restart "$unit"
pid=$(main_pid)
exec 3<>/dev/tcp/127.0.0.1/8080
begin_request >&3
within 5 in_flight
kill -s USR2 "$pid"
within 10 moved "$pid"
exec 4<>/dev/tcp/127.0.0.1/8080
begin_request >&4
within 5 in_flight
systemctl stop --no-block "$unit"
within 5 refused
! gone "$pid" || fail 'the process before did not wait for its request'
printf 'ended' >&4
read -r -t 5 _ status _ <&4 || fail 'a request was cut off'
[[ $status == 200 ]] || fail "a request that ran got $status"
exec 4>&-
within 10 gone "$pid"
systemctl stop "$unit"
exec 3>&-

step 'a process that crashes after an upgrade is started again'
systemctl start "$unit"
pid=$(main_pid)
kill -s USR2 "$pid"
within 10 moved "$pid"
within 10 gone "$pid"
pid=$(main_pid)
kill -s SEGV "$pid"
within 10 moved "$pid"

step 'a socket of systemd: no connection is refused at a restart'
printf '[Socket]\nListenStream=127.0.0.1:8080\n' >/etc/systemd/system/traffic-management.socket
systemctl daemon-reload
systemctl stop "$unit"
systemctl start traffic-management.socket "$unit"
requests >/tmp/restart &
within 5 test -s /tmp/restart
systemctl restart "$unit"
install_deb 2
runs || fail 'not running'
no_failures /tmp/restart
systemctl stop traffic-management.socket "$unit"
rm -r "/etc/systemd/system/$unit.d" /etc/systemd/system/traffic-management.socket
systemctl daemon-reload
systemctl start "$unit"

step 'upgrade of a service that an operator disabled and stopped'
systemctl disable --quiet --now "$unit"
install_deb 2
! systemctl is-enabled --quiet "$unit" || fail 'it is enabled again'
! systemctl is-active --quiet "$unit" || fail 'it runs again'
systemctl enable --quiet --now "$unit"
within 5 answers 200

step 'logrotate'
if command -v logrotate >/dev/null; then
	logs=/var/log/traffic_management
	within 5 test -s "$logs/access.log"
	logrotate --force --state /tmp/logrotate /etc/logrotate.d/traffic-management
	within 5 test -e "$logs/access.log"
	answers 200 || fail 'not served'
	within 5 test -s "$logs/access.log"
	[[ -s $logs/access.log.1 ]] || fail 'the old log is gone'
else
	echo 'left out: logrotate is not installed'
fi

step 'remove, install again, purge'
third=$(main_pid)
dpkg --remove traffic-management >/dev/null
within 5 gone "$third"
refused || fail 'something still listens'
install_deb 1
within 5 answers 200
fourth=$(main_pid)
systemctl stop demo.service
dpkg --remove traffic-management >/dev/null
gone "$fourth" || fail 'still running'
purge
